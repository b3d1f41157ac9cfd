"""Convolutions of 3x3 in float32 with many channels, by Winograd's minimal filtering in NumPy.

Tiles of 4x4 results are taken from 6x6 elements with 36 products in place of 144: A. Lavin and
S. Gray, Fast algorithms for convolutional neural networks, 2016, https://arxiv.org/abs/1509.09308.
The largest rounding error is about 3e-6 of the largest result; that of the direct sum 6e-7.
With V = (B'⊗B') d for a tile d of the image and U = (G⊗G) w, the result is (A'⊗A') (U V), products
over channels. The gradients are the adjoints of the same maps, so they share what was transformed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import threads
from .scratch import blocks, scratch

__all__ = ["convolve", "gradients", "worthwhile"]

Array = Any
Pads = tuple[tuple[int, int], ...]

_FLOAT = np.dtype(np.float32)
_NONE: Pads = ((0, 0), (0, 0))
_BLOCK = 1 << 20  # bytes of the transformed tiles of one block
_SPAN = 256  # tiles whose transformed gradients are held at a time


# The maps interpolate polynomials at these points and at infinity. Each point and its reciprocal,
# with both signs, keep the numbers near 1: errors are a fifth of those of the points 1 and 2.
_POINTS = (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)


def _square(rows: list[list[float]]) -> Array:
    """The map of both dimensions of a tile, as one matrix."""
    return np.kron(np.array(rows), np.array(rows)).astype(_FLOAT)


def _without(i: int | None) -> list[float]:
    """The polynomial whose roots are all points but one; lowest power first, six numbers."""
    roots = [p for j, p in enumerate(_POINTS) if j != i]
    found = [float(c) for c in np.polynomial.polynomial.polyfromroots(roots)]
    return found + [0.0] * (6 - len(found))


def _scale(i: int) -> float:
    return float(np.prod([_POINTS[i] - p for j, p in enumerate(_POINTS) if j != i]))


_B = _square([_without(i) for i in (0, 1, 2, 3, 4, None)])
_G = _square([[p**k / _scale(i) for k in range(3)] for i, p in enumerate(_POINTS)] + [[0, 0, 1]])
_A = _square([[*(p**k for p in _POINTS), float(k == 3)] for k in range(4)])
_B_BACK, _A_BACK = (np.ascontiguousarray(m.T) for m in (_B, _A))


def _tiles(size: tuple[int, ...], pads: Pads) -> tuple[int, int, int, int]:
    """Rows and columns of the result, and of its tiles."""
    oh, ow = (n + sum(p) - 2 for n, p in zip(size, pads, strict=True))
    return oh, ow, -(-oh // 4), -(-ow // 4)


def worthwhile(n: int, c: int, oc: int, size: tuple[int, ...], pads: Pads) -> bool:
    """Whether this is faster than the direct sum, by the products that both need."""
    oh, ow, th, tw = _tiles(size, pads)
    direct = n * oh * ow * 9 * c * oc
    tiles = n * th * tw
    return min(c, oc) >= 32 and tiles >= 32 and 1.3 * _products(tiles, c, oc) < direct


def _products(tiles: int, c: int, oc: int) -> int:
    """How many multiply-adds tiles take."""
    return tiles * (36 * c * oc + 36 * 36 * c + 16 * 36 * oc)


def _last(x: Array) -> Array:
    return x.transpose(0, 2, 3, 1)


class _Blocks:
    """Tiles of some images of a batch: blocks of rows of tiles."""

    def __init__(self, part: slice, channels: int, th: int, tw: int) -> None:
        self.part, self.th, self.tw = part, th, tw
        self.most = max(32, 2 * _BLOCK // (36 * 4 * channels))

    def __iter__(self) -> Any:
        """Images, rows of tiles, and the range of tiles that these are."""
        first, start = self.part.start, 0
        sizes = self.part.stop - first, self.th
        for images, rows in blocks(sizes, max(1, self.most // self.tw)):
            count = (images.stop - images.start) * (rows.stop - rows.start) * self.tw
            yield (
                slice(first + images.start, first + images.stop),
                rows,
                slice(start, start + count),
            )
            start += count


def _gathered(x: Array, rows: slice, tw: int, tile: int, pads: Pads) -> Array:
    """Tiles of images whose channels are last: (tile², tiles C), zeros around the images."""
    n, h, w, c = x.shape
    count = rows.stop - rows.start
    height, width = 4 * count + tile - 4, 4 * tw + tile - 4
    top, left = 4 * rows.start - pads[0][0], pads[1][0]
    bottom = min(top + height, h)
    first = max(top, 0)
    whole = top == first and bottom == top + height and left == 0 and width == w
    if whole and x.strides[3] == x.itemsize:
        part = x[:, top:bottom]
    else:
        part = scratch("image", (n, height, width, c), _FLOAT)
        right = min(width, left + w)
        part[:, : first - top] = 0.0
        part[:, max(bottom - top, 0) :] = 0.0
        if bottom > first:
            inside = part[:, first - top : bottom - top]
            inside[:, :, :left] = 0.0
            inside[:, :, right:] = 0.0
            inside[:, :, left:right] = x[:, first:bottom, : right - left]
    s = part.strides
    view = as_strided(
        part, (tile, tile, n, count, tw, c), (s[1], s[2], s[0], 4 * s[1], 4 * s[2], s[3])
    )
    tiles = scratch("tiles", view.shape, _FLOAT)
    np.copyto(tiles, view)
    return tiles.reshape(tile * tile, -1)


def _weights(w: Array) -> Array:
    """(36, O, C)."""
    return np.matmul(_G, w.reshape(-1, 9).T).reshape(36, *w.shape[:2])


def convolve(x: Array, w: Array, b: Array | None, pads: Pads) -> Array:
    """The convolution.

    The transformed image has 2.25 times the size of ``x``: it is not kept for the gradients, whose
    time would be a seventh less.
    """
    n, c, *size = x.shape
    oc = w.shape[0]
    oh, ow, th, tw = _tiles(tuple(size), pads)
    u, xl = _weights(w).swapaxes(1, 2), _last(x)
    y = np.empty((n, oh, ow, oc), _FLOAT)

    def work(part: slice) -> None:
        for images, rows, span in _Blocks(part, c + oc, th, tw):
            tiles = _gathered(xl[images], rows, tw, 6, pads)
            count = span.stop - span.start
            v = scratch("v", (36, count * c), _FLOAT)
            np.matmul(_B, tiles, out=v)
            m = scratch("m", (36, count, oc), _FLOAT)
            np.matmul(v.reshape(36, count, c), u, out=m)
            r = scratch("tiles", (16, count * oc), _FLOAT)
            np.matmul(_A, m.reshape(36, -1), out=r)
            if b is not None:
                r.reshape(-1, oc)[...] += b
            _scattered(y[images], rows, tw, r)

    threads.shared(work, threads.pieces(n, _products(n * th * tw, c, oc)))
    return y.transpose(0, 3, 1, 2)


def _scattered(y: Array, rows: slice, tw: int, tiles: Array) -> None:
    """Write tiles of results where they belong."""
    n, oh, ow, oc = y.shape
    count = rows.stop - rows.start
    top = 4 * rows.start
    bottom = min(top + 4 * count, oh)
    fits = bottom == top + 4 * count and ow == 4 * tw
    part = y[:, top:bottom] if fits else scratch("image", (n, 4 * count, 4 * tw, oc), _FLOAT)
    s = part.strides
    view = as_strided(part, (4, 4, n, count, tw, oc), (s[1], s[2], s[0], 4 * s[1], 4 * s[2], s[3]))
    np.copyto(view, tiles.reshape(view.shape))
    if not fits:
        y[:, top:bottom] = part[:, : bottom - top, :ow]


def gradients(
    g: Array,
    x: Array,
    w: Array,
    size: tuple[int, ...],
    pads: Pads,
) -> tuple[Array, Array]:
    """Gradients of the image, unless ``w`` is None, and of the weights, unless ``x`` is None."""
    n, oc = g.shape[:2]
    c = w.shape[1] if w is not None else x.shape[1]
    _, _, th, tw = _tiles(size, pads)
    gl: Any = _last(g)
    xl: Any = None if x is None else _last(x)
    u: Any = None if w is None else _weights(w)
    gx: Any = None if w is None else np.empty((n, *size, c), _FLOAT)

    def back(images: slice, rows: slice, m: Array, edge: Array | None) -> Array | None:
        """Transformed gradients of results to those of the image."""
        count = m.shape[1] // oc
        v = scratch("v", (36, count, c), _FLOAT)
        np.matmul(m.reshape(36, count, oc), u, out=v)
        tiles = scratch("tiles", (36, count * c), _FLOAT)
        np.matmul(_B_BACK, v.reshape(36, -1), out=tiles)
        return _added(gx[images], rows, tw, tiles, pads, th, edge)

    def images_only(part: slice) -> None:
        edge = None
        for images, rows, span in _Blocks(part, c + oc, th, tw):
            tiles = _gathered(gl[images], rows, tw, 4, _NONE)
            m = scratch("m", (36, (span.stop - span.start) * oc), _FLOAT)
            edge = back(images, rows, np.matmul(_A_BACK, tiles, out=m), edge)

    def weights_too(part: slice) -> Array:
        """The transformed gradient of the weights from some images."""
        group = max(1, _SPAN // (th * tw))
        most = min(group, part.stop - part.start) * th * tw
        all_m, all_v = np.empty((36, most * oc), _FLOAT), np.empty((36, most * c), _FLOAT)
        sums, product = np.zeros((36, oc, c), _FLOAT), np.empty((36, oc, c), _FLOAT)
        for start in range(part.start, part.stop, group):
            edge = None
            some = slice(start, min(start + group, part.stop))
            for images, rows, span in _Blocks(some, c + oc, th, tw):
                tiles = _gathered(gl[images], rows, tw, 4, _NONE)
                m = all_m[:, span.start * oc : span.stop * oc]
                np.matmul(_A_BACK, tiles, out=m)
                if gx is not None:
                    edge = back(images, rows, m, edge)
                tiles = _gathered(xl[images], rows, tw, 6, pads)
                np.matmul(_B, tiles, out=all_v[:, span.start * c : span.stop * c])
            total = (some.stop - some.start) * th * tw
            ms = all_m[:, : total * oc].reshape(36, total, oc)
            vs = all_v[:, : total * c].reshape(36, total, c)
            sums += np.matmul(ms.swapaxes(1, 2), vs, out=product)
        return sums

    parts = threads.pieces(n, _products(n * th * tw, c, oc))
    if xl is None:
        threads.shared(images_only, parts)
        return gx.transpose(0, 3, 1, 2), None
    first, *others = threads.shared(weights_too, parts)
    for other in others:
        first += other
    gw = np.matmul(first.reshape(36, -1).T, _G).reshape(oc, c, 3, 3)
    return None if gx is None else gx.transpose(0, 3, 1, 2), gw


def _added(
    gx: Array, rows: slice, tw: int, tiles: Array, pads: Pads, th: int, edge: Array | None
) -> Array | None:
    """Add overlapping tiles into rows of ``gx``; gives the two rows that the next tiles share."""
    n, h, w, c = gx.shape
    count = rows.stop - rows.start
    part = scratch("image", (n, 4 * count + 4, 4 * tw + 4, c), _FLOAT)
    part[:, 4 * count :] = 0.0
    part[:, :, 4 * tw :] = 0.0
    s = part.strides
    view = as_strided(
        part, (4, 4, n, count + 1, tw + 1, c), (s[1], s[2], s[0], 4 * s[1], 4 * s[2], s[3])
    )
    tiles = tiles.reshape(6, 6, n, count, tw, c)
    view[:, :, :, :count, :tw] = tiles[:4, :4]
    for i, j in ((1, 0), (0, 1), (1, 1)):
        rows_in = slice(4, 6) if i else slice(0, 4)
        columns_in = slice(4, 6) if j else slice(0, 4)
        place = view[: 2 if i else 4, : 2 if j else 4, :, i : i + count, j : j + tw]
        np.add(place, tiles[rows_in, columns_in], out=place)
    if edge is not None:
        part[:, :2] += edge
    end = 4 * count if rows.stop < th else 4 * count + 2
    top = 4 * rows.start - pads[0][0]
    first, last = max(top, 0), min(top + end, h)
    if last > first:
        left = pads[1][0]
        gx[:, first:last] = part[:, first - top : last - top, left : left + w]
    return part[:, 4 * count : 4 * count + 2].copy() if rows.stop < th else None
