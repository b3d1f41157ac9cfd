"""The kernels of `Neural` for NumPy: in place, block by block, in the processor's cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .neural import ROOT, TINY, Neural

__all__ = ["NumPyNeural", "select"]

_BLOCK = 1 << 16  # numbers: a few buffers of them stay in the cache, and calls cost little beside
_FEW = 1 << 14  # up to so many are not worth blocks of rows
_SHORT = 32  # rows up to this length are worked on as columns
_INTEGERS: dict[Any, Any] = {
    np.dtype(np.float32): np.dtype(np.int32),
    np.dtype(np.float64): np.dtype(np.int64),
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
    for i in range(0, n, _BLOCK):
        yield tuple([a[i : i + _BLOCK] for a in flat])


def _rows(n: int, width: int) -> Iterator[slice]:
    step = max(1, 2 * _BLOCK // max(width, 1))
    for i in range(0, n, step):
        yield slice(i, min(i + step, n))


def select(condition: Any, a: Any, b: Any) -> Any:
    """``np.where``; of many numbers by their bits, as its branches are slow where they mix."""
    try:
        alike = condition.shape == a.shape == b.shape and a.dtype == b.dtype
        kind = _INTEGERS[a.dtype] if alike and condition.dtype == np.bool_ else None
    except (AttributeError, KeyError):  # a number, or another dtype
        return np.where(condition, a, b)
    if kind is None or a.size < 4096:
        return np.where(condition, a, b)
    y = np.empty_like(a, kind, subok=False)
    for y_, c_, a_, b_ in _parts(y, condition, a, b):
        np.negative(c_.view(np.int8), out=y_, dtype=kind)  # all bits set, or none
        b_ = b_.view(kind)
        y_ &= np.bitwise_xor(a_.view(kind), b_)
        y_ ^= b_
    return y.view(a.dtype)


def _turned(rows: Any) -> tuple[Any, int]:
    """Rows and the axis along them; short ones, which are reduced faster so, as columns."""
    return (np.array(rows.T, order="C"), 0) if rows.shape[1] <= _SHORT else (rows, 1)


def _tame(sums: Any) -> bool:
    """Whether these are sums of exponentials that did not overflow, nor vanish where it matters."""
    return bool(np.minimum.reduce(sums) >= 1e-3 and np.maximum.reduce(sums) <= 1e20)


def _bounded(top: Any) -> Any:
    return np.where(top == -math.inf, top.dtype.type(0), top)


def _finite(top: Any) -> Any:
    return np.where(np.isfinite(top), top, top.dtype.type(0))


def _rows_fit(g: Any, y: Any, axis: Any) -> bool:
    """Whether a gradient along ``axis`` of ``y`` is worth blocks of rows."""
    alike = y.dtype.kind == "f" and g.dtype == y.dtype and g.shape == y.shape
    return alike and y.size > _FEW and isinstance(axis, int) and axis % y.ndim == y.ndim - 1


def _softmax_rows(x: Any, y: Any, empty: bool) -> Any:
    """Softmax along the last axis into ``y``; ``empty``: a row of minus infinity is 0."""
    width = x.shape[-1]
    rows, result = x.reshape(-1, width), y.reshape(-1, width)
    for part in _rows(len(rows), width):
        v, axis = _turned(rows[part])
        e = v if axis == 0 else result[part]
        np.subtract(v, _bounded(np.maximum.reduce(v, axis=axis, keepdims=True)), out=e)
        np.exp(e, out=e)
        total = np.add.reduce(e, axis=axis, keepdims=True)
        if empty:
            total[total == 0.0] = 1.0
        e /= total
        if axis == 0:
            result[part] = e.T
    return y


def _scale_rows(rows: Any, factors: Any) -> None:
    """Multiply each row by its factor."""
    width = rows.shape[1]
    if width > _SHORT:
        rows *= factors[:, None]
        return
    for part in _rows(len(rows), width):
        flat = rows[part].reshape(-1)
        flat *= np.repeat(factors[part], width)


def _matrices(lead: tuple[int, ...], *arrays: Any) -> Iterator[tuple[Any, list[Any]]]:
    """The matrices of arrays with the leading dimensions ``lead``, which may be broadcast."""
    wide = [a if a is None else np.broadcast_to(a, (*lead, *a.shape[-2:])) for a in arrays]
    for i in np.ndindex(lead):
        yield i, [a if a is None else a[i] for a in wide]


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
        kind = _INTEGERS.get(x.dtype)
        if kind is None or x.size < 512 or x.shape != np.shape(condition):
            return np.where(condition, x, x.dtype.type(0))
        y = np.empty_like(x, kind, subok=False)
        for y_, x_, c_ in _parts(y, x, condition):  # all bits set, or none
            np.negative(c_.view(np.int8), out=y_, dtype=kind)
            np.bitwise_and(y_, x_.view(kind), out=y_)
        return y.view(x.dtype)

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
        if y.dtype.kind != "f" or g.dtype != y.dtype or y.size < 512 or g.shape != y.shape:
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
        if axis % x.ndim == x.ndim - 1 and x.size > _FEW:
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
            np.subtract(g_, np.einsum("ij,ij->i", g_, y_)[:, None], out=d_)
            d_ *= y_
        return d

    def log_softmax(self, x: Any, axis: int) -> Any:
        if x.dtype.kind != "f" or not isinstance(axis, int):
            return super().log_softmax(x, axis)
        if axis % x.ndim != x.ndim - 1 or x.size <= _FEW:
            return super().log_softmax(x, axis)
        y, width = np.empty(x.shape, x.dtype), x.shape[-1]
        rows, result = x.reshape(-1, width), y.reshape(-1, width)
        for part in _rows(len(rows), width):
            v, along = _turned(rows[part])
            e = v if along == 0 else result[part]
            np.subtract(v, _finite(np.maximum.reduce(v, axis=along, keepdims=True)), out=e)
            total = np.add.reduce(np.exp(e), axis=along, keepdims=True)
            e -= np.log(total, out=total)
            if along == 0:
                result[part] = e.T
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
            d_ *= np.einsum("ij->i", g_)[:, None]
            np.subtract(g_, d_, out=d_)
        return d

    def masked_softmax(self, x: Any, mask: Any, own: bool) -> Any:
        if x.dtype.kind != "f" or not x.ndim:
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
                    shift[part] = _finite(np.maximum.reduce(x_, axis=1))
                    np.subtract(x_, shift[part, None], out=e)
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
            _scale_rows(d, both / sums)
        else:
            d = np.empty(x.shape, dtype)
            for part in _rows(n, width):
                np.exp(np.subtract(x[part], total[part, None], out=d[part]), out=d[part])
                _scale_rows(d[part], both[part])
            places = np.arange(0, n * width, width) + t
        np.subtract.at(d.reshape(-1), places, g)
        return d

    def add_rows(self, y: Any, places: Any, rows: Any) -> Any:
        """``y[places] += rows``, once for each time that a place is named; ``y`` is contiguous."""
        width = y[0].size if len(y) else 0
        flat = places.astype(np.intp).reshape(-1)
        flat = np.where(flat < 0, flat + len(y), flat)
        if not width or not flat.size:
            return y
        if np.maximum.reduce(flat) >= len(y) or np.minimum.reduce(flat) < 0:
            msg = f"places go from {flat.min()} to {flat.max()}, there are {len(y)} rows"
            raise IndexError(msg)
        rows = np.broadcast_to(rows, (*places.shape, *y.shape[1:])).reshape(-1, width)
        target, columns = y.reshape(-1), np.arange(width)
        for part in _rows(len(flat), width):  # of one dimension, `add.at` is ten times as fast
            np.add.at(target, (flat[part, None] * width + columns).reshape(-1), rows[part].ravel())
        return y
