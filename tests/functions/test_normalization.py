"""Normalization against PyTorch, running statistics, both modes, precision, bad shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Variable
from dezero.backends import numpy_normalization
from dezero.backends.scratch import unbuffered


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def agree(torch: Any, arrays: list[np.ndarray], ours: Any, theirs: Any, tol: float = 1e-10) -> None:
    """Value, gradients, and gradients of the gradients, along random directions."""
    vs = [Variable(a) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = ours(*vs), theirs(*ts)
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=tol, atol=tol)
    g = drawn(*y.shape, seed=1)
    F.sum(y * g).backward(retain_graph=True)
    raw = [v.grad.data for v in vs]
    for v in vs:
        v.cleargrad()
    F.sum(y * g).backward(create_graph=True)
    want = torch.autograd.grad((z * torch.tensor(g)).sum(), ts, create_graph=True)
    total, wanted = None, 0.0
    for i, (v, a, w) in enumerate(zip(vs, raw, want, strict=True)):
        np.testing.assert_allclose(a, w.detach().numpy(), rtol=tol, atol=tol)
        np.testing.assert_allclose(v.grad.data, w.detach().numpy(), rtol=tol, atol=tol)
        d = drawn(*v.shape, seed=2 + i)
        part = F.sum(v.grad * d)
        total = part if total is None else total + part
        wanted = wanted + (w * torch.tensor(d)).sum()
    for v in vs:
        v.cleargrad()
    total.backward()
    seconds = torch.autograd.grad(wanted, ts, allow_unused=True)
    for v, w in zip(vs, seconds, strict=True):
        got = np.zeros(v.shape) if v.grad is None else v.grad.data
        expected = np.zeros(v.shape) if w is None else w.numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-8)


SHAPES = [(5, 3), (4, 3, 2), (2, 3, 8, 9), (3, 70, 4, 4), (2, 3, 2, 3, 4), (2, 2, 40, 30)]


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_is_pytorchs(torch, shape):
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(size=shape) * 3 + 5
    gamma, beta = rng.normal(size=(2, shape[1]))
    mean, var = rng.normal(size=shape[1]), rng.uniform(1, 2, shape[1])
    ours, theirs = (mean.copy(), var.copy()), (torch.tensor(mean), torch.tensor(var))
    agree(
        torch,
        [x, gamma, beta],
        lambda x, a, b: F.batch_norm(x, a, b, *ours, decay=0.8, eps=1e-3),
        lambda x, a, b: torch.nn.functional.batch_norm(x, *theirs, a, b, True, 0.2, 1e-3),
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-12)
    agree(
        torch,
        [x, gamma, beta],
        lambda x, a, b: F.batch_norm(x, a, b, *ours, eps=1e-3, training=False),
        lambda x, a, b: torch.nn.functional.batch_norm(x, *theirs, a, b, False, 0.2, 1e-3),
    )


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 5), (2, 700), (300, 200), (1, 1, 8)])
def test_layer_and_rms_norm_are_pytorchs(torch, shape):
    x, gamma, beta = drawn(*shape) * 2 + 3, drawn(shape[-1], seed=3), drawn(shape[-1], seed=4)
    layer = torch.nn.functional.layer_norm
    agree(
        torch,
        [x, gamma, beta],
        F.layer_norm,
        lambda x, a, b: layer(x, shape[-1:], a, b),
    )
    agree(torch, [x, gamma], F.layer_norm, lambda x, a: layer(x, shape[-1:], a))
    agree(torch, [x], F.layer_norm, lambda x: layer(x, shape[-1:]))
    rms = torch.nn.functional.rms_norm
    agree(torch, [x, gamma], F.rms_norm, lambda x, a: rms(x, shape[-1:], a, 1e-5))
    agree(torch, [x], F.rms_norm, lambda x: rms(x, shape[-1:], None, 1e-5))


def test_layer_norm_over_several_dimensions_is_pytorchs(torch):
    x, gamma, beta = drawn(3, 2, 4, 5), drawn(2, 4, 5, seed=3), drawn(2, 4, 5, seed=4)
    agree(
        torch,
        [x, gamma, beta],
        lambda x, a, b: F.layer_norm(x, a, b, axis=(-3, -2, -1)),
        lambda x, a, b: torch.nn.functional.layer_norm(x, (2, 4, 5), a, b),
    )


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((2, 6, 4), 3), ((3, 4, 5, 3), 2), ((2, 8), 2), ((2, 6, 50, 40), 1), ((2, 4, 2, 2, 3), 4)],
)
def test_group_and_instance_norm_are_pytorchs(torch, shape, groups):
    x, gamma, beta = drawn(*shape) * 2 + 1, drawn(shape[1], seed=3), drawn(shape[1], seed=4)
    agree(
        torch,
        [x, gamma, beta],
        lambda x, a, b: F.group_norm(x, groups, a, b),
        lambda x, a, b: torch.nn.functional.group_norm(x, groups, a, b),
    )
    agree(
        torch,
        [x],
        lambda x: F.group_norm(x, groups),
        lambda x: torch.nn.functional.group_norm(x, groups),
    )
    if len(shape) > 2:
        agree(
            torch,
            [x, gamma, beta],
            F.instance_norm,
            lambda x, a, b: torch.nn.functional.instance_norm(x, weight=a, bias=b),
        )


# --- running statistics -------------------------------------------------------------------------


def moved(x: np.ndarray, mean: np.ndarray, var: np.ndarray, decay: float) -> tuple[Any, Any]:
    axes = (0, *range(2, x.ndim))
    return (
        decay * mean + (1 - decay) * x.mean(axis=axes),
        decay * var + (1 - decay) * x.var(axis=axes, ddof=1),
    )


def test_running_statistics_of_every_library(lane):
    x = drawn(4, 3, 5) + 2
    mean, var = lane.variable(np.zeros(3), False), lane.variable(np.ones(3), False)
    kept = mean.data
    y = F.batch_norm(lane.variable(x), None, None, mean, var)
    want = moved(x, np.zeros(3), np.ones(3), 0.9)
    np.testing.assert_allclose(lane.numpy(mean), want[0])
    np.testing.assert_allclose(lane.numpy(var), want[1])
    assert lane.dtype(mean) == "float64"
    assert not mean.requires_grad
    np.testing.assert_array_equal(lane.numpy(kept), np.zeros(3))
    with dezero.test_mode():
        z = F.batch_norm(lane.variable(x), None, None, mean, var)
    np.testing.assert_allclose(lane.numpy(mean), want[0])
    want_z = (x - want[0][:, None]) / np.sqrt(want[1][:, None] + 2e-5)
    np.testing.assert_allclose(lane.numpy(z), want_z)
    assert y.shape == z.shape == x.shape


@pytest.mark.parametrize("name", ["batch_norm", "batch_nrom"])
def test_arrays_are_written_to(lane, name):
    """The book gives arrays, and they move."""
    if lane.name == "readonly":
        pytest.skip("its arrays cannot be written to")
    x = drawn(4, 3) + 2
    mean, var = lane.array(np.zeros(3)), lane.array(np.ones(3))
    call = getattr(F, name)
    args = (lane.variable(x), lane.variable(np.ones(3)), lane.variable(np.zeros(3)), mean, var)
    if not lane.xp.mutable:
        with pytest.raises(TypeError, match="cannot be written to, give mean and var as Variables"):
            call(*args)
        return
    call(*args)
    want = moved(x, np.zeros(3), np.ones(3), 0.9)
    np.testing.assert_allclose(lane.numpy(mean), want[0])
    np.testing.assert_allclose(lane.numpy(var), want[1])


def test_a_recorded_graph_keeps_the_statistics_it_was_made_with():
    x, gamma = Variable(drawn(4, 3)), Variable(np.ones(3))
    mean, var = np.zeros(3), np.ones(3)
    y = F.batch_norm(x, gamma, None, mean, var, training=False)
    F.batch_norm(x, gamma, None, mean, var, decay=0.0)
    F.sum(y).backward()
    np.testing.assert_allclose(gamma.grad.data, x.data.sum(axis=0) / np.sqrt(1 + 2e-5))


# --- precision ----------------------------------------------------------------------------------


def far() -> np.ndarray:
    return (np.random.default_rng(0).normal(size=(64, 8, 12, 11)) + 1000).astype(np.float32)


@pytest.mark.only_paths("shipped", "short", reason="about the kernel's rounding")
@pytest.mark.parametrize("shape", [(64, 8, 12, 11), (2, 4, 132, 64), (5000, 13)])
def test_single_precision_far_from_zero(shape):
    """The error is that of the input's own digits, whatever the mean."""
    x = far().reshape(-1)[: int(np.prod(shape))].reshape(shape)
    wide = x.astype(np.float64)
    axes = (0, *range(2, x.ndim))
    for call in (
        lambda v: F.batch_norm(v, None, None, None, None),
        lambda v: F.layer_norm(v),
        lambda v: F.group_norm(v, 1),
    ):
        got, want = call(Variable(x)), call(Variable(wide))
        assert got.dtype == np.float32
        np.testing.assert_allclose(got.data, want.data, atol=1e-3)
        v, w = Variable(x), Variable(wide)
        g = np.random.default_rng(1).normal(size=shape)
        F.sum(call(v) * g.astype(np.float32)).backward()
        F.sum(call(w) * g).backward()
        # a mean of 1000 standard deviations costs three to four of seven digits
        np.testing.assert_allclose(v.grad.data, w.grad.data, rtol=1e-3, atol=4e-3)
    mean, var = np.zeros(shape[1], np.float32), np.zeros(shape[1], np.float32)
    F.batch_norm(x, None, None, mean, var, decay=0.0)
    np.testing.assert_allclose(mean, wide.mean(axis=axes), rtol=1e-6)
    np.testing.assert_allclose(var, wide.var(axis=axes, ddof=1), rtol=1e-4)


def gradients(call: Any, *arrays: np.ndarray) -> list[np.ndarray]:
    """The value and all gradients, for an incoming gradient of normal numbers."""
    vs = [Variable(a) for a in arrays]
    y = call(*vs)
    y.grad = Variable(drawn(*y.shape, seed=9).astype(arrays[0].dtype))
    y.backward()
    return [y.data, *(v.grad.data for v in vs)]


KINDS: dict[str, Any] = {
    "batch": lambda x, a, b: F.batch_norm(x, a, b, None, None),
    "fixed": lambda x, a, b: F.batch_norm(x, a, b, a.data, b.data**2, training=False),
    "layer": lambda x, a, b: F.layer_norm(x, a, b, axis=1),
    "rms": lambda x, a, b: F.rms_norm(x, a, axis=1) + b.reshape(-1, *((1,) * (x.ndim - 2))),
    "group": lambda x, a, b: F.group_norm(x, 2, a, b),
    "instance": F.instance_norm,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(9, 6, 5, 4), (7, 4, 70), (3, 40, 300)])
@pytest.mark.parametrize("mean", [0.5, 300.0])
def test_blocks_and_long_rows_change_rounding_only(monkeypatch, kind, shape, mean):
    """Blocks of all sizes, and rows with a loop of their own or without, against float64."""
    wide = [drawn(*shape) + mean, *(drawn(shape[1], seed=i) for i in (3, 4))]
    want = gradients(KINDS[kind], *wide)
    narrow = [a.astype(np.float32) for a in wide]
    bound = 2e-6 * (1.0 if mean < 1 else 300.0)
    for block, large, row in ((1 << 18, 1 << 21, 256), (64, 300, 256), (1000, 1, 16), (1, 50, 1)):
        monkeypatch.setattr(numpy_normalization, "_BLOCK", block)
        monkeypatch.setattr(numpy_normalization, "_LARGE", large)
        monkeypatch.setattr(numpy_normalization, "_WIDE", row)
        for a, b in zip(gradients(KINDS[kind], *wide), want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max())
        for a, b in zip(gradients(KINDS[kind], *narrow), want, strict=True):
            assert a.dtype == np.float32
            assert np.abs(a - b).max() <= bound * np.abs(b).max()


@pytest.mark.only_paths("shipped", "short", reason="about the kernel's rounding")
@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_sums_over_many_rows_in_single_precision(kind):
    """Numbers of one sign, whose rounding errors would add up."""
    x, gamma, beta = drawn(50_000, 6), np.ones(6), np.zeros(6)
    grads = []
    for dtype in (np.float32, np.float64):
        vs = [Variable(a.astype(dtype)) for a in (x, gamma, beta)]
        F.sum(KINDS[kind](*vs) * np.abs(x).astype(dtype)).backward()
        grads.append([v.grad.data for v in vs[1:]])
    for a, b in zip(*grads, strict=True):
        assert np.abs(a - b).max() <= 1.2e-6 * np.abs(b).max()


@pytest.mark.only_paths("shipped", "short", reason="about the kernel's buffers")
def test_buffers_are_as_long_afterwards_as_before():
    size = np.getbufsize()
    assert unbuffered(np.getbufsize)() < 256
    assert np.getbufsize() == size
    with pytest.raises(ZeroDivisionError):
        unbuffered(lambda: 1 // 0)()
    F.layer_norm(drawn(4, 300))
    assert np.getbufsize() == size


@pytest.mark.only_paths("shipped", "short", reason="about the kernel's memory")
@pytest.mark.parametrize("order", [(0, 2, 3, 1), (1, 2, 3, 0)])
@pytest.mark.parametrize("kind", ["batch", "fixed"])
def test_memory_in_the_order_of_channels_or_images_stays_so(order, kind):
    plain, back = drawn(6, 5, 7, 4) + 1, tuple(order.index(i) for i in range(4))
    x = np.ascontiguousarray(plain.transpose(order)).transpose(back)
    assert x.strides != plain.strides
    affine = drawn(5, seed=3), drawn(5, seed=4)
    got, want = (gradients(KINDS[kind], a, *affine) for a in (x, plain))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    for a in got[:2]:
        assert a.transpose(order).flags.c_contiguous


def test_half_precision_is_computed_in_single():
    x = (np.random.default_rng(0).normal(size=(4, 3, 50)) * 300).astype(np.float16)
    v = Variable(x)
    for call in (
        lambda v: F.batch_norm(v, None, None, None, None),
        lambda v: F.layer_norm(v),
        lambda v: F.rms_norm(v),
        lambda v: F.group_norm(v, 3),
    ):
        v.cleargrad()
        y = call(v)
        F.sum(y).backward()
        assert y.dtype == v.grad.dtype == np.float16
        want = call(Variable(x.astype(np.float64))).data
        np.testing.assert_allclose(y.data, want, atol=4e-3)


def test_equal_values_have_finite_gradients(lane):
    x = lane.variable(np.full((3, 4), 2.0))
    for call in (
        lambda: F.batch_norm(x, None, None, None, None),
        lambda: F.layer_norm(x),
        lambda: F.rms_norm(x * 0.0),
    ):
        x.cleargrad()
        F.sum(call() ** 2).backward()
        assert np.all(np.isfinite(lane.numpy(x.grad)))


def test_mixed_dtypes_promote():
    x, gamma = Variable(drawn(4, 3).astype(np.float32)), Variable(np.ones(3))
    y = F.batch_norm(x, gamma, None, None, None)
    assert y.dtype == np.float64
    F.sum(y * y).backward()
    assert (x.grad.dtype, gamma.grad.dtype) == (np.float32, np.float64)


def test_only_what_is_wanted_is_computed():
    x = Variable(drawn(4, 3), requires_grad=False)
    gamma, beta = Variable(np.ones(3)), Variable(np.zeros(3))
    F.sum(F.layer_norm(x, gamma, beta)).backward()
    assert x.grad is None
    assert gamma.grad.shape == beta.grad.shape == (3,)


def test_layouts_of_memory_and_empty_batches():
    x = drawn(3, 5, 4, 2).transpose(0, 3, 1, 2)[:, ::-1]
    for call in (
        lambda v: F.batch_norm(v, None, None, None, None),
        lambda v: F.layer_norm(v),
        lambda v: F.group_norm(v, 2),
    ):
        a, b = Variable(x), Variable(np.ascontiguousarray(x))
        for v in (a, b):
            F.sum(call(v) ** 3).backward()
        np.testing.assert_allclose(a.grad.data, b.grad.data, atol=1e-12)
    empty = Variable(np.zeros((0, 3)))
    ones = np.ones(3)
    for y in (
        F.layer_norm(empty),
        F.rms_norm(empty),
        F.group_norm(empty, 1),
        F.batch_norm(empty, ones, ones, ones, ones, training=False),
    ):
        assert y.shape == (0, 3)
        F.sum(y).backward()


X = drawn(4, 3, 2)
ONES = np.ones(3)


def test_batch_norm_of_one_value_for_each_channel(lane):
    """As the book's: the variance is 0, and so is the unbiased one that is kept."""
    x = lane.variable(X[:1, :, 0])
    mean, var = (lane.variable(np.full(3, v), requires_grad=False) for v in (0.5, 2.0))
    beta = lane.variable(np.array([1.0, 2.0, 3.0]))
    y = F.batch_norm(x, lane.variable(ONES), beta, mean, var)
    np.testing.assert_allclose(lane.numpy(y), [[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(lane.numpy(mean), 0.45 + 0.1 * X[0, :, 0])
    np.testing.assert_allclose(lane.numpy(var), np.full(3, 1.8))
    F.sum(y).backward()
    np.testing.assert_allclose(lane.numpy(x.grad), np.zeros((1, 3)), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: F.batch_norm(X[:0], ONES, ONES, ONES, ONES),
            ValueError,
            "at least one value for each channel",
        ),
        (lambda: F.batch_norm(X, np.ones(2), None, ONES, ONES), ValueError, r"gamma has .*\(3,\)"),
        (lambda: F.batch_norm(X, None, np.ones(2), ONES, ONES), ValueError, r"beta has .*\(3,\)"),
        (lambda: F.batch_norm(X, ONES, ONES, np.ones(2), ONES), ValueError, r"mean is \(2,\)"),
        (lambda: F.batch_norm(X, ONES, ONES, ONES, None), ValueError, "both None or both arrays"),
        (lambda: F.batch_norm(X[0, 0], None, None, None, None), ValueError, "at least 2 dim"),
        (lambda: F.batch_norm(X * 1j, None, None, None, None), TypeError, "complex128"),
        (lambda: F.layer_norm(X.astype(int)), TypeError, "int64, expected real floating"),
        (lambda: F.layer_norm(X, ONES), ValueError, r"gamma has shape \(3,\), expected \(2,\)"),
        (lambda: F.layer_norm(X, axis=3), IndexError, "layer_norm: axis 3"),
        (lambda: F.layer_norm(X[..., :0]), ValueError, "nothing to normalize"),
        (lambda: F.group_norm(X, 2), ValueError, "2 groups of 3 channels"),
        (lambda: F.group_norm(X[..., 0], 3), ValueError, "more than one value"),
        (lambda: F.instance_norm(X[..., 0]), ValueError, "more than one value"),
    ],
)
def test_what_does_not_fit_is_said(call, error, text):
    with pytest.raises(error, match=text):
        call()
