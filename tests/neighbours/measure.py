"""A function of another library, and whether gradients through it are right.

The reference is the function itself on NumPy arrays. A scalar loss with fixed random weights is
taken of all outputs; it is quadratic, so that second derivatives of linear functions are tested as
well. Its gradient by dezero is compared with central differences of the loss on NumPy arrays, along
random directions; the derivative of that gradient with central differences of the gradient.
"""

from __future__ import annotations

import dataclasses
import importlib
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import dezero
from dezero import Variable, xp

WORKS = "ok"
WRONG = "wrong"
STENCIL = ((1, 45 / 60), (2, -9 / 60), (3, 1 / 60))
"""Central differences of sixth order: offsets and weights of the odd part."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One way to call one function.

    Attributes:
        name: The full name, such as ``scipy.stats.gmean``.
        call: Takes a namespace and the arrays, gives an array or a nested sequence of arrays.
        arrays: What is differentiated.
        arguments: Their names, where not every argument of the function is among them.
        step: Of the differences, relative to each array's largest element.
        tolerance: Largest error relative to the gradient's size.
        order: 1 where the second derivative does not exist or is zero by the method.
        why: The reason for ``order``.
    """

    name: str
    call: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    arguments: str = ""
    step: float = 1e-3
    tolerance: float = 1e-7
    order: int = 2
    why: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}({self.arguments})" if self.arguments else self.name

    @property
    def seed(self) -> int:
        return zlib.crc32(self.id.encode())


class Chapter:
    """The entries of one module; calling it adds one."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.entries: list[Entry] = []

    def __call__(self, name: str, call: Callable[..., Any], *arrays: Any, **facts: Any) -> None:
        """Add an entry; callables among the arrays draw from a generator seeded by the name."""
        rng = np.random.default_rng(zlib.crc32(f"{self.module}.{name}".encode()))
        drawn = tuple(np.asarray(x(rng) if callable(x) else x) for x in arrays)
        self.entries.append(Entry(f"{self.module}.{name}", call, drawn, **facts))


def names(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


# --- inputs -------------------------------------------------------------------------------------


def uniform(low: float, high: float, *shape: int) -> Callable[[np.random.Generator], Any]:
    return lambda rng: rng.uniform(low, high, shape)


def positive(*shape: int) -> Callable[[np.random.Generator], Any]:
    return uniform(0.5, 2.0, *shape)


def normal(*shape: int) -> Callable[[np.random.Generator], Any]:
    return lambda rng: rng.standard_normal(shape)


def spaced(n: int, low: float = -1.0, high: float = 1.0) -> Callable[[np.random.Generator], Any]:
    """Numbers in random order, no two of which are close: far from where sorting changes."""
    width = (high - low) / n
    return lambda rng: rng.permutation(low + width * (np.arange(n) + rng.uniform(0.3, 0.7, n)))


def rising(n: int, low: float = 0.0, high: float = 1.0) -> Callable[[np.random.Generator], Any]:
    return lambda rng: np.sort(spaced(n, low, high)(rng))


# --- measuring ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Result:
    """What an entry came to; ``first`` and ``second`` are ``"ok"`` or a reason."""

    id: str
    first: str
    second: str
    seconds: float


class Wrong(Exception):
    """A value or gradient that differs."""


class Unfit(Exception):
    """An entry that says nothing: its reference is no number, or lies at a kink."""


def outputs(result: Any) -> Iterator[Any]:
    """The arrays of a nested sequence, one after the other."""
    if isinstance(result, (tuple, list)):
        for part in result:
            yield from outputs(part)
    else:
        yield result


def quadratic(space: Any, entry: Entry, arrays: Any, scales: list[float] | None) -> Any:
    """The loss, and the values and sizes of the outputs."""
    rng = np.random.default_rng(entry.seed)
    ys = list(outputs(entry.call(space, *arrays)))
    raws = [np.asarray(y.data if isinstance(y, Variable) else y) for y in ys]
    scales = scales or [float(max(1.0, np.max(np.abs(y), initial=0.0))) for y in raws]
    loss: Any = 0.0
    for y, raw, scale in zip(ys, raws, scales, strict=True):
        parts = (space.real(y), space.imag(y)) if raw.dtype.kind == "c" else (y,)
        for part in parts:
            a, b = rng.uniform(0.5, 1.5, (2, *raw.shape)) * rng.choice([-1.0, 1.0], (2, *raw.shape))
            part = part / scale
            loss = loss + (a * part + 0.5 * b * part * part).sum()
    return loss, raws, scales


def gradients(entry: Entry, arrays: Any, scales: Any, create_graph: bool = False) -> Any:
    xs = [Variable(x.copy()) for x in arrays]
    loss, raws, _ = quadratic(xp, entry, xs, scales)
    if not (isinstance(loss, Variable) and loss.requires_grad):
        msg = "the result is a constant: the graph was lost"
        raise Wrong(msg)
    gs = dezero.grad(loss, xs, create_graph=create_graph, allow_unused=True)
    gs = [xp.zeros_like(x) if g is None else g for x, g in zip(xs, gs, strict=True)]
    return xs, gs, raws


def differences(f: Callable[[float], float], h: float) -> float:
    return sum(w * (f(k * h) - f(-k * h)) for k, w in STENCIL) / h


def agree(entry: Entry, what: str, found: float, f: Callable[[float], float], size: float) -> None:
    """Raise unless ``found`` is the derivative of ``f`` at 0, and the differences mean anything."""
    if np.isnan(found):
        msg = f"the {what} is NaN"
        raise FloatingPointError(msg)
    expected = differences(f, entry.step)
    again = differences(f, entry.step / 2)
    allowed = entry.tolerance * (abs(found) + abs(expected) + 0.1 * size + 1e-3)
    if not abs(expected - again) <= allowed:
        msg = f"{entry.id}: central differences disagree with each other, {expected} and {again}"
        raise Unfit(msg)
    if not abs(found - expected) <= allowed:
        msg = f"{what}: {found:.10g}, central differences {expected:.10g}"
        raise Wrong(msg)


def direction(entry: Entry, i: int) -> list[np.ndarray]:
    rng = np.random.default_rng([entry.seed, i])
    sizes = [max(float(np.max(np.abs(x), initial=0.0)), 1e-3) for x in entry.arrays]
    return [
        np.asarray(s * rng.uniform(-1, 1, x.shape))
        for s, x in zip(sizes, entry.arrays, strict=True)
    ]


def product(gs: Any, ds: Any) -> float:
    return float(sum(np.sum(np.asarray(g) * d) for g, d in zip(gs, ds, strict=True)))


def moved(entry: Entry, ds: Any, t: float) -> list[np.ndarray]:
    return [np.asarray(x + t * d) for x, d in zip(entry.arrays, ds, strict=True)]


def measure(entry: Entry) -> Result:
    """Values, first and second derivatives of one entry."""
    start = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        _, raws, scales = quadratic(np, entry, [x.copy() for x in entry.arrays], None)
        for y in raws:
            if y.dtype.kind not in "fc" or not np.all(np.isfinite(y)):
                msg = f"{entry.id}: the reference gave {y}"
                raise Unfit(msg)
        first = attempt(first_order, entry, raws, scales)
        second = first if first != WORKS else attempt(second_order, entry, scales)
        if first == WORKS and entry.order < 2:
            second = entry.why
    return Result(entry.id, first, second, time.perf_counter() - start)


def attempt(check: Callable[..., None], entry: Entry, *args: Any) -> str:
    try:
        check(entry, *args)
    except Unfit:
        raise
    except Wrong as error:
        return f"{WRONG}: {error}"
    except FloatingPointError as error:
        return str(error)
    except Exception as error:
        return reason(error)
    return WORKS


def reason(error: Exception) -> str:
    """The error's type, where in the other library it came from, and its first line."""
    lines = str(error).strip().splitlines()
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        parts = Path(frame.filename).parts
        if "site-packages" in parts:
            below = parts[parts.index("site-packages") + 1 :]
            if below[0] not in ("dezero", "numpy", "array_api_compat"):
                where = frame.name.strip("<>")
                place = f" in {'/'.join(below[1:])}, {where}"
    return f"{type(error).__name__}{place}: {lines[0] if lines else ''}"


def first_order(entry: Entry, raws: Any, scales: Any) -> None:
    _, gs, values = gradients(entry, entry.arrays, scales)
    for i, (y, expected) in enumerate(zip(values, raws, strict=True)):
        if y.shape != expected.shape:
            msg = f"output {i} has shape {y.shape}, expected {expected.shape}"
            raise Wrong(msg)
        size = float(np.max(np.abs(expected), initial=0.0))
        if not np.allclose(y, expected, rtol=1e-7, atol=1e-9 * max(size, 1e-3)):
            worst = np.max(np.abs(y - expected))
            msg = f"output {i} differs from NumPy's by {worst:.3g}"
            raise Wrong(msg)
    gs = [g.data for g in gs]
    for i in range(2):
        ds = direction(entry, i)

        def loss(t: float, ds: Any = ds) -> float:
            value = quadratic(np, entry, moved(entry, ds, t), scales)[0]
            return float(value)

        size = product([abs(g) for g in gs], [abs(d) for d in ds])
        agree(entry, "gradient", product(gs, ds), loss, size)


def second_order(entry: Entry, scales: Any) -> None:
    ds, us = direction(entry, 2), direction(entry, 3)
    xs, gs, _ = gradients(entry, entry.arrays, scales, create_graph=True)
    slope = sum(((g * u).sum() for g, u in zip(gs, us, strict=True)), start=0.0)
    if not slope.requires_grad:
        msg = "the gradient is a constant: its graph was lost"
        raise Wrong(msg)
    hs = dezero.grad(slope, xs, allow_unused=True)
    hs = [np.zeros(x.shape) if h is None else h.data for x, h in zip(xs, hs, strict=True)]

    def along(t: float) -> float:
        _, gs, _ = gradients(entry, moved(entry, ds, t), scales)
        return product([g.data for g in gs], us)

    size = product([abs(h) for h in hs], [abs(d) for d in ds])
    agree(entry, "second derivative", product(hs, ds), along, size)


def chapter(name: str) -> Chapter:
    """The list called ``name``, a module of this package."""
    module = importlib.import_module(f"neighbours.{name}")
    return next(value for value in vars(module).values() if isinstance(value, Chapter))
