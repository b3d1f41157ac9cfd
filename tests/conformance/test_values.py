"""Values, shapes and dtypes of every function against array-api-strict.

hypothesis draws the calls, always the same ones. ``DEZERO_EXAMPLES=20`` draws twenty times as
many of them. Each runs once on constants and once with every floating operand recorded.
"""

import operator

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conformance import calls, standard
from conformance.calls import A, xps
from conformance.compare import Ours, Raw, Strict, agree, checked, leaves, numpy_of, quick
from dezero import Variable

STRICT = Strict()

CONSTANT = {"arange", "eye", "full", "linspace", "ones", "zeros", "linalg.matrix_rank"}
CONSTANT |= {"empty_like", "full_like", "ones_like", "zeros_like", "empty"}
CONSTANT |= {"fft.fftfreq", "fft.rfftfreq"}
"""Functions whose results do not depend on the values of their operands, or in whole steps."""


def drawn(data, name):
    """A call of a function, and what array-api-strict makes of it."""
    entry = calls.CALLS[name]
    dtype = data.draw(st.sampled_from(entry.dtypes), label="dtype")
    args, kwargs = data.draw(entry.build(dtype), label="call")
    return args, kwargs, STRICT.call(name, args, kwargs)


def compare(lane, name, args, kwargs, expected):
    result = Ours(lane).call(name, args, kwargs)
    checked(name, args, kwargs, result, expected)
    for x in leaves(result):
        if isinstance(x, Variable):
            assert not x.requires_grad
    recorded = Ours(lane, recorded=True).call(name, args, kwargs)
    if name not in ("empty", "empty_like"):
        for x, y in zip(leaves(recorded), leaves(result), strict=True):
            if isinstance(x, Variable):
                np.testing.assert_array_equal(numpy_of(x), numpy_of(y))
                wanted = depends(name, args, kwargs) and str(y.dtype).rpartition(".")[2] in (
                    calls.FLOATING
                )
                assert x.requires_grad == wanted or counts(name, args, kwargs)


def counts(name, args, kwargs):
    """Whether a result is the same for all operands nearby: recorded or not, as it may be."""
    return kwargs.get("ord") == 0 or (name == "linalg.matrix_power" and args[1] == 0)


def depends(name, args, kwargs):
    """Whether a floating result is one of a recorded operand."""
    if name in CONSTANT:
        return False
    parts = [*args, *kwargs.values()]
    parts += [x for part in args if isinstance(part, list) for x in part]
    return any(isinstance(x, A) and not x.fixed and x.values.dtype.kind in "fc" for x in parts)


@pytest.mark.parametrize("name", sorted(calls.CALLS))
def test_a_function_over_numpy(chosen_lane, name):
    lane = chosen_lane("numpy")

    @quick(16)
    @given(data=st.data())
    def check(data):
        compare(lane, name, *drawn(data, name))

    check()


OF_NUMBERS = {"arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros"}
OF_NUMBERS |= {"can_cast", "finfo", "iinfo", "isdtype", "result_type", "broadcast_shapes"}
OF_NUMBERS |= {"fft.fftfreq", "fft.rfftfreq"}
"""Functions that need no array: their devices and default dtypes are each library's own."""

UNKNOWN = {"torch": ("uint16", "uint32", "uint64")}
"""Dtypes that a library has in name only."""


def dtypes_in(tree):
    """The dtypes of arrays and arguments of a call, by name."""
    if isinstance(tree, A):
        return {str(tree.values.dtype)}
    if isinstance(tree, calls.D):
        return {tree.name}
    parts = list(tree.values()) if isinstance(tree, dict) else tree
    return set().union(*map(dtypes_in, parts)) if isinstance(parts, (tuple, list)) else set()


@pytest.mark.parametrize("name", sorted(set(calls.CALLS) - OF_NUMBERS))
def test_a_function_over_another_library(other_lane, name):
    """Values are those of the standard; what the library itself does otherwise may stay so."""
    if other_lane.name in ("readonly", "dask", "cupy"):
        pytest.skip("read-only arrays are NumPy's; dask knows no shapes that depend on values")
    raw = Raw(other_lane.xp.namespace, other_lane)

    @quick({"strict": 4, "torch": 4}.get(other_lane.name, 1))
    @given(data=st.data())
    def check(data):
        args, kwargs, expected = drawn(data, name)
        assume(not dtypes_in([args, kwargs]) & {*UNKNOWN.get(other_lane.name, ())})
        try:
            compare(other_lane, name, args, kwargs, expected)
        except Exception as error:
            try:
                own = raw.call(name, args, kwargs)
            except Exception:
                return  # the library has not got it
            ours = Ours(other_lane).call(name, args, kwargs)
            try:
                same(ours, own, other_lane)
            except AssertionError:
                raise error from None

    check()


def same(ours, own, lane):
    """Assert that a result is the library's own."""
    if isinstance(own, (tuple, list)):
        for x, y in zip(ours, own, strict=True):
            same(x, y, lane)
    else:
        assert ours.dtype == own.dtype
        assert ours.shape == tuple(own.shape)
        np.testing.assert_array_equal(lane.numpy(ours), lane.numpy(own))


# --- indexing -----------------------------------------------------------------------------------


@st.composite
def indexed(draw, dtypes=standard.DTYPES):
    """An array and a key of the standard."""
    x = calls.arrays(draw, draw(st.sampled_from(dtypes)), calls.SHAPES)
    shape = x.values.shape
    kind = draw(st.sampled_from(["basic", "basic", "mask", "integers", "places"]))
    if kind == "mask" or not shape:
        if kind == "mask":
            return x, A(calls.arrays(draw, "bool", shape).values, fixed=True)
        return x, draw(st.sampled_from([(), ...]))
    if kind == "basic":
        return x, draw(xps.indices(shape, allow_newaxis=True, allow_ellipsis=True))
    length = draw(st.integers(1, 3))

    def places(n):
        values = draw(st.lists(st.integers(-n, n - 1), min_size=length, max_size=length))
        return A(np.array(values, dtype=np.int64), fixed=True)

    if kind == "places":
        return x, tuple(map(places, shape))
    integers = [draw(st.integers(-n, n - 1)) for n in shape]
    chosen = [st.sampled_from([i, places(n)]) for i, n in zip(integers, shape, strict=True)]
    return x, tuple(map(draw, chosen))


@quick(150)
@given(call=indexed())
def test_indexing_over_numpy(chosen_lane, call):
    compare_indexing(chosen_lane("numpy"), *call)


@quick(25)
@given(call=indexed())
def test_indexing_over_another_library(other_lane, call):
    if other_lane.name not in ("dask", "cupy"):
        assume(not dtypes_in(call) & {*UNKNOWN.get(other_lane.name, ())})
        compare_indexing(other_lane, *call)


def keys(key, array):
    return calls.converted(key, array, None)


def compare_indexing(lane, x, key):
    try:
        expected = STRICT.array(x)[keys(key, STRICT.array)]
    except IndexError:
        assume(False)  # a key that the standard leaves open
    ours = Ours(lane)
    given_ = ours.array(x)[keys(key, ours.array)]
    agree(given_, expected, exact=True)
    raw = ours.array(x)[keys(key, lambda a: lane.array(a.values))]
    agree(raw, expected, exact=True)
    recorded = Ours(lane, recorded=True)
    y = recorded.array(x)[keys(key, recorded.array)]
    agree(y, expected, exact=True)
    assert y.requires_grad == (x.values.dtype.kind in "fc")


@st.composite
def assigned(draw):
    """An array, a key of the standard, and a value for its place."""
    dtype = draw(st.sampled_from(standard.DTYPES))
    x, key = draw(indexed((dtype,)))
    if isinstance(key, tuple) and any(isinstance(part, A) for part in key):
        assume(False)  # assignment to integer arrays is left open: tests/test_mutation.py
    if isinstance(key, tuple) and None in key:
        key = tuple(part for part in key if part is not None)
    place = x.values[key.values if isinstance(key, A) else key]
    if isinstance(key, A) or draw(st.booleans()):
        value = draw(st.sampled_from([calls.scalar(draw, dtype)]))
        return x, key, A(np.array(value, dtype)) if draw(st.booleans()) else value
    small = tuple(draw(st.sampled_from([1, n])) for n in place.shape)
    small = small[draw(st.integers(0, len(small))) :]
    return x, key, calls.arrays(draw, draw(st.sampled_from(calls.promotable(dtype))), small)


@quick(150)
@given(call=assigned())
def test_assignment_over_numpy(chosen_lane, call):
    compare_assignment(chosen_lane("numpy"), *call)


@quick(25)
@given(call=assigned())
def test_assignment_over_another_library(other_lane, call):
    if other_lane.name not in ("dask", "cupy"):
        assume(not dtypes_in(call) & {*UNKNOWN.get(other_lane.name, ())})
        compare_assignment(other_lane, *call)


def compare_assignment(lane, x, key, value):
    if isinstance(value, A):
        kinds = calls.promotable(str(x.values.dtype))
        assume(value.values.dtype.itemsize <= x.values.dtype.itemsize)
        assert str(value.values.dtype) in kinds
    expected = STRICT.array(x)
    expected[keys(key, STRICT.array)] = keys(value, STRICT.array)
    for recorded in (False, True):
        ours = Ours(lane, recorded)
        y = ours.array(x)
        y = y * 1 if y.requires_grad else y
        v = keys(value, ours.array)
        y[keys(key, ours.array)] = v
        agree(y, expected)
        assert y.requires_grad == (recorded and x.values.dtype.kind in "fc")


# --- operators ----------------------------------------------------------------------------------

BINARY = {
    "add": operator.add,
    "bitwise_and": operator.and_,
    "floor_divide": operator.floordiv,
    "bitwise_left_shift": operator.lshift,
    "multiply": operator.mul,
    "remainder": operator.mod,
    "bitwise_or": operator.or_,
    "pow": operator.pow,
    "bitwise_right_shift": operator.rshift,
    "subtract": operator.sub,
    "divide": operator.truediv,
    "bitwise_xor": operator.xor,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "matmul": operator.matmul,
}
UNARY = {
    "abs": operator.abs,
    "bitwise_invert": operator.invert,
    "negative": operator.neg,
    "positive": operator.pos,
}


@pytest.mark.parametrize("name", [*BINARY, *UNARY])
def test_an_operator(chosen_lane, name):
    lane, function = chosen_lane("numpy"), {**BINARY, **UNARY}[name]

    @quick(25)
    @given(data=st.data())
    def check(data):
        dtype = data.draw(st.sampled_from(calls.CALLS[name].dtypes))
        args, _ = data.draw(calls.CALLS[name].build(dtype))
        expected = function(*keys(args, STRICT.array))
        for recorded in (False, True):
            result = function(*keys(args, Ours(lane, recorded).array))
            agree(result, expected)
            if str(result.dtype) in calls.FLOATING:
                assert result.requires_grad == (recorded and depends(name, args, {}))

    check()


IN_PLACE = {
    "add": operator.iadd,
    "bitwise_and": operator.iand,
    "floor_divide": operator.ifloordiv,
    "bitwise_left_shift": operator.ilshift,
    "multiply": operator.imul,
    "remainder": operator.imod,
    "bitwise_or": operator.ior,
    "pow": operator.ipow,
    "bitwise_right_shift": operator.irshift,
    "subtract": operator.isub,
    "divide": operator.itruediv,
    "bitwise_xor": operator.ixor,
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_an_in_place_operator(chosen_lane, name):
    lane, function = chosen_lane("numpy"), IN_PLACE[name]

    @quick(25)
    @given(data=st.data())
    def check(data):
        dtype = data.draw(st.sampled_from(calls.CALLS[name].dtypes))
        (x1, x2), _ = data.draw(calls.CALLS[name].build(dtype))
        assume(isinstance(x1, A))
        expected = STRICT.array(x1)
        try:
            expected = function(expected, keys(x2, STRICT.array))
        except (TypeError, ValueError):
            assume(False)  # it would change the dtype or the shape
        for recorded in (False, True):
            ours = Ours(lane, recorded)
            y = ours.array(x1)
            y = same = y * 1 if y.requires_grad else y
            y = function(y, keys(x2, ours.array))
            assert y is same
            agree(y, expected)
            assert y.requires_grad == (recorded and x1.values.dtype.kind in "fc")

    check()


@quick(20)
@given(x=st.data())
def test_attributes(lane, x):
    if lane.name == "dask":
        pytest.skip("shapes that depend on values are not dask's")
    a = calls.arrays(x.draw, x.draw(st.sampled_from(standard.DTYPES)), calls.WITH_EMPTY)
    ours, theirs = Ours(lane).array(a), STRICT.array(a)
    for name in ("shape", "size", "ndim"):
        value = getattr(ours, name)
        assert value == getattr(theirs, name)
        assert type(value) is type(getattr(theirs, name)) or name == "shape"
    assert isinstance(ours.shape, tuple)
    assert ours.to_device(ours.device) is not None
    agree(ours.to_device(ours.device), theirs, exact=True)
    if theirs.ndim == 2:
        agree(ours.T, theirs.T, exact=True)
    if theirs.ndim >= 2:
        agree(ours.mT, theirs.mT, exact=True)
    if theirs.ndim:
        assert len(ours) == a.values.shape[0]
        for row, expected in zip(ours, theirs, strict=True) if theirs.ndim == 1 else ():
            agree(row, expected, exact=True)


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (True, (bool,)),
        (3, (bool, int, float, complex, operator.index)),
        (-2.5, (bool, int, float, complex)),
        (1.5 - 2j, (bool, complex)),
    ],
)
def test_one_element_becomes_a_python_number(lane, value, kinds):
    for kind in kinds:
        x = lane.variable(np.asarray(value), requires_grad=False)
        assert kind(x) == kind(value)
        assert type(kind(x)) is type(kind(value))


# --- creation -----------------------------------------------------------------------------------


def test_default_dtypes_and_devices(chosen_lane):
    space = Ours(chosen_lane("numpy")).space
    for x, name in (
        (space.asarray(True), "bool"),
        (space.asarray(1), "int64"),
        (space.asarray(1.0), "float64"),
        (space.asarray(1j), "complex128"),
        (space.asarray([1, 2.0]), "float64"),
        (space.asarray([True, 2, 1j]), "complex128"),
        (space.arange(3), "int64"),
        (space.arange(3.0), "float64"),
        (space.linspace(0, 1, 3), "float64"),
        (space.linspace(0, 1j, 3), "complex128"),
        (space.full(2, 1), "int64"),
        (space.full(2, True), "bool"),
        (space.full(2, 1j), "complex128"),
        (space.eye(2), "float64"),
        (space.zeros(2, device=space.ones(1).device), "float64"),
        (space.fft.fftfreq(3), "float64"),
    ):
        assert isinstance(x, Variable)
        assert str(x.dtype) == name
        assert not x.requires_grad


def test_asarray_of_a_variable_keeps_its_gradient(lane):
    space = Ours(lane).space
    x = lane.variable(np.array([1.0, 2.0]))
    assert space.asarray(x) is x
    for y in (
        space.asarray(x, copy=True),
        space.asarray([x, x]),
        space.asarray(x, dtype=space.float32),
        space.asarray([x[0], 2.0]),
        space.from_dlpack(x),
        space.astype(x, space.float64),
    ):
        assert y.requires_grad
    with pytest.raises(ValueError, match="copy"):
        space.asarray(x, copy=False, dtype=space.float32)


def test_from_dlpack(lane):
    if lane.name in ("dask", "readonly"):
        pytest.skip("no exchange of memory with dask, nor of what cannot be written")
    space = Ours(lane).space
    x = lane.variable(np.array([[1.0, 2.0], [3.0, 4.0]]), requires_grad=False)
    for source in (x, x.data):
        y = space.from_dlpack(source)
        assert isinstance(y, Variable)
        np.testing.assert_array_equal(lane.numpy(y), [[1.0, 2.0], [3.0, 4.0]])
    if lane.name == "strict":
        return  # on a device that no other library reads
    assert x.__dlpack_device__() == x.data.__dlpack_device__()
    np.testing.assert_array_equal(np.from_dlpack(x), [[1.0, 2.0], [3.0, 4.0]])
