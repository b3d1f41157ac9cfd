"""Formulas as CUDA C: called with symbols, a formula leaves what it computes instead of numbers.

The source of a kernel is therefore made of the formulas that every library runs, those of `Backend`
among them. Two shapes of kernel exist: one thread for each element, and one warp or block for each
row, where a formula may take sums and maxima along the row and use them again. What stands between
two reductions is computed anew from the operands, which costs less than to write and read it.

Numbers in half precision are computed with in single precision and rounded when they are stored.
There is no fast math, and no product is contracted with a sum, so that single and double precision
give what the same steps one by one give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import array_api_compat.numpy as standard
import numpy as np

from .base import Backend, normalized_axes

__all__ = [
    "OPTIONS",
    "Formulas",
    "Load",
    "Reduction",
    "Source",
    "Symbol",
    "Unfusable",
    "elementwise",
    "formulas",
    "rows",
]

OPTIONS = ("--fmad=false",)

Scalar = (bool, int, float)

_TYPES = {
    "bool": "bool", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long",
    "uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int",
    "uint64": "unsigned long long", "float16": "float", "bfloat16": "float", "float32": "float",
    "float64": "double",
}  # fmt: skip
_HALVES = {
    "float16": ("__half", "__half2float", "__float2half_rn", "cuda_fp16.h"),
    "bfloat16": ("__nv_bfloat16", "__bfloat162float", "__float2bfloat16_rn", "cuda_bf16.h"),
}
_PREAMBLE = """\
template <typename T> __device__ T lower(T a, T b) { return a != a || a < b ? a : b; }
template <typename T> __device__ T higher(T a, T b) { return a != a || a > b ? a : b; }
template <typename T> __device__ T sign_of(T a) { return a != a ? a : T((a > T(0)) - (a < T(0))); }
template <typename T> __device__ T over(T a, T b) {
  if (b == T(0)) return T(0);
  if (T(-1) < T(0) && b == T(-1)) return T(0ull - (unsigned long long)a);
  T q = a / b;
  return (a % b != T(0)) && ((a < T(0)) != (b < T(0))) ? T(q - 1) : q;
}
template <typename T> __device__ T rest(T a, T b) {
  if (b == T(0) || (T(-1) < T(0) && b == T(-1))) return T(0);
  T r = a % b;
  return r != T(0) && ((r < T(0)) != (b < T(0))) ? T(r + b) : r;
}
template <typename T> __device__ T float_rest(T a, T b) {
  T r = fmod(a, b);
  if (b == T(0) || r != r) return r;
  if (r == T(0)) return copysign(T(0), b);
  return (r < T(0)) != (b < T(0)) ? r + b : r;
}
template <typename T> __device__ T float_over(T a, T b) {
  if (b == T(0) || isinf(a) || isinf(b)) return a / b;
  T r = fmod(a, b), q = (a - r) / b;
  if (r != T(0) && ((r < T(0)) != (b < T(0)))) q = q - T(1);
  if (q == T(0)) return copysign(T(0), a / b);
  T f = floor(q);
  return q - f > T(0.5) ? f + T(1) : f;
}
template <typename T> __device__ T log_of_sum(T a, T b) {
  if (a == b) return a + T(0.69314718055994530942);
  T d = a - b;
  return d > T(0) ? a + log1p(exp(-d)) : d <= T(0) ? b + log1p(exp(d)) : d;
}
template <typename T> __device__ T shifted_left(T a, T b, int bits) {
  return b < T(0) || b >= T(bits) ? T(0) : T((unsigned long long)a << (int)b);
}
template <typename T> __device__ T shifted_right(T a, T b, int bits) {
  if (b < T(0) || b >= T(bits)) return a < T(0) ? T(-1) : T(0);
  return T(a >> (int)b);
}
"""
_ROWS = """\
struct Sum { template <typename T> static __device__ T of(T a, T b) { return a + b; } };
struct Min { template <typename T> static __device__ T of(T a, T b) { return lower(a, b); } };
struct Max { template <typename T> static __device__ T of(T a, T b) { return higher(a, b); } };
template <typename Op, typename T> __device__ T over_row(T x) {
#if WIDTH > 1
  for (int k = 16; k; k >>= 1) x = Op::of(x, __shfl_xor_sync(0xffffffffu, x, k));
#endif
#if WIDTH > 32
  __shared__ T parts[WIDTH / 32];
  __syncthreads();
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  x = parts[0];
  for (int k = 1; k < WIDTH / 32; k++) x = Op::of(x, parts[k]);
#endif
  return x;
}
"""


class Unfusable(Exception):
    """A formula does what no kernel of these shapes can do."""


class Symbol:
    """A number for each element of an array, or for each of its rows, that a kernel computes.

    Attributes:
        code: C with ``{}`` for the parts; of a `Load`, nothing.
        parts: Symbols and Python numbers.
        dtype: Its dtype, and with `weak` that of a Python number, which adapts to others.
        shape: Of the array that it stands for.
        wide: Whether it differs along a row.
        cast: The dtype that the parts have in C, or None for their own.
    """

    __slots__ = ("cast", "code", "dtype", "parts", "shape", "weak", "wide")
    __array_ufunc__ = None

    def __init__(
        self,
        code: str,
        parts: tuple[Any, ...],
        dtype: Any,
        shape: tuple[int, ...],
        wide: bool,
        cast: Any = None,
        weak: bool = False,
    ) -> None:
        self.code, self.parts, self.dtype, self.shape = code, parts, np.dtype(dtype), shape
        self.wide, self.cast, self.weak = wide, cast, weak

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def __bool__(self) -> bool:
        raise Unfusable("a decision by a value")

    def __float__(self) -> float:
        raise Unfusable("a value as a Python number")

    def __iter__(self) -> Any:
        raise Unfusable("iteration over an array")

    def __getitem__(self, key: Any) -> Symbol:
        return formulas.get_item(self, key)


class Load(Symbol):
    """An operand of the kernel, or with ``weak`` a number that is given at each launch.

    Args:
        dtype: The dtype of the array.
        shape: Its shape.
        at: The C expression of an element's place in it, over ``i``, ``row`` and ``col``.
        wide: Whether it differs along a row.
        truth: What ``if`` says of a number.
    """

    __slots__ = ("at", "number", "truth")

    def __init__(
        self,
        dtype: Any,
        shape: tuple[int, ...] = (),
        at: str = "i",
        wide: bool = True,
        weak: bool = False,
        truth: bool | None = None,
    ) -> None:
        super().__init__("", (), dtype, shape, wide, weak=weak)
        if self.dtype.name not in _TYPES:
            raise Unfusable(f"dtype {self.dtype}")
        self.at, self.truth, self.number = at, truth, -1

    def __bool__(self) -> bool:
        if self.truth is None:
            raise Unfusable("a decision by a value")
        return self.truth


class Reduction(Symbol):
    """A sum, maximum or minimum of each row."""

    __slots__ = ()


def _is_half(dtype: Any) -> bool:
    return dtype.name in _HALVES


def _computed(dtype: Any) -> Any:
    """The dtype that numbers have within a kernel."""
    return np.dtype(np.float32) if _is_half(dtype) else dtype


def _is_real(dtype: Any) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"


@lru_cache(maxsize=4096)
def _result(name: str, kinds: tuple[Any, ...]) -> np.dtype[Any]:
    """The dtype of a function of the standard for arrays of dtypes and Python numbers of types."""
    brain = any(getattr(k, "name", "") == "bfloat16" for k in kinds)
    single = any(getattr(k, "name", "") == "float32" for k in kinds)
    arguments = []
    for k in kinds:
        if isinstance(k, type):
            arguments.append(k(1))
        else:
            arguments.append(np.ones(1, np.float32 if k.name == "bfloat16" else k))
    try:
        with np.errstate(all="ignore"):
            dtype = getattr(standard, name)(*arguments).dtype
    except TypeError as error:
        raise Unfusable(f"{name}: {error}") from None
    if brain and dtype == np.float32 and not single:
        return next(k for k in kinds if getattr(k, "name", "") == "bfloat16")
    return np.dtype(dtype)


def _kind(x: Any) -> Any:
    if isinstance(x, Symbol):
        return float if x.weak else x.dtype
    if isinstance(x, Scalar):
        return type(x)
    if isinstance(x, np.generic) and x.dtype.name in _TYPES:
        return x.dtype
    raise Unfusable(f"an operand of {type(x).__name__}")


def _joined(code: str, parts: Sequence[Any], dtype: Any, cast: Any = None) -> Symbol:
    symbols = [p for p in parts if isinstance(p, Symbol)]
    try:
        shape = np.broadcast_shapes(*(p.shape for p in symbols))
    except ValueError as error:
        raise Unfusable(str(error)) from None
    wide = any(p.wide for p in symbols)
    weak = all(p.weak for p in symbols) and not any(isinstance(p, np.generic) for p in parts)
    if np.dtype(dtype).name not in _TYPES:
        raise Unfusable(f"dtype {dtype}")
    return Symbol(code, tuple(parts), dtype, shape, wide, cast, weak)


# Code for floating numbers, and for integers if that is another one; `...`: there is none.
_FLOAT: dict[str, tuple[Any, Any]] = {
    "add": ("{} + {}", "({2})(({3}){0} + ({3}){1})"),
    "subtract": ("{} - {}", "({2})(({3}){0} - ({3}){1})"),
    "multiply": ("{} * {}", "({2})(({3}){0} * ({3}){1})"),
    "divide": ("{} / {}", ...),
    "pow": ("pow({}, {})", ...),
    "remainder": ("float_rest({}, {})", "rest({}, {})"),
    "floor_divide": ("float_over({}, {})", "over({}, {})"),
    "negative": ("-{}", "({1})(0 - ({2}){0})"),
    "positive": ("{}", "{}"),
    "square": ("{0} * {0}", "({1})(({2}){0} * ({2}){0})"),
    "reciprocal": ("1 / {}", ...),
    "abs": ("fabs({})", "({0} < 0 ? ({1})(0 - ({2}){0}) : {0})"),
    "sign": ("sign_of({})", "sign_of({})"),
    "maximum": ("higher({}, {})", "higher({}, {})"),
    "minimum": ("lower({}, {})", "lower({}, {})"),
    "logaddexp": ("log_of_sum({}, {})", ...),
    "round": ("rint({})", "{}"),
    "floor": ("floor({})", "{}"),
    "ceil": ("ceil({})", "{}"),
    "trunc": ("trunc({})", "{}"),
}
_ONE = """
    acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10 sin sinh sqrt tan tanh
"""
for _name in _ONE.split():
    _FLOAT[_name] = f"{_name}({{}})", ...
for _name in ("atan2", "copysign", "hypot", "nextafter"):
    _FLOAT[_name] = f"{_name}({{}}, {{}})", ...

_TESTS = {
    "equal": "{} == {}", "not_equal": "{} != {}", "less": "{} < {}", "less_equal": "{} <= {}",
    "greater": "{} > {}", "greater_equal": "{} >= {}", "logical_and": "{} && {}",
    "logical_or": "{} || {}", "logical_xor": "!{} != !{}", "logical_not": "!{}",
    "isnan": "{0} != {0}", "isinf": "isinf({})", "isfinite": "isfinite({})",
    "signbit": "signbit({})",
}  # fmt: skip
_BITS = {
    "bitwise_and": "{} & {}", "bitwise_or": "{} | {}", "bitwise_xor": "{} ^ {}",
    "bitwise_invert": "~{}", "bitwise_left_shift": "shifted_left({}, {}, {})",
    "bitwise_right_shift": "shifted_right({}, {}, {})",
}  # fmt: skip


class Formulas(Backend):
    """The backend of symbols: the functions of the standard that a kernel can have.

    All other kernels of `Backend` are formulas over these.

    Args:
        axes: The dimensions that a row has; reductions are over all of them. None: no reductions.
    """

    mutable = False

    def __init__(self, axes: tuple[int, ...] | None = None) -> None:
        super().__init__(standard, "cuda_source")
        self.axes = axes

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if attribute in ("bool", *_TYPES):
            return np.dtype(attribute)
        raise Unfusable(f"{attribute} is not computed within a kernel")

    # --- dtypes -------------------------------------------------------------------------------

    def is_inexact(self, dtype: Any) -> bool:
        return _is_real(np.dtype(dtype))

    def is_complex(self, dtype: Any) -> bool:
        return False

    def finfo(self, dtype: Any) -> Any:
        """Limits of a floating dtype."""
        if np.dtype(dtype).name == "bfloat16":  # 16 bits; nothing else is asked for
            return np.finfo(np.float16)
        return np.finfo(dtype)

    def isdtype(self, dtype: Any, kind: Any) -> bool:
        """As the standard's."""
        real = np.float32 if np.dtype(dtype).name == "bfloat16" else dtype
        return bool(standard.isdtype(np.dtype(real), kind))

    def astype(self, x: Symbol, dtype: Any, copy: bool = True) -> Symbol:
        """``x`` converted; to half precision, rounded to it."""
        dtype = np.dtype(dtype)
        code = f"({_TYPES.get(dtype.name)}){{}}"
        if _is_half(dtype):
            _, back, there, _ = _HALVES[dtype.name]
            code = f"{back}({there}((float){{}}))"
        elif dtype == np.bool_:
            code = "{} != 0"
        return _joined(code, (x,), dtype)

    # --- elementwise --------------------------------------------------------------------------

    def where(self, condition: Any, a: Any, b: Any) -> Symbol:
        """``a`` where the condition holds, else ``b``."""
        dtype = _result("add", (_kind(a), _kind(b)))
        if dtype == np.bool_ or np.bool_ in (_kind(a), _kind(b)):
            dtype = np.result_type(_kind(a), _kind(b))
        return _joined("{} ? {} : {}", (condition, a, b), dtype, (None, dtype, dtype))

    def clip(self, x: Any, min: Any = None, max: Any = None) -> Symbol:
        """``x`` within bounds; NaN stays."""
        if min is not None:
            x = self.maximum(x, min)
        return x if max is None else self.minimum(x, max)

    def erf(self, x: Any) -> Symbol:
        if not _is_real(x.dtype):
            raise Unfusable("erf of integers")
        return _joined("erf({})", (x,), x.dtype, x.dtype)

    def real(self, x: Symbol) -> Symbol:
        """``x``: there are no complex numbers."""
        return x

    conj = real

    def copy(self, x: Symbol) -> Symbol:
        return x

    def full_like(self, x: Symbol, value: Any, dtype: Any = None) -> Symbol:
        """``value`` for each element."""
        dtype = x.dtype if dtype is None else np.dtype(dtype)
        return Symbol("{}", (value,), dtype, x.shape, False, dtype)

    def zeros_like(self, x: Symbol, dtype: Any = None) -> Symbol:
        """0 for each element."""
        return self.full_like(x, 0, dtype)

    def ones_like(self, x: Symbol, dtype: Any = None) -> Symbol:
        """1 for each element."""
        return self.full_like(x, 1, dtype)

    # --- shapes -------------------------------------------------------------------------------

    def device(self, x: Symbol) -> None:
        return None

    def get_item(self, x: Symbol, key: Any) -> Symbol:
        parts = key if isinstance(key, tuple) else (key,)
        shape, rest = [], list(x.shape)
        for part in parts:
            if part is None:
                shape.append(1)
            elif part == slice(None) and isinstance(part, slice):
                shape.append(rest.pop(0))
            elif part is not Ellipsis or part is not parts[-1]:
                raise Unfusable("an index")
        return self._reshaped(x, (*shape, *rest))

    def reshape(self, x: Symbol, shape: Any) -> Symbol:
        """``x`` with other dimensions of length 1; a number for each row may be a vector."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        size = math.prod(x.shape)
        if -1 in shape:
            known = -math.prod(shape)
            shape = tuple(size // known if n == -1 else n for n in shape)
        if x.wide and [n for n in shape if n != 1] != [n for n in x.shape if n != 1]:
            raise Unfusable("another order of elements")
        return self._reshaped(x, shape)

    def expand_dims(self, x: Symbol, axis: int = 0) -> Symbol:
        """``x`` with one more dimension."""
        axis %= x.ndim + 1
        return self._reshaped(x, (*x.shape[:axis], 1, *x.shape[axis:]))

    def broadcast_to(self, x: Symbol, shape: Any) -> Symbol:
        """``x`` repeated."""
        return self._reshaped(x, tuple(shape))

    def _reshaped(self, x: Symbol, shape: tuple[int, ...]) -> Symbol:
        return Symbol("{}", (x,), x.dtype, shape, x.wide, weak=x.weak)

    # --- along a row --------------------------------------------------------------------------

    def _reduce(self, code: str, x: Symbol, axis: Any, keepdims: bool) -> Symbol:
        axes = normalized_axes(axis, x.ndim)
        if self.axes is None or axes != self.axes or not x.shape:
            raise Unfusable(f"a reduction over the axes {axes}")
        shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
        if not keepdims:
            shape = tuple(n for a, n in enumerate(shape) if a not in axes)
        return Reduction(code, (x,), x.dtype, shape, False)

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Symbol:
        """The sum of a row."""
        if dtype is None:
            dtype = x.dtype if _is_real(x.dtype) else standard.sum(np.ones(1, x.dtype)).dtype
        x = x if x.dtype == dtype else self.astype(x, dtype)
        return self._reduce("Sum", x, axis, keepdims)

    def mean(self, x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
        """The mean of a row."""
        total = self.sum(x, axis, keepdims)
        return _joined(f"{{}} / ({_TYPES[total.dtype.name]})n", (total,), total.dtype)

    def max(self, x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
        """The maximum of a row."""
        return self._reduce("Max", x, axis, keepdims)

    def min(self, x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
        """The minimum of a row."""
        return self._reduce("Min", x, axis, keepdims)

    def arange(self, n: int, device: Any = None) -> Symbol:
        """The place along the row, whose length ``n`` is."""
        if self.axes is None:
            raise Unfusable("places along a row")
        return Symbol("(long long)col", (), np.int64, (n,), True)

    def take_along_axis(self, x: Symbol, indices: Symbol, axis: int = -1) -> Symbol:
        """The element of each row that ``indices`` names; 0 where there is none."""
        (axis,) = normalized_axes(axis, x.ndim)
        if indices.wide or axis != x.ndim - 1 or indices.shape[-1] != 1:
            raise Unfusable("more than one element of each row")
        hit = indices == self.arange(x.shape[-1])
        return self.sum(self.where(hit, x, self.zeros_like(x)), axis=axis, keepdims=True)


def _float(name: str, code: str, whole: Any) -> Any:
    def function(self: Formulas, *parts: Any) -> Symbol:
        dtype = _result(name, tuple(map(_kind, parts)))
        if name == "pow" and isinstance(parts[1], Scalar) and parts[1] in (1, 2):
            return self.positive(parts[0]) if parts[1] == 1 else self.square(parts[0])
        if _is_real(dtype):
            return _joined(code, parts, dtype, dtype)
        if whole is ... or dtype == np.bool_:
            raise Unfusable(f"{name} for {dtype}")
        names = _TYPES[dtype.name], _TYPES["u" + dtype.name.lstrip("u")]
        n = len(parts)
        if "{2}" in whole or "{1}" in whole:
            fill = [f"{{{i}}}" for i in range(n)] + list(names)
            return _joined(whole.format(*fill), parts, dtype, dtype)
        return _joined(whole, parts, dtype, dtype)

    return function


def _test(name: str, code: str) -> Any:
    def function(self: Formulas, *parts: Any) -> Symbol:
        kinds = tuple(map(_kind, parts))
        _result(name, kinds)
        common = np.dtype(np.bool_) if name.startswith("logical") else _common(kinds)
        if name in ("isinf", "isfinite", "signbit") and not _is_real(common):
            raise Unfusable(f"{name} of integers")
        return _joined(code, parts, np.bool_, common)

    return function


def _bits(name: str, code: str) -> Any:
    def function(self: Formulas, *parts: Any) -> Symbol:
        dtype = _result(name, tuple(map(_kind, parts)))
        if dtype == np.bool_ and name == "bitwise_invert":
            return _joined("!{}", parts, dtype, dtype)
        if name.endswith("shift"):
            return _joined(code.format("{}", "{}", 8 * dtype.itemsize), parts, dtype, dtype)
        return _joined(f"({_TYPES[dtype.name]})({code})", parts, dtype, dtype)

    return function


def _common(kinds: tuple[Any, ...]) -> Any:
    """The dtype in which numbers are compared."""
    if len(kinds) == 1:
        return kinds[0] if not isinstance(kinds[0], type) else np.dtype(kinds[0])
    if all(k == np.bool_ or k is bool for k in kinds):
        return np.dtype(np.bool_)
    return _result("where", (np.dtype(np.bool_), *kinds))


for _name, (_code, _whole) in _FLOAT.items():
    setattr(Formulas, _name, _float(_name, _code, _whole))
for _name, _code in _TESTS.items():
    setattr(Formulas, _name, _test(_name, _code))
for _name, _code in _BITS.items():
    setattr(Formulas, _name, _bits(_name, _code))

formulas = Formulas()

_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow",
    "floordiv": "floor_divide", "mod": "remainder", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "neg": "negative", "pos": "positive", "abs": "abs",
    "invert": "bitwise_invert",
}  # fmt: skip
for _name, _function in _OPERATORS.items():
    _method = getattr(formulas, _function)
    setattr(Symbol, f"__{_name}__", lambda *x, _f=_method: _f(*x))
    setattr(Symbol, f"__r{_name}__", lambda x, y, _f=_method: _f(y, x))
Symbol.__hash__ = object.__hash__  # type: ignore[method-assign]  # symbols are compared as arrays


# --- from symbols to source -----------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A kernel.

    Attributes:
        name: The name of the function in ``code``.
        code: A whole program. Its parameters are the operands, the results, and the sizes: the
            number of elements, or the number of rows and the length of one.
        results: The dtype of each result, and whether it has a number for each element rather
            than for each row.
        width: How many threads share a row; 0: there are no rows.
    """

    name: str
    code: str
    results: tuple[tuple[Any, bool], ...]
    width: int = 0


class _Writer:
    """C of symbols: what belongs to a row in ``lines``, what belongs to an element where asked."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.of_row: dict[int, str] = {}
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def write(self, x: Any, lines: list[str], known: dict[int, str], rows: bool) -> str:
        """The name of ``x``, computed in ``lines`` or before, with all that it needs."""
        if rows and not x.wide:
            lines, known = self.lines, self.of_row
        if id(x) in known:
            return known[id(x)]
        if isinstance(x, Reduction):
            raise AssertionError("a reduction is computed before it is used")
        if isinstance(x, Load):
            code = f"a{x.number}" if x.weak else f"a{x.number}[{x.at}]"
            if _is_half(x.dtype):
                code = f"{_HALVES[x.dtype.name][1]}({code})"
        else:
            casts = x.cast if isinstance(x.cast, tuple) else (x.cast,) * len(x.parts)
            parts = [
                self._part(p, c, lines, known, rows) for p, c in zip(x.parts, casts, strict=True)
            ]
            code = x.code.format(*parts)
        name = known[id(x)] = self.name()
        lines.append(f"const {_TYPES[x.dtype.name]} {name} = {code};")
        return name

    def _part(self, p: Any, cast: Any, lines: list[str], known: dict[int, str], rows: bool) -> str:
        if not isinstance(p, Symbol):
            return _literal(p, cast if cast is not None else np.result_type(_kind(p)))
        name = self.write(p, lines, known, rows)
        own = _TYPES[p.dtype.name]
        wanted = own if cast is None else _TYPES[np.dtype(cast).name]
        if wanted == own:
            return name
        return f"({name} != 0)" if wanted == "bool" else f"({wanted}){name}"


def _literal(value: Any, dtype: Any) -> str:
    """A Python number in C."""
    kind = _TYPES[np.dtype(dtype).name]
    if kind == "bool":
        return "true" if value else "false"
    if kind not in ("float", "double"):
        value = int(value)
        if value == -(2**63):
            return "(-9223372036854775807LL - 1)"
        return f"({kind}){value}{'ULL' if value > 2**63 - 1 else 'LL'}"
    with np.errstate(over="ignore"):
        number = float(np.float32(value)) if kind == "float" else float(value)
    if not math.isfinite(number):
        sign = "-" if number < 0 else ""
        bits = "0x7fc00000" if math.isnan(number) else "0x7f800000"
        return f"({sign}({kind})__int_as_float({bits}))"
    return f"({number!r}{'f' if kind == 'float' else ''})"


def _ordered(outputs: Sequence[Symbol]) -> list[Symbol]:
    """All symbols that the outputs need, parts first."""
    found: dict[int, Symbol] = {}
    stack: list[tuple[Any, bool]] = [(x, False) for x in reversed(outputs)]
    while stack:
        x, ready = stack.pop()
        if id(x) in found or not isinstance(x, Symbol):
            continue
        if ready:
            found[id(x)] = x
        else:
            stack.append((x, True))
            stack += [(p, False) for p in reversed(x.parts)]
    return list(found.values())


def _headers(dtypes: Sequence[Any]) -> str:
    files = dict.fromkeys(_HALVES[d.name][3] for d in dtypes if _is_half(d))
    return "".join(f"#include <{file}>\n" for file in files)


def _store(number: int, at: str, name: str, dtype: Any) -> str:
    value = f"{_HALVES[dtype.name][2]}({name})" if _is_half(dtype) else name
    return f"y{number}[{at}] = {value};"


def _memory(dtype: Any) -> str:
    return _HALVES[dtype.name][0] if _is_half(dtype) else _TYPES[dtype.name]


def _parameters(loads: Sequence[Load], outputs: Sequence[Symbol], in_place: bool) -> list[str]:
    """Of the function; ``in_place``: a result may lie where an operand does."""
    result = []
    for number, x in enumerate(loads):
        x.number = number
        kind = _memory(x.dtype)
        apart = "" if in_place else " __restrict__"
        result.append(f"const {kind}{'' if x.weak else f'*{apart}'} a{number}")
    for number, y in enumerate(outputs):
        result.append(f"{_memory(y.dtype)}*{'' if in_place else ' __restrict__'} y{number}")
    return result


def _index(large: bool) -> str:
    return f"typedef {'unsigned long long' if large else 'unsigned int'} index_t;\n"


def _joined_lines(lines: Sequence[str], indent: str) -> str:
    return "".join(f"{indent}{line}\n" for line in lines)


def elementwise(
    name: str,
    loads: Sequence[Load],
    outputs: Sequence[Symbol],
    large: bool = False,
    in_place: bool = False,
) -> Source:
    """A kernel with a thread for each element.

    Args:
        name: Its name.
        loads: The operands, in the order of its parameters.
        outputs: What it stores.
        large: Whether places need 64 bits.
        in_place: Whether results may lie where operands do, at the same places.
    """
    parameters = [*_parameters(loads, outputs, in_place), "const index_t n"]
    writer, lines = _Writer(), list[str]()
    known: dict[int, str] = {}
    for x in _ordered(outputs):
        if isinstance(x, Reduction):
            raise Unfusable("a reduction")
        writer.write(x, lines, known, False)
    lines += [_store(k, "i", known[id(x)], x.dtype) for k, x in enumerate(outputs)]
    code = (
        f"{_headers([x.dtype for x in (*loads, *outputs)])}{_index(large)}{_PREAMBLE}"
        f'extern "C" __global__ void {name}({", ".join(parameters)}) {{\n'
        "  const index_t step = (index_t)gridDim.x * blockDim.x;\n"
        "  for (index_t i = (index_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {\n"
        f"{_joined_lines(lines, '    ')}"
        "    if (n - i <= step) break;\n"
        "  }\n}\n"
    )
    return Source(name, code, tuple((x.dtype, True) for x in outputs))


def rows(
    name: str,
    loads: Sequence[Load],
    outputs: Sequence[Symbol],
    width: int,
    large: bool = False,
    place: str = "row * n + col",
    extra: Sequence[str] = (),
) -> Source:
    """A kernel with ``width`` threads for each row.

    Args:
        name: Its name.
        loads: The operands.
        outputs: What it stores: a number for each element where it is wide, else for each row.
        width: 32 for a warp, a multiple of it for a block; 1 where it runs on a host.
        large: Whether places need 64 bits.
        place: Where the element ``col`` of ``row`` lies, ``i`` in the loads.
        extra: Names of further sizes, which ``place`` needs.
    """
    sizes = [f"const index_t {size}" for size in ("rows", "n", *extra)]
    parameters = [*_parameters(loads, outputs, False), *sizes]
    writer = _Writer()
    symbols = _ordered(outputs)
    level: dict[int, int] = {}
    for x in symbols:
        below = max((level[id(p)] for p in x.parts if isinstance(p, Symbol)), default=0)
        level[id(x)] = below + isinstance(x, Reduction)
    loop = "  for (index_t col = threadIdx.x; col < n; col += WIDTH) {{\n{}{}  }}\n"
    where = f"    const index_t i = {place};\n"
    body = ""

    def so_far() -> str:
        lines, writer.lines = writer.lines, []
        return _joined_lines(lines, "  ")

    for k in range(1, 1 + max(level.values(), default=0)):
        lines, known = list[str](), dict[int, str]()
        totals, after = "", ""
        for x in symbols:
            if not isinstance(x, Reduction) or level[id(x)] != k:
                continue
            kind, total = _TYPES[x.dtype.name], writer.name()
            value = writer._part(x.parts[0], x.dtype, lines, known, True)
            totals += f"  {kind} {total} = {_identity(x)};\n"
            lines.append(f"{total} = {x.code}::of({total}, {value});")
            after += f"  {total} = over_row<{x.code}>({total});\n"
            writer.of_row[id(x)] = total
        body += so_far() + totals + loop.format(where, _joined_lines(lines, "    ")) + after
    lines, known, single = [], {}, []
    for number, y in enumerate(outputs):
        value = writer.write(y, lines, known, True)
        if y.wide:
            lines.append(_store(number, "i", value, y.dtype))
        else:
            single.append(_store(number, "row", value, y.dtype))
    body += so_far()
    if single:
        body += f"  if (threadIdx.x == 0) {{\n{_joined_lines(single, '    ')}  }}\n"
    if lines:
        body += loop.format(where, _joined_lines(lines, "    "))
    bounds = max(width, 128)  # of a block: registers must do for so many threads
    code = (
        f"{_headers([x.dtype for x in (*loads, *outputs)])}#define WIDTH {width}\n{_index(large)}"
        f'{_PREAMBLE}{_ROWS}extern "C" __launch_bounds__({bounds}) __global__ void '
        f"{name}({', '.join(parameters)}) {{\n"
        "  const index_t row = (index_t)blockIdx.x * blockDim.y + threadIdx.y;\n"
        f"  if (row >= rows) return;\n{body}}}\n"
    )
    return Source(name, code, tuple((x.dtype, x.wide) for x in outputs), width)


def _identity(x: Reduction) -> str:
    if x.code == "Sum":
        return "0"
    if _is_real(x.dtype):
        return _literal(-math.inf if x.code == "Max" else math.inf, x.dtype)
    if x.dtype == np.bool_:
        raise Unfusable("a maximum of truth values")
    limits = np.iinfo(x.dtype)
    return _literal(limits.min if x.code == "Max" else limits.max, x.dtype)
