"""The benchmark suite and ``ci/bench``: that they measure and judge, not how fast anything is."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUITE, COMPARE = ROOT / "benchmarks" / "run.py", ROOT / "ci" / "bench"
PROFILES = ROOT / "benchmarks" / "profiles.py"


def run(script, *arguments):
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def planted(folder, text):
    """A copy of the package that ends with ``text``."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dezero", folder / "dezero", ignore=ignored)
    with open(folder / "dezero" / "__init__.py", "a", encoding="utf-8") as file:
        file.write(text)
    return folder


WRONG = """
_power = Variable.__pow__
Variable.__pow__ = lambda x, n: _power(x, n) * 1.001
"""

CRASH = """
import os
Variable.backward = lambda self: os._exit(3)
"""

RAISE = """
Variable.backward = lambda self: 1 / 0
"""

SLOW = """
_backward = Variable.backward


def _slow(self, *arguments, **options):
    sum(range(20_000))
    return _backward(self, *arguments, **options)


Variable.backward = _slow
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """A run over two small workloads: what it printed, its files, its process."""
    folder = tmp_path_factory.mktemp("suite")
    files = ["--json", folder / "a" / "run.json", "--out", folder / "a" / "run.md"]
    engines = ["--engines", "numpy", "dezero", "compiled", "torch"]
    only = ["--only", "rosenb*", "recorded", "graph-bytes", "chain-1000000"]
    done = run(SUITE, "--quick", "--rounds", "2", *engines, *only, *files)
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "a" / "run.json").read_text(encoding="utf-8"))
    return report, (folder / "a" / "run.md").read_text(encoding="utf-8"), done


def test_json_has_every_sample(suite):
    report, _, _ = suite
    rows = {(row["name"], row["figure"]): row for row in report["rows"]}
    assert [*rows][:3] == [("recorded", "recording"), ("recorded", "backward"), ("rosenbrock", "")]
    for key in [*rows][:3]:
        samples = rows[key]["samples"]
        assert {"numpy", "dezero"} <= samples.keys()
        assert all(len(values) == 2 and min(values) > 0 for values in samples.values())
    assert 0 < rows["graph-bytes", "beyond its arrays"]["samples"]["dezero"][0] < 10_000
    assert report["versions"].keys() >= {"numpy", "dezero"}


def test_quick_leaves_large_graphs_out(suite):
    assert "chain-1000000" not in {row["name"] for row in suite[0]["rows"]}


def test_targets_are_ratios_of_the_rounds(suite):
    report, _, _ = suite
    if importlib.util.find_spec("torch") is None:
        pytest.skip("the targets are ratios to PyTorch, which is not installed")
    (row,) = (row for row in report["rows"] if row["name"] == "rosenbrock")
    target = next(target for target in row["targets"] if target["against"] == "torch")
    pairs = zip(row["samples"]["dezero"], row["samples"]["torch"], strict=True)
    assert target["ratio"] == pytest.approx(sum(a / b for a, b in pairs) / 2)
    assert target["met"] == (target["ratio"] <= target["limit"])


def test_what_is_missing_is_said(suite):
    report, _, _ = suite
    for engine in ("compiled", "torch"):
        notes = [n for n in report["notes"] if n["engine"] == engine]
        measured = any(engine in row["samples"] for row in report["rows"])
        assert measured or all(note["reason"] for note in notes)
        assert measured or notes


def test_markdown_is_what_was_printed(suite):
    _, text, done = suite
    assert text in done.stdout
    assert "| Rosenbrock, value and gradient | µs | " in text
    assert "| NumPy by hand | dezero |" in text


def test_a_plot_needs_a_peer_or_is_written(tmp_path):
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    file = tmp_path / "ratios.svg"
    engines = ["--engines", "numpy", "dezero", "torch"]
    done = run(SUITE, "--quick", "--rounds", "1", "--only", "rosenbrock", "--plot", file, *engines)
    if importlib.util.find_spec("torch") is None:
        assert "nothing was measured with PyTorch" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert "<svg" in file.read_text(encoding="utf-8")


def test_unknown_workload():
    done = run(SUITE, "--only", "nothing-of-that-name")
    assert done.returncode == 1
    assert "there are operations, programs" in done.stderr


@pytest.fixture(scope="module")
def missed(suite, tmp_path_factory):
    """A run's file in which two rows are missed: a time, and a peak."""
    report = json.loads(json.dumps(suite[0]))
    lost = {"against": "numpy", "limit": 0.1, "engine": "dezero", "workload": "", "met": False}
    lost |= {"figure": "", "ratio": 3.0, "low": 3.0, "high": 3.0}
    for row in report["rows"]:
        row["targets"] = [lost] if row["name"] == "rosenbrock" else []
    peak = {**report["rows"][-1], "name": "memory-gelu", "figure": "peak"}
    report["rows"].append({**peak, "targets": [{**lost, "against": "torch", "figure": "peak"}]})
    file = tmp_path_factory.mktemp("missed") / "run.json"
    file.write_text(json.dumps(report), encoding="utf-8")
    return file


def test_profiles_of_what_was_missed(missed, tmp_path):
    if shutil.which("py-spy") is None or importlib.util.find_spec("matplotlib") is None:
        pytest.skip("a profile of times needs py-spy, and its picture matplotlib")
    out, picture = tmp_path / "a" / "profiles.md", tmp_path / "a" / "profiles.svg"
    files = ["--json", missed, "--out", out, "--plot", picture]
    done = run(PROFILES, "--seconds", "1", *files)
    assert done.returncode == 0, done.stderr
    text = out.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## rosenbrock",
        "## memory-gelu",
    ]
    times, peak = text.split("## memory-gelu")
    shares = [float(s) for s in re.findall(r"^\| (-?[\d.]+) % \|", times, re.MULTILINE)]
    assert sum(shares) == pytest.approx(100, abs=2)
    assert "<dezero pow>" in times
    assert "3 of NumPy by hand, at most 0.1: **missed**" in times
    assert "rosenbrock / NumPy by hand" in picture.read_text(encoding="utf-8")
    assert "at the highest" in peak


def test_what_lives_at_a_peak(missed):
    done = run(PROFILES, "memory-tanh-chain", "--json", missed)
    assert done.returncode == 0, done.stderr
    kept = [float(size) for size in re.findall(r"([\d.]+) \| lives \|.*<dezero tanh>", done.stdout)]
    assert max(kept) == pytest.approx(3 * 4e6 / 2**20, abs=0.1)  # three arrays of float32


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["graph-bytes"], "no time and no peak among those named"),
        (["nothing-of-that-name"], "there are operations, programs"),
        (["--json", "nowhere.json"], "nowhere.json: there is no such file"),
    ],
)
def test_profiles_of_nothing(arguments, reason):
    done = run(PROFILES, *arguments)
    assert done.returncode != 0
    assert reason in done.stderr


def test_equal_commits_do_not_differ():
    if not (ROOT / ".git").exists():
        pytest.skip("commits are compared in a checkout only")
    only = ["--only", "rosenbrock", "newton", "--rounds", "3"]
    done = run(COMPARE, "--current-python", "HEAD", "HEAD", *only)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| rosenbrock | µs | " in done.stdout


def test_a_regression_is_found(tmp_path):
    slow = planted(tmp_path, SLOW)
    done = run(COMPARE, "--current-python", ROOT, slow, "--only", "rosenbrock", "--rounds", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "slower than the noise: rosenbrock" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [(WRONG, "wrong: result 0"), (CRASH, "ended with status 3"), (RAISE, "Traceback")],
    ids=["wrong numbers", "a crash", "an exception"],
)
def test_what_fails_is_not_timed(tmp_path, text, reason):
    head = planted(tmp_path, text)
    only = ["--only", "rosenbrock", "--rounds", "1", "--launches", "1"]
    done = run(COMPARE, "--current-python", ROOT, head, *only)
    assert done.returncode == 1
    assert f"rosenbrock, head: {reason}" in done.stderr
    assert "failed with HEAD only: rosenbrock" in done.stderr
