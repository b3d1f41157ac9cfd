"""Building a plan takes time in proportion to the program's length."""

import gc
import linecache
import sys

import numpy as np
import pytest

from compiler.programs import BACKEND, Maker
from dezero.compiler import groups
from dezero.compiler.plan import build


def drawn(*shape, dtype=np.float32):
    return np.full(shape, 0.5, dtype)


def forth_and_back(n, *shape, dtype=np.float32):
    """Values that live until their gradient comes."""
    m = Maker()
    x, w = m.input(drawn(*shape, dtype=dtype)), m.input(drawn(*shape, dtype=dtype))
    values = [x]
    for _ in range(n // 3):
        values.append(m.tanh(m.multiply(values[-1], w)))
    g = w
    for y in values[:0:-1]:
        g = m.multiply(g, y)
    return m.output(g)


def small(n):
    return forth_and_back(n, 3, 3)


def large(n):
    return forth_and_back(n, 300, 300)


def numbers(n):
    return forth_and_back(n, dtype=np.float64)


def between_products(n):
    """Chains with something between them that is in none."""
    m = Maker()
    x = m.input(np.full((256, 256), 1e-3, np.float32))
    values = [x]
    for _ in range(n // 4):
        values.append(m.tanh(m.matmul(values[-1], x)))
    g = x
    for y in values[:0:-1]:
        g = m.multiply(m.add(g, y), y)
    return m.output(g)


def sums_of_products(n):
    m = Maker()
    x, total = m.input(drawn(3, 3)), 0.0
    for _ in range(n // 4):
        x = m.tanh(x)
        total = m.add(m.sum(m.multiply(x, x)), total)
    return m.output(total)


def outputs(n):
    """Copies among them: `x` and the same as another array."""
    m = Maker()
    x, found = m.input(drawn(3, 3)), []
    for _ in range(n // 2):
        x = m.tanh(x)
        found += [x, m.copy(x)]
    return m.output(*found)


def unknown(n):
    """Calls whose results may share memory with all that came before."""
    m = Maker()
    x = m.input(drawn(3, 3))
    for _ in range(n):
        x = m.call("mystery", x, call=np.tanh)
    return m.output(x)


def effects(n):
    m = Maker()
    x = m.input(drawn(3, 3))
    for _ in range(n // 3):
        x = m.tanh(x)
        m.call("host", m.copy(x), call=lambda array: None, effect=True)
    return m.output(x)


def work(program):
    """How many instructions of Python `build` takes, its libraries' and compiler's left out."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if event == "call" and "dezero" not in frame.f_code.co_filename:
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        build(program, BACKEND)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "program",
    [small, large, numbers, between_products, sums_of_products, outputs, unknown, effects],
)
def test_four_times_the_steps_are_four_times_the_work(program, monkeypatch):
    monkeypatch.setattr(groups, "_LONGEST", 50)
    assert work(program(600)) < 4.3 * work(program(150))


def test_no_closures():
    """Python's compiler takes quadratic time for a function with many variables of another."""
    source = build(small(60), BACKEND).source
    code = compile(source, "", "exec")
    (run,) = (part for part in code.co_consts if hasattr(part, "co_freevars"))
    assert source.count(" = empty(") > 10
    assert not run.co_freevars
    assert not run.co_cellvars


@pytest.mark.parametrize("program", [small, large, numbers])
def test_a_plan_goes_at_once(program):
    """With its buffers: no cycle waits for the garbage collector."""
    made = program(30)
    before = {*linecache.cache}
    run = build(made, BACKEND)
    shape = made.inputs[0].shape
    assert run([drawn(*shape), drawn(*shape)])[0].shape == shape
    files = linecache.cache.keys() - before
    assert files
    gc.disable()
    try:
        del run
        assert files.isdisjoint(linecache.cache)
    finally:
        gc.enable()
