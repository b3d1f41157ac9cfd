"""CuPy on CUDA devices. Importing CuPy needs no device, so availability asks for one."""

from __future__ import annotations

import contextlib
import math
import sys
from functools import cached_property
from typing import Any

import numpy as np

from .base import is_basic
from .convolution import places, result_size
from .cublas import Cublas, loaded
from .cuda_convolution import ImplicitConvolution

__all__ = ["CuPyBackend"]


class CuPyBackend(ImplicitConvolution):
    """CuPy arrays. A device is a number, or ``"cuda"`` and ``"cuda:1"``."""

    arrays_only = False

    def __init__(self) -> None:
        import array_api_compat.cupy as compat
        import cupy

        super().__init__(compat, "cupy")
        self.cupy = cupy
        self._cublas: Cublas | None = None

    # --- how it computes ----------------------------------------------------------------------

    @property
    def tf32(self) -> bool:
        """Whether products of float32 matrices may round their operands to TF32."""
        core = self.cupy._core  # public only as the environment variable CUPY_TF32
        return bool(core.get_compute_type(np.float32) == core.COMPUTE_TYPE_TF32)

    @tf32.setter
    def tf32(self, enabled: bool) -> None:
        core = self.cupy._core
        kind = core.COMPUTE_TYPE_TF32 if enabled else core.COMPUTE_TYPE_DEFAULT
        core.set_compute_type(np.float32, kind)

    @property
    def cublas(self) -> Cublas | None:
        """Products of matrices while a stream is captured; None where they cannot be had."""
        if self._cublas is None:  # CuPy loads the library when it first needs it
            self._cublas = loaded(self.cupy)
        return self._cublas

    def matmul(self, a: Any, b: Any) -> Any:
        """The product; where `cublas` is active, by it."""
        own, y = self._cublas, None
        if own is not None and own.active:
            y = own.matmul(a, b, self.tf32)
        return self.namespace.matmul(a, b) if y is None else y

    memory = "pool"

    @property
    def pool(self) -> Any:
        """The memory pool that arrays come from."""
        return self._pools[self.memory]

    @cached_property
    def _pools(self) -> dict[str, Any]:
        return {"pool": self.cupy.get_default_memory_pool()}

    def use_memory(self, kind: str) -> None:
        """Take memory from CuPy's ``"pool"``, or with ``"async"`` from the driver's."""
        if kind not in self._pools:
            self._pools[kind] = self.cupy.cuda.MemoryAsyncPool()
        self.memory = kind
        self.cupy.cuda.set_allocator(self.pool.malloc)

    # --- arrays -------------------------------------------------------------------------------

    def why_unavailable(self) -> str | None:
        try:
            count = self.cupy.cuda.runtime.getDeviceCount()
        except self.cupy.cuda.runtime.CUDARuntimeError as error:
            return f"CuPy {self.cupy.__version__} is installed but finds no CUDA device: {error}"
        return None if count else f"CuPy {self.cupy.__version__} is installed but finds no device"

    def devices(self) -> list[Any]:
        if not self.is_available():
            return []
        return [f"cuda:{i}" for i in range(self.cupy.cuda.runtime.getDeviceCount())]

    def device(self, x: Any) -> Any:
        return x.device

    def _number(self, device: Any) -> int:
        if isinstance(device, str):
            kind, _, number = device.partition(":")
            if kind not in ("cuda", "gpu") or (number and not number.isdigit()):
                msg = f"cupy has devices 'cuda', 'cuda:0', 'cuda:1', ..., got {device!r}"
                raise ValueError(msg)
            return int(number or 0)
        return int(getattr(device, "id", device))

    def to_device(self, x: Any, device: Any) -> Any:
        with self.cupy.cuda.Device(self._number(device)):
            return self.cupy.asarray(x)

    def to_numpy(self, x: Any) -> np.ndarray:
        values = self.cupy.asnumpy(x)
        self.examine()  # the device has done all that came before
        return values

    def from_numpy(self, x: np.ndarray, device: Any = None) -> Any:
        where: Any = contextlib.nullcontext()
        if device is not None:
            where = self.cupy.cuda.Device(self._number(device))
        with where:
            return self.cupy.asarray(x)

    def copy(self, x: Any) -> Any:
        return x.copy()

    def holders(self, x: Any) -> tuple[int, ...] | None:
        count = sys.getrefcount(x)
        memory = x.data.mem  # views share it, and so does whoever has the pointer
        kinds = self.cupy.cuda.memory
        known = kinds.PooledMemory, kinds.Memory, kinds.MemoryAsync  # others' is `UnownedMemory`
        own = type(x) is self.cupy.ndarray and x.base is None and type(memory) in known
        return (count, sys.getrefcount(memory), sys.getrefcount(x.data)) if own else None

    def add_into(self, a: Any, b: Any) -> Any:
        if a.dtype == b.dtype:
            a += b
            return a
        return a + b

    def get_item(self, x: Any, key: Any) -> Any:
        return x[key]

    def last(self, positions: Any, n: int) -> Any:
        last = self.cupy.full(n, -1)
        self.cupy.maximum.at(last, positions, self.cupy.arange(len(positions)))
        return last

    def shares(self, y: Any, x: Any) -> bool:
        return self.cupy.may_share_memory(y, x)

    def scatter_add(self, g: Any, key: Any, shape: tuple[int, ...]) -> Any:
        zeros = self.zeros(shape, dtype=g.dtype, device=g.device)
        if is_basic(key) or getattr(key, "dtype", None) == np.bool_:
            zeros[key] = g
        elif g.dtype == np.float16:  # sums of many would stay where they are
            return self.scatter_add(g.astype(np.float32), key, shape).astype(g.dtype)
        else:
            self.cupy.add.at(zeros, key, g)
        return zeros

    def take_add(self, g: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
        return self.scatter_add(g, (slice(None),) * axis + (indices,), shape)

    def erf(self, x: Any) -> Any:
        from cupyx.scipy.special import erf

        return erf(x)

    def special_function(self, name: str) -> Any:
        import cupyx.scipy.special

        return getattr(cupyx.scipy.special, name, None)

    def pad(self, x: Any, widths: Any, value: float = 0.0) -> Any:
        return self.cupy.pad(x, widths, constant_values=value)

    def einsum(self, subscripts: str, *arrays: Any) -> Any:
        return self.cupy.einsum(subscripts, *arrays)

    def unfold_windows(self, x: Any, kernel: Any, geometry: Any) -> Any:
        result = result_size(x.shape[2:], kernel, geometry)
        if any(map(any, geometry.pads)):
            x = self.pad(x, ((0, 0), (0, 0), *geometry.pads))
        steps = x.strides[2:]
        inner = [d * n for d, n in zip(geometry.dilation, steps, strict=True)]
        outer = [s * n for s, n in zip(geometry.stride, steps, strict=True)]
        view = self.cupy.lib.stride_tricks.as_strided(
            x, (*x.shape[:2], *kernel, *result), (*x.strides[:2], *inner, *outer)
        )
        return self.cupy.ascontiguousarray(view)

    def fold_windows(self, windows: Any, size: Any, geometry: Any) -> Any:
        n, c, *rest = windows.shape
        kernel, result = tuple(rest[: len(size)]), tuple(rest[len(size) :])
        full = [m + sum(pads) for m, pads in zip(size, geometry.pads, strict=True)]
        y = self.zeros((n, c, *full), dtype=windows.dtype, device=windows.device)
        windows = windows.reshape(n, c, math.prod(kernel), *result)
        for i, place in enumerate(places(result, kernel, geometry)):
            y[place] += windows[:, :, i]
        inner = (slice(b, b + m) for m, (b, _) in zip(size, geometry.pads, strict=True))
        return self.cupy.ascontiguousarray(y[(slice(None), slice(None), *inner)])
