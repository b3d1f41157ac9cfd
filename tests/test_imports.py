"""What ``import dezero`` loads, each time in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def python(code, *options, **environment):
    """What a new interpreter prints for ``code``; warnings are errors."""
    result = subprocess.run(
        [sys.executable, "-W", "error", *options, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


LOADED = """
import sys
before = set(sys.modules)
{statement}
import json
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
third = {{
    name for name in loaded - set(sys.stdlib_module_names)
    if not name.startswith("_") and name != "dezero"
}}
print(json.dumps(sorted(third)))
"""


def loaded(statement):
    """The packages, other than Python's own, that a statement loads."""
    return set(json.loads(python(LOADED.format(statement=statement))))


def test_import_loads_numpy_and_array_api_compat_only():
    assert "numpy" in loaded("import numpy")
    assert loaded("import dezero") <= {"numpy", "array_api_compat"}


def test_import_loads_little_beyond_numpy():
    parts = """
import sys, numpy
before = set(sys.modules)
import dezero
print("\\n".join(sorted(set(sys.modules) - before)))
"""
    new = python(parts).split()
    heavy = {"asyncio", "http", "email", "urllib.request", "matplotlib", "multiprocessing"}
    heavy |= {
        "unittest",
        "argparse",
        "tqdm",
        "scipy",
        "PIL",
        "dezero.cli",
        "dezero.testing.__main__",
    }
    assert not heavy & set(new)


@pytest.mark.parametrize(
    "statement",
    [
        "import dezero; import numpy as np; x = dezero.Variable(np.ones(2)); (x * x).backward()",
        "import dezero.functions as F; import numpy as np; F.softmax(np.ones((1, 2)))",
        "import dezero; dezero.backends.names()",
    ],
    ids=["sweep", "functions", "names"],
)
def test_use_loads_nothing_else(statement):
    assert loaded(statement) <= {"numpy", "array_api_compat"}


BLOCKED = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ImportError(f"{{name}} is blocked")


sys.meta_path.insert(0, Blocker())
"""


def test_import_works_without_any_optional_library():
    names = ["torch", "jax", "jaxlib", "cupy", "cupyx", "dask", "array_api_strict", "matplotlib"]
    names += ["scipy", "tqdm", "safetensors", "PIL", "ml_dtypes"]
    code = (
        BLOCKED.format(names=set(names))
        + """
import numpy as np
import dezero
import dezero.functions as F
x = dezero.Variable(np.ones((2, 2)))
F.sum(F.gelu(x) @ x[[0, 1, 1]].T).backward(create_graph=True)
assert x.grad.shape == (2, 2)
for name in ("torch", "jax", "cupy", "dask", "strict"):
    try:
        dezero.backends.get(name)
    except ImportError as error:
        assert repr(name) in str(error) and "blocked" in str(error), error
    else:
        raise AssertionError(name)
try:
    x.to("torch")
except ImportError as error:
    print(error)
"""
    )
    assert "backend 'torch' needs a library that cannot be imported" in python(code)


@pytest.mark.parametrize("option", ["-O", "-OO", "-X dev", "-B"])
def test_import_under_options_of_the_interpreter(option):
    code = """
import numpy as np, dezero
x = dezero.Variable(np.array(2.0))
y = x * x * x
y.backward(create_graph=True)
print(x.grad)
"""
    assert python(code, *option.split()) == "12.0\n"


def test_submodules_are_attributes():
    code = """
import dezero
print(dezero.functions.sin.__name__, dezero.core.Variable.__name__, dezero.config.Config.train)
"""
    assert python(code) == "sin Variable True\n"


@pytest.mark.parametrize(
    "module", ["core", "functions", "operators", "backends", "primitive", "config", "random"]
)
def test_any_module_can_be_imported_first(module):
    assert python(f"import dezero.{module}; print(dezero.__version__)").count(".") == 2


def test_star_import_gives_what_all_lists():
    code = """
before = set(globals())
from dezero import *
names = set(globals()) - before - {"before"}
import dezero
assert names == set(dezero.__all__), names ^ set(dezero.__all__)
"""
    python(code)


def test_functions_load_what_they_need():
    code = "import numpy as np, dezero.functions as F; print(F.diag(np.eye(2) * 3.0).data)"
    assert python(code) == "[3. 3.]\n"
