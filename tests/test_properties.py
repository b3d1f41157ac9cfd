"""Properties for arbitrary shapes, keys and graphs, found by hypothesis."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import dezero.functions as F
from dezero import Function, Variable

quick = settings(deadline=None, derandomize=True, max_examples=60, database=None)

EXACT = {"rtol": 1e-12, "atol": 1e-12}
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4)


def numbers(shape, seed):
    """Different numbers from 0.5 to 2, away from every singular point of the operations below."""
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)


def summed(gradient, shape):
    """``gradient`` summed to ``shape``, element by element: what broadcasting asks for."""
    result = np.zeros(shape)
    for place in np.ndindex(gradient.shape):
        own = place[gradient.ndim - len(shape) :]
        result[tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))] += gradient[
            place
        ]
    return result


# --- broadcasting -------------------------------------------------------------------------------

OPERATIONS = {
    "add": (lambda a, b: a + b, lambda a, b: (1.0 + 0 * (a + b), 1.0 + 0 * (a + b))),
    "subtract": (lambda a, b: a - b, lambda a, b: (1.0 + 0 * (a + b), -1.0 + 0 * (a + b))),
    "multiply": (lambda a, b: a * b, lambda a, b: (b + 0 * a, a + 0 * b)),
    "divide": (lambda a, b: a / b, lambda a, b: (1 / b + 0 * a, -a / b**2)),
    "pow": (lambda a, b: a**b, lambda a, b: (b * a ** (b - 1), a**b * np.log(a))),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@quick
@given(
    shapes=arrays.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4),
    seed=st.integers(0, 9),
)
def test_broadcasting(operation, shapes, seed):
    function, slopes = OPERATIONS[operation]
    (first, second), result = shapes.input_shapes, shapes.result_shape
    a, b = Variable(numbers(first, seed)), Variable(numbers(second, seed + 1))
    y = function(a, b)
    assert y.shape == result
    np.testing.assert_array_equal(y.data, function(a.data, b.data))
    g = numbers(result, seed + 2)
    y.grad = Variable(g)
    y.backward()
    for v, slope in zip((a, b), slopes(a.data, b.data), strict=True):
        assert v.grad.shape == v.shape
        np.testing.assert_allclose(v.grad.data, summed(g * slope, v.shape), **EXACT)


@quick
@given(
    shapes=arrays.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3),
    seed=st.integers(0, 9),
)
def test_broadcasting_of_three_with_a_condition(shapes, seed):
    first, second, third = shapes.input_shapes
    condition = numbers(first, seed) > 1.2
    a, b = Variable(numbers(second, seed + 1)), Variable(numbers(third, seed + 2))
    y = F.where(condition, a, b)
    np.testing.assert_array_equal(y.data, np.where(condition, a.data, b.data))
    g = numbers(y.shape, seed + 3)
    y.grad = Variable(g)
    y.backward()
    np.testing.assert_allclose(a.grad.data, summed(np.where(condition, g, 0), a.shape), **EXACT)
    np.testing.assert_allclose(b.grad.data, summed(np.where(condition, 0, g), b.shape), **EXACT)


@quick
@given(
    shapes=arrays.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3),
    seed=st.integers(0, 9),
)
def test_second_order_of_a_broadcast_product(shapes, seed):
    first, second = shapes.input_shapes
    a, b = Variable(numbers(first, seed)), Variable(numbers(second, seed + 1))
    F.sum(a * a * b).backward(create_graph=True)
    ga = a.grad
    a.cleargrad()
    b.cleargrad()
    F.sum(ga).backward()
    ones = np.ones(shapes.result_shape)
    np.testing.assert_allclose(a.grad.data, summed(2 * b.data * ones, first), **EXACT)
    np.testing.assert_allclose(b.grad.data, summed(2 * a.data * ones, second), **EXACT)


@quick
@given(shape=SHAPES, lead=st.lists(st.integers(1, 3), max_size=2), data=st.data())
def test_broadcast_to_and_sum_to_are_adjoint(shape, lead, data):
    small = tuple(data.draw(st.sampled_from([1, n])) for n in shape)
    big = (*lead, *shape)
    x, u = Variable(numbers(small, 0)), Variable(numbers(big, 1))
    left = F.sum(F.broadcast_to(x, big) * u)
    right = F.sum(x * F.sum_to(u, small))
    np.testing.assert_allclose(left.data, right.data, rtol=1e-12)
    left.backward()
    np.testing.assert_allclose(x.grad.data, summed(u.data, small), **EXACT)
    x.cleargrad()
    u.cleargrad()
    right.backward()
    np.testing.assert_allclose(x.grad.data, summed(u.data, small), **EXACT)
    np.testing.assert_allclose(u.grad.data, np.broadcast_to(x.data, big), **EXACT)


# --- reductions and shapes ----------------------------------------------------------------------


@st.composite
def shape_and_axis(draw):
    shape = draw(SHAPES)
    if not shape:
        return shape, None
    axes = draw(st.sets(st.integers(0, len(shape) - 1)))
    axis = tuple(i - len(shape) if draw(st.booleans()) else i for i in sorted(axes))
    choices = [None, axis] + ([axis[0]] if axis else [])
    return shape, draw(st.sampled_from(choices))


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var"])
@quick
@given(case=shape_and_axis(), keepdims=st.booleans())
def test_reductions(name, case, keepdims):
    shape, axis = case
    if axis == () and name in ("max", "min", "prod"):
        return  # the standard does not say
    x = Variable(numbers(shape, 3))
    y = getattr(F, name)(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(
        y.data, getattr(np, name)(x.data, axis=axis, keepdims=keepdims), **EXACT
    )
    g = numbers(y.shape, 4)
    y.grad = Variable(g)
    y.backward()
    step, direction = 1e-6, numbers(shape, 5)

    def value(t):
        return float(
            np.sum(g * getattr(np, name)(x.data + t * direction, axis=axis, keepdims=keepdims))
        )

    slope = (value(step) - value(-step)) / (2 * step)
    assert float(np.sum(x.grad.data * direction)) == pytest.approx(slope, rel=1e-5, abs=1e-7)


@quick
@given(shape=SHAPES, data=st.data())
def test_reshape_and_transpose_give_back_what_they_took(shape, data):
    x = Variable(numbers(shape, 0))
    axes = data.draw(st.permutations(range(len(shape))))
    weight = numbers(tuple(shape[i] for i in axes), 1)
    moved = F.transpose(x, tuple(axes))
    np.testing.assert_array_equal(moved.data, np.transpose(x.data, axes))
    flat = F.reshape(moved, (-1,))
    F.sum(flat * weight.reshape(-1)).backward()
    np.testing.assert_allclose(x.grad.data, np.transpose(weight, np.argsort(axes)), **EXACT)


@quick
@given(shape=arrays.array_shapes(min_dims=1, max_dims=3, max_side=4), data=st.data())
def test_concat_undoes_split(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[axis]), max_size=3)))
    x = Variable(numbers(shape, 0))
    parts = F.split(x, cuts, axis=axis)
    for got, want in zip(parts, np.split(x.data, cuts, axis=axis), strict=True):
        np.testing.assert_array_equal(got.data, want)
    y = F.concat(parts, axis=axis)
    np.testing.assert_array_equal(y.data, x.data)
    weight = numbers(shape, 1)
    F.sum(y * y * weight).backward()
    np.testing.assert_allclose(x.grad.data, 2 * x.data * weight, **EXACT)


# --- indexing -----------------------------------------------------------------------------------


@st.composite
def shape_and_key(draw):
    """A shape and any key that NumPy takes for it."""
    shape = draw(arrays.array_shapes(min_dims=1, max_dims=4, max_side=4))
    kind = draw(st.sampled_from(["basic", "integers", "mask", "mixed"]))
    if kind == "basic":
        return shape, draw(arrays.basic_indices(shape, allow_newaxis=True))
    if kind == "integers":
        return shape, draw(arrays.integer_array_indices(shape))
    if kind == "mask":
        dims = draw(st.integers(1, len(shape)))
        return shape, draw(arrays.arrays(bool, shape[:dims]))
    key = []
    for n in shape[: draw(st.integers(1, len(shape)))]:
        part = draw(st.sampled_from(["slice", "integer", "array", "none"]))
        if part == "slice":
            key.append(draw(st.slices(n)))
        elif part == "integer":
            key.append(draw(st.integers(-n, n - 1)))
        elif part == "array":
            key.append(np.array(draw(st.lists(st.integers(-n, n - 1), min_size=2, max_size=2))))
        else:
            key += [None, draw(st.slices(n))]
    return shape, tuple(key)


many = settings(quick, max_examples=150)


@many
@given(case=shape_and_key())
def test_indexing_is_numpys(case):
    shape, key = case
    x = Variable(numbers(shape, 0))
    y = x[key]
    want = x.data[key]
    assert y.shape == np.shape(want)
    np.testing.assert_array_equal(y.data, want)
    g = numbers(y.shape, 1)
    y.grad = Variable(g)
    y.backward()
    expected = np.zeros(shape)
    np.add.at(expected, key, g)
    np.testing.assert_allclose(x.grad.data, expected, **EXACT)
    assert type(y.data) is np.ndarray


@quick
@given(case=shape_and_key())
def test_second_order_of_indexing(case):
    shape, key = case
    x = Variable(numbers(shape, 0))
    y = x[key]
    F.sum(y * y * y).backward(create_graph=True)
    count = np.zeros(shape)
    np.add.at(count, key, np.ones(y.shape))
    g = x.grad
    np.testing.assert_allclose(g.data, 3 * count * x.data**2, **EXACT)
    x.cleargrad()
    F.sum(g * x).backward()
    np.testing.assert_allclose(x.grad.data, 9 * count * x.data**2, **EXACT)


@quick
@given(shape=arrays.array_shapes(min_dims=1, max_dims=3, max_side=4), data=st.data())
def test_take_and_take_along_axis(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    places = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5)))
    x = Variable(numbers(shape, 0))
    y = F.take(x, places, axis=axis)
    np.testing.assert_array_equal(y.data, np.take(x.data, places, axis=axis))
    g = numbers(y.shape, 1)
    y.grad = Variable(g)
    y.backward()
    expected = np.moveaxis(np.zeros(shape), axis, 0).copy()
    np.add.at(expected, places, np.moveaxis(g, axis, 0))
    np.testing.assert_allclose(x.grad.data, np.moveaxis(expected, 0, axis), **EXACT)

    order = np.argsort(numbers(shape, 2), axis=axis)
    x.cleargrad()
    z = F.take_along_axis(x, order, axis=axis)
    np.testing.assert_array_equal(z.data, np.take_along_axis(x.data, order, axis=axis))
    weight = numbers(shape, 3)
    F.sum(z * weight).backward()
    expected = np.zeros(shape)
    np.put_along_axis(expected, order, weight, axis=axis)
    np.testing.assert_allclose(x.grad.data, expected, **EXACT)


# --- random graphs ------------------------------------------------------------------------------


class Mixed(Function):
    """Two inputs, two outputs, in the style of users."""

    def forward(self, a, b):
        return np.tanh(a) * b, a - b

    def backward(self, gp, gd):
        a, b = self.inputs
        t = F.tanh(a)
        return gp * b * (1.0 - t * t) + gd, gp * t - gd


def product(a, b):
    """A value that is not larger than ``b``, and its slopes."""
    t = math.tanh(a)
    return t * b, b * (1 - t * t), t


# Each makes new values of existing ones: on Variables, and (value, slopes) on numbers. Values grow
# by sums only, so none overflows.
STEPS = {
    "add": (2, lambda a, b: [a + b], lambda a, b: [(a + b, 1.0, 1.0)]),
    "subtract": (2, lambda a, b: [a - b], lambda a, b: [(a - b, 1.0, -1.0)]),
    "multiply": (2, lambda a, b: [F.tanh(a) * b], lambda a, b: [product(a, b)]),
    "reflected": (1, lambda a: [2.0 - a], lambda a: [(2.0 - a, -1.0)]),
    "halve": (1, lambda a: [a * 0.5], lambda a: [(a * 0.5, 0.5)]),
    "sin": (1, lambda a: [F.sin(a)], lambda a: [(math.sin(a), math.cos(a))]),
    "tanh": (1, lambda a: [F.tanh(a)], lambda a: [(math.tanh(a), 1 - math.tanh(a) ** 2)]),
    "bell": (1, lambda a: [F.exp(-a * a)], lambda a: [(v := math.exp(-a * a), -2 * a * v)]),
    "class": (2, lambda a, b: Mixed()(a, b), lambda a, b: [product(a, b), (a - b, 1.0, -1.0)]),
    "stack": (
        2,
        lambda a, b: F.unstack(F.stack([a, b])),
        lambda a, b: [(a, 1.0, 0.0), (b, 0.0, 1.0)],
    ),
    "detach": (1, lambda a: [a.detach() + a * 0.0], lambda a: [(a, 0.0)]),
}


@st.composite
def graphs(draw):
    """Steps, each with a name and the places of its operands among all values made before."""
    count = leaves = draw(st.integers(1, 3))
    steps = []
    for _ in range(draw(st.integers(1, 25))):
        name = draw(st.sampled_from(sorted(STEPS)))
        arity = STEPS[name][0]
        steps.append((name, [draw(st.integers(0, count - 1)) for _ in range(arity)]))
        count += 2 if name in ("class", "stack") else 1
    return leaves, steps, draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=3))


def reference(leaves, steps, ends):
    """The sum of the values at ``ends``, and its gradients, by forward tangents of all leaves."""
    start = numbers(leaves, 7)
    values = [float(v) for v in start]
    tangents = [np.eye(leaves)[i] for i in range(leaves)]
    for name, places in steps:
        for value, *slopes in STEPS[name][2](*[values[i] for i in places]):
            tangents.append(sum(s * tangents[i] for s, i in zip(slopes, places, strict=True)))
            values.append(value)
    return start, sum(values[i] for i in ends), sum(tangents[i] for i in ends)


def built(start, steps, ends):
    values = [Variable(np.array(v)) for v in start]
    leaves = values[:]
    for name, places in steps:
        values += STEPS[name][1](*[values[i] for i in places])
    y = values[ends[0]] * 1.0
    for i in ends[1:]:
        y = y + values[i]
    return leaves, y


def gradients(leaves):
    return np.array([0.0 if v.grad is None else float(v.grad.data) for v in leaves])


@many
@given(graph=graphs(), create_graph=st.booleans(), retain_grad=st.booleans())
def test_random_graph(graph, create_graph, retain_grad):
    start, value, slopes = reference(*graph)
    leaves, y = built(start, *graph[1:])
    assert float(y.data) == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)
    y.backward(create_graph=create_graph, retain_grad=retain_grad)
    scale = 1e-9 * max(1.0, float(np.max(np.abs(slopes))))
    np.testing.assert_allclose(gradients(leaves), slopes, rtol=1e-7, atol=scale)


@quick
@given(graph=graphs())
def test_random_graph_swept_twice(graph):
    start, _, slopes = reference(*graph)
    leaves, y = built(start, *graph[1:])
    y.backward(retain_graph=True)
    once = gradients(leaves)
    y.backward()
    np.testing.assert_allclose(gradients(leaves), 2 * once, rtol=1e-12)
    np.testing.assert_allclose(
        once, slopes, rtol=1e-7, atol=1e-9 * max(1.0, float(np.max(np.abs(slopes))))
    )


@quick
@given(graph=graphs())
def test_second_order_of_random_graphs(graph):
    start, _, slopes = reference(*graph)
    count, steps, ends = graph
    if any(name == "detach" for name, _ in steps) or np.max(np.abs(slopes)) > 100:
        return
    leaves, y = built(start, steps, ends)
    y.backward(create_graph=True)
    total = sum((v.grad for v in leaves if v.grad is not None), Variable(np.array(0.0)))
    for v in leaves:
        v.cleargrad()
    total.backward()
    step = 1e-5
    for i in range(count):
        ends_of_step = []
        for sign in (1.0, -1.0):
            moved = start.copy()
            moved[i] += sign * step
            others, z = built(moved, steps, ends)
            z.backward()
            ends_of_step.append(gradients(others).sum())
        slope = (ends_of_step[0] - ends_of_step[1]) / (2 * step)
        got = 0.0 if leaves[i].grad is None else float(leaves[i].grad.data)
        size = max(1.0, *map(abs, ends_of_step), abs(slope))
        assert got == pytest.approx(slope, rel=1e-3, abs=1e-4 * size)
