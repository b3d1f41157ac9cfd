"""NumPy's functions called with Variables: ``np.sin(v)``, ``np.mean(v)``, ``np.linalg.inv(v)``.

NumPy hands such calls over, by its protocols ``__array_ufunc__`` and ``__array_function__``. The
functions below become those of ``dezero.functions``; others take the values of constants, and
refuse to lose a gradient.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import functions as F
from .backends import backend_of
from .core import Variable, as_variable
from .dispatch import ops
from .views import wanted

__all__ = ["UFUNCS", "array_function", "array_ufunc", "host", "refuse"]


def host(self: Variable, what: str) -> np.ndarray:
    """The values on the host, unless that would lose a gradient without a word."""
    refuse(self, what)
    return backend_of(self._data).to_numpy(self.data)


def refuse(self: Variable, what: str) -> None:
    """Raise where ``what`` would lose a gradient."""
    if self._data is None:
        msg = f"{what}: the Variable holds no array"
        raise TypeError(msg)
    if wanted(self):
        msg = (
            f"{what} would lose the gradient of a Variable with requires_grad=True. "
            "Take .data, or .detach() first"
        )
        raise TypeError(msg)


# --- NumPy's functions ------------------------------------------------------------------------

UFUNCS = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "conjugate": "conj",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "power": "pow",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
    "true_divide": "divide",
}
"""NumPy's names of ufuncs that have another one in the standard."""


def array_ufunc(self: Variable, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """``np.sin(v)``, ``array * v`` and ``scipy.special.erf(v)`` are this package's functions."""
    name = ufunc.__name__
    function = ops.get(UFUNCS.get(name, name)) or getattr(F.special, name, None)
    out = kwargs.pop("out", (None,))[0]
    if isinstance(out, Variable) and method == "__call__" and function is not None and not kwargs:
        _write(name, out, function(*inputs))
        return out
    if out is not None or method != "__call__" or kwargs or function is None:
        how = name if method == "__call__" else f"{name}.{method}"
        msg = f"np.{how} of a Variable is not differentiable here; use dezero.functions, or .data"
        raise TypeError(msg)
    return function(*inputs)


def _write(name: str, out: Variable, result: Any) -> None:
    """``out[...] = result``, if the kind of dtype fits: NumPy refuses the others here."""
    kinds = ("bool", "integral", "real floating", "complex floating")
    xp = backend_of(out._data)
    there, new = (
        next(i for i, k in enumerate(kinds) if xp.isdtype(x.dtype, k)) for x in (out, result)
    )
    if new > there:
        msg = f"np.{name}: the result has dtype {result.dtype}, which does not fit into {out.dtype}"
        raise TypeError(msg)
    out[...] = result


# --- NumPy's parameters as ours -----------------------------------------------------------------


def _dot(a: Any, b: Any) -> Any:
    a, b = map(as_variable, (a, b))
    if not a.ndim or not b.ndim:
        return a * b
    return F.matmul(a, b) if b.ndim < 3 else F.tensordot(a, b, axes=((-1,), (-2,)))


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = as_variable(x)
    if not backend_of(x._data).is_inexact(x.dtype):
        x = F.astype(x, backend_of(x._data).float64)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if axis is None and ord is not None:
        axes = tuple(range(x.ndim))
    if len(axes) == 1 and not isinstance(ord, str):
        ord = 2 if ord is None else ord
        return F.linalg.vector_norm(x, axis=axes[0], keepdims=keepdims, ord=ord)
    if len(axes) != 2:
        msg = f"np.linalg.norm: no norm of order {ord!r} over {len(axes)} dimensions"
        raise ValueError(msg)
    y = F.moveaxis(x, axes, (-2, -1))
    y = F.linalg.matrix_norm(y, keepdims=keepdims, ord="fro" if ord is None else ord)
    return F.moveaxis(y, (-2, -1), axes) if keepdims else y


def _clip(x: Any, **bounds: Any) -> Any:
    """``clip``; bounds of another dtype count for that of the result, unlike the standard's."""
    x, xp = as_variable(x), backend_of(as_variable(x)._data)
    dtype = x.dtype
    for bound in bounds.values():
        if hasattr(bound, "dtype"):
            dtype = xp.result_type(dtype, bound.dtype)
        elif isinstance(bound, float) and not xp.is_inexact(dtype):
            dtype = xp.float64
    return F.clip(F.astype(x, dtype, copy=False), **bounds)


def _cross(a: Any, b: Any, axis: Any = None) -> Any:
    return F.linalg.cross(a, b, axis=-1 if axis is None else axis)


def _diagonals(name: str) -> Callable[..., Any]:
    """``diagonal`` and ``trace``, which in NumPy take the first two dimensions."""

    def call(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, **parameters: Any) -> Any:
        x = F.moveaxis(x, (axis1, axis2), (-2, -1))
        return getattr(F.linalg, name)(x, offset=offset, **parameters)

    return call


def _einsum(subscripts: Any, *operands: Any, optimize: Any = True, out: Any = None) -> Any:
    if not isinstance(subscripts, str):
        msg = "the subscripts come first, as a string"
        raise TypeError(msg)
    if out is not None:
        msg = "argument 'out' is not supported"
        raise TypeError(msg)
    return F.einsum(subscripts, *operands)


def _pinv(x: Any, rcond: Any = None, rtol: Any = 1e-15) -> Any:
    return F.linalg.pinv(x, rtol=rtol if rcond is None else rcond)


def _take(x: Any, indices: Any, axis: Any = None) -> Any:
    """``take`` with indices of any shape; of the flat array unless an axis is told."""
    x = F.reshape(as_variable(x), (-1,)) if axis is None else as_variable(x)
    axis = 0 if axis is None else axis
    xp = backend_of(x._data)
    indices = indices._data if isinstance(indices, Variable) else indices
    indices = xp.asarray(indices, device=xp.device(x._data))
    if xp.isdtype(indices.dtype, "bool"):
        indices = xp.astype(indices, xp.int64)
    y = F.take(x, xp.reshape(indices, (-1,)), axis=axis)
    axis %= x.ndim
    return F.reshape(y, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _take_along_axis(x: Any, indices: Any, axis: Any = -1) -> Any:
    return F.take_along_axis(*((x, indices, axis) if axis is not None else (_line(x), indices, 0)))


def _line(x: Any) -> Any:
    return F.reshape(as_variable(x), (-1,))


def _flat(function: Any, default: int | None = None) -> Callable[..., Any]:
    """A function along one axis, which in NumPy takes the flat array if that is None."""

    def call(x: Any, axis: Any = default, **parameters: Any) -> Any:
        flat = _line(x) if axis is None else x
        return function(flat, axis=0 if axis is None else axis, **parameters)

    return call


def _stacked(axis: int, least: int) -> Callable[..., Any]:
    """``vstack`` and ``hstack``."""

    def call(arrays: Any) -> Any:
        parts = [as_variable(a) for a in arrays]
        parts = [F.reshape(a, (1,) * (least - a.ndim) + a.shape) for a in parts]
        return F.concat(parts, axis=0 if parts[0].ndim == 1 else axis)

    return call


def _where(condition: Any, *values: Any) -> Any:
    return F.where(condition, *values) if values else F.nonzero(condition)


def _at_least(ndim: int) -> Callable[..., Any]:
    """``atleast_1d`` and ``atleast_2d``."""

    def call(*arrays: Any) -> Any:
        parts = [as_variable(a) for a in arrays]
        parts = [F.reshape(a, (1,) * (ndim - a.ndim) + a.shape) for a in parts]
        return parts[0] if len(parts) == 1 else tuple(parts)

    return call


def _rounded(x: Any, decimals: int = 0) -> Any:
    xp = backend_of(x._data)
    if decimals == 0 or (decimals > 0 and xp.isdtype(x.dtype, "integral")):
        return F.round(x)
    if xp.isdtype(x.dtype, "bool"):
        msg = "np.round of a Variable: truth values have no decimals"
        raise TypeError(msg)
    scale = 10.0 ** abs(decimals)
    y = F.round(x * scale) / scale if decimals > 0 else F.round(x / scale) * scale
    return y if xp.is_inexact(x.dtype) else F.astype(y, x.dtype)


# NumPy's function: ours (by name where its module is loaded late), and NumPy's parameters in their
# order, each with our name for it if that is another. ``-`` is one that only its default is taken
# of; ``*`` takes all that is left.
_TABLE: dict[str, tuple[Callable[..., Any] | str, str]] = {
    "all": (F.all, "a:x axis out:- keepdims"),
    "any": (F.any, "a:x axis out:- keepdims"),
    "argmax": (F.argmax, "a:x axis out:- keepdims"),
    "argmin": (F.argmin, "a:x axis out:- keepdims"),
    "argsort": (_flat(F.argsort, -1), "a:x axis kind:- order:- stable"),
    "around": (_rounded, "a:x decimals out:-"),
    "atleast_1d": (_at_least(1), "*"),
    "atleast_2d": (_at_least(2), "*"),
    "broadcast_arrays": (F.broadcast_arrays, "*"),
    "broadcast_to": (F.broadcast_to, "array:x shape subok:-"),
    "clip": (_clip, "a:x a_min:min a_max:max out:- min max"),
    "concatenate": (F.concat, "arrays axis out:-"),
    "copy": (F.copy, "a:x order:- subok:-"),
    "count_nonzero": (F.count_nonzero, "a:x axis keepdims"),
    "cross": (_cross, "a b axisa:- axisb:- axisc:- axis"),
    "cumprod": (_flat(F.cumulative_prod), "a:x axis dtype out:-"),
    "cumsum": (_flat(F.cumulative_sum), "a:x axis dtype out:-"),
    "diag": (F.diag, "v:x k"),
    "diagonal": (_diagonals("diagonal"), "a:x offset axis1 axis2"),
    "diff": (F.diff, "a:x n axis prepend append"),
    "dot": (_dot, "a b out:-"),
    "einsum": (_einsum, "*"),
    "expand_dims": (F.expand_dims, "a:x axis"),
    "flip": (F.flip, "m:x axis"),
    "full_like": (F.full_like, "a:x fill_value dtype order:- subok:- shape:- device"),
    "hstack": (_stacked(1, 1), "arrays"),
    "imag": (F.imag, "val:x"),
    "max": (F.max, "a:x axis out:- keepdims initial:- where:-"),
    "mean": (F.mean, "a:x axis dtype:- out:- keepdims where:-"),
    "meshgrid": (F.meshgrid, "*"),
    "min": (F.min, "a:x axis out:- keepdims initial:- where:-"),
    "moveaxis": (F.moveaxis, "a:x source destination"),
    "ones_like": (F.ones_like, "a:x dtype order:- subok:- shape:- device"),
    "outer": (lambda a, b: F.outer(_line(a), _line(b)), "a b out:-"),
    "prod": (F.prod, "a:x axis dtype out:- keepdims initial:- where:-"),
    "ravel": (lambda x: F.reshape(x, (-1,)), "a:x order:-"),
    "real": (F.real, "val:x"),
    "repeat": (F.repeat, "a:x repeats axis"),
    "reshape": (F.reshape, "a:x shape order:- copy"),
    "roll": (F.roll, "a:x shift axis"),
    "round": (_rounded, "a:x decimals out:-"),
    "searchsorted": (F.searchsorted, "a:x1 v:x2 side sorter"),
    "sort": (_flat(F.sort, -1), "a:x axis kind:- order:- stable"),
    "split": (F.split, "ary:x indices_or_sections:sections axis"),
    "squeeze": (F.squeeze, "a:x axis"),
    "stack": (F.stack, "arrays axis out:-"),
    "std": (F.std, "a:x axis dtype:- out:- ddof:correction keepdims where:- mean:- correction"),
    "sum": (F.sum, "a:x axis dtype out:- keepdims initial:- where:-"),
    "take": (_take, "a:x indices axis out:- mode:-"),
    "take_along_axis": (_take_along_axis, "arr:x indices axis"),
    "tensordot": (F.tensordot, "a b axes"),
    "tile": (F.tile, "A:x reps:repetitions"),
    "trace": (_diagonals("trace"), "a:x offset axis1 axis2 dtype out:-"),
    "transpose": (F.transpose, "a:x axes"),
    "tril": (F.tril, "m:x k"),
    "triu": (F.triu, "m:x k"),
    "var": (F.var, "a:x axis dtype:- out:- ddof:correction keepdims where:- mean:- correction"),
    "vstack": (_stacked(0, 2), "arrays"),
    "where": (_where, "condition x:a y:b"),
    "zeros_like": (F.zeros_like, "a:x dtype order:- subok:- shape:- device"),
    "linalg.cholesky": ("linalg.cholesky", "a:x upper"),
    "linalg.det": ("linalg.det", "a:x"),
    "linalg.eigh": ("linalg.eigh", "a:x UPLO:-"),
    "linalg.eigvalsh": ("linalg.eigvalsh", "a:x UPLO:-"),
    "linalg.inv": ("linalg.inv", "a:x"),
    "linalg.matrix_power": (lambda x, n: F.linalg.matrix_power(x, n), "a:x n"),
    "linalg.norm": (_norm, "x ord axis keepdims"),
    "linalg.pinv": (_pinv, "a:x rcond hermitian:- rtol"),
    "linalg.qr": ("linalg.qr", "a:x mode"),
    "linalg.slogdet": ("linalg.slogdet", "a:x"),
    "linalg.solve": ("linalg.solve", "a:x1 b:x2"),
    "linalg.svd": ("linalg.svd", "a:x full_matrices compute_uv:- hermitian:-"),
    "fft.fft": ("fft.fft", "a:x n axis norm out:-"),
    "fft.ifft": ("fft.ifft", "a:x n axis norm out:-"),
    "fft.irfft": ("fft.irfft", "a:x n axis norm out:-"),
    "fft.rfft": ("fft.rfft", "a:x n axis norm out:-"),
}


_DEFAULTS: dict[str, Any] = dict.fromkeys(("axisa", "axisb", "axisc"), -1)
_DEFAULTS |= dict.fromkeys(("out", "kind", "dtype", "shape", "initial", "mean", "rcond"))
_DEFAULTS |= {"compute_uv": True, "hermitian": False, "mode": "raise"}
_DEFAULTS |= {"order": "C", "subok": True, "where": True, "UPLO": "L"}
_OPERANDS = ("condition", "x", "a", "b", "x1", "x2", "arrays")


def _renamed(parameters: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of NumPy's function under our names; TypeError for one that ours lacks."""
    pairs = [
        (name, ours or name) for name, _, ours in (p.partition(":") for p in parameters.split())
    ]
    names = dict(pairs)
    if len(args) > len(pairs):
        msg = f"{len(args)} positional arguments, expected at most {len(pairs)}"
        raise TypeError(msg)
    given = {name: value for (name, _), value in zip(pairs, args, strict=False)} | kwargs
    result = {}
    for name, value in given.items():
        if value is np._NoValue or (value is None and name not in ("axis", "rtol")):
            continue
        plain = isinstance(value, _DEFAULTS.get(name).__class__)
        if name == "kind" and value in ("quicksort", "mergesort", "heapsort", "stable"):
            continue  # all of ours are stable
        if names.get(name) == "-" and plain and value == _DEFAULTS[name]:
            continue
        if names.get(name, "-") == "-":
            msg = f"argument {name!r} is not supported"
            raise TypeError(msg)
        result[names[name]] = value
    return result


def array_function(self: Variable, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """``np.mean(v)`` and the like, by the table; `array_ufunc` does the elementwise ones."""
    name = function.__name__
    if function in (np.shape, np.ndim, np.size) and len(args) == 1 and not kwargs:
        return getattr(self, name)
    module = (function.__module__ or "").partition(".")[2]
    name = f"{module}.{name}" if module in ("linalg", "fft") else name
    ours, parameters = _TABLE.get({"amax": "max", "amin": "min"}.get(name, name), (None, ""))
    if ours is None:
        what = f"np.{name} (dezero.functions may have one that is differentiable)"
        kwargs = {key: _on_host(value, what) for key, value in kwargs.items()}
        return function(*_on_host(args, what), **kwargs)
    if isinstance(ours, str):
        ours = operator.attrgetter(ours)(F)
    out = kwargs.get("out")
    if isinstance(out, Variable):
        result = array_function(self, function, types, args, {**kwargs, "out": None})
        if result.shape != out.shape:
            msg = f"np.{name}: out has shape {out.shape}, the result {result.shape}"
            raise ValueError(msg)
        _write(name, out, result)
        return out
    try:
        if parameters == "*":
            return ours(*args, **kwargs)
        renamed = _renamed(parameters, args, kwargs)
    except TypeError as error:
        msg = f"np.{name} of a Variable: {error}"
        raise TypeError(msg) from None
    operands = [renamed.pop(name) for name in _OPERANDS if name in renamed]
    return ours(*operands, **renamed)


def _on_host(x: Any, what: str) -> Any:
    if isinstance(x, Variable):
        values = host(x, what).view()
        values.flags.writeable = False  # a graph may have saved them
        return values
    if isinstance(x, (list, tuple)):
        return type(x)([_on_host(part, what) for part in x])
    return x
