"""Error functions, the normal distribution and entropies."""

import math

from ...primitive import elementwise, primitive
from .derivatives import arrays, unless_harmless

__all__ = [
    "dawsn",
    "entr",
    "erfc",
    "erfcinv",
    "erfcx",
    "erfi",
    "erfinv",
    "fresnel",
    "kl_div",
    "log_ndtr",
    "ndtr",
    "ndtri",
    "ndtri_exp",
    "owens_t",
    "rel_entr",
    "xlog1py",
    "xlogy",
]

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2PI = math.sqrt(2.0 * math.pi)


@elementwise(lambda xp, g, x: g * (-2.0 / _ROOT_PI) * xp.exp(-x * x))
def erfc(xp, x):
    """``1 - erf(x)``, exact also where it is tiny."""
    return xp.special.erfc(x)


def _erfcx_rule(xp, g, x, y):
    # y is infinite far to the left, where the product below would be NaN for a gradient of 0
    x = unless_harmless(xp, g, x, y == math.inf)
    return g * (2.0 * x * xp.special.erfcx(x) - 2.0 / _ROOT_PI)


@elementwise(_erfcx_rule)
def erfcx(xp, x):
    """``exp(x**2) * erfc(x)``, without overflow."""
    return xp.special.erfcx(x)


@elementwise(lambda xp, g, x: g * (2.0 / _ROOT_PI) * xp.exp(x * x))
def erfi(xp, x):
    """Imaginary error function, ``-i erf(i x)``."""
    return xp.special.erfi(x)


def _quantile_slope(xp, g, y, rate):
    """``g * exp(rate * y**2)``, and 0 where ``g`` is 0 at an end of the distribution."""
    y = unless_harmless(xp, g, y, xp.isinf(y), 0.0)
    return g * xp.exp(rate * (y * y))


@elementwise(lambda xp, g, y: _quantile_slope(xp, g * (0.5 * _ROOT_PI), y, 1.0))
def erfinv(xp, x):
    """The number whose `erf` is ``x``. Its derivative at -1 and 1 is infinite."""
    return xp.special.erfinv(x)


@elementwise(lambda xp, g, y: -_quantile_slope(xp, g * (0.5 * _ROOT_PI), y, 1.0))
def erfcinv(xp, x):
    """The number whose `erfc` is ``x``. Its derivative at 0 and 2 is infinite."""
    return xp.special.erfcinv(x)


@elementwise(lambda xp, g, x, y: g * (1.0 - 2.0 * x * y))
def dawsn(xp, x):
    """Dawson's integral, ``exp(-x**2)`` times the integral of ``exp(t**2)`` from 0 to ``x``."""
    return xp.special.dawsn(x)


def _fresnel_rule(xp, g, x):
    angle = (0.5 * math.pi) * (x * x)
    return g[0] * xp.sin(angle) + g[1] * xp.cos(angle)


@primitive(_fresnel_rule, several=True)
def fresnel(xp, x):
    """Fresnel's integrals ``S`` and ``C``: of the sine and cosine of ``pi/2 t**2`` to ``x``."""
    return xp.special.fresnel(x)


@elementwise(lambda xp, g, x: g * xp.exp(-0.5 * x * x) / _ROOT_2PI)
def ndtr(xp, x):
    """Probability that a standard normal number is below ``x``."""
    return xp.special.ndtr(x)


@elementwise(lambda xp, g, y: _quantile_slope(xp, g * _ROOT_2PI, y, 0.5))
def ndtri(xp, p):
    """The quantile of ``p`` of the standard normal distribution: the inverse of `ndtr`."""
    return xp.special.ndtri(p)


def _log_slope(xp, x, y):
    """Derivative of `log_ndtr`: exact where both density and probability are tiny."""
    zero = xp.zeros_like(x)
    low = xp.minimum(x, zero)
    left = math.sqrt(2.0 / math.pi) / xp.special.erfcx(low * -math.sqrt(0.5))
    right = xp.exp(-0.5 * x * x - xp.where(x < 0, zero, y)) / _ROOT_2PI
    return xp.where(x < 0, left, right)


@elementwise(lambda xp, g, x, y: g * _log_slope(xp, x, y))
def log_ndtr(xp, x):
    """Logarithm of `ndtr`, exact also where that is tiny."""
    return xp.special.log_ndtr(x)


@elementwise(lambda xp, g, x, y: g / _log_slope(xp, y, x))
def ndtri_exp(xp, x):
    """The number whose `log_ndtr` is ``x``."""
    return xp.special.ndtri_exp(x)


def _owens_h(xp, g, h, a):
    h, a = arrays(xp, g, h, a)
    return g * xp.exp(-0.5 * h * h) * xp.erf(a * h * math.sqrt(0.5)) * (-0.5 / _ROOT_2PI)


def _owens_a(xp, g, h, a):
    h, a = arrays(xp, g, h, a)
    square = 1.0 + a * a
    return g * xp.exp(-0.5 * (h * h) * square) / (2.0 * math.pi * square)


@elementwise(_owens_h, _owens_a)
def owens_t(xp, h, a):
    """Owen's T: of two standard normal numbers, that ``X > h`` and ``0 < Y < a X``."""
    return xp.special.owens_t(h, a)


@elementwise(lambda xp, g, x: -(xp.special.xlogy(g, x) + g))
def entr(xp, x):
    """``-x log(x)``, 0 at 0, where its derivative is infinite."""
    return xp.special.entr(x)


def _log_ratio(xp, g, a, b):
    """``g * log(a / b)``, and 0 where ``g`` is 0."""
    a, b = arrays(xp, g, a, b)
    return xp.special.xlogy(g, xp.xdivy(a, b))


def _by_ratio(xp, g, a, b):
    """``g * a / b``, and 0 where ``g * a`` is 0."""
    a, b = arrays(xp, g, a, b)
    return xp.xdivy(g * a, b)


@elementwise(_log_ratio, lambda xp, g, a, b: g - _by_ratio(xp, g, a, b))
def kl_div(xp, a, b):
    """``a log(a / b) - a + b``, ``b`` where ``a`` is 0."""
    return xp.special.kl_div(a, b)


@elementwise(
    lambda xp, g, a, b: _log_ratio(xp, g, a, b) + g, lambda xp, g, a, b: -_by_ratio(xp, g, a, b)
)
def rel_entr(xp, a, b):
    """``a log(a / b)``, 0 where ``a`` is 0."""
    return xp.special.rel_entr(a, b)


@elementwise(lambda xp, g, b: xp.special.xlogy(g, b), _by_ratio)
def xlogy(xp, a, b):
    """``a log(b)``, 0 where ``a`` is 0."""
    return xp.special.xlogy(a, b)


def _xlog1py_rule(xp, g, a, b):
    a, b = arrays(xp, g, a, b)
    return xp.xdivy(g * a, 1.0 + b)


@elementwise(lambda xp, g, b: xp.special.xlog1py(g, b), _xlog1py_rule)
def xlog1py(xp, a, b):
    """``a log(1 + b)``, 0 where ``a`` is 0."""
    return xp.special.xlog1py(a, b)
