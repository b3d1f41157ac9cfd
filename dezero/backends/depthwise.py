"""Convolution of each channel with a kernel of its own, in NumPy.

With the channels last in memory, a row of results is the sum of shifted rows of the image, each
multiplied by the weights of one element of the kernel, over and over; ``einsum`` adds such products
in one pass. Blocks of images are padded in memory that stays in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import threads
from .convolution import Geometry, Sizes
from .scratch import runs, scratch

__all__ = ["convolve", "input_gradient", "weight_gradient", "worthwhile"]

Array = Any

_BLOCK = 1 << 20  # bytes of the padded images of one block
_COST = 5  # times that of a multiply-add of a matrix product


def worthwhile(w_shape: Sizes, geometry: Geometry) -> bool:
    """Whether each channel has one kernel, and there are enough of them."""
    return w_shape[1] == 1 and w_shape[0] == geometry.groups >= 8


class _Rows:
    """Images on a ground of zeros, and the windows on them.

    ``starts`` and ``steps`` say where the elements of an image lie in each dimension of the ground.
    """

    def __init__(
        self, x: Array, full: Sizes, starts: Sizes, steps: Sizes, kernel: Sizes, result: Sizes
    ) -> None:
        self.x = np.moveaxis(x, 1, -1)
        self.full, self.kernel, self.result = full, kernel, result
        self.c = x.shape[1]
        at, of = [], []
        for n, size, start, step in zip(x.shape[2:], full, starts, steps, strict=True):
            first = max(0, -(start // step))
            last = max(first, min(n, (size - 1 - start) // step + 1))
            of.append(slice(first, last))
            at.append(slice(start + step * first, max(0, start + step * (last - 1) + 1), step))
        self.at, self.of = (slice(None), *at), tuple(of)

    def blocks(self, part: slice) -> Iterator[slice]:
        size = math.prod(self.full) * self.c * self.x.dtype.itemsize
        for block in runs(part.stop - part.start, _BLOCK // max(1, size)):
            yield slice(part.start + block.start, part.start + block.stop)

    def windows(self, block: slice, stride: Sizes, dilation: Sizes) -> Array:
        """(N, *R, *K, C); with steps of 1 the last of R is with C in one row."""
        count = block.stop - block.start
        ground = scratch("image", (count, *self.full, self.c), self.x.dtype)
        ground[...] = 0
        ground[self.at] = self.x[(block, *self.of)]
        first, *steps, item = ground.strides
        shape, strides = (count, *self.result), [first]
        strides += [s * n for s, n in zip(stride, steps, strict=True)]
        inner = [d * n for d, n in zip(dilation, steps, strict=True)]
        last = self.c
        if _in_rows(stride):
            shape, last = shape[:-1], self.result[-1] * self.c
            strides.pop()
        return as_strided(ground, (*shape, *self.kernel, last), (*strides, *inner, item))


def _in_rows(stride: Sizes) -> bool:
    return stride[-1] == 1


def _rows_of(weights: Array, width: int) -> Array:
    """Weights (*K, C) as often in a row as it has results."""
    *kernel, c = weights.shape
    wide = np.broadcast_to(weights[..., None, :], (*kernel, width, c))
    return np.ascontiguousarray(wide).reshape(*kernel, width * c)


def _letters(rank: int, stride: Sizes) -> tuple[list[int], list[int], int]:
    """Numbers of the dimensions of `windows`: (N, *R), *K and the last."""
    outer = list(range(1 + rank - _in_rows(stride)))
    return outer, list(range(10, 10 + rank)), 20


def _products(
    rows: _Rows, weights: Array, b: Array | None, stride: Sizes, dilation: Sizes
) -> Array:
    """Windows times weights (*K, C), summed over the kernel: (N, C, *R)."""
    n = len(rows.x)
    y = np.empty((n, *rows.result, rows.c), rows.x.dtype)
    wide = _rows_of(weights, rows.result[-1]) if _in_rows(stride) else weights
    outer, kernel, last = _letters(len(rows.kernel), stride)

    def work(part: slice) -> None:
        for block in rows.blocks(part):
            out = y[block]
            view = rows.windows(block, stride, dilation)
            flat = out.reshape(*view.shape[: len(outer)], view.shape[-1])
            np.einsum(
                view, [*outer, *kernel, last], wide, [*kernel, last], [*outer, last], out=flat
            )
            if b is not None:
                out += b

    threads.shared(work, threads.pieces(n, _COST * y.size * math.prod(rows.kernel)))
    return np.moveaxis(y, -1, 1)


def _padded(x: Array, kernel: Sizes, result: Sizes, geometry: Geometry) -> _Rows:
    pads = geometry.pads
    full = tuple(n + sum(p) for n, p in zip(x.shape[2:], pads, strict=True))
    return _Rows(x, full, tuple(p for p, _ in pads), (1,) * len(pads), kernel, result)


def convolve(x: Array, w: Array, b: Array | None, result: Sizes, geometry: Geometry) -> Array:
    """The convolution."""
    weights = np.ascontiguousarray(np.moveaxis(w[:, 0], 0, -1))
    rows = _padded(x, w.shape[2:], result, geometry)
    return _products(rows, weights, b, geometry.stride, geometry.dilation)


def input_gradient(g: Array, w: Array, size: Sizes, geometry: Geometry) -> Array:
    """The gradient of the image: the convolution of gradients ``stride`` apart, turned around."""
    kernel = w.shape[2:]
    reach = [d * (k - 1) for d, k in zip(geometry.dilation, kernel, strict=True)]
    full = tuple(n + r for n, r in zip(size, reach, strict=True))
    starts = tuple(r - p for r, (p, _) in zip(reach, geometry.pads, strict=True))
    rows = _Rows(g, full, starts, geometry.stride, kernel, size)
    turned = np.flip(w[:, 0], axis=tuple(range(1, w.ndim - 1)))
    weights = np.ascontiguousarray(np.moveaxis(turned, 0, -1))
    return _products(rows, weights, None, (1,) * len(kernel), geometry.dilation)


def weight_gradient(x: Array, g: Array, kernel: Sequence[int], geometry: Geometry) -> Array:
    """The gradient of the weights, (C, 1, *K)."""
    kernel, stride = tuple(kernel), geometry.stride
    rows = _padded(x, kernel, g.shape[2:], geometry)
    gl = np.moveaxis(g, 1, -1)
    outer, inner, last = _letters(len(kernel), stride)

    def work(part: slice) -> Array:
        total = np.zeros((*kernel, rows.c), x.dtype)
        for block in rows.blocks(part):
            view = rows.windows(block, stride, geometry.dilation)
            flat = np.ascontiguousarray(gl[block])
            flat = flat.reshape(*view.shape[: len(outer)], view.shape[-1])
            sums = np.einsum(view, [*outer, *inner, last], flat, [*outer, last], [*inner, last])
            total += sums.reshape(*kernel, -1, rows.c).sum(axis=-2)
        return total

    first, *others = threads.shared(
        work, threads.pieces(len(x), _COST * g.size * math.prod(kernel))
    )
    for other in others:
        first += other
    return np.ascontiguousarray(np.moveaxis(first, -1, 0))[:, None]
