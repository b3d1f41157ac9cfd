"""The engine: Variable, Function and the backward sweep.

A Variable is a handle on an array. Where a gradient is wanted it also knows its node in the graph:
a `Leaf`, or the Function that made it. Functions hold edges to the nodes before them, never to
handles after them, so a graph is freed by reference counting alone. More in docs/engine.md.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast
from weakref import ref

import numpy as np

from .backends import Backend, backend_of, by_type, mixed
from .config import Config as Config
from .config import enable_backprop, recording
from .config import no_grad as no_grad
from .config import test_mode as test_mode
from .config import using_config as using_config
from .graph import Leaf, Output, Sweep, Watch, between, closed, deliver, newest_first, run

__all__ = ["Function", "Leaf", "Output", "Parameter", "Sweep", "Variable", "as_array"]
__all__ += ["as_variable", "between", "deliver", "filled", "fitted", "seeded", "sweep"]

Array = Any
_kinds: dict[Any, Any] = {}


def _kind(data: Array) -> Any:
    """Its shape and dtype: one object for all equal ones, so that comparing takes no time."""
    key = (data.__class__, data.shape, data.dtype)
    kind = _kinds.get(key)
    if kind is None:
        if len(_kinds) > 999:
            _kinds.clear()
        kind = _kinds[key] = SCALAR if key == _OF_SCALAR else key[1:]
    return kind


SCALAR = ((), np.dtype(np.float64))
_OF_SCALAR = (np.ndarray, *SCALAR)


class Variable:
    """An array whose operations are recorded, so that gradients can be asked for.

    Args:
        data: An array of any library with a backend, or None for one that comes later.
        name: A name for pictures and messages.
        requires_grad: Whether operations on it are recorded. False makes it a constant.

    Attributes:
        grad: The gradient, a Variable of the shape and dtype of the data, or None.
        name: The name or None.

    Raises:
        TypeError: ``data`` is not an array, also for Python numbers and lists.

    Example:
        >>> import numpy as np
        >>> x = Variable(np.array(3.0))
        >>> y = x * x
        >>> y.backward()
        >>> x.grad
        variable(6.0)
    """

    # The last two are set by views.py only, where a Variable shares memory with another.
    __slots__ = ("__weakref__", "_base", "_data", "_kind", "_node", "_views", "grad", "name")
    __array_priority__ = 200
    __hash__ = object.__hash__
    _data: Array
    _kind: tuple[tuple[int, ...], Any] | None
    _base: tuple[Any, ...] | None
    _views: list[Any] | None

    if TYPE_CHECKING:  # operators.py attaches these
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = cast(Any, None)
        __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __matmul__ = __neg__ = cast(Any, None)
        __getitem__ = __lt__ = __le__ = __gt__ = __ge__ = cast(Any, None)

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, data: Array, name: str | None = None, requires_grad: bool = True) -> None:
        self.data = data
        self.name = name
        self.grad: Variable | None = None
        self._node: Any = Leaf(self) if requires_grad else None

    # --- the array ----------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The raw array. Assigning it leaves graphs that were recorded before as they are."""
        data = self._data
        if data.__class__ is not np.ndarray and isinstance(data, np.generic):
            data = self._data = np.asarray(data)  # NumPy turns results of rank 0 into scalars
        return data

    @data.setter
    def data(self, data: Array) -> None:
        if data.__class__ is np.ndarray and data.dtype.char in "fd":  # as nearly always
            self._data, self._base, self._views, self._kind = data, None, None, _kind(data)
            return
        if data is not None and by_type.get(data.__class__) is None:
            if isinstance(data, Variable):
                msg = f"{type(data)} is not supported, take its .data"
                raise TypeError(msg)
            backend_of(data)
        if isinstance(data, np.generic):
            if not hasattr(self, "_data"):
                msg = f"{type(data)} is not supported"
                raise TypeError(msg)
            data = np.asarray(data)  # what arithmetic with arrays of rank 0 gives
        if isinstance(data, np.ndarray) and (
            data.dtype.kind in "OUSMmT" or data.dtype.names is not None
        ):
            msg = f"arrays of dtype {data.dtype} are not supported, expected numbers or booleans"
            raise TypeError(msg)
        self._data = data
        self._base = self._views = None  # it shares no memory with what it did before
        # Shape and real dtype, which elementwise operations pass on; None: not known, or complex.
        xp = by_type.get(data.__class__)
        known = xp is not None and xp.is_inexact(dtype := data.dtype) and not xp.is_complex(dtype)
        self._kind = _kind(data) if known else None

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the dimensions."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self._data.shape)  # PyTorch's `size` is the shape

    @property
    def dtype(self) -> Any:
        """The dtype of the array library."""
        return self._data.dtype

    @property
    def device(self) -> Any:
        """The device that the array lives on."""
        return backend_of(self._data).device(self._data)

    def __reduce__(self) -> Any:  # pickle and deepcopy take the array, not the graph
        state = {"name": self.name, **getattr(self, "__dict__", {})}
        return _rebuilt, (type(self), self.data, self.requires_grad), state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            setattr(self, key, value)

    # --- the graph ----------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this Variable are recorded. Assignable for leaves."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if isinstance(self._node, (Function, Output)):
            if wanted:
                return
            msg = "requires_grad of a computed Variable cannot be set to False, use detach()"
            raise ValueError(msg)
        if wanted != (self._node is not None):
            self._node = Leaf(self) if wanted else None
            if wanted:
                self._base = None  # a leaf follows no other Variable

    @property
    def creator(self) -> Function | None:
        """The Function that made this Variable, or None. Assigning None unchains."""
        node = self._node
        node = node.function if isinstance(node, Output) else node
        return node if isinstance(node, Function) and node._edges else None

    @creator.setter
    def creator(self, function: Function | None) -> None:
        if function is None:
            self.unchain()
        else:
            Variable.set_creator(self, function)  # a subclass may assign here in its own

    @property
    def generation(self) -> int:
        """How many Functions lie behind, on the longest path. Assigned: see `Function`'s."""
        creator = self.creator
        return 0 if creator is None else creator.generation + 1

    @generation.setter
    def generation(self, generation: int) -> None:
        if (creator := self.creator) is not None:
            creator.generation = generation - 1
        elif generation != 0:
            msg = f"generation is {generation}, expected 0: no Function made this Variable"
            raise ValueError(msg)

    def set_creator(self, func: Function) -> None:
        """Make ``func`` the one whose output this Variable is."""
        self._node = func
        func._out = ref(self)

    def unchain(self) -> None:
        """Cut the graph behind this Variable: it is a leaf from now on."""
        node = self._node
        if isinstance(node, (Function, Output)):
            self._node = leaf = Leaf(self)
            self._base = None  # a leaf follows no other Variable
            leaf._watch, node._watch = node._watch, Watch()
            node._watch.leaf = leaf
            node._cut()

    def unchain_backward(self) -> None:
        """Cut the graph behind everything that this Variable was computed from.

        The Variable itself keeps its creator. Used to truncate backpropagation through time.
        """
        own = (self._node, self.creator)
        for node in newest_first([self._node]):
            if node not in own:
                for handle in list(node._handles()):
                    handle.unchain()
                node._cut()
                node._rank = 1  # ranks do not grow without end where a loss is summed up
        creator: Any = self.creator
        if creator is not None:
            creator._rank = 2
            self._node._rank = 2 if creator is self._node else 3

    def detach(self) -> Variable:
        """A constant that shares this Variable's array."""
        return _handle(self._data, None)

    def cleargrad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def register_hook(self, hook: Callable[[Variable], Any]) -> Callable[[], None]:
        """Let ``hook`` see the complete gradient of this Variable in every later sweep.

        Args:
            hook: Called with the gradient. What it returns, unless None, replaces the gradient.

        Returns:
            A function that removes the hook.

        Raises:
            RuntimeError: The Variable is a constant.

        Example:
            >>> import numpy as np
            >>> x = Variable(np.array(1.0))
            >>> remove = x.register_hook(lambda g: g * 10.0)
            >>> (x * 2.0).backward()
            >>> x.grad
            variable(20.0)
        """
        if not callable(hook):
            msg = f"register_hook: expected a function, got {type(hook)}"
            raise TypeError(msg)
        if self._node is None:
            msg = "register_hook: this Variable is a constant (requires_grad=False)"
            raise RuntimeError(msg)
        watch = self._node._watch = self._node._watch or Watch()
        key = object()
        watch.hooks[key] = hook
        return lambda: watch.hooks.pop(key, None) and None

    def backward(
        self,
        retain_grad: bool = False,
        create_graph: bool = False,
        retain_graph: bool | None = None,
    ) -> None:
        """Add the gradient of this Variable to ``grad`` of every leaf that it depends on.

        The sweep starts from ``grad`` if it is set, else from ones. Arrays that were kept for it
        are released on the way unless the graph is retained.

        Args:
            retain_grad: Also write ``grad`` of Variables between here and the leaves.
            create_graph: Record the sweep, so that gradients can be differentiated themselves.
            retain_graph: Keep the arrays for another sweep; by default what ``create_graph`` is.

        Raises:
            RuntimeError: Nothing was recorded, or an earlier sweep released what this one needs.
            ValueError: A Function gave a gradient of a wrong shape or number.

        Example:
            >>> import numpy as np
            >>> x = Variable(np.array(2.0))
            >>> y = x * x * x
            >>> y.backward(create_graph=True)
            >>> gx, x.grad = x.grad, None
            >>> gx.backward()
            >>> gx, x.grad
            (variable(12.0), variable(12.0))
        """
        node = self._node
        if node is None or node._rank == 0:
            msg = "backward: this Variable was made by no operation, there is nothing to go back to"
            if node is None:
                msg = (
                    "backward: this Variable has no graph. It was made under no_grad, detached, "
                    "or computed from constants only (requires_grad=False)"
                )
            raise RuntimeError(msg)
        keep = create_graph if retain_graph is None else retain_graph
        retained: list[tuple[Variable, Any]] | None = [] if retain_grad else None
        seed = seeded("backward", self, self.grad, create_graph)
        if create_graph or retain_grad:
            leaves, owned = sweep([(node, seed)], create_graph, keep, retained=retained)
        else:
            general = backend_of(seed).is_complex(seed.dtype)
            leaves, owned = run([(node, seed)], False, keep, general, None, _observed, False)
        grads = []
        for leaf in leaves:
            handle = leaf._out()
            if handle is not None:
                grads.append((handle, _total(handle, leaves, leaf, leaf in owned, create_graph)))
        for handle, g in retained or ():
            if handle is not self or handle.grad is None:
                data = backend_of(_raw(g)).copy(_raw(g))
                g = _handle(data, g._node if create_graph else None)
                grads.append((handle, g))
        if not retain_grad:
            self.grad = None
        for handle, g in grads:
            handle.grad = g


class Parameter(Variable):
    """A Variable that a Layer collects and an optimizer updates."""


def _rebuilt(cls: type[Variable], data: Array, requires_grad: bool) -> Variable:
    variable = cls.__new__(cls)
    Variable.__init__(variable, data, requires_grad=requires_grad)
    return variable


def _handle(data: Array, node: Any) -> Variable:
    """A Variable on an existing node (None: a constant), without any check."""
    variable = Variable.__new__(Variable)
    variable._data = data
    variable._node = node
    variable._kind = variable.grad = variable.name = None
    return variable


def as_variable(obj: Any) -> Variable:
    """``obj`` itself if it is a Variable, else a constant that holds it.

    Example:
        >>> as_variable(2.0)
        variable(2.0)
    """
    return obj if isinstance(obj, Variable) else Variable(as_array(obj), requires_grad=False)


def _operand(x: Any, inputs: tuple[Any, ...]) -> Variable:
    """An input that is no Variable; a number takes the dtype of a floating array beside it."""
    if x.__class__ in (float, int):
        for other in map(_raw, inputs):
            xp = by_type.get(other.__class__)
            if xp is not None and xp.is_inexact(other.dtype):
                return _handle(xp.asarray(x, dtype=other.dtype, device=xp.device(other)), None)
    return as_variable(x)


def as_array(x: Any, array_module: Any = np) -> Array:
    """``x``, with Python and NumPy scalars made arrays of rank 0.

    Example:
        >>> as_array(1.0).shape
        ()
    """
    if isinstance(x, (bool, int, float, complex, np.generic)):
        return array_module.asarray(x)
    return x


def seeded(where: str, y: Variable, g: Any, create_graph: bool) -> Any:
    """The gradient that a sweep starts with: ``g`` in ``y``'s dtype, or ones."""
    xp = backend_of(y._data)
    if g is None:
        scalar = isinstance(y._data, np.generic)  # of NumPy
        g = y._data.__class__(1) if scalar else xp.ones_like(y._data)
        return _handle(g, None) if create_graph else g
    data = g._data if isinstance(g, Variable) else as_array(g, xp)
    if backend_of(data) is not xp:
        raise mixed(f"{where}: gradient and output", data, y._data)
    if data.shape != y.shape:
        msg = f"{where}: the gradient has shape {data.shape}, expected {y.shape} as the output"
        raise ValueError(msg)
    if create_graph:
        g = g if isinstance(g, Variable) else _handle(data, None)
        return g if data.dtype == y.dtype else g.astype(y.dtype)
    return xp.cast(data, y.dtype)


def _total(handle: Variable, leaves: Any, leaf: Leaf, owned: bool, create_graph: bool) -> Variable:
    """What ``grad`` of a leaf becomes: memory that nothing else shares."""
    old = handle.grad
    if old is not None:
        old = as_variable(old)
        if backend_of(old._data) is not backend_of(_raw(leaves[leaf])):
            raise mixed("backward: grad and gradient", old._data, _raw(leaves[leaf]))
        if old.shape != leaves[leaf].shape:
            msg = f"backward: grad has shape {old.shape}, expected {leaves[leaf].shape}"
            raise ValueError(msg)
    if create_graph:
        g = leaves[leaf]
        if old is not None:
            return old + g
        return _handle(backend_of(g._data).copy(g._data), g._node)
    xp = by_type.get(leaves[leaf].__class__) or backend_of(leaves[leaf])
    data, kind = handle._data, handle._kind
    if data is not None and (kind[0] if kind else data.shape) != leaves[leaf].shape:
        msg = f"backward: a gradient has shape {leaves[leaf].shape}, its Variable {data.shape}"
        raise ValueError(msg)
    if old is not None:
        return _handle(old._data + leaves[leaf], None)
    return _handle(leaves[leaf] if owned else xp.owned(leaves, leaf), None)


# --- the sweep --------------------------------------------------------------------------------


def sweep(
    seeds: Iterable[tuple[Any, Any]],
    record: bool,
    keep: bool,
    wanted: set[Any] | None = None,
    retained: list[tuple[Variable, Any]] | None = None,
    targets: dict[Any, Any] | None = None,
) -> tuple[dict[Any, Any], set[Any]]:
    """Carry gradients from the seeds to the leaves, newest Functions first.

    Args:
        seeds: Pairs of a node and the gradient of its output.
        record: Gradients are Variables and the sweep is recorded.
        keep: Functions keep their saved arrays.
        wanted: The nodes to go through; None means all.
        retained: Receives pairs of a living handle and its gradient, for each node passed.
        targets: Its keys are nodes; their gradients are put in as values.

    Returns:
        The gradients of the leaves, and the nodes whose gradient is memory of the sweep's own.
    """
    seeds = list(seeds)
    if wanted is not None and closed(wanted):
        wanted = None  # nothing to leave out
    raws = [_raw(g) for _, g in seeds]
    general = record or wanted is not None or any(backend_of(g).is_complex(g.dtype) for g in raws)

    def observed(node: Any, g: Any) -> Any:
        return _observed(node, g, record, retained, targets)

    look = retained is not None or targets is not None
    token = enable_backprop.set(True) if record else None
    try:
        return run(seeds, record, keep, general, wanted, observed, look)
    finally:
        if token is not None:
            enable_backprop.reset(token)


def _observed(
    node: Any, g: Any, record: bool = False, retained: Any = None, targets: Any = None
) -> Any:
    watch = node._watch
    if watch is not None:
        for hook in list(watch.hooks.values()):
            result = hook(g if record else _handle(g, None))
            if result is not None:
                if by_type.get((data := as_array(_raw(result))).__class__) is None:
                    msg = f"a gradient hook returned {type(result)}, expected an array or None"
                    raise TypeError(msg)
                result = as_variable(result) if record else data
                if result.shape != g.shape:
                    msg = f"a gradient hook returned shape {result.shape}, expected {g.shape}"
                    raise ValueError(msg)
                if result.dtype != g.dtype:
                    xp = backend_of(_raw(g))
                    result = result.astype(g.dtype) if record else xp.cast(result, g.dtype)
                g = result
        if watch.retained and retained is None and node._rank:
            watch.retained = False
            for handle in node._handles():
                handle.grad = None
    if targets is not None and node in targets:
        targets[node] = g
    if retained is not None and node._rank:
        node._watch = node._watch or Watch()
        node._watch.retained = True
        retained.extend((handle, g) for handle in node._handles())
    return g


def _raw(x: Any) -> Any:
    return x._data if isinstance(x, Variable) else x


# --- functions --------------------------------------------------------------------------------


class _Signature:
    """What `inspect` shows of a Function's class: the arguments of ``__init__``."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is not None:
            return None
        inspect = importlib.import_module("inspect")
        given = inspect.signature(owner.__init__)
        names = () if owner.__init__ is object.__init__ else (*given.parameters.values(),)[1:]
        return given.replace(parameters=names)


class Function:
    """A differentiable operation with state; subclass it and write ``forward`` and ``backward``.

    ``forward(*arrays)`` gets raw arrays and returns one array or a tuple. ``backward(*gys)`` gets
    the gradients of the outputs as Variables and returns those of the inputs, one or a tuple, None
    where there is none; written with operations on Variables it can be differentiated again. In it
    ``self.inputs`` are the Variables of the call, ``self.outputs`` weak references to the results.

    Each call is a node of its own, also when one instance is called twice.

    Raises:
        ValueError: ``backward`` returned a wrong number of gradients, or a wrong shape.
        TypeError: ``forward`` returned something that is not an array.

    Example:
        >>> import numpy as np
        >>> class Square(Function):
        ...     def forward(self, x):
        ...         return x**2
        ...
        ...     def backward(self, gy):
        ...         (x,) = self.inputs
        ...         return 2.0 * x * gy
        >>> x = Variable(np.array(3.0))
        >>> Square()(x).backward()
        >>> x.grad
        variable(6.0)
    """

    __slots__ = ()  # primitives have their own; subclasses have a dictionary
    _rank: int
    _out: Any
    _watch: Watch | None
    _ends: tuple[Any, ...]
    _inputs: list[Variable]
    _held: tuple[Any, ...] = ()
    _like: list[tuple[Any, Any]]
    _ys: list[Array] | None
    _asks_outputs = False
    __signature__ = _Signature()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """An instance; of a bare Function one of a subclass, which has a dictionary."""
        if (args or kwargs) and cls.__init__ is object.__init__:
            msg = f"{cls.__name__}() takes no arguments"
            raise TypeError(msg)
        return object.__new__(_Bare if cls is Function else cls)

    def forward(self, *arrays: Array) -> Any:
        """Compute the outputs from raw arrays."""
        msg = f"{type(self).__name__} has no forward"
        raise NotImplementedError(msg)

    def backward(self, *gys: Variable) -> Any:
        """Compute the gradients of the inputs from those of the outputs."""
        msg = f"{type(self).__name__} has no backward"
        raise NotImplementedError(msg)

    def __call__(self, *inputs: Any) -> Any:
        """Apply the function: one Variable, or a list of them if ``forward`` returned a tuple."""
        node: Any = self
        if hasattr(self, "_ends"):
            import copy  # not needed to import dezero

            node = copy.copy(self)
        handles = [x if isinstance(x, Variable) else _operand(x, inputs) for x in inputs]
        if len(handles) > 1:
            self._check_places(handles)
        ys = node.forward(*[handle.data for handle in handles])
        several = isinstance(ys, tuple)
        results = [self._result(y) for y in (ys if several else (ys,))]
        node._ends = edges = tuple([handle._node for handle in handles])
        rank = 0
        for edge in edges:
            if edge is not None and edge._rank >= rank:
                rank = edge._rank + 1
        if rank and recording():
            node._inputs = [_twin(handle) for handle in handles]
            # Weakly: a grad, or what is assigned to a Variable later, may lead back here.
            node._held = tuple([ref(handle) for handle in handles])
            node._like = [v._kind or (v._data.shape, v._data.dtype) for v in handles]
            node._rank, node._watch = rank, None
            node._ys = [y._data for y in results] if self._asks_outputs else None
            if several:
                for i, y in enumerate(results):
                    y._node = Output(node, i, y)
                node._out = [(ref(y), y.shape, y.dtype) for y in results]
            else:
                results[0]._node = node
                node._out = ref(results[0])
        return results if several else results[0]

    def _check_places(self, handles: list[Variable]) -> None:
        first = handles[0]._data
        for handle in handles:
            data = handle._data
            if data.__class__ is not first.__class__ and backend_of(data) is not backend_of(first):
                raise mixed(type(self).__name__, first, data)

    def _result(self, y: Any) -> Variable:
        if by_type.get(y.__class__) is None:
            y = as_array(_raw(y))
            try:
                backend_of(y)
            except TypeError as error:
                msg = f"{type(self).__name__}.forward returned {type(y)}, expected an array"
                raise TypeError(msg) from error
        return _handle(y, None)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # Whether some method may ask for self.outputs; code behind a wrapper cannot be seen.
        classes = cls.__mro__[: cls.__mro__.index(Function)]
        methods = [m for c in classes for m in vars(c).values() if callable(m)]
        codes = [getattr(m, "__code__", None) for m in methods if not isinstance(m, type)]
        hidden = any(hasattr(m, "__wrapped__") for m in methods) or None in codes
        cls._asks_outputs = hidden or any(_names(code, "outputs") for code in codes)

    @property
    def inputs(self) -> list[Variable]:
        """The Variables that the function was called with."""
        return [_living(*pair) for pair in zip_longest(self._inputs, self._held)]

    @property
    def outputs(self) -> list[Any]:
        """Weak references to the results."""
        if isinstance(self._out, list):
            return [out[0] for out in self._out]
        return [self._out]

    @property
    def generation(self) -> int:
        """How many Functions lie behind, on the longest path. It can be lowered to its inputs'."""
        return self._rank - 1

    @generation.setter
    def generation(self, generation: int) -> None:
        if hasattr(self, "_out"):
            lowest = max((edge._rank for edge in self._edges), default=0)
            if not lowest <= generation < self._rank:  # its results lie at its rank already
                msg = f"generation is {generation}, expected {lowest} to {self._rank - 1}"
                raise ValueError(f"{type(self).__name__}: {msg}, as the graph was recorded")
        cast(Any, self)._rank = generation + 1

    @property
    def _edges(self) -> tuple[Any, ...]:
        """The nodes that gradients go to."""
        return tuple(edge for edge in self._ends if edge is not None)

    def _handles(self) -> Iterator[Variable]:
        """The living results."""
        for out in self.outputs:
            handle = out()
            if handle is not None:
                yield handle

    def _revived(self) -> list[Variable]:
        """The results, new handles for those that are gone, for a ``backward`` that asks."""
        several = isinstance(self._out, list)
        handles = []
        for i, (out, y) in enumerate(zip(self.outputs, self._ys or (), strict=True)):
            handle = out()
            if handle is None:
                handle = _handle(y, self)
                if several:
                    handle._node = Output(self, i, handle)
                    self._out[i] = (ref(handle), *self._out[i][1:])
                else:
                    self._out = ref(handle)
            handles.append(handle)
        return handles

    def _cut(self) -> None:
        """Forget the edges and what was saved: gradients end here."""
        self.__dict__.update(_ends=(), _inputs=[], _held=(), _ys=None)

    def _pull(self, g: Any, sweep: Sweep, keep: bool) -> bool:
        """Pass the gradient on to the inputs, from a sweep of raw and real arrays."""
        self._pull_general(g, sweep, keep)
        unknown = (x for x in self._inputs if x._kind is None)  # others are real
        return any(backend_of(x._data).is_complex(x.dtype) for x in unknown)

    def _pull_general(self, g: Any, sweep: Sweep, keep: bool) -> None:
        """Pass the gradient on to the inputs, from any sweep."""
        gs = filled(self, g, sweep) if isinstance(g, list) else [g]
        if not self._ends:
            return
        gys = [g if sweep.record else _handle(g, None) for g in gs]
        xp = backend_of(gys[0]._data)
        conjugate = xp.is_complex(gys[0].dtype)
        if conjugate:
            gys = [gy.conj() for gy in gys]
        name = type(self).__name__
        token = enable_backprop.set(sweep.record)
        try:
            living = self._revived() if self._ys is not None else None  # held while backward runs
            gxs = self.backward(*gys)
            del living
            gxs = gxs if isinstance(gxs, (tuple, list)) else (gxs,)
            if len(gxs) != len(self._ends):
                msg = f"{name}.backward returned {len(gxs)} gradients, expected {len(self._ends)}"
                raise ValueError(msg)
            for i, (edge, gx) in enumerate(zip(self._ends, gxs, strict=True)):
                if edge is None or gx is None or not (sweep.wanted is None or edge in sweep.wanted):
                    continue
                gx = as_variable(gx)
                gx = gx.conj() if conjugate else gx
                deliver(sweep, edge, fitted(name, i, gx, self._like[i], sweep.record))
        finally:
            enable_backprop.reset(token)


def fitted(name: str, index: int, g: Variable, like: tuple[Any, Any], record: bool) -> Any:
    """A gradient from outside, checked against its input's shape and given its dtype."""
    shape, dtype = like
    if g.shape != shape:
        msg = (
            f"{name}.backward: gradient {index} has shape {g.shape}, expected {shape} as its input"
        )
        raise ValueError(msg)
    xp = backend_of(g._data)
    if (
        g._data.dtype is not dtype
        and g.dtype != dtype
        and xp.is_inexact(dtype)
        and xp.is_inexact(g.dtype)
    ):
        if record:
            g = g.real if xp.is_complex(g.dtype) and not xp.is_complex(dtype) else g
            return g.astype(dtype)
        return xp.cast(g._data, dtype)
    return g if record else g._data


def filled(node: Function, gs: list[Any], sweep: Sweep) -> list[Any]:
    """The gradients of several outputs, zeros for those that nothing depends on."""
    some = next(_raw(g) for g in gs if g is not None)
    xp: Backend = backend_of(some)
    for i, (_, shape, dtype) in enumerate(node._out):
        if gs[i] is None:
            zeros = xp.zeros(shape, dtype=dtype, device=xp.device(some))
            gs[i] = _handle(zeros, None) if sweep.record else zeros
    return gs


def _names(code: Any, name: str) -> bool:
    """Whether code, or a function inside it, has an attribute or a global called ``name``."""
    inner = [constant for constant in code.co_consts if hasattr(constant, "co_names")]
    return name in code.co_names or any(_names(part, name) for part in inner)


_Bare = type("Function", (Function,), {"__module__": __name__, "__qualname__": "_Bare"})


def _twin(handle: Variable) -> Variable:
    """A handle of its own, which later assignments to ``handle`` do not reach."""
    twin = _handle(handle._data, handle._node)
    twin.name, twin._kind = handle.name, handle._kind
    return twin


def _living(twin: Variable, held: Any) -> Variable:
    """The Variable that ``twin`` stands for, if it is there and still the same."""
    handle: Variable | None = None if held is None else held()
    if handle is None or handle._data is not twin._data or handle._node is not twin._node:
        return twin
    return handle


def __getattr__(name: str) -> Any:
    """What the book's module of this name holds, and what stands above it here."""
    if name == "array_types":
        cuda = importlib.import_module("dezero.cuda")
        return (np.ndarray, cuda.cupy.ndarray) if cuda.gpu_enable else (np.ndarray,)
    if name.lower() in ("add", "mul", "neg", "sub", "rsub", "div", "rdiv", "pow"):
        return getattr(importlib.import_module("dezero.functions"), name)
    if name == "setup_variable":
        return importlib.import_module("dezero.operators").setup_variable
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
