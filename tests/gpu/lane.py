"""A plugin of pytest: the lane ``cupy`` on the fake device.

    DEZERO_LANES=cupy pytest -p gpu.lane tests/test_gradients.py

It shows what the backend does with shapes and dtypes of all kinds; not what CuPy does itself.
"""

from __future__ import annotations

import importlib.machinery
import sys
from typing import Any

import pytest

from gpu import fake_cupy


class _Lasting:
    """As pytest's fixture of this name, but nothing is undone."""

    def setitem(self, table: Any, key: Any, value: Any) -> None:
        table[key] = value

    def setattr(self, holder: Any, name: str, value: Any, raising: bool = True) -> None:
        setattr(holder, name, value)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: Any) -> None:
    from dezero import backends
    from dezero.backends import cuda_convolution

    cupy = fake_cupy.installed(_Lasting())
    sys.modules["cupy"].__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    backends.by_type[cupy.ndarray] = backends.get("cupy")
    cuda_convolution._FEWEST = 1  # the cases have few channels
