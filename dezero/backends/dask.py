"""Dask arrays: elementwise work, reductions and products over arrays larger than memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Backend

__all__ = ["DaskBackend"]


class DaskBackend(Backend):
    """Dask arrays. Nothing is computed before ``to_numpy`` or ``.compute()``."""

    mutable = False

    def __init__(self) -> None:
        import array_api_compat.dask.array as compat
        import dask.array

        super().__init__(compat, "dask")
        self.dask = dask.array

    def device(self, x: Any) -> str:
        return "cpu"

    def devices(self) -> list[Any]:
        return ["cpu"]

    def to_device(self, x: Any, device: Any) -> Any:
        if device != "cpu":
            msg = f"dask has the device 'cpu' only, got {device!r}"
            raise ValueError(msg)
        return x

    def to_numpy(self, x: Any) -> np.ndarray:
        return np.asarray(x.compute())

    def from_numpy(self, x: np.ndarray, device: Any = None) -> Any:
        return self.dask.from_array(x)

    def owned(self, table: dict[Any, Any], key: Any) -> Any:
        return table[key]

    def scatter_add(self, g: Any, key: Any, shape: tuple[int, ...]) -> Any:
        msg = "dask has no scatter-add: the gradient of indexing needs one. Use take or where"
        raise NotImplementedError(msg)

    def check_labels(self, t: Any, classes: int) -> None:
        """Not checked: it would compute the labels."""

    def take_add(self, g: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
        n = shape[axis]
        indices = self.asarray(indices)
        one_hot = (indices[:, None] % n) == self.arange(n)
        product = self.matmul(self.dask.moveaxis(g, axis, -1), one_hot.astype(g.dtype))
        return self.dask.moveaxis(product, -1, axis)

    def einsum(self, subscripts: str, *arrays: Any) -> Any:
        return self.dask.einsum(subscripts, *arrays)

    def pad(self, x: Any, widths: Any, value: float = 0.0) -> Any:
        return self.dask.pad(x, widths, constant_values=value)
