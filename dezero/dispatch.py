"""Which library an operation runs on, under which names, and what an error of it says."""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from .backends import Backend, backend_of, by_type, device_of, mixed, numpy_backend
from .core import Variable

__all__ = ["EXTENSIONS", "Recorded", "common", "explained", "namespace_of", "number", "ops"]
__all__ += ["registered", "resolve", "show"]

EXTENSIONS = ("linalg", "fft", "special")
"""Namespaces within the namespace, each a module of ``dezero.functions``."""

ops: dict[str, Callable[..., Any]] = {}
"""Every differentiable function by name, such as ``sin`` or ``linalg.svd``: what a rule finds in
``xp`` when a sweep is recorded."""


def registered(name: str, module: str, function: Callable[..., Any]) -> None:
    """Let rules find a function of dezero's."""
    if module.startswith("dezero."):
        chapter = next((part for part in module.split(".") if part in EXTENSIONS), "")
        ops[f"{chapter}.{name}" if chapter else name] = function


class Recorded:
    """The namespace of a recorded sweep: names of the standard, over Variables of one backend."""

    def __init__(self, backend: Backend, extension: str = "") -> None:
        self.backend, self.extension = backend, extension

    def __getattr__(self, name: str) -> Any:
        if name in EXTENSIONS:
            value: Any = Recorded(self.backend, name + ".")
        elif self.extension:
            if self.extension + name not in ops:  # its module is loaded when it is needed
                importlib.import_module("dezero.functions." + self.extension[:-1])
            value = ops[self.extension + name]
        else:
            value = ops.get(name) or getattr(self.backend, name)
        setattr(self, name, value)
        return value

    def cast(self, x: Variable, dtype: Any) -> Variable:
        """``x`` with ``dtype``, without its imaginary part if ``dtype`` is real."""
        if self.backend.is_complex(x.dtype) and not self.backend.is_complex(dtype):
            x = self.real(x)
        return x if x.dtype == dtype else self.astype(x, dtype)


def namespace_of(backend: Backend) -> Recorded:
    """The differentiable namespace over ``backend``."""
    if backend.recorded is None:
        backend.recorded = Recorded(backend)
    return backend.recorded


# --- what generated code calls off the hot path -------------------------------------------------


def resolve(name: str, *operands: Any) -> list[Backend | None]:
    """The backends of operands of which at least one has a type not seen before."""
    found: list[Backend | None] = []
    for x in operands:
        try:
            found.append(
                None if x.__class__ in by_type and not by_type[x.__class__] else backend_of(x)
            )
        except TypeError:
            msg = f"{name}: {type(x)} is not an array, a number or a Variable"
            raise TypeError(msg) from None
    return found


def common(name: str, operands: tuple[Any, ...], default: Backend | None = numpy_backend) -> Any:
    """The one backend of all operands; ``default`` if all are numbers."""
    xp = None
    first = None
    for x, found in zip(operands, resolve(name, *operands), strict=True):
        if xp is None:
            xp, first = found, x
        elif found is not None and found is not xp:
            raise mixed(name, first, x)
    return xp or default


def number(name: str, operand: str, x: Any) -> Any:
    """A Python number as an array of the default backend."""
    if x is None:
        msg = f"{name}: {operand} is None or a Variable without data, expected an array"
        raise TypeError(msg)
    return np.asarray(x)


def _short(x: Any) -> str:
    """An operand as messages show it, such as ``float32[2,3]``."""
    dtype = str(getattr(x, "dtype", type(x).__name__)).rpartition(".")[2]
    shape = getattr(x, "shape", None)
    return dtype if shape is None else f"{dtype}[{','.join(map(str, shape))}]"


def explained(error: Exception, name: str, operands: tuple[Any, ...]) -> Exception:
    """``error`` with the operation and its operands, or a clearer one for mixed devices."""
    arrays = [x for x in operands if by_type.get(x.__class__) is not None]
    for x in arrays[1:]:
        if device_of(x) != device_of(arrays[0]):
            return mixed(name, arrays[0], x)
    error.add_note(f"in {name.lstrip('_')}({', '.join(map(_short, operands))})")
    return error


def show(function: Any, formula: Any) -> None:
    """Let ``function`` have the name, the text and the signature of its formula, without ``xp``."""
    code = formula.__code__
    names = code.co_varnames[1:]
    seen = code.replace(
        co_argcount=code.co_argcount - 1, co_varnames=names, co_nlocals=len(names)
    )  # not to be called: inspect reads the parameters from it
    wrapped = types.FunctionType(
        seen, formula.__globals__, formula.__name__, formula.__defaults__, formula.__closure__
    )
    wrapped.__kwdefaults__ = formula.__kwdefaults__
    function.__wrapped__ = wrapped
    function.__name__ = function.__qualname__ = formula.__name__
    function.__doc__, function.__module__ = formula.__doc__, formula.__module__
    function.formula = formula
