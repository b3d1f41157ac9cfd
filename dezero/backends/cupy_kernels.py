"""Kernels of CuPy that are made of the formulas of `Backend`, each run as one launch.

They are compiled when first needed, for the dtypes that they meet; CuPy keeps them on disk. What no
kernel can be made of (complex numbers, other layouts of memory) is computed step by step.

Nothing here waits for the device. Labels are checked by a kernel too, which notes what is wrong,
and the error is raised when values are next read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from .base import Backend
from .cuda_source import OPTIONS, Formulas, Load, Source, Symbol, Unfusable, elementwise, rows
from .normalization import gradients

__all__ = ["CuPyKernels"]

Array = Any

_THREADS = 256
_NUMBERS = (int, float)
_NAMES = 64  # kinds of labels that are checked without waiting
_CHECK = """\
extern "C" __global__ void out_of_range(const {0}* t, long long* found, const long long classes,
                                        const unsigned long long n) {{
  const unsigned long long step = (unsigned long long)gridDim.x * blockDim.x;
  for (unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += step) {{
    const long long x = t[i];
    if (x < 0) atomicMin(&found[0], x);
    if (x >= classes) atomicMax(&found[1], x);
  }}
}}
"""
_SIGNED = {"int8": "signed char", "int16": "short", "int32": "int", "int64": "long long"}

# How the operands of rows lie: the shape that stands for theirs, the place of an element, whether
# it differs along a row.
_SHAPES: dict[str, dict[str, tuple[tuple[int, ...], str, bool]]] = {
    "rows": {
        "each": ((3, 5), "i", True),
        "row": ((3, 1), "row", False),
        "list": ((3,), "row", False),
        "same": ((3,), "0", False),
        "vector": ((1, 5), "col", True),
        "mask": ((3, 5), "i % m", True),
    },
    "channels": {"each": ((2, 3, 4), "i", True), "row": ((1, 3, 1), "row", False)},
}
_AXES = {"rows": (1,), "channels": (0, 2)}
_PLACES = {"rows": "row * n + col", "channels": "(col / s) * between + row * s + col % s"}
_SIZES = {"rows": ("m",), "channels": ("s", "between")}


class CuPyKernels(Backend):
    """The part of CuPy's backend that generates kernels.

    Attributes:
        fused: Whether they are used; else all is computed step by step.
        deferred: Whether labels are checked without waiting.
        graphs: Whether compiled programs launch CUDA graphs.
    """

    cupy: Any
    fused = True
    deferred = True
    graphs = True
    asynchronous = True

    def __init__(self, namespace: Any, name: str) -> None:
        super().__init__(namespace, name)
        self._kernels: dict[Hashable, tuple[Any, Source] | None] = {}
        self._checks: dict[tuple[int, str, int], Any] = {}
        self._asked = False

    # --- making and launching -----------------------------------------------------------------

    def _kernel(self, key: Hashable, make: Callable[[], Source]) -> tuple[Any, Source] | None:
        """The kernel called ``key``, made when first asked for; None if it cannot be made."""
        if key not in self._kernels:
            try:
                source = make()
            except Unfusable:
                self._kernels[key] = None
            else:
                self._kernels[key] = self.compile(source), source
        return self._kernels[key]

    def compile(self, source: Source) -> Any:
        """A function of CuPy that launches the kernel."""
        return self.cupy.RawKernel(source.code, source.name, options=OPTIONS)

    def sources(self) -> list[Source]:
        """All kernels made so far."""
        return [kernel[1] for kernel in self._kernels.values() if kernel is not None]

    def launch_each(self, function: Any, arguments: Sequence[Any], size: int) -> None:
        """Launch an `elementwise` kernel; ``arguments`` are operands, numbers and results."""
        each = 1 if size < 1 << 20 else 4  # elements of a thread, once all processors are busy
        blocks = min(-(-size // (each * _THREADS)), 2**31 - 1)
        function((blocks,), (_THREADS,), (*arguments, _size(size)))

    def launch_rows(
        self, function: Any, arguments: Sequence[Any], count: int, width: int, sizes: Sequence[int]
    ) -> None:
        """Launch a kernel of `rows`; ``sizes`` come after the number of rows."""
        large = _large(count * sizes[0])
        lines = max(1, 128 // width)
        numbers = [_size(n, large) for n in (count, *sizes)]
        function((-(-count // lines),), (width, lines), (*arguments, *numbers))

    def by_element(self, name: str, operands: Sequence[Any], parameters: Any) -> Array | None:
        """The formula ``name`` of `Backend` for arrays of one shape, as one kernel, or None."""
        if not self.fused:
            return None
        first, kind = operands[0], self.cupy.ndarray
        for x in operands:
            if type(x) is not kind or x.shape != first.shape:
                return None
        size = first.size
        if not size:
            return None
        dtypes = tuple([x.dtype for x in operands])
        large = _large(size)

        def make() -> Source:
            loads = [Load(dtype) for dtype in dtypes]
            y = getattr(Formulas(), name)(*loads, *parameters)
            return elementwise(f"dezero_{name}", loads, [y], large)

        kernel = self._kernel((name, parameters, dtypes, large), make)
        if kernel is None:
            return None
        function, source = kernel
        y = self.cupy.empty(first.shape, source.results[0][0])
        self.launch_each(function, [*map(self.cupy.ascontiguousarray, operands), y], size)
        return y

    def by_row(
        self,
        key: tuple[Hashable, ...],
        formula: Callable[..., Sequence[Any]],
        operands: Sequence[tuple[str, Array]],
        layout: str = "rows",
        m: int = 1,
    ) -> list[Array] | None:
        """What a formula of rows gives, as one kernel, or None.

        A result has the shape of the first operand, or is a vector with a number for each row.

        Args:
            key: What ``formula`` depends on besides dtypes.
            formula: It gets a namespace and the operands' symbols, and gives those of the results.
            operands: The kind of each, as `_SHAPES` names them, and its array.
            layout: ``"rows"``: the last axis of the first operand is the row. ``"channels"``: it
                has three axes, and a row is all that is at one place of the second.
            m: The size of a mask, which is repeated.
        """
        kinds = tuple([kind for kind, _ in operands])
        arrays = [a for _, a in operands]
        shape = next(a.shape for kind, a in operands if kind == "each")
        if not self.fused or 0 in shape:
            return None
        sizes: tuple[int, ...]
        if layout == "rows":
            length = shape[-1]
            sizes = (length, m)
            count = int(np.prod(shape[:-1], dtype=np.int64))
        else:
            count, length = shape[1], shape[0] * shape[2]
            sizes = (length, shape[2], shape[1] * shape[2])
        width = 32 if length <= 1024 else 256 if length <= 16384 else 1024
        large = _large(count * length)
        dtypes = tuple([a.dtype for a in arrays])

        def make() -> Source:
            forms = _SHAPES[layout]
            loads = [Load(dtype, *forms[kind]) for kind, dtype in zip(kinds, dtypes, strict=True)]
            results = formula(Formulas(_AXES[layout]), *loads)
            name, places, extra = f"dezero_{key[0]}", _PLACES[layout], _SIZES[layout]
            return rows(name, loads, results, width, large, places, extra)

        kernel = self._kernel((key, dtypes, kinds, layout, width, large), make)
        if kernel is None:
            return None
        function, source = kernel
        results = [
            self.cupy.empty(shape if wide else (count,), dtype) for dtype, wide in source.results
        ]
        plain = self.cupy.ascontiguousarray
        arrays = [a if kind == "same" else plain(a) for kind, a in operands]
        self.launch_rows(function, [*arrays, *results], count, width, sizes)
        return results

    # --- along the last axis ------------------------------------------------------------------

    def _last(self, name: str, arrays: Sequence[Array], axis: int | None) -> Array | None:
        x = arrays[0]
        if (
            axis is None
            or not x.ndim
            or axis % x.ndim != x.ndim - 1
            or any(a.shape != x.shape for a in arrays)
        ):
            return None
        operands = [("each", a) for a in arrays]
        found = self.by_row((name,), lambda xp, *z: [getattr(xp, name)(*z, 1)], operands)
        return None if found is None else found[0]

    def softmax(self, x: Array, axis: int) -> Array:
        y = self._last("softmax", (x,), axis)
        return super().softmax(x, axis) if y is None else y

    def softmax_grad(self, g: Array, y: Array, axis: int) -> Array:
        d = self._last("softmax_grad", (g, y), axis)
        return super().softmax_grad(g, y, axis) if d is None else d

    def log_softmax(self, x: Array, axis: int) -> Array:
        y = self._last("log_softmax", (x,), axis)
        return super().log_softmax(x, axis) if y is None else y

    def log_softmax_grad(self, g: Array, y: Array, axis: int) -> Array:
        d = self._last("log_softmax_grad", (g, y), axis)
        return super().log_softmax_grad(g, y, axis) if d is None else d

    def masked_softmax(self, x: Array, mask: Array | None, own: bool) -> Array:
        found = None
        if mask is None:
            found = self.by_row(("masked_softmax",), _masked, [("each", x)])
        elif mask.ndim and mask.size and mask.shape == x.shape[x.ndim - mask.ndim :]:
            operands = [("each", x), ("mask", mask)]
            found = self.by_row(("masked_softmax",), _masked, operands, m=mask.size)
        return super().masked_softmax(x, mask, own) if found is None else found[0]

    def nll(self, x: Array, t: Array, kept: dict[str, Any] | None) -> tuple[Array, Array]:
        operands = [("each", x), ("list", t)]
        found = self.by_row(("nll",), lambda xp, x, t: xp.nll(x, t, None), operands)
        return super().nll(x, t, kept) if found is None else (found[0], found[1])

    def nll_grad(
        self,
        g: Array,
        g_total: Array,
        x: Array,
        t: Array,
        total: Array,
        kept: dict[str, Any] | None,
    ) -> Array:
        operands = [_list(g), _list(g_total), ("each", x), ("list", t), ("list", total)]
        found = self.by_row(("nll_grad",), lambda xp, *z: [xp.nll_grad(*z, None)], operands)
        return super().nll_grad(g, g_total, x, t, total, kept) if found is None else found[0]

    # --- normalization ------------------------------------------------------------------------

    def _layout(self, arrays: Any, axes: tuple[int, ...]) -> tuple[str, bool] | None:
        """How `normalize` sees its arrays, and whether scale and shift are part of the kernel."""
        x, *affine = arrays
        n = x.ndim
        if n == 3 and axes in ((), (0, 2)) and x.shape[2] >= 32:
            few: tuple[int, ...] = (1, x.shape[1], 1)
            return ("channels", True) if all(a.shape == few for a in affine) else None
        if axes and axes == tuple(range(n - len(axes), n)):
            few = (1, x.shape[-1])
            return "rows", n == 2 and all(a.shape == few for a in affine)
        return None

    def normalize(
        self, arrays: Any, axes: Any, eps: float, centered: bool, kept: dict[str, Any]
    ) -> Array:
        layout = self._layout(arrays, axes)
        if layout is None:
            return super().normalize(arrays, axes, eps, centered, kept)
        form, whole = layout
        x, *affine = arrays
        inner = affine if whole else []
        where = _AXES[form] if axes else ()
        names = (["mean"] if centered else []) + ["var", "inv"] if axes else []
        given = [] if axes else [k for k in ("mean", "inv") if kept[k] is not None]

        def formula(xp: Formulas, *z: Any) -> list[Any]:
            found: dict[str, Any] = {"mean": None}
            found.update(zip(given, z[1 + len(inner) :], strict=True))
            y = xp.normalize(z[: 1 + len(inner)], where, eps, centered, found)
            return [y, *(found[name] for name in names)]

        flat = x.reshape(*x.shape[: x.ndim - len(axes)], -1) if form == "rows" else x
        kind = "row" if form == "channels" else "vector"
        operands = [("each", flat), *((kind, a) for a in inner), *(("row", kept[k]) for k in given)]
        key = ("normalize", eps, centered, bool(axes), len(inner))
        found = self.by_row(key, formula, operands, form)
        if found is None:
            return super().normalize(arrays, axes, eps, centered, kept)
        y, *statistics = found
        if axes:
            few = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
            kept["mean"] = None
            kept.update((k, v.reshape(few)) for k, v in zip(names, statistics, strict=True))
        y = y.reshape(x.shape)
        if not whole:
            y = y * affine[0] if affine else y
            y = y + affine[1] if len(affine) > 1 else y
        return y

    def normalize_gradients(
        self,
        g: Array,
        arrays: Any,
        axes: Any,
        eps: float,
        centered: bool,
        kept: dict[str, Any],
        needed: tuple[bool, ...],
    ) -> list[Any]:
        found = None
        layout = self._layout(arrays, axes)
        mean, inv = kept["mean"], kept["inv"]
        if layout == ("channels", True):
            found = self._channel_gradients(g, arrays, axes, mean, inv, needed)
        elif layout is not None:
            found = self._row_gradients(g, arrays, axes, mean, inv, needed, layout[1])
        if found is None:
            return super().normalize_gradients(g, arrays, axes, eps, centered, kept, needed)
        return found

    def _channel_gradients(
        self, g: Array, arrays: Any, axes: Any, mean: Any, inv: Any, needed: tuple[bool, ...]
    ) -> list[Any] | None:
        needed = tuple(needed[: len(arrays)])
        where = _AXES["channels"] if axes else ()

        def formula(xp: Formulas, g: Any, *z: Any) -> list[Any]:
            middle = None if mean is None else z[len(arrays)]
            parts = gradients(xp, g, z[: len(arrays)], middle, z[-1], where, needed)
            return [part for part in parts if part is not None]

        statistics = [("row", a) for a in (mean, inv) if a is not None]
        operands = [("each", g), ("each", arrays[0]), *(("row", a) for a in arrays[1:])]
        key = ("normalize_gradients", needed, bool(axes), mean is None)
        found = self.by_row(key, formula, [*operands, *statistics], "channels")
        if found is None:
            return None
        parts = iter(found)
        few = (1, -1, 1)
        return [
            (next(parts) if not i else next(parts).reshape(few)) if wanted else None
            for i, wanted in enumerate(needed)
        ]

    def _row_gradients(
        self,
        g: Array,
        arrays: Any,
        axes: Any,
        mean: Any,
        inv: Any,
        needed: tuple[bool, ...],
        whole: bool,
    ) -> list[Any] | None:
        x, *affine = arrays
        shape = (*x.shape[: x.ndim - len(axes)], -1)
        statistics = [("row", a) for a in (mean, inv) if a is not None]
        result: list[Any] = [None] * len(arrays)
        if needed[0]:
            scale = affine[:1] if whole else []
            incoming = g if whole or not affine else g * affine[0]

            def formula(xp: Formulas, g: Any, x: Any, *z: Any) -> list[Any]:
                middle = None if mean is None else z[len(scale)]
                operands = [x, *z[: len(scale)]]
                return [gradients(xp, g, operands, middle, z[-1], (1,), (True, False))[0]]

            flat = [("each", incoming.reshape(shape)), ("each", x.reshape(shape))]
            operands = [*flat, *(("vector", a) for a in scale), *statistics]
            found = self.by_row(("normalize_x", len(scale), mean is None), formula, operands)
            if found is None:
                return None
            result[0] = found[0].reshape(x.shape)
        for i in range(1, len(arrays)):
            if needed[i]:
                part = g
                if i == 1:
                    flat = [("each", g.reshape(shape)), ("each", x.reshape(shape))]
                    key = ("normalize_scale", mean is None)
                    found = self.by_row(key, _scaled, [*flat, *statistics])
                    if found is None:
                        return None
                    part = found[0].reshape(x.shape)
                few = arrays[i].shape
                short = tuple(a for a, n in enumerate(few) if n == 1 != x.shape[a])
                result[i] = self.sum(part, axis=short, keepdims=True) if short else part
        return result

    # --- updates of optimizers ----------------------------------------------------------------

    def fused_update(
        self,
        key: tuple[Hashable, ...],
        formula: Callable[..., Sequence[Any]],
        constants: Sequence[Any],
        arrays: Sequence[Array],
        alone: bool,
    ) -> Array | None:
        """The new parameter by one kernel, which also writes the slots; or None.

        Args:
            key: What ``formula`` depends on besides dtypes and constants.
            formula: It gets a namespace, the constants and the arrays, and gives what is
                subtracted and the new arrays of the slots.
            constants: Numbers may change from call to call.
            arrays: Parameter, gradient and slots.
            alone: Write the parameter where it is.
        """
        p = arrays[0]
        if not self.fused or not p.size:
            return None
        for x in arrays:
            if type(x) is not self.cupy.ndarray or x.shape != p.shape:
                return None
            if not x.flags.c_contiguous:
                return None
        dtypes = tuple([x.dtype for x in arrays])
        truths = tuple([bool(c) if type(c) in _NUMBERS else c for c in constants])
        large = _large(p.size)

        def make() -> Source:
            xp = Formulas()
            loads = [Load(dtype) for dtype in dtypes]
            numbers = {
                i: Load(np.float64, weak=True, truth=bool(c))
                for i, c in enumerate(constants)
                if type(c) in _NUMBERS
            }
            given = [numbers.get(i, c) for i, c in enumerate(constants)]
            step, *slots = formula(xp, given, *loads)
            results = [loads[0] - step, *slots]
            kinds = (dtypes[0], *dtypes[2:])
            results = [_cast(xp, y, kind) for y, kind in zip(results, kinds, strict=True)]
            loads += numbers.values()
            return elementwise("dezero_update", loads, results, large, in_place=True)

        kernel = self._kernel(("update", key, dtypes, truths, large), make)
        if kernel is None:
            return None
        new = p if alone else self.cupy.empty_like(p)
        numbers = [np.float64(c) for c in constants if type(c) in _NUMBERS]
        self.launch_each(kernel[0], [*arrays, *numbers, new, *arrays[2:]], p.size)
        return new

    # --- checks without waiting ---------------------------------------------------------------

    def check_labels(self, t: Array, classes: int, what: str = "labels") -> None:
        """Have IndexError raised when values are next read, unless all numbers fit.

        Without `deferred` it is raised here, after waiting for the device.
        """
        kind = _SIGNED.get(t.dtype.name)
        key = int(getattr(self.device(t), "id", 0)), what, classes
        room = key in self._checks or len(self._checks) < _NAMES
        if not self.deferred or kind is None or not room:
            super().check_labels(t, classes, what)
            return
        if not t.size:
            return
        if key not in self._checks:
            self._checks[key] = self.cupy.asarray(np.array([0, classes - 1]))
        code = _CHECK.format(kind)
        source = Source("out_of_range", code, ())
        kernel = self._kernel(("check", kind), lambda: source)
        assert kernel is not None
        blocks = -(-t.size // (4 * _THREADS))
        arguments = self.cupy.ascontiguousarray(t), self._checks[key], np.int64(classes)
        kernel[0]((blocks,), (_THREADS,), (*arguments, np.uint64(t.size)))
        self._asked = True

    def examine(self) -> None:
        """Raise what checks have found since the last time.

        Raises:
            IndexError: Labels were out of range.
        """
        if not self._asked:
            return
        self._asked = False
        for (number, what, classes), found in self._checks.items():
            with self.cupy.cuda.Device(number):
                low, high = self.cupy.asnumpy(found).tolist()
                if (low, high) != (0, classes - 1):
                    found[...] = self.cupy.asarray(np.array([0, classes - 1]))
                    msg = (
                        f"{what} go from {low} to {high}, expected 0 to {classes - 1} (found when "
                        "values were read; dezero.cuda.configure(deferred_checks=False) finds the "
                        "call)"
                    )
                    raise IndexError(msg)


def _large(size: int) -> bool:
    """Whether places in an array need 64 bits; a loop's index goes beyond the last one."""
    return size >= 2**31


def _size(n: int, large: bool | None = None) -> Any:
    return np.uint64(n) if (_large(n) if large is None else large) else np.uint32(n)


def _list(x: Array) -> tuple[str, Array]:
    """A vector, which may be one number repeated."""
    return ("same", x) if x.strides == (0,) else ("list", x)


def _masked(xp: Formulas, x: Any, mask: Any = None) -> list[Any]:
    return [xp.masked_softmax(x, mask, False)]


def _scaled(xp: Formulas, g: Any, x: Any, *z: Any) -> list[Any]:
    rough = x - z[0] if len(z) > 1 else x
    return [g * (rough * z[-1])]


def _cast(xp: Formulas, y: Symbol, dtype: Any) -> Symbol:
    return y if y.dtype == dtype else xp.astype(y, dtype)


def _by_element(name: str, count: int) -> Any:
    plain = getattr(Backend, name)

    def method(self: CuPyKernels, *operands: Any) -> Array:
        y = self.by_element(name, operands[:count], operands[count:])
        return plain(self, *operands) if y is None else y

    method.__name__, method.__doc__ = name, plain.__doc__
    return method


# Formulas of several steps, and how many of their operands are arrays.
for _name, _count in {
    "sigmoid": 1,
    "sigmoid_grad": 2,
    "softplus": 1,
    "gelu": 1,
    "gelu_grad": 3,
    "only": 2,
    "xdivy": 2,
}.items():
    setattr(CuPyKernels, _name, _by_element(_name, _count))
