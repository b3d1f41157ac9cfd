"""The Python Array API standard over Variables: one namespace for each array library.

Functions of arrays are those of ``dezero.functions``. What is made here makes arrays of the
namespace's library (constants), or speaks of dtypes and devices.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable, Iterator
from typing import Any, cast

from . import functions
from .backends import Backend, backend_of, numpy_backend
from .core import Variable, _handle, _raw
from .dispatch import EXTENSIONS
from .functions.elementwise import astype
from .functions.elementwise import copy as copied
from .functions.manipulation import broadcast_to, stack

__all__ = ["Extension", "FloatInfo", "Info", "Namespace", "adopt", "namespace"]
__all__ += ["arange", "asarray", "can_cast", "empty", "eye", "fftfreq", "finfo", "from_dlpack"]
__all__ += ["full", "iinfo", "isdtype", "linspace", "ones", "result_type", "rfftfreq", "zeros"]

VERSION = "2025.12"
_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", VERSION)
_CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")
_DTYPES = """
    bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128
"""


# --- arrays from numbers ------------------------------------------------------------------------


def arange(
    xp: Backend,
    start: Any,
    /,
    stop: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
) -> Variable:
    """Numbers from ``start`` up to but not including ``stop``, ``step`` apart.

    A constant, unless ``start`` or ``step`` is a Variable whose gradient is wanted.
    """
    start, stop, step = (_number("arange", x) for x in (start, stop, step))
    if _wanted(start, stop, step):
        first, last = (0, start) if stop is None else (start, stop)
        count = xp.arange(*map(_value, (first, last, step)), device=xp.place(device)).shape[0]
        steps = _steps(xp, count, dtype, device, first, last, step)
        return astype(first + step * steps, steps.dtype, copy=False)
    return _handle(xp.arange(start, stop, step, dtype=dtype, device=xp.place(device)), None)


def _number(name: str, x: Any) -> Any:
    """A Variable of rank 0 as a Python number, unless its gradient is wanted."""
    if not isinstance(x, Variable):
        return x
    if x.ndim:
        msg = f"{name}: expected a number or an array of rank 0, got shape {x.shape}"
        raise ValueError(msg)
    return x if _wanted(x) else x.item()


def _wanted(*numbers: Any) -> bool:
    """Whether a gradient is to flow back to one of these."""
    return any(
        isinstance(x, Variable) and x.requires_grad and backend_of(x._data).is_inexact(x.dtype)
        for x in numbers
    )


def _value(x: Any) -> Any:
    return x.item() if isinstance(x, Variable) else x


def _steps(xp: Backend, count: int, dtype: Any, device: Any, *numbers: Any) -> Any:
    """0, 1, ... ``count - 1`` in ``dtype``, by default that of those numbers that are Variables."""
    if dtype is None:
        dtype = xp.result_type(*(x._data for x in numbers if isinstance(x, Variable)))
    return xp.astype(xp.arange(count, device=xp.place(device)), dtype)


def asarray(
    xp: Backend,
    obj: Any,
    /,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
) -> Variable:
    """``obj`` as a Variable.

    Args:
        xp: The backend.
        obj: A Variable (gradients flow back to it), an array, a number, or nested sequences of
            these.
        dtype: The dtype of the result, by default that of ``obj``.
        device: A device of the library.
        copy: True: the result shares no memory with ``obj``. False: it must share it. None: as
            needed.

    Returns:
        ``obj`` itself if it is a Variable and nothing is to be done; a constant if no Variable
        with a gradient is in it.

    Raises:
        TypeError: ``obj`` holds something else than numbers and booleans.
        ValueError: ``copy=False`` cannot be kept.

    Example:
        >>> import numpy as np
        >>> from dezero import Variable, xp
        >>> x = Variable(np.array(2.0))
        >>> y = xp.asarray([x, 3.0 * x])
        >>> y.sum().backward()
        >>> x.grad
        variable(4.0)
    """
    if isinstance(obj, Variable):
        result = obj if backend_of(obj._data) is xp else obj.to(xp.name)
        if device is not None and result.device != device:
            result = result.to(device)
        if dtype is not None and obj.dtype != dtype:
            result = astype(result, dtype)
        if copy is False and result is not obj:
            msg = "asarray: copy=False, but another dtype or device needs a copy"
            raise ValueError(msg)
        return copied(obj) if copy and result is obj else result
    if isinstance(obj, (list, tuple)) and next(_variables(obj), None) is not None:
        if copy is False:
            msg = "asarray: copy=False, but a sequence of arrays needs a copy"
            raise ValueError(msg)
        if device is None:
            device = next(_variables(obj)).device
        parts = [asarray(xp, part, device=device) for part in obj]
        common = dtype or xp.result_type(*(part._data for part in parts))
        return stack([asarray(xp, part, dtype=common) for part in parts])
    made = xp.asarray(obj, dtype=dtype, device=xp.place(device), copy=copy)
    if getattr(made.dtype, "kind", "f") in "OUSMmT":
        msg = f"asarray: arrays of dtype {made.dtype} are not supported, expected numbers"
        raise TypeError(msg)
    return Variable(made, requires_grad=False)


def _variables(obj: Any) -> Iterator[Variable]:
    """The Variables in nested sequences."""
    if isinstance(obj, (list, tuple)):
        for part in obj:
            yield from _variables(part)
    elif isinstance(obj, Variable):
        yield obj


def empty(xp: Backend, shape: Any, *, dtype: Any = None, device: Any = None) -> Variable:
    """An array of ``shape`` with arbitrary values. A constant."""
    return _handle(xp.empty(shape, dtype=dtype, device=xp.place(device)), None)


def eye(
    xp: Backend,
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: Any = None,
    device: Any = None,
) -> Variable:
    """A matrix with ones on its ``k``-th diagonal, else zeros. A constant."""
    return _handle(xp.eye(n_rows, n_cols, k=k, dtype=dtype, device=xp.place(device)), None)


def from_dlpack(
    xp: Backend, x: Any, /, *, device: Any = None, copy: bool | None = None
) -> Variable:
    """The array of another library, by the DLPack protocol. A constant.

    A Variable is taken as by `asarray`: its gradient is not lost.

    Raises:
        TypeError: ``x`` does not follow the protocol.
    """
    if isinstance(x, Variable):
        return asarray(xp, x, device=device, copy=copy)
    if not hasattr(x, "__dlpack__"):
        msg = f"from_dlpack: {type(x)} has no method __dlpack__"
        raise TypeError(msg)
    options = {"device": device, "copy": copy}
    given = {name: value for name, value in options.items() if value is not None}
    return _handle(xp.from_dlpack(x, **given), None)


def full(
    xp: Backend, shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None
) -> Variable:
    """An array of ``shape`` full of one number. A constant, unless that is a recorded Variable."""
    value = _number("full", fill_value)
    if _wanted(value):
        return copied(broadcast_to(asarray(xp, value, dtype=dtype, device=device), shape))
    return _handle(xp.full(shape, value, dtype=dtype, device=xp.place(device)), None)


def linspace(
    xp: Backend,
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Variable:
    """``num`` numbers at equal distances from ``start`` to ``stop``.

    A constant, unless ``start`` or ``stop`` is a Variable whose gradient is wanted.
    """
    start, stop = _number("linspace", start), _number("linspace", stop)
    if _wanted(start, stop):
        steps = _steps(xp, num, dtype, device, start, stop) / max(num - endpoint, 1)
        return astype(start * (1.0 - steps) + stop * steps, steps.dtype, copy=False)
    y = xp.linspace(start, stop, num, dtype=dtype, device=xp.place(device), endpoint=endpoint)
    return _handle(y, None)


def ones(xp: Backend, shape: Any, *, dtype: Any = None, device: Any = None) -> Variable:
    """An array of ones. A constant."""
    return _handle(xp.ones(shape, dtype=dtype, device=xp.place(device)), None)


def zeros(xp: Backend, shape: Any, *, dtype: Any = None, device: Any = None) -> Variable:
    """An array of zeros. A constant."""
    return _handle(xp.zeros(shape, dtype=dtype, device=xp.place(device)), None)


# --- dtypes -------------------------------------------------------------------------------------


def can_cast(xp: Backend, from_: Any, to: Any, /) -> bool:
    """Whether values of ``from_``, a dtype or an array, may become ``to`` by type promotion."""
    return xp.can_cast(_raw(from_), to)


class FloatInfo:
    """The limits of a floating dtype, as Python's numbers: what `finfo` gives.

    Attributes that the standard does not name are those of the library's own object.
    """

    def __init__(self, info: Any) -> None:
        self._info = info
        self.bits, self.dtype = int(info.bits), info.dtype
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.smallest_normal = float(info.smallest_normal)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._info, name)

    def __repr__(self) -> str:
        return repr(self._info)


def finfo(xp: Backend, type: Any, /) -> FloatInfo:
    """The limits of a floating dtype, or of that of an array."""
    return FloatInfo(xp.finfo(type.dtype if isinstance(type, Variable) else type))


def iinfo(xp: Backend, type: Any, /) -> Any:
    """The limits of an integer dtype, or of that of an array."""
    return xp.iinfo(type.dtype if isinstance(type, Variable) else type)


def isdtype(xp: Backend, dtype: Any, kind: Any) -> bool:
    """Whether ``dtype`` is of a ``kind``: a dtype, a word such as ``"integral"``, or a tuple."""
    return xp.isdtype(dtype, kind)


def result_type(xp: Backend, *arrays_and_dtypes: Any) -> Any:
    """The dtype that operands of these dtypes and arrays are promoted to."""
    return xp.result_type(*map(_raw, arrays_and_dtypes))


# --- frequencies --------------------------------------------------------------------------------


def fftfreq(
    xp: Backend, n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None
) -> Variable:
    """The frequencies of `fft.fft` of ``n`` samples ``d`` apart, in cycles a unit. A constant."""
    return _handle(_frequencies(xp, "fftfreq", n, d, dtype, device), None)


def rfftfreq(
    xp: Backend, n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None
) -> Variable:
    """The frequencies of `fft.rfft` of ``n`` samples ``d`` apart. A constant."""
    return _handle(_frequencies(xp, "rfftfreq", n, d, dtype, device), None)


def _frequencies(xp: Backend, name: str, n: int, d: float, dtype: Any, device: Any) -> Any:
    y = getattr(xp.fft, name)(n, d=d, device=xp.place(device))
    return y if dtype is None else xp.astype(y, dtype)


# --- namespaces ---------------------------------------------------------------------------------

_OWN: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (arange, asarray, empty, eye, from_dlpack, full, linspace, ones, zeros)
}
_OWN |= {f.__name__: f for f in (can_cast, finfo, iinfo, isdtype, result_type)}
_OWN |= {"fft." + f.__name__: f for f in (fftfreq, rfftfreq)}

_HALVES = ("float16", "bfloat16")  # not in the standard: there if the library has them
_STANDARD = """
    abs acos acosh add all any argmax argmin argsort asin asinh astype atan atan2 atanh bitwise_and
    bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor broadcast_arrays
    broadcast_shapes broadcast_to ceil clip concat conj copysign cos cosh count_nonzero
    cumulative_prod cumulative_sum diff divide empty_like equal exp expand_dims expm1 flip floor
    floor_divide full_like greater greater_equal hypot imag isfinite isin isinf isnan less
    less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor matmul
    matrix_transpose max maximum mean meshgrid min minimum moveaxis multiply negative nextafter
    nonzero not_equal ones_like permute_dims positive pow prod real reciprocal remainder repeat
    reshape roll round searchsorted sign signbit sin sinh sort sqrt square squeeze stack std
    subtract sum take take_along_axis tan tanh tensordot tile tril triu trunc unique_all
    unique_counts unique_inverse unique_values unstack var vecdot where zeros_like
"""
# The last three are not in the standard, but in every library.
_FUNCTIONS = frozenset((*_STANDARD.split(), "diag", "einsum", "pad"))


class Info:
    """What ``__array_namespace_info__()`` gives: dtypes, devices and capabilities of a library."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._info = backend.namespace.__array_namespace_info__()

    def capabilities(self) -> dict[str, Any]:
        """Whether masks select, shapes may depend on values, and the most dimensions there are."""
        return dict(self._info.capabilities())

    def default_device(self) -> Any:
        """The device that arrays are made on if none is named."""
        return self._info.default_device()

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The dtypes that numbers become if none is named."""
        return dict(self._info.default_dtypes(device=device))

    def devices(self) -> tuple[Any, ...]:
        """The devices that arrays can live on."""
        return tuple(self._backend.devices())

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """The dtypes by name, all or those of a ``kind``."""
        return dict(self._info.dtypes(device=device, kind=kind))


class Extension(types.ModuleType):
    """A namespace within a `Namespace`: ``linalg``, ``fft`` or ``special``."""

    def __init__(self, outer: Namespace, name: str) -> None:
        super().__init__(f"{outer.__name__}.{name}", f"The namespace ``{name}`` over Variables.")
        self._backend, self._prefix = outer._backend, name + "."
        self._chapter = getattr(functions, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        full = self._prefix + name
        if full in _OWN:
            value: Any = types.MethodType(_OWN[full], self._backend)
        elif name in self._chapter.__all__:
            value = getattr(self._chapter, name)
        else:
            msg = f"{self.__name__} has no function {name!r}"
            raise AttributeError(msg)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        own = [name.removeprefix(self._prefix) for name in _OWN if name.startswith(self._prefix)]
        return sorted([*own, *self._chapter.__all__])


class Namespace(types.ModuleType):
    """The standard's functions, dtypes and constants over Variables of one array library.

    It looks like a module, and is one object for each library: ``x.__array_namespace__()``.

    Example:
        >>> import numpy as np
        >>> from dezero import Variable
        >>> x = Variable(np.array([3.0, 4.0]))
        >>> xp = x.__array_namespace__()
        >>> y = xp.linalg.vector_norm(x)
        >>> y.backward()
        >>> y, x.grad
        (variable(5.0), variable([0.6 0.8]))
    """

    _backend: Backend
    __array_api_version__ = VERSION

    def __init__(self, backend: Backend) -> None:
        super().__init__(f"dezero.xp.{backend.name}")
        self._backend = backend
        self.__doc__ = f"The Python Array API standard over Variables of {backend.name}."

    def __getattr__(self, name: str) -> Any:
        value: Any
        if name in _OWN:
            value = types.MethodType(_OWN[name], self._backend)
        elif name in _FUNCTIONS:
            value = getattr(functions, name)
        elif name in EXTENSIONS:
            value = Extension(self, name)
        elif name in (*_DTYPES.split(), *_CONSTANTS, *self._halves()):
            value = getattr(self._backend.namespace, name)
        else:
            msg = f"{self.__name__} has no {name!r}: it is not in the Array API standard {VERSION}"
            raise AttributeError(msg)
        setattr(self, name, value)
        return value

    def _halves(self) -> list[str]:
        return [name for name in _HALVES if hasattr(self._backend.namespace, name)]

    def __dir__(self) -> list[str]:
        own = [name for name in _OWN if "." not in name]
        return sorted([*own, *_FUNCTIONS, *EXTENSIONS, *_DTYPES.split(), *_CONSTANTS])

    def __array_namespace_info__(self) -> Info:
        """What the library offers: see `Info`."""
        return Info(self._backend)


_made: dict[Backend, Namespace] = {}


def adopt(module: types.ModuleType, backend: Backend) -> None:
    """Turn a module into the namespace over ``backend``: its name is a place to import from."""
    module.__class__ = Namespace
    own = cast(Namespace, module)
    own._backend = backend
    _made[backend] = own


def namespace(x: Any, api_version: str | None = None) -> Namespace:
    """The namespace over the library of a Variable, an array or a backend.

    Raises:
        ValueError: There is no such version of the standard.

    Example:
        >>> import numpy as np
        >>> from dezero import xp
        >>> namespace(np.ones(2)) is xp
        True
    """
    if api_version is not None and api_version not in _VERSIONS:
        msg = f"version {api_version!r} of the standard, expected one of {', '.join(_VERSIONS)}"
        raise ValueError(msg)
    backend = x if isinstance(x, Backend) else backend_of(_raw(x))
    if backend is numpy_backend and backend not in _made:
        importlib.import_module("dezero.xp")
    if backend not in _made:
        _made[backend] = Namespace(backend)
    return _made[backend]
