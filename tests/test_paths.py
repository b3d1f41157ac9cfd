"""Each setting of tests/paths.py changes which code runs, and none is missing there."""

import itertools
import tracemalloc

import numpy as np
import pytest

import dezero
import dezero.functions as F
import paths
from dezero import Variable
from dezero.backends import numpy_backend, numpy_convolution, scratch
from dezero.backends.convolution import Geometry
from dezero.backends.numpy import NumPyBackend
from dezero.backends.numpy_neural import NumPyNeural
from dezero.compiler import front
from dezero.core import SCALAR, Parameter
from dezero.layers import Layer
from dezero.optimizers import SGD, Adam, ExponentialMovingAverage

RNG = np.random.default_rng(0)


def drawn(*shape, dtype=np.float32):
    return RNG.normal(size=shape).astype(dtype)


def leaf(*shape, dtype=np.float32):
    return Variable(drawn(*shape, dtype=dtype))


def swept(y):
    F.sum(y * y).backward()


def second(y, x):
    """A gradient of second order, so that the gradients' kernels are met as functions too."""
    F.sum(y * y).backward(create_graph=True)
    g = x.grad
    x.cleargrad()
    F.sum(g * g).backward()


def convolutions():
    for shape, options in (
        ((5, 8, 1, 1), {}),
        ((5, 8, 3, 3), {"pad": 1}),
        ((40, 8, 3, 3), {"stride": 2}),
        ((8, 1, 3, 3), {"groups": 8, "pad": 1}),
        ((5, 8, 2, 2), {"pad": 1}),
    ):
        x, w, b = leaf(3, 8, 7, 6), leaf(*shape), leaf(shape[0])
        second(F.conv(x, w, b, **options), x)
    x, w = leaf(2, 40, 6, 6), leaf(40, 40, 2, 2)
    swept(F.conv(x, w))
    F.conv(x.data, w.data, None, stride=2)
    swept(F.conv(leaf(2, 40, 6, 6), leaf(40, 40, 3, 3), stride=2))
    x = Variable(drawn(2, 3, 5, 5))
    second(F.conv_transpose(x, leaf(3, 4, 2, 2)), x)


def depthwise_convolutions():
    swept(F.conv(leaf(5, 8, 7, 6), leaf(8, 1, 3, 3), groups=8))


def winograd_convolutions():
    swept(F.conv(leaf(8, 32, 12, 12), leaf(32, 32, 3, 3), pad=1))


def windows_kept():
    kept = {}
    geometry = Geometry((2, 2), ((0, 0), (0, 0)), (1, 1), 1)
    numpy_convolution.convolve([drawn(2, 4, 6, 6), drawn(1, 4, 3, 3)], geometry, kept)
    return len(kept)


def windows():
    x = leaf(1, 2, 4, 4)
    swept(F.im2col(x, 2))


def pools():
    for x in leaf(5, 3, 6, 6), Variable(np.moveaxis(drawn(5, 6, 6, 3), -1, 1)):
        for pool in F.max_pool, F.average_pool:
            second(pool(x, 2), x)
            x.cleargrad()


def normalizations():
    x = leaf(6, 5, 4)
    y = F.batch_norm(x, leaf(5), leaf(5), np.zeros(5), np.ones(5), training=True)
    F.sum(F.sin(y)).backward()
    for width in (3, 6):
        x = leaf(7, width)
        F.sum(F.sin(F.layer_norm(x, leaf(width), leaf(width)))).backward()
    x = leaf(3, 4, 5)
    F.sum(F.sin(F.group_norm(x, 2, leaf(4), leaf(4)))).backward()


def activations():
    for function in (
        F.sigmoid,
        F.softplus,
        F.erf,
        F.gelu,
        F.softmax,
        F.log_softmax,
        F.relu,
    ):
        x = leaf(7, 5)
        second(function(x), x)
    swept(F.softmax_cross_entropy(leaf(7, 5), np.arange(7) % 5))
    swept(attended())


def rows_without_copies():
    swept(F.softmax(leaf(40, 600)))


def attended(length=9):
    q, k, v = (leaf(1, 1, length, 4) for _ in range(3))
    return F.scaled_dot_product_attention(q, k, v, causal=True)


def attentions():
    swept(attended())


def long_attentions():
    swept(attended(1024))


def sigmoids():
    numpy_backend.sigmoid_grad(drawn(9), drawn(9))


def chosen_by_bits():
    numpy_backend.where(drawn(9) > 0, drawn(9), drawn(9))


def rows_added():
    swept(F.embed_id(np.array([0, 2, 0]), leaf(4, 3)))


def places():
    x = leaf(4, 3)
    swept(x[np.array([0, 2, 0])])
    swept(x[1:])
    swept(F.take(x, np.array([0, 2, 0]), axis=1))
    swept(F.take_along_axis(x, np.array([[0, 2, 0]]), axis=0))
    swept(F.set_item(x, np.array([0, 0]), leaf(2, 3)))
    swept(F.pad(x, 1))
    F.softmax_cross_entropy(x, np.array([0, 2, 0, 1]))


def recurrences():
    x, h, c = leaf(2, 3, 4), leaf(2, 5), leaf(2, 5)
    swept(F.lstm(x, h, c, leaf(20, 4), leaf(20, 5))[0])


numbers_drawn = itertools.count()


def engine():
    x = leaf(3, 2)
    swept(x * (next(numbers_drawn) + 0.125))
    y = F.sin(x)
    swept(y * 2.0 + y * 3.0 + F.cos(y))
    swept(F.xdivy(x, leaf(3, 2)) + F.where(x.data > 0, x, 0.0))
    swept(F.einsum("ij,jk->ik", x, leaf(2, 3)))
    z = leaf()
    swept(z + z)
    x.data = numpy_backend.copy(x.data)
    numpy_backend.add_into(x.data, drawn(3, 2))


class Several(Layer):
    def __init__(self, *shapes):
        super().__init__()
        for i, shape in enumerate(shapes):
            setattr(self, f"p{i}", Parameter(drawn(*shape)))


def updates():
    for kind in SGD, Adam:
        layer = Several((3,), (4, 2), (5,), (10, 20))
        optimizer = kind(0.1).setup(layer)
        for _ in range(2):
            layer.cleargrads()
            F.sum(sum(F.sum(p * p) for p in layer.params())).backward()
            optimizer.update()


def averages():
    layer = Several((100, 100))
    average = ExponentialMovingAverage(layer)
    average.update()
    tracemalloc.start()
    try:
        average.update()
        return -tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def memory_kept():
    scratch.scratch.buffers.clear()
    scratch.scratch("here", (3,), np.dtype(np.float32))
    return len(scratch.scratch.buffers)


def buffers():
    return -scratch.unbuffered(np.getbufsize)()


def rank_0():
    return Variable(np.array(1.0))._kind is SCALAR


def gradients_in_place():
    from dezero.graph import Sweep

    sweep = Sweep(0, False, None)
    sweep.owned.add(1)
    return len(sweep.owned)


def compiled():
    square = dezero.compile(lambda x: F.sin(x) * F.exp(x) + F.cos(x), fallback="error")
    for x in drawn(9, 5), np.array(0.5):
        for _ in range(4):
            square(x)


def compiled_dots():
    made, build = [], front.build
    front.build = lambda *args, **options: made.append(build(*args, **options)) or made[-1]
    try:
        total = dezero.compile(lambda x: F.sum(x, axis=0), fallback="error")
        for _ in range(4):
            total(np.ones((4, 3)))
    finally:
        front.build = build
    return any("dot(" in executor.source for executor in made)


@pytest.mark.parametrize("path", paths.PATHS, ids=lambda path: path.name)
def test_a_setting_changes_what_runs(path):
    work, code, found = globals()[path.work], None, []
    for on in True, False:
        with paths.forced(path, on):
            if path.code and on:
                code = paths.code_of(path.code.lstrip("-"))
            found.append(work() if code is None else paths.calls(code, work))
    if path.code.startswith("-"):
        found.reverse()
    assert found[0] > found[1]


def own(kind):
    return {n for n in vars(kind) if not n.startswith("_")}


def test_each_kernel_of_numpy_is_in_the_table():
    listed = {path.name for path in paths.KERNEL_PATHS}
    assert own(NumPyBackend) | own(NumPyNeural) == listed | set(paths.FIXED)
    assert not listed & set(paths.FIXED)


def test_a_mode_that_is_not_known():
    with pytest.raises(ValueError, match="DEZERO_PATHS is 'quick', expected one of shipped"):
        paths.force("quick")
