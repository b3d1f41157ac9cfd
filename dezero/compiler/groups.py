"""Which steps of a program form a chain that can run as one loop over the elements."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ..backends.base import normalized_axes
from .program import Step, Value, leaves

__all__ = ["ELEMENTWISE", "REDUCTIONS", "Group", "grouped", "is_barrier", "reduced_axes"]

# Each element of the result depends on the same element of the operands, which are broadcast.
_NAMES = """
    abs acos acosh add add_into asin asinh atan atan2 atanh bitwise_and bitwise_invert bitwise_or
    bitwise_xor ceil copysign cos cosh divide equal exp expm1 floor greater greater_equal hypot
    isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp logical_and logical_not
    logical_or logical_xor maximum minimum multiply negative not_equal only positive pow reciprocal
    sign signbit sin sinh sqrt square subtract tan tanh trunc where xdivy
"""
ELEMENTWISE = frozenset(_NAMES.split())
REDUCTIONS = frozenset(("sum", "max", "min"))
_VIEWS = frozenset(("reshape", "expand_dims", "squeeze", "get_item"))
_CHECKS = frozenset(("check_labels", "check_not"))  # raise, and change nothing
_LONGEST = 500  # steps that are looked at together: the time for them grows as their square

# What a value of a group is: of the group's shape; one number a row, with the dimensions of length
# 1 or without; complete only after the last element.
FULL, ROW, SHORT, FINAL = "full", "row", "short", "final"


class Group:
    """Steps that run as one loop over the elements of ``shape``.

    It may run at the place of its last step: what its steps need from outside is there by then, and
    nothing that needs one of its results stands before it in what `grouped` returns.

    Attributes:
        shape: The shape that the loop goes over.
        steps: In order. Elementwise ones give values of ``shape``, or of one number a row.
            Reductions of values of ``shape`` go over the trailing axes (one number a row, which
            later steps of the group may use), or over the leading axes or all of them (complete
            after the loop; no step of the group uses it).
        trailing: How many axes a row has; 0 if no step needs a row as a whole.
        lead: How many leading axes the loop may be cut along: reductions need the rest in a piece.
        roles: For each value made here ``"full"``, ``"row"`` (``shape`` with the trailing axes of
            length 1), ``"short"`` (without them), or ``"final"`` (a reduction's, after the loop).
        inputs: The values from outside that the steps use, each once.
        outputs: The values made here that are used outside.
    """

    def __init__(self, shape: tuple[int, ...], number: int) -> None:
        self.shape = shape
        self.steps: list[Step] = []
        self.trailing = 0
        self.lead = len(shape)
        self.roles: dict[Value, str] = {}
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self._places: list[int] = []
        self._bits = 1 << number  # the groups that have become this one
        self._above = 0  # the groups that it depends on
        self._needs: dict[Any, None] = {}  # the nodes outside that it uses

    def __repr__(self) -> str:
        return f"<group {self.shape}: {' '.join(step.name for step in self.steps)}>"


class _Single:
    """A step that is in no group."""

    def __init__(self, step: Step, place: int) -> None:
        self.steps, self._places = [step], [place]
        self._bits = self._above = 0
        self._needs: dict[Any, None] = {}


def is_barrier(step: Step) -> bool:
    """Whether nothing may move past a step: it may write to arrays that others read."""
    return step.effect and step.name not in _CHECKS


def reduced_axes(step: Step) -> tuple[int, ...] | None:
    """The axes of a reduction, sorted; None if it is none that a group can hold.

    It can hold sums and extrema of real floating-point numbers in their own dtype.
    """
    x = step.args[0] if step.args else None
    y = step.result
    if step.name not in REDUCTIONS or not isinstance(x, Value) or not isinstance(y, Value):
        return None
    names = ("axis", "dtype", "keepdims") if step.name == "sum" else ("axis", "keepdims")
    given = dict(zip(names, step.args[1:], strict=False)) | step.kwargs
    if given.get("dtype") is not None or not _is_real(x.dtype) or y.dtype != x.dtype:
        return None
    if given.keys() - set(names):
        return None
    return tuple(sorted(normalized_axes(given.get("axis"), len(x.shape))))


def _is_real(dtype: Any) -> bool:
    return str(dtype).rpartition(".")[2] in ("float32", "float64")


def _is_elementwise(step: Step, names: Collection[str]) -> bool:
    return (
        step.name in names
        and isinstance(step.result, Value)
        and not step.kwargs
        and not step.effect
        and all(isinstance(arg, (Value, bool, int, float)) for arg in step.args)
    )


def grouped(
    steps: Iterable[Step],
    needed: Collection[Value],
    *,
    names: Collection[str] = ELEMENTWISE,
    least: int = 1,
    most: int | None = None,
    fits: Callable[[Step], bool] = lambda step: True,
) -> list[Step | Group]:
    """The steps in an order in which they can run, those that form a chain as Groups.

    Effects keep their order, and nothing moves past a barrier. A chain has 500 steps at most.

    Args:
        steps: The steps of a program.
        needed: The values that are needed in the end.
        names: The elementwise functions that a Group can hold.
        least: The fewest numbers of a Group's shape.
        most: The most numbers that a reduction may need in a piece; None: no reductions.
        fits: Whether a step may be in a Group.
    """
    result: list[Step | Group] = []
    part: list[Step] = []
    all_steps = list(steps)
    users: dict[Value, list[Step]] = {}
    for step in all_steps:
        for value in {*leaves(step.args), *leaves(step.kwargs)}:
            users.setdefault(value, []).append(step)
    for step in all_steps:
        if is_barrier(step) or len(part) == _LONGEST:
            result += _Segment(names, least, most, fits).run(part)
            part = []
        if is_barrier(step):
            result.append(step)
        else:
            part.append(step)
    result += _Segment(names, least, most, fits).run(part)
    for group in result:
        if isinstance(group, Group):
            own = set(group.steps)
            group.outputs = [
                v
                for v in group.roles
                if v in needed or any(step not in own for step in users.get(v, ()))
            ]
            used = dict.fromkeys(v for step in group.steps for v in leaves(step.args))
            group.inputs = [v for v in used if v not in group.roles]
    return result


class _Segment:
    """Grouping of steps among which there is no barrier."""

    def __init__(
        self,
        names: Collection[str],
        least: int,
        most: int | None,
        fits: Callable[[Step], bool],
    ) -> None:
        self.names, self.least, self.most, self.fits = names, least, most, fits
        self.nodes: dict[Any, None] = {}
        self.maker: dict[Value, Any] = {}
        self.readers: dict[Value, Any] = {}  # the newest group that reads a value from outside
        self.groups: list[Group] = []  # by their first bit; a merged one's place has the other

    def run(self, steps: list[Step]) -> list[Step | Group]:
        last_effect: Any = None
        dicts: dict[Value, Any] = {}
        for place, step in enumerate(steps):
            used = {*leaves(step.args), *leaves(step.kwargs)}
            after = [dicts[v] for v in sorted(used, key=lambda v: v.number) if v in dicts]
            if step.effect and last_effect is not None:
                after.append(last_effect)
            node: Any = None if after or step.effect else self.placed(step, place)
            if node is None:
                node = _Single(step, place)
                self.connect(node, step, after)
                self.nodes[node] = None
            for value in leaves(step.result):
                self.maker[value] = node
            for value in used:
                if value.dtype is dict:
                    dicts[value] = node
            if step.effect:
                last_effect = node
        return self.ordered()

    # --- which group a step is in --------------------------------------------------------------

    def placed(self, step: Step, place: int) -> Group | None:
        """The group that a step is put into; None if it fits into none."""
        if not self.fits(step):
            return None
        values = [v for v in step.args if isinstance(v, Value)]
        near = dict.fromkeys(node for v in values if isinstance(node := self.maker.get(v), Group))
        joined: Group | None = None
        for group in sorted(near, key=lambda group: -group._places[-1]):
            if joined is not None:
                joined = self.merged(joined, group) or joined
            elif (role := self.role(group, step)) and self.is_free(group, values):
                joined = group
                self.take(group, step, place, role)
        if joined is None:
            shape = self.own_shape(step)
            if shape is None:
                return None
            joined = Group(shape, len(self.groups))
            self.groups.append(joined)
            self.nodes[joined] = None
            role = self.role(joined, step)
            if not role:
                del self.nodes[joined]
                return None
            self.take(joined, step, place, role)
        for value in values:
            other = self.readers.get(value)
            if other is not None and other is not joined and other in self.nodes:
                joined = self.merged(other, joined) or joined
        for value in values:
            if value not in joined.roles and value.shape == joined.shape:
                self.readers[value] = joined
        return joined

    def own_shape(self, step: Step) -> tuple[int, ...] | None:
        """The shape of the group that a step would begin."""
        if _is_elementwise(step, self.names):
            shape = step.result.shape
        elif self.most is not None and reduced_axes(step):
            shape = step.args[0].shape
        else:
            return None
        return shape if math.prod(shape) >= max(self.least, 1) else None

    def role(self, group: Group, step: Step) -> str:
        """What the result of a step would be in a group; empty if it does not fit in."""
        y = step.result
        own = [group.roles[v] for v in step.args if isinstance(v, Value) and v in group.roles]
        if FINAL in own:
            return ""
        if _is_elementwise(step, self.names):
            if y.shape == group.shape:
                return "" if SHORT in own else FULL
            if not own or FULL in own:
                return ""
            return own[0] if self.row_shape(group, own[0]) == y.shape and len({*own}) == 1 else ""
        if step.name in _VIEWS and isinstance(y, Value) and len(own) == 1 and own[0] != FULL:
            if step.name == "get_item" and not _only_new_axes(step.args[1]):
                return ""
            return next((r for r in (ROW, SHORT) if self.row_shape(group, r) == y.shape), "")
        axes = reduced_axes(step)
        if self.most is None or not axes or step.args[0].shape != group.shape:
            return ""
        return self.reduction(group, axes, y.shape)

    def reduction(self, group: Group, axes: tuple[int, ...], shape: tuple[int, ...]) -> str:
        ndim, count = len(group.shape), len(axes)
        if axes == tuple(range(count)):  # leading axes, or all
            rest = math.prod(group.shape[count:])
            return FINAL if count == ndim or rest <= (self.most or 0) else ""
        if axes != tuple(range(ndim - count, ndim)) or group.trailing not in (0, count):
            return ""
        if math.prod(group.shape[ndim - count :]) > (self.most or 0):
            return ""
        return ROW if len(shape) == ndim else SHORT

    def row_shape(self, group: Group, role: str) -> tuple[int, ...] | None:
        n = group.trailing
        if not n:
            return None
        return group.shape[:-n] + ((1,) * n if role == ROW else ())

    def take(self, group: Group, step: Step, place: int, role: str) -> None:
        """Put a step into a group."""
        group.steps.append(step)
        group._places.append(place)
        group.roles[step.result] = role
        if step.name in REDUCTIONS:
            count = len(reduced_axes(step) or ())
            if role != FINAL:
                group.trailing = count
                group.lead = min(group.lead, len(group.shape) - count)
            elif count < len(group.shape):
                group.lead = min(group.lead, count)
        self.connect(group, step, [])

    # --- dependencies --------------------------------------------------------------------------

    def connect(self, node: Any, step: Step, after: list[Any]) -> None:
        for value in (*leaves(step.args), *leaves(step.kwargs)):
            maker = self.maker.get(value)
            if maker is not None and maker is not node:
                after = [*after, maker]
        for other in after:
            node._needs[other] = None
            node._above |= other._above | other._bits

    def closed(self, bits: int) -> int:
        """The groups named by ``bits`` and all that they depend on."""
        seen, rest = bits, bits
        while rest:
            number = rest.bit_length() - 1
            above = self.groups[number]._above
            rest &= ~(1 << number)
            rest |= above & ~seen
            seen |= above
        return seen

    def is_free(self, group: Group, values: list[Value]) -> bool:
        """Whether none of the values depends on a group through what is outside of it."""
        bits = 0
        for value in values:
            node = self.maker.get(value)
            if node is not None and node is not group:
                bits |= node._above | node._bits
        return not self.closed(bits) & group._bits

    def merged(self, first: Group, second: Group) -> Group | None:
        """Both as one, in ``first``; None if they do not fit, or one needs the other indirectly."""
        if first is second or first.shape != second.shape:
            return None
        if first.trailing and second.trailing and first.trailing != second.trailing:
            return None
        for a, b in ((first, second), (second, first)):
            for step in a.steps:
                for v in leaves(step.args):
                    role = b.roles.get(v, FULL)
                    spread = role == ROW and a.roles[step.result] == FULL
                    if not spread and role not in (FULL, a.roles[step.result]):
                        return None
            bits = 0
            for node in a._needs:
                if node is not b:
                    bits |= node._above | node._bits
            if self.closed(bits) & b._bits:
                return None
        pairs = [*zip(first._places, first.steps, strict=True)]
        pairs += zip(second._places, second.steps, strict=True)
        pairs.sort(key=lambda pair: pair[0])
        first._places, first.steps = [p for p, _ in pairs], [s for _, s in pairs]
        first.roles = {s.result: (first.roles | second.roles)[s.result] for s in first.steps}
        first.trailing = max(first.trailing, second.trailing)
        first.lead = min(first.lead, second.lead)
        first._bits |= second._bits
        first._above = (first._above | second._above) & ~first._bits
        first._needs |= second._needs
        first._needs = {n: None for n in first._needs if n is not first and n is not second}
        del self.nodes[second]
        for number, group in enumerate(self.groups):
            if group is second:
                self.groups[number] = first
        for value, node in self.maker.items():
            if node is second:
                self.maker[value] = first
        for node in self.nodes:
            if second in node._needs:
                del node._needs[second]
                node._needs[first] = None
        return first

    def ordered(self) -> list[Step | Group]:
        """The nodes in an order in which they can run, as near to the program's as it can be."""
        order = {node: node._places[-1] for node in self.nodes}
        waiting = {node: len(node._needs) for node in self.nodes}
        users: dict[Any, list[Any]] = {}
        for node in self.nodes:
            for other in node._needs:
                users.setdefault(other, []).append(node)
        ready = [(order[node], i, node) for i, node in enumerate(order) if not waiting[node]]
        heapq.heapify(ready)
        result: list[Step | Group] = []
        while ready:
            _, _, node = heapq.heappop(ready)
            is_chain = isinstance(node, Group) and len(node.steps) > 1
            result.append(node if is_chain else node.steps[0])
            for user in users.get(node, ()):
                waiting[user] -= 1
                if not waiting[user]:
                    heapq.heappush(ready, (order[user], len(order) + len(result), user))
        return result


def _only_new_axes(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return all(part is None or part is Ellipsis or part == slice(None) for part in parts)
