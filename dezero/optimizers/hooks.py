"""Hooks: changes to the gradients before an update.

A gradient array may belong to several Variables or be read-only, so hooks replace, never alter it.
"""

import math
from typing import Any

import numpy as np

from .. import random
from ..core import Parameter
from ..layers import Layer
from .optimizer import ANY, checked, gradient, set_gradient

__all__ = [
    "ClipGrad",
    "ClipGradByNorm",
    "ClipGradByValue",
    "FreezeParam",
    "GradientNoise",
    "WeightDecay",
]


class WeightDecay:
    """Add ``rate`` times the parameter to its gradient: the gradient of ``rate / 2 · p²``.

    Args:
        rate: The strength.

    Example:
        >>> from dezero.optimizers import SGD
        >>> optimizer = SGD()
        >>> optimizer.add_hook(WeightDecay(1e-4))
    """

    def __init__(self, rate: float) -> None:
        self.rate = checked("WeightDecay", "rate", rate)

    def __call__(self, params: list[Parameter]) -> None:
        for param in params:
            _, g = gradient(param)
            set_gradient(param, g + self.rate * param.data)


class ClipGrad:
    """Scale all gradients by one number, so that their common norm is at most ``max_norm``.

    A gradient that is not finite stays so: it is not hidden.

    Args:
        max_norm: The largest root of the sum of all squares.

    Example:
        >>> from dezero.optimizers import SGD
        >>> optimizer = SGD()
        >>> optimizer.add_hook(ClipGrad(1.0))
    """

    def __init__(self, max_norm: float) -> None:
        self.max_norm = checked("ClipGrad", "max_norm", max_norm)

    def __call__(self, params: list[Parameter]) -> None:
        norm = math.hypot(*(_norm(*gradient(param)) for param in params))
        _scale(params, norm, self.max_norm)


class ClipGradByNorm:
    """Scale each gradient by itself, so that its norm is at most ``max_norm``.

    A gradient that is not finite stays so.

    Args:
        max_norm: The largest root of the sum of squares of one gradient.

    Example:
        >>> import numpy as np
        >>> from dezero.core import Parameter, Variable
        >>> p = Parameter(np.zeros(2))
        >>> p.grad = Variable(np.array([30.0, 40.0]))
        >>> ClipGradByNorm(1.0)([p])
        >>> print(p.grad.data.round(3))
        [0.6 0.8]
    """

    def __init__(self, max_norm: float) -> None:
        self.max_norm = checked("ClipGradByNorm", "max_norm", max_norm)

    def __call__(self, params: list[Parameter]) -> None:
        for param in params:
            _scale([param], _norm(*gradient(param)), self.max_norm)


class ClipGradByValue:
    """Bring each number of a gradient to between ``-limit`` and ``limit``; NaN stays.

    Of complex numbers the real and the imaginary part.

    Args:
        limit: The largest magnitude.

    Example:
        >>> import numpy as np
        >>> from dezero.core import Parameter, Variable
        >>> p = Parameter(np.zeros(2))
        >>> p.grad = Variable(np.array([0.5, -3.0]))
        >>> ClipGradByValue(1.0)([p])
        >>> print(p.grad)
        [ 0.5 -1. ]
    """

    def __init__(self, limit: float) -> None:
        self.limit = checked("ClipGradByValue", "limit", limit)

    def __call__(self, params: list[Parameter]) -> None:
        for param in params:
            xp, g = gradient(param)
            if xp.is_complex(g.dtype):
                set_gradient(
                    param, self._clipped(xp, xp.real(g)) + self._clipped(xp, xp.imag(g)) * 1j
                )
            else:
                set_gradient(param, self._clipped(xp, g))

    def _clipped(self, xp: Any, g: Any) -> Any:
        return xp.clip(g, -self.limit, self.limit)


class FreezeParam:
    """Keep layers and parameters as they are: their gradients are dropped.

    Args:
        *layers: Layers and Parameters.

    Example:
        >>> from dezero.layers import Linear
        >>> from dezero.optimizers import SGD
        >>> model = Linear(2)
        >>> optimizer = SGD().setup(model)
        >>> optimizer.add_hook(FreezeParam(model.b))
    """

    def __init__(self, *layers: Layer | Parameter) -> None:
        for layer in layers:
            if not isinstance(layer, (Layer, Parameter)):
                msg = f"FreezeParam: {layer!r} is neither a Layer nor a Parameter"
                raise TypeError(msg)
        self.layers = layers

    def __call__(self, params: list[Parameter]) -> None:
        for layer in self.layers:
            for param in [layer] if isinstance(layer, Parameter) else layer.params():
                param.cleargrad()


class GradientNoise:
    """Add normal noise to the gradients, of variance ``eta / (1 + t)^gamma`` at update t from 0.

    It is drawn by `dezero.random`, on the host: one seed gives the same noise on every backend.

    Args:
        eta: The variance in the beginning.
        gamma: How fast it falls.

    Attributes:
        t: The number of updates so far; the optimizer's state holds it.

    References:
        Arvind Neelakantan et al., "Adding Gradient Noise Improves Learning for Very Deep
        Networks", 2015, https://arxiv.org/abs/1511.06807

    Example:
        >>> from dezero.optimizers import SGD
        >>> optimizer = SGD()
        >>> optimizer.add_hook(GradientNoise(0.3))
    """

    counters = ("t",)

    def __init__(self, eta: float = 0.01, gamma: float = 0.55) -> None:
        self.eta = checked("GradientNoise", "eta", eta, ANY)
        self.gamma = checked("GradientNoise", "gamma", gamma, ANY)
        self.t = 0

    def __call__(self, params: list[Parameter]) -> None:
        deviation = math.sqrt(self.eta / (1 + self.t) ** self.gamma)
        self.t += 1
        for param in params:
            xp, g = gradient(param)
            parts = (2,) if xp.is_complex(g.dtype) else ()
            noise = deviation * random.normal((*parts, *g.shape))
            if parts:
                noise = noise[0] + 1j * noise[1]
            placed = xp.from_numpy(np.asarray(noise), xp.device(g))
            set_gradient(param, g + xp.astype(placed, g.dtype))


def _scale(params: list[Parameter], norm: float, max_norm: float) -> None:
    """Scale gradients of a common norm so that it is at most ``max_norm``."""
    rate = max_norm / (norm + 1e-6)
    if rate < 1 and math.isfinite(norm):
        for param in params:
            _, g = gradient(param)
            set_gradient(param, g * rate)


def _norm(xp: Any, g: Any) -> float:
    """The norm of one array; where its squares over- or underflow, scaled by its largest number."""
    if 0 in g.shape:
        return 0.0
    if xp.is_complex(g.dtype):
        return math.hypot(_norm(xp, xp.real(g)), _norm(xp, xp.imag(g)))
    limits = xp.finfo(g.dtype)
    if isinstance(g, np.ndarray):
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            square = float(np.vdot(g, g)) if g.dtype.kind == "f" else math.inf
    else:
        square = float(xp.sum(g * g))
    least = math.prod(g.shape) * float(limits.smallest_normal) / float(limits.eps)
    if least < square < float(limits.max) / 2:
        return math.sqrt(square)
    largest = float(xp.max(xp.abs(g)))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = g / largest
    return largest * math.sqrt(float(xp.sum(scaled * scaled)))
