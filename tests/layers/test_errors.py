"""Errors say in which layer of a model they arose."""

import traceback

import numpy as np
import pytest

import dezero.functions as F
from dezero.layers import Layer, Linear, Sequential

X = np.ones((2, 3), np.float32)


def notes(call):
    with pytest.raises(ValueError, match="last axis") as caught:
        call()
    return caught.value.__notes__, "".join(traceback.format_exception(caught.value))


def test_a_layer_names_itself():
    found, text = notes(lambda: Linear(2, in_size=4)(X))
    assert found == ["in the layer Linear"]
    assert "must have 4 elements\nin the layer Linear" in text


def test_the_path_is_that_in_the_outermost_layer():
    inner = Sequential(Linear(5), F.relu, Linear(2, in_size=4))
    model = Sequential(Linear(3), inner)
    found, _ = notes(lambda: model(X))
    assert found == ["in the layer l1/l2 of Sequential"]
    found, _ = notes(lambda: inner(X))
    assert found == ["in the layer l2 of Sequential"]


def test_layers_that_are_no_attributes_are_named_by_their_class():
    class Hidden(Layer):
        def __init__(self):
            super().__init__()
            self.parts = [Linear(2, in_size=4)]

        def forward(self, x):
            return self.parts[0](x)

    found, _ = notes(lambda: Sequential(Hidden())(X))
    assert found == ["in the layer l0/Linear of Sequential"]


def test_an_error_of_the_engine_keeps_its_own_note():
    class Product(Layer):
        def forward(self, x):
            return F.matmul(x, x)

    with pytest.raises(ValueError, match="matmul") as caught:
        Sequential(Product())(X)
    assert caught.value.__notes__[-1] == "in the layer l0 of Sequential"
    assert len(caught.value.__notes__) >= 2
