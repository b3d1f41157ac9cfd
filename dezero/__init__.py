"""dezero: array code, recorded as it runs, with exact gradients of any order."""

import importlib
from typing import TYPE_CHECKING, Any

from . import (
    backends,
    config,
    core,
    derivatives,
    functions,
    interop,
    operators,
    primitive,
    random,
    xp,
)
from .config import Config, enable_grad, no_grad, test_mode, using_config
from .core import Function, Parameter, Variable, as_array, as_variable
from .derivatives import checkpoint, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .functions import einsum, tensordot, transpose  # opt_einsum looks for them here
from .operators import setup_variable
from .random import seed

if TYPE_CHECKING:
    from . import cuda, data, layers, models, optimizers, testing
    from .data import DataLoader, Dataset
    from .layers import Layer
    from .models import Model

__version__ = "0.1.0"
is_simple_core = False

_modules = {"DataLoader": "data", "Dataset": "data", "Layer": "layers", "Model": "models"}
_modules |= {name: name for name in ("cuda", "data", "layers", "models", "optimizers", "testing")}


def __getattr__(name: str) -> Any:
    """What training needs is loaded when it is first asked for: the engine alone starts faster."""
    if name not in _modules:
        msg = f"module 'dezero' has no attribute {name!r}"
        raise AttributeError(msg)
    module = importlib.import_module(f".{_modules[name]}", __name__)
    value = module if name == _modules[name] else getattr(module, name)
    globals()[name] = value
    return value


__all__ = [
    "Config",
    "DataLoader",
    "Dataset",
    "Function",
    "Layer",
    "Model",
    "Parameter",
    "Variable",
    "as_array",
    "as_variable",
    "backends",
    "checkpoint",
    "config",
    "core",
    "cuda",
    "data",
    "derivatives",
    "einsum",
    "enable_grad",
    "functions",
    "grad",
    "hessian",
    "hvp",
    "interop",
    "is_simple_core",
    "jacobian",
    "jvp",
    "layers",
    "models",
    "no_grad",
    "operators",
    "optimizers",
    "primitive",
    "random",
    "seed",
    "setup_variable",
    "tensordot",
    "test_mode",
    "testing",
    "transpose",
    "using_config",
    "value_and_grad",
    "vjp",
    "xp",
]
