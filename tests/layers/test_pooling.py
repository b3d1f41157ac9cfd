"""Layers of pooling: what they pass on, and the ranks of their input."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import dezero.functions as F
import dezero.layers as L


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (L.MaxPool(2), lambda x: F.max_pool(x, 2)),
        (
            L.MaxPool2d((3, 2), 2, (1, 0), dilation=(1, 2), ceil_mode=True),
            lambda x: F.max_pool(x, (3, 2), 2, (1, 0), dilation=(1, 2), ceil_mode=True),
        ),
        (L.AveragePool(2), lambda x: F.average_pool(x, 2)),
        (
            L.AveragePool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
            lambda x: F.average_pool(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        ),
        (L.AdaptiveMaxPool2d((2, 3)), lambda x: F.adaptive_max_pool(x, (2, 3))),
        (L.AdaptiveAveragePool2d(2), lambda x: F.adaptive_average_pool(x, 2)),
        (L.GlobalMaxPool(), F.global_max_pool),
        (L.GlobalAveragePool(), F.global_average_pool),
    ],
)
def test_layers_are_the_functions(layer, function):
    x = image(2, 3, 7, 8)
    for each in (layer, pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(each(x).data, function(x).data)
    assert list(layer.params()) == list(layer.buffers()) == []


@pytest.mark.parametrize(
    "kind", ["MaxPool", "AveragePool", "AdaptiveMaxPool", "AdaptiveAveragePool"]
)
def test_ranks_are_checked(kind):
    for rank in (1, 2, 3):
        layer = getattr(L, f"{kind}{rank}d")(2)
        assert layer(image(1, 2, *([4] * rank))).ndim == rank + 2
        assert getattr(L, kind)(2)(image(1, 2, *([4] * rank))).ndim == rank + 2
        with pytest.raises(ValueError, match=rf"{kind}{rank}d: input of shape .* \(N, C, "):
            layer(image(1, 2, *([4] * (rank % 3 + 1))))


def test_in_a_model(lane):
    model = L.Sequential(L.MaxPool(2), L.GlobalAveragePool(), F.flatten)
    x = image(2, 3, 4, 6)
    y = model(lane.variable(x))
    want = x.reshape(2, 3, 2, 2, 3, 2).max(axis=(3, 5)).mean(axis=(2, 3))
    np.testing.assert_allclose(lane.numpy(y), want)
