"""Elements in order of size, and searches among them."""

from ..config import recording
from ..core import Variable
from ..primitive import constant, ops
from .indexing import _plain, take_along_axis

__all__ = ["argsort", "nonzero", "searchsorted", "sort"]


@constant
def argsort(xp, x, axis=-1, descending=False, stable=True):
    """Places of the elements in order of size. A constant."""
    return xp.argsort(x, axis=axis, descending=descending, stable=stable)


@constant
def _sort(xp, x, axis=-1, descending=False, stable=True):
    """The library's own."""
    return xp.sort(x, axis=axis, descending=descending, stable=stable)


def sort(x, axis=-1, descending=False, stable=True):
    """The elements along ``axis`` in order of size; each takes its gradient along.

    Equal ones keep their order, and with it each its own gradient, if ``stable``.
    """
    if not (isinstance(x, Variable) and x.requires_grad and recording()):
        return _sort(x, axis=axis, descending=descending, stable=stable)
    order = argsort(x, axis=axis, descending=descending, stable=stable)
    return take_along_axis(x, order, axis=axis)


ops["sort"] = sort


@constant
def searchsorted(xp, x1, x2, side="left", sorter=None):
    """Places in the sorted vector ``x1`` where elements of ``x2`` belong. A constant.

    Args:
        x1: A vector.
        x2: An array or a number.
        side: ``"left"``: before elements that are equal; ``"right"``: behind them.
        sorter: Places that put ``x1`` in order, if it is not.
    """
    if isinstance(x2, (int, float)):
        own = xp.is_inexact(x1.dtype) or isinstance(x2, int)
        x2 = xp.asarray(x2, dtype=x1.dtype if own else None, device=xp.device(x1))
    if sorter is not None:
        x1 = xp.take(x1, _plain(sorter), axis=0)
    if x1.dtype != x2.dtype:
        dtype = xp.result_type(x1.dtype, x2.dtype)
        x1, x2 = xp.astype(x1, dtype), xp.astype(x2, dtype)
    if x2.ndim == 0:
        return xp.reshape(xp.searchsorted(x1, xp.reshape(x2, (1,)), side=side), ())
    return xp.searchsorted(x1, x2, side=side)


@constant
def nonzero(xp, x):
    """Places of the elements that are not 0, a tuple with an array a dimension. Constants.

    Raises:
        ValueError: ``x`` has no dimension.
    """
    if x.ndim == 0:
        msg = "nonzero: expected an array of at least one dimension, got rank 0"
        raise ValueError(msg)
    return tuple(xp.nonzero(x))
