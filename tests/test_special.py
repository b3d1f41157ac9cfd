"""Special functions: edges, parameters without a closed form, libraries that lack something."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import scipy.special

import dezero
import dezero.functions as F
from dezero import Variable
from dezero.backends import Backend, backend_of, numpy_backend
from dezero.backends.special import MADE, Special

inf, nan = math.inf, math.nan
S = F.special


def derivatives(function: Any, x: float, order: int) -> list[float]:
    """The first derivatives of a function of one number."""
    v = Variable(np.array(x))
    y, result = function(v), []
    for _ in range(order):
        (y,) = dezero.grad(y, [v], create_graph=True)
        result.append(float(y.data))
    return result


def gradient(function: Any, *operands: Any) -> list[np.ndarray]:
    """The gradients of the sum, of a raw and of a recorded sweep, which agree."""
    result = []
    for create_graph in (False, True):
        vs = [Variable(np.asarray(x, dtype=float)) for x in operands]
        F.sum(function(*vs)).backward(create_graph=create_graph)
        result.append([v.grad.data for v in vs])
    for raw, recorded in zip(*result, strict=True):
        np.testing.assert_allclose(raw, recorded, rtol=1e-13)
    return result[0]


# --- any order --------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [0.0, 1e-7, 0.3, 2.5])
def test_sinc_to_order_six(x):
    # d^n/dx^n of sin(pi x)/(pi x) is pi^n times the integral of u^n cos(pi x u + n pi/2)
    u, w = np.polynomial.legendre.leggauss(60)
    u, w = 0.5 * u + 0.5, 0.5 * w
    want = [
        math.pi**n * float(np.sum(w * u**n * np.cos(math.pi * x * u + n * math.pi / 2)))
        for n in range(1, 7)
    ]
    np.testing.assert_allclose(derivatives(S.sinc, x, 6), want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("x", [0.0, 1e-7, -0.8, 3.0, -40.0])
def test_exprel_to_order_four(x):
    u, w = np.polynomial.legendre.leggauss(80)
    u, w = 0.5 * u + 0.5, 0.5 * w
    want = [float(np.sum(w * u**n * np.exp(x * u))) for n in range(1, 5)]
    np.testing.assert_allclose(derivatives(S.exprel, x, 4), want, rtol=1e-11)


@pytest.mark.parametrize("x", [1.0, 1.0 + 1e-7, 0.9, 0.4, 2.5])
def test_spence_to_order_four(x):
    # -log(x)/(x - 1) is minus the integral of 1/(1 + u (x - 1))
    u, w = np.polynomial.legendre.leggauss(80)
    u, w = 0.5 * u + 0.5, 0.5 * w
    want = [
        -float(np.sum(w * math.factorial(n) * (-u) ** n / (1 + u * (x - 1)) ** (n + 1)))
        for n in range(4)
    ]
    np.testing.assert_allclose(derivatives(S.spence, x, 4), want, rtol=1e-11)


@pytest.mark.parametrize(("name", "want"), [
    ("j0", [0.0, -0.5, 0.0, 0.375]), ("j1", [0.5, 0.0, -0.375, 0.0]),
    ("i0", [0.0, 0.5, 0.0, 0.375]), ("i1", [0.5, 0.0, 0.375, 0.0]),
])  # fmt: skip
def test_bessel_functions_at_zero(name, want, lane):
    if lane.name == "dask" or (lane.name == "jax" and name[0] == "j"):
        pytest.skip("lazy arrays" if lane.name == "dask" else "jax has no j0")
    x = lane.variable(np.array(0.0))
    y = getattr(S, name)(x)
    for value in want:
        (y,) = dezero.grad(y, [x], create_graph=True)
        np.testing.assert_allclose(lane.numpy(y), value, atol=1e-14)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_functions_with_a_gap_far_out():
    assert derivatives(S.exprel, 800.0, 2) == [inf, inf]
    assert derivatives(S.exprel, -inf, 2) == [0.0, 0.0]
    assert derivatives(S.sinc, inf, 2) == [0.0, 0.0]


# --- parameters ---------------------------------------------------------------------------------


def slope(function: Any, a: float, h: float = 1e-3) -> float:
    """The derivative by central differences at three distances: the error is h to the 6th."""
    d = [(function(a + k * h) - function(a - k * h)) / (2 * k * h) for k in (1, 2, 3)]
    return (15 * d[0] - 6 * d[1] + d[2]) / 10


@pytest.mark.parametrize("a", [0.05, 0.5, 1.0, 3.3, 40.0, 700.0])
@pytest.mark.parametrize("f", [0.01, 0.5, 0.95, 1.05, 1.5])
def test_gammainc_by_its_shape(a, f):
    x = f * (a + 0.2)
    h = 1e-2 * min(a, math.sqrt(a))
    want = slope(lambda t: float(scipy.special.gammainc(t, x)), a, h)
    for function, sign in ((S.gammainc, 1), (S.gammaincc, -1)):
        (got, _) = gradient(function, a, x)
        np.testing.assert_allclose(sign * got, want, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("a", [0.1, 1.0, 2.5, 60.0])
@pytest.mark.parametrize("b", [0.2, 1.0, 4.0, 90.0])
@pytest.mark.parametrize("x", [0.01, 0.4, 0.6, 0.97])
def test_betainc_by_its_shapes(a, b, x):
    by_a = slope(lambda t: float(scipy.special.betainc(t, b, x)), a, 1e-2 * min(a, math.sqrt(a)))
    by_b = slope(lambda t: float(scipy.special.betainc(a, t, x)), b, 1e-2 * min(b, math.sqrt(b)))
    got = gradient(S.betainc, a, b, x)
    np.testing.assert_allclose(got[:2], [by_a, by_b], rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("df", [0.3, 1.0, 5.0, 80.0, 3000.0])
@pytest.mark.parametrize("t", [-6.0, -0.5, 0.0, 0.01, 2.0])
def test_stdtr_by_its_degrees_of_freedom(df, t):
    want = slope(lambda v: float(scipy.special.stdtr(v, t)), df, 2e-2 * df)
    got, _ = gradient(S.stdtr, df, t)
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-13)


def test_tails_keep_their_digits():
    (got, _) = gradient(S.gammainc, 100.0, 20.0)
    h = 1e-2
    want = slope(lambda t: float(scipy.special.gammainc(t, 20.0)), 100.0, h)
    np.testing.assert_allclose(got, want, rtol=1e-9)
    (got, _, _) = gradient(S.betainc, 30.0, 5.0, 0.02)
    want = slope(lambda t: float(scipy.special.betainc(t, 5.0, 0.02)), 30.0, h)
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("x", [1.2, 2.0, 4.5, 9.0])
def test_zeta_by_its_exponent(x):
    want = slope(lambda t: float(scipy.special.zetac(t)), x, 1e-2 * (x - 1))
    (got,) = gradient(S.zeta, x)
    np.testing.assert_allclose(got, want, rtol=1e-8)


def test_distributions_at_their_ends():
    for function, operands in {
        S.gammainc: (2.0, [0.0, inf]),
        S.gammaincc: (2.0, [0.0, inf]),
        S.betainc: (2.0, 3.0, [0.0, 1.0]),
        S.chdtr: (3.0, [0.0, inf]),
        S.gammaincinv: (2.0, [0.0]),
        S.stdtr: (inf, [-1.0, 0.0, 2.0]),
    }.items():
        full = np.broadcast_arrays(*operands)
        *parameters, by_x = gradient(function, *full)
        for g in parameters:
            np.testing.assert_array_equal(g, 0.0)
        assert not np.any(np.isnan(by_x))
    (_, by_t) = gradient(S.stdtr, inf, 1.0)
    np.testing.assert_allclose(by_t, math.exp(-0.5) / math.sqrt(2 * math.pi))


UNDEFINED = [
    ("jv", 1.5, 2.0), ("iv", 1.5, 2.0), ("kv", 1.5, 2.0), ("yv", 1.5, 2.0), ("polygamma", 1.0, 2.0),
    ("hyp1f1", 0.5, 1.5, 0.3), ("hyp0f1", 1.5, 0.3), ("bdtr", 1.0, 4.0, 0.3),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*non-integer.*:DeprecationWarning")
@pytest.mark.parametrize("case", UNDEFINED, ids=lambda c: c[0])
def test_a_derivative_that_is_not_known_is_an_error(case):
    name, *operands = case
    function = getattr(S, name)
    vs = [Variable(np.array(x)) for x in operands]
    y = function(*vs)
    with pytest.raises(NotImplementedError, match=f"special.{name}: there is no derivative by"):
        y.backward()
    constants = [Variable(v.data, requires_grad=False) for v in vs[:-1]]
    function(*constants, vs[-1]).backward()
    assert np.isfinite(vs[-1].grad.data)


def test_an_integer_order_gets_the_gradient_zero():
    n, x = Variable(np.array([1, 2])), Variable(np.array([1.5, 2.5]))
    F.sum(S.polygamma(n, x)).backward()
    np.testing.assert_allclose(x.grad.data, scipy.special.polygamma([2, 3], x.data))


# --- where a derivative is infinite or a value is at an edge ------------------------------------

EDGES = {
    "logit": (S.logit, [0.0, 0.5, 1.0]),
    "entr": (S.entr, [0.0, 0.5]),
    "erfinv": (S.erfinv, [-1.0, 0.5, 1.0]),
    "erfcinv": (S.erfcinv, [0.0, 0.5, 2.0]),
    "ndtri": (S.ndtri, [0.0, 0.5, 1.0]),
    "cbrt": (S.cbrt, [0.0, 1.5]),
    "gamma": (S.gamma, [0.0, -1.0, 1.5, 200.0]),
    "gammaln": (S.gammaln, [0.0, -1.0, 1.5]),
    "digamma": (S.digamma, [0.0, -1.0, 1.5]),
    "erfcx": (S.erfcx, [-40.0, 1.5]),
    "k0": (S.k0, [0.0, 1.5]),
    "k1": (S.k1, [0.0, 1.5]),
    "y0": (S.y0, [0.0, 1.5]),
    "y1": (S.y1, [0.0, 1.5]),
    "exp1": (S.exp1, [0.0, 1.5]),
    "ellipk": (S.ellipk, [1.0, 0.5]),
    "ellipkm1": (S.ellipkm1, [0.0, 0.5]),
    "xlogy": (lambda x: S.xlogy(0.0, x), [0.0, 1.5]),
    "kl_div": (lambda x: S.kl_div(x, 2.0), [0.0, 1.5]),
    "rel_entr": (lambda x: S.rel_entr(0.0, x), [0.0, 1.5]),
    "gammainc": (lambda x: S.gammainc(0.5, x), [0.0, 1.5]),
    "betainc": (lambda x: S.betainc(0.5, 0.5, x), [0.0, 0.5, 1.0]),
    "gammaincinv": (lambda x: S.gammaincinv(2.0, x), [0.0, 0.5, 1.0]),
    "boxcox": (lambda x: S.boxcox(x, 0.5), [0.0, 1.5]),
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("name", EDGES)
def test_a_zero_gradient_stays_zero(name):
    """Through a branch not taken nothing comes, to second order."""
    function, at = EDGES[name]
    x = Variable(np.array(at))
    inside = np.arange(len(at)) == at.index(0.5 if 0.5 in at else 1.5)
    y = F.sum(F.where(inside, function(x), 0.0))
    (g,) = dezero.grad(y, [x], create_graph=True)
    assert np.all(g.data[~inside] == 0.0)
    assert np.all(np.isfinite(g.data))
    (h,) = dezero.grad(F.sum(g), [x])
    assert np.all(np.isfinite(h.data))
    F.sum(F.where(inside, function(x), 0.0)).backward()
    np.testing.assert_allclose(x.grad.data, g.data, rtol=1e-13)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_where_an_operand_is_zero():
    gx, gy = gradient(S.xlogy, [0.0, 0.0], [0.0, 2.0])
    assert gy.tolist() == [0.0, 0.0]
    assert gx.tolist() == [-inf, math.log(2.0)]
    gx, gy = gradient(S.kl_div, [0.0, 0.0], [0.0, 2.0])
    assert gx.tolist() == [-inf, -inf]
    assert gy.tolist() == [1.0, 1.0]
    gx, gy = gradient(S.rel_entr, [0.0], [2.0])
    assert (gx.tolist(), gy.tolist()) == ([-inf], [0.0])
    for x in gradient(S.pseudo_huber, [0.0], [0.0]):
        assert x.tolist() == [0.0]


def test_log_ndtr_far_out():
    x = np.array([-1e6, -1e3, -40.0, 0.0, 40.0, 1e3])
    (g,) = gradient(S.log_ndtr, x)
    np.testing.assert_allclose(g[:2], [1e6, 1e3], rtol=2e-6)
    assert np.all(np.isfinite(g))
    v = Variable(x)
    (g,) = dezero.grad(F.sum(S.log_ndtr(v)), [v], create_graph=True)
    (h,) = dezero.grad(F.sum(g), [v])
    assert np.all(np.isfinite(h.data))
    np.testing.assert_allclose(h.data[-2:], 0.0, atol=1e-300)


def test_logsumexp_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    for parameters in (
        {"axis": 1, "b": b, "return_sign": True},
        {"axis": (0, 1), "b": b, "return_sign": True, "keepdims": True},
        {"b": abs(b)},
        {"axis": 0, "return_sign": True},
        {"axis": 1, "b": b},
    ):
        want = scipy.special.logsumexp(a, **parameters)
        got = S.logsumexp(Variable(a), **parameters)
        pairs = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
        for x, y in pairs:
            assert x.shape == np.shape(y)
            np.testing.assert_allclose(x.data, y, rtol=1e-13)
    a = Variable(np.array([1.0, 2.0]))
    S.logsumexp(a, b=np.array([0.0, 1.0])).backward()
    assert a.grad.data.tolist() == [0.0, 1.0]


def test_multigammaln_checks_its_dimension():
    assert np.isnan(S.multigammaln(np.array(0.4), 2).data)
    with pytest.raises(ValueError, match="d is 0, expected a positive integer"):
        S.multigammaln(np.array(2.0), 0)


# --- dtypes and Python numbers ------------------------------------------------------------------


def test_float32_stays_float32(single_lane):
    lane = single_lane
    x = lane.variable(np.array([0.5, 1.5], dtype=np.float32))
    calls = [
        S.xlogy(2, x), S.xlogy(x, 0.5), S.polygamma(1, x), S.zeta(2.5, x),
        S.gammainc(2, x), S.beta(x, 1.5), S.sinc(x), S.boxcox(x, 0.5), S.iv(2, x),
    ]  # fmt: skip
    if lane.name != "torch":
        calls += [S.betainc(0.5, 2.0, x / 3.0), S.stdtr(3, x), S.expn(1, x)]
    total = None
    for y in calls:
        assert lane.dtype(y) == "float32"
        total = y if total is None else total + y
    F.sum(total).backward()
    assert lane.dtype(x.grad) == "float32"
    assert np.all(np.isfinite(lane.numpy(x.grad)))


def test_float32_beside_integer_arrays_is_promoted_as_in_arithmetic(single_lane):
    lane = single_lane
    x = lane.variable(np.array([0.5, 1.5], dtype=np.float32))
    n = lane.array(np.array([1, 2]))
    try:
        promoted = lane.dtype(x * Variable(n))
    except TypeError:  # the standard leaves it undefined
        promoted = "float32"
    for y in (S.polygamma(n, x), S.xlogy(n, x), S.gammainc(n, x), S.zeta(x + 1.0, n)):
        assert lane.dtype(y) == promoted
        (gradient,) = dezero.grad(F.sum(y), [x])
        assert lane.dtype(gradient) == "float32"
        assert np.all(np.isfinite(lane.numpy(gradient)))


def test_integers_become_floats(lane):
    if lane.name == "dask":
        pytest.skip("Dask's own dtype rules")
    y = S.gammaln(lane.array(np.array([1, 5])))
    assert lane.dtype(y)[:5] == "float"
    np.testing.assert_allclose(lane.numpy(y), [0.0, math.log(24.0)], rtol=1e-6)


# --- libraries ----------------------------------------------------------------------------------

ORDERS = {"iv", "ive", "jv"}


@pytest.mark.parametrize("name", sorted(n for n in MADE if n[0] != "_" and n not in ORDERS))
def test_what_is_made_equals_scipy(name):
    """The formulas for libraries that lack a function, over a library with few of its own."""

    class Few(type(numpy_backend)):
        def special_function(self, wanted):
            return None if wanted == name else super().special_function(wanted)

    function, reference = getattr(Few().special, name), getattr(scipy.special, name)
    rng = np.random.default_rng(0)
    count = getattr(reference, "nin", 1)
    operands = [rng.uniform(0.1, 0.9, 9) for _ in range(count)]
    if name.endswith("dg"):
        operands = [np.array([-400.0, -190.0, -45.0, 0.0, 30.0, 90.0, 135.0, 180.0, 200.0, 359.0])]
    elif name == "zetac":
        operands[0] = operands[0] + 1.5
    elif count == 1 and name not in ("logit", "erfcinv", "entr", "log1p"):
        operands[0] = np.append(operands[0] * 8 - 4, 0.0)
    np.testing.assert_allclose(function(*operands), reference(*operands), rtol=3e-13, atol=1e-15)


@pytest.mark.parametrize("name", sorted(ORDERS))
@pytest.mark.parametrize("n", range(-3, 7))
def test_bessel_functions_that_are_made(name, n):
    x = np.linspace(-15, 15, 61)
    got = MADE[name](numpy_backend, n, x)
    want = getattr(scipy.special, name)(n, x)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13 * np.max(np.abs(want)))
    with pytest.raises(NotImplementedError, match="one integer order"):
        MADE[name](numpy_backend, 0.5, x)


def test_without_scipy_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    special = Special(numpy_backend)
    with pytest.raises(ImportError, match=r"special.gammaln of NumPy arrays needs SciPy: pip inst"):
        special.gammaln(np.ones(2))
    # what is made of the standard works
    np.testing.assert_allclose(special.expit(np.zeros(1)), 0.5)
    np.testing.assert_allclose(special.erf(np.ones(1)), math.erf(1.0), rtol=1e-15)


def test_a_library_without_a_function():
    class Bare:
        __name__ = "bare"

        def __getattr__(self, name):
            return getattr(np, name)

    backend = Backend(Bare())
    with pytest.raises(NotImplementedError, match="bare has no gammaln: it is not among"):
        backend.special.gammaln(np.ones(2))
    np.testing.assert_allclose(backend.special.xlogy(np.zeros(2), np.zeros(2)), 0.0)
    with pytest.raises(AttributeError):
        backend.special.__length_hint__  # noqa: B018  the look-up itself is what is tested


def test_torch_names_what_it_lacks(chosen_lane):
    lane = chosen_lane("torch")
    x = lane.variable(np.array([0.5]))
    with pytest.raises(NotImplementedError, match="torch has no betainc"):
        S.betainc(2.0, 3.0, x)


def test_namespaces_find_scipys_names():
    """Every function that SciPy looks up on a namespace, but for those without derivatives."""
    from scipy.special import _support_alternative_backends as table

    names = {info.name for info in table._special_funcs}
    assert names <= set(S.__all__)
    assert backend_of(np.ones(1)).special is numpy_backend.special
    assert "numpy" in repr(numpy_backend.special)
