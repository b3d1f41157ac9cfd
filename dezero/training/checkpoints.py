"""Checkpoints: numbered generations of a file, of which a damaged one is passed over."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..io import load_npz, save_npz

__all__ = ["Checkpoints"]

_log = logging.getLogger("dezero.training")
_T = TypeVar("_T")


class Checkpoints:
    """The checkpoints ``checkpoint-000001.npz``, ``-000002``, ... in a folder.

    Each is written beside its place, to the disk, and moved into it; it ends with the SHA-256 of
    its bytes. Older ones are removed only when a new one is whole.

    Args:
        folder: It exists.
        keep: How many to keep.

    Attributes:
        skipped: Which files `load` passed over, and why, a line each.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     checkpoints = Checkpoints(folder, keep=2)
        ...     for n in 1, 2, 3:
        ...         _ = checkpoints.save({"n": np.array(n)})
        ...     [path.name for path in checkpoints.paths()]
        ...     checkpoints.load(lambda arrays, source: int(arrays["n"]))
        ['checkpoint-000003.npz', 'checkpoint-000002.npz']
        3
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = 3) -> None:
        if keep < 1:
            msg = f"Checkpoints: keep is {keep}, at least 1 is expected"
            raise ValueError(msg)
        self.folder = Path(folder)
        self.keep = keep
        self.skipped: list[str] = []

    def paths(self) -> list[Path]:
        """The files that are there, the newest first."""
        return [path for _, path in self._numbered()]

    def save(self, arrays: Mapping[str, np.ndarray]) -> Path:
        """Write the next generation, remove those that are too many, and return its path.

        Raises:
            OSError: It cannot be written; all others are still there.
        """
        before = self._numbered()
        number = before[0][0] + 1 if before else 1
        path = self.folder / f"checkpoint-{number:06}.npz"
        save_npz(path, arrays, compress=False)
        for _, old in before[self.keep - 1 :]:
            old.unlink(missing_ok=True)
        return path

    def load(self, restore: Callable[[dict[str, np.ndarray], str], _T]) -> _T | None:
        """What ``restore(arrays, path)`` makes of the newest file that is whole.

        Damaged files are passed over with a warning in the log ``dezero.training``.

        Returns:
            None if there is no file at all.

        Raises:
            ValueError: All are damaged; the message says how each.
        """
        self.skipped = []
        paths = self.paths()
        for path in paths:
            try:
                arrays = load_npz(path, sealed=True)
            except (ValueError, OSError) as error:
                self.skipped.append(str(error))
                continue
            for reason in self.skipped:
                _log.warning("warning: %s; %s is used in its place", reason, path.name)
            return restore(arrays, str(path))
        if paths:
            msg = f"no checkpoint is readable: {'; '.join(self.skipped)}"
            raise ValueError(msg)
        return None

    def _numbered(self) -> list[tuple[int, Path]]:
        found = [
            (int(match[1]), path)
            for path in self.folder.iterdir()
            if (match := re.fullmatch(r"checkpoint-(\d+)\.npz", path.name))
        ]
        return sorted(found, reverse=True)
