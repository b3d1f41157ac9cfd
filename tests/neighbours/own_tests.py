"""The tests that other libraries have for array libraries, run on Variables.

    ./ci/neighbours own-tests
    ./ci/neighbours own-tests sklearn -x

Without a name all of them run, one after the other; what follows a name goes to pytest. Each suite
knows some array libraries; its list of them is changed here, in memory, so that it has Variables.
SciPy's tests have a script of their own.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PYTEST = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, "--disable-warnings")


def folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        sys.exit(f"{package} is not installed")
    return Path(spec.origin).parent


def sklearn() -> list[str]:
    """The tests with a namespace for a parameter, which is ``dezero.xp`` now."""
    from sklearn.utils import _array_api

    def namespaces(include_numpy_namespaces: bool = True) -> Iterator[str]:
        yield "dezero.xp"

    def combinations(include_numpy_namespaces: bool = True) -> Iterator[tuple[str, None, str]]:
        yield from (("dezero.xp", None, "float64"), ("dezero.xp", None, "float32"))

    _array_api.yield_namespaces = namespaces
    _array_api.yield_namespace_device_dtype_combinations = combinations
    root = folder("sklearn")
    files = [
        ".".join(path.relative_to(root.parent).with_suffix("").parts)
        for path in sorted(root.rglob("test_*.py"))
        if "yield_namespace" in path.read_text(encoding="utf-8")
    ]
    return ["-k", "dezero", "--pyargs", *files]


def array_api_extra() -> list[str]:
    """The tests with a library for a parameter: Variables are in CuPy's place."""
    from array_api_extra._lib._backends import Backend

    named = Backend.modname.fget
    Backend.modname = property(
        lambda library: "dezero.xp" if library is Backend.CUPY else named(library)
    )
    # One asks whether CuPy's own `unique_values` is called.
    wanted = "cupy and not (TestNUnique and test_delegates)"
    tests = str(folder("array_api_extra") / "tests" / "main")
    return ["-W", "error::DeprecationWarning", "-k", wanted, "--rootdir", tests, tests]


def einops() -> list[str]:
    """The tests of operations: the list of backends has ours, in CuPy's place."""
    from einops import _backends

    from dezero.interop import Einops

    class Backend(Einops.made):
        def to_numpy(self, x):
            return x.data  # theirs look at results whose gradient is wanted

    os.environ["EINOPS_TEST_BACKENDS"] = Backend.framework_name
    _backends.CupyBackend = Backend
    _backends._loaded_backends[Backend.framework_name] = Backend()
    tests = folder("einops") / "tests"
    names = ("ops", "einsum", "packing", "other", "examples")
    return ["--rootdir", str(tests), *(str(tests / f"test_{name}.py") for name in names)]


SUITES = {suite.__name__: suite for suite in (sklearn, array_api_extra, einops)}


def main() -> int:
    os.environ["SCIPY_ARRAY_API"] = "1"  # read when SciPy is imported
    if len(sys.argv) > 1:
        import pytest

        if sys.argv[1] not in SUITES:
            sys.exit(f"there are no tests of {sys.argv[1]}, only of {', '.join(SUITES)}")
        return int(pytest.main([*PYTEST, *SUITES[sys.argv[1]](), *sys.argv[2:]]))
    failed = []
    for name in SUITES:
        print(f"{name}:", flush=True)
        if subprocess.run([sys.executable, "-m", "neighbours.own_tests", name]).returncode:
            failed.append(name)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
