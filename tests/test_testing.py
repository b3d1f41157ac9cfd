"""The checks of derivatives: right ones pass, each kind of wrong one is found, with figures."""

from __future__ import annotations

import numpy as np
import pytest

import dezero.functions as F
from dezero import Function, Parameter, Variable, random
from dezero.primitive import primitive
from dezero.testing import check_gradients, numerical_grad


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


class Cube(Function):
    def forward(self, x):
        return x**3

    def backward(self, gy):
        (x,) = self.inputs
        return 3.0 * x * x * gy


class TooSmall(Cube):
    def backward(self, gy):
        (x,) = self.inputs
        return 2.0 * x * x * gy


class FirstOrderOnly(Cube):
    """Right, but the operand is a constant in it: the second derivative vanishes."""

    def backward(self, gy):
        (x,) = self.inputs
        return 3.0 * x.data**2 * gy


class OneElement(Cube):
    def backward(self, gy):
        g = super().backward(gy)
        return g * np.array([1.0, 1.0, 1.0, 1.001])


class Nothing(Cube):
    def backward(self, gy):
        return None


class NotANumber(Cube):
    def backward(self, gy):
        return super().backward(gy) * np.nan


def test_right_derivatives_pass(lane):
    if lane.name == "dask":
        pytest.skip("dask computes the same graph over and over here")
    x, w = lane.array(normal(3, 4)), lane.array(normal(4, 2, seed=1))
    check_gradients(lambda x, w: F.tanh(F.matmul(x, w)), x, w)
    check_gradients(lambda x: Cube()(x), x, order=3)
    z = lane.array(normal(3) + 1j * normal(3, seed=1))
    check_gradients(lambda z, x: F.exp(z) * F.sum(x), z, x)
    check_gradients(F.abs, z)


@pytest.mark.parametrize("wrong", [TooSmall, OneElement, NotANumber])
@pytest.mark.parametrize("order", [1, 2])
def test_wrong_first_derivatives_are_found(wrong, order):
    with pytest.raises(AssertionError, match=r"order 1, argument 0, float64\[4\]"):
        check_gradients(wrong(), np.arange(1.0, 5.0), order=order)


def test_a_missing_second_derivative_is_found():
    check_gradients(FirstOrderOnly(), normal(4), order=1)
    with pytest.raises(AssertionError, match=r"order 2, argument 0"):
        check_gradients(FirstOrderOnly(), normal(4))


def test_a_gradient_that_never_comes_is_found():
    with pytest.raises(AssertionError, match=r"analytic 0,.*relative error 1\n"):
        check_gradients(Nothing(), normal(4))


@primitive(lambda xp, g, x: g * (2.0 if isinstance(g, Variable) else 1.0) * xp.cos(x))
def odd_sine(xp, x):
    """A rule that depends on the sweep."""
    return xp.sin(x)


def test_sweeps_that_differ_are_found():
    figures = r"order 1.*\n.*sweeps differ at element \d: raw .*, recorded"
    with pytest.raises(AssertionError, match=figures):
        check_gradients(odd_sine, normal(4))


def test_the_message_has_the_figures():
    with pytest.raises(AssertionError) as caught:
        check_gradients(
            lambda d: TooSmall()(d["w"][0]), {"w": [np.array([2.0])]}, seed=5, step=1e-4
        )
    text = str(caught.value)
    v = np.random.default_rng([5, 2**32 - 1]).normal()
    u = np.random.default_rng([5, 0]).normal()
    assert f"analytic {8 * u * v:.6g}" in text
    assert f"numeric {12 * u * v:.6g}"[:14] in text
    assert "relative error 0.333" in text
    assert "order 1, argument 0['w'][0], float64[1]" in text
    assert "step 0.0001, seed 5, rtol 1e-05, atol 1e-07" in text


def test_a_difference_that_is_no_number_is_found():
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match="numeric nan"):
        check_gradients(F.log, np.array([0.0]) + 1e-9, order=1)


def test_which_argument():
    f = lambda a, b, n: a * TooSmall()(b) * n  # noqa: E731
    with pytest.raises(AssertionError, match="order 1, argument 1"):
        check_gradients(f, normal(3), normal(3), 2)


def test_tolerances():
    f = lambda x: OneElement()(x)  # noqa: E731
    check_gradients(f, np.arange(1.0, 5.0), order=1, rtol=1e-2)
    check_gradients(f, np.arange(1.0, 5.0), order=1, atol=1.0)


def test_arguments_stay_as_they_are():
    x, w = normal(3), Parameter(normal(3).astype(np.float32))
    closure = Parameter(normal(3))
    kept = x.copy(), w.data.copy()
    n = np.arange(3)
    check_gradients(lambda x, w, n, name: x * w * closure * x[n], x, w, n, "name", order=3)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(w.data, kept[1])
    assert w.dtype == np.float32
    assert w.grad is None
    assert closure.grad is None
    with pytest.raises(AssertionError):
        check_gradients(lambda x, w: TooSmall()(x) * w, x, w)
    np.testing.assert_array_equal(x, kept[0])
    assert w.grad is None


def test_float32_is_computed_in_float64():
    seen = set()

    def f(x):
        seen.add(str(x.dtype))
        return F.exp(x)

    check_gradients(f, normal(3).astype(np.float32))
    assert seen == {"float64"}
    w = Parameter(np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"the output of f is float32, differences need float64"):
        check_gradients(lambda x: F.astype(x, np.float32) * w, normal(3))


def test_jax_without_float64_gets_advice():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    try:
        x = jax.numpy.ones(2)
        with pytest.warns(UserWarning, match="float64"), pytest.raises(ValueError, match="x64"):
            check_gradients(F.sin, x)
    finally:
        jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("seed", [None, 1])
def test_random_functions_see_the_same_numbers(seed):
    try:
        random.seed(seed)
        np.random.seed(0)
        check_gradients(lambda x: F.dropout(x * x, 0.5) * np.random.normal(), normal(5))
        got = np.random.random(), random.uniform((2,))
        random.seed(seed)
        np.random.seed(0)
        assert got[0] == np.random.random()
        np.testing.assert_array_equal(got[1], random.uniform((2,)))
    finally:
        random.seed(None)


def test_what_cannot_be_checked():
    with pytest.raises(TypeError, match="no argument has a floating-point dtype"):
        check_gradients(lambda n: n, np.arange(3), 5)
    with pytest.raises(TypeError, match=r"the output of f is <class 'numpy.ndarray'>"):
        check_gradients(lambda x: x.data, normal(3))
    with pytest.raises(TypeError, match="int64"):
        check_gradients(F.argmax, normal(3))


def test_numerical_grad(lane):
    x = lane.array(normal(2, 3))
    kept = lane.numpy(x).copy()
    g = numerical_grad(lambda x, k: F.sin(x) * k, x, 3.0)
    np.testing.assert_allclose(lane.numpy(g), 3.0 * np.cos(kept), rtol=1e-8)
    np.testing.assert_array_equal(lane.numpy(x), kept)
    assert type(g) is type(x)


def test_numerical_grad_of_scalars_and_complex_numbers():
    assert abs(float(numerical_grad(lambda x: x * x, Variable(np.array(3.0)))) - 6.0) < 1e-6
    f = lambda z: F.real(z * F.conj(z)) + 3.0 * F.imag(z)  # noqa: E731
    np.testing.assert_allclose(numerical_grad(f, np.array([1 + 2j])), [2 + 7j], rtol=1e-6)
