"""Matrices: factors, solutions, spectra, norms; the standard's namespace ``linalg``.

Matrices are the last two dimensions of an array, those before them make a stack. Where the standard
asks for floating-point numbers, integers are refused with TypeError.

**What a gradient assumes.** Some results are not unique: eigenvectors and singular vectors may be
multiplied by a number of absolute value 1, and bases of null spaces may be turned. The gradient
assumes that the loss does not depend on such a choice. If it does for complex vectors or bases of
null spaces, ValueError says so; not while JAX traces, where values are not known.

**Equal eigenvalues and singular values.** The derivatives of vectors have factors
``1 / (b - a)`` for each two values. Values that differ by no more than their rounding errors (the
size of the matrix, times the dtype's epsilon, times the largest value) count as equal, and the
factor is 0 then: right for a loss that depends on the space of such vectors only. For singular
values ``1 / a`` is treated alike.

``cholesky``, ``eigh`` and ``eigvalsh`` read symmetric (Hermitian) matrices; their gradients are
symmetric too.
"""

import math
from typing import Any, NamedTuple

from ..backends import is_integer, normalized_axes
from ..core import Variable
from ..dispatch import common
from ..primitive import constant, ops, primitive, variadic
from .elementwise import abs, positive
from .indexing import _sum_to
from .linear_algebra import matmul, outer, tensordot, vecdot
from .manipulation import matrix_transpose
from .statistical import max as _max
from .statistical import min as _min
from .statistical import sum as _sum
from .statistical import vector_norm as _vector_norm

__all__ = [
    "EigResult",
    "EighResult",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]


class EigResult(NamedTuple):
    """What `eig` gives."""

    eigenvalues: Any
    eigenvectors: Any


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """What `qr` gives."""

    Q: Any
    R: Any


class SlogdetResult(NamedTuple):
    """What `slogdet` gives."""

    sign: Any
    logabsdet: Any


class SVDResult(NamedTuple):
    """What `svd` gives."""

    U: Any
    S: Any
    Vh: Any


def _listed(function):
    """A function made of others, for rules to find."""
    ops["linalg." + function.__name__] = function
    return function


# --- operands ---------------------------------------------------------------------------------


def _check(xp, name, x, square=False):
    """Raise unless ``x`` is a floating-point matrix, or a stack of them."""
    _check_floating(xp, name, x)
    if x.ndim < 2:
        msg = f"{name}: expected a matrix or a stack of them, (..., M, N), got shape {x.shape}"
        raise ValueError(msg)
    if square and x.shape[-1] != x.shape[-2]:
        msg = f"{name}: expected square matrices, (..., M, M), got shape {x.shape}"
        raise ValueError(msg)


def _check_floating(xp, name, x):
    if not xp.is_inexact(x.dtype):
        msg = f"{name}: expected a floating-point dtype, got {x.dtype}"
        raise TypeError(msg)


def _asked(name, x):
    """The backend and the raw array of what a function was called with."""
    raw = x._data if isinstance(x, Variable) else x
    return common(name, (raw,)), raw


# --- what rules are made of -------------------------------------------------------------------


def _plain(xp, x):
    """The backend and the raw array of what a rule works on: for constants."""
    return (xp.backend, x._data) if isinstance(x, Variable) else (xp, x)


def _adjoint(xp, x):
    """The conjugate transpose."""
    x = xp.matrix_transpose(x)
    return xp.conj(x) if xp.is_complex(x.dtype) else x


def _constant(xp, x):
    """The backend of ``x``, and as words for its functions the real dtype and the device."""
    backend, raw = _plain(xp, x)
    dtype = raw.dtype
    if backend.is_complex(dtype):
        dtype = backend.float32 if dtype == backend.complex64 else backend.float64
    return backend, {"dtype": dtype, "device": backend.device(raw)}


def _identity(xp, x, n):
    """The constant identity matrix of the precision and device of ``x``."""
    backend, words = _constant(xp, x)
    return backend.eye(n, **words)


def _half_lower(xp, x):
    """Weights of a triangle: 1 below the diagonal, 0.5 on it, 0 above."""
    backend, words = _constant(xp, x)
    n = x.shape[-1]
    return backend.tril(backend.ones((n, n), **words)) - 0.5 * backend.eye(n, **words)


def _rounding(xp, values, n):
    """What the rounding error of each of ``values`` may be, in shape (..., 1)."""
    backend, raw = _plain(xp, values)
    size = backend.abs(raw)
    if not size.shape[-1]:
        return size
    eps = float(backend.finfo(size.dtype).eps)
    return backend.max(size, axis=-1, keepdims=True) * (n * eps)


def _inverse_or_zero(xp, x, error):
    """``1 / x``, and 0 (to any order) where ``x`` is no more than its ``error``."""
    backend, raw = _plain(xp, x)
    if 0 in raw.shape:
        return x
    vanishes = backend.abs(raw) <= error
    return 1.0 / xp.where(vanishes, xp.full_like(x, math.inf), x)


def _differences(values):
    """``values[j] - values[i]`` at the place (i, j)."""
    return values[..., None, :] - values[..., :, None]


def _check_gauge(xp, name, what, violation, *gradients):
    """Raise if the loss depends on a choice that is no property of the matrix."""
    backend, violation = _plain(xp, violation)
    if 0 in violation.shape:
        return
    total = backend.max(backend.abs(_plain(xp, gradients[0])[1]))
    for g in gradients[1:]:
        total = total + backend.max(backend.abs(_plain(xp, g)[1]))
    allowed = total * float(backend.finfo(total.dtype).eps) ** 0.25
    msg = f"{name}: the loss depends on {what}, so that it has no gradient"
    backend.check_not(backend.max(backend.abs(violation)) > allowed, msg)


_PHASES = "the phases of complex vectors, which are arbitrary"


# --- determinants -----------------------------------------------------------------------------

_SHIFTED = 3  # how many singular values may be 0 for derivatives of det of any order


def _adjugate(xp, x):
    """The adjugate of each matrix, smooth wherever the determinant is.

    ``x`` is moved away from singular matrices along the singular vectors of its smallest singular
    values, ``m = x + c u v^H``, and the matrix determinant lemma leads back:
    ``det(x) = det(m) det(t)`` with the small matrix ``t = 1 - c v^H m^-1 u``. ``u`` and ``v`` are
    constants here, so this and its derivatives hold without any assumption on singular values.
    The determinant and the adjugate of ``t`` are those of Faddeev and LeVerrier.
    """
    backend, raw = _plain(xp, x)
    n = raw.shape[-1]
    if n == 0:
        return x
    count = min(n, _SHIFTED)
    u, s, vh = backend.linalg.svd(raw, full_matrices=False)
    c = backend.where(s[..., :1] > 0, s[..., :1], backend.ones_like(s[..., :1]))
    vanishes = s <= c * (n * float(backend.finfo(s.dtype).eps))
    last = backend.arange(n, device=backend.device(raw)) >= n - count
    zero = backend.zeros_like(s)
    shift = backend.where(backend.logical_or(vanishes, last), c + zero, zero)
    shift = backend.astype(shift, raw.dtype)
    m = x + backend.matmul(u * shift[..., None, :], vh)
    u, vh = u[..., n - count :], vh[..., n - count :, :] * backend.astype(c, raw.dtype)[..., None]
    inverse = xp.linalg.inv(m)
    left = xp.matmul(inverse, u)
    one = _identity(xp, x, count)
    t = -xp.matmul(vh, left) + one
    adjugate = one
    for k in range(1, count):
        product = xp.matmul(t, adjugate)
        adjugate = (_trace(xp, product) / k)[..., None, None] * one - product
    small = (_trace(xp, xp.matmul(t, adjugate)) / count)[..., None, None]
    outside = xp.matmul(xp.matmul(left, adjugate), xp.matmul(vh, inverse))
    result = xp.linalg.det(m)[..., None, None] * (small * inverse + outside)
    if n == count:
        return result
    lost = backend.any(vanishes[..., : n - count], axis=-1)[..., None, None]
    return xp.where(lost, xp.zeros_like(result), result)


def _trace(xp, x):
    return xp.sum(xp.linalg.diagonal(x), axis=-1)


def _regular_adjugate(xp, x, y):
    """The adjugate of matrices with the determinants ``y``; None if one may be near singular."""
    backend, raw = _plain(xp, x)
    if 0 in raw.shape:
        return x
    eps = float(backend.finfo(raw.dtype).eps)
    rows = backend.linalg.vector_norm(raw, axis=-1)
    apart = backend.abs(_plain(xp, y)[1]) > 1e3 * eps * backend.prod(rows, axis=-1)
    if not backend.holds(backend.all(apart)):
        return None
    inverse = backend.linalg.inv(raw)
    if isinstance(x, Variable):  # the next derivative loses the squared condition number
        rows = backend.max(rows, axis=-1, keepdims=True)
    condition = backend.abs(inverse) * rows[..., None, :]  # of rows of length 1, or of the matrix
    if not backend.holds(backend.max(condition) < eps**-0.25):
        return None
    return y[..., None, None] * (xp.linalg.inv(x) if isinstance(x, Variable) else inverse)


def _det_rule(xp, g, x, y):
    adjugate = _regular_adjugate(xp, x, y)
    adjugate = _adjugate(xp, x) if adjugate is None else adjugate
    return g[..., None, None] * xp.matrix_transpose(adjugate)


@primitive(_det_rule)
def det(xp, x):
    """Determinants, in shape (...).

    The gradient is that of the polynomial, also of singular matrices. Derivatives of any order are
    right for matrices of a rank of at least ``M - 3``, and those up to the third for all.

    Raises:
        ValueError: The matrices are not square.

    Example:
        >>> import numpy as np
        >>> x = Variable(np.array([[1.0, 2.0], [2.0, 4.0]]))
        >>> det(x).backward()
        >>> print(x.grad.data.round(12))
        [[ 4. -2.]
         [-2.  1.]]
    """
    _check(xp, "det", x, square=True)
    return xp.linalg.det(x)


def _slogdet_rule(xp, g, x, y):
    g_sign, g_log = g
    sign, _ = y
    singular = _plain(xp, sign)[1] == 0
    x = xp.where(singular[..., None, None], _identity(xp, x, x.shape[-1]), x)
    if xp.is_complex(x.dtype):
        g_log = g_log - xp.imag(xp.conj(g_sign) * sign) * 1j
    g_log = xp.where(singular, xp.zeros_like(g_log), g_log)
    return g_log[..., None, None] * _adjoint(xp, xp.linalg.inv(x))


@primitive(_slogdet_rule, conjugates=True, several=True)
def _slogdet(xp, x):
    """Sign and logarithm."""
    _check(xp, "slogdet", x, square=True)
    return tuple(xp.linalg.slogdet(x))


@_listed
def slogdet(x, /):
    """Sign of the determinant, and the logarithm of its absolute value, each in shape (...).

    The sign of complex matrices is a number of absolute value 1. For singular matrices they are 0
    and minus infinity, and the gradient given is 0.

    Raises:
        ValueError: The matrices are not square.

    Example:
        >>> import numpy as np
        >>> slogdet(-np.eye(3))
        SlogdetResult(sign=variable(-1.0), logabsdet=variable(0.0))
    """
    return SlogdetResult(*_slogdet(x))


# --- inverses ---------------------------------------------------------------------------------


def _inv_rule(xp, g, y):
    yt = xp.matrix_transpose(y)
    return -xp.matmul(xp.matmul(yt, g), yt)


@primitive(_inv_rule)
def inv(xp, x):
    """Inverse matrices.

    Raises:
        ValueError: The matrices are not square.

    A singular matrix is an error of the library's own, or gives infinite numbers.
    """
    _check(xp, "inv", x, square=True)
    return xp.linalg.inv(x)


def _solve_rule(xp, g, arrays, shapes, y, needed):
    x1 = arrays[0]
    vector = len(shapes[1]) == 1
    if vector:
        g, y = g[..., None], y[..., None]
    g2 = xp.linalg.solve(xp.matrix_transpose(x1), g)
    g1 = -xp.matmul(g2, xp.matrix_transpose(y)) if needed[0] else None
    g2 = g2[..., 0] if vector else g2
    return [
        _sum_to(xp, g1, shapes[0]) if needed[0] else None,
        _sum_to(xp, g2, shapes[1]) if needed[1] else None,
    ]


@variadic(_solve_rule)
def _solve(xp, arrays):
    """Solutions of ``x1 @ y == x2``."""
    x1, x2 = arrays
    _check(xp, "solve", x1, square=True)
    _check_floating(xp, "solve", x2)
    rows = x2.shape[-2 if x2.ndim > 1 else -1] if x2.ndim else None
    if rows != x1.shape[-1]:
        n = x1.shape[-1]
        msg = f"solve: x2 has shape {x2.shape}, expected ({n},) or (..., {n}, K)"
        raise ValueError(msg)
    return xp.linalg.solve(x1, x2)


@_listed
def solve(x1, x2, /):
    """The ``y`` with ``x1 @ y == x2``.

    Args:
        x1: Square matrices, in shape (..., M, M).
        x2: Right-hand sides: a vector if it has one dimension, (M,); else matrices, (..., M, K).
            Dimensions before the last two are broadcast against those of ``x1``.

    Raises:
        ValueError: The shapes do not fit.

    A singular matrix is an error of the library's own, or gives infinite numbers.

    Example:
        >>> import numpy as np
        >>> solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0]))
        variable([1.  0.5])
    """
    return _solve([x1, x2])


def _pinv_rule(xp, g, x, y):
    gh, yh = _adjoint(xp, g), _adjoint(xp, y)
    right, left = xp.matmul(gh, xp.matmul(y, yh)), xp.matmul(xp.matmul(yh, y), gh)
    result = right - xp.matmul(x, xp.matmul(y, right))
    result = result + left - xp.matmul(xp.matmul(left, y), x)
    return result - xp.matmul(xp.matmul(yh, g), yh)


@primitive(_pinv_rule, conjugates=True)
def _pinv(xp, x, rtol):
    """Pseudo-inverse."""
    _check(xp, "pinv", x)
    if 0 in x.shape:
        shape = (*x.shape[:-2], x.shape[-1], x.shape[-2])
        return xp.zeros(shape, dtype=x.dtype, device=xp.device(x))
    if rtol is None:
        rtol = max(x.shape[-2:]) * float(xp.finfo(x.dtype).eps)
    return xp.linalg.pinv(x, rtol=rtol)


@_listed
def pinv(x, /, *, rtol=None):
    """Pseudo-inverses of Moore and Penrose, in shape (..., N, M).

    Singular values up to ``rtol`` (a number, or an array with one for each matrix) times the
    largest count as 0; by default the larger of M and N times the dtype's epsilon. The gradient
    is that among matrices of the same rank (Golub and Pereyra, 1973).
    """
    return _pinv(x, rtol._data if isinstance(rtol, Variable) else rtol)


@primitive(lambda xp, g: xp.zeros_like(g))
def _power_of_zero(xp, x):
    """The unit matrix in place of each matrix."""
    return xp.zeros_like(x) + xp.eye(x.shape[-1], dtype=x.dtype, device=xp.device(x))


@_listed
def matrix_power(x, n, /):
    """``x`` multiplied ``n`` times with itself; negative powers are those of the inverse.

    Raises:
        TypeError: ``n`` is not an integer.
        ValueError: The matrices are not square.
    """
    xp, raw = _asked("matrix_power", x)
    _check(xp, "matrix_power", raw, square=True)
    if not is_integer(n):
        msg = f"matrix_power: expected an integer as exponent, got {n!r}"
        raise TypeError(msg)
    if n == 0:
        return _power_of_zero(x)
    square = inv(x) if n < 0 else x
    n = -n if n < 0 else n
    result = None
    while True:
        if n & 1:
            result = square if result is None else matmul(result, square)
        n >>= 1
        if not n:
            return positive(result)
        square = matmul(square, square)


# --- factors ----------------------------------------------------------------------------------


def _cholesky_rule(xp, g, y, upper):
    if not upper:
        yh = _adjoint(xp, y)
    else:
        yh, y, g = y, _adjoint(xp, y), _adjoint(xp, g)
    part = xp.matmul(yh, g) * _half_lower(xp, y)
    part = 0.5 * (part + _adjoint(xp, part))
    part = _adjoint(xp, xp.linalg.solve(yh, part))
    return xp.linalg.solve(yh, part)


@primitive(_cholesky_rule, conjugates=True)
def cholesky(xp, x, *, upper=False):
    """The lower triangular ``y`` with ``x = y @ y^H``; with ``upper`` its conjugate transpose.

    The matrices are symmetric (Hermitian) and positive definite.

    Raises:
        ValueError: The matrices are not square.

    Matrices that are not positive definite are an error of the library's own, or give NaN. The
    gradient is I. Murray's (Differentiation of the Cholesky decomposition, 2016).

    Example:
        >>> import numpy as np
        >>> print(cholesky(np.array([[4.0, 2.0], [2.0, 2.0]])))
        [[2. 0.]
         [1. 1.]]
    """
    _check(xp, "cholesky", x, square=True)
    return xp.linalg.cholesky(x, upper=upper)


def _qr_rule(xp, g, x, y, mode):
    q, r = y
    g_q, g_r = g
    m, n = x.shape[-2:]
    if m > n and mode == "complete":
        rest, g_rest = q[..., n:], g_q[..., n:]
        q, r, g_r = q[..., :n], r[..., :n, :], g_r[..., :n, :]
        turned = xp.matmul(_adjoint(xp, rest), g_rest)
        _check_gauge(
            xp, "qr", "which basis completes Q, which is arbitrary",
            turned - _adjoint(xp, turned), g_q,
        )  # fmt: skip
        g_q = g_q[..., :n] - xp.matmul(rest, xp.matmul(_adjoint(xp, g_rest), q))
    tail = None
    if n > m:
        tail = xp.matmul(q, g_r[..., m:])
        g_q = g_q + xp.matmul(x[..., m:], _adjoint(xp, g_r[..., m:]))
        r, g_r = r[..., :m], g_r[..., :m]
    rh = _adjoint(xp, r)
    part = xp.matmul(g_r, rh) - xp.matmul(_adjoint(xp, q), g_q)
    part = part * _plain(xp, part)[0].matrix_transpose(_half_lower(xp, part))
    part = g_q + xp.matmul(q, part + _adjoint(xp, part))
    part = _adjoint(xp, xp.linalg.solve(r, _adjoint(xp, part)))
    return part if tail is None else xp.concat([part, tail], axis=-1)


@primitive(_qr_rule, conjugates=True, several=True)
def _qr(xp, x, mode):
    """Orthonormal and triangular factor."""
    _check(xp, "qr", x)
    if mode not in ("reduced", "complete"):
        msg = f"qr: expected the mode 'reduced' or 'complete', got {mode!r}"
        raise ValueError(msg)
    return tuple(xp.linalg.qr(x, mode=mode))


@_listed
def qr(x, /, *, mode="reduced"):
    """``Q`` with orthonormal columns and the upper triangular ``R``, ``x = Q @ R``.

    Args:
        x: Matrices of shape (..., M, N), tall or wide.
        mode: "reduced": with K the smaller of M and N, Q is (..., M, K) and R (..., K, N).
            "complete": Q is (..., M, M) and R (..., M, N).

    Raises:
        ValueError: There is no such mode. In a backward pass: the loss depends on more of the
            columns that complete Q than on the space that they span.

    The gradient needs linearly independent columns, the first K of a wide matrix.
    """
    return QRResult(*_qr(x, mode))


# --- eigenvalues ------------------------------------------------------------------------------


def _eigh_rule(xp, g, x, y):
    values, vectors = y
    g_values, g_vectors = g
    part = xp.matmul(_adjoint(xp, vectors), g_vectors)
    part = 0.5 * (part - _adjoint(xp, part))
    if xp.is_complex(vectors.dtype):
        _check_gauge(xp, "eigh", _PHASES, xp.linalg.diagonal(part), g_vectors)
    error = _rounding(xp, values, x.shape[-1])[..., None]
    part = part * _inverse_or_zero(xp, _differences(values), error)
    part = part + g_values[..., None] * _identity(xp, x, x.shape[-1])
    return xp.matmul(xp.matmul(vectors, part), _adjoint(xp, vectors))


@primitive(_eigh_rule, conjugates=True, several=True)
def _eigh(xp, x):
    """Eigenvalues and eigenvectors."""
    _check(xp, "eigh", x, square=True)
    return tuple(xp.linalg.eigh(x))


@_listed
def eigh(x, /):
    """Eigenvalues, ascending, and orthonormal eigenvectors of symmetric (Hermitian) matrices.

    The eigenvectors are the columns of a matrix. What their gradient assumes, and what it is where
    eigenvalues are equal, is said at the head of this module.

    Raises:
        ValueError: The matrices are not square. In a backward pass: the loss depends on the phases
            of complex eigenvectors.

    Example:
        >>> import numpy as np
        >>> eigh(np.array([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
        variable([1. 3.])
    """
    return EighResult(*_eigh(x))


def _eigvalsh_rule(xp, g, x):
    _, vectors = xp.linalg.eigh(x)
    return xp.matmul(vectors * g[..., None, :], _adjoint(xp, vectors))


@primitive(_eigvalsh_rule, conjugates=True)
def eigvalsh(xp, x):
    """Eigenvalues of symmetric (Hermitian) matrices, ascending, in shape (..., M).

    Raises:
        ValueError: The matrices are not square.
    """
    _check(xp, "eigvalsh", x, square=True)
    return xp.linalg.eigvalsh(x)


def _eig_back(xp, vectors, part):
    """What a gradient in the basis of eigenvectors is in that of the matrix."""
    backend, raw = _plain(xp, vectors)
    n = raw.shape[-1]
    if n:
        s = backend.linalg.svdvals(raw)
        limit = n * float(backend.finfo(s.dtype).eps)
        msg = (
            "eig: a matrix is defective, it has fewer eigenvectors than its size, so that its "
            "eigenvalues have no gradient"
        )
        backend.check_not(backend.any(s[..., -1] <= limit * s[..., 0]), msg)
    adjoint = _adjoint(xp, vectors)
    return xp.linalg.solve(adjoint, xp.matmul(part, adjoint))


def _eig_rule(xp, g, x, y):
    values, vectors = y
    g_values, g_vectors = g
    adjoint = _adjoint(xp, vectors)
    part = xp.matmul(adjoint, g_vectors)
    along = xp.linalg.diagonal(part)
    _check_gauge(xp, "eig", _PHASES, xp.imag(along), g_vectors)
    part = part - xp.matmul(adjoint, vectors) * along[..., None, :]
    error = _rounding(xp, values, x.shape[-1])[..., None]
    part = part * xp.conj(_inverse_or_zero(xp, _differences(values), error))
    part = part + g_values[..., None] * _identity(xp, values, x.shape[-1])
    return xp.cast(_eig_back(xp, vectors, part), x.dtype)


@primitive(_eig_rule, conjugates=True, several=True)
def _eig(xp, x):
    """Eigenvalues and eigenvectors."""
    _check(xp, "eig", x, square=True)
    return tuple(xp.linalg.eig(x))


@_listed
def eig(x, /):
    """Eigenvalues and eigenvectors, of length 1, of any square matrices: complex arrays.

    The eigenvectors are the columns of a matrix; the eigenvalues are in no order. What their
    gradient assumes, and what it is where eigenvalues are equal, is said at the head of this
    module.

    Raises:
        ValueError: The matrices are not square. In a backward pass: a matrix is defective, or the
            loss depends on the phases of eigenvectors.
    """
    return EigResult(*_eig(x))


def _eigvals_rule(xp, g, x):
    values, vectors = xp.linalg.eig(x)
    part = g[..., None] * _identity(xp, values, x.shape[-1])
    return xp.cast(_eig_back(xp, vectors, part), x.dtype)


@primitive(_eigvals_rule, conjugates=True)
def eigvals(xp, x):
    """Eigenvalues of any square matrices, in shape (..., M), in no order: a complex array.

    Raises:
        ValueError: The matrices are not square. In a backward pass: a matrix is defective.
    """
    _check(xp, "eigvals", x, square=True)
    return xp.linalg.eigvals(x)


# --- singular values --------------------------------------------------------------------------


def _svd_rule(xp, g, x, y, full_matrices):
    # With U^H dU and V^H dV skew, U^H dA V = (U^H dU) S + dS - S (V^H dV) is solved for them. Apart
    # in their mean and half their difference, the first meets differences of singular values, the
    # second sums only.
    u, s, vh = y
    g_u, g_s, g_vh = g
    m, n = x.shape[-2:]
    k = min(m, n)
    u1, vh1 = u[..., :k], vh[..., :k, :]
    along_u = xp.matmul(_adjoint(xp, u), g_u)
    along_v = xp.matmul(vh, _adjoint(xp, g_vh))
    skew_u, skew_v = (p[..., :k, :k] - _adjoint(xp, p[..., :k, :k]) for p in (along_u, along_v))
    both = 0.5 * (skew_u + skew_v)
    if xp.is_complex(x.dtype):
        _check_gauge(xp, "svd", _PHASES, xp.linalg.diagonal(both), g_u, g_vh)
    error = _rounding(xp, s, max(m, n))
    part = both * _inverse_or_zero(xp, _differences(s), error[..., None])
    sums = s[..., None, :] + s[..., :, None]
    part = part + 0.5 * (skew_u - skew_v) * _inverse_or_zero(xp, sums, error[..., None])
    part = part + g_s[..., None] * _identity(xp, x, k)
    result = xp.matmul(xp.matmul(u1, part), vh1)
    inverse = _inverse_or_zero(xp, s, error)
    if m > n:
        if full_matrices:
            _check_basis(xp, "U", along_u[..., k:, k:], g_u)
            outside = along_u[..., k:, :k] - _adjoint(xp, along_u[..., :k, k:])
            outside = xp.matmul(u[..., k:], outside)
        else:
            outside = g_u - xp.matmul(u, along_u)
        return result + xp.matmul(outside * inverse[..., None, :], vh1)
    if n > m:
        if full_matrices:
            _check_basis(xp, "Vh", along_v[..., k:, k:], g_vh)
            outside = along_v[..., k:, :k] - _adjoint(xp, along_v[..., :k, k:])
            outside = xp.matmul(_adjoint(xp, outside), vh[..., k:, :])
        else:
            outside = g_vh - xp.matmul(_adjoint(xp, along_v), vh)
        return result + xp.matmul(u1 * inverse[..., None, :], outside)
    return result


def _check_basis(xp, name, turned, g):
    what = f"which basis completes {name}, which is arbitrary"
    _check_gauge(xp, "svd", what, turned - _adjoint(xp, turned), g)


@primitive(_svd_rule, conjugates=True, several=True)
def _svd(xp, x, full_matrices):
    """Singular vectors and values."""
    _check(xp, "svd", x)
    return tuple(xp.linalg.svd(x, full_matrices=full_matrices))


@_listed
def svd(x, /, *, full_matrices=True):
    """Singular value decomposition ``x = U @ diag(S) @ Vh``, singular values descending.

    Args:
        x: Matrices of shape (..., M, N).
        full_matrices: U is (..., M, M) and Vh (..., N, N); otherwise, with K the smaller of M and
            N, they are (..., M, K) and (..., K, N).

    What the gradient of singular vectors assumes, and what it is where singular values are equal or
    0, is said at the head of this module.

    Raises:
        ValueError: In a backward pass: the loss depends on the phases of complex singular vectors,
            or on more of the vectors that complete U or Vh than on the space that they span.

    Example:
        >>> import numpy as np
        >>> svd(np.array([[0.0, 2.0], [1.0, 0.0]])).S
        variable([2. 1.])
    """
    return SVDResult(*_svd(x, full_matrices))


def _svdvals_rule(xp, g, x):
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    error = _rounding(xp, s, max(x.shape[-2:]))
    _, raw = _plain(xp, s)
    g = xp.where(raw <= error, xp.zeros_like(g), g)
    return xp.matmul(u * g[..., None, :], vh)


@primitive(_svdvals_rule, conjugates=True)
def svdvals(xp, x):
    """Singular values, descending, in shape (..., K), with K the smaller length.

    Where one is 0 up to rounding, its gradient is 0.
    """
    _check(xp, "svdvals", x)
    return xp.linalg.svdvals(x)


@constant
def matrix_rank(xp, x, *, rtol=None):
    """How many singular values are larger than ``rtol`` times the largest. A constant.

    ``rtol`` is a number or an array with one for each matrix; by default the larger length of the
    matrix times the dtype's epsilon.
    """
    _check(xp, "matrix_rank", x)
    rtol = rtol._data if isinstance(rtol, Variable) else rtol
    if rtol is None:
        rtol = max(x.shape[-2:]) * float(xp.finfo(x.dtype).eps)
    elif not isinstance(rtol, (int, float)):
        rtol = rtol[..., None]
    if 0 in x.shape[-2:]:
        return xp.zeros(x.shape[:-2], dtype=xp.int64, device=xp.device(x))
    s = xp.linalg.svdvals(x)
    return xp.count_nonzero(s > xp.max(s, axis=-1, keepdims=True) * rtol, axis=-1)


# --- diagonals, products, norms ---------------------------------------------------------------


def _places(shape, offset):
    """Where the diagonal is among the elements of a matrix one after the other, as a slice."""
    m, n = shape[-2:]
    length = max(0, min(m + min(offset, 0), n - max(offset, 0)))
    start = offset if offset >= 0 else -offset * n
    return slice(start, start + (length - 1) * (n + 1) + 1, n + 1) if length else slice(0, 0)


def _diagonal_rule(xp, g, x_shape, offset):
    flat = (*x_shape[:-2], x_shape[-2] * x_shape[-1])
    return xp.reshape(xp.scatter_add(g, (..., _places(x_shape, offset)), flat), x_shape)


@primitive(_diagonal_rule)
def diagonal(xp, x, *, offset=0):
    """The diagonals of matrices; ``offset`` counts those above (positive) and below the main one.

    Raises:
        ValueError: ``x`` has less than two dimensions.

    Example:
        >>> import numpy as np
        >>> diagonal(np.array([[1.0, 2.0], [3.0, 4.0]]), offset=1)
        variable([2.])
    """
    if x.ndim < 2:
        msg = f"diagonal: expected a matrix or a stack of them, (..., M, N), got shape {x.shape}"
        raise ValueError(msg)
    if _places(x.shape, offset) == slice(0, 0):
        return xp.zeros((*x.shape[:-2], 0), dtype=x.dtype, device=xp.device(x))
    return xp.linalg.diagonal(x, offset=offset)


@_listed
def trace(x, /, *, offset=0, dtype=None):
    """Sums of the diagonals of matrices, in shape (...); see `diagonal` for ``offset``."""
    return _sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def _cross_axis(x1, x2, axis):
    """``axis`` counted from the end."""
    least = min(x1.ndim, x2.ndim)
    if axis >= 0 and x1.ndim == x2.ndim:
        axis -= x1.ndim
    if not -least <= axis < 0:
        msg = f"cross: axis {axis} is out of range, expected {-least} to -1"
        raise IndexError(msg)
    return axis


@primitive(
    lambda xp, g, x2, axis: xp.linalg.cross(x2, g, axis=axis if axis < 0 else axis - x2.ndim),
    lambda xp, g, x1, axis: xp.linalg.cross(g, x1, axis=axis if axis < 0 else axis - x1.ndim),
)
def cross(xp, x1, x2, *, axis=-1):
    """Cross product of vectors of length 3 along ``axis``, the other dimensions broadcast.

    Raises:
        IndexError: There is no such axis; if one of both has more dimensions, it counts from the
            end.
        ValueError: The length along ``axis`` is not 3.

    Example:
        >>> import numpy as np
        >>> cross(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
        variable([0. 0. 1.])
    """
    axis = _cross_axis(x1, x2, axis)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        msg = f"cross: axis {axis} of shapes {x1.shape} and {x2.shape} is not of length 3"
        raise ValueError(msg)
    return xp.linalg.cross(x1, x2, axis=axis)


@_listed
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """Norms of vectors.

    Args:
        x: An array.
        axis: The dimension of the vectors, or several as a tuple; by default all.
        keepdims: Dimensions of the vectors stay, with length 1.
        ord: The order, any number. 0 counts what is not 0, with the gradient 0; infinity is the
            largest absolute value, minus infinity the smallest.

    The gradient of the zero vector's norm is 0. Of elements that are the largest together each has
    its share.
    """
    xp, raw = _asked("vector_norm", x)
    _check_floating(xp, "vector_norm", raw)
    axis = None if axis is None else normalized_axes(axis, raw.ndim, "vector_norm")
    return _vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


@_listed
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """Norms of matrices, in shape (...), with ``keepdims`` (..., 1, 1).

    Args:
        x: Matrices of shape (..., M, N).
        keepdims: The dimensions of the matrices stay, with length 1.
        ord: "fro": the square root of the sum of squares. "nuc": the sum of singular values. 2 and
            -2: the largest and the smallest of them. 1 and -1: the largest and the smallest sum of
            absolute values of a column, infinity and minus infinity: of a row.

    Zeros, of elements and singular values, have the gradient 0. Of what is the largest together
    each has its share.

    Raises:
        ValueError: There is no such norm.
    """
    xp, raw = _asked("matrix_norm", x)
    _check(xp, "matrix_norm", raw)
    if ord in ("fro", None):
        return _vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        parts = svdvals(x)
    elif ord in (1, -1, math.inf, -math.inf):
        parts = _sum(abs(x), axis=-2 if ord in (1, -1) else -1)
    else:
        msg = f"matrix_norm: expected 'fro', 'nuc', 1, -1, 2, -2, inf or -inf as ord, got {ord!r}"
        raise ValueError(msg)
    over = _sum if ord == "nuc" else _max if ord > 0 else _min
    result = over(parts, axis=-1)
    return result[(..., None, None)] if keepdims else result
