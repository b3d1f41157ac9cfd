"""What SciPy expects of arrays, apart from the standard: each was a failure of its own tests."""

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import Variable, xp


def test_a_broadcast_to_the_same_shape_can_be_assigned_to():
    x = xp.asarray([1.0, xp.inf])
    y, z = xp.broadcast_arrays(x, xp.zeros(2))
    y[xp.isinf(y)] = 0.0
    assert y.data.tolist() == [1.0, 0.0]
    assert z.data.tolist() == [0.0, 0.0]
    x = xp.ones(1)
    y, z = xp.broadcast_arrays(x, xp.zeros(2))
    with pytest.raises(ValueError, match="broadcast array"):
        y[0] = 2.0


@pytest.mark.parametrize("repetitions", [(1,), (3,), (2, 1), (2, 3)])
def test_tile_gives_an_array_of_its_own(repetitions):
    x = xp.asarray([1.0, 2.0])
    y = xp.tile(x, repetitions)
    y[..., 0] = 7.0
    want = np.tile([1.0, 2.0], repetitions)
    want[..., 0] = 7.0
    assert y.data.tolist() == want.tolist()
    assert x.data.tolist() == [1.0, 2.0]
    x = Variable(np.array([1.0, 2.0]))
    y = xp.tile(x, repetitions)
    y[..., 0] = 0.0
    (gradient,) = dezero.grad(y.sum(), [x])
    assert gradient.data.tolist() == [np.sum(want[..., 0::2] == 1.0), y.size / 2]


def test_full_like_of_a_variable_gives_an_array_of_its_own():
    x = Variable(np.array(2.0))
    y = xp.full_like(xp.zeros(3), x)
    y[0] = 5.0
    (gradient,) = dezero.grad(y.sum(), [x])
    assert (y.data.tolist(), float(gradient.data)) == ([5.0, 2.0, 2.0], 2.0)


def test_shapes_that_do_not_fit_are_said_to():
    with pytest.raises(ValueError, match="cannot be broadcast together"):
        xp.broadcast_arrays(xp.ones(2), xp.ones(3))


def test_half_precision_is_there_if_the_library_has_it():
    x = xp.asarray([1.0, 2.0], dtype=xp.float16)
    assert xp.isdtype(x.dtype, "real floating")
    assert (x * 2.0).dtype == xp.float16 == np.float16
    assert not hasattr(xp, "bfloat16")
    strict = dezero.Variable(np.ones(1)).to("strict").__array_namespace__()
    assert not hasattr(strict, "float16")


def test_nothing_is_taken_apart_by_a_question(monkeypatch):
    monkeypatch.setattr(F, "unstack", None)
    assert np.iterable(Variable(np.ones(2)))
    assert not np.iterable(Variable(np.array(1.0)))
    monkeypatch.undo()
    assert [float(x.data) for x in Variable(np.array([1.0, 2.0]))] == [1.0, 2.0]


def test_complex_numbers_are_seen_as_pairs_and_back():
    z = Variable(np.array([[1.0 + 2.0j, 3.0 - 1.0j]]))
    pairs = z.view(float)
    assert pairs.data.tolist() == [[1.0, 2.0, 3.0, -1.0]]
    assert pairs.view(complex).data.tolist() == z.data.tolist()
    assert pairs.view(pairs.dtype).data.tolist() == pairs.data.tolist()
    (gradient,) = dezero.grad((pairs * np.array([1.0, 2.0, 3.0, 4.0])).sum(), [z])
    assert gradient.data.tolist() == [[1.0 + 2.0j, 3.0 + 4.0j]]
    x = Variable(np.array([1.0, 2.0], dtype=np.float32))
    y = x.view(xp.complex64)
    assert (y.dtype, y.data.tolist()) == (np.complex64, [1.0 + 2.0j])
    (gradient,) = dezero.grad((y * (3.0 - 1.0j)).real.sum(), [x])
    assert (gradient.dtype, gradient.data.tolist()) == (np.float32, [3.0, 1.0])


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (np.ones(2), np.int64),
        (np.ones(3), np.complex128),
        (np.ones(2), np.complex64),
        (np.ones(2, dtype=np.complex64), np.float64),
        (np.array(1.0), np.complex128),
    ],
)
def test_other_views_are_refused(x, dtype):
    with pytest.raises(TypeError, match="only complex as real, or back"):
        Variable(x).view(dtype)


def test_diag_refuses_what_is_neither_vector_nor_matrix():
    for shape in [(), (2, 2, 2)]:
        with pytest.raises(ValueError, match="diag: expected a vector or a matrix"):
            F.diag(np.ones(shape))


def test_numpys_diag_is_differentiable():
    x = Variable(np.array([1.0, 2.0]))
    (gradient,) = dezero.grad((np.diag(x, k=1) * np.arange(9.0).reshape(3, 3)).sum(), [x])
    assert gradient.data.tolist() == [1.0, 5.0]
