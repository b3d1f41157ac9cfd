"""Chains as loops that Numba compiles."""

import numpy as np
import pytest

import dezero
import dezero.functions as F
from compiler.programs import BACKEND, Maker, interpreted
from compiler.test_plan import chain
from dezero.compiler import loops
from dezero.compiler.plan import build

pytest.importorskip("numba", reason="Numba is an optional extra")


def units(got, exact):
    """The largest error in units in the last place."""
    exact64 = exact.astype(np.float64)
    return np.max(np.abs(got - exact64) / np.spacing(np.abs(exact64).astype(got.dtype)))


@pytest.mark.parametrize(("name", "most"), [("exp", 2.0), ("tanh", 2.3)])
def test_accuracy_in_single_precision(name, most):
    rng = np.random.default_rng(0)
    spread = 10.0 ** rng.uniform(-30.0, 2.0, 100_000) * rng.choice([-1.0, 1.0], 100_000)
    x = np.concat([rng.normal(size=100_000) * 3.0, spread, np.linspace(-88.0, 88.0, 100_000)])
    x = np.clip(x, -87.0, 88.7).astype(np.float32)
    m = Maker()
    v = m.input(x)
    program = m.output(m.negative(m.negative(m.call(name, v))))
    (got,) = build(program, BACKEND, numba=True)([x])
    assert got.dtype == np.float32
    assert units(got, getattr(np, name)(x.astype(np.float64))) < most


@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_special_numbers(name):
    x = np.resize(np.float32([0.0, -0.0, np.inf, -np.inf, np.nan, 200.0, -200.0, 1e-40]), 80_000)
    m = Maker()
    v = m.input(x)
    with np.errstate(over="ignore"):
        program = m.output(m.negative(m.negative(m.call(name, v))))
        wanted = getattr(np, name)(x)
    (got,) = build(program, BACKEND, numba=True)([x])
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
    np.testing.assert_array_equal(np.signbit(got)[:2], np.signbit(wanted)[:2])


def test_chain(monkeypatch):
    """One loop, also over channels that come last, with numbers and truth values in it."""
    made = []
    loop = loops._loop
    monkeypatch.setattr(loops, "_loop", lambda group: made.append(loop(group)) or made[-1])
    m = Maker()
    rng = np.random.default_rng(0)
    x = m.input(rng.standard_normal((4, 30, 40, 50)).astype(np.float32))
    g = m.input(rng.standard_normal((4, 30, 40, 50)).astype(np.float32))
    c = m.input(np.array(0.3, np.float32))
    y = chain(m, x)
    d = m.multiply(g, m.subtract(1.0, m.multiply(y, y)))
    z = m.where(m.logical_and(m.greater(d, c), m.less(d, 1.0)), d, m.maximum(m.sqrt(m.abs(d)), 0.5))
    program = m.output(y, m.only(z, m.greater(x, 0.0)))
    run = build(program, BACKEND, numba=True)
    assert len(made) == 1
    arrays = [m.arrays[v] for v in program.inputs]
    last = [np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1) for a in arrays[:2]]
    for given in (arrays, [*last, arrays[2]], [arrays[0], last[1], arrays[2]]):
        for a, b in zip(run(list(given)), interpreted(program, *given), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_arithmetic_in_double_precision(seed):
    """Bit by bit but for products that are added without rounding in between."""
    rng = np.random.default_rng(seed)
    m = Maker()
    values = [m.input(rng.uniform(0.5, 1.5, 70_000)) for _ in range(2)]
    names = ["add", "subtract", "multiply", "maximum", "minimum"]
    for _ in range(15):
        a, b = (values[rng.integers(len(values))] for _ in range(2))
        if rng.random() < 0.3:
            values.append(m.call(["negative", "abs", "square"][rng.integers(3)], m.tanh(a)))
        else:
            values.append(m.multiply(m.call(names[rng.integers(len(names))], a, b), 0.5))
    program = m.output(*values[-2:])
    inputs = [m.arrays[v] for v in program.inputs]
    got = build(program, BACKEND, numba=True)(list(inputs))
    for a, b in zip(got, interpreted(program, *inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_it_is_asked_for_by_compile():
    @dezero.compile(numba=True)
    def f(x):
        return dezero.grad(lambda x: F.sum(F.tanh(F.tanh(F.tanh(x)))))(x)

    x = np.linspace(-2.0, 2.0, 100_000).astype(np.float32)
    first, _, third = [f(x).data for _ in range(3)]
    np.testing.assert_allclose(third, first, rtol=2e-6)
    assert not f.reasons
    assert "loop" in str(f)
