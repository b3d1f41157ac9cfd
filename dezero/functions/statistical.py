"""Sums, means, extrema and the like; ``axis`` is an integer, a tuple or None for all."""

import math

from ..backends import backend_of, normalized_axes
from ..config import recording
from ..core import Variable, as_variable
from ..primitive import constant, ops, primitive
from .elementwise import _or_infinity, astype
from .manipulation import concat

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "logsumexp",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]


def _expanded(xp, g, shape, axis, keepdims):
    """``g`` with the dimensions of length 1 that a reduction over ``axis`` took away."""
    if keepdims or axis is None or not shape:
        return g
    axes = normalized_axes(axis, len(shape))
    return xp.reshape(g, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def _count(shape, axis):
    return math.prod(shape[i] for i in normalized_axes(axis, len(shape)))


def _sum_rule(xp, g, x_shape, x_dtype, axis, keepdims, dtype):
    g = xp.broadcast_to(_expanded(xp, g, x_shape, axis, keepdims), x_shape)
    return g if dtype is None else xp.cast(g, x_dtype)


@primitive(_sum_rule)
def sum(xp, x, axis=None, keepdims=False, dtype=None):
    """Sum over ``axis``. An empty sum is 0."""
    return xp.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


@primitive(
    lambda xp, g, x_shape, axis, keepdims: xp.broadcast_to(
        _expanded(xp, g, x_shape, axis, keepdims) / _count(x_shape, axis), x_shape
    )
)
def mean(xp, x, axis=None, keepdims=False):
    """Mean over ``axis``. The mean of nothing is NaN."""
    return xp.mean(x, axis=axis, keepdims=keepdims)


average = mean


def _left(shape, axis, correction):
    """What a sum of squared deviations is divided by; infinity if nothing is left of it."""
    count = _count(shape, axis) - correction
    return count if count > 0 else math.inf


def _var(xp, x, axis, correction, keepdims):
    if correction and _count(x.shape, axis) <= correction:
        return xp.var(x, axis=axis, correction=0.0, keepdims=keepdims) * math.nan
    return xp.var(x, axis=axis, correction=correction, keepdims=keepdims)


def _var_rule(xp, g, x, axis, correction, keepdims):
    g = _expanded(xp, g, x.shape, axis, keepdims) * (2.0 / _left(x.shape, axis, correction))
    return g * (x - xp.mean(x, axis=axis, keepdims=True))


@primitive(_var_rule, conjugates=True)
def var(xp, x, axis=None, correction=0.0, keepdims=False):
    """Mean squared deviation over ``axis``: the sum is divided by the count less ``correction``.

    If nothing is left of the count, it is NaN, with the gradient 0.
    """
    return _var(xp, x, axis, correction, keepdims)


def _std_rule(xp, g, x, y, axis, correction, keepdims):
    y = _or_infinity(xp, _expanded(xp, y, x.shape, axis, keepdims))
    g = _expanded(xp, g, x.shape, axis, keepdims)
    if _count(x.shape, axis) <= correction:
        return xp.broadcast_to(xp.zeros_like(g), x.shape)
    g = g / _left(x.shape, axis, correction)
    return g * ((x - xp.mean(x, axis=axis, keepdims=True)) / y)


@primitive(_std_rule, conjugates=True)
def std(xp, x, axis=None, correction=0.0, keepdims=False):
    """Square root of `var`. Where all elements are equal, or too few, its gradient is 0."""
    return xp.sqrt(_var(xp, x, axis, correction, keepdims))


def _extreme_rule(xp, g, x, y, axis, keepdims):
    y = _expanded(xp, y, x.shape, axis, keepdims)
    g = _expanded(xp, g, x.shape, axis, keepdims)
    hit = xp.where(x == y, xp.ones_like(x), xp.zeros_like(x))
    return g * (hit / xp.sum(hit, axis=axis, keepdims=True))


@primitive(_extreme_rule)
def max(xp, x, axis=None, keepdims=False):
    """Largest element over ``axis``. Equal ones share the gradient."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@primitive(_extreme_rule)
def min(xp, x, axis=None, keepdims=False):
    """Smallest element over ``axis``. Equal ones share the gradient."""
    return xp.min(x, axis=axis, keepdims=keepdims)


def _products_of_others(xp, x):
    """For each element along the last axis the product of all others, right also with zeros.

    Pairs are multiplied up a tree and spread down again: about ``3 n`` products.
    """
    n = x.shape[-1]
    if n == 1:
        return xp.ones_like(x)
    even, odd = x[..., 0 : n - n % 2 : 2], x[..., 1::2]
    pairs = even * odd
    if n % 2:
        pairs = xp.concat([pairs, x[..., n - 1 :]], axis=-1)
    others = _products_of_others(xp, pairs)
    both = others[..., : n // 2]
    spread = xp.stack([both * odd, both * even], axis=-1)
    result = xp.reshape(spread, (*x.shape[:-1], n - n % 2))
    return xp.concat([result, others[..., n // 2 :]], axis=-1) if n % 2 else result


def _prod_rule(xp, g, x, axis, keepdims):
    if math.prod(x.shape) == 0 or not x.shape:
        return xp.broadcast_to(_expanded(xp, g, x.shape, axis, keepdims), x.shape)
    axes = normalized_axes(axis, x.ndim)
    order = tuple(i for i in range(x.ndim) if i not in axes) + axes
    moved = xp.permute_dims(x, order)
    lead = moved.shape[: x.ndim - len(axes)]
    others = _products_of_others(xp, xp.reshape(moved, (*lead, _count(x.shape, axis))))
    back = tuple(order.index(i) for i in range(x.ndim))
    others = xp.permute_dims(xp.reshape(others, moved.shape), back)
    return _expanded(xp, g, x.shape, axis, keepdims) * others


@primitive(_prod_rule)
def _prod(xp, x, axis, keepdims, dtype):
    """Product over ``axis`` of what is of ``dtype`` already."""
    return xp.prod(x, axis=axis, dtype=dtype, keepdims=keepdims)


def prod(x, axis=None, keepdims=False, dtype=None):
    """Product over ``axis``; an empty one is 1. The gradient is right also where elements are 0.

    ``x`` is brought to ``dtype`` first, if one is given.
    """
    return _prod(x if dtype is None else astype(x, dtype), axis, keepdims, dtype)


ops["prod"] = prod


def _cumulative_sum_rule(xp, g, x_shape, x_dtype, axis, include_initial, dtype):
    axis = 0 if axis is None else axis % len(x_shape)
    if include_initial:
        g = g[(*(slice(None),) * axis, slice(1, None), ...)]
    g = xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis)
    return g if dtype is None else xp.cast(g, x_dtype)


@primitive(_cumulative_sum_rule)
def cumulative_sum(xp, x, axis=None, include_initial=False, dtype=None):
    """Sums of the first 1, 2, ... elements along ``axis``; ``include_initial``: 0 comes first."""
    if x.ndim == 0:
        msg = "cumulative_sum: expected an array of at least one dimension, got rank 0"
        raise ValueError(msg)
    return xp.cumulative_sum(x, axis=axis, dtype=dtype, include_initial=include_initial)


@constant
def _cumulative_prod(xp, x, axis, include_initial, dtype):
    """The library's own cumulative product."""
    return xp.cumulative_prod(x, axis=axis, dtype=dtype, include_initial=include_initial)


def cumulative_prod(x, axis=None, include_initial=False, dtype=None):
    """Products of the first 1, 2, ... elements along ``axis``; with ``include_initial`` 1 first.

    While it is recorded it is a tree of products, so that its gradient is right where elements
    are 0 (Hillis and Steele, Data parallel algorithms, 1986). ``x`` is brought to ``dtype`` first,
    if one is given.
    """
    x = x if dtype is None else astype(x, dtype)
    recorded = isinstance(x, Variable) and x.requires_grad and recording() and x.ndim > 0
    if not recorded or not backend_of(x.data).is_inexact(x.dtype):
        return _cumulative_prod(x, axis=axis, include_initial=include_initial, dtype=dtype)
    if axis is None and x.ndim != 1:
        msg = f"cumulative_prod: axis is needed for an array of {x.ndim} dimensions"
        raise ValueError(msg)
    axis = 0 if axis is None else normalized_axes(axis, x.ndim, "cumulative_prod")[0]
    lead, n, shift, y = (slice(None),) * axis, x.shape[axis], 1, x
    while shift < n:
        later = y[(*lead, slice(shift, None))] * y[(*lead, slice(None, n - shift))]
        y = concat([y[(*lead, slice(None, shift))], later], axis=axis)
        shift *= 2
    if include_initial:
        nothing = x[(*lead, slice(0, 0))]
        first = _cumulative_prod(nothing, axis=axis, include_initial=True, dtype=dtype)
        y = concat([first, y], axis=axis)
    return y


ops["cumulative_prod"] = cumulative_prod


def diff(x, n=1, axis=-1, prepend=None, append=None):
    """Differences of neighbours along ``axis``, ``x[i + 1] - x[i]``.

    Args:
        x: An array.
        n: How many times: differences of differences, and so on.
        axis: The dimension along which neighbours are.
        prepend: An array that goes before ``x`` along ``axis``.
        append: An array that goes behind it.

    Raises:
        ValueError: ``n`` is below 0.

    Example:
        >>> import numpy as np
        >>> diff(np.array([1.0, 4.0, 9.0, 16.0]), n=2)
        variable([2. 2.])
    """
    x = as_variable(x)
    (axis,) = normalized_axes(axis, x.ndim, "diff")
    if n < 0:
        msg = f"diff: expected a number of times not below 0, got {n}"
        raise ValueError(msg)
    parts = [part for part in (prepend, x, append) if part is not None]
    if len(parts) > 1:
        x = concat(parts, axis=axis)
    lead = (slice(None),) * axis
    for _ in range(n):
        if not x.shape[axis]:
            break
        x = x[(*lead, slice(1, None))] - x[(*lead, slice(None, -1))]
    return x


ops["diff"] = diff


def _bounded(xp, y):
    """``y`` with 0 for minus infinity, so that ``x - y`` of two of them is no NaN."""
    return xp.where(y == -math.inf, xp.zeros_like(y), y)


def _logsumexp(xp, x, axis, keepdims):
    top = xp.max(x, axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    total = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    if keepdims:
        return total
    axes = normalized_axes(axis, x.ndim)
    return xp.reshape(total, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def _logsumexp_rule(xp, g, x, y, axis, keepdims):
    y = _bounded(xp, _expanded(xp, y, x.shape, axis, keepdims))
    return _expanded(xp, g, x.shape, axis, keepdims) * xp.exp(x - y)


@primitive(_logsumexp_rule)
def logsumexp(xp, x, axis=None, keepdims=False):
    """``log(sum(exp(x)))`` over ``axis`` without overflow."""
    return _logsumexp(xp, x, axis, keepdims)


@constant
def argmax(xp, x, axis=None, keepdims=False):
    """Place of the largest element, the first of equal ones. A constant."""
    return xp.argmax(x, axis=axis, keepdims=keepdims)


@constant
def argmin(xp, x, axis=None, keepdims=False):
    """Place of the smallest element, the first of equal ones. A constant."""
    return xp.argmin(x, axis=axis, keepdims=keepdims)


@constant
def all(xp, x, axis=None, keepdims=False):
    """Whether all elements are true. A constant."""
    return xp.all(x, axis=axis, keepdims=keepdims)


@constant
def any(xp, x, axis=None, keepdims=False):
    """Whether an element is true. A constant."""
    return xp.any(x, axis=axis, keepdims=keepdims)


@constant
def count_nonzero(xp, x, axis=None, keepdims=False):
    """How many elements are not 0. A constant."""
    return xp.count_nonzero(x, axis=axis, keepdims=keepdims)


def _norm_rule(xp, g, x, y, axis, keepdims, ord):
    y = _expanded(xp, y, x.shape, axis, keepdims)
    g = _expanded(xp, g, x.shape, axis, keepdims)
    if ord == 2:
        return g * (x / _or_infinity(xp, y))
    size = xp.abs(x)
    if ord in (math.inf, -math.inf):
        hit = xp.where(size == y, xp.ones_like(size), xp.zeros_like(size))
        return g * xp.sign(x) * (hit / xp.sum(hit, axis=axis, keepdims=True))
    if ord == 1:
        return g * xp.sign(x)
    ratio = size / _or_infinity(xp, y)
    if ord < 1:  # the gradient of 0 is 0, as that of its absolute value
        ratio = xp.where(ratio == 0, xp.full_like(ratio, math.inf), ratio)
    return g * xp.sign(x) * ratio ** (ord - 1)


@primitive(_norm_rule, conjugates=True)
def _vector_norm(xp, x, axis, keepdims, ord):
    """Norm of vectors."""
    size = xp.abs(x)
    if ord == math.inf:
        return xp.max(size, axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return xp.min(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return xp.sum(size, axis=axis, keepdims=keepdims)
    if ord == 2:
        return xp.sqrt(xp.sum(size * size, axis=axis, keepdims=keepdims))
    return xp.sum(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)


@primitive(lambda xp, g, x: xp.zeros_like(x), conjugates=True)
def _nonzeros(xp, x, axis, keepdims):
    """How many elements are not 0, in the real dtype of ``x``."""
    return xp.astype(xp.count_nonzero(x, axis=axis, keepdims=keepdims), xp.abs(x).dtype)


def vector_norm(x, axis=None, keepdims=False, ord=2):
    """Norm of order ``ord`` of the vectors along ``axis``. Its gradient at the zero vector is 0.

    Order 0 counts elements that are not 0, with the gradient 0; infinity is the largest size.
    """
    if ord == 0:
        return _nonzeros(x, axis=axis, keepdims=keepdims)
    return _vector_norm(as_variable(x), axis, keepdims, ord)


ops["vector_norm"] = vector_norm
norm = vector_norm
__all__ += ["norm", "vector_norm"]
