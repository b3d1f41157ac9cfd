"""Losses: what a network is trained to make small."""

from ..primitive import constant, primitive
from .statistical import _logsumexp

__all__ = ["accuracy", "mean_squared_error", "softmax_cross_entropy"]


def _error_rule(xp, g, a, b):
    return (2.0 * g / (a.shape[0] if a.shape else 1)) * (a - b)


@primitive(_error_rule, lambda xp, g, a, b: -_error_rule(xp, g, a, b))
def mean_squared_error(xp, a, b):
    """Sum of the squared differences, divided by the batch size (not the number of elements).

    Args:
        a: An array of shape (N, ...).
        b: An array of the same shape.

    Raises:
        ValueError: The shapes differ; they are not broadcast.
    """
    if not (hasattr(a, "shape") and hasattr(b, "shape")):
        msg = f"mean_squared_error: expected two arrays, got {type(a)} and {type(b)}"
        raise TypeError(msg)
    if a.shape != b.shape:
        msg = f"mean_squared_error: shapes {a.shape} and {b.shape} differ"
        raise ValueError(msg)
    d = a - b
    return xp.sum(d * d) / (a.shape[0] if a.shape else 1)


def _cross_entropy_rule(xp, g, x, t):
    n, classes = x.shape
    p = xp.exp(x - _logsumexp(xp, x, 1, True))
    places = xp.arange(classes, device=xp.device(t))
    hit = xp.cast(t, places.dtype)[:, None] == places
    return (g / n) * xp.where(hit, p - 1.0, p)


@primitive(_cross_entropy_rule, None)
def softmax_cross_entropy(xp, x, t):
    """Mean over the batch of ``-log(softmax(x))`` at the right class.

    Args:
        x: Scores of shape (N, C).
        t: Class numbers of shape (N,), integers of any kind.

    Raises:
        ValueError: The shapes do not fit, or the batch is empty.
        TypeError: ``t`` does not hold integers.
        IndexError: A class number is not from 0 to C - 1.
    """
    if not (hasattr(x, "shape") and hasattr(t, "shape")):
        msg = f"softmax_cross_entropy: expected two arrays, got {type(x)} and {type(t)}"
        raise TypeError(msg)
    if x.ndim != 2 or t.shape != x.shape[:1]:
        msg = f"softmax_cross_entropy: shapes {x.shape} and {t.shape}, expected (N, C) and (N,)"
        raise ValueError(msg)
    if not xp.isdtype(t.dtype, "integral"):
        msg = f"softmax_cross_entropy: labels have dtype {t.dtype}, expected integers"
        raise TypeError(msg)
    n, classes = x.shape
    if n == 0:
        msg = "softmax_cross_entropy: the batch is empty"
        raise ValueError(msg)
    xp.check_labels(t, classes)
    places = xp.astype(t, xp.int64) if xp.isdtype(t.dtype, "unsigned integer") else t
    right = xp.take_along_axis(x, places[:, None], axis=1)
    return xp.sum(_logsumexp(xp, x, 1, True) - right) / n


@constant
def accuracy(xp, y, t):
    """Share of rows of ``y`` (N, C) whose largest element is at class ``t`` (N,). A constant."""
    hit = xp.argmax(y, axis=1) == xp.reshape(t, (-1,))
    return xp.mean(xp.astype(hit, y.dtype))
