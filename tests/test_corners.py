"""Corners where a derivative was once wrong, each with its value known."""

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, grad
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
