"""The book's first engine: gradients are arrays."""

import numpy as np
import pytest

import dezero
from dezero import core_simple
from dezero.core_simple import Function, Variable


def test_gradients_are_arrays():
    x0, x1 = Variable(np.array(0.0)), Variable(np.array(2.0))
    y = 100 * (x1 - x0**2) ** 2 + (x0 - 1) ** 2
    assert type(y) is Variable
    y.backward()
    assert type(x0.grad) is np.ndarray
    assert (x0.grad, x1.grad) == (-2.0, 400.0)
    x0.data -= 0.001 * x0.grad
    assert x0.data == 0.002


def test_they_accumulate_and_are_cleared():
    x = Variable(np.array(3.0))
    for _ in range(2):
        (x + x).backward()
    assert x.grad == 4.0
    x.cleargrad()
    assert x.grad is None


def test_retain_grad_and_the_seed():
    x = Variable(np.array([1.0, 2.0]))
    y = x * x
    z = y / 2.0
    z.grad = np.array([1.0, 10.0])
    z.backward(retain_grad=True)
    np.testing.assert_array_equal(y.grad, [0.5, 5.0])
    np.testing.assert_array_equal(x.grad, [1.0, 20.0])
    with pytest.raises(TypeError):
        z.backward(create_graph=True)


OPERATIONS = {
    "add": (lambda x: 1.0 + x + 1.0, 1.0),
    "sub": (lambda x: 1.0 - x - 1.0, -1.0),
    "mul": (lambda x: 2.0 * x * 3.0, 6.0),
    "div": (lambda x: 1.0 / x / 2.0, -0.5 / 9),
    "pow": (lambda x: x**3, 27.0),
    "neg": (lambda x: -x, -1.0),
    "array": (lambda x: np.array(2.0) * x, 2.0),
    "functions": (
        lambda x: core_simple.rdiv(core_simple.rsub(x, 5.0), core_simple.div(x, 2.0)),
        0.625,
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operators(name):
    f, want = OPERATIONS[name]
    x = Variable(np.array(3.0))
    y = f(x)
    assert type(y) is Variable
    y.backward()
    np.testing.assert_allclose(x.grad, want)


def test_a_function_of_ones_own_computes_with_arrays():
    class Both(Function):
        def forward(self, x0, x1):
            return x0 * x1, x0 + x1

        def backward(self, g0, g1):
            assert type(g0) is type(g1) is np.ndarray
            x0, x1 = (x.data for x in self.inputs)
            return g0 * x1 + g1, g0 * x0 + g1

    x0, x1 = Variable(np.array(2.0)), Variable(np.array(3.0))
    product, total = Both()(x0, x1)
    (product + total).backward()
    assert (x0.grad, x1.grad) == (4.0, 3.0)


def test_classes_of_operations():
    x = Variable(np.array(3.0))
    y = core_simple.Add()(core_simple.Pow(2)(x), core_simple.Neg()(x))
    y.backward()
    assert (y.data, x.grad) == (6.0, 5.0)
    assert core_simple.Div()(x, core_simple.Sub()(x, core_simple.Mul()(x, 2.0))).data == -1.0


def test_its_config_is_the_engines():
    x = Variable(np.array(3.0))
    with core_simple.no_grad():
        assert (x * x).creator is None
    with core_simple.using_config("enable_backprop", False):
        assert not dezero.Config.enable_backprop
    assert core_simple.as_variable(np.array(1.0)).creator is None
    assert type(core_simple.as_variable(np.array(1.0))) is Variable


def test_the_other_engine_stays_as_it_is():
    core_simple.setup_variable()
    x = dezero.Variable(np.array(3.0))
    (x * x).backward()
    assert type(x.grad) is dezero.Variable
    assert type(x * x) is dezero.Variable
