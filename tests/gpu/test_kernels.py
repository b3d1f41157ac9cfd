"""The kernels of CuPy's backend against the same formulas, step by step."""

from __future__ import annotations

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, backends, cuda
from dezero.backends import Backend

NUMPY = backends.get("numpy")
rng = np.random.default_rng(0)


def draw(*shape, dtype=np.float32):
    return rng.normal(size=shape).astype(dtype)


LABELS = rng.integers(0, 5, 6)
ELEMENTS = {
    "sigmoid": (draw(4, 5),),
    "sigmoid_grad": (draw(4, 5), draw(4, 5)),
    "softplus": (draw(4, 5),),
    "gelu": (draw(4, 5), "none"),
    "gelu_grad": (draw(4, 5), draw(4, 5), draw(4, 5), "tanh"),
    "only": (draw(4, 5), draw(4, 5) > 0),
    "xdivy": (draw(4, 5), draw(4, 5)),
}
ROWS = {
    "softmax": (draw(6, 5), 1),
    "softmax of three axes": (draw(2, 3, 5), -1),
    "softmax_grad": (draw(6, 5), draw(6, 5), 1),
    "log_softmax": (draw(6, 5), 1),
    "log_softmax_grad": (draw(6, 5), draw(6, 5), 1),
    "masked_softmax": (draw(2, 3, 5), draw(3, 5) > 0, False),
    "masked_softmax without a mask": (draw(2, 3, 5), None, False),
    "nll": (draw(6, 5), LABELS, None),
    "nll_grad": (draw(6), draw(6), draw(6, 5), LABELS, draw(6) + 3, None),
}


def results(value):
    return list(value) if isinstance(value, (tuple, list)) else [value]


@pytest.mark.parametrize("name", [*ELEMENTS, *ROWS])
def test_a_kernel_is_one_launch(cupy, name):
    xp = backends.get("cupy")
    operands = (ELEMENTS | ROWS)[name]
    given = [xp.from_numpy(x) if isinstance(x, np.ndarray) else x for x in operands]
    short = name.partition(" ")[0]
    before = cupy.launches
    found = results(getattr(xp, short)(*given))
    assert cupy.launches - before == 1
    assert len(xp.sources()) == 1
    xp.fused = False
    apart = results(getattr(xp, short)(*given))
    assert cupy.launches - before > 2
    wanted = results(getattr(Backend, short)(NUMPY, *operands))
    for a, b, c in zip(found, apart, wanted, strict=True):
        assert a.dtype == b.dtype == c.dtype
        assert a.shape == b.shape == c.shape
        np.testing.assert_allclose(a.values, b.values, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(a.values, c, rtol=2e-6, atol=1e-6)


SHAPES = {
    "batch": ((4, 3, 40), (1, 3, 1), (0, 2)),
    "layer": ((6, 7), (1, 7), (1,)),
    "group": ((4, 2, 3, 5), (1, 2, 3, 1), (2, 3)),
    "running": ((4, 3, 40), (1, 3, 1), ()),
    "short": ((4, 3, 2), (1, 3, 1), (0, 2)),
}


FORMS = [(kind, affine, True) for kind in SHAPES for affine in (0, 1, 2)]


@pytest.mark.parametrize(("kind", "affine", "centered"), [*FORMS, ("layer", 1, False)])
def test_normalization(cupy, kind, affine, centered):
    xp = backends.get("cupy")
    shape, few, axes = SHAPES[kind]
    arrays = [draw(*shape), *(draw(*few) for _ in range(affine))]
    g = draw(*shape)
    needed = (True,) * len(arrays)

    def run(xp, move):
        kept = {}
        if not axes:
            mean, inv = np.linspace(-1, 1, 3).reshape(few), np.linspace(1, 2, 3).reshape(few)
            kept["mean"] = move(mean.astype(np.float32)) if centered else None
            kept["inv"] = move(inv.astype(np.float32))
        given = [move(x) for x in arrays]
        y = xp.normalize(given, axes, 1e-5, centered, kept)
        found = xp.normalize_gradients(move(g), given, axes, 1e-5, centered, kept, needed)
        kept = {k: v for k, v in kept.items() if k in ("mean", "var", "inv") and v is not None}
        return [y, *found, *(kept[k] for k in sorted(kept))]

    found = run(xp, xp.from_numpy)
    assert bool(xp.sources()) is (kind != "short")
    assert cupy.waits == []

    class Plain(Backend):
        pass

    wanted = run(Plain(NUMPY.namespace), np.copy)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_allclose(a.values, b, rtol=1e-5, atol=3e-6)


def test_what_no_kernel_can_do_is_done_step_by_step(cupy):
    xp = backends.get("cupy")
    z = xp.from_numpy((draw(3) + 1j * draw(3)).astype(np.complex64))
    wanted = 1 / (1 + np.exp(-z.values))
    np.testing.assert_allclose(xp.sigmoid(z).values, wanted, rtol=1e-5)
    x = xp.from_numpy(draw(4, 5))
    np.testing.assert_allclose(xp.softmax(x, 0).values.sum(0), np.ones(5), rtol=1e-5)
    np.testing.assert_allclose(xp.xdivy(x, 2.0).values, x.values / 2)
    assert xp.softplus(xp.from_numpy(draw(0, 3))).shape == (0, 3)
    assert not xp.sources()
    np.testing.assert_allclose(xp.softplus(x.T).values, xp.softplus(x).values.T, rtol=1e-6)


# --- labels ---------------------------------------------------------------------------------------


def test_wrong_labels_are_found_when_values_are_read(cupy):
    xp = backends.get("cupy")
    x = Variable(xp.from_numpy(draw(6, 5)))
    loss = F.softmax_cross_entropy(x, xp.from_numpy(LABELS))
    loss.item()
    for wrong, low, high in ((7, 0, 7), (-2, -2, 4)):
        t = LABELS.copy()
        t[3] = wrong
        loss = F.softmax_cross_entropy(x, xp.from_numpy(t))
        with pytest.raises(IndexError, match=f"labels go from {low} to {high}, expected 0 to 4"):
            loss.item()
        loss.item()  # said once
        F.softmax_cross_entropy(x, xp.from_numpy(LABELS)).item()
    with pytest.raises(IndexError, match="embedding: ids go from 0 to 9, expected 0 to 5"):
        print(F.embedding(xp.from_numpy(np.array([1, 9])), x))


def test_labels_can_be_checked_at_once(cupy):
    xp = backends.get("cupy")
    xp.deferred = False
    x = Variable(xp.from_numpy(draw(6, 5)))
    with pytest.raises(IndexError, match="labels go from 5 to 5, expected 0 to 4"):
        F.softmax_cross_entropy(x, xp.from_numpy(np.full(6, 5)))


def test_labels_of_too_many_kinds_are_checked_at_once(cupy):
    xp = backends.get("cupy")
    t = xp.from_numpy(np.array([3]))
    for n in range(64):
        xp.check_labels(t, 4 + n)
    assert cupy.waits == []
    with pytest.raises(IndexError, match="labels go from 3 to 3, expected 0 to 2"):
        xp.check_labels(t, 3)


# --- gradients ------------------------------------------------------------------------------------

FUNCTIONS = {
    "gelu": lambda x: F.gelu(x),
    "softmax": lambda x: F.softmax(x),
    "cross entropy": lambda x: F.softmax_cross_entropy(x, on(x, LABELS)),
    "smoothed": lambda x: F.cross_entropy(x, on(x, LABELS), label_smoothing=0.1),
    "ignored": lambda x: F.cross_entropy(x, on(x, LABELS), ignore_index=2),
    "layer norm": lambda x: F.layer_norm(x),
    "sigmoid": lambda x: F.sigmoid(x) / (1.0 + F.softplus(x)),
    "maximum": lambda x: F.relu(x) + F.max(x, axis=1, keepdims=True) * x[:, None, 1],
}


def on(x, array):
    return backends.backend_of(x.data).from_numpy(array)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_and_second_gradients_never_wait(cupy, name):
    xp = backends.get("cupy")
    numbers = draw(6, 5)

    def run(where):
        x = Variable(where.from_numpy(numbers))
        y = F.sum(F.sin(FUNCTIONS[name](x)))
        y.backward(create_graph=True)
        g, x.grad = x.grad, None
        F.sum(g * g).backward()
        return y.data, g.data, x.grad.data

    found = run(xp)
    assert cupy.waits == []
    for a, b in zip(found, run(NUMPY), strict=True):
        np.testing.assert_allclose(xp.to_numpy(a), b, rtol=2e-4, atol=2e-5)


# --- settings -------------------------------------------------------------------------------------


def test_settings(cupy):
    assert cuda.configure() == {
        "fused": True,
        "graphs": True,
        "deferred_checks": True,
        "tf32": False,
        "implicit_convolution": True,
        "memory": "pool",
    }
    now = cuda.configure(
        fused=False,
        graphs=False,
        deferred_checks=False,
        tf32=True,
        implicit_convolution=False,
        memory="async",
    )
    assert set(now.values()) == {False, True, "async"}
    assert cupy.compute_types == {"float32": 7}
    assert type(cupy.allocators[-1].__self__) is cupy.cuda.MemoryAsyncPool
    cuda.configure(tf32=False, memory="pool", memory_limit=10**9)
    assert cupy.compute_types == {"float32": 1}
    assert cupy.allocators[-1].__self__ is cupy.get_default_memory_pool()
    assert cupy.get_default_memory_pool().limit == 10**9
    with pytest.raises(ValueError, match="memory is 'stack', expected 'pool' or 'async'"):
        cuda.configure(memory="stack")


def test_waiting_finds_wrong_labels(cupy):
    xp = backends.get("cupy")
    F.one_hot(xp.from_numpy(np.array([4])), 3)
    with pytest.raises(IndexError, match="one_hot: ids go from 0 to 4"):
        cuda.synchronize()
    cuda.synchronize()
    assert cupy.waits.count("Device.synchronize") == 2
