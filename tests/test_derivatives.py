"""Derivatives of functions: against known ones, nested, in structures, and what they refuse."""

from __future__ import annotations

import collections
import gc
import threading
import tracemalloc
from weakref import ref

import numpy as np
import pytest

import dezero.functions as F
from dezero import Config, Function, Parameter, Variable, no_grad, random, test_mode
from dezero.derivatives import checkpoint, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from dezero.testing import check_gradients

close = np.testing.assert_allclose


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def is_constant(x):
    return isinstance(x, Variable) and not x.requires_grad


class Counted(Function):
    """The identity, which counts its backward passes."""

    def __init__(self):
        self.passes = []

    def forward(self, x):
        return x * 1.0

    def backward(self, gy):
        self.passes.append(1)
        return gy * 1.0


class Square(Function):
    """In the book's style."""

    def forward(self, x):
        return x**2

    def backward(self, gy):
        (x,) = self.inputs
        return 2 * x * gy


# --- grad -----------------------------------------------------------------------------------------


def test_grad_of_a_function(lane):
    x, w = normal(3, 4), normal(4)
    g = grad(lambda x, w: F.sum(F.tanh(x * w)), argnums=(0, 1))(lane.array(x), lane.array(w))
    slope = 1 - np.tanh(x * w) ** 2
    close(lane.numpy(g[0]), slope * w, rtol=1e-12)
    close(lane.numpy(g[1]), (slope * x).sum(0), rtol=1e-12)
    assert all(map(is_constant, g))


def test_grad_keeps_the_dtype(lane):
    g = grad(lambda x: F.sum(F.exp(x)))(lane.array(np.ones(2, np.float32)))
    assert lane.dtype(g) == "float32"


def test_value_and_grad(lane):
    value, g = value_and_grad(lambda x: F.sum(x * x * x))(lane.array([1.0, 2.0]))
    close(lane.numpy(value), 9.0)
    close(lane.numpy(g), [3.0, 12.0])
    assert is_constant(value)
    assert is_constant(g)


Pair = collections.namedtuple("Pair", "a b")


def test_arguments_of_every_structure():
    tree = {"w": [np.array(2.0), (np.array(3.0), None)], "p": Pair(Variable(np.array(5.0)), 7.0)}

    def f(d, scale):
        d["p"].a.name = "mine"
        return d["w"][0] * d["w"][1][0] * d["p"].a * d["p"].b * scale

    g = grad(f)(tree, 2)
    assert list(g) == ["w", "p"]
    assert isinstance(g["w"], list)
    assert isinstance(g["p"], Pair)
    assert g["w"][1][1] is None
    got = [g["w"][0], g["w"][1][0], g["p"].a, g["p"].b]
    assert [float(x.data) for x in got] == [210.0, 140.0, 84.0, 60.0]
    assert tree["p"].a.name is None


def test_argnums():
    def f(a, b, c=1.0):
        return a * b * b * c

    assert grad(f, 1)(2.0, 3.0, c=10.0).item() == 120.0
    assert grad(f, -2)(2.0, 3.0).item() == 9.0
    assert [g.item() for g in grad(f, argnums=[1, 0])(2.0, 3.0)] == [12.0, 9.0]
    x = Variable(np.array(3.0))  # the same Variable twice
    assert [g.item() for g in grad(lambda a, b: a * b * b, (0, 1))(x, x)] == [9.0, 18.0]


def test_a_decorated_function():
    @grad
    def slope(x):
        return x * x

    assert slope(4.0).item() == 8.0


def test_grad_with_respect_to_an_argument_without_influence(lane):
    f = lambda x, y: F.sum(x * 2.0)  # noqa: E731
    close(lane.numpy(grad(f, 1)(lane.array([1.0]), lane.array([1.0, 2.0]))), [0.0, 0.0])
    detached = lambda x: F.sum(x.detach() * x)  # noqa: E731
    close(lane.numpy(grad(detached)(lane.array([3.0]))), [3.0])
    close(lane.numpy(grad(lambda x: F.sum(x.detach()))(lane.array([3.0]))), [0.0])


def test_gradients_share_no_memory():
    x = np.ones(3)
    a, b = grad(lambda a, b: F.sum(a + b), (0, 1))(x, x)
    assert not np.shares_memory(a.data, b.data)
    a.data += 1.0
    close(b.data, 1.0)
    w = np.ones(3)
    g = grad(lambda x: F.sum(x * w))(x)
    g.data *= 5.0
    close(w, 1.0)


def test_nothing_outside_changes():
    w = Parameter(normal(3))
    x = Variable(normal(3))
    kept = x.data.copy()
    f = lambda x: F.sum(w * x * x)  # noqa: E731
    for form in FORMS.values():
        form(f, x)
        assert x.grad is None
        assert w.grad is None
        close(x.data, kept)
    before = w.grad = Variable(np.ones(3))
    grad(f(x), [x, w])
    assert w.grad is before
    close(before.data, 1.0)


# --- grad of Variables ----------------------------------------------------------------------------


def test_grad_of_a_variable(lane):
    x, w = lane.variable(normal(3)), lane.variable(normal(3, seed=1))
    h = F.sin(x)
    y = F.sum(h * w)
    g = grad(y, {"x": x, "rest": [w, h]}, retain_graph=True)
    close(lane.numpy(g["x"]), np.cos(lane.numpy(x)) * lane.numpy(w))
    close(lane.numpy(g["rest"][0]), lane.numpy(h))
    close(lane.numpy(g["rest"][1]), lane.numpy(w))
    assert is_constant(g["x"])
    assert x.grad is None
    close(lane.numpy(grad(y, y)), 1.0)


def test_grad_of_several_variables_with_seeds():
    x = Variable(np.array([1.0, 2.0]))
    a, b = x * x, x * 3.0
    g = grad([a, b], x, gys=[np.array([1.0, 10.0]), np.array([1, 1])])
    close(g.data, [5.0, 43.0])


def test_only_functions_between_run():
    behind, between, beside = Counted(), Counted(), Counted()
    x, w = Variable(np.array(2.0)), Variable(np.array(3.0))
    h = behind(x)
    y = between(h) * beside(w)
    grad(y, h, retain_graph=True)
    assert (behind.passes, between.passes, beside.passes) == ([], [1], [])
    grad(y, x)
    assert (behind.passes, between.passes, beside.passes) == ([1], [1, 1], [])


def test_what_is_not_between_is_not_released():
    x = Variable(np.array(2.0))
    h = F.exp(x) * x
    y = h * h
    grad(y, h)
    h.backward()
    close(x.grad.data, 3 * np.exp(2.0))
    with pytest.raises(RuntimeError, match="released"):
        grad(y, h)


def test_grad_of_a_variable_recorded():
    x = Variable(np.array(2.0))
    y = x * x * x
    g = grad(y, x, create_graph=True)
    second = grad(g, x, create_graph=True)
    assert second.item() == 12.0
    assert grad(second, x, retain_graph=True).item() == 6.0
    g.backward()
    assert x.grad.item() == 12.0


def test_unused_and_constant_variables():
    x, other = Variable(np.array(2.0)), Variable(np.array(2.0))
    y = x * x
    with pytest.raises(RuntimeError, match=r"does not depend on xs\[1\].*allow_unused"):
        grad(y, [x, other])
    g = grad(y, [x, other], allow_unused=True)
    assert g[0].item() == 4.0
    assert g[1] is None
    with pytest.raises(TypeError, match=r"xs is a constant"):
        grad(y, x.detach())
    with pytest.raises(TypeError, match="ndarray"):
        grad(y, np.ones(1))
    v = Variable(np.ones(3)) * 1.0
    with pytest.raises(ValueError, match=r"shape \(3,\).*gys"):
        grad(v * v, v)
    with pytest.raises(ValueError, match=r"gys has shape \(2,\), expected \(\)"):
        grad(x * x, x, gys=np.ones(2))


# --- nesting --------------------------------------------------------------------------------------


def test_nested_to_any_order(lane):
    f, point = F.sin, lane.array(0.7)
    for k in range(6):
        close(lane.numpy(f(Variable(point))), np.sin(0.7 + k * np.pi / 2), rtol=1e-12)
        f = grad(f)


def test_an_inner_gradient_does_not_meet_the_outer_variable():
    # d/dx [ x * d/dy (x + y) at y = 1 ] = 1: a derivative that confuses x and y gives 2
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0).item() == 1.0
    # d/dx [ d/dy (x * y) at y = x ] = d/dx x = 1
    assert grad(lambda x: grad(lambda y: x * y)(x))(3.0).item() == 1.0
    # the same with the inner function of a plain array
    assert grad(lambda x: x * grad(lambda y: x * y)(5.0))(3.0).item() == 6.0


def test_an_inner_gradient_of_a_plain_array_is_differentiable_in_a_closure():
    w = Parameter(np.array([1.0, 2.0]))
    penalty = F.sum(grad(lambda x: F.sum(w * x * x))(np.array([1.0, 1.0])) ** 2)
    penalty.backward()
    close(w.grad.data, 8.0 * w.data)
    x = Variable(np.array(3.0))
    g = grad(lambda x: x * x * x)(x)
    g.backward()
    close(x.grad.data, 18.0)


def test_create_graph_says_what_is_recorded():
    x = Variable(np.array(3.0))
    f = lambda x: x * x * x  # noqa: E731
    assert grad(f)(x).requires_grad
    assert is_constant(grad(f)(x.data))
    assert is_constant(grad(f, create_graph=False)(x))
    assert grad(f, create_graph=True)(x.data).requires_grad
    value, _ = value_and_grad(f, create_graph=False)(x)
    assert is_constant(value)


def test_a_value_stays_connected_to_what_is_outside():
    w = Parameter(np.array(3.0))
    value, g = value_and_grad(lambda x: w)(1.0)
    value = value * 2.0
    value.backward()
    assert (w.grad.item(), g.item()) == (2.0, 0.0)
    (y, _), _ = vjp(lambda x: (F.sin(w), x), 1.0)
    assert y.requires_grad


def test_under_no_grad():
    x = Variable(np.array(3.0))
    with no_grad():
        g = grad(lambda x: grad(lambda x: x * x * x)(x))(x)
        assert not Config.enable_backprop
    assert g.item() == 18.0
    assert is_constant(g)


def test_a_nested_gradient_while_another_thread_records_nothing():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with no_grad():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    try:
        assert inside.wait(10)
        assert grad(grad(lambda x: x * x * x))(2.0).item() == 12.0
    finally:
        leave.set()
        thread.join()


def test_nested_gradients_across_threads():
    """The inner gradient is taken in a thread of its own, of an outer Variable."""

    def inner(x):
        found = []
        thread = threading.Thread(target=lambda: found.append(grad(lambda y: x * y * y)(x)))
        thread.start()
        thread.join()
        return found[0]  # 2 x y at y = x

    assert grad(inner)(3.0).item() == 12.0


def test_threads_do_not_meet():
    w = Parameter(normal(4, 4))
    expected = {}
    got = collections.defaultdict(list)

    def f(x):
        return F.sum(F.tanh(x @ w) ** 2)

    inputs = {i: normal(3, 4, seed=i) for i in range(8)}
    for i, x in inputs.items():
        expected[i] = grad(f)(x).data, hvp(f, x, x).data

    def work(i):
        for _ in range(20):
            got[i].append((grad(f)(inputs[i]).data, hvp(f, inputs[i], inputs[i]).data))

    threads = [threading.Thread(target=work, args=(i,)) for i in inputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, pairs in got.items():
        assert len(pairs) == 20
        for pair in pairs:
            np.testing.assert_array_equal(pair[0], expected[i][0])
            np.testing.assert_array_equal(pair[1], expected[i][1])


# --- vjp, jvp, jacobian, hessian, hvp -------------------------------------------------------------


def test_vjp(lane):
    a, b, u = normal(2, 3), normal(3, 4), normal(2, 4)
    y, pullback = vjp(F.matmul, lane.array(a), lane.array(b))
    close(lane.numpy(y), a @ b)
    assert is_constant(y)
    for factor in (1.0, 2.0, 3.0):
        ga, gb = pullback(lane.array(factor * u))
        close(lane.numpy(ga), factor * u @ b.T)
        close(lane.numpy(gb), factor * a.T @ u)
        assert is_constant(ga)


def test_vjp_of_nested_outputs():
    f = lambda d: {"s": d["a"] * d["b"], "t": (d["a"] + d["b"], [3.0 * d["b"]])}  # noqa: E731
    y, pullback = vjp(f, {"a": 2.0, "b": 5.0})
    assert y["t"][1][0].item() == 15.0
    (g,) = pullback({"t": (10.0, [100.0]), "s": 1.0})  # in any order of the keys
    assert (g["a"].item(), g["b"].item()) == (15.0, 312.0)


def test_pullback_is_differentiable():
    u = Variable(np.array([1.0, 2.0]))
    _, pullback = vjp(lambda x: x * x, np.array([3.0, 4.0]))
    F.sum(pullback(u)[0]).backward()
    close(u.grad.data, [6.0, 8.0])


def test_jvp(lane):
    x, t = normal(3), normal(3, seed=1)
    y, dy = jvp(lambda x: F.exp(F.sum(x * x)) * x, (lane.array(x),), (lane.array(t),))
    e = np.exp(x @ x)
    close(lane.numpy(y), e * x)
    close(lane.numpy(dy), e * t + e * x * 2 * (x @ t))
    assert is_constant(y)
    assert is_constant(dy)


JVP_CASES = {
    "matmul": lambda x: x @ x.T,
    "softmax": lambda x: F.softmax(x, axis=1),
    "log_softmax": lambda x: F.log_softmax(x, axis=1),
    "index": lambda x: x[np.array([0, 0, 2]), 1:],
    "where": lambda x: F.where(x > 0, F.sqrt(F.abs(x)), x),
    "max": lambda x: F.max(x, axis=0),
    "cumulative": lambda x: F.concat([F.sort(x, axis=1), F.prod(x, axis=0, keepdims=True)]),
    "variance": lambda x: F.var(x, axis=1),
    "several": lambda x: F.split(x, 2, axis=1),
    "user": lambda x: Square()(x),
    "checkpoint": lambda x: checkpoint(lambda x: F.tanh(x @ x.T), x),
    "identity": lambda x: x,
    "linear": lambda x: 3.0 * x,
}


@pytest.mark.parametrize("name", JVP_CASES)
def test_jvp_agrees_with_differences_and_vjp(name):
    f = JVP_CASES[name]
    g = (lambda x: tuple(f(x))) if name == "several" else (lambda x: (f(x),))
    x, t, h = normal(4, 4), normal(4, 4, seed=1), 1e-6
    ys, dys = jvp(g, (x,), (t,))
    ahead, back = g(Variable(x + h * t)), g(Variable(x - h * t))
    for dy, a, b in zip(dys, ahead, back, strict=True):
        close(dy.data, (a.data - b.data) / (2 * h), rtol=1e-6, atol=1e-7)
    us = tuple(normal(*y.shape, seed=2) for y in ys)
    (gx,) = vjp(g, x)[1](us)
    close(sum((u * dy.data).sum() for u, dy in zip(us, dys, strict=True)), (gx.data * t).sum())


def test_jvp_of_nested_arguments_and_without_influence():
    f = lambda d, c: [d["a"] * d["b"][0], c.detach() * 2.0]  # noqa: E731
    y, dy = jvp(f, ({"a": 2.0, "b": [3.0]}, 4.0), ({"a": 1.0, "b": [10.0]}, 1.0))
    assert [v.item() for v in y] == [6.0, 8.0]
    assert [v.item() for v in dy] == [23.0, 0.0]
    assert jvp(F.sin, 0.0, 2.0)[1].item() == 2.0


def test_jvp_nests():
    f = lambda x: x**4  # noqa: E731
    derivative = lambda f: lambda x: jvp(f, (x,), (1.0,))[1]  # noqa: E731
    assert derivative(derivative(f))(2.0).item() == 48.0
    assert grad(derivative(f))(2.0).item() == 48.0
    assert derivative(grad(f))(2.0).item() == 48.0
    t = Variable(np.array(3.0))
    jvp(f, (2.0,), (t,))[1].backward()
    assert t.grad.item() == 32.0


def test_jacobian(lane):
    x = normal(2, 3)
    j = jacobian(lambda x: F.sum(x * x, axis=0))(lane.array(x))
    expected = np.zeros((3, 2, 3))
    for i in range(3):
        expected[i, :, i] = 2 * x[:, i]
    assert j.shape == (3, 2, 3)
    close(lane.numpy(j), expected)


def test_jacobian_of_structures():
    f = lambda p, c: {"y": p["w"] * c, "z": F.sum(p["b"]) * p["w"][0]}  # noqa: E731
    p = {"w": normal(2), "b": normal(3)}
    j = jacobian(f, (0, 1))(p, 3.0)
    close(j["y"][0]["w"].data, 3.0 * np.eye(2))
    close(j["y"][0]["b"].data, np.zeros((2, 3)))
    close(j["y"][1].data, p["w"])
    close(j["z"][0]["b"].data, np.full(3, p["w"][0]))
    assert j["z"][1].shape == ()


def test_jacobian_of_empty_arrays():
    assert jacobian(lambda x: x[:0] * 2.0)(np.ones(3)).shape == (0, 3)
    assert jacobian(lambda x: F.broadcast_to(F.sum(x), (2,)))(np.ones(0)).shape == (2, 0)


def test_hessian(lane):
    x, a = normal(3), normal(3, 3)
    symmetric = a + a.T
    form = lambda x: 0.5 * F.sum(x * F.matmul(lane.array(symmetric), x))  # noqa: E731
    h = hessian(lambda x: form(x) + F.sum(x**3))(lane.array(x))
    close(lane.numpy(h), symmetric + np.diag(6 * x), atol=1e-12)
    assert is_constant(h)


def test_hessian_of_structures():
    h = hessian(lambda d: F.sum(d["a"] * d["a"] * d["b"]))({"a": normal(2), "b": normal(2, seed=1)})
    close(h["a"]["a"].data, 2 * np.diag(normal(2, seed=1)))
    close(h["a"]["b"].data, 2 * np.diag(normal(2)))
    close(h["b"]["b"].data, np.zeros((2, 2)))
    h = hessian(lambda a, b: a * b, (0, 1))(2.0, 3.0)
    assert [[v.item() for v in row] for row in h] == [[0.0, 1.0], [1.0, 0.0]]


def test_hvp(lane):
    x, v = normal(4), normal(4, seed=1)
    f = lambda x: F.sum(F.exp(x) * F.sum(x * x))  # noqa: E731
    full = hessian(f)(lane.array(x))
    got = hvp(f, lane.array(x), lane.array(v))
    close(lane.numpy(got), lane.numpy(full) @ v, rtol=1e-10)


def test_hvp_of_structures_and_linear_functions():
    f = lambda d: F.sum(d["a"] * d["a"] * d["b"][0])  # noqa: E731
    got = hvp(f, {"a": 2.0, "b": (3.0,)}, {"a": 1.0, "b": (10.0,)})
    assert (got["a"].item(), got["b"][0].item()) == (46.0, 4.0)
    close(hvp(lambda x: F.sum(x), np.ones(2), np.ones(2)).data, 0.0)


def test_hvp_takes_no_matrix():
    n = 300_000
    tracemalloc.start()
    hvp(lambda x: F.sum(F.sin(x)), np.ones(n), np.ones(n))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * 8 * n


def test_everything_nests():
    x, w = normal(3), Parameter(normal(3, seed=1))
    f = lambda x: F.sum(F.sin(x * w))  # noqa: E731
    third = jacobian(hessian(f))(x)
    expected = np.zeros((3, 3, 3))
    np.einsum("iii->i", expected)[:] = -(w.data**3) * np.cos(x * w.data)
    close(third.data, expected, atol=1e-12)
    F.sum(hvp(f, x, np.ones(3))).backward()
    z = x * w.data
    close(w.grad.data, -2 * w.data * np.sin(z) - w.data**2 * x * np.cos(z))


# --- complex numbers ------------------------------------------------------------------------------


def test_complex_gradient_is_steepest_ascent(lane):
    if lane.name == "dask":
        pytest.skip("complex numbers run on the other lanes")
    f = lambda z: F.real(z * F.conj(z)) + 3.0 * F.imag(z)  # noqa: E731
    assert complex(lane.numpy(grad(f)(lane.array(1 + 2j)))) == 2 + 7j


def test_complex_products_and_jacobians():
    z, t = normal(3) + 1j * normal(3, seed=1), normal(3, seed=2) + 1j * normal(3, seed=3)
    _, dy = jvp(lambda z: F.exp(z) * z, (z,), (t,))
    close(dy.data, (1 + z) * np.exp(z) * t)
    _, pullback = vjp(F.exp, z)
    close(pullback(t)[0].data, np.conj(np.exp(z)) * t)
    f = lambda z: F.sum(F.real(z * z * z))  # noqa: E731
    close(hvp(f, z, t).data, np.conj(6 * z * t))  # the gradient is conj(3 z^2)
    x = normal(3)
    close(jacobian(lambda x: x * x * (1 + 2j))(x).data, np.diag(2 * x * (1 + 2j)))
    close(jacobian(lambda z: F.real(z) * F.imag(z))(z).data, np.diag(z.imag + 1j * z.real))
    with pytest.raises(TypeError, match=r"jacobian.*complex"):
        jacobian(lambda z: z * z)(z)
    with pytest.raises(TypeError, match=r"hessian.*complex"):
        hessian(f)(z)
    with pytest.raises(TypeError, match="complex128, expected a real"):
        grad(lambda z: F.sum(z * z))(z)


# --- bad input ------------------------------------------------------------------------------------

FORMS = {
    "grad": lambda f, x: grad(f)(x),
    "value_and_grad": lambda f, x: value_and_grad(f)(x),
    "jacobian": lambda f, x: jacobian(f)(x),
    "hessian": lambda f, x: hessian(f)(x),
    "hvp": lambda f, x: hvp(f, x, x),
    "vjp": lambda f, x: vjp(f, x),
    "jvp": lambda f, x: jvp(f, (x,), (x,)),
}


def never(*args):
    pytest.fail("f was called")


@pytest.mark.parametrize("name", FORMS)
def test_integers_and_booleans_are_refused(name, lane):
    form = FORMS[name]
    for values in (np.array([1, 2]), np.array([True]), np.array(3, np.int32)):
        with pytest.raises(TypeError, match=rf"{name}: argument 0 is .*{values.dtype}"):
            form(never, lane.array(values))
        with pytest.raises(TypeError, match=rf"{name}: argument 0\['a'\]\[1\] is .*{values.dtype}"):
            form(never, {"a": [lane.array([1.0]), lane.variable(values)]})
    with pytest.raises(TypeError, match=f"{name}: argument 0 is int64"):
        form(never, 3)


@pytest.mark.parametrize("name", FORMS)
def test_what_is_not_an_array_is_refused(name):
    with pytest.raises(TypeError, match=f"{name}: argument 0 is <class 'str'>"):
        FORMS[name](never, "x")
    with pytest.raises(TypeError, match=f"{name}.*NoneType"):
        FORMS[name](never, Variable(None))


@pytest.mark.parametrize("name", FORMS)
def test_results_that_are_no_variables_are_refused(name):
    x = np.array([2.0])
    for result in (3.0, None, np.ones(1), "y"):
        with pytest.raises(TypeError, match=f"{name}: .*{type(result).__name__}"):
            FORMS[name](lambda x, result=result: result, x)
    with pytest.raises(TypeError, match=f"{name}: the output of f is int64"):
        FORMS[name](lambda x: F.argmax(x), x)


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "hessian", "hvp"])
def test_outputs_that_are_not_scalar_are_refused(name):
    hint = rf"{name}: the output of f has shape \(2, 3\).*jacobian or vjp"
    with pytest.raises(ValueError, match=hint):
        FORMS[name](lambda x: x * x, np.ones((2, 3)))
    with pytest.raises(TypeError, match=f"{name}: f returned <class 'tuple'>"):
        FORMS[name](lambda x: (x,), np.array(1.0))


def test_argnums_that_do_not_fit():
    with pytest.raises(ValueError, match="argnums has 2, but there are 1"):
        grad(never, 2)(1.0)
    with pytest.raises(ValueError, match="twice"):
        grad(never, (0, -2))(1.0, 2.0)
    with pytest.raises(TypeError, match=r"jacobian: argnums .* call jacobian\(f\)\(x\)"):
        jacobian(never, np.ones(2))
    with pytest.raises(TypeError, match="argnums"):
        grad(never, 1.5)


def test_tangents_and_cotangents_that_do_not_fit():
    x = {"a": np.ones(2), "b": np.ones(3)}
    f = lambda d: {"y": d["a"] * 2.0, "z": [F.sum(d["b"])]}  # noqa: E731
    _, pullback = vjp(f, x)
    with pytest.raises(
        ValueError, match=r"vjp: the cotangent\['y'\] has shape \(3,\), expected \(2,\)"
    ):
        pullback({"y": np.ones(3), "z": [1.0]})
    with pytest.raises(ValueError, match=r"vjp: the cotangent has the structure \{'y': \*\}"):
        pullback({"y": np.ones(2)})
    with pytest.raises(TypeError, match=r"the cotangent\['z'\]\[0\] is complex128"):
        pullback({"y": np.ones(2), "z": [1j]})
    with pytest.raises(TypeError, match=r"the cotangent\['y'\] is <class 'list'>"):
        pullback({"y": [1.0, 1.0], "z": [1.0]})
    with pytest.raises(ValueError, match=r"jvp: tangents\[0\]\['b'\] has shape"):
        jvp(f, (x,), ({"a": np.ones(2), "b": np.ones(2)},))
    with pytest.raises(ValueError, match=r"jvp: tangents has the structure"):
        jvp(f, (x,), (x, x))
    with pytest.raises(ValueError, match=r"hvp: v has shape \(3,\), expected \(2,\)"):
        hvp(lambda x: F.sum(x), np.ones(2), np.ones(3))
    assert pullback({"y": np.ones(2), "z": [1]})[0]["a"].shape == (2,)  # it still works


def test_two_libraries_are_refused():
    strict = pytest.importorskip("array_api_strict")
    _, pullback = vjp(lambda x: x * 2.0, np.ones(2))
    with pytest.raises(TypeError, match=r"vjp: the cotangent.*strict"):
        pullback(strict.ones(2))


def test_an_error_in_f_leaves_the_modes_alone():
    def broken(x):
        msg = "mine"
        raise KeyError(msg)

    with no_grad():
        with pytest.raises(KeyError):
            grad(broken)(1.0)
        assert not Config.enable_backprop


# --- checkpoint -----------------------------------------------------------------------------------


def block(x, w):
    return F.tanh(x @ w) @ w


def test_checkpoint_gives_the_same_gradients(lane):
    if lane.name == "dask":
        pytest.skip("a second run of a graph that dask has not computed says nothing")
    found = []
    for call in (block, lambda x, w: checkpoint(block, x, w)):
        x, w = lane.variable(normal(4, 3)), lane.variable(normal(3, 3, seed=1))
        F.sum(call(call(x, w), w) ** 2).backward()
        found.append((lane.numpy(x.grad), lane.numpy(w.grad)))
    close(found[1][0], found[0][0], rtol=1e-12)
    close(found[1][1], found[0][1], rtol=1e-12)


def test_checkpoint_reaches_variables_in_a_closure():
    x, w = normal(4, 3), Parameter(normal(3, 3, seed=1))

    def run(call):
        w.cleargrad()
        h = F.sin(w)  # made outside, no leaf
        F.sum(call(lambda: block(Variable(x, requires_grad=False), w) @ h) ** 2).backward()
        return w.grad.data

    close(run(checkpoint), run(lambda f: f()), rtol=1e-12)


def test_gradients_at_what_a_checkpoint_uses():
    w = Parameter(normal(3))
    h = F.sin(w)
    y = F.sum(checkpoint(lambda: h * h * w))
    gh, gw = grad(y, [h, w], retain_graph=True)
    close(gh.data, 2 * h.data * w.data)
    close(gw.data, 2 * h.data * w.data * np.cos(w.data) + h.data**2)
    x = Variable(normal(3))
    y = F.sum(checkpoint(lambda x: x * x, x))
    with pytest.raises(RuntimeError, match="does not depend"):
        grad(y, w)


def test_checkpoint_to_any_order():
    w, x = normal(3, 3, seed=1), normal(2, 3)
    check_gradients(lambda x, w: checkpoint(block, x, w), x, w, order=3)
    check_gradients(lambda x, w: checkpoint(lambda x: block(x, w), x), x, w, order=3)

    def nested(x, w):
        h = F.sin(w)
        inner = lambda q: checkpoint(lambda q: block(q, h) @ w, q) * F.sum(h)  # noqa: E731
        return checkpoint(inner, x)

    check_gradients(nested, x, w, order=3)
    plain = lambda x: F.sum(F.sin(x) * x)  # noqa: E731
    again = lambda x: checkpoint(plain, x)  # noqa: E731
    close(hessian(again)(x[0]).data, hessian(plain)(x[0]).data)


def test_checkpoint_of_structures():
    def f(d, scale=1.0):
        return {"y": d["a"] * scale, "z": (d["b"][0] * d["a"], None, 7, np.ones(2))}

    a, b = Variable(np.array(2.0)), Variable(np.array(3.0))
    y = checkpoint(f, {"a": a, "b": [b]}, scale=5.0)
    assert y["z"][1] is None
    assert y["z"][2] == 7
    assert isinstance(y["z"][3], np.ndarray)
    y["z"][0].backward(retain_graph=True)  # one output alone
    assert (a.grad.item(), b.grad.item()) == (3.0, 2.0)
    (y["z"][0] + y["y"]).backward()
    assert (a.grad.item(), b.grad.item()) == (3.0 + 8.0, 4.0)


def test_a_checkpoint_that_returns_what_it_was_given():
    x, w = Variable(np.array(2.0)), Parameter(np.array(3.0))
    a, b = checkpoint(lambda x: (x, w), x)
    (a * b).backward()
    assert (x.grad.item(), w.grad.item()) == (3.0, 2.0)
    c = checkpoint(lambda: Variable(np.ones(1)) * 2.0)  # made inside: nothing outside wants it
    assert is_constant(c)


def test_checkpoint_runs_once_more_for_each_sweep():
    runs = []

    def f(x):
        runs.append(Config.train)
        return F.exp(x)

    x = Variable(np.array(1.0))
    with no_grad():
        assert is_constant(checkpoint(f, x))
    runs.clear()
    with test_mode():
        y = checkpoint(f, x)
    y.backward(retain_graph=True)
    y.backward()
    assert runs == [False, False, False]
    with pytest.raises(RuntimeError, match=r"Checkpoint needs .* released"):
        y.backward()


@pytest.mark.parametrize("seed", [None, 3])
def test_checkpoint_draws_the_same_numbers(seed):
    x = np.ones(1000)

    def f(x):
        return F.dropout(x, 0.5) * np.random.normal(size=1000)

    try:
        random.seed(seed)
        np.random.seed(0)
        v = Variable(x)
        y = checkpoint(f, v)
        between = np.random.random(), random.uniform((3,))
        y.backward()
        close(v.grad.data, y.data)
        after = np.random.random(), random.uniform((3,))
        random.seed(seed)
        np.random.seed(0)
        f(Variable(x))
        expected = [(np.random.random(), random.uniform((3,))) for _ in range(2)]
        for got, want in zip((between, after), expected, strict=True):
            assert got[0] == want[0]
            np.testing.assert_array_equal(got[1], want[1])
    finally:
        random.seed(None)


def test_checkpoint_takes_the_values_of_the_call():
    x = Variable(np.array(2.0))
    y = checkpoint(lambda x: x * x * x, x)
    x.data = np.array(100.0)
    y.backward()
    assert x.grad.item() == 12.0


def test_checkpoint_refuses_a_closure_that_changed():
    w = Parameter(np.array(2.0), name="weight")
    y = checkpoint(lambda: w * w)
    w.data = np.array(3.0)
    with pytest.raises(RuntimeError, match="weight was given other data"):
        y.backward()
    assert w.grad is None


def test_checkpoint_refuses_another_result():
    shapes = iter([2, 3])
    x = Variable(np.ones(3))
    y = F.sum(checkpoint(lambda x: x[: next(shapes)] * 2.0, x))
    with pytest.raises(RuntimeError, match="something else"):
        y.backward()


def test_unchained_checkpoint():
    x = Variable(np.array(2.0))
    h = checkpoint(lambda x: x * x, x)
    y = h * 3.0
    y.unchain_backward()
    y.backward()
    assert x.grad is None


def peak_of(run):
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_checkpoint_keeps_nothing_inside():
    n, segments, length = 50_000, 8, 8
    w = Parameter(np.ones(n))

    def segment(x):
        for _ in range(length):
            x = F.tanh(x * w)
        return x

    def run(call):
        x = Variable(np.ones(n))
        y = x
        for _ in range(segments):
            y = call(y)
        F.sum(y).backward()

    stored, again = (
        peak_of(lambda: run(segment)),
        peak_of(lambda: run(lambda x: checkpoint(segment, x))),
    )
    arrays = 8 * n
    assert stored > segments * length * arrays
    assert again < (segments + 2 * length + 12) * arrays
    x = Variable(np.ones(n))
    tracemalloc.start()
    y = checkpoint(lambda: segment(w))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert y.shape == x.shape
    assert kept < 1.2 * arrays


def test_a_checkpoint_is_freed_by_counting():
    gc.disable()
    try:
        x = Variable(np.ones(10))
        y = checkpoint(lambda x: F.exp(Square()(x)), x)
        gone = ref(y)
        F.sum(y).backward(retain_graph=True)
        del y
        assert gone() is None
    finally:
        gc.enable()


def test_a_checkpoint_leads_to_what_is_outside_only():
    x, w = Variable(np.array(2.0)), Parameter(np.array(3.0))
    h = F.sin(w)
    y = checkpoint(lambda x: F.exp(Square()(Square()(x) * 2.0)) * (h * h), x)
    inputs = y.creator.inputs
    assert len(inputs) == 2
    assert inputs[0].data is x.data
    assert inputs[1].data is h.data
