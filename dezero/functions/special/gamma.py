"""Gamma and beta functions, complete and incomplete."""

import math

from ...core import as_variable
from ...primitive import elementwise
from ..indexing import where
from .derivatives import (
    arrays,
    betainc_slope,
    gammainc_slope,
    log_beta_density,
    log_gamma_density,
    scaled,
    undefined,
    unless_harmless,
    zero,
)

__all__ = [
    "beta",
    "betainc",
    "betaincc",
    "betainccinv",
    "betaincinv",
    "betaln",
    "binom",
    "digamma",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammainccinv",
    "gammaincinv",
    "gammaln",
    "gammasgn",
    "loggamma",
    "multigammaln",
    "poch",
    "polygamma",
    "psi",
    "rgamma",
]


def _off_poles(xp, g, x):
    """``x``, but 1 where a gradient of 0 meets a pole of the gamma function."""
    if xp.is_complex(x.dtype):
        return x
    return unless_harmless(xp, g, x, xp.logical_and(x <= 0, xp.floor(x) == x))


def _gamma_rule(xp, g, x, y):
    if not xp.is_complex(x.dtype):
        x = unless_harmless(xp, g, _off_poles(xp, g, x), y == math.inf)
    return g * xp.special.gamma(x) * xp.special.digamma(x)


@elementwise(_gamma_rule)
def gamma(xp, x):
    """Gamma function."""
    return xp.special.gamma(x)


@elementwise(lambda xp, g, x: g * xp.special.digamma(_off_poles(xp, g, x)))
def gammaln(xp, x):
    """Logarithm of the absolute value of `gamma`."""
    return xp.special.gammaln(x)


@elementwise(lambda xp, g, x: g * xp.special.digamma(_off_poles(xp, g, x)))
def loggamma(xp, x):
    """Logarithm of `gamma`: NaN for a negative real number, its principal branch for a complex."""
    return xp.special.loggamma(x)


@elementwise(zero)
def gammasgn(xp, x):
    """Sign of `gamma`. Its gradient is 0."""
    return xp.special.gammasgn(x)


@elementwise(lambda xp, g, x: g * xp.special.polygamma(1, _off_poles(xp, g, x)))
def digamma(xp, x):
    """Derivative of `gammaln`."""
    return xp.special.digamma(x)


psi = digamma


@elementwise(
    lambda xp, g, n: undefined(xp, g, n, "polygamma", "n"),
    lambda xp, g, n, x: g * xp.special.polygamma(n + 1, _off_poles(xp, g, x)),
)
def polygamma(xp, n, x):
    """Derivative ``n`` of `digamma`, ``n`` an integer or integers."""
    return xp.special.polygamma(n, x)


def _rgamma_slope(xp, x):
    """Derivative of ``1 / gamma(x)``, finite everywhere: left of 1/2 by reflection."""
    s, low = xp.special, x < 0.5
    n, p = xp.where(low, x, xp.zeros_like(x)), xp.where(low, xp.ones_like(x), x)
    angle = math.pi * n
    wave = xp.cos(angle) - xp.sin(angle) * s.digamma(1.0 - n) / math.pi
    return xp.where(low, s.gamma(1.0 - n) * wave, -s.digamma(p) * s.rgamma(p))


@elementwise(lambda xp, g, x: g * _rgamma_slope(xp, x))
def rgamma(xp, x):
    """``1 / gamma(x)``, 0 at the poles of `gamma`."""
    return xp.special.rgamma(x)


def _beta_rule(xp, g, a, b):
    a, b = arrays(xp, g, a, b)
    return g * (xp.special.digamma(a) - xp.special.digamma(a + b))


@elementwise(
    lambda xp, g, a, b, y: _beta_rule(xp, g * y, a, b),
    lambda xp, g, a, b, y: _beta_rule(xp, g * y, b, a),
)
def beta(xp, a, b):
    """``gamma(a) * gamma(b) / gamma(a + b)``."""
    return xp.special.beta(a, b)


@elementwise(
    lambda xp, g, a, b: _beta_rule(xp, g, a, b), lambda xp, g, a, b: _beta_rule(xp, g, b, a)
)
def betaln(xp, a, b):
    """Logarithm of the absolute value of `beta`."""
    return xp.special.betaln(a, b)


def _poch_base(xp, g, y, a, m):
    a, m = arrays(xp, g, a, m)
    s, low = xp.special, xp.logical_and(a < 0.5, a + m > 0)
    one = xp.ones_like(g)
    n, end = xp.where(low, a, one), xp.where(low, a + m, one)
    left = s.gamma(end) * (s.digamma(end) * s.rgamma(n) + _rgamma_slope(xp, n))
    p, end = xp.where(low, one, a), xp.where(low, one, a + m)
    return g * xp.where(low, left, y * (s.digamma(end) - s.digamma(p)))


def _poch_steps(xp, g, y, a, m):
    a, m = arrays(xp, g, a, m)
    return g * y * xp.special.digamma(a + m)


@elementwise(_poch_base, _poch_steps)
def poch(xp, a, m):
    """``gamma(a + m) / gamma(a)``: the rising factorial."""
    return xp.special.poch(a, m)


def _binom_n(xp, g, y, n, k):
    n, k = arrays(xp, g, n, k)
    return _binom_slope(xp, g, y, n, k, xp.special.digamma(n + 1.0), -1.0)


def _binom_k(xp, g, y, n, k):
    n, k = arrays(xp, g, n, k)
    return _binom_slope(xp, g, y, n, k, xp.special.digamma(_off_poles(xp, y, k + 1.0)), 1.0)


def _binom_slope(xp, g, y, n, k, other, direction):
    """``direction * y * (digamma(n - k + 1) - other)``, also where ``y`` is 0 at a pole of it."""
    s, rest = xp.special, n - k + 1.0
    pole = xp.logical_and(xp.logical_and(rest <= 0, xp.floor(rest) == rest), n > -1.0)
    one = xp.ones_like(rest)
    upper, lower = xp.where(pole, n + 1.0, one), xp.where(pole, k + 1.0, one)
    limit = -s.gamma(upper) * s.rgamma(lower) * _rgamma_slope(xp, xp.where(pole, rest, one))
    slope = y * (s.digamma(xp.where(pole, one, rest)) - other)
    return g * direction * xp.where(pole, limit, slope)


@elementwise(_binom_n, _binom_k)
def binom(xp, n, k):
    """Binomial coefficient of real numbers."""
    return xp.special.binom(n, k)


def multigammaln(a, d):
    """Logarithm of the multivariate gamma function of ``d`` dimensions, a Python integer.

    NaN where ``a`` is not above ``(d - 1) / 2``.

    Raises:
        ValueError: ``d`` is not a positive integer.
    """
    number = int(d)
    if number != d or number < 1:
        msg = f"special.multigammaln: d is {d}, expected a positive integer"
        raise ValueError(msg)
    a = as_variable(a)
    a = where(a > 0.5 * (number - 1), a, math.nan)
    total = 0.25 * number * (number - 1) * math.log(math.pi) + gammaln(a)
    for j in range(1, number):
        total = total + gammaln(a - 0.5 * j)
    return total


def _gammainc_a(xp, g, a, x):
    return g * gammainc_slope(xp, *arrays(xp, g, a, x))


def _gammainc_x(xp, g, a, x):
    return scaled(xp, g, log_gamma_density(xp, *arrays(xp, g, a, x)))


def _negative(rule):
    """A rule of two operands with the other sign."""
    return lambda xp, g, a, x: -rule(xp, g, a, x)


@elementwise(_gammainc_a, _gammainc_x)
def gammainc(xp, a, x):
    """Regularised lower incomplete gamma function: a gamma distribution's probability below ``x``.

    The derivative by ``a`` is an integral, to about 12 digits.
    """
    return xp.special.gammainc(a, x)


@elementwise(_negative(_gammainc_a), _negative(_gammainc_x))
def gammaincc(xp, a, x):
    """``1 - gammainc(a, x)``, exact also where it is tiny."""
    return xp.special.gammaincc(a, x)


def _gammaincinv_a(xp, g, y, a):
    a, y = arrays(xp, g, a, y)
    return scaled(xp, -g * gammainc_slope(xp, a, y), -log_gamma_density(xp, a, y))


def _gammaincinv_p(xp, g, y, a):
    a, y = arrays(xp, g, a, y)
    return scaled(xp, g, -log_gamma_density(xp, a, y))


@elementwise(_gammaincinv_a, _gammaincinv_p)
def gammaincinv(xp, a, p):
    """The ``x`` of which ``gammainc(a, x)`` is ``p``."""
    return xp.special.gammaincinv(a, p)


@elementwise(_gammaincinv_a, lambda xp, g, y, a: -_gammaincinv_p(xp, g, y, a))
def gammainccinv(xp, a, p):
    """The ``x`` of which ``gammaincc(a, x)`` is ``p``."""
    return xp.special.gammainccinv(a, p)


def _betainc_a(xp, g, a, b, x):
    a, b, x = arrays(xp, g, a, b, x)
    return g * betainc_slope(xp, a, b, x, 1.0 - x)


def _betainc_b(xp, g, a, b, x):
    a, b, x = arrays(xp, g, a, b, x)
    return -g * betainc_slope(xp, b, a, 1.0 - x, x)


def _betainc_x(xp, g, a, b, x):
    return scaled(xp, g, log_beta_density(xp, *arrays(xp, g, a, b, x)))


@elementwise(_betainc_a, _betainc_b, _betainc_x)
def betainc(xp, a, b, x):
    """Regularised incomplete beta function: a beta distribution's probability below ``x``.

    The derivatives by ``a`` and ``b`` are integrals, to about 12 digits.
    """
    return xp.special.betainc(a, b, x)


@elementwise(
    lambda xp, g, a, b, x: -_betainc_a(xp, g, a, b, x),
    lambda xp, g, a, b, x: -_betainc_b(xp, g, a, b, x),
    lambda xp, g, a, b, x: -_betainc_x(xp, g, a, b, x),
)
def betaincc(xp, a, b, x):
    """``1 - betainc(a, b, x)``, exact also where it is tiny."""
    return xp.special.betaincc(a, b, x)


def _betaincinv_a(xp, g, y, a, b):
    a, b, y = arrays(xp, g, a, b, y)
    return scaled(xp, -g * betainc_slope(xp, a, b, y, 1.0 - y), -log_beta_density(xp, a, b, y))


def _betaincinv_b(xp, g, y, a, b):
    a, b, y = arrays(xp, g, a, b, y)
    return scaled(xp, g * betainc_slope(xp, b, a, 1.0 - y, y), -log_beta_density(xp, a, b, y))


def _betaincinv_p(xp, g, y, a, b):
    return scaled(xp, g, -log_beta_density(xp, *arrays(xp, g, a, b, y)))


@elementwise(_betaincinv_a, _betaincinv_b, _betaincinv_p)
def betaincinv(xp, a, b, p):
    """The ``x`` of which ``betainc(a, b, x)`` is ``p``."""
    return xp.special.betaincinv(a, b, p)


@elementwise(_betaincinv_a, _betaincinv_b, lambda xp, g, y, a, b: -_betaincinv_p(xp, g, y, a, b))
def betainccinv(xp, a, b, p):
    """The ``x`` of which ``betaincc(a, b, x)`` is ``p``."""
    return xp.special.betainccinv(a, b, p)
