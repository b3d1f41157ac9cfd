"""What a recorded call is: a list of steps over numbered values, nothing of the engine in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Program", "Step", "Value", "leaves", "replaced"]


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """An array of the program: what it is, not what it holds."""

    number: int
    shape: tuple[int, ...]
    dtype: Any

    def __repr__(self) -> str:
        return f"v{self.number}"


@dataclass(eq=False, slots=True)
class Step:
    """One call of a backend's function, or of something on the host.

    Attributes:
        name: The function's name in the backend, such as ``"add"``; ``"host"`` for a call that is
            no function of arrays: drawing random numbers, updating parameters.
        call: What to call.
        args: Positional arguments: constants, Values, and tuples, lists and dicts of them.
        kwargs: Keyword arguments, likewise.
        result: A Value, or a tuple or list of Values and constants, as the call returns them.
        effect: It is kept whether its result is used or not, and in its place among the others
            that have effects.
        where: The user's line, ``"file.py:12"``, for messages.
    """

    name: str
    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    effect: bool = False
    where: str = ""


@dataclass(eq=False, slots=True)
class Program:
    """Steps from inputs to outputs.

    Attributes:
        inputs: The Values that each run is given, in order. Their arrays are never written to.
        constants: Values whose arrays stay the same ones from run to run.
        steps: In the order in which they were run.
        outputs: The Values that each run gives back, in order; an input may be among them.
        fixed: The constants that nobody but the program holds: their numbers never change.
    """

    inputs: list[Value] = field(default_factory=list)
    constants: dict[Value, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    fixed: set[Value] = field(default_factory=set)


def leaves(tree: Any) -> Iterator[Value]:
    """The Values in a tree of tuples, lists, dicts and slices."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for part in tree:
            yield from leaves(part)
    elif isinstance(tree, dict):
        for part in tree.values():
            yield from leaves(part)
    elif isinstance(tree, slice):
        yield from leaves((tree.start, tree.stop, tree.step))


def replaced(tree: Any, table: dict[Value, Any]) -> Any:
    """A tree with its Values replaced by what ``table`` has for them."""
    if isinstance(tree, Value):
        return table.get(tree, tree)
    if isinstance(tree, (tuple, list)):
        parts = [replaced(part, table) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict):
        return {key: replaced(part, table) for key, part in tree.items()}
    if isinstance(tree, slice):
        return slice(*replaced((tree.start, tree.stop, tree.step), table))
    return tree
