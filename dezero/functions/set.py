"""What different elements an array has.

Values take their gradient to the place where they stand first in ``x``; the other elements that
are equal to it get none. Places and counts are constants.
"""

from typing import Any, NamedTuple

from ..backends import backend_of
from ..config import recording
from ..core import Variable
from ..primitive import constant, ops
from .indexing import take
from .manipulation import reshape

__all__ = [
    "UniqueAllResult",
    "UniqueCountsResult",
    "UniqueInverseResult",
    "isin",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


class UniqueAllResult(NamedTuple):
    """What `unique_all` gives."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` gives."""

    values: Any
    counts: Any


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` gives."""

    values: Any
    inverse_indices: Any


@constant
def _unique_all(xp, x):
    """Values, the place where each is first, the number of each element's value, and counts."""
    values, inverse = xp.unique_inverse(x)
    n = values.shape[0]
    if n != n:
        msg = (
            f"{xp.name} knows how many different values there are only when they are computed: "
            "their places and their gradient need it before"
        )
        raise NotImplementedError(msg)
    flat = xp.reshape(inverse, (-1,))
    order = xp.argsort(flat, stable=True)
    in_order = xp.take(flat, order, axis=0)
    places = xp.arange(n, device=xp.device(x))
    numbers = xp.astype(places, flat.dtype)
    starts = xp.searchsorted(in_order, numbers, side="left")
    counts = xp.astype(xp.searchsorted(in_order, numbers, side="right") - starts, places.dtype)
    return values, xp.take(order, starts, axis=0), inverse, counts


@constant
def _unique_counts(xp, x):
    """The library's own."""
    return tuple(xp.unique_counts(x))


@constant
def _unique_inverse(xp, x):
    """The library's own."""
    return tuple(xp.unique_inverse(x))


@constant
def _unique_values(xp, x):
    """The library's own: with counts it is in order, as `unique_all` is."""
    return xp.unique_counts(x)[0]


def _is_recorded(x):
    return isinstance(x, Variable) and x.requires_grad and recording() and _is_inexact(x)


def _is_inexact(x):
    return backend_of(x._data).is_inexact(x.dtype)


def unique_all(x):
    """The different elements of ``x``, where they are and how many of each.

    Returns:
        A named tuple: ``values``; ``indices``, the first place of each in the flat ``x``;
        ``inverse_indices``, of the shape of ``x``, the places in ``values`` of all elements;
        ``counts``. All but ``values`` are constants. NaN differs from NaN.

    Example:
        >>> import numpy as np
        >>> x = Variable(np.array([3.0, 1.0, 3.0]))
        >>> result = unique_all(x)
        >>> result.counts
        variable([1 2])
        >>> (result.values * np.array([10.0, 20.0])).sum().backward()
        >>> x.grad
        variable([20. 10.  0.])
    """
    values, indices, inverse, counts = _unique_all(x)
    if _is_recorded(x):
        values = take(reshape(x, (-1,)), indices, axis=0)
    return UniqueAllResult(values, indices, inverse, counts)


def unique_counts(x):
    """``values``, the different elements of ``x``, and ``counts``, constants: a named tuple."""
    if _is_recorded(x):
        result = unique_all(x)
        return UniqueCountsResult(result.values, result.counts)
    return UniqueCountsResult(*_unique_counts(x))


def unique_inverse(x):
    """``values``, the different elements of ``x``, and ``inverse_indices``: a named tuple.

    The latter, constants of the shape of ``x``, are the places in ``values`` of all elements.
    """
    if _is_recorded(x):
        result = unique_all(x)
        return UniqueInverseResult(result.values, result.inverse_indices)
    return UniqueInverseResult(*_unique_inverse(x))


def unique_values(x):
    """The different elements of ``x``, a vector."""
    return unique_all(x).values if _is_recorded(x) else _unique_values(x)


@constant
def isin(xp, x1, x2, invert=False):
    """Whether each element of ``x1`` is among those of ``x2``; ``invert``: is not. A constant.

    One of both may be a number.
    """
    if hasattr(x1, "dtype") and hasattr(x2, "dtype") and x1.dtype != x2.dtype:
        dtype = xp.result_type(x1.dtype, x2.dtype)
        x1, x2 = xp.astype(x1, dtype), xp.astype(x2, dtype)
    y = xp.isin(x1, x2)
    return xp.logical_not(y) if invert else y


for _function in (unique_all, unique_counts, unique_inverse, unique_values):
    ops[_function.__name__] = _function
del _function
