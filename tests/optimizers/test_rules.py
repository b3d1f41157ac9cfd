"""Every optimizer on two valleys, and on every lane against the formulas by hand."""

import math

import numpy as np
import pytest

from dezero.core import Parameter, Variable
from dezero.layers import Layer
from dezero.optimizers import SGD, Adam, AdamW, MomentumSGD

OPTIMIZERS = {
    "SGD": lambda: SGD(lr=0.002),
    "MomentumSGD": lambda: MomentumSGD(lr=0.0005, momentum=0.9),
    "Adam": lambda: Adam(alpha=0.05),
    "AdamW": lambda: AdamW(alpha=0.05, weight_decay=1e-4),
}


class Point(Layer):
    def __init__(self, *places):
        super().__init__()
        self.p = Parameter(np.array(places, float), name="p")


def parabola(p):
    return ((p - 3.0) ** 2).sum()


def rosenbrock(p):
    return 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    ("valley", "start", "goal", "steps"),
    [(parabola, (-1.0, 8.0), (3.0, 3.0), 3000), (rosenbrock, (-1.0, 1.0), (1.0, 1.0), 6000)],
    ids=["parabola", "rosenbrock"],
)
def test_reaches_the_bottom(name, valley, start, goal, steps):
    point = Point(*start)
    optimizer = OPTIMIZERS[name]().setup(point)
    for _ in range(steps):
        point.cleargrads()
        valley(point.p).backward()
        optimizer.update()
    np.testing.assert_allclose(point.p.data, goal, atol=0.05)


# One step and the next, by hand, for g = (1, -2) and then (0.5, 0)
START = np.array([2.0, 4.0])
GRADIENTS = np.array([[1.0, -2.0], [0.5, 0.0]])


def by_hand(name):
    p, m, v = START.copy(), np.zeros(2), np.zeros(2)
    for t, g in enumerate(GRADIENTS, 1):
        if name == "SGD":
            p = p - 0.1 * g
        elif name == "MomentumSGD":
            v = 0.9 * v - 0.1 * g
            p = p + v
        else:
            if name == "AdamW":
                p = p - 0.1 * 0.5 * p
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g**2
            lr = 0.1 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            p = p - lr * m / (np.sqrt(v) + 1e-8)
    return p


MADE = {
    "SGD": lambda: SGD(0.1),
    "MomentumSGD": lambda: MomentumSGD(0.1, 0.9),
    "Adam": lambda: Adam(0.1),
    "AdamW": lambda: AdamW(0.1, weight_decay=0.5),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_by_hand(name, dtype, lane):
    point = Point()
    point.p = Parameter(lane.array(START.astype(dtype)))
    optimizer = MADE[name]().setup(point)
    for g in GRADIENTS:
        point.p.grad = Variable(lane.array(g.astype(dtype)))
        optimizer.update()
    tolerance = 1e-6 if dtype is np.float32 else 1e-13
    np.testing.assert_allclose(lane.numpy(point.p), by_hand(name), rtol=tolerance)
    assert lane.dtype(point.p) == np.dtype(dtype).name
    assert lane.xp.device(point.p.data) == lane.xp.device(lane.array(START))


@pytest.mark.parametrize("name", MADE)
def test_state_lives_where_the_parameter_does(name, lane):
    def point():
        point = Point()
        point.p = Parameter(lane.array(START))
        point.p.grad = Variable(lane.array(GRADIENTS[0]))
        return point

    one, other = point(), point()
    optimizer = MADE[name]().setup(one)
    optimizer.update()
    again = MADE[name]().setup(other)
    again.load_state_dict(optimizer.state_dict())
    other.set_weights(one.weights())
    for p, o in (one.p, optimizer), (other.p, again):
        p.grad = Variable(lane.array(GRADIENTS[1]))
        o.update()
        for array in o.state(p).values():
            assert lane.xp.device(array) == lane.xp.device(p.data)
    np.testing.assert_array_equal(lane.numpy(one.p), lane.numpy(other.p))


@pytest.mark.parametrize("name", MADE)
def test_parameter_without_axes(name):
    layer = Point(1.0)
    layer.p = Parameter(np.array(2.0))
    optimizer = MADE[name]().setup(layer)
    for _ in range(2):
        layer.p.grad = Variable(np.array(1.0))
        optimizer.update()
    assert isinstance(layer.p.data, np.ndarray)
    assert layer.p.data.shape == ()
    assert layer.p.data < 1.9


def test_adam_of_complex_numbers_is_that_of_the_plane():
    layer = Point(1.0)
    layer.p = Parameter(np.array([1 + 1j]))
    layer.p.grad = Variable(np.array([3 + 4j]))
    Adam(0.1).setup(layer).update()
    np.testing.assert_allclose(layer.p.data, [1 + 1j - 0.1 * (0.6 + 0.8j)], rtol=1e-6)


def test_the_book_signatures():
    assert (SGD().lr, MomentumSGD().lr, MomentumSGD().momentum) == (0.01, 0.01, 0.9)
    adam = Adam(0.5)
    assert (adam.alpha, adam.beta1, adam.beta2, adam.eps, adam.t) == (0.5, 0.9, 0.999, 1e-8, 0)
    assert adam.lr == pytest.approx(0.5 * math.sqrt(0.001) / 0.1)
