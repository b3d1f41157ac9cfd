"""Products of matrices in graphs: the calls of cuBLAS, on a library that computes on the host."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Variable, backends
from dezero import layers as L
from dezero.backends import cublas
from dezero.compiler import cuda
from dezero.optimizers import Adam
from gpu import fake_cublas, host, toolkit
from gpu.test_programs import draw, long_chain, run


@pytest.fixture
def library(cupy, monkeypatch):
    return fake_cublas.installed(cupy, monkeypatch)


def rows(x):
    return x


def columns(x):
    return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)


def spaced(x):
    """Each element and each row two places from the next."""
    wide = np.zeros([2 * n for n in x.shape], x.dtype)
    part = tuple([slice(None, None, 2)] * x.ndim)
    wide[part] = x
    return wide[part]


def gaps(x):
    """Rows with gaps between them."""
    wide = np.zeros((*x.shape[:-1], x.shape[-1] + 3), x.dtype)
    wide[..., : x.shape[-1]] = x
    return wide[..., : x.shape[-1]]


def swapped(x):
    """The axes of the batch in another order in memory."""
    return np.ascontiguousarray(x.swapaxes(0, -3)).swapaxes(0, -3)


SHAPES = {
    "matrices": ((3, 4), (4, 5)),
    "one row": ((1, 4), (4, 5)),
    "one column": ((3, 4), (4, 1)),
    "outer": ((3, 1), (1, 5)),
    "a vector on the left": ((4,), (4, 5)),
    "a vector on the right": ((2, 3, 4), (4,)),
    "two vectors": ((4,), (4,)),
    "batches": ((6, 3, 4), (6, 4, 5)),
    "one matrix for all": ((6, 3, 4), (4, 5)),
    "one on the left for all": ((3, 4), (2, 6, 4, 5)),
    "broadcast both ways": ((2, 1, 3, 4), (1, 3, 4, 2)),
    "no batch": ((0, 3, 4), (4, 5)),
    "nothing to sum": ((3, 0), (0, 5)),
}
LAYOUTS = [(rows, rows), (columns, rows), (rows, columns), (columns, columns), (gaps, columns)]
LAYOUTS += [(spaced, gaps), (swapped, rows), (rows, swapped)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", SHAPES)
def test_products_of_all_layouts(cupy, library, kind, dtype):
    if dtype == "float16" and not host.HALF:
        pytest.skip("the host has no half precision")
    xp = backends.get("cupy")
    first, second = (draw(*shape).astype(dtype) for shape in SHAPES[kind])
    ways = 0
    for left, right in LAYOUTS:
        if any(x.ndim < 2 and way is not rows for x, way in ((first, left), (second, right))):
            continue
        if any(x.ndim < 3 and way is swapped for x, way in ((first, left), (second, right))):
            continue
        a, b = cupy.ndarray(left(first)), cupy.ndarray(right(second))
        with xp.cublas.on(cupy.cuda.Stream()):
            y = xp.matmul(a, b)
        wanted = np.matmul(first, second)
        assert y.dtype == wanted.dtype
        assert y.shape == wanted.shape
        eps = float(np.finfo(dtype).eps)
        np.testing.assert_allclose(y.values, wanted, rtol=8 * eps, atol=8 * eps)
        ways += 1
    assert len(library.calls) == (0 if 0 in (*first.shape, *second.shape) else ways)
    assert not xp.cublas.active


def test_rows_columns_and_broadcast_operands_are_not_copied(cupy, library):
    xp = backends.get("cupy")
    x, w = cupy.ndarray(draw(6, 3, 4)), cupy.ndarray(draw(4, 5))
    t = cupy.ndarray(columns(draw(6, 5, 4)).swapaxes(1, 2))
    with xp.cublas.on(cupy.cuda.Stream()):
        before = cupy.launches
        for b in (w, t, cupy.ndarray(columns(draw(4, 5)))):
            xp.matmul(x, b)
        assert cupy.launches - before == 3
        xp.matmul(x, cupy.ndarray(spaced(draw(4, 5))))
        assert cupy.launches - before == 5


def test_other_dtypes_are_left_to_cupy(cupy, library):
    xp = backends.get("cupy")
    a, b = draw(3, 4), draw(4, 5)
    with xp.cublas.on(cupy.cuda.Stream()):
        for x, y in ((a.astype("complex64"), b.astype("complex64")), (a, b.astype("float64"))):
            product = xp.matmul(cupy.ndarray(x), cupy.ndarray(y))
            np.testing.assert_allclose(product.values, x @ y, rtol=1e-5)
    assert not library.calls


def test_tf32_is_asked_for(cupy, library):
    xp = backends.get("cupy")
    a, b = cupy.ndarray(draw(3, 4)), cupy.ndarray(draw(4, 5))
    kinds = []
    for tf32 in (False, True):
        xp.tf32 = tf32
        with xp.cublas.on(cupy.cuda.Stream()):
            xp.matmul(a, b)
        kinds.append(int.from_bytes(library.calls[-1][-8:-4], "little"))
        kinds.append(int.from_bytes(library.calls[-1][-4:], "little"))
    assert 68 in kinds[:2]
    assert 77 in kinds[2:]


# --- prototypes -----------------------------------------------------------------------------------

HEADER = next(iter(toolkit.places("include/cublas_api.h")), None)


@pytest.mark.skipif(HEADER is None, reason="there is no cublas_api.h (pip: nvidia-cublas-cu12)")
def test_the_prototypes_are_those_of_the_header():
    text = Path(HEADER).read_text(encoding="utf-8")
    kinds = {ctypes.c_int: "number", ctypes.c_longlong: "long", ctypes.c_size_t: "size"}
    for name, arguments in cublas.SIGNATURES.items():
        found = re.search(rf"CUBLASWINAPI {name}\(([^)]*)\);", text)
        wanted = []
        for argument in found[1].split(","):
            kind = argument.strip().rpartition(" ")[0]
            if "*" in argument or kind in ("cublasHandle_t", "cudaStream_t"):
                wanted.append("place")
            else:
                wanted.append({"long long int": "long", "size_t": "size"}.get(kind, "number"))
        assert [kinds.get(a, "place") for a in arguments] == wanted, name
    for name, value in (
        ("CUBLAS_OP_N", cublas._PLAIN),
        ("CUBLAS_OP_T", cublas._TRANSPOSED),
        ("CUBLAS_GEMM_DEFAULT", cublas._DEFAULT),
        ("CUBLAS_COMPUTE_32F", cublas._COMPUTE["float32"]),
        ("CUBLAS_COMPUTE_64F", cublas._COMPUTE["float64"]),
        ("CUBLAS_COMPUTE_32F_FAST_TF32", cublas._COMPUTE_TF32),
    ):
        assert re.search(rf"\b{name} = {value},", text), name


# --- graphs ---------------------------------------------------------------------------------------


def test_a_product_is_a_step_of_a_graph(cupy, library):
    xp = backends.get("cupy")
    program, (wanted,) = long_chain(xp, product=True)
    new = cuda.captured(program, xp)
    (step,) = new.steps
    graph = step.call
    w = xp.from_numpy(draw(6, 6))
    for turn in range(4):
        arrays = [xp.from_numpy(draw(4, 6) * (1.0 + turn)), w]
        (y,) = run(new, arrays)
        (true,) = run(program, arrays)
        np.testing.assert_allclose(xp.to_numpy(y), xp.to_numpy(true), rtol=1e-6)
        if not turn:
            np.testing.assert_allclose(xp.to_numpy(y), wanted, rtol=1e-6)
    assert graph.reason is None
    assert graph.launches == 3
    assert [own is None for own in graph._inputs] == [False, True]  # the weights are read in place
    assert len(library.calls) == 2  # once for real, once captured


def test_an_argument_that_moves_later_is_copied_from_then_on(cupy, library):
    xp = backends.get("cupy")
    program, _ = long_chain(xp, product=True)
    new = cuda.captured(program, xp)
    graph = new.steps[0].call
    x, w = xp.from_numpy(draw(4, 6)), None
    for turn in range(6):
        w = xp.from_numpy(draw(6, 6) + turn) if turn in (0, 3, 4) else w
        (y,) = run(new, [x, w])
        np.testing.assert_allclose(xp.to_numpy(y), xp.to_numpy(run(program, [x, w])[0]), rtol=1e-6)
        x += 0.5  # in place, as an update of a parameter
    assert graph.launches == 5
    assert [own is None for own in graph._inputs] == [True, False]
    assert len(library.calls) == 4


def test_without_a_handle_products_stay_outside(cupy, library):
    xp = backends.get("cupy")
    library.fail(1)
    program, _ = long_chain(xp, product=True)
    assert [step.name for step in cuda.captured(program, xp).steps] == ["matmul", "graph"]


def test_where_cublas_fails_graphs_go_on_without_products(cupy, library):
    xp = backends.get("cupy")
    library.fail(2)
    program, (wanted,) = long_chain(xp, product=True)
    new = cuda.captured(program, xp)
    arrays = [xp.from_numpy(draw(4, 6)), xp.from_numpy(draw(6, 6))]
    counts = []
    for _ in range(5):
        before = cupy.launches
        np.testing.assert_array_equal(xp.to_numpy(run(new, arrays)[0]), wanted)
        counts.append(cupy.launches - before)
    assert "cublasGemmStridedBatchedEx: status 13" in new.steps[0].call.reason
    assert counts[-1] < counts[0] / 2
    assert not xp.cublas.active


def test_a_whole_step_of_training_is_a_graph_and_never_waits(cupy, library):
    xp = backends.get("cupy")
    t = np.arange(8) % 4

    def trained(where):
        network = L.Sequential(L.Linear(16, in_size=6), F.tanh, L.LayerNorm(16), L.Linear(4))
        network(np.zeros((1, 6), np.float32))
        for i, (_, p) in enumerate(sorted(network.namedparams())):
            p.data = np.cos(np.arange(p.size) + i).astype(np.float32).reshape(p.shape)
        network.to(where.name)
        optimizer = Adam(0.01).setup(network)

        @dezero.compile(fallback="error")
        def step(x, t):
            loss = F.softmax_cross_entropy(network(x), t)
            network.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        losses = []
        for turn in range(6):
            x = Variable(where.from_numpy(draw(8, 6) * (1 + turn)))
            losses.append(step(x, where.from_numpy(t)))
        return [*losses, *(p for _, p in sorted(network.namedparams()))], step

    found, step = trained(xp)
    assert cupy.waits == []
    listing = str(step)
    assert "graph(" in listing
    assert "matmul" not in listing
    for a, b in zip(found, trained(backends.get("numpy"))[0], strict=True):
        np.testing.assert_allclose(xp.to_numpy(a.data), b.data, rtol=1e-4, atol=1e-6)
