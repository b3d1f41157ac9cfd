"""Operators and methods of Variable: both orders, raw arrays and numbers on either side."""

import math
import operator

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, no_grad, setup_variable

A = np.array([[1.5, -2.0, 3.0], [0.5, 2.5, -1.0]])
B = np.array([[2.0, 4.0, -3.0], [1.0, -0.5, 2.0]])

BINARY = {
    "+": (operator.add, lambda a, b: (1 + 0 * a, 1 + 0 * b)),
    "-": (operator.sub, lambda a, b: (1 + 0 * a, -1 + 0 * b)),
    "*": (operator.mul, lambda a, b: (b, a)),
    "/": (operator.truediv, lambda a, b: (1 / b, -a / b**2)),
    "**": (operator.pow, lambda a, b: (b * a ** (b - 1), a**b * np.log(a))),
    "//": (operator.floordiv, lambda a, b: (0 * a, 0 * b)),
    "%": (operator.mod, lambda a, b: (1 + 0 * a, -np.floor(a / b))),
}


def constant(array):
    return Variable(array, requires_grad=False)


def check(got, want):
    got = got.data if isinstance(got, Variable) else got
    assert got.shape == np.shape(want)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def operands(sign):
    return (np.abs(A) + 0.5, np.abs(B)) if sign == "**" else (A, B)


@pytest.mark.parametrize("sign", BINARY)
def test_two_variables(sign):
    function, slopes = BINARY[sign]
    a, b = map(Variable, operands(sign))
    y = function(a, b)
    check(y, function(a.data, b.data))
    y.backward()
    for v, slope in zip((a, b), slopes(a.data, b.data), strict=True):
        check(v.grad, slope)


@pytest.mark.parametrize("other", [2, 2.0, True, np.float64(2.0), np.int64(2), np.array(2.0)])
@pytest.mark.parametrize("sign", BINARY)
def test_numbers_on_either_side(sign, other):
    function, slopes = BINARY[sign]
    x = Variable(operands(sign)[0])
    y, z = function(x, other), function(other, x)
    assert type(y) is type(z) is Variable
    check(y, function(x.data, other * 1.0))
    check(z, function(other * 1.0, x.data))
    y.backward()
    check(x.grad, np.broadcast_to(slopes(x.data, other * 1.0)[0], A.shape))
    x.cleargrad()
    z.backward()
    check(x.grad, np.broadcast_to(slopes(other * 1.0, x.data)[1], A.shape))


@pytest.mark.parametrize("sign", BINARY)
def test_raw_arrays_on_either_side(sign):
    function, slopes = BINARY[sign]
    a, b = operands(sign)
    x = Variable(a)
    y = function(x, b)
    y.backward()
    check(y, function(a, b))
    check(x.grad, slopes(a, b)[0])
    x = Variable(b)
    y = function(a, x)
    assert type(y) is Variable
    y.backward()
    check(y, function(a, b))
    check(x.grad, slopes(a, b)[1])


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 1), (), (4, 2, 3)])
def test_raw_arrays_that_are_broadcast(shape):
    other = np.full(shape, 2.0)
    x = Variable(A)
    y = other * x
    assert type(y) is Variable
    y.backward()
    check(x.grad, np.full(A.shape, 2.0 * max(1, other.size // 6 if len(shape) == 3 else 1)))
    v = Variable(other)
    (A * v).backward()
    assert v.grad.shape == shape
    assert float(v.grad.data.sum()) == pytest.approx(A.sum() * (4 if len(shape) == 3 else 1))


def test_augmented_assignment_makes_a_new_variable():
    for function in (operator.iadd, operator.isub, operator.imul, operator.itruediv):
        x = Variable(A.copy())
        y = function(x, 2.0)
        assert y is not x
        check(x, A)
    array = A.copy()
    with pytest.raises((TypeError, ValueError)):
        array += Variable(np.ones(3))
    np.testing.assert_array_equal(array, A)


def test_unary():
    x = Variable(A)
    for function, value, slope in (
        (operator.neg, -A, -1.0),
        (operator.pos, A, 1.0),
        (abs, np.abs(A), np.sign(A)),
    ):
        x.cleargrad()
        y = function(x)
        check(y, value)
        y.backward()
        check(x.grad, np.broadcast_to(slope, A.shape))
    check(~Variable(np.array([True, False])), [False, True])


@pytest.mark.parametrize(
    "function",
    [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift],
)
def test_bits(function):
    a, b = np.array([12, 7]), np.array([2, 1])
    for x, y in ((Variable(a), Variable(b)), (Variable(a), b), (a, Variable(b)), (Variable(a), 1)):
        y_raw = y.data if isinstance(y, Variable) else y
        result = function(x, y)
        assert type(result) is Variable
        np.testing.assert_array_equal(result.data, function(a, y_raw))
        assert result.creator is None


def test_matmul():
    a, b = Variable(A), Variable(B.T.copy())
    for y in (a @ b, a.matmul(b), a.dot(b), a @ b.data, a.data @ b, F.matmul(a, b)):
        assert type(y) is Variable
        check(y, A @ B.T)
    (a @ b).backward()
    check(a.grad, np.ones((2, 2)) @ B)
    check(b.grad, A.T @ np.ones((2, 2)))


# --- comparisons and identity -------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge],
)
def test_comparisons_are_elementwise_constants(function):
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    x, y = Variable(a), Variable(b)
    for left, right in ((x, y), (x, b), (a, y), (x, 2.0), (x, 2)):
        result = function(left, right)
        assert type(result) is Variable
        np.testing.assert_array_equal(result.data, function(a, b))
        assert result.dtype == bool
        assert not result.requires_grad
    np.testing.assert_array_equal(function(2.0, x).data, function(2.0, a))


def test_hash_and_collections_go_by_identity():
    x, y = Variable(A), Variable(A)
    assert hash(x) == hash(x)
    assert len({x, y, x}) == 2
    assert {x: "x", y: "y"}[y] == "y"
    assert x in {x}
    assert y not in {x}
    assert [x, y].index(x) == 0  # identity comes before equality


def test_comparison_with_none_is_false_everywhere():
    assert (Variable(A) == None).data.tolist() == [[False] * 3] * 2  # noqa: E711
    assert (Variable(A) != None).data.tolist() == [[True] * 3] * 2  # noqa: E711


# --- raw libraries meet Variables ---------------------------------------------------------------


def test_numpy_functions():
    x = Variable(np.array([0.25, 0.5]))
    for numpys, ours in [
        (np.sin, F.sin),
        (np.exp, F.exp),
        (np.sqrt, F.sqrt),
        (np.absolute, F.abs),
        (np.arctan, F.atan),
        (np.negative, F.negative),
        (np.log1p, F.log1p),
    ]:
        y = numpys(x)
        assert type(y) is Variable
        y.backward()
        g, x.grad = x.grad, None
        ours(x).backward()
        check(g, x.grad.data)
        x.cleargrad()
        check(y, numpys(x.data))


def test_numpy_functions_of_two():
    x, a = Variable(np.array([0.25, 0.5])), np.array([2.0, 3.0])
    for function in (np.add, np.multiply, np.power, np.arctan2, np.maximum, np.true_divide):
        both = (function(x, a), function(x.data, a)), (function(a, x), function(a, x.data))
        for y, want in both:
            assert type(y) is Variable
            assert y.creator is not None
            check(y, want)
    assert type(np.matmul(a, x)) is Variable
    check(np.matmul(a, x), 2.0)
    np.testing.assert_array_equal(np.greater(x, a).data, [False, False])


def test_numpy_scalar_times_variable():
    x = Variable(np.array([1.0, 2.0]))
    for y in (np.float64(3.0) * x, np.float64(3.0) + x, np.int64(3) - x, np.float64(3.0) / x):
        assert type(y) is Variable
        assert y.creator is not None
    zero = Variable(np.array(2.0))
    y = np.float64(3.0) * zero
    y.backward()
    check(zero.grad, 3.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add.reduce(x),
        lambda x: np.multiply.outer(x, x),
        lambda x: np.sin(x, out=np.zeros(2)),
        lambda x: np.sin(x, where=np.array([True, False])),
        lambda x: np.spacing(x),
    ],
    ids=["reduce", "outer", "out", "where", "unknown"],
)
def test_numpy_functions_that_would_lose_the_gradient(call):
    with pytest.raises(TypeError, match=r"np\..*dezero\.functions"):
        call(Variable(np.array([1.0, 2.0])))


@pytest.mark.parametrize("function", [np.sum, np.mean, np.prod, np.max, np.var])
def test_numpy_reductions_are_right_or_say_what_to_use(function):
    x = Variable(np.array([1.0, 2.0]))
    try:
        y = function(x)
    except TypeError as error:
        assert "dezero.functions" in str(error)  # noqa: PT017
        return
    check(y, function(x.data))
    assert y.requires_grad


# --- conversions --------------------------------------------------------------------------------


WANTED = {
    "float": float,
    "complex": complex,
    "dlpack": np.from_dlpack,
    "asarray": np.asarray,
    "array": np.array,
    "sqrt of math": math.sqrt,
    "array of a list": lambda x: np.array([x]),
}


@pytest.mark.parametrize("convert", WANTED.values(), ids=WANTED)
def test_conversion_is_refused_while_a_gradient_is_wanted(convert):
    x = Variable(np.array(4.0))
    for v in (x, x * 1.0):
        with pytest.raises(TypeError, match=r"\.data.*detach|dezero\.functions"):
            convert(v)


def test_whole_part_loses_no_gradient():
    """It is a step function: its gradient is 0 wherever there is one."""
    x = Variable(np.array(-4.7))
    assert int(x) == int(x * 1.0) == -4
    with pytest.raises(TypeError, match="one element"):
        int(Variable(np.ones(2)))


def test_conversion_of_constants():
    x = Variable(np.array(2.5)).detach()
    assert float(x) == 2.5
    assert int(x) == 2
    assert complex(x) == 2.5
    assert math.sqrt(x) == math.sqrt(2.5)
    with no_grad():
        assert float(Variable(np.array(1.0)) * 2.0) == 2.0
    array = np.asarray(constant(A))
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(array, A)
    assert np.asarray(constant(A), dtype=np.float32).dtype == np.float32
    assert np.array(constant(A), copy=True) is not A
    assert float(constant(np.array([[3.0]]))) == 3.0


def test_conversion_of_integers():
    i = Variable(np.array(2))
    assert float(i) == 2.0
    assert int(i) == 2
    assert [10, 20, 30][i] == 30
    assert list(range(i)) == [0, 1]
    np.testing.assert_array_equal(np.asarray(Variable(np.arange(3))), [0, 1, 2])


def test_conversion_of_several_elements():
    for kind in (float, int, complex):
        with pytest.raises(TypeError, match=rf"{kind.__name__}.*\(2, 3\)"):
            kind(constant(A))
    for wrong in (constant(np.array(1.0)), Variable(np.array([1, 2]))):
        with pytest.raises(TypeError, match="index"):
            operator.index(wrong)


def test_truth():
    assert bool(Variable(np.array(1.0)))
    assert not Variable(np.array([[0]]))
    assert Variable(np.array(2.0)) > 1.0
    with pytest.raises(ValueError, match=r"ambiguous.*any\(\).*all\(\)"):
        bool(Variable(A))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Variable(np.zeros(0)))


def test_item():
    x = Variable(np.array([[2.5]]))
    assert x.item() == 2.5
    assert type((x * 2.0).item()) is float
    assert type(Variable(np.array(3)).item()) is int
    with pytest.raises(ValueError, match=r"size|one element"):
        Variable(A).item()


def test_format():
    x = Variable(np.array(3.14159))
    assert f"{x:.2f}" == "3.14"
    assert f"{x * 2.0:8.3f}" == "   6.283"
    assert f"{x}" == str(np.array(3.14159))
    assert f"{Variable(np.array(7)):04d}" == "0007"
    assert "%s" % Variable(np.array([1.0])) == "[1.]"  # noqa: UP031
    assert f"{Variable(np.array(1.0))!r}" == "variable(1.0)"
    with pytest.raises((TypeError, ValueError)):
        format(Variable(A), ".2f")


# --- shapes -------------------------------------------------------------------------------------


def test_facts_of_the_array():
    x = Variable(A.astype(np.float32))
    assert x.shape == (2, 3)
    assert x.ndim == 2
    assert x.size == 6
    assert x.dtype == np.float32
    assert len(x) == 2
    with pytest.raises(TypeError, match=r"len\(\)"):
        len(Variable(np.array(1.0)))


def test_iteration():
    x = Variable(A)
    rows = list(x)
    assert [type(row) for row in rows] == [Variable, Variable]
    F.sum(rows[0] * rows[1]).backward()
    check(x.grad, A[::-1])
    a, b = Variable(np.array([1.0, 2.0]))
    assert (a.shape, b.shape) == ((), ())
    for scalar in (Variable(np.array(1.0)), Variable(np.array(1.0), requires_grad=False)):
        with pytest.raises(TypeError, match="iter"):
            iter(scalar)
    assert list(Variable(np.zeros((0, 3)))) == []
    assert [float(v.data) for v in reversed(Variable(np.array([1.0, 2.0])))] == [2.0, 1.0]


def test_indices_may_be_variables():
    x = Variable(A)
    i = Variable(np.array([1, 0, 1]))
    y = x[i]
    check(y, A[[1, 0, 1]])
    y.backward()
    check(x.grad, [[1.0] * 3, [2.0] * 3])
    check(x[x > 0], A[A > 0])
    check(x[i, Variable(np.array([0, 1, 2]))], A[[1, 0, 1], [0, 1, 2]])
    check(x[Variable(np.array(1))], A[1])


@pytest.mark.parametrize(
    "reshaped",
    [
        lambda x: x.reshape(3, 2),
        lambda x: x.reshape((3, 2)),
        lambda x: x.reshape([3, 2]),
        lambda x: x.reshape(-1, 2),
        lambda x: x.reshape((3, -1)),
        lambda x: F.reshape(x, (3, 2)),
        lambda x: x.reshape(np.int64(3), np.int64(2)),
    ],
)
def test_reshape(reshaped):
    x = Variable(A)
    y = reshaped(x)
    check(y, A.reshape(3, 2))
    F.sum(y * np.arange(6.0).reshape(3, 2)).backward()
    check(x.grad, np.arange(6.0).reshape(2, 3))


def test_reshape_to_one_dimension():
    for y in (Variable(A).reshape(6), Variable(A).reshape(-1), Variable(A).flatten()):
        check(y, A.reshape(6))
    check(Variable(np.array([2.0])).reshape(()), 2.0)


T = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("transposed", "axes"),
    [
        (lambda x: x.T, None),
        (lambda x: x.transpose(), None),
        (lambda x: x.transpose(None), None),
        (lambda x: x.transpose(1, 2, 0), (1, 2, 0)),
        (lambda x: x.transpose((1, 2, 0)), (1, 2, 0)),
        (lambda x: x.transpose([1, 2, 0]), (1, 2, 0)),
        (lambda x: x.transpose(-2, -1, 0), (1, 2, 0)),
        (lambda x: F.transpose(x), None),
        (lambda x: F.transpose(x, (2, 0, 1)), (2, 0, 1)),
        (lambda x: x.mT, (0, 2, 1)),
    ],
)
def test_transpose(transposed, axes):
    x = Variable(T)
    y = transposed(x)
    check(y, T.transpose(axes))
    weight = np.arange(24.0).reshape(y.shape)
    F.sum(y * weight).backward()
    back = axes and tuple(np.argsort(axes))
    check(x.grad, weight.transpose(back))


def test_transpose_of_one_dimension():
    check(Variable(np.array([1.0, 2.0])).T, [1.0, 2.0])
    check(Variable(np.array(1.0)).T, 1.0)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std"])
@pytest.mark.parametrize("how", [{}, {"axis": 1}, {"axis": -2}, {"axis": (0, 1)}])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(name, how, keepdims):
    x = Variable(A)
    y = getattr(x, name)(keepdims=keepdims, **how)
    check(y, getattr(A, name)(keepdims=keepdims, **how))
    y.backward()
    assert x.grad.shape == A.shape


def test_reductions_with_a_positional_axis():
    x = Variable(A)
    check(x.sum(0), A.sum(0))
    check(x.max(1, True), A.max(1, keepdims=True))
    check(x.sum(np.int64(1)), A.sum(1))
    assert x.argmax(1).data.tolist() == A.argmax(1).tolist()
    assert not x.argmin().requires_grad
    assert bool((x > -10).all())
    assert not bool((x > 10).any())


def test_astype_and_parts():
    x = Variable(A)
    y = x.astype(np.float32)
    assert y.dtype == np.float32
    y.backward()
    assert x.grad.dtype == np.float64
    z = Variable(np.array([1.0 + 2.0j]))
    check(z.real, [1.0])
    check(z.imag, [2.0])
    check(z.conj(), [1.0 - 2.0j])
    check(Variable(np.ones((2, 1))).squeeze(), [1.0, 1.0])


def test_setup_variable_can_be_called_again():
    setup_variable()
    check(Variable(np.array(2.0)) * 3.0, 6.0)


def test_namespace_of_a_variable():
    x = Variable(np.array([0.25, 0.5]))
    xp = x.__array_namespace__()
    y = xp.sin(x)
    assert type(y) is Variable
    y.backward()
    check(x.grad, np.cos(x.data))
    assert x.device == "cpu"
