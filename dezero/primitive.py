"""A formula and its derivative rules become a Function and the function that records it.

``@elementwise(rule, ...)`` and ``@primitive(rule, ...)`` decorate a formula over a namespace
``xp``; there is one rule for each leading operand. A rule asks by name for what it needs: ``g``
(the gradient of the output), ``y`` (the output), operands and parameters by their names, and
``<operand>_shape``. Only what some rule names is kept.

The recorder and the pull of each primitive are written as source on its first call: no ``*args``,
no dict, no loop on the hot path.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np

from .backends import Backend, backend_of, by_type, mixed, numpy_backend
from .config import recording
from .core import SCALAR, Function, Variable, _handle, filled
from .dispatch import common, explained, namespace_of, number, ops, registered, resolve, show
from .graph import Output, Sweep, deliver
from .writer import Writer, argument_names, defaults, signature

__all__ = ["Node", "VariadicNode", "constant", "elementwise", "ops", "primitive", "variadic"]


class _Released:
    def __repr__(self) -> str:
        return "released"


RELEASED = _Released()
_GONE: Any = ref(_Released())
_Rule = Callable[..., Any] | None
_new = object.__new__


def _like(xp: Backend, x: Any, y: Any, other: Any = None) -> tuple[Any, Any] | None:
    """What a gradient like ``y`` must become for ``x``: shape and dtype, None if nothing."""
    same = x.dtype == y.dtype == getattr(other, "dtype", x.dtype)
    dtype = x.dtype if not same and xp.is_inexact(x.dtype) else None
    return (x.shape, dtype) if dtype is not None or x.shape != y.shape else None


def _fit(xp: Any, g: Any, like: tuple[Any, Any]) -> Any:
    """``g`` summed over the dimensions that were broadcast, in the dtype of the operand."""
    shape, dtype = like
    if g.shape != shape:
        lead = g.ndim - len(shape)
        axes = (
            *range(lead),
            *(lead + i for i, n in enumerate(shape) if n == 1 != g.shape[lead + i]),
        )
        g = xp.sum(g, axis=axes, keepdims=True) if axes else g
        g = xp.reshape(g, shape) if lead else g
    return g if dtype is None or dtype == g.dtype else xp.cast(g, dtype)


def _checked(
    xp: Any, g: Any, like: tuple[Any, Any], name: str, operand: str, broadcast: bool
) -> Any:
    """As `_fit`, for rules from outside dezero: a wrong shape is an error that names them."""
    shape, _ = like
    if not hasattr(g, "shape"):
        msg = f"{name}: the rule for {operand!r} gave {type(g)}, expected an array"
        raise TypeError(msg)
    xp = backend_of(g) if xp is None else xp
    missing = g.ndim - len(shape)
    ends = g.shape[max(missing, 0) :]
    if g.shape != shape and not (
        broadcast and missing >= 0 and all(n in (1, m) for n, m in zip(shape, ends, strict=True))
    ):
        msg = (
            f"{name}: the rule for {operand!r} gave a gradient of shape {g.shape}, expected {shape}"
        )
        raise ValueError(msg)
    return _fit(xp, g, like)


def _check_complex(name: str, xp: Backend, y: Any, operands: tuple[Any, ...]) -> None:
    """Raise for a real result of complex operands: its rules must conjugate themselves."""
    dtypes = [x.dtype for x in operands if by_type.get(x.__class__) is not None]
    parts = [part.dtype for part in (y if isinstance(y, tuple) else (y,))]
    real = any(xp.is_inexact(dtype) and not xp.is_complex(dtype) for dtype in parts)
    if real and any(xp.is_complex(dtype) for dtype in dtypes):
        msg = f"{name}: a real result of complex operands needs rules with conjugates=True"
        raise TypeError(msg)


def _not_an_operand(name: str, parameter: str) -> TypeError:
    return TypeError(f"{name}: {parameter!r} has no rule, so it may not be a Variable; take .data")


def _released(node: Function) -> RuntimeError:
    return RuntimeError(
        f"backward: {type(node).__name__} needs arrays that an earlier backward() released. "
        "Call that one with retain_graph=True or create_graph=True"
    )


def _parts(node: Function, ys: tuple[Any, ...]) -> list[Variable]:
    """Saved outputs as Variables of their node."""
    handles = [_handle(y, None) for y in ys]
    for i, handle in enumerate(handles):
        handle._node = Output(node, i, handle)
    return handles


def _outputs(node: Function, ys: tuple[Any, ...]) -> list[Variable]:
    handles = _parts(node, ys)
    node._out = [(ref(v), v.shape, v.dtype) for v in handles]
    return handles


def _was_number(x: Any) -> bool:
    return x.__class__ is np.ndarray and not x.shape and not x.flags.writeable


def _saved(x: Any, edge: Any, kind: Any) -> Any:
    """A saved array as a Variable on its edge; constants that were numbers as numbers."""
    if edge is None:
        if kind is not None and x.__class__ is np.ndarray and not x.shape:
            return x.item()
        if by_type.get(x.__class__) is None:
            return x
        kind = None
    handle = _new(Variable)
    handle._data, handle._node, handle._kind = x, edge, kind
    handle.grad = handle.name = None
    return handle


class Node(Function):
    """One executed primitive."""

    __slots__ = ()
    names: tuple[str, ...] = ()
    saved: tuple[str, ...] = ()

    @property
    def inputs(self) -> list[Variable]:
        """The inputs: the living handle, else a new one with the array if it was kept."""
        result = []
        for name in self.names:
            edge = getattr(self, "e_" + name)
            handle = edge._out() if edge is not None and edge._out.__class__ is ref else None
            if handle is None:
                data: Any = getattr(self, "v_" + name, None)
                if edge is None and _was_number(data):
                    data = data.item()
                handle = _handle(None if data is RELEASED else data, edge)
            result.append(handle)
        return result

    def _cut(self) -> None:
        for name in self.names:
            setattr(self, "e_" + name, None)
        for name in self.saved:
            setattr(self, name, RELEASED)


class _One(ref[Variable], Node):
    """One with one result, to which it is itself the weak reference: one object less."""

    __slots__ = ("_link", "_rank", "_watch")
    __hash__, __eq__, __ne__ = object.__hash__, object.__eq__, object.__ne__
    __repr__ = object.__repr__

    @property
    def _out(self) -> Any:
        """A weak reference to the result, or what was assigned in its place."""
        try:
            return self._link
        except AttributeError:
            handle = self()
            return _GONE if handle is None else ref(handle)

    @_out.setter
    def _out(self, out: Any) -> None:
        self._link = out

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For copies, as of a layer that holds a Function: weak references have none."""
        names = [n for kind in type(self).__mro__ for n in getattr(kind, "__slots__", ())]
        state = {n: getattr(self, n) for n in names if n != "_link" and hasattr(self, n)}
        return type(self), (RELEASED,), (None, state | {"_link": self._out})


class _Several(Node):
    __slots__ = ("_out", "_rank", "_watch")


def _stub(*args: Any, **kwargs: Any) -> Any:
    return globals()["write"]()(*args, **kwargs)  # those that `_made` gives it


# What the written functions refer to, and under "_" and its name what the recorders do.
_PULLS = {
    "RELEASED": RELEASED, "by_type": by_type, "checked": _checked, "backend_of": backend_of,
    "deliver": deliver, "filled": filled, "fit": _fit, "namespace_of": namespace_of,
    "ndarray": np.ndarray, "numpy": numpy_backend, "parts": _parts, "released": _released,
    "saved": _saved,
}  # fmt: skip
_RECORDER = {
    "Exception": Exception, "KeyError": KeyError, "Variable": Variable, "by_type": by_type,
    "check_complex": _check_complex, "not_an_operand": _not_an_operand,
    "common": common, "complex": complex, "default": numpy_backend, "explained": explained,
    "float": float, "handle": _handle, "int": int, "isinstance": isinstance,
    "like": _like, "mixed": mixed, "ndarray": np.ndarray, "new": _new, "number": number,
    "numbers": numpy_backend.numbers,
    "outputs": _outputs, "SCALAR": SCALAR, "recording": recording, "resolve": resolve,
}  # fmt: skip
_GLOBALS: dict[str, Any] = _PULLS | {"_" + key: value for key, value in _RECORDER.items()}


def _made(
    formula: Any, rules: tuple[_Rule, ...], broadcasts: bool, gate: bool, several: bool
) -> Any:
    if not hasattr(formula, "__code__"):
        msg = f"expected a function as formula, got {formula!r}: was its decorator given its rules?"
        raise TypeError(msg)
    name = formula.__name__
    own = (formula.__module__ or "").startswith("dezero.")
    globals_ = {**_GLOBALS, "_formula": formula, "__name__": formula.__module__}
    # What is wrong with somebody's rules is said at once; our own are read when they are needed.
    writer = None if own else Writer(formula, rules, broadcasts, gate, own)
    function: Any = types.FunctionType(_stub.__code__, globals_, name)

    def write() -> Any:
        nonlocal writer
        if "written" not in globals_:
            writer = writer or Writer(formula, rules, broadcasts, gate, own)
            for o, rule in zip(writer.operands, rules, strict=True):
                globals_["rule_" + o] = rule
            globals_.update(defaults(formula))
            space: dict[str, Any] = {}
            source = writer.recorder(signature(formula), several)
            source += "\n" + writer.edges()
            source += "\n" + writer.pull(False, gate, several)
            source += "\n" + writer.pull(True, gate, several)
            globals_.update({f"_np_{n}": getattr(numpy_backend, n) for n in writer.natives})
            import linecache  # shows the source in tracebacks; not needed to import dezero

            file = f"<dezero {name}>"
            linecache.cache[file] = (len(source), None, source.splitlines(True), file)
            exec(compile(source, file, "exec"), globals_, space)
            function.source = source
            body = {"__slots__": writer.slots(), "__module__": formula.__module__}
            body["_edges"] = property(space["_edges"])
            body |= {"_pull": space["_pull"], "_pull_general": space["_pull_general"]}
            body |= {"names": tuple(writer.differentiable()), "formula": staticmethod(formula)}
            body["saved"] = tuple(
                f"v_{n}" for n in writer.saved if n == "y" or n in writer.operands
            )
            title = "".join(part.capitalize() for part in name.split("_"))
            globals_["_Node"] = type(title, (_Several if several else _One,), body)
            written = globals_["written"] = space[name]
            function.__defaults__, function.__kwdefaults__ = (
                written.__defaults__,
                written.__kwdefaults__,
            )
            function.__code__ = written.__code__
        return globals_["written"]

    globals_["write"] = write
    show(function, formula)
    function.write = write
    registered(name, formula.__module__ or "", function)
    return function


def primitive(
    *rules: _Rule, conjugates: bool = False, several: bool = False
) -> Callable[[Any], Any]:
    """Make a formula differentiable, with one rule for each of its leading operands.

    Args:
        rules: ``rule(xp, ...)`` gives the gradient of its operand, in the operand's shape; its
            further arguments are chosen by name: ``g``, ``y``, operands, parameters of the formula
            ``<operand>_shape`` and ``<operand>_dtype``. None: no gradient goes to that operand.
        conjugates: The rules treat complex arrays themselves. Otherwise they are written as for
            real numbers, and ``g`` and the result are conjugated around them.
        several: The formula returns a tuple; ``g`` and ``y`` are sequences then.

    Returns:
        A decorator. The decorated function takes arrays, numbers and Variables, and returns a
        Variable, or a list of them.

    Raises:
        TypeError: A rule asks for a name that there is not.

    Example:
        >>> import numpy as np
        >>> @primitive(lambda xp, g, x_shape: xp.broadcast_to(g, x_shape))
        ... def total(xp, x):
        ...     return xp.sum(x)
        >>> x = Variable(np.ones(3))
        >>> total(x).backward()
        >>> x.grad
        variable([1. 1. 1.])
    """
    return lambda formula: _made(formula, rules, False, conjugates, several)


def elementwise(*rules: _Rule, conjugates: bool = False) -> Callable[[Any], Any]:
    """As `primitive`, for a formula that works element by element and broadcasts its operands.

    Rules give a gradient of the output's shape; it is summed to the operand's shape for them.

    Example:
        >>> import numpy as np
        >>> @elementwise(lambda xp, g, x: g * 3.0 * x * x)
        ... def cube(xp, x):
        ...     return x * x * x
        >>> x = Variable(np.array(2.0))
        >>> cube(x).backward()
        >>> x.grad
        variable(12.0)
    """
    return lambda formula: _made(formula, rules, True, conjugates, False)


class VariadicNode(Function):
    """One executed primitive over a sequence of arrays."""

    __slots__ = ("_ends", "_like", "_out", "_rank", "_watch", "asked")
    asked: dict[str, Any]
    rule: Any
    formula: Any

    @property
    def inputs(self) -> list[Variable]:
        """The inputs: the living handle, else a new one with the array if it was kept."""
        arrays = self.asked.get("arrays", RELEASED)
        result = []
        for i, edge in enumerate(self._ends):
            handle = edge._out() if edge is not None and edge._out.__class__ is ref else None
            if handle is None:
                handle = _handle(None if arrays is RELEASED else arrays[i], edge)
            result.append(handle)
        return result

    def _cut(self) -> None:
        self._ends = ()

    def _pull(self, g: Any, sweep: Sweep, keep: bool) -> bool:
        xp = backend_of(g)
        self._pull_general(g, sweep, keep)
        return any(dtype is not None and xp.is_complex(dtype) for _, dtype in self._like)

    def _pull_general(self, g: Any, sweep: Sweep, keep: bool) -> None:
        if not self._ends:
            return
        asked = dict(self.asked)
        for name in {"arrays", "y"} & asked.keys():
            if asked[name] is RELEASED:
                raise _released(self)
            if not keep:
                self.asked[name] = RELEASED
        xp: Any = backend_of(g._data if sweep.record else g)
        conjugate = xp.is_complex(g.dtype)
        if sweep.record:
            xp = namespace_of(xp)
            if "y" in asked:
                asked["y"] = _handle(asked["y"], self)
            if "arrays" in asked:
                asked["arrays"] = [
                    _handle(a, e) for a, e in zip(asked["arrays"], self._ends, strict=True)
                ]
        if "needed" in asked:
            wanted = sweep.wanted
            asked["needed"] = tuple(
                e is not None and (wanted is None or e in wanted) for e in self._ends
            )
        ds = self.rule(xp, xp.conj(g) if conjugate else g, **asked)
        name = type(self).__name__
        if len(ds) != len(self._ends):
            msg = f"{name}: the rule gave {len(ds)} gradients, expected {len(self._ends)}"
            raise ValueError(msg)
        for edge, d, (shape, dtype) in zip(self._ends, ds, self._like, strict=True):
            if edge is not None and (sweep.wanted is None or edge in sweep.wanted):
                if d.shape != shape:
                    msg = f"{name}: the rule gave a gradient of shape {d.shape}, expected {shape}"
                    raise ValueError(msg)
                d = xp.conj(d) if conjugate else d
                deliver(sweep, edge, d if dtype is None else xp.cast(d, dtype))


def variadic(rule: Callable[..., Any]) -> Callable[[Any], Any]:
    """Make a formula over a sequence of arrays differentiable, such as ``concat``.

    Args:
        rule: ``rule(xp, g, ...)`` gives a sequence of gradients, one for each array, in its shape.
            Further arguments by name: ``arrays``, ``shapes``, ``y``, parameters of the formula, and
            ``needed``, a tuple of booleans that says which gradients will be used.

    Returns:
        A decorator. The decorated function takes a sequence of arrays and Variables, then the
        formula's parameters, and returns a Variable.

    Example:
        >>> import numpy as np
        >>> @variadic(lambda xp, g, shapes: [xp.broadcast_to(g, s) for s in shapes])
        ... def sum_of_sums(xp, arrays):
        ...     return sum(xp.sum(a) for a in arrays)
        >>> x = Variable(np.ones(2))
        >>> sum_of_sums([x, x]).backward()
        >>> x.grad
        variable([2. 2.])
    """

    def decorate(formula: Any) -> Any:
        name = formula.__name__
        title = "".join(part.capitalize() for part in name.split("_"))
        body = {"__slots__": (), "rule": staticmethod(rule), "formula": staticmethod(formula)}
        node_type = type(title, (VariadicNode,), body | {"__module__": formula.__module__})
        names = argument_names(rule)[2:]
        code = formula.__code__
        parameters = code.co_varnames[2 : code.co_argcount]
        defaults = dict(zip(parameters[::-1], (formula.__defaults__ or ())[::-1], strict=False))

        def function(arrays: Any, *args: Any, **kwargs: Any) -> Variable:
            if isinstance(arrays, Variable) or not isinstance(arrays, (list, tuple)):
                arrays = list(arrays)
            if not arrays:
                msg = f"{name}: expected at least one array, got none"
                raise TypeError(msg)
            if any(isinstance(a, Variable) for a in (*args, *kwargs.values())):
                msg = f"{name}: the arrays go in as one sequence, such as {name}([a, b])"
                raise TypeError(msg)
            raws = [a._data if isinstance(a, Variable) else a for a in arrays]
            xp = common(name, tuple(raws))
            raws = [xp.asarray(a) if by_type.get(a.__class__) is None else a for a in raws]
            try:
                y = formula(xp, raws, *args, **kwargs)
            except Exception as error:
                raise explained(error, name, tuple(raws)) from None
            variable = _handle(y, None)
            edges = tuple(a._node if isinstance(a, Variable) else None for a in arrays)
            if recording() and any(edge is not None for edge in edges):
                node: Any = _new(node_type)
                given = {"arrays": raws, "y": y, "needed": None}
                given |= defaults | dict(zip(parameters, args, strict=False)) | kwargs
                given["shapes"] = [a.shape for a in raws]
                node.asked = {n: given[n] for n in names}
                node._ends = edges
                node._like = [
                    (a.shape, a.dtype if a.dtype != y.dtype and xp.is_inexact(a.dtype) else None)
                    for a in raws
                ]
                node._rank = 1 + max(edge._rank for edge in edges if edge is not None)
                node._watch, node._out = None, ref(variable)
                variable._node = node
            return variable

        show(function, formula)
        registered(name, formula.__module__ or "", function)
        return function

    return decorate


def constant(formula: Any) -> Any:
    """Decorate a formula whose results are constants: comparisons, tests, positions.

    Example:
        >>> import numpy as np
        >>> @constant
        ... def is_positive(xp, x):
        ...     return x > 0
        >>> is_positive(Variable(np.ones(2))).requires_grad
        False
    """
    name = formula.__name__

    def function(*operands: Any, **parameters: Any) -> Any:
        raws = [x._data if isinstance(x, Variable) else x for x in operands]
        xp = common(name, tuple(raws))
        try:
            y = formula(xp, *raws, **parameters)
        except Exception as error:
            raise explained(error, name, tuple(raws)) from None
        if isinstance(y, tuple):
            return tuple(_handle(part, None) for part in y)
        return _handle(y, None)

    show(function, formula)
    registered(name, formula.__module__ or "", function)
    return function
