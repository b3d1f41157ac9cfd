"""Convolution in NumPy: matrix products over blocks that fit the cache.

Results are arrays of shape (N, C, ...) whose memory is in another order, so that blocks are copied
in long runs and the next convolution finds its input as it wants it: the channels last, or, where
these are few, the batch last. Whatever follows elementwise keeps that order.

Convolutions of 3x3 in float32 with many channels are left to `winograd`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import threads
from ..config import exact_convolution
from . import depthwise, winograd
from .convolution import Geometry, Sizes, bias_gradients, result_size
from .scratch import blocks, scratch

__all__ = ["convolve", "convolve_gradients", "convolve_input", "convolve_weight", "fold_windows"]
__all__ += ["unfold_windows"]

Array = Any

_BLOCK = 1 << 21  # bytes of the windows of one block
_LEAST = 64  # positions of one block, whatever their windows take
_KEPT = 1 << 20  # bytes of windows that are kept for the backward pass in any case
_FEW = 32  # below so many channels the batch is the last dimension in memory


def _common(arrays: Sequence[Array]) -> tuple[list[Array], Any]:
    """The arrays in the type of the products, and the type of the result."""
    dtype = np.result_type(*arrays)
    work = dtype if dtype.kind not in "fV" or dtype.itemsize > 2 else np.dtype(np.float32)
    return [a.astype(work, copy=False) for a in arrays], dtype


# --- windows ------------------------------------------------------------------------------------


def _windows(x: Array, axis: int, kernel: Sizes, result: Sizes, geometry: Geometry) -> Array:
    """A view of the padded ``x`` whose spatial dimensions begin at ``axis``: there (*K, *R)."""
    rank = len(kernel)
    steps = x.strides[axis : axis + rank]
    inner = [d * n for d, n in zip(geometry.dilation, steps, strict=True)]
    outer = [s * n for s, n in zip(geometry.stride, steps, strict=True)]
    return as_strided(
        x,
        (*x.shape[:axis], *kernel, *result, *x.shape[axis + rank :]),
        (*x.strides[:axis], *inner, *outer, *x.strides[axis + rank :]),
    )


def _padded(x: Array, axis: int, geometry: Geometry) -> Array:
    """``x`` in the order of its dimensions in memory, with zeros around the spatial ones."""
    if not any(map(any, geometry.pads)):
        return np.ascontiguousarray(x)
    rank = len(geometry.pads)
    size = x.shape[axis : axis + rank]
    full = [n + sum(pads) for n, pads in zip(size, geometry.pads, strict=True)]
    y = np.zeros((*x.shape[:axis], *full, *x.shape[axis + rank :]), x.dtype)
    y[(slice(None),) * axis + _inner(size, geometry)] = x
    return y


def _inner(size: Sizes, geometry: Geometry) -> tuple[slice, ...]:
    return tuple(slice(b, b + n) for n, (b, _) in zip(size, geometry.pads, strict=True))


def unfold_windows(x: Array, kernel: Sizes, geometry: Geometry) -> Array:
    """As in `Convolution`."""
    result = result_size(x.shape[2:], kernel, geometry)
    return _windows(_padded(x, 2, geometry), 2, kernel, result, geometry).copy()


def fold_windows(windows: Array, size: Sizes, geometry: Geometry) -> Array:
    """As in `Convolution`."""
    n, c, *rest = windows.shape
    rank = len(size)
    full = (m + sum(pads) for m, pads in zip(size, geometry.pads, strict=True))
    y = np.zeros((n, c, *full), windows.dtype)
    _add_windows(y, 2, windows, tuple(rest[:rank]), tuple(rest[rank:]), geometry)
    return y[(slice(None), slice(None), *_inner(size, geometry))]


def _add_windows(
    y: Array, axis: int, windows: Array, kernel: Sizes, result: Sizes, geometry: Geometry
) -> None:
    """Add windows with the dimensions of `_windows` to the padded image that they are cut from."""
    places = _windows(y, axis, kernel, result, geometry)
    before = (slice(None),) * axis
    for k in product(*map(range, kernel)):  # one element of the kernel meets no element twice
        place = places[before + k]
        np.add(place, windows[before + k], out=place)


# --- products with windows ----------------------------------------------------------------------


class _Plan:
    """The direct sum for one pair of shapes.

    ``first``: the image is (C, *S, N) in memory and the windows (C, *K, *R, N); few channels, and
    groups. Otherwise (N, *S, C) and (N, *R, *K, C). What lies between is the *positions*.
    """

    def __init__(
        self, n: int, c: int, oc: int, size: Sizes, kernel: Sizes, geometry: Geometry
    ) -> None:
        self.n, self.c, self.oc = n, c, oc
        self.size, self.kernel, self.geometry = size, kernel, geometry
        self.result = result_size(size, kernel, geometry)
        self.first = geometry.groups > 1 or c < _FEW
        self.positions = (*self.result, n) if self.first else (n, *self.result)
        self.rows = c * math.prod(kernel)
        self.work = self.rows * oc * math.prod(self.positions) // geometry.groups
        self.plain = (
            math.prod(kernel) == 1
            and not any(map(any, geometry.pads))
            and all(s == 1 for s in geometry.stride)
        )

    def ordered(self, x: Array) -> Array:
        """The dimensions (N, C, ...) as they are in memory."""
        return np.moveaxis(x, 0, -1) if self.first else np.moveaxis(x, 1, -1)

    def outward(self, x: Array) -> Array:
        """The dimensions in memory as (N, C, ...)."""
        return np.moveaxis(x, -1, 0) if self.first else np.moveaxis(x, -1, 1)

    def weights(self, w: Array) -> Array:
        """(groups, O, C K) if ``first``, else (K C, O)."""
        if self.first:
            groups = self.geometry.groups
            return w.reshape(groups, self.oc // groups, self.rows // groups)
        return np.ascontiguousarray(np.moveaxis(w, 1, -1)).reshape(self.oc, self.rows).T

    def weights_back(self, w: Array) -> Array:
        """(groups, O, C K) if ``first``, else (O, K C), as (O, C, *K)."""
        if self.first:
            return w.reshape(self.oc, self.c // self.geometry.groups, *self.kernel)
        return np.ascontiguousarray(np.moveaxis(w.reshape(self.oc, *self.kernel, self.c), -1, 1))

    def windows(self, x: Array) -> list[Array]:
        """A view of all windows of an image; or one for each last element of the kernel."""
        geometry = self.geometry
        x = _padded(self.ordered(x), 1, geometry)
        step = geometry.stride[-1]
        if self.first and step > 1 and not self.plain:  # what is met at a time becomes adjacent
            apart = [np.ascontiguousarray(x[..., i::step, :]) for i in range(step)]
            inner = geometry._replace(stride=(*geometry.stride[:-1], 1))
            taps = []
            one = (*self.kernel[:-1], 1)
            for k in range(self.kernel[-1]):
                start, phase = divmod(k * geometry.dilation[-1], step)
                taps.append(_windows(apart[phase][..., start:, :], 1, one, self.result, inner))
            return taps
        view = _windows(x, 1, self.kernel, self.result, geometry)
        if self.first:
            return [view]
        rank = len(self.kernel)
        kernel, result = range(1, 1 + rank), range(1 + rank, 1 + 2 * rank)
        return [view.transpose(0, *result, *kernel, 1 + 2 * rank)]

    def blocks(self, itemsize: int, part: slice | None = None) -> Iterator[tuple[slice, ...]]:
        """The positions in blocks; those of ``part`` of the first dimension, if it is given."""
        first, *rest = self.positions
        part = slice(0, first) if part is None else part
        if self.plain:
            yield (part, *(slice(0, n) for n in rest))
            return
        most = max(_LEAST, _BLOCK // (self.rows * itemsize))
        for block, *others in blocks((part.stop - part.start, *rest), most):
            yield slice(part.start + block.start, part.start + block.stop), *others

    def span(self, block: tuple[slice, ...]) -> slice:
        """The block as a range of positions."""
        start = 0
        for part, n in zip(block, self.positions, strict=True):
            start = start * n + part.start
        return slice(start, start + math.prod(part.stop - part.start for part in block))

    def matrix(self, views: list[Array], block: tuple[slice, ...], into: Array | None) -> Array:
        """The windows of a block: (groups, C K, positions) if ``first``, else (positions, K C).

        They are a part of ``into``, a matrix of all windows, if it is given.
        """
        counts = tuple(part.stop - part.start for part in block)
        count, groups = math.prod(counts), self.geometry.groups
        place = (Ellipsis, *block) if self.first else block
        shape = (groups, self.rows // groups, count) if self.first else (count, self.rows)
        if self.plain:
            return views[0][place].reshape(shape)
        if into is not None:
            cols = into.reshape(self._unrolled(self.positions))[place]
        else:
            cols = scratch("w", self._unrolled(counts), views[0].dtype)
        if len(views) == 1:
            np.copyto(cols, views[0][place])
        else:
            last = len(self.kernel)
            for k, view in enumerate(views):
                part = (slice(None),) * last + (slice(k, k + 1),)
                np.copyto(cols[part], view[place])
        if into is None:
            return cols.reshape(shape)
        span = self.span(block)
        return into[:, :, span] if self.first else into[span]

    def _unrolled(self, positions: Sizes) -> Sizes:
        """The shape of windows at some positions."""
        if self.first:
            return (self.c, *self.kernel, *positions)
        return (*positions, *self.kernel, self.c)

    def results(self, g: Array) -> Array:
        """What is like a result, as a matrix: (groups, O, positions) or (positions, O)."""
        count = math.prod(self.positions)
        if not self.first:
            return np.ascontiguousarray(np.moveaxis(g, 1, -1)).reshape(count, self.oc)
        groups = self.geometry.groups
        last = np.moveaxis(g, (0, 1), (-2, -1))
        if last.flags.c_contiguous and self.oc > 1:
            return last.reshape(count, groups, self.oc // groups).transpose(1, 2, 0)
        g = np.ascontiguousarray(np.moveaxis(g, 0, -1))
        return g.reshape(groups, self.oc // groups, count)

    def forward(self, x: Array, w: Array, b: Array | None, kept: dict[str, Any] | None) -> Array:
        itemsize, groups = x.dtype.itemsize, self.geometry.groups
        views, weights = self.windows(x), self.weights(w)
        count = math.prod(self.positions)
        into: Array = None
        most = max(_KEPT, self.oc * itemsize * count)
        if kept is not None and not self.plain and self.rows * itemsize * count <= most:
            rows = self.rows // groups
            shape = (groups, rows, count) if self.first else (count, self.rows)
            into = kept["windows"] = np.empty(shape, x.dtype)
        last = not self.first or (self.oc >= _FEW and groups == 1)
        y = np.empty((*self.positions, self.oc) if last else (self.oc, *self.positions), x.dtype)
        out: Any
        if last:
            out = y.reshape(count, self.oc)
        else:
            out = y.reshape(weights.shape[0], weights.shape[1], count)
            b = None if b is None else b.reshape(weights.shape[0], -1, 1)
        parts = list(self.blocks(itemsize))

        def work(some: slice) -> None:
            for block in parts[some]:
                cols, span = self.matrix(views, block, into), self.span(block)
                part = out[span] if last else out[:, :, span]
                if not last:
                    np.matmul(weights, cols, out=part)
                elif self.first:  # many channels follow few
                    np.matmul(cols[0].T, weights[0].T, out=part)
                else:
                    np.matmul(cols, weights, out=part)
                if b is not None:
                    part += b

        threads.shared(work, threads.pieces(len(parts), self.work))
        if self.first and last:
            return np.moveaxis(y, (-2, -1), (0, 1))
        return self.outward(y)

    def input_gradient(self, g: Array, w: Array) -> Array:
        if not self.plain and self.oc <= 2 * self.c and (turned := self._turned()) is not None:
            return turned.forward(g, self._turned_weights(w), None, None)
        weights, g = self.weights(w), self.results(g)
        back = weights.swapaxes(-1, -2)
        if self.plain:
            shape = (self.c, *self.size, self.n) if self.first else (self.n, *self.size, self.c)
            cols = np.matmul(back, g) if self.first else np.matmul(g, back)
            return self.outward(cols.reshape(shape))
        full = tuple(m + sum(pads) for m, pads in zip(self.size, self.geometry.pads, strict=True))
        shape = (self.c, *full, self.n) if self.first else (self.n, *full, self.c)
        y = np.zeros(shape, g.dtype)
        places = _windows(y, 1, self.kernel, self.result, self.geometry)
        if self.first:
            self._fold_first(places, back, g)
        else:
            self._fold_last(places, back, g)
        y = y[(slice(None), *_inner(self.size, self.geometry))]
        return self.outward(y)

    def _fold_first(self, places: Array, back: Array, g: Array) -> None:
        """Add gradients of windows; threads share the groups, or the channels of one."""
        groups, elements = self.geometry.groups, math.prod(self.kernel)
        each = self.c // groups

        def work(part: slice) -> None:
            if groups == 1:
                rows, gs = back[:, part.start * elements : part.stop * elements], g
                place = places[part]
            else:
                rows, gs = back[part], g[part]
                place = places[part.start * each : part.stop * each]
            for block in self.blocks(g.dtype.itemsize):
                counts = tuple(part.stop - part.start for part in block)
                cols = scratch("w", (*rows.shape[:2], math.prod(counts)), g.dtype)
                np.matmul(rows, gs[:, :, self.span(block)], out=cols)
                cols = cols.reshape(len(place), *self.kernel, *counts)
                for k in product(*map(range, self.kernel)):
                    at = place[(slice(None), *k, *block)]
                    np.add(at, cols[(slice(None), *k)], out=at)

        threads.shared(work, threads.pieces(self.c if groups == 1 else groups, self.work))

    def _fold_last(self, places: Array, back: Array, g: Array) -> None:
        """Add gradients of windows; threads share the images."""
        rank = len(self.kernel)

        def work(part: slice) -> None:
            for block in self.blocks(g.dtype.itemsize, part):
                counts = tuple(part.stop - part.start for part in block)
                cols = scratch("w", (math.prod(counts), self.rows), g.dtype)
                np.matmul(g[self.span(block)], back, out=cols)
                cols = cols.reshape(*counts, *self.kernel, self.c)
                for k in product(*map(range, self.kernel)):
                    at = places[(block[0], *k, *block[1:])]
                    np.add(at, cols[(slice(None),) * (1 + rank) + k], out=at)

        threads.shared(work, threads.pieces(self.n, self.work))

    def _turned(self) -> _Plan | None:
        """The gradient of the image as a convolution, which steps of 1 allow; None: it is not."""
        stride, pads, dilation, groups = self.geometry
        reach = [d * (k - 1) for d, k in zip(dilation, self.kernel, strict=True)]
        back = tuple((r - a, r - b) for r, (a, b) in zip(reach, pads, strict=True))
        if any(s > 1 for s in stride) or min(map(min, back)) < 0:
            return None
        geometry = Geometry(stride, back, dilation, groups)
        return _Plan(self.n, self.oc, self.c, self.result, self.kernel, geometry)

    def _turned_weights(self, w: Array) -> Array:
        """The kernel turned around, from results to the image: (C, O / groups, *K)."""
        groups = self.geometry.groups
        w = w.reshape(groups, self.oc // groups, self.c // groups, *self.kernel).swapaxes(1, 2)
        w = np.flip(w, axis=tuple(range(3, w.ndim)))
        return w.reshape(self.c, self.oc // groups, *self.kernel)

    def weight_gradient(self, x: Array, g: Array, kept: dict[str, Any] | None) -> Array:
        g = self.results(g)
        cols = kept.pop("windows", None) if kept else None
        if cols is not None:
            return self.weights_back(self._weight(cols, g))
        views = self.windows(x)
        parts = list(self.blocks(x.dtype.itemsize))

        def work(some: slice) -> Array:
            total: Any = None
            for block in parts[some]:
                span = self.span(block)
                part = g[:, :, span] if self.first else g[span]
                w = self._weight(self.matrix(views, block, None), part)
                total = w if total is None else np.add(total, w, out=total)
            return total

        total, *others = threads.shared(work, threads.pieces(len(parts), self.work))
        for other in others:
            total += other
        if total is None:  # no images
            return np.zeros((self.oc, self.c // self.geometry.groups, *self.kernel), x.dtype)
        return self.weights_back(total)

    def _weight(self, cols: Array, g: Array) -> Array:
        return np.matmul(g, cols.swapaxes(1, 2)) if self.first else np.matmul(g.T, cols)


# --- kernels of one element ---------------------------------------------------------------------


def _is_pointwise(kernel: Sizes, geometry: Geometry) -> bool:
    pads = any(map(any, geometry.pads))
    return math.prod(kernel) == 1 and geometry.groups == 1 and not pads


def _stepped(geometry: Geometry) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(None, None, step) for step in geometry.stride))


def _in_memory(x: Array) -> tuple[Array, list[int]]:
    """``x`` as (before, C, after) in the order of its dimensions in memory, and this order.

    Unless it lies there without gaps and in long stretches: then it is copied, the channels last.
    """
    order = sorted(range(x.ndim), key=lambda i: (x.shape[i] > 1, -x.strides[i]))
    place = order.index(1)
    turned = x.transpose(order)
    before, after = math.prod(turned.shape[:place]), math.prod(turned.shape[place + 1 :])
    if not turned.flags.c_contiguous or (before > 1 and 1 < after < _LEAST):
        order = [0, *range(2, x.ndim), 1]
        turned = np.ascontiguousarray(x.transpose(order))
        before, after = x.size // max(1, x.shape[1]), 1
    return turned.reshape(before, x.shape[1], after), order


def _pointwise(x: Array, w: Array, b: Array | None) -> Array:
    """Images times the matrix ``w`` (O, C), in the order in memory that ``x`` has."""
    flat, order = _in_memory(x)
    if flat.shape[2] == 1:
        y = flat[:, :, 0] @ w.T
    else:
        y = np.matmul(w, flat)
        b = None if b is None else b[:, None]
    if b is not None:
        y += b
    shape = [len(w) if i == 1 else x.shape[i] for i in order]
    return y.reshape(shape).transpose(np.argsort(order))


def _pointwise_weight(x: Array, g: Array) -> Array:
    """Gradients times images, summed over all positions: (O, C)."""
    flat, order = _in_memory(x)
    gs = np.ascontiguousarray(g.transpose(order)).reshape(len(flat), g.shape[1], flat.shape[2])
    if flat.shape[2] == 1:
        return gs[:, :, 0].T @ flat[:, :, 0]
    total = np.zeros((g.shape[1], x.shape[1]), x.dtype)
    one = np.empty_like(total)
    for a, b in zip(gs, flat, strict=True):
        total += np.matmul(a, b.T, out=one)
    return total


# --- the kernels --------------------------------------------------------------------------------


def _plan(x: Array, w: Array, size: Sizes, geometry: Geometry) -> _Plan:
    n, c, oc = x.shape[0], w.shape[1] * geometry.groups, w.shape[0]
    return _Plan(n, c, oc, size, w.shape[2:], geometry)


def _fast(n: int, w_shape: Sizes, size: Sizes, geometry: Geometry, dtype: Any) -> bool:
    """Whether `winograd` takes this one."""
    stride, pads, dilation, groups = geometry
    return (
        dtype == np.float32
        and w_shape[2:] == (3, 3)
        and stride == dilation == (1, 1)
        and groups == 1
        and not exact_convolution()
        and winograd.worthwhile(n, w_shape[1], w_shape[0], size, pads)
    )


def convolve(
    arrays: Sequence[Array], geometry: Geometry, kept: dict[str, Any] | None = None
) -> Array:
    """What the backward pass can use again is left in ``kept``."""
    (x, w, *rest), dtype = _common(arrays)
    b = rest[0] if rest else None
    size = x.shape[2:]
    if _fast(x.shape[0], w.shape, size, geometry, x.dtype):
        y = winograd.convolve(x, w, b, geometry.pads)
    elif _is_pointwise(w.shape[2:], geometry):
        y = _pointwise(x[_stepped(geometry)], w.reshape(w.shape[:2]), b)
    elif depthwise.worthwhile(w.shape, geometry):
        y = depthwise.convolve(x, w, b, result_size(size, w.shape[2:], geometry), geometry)
    else:
        y = _plan(x, w, size, geometry).forward(x, w, b, kept)
    return y.astype(dtype, copy=False)


def convolve_input(arrays: Sequence[Array], size: Sizes, geometry: Geometry) -> Array:
    """As in `Convolution`."""
    (g, w, *b), dtype = _common(arrays)
    if _fast(g.shape[0], w.shape, size, geometry, g.dtype):
        y, _ = winograd.gradients(g, None, w, size, geometry.pads)
    elif _is_pointwise(w.shape[2:], geometry):
        y = _pointwise(g, w.reshape(w.shape[:2]).T, None)
        if any(step > 1 for step in geometry.stride):
            small, y = y, np.zeros((len(g), w.shape[1], *size), g.dtype)
            y[_stepped(geometry)] = small
    elif depthwise.worthwhile(w.shape, geometry):
        y = depthwise.input_gradient(g, w, size, geometry)
    else:
        y = _plan(g, w, size, geometry).input_gradient(g, w)
    if b:
        y += b[0].reshape(-1, *(1,) * len(size))
    return y.astype(dtype, copy=False)


def convolve_weight(
    arrays: Sequence[Array],
    kernel: Sizes,
    geometry: Geometry,
    kept: dict[str, Any] | None = None,
) -> Array:
    """``kept`` is what `convolve` left for the same image."""
    (x, g), dtype = _common(arrays)
    n, c, *size = x.shape
    shape = (g.shape[1], c // geometry.groups, *kernel)
    if _fast(n, shape, tuple(size), geometry, x.dtype):
        _, y = winograd.gradients(g, x, None, tuple(size), geometry.pads)
    elif _is_pointwise(tuple(kernel), geometry):
        y = _pointwise_weight(x[_stepped(geometry)], g).reshape(shape)
    elif depthwise.worthwhile(shape, geometry):
        y = depthwise.weight_gradient(x, g, kernel, geometry)
    else:
        plan = _Plan(n, c, g.shape[1], tuple(size), tuple(kernel), geometry)
        y = plan.weight_gradient(x, g, kept)
    return y.astype(dtype, copy=False)


def convolve_gradients(
    g: Array,
    arrays: Sequence[Array],
    needed: Sequence[bool],
    geometry: Geometry,
    kept: dict[str, Any] | None = None,
) -> list[Array | None]:
    """Of image, weights and bias; what both of the first need is computed once."""
    x, w = arrays[:2]
    gx = gw = None
    size = x.shape[2:]
    same = g.dtype == x.dtype == w.dtype
    if all(needed[:2]) and same and _fast(x.shape[0], w.shape, size, geometry, g.dtype):
        gx, gw = winograd.gradients(g, x, w, size, geometry.pads)
    else:
        gx = convolve_input([g, w], size, geometry) if needed[0] else None
        gw = convolve_weight([x, g], w.shape[2:], geometry, kept) if needed[1] else None
    return [gx, gw, *bias_gradients(np, g, needed)]
