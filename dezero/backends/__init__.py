"""Array libraries behind one protocol, found by the type of an array.

``by_type[type(x)]`` is the whole look-up once a type was seen; ``backend_of`` resolves new ones
without importing a library that the caller has not imported.
"""

from __future__ import annotations

import importlib
from types import NoneType
from typing import Any

import numpy as np

from .base import Backend, is_basic, is_integer, normalized_axes
from .numpy import NumPyBackend

__all__ = ["Backend", "available", "backend_of", "by_type", "get", "is_basic", "names", "register"]
__all__ += [
    "device_of",
    "is_integer",
    "mixed",
    "move",
    "normalized_axes",
    "numpy_backend",
    "split_device",
]

numpy_backend = NumPyBackend()

# None stands for Python numbers: constants of whatever library they meet.
by_type: dict[type, Backend | None] = {
    np.ndarray: numpy_backend,
    float: None,
    int: None,
    bool: None,
    complex: None,
    NoneType: None,
    **dict.fromkeys(set(np.sctypeDict.values()), numpy_backend),
}

_classes = {
    "numpy": ("numpy", "NumPyBackend"),
    "cupy": ("cupy", "CuPyBackend"),
    "torch": ("torch", "TorchBackend"),
    "jax": ("jax", "JAXBackend"),
    "dask": ("dask", "DaskBackend"),
    "strict": ("strict", "StrictBackend"),
}
_roots = {"jaxlib": "jax", "array_api_strict": "strict"}
_made: dict[str, Backend] = {"numpy": numpy_backend}


def names() -> list[str]:
    """The names of the backends that dezero knows, installed or not.

    Example:
        >>> names()[0]
        'numpy'
    """
    return list(_classes)


def get(name: str) -> Backend:
    """The backend called ``name``; its library is imported if it was not yet.

    Raises:
        ValueError: There is no such backend.
        ImportError: Its library is not installed, or cannot be imported.

    Example:
        >>> get("numpy").name
        'numpy'
    """
    if name not in _made:
        if name not in _classes:
            msg = f"there is no backend {name!r}, expected one of {', '.join(names())}"
            raise ValueError(msg)
        module, cls = _classes[name]
        try:
            _made[name] = getattr(importlib.import_module(f".{module}", __name__), cls)()
        except ImportError as error:
            msg = f"backend {name!r} needs a library that cannot be imported: {error}"
            if name == "cupy":
                msg += ". Install dezero with the extra cuda12x or cuda13x, by the CUDA version"
            raise ImportError(msg) from error
    return _made[name]


def available(name: str) -> Backend:
    """The backend called ``name``, ready to make arrays.

    Raises:
        ValueError: There is no such backend.
        ImportError: Its library is not installed.
        RuntimeError: Its library is there but what it needs is not, such as a CUDA device.

    Example:
        >>> available("numpy").is_available()
        True
    """
    backend = get(name)
    why = backend.why_unavailable()
    if why is not None:
        raise RuntimeError(why)
    return backend


def register(array_type: type, backend: Backend) -> None:
    """Let ``backend`` serve the arrays of ``array_type``.

    Args:
        array_type: The class of the arrays.
        backend: What serves them; also found by its name from now on.

    Raises:
        TypeError: ``array_type`` is not a class, or ``backend`` not a Backend.

    Example:
        >>> import numpy as np
        >>> class Tagged(np.ndarray):
        ...     pass
        >>> register(Tagged, get("numpy"))
        >>> backend_of(np.ones(2).view(Tagged)).name
        'numpy'
    """
    if not isinstance(array_type, type) or not isinstance(backend, Backend):
        msg = f"register needs a class and a Backend, got {array_type!r} and {backend!r}"
        raise TypeError(msg)
    by_type[array_type] = backend
    _made.setdefault(backend.name, backend)
    _classes.setdefault(backend.name, ("", ""))


def backend_of(x: Any) -> Backend:
    """The backend that serves the array ``x``.

    Raises:
        TypeError: ``x`` is not an array of a library that conforms to the Array API standard.

    Example:
        >>> import numpy as np
        >>> backend_of(np.zeros(2)).name
        'numpy'
    """
    cls = x.__class__
    backend = by_type.get(cls)
    if backend is None:
        if cls in by_type or (backend := _resolved(x, cls)) is None:
            msg = f"{cls} is not supported"
            raise TypeError(msg)
        by_type[cls] = backend
    return backend


def _resolved(x: Any, cls: type) -> Backend | None:
    if isinstance(x, np.generic):
        return numpy_backend
    if any(base.__name__ in ("matrix", "MaskedArray") for base in cls.__mro__):
        return None  # their operators mean something else
    has_namespace = hasattr(x, "__array_namespace__")
    for base in cls.__mro__:
        root = base.__module__.partition(".")[0]
        name = _roots.get(root, root)
        if name in _classes and _classes[name][0] and _is_array(x, base, name, has_namespace):
            return get(name)
    if has_namespace and not isinstance(x, type):
        namespace = x.__array_namespace__()
        known = _made.get(namespace.__name__)
        return known or Backend(namespace)
    return None


def _is_array(x: Any, base: type, name: str, has_namespace: bool) -> bool:
    if name == "torch":
        return base.__name__ == "Tensor"
    if name == "dask":
        return base.__module__.startswith("dask.array") and base.__name__ == "Array"
    return has_namespace


def device_of(x: Any) -> str:
    """Where an array lives, for messages: library and device.

    Example:
        >>> import numpy as np
        >>> device_of(np.ones(1))
        'numpy on cpu'
    """
    backend = backend_of(x)
    return f"{backend.name} on {backend.device(x)}"


def mixed(name: str, a: Any, b: Any) -> TypeError:
    """The error for operands of two libraries or devices."""
    return TypeError(
        f"{name}: the operands live in different places, {device_of(a)} and {device_of(b)}. "
        "Move one of them first, with Variable.to(...)"
    )


def move(x: Any, target: Any) -> Any:
    """The array ``x`` in another library or on another device.

    Args:
        x: An array of any backend.
        target: What `Variable.to` takes.

    Raises:
        ValueError, ImportError, RuntimeError: The target does not exist, or is not available.

    Example:
        >>> import numpy as np
        >>> type(move(np.ones(2), "numpy")).__name__
        'ndarray'
    """
    here = backend_of(x)
    name, device = split_device(target)
    if name is None and isinstance(target, str):  # "cpu" and "cuda" without a library's name
        gpu = target.partition(":")[0] in ("cuda", "gpu")
        if here.name == "cupy" and target == "cpu":
            name, device = "numpy", None
        elif here.name == "numpy" and gpu:
            name, device = "cupy", target
    there = here if name is None else available(name)
    if there is not here:
        return there.from_numpy(here.to_numpy(x), device=device)
    return x if device is None else here.to_device(x, device)


def split_device(target: Any) -> tuple[str | None, Any]:
    """What ``Variable.to`` was given, as a backend's name (None: stay) and a device.

    ``"torch"`` and ``"torch:cuda:0"`` name a backend; anything else is a device of the library
    that the array belongs to.

    Example:
        >>> split_device("torch:cuda:0")
        ('torch', 'cuda:0')
    """
    if target is None:
        msg = "to: expected the name of a backend or a device, got None"
        raise TypeError(msg)
    if isinstance(target, Backend):
        return target.name, None
    if isinstance(target, str):
        name, _, device = target.partition(":")
        if name in _classes:
            return name, device or None
    return None, target
