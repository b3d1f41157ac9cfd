"""Programs as the book writes them, with what they print."""

import contextlib
import math

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Function, Variable

# --- the second stage, as written ---------------------------------------------------------------


def test_add_of_two_variables(capsys):
    class Add(Function):
        def forward(self, x0, x1):
            y = x0 + x1
            return (y,)

        def backward(self, gy):
            return gy, gy

    x0 = Variable(np.array(2))
    x1 = Variable(np.array(3))
    (y,) = Add()(x0, x1)
    print(y.data)
    assert capsys.readouterr().out == "5\n"


class Add(Function):
    def forward(self, x0, x1):
        y = x0 + x1
        return y

    def backward(self, gy):
        return gy, gy


class Square(Function):
    def forward(self, x):
        y = x**2
        return y

    def backward(self, gy):
        x = self.inputs[0].data
        gx = 2 * x * gy
        return gx


def add(x0, x1):
    return Add()(x0, x1)


def square(x):
    f = Square()
    return f(x)


def test_add_written_simply(capsys):
    print(Add()(Variable(np.array(2)), Variable(np.array(3))).data)
    assert capsys.readouterr().out == "5\n"


def test_sum_of_squares(capsys):
    x = Variable(np.array(2.0))
    y = Variable(np.array(3.0))

    z = add(square(x), square(y))
    z.backward()
    print(z.data)
    print(x.grad)
    print(y.grad)
    assert capsys.readouterr().out == "13.0\n4.0\n6.0\n"


def test_same_variable_twice(capsys):
    x = Variable(np.array(3.0))
    y = add(x, x)
    y.backward()
    print(x.grad)
    assert capsys.readouterr().out == "2.0\n"

    x.cleargrad()
    y = add(add(x, x), x)
    y.backward()
    print(x.grad)
    assert capsys.readouterr().out == "3.0\n"


def test_branches_that_meet(capsys):
    x = Variable(np.array(2.0))
    a = square(x)
    y = add(square(a), square(a))
    y.backward()

    print(y.data)
    print(x.grad)
    assert capsys.readouterr().out == "32.0\n64.0\n"


def test_variable_of_a_float():
    Variable(np.array(1.0))
    Variable(None)
    with pytest.raises(TypeError) as error:
        Variable(1.0)
    assert str(error.value) == "<class 'float'> is not supported"


def test_gradients_between_are_none(capsys):
    x0 = Variable(np.array(1.0))
    x1 = Variable(np.array(1.0))
    t = add(x0, x1)
    y = add(x0, t)
    y.backward()

    print(y.grad, t.grad)
    print(x0.grad, x1.grad)
    assert capsys.readouterr().out == "None None\n2.0 1.0\n"


def test_memory_of_many_steps():
    for _ in range(10):
        x = Variable(np.random.randn(10000))
        y = square(square(square(x)))
    assert y.generation == 3


def test_enable_backprop(capsys):
    with dezero.using_config("enable_backprop", False):
        x = Variable(np.array(2.0))
        y = square(x)
    with dezero.no_grad():
        z = square(x)
    print(y.creator, z.creator)
    assert capsys.readouterr().out == "None None\n"


# --- printing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text", "representation"),
    [
        (np.array(4.0), "4.0", "variable(4.0)"),
        (np.array(5), "5", "variable(5)"),
        (np.array([1, 2, 3]), "[1 2 3]", "variable([1 2 3])"),
        (
            np.array([[1, 2, 3], [4, 5, 6]]),
            "[[1 2 3]\n [4 5 6]]",
            "variable([[1 2 3]\n          [4 5 6]])",
        ),
        (np.array([[1.5]], dtype=np.float32), "[[1.5]]", "variable([[1.5]])"),
        (np.zeros((0, 2)), "[]", "variable([])"),
        (None, "None", "variable(None)"),
    ],
    ids=["float", "int", "vector", "matrix", "one", "empty", "none"],
)
def test_printing(data, text, representation):
    v = Variable(data)
    assert str(v) == f"{v}" == text
    assert repr(v) == representation


def test_printing_of_results_and_gradients(capsys):
    x = Variable(np.array([1.0, 2.0]))
    y = x * x
    y.backward()
    print(y, x.grad)
    print([y, x.grad])
    assert capsys.readouterr().out == "[1. 4.] [2. 4.]\n[variable([1. 4.]), variable([2. 4.])]\n"


def test_variable_like_an_array(capsys):
    x = Variable(np.array([[1, 2, 3], [4, 5, 6]]), name="x")
    print(x.shape, x.ndim, x.size, x.dtype, len(x), x.name)
    assert capsys.readouterr().out == "(2, 3) 2 6 int64 2 x\n"


# --- operators ----------------------------------------------------------------------------------


def test_operators(capsys):
    a = Variable(np.array(3.0))
    b = Variable(np.array(2.0))
    c = Variable(np.array(1.0))
    y = a * b + c
    y.backward()
    print(y)
    print(a.grad)
    print(b.grad)
    assert capsys.readouterr().out == "7.0\n2.0\n3.0\n"


def test_operators_with_arrays_and_numbers(capsys):
    x = Variable(np.array(2.0))
    print(x + np.array(3.0))
    print(x + 3.0)
    print(3.0 * x + 1.0)
    print(np.array([2.0]) + x)
    print(-x, 2.0 - x, x - 1.0, 3.0 / x, x / 2.0, x**3)
    assert capsys.readouterr().out == "5.0\n5.0\n7.0\n[4.]\n-2.0 0.0 1.0 1.5 1.0 8.0\n"


@contextlib.contextmanager
def replaced(**attributes):
    """Attributes of the class Variable, put back at the end."""
    old = {name: getattr(Variable, name) for name in attributes}
    for name, attribute in attributes.items():
        setattr(Variable, name, attribute)
    try:
        yield
    finally:
        for name, attribute in old.items():
            setattr(Variable, name, attribute)


def test_operators_replaced_on_the_class(capsys):
    calls = []

    class Mul(Function):
        def forward(self, x0, x1):
            return x0 * x1

        def backward(self, gy):
            calls.append("mul")
            x0, x1 = self.inputs[0].data, self.inputs[1].data
            return gy * x1, gy * x0

    class Plus(Add):
        def backward(self, gy):
            calls.append("add")
            return gy, gy

    def mul(x0, x1):
        return Mul()(x0, x1)

    def plus(x0, x1):
        return Plus()(x0, x1)

    operators = {"__add__": plus, "__radd__": plus, "__mul__": mul, "__rmul__": mul}
    with replaced(**operators):
        a = Variable(np.array(3.0))
        b = Variable(np.array(2.0))
        c = Variable(np.array(1.0))
        y = a * b + c
        y.backward()
        print(y.data, a.grad.data, b.grad.data, c.grad.data)
        x = Variable(np.array(2.0))
        print((3.0 * x + 1.0).data)
    assert capsys.readouterr().out == "7.0 2.0 3.0 1.0\n7.0\n"
    assert "add" in calls
    assert "mul" in calls
    dezero.setup_variable()
    calls.clear()
    (a * b).backward()
    assert not calls


def test_rebinding_from_a_number(capsys):
    loss = 0
    for i in range(3):
        loss += Variable(np.array(float(i))) * 2.0
    loss.backward()
    print(loss.data, float(loss.data))
    assert capsys.readouterr().out == "6.0 6.0\n"


# --- functions of two variables -----------------------------------------------------------------


def sphere(x, y):
    return x**2 + y**2


def matyas(x, y):
    return 0.26 * (x**2 + y**2) - 0.48 * x * y


def goldstein(x, y):
    z = (1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)) * (
        30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    )
    return z


@pytest.mark.parametrize(
    ("function", "printed"),
    [
        (sphere, "2.0 2.0"),
        (matyas, "0.040000000000000036 0.040000000000000036"),
        (goldstein, "-5376.0 8064.0"),
    ],
)
def test_functions_of_two_variables(function, printed, capsys):
    x = Variable(np.array(1.0))
    y = Variable(np.array(1.0))
    z = function(x, y)
    z.backward()
    print(x.grad, y.grad)
    assert capsys.readouterr().out == printed + "\n"


def rosenbrock(x0, x1):
    return 100 * (x1 - x0**2) ** 2 + (x0 - 1) ** 2


def test_gradient_of_rosenbrock(capsys):
    x0 = Variable(np.array(0.0))
    x1 = Variable(np.array(2.0))
    y = rosenbrock(x0, x1)
    y.backward()
    print(x0.grad, x1.grad)
    assert capsys.readouterr().out == "-2.0 400.0\n"


def test_gradient_descent():
    x0 = Variable(np.array(0.0))
    x1 = Variable(np.array(2.0))
    values = []
    for _ in range(1000):
        y = rosenbrock(x0, x1)
        values.append(float(y.data))
        x0.cleargrad()
        x1.cleargrad()
        y.backward()
        x0.data -= 0.001 * x0.grad.data
        x1.data -= 0.001 * x1.grad.data
    assert values[-1] < 0.15 < values[10]
    assert float(x0.data) == pytest.approx(0.683, abs=1e-3)
    assert float(x1.data) == pytest.approx(0.466, abs=1e-3)


def test_newton_with_a_second_derivative_by_hand(capsys):
    x = Variable(np.array(2.0))
    for _ in range(6):
        y = x**4 - 2 * x**2
        x.cleargrad()
        y.backward()
        x.data -= x.grad.data / (12 * x.data**2 - 4)
    assert float(x.data) == pytest.approx(1.0, abs=1e-8)


def test_newton_with_a_second_derivative_of_ours(capsys):
    x = Variable(np.array(2.0))
    for i in range(10):
        if i < 2:
            print(i, x)
        y = x**4 - 2 * x**2
        x.cleargrad()
        y.backward(create_graph=True)
        gx = x.grad
        x.cleargrad()
        gx.backward()
        gx2 = x.grad
        x.data -= gx.data / gx2.data
    print(x)
    first, second, last = capsys.readouterr().out.splitlines()
    assert first == "0 2.0"
    assert second.startswith("1 1.4545454545454")
    assert float(last) == 1.0


# --- higher derivatives -------------------------------------------------------------------------


class Sin(Function):
    def forward(self, x):
        y = np.sin(x)
        return y

    def backward(self, gy):
        x = self.inputs[0].data
        gx = gy * np.cos(x)
        return gx


def test_sine_of_ones_own(capsys):
    x = Variable(np.array(np.pi / 4))
    y = Sin()(x)
    y.backward()
    print(y.data)
    print(x.grad)
    value, gradient = map(float, capsys.readouterr().out.split())
    assert value == pytest.approx(math.sqrt(0.5))
    assert gradient == pytest.approx(math.sqrt(0.5))


def my_sin(x, threshold=0.0001):
    y = 0
    for i in range(100000):
        c = (-1) ** i / math.factorial(2 * i + 1)
        t = c * x ** (2 * i + 1)
        y = y + t
        if abs(t.data) < threshold:
            break
    return y


def test_series_of_sine():
    x = Variable(np.array(np.pi / 4))
    y = my_sin(x, 1e-15)
    y.backward()
    assert float(y.data) == pytest.approx(math.sqrt(0.5), abs=1e-12)
    assert float(x.grad.data) == pytest.approx(math.sqrt(0.5), abs=1e-12)


def test_derivatives_of_sine():
    x = Variable(np.linspace(-7, 7, 200))
    y = F.sin(x)
    y.backward(create_graph=True)
    logs = [y.data]
    for _ in range(3):
        logs.append(x.grad.data)
        gx = x.grad
        x.cleargrad()
        gx.backward(create_graph=True)
    sin, cos = np.sin(x.data), np.cos(x.data)
    for got, want in zip([*logs, x.grad.data], [sin, cos, -sin, -cos, sin], strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


class Sin2(Function):
    def forward(self, x):
        return np.sin(x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * Cos2()(x)


class Cos2(Function):
    def forward(self, x):
        return np.cos(x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * -Sin2()(x)


class Tanh2(Function):
    def forward(self, x):
        return np.tanh(x)

    def backward(self, gy):
        y = self.outputs[0]()
        return gy * (1 - y * y)


@pytest.mark.parametrize(
    ("own", "ours"), [(Sin2, F.sin), (Cos2, F.cos), (Tanh2, F.tanh)], ids=["sin", "cos", "tanh"]
)
def test_classes_of_ones_own_to_sixth_order(own, ours):
    results = []
    for function in (lambda x: own()(x), ours):
        x = Variable(np.array(0.7))
        y = function(x)
        y.backward(create_graph=True)
        for _ in range(5):
            gx = x.grad
            x.cleargrad()
            gx.backward(create_graph=True)
        results.append(float(x.grad.data))
    assert results[0] == pytest.approx(results[1])


def test_classes_of_ones_own_in_a_chain():
    x = Variable(np.array(0.7))
    y = Tanh2()(Tanh2()(Tanh2()(x) * 2.0) + 1.0)
    y = F.sum(y)
    y.backward()
    z = Variable(np.array(0.7))
    F.tanh(F.tanh(F.tanh(z) * 2.0) + 1.0).backward()
    assert float(x.grad.data) == pytest.approx(float(z.grad.data))


def test_double_backpropagation(capsys):
    x = Variable(np.array(2.0))
    y = x**2
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()

    z = gx**3 + y
    z.backward()
    print(x.grad)
    assert capsys.readouterr().out == "100.0\n"


# --- arrays -------------------------------------------------------------------------------------


def test_elementwise_and_shapes(capsys):
    x = Variable(np.array([[1, 2, 3], [4, 5, 6]]))
    c = Variable(np.array([[10, 20, 30], [40, 50, 60]]))
    t = x + c
    y = F.sum(t)
    y.backward(retain_grad=True)
    print(y.grad)
    print(t.grad)
    print(x.grad)
    print(repr(c.grad))
    ones = "[[1 1 1]\n [1 1 1]]\n"
    book = "variable([[1 1 1]\n          [1 1 1]])\n"
    assert capsys.readouterr().out == "1\n" + ones + ones + book


def test_reshape_and_transpose(capsys):
    x = Variable(np.array([[1, 2, 3], [4, 5, 6]]))
    F.reshape(x, (6,)).backward(retain_grad=True)
    print(x.grad)
    x.cleargrad()
    F.transpose(x).backward()
    print(x.grad)
    assert capsys.readouterr().out == "[[1 1 1]\n [1 1 1]]\n" * 2


def test_broadcast(capsys):
    x0 = Variable(np.array([1, 2, 3]))
    x1 = Variable(np.array([10]))
    y = x0 + x1
    print(y)
    y.backward()
    print(x1.grad)
    assert capsys.readouterr().out == "[11 12 13]\n[3]\n"


def test_slices(capsys):
    x = Variable(np.array([[1, 2, 3], [4, 5, 6]]))
    y = F.get_item(x, 1)
    print(y)
    y.backward()
    print(x.grad)
    indices = np.array([0, 0, 1])
    print(F.get_item(x, indices))
    print(x[1], x[:, 2])
    assert capsys.readouterr().out == (
        "[4 5 6]\n[[0 0 0]\n [1 1 1]]\n[[1 2 3]\n [1 2 3]\n [4 5 6]]\n[4 5 6] [3 6]\n"
    )


def test_linear_regression():
    np.random.seed(0)
    x = np.random.rand(100, 1)
    y = 5 + 2 * x + np.random.rand(100, 1)
    x, y = Variable(x), Variable(y)
    W = Variable(np.zeros((1, 1)))
    b = Variable(np.zeros(1))

    def mean_squared_error(x0, x1):
        diff = x0 - x1
        return F.sum(diff**2) / len(diff)

    losses = []
    for _ in range(100):
        loss = mean_squared_error(y, F.matmul(x, W) + b)
        W.cleargrad()
        b.cleargrad()
        loss.backward()
        W.data -= 0.1 * W.grad.data
        b.data -= 0.1 * b.grad.data
        losses.append(float(loss.data))
    assert losses[0] > 40
    assert losses[-1] == pytest.approx(0.07908606512411756)
    assert W.data.item() == pytest.approx(2.11807369)
    assert b.data.item() == pytest.approx(5.46608905)


def test_softmax_of_one_row():
    x = Variable(np.array([[0.2, -0.4]]))
    y = F.exp(x)
    p = y / F.sum(y)
    np.testing.assert_allclose(p.data, [[0.64565631, 0.35434369]], rtol=1e-7)


def test_data_of_rank_0_may_be_assigned_what_arithmetic_gives():
    x = Variable(np.array(3.0))
    x.data = x.data - 0.5 * np.array(2.0)
    assert type(x.data) is np.ndarray
    assert x.data == 2.0
    with pytest.raises(TypeError, match=r"numpy.float64'> is not supported"):
        Variable(np.float64(1.0))
    with pytest.raises(TypeError, match=r"float'> is not supported"):
        x.data = 1.0
