"""Calls of every function of the standard, drawn by hypothesis, without an array library.

`CALLS` has a strategy builder for each function: given a dtype it draws ``(args, kwargs)`` in
which `A` stands for an array, `D` for a dtype. `converted` turns them into those of a namespace.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import array_api

from dezero import xp

from .standard import BOOL, COMPLEX, DTYPES, REAL_FLOATING, SIGNED, UNSIGNED

xps = array_api.make_strategies_namespace(xp, api_version="2025.12")

INTEGERS = SIGNED + UNSIGNED
FLOATING = REAL_FLOATING + COMPLEX
REAL = INTEGERS + REAL_FLOATING
NUMERIC = REAL + COMPLEX


@dataclass(frozen=True)
class A:
    """An array; ``fixed`` where it is no operand of the mathematics, such as indices."""

    values: np.ndarray
    fixed: bool = False


@dataclass(frozen=True)
class D:
    """A dtype."""

    name: str


def converted(tree: Any, array: Callable[[A], Any], dtype: Callable[[str], Any]) -> Any:
    """``tree`` with the arrays and dtypes of a library."""
    if isinstance(tree, A):
        return array(tree)
    if isinstance(tree, D):
        return dtype(tree.name)
    if isinstance(tree, (tuple, list)):
        return type(tree)(converted(part, array, dtype) for part in tree)
    if isinstance(tree, dict):
        return {name: converted(part, array, dtype) for name, part in tree.items()}
    return tree


@dataclass(frozen=True)
class Entry:
    dtypes: tuple[str, ...]
    build: Callable[[str], st.SearchStrategy]


CALLS: dict[str, Entry] = {}


def call(names, dtypes):
    """Register a builder ``build(draw, dtype, name)`` for some functions and their dtypes."""

    def decorate(build):
        for name in names.split():
            strategy = st.composite(lambda draw, dtype, name=name: build(draw, dtype, name))
            CALLS[name] = Entry(dtypes, strategy)
        return build

    return decorate


# --- arrays and numbers -------------------------------------------------------------------------

SHAPES = xps.array_shapes(min_dims=0, max_dims=3, max_side=3)
WITH_EMPTY = xps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
VECTORS = xps.array_shapes(min_dims=1, max_dims=3, max_side=3)
MATRICES = xps.array_shapes(min_dims=2, max_dims=3, max_side=3)


def elements(dtype, low=-4, high=4):
    """Numbers of a dtype between ``low`` and ``high`` that survive most arithmetic."""
    if dtype in BOOL:
        return st.booleans()
    if dtype in INTEGERS:
        low = max(0, low) if dtype in UNSIGNED else low
        return st.integers(math.ceil(low), math.floor(high))
    width = {"float32": 32, "float64": 64, "complex64": 32, "complex128": 64}[dtype]
    # Multiples of 1/8: no subnormal numbers, hardly any cancellation.
    real = st.integers(math.ceil(8 * low), math.floor(8 * high)).map(lambda n: n / 8)
    if dtype in REAL_FLOATING:
        return st.one_of(real, st.floats(low, high, width=width, allow_subnormal=False))
    return st.builds(complex, real, real)


def arrays(draw, dtype, shape, low=-4, high=4, fixed=False, unique=False):
    """An array of ``dtype``, drawn as one of ``dezero.xp`` by hypothesis."""
    x = draw(
        xps.arrays(getattr(xp, dtype), shape, elements=elements(dtype, low, high), unique=unique)
    )
    return A(x.data, fixed)


def scalar(draw, dtype):
    """A Python number that may stand beside an array of ``dtype``."""
    if dtype in BOOL:
        return draw(st.booleans())
    if dtype in INTEGERS:
        return draw(st.integers(1, 3))
    return draw(st.sampled_from([2, 0.5, 1.25]))


def numbers(shape, dtype, seed=0):
    """Well-conditioned random numbers, for linear algebra."""
    random = np.random.default_rng(seed)
    x = random.normal(size=shape)
    if dtype in COMPLEX:
        x = x + 1j * random.normal(size=shape)
    if dtype in INTEGERS + BOOL:
        x = np.abs(3 * x)
    return x.astype(dtype)


def seeds(draw):
    return draw(st.integers(0, 50))


def axis_of(draw, ndim, none=True, several=False):
    """An axis, ``None`` or a tuple of axes of an array of ``ndim`` dimensions."""
    choices = [st.none()] if none else []
    if ndim:
        choices.append(st.integers(-ndim, ndim - 1))
        if several:
            choices.append(xps.valid_tuple_axes(ndim, min_size=1))
    return draw(st.one_of(choices))


def options(draw, **strategies):
    """Some of these keyword arguments."""
    return {name: draw(value) for name, value in strategies.items() if draw(st.booleans())}


def promotable(dtype):
    """The dtypes of one kind with ``dtype``."""
    for kind in (BOOL, REAL_FLOATING, COMPLEX):
        if dtype in kind:
            return kind
    return tuple(d for d in INTEGERS if {d, dtype} <= set(SIGNED) or {d, dtype} <= set(UNSIGNED))


# --- elementwise --------------------------------------------------------------------------------


def unary(names, dtypes, low=-4, high=4):
    @call(names, dtypes)
    def build(draw, dtype, name):
        return (arrays(draw, dtype, WITH_EMPTY, low, high),), {}


unary("abs positive sign square round", NUMERIC)
unary("ceil floor trunc", REAL)
unary("negative", SIGNED + FLOATING)
unary("isfinite isinf isnan", NUMERIC)
unary("bitwise_invert", BOOL + INTEGERS)
unary("logical_not", BOOL)
unary("conj real", NUMERIC)
unary("imag", COMPLEX)
unary("signbit", REAL_FLOATING)
unary("exp expm1 sin cos tanh sinh cosh asinh atan", FLOATING)
unary("tan", FLOATING, -1.25, 1.25)
unary("acos asin atanh", FLOATING, -0.75, 0.75)
unary("acosh", FLOATING, 1.125, 4)
unary("log log2 log10 log1p sqrt reciprocal", FLOATING, 0.125, 4)


def binary(names, dtypes, low=-4, high=4, low2=None, high2=None):
    low2, high2 = low if low2 is None else low2, high if high2 is None else high2

    @call(names, dtypes)
    def build(draw, dtype, name):
        shapes = draw(xps.mutually_broadcastable_shapes(2, max_dims=3, max_side=3, min_side=0))
        first, second = shapes.input_shapes
        kind = draw(st.sampled_from(["same", "promoted", "right", "left"]))
        other = draw(st.sampled_from(promotable(dtype))) if kind == "promoted" else dtype
        x1 = arrays(draw, dtype, first, low, high)
        x2 = arrays(draw, other, second, low2, high2)
        if kind == "right":
            x2 = scalar(draw, dtype)
        elif kind == "left":
            x1 = scalar(draw, dtype)
        return (x1, x2), {}


binary("add subtract multiply", NUMERIC)
binary("divide", FLOATING, -4, 4, 0.25, 4)
binary("floor_divide remainder", REAL, -4, 4, 1, 4)
binary("pow", NUMERIC, 0.5, 4, 0, 3)
binary("atan2 copysign hypot logaddexp nextafter", REAL_FLOATING)
binary("maximum minimum greater greater_equal less less_equal", REAL)
binary("equal not_equal", DTYPES)
binary("logical_and logical_or logical_xor", BOOL)
binary("bitwise_and bitwise_or bitwise_xor", BOOL + INTEGERS)
binary("bitwise_left_shift bitwise_right_shift", INTEGERS, 0, 4, 0, 4)


@call("clip", REAL)
def _(draw, dtype, name):
    shape = draw(WITH_EMPTY)
    x = arrays(draw, dtype, shape)
    limits = {"min": elements(dtype, -3, 0), "max": elements(dtype, 1, 3)}
    kwargs = options(draw, **limits)
    for key, value in kwargs.items():
        if draw(st.booleans()):
            small = tuple(draw(st.sampled_from([1, n])) for n in shape)
            kwargs[key] = A(np.full(small, value, dtype))
    return (x,), kwargs


# --- creation -----------------------------------------------------------------------------------


@call("arange", REAL)
def _(draw, dtype, name):
    stop, step = draw(st.integers(0, 6)), draw(st.sampled_from([1, 2]))
    kwargs = {"dtype": D(dtype)} if draw(st.booleans()) or "64" not in dtype else {}
    how = draw(st.sampled_from(["stop", "start", "step"]))
    if how == "stop":
        return (stop,), kwargs
    return ((1, stop) if how == "start" else (1, stop, step)), kwargs


@call("asarray", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, WITH_EMPTY)
    kwargs = options(draw, dtype=st.just(D(dtype)), copy=st.sampled_from([True, None]))
    if draw(st.booleans()):
        return (x.values.tolist(),), {**kwargs, "dtype": D(dtype)}
    return (x,), kwargs


@call("empty ones zeros", DTYPES)
def _(draw, dtype, name):
    shape = draw(st.one_of(WITH_EMPTY, st.integers(0, 3)))
    return (shape,), {"dtype": D(dtype)} if dtype != "float64" or draw(st.booleans()) else {}


@call("full", DTYPES)
def _(draw, dtype, name):
    return (draw(WITH_EMPTY), draw(elements(dtype))), {"dtype": D(dtype)}


@call("empty_like ones_like zeros_like", DTYPES)
def _(draw, dtype, name):
    kwargs = options(draw, dtype=st.sampled_from(DTYPES).map(D))
    return (arrays(draw, dtype, WITH_EMPTY),), kwargs


@call("full_like", DTYPES)
def _(draw, dtype, name):
    kwargs = options(draw, dtype=st.just(D(dtype)))
    return (arrays(draw, dtype, WITH_EMPTY), draw(elements(dtype))), kwargs


@call("eye", DTYPES)
def _(draw, dtype, name):
    side = st.integers(0, 4)
    args = draw(st.one_of(st.tuples(side), st.tuples(side, side)))
    return args, {**options(draw, k=st.integers(-4, 4)), "dtype": D(dtype)}


@call("linspace", FLOATING)
def _(draw, dtype, name):
    start, stop = draw(elements(dtype)), draw(elements(dtype))
    kwargs = options(draw, endpoint=st.booleans())
    return (start, stop, draw(st.integers(0, 5))), {**kwargs, "dtype": D(dtype)}


@call("meshgrid", NUMERIC)
def _(draw, dtype, name):
    count = draw(st.integers(1, 3))
    vectors = [arrays(draw, dtype, (draw(st.integers(1, 3)),)) for _ in range(count)]
    return tuple(vectors), options(draw, indexing=st.sampled_from(["xy", "ij"]))


@call("tril triu", NUMERIC)
def _(draw, dtype, name):
    return (arrays(draw, dtype, MATRICES),), options(draw, k=st.integers(-3, 3))


# --- dtypes -------------------------------------------------------------------------------------


@call("astype", DTYPES)
def _(draw, dtype, name):
    to = DTYPES if dtype not in COMPLEX else COMPLEX
    if dtype in SIGNED + REAL_FLOATING:
        to = tuple(d for d in to if d not in UNSIGNED)  # of negative numbers: not defined
    kwargs = options(draw, copy=st.booleans())
    return (arrays(draw, dtype, WITH_EMPTY), D(draw(st.sampled_from(to)))), kwargs


@call("can_cast", DTYPES)
def _(draw, dtype, name):
    source = draw(st.sampled_from([D(dtype), arrays(draw, dtype, SHAPES)]))
    return (source, D(draw(st.sampled_from(promotable(dtype))))), {}


@call("finfo", FLOATING)
def _(draw, dtype, name):
    return (draw(st.sampled_from([D(dtype), arrays(draw, dtype, SHAPES)])),), {}


@call("iinfo", INTEGERS)
def _(draw, dtype, name):
    return (draw(st.sampled_from([D(dtype), arrays(draw, dtype, SHAPES)])),), {}


KINDS = (
    "bool",
    "signed integer",
    "unsigned integer",
    "integral",
    "real floating",
    "complex floating",
    "numeric",
)


@call("isdtype", DTYPES)
def _(draw, dtype, name):
    one = st.one_of(st.sampled_from(KINDS), st.sampled_from(DTYPES).map(D))
    kind = draw(st.one_of(one, st.lists(one, min_size=1, max_size=3).map(tuple)))
    return (D(dtype), kind), {}


@call("result_type", DTYPES)
def _(draw, dtype, name):
    kind = promotable(dtype)
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        other = draw(st.sampled_from(kind))
        parts.append(draw(st.sampled_from([D(other), arrays(draw, other, SHAPES)])))
    if draw(st.booleans()):
        parts.append(scalar(draw, dtype))
    return tuple(parts), {}


# --- indexing -----------------------------------------------------------------------------------


@call("take", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, VECTORS)
    axis = draw(st.integers(-x.values.ndim, x.values.ndim - 1))
    n = x.values.shape[axis]
    length = draw(st.integers(0, 4))
    places = st.lists(st.integers(-n, n - 1), min_size=length, max_size=length)
    indices = A(np.array(draw(places), dtype=np.int64), fixed=True)
    return (x, indices), {} if x.values.ndim == 1 and draw(st.booleans()) else {"axis": axis}


@call("take_along_axis", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, VECTORS)
    shape = list(x.values.shape)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    shape[axis] = draw(st.integers(1, 4))
    indices = np.random.default_rng(seeds(draw)).integers(-n, n, shape)
    return (x, A(indices, fixed=True)), {"axis": axis}


# --- linear algebra -----------------------------------------------------------------------------


@call("matmul linalg.matmul", NUMERIC)
def _(draw, dtype, name):
    n, k, m = (draw(st.integers(1, 3)) for _ in range(3))
    first, second = draw(
        st.sampled_from(
            [
                ((n, k), (k, m)),
                ((k,), (k,)),
                ((k,), (k, m)),
                ((n, k), (k,)),
                ((2, n, k), (k, m)),
                ((2, 1, n, k), (3, k, m)),
            ]
        )
    )
    return (arrays(draw, dtype, first), arrays(draw, dtype, second)), {}


@call("matrix_transpose linalg.matrix_transpose", DTYPES)
def _(draw, dtype, name):
    return (arrays(draw, dtype, MATRICES),), {}


@call("tensordot linalg.tensordot", NUMERIC)
def _(draw, dtype, name):
    a, b, c, d = (draw(st.integers(1, 3)) for _ in range(4))
    first, second, axes = draw(
        st.sampled_from(
            [
                ((a, b, c), (b, c, d), None),
                ((a, b), (b, c), 1),
                ((a, b), (c,), 0),
                ((a, b, c), (c, d, a), ((0, 2), (2, 0))),
                ((a, b), (a, d), ([0], [0])),
                ((a, b), (a, d), ((-2,), (-2,))),
            ]
        )
    )
    kwargs = {} if axes is None else {"axes": axes}
    return (arrays(draw, dtype, first), arrays(draw, dtype, second)), kwargs


@call("vecdot linalg.vecdot", NUMERIC)
def _(draw, dtype, name):
    n = draw(st.integers(1, 3))
    first, second, axis = draw(
        st.sampled_from(
            [
                ((n,), (n,), None),
                ((2, n), (2, n), -1),
                ((2, n), (n,), None),
                ((n, 2), (n, 1), -2),
                ((3, 1, n), (2, n), -1),
            ]
        )
    )
    kwargs = {} if axis is None else {"axis": axis}
    return (arrays(draw, dtype, first), arrays(draw, dtype, second)), kwargs


@call("linalg.cross", NUMERIC)
def _(draw, dtype, name):
    first, second, axis = draw(
        st.sampled_from(
            [((3,), (3,), None), ((2, 3), (2, 3), -1), ((3, 2), (3, 1), -2), ((2, 3), (3,), -1)]
        )
    )
    kwargs = {} if axis is None else {"axis": axis}
    return (arrays(draw, dtype, first), arrays(draw, dtype, second)), kwargs


@call("linalg.outer", NUMERIC)
def _(draw, dtype, name):
    shapes = [(draw(st.integers(1, 3)),) for _ in range(2)]
    return tuple(arrays(draw, dtype, shape) for shape in shapes), {}


def square(draw, dtype, stacked=True):
    """A regular square matrix, or a stack of them."""
    n = draw(st.integers(1, 3))
    lead = draw(st.sampled_from([(), (2,), (2, 1)])) if stacked else ()
    x = numbers((*lead, n, n), dtype, seeds(draw))
    return x + (4 * np.eye(n)).astype(x.dtype)


def hermitian(draw, dtype, definite=False):
    x = square(draw, dtype)
    adjoint = np.swapaxes(x.conj(), -1, -2)
    x = x @ adjoint if definite else x + adjoint
    return A(x.astype(dtype))


@call("linalg.det linalg.inv linalg.slogdet", FLOATING)
def _(draw, dtype, name):
    return (A(square(draw, dtype)),), {}


@call("linalg.eig linalg.eigvals", FLOATING)
def _(draw, dtype, name):
    return (A(square(draw, dtype)),), {}


@call("linalg.eigh linalg.eigvalsh", FLOATING)
def _(draw, dtype, name):
    return (hermitian(draw, dtype),), {}


@call("linalg.cholesky", FLOATING)
def _(draw, dtype, name):
    return (hermitian(draw, dtype, definite=True),), options(draw, upper=st.booleans())


def rectangle(draw, dtype):
    n, m = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    lead = draw(st.sampled_from([(), (2,)]))
    return A(numbers((*lead, n, m), dtype, seeds(draw)))


@call("linalg.matrix_rank linalg.pinv", FLOATING)
def _(draw, dtype, name):
    x = rectangle(draw, dtype)
    kwargs = options(draw, rtol=st.sampled_from([1e-3, 0.125]))
    if "rtol" in kwargs and draw(st.booleans()):
        lead = x.values.shape[:-2]
        limit = np.full(lead, kwargs["rtol"], x.values.real.dtype)
        kwargs["rtol"] = A(limit, fixed=True)
    return (x,), kwargs


@call("linalg.svdvals", FLOATING)
def _(draw, dtype, name):
    return (rectangle(draw, dtype),), {}


@call("linalg.svd", FLOATING)
def _(draw, dtype, name):
    return (rectangle(draw, dtype),), options(draw, full_matrices=st.booleans())


@call("linalg.qr", FLOATING)
def _(draw, dtype, name):
    modes = st.sampled_from(["reduced", "complete"])
    return (rectangle(draw, dtype),), options(draw, mode=modes)


@call("linalg.solve", FLOATING)
def _(draw, dtype, name):
    a = square(draw, dtype)
    n = a.shape[-1]
    shape = draw(st.sampled_from([(n,), (*a.shape[:-2], n, 2), (n, 1)]))
    return (A(a), A(numbers(shape, dtype, 1))), {}


@call("linalg.matrix_power", FLOATING)
def _(draw, dtype, name):
    return (A(square(draw, dtype)), draw(st.integers(-2, 4))), {}


@call("linalg.matrix_norm", FLOATING)
def _(draw, dtype, name):
    orders = st.sampled_from(["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf])
    return (rectangle(draw, dtype),), options(draw, ord=orders, keepdims=st.booleans())


@call("linalg.vector_norm", FLOATING)
def _(draw, dtype, name):
    x = A(numbers(draw(SHAPES), dtype, seeds(draw)))
    orders = st.sampled_from([0, 1, 2, 3, 0.5, -1, math.inf, -math.inf])
    axis = axis_of(draw, x.values.ndim, several=True)
    return (x,), {"axis": axis, **options(draw, ord=orders, keepdims=st.booleans())}


@call("linalg.diagonal", DTYPES)
def _(draw, dtype, name):
    return (arrays(draw, dtype, MATRICES),), options(draw, offset=st.integers(-3, 3))


@call("linalg.trace", NUMERIC)
def _(draw, dtype, name):
    kwargs = options(draw, offset=st.integers(-3, 3))
    return (arrays(draw, dtype, MATRICES),), {**kwargs, **_dtype(draw, dtype)}


def _dtype(draw, dtype):
    """A wider dtype to sum in, or nothing."""
    wide = next(kind for kind in (BOOL, SIGNED, UNSIGNED, REAL_FLOATING, COMPLEX) if dtype in kind)
    return options(draw, dtype=st.just(D(wide[-1])))


# --- manipulation -------------------------------------------------------------------------------


@call("broadcast_arrays", DTYPES)
def _(draw, dtype, name):
    shapes = draw(xps.mutually_broadcastable_shapes(draw(st.integers(1, 3)), max_side=3))
    return tuple(arrays(draw, dtype, shape) for shape in shapes.input_shapes), {}


@call("broadcast_shapes", ("float64",))
def _(draw, dtype, name):
    shapes = draw(xps.mutually_broadcastable_shapes(draw(st.integers(1, 3)), max_side=3))
    return tuple(shapes.input_shapes), {}


@call("broadcast_to", DTYPES)
def _(draw, dtype, name):
    shape = draw(SHAPES)
    small = tuple(draw(st.sampled_from([1, n])) for n in shape)
    return (arrays(draw, dtype, small[draw(st.integers(0, len(small))) :]), shape), {}


@call("concat", DTYPES)
def _(draw, dtype, name):
    shape = list(draw(VECTORS))
    axis = draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        shape[axis or 0] = draw(st.integers(0, 3))
        other = draw(st.sampled_from(promotable(dtype)))
        size = (math.prod(shape),) if axis is None else tuple(shape)
        parts.append(arrays(draw, other, size))
    return (parts,), {"axis": axis or 0}


@call("stack", DTYPES)
def _(draw, dtype, name):
    shape = draw(SHAPES)
    kinds = [draw(st.sampled_from(promotable(dtype))) for _ in range(draw(st.integers(1, 3)))]
    kwargs = options(draw, axis=st.integers(-len(shape) - 1, len(shape)))
    return ([arrays(draw, kind, shape) for kind in kinds],), kwargs


@call("expand_dims", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, SHAPES)
    return (x,), {"axis": draw(st.integers(-x.values.ndim - 1, x.values.ndim))}


@call("squeeze", DTYPES)
def _(draw, dtype, name):
    shape = tuple(draw(st.sampled_from([1, 2])) for _ in range(draw(st.integers(1, 3))))
    ones = [i for i, n in enumerate(shape) if n == 1]
    axis = draw(st.lists(st.sampled_from(ones), unique=True).map(tuple)) if ones else ()
    axis = tuple(i - len(shape) if draw(st.booleans()) else i for i in axis)
    return (arrays(draw, dtype, shape),), {"axis": axis[0] if len(axis) == 1 else axis}


@call("flip", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, WITH_EMPTY)
    return (x,), {"axis": axis_of(draw, x.values.ndim, several=True)}


@call("moveaxis", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, VECTORS)
    ndim = x.values.ndim
    if draw(st.booleans()):
        places = st.integers(-ndim, ndim - 1)
        return (x, draw(places), draw(places)), {}
    count = draw(st.integers(1, ndim))
    pick = st.permutations(range(ndim)).map(lambda p: tuple(p[:count]))
    return (x, draw(pick), draw(pick)), {}


@call("permute_dims", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, WITH_EMPTY)
    return (x, tuple(draw(st.permutations(range(x.values.ndim))))), {}


@call("repeat", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, VECTORS)
    axis = axis_of(draw, x.values.ndim)
    n = x.values.size if axis is None else x.values.shape[axis]
    repeats = draw(
        st.one_of(
            st.integers(0, 3),
            st.lists(st.integers(0, 3), min_size=n, max_size=n).map(
                lambda counts: A(np.array(counts, dtype=np.int64), fixed=True)
            ),
        )
    )
    return (x, repeats), {"axis": axis}


@call("reshape", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, WITH_EMPTY)
    size = x.values.size
    choices = [(size,), (1, size), tuple(reversed(x.values.shape))]
    if size:
        choices += [(-1,), (size, -1), (-1, 1)]
    kwargs = options(draw, copy=st.sampled_from([True, None]))
    return (x, draw(st.sampled_from(choices))), kwargs


@call("roll", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, WITH_EMPTY)
    axis = axis_of(draw, x.values.ndim, several=True)
    shift = st.integers(-4, 4)
    if isinstance(axis, tuple) and draw(st.booleans()):
        return (x, tuple(draw(shift) for _ in axis)), {"axis": axis}
    return (x, draw(shift)), {"axis": axis}


@call("tile", DTYPES)
def _(draw, dtype, name):
    repetitions = draw(st.lists(st.integers(0, 2), max_size=4).map(tuple))
    return (arrays(draw, dtype, SHAPES), repetitions), {}


@call("unstack", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, VECTORS)
    return (x,), {"axis": axis_of(draw, x.values.ndim, none=False)}


# --- searching, sets, sorting -------------------------------------------------------------------


@call("argmax argmin", REAL)
def _(draw, dtype, name):
    x = arrays(draw, dtype, SHAPES)
    return (x,), {"axis": axis_of(draw, x.values.ndim), **options(draw, keepdims=st.booleans())}


@call("count_nonzero", DTYPES)
def _(draw, dtype, name):
    x = arrays(draw, dtype, WITH_EMPTY)
    axis = axis_of(draw, x.values.ndim, several=True)
    return (x,), {"axis": axis, **options(draw, keepdims=st.booleans())}


@call("nonzero", DTYPES)
def _(draw, dtype, name):
    return (arrays(draw, dtype, VECTORS),), {}


@call("searchsorted", REAL)
def _(draw, dtype, name):
    x = arrays(draw, dtype, (draw(st.integers(1, 5)),)).values
    kwargs = options(draw, side=st.sampled_from(["left", "right"]))
    if draw(st.booleans()):
        kwargs["sorter"] = A(np.argsort(x, kind="stable"), fixed=True)
    else:
        x = np.sort(x)
    return (A(x), arrays(draw, dtype, SHAPES)), kwargs


@call("where", DTYPES)
def _(draw, dtype, name):
    shapes = draw(xps.mutually_broadcastable_shapes(3, max_dims=3, max_side=3)).input_shapes
    condition = A(arrays(draw, "bool", shapes[0]).values, fixed=True)
    x1, x2 = (arrays(draw, dtype, shape) for shape in shapes[1:])
    kind = draw(st.sampled_from(["arrays", "left", "right"]))
    if kind == "left":
        x1 = scalar(draw, dtype)
    elif kind == "right":
        x2 = scalar(draw, dtype)
    return (condition, x1, x2), {}


@call("isin", INTEGERS)
def _(draw, dtype, name):
    x1, x2 = arrays(draw, dtype, WITH_EMPTY), arrays(draw, dtype, WITH_EMPTY)
    return (x1, x2), options(draw, invert=st.booleans())


@call("unique_all unique_counts unique_inverse unique_values", DTYPES)
def _(draw, dtype, name):
    return (arrays(draw, dtype, SHAPES),), {}


@call("argsort sort", REAL)
def _(draw, dtype, name):
    x = arrays(draw, dtype, VECTORS)
    kwargs = options(draw, axis=st.just(axis_of(draw, x.values.ndim, none=False)))
    return (x,), {**kwargs, **options(draw, descending=st.booleans(), stable=st.just(True))}


# --- statistics ---------------------------------------------------------------------------------


def reduction(names, dtypes, shapes, extra=None):
    @call(names, dtypes)
    def build(draw, dtype, name):
        x = arrays(draw, dtype, shapes)
        axis = axis_of(draw, x.values.ndim, several=True)
        kwargs = options(draw, axis=st.just(axis), keepdims=st.booleans())
        return (x,), kwargs | (extra(draw, dtype, x.values, kwargs.get("axis")) if extra else {})


def _correction(draw, dtype, x, axis):
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    if math.prod(x.shape[i] for i in axes) < 2:
        return {}
    return options(draw, correction=st.sampled_from([0, 1, 0.5]))


reduction("all any", DTYPES, WITH_EMPTY)
reduction("max min", REAL, SHAPES)
reduction("mean", FLOATING, SHAPES)
reduction("std var", REAL_FLOATING, SHAPES, _correction)
reduction("prod sum", NUMERIC, WITH_EMPTY, lambda draw, dtype, *_: _dtype(draw, dtype))


@call("cumulative_prod cumulative_sum", NUMERIC)
def _(draw, dtype, name):
    x = arrays(draw, dtype, VECTORS, -2, 2)
    ndim = x.values.ndim
    kwargs = {} if ndim == 1 and draw(st.booleans()) else {"axis": axis_of(draw, ndim, none=False)}
    kwargs |= options(draw, include_initial=st.booleans())
    return (x,), kwargs | _dtype(draw, dtype)


@call("diff", NUMERIC)
def _(draw, dtype, name):
    x = arrays(draw, dtype, VECTORS)
    shape = list(x.values.shape)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    kwargs = {"axis": axis, **options(draw, n=st.integers(0, 2))}
    for side in ("prepend", "append"):
        if draw(st.booleans()):
            shape[axis] = draw(st.integers(1, 2))
            kwargs[side] = arrays(draw, dtype, tuple(shape))
            kwargs["n"] = max(1, kwargs.get("n", 1))  # none at all: the standard leaves it open
    return (x,), kwargs


# --- Fourier transforms -------------------------------------------------------------------------

NORMS = st.sampled_from(["backward", "ortho", "forward"])


def transform(names, dtypes):
    @call(names, dtypes)
    def build(draw, dtype, name):
        x = A(numbers(draw(VECTORS), dtype, seeds(draw)))
        axis = axis_of(draw, x.values.ndim, none=False)
        kwargs = {"axis": axis, **options(draw, n=st.integers(2, 5), norm=NORMS)}
        if name in ("fft.irfft", "fft.hfft") and x.values.shape[axis] < 2:
            kwargs["n"] = 3
        return (x,), kwargs


def transform_of_several(names, dtypes):
    @call(names, dtypes)
    def build(draw, dtype, name):
        x = A(numbers(draw(VECTORS), dtype, seeds(draw)))
        axes = tuple(draw(st.permutations(range(x.values.ndim))))
        axes = axes[: draw(st.integers(1, x.values.ndim))]
        kwargs = options(draw, axes=st.just(axes), norm=NORMS)
        count = len(kwargs.get("axes", x.values.shape))
        last = kwargs.get("axes", [-1])[-1]
        if "axes" in kwargs and draw(st.booleans()):
            kwargs["s"] = tuple(draw(st.integers(2, 4)) for _ in range(count))
        elif name == "fft.irfftn" and x.values.shape[last] < 2:
            kwargs |= {"axes": (last,), "s": (3,)}
        return (x,), kwargs


transform("fft.fft fft.ifft fft.hfft", COMPLEX)
transform("fft.irfft", COMPLEX)
transform("fft.rfft fft.ihfft", REAL_FLOATING)
transform_of_several("fft.fftn fft.ifftn fft.irfftn", COMPLEX)
transform_of_several("fft.rfftn", REAL_FLOATING)


@call("fft.fftfreq fft.rfftfreq", REAL_FLOATING)
def _(draw, dtype, name):
    kwargs = options(draw, d=st.sampled_from([0.5, 2.0]))
    return (draw(st.integers(1, 6)),), {**kwargs, "dtype": D(dtype)}


@call("fft.fftshift fft.ifftshift", FLOATING)
def _(draw, dtype, name):
    x = arrays(draw, dtype, VECTORS)
    axes = axis_of(draw, x.values.ndim, several=True)
    return (x,), options(draw, axes=st.just(axes))
