"""Initialisers: moments, bounds, one seed everywhere."""

import math

import numpy as np
import pytest

import dezero.random
from dezero.layers import Linear, initializers

SHAPE, FAN = (300, 200), (300, 200)
SCALED = [
    (initializers.LeCunNormal(), 1 / 300),
    (initializers.LeCunUniform(), 1 / 300),
    (initializers.GlorotNormal(), 2 / 500),
    (initializers.GlorotUniform(), 2 / 500),
    (initializers.HeNormal(), 2 / 300),
    (initializers.HeUniform(), 2 / 300),
    (initializers.HeNormal(gain=1.0), 1 / 300),
    (initializers.Normal(0.3), 0.09),
    (initializers.Uniform(0.3), 0.03),
]


@pytest.fixture(autouse=True)
def seeded():
    dezero.random.seed(1)
    yield
    dezero.random.seed(None)


@pytest.mark.parametrize(("initial", "variance"), SCALED, ids=lambda x: type(x).__name__)
def test_mean_and_variance(initial, variance):
    drawn = initial(SHAPE, "float64", fan=FAN)
    n = math.prod(SHAPE)
    assert abs(drawn.mean()) < 5 * math.sqrt(variance / n)
    assert abs(drawn.var() / variance - 1) < 5 * math.sqrt(2 / n)
    if "Uniform" in type(initial).__name__:
        assert np.abs(drawn).max() <= math.sqrt(3 * variance)


def test_truncated_normal():
    drawn = initializers.TruncatedNormal(0.5, limit=1.5)((100, 100), "float64")
    assert np.abs(drawn).max() <= 0.75
    assert abs(drawn.mean()) < 0.02
    assert np.abs(drawn).max() > 0.7


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (3, 2, 5), (8, 2, 2)])
def test_orthogonal(shape):
    q = initializers.Orthogonal(gain=2.0)(shape, "float64").reshape(shape[0], -1)
    small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_constants():
    np.testing.assert_array_equal(initializers.Zeros()((2,), "float32"), [0, 0])
    np.testing.assert_array_equal(initializers.Ones()((2,), "float32"), [1, 1])
    np.testing.assert_array_equal(initializers.Identity(2.0)((2, 2), "float32"), 2 * np.eye(2))


def test_errors():
    with pytest.raises(ValueError, match="at least two axes"):
        initializers.Orthogonal()((3,), "float32")
    with pytest.raises(ValueError, match="a matrix is expected"):
        initializers.Identity()((3,), "float32")
    with pytest.raises(ValueError, match="std is -1"):
        initializers.Normal(-1)


@pytest.mark.parametrize("initial", [i for i, _ in SCALED] + [initializers.Orthogonal()])
def test_a_layer_takes_one_and_a_seed_repeats_it(initial):
    weights = []
    for _ in range(2):
        dezero.random.seed(5)
        layer = Linear(4, initial=initial)
        layer(np.ones((2, 6), np.float32))
        weights.append(layer.W.data)
    assert weights[0].dtype == np.float32
    np.testing.assert_array_equal(*weights)


def test_any_function_is_one():
    layer = Linear(2, in_size=3, initial=lambda shape, dtype, fan: np.full(shape, fan[0], dtype))
    np.testing.assert_array_equal(layer.W.data, np.full((3, 2), 3.0))


def test_the_same_numbers_on_every_library(other_lane):
    drawn = []
    for array in (np.ones((1, 3), np.float32), other_lane.array(np.ones((1, 3), np.float32))):
        dezero.random.seed(2)
        layer = Linear(4, initial=initializers.HeNormal())
        layer(array)
        drawn.append(other_lane.numpy(layer.W))
    np.testing.assert_array_equal(*drawn)
