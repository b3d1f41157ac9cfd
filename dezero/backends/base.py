"""A backend: the Array API namespace of one library, and the few kernels that the standard lacks.

Every kernel is written here once, in the standard alone, so that a library nobody has heard of
works. A subclass replaces those that its library does better, and may decline a case by calling
the base class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from .convolution import Convolution
from .neural import Neural
from .normalization import Normalization
from .pooling import Pooling
from .special import Special

__all__ = [
    "Backend",
    "HostBackend",
    "complete",
    "is_basic",
    "is_integer",
    "normalized_axes",
    "without_flips",
]

Array = Any

# W. J. Cody, Rational Chebyshev approximations for the error function, 1969: erf near zero,
# erfc * exp(x^2) in the middle, and its asymptotic form; highest power first.
_ERF_SMALL = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (
        1.0,
        2.36012909523441209e1,
        2.44024637934444173e2,
        1.28261652607737228e3,
        2.84423683343917062e3,
    ),
)
_ERFC_MIDDLE = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)
_ERFC_LARGE = (
    (
        1.63153871373020978e-2,
        3.05326634961232344e-1,
        3.60344899949804439e-1,
        1.25781726111229246e-1,
        1.60837851487422766e-2,
        6.58749161529837803e-4,
    ),
    (
        1.0,
        2.56852019228982242e0,
        1.87295284992346725e0,
        5.27905102951428412e-1,
        6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    numerator, denominator = coefficients
    top = x * numerator[0] + numerator[1]
    for c in numerator[2:]:
        top = top * x + c
    bottom = x + denominator[1]
    for c in denominator[2:]:
        bottom = bottom * x + c
    return top / bottom


def normalized_axes(
    axis: int | tuple[int, ...] | None, ndim: int, name: str = ""
) -> tuple[int, ...]:
    """``axis`` as a tuple of numbers from 0 to ``ndim - 1``; all of them for None.

    Messages begin with ``name``, the function that was called.

    Raises:
        IndexError: An axis is outside ``-ndim .. ndim - 1``.
        ValueError: An axis is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    prefix = f"{name}: " if name else ""
    for a in axes:
        if not -ndim <= a < ndim:
            msg = (
                f"{name and name + ': '}axis {a} is out of range for an array of {ndim} dimensions"
            )
            raise IndexError(msg)
    result = tuple(int(a) % ndim for a in axes)
    if len(set(result)) != len(result):
        msg = f"{prefix}axis {axis} names a dimension twice"
        raise ValueError(msg)
    return result


class Backend(Neural, Convolution, Pooling, Normalization):
    """One array library behind one protocol: its Array API namespace plus a few kernels.

    Attribute access falls through to the namespace, so ``backend.sin(x)`` is the library's sine.
    Subclasses replace methods; all of those below may be replaced.

    Args:
        namespace: A namespace of the Array API standard.
        name: A short name, by default the namespace's own.

    Example:
        >>> import numpy as np
        >>> from dezero.backends import backend_of
        >>> xp = backend_of(np.ones(3))
        >>> xp.name
        'numpy'
        >>> float(xp.sum(xp.ones(3)))
        3.0
    """

    mutable = True
    asynchronous = False  # reading a value waits for a device
    fused_update: Any = None  # an optimizer's rule as one kernel, where the library has such
    arrays_only = True  # the library's special functions take no Python numbers beside arrays
    recorded: Any = None  # the differentiable namespace over this backend, made when first needed

    def __init__(self, namespace: Any, name: str | None = None) -> None:
        self.namespace = namespace
        self.name = name or namespace.__name__
        self._inexact: dict[Any, bool] = {}
        self._complex: dict[Any, bool] = {}

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        try:
            value = getattr(self.namespace, attribute)
        except AttributeError:
            msg = f"{self.name} has no {attribute!r}, neither in its namespace nor as a kernel"
            raise AttributeError(msg) from None
        setattr(self, attribute, value)  # found directly from now on
        return value

    def __repr__(self) -> str:
        return f"<backend {self.name}>"

    def __deepcopy__(self, memo: Any) -> Backend:
        return self  # there is one of each library; what holds it may be copied

    # --- what is there ------------------------------------------------------------------------

    def why_unavailable(self) -> str | None:
        """What is missing for arrays of this backend to be made, or None if nothing is."""
        return None

    def is_available(self) -> bool:
        """Whether arrays of this backend can be made on this machine."""
        return self.why_unavailable() is None

    def devices(self) -> list[Any]:
        """The devices that arrays can live on."""
        info = getattr(self.namespace, "__array_namespace_info__", None)
        return [] if info is None else list(info().devices())

    # --- dtypes -------------------------------------------------------------------------------

    def is_inexact(self, dtype: Any) -> bool:
        """Whether ``dtype`` is a real or complex floating-point type."""
        known = self._inexact.get(dtype)
        if known is None:
            known = self._inexact[dtype] = bool(
                self.isdtype(dtype, ("real floating", "complex floating"))
            )
        return known

    def is_complex(self, dtype: Any) -> bool:
        """Whether ``dtype`` is a complex floating-point type."""
        known = self._complex.get(dtype)
        if known is None:
            known = self._complex[dtype] = bool(self.isdtype(dtype, "complex floating"))
        return known

    def cast(self, x: Array, dtype: Any) -> Array:
        """``x`` with ``dtype``; a complex array loses its imaginary part for a real ``dtype``."""
        if self.is_complex(x.dtype) and not self.is_complex(dtype):
            x = self.real(x)
        return x if x.dtype == dtype else self.astype(x, dtype)

    # --- devices and memory -------------------------------------------------------------------

    def device(self, x: Array) -> Any:
        """The device that ``x`` lives on."""
        return x.device

    def place(self, device: Any) -> Any:
        """``device`` as the library's functions take it, if it is given by its name."""
        return device

    def to_device(self, x: Array, device: Any) -> Array:
        """``x`` on ``device``, a device of this library."""
        return x.to_device(device)

    def to_numpy(self, x: Array) -> np.ndarray:
        """The values of ``x`` as a NumPy array on the host."""
        return np.from_dlpack(x)

    def from_numpy(self, x: np.ndarray, device: Any = None) -> Array:
        """The values of a NumPy array as an array of this library on ``device``."""
        return self.asarray(x, device=device)

    def copy(self, x: Array) -> Array:
        """An array of the same values that shares no memory with ``x``."""
        return self.asarray(x, copy=True) if self.mutable else x

    def owned(self, table: dict[Any, Array], key: Any) -> Array:
        """``table[key]`` if nobody but the table holds its memory, else a copy."""
        return self.copy(table[key])

    def holders(self, x: Array) -> tuple[int, ...] | None:
        """Counts that are higher than a new array's if somebody else sees the memory of ``x``.

        The references of the caller are among them. None: the array cannot be changed, its memory
        is not its own, or nobody can tell.
        """
        return None

    def add_into(self, a: Array, b: Array) -> Array:
        """``a + b``, written into ``a`` where the library can. Use what it returns."""
        return a + b

    # --- kernels that the standard lacks ------------------------------------------------------

    def get_item(self, x: Array, key: Any) -> Array:
        """``x[key]``."""
        return x[complete(key, x.ndim)]

    def scatter_add(self, g: Array, key: Any, shape: tuple[int, ...]) -> Array:
        """Zeros of ``shape`` with ``g`` added at ``key``; where ``key`` repeats, values add up."""
        device = self.device(g)
        if is_basic(key):
            zeros = self.zeros(shape, dtype=g.dtype, device=device)
            return self.put(zeros, key, g)
        size = math.prod(shape)
        positions = self.get_item(self.reshape(self.arange(size, device=device), shape), key)
        flat = self.reshape(self.broadcast_to(g, positions.shape), (-1,))
        return self.reshape(self.take_add(flat, self.reshape(positions, (-1,)), 0, (size,)), shape)

    def put(self, x: Array, key: Any, values: Array) -> Array:
        """``x`` with ``values`` at the basic ``key``, written into ``x`` where the library can."""
        parts = key if isinstance(key, tuple) else (key,)
        if any(part is None for part in parts):  # the standard knows None when reading only
            shape = self.get_item(x, key).shape
            key = tuple(part for part in parts if part is not None)
            if not isinstance(values, (bool, int, float, complex)):
                values = self.broadcast_to(values, shape)
                values = self.reshape(values, self.get_item(x, key).shape)
        x[complete(key, x.ndim)] = values
        return x

    def set_item(self, x: Array, key: Any, value: Any, alone: bool = False) -> Array:
        """``x`` with ``value`` at ``key``; where ``key`` repeats, the last value stays.

        It is a copy, but may be ``x`` itself if that is ``alone``: nobody else holds its memory.
        """
        if is_basic(key) or _is_mask(key):
            return self.put(self.copy(x), key, value)
        n = math.prod(x.shape)
        device = self.device(x)
        positions = self.get_item(self.reshape(self.arange(n, device=device), x.shape), key)
        flat = self.reshape(positions, (-1,))
        if not flat.shape[0]:
            return self.copy(x)
        last = self.last(flat, n)
        if isinstance(value, (bool, int, float, complex)):
            value = self.full_like(x, value)[(0,) * x.ndim] if n else self.zeros_like(x)
        value = self.reshape(self.broadcast_to(value, positions.shape), (-1,))
        new = self.take(value, self.where(last < 0, self.zeros_like(last), last), axis=0)
        old = self.reshape(x, (-1,))
        return self.reshape(self.where(last < 0, old, self.cast(new, x.dtype)), x.shape)

    def last(self, positions: Array, n: int) -> Array:
        """For 0, 1, ... n - 1 the last place where ``positions`` names it, -1 if none does."""
        hit = self.hits(positions, n, self.device(positions))
        places = self.arange(positions.shape[0], device=self.device(positions))[:, None]
        return self.max(self.where(hit, places, self.full_like(places, -1)), axis=0)

    def stays(self, key: Any, shape: tuple[int, ...], device: Any) -> Array | None:
        """Which values that `set_item` takes are not overwritten by it; None: all stay."""
        if is_basic(key) or _is_mask(key):
            return None
        n = math.prod(shape)
        positions = self.get_item(self.reshape(self.arange(n, device=device), shape), key)
        flat = self.reshape(positions, (-1,))
        if not flat.shape[0]:
            return None
        own = self.arange(flat.shape[0], device=device)
        return self.reshape(self.take(self.last(flat, n), flat, axis=0) == own, positions.shape)

    def shares(self, y: Array, x: Array) -> bool:
        """Whether the view ``y`` of ``x`` follows it: where memory is shared, or would be."""
        return bool(y.ndim)

    def take_add(self, g: Array, indices: Array, axis: int, shape: tuple[int, ...]) -> Array:
        """Adjoint of ``take``: zeros of ``shape``, ``g`` added at ``indices`` along ``axis``."""
        hit = self.hits(indices, shape[axis], self.device(g))
        g = self.moveaxis(g, axis, -1)
        if bool(self.all(self.isfinite(g))):
            total = self.matmul(g, self.astype(hit, g.dtype))
        else:  # 0 * inf would reach other places
            terms = self.where(hit, g[..., None], self.zeros_like(g)[..., None])
            total = self.sum(terms, axis=-2)
        return self.moveaxis(total, -1, axis)

    def hits(self, indices: Array, n: int, device: Any) -> Array:
        """Whether an index is 0, 1, ... n - 1, along a new last dimension."""
        places = self.arange(n, device=device)
        indices = self.cast(indices, places.dtype)
        return self.where(indices < 0, indices + n, indices)[..., None] == places

    def put_along_axis_add(
        self, g: Array, indices: Array, axis: int, shape: tuple[int, ...]
    ) -> Array:
        """Adjoint of ``take_along_axis``: zeros of ``shape`` with ``g`` added at ``indices``."""
        n = shape[axis]
        g, indices = self.moveaxis(g, axis, -1), self.moveaxis(indices, axis, -1)
        hit = self.hits(indices, n, self.device(g))
        terms = self.where(hit, g[..., None], self.zeros_like(g)[..., None])
        total = self.sum(terms, axis=-2)
        # take_along_axis broadcasts the other dimensions
        target = shape[:axis] + shape[axis + 1 :] + (n,)
        if total.shape != target:
            axes = tuple(i for i, m in enumerate(target) if m == 1 and total.shape[i] != 1)
            total = self.sum(total, axis=axes, keepdims=True)
        return self.moveaxis(total, -1, axis)

    def xdivy(self, a: Array, b: Array) -> Array:
        """``a / b``, and zero where ``a`` is zero, whatever ``b`` is."""
        if isinstance(b, (int, float, complex)):
            if b == b != 0:
                return a / b
            b = self.full_like(a, b)
        harmless = (a == 0) & ((b == 0) | (b != b))
        return a / self.where(harmless, self.ones_like(b), b)

    def holds(self, condition: Array) -> bool:
        """Whether a condition of rank 0 is true; False where that is not known yet."""
        return bool(condition)

    def check_not(self, condition: Array, message: str) -> None:
        """Raise ValueError if a condition of rank 0 `holds`."""
        if self.holds(condition):
            raise ValueError(message)

    def check_labels(self, t: Array, classes: int, what: str = "labels") -> None:
        """Raise IndexError unless all numbers in ``t`` are from 0 to ``classes - 1``.

        The message begins with ``what``: the function that was called and what the numbers are.
        """
        if t.shape[0] and not bool(self.all((t >= 0) & (t < classes))):
            bounds = int(self.min(t)), int(self.max(t))
            msg = f"{what} go from {bounds[0]} to {bounds[1]}, expected 0 to {classes - 1}"
            raise IndexError(msg)

    def erf(self, x: Array) -> Array:
        """Error function of each element, to the precision of the dtype (Cody 1969)."""
        if self.half(x):
            return self.astype(self.erf(self.astype(x, self.float32)), x.dtype)
        size = self.abs(x)
        small, large = size <= 0.46875, size > 4.0
        one = self.ones_like(x)
        near = self.where(small, x, 0 * one)
        middle = self.where(small | large, one, size)
        far = self.where(large, size, 5 * one)
        square = far * far
        tail = (1 / math.sqrt(math.pi) - _ratio(_ERFC_LARGE, 1 / square) / square) / far
        complement = self.where(large, tail, _ratio(_ERFC_MIDDLE, middle))
        far = self.where(small, one, self.minimum(size, 30 * one))
        complement = complement * self.exp(-far * far)
        outside = self.sign(x) * (1 - complement)
        inside = near * _ratio(_ERF_SMALL, near * near)
        result = self.where(small, inside, outside)
        return self.where(self.isnan(x), x, result)

    @cached_property
    def special(self) -> Special:
        """The special functions by the names of ``scipy.special``."""
        return Special(self)

    def special_function(self, name: str) -> Callable[..., Any] | None:
        """The library's own function of that name in ``scipy.special``, or None if it has none.

        Raises:
            ImportError: They are in another library, which is not installed.
        """
        return getattr(getattr(self.namespace, "special", None), name, None)

    def pad(self, x: Array, widths: tuple[tuple[int, int], ...], value: float = 0.0) -> Array:
        """``x`` with ``before, after`` elements of ``value`` at the ends of each dimension."""
        for axis, (before, after) in enumerate(widths):
            parts = [x]
            for width, place in ((before, 0), (after, 2)):
                if width:
                    shape = (*x.shape[:axis], width, *x.shape[axis + 1 :])
                    edge = self.full(shape, value, dtype=x.dtype, device=self.device(x))
                    parts.insert(place, edge)
            if len(parts) > 1:
                x = self.concat(parts, axis=axis)
        return x

    def einsum(self, subscripts: str, *arrays: Array) -> Array:
        """Sum of products, ``subscripts`` explicit and without an ellipsis or a repeated index."""
        inputs, output = subscripts.split("->")
        terms = inputs.split(",")
        letters = output + "".join(sorted(set("".join(terms)) - set(output)))
        product = None
        for term, x in zip(terms, arrays, strict=True):
            places = [letters.index(c) for c in term]
            order = sorted(range(len(term)), key=places.__getitem__)
            x = self.permute_dims(x, tuple(order))
            present = set(term)
            x = x[tuple(slice(None) if c in present else None for c in letters)]
            product = x if product is None else product * x
        summed = tuple(range(len(output), len(letters)))
        return self.sum(product, axis=summed) if summed else product


def complete(key: Any, ndim: int) -> Any:
    """A basic key with the ellipsis at its end that the standard demands."""
    parts = key if isinstance(key, tuple) else (key,)
    if not is_basic(key) or any(part is Ellipsis for part in parts):
        return key
    return parts if sum(part is not None for part in parts) == ndim else (*parts, Ellipsis)


class HostBackend(Backend):
    """A library whose arrays live on the host only: its one device is ``"cpu"``."""

    def device(self, x: Array) -> str:
        return "cpu"

    def devices(self) -> list[Any]:
        return ["cpu"]

    def to_device(self, x: Array, device: Any) -> Array:
        if device != "cpu":
            msg = f"{self.name} has the device 'cpu' only, got {device!r}"
            raise ValueError(msg)
        return x


def is_basic(key: Any) -> bool:
    """Whether a key holds only integers, slices, ``...`` and None: no element is met twice."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        part is None
        or part is Ellipsis
        or isinstance(part, slice)
        or (isinstance(part, (int, np.integer)) and not isinstance(part, bool))
        for part in parts
    )


def _is_mask(key: Any) -> bool:
    """Whether a key is one array of truth values, alone or in a tuple with basic parts."""
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [part for part in parts if not is_basic(part)]
    return len(arrays) == 1 and "bool" in str(getattr(arrays[0], "dtype", "bool"))


def is_integer(x: Any) -> bool:
    """Whether ``x`` is one integer, Python's or NumPy's."""
    return isinstance(x, (int, np.integer))


def without_flips(key: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """A basic key with positive steps only, and the dimensions of its result to flip."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if not any(isinstance(p, slice) and (p.step or 1) < 0 for p in parts):
        return key, ()
    used = sum(p is not None and p is not Ellipsis for p in parts)
    if not any(p is Ellipsis for p in parts):
        parts.append(Ellipsis)
    result: list[Any] = []
    flips, axis, out = [], 0, 0
    for part in parts:
        if part is Ellipsis:
            axis += len(shape) - used
            out += len(shape) - used
        elif part is None:
            out += 1
        elif isinstance(part, slice):
            if (part.step or 1) < 0:
                chosen = range(*part.indices(shape[axis]))
                flips.append(out)
                first = chosen[-1] if chosen else 0
                part = slice(first, chosen[0] + 1 if chosen else 0, -part.step)
            axis, out = axis + 1, out + 1
        else:
            axis += 1
        result.append(part)
    return tuple(result), tuple(flips)
