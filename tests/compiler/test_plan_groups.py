"""Which steps form a chain."""

import numpy as np
import pytest

from compiler.programs import Maker
from dezero.compiler.groups import Group, grouped
from dezero.compiler.program import leaves


def groups(m, *outputs, **options):
    """The groups of a program, after a check that each node finds what it needs."""
    program = m.output(*outputs)
    nodes = grouped(program.steps, set(program.outputs), **{"most": 1000, **options})
    there = {*program.inputs, *program.constants}
    done = []
    for node in nodes:
        steps = node.steps if isinstance(node, Group) else [node]
        for step in steps:
            assert there.issuperset(leaves(step.args))
            there |= {*leaves(step.result)}
            done.append(step)
        if isinstance(node, Group):
            made = {v for step in steps for v in leaves(step.result)}
            assert made == node.roles.keys()
            assert made.isdisjoint(node.inputs)
            assert made.issuperset(node.outputs)
    assert len(done) == len(program.steps)
    assert {*done} == {*program.steps}
    return [node for node in nodes if isinstance(node, Group)]


def names(group):
    return [step.name for step in group.steps]


@pytest.fixture
def m():
    return Maker()


def test_a_chain_is_one_group(m):
    x, row = m.input(np.ones((4, 5))), m.input(np.ones(5))
    y = m.tanh(m.add(m.multiply(x, 2.0), row))
    (group,) = groups(m, y)
    assert names(group) == ["multiply", "add", "tanh"]
    assert (group.shape, group.inputs, group.outputs) == ((4, 5), [x, row], [y])


def test_what_goes_through_another_step_is_not(m):
    """A group cannot both come before a step and need its result."""
    x = m.input(np.ones((4, 4)))
    a = m.exp(x)
    b = m.matmul(a, a)
    found = groups(m, m.multiply(m.add(b, a), m.sin(a)))
    assert [names(g) for g in found] in (
        [["exp", "sin"], ["add", "multiply"]],
        [["add", "sin", "multiply"]],
    )


def test_two_groups_that_need_each_other_stay_apart(m):
    x, y = m.input(np.ones((4, 4))), m.input(np.ones((4, 4)))
    a, b = m.exp(x), m.sin(y)
    c, d = m.matmul(a, a), m.matmul(b, b)
    e, f = m.add(b, c), m.add(a, d)
    groups(m, m.multiply(e, e), m.multiply(f, f))


def test_rows_and_totals(m):
    x = m.input(np.ones((6, 5)))
    mean = m.divide(m.sum(x, axis=1, keepdims=True), 5.0)
    rough = m.subtract(x, mean)
    top = m.max(rough, axis=-1)
    e = m.exp(m.subtract(rough, m.reshape(top, (6, 1))))
    total, columns = m.sum(e), m.sum(e, axis=0)
    late = m.multiply(e, columns)
    first, *rest = groups(m, late, total)
    assert "max" in names(first)
    assert names(first).count("sum") == 3
    assert first.trailing == 1
    assert first.roles[mean] == "row"
    assert first.roles[top] == "short"
    assert first.roles[columns] == first.roles[total] == "final"
    assert late not in first.roles
    assert not rest


def test_reductions_can_be_left_out(m):
    x = m.input(np.ones((6, 5)))
    y = m.multiply(m.exp(x), m.sum(x, axis=1, keepdims=True))
    (group,) = groups(m, m.sum(y), most=None)
    assert names(group) == ["exp", "multiply"]


def test_long_rows_are_left_out(m):
    x = m.input(np.ones((6, 50)))
    y = m.multiply(m.exp(x), m.sum(m.exp(x), axis=1, keepdims=True))
    assert all("sum" not in names(g) for g in groups(m, y, most=40))


def test_nothing_passes_an_effect(m):
    x = m.input(np.ones(4))
    a = m.exp(x)
    m.call("host", x, call=lambda array: None, effect=True)
    b = m.sin(m.multiply(x, a))
    (group,) = groups(m, b)
    assert names(group) == ["multiply", "sin"]


def test_small_arrays_and_other_names_are_left_out(m):
    x = m.input(np.ones(4))
    y = m.tanh(m.sin(m.cos(x)))
    assert not groups(m, y, least=5)
    found = groups(m, y, names={"sin", "cos"})
    assert [names(g) for g in found][-1] == ["cos", "sin"]


@pytest.mark.parametrize("seed", range(30))
def test_random_programs_can_run_in_the_order_of_their_groups(m, seed):
    rng = np.random.default_rng(seed)
    values = [m.input(np.ones((3, 3))) for _ in range(2)]
    for _ in range(40):
        a, b = (values[-1 - min(int(rng.exponential(4.0)), len(values) - 1)] for _ in range(2))
        kind = rng.integers(6)
        if kind < 3:
            y = m.add(a, b)
        elif kind == 3:
            y = m.divide(m.matmul(a, b), 9.0)
        elif kind == 4:
            y = m.subtract(a, m.sum(b, axis=1, keepdims=True))
        else:
            y = m.multiply(a, m.max(b, axis=0))
        values.append(m.minimum(y, 2.0))
    groups(m, *values[-3:])
