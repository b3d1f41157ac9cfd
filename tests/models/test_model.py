"""Model, Sequential, MLP: pictures, modes, replacing parts."""

import numpy as np
import pytest

import dezero
import dezero.functions as F
from dezero import layers as L
from dezero import models
from dezero.core import Parameter
from dezero.optimizers import AdaGrad

X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize("name", ["model.dot", "model.svg"])
def test_plot(tmp_path, name):
    model = models.Sequential(L.Linear(4), F.relu)
    model.plot(X, to_file=str(tmp_path / name))
    text = (tmp_path / name).read_text()
    assert "relu" in text.lower()
    assert "linear" in text.lower()


def test_plot_of_several_outputs(tmp_path):
    class Two(models.Model):
        def forward(self, x, y):
            return F.exp(x), F.sin(y)

    Two().plot(dezero.Variable(X), dezero.Variable(X), to_file=str(tmp_path / "m.dot"))
    text = (tmp_path / "m.dot").read_text().lower()
    assert "exp" in text
    assert "sin" in text


def test_sequential_is_a_model():
    model = models.Sequential(L.Linear(4), F.relu, L.Linear(2))
    assert isinstance(model, models.Model)
    assert isinstance(model, L.Sequential)
    assert isinstance(model[:2], models.Sequential)
    assert model.layers == (model.l0, F.relu, model.l2)
    assert [name for name, _ in model.namedparams()] == ["l0/W", "l0/b", "l2/W", "l2/b"]


def test_a_bare_model_holds_parameters():
    """As in the book's style transfer."""
    model = models.Model()
    model.param = Parameter(np.array([1.0, -2.0]))
    optimizer = AdaGrad(lr=0.1).setup(model)
    F.sum(model.param**2).backward()
    optimizer.update()
    np.testing.assert_allclose(model.param.data, [0.9, -1.9])


def test_dropout_of_mlp_follows_the_modes():
    model = models.MLP((64, 2), dropout=0.5)
    assert not np.array_equal(model(X).data, model(X).data)
    with dezero.test_mode():
        np.testing.assert_array_equal(model(X).data, model(X).data)
    model.eval()
    np.testing.assert_array_equal(model(X).data, model(X).data)
    model.train()
    assert not np.array_equal(model(X).data, model(X).data)


def test_a_subclass_of_the_same_name():
    """As in the book's examples."""

    class VGG16(models.VGG16):
        def features(self, x):
            return F.relu(self.conv1_1(x))

    y = VGG16().features(np.zeros((1, 3, 4, 4), np.float32))
    assert y.shape == (1, 64, 4, 4)
