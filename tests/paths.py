"""Every fast path of the NumPy backend, and how it is forced on and off.

``DEZERO_PATHS=short`` runs the tests with every fast path taken wherever that is possible at all,
in blocks so small that several and their remainders are met; ``DEZERO_PATHS=long`` with none of
them. Without it the paths are as shipped. A test that asserts what holds in some modes only is
marked ``only_paths("shipped", "short", reason=...)``.

`PATHS` is the one table. `test_paths.py` proves that each setting changes which code runs, and that
no kernel of NumPy's backend is missing.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from dezero.backends import numpy_backend
from dezero.backends.numpy import NumPyBackend, _Lazy
from dezero.backends.numpy_neural import NumPyNeural
from dezero.dispatch import ops

__all__ = ["FIXED", "KERNEL_PATHS", "MODES", "PATHS", "calls", "code_of", "force", "forced"]

MODES = ("shipped", "short", "long")
HUGE = 1 << 60


@dataclass(frozen=True)
class Fresh:
    """A value that is made anew for each setting, such as an empty cache."""

    make: Callable[[], Any]


@dataclass(frozen=True)
class Path:
    """A fast path.

    Attributes:
        name: In words; of a kernel its own.
        on: Values by ``module:attribute`` below ``dezero``; after ``[]`` the contents of a dict.
        off: The same where it is not taken. A name that is missing stays as shipped.
        work: Names a function in test_paths.py that meets the path.
        code: The function, ``module:attribute``, that is called more often where the path is
            taken, or one that is called less often, after a minus sign. Empty: ``work`` gives a
            number that is higher where it is taken.
    """

    name: str
    on: dict[str, Any]
    off: dict[str, Any]
    work: str
    code: str = ""


def _possible(n: int, c: int, oc: int, size: tuple[int, ...], pads: Any) -> bool:
    """Whether Winograd's way can be gone: there is something to compute."""
    return n * c * oc > 0 and all(m + sum(p) > 2 for m, p in zip(size, pads, strict=True))


def _each_alone(w_shape: tuple[int, ...], geometry: Any) -> bool:
    return w_shape[1] == 1 and w_shape[0] == geometry.groups


def _never(*_: Any) -> bool:
    return False


def _nothing(*_: Any) -> None:
    return None


class _Ignoring(set[Any]):
    """A set that stays empty."""

    def add(self, element: Any) -> None:
        pass


class _AsTheyAre(dict[Any, Any]):
    """A table that leaves numbers as they are."""

    def __missing__(self, number: Any) -> Any:
        return number


def _long_sweep(self: Any, top: int, record: bool, wanted: set[Any] | None) -> None:
    _sweep(self, top, record, wanted)
    self.owned = _Ignoring()


_sweep = import_module("dezero.graph").Sweep.__init__

_NO_NUMBERS = {dtype: _AsTheyAre() for dtype in numpy_backend.numbers}

# Thresholds and switches. Blocks are of a few numbers, and of odd sizes.
SWITCHES = [
    Path(
        "threads",
        {"threads:_LEAST": 1, "threads:_threads.limit": 3, "threads:_threads.pool": None},
        {"threads:_threads.limit": 1, "threads:_threads.pool": None},
        "convolutions",
        "threads:_Threads.executor",
    ),
    Path(
        "memory used again",
        {"backends.scratch:_MOST": HUGE},
        {"backends.scratch:_MOST": -1},
        "memory_kept",
    ),
    Path(
        "short buffers of ufuncs",
        {"backends.scratch:_SHORT": 16},
        {"backends.scratch:_SHORT": 8192},
        "buffers",
    ),
    Path(
        "convolution: blocks of windows",
        {"backends.numpy_convolution:_BLOCK": 1, "backends.numpy_convolution:_LEAST": 5},
        {"backends.numpy_convolution:_BLOCK": HUGE},
        "convolutions",
        "backends.numpy_convolution:_Plan.matrix",
    ),
    Path(
        "convolution: windows kept for the backward pass",
        {"backends.numpy_convolution:_KEPT": HUGE},
        {"backends.numpy_convolution:_KEPT": -1},
        "windows_kept",
    ),
    Path(  # few channels: the batch last in memory; many: the channels
        "convolution: the channels last in memory",
        {"backends.numpy_convolution:_FEW": 4},
        {"backends.numpy_convolution:_FEW": HUGE},
        "convolutions",
        "backends.numpy_convolution:_Plan._fold_last",
    ),
    Path(
        "convolution: the gradient of the image as a convolution",
        {},
        {"backends.numpy_convolution:_Plan._turned": _nothing},
        "convolutions",
        "backends.numpy_convolution:_Plan._turned_weights",
    ),
    Path(
        "convolution: kernels of one element",
        {},
        {"backends.numpy_convolution:_is_pointwise": _never},
        "convolutions",
        "backends.numpy_convolution:_pointwise",
    ),
    Path(
        "convolution: a kernel for each channel",
        {"backends.depthwise:worthwhile": _each_alone},
        {"backends.depthwise:worthwhile": _never},
        "convolutions",
        "backends.depthwise:convolve",
    ),
    Path(
        "convolution: a kernel for each channel, in blocks",
        {"backends.depthwise:_BLOCK": 1},
        {"backends.depthwise:_BLOCK": HUGE},
        "depthwise_convolutions",
        "backends.depthwise:_Rows.windows",
    ),
    Path(
        "convolution: Winograd",
        {"backends.winograd:worthwhile": _possible},
        {"backends.winograd:worthwhile": _never},
        "convolutions",
        "backends.winograd:convolve",
    ),
    Path(
        "convolution: Winograd in blocks",
        {"backends.winograd:_BLOCK": 1, "backends.winograd:_SPAN": 1},
        {"backends.winograd:_BLOCK": HUGE, "backends.winograd:_SPAN": HUGE},
        "winograd_convolutions",
        "backends.winograd:_gathered",
    ),
    Path(
        "pooling: blocks",
        {"backends.numpy_pooling:_BLOCK": 1},
        {"backends.numpy_pooling:_BLOCK": HUGE},
        "pools",
        "backends.numpy_pooling:_Block.taken",
    ),
    Path(
        "pooling: any order in memory",
        {},
        {"backends.numpy_pooling:_slabs": _nothing},
        "pools",
        "-backends.numpy_pooling:_flat",
    ),
    Path(
        "normalization: blocks",
        {"backends.numpy_normalization:_BLOCK": 7, "backends.numpy_normalization:_LARGE": 11},
        {"backends.numpy_normalization:_BLOCK": HUGE, "backends.numpy_normalization:_LARGE": HUGE},
        "normalizations",
        "backends.numpy_normalization:_by_row",
    ),
    Path(
        "normalization: rows short enough for a spread value",
        {"backends.numpy_normalization:_WIDE": 4},
        {"backends.numpy_normalization:_WIDE": HUGE},
        "normalizations",
        "-backends.scratch:_Scratch.__call__",
    ),
    Path(
        "normalization: the variance by the mean square",
        {},
        {"backends.numpy_normalization:_near": _never},
        "normalizations",
        "-backends.numpy_normalization:_Batch.rough_moments",
    ),
    Path(
        "elementwise kernels: blocks",
        {"backends.numpy_neural:_BLOCK": 5},
        {"backends.numpy_neural:_BLOCK": HUGE},
        "activations",
        "backends.scratch:runs",
    ),
    Path(
        "softmax: blocks of rows",
        {"backends.numpy_neural:_FEW": 0},
        {"backends.numpy_neural:_FEW": HUGE},
        "activations",
        "backends.numpy_neural:_rows",
    ),
    Path(
        "softmax: short rows as columns",
        {"backends.numpy_neural:_SHORT": 4, "backends.numpy_neural:_LONG": 6},
        {"backends.numpy_neural:_SHORT": HUGE, "backends.numpy_neural:_LONG": HUGE},
        "rows_without_copies",
        "backends.scratch:unbuffered.<locals>.called",
    ),
    Path(
        "softmax: without the largest number",
        {},
        {"backends.numpy_neural:_tame": _never},
        "activations",
        "-backends.numpy_neural:_tops",
    ),
    Path(
        "where: by bits",
        {"backends.numpy_neural:_MIXED": 0},
        {"backends.numpy_neural:_MIXED": HUGE},
        "chosen_by_bits",
        "backends.numpy_neural:_parts",
    ),
    Path(
        "sigmoid_grad: in place",
        {"backends.numpy_neural:_SLOPE": 0},
        {"backends.numpy_neural:_SLOPE": HUGE},
        "sigmoids",
        "backends.numpy_neural:_parts",
    ),
    Path(
        "rows added together where their places differ",
        {"backends.numpy_neural:_WIDE": 1},
        {"backends.numpy_neural:_WIDE": HUGE},
        "rows_added",
        "backends.numpy_neural:_first_rows",
    ),
    Path(
        "attention in blocks",
        {
            "backends.numpy_neural:NumPyNeural.attention_long": 0,
            "backends.numpy_neural:NumPyNeural.attention_block": (6, 3),
        },
        {"backends.numpy_neural:NumPyNeural.attention_long": math.inf},
        "attentions",
        "backends.neural:Neural._scores",
    ),
    Path(
        "recurrent layers in one piece",
        {},
        {"backends.numpy_neural:NumPyNeural.recurrent_cells": ()},
        "recurrences",
        "backends.numpy_recurrent:run",
    ),
    Path(
        "numbers as arrays that are found again",
        {},
        {"backends:numpy_backend.numbers[]": _NO_NUMBERS},
        "engine",
        "backends.numpy:_Numbers.__missing__",
    ),
    Path(
        "arrays of rank 0 as scalars",
        {"core:_kinds": Fresh(dict)},
        {"core:_kinds": Fresh(dict), "core:_OF_SCALAR": None},
        "rank_0",
    ),
    Path(
        "gradients added in place",
        {},
        {"graph:Sweep.__init__": _long_sweep},
        "gradients_in_place",
    ),
    Path(
        "optimizers: several parameters as one vector",
        {"optimizers.elementwise:_SMALL": 1 << 40},
        {"optimizers.elementwise:_SMALL": -1},
        "updates",
        "optimizers.elementwise:Elementwise._update_together",
    ),
    Path(
        "optimizers: blocks",
        {"optimizers.elementwise:_BLOCK": 61},
        {"optimizers.elementwise:_BLOCK": 1 << 22},
        "updates",
        "optimizers.elementwise:Elementwise._piece",
    ),
    Path(
        "averages: blocks",
        {"optimizers.averaging:_BLOCK": 61},
        {"optimizers.averaging:_BLOCK": HUGE},
        "averages",
    ),
    Path(
        "compiled programs that are planned",
        {},
        {"compiler.front:build": import_module("dezero.compiler.plain").build},
        "compiled",
        "compiler.plan:build",
    ),
    Path(
        "compiled programs of single numbers in Python's arithmetic",
        {},
        {"compiler.plan:arithmetic": _nothing},
        "compiled",
        "compiler.scalars:Arithmetic.written",
    ),
    Path(
        "compiled chains in tiles",
        {
            "compiler.plan:_LEAST": 1,
            "compiler.plan:_MOST": HUGE,
            "compiler.tiles:_FEWEST": 3,
            "compiler.tiles:_WIDEST": 7,
        },
        {"compiler.plan:_LEAST": HUGE},
        "compiled",
        "compiler.plan:tiled",
    ),
    Path(
        "compiled reductions of small arrays as products",
        {"compiler.plan:_SMALL": HUGE},
        {"compiler.plan:_SMALL": -1},
        "compiled_dots",
    ),
]

# Kernels that NumPy's backend has in place of generic ones, by the work that meets them. Off: the
# generic one, or for names of the standard NumPy's own.
KERNELS = {
    "convolutions": "convolve convolve_gradients convolve_input convolve_weight",
    "windows": "fold_windows unfold_windows",
    "pools": "pool_max pool_max_pick pool_max_spread pool_sum pool_sum_spread",
    "normalizations": "normalize normalize_gradients",
    "activations": """
        erf gelu gelu_grad log_softmax log_softmax_grad masked_softmax nll nll_grad only sigmoid
        sigmoid_grad softmax softmax_grad softplus
    """,
    "long_attentions": "attend attend_gradients hidden powers",
    "places": """
        check_labels get_item last pad put_along_axis_add scatter_add take_add
    """,
    "engine": "add_into broadcast_to copy einsum owned sum where xdivy",
    "updates": "holders",
}
STANDARD = {"broadcast_to": np.broadcast_to, "sum": np.sum, "where": np.where}

# What else NumPy's backend has of its own, and why that is always so.
FIXED = {
    "add_rows": "a part of take_add and scatter_add, which are switched",
    "astype": "the standard's name of a method",
    "careful": "special cases of the standard that NumPy has otherwise",
    "finfo": "the standard's name of a class",
    "floor_divide": "special cases of the standard that NumPy has otherwise",
    "for_complex": "special cases of the standard that NumPy has otherwise",
    "is_complex": "a fact about dtypes",
    "is_inexact": "a fact about dtypes",
    "matrix_transpose": "the standard's name of a method",
    "recurrent": "there is no generic one: recurrent_cells is switched",
    "recurrent_gradients": "there is no generic one: recurrent_cells is switched",
    "repaired": "special cases of the standard that NumPy has otherwise",
    "reshape": "the standard's name of a method",
    "set_item": "constants that share memory are written into, as in NumPy",
    "shares": "views of NumPy share memory whether they are fast or not",
    "special_function": "SciPy's, which are not a faster way to the same bits",
    "to_numpy": "arrays are NumPy's already",
    "arrays_only": "what SciPy's functions take",
    "attention_block": "a switch",
    "attention_long": "a switch",
    "recurrent_cells": "a switch",
}


def _owner(name: str) -> type:
    return next(c for c in NumPyBackend.__mro__ if name in vars(c))


def _generic(name: str) -> Any:
    """What comes after NumPy's own kernel."""
    if name in STANDARD:
        return staticmethod(STANDARD[name])
    bases = [c for c in NumPyBackend.__mro__ if c not in (NumPyBackend, NumPyNeural)]
    return next(vars(c)[name] for c in bases if name in vars(c))


def _kernel(name: str, work: str) -> Path:
    owner = _owner(name)
    own = vars(owner)[name]
    place = f"{owner.__module__.removeprefix('dezero.')}:{owner.__name__}.{name}"
    code = place
    if isinstance(own, _Lazy):
        code = f"backends.{own.module}:{name}"
    elif isinstance(own, staticmethod):  # it was lazy
        code = f"{own.__func__.__module__.removeprefix('dezero.')}:{own.__func__.__qualname__}"
    on = {"optimizers.optimizer:_alone": Fresh(dict)} if name == "holders" else {}
    return Path(name, on, on | {place: _generic(name)}, work, code)


KERNEL_PATHS = [_kernel(name, work) for work, names in KERNELS.items() for name in names.split()]
PATHS = SWITCHES + KERNEL_PATHS


# --- settings -----------------------------------------------------------------------------------


def _found(target: str) -> tuple[Any, str]:
    """The object that has the attribute, and its name."""
    module, _, names = target.partition(":")
    *outer, name = names.split(".")
    here = import_module(f"dezero.{module}")
    for part in outer:
        here = getattr(here, part)
    return here, name


def _now(target: str) -> Any:
    here, name = _found(target)
    if name.endswith("[]"):
        return dict(getattr(here, name[:-2]))
    return inspect.getattr_static(here, name) if isinstance(here, type) else getattr(here, name)


def _bind() -> None:
    """Let functions that are written already call the backend's kernels as they are now."""
    for function in ops.values():
        space = getattr(function, "__globals__", {})
        for name in [name for name in space if name.startswith("_np_")]:
            space[name] = getattr(numpy_backend, name.removeprefix("_np_"))


def _set(target: str, value: Any) -> None:
    here, name = _found(target)
    if name.endswith("[]"):
        getattr(here, name[:-2]).update(value)
    else:
        setattr(here, name, value.make() if isinstance(value, Fresh) else value)


_SHIPPED = {target: _now(target) for path in PATHS for target in (*path.on, *path.off)}
_SHIPPED |= {target: value for p in PATHS for target, value in p.on.items() if type(value) is Fresh}
mode = "shipped"


def settings(path: Path, on: bool) -> dict[str, Any]:
    """All that a path's setting consists of."""
    shipped = {target: _SHIPPED[target] for target in (*path.on, *path.off)}
    return shipped | (path.on if on else path.off)


def force(new: str) -> None:
    """Set all paths for the rest of the run."""
    global mode
    if new not in MODES:
        msg = f"DEZERO_PATHS is {new!r}, expected one of {', '.join(MODES)}"
        raise ValueError(msg)
    mode = new
    for path in PATHS:
        for target, value in _as(path, new).items():
            _set(target, value)
    _bind()


def _as(path: Path, mode: str) -> dict[str, Any]:
    if mode == "shipped":
        return {target: _SHIPPED[target] for target in (*path.on, *path.off)}
    return settings(path, on=mode == "short")


@contextmanager
def forced(path: Path, on: bool) -> Iterator[None]:
    """One path on or off, the others as shipped; then all as they were."""
    before, mine = mode, settings(path, on)
    force("shipped")
    try:
        for target, value in mine.items():
            _set(target, value)
        _bind()
        yield
    finally:
        force(before)


# --- which code runs ----------------------------------------------------------------------------


def code_of(target: str) -> Any:
    """The code object of ``module:attribute``; after ``<locals>`` of a function's inner one."""
    outer, _, inner = target.partition(".<locals>.")
    here, name = _found(outer)
    function = inspect.getattr_static(here, name)
    function = getattr(function, "__wrapped__", getattr(function, "__func__", function))
    code = function.__code__
    if inner:
        constants = code.co_consts
        code = next(c for c in constants if getattr(c, "co_name", None) == inner)
    return code


def calls(code: Any, work: Callable[[], Any]) -> int:
    """How often ``work()`` calls a function, or goes on with a generator."""
    count = 0

    def note(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and frame.f_code is code

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
