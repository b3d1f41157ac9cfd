"""Functions that draw random numbers, keyed by ``dezero.seed`` or from NumPy's global generator."""

import numpy as np

from .. import random
from ..backends import backend_of
from ..config import training
from ..core import as_variable

__all__ = ["dropout"]


def dropout(x, dropout_ratio=0.5):
    """While training, each element is 0 with probability ``dropout_ratio``, else scaled up.

    The factor is ``1 / (1 - dropout_ratio)``: the mean stays. Under `test_mode` it is ``x``.
    The numbers are drawn on the host: one seed gives the same mask on every backend.

    Raises:
        ValueError: ``dropout_ratio`` is not from 0 to 1.

    Example:
        >>> import numpy as np
        >>> from dezero import test_mode
        >>> with test_mode():
        ...     dropout(np.ones(3), 0.5)
        variable([1. 1. 1.])
    """
    x = as_variable(x)
    if not 0.0 <= dropout_ratio <= 1.0:
        msg = f"dropout: the ratio is {dropout_ratio}, expected 0 to 1"
        raise ValueError(msg)
    if not training() or dropout_ratio == 0.0:
        return x
    xp = backend_of(x.data)
    scale = 1.0 / (1.0 - dropout_ratio) if dropout_ratio < 1.0 else 0.0
    mask = np.where(random.uniform(x.shape) > dropout_ratio, scale, 0.0)
    mask = xp.from_numpy(mask.astype(_host_dtype(x)), device=xp.device(x.data))
    return x * (mask if mask.dtype == x.dtype else xp.astype(mask, x.dtype))


def _host_dtype(x):
    return np.float64 if str(x.dtype).endswith("float64") else np.float32
