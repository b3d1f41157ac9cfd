"""Kernels of activations, losses and attention, written in the standard for every library."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

__all__ = ["ROOT", "TINY", "Neural"]

Array = Any

ROOT = math.sqrt(2.0 / math.pi)
TINY = 1e-30
"""Below this size the derivative of GELU is one half, and its quotient by ``x`` not exact."""


def _spans(n: int, most: int) -> Iterator[slice]:
    """``n`` places in equal parts of at most ``most``."""
    step = -(-n // -(-n // most))
    for i in range(0, n, step):
        yield slice(i, min(i + step, n))


def _cut(x: Array, rows: slice, columns: slice) -> Array:
    """A block of what is broadcast against all scores."""
    cuts = (rows, columns)[-x.ndim :] if x.ndim else ()
    lengths = x.shape[-len(cuts) :] if cuts else ()
    whole = slice(None)
    return x[(..., *(whole if n == 1 else c for c, n in zip(cuts, lengths, strict=True)))]


class Neural:
    """What a backend computes in one piece for ``dezero.functions``."""

    attention_block: tuple[int, int] = (1 << 22, 1024)
    """About how many scores of `attend` there are at a time, and of how many keys."""
    attention_long: float = 1 << 20
    """Scores of a head from which on `attend` is taken."""
    recurrent_cells: tuple[str, ...] = ()
    """For which ``recurrent`` and ``recurrent_gradients`` are there: layers in one piece."""

    def half(self: Any, x: Array) -> bool:
        """Whether ``x`` holds real numbers of less than single precision."""
        real = self.is_inexact(x.dtype) and not self.is_complex(x.dtype)
        return real and self.finfo(x.dtype).bits < 32

    def only(self: Any, x: Array, condition: Array) -> Array:
        """``x`` where ``condition`` holds, else 0; both of one shape."""
        return self.where(condition, x, self.zeros_like(x))

    def sigmoid(self: Any, x: Array) -> Array:
        """``1 / (1 + exp(-x))`` without overflow."""
        if self.is_complex(x.dtype):
            return 1.0 / (1.0 + self.exp(-x))
        e = self.exp(-self.abs(x))
        return self.where(x >= 0, self.ones_like(e), e) / (1.0 + e)

    def sigmoid_grad(self: Any, g: Array, y: Array) -> Array:
        """``g * y * (1 - y)``."""
        return g * y * (1.0 - y)

    def softplus(self: Any, x: Array) -> Array:
        """``log(1 + exp(x))`` without overflow."""
        return self.maximum(x, 0.0) + self.log1p(self.exp(-self.abs(x)))

    def gelu(self: Any, x: Array, approximate: str) -> Array:
        """``x`` times the normal distribution function, or times its tanh form."""
        if self.half(x):
            return self.astype(self.gelu(self.astype(x, self.float32), approximate), x.dtype)
        if approximate == "tanh":
            return 0.5 * x * (1.0 + self.tanh(ROOT * (x + 0.044715 * x * x * x)))
        return 0.5 * x * (1.0 + self.erf(x * math.sqrt(0.5)))

    def gelu_grad(self: Any, g: Array, x: Array, y: Array, approximate: str) -> Array:
        """``g`` times the derivative of `gelu`, whose value at ``x`` is ``y``."""
        if self.half(x):
            z = self.astype(x, self.float32)
            d = self.gelu_grad(self.astype(g, z.dtype), z, self.gelu(z, approximate), approximate)
            return self.astype(d, g.dtype)
        small = self.abs(x) < TINY
        ones = self.ones_like(x)
        p = self.where(small, 0.5 * ones, y / self.where(small, ones, x))
        if approximate == "tanh":
            z = self.clip(x, -1e15, 1e15)  # whose square is finite
            return g * (p + y * (1.0 - p) * (2.0 * ROOT * (1.0 + 3.0 * 0.044715 * z * z)))
        return g * (p + x * self.exp(-0.5 * x * x) * (0.5 * ROOT))

    def softmax(self: Any, x: Array, axis: int) -> Array:
        """``exp(x)`` divided by its sum along ``axis``, without overflow."""
        top = self.max(x, axis=axis, keepdims=True)
        top = self.where(top == -math.inf, self.zeros_like(top), top)
        e = self.exp(x - top)
        return e / self.sum(e, axis=axis, keepdims=True)

    def softmax_grad(self: Any, g: Array, y: Array, axis: int) -> Array:
        """``y * (g - sum(g * y))``: the derivative of `softmax` with the value ``y``."""
        return y * (g - self.sum(g * y, axis=axis, keepdims=True))

    def log_softmax(self: Any, x: Array, axis: int) -> Array:
        """Logarithm of `softmax`."""
        top = self.max(x, axis=axis, keepdims=True)
        x = x - self.where(self.isfinite(top), top, self.zeros_like(top))
        return x - self.log(self.sum(self.exp(x), axis=axis, keepdims=True))

    def log_softmax_grad(self: Any, g: Array, y: Array, axis: int) -> Array:
        """``g - exp(y) * sum(g)``: the derivative of `log_softmax` with the value ``y``."""
        return g - self.exp(y) * self.sum(g, axis=axis, keepdims=True)

    def masked_softmax(self: Any, x: Array, mask: Array | None, own: bool) -> Array:
        """Softmax along the last axis of what ``mask`` lets through; 0 where that is nothing.

        ``own``: nobody needs ``x`` any more, so that it may be written into.
        """
        if mask is not None:
            x = self.where(mask, x, self.full_like(x, -math.inf))
        top = self.max(x, axis=-1, keepdims=True)
        e = self.exp(x - self.where(top == -math.inf, self.zeros_like(top), top))
        total = self.sum(e, axis=-1, keepdims=True)
        return e / self.where(total == 0.0, self.ones_like(total), total)

    def nll(self: Any, x: Array, t: Array, kept: dict[str, Any] | None) -> tuple[Array, Array]:
        """``-log(softmax(x))`` at the places ``t`` of each row, and each row's logsumexp.

        In ``kept``, if there is one, something may be left for `nll_grad`, which takes it out. Of
        numbers in half precision the logsumexp is in single precision.
        """
        if self.half(x):
            loss, total = self.nll(self.astype(x, self.float32), t, kept)
            return self.astype(loss, x.dtype), total
        top = self.max(x, axis=1, keepdims=True)
        top = self.where(self.isfinite(top), top, self.zeros_like(top))
        total = self.log(self.sum(self.exp(x - top), axis=1, keepdims=True)) + top
        right = self.take_along_axis(x, t[:, None], axis=1)
        return self.reshape(total - right, (-1,)), self.reshape(total, (-1,))

    def nll_grad(
        self: Any,
        g: Array,
        g_total: Array,
        x: Array,
        t: Array,
        total: Array,
        kept: dict[str, Any] | None,
    ) -> Array:
        """The gradient of `nll` to ``x``; ``total`` is its second result."""
        if self.half(x):
            wide = [self.astype(a, self.float32) for a in (g, g_total, x)]
            return self.astype(self.nll_grad(*wide, t, total, kept), x.dtype)
        p = self.exp(x - total[:, None]) * (g + g_total)[:, None]
        places = self.arange(x.shape[1], device=self.device(t))
        return self.where(t[:, None] == places, p - g[:, None], p)

    def attend(
        self: Any, q: Array, k: Array, v: Array, mask: Any, bias: Any, causal: bool
    ) -> tuple[Array, Array]:
        """``softmax(q k' + bias) v``, and the logsumexp of each row of scores.

        The scores exist one block at a time. A row whose keys are all masked is 0, with the
        logsumexp infinity. Milakov and Gimelshein, Online normalizer calculation for softmax, 2018.
        """
        queries, keys = self._attention_spans(q, k)
        k = self.matrix_transpose(k)
        ys, logs = [], []
        for rows in queries:
            part = q[..., rows, :]
            top = total = y = None
            for columns in keys:
                if causal and columns.start >= rows.stop:
                    break
                s = self._scores(part, k[..., columns], mask, bias, causal, rows, columns)
                high = self.max(s, axis=-1, keepdims=True)
                if top is not None:
                    high = self.maximum(high, top)
                near = self.where(high == -math.inf, self.zeros_like(high), high)
                s = self.powers(s, near)
                one, here = self.sum(s, axis=-1, keepdims=True), s @ v[..., columns, :]
                if top is None:
                    total, y = one, here
                else:
                    shrink = self.exp(top - near)
                    total = total * shrink + one
                    y *= shrink
                    y += here
                top = high
            none = total == 0.0
            y /= self.where(none, self.ones_like(total), total)
            ys.append(y)
            log = top + self.log(self.where(none, self.ones_like(total), total))
            logs.append(self.where(none, self.full_like(log, math.inf), log))
        return self.concat(ys, axis=-2), self.concat(logs, axis=-2)

    def _attention_spans(self, q: Array, k: Array) -> tuple[list[slice], list[slice]]:
        """Places of queries and of keys that meet at a time."""
        most, keys = self.attention_block
        rows = most // (min(keys, k.shape[-2]) * max(1, math.prod(q.shape[:-2])))
        return list(_spans(q.shape[-2], max(64, rows))), list(_spans(k.shape[-2], keys))

    def _scores(
        self: Any, q: Array, k: Array, mask: Any, bias: Any, causal: bool, rows: Any, columns: Any
    ) -> Array:
        """A block of scores; ``k`` is transposed."""
        s = q @ k
        if bias is not None:
            s = s + _cut(bias, rows, columns)
        seen = None if mask is None else _cut(mask, rows, columns)
        if causal and columns.stop > rows.start + 1:
            device = self.device(q)
            i = self.arange(rows.start, rows.stop, device=device)
            past = i[:, None] >= self.arange(columns.start, columns.stop, device=device)
            seen = past if seen is None else seen & past
        return s if seen is None else self.hidden(s, seen)

    def powers(self: Any, s: Array, less: Array) -> Array:
        """``exp(s - less)`` of an array ``s`` that is nobody else's."""
        return self.exp(s - less)

    def hidden(self: Any, s: Array, seen: Array) -> Array:
        """``s``, which is nobody else's, and minus infinity where ``seen`` does not hold."""
        return self.where(seen, s, self.full_like(s, -math.inf))

    def attend_gradients(
        self: Any,
        g: Array,
        q: Array,
        k: Array,
        v: Array,
        mask: Any,
        bias: Any,
        causal: bool,
        y: Array,
        log: Array,
    ) -> tuple[Array, Array, Array]:
        """The gradients of `attend` to ``q``, ``k`` and ``v``, block by block as well.

        They have the leading dimensions of ``g``, also where those of an operand were broadcast.
        """
        inner = self.sum(g * y, axis=-1, keepdims=True)
        k_turned, v_turned = self.matrix_transpose(k), self.matrix_transpose(v)
        queries, spans = self._attention_spans(g, k)
        dqs: list[Any] = []
        dks: list[Any] = [None] * len(spans)
        dvs: list[Any] = [None] * len(spans)
        for rows in queries:
            q_, g_, dq = q[..., rows, :], g[..., rows, :], None
            for j, columns in enumerate(spans):
                if causal and columns.start >= rows.stop:
                    break
                p = self._scores(q_, k_turned[..., columns], mask, bias, causal, rows, columns)
                p = self.powers(p, log[..., rows, :])
                ds = g_ @ v_turned[..., columns]
                ds -= inner[..., rows, :]
                ds *= p
                parts = (
                    ds @ k[..., columns, :],
                    self.matrix_transpose(ds) @ q_,
                    self.matrix_transpose(p) @ g_,
                )
                dq = parts[0] if dq is None else dq + parts[0]
                dks[j] = parts[1] if dks[j] is None else dks[j] + parts[1]
                dvs[j] = parts[2] if dvs[j] is None else dvs[j] + parts[2]
            dqs.append(dq)
        lead, depths = g.shape[:-2], (q.shape[-1], v.shape[-1])
        for i, columns in enumerate(spans):
            if dks[i] is None:  # nobody sees so far ahead
                sizes = [(*lead, columns.stop - columns.start, depth) for depth in depths]
                dks[i], dvs[i] = (
                    self.zeros(n, dtype=q.dtype, device=self.device(q)) for n in sizes
                )
        return tuple(self.concat(parts, axis=-2) for parts in (dqs, dks, dvs))
