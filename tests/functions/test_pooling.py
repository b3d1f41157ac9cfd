"""Pooling against PyTorch over many geometries, the book's forms, ties, borders, bad sizes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Variable
from dezero.backends import backend_of, numpy_pooling
from dezero.backends.pooling import Pooling, Window

NAMES = {1: "1d", 2: "2d", 3: "3d"}


def geometries(count: int, seed: int) -> list[dict[str, Any]]:
    """Random shapes and windows that fit them."""
    rng = np.random.default_rng(seed)
    found: list[dict[str, Any]] = []
    while len(found) < count:
        dims = int(rng.integers(1, 4))
        kernel = tuple(int(k) for k in rng.integers(1, 5, dims))
        stride = tuple(int(s) for s in rng.integers(1, 5, dims))
        dilation = tuple(int(d) for d in rng.integers(1, 3, dims))
        pad = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        size = tuple(int(n) for n in rng.integers(1, 12 if dims < 3 else 8, dims))
        # Each window meets the array; PyTorch has more to ask in three dimensions.
        rows = list(zip(size, kernel, dilation, pad, strict=True))
        least = (
            all(n >= k for n, k, _, _ in rows) if dims == 3 else all(n >= d for n, _, d, _ in rows)
        )
        if least and all(n + 2 * p >= (k - 1) * d + 1 for n, k, d, p in rows):
            shape = (int(rng.integers(1, 4)), int(rng.integers(1, 4)), *size)
            ceil = bool(rng.integers(2))
            found.append(
                {
                    "shape": shape,
                    "kernel": kernel,
                    "stride": stride,
                    "dilation": dilation,
                    "pad": pad,
                    "ceil": ceil,
                    "seed": len(found),
                }
            )
    return found


def drawn(shape: tuple[int, ...], seed: int, ties: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return np.round(np.maximum(x, 0)) if ties else x


def agree(torch: Any, x: np.ndarray, ours: Any, theirs: Any, seed: int) -> None:
    """Value and gradient of both, and the gradient of a recorded sweep."""
    v, t = Variable(x), torch.tensor(x, requires_grad=True)
    y, z = ours(v), theirs(t)
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=0, atol=1e-10)
    g = np.random.default_rng(seed).normal(size=y.shape)
    (want,) = torch.autograd.grad(z, t, torch.tensor(g))
    for create_graph in (False, True):
        v.cleargrad()
        F.sum(y * g).backward(create_graph=create_graph, retain_graph=True)
        np.testing.assert_allclose(v.grad.data, want.numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("ties", [False, True])
def test_max_pool_is_pytorchs(torch, ties):
    for c in geometries(80, seed=1):
        theirs = getattr(torch.nn.functional, "max_pool" + NAMES[len(c["kernel"])])
        agree(
            torch,
            drawn(c["shape"], c["seed"], ties),
            lambda x, c=c: F.max_pool(
                x, c["kernel"], c["stride"], c["pad"], dilation=c["dilation"], ceil_mode=c["ceil"]
            ),
            lambda x, c=c, f=theirs: f(
                x, c["kernel"], c["stride"], c["pad"], c["dilation"], c["ceil"]
            ),
            c["seed"],
        )


@pytest.mark.parametrize("count_include_pad", [True, False])
def test_average_pool_is_pytorchs(torch, count_include_pad):
    for c in geometries(80, seed=2):
        if any(
            n + 2 * p < k for n, p, k in zip(c["shape"][2:], c["pad"], c["kernel"], strict=True)
        ):
            continue
        theirs = getattr(torch.nn.functional, "avg_pool" + NAMES[len(c["kernel"])])
        agree(
            torch,
            drawn(c["shape"], c["seed"]),
            lambda x, c=c: F.average_pool(
                x,
                c["kernel"],
                c["stride"],
                c["pad"],
                ceil_mode=c["ceil"],
                count_include_pad=count_include_pad,
            ),
            lambda x, c=c, f=theirs: f(
                x, c["kernel"], c["stride"], c["pad"], c["ceil"], count_include_pad
            ),
            c["seed"],
        )


@pytest.mark.parametrize("kind", ["max", "average"])
def test_adaptive_pools_are_pytorchs(torch, kind):
    rng = np.random.default_rng(3)
    for seed in range(60):
        dims = seed % 3 + 1
        size = tuple(int(n) for n in rng.integers(1, 9, dims))
        out = tuple(int(n) for n in rng.integers(1, 9, dims))
        name = f"adaptive_{'max' if kind == 'max' else 'avg'}_pool{NAMES[dims]}"
        agree(
            torch,
            drawn((2, 3, *size), seed, ties=kind == "max" and seed % 2 == 0),
            lambda x, out=out: getattr(F, f"adaptive_{kind}_pool")(x, out),
            lambda x, out=out, name=name: getattr(torch.nn.functional, name)(x, out),
            seed,
        )


@pytest.mark.parametrize(("n", "m"), [(13, 6), (14, 6), (32, 7), (17, 5), (3, 7), (6, 6), (9, 1)])
def test_bins_of_all_lengths_are_gone_over(lane, n, m):
    x = drawn((2, 3, n, 4), n + m)
    bins = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
    halves = [x[..., :2].mean(axis=-1), x[..., 2:].mean(axis=-1)]
    want = np.stack([[h[:, :, a:b].mean(axis=-1) for a, b in bins] for h in halves])
    v = lane.variable(x)
    got = lane.numpy(F.adaptive_average_pool(v, (m, 2)))
    np.testing.assert_allclose(got, want.transpose(2, 3, 1, 0), atol=1e-12)
    got = lane.numpy(F.adaptive_max_pool(v, (m, 4)))
    np.testing.assert_array_equal(
        got, np.stack([x[:, :, a:b].max(axis=2) for a, b in bins], axis=2)
    )


def test_adaptive_pools_keep_a_size_that_is_none():
    x = drawn((1, 2, 4, 5), 0)
    assert F.adaptive_average_pool(x, (2, None)).shape == (1, 2, 2, 5)
    assert F.adaptive_max_pool(x, (None, 3)).shape == (1, 2, 4, 3)


def test_global_pools(lane):
    x = drawn((2, 3, 4, 5), 0)
    v = lane.variable(x)
    mean = F.global_average_pool(v)
    np.testing.assert_allclose(lane.numpy(mean), x.mean(axis=(2, 3), keepdims=True))
    if lane.name == "dask":
        return  # no take_along_axis
    np.testing.assert_array_equal(
        lane.numpy(F.global_max_pool(v)), x.max(axis=(2, 3), keepdims=True)
    )


def test_one_of_equal_maxima_has_the_gradient(lane):
    """The first, in the order of memory, also where windows overlap."""
    for function in (
        lambda x: F.max_pool(x, 3, 2),
        lambda x: F.adaptive_max_pool(x, (2, 2)),
        lambda x: F.adaptive_max_pool(x, (3, 4)) if lane.name != "dask" else F.max_pool(x, 2),
    ):
        x = lane.variable(np.zeros((1, 1, 6, 6)))
        y = function(x)
        F.sum(y).backward()
        g = lane.numpy(x.grad)
        assert g.sum() == lane.numpy(y).size
        assert g[0, 0, 0, 0] == 1.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32, np.uint8])
def test_dtypes_stay(dtype):
    x = np.arange(36).reshape(1, 1, 6, 6).astype(dtype)
    y = F.max_pool(x, 3, 2, 1)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.data[0, 0], [[7, 9, 11], [19, 21, 23], [31, 33, 35]])


def test_infinite_gradients_stay_where_they_are():
    x = Variable(np.arange(16.0).reshape(1, 1, 4, 4))
    y = F.max_pool(x, 2)
    y.grad = Variable(np.array([[[[np.inf, np.nan], [1.0, -np.inf]]]]))
    y.backward()
    want = np.zeros((4, 4))
    want[1, 1], want[1, 3], want[3, 1], want[3, 3] = np.inf, np.nan, 1.0, -np.inf
    np.testing.assert_array_equal(x.grad.data[0, 0], want)


def test_nan_and_minus_infinity():
    x = np.full((1, 1, 4, 4), -np.inf)
    x[0, 0, 0, 1] = np.nan
    y = F.max_pool(x, 2)
    np.testing.assert_array_equal(y.data[0, 0], [[np.nan, -np.inf], [-np.inf, -np.inf]])


def test_layouts_of_memory_and_batches_of_nothing():
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 3)).transpose(0, 3, 1, 2)[:, ::-1]
    for function in (F.max_pool, F.average_pool):
        v, w = Variable(x), Variable(np.ascontiguousarray(x))
        for u in (v, w):
            F.sum(function(u, 2, 1, 1) ** 2).backward()
        np.testing.assert_array_equal(v.grad.data, w.grad.data)
        empty = Variable(np.zeros((0, 3, 4, 4)))
        y = function(empty, 2)
        assert y.shape == (0, 3, 2, 2)
        F.sum(y).backward()
        assert empty.grad.shape == empty.shape


@pytest.mark.only_paths("shipped", "short", reason="about the kernel's memory")
@pytest.mark.parametrize("order", [(0, 2, 3, 1), (1, 2, 3, 0)])
@pytest.mark.parametrize("ties", [False, True])
def test_memory_in_the_order_of_channels_or_images_stays_so(order, ties):
    plain = drawn((3, 4, 7, 6), 0, ties)
    back = tuple(order.index(i) for i in range(4))
    x = np.ascontiguousarray(plain.transpose(order)).transpose(back)
    assert x.strides != plain.strides
    for arguments in ((2,), ((3, 2), (3, 2)), (2, 3), (1, 2)):
        v, w = Variable(x), Variable(plain)
        y, z = F.max_pool(v, *arguments), F.max_pool(w, *arguments)
        np.testing.assert_array_equal(y.data, z.data)
        assert y.data.transpose(order).flags.c_contiguous
        for u in (y, z):
            F.sum(u**2).backward()
        np.testing.assert_array_equal(v.grad.data, w.grad.data)
        assert v.grad.data.transpose(order).flags.c_contiguous


def test_blocks_are_put_together():
    """More elements than one block has, against PyTorch's definition written out."""
    x = np.random.default_rng(0).normal(size=(40, 9, 33, 31)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    v = Variable(x)
    y = F.max_pool(v, 3, 2)
    np.testing.assert_array_equal(y.data, windows.max(axis=(-1, -2)))
    F.sum(y).backward()
    assert v.grad.data.sum() == y.size
    np.testing.assert_allclose(F.average_pool(x, 3, 2).data, windows.mean(axis=(-1, -2)), atol=1e-6)


@pytest.mark.only_paths("shipped", "short", reason="about what the kernel keeps")
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (1, 2, 3, 0)])
@pytest.mark.parametrize("special", [None, np.nan, -np.inf])
def test_the_forward_pass_knows_where_the_maxima_are(monkeypatch, order, special):
    """With what it keeps the gradient is the one that the array alone gives, block by block."""
    xp, back = backend_of(np.empty(0)), tuple(order.index(i) for i in range(4))
    plain = drawn((5, 3, 11, 8), 0, ties=True).astype(np.float32)
    if special is not None:
        plain[np.random.default_rng(1).random(plain.shape) < 0.2] = special
    x = np.ascontiguousarray(plain.transpose(order)).transpose(back)
    for size, stride, before in ((2, 2, 0), (3, 3, 0), (3, 2, 1), (3, 1, 1), (1, 2, 0), (2, 3, 0)):
        windows = tuple(
            Window(size, stride, 1, before, (n + 2 * before - size) // stride + 1)
            for n in x.shape[2:]
        )
        g = drawn((5, 3, *(w.stops for w in windows)), 2).astype(np.float32)
        alone, y = xp.pool_max_spread(g, x, windows), xp.pool_max(x, windows)
        for block in (1 << 19, 100):
            monkeypatch.setattr(numpy_pooling, "_BLOCK", block)
            kept: dict[str, Any] = {}
            np.testing.assert_array_equal(xp.pool_max(x, windows, kept), y)
            assert bool(kept) == (special is None or before == 0)
            np.testing.assert_array_equal(xp.pool_max_spread(g, x, windows, kept), alone)
            base = Pooling.pool_max_spread(xp, g, x, windows)
            np.testing.assert_allclose(alone, base, atol=1e-6)


def test_places_are_kept_for_a_backward_pass_only(monkeypatch):
    seen = []
    kernel = numpy_pooling.pool_max

    def pool_max(x, windows, kept=None):
        seen.append(kept)
        return kernel(x, windows, kept)

    monkeypatch.setattr(type(backend_of(np.empty(0))), "pool_max", staticmethod(pool_max))
    x = Variable(drawn((1, 2, 4, 4), 0))
    F.max_pool(x.data, 2)
    with dezero.no_grad():
        F.max_pool(x, 2)
    assert seen == [None, None]
    F.max_pool(x, 2)
    assert seen[2]


# --- the book's ---------------------------------------------------------------------------------


def padded_windows(x: np.ndarray, k: int, s: int, p: int) -> np.ndarray:
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    return np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::s, ::s]


@pytest.mark.parametrize(("k", "s", "p"), [(2, 2, 0), (3, 1, 1), (2, 3, 2), (3, 2, 0)])
def test_the_books_poolings_count_zeros(lane, k, s, p):
    x = -np.abs(np.random.default_rng(k).normal(size=(2, 3, 6, 7)))
    windows = padded_windows(x, k, s, p)
    for function in (F.pooling, F.pooling_simple):
        y = function(lane.variable(x), k, s, p)
        np.testing.assert_array_equal(lane.numpy(y), windows.max(axis=(-1, -2)))
    y = F.average_pooling(lane.variable(x), k, s, p)
    np.testing.assert_allclose(lane.numpy(y), windows.mean(axis=(-1, -2)), atol=1e-14)


def test_the_books_stride_is_1():
    x = np.zeros((1, 1, 5, 5))
    assert F.pooling(x, 2).shape == F.average_pooling(x, 2).shape == (1, 1, 4, 4)
    assert F.max_pool(x, 2).shape == F.average_pool(x, 2).shape == (1, 1, 2, 2)


def test_third_derivative_through_pooling():
    x = Variable(np.arange(1.0, 17.0).reshape(1, 1, 4, 4) / 10)
    y = F.sum(F.pooling(x, (2, 1), (2, 1)) ** 4)
    for factor, power in ((4, 3), (12, 2), (24, 1)):
        x.cleargrad()
        y.backward(create_graph=True)
        want = np.zeros((4, 4))
        want[1::2] = factor * x.data[0, 0, 1::2] ** power
        np.testing.assert_allclose(x.grad.data[0, 0], want)
        y = F.sum(x.grad)


def test_average_pooling_of_a_window_that_is_no_square():
    x = Variable(np.random.default_rng(0).normal(size=(1, 2, 5, 6)))
    F.sum(F.average_pooling(x, (3, 2), (2, 2))).backward()
    want = np.zeros((5, 6))
    for i, j in itertools.product(range(2), range(3)):
        want[2 * i : 2 * i + 3, 2 * j : 2 * j + 2] += 1 / 6
    np.testing.assert_allclose(x.grad.data[0], [want, want])


# --- what does not fit --------------------------------------------------------------------------

IMAGE = np.zeros((1, 1, 4, 4))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.max_pool(np.zeros((4, 4)), 2), ValueError, r"\(4, 4\), expected \(N, C, \*S\)"),
        (lambda: F.max_pool(IMAGE, 5), ValueError, r"windows of \(5, 5\) do not fit"),
        (lambda: F.max_pool(IMAGE, 2, pad=2), ValueError, "at most half"),
        (lambda: F.max_pool(IMAGE, (2, 2, 2)), ValueError, "kernel_size has 3 numbers"),
        (lambda: F.max_pool(IMAGE, 0), ValueError, "kernel_size is 0, .* at least 1"),
        (lambda: F.max_pool(IMAGE, 2.0), TypeError, "kernel_size is 2.0, expected an integer"),
        (lambda: F.max_pool(IMAGE, True), TypeError, "kernel_size is True, expected an integer"),
        (lambda: F.max_pool(IMAGE, 2, 0), ValueError, "stride is 0"),
        (lambda: F.max_pool(IMAGE, 2, pad=-1), ValueError, "pad is -1"),
        (lambda: F.max_pool(IMAGE, 2, pad="some"), ValueError, "'same', 'valid' or numbers"),
        (lambda: F.max_pool(IMAGE, 2, pad=((1, 1), 1)), ValueError, "expected 2 pairs"),
        (lambda: F.max_pool(IMAGE * 1j, 2), TypeError, "complex128, expected real"),
        (lambda: F.max_pool(IMAGE > 0, 2), TypeError, "bool, expected real"),
        (lambda: F.max_pool(3.0, 2), TypeError, "expected an array"),
        (lambda: F.average_pool(IMAGE.astype(int), 2), TypeError, "expected floating"),
        (lambda: F.pooling(IMAGE, 5), ValueError, "pooling: windows"),
        (lambda: F.global_max_pool(np.zeros((1, 2, 0))), ValueError, "nothing to pool"),
        (lambda: F.adaptive_max_pool(IMAGE, (1, 2, 3)), ValueError, "output_size"),
        (lambda: F.adaptive_average_pool(IMAGE, 0), ValueError, "output_size"),
    ],
)
def test_what_does_not_fit_is_said(call, error, text):
    with pytest.raises(error, match=text):
        call()


# Infinities and NaN


@pytest.mark.parametrize("seed", range(40))
def test_minus_infinity_in_a_window_is_above_the_border(torch, seed):
    geometry = geometries(1, 1000 + seed)[0]
    rng = np.random.default_rng(seed)
    x = rng.choice([-np.inf, 0.0, 1.0, 2.0], geometry["shape"], p=[0.7, 0.1, 0.1, 0.1])
    window = {name: geometry[name] for name in ("kernel", "stride", "pad", "dilation")}
    function = getattr(torch.nn.functional, "max_pool" + NAMES[x.ndim - 2])
    z = torch.tensor(x, requires_grad=True)
    want = function(z, *window.values())
    g = rng.standard_normal(want.shape)
    want.backward(torch.tensor(g))
    for library in (np.asarray, torch.tensor):
        v = Variable(library(x))
        y = F.max_pool(
            v, window["kernel"], window["stride"], window["pad"], dilation=window["dilation"]
        )
        y.grad = Variable(library(g))
        y.backward()
        np.testing.assert_array_equal(np.asarray(y.data), want.detach().numpy())
        np.testing.assert_allclose(np.asarray(v.grad.data), z.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("padded", [0, 1])
def test_the_gradient_of_a_maximum_that_is_nan_goes_to_the_nan(lane, padded):
    x = lane.variable(np.array([[[1.0, np.nan, 2.0, 0.0, 5.0, -np.inf]]]))
    y = F.max_pool(x, 3, 3, padded)
    F.sum(y).backward()
    np.testing.assert_array_equal(lane.numpy(x.grad)[0, 0], [0, 1, 0, 0, 1, 0])


def test_nan_and_infinity_stay_in_their_bins(lane):
    x = lane.variable(np.array([[[np.nan, 1.0, 2.0, 3.0, 4.0], [-np.inf] * 5]]))
    y = lane.numpy(F.adaptive_average_pool(x, 2))
    np.testing.assert_array_equal(y, [[[np.nan, 3.0], [-np.inf, -np.inf]]])


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.average_pool(x, 14),
        lambda x: F.average_pool(x, 14, pad=2, count_include_pad=False)[:, :, :1, :1] * 1.0,
        lambda x: F.average_pooling(x, 14),
        lambda x: F.adaptive_average_pool(x, 1),
        lambda x: F.adaptive_average_pool(x, 3)[:, :, :1, :1] * 1.0,
        F.global_average_pool,
    ],
)
def test_means_in_half_precision_do_not_overflow(pool):
    x = Variable(np.full((1, 1, 14, 14), 1000, np.float16))
    y = pool(x)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.data, np.full((1, 1, 1, 1), 1000), rtol=1e-3)
    y.backward()
    assert x.grad.dtype == np.float16
