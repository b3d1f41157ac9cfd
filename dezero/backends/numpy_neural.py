"""The kernels of `Neural` for NumPy: in place, block by block, in the processor's cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .neural import ROOT, TINY, Neural
from .scratch import runs, unbuffered

__all__ = ["NumPyNeural", "select"]

_BLOCK = 1 << 16  # numbers: a few buffers of them stay in the cache, and calls cost little beside
_FEW = 1 << 14  # up to so many are not worth blocks of rows
_SHORT = 32  # rows up to this length are too short for calls that work row by row
_MIXED = 4096  # numbers from which on choosing by bits is faster than `np.where`
_SLOPE = 512  # numbers from which on `sigmoid_grad` pays
_WIDE = 16  # rows from this width on are added together where they can be
_LONG = 512  # from this length on a column is not copied for them
_UNBUFFERED = {f: unbuffered(f) for f in (np.divide, np.multiply, np.subtract)}
_WHOLE: dict[Any, Any] = {  # whole numbers times truth values choose, whatever their bits mean
    np.dtype(np.float32): np.dtype(np.uint32),
    np.dtype(np.float64): np.dtype(np.uint64),
}

# The normal distribution function less one half is near x P(x^2) / Q(x^2), for sizes to 5.6 within
# 1e-8, where it is one half exactly: a least-squares fit, weighted anew until its extremes are
# equal. Highest power first.
_EDGE = 5.6
_P = (
    2.217335127e-08,
    6.338726943e-06,
    0.0001726551294,
    0.004700085845,
    0.0342688633,
    0.3989422485,
)
_Q = (
    1.179685382e-06,
    7.466468919e-05,
    0.001906372184,
    0.02887704763,
    0.2525652548,
    1.0,
)


def _parts(*arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Blocks of the same places of all arrays; the first is written to, and it has no gaps."""
    first = arrays[0]
    n = first.size
    if n <= _BLOCK:
        yield arrays
        return
    if not first.flags.c_contiguous:  # the others are most likely in its order, too
        order = sorted(range(first.ndim), key=lambda i: -first.strides[i])
        arrays = tuple([a.transpose(order) for a in arrays])
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    for part in runs(n, _BLOCK):
        yield tuple([a[part] for a in flat])


def _rows(n: int, width: int) -> Iterator[slice]:
    return runs(n, 2 * _BLOCK // max(width, 1))


def select(condition: Any, a: Any, b: Any) -> Any:
    """``np.where``; of many numbers by their bits, as its branches are slow where they mix."""
    try:
        alike = condition.shape == a.shape == b.shape and a.dtype == b.dtype
        whole = _WHOLE[a.dtype] if alike and condition.dtype == np.bool_ else None
    except (AttributeError, KeyError):  # a number, or another dtype
        return np.where(condition, a, b)
    if whole is None or a.size < _MIXED:
        return np.where(condition, a, b)
    y = np.empty_like(a, whole, subok=False)
    for y_, c_, a_, b_ in _parts(y, condition, a, b):
        b_ = b_.view(whole)
        np.subtract(a_.view(whole), b_, out=y_)
        y_ *= c_
        y_ += b_
    return y.view(a.dtype)


def _by_row(ufunc: Any, x: Any, values: Any, out: Any) -> None:
    """``ufunc`` of each row of a matrix and its value; ``x`` and ``out`` have no gaps."""
    width = x.shape[1]
    if width <= _SHORT:
        ufunc(x.reshape(-1), np.repeat(values, width), out=out.reshape(-1))
    else:
        (_UNBUFFERED[ufunc] if width >= _LONG else ufunc)(x, values[:, None], out)


def _tops(rows: Any) -> Any:
    """The largest number of each row; of short rows by columns, which is faster."""
    if rows.shape[1] > _SHORT:
        return np.maximum.reduce(rows, axis=1)
    return np.maximum.reduce(np.array(rows.T, order="C"), axis=0)


def _tame(sums: Any) -> bool:
    """Whether these are sums of exponentials that did not overflow, nor vanish where it matters."""
    return bool(np.minimum.reduce(sums) >= 1e-3 and np.maximum.reduce(sums) <= 1e20)


def _bounded(top: Any) -> Any:
    return np.where(top == -math.inf, top.dtype.type(0), top)


def _finite(top: Any) -> Any:
    return np.where(np.isfinite(top), top, top.dtype.type(0))


def _has_long_rows(x: Any, axis: int) -> bool:
    """Whether softmax along ``axis`` of ``x`` is worth blocks of rows."""
    return axis % x.ndim == x.ndim - 1 and x.size > _FEW and x.dtype.itemsize >= 4


def _rows_fit(g: Any, y: Any, axis: Any) -> bool:
    """Whether a gradient along ``axis`` of ``y`` is worth blocks of rows."""
    alike = y.dtype.kind == "f" and g.dtype == y.dtype and g.shape == y.shape
    return alike and y.size > _FEW and isinstance(axis, int) and axis % y.ndim == y.ndim - 1


def _softmax_rows(x: Any, y: Any, empty: bool) -> Any:
    """Softmax along the last axis into ``y``; ``empty``: a row of minus infinity is 0."""
    width = x.shape[-1]
    rows, result, ones = x.reshape(-1, width), y.reshape(-1, width), np.ones(width, x.dtype)
    e = rows[:0]
    with np.errstate(over="ignore"):
        for part in _rows(len(rows), width):
            v = rows[part]
            e = e[: len(v)] if len(v) <= len(e) else np.empty(v.shape, v.dtype)
            total = np.dot(np.exp(v, out=e), ones)
            if not _tame(total):
                _by_row(np.subtract, v, _bounded(_tops(v)), e)
                total = np.dot(np.exp(e, out=e), ones)
                if empty:
                    total[total == 0.0] = 1.0
            _by_row(np.divide, e, total, result[part])
    return y


def _matrices(lead: tuple[int, ...], *arrays: Any) -> Iterator[tuple[Any, list[Any]]]:
    """The matrices of arrays with the leading dimensions ``lead``, which may be broadcast."""
    wide = [a if a is None else np.broadcast_to(a, (*lead, *a.shape[-2:])) for a in arrays]
    for i in np.ndindex(lead):
        yield i, [a if a is None else a[i] for a in wide]


def _first_rows(y: Any, places: Any, rows: Any) -> tuple[Any, Any]:
    """Add rows to the zeros ``y`` while most are the first ones of their places; the others."""
    table, empty = np.empty(len(y), np.intp), True
    while len(places):
        order = np.arange(len(places))
        table[places[::-1]] = order[::-1]  # of those with one place the last one stays
        first = table[places] == order
        if 2 * np.count_nonzero(first) < len(places):
            break
        at, new = places[first], rows[first]
        y[at] = new if empty else y[at] + new
        places, rows, empty = places[~first], rows[~first], False
    return places, rows


def _horner(u: Any, coefficients: tuple[float, ...], out: Any) -> Any:
    np.multiply(u, coefficients[0], out=out)
    out += coefficients[1]
    for c in coefficients[2:]:
        out *= u
        out += c
    return out


def _distribution(x: Any, p: Any, c: Any, u: Any) -> Any:
    """The normal distribution function of ``x`` in ``p``, less one half, in single precision."""
    p.fill(_EDGE)  # the extremes of two arrays are found faster than those of one and a number
    np.minimum(x, p, out=c)
    p.fill(-_EDGE)
    np.maximum(c, p, out=c)
    np.multiply(c, c, out=u)
    _horner(u, _P, p)
    p *= c
    p /= _horner(u, _Q, c)
    return p


class NumPyNeural(Neural):
    """What NumPy's backend has of its own."""

    attention_block = (1 << 16, 256)
    recurrent_cells = ("lstm", "gru")

    def only(self, x: Any, condition: Any) -> Any:
        whole = _WHOLE.get(x.dtype)
        if whole is None or x.shape != np.shape(condition):
            return np.where(condition, x, x.dtype.type(0))
        return np.multiply(x.view(whole), condition).view(x.dtype)

    def sigmoid(self, x: Any) -> Any:
        if x.dtype.kind != "f":
            return super().sigmoid(x)
        y = np.empty_like(x, subok=False)
        with np.errstate(over="ignore"):
            for y_, x_ in _parts(y, x):
                np.negative(x_, out=y_)
                np.exp(y_, out=y_)
                y_ += 1.0
                np.reciprocal(y_, out=y_)
        return y

    def sigmoid_grad(self, g: Any, y: Any) -> Any:
        if y.dtype.kind != "f" or g.dtype != y.dtype or y.size < _SLOPE or g.shape != y.shape:
            return super().sigmoid_grad(g, y)
        d = np.empty_like(y, subok=False)
        for d_, g_, y_ in _parts(d, g, y):
            np.subtract(1.0, y_, out=d_)
            d_ *= y_
            d_ *= g_
        return d

    def softplus(self, x: Any) -> Any:
        if x.dtype.kind != "f":
            return super().softplus(x)
        y = np.empty_like(x, subok=False)
        with np.errstate(invalid="ignore"):
            for y_, x_ in _parts(y, x):
                e = np.exp(np.negative(np.abs(x_, out=y_), out=y_))
                # log1p, slow in NumPy: log(u) e / (u - 1) where u is 1 + e, rounded (W. Kahan).
                u = np.add(e, 1.0)
                np.log(u, out=y_)
                y_ *= e
                u -= 1.0
                y_ /= u
                np.copyto(y_, e, where=u == 0.0)
                y_ += np.maximum(x_, 0.0)
        return y

    def erf(self, x: Any) -> Any:
        if x.dtype != np.float32:
            return super().erf(x)  # type: ignore[misc]  # of Backend, beside this class
        y = np.empty_like(x, subok=False)
        for y_, x_ in _parts(y, x):
            c, u = np.empty(x_.shape, x.dtype), np.empty(x_.shape, x.dtype)
            _distribution(np.multiply(x_, math.sqrt(2.0), out=c), y_, c, u)
            y_ *= 2.0
        return y

    def gelu(self, x: Any, approximate: str) -> Any:
        narrow = x.dtype.itemsize < 4
        if x.dtype.kind != "f" or narrow or (approximate != "tanh" and x.dtype != np.float32):
            return super().gelu(x, approximate)
        y = np.empty_like(x, subok=False)
        buffer = np.empty((2, min(x.size, _BLOCK)), x.dtype)
        with np.errstate(over="ignore"):
            for y_, x_ in _parts(y, x):
                c, u = (b[: x_.size].reshape(x_.shape) for b in buffer)
                if approximate == "tanh":  # (1 + tanh(z)) / 2 is the sigmoid of 2 z
                    np.multiply(x_, x_, out=c)
                    c *= -2.0 * ROOT * 0.044715
                    c -= 2.0 * ROOT
                    c *= x_
                    np.exp(c, out=c)
                    c += 1.0
                    np.divide(x_, c, out=y_)
                else:
                    _distribution(x_, y_, c, u)
                    y_ += 0.5
                    y_ *= x_
        return y

    def gelu_grad(self, g: Any, x: Any, y: Any, approximate: str) -> Any:
        if x.dtype.kind != "f" or g.dtype != x.dtype or x.dtype.itemsize < 4:
            return super().gelu_grad(g, x, y, approximate)
        d = np.empty_like(x, subok=False)
        buffer = np.empty((2, min(x.size, _BLOCK)), x.dtype)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for d_, g_, x_, y_ in _parts(d, g, x, y):
                p, u = (b[: x_.size].reshape(x_.shape) for b in buffer)
                np.divide(y_, x_, out=p)
                np.multiply(x_, x_, out=u)
                if not (u.size and u.min() > TINY):  # also of NaN
                    np.copyto(p, 0.5, where=np.abs(x_) < TINY)
                if not (u.size and u.max() < 1e30):
                    np.minimum(u, 1e30, out=u)
                if approximate == "tanh":
                    u *= 2.0 * ROOT * 3.0 * 0.044715
                    u += 2.0 * ROOT
                    np.subtract(1.0, p, out=d_)
                    d_ *= y_
                    d_ *= u
                else:
                    u *= -0.5
                    np.exp(u, out=d_)
                    d_ *= 0.5 * ROOT
                    d_ *= x_
                d_ += p
                d_ *= g_
        return d

    def softmax(self, x: Any, axis: int) -> Any:
        if x.dtype.kind != "f" or not isinstance(axis, int):
            return super().softmax(x, axis)
        if _has_long_rows(x, axis):
            return _softmax_rows(x, np.empty(x.shape, x.dtype), False)
        y = np.subtract(x, _bounded(np.maximum.reduce(x, axis=axis, keepdims=True)))
        np.exp(y, out=y)
        y /= np.add.reduce(y, axis=axis, keepdims=True)
        return y

    def softmax_grad(self, g: Any, y: Any, axis: int) -> Any:
        if not _rows_fit(g, y, axis):
            return super().softmax_grad(g, y, axis)
        d = np.empty(y.shape, y.dtype)
        width = y.shape[-1]
        all_d, all_g, all_y = (a.reshape(-1, width) for a in (d, g, y))
        for part in _rows(len(all_y), width):
            d_, g_, y_ = all_d[part], all_g[part], all_y[part]
            _by_row(np.subtract, g_, np.einsum("ij,ij->i", g_, y_), d_)
            d_ *= y_
        return d

    def log_softmax(self, x: Any, axis: int) -> Any:
        if x.dtype.kind != "f" or not isinstance(axis, int) or not _has_long_rows(x, axis):
            return super().log_softmax(x, axis)
        y, width = np.empty(x.shape, x.dtype), x.shape[-1]
        rows, result, ones = x.reshape(-1, width), y.reshape(-1, width), np.ones(width, x.dtype)
        e = rows[:0]
        for part in _rows(len(rows), width):
            v, less = rows[part], result[part]
            e = e[: len(v)] if len(v) <= len(e) else np.empty(v.shape, v.dtype)
            _by_row(np.subtract, v, _finite(_tops(v)), less)
            total = np.dot(np.exp(less, out=e), ones)
            _by_row(np.subtract, less, np.log(total, out=total), less)
        return y

    def log_softmax_grad(self, g: Any, y: Any, axis: int) -> Any:
        if not _rows_fit(g, y, axis):
            return super().log_softmax_grad(g, y, axis)
        d = np.empty(y.shape, y.dtype)
        width = y.shape[-1]
        all_d, all_g, all_y = (a.reshape(-1, width) for a in (d, g, y))
        for part in _rows(len(all_y), width):
            d_, g_ = all_d[part], all_g[part]
            np.exp(all_y[part], out=d_)
            _by_row(np.multiply, d_, np.einsum("ij->i", g_), d_)
            np.subtract(g_, d_, out=d_)
        return d

    def masked_softmax(self, x: Any, mask: Any, own: bool) -> Any:
        if x.dtype.kind != "f" or x.dtype.itemsize < 4 or not x.ndim:
            return super().masked_softmax(x, mask, own)
        own = own and x.flags.c_contiguous and x.flags.writeable
        y = x if own else np.array(x, order="C")
        if mask is not None:
            np.copyto(y, -np.inf, where=~mask)
        return _softmax_rows(y, y, True)

    def recurrent(self, *operands: Any) -> Any:
        from .numpy_recurrent import run

        return run(*operands)

    def recurrent_gradients(self, *operands: Any) -> Any:
        from .numpy_recurrent import gradients

        return gradients(*operands)

    def powers(self, s: Any, less: Any) -> Any:
        np.subtract(s, less, out=s)
        return np.exp(s, out=s)

    def hidden(self, s: Any, seen: Any) -> Any:
        np.copyto(s, -np.inf, where=~seen)
        return s

    def attend(self, q: Any, k: Any, v: Any, mask: Any, bias: Any, causal: bool) -> tuple[Any, Any]:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        if not lead:
            return super().attend(q, k, v, mask, bias, causal)
        y = np.empty((*lead, q.shape[-2], v.shape[-1]), q.dtype)
        log = np.empty((*lead, q.shape[-2], 1), q.dtype)
        for i, (q_, k_, v_, mask_, bias_) in _matrices(lead, q, k, v, mask, bias):
            y[i], log[i] = super().attend(q_, k_, v_, mask_, bias_, causal)
        return y, log

    def attend_gradients(
        self,
        g: Any,
        q: Any,
        k: Any,
        v: Any,
        mask: Any,
        bias: Any,
        causal: bool,
        y: Any,
        log: Any,
    ) -> tuple[Any, Any, Any]:
        lead = g.shape[:-2]
        if not lead:
            return super().attend_gradients(g, q, k, v, mask, bias, causal, y, log)
        sums = [np.empty((*lead, *x.shape[-2:]), x.dtype) for x in (q, k, v)]
        for i, (g_, q_, k_, v_, mask_, bias_, *rest) in _matrices(
            lead, g, q, k, v, mask, bias, y, log
        ):
            parts = super().attend_gradients(g_, q_, k_, v_, mask_, bias_, causal, *rest)
            for d, part in zip(sums, parts, strict=True):
                d[i] = part
        return sums[0], sums[1], sums[2]

    def nll(self, x: Any, t: Any, kept: dict[str, Any] | None) -> tuple[Any, Any]:
        n, width = x.shape
        if x.dtype.kind != "f" or x.dtype.itemsize < 4 or not x.size:
            return super().nll(x, t, kept)
        total, ones = np.empty(n, x.dtype), np.ones(width, x.dtype)
        places = np.arange(0, n * width, width)
        places += t
        parts = list(_rows(n, width))
        powers: Any = None if kept is None else np.empty(x.shape, x.dtype)
        buffer: Any = np.empty((parts[0].stop, width), x.dtype) if kept is None else None
        shift: Any = None
        with np.errstate(over="ignore"):
            for part in parts:
                x_, y_ = x[part], total[part]
                e = buffer[: len(y_)] if kept is None else powers[part]
                np.dot(np.exp(x_, out=e), ones, out=y_)
                if not _tame(y_):
                    shift = np.zeros(n, x.dtype) if shift is None else shift
                    shift[part] = _finite(_tops(x_))
                    _by_row(np.subtract, x_, shift[part], e)
                    np.add.reduce(np.exp(e, out=e), axis=1, out=y_)
        if kept is not None:
            kept.update(powers=powers, sums=total, places=places)
        total = np.log(total)
        if shift is not None:
            total += shift
        right = x.reshape(-1).take(places)
        return np.subtract(total, right, out=right), total

    def nll_grad(
        self, g: Any, g_total: Any, x: Any, t: Any, total: Any, kept: dict[str, Any] | None
    ) -> Any:
        n, width = x.shape
        if x.dtype.kind != "f" or x.dtype.itemsize < 4 or not x.size:
            return super().nll_grad(g, g_total, x, t, total, kept)
        dtype, both = np.result_type(x, g, g_total), g + g_total
        if kept and dtype == x.dtype:  # nobody else has them: they become the gradient
            d, sums, places = (kept.pop(name) for name in ("powers", "sums", "places"))
            factors = both / sums
            for part in _rows(n, width):
                _by_row(np.multiply, d[part], factors[part], d[part])
        else:
            d = np.empty(x.shape, dtype)
            for part in _rows(n, width):
                d_ = d[part]
                _by_row(np.subtract, x[part], total[part], d_)
                _by_row(np.multiply, np.exp(d_, out=d_), both[part], d_)
            places = np.arange(0, n * width, width) + t
        np.subtract.at(d.reshape(-1), places, g)
        return d

    def add_rows(self, y: Any, places: Any, rows: Any) -> Any:
        """``y[places] += rows``, once for each time that a place is named.

        ``y`` is zeros, without gaps.
        """
        width = y[0].size if len(y) else 0
        flat = places.astype(np.intp).reshape(-1)
        flat = np.where(flat < 0, flat + len(y), flat)
        if not width or not flat.size:
            return y
        if np.maximum.reduce(flat) >= len(y) or np.minimum.reduce(flat) < 0:
            msg = f"places go from {flat.min()} to {flat.max()}, there are {len(y)} rows"
            raise IndexError(msg)
        rows = np.broadcast_to(rows, (*places.shape, *y.shape[1:])).reshape(-1, width)
        if width >= _WIDE:
            flat, rows = _first_rows(y.reshape(-1, width), flat, rows)
        target, columns = y.reshape(-1), np.arange(width)
        for part in _rows(len(flat), width):  # of one dimension, `add.at` is ten times as fast
            np.add.at(target, (flat[part, None] * width + columns).reshape(-1), rows[part].ravel())
        return y
