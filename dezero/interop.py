"""Libraries that have to be told what a Variable is.

Most libraries ask an array for its namespace, or look for functions in the package of its type.
einops has a backend for each framework instead, and finds those of others among the subclasses of
its ``AbstractBackend`` once these exist. Ours is made as soon as einops has been imported, before
dezero or after it, and dezero imports no library for it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from . import functions as F
from .backends import backend_of
from .core import Variable

__all__ = ["Einops", "backend_for_einops"]


def backend_for_einops(abstract: Any) -> Any:
    """The class by which einops works on Variables, a subclass of its ``AbstractBackend``."""

    class DezeroBackend(abstract):
        framework_name = "dezero"

        def is_appropriate_type(self, tensor: Any) -> bool:
            return isinstance(tensor, Variable)

        def from_numpy(self, x: Any) -> Variable:
            return Variable(x)

        def to_numpy(self, x: Variable) -> np.ndarray:
            return np.asarray(x)

        def arange(self, start: int, stop: int) -> Variable:
            return Variable(np.arange(start, stop))

        def reshape(self, x: Variable, shape: Sequence[int]) -> Variable:
            return F.reshape(x, shape)

        def transpose(self, x: Variable, axes: Sequence[int]) -> Variable:
            return F.permute_dims(x, axes)

        def reduce(self, x: Variable, operation: str, axes: tuple[int, ...]) -> Variable:
            return getattr(F, operation)(x, axis=axes)

        def stack_on_zeroth_dimension(self, tensors: list[Variable]) -> Variable:
            return F.stack(tensors)

        def add_axis(self, x: Variable, new_position: int) -> Variable:
            return F.expand_dims(x, axis=new_position)

        def add_axes(self, x: Variable, n_axes: int, pos2len: dict[int, int]) -> Variable:
            for position in pos2len:
                x = F.expand_dims(x, axis=position)
            return F.broadcast_to(x, tuple(pos2len.get(i, n) for i, n in enumerate(x.shape)))

        def tile(self, x: Variable, repeats: tuple[int, ...]) -> Variable:
            return F.tile(x, repeats)

        def concat(self, tensors: list[Variable], axis: int) -> Variable:
            return F.concat(tensors, axis=axis)

        def is_float_type(self, x: Variable) -> bool:
            return backend_of(x.data).is_inexact(x.dtype)

        def einsum(self, pattern: str, *x: Variable) -> Variable:
            return F.einsum(pattern, *x)

    return DezeroBackend


class Einops:
    """Makes the backend when einops is there.

    Until then it is among Python's finders of modules: it is asked about each import, finds
    nothing, and leaves at the first import that follows einops's own module of backends.
    """

    made: Any = None

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: ModuleType | None = None) -> None:
        """Find nothing; see the class."""
        abstract = getattr(sys.modules.get("einops._backends"), "AbstractBackend", None)
        if abstract is not None:
            # A new list: Python may be going through the present one.
            sys.meta_path = [finder for finder in sys.meta_path if finder is not cls]
            cls.made = backend_for_einops(abstract)


sys.meta_path.insert(0, Einops)
Einops.find_spec("einops")
