"""Derivatives of special functions by parameters for which no closed form is known.

They are integrals, by Gauss and Legendre's rule on the interval where the integrand is not
negligible, written in functions that are differentiable themselves: right to any order.
"""

import functools
import math

__all__ = [
    "arrays",
    "betainc_slope",
    "gammainc_slope",
    "log_beta_density",
    "log_gamma_density",
    "off_zero",
    "scaled",
    "undefined",
    "unless_harmless",
    "zero",
    "zeta_slope",
]

_NEGLIGIBLE = 40.0  # exp(-40) is below the rounding of a double
_SHIFT = 8  # a parameter is raised by so much first: the integrand has no long tail then
_NODES = 40


@functools.cache
def _legendre(n):
    """Nodes and weights of Gauss and Legendre's rule on 0 .. 1."""
    rule = []
    for i in range(n):
        x = math.cos(math.pi * (i + 0.75) / (n + 0.5))
        for _ in range(8):
            before, value = 1.0, x
            for k in range(2, n + 1):
                before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
            slope = n * (x * value - before) / (x * x - 1.0)
            x -= value / slope
        rule.append((0.5 + 0.5 * x, 1.0 / ((1.0 - x * x) * slope * slope)))
    return tuple(rule)


def arrays(xp, g, *operands):
    """Operands of a rule as floating arrays: numbers in the likeness of ``g``."""
    return [
        xp.full_like(g, x)
        if not hasattr(x, "dtype")
        else x
        if xp.is_inexact(x.dtype)
        else xp.astype(x, g.dtype)
        for x in operands
    ]


def undefined(xp, g, operand, name, parameter):
    """No gradient for an integer operand; raise for one of which a derivative is asked.

    Raises:
        NotImplementedError: The operand is a floating array.
    """
    if xp.is_inexact(operand.dtype):
        msg = (
            f"special.{name}: there is no derivative by {parameter!r}. If it is a constant, "
            f"pass {parameter}.data or {parameter}.detach()"
        )
        raise NotImplementedError(msg)
    return xp.zeros_like(g)


def scaled(xp, g, logarithm):
    """``g * exp(logarithm)``, and 0 where ``g`` is 0 and the other infinite."""
    harmless = xp.logical_and(g == 0, logarithm == math.inf)
    return g * xp.exp(xp.where(harmless, xp.zeros_like(logarithm), logarithm))


def unless_harmless(xp, g, x, pole, instead=1.0):
    """``x``, but ``instead`` where a gradient of 0 meets a ``pole``: the product is 0 there."""
    harmless = xp.logical_and(xp.logical_and(g == 0, pole), x == x)
    return xp.where(harmless, xp.full_like(x, instead), x)


def off_zero(xp, g, x):
    """``x``, but 1 where a gradient of 0 meets a pole at 0."""
    return unless_harmless(xp, g, x, x == 0)


def zero(xp, g):
    """The rule of an operand that works by steps."""
    return xp.zeros_like(g)


def log_gamma_density(xp, a, x):
    """Logarithm of the derivative of ``gammainc(a, x)`` by ``x``."""
    far = x == math.inf
    near = xp.where(far, xp.ones_like(x), x)
    log = xp.special.xlogy(a - 1.0, near) - near - xp.special.gammaln(a)
    return xp.where(far, xp.full_like(log, -math.inf), log)


def log_beta_density(xp, a, b, x):
    """Logarithm of the derivative of ``betainc(a, b, x)`` by ``x``."""
    s = xp.special
    return s.xlogy(a - 1.0, x) + s.xlog1py(b - 1.0, -x) - s.betaln(a, b)


def gammainc_slope(xp, a, x):
    """Derivative of ``gammainc(a, x)`` by ``a``, to about 13 digits of its own size.

    The integral of ``t**(a-1) * exp(-t) * (log(t) - digamma(a)) / gamma(a)`` over the tail of
    smaller probability, in the variable ``log(t)``.
    """
    s = xp.special
    inside = xp.logical_and(x > 0, x < math.inf)
    z = xp.where(inside, x, xp.ones_like(x))
    one, log, low = xp.ones_like(a + z), xp.log(z), z < a + 1.0
    size = xp.exp(a * log - z - s.gammaln(a + 1.0))
    factor = log - s.digamma(a + 1.0)
    term, shifted, terms = size, factor, xp.zeros_like(one)
    for k in range(1, _SHIFT + 1):
        terms = terms + term * shifted
        term = term * z / (a + k)
        shifted = shifted - 1.0 / (a + k)
    size, factor = xp.where(low, term, size), xp.where(low, shifted, factor)
    raised, side = xp.where(low, a + _SHIFT, a * one), xp.where(low, -one, one)
    end = _gamma_reach(xp, low, raised, z)
    total = xp.zeros_like(one)
    for node, weight in _legendre(_NODES):
        step = side * (end * node)
        decay = xp.exp(raised * step - z * xp.expm1(step))
        total = total + weight * decay * (1.0 + raised * (factor + step))
    total = size * end * total
    result = xp.where(low, terms + total, -total)
    return xp.where(inside, result, xp.zeros_like(result))


def _gamma_reach(xp, low, a, z):
    """How far along ``log(t)`` the integrand is more than ``exp(-40)`` of where it begins."""
    one = xp.ones_like(a)
    down, up = xp.where(low, z, one), xp.where(low, 2.0 * one, z)
    a_down, a_up = xp.where(low, a, 2.0 * one), xp.where(low, one, a)
    half = 2.0 * (a_down - down) - _NEGLIGIBLE
    root = xp.sqrt(half * half + 8.0 * _NEGLIGIBLE * a_down)
    far = half > 0
    lower = xp.where(far, 4.0 * _NEGLIGIBLE / (root + xp.abs(half)), (root - half) / (2.0 * a_down))
    slope = up - a_up
    upper = 2.0 * _NEGLIGIBLE / (slope + xp.sqrt(slope * slope + 2.0 * _NEGLIGIBLE * up))
    return xp.where(low, lower, xp.minimum(upper, xp.log1p(_NEGLIGIBLE / slope)))


def betainc_slope(xp, a, b, x, y):
    """Derivative of ``betainc(a, b, x)`` by ``a``; ``y`` is ``1 - x``, given for its digits.

    That by ``b`` is ``-betainc_slope(xp, b, a, y, x)``. An integral as in `gammainc_slope`, over
    the tail of smaller probability, in the variable ``log(t / (1 - t))``.
    """
    s = xp.special
    inside = xp.logical_and(x > 0, y > 0)
    one = xp.ones_like(a + b + x)
    x, y = xp.where(inside, x, 0.5 * one), xp.where(inside, y, 0.5 * one)
    other = x * (a + b + 2.0) > a + 1.0
    own = xp.where(other, 0.0 * one, one)
    p, q = xp.where(other, b, a), xp.where(other, a, b)
    x, y = xp.where(other, y, x), xp.where(other, x, y)
    size = xp.exp(p * xp.log(x) + q * xp.log(y) - s.betaln(p + 1.0, q)) / (p + q)
    first, second = xp.log(x) - s.digamma(p + 1.0), xp.log(y) - s.digamma(q)
    factor = xp.where(other, second, first) + s.digamma(p + q)
    total = xp.zeros_like(one)
    for k in range(_SHIFT):
        total = total + size * factor
        size = size * x * ((p + q + k) / (p + (k + 1.0)))
        factor = factor + 1.0 / (p + q + k) - own / (p + (k + 1.0))
    p = p + _SHIFT
    factor = factor + own / p
    end = (_NEGLIGIBLE - (p + q) * xp.log(y)) / p
    for _ in range(9):  # Newton's method from the right on a convex function
        growth = y * xp.exp(end)
        slope = (p + q) * (growth / (x + growth)) - q
        end = end - ((p + q) * xp.log(x + growth) - q * end - _NEGLIGIBLE) / slope
    integral = xp.zeros_like(one)
    for node, weight in _legendre(_NODES):
        step = end * node
        log = xp.log1p(y * xp.expm1(step))
        decay = xp.exp(q * step - (p + q) * log)
        integral = integral + weight * decay * (factor - log + (1.0 - own) * step)
    total = total + size * p * end * integral
    total = xp.where(other, -total, total)
    return xp.where(inside, total, xp.zeros_like(total))


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def zeta_slope(xp, x, q):
    """Derivative of ``zeta(x, q)`` by ``x``, by Euler and Maclaurin's formula."""
    count = 12
    total = xp.zeros_like(x + q)
    for k in range(count):
        log = xp.log(q + k)
        total = total - log * xp.exp(-x * log)
    w = q + count
    log = xp.log(w)
    power = xp.exp(-x * log)
    total = total - power * (w * (log / (x - 1.0) + 1.0 / ((x - 1.0) * (x - 1.0))) + 0.5 * log)
    rising, slope, power = x, xp.ones_like(x), power / w
    for j, bernoulli in enumerate(_BERNOULLI, 1):
        c = bernoulli / math.factorial(2 * j)
        total = total + c * power * (slope - log * rising)
        for i in (2 * j - 1, 2 * j):
            slope = slope * (x + float(i)) + rising
            rising = rising * (x + float(i))
        power = power / (w * w)
    return total
