"""Networks made of the layers, ready to train."""

from collections.abc import Callable, Sequence
from typing import Any

from . import functions as F
from .layers import Layer, Linear

__all__ = ["MLP", "Model"]


class Model(Layer):
    """A Layer that stands for a whole network."""


class MLP(Model):
    """Fully connected layers ``l0``, ``l1``, ... with an activation between them.

    Args:
        fc_output_sizes: The layers' output sizes; the last layer has no activation.
        activation: A function of one Variable.
        dropout: In training, the share of each hidden layer's outputs that is set to zero.

    Example:
        >>> import numpy as np
        >>> model = MLP((16, 10), activation=F.relu)
        >>> model(np.zeros((5, 64), np.float32)).shape
        (5, 10)
        >>> [name for name, _ in model.namedparams()]
        ['l0/W', 'l0/b', 'l1/W', 'l1/b']
    """

    def __init__(
        self,
        fc_output_sizes: Sequence[int],
        activation: Callable[[Any], Any] = F.sigmoid,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not fc_output_sizes:
            msg = "MLP: no output sizes; at least one is expected"
            raise ValueError(msg)
        if not 0 <= dropout < 1:
            msg = f"MLP: dropout is {dropout}, a number from 0 to below 1 is expected"
            raise ValueError(msg)
        self.activation = activation
        self.dropout = dropout
        for i, size in enumerate(fc_output_sizes):
            setattr(self, f"l{i}", Linear(size))
        self._count = len(fc_output_sizes)

    @property
    def layers(self) -> tuple[Linear, ...]:
        """The linear layers, in order."""
        return tuple(getattr(self, f"l{i}") for i in range(self._count))

    def forward(self, x: Any) -> Any:
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
            if self.dropout:
                x = F.dropout(x, self.dropout)
        return last(x)
