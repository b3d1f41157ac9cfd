"""Pooling: maxima and means over windows, in one, two and three dimensions.

Images have the shape (N, C, *S). A size is one number, or one for each spatial dimension. Among
equal elements of a window the first has the gradient of the maximum.
"""

import math

from ..backends import backend_of
from ..backends.pooling import Window
from ..config import recording
from ..core import Variable, _raw
from ..primitive import ops, primitive
from .convolution import _pads, _sizes, _wanted
from .elementwise import _narrowed, _widened
from .indexing import get_item, take_along_axis
from .manipulation import concat, pad, reshape
from .statistical import argmax, mean

__all__ = [
    "adaptive_average_pool",
    "adaptive_max_pool",
    "average_pool",
    "average_pooling",
    "global_average_pool",
    "global_max_pool",
    "max_pool",
    "pooling",
    "pooling_simple",
]


# --- the kernels --------------------------------------------------------------------------------


@primitive(lambda xp, g, x, windows, kept: xp.pool_max_spread(g, x, windows, kept))
def pool_max(xp, x, windows, kept=None):
    """The maximum of each window.

    In the dict ``kept`` the backend may leave where the maxima are.
    """
    return xp.pool_max(x, windows, kept)


@primitive(lambda xp, g, x, windows: xp.pool_max_pick(g, x, windows), None)
def pool_max_spread(xp, v, x, windows, kept=None):
    """Zeros in the shape of ``x``, with ``v`` added where the maxima of ``x`` are."""
    return xp.pool_max_spread(v, x, windows, kept)


@primitive(lambda xp, g, x, windows: xp.pool_max_spread(g, x, windows), None)
def pool_max_pick(xp, v, x, windows):
    """The elements of ``v`` where the maxima of ``x`` are: adjoint of `pool_max_spread`."""
    return xp.pool_max_pick(v, x, windows)


@primitive(lambda xp, g, x_shape, windows: xp.pool_sum_spread(g, windows, x_shape))
def pool_sum(xp, x, windows):
    """The sum of each window."""
    return xp.pool_sum(x, windows)


@primitive(lambda xp, g, windows: xp.pool_sum(g, windows))
def pool_sum_spread(xp, x, windows, shape):
    """Adjoint of `pool_sum`: each element of ``x`` added at all places of its window."""
    return xp.pool_sum_spread(x, windows, shape)


# --- sizes --------------------------------------------------------------------------------------


def _dims(name, x):
    """How many spatial dimensions there are."""
    if not hasattr(x, "shape"):
        msg = f"{name}: expected an array, got {type(x)}"
        raise TypeError(msg)
    if not 3 <= x.ndim <= 5:
        msg = f"{name}: x has shape {x.shape}, expected (N, C, *S) with 1 to 3 sizes S"
        raise ValueError(msg)
    xp = backend_of(_raw(x))
    if xp.is_complex(x.dtype) or "bool" in str(x.dtype):
        msg = f"{name}: x has dtype {x.dtype}, expected real numbers"
        raise TypeError(msg)
    return x.ndim - 2


def _geometry(name, x, kernel_size, stride, border, dilation=1, ceil_mode=False, half=True):
    """The windows over the spatial dimensions of ``x``, and the borders.

    ``half``: a window must not lie in the border alone.
    """
    dims = _dims(name, x)
    size = tuple(x.shape[2:])
    kernel = _sizes(name, "kernel_size", kernel_size, dims, 1)
    stride = kernel if stride is None else _sizes(name, "stride", stride, dims, 1)
    dilation = _sizes(name, "dilation", dilation, dims, 1)
    whole = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    borders = _pads(name, border, dims, size, kernel, stride, dilation)
    if half and any(p > w // 2 for pair, w in zip(borders, whole, strict=True) for p in pair):
        msg = f"{name}: pad is {border!r}, expected at most half of the window {whole}"
        raise ValueError(msg)
    windows = []
    for n, k, s, d, w, (before, after) in zip(
        size, kernel, stride, dilation, whole, borders, strict=True
    ):
        room = n + before + after - w
        stops = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (stops - 1) * s >= n + before:
            stops -= 1  # the last window would lie in the border alone
        if stops < 1 or n < 1:
            msg = f"{name}: windows of {whole} do not fit x of shape {tuple(x.shape)}"
            raise ValueError(f"{msg} with pad {border!r}")
        windows.append(Window(k, s, d, before, stops))
    return tuple(windows), borders


# --- over windows -------------------------------------------------------------------------------


def max_pool(x, kernel_size, stride=None, pad=0, *, dilation=1, ceil_mode=False):
    """Maximum of each window.

    Args:
        x: An array of shape (N, C, *S), with one to three spatial dimensions.
        kernel_size: The size of the window.
        stride: How far it moves, by default its size.
        pad: How many elements there are at both ends, each below all numbers; also pairs
            ``(before, after)`` for each dimension, ``"valid"`` for none, ``"same"`` for as many as
            give S / stride results, rounded up.
        dilation: How far apart the elements of a window are.
        ceil_mode: Windows may reach over the end; by default what does not fit is left out.

    Raises:
        ValueError: A size does not fit.
        TypeError: ``x`` does not hold real numbers, or a size is no integer.

    Example:
        >>> import numpy as np
        >>> x = Variable(np.arange(16.0).reshape(1, 1, 4, 4))
        >>> print(max_pool(x, 2).data[0, 0])
        [[ 5.  7.]
         [13. 15.]]
    """
    windows, _ = _geometry("max_pool", x, kernel_size, stride, pad, dilation, ceil_mode)
    return _maxima(x, windows)


def _maxima(x, windows):
    """`pool_max`, after which the backward pass knows where the maxima are."""
    return pool_max(x, windows, {} if _wanted(x) and recording() else None)


def average_pool(x, kernel_size, stride=None, pad=0, *, ceil_mode=False, count_include_pad=True):
    """Mean of each window. Arguments are those of `max_pool`; there are zeros at the ends.

    Args:
        x: An array of shape (N, C, *S), with one to three spatial dimensions.
        kernel_size: The size of the window.
        stride: How far it moves, by default its size.
        pad: How many zeros there are at the ends.
        ceil_mode: Windows may reach over the end. What lies beyond ``pad`` is not counted.
        count_include_pad: The zeros count as elements; else only those of ``x`` do.

    Raises:
        ValueError: A size does not fit.
        TypeError: ``x`` does not hold real numbers, or a size is no integer.
    """
    windows, borders = _geometry("average_pool", x, kernel_size, stride, pad, 1, ceil_mode)
    x, dtype = _floating("average_pool", x)
    counts = []
    for w, n, (before, after) in zip(windows, x.shape[2:], borders, strict=True):
        low, high = (-before, n + after) if count_include_pad else (0, n)
        starts = [i * w.stride - before for i in range(w.stops)]
        counts.append([min(a + w.size, high) - max(a, low) for a in starts])
    return _narrowed(_shared(pool_sum(x, windows), counts), dtype)


def _shared(y, counts):
    """``y`` over the product of the counts of each spatial dimension."""
    if all(min(c) == max(c) for c in counts):
        return y * (1.0 / math.prod(c[0] for c in counts))
    for i, row in enumerate(counts):
        y = y * _constant(y, [1.0 / n for n in row], (-1, *((1,) * (len(counts) - 1 - i))))
    return y


def _floating(name, x):
    """`_widened` of what must not be integers."""
    if not backend_of(_raw(x)).is_inexact(x.dtype):
        msg = f"{name}: x has dtype {x.dtype}, expected floating-point numbers"
        raise TypeError(msg)
    return _widened(x)


def _constant(x, values, shape):
    """Numbers as an array beside ``x``."""
    x = _raw(x)
    xp = backend_of(x)
    return xp.reshape(xp.asarray(values, dtype=x.dtype, device=xp.device(x)), shape)


def _with_zeros(x, kernel_size, stride, border, name):
    """``x`` with the zeros of the book's poolings around it, and how many they are."""
    dims = _dims(name, x)
    kernel = _sizes(name, "kernel_size", kernel_size, dims, 1)
    steps = _sizes(name, "stride", stride, dims, 1)
    borders = _pads(name, border, dims, tuple(x.shape[2:]), kernel, steps, (1,) * dims)
    if any(n for pair in borders for n in pair):
        x = pad(x, ((0, 0), (0, 0), *borders), 0)
    return x, borders


def pooling(x, kernel_size, stride=1, pad=0):
    """Maximum of each window, with zeros at the ends, as the book's function of that name.

    In `max_pool` the stride is by default the size of the window, and what is at the ends is never
    the maximum.
    """
    x, _ = _with_zeros(x, kernel_size, stride, pad, "pooling")
    windows, _ = _geometry("pooling", x, kernel_size, stride, 0, half=False)
    return _maxima(x, windows)


pooling_simple = pooling


def _pooling_gradient(gy, x, kernel_size, stride, border):
    """The gradient of `pooling` at ``x``."""
    name = "Pooling2DGrad"
    wide, borders = _with_zeros(x, kernel_size, stride, border, name)
    windows, _ = _geometry(name, wide, kernel_size, stride, 0, half=False)
    gx = pool_max_spread(gy, _raw(wide), windows)
    inside = [slice(p, p + n) for (p, _), n in zip(borders, x.shape[2:], strict=True)]
    return gx if gx.shape == x.shape else gx[(slice(None), slice(None), *inside)]


def _pooling_places(v, x, kernel_size, stride, border):
    """The elements of ``v`` where `pooling` finds the maxima of ``x``."""
    name = "Pooling2DWithIndexes"
    wide, v = (_with_zeros(a, kernel_size, stride, border, name)[0] for a in (x, v))
    windows, _ = _geometry(name, wide, kernel_size, stride, 0, half=False)
    return pool_max_pick(v, _raw(wide), windows)


def average_pooling(x, kernel_size, stride=1, pad=0):
    """Mean of each window, with zeros at the ends that count, as the book's function."""
    windows, _ = _geometry("average_pooling", x, kernel_size, stride, pad, half=False)
    size = math.prod(w.size for w in windows)
    x, dtype = _floating("average_pooling", x)
    return _narrowed(pool_sum(x, windows) * (1.0 / size), dtype)


# --- over everything ----------------------------------------------------------------------------


def global_average_pool(x):
    """Mean over all spatial dimensions, which stay with length 1."""
    dims = _dims("global_average_pool", x)
    _filled("global_average_pool", x)
    x, dtype = _floating("global_average_pool", x)
    return _narrowed(mean(x, axis=tuple(range(2, 2 + dims)), keepdims=True), dtype)


def global_max_pool(x):
    """Maximum over all spatial dimensions, which stay with length 1."""
    dims = _dims("global_max_pool", x)
    _filled("global_max_pool", x)
    flat = reshape(x, (*x.shape[:2], math.prod(x.shape[2:])))
    return reshape(_first_maximum(flat), (*x.shape[:2], *((1,) * dims)))


def _filled(name, x):
    if 0 in x.shape[2:]:
        msg = f"{name}: x has shape {tuple(x.shape)}, nothing to pool"
        raise ValueError(msg)


def _first_maximum(x):
    """Maximum along the last dimension; the first among equal ones has the gradient."""
    places = argmax(x.detach() if isinstance(x, Variable) else x, axis=-1, keepdims=True)
    return take_along_axis(x, places.data, axis=-1)


# --- a given number of results ------------------------------------------------------------------


def _bins(name, x, output_size):
    """For each spatial dimension where each bin begins and ends, as PyTorch cuts them."""
    dims = _dims(name, x)
    _filled(name, x)
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    if len(given) == dims:  # None keeps the length
        given = tuple(n if m is None else m for m, n in zip(given, x.shape[2:], strict=True))
    sizes = _sizes(name, "output_size", given, dims, 1)
    return [
        [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        for n, m in zip(x.shape[2:], sizes, strict=True)
    ]


def _runs(bins):
    """Windows that go over neighbouring bins of one length, and where they begin and end."""
    runs, i = [], 0
    while i < len(bins):
        first, start, size = i, bins[i][0], bins[i][1] - bins[i][0]
        stride = max(1, bins[min(i + 1, len(bins) - 1)][0] - start)
        while i < len(bins) and bins[i] == (at := start + (i - first) * stride, at + size):
            i += 1
        window = Window(size, stride if i - first > 1 else size, 1, 0, i - first)
        runs.append((start, bins[i - 1][1], window))
    return runs


def _over_bins(pool, x, bins):
    """``pool`` of ``x`` and windows that together go over the bins, one dimension at a time."""
    runs = [_runs(rows) for rows in bins]
    if all(len(r) == 1 for r in runs):
        return pool(x, tuple(window for ((_, _, window),) in runs))
    for axis in reversed(range(2, x.ndim)):
        if len(bins[axis - 2]) == x.shape[axis]:
            continue
        windows, parts = [Window(1, 1, 1, 0, n) for n in x.shape[2:]], []
        for start, stop, window in runs[axis - 2]:
            windows[axis - 2] = window
            key = (*((slice(None),) * axis), slice(start, stop))
            part = x if stop - start == x.shape[axis] else get_item(x, key)
            parts.append(pool(part, tuple(windows)))
        x = concat(parts, axis=axis) if len(parts) > 1 else parts[0]
    return x


def adaptive_average_pool(x, output_size):
    """Mean over bins, of which there are ``output_size`` in each spatial dimension.

    Bin ``i`` of ``m`` goes from ``floor(i n / m)`` to ``ceil((i + 1) n / m)``; bins may overlap. A
    size that is None stays what it is.
    """
    bins = _bins("adaptive_average_pool", x, output_size)
    x, dtype = _floating("adaptive_average_pool", x)
    if all(len(rows) == 1 for rows in bins):
        return _narrowed(global_average_pool(x), dtype)
    y, sizes = _over_bins(pool_sum, x, bins), [[b - a for a, b in rows] for rows in bins]
    return _narrowed(_shared(y, sizes), dtype)


def adaptive_max_pool(x, output_size):
    """Maximum of bins, of which there are ``output_size`` in each spatial dimension.

    They are those of `adaptive_average_pool`.
    """
    return _over_bins(_maxima, x, _bins("adaptive_max_pool", x, output_size))


for _function in (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    global_max_pool,
    max_pool,
):
    ops[_function.__name__] = _function
