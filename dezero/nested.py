"""Arguments and results that are nested tuples, lists and dicts of arrays; None is an empty one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["Tree", "filled", "flat", "mapped"]

Tree = Any


def flat(tree: Tree, name: str = "", like: Tree = ...) -> Iterator[tuple[str, Any]]:
    """The leaves of ``tree`` and what to call them, such as ``name['w'][0]``.

    Args:
        tree: Nested tuples, lists and dicts; everything else is a leaf, None is nothing.
        name: What ``tree`` is called.
        like: A tree whose structure ``tree`` must have and whose order is followed.

    Raises:
        ValueError: ``tree`` has another structure.

    Example:
        >>> list(flat({"w": [1.0, 2.0], "b": None}, "x"))
        [("x['w'][0]", 1.0), ("x['w'][1]", 2.0)]
    """
    like = tree if like is ... else like
    keys: Iterable[Any] = ()
    fits = tree is None
    if isinstance(like, dict):
        keys, fits = like, isinstance(tree, dict) and tree.keys() == like.keys()
    elif isinstance(like, (tuple, list)):
        keys = range(len(like))
        fits = isinstance(tree, (tuple, list)) and len(tree) == len(like)
    elif like is not None:
        yield name, tree
        return
    if not fits:
        msg = f"{name} has the structure {_outline(tree)}, expected {_outline(like)}"
        raise ValueError(msg)
    for key in keys:
        yield from flat(tree[key], f"{name}[{key!r}]", like[key])


def _outline(tree: Tree) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {_outline(part)}" for key, part in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        return "(" + ", ".join(map(_outline, tree)) + ")"
    return "None" if tree is None else "*"


def filled(tree: Tree, leaves: Iterator[Any]) -> Tree:
    """``tree`` with the next of ``leaves`` in place of each of its own.

    Example:
        >>> filled((1.0, [2.0]), iter("ab"))
        ('a', ['b'])
    """
    return mapped(lambda _: next(leaves), tree)


def mapped(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """``tree`` with ``function`` applied to each leaf; named tuples stay what they are.

    Example:
        >>> mapped(abs, {"a": -1, "b": (None, -2)})
        {'a': 1, 'b': (None, 2)}
    """
    if isinstance(tree, dict):
        return {key: mapped(function, part) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        parts = [mapped(function, part) for part in tree]
        if isinstance(tree, list):
            return parts
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return None if tree is None else function(tree)
