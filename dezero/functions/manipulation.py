"""Functions that change the shape or the order of elements, by the names of the standard."""

import math

from ..backends import backend_of, is_integer, normalized_axes
from ..core import Variable, as_variable
from ..primitive import ops, primitive, variadic
from ..views import root, view
from .elementwise import copy
from .indexing import _sum_to, _viewed_items, take

__all__ = [
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "concat",
    "expand_dims",
    "flatten",
    "flip",
    "matrix_transpose",
    "moveaxis",
    "pad",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "sum_to",
    "tile",
    "transpose",
    "unstack",
]


@view(lambda x, value, shape: reshape(value, x.shape))
@primitive(lambda xp, g, x_shape: xp.reshape(g, x_shape))
def _reshape(xp, x, shape):
    """The elements of ``x`` in another shape."""
    return xp.reshape(x, shape)


@primitive(lambda xp, g, x_shape: xp.reshape(g, x_shape))
def _reshape_or_copy(xp, x, shape, copy):
    """The elements of ``x`` in another shape, in memory of their own or not, as asked."""
    return xp.namespace.reshape(x, shape, copy=copy)


_reshape_in_place = view(lambda x, value, shape, copy: reshape(value, x.shape))(_reshape_or_copy)


def reshape(x, shape, copy=None):
    """The elements of ``x`` in ``shape``; one length may be -1, it is what remains.

    Args:
        x: An array.
        shape: A tuple of lengths, or one length.
        copy: True: the result shares no memory with ``x``. False: it must share it, or the
            library raises an error. None: as needed.

    Example:
        >>> import numpy as np
        >>> reshape(np.arange(6.0), (2, -1)).shape
        (2, 3)
    """
    shape = (shape,) if is_integer(shape) else tuple(shape)
    if copy is not None:
        return (_reshape_or_copy if copy else _reshape_in_place)(x, shape, copy)
    if isinstance(x, Variable) and x.shape == shape:
        return x
    return _reshape(x, shape)


ops["reshape"] = reshape


def _unpermuted(x, value, axes):
    return permute_dims(value, _inverse(axes))


@view(_unpermuted)
@primitive(lambda xp, g, axes: xp.permute_dims(g, _inverse(axes)))
def permute_dims(xp, x, axes):
    """``x`` with its dimensions in the order ``axes``."""
    if min(axes, default=0) < 0:
        axes = normalized_axes(tuple(axes), x.ndim)
    return xp.permute_dims(x, axes)


def _inverse(axes):
    axes = normalized_axes(tuple(axes), len(axes))
    return tuple(axes.index(i) for i in range(len(axes)))


def transpose(x, axes=None):
    """``x`` with its dimensions in the order ``axes``, by default reversed."""
    ndim = x.ndim
    return permute_dims(x, tuple(range(ndim))[::-1] if axes is None else tuple(axes))


def _untransposed(x, value):
    return matrix_transpose(value)


@view(_untransposed)
@primitive(lambda xp, g: xp.matrix_transpose(g))
def matrix_transpose(xp, x):
    """``x`` with its last two dimensions exchanged."""
    return xp.matrix_transpose(x)


def moveaxis(x, source, destination):
    """``x`` with the dimensions ``source`` moved to the places ``destination``."""
    source = normalized_axes(source, x.ndim, "moveaxis")
    destination = normalized_axes(destination, x.ndim, "moveaxis")
    if len(source) != len(destination):
        msg = f"moveaxis: {len(source)} dimensions {source} cannot go to {len(destination)} places"
        raise ValueError(msg)
    rest = iter(i for i in range(x.ndim) if i not in source)
    place = dict(zip(destination, source, strict=True))
    return permute_dims(x, tuple(place[i] if i in place else next(rest) for i in range(x.ndim)))


ops["moveaxis"] = moveaxis


def expand_dims(x, axis):
    """``x`` with dimensions of length 1 at ``axis``, an integer or a tuple, places in the result.

    Raises:
        IndexError: The result has no such dimension.
        ValueError: A place is named twice.
    """
    x = as_variable(x)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = normalized_axes(axis, x.ndim + count, "expand_dims")
    rest = iter(x.shape)
    return reshape(x, tuple(1 if i in axes else next(rest) for i in range(x.ndim + count)))


ops["expand_dims"] = expand_dims


@view(lambda x, value, axis: reshape(value, x.shape))
@primitive(lambda xp, g, x_shape: xp.reshape(g, x_shape))
def _squeeze(xp, x, axis):
    """``x`` without dimensions of length 1."""
    return xp.squeeze(x, axis=axis)


def squeeze(x, axis=None):
    """``x`` without the dimensions ``axis`` of length 1, by default without all of them."""
    if axis is None:
        axis = tuple(i for i, n in enumerate(x.shape) if n == 1)
    return _squeeze(x, axis)


ops["squeeze"] = squeeze


def flatten(x):
    """``x`` as a matrix: the first dimension stays, the others become one."""
    return reshape(x, (x.shape[0], math.prod(x.shape[1:])))


def _unless_shared(x, value, shape):
    if value.shape == x.shape:
        return value
    msg = "assignment to a broadcast array, whose elements share memory: take a .copy() first"
    raise ValueError(msg)


@view(_unless_shared)
@primitive(lambda xp, g, x_shape: _sum_to(xp, g, x_shape))
def broadcast_to(xp, x, shape):
    """``x`` repeated along dimensions of length 1, and new leading ones, to ``shape``."""
    return xp.broadcast_to(x, shape)


@primitive(lambda xp, g, x_shape: xp.broadcast_to(g, x_shape))
def sum_to(xp, x, shape):
    """``x`` summed over the dimensions along which ``shape`` would be broadcast to its shape."""
    lead = x.ndim - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, x.shape[lead:], strict=True)):
        msg = f"sum_to: shape {tuple(shape)} cannot be broadcast to {x.shape}"
        raise ValueError(msg)
    return _sum_to(xp, x, tuple(shape))


def broadcast_shapes(*shapes):
    """The shape that arrays of these shapes have together; ``()`` for none.

    A length that is not known, None or NaN, is not known in the result either.

    Raises:
        ValueError: There is none.

    Example:
        >>> broadcast_shapes((2, 1), (3,), ())
        (2, 3)
    """
    return _common_shape("broadcast_shapes", shapes)


def _common_shape(name, shapes):
    ndim = max(map(len, shapes), default=0)
    common = [1] * ndim
    for shape in shapes:
        for i, n in enumerate(shape, ndim - len(shape)):
            known = n is not None and n == n
            if n == 1 or (known and (common[i] is None or common[i] != common[i])):
                continue
            if known and common[i] not in (1, n):
                msg = f"{name}: shapes {list(shapes)} cannot be broadcast together"
                raise ValueError(msg)
            common[i] = n
    return tuple(common)


ops["broadcast_shapes"] = broadcast_shapes


def broadcast_arrays(*arrays):
    """All arrays in their common shape, as a tuple.

    Raises:
        ValueError: There is none.
    """
    shape = _common_shape("broadcast_arrays", [x.shape for x in arrays])
    return tuple(broadcast_to(x, shape) for x in arrays)


ops["broadcast_arrays"] = broadcast_arrays


def _cut(g, shapes, axis):
    """``g`` in pieces along ``axis``."""
    lead, start, parts = (slice(None),) * axis, 0, []
    for shape in shapes:
        parts.append(g[(*lead, slice(start, start + shape[axis]), ...)])
        start += shape[axis]
    return parts


def _concat_rule(xp, g, shapes, axis):
    if axis is None:
        flat = [(math.prod(s),) for s in shapes]
        return [xp.reshape(p, s) for p, s in zip(_cut(g, flat, 0), shapes, strict=True)]
    return _cut(g, shapes, axis % len(shapes[0]))


@variadic(_concat_rule)
def concat(xp, arrays, axis=0):
    """The arrays one after the other along ``axis``; None: each made flat first."""
    return xp.concat(arrays, axis=axis)


def _stack_rule(xp, g, shapes, axis):
    lead = (slice(None),) * (axis % (len(shapes[0]) + 1))
    return [g[(*lead, i, ...)] for i in range(len(shapes))]


@variadic(_stack_rule)
def stack(xp, arrays, axis=0):
    """The arrays, all of one shape, along a new dimension at ``axis``."""
    return xp.stack(arrays, axis=axis)


@primitive(lambda xp, g, axis: xp.stack(g, axis=axis), several=True)
def _unstack(xp, x, axis):
    """The parts of ``x`` along ``axis``."""
    lead = (slice(None),) * axis
    return tuple(x[(*lead, i, ...)] for i in range(x.shape[axis]))


def unstack(x, axis=0):
    """The parts of ``x`` along ``axis``, as a tuple of arrays without that dimension."""
    (axis,) = normalized_axes(axis, x.ndim, "unstack")
    parts = _unstack(x, axis) if x.shape[axis] else ()
    lead = (slice(None),) * axis
    return _viewed_items(x, parts, ((*lead, i, ...) for i in range(len(parts))))


ops["unstack"] = unstack


@primitive(lambda xp, g, axis: xp.concat(g, axis=axis), several=True)
def _split(xp, x, ends, axis):
    """Pieces of ``x`` along ``axis``."""
    lead = (slice(None),) * axis
    starts = (0, *ends)
    return tuple(x[(*lead, slice(a, b), ...)] for a, b in zip(starts, (*ends, None), strict=True))


def split(x, sections, axis=0):
    """Pieces of ``x`` along ``axis``, as a list.

    Args:
        x: An array.
        sections: How many pieces of equal length, or the indices before which to cut.
        axis: The dimension to cut.

    Raises:
        ValueError: The length is not a multiple of ``sections``, or places are not in order.
    """
    axis = normalized_axes(axis, x.ndim, "split")[0]
    n = x.shape[axis]
    if is_integer(sections):
        if sections < 1 or n % sections:
            msg = f"split: length {n} of axis {axis} is no multiple of {sections}"
            raise ValueError(msg)
        sections = range(n // sections, n, n // sections)
    ends = tuple(min(n, max(0, i + n if i < 0 else i)) for i in sections)
    if list(ends) != sorted(ends):
        msg = (
            f"split: the places {tuple(sections)} along axis {axis} of length {n} are not in order"
        )
        raise ValueError(msg)
    starts, lead = (0, *ends), (slice(None),) * axis
    keys = ((*lead, slice(a, b), ...) for a, b in zip(starts, (*ends, None), strict=True))
    return list(_viewed_items(x, _split(x, ends, axis), keys))


ops["split"] = split


def _unflipped(x, value, axis=None):
    return flip(value, axis)


@view(_unflipped)
@primitive(lambda xp, g, axis: xp.flip(g, axis=axis))
def flip(xp, x, axis=None):
    """``x`` in reverse order along ``axis`` (an integer or a tuple), by default along all."""
    return xp.flip(x, axis=axis)


def _places(shift, axis):
    """``shift`` as a tuple if ``axis`` is one."""
    if isinstance(axis, (tuple, list)) and is_integer(shift):
        return (shift,) * len(axis)
    return shift if is_integer(shift) else tuple(shift)


def _roll_rule(xp, g, shift, axis):
    shift = _places(shift, axis)
    back = -shift if is_integer(shift) else tuple(-s for s in shift)
    return xp.roll(g, back, axis=axis)


@primitive(_roll_rule)
def roll(xp, x, shift, axis=None):
    """``x`` with elements moved ``shift`` places along ``axis``, those from the end at the start.

    ``axis`` and ``shift`` may be tuples; one ``shift`` holds for every axis. None: as if flat.
    """
    return xp.roll(x, _places(shift, axis), axis=axis)


def repeat(x, repeats, axis=None):
    """Each element ``repeats`` times along ``axis``, by default of the flat array.

    ``repeats`` is an integer, or an integer array with one number for each element.
    """
    x = as_variable(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = normalized_axes(axis, x.ndim, "repeat")
    if is_integer(repeats) and repeats < 0:
        msg = f"repeat: expected a number of times not below 0, got {repeats}"
        raise ValueError(msg)
    xp = backend_of(x._data)
    numbers = xp.arange(x.shape[axis], device=xp.device(x._data))
    repeats = repeats._data if isinstance(repeats, Variable) else repeats
    return take(x, xp.repeat(numbers, repeats), axis=axis)


def tile(x, repetitions):
    """``x`` laid side by side, ``repetitions[i]`` times along dimension ``i``: a new array."""
    x = as_variable(x)
    reps = (repetitions,) if is_integer(repetitions) else tuple(repetitions)
    if min(reps, default=0) < 0:
        msg = f"tile: expected repetitions not below 0, got {reps}"
        raise ValueError(msg)
    ndim = max(len(reps), x.ndim)
    reps = (1,) * (ndim - len(reps)) + reps
    shape = (1,) * (ndim - x.ndim) + x.shape
    apart = reshape(x, tuple(m for n in shape for m in (1, n)))
    spread = tuple(m for r, n in zip(reps, shape, strict=True) for m in (r, n))
    y = reshape(broadcast_to(apart, spread), tuple(r * n for r, n in zip(reps, shape, strict=True)))
    return y if root(y) is y else copy(y)


ops["repeat"], ops["tile"] = repeat, tile


def _pad_rule(xp, g, x_shape, widths):
    return g[tuple(slice(a, a + n) for (a, _), n in zip(widths, x_shape, strict=True))]


@primitive(_pad_rule)
def _pad(xp, x, widths, value):
    """``x`` with a border."""
    return xp.pad(x, widths, value)


def pad(x, widths, value=0.0):
    """``x`` with a border of ``value``.

    Args:
        x: An array.
        widths: One number for everywhere, or a pair (before, after) for each dimension.
        value: A number.
    """
    if is_integer(widths):
        widths = ((widths, widths),) * x.ndim
    widths = tuple((int(a), int(b)) for a, b in widths)
    if len(widths) != x.ndim or min((n for pair in widths for n in pair), default=0) < 0:
        msg = f"pad: expected {x.ndim} pairs of numbers not below 0, got {widths}"
        raise ValueError(msg)
    return _pad(x, widths, value)


ops["pad"] = pad
