"""Threads of kernels: how many, what they inherit, and that they change no number."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dezero import threads

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _three():
    before = threads.limit()
    threads.set_limit(3)
    yield
    threads.set_limit(before)


def run(code, **environment):
    """What a new interpreter prints for ``code``, or its last line of error."""
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    environment = {**clean, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


LIMIT = "from dezero import threads; print(threads.limit())"


def test_the_environment_says_how_many():
    assert run(LIMIT, DEZERO_NUM_THREADS="5", OMP_NUM_THREADS="3") == "5"
    assert run(LIMIT, DEZERO_NUM_THREADS="0") == (
        "ValueError: DEZERO_NUM_THREADS is '0', expected a number from 1 on"
    )


blas = pytest.mark.skipif(threads._blas() is None, reason="NumPy's BLAS is not OpenBLAS")


@blas
def test_as_many_as_blas_has_else_one_for_each_processor():
    assert run(LIMIT, OMP_NUM_THREADS="3", OPENBLAS_NUM_THREADS="2") == "3"
    assert run(LIMIT, OMP_NUM_THREADS="", OPENBLAS_NUM_THREADS="2") == "2"
    assert run(LIMIT) == run("import os; print(len(os.sched_getaffinity(0)))")


def test_one_where_blas_may_have_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(threads, "_found", [None])
    monkeypatch.delenv("DEZERO_NUM_THREADS", raising=False)
    assert threads._default() == 1
    assert threads.shared(len, ["a", "bc"]) == [1, 2]


def test_a_limit_below_one():
    with pytest.raises(ValueError, match="number is 0, expected at least 1"):
        threads.set_limit(0)


def test_pieces_cover_all_and_are_not_too_small():
    many = 1 << 40
    for n in range(8):
        parts = threads.pieces(n, many)
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(n))
        assert len(parts) == max(1, min(n, 3))
    assert [len(threads.pieces(9, m * threads._LEAST)) for m in (0, 1, 2, 3, 4)] == [1, 1, 2, 3, 3]
    threads.set_limit(1)
    assert threads.pieces(9, many) == [slice(0, 9)]


def test_each_part_has_a_thread_and_the_first_the_callers():
    met = threading.Barrier(3)

    def work(part):
        met.wait(timeout=20)
        return part, threading.get_ident()

    found = threads.shared(work, [5, 6, 7])
    assert [part for part, _ in found] == [5, 6, 7]
    assert found[0][1] == threading.get_ident()
    assert len({ident for _, ident in found}) == 3


@blas
def test_blas_has_one_thread_meanwhile():
    set_number, number = threads._blas()
    before = number()
    try:
        set_number(2)
        assert threads.shared(lambda _: number(), [0, 1]) == [1, 1]
        assert number() == 2
        threads.shared(lambda _: None, [0])
        with pytest.raises(ZeroDivisionError):
            threads.shared(lambda x: 1 // x, [1, 0])
        assert number() == 2
    finally:
        set_number(before)


def test_an_error_is_raised_when_all_have_ended():
    ended = []

    def work(part):
        if part == 0:
            raise KeyError("first")
        time.sleep(0.05)
        ended.append(part)

    with pytest.raises(KeyError, match="first"):
        threads.shared(work, [0, 1, 2])
    assert sorted(ended) == [1, 2]


def test_the_error_state_of_numpy_is_inherited():
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        threads.shared(lambda x: np.ones(1) / x, [1.0, 0.0])
    with np.errstate(divide="ignore"):
        assert (
            threads.shared(lambda x: float(np.ones(1)[0] / x), [1.0, np.zeros(1)[0]])[1] == np.inf
        )


def test_threads_of_the_user_may_share_the_pool():
    results = {}

    def one(i):
        results[i] = [sum(threads.shared(lambda p: p * p, [i, 1, 2])) for _ in range(50)]

    users = [threading.Thread(target=one, args=(i,)) for i in range(6)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert results == {i: [i * i + 5] * 50 for i in range(6)}


FORKED = """
import os, time, warnings
from dezero import threads
warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: there are threads
threads.set_limit(3)
threads.shared(abs, [1, 2, 3])
child = os.fork()
if not child:
    os._exit(0 if threads.shared(abs, [-1, -2, -3]) == [1, 2, 3] else 2)
for _ in range(400):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.05)
else:
    os.kill(child, 9)
print("ended with", os.waitstatus_to_exitcode(status) if done else "a kill: it hung")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_makes_threads_of_its_own():
    """In a process without JAX, which warns of every fork."""
    assert run(FORKED) == "ended with 0"
