"""Functions of scipy.optimize and scipy.differentiate."""

from __future__ import annotations

import numpy as np
from scipy import optimize
from scipy.optimize import elementwise

from .measure import Chapter, normal, positive, spaced, uniform

entry = Chapter("scipy.optimize")
entry("rosen", lambda xp, x: optimize.rosen(x), normal(5))
entry("rosen_der", lambda xp, x: optimize.rosen_der(x), normal(5))
entry("rosen_hess", lambda xp, x: optimize.rosen_hess(x), normal(5))
entry("rosen_hess_prod", lambda xp, x, p: optimize.rosen_hess_prod(x, p), normal(5), normal(5))
entry(
    "elementwise.find_root",
    lambda xp, c: (
        elementwise.find_root(
            lambda x, c: x**3 + x - c, (xp.zeros(3), 2.0 * xp.ones(3)), args=(c,)
        ).x
    ),
    positive(3),
    arguments="args",
)
entry(
    "elementwise.find_minimum",
    lambda xp, c: (
        elementwise.find_minimum(
            lambda x, c: (x - c) ** 2 + x**4,
            (-2.0 * xp.ones(3), 0.1 * xp.ones(3), 3.0 * xp.ones(3)),
            args=(c,),
        ).f_x
    ),
    positive(3),
    arguments="args",
)
entry(
    "elementwise.bracket_root",
    lambda xp, a, c: elementwise.bracket_root(lambda x, c: x**3 + x - c, a, args=(c,)).bracket,
    uniform(-0.5, 0.0, 3),
    positive(3),
    arguments="xl0, args",
)
entry(
    "elementwise.bracket_minimum",
    lambda xp, a, c: elementwise.bracket_minimum(lambda x, c: (x - c) ** 2, a, args=(c,)).bracket,
    lambda rng: np.array([-0.3, -0.2, -0.1]),
    lambda rng: np.array([1.1, 1.3, 0.6]),
    arguments="xm0, args",
)
entry(
    "approx_fprime",
    lambda xp, x: optimize.approx_fprime(x, lambda x: (x**3).sum()),
    positive(3),
    arguments="xk",
    tolerance=1e-4,
)
entry(
    "root_scalar",
    lambda xp, c: optimize.root_scalar(lambda x: x**3 + x - c, bracket=(0.0, 2.0)).root,
    positive(),
    arguments="args",
)
entry(
    "brentq",
    lambda xp, c: optimize.brentq(lambda x: x**3 + x - c, 0.0, 2.0),
    positive(),
    arguments="args",
)
entry(
    "newton",
    lambda xp, c: optimize.newton(lambda x, c: x**3 + x - c, xp.ones(3), args=(c,)),
    positive(3),
    arguments="args",
)
entry(
    "fixed_point",
    lambda xp, c: optimize.fixed_point(lambda x, c: xp.cos(c * x), 0.7 * xp.ones(3), args=(c,)),
    uniform(0.8, 1.2, 3),
    arguments="args",
)
entry(
    "minimize",
    lambda xp, c: optimize.minimize(lambda x: ((x - c) ** 2).sum(), np.zeros(3)).x,
    positive(3),
    arguments="args",
)
entry(
    "least_squares",
    lambda xp, c: optimize.least_squares(lambda x: x - c, np.zeros(3)).x,
    positive(3),
    arguments="args",
)
entry("nnls", lambda xp, a, b: optimize.nnls(a, b)[0], positive(4, 2), positive(4))
entry("lsq_linear", lambda xp, a, b: optimize.lsq_linear(a, b).x, positive(4, 2), positive(4))
entry("isotonic_regression", lambda xp, y: optimize.isotonic_regression(y).x, spaced(6))
