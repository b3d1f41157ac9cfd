"""A library that nobody registered: a thin cover over array-api-strict with a class of its own.

It has the names of the standard and no others, and does not know its arrays' backend.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import array_api_strict as strict

__all__ = ["ThinArray"]


class ThinArray:
    """An array of this library."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return sys.modules[__name__]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.inner.shape

    @property
    def ndim(self) -> int:
        return self.inner.ndim

    @property
    def size(self) -> int:
        return self.inner.size

    @property
    def dtype(self) -> Any:
        return self.inner.dtype

    @property
    def device(self) -> Any:
        return self.inner.device

    def to_device(self, device: Any) -> ThinArray:
        return ThinArray(self.inner.to_device(device))

    def __getitem__(self, key: Any) -> ThinArray:
        return ThinArray(self.inner[bare(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.inner[bare(key)] = bare(value)

    def __bool__(self) -> bool:
        return bool(self.inner)

    def __dlpack__(self, **options: Any) -> Any:
        return self.inner.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.inner.__dlpack_device__()


def bare(x: Any) -> Any:
    """``x`` with the inner arrays in place of this library's."""
    if isinstance(x, ThinArray):
        return x.inner
    return type(x)(map(bare, x)) if isinstance(x, (tuple, list)) else x


def covered(x: Any) -> Any:
    """``x`` with this library's arrays in place of the inner ones."""
    if isinstance(x, type(strict.empty(0))):
        return ThinArray(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(covered, x))
    return type(x)(map(covered, x)) if type(x) in (tuple, list) else x


def _operator(name: str) -> Any:
    def method(self: ThinArray, *others: Any) -> Any:
        if not all(isinstance(o, (ThinArray, bool, int, float, complex)) for o in others):
            return NotImplemented
        return covered(getattr(self.inner, name)(*map(bare, others)))

    return method


_OPERATORS = """
    add sub mul truediv floordiv mod pow matmul and or xor lshift rshift radd rsub rmul rtruediv
    rfloordiv rmod rpow rmatmul rand ror rxor eq ne lt le gt ge neg pos abs invert
"""
for _name in _OPERATORS.split():
    setattr(ThinArray, f"__{_name}__", _operator(f"__{_name}__"))


def _name(space: Any, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    value = getattr(space, name)
    if name in ("linalg", "fft"):
        return types.SimpleNamespace(
            **{key: _name(value, key) for key in dir(value) if key[0] != "_"}
        )
    if not callable(value) or isinstance(value, type) or name == "isdtype":
        return value

    def function(*operands: Any, **parameters: Any) -> Any:
        words = {key: bare(x) for key, x in parameters.items()}
        return covered(value(*map(bare, operands), **words))

    return function


def __getattr__(name: str) -> Any:
    return _name(strict, name)
