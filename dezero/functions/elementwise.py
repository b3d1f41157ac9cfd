"""Functions of each element, with the names of the Array API standard.

At a kink the gradient is the mean of both sides' (``maximum`` of equals, ``abs`` at 0); steps
(``floor``, ``sign``) have the gradient 0. Where a derivative is singular (``sqrt`` at 0, ``log``
at 0), a gradient of 0 that arrives stays 0: ``where(x > 0, sqrt(x), 0)`` is finite everywhere.
"""

import math

from ..backends import backend_of
from ..config import recording
from ..core import Variable, _handle, _raw, as_variable
from ..dispatch import common, ops
from ..primitive import constant, elementwise, primitive
from ..views import view

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "conj",
    "copy",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "real",
    "reciprocal",
    "remainder",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
    "xdivy",
]


def _two(name, doc):
    """A comparison or a logical function of two operands."""

    def formula(xp, a, b):
        return getattr(xp, name)(a, b)

    formula.__name__, formula.__doc__, formula.__module__ = name, doc, __name__
    return constant(formula)


def _one(name, doc):
    """A test of each element."""

    def formula(xp, x):
        return getattr(xp, name)(x)

    formula.__name__, formula.__doc__, formula.__module__ = name, doc, __name__
    return constant(formula)


equal = _two("equal", "Whether ``a == b``, element by element. A constant.")
not_equal = _two("not_equal", "Whether ``a != b``, element by element. A constant.")
less = _two("less", "Whether ``a < b``, element by element. A constant.")
less_equal = _two("less_equal", "Whether ``a <= b``, element by element. A constant.")
greater = _two("greater", "Whether ``a > b``, element by element. A constant.")
greater_equal = _two("greater_equal", "Whether ``a >= b``, element by element. A constant.")
logical_and = _two("logical_and", "Whether both are true. A constant.")
logical_or = _two("logical_or", "Whether one of both is true. A constant.")
logical_xor = _two("logical_xor", "Whether exactly one is true. A constant.")
bitwise_and = _two("bitwise_and", "Bits set in both integers. A constant.")
bitwise_or = _two("bitwise_or", "Bits set in one of both integers. A constant.")
bitwise_xor = _two("bitwise_xor", "Bits set in exactly one of both integers. A constant.")
bitwise_left_shift = _two("bitwise_left_shift", "``a << b`` of integers. A constant.")
bitwise_right_shift = _two("bitwise_right_shift", "``a >> b`` of integers. A constant.")
bitwise_invert = _one("bitwise_invert", "The integer with every bit flipped. A constant.")
logical_not = _one("logical_not", "Whether the element is false. A constant.")
isfinite = _one("isfinite", "Whether the element is neither NaN nor infinite. A constant.")
isinf = _one("isinf", "Whether the element is infinite. A constant.")
isnan = _one("isnan", "Whether the element is NaN. A constant.")
signbit = _one("signbit", "Whether the sign bit is set, as it is for -0.0. A constant.")


# --- arithmetic -------------------------------------------------------------------------------


@elementwise(lambda xp, g: g, lambda xp, g: g)
def add(xp, x0, x1):
    """Sum of ``x0`` and ``x1``, broadcast against each other."""
    return x0 + x1


@elementwise(lambda xp, g: g, lambda xp, g: -g)
def subtract(xp, x0, x1):
    """Difference of ``x0`` and ``x1``, broadcast against each other."""
    return x0 - x1


@elementwise(lambda xp, g, x1: g * x1, lambda xp, g, x0: g * x0)
def multiply(xp, x0, x1):
    """Product of ``x0`` and ``x1``, broadcast against each other."""
    return x0 * x1


@elementwise(lambda xp, g, x1: g / x1, lambda xp, g, y, x1: -g * y / x1)
def divide(xp, x0, x1):
    """Quotient of ``x0`` and ``x1``, broadcast against each other."""
    return x0 / x1


@elementwise(lambda xp, g, b: xp.xdivy(g, b), lambda xp, g, y, b: -xp.xdivy(g * y, b))
def xdivy(xp, a, b):
    """``a / b``, and 0 where ``a`` is 0, whatever ``b`` is, also 0 or NaN."""
    return xp.xdivy(a, b)


def _power_base(xp, g, x, c):
    if isinstance(c, (int, float)):
        if c >= 1:
            return g * (c * x ** (c - 1))
        if c == 0:
            return xp.zeros_like(g)
        return xp.xdivy(g * c, x ** (1.0 - c))
    if isinstance(c, complex) or xp.is_complex(c.dtype):
        return g * c * x ** (c - 1.0)
    if not xp.is_inexact(c.dtype):
        c = xp.astype(c, g.dtype)
    smooth, one = c >= 1, xp.ones_like(x)
    power = xp.where(smooth, x, one) ** xp.where(smooth, c - 1.0, xp.zeros_like(c))
    return xp.where(smooth, g * c * power, xp.xdivy(g * c, xp.where(smooth, one, x) ** (1.0 - c)))


def _power_exponent(xp, g, y, x, c):
    if not hasattr(x, "dtype"):  # a number of Python's; NumPy's count as arrays
        if isinstance(x, complex):
            import cmath  # a file of its own, not needed to import dezero

            return g * y * (cmath.log(x) if x else 0.0)
        return g * y * math.log(x) if x > 0 else g * y * (0.0 if x == 0 else math.nan)
    harmless = x == 0
    if not xp.is_complex(x.dtype):
        harmless = xp.logical_or(harmless, xp.logical_and(x < 0, g == 0))
        y = xp.where(harmless, xp.zeros_like(y), y)
    return g * y * xp.log(xp.where(harmless, xp.ones_like(x), x))


@elementwise(_power_base, _power_exponent)
def pow(xp, x, c):
    """``x`` to the power ``c``, broadcast against each other.

    At ``x = 0`` the gradient of ``c`` is 0, and that of ``x`` is infinite for ``0 < c < 1``.
    """
    return x**c


@elementwise(lambda xp, g: -g)
def negative(xp, x):
    """``-x``."""
    return -x


@elementwise(lambda xp, g: g)
def positive(xp, x):
    """``+x``: the same values."""
    return +x


@elementwise(lambda xp, g, x: -xp.xdivy(g, x * x))
def reciprocal(xp, x):
    """``1 / x``."""
    return 1.0 / x


@elementwise(lambda xp, g, x: 2.0 * g * x)
def square(xp, x):
    """``x * x``."""
    return x * x


@elementwise(lambda xp, g, y: xp.xdivy(0.5 * g, y))
def sqrt(xp, x):
    """Square root. Its gradient at 0 is infinite, except where the gradient that arrives is 0."""
    return xp.sqrt(x)


@elementwise(
    lambda xp, g, x, y: g * (x / _or_infinity(xp, y) if xp.is_complex(x.dtype) else xp.sign(x)),
    conjugates=True,
)
def abs(xp, x):
    """Absolute value. Its gradient at 0 is 0; of a complex number it is the direction ``x/|x|``."""
    return xp.abs(x)


@elementwise(lambda xp, g: xp.zeros_like(g))
def _real_sign(xp, x):
    """Sign of a real number."""
    return xp.sign(x)


def _direction_rule(xp, g, x, y):
    along = xp.astype(xp.real(xp.conj(y) * g), y.dtype)
    return (g - y * along) / xp.astype(_or_infinity(xp, xp.abs(x)), y.dtype)


@elementwise(_direction_rule, conjugates=True)
def _direction(xp, x):
    """``x/|x|`` of a complex number, 0 of 0."""
    return xp.sign(x)


def sign(x):
    """-1, 0 or 1 of each real element, with the gradient 0; ``x/|x|`` of a complex one.

    At 0 the gradient is 0.
    """
    return _direction(x) if _is_complex(x) else _real_sign(x)


ops["sign"] = sign


def _flat(name, doc):
    """A step function: its gradient is 0."""

    def formula(xp, x):
        return getattr(xp, name)(x)

    formula.__name__, formula.__doc__, formula.__module__ = name, doc, __name__
    return elementwise(lambda xp, g: xp.zeros_like(g))(formula)


floor = _flat("floor", "The largest integer not above ``x``. Its gradient is 0.")
ceil = _flat("ceil", "The smallest integer not below ``x``. Its gradient is 0.")
trunc = _flat("trunc", "The nearest integer towards 0. Its gradient is 0.")
round = _flat("round", "The nearest integer, halves to the even one. Its gradient is 0.")


def _zero(xp, g):
    return xp.zeros_like(g)


@elementwise(_zero, _zero)
def floor_divide(xp, a, b):
    """``a / b`` rounded down. Its gradient is 0."""
    return xp.floor_divide(a, b)


@elementwise(lambda xp, g: g, lambda xp, g, a, b: -g * xp.floor_divide(a, b))
def remainder(xp, a, b):
    """``a - b * floor(a / b)``, with the sign of ``b``."""
    return a % b


def _share(xp, g, first, second):
    """``g`` where the first operand wins, half of it at a tie."""
    return xp.where(first, g, xp.where(second, xp.zeros_like(g), 0.5 * g))


@elementwise(
    lambda xp, g, a, b: _share(xp, g, a > b, a < b), lambda xp, g, a, b: _share(xp, g, b > a, b < a)
)
def maximum(xp, a, b):
    """The larger of both elements. Equal ones share the gradient."""
    return xp.maximum(a, b)


@elementwise(
    lambda xp, g, a, b: _share(xp, g, a < b, a > b), lambda xp, g, a, b: _share(xp, g, b < a, b > a)
)
def minimum(xp, a, b):
    """The smaller of both elements. Equal ones share the gradient."""
    return xp.minimum(a, b)


def _inside(xp, g, x, min, max):
    outside = x != x
    outside = outside if min is None else xp.logical_or(outside, x < min)
    outside = outside if max is None else xp.logical_or(outside, x > max)
    return xp.where(outside, xp.zeros_like(g), g)


def _below(xp, g, x, min, max):
    hit = x < min if max is None else xp.logical_and(x < min, min <= max)
    return xp.where(hit, g, xp.zeros_like(g))


def _above(xp, g, x, min, max):
    hit = x > max if min is None else xp.logical_or(x > max, min > max)
    return xp.where(hit, g, xp.zeros_like(g))


@elementwise(_inside, _below, _above)
def _clip(xp, x, min=None, max=None):
    """``x`` limited to ``min .. max``."""
    return xp.clip(x, min, max)


def clip(x, min=None, max=None, *, x_min=None, x_max=None):
    """``x`` limited to ``min .. max``; the bounds belong to the inside. None: no bound.

    ``x_min`` and ``x_max`` are the book's names of the bounds.

    Example:
        >>> import numpy as np
        >>> clip(np.arange(4.0), x_min=1.0, x_max=2.0)
        variable([1. 1. 2. 2.])
    """
    if x_min is not None or x_max is not None:
        if not ((min is None or x_min is None) and (max is None or x_max is None)):
            msg = "clip: a bound is given twice, by the standard's name and by the book's"
            raise TypeError(msg)
        min = x_min if min is None else min
        max = x_max if max is None else max
    return _clip(x, min, max)


ops["clip"] = clip


@elementwise(lambda xp, g, a, b: g * xp.sign(a) * xp.copysign(xp.ones_like(g), b), _zero)
def copysign(xp, a, b):
    """``|a|`` with the sign of ``b``. Where ``a`` is 0 its gradient is 0."""
    return xp.copysign(a, b)


@elementwise(lambda xp, g: g, _zero)
def nextafter(xp, a, b):
    """The next number after ``a`` in the direction of ``b``."""
    return xp.nextafter(a, b)


def _or_infinity(xp, y):
    """``y``, and infinity where it is 0: what is divided by that is 0, to any order."""
    return xp.where(y == 0, xp.full_like(y, math.inf), y)


@elementwise(
    lambda xp, g, y, a: g * (a / _or_infinity(xp, y)),
    lambda xp, g, y, b: g * (b / _or_infinity(xp, y)),
)
def hypot(xp, a, b):
    """``sqrt(a*a + b*b)`` without overflow. At the origin its gradients are 0."""
    return xp.hypot(a, b)


# --- exponentials and logarithms --------------------------------------------------------------


@elementwise(lambda xp, g, y: g * y)
def exp(xp, x):
    """``e`` to the power ``x``."""
    return xp.exp(x)


@elementwise(lambda xp, g, y: g * (y + 1.0))
def expm1(xp, x):
    """``exp(x) - 1``, exact near 0."""
    return xp.expm1(x)


@elementwise(lambda xp, g, x: xp.xdivy(g, x))
def log(xp, x):
    """Natural logarithm."""
    return xp.log(x)


@elementwise(lambda xp, g, x: xp.xdivy(g, 1.0 + x))
def log1p(xp, x):
    """``log(1 + x)``, exact near 0."""
    return xp.log1p(x)


@elementwise(lambda xp, g, x: xp.xdivy(g, x * math.log(2.0)))
def log2(xp, x):
    """Logarithm to the base 2."""
    return xp.log2(x)


@elementwise(lambda xp, g, x: xp.xdivy(g, x * math.log(10.0)))
def log10(xp, x):
    """Logarithm to the base 10."""
    return xp.log10(x)


@elementwise(lambda xp, g, y, a: g * xp.exp(a - y), lambda xp, g, y, b: g * xp.exp(b - y))
def logaddexp(xp, a, b):
    """``log(exp(a) + exp(b))`` without overflow."""
    return xp.logaddexp(a, b)


# --- trigonometry, angles in radians ----------------------------------------------------------


@elementwise(lambda xp, g, x: g * xp.cos(x))
def sin(xp, x):
    """Sine of an angle in radians."""
    return xp.sin(x)


@elementwise(lambda xp, g, x: -g * xp.sin(x))
def cos(xp, x):
    """Cosine of an angle in radians."""
    return xp.cos(x)


@elementwise(lambda xp, g, y: g * (1.0 + y * y))
def tan(xp, x):
    """Tangent of an angle in radians."""
    return xp.tan(x)


@elementwise(lambda xp, g, x: xp.xdivy(g, xp.sqrt(1.0 - x * x)))
def asin(xp, x):
    """Angle in radians whose sine is ``x``."""
    return xp.asin(x)


@elementwise(lambda xp, g, x: -xp.xdivy(g, xp.sqrt(1.0 - x * x)))
def acos(xp, x):
    """Angle in radians whose cosine is ``x``."""
    return xp.acos(x)


@elementwise(lambda xp, g, x: g / (1.0 + x * x))
def atan(xp, x):
    """Angle in radians whose tangent is ``x``."""
    return xp.atan(x)


@elementwise(
    lambda xp, g, a, b: g * (b / _or_infinity(xp, a * a + b * b)),
    lambda xp, g, a, b: -g * (a / _or_infinity(xp, a * a + b * b)),
)
def atan2(xp, a, b):
    """Angle in radians of the point with height ``a`` and width ``b``.

    At the origin its gradients are 0.
    """
    return xp.atan2(a, b)


@elementwise(lambda xp, g, x: g * xp.cosh(x))
def sinh(xp, x):
    """Hyperbolic sine."""
    return xp.sinh(x)


@elementwise(lambda xp, g, x: g * xp.sinh(x))
def cosh(xp, x):
    """Hyperbolic cosine."""
    return xp.cosh(x)


@elementwise(lambda xp, g, y: g * (1.0 - xp.square(y)))
def tanh(xp, x):
    """Hyperbolic tangent."""
    return xp.tanh(x)


@elementwise(lambda xp, g, x: g / xp.sqrt(x * x + 1.0))
def asinh(xp, x):
    """Inverse hyperbolic sine."""
    return xp.asinh(x)


@elementwise(lambda xp, g, x: xp.xdivy(g, xp.sqrt(x - 1.0) * xp.sqrt(x + 1.0)))
def acosh(xp, x):
    """Inverse hyperbolic cosine."""
    return xp.acosh(x)


@elementwise(lambda xp, g, x: xp.xdivy(g, 1.0 - x * x))
def atanh(xp, x):
    """Inverse hyperbolic tangent."""
    return xp.atanh(x)


@elementwise(lambda xp, g, x: g * (2.0 / math.sqrt(math.pi)) * xp.exp(-x * x))
def erf(xp, x):
    """Error function."""
    return xp.erf(x)


# --- complex numbers and dtypes ---------------------------------------------------------------


@primitive(lambda xp, g, x_dtype: xp.cast(g, x_dtype), conjugates=True)
def _cast(xp, x, dtype):
    """``x`` with another floating dtype."""
    return xp.cast(x, dtype) if xp.is_complex(x.dtype) else xp.astype(x, dtype)


def astype(x, dtype, copy=True, device=None):
    """``x`` with ``dtype``. Integers and booleans have no gradient: such results are constants.

    Args:
        x: An array.
        dtype: A dtype of its library.
        copy: Whether the result is new even if ``x`` has that dtype; False gives ``x`` itself then.
        device: A device of the library; by default that of ``x``.
    """
    if device is not None:
        x = as_variable(x).to(device)
    raw = _raw(x)
    xp = common("astype", (raw,))
    if raw.dtype == dtype:
        if copy:
            return _copy(x)
        return x if isinstance(x, Variable) else _handle(raw, None)
    if not xp.is_inexact(dtype) or not recording():
        return _handle(xp.astype(raw, dtype), None)
    return _cast(x, dtype)


ops["astype"] = astype


def _widened(x):
    """``x`` in single precision if it is in half, and the dtype for `_narrowed`, else None.

    For what sums up many numbers, or multiplies large ones.
    """
    raw = _raw(x)
    xp = backend_of(raw)
    return (astype(x, xp.float32), raw.dtype) if xp.half(raw) else (x, None)


def _narrowed(y, dtype):
    """What was computed of `_widened`, in half precision again."""
    return y if dtype is None else astype(y, dtype)


@elementwise(lambda xp, g: g)
def copy(xp, x):
    """The same values in memory of their own, where the library can change arrays at all."""
    return xp.copy(x)


_copy = copy


@elementwise(lambda xp, g: xp.conj(g), conjugates=True)
def _conj(xp, x):
    """Complex conjugate of a complex array."""
    return xp.conj(x)


@view(lambda x, value: value + 1j * imag(x))
@elementwise(lambda xp, g, x_dtype: xp.astype(g, x_dtype), conjugates=True)
def _real(xp, x):
    """Real part of a complex array."""
    return xp.real(x)


@view(lambda x, value: real(x) + 1j * value)
@elementwise(lambda xp, g, x_dtype: xp.astype(g, x_dtype) * 1j, conjugates=True)
def _imag(xp, x):
    """Imaginary part of a complex array."""
    return xp.imag(x)


@elementwise(lambda xp, g: xp.zeros_like(g))
def _no_imag(xp, x):
    """Imaginary part of a real array."""
    return xp.zeros_like(x)


def _is_complex(x):
    if isinstance(x, (bool, int, float, complex)):
        return isinstance(x, complex)
    raw = _raw(x)
    return common("complex", (raw,)).is_complex(raw.dtype)


def conj(x):
    """Complex conjugate; a real array as it is."""
    return _conj(x) if _is_complex(x) else positive(x)


@view(lambda x, value: value)
@elementwise(lambda xp, g: g)
def _itself(xp, x):
    """The same array."""
    return xp.get_item(x, ...)


def real(x):
    """Real part; a real array as it is."""
    return _real(x) if _is_complex(x) else _itself(x)


def imag(x):
    """Imaginary part; zeros for a real array."""
    return _imag(x) if _is_complex(x) else _no_imag(x)


ops["conj"], ops["real"], ops["imag"] = conj, real, imag
