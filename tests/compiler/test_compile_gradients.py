"""Results of compiled functions can be differentiated, as those of the functions themselves."""

import numpy as np
import pytest

import dezero
import dezero.functions as F
import dezero.layers as L
from dezero import Variable, optimizers

from .conftest import assert_same


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


W = Variable(drawn(3, 4))

FUNCTIONS = {
    "one": lambda x: F.tanh(x @ W) * 2.0,
    "two": lambda x: (F.tanh(x @ W), F.exp(x)),
    "unused": lambda x: [F.sum(x @ W), x.detach() * 2.0, {"n": F.sum(x)}],
    "labels": lambda x: F.softmax_cross_entropy(x @ W, np.arange(5) % 4),
    "norm": lambda x: F.layer_norm(x @ W),
    "shared": lambda x: (lambda y: (y, y * y))(F.sin(x)),
    "itself": lambda x: (x, x * W[:, 0]),
}


def swept(f, x, create_graph=False):
    """Results and gradients, after a sweep from the sum of all results."""
    x.cleargrad()
    W.cleargrad()
    result = f(x)
    ys = [y for _, y in dezero.nested.flat(result) if y.requires_grad and y is not x]
    total = sum(F.sum(F.sin(y)) for y in ys)
    total.backward(create_graph=create_graph)
    return result, x.grad, W.grad


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_derivatives(name, executor):
    f = FUNCTIONS[name]
    compiled = dezero.compile(f)
    for i in range(5):
        x = Variable(drawn(5, 3, seed=i))
        expected = swept(f, x)
        got = swept(compiled, x)
        assert_same(
            [y.detach() for _, y in dezero.nested.flat(got)],
            [y.detach() for _, y in dezero.nested.flat(expected)],
            1e-12,
        )
    assert compiled.reasons == []
    assert len(compiled.programs) == 1


@pytest.mark.parametrize("name", ["one", "two", "labels"])
def test_second_derivatives(name, executor):
    f = FUNCTIONS[name]
    compiled = dezero.compile(f)
    for i in range(4):
        x = Variable(drawn(5, 3, seed=i))
        found = []
        for g in (f, compiled):
            _, gx, gw = swept(g, x, create_graph=True)
            x.cleargrad()
            W.cleargrad()
            (F.sum(gx * gx) + F.sum(gw * gw * gw)).backward()
            found.append([gx.detach(), x.grad, W.grad])
        assert_same(*found, 1e-11)
    assert compiled.reasons == []


def test_a_graph_may_go_on_before_and_behind(executor):
    compiled = dezero.compile(F.tanh)
    for i in range(5):
        x = Variable(drawn(4, seed=i))
        y = F.sum(compiled(compiled(x * 2.0) + 1.0) ** 2)
        y.backward()
        got, x = x.grad.data, Variable(x.data)
        F.sum(F.tanh(F.tanh(x * 2.0) + 1.0) ** 2).backward()
        np.testing.assert_allclose(got, x.grad.data, rtol=1e-12)
    assert compiled.reasons == []


def test_a_network_that_is_compiled_is_trained_as_it_is(executor):
    def trained(compiled):
        dezero.seed(0)
        net = L.Sequential(
            L.Linear(8, nobias=True), L.BatchNorm(), F.relu, L.Dropout(0.2), L.Linear(3)
        )
        opt = optimizers.SGD(0.1).setup(net)
        f = dezero.compile(net) if compiled else net
        losses = []
        for i in range(8):
            loss = F.softmax_cross_entropy(f(drawn(6, 4, seed=i, dtype=np.float32)), T)
            net.cleargrads()
            loss.backward()
            opt.update()
            losses.append(loss.data)
        if compiled:
            assert f.reasons == []
            assert len(f.programs) == 1
        return losses, net.weights()

    T = np.arange(6) % 3
    assert_same(trained(False), trained(True), 0.0 if executor == "plain" else 1e-5)
    dezero.seed(None)


def test_retained_graphs_and_functional_forms(executor):
    compiled = dezero.compile(lambda x: F.sum(F.sin(x) * x))
    x = Variable(drawn(4))
    expected = np.cos(x.data) * x.data + np.sin(x.data)
    for _ in range(4):
        y = compiled(x)
        np.testing.assert_allclose(dezero.grad(y, x, retain_graph=True).data, expected, rtol=1e-12)
        np.testing.assert_allclose(dezero.grad(y, x).data, expected, rtol=1e-12)
    np.testing.assert_allclose(dezero.grad(compiled)(x.data).data, expected, rtol=1e-12)
    hessian = dezero.hessian(compiled)(x.data)
    expected = np.diag(2.0 * np.cos(x.data) - np.sin(x.data) * x.data)
    np.testing.assert_allclose(hessian.data, expected, rtol=1e-12, atol=1e-14)
    assert compiled.reasons == []


def test_a_second_derivative_of_random_numbers_is_refused(executor):
    compiled = dezero.compile(lambda x: F.sum(F.dropout(x) ** 2))
    x = Variable(drawn(40))
    for _ in range(3):
        compiled(x)
    compiled(x).backward()
    with pytest.raises(RuntimeError, match=r"draws random numbers.*create_graph=True"):
        compiled(x).backward(create_graph=True)


def test_float32_stays_and_constants_get_none(executor):
    compiled = dezero.compile(lambda x, c: x * c)
    c = Variable(drawn(3, dtype=np.float32), requires_grad=False)
    for _ in range(4):
        x = Variable(drawn(3, dtype=np.float32))
        F.sum(compiled(x, c)).backward()
        assert x.grad.dtype == np.float32
        assert c.grad is None
    y = compiled(Variable(x.data, requires_grad=False), c)
    assert not y.requires_grad
