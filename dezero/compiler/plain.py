"""A program run step by step as it stands: what a plan is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .program import Program, Value, leaves, replaced

__all__ = ["build"]


def build(
    program: Program, backend: Any = None, numba: bool = False
) -> Callable[[list[Any]], list[Any]]:
    """A function of a list of input arrays, which it empties, that returns the output arrays.

    Example:
        >>> x, y = Value(0, (), float), Value(1, (), float)
        >>> from dezero.compiler.program import Step
        >>> square = Program([x], {}, [Step("multiply", lambda a, b: a * b, (x, x), {}, y)], [y])
        >>> build(square)([3.0])
        [9.0]
    """
    last: dict[Value, int] = {}
    for i, step in enumerate(program.steps):
        for value in (*leaves(step.args), *leaves(step.kwargs), *leaves(step.result)):
            last[value] = i
    dying: list[list[Value]] = [[] for _ in program.steps]
    for value, i in last.items():
        if value not in program.outputs and value not in program.constants:
            dying[i].append(value)

    def run(arrays: list[Any]) -> list[Any]:
        table: dict[Value, Any] = dict(program.constants)
        table.update(zip(program.inputs, arrays, strict=True))
        arrays.clear()
        for step, ends in zip(program.steps, dying, strict=True):
            args, kwargs = replaced(step.args, table), replaced(step.kwargs, table)
            for value in ends:
                table.pop(value, None)
            result = step.call(*args, **kwargs)
            del args, kwargs
            _put(table, step.result, result)
            for value in ends:
                table.pop(value, None)
        return [table[value] for value in program.outputs]

    return run


def _put(table: dict[Value, Any], names: Any, result: Any) -> None:
    if isinstance(names, Value):
        table[names] = result
    elif isinstance(names, (tuple, list)):
        for name, part in zip(names, result, strict=True):
            _put(table, name, part)
