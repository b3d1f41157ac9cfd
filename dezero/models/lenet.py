"""LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functions as F
from .. import layers as L
from .model import Model

__all__ = ["LeNet"]


class LeNet(Model):
    """Two convolutions 5x5, each pooled, and three fully connected layers, for small pictures.

    As it is used today: every output of the first convolution goes into the second, pooling takes
    the maximum.

    Args:
        classes: Length of the output.
        activation: A function of one Variable, after each layer but the last.
        dtype: NumPy's floating dtype of the parameters.

    Attributes:
        conv1, conv2, fc3, fc4, fc5: The layers. Weights are made at the first call.

    Example:
        >>> model = LeNet()
        >>> model(np.zeros((2, 1, 28, 28), np.float32)).shape
        (2, 10)
    """

    def __init__(
        self,
        classes: int = 10,
        activation: Callable[[Any], Any] = F.relu,
        *,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.conv1 = L.Conv2d(6, 5, dtype=dtype)
        self.conv2 = L.Conv2d(16, 5, dtype=dtype)
        self.fc3 = L.Linear(120, dtype=dtype)
        self.fc4 = L.Linear(84, dtype=dtype)
        self.fc5 = L.Linear(classes, dtype=dtype)

    def forward(self, x: Any) -> Any:
        for convolution in (self.conv1, self.conv2):
            x = F.pooling(self.activation(convolution(x)), 2, 2)
        x = F.reshape(x, (x.shape[0], -1))
        for layer in (self.fc3, self.fc4):
            x = self.activation(layer(x))
        return self.fc5(x)
