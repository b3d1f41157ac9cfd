"""Functions of scipy.differentiate: derivatives of differences."""

from __future__ import annotations

from scipy import differentiate

from .measure import Chapter, positive, uniform

entry = Chapter("scipy.differentiate")
entry(
    "derivative",
    lambda xp, x, c: differentiate.derivative(lambda x, c: xp.exp(c * x), x, args=(c,)).df,
    uniform(-0.5, 0.5, 3),
    positive(3),
    arguments="x, args",
)
entry(
    "jacobian",
    lambda xp, x: (
        differentiate.jacobian(lambda x: xp.stack([xp.sin(x[0]) * x[1], x[0] * x[1] ** 2]), x).df
    ),
    positive(2),
    arguments="x",
)
entry(
    "hessian",
    lambda xp, x: differentiate.hessian(lambda x: xp.sin(x[0]) * x[1] ** 2, x).ddf,
    positive(2),
    arguments="x",
)
