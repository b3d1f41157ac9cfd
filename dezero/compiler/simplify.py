"""A program with fewer steps for the same numbers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np

from ..backends.base import is_basic
from ..backends.neural import ROOT
from .elementwise import ufunc
from .groups import ELEMENTWISE, is_barrier
from .program import Program, Step, Value, leaves, replaced

__all__ = ["PURE", "QUIET", "VIEWS", "sharing", "simplified", "uses"]

# Their results share memory with their first operand, or are it.
_VIEWS = """
    broadcast_to expand_dims flip get_item matrix_transpose moveaxis permute_dims real reshape
    squeeze
"""
VIEWS = frozenset(_VIEWS.split())
_MADE = frozenset(("empty_like", "full_like", "ones_like", "zeros_like"))
_COPIES = frozenset(("astype", "cast", "copy", "positive"))  # or the operand itself
_KERNELS = """
    concat convolve convolve_gradients convolve_input convolve_weight gelu gelu_grad log_softmax
    log_softmax_grad matmul max mean min nll nll_grad normalize prod scatter_add sigmoid
    sigmoid_grad softmax softmax_grad softplus stack sum take take_add tile
"""
_FRESH = frozenset(_KERNELS.split())

# Results share no memory with operands.
_NEW = ELEMENTWISE | _FRESH | _MADE | {"copy", "astype", "copied", "owned_by_nobody_else", "vdot"}

# Results depend on the arguments alone, and nothing else happens.
PURE = ELEMENTWISE | VIEWS | _COPIES | _FRESH | (_MADE - {"empty_like"})
_EXACT = (np.dtype(np.float32), np.dtype(np.float64))


def sharing(step: Step) -> Iterator[tuple[Value, list[Value]]]:
    """Values of a step with those whose memory they may share, or hold, from then on."""
    if step.name in VIEWS:
        is_taken = step.name == "get_item" and not is_basic(step.args[1])
        if not is_taken:
            yield step.result, [*leaves(step.args[0])]
    elif step.name not in _NEW:
        used = [*leaves(step.args), *leaves(step.kwargs)]
        for value in leaves(step.result):
            yield value, used
        for value in used:
            if value.dtype is dict:  # it may hold the others from now on
                yield value, used


class _Aliases:
    """For each value those that may own the memory it shares."""

    def __init__(self, program: Program) -> None:
        self.near: dict[Value, list[Value]] = {}
        self.views: set[Value] = set()  # own no memory
        self.found: dict[Value, frozenset[Value]] = {}
        for step in program.steps:
            if step.name in VIEWS and step.name not in ("get_item", "reshape", "real"):
                self.views.add(step.result)  # the others may be copies
            for value, others in sharing(step):
                self.near.setdefault(value, []).extend(others)

    def __getitem__(self, value: Value) -> frozenset[Value]:
        found = self.found.get(value)
        if found is None:
            seen, waiting = {value}, [value]
            while waiting:
                more = [v for v in self.near.get(waiting.pop(), ()) if v not in seen]
                seen.update(more)
                waiting += more
            found = self.found[value] = frozenset(seen - self.views)
        return found


def uses(program: Program) -> dict[Value, int]:
    """How often steps and outputs name each value."""
    return Counter(
        value
        for tree in (program.outputs, *((step.args, step.kwargs) for step in program.steps))
        for value in leaves(tree)
    )


def simplified(program: Program, arithmetic: bool = False) -> Program:
    """A program with fewer steps that gives the same numbers.

    Arrays that share no memory before share none after.

    Args:
        program: Is left as it is.
        arithmetic: For NumPy: kernels are replaced by steps that can be parts of a chain, and
            numbers in arrays made here are taken for what they are.
    """
    work = _Work(program, arithmetic)
    for step in program.steps:
        work.add(step)
    table = work.table
    result = Program(
        program.inputs,
        program.constants,
        work.steps,
        [_found(table, v) for v in program.outputs],
        program.fixed,
    )
    result.steps = _needed(result)
    _keep_operands(result)
    _unshare(result, program, set(work.table.values()), work.number)
    return result


def _found(table: dict[Value, Value], value: Value) -> Value:
    while value in table:
        value = table[value]
    return value


def _needed(program: Program) -> list[Step]:
    """The steps that have an effect, or whose results are needed."""
    wanted = set(program.outputs)
    kept = []
    for step in reversed(program.steps):
        used = {*leaves(step.args), *leaves(step.kwargs)}
        changed = {v for v in used if v.dtype is dict}
        if step.effect or not wanted.isdisjoint(changed.union(leaves(step.result))):
            kept.append(step)
            wanted |= used
    return kept[::-1]


def _keep_operands(program: Program) -> None:
    """Have kernels that may write into an operand leave it as it is, unless only they need it."""
    anew = _NEW - _MADE  # those may be made once for all runs
    made = {v for step in program.steps if step.name in anew for v in leaves(step.result)}
    used = uses(program)
    for step in program.steps:
        for name, place, option in (("masked_softmax", 2, "own"), ("set_item", 3, "alone")):
            if step.name == name and not step.effect:
                x = step.args[0]
                if x in made and used[x] == 1:
                    continue
                if len(step.args) > place:
                    step.args = (*step.args[:place], False, *step.args[place + 1 :])
                elif option in step.kwargs:
                    step.kwargs = {**step.kwargs, option: False}


def _unshare(program: Program, original: Program, merged: set[Value], number: int) -> None:
    """Copy what would share memory with another value, where somebody else can see it.

    These are outputs, and what goes into a step that may write to it or keep it. ``number`` is the
    first that no value has.
    """
    before, after = _Aliases(original), _Aliases(program)
    numbers = count(number)
    owner: dict[Value, Value] = {v: v for v in (*program.inputs, *program.constants)}
    base = {step.result: step.args[0] for step in program.steps if step.name in VIEWS}
    readers: dict[Value, int] = defaultdict(int, uses(program))  # through others too
    for value in program.outputs:
        readers[value] -= 1
    for step in reversed(program.steps):
        for value, others in sharing(step):
            for other in others:
                if other is not value:
                    readers[other] = min(2, readers[other] + readers[value])
    steps: list[Step] = []

    def chained(value: Value) -> list[Value]:
        """A view, what it is a view of, and so on: they have the same memory for certain."""
        chain = [value]
        while chain[-1] in base:
            chain.append(base[chain[-1]])
        return chain

    def is_shared(old: Value, new: Value, alone: bool) -> bool | None:
        """Whether another value's memory is met that the original program keeps apart.

        ``alone``: nobody else may read it either. None: that is known when the array is there.
        """
        chain = chained(new)
        perhaps = False
        for root in sorted(after[new], key=lambda v: v not in chain):
            other = owner.setdefault(root, old)
            apart = before[other].isdisjoint(before[old])
            moved = alone and (new is not old or root in merged) and readers[root] > 1
            if root in chain and (apart or moved):
                return True
            perhaps |= apart or moved
        return None if perhaps else False

    def copy(new: Value, is_sure: bool) -> Value:
        result = Value(next(numbers), new.shape, new.dtype)
        chain = chained(new)
        others = [v for v in after[new] if v not in chain and v.dtype is not dict]
        others.sort(key=lambda v: v.number)
        args = (new, *(() if is_sure else others))
        name = "copied" if is_sure else "owned_by_nobody_else"
        steps.append(Step(name, np.array, args, {}, result))
        return result

    barriers = (step for step in original.steps if is_barrier(step))
    for step in program.steps:
        if is_barrier(step):
            pairs = zip(leaves(next(barriers).args), leaves(step.args), strict=True)
            table = {
                new: copy(new, bool(sure))
                for old, new in pairs
                if (sure := is_shared(old, new, True)) is not False
            }
            step.args = replaced(step.args, table)
        steps.append(step)
    program.steps = steps
    for i, (old, new) in enumerate(zip(original.outputs, program.outputs, strict=True)):
        if (sure := is_shared(old, new, False)) is not False:
            program.outputs[i] = copy(new, bool(sure))


def _number(program: Program) -> int:
    numbers = [v.number for step in program.steps for v in leaves(step.result)]
    numbers += [v.number for v in (*program.inputs, *program.constants)]
    return 1 + max(numbers, default=0)


class _Work:
    """Steps taken over one by one."""

    def __init__(self, program: Program, arithmetic: bool) -> None:
        self.arithmetic = arithmetic
        self.steps: list[Step] = []
        self.table: dict[Value, Value] = {}
        self.known: dict[Any, Step] = {}
        self.uniform: dict[Value, float] = {}  # arrays of one number
        self.spread: dict[Value, Value] = {}  # what a broadcast array repeats
        self.turned: dict[Value, Value] = {}  # what a transpose turns
        self.halves: dict[Value, Any] = {}  # by the result of gelu what its gradient can use
        self.number = _number(program)
        if arithmetic:
            for value in program.fixed:
                array = program.constants[value]
                if value.dtype in _EXACT and array.size and (array == array.flat[0]).all():
                    self.note(value, array.flat[0].item())

    def note(self, value: Value, number: float) -> None:
        if number == number and (number or math.copysign(1.0, number) > 0.0):
            self.uniform[value] = number

    def new(self, like: Value, dtype: Any = None) -> Value:
        self.number += 1
        return Value(self.number - 1, like.shape, like.dtype if dtype is None else dtype)

    def add(self, step: Step) -> None:
        table = {v: _found(self.table, v) for v in (*leaves(step.args), *leaves(step.kwargs))}
        args, kwargs = replaced(step.args, table), replaced(step.kwargs, table)
        name = "add" if step.name == "add_into" else step.name
        step = Step(name, step.call, args, kwargs, step.result, step.effect, step.where)
        if is_barrier(step):
            self.known.clear()
        if step.effect or not isinstance(step.result, Value):
            self.steps.append(step)
            return
        other = self.same(step)
        if other is not None:
            self.table[step.result] = other
            return
        lower = _LOWER.get(step.name) if self.arithmetic else None
        if lower is not None:
            y = lower(self, step)
            if y is not None:
                self.table[step.result] = y
                return
        self.put(step)

    def call(self, name: str, like: Value, *args: Any, dtype: Any = None, **kwargs: Any) -> Value:
        """A further step; its result has the shape of ``like``."""
        result = self.new(like, dtype)
        step = Step(name, ufunc(name) or np.sum, args, kwargs, result)
        other = self.same(step)
        if other is not None:
            return other
        return self.put(step)

    def put(self, step: Step) -> Value:
        key = _key(step)
        if key is not None:
            old = self.known.get(key)
            if old is not None:
                self.table[step.result] = old.result
                return old.result
            self.known[key] = step
        self.steps.append(step)
        return step.result

    # --- steps that can be left out ------------------------------------------------------------

    def same(self, step: Step) -> Value | None:
        """A value there already that a step would give again."""
        name, args, y = step.name, step.args, step.result
        if name not in PURE and name not in _MADE:
            return None
        x = args[0] if args and isinstance(args[0], Value) else None
        if x is not None and x.shape == y.shape and x.dtype == y.dtype:
            if name in _COPIES or name in ("broadcast_to", "reshape"):
                return x
            if name == "permute_dims" and tuple(args[1]) == tuple(range(len(y.shape))):
                return x
        if name == "matrix_transpose" and x in self.turned:
            return self.turned[x]
        if name == "matrix_transpose" and x is not None:
            self.turned[y] = x
        if name == "broadcast_to" and x is not None:
            self.spread[y] = self.spread.get(x, x)
        return self.folded(step) if self.arithmetic else None

    def folded(self, step: Step) -> Value | None:
        """As `same`, where arrays of one number are involved; the step may be changed."""
        name, args, y = step.name, list(step.args), step.result
        if y.dtype not in _EXACT:
            return None
        number = {"ones_like": 1.0, "zeros_like": 0.0}.get(name)
        if number is None and name == "full_like" and isinstance(args[1], (int, float)):
            number = float(y.dtype.type(args[1]))
        if name in ("broadcast_to", "reshape", "permute_dims", "matrix_transpose", "cast"):
            number = self.uniform.get(args[0])
        if number is not None and not step.kwargs:
            self.note(y, number)
            return None
        if name not in ELEMENTWISE or step.kwargs:
            return None
        for i, arg in enumerate(args):
            if isinstance(arg, Value) and arg.dtype == y.dtype and arg in self.uniform:
                args[i] = self.uniform[arg]
        if not any(isinstance(arg, Value) for arg in args):
            if name in _FOLDED:
                with np.errstate(all="ignore"):
                    numbers = [y.dtype.type(arg) for arg in args]
                    self.note(y, _FOLDED[name](*numbers).item())
            return None
        narrow = [self.spread.get(a, a) if isinstance(a, Value) else a for a in args]
        for fewer in (narrow, args):
            fits = any(isinstance(a, Value) and a.dtype == y.dtype for a in fewer)
            if fits and _shape(fewer) == y.shape:
                step.args = tuple(fewer)
                return _trivial(name, fewer, y)
        return None


def _shape(args: list[Any]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(arg.shape for arg in args if isinstance(arg, Value)))


_FOLDED: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "divide": np.divide,
    "multiply": np.multiply,
    "negative": np.negative,
    "pow": np.power,
    "sqrt": np.sqrt,
    "subtract": np.subtract,
}


def _trivial(name: str, args: list[Any], y: Value) -> Value | None:
    """The operand that an elementwise step gives back as it is, bit by bit."""
    if name in ("multiply", "divide", "pow", "subtract") and len(args) == 2:
        x, c = args
        if name == "multiply" and isinstance(c, Value):
            x, c = c, x
        neutral = 0 if name == "subtract" else 1
        is_neutral = isinstance(c, (int, float)) and c == neutral
        if is_neutral and math.copysign(1.0, c) > 0.0 and isinstance(x, Value):
            return x if x.shape == y.shape and x.dtype == y.dtype else None
    return None


def _key(step: Step) -> Any:
    """What equal steps have in common; None for a step that stays."""
    if step.name not in PURE:
        return None
    args = step.args
    if step.name in ("add", "multiply"):  # either order gives the same
        args = tuple(sorted(args, key=_rank))
    try:
        key = (step.name, _frozen(args), _frozen(tuple(sorted(step.kwargs.items()))))
        hash(key)
    except TypeError:
        return None
    return key, step.result.shape, str(step.result.dtype)


def _rank(arg: Any) -> int:
    return arg.number if isinstance(arg, Value) else -1


def _frozen(tree: Any) -> Any:
    """A tree as something to compare: numbers by type and sign too, objects by identity."""
    if isinstance(tree, (tuple, list)):
        return (type(tree), *(_frozen(part) for part in tree))
    if isinstance(tree, slice):
        return slice, _frozen((tree.start, tree.stop, tree.step))
    if isinstance(tree, (float, complex)):
        return type(tree), repr(tree)
    if tree is None or isinstance(tree, (Value, int, str, bool, np.dtype, type)):
        return type(tree), tree
    raise TypeError


# --- kernels as arithmetic ----------------------------------------------------------------------


def _is_float(x: Any) -> bool:
    return isinstance(x, Value) and x.dtype in _EXACT


def _mean(work: _Work, step: Step) -> Value | None:
    x, y = step.args[0], step.result
    unusual = len(step.args) > 1 or step.kwargs.keys() - {"axis", "keepdims"}
    if unusual or not _is_float(x) or y.dtype != x.dtype or not math.prod(x.shape):
        return None
    if math.prod(x.shape) == math.prod(y.shape):
        return None
    total = work.call("sum", y, x, **step.kwargs)
    return work.call("divide", y, total, float(math.prod(x.shape) // max(1, math.prod(y.shape))))


def _sigmoid(work: _Work, step: Step) -> Value | None:
    (x,) = step.args
    if not _is_float(x):
        return None
    e = work.call("exp", x, work.call("negative", x, x))
    return work.call("divide", x, 1.0, work.call("add", x, e, 1.0))


def _sigmoid_grad(work: _Work, step: Step) -> Value | None:
    g, y = step.args
    if not (_is_float(g) and _is_float(y) and g.dtype == y.dtype and g.shape == y.shape):
        return None
    slope = work.call("multiply", y, work.call("subtract", y, 1.0, y), y)
    return work.call("multiply", y, slope, g)


def _gelu(work: _Work, step: Step) -> Value | None:
    x, approximate = step.args
    if not _is_float(x) or approximate != "tanh":
        return None
    square = work.call("multiply", x, x, x)
    z = work.call("multiply", x, square, -2.0 * ROOT * 0.044715)
    z = work.call("multiply", x, work.call("subtract", x, z, 2.0 * ROOT), x)
    p = work.call("divide", x, 1.0, work.call("add", x, work.call("exp", x, z), 1.0))
    y = work.call("multiply", x, x, p)
    work.halves[y] = x, square, p
    return y


def _gelu_grad(work: _Work, step: Step) -> Value | None:
    g, x, y, _ = step.args
    if not (_is_float(g) and g.shape == x.shape and g.dtype == x.dtype and y in work.halves):
        return None
    operand, square, p = work.halves[y]
    if operand is not x:
        return None
    slope = work.call("minimum", x, square, 1e30)
    slope = work.call("multiply", x, slope, 2.0 * ROOT * 3.0 * 0.044715)
    slope = work.call("add", x, slope, 2.0 * ROOT)
    d = work.call("multiply", x, work.call("subtract", x, 1.0, p), y)
    d = work.call("add", x, work.call("multiply", x, d, slope), p)
    return work.call("multiply", x, d, g)


def _square(work: _Work, step: Step) -> Value | None:
    x, c = step.args
    if not _is_float(x) or not isinstance(c, (int, float)) or step.result.dtype != x.dtype:
        return None
    if c == -1:
        return work.call("divide", x, 1.0, x)
    # Of single numbers NumPy takes no root, which differs for minus infinity and minus zero.
    name = {2: "square", 0.5: "sqrt" if x.shape else None}.get(c)
    return None if name is None else work.call(name, x, x)


def _reciprocal(work: _Work, step: Step) -> Value | None:
    (x,) = step.args
    return work.call("divide", x, 1.0, x) if _is_float(x) else None  # which is faster


def _xdivy(work: _Work, step: Step) -> Value | None:
    a, b = step.args
    if isinstance(b, (int, float)) and b and b == b and _is_float(a):
        return work.call("divide", a, a, float(b))
    return None


_LOWER: dict[str, Callable[[_Work, Step], Value | None]] = {
    "mean": _mean,
    "sigmoid": _sigmoid,
    "sigmoid_grad": _sigmoid_grad,
    "gelu": _gelu,
    "gelu_grad": _gelu_grad,
    "pow": _square,
    "reciprocal": _reciprocal,
    "xdivy": _xdivy,
}
QUIET = frozenset(("sigmoid", "gelu", "gelu_grad"))
