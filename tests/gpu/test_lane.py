"""The lane ``cupy`` of the other tests, on the fake device, for what has kernels of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpu import host

TESTS = Path(__file__).resolve().parents[1]
KERNELS = (
    "gelu or softmax or nll or normalize or sigmoid or softplus or xdivy or pad or fold or convolve"
)


@pytest.mark.skipif(host.COMPILER is None, reason="the fake device needs a C++ compiler")
def test_values_and_gradients_on_the_fake_device():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "gpu.lane", "-p", "no:cacheprovider"]
    command += [str(TESTS / "test_gradients.py"), str(TESTS / "test_values.py"), "-k", KERNELS]
    environment = os.environ | {"DEZERO_LANES": "cupy"}
    paths = [str(TESTS.parent), str(TESTS), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
