"""Threads of kernels that NumPy runs: convolutions work on the images of a batch in parallel.

NumPy lets other threads run while it computes, so parts of a batch are worked on by as many threads
as there are processors. How many is ``DEZERO_NUM_THREADS``, else what is set for BLAS
(``OMP_NUM_THREADS``, ``OPENBLAS_NUM_THREADS``), else the number of processors; ``set_limit``
changes it. While threads share a kernel each calls BLAS with one thread of its own, which is known
how to ask of OpenBLAS: with another library the default is 1. A forked process makes new threads.

Products of parts are rounded otherwise than those of the whole: the last bits depend on the number
of threads and, where a program itself computes in several threads at once, on their timing. With
one thread, or one thread of the program, the same run gives the same bits.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["limit", "pieces", "set_limit", "shared"]

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")

_LEAST = 4_000_000  # multiply-adds that are worth a thread's time: about a tenth of a millisecond
_NAMES = (  # in NumPy's own builds, then in others
    "scipy_openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads64_",
    "openblas_{}_num_threads",
)


def _find_blas() -> tuple[Callable[[int], None], Callable[[], int]] | None:
    """OpenBLAS's functions that set and give its number of threads."""
    try:
        library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    except (ImportError, OSError, TypeError):
        return None
    for name in _NAMES:
        if hasattr(library, name.format("set")):
            return getattr(library, name.format("set")), getattr(library, name.format("get"))
    return None


class _Threads:
    """The pool, and BLAS while it is at work."""

    def __init__(self) -> None:
        self.limit: int | None = None
        self.forget()

    def forget(self) -> None:
        """Start anew, as a forked process has no thread of its parent's."""
        self.pool: ThreadPoolExecutor | None = None
        self.lock = threading.Lock()
        self.busy = 0

    def number(self) -> int:
        if self.limit is None:
            self.limit = _default()
        return self.limit

    def executor(self) -> ThreadPoolExecutor:
        with self.lock:
            if self.pool is None:
                from concurrent.futures import ThreadPoolExecutor

                self.pool = ThreadPoolExecutor(self.number() - 1, "dezero")
            return self.pool

    @contextmanager
    def alone(self) -> Iterator[None]:
        """BLAS takes one thread for each call."""
        blas = _blas()
        with self.lock:
            if blas is not None and not self.busy:
                self.before = blas[1]()
                blas[0](1)
            self.busy += 1
        try:
            yield
        finally:
            with self.lock:
                self.busy -= 1
                if blas is not None and not self.busy:
                    blas[0](self.before)


_threads = _Threads()
_found: list[Any] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.forget)


def _blas() -> Any:
    if not _found:
        _found.append(_find_blas())
    return _found[0]


def _default() -> int:
    asked = os.environ.get("DEZERO_NUM_THREADS")
    if asked is not None:
        if not asked.isdecimal() or not int(asked):
            msg = f"DEZERO_NUM_THREADS is {asked!r}, expected a number from 1 on"
            raise ValueError(msg)
        return int(asked)
    if _blas() is None:
        return 1
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        asked = os.environ.get(name, "")
        if asked.isdecimal() and int(asked):
            return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit() -> int:
    """The most threads that work on one kernel, the calling one included.

    Example:
        >>> limit() >= 1
        True
    """
    return _threads.number()


def set_limit(number: int) -> None:
    """Let at most ``number`` threads work on one kernel; 1: only the calling one.

    Raises:
        ValueError: ``number`` is below 1.

    Example:
        >>> before = limit()
        >>> set_limit(1)
        >>> limit()
        1
        >>> set_limit(before)
    """
    if number < 1:
        msg = f"set_limit: number is {number}, expected at least 1"
        raise ValueError(msg)
    with _threads.lock:
        _threads.pool, _threads.limit = None, number  # the old one's threads end with it


def pieces(n: int, work: int) -> list[slice]:
    """``range(n)`` in equal slices, one for each thread, or fewer if there is not enough to do.

    Args:
        n: How many elements.
        work: About as many multiply-adds of a matrix product take the time of all of them.

    Example:
        >>> pieces(3, work=100)
        [slice(0, 3, None)]
    """
    count = max(1, min(_threads.number(), n, work // _LEAST))
    ends = [n * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def shared(work: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
    """``[work(part) for part in parts]``, each part on a thread of its own, the first on this one.

    The threads have the context of the caller, such as ``np.errstate``. An error is raised when all
    have ended.

    Example:
        >>> shared(lambda part: part.stop - part.start, [slice(0, 2), slice(2, 5)])
        [2, 3]
    """
    if len(parts) < 2 or _threads.number() < 2:
        return [work(part) for part in parts]
    pool = _threads.executor()
    with _threads.alone():
        futures = [pool.submit(copy_context().run, work, part) for part in parts[1:]]
        try:
            first = work(parts[0])
        finally:
            for future in futures:
                future.exception()  # waits
    return [first, *(future.result() for future in futures)]
