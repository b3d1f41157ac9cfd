"""The book's module for arrays on a GPU: NumPy or CuPy, whichever an array belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np

from .backends import available, backend_of, get, move
from .core import Variable, as_array

__all__ = [
    "as_cupy",
    "as_numpy",
    "configure",
    "get_array_module",
    "gpu_enable",
    "on_host",
    "synchronize",
]

gpu_enable: bool
"""Whether CuPy is installed and finds a device; asked for anew each time."""


def __getattr__(name: str) -> Any:
    if name == "gpu_enable":
        try:
            return get("cupy").is_available()
        except ImportError:
            return False
    if name == "cupy":
        return get("cupy").cupy
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def get_array_module(x: Any) -> Any:
    """The module whose functions take ``x``: ``numpy``, ``cupy``, or another library's namespace.

    Args:
        x: An array, a Variable or a number.

    Raises:
        TypeError: ``x`` is none of these.

    Example:
        >>> get_array_module(np.ones(2)).__name__
        'numpy'
    """
    x = as_array(x.data if isinstance(x, Variable) else x)
    backend = backend_of(x)
    return {"numpy": np, "cupy": getattr(backend, "cupy", None)}.get(
        backend.name, backend.namespace
    )


def as_numpy(x: Any) -> np.ndarray:
    """The values of an array, a Variable or a number as a NumPy array on the host.

    Raises:
        TypeError: ``x`` is none of these.

    Example:
        >>> as_numpy(Variable(np.ones(2)))
        array([1., 1.])
    """
    array: np.ndarray = move(as_array(x.data if isinstance(x, Variable) else x), "numpy")
    return array


def on_host(x: Any) -> np.ndarray:
    """As `as_numpy`; lists and what else is no array become one.

    Example:
        >>> on_host([1, 2])
        array([1, 2])
    """
    try:
        return as_numpy(x)
    except TypeError:
        return np.asarray(x)


def as_cupy(x: Any) -> Any:
    """The values of an array, a Variable or a number as a CuPy array on the current device.

    Raises:
        ImportError: CuPy is not installed.
        RuntimeError: CuPy finds no device; the message says what is missing.
        TypeError: ``x`` is none of these.
    """
    available("cupy")
    return move(as_array(x.data if isinstance(x, Variable) else x), "cupy")


def configure(
    *,
    fused: bool | None = None,
    graphs: bool | None = None,
    deferred_checks: bool | None = None,
    tf32: bool | None = None,
    implicit_convolution: bool | None = None,
    memory: str | None = None,
    memory_limit: int | None = None,
) -> dict[str, Any]:
    """Change how CuPy computes, for the whole process; what is None stays as it is.

    Args:
        fused: Whether formulas of several steps, and the rules of optimizers, run as one generated
            kernel each; True at first.
        graphs: Whether compiled programs launch long runs of kernels as CUDA graphs; True at first.
        deferred_checks: Whether class numbers and ids are checked by the device while the host goes
            on, so that an error is raised when values are next read; True at first. False waits at
            each check, so that the error names the call.
        tf32: Whether products of matrices in single precision run on tensor cores with 10 bits of
            mantissa; at first what the environment variable ``CUPY_TF32`` says.
        implicit_convolution: Whether convolutions with 16 channels or more run as one kernel, which
            takes what it multiplies from where it lies; True at first. False lays windows side by
            side for cuBLAS.
        memory: Where arrays come from: ``"pool"``, CuPy's own, or ``"async"``, the driver's pool,
            which is ordered by streams.
        memory_limit: The most bytes that arrays may take; 0 for no limit.

    Returns:
        The settings that hold now.

    Raises:
        ImportError: CuPy is not installed.
        RuntimeError: CuPy finds no device; the message says what is missing.
        ValueError: ``memory`` is something else.
    """
    if memory not in (None, "pool", "async"):
        msg = f"configure: memory is {memory!r}, expected 'pool' or 'async'"
        raise ValueError(msg)
    backend: Any = available("cupy")
    for name, value in (
        ("fused", fused),
        ("graphs", graphs),
        ("deferred", deferred_checks),
        ("implicit_convolution", implicit_convolution),
    ):
        if value is not None:
            setattr(backend, name, value)
    if tf32 is not None:
        backend.tf32 = tf32
    if memory is not None:
        backend.use_memory(memory)
    if memory_limit is not None:
        backend.pool.set_limit(size=memory_limit)
    return {
        "fused": backend.fused,
        "graphs": backend.graphs,
        "deferred_checks": backend.deferred,
        "tf32": backend.tf32,
        "implicit_convolution": backend.implicit_convolution,
        "memory": backend.memory,
    }


def synchronize() -> None:
    """Wait until the current device has done all its work; nothing where there is no CuPy.

    Raises:
        IndexError: Class numbers or ids were out of range since values were last read.

    Example:
        >>> synchronize()
    """
    if not __getattr__("gpu_enable"):
        return
    backend: Any = get("cupy")
    backend.cupy.cuda.Device().synchronize()
    backend.examine()
