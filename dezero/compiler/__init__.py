"""Record a function once, run it again without the engine: ``dezero.compile``."""

from .front import Compiled, compile

__all__ = ["Compiled", "compile"]
