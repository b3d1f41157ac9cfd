"""A layer's inputs and outputs stay within reach as long as the graph."""

import gc

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Variable
from dezero.core import Parameter
from dezero.layers import Layer, Linear, Sequential
from dezero.models import MLP

X = np.random.default_rng(0).standard_normal((4, 6))


def network():
    return Sequential(Linear(5, dtype=np.float64), F.tanh, Linear(3, dtype=np.float64))


def test_an_output_lives_as_long_as_what_was_recorded_from_it(lane):
    model = network()
    y = model(lane.variable(X))
    h = model.l0.outputs[0]()
    assert tuple(h.shape) == (4, 5)
    assert h.creator is not None
    assert model.outputs[0]() is y
    y.sum().backward(retain_grad=True)
    want = (np.ones((4, 3)) @ lane.numpy(model.l2.W).T) * (1 - np.tanh(lane.numpy(h)) ** 2)
    np.testing.assert_allclose(lane.numpy(h.grad), want, rtol=1e-12)
    del y, h
    gc.collect()
    assert model.l0.outputs[0]() is None


def test_a_retained_gradient_is_found_by_who_comes_later():
    model = network()
    loss = F.sum(model(X))  # nobody holds the outputs
    loss.backward(retain_grad=True)
    np.testing.assert_array_equal(model.l2.outputs[0]().grad.data, np.ones((4, 3)))
    assert model.l0.outputs[0]().grad.shape == (4, 5)


def test_a_plain_sweep_lets_it_go():
    model = network()
    loss = F.sum(model(X))
    loss.backward()
    assert model.l0.outputs[0]() is None


def test_a_retained_graph_keeps_it():
    model = network()
    loss = F.sum(model(X))
    loss.backward(retain_graph=True)
    assert model.l0.outputs[0]() is not None
    loss.backward()


def test_one_may_compute_on_from_it():
    model = network()
    y = model(X)
    h = model.l0.outputs[0]()
    F.sum(h * h).backward(retain_graph=True)
    np.testing.assert_allclose(model.l0.W.grad.data, X.T @ (2 * h.data), rtol=1e-12)
    model.cleargrads()
    (F.sum(y) + F.sum(h * h)).backward()
    inner = np.ones((4, 3)) @ model.l2.W.data.T * (1 - np.tanh(h.data) ** 2) + 2 * h.data
    np.testing.assert_allclose(model.l0.W.grad.data, X.T @ inner, rtol=1e-12)


class Twice(Layer):
    """Uses its result itself before it returns it."""

    def __init__(self):
        super().__init__()
        self.a = Parameter(np.array([2.0, 3.0]))
        self.seen = None

    def forward(self, x):
        y = self.a * x
        self.seen = F.sum(y * y)
        return y


@pytest.mark.parametrize("hold", [True, False])
def test_gradients_of_inner_uses_count_too(hold):
    layer = Twice()
    y = layer(np.array([1.0, 1.0]))
    loss = F.sum(y) + layer.seen
    if not hold:
        y = None
    loss.backward(retain_grad=True)
    kept = layer.outputs[0]() if y is None else y
    np.testing.assert_array_equal(kept.grad.data, [5.0, 7.0])
    np.testing.assert_array_equal(layer.a.grad.data, [5.0, 7.0])


def test_the_graph_has_no_cycle():
    model = network()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            loss = F.sum(model(X))
            loss.backward()
            loss = F.sum(model(X))
        del loss
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_second_order_through_layers():
    model, plain = network(), network()
    model(X), plain(X)
    plain.set_weights(model.weights())

    def penalty(y, parts):
        y.backward(create_graph=True)
        g = parts.l0.W.grad
        parts.cleargrads()
        F.sum(g * g).backward()
        return parts.l2.W.grad.data

    one = penalty(F.sum(model(X) ** 2), model)
    h = F.tanh(F.linear(X, plain.l0.W, plain.l0.b))
    two = penalty(F.sum(F.linear(h, plain.l2.W, plain.l2.b) ** 2), plain)
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_unchaining_a_result_makes_it_a_leaf():
    layer = Linear(3, dtype=np.float64)
    h = layer(X)
    y = F.tanh(h)
    h.unchain()
    assert h.creator is None
    F.sum(y).backward()
    np.testing.assert_allclose(h.grad.data, 1 - np.tanh(h.data) ** 2)
    assert layer.W.grad is None


def test_truncated_backpropagation_through_a_layer():
    layer = Linear(6, dtype=np.float64)
    h, loss = Variable(X), 0
    for _ in range(3):
        h = layer(h)
        loss = loss + F.sum(h)
    loss.backward()
    layer.cleargrads()
    loss.unchain_backward()
    loss = F.sum(layer(h))
    loss.backward()
    np.testing.assert_allclose(layer.W.grad.data, h.data.T @ np.ones((4, 6)), rtol=1e-12)


def test_a_layers_own_result_keeps_its_creator_when_unchained_behind():
    first, last = Linear(5, dtype=np.float64), Linear(1, dtype=np.float64)
    y = last(first(X))
    y.unchain_backward()
    y.backward()
    assert y.creator is not None
    assert first.W.grad is None
    np.testing.assert_allclose(last.b.grad.data, [4.0])


def test_what_goes_through_unchanged_stays_what_it_is():
    class Same(Layer):
        def forward(self, x):
            return x

    x = Variable(np.ones(2))
    layer = Same()
    assert layer(x) is x
    assert x.creator is None
    y = x * 2.0
    assert layer(layer(y)) is y
    assert layer.inputs[0]() is y
    F.sum(y).backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 2.0])


def test_nothing_is_kept_where_nothing_is_recorded():
    model = network()
    with dezero.no_grad():
        model(X)
    assert model.l0.outputs[0]() is None
    assert model(X).creator is not None


def test_state_that_a_layer_remembers_is_what_it_returned():
    class Counting(Layer):
        def forward(self, x):
            self.h = F.tanh(x)
            return self.h

    layer = Counting()
    assert layer(Variable(X)) is layer.h


def test_a_checkpointed_layer():
    model, plain = network(), network()
    model(X), plain(X)
    plain.set_weights(model.weights())
    F.sum(dezero.checkpoint(model, Variable(X))).backward()
    F.sum(plain(X)).backward()
    for a, b in zip(model.params(), plain.params(), strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.data, rtol=1e-12)


def test_views_of_a_result_can_be_assigned_to():
    layer = Linear(3, dtype=np.float64)
    y = layer(X)
    y[0] = 0.0
    F.sum(y * y).backward()
    want = layer(X).data.copy()
    want[0] = 0.0
    np.testing.assert_allclose(layer.W.grad.data, X.T @ (2 * want), rtol=1e-12)


def test_mlp_gives_the_same_gradients_as_its_functions():
    model = MLP((5, 2))
    x = X.astype(np.float32)
    F.sum(model(x)).backward()
    got = model.l0.W.grad.data
    model.cleargrads()
    h = F.sigmoid(F.linear(x, model.l0.W, model.l0.b))
    F.sum(F.linear(h, model.l1.W, model.l1.b)).backward()
    np.testing.assert_array_equal(got, model.l0.W.grad.data)


def test_nested_results_are_referenced_weakly_too():
    class State(Layer):
        def forward(self, x, state):
            return F.tanh(x), (F.sin(x), [F.cos(x), None])

    layer = State()
    y, (s, _) = layer(Variable(X), (Variable(X), None))
    first, second = layer.outputs[0](), layer.outputs[1]()
    assert first is y
    assert second[0] is s
    assert second[1][1] is None
    del first, second, y, s, _
    assert layer.outputs[0]() is None
    assert layer.outputs[1]() == (None, (None, None))
    assert layer.inputs[1]() == (None, None)
