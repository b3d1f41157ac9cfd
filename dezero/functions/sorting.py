"""Elements in order of size."""

from ..primitive import constant, ops
from .indexing import take_along_axis

__all__ = ["argsort", "nonzero", "searchsorted", "sort"]


@constant
def argsort(xp, x, axis=-1, descending=False, stable=True):
    """Places of the elements in order of size. A constant."""
    return xp.argsort(x, axis=axis, descending=descending, stable=stable)


def sort(x, axis=-1, descending=False, stable=True):
    """The elements along ``axis`` in order of size; each takes its gradient along."""
    order = argsort(x, axis=axis, descending=descending, stable=stable)
    return take_along_axis(x, order, axis=axis)


ops["sort"] = sort


@constant
def searchsorted(xp, x1, x2, side="left", sorter=None):
    """Places in the sorted ``x1`` where elements of ``x2`` belong. A constant."""
    return xp.searchsorted(x1, x2, side=side, sorter=sorter)


@constant
def nonzero(xp, x):
    """Places of the elements that are not 0, a tuple with an array a dimension. Constants."""
    return xp.nonzero(x)
