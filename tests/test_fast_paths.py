"""The engine's shortcuts give the numbers of the long ways: each is forced on and off."""

import gc
import weakref

import numpy as np
import pytest

import dezero.functions as F
from dezero import Function, Variable, no_grad
from dezero.backends import numpy_backend
from dezero.core import SCALAR
from dezero.graph import Leaf

BINARY = {
    "add": F.add,
    "subtract": F.subtract,
    "multiply": F.multiply,
    "divide": F.divide,
    "xdivy": F.xdivy,
    "logaddexp": F.logaddexp,
    "copysign": F.copysign,
    "pow": F.pow,
    "remainder": F.remainder,
    "maximum": F.maximum,
}
NUMBERS = (2.0, -3, 0, 0.0, -0.0, 0.1, 5e4, 7e4, 1e-40, np.inf, -np.inf, np.nan, 2**70, True)


class NoNumbers(dict):
    """A table that leaves numbers as they are."""

    def __missing__(self, number):
        return number


@pytest.fixture
def long_way(monkeypatch):
    """Switches the arrays that stand for numbers off, and on again."""
    tables = dict(numpy_backend.numbers)

    def switch(on):
        for dtype, table in tables.items():
            numpy_backend.numbers[dtype] = table if on else NoNumbers()

    yield switch
    switch(True)


def outcome(function, a, b):
    """Values and gradients to second order, or the error; with the warnings."""
    with np.errstate(all="ignore"):
        operands = [Variable(v) if isinstance(v, np.ndarray) else v for v in (a, b)]
        y = function(*operands)
        leaves = [v for v in operands if isinstance(v, Variable)]
        y.backward(create_graph=True)
        first = [v.grad for v in leaves]
        arrays = [y.data, *(g.data for g in first)]
        for v in leaves:
            v.cleargrad()
        if first[0].requires_grad and first[0].creator is not None:
            first[0].backward()
            arrays += [v.grad.data for v in leaves if v.grad is not None]
    return arrays


def same(got, wanted):
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_numbers_beside_arrays(name, dtype, long_way):
    x = np.array([0.5, 1.5, 3.0], dtype)
    for number in NUMBERS:
        if number == 2**70 and (dtype == "float16" or name == "remainder"):
            continue  # NumPy refuses it, and asks no such integer whether it is infinite
        for operands in (x, number), (number, x):
            long_way(on=True)
            twice = [outcome(BINARY[name], *operands) for _ in range(2)]  # made, and found again
            long_way(on=False)
            wanted = outcome(BINARY[name], *operands)
            same(twice[0], wanted)
            same(twice[1], wanted)


def test_numbers_of_other_dtypes_stay_what_they_are():
    assert F.multiply(np.arange(3), 2.5).dtype == np.float64
    assert F.multiply(np.arange(3, dtype=np.int8), 2).dtype == np.int8
    assert F.multiply(np.ones(2, np.complex64), 2.0).dtype == np.complex64
    assert F.multiply(np.ones(2, np.float32), 2.0 + 0j).dtype == np.complex64
    assert F.add(np.ones(2, np.float32), True).dtype == np.float32
    with pytest.raises(OverflowError):
        F.add(Variable(np.ones(2)), 10**400)


def test_the_table_of_numbers_keeps_its_size_and_cannot_be_written_to():
    x = Variable(np.ones(2))
    for i in range(2000):
        y = x * (i + 0.5)
    table = numpy_backend.numbers[np.dtype(np.float64)]
    assert len(table) <= 1000
    assert not any(array.flags.writeable for array in table.values())
    made, number = y.creator.inputs
    assert made is x
    assert number.data == 1999.5


@pytest.mark.parametrize("name", BINARY)
def test_arrays_of_rank_0(name):
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = (np.array(v) for v in rng.uniform(0.5, 2.0, 2))
        assert Variable(a)._kind is SCALAR
        got = outcome(BINARY[name], a, b)
        wanted = outcome(BINARY[name], a[None], b[None])  # of rank 1 they stay arrays
        for x, y in zip(got, wanted, strict=True):
            assert x.shape == ()
            np.testing.assert_allclose(x, y[0], rtol=1e-15)
        x = Variable(a)
        y = BINARY[name](x, float(b))
        assert x.data is a
        assert isinstance(y.data, np.ndarray)


def test_gradients_of_numbers_are_those_of_arrays_full_of_them():
    x = np.linspace(0.1, 1.0, 7)
    for f in BINARY.values():
        number, full = Variable(x), Variable(x)
        for v, other in (number, 1.7), (full, np.full(7, 1.7)):
            y = F.sum(f(v, other) * 3.0)
            y.backward(create_graph=True)
            g, v.grad = v.grad, None
            if g.requires_grad:
                F.sum(g * g).backward()
            else:
                v.grad = g
        np.testing.assert_allclose(number.grad.data, full.grad.data, rtol=1e-14)


def test_functions_of_numpy_are_called_directly():
    y = F.sin(Variable(np.ones(2)))
    y.backward()
    names = F.sin.write().__globals__
    assert names["_np_sin"] is np.sin
    assert names["_np_cos"] is np.cos
    assert "_np_sin(x) if _xp is _default else _xp.sin(x)" in F.sin.source


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_arithmetic_of_arrays_is_numpys_function(name, monkeypatch):
    names = BINARY[name].write().__globals__
    assert names[f"_np_{name}"] is getattr(np, name)
    x, rng = Variable(np.array(3.0)), np.random.default_rng(0)
    pairs = [(rng.normal(size=a), rng.normal(size=b)) for a in [(), (3,), (2, 1)] for b in [(), 3]]
    pairs += [(a.astype(np.float32), b) for a, b in pairs]
    with_function = [outcome(BINARY[name], *pair) for pair in pairs]
    monkeypatch.setitem(names, f"_np_{name}", BINARY[name].formula.__get__(np))
    for pair, wanted in zip(pairs, with_function, strict=True):
        same(outcome(BINARY[name], *pair), wanted)  # by the operator
    monkeypatch.setitem(names, f"_np_{name}", None)  # not called for others
    assert BINARY[name](x, 2.0).shape == BINARY[name](2, x).shape == BINARY[name](x, x).shape == ()
    with pytest.raises(TypeError, match="NoneType"):
        BINARY[name](x, np.ones(3))


def test_a_node_is_the_weak_reference_to_its_result():
    x = Variable(np.ones(2))
    y = F.sin(x)
    node = y.creator
    assert node.outputs[0]() is y
    assert type(node.outputs[0]) is weakref.ref
    assert {node: 1}[node] == 1
    assert node != F.sin(x).creator
    z = y * 2.0
    assert z.creator.inputs[0] is y
    y += 1.0  # the handle moves on, to a node of its own
    assert y.creator.outputs[0]() is y
    assert z.creator.inputs[0] is not y
    assert node.outputs[0]() is None
    del y
    assert "Sin object at" in repr(node)
    assert hash(node) == hash(node)
    gc.collect()
    F.sum(z).backward()
    np.testing.assert_allclose(x.grad.data, 2.0 * np.cos(1.0))


def test_one_object_for_each_operation_is_seen_by_the_collector():
    x = Variable(np.ones(2))
    y = x
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(1000):
            y = F.sin(y)
        assert len(gc.get_objects()) - before < 1020  # a node each, and no more
    finally:
        gc.enable()


def test_a_long_chain_is_freed_without_recursion():
    x = Variable(np.array(1.0))
    y = x
    for _ in range(200_000):
        y = y + x
    assert y._node._rank == 200_000
    del y
    assert isinstance(x._node, Leaf)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (0, 2), (2, 3)])
@pytest.mark.parametrize("x", [np.float64(2.0), np.float32(2.0), np.array(2.0), np.array([2.0])])
def test_a_broadcast_number(x, shape):
    try:
        wanted = np.broadcast_to(x, shape)
    except ValueError:
        with pytest.raises(ValueError, match="broadcast"):
            numpy_backend.broadcast_to(x, shape)
        return
    got = numpy_backend.broadcast_to(x, shape)
    assert (got.dtype, got.shape, got.flags.writeable) == (wanted.dtype, shape, False)
    np.testing.assert_array_equal(got, wanted)


def test_kinds_are_one_object_and_few():
    a, b = (Variable(np.ones((2, 3), np.float32)) for _ in range(2))
    assert a._kind is b._kind
    for n in range(1500):
        Variable(np.empty(n))
    assert Variable(np.array(1.0))._kind is SCALAR
    c = Variable(np.ones((2, 3), np.float32))  # of another object, but equal
    with no_grad():
        np.testing.assert_array_equal((a + c).data, 2.0)
    y = F.sum(a * c)
    y.backward()
    np.testing.assert_array_equal(a.grad.data, 1.0)


def test_products_and_sums_with_numbers_have_no_other_order():
    x = Variable(np.ones(2))
    for y in 2.0 * x, x * 2.0:
        y.backward()
        assert y.creator.inputs[0] is x
    np.testing.assert_array_equal((5.0 - x).data, 4.0)
    np.testing.assert_array_equal((5.0 / x).data, 5.0)


@pytest.mark.parametrize("base", [-2.5, 0.0, 2.5])
@pytest.mark.parametrize("exponent", [-1.5, 2.0])
def test_powers_of_rank_0_have_the_gradients_of_others(base, exponent):
    """NumPy's scalars are floats of Python's too, but not taken for numbers."""
    found = []
    for shape in (), (1,):
        with np.errstate(all="ignore"):
            x, c = Variable(np.full(shape, base)), Variable(np.full(shape, exponent))
            F.where(np.zeros(shape, bool), x**c, 1.0).sum().backward()
            found.append([x.grad.data.reshape(-1), c.grad.data.reshape(-1)])
    same(*found)
    assert np.isfinite(found[0]).all()


def test_gradients_in_a_buffer_of_somebody_are_copied():
    buffer = bytearray(np.ones(4).tobytes())

    class Fixed(Function):
        def forward(self, x):
            return x * 2.0

        def backward(self, g):
            return Variable(np.frombuffer(buffer).reshape(2, 2))

    x = Variable(np.ones((2, 2)))
    Fixed()(x).backward()
    assert not np.shares_memory(x.grad.data, np.frombuffer(buffer))
    x.grad.data[...] = 5.0
    assert (np.frombuffer(buffer) == 1.0).all()


def test_results_are_plain_arrays_also_of_subclasses(tmp_path):
    x = Variable(np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=(2, 3)))
    for function in (F.sigmoid, F.softplus, F.gelu, F.erf):
        assert type(function(x).data) is np.ndarray
