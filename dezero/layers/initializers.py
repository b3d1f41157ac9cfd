"""Initialisers: the numbers that parameters start from, drawn on the host.

One seed gives the same parameters on every backend. An initialiser is called as
``initial(shape, dtype, fan=(fan_in, fan_out))`` and gives a NumPy array; any function of that
signature is one. ``fan`` are the numbers of inputs that reach one output, and of outputs that one
input reaches; a layer gives them, since layouts differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .. import random

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LeCunNormal",
    "LeCunUniform",
    "Normal",
    "Ones",
    "Orthogonal",
    "TruncatedNormal",
    "Uniform",
    "Zeros",
]

Shape = tuple[int, ...]
Fan = tuple[int, int]


class Initializer(Protocol):
    """What layers take as ``initial``."""

    def __call__(self, shape: Shape, dtype: Any, fan: Fan) -> np.ndarray:
        """An array of ``shape`` and ``dtype``."""
        ...


class Constant:
    """One number everywhere.

    Example:
        >>> Constant(0.5)((2,), "float32").tolist()
        [0.5, 0.5]
    """

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: Any, fan: Fan = (1, 1)) -> np.ndarray:
        return np.full(shape, self.value, dtype)


class Zeros(Constant):
    """Zeros."""

    def __init__(self) -> None:
        super().__init__(0.0)


class Ones(Constant):
    """Ones."""

    def __init__(self) -> None:
        super().__init__(1.0)


class Identity:
    """``gain`` on the diagonal of a matrix, zero elsewhere.

    Raises:
        ValueError: The parameter is not a matrix.

    Example:
        >>> Identity()((2, 3), "float32").tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any, fan: Fan = (1, 1)) -> np.ndarray:
        if len(shape) != 2:
            msg = f"Identity: a parameter of shape {shape}, a matrix is expected"
            raise ValueError(msg)
        return self.gain * np.eye(*shape, dtype=dtype)


class Normal:
    """The normal distribution of mean 0.

    Args:
        std: Its standard deviation.

    Example:
        >>> Normal(0.02)((3, 2), "float32").shape
        (3, 2)
    """

    def __init__(self, std: float = 0.05) -> None:
        self.std = _positive("Normal: std", std)

    def __call__(self, shape: Shape, dtype: Any, fan: Fan = (1, 1)) -> np.ndarray:
        return (random.normal(shape) * self.std).astype(dtype)


class Uniform:
    """The uniform distribution on ``[-scale, scale)``.

    Example:
        >>> bool((abs(Uniform(0.1)((50,), "float64")) <= 0.1).all())
        True
    """

    def __init__(self, scale: float = 0.05) -> None:
        self.scale = _positive("Uniform: scale", scale)

    def __call__(self, shape: Shape, dtype: Any, fan: Fan = (1, 1)) -> np.ndarray:
        return ((2 * random.uniform(shape) - 1) * self.scale).astype(dtype)


class TruncatedNormal:
    """The normal distribution of mean 0, what lies beyond ``limit`` deviations drawn anew.

    Args:
        std: The standard deviation before what is far is cut off.
        limit: In standard deviations.

    Example:
        >>> bool((abs(TruncatedNormal(1.0)((1000,), "float64")) <= 2).all())
        True
    """

    def __init__(self, std: float = 0.02, limit: float = 2.0) -> None:
        self.std = _positive("TruncatedNormal: std", std)
        self.limit = _positive("TruncatedNormal: limit", limit)

    def __call__(self, shape: Shape, dtype: Any, fan: Fan = (1, 1)) -> np.ndarray:
        drawn = random.normal(shape)
        while (far := np.abs(drawn) > self.limit).any():
            drawn[far] = random.normal((int(far.sum()),))
        return (drawn * self.std).astype(dtype)


class Orthogonal:
    """A matrix with orthonormal rows or columns, whichever are fewer, times ``gain``.

    A parameter of more axes is taken as a matrix whose rows are its first axis.

    References:
        A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning
        in deep linear neural networks", 2013, https://arxiv.org/abs/1312.6120

    Raises:
        ValueError: The parameter has fewer than two axes.

    Example:
        >>> q = Orthogonal()((2, 5), "float64")
        >>> bool(np.allclose(q @ q.T, np.eye(2)))
        True
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any, fan: Fan = (1, 1)) -> np.ndarray:
        if len(shape) < 2:
            msg = f"Orthogonal: a parameter of shape {shape}, at least two axes are expected"
            raise ValueError(msg)
        rows, columns = shape[0], math.prod(shape[1:])
        drawn = random.normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(drawn)
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # uniform over all such matrices
        return (self.gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype)


class _Scaled:
    """Numbers of variance ``gain² / n``, with n from the fan."""

    _count: Callable[[int, int], float]
    _uniform: bool
    _gain = 1.0

    def __init__(self, gain: float | None = None) -> None:
        self.gain = self._gain if gain is None else _positive(f"{type(self).__name__}: gain", gain)

    def __call__(self, shape: Shape, dtype: Any, fan: Fan) -> np.ndarray:
        std = self.gain / math.sqrt(type(self)._count(*fan))
        if self._uniform:
            return Uniform(math.sqrt(3.0) * std)(shape, dtype)
        return Normal(std)(shape, dtype)


class LeCunNormal(_Scaled):
    """Normal numbers of variance ``gain² / fan_in``: the book's own.

    References:
        Y. LeCun, L. Bottou, G. Orr, K. Müller, "Efficient BackProp", 1998

    Example:
        >>> LeCunNormal()((4, 3), "float32", fan=(4, 3)).dtype
        dtype('float32')
    """

    _count, _uniform = staticmethod(lambda fan_in, fan_out: fan_in), False


class LeCunUniform(LeCunNormal):
    """Uniform numbers of variance ``gain² / fan_in``."""

    _uniform = True


class GlorotNormal(_Scaled):
    """Normal numbers of variance ``2 gain² / (fan_in + fan_out)``.

    References:
        X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", 2010
    """

    _count, _uniform = staticmethod(lambda fan_in, fan_out: (fan_in + fan_out) / 2), False


class GlorotUniform(GlorotNormal):
    """Uniform numbers of variance ``2 gain² / (fan_in + fan_out)``."""

    _uniform = True


class HeNormal(LeCunNormal):
    """Normal numbers of variance ``gain² / fan_in``, by default ``2 / fan_in``, for relu.

    References:
        K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", 2015,
        https://arxiv.org/abs/1502.01852
    """

    _gain = math.sqrt(2.0)


class HeUniform(HeNormal):
    """Uniform numbers of variance ``gain² / fan_in``, by default ``2 / fan_in``."""

    _uniform = True


def _positive(name: str, value: float) -> float:
    if not value > 0:
        msg = f"{name} is {value!r}, a positive number is expected"
        raise ValueError(msg)
    return value
