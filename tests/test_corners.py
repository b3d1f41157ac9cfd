"""Corners where a derivative was once wrong, each with its value known."""

from functools import partial

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, grad
from dezero.primitive import elementwise, primitive, variadic
from dezero.testing import check_gradients


@pytest.mark.parametrize(
    "n", [np.array(2.0), np.array(2), np.float32(2), np.array([2, 2]), np.array([2.0, 2.0])]
)
def test_second_derivative_of_a_square_at_zero(n):
    x = Variable(np.array([0.0, 3.0]))
    F.sum(x**n).backward(create_graph=True)
    g, x.grad = x.grad, None
    F.sum(g).backward()
    np.testing.assert_allclose(x.grad.data, [2.0, 2.0])


def test_powers_below_one_at_zero():
    x, n = Variable(np.array([0.0, 0.0, 4.0])), np.array([0.5, 0.0, 0.5])
    with np.errstate(divide="ignore"):
        F.sum(x**n).backward()
    np.testing.assert_allclose(x.grad.data, [np.inf, 0.0, 0.25])
    x.cleargrad()
    F.sum(F.where(x > 0, x**n, 0.0)).backward()
    np.testing.assert_allclose(x.grad.data, [0.0, 0.0, 0.25])


def test_complex_powers():
    z = np.array([0.5 + 1j, -2.0 - 0.25j])
    check_gradients(lambda z: F.sum(F.real(z ** (1 + 2j))), z)
    check_gradients(lambda z, w: F.sum(F.real(z**w)), z, np.array([2.0 - 1j, 0.5 + 0j]))


@pytest.mark.parametrize("include_initial", [False, True])
def test_cumulative_product_with_infinity(include_initial):
    y = F.cumulative_prod(Variable(np.array([np.inf, 2.0])), include_initial=include_initial)
    np.testing.assert_array_equal(y.data, [1.0, np.inf, np.inf][not include_initial :])


def test_cumulative_sum_of_rank_0():
    with pytest.raises(ValueError, match=r"cumulative_sum: .*rank 0"):
        F.cumulative_sum(Variable(np.array(1.0)))


def test_clip_with_bounds_that_cross():
    x, low, high = (Variable(np.array(v)) for v in ([0.0, 1.5, 3.0], [2.0] * 3, [1.0] * 3))
    y = F.clip(x, low, high)
    np.testing.assert_array_equal(y.data, high.data)
    F.sum(y).backward()
    np.testing.assert_array_equal(high.grad.data, [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(low.grad.data, [0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (F.matmul, [(5, 2, 0), (0, 4)]),
        (F.matmul, [(0, 2, 3), (3, 4)]),
        (F.linear, [(2, 5, 0), (0, 4), (4,)]),
        (F.linear, [(0, 3), (3, 0)]),
        (lambda a, b: F.einsum("...i,i->...", a, b), [(0, 3), (3,)]),
        (lambda a, b: F.einsum("...i,...i->...", a, b), [(0, 3), (1, 3)]),
    ],
)
def test_products_with_a_length_of_zero(function, shapes):
    arrays = [np.ones(shape) for shape in shapes]
    gradients = grad(lambda *xs: F.sum(function(*xs)), argnums=tuple(range(len(shapes))))(*arrays)
    for g, shape in zip(gradients, shapes, strict=True):
        assert g.shape == shape
        assert shape == (4,) or not g.data.any()


@pytest.mark.parametrize("name", ["torch", "jax"])
@pytest.mark.parametrize("device", ["cuda:7", "nowhere"])
def test_a_device_that_is_not_there(name, device):
    pytest.importorskip(name)
    x = Variable(np.ones(2))
    with pytest.raises(RuntimeError, match=f"{name} has no device '{device}' here, only cpu"):
        x.to(f"{name}:{device}")
    assert isinstance(x.data, np.ndarray)


def test_rules_with_any_operator():
    @elementwise(lambda xp, g, x: xp.where((x > 0) & ~(x > 1), g, 0.0 * g))
    def inside(xp, x):
        return xp.where((x > 0) & (x < 1) | (x == 1), x, 0.0 * x)

    x = Variable(np.array([-1.0, 0.5, 2.0]))
    F.sum(inside(x)).backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 1.0, 0.0])


def test_complex_outputs_of_one_function():
    @primitive(lambda xp, g, x: g[0] * 2.0 * x + g[1] * xp.cos(x), several=True)
    def both(xp, x):
        return x * x, xp.sin(x)

    z = np.array([0.5 + 1j, -2.0 - 0.25j])
    check_gradients(lambda z: F.sum(F.real(both(z)[0] * 1j + both(z)[1])), z)


def test_cumulative_product_of_small_integers():
    x = np.array([100, 16], np.int8)
    np.testing.assert_array_equal(F.cumulative_prod(Variable(x)).data, [100, 1600])


def test_numbers_beside_single_precision():
    x = np.ones(3, np.float32)
    assert F.einsum(",i->i", 2.0, x).dtype == np.float32
    with pytest.raises(TypeError, match="mean_squared_error: expected two arrays"):
        F.mean_squared_error(Variable(x), 2.0)
    with pytest.raises(TypeError, match="einsum: the subscripts come first"):
        F.einsum(x, "i->")


@pytest.mark.parametrize(
    "data", [np.ma.ones(2), np.zeros(2, [("a", float)]), np.ones(2).view(np.recarray)]
)
def test_arrays_with_other_meanings_are_refused(data):
    if isinstance(data, np.recarray):
        assert Variable(data).shape == (2,)
        return
    with pytest.raises(TypeError, match="not supported"):
        Variable(data)


def test_the_arrays_of_concat_are_one_sequence():
    x = Variable(np.ones(2))
    with pytest.raises(TypeError, match=r"concat: the arrays go in as one sequence"):
        F.concat(x, x)


def test_index_and_gradient_of_another_library():
    torch = pytest.importorskip("torch")
    x = Variable(np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match=r"get_item: .*numpy on cpu and torch on cpu"):
        x[torch.tensor([0])]
    y = x * 2.0
    x.grad = Variable(torch.ones(2), requires_grad=False)
    with pytest.raises(TypeError, match="torch on cpu and numpy on cpu"):
        F.sum(y).backward()


def test_torch_keeps_single_precision_beside_a_double_of_rank_0():
    torch = pytest.importorskip("torch")
    for function in (F.pow, F.remainder, F.multiply):
        a = Variable(torch.tensor(2.5, dtype=torch.float64))
        b = Variable(torch.tensor([1.5, 2.0, 3.5]))
        for create_graph in (False, True):
            a.cleargrad(), b.cleargrad()
            F.sum(function(a, b)).backward(create_graph=create_graph)
            assert (a.grad.dtype, b.grad.dtype) == (torch.float64, torch.float32)


def test_size_is_a_number_in_every_library(lane):
    assert Variable(lane.array(np.ones((2, 3)))).size == 6
    assert Variable(lane.array(np.array(3.0))).size == 1
    assert bool(Variable(lane.array(np.array(3.0))) > 2.0)


def test_tensordot_with_a_number_stays_in_single_precision():
    assert F.tensordot(Variable(np.ones(3, np.float32)), 2.0, 0).dtype == np.float32


def test_a_variable_where_there_is_no_rule():
    @elementwise(lambda xp, g, factor: g * factor)
    def scaled(xp, x, factor=1.0):
        return x * factor

    with pytest.raises(TypeError, match="scaled: 'factor' has no rule"):
        scaled(Variable(np.ones(2)), factor=Variable(np.ones(2)))


@pytest.mark.parametrize("result", [1.0, None])
def test_a_rule_that_gives_no_array(result):
    @elementwise(lambda xp, g: result)
    def odd(xp, x):
        return x * 1.0

    with pytest.raises(TypeError, match=r"odd: the rule for 'x' gave .*expected an array"):
        odd(Variable(np.ones(2))).backward()


def test_rules_and_formulas_that_are_no_functions():
    with pytest.raises(TypeError, match="rule is a function of positional arguments"):
        elementwise(partial(lambda xp, g: g))(lambda xp, x: x)
    with pytest.raises(TypeError, match="rule is a function of positional arguments"):
        elementwise(lambda xp, *, g: g)(lambda xp, x: x)
    with pytest.raises(TypeError, match="was its decorator given its rules"):
        elementwise(lambda xp, x: x)(np.ones(2))


def test_rules_over_sequences_are_checked():
    @variadic(lambda xp, g: [g])
    def total(xp, arrays):
        return sum(arrays)

    @variadic(lambda xp, g, shapes: [xp.sum(g) for _ in shapes])
    def other(xp, arrays):
        return sum(arrays)

    x = Variable(np.ones(2))
    with pytest.raises(ValueError, match="Total: the rule gave 1 gradients, expected 2"):
        total([x, x]).backward()
    with pytest.raises(ValueError, match=r"Other: the rule gave a gradient of shape \(\)"):
        other([x, x]).backward()
