"""A fake device: see `fake_cupy`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dezero import backends
from gpu import fake_cupy, host


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The fake module, in the place of CuPy's."""
    if host.COMPILER is None:
        pytest.skip("the fake device needs a C++ compiler")
    fake = fake_cupy.installed(monkeypatch)
    monkeypatch.delitem(backends._made, "cupy", raising=False)
    backend = backends.get("cupy")
    monkeypatch.setitem(backends.by_type, fake.ndarray, backend)
    yield fake
    backends._made.pop("cupy", None)
