"""A recording: real arrays in a disguise that writes down each step taken with them.

While a call is recorded, every array is a `Traced`: it holds the real array and stands for a Value
of the program. The backend of these arrays, `TracingBackend`, calls the real one and notes what it
called. So the engine, layers and losses are recorded by running them, and what the call computes
meanwhile is what it always computes.
"""

from __future__ import annotations

import copy
import functools
import operator
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import NoneType
from typing import Any
from weakref import ref

import numpy as np

from ..backends import Backend, backend_of, by_type
from ..backends import _made as named
from ..protocols import UFUNCS
from .program import Program, Step, Value, leaves, rebuilt

__all__ = ["Trace", "Traced", "TracingBackend", "recorder", "tracing", "user_line"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_LIBRARIES = tuple(f"{os.sep}{name}{os.sep}" for name in ("array_api_strict", "jax", "dask"))
_NUMBERS = (bool, int, float, complex, str, bytes, np.generic)

# The tables of backends, which have tracing ones in them while a call is recorded.
_TABLES: tuple[dict[Any, Any], ...] = (by_type, named)
_active: Trace | None = None
_backends: dict[Backend, TracingBackend] = {}


def recorder() -> Trace | None:
    """The recording that the current thread is making, or None."""
    trace = _active
    return trace if trace is not None and trace.thread == threading.get_ident() else None


def user_line() -> str:
    """The innermost line that is neither of this package nor of NumPy, as ``file.py:12``."""
    frame: Any = sys._getframe(1)
    while frame is not None and _inside(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else ""


def _inside(file: str) -> bool:
    return file.startswith((_PACKAGE, _NUMPY, "<dezero", "<frozen", "<__array"))


# --- arrays -------------------------------------------------------------------------------------


def _plain(tree: Any) -> Any:
    """A tree with real arrays in place of traced ones."""
    return tree._real_array if _is_traced(tree) else rebuilt(tree, _plain)


class Traced:
    """A real array that notes what is done with it.

    When its recording has ended it is a mere proxy: everything is done with the real array.
    """

    __slots__ = ("__weakref__", "_mutated", "_real_array", "_trace", "_value")
    xp: TracingBackend
    __array_priority__ = 150
    __hash__ = object.__hash__

    def __init__(self, trace: Trace, array: Any, value: Value | None) -> None:
        self._trace, self._real_array, self._value, self._mutated = trace, array, value, False

    @property  # type: ignore[misc]  # nobody assigns it
    def __class__(self) -> type:  # a user's isinstance() sees the real array's class
        file = sys._getframe(1).f_code.co_filename
        inside = file.startswith((_PACKAGE, "<dezero")) or any(name in file for name in _LIBRARIES)
        return type(self) if inside else self._real_array.__class__

    # What is known without looking at the numbers.

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the dimensions."""
        return _asked(self).shape

    @property
    def dtype(self) -> Any:
        """The dtype of the library."""
        return _asked(self).dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return _asked(self).ndim

    def __len__(self) -> int:
        return len(_asked(self))

    def __getattr__(self, name: str) -> Any:
        trace = recorder()
        array = self._real_array
        if name in _INTERFACES or (name.startswith("__") and name != "__array_namespace__"):
            raise AttributeError(name)
        if trace is None or name in _FACTS:
            return getattr(_asked(self), name)
        value = getattr(array, name)
        if callable(value):
            return functools.partial(_called, trace, name, self)
        if by_type.get(type(value)) is not None:
            return trace.record(f"method.{name}", _attribute(name), (self,))
        trace.read(f".{name}")
        return value

    # What needs the numbers.

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(_read(self, "conversion to a NumPy array"), dtype=dtype, copy=copy)

    def __bool__(self) -> bool:
        return bool(_read(self, "bool()"))

    def __int__(self) -> int:
        return int(_read(self, "int()"))

    def __float__(self) -> float:
        return float(_read(self, "float()"))

    def __complex__(self) -> complex:
        return complex(_read(self, "complex()"))

    def __index__(self) -> int:
        return operator.index(_read(self, "an index"))

    def __contains__(self, x: Any) -> bool:
        return _plain(x) in _read(self, "in")

    def __str__(self) -> str:
        return str(_read(self, "str()"))

    def __repr__(self) -> str:
        return repr(_read(self, "repr()"))

    def __format__(self, spec: str) -> str:
        return format(_read(self, "format()"), spec)

    def __dlpack__(self, **options: Any) -> Any:
        return _read(self, "__dlpack__").__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._real_array.__dlpack_device__()

    def __reduce__(self) -> Any:
        return _itself, (_read(self, "a copy of the object"),)

    def __deepcopy__(self, memo: Any) -> Any:
        return copy.deepcopy(_read(self, "deepcopy()"), memo)

    # Elements.

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(len(self))])

    def __getitem__(self, key: Any) -> Any:
        trace = recorder()
        if trace is None:
            return self._real_array[_plain(key)]
        return trace.record("get_item", self.xp._real.get_item, (self, key))

    def __setitem__(self, key: Any, value: Any) -> None:
        trace = recorder()
        if trace is None:
            self._real_array[_plain(key)] = _plain(value)
            return
        result = trace.noted(
            "set_item", self.xp._real.set_item, (self, key, value), self._real_array
        )
        self._real_array[_plain(key)] = _plain(value)
        trace.mutate(self, self._real_array, result)

    # Libraries' functions.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        call = ufunc if method == "__call__" else getattr(ufunc, method)
        outs, trace = kwargs.pop("out", None), recorder()
        if trace is None or (outs is not None and not all(_is_traced(x) for x in outs)):
            if trace is not None:
                trace.problem(f"np.{ufunc.__name__} writes into an array of NumPy's")
            if outs is not None:
                kwargs["out"] = _plain(outs)
            y = call(*_plain(inputs), **_plain(kwargs))
            return outs[0] if outs is not None and len(outs) == 1 else y
        name = UFUNCS.get(ufunc.__name__, ufunc.__name__)
        if method != "__call__" or kwargs or not hasattr(self.xp._real, name):
            name = f"numpy.{ufunc.__name__}" + (f".{method}" if method != "__call__" else "")
        y = trace.record(name, call, inputs, kwargs)
        if outs is None:
            return y
        for out, part in zip(outs, y if isinstance(y, tuple) else (y,), strict=True):
            trace.assign(f"np.{ufunc.__name__}", out, part)
        return outs[0] if len(outs) == 1 else outs

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _library("numpy", function, args, kwargs)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _library("torch", function, args, kwargs or {})


_FACTS = frozenset(
    [
        "shape",
        "dtype",
        "ndim",
        "size",
        "itemsize",
        "nbytes",
        "device",
        "is_cuda",
        "requires_grad",
        "layout",
        "weak_type",
        "dim",
        "numel",
        "element_size",
        "is_floating_point",
        "is_complex",
        "is_contiguous",
        "stride",
        "get_device",
        "__array_namespace__",
        "sharding",
        "chunks",
        "numblocks",
        "npartitions",
    ]
)
_INTERFACES = frozenset(
    ("__array_interface__", "__array_struct__", "__cuda_array_interface__", "__jax_array__")
)
_CHANGING = frozenset(
    [
        "sort",
        "partition",
        "fill",
        "put",
        "itemset",
        "resize",
        "setflags",
        "setfield",
        "set_",
        "copyto",
        "place",
        "putmask",
        "fill_diagonal",
        "put_along_axis",
        "shuffle",
    ]
)
_STRUCTURE = frozenset(
    [
        "shape",
        "ndim",
        "size",
        "result_type",
        "iscomplexobj",
        "isrealobj",
        "can_cast",
        "min_scalar_type",
        "common_type",
        "shares_memory",
        "may_share_memory",
        "broadcast_shapes",
        "is_tensor",
        "is_floating_point",
    ]
)


def _asked(x: Traced) -> Any:
    """The real array; what it is like must be so in each run as well."""
    if x._value is None and (trace := recorder()) is x._trace and trace is not None:
        trace.value_of(x)
    return x._real_array


def _is_traced(x: Any) -> bool:
    return issubclass(type(x), Traced)


def _itself(x: Any) -> Any:
    return x


def _read(x: Traced, what: str) -> Any:
    trace = recorder()
    if trace is not None:
        trace.read(what)
    return x._real_array


def _library(library: str, function: Any, args: Any, kwargs: Any) -> Any:
    """A function of the array library itself, called by the user with traced arrays."""
    trace, name = recorder(), getattr(function, "__name__", "function")
    changes = name in _CHANGING or kwargs.get("out") is not None or name.startswith("__i")
    changes = changes or (library == "torch" and name.endswith("_") and name[0] != "_")
    if trace is None or changes or name in _STRUCTURE:
        if trace is not None and changes:
            trace.problem(f"{library}.{name} writes into an array")
        return function(*_plain(args), **_plain(kwargs))
    if name in ("array_str", "array_repr", "array2string"):
        trace.read(f"{library}.{name}")
    return trace.record(f"{library}.{name}", function, args, kwargs)


@functools.lru_cache(None)
def _attribute(name: str) -> Callable[[Any], Any]:
    return operator.attrgetter(name)


@functools.lru_cache(None)
def _method(name: str) -> Callable[..., Any]:
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    call.__name__ = name
    return call


def _called(trace: Trace, name: str, x: Traced, *args: Any, **kwargs: Any) -> Any:
    """A method of the array, called by the user."""
    changes = name in _CHANGING or name.endswith("_")
    if recorder() is not trace or changes:
        if changes:
            trace.problem(f".{name}() writes into an array")
        return getattr(x._real_array, name)(*_plain(args), **_plain(kwargs))
    if name == "copy" and not args and not kwargs:
        return trace.record("copy", x.xp._real.copy, (x,))
    return trace.record(f"method.{name}", _method(name), (x, *args), kwargs)


def _operator(name: str, function: Any) -> tuple[Any, Any]:
    def forward(self: Traced, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        trace = recorder()
        if trace is None:
            return function(self._real_array, _plain(other))
        return trace.record(name, function, (self, other))

    def reflected(self: Traced, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        trace = recorder()
        if trace is None:
            return function(_plain(other), self._real_array)
        return trace.record(name, function, (other, self))

    return forward, reflected


def _is_operand(x: Any) -> bool:
    kind = type(x)
    return issubclass(kind, Traced) or (kind is not NoneType and kind in by_type)


def _unary(name: str, function: Any) -> Any:
    def method(self: Traced) -> Any:
        trace = recorder()
        if trace is None:
            return function(self._real_array)
        return trace.record(name, function, (self,))

    return method


def _in_place(name: str, function: Any, in_place: Any) -> Any:
    """The method for ``x += y``: the real array changes, and with it what ``x`` stands for."""
    own = f"__{in_place.__name__.strip('_')}__"

    def method(self: Traced, other: Any) -> Any:
        trace, array = recorder(), self._real_array
        if not hasattr(type(array), own):  # it cannot be changed
            return function(self, other)
        if trace is None:
            self._real_array = in_place(array, _plain(other))
            return self
        kept = isinstance(other, (int, float)) or getattr(other, "dtype", None) == array.dtype
        if kept and trace.xp_of(array)._real.is_inexact(array.dtype):
            value = trace.noted(name, function, (self, other), array)
        else:
            value = trace.noted(f"method.{own}", _changed(in_place), (self, other), array)
        trace.mutate(self, in_place(array, _plain(other)), value)
        return self

    return method


@functools.lru_cache(None)
def _changed(in_place: Any) -> Any:
    return lambda x, y: in_place(copy.copy(x), y)


for _name, _own in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "pow", "matmul": "matmul",
    "and_": "bitwise_and", "or_": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}.items():  # fmt: skip
    _function, _short = getattr(operator, _name), _name.strip("_")
    _forward, _reflected = _operator(_own, _function)
    setattr(Traced, f"__{_short}__", _forward)
    setattr(Traced, f"__r{_short}__", _reflected)
    _inner = getattr(operator, "i" + _short, None)
    setattr(Traced, f"__i{_short}__", _in_place(_own, _function, _inner))
for _name, _own in {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal",
}.items():  # fmt: skip
    setattr(Traced, f"__{_name}__", _operator(_own, getattr(operator, _name))[0])
for _name, _own in {
    "neg": "negative", "pos": "positive", "abs": "abs", "invert": "bitwise_invert",
}.items():  # fmt: skip
    setattr(Traced, f"__{_name}__", _unary(_own, getattr(operator, _name)))


# --- backends -----------------------------------------------------------------------------------

_ANSWERS = frozenset(
    [
        "is_inexact",
        "is_complex",
        "isdtype",
        "device",
        "devices",
        "place",
        "finfo",
        "iinfo",
        "can_cast",
        "result_type",
        "half",
        "shares",
        "why_unavailable",
        "is_available",
        "default_device",
        "bits",
        "__array_namespace_info__",
    ]
)
_SPACES = frozenset(("linalg", "fft", "special", "random"))


class TracingBackend:
    """A backend whose functions are the real one's, and noted.

    In threads that record nothing it is the real one.
    """

    recorded: Any = None

    def __init__(self, real: Backend) -> None:
        self._real, self.name, self.mutable = real, real.name, real.mutable
        self.arrays_only, self.namespace = real.arrays_only, real.namespace
        self.traced: type[Traced] = type("Traced", (Traced,), {"__slots__": (), "xp": self})

    def __repr__(self) -> str:
        return f"<tracing {self._real!r}>"

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if name in _SPACES:
            made: Any = _Space(value, name)
        elif not callable(value) or isinstance(value, type):
            made = value
        elif name in _ANSWERS:
            made = _answering(value)
        else:
            made = _noting(name, value, name in getattr(self._real, "repaired", ()), self._real)
        setattr(self, name, made)
        return made

    def cast(self, x: Any, dtype: Any) -> Any:
        """As `Backend.cast`."""
        if self._real.is_complex(x.dtype) and not self._real.is_complex(dtype):
            x = self.real(x)
        return x if x.dtype == dtype else self.astype(x, dtype)

    def asarray(self, x: Any, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
        """As the real one's; a traced array is itself where nothing is to be done."""
        if _is_traced(x) and dtype is None and device is None and not copy:
            return x
        call = _noting("asarray", self._real.asarray, False, self._real)
        options = {"dtype": dtype, "device": device, "copy": copy}
        return call(x, **{key: value for key, value in options.items() if value is not None})

    def careful(self, x: Any) -> Any:
        """This backend: it is careful by itself."""
        return self

    def holds(self, condition: Any) -> bool:
        """False: no step may depend on it."""
        return False

    def holders(self, x: Any) -> None:
        """Nobody can tell."""

    def owned(self, table: Any, key: Any) -> Any:
        """A copy: a program owns nothing."""
        return self.copy(table[key])

    def add_into(self, a: Any, b: Any) -> Any:
        """The sum, a new array."""
        return a + b

    def to_numpy(self, x: Any) -> Any:
        """As `Backend.to_numpy`; not a look at the numbers yet."""
        if self._real.name == "numpy":
            return x
        return _noting("to_numpy", self._real.to_numpy, False, self._real)(x)

    def from_numpy(self, x: Any, device: Any = None) -> Any:
        """As `Backend.from_numpy`."""
        if self._real.name == "numpy":
            return x
        return _noting("from_numpy", self._real.from_numpy, False, self._real)(x, device=device)


class _Space:
    """A namespace within a backend's."""

    def __init__(self, real: Any, prefix: str) -> None:
        self._real, self._prefix = real, prefix

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if callable(value) and not isinstance(value, type):
            value = _noting(f"{self._prefix}.{name}", value, False, None)
        setattr(self, name, value)
        return value


def _answering(function: Any) -> Any:
    return lambda *args, **kwargs: function(*_plain(args), **_plain(kwargs))


def _noting(name: str, function: Any, careful: bool, real: Any) -> Any:
    checks = name.startswith("check_") or name == "put"

    def call(*args: Any, **kwargs: Any) -> Any:
        trace, chosen = recorder(), function
        if careful and getattr(args[0].dtype, "kind", "f") == "c":
            chosen = getattr(real.for_complex, name)
        if trace is None:
            return chosen(*_plain(args), **_plain(kwargs))
        return trace.record(name, chosen, args, kwargs, effect=checks)

    return call


def tracing(real: Backend) -> TracingBackend:
    """The tracing backend over a real one."""
    if real not in _backends:
        _backends[real] = made = TracingBackend(real)
        by_type[made.traced] = real
    return _backends[real]


# --- the recording ------------------------------------------------------------------------------

_SHAPED_BY_VALUES = frozenset(
    [
        "nonzero",
        "unique_all",
        "unique_counts",
        "unique_inverse",
        "unique_values",
        "numpy.nonzero",
        "numpy.argwhere",
        "numpy.flatnonzero",
        "numpy.unique",
        "numpy.extract",
        "numpy.compress",
        "method.nonzero",
        "method.compress",
        "torch.nonzero",
        "torch.unique",
        "torch.masked_select",
        "method.masked_select",
    ]
)


class Trace:
    """One call, as it is recorded.

    Attributes:
        program: What was recorded.
        reason: Why it cannot be replayed, the first reason; None: nothing stands against it.
        inputs: The arrays that the program's inputs had, in order.
        draws: How often random numbers were drawn.
        backends: The libraries that were met.
    """

    def __init__(self) -> None:
        self.program = Program()
        self.reason: str | None = None
        self.thread = threading.get_ident()
        self.inputs: list[Traced] = []
        self.draws = 0
        self.count = 0
        self.live: list[Any] = []
        self.known: dict[int, tuple[Any, Traced]] = {}  # constants, by the real array
        self.dicts: dict[int, tuple[dict[Any, Any], dict[Any, Any], Value]] = {}
        self.constants: dict[Value, Any] = {}
        self.backends: dict[Backend, None] = {}
        self._real: tuple[dict[Any, Any], ...] = ({}, {})  # what is else in `_TABLES`

    # --- on and off -------------------------------------------------------------------------------

    def start(self) -> None:
        """Record the current thread from now on."""
        global _active
        for table, real in zip(_TABLES, self._real, strict=True):
            for key, backend in list(table.items()):
                if backend is not None and not isinstance(backend, TracingBackend):
                    real[key] = backend
                    table[key] = tracing(backend)
        for made in _backends.values():
            _TABLES[0][made.traced] = made
        _active = self

    def stop(self) -> None:
        """Record no more; may be started again."""
        global _active
        _active = None
        for table, real in zip(_TABLES, self._real, strict=True):
            table.update(real)
        for backend, made in _backends.items():
            by_type[made.traced] = backend

    # --- what stands against a replay -------------------------------------------------------------

    def problem(self, text: str, placed: bool = True) -> None:
        """Note why the call cannot be replayed, with the user's line if that is ``placed``."""
        if self.reason is None:
            line = user_line() if placed else ""
            self.reason = f"{text}, at {line}" if line else text

    def read(self, what: str) -> None:
        """The numbers of an array were looked at on the host."""
        self.problem(f"control flow on values: the numbers of an array are read by {what}")

    # --- values -----------------------------------------------------------------------------------

    def xp_of(self, array: Any) -> TracingBackend:
        """The tracing backend of a real array."""
        found = by_type.get(type(array)) or backend_of(array)
        return found if isinstance(found, TracingBackend) else tracing(found)

    def new(self, array: Any) -> Value:
        """A Value for an array."""
        self.backends.setdefault(self.xp_of(array)._real)
        self.count += 1
        return Value(self.count - 1, tuple(array.shape), array.dtype)

    def wrap(self, array: Any, value: Value | None) -> Traced:
        """A real array in its disguise."""
        traced = self.xp_of(array).traced(self, array, value)
        self.live.append(ref(traced))
        if len(self.live) > 4096 and not len(self.live) & (len(self.live) - 1):
            self.live = [link for link in self.live if link() is not None]
        return traced

    def constant(self, array: Any) -> Traced:
        """An array that the call itself brings."""
        known = self.known.get(id(array))
        if known is None:
            value = self.new(array)
            self.constants[value] = array
            known = self.known[id(array)] = (array, self.wrap(array, value))
        return known[1]

    def value_of(self, traced: Traced) -> Value:
        """The Value that a traced array stands for."""
        if traced._trace is not self:
            traced = self.constant(traced._real_array)
        if traced._value is None:
            traced._value = self.new(traced._real_array)
            self.program.inputs.append(traced._value)
            self.inputs.append(traced)
        return traced._value

    def symbolic(self, tree: Any) -> Any:
        """A tree with Values in place of arrays."""
        kind = type(tree)
        if issubclass(kind, Traced):
            return self.value_of(tree)
        if not issubclass(kind, np.generic) and by_type.get(kind) is not None:
            return self.value_of(self.constant(tree))
        return rebuilt(tree, self.symbolic)

    # --- steps ------------------------------------------------------------------------------------

    def step(self, name: str, call: Any, args: Any, kwargs: Any, result: Any, effect: bool) -> None:
        """Append a step to the program."""
        self.program.steps.append(Step(name, call, args, kwargs, result, effect, user_line()))

    def noted(self, name: str, call: Any, args: tuple[Any, ...], like: Any) -> Value:
        """A step that is not taken: the Value of its result, which is an array like ``like``."""
        symbols = self.symbolic(args)
        value = self.new(like)
        self.step(name, call, symbols, {}, value, False)
        return value

    def record(
        self, name: str, call: Any, args: Any, kwargs: Any = None, effect: bool = False
    ) -> Any:
        """Call a function with real arrays, and note it."""
        kwargs = kwargs or {}
        filled = [a for a in (*args, *kwargs.values()) if type(a) is dict]
        if filled:
            kept = {id(d): self._dict(d) for d in filled}
            symbols = tuple([kept[id(a)][1] if id(a) in kept else self.symbolic(a) for a in args])
            plain = tuple([kept[id(a)][0] if id(a) in kept else _plain(a) for a in args])
            words = {k: kept[id(a)][1] if id(a) in kept else self.symbolic(a)
                     for k, a in kwargs.items()}  # fmt: skip
            plain_words = {k: kept[id(a)][0] if id(a) in kept else _plain(a)
                           for k, a in kwargs.items()}  # fmt: skip
        else:
            symbols, words = self.symbolic(tuple(args)), self.symbolic(kwargs)
            plain, plain_words = _plain(tuple(args)), _plain(kwargs)
        if name in _SHAPED_BY_VALUES or (name == "get_item" and _has_mask(plain[1])):
            self.problem(f"{name}: the shape of the result depends on values")
        try:
            result = call(*plain, **plain_words)
        except Exception:
            self.problem(f"{name} raised an error")
            raise
        traced, value = self._wrapped(name, result)
        self.step(name, call, symbols, words, value, effect)
        for d in filled:
            self._filled(d)
        return traced

    def _wrapped(self, name: str, result: Any) -> tuple[Any, Any]:
        """A result with traced arrays in it, and with Values."""
        kind = type(result)
        if by_type.get(kind) is not None and not issubclass(kind, Traced):
            value = self.new(result)
            return self.wrap(result, value), value
        if isinstance(result, (tuple, list)):
            pairs = [self._wrapped(name, part) for part in result]
            parts = [part for part, _ in pairs]
            values = [value for _, value in pairs]
            if kind is list:
                return parts, values
            made = kind(*parts) if hasattr(result, "_fields") else tuple(parts)
            return made, tuple(values)
        if isinstance(result, _NUMBERS):
            self.read(name.removeprefix("method."))
        elif result is not None:
            self.problem(f"{name} gives an object of {kind}")
        return result, result

    def _dict(self, d: dict[Any, Any]) -> tuple[dict[Any, Any], Value]:
        """The dict of real arrays that stands behind a dict, and its Value."""
        if id(d) not in self.dicts:
            self.count += 1
            value = Value(self.count - 1, (), dict)
            args = (self.symbolic(d),) if d else ()
            self.step("dict", dict, args, {}, value, False)
            self.dicts[id(d)] = (d, _plain(d), value)
        _, shadow, value = self.dicts[id(d)]
        return shadow, value

    def _filled(self, d: dict[Any, Any]) -> None:
        """Let a dict have what a kernel has put into the one behind it."""
        _, shadow, value = self.dicts[id(d)]
        for key in [key for key in d if key not in shadow]:
            del d[key]
        for key, array in shadow.items():
            if key in d and (
                array is d[key] or (_is_traced(d[key]) and d[key]._real_array is array)
            ):
                continue
            if by_type.get(type(array)) is None:
                d[key] = array
                continue
            entry = self.new(array)
            d[key] = self.wrap(array, entry)
            self.step("entry", operator.getitem, (value, key), {}, entry, False)

    # --- changes in place -------------------------------------------------------------------------

    def mutate(self, traced: Traced, array: Any, value: Value) -> None:
        """``traced`` is ``value`` from now on, as its array was written into."""
        for link in self.live:
            other = link()
            if other is None or other is traced:
                continue
            if not isinstance(array, np.ndarray) or (
                other._real_array is not None
                and isinstance(other._real_array, np.ndarray)
                and np.may_share_memory(other._real_array, array)
            ):
                self.problem("an array is written into whose memory another one may share")
                break
        traced._real_array, traced._value, traced._mutated = array, value, True

    def assign(self, name: str, out: Traced, result: Traced) -> None:
        """``out[...] = result``."""
        if out.dtype != result.dtype or out.shape != result.shape:
            self.problem(f"{name} writes into an array of another kind")
        self.value_of(out)
        out._real_array[...] = result._real_array
        self.mutate(out, out._real_array, self.value_of(result))

    # --- the end ----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Drop entries of dicts that nothing asks for, and take the constants that are used."""
        steps, used = self.program.steps, set(self.program.outputs)
        for step in reversed(steps):
            if step.name != "entry" or step.result in used:
                used.update(leaves(step.args), leaves(step.kwargs))
        self.program.steps = [s for s in steps if s.name != "entry" or s.result in used]
        self.program.constants = {v: a for v, a in self.constants.items() if v in used}
        self.dicts.clear()


def _has_mask(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return any("bool" in str(part.dtype) for part in parts if hasattr(part, "dtype"))
