"""dezero: array code, recorded as it runs, with exact gradients of any order."""

import importlib
from typing import TYPE_CHECKING, Any

from . import (
    backends,
    config,
    core,
    functions,
    interop,
    memory,
    operators,
    primitive,
)
from .config import Config, enable_grad, no_grad, test_mode, using_config
from .core import Function, Parameter, Variable, as_array, as_variable
from .functions import einsum, tensordot, transpose  # opt_einsum looks for them here
from .operators import setup_variable

if TYPE_CHECKING:
    from . import (
        compiler,
        core_simple,
        cuda,
        data,
        dataloaders,
        datasets,
        derivatives,
        functions_conv,
        io,
        layers,
        models,
        optimizers,
        random,
        testing,
        threads,
        training,
        transforms,
        utils,
        viz,
        weights,
        xp,
    )
    from .compiler import compile
    from .data import DataLoader, Dataset, SeqDataLoader
    from .derivatives import checkpoint, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
    from .layers import Layer
    from .models import Model
    from .random import seed

__version__ = "0.1.0"
is_simple_core = False

_modules = {
    "DataLoader": "data",
    "Dataset": "data",
    "Layer": "layers",
    "Model": "models",
    "SeqDataLoader": "data",
    **dict.fromkeys(
        ("checkpoint", "grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"),
        "derivatives",
    ),
    "compile": "compiler",
    "seed": "random",
}
_modules |= {
    name: name
    for name in (
        "compiler",
        "core_simple",
        "cuda",
        "data",
        "dataloaders",
        "datasets",
        "derivatives",
        "functions_conv",
        "io",
        "layers",
        "models",
        "optimizers",
        "random",
        "testing",
        "threads",
        "training",
        "transforms",
        "utils",
        "viz",
        "weights",
        "xp",
    )
}


def __getattr__(name: str) -> Any:
    """What is not the engine is loaded when it is first asked for: so it starts faster."""
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
    "SeqDataLoader",
    "Variable",
    "as_array",
    "as_variable",
    "backends",
    "checkpoint",
    "compile",
    "compiler",
    "config",
    "core",
    "core_simple",
    "cuda",
    "data",
    "dataloaders",
    "datasets",
    "derivatives",
    "einsum",
    "enable_grad",
    "functions",
    "functions_conv",
    "grad",
    "hessian",
    "hvp",
    "interop",
    "io",
    "is_simple_core",
    "jacobian",
    "jvp",
    "layers",
    "memory",
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
    "threads",
    "training",
    "transforms",
    "transpose",
    "using_config",
    "utils",
    "value_and_grad",
    "viz",
    "vjp",
    "weights",
    "xp",
]
