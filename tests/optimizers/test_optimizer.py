"""Optimizer: hooks, sharing of arrays, states."""

import gc

import numpy as np
import pytest

from dezero.core import Parameter, Variable
from dezero.layers import Layer, Linear
from dezero.optimizers import SGD, Adam, ClipGrad, FreezeParam, MomentumSGD, Optimizer, WeightDecay


class Bag(Layer):
    def __init__(self, *arrays):
        super().__init__()
        for name, array in zip("abc", arrays, strict=False):
            setattr(self, name, Parameter(np.array(array, dtype=float), name=name))


def give(param, *g):
    param.grad = Variable(np.array(g, float))


def test_setup_returns_self_and_may_be_called_again():
    first, second = Bag([1.0]), Bag([1.0])
    optimizer = SGD(1.0)
    assert optimizer.setup(first) is optimizer
    optimizer.setup(second)
    give(first.a, 1)
    give(second.a, 1)
    optimizer.update()
    assert (first.a.data, second.a.data) == (1, 0)


def test_without_setup_and_with_a_wrong_gradient():
    with pytest.raises(RuntimeError, match=r"SGD\.update: no target"):
        SGD().update()
    bag = Bag([1.0], [1.0, 2.0])
    give(bag.a, 1)
    give(bag.b, 1)
    with pytest.raises(ValueError, match=r"gradient of shape \(1,\) for parameter b of shape \(2,"):
        SGD(1.0).setup(bag).update()
    assert bag.a.data == 1


def test_parameters_without_gradient_stay():
    bag = Bag([1.0], [1.0])
    give(bag.a, 1)
    SGD(1.0).setup(bag).update()
    assert (bag.a.data, bag.b.data) == (0, 1)


def test_tied_weights_are_updated_once():
    bag = Bag([1.0])
    bag.b = bag.a
    give(bag.a, 1)
    SGD(0.25).setup(bag).update()
    assert bag.a.data == 0.75


def test_a_users_optimizer_and_hook():
    class Plain(Optimizer):
        def update_one(self, param):
            param.data = param.data - param.grad.data

    bag = Bag([1.0])
    give(bag.a, 1)
    optimizer = Plain().setup(bag)
    optimizer.add_hook(lambda params: [p.grad.data.__imul__(2) for p in params])
    optimizer.update()
    assert bag.a.data == -1
    optimizer.hooks.clear()
    optimizer.update()
    assert bag.a.data == -3
    with pytest.raises(NotImplementedError, match="update_one"):
        Optimizer().setup(bag).update()


# Arrays that others hold


def test_alone_the_array_is_updated_in_place():
    bag = Bag([1.0])
    give(bag.a, 1)
    optimizer = SGD(0.5).setup(bag)
    where = bag.a.data.ctypes.data
    optimizer.update()
    assert bag.a.data.ctypes.data == where
    assert bag.a.data == 0.5


@pytest.mark.parametrize(
    "hold",
    [lambda a: a, lambda a: a[:], lambda a: a.T, lambda a: memoryview(a), lambda a: [a]],
    ids=["itself", "view", "transpose", "buffer", "list"],
)
def test_an_array_that_somebody_holds_is_not_changed(hold):
    bag = Bag([1.0])
    held = hold(bag.a.data)
    give(bag.a, 1)
    SGD(0.5).setup(bag).update()
    assert np.ravel(np.asarray(held))[0] == 1
    assert bag.a.data == 0.5


def test_an_array_of_borrowed_or_readonly_memory_is_not_changed():
    memory = bytearray(np.array([1.0]).tobytes())
    fixed = np.array([1.0])
    fixed.flags.writeable = False
    bag = Bag()
    bag.a, bag.b = Parameter(np.frombuffer(memory)), Parameter(fixed)
    give(bag.a, 1)
    give(bag.b, 1)
    SGD(0.5).setup(bag).update()
    assert np.frombuffer(memory)[0] == 1
    assert fixed[0] == 1
    assert (bag.a.data, bag.b.data) == (0.5, 0.5)


def test_a_recorded_graph_is_not_changed():
    bag = Bag([3.0])
    y = bag.a * bag.a
    give(bag.a, 1)
    SGD(1.0).setup(bag).update()
    bag.cleargrads()
    y.backward()
    np.testing.assert_array_equal(bag.a.grad.data, [6.0])


# Hooks


def test_weight_decay_with_one_gradient_of_two_parameters():
    bag = Bag([1.0], [1.0])
    bag.a.grad = bag.b.grad = Variable(np.array([1.0]))
    optimizer = SGD(1.0).setup(bag)
    optimizer.add_hook(WeightDecay(0.5))
    optimizer.update()
    assert (bag.a.data, bag.b.data) == (-0.5, -0.5)


def test_hooks_on_readonly_gradients():
    bag = Bag([1.0, 2.0])
    (bag.a + np.zeros(2)).sum().backward()
    bag.a.grad = Variable(np.broadcast_to(np.array(1.0), (2,)))
    before = bag.a.grad.data
    optimizer = SGD(1.0).setup(bag)
    optimizer.add_hook(WeightDecay(1.0))
    optimizer.add_hook(ClipGrad(1e-3))
    optimizer.update()
    np.testing.assert_array_equal(before, [1, 1])
    np.testing.assert_allclose(bag.a.data, [1, 2] - np.array([2, 3]) / math_norm(2, 3) / 1e3)


def math_norm(*numbers):
    return np.sqrt(sum(n * n for n in numbers))


@pytest.mark.parametrize("scale", [1.0, 1e200])
def test_clip_by_the_common_norm(scale):
    bag = Bag([0.0], [0.0], [0.0])
    give(bag.a, 3 * scale)
    give(bag.b, 4 * scale)
    hook = ClipGrad(1.0 * scale)
    hook([bag.a, bag.b])
    got = bag.a.grad.data[0] / scale, bag.b.grad.data[0] / scale
    np.testing.assert_allclose(got, (0.6, 0.8), rtol=1e-6)


def test_clip_leaves_small_and_infinite_gradients():
    bag = Bag([0.0], [0.0])
    give(bag.a, 0.1)
    give(bag.b, np.inf)
    kept = bag.a.grad, bag.b.grad
    ClipGrad(1.0)([bag.a])
    ClipGrad(1.0)([bag.a, bag.b])
    assert (bag.a.grad, bag.b.grad)[0] is kept[0]
    assert (bag.a.grad, bag.b.grad)[1] is kept[1]


def test_freeze_layers_and_parameters_also_before_other_hooks():
    model = Bag([1.0], [1.0])
    model.inner = Linear(2, in_size=2)
    for p in model.params():
        p.grad = Variable(np.ones_like(p.data))
    W = model.inner.W.data.copy()
    optimizer = SGD(1.0).setup(model)
    optimizer.add_hook(FreezeParam(model.inner, model.a))
    optimizer.add_hook(WeightDecay(0.0))
    optimizer.add_hook(ClipGrad(100.0))
    optimizer.update()
    assert (model.a.data, model.b.data) == (1, 0)
    np.testing.assert_array_equal(W, model.inner.W.data)
    with pytest.raises(TypeError, match="FreezeParam: 3"):
        FreezeParam(3)


# States


@pytest.mark.parametrize("made", [lambda: Adam(0.1), lambda: MomentumSGD(0.1)])
def test_state_goes_on_exactly(made):
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((6, 3))

    def steps(bag, optimizer, part):
        for g in part:
            give(bag.a, *g)
            optimizer.update()

    bag = Bag([1.0, 2.0, 3.0], [5.0])  # b never has a gradient
    optimizer = made().setup(bag)
    steps(bag, optimizer, gradients[:3])
    state, weights = optimizer.state_dict(), bag.weights()
    steps(bag, optimizer, gradients[3:])

    other = Bag([0.0, 0.0, 0.0], [0.0])
    other.set_weights(weights)
    again = made().setup(other)
    again.load_state_dict(state)
    steps(other, again, gradients[3:])
    np.testing.assert_array_equal(bag.a.data, other.a.data)
    assert sorted(state) == sorted(again.state_dict())


def test_state_holds_copies():
    bag = Bag([1.0])
    optimizer = Adam().setup(bag)
    give(bag.a, 1)
    optimizer.update()
    state = optimizer.state_dict()
    kept = {name: array.copy() for name, array in state.items()}
    optimizer.update()
    optimizer.load_state_dict(state)
    optimizer.update()
    assert all(np.array_equal(kept[name], state[name]) for name in kept)


def test_a_state_that_does_not_fit_changes_nothing():
    bag = Bag([1.0])
    optimizer = Adam().setup(bag)
    give(bag.a, 1)
    optimizer.update()
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match="does not fit Adam") as caught:
        optimizer.load_state_dict({"a/m": np.zeros(2), "z/m": np.zeros(1)})
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "t: missing",
        "a/m: shape (2,), the parameter's is (1,)",
        "z/m: unknown",
    ]
    after = optimizer.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_state_of_a_parameter_that_is_gone_is_not_given_to_another():
    optimizer = MomentumSGD(1.0)
    for _ in range(20):
        bag = Bag([0.0])
        optimizer.setup(bag)
        give(bag.a, 1)
        optimizer.update()
        assert bag.a.data == -1
        del bag
        gc.collect()
    assert len(optimizer._states) <= 1
