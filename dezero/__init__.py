"""dezero: array code, recorded as it runs, with exact gradients of any order."""

from . import backends, config, core, functions, operators, primitive, random
from .config import Config, enable_grad, no_grad, test_mode, using_config
from .core import Function, Parameter, Variable, as_array, as_variable
from .operators import setup_variable
from .random import seed

__version__ = "0.1.0"
is_simple_core = False

__all__ = [
    "Config",
    "Function",
    "Parameter",
    "Variable",
    "as_array",
    "as_variable",
    "enable_grad",
    "no_grad",
    "seed",
    "setup_variable",
    "test_mode",
    "using_config",
]
