"""Normalization in NumPy, in blocks that stay in the cache: few passes over memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .scratch import runs, scratch, unbuffered

__all__ = ["kind", "normalize", "normalize_gradients"]

Axes = tuple[int, ...]
_BLOCK = 1 << 18  # elements that are worked on at a time: they stay in the last cache
_LARGE = 1 << 21  # those whose statistics are taken at a time: Python's share is small
_WIDE = 256  # rows of so many elements are long enough for a loop of their own


def _by_row(ufunc: Any, x: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
    """``ufunc`` of each row of a matrix and its value; ``out`` is ``x`` itself or apart from it."""
    values = values.reshape(-1, 1)
    if x.shape[1] >= _WIDE:
        ufunc(x, values, out=out)
        return
    spread = scratch("spread", x.shape, x.dtype) if out is x else out
    np.copyto(spread, values)
    ufunc(x, spread, out=out)


def _by_column(ufunc: Any, x: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
    """``ufunc`` of the flat ``x`` and the values, again and again."""
    whole = x.size - x.size % values.size
    long = (-1, values.size)
    ufunc(x[:whole].reshape(long), values, out=out[:whole].reshape(long))
    if whole < x.size:
        ufunc(x[whole:], values[: x.size - whole], out=out[whole:])


def _long(values: Any, size: int) -> Any:
    """The values for `_by_column` of ``size`` numbers: again and again, as makes a long row."""
    if values is None or values.size >= 1024 or size < 1 << 13:
        return values
    return np.concatenate((values,) * (2048 // values.size))


def _stretches(x: np.ndarray, most: int) -> list[slice]:
    """Slices of the rows of a matrix, of about ``most`` elements each."""
    rows, d = x.shape
    return list(runs(rows, most // max(1, d)))


def _parts(n: int, c: int, s: int) -> Iterator[tuple[slice, slice]]:
    """Slices of the first two dimensions that are stretches of memory, and fit the cache."""
    each = min(c, max(1, _BLOCK // max(1, s)))
    step = _BLOCK // max(1, c * s) if each == c else 1
    for channels in runs(c, each):
        for images in runs(n, step):
            yield images, channels


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sums of ``a * b`` over the last of two dimensions."""
    if a.shape[1] >= 96:
        return np.vecdot(a, b)
    ones, result = np.ones(a.shape[1], a.dtype), np.empty(len(a), a.dtype)
    for rows in _stretches(a, _BLOCK):
        buffer = scratch("products", a[rows].shape, a.dtype)
        np.matmul(np.multiply(a[rows], b[rows], out=buffer), ones, out=result[rows])
    return result


def _combined(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``values @ x``, in pieces that are added in double precision."""
    if len(x) <= 1024:
        return values @ x
    sums = [values[k] @ x[k] for k in runs(len(x), 1024)]
    return np.stack(sums).sum(axis=0, dtype=np.float64)


def _near(square: np.ndarray, var: np.ndarray) -> bool:
    """Whether a mean square less the ``square`` of the mean has lost no digits that matter."""
    return bool(np.logical_and.reduce(square <= 4.0 * var))


class _Batch:
    """Batch normalization of an array (N, C, S).

    Parts are stretches of memory: some channels of one image, or all of some images. Their long
    rows are those of a channel, or of all channels with one value for each of their elements.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.n, self.c, self.s = shape
        self.dtype = dtype
        self.parts = list(_parts(*shape))
        self.count = self.parts[0][0].stop

    def spread(self, values: np.ndarray) -> np.ndarray:
        """One value for each channel as `apply` takes them."""
        values = values.astype(self.dtype, copy=False)
        if self.s >= _WIDE:
            return np.tile(values, self.count)
        return _long(np.repeat(values, self.s), self.n * self.c * self.s)

    def chunks(self, *values: np.ndarray) -> Iterator[tuple[Any, ...]]:
        """The parts, and ``values`` spread for each."""
        last, wide = None, []
        for n, c in self.parts:
            if c is not last and c != last:
                last, wide = c, [self.spread(v[c]) for v in values]
            yield n, c, *wide

    def apply(self, ufunc: Any, x: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
        """``ufunc`` of a part and the value of each channel."""
        x, out = x.reshape(-1), out.reshape(-1)
        if self.s < _WIDE:
            _by_column(ufunc, x, values, out)
        else:
            rows = x.reshape(-1, self.s)
            ufunc(rows, values[: len(rows), None], out=out.reshape(-1, self.s))

    def sums(self, x: np.ndarray) -> np.ndarray:
        """The sums of a part over everything but the channels."""
        count = len(x)
        if self.s < 64:
            x, count = _combined(np.ones(count, x.dtype), x.reshape(count, -1)), 1
        rows = x.reshape(-1, self.s) @ np.ones(self.s, x.dtype)
        return rows.reshape(count, -1).sum(axis=0, dtype=np.float64)

    def products(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The sums of ``a * b``."""
        if self.s < _WIDE:
            buffer = scratch("products", a.shape, self.dtype)
            return self.sums(np.multiply(a, b, out=buffer))
        rows = np.vecdot(a.reshape(-1, self.s), b.reshape(-1, self.s))
        return rows.reshape(len(a), -1).sum(axis=0, dtype=np.float64)

    def moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance.

        By the mean square, and where that would lose digits, as the mean is far from 0, by that of
        the differences to the mean of the first image.
        """
        mean, var = self.rough_moments(x, None)
        if not _near(mean * mean, var):
            start = (x[0].sum(axis=1) / self.s).astype(self.dtype)
            mean, var = self.rough_moments(x, start)
            mean = mean + start
        few = (1, self.c, 1)
        return mean.astype(self.dtype).reshape(few), var.astype(self.dtype).reshape(few)

    def rough_moments(self, x: np.ndarray, start: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the differences to ``start``, by their squares."""
        total, square = np.zeros(self.c), np.zeros(self.c)
        for n, c, *near in self.chunks(*([] if start is None else [start])):
            part = x[n, c]
            for values in near:
                rough = scratch("rough", part.shape, self.dtype)
                self.apply(np.subtract, part, values, rough)
                part = rough
            total[c] += self.sums(part)
            square[c] += self.products(part, part)
        count = self.n * self.s
        mean = total / count
        return mean, np.maximum(square / count - mean * mean, 0.0)

    def normalize(self, x: np.ndarray, mean: Any, scale: Any, shift: Any) -> np.ndarray:
        """``(x - mean) * scale + shift`` as ``x * scale`` and a sum."""
        y = np.empty(x.shape, self.dtype)
        level = -mean.astype(np.float64) * scale + (0.0 if shift is None else shift)
        for n, c, factor, term in self.chunks(scale, level):
            out = y[n, c]
            self.apply(np.multiply, x[n, c], factor, out)
            self.apply(np.add, out, term, out)
        return y

    def gradients(
        self,
        g: np.ndarray,
        x: np.ndarray,
        mean: Any,
        inv: Any,
        scale: Any,
        fixed: bool,
        summed: bool,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The gradients of array, scale and shift; the last two are 0 if not ``summed``."""
        total, product = np.zeros(self.c), np.zeros(self.c)
        for n, c in self.parts if summed else ():
            gs = g[n, c]
            total[c] += self.sums(gs)
            product[c] += self.products(x[n, c], gs)
        mean, inv = mean.astype(np.float64), inv.astype(np.float64)
        product = (product - mean * total) * inv
        whole = inv * scale
        gx = np.empty(x.shape, self.dtype)
        if fixed:
            for n, c, factor in self.chunks(whole):
                self.apply(np.multiply, g[n, c], factor, gx[n, c])
            return gx, product, total
        slope = -whole * inv * product / (self.n * self.s)
        level = -whole * total / (self.n * self.s) - mean * slope
        for n, c, factor, tilt, term in self.chunks(whole, slope, level):
            out = gx[n, c]
            self.apply(np.multiply, x[n, c], tilt, out)
            self.apply(np.add, out, term, out)
            buffer = scratch("rough", out.shape, self.dtype)
            self.apply(np.multiply, g[n, c], factor, buffer)
            np.add(out, buffer, out=out)
        return gx, product, total


def _layout(x: np.ndarray) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The order of the dimensions in memory, and the shape as of `_Batch` in that order.

    With the channels last, and with the images last, there are simply other numbers of images.
    """
    n, c, s = x.shape
    if not x.flags.c_contiguous:
        if x.transpose(0, 2, 1).flags.c_contiguous:
            return (0, 2, 1), (n * s, c, 1)
        if x.transpose(1, 2, 0).flags.c_contiguous:
            return (1, 2, 0), (1, c, s * n)
    return (0, 1, 2), (n, c, s)


def _arranged(x: np.ndarray, order: Any, shape: Any) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(order)).reshape(shape)


def _back(x: np.ndarray, order: Any, shape: Any) -> np.ndarray:
    """The inverse of `_arranged`."""
    x = x.reshape([shape[i] for i in order])
    return x.transpose([order.index(i) for i in range(3)])


def _batch(
    x: np.ndarray, scale: Any, shift: Any, axes: Axes, eps: float, kept: dict[str, Any]
) -> np.ndarray:
    order, shape = _layout(x)
    part, batch = _arranged(x, order, shape), _Batch(shape, x.dtype)
    if axes:
        mean, var = batch.moments(part)
        kept.update(mean=mean, var=var, inv=1.0 / np.sqrt(var + eps))
    inv = kept["inv"].reshape(-1)
    whole = inv if scale is None else inv * scale
    y = batch.normalize(part, kept["mean"].reshape(-1), whole, shift)
    return _back(y, order, x.shape)


def _batch_gradients(
    g: np.ndarray, x: np.ndarray, scale: Any, mean: Any, inv: Any, fixed: bool, summed: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order, shape = _layout(x)
    g, part = _arranged(g, order, shape), _arranged(x, order, shape)
    factor, mean, inv = 1.0 if scale is None else scale, mean.reshape(-1), inv.reshape(-1)
    batch = _Batch(shape, x.dtype)
    gx, product, total = batch.gradients(g, part, mean, inv, factor, fixed, summed)
    return _back(gx, order, x.shape), product, total


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each row of a matrix.

    By the mean square, and where that would lose digits, as the mean is far from 0, once more.
    """
    n = x.shape[1]
    ones = np.ones(n, x.dtype)
    mean = (x @ ones) / n
    square = mean * mean
    var = _dots(x, x) / n - square
    if not _near(square, var):
        rest, near = np.empty_like(mean), mean
        for rows in _stretches(x, _BLOCK):
            part = x[rows]
            rough = scratch("rough", part.shape, x.dtype)
            _by_row(np.subtract, part, near[rows], rough)
            rest[rows] = rough @ ones  # what rounding left of the mean
            var[rows] = _dots(rough, rough)
        rest /= n
        mean, var = near + rest, np.maximum(var / n - rest * rest, 0.0)
    return mean, var


def _layer(
    x: np.ndarray, scale: Any, shift: Any, eps: float, centered: bool
) -> tuple[np.ndarray, Any, np.ndarray]:
    """Layer normalization of a matrix; its means if they are subtracted, 1 over the deviations."""
    d = x.shape[1]
    y, inv = np.empty_like(x), np.empty((len(x), 1), x.dtype)
    mean = np.empty((len(x), 1), x.dtype) if centered else None
    factor, term = _long(scale, x.size), _long(shift, x.size)
    for rows in _stretches(x, _LARGE):
        xs, ys = x[rows], y[rows]
        if mean is None:
            var, level = _dots(xs, xs) / d, None
        else:
            mean[rows, 0], var = _moments(xs)
        root = inv[rows, 0] = 1.0 / np.sqrt(var + eps)
        if mean is not None:
            level = -mean[rows, 0] * root
        for k in _stretches(xs, _BLOCK):
            out = ys[k]
            _by_row(np.multiply, xs[k], root[k], out)
            if level is not None:
                _by_row(np.add, out, level[k], out)
            out = out.reshape(-1)
            if factor is not None:
                _by_column(np.multiply, out, factor, out)
            if term is not None:
                _by_column(np.add, out, term, out)
    return y, mean, inv


def _layer_gradients(
    g: np.ndarray, x: np.ndarray, scale: Any, mean: Any, inv: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    d = x.shape[1]
    gx = np.empty_like(x)
    product, total = np.zeros(d), np.zeros(d)
    weights = np.ones(d, x.dtype) if scale is None else scale
    factor = _long(scale, x.size)
    for rows in _stretches(x, _LARGE):
        xs, gs, gxs, root = x[rows], g[rows], gx[rows], inv[rows, 0]
        slope, level = np.empty_like(root), None
        blocks = _stretches(xs, _BLOCK)
        for k in blocks:
            both = scratch("rough", xs[k].shape, x.dtype)
            np.multiply(xs[k], gs[k], out=both)
            np.matmul(both, weights, out=slope[k])
            product += _combined(root[k], both)
        slope *= root
        if mean is not None:
            middle = mean[rows, 0] * root
            sums = gs @ weights
            product -= _combined(middle, gs)
            slope -= sums * middle
            level = (slope * middle - sums) * (root / d)
        total += _combined(np.ones(len(gs), x.dtype), gs)
        slope *= root * root / -d
        for k in blocks:
            out = gxs[k]
            _by_row(np.multiply, xs[k], slope[k], out)
            if level is not None:
                _by_row(np.add, out, level[k], out)
            buffer = scratch("rough", out.shape, x.dtype)
            _by_row(np.multiply, gs[k], root[k], buffer)
            if factor is not None:
                flat = buffer.reshape(-1)
                _by_column(np.multiply, flat, factor, flat)
            np.add(out, buffer, out=out)
    return gx, product, total


def _group(
    x: np.ndarray, scale: Any, shift: Any, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group normalization of an array (N, G, K, S)."""
    n, groups, k, s = x.shape
    y, x = np.empty_like(x), x.reshape(n * groups, k * s)
    mean, inv = np.empty((n * groups, 1), x.dtype), np.empty((n * groups, 1), x.dtype)
    factor, term = (
        None if a is None else np.tile(a.reshape(groups, k), (n, 1)) for a in (scale, shift)
    )
    for rows in _stretches(x, _LARGE):
        xs, ys = (a.reshape(x.shape)[rows].reshape(-1, s) for a in (x, y))
        m, var = _moments(x[rows])
        mean[rows, 0], inv[rows, 0] = m, 1.0 / np.sqrt(var + eps)
        whole = inv[rows] if factor is None else inv[rows] * factor[rows]
        level = -mean[rows] * whole if term is None else term[rows] - mean[rows] * whole
        whole, level = (np.broadcast_to(a, (len(m), k)).reshape(-1) for a in (whole, level))
        for i in _stretches(xs, _BLOCK):
            out = ys[i]
            _by_row(np.multiply, xs[i], whole[i], out)
            _by_row(np.add, out, level[i], out)
    few = (n, groups, 1, 1)
    return y, mean.reshape(few), inv.reshape(few)


def _group_gradients(
    g: np.ndarray, x: np.ndarray, scale: Any, mean: np.ndarray, inv: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, groups, k, s = x.shape
    gx, size = np.empty_like(x), k * s
    mean, inv = mean.reshape(-1, 1), inv.reshape(-1, 1)
    product, total = np.empty((n * groups, k), x.dtype), np.empty((n * groups, k), x.dtype)
    ones = np.ones(s, x.dtype)
    weights = np.ones((groups, k), x.dtype) if scale is None else scale.reshape(groups, k)
    weights = np.tile(weights, (n, 1))
    for rows in _stretches(x.reshape(-1, size), _LARGE):
        xs, gs, gxs = (a.reshape(-1, size)[rows].reshape(-1, s) for a in (x, g, gx))
        root, own, few = inv[rows], weights[rows], total[rows].shape
        middle = mean[rows] * root
        sums = total[rows] = (gs @ ones).reshape(few)
        products = product[rows] = _dots(xs, gs).reshape(few) * root - sums * middle
        slope = (own * products).sum(axis=1, keepdims=True) * (-root / size)
        level = (own * sums).sum(axis=1, keepdims=True) * (-root / size) - middle * slope
        slope, level = (np.repeat(a, k) for a in (slope * root, level))
        whole = (root * own).reshape(-1)
        for i in _stretches(xs, _BLOCK):
            out = gxs[i]
            _by_row(np.multiply, xs[i], slope[i], out)
            _by_row(np.add, out, level[i], out)
            buffer = scratch("rough", out.shape, x.dtype)
            _by_row(np.multiply, gs[i], whole[i], buffer)
            np.add(out, buffer, out=out)
    shape = (n, groups, k)
    return gx, *(a.reshape(shape).sum(axis=0, dtype=np.float64) for a in (product, total))


def kind(x: np.ndarray, axes: Axes, centered: bool) -> str:
    """Which of the kernels here are for ``x``; none for other shapes and dtypes."""
    if x.dtype.kind != "f" or not x.size:
        return ""
    if x.ndim == 2 and axes == (1,):
        return "layer"
    if not centered:
        return ""
    if x.ndim == 3 and axes in ((0, 2), ()):
        return "batch"
    return "group" if x.ndim == 4 and axes == (2, 3) else ""


@unbuffered
def normalize(
    arrays: Any, kind: str, axes: Axes, eps: float, centered: bool, kept: dict[str, Any]
) -> np.ndarray:
    """`Normalization.normalize` for arrays of one dtype."""
    scale, shift = (*(a.reshape(-1) for a in arrays[1:]), None, None)[:2]
    if kind == "batch":
        return _batch(arrays[0], scale, shift, axes, eps, kept)
    x = np.ascontiguousarray(arrays[0])
    if kind == "layer":
        y, kept["mean"], kept["inv"] = _layer(x, scale, shift, eps, centered)
    else:
        y, kept["mean"], kept["inv"] = _group(x, scale, shift, eps)
    return y


@unbuffered
def normalize_gradients(
    g: Any, arrays: Any, kind: str, axes: Axes, kept: dict[str, Any], needed: tuple[bool, ...]
) -> list[Any]:
    """`Normalization.normalize_gradients` for arrays of one dtype."""
    scale = arrays[1].reshape(-1) if len(arrays) > 1 else None
    mean, inv = kept["mean"], kept["inv"]
    if kind == "batch":
        summed = bool(axes) or any(needed[1:])
        results = _batch_gradients(g, arrays[0], scale, mean, inv, not axes, summed)
    else:
        x, g = np.ascontiguousarray(arrays[0]), np.ascontiguousarray(g)
        gradients = _layer_gradients if kind == "layer" else _group_gradients
        results = gradients(g, x, scale, mean, inv)
    return [
        d.astype(a.dtype, copy=False).reshape(a.shape) if wanted else None
        for d, a, wanted in zip(results, arrays, needed, strict=False)
    ]
