"""Products of matrices by cuBLAS while a stream is captured, where CuPy refuses its own.

The library is the one that CuPy has loaded; the handle and the workspace are others, so that CuPy's
own calls are not touched. What is captured are cuBLAS's kernels with the places of operands, result
and workspace; all of them belong to the graph, and numbers such as ``alpha`` are part of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["SIGNATURES", "Cublas", "CublasError", "loaded"]

Array = Any

_LIBRARY = "libcublas.so.{}"
_KINDS = {"float16": 2, "float32": 0, "float64": 1}  # CUDA_R_16F, CUDA_R_32F, CUDA_R_64F
_COMPUTE = {"float16": 68, "float32": 68, "float64": 70}  # CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F
_COMPUTE_TF32 = 77  # CUBLAS_COMPUTE_32F_FAST_TF32
_PLAIN, _TRANSPOSED = 0, 1  # CUBLAS_OP_N, CUBLAS_OP_T
_DEFAULT = -1  # CUBLAS_GEMM_DEFAULT
_WORKSPACE = 32 << 20  # bytes that NVIDIA recommends for the largest devices

_HANDLE, _PLACE, _INT, _STEP = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (ctypes.POINTER(_HANDLE),),
    "cublasSetStream_v2": (_HANDLE, ctypes.c_void_p),
    "cublasSetWorkspace_v2": (_HANDLE, _PLACE, ctypes.c_size_t),
    "cublasGemmStridedBatchedEx": (
        _HANDLE,
        *(_INT, _INT),  # whether operands are transposed
        *(_INT, _INT, _INT),  # m, n, k
        _PLACE,  # alpha
        *(_PLACE, _INT, _INT, _STEP),  # first operand: place, type, leading dimension, step
        *(_PLACE, _INT, _INT, _STEP),  # second operand
        _PLACE,  # beta
        *(_PLACE, _INT, _INT, _STEP),  # result
        *(_INT, _INT, _INT),  # products, compute type, algorithm
    ),
}
"""The functions that are used and the types of their arguments."""


class CublasError(RuntimeError):
    """A function of cuBLAS has failed."""


def loaded(cupy: Any) -> Cublas | None:
    """The cuBLAS that CuPy has loaded; None where it has not, or where it is called otherwise."""
    try:
        version = cupy.cuda.runtime.runtimeGetVersion() // 1000
        library = ctypes.CDLL(_LIBRARY.format(version), mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        return Cublas(library, cupy)
    except (OSError, AttributeError, CublasError):
        return None


class Cublas:
    """Products by a handle of its own for each device.

    Args:
        library: The shared library.
        cupy: CuPy, which arrays come from.

    Raises:
        AttributeError: The library lacks a function.
        CublasError: There is no handle to be had.
    """

    def __init__(self, library: Any, cupy: Any) -> None:
        for name, arguments in SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, ctypes.c_int
        self.library, self.cupy = library, cupy
        self._handles: dict[int, Any] = {}
        self._lock = threading.Lock()  # a handle has one stream
        self._local = threading.local()
        self._handle()

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, name)(*arguments)
        if status:
            msg = f"{name}: status {status}, expected 0"
            raise CublasError(msg)

    def _handle(self) -> Any:
        number = self.cupy.cuda.Device().id
        if number not in self._handles:
            handle = _HANDLE()
            self._call("cublasCreate_v2", ctypes.byref(handle))
            self._handles[number] = handle
        return self._handles[number]

    @property
    def active(self) -> bool:
        """Whether this thread is within `on`."""
        return getattr(self._local, "handle", None) is not None

    @contextlib.contextmanager
    def on(self, stream: Any) -> Iterator[Any]:
        """Within it, `matmul` works on ``stream``; gives the workspace, which a graph must keep."""
        workspace = self.cupy.empty(_WORKSPACE, "uint8")
        with self._lock:
            handle = self._handle()
            self._call("cublasSetStream_v2", handle, stream.ptr)  # it takes the workspace away
            self._call("cublasSetWorkspace_v2", handle, workspace.data.ptr, _WORKSPACE)
            self._local.handle = handle
            try:
                yield workspace
            finally:
                self._local.handle = None

    def matmul(self, a: Array, b: Array, tf32: bool) -> Array | None:
        """As the standard's, for two arrays of one real dtype; None for what cuBLAS does not do.

        Raises:
            CublasError: cuBLAS has failed.
        """
        name = a.dtype.name
        if name not in _KINDS or b.dtype != a.dtype or not (a.size and b.size):
            return None
        left = a.reshape(1, -1) if a.ndim == 1 else a
        right = b.reshape(-1, 1) if b.ndim == 1 else b
        (m, k), n = left.shape[-2:], right.shape[-1]
        if right.shape[-2] != k:
            return None
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        first, second = self._operand(left, batch), self._operand(right, batch)
        y = self.cupy.empty((*batch, m, n), a.dtype)
        count = y.size // (m * n)
        if max(m, n, k, first[2], second[2], count) >= 2**31:
            return None
        # Memory by rows is the transposed matrix by columns, and y.T is b.T @ a.T.
        rounded = tf32 and name == "float32"
        kind, compute = _KINDS[name], _COMPUTE_TF32 if rounded else _COMPUTE[name]
        scale = ctypes.c_double if name == "float64" else ctypes.c_float
        one, zero = scale(1.0), scale(0.0)
        operands: list[Any] = []
        for x, _, lead, step in (second, first):
            operands += [x.data.ptr, kind, lead, step]
        self._call(
            "cublasGemmStridedBatchedEx",
            self._local.handle,
            *(second[1], first[1]),
            *(n, m, k),
            ctypes.addressof(one),
            *operands,
            ctypes.addressof(zero),
            *(y.data.ptr, kind, n, m * n),
            *(count, compute, _DEFAULT),
        )
        shape = (*batch, *(() if a.ndim == 1 else (m,)), *(() if b.ndim == 1 else (n,)))
        return y.reshape(shape)

    def _operand(self, x: Array, batch: tuple[int, ...]) -> tuple[Array, int, int, int]:
        """An array, whether it is transposed, its leading dimension, and the step between matrices.

        The array is ``x``, or a copy of it if its strides are none that cuBLAS knows.
        """
        x = self.cupy.broadcast_to(x, (*batch, *x.shape[-2:]))
        found = _layout(x.shape, [stride // x.dtype.itemsize for stride in x.strides])
        if found is None:
            x = self.cupy.ascontiguousarray(x)
            rows, columns = x.shape[-2:]
            found = _PLAIN, columns, rows * columns
        return (x, *found)


def _layout(shape: tuple[int, ...], strides: list[int]) -> tuple[int, int, int] | None:
    """Whether matrices are transposed, their leading dimension, the step; None: neither way."""
    step, above = 0, None  # matrices are as many steps apart as all inner axes say
    for n, stride in zip(shape[-3::-1], strides[-3::-1], strict=True):
        if n == 1:
            continue
        if above is None:
            step = stride
        elif stride != above:
            return None
        above = stride * n
    (rows, columns), (down, right) = shape[-2:], strides[-2:]
    if step < 0:
        return None
    if (right == 1 or columns == 1) and (down >= columns or rows == 1):
        return _PLAIN, max(down, columns) if rows > 1 else columns, step
    if (down == 1 or rows == 1) and (right >= rows or columns == 1):
        return _TRANSPOSED, max(right, rows) if columns > 1 else rows, step
    return None
