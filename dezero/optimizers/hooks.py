"""Hooks: changes to the gradients before an update.

A gradient array may belong to several Variables or be read-only, so hooks replace, never alter it.
"""

import math
from typing import Any

from ..core import Parameter
from ..layers import Layer
from .optimizer import gradient, set_gradient

__all__ = ["ClipGrad", "FreezeParam", "WeightDecay"]


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
        self.rate = rate

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
        self.max_norm = max_norm

    def __call__(self, params: list[Parameter]) -> None:
        norm = math.hypot(*(_norm(*gradient(param)) for param in params))
        rate = self.max_norm / (norm + 1e-6)
        if rate < 1 and math.isfinite(norm):
            for param in params:
                _, g = gradient(param)
                set_gradient(param, g * rate)


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


def _norm(xp: Any, g: Any) -> float:
    """The norm of one array, scaled by its largest number: squares neither over- nor underflow."""
    if 0 in g.shape:
        return 0.0
    largest = float(xp.max(xp.abs(g)))
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(float(xp.sum(xp.abs(g / largest) ** 2)))
