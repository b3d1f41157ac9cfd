"""Options and edges of the standard's functions beyond their cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, no_grad, using_config

nan = math.nan


# --- sets -------------------------------------------------------------------------------------


def test_unique_all(lane):
    if lane.name == "dask":
        pytest.skip("the places need a shape that is known")
    values = np.array([[3.0, 1.0, 3.0], [2.0, 1.0, -1.0]])
    x = lane.variable(values)
    result = F.unique_all(x)
    got = {name: lane.numpy(part) for name, part in result._asdict().items()}
    np.testing.assert_array_equal(got["values"], [-1, 1, 2, 3])
    np.testing.assert_array_equal(got["indices"], [5, 1, 3, 0])
    np.testing.assert_array_equal(got["inverse_indices"], [[3, 1, 3], [2, 1, 0]])
    np.testing.assert_array_equal(got["counts"], [1, 2, 1, 2])
    assert [part.requires_grad for part in result] == [True, False, False, False]
    F.sum(result.values * lane.array(np.array([1.0, 2.0, 3.0, 4.0]))).backward()
    np.testing.assert_array_equal(lane.numpy(x.grad), [[4, 2, 0], [3, 0, 1]])


def test_unique_takes_every_nan_for_itself(lane):
    if lane.name == "dask":
        pytest.skip("the places need a shape that is known")
    x = lane.variable(np.array([nan, 1.0, nan, 1.0]))
    for record in (True, False):
        with using_config("enable_backprop", record):
            values, counts = F.unique_counts(x)
            np.testing.assert_array_equal(lane.numpy(values), [1, nan, nan])
            np.testing.assert_array_equal(lane.numpy(counts), [2, 1, 1])
            np.testing.assert_array_equal(lane.numpy(F.unique_values(x)), [1, nan, nan])


def test_unique_names_and_constants(lane):
    x = lane.variable(np.array([2.0, 1.0, 2.0]), requires_grad=False)
    counts, inverse = F.unique_counts(x), F.unique_inverse(x)
    assert counts._fields == ("values", "counts")
    assert inverse._fields == ("values", "inverse_indices")
    np.testing.assert_array_equal(lane.numpy(counts.values), [1, 2])
    np.testing.assert_array_equal(lane.numpy(counts.counts), [1, 2])
    np.testing.assert_array_equal(lane.numpy(inverse.inverse_indices), [1, 0, 1])
    np.testing.assert_array_equal(lane.numpy(F.unique_values(x)), [1, 2])
    assert not any(part.requires_grad for part in (*counts, *inverse))


def test_unique_of_nothing(lane):
    if lane.name == "dask":
        pytest.skip("the places need a shape that is known")
    x = lane.variable(np.zeros((0, 2)))
    result = F.unique_all(x)
    assert [part.shape for part in result] == [(0,), (0,), (0, 2), (0,)]
    F.sum(result.values).backward()
    assert x.grad.shape == (0, 2)


# --- statistics -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["var", "std"])
@pytest.mark.parametrize("correction", [3, 3.5])
def test_a_variance_of_too_few_is_nan_with_gradient_zero(name, correction, lane):
    x = lane.variable(np.array([[1.0, 2.0, 4.0]]))
    for create_graph in (False, True):
        if create_graph and lane.name == "dask":
            continue
        x.cleargrad()
        y = getattr(F, name)(x, axis=1, correction=correction)
        assert np.isnan(lane.numpy(y)).all()
        F.sum(y).backward(create_graph=create_graph)
        np.testing.assert_array_equal(lane.numpy(x.grad), [[0, 0, 0]])


@pytest.mark.parametrize("name", ["sum", "prod", "cumulative_sum", "cumulative_prod"])
def test_dtype_of_the_result(name, single_lane):
    lane = single_lane
    function = getattr(F, name)
    values = np.array([1.5, 2.0, 3.0], dtype=np.float32)
    x = lane.variable(values)
    y = function(x, dtype=lane.xp.float64)
    assert lane.dtype(y) == "float64"
    want = getattr(np, name)(values.astype(float))
    np.testing.assert_allclose(lane.numpy(y), want)
    F.sum(y).backward()
    assert lane.dtype(x.grad) == "float32"
    wide = lane.variable(values.astype(float))
    F.sum(function(wide)).backward()
    np.testing.assert_allclose(lane.numpy(x.grad), lane.numpy(wide.grad))
    whole = function(lane.array(np.array([1, 2, 3])), dtype=lane.xp.float64)
    assert lane.dtype(whole) == "float64"


def test_diff_of_few(lane):
    for n in (3, 4):
        x = lane.variable(np.array([1.0, 2.0, 4.0]))
        y = F.diff(x, n=n)
        assert y.shape == (0,)
        F.sum(y).backward()
        np.testing.assert_array_equal(lane.numpy(x.grad), [0, 0, 0])


# --- creation ---------------------------------------------------------------------------------


def test_full_like_of_a_variable_keeps_its_gradient(lane):
    c = lane.variable(np.array(2.0))
    y = F.full_like(lane.array(np.zeros((2, 3))), c)
    np.testing.assert_array_equal(lane.numpy(y), np.full((2, 3), 2.0))
    F.sum(y * y).backward()
    assert float(lane.numpy(c.grad)) == 24


@pytest.mark.parametrize("name", ["empty_like", "zeros_like", "ones_like", "full_like"])
def test_likeness(name, lane):
    more = (7.0,) if name == "full_like" else ()
    x = lane.variable(np.zeros((2, 3), dtype=np.float32))
    for y in (
        getattr(F, name)(x, *more),
        getattr(F, name)(x, *more, device=lane.xp.device(x.data)),
    ):
        assert y.shape == (2, 3)
        assert lane.dtype(y) == "float32"
        assert lane.xp.device(y.data) == lane.xp.device(x.data)
    y = getattr(F, name)(x, *more, dtype=lane.xp.float64)
    assert lane.dtype(y) == "float64"
    assert not y.requires_grad


def test_triangles_leave_nothing_of_what_they_cut(lane):
    """Neither values nor gradients: 0 times NaN would be NaN."""
    x = lane.variable(np.array([[1.0, nan], [2.0, 3.0]]))
    y = F.tril(x)
    np.testing.assert_array_equal(lane.numpy(y), [[1, 0], [2, 3]])
    F.sum(y * y).backward()
    np.testing.assert_array_equal(lane.numpy(x.grad), [[2, 0], [4, 6]])


# --- manipulation -----------------------------------------------------------------------------


def test_several_results_are_tuples(lane):
    x, y = lane.variable(np.ones((2, 1))), lane.variable(np.ones(3))
    for parts in (F.unstack(x), F.broadcast_arrays(x, y), F.meshgrid(y, y)):
        assert type(parts) is tuple
        assert len(parts) == 2
    assert F.broadcast_arrays() == F.meshgrid() == F.unstack(lane.variable(np.ones((0, 2)))) == ()


def test_broadcast_shapes():
    assert F.broadcast_shapes() == ()
    assert F.broadcast_shapes(()) == ()
    assert F.broadcast_shapes((2, 1), (3,)) == (2, 3)
    assert F.broadcast_shapes((0, 1), (1, 1)) == (0, 1)
    assert F.broadcast_shapes((None, 1), (1, 3)) == (None, 3)
    assert F.broadcast_shapes((None,), (4,)) == F.broadcast_shapes((4,), (None,)) == (None,)
    (length,) = F.broadcast_shapes((5,), (nan,), (1,), (5,))
    assert math.isnan(length)


def test_reshape_with_and_without_a_copy():
    x = Variable(np.arange(6.0))
    same, new = F.reshape(x, (2, 3), copy=False), F.reshape(x, (6,), copy=True)
    assert np.shares_memory(same.data, x.data)
    assert not np.shares_memory(new.data, x.data)
    F.sum(same * same).backward()
    np.testing.assert_array_equal(x.grad.data, 2 * x.data)
    with pytest.raises(ValueError, match="copy"):
        F.reshape(F.transpose(same), (6,), copy=False)


# --- searching --------------------------------------------------------------------------------


def test_searchsorted_takes_a_sorter_that_is_a_variable(lane):
    x = lane.variable(np.array([3.0, 1.0, 2.0]))
    order = F.argsort(x) if lane.name != "dask" else Variable(lane.array(np.array([1, 2, 0])))
    assert int(lane.numpy(F.searchsorted(x, 2.5, sorter=order))) == 2
    got = F.searchsorted(x, lane.variable(np.array([0.0, 9.0])), sorter=order)
    np.testing.assert_array_equal(lane.numpy(got), [0, 3])


def test_sort_is_the_same_recorded_or_not(lane):
    if lane.name == "dask":
        pytest.skip("no take_along_axis")
    for descending in (False, True):
        x = lane.variable(np.array([[2.0, -1.0, 2.0, 0.5]]))
        y = F.sort(x, descending=descending)
        with no_grad():
            np.testing.assert_array_equal(
                lane.numpy(F.sort(x, descending=descending)), lane.numpy(y)
            )
        F.sum(y * lane.array(np.array([[1.0, 2.0, 3.0, 4.0]]))).backward()
        want = [[1, 4, 2, 3]] if descending else [[3, 1, 4, 2]]  # of equals, the first comes first
        np.testing.assert_array_equal(lane.numpy(x.grad), want)


# --- errors -----------------------------------------------------------------------------------

ERRORS = {
    "tril": (lambda x: F.tril(x[0]), ValueError, "tril: expected matrices"),
    "triu": (lambda x: F.triu(F.sum(x)), ValueError, "triu: expected matrices"),
    "meshgrid": (lambda x: F.meshgrid(x, x), ValueError, "meshgrid: expected vectors"),
    "meshgrid-word": (lambda x: F.meshgrid(x[0], indexing="yx"), ValueError, "is 'yx'"),
    "nonzero": (lambda x: F.nonzero(F.sum(x)), ValueError, "nonzero: expected"),
    "expand_dims": (lambda x: F.expand_dims(x, 3), IndexError, "expand_dims: axis 3"),
    "expand_dims-many": (lambda x: F.expand_dims(x, (0, 4)), IndexError, "expand_dims: axis 4"),
    "expand_dims-twice": (lambda x: F.expand_dims(x, (0, -4)), ValueError, "expand_dims: axis"),
    "broadcast_shapes": (
        lambda x: F.broadcast_shapes((2, 3), (2,)), ValueError, "broadcast_shapes: shapes"
    ),
    "diff-times": (lambda x: F.diff(x, n=-1), ValueError, "diff: expected a number of times"),
    "diff-axis": (lambda x: F.diff(x, axis=2), IndexError, "diff: axis 2"),
    "unstack": (lambda x: F.unstack(x, axis=2), IndexError, "unstack: axis 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_was_got(name):
    call, kind, text = ERRORS[name]
    with pytest.raises(kind) as caught:
        call(Variable(np.ones((2, 3))))
    assert text in str(caught.value)


def test_products_of_nothing_with_an_initial_one_are_recorded(lane):
    x = lane.variable(np.ones((2, 0)))
    y = F.cumulative_prod(x, axis=1, include_initial=True, dtype=x.dtype)
    assert y.shape == (2, 1)
    assert y.requires_grad
    F.sum(y).backward()
    assert x.grad.shape == (2, 0)
