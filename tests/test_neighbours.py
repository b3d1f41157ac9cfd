"""Other libraries on Variables: what docs/neighbours.md promises, and the examples."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dezero import Variable
from neighbours.measure import Chapter, Result, Unfit, measure, normal, positive
from neighbours.page import LIBRARIES, PAGE, lost, name_of, read

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = {"likelihood": ["100"], "filtering": ["300"], "pendulum": []}


def python(*arguments: str, folder: Path = ROOT) -> str:
    """What a Python process of its own prints: SciPy reads its settings when it is imported."""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needs(package: str, same: bool = False) -> None:
    """Skip without a package, and on request where it is another version than the page's."""
    try:
        here = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    if same:
        on_page = re.search(rf"\b{package} ([\d.]+\d)", PAGE.read_text(encoding="utf-8"))
        assert on_page, f"the page does not name a version of {package}"
        if here.split(".")[:2] != on_page[1].split(".")[:2]:
            pytest.skip(f"the page is of {package} {on_page[1]}, this is {here}")


@pytest.mark.parametrize(
    ("package", "chapter"),
    [(library.package, chapter) for library in LIBRARIES.values() for chapter in library.chapters],
)
def test_the_page_keeps_its_promises(package: str, chapter: str) -> None:
    for name in ("numpy", "scipy", package):
        needs(name, same=True)
    python("-m", "neighbours", chapter, "--check", folder=ROOT / "tests")


@pytest.mark.parametrize(("library", "first", "second"), [("scipy", 200, 150), ("sklearn", 45, 0)])
def test_the_page_promises_enough(library: str, first: int, second: int) -> None:
    rows = read(PAGE.read_text(encoding="utf-8"))
    functions = {row.partition("(")[0]: cells for row, cells in reversed(rows.items())}
    those = [cells for name, cells in functions.items() if name.startswith(library)]
    assert sum(cells[0] == "yes" for cells in those) >= first
    assert sum(cells[1] == "yes" for cells in those) >= second


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_check_themselves(name: str) -> None:
    needs("scipy")
    assert python(f"examples/{name}.py", *EXAMPLES[name])


# --- the measuring itself: it must see what is wrong --------------------------------------------


def measured(call, *arrays, **facts) -> Result:
    entry = Chapter("somewhere")
    entry("function", call, *arrays, **facts)
    return measure(entry.entries[0])


def half(x):
    """A value that has lost half of its gradient."""
    return x * x.detach() if isinstance(x, Variable) else x * x


def bent(x):
    """A right gradient that has lost its own."""
    if not isinstance(x, Variable):
        return x * x
    return 2 * x.detach() * x - x.detach() ** 2


def test_right_functions_pass():
    for call in (lambda xp, x: xp.exp(x), lambda xp, x: (x, [x * x]), lambda xp, x: x + 1j * x):
        result = measured(call, normal(2, 3))
        assert (result.first, result.second) == ("ok", "ok")


def test_wrong_gradients_are_seen():
    assert measured(lambda xp, x: half(x), positive(3)).first.startswith("wrong: gradient: ")
    result = measured(lambda xp, x: bent(x), positive(3))
    assert result.first == "ok"
    assert result.second.startswith("wrong: second derivative: ")


def test_lost_graphs_are_seen():
    def call(xp, x):
        return x.detach() if isinstance(x, Variable) else x

    assert measured(call, normal(3)).first == "wrong: the result is a constant: the graph was lost"


def test_wrong_values_are_seen():
    def call(xp, x):
        return x * (1 + 1e-5) if isinstance(x, Variable) else x

    assert measured(call, normal(3)).first.startswith("wrong: output 0 differs from NumPy's by ")


def test_errors_become_reasons():
    result = measured(lambda xp, x: x * np.asarray(x).sum(), normal(3))
    assert result.first == result.second
    assert name_of(result.first) == "converts to NumPy"


def test_entries_at_a_kink_are_refused():
    with pytest.raises(Unfit, match="central differences disagree"):
        measured(lambda xp, x: xp.abs(x), lambda rng: np.array([1e-4, 1.0]))


def test_broken_promises_are_found():
    text = """
| function | with respect to | first order | second order |
|---|---|---|---|
| `a.f` | all arrays | yes | yes |
| `a.g` | x, y | yes | no |
| `a.h` | all arrays | no |  |
"""
    assert read(text) == {"a.f": ("yes", "yes"), "a.g(x, y)": ("yes", "no"), "a.h": ("no", "")}
    kept = [Result("a.f", "ok", "ok", 0), Result("a.g(x, y)", "ok", "Error", 0)]
    assert lost(kept, text) == []
    broken = [
        Result("a.f", "ok", "Error: why", 0),
        Result("a.g(x, y)", "wrong: y", "wrong: y", 0),
        Result("a.h", "wrong: z", "wrong: z", 0),
        Result("a.i", "ok", "ok", 0),
    ]
    assert lost(broken, text) == [
        "a.f: Error: why",
        "a.g(x, y): wrong: y",
        "a.h: wrong: z",
        "a.i is not on the page",
    ]
