"""Layers: functions with parameters. The book's ``L``."""

from .containers import Sequential as Sequential
from .layer import Layer as Layer
from .linear import Linear as Linear

__all__ = ["Layer", "Linear", "Sequential"]
