"""Cumulative probabilities of distributions, and their quantiles."""

import math

from ...primitive import elementwise
from .derivatives import arrays, betainc_slope, log_beta_density, scaled, undefined, zero
from .gamma import (
    _betainc_x,
    _betaincinv_p,
    _gammainc_a,
    _gammainc_x,
    _gammaincinv_a,
    _gammaincinv_p,
    _negative,
)

__all__ = [
    "bdtr",
    "bdtrc",
    "bdtri",
    "chdtr",
    "chdtrc",
    "chdtri",
    "fdtr",
    "fdtrc",
    "fdtri",
    "gdtr",
    "gdtrc",
    "nbdtr",
    "nbdtrc",
    "nbdtri",
    "pdtr",
    "pdtrc",
    "pdtri",
    "stdtr",
    "stdtrit",
]

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


def _half(rule):
    """A rule of `gammainc` as that of a chi-squared distribution, whose operands are halved."""

    def halved(xp, g, v, x):
        v, x = arrays(xp, g, v, x)
        return rule(xp, 0.5 * g, 0.5 * v, 0.5 * x)

    return halved


@elementwise(_half(_gammainc_a), _half(_gammainc_x))
def chdtr(xp, v, x):
    """Probability that a chi-squared number of ``v`` degrees of freedom is below ``x``."""
    return xp.special.chdtr(v, x)


@elementwise(_half(_negative(_gammainc_a)), _half(_negative(_gammainc_x)))
def chdtrc(xp, v, x):
    """``1 - chdtr(v, x)``, exact also where it is tiny."""
    return xp.special.chdtrc(v, x)


def _chdtri_v(xp, g, y, v):
    v, y = arrays(xp, g, v, y)
    return _gammaincinv_a(xp, g, 0.5 * y, 0.5 * v)


def _chdtri_p(xp, g, y, v):
    v, y = arrays(xp, g, v, y)
    return -_gammaincinv_p(xp, 2.0 * g, 0.5 * y, 0.5 * v)


@elementwise(_chdtri_v, _chdtri_p)
def chdtri(xp, v, p):
    """The ``x`` of which ``chdtrc(v, x)`` is ``p``."""
    return xp.special.chdtri(v, p)


def _gdtr_a(xp, g, a, b, x):
    a, b, x = arrays(xp, g, a, b, x)
    return _gammainc_x(xp, g * x, b, a * x)


def _gdtr_b(xp, g, a, b, x):
    a, b, x = arrays(xp, g, a, b, x)
    return _gammainc_a(xp, g, b, a * x)


@elementwise(_gdtr_a, _gdtr_b, lambda xp, g, a, b, x: _gdtr_a(xp, g, x, b, a))
def gdtr(xp, a, b, x):
    """Probability that a gamma number of rate ``a`` and shape ``b`` is below ``x``."""
    return xp.special.gdtr(a, b, x)


@elementwise(
    lambda xp, g, a, b, x: -_gdtr_a(xp, g, a, b, x),
    lambda xp, g, a, b, x: -_gdtr_b(xp, g, a, b, x),
    lambda xp, g, a, b, x: -_gdtr_a(xp, g, x, b, a),
)
def gdtrc(xp, a, b, x):
    """``1 - gdtr(a, b, x)``, exact also where it is tiny."""
    return xp.special.gdtrc(a, b, x)


def _pdtr_m(xp, g, k, m):
    k, m = arrays(xp, g, k, m)
    return _gammainc_x(xp, g, xp.floor(k) + 1.0, m)


@elementwise(zero, lambda xp, g, k, m: -_pdtr_m(xp, g, k, m))
def pdtr(xp, k, m):
    """Probability of ``k`` events or fewer where ``m`` are expected. ``k`` is rounded down."""
    return xp.special.pdtr(k, m)


@elementwise(zero, _pdtr_m)
def pdtrc(xp, k, m):
    """Probability of more than ``k`` events where ``m`` are expected. ``k`` is rounded down."""
    return xp.special.pdtrc(k, m)


def _pdtri_p(xp, g, y, k):
    k, y = arrays(xp, g, k, y)
    return -_gammaincinv_p(xp, g, y, xp.floor(k) + 1.0)


@elementwise(zero, _pdtri_p)
def pdtri(xp, k, p):
    """The ``m`` of which ``pdtr(k, m)`` is ``p``. ``k`` is rounded down."""
    return xp.special.pdtri(k, p)


def _binomial_log_density(xp, k, n, p):
    """Logarithm of the derivative of `bdtrc` by ``p``: minus infinity for ``k = n``."""
    k = xp.floor(k)
    none = n - k <= 0
    rest = xp.where(none, xp.ones_like(n - k), n - k)
    log = log_beta_density(xp, k + 1.0, rest, p)
    return xp.where(none, xp.full_like(log, -math.inf), log)


def _bdtr_p(xp, g, k, n, p):
    return scaled(xp, g, _binomial_log_density(xp, *arrays(xp, g, k, n, p)))


def _bdtri_p(xp, g, y, k, n):
    return -scaled(xp, g, -_binomial_log_density(xp, *arrays(xp, g, k, n, y)))


@elementwise(
    zero,
    lambda xp, g, n: undefined(xp, g, n, "bdtr", "n"),
    lambda xp, g, k, n, p: -_bdtr_p(xp, g, k, n, p),
)
def bdtr(xp, k, n, p):
    """Probability of ``k`` successes or fewer in ``n`` trials. ``k`` is rounded down."""
    return xp.special.bdtr(k, n, p)


@elementwise(zero, lambda xp, g, n: undefined(xp, g, n, "bdtrc", "n"), _bdtr_p)
def bdtrc(xp, k, n, p):
    """Probability of more than ``k`` successes in ``n`` trials. ``k`` is rounded down."""
    return xp.special.bdtrc(k, n, p)


@elementwise(zero, lambda xp, g, n: undefined(xp, g, n, "bdtri", "n"), _bdtri_p)
def bdtri(xp, k, n, q):
    """The ``p`` of which ``bdtr(k, n, p)`` is ``q``. ``k`` is rounded down."""
    return xp.special.bdtri(k, n, q)


def _nbdtr_p(xp, g, k, n, p):
    k, n, p = arrays(xp, g, k, n, p)
    return _betainc_x(xp, g, n, xp.floor(k) + 1.0, p)


def _nbdtri_p(xp, g, y, k, n):
    k, n, y = arrays(xp, g, k, n, y)
    return _betaincinv_p(xp, g, y, n, xp.floor(k) + 1.0)


@elementwise(zero, lambda xp, g, n: undefined(xp, g, n, "nbdtr", "n"), _nbdtr_p)
def nbdtr(xp, k, n, p):
    """Probability of ``k`` failures or fewer before ``n`` successes. ``k`` is rounded down."""
    return xp.special.nbdtr(k, n, p)


@elementwise(
    zero,
    lambda xp, g, n: undefined(xp, g, n, "nbdtrc", "n"),
    lambda xp, g, k, n, p: -_nbdtr_p(xp, g, k, n, p),
)
def nbdtrc(xp, k, n, p):
    """Probability of more than ``k`` failures before ``n`` successes. ``k`` is rounded down."""
    return xp.special.nbdtrc(k, n, p)


@elementwise(zero, lambda xp, g, n: undefined(xp, g, n, "nbdtri", "n"), _nbdtri_p)
def nbdtri(xp, k, n, q):
    """The ``p`` of which ``nbdtr(k, n, p)`` is ``q``. ``k`` is rounded down."""
    return xp.special.nbdtri(k, n, q)


def _student(xp, df, t):
    """Derivatives of ``stdtr(df, t)`` by ``df`` and ``t``; both infinite ``df`` is normal."""
    normal = df == math.inf
    df = xp.where(normal, xp.ones_like(df), df)
    half, total = 0.5 * xp.ones_like(df), df + t * t
    log = -0.5 * (xp.log(df) + (df + 1.0) * xp.log1p(t * t / df))
    log = log - xp.special.betaln(0.5 * df, half)
    density = xp.exp(xp.where(normal, -0.5 * t * t - _LOG_ROOT_2PI, log))
    slope = betainc_slope(xp, 0.5 * df, half, df / total, t * t / total)
    slope = -0.25 * xp.sign(t) * slope - density * t / (2.0 * df)
    return xp.where(normal, xp.zeros_like(slope), slope), density


def _stdtr_df(xp, g, df, t):
    return g * _student(xp, *arrays(xp, g, df, t))[0]


def _stdtr_t(xp, g, df, t):
    return g * _student(xp, *arrays(xp, g, df, t))[1]


@elementwise(_stdtr_df, _stdtr_t)
def stdtr(xp, df, t):
    """Probability that a number of Student's distribution is below ``t``.

    The derivative by ``df`` is an integral, to about 12 digits of the derivative by ``t``.
    """
    return xp.special.stdtr(df, t)


def _stdtrit_df(xp, g, y, df):
    slope, density = _student(xp, *arrays(xp, g, df, y))
    return -xp.xdivy(g * slope, density)


def _stdtrit_p(xp, g, y, df):
    return xp.xdivy(g, _student(xp, *arrays(xp, g, df, y))[1])


@elementwise(_stdtrit_df, _stdtrit_p)
def stdtrit(xp, df, p):
    """The ``t`` of which ``stdtr(df, t)`` is ``p``."""
    return xp.special.stdtrit(df, p)


def _fisher_log_density(xp, n, d, x, power=0.0):
    """Logarithm of ``x**power`` times the derivative of ``fdtr(n, d, x)`` by ``x``."""
    a, b, s = 0.5 * n, 0.5 * d, xp.special
    log = s.xlogy(a - 1.0 + power, x) + s.xlogy(a, n) + s.xlogy(b, d)
    return log - (a + b) * xp.log(n * x + d) - s.betaln(a, b)


def _fisher_n(xp, n, d, x):
    total = n * x + d
    slope = betainc_slope(xp, 0.5 * n, 0.5 * d, n * x / total, d / total)
    return 0.5 * slope + xp.exp(_fisher_log_density(xp, n, d, x, 1.0)) / n


def _fisher_d(xp, n, d, x):
    total = n * x + d
    slope = betainc_slope(xp, 0.5 * d, 0.5 * n, d / total, n * x / total)
    return -0.5 * slope - xp.exp(_fisher_log_density(xp, n, d, x, 1.0)) / d


def _fdtr_n(xp, g, n, d, x):
    return g * _fisher_n(xp, *arrays(xp, g, n, d, x))


def _fdtr_d(xp, g, n, d, x):
    return g * _fisher_d(xp, *arrays(xp, g, n, d, x))


def _fdtr_x(xp, g, n, d, x):
    return scaled(xp, g, _fisher_log_density(xp, *arrays(xp, g, n, d, x)))


@elementwise(_fdtr_n, _fdtr_d, _fdtr_x)
def fdtr(xp, n, d, x):
    """Probability that a number of Fisher's F distribution of ``n`` and ``d`` is below ``x``."""
    return xp.special.fdtr(n, d, x)


@elementwise(
    lambda xp, g, n, d, x: -_fdtr_n(xp, g, n, d, x),
    lambda xp, g, n, d, x: -_fdtr_d(xp, g, n, d, x),
    lambda xp, g, n, d, x: -_fdtr_x(xp, g, n, d, x),
)
def fdtrc(xp, n, d, x):
    """``1 - fdtr(n, d, x)``, exact also where it is tiny."""
    return xp.special.fdtrc(n, d, x)


def _fdtri_n(xp, g, y, n, d):
    n, d, y = arrays(xp, g, n, d, y)
    return scaled(xp, -g * _fisher_n(xp, n, d, y), -_fisher_log_density(xp, n, d, y))


def _fdtri_d(xp, g, y, n, d):
    n, d, y = arrays(xp, g, n, d, y)
    return scaled(xp, -g * _fisher_d(xp, n, d, y), -_fisher_log_density(xp, n, d, y))


def _fdtri_p(xp, g, y, n, d):
    return scaled(xp, g, -_fisher_log_density(xp, *arrays(xp, g, n, d, y)))


@elementwise(_fdtri_n, _fdtri_d, _fdtri_p)
def fdtri(xp, n, d, p):
    """The ``x`` of which ``fdtr(n, d, x)`` is ``p``."""
    return xp.special.fdtri(n, d, p)
