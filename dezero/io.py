"""Saving and loading: checkpoints, from which training goes on to the bit, and tables."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import random
from .files import atomic_write, load_npz, save_npz
from .layers import Layer

__all__ = [
    "checkpoint",
    "load_json",
    "load_npz",
    "pack",
    "restore",
    "save_csv",
    "save_json",
    "save_npz",
    "unpack",
]

_FORMAT = 2


def pack(state: Any) -> dict[str, np.ndarray]:
    """A state as arrays for a file: ``meta`` is its structure as JSON, the others are its arrays.

    Args:
        state: Nested dictionaries, lists and tuples of numbers, text, booleans, None and NumPy
            arrays. Arrays are named by their places, such as ``model/l0/W``.

    Raises:
        TypeError: Something else is in it; the message says where.

    Example:
        >>> arrays = pack({"t": 3, "slots": [np.zeros(2), (None, 0.1)]})
        >>> sorted(arrays)
        ['meta', 'slots/0']
        >>> unpack(arrays)
        {'t': 3, 'slots': [array([0., 0.]), (None, 0.1)]}
    """
    arrays: dict[str, np.ndarray] = {}
    meta = {"format": _FORMAT, "state": _encoded(state, "", arrays)}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    return arrays


def unpack(arrays: Mapping[str, np.ndarray], source: str = "checkpoint") -> Any:
    """The state that `pack` made ``arrays`` of.

    Args:
        arrays: What `load_npz` gives.
        source: Named in error messages.

    Raises:
        ValueError: It is not such a file.
    """
    if "meta" not in arrays:
        msg = f"{source}: not a checkpoint: no entry 'meta'"
        raise ValueError(msg)
    try:
        meta = json.loads(arrays["meta"].tobytes())
        found = meta.get("format")
    except (ValueError, AttributeError) as error:
        msg = f"{source}: not a checkpoint: its entry 'meta' is not readable ({error})"
        raise ValueError(msg) from error
    if found != _FORMAT:
        msg = f"{source}: checkpoint format {found}, {_FORMAT} is expected"
        raise ValueError(msg)
    try:
        return _decoded(meta["state"], arrays)
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"{source}: not a checkpoint: its entries do not fit its entry 'meta' ({error!r})"
        raise ValueError(msg) from error


def _encoded(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """``value`` as JSON's types: containers and arrays are dictionaries of one entry."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.hasobject:
            msg = f"pack: an array of objects at {path!r}"
            raise TypeError(msg)
        name = path
        while name in arrays or name in ("", "meta"):
            name += "'"
        arrays[name] = np.asarray(value)
        return {"array": name}

    def inner(key: Any, item: Any) -> Any:
        return _encoded(item, f"{path}/{key}" if path else str(key), arrays)

    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                msg = f"pack: the key {key!r} at {path!r} is not text"
                raise TypeError(msg)
        return {"dict": {key: inner(key, item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [inner(i, item) for i, item in enumerate(value)]}
    msg = f"pack: a {type(value).__name__} at {path!r}; numbers, text and arrays can be saved"
    raise TypeError(msg)


def _decoded(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {key: _decoded(item, arrays) for key, item in content.items()}
    items = [_decoded(item, arrays) for item in content]
    return items if kind == "list" else tuple(items)


def checkpoint(
    model: Layer, optimizer: Any, loader: Any, progress: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Copies of all that training needs to go on as if it had not stopped, as arrays for a file.

    That is the model's weights, the states of optimizer and loader, the state of `dezero.random`,
    and ``progress``. `save_npz` writes them.

    Args:
        model: Its parameters must have data.
        optimizer: Set up with ``model``.
        loader: Its place in the data is kept, if it has a ``state_dict``.
        progress: What else the training loop has to know: anything that `pack` takes.
    """
    return pack(
        {
            "model": model.weights(),
            "optimizer": optimizer.state_dict(),
            "loader": loader.state_dict() if hasattr(loader, "state_dict") else None,
            "random": random.get_state(),
            "progress": dict(progress),
        }
    )


def restore(
    arrays: Mapping[str, np.ndarray],
    model: Layer,
    optimizer: Any,
    loader: Any,
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
        >>> from dezero.data import DataLoader
        >>> from dezero.layers import Linear
        >>> from dezero.optimizers import Adam
        >>> model = Linear(1, in_size=2)
        >>> parts = model, Adam().setup(model), DataLoader([(0.0, 1.0)], 1)
        >>> arrays = checkpoint(*parts, {"epoch": 3})
        >>> restore(arrays, *parts)
        {'epoch': 3}
    """
    state = unpack(arrays, source)
    parts = {"model", "optimizer", "loader", "random", "progress"}
    if not isinstance(state, dict) or state.keys() != parts:
        msg = f"{source}: not a checkpoint of model, optimizer, loader, random and progress"
        raise ValueError(msg)
    before = model.weights()
    model.set_weights(state["model"], source)
    try:
        optimizer.load_state_dict(state["optimizer"])
    except ValueError as error:
        model.set_weights(before)
        msg = f"{source}: {error}"
        raise ValueError(msg) from error
    random.set_state(state["random"])
    if state["loader"] is not None:
        loader.load_state_dict(state["loader"])
    return state["progress"]


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
    """Write rows as CSV with a header, atomically; floats in full, nothing for what a row lacks."""
    text = io.StringIO()
    if rows:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
