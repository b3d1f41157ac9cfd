"""The lanes that tests run on: an array library each, on one of its devices.

NumPy, NumPy with read-only arrays, and array-api-strict on ``device1`` run always, the others where
they are installed. ``DEZERO_LANES=numpy,strict,torch`` asks for exactly these: one that is missing
is an error then. ``-k strict`` selects a lane.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dezero import Variable, backends

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the JAX lane is a lane of the CPU

ALWAYS = ("numpy", "readonly", "strict")
OPTIONAL = ("torch", "jax", "dask", "cupy")
_MODULES = {"readonly": "numpy", "strict": "array_api_strict"}


class Lane:
    """One array library on one device.

    Attributes:
        name: The lane's name, which is the backend's but for ``readonly``.
        xp: The backend.
        device: The device as `Variable.to` and the backend take it, or None for the default one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        if name == "jax":
            import jax

            jax.config.update("jax_enable_x64", True)
        self.xp = backends.available("numpy" if name == "readonly" else name)
        self.device = "device1" if name == "strict" else None

    def __repr__(self) -> str:
        return f"<lane {self.name}>"

    def array(self, values: Any) -> Any:
        """An array of this lane with the values of a NumPy array."""
        values = np.asarray(values)
        if self.name in ("numpy", "readonly"):
            values = values.copy()
            values.flags.writeable = self.name == "numpy"
            return values
        return self.xp.from_numpy(values, device=self.device)

    def variable(self, values: Any, requires_grad: bool = True) -> Variable:
        """A Variable of this lane."""
        return Variable(self.array(values), requires_grad=requires_grad)

    def numpy(self, x: Any) -> np.ndarray:
        """The values of an array or a Variable."""
        x = x.data if isinstance(x, Variable) else x
        return np.asarray(backends.backend_of(x).to_numpy(x))

    def dtype(self, x: Any) -> str:
        """The name of a dtype, such as ``"float32"``."""
        return str(x.dtype).rpartition(".")[2]


_made: dict[str, Lane] = {}


def lane_of(name: str) -> Lane:
    """The lane called ``name``."""
    if name not in _made:
        _made[name] = Lane(name)
    return _made[name]


def installed(name: str) -> bool:
    """Whether a lane can run here."""
    if importlib.util.find_spec(_MODULES.get(name, name)) is None:
        return False
    return name != "cupy" or backends.get("cupy").is_available()


def chosen() -> list[str]:
    """The lanes of this run."""
    asked = os.environ.get("DEZERO_LANES")
    if asked is None:
        return [*ALWAYS, *(name for name in OPTIONAL if installed(name))]
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        if name not in ALWAYS + OPTIONAL:
            msg = f"DEZERO_LANES: there is no lane {name!r}, only {', '.join(ALWAYS + OPTIONAL)}"
            raise pytest.UsageError(msg)
        if not installed(name):
            msg = f"DEZERO_LANES asks for {name!r}, which is not installed or finds no device"
            raise pytest.UsageError(msg)
    return names


_LANES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LANES] = chosen()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = metafunc.config.stash[_LANES]
    if "lane" in metafunc.fixturenames:
        metafunc.parametrize("lane", names, indirect=True, scope="session")
    if "other_lane" in metafunc.fixturenames:
        others = [name for name in names if name != "numpy"]
        metafunc.parametrize("other_lane", others, indirect=True, scope="session")
    if "single_lane" in metafunc.fixturenames:
        those = [name for name in names if name in ("numpy", "strict", "torch")]
        metafunc.parametrize("single_lane", those, indirect=True, scope="session")


@pytest.fixture(scope="session")
def lane(request: pytest.FixtureRequest) -> Lane:
    """A lane; the test runs on each."""
    return lane_of(request.param)


@pytest.fixture(scope="session")
def other_lane(request: pytest.FixtureRequest) -> Lane:
    """A lane that is not plain NumPy."""
    return lane_of(request.param)


@pytest.fixture(scope="session")
def single_lane(request: pytest.FixtureRequest) -> Lane:
    """A lane on which single precision is tested: NumPy, strict, PyTorch."""
    return lane_of(request.param)


@pytest.fixture(scope="session")
def chosen_lane(request: pytest.FixtureRequest) -> Callable[[str], Lane]:
    """The lane of a name, for tests of one library; it skips where the run is without that lane."""

    def find(name: str) -> Lane:
        if name not in request.config.stash[_LANES]:
            pytest.skip(f"the lane {name} is not in this run")
        return lane_of(name)

    return find
