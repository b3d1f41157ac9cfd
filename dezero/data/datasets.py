"""Data sets: pairs of example and label by number."""

import functools
import io
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np

from .. import random
from . import draws
from .collation import stacked
from .transforms import Compose

__all__ = ["Dataset", "Digits", "SinCurve", "Spiral", "get_spiral"]

_SPLITS = 2  # the stream of `dezero.random.generator` that splits are drawn from


class Dataset:
    """Pairs ``(example, label)`` by number.

    Subclasses override `prepare`, which sets ``data`` and ``label``; ``label`` may stay None. Or
    they override ``__getitem__`` and ``__len__`` alone, for data that do not fit into memory.
    A slice or an array of integers gives a pair of arrays; the transforms apply to each example.
    A transform that has a method ``many`` is asked for several at once.

    Args:
        train: Which part; a subclass decides what it means.
        transform: A function of one example.
        target_transform: A function of one label.

    Raises:
        ValueError: ``prepare`` set another number of labels than of examples.

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
        # Subclasses may call them: no transform is one that changes nothing.
        self.transform = Compose() if transform is None else transform
        self.target_transform = Compose() if target_transform is None else target_transform
        self.data = None
        self.label = None
        self.prepare()
        if self.label is not None and len(self.label) != len(self):
            msg = f"{type(self).__name__}: {len(self)} examples with {len(self.label)} labels"
            raise ValueError(msg)

    def prepare(self) -> None:
        """Set ``data`` and ``label``."""

    def __len__(self) -> int:
        if self.data is None:
            msg = f"{type(self).__name__}: no data; prepare() has to set it"
            raise TypeError(msg)
        return len(self.data)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        if type(index) is not int:
            if isinstance(index, slice):
                return self._several(range(*index.indices(len(self))))
            if np.ndim(index) == 1:
                return self._several(index)
            if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
                msg = f"{type(self).__name__}: index {index!r}; an integer, slice or list"
                raise TypeError(msg + " is expected")
        if not -len(self) <= index < len(self):
            msg = f"{type(self).__name__}: index {index} is out of range for {len(self)} examples"
            raise IndexError(msg)
        x = self.transform(self.data[index])
        return x, None if self.label is None else self.target_transform(self.label[index])

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
        if not index.size or self._at_once():
            x = _taken(self.data, index, self.transform)
            label = self.label
            return x, None if label is None else _taken(label, index, self.target_transform)
        pairs = [self._example(i) for i in np.where(index < 0, index + len(self), index).tolist()]
        x = stacked([x for x, _ in pairs], "[0]")
        return x, None if self.label is None else stacked([t for _, t in pairs], "[1]")

    def _at_once(self) -> bool:
        """Whether several examples can be taken by one index, and changed together."""
        parts = [(self.data, self.transform)]
        parts += [] if self.label is None else [(self.label, self.target_transform)]
        return all(
            isinstance(items, np.ndarray) and getattr(transform, "many", None) is not None
            for items, transform in parts
        )

    def _example(self, i: int) -> tuple[Any, Any]:
        draws.begin(i)
        try:
            return self[i]
        except Exception as error:
            error.add_note(f"{type(self).__name__}: this was example {i}")
            raise


def get_spiral(train: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Three arms of a spiral of 100 points each, shuffled: the book's numbers.

    NumPy's global generator is seeded, with 1984 to train and 2020 to test, and is left where the
    book leaves it: the printed losses of its chapters follow from that.

    Returns:
        Points, float32 ``(300, 2)``, and the arms that they are of, int64 ``(300,)``.

    Example:
        >>> x, t = get_spiral()
        >>> x.shape, t[:5].tolist()
        ((300, 2), [1, 1, 2, 0, 1])
    """
    np.random.seed(1984 if train else 2020)
    count, arms = 100, 3
    x = np.zeros((count * arms, 2), np.float32)
    t = np.repeat(np.arange(arms, dtype=np.int64), count)
    for place in range(count * arms):
        radius = (place % count) / count
        angle = int(t[place]) * 4.0 + 4.0 * radius + np.random.randn() * 0.2
        x[place] = radius * np.sin(angle), radius * np.cos(angle)
    order = np.random.permutation(count * arms)
    return x[order], t[order]


class Spiral(Dataset):
    """The points of `get_spiral`, with their arms as labels."""

    def prepare(self) -> None:
        self.data, self.label = get_spiral(self.train)


class SinCurve(Dataset):
    """One period in 1,000 points, and the next point of each: 999 pairs, float64 ``(999, 1)``.

    To train it is a sine with noise from -0.05 to 0.05, to test a cosine without. The noise is
    drawn in both cases, as in the book: without a seed, from NumPy's global generator.

    Example:
        >>> curve = SinCurve(train=False)
        >>> len(curve), curve[0][0].tolist()
        (999, [1.0])
    """

    def prepare(self) -> None:
        x = np.linspace(0, 2 * np.pi, 1000)
        noise = -0.05 + (0.05 + 0.05) * random.uniform(x.shape)
        y = np.sin(x) + noise if self.train else np.cos(x)
        self.data = y[:-1, None]
        self.label = y[1:, None]


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


def _taken(items: Any, index: np.ndarray, transform: Any) -> np.ndarray:
    """The items at ``index``, transformed together; none at all are not transformed."""
    if not index.size:
        return items[:0] if isinstance(items, np.ndarray) else np.array([])
    return transform.many(items[index])
