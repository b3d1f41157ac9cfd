"""Layers: functions with parameters. The book's ``L``."""

from . import initializers as initializers
from .containers import *
from .layer import *
from .linear import *
from .summary import *
