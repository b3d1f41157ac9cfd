"""Elementwise steps as lines of Python that call NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..protocols import UFUNCS
from .groups import ELEMENTWISE
from .program import Step, Value

__all__ = ["FLOATS", "INTEGERS", "by_bits", "is_plain", "out_of", "ufunc"]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
INTEGERS = {np.dtype(np.float32): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.int64)}
_BITWISE = frozenset(("only", "where", "xdivy"))  # more than one call each
_NUMPY: dict[str, Any] = {own: getattr(np, name) for name, own in UFUNCS.items()}


def ufunc(name: str) -> Any:
    """NumPy's function for an elementwise step; None for one that takes several calls."""
    if name in _BITWISE or name not in ELEMENTWISE:
        return None
    return _NUMPY.get(name) or getattr(np, name)


def out_of(name: str) -> str:
    """How the argument for the result is called; by its place alone it is faster."""
    return "out=" if name in ("maximum", "minimum") else ""


def is_plain(step: Step) -> bool:
    """Whether a step is elementwise work on real numbers of one precision, or truth values."""
    y = step.result
    if step.name not in ELEMENTWISE or step.kwargs or not isinstance(y, Value):
        return False
    if not all(isinstance(arg, (Value, bool, int, float)) for arg in step.args):
        return False
    if step.name in _BITWISE and y.dtype not in FLOATS:
        return False
    kinds = {v.dtype for v in (*step.args, y) if isinstance(v, Value)}
    floats = kinds & set(FLOATS)
    return kinds <= {*FLOATS, np.dtype(np.bool_)} and len(floats) <= 1


def by_bits(
    step: Step, args: list[str], out: str, temporary: str, names: dict[str, Any]
) -> list[str]:
    """Lines that write a step that has no ufunc to ``out``, whose memory is no operand's.

    ``names`` takes what the lines need. ``temporary`` is memory like that of ``out``.
    """
    y = step.result
    bits: Any = INTEGERS[y.dtype]
    names |= {f"i{bits.itemsize}": bits, "i1": np.dtype(np.int8)}
    word = f"i{bits.itemsize}"
    if step.name == "xdivy":
        both = ", ".join(args)
        return [
            f"divide({both}, {out})",
            f"if isnan(add_reduce({out}, None)): {out}[...] = xdivy({both})",
        ]
    a: Any = step.args[0] if step.name == "only" else step.args[1]
    b: Any = 0.0 if step.name == "only" else step.args[2]
    condition, c = step.args[step.name == "only"], args[step.name == "only"]
    parts = [args[0], "0.0"] if step.name == "only" else args[1:]
    whole = all(
        isinstance(v, Value) and v.shape == y.shape and v.dtype in (y.dtype, np.dtype(np.bool_))
        for v in (condition, a, b)
        if isinstance(v, Value)
    )
    if not whole or not isinstance(condition, Value) or condition.dtype != np.dtype(np.bool_):
        return [f"{out}[...] = where({c}, {parts[0]}, {parts[1]})"]
    words: list[str] = []
    for value, part in zip((a, b), parts, strict=True):
        if isinstance(value, Value):
            words.append(f"{part}.view({word})")
        else:
            number = np.array(value, y.dtype).view(bits)
            key = f"w{bits.itemsize}_{int(number) & ((1 << 64) - 1):x}"
            names[key] = number
            words.append(key)
    is_zero = isinstance(b, (int, float)) and not np.array(b, y.dtype).view(bits)
    lines = [f"o = {out}.view({word})", f"negative({c}.view(i1), o, dtype={word})"]
    if is_zero:
        return [*lines, f"bitwise_and(o, {words[0]}, o)"]
    return [
        *lines,
        f"u = {words[1]}",
        f"t = bitwise_xor({words[0]}, u, {temporary}.view({word}))",
        "bitwise_and(o, t, o)",
        "bitwise_xor(o, u, o)",
    ]
