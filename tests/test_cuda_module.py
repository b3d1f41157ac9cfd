"""The book's ``dezero.cuda``, on machines with and without a GPU."""

import numpy as np
import pytest

import dezero
from dezero import Variable, backends, cuda


def has_gpu():
    try:
        return backends.get("cupy").is_available()
    except ImportError:
        return False


def test_gpu_enable_asks_for_a_device():
    assert cuda.gpu_enable is has_gpu()


@pytest.mark.parametrize("x", [np.ones(2), Variable(np.ones(2)), 1.0, np.float32(1)])
def test_host_arrays(x):
    assert cuda.get_array_module(x) is np
    assert isinstance(cuda.as_numpy(x), np.ndarray)


def test_other_libraries():
    strict = pytest.importorskip("array_api_strict")
    x = strict.ones(2, device=strict.Device("device1"))
    np.testing.assert_array_equal(cuda.as_numpy(x), np.ones(2))
    assert cuda.get_array_module(Variable(x)) is strict


def test_what_is_no_array():
    for function in (cuda.get_array_module, cuda.as_numpy):
        with pytest.raises(TypeError, match="not supported"):
            function("abc")


def test_without_a_gpu_a_message_says_what_is_missing():
    if has_gpu():
        assert cuda.as_cupy(np.ones(2)).sum() == 2
        return
    with pytest.raises((ImportError, RuntimeError), match=r"cupy|CuPy"):
        cuda.as_cupy(np.ones(2))
    x = Variable(np.ones(2))
    with pytest.raises((ImportError, RuntimeError), match=r"cupy|CuPy"):
        x.to_gpu()
    assert isinstance(x.data, np.ndarray)


def test_it_is_an_attribute_of_the_package():
    assert dezero.cuda is cuda
    with pytest.raises(AttributeError, match="nothing"):
        cuda.nothing  # noqa: B018
