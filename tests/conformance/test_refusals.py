"""What must raise: never a wrong answer, never a gradient lost without a word.

Each case raises on array-api-strict too, and dezero's error over NumPy is of the class named. The
other lanes raise as well, with their library's own errors.
"""

import array_api_compat
import array_api_strict
import numpy as np
import pytest

from conformance.compare import found
from dezero import Variable, no_grad, xp
from dezero.namespace import namespace

X = np.arange(1.0, 7.0).reshape(2, 3)
INDEX = (IndexError, ValueError)  # NumPy's AxisError is both; the standard names no class

# name: (function, arguments as NumPy arrays and others, keywords, error over NumPy)
CASES = {
    "axis of sum": ("sum", (X,), {"axis": 2}, INDEX),
    "negative axis of sum": ("sum", (X,), {"axis": -3}, INDEX),
    "axis twice": ("sum", (X,), {"axis": (0, 0)}, ValueError),
    "axis of mean": ("mean", (X,), {"axis": 2}, INDEX),
    "axis of max": ("max", (X,), {"axis": -3}, INDEX),
    "axis of argmax": ("argmax", (X,), {"axis": 2}, INDEX),
    "axis of sort": ("sort", (X,), {"axis": 2}, INDEX),
    "axis of argsort": ("argsort", (X,), {"axis": 2}, INDEX),
    "axis of flip": ("flip", (X,), {"axis": 2}, INDEX),
    "axis of roll": ("roll", (X, 1), {"axis": 2}, INDEX),
    "axis of concat": ("concat", ([X, X],), {"axis": 2}, INDEX),
    "axis of stack": ("stack", ([X, X],), {"axis": 3}, INDEX),
    "axis of expand_dims": ("expand_dims", (X,), {"axis": 3}, INDEX),
    "axis of unstack": ("unstack", (X,), {"axis": 2}, INDEX),
    "axis of cumulative_sum": ("cumulative_sum", (X,), {"axis": 2}, INDEX),
    "no axis of cumulative_sum": ("cumulative_sum", (X,), {}, ValueError),
    "axis of diff": ("diff", (X,), {"axis": 2}, INDEX),
    "axis of take": ("take", (X, np.array([0])), {"axis": 2}, INDEX),
    "no axis of take": ("take", (X, np.array([0])), {}, (TypeError, ValueError)),
    "place of take": ("take", (X, np.array([3])), {"axis": 1}, IndexError),
    "place of take_along_axis": ("take_along_axis", (X, np.array([[3]])), {}, IndexError),
    "dimensions of take_along_axis": ("take_along_axis", (X, np.array([0])), {}, INDEX),
    "floats as places": ("take", (X, np.array([0.0])), {"axis": 1}, (TypeError, IndexError)),
    "squeezed dimension": ("squeeze", (X,), {"axis": 0}, ValueError),
    "axes of permute_dims": ("permute_dims", (X, (0, 0)), {}, ValueError),
    "too few axes": ("permute_dims", (X, (0,)), {}, ValueError),
    "axes of moveaxis": ("moveaxis", (X, (0, 1), (0,)), {}, ValueError),
    "size of reshape": ("reshape", (X, (4,)), {}, ValueError),
    "two unknown sides": ("reshape", (X, (-1, -1)), {}, ValueError),
    "broadcast_to": ("broadcast_to", (X, (3, 2)), {}, ValueError),
    "broadcast_to fewer": ("broadcast_to", (X, (3,)), {}, ValueError),
    "broadcast_arrays": ("broadcast_arrays", (X, X[:, :2]), {}, ValueError),
    "broadcast_shapes": ("broadcast_shapes", ((2,), (3,)), {}, ValueError),
    "add": ("add", (X, X[:, :2]), {}, ValueError),
    "where": ("where", (X > 1, X[:, :2], X), {}, ValueError),
    "matmul": ("matmul", (X, X), {}, ValueError),
    "matmul of rank 0": ("matmul", (X, X[0, 0]), {}, ValueError),
    "tensordot": ("tensordot", (X, X), {"axes": 1}, ValueError),
    "vecdot": ("vecdot", (X, X[:, :2]), {}, ValueError),
    "concat of shapes": ("concat", ([X, X[:, :2]],), {"axis": 0}, ValueError),
    "stack of shapes": ("stack", ([X, X[:, :2]],), {}, ValueError),
    "repeats": ("repeat", (X, np.array([1, 2])), {"axis": 1}, ValueError),
    "meshgrid indexing": ("meshgrid", (X[0], X[0]), {"indexing": "zz"}, ValueError),
    "side of searchsorted": ("searchsorted", (X[0], X[0]), {"side": "no"}, ValueError),
    "matrix_transpose of a vector": ("matrix_transpose", (X[0],), {}, ValueError),
    "determinant of a rectangle": ("linalg.det", (X,), {}, ValueError),
    "inverse of a rectangle": ("linalg.inv", (X,), {}, ValueError),
    "inverse of a singular matrix": ("linalg.inv", (np.zeros((2, 2)),), {}, ValueError),
    "solve with a singular matrix": ("linalg.solve", (np.zeros((2, 2)), X), {}, ValueError),
    "solve of shapes": ("linalg.solve", (np.eye(3), X), {}, ValueError),
    "cholesky of no definite": ("linalg.cholesky", (-np.eye(2),), {}, ValueError),
    "eigh of a rectangle": ("linalg.eigh", (X,), {}, ValueError),
    "svd of a vector": ("linalg.svd", (X[0],), {}, ValueError),
    "cross of pairs": ("linalg.cross", (X[:, :2], X[:, :2]), {}, ValueError),
    "mode of qr": ("linalg.qr", (X,), {"mode": "no"}, ValueError),
    "order of matrix_norm": ("linalg.matrix_norm", (X,), {"ord": "no"}, ValueError),
    "fft of nothing": ("fft.fft", (X + 0j,), {"n": 0}, ValueError),
    "fft norm": ("fft.fft", (X + 0j,), {"norm": "no"}, ValueError),
    "fft axis": ("fft.fft", (X + 0j,), {"axis": 2}, INDEX),
    "step 0": ("arange", (0, 3, 0), {}, (ValueError, ZeroDivisionError)),
    "negative number": ("linspace", (0.0, 1.0, -1), {}, ValueError),
    "negative side": ("zeros", ((-1,),), {}, ValueError),
    "ragged list": ("asarray", ([[1.0], [1.0, 2.0]],), {}, ValueError),
    "text": ("asarray", ("text",), {}, (TypeError, ValueError)),
    "text as operand": ("sin", ("text",), {}, TypeError),
    "no operand": ("sin", (None,), {}, TypeError),
    "a list as operand": ("sin", ([1.0],), {}, TypeError),
    "kind of isdtype": ("isdtype", (np.float64, "no kind"), {}, (TypeError, ValueError)),
    "bitwise_and of floats": ("bitwise_and", (X, X), {}, TypeError),
    "floor of complex numbers": ("floor", (X + 0j,), {}, TypeError),
    "remainder of complex numbers": ("remainder", (X + 0j, X), {}, TypeError),
    "atan2 of complex numbers": ("atan2", (X + 0j, X), {}, TypeError),
    "shift by floats": ("bitwise_left_shift", (np.array([1]), X[0]), {}, TypeError),
    "negative power of integers": ("pow", (np.array([2]), -1), {}, ValueError),
    "cross of dtype text": ("zeros", ((2,),), {"dtype": "no dtype"}, TypeError),
    "unknown keyword": ("sum", (X,), {"no_such": 1}, TypeError),
    "too many operands": ("sin", (X, X, X), {}, TypeError),
    "too few operands": ("add", (X,), {}, TypeError),
}
NOT_STRICT = {
    "isdtype",  # dtypes of NumPy
    "negative power of integers",  # NumPy's own
}
LAZY = {"place of take", "place of take_along_axis", "inverse of a singular matrix"}
LAZY |= {"solve with a singular matrix", "cholesky of no definite"}


def arguments(tree, array):
    if isinstance(tree, (np.ndarray, np.float64)):
        return array(np.asarray(tree))
    if isinstance(tree, list) and tree and isinstance(tree[0], np.ndarray):
        return [array(part) for part in tree]
    return tree


def called(name, space, array, args, kwargs):
    return found(name, space)(*(arguments(arg, array) for arg in args), **kwargs)


@pytest.mark.parametrize("case", CASES)
def test_a_bad_call_over_numpy(chosen_lane, case):
    lane = chosen_lane("numpy")
    name, args, kwargs, error = CASES[case]
    with pytest.raises(error):
        called(name, xp, lambda a: lane.variable(a, requires_grad=False), args, kwargs)
    with pytest.raises(error):
        called(name, xp, lane.variable, args, kwargs)


@pytest.mark.parametrize("case", [c for c in CASES if c not in NOT_STRICT])
def test_a_bad_call_raises_on_strict_too(case):
    name, args, kwargs, _ = CASES[case]
    with pytest.raises(Exception):  # noqa: B017, PT011  # of many classes
        called(name, array_api_strict, array_api_strict.asarray, args, kwargs)


def takes(lane, name, args, kwargs):
    """Whether the library raises nothing itself."""
    try:
        called(name, lane.xp.namespace, lane.array, args, kwargs)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("case", CASES)
def test_a_bad_call_over_another_library(other_lane, case):
    name, args, kwargs, _ = CASES[case]
    if other_lane.name in ("jax", "dask") and case in LAZY:
        pytest.skip("the library looks at no values")
    if not isinstance(args[0], str) and takes(other_lane, name, args, kwargs):
        pytest.skip(f"{other_lane.name} itself takes it")
    with pytest.raises(Exception):  # noqa: B017, PT011  # the library's own
        called(name, namespace(other_lane.xp), other_lane.variable, args, kwargs)


KEYS = {
    "place": 2,
    "negative place": -3,
    "too many": (0, 0, 0),
    "two ellipses": (..., ...),
    "text": "text",
    "float": 0.0,
    "mask of another shape": np.array([True, False, True, False]),
    "array place": np.array([0, 2]),
    "float array": np.array([0.0]),
}


@pytest.mark.parametrize("key", KEYS)
def test_a_bad_key(lane, key):
    if lane.name in ("jax", "dask") and key == "array place":
        pytest.skip("the library looks at no values")
    if (lane.name, key) == ("torch", "two ellipses"):
        pytest.skip("PyTorch itself takes it")
    errors = (IndexError, TypeError, ValueError)
    errors += (AttributeError,) if lane.name == "dask" else ()  # dask's own
    for requires_grad in (False, True):
        x = lane.variable(X, requires_grad=requires_grad)
        place = lane.array(KEYS[key]) if isinstance(KEYS[key], np.ndarray) else KEYS[key]
        with pytest.raises(errors):
            x[place]


# --- other libraries ----------------------------------------------------------------------------


def test_arrays_of_two_libraries_do_not_meet(chosen_lane):
    numpy, strict = chosen_lane("numpy"), chosen_lane("strict")
    x, y = numpy.variable(X), strict.variable(X)
    for call in (
        lambda: x + y,
        lambda: xp.add(x, y),
        lambda: xp.concat([x, y]),
        lambda: xp.where(x > 1, x, y),
        lambda: xp.matmul(x, y.T),
        lambda: xp.linalg.solve(numpy.variable(np.eye(2)), y),
        lambda: xp.searchsorted(x[0], y),
        lambda: x[y > 1],
        lambda: (x * 1.0).__setitem__(0, y),
        lambda: x.__iadd__(y),
        lambda: x == y,
    ):
        with pytest.raises(TypeError):
            call()


def test_compat_finds_no_common_namespace(chosen_lane):
    x, y = chosen_lane("numpy").variable(X), chosen_lane("strict").variable(X)
    with pytest.raises(TypeError, match=r"[Mm]ultiple"):
        array_api_compat.array_namespace(x, y)
    with pytest.raises(TypeError):
        array_api_compat.array_namespace(x, X)


def test_arrays_on_two_devices_do_not_meet(chosen_lane):
    strict = chosen_lane("strict")
    here, there = strict.variable(X), Variable(array_api_strict.asarray(X))
    for call in (lambda: here + there, lambda: xp.concat([here, there])):
        with pytest.raises((TypeError, ValueError), match=r"device|places"):
            call()


# --- gradients are not lost ---------------------------------------------------------------------

LOSSES = {
    "float": float,
    "complex": complex,
    "__array__": np.asarray,
    "np.array": np.array,
    "np.from_dlpack": np.from_dlpack,
    "__dlpack__": lambda x: x.__dlpack__(),
    "np.exp out": lambda x: np.exp(x, out=np.empty(())),
    "np.add.reduce": lambda x: np.add.reduce(x),
    "assignment to an array": lambda x: np.zeros(2).__setitem__(0, x),
    "np.fromiter": lambda x: np.fromiter([x], dtype=float),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_would_lose_a_gradient_raises(lane, loss):
    x = lane.variable(np.array(1.5))
    for v in (x, x * 2.0):
        with pytest.raises((TypeError, ValueError)):
            LOSSES[loss](v)


@pytest.mark.parametrize("loss", ["float", "complex", "__array__", "np.array"])
def test_constants_may_be_converted(lane, loss):
    x = lane.variable(np.array(1.5), requires_grad=False)
    assert LOSSES[loss](x) == LOSSES[loss](1.5)
    y = lane.variable(np.array(1.5))
    assert LOSSES[loss](y.detach()) == LOSSES[loss](1.5)
    with no_grad():
        assert LOSSES[loss](y * 1.0) == LOSSES[loss](1.5)


def test_the_truth_of_several_elements(lane):
    for values in (X, np.empty(0)):
        for requires_grad in (False, True):
            with pytest.raises((ValueError, TypeError)):
                bool(lane.variable(values, requires_grad=requires_grad))
    assert bool(lane.variable(np.array(1.0)))
    assert not bool(lane.variable(np.array(0.0)))


def test_numbers_of_several_elements(lane):
    for kind in (float, int, complex):
        with pytest.raises((TypeError, ValueError)):
            kind(lane.variable(X, requires_grad=False))
    for values in (np.array([1]), np.array(1.0), np.array(True)):
        with pytest.raises(TypeError):
            lane.variable(values, requires_grad=False).__index__()
    with pytest.raises(TypeError):
        float(lane.variable(np.array(1j), requires_grad=False))


def test_a_variable_of_rank_0_has_no_length(lane):
    x = lane.variable(np.array(1.0))
    for function in (len, iter, list):
        with pytest.raises(TypeError):
            function(x)


def test_identity_is_the_hash(lane):
    x = lane.variable(X)
    assert hash(x) == hash(x)
    assert len({x, x, lane.variable(X)}) == 2


def test_an_unknown_device(lane):
    x = lane.variable(X)
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        x.to_device("no such device")
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        namespace(lane.xp).zeros(2, device="no such device")
