"""The kernel of convolution: what it computes, block for block, and that NVIDIA compiles it."""

from __future__ import annotations

import itertools

import array_api_compat.numpy as standard
import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Variable, backends
from dezero.backends import Backend, cuda_convolution
from dezero.backends.convolution import Geometry, result_size
from dezero.backends.cuda_convolution import source
from dezero.backends.cuda_source import OPTIONS
from dezero.compiler import cuda
from gpu import fake_cublas, fake_cupy, host, toolkit
from gpu.test_programs import Recorder

PLAIN = Backend(standard, "plain")
# Image, weights, stride, padding, dilation, groups.
CASES = {
    "3x3": ((2, 17, 5, 6), (18, 17, 3, 3), 1, 1, 1, 1),
    "one batch of one place": ((1, 16, 3, 3), (16, 16, 3, 3), 1, 0, 1, 1),
    "strides": ((2, 16, 7, 9), (20, 16, 3, 2), (2, 3), (1, 2), 1, 1),
    "places that nothing meets": ((1, 16, 9, 8), (16, 16, 2, 1), (3, 2), 0, 1, 1),
    "dilation": ((1, 16, 9, 9), (16, 16, 3, 3), 1, 2, (2, 3), 1),
    "dilation and stride": ((1, 16, 11, 10), (16, 16, 3, 2), (4, 2), 1, (2, 3), 1),
    "uneven padding": ((1, 16, 5, 5), (16, 16, 2, 2), 1, ((0, 1), (2, 0)), 1, 1),
    "groups": ((2, 32, 4, 5), (48, 16, 3, 3), 1, 1, 1, 2),
    "one element with a stride": ((2, 16, 5, 5), (16, 16, 1, 1), 2, 0, 1, 1),
    "one dimension": ((3, 16, 30), (40, 16, 5), 2, 2, 1, 1),
    "three dimensions": ((1, 16, 3, 4, 5), (16, 16, 2, 3, 2), (1, 2, 1), 1, (1, 1, 2), 1),
    "many channels": ((1, 70, 4, 4), (130, 70, 3, 3), 1, 1, 1, 1),
    "many places": ((8, 16, 20, 20), (16, 16, 3, 3), 1, 1, 1, 1),
}


def each(value, rank):
    return (value,) * rank if isinstance(value, int) else value


def made(case):
    """Whole numbers, whose sums are exact in every dtype, and the geometry."""
    shape, weights, stride, pad, dilation, groups = CASES[case]
    rank = len(shape) - 2
    pads = tuple(each(p, 2) for p in each(pad, rank))
    geometry = Geometry(each(stride, rank), pads, each(dilation, rank), groups)
    rng = np.random.default_rng(0)
    result = shape[0], weights[0], *result_size(shape[2:], weights[2:], geometry)
    return *(rng.integers(-2, 3, s) for s in (shape, weights, result)), geometry


def maps(xp, x, w, g, geometry):
    return (
        xp.convolve([x, w], geometry),
        xp.convolve_input([g, w], x.shape[2:], geometry),
        xp.convolve_weight([x, g], w.shape[2:], geometry),
    )


WAYS = {
    "float32": ("float32", False, "80"),
    "float64": ("float64", False, "80"),
    "tf32": ("float32", True, "80"),
    "tf32 on an old device": ("float32", True, "75"),
    "float16": ("float16", False, "90"),
    "float16 on an old device": ("float16", False, "75"),
}
TOGETHER = [("float32", case) for case in CASES]
TOGETHER += [(way, "groups") for way in WAYS if way != "float32"]
TOGETHER += [("tf32", "dilation and stride"), ("float16", "3x3")]


@pytest.mark.parametrize(("way", "case"), TOGETHER)
def test_the_three_maps_are_exact(cupy, monkeypatch, way, case):
    dtype, tf32, capability = WAYS[way]
    if dtype == "float16" and not host.HALF:
        pytest.skip("the host has no half precision")
    xp = backends.get("cupy")
    xp.tf32 = tf32
    monkeypatch.setattr(fake_cupy.Device, "compute_capability", capability)
    x, w, g, geometry = made(case)
    wanted = maps(PLAIN, *(a.astype("float64") for a in (x, w, g)), geometry)
    given = [xp.from_numpy(a.astype(dtype)) for a in (x, w, g)]
    found = maps(xp, *given, geometry)
    assert cupy.waits == []
    names = [s.name for s in xp.sources()]
    assert names.count("dezero_convolution") >= 2
    tensor = [("mma.sync" in s.code) for s in xp.sources() if s.name == "dezero_convolution"]
    assert set(tensor) == {capability >= "80" and (tf32 or dtype == "float16")}
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == dtype
        assert a.shape == b.shape
        np.testing.assert_array_equal(a.values, b.astype(dtype))
    xp.implicit_convolution = False
    before = len(xp.sources())
    for a, b in zip(maps(xp, *given, geometry), wanted, strict=True):
        np.testing.assert_allclose(a.values, b, rtol=2e-3 if dtype == "float16" else 0)
    assert len(xp.sources()) == before


def test_operands_are_rounded_to_ten_bits_and_sums_are_not(cupy):
    xp = backends.get("cupy")
    xp.tf32 = True
    x, w, _, geometry = made("3x3")
    third = np.float32(1 / 3)
    rounded = np.float32(np.float16(third))  # a mantissa of ten bits, too
    given = [(x * third).astype("float32"), w.astype("float32")]
    y = xp.convolve([xp.from_numpy(a) for a in given], geometry)
    wanted = PLAIN.convolve([x * np.float64(rounded), w.astype("float64")], geometry)
    np.testing.assert_allclose(y.values, wanted, rtol=1e-6, atol=1e-5)


def test_the_sum_over_places_is_cut_by_shapes_alone(cupy):
    xp = backends.get("cupy")
    x, w, g, geometry = made("many places")
    given = [xp.from_numpy(a.astype("float32") * np.float32(0.1)) for a in (x, g)]
    launched = []
    product = xp._product
    xp._product = lambda *arguments: (launched.append(arguments[4][4]), product(*arguments))
    first, second = (xp.convolve_weight(given, w.shape[2:], geometry).values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert launched == [6, 6]
    wanted = PLAIN.convolve_weight([a.values.astype("float64") for a in given], (3, 3), geometry)
    np.testing.assert_allclose(first, wanted, rtol=1e-5, atol=1e-5)


UNFIT = {
    "few channels": ((2, 3, 5, 5), (8, 3, 3, 3), 1, 1, 1, 1),
    "each channel alone": ((2, 16, 5, 5), (16, 1, 3, 3), 1, 1, 1, 16),
    "one element": ((2, 16, 5, 5), (16, 16, 1, 1), 1, 0, 1, 1),
    "no batch": ((0, 16, 5, 5), (16, 16, 3, 3), 1, 1, 1, 1),
    "complex": ((2, 16, 5, 5), (16, 16, 3, 3), 1, 1, 1, 1),
}


@pytest.mark.parametrize("case", UNFIT)
def test_where_no_tile_pays_windows_are_multiplied(cupy, monkeypatch, case):
    monkeypatch.setitem(CASES, case, UNFIT[case])
    xp = backends.get("cupy")
    x, w, g, geometry = made(case)
    dtype = "complex64" if case == "complex" else "float32"
    found = maps(xp, *(xp.from_numpy(a.astype(dtype)) for a in (x, w, g)), geometry)
    assert not xp.sources()
    for a, b in zip(found, maps(PLAIN, x, w, g, geometry), strict=True):
        np.testing.assert_array_equal(a.values, b)


def test_a_pointwise_convolution_lays_no_windows(cupy):
    xp = backends.get("cupy")
    x, w = (xp.from_numpy(np.ones(s, np.float32)) for s in ((2, 16, 5, 5), (16, 16, 1, 1)))
    before = cupy.launches
    xp.convolve([x, w], Geometry((1, 1), ((0, 0), (0, 0)), (1, 1)))
    assert cupy.launches - before == 1


def test_gradients_to_second_order(cupy):
    xp = backends.get("cupy")
    rng = np.random.default_rng(1)
    numbers = [rng.normal(size=s) for s in ((1, 16, 5, 4), (16, 16, 2, 3), (16,))]

    def run(where):
        x, w, b = (Variable(where.from_numpy(a)) for a in numbers)
        y = F.sum(F.sin(F.conv2d(x, w, b, stride=(2, 1), pad=1)))
        y.backward(create_graph=True)
        gx, gw = x.grad, w.grad
        for v in (x, w, b):
            v.cleargrad()
        F.sum(gx * gx * gx).backward()
        return [gx, gw, x.grad, w.grad, b.grad]

    found = run(xp)
    assert cupy.waits == []
    assert "dezero_convolution" in {s.name for s in xp.sources()}
    for a, b in zip(found, run(backends.get("numpy")), strict=True):
        np.testing.assert_allclose(xp.to_numpy(a.data), b.data, rtol=1e-9, atol=1e-9)


def test_convolutions_are_steps_of_a_graph(cupy, monkeypatch):
    fake_cublas.installed(cupy, monkeypatch)
    xp = backends.get("cupy")
    rng = np.random.default_rng(1)
    w = Variable(xp.from_numpy(rng.normal(size=(16, 16, 3, 3)).astype("float32") / 12))

    def slope(x):
        return dezero.grad(lambda x: F.sum(F.conv2d(F.tanh(F.conv2d(x, w, pad=1)), w, pad=1)))(x)

    step = dezero.compile(slope, fallback="error")
    for turn in range(4):
        x = Variable(xp.from_numpy(rng.normal(size=(1, 16, 4, 4)).astype("float32") + turn))
        np.testing.assert_allclose(step(x).data.values, slope(x).data.values, rtol=1e-5, atol=1e-6)
    program = long_program(xp, w.data)
    assert [s.name for s in cuda.captured(program, xp).steps] == ["graph"]


def long_program(xp, w):
    r = Recorder(xp, np.ones((1, 16, 4, 4), np.float32), w.values)
    x, w = r.inputs
    geometry = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1))
    for _ in range(2):
        x = r("tanh", r("convolve", [x, w], geometry))
        x = r("convolve_input", [x, w], (4, 4), geometry)
    for _ in range(2):
        x = r("exp", x)
    return r.finish(x)[0]


# --- what NVIDIA's compilers say ------------------------------------------------------------------


def kernels():
    """Of all dtypes, maps and tiles."""
    for by_place, (dtype, tensor) in itertools.product(
        (True, False),
        (("float32", False), ("float64", False), ("float32", True), ("float16", True)),
    ):
        tile = cuda_convolution._tile(200, dtype)
        taps = (3, 3) if by_place else (2, 3, 1)
        yield dtype, tensor, source(by_place, taps, dtype, dtype, tile, tensor)
    yield "float16", False, source(False, (5,), "float16", "float32", (32, 128), False)


@pytest.mark.skipif(toolkit.found() is None, reason=toolkit.MISSING)
@pytest.mark.parametrize("arch", [80, 90])
def test_the_kernels_compile(arch):
    for dtype, tensor, kernel in kernels():
        if dtype == "float16" and not toolkit.has_halves():
            continue
        if arch == 80 and not tensor:  # 90 has shown that they are C
            continue
        text = toolkit.compiled(kernel.code, arch, (*OPTIONS, "--std=c++17", "-ftz=true"))
        assert ".entry dezero_convolution(" in text
        assert ".maxntid 256" in text
        assert ("mma.sync.aligned" in text) is tensor
        if not tensor:
            assert f"fma.rn.{'f64' if dtype == 'float64' else 'ftz.f32'}" in text
        assert ".local" not in text  # sums stay in registers
