"""Activation functions."""

import math

from ..primitive import elementwise, primitive
from .statistical import _bounded, _logsumexp

__all__ = ["gelu", "leaky_relu", "log_softmax", "relu", "sigmoid", "softmax"]


@elementwise(lambda xp, g, y: xp.where(y > 0, g, xp.zeros_like(g)))
def relu(xp, x):
    """``x`` where it is positive, else 0. Its gradient at 0 is 0."""
    return xp.maximum(x, 0)


@elementwise(lambda xp, g, x, slope: xp.where(x > 0, g, slope * g))
def leaky_relu(xp, x, slope=0.2):
    """``x`` where it is positive, else ``slope * x``. Its gradient at 0 is ``slope``."""
    return xp.where(x > 0, x, slope * x)


@elementwise(lambda xp, g, y: g * y * (1.0 - y))
def sigmoid(xp, x):
    """``1 / (1 + exp(-x))``, exact also for large negative ``x``."""
    if xp.is_complex(x.dtype):
        return 1.0 / (1.0 + xp.exp(-x))
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, xp.ones_like(e), e) / (1.0 + e)


_ROOT = math.sqrt(2.0 / math.pi)


def _gelu_rule(xp, g, x, approximate):
    if approximate == "tanh":
        t = xp.tanh(_ROOT * (x + 0.044715 * x * x * x))
        inner = _ROOT * (1.0 + 3 * 0.044715 * x * x)
        return g * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner)
    density = xp.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return g * (0.5 * (1.0 + xp.erf(x * math.sqrt(0.5))) + x * density)


@elementwise(_gelu_rule)
def gelu(xp, x, approximate="none"):
    """``x`` times the probability that a standard normal number is below ``x``.

    ``approximate="tanh"`` takes the approximation of Hendrycks and Gimpel, Gaussian error linear
    units, 2016, https://arxiv.org/abs/1606.08415.

    Raises:
        ValueError: ``approximate`` is neither ``"none"`` nor ``"tanh"``.
    """
    if approximate == "tanh":
        return 0.5 * x * (1.0 + xp.tanh(_ROOT * (x + 0.044715 * x * x * x)))
    if approximate != "none":
        msg = f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'"
        raise ValueError(msg)
    return 0.5 * x * (1.0 + xp.erf(x * math.sqrt(0.5)))


@primitive(lambda xp, g, y, axis: y * (g - xp.sum(g * y, axis=axis, keepdims=True)))
def softmax(xp, x, axis=1):
    """``exp(x)`` divided by its sum along ``axis``, without overflow."""
    top = xp.max(x, axis=axis, keepdims=True)
    e = xp.exp(x - _bounded(xp, top))
    return e / xp.sum(e, axis=axis, keepdims=True)


@primitive(lambda xp, g, y, axis: g - xp.exp(y) * xp.sum(g, axis=axis, keepdims=True))
def log_softmax(xp, x, axis=1):
    """Logarithm of `softmax`, exact also for tiny probabilities."""
    return x - _logsumexp(xp, x, axis, True)
