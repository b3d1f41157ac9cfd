"""The graph's nodes and the backward sweep over them.

An edge is a node: a `Leaf`, a Function, or one `Output` of a Function of several. Edges point to
what came before, and nodes know their results only weakly, so reference counting frees a graph.
What flows along the edges is of no concern here: raw arrays, or Variables if the sweep is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any
from weakref import ref

from numpy import ndarray

from .backends import backend_of, by_type

__all__ = ["Leaf", "Output", "Sweep", "Watch", "between", "closed", "deliver"]
__all__ += ["newest_first", "run"]


class Watch:
    """What a node does with its gradient beside passing it on."""

    __slots__ = ("hooks", "leaf", "retained")

    def __init__(self) -> None:
        self.hooks: dict[object, Callable[[Any], Any]] = {}
        self.leaf: Leaf | None = None  # what stands here since the Variable was unchained
        self.retained = False


class Leaf:
    """The end of the graph at a Variable that no operation made."""

    __slots__ = ("_out", "_watch")
    _rank = 0

    def __init__(self, handle: Any) -> None:
        self._out = ref(handle)
        self._watch: Watch | None = None

    @property
    def _edges(self) -> tuple[Any, ...]:
        return ()

    def _handles(self) -> Iterator[Any]:
        """The Variable, if it is still there."""
        handle = self._out()
        if handle is not None:
            yield handle


class Output(Leaf):
    """One of several outputs of a Function, as a node of its own."""

    __slots__ = ("_rank", "function", "index")

    def __init__(self, function: Any, index: int, handle: Any) -> None:
        super().__init__(handle)
        self.function = function
        self.index = index
        self._rank = function._rank + 1

    @property
    def _edges(self) -> tuple[Any, ...]:
        return () if self.function is None else (self.function,)

    def _cut(self) -> None:
        """Let gradients end here."""
        self.function = None

    def _pull(self, g: Any, sweep: Sweep, keep: bool) -> None:
        """Hand the gradient to the Function, which waits for those of all its outputs."""
        function = self.function
        if function is not None:
            gs = sweep.several.get(function)
            if gs is None:
                gs = sweep.several[function] = [None] * len(function._out)
                deliver(sweep, function, gs)
            other = gs[self.index]  # of another handle on the same output
            gs[self.index] = g if other is None else other + g

    _pull_general = _pull


class Sweep:
    """Gradients that wait. It belongs to one call, so threads do not meet.

    The table has an entry for each rank: None, a pair of a node and its gradient, or a dictionary
    of several; a dictionary for rank 0, the leaves.
    """

    __slots__ = ("owned", "record", "several", "table", "wanted")

    def __init__(self, top: int, record: bool, wanted: set[Any] | None) -> None:
        self.table: list[Any] = [None] * (top + 1)
        self.table[0] = {}
        self.record = record
        self.wanted = wanted
        self.owned: set[Any] = set()
        self.several: dict[Any, list[Any]] = {}


def deliver(sweep: Sweep, edge: Any, g: Any) -> None:
    """Leave the gradient ``g`` at ``edge``, added to what waits there.

    It is added in place only in memory that the sweep has made itself.
    """
    bucket = sweep.table[edge._rank]
    if bucket.__class__ is not dict:
        if bucket is None:
            sweep.table[edge._rank] = (edge, g)
            return
        bucket = sweep.table[edge._rank] = {bucket[0]: bucket[1]}
    old = bucket.get(edge)
    if old is None:
        bucket[edge] = g
    elif edge in sweep.owned:
        if old.__class__ is ndarray and old.dtype is g.dtype:
            old += g
            return
        bucket[edge] = (by_type.get(old.__class__) or backend_of(old)).add_into(old, g)
    else:
        bucket[edge] = old + g
        if not sweep.record:
            sweep.owned.add(edge)


def run(
    seeds: Iterable[tuple[Any, Any]],
    record: bool,
    keep: bool,
    general: bool,
    wanted: set[Any] | None,
    observed: Callable[[Any, Any], Any],
    look: bool,
) -> tuple[dict[Any, Any], set[Any]]:
    """Carry gradients from the seeds to the leaves, newest Functions first.

    Args:
        seeds: Pairs of a node and the gradient of its output.
        record: Gradients are Variables.
        keep: Functions keep their saved arrays.
        general: The seeds need `pull_general`: Variables, complex numbers, or ``wanted`` is set.
        wanted: The nodes to go through; None means all.
        observed: Called with a node that is watched and its gradient; returns the gradient.
        look: Every node is watched.

    Returns:
        The gradients of the leaves, and the nodes whose gradient is memory of the sweep's own.
    """
    seeds = list(seeds)
    top = max([node._rank for node, _ in seeds])
    lowest = min((node._rank for node in wanted), default=0) if wanted is not None else 0
    sweep = Sweep(top, record, wanted)
    for node, g in seeds:
        deliver(sweep, node, g)
    pop, special = sweep.table.pop, look or general
    for _ in repeat(None, top - max(lowest, 1) + 1):
        bucket = pop()
        if bucket.__class__ is tuple and not special:  # in less time than below
            node, g = bucket
            if node._watch is None:
                if node._pull(g, sweep, keep):
                    special = general = True
                continue
        while bucket:
            if bucket.__class__ is tuple:
                node, g = bucket
                bucket = None
            else:
                node, g = bucket.popitem()
            if (look or node._watch is not None) and g.__class__ is not list:
                if node._watch is not None and node._watch.leaf is not None:
                    deliver(sweep, node._watch.leaf, g)
                    continue
                g = observed(node, g)
            if general:
                if wanted is None or not wanted.isdisjoint(node._edges):  # else: only a target
                    node._pull_general(g, sweep, keep)
            elif node._pull(g, sweep, keep):  # it met complex numbers
                special = general = True
    leaves = sweep.table[0]
    for leaf in leaves:
        if look or leaf._watch is not None:
            leaves[leaf] = observed(leaf, leaves[leaf])
            sweep.owned.discard(leaf)  # a hook may hold it
    return leaves, sweep.owned


def newest_first(roots: Iterable[Any], lowest: int = 0) -> list[Any]:
    """The nodes behind ``roots`` and themselves, each once, newest first.

    Those of a rank up to ``lowest`` are left out; by default the leaves.
    """
    nodes = list(dict.fromkeys(n for n in roots if n is not None and n._rank > lowest))
    seen = set(nodes)
    for node in nodes:
        for edge in node._edges:
            if edge._rank > lowest and edge not in seen:
                seen.add(edge)
                nodes.append(edge)
    return sorted(nodes, key=lambda node: -node._rank)


def closed(nodes: set[Any]) -> bool:
    """Whether every edge of the nodes leads to one of them."""
    return all(nodes.issuperset(node._edges) for node in nodes)


def between(roots: Iterable[Any], targets: Iterable[Any]) -> set[Any]:
    """The nodes on a path from a root back to a target, both included."""
    found = set(targets)
    lowest = min((node._rank for node in found), default=0)
    for node in reversed(newest_first(roots, lowest)):
        if node not in found and any(edge in found for edge in node._edges):
            found.add(node)
    return found
