"""Random numbers for changes to examples: keyed by the example, wherever it is made."""

import contextlib
import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .. import random

__all__ = ["Place", "begin", "example_generator", "keyed"]

_EXAMPLES = 1 << 32  # the streams of `dezero.random.generator` from here on are ours


class Place(NamedTuple):
    """The pass that an example is made for: the seed, and the numbers of loader and pass."""

    key: int | None = None
    stream: int = 0
    epoch: int = 0


class _Current(threading.local):
    place = Place()
    index = 0
    rng: np.random.Generator | None = None


_current = _Current()


def example_generator() -> np.random.Generator:
    """The generator that random transforms draw from.

    In a seeded DataLoader, or one with worker processes, it is a function of the seed, the number
    of the pass and the number of the example: neither the other examples nor the process that
    makes this one matter. Elsewhere, the package's next draw seeds it, see `dezero.random`.

    Example:
        >>> with keyed(Place(key=7)):
        ...     begin(3)
        ...     a = example_generator().random()
        ...     begin(3)
        ...     b = example_generator().random()
        >>> a == b
        True
    """
    key, stream, epoch = _current.place
    if key is None:
        return random.generator()
    if _current.rng is None:
        _current.rng = random.generator(key, _EXAMPLES + stream, epoch, _current.index)
    return _current.rng


def begin(index: int) -> None:
    """Say which example is made next."""
    _current.index = index
    _current.rng = None


@contextlib.contextmanager
def keyed(place: Place) -> Iterator[None]:
    """Say which pass the examples made inside are for."""
    before = _current.place, _current.index, _current.rng
    _current.place, _current.rng = place, None
    try:
        yield
    finally:
        _current.place, _current.index, _current.rng = before
