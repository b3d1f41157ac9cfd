"""Every function compiled, on NumPy: the first cases of the gradients' tests, to second order.

Special functions to first order: the second of some takes tens of thousands of steps.
"""

import numpy as np
import pytest

import dezero
import dezero.functions as F
from cases import CASES, FIRST, outputs
from dezero import Variable

from .conftest import refused

SHAPED = ("mask", "unique", "nonzero")  # the shape of their result depends on values
FIXED = [c for c in FIRST if not any(part in c.id for part in SHAPED)]
CHUNK = 10  # a recording costs as much as some cases


def real(y):
    """A number that depends on everything in an array."""
    return F.sum(F.real(y) * 1.3) if y.dtype.kind == "c" else F.sum(y * y + y)


def total(ys):
    parts = [real(y) for y in ys if y is not None and y.requires_grad and y.dtype.kind in "fc"]
    return sum(parts[1:], parts[0]) if parts else None


def derivatives(case, xs):
    """Values, gradients, and the gradients of those."""
    xs = [
        Variable(x) if isinstance(given, np.ndarray) and given.dtype.kind in "fc" else x
        for x, given in zip(xs, case.operands, strict=True)
    ]
    ys = list(outputs(case.call(*xs)))
    found = [y.data for y in ys]
    loss = None if case.constant else total([y for y in ys if isinstance(y, Variable)])
    highest = 1 if case.name.startswith("special.") else case.order
    for order in range(highest if loss is not None else 0):
        for x in xs:
            x.cleargrad() if isinstance(x, Variable) else None
        loss.backward(create_graph=order + 1 < highest)
        gs = [x.grad for x in xs if isinstance(x, Variable)]
        found += [None if g is None else g.data for g in gs]
        loss = total(gs)
        if loss is None:
            break
    return found


@pytest.mark.parametrize("first", range(0, len(FIXED), CHUNK))
def test_functions(first):
    chosen = FIXED[first : first + CHUNK]
    cases = [case for case in chosen if "numpy" not in case.missing]
    operands = [
        [np.array(x) if isinstance(x, np.ndarray) else x for x in c.operands] for c in cases
    ]
    holder = dezero.compile(
        lambda arrays: [derivatives(c, x) for c, x in zip(cases, arrays, strict=True)]
    )
    with np.errstate(all="ignore"):
        expected = [derivatives(c, x) for c, x in zip(cases, operands, strict=True)]
        for _ in range(3):
            found = holder(operands)
    assert holder.reasons == []
    assert len(holder.programs) == 1
    for case, a, b in zip(cases, expected, found, strict=True):
        for x, y in zip(a, b, strict=True):
            assert (x is None) is (y is None), case.id
            if x is None:
                continue
            x, y = np.asarray(x), np.asarray(y)
            assert (x.shape, x.dtype) == (y.shape, y.dtype), case.id
            scale = np.max(np.abs(x[np.isfinite(x)]), initial=0.0)
            np.testing.assert_allclose(y, x, rtol=1e-10, atol=1e-10 * scale, err_msg=case.id)


@pytest.mark.parametrize("part", ["get_item-mask", "nonzero-matrix", "unique_values-vector"])
def test_shapes_that_depend_on_values(part):
    case = next(c for c in CASES if c.id == part)
    compiled = dezero.compile(lambda xs: derivatives(case, xs))
    with refused("the shape of the result depends on values"):
        compiled(list(case.operands))
