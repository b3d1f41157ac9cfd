"""One call of a function with inputs of its own, and the way back from its outputs to them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import functions as F
from .backends import backend_of, mixed
from .config import enable_grad, recording
from .core import Function, Variable, _handle, as_array, sweep
from .graph import newest_first
from .nested import Tree, filled, flat, mapped

__all__ = ["Call", "Entry", "check_argnums", "check_inexact", "check_scalar", "is_complex"]
__all__ += ["matched", "or_zeros", "outputs", "paths", "pulled"]


class Entry(Function):
    """A Variable of an outer computation as an input of an inner one, on a node of its own."""

    def forward(self, x: Any) -> Any:
        return x

    def backward(self, *gys: Variable) -> Variable:
        return gys[0]


class Call:
    """A call of ``f`` with inputs of its own.

    Attributes:
        xs: The inputs: the arrays among the arguments at ``argnums``, in order.
        ys: The arrays of the result, in order.
        open: Whether a gradient depends on something else that wants one.
        record: Whether the result is to be differentiable itself.
    """

    def __init__(
        self,
        where: str,
        f: Callable[..., Any],
        args: Sequence[Tree],
        kwargs: dict[str, Any],
        argnums: int | Sequence[int],
        create_graph: bool | None = None,
    ) -> None:
        self.where = where
        self.single = not isinstance(argnums, Sequence)
        places = [_place(where, i, len(args)) for i in _sequence(argnums)]
        if len(set(places)) < len(places):
            msg = f"{where}: argnums {argnums} names an argument twice"
            raise ValueError(msg)
        self.trees = [args[i] for i in places]
        connect = recording() if create_graph is None else create_graph
        self.xs = [
            _entered(name, x, connect)
            for i in places
            for name, x in flat(args[i], f"{where}: argument {i}")
        ]
        entered, given = iter(self.xs), list(args)
        for i in places:
            given[i] = filled(args[i], entered)
        with enable_grad():
            self.result = f(*given, **kwargs)
        self.ys = outputs(f"{where}: the output of f", self.result)
        self.way = paths(self.ys, self.xs)
        self.open = not self.way[1]
        self.record = bool(create_graph or (connect and self.open))

    def scalar(self) -> Variable:
        """The result, which must be one real number."""
        if not isinstance(self.result, Variable):
            msg = f"{self.where}: f returned {type(self.result)}, expected a Variable"
            raise TypeError(msg)
        check_scalar(f"{self.where}: the output of f", self.result, "use jacobian or vjp")
        return self.result

    def value(self) -> Tree:
        """The result, without its graph unless that leads on to something outside."""
        return self.result if self.record else mapped(Variable.detach, self.result)

    def records(self, gs: list[Variable]) -> bool:
        """Whether a sweep that starts with ``gs`` is to be recorded."""
        return recording() and (self.open or any(g.requires_grad for g in gs))

    def pulled(self, gs: list[Variable], record: bool, keep: bool) -> list[Variable | None]:
        """The gradients of the inputs, None where the outputs do not depend on one."""
        return pulled(self.ys, gs, self.xs, record, keep, self.way)

    def rows(self, y: Variable) -> list[Variable]:
        """The Jacobian of one output with respect to each input."""
        xp, size, way = backend_of(y._data), math.prod(y.shape), paths([y], self.xs)
        place = xp.arange(size, device=xp.device(y._data))
        parts = []
        for unit in (1.0, 1j) if is_complex(y) else (1.0,):
            rows = []
            for k in range(size):
                seed = xp.reshape(xp.astype(place == k, y.dtype) * unit, y.shape)
                found = pulled([y], [_handle(seed, None)], self.xs, self.record, True, way)
                rows.append(or_zeros(found, self.xs))
            columns = zip(*rows, strict=True) if rows else [()] * len(self.xs)
            parts.append([_stacked(c, y, x) for c, x in zip(columns, self.xs, strict=True)])
        if len(parts) == 1:
            return parts[0]
        return [
            F.astype(a, y.dtype) + F.astype(b, y.dtype) * 1j for a, b in zip(*parts, strict=True)
        ]

    def like_arguments(self, found: Sequence[Any]) -> Any:
        """What was found for the inputs, zeros for None, in the structure of the arguments."""
        values = iter(or_zeros(found, self.xs))
        result = tuple(filled(tree, values) for tree in self.trees)
        return result[0] if self.single else result


def _entered(name: str, x: Any, connect: bool) -> Variable:
    """A Variable with the array ``x``: a new leaf, or one that leads back to ``x``."""
    data = x.data if isinstance(x, Variable) else as_array(x)
    try:
        backend_of(data)
    except TypeError:
        msg = f"{name} is {type(data)}, expected an array, a float or a Variable"
        raise TypeError(msg) from None
    check_inexact(name, data)
    if connect and isinstance(x, Variable) and x._node is not None:
        return Entry()(x)
    return Variable(data)


def paths(ys: Sequence[Variable | None], xs: Sequence[Variable]) -> tuple[set[Any], bool]:
    """The nodes between ``ys`` and ``xs``, and whether nothing else lies behind ``ys``."""
    found = {x._node for x in xs}
    lowest = min((node._rank for node in found), default=0)
    closed = all(node._rank == 0 for node in found)
    roots = [y._node for y in ys if y is not None and y._node is not None]
    for node in reversed(newest_first(roots, lowest)):
        inside = [edge in found for edge in node._edges]
        closed = closed and all(inside)
        if any(inside):
            found.add(node)
    return found, closed and found.issuperset(roots)


def pulled(
    ys: Sequence[Variable | None],
    gs: Sequence[Variable],
    xs: Sequence[Variable],
    record: bool,
    keep: bool,
    way: tuple[set[Any], bool] | None = None,
) -> list[Variable | None]:
    """The gradients at ``xs`` for those at ``ys``, None where no ``y`` depends on one.

    Args:
        ys: Where to start; None for a start that there is not.
        gs: The gradients to start with.
        xs: Where to arrive.
        record: Record the sweep.
        keep: Keep what the nodes saved.
        way: What `paths` gave for ``ys`` and ``xs``, if that is known.
    """
    nodes, closed = way or paths(ys, xs)
    seeds: list[tuple[Any, Any]] = [
        (y._node, g if record else g.data)
        for y, g in zip(ys, gs, strict=True)
        if y is not None and y._node in nodes
    ]
    targets = [x._node for x in xs]
    if not seeds:
        return [None] * len(targets)
    # The sweep hands back leaves anyway; to look at every node on the way costs time.
    looked = None if all(node._rank == 0 for node in targets) else dict.fromkeys(targets)
    leaves, _ = sweep(seeds, record, keep, None if closed else set(nodes), targets=looked)
    found = leaves if looked is None else looked
    return [None if found.get(node) is None else _own(found[node]) for node in targets]


def _own(g: Any) -> Variable:
    """A gradient as a Variable whose memory nothing else shares."""
    data, node = (g._data, g._node) if isinstance(g, Variable) else (g, None)
    return _handle(backend_of(data).copy(data), node)


def or_zeros(found: Sequence[Any], xs: Sequence[Variable]) -> list[Any]:
    """``found`` with zeros in place of None."""
    return [F.zeros_like(x) if g is None else g for g, x in zip(found, xs, strict=True)]


def _stacked(rows: Sequence[Variable], y: Variable, x: Variable) -> Variable:
    if not rows:
        rows = [F.zeros_like(x)]
        return F.reshape(F.stack(rows)[:0], (*y.shape, *x.shape))
    return F.reshape(F.stack(rows), (*y.shape, *x.shape))


# --- what is checked ------------------------------------------------------------------------------


def outputs(name: str, result: Tree) -> list[Variable]:
    """The Variables in the result of a function."""
    found: list[tuple[str, Any]] = [(name, None)] if result is None else list(flat(result, name))
    for path, y in found:
        if not isinstance(y, Variable):
            msg = f"{path} is {type(y)}, expected a Variable computed from the arguments"
            raise TypeError(msg)
        check_inexact(path, y)
    return [y for _, y in found]


def matched(name: str, given: Tree, like: Tree, xs: list[Variable]) -> list[Variable]:
    """The arrays in ``given``, in the structure of ``like`` and the shapes and dtypes of ``xs``."""
    result = []
    for (path, g), x in zip(flat(given, name, like), xs, strict=True):
        xp = backend_of(x._data)
        if isinstance(g, (bool, int, float, complex, np.generic)):
            g = xp.asarray(g, device=xp.device(x._data))
        data = g._data if isinstance(g, Variable) else g
        try:
            same = backend_of(data) is xp
        except TypeError:
            msg = f"{path} is {type(g)}, expected an array of shape {x.shape}"
            raise TypeError(msg) from None
        if not same:
            raise mixed(path, data, x._data)
        if data.shape != x.shape:
            msg = f"{path} has shape {data.shape}, expected {x.shape}"
            raise ValueError(msg)
        if xp.is_complex(data.dtype) and not is_complex(x):
            msg = f"{path} is {data.dtype}, expected a real dtype as {x.dtype}"
            raise TypeError(msg)
        g = g if isinstance(g, Variable) else _handle(data, None)
        result.append(g if g.dtype == x.dtype else F.astype(g, x.dtype))
    return result


def is_complex(x: Variable) -> bool:
    """Whether ``x`` has a complex dtype."""
    return backend_of(x._data).is_complex(x.dtype)


def check_inexact(name: str, x: Any) -> None:
    """Raise TypeError unless ``x`` has a dtype that can be differentiated."""
    if not backend_of(x._data if isinstance(x, Variable) else x).is_inexact(x.dtype):
        msg = f"{name} is {x.dtype}, expected a floating-point dtype"
        raise TypeError(msg)


def check_scalar(name: str, y: Variable, hint: str) -> None:
    """Raise ValueError or TypeError unless ``y`` is one real number."""
    if math.prod(y.shape) != 1:
        msg = f"{name} has shape {y.shape}, expected one element; {hint}, or sum it"
        raise ValueError(msg)
    if is_complex(y):
        msg = f"{name} is {y.dtype}, expected a real number; take its real part or abs"
        raise TypeError(msg)


def _sequence(argnums: Any) -> Sequence[int]:
    return argnums if isinstance(argnums, Sequence) else (argnums,)


def check_argnums(where: str, argnums: Any) -> None:
    """Raise TypeError unless ``argnums`` is an integer or a sequence of them."""
    if not all(isinstance(i, (int, np.integer)) for i in _sequence(argnums)):
        msg = f"{where}: argnums is {argnums!r}, expected integers; call {where}(f)(x)"
        raise TypeError(msg)


def _place(where: str, i: int, n: int) -> int:
    if not -n <= i < n:
        msg = f"{where}: argnums has {i}, but there are {n} positional arguments"
        raise ValueError(msg)
    return operator.index(i) % n
