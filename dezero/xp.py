"""The Python Array API standard, differentiable, over the default array library.

``from dezero import xp``, then ``xp.sin``, ``xp.linalg.svd``, ``xp.fft.rfft``. This module is the
namespace that ``__array_namespace__()`` of a Variable over NumPy gives.
"""

import sys as _sys

from . import namespace as _namespace
from .backends import numpy_backend as _backend

__all__: list[str] = []

_namespace.adopt(_sys.modules[__name__], _backend)
