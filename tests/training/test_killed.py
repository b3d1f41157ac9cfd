"""Killed at any moment, a training resumes to the same bits."""

import csv
import hashlib
import importlib.util
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dezero.random
from dezero.files import load_npz

SCRIPT = Path(__file__).with_name("killed_job.py")
# How many kills; the suite has fewer, for time.
KILLS = int(os.environ.get("DEZERO_KILLS", "8"))


@pytest.fixture(autouse=True)
def unseeded():
    yield
    dezero.random.seed(None)


def job(folder):
    spec = importlib.util.spec_from_file_location("killed_job", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.job(folder)


def contents(folder):
    """All that a run leaves, but for times."""
    weights = {
        f"{name} {key}": hashlib.sha256(array.tobytes()).hexdigest()
        for name in ("weights.npz", "weights-best.npz")
        for key, array in load_npz(folder / name).items()
    }
    with open(folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    metrics = [{k: v for k, v in row.items() if "second" not in k} for row in rows]
    return weights, metrics, (folder / "updates.csv").read_bytes()


def process(folder):
    command = [sys.executable, "-W", "error", str(SCRIPT), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def generation(folder):
    return max((p.name for p in folder.glob("checkpoint-*.npz")), default="")


def test_killed_at_random_moments(tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    folder.mkdir()
    assert job(whole).run()
    expected = contents(whole)
    chance = random.Random(KILLS)
    kills, runs, finished = 0, 0, 0
    while kills < KILLS:
        runs += 1
        assert runs < 5 * KILLS + 20, "the job ends before it can be killed"
        before = generation(folder)
        child = process(folder)
        # Mostly while it writes its checkpoints; sometimes while it still starts.
        if chance.random() < 0.9:
            while child.poll() is None and generation(folder) == before:
                time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.15))
        alive = child.poll() is None
        child.kill()
        _, error = child.communicate()
        if alive:
            kills += 1
        else:
            assert child.returncode == 0, error
        if not alive:
            assert contents(folder) == expected
            finished += 1
            folder = tmp_path / f"killed{runs}"
            folder.mkdir()
    assert job(folder).run()
    assert contents(folder) == expected
    assert not list(folder.glob(".*"))
    print(f"{kills} kills, {runs} processes, {finished + 1} runs to the end")
