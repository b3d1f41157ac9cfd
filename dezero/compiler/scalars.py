"""Programs of single numbers in double precision, as Python's own arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .groups import ELEMENTWISE
from .program import Program, Step, Value, leaves
from .simplify import VIEWS

__all__ = ["scalar_source"]

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


def scalar_source(program: Program, space: dict[str, Any]) -> str | None:
    """A function ``run(box)`` as text, or None if the program is about more than single numbers.

    It calls ``general(box)``, which ``space`` must have, where Python's arithmetic raises.
    """
    if not program.steps:
        return None
    values = [*program.inputs, *program.constants]
    values += [v for step in program.steps for v in leaves(step.result)]
    if any(v.shape != () or v.dtype not in (_FLOAT, _BOOL) for v in values):
        return None
    if any(v.dtype == _BOOL for v in (*program.inputs, *program.constants)):
        return None
    uses: dict[Value, int] = {}
    for tree in (*(step.args for step in program.steps), program.outputs):
        for value in leaves(tree):
            uses[value] = uses.get(value, 0) + 1
    names = {v: f"v{v.number}" for v in program.inputs}
    lines = [f"v{v.number} = float(x{i})" for i, v in enumerate(program.inputs) if v in uses]
    for i, (value, array) in enumerate(program.constants.items()):
        if value in program.fixed and np.isfinite(array):
            names[value] = f"({array.item()!r})"
        elif value in uses:
            space[f"c{i}"] = array
            names[value] = f"v{value.number}"
            lines.append(f"v{value.number} = float(c{i})")
    for step in program.steps:
        y = step.result
        code = _expression(step, names, space, lines)
        if code is None:
            return None
        if (
            uses.get(y) == 1 and y not in program.outputs and len(code) < _LONGEST
        ) or code.isidentifier():
            names[y] = code
        else:
            names[y] = f"v{y.number}"
            lines.append(f"v{y.number} = {code}")
    inputs = "".join(f"x{i}, " for i in range(len(program.inputs)))
    outputs = [
        f"x{program.inputs.index(v)}"
        if v in program.inputs
        else f"{'double' if v.dtype == _FLOAT else 'truth'}({names[v]})"
        for v in program.outputs
    ]
    space |= {"double": np.float64, "truth": np.bool_}
    source = ["def run(box):"]
    source += [f"    {inputs}= box"] if inputs else []
    source += ["    try:", *("        " + line for line in lines)]
    made = [names[v] for v in program.outputs if v not in program.inputs and v.dtype == _FLOAT]
    tests = [f"{name} - {name} != 0.0" for name in dict.fromkeys(made)]
    source += [f"        result = [{', '.join(outputs)}]"]
    source += ["    except (ArithmeticError, ValueError):", "        return general(box)"]
    if tests:  # infinity or NaN: the arrays say how it came about, if NumPy is to
        source += [f"    if {' or '.join(tests)}: return general(box)"]
    return "\n".join([*source, "    box.clear()", "    return result", ""])


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
        return f"({args[0]} ** {args[1]})"
    if name not in _FUNCTIONS:
        return None
    function: Callable[..., Any] = getattr(math, name)
    space[f"m_{name}"] = function
    return f"m_{name}({', '.join(args)})"
