"""The rules of update."""

import math
from typing import Any

from ..core import Parameter
from .optimizer import Optimizer, gradient, subtract

__all__ = ["SGD", "Adam", "AdamW", "MomentumSGD"]


class SGD(Optimizer):
    """Stochastic gradient descent: ``p ← p - lr g``.

    Args:
        lr: The learning rate.

    Example:
        >>> import numpy as np
        >>> from dezero.layers import Linear
        >>> layer = Linear(1, in_size=3)
        >>> layer(np.ones((1, 3), np.float32)).sum().backward()
        >>> SGD(lr=0.5).setup(layer).update()
        >>> print(layer.b)
        [-0.5]
    """

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.lr = lr

    def update_one(self, param: Parameter) -> None:
        _, g = gradient(param)
        subtract(param, g, self.lr)


class MomentumSGD(Optimizer):
    """Gradient descent with momentum: ``v ← momentum v - lr g``, ``p ← p + v``.

    As in the book; PyTorch's velocity does not contain the rate, so a change of the rate acts at
    once there, and over the next steps here.

    Args:
        lr: The learning rate.
        momentum: How much of the velocity stays, from 0 to 1.

    Example:
        >>> import numpy as np
        >>> from dezero.layers import Linear
        >>> layer = Linear(1, in_size=3)
        >>> layer(np.ones((1, 3), np.float32)).sum().backward()
        >>> MomentumSGD(lr=0.5).setup(layer).update()
        >>> print(layer.b)
        [-0.5]
    """

    slots = ("v",)

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__()
        self.lr = lr
        self.momentum = momentum

    def update_one(self, param: Parameter) -> None:
        xp, g = gradient(param)
        state = self.state(param)
        v = state["v"] if state else xp.zeros_like(param.data)
        v *= self.momentum  # in place where the library can: the array is the optimizer's own
        v += self.lr * g
        state["v"] = v
        subtract(param, v)


class Adam(Optimizer):
    r"""Adam with corrected bias.

    ``m ← m + (1 - β1) (g - m)``, ``v ← v + (1 - β2) (|g|² - v)``, ``p ← p - lr m / (√v + ε)`` with
    ``lr = α √(1 - β2ᵗ) / (1 - β1ᵗ)`` at step t. As in the book, ε is added to the uncorrected √v
    (the paper's "efficient" form); PyTorch adds it to the corrected one.

    Args:
        alpha: The learning rate.
        beta1, beta2: How much of the averages stays, each from 0 to below 1.
        eps: ε.

    Attributes:
        t: The number of updates so far.

    References:
        Diederik P. Kingma, Jimmy Ba, "Adam: A Method for Stochastic Optimization", 2014,
        https://arxiv.org/abs/1412.6980

    Example:
        >>> import numpy as np
        >>> from dezero.layers import Linear
        >>> layer = Linear(1, in_size=3)
        >>> layer(np.ones((1, 3), np.float32)).sum().backward()
        >>> Adam(alpha=0.25).setup(layer).update()
        >>> print(layer.b.data.round(3))
        [-0.25]
    """

    slots = ("m", "v")
    counters = ("t",)

    def __init__(
        self,
        alpha: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        self.t = 0
        self.alpha = alpha
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps

    @property
    def lr(self) -> float:
        """The rate with the bias corrected; before the first update, that of the first."""
        t = max(self.t, 1)
        return self.alpha * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)

    def begin_update(self) -> None:
        self.t += 1

    def update_one(self, param: Parameter) -> None:
        xp, g = gradient(param)
        state = self.state(param)
        square = _squared_magnitude(xp, g)
        m = state["m"] if state else xp.zeros_like(param.data)
        v = state["v"] if state else xp.zeros_like(square)
        # In place where the library can: the arrays are the optimizer's own.
        change = g - m
        change *= 1 - self.beta1
        m += change
        square -= v
        square *= 1 - self.beta2
        v += square
        state["m"], state["v"] = m, v
        root = xp.sqrt(v)
        root += self.eps
        step = m / root
        step *= self.lr
        subtract(param, step)


class AdamW(Adam):
    """Adam with decoupled weight decay: before Adam's step, ``p ← p - alpha weight_decay p``.

    Args:
        alpha: The learning rate.
        beta1, beta2: How much of the averages stays, each from 0 to below 1.
        eps: As in `Adam`.
        weight_decay: The share of a parameter that is taken off at a rate of 1.

    References:
        Ilya Loshchilov, Frank Hutter, "Decoupled Weight Decay Regularization", 2017,
        https://arxiv.org/abs/1711.05101

    Example:
        >>> AdamW(alpha=0.002, weight_decay=0.05).weight_decay
        0.05
    """

    def __init__(
        self,
        alpha: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(alpha, beta1, beta2, eps)
        self.weight_decay = weight_decay

    def update_one(self, param: Parameter) -> None:
        subtract(param, self.alpha * self.weight_decay * param.data)
        super().update_one(param)


def _squared_magnitude(xp: Any, g: Any) -> Any:
    """|g|², a new array."""
    if xp.isdtype(g.dtype, "complex floating"):
        return xp.real(xp.conj(g) * g)
    return g * g
