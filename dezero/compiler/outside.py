"""What a recorded call finds outside itself, and what it leaves there."""

from __future__ import annotations

import argparse
import array
import builtins
import dis
import gc
import random
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from ..backends import by_type
from ..core import Variable
from .trace import Trace, Traced, recorder

__all__ = ["Calls", "Dice", "Grads", "State", "Variables", "exact", "heal", "held_by", "reached"]

_LIMIT = 5000
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME")
_NUMBERS = (bool, int, float, complex, str, bytes, type(None))
_FOREIGN = sys.stdlib_module_names | {"numpy", "torch", "jax", "jaxlib", "cupy", "dask", "scipy"}
_FOREIGN |= {"dezero"}
_LISTS = (list, set, frozenset, deque)
_PLAIN = (dict, tuple, *_LISTS, types.SimpleNamespace, argparse.Namespace)
_class: Any = Variable  # whose `data` and `grad` are others for the time of a recording


# --- Variables ------------------------------------------------------------------------------------


class Variables:
    """All Variables that live when a recording begins, with arrays in disguise while it lasts.

    Attributes:
        before: The Variables, each with its array, its gradient and its traced array.
        lazy: Those that have no data yet.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.before: list[tuple[Variable, Any, Any, Traced]] = []
        self.lazy: list[Variable] = []
        self.of: dict[int, int] = {}  # the place in `before`, by the id of the traced array

    def enter(self) -> None:
        """Put the disguise on."""
        kinds: dict[type, bool] = {}
        for v in gc.get_objects():
            cls = type(v)
            if cls not in kinds:
                kinds[cls] = issubclass(cls, Variable)
            if not kinds[cls] or not hasattr(v, "_node"):
                continue
            data = v._data
            if data is None:
                self.lazy.append(v)
            elif not issubclass(type(data), Traced):
                data = v.data
                traced = self.trace.wrap(data, None)
                self.of[id(traced)] = len(self.before)
                self.before.append((v, data, v.grad, traced))
        for v, _, _, traced in self.before:
            v._data = traced
        _class.data = _recording_data

    def leave(self) -> None:
        """Take the disguise off, of whatever array a Variable has by now."""
        _class.data = _data
        for v, _, _, _ in self.before:
            if issubclass(type(v._data), Traced):
                v._data = v._data._real_array

    def bare(self) -> list[tuple[Variable, Any]]:
        """Take the disguise off for a while; what `dress` takes."""
        _class.data = _data
        worn = [
            (v, v._data)
            for x, _, _, _ in self.before
            for v in (x, x.grad)
            if v is not None and issubclass(type(v._data), Traced)
        ]
        for v, traced in worn:
            v._data = traced._real_array
        return worn

    def dress(self, worn: list[tuple[Variable, Any]]) -> None:
        """Put it on again where the array is still the same."""
        for v, traced in worn:
            if v._data is traced._real_array:
                v._data = traced
        _class.data = _recording_data


_data: Any = Variable.__dict__["data"]


def _get_data(self: Variable) -> Any:
    data = self._data
    if issubclass(type(data), Traced):
        if isinstance(data._real_array, np.generic):
            data._real_array = np.asarray(data._real_array)
        return data if recorder() is not None else data._real_array  # to other threads
    return _data.fget(self)


def _set_data(self: Variable, data: Any) -> None:
    """As ``Variable.data`` is set, with arrays that the call brings noted as constants."""
    if issubclass(type(data), Traced) and isinstance(data._real_array, np.generic):
        _data.fset(self, data._real_array)  # which may be an error
    _data.fset(self, data)
    trace = recorder()
    if trace is not None and data is not None:
        if not issubclass(type(data), Traced):
            self._data = trace.constant(self._data)
        _get_data(self)


_recording_data = property(_get_data, _set_data, doc=_data.__doc__)


_grad: Any = Variable.__dict__["grad"]


class Grads:
    """Notes, while a call is recorded, whether a Variable's gradient is first read or written.

    Attributes:
        read: The ids of Variables whose gradient was read first.
        written: The ids of those whose gradient was set.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.read: set[int] = set()
        self.written: set[int] = set()
        self._seen: set[int] = set()

    def __enter__(self) -> None:
        _class.grad = property(self._get, self._set)

    def __exit__(self, *exc: object) -> None:
        _class.grad = _grad

    def _get(self, v: Variable) -> Any:
        if id(v) not in self._seen and recorder() is self.trace:
            self._seen.add(id(v))
            self.read.add(id(v))
        return _grad.__get__(v, type(v))

    def _set(self, v: Variable, value: Any) -> None:
        if recorder() is self.trace:
            self._seen.add(id(v))
            self.written.add(id(v))
        _grad.__set__(v, value)


# --- the rest of the program's state --------------------------------------------------------------


@lru_cache(1024)
def _names(code: types.CodeType) -> tuple[set[str], set[str]]:
    """The global names that code loads, and all names in it, attributes too."""
    loaded = {i.argval for i in dis.get_instructions(code) if i.opname in _LOADS}
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = _names(constant)
            loaded |= inner[0]
            names |= inner[1]
    return loaded, names


class State:
    """Everything that a function can reach by names and attributes, as it is now.

    Attributes:
        attributes: Triples of a dictionary, a key and the value there.
        reached: The ids of all Variables and arrays among it.
        problem: What is among it that cannot be compared, in words, or None.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self.attributes: list[tuple[Any, Any, Any]] = []
        self.cells: list[tuple[Any, Any]] = []
        self.lists: list[tuple[Any, tuple[Any, ...]]] = []
        self.slots: list[tuple[Any, Any, Any]] = []
        self.buffers: list[tuple[Any, bytes]] = []
        self.volatile: list[tuple[dict[Any, Any], Any, Any]] = []
        self.generators: list[tuple[Any, str]] = []
        self.reached: set[int] = set()
        self.problem: str | None = None
        self._names: set[str] = set()
        self._waiting: dict[str, list[tuple[Any, Any]]] = {}  # methods that nobody has named yet
        self._seen: set[int] = set()
        self._todo = list(roots)
        for x in self._todo:  # grows
            if len(self._todo) < _LIMIT and id(x) not in self._seen:
                self._seen.add(id(x))
                self._visit(x)
        self._kept, self._todo = self._todo, []  # so that ids stay theirs
        self._waiting = {}

    def _visit(self, x: Any) -> None:
        kind = type(x)
        if issubclass(kind, (Variable, np.ndarray)) or by_type.get(kind) is not None:
            self.reached.add(id(x))
            if issubclass(kind, Variable) and x._node is not None and x._node._watch is not None:
                self._todo += x._node._watch.hooks.values()
        elif issubclass(kind, _NUMBERS):
            return
        elif issubclass(kind, type):
            self._class(x)
        elif kind is types.FunctionType:
            self._function(x)
        elif kind is types.MethodType:
            self._todo += [x.__self__, x.__func__]
        elif kind is partial:
            self._todo += [x.func, *x.args, *x.keywords.values()]
        elif kind is types.ModuleType:
            return
        elif kind.__module__ in ("builtins", "itertools") and hasattr(kind, "__next__"):
            self.problem = self.problem or f"an iterator is used, a {kind.__name__}"
        elif issubclass(kind, (bytearray, array.array)):
            self.buffers.append((x, bytes(x)))
        elif issubclass(kind, (np.random.Generator, np.random.RandomState)):
            self.generators.append((x, _state(x)))
        else:
            if issubclass(kind, dict):
                self._dict(x, x)
                self.lists.append((x, tuple(x)))
            elif issubclass(kind, _LISTS):
                self.lists.append((x, tuple(x)))
                self._todo += x
            elif issubclass(kind, tuple):
                self._todo += x
            self._object(x, kind)

    def _function(self, f: Any) -> None:
        if _foreign(f.__module__):
            return
        for cell in f.__closure__ or ():
            content = _content(cell)
            if content is not cell:
                self.cells.append((cell, content))
                self._todo.append(content)
        (loaded, names), space = _names(f.__code__), f.__globals__
        self._name(names)
        for name in sorted(loaded & space.keys()):
            value = space[name]
            if isinstance(value, types.ModuleType):
                if not _foreign(value.__name__):
                    inner = vars(value)
                    self._dict(inner, sorted(names & inner.keys()))
            else:
                self.attributes.append((space, name, value))
                self._todo.append(value)
        self._todo += [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]
        self._dict(f.__dict__, list(f.__dict__))

    def _name(self, names: set[str]) -> None:
        """Follow the methods of these names; with ``getattr`` among them, all."""
        fresh = self._waiting.keys() if "getattr" in names else names & self._waiting.keys()
        self._names |= names
        for name in list(fresh):
            for space, f in self._waiting.pop(name):
                self._method(space, name, f)

    def _method(self, space: Any, name: str, f: Any) -> None:
        self.attributes.append((space, name, f))
        inner = [getattr(f, key, None) for key in ("__func__", "func", "fget", "fset")]
        self._todo += [g for g in (f, *inner) if isinstance(g, types.FunctionType)]

    def _class(self, cls: type) -> None:
        """The numbers of a class and the methods that may be called."""
        ours = any(base.__module__.partition(".")[0] == "dezero" for base in cls.__mro__)
        for base in cls.__mro__:
            if _foreign(base.__module__) or (base is not cls and id(base) in self._seen):
                continue
            self._seen.add(id(base))
            space = vars(base)
            for key, value in space.items():
                special = key.startswith("__") and key.endswith("__")
                if isinstance(value, _METHODS):
                    if ours or special or key in self._names or "getattr" in self._names:
                        self._method(space, key, value)
                    else:
                        self._waiting.setdefault(key, []).append((space, value))
                elif not special and not isinstance(value, types.MemberDescriptorType):
                    self.attributes.append((space, key, value))
                    self._todo.append(value)

    def _dict(self, d: dict[Any, Any], keys: Iterable[Any]) -> None:
        for key in keys:
            self.attributes.append((d, key, d[key]))
            self._todo.append(d[key])

    def _object(self, x: Any, kind: type) -> None:
        space = getattr(x, "__dict__", None)
        if not isinstance(space, dict):
            space = {}
        if "_entries" in space and "function" in space:  # compiled itself
            self._todo.append(x.function)
            return
        layer = "_params" in space and "training" in space
        foreign = _foreign(kind.__module__)
        if layer:
            self._dict(space, [k for k in space if k not in ("inputs", "outputs")])
        elif kind.__module__.partition(".")[0] == "dezero":
            for key, value in space.items():
                if isinstance(value, _NUMBERS):
                    self.volatile.append((space, key, value))
        elif foreign and kind not in _PLAIN:
            self._dict(space, [k for k, value in space.items() if isinstance(value, _NUMBERS)])
            self._todo += [space[k] for k in ("__wrapped__",) if k in space]
        else:
            self._dict(space, list(space))
        if not foreign:
            self._todo.append(kind)
            for base in kind.__mro__:
                if not _foreign(base.__module__):
                    for member in vars(base).values():
                        if type(member) is types.MemberDescriptorType:
                            value = _member(member, x)
                            self.slots.append((member, x, value))
                            self._todo.append(value)

    def changed(self) -> str | None:
        """What is not as it was, in words, or None."""
        for d, key, value in self.attributes:
            now = d.get(key)
            if now is not value and not _same(now, value):
                return _told(key, value, now)
        for cell, value in self.cells:
            now = _content(cell)
            if now is not value and not _same(now, value):
                return _told("a variable of an enclosing function", value, now)
        for member, x, value in self.slots:
            now = _member(member, x)
            if now is not value and not _same(now, value):
                return _told(member.__name__, value, now)
        for x, values in self.lists:
            if len(x) != len(values) or any(a is not b for a, b in zip(x, values, strict=True)):
                return f"a {type(x).__name__} of {len(values)} entries was changed"
        for x, content in self.buffers:
            if bytes(x) != content:
                return f"a {type(x).__name__} was changed"
        for x, state in self.generators:
            if _state(x) != state:
                return f"random numbers are drawn from a {type(x).__name__} of NumPy"
        return None

    def holds(self) -> bool:
        """Whether everything is the same object as it was."""
        for d, key, value in self.attributes:
            if d.get(key) is not value:
                return self._still()
        for cell, value in self.cells:
            if _content(cell) is not value:
                return self._still()
        for member, x, value in self.slots:
            if _member(member, x) is not value:
                return self._still()
        for x, values in self.lists:
            if len(x) != len(values):
                return False
            for a, b in zip(x, values, strict=True):
                if a is not b:
                    return False
        return all(bytes(x) == content for x, content in self.buffers)

    def _still(self) -> bool:
        kept, self.generators = self.generators, []
        try:
            return self.changed() is None
        finally:
            self.generators = kept

    def shifted(self) -> str | None:
        """Which number of an optimizer or the like is not as it was, in words, or None."""
        for d, key, value in self.volatile:
            now = d.get(key)
            if now is not value and not _same(now, value):
                return _told(key, value, now)
        return None

    def refresh(self) -> None:
        """Take the numbers of optimizers as they are now."""
        self.volatile = [(d, key, d.get(key)) for d, key, _ in self.volatile]


_METHODS = (types.FunctionType, property, staticmethod, classmethod, cached_property)


def _foreign(module: Any) -> bool:
    return str(module).partition(".")[0] in _FOREIGN


def _content(cell: Any) -> Any:
    """What is in a cell; the cell itself stands for nothing."""
    try:
        return cell.cell_contents
    except ValueError:
        return cell


def _member(member: Any, x: Any) -> Any:
    """What is in a slot; the slot itself stands for nothing."""
    try:
        return member.__get__(x, type(x))
    except AttributeError:
        return member


def exact(x: Any) -> Any:
    """A number or what else it is, to be compared: -0.0 is another number then, NaN is not."""
    return repr(x) if isinstance(x, (float, complex, np.generic)) else x


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, _NUMBERS) and bool(exact(a) == exact(b))


def _state(generator: Any) -> str:
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    return repr([x.tobytes() if isinstance(x, np.ndarray) else x for x in generator.get_state()])


class Dice:
    """Notes whether Python's or NumPy's own random numbers are drawn while a call is recorded.

    Only where no other thread may have drawn them.
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin anew, as dezero has drawn."""
        self.before = self._now() if threading.active_count() == 1 else None

    def thrown(self) -> bool:
        """Whether they were drawn since."""
        alone = self.before is not None and threading.active_count() == 1
        return alone and self._now() != self.before

    def _now(self) -> Any:
        _, words, *rest = np.random.get_state()
        return random.getstate(), np.asarray(words).tobytes(), rest


def _told(key: Any, before: Any, after: Any) -> str:
    if isinstance(before, _NUMBERS) and isinstance(after, _NUMBERS):
        return f"{key} changed from {before!r} to {after!r}"
    return f"{key} was assigned"


# --- what the call does beside -------------------------------------------------------------------

_WATCHED = ("print", "open", "input")


class Calls:
    """Notes calls of ``print``, ``open`` and ``input`` while a call is recorded."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.before = {name: getattr(builtins, name) for name in _WATCHED}

    def __enter__(self) -> None:
        for name, function in self.before.items():
            setattr(builtins, name, self._noted(name, function))

    def __exit__(self, *exc: object) -> None:
        for name, function in self.before.items():
            setattr(builtins, name, function)

    def _noted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            if recorder() is self.trace:
                self.trace.problem(f"a side effect: {name}() is called")
            return function(*args, **kwargs)

        return noted


# --- what lives on --------------------------------------------------------------------------------


def reached(roots: Iterable[Any]) -> set[int]:
    """The ids of the traced arrays in the graph behind some nodes and Variables."""
    todo = [x for x in roots if x is not None]
    seen = set(map(id, todo))
    found: set[int] = set()
    for x in todo:
        if issubclass(type(x), Traced):
            found.add(id(x))
            continue
        for y in gc.get_referents(x):
            kind = type(y)
            graph = issubclass(kind, (Variable, Traced, tuple, list, dict)) or hasattr(
                kind, "_pull"
            )
            if graph and id(y) not in seen:
                seen.add(id(y))
                todo.append(y)
    return found


def heal(traced: list[Traced]) -> None:
    """Let whoever holds one of these have the real array instead."""
    if not traced:
        return
    table = {id(x): x._real_array for x in traced}
    tuples: list[tuple[Any, ...]] = []
    for holder in gc.get_referrers(*traced):
        if holder is traced or isinstance(holder, types.FrameType):
            continue
        if type(holder) is tuple:
            tuples.append(holder)
        else:
            _put(holder, table)
    if tuples:
        fresh = [tuple([table.get(id(x), x) for x in old]) for old in tuples]
        renewed = {id(old): new for old, new in zip(tuples, fresh, strict=True)}
        for holder in gc.get_referrers(*tuples):
            if holder is not tuples and not isinstance(holder, types.FrameType):
                _put(holder, renewed)


def _put(holder: Any, table: dict[int, Any]) -> None:
    """Replace what ``holder`` holds by what ``table`` has for its id."""
    kind = type(holder)
    if issubclass(kind, (list, deque)):
        for i, x in enumerate(holder):
            if id(x) in table:
                holder[i] = table[id(x)]
    elif issubclass(kind, dict):
        for key, x in list(holder.items()):
            if id(x) in table:
                holder[key] = table[id(x)]
    elif kind is types.CellType:
        if id(holder.cell_contents) in table:
            holder.cell_contents = table[id(holder.cell_contents)]
    else:
        space = getattr(holder, "__dict__", None)
        if isinstance(space, dict):
            _put(space, table)
        if isinstance(holder, BaseException) and id(holder.args) in table:
            holder.args = table[id(holder.args)]
        for cls in kind.__mro__:
            slots = cls.__dict__.get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                descriptor: Any = cls.__dict__.get(slot)
                if slot in ("__weakref__", "__dict__") or descriptor is None:
                    continue
                try:
                    x = descriptor.__get__(holder, kind)
                except AttributeError:
                    continue
                if id(x) in table:
                    descriptor.__set__(holder, table[id(x)])


def held_by(x: Any, ignored: Callable[[Any], bool]) -> str:
    """Who holds ``x``, in words."""
    for holder in gc.get_referrers(x):
        if isinstance(holder, types.FrameType) or ignored(holder):
            continue
        if isinstance(holder, dict):
            name = next((key for key, value in holder.items() if value is x), "?")
            owner = next((o for o in gc.get_referrers(holder)
                          if getattr(o, "__dict__", None) is holder), None)  # fmt: skip
            if isinstance(owner, types.ModuleType):
                return f"the global variable {name}"
            return f"the attribute {name} of {type(owner).__name__}" if owner else f"entry {name!r}"
        return f"a {type(holder).__name__}"
    return "something"
