"""Windows that slide over the last dimensions: their maxima and sums, and the adjoints of these.

A maximum over a box is a maximum along one dimension after the other, so each kernel works along
one dimension at a time, the last one first. Then the first element wins among equal ones, in the
order of memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Pooling", "Window", "Windows", "bordered", "cut"]

Array = Any


class Window(NamedTuple):
    """How a window slides along one dimension.

    Attributes:
        size: How many elements it takes.
        stride: How far it moves.
        dilation: How far apart its elements are.
        before: How many places before the array it starts.
        stops: How many places it stops at.
    """

    size: int
    stride: int
    dilation: int
    before: int
    stops: int

    @property
    def length(self) -> int:
        """How many places all windows together go over."""
        return (self.stops - 1) * self.stride + (self.size - 1) * self.dilation + 1


Windows = Sequence[Window]


def cut(axis: int, start: int, stop: int, step: int = 1) -> Any:
    """The key of a slice along ``axis``."""
    return (*((slice(None),) * axis), slice(start, stop, step), ...)


def _border(x: Array, axis: int, before: int, after: int) -> tuple[tuple[int, int], ...]:
    return tuple((before, after) if i == axis else (0, 0) for i in range(x.ndim))


def _slices(xp: Any, x: Array, axis: int, w: Window, value: Any) -> list[Array]:
    """The elements of each window, the first of all windows, the second of all, and so on."""
    reach = (w.stops - 1) * w.stride + 1
    after = max(0, w.length - w.before - x.shape[axis])
    if w.before or after:
        x = xp.pad(x, _border(x, axis, w.before, after), value)
    starts = [j * w.dilation for j in range(w.size)]
    return [xp.get_item(x, cut(axis, a, a + reach, w.stride)) for a in starts]


def _unsliced(xp: Any, parts: list[Array], axis: int, w: Window, n: int) -> Array:
    """Adjoint of `_slices`: ``parts`` added at their places in an array of length ``n``."""
    total = None
    for j, part in enumerate(parts):
        if w.stride > 1:
            part = xp.expand_dims(part, axis=axis + 1)
            part = xp.pad(part, _border(part, axis + 1, 0, w.stride - 1), 0)
            shape = (*part.shape[:axis], w.stops * w.stride, *part.shape[axis + 2 :])
            part = xp.reshape(part, shape)
        at = j * w.dilation - w.before
        first, last = max(0, -at), min(part.shape[axis], n - at)
        if first >= last:
            continue
        part = xp.get_item(part, cut(axis, first, last))
        part = xp.pad(part, _border(part, axis, at + first, n - at - last), 0)
        total = part if total is None else total + part
    if total is None:  # no window meets the array
        zeros = xp.zeros_like(xp.get_item(parts[0], cut(axis, 0, 1)))
        shape = (*zeros.shape[:axis], n, *zeros.shape[axis + 1 :])
        return xp.broadcast_to(zeros, shape)
    return total


def _lowest(xp: Any, dtype: Any) -> Any:
    return -math.inf if xp.is_inexact(dtype) else int(xp.iinfo(dtype).min)


def _climb(xp: Any, x: Array, axis: int, w: Window) -> tuple[Array, list[Array]]:
    """The maxima along ``axis``; for each further element whether it beats those before it.

    NaN beats everything.
    """
    best, *rest = _slices(xp, x, axis, w, _lowest(xp, x.dtype))
    masks = []
    for part in rest:
        masks.append((part > best) | (part != part))
        best = xp.maximum(best, part)
    return best, masks


def _ranked(xp: Any, x: Array, windows: Windows) -> Array:
    """``x`` for comparisons: its elements are above the border's -infinity."""
    if not xp.is_inexact(x.dtype) or not bordered(windows, x.shape):
        return x
    lowest = xp.full_like(x, float(xp.finfo(x.dtype).min))
    return xp.where(x == -math.inf, lowest, x)


def bordered(windows: Windows, shape: Sequence[int]) -> bool:
    """Whether a window reaches over the ends of an array of this shape."""
    sizes = shape[len(shape) - len(windows) :]
    return any(w.before or w.length - w.before > n for w, n in zip(windows, sizes, strict=True))


def _axes(x: Array, windows: Windows) -> list[tuple[int, Window]]:
    """Dimensions and their windows, the last one first."""
    first = x.ndim - len(windows)
    return [(first + i, windows[i]) for i in reversed(range(len(windows)))]


class Pooling:
    """Kernels of sliding windows, in the standard alone."""

    def pool_max(
        self: Any, x: Array, windows: Windows, kept: dict[str, Any] | None = None
    ) -> Array:
        """The maximum of each window over the last dimensions of ``x``.

        In the dict ``kept`` a backend may leave something for `pool_max_spread`.
        """
        for axis, w in _axes(x, windows):
            best, *rest = _slices(self, x, axis, w, _lowest(self, x.dtype))
            for part in rest:
                best = self.maximum(best, part)
            x = best
        return x

    def pool_max_spread(
        self: Any, g: Array, x: Array, windows: Windows, kept: dict[str, Any] | None = None
    ) -> Array:
        """Zeros in the shape of ``x``, with ``g`` added where the maxima of ``x`` are."""
        steps, x = [], _ranked(self, x, windows)
        for axis, w in _axes(x, windows):
            y, masks = _climb(self, x, axis, w)
            steps.append((axis, w, x.shape[axis], masks))
            x = y
        for axis, w, n, masks in reversed(steps):
            parts = []
            for mask in reversed(masks):
                parts.append(self.where(mask, g, self.zeros_like(g)))
                g = self.where(mask, self.zeros_like(g), g)
            g = _unsliced(self, [g, *reversed(parts)], axis, w, n)
        return g

    def pool_max_pick(self: Any, v: Array, x: Array, windows: Windows) -> Array:
        """The elements of ``v`` where the maxima of ``x`` are: adjoint of `pool_max_spread`."""
        x = _ranked(self, x, windows)
        for axis, w in _axes(x, windows):
            y, masks = _climb(self, x, axis, w)
            best, *rest = _slices(self, v, axis, w, 0)
            for mask, part in zip(masks, rest, strict=True):
                best = self.where(mask, part, best)
            x, v = y, best
        return v

    def pool_sum(self: Any, x: Array, windows: Windows) -> Array:
        """The sum of each window over the last dimensions of ``x``."""
        for axis, w in _axes(x, windows):
            total, *rest = _slices(self, x, axis, w, 0)
            for part in rest:
                total = total + part
            x = total
        return x

    def pool_sum_spread(self: Any, g: Array, windows: Windows, shape: tuple[int, ...]) -> Array:
        """Adjoint of `pool_sum`: each element of ``g`` added at all places of its window."""
        for axis, w in reversed(_axes(g, windows)):
            g = _unsliced(self, [g] * w.size, axis, w, shape[axis])
        return g
