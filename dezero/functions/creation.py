"""Arrays made from other arrays: to their likeness (constants), their triangles, their grid."""

from ..backends import backend_of
from ..core import Variable, as_variable
from ..dispatch import namespace_of
from ..primitive import constant, ops, primitive
from .elementwise import astype, copy
from .manipulation import broadcast_to, pad, reshape

__all__ = [
    "diag",
    "empty_like",
    "full_like",
    "meshgrid",
    "ones_like",
    "tril",
    "triu",
    "zeros_like",
]


@constant
def empty_like(xp, x, dtype=None, device=None):
    """An array of ``x``'s shape, dtype and device with arbitrary values. A constant."""
    return xp.empty_like(x, dtype=dtype, device=device)


@constant
def _full_like(xp, x, fill_value, dtype=None, device=None):
    """An array full of one number."""
    return xp.full_like(x, fill_value, dtype=dtype, device=device)


def full_like(x, fill_value, dtype=None, device=None):
    """An array of ``x``'s shape, dtype and device, full of one number.

    A constant, but for a ``fill_value`` that is a Variable: its gradient is the sum of all.
    """
    if not isinstance(fill_value, Variable):
        return _full_like(x, fill_value, dtype=dtype, device=device)
    y = copy(broadcast_to(astype(fill_value, dtype or x.dtype), x.shape))
    return y if device is None else y.to(device)


ops["full_like"] = full_like


@constant
def ones_like(xp, x, dtype=None, device=None):
    """An array of ones, of ``x``'s shape, dtype and device. A constant."""
    return xp.ones_like(x, dtype=dtype, device=device)


@constant
def zeros_like(xp, x, dtype=None, device=None):
    """An array of zeros, of ``x``'s shape, dtype and device. A constant."""
    return xp.zeros_like(x, dtype=dtype, device=device)


def _check_matrices(name, x):
    if x.ndim < 2:
        msg = f"{name}: expected matrices, got an array of {x.ndim} dimensions"
        raise ValueError(msg)


@primitive(lambda xp, g, k: xp.tril(g, k=k))
def tril(xp, x, k=0):
    """``x``, matrices in the last two dimensions, with zeros above the ``k``-th diagonal.

    Raises:
        ValueError: ``x`` has fewer than two dimensions.
    """
    _check_matrices("tril", x)
    return xp.tril(x, k=k)


@primitive(lambda xp, g, k: xp.triu(g, k=k))
def triu(xp, x, k=0):
    """``x``, matrices in the last two dimensions, with zeros below the ``k``-th diagonal.

    Raises:
        ValueError: ``x`` has fewer than two dimensions.
    """
    _check_matrices("triu", x)
    return xp.triu(x, k=k)


def diag(x, k=0):
    """A matrix with a vector on its ``k``-th diagonal, else zeros; of a matrix that diagonal.

    Not in the standard, but in every library.

    Raises:
        ValueError: ``x`` is neither a vector nor a matrix.

    Example:
        >>> import numpy as np
        >>> diag(np.array([1.0, 2.0]))
        variable([[1. 0.]
                  [0. 2.]])
    """
    x = as_variable(x)
    if x.ndim == 2:
        return namespace_of(backend_of(x._data)).linalg.diagonal(x, offset=k)
    if x.ndim != 1:
        msg = f"diag: expected a vector or a matrix, got an array of shape {x.shape}"
        raise ValueError(msg)
    n = x.shape[0] + abs(k)
    gaps = pad(reshape(x, (-1, 1)), ((0, 0), (0, n)))  # n elements to the next one, row by row
    start = k if k > 0 else -k * n
    flat = pad(reshape(gaps, (-1,)), ((start, n * abs(k)),))
    return reshape(flat[: n * n], (n, n))


ops["diag"] = diag


def meshgrid(*arrays, indexing="xy"):
    """The coordinates of a grid: for each vector an array that has its numbers along a dimension.

    Args:
        *arrays: Vectors, of lengths ``n1, n2, n3, ...``.
        indexing: ``"ij"``: the arrays are of shape ``(n1, n2, n3, ...)``; ``"xy"``: of shape
            ``(n2, n1, n3, ...)``.

    Returns:
        A tuple with an array for each vector.

    Raises:
        ValueError: An array has several dimensions, or there is no such ``indexing``.

    Example:
        >>> import numpy as np
        >>> x, y = meshgrid(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0]))
        >>> x + y
        variable([[5. 6. 7.]
                  [6. 7. 8.]])
    """
    if indexing not in ("xy", "ij"):
        msg = f"meshgrid: indexing is {indexing!r}, expected 'xy' or 'ij'"
        raise ValueError(msg)
    vectors = [as_variable(x) for x in arrays]
    for x in vectors:
        if x.ndim > 1:
            msg = f"meshgrid: expected vectors, got an array of shape {x.shape}"
            raise ValueError(msg)
    vectors = [reshape(x, (-1,)) if x.ndim == 0 else x for x in vectors]
    places = list(range(len(vectors)))
    if indexing == "xy":
        places[:2] = places[:2][::-1]
    shape = tuple(vectors[i].shape[0] for i in places)
    result = []
    for x, i in zip(vectors, places, strict=True):
        line = tuple(n if i == j else 1 for j, n in enumerate(shape))
        result.append(copy(broadcast_to(reshape(x, line), shape)))
    return tuple(result)


ops["meshgrid"] = meshgrid
