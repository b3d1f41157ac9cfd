"""Places for the nodes of a directed graph in layers, after Sugiyama.

References:
    Kozo Sugiyama, Shôjirô Tagawa, Mitsuhiko Toda, "Methods for Visual Understanding of Hierarchical
    System Structures", 1981, https://doi.org/10.1109/TSMC.1981.4308636
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise

__all__ = ["layered"]

_SWEEPS = 6
_GAP = 18.0  # between neighbours in a layer
_MOST_BENDS = 20_000  # more make the layout slow, and the picture is unreadable anyway

Edge = tuple[Hashable, Hashable]


def layered(
    widths: Mapping[Hashable, float], edges: Sequence[Edge]
) -> tuple[dict[Hashable, tuple[float, int]], dict[Edge, list[tuple[float, int]]]]:
    """Middles ``x`` and layers of the nodes, and where edges pass the layers between.

    Layers are numbered from the top, and edges go downwards. A node without predecessors stands
    right above the first of its successors.

    Args:
        widths: Of the nodes.
        edges: Pairs of nodes; there is no circle.

    Returns:
        ``(x, layer)`` by node; and by edge the places that it bends at, from above.

    Example:
        >>> layered({"a": 30, "b": 30, "y": 30}, [("a", "y"), ("b", "y")])[0]
        {'a': (15.0, 0), 'b': (63.0, 0), 'y': (39.0, 1)}
    """
    edges = list(dict.fromkeys(edges))
    layer = _layers(list(widths), edges)
    size = dict(widths)
    above: dict[Hashable, list[Hashable]] = {node: [] for node in size}
    below: dict[Hashable, list[Hashable]] = {node: [] for node in size}
    bends: dict[Edge, list[Hashable]] = {}
    bending = sum(layer[b] - layer[a] - 1 for a, b in edges) <= _MOST_BENDS
    for a, b in edges:
        chain: list[Hashable] = [a]
        for number in range(layer[a] + 1, layer[b]) if bending else ():
            bend = (a, b, number)
            size[bend], layer[bend] = 2.0, number
            above[bend], below[bend] = [], []
            chain.append(bend)
        chain.append(b)
        bends[a, b] = chain[1:-1]
        for one, other in pairwise(chain):
            below[one].append(other)
            above[other].append(one)
    rows: list[list[Hashable]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in size:
        rows[layer[node]].append(node)
    _order(rows, above, below)
    x = _spread(rows, size, above, below)
    places = {node: (x[node], layer[node]) for node in widths}
    return places, {edge: [(x[b], layer[b]) for b in chain] for edge, chain in bends.items()}


def _layers(nodes: list[Hashable], edges: list[Edge]) -> dict[Hashable, int]:
    """The longest path to each node; those that nothing leads to are moved down."""
    after: dict[Hashable, list[Hashable]] = {node: [] for node in nodes}
    waiting = dict.fromkeys(nodes, 0)
    for a, b in edges:
        after[a].append(b)
        waiting[b] += 1
    layer = dict.fromkeys(nodes, 0)
    sources = [node for node in nodes if not waiting[node]]
    ready = list(sources)
    for node in ready:
        for other in after[node]:
            layer[other] = max(layer[other], layer[node] + 1)
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    for node in sources:
        if after[node]:
            layer[node] = min(layer[other] for other in after[node]) - 1
    return layer


def _order(
    rows: list[list[Hashable]],
    above: Mapping[Hashable, list[Hashable]],
    below: Mapping[Hashable, list[Hashable]],
) -> None:
    """Sort each row by the mean place of its nodes' neighbours, down and up, for few crossings."""
    place = {node: float(i) for row in rows for i, node in enumerate(row)}
    for sweep in range(_SWEEPS):
        near = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            means = {
                node: sum(place[n] for n in near[node]) / len(near[node])
                if near[node]
                else place[node]
                for node in row
            }
            row.sort(key=means.__getitem__)
            for i, node in enumerate(row):
                place[node] = float(i)


def _spread(
    rows: list[list[Hashable]],
    size: Mapping[Hashable, float],
    above: Mapping[Hashable, list[Hashable]],
    below: Mapping[Hashable, list[Hashable]],
) -> dict[Hashable, float]:
    """Places along the rows: near the mean of the neighbours, in order, without overlaps."""
    x: dict[Hashable, float] = {}
    for row in rows:
        right = 0.0
        for node in row:
            x[node] = right + size[node] / 2
            right += size[node] + _GAP
    for sweep in range(2 * _SWEEPS):
        for row in reversed(rows) if sweep % 2 else rows:
            wanted = []
            for node in row:
                near = above[node] + below[node]
                wanted.append(sum(x[n] for n in near) / len(near) if near else x[node])
            for node, middle in zip(row, _apart(wanted, [size[n] for n in row]), strict=True):
                x[node] = middle
    left = min((x[node] - size[node] / 2 for node in x), default=0.0)
    return {node: middle - left for node, middle in x.items()}


def _apart(wanted: list[float], sizes: list[float]) -> list[float]:
    """The places nearest to ``wanted``, by least squares, that keep order and distance.

    Less the room that the sizes take, that is a regression to ascending numbers: neighbours in the
    wrong order are given their mean until there are none.
    """
    offsets, offset = [], 0.0
    for i, width in enumerate(sizes):
        offset += 0.0 if i == 0 else sizes[i - 1] / 2 + _GAP + width / 2
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []
    for place, room in zip(wanted, offsets, strict=True):
        mean, count = place - room, 1
        while blocks and blocks[-1][0] > mean:
            before, several = blocks.pop()
            mean = (before * several + mean * count) / (several + count)
            count += several
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    return [mean + room for mean, room in zip(means, offsets, strict=True)]
