"""No step of training waits for the device: the host only hands out work."""

from __future__ import annotations

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable, backends, random
from dezero import layers as L
from dezero import optimizers as O

rng = np.random.default_rng(0)


def draw(*shape):
    return rng.normal(size=shape).astype(np.float32)


LABELS = rng.integers(0, 4, 8)


def mlp():
    return L.Sequential(L.Linear(16, in_size=6), F.gelu, L.Linear(4, in_size=16))


def convolutional():
    return L.Sequential(
        L.Conv2d(4, 3, pad=1, nobias=True, in_channels=2),
        L.BatchNorm(4),
        F.relu,
        lambda x: F.max_pool(x, 2),
        F.flatten,
        L.Linear(4, in_size=4 * 9),
    )


def transformer():
    return L.Sequential(L.LayerNorm(6), L.Linear(8, in_size=6), F.silu, L.Linear(4, in_size=8))


def weights(network):
    return {name: p.data for name, p in network.namedparams()}


def trained(network, x, loss, optimizer, where, steps=3):
    """The losses and the parameters, on the backend ``where``."""
    xp = backends.get(where)
    network.to(where)
    optimizer.setup(network)
    x, t = Variable(xp.from_numpy(x)), xp.from_numpy(LABELS)
    losses = []
    for _ in range(steps):
        y = loss(network(x), t)
        network.cleargrads()
        y.backward()
        optimizer.update()
        losses.append(y)
    waits = list(getattr(getattr(xp, "cupy", None), "waits", ()))
    return waits, [*losses, *(p for _, p in sorted(network.namedparams()))]


CASES = {
    "mlp": (mlp, lambda: draw(8, 6), F.softmax_cross_entropy, O.Adam),
    "convolution": (convolutional, lambda: draw(8, 2, 6, 6), F.softmax_cross_entropy, O.Adam),
    "layer norm": (transformer, lambda: draw(8, 6), F.cross_entropy, O.AdamW),
    "momentum": (mlp, lambda: draw(8, 6), F.softmax_cross_entropy, O.MomentumSGD),
    "sgd": (mlp, lambda: draw(8, 6), lambda y, t: F.mean_squared_error(y, y * 0.0), O.SGD),
}


@pytest.mark.parametrize("case", CASES)
def test_a_step_of_training_never_waits(cupy, case):
    make, numbers, loss, optimizer = CASES[case]
    x = numbers()
    random.seed(0)
    host, device = make(), make()
    random.seed(None)
    for (_, a), (_, b) in zip(host.namedparams(), device.namedparams(), strict=True):
        b.data = a.data.copy()
    waits, found = trained(device, x, loss, optimizer(), "cupy")
    assert waits == []
    _, wanted = trained(host, x, loss, optimizer(), "numpy")
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(backends.move(a.data, "numpy"), b.data, rtol=2e-4, atol=2e-6)
    assert cupy.waits
