"""Classes of scipy.spatial.transform and functions of scipy.spatial.distance."""

from __future__ import annotations

import numpy as np
from scipy.spatial import distance, distance_matrix, geometric_slerp, procrustes, transform

from .measure import Chapter, names, normal, positive, uniform

entry = Chapter("scipy.spatial")

Rotation = transform.Rotation


def quaternions(rng):
    return rng.uniform(0.2, 1.0, (3, 4))


def vectors(rng):
    return rng.uniform(0.2, 0.9, (3, 3))


def turned(v):
    return Rotation.from_rotvec(v)


def rotation(name, call, *arrays, **facts):
    entry(f"transform.Rotation.{name}", call, *arrays, **facts)


rotation("from_quat", lambda xp, q: Rotation.from_quat(q).as_matrix(), quaternions)
rotation(
    "from_matrix", lambda xp, v: Rotation.from_matrix(turned(v).as_matrix()).as_matrix(), vectors
)
rotation("from_rotvec", lambda xp, v: Rotation.from_rotvec(v).as_matrix(), vectors)
rotation("from_mrp", lambda xp, v: Rotation.from_mrp(v).as_matrix(), vectors)
rotation("from_euler", lambda xp, v: Rotation.from_euler("xyz", v).as_matrix(), vectors)
rotation(
    "from_davenport",
    lambda xp, v: Rotation.from_davenport(xp.eye(3), "extrinsic", v).as_matrix(),
    vectors,
    arguments="angles",
)
rotation("as_quat", lambda xp, v: turned(v).as_quat(), vectors)
rotation("as_matrix", lambda xp, q: Rotation.from_quat(q).as_matrix(), quaternions)
rotation("as_rotvec", lambda xp, q: Rotation.from_quat(q).as_rotvec(), quaternions)
rotation("as_mrp", lambda xp, q: Rotation.from_quat(q).as_mrp(), quaternions)
rotation("as_euler", lambda xp, v: turned(v).as_euler("zyx"), vectors)
rotation("as_davenport", lambda xp, v: turned(v).as_davenport(xp.eye(3), "extrinsic"), vectors)
rotation("apply", lambda xp, v, x: turned(v).apply(x), vectors, normal(3, 3))
rotation("inv", lambda xp, v: turned(v).inv().as_matrix(), vectors)
rotation("__mul__", lambda xp, v, w: (turned(v) * turned(w)).as_matrix(), vectors, vectors)
rotation("__pow__", lambda xp, v: (turned(v) ** 1.5).as_matrix(), vectors)
rotation("magnitude", lambda xp, v: turned(v).magnitude(), vectors)
rotation("mean", lambda xp, v: turned(v).mean().as_matrix(), vectors)
rotation(
    "concatenate",
    lambda xp, v, w: Rotation.concatenate([turned(v), turned(w)]).as_quat(),
    vectors,
    vectors,
)
rotation("__getitem__", lambda xp, v: turned(v)[1].as_matrix(), vectors)
rotation("reduce", lambda xp, v: turned(v).reduce().as_matrix(), vectors)
rotation(
    "align_vectors",
    lambda xp, a, b: Rotation.align_vectors(a, b)[0].as_matrix(),
    positive(4, 3),
    positive(4, 3),
)
entry(
    "transform.Slerp",
    lambda xp, v: transform.Slerp(xp.asarray([0.0, 1.0, 2.0]), turned(v))(
        xp.asarray([0.5, 1.2])
    ).as_matrix(),
    vectors,
    arguments="rotations",
)
entry(
    "transform.RotationSpline",
    lambda xp, v: transform.RotationSpline(xp.asarray([0.0, 1.0, 2.0]), turned(v))(
        xp.asarray([0.5, 1.2])
    ).as_matrix(),
    vectors,
    arguments="rotations",
)

Rigid = transform.RigidTransform


def rigid(name, call, *arrays, **facts):
    entry(f"transform.RigidTransform.{name}", call, *arrays, **facts)


def made(t, v):
    return Rigid.from_components(t, turned(v))


rigid("from_components", lambda xp, t, v: made(t, v).as_matrix(), vectors, vectors)
rigid(
    "from_matrix",
    lambda xp, t, v: Rigid.from_matrix(made(t, v).as_matrix()).as_matrix(),
    vectors,
    vectors,
)
rigid("from_rotation", lambda xp, v: Rigid.from_rotation(turned(v)).as_matrix(), vectors)
rigid("from_translation", lambda xp, t: Rigid.from_translation(t).as_matrix(), vectors)
rigid(
    "from_exp_coords", lambda xp, c: Rigid.from_exp_coords(c).as_matrix(), uniform(0.2, 0.9, 3, 6)
)
rigid(
    "from_dual_quat",
    lambda xp, t, v: Rigid.from_dual_quat(made(t, v).as_dual_quat()).as_matrix(),
    vectors,
    vectors,
)
rigid("as_matrix", lambda xp, t, v: made(t, v).as_matrix(), vectors, vectors)
rigid("as_components", lambda xp, t, v: made(t, v).as_components()[0], vectors, vectors)
rigid("as_exp_coords", lambda xp, t, v: made(t, v).as_exp_coords(), vectors, vectors)
rigid("as_dual_quat", lambda xp, t, v: made(t, v).as_dual_quat(), vectors, vectors)
rigid("apply", lambda xp, t, v, x: made(t, v).apply(x), vectors, vectors, normal(3, 3))
rigid("inv", lambda xp, t, v: made(t, v).inv().as_matrix(), vectors, vectors)
rigid(
    "__mul__", lambda xp, t, v, w: (made(t, v) * made(v, w)).as_matrix(), vectors, vectors, vectors
)
rigid("__pow__", lambda xp, t, v: (made(t, v) ** 1.5).as_matrix(), vectors, vectors)
rigid("mean", lambda xp, t, v: made(t, v).mean().as_matrix(), vectors, vectors)
rigid(
    "concatenate",
    lambda xp, t, v: Rigid.concatenate([made(t, v), made(v, t)]).as_matrix(),
    vectors,
    vectors,
)

for name in names(
    """
    braycurtis canberra chebyshev cityblock correlation cosine euclidean jensenshannon
    minkowski sqeuclidean
    """
):
    entry(
        f"distance.{name}",
        lambda xp, u, v, name=name: getattr(distance, name)(u, v),
        positive(5),
        positive(5),
    )
entry("distance.cdist", lambda xp, a, b: distance.cdist(a, b), normal(4, 3), normal(5, 3))
entry("distance.pdist", lambda xp, a: distance.pdist(a), normal(4, 3))
entry("distance.squareform", lambda xp, a: distance.squareform(a), positive(6))
entry("distance_matrix", lambda xp, a, b: distance_matrix(a, b), normal(4, 3), normal(5, 3))
entry("procrustes", lambda xp, a, b: procrustes(a, b), normal(4, 3), normal(4, 3))
entry(
    "geometric_slerp",
    lambda xp, t: geometric_slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), t),
    uniform(0.1, 0.9, 4),
    arguments="t",
)
