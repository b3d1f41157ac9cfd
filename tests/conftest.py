"""The lanes that tests run on: an array library each, on one of its devices.

NumPy, NumPy with read-only arrays, and array-api-strict on ``device1`` run always, the others where
they are installed. ``DEZERO_LANES=numpy,strict,torch`` asks for exactly these: one that is missing
is an error then. ``-k strict`` selects a lane.

``DEZERO_PATHS=short`` or ``long`` forces the fast paths of the NumPy backend on or off, see
`paths`.
"""

from __future__ import annotations

import copy
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dezero.functions as F
import paths
from dezero import Variable, backends, random
from dezero.layers import Layer
from dezero.nested import flat

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the JAX lane is a lane of the CPU
# XLA compiles for longer than the small arrays of tests ever run; what the user asks for comes last
_XLA_FLAG = "--xla_backend_optimization_level=0"
if _XLA_FLAG not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{_XLA_FLAG} {os.environ.get('XLA_FLAGS', '')}".strip()

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
        if name == "cupy":
            self.xp.deferred = False  # tests expect errors from the call that is wrong

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

    def compute(self, function: Callable[..., list[Any]], *values: np.ndarray) -> list[Any]:
        """The arrays, or None, that a function of arrays of this lane gives, as NumPy's.

        JAX compiles all that the function does as one program: called step by step, it would
        compile each operation for each shape, which takes ten times as long. Dask computes all
        results at once: one by one, each would compute all that it shares with the others.
        """
        arrays = [self.array(x) for x in values]
        if self.name == "jax":
            import jax

            function = jax.jit(function)
        results = function(*arrays)
        if self.name == "dask":
            import dask

            return list(dask.compute(*results))
        return [None if x is None else self.numpy(x) for x in results]

    def dtype(self, x: Any) -> str:
        """The name of a dtype, such as ``"float32"``."""
        return str(x.dtype).rpartition(".")[2]

    def derivatives(self, network: Layer, *inputs: np.ndarray, order: int = 1) -> dict[str, Any]:
        """What a network gives on this lane, from its own weights, which are on the host.

        Args:
            network: It is copied.
            inputs: Arrays; the real ones are differentiated.
            order: 2 for second derivatives as well, of a sum of sines of the gradients.

        Returns:
            NumPy's arrays by name: outputs, gradients of a sum of sines of these, buffers.
        """
        network = copy.deepcopy(network)
        held = dict(network.namedparams())
        buffers = dict(network.namedbuffers())
        weights = [np.asarray(v.data) for v in (held | buffers).values()]
        names: list[str] = []

        def run(*arrays: Any) -> list[Any]:
            xs = [Variable(x) if "float" in self.dtype(x) else x for x in arrays[: len(inputs)]]
            for variable, array in zip(
                (held | buffers).values(), arrays[len(inputs) :], strict=True
            ):
                variable.data = array
            leaves = {f"x{i}": x for i, x in enumerate(xs) if isinstance(x, Variable)} | held
            random.seed(0)  # what is drawn in the network is the same on every lane
            try:
                ys = [y for _, y in flat(network(*xs))]
            finally:
                random.seed(None)
            found = {f"y{i}": y for i, y in enumerate(ys)}
            for i in range(order):
                mixture = sum(F.sum(F.sin(y)) for y in ys)
                mixture.backward(create_graph=i + 1 < order)
                grads = {name: x.grad for name, x in leaves.items()}
                for x in leaves.values():
                    x.cleargrad()
                found |= {f"{'d' * (i + 1)} {name}": g for name, g in grads.items()}
                ys = [g for g in grads.values() if g is not None and g.requires_grad]
                if not ys:
                    break
            found |= buffers
            names[:] = found
            return [None if y is None else y.data for y in found.values()]

        results = self.compute(run, *inputs, *weights)
        return dict(zip(names, results, strict=True))


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
    mode = os.environ.get("DEZERO_PATHS")
    if mode:
        try:
            paths.force(mode)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("only_paths"):
        if paths.mode not in mark.args:
            pytest.skip(f"paths are {paths.mode}: {mark.kwargs['reason']}")


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


@pytest.fixture(scope="session")
def torch() -> Any:
    """PyTorch, or the test is skipped."""
    return pytest.importorskip("torch", reason="PyTorch is the reference")
