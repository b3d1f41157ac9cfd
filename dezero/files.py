"""Files that are either whole or not there: written beside their place, then moved into it."""

import contextlib
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np

__all__ = ["atomic_write", "load_npz", "save_npz"]


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file for writing that appears at ``path`` whole, or not at all.

    The bytes go to a temporary file in the same folder, to the disk, and then by one rename to
    ``path``; a file that was there is replaced. After an exception nothing has changed.

    Example:
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(f"{folder}/a.bin") as file:
        ...         _ = file.write(b"abc")
        ...     os.listdir(folder)
        ['a.bin']
    """
    folder, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def save_npz(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], *, compress: bool = True
) -> None:
    """Write NumPy arrays by name to an ``.npz`` file, atomically.

    Equal arrays give equal bytes. The path is taken as it is: no suffix is added.
    """
    compression = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", compression) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def load_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file by name. Pickled objects in it are refused, not run.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a readable ``.npz``.
    """
    with open(path, "rb") as file:
        try:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                msg = "it holds one array, as .npy does"
                raise ValueError(msg)
            with arrays:
                return {name: arrays[name] for name in arrays.files}
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            msg = f"{os.fspath(path)}: not a readable .npz file ({error})"
            raise ValueError(msg) from error


def _sync_folder(folder: str) -> None:
    """Bring a rename to the disk; where folders cannot be opened (Windows) it is so already."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)
