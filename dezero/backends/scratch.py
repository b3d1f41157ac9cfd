"""Work in blocks that fit the processor's cache, in memory that is used again."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["blocks", "give", "scratch", "take"]

_MOST = 1 << 22  # bytes; larger scratch memory is given back


class _Scratch(threading.local):
    """Arrays whose memory is used again by the next call with the same name.

    A thread has its own. The values are whatever was there; an array must not leave the function
    that asked for it.
    """

    def __init__(self) -> None:
        self.buffers: dict[str, np.ndarray[Any, Any]] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        size = math.prod(shape) * dtype.itemsize
        buffer = self.buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = np.empty(size, np.uint8)
            if size <= _MOST:
                self.buffers[name] = buffer
        return buffer[:size].view(dtype).reshape(shape)


scratch = _Scratch()

# Memory that was taken and given back. New memory costs a page fault for every 4 kB of it, which
# takes longer than to fill it.
_SPARE = 1 << 25  # bytes that wait at most
_spare: list[np.ndarray[Any, Any]] = []
_lock = threading.Lock()


def take(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of any values, of memory that is there if some was given back."""
    size = math.prod(shape) * dtype.itemsize
    with _lock:
        fitting = [i for i, b in enumerate(_spare) if size <= b.size <= size + size // 4 + 4096]
        best = min(fitting, key=lambda i: _spare[i].size, default=None)
        buffer = None if best is None else _spare.pop(best)
    if buffer is None:
        buffer = np.empty(size, np.uint8)
    return buffer[:size].view(dtype).reshape(shape)


def give(x: Any) -> None:
    """Give back what `take` gave, which nobody may hold any more."""
    buffer = x.base
    if buffer.size <= _SPARE:
        with _lock:
            _spare.append(buffer)
            while sum(b.size for b in _spare) > _SPARE:
                del _spare[0]


def blocks(sizes: tuple[int, ...], most: int) -> Iterator[tuple[slice, ...]]:
    """Runs of about ``most`` positions of an array of this shape, in order.

    Example:
        >>> [str(a) + str(b) for a, b in blocks((3, 2), 4)]
        ['slice(0, 2, None)slice(0, 2, None)', 'slice(2, 3, None)slice(0, 2, None)']
    """
    inner = math.prod(sizes[1:])
    if inner > most and len(sizes) > 1:
        for i in range(sizes[0]):
            for rest in blocks(sizes[1:], most):
                yield (slice(i, i + 1), *rest)
    else:
        step = max(1, most // max(inner, 1))
        for i in range(0, sizes[0], step):
            yield (slice(i, min(i + step, sizes[0])), *(slice(0, n) for n in sizes[1:]))
