"""Special cases of the standard that NumPy's own functions miss, and what creation records."""

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, xp

inf, nan = np.inf, np.nan


def same(actual, expected):
    """Equal, also in the signs of zeros."""
    for part in (np.real, np.imag):
        a, b = part(np.asarray(actual)), part(np.asarray(expected))
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(np.signbit(a[a == 0]), np.signbit(b[b == 0]))


def pair(real, imag):
    return complex(real, imag)


COMPLEX = {
    "expm1": [
        (pair(-0.0, 0.0), pair(0.0, 0.0)),
        (pair(0.0, -0.0), pair(0.0, -0.0)),
        (pair(inf, 0.0), pair(inf, 0.0)),
        (pair(-inf, inf), pair(-1.0, 0.0)),
        (pair(-inf, -inf), pair(-1.0, -0.0)),
        (pair(-inf, nan), pair(-1.0, 0.0)),
        (pair(inf, inf), pair(inf, nan)),
        (pair(inf, nan), pair(inf, nan)),
        (pair(nan, 0.0), pair(nan, 0.0)),
        (pair(1.0, inf), pair(nan, nan)),
    ],
    "tanh": [
        (pair(inf, 2.0), pair(1.0, 0.0)),
        (pair(inf, -2.0), pair(1.0, -0.0)),
        (pair(-inf, 2.0), pair(-1.0, 0.0)),
        (pair(inf, inf), pair(1.0, 0.0)),
    ],
    "tan": [
        (pair(2.0, inf), pair(0.0, 1.0)),
        (pair(-2.0, -inf), pair(-0.0, -1.0)),
    ],
    "sign": [(pair(-0.0, -0.0), pair(0.0, 0.0)), (pair(3.0, -4.0), pair(0.6, -0.8))],
}


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize(
    ("name", "x", "y"), [(name, *case) for name, cases in COMPLEX.items() for case in cases]
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_complex(name, x, y, dtype):
    function = getattr(F, name)
    x, y = np.asarray(x, dtype), np.asarray(y, dtype)
    for operand in (x, x[None], Variable(x), Variable(x[None]), +Variable(x)):
        result = function(operand)
        assert result.dtype == dtype
        same(result.data if result.shape else result.data[None], np.broadcast_to(y, (1,)))


@pytest.mark.parametrize("name", ["expm1", "tan", "tanh"])
def test_complex_is_right_everywhere_else(name):
    x = np.array([0.3 - 0.2j, -2.0 + 5.0j, 1e-9 + 1e-9j])
    same(getattr(F, name)(Variable(x)).data, getattr(np, name)(x))


FLOOR = [
    (inf, 2.0, inf),
    (inf, -2.0, -inf),
    (-inf, 2.0, -inf),
    (-inf, -2.0, inf),
    (3.0, -inf, -0.0),
    (-3.0, inf, -0.0),
    (3.0, inf, 0.0),
    (-3.0, -inf, 0.0),
    (inf, inf, nan),
    (7.0, -2.0, -4.0),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("a", "b", "y"), FLOOR)
def test_floor_divide(a, b, y, dtype):
    x1, x2, y = (np.asarray([v], dtype) for v in (a, b, y))
    for result in (
        F.floor_divide(x1, x2),
        Variable(x1) // Variable(x2),
        Variable(x1) // b,
        a // Variable(x2),
    ):
        assert result.dtype == dtype
        same(result.data, y)
    result = Variable(x1)
    result //= x2
    same(result.data, y)


def test_floor_divide_has_the_gradient_zero_at_infinity():
    x = Variable(np.array([inf, 3.0, -5.0]))
    (x // 2.0).sum().backward()
    same(x.grad.data, np.zeros(3))


def test_sign_of_complex_numbers_has_no_gradient_along_itself():
    x = Variable(np.array([3.0 + 4.0j, 0.0]))
    F.sign(x).real.sum().backward(create_graph=True)
    np.testing.assert_allclose(x.grad.data, [0.128 - 0.096j, 0.0])
    g, x.grad = x.grad, None
    F.abs(g).sum().backward()
    assert np.isfinite(x.grad.data).all()


def test_imaginary_part_of_real_numbers_is_zero_also_of_infinity():
    same(F.imag(np.array([inf, -1.0, nan])).data, np.zeros(3))


# --- creation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "create",
    [
        lambda a, b: xp.full((2, 2), a * b),
        lambda a, b: xp.linspace(a, b, 5),
        lambda a, b: xp.linspace(a, b, 4, endpoint=False),
        lambda a, b: xp.linspace(a, 1.0, 3),
        lambda a, b: xp.arange(a, 9.0, b),
        lambda a, b: xp.asarray([[a, 1.0], [b, a * b]]),
    ],
)
def test_creation_from_recorded_numbers_is_differentiable(create):
    from dezero.testing import check_gradients

    check_gradients(create, np.array(1.3), np.array(2.1))


def test_creation_from_recorded_numbers_has_the_values_of_the_library():
    a, b = Variable(np.array(1.5)), Variable(np.array(7.0))
    np.testing.assert_allclose(xp.linspace(a, b, 7).data, np.linspace(1.5, 7.0, 7))
    np.testing.assert_allclose(xp.linspace(a, b, 1).data, np.linspace(1.5, 7.0, 1))
    np.testing.assert_allclose(xp.arange(a, b).data, np.arange(1.5, 7.0))
    assert xp.linspace(a, b, 3, dtype=xp.float32).dtype == xp.float32
    assert xp.full(3, a, dtype=xp.float32).dtype == xp.float32


def test_creation_refuses_arrays_where_numbers_belong():
    with pytest.raises(ValueError, match=r"full: expected a number .* got shape \(2,\)"):
        xp.full((2,), Variable(np.ones(2)))


@pytest.mark.parametrize("text", ["text", ["a"], np.array(["yes"])])
def test_asarray_refuses_text(text):
    with pytest.raises(TypeError, match=r"arrays of dtype <U\d are not supported"):
        xp.asarray(text)


def test_astype_copies_unless_it_need_not():
    x = Variable(np.ones(2)) * 2.0
    y = xp.astype(x, xp.float64)
    y += 1.0
    same(x.data, [2.0, 2.0])
    assert y.requires_grad
    assert xp.astype(x, xp.float64, copy=False) is x
    assert xp.astype(x, xp.float64, device="cpu", copy=False) is x


def test_finfo_has_python_numbers():
    info = xp.finfo(xp.complex64)
    assert type(info.eps) is type(info.max) is type(info.smallest_normal) is float
    assert info.dtype == xp.float32
    assert info.bits == 32
    assert info.tiny == info.smallest_normal


def test_from_dlpack_of_something_else():
    with pytest.raises(TypeError, match=r"from_dlpack: <class 'float'> has no method __dlpack__"):
        xp.from_dlpack(1.0)


def test_power_zero_and_order_zero_have_the_gradient_zero():
    x = Variable(np.ones((2, 2)))
    y = xp.linalg.matrix_power(x, 0)
    same(y.data, np.eye(2))
    (xp.sum(y) + xp.linalg.vector_norm(x, ord=0)).backward()
    same(x.grad.data, np.zeros((2, 2)))
