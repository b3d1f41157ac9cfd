"""A Program as one generated Python function: buffers by lifetime, chains in tiles."""

from __future__ import annotations

import linecache
import math
import sys
from collections.abc import Callable, Iterable
from itertools import count
from types import CodeType
from typing import Any
from weakref import finalize

import numpy as np

from ..backends.base import is_basic
from .cuda import captured, fused
from .elementwise import FLOATS, is_plain, out_of, ufunc
from .groups import Group, grouped, reduced_axes
from .loops import is_loop, looped
from .program import Program, Step, Value, leaves
from .scalars import Arithmetic, arithmetic
from .simplify import QUIET, VIEWS, sharing, simplified, uses
from .tiles import tiled

__all__ = ["Executor", "build"]

_LEAST = 1 << 16  # numbers; smaller arrays are in the cache as they are
_MOST = 1 << 15  # numbers that a tile may have for the sake of a reduction
_SMALL = 1 << 14  # numbers; for larger arrays the backend's own kernel pays
_files = count()


class Executor:
    """Runs a Program.

    Attributes:
        run: Takes a list of the inputs' arrays, which it empties, and gives a list of the outputs'.
            New arrays each time.
        source: What it is made of.
        reentrant: Several threads may run it at once.
        listing: The same for readers.
        arithmetic: The same as lines for single numbers, if that is what it is about.
    """

    __slots__ = ("arithmetic", "listing", "run", "source")
    reentrant = True

    def __init__(
        self,
        run: Callable[[list[Any]], list[Any]],
        source: str,
        listing: str,
        arithmetic: Arithmetic | None = None,
    ) -> None:
        self.run, self.source, self.listing = run, source, listing
        self.arithmetic = arithmetic

    def __call__(self, box: list[Any]) -> list[Any]:
        return self.run(box)


def build(program: Program, backend: Any, numba: bool = False) -> Executor:
    """A fast executor of a Program whose arrays are of ``backend``.

    ``numba``: elementwise chains of NumPy arrays become loops that Numba compiles, which takes a
    second each. Their exp and tanh in single precision err by 2.3 units in the last place at most.

    Raises:
        ModuleNotFoundError: Numba is not installed, but wanted.
    """
    native = backend.name == "numpy"
    work = _Build(program, backend, native, loops=numba)
    return (_scalars(work) if native else None) or work.executor()


def _scalars(work: _Build) -> Executor | None:
    """An executor in Python's own arithmetic, if the program is about single numbers."""
    numbers = arithmetic(work.program)
    if numbers is None:
        return None
    numbers.space["general"] = work.executor().run
    source = numbers.source()
    run = _executed(_compiled(source), numbers.space)
    return Executor(run, source, work.listing("numbers in Python's own arithmetic"), numbers)


class _Build:
    """Source code that grows step by step.

    Attributes:
        names: What a value is called: a local variable of the run, or what is made once.
        once: The values that are made once: buffers, and views of them.
    """

    def __init__(
        self,
        program: Program,
        backend: Any,
        native: bool,
        least: int | None = None,
        loops: bool = False,
    ) -> None:
        least = _LEAST if least is None else least
        self.backend, self.native = backend, native
        self.before, self.loops = len(program.steps), loops
        quiet = native and any(step.name in QUIET for step in program.steps)
        program = simplified(program, native)
        if backend.fused_update is not None:  # it generates kernels
            program = captured(fused(program, backend), backend)
        self.program = program
        self.globals: dict[str, Any] = {"errstate": np.errstate} if quiet else {}
        self.ids: dict[int, str] = {}  # the names of objects in `globals`
        self.quiet = quiet
        self.names: dict[Value, str] = {}
        self.once: set[Value] = set()
        self.whole: set[Value] = set()  # of those: without gaps
        self.made: list[str] = []  # lines that run once
        self.lines: list[str] = []  # lines of each run
        for i, (value, array) in enumerate(program.constants.items()):
            self.names[value] = f"c{i}"
            self.globals[f"c{i}"] = array
            if value in program.fixed:
                self.once.add(value)
        for value in program.inputs:
            self.names[value] = f"v{value.number}"
        steps = program.steps = _with_products(program) if native else program.steps
        self.nodes: list[Step | Group] = [*steps]
        if native and any(_size(v) >= least for s in steps for v in leaves(s.result)):
            self.nodes = grouped(steps, set(program.outputs), least=least, most=_MOST, fits=_fits)
        self.loose = self._loose() if native else set()
        self.escaping = self._escaping()
        self.last, self.going = self._last_uses()
        self.ending: dict[int, list[Value]] = {}  # by their last place
        for value, place in self.last.items():
            self.ending.setdefault(place, []).append(value)
        self.blocks: dict[Value, tuple[str, int]] = {}  # where a value's buffer is
        self.free: dict[int, list[str]] = {}
        self.scratches: dict[str, int] = {}
        self.bytes = 0

    # --- lifetimes -----------------------------------------------------------------------------

    def _steps(self, node: Step | Group) -> list[Step]:
        return node.steps if isinstance(node, Group) else [node]

    def _escaping(self) -> set[Value]:
        """The values whose memory somebody may hold after the run."""
        found = set(self.program.outputs)
        for step in self.program.steps:
            if step.effect:
                found.update(leaves(step.args), leaves(step.kwargs))
        for step in reversed(self.program.steps):
            for value, others in sharing(step):
                if value in found:
                    found.update(others)
        return found

    def _loose(self) -> set[Value]:
        """The values whose order in memory is known in a run only, such as channels last.

        NumPy keeps the order of an elementwise step's operands, and so does the plan.
        """
        loose = {v for v in self.program.inputs if len(v.shape) > 2}
        for step in self.program.steps:
            like = [v for v in leaves(step.args) if v in loose]
            if step.name == "matmul":
                like = []
            elif not is_plain(step) and not reduced_axes(step) and step.name != "reshape":
                like = [*leaves(step.args)] or [*leaves(step.result)]
            if like:
                loose |= {v for v in leaves(step.result) if len(v.shape) > 2}
        return loose

    def _last_uses(self) -> tuple[dict[Value, int], dict[int, list[Value]]]:
        """Where values are needed last.

        For each value the place of the last node that may use its memory, and for each place the
        values that no later node names.
        """
        last = dict.fromkeys(self.program.inputs, -1)
        for place, node in enumerate(self.nodes):
            for step in self._steps(node):
                for tree in (step.args, step.kwargs, step.result):
                    last.update(dict.fromkeys(leaves(tree), place))
        last |= dict.fromkeys(self.program.outputs, len(self.nodes))
        going: dict[int, list[Value]] = {}
        for value, place in last.items():
            going.setdefault(place, []).append(value)
        for node in reversed(self.nodes):
            for step in reversed(self._steps(node)):
                for value, others in sharing(step):
                    for other in others:
                        last[other] = max(last[other], last[value])
        return last, going

    # --- names ---------------------------------------------------------------------------------

    def constant(self, thing: Any, prefix: str = "k") -> str:
        """A name for an object."""
        name = self.ids.get(id(thing))
        if name is None:
            name = self.ids[id(thing)] = f"{prefix}_{len(self.ids)}"
            self.globals[name] = thing
        return name

    def function(self, name: str, thing: Any) -> str:
        """A function under its own name."""
        self.globals[name] = thing
        return name

    def text(self, tree: Any) -> str:
        """A tree of values and constants as an expression."""
        if isinstance(tree, Value):
            return self.names[tree]
        if tree is None or type(tree) in (bool, int, str):
            return repr(tree)
        if type(tree) is float and math.isfinite(tree):
            return repr(tree)
        if type(tree) is tuple:
            return "(" + "".join(self.text(part) + ", " for part in tree) + ")"
        if type(tree) is list:
            return "[" + ", ".join(self.text(part) for part in tree) + "]"
        if type(tree) is dict:
            parts = (f"{self.text(key)}: {self.text(part)}" for key, part in tree.items())
            return "{" + ", ".join(parts) + "}"
        if type(tree) is slice:
            if any(True for _ in leaves(tree)):
                return "slice" + self.text((tree.start, tree.stop, tree.step))
            return self.constant(tree)
        if isinstance(tree, (tuple, list, dict)):  # a subclass, such as a named tuple
            if any(True for _ in leaves(tree)):
                inner = self.text(tuple(tree)) if isinstance(tree, tuple) else self.text([*tree])
                return f"{self.constant(type(tree))}({inner})"
            return self.constant(tree)
        return self.constant(tree)

    def number(self, value: Any, dtype: Any) -> str:
        """A number as an array of rank 0, which NumPy's functions take faster."""
        key = f"n{dtype.char}_{float(value).hex()}"
        for old, new in (("-", "m"), (".", "_"), ("+", "")):
            key = key.replace(old, new)
        self.globals[key] = np.array(value, dtype)
        return key

    def operand(self, arg: Any, step: Step) -> str:
        """An operand of an elementwise step."""
        if isinstance(arg, Value):
            return self.names[arg]
        for v in (step.result, *step.args):
            if isinstance(v, Value) and v.dtype in FLOATS and not isinstance(arg, bool):
                return self.number(arg, v.dtype)
        return self.text(arg)

    # --- buffers -------------------------------------------------------------------------------

    def is_buffered(self, value: Value) -> bool:
        """Whether a value goes into memory that is kept from run to run."""
        if not self.native or value in self.escaping or value in self.loose:
            return False
        return bool(value.shape) and _size(value) > 0

    def buffer(self, value: Value) -> str:
        """The name of a buffer for a value."""
        size = (_size(value) * value.dtype.itemsize + 63) & ~63
        waiting = self.free.get(size)
        if waiting:
            block = waiting.pop()
        else:
            block = f"m{len(self.made)}_{size}"
            self.made.append(f"{block} = empty({size}, byte)")
            self.globals |= {"empty": np.empty, "byte": np.dtype(np.uint8)}
            self.bytes += size
        self.blocks[value] = block, size
        name = self.names[value] = f"b{value.number}"
        dtype = self.constant(value.dtype, "d")
        cut = f"[:{_size(value) * value.dtype.itemsize}]"
        self.made.append(f"{name} = {block}{cut}.view({dtype}).reshape({value.shape})")
        self.once.add(value)
        self.whole.add(value)
        return name

    def release(self, place: int, of: Iterable[Value] | None = None) -> None:
        """Give back the buffers that nobody needs after ``place``."""
        for value in self.ending.get(place, ()) if of is None else of:
            if value in self.blocks and self.last[value] <= place:
                block, size = self.blocks.pop(value)
                self.free.setdefault(size, []).append(block)

    # --- steps ---------------------------------------------------------------------------------

    def executor(self) -> Executor:
        self.drop(-1)
        for place, node in enumerate(self.nodes):
            if isinstance(node, Group):
                (looped if self.loops and is_loop(node) else tiled)(self, node)
            else:
                self.step(node, place)
            self.release(place)
            self.drop(place)
        outputs = ", ".join(self.names[v] for v in self.program.outputs)
        self.lines.append(f"return [{outputs}]")
        return self.compiled()

    def step(self, step: Step, place: int) -> None:
        """The lines of one step."""
        if self.native and isinstance(step.result, Value):
            if step.name in VIEWS and self.view(step):
                return
            if self.written(step, place):
                return
        if step.name in ("copied", "owned_by_nobody_else"):
            own = self.native and step.name != "copied"
            given = step.args if own else step.args[:1]
            step = Step(step.name, _alone if own else self.backend.copy, given, {}, step.result)
        call = self.constant(step.call, "f")
        args = [self.text(arg) for arg in step.args]
        args += [f"{key}={self.text(arg)}" for key, arg in step.kwargs.items()]
        self.assign(step.result, f"{call}({', '.join(args)})")

    def assign(self, result: Any, code: str) -> None:
        """``result = code``; a tree of results is taken apart."""
        if isinstance(result, Value):
            self.names[result] = name = f"v{result.number}"
            self.lines.append(f"{name} = {code}")
            return
        if not any(True for _ in leaves(result)):
            self.lines.append(code)
            return
        self.lines.append(f"r = {code}")
        self._apart(result, "r")
        self.lines.append("del r")

    def _apart(self, tree: Any, code: str) -> None:
        if isinstance(tree, Value):
            self.names[tree] = f"v{tree.number}"
            self.lines.append(f"v{tree.number} = {code}")
        elif isinstance(tree, (tuple, list)):
            for i, part in enumerate(tree):
                self._apart(part, f"{code}[{i}]")
        elif isinstance(tree, dict):
            for key, part in tree.items():
                self._apart(part, f"{code}[{self.text(key)}]")

    def view(self, step: Step) -> bool:
        """A view: made once if its base is."""
        x, y = step.args[0], step.result
        rest = (*step.args[1:], *step.kwargs.values())
        if not isinstance(x, Value) or any(True for _ in leaves(rest)):
            return False
        base, name = self.names[x], step.name
        if name in ("reshape", "expand_dims", "squeeze"):
            code = f"{base}.reshape({self.text(y.shape)})"
        elif name == "matrix_transpose":
            code = f"{base}.T" if len(x.shape) == 2 else f"{base}.swapaxes(-1, -2)"
        elif name == "permute_dims":
            code = f"{base}.transpose({self.text(tuple(rest[0]))})"
        elif name == "get_item" and is_basic(rest[0]):
            code = f"{base}[{self.text(rest[0])}]"
        elif name == "broadcast_to":
            self.function("broadcast_to", np.broadcast_to)
            code = f"broadcast_to({base}, {self.text(y.shape)})"
        else:
            return False
        stays = x in self.whole or name not in ("reshape", "get_item")
        if name == "get_item":
            stays = bool(y.shape)
        if x in self.once and stays and (x not in self.program.constants):
            self.names[y] = f"b{y.number}"
            self.made.append(f"b{y.number} = {code}")
            self.once.add(y)
            if x in self.whole and name in ("reshape", "expand_dims", "squeeze"):
                self.whole.add(y)
        else:
            self.assign(y, code)
        return True

    def written(self, step: Step, place: int) -> bool:
        """A step in NumPy's own calls, into a buffer where it can have one."""
        y = step.result
        if step.name == "pow" and not y.shape and y.dtype == FLOATS[1] and is_plain(step):
            # NumPy's function takes a root where the operator of single numbers does not.
            args = [self.text(a) + "[()]" * isinstance(a, Value) for a in step.args]
            self.assign(y, f"{args[0]} ** {args[1]}")
            return True
        if is_plain(step) and (function := ufunc(step.name)):
            args = [self.operand(arg, step) for arg in step.args]
            operator = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}.get(step.name)
            if not y.shape and operator:
                self.assign(y, f"{self.text(step.args[0])} {operator} {self.text(step.args[1])}")
                return True
            name = self.function(function.__name__, function)
            self.into(y, f"{name}({', '.join(args)}", place, out=out_of(name))
            return True
        axes = reduced_axes(step)
        if axes:
            return self.reduction(step, axes, place)
        if step.name == "vdot":
            self.assign(y, f"{self.function('vdot', np.vdot)}({self.text(step.args)[1:-2]})")
            return True
        if step.name == "matmul" and len(step.args) == 2 and not step.kwargs:
            a, b = step.args
            if not all(isinstance(v, Value) and v.dtype == y.dtype in FLOATS for v in (a, b)):
                return False
            flat = len(a.shape) == len(b.shape) == 2
            name = self.function("dot", np.dot) if flat else self.function("matmul", np.matmul)
            self.into(y, f"{name}({self.names[a]}, {self.names[b]}", place, False)
            return True
        if step.name in ("only", "where") and is_plain(step) and _size(y) <= _SMALL:
            self.function("where", np.where)
            args = [self.text(arg) for arg in step.args]
            if step.name == "only":
                args = [args[1], args[0], "0.0"]
            self.assign(y, f"where({', '.join(args)})")
            return True
        if step.name in ("ones_like", "zeros_like") and y.dtype in FLOATS and not step.kwargs:
            make: Any = np.ones if step.name == "ones_like" else np.zeros
            code = f"{self.function(make.__name__, make)}({y.shape}, {self.constant(y.dtype, 'd')})"
            if y in self.escaping:
                self.assign(y, code)
            else:
                self.names[y] = f"b{y.number}"
                self.made.append(f"b{y.number} = {code}")
                self.once.add(y)
            return True
        return False

    def reduction(self, step: Step, axes: tuple[int, ...], place: int) -> bool:
        x, y = step.args[0], step.result
        if not _size(x):
            return False
        source, ndim = self.names[x], len(x.shape)
        keep = len(y.shape) == ndim
        if step.name == "sum" and ndim == 2 and axes == (0,) and not keep and _size(x) <= _SMALL:
            ones = np.ones(x.shape[0], x.dtype)
            key = f"ones{x.dtype.char}{x.shape[0]}"
            self.globals[key] = ones
            self.into(y, f"{self.function('dot', np.dot)}({key}, {source}", place, False)
            return True
        if step.name == "sum":
            reduce: Any = np.add.reduce
            name = self.function("add_reduce", reduce)
        else:
            reduce = np.maximum.reduce if step.name == "max" else np.minimum.reduce
            name = self.function(f"{step.name}_reduce", reduce)
        axis = None if len(axes) == ndim else axes[0] if len(axes) == 1 else axes
        if self.is_buffered(y):
            out = self.buffer(y)
            self.lines.append(f"{name}({source}, {axis}, None, {out}, {keep})")
        else:
            self.assign(y, f"{name}({source}, {axis}, None, None, {keep})")
        return True

    def into(self, y: Value, code: str, place: int, same: bool = True, out: str = "") -> None:
        """Finish a call that may take a buffer for its result as its last argument.

        ``same``: the buffer may be that of an operand that nobody needs any more.
        """
        if not self.is_buffered(y):
            self.assign(y, code + ")")
            return
        if same:
            node = self.nodes[place]
            used = leaves(node.args if isinstance(node, Step) else ())
            alike = [v for v in used if v.shape == y.shape and v.dtype == y.dtype]
            self.release(place, alike)
        self.lines.append(f"{code}, {out}{self.buffer(y)})")

    def drop(self, place: int) -> None:
        """Forget arrays that are not needed any more after ``place``."""
        gone = [self.names[v] for v in self.going.get(place, ()) if v in self.names]
        gone = [name for name in gone if name.startswith("v")]
        if gone:
            self.lines.append("del " + ", ".join(gone))

    def scratch(self, size: int, number: int) -> str:
        """The name of memory that a node works in, for the ``number``-th time of that size."""
        name = f"s{number}_{size}"
        if name not in self.scratches:
            self.scratches[name] = size
            self.globals |= {"empty": np.empty, "byte": np.dtype(np.uint8)}
            self.bytes += size
        return name

    # --- the whole -----------------------------------------------------------------------------

    def compiled(self) -> Executor:
        inputs = "".join(self.names[v] + ", " for v in self.program.inputs)
        taken = [f"{inputs.rstrip(' ')}= box" if inputs else "", "box.clear()"]
        body = [line for line in taken if line] + self.lines
        if self.quiet:
            body = ['with errstate(all="ignore"):', *("    " + line for line in body)]
        self.made[:0] = [f"{name} = empty({size}, byte)" for name, size in self.scratches.items()]
        # No closures: Python's compiler takes long for a function with many of their variables.
        source = "".join(f"{line}\n" for line in self.made)
        source += "def run(box):\n" + "".join(f"    {line}\n" for line in body)
        code, listing = _compiled(source), self.listing()
        if not self.made:
            return Executor(_executed(code, self.globals), source, listing)
        free: list[Any] = []

        def run(box: list[Any]) -> list[Any]:
            try:
                one = free.pop()
            except IndexError:
                one = _executed(code, {**self.globals})
            try:
                return one(box)
            finally:
                free.append(one)

        return Executor(run, source, listing)

    def listing(self, how: str = "") -> str:
        """The steps that are left, and what they need."""
        lines = [f"{self.before} steps recorded, {len(self.program.steps)} left"]
        for node in self.nodes:
            if isinstance(node, Group):
                looped = self.loops and is_loop(node)
                lines.append(f"in {'one loop' if looped else 'tiles'} of {node.shape}:")
            indent = "    " if isinstance(node, Group) else ""
            for step in self._steps(node):
                args = [str(arg) for arg in step.args]
                args += [f"{key}={arg}" for key, arg in step.kwargs.items()]
                text = f"{step.result} = {step.name}({', '.join(args)})"
                lines.append(f"{indent}{text if len(text) < 120 else text[:117] + '...'}")
        lines.append(f"outputs {', '.join(map(str, self.program.outputs))}")
        lines.append(how or f"buffers {self.bytes} bytes")
        return "\n".join(lines)


def _with_products(program: Program) -> list[Step]:
    """The steps, small products that are needed for the sum of all of them as one with it."""
    used = uses(program)
    products: dict[Value, tuple[Any, ...]] = {}
    steps: list[Step] = []
    gone: set[Value] = set()
    for step in program.steps:
        y, args = step.result, step.args
        if step.name in ("multiply", "square") and used[y] == 1 and 0 < _size(y) <= _SMALL:
            factors = (*args, *args)[:2]
            kinds = {(v.shape, v.dtype) for v in (y, *factors) if isinstance(v, Value)}
            numbers = any(not isinstance(v, Value) for v in factors)
            if y.dtype in FLOATS and y.shape and len(kinds) == 1 and not numbers:
                products[y] = factors
        elif step.name == "sum" and args[0] in products and not y.shape and reduced_axes(step):
            gone.add(args[0])
            step = Step("vdot", np.vdot, products[args[0]], {}, y)
        steps.append(step)
    return [s for s in steps if not (isinstance(s.result, Value) and s.result in gone)]


def _compiled(source: str) -> CodeType:
    """The text of a module that makes a function ``run``; tracebacks show its lines."""
    file = f"<dezero compiled {next(_files)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    code = compile(source, file, "exec")
    (body,) = (part for part in code.co_consts if isinstance(part, CodeType))
    finalize(body, linecache.cache.pop, file, None).atexit = False
    return code


def _executed(code: CodeType, space: dict[str, Any]) -> Callable[[list[Any]], list[Any]]:
    """The function that a module makes, whose globals are ``space``."""
    exec(code, space)
    run: Callable[[list[Any]], list[Any]] = space.pop("run")  # which leaves no cycle
    return run


def _alone(x: Any, *others: Any) -> Any:
    """``x``, or a copy of it if its memory may be that of another array."""
    if type(x) is np.ndarray and all(x is not other for other in others):
        base = x.base
        if base is None or (base.base is None and sys.getrefcount(base) <= _ALONE):
            return x
    return np.array(x)


def _references(x: Any) -> int:
    base = x.base
    return sys.getrefcount(base)


_ALONE = _references(np.empty(2)[:1])  # what an array counts that only a view of it holds


def _size(value: Value) -> int:
    return math.prod(value.shape)


def _fits(step: Step) -> bool:
    y = step.result
    if not isinstance(y, Value):
        return False
    if is_plain(step):
        return bool(y.shape)
    return bool(reduced_axes(step)) or step.name in VIEWS
