"""Rows of tables: values, gradients of repeated rows, bad ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable
from dezero.backends import numpy_neural
from dezero.testing import check_gradients

TABLE = np.random.default_rng(0).normal(size=(5, 3))
IDS = np.array([[1, 4], [1, 0]])


def test_rows_and_their_gradients(lane):
    if lane.name == "dask":
        pytest.skip("no scatter-add")
    W = lane.variable(TABLE)
    for function in (F.embedding, F.embed_id):
        W.cleargrad()
        y = function(lane.array(IDS), W)
        np.testing.assert_array_equal(lane.numpy(y), TABLE[IDS])
        F.sum(y * lane.array(np.ones((2, 2, 3)))).backward()
        np.testing.assert_array_equal(lane.numpy(W.grad)[:, 0], [1, 2, 0, 0, 1])


def test_to_second_order():
    check_gradients(lambda W: F.embedding(IDS, W) ** 3, TABLE)
    check_gradients(lambda W: F.embed_id(IDS, W) ** 3, TABLE)


@pytest.mark.parametrize("padding", [4, -1])
def test_padding_has_no_gradient(padding, single_lane):
    lane = single_lane
    W = lane.variable(TABLE.astype(np.float32))
    y = F.embedding(lane.array(IDS), W, padding_index=padding)
    np.testing.assert_array_equal(lane.numpy(y), TABLE.astype(np.float32)[IDS])
    F.sum(y).backward()
    assert lane.dtype(W.grad) == "float32"
    np.testing.assert_array_equal(lane.numpy(W.grad)[:, 0], [1, 2, 0, 0, 0])


@pytest.mark.parametrize("kind", ["int8", "uint8", "int64", "uint64"])
def test_ids_of_any_kind(kind, single_lane):
    """More rows than the smallest integers count, in a gradient too."""
    lane = single_lane
    if lane.name == "torch" and kind == "uint64":
        pytest.skip("PyTorch compares no such integers")
    W = lane.variable(np.ones((300, 2)))
    y = F.embedding(lane.array(np.array([100, 7, 100], kind)), W)
    F.sum(y).backward()
    assert lane.numpy(W.grad)[100, 0] == 2.0


def test_variables_and_lists_as_ids():
    for ids in (Variable(IDS), IDS.tolist()):
        np.testing.assert_array_equal(F.embedding(ids, TABLE).data, TABLE[IDS])
        np.testing.assert_array_equal(F.embed_id(ids, TABLE).data, TABLE[IDS])


@pytest.mark.parametrize("block", [1 << 16, 5000])
def test_many_rows(block, monkeypatch):
    """NumPy adds them up in blocks."""
    monkeypatch.setattr(numpy_neural, "_BLOCK", block)
    rng = np.random.default_rng(0)
    ids, g = rng.integers(0, 50, 7000), rng.normal(size=(7000, 20))
    W = Variable(np.zeros((50, 20)))
    y = F.embedding(ids, W)
    y.grad = Variable(g)
    y.backward()
    want = np.zeros((50, 20))
    np.add.at(want, ids, g)
    np.testing.assert_allclose(W.grad.data, want, rtol=1e-12)


@pytest.mark.parametrize("rows", [1, 30, 4000])
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_rows_that_come_first_are_not_added_one_by_one(rows, dtype, monkeypatch):
    """The sums are the same to the last bit, as their order is."""
    rng = np.random.default_rng(0)
    ids, g = rng.integers(0, rows, (20, 100)), rng.normal(size=(20, 100, 16)).astype(dtype)
    found = []
    for forced in (False, True):
        if forced:
            monkeypatch.setattr(numpy_neural, "_first_rows", lambda y, places, rows: (places, rows))
        W = Variable(np.zeros((rows, 16), dtype))
        y = F.embedding(ids, W)
        y.grad = Variable(g)
        y.backward()
        found.append(W.grad.data)
    np.testing.assert_array_equal(*found)


def test_no_function_has_the_name_of_a_chapter():
    """Of the two, `dezero.functions` would have the one that was loaded last."""
    chapters = {path.stem for path in Path(F.__file__).parent.glob("[a-z]*")}
    assert "loss" in chapters
    assert not chapters & {name for name in dir(F) if callable(getattr(F, name))}


def test_negative_ids(lane):
    """The book's function counts them from the end; `embedding` takes them for mistakes."""
    if lane.name == "dask":
        pytest.skip("Dask does not know its numbers")
    W = lane.variable(TABLE)
    ids = lane.array(np.array([-1, 2]))
    np.testing.assert_array_equal(lane.numpy(F.embed_id(ids, W)), TABLE[[-1, 2]])
    with pytest.raises(IndexError, match="embedding: ids go from -1 to 2, expected 0 to 4"):
        F.embedding(ids, W)
    with pytest.raises(IndexError, match="embedding: ids go from 2 to 5, expected 0 to 4"):
        F.embedding(lane.array(np.array([5, 2])), W)


def test_one_hot(lane):
    y = F.one_hot(lane.array(IDS), 5)
    np.testing.assert_array_equal(lane.numpy(y), np.eye(5)[IDS])
    assert not y.requires_grad


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "real": (lambda: F.embedding(IDS * 1.0, TABLE), TypeError, "ids have dtype float64"),
    "table": (lambda: F.embedding(IDS, TABLE[0]), ValueError, r"W has shape \(3,\)"),
    "padding": (lambda: F.embedding(IDS, TABLE, padding_index=5), IndexError, "padding_index is 5"),
    "one_hot": (lambda: F.one_hot(IDS, 3), IndexError, "one_hot: ids go from 0 to 4"),
    "one_hot-empty": (lambda: F.one_hot(IDS[:0]), ValueError, "one_hot: there are no ids"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_operands(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_gradient_of_many_equal_ids_in_half_precision(library):
    ids, table = np.zeros(5000, np.int64), np.ones((3, 2), np.float16)
    if library == "torch":
        torch = pytest.importorskip("torch", reason="a library of its own half precision")
        ids, table = torch.tensor(ids), torch.tensor(table)
    W = Variable(table)
    F.sum(F.embedding(ids, W) * 0.5).backward()
    np.testing.assert_array_equal(np.asarray(W.grad.data), [[2500, 2500], [0, 0], [0, 0]])
