"""Saving and loading: checkpoints, from which training goes on to the bit, and tables."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import random
from .data import DataLoader
from .files import atomic_write, load_npz, save_npz
from .layers import Layer
from .optimizers import Optimizer

__all__ = [
    "checkpoint",
    "load_json",
    "load_npz",
    "restore",
    "save_csv",
    "save_json",
    "save_npz",
]

_FORMAT = 1


def checkpoint(
    model: Layer, optimizer: Optimizer, loader: DataLoader, progress: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Copies of all that training needs to go on as if it had not stopped, as arrays for a file.

    That is the parameters, the optimizer's state, the loader's pass, the state of `dezero.random`,
    and ``progress``. `save_npz` writes them.

    Args:
        model: Its parameters must have data.
        optimizer: Set up with ``model``.
        loader: At the beginning of a pass.
        progress: What else the training loop has to know, of JSON's types.
    """
    meta = {
        "format": _FORMAT,
        "loader": loader.state_dict(),
        "random": random.get_state(),
        "progress": dict(progress),
    }
    arrays = {f"model/{name}": array for name, array in model.weights().items()}
    arrays |= {f"optimizer/{name}": array for name, array in optimizer.state_dict().items()}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    return arrays


def restore(
    arrays: Mapping[str, np.ndarray],
    model: Layer,
    optimizer: Optimizer,
    loader: DataLoader,
    source: str = "checkpoint",
) -> dict[str, Any]:
    """Return model, optimizer, loader and `dezero.random` to what `checkpoint` copied.

    Args:
        arrays: The checkpoint, as `load_npz` reads it.
        model, optimizer, loader: Made as those that were saved.
        source: Named in error messages.

    Returns:
        The ``progress``.

    Raises:
        ValueError: It is not a checkpoint, or does not fit the model.

    Example:
        >>> from dezero.layers import Linear
        >>> from dezero.optimizers import Adam
        >>> model = Linear(1, in_size=2)
        >>> parts = model, Adam().setup(model), DataLoader([(0.0, 1.0)], 1)
        >>> arrays = checkpoint(*parts, {"epoch": 3})
        >>> restore(arrays, *parts)
        {'epoch': 3}
    """
    if "meta" not in arrays:
        msg = f"{source}: not a checkpoint: no entry 'meta'"
        raise ValueError(msg)
    meta = json.loads(arrays["meta"].tobytes())
    if meta.get("format") != _FORMAT:
        msg = f"{source}: checkpoint format {meta.get('format')}, {_FORMAT} is expected"
        raise ValueError(msg)
    before = model.weights()
    model.set_weights(_under("model/", arrays), source)
    try:
        optimizer.load_state_dict(_under("optimizer/", arrays))
    except ValueError:
        model.set_weights(before)
        raise
    random.set_state(meta["random"])
    loader.load_state_dict(meta["loader"])
    return meta["progress"]


def save_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic_write(path) as file:
        file.write(json.dumps(value, indent=2).encode() + b"\n")


def load_json(path: str | os.PathLike[str]) -> Any:
    """The value in a JSON file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not JSON.
    """
    with open(path, "rb") as file:
        try:
            return json.load(file)
        except ValueError as error:
            msg = f"{os.fspath(path)}: not readable as JSON ({error})"
            raise ValueError(msg) from error


def save_csv(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same columns as CSV with a header, atomically; floats in full."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The entries whose names begin with ``prefix``, without it."""
    return {name[len(prefix) :]: a for name, a in arrays.items() if name.startswith(prefix)}
