"""Results and gradients live where their operands live; nothing is moved in between.

array-api-strict refuses operands of two devices, so a constant that was made on the default device
shows as an error on ``device1``.
"""

from __future__ import annotations

import numpy as np
import pytest

import dezero.functions as F
from cases import CASES, given, is_inexact, outputs
from dezero import Variable
from dezero.backends import backend_of

BY_ID = {c.id: c for c in CASES}


@pytest.mark.parametrize("name", BY_ID)
def test_results_and_gradients_stay_on_the_device(name, chosen_lane):
    case, lane = BY_ID[name], chosen_lane("strict")
    if "strict" in case.missing:
        pytest.skip(case.missing["strict"])
    device = lane.xp.strict.Device("device1")
    args = [given(lane, x) for x in case.operands]
    ys = outputs(case.call(*args))
    assert [y.device for y in ys] == [device] * len(ys)
    if case.constant:
        return
    total = sum((F.sum(y) for y in ys[1:]), F.sum(ys[0]))
    total.backward(create_graph=True)
    for x in args:
        if isinstance(x, Variable) and x.grad is not None:
            assert x.grad.device == device
            g, x.grad = x.grad, None
            if g.creator is not None and case.order == 2:
                F.sum(g).backward(retain_graph=True)  # gradients may share what was recorded
                assert x.grad is None or x.grad.device == device


def test_dropout_and_losses_stay_on_the_device(chosen_lane):
    lane = chosen_lane("strict")
    x = lane.variable(np.ones((3, 4)))
    labels = lane.array(np.array([1, 3, 0]))
    for y in (F.dropout(x), F.softmax_cross_entropy(x, labels), F.accuracy(x, labels)):
        assert y.device == x.device
    loss = F.softmax_cross_entropy(F.dropout(x), labels)
    loss.backward()
    assert x.grad.device == x.device


def test_python_numbers_go_to_no_device(chosen_lane):
    """A number beside an array is handed to the library as it is."""
    lane = chosen_lane("strict")
    x = lane.variable(np.array([1.0, 2.0], dtype=np.float32))
    results = [x + 1, 1 - x, 2.0 * x, x / 3, 3 / x, x**2, 2.0**x]
    results += [F.maximum(x, 0), F.where(x.data > 1, x, 0)]
    for y in results:
        assert y.device == x.device
        assert lane.dtype(y) == "float32"


APART = ("meshgrid", "broadcast_arrays")  # each of their arrays stays for itself


@pytest.mark.parametrize("name", [c.id for c in CASES if len(c.operands) == 2
                                  and c.name not in APART
                                  and all(map(is_inexact, c.operands))])  # fmt: skip
def test_two_devices_in_one_operation_are_an_error(name, chosen_lane):
    """The error names both devices and the way out."""
    case, lane = BY_ID[name], chosen_lane("strict")
    a, b = (Variable(lane.xp.from_numpy(x, device=device))
            for x, device in zip(case.operands, ("device1", "device2"), strict=True))  # fmt: skip
    with pytest.raises(TypeError) as caught:
        case.call(a, b)
    for part in ("device1", "device2", "Variable.to"):
        assert part in str(caught.value)


def test_gradient_returns_to_the_device_that_it_came_from(chosen_lane):
    lane = chosen_lane("strict")
    x = lane.variable(np.array([1.0, 2.0]))
    y = x.to("device2")
    assert str(backend_of(y.data).device(y.data)).find("device2") >= 0
    F.sum(y * y).backward()
    assert x.grad.device == x.device
    np.testing.assert_allclose(lane.numpy(x.grad), [2.0, 4.0])


def test_second_order_through_a_move(chosen_lane):
    lane = chosen_lane("strict")
    x = lane.variable(np.array([1.0, 2.0]))
    y = x.to("device2")
    F.sum(y * y * y).backward(create_graph=True)
    g, x.grad = x.grad, None
    F.sum(g).backward()
    np.testing.assert_allclose(lane.numpy(x.grad), [6.0, 12.0])
