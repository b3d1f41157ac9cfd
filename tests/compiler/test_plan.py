"""The plan of a program gives the numbers of its steps, however it runs them."""

import sys

import numpy as np
import pytest

from compiler.programs import BACKEND, Maker, interpreted
from dezero.compiler.plan import _Build, build
from dezero.compiler.program import Value

from .conftest import at_once

ONE = ["tanh", "exp", "sqrt", "negative", "abs", "sigmoid", "sin", "square", "positive", "copy"]
TWO = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "add_into"]
NUMBERS = [1.0, 0.0, -0.0, 2, 0.5, -1.0, 3.0]


def drawn(rng, shape, dtype):
    return rng.uniform(0.2, 1.5, shape).astype(dtype)


class Random:
    """A program drawn at random over a few shapes that broadcast against each other."""

    def __init__(self, seed, rows, width, dtype):
        self.rng = np.random.default_rng(seed)
        self.rows, self.width, self.dtype = rows, width, np.dtype(dtype)
        self.maker = m = Maker()
        full, row, column = (rows, width), (width,), (rows, 1)
        self.values = [m.input(drawn(self.rng, s, dtype)) for s in (full, full, row, column)]
        self.values += [m.constant(drawn(self.rng, full, dtype), fixed=seed % 2 == 0)]
        self.values += [m.constant(np.ones(row, dtype)), m.input(drawn(self.rng, (), dtype))]
        self.inputs = [m.arrays[v] for v in m.program.inputs]

    def pick(self, *shapes):
        fitting = [v for v in self.values if not shapes or v.shape in shapes]
        return fitting[-1 - min(int(self.rng.exponential(3.0)), len(fitting) - 1)]

    def grow(self):
        m, rng, full = self.maker, self.rng, (self.rows, self.width)
        kind = rng.integers(12)
        x = self.pick(full)
        if kind < 4:
            fits = self.pick((), (self.width,), (self.rows, 1), full)
            b = fits if rng.random() < 0.7 else NUMBERS[rng.integers(len(NUMBERS))]
            name = TWO[rng.integers(len(TWO))]
            if name == "divide":
                b = m.add(m.abs(b), 0.5) if isinstance(b, Value) else 2.0
            a, b = (x, b) if name == "divide" or rng.random() < 0.7 else (b, x)
            y = m.call(name, a, b)
        elif kind < 6:
            y = m.call(ONE[rng.integers(4, len(ONE))], self.pick())
        elif kind == 6:
            y = m.tanh(self.pick())
        elif kind == 7:
            axis = [None, 0, 1, -1, (0, 1)][rng.integers(5)]
            name = ["sum", "max", "min", "mean"][rng.integers(4)]
            y = m.call(name, x, axis=axis, keepdims=bool(rng.random() < 0.5))
        elif kind == 8:
            condition = m.greater(x, self.pick((), (self.width,), full))
            other = self.pick(full) if rng.random() < 0.7 else 0.0
            y = m.only(x, condition) if rng.random() < 0.5 else m.where(condition, x, other)
        elif kind == 9:
            y = m.matmul(x, m.matmul(m.matrix_transpose(x), self.pick(full)))
            y = m.divide(y, float(self.rows * self.width))
        elif kind == 10:
            v = self.pick()
            if v.shape == (self.rows,):
                y = m.get_item(v, (slice(None), None))
            elif v.shape == full:
                flat = m.reshape(v, (-1,))
                y = m.reshape(m.get_item(flat, slice(None, None, -1)), full)
            else:
                y = m.reshape(v, (1, *v.shape))
        else:
            y = m.broadcast_to(self.pick((), (self.width,), (self.rows, 1)), full)
        if y.shape != full and y.shape not in ((), (self.width,), (self.rows, 1), (self.rows,)):
            y = m.reshape(y, (self.width,) if y.shape == (1, self.width) else (-1,))
            y = y if y.shape in ((self.width,), (self.rows,)) else m.sum(y)
        self.values.append(y)

    def program(self, steps):
        for _ in range(steps):
            self.grow()
        chosen = [self.pick() for _ in range(4)]
        if self.rng.random() < 0.3:
            chosen.append(self.values[int(self.rng.integers(4))])
        return self.maker.output(*chosen)


def agree(got, wanted, rtol):
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert np.shape(a) == np.shape(b)
        assert a.dtype == b.dtype
        size = np.max(np.abs(b), initial=1.0, where=np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * size)


def planned(program, least):
    return _Build(program, BACKEND, True, least).executor()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tiles", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed, tiles, dtype, monkeypatch):
    """Values, dtypes and shapes; in plain calls and in tiles, also when run again."""
    from dezero.compiler import tiles as module

    monkeypatch.setattr(module, "_FEWEST", 16)
    monkeypatch.setattr(module, "_WIDEST", 64)
    drawn_program = Random(seed, 23, 7, dtype)
    program = drawn_program.program(25)
    wanted = interpreted(program, *drawn_program.inputs)
    run = planned(program, 1 if tiles else 1 << 60)
    with np.errstate(all="ignore"):
        first = run(list(drawn_program.inputs))
        kept = [np.array(a) for a in first]
        other = [a * a.dtype.type(0.5) for a in drawn_program.inputs]
        run(other)
        again = run(list(drawn_program.inputs))
    rtol = 2e-4 if dtype == "float32" else 1e-11
    agree(first, wanted, rtol)
    agree(again, wanted, rtol)
    for a, b in zip(first, kept, strict=True):  # nobody has written into them
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", range(30))
def test_results_share_no_memory(seed, monkeypatch):
    """Outputs share memory with other arrays only where they do step by step."""
    from dezero.compiler import tiles as module

    monkeypatch.setattr(module, "_WIDEST", 64)
    drawn_program = Random(1000 + seed, 23, 7, "float64")
    program = drawn_program.program(40)
    inputs = drawn_program.inputs
    wanted = interpreted(program, *inputs)
    others = [*inputs, *program.constants.values()]
    for least in (1, 1 << 60):
        with np.errstate(all="ignore"):
            got = planned(program, least)(list(inputs))
        for i, a in enumerate(got):
            if not np.asarray(a).flags.writeable:
                continue  # of a broadcast number
            for j, b in enumerate(got[:i]):
                if np.shares_memory(a, b):
                    assert np.shares_memory(wanted[i], wanted[j])
            for other in others:
                assert not np.shares_memory(a, other) or np.shares_memory(wanted[i], other)


def chain(m, x):
    for _ in range(3):
        x = m.tanh(m.add(m.multiply(x, 1.1), 0.1))
    return x


@pytest.mark.only_paths("shipped", "short", reason="about tiles")
@pytest.mark.parametrize("shape", [(100_003,), (300, 401), (7, 50, 301), (2, 3, 20_011)])
def test_chain_in_tiles(shape):
    """Elementwise tiles give the very same bits, whatever the shape and the strides."""
    m = Maker()
    x = m.input(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    row = m.input(np.random.default_rng(1).standard_normal(shape[-1:]).astype(np.float32))
    y = chain(m, x)
    z = m.multiply(m.add(y, row), m.subtract(1.0, m.multiply(y, y)))
    program = m.output(y, z)
    run = build(program, BACKEND)
    assert "tiles" in run.listing
    arrays = [m.arrays[x], m.arrays[row]]
    turned = [np.asfortranarray(arrays[0]), np.flip(np.flip(arrays[1]).copy())]
    for given in (arrays, turned, arrays):
        for a, b in zip(run(list(given)), interpreted(program, *given), strict=True):
            np.testing.assert_array_equal(a, b)


def normalization(m, x, a, b):
    rough = m.subtract(x, m.mean(x, axis=-1, keepdims=True))
    var = m.mean(m.multiply(rough, rough), axis=-1, keepdims=True)
    y = m.divide(rough, m.sqrt(m.add(var, 1e-5)))
    return m.add(m.multiply(y, a), b)


@pytest.mark.only_paths("shipped", "short", reason="about tiles")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1000, 67), (20, 30, 128), (5, 6, 7, 331)])
def test_rows_in_tiles(shape, dtype):
    """Sums and extrema of rows within a tile, of columns and of everything over all tiles."""
    rng = np.random.default_rng(0)
    m = Maker()
    x, a, b = (
        m.input(rng.standard_normal(s).astype(dtype)) for s in (shape, shape[-1:], shape[-1:])
    )
    y = normalization(m, x, a, b)
    top = m.max(y, axis=-1)
    e = m.exp(m.subtract(y, m.get_item(top, (..., None))))
    logs = m.add(m.log(m.sum(e, axis=-1)), top)
    columns = m.sum(y, axis=tuple(range(len(shape) - 1)))
    program = m.output(
        y, logs, columns, m.sum(y), m.max(y), m.min(y, axis=0), m.sum(y, axis=0, keepdims=True)
    )
    run = build(program, BACKEND)
    assert run.listing.count("in tiles") == 1
    inputs = [m.arrays[v] for v in program.inputs]
    for _ in range(2):
        agree(
            run(list(inputs)), interpreted(program, *inputs), 3e-6 if dtype == "float32" else 1e-13
        )


@pytest.mark.only_paths("shipped", "short", reason="about the kernel's blocks")
def test_gelu_and_its_gradient():
    """They share what they have in common, and stay finite far out."""
    rng = np.random.default_rng(0)
    for dtype, rtol in ((np.float32, 3e-6), (np.float64, 1e-13)):
        m = Maker()
        far = np.array([0.0, -0.0, 1e20, -1e20, 30.0, -30.0, 1e-30, -1e-38])
        x = m.input(np.concat([far, rng.standard_normal(70_000)]).astype(dtype))
        g = m.input(rng.standard_normal(70_008).astype(dtype))
        y = m.gelu(x, "tanh")
        program = m.output(y, m.gelu_grad(g, x, y, "tanh"))
        run = build(program, BACKEND)
        assert run.listing.count("exp(") == 1
        inputs = [m.arrays[x], m.arrays[g]]
        agree(run(list(inputs)), interpreted(program, *inputs), rtol)


@pytest.mark.parametrize("n", [5, 70_000])
def test_selection_keeps_bits(n):
    """`where` and `only` let no NaN through that is not selected, and keep the sign of zero."""
    m = Maker()
    a, b = np.full(n, np.nan), np.full(n, -0.0)
    c = np.arange(n) % 3 == 0
    x, y = m.input(a), m.input(b)
    k = m.input(c)
    one = m.negative(m.negative(x))
    program = m.output(
        m.where(k, one, y), m.where(k, y, one), m.only(one, k), m.where(k, one, 1.5),
        m.where(k, -0.0, m.abs(x)),
    )  # fmt: skip
    inputs = [a, b, c]
    got, wanted = build(program, BACKEND)(list(inputs)), interpreted(program, *inputs)
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(g, w)
        np.testing.assert_array_equal(np.signbit(g) & (g == 0), np.signbit(w) & (w == 0))


@pytest.mark.parametrize("n", [10, 70_000])
def test_zero_over_zero(n):
    """`xdivy` is 0 where its first operand is, whatever the second."""
    m = Maker()
    rng = np.random.default_rng(0)
    a, b = np.where(rng.random(n) < 0.5, 0.0, 2.0), np.where(rng.random(n) < 0.5, 0.0, 3.0)
    x, y = m.input(a), m.input(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        program = m.output(m.negative(m.xdivy(m.multiply(x, 2.0), y)))
        got, wanted = build(program, BACKEND)([a, b]), interpreted(program, a, b)
    np.testing.assert_array_equal(got, wanted)


def test_equal_steps_are_merged():
    """Also in another order of the operands; numbers of another type or sign are not equal."""
    m = Maker()
    x, y = m.input(np.ones((3, 3))), m.input(np.ones((3, 3)))
    outputs = [
        m.add(x, y), m.add(y, x), m.tanh(m.add(x, y)), m.add(x, 0.0), m.add(x, -0.0),
        m.sum(x, axis=0), m.sum(x, axis=0),
    ]  # fmt: skip
    program = m.output(*outputs)
    run = build(program, BACKEND)
    assert run.listing.count(" = add(") == 3
    assert run.listing.count(" = sum(") == 1
    got = run([np.full((3, 3), -0.0), np.full((3, 3), -0.0)])
    assert not np.signbit(got[3]).any()
    assert np.signbit(got[4]).all()
    assert not np.shares_memory(got[0], got[1])
    assert not np.shares_memory(got[5], got[6])


def test_what_nobody_needs_is_left_out():
    m = Maker()
    x = m.input(np.ones(3))
    m.exp(m.tanh(x))
    run = build(m.output(m.multiply(m.positive(x), 1.0)), BACKEND)
    assert "exp" not in run.listing
    (y,) = run([a := np.ones(3)])
    assert not np.shares_memory(y, a)


def test_arrays_of_one_number():
    """What is known to be one or zero is no work; constants that others can write to are."""
    for fixed in (True, False):
        m = Maker()
        x = m.input(np.ones((2, 3)))
        ones = m.constant(np.ones((2, 3)), fixed)
        program = m.output(m.multiply(m.multiply(ones, m.negative(x)), m.ones_like(x)))
        run = build(program, BACKEND)
        assert run.listing.count("multiply(") == (not fixed)
        m.arrays[ones][...] = 2.0
        assert run([np.ones((2, 3))])[0][0, 0] == (-1.0 if fixed else -2.0)


def test_constants_are_read_in_each_run():
    m = Maker()
    x, c = m.input(np.ones((4, 4))), m.constant(np.ones((4, 4)).T, fixed=False)
    program = m.output(m.add(x, m.reshape(m.matrix_transpose(c), (4, 4))), m.reshape(c, (16,)))
    run = build(program, BACKEND)
    m.arrays[c][...] = 5.0
    got = run([np.ones((4, 4))])
    assert (got[0] == 6.0).all()
    assert (got[1] == 5.0).all()


class Log:
    """Something on the host."""

    def __init__(self):
        self.kept = []

    def keep(self, *arrays):
        self.kept += arrays

    def double(self, array):
        array *= 2.0


@pytest.mark.parametrize("n", [10, 70_000])
def test_effects_keep_their_order_and_their_arrays(n):
    """What an effect is given is its own, and nothing moves past it."""
    m, log = Maker(), Log()
    x = m.input(np.ones(n))
    before = m.multiply(x, 3.0)
    given = m.add(before, 1.0)
    m.call("host", given, call=log.keep, effect=True)
    m.call("host", x, call=log.double, effect=True)
    after = m.multiply(x, 3.0)
    program = m.output(m.negative(before), m.negative(after), m.add(before, 1.0))
    run = build(program, BACKEND)
    for _ in range(2):
        log.kept.clear()
        first, second, third = run([np.ones(n)])
        assert (first == -3.0).all()
        assert (second == -6.0).all()
        assert (log.kept[0] == 4.0).all()
        assert not np.shares_memory(log.kept[0], third)
        kept = log.kept[0]
    run([np.full(n, 7.0)])
    assert (kept == 4.0).all()


def test_copies_for_effects():
    """A copy that the recording makes is left out only if nobody else has the array."""
    m, log = Maker(), Log()
    x = m.input(np.ones(4))
    y = m.exp(x)
    m.call("host", m.copy(y), call=log.double, effect=True)
    m.call("host", m.copy(m.sin(x)), call=log.keep, effect=True)
    run = build(m.output(m.negative(y)), BACKEND)
    assert run.listing.count("copied") == 1
    np.testing.assert_array_equal(run([np.ones(4)])[0], -np.exp(np.ones(4)))


def test_kernels_that_leave_something_in_a_dict():
    m = Maker()
    rng = np.random.default_rng(0)
    x, t = m.input(rng.standard_normal((6, 4))), m.input(np.array([0, 1, 2, 3, 0, 1]))
    kept = m.call("dict", call=dict)
    loss, total = m.call("nll", x, t, kept)
    g = m.ones_like(loss)
    d = m.call("nll_grad", g, m.zeros_like(loss), x, t, total, kept)
    program = m.output(m.sum(loss), d)
    run = build(program, BACKEND)
    inputs = [m.arrays[x], m.arrays[t]]
    fresh = Maker()
    want = fresh.backend.nll(inputs[0], inputs[1], None)
    for _ in range(2):
        value, gradient = run(list(inputs))
        np.testing.assert_allclose(value, want[0].sum(), rtol=1e-14)
        np.testing.assert_allclose(gradient.sum(axis=1), 0.0, atol=1e-14)


@pytest.mark.parametrize("n", [30, 90_000])
def test_threads(n):
    """Runs at once do not meet, also within one thread."""
    m = Maker()
    x = m.input(np.ones(n))
    y = m.matmul(m.reshape(chain(m, x), (3, -1)), m.reshape(m.sin(x), (-1, 3)))
    program = m.output(y, m.negative(m.exp(m.sin(x))))
    run = build(program, BACKEND)
    given = [np.full(n, k / 10) for k in range(8)]
    wanted = [interpreted(program, a) for a in given]
    wrong = []

    def work(k):
        for _ in range(20):
            for a, b in zip(run([given[k]]), wanted[k], strict=True):
                if not np.allclose(a, b, rtol=1e-12):
                    wrong.append(k)

    at_once(work, 8)
    assert not wrong


def test_arrays_go_before_an_effect():
    """Nobody but the caller's own list holds an input that is not needed any more."""
    m, counts, parameter = Maker(), [], [np.ones(4)]
    x = m.input(np.ones(4))
    y = m.exp(x)
    m.call("host", y, call=lambda _: counts.append(sys.getrefcount(parameter[0])), effect=True)
    run = build(m.output(y), BACKEND)
    counts.clear()
    alone = sys.getrefcount(parameter[0])
    run([parameter[0]])
    assert counts == [alone]


@pytest.mark.only_paths("shipped", "short", reason="about programs of single numbers")
@pytest.mark.parametrize("seed", range(25))
def test_numbers(seed):
    """Programs of single numbers in Python's own arithmetic, and where that raises."""
    rng = np.random.default_rng(seed)
    m = Maker()
    values = [m.input(np.array(v)) for v in rng.uniform(-2.0, 2.0, 3)]
    names = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "xdivy"]
    singles = [
        "tanh",
        "sin",
        "cos",
        "negative",
        "abs",
        "square",
        "sigmoid",
        "exp",
        "sqrt",
        "log",
        "positive",
    ]
    with np.errstate(all="ignore"):
        for _ in range(30):
            a = values[rng.integers(len(values))]
            kind = rng.integers(10)
            if kind < 4:
                b = values[rng.integers(len(values))] if rng.random() < 0.6 else 2
                y = m.call(names[rng.integers(len(names))], a, b)
            elif kind < 6:
                y = m.call(singles[rng.integers(len(singles))], a)
            elif kind == 6:
                y = m.pow(a, [2, 3, -1, 0.5, 1.5, values[0]][rng.integers(6)])
            elif kind == 7:
                y = m.where(m.greater(a, 0.3), a, values[rng.integers(len(values))])
            elif kind == 8:
                y = m.multiply(m.reshape(m.sum(a), ()), m.ones_like(a))
            else:
                y = m.only(a, m.less(a, 0.5))
            values.append(y)
        program = m.output(*values[-8:], values[0])
        run = build(program, BACKEND)
        assert "Python's own arithmetic" in run.listing
        for factor in (1.0, -0.7, 1e-200, 1e200, np.inf, np.nan):
            given = [m.arrays[v] * factor for v in program.inputs]
            got, wanted = run(list(given)), interpreted(program, *given)
            for a, b in zip(got, wanted, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=1e-12)


def test_every_backend_runs_a_program():
    """Without NumPy steps are called as they stand, after merging and removal."""
    strict = pytest.importorskip("array_api_strict")
    from dezero.backends import backend_of

    x = strict.asarray([[1.0, 2.0], [3.0, 4.0]])
    m = Maker(backend_of(x))
    v = m.input(x)
    m.exp(v)
    y = m.sum(m.multiply(m.tanh(v), m.tanh(v)), axis=0)
    program = m.output(y, m.matmul(v, v), v)
    run = build(program, backend_of(x))
    assert run.listing.count("tanh") == 1
    got = run([x])
    np.testing.assert_allclose(
        np.from_dlpack(got[0]), np.sum(np.tanh([[1, 2], [3, 4]]) ** 2, axis=0)
    )
    assert got[2] is x


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 30, 40, 50)])
def test_memory_order_stays(shape):
    """Elementwise work on channels that come last in memory leaves them there."""
    m = Maker()
    rng = np.random.default_rng(0)
    x, g = (m.input(rng.standard_normal(shape)) for _ in range(2))
    y = m.maximum(m.multiply(x, 2.0), 0.0)
    z = m.only(m.exp(g), m.greater(y, 0.0))
    program = m.output(
        y, z, m.add(y, m.permute_dims(m.permute_dims(z, (0, 2, 3, 1)), (0, 3, 1, 2)))
    )
    run = build(program, BACKEND)
    last = [np.moveaxis(np.moveaxis(m.arrays[v], 1, -1).copy(), -1, 1) for v in (x, g)]
    for given in ([m.arrays[x], m.arrays[g]], last, [last[0], m.arrays[g]]):
        got, wanted = run(list(given)), interpreted(program, *given)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(a, b)
        assert got[0].strides == wanted[0].strides
    assert got[0].strides[1] == 8


def test_kernels_write_into_nothing_that_others_need():
    """`masked_softmax` and `set_item` may write into an operand that only they use."""
    m = Maker()
    rng = np.random.default_rng(0)
    x, c = m.input(rng.standard_normal((4, 5))), m.constant(np.zeros((4, 5)))
    scores = m.negative(x)
    softmax = [
        m.masked_softmax(m.copy(scores), None, False),
        m.masked_softmax(m.copy(c), None, False),
    ]
    for step in m.program.steps:
        if step.name == "masked_softmax":
            step.args = (*step.args[:2], True)
    changed = m.set_item(m.copy(scores), 0, 7.0, alone=False)
    m.program.steps[-1].kwargs["alone"] = True
    program = m.output(*softmax, changed, scores)
    run = build(program, BACKEND)
    inputs = [m.arrays[x]]
    wanted = [np.array(m.arrays[v]) for v in program.outputs]
    for _ in range(3):
        for a, b in zip(run(list(inputs)), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)
    assert not m.arrays[c].any()


def test_kernels_write_into_what_only_they_need():
    """But not into an array that is made once for all runs."""
    m = Maker()
    x = m.input(np.random.default_rng(0).standard_normal((4, 5)))
    softmax = m.masked_softmax(m.negative(x), None, False)
    m.program.steps[-1].args = (*m.program.steps[-1].args[:2], True)
    changed = []
    for zeros in (m.zeros_like(x), m.full_like(x, 0.0)):
        y = m.set_item(zeros, m.greater(x, 0.0), 7.0, alone=False)
        m.program.steps[-1].kwargs["alone"] = True
        changed.append(m.negative(y))
    program = m.output(softmax, *changed)
    own = {s.name: s.args[2:] for s in _Build(program, BACKEND, True).program.steps}
    assert own["masked_softmax"] == (True,)
    run, given = build(program, BACKEND), m.arrays[x].copy()
    for scale in (1.0, -1.0, 2.0):
        inputs = [given * scale]
        for a, b in zip(run(list(inputs)), interpreted(program, given * scale), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)
        np.testing.assert_array_equal(inputs[0], given * scale)


@pytest.mark.parametrize("shape", [(), (1,), (3, 1)])
def test_means_of_single_numbers(shape):
    m = Maker()
    x = m.input(np.full(shape, 2.0, np.float32))
    axis = -1 if shape else None
    program = m.output(m.mean(x, axis=axis), m.mean(x, axis=()), m.sum(x, axis=()))
    inputs = [m.arrays[x]]
    agree(build(program, BACKEND)(list(inputs)), interpreted(program, *inputs), 0.0)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1), (1, 3, 1, 4)])
def test_dimensions_of_length_one_in_tiles(shape):
    """Operands may have more dimensions than the loop is left with."""
    m = Maker()
    rng = np.random.default_rng(0)
    x, c = m.input(rng.standard_normal(shape)), m.input(rng.standard_normal((1,) * len(shape)))
    y = m.exp(m.multiply(x, c))
    row = m.sum(y, axis=-1, keepdims=True)
    z = m.subtract(m.divide(y, row), m.add(c, m.sum(y, axis=None, keepdims=True)))
    program = m.output(z, y, row, m.sum(z, axis=0), m.multiply(row, 2.0))
    inputs = [m.arrays[x], m.arrays[c]]
    agree(planned(program, 1)(list(inputs)), interpreted(program, *inputs), 1e-13)
