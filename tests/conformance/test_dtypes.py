"""The dtype of every function's result, for every dtype that the standard knows.

What the standard does not allow (the sine of integers, the sum of booleans) is NumPy's over NumPy:
its dtype, or its refusal, but for `REFUSED` and `OWN`.
"""

import array_api_compat.numpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import calls, standard
from conformance.compare import Ours, Raw, Strict, dtypes_of, name_of, quick

STRICT = Strict()
DISCRETE = standard.BOOL + standard.SIGNED + standard.UNSIGNED
REFUSED = dict.fromkeys(("conj", "diff", "real", "vecdot", "linalg.vecdot"), standard.BOOL)
REFUSED |= {
    "linalg." + name: DISCRETE
    for name in (
        *("cholesky", "det", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matrix_norm", "qr"),
        *("matrix_power", "matrix_rank", "pinv", "slogdet", "solve", "svd", "svdvals"),
        "vector_norm",
    )
}
"""What NumPy allows and dezero does not."""

SHORT = ("bool", "int8", "int16", "uint8", "uint16")
DOUBLE = {"complex128": "complex64", "float64": "float32"}
OWN = {
    "reciprocal": lambda dtype, numpys: ["float64"],  # NumPy rounds to integers
    "square": lambda dtype, numpys: ["bool"] if dtype == "bool" else numpys,
}
OWN |= {
    "fft." + name: lambda dtype, numpys: [DOUBLE[d] if dtype in SHORT else d for d in numpys]
    for name in (
        "fft",
        "fftn",
        "hfft",
        "ifft",
        "ifftn",
        "ihfft",
        "irfft",
        "irfftn",
        "rfft",
        "rfftn",
    )
}
"""The dtypes of dezero's results where they are not NumPy's: single precision for short integers
in Fourier transforms."""

WITHOUT_ARRAYS = ("can_cast", "finfo", "iinfo", "isdtype", "result_type", "broadcast_shapes")


def outcome(space, name, args, kwargs):
    """The dtypes of a result, or the error."""
    try:
        with np.errstate(all="ignore"):
            result = space.call(name, args, kwargs)
    except Exception as error:
        return error
    return dtypes_of(result)


@pytest.mark.parametrize("name", sorted(set(calls.CALLS) - set(WITHOUT_ARRAYS)))
def test_dtypes_over_numpy(chosen_lane, name):
    ours, raw = Ours(chosen_lane("numpy")), Raw(array_api_compat.numpy)

    @quick(2)
    @given(data=st.data())
    def check(data):
        for dtype in standard.DTYPES:
            args, kwargs = data.draw(calls.CALLS[name].build(dtype))
            expected, result = (outcome(space, name, args, kwargs) for space in (STRICT, ours))
            if dtype in calls.CALLS[name].dtypes:
                assert result == expected, dtype
                continue
            expected = outcome(raw, name, args, kwargs)
            if isinstance(result, Exception):
                assert isinstance(result, (TypeError, ValueError)), dtype
                assert dtype in REFUSED.get(name, ()) or isinstance(expected, Exception), dtype
            else:
                own = OWN.get(name, lambda dtype, numpys: numpys)
                assert result == own(dtype, expected), dtype

    check()


PAIRS = [(a, b) for a in standard.DTYPES for b in standard.DTYPES]


@pytest.mark.parametrize("function", ["result_type", "add", "where"])
def test_promotion(chosen_lane, function):
    """Every promotion that the standard defines; others are NumPy's or an error."""
    ours = Ours(chosen_lane("numpy"))
    for a, b in PAIRS:
        x1, x2 = (calls.A(np.ones(2, dtype)) for dtype in (a, b))
        condition = (calls.A(np.array([True, False])),) if function == "where" else ()
        args = (*condition, x1, x2)
        try:
            expected = STRICT.call(function, args, {})
        except TypeError:
            continue
        result = ours.call(function, args, {})
        expected, result = (getattr(y, "dtype", y) for y in (expected, result))
        assert name_of(result) == name_of(expected), (a, b)


@pytest.mark.parametrize("dtype", standard.DTYPES)
def test_python_numbers_take_the_dtype_of_the_array(lane, dtype):
    if lane.name == "torch" and dtype in ("uint16", "uint32", "uint64"):
        pytest.skip("PyTorch has no arithmetic of these")
    x = lane.variable(np.ones(2, dtype), requires_grad=False)
    numbers = {"b": [True], "i": [2], "u": [2], "f": [2, 0.5], "c": [2, 0.5, 1j]}
    for number in numbers[np.dtype(dtype).kind]:
        for y in (x + number, number * x) if dtype != "bool" else (x & number, number | x):
            assert lane.dtype(y) == dtype
