"""The logistic function, powers, angles in degrees, and sums of exponentials."""

import math

from ...backends import normalized_axes
from ...core import as_variable
from ...primitive import elementwise
from ..activation import log_softmax as _log_softmax
from ..activation import softmax as _softmax
from ..elementwise import abs as _abs
from ..elementwise import exp, isfinite, log, sign
from ..indexing import where
from ..manipulation import squeeze
from ..statistical import logsumexp as _logsumexp
from ..statistical import max as _max
from ..statistical import sum as _sum
from .derivatives import arrays, scaled

__all__ = [
    "boxcox",
    "boxcox1p",
    "cbrt",
    "cosdg",
    "cosm1",
    "cotdg",
    "exp10",
    "exp2",
    "exprel",
    "huber",
    "inv_boxcox",
    "inv_boxcox1p",
    "log_expit",
    "log_softmax",
    "logit",
    "logsumexp",
    "pseudo_huber",
    "radian",
    "sinc",
    "sindg",
    "softmax",
    "softplus",
    "tandg",
]

_DEGREE = math.pi / 180.0


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
