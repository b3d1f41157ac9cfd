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
    astype cast concat copy fold_windows full_like gelu gelu_grad kernel log_softmax
    log_softmax_grad masked_softmax mean nll nll_grad normalize normalize_gradients ones_like pad
    prod softmax softmax_grad stack take_along_axis tril triu unfold_windows zeros zeros_like
"""
_PRODUCTS = frozenset(
    {"convolve", "convolve_gradients", "convolve_input", "convolve_weight", "matmul"}
)
NAMES = ELEMENTWISE | frozenset(_NAMES.split())
"""The elementwise functions that a kernel can have."""
_FEWEST = 8  # launches that a graph replaces
_NO_LAUNCH = frozenset(_VIEWS.split()) | {"dict", "entry"}
# What is in no list may wait for the device, or call a library: CuPy refuses its libraries while it
# captures (https://github.com/cupy/cupy/issues/6290). Products have a way of their own.
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


def captured(program: Program, backend: Any, products: bool = True) -> Program:
    """The same program with a CUDA graph for each long run of launches.

    What may wait for the device, or has effects on the host, ends a run, and so does a product of
    matrices unless ``products``, where cuBLAS can be had while a stream is captured. What one step
    leaves to another in a dict stays within one graph, or in none.
    """
    products = products and backend.cublas is not None
    checks = [s for s in program.steps if s.name == "check_labels" and _is_early(s, program)]
    order = [*checks, *(step for step in program.steps if step not in checks)]
    apart: set[Value] = set()
    while True:
        runs = _runs(order, products, apart)
        places: dict[Value, set[int]] = {}
        for number, run in enumerate(runs):
            for step in run:
                for v in _dicts(step):
                    places.setdefault(v, set()).add(number)
        crossing = {v for v, numbers in places.items() if len(numbers) > 1} - apart
        if not crossing:
            break
        apart |= crossing
    steps: list[Step] = []
    later = set(program.outputs)
    for run in reversed(runs):
        steps[:0] = _as_graph(run, later, program, backend) or run
        later.update(v for step in run for v in _used(step))
    return _with(program, steps)


def _used(step: Step) -> list[Value]:
    return [*leaves(step.args), *leaves(step.kwargs)]


def _dicts(step: Step) -> set[Value]:
    """Those that a step makes, reads or writes."""
    return {v for v in (*_used(step), *leaves(step.result)) if v.dtype is dict}


def _is_early(step: Step, program: Program) -> bool:
    return all(v in program.constants or v in program.inputs for v in _used(step))


def _runs(steps: Sequence[Step], products: bool, apart: set[Value]) -> list[list[Step]]:
    """The steps that may be captured together, and each other one by itself."""
    runs: list[list[Step]] = []
    going = False
    for step in steps:
        can = is_capturable(step, products) and apart.isdisjoint(_dicts(step))
        if can and going:
            runs[-1].append(step)
        else:
            runs.append([step])
        going = can
    return runs


def is_capturable(step: Step, products: bool = False) -> bool:
    """Whether a step only launches kernels, always the same ones."""
    if step.effect:
        return False
    if products and step.name in _PRODUCTS:
        return all(v.dtype is dict or v.dtype.kind == "f" for v in _used(step))
    if step.name not in _CAPTURABLE:
        return False
    if step.name == "get_item":  # a mask has to be counted
        keys = step.args[1] if isinstance(step.args[1], (tuple, list)) else [step.args[1]]
        return not any(str(getattr(k, "dtype", "")).endswith("bool") for k in keys)
    return not any(isinstance(tree, dict) for tree in step.args)


def _as_graph(
    run: list[Step], later: set[Value], program: Program, backend: Any
) -> list[Step] | None:
    made = {v: None for step in run for v in leaves(step.result)}
    used = dict.fromkeys(v for step in run for v in _used(step))
    inputs = [v for v in used if v not in made and v not in program.constants]
    outputs = [v for v in made if v in later]
    launches = sum(step.name not in _NO_LAUNCH for step in run)
    moving = sum(v not in program.inputs for v in inputs)  # parameters stay where they are
    if launches < max(_FEWEST, 2 * (moving + len(outputs))):
        return None

    def function(arrays: list[Any]) -> list[Any]:
        return _computed(run, inputs, outputs, program, arrays)

    def without_products() -> Callable[[list[Any]], list[Any]]:
        part = _with(program, run)
        part.inputs, part.outputs = inputs, outputs
        steps = captured(part, backend, products=False).steps
        return lambda arrays: _computed(steps, inputs, outputs, program, arrays)

    products = any(step.name in _PRODUCTS for step in run)
    graph = Captured(function, backend, without_products if products else None)
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

    What the function needs in between lies in a memory pool of its own. Arguments that have not
    moved since the last call, such as parameters, are read where they are; once one has, it is
    copied to where the graph reads it. Results are copied from where it writes them.

    Args:
        function: It takes a list of arrays and gives one. It must launch the same kernels each time
            and never wait.
        backend: CuPy's.
        without_products: Gives a function that needs no cuBLAS in a graph, for when that fails;
            None: there are no products of matrices.

    Attributes:
        reason: Why there is no graph, or None.
        launches: How often the graph was launched.
    """

    def __init__(
        self,
        function: Callable[[list[Any]], list[Any]],
        backend: Any,
        without_products: Callable[[], Callable[[list[Any]], list[Any]]] | None = None,
    ) -> None:
        self.function, self.backend = function, backend
        self.without_products = without_products
        self.reason: str | None = None
        self.launches = 0
        self._graph: Any = None
        self._lock = threading.Lock()
        self._inputs: list[Any] = []  # None: read where the argument is
        self._outputs: list[Any] = []
        self._kinds: list[Any] = []
        self._places: list[Any] | None = None
        self._moving: set[int] = set()
        self._kept: tuple[Any, ...] = ()  # the graph's memory
        self.__name__ = "graph"

    def __call__(self, *arrays: Any) -> list[Any]:
        if self.reason is not None or not self.backend.graphs:
            return self.function([*arrays])
        places = [(x.data.ptr, x.strides) for x in arrays]
        if self._places is None:  # kernels are compiled, plans made
            self._places = places
            return self.function([*arrays])
        with self._lock:
            kinds = [(x.shape, x.dtype) for x in arrays]
            if self.reason is not None or (self._graph is not None and kinds != self._kinds):
                return self.function([*arrays])
            both = enumerate(zip(places, self._places, strict=True))
            moved = {i for i, (new, old) in both if new != old} - self._moving
            if self._graph is None or moved:
                self._moving |= moved
                self._places, self._kinds = places, kinds
                self._capture(arrays)
            if self.reason is not None:
                return self.function([*arrays])
            for x, own in zip(arrays, self._inputs, strict=True):
                if own is not None:
                    own[...] = x
            self._graph.launch()
            self.launches += 1
            return [y.copy() for y in self._outputs]

    def _capture(self, arrays: Sequence[Any]) -> None:
        cuda = self.backend.cupy.cuda
        products = self.backend.cublas if self.without_products is not None else None
        current, stream = cuda.get_current_stream(), cuda.Stream(non_blocking=True)
        pool = cuda.MemoryPool()
        try:
            with cuda.using_allocator(pool.malloc), contextlib.ExitStack() as within:
                moving = [i in self._moving for i in range(len(arrays))]
                self._inputs = [
                    x.copy() if m else None for x, m in zip(arrays, moving, strict=True)
                ]
                given = [
                    x if own is None else own for x, own in zip(arrays, self._inputs, strict=True)
                ]
                stream.wait_event(current.record())
                within.enter_context(stream)
                workspace = None
                if products is not None:
                    workspace = within.enter_context(products.on(stream))
                    self.function(given)  # cuBLAS loads its kernels, which it may not do later
                self._graph = self._recorded(stream, given)
            current.wait_event(stream.record())
            self._kept = pool, workspace
        except Exception as error:
            self.reason = f"{type(error).__name__}: {error}"
            self._graph, self._inputs, self._outputs = None, [], []
            if self.without_products is not None:
                self.function = self.without_products()

    def _recorded(self, stream: Any, given: list[Any]) -> Any:
        stream.begin_capture()
        try:
            self._outputs = self.function([*given])
        except Exception:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                stream.end_capture()
            raise
        return stream.end_capture()
