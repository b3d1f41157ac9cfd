"""Recomputation instead of storage: memory for time in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

import numpy as np

from . import random
from .config import enable_grad, recording, training, using_config
from .core import Function, Variable, _handle
from .graph import Output, Sweep, deliver
from .nested import Tree, flat, mapped
from .primitive import RELEASED, _released

__all__ = ["Checkpoint", "checkpoint", "random_state", "replayed"]


def checkpoint(f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """``f(*args, **kwargs)``, of which nothing inside is kept: it is computed again for gradients.

    So a long computation in segments needs the memory of their ends and of one segment, at the
    cost of a second run of each. Gradients go to the arguments and to every Variable outside that
    ``f`` uses, such as parameters in a closure, to any order. The second run sees the modes and the
    random numbers (of the package and of NumPy's global generator) of the first.

    Args:
        f: Must do the same when it is called again: no state that it changes itself.
        args: Arrays, Variables, nested or not, or anything else; ``kwargs`` likewise.

    Returns:
        What ``f`` returns: arrays, Variables, nested or not, or anything else.

    Raises:
        RuntimeError: In the backward pass: the second run differs from the first, or a Variable
            outside was given other data in between.

    Example:
        >>> import numpy as np
        >>> x = Variable(np.array(2.0))
        >>> y = checkpoint(lambda x: x * x * x, x)
        >>> y.backward()
        >>> x.grad
        variable(12.0)
    """
    if not recording():
        return f(*args, **kwargs)
    node = Checkpoint(f, args, kwargs)
    return node.outputs_of([f(*args, **kwargs)])


class Checkpoint(Function):
    """One call of a function; its inside is recorded again when a sweep arrives here."""

    def __init__(self, f: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.call: Any = (f, mapped(_twin, (args, kwargs)))
        self.train, self.random = training(), random_state()
        self._inputs = list(_connected(self.call[1]))
        self.given = len(self._inputs)

    def outputs_of(self, box: list[Tree]) -> Tree:
        """The result in ``box`` on this node in place of its own graph, searched and dropped."""
        result = box.pop()  # nobody but this function holds it now
        roots = [y._node for y in _connected(result)]
        if not roots:
            return result
        self._rank, self._watch, self._out = 1 + max(node._rank for node in roots), None, []
        given = {x._node for x in self._inputs}
        links = {
            id(node): (node._out, [id(edge) for edge in node._edges])
            for node in _behind(roots, given)
            if node not in given
        }
        numbers = dict.fromkeys(map(id, roots))
        roots.clear()
        result = mapped(self._output, result)
        for number in (queue := list(numbers)):
            out, behind = links.get(number, (None, ()))
            handle = out() if isinstance(out, ref) else None
            if handle is not None and id(handle._node) == number:  # it was not made inside
                self._inputs.append(_handle(handle.data, handle._node))
            else:
                queue.extend(n for n in dict.fromkeys(behind) if n not in numbers)
                numbers.update(dict.fromkeys(behind))
        self._ends = tuple(dict.fromkeys(x._node for x in self._inputs))
        for y in () if self._ends else _connected(result):
            y._node = None
        return result

    def _output(self, y: Any) -> Any:
        if not isinstance(y, Variable) or y._node is None:
            return y
        handle = _handle(y._data, None)
        handle._node = Output(self, len(self._out), handle)
        self._out.append((ref(handle), y.shape, y.dtype))
        return handle

    def _cut(self) -> None:
        super()._cut()
        self.call = None

    def _pull_general(self, g: Any, sweep: Sweep, keep: bool) -> None:
        """Record the inside again and leave ``g`` at its end: the sweep goes on through it."""
        if self.call is None:
            return
        if self.call is RELEASED:
            raise _released(self)
        f, given = self.call
        args, kwargs = mapped(_twin, given)
        for x in self._inputs[self.given :]:
            handle = x._node._out()
            if handle is not None and handle._node is x._node and handle._data is not x._data:
                name = handle.name or "a Variable"
                msg = f"checkpoint: {name} was given other data since the call"
                raise RuntimeError(msg)
        with enable_grad(), using_config("train", self.train), replayed(self.random):
            ys = list(_connected(f(*args, **kwargs)))
        if not keep:
            self.call, self._inputs = RELEASED, []
        same = [y.shape for y in ys] == [shape for _, shape, _ in self._out]
        if not same or any(y._node._rank >= self._rank for y in ys):
            msg = "checkpoint: the function did something else when it was called again"
            raise RuntimeError(msg)
        if sweep.wanted is not None:
            inside = _behind([y._node for y in ys], set(self._ends))
            for node in sorted(inside, key=lambda node: node._rank):
                if not sweep.wanted.isdisjoint(node._edges):
                    sweep.wanted.add(node)
        for y, gy in zip(ys, g, strict=True):
            if gy is not None and (sweep.wanted is None or y._node in sweep.wanted):
                deliver(sweep, y._node, gy)


def _connected(tree: Tree) -> Iterator[Variable]:
    """The Variables in ``tree`` whose gradient is wanted."""
    return (x for _, x in flat(tree) if isinstance(x, Variable) and x._node is not None)


def _twin(x: Any) -> Any:
    """A handle of its own, which a later assignment to ``x`` does not reach."""
    return _handle(x.data, x._node) if isinstance(x, Variable) else x


def _behind(roots: Iterable[Any], ends: set[Any]) -> list[Any]:
    """``roots`` and the nodes behind them, but none beyond ``ends``."""
    found = list(dict.fromkeys(roots))
    seen = set(found)
    for node in found:
        for edge in () if node in ends else node._edges:
            if edge not in seen:
                seen.add(edge)
                found.append(edge)
    return found


def random_state() -> tuple[dict[str, Any] | None, Any]:
    """The state of the package's randomness and of NumPy's global generator."""
    return random.get_state() if random.seeded() else None, np.random.get_state()


@contextmanager
def replayed(state: tuple[dict[str, Any] | None, Any]) -> Iterator[None]:
    """The random numbers that followed ``state``; those that are due now come afterwards."""
    now = random_state()
    try:
        _set(*state)
        yield
    finally:
        _set(*now)


def _set(ours: dict[str, Any] | None, numpys: Any) -> None:
    if ours is not None:
        random.set_state(ours)
    elif random.seeded():
        random.seed(None)
    np.random.set_state(numpys)
