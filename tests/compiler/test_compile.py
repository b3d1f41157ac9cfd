"""Compiled functions of arrays: values and derivatives of any order are those of the function."""

import sys

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Function, Variable
from dezero.compiler import Compiled

from .conftest import arrays, assert_same, twins


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def goldstein(x, y):
    return (1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)) * (
        30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    )


def backward_inside(f):
    def step(*xs):
        for x in xs:
            x.cleargrad()
        y = f(*xs)
        y.backward()
        return y

    return step


def sines(n):
    def derivative(x):
        f = F.sin
        for _ in range(n):
            f = dezero.grad(f)
        return f(x)

    return derivative


class Square(Function):
    """A function as the book writes it."""

    def forward(self, x):
        return x**2 + np.exp(np.zeros_like(x)) - 1.0

    def backward(self, gy):
        (x,) = self.inputs
        return 2.0 * x * gy


def newton(start):
    x = Variable(start.copy())
    y = x**4 - 2 * x**2
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx.backward()
    x.data = x.data - gx.data / x.grad.data
    return [gx.detach(), x.grad, x.data]


def loop(x):
    out = dezero.xp.zeros(4)
    for i in range(4):
        out[i] = F.sum(x[i] * x)
    y = out * 2.0
    y[1:3] += 1.0
    return dezero.grad(lambda x: F.sum(x * x))(x), y.detach()


PROGRAMS = {
    "rosenbrock": (
        backward_inside(lambda x, y: 100 * (y - x**2) ** 2 + (x - 1) ** 2),
        lambda i: (Variable(np.array(0.5 + i)), Variable(np.array(2.0 - i))),
    ),
    "goldstein": (
        backward_inside(goldstein),
        lambda i: (Variable(np.array(1.0 + i)), Variable(np.array(1.0))),
    ),
    "sixth derivative": (sines(6), lambda i: (np.array(0.1 * i),)),
    "newton": (newton, lambda i: (np.array(2.0 + i),)),
    "hessian": (
        lambda x: dezero.hessian(lambda x: F.sum(F.tanh(x) ** 3))(x),
        lambda i: (drawn(3, seed=i),),
    ),
    "hvp": (
        lambda x, v: dezero.hvp(lambda x: F.sum(F.tanh(x) ** 3), x, v),
        lambda i: (drawn(3, seed=i), drawn(3, seed=i + 9)),
    ),
    "jvp": (
        lambda x, v: dezero.jvp(lambda x: F.exp(x) * x, (x,), (v,)),
        lambda i: (drawn(3, seed=i), drawn(3, seed=i + 9)),
    ),
    "value and grad": (
        lambda x: dezero.value_and_grad(lambda x: F.sum(F.logsumexp(x, axis=1)))(x),
        lambda i: (drawn(3, 4, seed=i, dtype=np.float32),),
    ),
    "matrices": (
        backward_inside(lambda a, b: F.sum(F.tanh(a @ b) / (1.0 + F.exp(-b.T @ a.T)))),
        lambda i: (Variable(drawn(3, 3, seed=i)), Variable(drawn(3, 3, seed=i + 9))),
    ),
    "broadcast": (
        backward_inside(lambda a, b: F.mean(F.where(a > 0.0, a * b, b - a) + F.maximum(a, b))),
        lambda i: (Variable(drawn(5, 3, seed=i)), Variable(drawn(3, seed=i))),
    ),
    "mixed dtypes": (
        backward_inside(lambda a, b: F.sum(a * b)),
        lambda i: (Variable(drawn(3, seed=i)), Variable(drawn(3, seed=i, dtype=np.float32))),
    ),
    "complex": (
        backward_inside(lambda z: F.sum(F.real(z * F.conj(F.tanh(z))))),
        lambda i: (Variable(drawn(3, seed=i) + 1j * drawn(3, seed=i + 9)),),
    ),
    "linear algebra": (
        backward_inside(lambda a: F.sum(F.linalg.inv(a)) + F.linalg.slogdet(a).logabsdet),
        lambda i: (Variable(drawn(3, 3, seed=i) + 4.0 * np.eye(3)),),
    ),
    "own function": (
        backward_inside(lambda x: F.sum(Square()(x) * x)),
        lambda i: (Variable(drawn(3, seed=i)),),
    ),
    "items": (
        backward_inside(lambda x: F.sum(x[np.array([0, 0, 2])] * x[::-1] + x[..., None][0, 0])),
        lambda i: (Variable(drawn(3, seed=i)),),
    ),
    "labels": (
        lambda x, t: dezero.grad(lambda x: F.softmax_cross_entropy(x, t))(x),
        lambda i: (drawn(6, 4, seed=i), np.arange(6) % 4),
    ),
    "nested": (
        lambda tree: {"sum": [tree["a"] + tree["b"][0]], "none": None, "n": 3, "t": (tree["a"],)},
        lambda i: ({"a": Variable(drawn(2), requires_grad=False), "b": [drawn(2, seed=i)]},),
    ),
    "arrays": (
        lambda x: (np.sin(x), x * 2.0, x.sum(axis=0), x.T, np.concatenate([x, x]), x[0, 0]),
        lambda i: (drawn(2, 3, seed=i),),
    ),
    "checkpoint": (
        lambda x: dezero.grad(lambda x: dezero.checkpoint(lambda x: F.sum(F.sin(x) ** 2), x))(x),
        lambda i: (drawn(3, seed=i),),
    ),
    "unused": (
        lambda x, y: dezero.grad(lambda x, y: F.sum(x * x), argnums=(0, 1))(x, y),
        lambda i: (drawn(3, seed=i), drawn(2, seed=i)),
    ),
    "filled": (loop, lambda i: (drawn(4, seed=i),)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_those_of_the_function(name, executor):
    f, calls = PROGRAMS[name]
    rtol = 0.0 if executor == "plain" else 1e-13 if name != "value and grad" else 1e-6
    twins(lambda: (f, None), calls, rtol)


def test_no_grad_function(executor):
    @dezero.no_grad()
    def f(x):
        return F.exp(x) + 1.0

    x = Variable(np.ones(3))
    compiled = dezero.compile(f)
    for _ in range(4):
        y = compiled(x)
        assert not y.requires_grad
        assert_same(y, f(x))
    assert compiled.reasons == []


def test_what_is_given_back_is_what_was_given(executor):
    w = Variable(np.ones(2))

    def f(x, n):
        return x, w, n, (x * 2.0).detach()

    compiled = dezero.compile(f)
    for _ in range(4):
        x = Variable(np.ones(2))
        a, b, n, y = compiled(x, 3)
        assert a is x
        assert b is w
        assert n == 3
    assert compiled.reasons == []
    assert type(y.data) is np.ndarray


def test_results_of_calls_share_no_memory(executor):
    f = dezero.compile(lambda x: ((x + 1.0), (x + 1.0) * 2.0))
    x = np.ones(5)
    results = [f(x) for _ in range(5)]
    before = [[y.copy() for y in pair] for pair in results]
    f(np.zeros(5))
    for pair, old in zip(results, before, strict=True):
        for y, z in zip(pair, old, strict=True):
            np.testing.assert_array_equal(y, z)
            assert not np.may_share_memory(y, x)


def test_the_same_variable_for_two_arguments(executor):
    def f(x, y):
        x.cleargrad()
        y.cleargrad()
        z = F.sum(x * y * y)
        z.backward()
        return z

    compiled = dezero.compile(f)
    for i in range(8):
        x, y = Variable(np.array([1.0 + i])), Variable(np.array([2.0]))
        y = x if i % 2 else y
        expected = [f(x, y).data, x.grad.data, y.grad.data]
        got = [compiled(x, y).data, x.grad.data, y.grad.data]
        assert_same(got, expected)
    assert compiled.reasons == []


def test_gradients_that_are_there_are_added_to(executor):
    w = Variable(np.array([2.0, 3.0]))

    def f(x):
        y = F.sum(w * x)
        y.backward()
        return y.detach()

    compiled = dezero.compile(f)
    x, total = np.array([1.0, 10.0]), 0.0
    for _ in range(5):
        compiled(x)
        total = total + x
        np.testing.assert_array_equal(w.grad.data, total)
    assert compiled.reasons == []
    w.cleargrad()
    compiled(x)
    np.testing.assert_array_equal(w.grad.data, x)


def test_variables_outside_are_read_in_each_call(executor):
    w = Variable(np.array([2.0, 3.0]), requires_grad=False)
    f = dezero.compile(lambda x: w * x)
    x = np.array([1.0, 10.0])
    for _ in range(3):
        f(x)
    w.data = np.array([5.0, 5.0])
    np.testing.assert_array_equal(f(x).data, 5.0 * x)
    w.data[0] = 1.0
    np.testing.assert_array_equal(f(x).data, [1.0, 50.0])
    assert len(f.programs) == 1
    w.data = np.array([[2.0], [3.0]])
    np.testing.assert_array_equal(f(x).data, w.data * x)
    assert f.reasons == []


TABLE = np.array([1.0, 2.0])
FACTOR = 2.0


def test_arrays_and_numbers_outside_are_seen_when_they_change(executor, monkeypatch):
    f = dezero.compile(lambda x: (Variable(TABLE, requires_grad=False) * x + FACTOR).detach())
    x = np.ones(2)
    for _ in range(3):
        f(x)
    TABLE[0] = 7.0
    np.testing.assert_array_equal(f(x).data, [9.0, 4.0])
    TABLE[0] = 1.0
    monkeypatch.setattr(f"{__name__}.FACTOR", 5.0)
    np.testing.assert_array_equal(f(x).data, [6.0, 7.0])
    monkeypatch.setattr(f"{__name__}.TABLE", np.array([3.0, 3.0]))
    np.testing.assert_array_equal(f(x).data, [8.0, 8.0])
    assert f.reasons == []


def test_assignments_to_data_outside(executor):
    w = Variable(np.array([1.0, 2.0]))
    memory = w.data

    def f(x):
        w.cleargrad()
        F.sum(w * w * x).backward()
        w.data -= 0.1 * w.grad.data

    compiled = dezero.compile(f)
    expected = memory.copy()
    for _ in range(6):
        compiled(np.array([1.0, 3.0]))
        expected -= 0.1 * (2.0 * expected * np.array([1.0, 3.0]))
        assert_same(w.data, expected, 1e-15)
        assert w.data is memory
    assert compiled.reasons == []


def test_new_data_outside(executor):
    w = Variable(np.array([1.0, 2.0]), requires_grad=False)

    def f(x):
        w.data = w.data * x

    compiled = dezero.compile(f)
    for i in range(1, 6):
        compiled(np.array([2.0, 1.0]))
        np.testing.assert_array_equal(w.data, [2.0**i, 2.0])
    assert compiled.reasons == []


def test_modes_are_kinds_of_their_own(executor):
    f = dezero.compile(lambda x: F.dropout(x, 0.5).detach())
    x = np.ones((50,))
    for _ in range(3):
        assert (f(x).data == 0.0).any()
    with dezero.test_mode():
        for _ in range(3):
            np.testing.assert_array_equal(f(x).data, x)
    assert (f(x).data == 0.0).any()
    assert len(f.programs) == 2
    assert f.reasons == []


def test_methods_have_a_program_for_each_instance(executor):
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        @dezero.compile
        def __call__(self, x):
            return x * self.factor

        @dezero.compile(fallback="error")
        def twice(self, x, *, more=0.0):
            return 2.0 * x * self.factor + more

    a, b = Scale(2.0), Scale(3.0)
    x = np.ones(2)
    for _ in range(4):
        assert a(x)[0] == 2.0
        assert b(x)[0] == 3.0
        assert a.twice(x, more=1.0)[0] == 5.0
    a.factor = 5.0
    assert a(x)[0] == 5.0
    assert isinstance(Scale.twice, Compiled)
    assert len(a.twice.programs) == 1


def test_names_and_leaves_of_results(executor):
    def f(x):
        y = F.add(x, x)
        y.name = "twice"
        leaf = Variable(x)
        F.sum(leaf * leaf).backward()
        return y, leaf

    compiled = dezero.compile(f)
    for _ in range(4):
        y, leaf = compiled(np.array([1.0, 2.0]))
    assert compiled.reasons == []
    assert y.name == "twice"
    assert leaf.requires_grad
    np.testing.assert_array_equal(leaf.grad.data, [2.0, 4.0])


def test_what_cannot_be_compiled_is_refused():
    def generator():
        yield 1

    for f in (generator, 3):
        with pytest.raises(TypeError, match="expected a function"):
            dezero.compile(f)
    with pytest.raises(ValueError, match="signatures is 0"):
        dezero.compile(abs, signatures=0)
    with pytest.raises(ValueError, match="fallback is 'loud'"):
        dezero.compile(abs, fallback="loud")


def test_text_and_reset():
    f = dezero.compile(goldstein)
    x = np.array(1.0)
    for _ in range(3):
        f(x, x + 1.0)
    assert repr(f) == "<compiled goldstein>"
    assert "float64[]" in str(f)
    assert f.__name__ == "goldstein"
    f.reset()
    assert f.programs == []


def test_calls_of_another_form():
    """What a replay is not for is called as the function is."""

    def f(x, y=2.0, *, z=None):
        return x * y

    compiled, x = dezero.compile(f), np.array(3.0)
    for _ in range(4):
        np.testing.assert_array_equal(compiled(x), 6.0)
        np.testing.assert_array_equal(compiled(x, x), 9.0)
    for _ in range(4):
        np.testing.assert_array_equal(compiled(x, y=x, z=None), 9.0)
        np.testing.assert_array_equal(compiled(y=x, x=x), 9.0)
    assert compiled.reasons == []
    assert len(compiled.programs) == 4
    for args, words in (((), {}), ((x, x, x), {}), ((x,), {"w": x})):
        with pytest.raises(TypeError) as wanted:
            f(*args, **words)
        with pytest.raises(TypeError) as found:
            compiled(*args, **words)
        assert str(found.value) == str(wanted.value)


def test_variables_of_enclosing_functions_may_be_gone():
    w = np.array(2.0)

    @dezero.compile
    def f(x):
        return x * w

    x = np.array(3.0)
    for _ in range(4):
        assert f(x) == 6.0
    del w
    with pytest.raises(NameError):
        f(x)
    w = np.array(5.0)
    for _ in range(4):
        assert f(x) == 15.0
    assert f.reasons == []


def test_single_numbers_that_python_refuses(executor):
    """Where Python's arithmetic raises or overflows, the result is NumPy's."""

    def f(x, y):
        a = Variable(x)
        b = F.exp(a) / y + F.log(a) * y + a**3 - a**0
        b.backward()
        return b, a.grad.data, b.data > 0.0

    numbers = (2.0, 0.0, -0.0, -1.5, 800.0, 1e200, -1e200, np.inf, -np.inf, np.nan)
    compiled = dezero.compile(f)
    with np.errstate(all="ignore"):
        for x in (0.5, 1.0, *numbers):
            for y in numbers:
                given = np.array(x), np.array(y)
                assert_same(f(*given), compiled(*given), 1e-15)
    assert compiled.reasons == []
    assert len(compiled.programs) == 1


def test_errors_of_a_replay_are_the_functions_own(executor):
    def f(x, t):
        return F.softmax_cross_entropy(x, t).detach()

    compiled = dezero.compile(f)
    x = drawn(3, 4)
    for _ in range(3):
        compiled(x, np.array([0, 1, 2]))
    with pytest.raises(IndexError, match="labels go from 0 to 7"):
        compiled(x, np.array([0, 1, 7]))
    assert compiled.reasons == []


def test_an_error_in_a_recording_leaves_everything_as_it_was():
    w = Variable(np.ones(2))

    def f(x):
        y = w * x
        raise KeyError(y.shape)

    compiled = dezero.compile(f)
    for _ in range(3):
        with pytest.raises(KeyError):
            compiled(np.ones(2))
    assert type(w.data) is np.ndarray
    np.testing.assert_array_equal((w * 2.0).data, [2.0, 2.0])


def test_gradients_from_before_may_be_taken_and_cleared(executor):
    def f(x):
        old = x.grad
        x.cleargrad()
        F.sum(x * x).backward()
        new = x.grad
        x.cleargrad()
        return old, new, old * 2.0

    compiled = dezero.compile(f)
    for i in range(5):
        x = Variable(drawn(3, seed=i))
        x.grad = Variable(drawn(3, seed=i + 9), requires_grad=False)
        old = x.grad
        a, b, c = compiled(x)
        assert a is old
        assert x.grad is None
        np.testing.assert_array_equal(b.data, 2.0 * x.data)
        np.testing.assert_array_equal(c.data, 2.0 * old.data)
    assert compiled.reasons == []
    assert len(compiled.programs) == 1


def test_constants_that_are_returned_are_new_each_time(executor):
    compiled = dezero.compile(
        lambda x: (np.ones(2), Variable(np.arange(4.0)), F.reshape(np.arange(4.0), (2, 2)).data,
                   F.zeros_like(x).data, F.flip(np.arange(3.0)).data, x)
    )  # fmt: skip
    for _ in range(5):
        result = compiled(np.ones(3))
        expected = (np.ones(2), np.arange(4.0), np.arange(4.0).reshape(2, 2), np.zeros(3),
                    np.array([2.0, 1.0, 0.0]))  # fmt: skip
        for x, y in zip(arrays(result[:-1]), expected, strict=True):
            np.testing.assert_array_equal(x, y)
            x += 7.0
    assert compiled.reasons == []


def test_hooks_that_are_added_later_are_called(executor):
    w = Variable(np.array(3.0))

    def f(x):
        w.cleargrad()
        (w * x).backward()
        return w.grad.data

    compiled = dezero.compile(f)
    x = np.array(2.0)
    for _ in range(3):
        assert compiled(x) == 2.0
    remove = w.register_hook(lambda g: g * 10.0)
    for _ in range(4):
        assert compiled(x) == 20.0
    remove()
    assert compiled(x) == 2.0
    assert compiled.reasons == []


def test_modes_of_layers_are_seen(executor):
    dropout = dezero.layers.Dropout(0.5)
    f = dezero.compile(lambda x: dropout(x).data)
    x = np.ones(50)
    for _ in range(3):
        assert (f(x) == 0.0).any()
    dropout.eval()
    assert (f(x) == 1.0).all()
    dropout.train()
    dropout.dropout_ratio = 1.0
    assert (f(x) == 0.0).all()
    assert f.reasons == []


def test_frozen_parameters_are_seen(executor):
    w = Variable(np.array(3.0))

    def f(x):
        y = x * w
        x.cleargrad()
        w.cleargrad()
        y.backward()
        return y.data

    compiled = dezero.compile(f)
    for _ in range(3):
        compiled(Variable(np.array(2.0)))
        assert w.grad.data == 2.0
    w.requires_grad = False
    for _ in range(4):
        compiled(Variable(np.array(2.0)))
        assert w.grad is None
    assert compiled.reasons == []


def test_checks_of_kernels_are_made_in_each_run(executor):
    """A gradient that depends on the phases of eigenvectors is an error, in a replay as well."""

    def f(a, w):
        a = Variable(a)
        values, vectors = F.linalg.eigh(a)
        (F.sum(values) + F.sum(F.real(vectors[:, 0]) * w)).backward()
        return a.grad.data

    compiled = dezero.compile(f)
    a = np.array([[2.0, 1.0 - 1.0j], [1.0 + 1.0j, 3.0]])
    for _ in range(4):
        np.testing.assert_allclose(compiled(a, np.zeros(2)), f(a, np.zeros(2)), atol=1e-12)
    assert compiled.reasons == []
    for g in (f, compiled):
        with pytest.raises(ValueError, match="the loss depends on"):
            g(a, np.arange(2.0))


def test_numba_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ModuleNotFoundError, match=r'needs Numba: pip install "dezero\[numba\]"'):
        dezero.compile(lambda x: x, numba=True)


def test_variables_of_other_libraries_live_elsewhere():
    strict = pytest.importorskip("array_api_strict", reason="another library is needed")
    other = Variable(strict.ones(3))
    f = dezero.compile(lambda x: dezero.grad(lambda x: F.sum(F.exp(x) @ F.exp(x)))(x))
    x = np.linspace(0.0, 1.0, 16).reshape(4, 4)
    results = [f(x).data for _ in range(4)]
    assert not f.reasons
    for y in results:
        assert type(y) is np.ndarray
        np.testing.assert_allclose(y, results[0], rtol=1e-12)
    assert other.shape == (3,)


def test_a_function_without_arguments():
    w = Variable(np.array([1.0, 2.0]))

    def f():
        return (w * w).sum()

    compiled = dezero.compile(f)
    for _ in range(4):
        assert compiled().data == 5.0
        w.data = w.data[::-1].copy()
    with pytest.raises(TypeError, match="positional argument"):
        compiled(1.0)
    with pytest.raises(TypeError, match="keyword argument"):
        compiled(x=1.0)
