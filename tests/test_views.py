"""Views and their bases: long chains, what they hold in memory, and what no_grad makes of them."""

import gc
import weakref

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Function, Variable, no_grad


def leaf(*values):
    return Variable(np.array(values))


def constant(*values):
    return Variable(np.array(values), requires_grad=False)


def equals(x, values):
    np.testing.assert_array_equal(x.data, np.array(values))


# --- under no_grad ------------------------------------------------------------------------------


def _add(view, value):
    view += value


def _set(view, value):
    view[0] = value


@pytest.mark.parametrize("change", [_add, _set])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_constant_view_of_a_recorded_base_may_not_be_written(change, recorded):
    x = leaf(1.0, 2.0, 3.0) * 2.0
    with no_grad():
        view = x[:2]
        if not recorded:
            with pytest.raises(RuntimeError, match="made under no_grad"):
                change(view, 1.0)
    if recorded:
        with pytest.raises(RuntimeError, match="made under no_grad"):
            change(view, leaf(7.0)[0])
    assert x.requires_grad
    equals(x, [2.0, 4.0, 6.0])
    equals(view, [2.0, 4.0])


def test_a_constant_view_of_a_base_that_is_gone_may_be_written():
    v = leaf(7.0)
    h = leaf(1.0, 2.0, 3.0) * 2.0
    with no_grad():
        h = h[:2]
        h += 1.0
    h[0] = v[0] * v[0]
    assert h.requires_grad
    h.sum().backward()
    equals(h, [49.0, 5.0])
    equals(v.grad, [14.0])


def test_a_view_of_a_constant_that_becomes_a_leaf_is_none_any_more():
    v, c = leaf(7.0), constant(1.0, 2.0)
    view = c[:1]
    view.requires_grad = True
    with pytest.raises(RuntimeError, match="leaf"):
        view[0] = v[0]
    c[0] = v[0]
    equals(view, [1.0])
    equals(c, [7.0, 2.0])


def test_an_unchained_view_follows_no_more():
    x = leaf(1.0, 2.0, 3.0) * 2.0
    view = x[:2]
    view.unchain()
    with pytest.raises(RuntimeError, match="leaf"):
        view[0] = 5.0
    x[0] = 5.0
    equals(view, [2.0, 4.0])
    (view * x[:2]).sum().backward()
    equals(view.grad, [5.0, 4.0])


# --- chains -------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [True, False])
def test_a_loop_of_views_and_in_place_operators(recorded):
    v = leaf(1.0, 2.0)
    h = v * 1.0 if recorded else constant(1.0, 2.0)
    for _ in range(1500):
        h = h[::-1]
        h += v
        h = h.reshape(1, 2).T[:, 0]
        h -= v
    assert h.requires_grad
    h.sum().backward()
    equals(h, [1.0, 2.0])
    equals(v.grad, [float(recorded)] * 2)
    assert len(dezero.graph.newest_first([h._node])) < 1500 * 8


def test_a_chain_of_views_that_is_written_at_its_end():
    x = leaf(1.0, 2.0) * 1.0
    y = x
    for _ in range(2000):
        y = y[:]
    y += 1.0
    equals(x, [2.0, 3.0])


def test_a_chain_of_views_that_is_written_at_its_base():
    views = [leaf(1.0, 2.0) * 1.0]
    for _ in range(2000):
        views.append(views[-1][::-1])
    views[0][0] = 5.0
    equals(views[1999], [2.0, 5.0])
    equals(views[2000], [5.0, 2.0])


def test_what_lies_behind_a_base_in_sight_follows():
    x = constant(0.0, 1.0, 2.0, 3.0)
    y = x[1:][1:]  # nobody holds the one between
    y += 10.0
    equals(x, [0.0, 1.0, 12.0, 13.0])
    x[3] = 5.0
    equals(y, [12.0, 5.0])


def test_siblings_keep_a_base_in_sight():
    def siblings():
        base = constant(0.0, 1.0, 2.0)
        return base[:2], base[1:]

    a, b = siblings()
    a += 10.0
    equals(b, [11.0, 2.0])
    b[0] = 3.0
    equals(a, [10.0, 3.0])


def test_an_array_of_rank_0_stays_one():
    x = Variable(np.array(3.0), requires_grad=False)
    x += 1.0
    y = x[...]
    y *= 2.0
    equals(x, 8.0)


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_elements_chosen_by_an_array_hold_no_base(name):
    if name != "numpy":
        pytest.importorskip(name)
    base = Variable(np.ones((3, 4))).to(name) * 1.0
    places = Variable(np.array([0, 2]), requires_grad=False).to(name)
    chosen = base[places], base[:, places], base[base > 0]
    dead = weakref.ref(base)
    del base
    assert dead() is None
    assert all(y.requires_grad for y in chosen)


class Square(Function):
    def forward(self, x):
        return x**2

    def backward(self, g):
        (x,) = self.inputs
        return 2.0 * x * g


def _class_then_in_place():
    h = leaf(1.0, 2.0) * 1.0
    h += Square()(h)
    F.sum(h).backward()


def _class_then_constant_in_place():
    v, c = leaf(1.0, 2.0), constant(1.0, 2.0)
    c += Square()(c * v)


def _views():
    v = leaf(1.0, 2.0, 3.0, 4.0)
    h = v * 1.0
    a = h[1:3]
    a += 1.0
    b = h.reshape(2, 2)
    b[0] = a.sum()
    h.sum().backward(create_graph=True)
    v.grad = None


@pytest.mark.parametrize("step", [_class_then_in_place, _class_then_constant_in_place, _views])
def test_assignment_makes_no_cycles(step):
    step()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_class_sees_the_inputs_of_its_call():
    v = leaf(1.0, 2.0)
    h = v * 1.0
    y = Square()(h)
    assert y.creator.inputs[0] is h
    h += 10.0
    assert y.creator.inputs[0] is not h
    equals(y.creator.inputs[0], [1.0, 2.0])
    y.sum().backward()
    equals(v.grad, [2.0, 4.0])


def test_other_data_shares_no_memory_with_the_old_views(lane):
    p = lane.variable(np.ones(4), requires_grad=False)
    v, w = p[:2], p[2:]
    p.data = lane.array(np.zeros(4))
    p[0] = 5.0
    np.testing.assert_array_equal(lane.numpy(v), [1.0, 1.0])
    w.data = lane.array(np.zeros(2))
    p[3] = 7.0
    np.testing.assert_array_equal(lane.numpy(w), [0.0, 0.0])
