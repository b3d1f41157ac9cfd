"""Operators and methods of Variable, in one table."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import functions as F
from .backends import backend_of, move
from .config import recording
from .core import Leaf, Variable
from .protocols import array_function, array_ufunc, host, refuse
from .views import alone, private, replace, root, wanted

__all__ = ["setup_variable"]


def _reflected(function: Any) -> Any:
    def reflected(self: Variable, other: Any) -> Any:
        return function(other, self)

    return reflected


_BINARY = {
    "add": F.add,
    "sub": F.subtract,
    "mul": F.multiply,
    "truediv": F.divide,
    "floordiv": F.floor_divide,
    "mod": F.remainder,
    "pow": F.pow,
    "matmul": F.matmul,
    "and": F.bitwise_and,
    "or": F.bitwise_or,
    "xor": F.bitwise_xor,
    "lshift": F.bitwise_left_shift,
    "rshift": F.bitwise_right_shift,
}
_COMPARISONS = {
    "eq": F.equal,
    "ne": F.not_equal,
    "lt": F.less,
    "le": F.less_equal,
    "gt": F.greater,
    "ge": F.greater_equal,
}
_UNARY = {"neg": F.negative, "pos": F.positive, "abs": F.abs, "invert": F.bitwise_invert}
_METHODS = {
    "dot": F.matmul,
    "matmul": F.matmul,
    "sum": F.sum,
    "mean": F.mean,
    "var": F.var,
    "std": F.std,
    "prod": F.prod,
    "max": F.max,
    "min": F.min,
    "argmax": F.argmax,
    "argmin": F.argmin,
    "all": F.all,
    "any": F.any,
    "astype": F.astype,
    "squeeze": F.squeeze,
    "conj": F.conj,
}


# --- assignment ---------------------------------------------------------------------------------

_KINDS = ("bool", "unsigned integer", "signed integer", "real floating", "complex floating")


def _in_place(name: str, function: Any) -> Any:
    """The method for ``x += y`` and the like: ``x`` stays the same Variable, with a new value."""

    def method(self: Variable, other: Any) -> Variable:
        leaf = wanted(bottom := root(self)) and bottom._node.__class__ is Leaf
        new = function(self, other)
        if leaf and recording():
            return new
        if new.shape != self.shape:
            msg = f"{name}: the result has shape {new.shape}, but the array {self.shape}"
            raise ValueError(msg)
        if new.dtype != self.dtype:
            new = _same_kind(name, self, new)
        if not leaf:
            _check_recording(name, self, bottom)
        if new._node is None and private(self):
            self._data[...] = new._data
        else:
            replace(self, new)
        return self

    return method


def _same_kind(name: str, x: Variable, new: Variable) -> Variable:
    """``new`` in the dtype of ``x``, where that is of the same kind or of a wider one."""
    xp = backend_of(x._data)
    old, now = (next(k for k in _KINDS if xp.isdtype(v.dtype, k)) for v in (x, new))
    if _KINDS.index(now) > _KINDS.index(old):
        msg = f"{name}: the result has dtype {new.dtype}, which does not fit into {x.dtype}"
        raise TypeError(msg)
    return F.astype(new, x.dtype)


def _check_recording(name: str, x: Variable, bottom: Variable) -> None:
    """Raise where an assignment to ``x``, a view of ``bottom``, would lose a gradient."""
    if x._node is None and wanted(bottom):
        msg = (
            f"{name}: this is a constant view, made under no_grad, of a Variable whose gradient is "
            "wanted. Take a .copy() of it first"
        )
        raise RuntimeError(msg)
    if wanted(x) and not recording():
        msg = (
            f"{name}: a computed Variable would lose its graph, as nothing is recorded here. "
            "Take its .detach(), or assign outside of no_grad"
        )
        raise RuntimeError(msg)


def _set_item(self: Variable, key: Any, value: Any) -> None:
    """``self[key] = value``: a new array and a new node behind the same Variable.

    Views of this Variable, and what it is a view of, follow. Raw arrays and detached copies do not.

    Raises:
        RuntimeError: A gradient of this leaf, or of the leaf that it is a view of, is wanted; or
            a gradient would be lost, as this Variable or a view was made under no_grad.
        ValueError: The shapes do not fit.
        TypeError: The value's gradient would be lost, or its dtype does not fit.
    """
    bottom = root(self)
    if wanted(bottom) and bottom._node.__class__ is Leaf:
        if recording():
            msg = (
                "assignment to a leaf whose gradient is wanted, or to a view of one. "
                "Take a .copy() first, or assign under no_grad to change its data"
            )
            raise RuntimeError(msg)
    else:
        _check_recording("assignment", self, bottom)
    old, value, key = F.indexing._settled(self, key, value)
    recorded = self._node is not None or (isinstance(value, Variable) and value._node is not None)
    if not recorded and private(self):  # such as an array that is filled in a loop
        data = value._data if isinstance(value, Variable) else value
        backend_of(self._data).set_item(self._data, key, data, alone=True)
    else:
        kept = old is self and alone(self)
        replace(self, F.indexing._set_item(old, value, key, alone=kept))


# --- text and places ---------------------------------------------------------------------------


def _text(self: Variable) -> str:
    data = self.data
    if data is None:
        return "None"
    if isinstance(data, np.ndarray) or backend_of(data).name == "dask":
        return str(data)
    return str(backend_of(data).to_numpy(data))


def _repr(self: Variable) -> str:
    return "variable(" + _text(self).replace("\n", "\n" + " " * 9) + ")"


def _str(self: Variable) -> str:
    return _text(self)


def _format(self: Variable, spec: str) -> str:
    data = self.data
    if not spec or data is None:
        return format(_text(self), spec)
    return format(backend_of(data).to_numpy(data)[()], spec)


def _to(self: Variable, target: Any) -> Variable:
    """This Variable in another array library or on another device; gradients flow back.

    Args:
        target: A backend's name (``"torch"``, ``"cupy"``, ``"torch:cuda:0"``), or a device of
            the library that the array belongs to (``"cuda:1"``).

    Returns:
        A new Variable, or this one if it is already there.

    Raises:
        ValueError: There is no such backend or device.
        ImportError: The library is not installed.
        RuntimeError: It is installed, but has no device.

    Example:
        >>> import numpy as np
        >>> Variable(np.ones(2)).to("numpy").shape
        (2,)
    """
    if move(self._data, target) is self._data:
        return self
    return F.Move(target)(self)


def _to_cpu(self: Variable) -> None:
    """Move the data, in place, to NumPy on the host."""
    if self._data is not None:
        self.data = move(self.data, "numpy")


def _to_gpu(self: Variable) -> None:
    """Move the data, in place, to CuPy on the current device.

    Raises:
        ImportError, RuntimeError: There is no CuPy, or no device; the message says which.
    """
    if self._data is not None:
        self.data = move(self.data, "cupy")


# --- shapes -----------------------------------------------------------------------------------


def _reshape(self: Variable, *shape: Any) -> Variable:
    """`functions.reshape`; the shape as one tuple or as several integers."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return F.reshape(self, shape)


def _transpose(self: Variable, *axes: Any) -> Variable:
    """`functions.transpose`; the axes as one tuple or as several integers, none to reverse."""
    if len(axes) == 1 and (isinstance(axes[0], (tuple, list)) or axes[0] is None):
        axes = () if axes[0] is None else tuple(axes[0])
    return F.transpose(self, axes or None)


def _flatten(self: Variable) -> Variable:
    """All elements in one dimension."""
    return F.reshape(self, (-1,))


def _view(self: Variable, dtype: Any) -> Variable:
    """Complex numbers as pairs of real ones along the last axis, or such pairs as complex numbers.

    Unlike NumPy's, this is a copy where the dtype changes; and no other change is possible.
    """
    xp = backend_of(self._data)
    dtype = {float: xp.float64, complex: xp.complex128}.get(dtype, dtype)
    if dtype == self.dtype:
        return F.reshape(self, self.shape)
    if xp.is_complex(self.dtype) and self.ndim and dtype == F.real(self).dtype:
        pairs = F.stack([F.real(self), F.imag(self)], axis=-1)
        return F.reshape(pairs, (*self.shape[:-1], 2 * self.shape[-1]))
    if dtype in (xp.complex64, xp.complex128) and self.ndim and self.shape[-1] % 2 == 0:
        pairs = F.reshape(self, (*self.shape[:-1], self.shape[-1] // 2, 2))
        y = pairs[..., 0] + 1j * pairs[..., 1]
        if y.dtype == dtype:
            return y
    msg = f"view: {self.dtype} of shape {self.shape} as {dtype}; only complex as real, or back"
    raise TypeError(msg)


def _array(self: Variable, dtype: Any = None, copy: Any = None) -> np.ndarray:
    return np.array(host(self, "conversion to a NumPy array"), dtype=dtype, copy=copy)


def _number(kind: type) -> Any:
    def convert(self: Variable) -> Any:
        # int() loses no gradient: that of a step function is 0.
        value = host(self.detach() if kind is int else self, f"{kind.__name__}()")
        if value.size != 1:
            msg = f"{kind.__name__}() needs one element, got shape {value.shape}"
            raise TypeError(msg)
        if kind is not complex and value.dtype.kind == "c":
            msg = f"{kind.__name__}() of a complex number: take .real, or complex()"
            raise TypeError(msg)
        return kind(value.reshape(())[()])

    return convert


def _bool(self: Variable) -> bool:
    if self.size != 1:
        msg = f"the truth of an array of shape {self.shape} is ambiguous, use any() or all()"
        raise ValueError(msg)
    return bool(backend_of(self._data).to_numpy(self.data).reshape(())[()])


def _index(self: Variable) -> int:
    value = host(self, "an index")
    if value.ndim or value.dtype.kind not in "iu":
        msg = f"only an integer of rank 0 is an index, got {value.dtype} of shape {value.shape}"
        raise TypeError(msg)
    return int(value)


def _item(self: Variable) -> Any:
    """The only element as a Python number, without its gradient."""
    return backend_of(self._data).to_numpy(self.data).item()


def _dlpack(
    self: Variable,
    *,
    stream: Any = None,
    max_version: Any = None,
    dl_device: Any = None,
    copy: bool | None = None,
) -> Any:
    """The array as a DLPack capsule, unless that would lose a gradient without a word."""
    refuse(self, "__dlpack__")
    options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
    given = {name: value for name, value in options.items() if value is not None}
    return self.data.__dlpack__(**given)


def _dlpack_device(self: Variable) -> Any:
    """The device as DLPack names it."""
    return self.data.__dlpack_device__()


def _to_device(self: Variable, device: Any, /, *, stream: Any = None) -> Variable:
    """This Variable on another device of its array library; gradients flow back.

    Raises:
        ValueError: There is no such device, or a stream was given, which no library here takes.
    """
    if stream is not None:
        msg = "to_device: streams are not supported"
        raise ValueError(msg)
    xp = backend_of(self._data)
    if xp.device(self._data) == device:
        return self
    if device not in xp.devices() and str(device) not in map(str, xp.devices()):
        msg = f"to_device: {xp.name} has no device {device!r}, only {xp.devices()}"
        raise ValueError(msg)
    return _to(self, device)


def _len(self: Variable) -> int:
    if not self.shape:
        msg = "len() of a Variable of rank 0"
        raise TypeError(msg)
    return self.shape[0]


def _iterate(self: Variable) -> Any:
    if not self.shape:
        msg = "iteration over a Variable of rank 0"
        raise TypeError(msg)
    return _elements(self)


def _elements(self: Variable) -> Any:
    if self._node is None:
        for i in range(self.shape[0]):
            yield self[i]
    else:  # one node for all; at the first element, as `np.iterable(x)` asks for none
        yield from F.unstack(self, 0)


def _namespace(self: Variable, *, api_version: str | None = None) -> Any:
    """The differentiable namespace over this Variable's array library."""
    from .namespace import namespace  # not needed to import dezero

    return namespace(self, api_version)


def setup_variable() -> None:
    """Attach the operators and methods to Variable. Importing dezero does it."""
    for name, function in _BINARY.items():
        setattr(Variable, f"__{name}__", function)
        commutes = name in ("add", "mul")
        setattr(Variable, f"__r{name}__", function if commutes else _reflected(function))
        setattr(Variable, f"__i{name}__", _in_place(f"__i{name}__", function))
    for name, function in _COMPARISONS.items():
        setattr(Variable, f"__{name}__", function)
    for name, function in _UNARY.items():
        setattr(Variable, f"__{name}__", function)
    for name, function in _METHODS.items():
        setattr(Variable, name, function)
    for name, kind in {"float": float, "int": int, "complex": complex}.items():
        setattr(Variable, f"__{name}__", _number(kind))
    attributes = {
        "__repr__": _repr,
        "__str__": _str,
        "__format__": _format,
        "to": _to,
        "to_cpu": _to_cpu,
        "to_gpu": _to_gpu,
        "__getitem__": F.get_item,
        "__setitem__": _set_item,
        "__dlpack__": _dlpack,
        "__dlpack_device__": _dlpack_device,
        "to_device": _to_device,
        "copy": F.copy,
        "__len__": _len,
        "__iter__": _iterate,
        "__bool__": _bool,
        "__index__": _index,
        "__array__": _array,
        "__array_function__": array_function,
        "__array_ufunc__": array_ufunc,
        "__array_namespace__": _namespace,
        "item": _item,
        "reshape": _reshape,
        "transpose": _transpose,
        "view": _view,
        "flatten": _flatten,
        "ravel": _flatten,
        "take": F.take,
        "clip": F.clip,
        "T": property(F.transpose, doc="The dimensions reversed."),
        "mT": property(F.matrix_transpose, doc="The last two dimensions exchanged."),
        "real": property(F.real, doc="The real part."),
        "imag": property(F.imag, doc="The imaginary part."),
    }
    for name, attribute in attributes.items():
        setattr(Variable, name, attribute)


setup_variable()
