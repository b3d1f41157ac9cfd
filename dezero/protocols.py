"""NumPy's functions called with Variables: ``np.sin(v)``, ``np.mean(v)``, ``np.linalg.inv(v)``.

NumPy hands such calls over, by its protocols ``__array_ufunc__`` and ``__array_function__``. The
functions below become those of ``dezero.functions``; others take the values of constants, and
refuse to lose a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import functions as F
from .backends import backend_of
from .core import Variable, as_variable
from .dispatch import ops
from .views import wanted

__all__ = ["array_function", "array_ufunc", "host", "refuse"]


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

_UFUNCS = {
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


def array_ufunc(self: Variable, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """``np.sin(v)``, ``array * v`` and ``scipy.special.erf(v)`` are this package's functions."""
    name = ufunc.__name__
    function = ops.get(_UFUNCS.get(name, name)) or ops.get("special." + name)
    out = kwargs.pop("out", (None,))[0]
    if isinstance(out, Variable) and method == "__call__" and function is not None and not kwargs:
        out[...] = function(*inputs)
        return out
    if out is not None or method != "__call__" or kwargs or function is None:
        how = name if method == "__call__" else f"{name}.{method}"
        msg = f"np.{how} of a Variable is not differentiable here; use dezero.functions, or .data"
        raise TypeError(msg)
    return function(*inputs)


# --- NumPy's parameters as ours -----------------------------------------------------------------


def _dot(a: Any, b: Any) -> Any:
    a, b = map(as_variable, (a, b))
    if not a.ndim or not b.ndim:
        return a * b
    return F.matmul(a, b) if b.ndim < 3 else F.tensordot(a, b, axes=((-1,), (-2,)))


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    matrices = isinstance(axis, (tuple, list)) or (axis is None and ord is not None and x.ndim == 2)
    if not matrices:
        ord = 2 if ord is None else ord
        return F.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)
    x = x if axis is None else F.moveaxis(x, tuple(axis), (-2, -1))
    y = F.linalg.matrix_norm(x, keepdims=keepdims, ord="fro" if ord is None else ord)
    return F.moveaxis(y, (-2, -1), tuple(axis)) if keepdims and axis is not None else y


def _flat(function: Any) -> Callable[..., Any]:
    """A cumulative function, which in NumPy takes the flat array unless it is told an axis."""

    def call(x: Any, axis: Any = None, **parameters: Any) -> Any:
        flat = F.reshape(x, (-1,)) if axis is None else x
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
    return F.round(x) if decimals == 0 else F.round(x * 10.0**decimals) / 10.0**decimals


# NumPy's function: ours, and NumPy's parameters in their order, each with our name for it if that
# is another. ``-`` is one that only its default is taken of; ``*`` takes all that is left.
_TABLE: dict[str, tuple[Callable[..., Any], str]] = {
    "all": (F.all, "a:x axis out:- keepdims"),
    "any": (F.any, "a:x axis out:- keepdims"),
    "argmax": (F.argmax, "a:x axis out:- keepdims"),
    "argmin": (F.argmin, "a:x axis out:- keepdims"),
    "argsort": (F.argsort, "a:x axis kind:- order:- stable"),
    "around": (_rounded, "a:x decimals out:-"),
    "atleast_1d": (_at_least(1), "*"),
    "atleast_2d": (_at_least(2), "*"),
    "broadcast_arrays": (F.broadcast_arrays, "*"),
    "broadcast_to": (F.broadcast_to, "array:x shape subok:-"),
    "clip": (F.clip, "a:x a_min:min a_max:max out:- min max"),
    "concatenate": (F.concat, "arrays axis out:-"),
    "copy": (F.copy, "a:x order:- subok:-"),
    "count_nonzero": (F.count_nonzero, "a:x axis keepdims"),
    "cross": (F.linalg.cross, "a b axisa:- axisb:- axisc:- axis"),
    "cumprod": (_flat(F.cumulative_prod), "a:x axis dtype out:-"),
    "cumsum": (_flat(F.cumulative_sum), "a:x axis dtype out:-"),
    "diag": (F.diag, "v:x k"),
    "diagonal": (F.linalg.diagonal, "a:x offset axis1:- axis2:-"),
    "diff": (F.diff, "a:x n axis prepend append"),
    "dot": (_dot, "a b out:-"),
    "einsum": (F.einsum, "*"),
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
    "outer": (lambda a, b: F.outer(F.reshape(a, (-1,)), F.reshape(b, (-1,))), "a b out:-"),
    "prod": (F.prod, "a:x axis dtype out:- keepdims initial:- where:-"),
    "ravel": (lambda x: F.reshape(x, (-1,)), "a:x order:-"),
    "real": (F.real, "val:x"),
    "repeat": (F.repeat, "a:x repeats axis"),
    "reshape": (F.reshape, "a:x shape order:- copy"),
    "roll": (F.roll, "a:x shift axis"),
    "round": (_rounded, "a:x decimals out:-"),
    "searchsorted": (F.searchsorted, "a:x1 v:x2 side sorter"),
    "sort": (F.sort, "a:x axis kind:- order:- stable"),
    "split": (F.split, "ary:x indices_or_sections:sections axis"),
    "squeeze": (F.squeeze, "a:x axis"),
    "stack": (F.stack, "arrays axis out:-"),
    "std": (F.std, "a:x axis dtype:- out:- ddof:correction keepdims where:- mean:- correction"),
    "sum": (F.sum, "a:x axis dtype out:- keepdims initial:- where:-"),
    "take": (F.take, "a:x indices axis out:- mode:-"),
    "take_along_axis": (F.take_along_axis, "arr:x indices axis"),
    "tensordot": (F.tensordot, "a b axes"),
    "tile": (F.tile, "A:x reps:repetitions"),
    "trace": (F.linalg.trace, "a:x offset axis1:- axis2:- dtype out:-"),
    "transpose": (F.transpose, "a:x axes"),
    "tril": (F.tril, "m:x k"),
    "triu": (F.triu, "m:x k"),
    "var": (F.var, "a:x axis dtype:- out:- ddof:correction keepdims where:- mean:- correction"),
    "vstack": (_stacked(0, 2), "arrays"),
    "where": (_where, "condition x:a y:b"),
    "zeros_like": (F.zeros_like, "a:x dtype order:- subok:- shape:- device"),
    "linalg.cholesky": (F.linalg.cholesky, "a:x upper"),
    "linalg.det": (F.linalg.det, "a:x"),
    "linalg.eigh": (F.linalg.eigh, "a:x UPLO:-"),
    "linalg.eigvalsh": (F.linalg.eigvalsh, "a:x UPLO:-"),
    "linalg.inv": (F.linalg.inv, "a:x"),
    "linalg.matrix_power": (F.linalg.matrix_power, "a:x n"),
    "linalg.norm": (_norm, "x ord axis keepdims"),
    "linalg.pinv": (F.linalg.pinv, "a:x rcond:- hermitian:- rtol"),
    "linalg.qr": (F.linalg.qr, "a:x mode"),
    "linalg.slogdet": (F.linalg.slogdet, "a:x"),
    "linalg.solve": (F.linalg.solve, "a:x1 b:x2"),
    "linalg.svd": (F.linalg.svd, "a:x full_matrices compute_uv:- hermitian:-"),
    "fft.fft": (F.fft.fft, "a:x n axis norm out:-"),
    "fft.ifft": (F.fft.ifft, "a:x n axis norm out:-"),
    "fft.irfft": (F.fft.irfft, "a:x n axis norm out:-"),
    "fft.rfft": (F.fft.rfft, "a:x n axis norm out:-"),
}


_DEFAULTS: dict[str, Any] = dict.fromkeys(("axisa", "axisb", "axisc"), -1)
_DEFAULTS |= dict.fromkeys(("out", "kind", "dtype", "shape", "initial", "mean", "rcond"))
_DEFAULTS |= {"axis1": 0, "axis2": 1, "compute_uv": True, "hermitian": False, "mode": "raise"}
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
        if value is None or value is np._NoValue:
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
    out = kwargs.get("out")
    if isinstance(out, Variable):
        out[...] = array_function(self, function, types, args, {**kwargs, "out": None})
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
        return host(x, what)
    if isinstance(x, (list, tuple)):
        return type(x)([_on_host(part, what) for part in x])
    return x
