"""Activation functions: against PyTorch, on large arrays, at edges, bad operands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import dezero.functions as F
from dezero import Variable
from dezero.backends import numpy_neural
from dezero.primitive import ops
from dezero.testing import check_gradients

SPREAD = np.random.default_rng(0).normal(size=(4, 6)) * 2.5

PAIRS: dict[str, tuple[Any, Any]] = {
    "relu": (F.relu, lambda n, x: n.relu(x)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), lambda n, x: n.leaky_relu(x, 0.1)),
    "elu": (lambda x: F.elu(x, 0.7), lambda n, x: n.elu(x, 0.7)),
    "selu": (F.selu, lambda n, x: n.selu(x)),
    "celu": (lambda x: F.celu(x, 0.5), lambda n, x: n.celu(x, 0.5)),
    "gelu": (F.gelu, lambda n, x: n.gelu(x)),
    "gelu-tanh": (lambda x: F.gelu(x, "tanh"), lambda n, x: n.gelu(x, approximate="tanh")),
    "silu": (F.silu, lambda n, x: n.silu(x)),
    "swish": (F.swish, lambda n, x: n.silu(x)),
    "mish": (F.mish, lambda n, x: n.mish(x)),
    "softplus": (F.softplus, lambda n, x: n.softplus(x)),
    "softplus-beta": (lambda x: F.softplus(x, 2.0, 3.0), lambda n, x: n.softplus(x, 2.0, 3.0)),
    "softsign": (F.softsign, lambda n, x: n.softsign(x)),
    # PyTorch's own kernel has a sixth in single precision.
    "hard_sigmoid": (F.hard_sigmoid, lambda n, x: n.relu6(x + 3) / 6),
    "hard_tanh": (lambda x: F.hard_tanh(x, -2.0, 0.5), lambda n, x: n.hardtanh(x, -2.0, 0.5)),
    "hard_swish": (F.hard_swish, lambda n, x: n.hardswish(x)),
    "relu6": (F.relu6, lambda n, x: n.relu6(x)),
    "glu": (F.glu, lambda n, x: n.glu(x)),
    "glu-first": (lambda x: F.glu(x, 0), lambda n, x: n.glu(x, 0)),
    "tanhshrink": (F.tanhshrink, lambda n, x: n.tanhshrink(x)),
    "softshrink": (F.softshrink, lambda n, x: n.softshrink(x)),
    "hardshrink": (F.hardshrink, lambda n, x: n.hardshrink(x)),
    "log_sigmoid": (F.log_sigmoid, lambda n, x: n.logsigmoid(x)),
    "sigmoid": (F.sigmoid_simple, lambda n, x: n.sigmoid(x)),
    "softmax": (F.softmax_simple, lambda n, x: n.softmax(x, 1)),
    "softmin": (F.softmin, lambda n, x: n.softmin(x, 1)),
    "log_softmax": (lambda x: F.log_softmax(x, axis=0), lambda n, x: n.log_softmax(x, 0)),
}


def torch_or_skip() -> Any:
    return pytest.importorskip("torch", reason="agreement with PyTorch is tested where it is there")


@pytest.mark.parametrize("name", PAIRS)
def test_as_pytorch(name):
    torch = torch_or_skip()
    ours, theirs = PAIRS[name]
    x, z = Variable(SPREAD), torch.tensor(SPREAD, requires_grad=True)
    y, want = ours(x), theirs(torch.nn.functional, z)
    F.sum(y * y).backward()
    want.square().sum().backward()
    np.testing.assert_allclose(y.data, want.detach().numpy(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(x.grad.data, z.grad.numpy(), rtol=1e-10, atol=1e-10)


def test_prelu_as_pytorch():
    torch = torch_or_skip()
    slopes = np.linspace(0.1, 0.9, 6)
    for w in (slopes, slopes[:1]):
        ours = Variable(SPREAD), Variable(w)
        theirs = [torch.tensor(v, requires_grad=True) for v in (SPREAD, w)]
        y, want = F.prelu(*ours), torch.nn.functional.prelu(*theirs)
        F.sum(y * y).backward()
        want.square().sum().backward()
        for a, b in zip(ours, theirs, strict=True):
            assert a.grad.shape == tuple(b.shape)
            np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-10)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("block", [1 << 16, 5000])
def test_large_arrays_are_as_small_ones(name, block, monkeypatch):
    """NumPy takes them in blocks: both passes, in both precisions, also of arrays with strides."""
    monkeypatch.setattr(numpy_neural, "_BLOCK", block)
    function = PAIRS[name][0]
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6, 12000)) * 3
    small = [Variable(part.copy()) for part in np.split(x, 6, axis=1)]
    if name in ("glu", "softmax", "softmin"):  # along the rows
        small = [Variable(row[None]) for row in x]
    axis = 0 if name in ("glu", "softmax", "softmin") else 1
    parts = [function(v) for v in small]
    for y in parts:
        F.sum(y * y).backward()
    want = np.concatenate([y.data for y in parts], axis)
    slope = np.concatenate([v.grad.data for v in small], axis)
    for given, rtol in ((x, 1e-12), (np.asfortranarray(x), 1e-12), (x.astype(np.float32), 2e-4)):
        v = Variable(given)
        y = function(v)
        F.sum(y * y).backward()
        assert y.dtype == v.grad.dtype == given.dtype
        np.testing.assert_allclose(y.data, want, rtol=rtol, atol=rtol * 1e-2)
        np.testing.assert_allclose(v.grad.data, slope, rtol=rtol, atol=rtol * 1e-1)


@pytest.mark.only_paths("shipped", "short", reason="about the kernel's rounding")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "width"), [(3000, 10), (900, 64), (40, 1000)])
@pytest.mark.parametrize("scale", [1.0, 20.0, 3000.0])
def test_rounding_of_softmax(rows, width, dtype, scale, monkeypatch):
    """The largest number of a row is subtracted only where it must be; both ways are as exact."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((rows, width)) * scale).astype(dtype)
    x[1] -= dtype(200.0)  # whose exponentials vanish, or nearly so
    x[2] += dtype(80.0)
    x[3, 1:] = -np.inf
    z = x.astype(np.longdouble)
    z = z - z.max(1, keepdims=True)
    p = np.exp(z)
    want = p / p.sum(1, keepdims=True)
    logarithm = z - np.log(p.sum(1, keepdims=True))
    eps, functions = np.finfo(dtype).eps, (F.softmax, ops["masked_softmax"])
    for forced in (False, True):
        if forced:
            monkeypatch.setattr(numpy_neural, "_tame", lambda sums: False)
        size = np.maximum(np.abs(x[np.isfinite(x)]).max(), 4.0)
        for function in functions:
            y = function(x).data
            assert y.dtype == dtype
            assert np.all(np.abs(y - want) <= 8 * eps * size * want + np.finfo(dtype).tiny)
            np.testing.assert_array_equal(function(np.asfortranarray(x)).data, y)
        y, there = F.log_softmax(x).data, np.isfinite(x)
        error = np.abs(y[there] - logarithm[there])
        assert np.all(error <= 8 * eps * (size + np.abs(y[there])))


def test_where_and_only_keep_every_bit():
    """NumPy chooses among many numbers by whole numbers in their place."""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        a, b = rng.normal(size=(2, 50, 100)).astype(dtype)
        a[0, :4] = np.nan, np.inf, -np.inf, -0.0
        b[:, 1] = np.nan
        for condition in (a > b, np.ones(a.shape, bool), np.zeros(a.shape, bool)):
            for c, d, e in ((condition, a, b), (condition.T, a.T, b.T)):
                y = F.where(c, d, e).data
                np.testing.assert_array_equal(y, np.where(c, d, e))
                np.testing.assert_array_equal(np.signbit(y), np.signbit(np.where(c, d, e)))
                y, want = ops["only"](d, c).data, np.where(c, d, dtype(0))
                np.testing.assert_array_equal(y, want)
                np.testing.assert_array_equal(np.signbit(y), np.signbit(want))


@pytest.mark.only_paths("shipped", "short", reason="about the kernel's rounding")
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_rounding_of_gelu(approximate):
    """In single precision, against double: near 0, where it bends, far out, and where x² is inf."""
    x = np.concatenate([np.linspace(-9, 9, 20_001), np.geomspace(1e-38, 1e38, 1001)])
    x = np.concatenate([x, -x, [0.0, 1e-45]]).astype(np.float32)
    results = []
    for given in (x, x.astype(float)):
        v = Variable(given)
        y = F.gelu(v, approximate)
        y.backward()
        assert y.dtype == v.grad.dtype == given.dtype
        results.append((y.data, v.grad.data))
    size = np.minimum(np.abs(x), 2.0)
    for got, want, most in zip(*results, (6e-7, 1.5e-6), strict=True):
        assert np.all(np.abs(got - want) <= most * (np.abs(want) + size) + 1e-37)
    assert abs(results[0][1][-1] - 0.5) < 1e-6


def test_error_function_in_single_precision():
    x = np.linspace(-7, 7, 100_001).astype(np.float32)
    want = scipy.special.erf(x.astype(float))
    assert np.abs(F.erf(x).data - want).max() < 5e-7
    np.testing.assert_array_equal(F.erf(np.array([np.inf, -np.inf], np.float32)).data, [1, -1])
    np.testing.assert_array_equal(F.gelu(np.array([-40, 40], np.float32)).data, [0, 40])
    assert np.isnan(F.gelu(np.array([np.nan], np.float32)).data).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_far_out(dtype):
    x = np.array([-80.0, -20.0, 0.0, 20.0, 800.0, np.inf], dtype)
    want = np.logaddexp(0, x.astype(float))
    np.testing.assert_allclose(F.softplus(x).data, want, rtol=4 * np.finfo(dtype).eps)


def test_relu_lets_nothing_through_where_it_is_closed():
    """Not even an infinite gradient."""
    for n in (2, 2000):
        x = Variable(np.tile([-1.0, 2.0], n))
        y = F.relu(x)
        y.grad = Variable(np.tile([np.inf, 3.0], n))
        y.backward()
        np.testing.assert_array_equal(x.grad.data, np.tile([0.0, 3.0], n))


def test_where_of_many_numbers():
    """NumPy chooses them by their bits: signs of zeros and NaN stay."""
    rng = np.random.default_rng(0)
    condition = rng.random(50_000) < 0.5
    for dtype in (np.float32, np.float64):
        a = rng.normal(size=50_000).astype(dtype)
        b = np.where(rng.random(50_000) < 0.3, np.nan, -0.0).astype(dtype)
        got, want = F.where(condition, a, b).data, np.where(condition, a, b)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


def test_maxout(lane):
    x = lane.variable(np.array([[1.0, 5.0, 2.0, -1.0], [0.0, -2.0, 3.0, 4.0]]))
    y = F.maxout(x, 2)
    np.testing.assert_array_equal(lane.numpy(y), [[5.0, 2.0], [0.0, 4.0]])
    F.sum(y).backward()
    np.testing.assert_array_equal(lane.numpy(x.grad), [[0, 1, 1, 0], [1, 0, 0, 1]])
    check_gradients(lambda x: F.maxout(x, 3, axis=-1), SPREAD)


def test_integers_become_floating_numbers(lane):
    if lane.name == "dask":
        pytest.skip("the dtype of its results is not the library's own")
    x = lane.array(np.array([[1, 2, 3]]))
    for function in (F.softmax, F.log_softmax, F.leaky_relu, F.sigmoid, F.gelu, F.elu, F.silu):
        y = function(x)
        assert "float" in lane.dtype(y)
        assert y.shape == (1, 3)


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "softmax": (lambda: F.softmax(np.ones(3)), IndexError, "softmax: axis 1.*1 dim"),
    "log_softmax": (lambda: F.log_softmax(np.ones(3)), IndexError, "log_softmax: axis 1"),
    "glu": (lambda: F.glu(np.ones((2, 3))), ValueError, r"glu.*\(2, 3\).*axis 1.*even"),
    "maxout": (lambda: F.maxout(np.ones((2, 3)), 2), ValueError, r"maxout.*\(2, 3\).*size 2"),
    "prelu": (lambda: F.prelu(np.ones((2, 3)), np.ones(2)), ValueError, r"prelu.*\(2,\)"),
    "celu": (lambda: F.celu(np.ones(2), 0.0), ValueError, "celu: alpha is 0.0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_operands(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_gelu_in_half_precision(library, approximate):
    torch = torch_or_skip()
    x = np.array([4, 5, 2.5, -2.5, 0, 300, -300, 60000, 1e-4, -20], np.float16)
    z = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    want = torch.nn.functional.gelu(z, approximate=approximate)
    (slope,) = torch.autograd.grad(want.sum(), z, create_graph=True)
    v = Variable(x if library == "numpy" else torch.tensor(x))
    y = F.gelu(v, approximate)
    y.backward(create_graph=True)
    first = v.grad
    v.cleargrad()
    F.sum(first * 1.0).backward()
    for got, expected in (y, want), (first, slope):
        assert str(got.dtype).endswith("float16")
        got, expected = np.asarray(got.data, np.float64), expected.detach().numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)
    assert np.isfinite(np.asarray(v.grad.data)).all()
    np.testing.assert_allclose(np.asarray(v.grad.data)[4], 2 / np.sqrt(2 * np.pi), rtol=2e-3)


@pytest.mark.only_paths("shipped", "short", reason="about the kernel's rounding")
def test_erf_in_half_precision_and_gelu_of_huge_numbers():
    x = np.linspace(-6, 6, 101).astype(np.float16)
    want = F.erf(x.astype(np.float64)).data
    np.testing.assert_allclose(F.erf(x).data.astype(np.float64), want, rtol=1e-3, atol=1e-3)
    for dtype, size in (np.float32, 1e30), (np.float64, 1e200):
        v = Variable(np.array([size, -size], dtype))
        F.sum(F.gelu(v, "tanh")).backward()
        np.testing.assert_array_equal(v.grad.data, [1, 0])
