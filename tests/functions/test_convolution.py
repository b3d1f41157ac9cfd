"""Convolution: against PyTorch, fast paths, memory order, kernels, the book's names, messages.

Values and derivatives on every lane are in the cases.
"""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import dezero.functions as F
from conftest import lane_of
from dezero import Variable, no_grad, threads, using_config
from dezero.backends import Backend, depthwise, numpy_convolution, winograd
from dezero.backends.convolution import Geometry
from dezero.functions_conv import Conv2d, col2im_array, im2col_array


def close(a: Any, b: Any, rtol: float = 1e-10) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    size = float(np.max(np.abs(b), initial=0.0))
    np.testing.assert_allclose(a, b, rtol=0.0, atol=rtol * max(size, 1e-300))


def in_order(x: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """The same array with its dimensions in another order in memory, the last one fastest."""
    back = np.argsort(order)
    return np.ascontiguousarray(np.transpose(x, order)).transpose(back)


# --- against PyTorch ----------------------------------------------------------------------------


def geometry_of(rng: np.random.Generator, rank: int, transposed: bool) -> dict[str, Any]:
    """Shapes and numbers that fit each other."""

    def numbers(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(n) for n in rng.integers(low, high, rank))

    groups = int(rng.choice([1, 1, 2, 3]))
    wide = 17 if rank < 3 and rng.random() < 0.3 else 1
    c, o = groups * wide * int(rng.integers(1, 3)), groups * wide * int(rng.integers(1, 3))
    k, s, d, p = numbers(1, 4), numbers(1, 4), numbers(1, 3), numbers(0, 3)
    reach = [b * (a - 1) for a, b in zip(k, d, strict=True)]
    if transposed:
        size = numbers(2, 5)
        p = tuple(min(a, r // 2) for a, r in zip(p, reach, strict=True))
        shape = (c, o // groups, *k)
    else:
        size = tuple(r + 1 + int(rng.integers(0, 5)) for r in reach)
        shape = (o, c // groups, *k)
    more = tuple(int(rng.integers(0, n)) for n in s)
    return {
        "x": (int(rng.integers(1, 3)), c, *size), "w": shape, "outputs": o,
        "stride": s, "pad": p, "dilation": d, "groups": groups, "more": more,
    }  # fmt: skip


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_against_pytorch(rank, transposed):
    """Values, gradients and gradients of gradients in many geometries, float64."""
    torch = pytest.importorskip("torch", reason="PyTorch is the reference")
    names = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
    names = names if transposed else ("conv1d", "conv2d", "conv3d")
    theirs = getattr(torch.nn.functional, names[rank - 1])
    rng = np.random.default_rng(10 * rank + transposed)
    for trial in range(16):
        q = geometry_of(rng, rank, transposed)
        values = [rng.standard_normal(q["x"]), rng.standard_normal(q["w"])]
        values += [rng.standard_normal(q["outputs"])] if trial % 2 else []
        ts = [torch.tensor(v, requires_grad=True) for v in values]
        xs = [Variable(v) for v in values]
        b = ts[2] if trial % 2 else None
        words = {"dilation": q["dilation"], "groups": q["groups"]}
        if transposed:
            words["output_padding"] = q["more"]
            ty = theirs(*ts[:2], b, q["stride"], q["pad"], q["more"], q["groups"], q["dilation"])
            y = F.conv_transpose(*xs, *[None] * (3 - len(xs)), q["stride"], q["pad"], **words)
        else:
            ty = theirs(*ts[:2], b, q["stride"], q["pad"], q["dilation"], q["groups"])
            y = F.conv(*xs, *[None] * (3 - len(xs)), q["stride"], q["pad"], **words)
        close(y.data, ty.detach())
        g = rng.standard_normal(y.shape)
        ours = first_and_second(xs, y, g)
        gs = torch.autograd.grad(ty, ts, torch.tensor(g), create_graph=True)
        seconds = torch.autograd.grad(sum((a**2).sum() for a in gs[:2]), ts[:2])
        for mine, their in zip(ours, [*gs, *seconds], strict=True):
            close(mine, their.detach(), 1e-10)


def first_and_second(xs: list[Variable], y: Variable, g: np.ndarray) -> list[np.ndarray]:
    y.grad = Variable(g, requires_grad=False)
    y.backward(create_graph=True)
    gs = [x.grad for x in xs]
    for x in xs:
        x.cleargrad()
    sum(F.sum(a**2) for a in gs[:2]).backward()
    return [a.data for a in gs] + [x.grad.data for x in xs[:2]]


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # PyTorch makes a copy
@pytest.mark.parametrize("pad", ["same", "SAME", "Valid"])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (5, 1)])
def test_pads_by_words_against_pytorch(pad, kernel):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference")
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 2, 7, 8)), rng.standard_normal((3, 2, *kernel))
    want = torch.nn.functional.conv2d(
        torch.tensor(x), torch.tensor(w), padding=pad.lower(), dilation=(1, 2)
    )
    close(F.conv2d(x, w, None, 1, pad, dilation=(1, 2)).data, want)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_same_rounds_up_and_transposed_convolution_undoes_it(stride, kernel):
    x, w = np.ones((1, 1, 7)), np.ones((1, 1, kernel))
    assert F.conv(x, w, None, stride, "same").shape == (1, 1, -(-7 // stride))
    assert F.conv_transpose(x, w, None, stride, "same").shape == (1, 1, 7 * stride)


def test_third_derivative_against_pytorch():
    """Each sweep is recorded; the last one goes through convolutions of gradients."""
    torch = pytest.importorskip("torch", reason="PyTorch is the reference")
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((2, 2, 5, 4)), rng.standard_normal((3, 2, 3, 2))
    ours, theirs = [Variable(x), Variable(w)], [torch.tensor(v, requires_grad=True) for v in (x, w)]
    y = F.sum(F.conv2d(*ours, stride=2, pad=1) ** 3)
    z = (torch.nn.functional.conv2d(*theirs, stride=2, padding=1) ** 3).sum()
    for _ in range(3):
        y.backward(create_graph=True)
        gs = [v.grad for v in ours]
        for v in ours:
            v.cleargrad()
        ts = torch.autograd.grad(z, theirs, create_graph=True)
        for a, b in zip(gs, ts, strict=True):
            close(a.data, b.detach())
        y, z = sum(F.sum(a**2) for a in gs), sum((b**2).sum() for b in ts)


# --- kernels ------------------------------------------------------------------------------------

GEOMETRIES = {
    "plain": ((2, 3, 6, 5), (4, 3, 3, 2), Geometry((1, 1), ((0, 0), (0, 0)), (1, 1))),
    "uneven": ((2, 3, 6, 5), (4, 3, 3, 2), Geometry((2, 1), ((2, 0), (1, 3)), (1, 2))),
    "turned": ((2, 4, 6, 5), (3, 4, 3, 2), Geometry((1, 1), ((2, 0), (0, 1)), (1, 1))),
    "turned-many": ((1, 34, 6, 7), (33, 34, 3, 2), Geometry((1, 1), ((1, 3), (2, 0)), (2, 3))),
    "turned-groups": ((2, 6, 6, 5), (4, 3, 3, 2), Geometry((1, 1), ((0, 2), (1, 0)), (1, 1), 2)),
    "wide": ((1, 5, 4, 4), (2, 5, 3, 3), Geometry((1, 1), ((4, 3), (2, 5)), (1, 1))),
    "left-over": ((1, 2, 8, 9), (2, 2, 2, 2), Geometry((3, 4), ((0, 0), (0, 1)), (1, 1))),
    "groups": ((3, 4, 5, 5), (6, 2, 2, 3), Geometry((1, 2), ((1, 1), (0, 1)), (2, 1), 2)),
    "depthwise": ((2, 40, 5, 4), (40, 1, 3, 3), Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 40)),
    "depthwise-strided": (
        (3, 8, 9, 8),
        (8, 1, 3, 2),
        Geometry((2, 3), ((4, 0), (1, 2)), (2, 1), 8),
    ),
    "depthwise-line": ((2, 9, 7), (9, 1, 4), Geometry((1,), ((2, 5),), (2,), 9)),
    "depthwise-volume": (
        (2, 8, 4, 3, 5),
        (8, 1, 2, 3, 2),
        Geometry((1, 2, 1), ((0, 1),) * 3, (2, 1, 1), 8),
    ),
    "no-images-depthwise": (
        (0, 8, 5, 5),
        (8, 1, 3, 3),
        Geometry((1, 1), ((1, 1), (0, 0)), (1, 1), 8),
    ),
    "pointwise-long": ((2, 3, 9, 8), (5, 3, 1, 1), Geometry((1, 1), ((0, 0), (0, 0)), (1, 1))),
    "pointwise-steps": ((2, 3, 5, 4), (5, 3, 1, 1), Geometry((2, 3), ((0, 0), (0, 0)), (1, 1))),
    "no-images-pointwise": ((0, 3, 5, 4), (5, 3, 1, 1), Geometry((1, 1), ((0, 0),) * 2, (1, 1))),
    "pointwise": ((2, 40, 3, 4), (5, 40, 1, 1), Geometry((1, 1), ((0, 0), (0, 0)), (1, 1))),
    "pointwise-strided": ((2, 3, 5, 4), (5, 3, 1, 1), Geometry((2, 3), ((0, 0), (1, 0)), (1, 1))),
    "many": ((2, 34, 5, 4), (35, 34, 3, 2), Geometry((2, 1), ((1, 0), (1, 1)), (1, 2))),
    "few-to-many": ((2, 3, 5, 4), (33, 3, 2, 2), Geometry((1, 1), ((1, 1), (0, 0)), (1, 1))),
    "line": ((2, 3, 9), (4, 3, 3), Geometry((2,), ((1, 2),), (2,))),
    "volume": ((1, 2, 4, 3, 5), (2, 2, 2, 3, 2), Geometry((1, 2, 2), ((0, 1),) * 3, (2, 1, 1))),
    "no-images": ((0, 3, 6, 5), (4, 3, 3, 2), Geometry((2, 1), ((2, 0), (1, 3)), (1, 2))),
    "no-images-many": ((0, 64, 9, 9), (64, 64, 3, 3), Geometry((1, 1), ((1, 1),) * 2, (1, 1))),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_kernels_equal_the_generic_ones(name, lane):
    """The generic kernels run on array-api-strict, with nothing but the standard."""
    if lane.name == "dask" and name == "no-images-many":
        pytest.skip("Dask divides by the size of a chunk that is empty when it cuts large arrays")
    shape, weights, geometry = GEOMETRIES[name]
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal(shape), rng.standard_normal(weights)
    b = rng.standard_normal(weights[0])
    strict, host = Backend(lane_of("strict").xp.namespace), lane_of("strict").numpy
    sx, sw, sb = (lane_of("strict").array(v) for v in (x, w, b))
    size, kernel = shape[2:], weights[2:]
    want_y = strict.convolve([sx, sw, sb], geometry)
    g = rng.standard_normal(want_y.shape)
    sg = lane_of("strict").array(g)
    bias = np.ones(shape[1])
    strict_bias = lane_of("strict").array(bias)
    windows = strict.unfold_windows(sx, kernel, geometry)
    wants = [
        want_y,
        strict.convolve([sx, sw], geometry),
        strict.convolve_input([sg, sw], size, geometry),
        strict.convolve_input([sg, sw, strict_bias], size, geometry),
        strict.convolve_weight([sx, sg], kernel, geometry),
        windows,
        strict.fold_windows(windows, size, geometry),
        *strict.convolve_gradients(sg, [sx, sw, sb], (True, True, True), geometry),
    ]

    def run(x: Any, w: Any, b: Any, g: Any, bias: Any, windows: Any) -> list[Any]:
        xp, kept = lane.xp, dict[str, Any]()
        return [
            xp.convolve([x, w, b], geometry, kept),
            xp.convolve([x, w], geometry),
            xp.convolve_input([g, w], size, geometry),
            xp.convolve_input([g, w, bias], size, geometry),
            xp.convolve_weight([x, g], kernel, geometry),
            xp.unfold_windows(x, kernel, geometry),
            xp.fold_windows(windows, size, geometry),
            *xp.convolve_gradients(g, [x, w, b], (True, True, True), geometry, kept),
            xp.convolve_gradients(g, [x, w, b], (True, False, False), geometry)[2],
            *xp.convolve_gradients(g, [x, w], (False, True), geometry),
        ]

    *found, unasked, nothing, needed = lane.compute(run, x, w, b, g, bias, host(windows))
    for got, want in zip(found, wants, strict=True):
        close(got, host(want), 1e-12)
    assert unasked is nothing is None
    close(needed, host(wants[4]), 1e-12)


@pytest.fixture
def _threads(request: Any, monkeypatch: Any) -> Any:
    monkeypatch.setattr(threads, "_LEAST", 1)
    before = threads.limit()
    threads.set_limit(request.param)
    yield
    threads.set_limit(before)


in_threads = pytest.mark.parametrize("_threads", [1, 3], indirect=True, ids=["1", "3"])


@in_threads
@pytest.mark.usefixtures("_threads")
def test_a_sum_over_many_blocks(monkeypatch):
    """Blocks of rows, of parts of rows, and of images give what one block gives."""
    rng = np.random.default_rng(2)
    for shape, weights, groups in (
        ((3, 2, 7, 6), (4, 2, 3, 3), 1),
        ((3, 2, 7, 6), (9, 2, 3, 3), 1),
        ((3, 6, 7, 6), (15, 2, 3, 3), 3),
        ((3, 34, 7, 6), (4, 34, 3, 3), 1),
        ((3, 34, 7, 6), (70, 34, 3, 3), 1),
    ):
        x, w = rng.standard_normal(shape), rng.standard_normal(weights)
        for stride in ((1, 1), (2, 1), (1, 3)):
            geometry = Geometry(stride, ((1, 1), (0, 1)), (1, 1), groups)
            y = numpy_convolution.convolve([x, w], geometry)
            g = rng.standard_normal(y.shape)
            want = [y, *numpy_convolution.convolve_gradients(g, [x, w], (True, True), geometry)]
            with monkeypatch.context() as patch:
                patch.setattr(numpy_convolution, "_LEAST", 1)
                for size, kept in ((1, 0), (5000, 0), (5000, 1 << 20), (30000, 0)):
                    patch.setattr(numpy_convolution, "_BLOCK", size)
                    patch.setattr(numpy_convolution, "_KEPT", kept)
                    y = numpy_convolution.convolve([x, w], geometry)
                    gs = numpy_convolution.convolve_gradients(g, [x, w], (True, True), geometry)
                    for a, b in zip([y, *gs], want, strict=True):
                        close(a, b, 1e-13)


ORDERS = {"rows": (0, 1, 2, 3), "channels-last": (0, 2, 3, 1), "batch-last": (1, 2, 3, 0)}

SPECIAL = {
    "depthwise": ((5, 24, 9, 8), (24, 1, 3, 3), Geometry((1, 1), ((1, 1),) * 2, (1, 1), 24)),
    "depthwise-steps": ((5, 8, 9, 8), (8, 1, 5, 3), Geometry((2, 2), ((2, 1),) * 2, (1, 2), 8)),
    "pointwise": ((3, 24, 9, 8), (10, 24, 1, 1), Geometry((1, 1), ((0, 0),) * 2, (1, 1))),
    "pointwise-steps": ((3, 24, 9, 8), (10, 24, 1, 1), Geometry((2, 1), ((0, 0),) * 2, (1, 1))),
}


@in_threads
@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("name", SPECIAL)
def test_special_kernels_equal_the_blocks_of_windows(name, monkeypatch):
    """In any memory order of image and gradient."""
    shape, weights, geometry = SPECIAL[name]
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal(shape), rng.standard_normal(weights)
    b = rng.standard_normal(weights[0])

    def run(x: np.ndarray, g: np.ndarray | None) -> list[np.ndarray]:
        y = numpy_convolution.convolve([x, w, b], geometry)
        if g is None:
            return [y]
        gs = numpy_convolution.convolve_gradients(g, [x, w, b], (True, True, True), geometry)
        return [y, *gs]

    g = rng.standard_normal(run(x, None)[0].shape)
    with monkeypatch.context() as patch:
        patch.setattr(numpy_convolution, "_is_pointwise", lambda *args: False)
        patch.setattr(depthwise, "worthwhile", lambda *args: False)
        wants = run(x, g)
    monkeypatch.setattr(depthwise, "_BLOCK", 20_000)  # bytes: one or two images
    for order in ORDERS.values():
        for order_of_g in ORDERS.values():
            for got, want in zip(
                run(in_order(x, order), in_order(g, order_of_g)), wants, strict=True
            ):
                close(got, want, 1e-13)


# --- Winograd's algorithm -----------------------------------------------------------------------


def reference(x: Any, w: Any, b: Any, g: Any, pads: Any) -> list[np.ndarray]:
    """Result and gradients by the direct sum in float64."""
    geometry = Geometry((1, 1), pads, (1, 1))
    x, w, b, g = (v.astype(np.float64) for v in (x, w, b, g))
    y = numpy_convolution.convolve([x, w, b], geometry)
    return [y, *numpy_convolution.convolve_gradients(g, [x, w, b], (True, True, True), geometry)]


@in_threads
@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("n", "size", "pads"),
    [
        (4, (16, 16), ((1, 1), (1, 1))),
        (9, (13, 10), ((1, 1), (1, 1))),
        (33, (4, 5), ((0, 0), (0, 0))),
        (8, (11, 14), ((2, 0), (1, 3))),
        (3, (60, 70), ((0, 2), (0, 1))),
        (2, (9, 300), ((5, 5), (6, 0))),
    ],
)
def test_winograd_is_near_the_direct_sum(n, size, pads, order):
    """Of all gradients too, alone and together, for any size and memory order."""
    rng = np.random.default_rng(n)
    c, oc = 48, 50
    x = rng.standard_normal((n, c, *size)).astype(np.float32)
    w = (rng.standard_normal((oc, c, 3, 3)) / 20).astype(np.float32)
    b = rng.standard_normal(oc).astype(np.float32)
    oh, ow = (m + sum(p) - 2 for m, p in zip(size, pads, strict=True))
    g = rng.standard_normal((n, oc, oh, ow)).astype(np.float32)
    want = reference(x, w, b, g, pads)
    x, g = in_order(x, ORDERS[order]), in_order(g, ORDERS[order])
    results = [winograd.convolve(x, w, b, pads), *winograd.gradients(g, x, w, size, pads)]
    results += [winograd.gradients(g, None, w, size, pads)[0]]
    results += [winograd.gradients(g, x, None, size, pads)[1]]
    for got, i in zip(results, (0, 1, 2, 1, 2), strict=True):
        assert got.dtype == np.float32
        close(got, want[i], 4e-6)
        error = got - want[i]
        assert np.sqrt(np.mean(error**2)) < 1e-6 * np.max(np.abs(want[i]))


def used(monkeypatch: Any) -> list[str]:
    """Notes which of Winograd's functions are called."""
    calls: list[str] = []
    for name in ("convolve", "gradients"):
        original = getattr(winograd, name)

        def noted(*args: Any, name: str = name, original: Any = original, **words: Any) -> Any:
            calls.append(name)
            return original(*args, **words)

        monkeypatch.setattr(winograd, name, noted)
    return calls


def one_step(dtype: Any, channels: int = 64, **words: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    kernel, groups = words.pop("kernel", 3), words.get("groups", 1)
    x = Variable(rng.standard_normal((4, channels, 16, 16)).astype(dtype))
    w = rng.standard_normal((channels, channels // groups, kernel, kernel)) / 24
    w, b = Variable(w.astype(dtype)), Variable(np.zeros(channels, dtype))
    y = F.conv2d(x, w, b, pad=1, **words)
    F.sum(y * y).backward()
    assert all(v.dtype == dtype for v in (y, x.grad, w.grad, b.grad))
    return [y.data, x.grad.data, w.grad.data, b.grad.data]


@pytest.mark.only_paths("shipped", reason="about the choice of the kernel")
def test_when_winograd_is_used(monkeypatch):
    calls = used(monkeypatch)
    one_step(np.float32)
    assert calls == ["convolve", "gradients"]
    one_step(np.float32, channels=32)
    assert calls == ["convolve", "gradients"] * 2
    calls.clear()
    one_step(np.float64)
    one_step(np.float32, channels=16)
    one_step(np.float32, stride=2)
    one_step(np.float32, dilation=2)
    one_step(np.float32, groups=2)
    one_step(np.float32, kernel=5)
    with using_config("exact_convolution", True):
        one_step(np.float32)
    assert not calls


def test_the_exact_setting():
    want = one_step(np.float64)
    with using_config("exact_convolution", True):
        exact = one_step(np.float32)
    fast = one_step(np.float32)
    for a, b, c in zip(exact, fast, want, strict=True):
        close(a, c, 1e-6)
        close(b, c, 4e-6)


def test_the_setting_may_change_before_the_backward_pass():
    x = np.random.default_rng(0).standard_normal((4, 64, 16, 16)).astype(np.float32)
    w = np.random.default_rng(1).standard_normal((64, 64, 3, 3)).astype(np.float32)
    found = []
    for first in (True, False):
        v = Variable(w)
        with using_config("exact_convolution", first):
            y = F.sum(F.conv2d(x, v) ** 2)
        with using_config("exact_convolution", not first):
            y.backward()
        found.append(v.grad.data)
    close(found[0], found[1], 5e-6)


# --- what is kept -------------------------------------------------------------------------------


@pytest.mark.only_paths("shipped", reason="about windows that are kept")
@pytest.mark.parametrize("channels", [3, 64])
def test_what_was_kept_is_used_once(channels):
    """A second sweep gives the same numbers without it; no_grad keeps nothing."""
    rng = np.random.default_rng(0)
    x = Variable(rng.standard_normal((4, channels, 16, 16)).astype(np.float32))
    w = Variable(rng.standard_normal((64, channels, 3, 3)).astype(np.float32))
    y = F.conv2d(x, w, pad=1)
    kept = y.creator.asked["kept"]
    assert bool(kept) == (channels == 3)  # the windows; Winograd's algorithm keeps nothing
    F.sum(y).backward(retain_graph=True)
    first = [x.grad.data.copy(), w.grad.data.copy()]
    assert not kept
    x.cleargrad(), w.cleargrad()
    F.sum(y).backward()
    close(x.grad.data, first[0], 1e-6)
    close(w.grad.data, first[1], 1e-6)
    assert F.conv2d(x, w.data).creator.asked["kept"] is None
    with no_grad():
        assert F.conv2d(x, w).creator is None


@pytest.mark.parametrize("channels", [5, 64])
def test_graphs_side_by_side_keep_memory_of_their_own(channels):
    """A graph that still waits is left alone."""
    rng = np.random.default_rng(0)
    ws = [rng.standard_normal((64, channels, 3, 3)).astype(np.float32) for _ in range(6)]
    x = rng.standard_normal((4, channels, 16, 16)).astype(np.float32)

    def start(w: np.ndarray) -> tuple[Variable, Variable]:
        v = Variable(w)
        return v, F.sum(F.conv2d(x + w[0, 0, 0, 0], v, pad=1) ** 2)

    want = []
    for w in ws:
        v, y = start(w)
        y.backward()
        want.append(v.grad.data)
    waiting, found = {}, {}
    for i, w in enumerate(ws):
        waiting[i] = start(w)
        if i % 2:  # the older one first
            v, y = waiting.pop(min(waiting))
            y.backward()
            found[len(found)] = v.grad.data
    for v, y in waiting.values():
        y.backward()
        found[len(found)] = v.grad.data
    for i, expected in enumerate(want):
        np.testing.assert_array_equal(found[i], expected)


@pytest.mark.only_paths("shipped", reason="about windows that are kept")
def test_windows_of_large_images_are_not_kept():
    """Nine times the image is too much; a few channels give no more than the result has."""
    x, w = np.zeros((1, 40, 160, 160), np.float64), Variable(np.zeros((8, 40, 3, 3)))
    assert not F.conv2d(x, w).creator.asked["kept"]
    w = Variable(np.zeros((64, 3, 3, 3)))
    kept = F.conv2d(np.zeros((8, 3, 160, 160)), w).creator.asked["kept"]
    assert kept["windows"].nbytes <= 64 * 8 * 158 * 158 * 8


# --- memory order, dtypes, threads --------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chains_in_any_memory_order(order, dtype):
    """Few channels to many, through Winograd's, strided, grouped, 1x1: what comes in any order."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3, 20, 20)).astype(dtype)
    shapes = [(48, 3, 3, 3), (48, 48, 3, 3), (48, 24, 3, 3), (16, 48, 1, 1), (4, 16, 2, 2)]
    ws = [(rng.standard_normal(s) / np.sqrt(np.prod(s[1:]))).astype(dtype) for s in shapes]
    words = [{"pad": 1}, {"pad": 1}, {"groups": 2, "stride": 2}, {}, {"dilation": 2}]

    def run(x: Any, ws: Any) -> list[Any]:
        vs = [Variable(x), *map(Variable, ws)]
        y = vs[0]
        for v, word in zip(vs[1:], words, strict=True):
            y = F.conv2d(y, v, **word)
        F.sum(y * y).backward()
        return [y.data, *(v.grad.data for v in vs)]

    want = run(x.astype(np.float64), [w.astype(np.float64) for w in ws])
    for a, b in zip(run(in_order(x, ORDERS[order]), ws), want, strict=True):
        close(a, b, 5e-6 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "gelu", "softplus", "silu", "leaky_relu"])
def test_what_follows_keeps_the_memory_order(name):
    """Forward and backward: the next convolution finds its input as it wants it."""
    rng = np.random.default_rng(0)
    array = rng.standard_normal((2, 64, 20, 20)).astype(np.float32)
    x, plain = Variable(in_order(array, ORDERS["channels-last"])), Variable(array)
    y, want = getattr(F, name)(x), getattr(F, name)(plain)
    for part in (y, want):
        part.grad = Variable(in_order(array, ORDERS["channels-last"]))
        part.backward()
    assert y.data.strides == x.data.strides == x.grad.data.strides
    np.testing.assert_array_equal(y.data, want.data)
    np.testing.assert_array_equal(x.grad.data, plain.grad.data)


def test_half_precision_is_summed_in_single():
    x, w = np.full((1, 512, 3, 3), 0.1, np.float16), np.full((1, 512, 3, 3), 0.1, np.float16)
    y = F.conv2d(x, w)
    assert y.dtype == np.float16
    want = 4608 * float(np.float16(0.1)) ** 2
    assert abs(float(y.data[0, 0, 0, 0]) - want) < 0.02


def test_mixed_types():
    """Each gradient has the dtype of its operand; integers are taken as they are."""
    x, w = Variable(np.ones((1, 2, 4, 4), np.float32)), Variable(np.ones((3, 2, 2, 2)))
    y = F.conv2d(x, w)
    F.sum(y).backward()
    assert (y.dtype, x.grad.dtype, w.grad.dtype) == (np.float64, np.float32, np.float64)
    whole = F.conv2d(np.arange(9).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2), np.int64))
    assert whole.dtype.kind == "i"
    assert whole.data.tolist() == [[[[8, 12], [20, 24]]]]


@pytest.fixture(params=[1, 3])
def limit(request):
    before = threads.limit()
    threads.set_limit(request.param)
    yield request.param
    threads.set_limit(before)


def test_threads_have_memory_of_their_own(limit):
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((4, 64, 20, 20)).astype(np.float32) for _ in range(4)]
    inputs += [rng.standard_normal((4, 5, 20, 20)).astype(np.float32) for _ in range(2)]
    ws = {c: rng.standard_normal((64, c, 3, 3)).astype(np.float32) for c in (64, 5)}

    def step(x: np.ndarray) -> list[np.ndarray]:
        v, w = Variable(x), Variable(ws[x.shape[1]])
        y = F.conv2d(v, w, pad=1)
        F.sum(y * y).backward()
        return [y.data, v.grad.data, w.grad.data]

    want = [step(x) for x in inputs]
    found: list[Any] = [None] * len(inputs)

    def work(i: int) -> None:
        for _ in range(3):
            found[i] = step(inputs[i])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    for got, expected in zip(found, want, strict=True):
        for a, b in zip(got, expected, strict=True):
            if limit == 1:
                np.testing.assert_array_equal(a, b)
            else:  # how many threads BLAS has depends on who else is at work
                np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.max(np.abs(b)))


# --- the book's names ---------------------------------------------------------------------------


@pytest.mark.parametrize(("stride", "pad"), [(1, 0), (2, 1), ((1, 2), (2, 0))])
def test_book_forms_agree(stride, pad, lane):
    if lane.name == "dask":
        pytest.skip("matrices of windows need reshapes that Dask cannot do")
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 3, 2)), np.ones(4)
    results = []
    for function in (F.conv2d, F.conv2d_simple):
        xs = [lane.variable(v) for v in values]
        y = function(*xs, stride, pad)
        F.sum(y**3).backward()
        results.append([lane.numpy(y), *(lane.numpy(x.grad) for x in xs)])
    for a, b in zip(*results, strict=True):
        close(a, b, 1e-12)
    applied = Conv2d(stride, pad)(*(lane.array(v) for v in values))
    close(lane.numpy(applied), results[0][0])


def test_im2col_and_col2im():
    x = np.arange(2 * 3 * 4 * 5, dtype=float).reshape(2, 3, 4, 5)
    columns = im2col_array(x, (2, 3), (1, 2), (1, 0), False)
    rows = im2col_array(x, (2, 3), (1, 2), (1, 0))
    assert isinstance(rows, np.ndarray)
    assert columns.shape == (2, 3, 2, 3, 5, 2)
    assert rows.shape == (2 * 5 * 2, 3 * 2 * 3)
    np.testing.assert_array_equal(
        rows, columns.transpose(0, 4, 5, 1, 2, 3).reshape(2 * 5 * 2, 3 * 2 * 3)
    )
    for i, j in np.ndindex(5, 2):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
        window = padded[:, :, i : i + 2, 2 * j : 2 * j + 3]
        np.testing.assert_array_equal(columns[..., i, j], window)
    g = np.random.default_rng(0).standard_normal(rows.shape)
    back = col2im_array(g, x.shape, (2, 3), (1, 2), (1, 0))
    assert isinstance(back, np.ndarray)
    np.testing.assert_allclose(np.sum(back * x), np.sum(g * rows))
    v = Variable(x)
    F.sum(F.im2col(v, (2, 3), (1, 2), (1, 0)) * g).backward()
    np.testing.assert_allclose(v.grad.data, back)
    u = Variable(g)
    F.sum(F.col2im(u, x.shape, (2, 3), (1, 2), (1, 0)) * x).backward()
    np.testing.assert_allclose(u.grad.data, rows)


def test_deconv2d_with_the_size_of_the_result():
    x, w = np.ones((1, 1, 3, 3)), np.ones((1, 2, 3, 3))
    assert F.deconv2d(x, w, None, 2, 1).shape == (1, 2, 5, 5)
    assert F.deconv2d(x, w, None, 2, 1, (6, 5)).shape == (1, 2, 6, 5)
    assert F.deconv2d(x, w, None, 2, 1, np.int64(6)).shape == (1, 2, 6, 6)
    close(
        F.deconv2d(x, w, None, 2, 1, (6, 5)).data,
        F.deconv2d(x, w, None, 2, 1, output_padding=(1, 0)).data,
    )


def test_sizes():
    for n, k, s, p in ((4, 3, 1, 1), (7, 2, 3, 0), (5, 5, 2, 2)):
        size = F.get_conv_outsize(n, k, s, p)
        assert F.conv1d(np.ones((1, 1, n)), np.ones((1, 1, k)), None, s, p).shape[2] == size
        back = F.get_deconv_outsize(n, k, s, p)
        assert F.deconv1d(np.ones((1, 1, n)), np.ones((1, 1, k)), None, s, p).shape[2] == back
    for message, function, arguments in (
        ("kernel of 5 has no place in an input of 2", F.get_conv_outsize, (2, 5, 1, 1)),
        (
            "size 1, kernel 1, stride 1, pad 1 give -1, .* least 1",
            F.get_deconv_outsize,
            (1, 1, 1, 1),
        ),
    ):
        with pytest.raises(ValueError, match=message):
            function(*arguments)


# --- messages -----------------------------------------------------------------------------------

X, W = np.ones((2, 4, 5, 6)), np.ones((3, 4, 3, 3))
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "rank": (lambda: F.conv2d(X[0], W), ValueError, r"conv2d: x has shape \(4, 5, 6\)"),
    "ranks-differ": (lambda: F.conv(X, W[0]), ValueError, r"w \(4, 3, 3\), expected 4 dimensions"),
    "too-many": (lambda: F.conv(X[None, None], W), ValueError, "expected 3 to 5 dimensions"),
    "number": (lambda: F.conv2d(X, 2.0), TypeError, "w is <class 'float'>, expected an array"),
    "channels": (lambda: F.conv2d(X[:, :3], W), ValueError, "expected 4 channels in x, got 3"),
    "groups": (lambda: F.conv2d(X, W, groups=3), ValueError, "groups is 3, .* the 4 channels"),
    "groups-outputs": (lambda: F.conv2d(X, W[:, :2], groups=2), ValueError, "3 outputs of w"),
    "groups-type": (lambda: F.conv2d(X, W, groups=1.0), TypeError, "groups is 1.0, .* integer"),
    "groups-zero": (lambda: F.conv2d(X, W, groups=0), ValueError, "groups is 0"),
    "bias": (lambda: F.conv2d(X, W, np.ones(4)), ValueError, r"b has shape \(4,\), .* \(3,\)"),
    "kernel": (lambda: F.conv2d(X, W, dilation=3), ValueError, "spans 7 in dimension 0, .* most 5"),
    "stride": (lambda: F.conv2d(X, W, stride=0), ValueError, "stride is 0, expected at least 1"),
    "stride-type": (lambda: F.conv2d(X, W, stride=1.5), TypeError, "stride is 1.5"),
    "stride-truth": (lambda: F.conv2d(X, W, stride=True), TypeError, "stride is True, .* integer"),
    "stride-three": (lambda: F.conv2d(X, W, stride=(1, 1, 1)), ValueError, "stride has 3 numbers"),
    "dilation": (lambda: F.conv2d(X, W, dilation=(1, -1)), ValueError, "dilation is"),
    "pad": (lambda: F.conv2d(X, W, pad=-1), ValueError, "pad is -1, expected at least 0"),
    "pad-word": (lambda: F.conv2d(X, W, pad="full"), ValueError, "pad is 'full', expected 'same'"),
    "pad-pairs": (lambda: F.conv2d(X, W, pad=((1, 1),)), ValueError, "expected 2 pairs"),
    "pad-mixed": (lambda: F.conv2d(X, W, pad=((1, 1), 1)), ValueError, "expected 2 pairs"),
    "deconv-channels": (lambda: F.deconv2d(X, W), ValueError, "expected 3 channels in x, got 4"),
    "deconv-bias": (
        lambda: F.deconv2d(X[:, :3], W, np.ones(3)), ValueError, r"\(3,\), expected \(4,\)",
    ),
    "outsize": (
        lambda: F.deconv2d(X[:, :3], W, None, 2, 0, 99), ValueError, r"size \(99, 99\) does not",
    ),
    "output-padding": (
        lambda: F.conv_transpose(X[:, :3], W, output_padding=1), ValueError, "less than the stride",
    ),
    "output-padding-and-size": (
        lambda: F.conv_transpose(X[:, :3], W, None, 2, 1, output_padding=1, outsize=(10, 12)),
        ValueError, "none beside outsize",
    ),
    "cut-to-nothing": (
        lambda: F.conv_transpose(X[:, :3], W, pad=9), ValueError, "does not come from",
    ),
    "unfold-rank": (lambda: F.unfold(X[0, 0], 2), ValueError, "expected 3 to 5 dimensions"),
    "unfold-kernel": (lambda: F.unfold(X, 9), ValueError, "unfold: the kernel"),
    "unfold-zero": (lambda: F.unfold(X, 0), ValueError, "kernel_size is 0"),
    "fold-shape": (lambda: F.fold(np.ones((1, 4, 5)), (4, 4), 2), ValueError, r"\* 4, 9\)"),
    "im2col-rank": (lambda: F.im2col(X[0], 2), ValueError, "im2col: .* 4 dimensions"),
    "col2im-shape": (
        lambda: F.col2im(np.ones((3, 3)), (1, 1, 4, 4), 2), ValueError, r"expected \(9, 4\)",
    ),
    "simple": (lambda: F.conv2d_simple(X, W[:, :2]), ValueError, "conv2d_simple: x has 4 channels"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


def test_two_libraries_are_refused(chosen_lane):
    lane = chosen_lane("strict")
    with pytest.raises(TypeError, match="different places"):
        F.conv2d(lane.array(X), W)


def test_pads_may_be_lists_and_numbers_of_numpy():
    a = F.conv2d(X, W, None, np.int64(2), [np.int64(1), 2])
    b = F.conv2d(X, W, None, [2, 2], [[1, 1], (2, 2)])
    np.testing.assert_array_equal(a.data, b.data)
    sizes = [F.conv2d(X, W, pad=p).shape[2] for p in range(3)]
    assert all(after - before == 2 for before, after in pairwise(sizes))


def test_no_channels_is_an_error():
    with pytest.raises(ValueError, match=r"x of shape \(1, 0, 5, 5\) has no channels"):
        F.conv2d(np.ones((1, 0, 5, 5)), np.ones((2, 0, 3, 3)))
