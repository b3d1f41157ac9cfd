"""What a function reaches outside itself is compared, and what it does there is found."""

import argparse
import array
import collections
import dataclasses
import gc
import linecache
import random
import threading
import types
import weakref

import numpy as np
import pytest

import dezero
import dezero.functions as F
import dezero.layers as L
from dezero import Parameter, Variable
from dezero.compiler.trace import Traced
from dezero.optimizers import SGD

from .conftest import refused

FACTOR = 2.0


class Slotted:
    __slots__ = ("c",)

    def __init__(self):
        self.c = 2.0


@dataclasses.dataclass(slots=True)
class Settings:
    c: float = 2.0


class ByGlobal(L.Layer):
    def forward(self, x):
        return x * FACTOR


class ByMethod:
    def __init__(self):
        self._c = 2.0

    @property
    def c(self):
        return self.scaled(1.0)

    @c.setter
    def c(self, value):
        self._c = value

    def scaled(self, x):
        return self._c * x


def of_class():
    class Constants:
        c = 2.0

    return Constants


def _assert_like_eager(f, change, numbers):
    compiled = dezero.compile(f)
    x = np.array([1.0, 2.0])
    for c in numbers:
        change(c)
        np.testing.assert_array_equal(compiled(x), f(x))
    assert len(compiled.programs) >= 2


@pytest.mark.parametrize(
    "make",
    [Slotted, Settings, of_class, lambda: of_class()(), ByMethod,
     lambda: types.SimpleNamespace(c=2.0), lambda: argparse.Namespace(c=2.0)],
)  # fmt: skip
def test_a_changed_attribute_is_seen(make):
    owner = make()
    cls = owner if isinstance(owner, type) else type(owner)
    target = cls if "c" in vars(cls) and isinstance(vars(cls)["c"], float) else owner

    def change(c):
        target.c = c

    numbers = [2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 2.0]
    _assert_like_eager(lambda x: x * owner.c, change, numbers)


def test_a_global_of_a_method_is_seen():
    layer = ByGlobal()

    def change(c):
        global FACTOR
        FACTOR = c

    _assert_like_eager(lambda x: layer(x), change, [2.0, 2.0, 2.0, 3.0, 3.0, 3.0])


def test_a_method_that_is_replaced_is_seen():
    class Layer:
        def forward(self, x):
            return x * 2.0

    layer, x = Layer(), np.ones(2)
    compiled = dezero.compile(lambda x: layer.forward(x))
    for _ in range(3):
        compiled(x)
    assert len(compiled.programs) == 1
    Layer.forward = lambda self, x: x * 3.0
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x), [3.0, 3.0])
    assert len(compiled.programs) == 2


@pytest.mark.parametrize("kind", [set, collections.deque, lambda x: array.array("d", x), bytearray])
def test_a_changed_container_is_seen(kind):
    values = kind([1])
    grow = values.add if isinstance(values, set) else values.append

    def change(c):
        if c != len(values):
            grow(c)

    _assert_like_eager(lambda x: x * len(values), change, [1, 1, 1, 2, 2, 2, 3])


def test_a_hook_and_what_it_reaches_are_seen():
    p = Parameter(np.ones(2))
    settings = Slotted()
    p.register_hook(lambda g: g * settings.c)

    def f(x):
        p.cleargrad()
        F.sum(p * x).backward()
        return p.grad.data

    def change(c):
        settings.c = c

    _assert_like_eager(f, change, [2.0, 2.0, 2.0, 3.0, 3.0, 3.0])


def test_zero_and_negative_zero_are_two_numbers():
    compiled = dezero.compile(lambda x, c: x / c)
    x = np.ones(2)
    with np.errstate(divide="ignore"):
        for c in (0.0, 0.0, 0.0, -0.0, -0.0, -0.0, np.float64(-0.0), 0.0):
            np.testing.assert_array_equal(compiled(x, c), x / c)
        owner = types.SimpleNamespace(c=0.0)

        def change(c):
            owner.c = c

        _assert_like_eager(lambda x: x / owner.c, change, [0.0, 0.0, 0.0, -0.0, -0.0, -0.0])


def test_equal_keys_of_other_classes_are_other_arguments():
    compiled = dezero.compile(lambda x, d: x * (2.0 if type(next(iter(d))) is bool else 3.0))
    x = np.ones(2)
    for key in (1, 1, 1, True, True, True):
        np.testing.assert_array_equal(compiled(x, {key: 0}), x * (2.0 if key is True else 3.0))


def _counting(store):
    def f(x):
        if isinstance(store, (type, Slotted)):
            store.c += 1.0
        elif isinstance(store, set):
            store.add(len(store))
        else:
            store.append(len(store))
        return x * 2.0

    return f


@pytest.mark.parametrize("make", [Slotted, of_class, set, collections.deque])
def test_what_it_counts_is_a_side_effect(make):
    store = make()
    compiled = dezero.compile(_counting(store))
    with refused("a side effect"):
        for _ in range(5):
            compiled(np.ones(2))
    assert (store.c if hasattr(store, "c") else len(store) + 2) == 7


def test_a_hook_that_counts_is_a_side_effect():
    p, calls = Parameter(np.ones(2)), []
    p.register_hook(lambda g: calls.append(1))

    def f(x):
        p.cleargrad()
        F.sum(p * x).backward()

    compiled = dezero.compile(f)
    with refused("a side effect"):
        for _ in range(5):
            compiled(np.ones(2))
    assert len(calls) == 5


@pytest.mark.parametrize("make", [lambda: iter([1.0] * 9), lambda: (c for c in [1.0] * 9)])
def test_an_iterator_cannot_be_compared(make):
    numbers = make()
    compiled = dezero.compile(lambda x: x * next(numbers))
    with refused("an iterator is used"):
        compiled(np.ones(2))


def test_random_numbers_of_python_are_found(monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # pools of earlier tests wait
    compiled = dezero.compile(lambda x: x if random.random() < 2.0 else -x)
    with refused("random numbers are drawn that are not of dezero.random"):
        compiled(np.ones(2))
    rng = np.random.default_rng(0)
    compiled = dezero.compile(lambda x: x if rng.random() < 2.0 else -x)
    with refused("random numbers are drawn from a Generator"):
        for _ in range(4):
            compiled(np.ones(2))


def _appends(x, into):
    into.append(x * 2.0)
    return x


def _puts(x, into):
    into["y"] = x * 2.0
    return x


@pytest.mark.parametrize(("f", "make"), [(_appends, list), (_puts, dict)])
def test_arguments_that_are_changed(f, make):
    compiled = dezero.compile(f)
    x = np.array([1.0, 2.0])
    with refused("a list or dict among the arguments is changed"):
        for _ in range(4):
            into = make()
            assert compiled(x, into) is x
            ((y,),) = [list(into.values()) if make is dict else into]
            assert type(y) is np.ndarray
            np.testing.assert_array_equal(y, [2.0, 4.0])


def test_an_argument_that_is_changed_and_an_error_after_it():
    def f(x, into):
        into.append(x * 2.0)
        raise KeyError("after it")

    into = []
    with pytest.raises(KeyError, match="after it"):
        dezero.compile(f)(np.ones(2), into)
    assert type(into[0]) is np.ndarray


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_a_recording_leaves_nothing_behind(error):
    p, kept = Parameter(np.ones(2)), types.SimpleNamespace()

    def f(x):
        p.cleargrad()
        y = p * x
        kept.y, kept.raw = y, y.data
        F.sum(y).backward()
        p.data = p.data * 2.0
        raise error("in the middle", y.data)

    compiled = dezero.compile(f)
    for i in range(3):
        with pytest.raises(error) as caught:
            compiled(np.array([1.0, 3.0]))
        assert type(p._data) is type(p.grad._data) is np.ndarray
        assert type(kept.y._data) is type(kept.raw) is type(caught.value.args[1]) is np.ndarray
        np.testing.assert_array_equal(p.data, [2.0 ** (i + 1)] * 2)
        np.testing.assert_array_equal(p.grad.data, [1.0, 3.0])
    del caught
    gc.collect()
    assert not any(issubclass(type(x), Traced) for x in gc.get_objects())
    assert Variable.data.fget.__module__ == "dezero.core"


def _doubled(a, b):
    a *= 2.0
    return a + b


def test_shared_memory_is_not_taken_for_separate():
    compiled = dezero.compile(_doubled)

    def calls(a, b):
        expected = _doubled(a.copy(), b.copy())
        np.testing.assert_array_equal(compiled(a, b), expected)

    for _ in range(3):
        calls(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    assert len(compiled.programs) == 1
    for view in (lambda a: a[:], lambda a: a[::-1]):
        a, c = np.array([1.0, 2.0]), np.array([1.0, 2.0])
        np.testing.assert_array_equal(compiled(a, view(a)), _doubled(c, view(c)))
        np.testing.assert_array_equal(a, c)
    calls(np.array([1.0, 2.0, 3.0])[1:], np.array([3.0, 4.0]))


def test_variables_that_share_memory_are_not_taken_for_separate():
    def f(a, b):
        a.data *= 2.0
        return a + b

    compiled = dezero.compile(f)
    for _ in range(3):
        compiled(Variable(np.ones(2)), Variable(np.ones(2)))
    data = np.array([1.0, 2.0])
    y = compiled(Variable(data), Variable(data))
    np.testing.assert_array_equal(y.data, [4.0, 8.0])


def test_gradients_go_to_the_variable_and_not_to_a_graphs_memory_of_it():
    p = Parameter(np.ones(2))
    x = np.array([3.0, 4.0])
    old = [F.sin(p) * p for _ in range(50)]  # remember the array in double precision
    p.data = np.ones(2, np.float32)
    compiled = dezero.compile(lambda x: x * p)
    for _ in range(4):
        p.cleargrad()
        F.sum(compiled(x)).backward()
        assert p.grad.dtype == np.float32
        assert [v for v, _ in compiled._entries[0].recording.variables] == [p]
    assert len(old) == 50


@pytest.mark.parametrize(
    "f",
    [lambda x: x * x, lambda x: (F.sin(x),) * 2, lambda x: F.sin(x) + F.sin(x) * x,
     lambda x: (lambda y: (y, y * y))(x * 2.0)],
)  # fmt: skip
def test_a_variable_that_is_used_twice_in_one_step(f):
    compiled = dezero.compile(f)
    for _ in range(4):
        grads = []
        for g in (f, compiled):
            x = Variable(np.array([1.0, 2.0]))
            ys = g(x)
            sum(F.sum(y) for y in (ys if isinstance(ys, tuple) else (ys,))).backward()
            grads.append(x.grad.data)
        np.testing.assert_allclose(*grads, rtol=1e-14)
    assert compiled.reasons == []


def test_a_view_of_what_the_call_made():
    compiled = dezero.compile(lambda x: F.reshape(F.tanh(x), (-1,))[1:])
    for _ in range(4):
        x = Variable(np.linspace(0.0, 1.0, 6).reshape(2, 3))
        y = compiled(x)
        F.sum(y).backward()
        np.testing.assert_allclose(y.data, np.tanh(x.data).ravel()[1:])
        np.testing.assert_allclose(x.grad.data.ravel()[1:], 1.0 - y.data**2)
    assert compiled.reasons == []


def test_each_refused_call_raises_if_that_is_wanted():
    compiled = dezero.compile(lambda x: x * float(x), fallback="error")
    for _ in range(3):
        with pytest.raises(RuntimeError, match="control flow on values"):
            compiled(np.array(2.0))


def test_sources_go_with_their_programs():
    def count():
        gc.collect()
        return sum(
            name.startswith(("<dezero replay", "<dezero compiled")) for name in linecache.cache
        )

    before = count()
    compiled = dezero.compile(lambda x: F.tanh(x) * 2.0)
    for _ in range(3):
        compiled(np.ones(3))
    assert count() > before
    gone = weakref.ref(compiled)
    del compiled
    assert count() == before
    assert gone() is None


def test_reset_while_other_threads_replay():
    compiled = dezero.compile(lambda x: F.sum(F.tanh(x) * x))
    x, stop, found = np.linspace(-1.0, 1.0, 50), threading.Event(), []
    expected = float((np.tanh(x) * x).sum())

    def run():
        try:
            while not stop.is_set():
                found.append(abs(float(compiled(x)) - expected) < 1e-12)
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        compiled(x)
        compiled.reset()
    stop.set()
    for thread in threads:
        thread.join()
    assert all(x is True for x in found)


def test_single_numbers_as_numpy_takes_them():
    def logical(x, y):
        return (
            np.logical_and(x, y) * 3.0 * y,
            np.logical_or(x, y) * 3.0 * y,
            ((x > 0) + (y > 0)) * x,
        )

    def root(x, y):
        return Variable(x) ** 0.5 + Variable(y) ** 1.5

    x, y = np.array(2.0), np.array(3.0)
    for f in (logical, root):
        compiled = dezero.compile(f)
        with np.errstate(all="ignore"):
            for a, b in ((x, y), (x, y), (x, y), (np.array(-np.inf), np.array(1e300))):
                for u, v in zip(np.atleast_1d(f(a, b)), np.atleast_1d(compiled(a, b)), strict=True):
                    np.testing.assert_array_equal(getattr(u, "data", u), getattr(v, "data", v))
        assert len(compiled.programs) == 1
    compiled = dezero.compile(lambda x, y: Variable(x) * y)
    for _ in range(3):
        compiled(x, y)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        compiled(np.array(1e200), np.array(1e200))


def test_an_optimizer_among_what_is_reached():
    model = L.Linear(2, in_size=2)
    optimizer = SGD(0.1).setup(model)

    def step(x):
        loss = F.sum(model(x) ** 2)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    compiled = dezero.compile(step)
    for i in range(6):
        optimizer.lr = 0.1 / (i + 1)
        before = model.W.data.copy()
        compiled(np.ones((1, 2), np.float32))
        np.testing.assert_allclose(
            before - model.W.data, optimizer.lr * model.W.grad.data, rtol=1e-4
        )
    assert compiled.reasons == []
