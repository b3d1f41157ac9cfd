"""Functions of scipy.linalg."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from .measure import Chapter, names, normal, positive, spaced

entry = Chapter("scipy.linalg")


def square(n=3):
    return lambda rng: rng.standard_normal((n, n)) + 3 * np.eye(n)


def symmetric(a):
    return a + a.mT


entry("block_diag", lambda xp, a, b: linalg.block_diag(a, b), normal(2, 3), normal(3, 1))
entry("fiedler", lambda xp, a: linalg.fiedler(a), spaced(4))
entry(
    "orthogonal_procrustes",
    lambda xp, a, b: linalg.orthogonal_procrustes(a, b),
    normal(5, 3),
    normal(5, 3),
)
for name in names("toeplitz circulant companion hankel convolution_matrix"):
    more = (3,) if name == "convolution_matrix" else ()
    entry(name, lambda xp, c, name=name, more=more: getattr(linalg, name)(c, *more), positive(4))
for name in names("inv det pinv expm logm sqrtm sinm cosm tanm sinhm coshm tanhm signm"):
    entry(name, lambda xp, a, name=name: getattr(linalg, name)(a), square())
for name in names("cholesky eigvalsh pinvh"):
    entry(name, lambda xp, a, name=name: getattr(linalg, name)(symmetric(a)), square())
entry("eigh", lambda xp, a: linalg.eigh(symmetric(a))[0], square())
entry("eigvals", lambda xp, a: linalg.eigvals(a), square())
entry("svd", lambda xp, a: linalg.svd(a)[1], normal(4, 3))
entry("svdvals", lambda xp, a: linalg.svdvals(a), normal(4, 3))
entry("qr", lambda xp, a: linalg.qr(a, mode="economic"), normal(4, 3))
entry("lu", lambda xp, a: linalg.lu(a)[1:], square())
entry("polar", lambda xp, a: linalg.polar(a), square())
entry("norm", lambda xp, a: linalg.norm(a), normal(4, 3))
entry("solve", lambda xp, a, b: linalg.solve(a, b), square(), normal(3, 2))
entry("lstsq", lambda xp, a, b: linalg.lstsq(a, b)[0], normal(5, 3), normal(5))
entry("solve_triangular", lambda xp, a, b: linalg.solve_triangular(a, b), square(), normal(3))
entry(
    "solve_banded",
    lambda xp, a, b: linalg.solve_banded((1, 1), a, b),
    lambda rng: rng.uniform(0, 1, (3, 4)) + np.array([[0], [3], [0]]),
    normal(4),
)
entry(
    "solve_toeplitz",
    lambda xp, c, b: linalg.solve_toeplitz(c, b),
    lambda rng: np.array([4.0, 1, 0.5]),
    normal(3),
)
entry(
    "solve_sylvester",
    lambda xp, a, b, q: linalg.solve_sylvester(a, b, q),
    square(),
    square(),
    normal(3, 3),
)
entry(
    "solve_continuous_lyapunov",
    lambda xp, a, q: linalg.solve_continuous_lyapunov(a, q),
    square(),
    normal(3, 3),
)
entry(
    "solve_discrete_lyapunov",
    lambda xp, a, q: linalg.solve_discrete_lyapunov(a, q),
    square(),
    normal(3, 3),
)
entry("khatri_rao", lambda xp, a, b: linalg.khatri_rao(a, b), normal(3, 2), normal(4, 2))
