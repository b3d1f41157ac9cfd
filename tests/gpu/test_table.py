"""The benchmarks of a GPU on the fake device: that they run and compare, not how fast."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dezero import backends

ROOT = Path(__file__).resolve().parents[2]


def loaded(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows():
    return loaded("cuda_rows", ROOT / "benchmarks" / "workloads" / "cuda.py")


@pytest.fixture
def table(rows, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in [n for n in sys.modules if n.partition(".")[0] == "workloads"]:
        monkeypatch.delitem(sys.modules, name)
    return loaded("cuda_table", ROOT / "benchmarks" / "cuda_table.py")


SMALL = {
    "launch": lambda rows: rows._launch,
    "gelu": lambda rows: rows._with_gradient("gelu", 20),
    "softmax": lambda rows: rows._with_gradient("softmax", 4, 5, axis=-1),
    "layer norm": lambda rows: rows._with_gradient("layer_norm", 4, 5),
    "chain": lambda rows: rows._chain(20),
    "cross-entropy": lambda rows: rows._cross_entropy(6, 5),
    "product": lambda rows: rows._product(4, "float32", True),
    "products": lambda rows: rows._products(4),
    "convolution": lambda rows: rows._convolution(2, 16, 5, tf32=True, stride=2),
    "convolution by windows": lambda rows: rows._convolution(2, 3, 5, implicit=False),
    "training": lambda rows: rows._training(4, 10),
    "adam": lambda rows: rows._adam(3, 10),
}


@pytest.mark.parametrize("row", SMALL)
def test_a_row(cupy, rows, table, row):
    lib = rows.Libraries(cupy, None)
    steps = SMALL[row](rows)(lib)
    assert table.disagreement(steps, 1e-4) is None
    cupy.waits.clear()
    times = table.measured(steps, lambda: None, 1, 1e-4)
    assert cupy.waits == []
    text = table.line(row, times)
    assert text.startswith(f"| {row} | ")
    assert text.count("|") == len(table.ENGINES) + 3
    backends.get("cupy")


def test_engines_that_disagree_are_found(table):
    class Found:
        def __init__(self, *numbers):
            self.numbers = np.array(numbers)

        def get(self):
            return self.numbers

    steps = {"dezero": lambda: Found(1.0, 2.0), "cupy": lambda: Found(1.0, 2.1)}
    assert table.disagreement(steps, 1e-2) == "cupy and dezero differ by 0.1"
    assert table.disagreement(steps, 0.1) is None


def test_without_a_device_nothing_is_measured():
    if backends_have_a_device():
        pytest.skip("there is a device, which the table would be measured on")
    command = [sys.executable, str(ROOT / "benchmarks" / "cuda_table.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert "no usable CUDA device: " in done.stdout


def backends_have_a_device():
    try:
        return backends.get("cupy").is_available()
    except ImportError:
        return False
