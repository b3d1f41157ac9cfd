"""The page docs/neighbours.md: written from results, and read again to compare with new ones."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .measure import WORKS, WRONG, Entry, Result, chapter

ALL = "all arrays"
PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "neighbours.md"


@dataclasses.dataclass(frozen=True)
class Library:
    """A library with a section of the page.

    Attributes:
        package: Its name for pip.
        chapters: The modules of this package that list its functions.
        note: What to know before the tables.
    """

    package: str
    chapters: tuple[str, ...]
    note: str


LIBRARIES = {
    "SciPy": Library(
        "scipy",
        (
            "special",
            "stats",
            "signal",
            "fft",
            "integrate",
            "optimize",
            "differentiate",
            "spatial",
            "linalg",
            "other",
        ),
        """\
With `SCIPY_ARRAY_API=1` in the environment before SciPy is imported, SciPy works on any array of
the Array API standard, and a Variable is one: [scipy.md](scipy.md) shows how to use it. Functions
without a derivative are not listed: ranks, counts, labels, random numbers.
""",
    ),
    "scikit-learn": Library(
        "scikit-learn",
        ("sklearn",),
        """\
With `sklearn.set_config(array_api_dispatch=True)`, and `SCIPY_ARRAY_API=1` as above, estimators and
metrics that support the Array API standard work on Variables. An estimator that is fitted on
Variables has fitted attributes with gradients; where fitting is compiled code, fit on NumPy arrays
and move the estimator (`sklearn.utils._array_api.move_estimator_to`): what it predicts has a
gradient in its argument. Most metrics end in `float()`; those of regression do not with
`multioutput="raw_values"`.
""",
    ),
    "array-api-extra": Library(
        "array-api-extra",
        ("extra",),
        """\
Variables are arrays for it without any setting. `at(x)[key]` updates what was computed; a leaf
needs `copy=True`.
""",
    ),
    "einops": Library(
        "einops",
        ("einops",),
        """\
`einops.array_api` takes Variables without any setting, and so does the main API: dezero gives it a
backend as soon as both are imported, in any order.
""",
    ),
    "opt_einsum": Library(
        "opt_einsum",
        ("opt_einsum",),
        "It finds the order of the products; the products are dezero's.\n",
    ),
}
CHAPTERS = tuple(name for library in LIBRARIES.values() for name in library.chapters)

CAUSES = (
    (
        "converts to NumPy",
        r"conversion to a NumPy array would lose|np\.\w+ \(dezero\.functions may|"
        r"Multiple namespaces for array inputs",
        "the library turns the argument into a NumPy array, or calls NumPy itself, often to reach "
        "compiled code.",
    ),
    (
        "wants Python's numbers",
        r"(float|int|complex)\(\) would lose|must return a scalar value",
        "the library takes `float()` of the argument, and a number carries no gradient.",
    ),
    (
        "compiled, no rule",
        r"np\.\w+ of a Variable is not differentiable",
        "a ufunc in compiled code of which dezero has no derivative.",
    ),
    (
        "gives NaN",
        r"^the (gradient|second derivative) is NaN",
        "the library marks values to leave out by NaN and then computes with them; zero times NaN "
        "is NaN, in a gradient too.",
    ),
)
"""Short names of reasons, patterns of the messages they stand for, and what they mean."""

HEAD = """\
# Other libraries on Variables

Functions of SciPy, scikit-learn and others that have derivatives, and for each whether the
gradient through it is right.

This page is written by `ci/neighbours --write` from the lists in `tests/neighbours`, never by hand.
Each function is called with small random arrays. Its value must be that of NumPy arrays; its
gradient must agree with central differences along random directions to seven digits, and so must
the derivative of the gradient ("second order"; the loss is quadratic in the outputs, so that linear
functions are tested as well). Where a library would convert a Variable to a NumPy array or a Python
number, and so lose the gradient without a word, an error is raised instead: most of the failures
below are that. No gradient was found that is wrong.

Where a function has several rows, by arguments, it counts by its first.
"""


def name_of(reason: str) -> str:
    """What a cell of the table says."""
    if reason == WORKS:
        return "yes"
    for name, pattern, _ in CAUSES:
        if re.search(pattern, reason):
            place = re.search(r" in (\S+), (\w+): ", reason)
            return f"{name}: `{place[2]}` in `{place[1]}`" if place else name
    return reason.replace("|", "\\|").replace("<", "\\<")[:160]


def versions() -> dict[str, str]:
    """The versions of the libraries, and of NumPy."""
    packages = ["numpy", *(library.package for library in LIBRARIES.values())]
    return {name: importlib.metadata.version(name) for name in packages}


def module_of(entry: Entry) -> str:
    """``scipy.signal`` for ``scipy.signal.windows.hann``."""
    return ".".join(entry.name.split(".")[:-1][:2])


def write(results: dict[str, Result]) -> str:
    """The text of the page."""
    wrong = [id for id, result in results.items() if WRONG in (result.first[:5], result.second[:5])]
    if wrong:
        msg = f"wrong gradients are not for a page but to be repaired: {', '.join(wrong)}"
        raise ValueError(msg)
    named = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [HEAD, f"Measured with {named}.", "", "The reasons in short:", ""]
    lines += [f"- *{name}*: {meaning}" for name, _, meaning in CAUSES]
    for title, library in LIBRARIES.items():
        lines += ["", f"## {title}", "", library.note]
        modules: dict[str, list[Entry]] = {}
        for name in library.chapters:
            for entry in chapter(name).entries:
                modules.setdefault(module_of(entry), []).append(entry)
        lines += ["| module | functions | first order | second order |", "|---|---:|---:|---:|"]
        totals = [0, 0, 0]
        for module, entries in sorted(modules.items()):
            counts = counted(entries, results)
            totals = [a + b for a, b in zip(totals, counts, strict=True)]
            lines.append("| {} | {} | {} | {} |".format(module, *counts))
        lines.append("| **all** | **{}** | **{}** | **{}** |".format(*totals))
        for module, entries in sorted(modules.items()):
            lines += ["", f"### {module}", ""]
            lines += table(entries, results)
    return "\n".join(lines) + "\n"


def table(entries: Iterable[Entry], results: dict[str, Result]) -> Iterator[str]:
    """A row for each entry."""
    yield "| function | with respect to | first order | second order |"
    yield "|---|---|---|---|"
    for entry in sorted(entries, key=lambda entry: entry.name.lower()):
        result = results[entry.id]
        first = name_of(result.first)
        second = name_of(result.second) if result.first == WORKS else ""
        arguments = entry.arguments.replace("|", "\\|") or ALL
        yield f"| `{entry.name}` | {arguments} | {first} | {second} |"


def counted(entries: Iterable[Entry], results: dict[str, Result]) -> list[int]:
    """Functions, those right to first order, and those right to second."""
    first_rows: dict[str, Result] = {}
    for entry in entries:
        first_rows.setdefault(entry.name, results[entry.id])
    found = first_rows.values()
    return [
        len(found),
        sum(r.first == WORKS for r in found),
        sum(r.first == r.second == WORKS for r in found),
    ]


def read(text: str) -> dict[str, tuple[str, str]]:
    """The cells of the page by row."""
    rows = {}
    for line in text.splitlines():
        match = re.fullmatch(r"\| `([\w.]+)` \| (.*?) \| (.*?) \| (.*?) \|", line)
        if match:
            arguments = match[2].replace("\\|", "|")
            name = match[1] if arguments == ALL else f"{match[1]}({arguments})"
            rows[name] = match[3], match[4]
    return rows


def lost(results: Iterable[Result], text: str) -> list[str]:
    """What the page promises and the results do not keep."""
    rows = read(text)
    found = []
    for result in results:
        if result.id not in rows:
            found.append(f"{result.id} is not on the page")
            continue
        orders = zip(rows[result.id], (result.first, result.second), strict=True)
        for promise, now in orders:
            if (promise == "yes" and now != WORKS) or now.startswith(WRONG):
                found.append(f"{result.id}: {now}")
                break
    return found
