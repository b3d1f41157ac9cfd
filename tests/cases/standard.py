"""Cases of the standard's functions and options that ``functions.py`` has none of."""

from __future__ import annotations

from typing import Any

import numpy as np

import dezero.functions as F
from dezero import Variable
from dezero.backends import backend_of

from .case import NO_ALONG, apart, case, mask, plane, real, whole


def _call(name: str, **words: Any) -> Any:
    """A function of dezero's with some of its arguments given."""
    return lambda *x: getattr(F, name)(*x, **words)


def _namespace(x: Any) -> Any:
    return backend_of(x.data if isinstance(x, Variable) else x)


def _float(x: Any) -> Any:
    return _namespace(x).float64


def _complex(x: Any) -> Any:
    return _namespace(x).complex128


# --- creation ---------------------------------------------------------------------------------

for _name in ["tril", "triu"]:
    _numpys = getattr(np, _name)
    case(_name, "square", (real(3, 3),), _numpys)
    case(_name, "wide", (real(2, 4),), _numpys)
    case(_name, "batch", (real(2, 4, 3),), _numpys)
    _ours = getattr(F, _name)
    for _k in (-1, 2, 5):
        _words = {"k": _k}
        case(
            _name,
            f"diagonal{_k}",
            (real(3, 4),),
            lambda x, f=_numpys, w=_words: f(x, **w),
            lambda x, f=_ours, w=_words: f(x, **w),
        )
    case(_name, "complex", (plane(3, 3),), _numpys)

for _k in (0, 2, -1):
    _words = {"k": _k}
    for _label, _draw in [("vector", real(3)), ("matrix", real(3, 4)), ("complex", plane(3))]:
        case(
            "diag",
            f"{_label}{_k:+}",
            (_draw,),
            lambda x, w=_words: np.diag(x, **w),
            lambda x, w=_words: F.diag(x, **w),
        )

for _indexing in ("xy", "ij"):
    _words = {"indexing": _indexing}
    for _shapes in [(3,), (3, 2), (2, 3, 4)]:
        case(
            "meshgrid",
            f"{_indexing}{len(_shapes)}",
            tuple(real(n) for n in _shapes),
            lambda *x, w=_words: np.meshgrid(*x, **w),
            lambda *x, w=_words: F.meshgrid(*x, **w),
        )
case("meshgrid", "scalar", (real(), real(2)), np.meshgrid)

case(
    "full_like",
    "variable",
    (whole(2, 3), real()),
    lambda x, c: np.full(x.shape, c),
    lambda x, c: F.full_like(x, c, dtype=getattr(c, "dtype", None)),
    covers=("_full_like",),
)
case(
    "full_like",
    "keyword",
    (real(2),),
    lambda x: np.full_like(x, 3.0),
    lambda x: F.full_like(x, fill_value=3.0),
    constant=True,
)
case(
    "empty_like",
    "shape",
    (real(2, 3),),
    np.zeros_like,
    lambda x: F.zeros_like(F.empty_like(x)),
    constant=True,
)

# --- manipulation -----------------------------------------------------------------------------

for _axes in [(0,), (0, -1), (1, 3), (-1, -2), (2, 0, 1)]:
    case("expand_dims", "at" + ",".join(map(str, _axes)), (real(2, 3), _axes), np.expand_dims)
case("expand_dims", "scalar", (real(), (0, 1)), np.expand_dims)
case("expand_dims", "none", (real(2), ()), np.expand_dims)
case(
    "broadcast_shapes",
    "three",
    (real(3, 1),),
    lambda x: np.broadcast_to(x, (2, 3, 4)),
    lambda x: F.broadcast_to(x, F.broadcast_shapes(x.shape, (2, 1, 1), (4,))),
)
case("broadcast_arrays", "two", (real(2, 1), real(3)), np.broadcast_arrays)
case(
    "reshape",
    "copy",
    (real(2, 6), (3, 4)),
    np.reshape,
    lambda x, s: F.reshape(x, s, copy=True),
    covers=("_reshape_or_copy",),
)
case(
    "unstack",
    "middle",
    (real(2, 3, 2), 1),
    lambda x, a: list(np.moveaxis(x, a, 0)),
    covers=("_unstack",),
)
case(
    "repeat",
    "one-number",
    (real(3, 2), np.array([2]), 0),
    np.repeat,
    missing={"dask": "no repetitions by an array"},
)

# --- statistics -------------------------------------------------------------------------------


case(
    "prod",
    "dtype",
    (whole(2, 3, low=1),),
    lambda x: np.prod(x, dtype=float),
    lambda x: F.prod(F.astype(x, _float(x)), dtype=_float(x)),
    constant=True,
    covers=("_prod",),
)
for _name, _f in (("cumulative_sum", np.cumsum), ("cumulative_prod", np.cumprod)):
    case(
        _name,
        "dtype",
        (real(4),),
        lambda x, f=_f: f(x, dtype=complex),
        lambda x, n=_name: getattr(F, n)(x, dtype=_complex(x)),
        single=False,
    )
    case(
        _name,
        "initial-vector",
        (real(3),),
        lambda x, f=_f, n=_name: np.concatenate([[1.0 * n.endswith("prod")], f(x)]),
        _call(_name, include_initial=True),
    )
    case(_name, "complex", (plane(4),), _f)


for _shape in [(5,), (2, 4)]:
    case("diff", f"rank{len(_shape)}", (real(*_shape),), np.diff)
for _n in (0, 1, 2, 3, 5):
    case("diff", f"times{_n}", (real(4),), lambda x, n=_n: np.diff(x, n), _call("diff", n=_n))
case("diff", "axis", (real(3, 2),), lambda x: np.diff(x, axis=0), _call("diff", axis=0))
case(
    "diff",
    "prepend",
    (real(2, 3), real(2, 1)),
    lambda x, a: np.diff(x, prepend=a),
    lambda x, a: F.diff(x, prepend=a),
)
case(
    "diff",
    "both",
    (real(3, 2), real(1, 2), real(2, 2)),
    lambda x, a, b: np.diff(x, n=2, axis=0, prepend=a, append=b),
    lambda x, a, b: F.diff(x, axis=0, n=2, prepend=a, append=b),
)
case("diff", "complex", (plane(4),), np.diff)

for _name in ["var", "std"]:
    case(
        _name,
        "too-few",
        (real(2, 3),),
        lambda x: np.full(2, np.nan),
        _call(_name, axis=1, correction=3),
        kink=True,
        order=1,
    )
    case(
        _name,
        "complex",
        (plane(2, 3),),
        getattr(np, _name),
        missing={"strict": "the standard has the variance of real numbers"},
    )

# --- searching and sorting --------------------------------------------------------------------

_up = np.array([1.0, 2.0, 2.0, 3.0])
for _side in ("left", "right"):
    _with = {"side": _side}
    case(
        "searchsorted",
        f"matrix-{_side}",
        (_up, np.array([[2.0, 0.5], [3.0, 9.0]])),
        lambda a, b, w=_with: np.searchsorted(a, b, **w),
        _call("searchsorted", **_with),
        constant=True,
    )
    case(
        "searchsorted",
        f"number-{_side}",
        (_up, 2),
        lambda a, b, w=_with: np.asarray(np.searchsorted(a, b, **w)),
        _call("searchsorted", **_with),
        constant=True,
    )
    case(
        "searchsorted",
        f"sorter-{_side}",
        (_up[[1, 3, 0, 2]], np.array([2.0, 0.5]), np.array([2, 0, 3, 1])),
        lambda a, b, s, w=_with: np.searchsorted(a, b, sorter=s, **w),
        lambda a, b, s, w=_with: F.searchsorted(a, b, sorter=s, **w),
        constant=True,
    )
case(
    "searchsorted",
    "mixed",
    (np.array([1, 2, 4], dtype=np.int32), np.array([2, 3])),
    np.searchsorted,
    constant=True,
)
case("sort", "integers", (whole(5),), np.sort, constant=True, covers=("_sort",))
case("sort", "unstable", (apart(4),), np.sort, _call("sort", stable=False), missing=NO_ALONG)
case("where", "numbers-mixed", (mask(3), 2, real(3)), np.where)

# --- sets -------------------------------------------------------------------------------------

_NO_UNIQUE = {"dask": "the gradient needs a shape that is known"}
_twice = np.array([[3.0, 1.0, 3.0], [2.0, 1.0, -1.0]])


for _label, _x in {"vector": np.array([2.0, -1.0, 0.5]), "twice": _twice}.items():
    for _name in ["unique_all", "unique_counts", "unique_inverse"]:
        case(
            _name,
            _label,
            (_x,),
            np.unique,
            lambda x, n=_name: getattr(F, n)(x).values,
            missing=_NO_UNIQUE,
            kink=_label == "twice",
        )
    case(
        "unique_values",
        _label,
        (_x,),
        np.unique,
        missing=_NO_UNIQUE,
        kink=_label == "twice",
    )
_SETS = {
    "unique_all": ("_unique_all",),
    "unique_counts": ("_unique_counts",),
    "unique_inverse": ("_unique_inverse",),
}
_numbers = np.array([[3, 1, 3], [2, 1, -1]])
for _name, _hidden in _SETS.items():
    case(
        _name,
        "integers",
        (_numbers,),
        lambda x, n=_name: tuple(getattr(np, n)(x)),
        constant=True,
        covers=_hidden,
        missing=_NO_UNIQUE if _name == "unique_all" else {},
    )
case(
    "unique_values",
    "integers",
    (_numbers,),
    np.unique,
    constant=True,
    covers=("_unique_values",),
)

case("isin", "integers", (whole(2, 3), np.array([1, 2, 5])), np.isin, constant=True)
case(
    "isin",
    "invert",
    (whole(4), np.array([[1, 2]])),
    lambda a, b: np.isin(a, b, invert=True),
    _call("isin", invert=True),
    constant=True,
)
case("isin", "number", (np.array([1, 2]), 2), np.isin, constant=True)
case(
    "isin",
    "of-number",
    (2, np.array([1, 2])),
    lambda a, b: np.asarray(np.isin(a, b)),
    constant=True,
)
case(
    "isin",
    "mixed",
    (np.array([1, 2], dtype=np.int32), np.array([2, 3])),
    np.isin,
    constant=True,
)
