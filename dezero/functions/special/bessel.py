"""Bessel and Airy functions."""

from ...primitive import elementwise, primitive
from .derivatives import off_zero, undefined

__all__ = [
    "airy",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "iv",
    "ive",
    "j0",
    "j1",
    "jn",
    "jv",
    "k0",
    "k0e",
    "k1",
    "k1e",
    "kn",
    "kv",
    "kve",
    "y0",
    "y1",
    "yn",
    "yv",
]


@elementwise(lambda xp, g, x: -g * xp.special.j1(x))
def j0(xp, x):
    """Bessel function of the first kind of order 0."""
    return xp.special.j0(x)


@elementwise(lambda xp, g, x: g * 0.5 * (xp.special.j0(x) - xp.special.jv(2.0, x)))
def j1(xp, x):
    """Bessel function of the first kind of order 1."""
    return xp.special.j1(x)


def _neighbours(xp, g, name, sign, v, x):
    """The gradient of a function whose derivative is half of those of order +-1."""
    function = getattr(xp.special, name)
    before, after = function(v - 1, x), function(v + 1, x)
    return g * (0.5 * sign) * (before - after if name[0] in "jy" else before + after)


@elementwise(
    lambda xp, g, v: undefined(xp, g, v, "jv", "v"),
    lambda xp, g, v, x: _neighbours(xp, g, "jv", 1.0, v, x),
)
def jv(xp, v, x):
    """Bessel function of the first kind of order ``v``."""
    return xp.special.jv(v, x)


jn = jv


@elementwise(lambda xp, g, x: -g * xp.special.y1(off_zero(xp, g, x)))
def y0(xp, x):
    """Bessel function of the second kind of order 0."""
    return xp.special.y0(x)


def _y1_rule(xp, g, x):
    x = off_zero(xp, g, x)
    return g * (xp.special.y0(x) - xp.special.y1(x) / x)


@elementwise(_y1_rule)
def y1(xp, x):
    """Bessel function of the second kind of order 1."""
    return xp.special.y1(x)


@elementwise(
    lambda xp, g, n: undefined(xp, g, n, "yn", "n"),
    lambda xp, g, n, x: _neighbours(xp, g, "yn", 1.0, n, off_zero(xp, g, x)),
)
def yn(xp, n, x):
    """Bessel function of the second kind of integer order ``n``."""
    return xp.special.yn(n, x)


@elementwise(
    lambda xp, g, v: undefined(xp, g, v, "yv", "v"),
    lambda xp, g, v, x: _neighbours(xp, g, "yv", 1.0, v, off_zero(xp, g, x)),
)
def yv(xp, v, x):
    """Bessel function of the second kind of order ``v``."""
    return xp.special.yv(v, x)


@elementwise(lambda xp, g, x: g * xp.special.i1(x))
def i0(xp, x):
    """Modified Bessel function of the first kind of order 0."""
    return xp.special.i0(x)


@elementwise(lambda xp, g, x: g * 0.5 * (xp.special.i0(x) + xp.special.iv(2.0, x)))
def i1(xp, x):
    """Modified Bessel function of the first kind of order 1."""
    return xp.special.i1(x)


@elementwise(
    lambda xp, g, v: undefined(xp, g, v, "iv", "v"),
    lambda xp, g, v, x: _neighbours(xp, g, "iv", 1.0, v, x),
)
def iv(xp, v, x):
    """Modified Bessel function of the first kind of order ``v``."""
    return xp.special.iv(v, x)


@elementwise(lambda xp, g, x, y: g * (xp.special.i1e(x) - xp.sign(x) * y))
def i0e(xp, x):
    """``exp(-|x|) * i0(x)``. Its gradient at 0, a kink, is 0."""
    return xp.special.i0e(x)


def _scaled_neighbours(xp, g, y, v, x):
    mean = 0.5 * (xp.special.ive(v - 1, x) + xp.special.ive(v + 1, x))
    return g * (mean - xp.sign(x) * y)


@elementwise(lambda xp, g, y, x: _scaled_neighbours(xp, g, y, 1.0, x))
def i1e(xp, x):
    """``exp(-|x|) * i1(x)``."""
    return xp.special.i1e(x)


@elementwise(lambda xp, g, v: undefined(xp, g, v, "ive", "v"), _scaled_neighbours)
def ive(xp, v, x):
    """``exp(-|x|) * iv(v, x)``."""
    return xp.special.ive(v, x)


@elementwise(lambda xp, g, x: -g * xp.special.k1(off_zero(xp, g, x)))
def k0(xp, x):
    """Modified Bessel function of the second kind of order 0."""
    return xp.special.k0(x)


def _k1_rule(xp, g, x):
    x = off_zero(xp, g, x)
    return -g * (xp.special.k0(x) + xp.special.k1(x) / x)


@elementwise(_k1_rule)
def k1(xp, x):
    """Modified Bessel function of the second kind of order 1."""
    return xp.special.k1(x)


def _k0e_rule(xp, g, x):
    x = off_zero(xp, g, x)
    return g * (xp.special.k0e(x) - xp.special.k1e(x))


@elementwise(_k0e_rule)
def k0e(xp, x):
    """``exp(x) * k0(x)``."""
    return xp.special.k0e(x)


def _k1e_rule(xp, g, x):
    x = off_zero(xp, g, x)
    return g * (xp.special.k1e(x) * (1.0 - 1.0 / x) - xp.special.k0e(x))


@elementwise(_k1e_rule)
def k1e(xp, x):
    """``exp(x) * k1(x)``."""
    return xp.special.k1e(x)


@elementwise(
    lambda xp, g, n: undefined(xp, g, n, "kn", "n"),
    lambda xp, g, n, x: _neighbours(xp, g, "kn", -1.0, n, off_zero(xp, g, x)),
)
def kn(xp, n, x):
    """Modified Bessel function of the second kind of integer order ``n``."""
    return xp.special.kn(n, x)


@elementwise(
    lambda xp, g, v: undefined(xp, g, v, "kv", "v"),
    lambda xp, g, v, x: _neighbours(xp, g, "kv", -1.0, v, off_zero(xp, g, x)),
)
def kv(xp, v, x):
    """Modified Bessel function of the second kind of order ``v``."""
    return xp.special.kv(v, x)


def _kve_rule(xp, g, v, x):
    x, s = off_zero(xp, g, x), xp.special
    return g * (s.kve(v, x) - 0.5 * (s.kve(v - 1, x) + s.kve(v + 1, x)))


@elementwise(lambda xp, g, v: undefined(xp, g, v, "kve", "v"), _kve_rule)
def kve(xp, v, x):
    """``exp(x) * kv(v, x)``."""
    return xp.special.kve(v, x)


def _airy_rule(xp, g, x, y):
    return g[0] * y[1] + g[1] * (x * y[0]) + g[2] * y[3] + g[3] * (x * y[2])


@primitive(_airy_rule, several=True)
def airy(xp, x):
    """Airy's functions and their derivatives: Ai, Ai', Bi, Bi'."""
    return xp.special.airy(x)
