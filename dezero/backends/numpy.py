"""NumPy on the CPU: the default backend."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np

from .base import HostBackend, is_basic
from .numpy_neural import NumPyNeural, select

__all__ = ["NumPyBackend"]

# Where NumPy's own function does what the standard says, it is called without compat's wrapper.
_NATIVE = """
    abs acos acosh add all any asin asinh atan atan2 atanh broadcast_to ceil concat conj cos cosh
    divide equal exp expand_dims expm1 eye empty empty_like floor full full_like
    greater greater_equal hypot imag isfinite isinf isnan less less_equal log log10 log1p log2
    logaddexp logical_and logical_not logical_or logical_xor matmul max maximum mean min minimum
    moveaxis multiply negative not_equal ones ones_like outer permute_dims positive pow prod real
    reciprocal remainder roll sign signbit sin sinh sqrt square squeeze stack subtract take tan
    tanh tensordot tile vecdot where zeros zeros_like einsum put_along_axis take_along_axis arange
    asarray copysign count_nonzero cumulative_sum isdtype linspace nextafter nonzero trunc flip
    repeat int64 float32 float64 var std argmax argmin bitwise_and bitwise_invert bitwise_left_shift
    bitwise_or bitwise_right_shift bitwise_xor broadcast_arrays broadcast_shapes can_cast diff
    from_dlpack isin meshgrid result_type round searchsorted tril triu unstack bool int8 int16 int32
    uint8 uint16 uint32 uint64 complex64 complex128
"""


_WRAPPED = (np.ndarray, np.float64, np.float32)  # of rank 0 NumPy gives the last two


class _Compat:
    """array_api_compat.numpy, imported when something is first asked of it.

    That import costs as much as NumPy itself, as it loads what NumPy would load lazily.
    """

    __name__ = "array_api_compat.numpy"

    def __getattr__(self, name: str) -> Any:
        import array_api_compat.numpy as compat

        return getattr(compat, name)


def _references(table: dict[Any, Any], key: Any) -> int:
    return sys.getrefcount(table[key])


def _base_references(x: Any) -> int:
    return sys.getrefcount(x.base)


# What a value counts that its table alone holds: it differs between versions of Python.
_ALONE = _references({0: np.empty(1)}, 0)
_BASE_ALONE = _base_references(np.empty((1, 1)).reshape(1))


class _Numbers(dict[Any, Any]):
    """Python numbers as arrays of rank 0 of one dtype: with them NumPy takes half the time."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)

    def __missing__(self, number: Any) -> Any:
        if not -6e4 < number < 6e4:  # others may not fit; NumPy says so
            return number
        array = np.asarray(number, self.dtype)
        array.flags.writeable = False
        if number:  # 0.0 and -0.0 are one key
            if len(self) > 999:
                self.clear()
            self[number] = array
        return array


class _Lazy:
    """A kernel without ``self`` in a module beside this, imported when it is first used."""

    def __init__(self, module: str) -> None:
        self.module = module

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __get__(self, backend: Any, owner: type | None = None) -> Any:
        function = getattr(import_module(f"{__package__}.{self.module}"), self.name)
        setattr(self.owner, self.name, staticmethod(function))  # found directly from now on
        return function


class NumPyBackend(NumPyNeural, HostBackend):
    """NumPy arrays. Results of rank 0 may be NumPy scalars; ``Variable.data`` makes them arrays."""

    arrays_only = False
    for_complex: NumPyBackend
    repaired = frozenset(("expm1", "tan", "tanh"))  # what `_ComplexNumPyBackend` has of its own

    def __init__(self) -> None:
        super().__init__(_Compat(), "numpy")
        self.numbers = {table.dtype: table for table in map(_Numbers, ("f2", "f4", "f8"))}
        own = NumPyBackend.__dict__.keys() | type(self).__dict__.keys()
        for name in _NATIVE.split():
            if hasattr(np, name) and name not in own:
                setattr(self, name, getattr(np, name))

    def to_numpy(self, x: Any) -> np.ndarray:
        return np.asarray(x)

    def is_complex(self, dtype: Any) -> bool:
        try:
            return dtype.kind == "c"
        except AttributeError:  # np.float32 and the like are classes
            return np.dtype(dtype).kind == "c"

    def is_inexact(self, dtype: Any) -> bool:
        try:
            kind = dtype.kind
        except AttributeError:
            dtype = np.dtype(dtype)
            kind = dtype.kind
        return kind in "fc" or (kind == "V" and dtype.name == "bfloat16")

    def finfo(self, x: Any) -> Any:
        try:
            return np.finfo(x)
        except (TypeError, ValueError):  # an array
            return np.finfo(x.dtype)

    def copy(self, x: Any) -> Any:
        return np.array(x)

    def owned(self, table: dict[Any, Any], key: Any) -> Any:
        alone = _references(table, key) <= _ALONE
        x = table[key]
        if not (alone or isinstance(x, np.generic)) or not x.flags.writeable:
            return np.array(x)
        # Reshaped or turned it is a view, of memory that it may be the only one to hold.
        whole = type(x.base) is np.ndarray and x.base.nbytes == x.nbytes
        whole = whole and x.base.flags.owndata  # not memory of somebody's buffer
        own = x.base is None or (whole and _base_references(x) <= _BASE_ALONE)
        return x if own else np.array(x)

    def holders(self, x: Any) -> tuple[int, ...] | None:
        count = sys.getrefcount(x)  # before `flags`, which refers to the array as well
        own = type(x) is np.ndarray and x.flags.owndata and x.flags.writeable
        return (count,) if own else None

    def add_into(self, a: Any, b: Any) -> Any:
        if isinstance(a, np.ndarray) and a.dtype == b.dtype:
            a += b
            return a
        return a + b

    def astype(self, x: Any, dtype: Any, copy: bool = True) -> Any:
        return x.astype(dtype, copy=copy)

    def reshape(self, x: Any, shape: Any) -> Any:
        return x.reshape(shape)

    def broadcast_to(self, x: Any, shape: Any) -> Any:
        if (
            x.shape == () and x.__class__ in _WRAPPED and shape.__class__ is tuple
        ):  # a sum's gradient
            y = np.ndarray(shape, x.dtype, np.asarray(x), 0, (0,) * len(shape))
            y.flags.writeable = False
            return y
        return np.broadcast_to(x, shape)

    def matrix_transpose(self, x: Any) -> Any:
        return x.swapaxes(-1, -2)

    # NumPy's own differ from the standard's special cases for infinities, zeros and NaN.

    def floor_divide(self, a: Any, b: Any) -> Any:
        with np.errstate(invalid="ignore"):
            y = np.floor_divide(a, b)
            if y.dtype.kind != "f":
                return y
            infinite = np.isinf(a) != np.isinf(b)
            return np.where(infinite, np.divide(a, b), y) if infinite.any() else y

    def careful(self, x: Any) -> NumPyBackend:
        """The backend for a function in ``repaired`` of ``x``."""
        return self.for_complex if x.dtype.kind == "c" else self

    def sum(self, x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        total: Any = np.add.reduce
        return total(x, axis=axis, dtype=dtype, keepdims=keepdims)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return select(condition, a, b)

    def get_item(self, x: Any, key: Any) -> Any:
        return x[key]

    def set_item(self, x: Any, key: Any, value: Any, alone: bool = False) -> Any:
        y = x if alone else np.array(x)
        y[key] = value
        return y

    def last(self, positions: Any, n: int) -> Any:
        last = np.full(n, -1)
        last[positions] = np.arange(len(positions))
        return last

    def shares(self, y: Any, x: Any) -> bool:
        return isinstance(y, np.ndarray) and np.may_share_memory(y, x)

    def scatter_add(self, g: Any, key: Any, shape: tuple[int, ...]) -> Any:
        zeros = np.zeros(shape, g.dtype)
        parts = key if isinstance(key, tuple) else (key,)
        masks_or_basic = all(is_basic(p) or getattr(p, "dtype", None) == np.bool_ for p in parts)
        if masks_or_basic and sum(not is_basic(p) for p in parts) <= 1:
            zeros[key] = g
        elif g.dtype == np.float16:  # sums of many would stay where they are
            return self.scatter_add(g.astype(np.float32), key, shape).astype(g.dtype)
        elif getattr(key, "dtype", np.bool_) != np.bool_ and zeros.ndim > 1:
            self.add_rows(zeros, key, g)
        else:
            np.add.at(zeros, key, g)
        return zeros

    def take_add(self, g: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
        if g.dtype == np.float16:
            return self.take_add(g.astype(np.float32), indices, axis, shape).astype(g.dtype)
        zeros = np.zeros(shape, g.dtype)
        if axis == 0 and len(shape) > 1:
            return self.add_rows(zeros, indices, g)
        np.add.at(zeros, (slice(None),) * axis + (indices,), g)
        return zeros

    def check_labels(self, t: Any, classes: int, what: str = "labels") -> None:
        if t.size and not (t.min() >= 0 and t.max() < classes):
            super().check_labels(t, classes, what)

    def put_along_axis_add(self, g: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
        if g.dtype == np.float16:
            wide = g.astype(np.float32)
            return self.put_along_axis_add(wide, indices, axis, shape).astype(g.dtype)
        n = indices.shape[axis]
        grid = np.ogrid[tuple(slice(m) for m in (*g.shape[:axis], n, *g.shape[axis + 1 :]))]
        key = [np.zeros_like(i) if m == 1 else i for i, m in zip(grid, shape, strict=True)]
        key[axis] = indices
        zeros = np.zeros(shape, g.dtype)
        np.add.at(zeros, tuple(key), g)
        return zeros

    def xdivy(self, a: Any, b: Any) -> Any:
        with np.errstate(invalid="ignore", over="ignore"):
            quotient = a / b
            suspicious = np.isnan(np.add.reduce(quotient, axis=None))  # also of inf - inf
        return super().xdivy(a, b) if suspicious else quotient

    # What is long is loaded with the first call.

    pool_max = _Lazy("numpy_pooling")
    pool_max_spread = _Lazy("numpy_pooling")
    pool_max_pick = _Lazy("numpy_pooling")
    pool_sum = _Lazy("numpy_pooling")
    pool_sum_spread = _Lazy("numpy_pooling")
    unfold_windows = _Lazy("numpy_convolution")
    fold_windows = _Lazy("numpy_convolution")
    convolve = _Lazy("numpy_convolution")
    convolve_input = _Lazy("numpy_convolution")
    convolve_weight = _Lazy("numpy_convolution")
    convolve_gradients = _Lazy("numpy_convolution")

    def normalize(
        self, arrays: Any, axes: tuple[int, ...], eps: float, centered: bool, kept: Any
    ) -> Any:
        from . import numpy_normalization as own

        kind = own.kind(arrays[0], axes, centered)
        if not kind or any(a.dtype != arrays[0].dtype for a in arrays):
            return super().normalize(arrays, axes, eps, centered, kept)
        return own.normalize(arrays, kind, axes, eps, centered, kept)

    def normalize_gradients(
        self,
        g: Any,
        arrays: Any,
        axes: tuple[int, ...],
        eps: float,
        centered: bool,
        kept: Any,
        needed: Any,
    ) -> Any:
        from . import numpy_normalization as own

        kind = own.kind(arrays[0], axes, centered)
        if not kind or any(a.dtype != g.dtype for a in arrays):
            return super().normalize_gradients(g, arrays, axes, eps, centered, kept, needed)
        return own.normalize_gradients(g, arrays, kind, axes, kept, needed)

    def special_function(self, name: str) -> Any:
        try:
            import scipy.special
        except ImportError:
            msg = f"special.{name} of NumPy arrays needs SciPy: pip install scipy"
            raise ImportError(msg) from None
        function = getattr(scipy.special, name, None)
        bare = getattr(function, "__wrapped__", None)  # under SCIPY_ARRAY_API=1 it dispatches
        return bare if isinstance(bare, np.ufunc) else function

    def pad(self, x: Any, widths: Any, value: float = 0.0) -> Any:
        return np.pad(x, widths, constant_values=value)

    def einsum(self, subscripts: str, *arrays: Any) -> Any:
        return np.einsum(subscripts, *arrays, optimize=len(arrays) > 2)


class _ComplexNumPyBackend(NumPyBackend):
    """For complex arrays, where NumPy's own differs from the standard's special cases."""

    def expm1(self, x: Any) -> Any:
        with np.errstate(invalid="ignore"):
            y = np.array(np.expm1(x))
        a, b = np.real(x), np.imag(x)
        far = np.isinf(a) & ~np.isfinite(b)
        y.real = np.where(far, np.where(a > 0.0, np.inf, -1.0), y.real) + 0.0
        y.imag = np.where(far & (a < 0.0), np.copysign(0.0, b), np.where(b == 0.0, b, y.imag))
        return y

    def tanh(self, x: Any) -> Any:
        y = np.array(np.tanh(x))
        a, b = np.real(x), np.imag(x)
        y.imag = np.where(np.isinf(a) & np.isfinite(b), np.copysign(0.0, b), y.imag)
        return y

    def tan(self, x: Any) -> Any:
        y = np.array(np.tan(x))
        a, b = np.real(x), np.imag(x)
        y.real = np.where(np.isinf(b) & np.isfinite(a), np.copysign(0.0, a), y.real)
        return y


NumPyBackend.for_complex = _ComplexNumPyBackend()
