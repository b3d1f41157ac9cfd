"""Linear algebra at its corners: singular, equal, empty, defective matrices, bad operands."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import pytest

import dezero.functions as F
from conftest import Lane
from dezero import Variable, grad
from dezero.functions import linalg as L
from dezero.testing import check_gradients, numerical_grad

inf = math.inf


def drawn(*shape: int, seed: int = 0, complex_: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return np.asarray(x + 1j * rng.normal(size=shape) if complex_ else x)


def orthogonal(n: int, seed: int = 0, complex_: bool = False) -> np.ndarray:
    return np.linalg.qr(drawn(n, n, seed=seed, complex_=complex_)).Q


def adjoint(x: Any) -> Any:
    return F.conj(F.matrix_transpose(x))


def product(*xs: Any) -> Any:
    y = xs[0]
    for x in xs[1:]:
        y = F.matmul(y, x)
    return y


def gradient(f: Any, x: np.ndarray) -> np.ndarray:
    return np.asarray(grad(f)(x).data)


@pytest.fixture(params=[False, True], ids=["real", "complex"])
def complex_(request: Any) -> bool:
    return bool(request.param)


# --- results ----------------------------------------------------------------------------------


def test_results_have_names(lane):
    x = lane.variable(np.array([[3.0, 1.0], [1.0, 2.0]]))
    functions = {
        L.svd: ("U", "S", "Vh"),
        L.eigh: ("eigenvalues", "eigenvectors"),
        L.eig: ("eigenvalues", "eigenvectors"),
        L.qr: ("Q", "R"),
        L.slogdet: ("sign", "logabsdet"),
    }
    for function, names in functions.items():
        if lane.name == "dask" and function is not L.qr:
            continue
        result = function(x)
        assert result._fields == names
        assert all(isinstance(part, Variable) and part.requires_grad for part in result)


def test_products_are_those_of_the_main_namespace():
    for name in ("matmul", "matrix_transpose", "outer", "tensordot", "vecdot"):
        assert getattr(L, name) is getattr(F, name)


def test_keywords_only():
    x = np.eye(2)
    for call in (
        lambda: L.cholesky(x, True),
        lambda: L.svd(x, False),
        lambda: L.qr(x, "complete"),
        lambda: L.matrix_norm(x, True),
        lambda: L.vector_norm(x, 0),
        lambda: L.diagonal(x, 1),
        lambda: L.trace(x, 1),
        lambda: L.pinv(x, 0.1),
        lambda: L.cross(np.ones(3), np.ones(3), -1),
    ):
        with pytest.raises(TypeError):
            call()


def test_precision_is_kept(single_lane, complex_):
    lane = single_lane
    a = drawn(3, 3, complex_=complex_) + 3 * np.eye(3)
    kind = np.complex64 if complex_ else np.float32
    square = np.asarray(a @ a.conj().T)
    functions: dict[str, Any] = {
        "cholesky": L.cholesky, "det": L.det, "inv": L.inv, "pinv": L.pinv,
        "eigvalsh": L.eigvalsh, "svdvals": L.svdvals, "nuc": lambda x: L.matrix_norm(x, ord="nuc"),
        "eigh": lambda x: F.abs(L.eigh(x).eigenvectors), "svd": lambda x: F.abs(L.svd(x).U),
        "qr": lambda x: L.qr(x).R, "slogdet": lambda x: L.slogdet(x).logabsdet,
        "solve": lambda x: L.solve(x, x[:, 0]), "power": lambda x: L.matrix_power(x, -2),
        "eig": lambda x: F.abs(L.eig(x).eigenvectors), "eigvals": L.eigvals,
        "trace": L.trace, "diagonal": L.diagonal, "norm": L.vector_norm,
    }  # fmt: skip
    for name, function in functions.items():
        x = lane.variable(square.astype(kind))
        y = function(x)
        assert lane.dtype(y) in ("float32", "complex64"), name
        F.sum(F.real(y)).backward()
        assert lane.dtype(x.grad) == ("complex64" if complex_ else "float32"), name


# --- determinants -----------------------------------------------------------------------------


def cofactors(x: np.ndarray) -> np.ndarray:
    """By minors."""
    n = x.shape[0]
    return np.array([
        [
            (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1))
            for j in range(n)
        ]
        for i in range(n)
    ])  # fmt: skip


@pytest.mark.parametrize("rank", range(6))
def test_det_of_singular_matrices(rank, complex_):
    """The gradient is the polynomial's at every rank, and so are those of higher order."""
    a = drawn(5, rank, complex_=complex_) @ drawn(rank, 5, seed=1, complex_=complex_)
    got = gradient(lambda x: F.real(L.det(x)), a)
    np.testing.assert_allclose(got, np.conj(cofactors(a)), atol=1e-12 * max(1, np.abs(got).max()))
    check_gradients(L.det, a, order=3, step=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "matrix",
    [
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]],
        [[0.0] * 3] * 3,
        [[1.0] * 3] * 3,
        np.eye(3),
        np.diag([0.0, 1.0, 1.0]),
        np.diag([1e-9, 1.0, 2.0]),
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]],
    ],
)
def test_det_of_small_matrices_to_second_order(matrix, lane):
    if lane.name == "dask":
        pytest.skip("dask has no det")
    a = np.array(matrix)
    x = lane.variable(a)
    L.det(x).backward(create_graph=True)
    g, x.grad = x.grad, None
    want = cofactors(a)
    size = max(1.0, np.abs(want).max())
    np.testing.assert_allclose(lane.numpy(g), want, rtol=1e-9, atol=1e-12 * size)
    w = drawn(3, 3)
    F.sum(g * lane.array(w)).backward()
    # the cofactors are quadratic: this difference is exact
    want = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            e = np.zeros((3, 3))
            e[i, j] = 0.5
            want[i, j] = np.sum(w * (cofactors(a + e) - cofactors(a - e)))
    np.testing.assert_allclose(
        lane.numpy(x.grad), want, rtol=1e-9, atol=1e-11 * max(1.0, np.abs(a).max())
    )


def test_det_of_rows_of_different_size():
    got = gradient(L.det, np.diag([1e-9, 1e-9, 1e9]))
    np.testing.assert_allclose(got, np.diag([1.0, 1.0, 1e-18]))


def test_det_near_singular_matrices_in_a_stack():
    a = np.stack([np.eye(4), drawn(4, 3) @ drawn(3, 4, seed=1), np.zeros((4, 4))])
    got = gradient(lambda x: F.sum(L.det(x)), a)
    np.testing.assert_allclose(got, np.stack([cofactors(x) for x in a]), atol=1e-12)


def test_det_of_a_larger_matrix():
    a = drawn(40, 40)
    a[3] = a[5]
    got = gradient(lambda x: L.det(x) * 1e-20, a)
    want = np.array([[np.linalg.slogdet(np.delete(np.delete(a, i, 0), j, 1)) for j in range(40)]
                     for i in (3, 5)])  # fmt: skip
    signs = (-1.0) ** (np.arange(40)[None] + np.array([[3], [5]]))
    want = signs * want[..., 0] * np.exp(want[..., 1]) * 1e-20
    np.testing.assert_allclose(got[[3, 5]], want, rtol=1e-9, atol=1e-9 * np.abs(want).max())


def test_slogdet_of_singular_matrices_has_the_gradient_zero(lane):
    if lane.name == "dask":
        pytest.skip("dask has no slogdet")
    a = np.stack([np.array([[1.0, 2.0], [2.0, 4.0]]), np.array([[2.0, 0.0], [1.0, -4.0]])])
    x = lane.variable(a)
    sign, log = L.slogdet(x)
    np.testing.assert_array_equal(lane.numpy(sign), [0, -1])
    np.testing.assert_allclose(lane.numpy(log), [-inf, math.log(8)])
    F.sum(log).backward()
    want = np.stack([np.zeros((2, 2)), np.linalg.inv(a[1]).T])
    np.testing.assert_allclose(lane.numpy(x.grad), want, atol=1e-15)


# --- equal values -----------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[1.0, 1.0, 2.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
def test_eigh_of_equal_eigenvalues(values, complex_):
    """What depends on the spaces of equal eigenvalues only is right, and all is finite."""
    q = orthogonal(3, complex_=complex_)
    a = q @ np.diag(values) @ q.conj().T
    a = 0.5 * (a + a.conj().T)
    w = drawn(3, 3, seed=2)

    def loss(x):
        e = L.eigh(0.5 * (x + adjoint(x)))
        v = e.eigenvectors[:, 2:]
        projector = product(v, adjoint(v))
        return F.sum(F.real(projector * w)) + F.sum(e.eigenvalues) ** 2

    got = gradient(loss, a)
    assert np.all(np.isfinite(got))
    if values[1] != values[2]:
        np.testing.assert_allclose(got, numerical_grad(loss, a).data, atol=1e-8)
    x = Variable(a)
    loss(x).backward(create_graph=True)
    g, x.grad = x.grad, None
    F.sum(F.real(g * w)).backward()
    assert np.all(np.isfinite(x.grad.data))


def test_eigvalsh_of_equal_eigenvalues():
    np.testing.assert_allclose(gradient(lambda x: F.sum(L.eigvalsh(x)), np.eye(3)), np.eye(3))
    a = 2 * np.eye(3)
    check_gradients(lambda x: F.sum(L.eigvalsh(0.5 * (x + F.transpose(x))) ** 2), a, order=1)


def test_orthogonal_factor_of_equal_singular_values(complex_):
    """``U @ Vh`` is smooth where singular values are equal, and its gradient is right there."""
    q = orthogonal(3, complex_=complex_)
    w = drawn(3, 3, seed=1)

    def f(x):
        u, _, vh = L.svd(x, full_matrices=False)
        return F.sum(F.real(F.matmul(u, vh) * w))

    for a in (q, 3 * q, q @ np.diag([2.0, 2.0, 5.0])):
        np.testing.assert_allclose(gradient(f, a), numerical_grad(f, a).data, atol=1e-8)


def test_sum_of_squares_through_svd_at_equal_and_zero_singular_values():
    for a in (np.zeros((3, 2)), np.eye(3), np.ones((2, 4)), np.diag([1.0, 0.0, 0.0])):
        got = gradient(lambda x: F.sum(L.svdvals(x) ** 2), a)
        np.testing.assert_allclose(got, 2 * a, atol=1e-14)
        x = Variable(a)
        u, s, vh = L.svd(x, full_matrices=False)
        F.sum(F.abs(u) ** 2 * s[None] + F.sum(vh) * 0.0).backward(create_graph=True)
        g, x.grad = x.grad, None
        F.sum(g * g).backward()
        assert np.all(np.isfinite(g.data))
        assert np.all(np.isfinite(x.grad.data))


def test_nuclear_norm_of_lower_rank(lane):
    """The gradient is the orthogonal factor of what is not 0."""
    u, v = drawn(4), drawn(3, seed=1)
    x = lane.variable(np.outer(u, v))
    L.matrix_norm(x, ord="nuc").backward()
    want = np.outer(u, v) / np.linalg.norm(u) / np.linalg.norm(v)
    np.testing.assert_allclose(lane.numpy(x.grad), want, atol=1e-13)
    x = lane.variable(np.zeros((3, 2)))
    L.matrix_norm(x, ord="nuc").backward()
    np.testing.assert_array_equal(lane.numpy(x.grad), np.zeros((3, 2)))


def test_spectral_norms_share_the_gradient_of_equal_singular_values():
    for order in (2, -2):
        got = gradient(lambda x, o=order: L.matrix_norm(x, ord=o), np.eye(2))
        np.testing.assert_allclose(got, 0.5 * np.eye(2))


# --- choices that a loss must not depend on ---------------------------------------------------


def test_phases():
    a, w = drawn(3, 3, complex_=True), drawn(3, 3, seed=1, complex_=True)
    h = a + a.conj().T
    for f, x in [
        (lambda x: F.sum(F.real(L.eigh(x).eigenvectors * w)), h),
        (lambda x: F.sum(F.real(L.eig(x).eigenvectors * w)), a),
        (lambda x: F.sum(F.real(L.svd(x).U * w)), a),
        (lambda x: F.sum(F.real(L.svd(x).Vh * w)), a),
    ]:
        with pytest.raises(ValueError, match="phases of complex vectors"):
            grad(f)(x)


def test_completing_columns(complex_):
    tall = drawn(5, 2, complex_=complex_)
    wide = np.asarray(tall.conj().T)
    for f, x, name in [
        (lambda x: F.sum(F.abs(L.svd(x).U[:, 3]) ** 4), tall, "completes U"),
        (lambda x: F.sum(F.abs(L.svd(x).Vh[3]) ** 4), wide, "completes Vh"),
        (lambda x: F.sum(F.abs(L.qr(x, mode="complete").Q[:, 3]) ** 4), tall, "completes Q"),
    ]:
        with pytest.raises(ValueError, match=name):
            grad(f)(x)


def test_null_spaces_to_second_order(complex_):
    tall = drawn(5, 2, complex_=complex_)
    wide = np.asarray(tall.conj().T)

    def of_svd(x):
        u = L.svd(x).U[:, 2:]
        return F.matmul(u, adjoint(u))

    def of_wide(x):
        vh = L.svd(x).Vh[2:]
        return F.matmul(adjoint(vh), vh)

    def of_qr(x):
        q = L.qr(x, mode="complete").Q[:, 2:]
        return F.matmul(q, adjoint(q))

    def of_pinv(x):
        return np.eye(5) - F.matmul(x, L.pinv(x))

    for f, x in [(of_svd, tall), (of_wide, wide), (of_qr, tall), (of_pinv, tall)]:
        check_gradients(lambda x, f=f: F.abs(f(x)) ** 2, x)


def test_invariant_losses_to_second_order(complex_):
    a = drawn(4, 4, complex_=complex_)
    rectangle = drawn(4, 3, complex_=complex_)

    def spread(x):
        e = L.eigh(0.5 * (x + adjoint(x)))
        return F.abs(e.eigenvectors) ** 2 * F.exp(e.eigenvalues * 0.2)

    def general(x):
        e = L.eig(x)
        v = e.eigenvectors
        return F.real(product(v * F.exp(e.eigenvalues)[None], L.inv(v)))

    def singular(x):
        u, s, vh = L.svd(x, full_matrices=False)
        return F.abs(product(u * F.sin(s)[None], vh)) ** 2

    def triangular(x):
        q, r = L.qr(x)
        return F.abs(product(q, r * r)) ** 2

    check_gradients(spread, a)
    check_gradients(general, a, rtol=1e-4)
    for x in (rectangle, np.asarray(rectangle.conj().T), a):
        check_gradients(singular, x)
        check_gradients(triangular, x)
        check_gradients(lambda x: F.abs(L.pinv(x)) ** 2, x)


def test_third_order():
    a = drawn(3, 3) + 2 * np.eye(3)

    def spread(x):
        e = L.eigh(0.5 * (x + F.transpose(x)))
        return F.sum(e.eigenvectors**2 * F.exp(e.eigenvalues))

    check_gradients(spread, a, order=3, rtol=1e-4)
    check_gradients(lambda x: L.solve(x, x[0]), a, order=3, rtol=1e-4)
    check_gradients(
        lambda x: L.cholesky(F.matmul(x, F.transpose(x)) + np.eye(3)), a, order=3, rtol=1e-4
    )


# --- eig --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "matrix", [[[1.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]], [[2.0, 1.0], [0.0, 2.0]]]
)
def test_defective_matrices(matrix, lane):
    if lane.name == "dask":
        pytest.skip("dask has no eig")
    for f in (L.eigvals, lambda x: L.eig(x).eigenvalues):
        x = lane.variable(np.array(matrix))
        y = F.sum(F.real(f(x)))
        with pytest.raises(ValueError, match="defective"):
            y.backward()


def test_eig_of_equal_eigenvalues_that_are_not_defective():
    x = Variable(np.eye(3))
    F.sum(F.real(L.eigvals(x))).backward()
    np.testing.assert_allclose(x.grad.data, np.eye(3))
    x.cleargrad()
    F.sum(F.abs(L.eig(x).eigenvectors) ** 2).backward()
    assert np.all(np.isfinite(x.grad.data))


def test_eig_gives_complex_numbers(lane):
    if lane.name == "dask":
        pytest.skip("dask has no eig")
    values, vectors = L.eig(lane.array(np.diag([1.0, 2.0])))
    assert lane.dtype(values) == lane.dtype(vectors) == "complex128"
    assert lane.dtype(L.eigvals(lane.array(np.diag([1.0, 2.0])))) == "complex128"


# --- norms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 0.5, 1, 1.5, 2, 3, -1, inf, -inf])
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_norms_of_zero(order, complex_):
    """A zero gradient, and a finite one of second order."""
    a = np.zeros(3, complex if complex_ else float)
    x = Variable(a)
    y = L.vector_norm(x, ord=order)
    assert float(y.data) == 0.0
    y.backward(create_graph=True)
    g, x.grad = x.grad, None
    np.testing.assert_array_equal(g.data, a)
    if g.requires_grad and g.creator is not None:
        F.sum(F.real(g)).backward()
        assert x.grad is None or np.all(np.isfinite(x.grad.data))


@pytest.mark.parametrize("order", [0.5, 1, 1.5, 2, 3, inf])
def test_norms_of_vectors_with_zeros(order):
    x = Variable(np.array([0.0, 3.0, -4.0]))
    L.vector_norm(x, ord=order).backward()
    assert x.grad.data[0] == 0
    assert np.all(np.isfinite(x.grad.data))


def test_vector_norm_of_infinite_order_shares_ties():
    got = gradient(lambda x: L.vector_norm(x, ord=inf), np.array([3.0, -3.0, 1.0]))
    np.testing.assert_array_equal(got, [0.5, -0.5, 0.0])


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, inf, -inf])
def test_matrix_norms_of_zero(order):
    got = gradient(lambda x: L.matrix_norm(x, ord=order), np.zeros((2, 3)))
    np.testing.assert_array_equal(got, np.zeros((2, 3)))


def test_no_axes():
    np.testing.assert_array_equal(L.vector_norm(np.array([-1.0, 2.0]), axis=()).data, [1.0, 2.0])


# --- shapes -----------------------------------------------------------------------------------

EMPTY: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...]]] = {
    "det": (L.det, (0, 0), ()),
    "det-stack": (L.det, (0, 3, 3), (0,)),
    "slogdet": (lambda x: L.slogdet(x).logabsdet, (0, 0), ()),
    "inv": (L.inv, (0, 0), (0, 0)),
    "inv-stack": (L.inv, (0, 2, 2), (0, 2, 2)),
    "cholesky": (L.cholesky, (0, 0), (0, 0)),
    "eigvalsh": (L.eigvalsh, (0, 0), (0,)),
    "eigh": (lambda x: L.eigh(x).eigenvectors, (0, 0), (0, 0)),
    "eigh-stack": (lambda x: L.eigh(x).eigenvectors, (0, 2, 2), (0, 2, 2)),
    "svdvals": (L.svdvals, (0, 3), (0,)),
    "svd": (lambda x: L.svd(x, full_matrices=False).U, (3, 0), (3, 0)),
    "svd-stack": (lambda x: L.svd(x, full_matrices=False).U, (0, 3, 2), (0, 3, 2)),
    "qr": (lambda x: L.qr(x).Q, (3, 0), (3, 0)),
    "pinv": (L.pinv, (0, 3), (3, 0)),
    "pinv-stack": (L.pinv, (0, 3, 2), (0, 2, 3)),
    "solve": (lambda x: L.solve(x, np.zeros((0, 2))), (0, 0), (0, 2)),
    "solve-stack": (lambda x: L.solve(x, np.zeros(2)), (0, 2, 2), (0, 2)),
    "eigvals": (lambda x: F.real(L.eigvals(x)), (0, 2, 2), (0, 2)),
    "eig": (lambda x: F.real(L.eig(x).eigenvalues), (0, 2, 2), (0, 2)),
    "matrix_power": (lambda x: L.matrix_power(x, 3), (0, 0), (0, 0)),
    "diagonal": (L.diagonal, (0, 3), (0,)),
    "diagonal-far": (lambda x: L.diagonal(x, offset=5), (2, 3), (0,)),
    "trace": (L.trace, (0, 3), ()),
    "fro": (L.matrix_norm, (0, 3), ()),
    "nuc": (lambda x: L.matrix_norm(x, ord="nuc"), (0, 3), ()),
    "cross": (lambda x: L.cross(x, x), (0, 3), (0, 3)),
    "vector_norm": (L.vector_norm, (0,), ()),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_matrices(name):
    function, shape, want = EMPTY[name]
    x = Variable(np.zeros(shape))
    y = function(x)
    assert y.shape == want
    F.sum(y).backward()
    assert x.grad.shape == shape


def test_rank_of_empty_and_zero_matrices(lane):
    if lane.name == "dask":
        pytest.skip("dask has svd() of one matrix only")
    for shape in ((0, 3), (3, 0), (2, 2, 0)):
        rank = L.matrix_rank(lane.array(np.zeros(shape)))
        assert rank.shape == shape[:-2]
        assert not rank.requires_grad
        np.testing.assert_array_equal(lane.numpy(rank), np.zeros(shape[:-2]))
    ranks = L.matrix_rank(lane.variable(np.stack([np.zeros((2, 2)), np.eye(2), np.ones((2, 2))])))
    np.testing.assert_array_equal(lane.numpy(ranks), [0, 2, 1])


def test_tolerances_may_be_arrays(lane):
    if lane.name == "dask":
        pytest.skip("dask has svd() of one matrix only")
    x = lane.array(np.stack([np.diag([1.0, 0.1]), np.diag([1.0, 0.1])]))
    rtol = lane.array(np.array([0.01, 0.5]))
    for tolerance in (rtol, Variable(rtol)):
        np.testing.assert_array_equal(lane.numpy(L.matrix_rank(x, rtol=tolerance)), [2, 1])
        want = np.stack([np.diag([1.0, 10.0]), np.diag([1.0, 0.0])])
        got = lane.numpy(L.pinv(x, rtol=tolerance))
        np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-14)


def test_one_by_one(complex_):
    a = np.array([[2.0 - 1.0j]]) if complex_ else np.array([[2.0]])
    for f in (L.det, L.inv, L.pinv, lambda x: L.solve(x, x), lambda x: L.slogdet(x).logabsdet):
        check_gradients(lambda x, f=f: F.abs(f(x)) ** 2, a)
    check_gradients(lambda x: L.svdvals(x) ** 2, a)
    check_gradients(lambda x: F.abs(product(*L.qr(x))) ** 2, a)


def test_vectors_and_matrices_on_the_right(lane):
    """A right-hand side is a vector only if it has one dimension."""
    if lane.name == "dask":
        pytest.skip("dask has solve() of one matrix only")
    a = lane.array(np.broadcast_to(2 * np.eye(2), (2, 2, 2)))
    b = lane.array(np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_allclose(lane.numpy(L.solve(a, b)), np.array([[[0.5, 1.0], [1.5, 2.0]]] * 2))
    y = L.solve(a, lane.array(np.array([1.0, 2.0])))
    np.testing.assert_allclose(lane.numpy(y), [[0.5, 1.0], [0.5, 1.0]])


def test_integers_have_diagonals_traces_and_products(lane):
    x = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(lane.numpy(L.diagonal(lane.array(x), offset=1)), [1, 5])
    assert lane.numpy(L.trace(lane.array(x))) == 4
    if lane.name != "dask":
        y = L.cross(lane.array(np.array([1, 0, 0])), lane.array(np.array([0, 1, 0])))
        np.testing.assert_array_equal(lane.numpy(y), [0, 0, 1])
        assert "int" in lane.dtype(y)


def test_trace_in_another_dtype():
    x = Variable(np.eye(3, dtype=np.float32))
    y = L.trace(x, dtype=np.float64)
    assert y.dtype == np.float64
    y.backward()
    assert x.grad.dtype == np.float32


def test_cross_counts_axes_from_either_end():
    a, b = drawn(3, 2), drawn(3, 2, seed=1)
    want = np.cross(a, b, axis=0)
    np.testing.assert_allclose(L.cross(a, b, axis=0).data, want)
    np.testing.assert_allclose(L.cross(a, b, axis=-2).data, want)
    check_gradients(lambda a, b: L.cross(a, b, axis=0), a, b)


# --- errors -----------------------------------------------------------------------------------

_wide = np.ones((2, 3))
SHAPES: dict[str, tuple[Any, str]] = {
    "det": (lambda: L.det(_wide), r"det: expected square matrices.*\(2, 3\)"),
    "slogdet": (lambda: L.slogdet(_wide), "slogdet: expected square"),
    "inv": (lambda: L.inv(_wide), "inv: expected square"),
    "inv-vector": (lambda: L.inv(np.ones(3)), r"inv: expected a matrix.*\(3,\)"),
    "cholesky": (lambda: L.cholesky(_wide), "cholesky: expected square"),
    "eigh": (lambda: L.eigh(_wide), "eigh: expected square"),
    "eigvalsh": (lambda: L.eigvalsh(_wide), "eigvalsh: expected square"),
    "eig": (lambda: L.eig(_wide), "eig: expected square"),
    "eigvals": (lambda: L.eigvals(_wide), "eigvals: expected square"),
    "solve": (lambda: L.solve(_wide, np.ones(2)), "solve: expected square"),
    "solve-right": (lambda: L.solve(np.eye(2), np.ones(3)), r"solve: x2 has shape \(3,\)"),
    "solve-scalar": (lambda: L.solve(np.eye(2), np.array(1.0)), r"solve: x2 has shape \(\)"),
    "matrix_power": (lambda: L.matrix_power(_wide, 2), "matrix_power: expected square"),
    "svd": (lambda: L.svd(np.ones(3)), "svd: expected a matrix"),
    "svdvals": (lambda: L.svdvals(np.ones(3)), "svdvals: expected a matrix"),
    "qr": (lambda: L.qr(np.ones(3)), "qr: expected a matrix"),
    "qr-mode": (lambda: L.qr(_wide, mode="full"), "qr: expected the mode 'reduced' or 'complete'"),
    "pinv": (lambda: L.pinv(np.ones(3)), "pinv: expected a matrix"),
    "matrix_rank": (lambda: L.matrix_rank(np.ones(3)), "matrix_rank: expected a matrix"),
    "matrix_norm": (lambda: L.matrix_norm(np.ones(3)), "matrix_norm: expected a matrix"),
    "matrix_norm-ord": (lambda: L.matrix_norm(_wide, ord=3), "matrix_norm: expected 'fro'.*got 3"),
    "diagonal": (lambda: L.diagonal(np.ones(3)), "diagonal: expected a matrix"),
    "trace": (lambda: L.trace(np.ones(3)), "diagonal: expected a matrix"),
    "cross": (lambda: L.cross(np.ones(2), np.ones(2)), "cross: axis -1.*not of length 3"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_bad_shapes(name):
    call, message = SHAPES[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_axes_and_exponents():
    with pytest.raises(IndexError, match="cross: axis 1 is out of range"):
        L.cross(np.ones((2, 3)), np.ones(3), axis=1)
    with pytest.raises(IndexError, match="vector_norm: axis 2"):
        L.vector_norm(np.ones((2, 3)), axis=2)
    with pytest.raises(TypeError, match=r"matrix_power: expected an integer.*0\.5"):
        L.matrix_power(np.eye(2), 0.5)


def test_integers_are_refused(lane):
    x = lane.array(np.eye(2, dtype=np.int64))
    for name in (
        "cholesky", "det", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matrix_norm",
        "matrix_rank", "pinv", "qr", "slogdet", "svd", "svdvals", "vector_norm",
    ):  # fmt: skip
        with pytest.raises(TypeError, match=rf"{name}: expected a floating-point dtype.*int64"):
            getattr(L, name)(x)
    with pytest.raises(TypeError, match="matrix_power: expected a floating-point dtype"):
        L.matrix_power(x, 2)
    for left, right in ((x, lane.array(np.ones(2))), (lane.array(np.eye(2)), x)):
        with pytest.raises(TypeError, match="solve: expected a floating-point dtype"):
            L.solve(left, right)


# --- against PyTorch --------------------------------------------------------------------------

torch_is_there = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="compares with PyTorch, not installed"
)

PAIRS: dict[str, tuple[Any, Any, tuple[int, ...]]] = {
    "cholesky": (
        lambda x: L.cholesky(F.matmul(x, adjoint(x))),
        lambda t, x: t.linalg.cholesky(x @ x.mH),
        (2, 3, 3),
    ),
    "det": (L.det, lambda t, x: t.linalg.det(x), (2, 3, 3)),
    "slogdet": (
        lambda x: L.slogdet(x).logabsdet,
        lambda t, x: t.linalg.slogdet(x).logabsdet,
        (2, 3, 3),
    ),
    "sign": (lambda x: L.slogdet(x).sign, lambda t, x: t.linalg.slogdet(x).sign, (2, 3, 3)),
    "inv": (L.inv, lambda t, x: t.linalg.inv(x), (2, 3, 3)),
    "pinv": (L.pinv, lambda t, x: t.linalg.pinv(x), (2, 4, 3)),
    "solve": (
        lambda x: L.solve(x, x[..., :1] ** 2),
        lambda t, x: t.linalg.solve(x, x[..., :1] ** 2),
        (2, 3, 3),
    ),
    "eigvalsh": (
        lambda x: L.eigvalsh(x + adjoint(x)),
        lambda t, x: t.linalg.eigvalsh(x + x.mH),
        (2, 3, 3),
    ),
    "eigh": (
        lambda x: F.abs(L.eigh(x + adjoint(x)).eigenvectors),
        lambda t, x: t.linalg.eigh(x + x.mH).eigenvectors.abs(),
        (2, 3, 3),
    ),
    "eig": (
        lambda x: F.sum(F.abs(L.eig(x).eigenvectors) ** 4),
        lambda t, x: (t.linalg.eig(x).eigenvectors.abs() ** 4).sum(),
        (4, 4),
    ),
    "eigvals": (
        lambda x: F.sum(L.eigvals(x) ** 3),
        lambda t, x: (t.linalg.eigvals(x) ** 3).sum(),
        (4, 4),
    ),
    "svd": (
        lambda x: F.abs(L.svd(x, full_matrices=False).U),
        lambda t, x: t.linalg.svd(x, full_matrices=False).U.abs(),
        (2, 4, 3),
    ),
    "svd-wide": (
        lambda x: F.abs(L.svd(x, full_matrices=False).Vh),
        lambda t, x: t.linalg.svd(x, full_matrices=False).Vh.abs(),
        (3, 4),
    ),
    "svdvals": (L.svdvals, lambda t, x: t.linalg.svdvals(x), (2, 4, 3)),
    "qr": (lambda x: L.qr(x).Q, lambda t, x: t.linalg.qr(x).Q, (2, 4, 3)),
    "qr-wide": (lambda x: L.qr(x).R, lambda t, x: t.linalg.qr(x).R, (2, 3, 4)),
    "power": (
        lambda x: L.matrix_power(x, -3), lambda t, x: t.linalg.matrix_power(x, -3), (2, 3, 3),
    ),
    "nuc": (
        lambda x: L.matrix_norm(x, ord="nuc"),
        lambda t, x: t.linalg.matrix_norm(x, ord="nuc"),
        (2, 4, 3),
    ),
    "spectral": (
        lambda x: L.matrix_norm(x, ord=2), lambda t, x: t.linalg.matrix_norm(x, ord=2), (2, 4, 3),
    ),
    "norm": (
        lambda x: L.vector_norm(x, axis=-1, ord=3),
        lambda t, x: t.linalg.vector_norm(x, dim=-1, ord=3),
        (2, 4, 3),
    ),
}  # fmt: skip


@torch_is_there
@pytest.mark.parametrize("name", PAIRS)
def test_first_order_is_that_of_torch(name, complex_):
    import torch

    ours, theirs, shape = PAIRS[name]
    a = drawn(*shape, complex_=complex_)
    x, t = Variable(a), torch.tensor(a, requires_grad=True)
    y, z = ours(x), theirs(torch, t)
    w = drawn(*y.shape, seed=3)
    F.sum(F.real(y * w)).backward()
    (z * torch.tensor(w)).sum().real.backward()
    want = np.zeros(shape) if t.grad is None else t.grad.resolve_conj().numpy()
    np.testing.assert_allclose(x.grad.data, want, rtol=1e-9, atol=1e-10 * np.abs(want).max())


def test_traced_by_jax():
    """Rules ask no value that is not known yet."""
    pytest.importorskip("jax", reason="traces with JAX, not installed")
    import jax

    lane = Lane("jax")

    def value(x: Any) -> Any:
        v = Variable(x)
        e = L.eigh(F.matmul(v, F.transpose(v)))
        (L.det(v) + F.sum(e.eigenvectors**2 * e.eigenvalues)).backward()
        return v.grad.data

    a = lane.array(np.diag([1.0, 2.0, 4.0]) + 0.1)
    np.testing.assert_allclose(jax.jit(value)(a), value(a), rtol=1e-9, atol=1e-12)


def test_outputs_that_a_rule_asks_for_stay_those_of_the_function():
    """To second order, whether the results are still held or not."""
    a = drawn(3, 3) + 2 * np.eye(3)
    w = drawn(3, 3, seed=1)

    def second(drop):
        x = Variable(a)
        result = L.qr(x)
        y = F.sum(result.Q * w) + F.sum(result.R * F.sin(result.R))
        if drop:
            del result
        y.backward(create_graph=True)
        g, x.grad = x.grad, None
        F.sum(g * w).backward()
        return x.grad.data

    np.testing.assert_array_equal(second(True), second(False))
    check_gradients(lambda x: F.sum(L.qr(x).Q * w) + F.sum(F.sin(L.qr(x).R)), a)
