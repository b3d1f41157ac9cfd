"""Special functions by the names of ``scipy.special``, with derivatives to any order.

Values come from the library of the arrays: ``scipy.special`` for NumPy (for Dask block by block,
for array-api-strict, a library for tests, on the host), ``cupyx.scipy.special``, ``torch.special``,
``jax.scipy.special``. What a library lacks is made of what it has where that is exact, else it is
an error that names the library and the function.

A gradient of 0 that arrives where a derivative is infinite stays 0. Derivatives by the first
parameters of the incomplete gamma and beta functions, which have no closed form, are integrals to
about 12 digits; a derivative that is not known is an error when it is asked for.
"""

import math

from ..backends import normalized_axes
from ..core import as_variable
from ..primitive import elementwise, ops, primitive
from .activation import log_softmax as _log_softmax
from .activation import sigmoid as expit
from .activation import softmax as _softmax
from .elementwise import abs as _abs
from .elementwise import erf, exp, expm1, isfinite, log, log1p, sign
from .indexing import where
from .manipulation import squeeze
from .special_derivatives import (
    arrays,
    betainc_slope,
    gammainc_slope,
    log_beta_density,
    log_gamma_density,
    scaled,
    undefined,
    unless_harmless,
    zeta_slope,
)
from .statistical import logsumexp as _logsumexp
from .statistical import max as _max
from .statistical import sum as _sum

__all__ = [
    # errors and normal distribution
    "dawsn", "entr", "erf", "erfc", "erfcinv", "erfcx", "erfi", "erfinv", "fresnel", "kl_div",
    "log_ndtr", "ndtr", "ndtri", "ndtri_exp", "owens_t", "rel_entr",
    # logistic function, powers and logarithms
    "boxcox", "boxcox1p", "cbrt", "cosdg", "cosm1", "cotdg", "exp10", "exp2", "expit", "expm1",
    "exprel", "huber", "inv_boxcox", "inv_boxcox1p", "log1p", "log_expit", "log_softmax", "logit",
    "logsumexp", "pseudo_huber", "radian", "sinc", "sindg", "softmax", "softplus", "tandg",
    "xlog1py", "xlogy",
    # gamma and beta functions
    "beta", "betainc", "betaincc", "betainccinv", "betaincinv", "betaln", "binom", "digamma",
    "gamma", "gammainc", "gammaincc", "gammainccinv", "gammaincinv", "gammaln", "gammasgn",
    "loggamma", "multigammaln", "poch", "polygamma", "psi", "rgamma",
    # distributions
    "bdtr", "bdtrc", "bdtri", "chdtr", "chdtrc", "chdtri", "fdtr", "fdtrc", "fdtri", "gdtr",
    "gdtrc", "nbdtr", "nbdtrc", "nbdtri", "pdtr", "pdtrc", "pdtri", "stdtr", "stdtrit",
    # Bessel functions and others
    "airy", "ellipe", "ellipk", "ellipkm1", "exp1", "expi", "expn", "hyp0f1", "hyp1f1", "hyp2f1",
    "i0", "i0e", "i1", "i1e", "iv", "ive", "j0", "j1", "jn", "jv", "k0", "k0e", "k1", "k1e", "kn",
    "kv", "kve", "lpmv", "shichi", "sici", "spence", "wrightomega", "y0", "y1", "yn", "yv", "zeta",
    "zetac",
]  # fmt: skip

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2PI = math.sqrt(2.0 * math.pi)
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)
_DEGREE = math.pi / 180.0


def _zero(xp, g):
    return xp.zeros_like(g)


# --- error functions and the normal distribution ------------------------------------------------


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


@elementwise(lambda xp, g, y: scaled(xp, g * (0.5 * _ROOT_PI), y * y))
def erfinv(xp, x):
    """The number whose `erf` is ``x``. Its derivative at -1 and 1 is infinite."""
    return xp.special.erfinv(x)


@elementwise(lambda xp, g, y: -scaled(xp, g * (0.5 * _ROOT_PI), y * y))
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


@elementwise(lambda xp, g, y: scaled(xp, g * _ROOT_2PI, 0.5 * y * y))
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


# --- the logistic function, powers and logarithms -----------------------------------------------


@elementwise(lambda xp, g, x: xp.xdivy(g, x * (1.0 - x)))
def logit(xp, x):
    """``log(x / (1 - x))``: the inverse of `expit`. Its derivative at 0 and 1 is infinite."""
    return xp.special.logit(x)


@elementwise(lambda xp, g, x: g * xp.special.expit(-x))
def log_expit(xp, x):
    """Logarithm of `expit`, exact also where that is tiny."""
    return xp.special.log_expit(x)


@elementwise(lambda xp, g, x: g * xp.special.expit(x))
def softplus(xp, x):
    """``log(1 + exp(x))``, without overflow."""
    return xp.special.softplus(x)


@elementwise(lambda xp, g, y: g * (math.log(2.0) * y))
def exp2(xp, x):
    """2 to the power ``x``."""
    return xp.special.exp2(x)


@elementwise(lambda xp, g, y: g * (math.log(10.0) * y))
def exp10(xp, x):
    """10 to the power ``x``."""
    return xp.special.exp10(x)


@elementwise(lambda xp, g, y: xp.xdivy(g, 3.0 * y * y))
def cbrt(xp, x):
    """Cube root. Its derivative at 0 is infinite."""
    return xp.special.cbrt(x)


@elementwise(lambda xp, g, x: -g * xp.sin(x))
def cosm1(xp, x):
    """``cos(x) - 1``, exact near 0."""
    return xp.special.cosm1(x)


@elementwise(lambda xp, g, x: g * _DEGREE * xp.special.cosdg(x))
def sindg(xp, x):
    """Sine of an angle in degrees."""
    return xp.special.sindg(x)


@elementwise(lambda xp, g, x: g * -_DEGREE * xp.special.sindg(x))
def cosdg(xp, x):
    """Cosine of an angle in degrees."""
    return xp.special.cosdg(x)


@elementwise(lambda xp, g, y: g * (_DEGREE * (1.0 + y * y)))
def tandg(xp, x):
    """Tangent of an angle in degrees."""
    return xp.special.tandg(x)


@elementwise(lambda xp, g, y: g * (-_DEGREE * (1.0 + y * y)))
def cotdg(xp, x):
    """Cotangent of an angle in degrees."""
    return xp.special.cotdg(x)


@elementwise(
    lambda xp, g: g * _DEGREE,
    lambda xp, g: g * (_DEGREE / 60.0),
    lambda xp, g: g * (_DEGREE / 3600.0),
)
def radian(xp, d, m, s):
    """An angle of ``d`` degrees, ``m`` minutes and ``s`` seconds in radians."""
    return xp.special.radian(d, m, s)


@elementwise(lambda xp, g, x, n: g * xp.special._sinc(x, n + 1))
def _sinc(xp, x, n):
    """Derivative ``n`` of ``sin(pi x) / (pi x)``."""
    return xp.special._sinc(x, n)


@elementwise(lambda xp, g, x, n: g * xp.special._exprel(x, n + 1))
def _exprel(xp, x, n):
    """Derivative ``n`` of ``(exp(x) - 1) / x``."""
    return xp.special._exprel(x, n)


@elementwise(lambda xp, g, x, n: g * xp.special._log1prel(x, n + 1))
def _log1prel(xp, x, n):
    """Derivative ``n`` of ``log(1 + x) / x``."""
    return xp.special._log1prel(x, n)


def sinc(x):
    """``sin(pi x) / (pi x)``, 1 at 0, where all its derivatives are right too."""
    return _sinc(x, 0)


def exprel(x):
    """``(exp(x) - 1) / x``, 1 at 0, where all its derivatives are right too."""
    return _exprel(x, 0)


def _boxcox_power(xp, g, x, lmbda):
    x, lmbda = arrays(xp, g, x, lmbda)
    return scaled(xp, g, xp.special.xlogy(lmbda - 1.0, x))


def _boxcox1p_power(xp, g, x, lmbda):
    x, lmbda = arrays(xp, g, x, lmbda)
    return scaled(xp, g, xp.special.xlog1py(lmbda - 1.0, x))


def _by_lambda(xp, g, log, lmbda):
    """Derivative of ``(exp(lmbda * log) - 1) / lmbda`` by ``lmbda``."""
    zero, one = log == -math.inf, xp.ones_like(g)
    log, end = xp.where(zero, one, log), xp.where(zero, lmbda, one)
    slope = log * log * xp.special._exprel(lmbda * log, 1)
    return xp.where(zero, xp.xdivy(g, end * end), g * slope)


def _boxcox_lambda(xp, g, x, lmbda):
    x, lmbda = arrays(xp, g, x, lmbda)
    return _by_lambda(xp, g, xp.log(x), lmbda)


def _boxcox1p_lambda(xp, g, x, lmbda):
    x, lmbda = arrays(xp, g, x, lmbda)
    return _by_lambda(xp, g, xp.log1p(x), lmbda)


@elementwise(_boxcox_power, _boxcox_lambda)
def boxcox(xp, x, lmbda):
    """``(x**lmbda - 1) / lmbda``, ``log(x)`` where ``lmbda`` is 0."""
    return xp.special.boxcox(x, lmbda)


@elementwise(_boxcox1p_power, _boxcox1p_lambda)
def boxcox1p(xp, x, lmbda):
    """`boxcox` of ``1 + x``, exact near 0."""
    return xp.special.boxcox1p(x, lmbda)


def _inverse_power(xp, g, power, x, lmbda):
    x, lmbda = arrays(xp, g, x, lmbda)
    return xp.xdivy(g * power, 1.0 + lmbda * x)


def _inverse_lambda(xp, g, power, x, lmbda):
    x, lmbda = arrays(xp, g, x, lmbda)
    inside = xp.where(power == 0, xp.zeros_like(g), lmbda * x)
    return g * power * (x * x) * xp.special._log1prel(inside, 1)


@elementwise(
    lambda xp, g, y, x, lmbda: _inverse_power(xp, g, y, x, lmbda),
    lambda xp, g, y, x, lmbda: _inverse_lambda(xp, g, y, x, lmbda),
)
def inv_boxcox(xp, x, lmbda):
    """The number whose `boxcox` is ``x``: ``(1 + lmbda * x)**(1 / lmbda)``."""
    return xp.special.inv_boxcox(x, lmbda)


@elementwise(
    lambda xp, g, y, x, lmbda: _inverse_power(xp, g, y + 1.0, x, lmbda),
    lambda xp, g, y, x, lmbda: _inverse_lambda(xp, g, y + 1.0, x, lmbda),
)
def inv_boxcox1p(xp, x, lmbda):
    """The number whose `boxcox1p` is ``x``."""
    return xp.special.inv_boxcox1p(x, lmbda)


def _huber_delta(xp, g, delta, r):
    delta, r = arrays(xp, g, delta, r)
    size = xp.abs(r)
    return g * xp.maximum(size - delta, xp.zeros_like(g))


def _huber_residual(xp, g, delta, r):
    delta, r = arrays(xp, g, delta, r)
    return g * xp.clip(r * xp.ones_like(g), -delta, delta)


@elementwise(_huber_delta, _huber_residual)
def huber(xp, delta, r):
    """``r**2 / 2`` up to ``|r| = delta``, then a straight line."""
    return xp.special.huber(delta, r)


def _hypotenuse(xp, g, delta, r):
    """The operands of `pseudo_huber` and ``sqrt(delta**2 + r**2)``, infinite at the origin."""
    delta, r = arrays(xp, g, delta, r)
    h = xp.hypot(delta, r)
    return delta, r, xp.where(h == 0, xp.full_like(h, math.inf), h)


def _pseudo_huber_delta(xp, g, delta, r):
    delta, r, h = _hypotenuse(xp, g, delta, r)
    excess = r * (r / (h + delta))
    return g * (excess * (excess / h))


def _pseudo_huber_residual(xp, g, delta, r):
    delta, r, h = _hypotenuse(xp, g, delta, r)
    return g * (delta * (r / h))


@elementwise(_pseudo_huber_delta, _pseudo_huber_residual)
def pseudo_huber(xp, delta, r):
    """``delta**2 * (sqrt(1 + (r / delta)**2) - 1)``: a smooth `huber`."""
    return xp.special.pseudo_huber(delta, r)


def softmax(x, axis=None):
    """``exp(x)`` divided by its sum along ``axis``, or by that of all."""
    return _softmax(x, axis=axis)


def log_softmax(x, axis=None):
    """Logarithm of `softmax`, exact also for tiny probabilities."""
    return _log_softmax(x, axis=axis)


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    """``log(sum(b * exp(a)))`` over ``axis``, without overflow.

    Args:
        a: An array.
        axis: One, several or, by default, all.
        b: Factors, also negative and 0. Where it is 0, the gradient of ``a`` is 0.
        keepdims: The axes stay, with length 1.
        return_sign: Give the logarithm of the sum's absolute value, and the sum's sign.

    Returns:
        A Variable, NaN where the sum is negative; with ``return_sign`` a pair of Variables.
    """
    if b is None:
        y = _logsumexp(a, axis=axis, keepdims=keepdims)
        return (y, sign(exp2(y * 0.0))) if return_sign else y
    a, b = as_variable(a) + 0.0 * as_variable(b), as_variable(b)
    a = where(b == 0, -math.inf, a)
    top = _max(a.detach(), axis=axis, keepdims=True)
    top = where(isfinite(top), top, 0.0)
    total = _sum(b * exp(a - top), axis=axis, keepdims=True)
    y, signs = log(_abs(total)) + top, sign(total)
    if not return_sign:
        y = where(total < 0, math.nan, y)
    if not keepdims:
        axes = normalized_axes(axis, y.ndim)
        y, signs = squeeze(y, axes), squeeze(signs, axes)
    return (y, signs) if return_sign else y


# --- gamma and beta functions -------------------------------------------------------------------


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


@elementwise(_zero)
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


# --- distributions ------------------------------------------------------------------------------


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


@elementwise(_zero, lambda xp, g, k, m: -_pdtr_m(xp, g, k, m))
def pdtr(xp, k, m):
    """Probability of ``k`` events or fewer where ``m`` are expected. ``k`` is rounded down."""
    return xp.special.pdtr(k, m)


@elementwise(_zero, _pdtr_m)
def pdtrc(xp, k, m):
    """Probability of more than ``k`` events where ``m`` are expected. ``k`` is rounded down."""
    return xp.special.pdtrc(k, m)


def _pdtri_p(xp, g, y, k):
    k, y = arrays(xp, g, k, y)
    return -_gammaincinv_p(xp, g, y, xp.floor(k) + 1.0)


@elementwise(_zero, _pdtri_p)
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
    _zero,
    lambda xp, g, n: undefined(xp, g, n, "bdtr", "n"),
    lambda xp, g, k, n, p: -_bdtr_p(xp, g, k, n, p),
)
def bdtr(xp, k, n, p):
    """Probability of ``k`` successes or fewer in ``n`` trials. ``k`` is rounded down."""
    return xp.special.bdtr(k, n, p)


@elementwise(_zero, lambda xp, g, n: undefined(xp, g, n, "bdtrc", "n"), _bdtr_p)
def bdtrc(xp, k, n, p):
    """Probability of more than ``k`` successes in ``n`` trials. ``k`` is rounded down."""
    return xp.special.bdtrc(k, n, p)


@elementwise(_zero, lambda xp, g, n: undefined(xp, g, n, "bdtri", "n"), _bdtri_p)
def bdtri(xp, k, n, q):
    """The ``p`` of which ``bdtr(k, n, p)`` is ``q``. ``k`` is rounded down."""
    return xp.special.bdtri(k, n, q)


def _nbdtr_p(xp, g, k, n, p):
    k, n, p = arrays(xp, g, k, n, p)
    return _betainc_x(xp, g, n, xp.floor(k) + 1.0, p)


def _nbdtri_p(xp, g, y, k, n):
    k, n, y = arrays(xp, g, k, n, y)
    return _betaincinv_p(xp, g, y, n, xp.floor(k) + 1.0)


@elementwise(_zero, lambda xp, g, n: undefined(xp, g, n, "nbdtr", "n"), _nbdtr_p)
def nbdtr(xp, k, n, p):
    """Probability of ``k`` failures or fewer before ``n`` successes. ``k`` is rounded down."""
    return xp.special.nbdtr(k, n, p)


@elementwise(
    _zero,
    lambda xp, g, n: undefined(xp, g, n, "nbdtrc", "n"),
    lambda xp, g, k, n, p: -_nbdtr_p(xp, g, k, n, p),
)
def nbdtrc(xp, k, n, p):
    """Probability of more than ``k`` failures before ``n`` successes. ``k`` is rounded down."""
    return xp.special.nbdtrc(k, n, p)


@elementwise(_zero, lambda xp, g, n: undefined(xp, g, n, "nbdtri", "n"), _nbdtri_p)
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


# --- Bessel functions ---------------------------------------------------------------------------


def _off_zero(xp, g, x):
    return unless_harmless(xp, g, x, x == 0)


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


@elementwise(lambda xp, g, x: -g * xp.special.y1(_off_zero(xp, g, x)))
def y0(xp, x):
    """Bessel function of the second kind of order 0."""
    return xp.special.y0(x)


def _y1_rule(xp, g, x):
    x = _off_zero(xp, g, x)
    return g * (xp.special.y0(x) - xp.special.y1(x) / x)


@elementwise(_y1_rule)
def y1(xp, x):
    """Bessel function of the second kind of order 1."""
    return xp.special.y1(x)


@elementwise(
    lambda xp, g, n: undefined(xp, g, n, "yn", "n"),
    lambda xp, g, n, x: _neighbours(xp, g, "yn", 1.0, n, _off_zero(xp, g, x)),
)
def yn(xp, n, x):
    """Bessel function of the second kind of integer order ``n``."""
    return xp.special.yn(n, x)


@elementwise(
    lambda xp, g, v: undefined(xp, g, v, "yv", "v"),
    lambda xp, g, v, x: _neighbours(xp, g, "yv", 1.0, v, _off_zero(xp, g, x)),
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


@elementwise(lambda xp, g, x: -g * xp.special.k1(_off_zero(xp, g, x)))
def k0(xp, x):
    """Modified Bessel function of the second kind of order 0."""
    return xp.special.k0(x)


def _k1_rule(xp, g, x):
    x = _off_zero(xp, g, x)
    return -g * (xp.special.k0(x) + xp.special.k1(x) / x)


@elementwise(_k1_rule)
def k1(xp, x):
    """Modified Bessel function of the second kind of order 1."""
    return xp.special.k1(x)


def _k0e_rule(xp, g, x):
    x = _off_zero(xp, g, x)
    return g * (xp.special.k0e(x) - xp.special.k1e(x))


@elementwise(_k0e_rule)
def k0e(xp, x):
    """``exp(x) * k0(x)``."""
    return xp.special.k0e(x)


def _k1e_rule(xp, g, x):
    x = _off_zero(xp, g, x)
    return g * (xp.special.k1e(x) * (1.0 - 1.0 / x) - xp.special.k0e(x))


@elementwise(_k1e_rule)
def k1e(xp, x):
    """``exp(x) * k1(x)``."""
    return xp.special.k1e(x)


@elementwise(
    lambda xp, g, n: undefined(xp, g, n, "kn", "n"),
    lambda xp, g, n, x: _neighbours(xp, g, "kn", -1.0, n, _off_zero(xp, g, x)),
)
def kn(xp, n, x):
    """Modified Bessel function of the second kind of integer order ``n``."""
    return xp.special.kn(n, x)


@elementwise(
    lambda xp, g, v: undefined(xp, g, v, "kv", "v"),
    lambda xp, g, v, x: _neighbours(xp, g, "kv", -1.0, v, _off_zero(xp, g, x)),
)
def kv(xp, v, x):
    """Modified Bessel function of the second kind of order ``v``."""
    return xp.special.kv(v, x)


def _kve_rule(xp, g, v, x):
    x, s = _off_zero(xp, g, x), xp.special
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


# --- integrals, elliptic and hypergeometric functions -------------------------------------------


@elementwise(lambda xp, g, x: -xp.xdivy(g * xp.exp(-x), x))
def exp1(xp, x):
    """Exponential integral of ``exp(-t) / t`` from ``x`` to infinity."""
    return xp.special.exp1(x)


@elementwise(lambda xp, g, x: xp.xdivy(g * xp.exp(x), x))
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
    return xp.where(few, first, -g * xp.special.expn(order, _off_zero(xp, g, x)))


@elementwise(lambda xp, g, n: undefined(xp, g, n, "expn", "n"), _expn_rule)
def expn(xp, n, x):
    """Exponential integral of ``exp(-x t) / t**n`` from 1 to infinity, ``n`` an integer."""
    return xp.special.expn(n, x)


def _sici_rule(xp, g, x):
    return g[0] * xp.special._sinc(x / math.pi, 0) + xp.xdivy(g[1] * xp.cos(x), x)


@primitive(_sici_rule, several=True)
def sici(xp, x):
    """Sine and cosine integral."""
    return xp.special.sici(x)


def _shichi_rule(xp, g, x):
    mean = 0.5 * (xp.special._exprel(x, 0) + xp.special._exprel(-x, 0))
    return g[0] * mean + xp.xdivy(g[1] * xp.cosh(x), x)


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
    x = _off_zero(xp, g, x)
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


for _name, _function in {
    "erf": erf, "expit": expit, "expm1": expm1, "exprel": exprel, "jn": jn, "log1p": log1p,
    "log_softmax": log_softmax, "logsumexp": logsumexp, "multigammaln": multigammaln, "psi": psi,
    "sinc": sinc, "softmax": softmax,
}.items():  # fmt: skip
    ops["special." + _name] = _function
