"""Mathematics over arrays and Variables, by chapter of the Array API standard and then by use."""

import importlib
from typing import TYPE_CHECKING, Any

from .. import core
from ..dispatch import EXTENSIONS
from .creation import *
from .elementwise import *
from .indexing import *
from .linear_algebra import *
from .manipulation import *
from .sorting import *
from .statistical import *
from .utility import *

sub, mul, neg, div = subtract, multiply, negative, divide  # noqa: F405 (of a chapter)

if TYPE_CHECKING:
    from . import fft as fft
    from . import linalg as linalg
    from . import special as special
    from .activation import *
    from .attention import *
    from .classes import *
    from .convolution import *
    from .ctc import *
    from .lookup import *
    from .loss import *
    from .normalization import *
    from .pool import *
    from .random import *
    from .recurrent import *
    from .resampling import *
    from .set import *

_BY_USE = (
    "activation",
    "attention",
    "classes",
    "convolution",
    "ctc",
    "lookup",
    "loss",
    "normalization",
    "pool",
    "random",
    "recurrent",
    "resampling",
    "set",
)

# What the book's module has from others.
_CORE = ("Function", "Variable", "as_array", "as_variable")
_MODULES = ("cuda", "utils")


def __getattr__(name: str) -> Any:
    """What networks need is loaded with the first name of it that is asked for.

    ``linalg``, ``fft`` and ``special`` are loaded each by itself.
    """
    if name in EXTENSIONS or name in _BY_USE:
        return importlib.import_module(f".{name}", __name__)
    if name in _CORE:
        return getattr(core, name)
    if name in _MODULES:
        return importlib.import_module(f"dezero.{name}")
    if not name.startswith("__"):
        _load()
        if name in globals():
            return globals()[name]
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    _load()
    return sorted({*globals(), *EXTENSIONS})


def _load() -> None:
    for chapter in _BY_USE:
        module = importlib.import_module(f".{chapter}", __name__)
        globals().update({found: getattr(module, found) for found in module.__all__})
