"""The pool of freed memory on the host, each time in a process of its own."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, memory
from dezero.primitive import primitive

ROOT = Path(__file__).resolve().parent.parent
FAULTS = """
import resource
import numpy as np
import dezero.functions as F
from dezero import Variable, memory
from dezero.primitive import primitive

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    x = Variable(array)
    F.sum(F.tanh(F.tanh(x) * 1.5)).backward()

array = np.ones(1_000_000, np.float32)
"""


def run(code, **environment):
    """What a new interpreter prints for ``code``, or its last line of error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    return done.stdout if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


glibc = pytest.mark.skipif(not memory.is_available(), reason="the C library is not glibc")


@glibc
def test_a_step_needs_no_new_pages_until_the_pool_is_switched_off():
    code = (
        FAULTS
        + """
for _ in range(3):
    step()
before = pages()
for _ in range(10):
    step()
pooled = pages() - before
memory.set_limit(0)
step()
before = pages()
for _ in range(10):
    step()
print(pooled, pages() - before)
"""
    )
    pooled, without = map(int, run(code).split())
    assert pooled < 1000  # a step over 4 MB arrays writes to several thousand
    assert without > 10_000


@glibc
def test_what_is_kept_is_seen_capped_and_released():
    code = (
        FAULTS
        + """
for _ in range(3):
    step()
full = memory.usage()
memory.set_limit(1 << 20)
capped = memory.usage()
memory.set_limit(1 << 30)
for _ in range(3):
    step()
memory.release()
print(full.limit, capped.limit, full.used > 4e6)
import ctypes
status = open("/proc/self/status").read()
print(int(status.partition("VmRSS:")[2].split()[0]) // 1024)
"""
    )
    facts, resident = run(code).splitlines()
    assert facts == f"{1 << 30} {1 << 20} True"
    assert int(resident) < 200


def test_the_environment_sets_the_limit_or_leaves_all_as_it_is():
    code = "from dezero import memory; print(memory.usage().limit)"
    assert run(code, DEZERO_HEAP_LIMIT="0").strip() == "None"
    want = str(5 << 20) if memory.is_available() else "None"
    assert run(code, DEZERO_HEAP_LIMIT=str(5 << 20)).strip() == want
    assert "DEZERO_HEAP_LIMIT is '1 GB', expected a number of bytes" in run(
        code, DEZERO_HEAP_LIMIT="1 GB"
    )


def test_a_limit_below_zero():
    with pytest.raises(ValueError, match="limit is -1, expected at least 0"):
        memory.set_limit(-1)


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory, "_library", None)
    before = memory.usage().limit
    memory.set_limit(123)
    memory.release()
    assert memory.usage() == (0, 0, before)
    assert not memory.is_available()


@glibc
def test_a_limit_beyond_what_glibc_takes():
    code = "from dezero import memory; memory.set_limit(8 << 30); print(memory.usage().limit)"
    assert run(code).strip() == str((1 << 31) - 1)


# --- peaks --------------------------------------------------------------------------------------

SIZE = 8 * 100_000


def ones(count=1):
    return np.ones(count * 100_000)


def near(found, arrays):
    """That many arrays of `ones`, and a few small things."""
    assert arrays * SIZE <= found < arrays * SIZE + 50_000


def test_a_peak_is_the_most_in_use_at_a_time_beyond_the_start():
    held = ones(3)
    with memory.peak() as p:
        x = ones()
        near(p.host, 1)
        y = ones(2)
        del x
        z = ones()
    assert not tracemalloc.is_tracing()
    del y, z, held
    later = ones(9)
    near(p.host, 3)
    assert p.device == 0
    assert repr(p) == f"<peak: {p.host} bytes on the host, 0 on the device>"
    del later


def test_peaks_within_a_peak():
    with memory.peak() as outer:
        x = ones(5)
        del x
        with memory.peak() as first:
            y = ones(2)
            with memory.peak() as second:
                z = ones(1)
                del z
            del y
        near(outer.host, 5)
        near(second.host, 1)
        near(first.host, 3)
    near(outer.host, 5)
    near(first.host, 3)


def test_what_is_freed_inside_does_not_count_against_the_peak():
    tracemalloc.start()
    try:
        x = ones(4)
        with memory.peak() as p:
            del x
            y = ones(1)
        assert 0 <= p.host < 50_000
        assert tracemalloc.is_tracing()
        del y
    finally:
        tracemalloc.stop()


def test_a_step_of_a_network_has_the_peak_that_its_arrays_explain():
    x = Variable(ones())
    with memory.peak() as p:
        y = F.sum(F.exp(F.exp(F.exp(x))))
        y.backward()
    near(p.host, 4)  # three results and a gradient; then two, a gradient and the next one


def test_an_error_ends_the_count():
    with pytest.raises(KeyError), memory.peak() as p:
        raise KeyError
    assert not tracemalloc.is_tracing()
    assert p.host < 50_000


class Hook:
    """As CuPy's: active between enter and exit."""

    active: ClassVar[list] = []

    def __enter__(self):
        self.active.append(self)

    def __exit__(self, *exc):
        self.active.remove(self)


def test_hooks_count_for_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(MemoryHook=Hook)))
    with memory.peak() as p:
        (hook,) = Hook.active
        facts = {"device_id": 0, "mem_ptr": 1, "pmem_id": 1}
        hook.malloc_postprocess(size=500, mem_size=512, **facts)
        hook.malloc_postprocess(size=1000, mem_size=1024, **facts)
        hook.free_postprocess(mem_size=1024, **facts)
        hook.malloc_postprocess(size=512, mem_size=512, **facts)
        assert p.device == 1536
    assert Hook.active == []
    assert p.device == 1536


def test_torch_counts_for_its_device(monkeypatch):
    now, top = [1000], [9000]
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        memory_allocated=lambda: now[0],
        max_memory_allocated=lambda: top[0],
        reset_peak_memory_stats=lambda: top.__setitem__(0, now[0]),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with memory.peak() as p:
        now[0], top[0] = 1500, 4000
        assert p.device == 3000
    top[0] = 99_000
    assert p.device == 3000


# --- gradients of leaves ------------------------------------------------------------------------


@primitive(lambda xp, g, x_shape: xp.reshape(g * 2.0, x_shape))
def doubled_row(xp, x):
    """Its gradient is a view of an array that nobody else holds."""
    return xp.reshape(x, (-1,)) * 2.0


def test_a_gradient_that_alone_holds_its_memory_is_not_copied():
    x = Variable(np.ones((1000, 100)))
    y = doubled_row(x)
    y.grad = Variable(np.ones(100_000))
    with memory.peak() as p:
        y.backward()
    near(p.host, 1)
    assert x.grad.data.base is not None
    np.testing.assert_array_equal(x.grad.data, np.full((1000, 100), 2.0))


def test_a_gradient_whose_memory_others_hold_is_copied():
    a, b, g = Variable(np.ones((2, 3))), Variable(np.ones((3, 2))), np.ones(6)
    y = F.reshape(a, (6,)) + F.reshape(b, (6,))
    y.grad = Variable(g)
    y.backward()
    arrays = [a.grad.data, b.grad.data, g]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[i + 1 :])


def test_a_gradient_that_is_part_of_a_larger_array_is_copied():
    x = Variable(np.ones(3))
    y = F.concat([x, np.ones(5)])
    y.grad = Variable(np.ones(8))
    y.backward()
    assert x.grad.data.base is None


def test_networks_do_not_load_what_numpy_loads_lazily():
    """The compat namespace does: 6 MB of modules."""
    code = """
import sys
import numpy as np
import dezero.functions as F
from dezero import layers as L, optimizers

first = L.Sequential(L.Conv2d(8, 3, pad=1), L.BatchNorm(), F.relu, lambda x: F.max_pool(x, 2))
model = L.Sequential(first, lambda x: F.reshape(x, (2, -1)), L.Linear(4), L.LayerNorm(4))
rule = optimizers.Adam().setup(model)
loss = F.softmax_cross_entropy(model(np.ones((2, 3, 8, 8), np.float32)), np.array([0, 1]))
loss.backward()
rule.update()
print([m for m in ("array_api_compat.numpy", "numpy.f2py", "numpy.testing") if m in sys.modules])
"""
    assert run(code).strip() == "[]"
