"""Compiled functions on every array library and device."""

import numpy as np
import pytest

import dezero
import dezero.functions as F
import dezero.layers as L
from dezero import Function, optimizers

from .conftest import classifying, refused

T = np.arange(4) % 3
LAZY = {"dask": "losses with labels look at them, and their rows are not known before"}


class Cube(Function):
    def forward(self, x):
        return x * x * x

    def backward(self, gy):
        (x,) = self.inputs
        return 3.0 * x * x * gy


FUNCTIONS = {
    "scalars": (lambda x, w: F.sum(100.0 * (w - x**2) ** 2 + (x - 1.0) ** 2), (), ()),
    "network": (lambda x, w: F.mean(F.gelu(F.tanh(x @ w) * 2.0 + 1.0)), (4, 3), (3, 5)),
    "norms": (lambda x, w: F.sum(F.layer_norm(x @ w) * F.softmax(x @ w, axis=1)), (4, 3), (3, 5)),
    "pieces": (
        lambda x, w: F.sum(F.concat([x[1:, :2], w.T[:3, :2]]) * F.where(x > 0.0, x, 0.0)[0, 0]),
        (4, 3),
        (3, 5),
    ),
    "own function": (lambda x, w: F.sum(Cube()(x * w)), (4,), (4,)),
}


def drawn(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name, lane):
    if lane.name == "jax" and name != "network":
        pytest.skip("compiles for each shape; the network stands for all")
    f, *shapes = FUNCTIONS[name]

    def step(x, w):
        w.cleargrad()
        y = f(x, w)
        y.backward()
        return y.detach()

    compiled = dezero.compile(step)
    for i in range(4):
        found = []
        for g in (step, compiled):
            x, w = (lane.variable(drawn(s, i + 7 * j)) for j, s in enumerate(shapes))
            y = g(x, w)
            found.append([lane.numpy(v) for v in (y, x.grad, w.grad)])
            assert type(w.grad.data) is type(w.data)
            assert w.grad.device == w.device
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-13)
    assert compiled.reasons == []
    assert len(compiled.programs) == 1


def test_training(lane):
    if lane.name in LAZY:
        pytest.skip(LAZY[lane.name])

    def trained(compiled):
        dezero.seed(0)
        net = L.Sequential(L.Linear(8), F.relu, L.Dropout(0.2), L.Linear(3))
        step = classifying(net, optimizers.Adam(0.01).setup(net))
        f = dezero.compile(step) if compiled else step
        losses = []
        for i in range(6):
            x = lane.array(drawn((4, 5), i).astype(np.float32))
            losses.append(float(lane.numpy(f(x, lane.array(T)))))
        if compiled:
            assert f.reasons == []
            assert len(f.programs) == 1
        return [np.array(losses), *net.weights().values()]

    for a, b in zip(trained(False), trained(True), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-5, atol=1e-6)
    dezero.seed(None)


def test_outputs_may_be_differentiated(lane):
    compiled = dezero.compile(lambda x: F.tanh(x) * 2.0)
    for i in range(4):
        x = lane.variable(drawn((3,), i))
        F.sum(compiled(x) ** 2).backward()
        got, x = lane.numpy(x.grad), lane.variable(drawn((3,), i))
        F.sum((F.tanh(x) * 2.0) ** 2).backward()
        np.testing.assert_allclose(got, lane.numpy(x.grad), rtol=1e-12)
    assert compiled.reasons == []


def test_moves_between_libraries(lane):
    if lane.name in ("numpy", "readonly", "dask"):
        pytest.skip("nothing moves, or only lazily")
    compiled = dezero.compile(lambda x: F.exp(x).to("numpy") * 2.0)
    for i in range(4):
        x = lane.variable(drawn((3,), i), requires_grad=False)
        y = compiled(x)
        np.testing.assert_allclose(y.data, 2.0 * np.exp(drawn((3,), i)), rtol=1e-12)
    assert compiled.reasons == []


def test_reads_are_found(lane):
    compiled = dezero.compile(lambda x: x * (2.0 if x.sum() > 0.0 else 3.0))
    with refused(r"read by .*, at test_compile_lanes.py"):
        for i in range(3):
            x = drawn((3,), i)
            y = compiled(lane.variable(x, requires_grad=False))
            np.testing.assert_allclose(lane.numpy(y), x * (2.0 if x.sum() > 0.0 else 3.0))


def test_raw_arrays_and_operators(lane):
    w = lane.array(drawn((3,), 8))
    if lane.name == "strict":
        pytest.skip("its arrays refuse operands of other classes, instead of asking them")

    def f(x):
        y = x * w + w * x - 1.0
        return y / (1.0 + y * y), -y

    compiled = dezero.compile(f)
    for i in range(4):
        x = lane.array(drawn((3,), i))
        for a, b in zip(compiled(x), f(x), strict=True):
            assert type(a) is type(b)
            np.testing.assert_allclose(lane.numpy(a), lane.numpy(b), rtol=1e-13)
    assert compiled.reasons == []
