"""Functions of array-api-extra, of which those with floating-point results have gradients."""

from __future__ import annotations

import array_api_extra as xpx
import numpy as np

from .measure import Chapter, normal, positive, spaced

entry = Chapter("array_api_extra")

MASK = np.arange(5) % 2 == 0


def complex_numbers(xp, re, im):
    return re + 1j * im


entry("angle", lambda xp, re, im: xpx.angle(complex_numbers(xp, re, im)), positive(5), normal(5))
entry(
    "apply_where",
    lambda xp, x, y: xpx.apply_where(x > y, (x, y), lambda a, b: a / b, lambda a, b: a * b),
    normal(6),
    positive(6),
)
entry(
    "apply_where",
    lambda xp, x: xpx.apply_where(x > 0.0, x, lambda a: xp.log(a), fill_value=0.5),
    spaced(6),
    arguments="x, fill_value",
)
for name in ("set", "add", "subtract", "multiply", "divide", "power", "min", "max"):
    base = normal if name in ("set", "add", "subtract", "multiply", "min", "max") else positive
    entry(
        f"at.{name}",
        lambda xp, x, y, name=name: getattr(xpx.at(x)[1:4], name)(y, copy=True),
        base(5, 2),
        base(3, 2),
        arguments="x, y, a slice",
    )
entry(
    "at.set",
    lambda xp, x: xpx.at(x, xp.asarray(MASK)).set(2.0, copy=True),
    normal(5),
    arguments="x, a mask",
)
entry(
    "at.multiply",
    lambda xp, x: xpx.at(x)[x > 0].multiply(2.0, copy=True),
    spaced(5),
    arguments="x, x > 0",
)
entry(
    "at.set",
    lambda xp, x, y: xpx.at(x * 1.0)[0, ...].set(y),
    normal(3, 2),
    normal(2),
    arguments="x, y, in place",
)
entry(
    "at.add",
    lambda xp, x, y: xpx.at(x * 1.0)[0, ...].add(y),
    normal(3, 2),
    normal(2),
    arguments="x, y, in place",
)
entry("atleast_nd", lambda xp, x: xpx.atleast_nd(x, ndim=3), normal(4))
entry("cov", lambda xp, m: xpx.cov(m), normal(3, 6))
entry("create_diagonal", lambda xp, x: xpx.create_diagonal(x, offset=1), normal(2, 3))
entry("deg2rad", lambda xp, x: xpx.deg2rad(x), normal(4))
entry("rad2deg", lambda xp, x: xpx.rad2deg(x), normal(4))
entry(
    "diag_indices",
    lambda xp, x: x[xpx.diag_indices(3, xp=xp if hasattr(x, "creator") else np)],
    normal(3, 3),
    arguments="x[diag_indices]",
)
entry(
    "tril_indices",
    lambda xp, x: x[xpx.tril_indices(3, xp=xp if hasattr(x, "creator") else np)],
    normal(3, 3),
    arguments="x[tril_indices]",
)
entry(
    "triu_indices",
    lambda xp, x: x[xpx.triu_indices(3, xp=xp if hasattr(x, "creator") else np)],
    normal(3, 3),
    arguments="x[triu_indices]",
)
entry(
    "lazy_apply",
    lambda xp, x: xpx.lazy_apply(lambda a: a**3, x, shape=x.shape, dtype=x.dtype),
    normal(4),
)
entry("kron", lambda xp, a, b: xpx.kron(a, b), normal(2, 3), normal(3, 2))


def holes(xp, x):
    """``x`` with NaN in some places."""
    return xp.where(xp.asarray(MASK), x, xp.asarray(np.nan))


entry("nan_to_num", lambda xp, x: xpx.nan_to_num(holes(xp, x), fill_value=0.5), normal(5))
for name in ("nanmax", "nanmin", "nanmean", "nansum"):
    entry(name, lambda xp, x, name=name: getattr(xpx, name)(holes(xp, x)), spaced(5))
entry("pad", lambda xp, x: xpx.pad(x, ((1, 2), (0, 1)), constant_values=0.3), normal(2, 3))
entry("partition", lambda xp, x: xpx.partition(x, 3)[3], spaced(7), arguments="x")
entry(
    "argpartition",
    lambda xp, x: x[xpx.argpartition(x, 3)][3],
    spaced(7),
    arguments="x[argpartition(x)]",
)
entry("setdiff1d", lambda xp, x: xpx.setdiff1d(x, x[1:3]), spaced(6), arguments="x1")
entry("union1d", lambda xp, a, b: xpx.union1d(a, b), spaced(4), spaced(3))
entry("sinc", lambda xp, x: xpx.sinc(x), normal(5))
