"""Functions of scipy.integrate, scipy.differentiate and scipy.optimize: what calls a function."""

from __future__ import annotations

import numpy as np
from scipy import integrate

from .measure import Chapter, normal, positive, rising, uniform

entry = Chapter("scipy.integrate")

# --- samples ------------------------------------------------------------------------------------

entry("trapezoid", lambda xp, y, x: integrate.trapezoid(y, x), normal(7), rising(7))
entry(
    "cumulative_trapezoid",
    lambda xp, y, x: integrate.cumulative_trapezoid(y, x),
    normal(7),
    rising(7),
)
entry("simpson", lambda xp, y, x: integrate.simpson(y, x=x), normal(8), rising(8))
entry(
    "cumulative_simpson",
    lambda xp, y, x: integrate.cumulative_simpson(y, x=x),
    normal(8),
    rising(8),
)
entry("romb", lambda xp, y: integrate.romb(y), normal(9), arguments="y")

# --- functions: derivatives with respect to their parameters, and to the ends ---------------------


def decay(xp):
    return lambda x, k: xp.exp(-k * x) * xp.cos(x)


entry(
    "tanhsinh",
    lambda xp, a, b, k: (
        integrate.tanhsinh(decay(xp), a, b, args=(k,), rtol=1e-10, atol=1e-12).integral
    ),
    uniform(0.0, 0.5, 3),
    uniform(1.0, 2.0, 3),
    positive(3),
    arguments="a, b, args",
)
entry(
    "nsum",
    lambda xp, k: (
        integrate.nsum(
            lambda n, k: xp.exp(-k * n), xp.asarray(1.0), xp.asarray(xp.inf), args=(k,)
        ).sum
    ),
    positive(3),
    arguments="args",
)
entry(
    "cubature",
    lambda xp, k: (
        integrate.cubature(
            lambda x, k: xp.exp(-k * xp.sum(x * x, axis=-1)),
            xp.zeros(2),
            xp.ones(2),
            args=(k,),
            rtol=1e-10,
        ).estimate
    ),
    positive(),
    arguments="args",
)
entry(
    "fixed_quad",
    lambda xp, a, b, k: integrate.fixed_quad(lambda x: decay(xp)(x, k), a, b)[0],
    uniform(0, 0.5),
    uniform(1, 2),
    positive(),
)
entry(
    "quad",
    lambda xp, k: integrate.quad(lambda x: xp.exp(-k * x), 0, 1)[0],
    positive(),
    arguments="args",
)
entry(
    "quad_vec",
    lambda xp, k: integrate.quad_vec(lambda x: xp.exp(-k * x), 0.0, 1.0)[0],
    positive(3),
    arguments="args",
)
entry(
    "dblquad",
    lambda xp, k: integrate.dblquad(lambda y, x: xp.exp(-k * x * y), 0, 1, 0, 1)[0],
    positive(),
    arguments="args",
)
entry(
    "qmc_quad",
    lambda xp, a, b: (
        integrate.qmc_quad(
            lambda x: xp.exp(-xp.sum(x * x, axis=0)),
            a,
            b,
            n_estimates=2,
            n_points=8,
            qrng=sampler(),
        ).integral
    ),
    uniform(0, 0.5, 2),
    uniform(1, 2, 2),
    arguments="a, b",
)
entry(
    "solve_ivp",
    lambda xp, y, k: integrate.solve_ivp(lambda t, y: -k * y, (0.0, 1.0), y).y[:, -1],
    positive(2),
    positive(2),
    arguments="y0, args",
)
entry(
    "odeint",
    lambda xp, y, k: integrate.odeint(lambda y, t: -k * y, y, np.linspace(0, 1, 4)),
    positive(2),
    positive(2),
    arguments="y0, args",
)
entry("RK45.step", lambda xp, y, k: stepped(y, k), positive(2), positive(2), arguments="y0, args")


def sampler():
    from scipy.stats import qmc

    return qmc.Halton(2, rng=np.random.default_rng(0))


def stepped(y, k):
    solver = integrate.RK45(lambda t, y: -k * y, 0.0, y, 1.0, first_step=0.1)
    solver.step()
    return solver.y
