"""LSTM and GRU over whole sequences for NumPy: each step in place, in memory made once.

One product makes what the input adds to all gates of all steps; a step adds one more of the state,
and all gates go through one ``tanh``: ``sigmoid(x)`` is ``tanh(x / 2) / 2 + 1 / 2``. The gradients
of the weights are products over all steps again. Gates are the first axis of all arrays, so that
each is a block of memory; the sigmoids come first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["gradients", "run"]


class _LSTM:
    """Gates i, f, o and the candidate; what is kept are the cells' states and their tanh."""

    order, sigmoids, shared = (0, 1, 3, 2), 3, True

    def __init__(self, spare: Any, *kept: Any) -> None:
        self.spare = spare
        self.cs, self.qs = kept

    @classmethod
    def make(cls, steps: int, spare: Any, first: int, c: Any) -> _LSTM:
        """The cell before the first step, with room for what ``steps`` steps keep; 0: for none."""
        cs, qs = (np.empty((n, *c.shape), c.dtype) for n in (steps + 1, max(steps, 1)))
        cs[first % len(cs)] = c
        return cls(spare, cs, qs)

    def kept(self) -> tuple[Any, ...]:
        return self.cs, self.qs

    def step(self, i: int, old: int, new: int, s: Any, b: Any, h: Any, y: Any) -> None:
        """A step to the output ``y``; ``s``, the input's share of the gates, becomes them."""
        cs = self.cs
        s += b
        np.tanh(s, out=s)
        sigmoids = s[:3]
        sigmoids *= 0.5
        sigmoids += 0.5
        c, q = cs[new % len(cs)], self.qs[i % len(self.qs)]
        np.multiply(s[1], cs[old % len(cs)], out=c)
        c += np.multiply(s[0], s[3], out=self.spare)
        np.tanh(c, out=q)
        np.multiply(s[2], q, out=y)

    def last(self, place: int) -> tuple[Any, ...]:
        return (self.cs[place % len(self.cs)].copy(),)

    def pull(self, i: int, old: int, s: Any, h: Any, dh: Any, rest: Any, da: Any, db: Any) -> None:
        """The gradients of the gates' sums; ``dh`` and ``rest``, of the states, move on a step."""
        q, spare = self.qs[i], self.spare
        (dc,) = rest
        np.multiply(q, q, out=spare)
        np.subtract(1.0, spare, out=spare)
        spare *= s[2]
        spare *= dh
        dc += spare
        sigmoids, slopes = s[:3], da[:3]
        np.subtract(1.0, sigmoids, out=slopes)
        slopes *= sigmoids
        np.multiply(s[3], s[3], out=spare)
        np.subtract(1.0, spare, out=spare)
        spare *= s[0]
        np.multiply(dc, spare, out=da[3])
        for part, one, other in ((0, dc, s[3]), (1, dc, self.cs[old]), (2, dh, q)):
            slope = da[part]
            slope *= np.multiply(one, other, out=spare)
        dc *= s[1]
        dh.fill(0.0)


class _GRU:
    """Gates r, z, and the candidate, where r scales what the state adds: that is kept."""

    order, sigmoids, shared = (0, 1, 2), 2, False

    def __init__(self, spare: Any, *kept: Any) -> None:
        self.spare = spare
        (self.ms,) = kept

    @classmethod
    def make(cls, steps: int, spare: Any, first: int) -> _GRU:
        """The cell before the first step, with room for what ``steps`` steps keep; 0: for none."""
        return cls(spare, np.empty((max(steps, 1), *spare.shape), spare.dtype))

    def kept(self) -> tuple[Any, ...]:
        return (self.ms,)

    def step(self, i: int, old: int, new: int, s: Any, b: Any, h: Any, y: Any) -> None:
        """A step to the output ``y``; ``s``, the input's share of the gates, becomes them."""
        gates = s[:2]
        gates += b[:2]
        np.tanh(gates, out=gates)
        gates *= 0.5
        gates += 0.5
        m, n = self.ms[i % len(self.ms)], s[2]
        m[...] = b[2]
        n += np.multiply(s[0], m, out=self.spare)
        np.tanh(n, out=n)
        np.subtract(h, n, out=y)
        y *= s[1]
        y += n

    def last(self, place: int) -> tuple[Any, ...]:
        return ()

    def pull(self, i: int, old: int, s: Any, h: Any, dh: Any, rest: Any, da: Any, db: Any) -> None:
        """The gradients of the input's shares and of the state's; ``dh`` moves on a step."""
        r, z, n = s
        gates, slopes, dn, spare = s[:2], da[:2], da[2], self.spare
        np.multiply(n, n, out=dn)
        np.subtract(1.0, dn, out=dn)
        dn *= np.subtract(1.0, z, out=spare)
        dn *= dh
        np.subtract(1.0, gates, out=slopes)
        slopes *= gates
        slopes[0] *= np.multiply(dn, self.ms[i], out=spare)
        np.subtract(h, n, out=spare)
        spare *= dh
        slopes[1] *= spare
        db[:2] = slopes
        np.multiply(dn, r, out=db[2])
        dh *= z


_CELLS: dict[str, Any] = {"lstm": _LSTM, "gru": _GRU}


def _gates(cell: Any, w: Any) -> Any:
    """Blocks of rows in the cell's order, along a new first axis."""
    gates = len(cell.order)
    return w.reshape(gates, len(w) // gates, *w.shape[1:])[list(cell.order)]


def _rows(cell: Any, w: Any) -> Any:
    """The contrary; the orders are their own inverses."""
    return w[list(cell.order)].reshape(len(w) * w.shape[1], *w.shape[2:])


def _halved(cell: Any, w: Any) -> Any:
    """Weights of the gates, half of those of the sigmoids."""
    w = _gates(cell, w)
    w[: cell.sigmoids] *= 0.5
    return w


def _places(t: int, reverse: bool) -> tuple[range, int, int]:
    """The order of the steps, and how much further on their new and old states stand."""
    return (range(t)[::-1], 0, 1) if reverse else (range(t), 1, 0)


def run(
    name: str,
    x: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any,
    b_hh: Any,
    states: tuple[Any, ...],
    reverse: bool,
    keep: bool,
) -> tuple[Any, tuple[Any, ...], Any]:
    """The outputs of all steps, the last states, and what `gradients` needs, if ``keep``."""
    t, n, wide = x.shape
    size = w_hh.shape[1]
    cell = _CELLS[name]
    s = x.reshape(t * n, wide) @ _halved(cell, w_ih).swapaxes(1, 2)
    u = np.ascontiguousarray(_halved(cell, w_hh).swapaxes(1, 2))
    for b, shared in ((b_ih, True), (b_hh, cell.shared)):
        if b is not None and shared:
            s += _halved(cell, b)[:, None]
    b = None if cell.shared or b_hh is None else _halved(cell, b_hh)[:, None]
    s = s.reshape(len(s), t, n, size)
    order, new, old = _places(t, reverse)
    hs = np.empty((t + 1, n, size), x.dtype)
    first, end = order[0] + old, order[-1] + new
    hs[first] = states[0]
    cell = cell.make(t if keep else 0, np.empty((n, size), x.dtype), first, *states[1:])
    share = np.empty((len(s), n, size), x.dtype)
    for i in order:
        h = hs[i + old]
        np.matmul(h, u, out=share)
        if b is not None:
            share += b
        cell.step(i, i + old, i + new, s[:, i], share, h, hs[i + new])
    last = (hs[end].copy(), *cell.last(end))
    return np.array(hs[new : new + t]), last, (s, hs, *cell.kept()) if keep else None


def gradients(
    name: str,
    kept: Any,
    wanted: tuple[Any, ...],
    x: Any,
    w_ih: Any,
    w_hh: Any,
    biased: tuple[bool, bool],
    reverse: bool,
    ghs: Any,
    ds: tuple[Any, ...],
) -> tuple[Any, ...]:
    """The gradients of x, w_ih, w_hh, both biases and the first states."""
    s, hs, *kept = kept
    gates, t, n, size = s.shape
    cell = _CELLS[name](np.empty((n, size), s.dtype), *kept)
    order, _, old = _places(t, reverse)
    w = _gates(cell, w_hh)
    da = np.empty(s.shape, s.dtype)
    db = da if cell.shared else np.empty(s.shape, s.dtype)
    dh, *rest = (np.array(d) for d in ds)
    shares = np.empty((gates, n, size), s.dtype)
    for i in reversed(order):
        dh += ghs[i]
        d = db[:, i]
        cell.pull(i, i + old, s[:, i], hs[i + old], dh, rest, da[:, i], d)
        np.matmul(d, w, out=shares)
        for share in shares:
            dh += share
    da, db = da.reshape(gates, t * n, size), db.reshape(gates, t * n, size)
    gx = gi = gh = None
    if wanted[0]:
        w = _gates(cell, w_ih)
        gx = da[0] @ w[0]
        for d, part in zip(da[1:], w[1:], strict=True):
            gx += d @ part
        gx = gx.reshape(x.shape)
    if wanted[1]:
        gi = _rows(cell, da.swapaxes(1, 2) @ x.reshape(t * n, x.shape[2]))
    if wanted[2]:
        gh = _rows(cell, db.swapaxes(1, 2) @ hs[old : old + t].reshape(t * n, size))
    ones = np.ones(t * n, x.dtype)
    sums = [
        _rows(cell, ones @ d) if needed and there else None
        for d, needed, there in zip((da, db), wanted[3:5], biased, strict=True)
    ]
    return (gx, gi, gh, *sums, dh, *rest)
