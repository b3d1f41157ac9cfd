"""Assignment to Variables that may share memory, as ``x[key] = v`` and ``x += v`` do.

Arrays that the graph has saved may not change, so an assignment makes a new array and a new node,
and lets the Variable point there. What shares memory in the array library then has to follow:
a view remembers its base and how it was made from it, a base remembers its views. What is assigned
to a view goes down to the base, and from there up again to all its views.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, cast
from weakref import ref

import numpy as np

from .backends import backend_of, is_basic
from .config import enable_backprop, recording
from .core import Leaf, Output, Variable, _handle

__all__ = ["alone", "private", "replace", "root", "view", "viewed", "wanted"]

_undo: dict[Any, Callable[..., Any]] = {}
_GONE: Any = ref(_handle(None, None))  # what a node knows of a Variable that has left it


def view(undo: Callable[..., Any]) -> Callable[[Any], Any]:
    """Decorate a function whose result may share the memory of its operand.

    Args:
        undo: ``undo(base, value, *args)`` is what the base becomes if the view of it that ``args``
            made becomes ``value``.

    Example:
        >>> import numpy as np
        >>> from dezero import functions as F
        >>> x = Variable(np.zeros(3), requires_grad=False)
        >>> y = F.flip(x)
        >>> y += np.array([1.0, 2.0, 3.0])
        >>> x
        variable([3. 2. 1.])
    """

    def decorate(function: Any) -> Any:
        _undo[function] = undo

        @functools.wraps(function)
        def viewing(x: Any, *args: Any, **kwargs: Any) -> Any:
            y = function(x, *args, **kwargs)
            if isinstance(x, Variable):
                viewed(y, x, function, args, kwargs)
            return y

        return viewing

    return decorate


def viewed(y: Variable, x: Variable, function: Any, args: Any, kwargs: Any) -> None:
    """Remember that ``y`` is ``function(x, *args, **kwargs)`` and may share memory with ``x``.

    A view holds its base, as its array does; but not a leaf, whose gradient may lead back to it.
    """
    raw = y._data
    if raw.__class__ is np.ndarray:
        owner = raw.base
        if owner is None or (owner is not x._data and owner is not x._data.base):
            return
    elif isinstance(raw, np.generic) or not _may_share(function, args):
        return
    y._base = (ref(x) if x._node.__class__ is Leaf else x, function, args, kwargs)
    views = getattr(x, "_views", None)
    if views is None:
        x._views = [ref(y)]
        return
    n = len(views)
    if n > 63 and not n & (n - 1):  # seldom enough that it costs nothing on average
        views[:] = [link for link in views if link() is not None]
    views.append(ref(y))


def _base(x: Variable) -> tuple[Any, ...] | None:
    """The living base whose memory ``x`` shares, and how ``x`` is made from it."""
    link = getattr(x, "_base", None)
    if link is None:
        return None
    base = link[0]() if link[0].__class__ is ref else link[0]
    return (base, *link[1:]) if base is not None and _shares(x, base._data, *link[1:]) else None


def _shares(x: Variable, memory: Any, function: Any, args: Any, kwargs: Any) -> bool:
    """Whether ``x``, a view by its function, lies in ``memory``."""
    if x._data.__class__ is np.ndarray:
        return np.may_share_memory(x._data, memory)
    return _may_share(function, args) and backend_of(memory).shares(x._data, memory)


def _may_share(function: Any, args: Any) -> bool:
    """False for elements chosen by arrays or lists, which no library gives as a view."""
    return function.__name__ != "_get_item" or is_basic(args[0])


def _bases(x: Variable) -> list[tuple[Any, ...]]:
    """The links from ``x`` down its bases, to the last that something else than a view holds.

    What lies behind that one nobody can see, so it need not follow: a loop of ``x = x.T`` and
    ``x += y`` goes on with the newest.
    """
    links: list[tuple[Any, ...]] = []
    seen = 0
    while (held := getattr(x, "_base", None)) is not None:
        others = held[0].__class__ is ref or _holders(held) > _HELD
        if (link := _base(x)) is None:
            break
        links.append(link)
        seen = len(links) if others else seen
        x = link[0]
    return links[:seen]


def root(x: Variable) -> Variable:
    """The Variable at the bottom of ``x``'s bases: ``x`` itself if it is no view."""
    links = _bases(x)
    return links[-1][0] if links else x


def wanted(x: Variable) -> bool:
    """Whether a gradient of ``x`` is wanted: it is recorded and of a floating or complex dtype."""
    return x._node is not None and backend_of(x._data).is_inexact(x.dtype)


def replace(x: Variable, new: Variable) -> None:
    """Let ``x`` become ``new``, a fresh result of its shape and dtype, with what shares memory."""
    for base, function, args, kwargs in _bases(x):
        new = _undo[function](base, new, *args, **kwargs)
        x = base
    x._base = None
    views, constant = _views(x), x._node is None
    _point(x, new)
    waiting = [(x, views, constant)]
    while waiting:
        x, views, constant = waiting.pop()
        waiting += [(y, *_renewed(y, x, constant)) for y in views]


def _views(x: Variable) -> list[Variable]:
    """The living views of ``x``, or of the array that it had so far."""
    views = [link() for link in getattr(x, "_views", None) or ()]
    return [y for y in views if y is not None and y._base and _shares(y, x._data, *y._base[1:])]


def _renewed(y: Variable, x: Variable, constant: bool) -> tuple[list[Variable], bool]:
    """Make the view ``y`` anew from ``x``; ``constant``: ``x`` was one before.

    Returns:
        The views of ``y``, which are still to be renewed, and whether it was a constant.
    """
    views, was_constant = _views(y), y._node is None
    _, function, args, kwargs = cast(tuple[Any, ...], y._base)
    # A view that was made a constant of a recorded base, under no_grad, stays one.
    token = enable_backprop.set(not was_constant or (constant and recording()))
    try:
        _point(y, function(x, *args, **kwargs))
    finally:
        enable_backprop.reset(token)
    return views, was_constant


def _point(x: Variable, new: Variable) -> None:
    """Let the handle ``x`` stand where ``new`` does; a leaf stays one, with new data."""
    old, node = x._node, new._node
    # An array of rank 0 stays one: NumPy's scalars have no views.
    x._data = new.data if x._data.__class__ is np.ndarray else new._data
    if old.__class__ is Leaf:
        return
    _set_out(old, _GONE)
    x._node = node
    _set_out(node, ref(x))


def _set_out(node: Any, out: Any) -> None:
    if node is not None:
        node._out = out
    if node.__class__ is Output and node.function is not None:
        outs = node.function._out
        outs[node.index] = (out, *outs[node.index][1:])


def _count(x: Variable) -> int:
    return sys.getrefcount(x._data)


def _holders(link: tuple[Any, ...]) -> int:
    return sys.getrefcount(link[0])


# What an array counts that one Variable alone holds, and a base that one view alone holds: it
# differs between versions of Python.
_ALONE = _count(_handle(np.empty(1), None))
_HELD = _holders((_handle(None, None),))


def alone(x: Variable) -> bool:
    """Whether nothing but ``x`` holds its array, a NumPy array: no graph, no view, no user."""
    return _is_own(x._data) and _count(x) <= _ALONE


def private(x: Variable) -> bool:
    """Whether only constants hold the memory of ``x``, a NumPy array, so it may be written into."""
    bottom = x
    while (link := _base(bottom)) is not None:
        bottom = link[0]
    owner = bottom._data
    if not (_is_own(owner) and x._data.flags.writeable):  # a broadcast array is not
        return False
    family = [bottom]
    for y in family:
        views = [link() for link in getattr(y, "_views", None) or ()]
        family += [v for v in views if v is not None and getattr(v._data, "base", None) is owner]
    del owner
    if any(y._node is not None or (y is not bottom and _count(y) > _ALONE) for y in family):
        return False
    return _count(bottom) < _ALONE + len(family) and any(y is x for y in family)


def _is_own(data: Any) -> bool:
    return data.__class__ is np.ndarray and data.base is None and data.flags.writeable
