"""Optimizer: hooks, sharing of arrays, states."""

import gc

import numpy as np
import pytest

import dezero.random
from dezero.core import Parameter, Variable
from dezero.layers import Layer, Linear, Sequential
from dezero.optimizers import (
    LAMB,
    LARS,
    LBFGS,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    ClipGrad,
    ClipGradByNorm,
    ClipGradByValue,
    FreezeParam,
    GradientNoise,
    Lion,
    MomentumSGD,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
    WeightDecay,
)


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


@pytest.mark.only_paths("shipped", "short", reason="about updates in place")
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


@pytest.mark.only_paths("shipped", "short", reason="about updates in place")
@pytest.mark.parametrize("rule", [SGD, MomentumSGD, Adam, AdaGrad, Lion, LAMB, LARS])
def test_on_every_lane_the_array_is_updated_in_place_where_it_can_be_changed(lane, rule):
    bag = Bag([1.0, -2.0])
    bag.a.data = lane.array(bag.a.data)
    optimizer = rule().setup(bag)
    places, held, values = [], [], []
    for step in range(4):
        places.append(id(bag.a.data))  # of two arrays that exist at the same time they differ
        values.append(lane.numpy(lane.xp.copy(bag.a.data)))  # of a copy: NumPy would hold the array
        if step == 2:
            held = [bag.a.data, bag.a.data[:1]]
        bag.a.grad = Variable(lane.array(np.array([0.5, 0.25])))
        optimizer.update()
    changed = lane.name not in ("jax", "dask")
    assert (places[1] == places[2]) == changed  # the first array may be NumPy's memory
    assert places[2] != places[3]
    np.testing.assert_array_equal(lane.numpy(held[0]), values[2])
    np.testing.assert_array_equal(lane.numpy(held[1]), values[2][:1])
    assert len({v.tobytes() for v in values}) == 4


def _through_dlpack(a):
    return np.from_dlpack(a)


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: a,
        lambda a: a[:1],
        lambda a: a.detach(),
        lambda a: a.view(-1, 1),
        lambda a: a.numpy(),
        _through_dlpack,
        lambda a: a.untyped_storage(),
        lambda a: (a * a.new_ones(2).requires_grad_()).grad_fn,
    ],
    ids=["itself", "part", "detached", "view", "NumPy", "DLPack", "storage", "graph"],
)
def test_a_tensor_that_somebody_holds_is_not_changed(chosen_lane, hold):
    torch = chosen_lane("torch").xp.torch
    bag = Bag([1.0, 2.0])
    bag.a.data = torch.tensor([1.0, 2.0], dtype=torch.float64)
    optimizer = SGD(0.5).setup(bag)

    def step():
        where = bag.a.data.data_ptr()
        bag.a.grad = Variable(torch.ones(2, dtype=torch.float64))
        optimizer.update()
        return bag.a.data.data_ptr() == where

    assert step()
    held = hold(bag.a.data)
    assert not step()
    del held
    assert step()
    np.testing.assert_array_equal(bag.a.data.numpy(), [-0.5, 0.5])


def test_a_tensor_over_borrowed_memory_is_not_changed(chosen_lane):
    torch = chosen_lane("torch").xp.torch
    memory = np.array([1.0, 2.0])
    for array in torch.from_numpy(memory), torch.tensor([1.0]).double().expand(2):
        bag = Bag([1.0, 2.0])
        bag.a.data = array
        bag.a.grad = Variable(torch.ones(2, dtype=torch.float64))
        SGD(0.5).setup(bag).update()
        assert bag.a.data is not array
    np.testing.assert_array_equal(memory, [1.0, 2.0])


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


# Groups


def test_groups_have_options_and_hooks_of_their_own():
    bag = Bag([1.0], [1.0], [1.0])
    optimizer = SGD(0.5).setup(bag, groups=[{"params": bag.b, "lr": 0.25}])
    group = optimizer.add_group([bag.c], weight_decay=1.0, hooks=[ClipGrad(0.1)])
    assert (group.lr, group.weight_decay, optimizer.groups[0].weight_decay) == (0.5, 1.0, 0.0)
    seen = []
    optimizer.add_hook(lambda params: seen.extend(float(p.grad.data[0]) for p in params))
    for p in bag.params():
        give(p, 1)
    optimizer.update()
    np.testing.assert_allclose(seen, [1, 1, 0.1], rtol=1e-5)
    got = [float(p.data[0]) for p in bag.params()]
    np.testing.assert_allclose(got, [0.5, 0.75, 1 - 0.5 * 1.1], rtol=1e-5)
    optimizer.lr = 0.125
    assert (group.lr, optimizer.groups[0].lr) == (0.125, 0.25)


@pytest.mark.parametrize("made", [Adam, AdamW, NAdam, RAdam, RMSprop, MomentumSGD])
def test_a_group_is_an_optimizer_with_those_options(made):
    rate = made.rate
    bag, alone = Bag([1.0, 2.0], [1.0, 2.0]), Bag([1.0, 2.0])
    optimizer = made(0.1).setup(bag)
    optimizer.add_group(bag.b, weight_decay=0.3, **{rate: 0.02})
    other = made(0.02, weight_decay=0.3).setup(alone)
    for t in range(4):
        give(bag.a, t, 1)
        give(bag.b, t, 1)
        give(alone.a, t, 1)
        optimizer.update()
        other.update()
    np.testing.assert_array_equal(bag.b.data, alone.a.data)
    assert not np.array_equal(bag.a.data, bag.b.data)


def test_groups_of_layers_before_they_have_data_or_a_target():
    model = Sequential(Linear(3), Linear(2))
    optimizer = SGD(1.0)
    optimizer.add_group([model.l0.b, model.l1], lr=0.0)
    optimizer.setup(model)
    x = np.ones((4, 5), np.float32)
    model(x).sum().backward()
    before = model.weights()
    optimizer.update()
    after = model.weights()
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed == ["l0/W"]


def test_what_cannot_be_a_group():
    bag, other = Bag([1.0], [1.0]), Bag([1.0])
    optimizer = Adam().setup(bag)
    optimizer.add_group(bag.b, alpha=0.5)
    for error, message, arguments in (
        (TypeError, "Adam: no option lr; there are alpha, beta1", {"params": bag.a, "lr": 1.0}),
        (ValueError, "Adam: alpha is -1", {"params": bag.a, "alpha": -1}),
        (ValueError, "in another group already: b", {"params": [bag.a, bag.b]}),
        (ValueError, "not parameters of the target: a", {"params": other}),
        (TypeError, "got 3, expected a Layer or a Parameter", {"params": [3]}),
    ):
        with pytest.raises(error, match=message):
            optimizer.add_group(**arguments)
        before = optimizer.groups
        with pytest.raises(error, match=message):
            optimizer.setup(bag, groups=[{"params": bag.b}, arguments])
        assert optimizer.groups is before
    assert len(optimizer.groups) == 1
    with pytest.raises(TypeError, match=r"Adam\.setup: got list, expected a Layer"):
        Adam().setup([bag.a])
    with pytest.raises(ValueError, match="there are no groups"):
        LBFGS().setup(bag).add_group(bag.a)
    with pytest.raises(AttributeError, match="no option 'alfa'"):
        _ = optimizer.groups[0].alfa


def test_frozen_parameters_stay():
    bag = Bag([1.0], [1.0])
    give(bag.a, 1)
    give(bag.b, 1)
    bag.a.requires_grad = False
    SGD(1.0).setup(bag).update()
    assert (bag.a.data, bag.b.data) == (1, 0)


def test_a_closure_is_called_first():
    bag = Bag([1.0])

    def closure():
        bag.cleargrads()
        loss = (bag.a * bag.a).sum()
        loss.backward()
        return loss

    assert SGD(0.25).setup(bag).update(closure).data == 1
    assert bag.a.data == 0.5
    with pytest.raises(RuntimeError, match="no target"):
        SGD().update(closure)


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


def test_clip_each_gradient_by_its_own_norm(lane):
    bag = Bag()
    bag.a, bag.b = (Parameter(lane.array(np.zeros(2))) for _ in range(2))
    bag.a.grad = Variable(lane.array(np.array([30.0, 40.0])))
    bag.b.grad = Variable(lane.array(np.array([0.3, 0.4])))
    kept = bag.b.grad
    ClipGradByNorm(1.0)([bag.a, bag.b])
    np.testing.assert_allclose(lane.numpy(bag.a.grad), [0.6, 0.8], rtol=1e-6)
    assert bag.b.grad is kept


def test_clip_by_value(lane):
    p = Parameter(lane.array(np.zeros(4)))
    g = lane.array(np.array([0.5, -3.0, 2.0, np.nan]))
    p.grad = Variable(g)
    ClipGradByValue(1.0)([p])
    np.testing.assert_array_equal(lane.numpy(p.grad), [0.5, -1.0, 1.0, np.nan])
    np.testing.assert_array_equal(lane.numpy(g), [0.5, -3.0, 2.0, np.nan])


def test_hooks_of_complex_gradients():
    p = Parameter(np.zeros(1, complex))
    p.grad = Variable(np.array([30 - 40j]))
    ClipGradByValue(35.0)([p])
    np.testing.assert_array_equal(p.grad.data, [30 - 35j])
    p.grad = Variable(np.array([30 - 40j]))
    ClipGrad(5.0)([p])
    np.testing.assert_allclose(p.grad.data, [3 - 4j], rtol=1e-6)
    dezero.random.seed(1)
    GradientNoise(1.0)([p])
    dezero.random.seed(None)
    assert (p.grad.data - (3 - 4j)).imag != 0


@pytest.mark.parametrize("scale", [1.0, 1e18])
@pytest.mark.parametrize("hook", [ClipGrad, ClipGradByNorm])
def test_norms_in_float32_do_not_overflow(hook, scale):
    p = Parameter(np.zeros(2, np.float32))
    p.grad = Variable(np.array([3 * scale, 4 * scale], np.float32))
    hook(scale)([p])
    np.testing.assert_allclose(p.grad.data, np.array([0.6, 0.8]) * scale, rtol=1e-5)


@pytest.mark.parametrize("hook", [ClipGrad, ClipGradByNorm])
def test_norms_in_float32_do_not_vanish(hook):
    p = Parameter(np.zeros(2, np.float32))
    p.grad = Variable(np.array([3e-25, 4e-25], np.float32))
    hook(1e-31)([p])  # the rate is 1e-31 / (5e-25 + 1e-6)
    np.testing.assert_allclose(p.grad.data, 0, atol=1e-44)
    p.grad = Variable(np.array([3e-25, 4e-25], np.float32))
    kept = p.grad
    hook(1e-5)([p])
    assert p.grad is kept


def test_noise_is_keyed_and_its_count_is_saved(lane):
    def trained(steps, state=None):
        bag = Bag()
        bag.a = Parameter(lane.array(np.zeros(3)))
        optimizer = SGD(1.0).setup(bag)
        optimizer.add_hook(GradientNoise(0.5, gamma=2.0))
        if state is not None:
            optimizer.load_state_dict(state[0])
            bag.set_weights(state[1])
            dezero.random.set_state(state[2])
        g = lane.array(np.ones(3))
        for _ in range(steps):
            bag.a.grad = Variable(g)
            optimizer.update()
        np.testing.assert_array_equal(lane.numpy(g), 1)
        return optimizer.state_dict(), bag.weights(), dezero.random.get_state()

    try:
        dezero.random.seed(3)
        whole = trained(4)
        dezero.random.seed(3)
        parts = trained(2, state=None)
        assert parts[0] == {"hook 0/t": 2}
        parts = trained(2, parts)
    finally:
        dezero.random.seed(None)
    np.testing.assert_array_equal(whole[1]["a"], parts[1]["a"])
    assert len(set(whole[1]["a"])) == 3
    assert whole[0] == parts[0] == {"hook 0/t": 4}


def test_noise_falls():
    dezero.random.seed(0)
    hook, sizes = GradientNoise(0.25, gamma=1.0), []
    for _ in range(4):
        p = Parameter(np.zeros(4000))
        p.grad = Variable(np.zeros(4000))
        hook([p])
        sizes.append(p.grad.data.std())
    dezero.random.seed(None)
    np.testing.assert_allclose(sizes, 0.5 / np.sqrt([1, 2, 3, 4]), rtol=0.05)


@pytest.mark.parametrize("hook", [WeightDecay, ClipGrad, ClipGradByNorm, ClipGradByValue])
def test_wrong_numbers_of_hooks(hook):
    with pytest.raises(ValueError, match=f"{hook.__name__}: .* is -1, expected"):
        hook(-1)
    with pytest.raises(ValueError, match=f"{hook.__name__}: .* is nan, expected"):
        hook(float("nan"))


# States


MADE = {
    "SGD": lambda: SGD(0.1),
    "MomentumSGD": lambda: MomentumSGD(0.1, dampening=0.2),
    "AdaGrad": lambda: AdaGrad(0.1, lr_decay=0.1),
    "AdaDelta": AdaDelta,
    "RMSprop": lambda: RMSprop(0.1, momentum=0.5, centered=True),
    "Adam": lambda: Adam(0.1),
    "AdamW": lambda: AdamW(0.1),
    "AMSGrad": lambda: AMSGrad(0.1),
    "NAdam": lambda: NAdam(0.1),
    "RAdam": lambda: RAdam(0.1),
    "Rprop": Rprop,
    "Lion": lambda: Lion(0.1),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
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
        "a/v: missing",
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


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_goes_on_exactly(search, single_lane):
    lane = single_lane

    def closure_of(bag):
        def closure():
            bag.cleargrads()
            a, b = bag.a, bag.b
            loss = ((a - 1.0) ** 2).sum() * 3.0 + (a * b).sum() ** 2 + ((b + 2.0) ** 4).sum()
            loss.backward()
            return loss

        return closure

    def made():
        bag = Bag()
        bag.a, bag.b = (
            Parameter(lane.array(np.array([1.5, 0.5]))),
            Parameter(lane.array(np.ones(2))),
        )
        lr = 1.0 if search else 0.01
        return bag, LBFGS(lr, max_iter=3, history_size=4, line_search=search).setup(bag)

    bag, optimizer = made()
    for _ in range(3):
        optimizer.update(closure_of(bag))
    state, weights = optimizer.state_dict(), bag.weights()
    for _ in range(2):
        optimizer.update(closure_of(bag))

    other, again = made()
    other.set_weights(weights)
    again.load_state_dict(state)
    for _ in range(2):
        again.update(closure_of(other))
    for name, array in bag.weights().items():
        np.testing.assert_array_equal(other.weights()[name], array)
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array)
    fresh = made()[1]
    fresh.load_state_dict(fresh.state_dict())
    assert fresh.steps == 0


def test_lbfgs_with_what_does_not_fit():
    bag = Bag([1.0], [2.0])

    def closure():
        bag.cleargrads()
        loss = ((bag.a - bag.b) ** 4).sum()
        loss.backward()
        return loss

    optimizer = LBFGS(line_search="strong_wolfe", max_iter=2).setup(bag)
    with pytest.raises(TypeError, match="expected a closure"):
        optimizer.update()
    with pytest.raises(RuntimeError, match="no target"):
        LBFGS().update(closure)
    optimizer.update(closure)
    before = optimizer.state_dict()
    wrong = {**before, "d": np.zeros(3), "more": np.zeros(1), "rho": np.zeros(7)}
    del wrong["g"]
    with pytest.raises(ValueError, match="state does not fit LBFGS") as caught:
        optimizer.load_state_dict(wrong)
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "g: missing",
        "more: unknown",
        "d: float64 of shape (3,); the parameters have 2 numbers",
    ]
    after = optimizer.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    bag.b = Parameter(np.ones(1, np.float32))
    with pytest.raises(ValueError, match="expected one dtype and device"):
        optimizer.update(closure)
    bag.a = bag.b = Parameter(np.ones(1, complex))
    with pytest.raises(TypeError, match="expected real numbers"):
        optimizer.update(lambda: 0.0)
    for arguments in {"max_iter": 0}, {"history_size": 0}, {"line_search": "weak"}, {"lr": -1}:
        with pytest.raises(ValueError, match=r"LBFGS: .* expected"):
            LBFGS(**arguments)


def test_lbfgs_freezes_and_hooks():
    bag = Bag([3.0], [3.0])

    def closure():
        bag.cleargrads()
        loss = (bag.a**2).sum() + (bag.b**2).sum()
        loss.backward()
        return loss

    optimizer = LBFGS(line_search="strong_wolfe").setup(bag)
    optimizer.add_hook(FreezeParam(bag.b))
    optimizer.update(closure)
    assert bag.b.data == 3
    assert abs(bag.a.data[0]) < 1e-6


def test_states_of_a_wrong_kind_are_all_listed():
    bag = Bag([1.0])
    optimizer = Adam().setup(bag)
    give(bag.a, 1)
    optimizer.update()
    state = {"t": np.array(["x"]), "a/m": np.array([1]), "a/v": np.zeros(1)}
    with pytest.raises(ValueError, match="does not fit Adam") as caught:
        optimizer.load_state_dict(state)
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "t: <U1 of shape (1,), expected one number",
        "a/m: int64 of shape (1,), expected floating numbers",
    ]
