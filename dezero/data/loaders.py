"""Loaders: a data set in batches."""

import math
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from .. import backends, random
from .datasets import Dataset

__all__ = ["DataLoader"]


class DataLoader:
    """Batches ``(x, t)`` of a data set, shuffled anew for every pass; the last may be short.

    Each ``for`` loop is one whole pass, also after a loop that was left early, and loops may be
    nested. ``next(loader)`` goes on where it was, as in the book, and ends a pass with
    StopIteration.

    Under ``dezero.seed(n)``, or with ``seed``, the order is a function of the seed and the number
    of the pass; otherwise it is NumPy's ``np.random.permutation``, drawn when the loader is made
    and after each pass.

    Args:
        dataset: A Dataset, or any sequence of pairs ``(x, t)``; ``t`` may be None.
        batch_size: Examples in a batch.
        shuffle: Whether to shuffle.
        gpu: Give CuPy arrays.
        seed: A seed for this loader alone.

    Attributes:
        data_size: The number of examples.
        max_iter: The number of batches in a pass.
        iteration: How many batches of the current pass were given.
        index: The order of the current pass.
        epoch: The number of the current pass, from 0.

    Raises:
        TypeError: ``batch_size`` is not an integer.
        ValueError: ``batch_size`` is less than 1.

    Example:
        >>> loader = DataLoader([(i, i * i) for i in range(5)], batch_size=2, shuffle=False)
        >>> for x, t in loader:
        ...     print(x, t)
        [0 1] [0 1]
        [2 3] [4 9]
        [4] [16]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = True,
        gpu: bool = False,
        *,
        seed: int | None = None,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)):
            msg = f"DataLoader: batch_size is {batch_size!r}, an integer is expected"
            raise TypeError(msg)
        if batch_size < 1:
            msg = f"DataLoader: batch_size is {batch_size}, at least 1 is expected"
            raise ValueError(msg)
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.seed = seed
        self.data_size = len(dataset)
        self.max_iter = math.ceil(self.data_size / self.batch_size)
        self.epoch = -1
        self._stream = random.new_stream() if seed is None else 0
        self.to("cupy" if gpu else "numpy")
        self.reset()

    def to(self, backend: str, device: Any = None) -> Self:
        """Give the batches to a backend's device from now on, and return self.

        Args:
            backend: Its name, such as ``"torch"``.
            device: One of its devices; its default without one.
        """
        self._backend = None if backend == "numpy" else backends.get(backend)
        self._device = device
        return self

    def to_cpu(self) -> None:
        """Give NumPy arrays from now on."""
        self.to("numpy")

    def to_gpu(self) -> None:
        """Give CuPy arrays from now on."""
        self.to("cupy")

    def reset(self) -> None:
        """Begin the next pass."""
        self._begin(self.epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        """Which pass is current, and where nothing is seeded, its order: it fits into JSON."""
        keyed = not self.shuffle or self.seed is not None or random.seeded()
        index = None if keyed else self.index.tolist()
        return {"epoch": self.epoch, "stream": self._stream, "index": index}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to the beginning of the pass that `state_dict` told, under the same seed."""
        self._stream = state["stream"]
        self._begin(state["epoch"], state["index"])

    def _begin(self, epoch: int, index: list[int] | None = None) -> None:
        self.epoch = epoch
        self.iteration = 0
        if index is not None:
            self.index = np.array(index, np.intp)
        elif self.shuffle:
            self.index = random.permutation(
                self.data_size, stream=self._stream, epoch=epoch, key=self.seed
            )
        else:
            self.index = np.arange(self.data_size)

    def __len__(self) -> int:
        return self.max_iter

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if self.iteration:
            self.reset()
        return self._pass(self.index)

    def _pass(self, index: np.ndarray) -> Iterator[tuple[Any, Any]]:
        """One pass; a later one may have begun meanwhile, and then ``iteration`` is that one's."""
        for i in range(self.max_iter):
            if self.index is index:
                self.iteration = i + 1
            yield self._batch(index, i)
        if self.index is index:
            self.reset()

    def __next__(self) -> tuple[Any, Any]:
        if self.iteration >= self.max_iter:
            self.reset()
            raise StopIteration
        self.iteration += 1
        return self._batch(self.index, self.iteration - 1)

    def next(self) -> tuple[Any, Any]:
        """The next batch, as ``next(loader)``."""
        return self.__next__()

    def _batch(self, index: np.ndarray, i: int) -> tuple[Any, Any]:
        chosen = index[i * self.batch_size : (i + 1) * self.batch_size]
        if type(self.dataset).__getitem__ is Dataset.__getitem__:
            x, t = self.dataset[chosen]
        else:
            examples = [self.dataset[int(k)] for k in chosen]
            x = np.array([example[0] for example in examples])
            t = np.array([example[1] for example in examples])
            if examples[0][1] is None:
                t = None
        return self._placed(x), None if t is None else self._placed(t)

    def _placed(self, array: np.ndarray) -> Any:
        if self._backend is None:
            return array
        return self._backend.from_numpy(array, self._device)
