"""How a layer's results stay within reach as long as the graph that was recorded from them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ..core import Function, Variable
from ..graph import Output, Sweep, deliver

__all__ = ["Kept", "held", "weak"]


class _Either:
    """A weak reference to the Variable that a layer returned, or else to the one that is kept."""

    __slots__ = ("kept", "returned")

    def __init__(self, returned: Variable, kept: Variable) -> None:
        self.returned, self.kept = weakref.ref(returned), weakref.ref(kept)

    def __call__(self) -> Variable | None:
        returned = self.returned()
        return self.kept() if returned is None else returned


class Kept(Output):
    """A layer's result as a node of its own, between the Function and what is computed from it.

    It holds a second Variable of the same array at the Function: what consumes the result holds
    this node, the node holds the Variable, the Variable holds the Function. Nothing holds what
    consumes it, so there is no cycle. A sweep that releases saved arrays releases the Variable as
    well, unless it retains gradients.
    """

    __slots__ = ("either", "variable")

    def __init__(self, y: Variable) -> None:
        function = y._node
        super().__init__(function, 0, y)
        self.variable: Variable | None = Variable.__new__(Variable)
        self.variable._data, self.variable._node = y._data, function
        self.variable._kind, self.variable.grad, self.variable.name = y._kind, None, y.name
        self.variable._base = self.variable._views = None
        self.either = function._out = _Either(y, self.variable)

    def _cut(self) -> None:
        """Let gradients end here."""
        if self.function is not None:
            kept, self.function, self.variable = self.variable, None, None
            if kept is not None:
                kept.unchain()

    def _pull(self, g: Any, sweep: Sweep, keep: bool) -> None:
        """Hand the gradient to the Function."""
        if self.function is not None:
            deliver(sweep, self.function, g)
            if not keep and not (self._watch is not None and self._watch.retained):
                self.variable = None

    _pull_general = _pull


def held(y: Any) -> Callable[[], Any]:
    """A weak reference to a layer's result, which what is recorded from it keeps alive.

    Results of Functions with several outputs are not kept: they live while somebody holds them.
    """
    for part in y if isinstance(y, (tuple, list)) else (y,):
        if isinstance(part, (tuple, list)):
            held(part)
        elif isinstance(part, Variable) and isinstance(part._node, Function) and part._node._edges:
            part._node = Kept(part)
    return weak(y)


def weak(x: Any) -> Callable[[], Any]:
    """A weak reference to what went into a layer, or came out."""
    if isinstance(x, Variable) and isinstance(x._node, Kept):
        return x._node.either
    if isinstance(x, (tuple, list)):
        parts = [weak(part) for part in x]
        return lambda: tuple(part() for part in parts)
    try:
        return weakref.ref(x)
    except TypeError:  # numbers and None: nothing to free
        return lambda: x
