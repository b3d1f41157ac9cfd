"""CuPy as dezero sees it, over NumPy: a fake device, which notes whenever the host waits for it.

What CuPy refuses is refused here: arrays of NumPy as operands, conversion without being asked, and
while a stream is captured everything that waits and every product of matrices. A captured stream
really computes only when its graph is launched. Kernels run through the host's C++ compiler.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import array_api_compat.numpy as standard
import numpy as np

from gpu import host

__all__ = ["CuPy", "installed"]

__name__ = (
    "cupy.fake"  # that classes and functions belong to: what is compiled looks into no library
)

_TYPES = {
    "bool": "bool", "signed char": "int8", "short": "int16", "int": "int32",
    "long long": "int64", "unsigned char": "uint8", "unsigned short": "uint16",
    "unsigned int": "uint32", "index_t": "uint32", "unsigned long long": "uint64",
    "__half": "float16", "__nv_bfloat16": "uint16", "float": "float32", "double": "float64",
}  # fmt: skip
_PRODUCTS = {"matmul", "dot", "tensordot", "einsum", "vecdot", "inner", "outer"}
_WAITING = {"nonzero", "argwhere", "flatnonzero", "unique", "unique_values", "unique_counts"}
_OPERATORS = """
    add sub mul truediv floordiv mod pow matmul and or xor lshift rshift radd rsub rmul rtruediv
    rfloordiv rmod rpow rmatmul rand ror rxor eq ne lt le gt ge neg pos abs invert
"""


class PooledMemory:
    """A block of the device's memory."""


class Pointer:
    """Where an array's memory starts."""

    def __init__(self, values: np.ndarray, mem: PooledMemory | None = None) -> None:
        self.mem = mem or PooledMemory()
        self.ptr = values.__array_interface__["data"][0]


class Device:
    """The one device."""

    compute_capability = "80"

    def __init__(self, number: Any = 0) -> None:
        self.id = getattr(number, "id", number) or 0

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def synchronize(self) -> None:
        CuPy.here.wait("Device.synchronize")


class ndarray:  # CuPy's name
    """An array on the fake device."""

    __array_ufunc__ = None

    def __init__(self, values: Any, base: ndarray | None = None) -> None:
        self.values = np.asarray(values)
        self.base = base
        self.data = Pointer(self.values, None if base is None else base.data.mem)

    shape = property(lambda self: self.values.shape)
    ndim = property(lambda self: self.values.ndim)
    size = property(lambda self: self.values.size)
    dtype = property(lambda self: self.values.dtype)
    nbytes = property(lambda self: self.values.nbytes)
    strides = property(lambda self: self.values.strides)
    flags = property(lambda self: self.values.flags)
    device = property(lambda self: Device(0))
    T = property(lambda self: CuPy.here.call("transpose", np.transpose, (self,), {}))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if any(getattr(part, "dtype", None) == np.bool_ for part in parts):
            CuPy.here.wait("a mask as index")
        return CuPy.here.call("get_item", lambda x, key: x[key], (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        def write(x: Any, key: Any, value: Any) -> None:
            x[key] = value

        CuPy.here.do(write, (self, key, value), {})

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __bool__(self) -> bool:
        return bool(self.get("bool()"))

    def __float__(self) -> float:
        return float(self.get("float()"))

    def __int__(self) -> int:
        return int(self.get("int()"))

    def __index__(self) -> int:
        return self.get("index()").__index__()

    def item(self) -> Any:
        return self.get("item()").item()

    def tolist(self) -> Any:
        return self.get("tolist()").tolist()

    def __repr__(self) -> str:
        return repr(self.get("repr()"))

    def __format__(self, spec: str) -> str:
        return format(self.get("format()"), spec)

    def get(self, what: str = "get()") -> np.ndarray:
        CuPy.here.wait(what)
        return self.values.copy()

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        return self if self.dtype == dtype and not copy else self._method("astype", dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(name)
        return functools.partial(self._method, name)

    def _method(self, name: str, *args: Any, **kwargs: Any) -> Any:
        function = functools.partial(_method_of, name)
        return CuPy.here.call(name, function, (self, *args), kwargs)


def _method_of(name: str, x: Any, *args: Any, **kwargs: Any) -> Any:
    return getattr(np.asarray(x), name)(*args, **kwargs)


def _operator(name: str) -> Any:
    def method(self: ndarray, *others: Any) -> Any:
        for other in others:
            if isinstance(other, np.ndarray):
                raise TypeError("Unsupported type <class 'numpy.ndarray'>")
            if not isinstance(other, (ndarray, bool, int, float, complex, np.generic)):
                return NotImplemented
        function = functools.partial(_method_of, f"__{name}__")
        return CuPy.here.call(name, function, (self, *others), {})

    return method


for _name in _OPERATORS.split():
    setattr(ndarray, f"__{_name}__", _operator(_name))
ndarray.__hash__ = object.__hash__  # type: ignore[method-assign]


def _in_place(name: str) -> Any:
    def method(self: ndarray, other: Any) -> ndarray:
        def write(x: np.ndarray, other: Any) -> None:
            getattr(x, f"__{name}__")(other)

        CuPy.here.do(write, (self, other), {})
        return self

    return method


for _name in ["iadd", "isub", "imul", "itruediv", "ipow", "ior", "iand", "ixor"]:
    setattr(ndarray, f"__{_name}__", _in_place(_name))


def bare(x: Any) -> Any:
    """``x`` with NumPy's arrays in place of the fake ones."""
    if isinstance(x, ndarray):
        return x.values
    if isinstance(x, slice):
        return slice(bare(x.start), bare(x.stop), bare(x.step))
    if type(x) in (tuple, list):
        return type(x)(map(bare, x))
    return {k: bare(v) for k, v in x.items()} if isinstance(x, dict) else x


def arrays_in(x: Any) -> Iterator[ndarray]:
    if isinstance(x, ndarray):
        yield x
    elif isinstance(x, (tuple, list)):
        for part in x:
            yield from arrays_in(part)
    elif isinstance(x, dict):
        yield from arrays_in(list(x.values()))


class Graph:
    """What was captured."""

    def __init__(self, nodes: list[Any]) -> None:
        self.nodes = nodes
        self.launches = 0

    def launch(self, stream: Any = None) -> None:
        self.launches += 1
        CuPy.here.launches += 1
        for node in self.nodes:
            node()

    def upload(self, stream: Any = None) -> None:
        pass


class Event:
    """A mark in a stream."""

    def record(self, stream: Any = None) -> None:
        pass


class Stream:
    """A stream, which may be captured."""

    null: Any = None

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.null = null
        self.ptr = 0 if null else id(self)

    def __enter__(self) -> Stream:
        CuPy.here.streams.append(self)
        return self

    def __exit__(self, *_: Any) -> None:
        CuPy.here.streams.pop()

    def begin_capture(self, mode: Any = None) -> None:
        if self.null is True:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        CuPy.here.nodes = []

    def end_capture(self) -> Graph:
        nodes, CuPy.here.nodes = CuPy.here.nodes, None
        assert nodes is not None
        return Graph(nodes)

    def record(self, event: Any = None) -> Event:
        return event or Event()

    def wait_event(self, event: Any) -> None:
        pass

    def synchronize(self) -> None:
        CuPy.here.wait("Stream.synchronize")


class MemoryPool:
    """The allocator, which counts no bytes."""

    def __init__(self, *_: Any) -> None:
        self.limit = 0

    def malloc(self, size: int) -> Any:
        raise AssertionError("nothing is allocated here")

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        self.limit = size

    def used_bytes(self) -> int:
        return 0

    def total_bytes(self) -> int:
        return 0

    def free_all_blocks(self) -> None:
        pass


class RawKernel:
    """A kernel, compiled for the host."""

    def __init__(self, code: str, name: str, options: Any = (), **_: Any) -> None:
        self.name = self.__name__ = name
        self.source, self.options = code, options
        self.code = re.sub(r"#define WIDTH \d+", "#define WIDTH 1", code)
        pattern = rf"__global__ void {name}\(([^)]*)\)"
        found = re.search(pattern, code)
        assert found is not None, code
        self.parameters = [p.strip().rpartition(" ")[0] for p in found[1].split(",")]

    def compile(self) -> None:
        host.compiled(self.code, self.name)

    def __call__(self, grid: Any, block: Any, args: Any) -> None:
        here = CuPy.here
        assert len(args) == len(self.parameters), (self.parameters, args)
        assert 1 <= math.prod(block) <= 1024, block
        given = []
        for kind, x in zip(self.parameters, args, strict=True):
            name = kind.replace("const", "").replace("__restrict__", "").replace("*", "").strip()
            assert isinstance(x, ndarray) == ("*" in kind), (kind, x)
            value = x.values if isinstance(x, ndarray) else np.array(x)
            wanted = "uint64" if name == "index_t" and "long index_t" in self.code else _TYPES[name]
            assert value.dtype == wanted or value.dtype.name == "bfloat16", (kind, value.dtype)
            given.append(value)
        blocks: Any = grid[0] * (block[1] if len(block) > 1 else 1)
        threads = 1
        if host.has_blocks(self.code):
            blocks, threads = (*grid, 1, 1)[:3], math.prod(block)
            assert max(blocks[1:]) < 2**16, grid
        here.do(
            lambda *values: host.run(self.code, self.name, blocks, list(values), threads), given, {}
        )


class _Seen:
    """What has happened, where nobody looks who asks for side effects of a function."""

    def __init__(self) -> None:
        self.waits: list[str] = []
        self.launches = 0


_seen = _Seen()


class CuPy(types.ModuleType):
    """The module ``cupy``.

    Attributes:
        waits: What the host has waited for.
        launches: How many kernels and graphs were launched.
        nodes: What is being captured, or None.
    """

    here: CuPy

    def __init__(self) -> None:
        super().__init__("cupy")
        CuPy.here = self
        self.__version__ = "14.0.0"
        self.nodes: list[Any] | None = None
        self.kept: list[Any] = []
        self.compute_types: dict[str, int] = {}
        self.ndarray, self.RawKernel = ndarray, RawKernel
        null = Stream(null=True)
        self.streams = [null]
        self.allocators: list[Any] = []
        runtime = types.SimpleNamespace(
            getDeviceCount=lambda: 1,
            CUDARuntimeError=RuntimeError,
            getDeviceProperties=lambda number: {"name": b"Fake device"},
            deviceGetAttribute=lambda name, number: 1,
            cudaDevAttrMemoryPoolsSupported=115,
        )
        memory = types.SimpleNamespace(
            PooledMemory=PooledMemory, Memory=PooledMemory, MemoryAsync=PooledMemory
        )

        @contextlib.contextmanager
        def using_allocator(allocator: Any) -> Iterator[None]:
            self.allocators.append(allocator)
            yield
            self.allocators.pop()

        Stream.null = null
        self.cuda = types.SimpleNamespace(
            runtime=runtime,
            memory=memory,
            Device=Device,
            Stream=Stream,
            Event=Event,
            MemoryPool=MemoryPool,
            MemoryAsyncPool=type("MemoryAsyncPool", (MemoryPool,), {}),
            using_allocator=using_allocator,
            set_allocator=self.allocators.append,
            get_current_stream=lambda: self.streams[-1],
        )
        self._pool = MemoryPool()
        self.lib = types.SimpleNamespace(
            stride_tricks=types.SimpleNamespace(as_strided=self._function("as_strided"))
        )
        self._core = types.SimpleNamespace(
            set_compute_type=lambda dtype, kind: self.compute_types.__setitem__(
                np.dtype(dtype).name, kind
            ),
            get_compute_type=lambda dtype: self.compute_types.get(np.dtype(dtype).name, 1),
            COMPUTE_TYPE_DEFAULT=1,
            COMPUTE_TYPE_PEDANTIC=2,
            COMPUTE_TYPE_FP16=3,
            COMPUTE_TYPE_FP32=4,
            COMPUTE_TYPE_TF32=7,
        )

    @property
    def waits(self) -> list[str]:
        return _seen.waits

    @property
    def launches(self) -> int:
        return _seen.launches

    @launches.setter
    def launches(self, count: int) -> None:
        _seen.launches = count

    def get_default_memory_pool(self) -> MemoryPool:
        return self._pool

    def wait(self, what: str) -> None:
        """Note that the host waits."""
        if self.nodes is not None:
            raise RuntimeError("the current stream is capturing, so synchronous API calls are not")
        self.waits.append(what)

    def call(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        """Compute something new, or a view; while a stream is captured, when it is launched."""
        for x in (*args, *kwargs.values()):
            if isinstance(x, np.ndarray) and x.ndim:
                raise TypeError(f"{name}: Unsupported type <class 'numpy.ndarray'>")
        if self.nodes is not None and name.strip("_r") in _PRODUCTS:
            raise NotImplementedError(
                "calling cuBLAS API during stream capture is currently unsupported"
            )
        kwargs = {key: x for key, x in kwargs.items() if key != "device"}
        with np.errstate(all="ignore"):
            values = function(*bare(args), **bare(kwargs))
        if name.startswith("empty"):
            if self.nodes is not None:  # the graph's memory
                self.kept.append(values)
            return ndarray(values)
        return self._covered(function, args, kwargs, values)

    def _covered(self, function: Any, args: Any, kwargs: Any, values: Any) -> Any:
        if isinstance(values, (tuple, list)):
            parts = [self._covered(None, args, kwargs, v) for v in values]
            return type(values)(*parts) if hasattr(values, "_fields") else type(values)(parts)
        if not isinstance(values, (np.ndarray, np.generic)):
            return values
        values = np.asarray(values)
        for x in arrays_in([args, kwargs]):
            if x.values is values:
                return x
            if np.may_share_memory(x.values, values):
                return ndarray(values, x if x.base is None else x.base)
        self.launches += 1
        if self.nodes is None:
            return ndarray(values)
        assert function is not None
        memory = np.full_like(values, np.nan if values.dtype.kind == "f" else 0)

        def node() -> None:
            with np.errstate(all="ignore"):
                memory[...] = function(*bare(args), **bare(kwargs))

        self.nodes.append(node)
        return ndarray(memory)

    def do(self, function: Any, args: Any, kwargs: Any) -> None:
        """Write into an array."""
        self.launches += 1

        def node() -> None:
            with np.errstate(all="ignore"):
                function(*bare(args), **bare(kwargs))

        if self.nodes is None:
            node()
        else:
            self.nodes.append(node)

    def asnumpy(self, x: Any) -> np.ndarray:
        return x.get("asnumpy") if isinstance(x, ndarray) else np.asarray(x)

    def asarray(self, x: Any, dtype: Any = None) -> ndarray:
        """A copy on the device, through pinned memory: the host does not wait."""
        if isinstance(x, ndarray):
            return x if dtype is None or x.dtype == dtype else x.astype(dtype)
        assert self.nodes is None, "memory of the host in a captured stream"
        return ndarray(np.array(x, dtype=dtype))

    array = asarray

    def ascontiguousarray(self, x: ndarray) -> ndarray:
        return x if x.flags.c_contiguous else x.copy()

    def _function(self, name: str, module: Any = np) -> Any:
        function = (
            np.lib.stride_tricks.as_strided if name == "as_strided" else getattr(module, name)
        )

        def call(*args: Any, **kwargs: Any) -> Any:
            if name in _WAITING:
                self.wait(name)
            if name == "take":  # CuPy has no errors of indices
                kwargs["mode"] = "wrap"
            return self.call(name, function, args, kwargs)

        if hasattr(function, "at"):

            def at(x: ndarray, key: Any, *values: Any) -> None:
                self.do(function.at, (x, key, *values), {})

            call.at = at  # type: ignore[attr-defined]
        return call

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(np, name):
            raise AttributeError(name)
        value = getattr(np, name)
        if not callable(value) or isinstance(value, type):
            return value
        value = self._function(name)
        setattr(self, name, value)
        return value


class _Standard(types.ModuleType):
    """The module ``array_api_compat.cupy``."""

    def __init__(self, cupy: CuPy, module: Any = standard, name: str = "array_api_compat.cupy"):
        super().__init__(name)
        self._cupy, self._module = cupy, module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._module, name)
        if isinstance(value, types.ModuleType):
            value = _Standard(self._cupy, value, f"{self.__name__}.{name}")
        elif name == "asarray":
            return lambda x, dtype=None, device=None, copy=None: (
                self._cupy.asarray(x, dtype).copy()
                if copy and isinstance(x, ndarray)
                else self._cupy.asarray(x, dtype)
            )
        elif callable(value) and not isinstance(value, type) and name not in ("isdtype",):
            value = self._cupy._function(name, self._module)
        setattr(self, name, value)
        return value


class _Special(types.ModuleType):
    """The module ``cupyx.scipy.special``: SciPy's, where that is installed."""

    def __init__(self, cupy: CuPy) -> None:
        super().__init__("cupyx.scipy.special")
        self._cupy = cupy

    def erf(self, x: Any) -> Any:
        def values(x: np.ndarray) -> Any:
            return np.vectorize(math.erf, otypes=[x.dtype])(x)

        return self._cupy.call("erf", values, (x,), {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            import scipy.special
        except ImportError:
            raise AttributeError(name) from None
        return self._cupy._function(name, scipy.special)


def installed(monkeypatch: Any) -> CuPy:
    """The fake module in the place of CuPy's, until the test ends."""
    import array_api_compat

    global _seen
    _seen = _Seen()
    cupy = CuPy()
    compat = _Standard(cupy)
    special = _Special(cupy)
    scipy = types.ModuleType("cupyx.scipy")
    scipy.special = special  # type: ignore[attr-defined]
    cupyx = types.ModuleType("cupyx")
    cupyx.scipy = scipy  # type: ignore[attr-defined]
    modules = {"cupy": cupy, "array_api_compat.cupy": compat, "cupyx": cupyx}
    modules |= {"cupyx.scipy": scipy, "cupyx.scipy.special": special}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(array_api_compat, "cupy", compat, raising=False)
    return cupy
