"""One call recorded: its program, where its arrays come from, and what goes where after a run."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .. import random, recomputation
from ..backends import backend_of, by_type
from ..calls import pulled
from ..config import no_grad, recording
from ..core import Function, Variable, _handle
from ..primitive import RELEASED
from .outside import Calls, Dice, Grads, State, Variables, exact, heal, held_by, reached
from .program import Program, Value, leaves, parts
from .trace import Trace, Traced, recorder

__all__ = ["Given", "Gradients", "Made", "Raw", "Recording", "Replayed", "difference", "flattened"]
__all__ += ["hooked", "kind"]

_CONSTANTS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, type)


def flattened(tree: Any, found: list[Any], objects: list[Any] | None = None) -> Any:
    """The structure of ``tree``, with its numbers and the identity of what is no array.

    The Variables and arrays in it are appended to ``found``, what else is no number to ``objects``.
    """
    own = type(tree)
    if own in (tuple, list):
        return (own, *[flattened(part, found, objects) for part in tree])
    if own is dict:
        return (
            own,
            *[(type(k), k, flattened(part, found, objects)) for k, part in tree.items()],
        )
    if issubclass(own, Variable) or (
        by_type.get(own) is not None and not issubclass(own, np.generic)
    ):
        found.append(tree)
        return own
    if isinstance(tree, _CONSTANTS):
        return (None, own, exact(tree))
    try:
        backend_of(tree)
    except TypeError:
        if objects is not None:
            objects.append(tree)
        return (None, own, id(tree))
    found.append(tree)
    return own


def kind(x: Any) -> tuple[Any, ...]:
    """All of a Variable or an array that a program depends on, but for its numbers."""
    if not issubclass(type(x), Variable):
        return (type(x), None, (), *_like(x))
    data = x.data
    if data is None:
        return (type(x), None)
    return (type(x), x._node is not None, hooked(x), *_like(data))


def hooked(x: Variable) -> tuple[int, ...]:
    """The hooks on a Variable's gradient, by their ids."""
    watch = None if x._node is None else x._node._watch
    return () if watch is None else tuple(map(id, watch.hooks.values()))


def _like(array: Any) -> tuple[Any, ...]:
    return type(array), tuple(array.shape), array.dtype, backend_of(array).device(array)


class _Keyed:
    """Compared by what `_key` gives."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and bool(self._key() == other._key())

    def _key(self) -> tuple[Any, ...]:
        raise NotImplementedError


class Made(_Keyed):
    """A Variable that the call has made and returns, or leaves as a gradient.

    Attributes:
        value: The Value of its array.
        name: Its name.
        grad: Another of this kind, for its gradient, or None.
        leaf: It is a leaf whose gradient is wanted.
        place: Which of the outputs with a gradient it is, or None.
    """

    def __init__(self, value: Value, name: str | None, grad: Made | None, leaf: bool) -> None:
        self.value, self.name, self.grad, self.leaf = value, name, grad, leaf
        self.place: int | None = None

    def _key(self) -> tuple[Any, ...]:
        return self.value.number, self.name, self.grad, self.leaf, self.place


class Raw(_Keyed):
    """An array that the call returns; ``scalar``: as NumPy's scalar."""

    def __init__(self, value: Value, scalar: bool) -> None:
        self.value, self.scalar = value, scalar

    def _key(self) -> tuple[Any, ...]:
        return self.value.number, self.scalar


class Given(NamedTuple):
    """A Variable or array of the arguments (``place``), or a Variable from outside (``owner``).

    ``grad``: the Variable that it has as gradient before the call.
    """

    place: int | None
    owner: Any
    grad: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and self._key() == other._key()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.place, id(self.owner), self.grad

    def order(self) -> tuple[Any, ...]:
        """What to sort by: arguments first."""
        return self.place is None, self.place or 0, id(self.owner), self.grad


class Gradients:
    """The way back from differentiable outputs: a program of its own.

    Attributes:
        program: From what the call kept and the outputs' gradients to those of `targets`.
        kept: Values of the call's program that it starts from.
        targets: The Variables that gradients go to.
        reached: For each, whether there is one.
    """

    def __init__(self) -> None:
        self.program = Program()
        self.kept: list[Value] = []
        self.targets: list[Given] = []
        self.reached: list[bool] = []


class _Update(_Keyed):
    """`Optimizer.update` as a step: gradients are put in place, parameters read after it."""

    def __init__(self, optimizer: Any, params: list[Variable]) -> None:
        self.optimizer, self.params = optimizer, params

    def _key(self) -> tuple[Any, ...]:
        return tuple(map(id, (self.optimizer, *self.params)))

    def __call__(self, datas: list[Any], grads: list[Any]) -> tuple[list[Any], list[Any]]:
        for param, data, grad in zip(self.params, datas, grads, strict=True):
            if data is not None:
                param.data = data
            param.grad = None if grad is None else _handle(grad, None)
        datas.clear()
        self.optimizer.update()
        after = [None if p.grad is None else p.grad._data for p in self.params]
        return [p.data for p in self.params], after


class Recording:
    """A call of ``f`` that is recorded while it runs.

    Attributes:
        result: What the call gave; an ordinary one, as if it had not been recorded.
        reason: Why it cannot be replayed, or None.
        settling: It has left something behind that a second call may not, such as parameters made
            on the first one: to be recorded again.
        program: What was recorded.
        sources: For each input of the program, where its array comes from.
        returned: The result with `Made`, `Raw` and `Given` in it.
        assigned: Variables from outside and the Values that they have after the call; whether their
            memory is written into.
        grads: Variables from outside and the gradients that they have after it.
        variables: The Variables from outside that it used, but for arguments, each with its `kind`
            before the call.
        grad_inputs: The gradients from before the call that it used, likewise.
        held_grads: Pairs of a Variable among these and arguments, and whether it had a gradient
            before; None: that makes no difference.
        backend: The backend of the arrays.
        gradients: The way back, where outputs are differentiable.
        state: What was reachable, before the call.
    """

    def __init__(self, f: Callable[..., Any], args: Any, kwargs: Any, state: State) -> None:
        self.trace = trace = Trace()
        self.state, self.settling = state, False
        self.sources: list[Given] = []
        self.returned: Any = None
        self.assigned: list[tuple[Given, Value, bool]] = []
        self.grads: list[tuple[Given, Made | Given | None]] = []
        self.variables: list[tuple[Variable, tuple[Any, ...]]] = []
        self.grad_inputs: list[tuple[Given, tuple[Any, ...]]] = []
        self.held_grads: list[tuple[Given, bool | None]] = []
        self.gradients: Gradients | None = None
        self.copies: dict[Value, Any] = {}
        self._mades: dict[int, Made] = {}
        self.result: Any = None
        self._place: dict[int, Traced] = {}  # what a host step has left in place already
        self._raw: dict[int, Traced] = {}
        self._graph: set[int] = set()
        self._copies: dict[int, tuple[Any, Any, Any]] = {}
        self._dice = Dice()
        if state.problem is not None:
            trace.problem(state.problem, placed=False)
        if gc.get_freeze_count():
            trace.problem("gc.freeze() was called: living Variables cannot be found", placed=False)
        found: list[Any] = []
        flattened((args, kwargs), found)
        self.arguments = found
        self.worn = Variables(trace)
        try:
            result = self._run(f, args, kwargs)
        except BaseException:
            self._let_go()
            raise
        if trace.draws and self._replays:
            trace.problem("random numbers within dezero.checkpoint, drawn again", placed=False)
        self.reason = trace.reason
        self.program = trace.program
        seen = list(trace.backends)
        self.backend = next((b for b in seen if b.name != "numpy"), seen[0] if seen else None)
        self._forget(result)
        self.arguments = []
        self.result = result

    # --- the call ---------------------------------------------------------------------------------

    def _run(self, f: Any, args: Any, kwargs: Any) -> Any:
        trace, worn = self.trace, self.worn
        with self._hooks():
            try:
                worn.enter()
                trace.start()
                raw = {
                    id(a): trace.wrap(a, None)
                    for a in self.arguments
                    if not isinstance(a, Variable)
                }
                self._raw = raw
                given = _exchanged((args, kwargs), raw, copies=self._copies)
                with Calls(trace), (grads := Grads(trace)):
                    result = f(*given[0], **given[1])
                self._read, self._written = grads.read, grads.written
                del given
                if any(map(_is_changed, self._copies.values())):
                    trace.problem("a list or dict among the arguments is changed", placed=False)
                if not self._replays and self._dice.thrown():
                    trace.problem(
                        "random numbers are drawn that are not of dezero.random", placed=False
                    )
                self._settle(result)
            finally:
                trace.stop()
                worn.leave()
                for x, copy, before in self._copies.values():
                    if _is_changed((x, copy, before)):
                        _fill(x, copy)
        return _exchanged(result, {}, bare=True)

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        """Let draws and updates be noted."""
        optimizers: Any = sys.modules.get("dezero.optimizers.optimizer")
        states = recomputation.random_state
        self._replays = False

        def noticed() -> Any:
            self._replays = True
            return states()

        random._recorded = self._drawn
        recomputation.random_state = noticed
        if optimizers is not None:
            optimizers._recorded = self._updated
        try:
            yield
        finally:
            random._recorded = None
            recomputation.random_state = states
            if optimizers is not None:
                optimizers._recorded = None

    def _drawn(self, function: Any, shape: Any) -> Any:
        trace = recorder()
        if trace is None:
            return None if function is None else function(shape)
        if function is None:
            if sys._getframe(2).f_globals.get("__name__") != recomputation.__name__:
                trace.problem(f"dezero.random.{shape} is called")
            return None
        trace.draws += 1
        if not self._replays and self._dice.thrown():
            trace.problem("random numbers are drawn that are not of dezero.random")
        try:
            return trace.record("draw", function, (shape,), effect=True)
        finally:
            self._dice.start()

    def _updated(self, optimizer: Any) -> bool:
        """Make an update for real, as one step; False in other threads."""
        trace = recorder()
        if trace is not self.trace or trace is None:
            return False
        if (shift := self.state.shifted()) is not None:
            trace.problem(f"a side effect: {shift}")
        params = [p for p in optimizer.target.params() if p.data is not None]
        datas = [None if self._in_place(p, p._data) else p._data for p in params]
        grads = [None if p.grad is None else p.grad._data for p in params]
        symbols = trace.symbolic((datas, grads))
        for p in params:
            trace.value_of(p._data)
        trace.stop()
        undressed = self.worn.bare()
        try:
            optimizer.update()
        finally:
            self.worn.dress(undressed)
            trace.start()
        values, after = [], []
        for p in params:
            values.append(self._placed(p))
            after.append(None if p.grad is None else self._placed(p.grad))
        call = _Update(optimizer, params)
        trace.step("host", call, symbols, {}, (values, after), True)
        self.state.refresh()
        return True

    def _placed(self, v: Variable) -> Value:
        """The Value of what a host step has left in a Variable."""
        array = v._data._real_array if issubclass(type(v._data), Traced) else v._data
        value = self.trace.new(array)
        v._data = self._place[id(v)] = self.trace.wrap(array, value)
        return value

    def _in_place(self, v: Variable, traced: Any) -> bool:
        """Whether a Variable from outside holds what each run finds in it at that point."""
        at = self.worn.of.get(id(traced))
        first = at is not None and self.worn.before[at][0] is v and not traced._mutated
        return first or self._place.get(id(v)) is traced

    # --- what has come of it ----------------------------------------------------------------------

    def _settle(self, result: Any) -> None:
        """Find what the call returns and leaves behind, still in disguise."""
        trace, worn = self.trace, self.worn
        places: dict[int, int] = {}
        for i, a in enumerate(self.arguments):
            places.setdefault(id(a), i)
        self._places = places
        outside = {id(v): v for v, _, _, _ in worn.before}
        self._outside = outside
        self._grads = {id(grad): v for v, _, grad, _ in worn.before if grad is not None}
        # In an order that is the same in each recording, unlike that of `gc.get_objects`.
        worn.before.sort(key=lambda entry: self._given(entry[0]).order())
        worn.of = {id(entry[3]): i for i, entry in enumerate(worn.before)}
        self.settling = any(v.data is not None for v in worn.lazy)
        made: list[tuple[Made, Variable]] = []
        self.returned = self._returned(result, made)
        changed: dict[int, Variable] = {}
        kept_grads: list[Any] = []
        for v, _, grad, traced in worn.before:
            now = v._data
            if not issubclass(type(now), Traced):
                if now is not None and now is not traced._real_array:
                    trace.problem(
                        "a Variable was given an array that was not recorded", placed=False
                    )
            elif now is not traced or now._mutated:
                if not self._in_place(v, now):
                    memory = now is traced
                    self.assigned.append((self._given(v), trace.value_of(now), memory))
                changed[id(v)] = v
            if v.grad is not grad or (grad is None and id(v) in self._written):
                changed[id(v)] = v
                kept_grads.append(v.grad)
                self._grad(v)
        self._differentiable(made)
        graph = reached(
            [y._node for _, y in made]
            + [getattr(y, "_base", None) for _, y in made]  # of what it is a view
            + kept_grads
            + [v.grad for v in changed.values()]
        )
        if (shift := self.state.shifted()) is not None:
            trace.problem(f"a side effect: {shift}", placed=False)
        if (change := self.state.changed()) is not None:
            self.settling = True
            trace.problem(f"a side effect: {change}", placed=False)
        used = {id(t) for t in trace.inputs}
        for v, data, _, traced in worn.before:
            if id(v) in places or (id(traced) not in used and id(v) not in changed):
                continue
            before = (type(v), v._node is not None, hooked(v), *_like(data))
            given = self._given(v)
            if given.grad:
                self.grad_inputs.append((given, before))
            else:
                self.variables.append((v, before))
        known = places.keys() | {id(v) for v, _ in self.variables}
        for v, _, grad, _ in worn.before:
            if id(v) in known and not self._given(v).grad:
                had = (grad is not None) if id(v) in self._read else None
                self.held_grads.append((self._given(v), had))
        owners = {id(traced): v for v, _, _, traced in worn.before}
        raws = {id(t): places[a] for a, t in self._raw.items()}
        for t in trace.inputs:
            if id(t) in raws:
                self.sources.append(Given(raws[id(t)], None))
            else:
                self.sources.append(self._given(owners[id(t)]))
        for a, t in self._raw.items():
            if t._mutated:
                self.assigned.append((Given(places[a], None), trace.value_of(t), True))
        outputs: dict[Value, None] = dict.fromkeys(v for _, v, _ in self.assigned)
        for _, m in self.grads:
            if isinstance(m, Made):
                outputs.update(dict.fromkeys(_values(m)))
        outputs.update(dict.fromkeys(_values(self.returned)))
        trace.program.outputs = list(outputs)
        if self.gradients is not None:
            self._split()
        trace.finish()
        kept = trace.program.constants
        # The user may write into what is returned.
        self.copies = {
            v: trace.xp_of(kept[v])._real.copy(kept[v]) for v in trace.program.outputs if v in kept
        }
        self._graph = graph

    def _given(self, v: Variable) -> Given:
        place = self._places.get(id(v))
        if place is None and id(v) in self._grads and id(v) not in self.state.reached:
            return self._given(self._grads[id(v)])._replace(grad=True)
        return Given(place, None if place is not None else v)

    def _returned(self, tree: Any, made: list[tuple[Made, Variable]]) -> Any:
        kind, trace = type(tree), self.trace
        if issubclass(kind, Traced):
            at = next((p for a, p in self._places.items() if self._raw.get(a) is tree), None)
            if at is not None and not tree._mutated:
                return Given(at, None)
            return Raw(trace.value_of(tree), isinstance(tree._real_array, np.generic))
        if issubclass(kind, Variable):
            if id(tree) in self._places or id(tree) in self._outside:
                return self._given(tree)
            return self._made(tree, made)
        if kind is dict:
            return {key: self._returned(part, made) for key, part in tree.items()}
        if isinstance(tree, (tuple, list)):
            parts = [self._returned(part, made) for part in tree]
            return kind(*parts) if hasattr(tree, "_fields") else kind(parts)
        if not isinstance(tree, _CONSTANTS):
            try:
                backend_of(tree)
            except TypeError:
                if id(tree) not in self._places and tree is not None:
                    trace.problem(f"the call returns an object of {kind}", placed=False)
                return tree
            return Raw(trace.value_of(trace.constant(tree)), False)
        return tree

    def _made(self, v: Variable, made: list[tuple[Made, Variable]]) -> Made:
        trace = self.trace
        if id(v) in self._mades:
            return self._mades[id(v)]
        if type(v) is not Variable:
            trace.problem(f"the call returns a {type(v).__name__} of its own", placed=False)
        data = v._data
        if not issubclass(type(data), Traced):
            data = trace.constant(v.data)
        grad = None if v.grad is None else self._made(v.grad, made)
        result = Made(trace.value_of(data), v.name, grad, v._node is not None and not v._node._rank)
        self._mades[id(v)] = result
        made.append((result, v))
        return result

    def _grad(self, v: Variable) -> None:
        """Note the new gradient of a Variable from outside."""
        grad = v.grad
        given = self._given(v)
        if grad is None:
            self.grads.append((given, None))
        elif id(grad) in self._outside or id(grad) in self._places:
            self.grads.append((given, self._given(grad)))
        elif self._place.get(id(grad)) is not grad._data:
            found: list[tuple[Made, Variable]] = []
            self.grads.append((given, self._made(grad, found)))
            if any(y._node is not None and self._targets([y]) for _, y in found):
                self.trace.problem(
                    "a gradient that can itself be differentiated stays in .grad: return it, or "
                    "make the last backward() without create_graph",
                    placed=False,
                )
        else:
            self.grads.append((given, given))  # a host step leaves it there

    # --- differentiable outputs -------------------------------------------------------------------

    def _targets(self, ys: list[Variable]) -> list[Variable]:
        """The Variables from outside that gradients of ``ys`` would go to; none if it is done."""
        outside: dict[Any, Variable] = {}
        for v, _, _, _ in self.worn.before:
            # Graphs hold further Variables on the same node, for arrays that it once had.
            if v._node is not None and (v._node not in outside or v._node._out() is v):
                outside[v._node] = v
        todo = list(dict.fromkeys(y._node for y in ys if y._node is not None))
        seen, found = set(todo), []
        for node in todo:
            if node in outside:
                found.append(outside[node])
                continue
            slots: Any = getattr(type(node), "saved", ())
            asked = getattr(node, "asked", None) or {}
            gone = [getattr(node, s, None) for s in slots] + list(asked.values())
            if any(x is RELEASED for x in gone) or getattr(node, "call", None) is RELEASED:
                return []  # a backward() has been there
            fresh = [edge for edge in dict.fromkeys(node._edges) if edge not in seen]
            seen.update(fresh)
            todo += fresh
        return sorted(found, key=lambda v: self._given(v).order())

    def _differentiable(self, made: list[tuple[Made, Variable]]) -> None:
        """Record the way back from the outputs whose gradient may be asked for."""
        if not recording():
            return
        trace = self.trace
        pairs = [(m, y) for m, y in made if y._node is not None and y._node._rank]
        pairs = [(m, y) for m, y in pairs if self._targets([y])]
        if not pairs:
            return
        ys = [y for _, y in pairs]
        targets = self._targets(ys)
        xp = backend_of(ys[0]._data)
        if any(xp.is_complex(v.dtype) for v in (*ys, *targets)):
            trace.problem("a complex result whose gradient may be asked for", placed=False)
            return
        if trace.reason is not None:
            return
        mark = len(trace.program.steps)
        seeds = []
        for y in ys:
            real = xp.ones_like(y._data)._real_array
            seeds.append(trace.wrap(real, trace.new(real)))
        del trace.program.steps[mark:]
        self._mark = mark
        with no_grad():
            gs = pulled(ys, [_handle(s, None) for s in seeds], targets, False, True)
        way = self.gradients = Gradients()
        way.targets = [self._given(v) for v in targets]
        way.reached = [g is not None for g in gs]
        way.program.inputs = [trace.value_of(s) for s in seeds]
        way.program.outputs = [trace.value_of(g._data) for g in gs if g is not None]
        for i, (m, _) in enumerate(pairs):
            m.place = i

    def _split(self) -> None:
        """Divide the steps into those of the call and those of the way back."""
        trace, way = self.trace, self.gradients
        if way is None:
            return
        steps = trace.program.steps
        way.program.steps = steps[self._mark :]
        trace.program.steps = steps[: self._mark]
        own = set(way.program.inputs)
        for step in way.program.steps:
            own.update(leaves(step.result))
        asked = dict.fromkeys(
            v
            for step in way.program.steps
            for v in (*leaves(step.args), *leaves(step.kwargs))
            if v not in own
        )
        asked.update(dict.fromkeys(v for v in way.program.outputs if v not in own))
        way.program.constants = {v: a for v, a in trace.constants.items() if v in asked}
        way.kept = [v for v in asked if v not in way.program.constants]
        way.program.inputs = [*way.kept, *way.program.inputs]
        here = dict.fromkeys(trace.program.outputs)
        here.update(dict.fromkeys(way.kept))
        trace.program.outputs = list(here)

    # --- what lives on ----------------------------------------------------------------------------

    def _forget(self, result: Any) -> None:
        """Take all disguises off that are left, and see to whom they belong."""
        trace = self.trace
        own = {id(t) for t in (*trace.inputs, *(t for _, t in trace.known.values()))}
        own |= {id(t) for t in self._raw.values()} | {id(t) for _, _, _, t in self.worn.before}
        own |= {id(t) for t in self._place.values()}
        left = self._left(own)
        strange = [t for t in left if id(t) not in self._graph]
        if strange:
            gc.collect()
            del left, strange
            left = self._left(own)
            strange = [t for t in left if id(t) not in self._graph]
        if strange and self.reason is None:
            inner: list[Any] = [left, strange]
            holder = next((o for o in gc.get_referrers(strange[0])
                           if issubclass(type(o), Variable)), strange[0])  # fmt: skip
            inner += [holder]
            who = held_by(holder, lambda o: any(o is x for x in inner))
            self.reason = f"a side effect: {who} keeps an array of the call"
            self.settling = False
        del left, strange
        self._let_go()

    def _let_go(self) -> None:
        """Forget the call's objects, and leave real arrays to whoever holds one."""
        trace = self.trace
        self._raw, self._place, self._outside, self._grads, self._mades = {}, {}, {}, {}, {}
        self._copies = {}
        trace.known, trace.inputs = {}, []
        self.worn.before, self.worn.of, self.worn.lazy = [], {}, []
        heal([t for t in (link() for link in trace.live) if t is not None])
        trace.live = []

    def _left(self, own: set[int]) -> list[Traced]:
        living = (link() for link in self.trace.live)
        return [t for t in living if t is not None and id(t) not in own]


def _exchanged(
    tree: Any,
    table: dict[int, Traced],
    bare: bool = False,
    copies: dict[int, tuple[Any, Any, Any]] | None = None,
) -> Any:
    """A tree with traced arrays in place of those in ``table``; or with real ones, ``bare``.

    ``copies`` takes each list and dict by its id, with the one made of it, and what is in that.
    """
    kind = type(tree)
    if bare and issubclass(kind, Traced):
        return tree._real_array
    if bare and issubclass(kind, Variable):
        v = tree
        while v is not None:
            if issubclass(type(v._data), Traced):
                v._data = v._data._real_array
            v = v.grad
        return tree
    if id(tree) in table:
        return table[id(tree)]
    if copies is not None and id(tree) in copies:
        return copies[id(tree)][1]
    if kind is tuple:
        return tuple([_exchanged(part, table, bare, copies) for part in tree])
    if issubclass(kind, tuple) and hasattr(tree, "_fields"):
        return kind(*(_exchanged(part, table, bare, copies) for part in tree))
    made: Any
    if kind is list:
        made = [_exchanged(part, table, bare, copies) for part in tree]
    elif kind is dict:
        made = {key: _exchanged(part, table, bare, copies) for key, part in tree.items()}
    else:
        return tree
    if copies is not None:
        copies[id(tree)] = tree, made, made.copy()
    return made


def _is_changed(entry: tuple[Any, Any, Any]) -> bool:
    _, now, before = entry
    if list(now) != list(before) if isinstance(now, dict) else len(now) != len(before):
        return True
    pairs = (now.values(), before.values()) if isinstance(now, dict) else (now, before)
    return any(a is not b for a, b in zip(*pairs, strict=True))


def _fill(x: Any, copy: Any) -> None:
    """Let the caller's list or dict have what the call has put into its own."""
    made = _exchanged(copy, {}, bare=True)
    x.clear()
    if isinstance(x, dict):
        x.update(made)
    else:
        x.extend(made)


def _values(tree: Any) -> Iterator[Value]:
    """The Values in a description of results."""
    if isinstance(tree, Made):
        yield tree.value
        yield from _values(tree.grad)
    elif isinstance(tree, Raw):
        yield tree.value
    else:
        for part in parts(tree):
            yield from _values(part)


# --- two recordings of the same ------------------------------------------------------------------


def difference(a: Recording, b: Recording) -> str | None:
    """What differs between two recordings, or None; constants that are the same are marked."""
    for p, q in _programs(a, b):
        if (found := _steps(p, q)) is not None:
            return found
        if list(map(repr, p.outputs)) != list(map(repr, q.outputs)):
            return "the results change from call to call"
        if len(p.constants) != len(q.constants):
            return "the arrays of the call change from call to call"
        for (v, x), (w, y) in zip(p.constants.items(), q.constants.items(), strict=True):
            if v.number != w.number:
                return "the arrays of the call change from call to call"
            if x is not y:
                if not _equal(a.copies.get(v, x), b.copies.get(w, y)):
                    return f"an array changes from call to call{_first(q, w)}"
                q.constants[w] = b.copies.get(w, y)
                q.fixed.add(w)
    pairs: list[tuple[Any, Any, str]] = [
        (a.sources, b.sources, "the arrays that are used change from call to call"),
        (_comparable(a.returned), _comparable(b.returned), "the result changes from call to call"),
        ([(g, v.number, m) for g, v, m in a.assigned], [(g, v.number, m) for g, v, m in b.assigned],
         "the arrays that are assigned change from call to call"),
        (a.grads, b.grads, "the gradients change from call to call"),
        ([id(v) for v, _ in a.variables], [id(v) for v, _ in b.variables],
         "the Variables that are used change from call to call"),
    ]  # fmt: skip
    for x, y, text in pairs:
        if x != y:
            return text
    return None


def _programs(a: Recording, b: Recording) -> list[tuple[Program, Program]]:
    pairs = [(a.program, b.program)]
    if a.gradients is not None and b.gradients is not None:
        pairs.append((a.gradients.program, b.gradients.program))
    return pairs


def _comparable(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _comparable(part) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return (type(tree), *map(_comparable, tree))
    return type(tree), exact(tree)


def _first(program: Program, value: Value) -> str:
    for step in program.steps:
        if value in (*leaves(step.args), *leaves(step.kwargs)):
            return f", at {step.where}"
    return ""


def _steps(p: Program, q: Program) -> str | None:
    for s, t in zip(p.steps, q.steps, strict=False):
        if s.name != t.name or s.effect != t.effect:
            return f"the steps change from call to call: {s.name}, then {t.name}, at {t.where}"
        if s.call != t.call:
            return f"a function changes from call to call: {s.name}, at {t.where}"
        for x, y in ((s.args, t.args), (s.kwargs, t.kwargs), (s.result, t.result)):
            if (found := _unlike(x, y)) is not None:
                return f"{found}, at {t.where}"
    if len(p.steps) != len(q.steps):
        return f"the number of steps changes from call to call: {len(p.steps)}, then {len(q.steps)}"
    return None


def _unlike(x: Any, y: Any) -> str | None:
    """How two trees of Values and constants differ, in words."""
    if type(x) is not type(y):
        return f"{x!r} in one call, then {y!r}"
    if isinstance(x, Value):
        if (x.number, x.shape, x.dtype) != (y.number, y.shape, y.dtype):
            return f"the arrays change from call to call: {x.shape}, then {y.shape}"
        return None
    if isinstance(x, (tuple, list)):
        if len(x) != len(y):
            return f"{len(x)} arguments in one call, then {len(y)}"
        return next((d for d in map(_unlike, x, y) if d is not None), None)
    if isinstance(x, dict):
        if list(x) != list(y):
            return "the arguments change from call to call"
        return next((d for d in map(_unlike, x.values(), y.values()) if d is not None), None)
    if isinstance(x, slice):
        return _unlike((x.start, x.stop, x.step), (y.start, y.stop, y.step))
    if x is y:
        return None
    try:
        same = bool(exact(x) == exact(y))
    except Exception:  # whatever cannot be compared is taken for another
        same = False
    return None if same else f"a number changes from call to call: {x!r}, then {y!r}"


def _equal(x: Any, y: Any) -> bool:
    if type(x) is not type(y) or x.shape != y.shape or x.dtype != y.dtype:
        return False
    xp = backend_of(x)
    a, b = xp.to_numpy(x), xp.to_numpy(y)
    return a.tobytes() == b.tobytes()


# --- the node of a replayed call ------------------------------------------------------------------


class Replayed(Function):
    """One replay whose results can be differentiated."""

    ys: tuple[Any, ...]

    def __init__(self, run: Any, kept: list[Any], reached: list[bool], again: Any) -> None:
        self.run, self.kept, self.reached, self.again = run, kept, reached, again

    def forward(self, *xs: Any) -> Any:
        ys, self.ys = self.ys, ()
        return ys

    def backward(self, *gys: Variable) -> Any:
        if recording():
            again, args, kwargs = self.again
            return again(args, kwargs, self.inputs, gys)
        found = iter(self.run([*self.kept, *[gy.data for gy in gys]]))
        return tuple([_handle(next(found), None) if there else None for there in self.reached])
