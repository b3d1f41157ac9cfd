"""``dezero.compile``: which calls are recorded, which are replayed, and which are simply made."""

from __future__ import annotations

import builtins
import functools
import itertools
import linecache
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from weakref import finalize

import numpy as np

from ..backends import numpy_backend
from ..calls import pulled
from ..config import enable_grad, exact_convolution, recording, training
from ..core import Leaf, Variable
from .loops import available
from .outside import State
from .plan import build
from .program import Program, Value, parts
from .recording import Given, Made, Raw, Recording, Replayed, difference, flattened, hooked, kind
from .trace import recorder

__all__ = ["Compiled", "compile"]

_lock = threading.RLock()  # one recording at a time in the process
_MISS = object()
_numbers = itertools.count()
_GLOBALS: dict[str, Any] = {
    "__builtins__": builtins, "MISS": _MISS, "Variable": Variable, "Leaf": Leaf,
    "new": object.__new__, "recording": recording, "training": training,
    "exact": exact_convolution, "asarray": np.asarray, "Replayed": Replayed,
}  # fmt: skip
_FEW = 32  # what is compared in the code of a replay itself
_set_partial: Any = vars(functools.partial)["__setstate__"]
_FALLBACKS = ("warn", "silent", "error")
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # as in the module inspect


def compile(
    f: Callable[..., Any] | None = None,
    *,
    signatures: int = 8,
    fallback: str = "warn",
    numba: bool = False,
) -> Any:
    """``f``, recorded on its first calls and replayed, without the engine, on all later ones.

    The first two calls for each kind of arguments are made as ever and recorded. If both did the
    same, later calls run the steps that were recorded: merged, fused, in memory that is used again.
    ``f`` may do whatever dezero does: forward and backward passes, derivatives of any order, whole
    training steps with ``optimizer.update()``. What it gives is the same to rounding, and so is
    what it leaves behind: parameters, gradients, running statistics, random numbers that were
    drawn. What cannot be replayed is not: the call is made as if there were no ``compile``, and a
    warning says why, with the line. ``docs/compile.md`` has the rules.

    Args:
        f: A function; without it, a decorator is returned.
        signatures: For how many kinds of arguments (shapes, dtypes, values of numbers, modes) ``f``
            is compiled at most.
        fallback: What comes with a call that cannot be replayed: ``"warn"`` (once for each reason),
            ``"silent"``, or ``"error"``.
        numba: Chains of elementwise steps over large NumPy arrays become loops that Numba compiles,
            which takes seconds for each program; it needs the extra ``numba``.

    Raises:
        TypeError: ``f`` is no function, or a generator or coroutine.
        ValueError: ``signatures`` is not positive, or there is no such ``fallback``.
        ModuleNotFoundError: Numba is asked for, and not there.
        RuntimeError: When it is called, with ``fallback="error"``: why it cannot be replayed.

    Example:
        >>> import dezero
        >>> from dezero import Variable
        >>> @dezero.compile
        ... def slope(x, y):
        ...     return dezero.grad(lambda x: 100.0 * (y - x**2) ** 2 + (x - 1.0) ** 2)(x)
        >>> x, y = np.array(0.0), np.array(2.0)
        >>> [slope(x, y) for _ in range(3)][-1]
        variable(-2.0)
        >>> slope.reasons
        []
    """
    if f is None:
        return functools.partial(compile, signatures=signatures, fallback=fallback, numba=numba)
    return Compiled(f, signatures, fallback, numba)


class Compiled(functools.partial[Any]):  # a call of which is fast, unlike that of `__call__`
    """What `compile` returns: a function that is recorded and replayed.

    ``print`` lists its programs.

    Attributes:
        function: The function itself.
        reasons: Why calls were not replayed, each reason once.
        programs: The programs that are replayed.
    """

    function: Callable[..., Any]
    signatures: int
    fallback: str
    numba: bool
    reasons: list[str]
    _entries: list[_Entry]
    _last: _Entry | None  # that was used last, if calls went to several

    def __new__(
        cls,
        f: Callable[..., Any],
        signatures: int = 8,
        fallback: str = "warn",
        numba: bool = False,
    ) -> Compiled:
        flags = getattr(getattr(f, "__code__", None), "co_flags", 0)
        if not callable(f) or flags & (_GENERATOR | _COROUTINE | _ASYNC_GENERATOR):
            msg = f"compile: expected a function that is no generator or coroutine, got {f!r}"
            raise TypeError(msg)
        if not isinstance(signatures, int) or signatures < 1:
            msg = f"compile: signatures is {signatures!r}, expected a number from 1"
            raise ValueError(msg)
        if fallback not in _FALLBACKS:
            msg = f"compile: fallback is {fallback!r}, expected one of {', '.join(_FALLBACKS)}"
            raise ValueError(msg)
        if numba:
            available()
        self = super().__new__(cls, f)
        functools.update_wrapper(self, f)
        self.function, self.signatures, self.fallback, self.numba = f, signatures, fallback, numba
        self.reset()
        return self

    def __reduce__(self) -> Any:
        return Compiled, (self.function, self.signatures, self.fallback, self.numba)

    def reset(self) -> None:
        """Forget what was recorded."""

        def replay(*args: Any, **kwargs: Any) -> Any:
            return self._called(args, kwargs)

        self._goes_to(replay)
        self.reasons = []
        self._entries, self._last = [], None
        self._recordings = self._settled = 0

    def _goes_to(self, function: Callable[..., Any]) -> None:
        """Let calls go to ``function`` from now on."""
        _set_partial(self, (function, (), {}, vars(self)))

    @property
    def programs(self) -> list[Program]:
        """The programs that are replayed, one for each kind of calls."""
        return [entry.program for entry in self._entries if entry.program is not None]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<compiled {getattr(self.function, '__qualname__', self.function)}>"

    def __str__(self) -> str:
        lines = [repr(self)]
        for entry in self._entries:
            lines += entry.listing()
        lines += [f"not replayed: {reason}" for reason in self.reasons]
        return "\n".join(lines)

    def _called(self, args: Any, kwargs: Any) -> Any:
        """A call that the function of the last program is not for."""
        if not kwargs:
            for entry in self._entries:
                if entry.direct is not None:
                    result = entry.replay(args)
                    if result is not _MISS:
                        self._use(entry)
                        return result
        if recorder() is not None:  # within another one that is being recorded
            return self.function(*args, **kwargs)
        found: list[Any] = []
        objects: list[Any] = []
        with _lock:
            key = (_modes(), flattened((args, kwargs), found, objects))
            fit = next((e for e in self._entries if e.fits(key, found)), None)
            if fit is None or fit.state == "recorded":
                return self._recorded(fit, key, found, objects, args, kwargs)
        if fit.state == "ready":
            result = fit.replay(found, args, kwargs)
            if result is not _MISS:
                return result
        elif self.fallback == "error":
            self._tell(fit.why)
        return self.function(*args, **kwargs)

    def _use(self, entry: _Entry) -> None:
        """Let calls go straight to an entry that was asked for twice in a row."""
        if entry is self._last:
            self._goes_to(entry.direct)
        self._last = entry

    def _recorded(
        self,
        entry: _Entry | None,
        key: Any,
        found: list[Any],
        objects: list[Any],
        args: Any,
        kwargs: Any,
    ) -> Any:
        """Make the call, and record it if that promises anything."""
        done = sum(e.state != "recorded" for e in self._entries)
        if entry is None and (done >= self.signatures or self._recordings > 4 * self.signatures):
            self._tell(
                f"more than {self.signatures} kinds of calls: shapes, numbers among the arguments "
                "or something outside changes from call to call"
            )
            return self.function(*args, **kwargs)
        self._recordings += 1
        kinds = [kind(x) for x in found]
        new = Recording(self.function, args, kwargs, State([self.function, *objects]))
        result, new.result = new.result, None
        if new.settling and self._settled < 2:
            self._settled += 1  # what was made on the first call is there from now on
            return result
        if entry is None:
            entry = _Entry(self, key, found, kinds, new)
            self._entries.append(entry)
            reason = new.reason
        else:
            reason = new.reason or difference(entry.recording, new)
            if reason is None:
                entry.ready(new, found, kinds)
                self._entries = [e for e in self._entries if not entry.covers(e)]
                self._last = entry
                if entry.direct is not None:
                    self._goes_to(entry.direct)
        if reason is not None:
            entry.fail(reason)
            self._tell(reason)
        return result

    def _tell(self, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)
        elif self.fallback != "error":
            return
        text = f"{self!r} is not replayed: {reason}"
        if self.fallback == "error":
            raise RuntimeError(text)
        if self.fallback == "warn":
            warnings.warn(text, RuntimeWarning, stacklevel=5)


def _modes() -> tuple[bool, ...]:
    return (recording(), training(), exact_convolution())


class _Entry:
    """What is known of one kind of calls: a recording, then a second one and its program."""

    def __init__(
        self, owner: Compiled, key: Any, found: list[Any], kinds: list[Any], first: Recording
    ) -> None:
        self.owner, self.key, self.state, self.why = owner, key, "recorded", ""
        self.program: Program | None = None
        self.executor: Any = None
        self.back: Any = None
        self.replay: Any = None
        self.direct: Any = None  # the same for calls with arrays alone, spread out
        self._note(first, found, kinds)

    def _note(self, r: Recording, found: list[Any], kinds: list[Any]) -> None:
        self.recording = r
        self.found = kinds
        self.same = _first_places(found)
        self.fixed = [x if id(x) in r.state.reached else None for x in found]

    def fits(self, key: Any, found: list[Any]) -> bool:
        """Whether a call is of this kind."""
        if self.state == "failed" and self.recording.settling:
            return bool(key == self.key)  # whatever it changes, it will not be replayed
        return (
            key == self.key
            and self.found == [kind(x) for x in found]
            and self.same == _first_places(found)
            and all(x is y for x, y in zip(self.fixed, found, strict=True) if x is not None)
            and all(was == kind(v) for v, was in self.recording.variables)
            and all(
                had is None or had == (_owner(given, found).grad is not None)
                for given, had in self.recording.held_grads
            )
            and all(was == kind(_owner(g, found)) for g, was in self.recording.grad_inputs)
            and self.recording.state.holds()
        )

    def covers(self, other: _Entry) -> bool:
        """Whether ``other`` was recorded once only, for calls that this one is for as well."""
        return (
            other.state == "recorded"
            and (other.key, other.found, other.same) == (self.key, self.found, self.same)
            and all(had is None for _, had in self.recording.held_grads)
        )

    def fail(self, why: str) -> None:
        """Let calls of this kind be made without a record."""
        self.state, self.why = "failed", why
        self.recording.program, self.recording.gradients = Program(), None

    def ready(self, r: Recording, found: list[Any], kinds: list[Any]) -> None:
        """Replay calls of this kind from now on."""
        self._note(r, found, kinds)
        self.program = r.program
        backend = r.backend or numpy_backend
        self.executor = build(r.program, backend, self.owner.numba)
        if r.gradients is not None:
            back = build(r.gradients.program, backend, self.owner.numba)
            self.back = getattr(back, "run", back)
        (_, (_, *args), (_, *kwargs)) = self.key[1]
        plain = not kwargs and all(isinstance(k, type) for k in args)
        self.replay, direct = _Source(self).made()
        self.direct = direct if plain else None
        self.state = "ready"

    def listing(self) -> list[str]:
        """The program in words."""
        lines = [f"{self.state}: {', '.join(map(_shown, self.found)) or 'no arrays'}"]
        if self.executor is not None:
            text = getattr(self.executor, "listing", "")
            lines += ["  " + line for line in text.splitlines()]
        return lines


def _shown(was: tuple[Any, ...]) -> str:
    if len(was) == 2:
        return "no data"
    return f"{str(was[5]).rpartition('.')[2]}[{','.join(map(str, was[4]))}]"


def _first_places(found: list[Any]) -> list[int]:
    places: dict[int, int] = {}
    return [places.setdefault(id(x), i) for i, x in enumerate(found)]


def _owner(given: Given, found: list[Any]) -> Any:
    v = given.owner if given.place is None else found[given.place]
    return v.grad if given.grad else v


class _Source:
    """The text of the function that checks a call, runs the program and hands out the results."""

    def __init__(self, entry: _Entry) -> None:
        self.entry, self.recording = entry, entry.recording
        self.space = {**_GLOBALS, "given": _given, "called": entry.owner._called}
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        self.old: dict[Given, str] = {}  # gradients as they are before the call
        self.values: dict[Value, str] = {}

    def constant(self, x: Any) -> str:
        """A name for an object."""
        if x is None or x is True or x is False:
            return repr(x)
        name = f"k{len(self.space)}"
        self.space[name] = x
        return name

    def given(self, g: Given) -> str:
        """A name for a Variable or array of the arguments, or a Variable from outside."""
        if g.place is None and id(g.owner) not in self.names:
            self.names[id(g.owner)] = self.constant(g.owner)
        if g.grad:
            return self.old[g]
        return self.names[id(g.owner)] if g.place is None else f"a{g.place}"

    def array(self, g: Given) -> str:
        """The array of it."""
        return f"{self.given(g)}._data" if g.place is None or g.grad else f"d{g.place}"

    def made(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The function of a call's arrays, and the same for calls that have nothing else."""
        n = len(self.entry.found)
        given = "".join(f"a{i}, " for i in range(n))
        self.checks()
        self.run()
        result = self.results()
        body = "\n".join([*self.lines, f" return {result}"])
        spread = given.replace(",", "=MISS,") + "/, " if n else ""
        fewer = f"a{n - 1} is MISS or " if n else ""
        whole = "" if self.recording.gradients is None else f" whole = ({given})\n"
        text = f"""\
def replay(args, whole=None, words={{}}):
 if len(args) != {n}: return MISS
 {given or "[]"}= args
 if whole is None: whole = args
{body}
def direct({spread}*more, **words):
 if {fewer}more or words: return called(given(({given}*more,)), words)
{whole}{body.replace("return MISS", f"return called(({given}), words)")}
"""
        made: dict[str, Any] = {}
        file = f"<dezero replay {next(_numbers)}>"
        exec(_code(text, file), self.space, made)
        finalize(made["replay"], linecache.cache.pop, file, None).atexit = False
        return made["replay"], made["direct"]

    def miss(self, condition: str) -> None:
        self.lines.append(f" if {condition}: return MISS")

    def checks(self) -> None:
        entry, r = self.entry, self.recording
        modes = zip(("recording", "training", "exact"), entry.key[0], strict=True)
        self.miss(" or ".join(f"{name}() is not {value}" for name, value in modes))
        for i, (was, fixed) in enumerate(zip(entry.found, entry.fixed, strict=True)):
            if fixed is not None:
                self.miss(f"a{i} is not {self.constant(fixed)}")
            self.kind(f"a{i}", f"d{i}", was)
        distinct = [i for i, j in enumerate(entry.same) if i == j]
        for i, j in enumerate(entry.same):
            if i != j:
                self.miss(f"a{i} is not a{j}")
        if len(distinct) > 3:
            ids = ", ".join(f"id(a{i})" for i in distinct)
            self.miss(f"len({{{ids}}}) != {len(distinct)}")
        elif len(distinct) > 1:
            pairs = [(i, j) for i in distinct for j in distinct if i < j]
            self.miss(" or ".join(f"a{i} is a{j}" for i, j in pairs))
        for v, was in r.variables:
            self.kind(self.given(Given(None, v)), "w", was)
        for given, had in r.held_grads:
            if had is not None:
                self.miss(f"{self.given(given)}.grad is {'None' if had else 'not None'}")
        for i, given in enumerate(dict.fromkeys(_old(r))):
            self.old[given] = f"g{i}"
            self.lines.append(f" g{i} = {self.given(given._replace(grad=False))}.grad")
        for given, was in r.grad_inputs:
            self.kind(self.given(given), "w", was)
        self.state(r.state)
        if r.variables or r.grad_inputs:
            self.lines.append(" w = None")  # parameters are alone while they are updated

    def state(self, state: State) -> None:
        """Check that what the function reaches is as it was."""
        names = {(id(d), key): (d, key, x) for d, key, x in state.attributes}
        tests = [
            f"{self.constant(d.get)}({self.constant(key)}) is not {self.constant(x)}"
            for d, key, x in names.values()
        ]
        tests += [
            f"{self.constant(cell)}.cell_contents is not {self.constant(x)}"
            for cell, x in state.cells
        ]
        others = state.slots or state.lists or state.buffers
        changed = f"not {self.constant(state.holds)}()"
        if others or len(tests) > _FEW:
            self.miss(changed)
        elif tests:
            self.lines += [
                " try:",
                f"  if ({' or '.join(tests)}) and {changed}: return MISS",
                " except ValueError: return MISS",  # a variable is gone
            ]

    def kind(self, name: str, data: str, was: tuple[Any, ...]) -> None:
        """Check that a Variable or an array is as it was."""
        cls = self.constant(was[0])
        if len(was) == 2:
            self.miss(f"{name}.__class__ is not {cls} or {name}._data is not None")
            return
        _, node, hooks, array_class, shape, dtype, device = was
        if node is None:
            self.miss(f"{name}.__class__ is not {cls}")
            self.lines.append(f" {data} = {name}")
        else:
            kept = self.constant(array_class)
            other = "" if node else "not "
            self.miss(f"{name}.__class__ is not {cls} or {name}._node is {other}None")
            if node:
                watched = f"{self.constant(hooked)}({name}) != {hooks}"
                self.miss(watched if hooks else f"{name}._node._watch is not None")
            self.lines.append(f" {data} = {name}._data")
            self.miss(f"{data}.__class__ is not {kept} and "
                      f"({data} := {name}.data).__class__ is not {kept}")  # fmt: skip
        kept = self.constant(dtype)
        unlike = f"{data}.shape != {shape!r}" if shape else f"{data}.ndim"
        self.miss(f"{unlike} or ({data}.dtype is not {kept} "
                  f"and {data}.dtype != {kept})")  # fmt: skip
        backend = self.recording.backend
        if backend is not None and device != "cpu":
            self.miss(f"{self.constant(backend.device)}({data}) != {self.constant(device)}")

    def run(self) -> None:
        r = self.recording
        named = [self.array(g) for g in r.sources]
        arrays = ", ".join(named)
        written = {self.array(g) for g, _, memory in r.assigned if memory}
        places = [i for i, name in enumerate(named) if name in written]
        if places and len(named) > 1:
            backend = r.backend or numpy_backend
            apart = _apart if backend.name == "numpy" else functools.partial(_apart_in, backend)
            self.miss(f"not {self.constant(apart)}([{arrays}], {self.constant(places)})")
        outputs = r.program.outputs
        self.values = {v: f"o{i}" for i, v in enumerate(outputs)}
        left = "".join(f"{name}, " for name in self.values.values()) + "= " if outputs else ""
        executor = self.entry.executor
        arithmetic = getattr(executor, "arithmetic", None)
        if arithmetic is not None:
            self.space |= arithmetic.space
            lines = arithmetic.written(named, [*self.values.values()], f"general([{arrays}])")
            self.lines += [" " + line for line in lines]
        else:
            call = f"{left}{self.constant(getattr(executor, 'run', executor))}([{arrays}])"
            alone = getattr(executor, "reentrant", False)
            lock = "" if alone else f"with {self.constant(threading.RLock())}: "
            self.lines.append(f" {lock}{call}")
        copied = (r.backend or numpy_backend).copy  # a user may write into what is returned
        for name in [self.values[v] for v in outputs if v in r.program.fixed]:
            self.lines.append(f" {name} = {self.constant(copied)}({name})")

    def results(self) -> str:
        """Write what is assigned; the text of the result."""
        r = self.recording
        if r.gradients is not None:
            self.differentiable(r.gradients)
        for given, value, memory in r.assigned:
            if memory:
                self.lines.append(f" {self.array(given)}[...] = {self.values[value]}")
            else:
                self.lines.append(f" {self.given(given)}.data = {self.values[value]}")
        for given, grad in r.grads:
            if grad is not given:
                text = "None" if grad is None else self.result(grad)
                self.lines.append(f" {self.given(given)}.grad = {text}")
        return self.result(r.returned)

    def differentiable(self, way: Any) -> None:
        """Write the node of the results whose gradients may be asked for."""
        mades: dict[int, Made] = {}
        _collect(self.recording.returned, mades)
        order = [mades[place] for place in sorted(mades)]
        kept = ", ".join(self.values[v] for v in way.kept)
        again = functools.partial(_again, self.entry.owner.function, self.recording)
        self.lines += [
            f" node = Replayed({self.constant(self.entry.back)}, [{kept}],"
            f" {self.constant(way.reached)},"
            f" ({self.constant(again)}, whole, words))",
            f" node.ys = ({''.join(self.values[m.value] + ', ' for m in order)})",
            f" ys = node({', '.join(self.given(g) for g in way.targets)})",
        ]
        for m in order:
            self.names[id(m)] = f"ys[{m.place}]"
            if m.name is not None:
                self.lines.append(f" ys[{m.place}].name = {self.constant(m.name)}")
            if m.grad is not None:
                self.lines.append(f" ys[{m.place}].grad = {self.result(m.grad)}")

    def result(self, tree: Any) -> str:
        """The text of a result; lines that make Variables are written before."""
        if isinstance(tree, Given):
            return self.given(tree)
        if isinstance(tree, Raw):
            name = self.values[tree.value]
            if tree.value.shape or (self.recording.backend or numpy_backend).name != "numpy":
                return name
            return f"asarray({name})" + ("[()]" if tree.scalar else "")
        if isinstance(tree, Made):
            if id(tree) not in self.names:
                self.names[id(tree)] = self.variable(tree)
            return self.names[id(tree)]
        if isinstance(tree, dict):
            items = [f"{self.constant(k)}: {self.result(part)}" for k, part in tree.items()]
            return f"{{{', '.join(items)}}}"
        if isinstance(tree, list):
            return f"[{', '.join(map(self.result, tree))}]"
        if isinstance(tree, tuple):
            parts = "".join(self.result(part) + ", " for part in tree)
            return f"{self.constant(type(tree))}({parts})" if _named(tree) else f"({parts})"
        return self.constant(tree)

    def variable(self, m: Made) -> str:
        """Write lines that make a Variable; its name."""
        grad = "None" if m.grad is None else self.result(m.grad)
        name = f"r{len(self.names)}"
        self.lines += [
            f" {name} = new(Variable)",
            f" {name}._data = {self.values[m.value]}",
            f" {name}._node = {name}._kind = {name}.grad = {name}.name = None",
        ]
        kept = {
            "_node": f"Leaf({name})" if m.leaf else "None",
            "grad": grad,
            "name": self.constant(m.name),
        }
        self.lines += [f" {name}.{key} = {x}" for key, x in kept.items() if x != "None"]
        return name


def _given(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Those of the arguments that a call has."""
    return tuple(x for x in args if x is not _MISS)


def _code(text: str, file: str) -> Any:
    """Source text as code, which tracebacks can show."""
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    return builtins.compile(text, file, "exec")


def _apart(arrays: list[Any], places: list[int]) -> bool:
    """Whether the arrays at ``places`` share no memory with other ones."""
    owners = [x if x.base is None else x.base for x in arrays]
    if len({id(x) for x in owners}) == len(owners) and all(
        type(x) is np.ndarray and x.base is None for x in owners
    ):
        return True
    return _apart_in(numpy_backend, arrays, places)


def _apart_in(backend: Any, arrays: list[Any], places: list[int]) -> bool:
    return not any(
        arrays[i] is x or backend.shares(arrays[i], x)
        for i in places
        for j, x in enumerate(arrays)
        if i != j
    )


def _named(tree: Any) -> bool:
    return hasattr(tree, "_fields")


def _collect(tree: Any, found: dict[int, Made]) -> None:
    """The differentiable outputs in a result, by their places."""
    if isinstance(tree, Made):
        if tree.place is not None:
            found[tree.place] = tree
    else:
        for part in parts(tree):
            _collect(part, found)


def _old(r: Recording) -> Iterator[Given]:
    """The gradients from before the call that it uses."""
    trees: list[Any] = [r.sources, [g for g, _, _ in r.assigned], [g for _, g in r.grads]]
    todo = [*trees, r.returned]
    for tree in todo:
        if not isinstance(tree, Given):
            todo += parts(tree)
        elif tree.grad:
            yield tree


def _again(
    f: Callable[..., Any], r: Recording, args: Any, kwargs: Any, inputs: Any, gys: Any
) -> Any:
    """The gradients of a replayed call with a graph of their own: it is made once more for that."""
    if any(step.effect and step.name in ("host", "draw") for step in r.program.steps) or r.assigned:
        msg = (
            "backward: a compiled function that draws random numbers or assigns to Variables has "
            "no gradients with create_graph=True. Call its .function"
        )
        raise RuntimeError(msg)
    with enable_grad():
        result = f(*args, **kwargs)
    ys: dict[int, Variable] = {}
    _matched(r.returned, result, ys)
    found = pulled([ys[i] for i in range(len(ys))], list(gys), list(inputs), True, True)
    return tuple(found)


def _matched(tree: Any, result: Any, ys: dict[int, Variable]) -> None:
    if isinstance(tree, Made):
        if tree.place is not None:
            ys[tree.place] = result
    elif isinstance(tree, dict):
        for key, part in tree.items():
            _matched(part, result[key], ys)
    elif isinstance(tree, (tuple, list)):
        for part, y in zip(tree, result, strict=True):
            _matched(part, y, ys)
