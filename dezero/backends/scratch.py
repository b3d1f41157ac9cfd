"""Work in blocks that fit the processor's cache, in memory that is used again."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["blocks", "runs", "scratch", "unbuffered"]

_MOST = 1 << 22  # bytes; larger scratch memory is given back
_SHORT = 128  # numbers


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


def runs(n: int, most: int) -> Iterator[slice]:
    """``range(n)`` in slices of ``most`` places, at least one.

    Example:
        >>> list(runs(5, 3))
        [slice(0, 3, None), slice(3, 5, None)]
    """
    step = max(1, most)
    for i in range(0, n, step):
        yield slice(i, min(i + step, n))


def blocks(sizes: tuple[int, ...], most: int) -> Iterator[tuple[slice, ...]]:
    """Runs of about ``most`` positions of an array of this shape, in order.

    Example:
        >>> [str(a) + str(b) for a, b in blocks((3, 2), 4)]
        ['slice(0, 2, None)slice(0, 2, None)', 'slice(2, 3, None)slice(0, 2, None)']
    """
    inner = math.prod(sizes[1:])
    if inner > most and len(sizes) > 1:
        for first in runs(sizes[0], 1):
            for rest in blocks(sizes[1:], most):
                yield (first, *rest)
    else:
        for first in runs(sizes[0], most // max(inner, 1)):
            yield (first, *(slice(0, n) for n in sizes[1:]))


def unbuffered(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, while whose call NumPy reads short broadcast operands where they are.

    A ufunc copies the operand that is repeated along rows, or for each row, to a buffer (of 8,192
    numbers) unless a row is longer than that: the copy costs more than the arithmetic. With short
    buffers it does not, where rows have 256 numbers or more; where they have fewer, each row costs
    what the copy did.
    """

    @functools.wraps(function)
    def called(*args: Any) -> Any:
        size = np.setbufsize(_SHORT)  # that of this thread
        try:
            return function(*args)
        finally:
            np.setbufsize(size)

    return called
