"""What a recorded call is: a list of steps over numbered values, nothing of the engine in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Program", "Step", "Value", "leaves", "parts", "rebuilt", "replaced"]


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


def parts(tree: Any) -> Iterable[Any]:
    """What is directly in a tuple, list, dict or slice; nothing for others."""
    if isinstance(tree, (tuple, list)):
        return tree
    if isinstance(tree, dict):
        return tree.values()
    return (tree.start, tree.stop, tree.step) if isinstance(tree, slice) else ()


def rebuilt(tree: Any, function: Callable[[Any], Any]) -> Any:
    """A tuple, list, dict or slice with ``function`` of each part in its place; others as given."""
    if isinstance(tree, tuple):
        made = [function(part) for part in tree]
        return type(tree)(*made) if hasattr(tree, "_fields") else tuple(made)
    kind = type(tree)
    if kind is list:
        return [function(part) for part in tree]
    if kind is dict:
        return {key: function(part) for key, part in tree.items()}
    if kind is slice:
        return slice(function(tree.start), function(tree.stop), function(tree.step))
    return tree


def leaves(tree: Any) -> Iterator[Value]:
    """The Values in a tree of tuples, lists, dicts and slices."""
    if isinstance(tree, Value):
        yield tree
    else:
        for part in parts(tree):
            yield from leaves(part)


def replaced(tree: Any, table: dict[Value, Any]) -> Any:
    """A tree with its Values replaced by what ``table`` has for them."""
    if isinstance(tree, Value):
        return table.get(tree, tree)
    return rebuilt(tree, lambda part: replaced(part, table))
