"""The memory of arrays: the pool that new ones on the host are made of, and what a step needs.

NumPy asks the C library for the memory of each array. glibc, that of most Linux systems, returns to
the system what large arrays leave, and the system clears every page of the next one: up to half of
the time of an elementwise step. With higher thresholds the memory stays in the process and is used
again at once. When dezero is imported it has glibc keep up to 1 GiB; the environment variable
``DEZERO_HEAP_LIMIT`` names another number of bytes, and 0 leaves everything as it is. The pool is
the process's: other libraries that ask glibc for memory share it. Other C libraries are left alone,
and CuPy and PyTorch have pools of their own for the memory of devices.

`peak` tells how much memory a piece of code needs.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

__all__ = ["Peak", "Usage", "is_available", "peak", "release", "set_limit", "usage"]

_DEFAULT = 1 << 30
_MOST = (1 << 31) - 1  # thresholds are C ints
_TRIM, _MMAP = -1, -3  # glibc's numbers of its thresholds, see mallopt(3)
_LARGEST = 32 << 20  # bytes of a block that the heap may hold: glibc takes no higher threshold
_SMALLEST = 128 << 10  # glibc's own thresholds


class Usage(NamedTuple):
    """Bytes of the pool.

    Attributes:
        used: What is in use.
        kept: What is free, and kept for the next arrays.
        limit: About the most that is kept at the end of the heap; None: nobody has set a limit.
    """

    used: int
    kept: int
    limit: int | None


class _Info(ctypes.Structure):
    """The struct of mallinfo2(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def _glibc() -> Any:
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # there is none to be asked, as on Windows
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None


_library: Any = _glibc()
_limit: int | None = None


def is_available() -> bool:
    """Whether there is a pool: the C library is glibc."""
    return _library is not None


def set_limit(limit: int) -> None:
    """Keep about ``limit`` bytes of what is freed, in blocks of up to 32 MiB; 0: next to nothing.

    More than 2 GiB is taken as that, the most that glibc can be told. Without glibc nothing
    happens.

    Raises:
        ValueError: ``limit`` is below 0.

    Example:
        >>> set_limit(1 << 30)
    """
    global _limit
    if limit < 0:
        msg = f"set_limit: limit is {limit}, expected at least 0"
        raise ValueError(msg)
    if _library is None:
        return
    limit = min(limit, _MOST)
    _library.mallopt(_TRIM, max(limit, _SMALLEST))
    _library.mallopt(_MMAP, _LARGEST if limit else _SMALLEST)
    if _limit is not None and limit < _limit:
        _library.malloc_trim(ctypes.c_size_t(limit))
    _limit = limit


def usage() -> Usage:
    """What is used and kept now, by all of the process that ask glibc; 0 where it does not tell.

    Example:
        >>> usage().limit in (None, 1 << 30)
        True
    """
    ask = getattr(_library, "mallinfo2", None)  # from glibc 2.33 on
    if ask is None:
        return Usage(0, 0, _limit)
    ask.restype = _Info
    info = ask()
    return Usage(info.uordblks + info.hblkhd, info.fordblks, _limit)


def release() -> None:
    """Give the system what is free.

    Example:
        >>> import numpy as np
        >>> x = np.ones(1 << 21)
        >>> del x
        >>> before = usage().kept
        >>> release()
        >>> usage().kept <= before
        True
    """
    if _library is not None:
        _library.malloc_trim(ctypes.c_size_t(0))


class _Meter:
    """A library's count of bytes in use: now, and at most since it was told to begin anew."""

    def __init__(
        self, now: Callable[[], int], top: Callable[[], int], anew: Callable[[], None]
    ) -> None:
        for meter in _running:
            meter.look()  # what the library knows is forgotten in a moment
        anew()
        self.top, self.start = top, now()
        self.highest = self.start

    def look(self) -> None:
        self.highest = max(self.highest, self.top())

    def most(self) -> int:
        if self in _running:
            self.look()
        return self.highest - self.start

    def __enter__(self) -> None:
        _running.append(self)

    def __exit__(self, *exc: object) -> None:
        self.look()
        _running.remove(self)


_running: list[_Meter] = []


def _hooked(cupy: Any) -> Any:
    """A hook of CuPy's pool that counts bytes: ``most()`` as of `_Meter`."""

    class Hook(cupy.cuda.MemoryHook):
        name = "dezero.memory.peak"
        now = highest = 0

        def malloc_postprocess(self, **kwargs: Any) -> None:
            self.now += kwargs["mem_size"]
            self.highest = max(self.highest, self.now)

        def free_postprocess(self, **kwargs: Any) -> None:
            self.now -= kwargs["mem_size"]

        def most(self) -> int:
            return self.highest

    return Hook()


class Peak:
    """The most bytes that were in use at a time beyond those at the start: see `peak`.

    Attributes:
        host: Arrays of NumPy, and whatever else Python allocates.
        device: Arrays of CuPy and PyTorch on the current CUDA device; 0 if neither uses one.
    """

    def __init__(self, host: _Meter, devices: list[Any]) -> None:
        self._host, self._devices = host, devices

    @property
    def host(self) -> int:
        """Bytes of Python."""
        return self._host.most()

    @property
    def device(self) -> int:
        """Bytes of the device."""
        return sum(meter.most() for meter in self._devices)

    def __repr__(self) -> str:
        return f"<peak: {self.host} bytes on the host, {self.device} on the device>"


@contextmanager
def peak() -> Iterator[Peak]:
    """How much memory a ``with`` block needs: the most in use at a time, beyond what was before.

    On the host tracemalloc counts, NumPy's arrays and all else that Python allocates. Meanwhile
    operations on small arrays take about five times as long, a network's step with large ones a few
    per cent more. Arrays of PyTorch on the host are not counted. On a CUDA device PyTorch's
    allocator counts, and hooks on CuPy's pool do for this thread. The numbers can be read inside
    the block, and blocks be nested; if tracemalloc runs already, its peak begins anew.

    Example:
        >>> import numpy as np
        >>> with peak() as p:
        ...     x = np.ones(1_000_000)
        ...     y = x + x
        ...     del x, y
        >>> p.host // 1_000_000
        16
    """
    import tracemalloc  # what it needs is not loaded yet when dezero is imported

    cupy, torch = sys.modules.get("cupy"), sys.modules.get("torch")
    with ExitStack() as stack:
        if not tracemalloc.is_tracing():
            tracemalloc.start()
            stack.callback(tracemalloc.stop)
        traced = tracemalloc.get_traced_memory
        host = _Meter(lambda: traced()[0], lambda: traced()[1], tracemalloc.reset_peak)
        devices: list[Any] = []
        if torch is not None and torch.cuda.is_initialized():
            cuda = torch.cuda
            devices += [
                _Meter(
                    cuda.memory_allocated, cuda.max_memory_allocated, cuda.reset_peak_memory_stats
                )
            ]
        if cupy is not None:
            devices += [_hooked(cupy)]
        for meter in (host, *devices):
            stack.enter_context(meter)
        yield Peak(host, devices)


def _start() -> None:
    asked = os.environ.get("DEZERO_HEAP_LIMIT", str(_DEFAULT))
    if not asked.isdecimal():
        msg = f"DEZERO_HEAP_LIMIT is {asked!r}, expected a number of bytes"
        raise ValueError(msg)
    if int(asked):
        set_limit(int(asked))


_start()
