"""Products of matrices, vectors and arrays of them."""

import math

from ..backends import backend_of, is_integer, normalized_axes
from ..core import Variable, _operand
from ..primitive import ops, primitive, variadic
from .elementwise import conj
from .indexing import _sum_to, take
from .manipulation import broadcast_to, moveaxis, permute_dims, reshape
from .statistical import sum

__all__ = ["einsum", "linear", "linear_simple", "matmul", "outer", "tensordot", "vecdot"]


def _rows(xp, x):
    """A stack of matrices as one, of all rows."""
    return x if x.ndim == 2 else xp.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _product(xp, x, W):
    """``x @ W`` for a matrix ``W``: one product of all rows of ``x`` is faster than several."""
    if x.ndim == 2:
        return xp.matmul(x, W)
    return xp.reshape(xp.matmul(_rows(xp, x), W), (*x.shape[:-1], W.shape[1]))


def _matmul_left(xp, g, x_shape, W):
    if W.ndim == 1:
        g = g[..., None] if len(x_shape) > 1 else g
        return _sum_to(xp, g * W, x_shape)
    if len(x_shape) == 1:
        full = xp.matmul(W, g[..., None])[..., 0]
        return _sum_to(xp, full, x_shape)
    if W.ndim == 2:
        return _product(xp, g, xp.matrix_transpose(W))
    return _sum_to(xp, xp.matmul(g, xp.matrix_transpose(W)), x_shape)


def _matmul_right(xp, g, x, W_shape):
    if x.ndim == 1:
        if len(W_shape) == 1:
            return g * x
        return _sum_to(xp, x[:, None] * g[..., None, :], W_shape)
    if len(W_shape) == 1:
        full = xp.matmul(xp.matrix_transpose(x), g[..., None])[..., 0]
        return _sum_to(xp, full, W_shape)
    if len(W_shape) == 2:
        x, g = _rows(xp, x), _rows(xp, g)
    return _sum_to(xp, xp.matmul(xp.matrix_transpose(x), g), W_shape)


@primitive(_matmul_left, _matmul_right)
def matmul(xp, x, W):
    """Product of matrices, or of stacks of matrices whose leading dimensions are broadcast.

    ``x`` has the shape (..., m, k) or (k,), ``W`` (..., k, n) or (k,).
    """
    return _product(xp, x, W) if getattr(W, "ndim", 0) == 2 < x.ndim else xp.matmul(x, W)


@primitive(
    lambda xp, g, W: _product(xp, g, xp.matrix_transpose(W)),
    lambda xp, g, x: xp.matmul(xp.matrix_transpose(_rows(xp, x)), _rows(xp, g)),
    lambda xp, g, b_shape: _sum_to(xp, g, b_shape),
)
def linear(xp, x, W, b=None):
    """``x @ W + b`` with ``x`` of shape (..., I), ``W`` (I, O) and ``b`` (O,) or None.

    A Variable without data counts as None.

    Raises:
        ValueError: The shapes do not fit.
    """
    if W.ndim != 2 or x.ndim < 2 or x.shape[-1] != W.shape[0]:
        msg = f"linear: x of shape {x.shape} and W of shape {W.shape}, expected (..., I) and (I, O)"
        raise ValueError(msg)
    y = _product(xp, x, W)
    if b is None:
        return y
    if b.shape != W.shape[1:] and b.shape not in ((), (1,), (1, W.shape[1])):
        msg = f"linear: b has shape {b.shape}, expected ({W.shape[1]},)"
        raise ValueError(msg)
    return xp.add(y, b)


linear_simple = linear

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def tensordot(a, b, axes=2):
    """Sum of products over pairs of dimensions.

    Args:
        a: An array.
        b: An array.
        axes: How many of the last dimensions of ``a`` meet the first of ``b``, or a pair of
            sequences that name those of each.

    Raises:
        ValueError: The lengths of two dimensions that meet differ.
    """
    a, b = (x if isinstance(x, Variable) else _operand(x, (a, b)) for x in (a, b))
    if is_integer(axes):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            msg = f"tensordot: {axes} axes of arrays of {a.ndim} and {b.ndim} dimensions"
            raise ValueError(msg)
        axes = (tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes)))
    left, right = (
        normalized_axes(chosen if isinstance(chosen, int) else tuple(chosen), x.ndim, "tensordot")
        for chosen, x in zip(axes, (a, b), strict=True)
    )
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        msg = f"tensordot: axes {left} of shape {a.shape} do not fit axes {right} of {b.shape}"
        raise ValueError(msg)
    rest_a = tuple(i for i in range(a.ndim) if i not in left)
    rest_b = tuple(i for i in range(b.ndim) if i not in right)
    k = math.prod(a.shape[i] for i in left)
    shape_a = tuple(a.shape[i] for i in rest_a)
    shape_b = tuple(b.shape[i] for i in rest_b)
    rows = reshape(permute_dims(a, rest_a + left), (math.prod(shape_a), k))
    columns = reshape(permute_dims(b, right + rest_b), (k, math.prod(shape_b)))
    return reshape(matmul(rows, columns), shape_a + shape_b)


def vecdot(a, b, axis=-1):
    """Sum of ``conj(a) * b`` along ``axis``, the other dimensions broadcast."""
    a, b = (x if isinstance(x, Variable) else _operand(x, (a, b)) for x in (a, b))
    if not -min(a.ndim, b.ndim) <= axis < 0:
        msg = f"vecdot: axis {axis} is out of range, expected {-min(a.ndim, b.ndim)} to -1"
        raise IndexError(msg)
    if a.shape[axis] != b.shape[axis]:
        msg = f"vecdot: lengths {a.shape[axis]} and {b.shape[axis]} along axis {axis} differ"
        raise ValueError(msg)
    products = moveaxis(conj(a), axis, -1) * moveaxis(b, axis, -1)
    return sum(products, axis=-1, dtype=products.dtype)  # sums of small integers are promoted


def outer(a, b):
    """All products of an element of the vector ``a`` and one of the vector ``b``."""
    a, b = (x if isinstance(x, Variable) else _operand(x, (a, b)) for x in (a, b))
    if a.ndim != 1 or b.ndim != 1:
        msg = f"outer: expected two vectors, got shapes {a.shape} and {b.shape}"
        raise ValueError(msg)
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


ops["tensordot"], ops["vecdot"], ops["outer"] = tensordot, vecdot, outer


def _einsum_rule(xp, g, arrays, shapes, needed, subscripts):
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    result = []
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        if not needed[i]:
            result.append(None)
            continue
        others = [(t, a) for j, (t, a) in enumerate(zip(terms, arrays, strict=True)) if j != i]
        there = set(output).union(*(t for t, _ in others))
        kept = "".join(c for c in term if c in there)
        names = [output, *(t for t, _ in others)]
        d = xp.einsum(f"{','.join(names)}->{kept}", g, *(a for _, a in others))
        full = tuple(n if c in there else 1 for c, n in zip(term, shape, strict=True))
        result.append(xp.broadcast_to(xp.reshape(d, full), shape))
    return result


@variadic(_einsum_rule)
def _einsum(xp, arrays, subscripts):
    """Sum of products, ``subscripts`` explicit."""
    return xp.einsum(subscripts, *arrays)


def einsum(subscripts, *arrays):
    """Sum of products, in Einstein's notation as in NumPy: ``"ij,jk->ik"``.

    An ellipsis stands for leading dimensions that are broadcast, a letter that one operand has
    twice for its diagonal. Without ``->`` the result has the letters that appear once, sorted.

    Raises:
        ValueError: The subscripts and the arrays do not fit; the message says where.

    Example:
        >>> import numpy as np
        >>> einsum("ii->", np.eye(3))
        variable(3.0)
    """
    if not isinstance(subscripts, str):
        msg = f"einsum: the subscripts come first, as a string, got {type(subscripts)}"
        raise TypeError(msg)
    arrays = [a if isinstance(a, Variable) else _operand(a, arrays) for a in arrays]
    terms, output, arrays = _explicit(subscripts.replace(" ", ""), arrays)
    sizes = {}
    for term, a in zip(terms, arrays, strict=True):
        for c, n in zip(term, a.shape, strict=True):
            if sizes.setdefault(c, n) != n:
                msg = f"einsum: {subscripts!r}: index {c!r} has lengths {sizes[c]} and {n}"
                raise ValueError(msg)
    for i, term in enumerate(terms):
        while repeated := next((c for c in term if term.count(c) > 1), None):
            arrays[i], term = _diagonal(arrays[i], term, repeated)
        terms[i] = term
    return _einsum(arrays, f"{','.join(terms)}->{output}")


def _explicit(subscripts, arrays):
    """The terms and the output, with letters for each ellipsis."""
    inputs, arrow, output = subscripts.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(arrays):
        msg = f"einsum: {subscripts!r} names {len(terms)} operands, got {len(arrays)}"
        raise ValueError(msg)
    free = [c for c in _LETTERS if c not in subscripts]
    longest = 0
    for term, a in zip(terms, arrays, strict=True):
        named = term.replace("...", "", 1)
        if not all(c in _LETTERS for c in named):
            msg = f"einsum: {subscripts!r} has characters other than letters, ',', '->' and '...'"
            raise ValueError(msg)
        extra = a.ndim - len(named)
        if extra < 0 or (extra and "..." not in term):
            msg = f"einsum: {term!r} of {subscripts!r} does not fit an array of shape {a.shape}"
            raise ValueError(msg)
        longest = max(longest, extra if "..." in term else 0)
    batch = "".join(free[:longest])
    shapes = {}
    for term, a in zip(terms, arrays, strict=True):
        if "..." in term:
            start, extra = term.index("..."), a.ndim - len(term) + 3
            for c, n in zip(batch[longest - extra :], a.shape[start : start + extra], strict=True):
                shapes[c] = n if n != 1 else shapes.get(c, 1)
    arrays = list(arrays)
    for i, term in enumerate(terms):
        if "..." in term:  # broadcast the leading dimensions, so that each letter has one length
            start, extra = term.index("..."), arrays[i].ndim - len(term) + 3
            letters = batch[longest - extra :]
            shape = list(arrays[i].shape)
            shape[start : start + extra] = [shapes[c] for c in letters]
            if tuple(shape) != arrays[i].shape:
                arrays[i] = broadcast_to(arrays[i], tuple(shape))
            terms[i] = term.replace("...", letters)
    if arrow:
        output = output.replace("...", batch)
    else:
        everything = "".join(terms)
        once = sorted(c for c in set(everything) if everything.count(c) == 1 and c not in batch)
        output = batch + "".join(once)
    missing = set(output) - set("".join(terms))
    if missing or len(set(output)) != len(output):
        msg = f"einsum: {subscripts!r}: the output has an index twice, or one that no operand has"
        raise ValueError(msg)
    return terms, output, arrays


def _diagonal(a, term, c):
    """``a`` with the first two dimensions named ``c`` replaced by their diagonal."""
    first = term.index(c)
    second = term.index(c, first + 1)
    n = a.shape[first]
    if a.shape[second] != n:
        msg = f"einsum: index {c!r} has lengths {n} and {a.shape[second]} in one operand"
        raise ValueError(msg)
    a = moveaxis(a, (first, second), (-2, -1))
    lead = a.shape[:-2]
    flat = reshape(a, (*lead, n * n))
    xp = backend_of(a.data)
    places = xp.arange(n, device=xp.device(a.data)) * (n + 1)
    rest = "".join(x for i, x in enumerate(term) if i not in (first, second))
    return take(flat, places, axis=-1), rest + c


ops["einsum"] = einsum
