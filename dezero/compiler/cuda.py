"""Programs on CUDA: chains of steps as one kernel each, and runs of kernels as one CUDA graph.

Both are steps that stand for others: `fused` and `captured` take a Program and give one with fewer
steps, whose results are the same.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..backends.cuda_source import Formulas, Load, Source, Symbol, Unfusable, elementwise, rows
from .groups import ELEMENTWISE, REDUCTIONS, Group, grouped, reduced_axes
from .program import Program, Step, Value, leaves, replaced

__all__ = [
    "NAMES",
    "Captured",
    "Kernel",
    "captured",
    "fused",
    "is_capturable",
    "place",
    "source_of",
]

_NAMES = """
    bitwise_left_shift bitwise_right_shift clip erf floor_divide nextafter remainder round sigmoid
    sigmoid_grad softplus
"""
_VIEWS = """
    broadcast_to expand_dims get_item matrix_transpose moveaxis permute_dims real reshape squeeze
    swapaxes
"""
_KERNELS = """
    astype cast concat copied copy fold_windows full_like gelu gelu_grad kernel log_softmax
    log_softmax_grad masked_softmax mean nll nll_grad normalize_gradients ones_like pad prod softmax
    softmax_grad stack take_along_axis tril triu unfold_windows zeros_like
"""
NAMES = ELEMENTWISE | frozenset(_NAMES.split())
"""The elementwise functions that a kernel can have."""
_FEWEST = 8  # launches that a graph replaces
_NO_LAUNCH = frozenset(_VIEWS.split())
# CuPy refuses its libraries while it captures (https://github.com/cupy/cupy/issues/6290); what is
# in no list may wait for the device.
_CAPTURABLE = NAMES | REDUCTIONS | _NO_LAUNCH | frozenset(_KERNELS.split())


# --- chains ---------------------------------------------------------------------------------------


def fused(program: Program, backend: Any) -> Program:
    """The same program with a kernel for each chain of elementwise and row-wise steps.

    Args:
        program: Its steps' arrays are CuPy's.
        backend: Compiles and launches kernels, as CuPy's does.
    """
    nodes = grouped(
        program.steps,
        set(program.outputs),
        names=NAMES,
        least=1,
        most=1 << 62,
        fits=_fits,
    )
    steps: list[Step] = []
    for node in nodes:
        if isinstance(node, Step):
            steps.append(node)
            continue
        kernel = None
        if len(node.steps) > 1:
            with contextlib.suppress(Unfusable):
                kernel = Kernel(node, backend)
        if kernel is None:
            steps += node.steps
        else:
            where, outputs = node.steps[-1].where, [*node.outputs]
            steps.append(Step("kernel", kernel, tuple(node.inputs), {}, outputs, False, where))
    return _with(program, steps)


def _with(program: Program, steps: list[Step]) -> Program:
    new = Program.__new__(Program)
    for name in Program.__slots__:
        setattr(new, name, getattr(program, name))
    new.steps = steps
    return new


def _fits(step: Step) -> bool:
    """Whether a kernel may have a step: of the reductions, those along rows."""
    if step.name not in REDUCTIONS:
        return True
    axes, ndim = reduced_axes(step) or (), len(step.args[0].shape)
    return 0 < len(axes) < ndim and axes == tuple(range(ndim - len(axes), ndim))


class Kernel:
    """A chain as one launch.

    Called with the arrays of the chain's inputs it gives those of its outputs, in new memory.

    Raises:
        Unfusable: A kernel cannot do it.
    """

    def __init__(self, group: Group, backend: Any) -> None:
        size = math.prod(group.shape)
        if not size:
            raise Unfusable("nothing to compute")
        self.length = math.prod(group.shape[len(group.shape) - group.trailing :])
        self.rows = size // self.length if group.trailing else 0
        self.width = 32 if self.length <= 1024 else 256 if self.length <= 16384 else 1024
        self.source = source_of(group, self.width)
        self.backend, self.size = backend, size
        self.function = backend.compile(self.source)
        self.results = [
            (v.shape, dtype)
            for v, (dtype, _) in zip(group.outputs, self.source.results, strict=True)
        ]
        self.__name__ = self.source.name

    def __call__(self, *arrays: Any) -> list[Any]:
        cupy, backend = self.backend.cupy, self.backend
        given = [cupy.ascontiguousarray(x) for x in arrays]
        results = [cupy.empty(shape, dtype) for shape, dtype in self.results]
        if self.rows:
            sizes = (self.length,)
            backend.launch_rows(self.function, [*given, *results], self.rows, self.width, sizes)
        else:
            backend.launch_each(self.function, [*given, *results], self.size)
        return results


def source_of(group: Group, width: int) -> Source:
    """The kernel of a chain, with ``width`` threads for each row.

    Raises:
        Unfusable: A kernel cannot do it.
    """
    shape, trailing = group.shape, group.trailing
    axes = tuple(range(len(shape) - trailing, len(shape)))
    xp = Formulas(axes if trailing else None)
    table: dict[Value, Any] = {}
    loads = []
    for value in group.inputs:
        at, wide = place(value.shape, shape, trailing)
        load = Load(value.dtype, value.shape, at, wide or not trailing)
        loads.append(load)
        table[value] = load
    for step in group.steps:
        given = replaced(step.args, table)
        options = replaced(step.kwargs, table)
        try:
            y = getattr(xp, step.name)(*given, **options)
        except (TypeError, ValueError) as error:
            raise Unfusable(f"{step.name}: {error}") from None
        if not isinstance(y, Symbol) or y.shape != step.result.shape:
            raise Unfusable(f"{step.name} gives another shape")
        table[step.result] = y if y.dtype == step.result.dtype else xp.astype(y, step.result.dtype)
    outputs = [table[value] for value in group.outputs]
    names = dict.fromkeys(step.name for step in group.steps)
    name = "dezero_" + "_".join(list(names)[:6])
    large = math.prod(shape) >= 2**31
    if trailing:
        whole = [value.shape == shape for value in group.outputs]
        spread = [_spread(y, all_of) for y, all_of in zip(outputs, whole, strict=True)]
        return rows(name, loads, spread, width, large)
    if any(value.shape != shape for value in group.outputs):
        raise Unfusable("a result of another shape")
    return elementwise(name, loads, outputs, large)


def _spread(y: Symbol, whole: bool) -> Symbol:
    """A number of each row as one of each element, if that is what the result has."""
    if whole and not y.wide:
        return Symbol("{}", (y,), y.dtype, y.shape, True)
    return y


def place(own: tuple[int, ...], shape: tuple[int, ...], trailing: int) -> tuple[str, bool]:
    """Where an operand of shape ``own`` has the element ``i``, and whether it differs in a row.

    The element is that of an array of ``shape``, or with ``trailing`` axes in a row that of ``col``
    in ``row``.

    Raises:
        Unfusable: It is not broadcast.
    """
    full = (1,) * (len(shape) - len(own)) + own
    if len(own) > len(shape) or any(n not in (1, m) for n, m in zip(full, shape, strict=True)):
        raise Unfusable("another shape")
    if full == shape:
        return "i", True
    lead = len(shape) - trailing
    if not trailing or any(n != 1 for n in full[lead:]):
        if trailing and full[lead:] == shape[lead:] and all(n == 1 for n in full[:lead]):
            return "col", True
        return _index("i", full, shape), bool(trailing)
    if full[:lead] == shape[:lead]:
        return "row", False
    return _index("row", full[:lead], shape[:lead]), False


def _index(i: str, own: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The place in an array of shape ``own`` of the element ``i`` of one of ``shape``."""
    terms: list[str] = []
    inner = step = 1
    axis = len(shape) - 1
    while axis >= 0:
        if own[axis] == 1:
            inner *= shape[axis]
            axis -= 1
            continue
        size = 1
        while axis >= 0 and own[axis] != 1:  # axes side by side count as one
            size *= own[axis]
            axis -= 1
        term = i if inner == 1 else f"{i} / {inner}u"
        term = f"{term} % {size}u" if math.prod(shape[: axis + 1]) > 1 else term
        terms.append(term if step == 1 else f"({term}) * {step}u")
        inner, step = inner * size, step * size
    return " + ".join(terms) or "0"


# --- graphs ---------------------------------------------------------------------------------------


def captured(program: Program, backend: Any) -> Program:
    """The same program with a CUDA graph for each long run of launches.

    A product of matrices ends a run: CuPy does not let its libraries be captured. So does whatever
    may wait for the device, or has effects on the host.
    """
    steps: list[Step] = []
    run: list[Step] = []
    needed_later = _needed_later(program)

    def finish(place: int) -> None:
        nonlocal run
        if run:
            steps.extend(_as_graph(run, needed_later[place], program, backend) or run)
            run = []

    for place, step in enumerate(program.steps):
        if is_capturable(step):
            run.append(step)
        else:
            finish(place)
            steps.append(step)
    finish(len(program.steps))
    return _with(program, steps)


def is_capturable(step: Step) -> bool:
    """Whether a step only launches kernels, always the same ones."""
    if step.effect or step.name not in _CAPTURABLE:
        return False
    if step.name == "get_item":  # a mask has to be counted
        keys = step.args[1] if isinstance(step.args[1], (tuple, list)) else [step.args[1]]
        return not any(str(getattr(k, "dtype", "")).endswith("bool") for k in keys)
    return not any(isinstance(tree, dict) for tree in step.args)


def _needed_later(program: Program) -> list[set[Value]]:
    """For each place the values that it, or what comes after it, needs."""
    result = [set(program.outputs)]
    for step in reversed(program.steps):
        result.append(result[-1] | {*leaves(step.args), *leaves(step.kwargs)})
    return result[::-1]


def _as_graph(
    run: list[Step], later: set[Value], program: Program, backend: Any
) -> list[Step] | None:
    made = {v: None for step in run for v in leaves(step.result)}
    used = dict.fromkeys(v for step in run for v in (*leaves(step.args), *leaves(step.kwargs)))
    inputs = [v for v in used if v not in made and v not in program.constants]
    outputs = [v for v in made if v in later]
    launches = sum(step.name not in _NO_LAUNCH for step in run)
    if launches < max(_FEWEST, 2 * (len(inputs) + len(outputs))):
        return None
    graph = Captured(lambda arrays: _computed(run, inputs, outputs, program, arrays), backend)
    return [Step("graph", graph, tuple(inputs), {}, outputs, False, run[-1].where)]


def _computed(
    run: Iterable[Step],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    program: Program,
    arrays: Sequence[Any],
) -> list[Any]:
    table = {**program.constants, **dict(zip(inputs, arrays, strict=True))}
    for step in run:
        _bind(
            step.result,
            step.call(*replaced(step.args, table), **replaced(step.kwargs, table)),
            table,
        )
    return [table[v] for v in outputs]


def _bind(names: Any, result: Any, table: dict[Value, Any]) -> None:
    if isinstance(names, Value):
        table[names] = result
    elif isinstance(names, (tuple, list)):
        for name, part in zip(names, result, strict=True):
            _bind(name, part, table)


class Captured:
    """A function of arrays that is run once, captured once, and launched as a CUDA graph from then.

    What the function needs in between lies in a memory pool of its own. Arguments are copied to
    where the graph reads them, and results from where it writes them, so that the next launch
    changes neither.

    Args:
        function: It takes a list of arrays and gives one. It must launch the same kernels each time
            and never wait.
        backend: CuPy's.

    Attributes:
        reason: Why there is no graph, or None.
        launches: How often the graph was launched.
    """

    def __init__(self, function: Callable[[list[Any]], list[Any]], backend: Any) -> None:
        self.function, self.backend = function, backend
        self.reason: str | None = None
        self.launches = 0
        self._graph: Any = None
        self._lock = threading.Lock()
        self._warm = False
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._kinds: list[Any] = []
        self.__name__ = "graph"

    def __call__(self, *arrays: Any) -> list[Any]:
        if self.reason is not None or not self.backend.graphs:
            return self.function([*arrays])
        if not self._warm:  # kernels are compiled, plans made
            self._warm = True
            return self.function([*arrays])
        with self._lock:
            if self._graph is None and self.reason is None:
                self._capture(arrays)
            if self.reason is not None or [(x.shape, x.dtype) for x in arrays] != self._kinds:
                return self.function([*arrays])
            for x, own in zip(arrays, self._inputs, strict=True):
                own[...] = x
            self._graph.launch()
            self.launches += 1
            return [y.copy() for y in self._outputs]

    def _capture(self, arrays: Sequence[Any]) -> None:
        cuda = self.backend.cupy.cuda
        self._pool = cuda.MemoryPool()
        with cuda.using_allocator(self._pool.malloc):
            self._inputs = [x.copy() for x in arrays]
            stream = cuda.Stream(non_blocking=True)
            stream.wait_event(cuda.get_current_stream().record())
            with stream:
                stream.begin_capture()
                try:
                    self._outputs = self.function([*self._inputs])
                except Exception as error:
                    self.reason = f"{type(error).__name__}: {error}"
                finally:
                    try:
                        graph = stream.end_capture()
                    except Exception as error:
                        self.reason = self.reason or f"{type(error).__name__}: {error}"
        self._kinds = [(x.shape, x.dtype) for x in arrays]
        if self.reason is None:
            self._graph = graph
        else:
            self._inputs, self._outputs = [], []
