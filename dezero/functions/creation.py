"""Arrays made to the likeness of another. They are constants."""

from ..primitive import constant

__all__ = ["full_like", "ones_like", "zeros_like"]


@constant
def full_like(xp, x, value, dtype=None):
    """An array of ``x``'s shape and device, full of one number. A constant."""
    return xp.full_like(x, value, dtype=dtype)


@constant
def ones_like(xp, x, dtype=None):
    """An array of ones, of ``x``'s shape and device. A constant."""
    return xp.ones_like(x, dtype=dtype)


@constant
def zeros_like(xp, x, dtype=None):
    """An array of zeros, of ``x``'s shape and device. A constant."""
    return xp.zeros_like(x, dtype=dtype)
