"""Mathematics over arrays and Variables, by chapter of the Array API standard and then by use."""

import importlib
from typing import TYPE_CHECKING, Any

from ..dispatch import EXTENSIONS
from .activation import *
from .creation import *
from .elementwise import *
from .indexing import *
from .linear_algebra import *
from .loss import *
from .manipulation import *
from .random import *
from .set import *
from .sorting import *
from .statistical import *
from .utility import *

sub, mul, neg, div = subtract, multiply, negative, divide  # noqa: F405

if TYPE_CHECKING:
    from . import fft as fft
    from . import linalg as linalg
    from . import special as special


def __getattr__(name: str) -> Any:
    """``linalg``, ``fft`` and ``special`` are loaded when they are first asked for."""
    if name in EXTENSIONS:
        return importlib.import_module(f".{name}", __name__)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
