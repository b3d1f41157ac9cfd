"""Generated kernels: what they compute, as the host runs them, and that NVIDIA compiles them."""

from __future__ import annotations

import array_api_compat.numpy as standard
import numpy as np
import pytest

from dezero import backends
from dezero.backends import cuda_source
from dezero.backends.cuda_source import OPTIONS, Formulas, Load, Unfusable, elementwise, rows
from gpu import host, toolkit

NUMPY = backends.get("numpy")
ONE = """
    abs acos acosh asin asinh atan atanh ceil cos cosh erf exp expm1 floor isfinite isinf isnan log
    log10 log1p log2 logical_not negative positive reciprocal round sign signbit sin sinh sqrt
    square tan tanh trunc sigmoid softplus
"""
TWO = """
    add atan2 copysign divide equal floor_divide greater greater_equal hypot less less_equal
    logaddexp logical_and logical_or logical_xor maximum minimum multiply nextafter not_equal pow
    remainder subtract xdivy
"""
WHOLE = """
    add bitwise_and bitwise_or bitwise_xor equal floor_divide greater less maximum minimum multiply
    not_equal remainder subtract
"""
needs_host = pytest.mark.skipif(host.COMPILER is None, reason="there is no C++ compiler")
_EXACT = """
    abs add ceil copysign divide floor floor_divide maximum minimum multiply negative nextafter
    reciprocal remainder round sign sqrt square subtract trunc xdivy
"""
EXACT = frozenset(_EXACT.split())


def numbers(dtype, seed):
    """Ordinary ones and all that are special."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        big = float(np.finfo(dtype).max)
        special = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.5, np.inf, -np.inf, np.nan, big, 1e-3]
        pairs = np.array([(a, b) for a in special for b in special])
        normal = rng.normal(size=(300, 2)) * 3
        return np.concatenate([pairs, normal]).astype(dtype).T
    limits = np.iinfo(dtype)
    special = [0, 1, 2, 3, 7, limits.max, limits.min, limits.max - 1]
    if limits.min:
        special += [-1, -2, -3, -7]
    return np.array([(a, b) for a in special for b in special], dtype).T


def of_elements(names, *operands):
    """The results of many functions, by one kernel, and the symbols' dtypes."""
    xp = Formulas()
    loads = [Load(x.dtype) for x in operands]
    outputs = [getattr(xp, name)(*loads) for name in names]
    source = elementwise("all_of_them", loads, outputs)
    results = [np.empty(operands[0].shape, dtype) for dtype, _ in source.results]
    size = np.array(operands[0].size, np.uint32)
    host.run(source.code, source.name, 3, [*operands, *results, size])
    return source, dict(zip(names, results, strict=True))


def close(found, wanted, name):
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted, err_msg=name)
        return
    eps = np.finfo(wanted.dtype).eps
    rtol = 0 if name in EXACT else 8 * eps
    tiny = float(np.finfo(wanted.dtype).smallest_normal)
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=0 if rtol == 0 else tiny)
    zeros = (wanted == 0) & (found == 0)
    np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(wanted[zeros]), name)


@needs_host
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("names", [ONE, TWO], ids=["one", "two"])
def test_functions_of_floating_numbers(dtype, names):
    a, b = np.ascontiguousarray(numbers(dtype, 0))
    operands = (a,) if names is ONE else (a, b)
    _, results = of_elements(names.split(), *operands)
    for name, found in results.items():
        with np.errstate(all="ignore"):
            wanted = getattr(NUMPY, name)(*operands)
        assert found.dtype == wanted.dtype, name
        close(found, wanted, name)


@needs_host
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64"])
def test_functions_of_integers(dtype):
    a, b = np.ascontiguousarray(numbers(dtype, 0))
    names = WHOLE.split()
    _, results = of_elements(names, a, b)
    bits = np.clip(b, 0, 7).astype(dtype)
    _, shifts = of_elements(["bitwise_left_shift", "bitwise_right_shift"], a, bits)
    _, single = of_elements(["abs", "negative", "sign", "bitwise_invert", "square", "floor"], a)
    for operands, some in (((a, b), results), ((a, bits), shifts), ((a,), single)):
        for name, found in some.items():
            with np.errstate(all="ignore"):
                wanted = getattr(standard, name)(*operands)
            assert found.dtype == wanted.dtype, name
            np.testing.assert_array_equal(found, wanted, err_msg=name)


@needs_host
@pytest.mark.skipif(not host.HALF, reason="the host has no half precision")
def test_half_precision_is_computed_in_single_precision():
    a, b = (np.ascontiguousarray(x) for x in numbers(np.float16, 0))
    names = ["tanh", "exp", "sigmoid", "softplus"]
    _, found = of_elements(names, a)
    for name in names:
        with np.errstate(all="ignore"):
            wanted = getattr(NUMPY, name)(a.astype(np.float32)).astype(np.float16)
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)
    xp = Formulas()
    loads = [Load(a.dtype), Load(b.dtype)]
    y = xp.astype(loads[0] * loads[1], np.float32)
    through = xp.astype(xp.astype(xp.astype(loads[0], "float32") * 1.001, "float16"), "float32")
    source = elementwise("halves", loads, [y, through])
    results = [np.empty(a.shape, np.float32) for _ in range(2)]
    host.run(source.code, "halves", 1, [a, b, *results, np.array(a.size, np.uint32)])
    with np.errstate(all="ignore"):
        wide = a.astype(np.float32)
        np.testing.assert_array_equal(results[0], wide * b.astype(np.float32))
        rounded = (wide * np.float32(1.001)).astype(np.float16)
        np.testing.assert_array_equal(results[1], rounded.astype(np.float32))


@needs_host
def test_python_numbers_take_the_dtype_of_arrays():
    xp, x = Formulas(), Load(np.float32)
    n = Load(np.int32)
    results = [x * 0.1, 2 / x, x**2, 1 - n, n * 1.5, xp.where(x > 0.1, x, 0), 2.0**x]
    source = elementwise("numbers", [x, n], results)
    a, k = np.linspace(-1, 1, 7, dtype=np.float32), np.arange(-3, 4, dtype=np.int32)
    out = [np.empty(7, dtype) for dtype, _ in source.results]
    host.run(source.code, "numbers", 1, [a, k, *out, np.array(7, np.uint32)])
    with np.errstate(all="ignore"):
        wanted = [a * 0.1, 2 / a, a**2, 1 - k, k * 1.5, np.where(a > 0.1, a, 0), 2.0**a]
    for found, true in zip(out, wanted, strict=True):
        assert found.dtype == true.dtype
        np.testing.assert_allclose(found, true, rtol=2e-7)


def test_what_no_kernel_can_do():
    xp, x = Formulas(), Load(np.float32, (3, 4))
    with pytest.raises(Unfusable):
        Load(np.complex64)
    for attempt in (
        lambda: bool(x > 0),
        lambda: float(x),
        lambda: iter(x),
        lambda: x[0],
        lambda: xp.sum(x),
        lambda: xp.matmul(x, x),
        lambda: xp.sin(Load(np.bool_)) and xp.floor_divide(Load(np.bool_), Load(np.bool_)),
        lambda: x + np.ones(3),
        lambda: x + Load(np.float32, (5, 4)),
        lambda: Formulas((1,)).sum(x, axis=0),
        lambda: xp.reshape(x, (4, 3)),
    ):
        with pytest.raises(Unfusable):
            attempt()


# --- what NVIDIA's compilers say ------------------------------------------------------------------


AS_CUPY = (*OPTIONS, "--std=c++17", "-ftz=true")  # what CuPy adds


def sources():
    """Kernels of all kinds, for all dtypes."""
    found = []
    for dtype in ("float32", "float16", "float64"):
        xp = Formulas()
        a, b, c = Load(dtype), Load(dtype), Load("bool")
        outputs = [getattr(xp, name)(a) for name in ONE.split()]
        outputs += [getattr(xp, name)(a, b) for name in TWO.split()]
        outputs += [xp.gelu(a, kind) for kind in ("none", "tanh")]
        outputs += [
            xp.gelu_grad(a, b, xp.gelu(b, "tanh"), "tanh"),
            xp.only(a, c),
            xp.clip(a, -1, 1),
        ]
        found.append((dtype, elementwise("each", [a, b, c], outputs)))
        for width in (256,) if dtype == "float32" else (32,):
            xp = Formulas((1,))
            x, g = Load(dtype, (3, 5)), Load(dtype, (3, 5))
            t, total = Load("int64", (3,), "row", False), Load("float32", (3,), "row", False)
            mask = Load("bool", (3, 5), "i % m")
            scale = Load(dtype, (1, 5), "col")
            outputs = [xp.softmax(x, 1), xp.softmax_grad(g, x, 1), xp.log_softmax(x, 1)]
            outputs += [xp.masked_softmax(x, mask, False), *xp.nll(x, t, None)]
            outputs += [xp.normalize([x, scale], (1,), 1e-5, True, {})]
            outputs += [xp.nll_grad(total, total, x, t, total, None), xp.min(x, axis=1)]
            loads = [x, g, t, total, mask, scale]
            found.append((dtype, rows("row_wise", loads, outputs, width, extra=("m",))))
    for dtype in ("int8", "uint16", "int32", "int64"):
        xp = Formulas()
        a, b = Load(dtype), Load(dtype)
        names = [*WHOLE.split(), "bitwise_left_shift", "bitwise_right_shift"]
        outputs = [getattr(xp, name)(a, b) for name in names]
        found.append((dtype, elementwise("whole", [a, b], [*outputs, xp.abs(a), ~a], large=True)))
    return found


@pytest.mark.skipif(toolkit.found() is None, reason=toolkit.MISSING)
@pytest.mark.parametrize("arch", [80, 90])
def test_the_sources_compile(arch):
    for dtype, source in sources():
        if dtype == "float16" and not toolkit.has_halves():
            continue
        if arch == 80 and dtype != "float32":  # 90 has shown that they are C
            continue
        text = toolkit.compiled(source.code, arch, AS_CUPY)
        assert f".entry {source.name}(" in text
        assert f".target sm_{arch}" in text
        if source.width:
            assert f".maxntid {max(source.width, 128)}" in text


@pytest.mark.skipif(toolkit.found() is None, reason=toolkit.MISSING)
def test_a_product_is_not_contracted_with_a_sum():
    a, b, c = (Load("float32") for _ in range(3))
    code = elementwise("k", [a, b, c], [a * b + c]).code
    assert "fma.rn.f32" not in toolkit.compiled(code, 90, OPTIONS)
    assert "fma.rn.f32" in toolkit.compiled(code, 90, ())


def test_sources_depend_on_nothing_but_the_formula():
    first, second = sources(), sources()
    assert first == second
    assert len({source.code for _, source in first}) == len(first)
    assert cuda_source.OPTIONS == ("--fmad=false",)
