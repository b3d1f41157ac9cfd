"""Chains of a program as one kernel, and runs of kernels as one graph."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Variable, backends
from dezero import layers as L
from dezero.compiler import cuda
from dezero.compiler.program import Program, Step, Value, replaced
from dezero.optimizers import Adam

F32 = np.dtype(np.float32)


class Recorder:
    """Writes down the steps of a program while the backend computes them."""

    def __init__(self, xp, *arrays):
        self.xp, self.program, self.table = xp, Program(), {}
        self.inputs = [self.value(xp.from_numpy(a)) for a in arrays]
        self.program.inputs = [*self.inputs]

    def value(self, array):
        value = Value(len(self.table), array.shape, array.dtype)
        self.table[value] = array
        return value

    def __call__(self, name, *args, **kwargs):
        function = getattr(self.xp, name)
        value = self.value(function(*replaced(args, self.table), **kwargs))
        self.program.steps.append(Step(name, function, args, kwargs, value))
        return value

    def finish(self, *outputs):
        self.program.outputs = [*outputs]
        return self.program, [self.xp.to_numpy(self.table[v]) for v in outputs]


def run(program, arrays):
    return cuda._computed(program.steps, program.inputs, program.outputs, program, arrays)


def draw(*shape):
    return np.random.default_rng(math.prod(shape)).normal(size=shape).astype(np.float32)


def chain(xp):
    r = Recorder(xp, draw(4, 1, 6), draw(5, 1), draw(6), draw(4, 5, 6))
    a, b, c, d = r.inputs
    y = r("multiply", r("tanh", r("add", a, b)), c)
    z = r("where", r("greater", y, d), y, r("exp", r("negative", d)))
    return r.finish(y, r("subtract", 1.5, z))


def by_rows(xp):
    r = Recorder(xp, draw(4, 5, 6), draw(6), draw(5, 1), draw(4, 1, 1))
    x, scale, few, one = r.inputs
    x = r("add", r("multiply", x, few), one)
    e = r("exp", r("subtract", x, r("max", x, axis=-1, keepdims=True)))
    total = r("sum", e, axis=-1, keepdims=True)
    y = r("multiply", r("divide", e, total), scale)
    return r.finish(y, r("log", total), r("sum", r("multiply", y, y), axis=(2,)))


def after_a_product(xp):
    r = Recorder(xp, draw(4, 6), draw(6, 5), draw(5))
    x, w, b = r.inputs
    y = r("maximum", r("add", r("matmul", x, w), b), 0.0)
    y = r("multiply", y, r("sigmoid", y))
    return r.finish(r("sum", y), r("sum", y, axis=0), y)


CASES = {"chain": (chain, 1), "rows": (by_rows, 1), "after a product": (after_a_product, 4)}


@pytest.mark.parametrize("case", CASES)
def test_a_chain_is_one_kernel(cupy, case):
    xp = backends.get("cupy")
    make, count = CASES[case]
    program, wanted = make(xp)
    new = cuda.fused(program, xp)
    assert len(new.steps) == count
    arrays = [xp.from_numpy(draw(*value.shape)) for value in program.inputs]
    before = cupy.launches
    found = run(new, arrays)
    assert cupy.launches - before == count
    assert cupy.waits.count("asnumpy") == len(cupy.waits)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(xp.to_numpy(a), b, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("own", "trailing", "wanted"),
    [
        ((4, 5, 6), 0, ("i", True)),
        ((), 0, ("0", False)),
        ((5, 6), 0, ("i % 30u", False)),
        ((6,), 0, ("i % 6u", False)),
        ((4, 1, 1), 0, ("i / 30u", False)),
        ((4, 1, 6), 0, ("i % 6u + (i / 30u) * 6u", False)),
        ((5, 1), 0, ("i / 6u % 5u", False)),
        ((6,), 1, ("col", True)),
        ((4, 5, 1), 1, ("row", False)),
        ((5, 1), 1, ("row % 5u", False)),
        ((1, 1, 1), 1, ("0", False)),
        ((4, 1, 6), 1, ("i % 6u + (i / 30u) * 6u", True)),
    ],
)
def test_places_of_operands(own, trailing, wanted):
    shape = (4, 5, 6)
    at, wide = cuda.place(own, shape, trailing)
    assert (at, wide) == wanted
    x = np.arange(math.prod(own)).reshape(own)
    for i, true in enumerate(np.broadcast_to(x, shape).ravel()):
        code = at.replace("u", "").replace("/", "//")
        assert eval(code, {"i": i, "row": i // 6, "col": i % 6}) == true


def test_what_is_not_broadcast_has_no_place():
    for own in ((7,), (2, 4, 5, 6), (4, 5)):
        with pytest.raises(cuda.Unfusable):
            cuda.place(own, (4, 5, 6), 0)


def long_chain(xp, product=False):
    r = Recorder(xp, draw(4, 6), draw(6, 6))
    x, w = r.inputs
    if product:
        x = r("matmul", x, w)
    for _ in range(6):
        x = r("softmax", r("square", x), 1)
    return r.finish(x)


def test_a_run_of_launches_becomes_a_graph(cupy):
    xp = backends.get("cupy")
    program, (wanted,) = long_chain(xp)
    new = cuda.captured(program, xp)
    (step,) = new.steps
    graph = step.call
    for turn in range(4):
        scale = 1.0 + turn
        arrays = [xp.from_numpy(draw(4, 6) * scale), xp.from_numpy(draw(6, 6))]
        (y,) = run(new, arrays)
        (true,) = run(program, arrays)
        np.testing.assert_array_equal(xp.to_numpy(y), xp.to_numpy(true))
        if not turn:
            np.testing.assert_array_equal(xp.to_numpy(y), wanted)
            first = y
    assert graph.reason is None
    assert graph.launches == 3
    np.testing.assert_array_equal(xp.to_numpy(first), wanted)  # no launch has changed it
    assert xp.to_numpy(y).tolist() != wanted.tolist()


def test_a_product_stays_outside_of_graphs(cupy):
    xp = backends.get("cupy")
    program, _ = long_chain(xp, product=True)
    new = cuda.captured(program, xp)
    assert [step.name for step in new.steps] == ["matmul", "graph"]


def test_a_short_run_is_no_graph(cupy):
    xp = backends.get("cupy")
    program, _ = long_chain(xp)
    program.steps, program.outputs = program.steps[:7], [program.steps[6].result]
    assert cuda.captured(program, xp).steps == program.steps


def test_what_cannot_be_captured_runs_as_it_is_and_says_why(cupy):
    xp = backends.get("cupy")
    w = xp.from_numpy(draw(6, 6))
    graph = cuda.Captured(lambda arrays: [xp.matmul(x, w) for x in arrays], xp)
    x = xp.from_numpy(draw(4, 6))
    for _ in range(3):
        (y,) = graph(x)
        np.testing.assert_array_equal(xp.to_numpy(y), xp.to_numpy(xp.matmul(x, w)))
    assert "cuBLAS" in graph.reason
    assert graph.launches == 0


def test_a_graph_of_another_shape_runs_as_it_is(cupy):
    xp = backends.get("cupy")
    graph = cuda.Captured(lambda arrays: [xp.exp(x) for x in arrays], xp)
    for n in (3, 3, 5):
        x = xp.from_numpy(draw(n))
        np.testing.assert_array_equal(xp.to_numpy(graph(x)[0]), np.exp(draw(n)))
    assert graph.launches == 1


def test_graphs_can_be_switched_off(cupy):
    xp = backends.get("cupy")
    xp.graphs = False
    graph = cuda.Captured(lambda arrays: [xp.exp(x) for x in arrays], xp)
    for _ in range(3):
        graph(xp.from_numpy(draw(3)))
    assert graph.launches == 0


# --- the whole way --------------------------------------------------------------------------------


def test_a_compiled_chain_is_one_launch(cupy):
    xp = backends.get("cupy")
    function = dezero.compile(lambda x: F.tanh(x * 2.0 + 1.0) * F.exp(-x), fallback="error")
    counts = []
    for turn in range(4):
        numbers = draw(3, 4) + turn
        before = cupy.launches
        y = function(Variable(xp.from_numpy(numbers)))
        counts.append(cupy.launches - before)
        wanted = np.tanh(numbers * 2 + 1) * np.exp(-numbers)
        np.testing.assert_allclose(xp.to_numpy(y.data), wanted, rtol=1e-6)
    assert counts[2:] == [1, 1]
    assert counts[0] > 5


def test_a_compiled_step_of_training_launches_less_and_never_waits(cupy):
    xp = backends.get("cupy")
    t = np.arange(8) % 4

    def trained(where, compiled):
        network = L.Sequential(L.Linear(16, in_size=6), F.tanh, L.LayerNorm(16), L.Linear(4))
        network(np.zeros((1, 6), np.float32))
        for i, (_, p) in enumerate(sorted(network.namedparams())):
            p.data = np.cos(np.arange(p.size) + i).astype(np.float32).reshape(p.shape)
        network.to(where.name)
        optimizer = Adam(0.01).setup(network)

        def step(x, t):
            y = network(x)
            loss = F.softmax_cross_entropy(y * F.sigmoid(y), t)
            network.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        step = dezero.compile(step, fallback="error") if compiled else step
        x, labels = Variable(where.from_numpy(draw(8, 6))), where.from_numpy(t)
        losses, counts = [], []
        for _ in range(5):
            before = cupy.launches
            losses.append(step(x, labels))
            counts.append(cupy.launches - before)
        return [*losses, *(p for _, p in sorted(network.namedparams()))], counts

    found, counts = trained(xp, True)
    assert cupy.waits == []
    assert counts[-1] < 0.75 * counts[1]
    for a, b in zip(found, trained(backends.get("numpy"), False)[0], strict=True):
        np.testing.assert_allclose(xp.to_numpy(a.data), b.data, rtol=1e-4, atol=1e-6)
