"""Dask arrays: elementwise work, reductions and products over arrays larger than memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import numpy_backend
from .base import HostBackend, is_basic, without_flips
from .convolution import result_size
from .special import OUTPUTS

__all__ = ["DaskBackend"]


class _Part:
    """One output of a function with several."""

    def __init__(self, function: Any, index: int) -> None:
        self.function, self.index = function, index

    def __call__(self, *operands: Any) -> Any:
        return self.function(*operands)[self.index]


class _Linalg:
    """Dask's functions of matrices. Most of them know no stacks of matrices."""

    def __init__(self, namespace: Any, dask: Any) -> None:
        self._namespace, self._dask = namespace, dask

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._namespace, name, None)
        if function is None or name.startswith("_"):
            msg = f"dask has no linalg.{name}"
            raise NotImplementedError(msg)
        return function if name in ("diagonal", "vector_norm") else _OfOneMatrix(name, function)

    def cholesky(self, x: Any, upper: bool = False) -> Any:
        return _OfOneMatrix("cholesky", self._dask.cholesky)(x, lower=not upper)

    def svd(self, x: Any, full_matrices: bool = True) -> Any:
        if full_matrices:
            msg = "dask has svd with full_matrices=False only"
            raise NotImplementedError(msg)
        return _OfOneMatrix("svd", self._namespace.svd)(x, full_matrices=False)

    def svdvals(self, x: Any) -> Any:
        return self.svd(x, full_matrices=False)[1]

    def qr(self, x: Any, mode: str = "reduced") -> Any:
        if mode != "reduced":
            msg = "dask has qr with the mode 'reduced' only"
            raise NotImplementedError(msg)
        return _OfOneMatrix("qr", self._namespace.qr)(x)


class _OfOneMatrix:
    """A function that takes no stacks of matrices."""

    def __init__(self, name: str, function: Any) -> None:
        self.name, self.function = name, function

    def __call__(self, *arrays: Any, **parameters: Any) -> Any:
        for x in arrays:
            if x.ndim > 2:
                msg = f"dask has linalg.{self.name} of one matrix only, got shape {x.shape}"
                raise NotImplementedError(msg)
        return self.function(*arrays, **parameters)


class DaskBackend(HostBackend):
    """Dask arrays. Nothing is computed before ``to_numpy`` or ``.compute()``."""

    mutable = False
    arrays_only = False
    attention_long = math.inf  # its scores are in chunks anyway

    def __init__(self) -> None:
        import array_api_compat.dask.array as compat
        import dask.array

        super().__init__(compat, "dask")
        self.dask = dask.array
        self.linalg = _Linalg(compat.linalg, dask.array.linalg)
        self._layouts: dict[tuple[int, ...], Any] = {}  # chunks by shape, see broadcast_to

    def to_numpy(self, x: Any) -> np.ndarray:
        return np.asarray(x.compute())

    def from_numpy(self, x: np.ndarray, device: Any = None) -> Any:
        return self.dask.from_array(x)

    def sum(self, x: Any, **parameters: Any) -> Any:
        self._layouts[x.shape] = x.chunks
        return self.namespace.sum(x, **parameters)

    def mean(self, x: Any, **parameters: Any) -> Any:
        self._layouts[x.shape] = x.chunks
        return self.namespace.mean(x, **parameters)

    def broadcast_to(self, x: Any, shape: tuple[int, ...]) -> Any:
        """In the chunks of the array of this shape that was summed last.

        Dask itself makes one chunk of a new dimension. Cut to meet other chunks it would be copied
        as a whole, and the gradient of a sum would need as much memory as all of its operand.
        """
        layout = self._layouts.get(tuple(shape))
        if layout is None or x.ndim > len(shape):
            return self.dask.broadcast_to(x, shape)
        chunks = list(layout)
        for i, (n, parts) in enumerate(zip(x.shape, x.chunks, strict=True), len(shape) - x.ndim):
            if n != 1:
                chunks[i] = parts
        return self.dask.broadcast_to(x, shape, chunks=tuple(chunks))

    def owned(self, table: dict[Any, Any], key: Any) -> Any:
        return table[key]

    def get_item(self, x: Any, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        arrays = [p for p in parts if not is_basic(p)]
        ints = [p for p in arrays if getattr(p, "dtype", None) != np.bool_]
        if (
            len(arrays) > 1
            or any(p.ndim != 1 for p in ints)
            or (arrays and any(p is None for p in parts))
        ):
            msg = "dask indexes with one array at a time, of one dimension and without None"
            raise NotImplementedError(msg)
        return x[key]

    def set_item(self, x: Any, key: Any, value: Any, alone: bool = False) -> Any:
        if not is_basic(key):
            msg = "dask cannot assign to places that arrays or masks name: use where"
            raise NotImplementedError(msg)
        shape = self.get_item(x, key).shape
        if math.prod(shape) == 0:
            return x
        key, flips = without_flips(key, x.shape)  # Dask assigns wrongly where a step is negative
        if not isinstance(value, (bool, int, float, complex)):
            value = self.flip(self.dask.broadcast_to(value, shape), axis=flips)
        return self.put(x.copy(), key, value)

    def scatter_add(self, g: Any, key: Any, shape: tuple[int, ...]) -> Any:
        if not is_basic(key):
            msg = (
                "dask has no scatter-add: the gradient of indexing with arrays or masks needs one. "
                "Use take or where"
            )
            raise NotImplementedError(msg)
        zeros = self.dask.zeros(shape, dtype=g.dtype)
        if math.prod(g.shape) == 0:
            return zeros
        key, flips = without_flips(key, shape)  # Dask assigns wrongly where a step is negative
        return self.put(zeros, key, self.flip(g, axis=flips) if flips else g)

    def take_along_axis(self, x: Any, indices: Any, axis: int = -1) -> Any:
        msg = "dask has no take_along_axis, on which sort and softmax_cross_entropy stand too"
        raise NotImplementedError(msg)

    def put_along_axis_add(self, g: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
        return self.take_along_axis(g, indices, axis)

    def holds(self, condition: Any) -> bool:
        """Not known: it would be computed."""
        return False

    def check_labels(self, t: Any, classes: int, what: str = "labels") -> None:
        """Not checked: it would compute the labels."""

    def take(self, x: Any, indices: Any, axis: int) -> Any:
        """Dask's own says a wrong shape where there is one index."""
        if indices.shape != (1,):
            return self.namespace.take(x, indices, axis=axis)
        twice = self.namespace.take(x, self.dask.concatenate([indices] * 2), axis=axis)
        return twice[(slice(None),) * (axis % x.ndim) + (slice(0, 1),)]

    def take_add(self, g: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
        hit = self.hits(self.asarray(indices), shape[axis], None)
        terms = self.where(hit, self.dask.moveaxis(g, axis, -1)[..., None], 0.0)
        return self.dask.moveaxis(self.sum(terms, axis=-2, dtype=g.dtype), -1, axis)

    def tril(self, x: Any, k: int = 0) -> Any:
        """Dask's own makes its mask from complex numbers if ``x`` is complex."""
        mask = self.dask.tri(*x.shape[-2:], k=k, dtype=bool, chunks=x.chunks[-2:])
        return self.dask.where(mask, x, self.dask.zeros_like(x))

    def triu(self, x: Any, k: int = 0) -> Any:
        mask = self.dask.tri(*x.shape[-2:], k=k - 1, dtype=bool, chunks=x.chunks[-2:])
        return self.dask.where(mask, self.dask.zeros_like(x), x)

    def einsum(self, subscripts: str, *arrays: Any) -> Any:
        return self.dask.einsum(subscripts, *arrays)

    def special_function(self, name: str) -> Any:
        if numpy_backend.special_function(name) is None:
            return None
        function = getattr(numpy_backend.special, name)

        def by_block(*operands: Any) -> Any:
            if name not in OUTPUTS:
                return self.dask.core.elemwise(function, *operands)
            return tuple(
                self.dask.core.elemwise(_Part(function, i), *operands) for i in range(OUTPUTS[name])
            )

        return by_block

    def pad(self, x: Any, widths: Any, value: float = 0.0) -> Any:
        return self.dask.pad(x, widths, constant_values=value)

    def _by_batch(
        self, function: Any, shape: tuple[int, ...], batched: list[Any], whole: Any, each: bool
    ) -> Any:
        """``function`` of the chunks of a batch and of whole arrays, in NumPy.

        A chunk gives ``shape`` after the batch, or, if ``each``, one such array for itself.
        """
        chunks = batched[0].chunks[0]
        operands: list[Any] = []
        letter = 1
        for x in (*batched, *whole):
            first = 0 if len(operands) < 2 * len(batched) else letter
            rest = range(letter + 1, letter + x.ndim)
            kept = {0: chunks} if first == 0 else {0: -1}
            operands += [x.rechunk(kept | dict.fromkeys(range(1, x.ndim), -1)), (first, *rest)]
            letter += x.ndim
        new = dict(enumerate(shape, letter + 1))
        dtype = np.result_type(*(x.dtype for x in operands[::2]))
        return self.dask.blockwise(
            function, (0, *new), *operands, new_axes=new, concatenate=True, dtype=dtype,
            adjust_chunks={0: 1} if each else None, meta=np.empty((0,) * (1 + len(new)), dtype),
        )  # fmt: skip

    def unfold_windows(self, x: Any, kernel: Any, geometry: Any) -> Any:
        shape = (x.shape[1], *kernel, *result_size(x.shape[2:], kernel, geometry))
        kernels = numpy_backend.unfold_windows
        return self._by_batch(lambda x: kernels(x, kernel, geometry), shape, [x], (), False)

    def fold_windows(self, windows: Any, size: Any, geometry: Any) -> Any:
        kernels, shape = numpy_backend.fold_windows, (windows.shape[1], *size)
        return self._by_batch(lambda x: kernels(x, size, geometry), shape, [windows], (), False)

    def convolve(self, arrays: Any, geometry: Any, kept: Any = None) -> Any:
        x, *whole = arrays
        w = whole[0]
        shape = (w.shape[0], *result_size(x.shape[2:], w.shape[2:], geometry))
        return self._by_batch(
            lambda *a: numpy_backend.convolve(a, geometry), shape, [x], whole, False
        )

    def convolve_input(self, arrays: Any, size: Any, geometry: Any) -> Any:
        g, *whole = arrays
        shape = (whole[0].shape[1] * geometry.groups, *size)
        return self._by_batch(
            lambda *a: numpy_backend.convolve_input(a, size, geometry), shape, [g], whole, False
        )

    def convolve_weight(self, arrays: Any, kernel: Any, geometry: Any) -> Any:
        x, g = arrays
        shape = (g.shape[1], x.shape[1] // geometry.groups, *kernel)
        parts = self._by_batch(
            lambda *a: numpy_backend.convolve_weight(a, kernel, geometry)[None],
            shape, [x, g], (), True,
        )  # fmt: skip
        return self.dask.sum(parts, axis=0, dtype=parts.dtype)
