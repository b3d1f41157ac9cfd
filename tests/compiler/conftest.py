"""Compiled functions beside the same functions made plainly."""

import copy
import threading

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Variable
from dezero.compiler import front, plain, plan
from dezero.nested import flat


@pytest.fixture(params=["plain", "plan"])
def executor(request, monkeypatch):
    """Programs run as they stand, and as they are planned."""
    build = {"plain": plain, "plan": plan}[request.param].build
    monkeypatch.setattr(front, "build", build)
    return request.param


def refused(reason):
    """A block in which a call warns that it is not replayed, and why."""
    return pytest.warns(RuntimeWarning, match=reason)


def classifying(net, opt):
    """A training step of a network that classifies, which gives the loss."""

    def step(x, t):
        cost = F.softmax_cross_entropy(net(x), t)
        net.cleargrads()
        cost.backward()
        opt.update()
        return cost.detach()

    return step


def at_once(work, count):
    """Do ``work(i)`` for each ``i`` below ``count``, in threads of their own."""
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def arrays(tree):
    """The arrays of a result, of Variables their gradients too."""
    found = []
    for _, x in flat(tree):
        if isinstance(x, Variable):
            found.append(np.asarray(x.data))
            found += [] if x.grad is None else [np.asarray(x.grad.data)]
        else:
            found.append(x)
    return found


def assert_same(a, b, rtol=0.0):
    """The same structure, classes, shapes, dtypes and numbers; to the bit where ``rtol`` is 0."""
    left, right = arrays(a), arrays(b)
    assert len(left) == len(right)
    for x, y in zip(left, right, strict=True):
        assert type(x) is type(y)
        if not isinstance(x, (np.ndarray, np.generic)):
            assert x == y or (x != x and y != y)
            continue
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        if rtol:
            scale = np.max(np.abs(x), initial=0.0)
            np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * scale)
        else:
            np.testing.assert_array_equal(x, y)


def twins(make, calls, rtol=0.0, replayed=True, runs=6, **options):
    """Compare ``runs`` calls of a function with those of the same function compiled.

    ``make()`` gives a function and whatever it changes; ``calls(i)`` the arguments of call ``i``.
    """
    dezero.seed(3)
    state = dezero.random.get_state()
    outcomes, last = [], None
    for compiled in (False, True):
        dezero.random.set_state(state)
        np.random.seed(5)
        f, changed = make()
        f = dezero.compile(f, **options) if compiled else f
        results = []
        for i in range(runs):
            args = calls(i)
            y = f(*args)
            results.append(copy.deepcopy((y, args, changed)))
        results.append(float(dezero.random.uniform((1,))[0]))
        outcomes.append(results)
        last = f
    dezero.seed(None)
    for a, b in zip(*outcomes, strict=True):
        assert_same(a, b, rtol)
    if replayed:
        assert last.reasons == []
        assert [e.state for e in last._entries].count("ready") >= 1
    return last
