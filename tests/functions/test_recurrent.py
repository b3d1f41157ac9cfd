"""Whole sequences in one operation: padding, what is kept, messages. Values are in the cases."""

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, no_grad
from dezero.backends import numpy_backend
from dezero.testing import check_gradients

KINDS = {"rnn": (1, 1), "lstm": (4, 2), "gru": (3, 1)}


def operands(kind, n=3, t=4, i=2, h=2, seed=0):
    """x, first states, weights and biases."""
    parts, states = KINDS[kind]
    rng = np.random.default_rng(seed)
    shapes = [(n, t, i), *[(n, h)] * states, (parts * h, i), (parts * h, h)]
    return [rng.standard_normal(shape) for shape in [*shapes, (parts * h,), (parts * h,)]]


def loss(ys):
    return sum(F.sum(F.sin(y)) for y in ys)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_padding_counts_for_nothing(kind, reverse, lane):
    """NaN in the padding reaches no output and no gradient; each row is as if it stood alone."""
    values = operands(kind)
    lengths = [2, 4, 0]
    for row, length in enumerate(lengths):
        values[0][row, length:] = np.nan

    placed = lane.array(lengths)

    def run(*arrays):
        xs = [Variable(x) for x in arrays]
        ys = getattr(F, kind)(*xs, lengths=placed, reverse=reverse)
        loss(ys).backward()
        return [*(y.data for y in ys), *(x.grad.data for x in xs)]

    found = lane.compute(run, *values)
    ys, gs = found[: -len(values)], found[-len(values) :]
    total = [np.zeros_like(v) for v in values]
    states = KINDS[kind][1]
    for row, length in enumerate(lengths):
        got = ys[0][row]
        np.testing.assert_array_equal(got[length:], 0)
        if length == 0:
            for y, first in zip(ys[1:], values[1:], strict=False):
                np.testing.assert_allclose(y[row], first[row], rtol=1e-12)
            for g, first in zip(total[1 : 1 + states], values[1:], strict=False):
                g[row] = np.cos(first[row])
            continue
        alone = [Variable(v[[row]] if k <= states else v) for k, v in enumerate(values)]
        alone[0] = Variable(values[0][[row], :length])
        zs = getattr(F, kind)(*alone, reverse=reverse)
        np.testing.assert_allclose(got[:length], zs[0].data[0], rtol=1e-12)
        for y, z in zip(ys[1:], zs[1:], strict=True):
            np.testing.assert_allclose(y[row], z.data[0], rtol=1e-12)
        loss(zs).backward()
        total[0][row, :length] = alone[0].grad.data[0]
        for k, x in enumerate(alone[1:], 1):
            if k <= states:
                total[k][row] = x.grad.data[0]
            else:
                total[k] += x.grad.data
    for g, want in zip(gs, total, strict=True):
        np.testing.assert_allclose(g, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_full_lengths_are_no_lengths(kind):
    values = operands(kind)
    for a, b in zip(
        getattr(F, kind)(*values),
        getattr(F, kind)(*values, lengths=Variable(np.array([4, 4, 4]))),
        strict=True,
    ):
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["outputs", "last"])
def test_one_output_alone_has_a_gradient(kind, which):
    """What is not used of the outputs adds nothing."""
    pick = slice(0, 1) if which == "outputs" else slice(1, 2)
    grads = []
    for scale in (None, 0.0):
        xs = [Variable(v) for v in operands(kind)]
        ys = getattr(F, kind)(*xs)
        total = loss(ys[pick])
        if scale is not None:
            total = total + scale * loss(ys)
        total.backward()
        grads.append([x.grad.data for x in xs])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", [{"n": 0}, {"i": 0}, {"h": 0}])
def test_empty_operands(kind, reverse, sizes):
    """No sequences, no features, no units: zeros where a gradient has elements at all."""
    values = operands(kind, **sizes)
    xs = [Variable(v) for v in values]
    ys = getattr(F, kind)(*xs, reverse=reverse)
    loss(ys).backward()
    assert [x.grad.shape for x in xs] == [v.shape for v in values]
    if "i" not in sizes:
        assert not any(x.grad.data.any() for x in xs)
        return
    values = [v if k else np.zeros((3, 4, 1)) for k, v in enumerate(values)]
    at = 1 + KINDS[kind][1]
    values[at] = np.ones((len(values[at]), 1))
    padded = [Variable(v) for v in values]
    wanted = getattr(F, kind)(*padded, reverse=reverse)
    loss(wanted).backward()
    for k, (a, b) in enumerate(zip(xs, padded, strict=True)):
        if k not in (0, at):
            np.testing.assert_allclose(a.grad.data, b.grad.data, rtol=1e-12, atol=1e-15)
    for a, b in zip(ys, wanted, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


def run_both(monkeypatch, kind, arrays, **options):
    """Values and gradients from NumPy's kernels, and from the steps that all libraries take."""
    results = []
    for whole in (True, False):
        if not whole:
            monkeypatch.setattr(type(numpy_backend), "recurrent_cells", ())
        xs = [None if a is None else Variable(a) for a in arrays]
        ys = getattr(F, kind)(*xs, **options)
        loss(ys).backward()
        gs = [x.grad.data for x in xs if x is not None]
        with no_grad():
            free = getattr(F, kind)(*xs, **options)
        results.append([*(y.data for y in ys), *gs, *(y.data for y in free)])
    monkeypatch.undo()
    return results


@pytest.mark.only_paths("shipped", "short", reason="about the kernel")
@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("biases", [(True, True), (False, True), (True, False), (False, False)])
def test_the_kernel_of_whole_sequences_gives_the_numbers_of_steps(
    kind, reverse, biases, monkeypatch
):
    arrays = operands(kind, n=3, t=5, i=4, h=3)
    for k, there in zip((-2, -1), biases, strict=True):
        arrays[k] = arrays[k] if there else None
    called = []
    kernel = type(numpy_backend).recurrent
    monkeypatch.setattr(
        type(numpy_backend), "recurrent", lambda *a: called.append(kind) or kernel(*a)
    )
    for a, b in zip(*run_both(monkeypatch, kind, arrays, reverse=reverse), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    assert called == [kind, kind]


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_kernel_to_second_order(kind, reverse):
    arrays = operands(kind, n=2, t=3)
    check_gradients(lambda *x: loss(getattr(F, kind)(*x, reverse=reverse)), *arrays)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_rounding_of_long_sequences(kind, monkeypatch):
    """In single precision the kernel is as near to double precision as the steps are."""
    arrays = operands(kind, n=4, t=200, i=8, h=16)
    arrays = [a * 0.3 if a.ndim == 2 else a for a in arrays]
    exact = run_both(monkeypatch, kind, arrays)[1]
    whole, steps = run_both(monkeypatch, kind, [a.astype(np.float32) for a in arrays])
    for a, b, want in zip(whole, steps, exact, strict=True):
        assert a.dtype == np.float32
        size = np.abs(want).max()
        error, usual = (np.abs(y - want).max() / size for y in (a, b))
        assert error < 2.0 * usual + 2e-7
        assert error < 2e-5


def test_what_was_kept_is_released():
    xs = [Variable(v) for v in operands("lstm")]
    y = loss(F.lstm(*xs))
    y.backward(retain_graph=True)
    first = xs[0].grad.data.copy()
    xs[0].cleargrad()
    y.backward()
    np.testing.assert_array_equal(xs[0].grad.data, first)
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_only_wanted_gradients_are_made():
    xs = [Variable(v, requires_grad=k == 4) for k, v in enumerate(operands("lstm"))]
    loss(F.lstm(*xs)).backward()
    assert [k for k, x in enumerate(xs) if x.grad is not None] == [4]


def test_without_recording_nothing_is_kept():
    xs = [Variable(v) for v in operands("gru")]
    with no_grad():
        y, h = F.gru(*xs)
    assert not y.requires_grad
    assert not h.requires_grad


def test_a_recorded_sweep_after_a_plain_one():
    """The recorded sweep runs from the operands, so it needs nothing of what was kept."""
    xs = [Variable(v) for v in operands("gru")]
    y = loss(F.gru(*xs))
    y.backward(create_graph=True)
    want = xs[0].grad.data.copy()
    for x in xs:
        x.cleargrad()
    y.backward()
    np.testing.assert_allclose(xs[0].grad.data, want, rtol=1e-12)


def test_single_and_double_precision_together():
    """As NumPy promotes; each gradient has the dtype of its operand."""
    values = operands("lstm")
    xs = [Variable(v if k == 0 else v.astype(np.float32)) for k, v in enumerate(values)]
    y, _, _ = F.lstm(*xs)
    assert y.dtype == np.float64
    F.sum(y).backward()
    assert [x.grad.dtype for x in xs] == [x.dtype for x in xs]


def test_large_sums_overflow_nowhere():
    values = [v * 1e4 for v in operands("lstm")]
    xs = [Variable(v.astype(np.float32)) for v in values]
    loss(F.lstm(*xs)).backward()
    assert all(np.isfinite(x.grad.data).all() for x in xs)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("rnn", {0: np.ones((2, 3))}, r"rnn: x has shape \(2, 3\), expected \(N, T, I\)"),
        ("rnn", {0: np.ones((3, 0, 2))}, r"rnn: x has shape \(3, 0, 2\), at least one step"),
        ("lstm", {1: np.ones((2, 2))}, r"lstm: h has shape \(2, 2\), expected \(3, 2\)"),
        ("lstm", {2: np.ones((3, 3))}, r"lstm: c has shape \(3, 3\), expected \(3, 2\)"),
        ("lstm", {3: np.ones((8, 3))}, r"lstm: w_ih has shape \(8, 3\), expected \(8, 2\)"),
        ("lstm", {4: np.ones((7, 2))}, r"lstm: w_hh has shape \(7, 2\), expected \(8, 2\)"),
        ("gru", {3: np.ones(6)}, r"gru: w_hh has shape \(6,\), expected \(3 \* H, H\)"),
        ("gru", {4: np.ones(5)}, r"gru: b_ih has shape \(5,\), expected \(6,\)"),
        ("gru", {5: np.ones((6, 1))}, r"gru: b_hh has shape \(6, 1\), expected \(6,\)"),
    ],
)
def test_shapes_that_do_not_fit(kind, change, message):
    values = operands(kind)
    for k, v in change.items():
        values[k] = v
    with pytest.raises(ValueError, match=message):
        getattr(F, kind)(*values)


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([1, 2], ValueError, "gru: 2 lengths for a batch of 3"),
        ([1, 5, 2], ValueError, "gru: lengths contains 5, expected 0 to 4"),
        ([1, -1, 2], ValueError, "gru: lengths contains -1, expected 0 to 4"),
        ([1.0, 2.0, 3.0], TypeError, "expected 3 integers"),
        (np.array([1.0, 2.0, 3.0]), TypeError, "expected 3 integers"),
        (4, TypeError, "expected 3 integers"),
    ],
)
def test_lengths_that_do_not_fit(lengths, error, message):
    with pytest.raises(error, match=message):
        F.gru(*operands("gru"), lengths=lengths)


def test_what_is_not_supported():
    values = operands("rnn")
    with pytest.raises(ValueError, match="nonlinearity is 'sine'"):
        F.rnn(*values, nonlinearity="sine")
    values[2] = values[2] + 1j
    with pytest.raises(TypeError, match="complex operands are not supported"):
        F.rnn(*values)
    with pytest.raises(TypeError, match="rnn: expected an array, got <class 'NoneType'>"):
        F.rnn(None, *values[1:])
