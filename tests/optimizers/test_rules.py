"""Every optimizer on two valleys, and on every lane against the formulas by hand."""

import copy
import math

import numpy as np
import pytest

from dezero.core import Parameter, Variable
from dezero.layers import Layer
from dezero.optimizers import (
    LAMB,
    LARS,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    Lion,
    MomentumSGD,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    elementwise,
)

OPTIMIZERS = {
    "SGD": lambda: SGD(lr=0.002),
    "MomentumSGD": lambda: MomentumSGD(lr=0.0005, momentum=0.9),
    "Adam": lambda: Adam(alpha=0.05),
    "AdamW": lambda: AdamW(alpha=0.05, weight_decay=1e-4),
    "Nesterov": lambda: MomentumSGD(lr=0.0005, momentum=0.9, nesterov=True),
    "AdaGrad": lambda: AdaGrad(lr=0.5),
    "AdaDelta": lambda: AdaDelta(rho=0.9, eps=1e-4),
    "RMSprop": lambda: RMSprop(lr=0.003),
    "RMSprop with all": lambda: RMSprop(lr=0.0005, alpha=0.95, momentum=0.9, centered=True),
    "AMSGrad": lambda: AMSGrad(alpha=0.05),
    "NAdam": lambda: NAdam(alpha=0.01),
    "RAdam": lambda: RAdam(alpha=0.01),
    "Rprop": lambda: Rprop(),
    "Lion": lambda: Lion(lr=0.003),
    "LAMB": lambda: LAMB(lr=0.003),
    "LARS": lambda: LARS(lr=0.5, trust=0.001),
}


class Point(Layer):
    def __init__(self, *places):
        super().__init__()
        self.p = Parameter(np.array(places, float), name="p")


# Two valleys, by their gradients


def parabola(p):
    return 2 * (p - 3.0)


def rosenbrock(p):
    a, b = p
    return np.array([400 * a * (a * a - b) - 2 * (1 - a), 200 * (b - a * a)])


# The steps of AdaDelta and LAMB grow from nothing and shrink with the parameter, those of Lion are
# all of one size: none of them follows a curved valley.
STRAIGHT = ("AdaDelta", "LAMB", "Lion")


@pytest.mark.parametrize(
    ("name", "valley"),
    [(name, parabola) for name in OPTIMIZERS]
    + [(name, rosenbrock) for name in OPTIMIZERS if name not in STRAIGHT],
)
def test_reaches_the_bottom(name, valley):
    start, goal, steps = {
        parabola: ((-1.0, 8.0), (3.0, 3.0), 3000),
        rosenbrock: ((-1.0, 1.0), (1.0, 1.0), 6000),
    }[valley]
    point = Point(*start)
    optimizer = OPTIMIZERS[name]().setup(point)
    for _ in range(steps):
        point.p.grad = Variable(valley(point.p.data))
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
            root = math.sqrt(1 - 0.999**t)
            eps = 1e-8 * root if name == "AdamW" else 1e-8  # PyTorch's form, and the book's
            p = p - 0.1 * root / (1 - 0.9**t) * m / (np.sqrt(v) + eps)
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


# Every lane gives NumPy's numbers, and goes on from a state to the bit


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_lane_as_numpy(name, lane):
    def path(array):
        point = Point()
        point.p = Parameter(array(START))
        optimizer = OPTIMIZERS[name]().setup(point)
        for g in (*GRADIENTS, *-GRADIENTS):
            point.p.grad = Variable(array(g))
            optimizer.update()
        return point.p, optimizer.state_dict()

    (p, state), (want, wanted) = path(lane.array), path(np.array)
    np.testing.assert_allclose(lane.numpy(p), want.data, rtol=1e-12)
    assert state.keys() == wanted.keys()
    for key in state:
        np.testing.assert_allclose(state[key], wanted[key], rtol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_lives_where_the_parameter_does(name, lane):
    def point():
        point = Point()
        point.p = Parameter(lane.array(START))
        point.p.grad = Variable(lane.array(GRADIENTS[0]))
        return point

    one, other = point(), point()
    optimizer = OPTIMIZERS[name]().setup(one)
    optimizer.update()
    again = OPTIMIZERS[name]().setup(other)
    again.load_state_dict(optimizer.state_dict())
    other.set_weights(one.weights())
    for p, o in (one.p, optimizer), (other.p, again):
        p.grad = Variable(lane.array(GRADIENTS[1]))
        o.update()
        for array in o.state(p).values():
            assert lane.xp.device(array) == lane.xp.device(p.data)
    np.testing.assert_array_equal(lane.numpy(one.p), lane.numpy(other.p))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameter_without_axes(name):
    layer = Point(1.0)
    layer.p = Parameter(np.array(2.0))
    optimizer = OPTIMIZERS[name]().setup(layer)
    held = []
    for _ in range(3):
        layer.p.grad = Variable(np.array(1.0))
        optimizer.update()
        held.append(layer.p.data)
    assert all(isinstance(array, np.ndarray) and array.shape == () for array in held)
    assert 2 > held[0] > held[1] > held[2]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_give_the_numbers_of_the_whole(name, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.standard_normal((7, 11)), "f": rng.standard_normal((11, 7)).T}
    arrays["gaps"] = rng.standard_normal((7, 22))[:, ::2]
    steps = [
        {key: rng.standard_normal(a.shape).astype(dtype) for key, a in arrays.items()}
        for _ in range(4)
    ]
    paths = []
    for block, small in ((1, 0), (10, 0), (1000, 0), (1000, 1000), (10, 77)):
        monkeypatch.setattr(elementwise, "_BLOCK", block)
        monkeypatch.setattr(elementwise, "_SMALL", small)
        layer = Point()
        for key, array in arrays.items():
            setattr(layer, key, Parameter(array.astype(dtype, order="K", copy=False)))
        assert not layer.f.data.flags.c_contiguous
        optimizer = OPTIMIZERS[name]().setup(layer)
        for i, gradients in enumerate(steps):
            if i == 2:  # arrays from a file are in the order of C
                optimizer.load_state_dict(optimizer.state_dict())
            for key in arrays:
                getattr(layer, key).grad = Variable(gradients[key])
            optimizer.update()
        paths.append({key: getattr(layer, key).data for key in arrays} | optimizer.state_dict())
    for path in paths[1:]:
        for key, array in paths[0].items():
            np.testing.assert_array_equal(path[key], array, err_msg=key)


@pytest.mark.only_paths("shipped", "short", reason="about small parameters together")
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_small_parameters_together_give_the_numbers_of_each_alone(name, dtype, monkeypatch):
    """With groups, gradients that are missing at times, an array that is held, and a new state."""
    rng = np.random.default_rng(0)
    shapes = [(), (3,), (2, 3), (1,), (4, 1, 2), (0,), (5,), (3, 3)]
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    steps = [[rng.standard_normal(shape).astype(dtype) for shape in shapes] for _ in range(7)]
    paths = []
    for small in (0, 1000):
        monkeypatch.setattr(elementwise, "_SMALL", small)
        layer = Point()
        for i, array in enumerate(arrays):
            setattr(layer, f"p{i}", Parameter(array.copy()))
        optimizer = OPTIMIZERS[name]().setup(layer)
        rate = optimizer.rate
        group = optimizer.add_group([layer.p1, layer.p2, layer.p4], **{rate: 0.03})
        held = []
        for i, gradients in enumerate(steps):
            if i == 3:
                optimizer.load_state_dict(optimizer.state_dict())
            if i == 4:
                setattr(group, rate, 0.01)
            for k, g in enumerate(gradients):
                skipped = (i, k) in {(2, 0), (2, 6), (4, 2)}
                getattr(layer, f"p{k}").grad = None if skipped else Variable(g)
            held.append((layer.p3.data, layer.p3.data.copy()))
            where = layer.p6.data.ctypes.data
            optimizer.update()
            assert layer.p6.data.ctypes.data == where
        assert all(np.array_equal(a, b) for a, b in held)
        results = [getattr(layer, f"p{k}").data for k in range(len(shapes))]
        assert all(p.dtype == dtype for p in results)
        paths.append([*results, *optimizer.state_dict().values()])
    for a, b in zip(*paths, strict=True):
        np.testing.assert_array_equal(a, b)


def test_arrays_of_slots_that_somebody_replaced_are_taken():
    """Also those of a copy, which no longer lie in one vector."""
    layer = Point(1.0, 1.0)
    for i in range(3):
        setattr(layer, f"p{i}", Parameter(np.ones(2)))
    optimizer = MomentumSGD(0.1, 0.5).setup(layer)
    for k in range(4):
        for p in layer.params():
            p.grad = Variable(np.ones(2))
        optimizer.update()
        velocities = [optimizer.state(p)["v"] for p in layer.params()]
        np.testing.assert_allclose(velocities, velocities[0][0])
        if k == 1:  # back to the beginning
            for v in velocities:
                v[:] = 0.0
            optimizer.state(layer.p1)["v"] = np.zeros(2)
    np.testing.assert_allclose(velocities, -0.15)
    again = copy.deepcopy(optimizer)
    for own in again._states.values():
        own.arrays["v"][:] = 0.0
    np.testing.assert_allclose(optimizer.state(layer.p0)["v"], -0.15)


def test_a_rule_of_its_own_is_called_for_each_parameter():
    class Counting(SGD):
        calls = 0

        def update_one(self, param):
            self.calls += 1
            super().update_one(param)

    layer = Point(1.0)
    for i in range(4):
        setattr(layer, f"p{i}", Parameter(np.ones(2)))
    optimizer = Counting(0.5).setup(layer)
    for p in layer.params():
        p.grad = Variable(np.ones(p.shape))
    optimizer.update()
    assert optimizer.calls == 5
    np.testing.assert_array_equal(layer.p3.data, 0.5)


@pytest.mark.only_paths("shipped", "short", reason="about updates in place")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_in_place_gives_the_numbers_of_a_copy(name):
    path = []
    for holds in (False, True):
        layer = Point(*START)
        where, held = layer.p.data.ctypes.data, []
        optimizer = OPTIMIZERS[name]().setup(layer)
        for g in GRADIENTS:
            if holds:
                held.append((layer.p.data, layer.p.data.copy()))
            layer.p.grad = Variable(g)
            optimizer.update()
            assert (layer.p.data.ctypes.data == where) != holds
        assert all(np.array_equal(a, b) for a, b in held)
        path.append(layer.p.data)
    np.testing.assert_array_equal(*path)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_and_states_are_not_shared(name):
    layer = Point(*START)
    optimizer = OPTIMIZERS[name]().setup(layer)
    g = GRADIENTS[0].copy()
    layer.p.grad = Variable(g)
    optimizer.update()
    np.testing.assert_array_equal(g, GRADIENTS[0])
    assert not any(np.shares_memory(g, array) for array in optimizer.state(layer.p).values())
    assert not np.shares_memory(g, layer.p.data)


def test_a_rate_from_numpy_keeps_float32():
    layer = Point()
    layer.p = Parameter(np.ones(3, np.float32))
    for optimizer in SGD(np.float64(0.1)), Adam(np.array(0.1)):
        optimizer.setup(layer)
        setattr(optimizer, optimizer.rate, np.float64(0.2))
        held = layer.p.data
        layer.p.grad = Variable(np.ones(3, np.float32))
        optimizer.update()
        assert layer.p.data is not held
        assert layer.p.dtype == np.float32


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"Rprop", "Lion"}))
def test_complex_parameters_go_down_too(name):
    layer = Point()
    layer.p = Parameter(np.array([2 + 1j, -1 + 3j]))
    optimizer = OPTIMIZERS[name]().setup(layer)
    before = np.abs(layer.p.data)
    for _ in range(30):
        layer.p.grad = Variable(2 * layer.p.data)
        optimizer.update()
    assert (np.abs(layer.p.data) < before).all()
    assert layer.p.dtype == np.complex128


def test_rprop_of_complex_numbers():
    layer = Point()
    layer.p = Parameter(np.array([1 + 1j]))
    layer.p.grad = Variable(np.array([3 + 4j]))
    with pytest.raises(TypeError, match="Rprop: a parameter of dtype complex128"):
        Rprop().setup(layer).update()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD(-0.1), ValueError, r"SGD: lr is -0\.1, expected a finite number from 0"),
        (lambda: SGD(float("nan")), ValueError, "SGD: lr is nan"),
        (lambda: Adam(float("inf")), ValueError, "Adam: alpha is inf"),
        (lambda: Adam(beta1=1.0), ValueError, "Adam: beta1 is 1, .* from 0 to below 1"),
        (lambda: SGD("much"), TypeError, "SGD: lr is 'much', expected a number"),
        (
            lambda: Rprop(grow=0.5),
            ValueError,
            "Rprop: grow is 0.5, expected a finite number from 1",
        ),
        (lambda: MomentumSGD(nesterov=True, dampening=0.1), ValueError, "nesterov with dampening"),
        (lambda: NAdam(momentum_decay=-1), ValueError, "NAdam: momentum_decay is -1"),
    ],
)
def test_wrong_numbers(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_adam_of_complex_numbers_is_that_of_the_plane():
    layer = Point(1.0)
    layer.p = Parameter(np.array([1 + 1j]))
    layer.p.grad = Variable(np.array([3 + 4j]))
    Adam(0.1).setup(layer).update()
    np.testing.assert_allclose(layer.p.data, [1 + 1j - 0.1 * (0.6 + 0.8j)], rtol=1e-6)


def test_the_book_signatures():
    assert (SGD().lr, MomentumSGD().lr, MomentumSGD().momentum) == (0.01, 0.01, 0.9)
    assert (AdaGrad().lr, AdaGrad().eps) == (0.001, 1e-8)
    assert (AdaDelta().rho, AdaDelta().eps) == (0.95, 1e-6)
    adam = Adam(0.5)
    assert (adam.alpha, adam.beta1, adam.beta2, adam.eps, adam.t) == (0.5, 0.9, 0.999, 1e-8, 0)
    assert adam.lr == pytest.approx(0.5 * math.sqrt(0.001) / 0.1)


@pytest.mark.parametrize("count", [1, 4])
def test_data_of_another_shape_is_refused(count):
    model = Layer()
    for i in range(count):
        setattr(model, f"p{i}", Parameter(np.ones(1)))
    optimizer = Adam().setup(model)
    params = list(model.params())
    for shape in ((1,), (3,)):
        for p in params:
            p.data, p.grad = np.ones(shape), Variable(np.ones(shape))
        if shape == (1,):
            optimizer.update()
    with pytest.raises(ValueError, match=r"Adam: a parameter has shape \(3,\), its state \(1,\)"):
        optimizer.update()
    assert all(p.data.tolist() == [1.0] * 3 for p in params)
