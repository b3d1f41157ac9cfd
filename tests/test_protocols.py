"""NumPy's functions called with Variables: values, dtypes and gradients are NumPy's."""

import numpy as np
import pytest

from dezero import Variable, no_grad
from dezero.protocols import _TABLE

RNG = np.random.default_rng(5)
X1 = RNG.standard_normal(6)
X2 = RNG.standard_normal((3, 4))
X3 = RNG.standard_normal((2, 3, 4))
X0 = np.array(1.5)
F32 = X2.astype(np.float32)
C2 = X2 + 1j * RNG.standard_normal((3, 4))
I2 = RNG.permutation(12).reshape(3, 4) - 5
I8 = I2.astype(np.int8)
SQUARE = X3[:, :, :3] + 3.0 * np.eye(3)
POSITIVE = SQUARE @ SQUARE.mT
SYMMETRIC = SQUARE + SQUARE.mT
NAMES = {id(value): name for name, value in list(globals().items()) if name.isupper()}


class Case:
    """One call of NumPy's function ``name``; each array among the arguments is an operand."""

    def __init__(self, name, *args, **kwargs):
        self.name, self.args, self.kwargs = name, args, kwargs
        words = [*map(_word, args), *(f"{k}={_word(v)}" for k, v in kwargs.items())]
        self.label = f"{name}({', '.join(words)})"

    def __call__(self, wrap=lambda x: x):
        function = np
        for part in self.name.split("."):
            function = getattr(function, part)
        kwargs = {name: _mapped(wrap, x) for name, x in self.kwargs.items()}
        return function(*_mapped(wrap, self.args), **kwargs)


def _word(x):
    if isinstance(x, (list, tuple)):
        return f"[{','.join(map(_word, x))}]"
    if isinstance(x, np.ndarray):
        return NAMES.get(id(x), f"{x.dtype}{list(x.shape)}".replace(" ", ""))
    return getattr(x, "__name__", repr(x))


def _mapped(wrap, x):
    if isinstance(x, (list, tuple)):
        return type(x)(_mapped(wrap, part) for part in x)
    return wrap(x) if isinstance(x, np.ndarray) else x


def _parts(result):
    return [*result] if isinstance(result, (list, tuple)) else [result]


def cases():
    for name in ("all", "any", "argmax", "argmin", "count_nonzero", "max", "mean", "min", "prod"):
        for x in (X0, X2, X3, I2, F32):
            yield name, x
        for axis in (0, -1, None):
            yield name, X3, axis
            yield name, X3, {"axis": axis, "keepdims": True}
    for name in ("max", "mean", "min", "prod", "sum", "std", "var", "all", "any"):
        yield name, X3, (0, 2)
    for name in ("std", "var"):
        yield name, X2, {"ddof": 1}
        yield name, X2, 0, None, None, 1
        yield name, X2, {"axis": 1, "correction": 1, "keepdims": True}
        yield name, C2
    yield "sum", X2, {"dtype": None, "out": None, "where": True}
    yield "sum", X2, 0, np.float32
    yield "sum", I8
    yield "sum", I8, {"dtype": np.int16}
    yield "prod", I8, 0
    yield "amax", X2, 0
    yield "amin", X2, 0
    for name in ("sort", "argsort"):
        for x in (X2, X3, I8, F32):
            yield name, x
            for axis in (0, -1, None):
                yield name, x, axis
                yield name, x, {"axis": axis, "kind": "stable"}
    for name in ("cumsum", "cumprod"):
        for x in (X0, X2, X3, I8, F32):
            yield name, x
            yield name, x, None
        yield name, X3, 1
        yield name, X3, {"axis": -1}
        yield name, F32, 0, np.float64
    for name in ("round", "around"):
        for decimals in (0, 1, 2, -1):
            yield name, X2 * 30.0, decimals
            yield name, I2 * 13, decimals
            yield name, F32, {"decimals": decimals}
        yield name, np.array([0.5, 1.5, 2.5, -0.5, np.inf, np.nan])
        yield name, np.array([25.0, 35.0, 145.0, 1234.567]), -1
        yield name, np.array([25, 35, -15]), -1
    for x in (X0, X1, X2, X3):
        for name in ("atleast_1d", "atleast_2d", "ravel", "copy", "transpose", "flip", "real"):
            yield name, x
        yield "imag", x
        yield "squeeze", x[None]
        for name in ("diagonal", "trace") if x.ndim > 1 else ():
            for offset in (0, 1, -1, 9):
                yield name, x, offset
        for other in (X0, X1, X2, 2.0):
            yield "outer", x, other
    yield "atleast_2d", X0, X1, X3
    yield "ravel", X2, "C"
    yield "real", C2
    yield "imag", C2
    yield "transpose", X3, (1, 2, 0)
    yield "transpose", X3, {"axes": [-1, 0, 1]}
    yield "moveaxis", X3, 0, -1
    yield "moveaxis", X3, {"source": [0, 1], "destination": [-1, 0]}
    for axis in (None, 0, (0, 1), -1):
        yield "flip", X3, axis
        yield "roll", X3, 1, axis
        yield "squeeze", X3[None, :, None], *([0] if axis == 0 else [(0, 2)])
    yield "roll", X3, (1, 2), (0, 1)
    yield "roll", X2, -7
    yield "expand_dims", X3, 1
    yield "expand_dims", X3, {"axis": (0, 2)}
    for name in ("diagonal", "trace"):
        yield name, X3, 0, 1, 2
        yield name, X3, {"offset": 1, "axis1": 2, "axis2": 0}
    yield "trace", F32, {"dtype": np.float64}
    yield "broadcast_arrays", X2, X0, X2[0]
    yield "broadcast_to", X2, (2, 3, 4)
    yield "broadcast_to", X0, {"shape": 5}
    for low, high in ((-0.5, 0.5), (None, 0.5), (-0.5, None), (0.5, -0.5)):
        yield "clip", X2, low, high
        yield "clip", X2, {"a_min": low, "a_max": high}
        yield "clip", X2, {"min": low, "max": high}
        yield "clip", I2, low, high
        yield "clip", F32, low, high
    yield "clip", I2, -2, 2
    yield "clip", F32, np.array(-0.5), np.array(0.5)
    yield "clip", X2, X2[0] - 1.0, X2[0] + 0.1
    for axis in (0, -1, None):
        yield "concatenate", [X2, X2], axis
        yield "concatenate", [X2, F32, I2], {"axis": axis}
    yield "concatenate", (X2, X2)
    yield "concatenate", [X2, X1], None
    for axis in (0, 1, -1):
        yield "stack", [X2, I2], axis
        yield "stack", (X2, F32), {"axis": axis}
    for x in (X0, X1, X2, X3):
        for name in ("stack", "hstack", "vstack"):
            yield name, [x, x]
    yield "cross", X3[0, :, :3], X3[1, :, :3]
    yield "cross", X2[:, :2], X2[:, 2:], {"axis": 0}
    yield "cross", X1[:3], X1[3:], -1, -1, -1, None
    yield "diag", X1
    yield "diag", X2, 1
    for x in (X1, X2, X3, I2):
        yield "diff", x
        yield "diff", x, 2
        yield "diff", x, {"axis": 0}
        yield "diff", x, {"n": 0}
    yield "diff", X2, 1, 0
    yield "diff", X1, {"prepend": X1[:2], "append": X1[:1]}
    for a in (X0, X2[0], X2, X3):
        for b in (X0, X2[0], X2.T, X3.mT, 2.5):
            yield "dot", a, b
    yield "dot", X2, {"b": X2.T}
    yield "einsum", "ij,kj->ik", X2, X2
    yield "einsum", "ij->ji", X2
    yield "einsum", "ij,kj", X2, X2, {"optimize": True}
    yield "einsum", "ij,kj,lj->ikl", X2, X2, X2, {"optimize": "greedy", "out": None}
    yield "einsum", "...j,kj->...k", X3, X2
    yield "full_like", X2, 7.0
    yield "full_like", I2, 2.5
    yield "full_like", X2, 2, np.float32
    for name in ("ones_like", "zeros_like"):
        yield name, X2
        yield name, I2, {"dtype": np.float32}
        yield name, X2, {"order": "C", "shape": None, "device": "cpu"}
    yield "meshgrid", X1, X2[0]
    yield "meshgrid", X1, X2[0], X2[1], {"indexing": "ij"}
    for repeats, axis in ((2, None), (2, 0), ([1, 2, 3], 0), (np.int64(3), -1), ([2], 1)):
        yield "repeat", X2, repeats, axis
        yield "repeat", X2, repeats, {"axis": axis}
    yield "repeat", X2, 2
    yield "reshape", X2, -1
    yield "reshape", X2, (2, -1), "C"
    yield "reshape", X2, {"shape": [6, 2]}
    yield "reshape", X2, 12, {"copy": True}
    yield "searchsorted", np.sort(X1), X2
    yield "searchsorted", np.sort(X1), X1, "right"
    yield "searchsorted", X1, X2, {"sorter": [int(i) for i in np.argsort(X1)], "side": "left"}
    yield "split", X1, 3
    yield "split", X1, [1, 4]
    yield "split", X1, (1, 99)
    yield "split", X2, 2, 1
    yield "split", X2, {"indices_or_sections": [-1], "axis": -1}
    for indices in ([0, -1, 1], 1, [[0, 1], [1, 0]], [True, False]):
        yield "take", X2, indices
        yield "take", X2, indices, None
        for axis in (0, 1, -1):
            yield "take", X2, indices, axis
            yield "take", X2, indices, {"axis": axis, "mode": "raise"}
    yield "take", X1, {"indices": [2, 0]}
    places = np.array([[0, 2, 1, 0], [1, 1, 0, 2]])
    yield "take_along_axis", X2, places, 0
    yield "take_along_axis", X2, places[:, :3].T, {"axis": -1}
    yield "take_along_axis", X2, places[0], None
    yield "tensordot", X3, X3.transpose(1, 2, 0)
    yield "tensordot", X3, X3.T, 1
    yield "tensordot", X3, X2, 0
    yield "tensordot", X3, X2, {"axes": ((1, 2), (0, 1))}
    yield "tensordot", X3, X2, {"axes": (2, 1)}
    yield "tile", X2, 2
    yield "tile", X2, (2, 1, 3)
    yield "tile", X0, {"reps": [3]}
    for name in ("tril", "triu"):
        for x in (X2, X3, I2):
            yield name, x
            yield name, x, 1
            yield name, x, {"k": -1}
    yield "where", X2 > 0
    yield "where", X2 > 0, X2, 0.0
    yield "where", X2 > 0, F32, I2
    yield "where", X2 > 0, F32, 0.0
    yield "where", X2, X2[0], X2[:, :1]
    yield from linear_algebra()


def linear_algebra():
    for order in (None, 2, 1, np.inf, -np.inf, 0, 3, 0.5):
        yield "linalg.norm", X1, order
        yield "linalg.norm", X3, order, 0
        yield "linalg.norm", X3, {"ord": order, "axis": (-1,), "keepdims": True}
    for order in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        yield "linalg.norm", X2, order
        yield "linalg.norm", X3, order, (2, 0)
        yield "linalg.norm", X3, {"ord": order, "axis": (0, 1), "keepdims": True}
    yield "linalg.norm", X3
    yield "linalg.norm", X3, {"keepdims": True}
    yield "linalg.norm", I2
    yield "linalg.norm", C2, 1
    for name in ("det", "inv", "slogdet", "qr"):
        yield "linalg." + name, SQUARE
    yield "linalg.qr", X2, "complete"
    yield "linalg.cholesky", POSITIVE
    yield "linalg.cholesky", POSITIVE, {"upper": True}
    yield "linalg.eigvalsh", SYMMETRIC
    yield "linalg.eigvalsh", SYMMETRIC, "L"
    yield "linalg.eigh", SYMMETRIC
    yield "linalg.svd", X3, False
    yield "linalg.svd", X3, {"full_matrices": False, "compute_uv": True}
    for n in (0, 3, -2):
        yield "linalg.matrix_power", SQUARE, n
    yield "linalg.pinv", X3
    yield "linalg.pinv", np.diag([1.0, 7e-16])
    yield "linalg.pinv", np.diag([1.0, 7e-16]), {"rtol": None}
    yield "linalg.pinv", np.diag([1.0, 1e-4]), 1e-3
    yield "linalg.pinv", np.diag([1.0, 1e-4]), {"rtol": 1e-3}
    yield "linalg.solve", SQUARE, X3[:, :, :2]
    yield "linalg.solve", SQUARE[0], X1[:3]
    for name in ("fft", "ifft", "rfft", "irfft"):
        for x in (X2, F32, I2):
            yield "fft." + name, x
        yield "fft." + name, X2, 6
        yield "fft." + name, X2, None, 0, "ortho"
        yield "fft." + name, X2, {"n": 3, "axis": 0, "norm": "forward"}


def _case(name, *args):
    kwargs = args[-1] if args and isinstance(args[-1], dict) else {}
    return Case(name, *args[: len(args) - bool(kwargs)], **kwargs)


CASES = list({case.label: case for case in (_case(*words) for words in cases())}.values())


def test_every_function_has_a_case():
    assert {case.name for case in CASES} >= set(_TABLE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "constant"])
def test_the_result_is_numpys(case, recorded):
    expected = _parts(case())
    found = _parts(case(lambda x: Variable(x.copy(), requires_grad=recorded)))
    assert len(found) == len(expected)
    for y, values in zip(found, expected, strict=True):
        assert y.shape == np.shape(values)
        if isinstance(y, Variable):
            assert y.dtype == values.dtype
            tolerance = 1e-5 if y.dtype in (np.float32, np.complex64) else 1e-12
            np.testing.assert_allclose(y.data, values, rtol=tolerance, atol=tolerance)


def _differentiable(case):
    """Whether differences tell the gradient: all of double precision, no jump, not singular."""
    arrays = []
    _mapped(arrays.append, (case.args, list(case.kwargs.values())))
    dtypes = [x.dtype for x in arrays if x.dtype.kind in "fc"]
    results = [np.asarray(y).dtype for y in _parts(case())]
    precise = all(dtype in (np.float64, np.complex128) for dtype in (*dtypes, *results))
    jumps = case.name in ("round", "around")
    singular = case.name == "linalg.pinv" and arrays[0].ndim == 2
    return precise and np.float64 in dtypes and not jumps and not singular


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if _differentiable(case)],
    ids=lambda case: case.label,
)
def test_the_gradient_is_that_of_numpys_function(case):
    """Along a random direction, against the symmetric difference."""
    rng = np.random.default_rng(3)
    directions = {}
    variables = {}

    def direction(x):
        symmetric = x.ndim == 3 and x.shape[1] == x.shape[2] and np.allclose(x, x.mT)
        d = rng.standard_normal(x.shape) * (x.dtype == np.float64) * (x != 0)
        return d + d.mT if symmetric else d

    def wrap(x):
        if id(x) not in variables:
            directions[id(x)] = direction(x)
            variables[id(x)] = Variable(x.copy(), requires_grad=x.dtype == np.float64)
        return variables[id(x)]

    def moved(h):
        return lambda x: x + h * directions[id(x)] if x.dtype == np.float64 else x

    ys = _parts(case(wrap))
    weights = [rng.standard_normal(y.shape) for y in ys]

    def total(results):
        # eigenvectors and the like are defined up to a sign: squares
        return sum((abs(y) ** 2 * w).sum() for y, w in zip(results, weights, strict=True))

    loss = total(ys)
    h = 1e-5
    with no_grad():
        difference = total(_parts(case(moved(h)))) - total(_parts(case(moved(-h))))
    if not loss.requires_grad:
        assert difference == 0.0
        return
    loss.backward()
    found = sum(
        (x.grad.data * directions[key]).sum() for key, x in variables.items() if x.grad is not None
    )
    np.testing.assert_allclose(found, difference / (2 * h), rtol=1e-5, atol=1e-6)


# --- what is refused ----------------------------------------------------------------------------

REFUSED = [
    Case("sum", X2, initial=1.0),
    Case("sum", X2, where=X2 > 0),
    Case("mean", X2, dtype=np.float32),
    Case("ravel", X2, "F"),
    Case("take", X2, [0], 0, mode="clip"),
    Case("sort", X2, kind="bogus"),
    Case("cross", X2[:, :3], X2[:, :3], axisa=0),
    Case("einsum", X2, [0, 1]),
    Case("concatenate", [X2, X2], dtype=np.float32),
    Case("round", X2 > 0, 1),
    Case("linalg.eigvalsh", SYMMETRIC, "U"),
    Case("linalg.pinv", SYMMETRIC, hermitian=True),
    Case("linalg.svd", X2, compute_uv=False),
    Case("swapaxes", X2, 0, 1),
    Case("nansum", X2),
    Case("fmax", X2, X2),
    Case("add.reduce", X2),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.label)
def test_what_dezero_lacks_is_refused(case):
    with pytest.raises(TypeError, match=rf"np\.{case.name}"):
        case(Variable)


@pytest.mark.parametrize(
    "case", [Case("linalg.norm", X3, 2), Case("linalg.norm", X1, "fro"), Case("stack", [X2], None)]
)
def test_what_numpy_refuses_is_refused(case):
    for wrap in (lambda x: x, Variable):
        with pytest.raises((ValueError, TypeError)):
            case(wrap)


def test_other_functions_take_the_values_of_constants_and_cannot_change_them():
    c = Variable(np.eye(2), requires_grad=False)
    x = Variable(np.ones((2, 2)))
    y = x * c
    np.testing.assert_array_equal(np.swapaxes(c, 0, 1), np.eye(2))
    for change in (
        lambda: np.fill_diagonal(c, 9.0),
        lambda: np.copyto(c, 9.0),
        lambda: np.nansum(np.ones((3, 2, 2)), axis=0, out=c),
    ):
        with pytest.raises(ValueError, match="read-only"):
            change()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.eye(2))


def test_out_is_an_assignment():
    v = Variable(np.array([1.0, 2.0]))
    out = v * 0.0
    assert np.multiply(v, v, out=out) is out
    np.add(out, 1.0, out=out)
    np.cumsum(out, out=out)
    out.sum().backward()
    np.testing.assert_array_equal(out.data, [2.0, 7.0])
    np.testing.assert_array_equal(v.grad.data, [4.0, 4.0])


def test_out_of_another_kind_or_shape_is_refused():
    x = Variable(np.array([0.5, 1.5]), requires_grad=False)
    integers = Variable(np.zeros(2, np.int64), requires_grad=False)
    with pytest.raises(TypeError, match="float64, which does not fit into int64"):
        np.add(x, 1.0, out=integers)
    with pytest.raises(TypeError, match="float64, which does not fit into int64"):
        np.cumsum(x, out=integers)
    with pytest.raises(ValueError, match=r"out has shape \(2,\), the result \(\)"):
        np.sum(x, out=x)
    single = Variable(np.zeros(2, np.float32), requires_grad=False)
    assert np.add(x, 1.0, out=single).dtype == np.float32
