"""Data sets: pairs of example and label by number."""

import functools
import io
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np

from .. import random

__all__ = ["Dataset", "Digits"]

_SPLITS = 2  # the stream of `dezero.random.generator` that splits are drawn from


class Dataset:
    """Pairs ``(example, label)`` by number.

    Subclasses override `prepare`, which sets ``data`` and ``label``; ``label`` may stay None.
    A slice or an array of integers gives a pair of arrays; the transforms apply to each example.

    Args:
        train: Which part; a subclass decides what it means.
        transform: A function of one example.
        target_transform: A function of one label.

    Example:
        >>> import numpy as np
        >>> class Squares(Dataset):
        ...     def prepare(self):
        ...         self.data = np.arange(10)
        ...         self.label = self.data**2
        >>> squares = Squares(target_transform=lambda t: -t)
        >>> print(*squares[3])
        3 -9
        >>> squares[:3][1].tolist()
        [0, -1, -4]
    """

    data: Any
    label: Any

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        self.data = None
        self.label = None
        self.prepare()

    def prepare(self) -> None:
        """Set ``data`` and ``label``."""

    def __len__(self) -> int:
        if self.data is None:
            msg = f"{type(self).__name__}: no data; prepare() has to set it"
            raise TypeError(msg)
        return len(self.data)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        if isinstance(index, slice):
            return self._several(range(*index.indices(len(self))))
        if np.ndim(index) == 1:
            return self._several(index)
        if isinstance(index, (bool, np.bool_)) or not np.issubdtype(type(index), np.integer):
            msg = f"{type(self).__name__}: index {index!r}; an integer, slice or list is expected"
            raise TypeError(msg)
        if not -len(self) <= index < len(self):
            msg = f"{type(self).__name__}: index {index} is out of range for {len(self)} examples"
            raise IndexError(msg)
        x = _applied(self.transform, self.data[index])
        t = None if self.label is None else _applied(self.target_transform, self.label[index])
        return x, t

    def _several(self, index: Any) -> tuple[Any, Any]:
        index = np.asarray(index)
        if index.dtype == bool:
            index = np.flatnonzero(index) if len(index) == len(self) else None
        elif index.size and not np.issubdtype(index.dtype, np.integer):
            index = None
        if index is None:
            msg = f"{type(self).__name__}: index must be integers, or {len(self)} booleans"
            raise IndexError(msg)
        index = index.astype(np.intp)
        if index.size and not (-len(self) <= index.min() and index.max() < len(self)):
            msg = (
                f"{type(self).__name__}: indices from {index.min()} to {index.max()} are out of "
                f"range for {len(self)} examples"
            )
            raise IndexError(msg)
        x = _taken(self.data, index, self.transform)
        return x, None if self.label is None else _taken(self.label, index, self.target_transform)


class Digits(Dataset):
    """1,797 handwritten digits of 8x8 pixels, which come with the package.

    ``data`` is float32 ``(N, 64)`` from 0 (paper) to 1 (ink), ``label`` int64 ``(N,)``. The parts
    are the usual ones: the first 1,437 digits to train, the last 360 to test; `split` gives random
    ones of the same sizes.

    The test part of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak
    (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.

    Args:
        train: The first 1,437, or the last 360.
        transform: A function of one example.
        target_transform: A function of one label.

    Example:
        >>> digits = Digits()
        >>> x, t = digits[0]
        >>> x.shape, x.dtype, int(t)
        ((64,), dtype('float32'), 0)
        >>> train, test = Digits.split(seed=0)
        >>> len(train), len(test)
        (1437, 360)
    """

    def prepare(self) -> None:
        self._choose(np.arange(1437) if self.train else np.arange(1437, 1797))

    @classmethod
    def split(cls, seed: int) -> tuple["Digits", "Digits"]:
        """A random split into 1,437 digits to train and 360 to test, a function of ``seed``."""
        order = random.generator(seed, _SPLITS).permutation(1797)
        train, test = cls(train=True), cls(train=False)
        train._choose(order[:1437])
        test._choose(order[1437:])
        return train, test

    def images(self) -> np.ndarray:
        """The pictures as they were scanned: uint8 ``(N, 8, 8)`` from 0 to 16."""
        return _digits()[0][self.index]

    def _choose(self, index: np.ndarray) -> None:
        images, labels = _digits()
        self.index = index
        self.data = images[index].reshape(-1, 64).astype(np.float32) / 16
        self.label = labels[index].astype(np.int64)


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """All images and labels, read-only, since they are kept for the next caller."""
    file = resources.files("dezero.data") / "digits.npz"
    with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


def _applied(transform: Callable[[Any], Any] | None, item: Any) -> Any:
    return item if transform is None else transform(item)


def _taken(items: Any, index: np.ndarray, transform: Callable[[Any], Any] | None) -> np.ndarray:
    """The items at ``index``, each transformed, as one array."""
    if transform is None and isinstance(items, np.ndarray):
        return items[index]
    return np.array([_applied(transform, items[i]) for i in index])
