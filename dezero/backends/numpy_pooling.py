"""Sliding windows in NumPy: blocks that stay in the cache, and long stretches of memory.

A block is padded and taken apart into the phases of the stride along its last dimension, each a row
of ``_Last.width`` elements. Then every element of the windows is the flat array, moved by some
places. What stands at the ends of rows means nothing and is cut off at last.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .pooling import Window, Windows, bordered, cut
from .scratch import runs

__all__ = ["pool_max", "pool_max_pick", "pool_max_spread", "pool_sum", "pool_sum_spread"]

_BLOCK = 1 << 18  # elements that are worked on at a time: they stay in the cache


class _Last:
    """The last dimension of a block."""

    def __init__(self, w: Window) -> None:
        places = [divmod(j * w.dilation - w.before, w.stride) for j in range(w.size)]
        self.stride, self.stops = w.stride, w.stops
        self.first = min(q for q, _ in places)
        self.taps = [(phase, q - self.first) for q, phase in places]
        self.span = max(shift for _, shift in self.taps)
        self.width = w.stops + self.span

    def places(self, phase: int, n: int) -> tuple[slice, slice]:
        """Where a phase of an array of length ``n`` lies in a row, and where in the array."""
        start = max(0, self.first)
        stop = max(start, min(-(-(n - phase) // self.stride), self.width + self.first))
        x = slice(phase + start * self.stride, phase + stop * self.stride, self.stride)
        return slice(start - self.first, stop - self.first), x


class _Block:
    """Blocks of one shape: how they are padded, cut and put together."""

    def __init__(self, inner: tuple[int, ...], windows: Windows) -> None:
        *self.outer, last = windows
        self.last, self.inner = _Last(last), inner
        lengths = [max(w.length, n + w.before) for w, n in zip(self.outer, inner, strict=False)]
        self.padded = (*lengths, self.last.width)
        self.within = (
            slice(None),
            *(slice(w.before, w.before + n) for w, n in zip(self.outer, inner, strict=False)),
        )
        phases = dict.fromkeys(phase for phase, _ in self.last.taps)
        self.phases = {phase: self.last.places(phase, inner[-1]) for phase in phases}
        reached = (len(range(*here.indices(inner[-1]))) for _, here in self.phases.values())
        self.covers = sum(reached) == inner[-1]  # whether each element is in a phase
        self.as_is = self.last.stride == 1 and self.padded == inner and not self.last.first

    def taken(self, x: np.ndarray, outside: Any) -> list[np.ndarray]:
        """The elements of the windows along the last dimension, as flat arrays."""
        if self.as_is:
            rows = dict.fromkeys(self.phases, x.reshape(-1))
        else:
            rows = {phase: self._row(x, outside, *at) for phase, at in self.phases.items()}
        size = len(next(iter(rows.values()))) - self.last.span
        return [rows[phase][shift : shift + size] for phase, shift in self.last.taps]

    def _row(self, x: np.ndarray, outside: Any, there: slice, here: slice) -> np.ndarray:
        row = np.empty((len(x), *self.padded), x.dtype)
        place = (*self.within, there)
        if self.padded[:-1] != self.inner[:-1] or there.stop - there.start < self.last.width:
            row.fill(outside)
        row[place] = x[..., here]
        return row.reshape(-1)

    def wide(self, rows: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
        """A new array for what comes of the last dimension, and its part that is computed."""
        y = np.empty(rows * math.prod(self.padded), dtype)
        size = y.size - self.last.span
        y[size:] = 0
        return y.reshape((rows, *self.padded)), y[:size]

    def along(self, x: np.ndarray, axis: int, w: Window) -> list[np.ndarray]:
        """The elements of the windows along another dimension."""
        reach = (w.stops - 1) * w.stride + 1
        starts = [j * w.dilation for j in range(w.size)]
        return [x[cut(axis, a, a + reach, w.stride)] for a in starts]

    @property
    def others(self) -> list[tuple[int, Window]]:
        """The other dimensions, the last one first."""
        return [(i + 1, w) for i, w in reversed(list(enumerate(self.outer)))]

    def widened(self, g: np.ndarray) -> np.ndarray:
        """``g`` in rows of full width."""
        if not self.last.span:
            return g
        y = np.zeros((*g.shape[:-1], self.last.width), g.dtype)
        y[..., : self.last.stops] = g
        return y

    def put(self, parts: Iterator[np.ndarray], out: np.ndarray) -> None:
        """Add flat ``parts``, the last first, at their places along the last dimension."""
        rows: dict[int, np.ndarray] = {}
        for (phase, shift), part in zip(reversed(self.last.taps), parts, strict=True):
            if phase not in rows and not self.last.span:
                rows[phase] = part
            elif phase not in rows:
                rows[phase] = np.zeros(len(out) * math.prod(self.padded), out.dtype)
                rows[phase][shift : shift + len(part)] = part
            else:
                place = rows[phase][shift : shift + len(part)]
                np.add(place, part, out=place)
        for phase, row in rows.items():
            there, here = self.phases[phase]
            out[..., here] = row.reshape((len(out), *self.padded))[(*self.within, there)]

    def put_along(self, parts: Iterator[np.ndarray], out: np.ndarray, axis: int, w: Window) -> None:
        """Add ``parts``, the last first, at their places along another dimension."""
        apart = w.stride > (w.size - 1) * w.dilation
        places = self.along(out, axis, w)
        for place, part in zip(reversed(places), parts, strict=True):
            if apart:
                place[...] = part
            else:
                np.add(place, part, out=place)


def _climbed(parts: list[np.ndarray], out: np.ndarray | None = None) -> tuple[np.ndarray, Any]:
    """The maxima of ``parts``, and whether each part but the first beats those before it."""
    best, masks = parts[0], []
    for part in parts[1:]:
        masks.append(part > best)
        best = out = np.maximum(best, part, out=out)
    if masks and best.dtype.kind == "f" and best.size and np.isnan(best.max()):  # NaN beats all
        highest, masks = parts[0], []
        for part in parts[1:]:
            masks.append((part > highest) | np.isnan(part))
            highest = np.maximum(highest, part)
    return best, masks


def _ranked(x: np.ndarray, windows: Windows) -> np.ndarray:
    """``x`` for comparisons: its elements are above the border's -infinity."""
    if x.dtype.kind != "f" or not x.size or not bordered(windows, x.shape) or x.min() > -math.inf:
        return x
    return np.where(x == -math.inf, np.finfo(x.dtype).min, x)


def _won(g: np.ndarray, masks: list[np.ndarray]) -> Iterator[np.ndarray]:
    """``g`` where each part wins, else zero; the last part first.

    Whole numbers are multiplied with the masks, so that infinity and NaN do no harm.
    """
    if g.dtype.itemsize > 8:  # no whole numbers of that size
        for mask in reversed(masks):
            yield np.where(mask, g, 0)
            g = np.where(mask, 0, g)
        yield g
        return
    whole = np.dtype(f"u{g.dtype.itemsize}")
    left = g
    for mask in reversed(masks):
        part = np.multiply(left.view(whole), mask)
        left = np.subtract(left.view(whole), part)
        yield part.view(g.dtype)
    yield left.view(g.dtype)


def _flat(x: np.ndarray, count: int) -> np.ndarray:
    """``x`` with the dimensions before the last ``count`` as one."""
    inner = x.shape[x.ndim - count :]
    return np.ascontiguousarray(x).reshape((math.prod(x.shape[: x.ndim - count]), *inner))


def _steps(rows: int, inner: tuple[int, ...]) -> Iterator[slice]:
    return runs(rows, _BLOCK // max(1, math.prod(inner)))


def _outside(dtype: Any) -> Any:
    return -math.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _reduced(x: np.ndarray, windows: Windows, ufunc: Any, outside: Any) -> np.ndarray:
    lead, counts = x.shape[: x.ndim - len(windows)], tuple(w.stops for w in windows)
    flat = _flat(x, len(windows))
    block = _Block(flat.shape[1:], windows)
    y = np.empty((len(flat), *counts), x.dtype)
    for rows in _steps(len(flat), flat.shape[1:]):
        first, *rest = block.taken(flat[rows], outside)
        part, out = block.wide(rows.stop - rows.start, x.dtype)
        best = first
        for other in rest:
            best = ufunc(best, other, out=out)
        if not rest:
            out[...] = first
        for axis, w in block.others:
            best, *rest = block.along(part, axis, w)
            own = None
            for other in rest:
                best = own = ufunc(best, other, out=own)
            part = best
        y[rows] = part[..., : counts[-1]]
    return y.reshape((*lead, *counts))


def _carried(
    block: _Block,
    g: np.ndarray,
    out: np.ndarray,
    parts: Any,
) -> None:
    """Carry the gradient of one block back into ``out``; ``parts(g, i)`` cuts it in step ``i``."""
    g = block.widened(g)
    shapes = [block.padded]
    for axis, w in block.others:
        shape = list(shapes[-1])
        shape[axis - 1] = w.stops
        shapes.append(tuple(shape))
    for i, (axis, w) in reversed(list(enumerate(block.others))):
        full = w.size == w.stride and w.dilation == 1 and w.length == shapes[i][axis - 1]
        back = (np.empty if full else np.zeros)((len(out), *shapes[i]), g.dtype)
        block.put_along(parts(g, i + 1), back, axis, w)
        g = back
    flat = np.ascontiguousarray(g).reshape(-1)
    block.put(parts(flat[: flat.size - block.last.span], 0), out)


def _chosen(parts: list[np.ndarray], masks: list[np.ndarray]) -> np.ndarray:
    best = parts[0]
    for part, mask in zip(parts[1:], masks, strict=True):
        best = np.where(mask, part, best)
    return best


def _slabs(x: np.ndarray, windows: Windows) -> list[Any] | None:
    """For an array whose memory is in another order, such as that of channels, keys to its parts.

    They are for windows that neither overlap nor reach over the ends; None for others.
    """
    sizes = x.shape[x.ndim - len(windows) :]
    simple = all(
        w.before == 0 and w.dilation == 1 and w.stride >= w.size and w.length <= n
        for w, n in zip(windows, sizes, strict=True)
    )
    if x.flags.c_contiguous or not simple:
        return None
    reach = [(w.stops - 1) * w.stride + 1 for w in windows]
    return [
        (
            ...,
            *(slice(i, i + r, w.stride) for i, r, w in zip(place, reach, windows, strict=True)),
        )
        for place in itertools.product(*(range(w.size) for w in windows))
    ]


class _Climb:
    """Which elements of the windows are the maxima, block by block: that needs few bits.

    Attributes:
        blocks: For each block and each dimension, the last one first, masks as of `_climbed`.
    """

    def __init__(self, x: np.ndarray, windows: Windows) -> None:
        self.windows, self.keys = windows, _slabs(x, windows)
        self.blocks: list[list[list[np.ndarray]]] = []

    def maxima(self, x: np.ndarray) -> np.ndarray:
        """The maximum of each window."""
        if self.keys is not None:
            parts = [x[key] for key in self.keys]
            own = parts[0].copy(order="K")
            _, masks = _climbed(parts, own)
            self.blocks = [[masks]]
            return own
        flat = _flat(x, len(self.windows))
        block = _Block(flat.shape[1:], self.windows)
        y = np.empty((len(flat), *(w.stops for w in self.windows)), x.dtype)
        for rows in _steps(len(flat), flat.shape[1:]):
            part, out = block.wide(rows.stop - rows.start, x.dtype)
            best, masks = _climbed(block.taken(flat[rows], _outside(x.dtype)), out)
            if not masks:
                out[...] = best
            steps = [masks]
            for axis, w in block.others:
                part, masks = _climbed(block.along(part, axis, w))
                steps.append(masks)
            self.blocks.append(steps)
            y[rows] = part[..., : y.shape[-1]]
        return y.reshape((*x.shape[: x.ndim - len(self.windows)], *y.shape[1:]))

    def spread(self, g: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Zeros in the shape of ``x``, with ``g`` added where the maxima were."""
        if self.keys is not None:
            ordered = np.empty_like(x[self.keys[0]], dtype=g.dtype)
            ordered[...] = g
            gx = np.zeros_like(x, dtype=g.dtype)
            for key, part in zip(
                reversed(self.keys), _won(ordered, self.blocks[0][0]), strict=True
            ):
                gx[key] = part
            return gx
        g, inner = _flat(g, len(self.windows)), x.shape[x.ndim - len(self.windows) :]
        block = _Block(inner, self.windows)
        gx = (np.empty if block.covers else np.zeros)((len(g), *inner), g.dtype)
        for rows, steps in zip(_steps(len(g), inner), self.blocks, strict=True):
            _carried(block, g[rows], gx[rows], lambda g, i, steps=steps: _won(g, steps[i]))
        return gx.reshape(x.shape)


def pool_max(x: np.ndarray, windows: Windows, kept: dict[str, Any] | None = None) -> np.ndarray:
    """The maximum of each window; where it is stays in ``kept``."""
    if kept is not None and _ranked(x, windows) is x:
        climb = kept["climb"] = _Climb(x, windows)
        return climb.maxima(x)
    keys = _slabs(x, windows)
    if keys is not None:
        y = x[keys[0]].copy(order="K")
        for key in keys[1:]:
            np.maximum(y, x[key], out=y)
        return y
    return _reduced(x, windows, np.maximum, _outside(x.dtype))


def pool_sum(x: np.ndarray, windows: Windows) -> np.ndarray:
    """The sum of each window."""
    return _reduced(x, windows, np.add, 0)


def pool_max_spread(
    g: np.ndarray, x: np.ndarray, windows: Windows, kept: dict[str, Any] | None = None
) -> np.ndarray:
    """Zeros in the shape of ``x``, with ``g`` added where the maxima of ``x`` are."""
    climb = kept.get("climb") if kept else None
    if climb is None:
        x = _ranked(x, windows)
        climb = _Climb(x, windows)
        climb.maxima(x)
    return climb.spread(g, x)


def pool_sum_spread(g: np.ndarray, windows: Windows, shape: tuple[int, ...]) -> np.ndarray:
    """Each element of ``g`` added at all places of its window."""
    g = _flat(g, len(windows))
    inner = shape[len(shape) - len(windows) :]
    block = _Block(inner, windows)
    sizes = [windows[-1].size, *(w.size for _, w in block.others)]
    gx = (np.empty if block.covers else np.zeros)((len(g), *inner), g.dtype)
    for rows in _steps(len(g), inner):
        _carried(block, g[rows], gx[rows], lambda g, i: iter([g] * sizes[i]))
    return gx.reshape(shape)


def pool_max_pick(v: np.ndarray, x: np.ndarray, windows: Windows) -> np.ndarray:
    """The elements of ``v`` where the maxima of ``x`` are."""
    lead, counts = x.shape[: x.ndim - len(windows)], tuple(w.stops for w in windows)
    x, v = _flat(_ranked(x, windows), len(windows)), _flat(v, len(windows))
    block = _Block(x.shape[1:], windows)
    y = np.empty((len(x), *counts), v.dtype)
    for rows in _steps(len(x), x.shape[1:]):
        part, out = block.wide(rows.stop - rows.start, x.dtype)
        best, masks = _climbed(block.taken(x[rows], _outside(x.dtype)), out)
        if not masks:
            out[...] = best
        values, out = block.wide(rows.stop - rows.start, v.dtype)
        out[...] = _chosen(block.taken(v[rows], 0), masks)
        for axis, w in block.others:
            part, masks = _climbed(block.along(part, axis, w))
            values = _chosen(block.along(values, axis, w), masks)
        y[rows] = values[..., : counts[-1]]
    return y.reshape((*lead, *counts))
