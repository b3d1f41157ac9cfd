"""Whole training steps: parameters, statistics, random numbers and schedules as without compile."""

import numpy as np
import pytest

import dezero
import dezero.functions as F
import dezero.layers as L
from dezero import Variable, optimizers

from .conftest import assert_same, classifying, twins


def drawn(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def trained(model, optimizer, loss=F.softmax_cross_entropy):
    """A training step, and what it changes."""

    def make():
        net = model()
        opt = optimizer().setup(net)

        def step(x, t):
            y = net(x)
            cost = loss(y, t)
            net.cleargrads()
            cost.backward()
            opt.update()
            return cost.detach(), y.data

        return step, _Arrays(net, opt)

    return make


class _Arrays(dict):
    """Parameters, gradients, buffers and an optimizer's state, read when they are copied."""

    def __init__(self, net, opt):
        super().__init__()
        self.net, self.opt = net, opt

    def __deepcopy__(self, memo):
        found = {}
        for name, p in (*self.net.namedparams(), *self.net.namedbuffers()):
            found[name] = np.array(p.data)
            if p.grad is not None:
                found[name + "'"] = np.array(p.grad.data)
        return found | self.opt.state_dict()


def mlp(*sizes):
    return lambda: L.Sequential(
        *[part for n in sizes[:-1] for part in (L.Linear(n), F.relu)], L.Linear(sizes[-1])
    )


def convolutional():
    return L.Sequential(
        L.Conv2d(4, 3, pad=1, nobias=True), L.BatchNorm(), F.relu, lambda x: F.max_pool(x, 2),
        lambda x: F.reshape(x, (x.shape[0], -1)), L.Dropout(0.3), L.Linear(5),
    )  # fmt: skip


def transformer():
    return L.Sequential(
        L.Linear(8),
        L.TransformerEncoderBlock(8, 2, 16, dropout=0.1),
        lambda x: F.mean(x, axis=1),
        L.Linear(5),
    )


def batch(*shape, classes=5):
    return lambda i: (drawn(*shape, seed=i), np.arange(shape[0]) % classes)


STEPS = {
    "SGD": (mlp(8, 5), lambda: optimizers.SGD(0.1), batch(6, 3)),
    "MomentumSGD": (mlp(8, 5), lambda: optimizers.MomentumSGD(0.1), batch(6, 3)),
    "Adam": (mlp(8, 8, 5), lambda: optimizers.Adam(0.01), batch(6, 3)),
    "AdamW": (mlp(8, 5), lambda: optimizers.AdamW(0.01, weight_decay=0.1), batch(6, 3)),
    "batch norm and dropout": (convolutional, lambda: optimizers.Adam(0.01), batch(6, 2, 6, 6)),
    "transformer": (transformer, lambda: optimizers.SGD(0.1), batch(4, 6, 3)),
}


@pytest.mark.parametrize("name", STEPS)
def test_training_is_that_of_the_function(name, executor):
    model, optimizer, calls = STEPS[name]
    rtol = 0.0 if executor == "plain" else 2e-5
    twins(trained(model, optimizer), calls, rtol, runs=9)


def test_many_steps_of_adam(executor):
    """Rounding does not add up: after 200 steps in double precision the networks are the same."""
    steps = trained(
        lambda: L.Sequential(L.Linear(8, dtype=np.float64), F.tanh, L.Linear(5, dtype=np.float64)),
        lambda: optimizers.Adam(0.01),
    )

    def calls(i):
        return drawn(6, 3, seed=i % 7, dtype=np.float64), np.arange(6) % 5

    twins(steps, calls, 0.0 if executor == "plain" else 1e-9, runs=200)


def test_hooks_schedules_and_groups(executor):
    def optimizer():
        opt = optimizers.Adam(0.01)
        opt.add_hook(optimizers.WeightDecay(1e-2))
        opt.add_hook(optimizers.ClipGrad(0.5))
        return opt

    twins(trained(mlp(8, 5), optimizer), batch(6, 3), 0.0 if executor == "plain" else 2e-5, runs=8)


def test_learning_rates_may_change_between_calls(executor):
    def make():
        net = mlp(8, 5)()
        opt = optimizers.SGD(0.1).setup(net)
        step = classifying(net, opt)
        step.opt = opt
        return step, _Arrays(net, opt)

    results = []
    for compiled in (False, True):
        dezero.seed(0)
        step, state = make()
        opt = step.opt
        if compiled:
            step = dezero.compile(step)
        losses = []
        for i in range(10):
            opt.lr = 0.1 / (1 + i)
            losses.append(step(*batch(6, 3)(i)))
        results.append((losses, state.__deepcopy__(None)))
    dezero.seed(None)
    assert_same(*results, 0.0 if executor == "plain" else 1e-6)


def test_parameters_may_be_loaded_between_calls(executor):
    dezero.seed(0)
    net = mlp(8, 5)()
    step = dezero.compile(classifying(net, optimizers.SGD(0.1).setup(net)))
    x, t = batch(6, 3)(0)
    for _ in range(4):
        step(x, t)
    weights = net.weights()
    first = [step(x, t).data for _ in range(3)]
    net.set_weights(weights)
    second = [step(x, t).data for _ in range(3)]
    np.testing.assert_array_equal(first, second)
    dezero.seed(None)
    assert step.reasons == []


@pytest.mark.only_paths("shipped", "short", reason="about updates in place")
def test_parameters_are_updated_in_their_memory(executor):
    """A copy of each parameter in each step would cost time: nobody but the layer holds them."""
    net = L.Linear(300, in_size=300)
    opt = optimizers.SGD(0.1).setup(net)

    @dezero.compile
    def step(x):
        cost = F.sum(net(x) ** 2)
        net.cleargrads()
        cost.backward()
        opt.update()

    x = drawn(4, 300)
    for _ in range(4):
        step(x)
    before = net.W.data.ctypes.data
    step(x)
    assert net.W.data.ctypes.data == before
    assert step.reasons == []


def test_evaluation_is_a_program_of_its_own(executor):
    dezero.seed(0)
    net = convolutional()
    f = dezero.compile(lambda x: net(x).data)
    x = drawn(6, 2, 6, 6)
    with dezero.no_grad():
        net(x)
        for _ in range(4):
            f(x)
        net.eval()
        expected = net(x).data
        for _ in range(4):
            np.testing.assert_allclose(f(x), expected, rtol=1e-5, atol=1e-5)
    dezero.seed(None)
    assert f.reasons == []
    assert len(f.programs) == 2


def test_closures_of_the_optimizer(executor):
    def make():
        net = mlp(8, 5)()
        opt = optimizers.SGD(0.1).setup(net)

        def step(x, t):
            def closure():
                net.cleargrads()
                cost = F.softmax_cross_entropy(net(x), t)
                cost.backward()
                return cost.detach()

            return opt.update(closure)

        return step, _Arrays(net, opt)

    twins(make, batch(6, 3), 0.0 if executor == "plain" else 1e-5)


def test_two_updates_in_a_call(executor):
    def make():
        net = mlp(8, 5)()
        opt = optimizers.Adam(0.01).setup(net)

        def step(x, t):
            for _ in range(2):
                cost = F.softmax_cross_entropy(net(x), t)
                net.cleargrads()
                cost.backward()
                opt.update()
            return cost.detach(), net(x).data, Variable(net.l0.W.data * 2.0)

        return step, _Arrays(net, opt)

    twins(make, batch(6, 3), 0.0 if executor == "plain" else 1e-5, runs=8)
