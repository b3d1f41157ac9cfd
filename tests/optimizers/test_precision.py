"""Loss scaling in half precision, and several batches as one."""

import json

import numpy as np
import pytest

import dezero.functions as F
from dezero.core import Parameter, Variable
from dezero.layers import Layer, Linear, Sequential
from dezero.optimizers import SGD, Adam, ClipGrad, GradientAccumulation, LossScaler

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 3))
T = RNG.standard_normal((12, 2))


def model_of(lane=None, dtype=np.float32):
    rng = np.random.default_rng(1)
    array = np.array if lane is None else lane.array
    model = Sequential(Linear(4, in_size=3), F.tanh, Linear(2, in_size=4))
    for param in model.params():
        param.data = array(rng.standard_normal(param.shape).astype(dtype) / 2)
    return model


def loss_of(model, x, t):
    y = model(x)
    return F.mean((y - t) ** 2)


# Mixed precision


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_half_precision_follows_single(name, chosen_lane):
    lane = chosen_lane(name)
    half = {key: lane.array(a.astype(np.float16)) for key, a in (("x", X), ("t", T))}
    single = {key: lane.array(a.astype(np.float32)) for key, a in (("x", X), ("t", T))}
    model, reference = model_of(lane), model_of(lane)
    scaler = LossScaler(SGD(0.1).setup(model))
    other = SGD(0.1).setup(reference)
    losses = []
    for _ in range(5):
        with scaler.compute():
            assert {lane.dtype(p) for p in model.params()} == {"float16"}
            loss = loss_of(model, **half)
            assert lane.dtype(loss) == "float16"
            model.cleargrads()
            scaler.scale(loss).backward()
        assert {lane.dtype(p) for p in model.params()} == {"float32"}
        assert {lane.dtype(p.grad) for p in model.params()} == {"float32"}
        assert scaler.update()
        reference.cleargrads()
        loss = loss_of(reference, **single)
        loss.backward()
        other.update()
        losses.append(float(lane.numpy(loss)))
    for p, q in zip(model.params(), reference.params(), strict=True):
        np.testing.assert_allclose(lane.numpy(p), lane.numpy(q), atol=3e-3)
    assert losses[-1] < losses[0]


def test_small_gradients_survive_by_the_scale():
    layer = Layer()
    layer.p = Parameter(np.ones(1, np.float32))
    scaler = LossScaler(SGD(1.0).setup(layer))
    for factor, want in (1.0, 0.0), (2.0**15, 1e-9):
        scaler.factor = factor
        layer.cleargrads()
        with scaler.compute():
            tiny = np.array([1e-5], np.float16)
            loss = (layer.p * tiny * np.array([1e-4], np.float16)).sum()
            scaler.scale(loss).backward()
        before = layer.p.grad.data / factor
        np.testing.assert_allclose(before, want, rtol=0.1)


def test_what_is_not_finite_is_left_out_and_the_factor_moves():
    layer = Layer()
    layer.p = Parameter(np.ones(2, np.float32))
    optimizer = Adam().setup(layer)
    scaler = LossScaler(optimizer, factor=8.0, interval=2)

    def update(*g):
        layer.p.grad = Variable(np.array(g, np.float32))
        return scaler.update()

    before = layer.p.data.copy()
    for bad in (1.0, np.inf), (np.nan, 1.0):
        assert not update(*bad)
        assert layer.p.grad is None
    np.testing.assert_array_equal(layer.p.data, before)
    assert (scaler.factor, scaler.skipped, optimizer.t) == (2.0, 2, 0)
    assert update(1, 1)
    assert not update(1, np.inf)
    assert (scaler.factor, scaler.good) == (1.0, 0)
    for _ in range(4):
        assert update(1, 1)
    assert (scaler.factor, scaler.good, scaler.skipped, optimizer.t) == (4.0, 0, 3, 5)


def test_overflow_in_half_precision_is_found():
    model = model_of()
    scaler = LossScaler(SGD(0.1).setup(model), factor=2.0**30)
    before = model.weights()
    with scaler.compute(), np.errstate(over="ignore", invalid="ignore"):
        scaler.scale(loss_of(model, X.astype(np.float16), T.astype(np.float16))).backward()
    assert not scaler.update()
    assert scaler.factor == 2.0**29
    assert all(np.array_equal(before[name], array) for name, array in model.weights().items())


def test_hooks_see_gradients_that_are_not_scaled():
    layer = Layer()
    layer.p = Parameter(np.zeros(1, np.float32))
    optimizer = SGD(1.0).setup(layer)
    optimizer.add_hook(ClipGrad(10.0))
    scaler = LossScaler(optimizer)
    layer.p.grad = Variable(np.array([2.0 * 2**15], np.float32))
    scaler.update()
    np.testing.assert_array_equal(layer.p.data, [-2])


@pytest.mark.only_paths("shipped", "short", reason="about updates in place")
def test_the_parameters_are_in_place_and_come_back():
    model = model_of()
    scaler = LossScaler(SGD(0.1).setup(model), keep=[model.l2])
    where = [p.data.ctypes.data for p in model.params()]
    for _ in range(2):
        with scaler.compute():
            assert [p.dtype for p in model.params()] == [np.float16] * 2 + [np.float32] * 2
            scaler.scale(loss_of(model, X.astype(np.float16), T.astype(np.float16))).backward()
        scaler.update()
        model.cleargrads()
    assert [p.data.ctypes.data for p in model.params()] == where
    with pytest.raises(KeyError), scaler.compute():
        raise KeyError
    assert all(p.dtype == np.float32 for p in model.params())
    with scaler.compute():
        model.l0.b.data = np.full(4, 3, np.float16)  # assigned within: it stays
        with pytest.raises(RuntimeError, match="within itself"), scaler.compute():
            pass
        with pytest.raises(RuntimeError, match=r"LossScaler\.update: within compute"):
            scaler.update()
    assert model.l0.b.dtype == np.float32
    np.testing.assert_array_equal(model.l0.b.data, 3)


def test_scaler_of_what_there_is_not(chosen_lane):
    lane = chosen_lane("strict")
    scaler = LossScaler(SGD().setup(model_of(lane)))
    with pytest.raises(TypeError, match="has no dtype 'float16'"), scaler.compute():
        pass
    with pytest.raises(RuntimeError, match="no target"):
        LossScaler(SGD()).update()
    with pytest.raises(TypeError, match="LossScaler: keep has 3, expected Layers"):
        LossScaler(SGD(), keep=[3])
    for arguments in {"factor": 0}, {"growth": 0.5}, {"backoff": 1.0}, {"interval": 0}:
        with pytest.raises(ValueError, match=f"LossScaler: {next(iter(arguments))} is"):
            LossScaler(SGD(), **arguments)


def test_scaler_state():
    scaler = LossScaler(SGD(), factor=4.0)
    scaler.good, scaler.skipped = 3, 1
    state = json.loads(json.dumps(scaler.state_dict()))
    again = LossScaler(SGD())
    again.load_state_dict(state)
    assert again.state_dict() == scaler.state_dict()
    with pytest.raises(ValueError, match="does not fit LossScaler") as caught:
        again.load_state_dict({"factor": 0.0, "good": "1", "old": 1})
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "skipped: missing",
        "factor: 0.0, expected a number that is not negative",
        "good: '1', expected a number that is not negative",
        "old: unknown",
    ]
    assert again.state_dict() == scaler.state_dict()


# Accumulation


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (5, 5, 2), (12,), (1, 11)])
@pytest.mark.parametrize("make", [lambda: SGD(0.3), lambda: Adam(0.1)], ids=["SGD", "Adam"])
def test_small_batches_are_one_large_batch(sizes, make, single_lane):
    lane = single_lane
    model, whole = model_of(lane, np.float64), model_of(lane, np.float64)
    accumulation = GradientAccumulation(make().setup(model), steps=len(sizes))
    optimizer = make().setup(whole)
    ends = np.cumsum(sizes)
    for _ in range(2):
        for end, size in zip(ends, sizes, strict=True):
            x, t = (lane.array(a[end - size : end]) for a in (X, T))
            accumulation.backward(loss_of(model, x, t), weight=size)
            assert accumulation.update() == (end == 12)
        whole.cleargrads()
        loss_of(whole, lane.array(X), lane.array(T)).backward()
        optimizer.update()
    for p, q in zip(model.params(), whole.params(), strict=True):
        np.testing.assert_allclose(lane.numpy(p), lane.numpy(q), rtol=1e-10)
        assert p.grad is None


def test_accumulation_with_a_scaler_and_a_rest():
    model, whole = model_of(), model_of()
    scaler = LossScaler(SGD(0.1).setup(model), factor=64.0)
    accumulation = GradientAccumulation(scaler, steps=4)
    for part in range(3):
        k = slice(part * 4, part * 4 + 4)
        with scaler.compute():
            loss = loss_of(model, X[k].astype(np.float16), T[k].astype(np.float16))
            accumulation.backward(loss)
        assert not accumulation.update()
    assert accumulation.flush()
    assert not accumulation.flush()
    loss_of(whole, X.astype(np.float32), T.astype(np.float32)).backward()
    SGD(0.1).setup(whole).update()
    for p, q in zip(model.params(), whole.params(), strict=True):
        np.testing.assert_allclose(p.data, q.data, atol=2e-3)


def test_accumulation_goes_on_exactly():
    def parts():
        model = model_of()
        return model, GradientAccumulation(SGD(0.1).setup(model), 3)

    def batch(model, accumulation, k):
        x, t = X[k : k + 2].astype(np.float32), T[k : k + 2].astype(np.float32)
        accumulation.backward(loss_of(model, x, t), weight=2)
        return accumulation.update()

    one = parts()
    for k in range(2):
        batch(*one, k)
    state = one[1].state_dict()
    assert batch(*one, 2)
    other = parts()
    other[1].load_state_dict(state)
    assert batch(*other, 2)
    for p, q in zip(one[0].params(), other[0].params(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)

    with pytest.raises(ValueError, match="does not fit GradientAccumulation") as caught:
        other[1].load_state_dict({"count": np.zeros(2), "grad/l0/b": np.zeros(1), "x": np.zeros(1)})
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "weight: missing",
        "count: float64 of shape (2,), expected one number",
        "grad/l0/b: shape (1,), the parameter's is (4,)",
        "x: unknown",
    ]
    with pytest.raises(ValueError, match="steps is 0, expected at least 1"):
        GradientAccumulation(SGD(), 0)
    with pytest.raises(ValueError, match="weight is -1"):
        other[1].backward(Variable(np.array(1.0)), -1)
