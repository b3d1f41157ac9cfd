"""Programs of single numbers in double precision, as Python's own arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .groups import ELEMENTWISE
from .program import Program, Step, Value, leaves
from .simplify import VIEWS, uses

__all__ = ["Arithmetic", "arithmetic"]

_LONGEST = 400  # characters of an expression that takes in others
_SAME = frozenset(("copy", "copied", "positive", "astype", "cast", "max", "mean", "min", "sum"))
_SAME |= VIEWS | {"prod"}
_SIGNS = {"add": "+", "divide": "/", "multiply": "*", "subtract": "-"}
_SIGNS |= {"equal": "==", "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<="}
_SIGNS |= {"not_equal": "!=", "logical_and": "and", "logical_or": "or"}
_TESTS = frozenset(("equal", "greater", "greater_equal", "less", "less_equal", "not_equal"))
_FORMS = {
    "abs": "abs({0})",
    "logical_not": "(not {0})",
    "maximum": "({0} if {0} >= {1} or {0} != {0} else {1})",
    "minimum": "({0} if {0} <= {1} or {0} != {0} else {1})",
    "negative": "(-{0})",
    "only": "({0} if {1} else 0.0)",
    "reciprocal": "(1.0 / {0})",
    "square": "({0} * {0})",
    "where": "({1} if {0} else {2})",
    "xdivy": "({0} if {0} == 0.0 and ({1} == 0.0 or {1} != {1}) else {0} / {1})",
}
# These raise where NumPy gives infinity or NaN, and then the arrays are taken.
_NAMES = """
    acos acosh asin asinh atan atan2 atanh cos cosh exp expm1 hypot log log10 log1p log2 pow sin
    sinh sqrt tan tanh
"""
_FUNCTIONS = frozenset(_NAMES.split())
_FLOAT, _BOOL = np.dtype(np.float64), np.dtype(np.bool_)


class Arithmetic:
    """A program of single numbers as lines of Python.

    Attributes:
        space: What the lines name. ``general`` is to be added: it runs the program with arrays,
            where Python's arithmetic raises or gives infinity or NaN. NumPy says how that came.
    """

    def __init__(self, program: Program, loaded: list[int]) -> None:
        self.program, self.loaded = program, loaded
        self.names = {v: f"v{v.number}" for v in program.inputs}
        self.lines: list[str] = []
        self.space: dict[str, Any] = {"double": np.float64, "truth": np.bool_}

    def written(self, inputs: list[str], outputs: list[str], general: str) -> list[str]:
        """The lines from variables of these names to others; ``general`` is a call of that."""
        program, names = self.program, self.names
        loads = [f"{names[program.inputs[i]]} = float({inputs[i]})" for i in self.loaded]
        sums = [names[v] for v in program.outputs if v not in program.inputs and v.dtype == _FLOAT]
        total = " + ".join(dict.fromkeys(sums)) or "0.0"  # infinity or NaN, if one of them is
        results = []
        for v, name in zip(program.outputs, outputs, strict=True):
            made = f"{'double' if v.dtype == _FLOAT else 'truth'}({names[v]})"
            given = inputs[program.inputs.index(v)] if v in program.inputs else made
            results.append(f"{name} = {given}")
        left = "".join(f"{name}, " for name in outputs)
        return [
            "fine = False",
            "try:",
            *(f" {line}" for line in (*loads, *self.lines)),
            f" total = {total}",
            " fine = total - total == 0.0",
            "except (ArithmeticError, ValueError): pass",
            "if fine:",
            *(f" {line}" for line in results),
            f"else: {left}= {general}",
        ]

    def source(self) -> str:
        """A function ``run(box)`` of it."""
        inputs = [f"x{i}" for i in range(len(self.program.inputs))]
        outputs = [f"y{i}" for i in range(len(self.program.outputs))]
        given = "".join(f"{x}, " for x in inputs)
        lines = [f"{given}= box"] if inputs else []
        lines += self.written(inputs, outputs, "general(box)")
        lines += ["box.clear()", f"return [{', '.join(outputs)}]", ""]
        return "\n ".join(["def run(box):", *lines])


def arithmetic(program: Program) -> Arithmetic | None:
    """A program as Python's arithmetic, or None if it is about more than single numbers."""
    if not program.steps:
        return None
    values = [*program.inputs, *program.constants]
    values += [v for step in program.steps for v in leaves(step.result)]
    if any(v.shape != () or v.dtype not in (_FLOAT, _BOOL) for v in values):
        return None
    if any(v.dtype == _BOOL for v in (*program.inputs, *program.constants)):
        return None
    times = uses(program)
    made = Arithmetic(program, [i for i, v in enumerate(program.inputs) if v in times])
    names, lines, space = made.names, made.lines, made.space
    for i, (value, array) in enumerate(program.constants.items()):
        if value in program.fixed and np.isfinite(array):
            names[value] = f"({array.item()!r})"
        elif value in times:
            space[f"c{i}"] = array
            names[value] = f"v{value.number}"
            lines.append(f"v{value.number} = float(c{i})")
    for step in program.steps:
        y = step.result
        code = _expression(step, names, space, lines)
        if code is None:
            return None
        if (
            times[y] == 1 and y not in program.outputs and len(code) < _LONGEST
        ) or code.isidentifier():
            names[y] = code
        else:
            names[y] = f"v{y.number}"
            lines.append(f"v{y.number} = {code}")
    return made


def _expression(
    step: Step, names: dict[Value, str], space: dict[str, Any], lines: list[str]
) -> str | None:
    name, y = step.name, step.result
    if step.effect or not isinstance(y, Value) or not step.args:
        return None
    if name in _SAME:
        x = step.args[0]
        if not isinstance(x, Value) or x.dtype != y.dtype or y.dtype != _FLOAT:
            return None
        return names[x] if not any(True for _ in leaves(step.args[1:])) else None
    if name in ("ones_like", "zeros_like"):
        return "1.0" if name == "ones_like" else "0.0"
    if name not in ELEMENTWISE or step.kwargs:
        return None
    args = []
    for arg in step.args:
        if isinstance(arg, Value):
            args.append(names[arg])
        elif isinstance(arg, bool) or not isinstance(arg, (int, float)):
            return None
        elif math.isfinite(arg) and abs(arg) <= 1 << 53:
            args.append(f"({float(arg)!r})" if arg < 0 else repr(float(arg)))
        else:
            return None
    if name in ("logical_and", "logical_or", "logical_not"):
        for i, v in enumerate(step.args):
            if not isinstance(v, Value) or v.dtype != _BOOL:
                args[i] = f"({args[i]} != 0.0)"
    elif y.dtype == _BOOL and name not in _TESTS:
        return None  # Python's arithmetic with truth values is another
    return _written(name, step.args, args, space, lines)


def _written(
    name: str,
    values: tuple[Any, ...],
    args: list[str],
    space: dict[str, Any],
    lines: list[str],
) -> str | None:
    if name == "add_into":
        name = "add"
    if name in _SIGNS and len(args) == 2:
        return f"({args[0]} {_SIGNS[name]} {args[1]})"
    form = _FORMS.get(name)
    if form is not None:
        for i, arg in enumerate(args):
            if form.count(f"{{{i}}}") > 1 and not arg.replace(".", "").isalnum():
                args[i] = f"t{len(lines)}"  # so that it is computed once
                lines.append(f"{args[i]} = {arg}")
        return form.format(*args)
    if name == "pow" and isinstance(values[1], (int, float)) and float(values[1]).is_integer():
        return f"({args[0]} ** {args[1]})" if values[1] else "1.0"
    if name not in _FUNCTIONS:
        return None
    function: Callable[..., Any] = getattr(math, name)
    space[f"m_{name}"] = function
    return f"m_{name}({', '.join(args)})"
