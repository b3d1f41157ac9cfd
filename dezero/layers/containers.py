"""Layers made of layers."""

from collections.abc import Callable
from typing import Any

from .layer import Layer

__all__ = ["Sequential"]


class Sequential(Layer):
    """Layers and plain functions, one after the other.

    They are the attributes ``l0``, ``l1``, ...; assigning to one of these replaces that step.

    Example:
        >>> import numpy as np
        >>> import dezero.functions as F
        >>> from dezero.layers import Linear
        >>> model = Sequential(Linear(8), F.relu, Linear(2))
        >>> model(np.zeros((4, 3), np.float32)).shape
        (4, 2)
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        super().__init__()
        for i, layer in enumerate(layers):
            if not callable(layer):
                msg = f"Sequential: item {i} is {layer!r}, a layer or function is expected"
                raise TypeError(msg)
            setattr(self, f"l{i}", layer)
        self._count = len(layers)

    @property
    def layers(self) -> tuple[Callable[..., Any], ...]:
        """The steps, in order."""
        return tuple(getattr(self, f"l{i}") for i in range(self._count))

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x
