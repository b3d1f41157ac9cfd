"""Recurrent networks over whole sequences, each layer and direction one operation.

Weights have PyTorch's layouts: the rows of ``w_ih`` (G H, I) and ``w_hh`` (G H, H) are G blocks of
H, in the order i, f, g, o for the LSTM and r, z, n for the GRU.
"""

import operator

from ..backends import backend_of
from ..config import recording
from ..core import Function, Variable, as_variable
from ..dispatch import namespace_of
from ..primitive import _released, ops
from .indexing import where
from .manipulation import permute_dims

__all__ = ["gru", "lstm", "rnn"]


def _parts(x, count):
    """Blocks of equal width of a matrix, side by side."""
    size = x.shape[1] // count
    return tuple(x[:, i * size : (i + 1) * size] for i in range(count))


def _row(xp, values, size, like):
    """Each of ``values`` ``size`` times."""
    device = xp.device(like)
    return xp.concat([xp.full((size,), v, dtype=like.dtype, device=device) for v in values])


class _Tanh:
    """A step of Elman's network; ``scale`` is what the weights are multiplied by beforehand."""

    name = ""  # of the backend's kernel, where there may be one
    parts = 1
    scale = None

    def __init__(self, xp, size, like):
        pass

    def step(self, xp, a, b, h):
        y = xp.tanh(a + b)
        return (y,), (y,)

    def pull(self, xp, w, kept, old, dh):
        (y,) = kept
        d = dh * (1.0 - y * y)
        return (d @ w,), d, d


class _Relu(_Tanh):
    def step(self, xp, a, b, h):
        y = xp.maximum(a + b, 0.0)
        return (y,), (y,)

    def pull(self, xp, w, kept, old, dh):
        (y,) = kept
        d = xp.only(dh, y > 0)
        return (d @ w,), d, d


class _LSTM:
    """All gates in one tanh: ``sigmoid(x)`` is ``tanh(x / 2) / 2 + 1 / 2``."""

    name = "lstm"
    parts = 4

    def __init__(self, xp, size, like):
        self.scale = _row(xp, (0.5, 0.5, 1.0, 0.5), size, like)
        self.shift = _row(xp, (0.5, 0.5, 0.0, 0.5), size, like)
        # The derivative of a gate of value s is s * (gate - s) + candidate.
        self.gate = _row(xp, (1.0, 1.0, 0.0, 1.0), size, like)
        self.candidate = 1.0 - self.gate

    def step(self, xp, a, b, h, c):
        s = xp.tanh(a + b) * self.scale + self.shift
        i, f, u, o = _parts(s, 4)
        c = f * c + i * u
        q = xp.tanh(c)
        return (o * q, c), (s, q)

    def pull(self, xp, w, kept, old, dh, dc):
        s, q = kept
        i, f, u, o = _parts(s, 4)
        dc = dc + dh * o * (1.0 - q * q)
        d = xp.concat([dc * u, dc * old[1], dc * i, dh * q], axis=1)
        d = d * (s * (self.gate - s) + self.candidate)
        return (d @ w, dc * f), d, d


class _GRU:
    """The second bias is apart: the reset gate scales it with what the state adds."""

    name = "gru"
    parts = 3

    def __init__(self, xp, size, like):
        self.scale = _row(xp, (0.5, 0.5, 1.0), size, like)

    def step(self, xp, a, b, h):
        size = h.shape[1]
        s = 0.5 * xp.tanh(a[:, : 2 * size] + b[:, : 2 * size]) + 0.5
        r, z = _parts(s, 2)
        m = b[:, 2 * size :]
        n = xp.tanh(a[:, 2 * size :] + r * m)
        return (n + z * (h - n),), (s, n, m)

    def pull(self, xp, w, kept, old, dh):
        s, n, m = kept
        r, z = _parts(s, 2)
        dn = dh * (1.0 - z) * (1.0 - n * n)
        ds = xp.concat([dn * m, dh * (old[0] - n)], axis=1) * (s * (1.0 - s))
        db = xp.concat([ds, dn * r], axis=1)
        return (dh * z + db @ w,), xp.concat([ds, dn], axis=1), db


def _forward(xp, cell, mask, order, keep, x, w_ih, w_hh, b_ih, b_hh, states):
    """The outputs of all steps, the last states, and what the way back needs of each step."""
    if cell.scale is not None:
        column = cell.scale[:, None]
        w_ih, w_hh = w_ih * column, w_hh * column
        b_ih, b_hh = (b if b is None else b * cell.scale for b in (b_ih, b_hh))
    t, n, size = x.shape
    a = xp.matmul(xp.reshape(x, (t * n, size)), xp.matrix_transpose(w_ih))
    if b_ih is not None:
        a = a + b_ih
    sums = xp.unstack(xp.reshape(a, (t, n, a.shape[1])))
    u = xp.matrix_transpose(w_hh)
    hs, trace = [None] * t, [None] * t
    for i in order:
        b = states[0] @ u
        if b_hh is not None:
            b = b + b_hh
        old = states
        states, kept = cell.step(xp, sums[i], b, *old)
        if mask is not None:
            states = _chosen(xp, mask[i], states, old)
        hs[i] = states[0]
        if keep:
            trace[i] = (old, kept)
    return hs, states, trace


def _chosen(xp, m, new, old):
    return tuple(xp.where(m, a, b) for a, b in zip(new, old, strict=True))


def _backward(xp, cell, mask, order, wanted, x, w_ih, w_hh, b_ih, b_hh, trace, ghs, ds):
    """The gradients of x, w_ih, w_hh, b_ih, b_hh and of the first states.

    What a step has kept is let go from the list ``trace`` when the step is done.
    """
    ghs = xp.unstack(ghs)
    das, dbs = [None] * len(ghs), [None] * len(ghs)
    for i in reversed(order):
        old, kept = trace[i]
        total = (ghs[i] + ds[0], *ds[1:])
        ds, da, db = cell.pull(xp, w_hh, kept, old, *total)
        if mask is not None:
            zero = xp.zeros_like(da)
            same = da is db
            ds = _chosen(xp, mask[i], ds, total)
            da = xp.where(mask[i], da, zero)
            db = da if same else xp.where(mask[i], db, zero)
        das[i], dbs[i], trace[i] = da, db, old[0]
    del kept, old, total
    same = all(a is b for a, b in zip(das, dbs, strict=True))
    da = xp.concat(das, axis=0)
    das.clear()
    db = da if same else xp.concat(dbs, axis=0)
    dbs.clear()
    turned = xp.matrix_transpose(da)
    t, n, size = x.shape
    gx = gi = gh = None
    if wanted[0]:
        gx = xp.reshape(da @ w_ih, x.shape)
    if wanted[1]:
        gi = turned @ xp.reshape(x, (t * n, size))
    if wanted[2]:
        before = xp.concat(trace, axis=0)
        gh = (turned if db is da else xp.matrix_transpose(db)) @ before
    biases = [
        xp.sum(d, axis=0) if needed and b is not None else None
        for d, needed, b in zip((da, db), wanted[3:5], (b_ih, b_hh), strict=True)
    ]
    return (gx, gi, gh, *biases, *ds)


def _has_kernel(xp, name, arrays):
    """Whether the backend computes all steps of such a layer in one piece."""
    if name not in xp.recurrent_cells:
        return False
    dtype = arrays[0].dtype
    return dtype in (xp.float32, xp.float64) and all(a.dtype == dtype for a in arrays)


class _Sequence(Function):
    """A recurrent layer over whole sequences, time first: x, two weights, biases, first states.

    The sweep over raw arrays uses what the steps have kept. The recorded one runs the formulas of
    both directions again on Variables, so it can be differentiated further.
    """

    def __init__(self, make, mask, reverse, biased):
        self.make, self.mask, self.reverse, self.biased = make, mask, reverse, biased

    def _split(self, values):
        """``values``, one for each input, with None in the places of missing biases."""
        values = list(values)
        places = [values.pop(3) if there else None for there in self.biased]
        return (*values[:3], *places, tuple(values[3:]))

    def forward(self, *arrays):
        x, _, w_hh, *_ = arrays
        xp = backend_of(x)
        steps = range(x.shape[0])
        self.order = steps[::-1] if self.reverse else steps
        self.whole = self.mask is None and _has_kernel(xp, self.make.name, arrays)
        if self.whole:
            hs, states, self.trace = xp.recurrent(
                self.make.name, *self._split(arrays), self.reverse, recording()
            )
            return (hs, *states)
        self.cell = self.make(xp, w_hh.shape[1], w_hh)
        hs, states, self.trace = _forward(
            xp, self.cell, self.mask, self.order, recording(), *self._split(arrays)
        )
        return (xp.stack(hs), *states)

    def backward(self, ghs, *ds):
        values = self.inputs
        xp = backend_of(ghs._data)
        wanted = self._split(edge is not None for edge in self._ends)
        trace = self.trace
        if recording():
            xp = namespace_of(xp)
            w_hh = values[2]._data
            cell = self.make(xp, w_hh.shape[1], w_hh)  # its constants as Variables
            _, _, trace = _forward(xp, cell, self.mask, self.order, True, *self._split(values))
        else:
            if trace is None:
                raise _released(self)
            values = [x._data for x in values]
            ghs, ds = ghs._data, tuple(d._data for d in ds)
        *weights, _ = self._split(values)
        if self.whole and not recording():
            x, w_ih, w_hh, *_ = weights
            gs = xp.recurrent_gradients(
                self.make.name, trace, wanted, x, w_ih, w_hh, self.biased, self.reverse, ghs, ds
            )
        else:
            cell = cell if recording() else self.cell
            trace = list(trace) if self.kept_on and not recording() else trace
            gs = _backward(xp, cell, self.mask, self.order, wanted, *weights, trace, ghs, ds)
        biases = [g for g, there in zip(gs[3:5], self.biased, strict=True) if there]
        return [*gs[:3], *biases, *gs[5:]]

    def _pull_general(self, g, sweep, keep):
        self.kept_on = keep
        super()._pull_general(g, sweep, keep)
        if not keep:
            self.trace = None


def _need(right, name, operand, shape, expected):
    if not right:
        msg = f"{name}: {operand} has shape {tuple(shape)}, expected {expected}"
        raise ValueError(msg)


def _lengths(name, lengths, n, most, what="lengths", least=0):
    """``lengths`` as ``n`` integers of Python from ``least`` to ``most``."""
    raw = lengths._data if isinstance(lengths, Variable) else lengths
    if hasattr(raw, "shape"):
        raw = backend_of(raw).to_numpy(raw).reshape(-1).tolist()
    try:
        found = [operator.index(value) for value in raw]
    except TypeError:
        msg = f"{name}: {what} is {lengths!r}, expected {n} integers"
        raise TypeError(msg) from None
    if len(found) != n:
        msg = f"{name}: {len(found)} {what} for a batch of {n}"
        raise ValueError(msg)
    wrong = [value for value in found if not least <= value <= most]
    if wrong:
        msg = f"{name}: {what} contains {wrong[0]}, expected {least} to {most}"
        raise ValueError(msg)
    return found


def _run(name, make, x, states, w_ih, w_hh, b_ih, b_hh, lengths, reverse):
    """Check the operands, bring time first, and run."""
    x, w_ih, w_hh = (as_variable(_array(name, v)) for v in (x, w_ih, w_hh))
    _need(x.ndim == 3, name, "x", x.shape, "(N, T, I)")
    n, t, size = x.shape
    if t == 0:
        msg = f"{name}: x has shape {tuple(x.shape)}, at least one step is expected"
        raise ValueError(msg)
    _need(w_hh.ndim == 2, name, "w_hh", w_hh.shape, f"({make.parts} * H, H)")
    h = w_hh.shape[1]
    wide = make.parts * h
    _need(w_hh.shape[0] == wide, name, "w_hh", w_hh.shape, f"{(wide, h)}")
    _need(w_ih.shape == (wide, size), name, "w_ih", w_ih.shape, f"{(wide, size)}")
    biases = []
    for operand, b in (("b_ih", b_ih), ("b_hh", b_hh)):
        if b is not None:
            biases.append(as_variable(_array(name, b)))
            _need(biases[-1].shape == (wide,), name, operand, biases[-1].shape, f"({wide},)")
    xp = backend_of(w_hh._data)
    for place in (x, w_ih, w_hh, *biases):
        if xp.is_complex(place.dtype):
            msg = f"{name}: complex operands are not supported, got {place.dtype}"
            raise TypeError(msg)
    first = []
    for operand, state in states:
        if state is None:
            zeros = xp.zeros((n, h), dtype=w_hh.dtype, device=xp.device(w_hh._data))
            first.append(Variable(zeros, requires_grad=False))
        else:
            first.append(as_variable(_array(name, state)))
            _need(first[-1].shape == (n, h), name, operand, first[-1].shape, f"{(n, h)}")
    mask = None
    if lengths is not None:
        lengths = _lengths(name, lengths, n, t)
        if any(length < t for length in lengths):
            device = xp.device(x._data)
            ends = xp.asarray(lengths, dtype=xp.int64, device=device)
            there = xp.arange(t, dtype=xp.int64, device=device)[None, :] < ends[:, None]
            x = where(there[:, :, None], x, 0.0)  # what lies in the padding may be NaN
            mask = xp.unstack(xp.permute_dims(there, (1, 0))[:, :, None])
    biased = (b_ih is not None, b_hh is not None)
    run = _Sequence(make, mask, reverse, biased)
    hs, *last = run(permute_dims(x, (1, 0, 2)), w_ih, w_hh, *biases, *first)
    y = permute_dims(hs, (1, 0, 2))
    return (y if mask is None else where(there[:, :, None], y, 0.0), *last)


def _array(name, x):
    if x is None or not (isinstance(x, Variable) or hasattr(x, "shape")):
        msg = f"{name}: expected an array, got {type(x)}"
        raise TypeError(msg)
    return x


def rnn(
    x, h, w_ih, w_hh, b_ih=None, b_hh=None, *, nonlinearity="tanh", lengths=None, reverse=False
):
    """Elman's recurrent network over whole sequences: ``h = tanh(w_ih x + b_ih + w_hh h + b_hh)``.

    Args:
        x: Sequences (N, T, I).
        h: First states (N, H), or None for zeros.
        w_ih: Weights (H, I).
        w_hh: Weights (H, H).
        b_ih: Bias (H,) or None.
        b_hh: Bias (H,) or None.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        lengths: How many steps of each sequence count, N integers from 0 to T; None: all.
            Steps behind leave the state as it is, their outputs and gradients are zero, and what
            ``x`` holds there does not matter.
        reverse: Go from the last step to the first; the outputs stay where their inputs are.

    Returns:
        The states of all steps (N, T, H), and the last one (N, H).

    Raises:
        ValueError: A shape does not fit, a length is out of range, or T is 0.
        TypeError: ``lengths`` are not integers, or an operand is complex.

    Example:
        >>> import numpy as np
        >>> y, h = rnn(np.ones((2, 5, 3)), None, np.ones((4, 3)), np.zeros((4, 4)))
        >>> y.shape, h.shape
        ((2, 5, 4), (2, 4))
    """
    if nonlinearity not in ("tanh", "relu"):
        msg = f"rnn: nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'"
        raise ValueError(msg)
    cell = _Tanh if nonlinearity == "tanh" else _Relu
    return _run("rnn", cell, x, [("h", h)], w_ih, w_hh, b_ih, b_hh, lengths, reverse)


def lstm(x, h, c, w_ih, w_hh, b_ih=None, b_hh=None, *, lengths=None, reverse=False):
    """Long short-term memory over whole sequences.

    Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000: with ``p`` the sum
    of both products and both biases, ``c = sigmoid(f) c + sigmoid(i) tanh(g)`` and
    ``h = sigmoid(o) tanh(c)``, where i, f, g, o are the quarters of ``p``.

    Args:
        x: Sequences (N, T, I).
        h: First outputs (N, H), or None for zeros.
        c: First states of the cells (N, H), or None for zeros.
        w_ih: Weights (4 H, I).
        w_hh: Weights (4 H, H).
        b_ih: Bias (4 H,) or None.
        b_hh: Bias (4 H,) or None.
        lengths: As in `rnn`.
        reverse: As in `rnn`.

    Returns:
        The outputs of all steps (N, T, H), the last of them and the last state, both (N, H).

    Raises:
        ValueError: A shape does not fit, a length is out of range, or T is 0.
        TypeError: ``lengths`` are not integers, or an operand is complex.

    Example:
        >>> import numpy as np
        >>> y, h, c = lstm(np.ones((2, 5, 3)), None, None, np.ones((16, 3)), np.ones((16, 4)))
        >>> y.shape, c.shape
        ((2, 5, 4), (2, 4))
    """
    states = [("h", h), ("c", c)]
    return _run("lstm", _LSTM, x, states, w_ih, w_hh, b_ih, b_hh, lengths, reverse)


def gru(x, h, w_ih, w_hh, b_ih=None, b_hh=None, *, lengths=None, reverse=False):
    """Gated recurrent units over whole sequences.

    Cho et al. 2014, in the form where the reset gate scales the product of state and weights:
    ``h = z h + (1 - z) tanh(a + r b)`` with ``a`` the last third of ``w_ih x + b_ih``, ``b`` that
    of ``w_hh h + b_hh``, and the sigmoids r and z of the sums of the first two thirds.

    Args:
        x: Sequences (N, T, I).
        h: First states (N, H), or None for zeros.
        w_ih: Weights (3 H, I).
        w_hh: Weights (3 H, H).
        b_ih: Bias (3 H,) or None.
        b_hh: Bias (3 H,) or None; its last third is scaled by the reset gate.
        lengths: As in `rnn`.
        reverse: As in `rnn`.

    Returns:
        The states of all steps (N, T, H), and the last one (N, H).

    Raises:
        ValueError: A shape does not fit, a length is out of range, or T is 0.
        TypeError: ``lengths`` are not integers, or an operand is complex.

    Example:
        >>> import numpy as np
        >>> y, h = gru(np.ones((2, 5, 3)), None, np.ones((12, 3)), np.ones((12, 4)))
        >>> y.shape, h.shape
        ((2, 5, 4), (2, 4))
    """
    return _run("gru", _GRU, x, [("h", h)], w_ih, w_hh, b_ih, b_hh, lengths, reverse)


ops["rnn"], ops["lstm"], ops["gru"] = rnn, lstm, gru
