"""Contractions by opt_einsum."""

from __future__ import annotations

import numpy as np
import opt_einsum

from .measure import Chapter, normal

entry = Chapter("opt_einsum")

CONSTANT = np.cos(np.arange(12.0)).reshape(3, 4)

for subscripts, shapes in (
    ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
    ("ij,jk,kl->li", ((2, 3), (3, 4), (4, 2))),
    ("ab,ab->", ((3, 4), (3, 4))),
    ("ij,j->ij", ((3, 4), (4,))),
    ("i,j,k->kij", ((2,), (3,), (2,))),
    ("iij,j->i", ((3, 3, 2), (2,))),
    ("...ij,...jk->...ik", ((2, 3, 4), (4, 2))),
    ("bij,bjk,bk->bi", ((2, 3, 4), (2, 4, 3), (2, 3))),
    ("abcd,efbc,gaef->gd", ((2, 2, 2, 2), (2, 2, 2, 2), (2, 2, 2, 2))),
):
    entry(
        "contract",
        lambda xp, *x, s=subscripts: opt_einsum.contract(s, *x),
        *(normal(*shape) for shape in shapes),
        arguments=repr(subscripts),
    )
entry(
    "contract",
    lambda xp, a, b: opt_einsum.contract(a, [0, 1], b, [1, 2], [2, 0]),
    normal(2, 3),
    normal(3, 4),
    arguments="a, [0, 1], b, [1, 2], [2, 0]",
)
entry(
    "contract",
    lambda xp, a, b: opt_einsum.contract("αβ,βγ->γα", a, b),
    normal(2, 3),
    normal(3, 4),
    arguments="'αβ,βγ->γα'",
)
entry(
    "contract",
    lambda xp, a: opt_einsum.contract("ij,jk->ik", a, xp.asarray(CONSTANT)),
    normal(2, 3),
    arguments="'ij,jk->ik', a constant",
)
entry(
    "contract_expression",
    lambda xp, a, b: opt_einsum.contract_expression("ij,jk,kl->il", (2, 3), (3, 4), (4, 2))(
        a, xp.asarray(CONSTANT), b
    ),
    normal(2, 3),
    normal(4, 2),
    arguments="'ij,jk,kl->il'",
)
entry(
    "contract_expression",
    lambda xp, a, b: opt_einsum.contract_expression("ij,jk,kl->il", a, (3, 4), b, constants=[0, 2])(
        xp.asarray(CONSTANT)
    ),
    normal(2, 3),
    normal(4, 2),
    arguments="'ij,jk,kl->il', constants=[0, 2]",
)


def shared(xp, a, b, c):
    with opt_einsum.shared_intermediates():
        return [
            opt_einsum.contract("ij,jk,kl->il", a, b, c),
            opt_einsum.contract("ij,jk,kl->jl", a, b, c),
        ]


entry("shared_intermediates", shared, normal(2, 3), normal(3, 4), normal(4, 2))
