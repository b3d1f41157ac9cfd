"""Tables of vectors for words, tokens and classes."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from .. import random
from ..core import Parameter, Variable
from ..functions.lookup import embedding
from .arguments import floating, whole
from .initializers import Initializer
from .layer import Layer

__all__ = ["EmbedID"]


class EmbedID(Layer):
    """A vector for each number from 0 to ``in_size - 1``: the rows of ``W`` (in_size, out_size).

    ``W`` is drawn from the standard normal distribution at once, with the book's numbers; unlike
    there it is float32 by default.

    Args:
        in_size: How many vectors.
        out_size: Their length.
        dtype: NumPy floating dtype of ``W``.
        initial: What ``W`` is drawn by, instead; see `dezero.layers.initializers`.
        padding_index: A row that starts at 0 and gets no gradient.

    Raises:
        TypeError: The dtype is not floating, or a size no integer.
        ValueError: A size is less than 1, or ``padding_index`` is no row.
        IndexError: A number in the input is not from 0 to ``in_size - 1``.

    Example:
        >>> import numpy as np
        >>> layer = EmbedID(10, 4)
        >>> layer(np.array([[1, 2, 3]])).shape
        (1, 3, 4)
    """

    state_names = MappingProxyType({"W": "weight"})

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        dtype: Any = np.float32,
        initial: Initializer | None = None,
        padding_index: int | None = None,
    ) -> None:
        super().__init__()
        dtype = floating("EmbedID", dtype, real=False)
        shape = whole("EmbedID", "in_size", in_size), whole("EmbedID", "out_size", out_size)
        if padding_index is not None and not -shape[0] <= padding_index < shape[0]:
            msg = f"EmbedID: padding_index is {padding_index}, there are {in_size} rows"
            raise ValueError(msg)
        if initial is None:
            W = random.normal(shape).astype(dtype)
        else:
            W = initial(shape, dtype, fan=shape)
        if padding_index is not None:
            W[padding_index] = 0.0
        self.padding_index = padding_index
        self.W = Parameter(W, name="W")

    def forward(self, x: Any) -> Variable:
        return embedding(x, self.W, padding_index=self.padding_index)
