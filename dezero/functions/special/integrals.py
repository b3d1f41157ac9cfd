"""Exponential, elliptic and hypergeometric functions, and zeta."""

import math

from ...primitive import elementwise, primitive
from .derivatives import arrays, off_zero, undefined, unless_harmless, zeta_slope

__all__ = [
    "ellipe",
    "ellipk",
    "ellipkm1",
    "exp1",
    "expi",
    "expn",
    "hyp0f1",
    "hyp1f1",
    "hyp2f1",
    "lpmv",
    "shichi",
    "sici",
    "spence",
    "wrightomega",
    "zeta",
    "zetac",
]


def _exponential_rule(xp, g, x, sign):
    x = off_zero(xp, g, x)
    return g * (sign * xp.exp(sign * x) / x)


@elementwise(lambda xp, g, x: _exponential_rule(xp, g, x, -1.0))
def exp1(xp, x):
    """Exponential integral of ``exp(-t) / t`` from ``x`` to infinity."""
    return xp.special.exp1(x)


@elementwise(lambda xp, g, x: _exponential_rule(xp, g, x, 1.0))
def expi(xp, x):
    """Exponential integral of ``exp(t) / t`` from minus infinity to ``x``."""
    return xp.special.expi(x)


def _expn_rule(xp, g, y, n, x):
    (order,) = arrays(xp, g, n)
    first = -xp.xdivy(g * (xp.exp(-x) - (order - 1.0) * y), x)
    if not hasattr(n, "dtype"):
        return first if n < 2 else -g * xp.special.expn(n - 1, x)
    few = n < 2
    order = xp.where(few, xp.ones_like(n), n - 1)
    return xp.where(few, first, -g * xp.special.expn(order, off_zero(xp, g, x)))


@elementwise(lambda xp, g, n: undefined(xp, g, n, "expn", "n"), _expn_rule)
def expn(xp, n, x):
    """Exponential integral of ``exp(-x t) / t**n`` from 1 to infinity, ``n`` an integer."""
    return xp.special.expn(n, x)


def _sici_rule(xp, g, x):
    end = off_zero(xp, g[1], x)
    return g[0] * xp.special._sinc(x / math.pi, 0) + g[1] * (xp.cos(end) / end)


@primitive(_sici_rule, several=True)
def sici(xp, x):
    """Sine and cosine integral."""
    return xp.special.sici(x)


def _shichi_rule(xp, g, x):
    mean = 0.5 * (xp.special._exprel(x, 0) + xp.special._exprel(-x, 0))
    end = off_zero(xp, g[1], x)
    return g[0] * mean + g[1] * (xp.cosh(end) / end)


@primitive(_shichi_rule, several=True)
def shichi(xp, x):
    """Hyperbolic sine and cosine integral."""
    return xp.special.shichi(x)


@elementwise(lambda xp, g, x: -g * xp.special._log1prel(x - 1.0, 0))
def spence(xp, x):
    """Spence's dilogarithm: the integral of ``log(t) / (1 - t)`` from 1 to ``x``."""
    return xp.special.spence(x)


@elementwise(lambda xp, g, y: xp.xdivy(g * y, 1.0 + y))
def wrightomega(xp, x):
    """The ``y`` of which ``y + log(y)`` is ``x``."""
    return xp.special.wrightomega(x)


def _ellipk_slope(xp, m):
    near = xp.abs(m) <= 0.5
    small, m = xp.where(near, m, xp.zeros_like(m)), xp.where(near, -xp.ones_like(m), m)
    far = (xp.special.ellipe(m) / (1.0 - m) - xp.special.ellipk(m)) / (2.0 * m)
    return xp.where(near, (math.pi / 8.0) * xp.special.hyp2f1(1.5, 1.5, 2.0, small), far)


@elementwise(lambda xp, g, x: g * _ellipk_slope(xp, unless_harmless(xp, g, x, x == 1, 0.0)))
def ellipk(xp, x):
    """Complete elliptic integral of the first kind of the parameter ``x = k**2``."""
    return xp.special.ellipk(x)


def _ellipkm1_rule(xp, g, x):
    x = off_zero(xp, g, x)
    near = xp.abs(x - 1.0) <= 0.5
    small = xp.where(near, 1.0 - x, xp.zeros_like(x))
    p = xp.where(near, 2.0 * xp.ones_like(x), x)
    far = (xp.special.ellipe(1.0 - p) / p - xp.special.ellipkm1(p)) / (2.0 * (1.0 - p))
    slope = (math.pi / 8.0) * xp.special.hyp2f1(1.5, 1.5, 2.0, small)
    return -g * xp.where(near, slope, far)


@elementwise(_ellipkm1_rule)
def ellipkm1(xp, x):
    """``ellipk(1 - x)``, exact near its pole at 0."""
    return xp.special.ellipkm1(x)


def _ellipe_rule(xp, g, x):
    m = unless_harmless(xp, g, x, x == 1, 0.0)
    near = xp.abs(m) <= 0.5
    small, m = xp.where(near, m, xp.zeros_like(m)), xp.where(near, -xp.ones_like(m), m)
    far = (xp.special.ellipe(m) - xp.special.ellipk(m)) / (2.0 * m)
    slope = (-math.pi / 8.0) * xp.special.hyp2f1(0.5, 1.5, 2.0, small)
    return g * xp.where(near, slope, far)


@elementwise(_ellipe_rule)
def ellipe(xp, x):
    """Complete elliptic integral of the second kind of the parameter ``x = k**2``."""
    return xp.special.ellipe(x)


@elementwise(
    lambda xp, g, v: undefined(xp, g, v, "hyp0f1", "v"),
    lambda xp, g, v, x: g * xp.special.hyp0f1(v + 1.0, x) / v,
)
def hyp0f1(xp, v, x):
    """Confluent hypergeometric limit function 0F1."""
    return xp.special.hyp0f1(v, x)


def _hyp1f1_x(xp, g, a, b, x):
    a, b = arrays(xp, g, a, b)
    return g * (a / b) * xp.special.hyp1f1(a + 1.0, b + 1.0, x)


@elementwise(
    lambda xp, g, a: undefined(xp, g, a, "hyp1f1", "a"),
    lambda xp, g, b: undefined(xp, g, b, "hyp1f1", "b"),
    _hyp1f1_x,
)
def hyp1f1(xp, a, b, x):
    """Confluent hypergeometric function 1F1."""
    return xp.special.hyp1f1(a, b, x)


def _hyp2f1_x(xp, g, a, b, c, x):
    a, b, c = arrays(xp, g, a, b, c)
    return g * (a * b / c) * xp.special.hyp2f1(a + 1.0, b + 1.0, c + 1.0, x)


@elementwise(
    lambda xp, g, a: undefined(xp, g, a, "hyp2f1", "a"),
    lambda xp, g, b: undefined(xp, g, b, "hyp2f1", "b"),
    lambda xp, g, c: undefined(xp, g, c, "hyp2f1", "c"),
    _hyp2f1_x,
)
def hyp2f1(xp, a, b, c, x):
    """Gauss's hypergeometric function 2F1."""
    return xp.special.hyp2f1(a, b, c, x)


def _lpmv_rule(xp, g, y, m, v, x):
    m, v = arrays(xp, g, m, v)
    return xp.xdivy(g * (v * x * y - (v + m) * xp.special.lpmv(m, v - 1.0, x)), x * x - 1.0)


@elementwise(
    lambda xp, g, m: undefined(xp, g, m, "lpmv", "m"),
    lambda xp, g, v: undefined(xp, g, v, "lpmv", "v"),
    _lpmv_rule,
)
def lpmv(xp, m, v, x):
    """Associated Legendre function of integer order ``m`` and real degree ``v``."""
    return xp.special.lpmv(m, v, x)


def _zeta_x(xp, g, x, q):
    x, q = arrays(xp, g, x, 1.0 if q is None else q)
    return g * zeta_slope(xp, x, q)


def _zeta_q(xp, g, x, q):
    x, q = arrays(xp, g, x, q)
    return -g * x * xp.special.zeta(x + 1.0, q)


@elementwise(_zeta_x, _zeta_q)
def zeta(xp, x, q=None):
    """Hurwitz's zeta function, Riemann's without ``q``."""
    return xp.special.zetac(x) + 1.0 if q is None else xp.special.zeta(x, q)


@elementwise(lambda xp, g, x: _zeta_x(xp, g, x, None))
def zetac(xp, x):
    """Riemann's zeta function less 1."""
    return xp.special.zetac(x)
