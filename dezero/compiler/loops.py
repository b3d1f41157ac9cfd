"""A chain of elementwise steps as one loop compiled by Numba, where that is wanted.

Numba has no vectors of exp and tanh, so in single precision they are polynomials here, fitted by
least squares. The errors of exp stay below 2 units in the last place, those of tanh below 2.3
(NumPy's reach 1.4, those of XLA 4.7).

For tanh x with n and r such that x = n ln 2 / 2 + r, let s = 2^n and t = tanh r, which is the
polynomial. Then tanh x = p / (p + 2 (1 - t)) with p = s - 1 + (s + 1) t. With 5/8 of both parts the
rounding errors are smaller. The last bits of x / (ln 2 / 2) + 1.5 * 2^23 + 127 are n and the bias
of exponents, and so, shifted, s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..optional import optional
from .groups import FULL, Group
from .program import Step, Value
from .tiles import memory_order

__all__ = ["available", "is_loop", "looped"]

_SIGNS = {"add": "+", "add_into": "+", "divide": "/", "multiply": "*", "subtract": "-"}
_TESTS = {"equal": "==", "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<="}
_TESTS |= {"not_equal": "!=", "logical_and": "&", "logical_or": "|", "logical_xor": "^"}
_FORMS = {
    "abs": "abs({0})",
    "logical_not": "not {0}",
    "maximum": "{0} if {0} >= {1} or {0} != {0} else {1}",
    "minimum": "{0} if {0} <= {1} or {0} != {0} else {1}",
    "negative": "-{0}",
    "only": "{0} if {1} else zero",
    "positive": "{0}",
    "sqrt": "sqrt({0})",
    "square": "{0} * {0}",
    "where": "{1} if {0} else {2}",
}
_BLOCK = 1024  # numbers: a few buffers of them fit into the first-level cache
_SINGLE = frozenset(("exp", "tanh"))  # in single precision only
_MOST = 8  # pairs of arrays that LLVM compares before it takes the loop in vectors
_FLOAT, _DOUBLE, _BOOL = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.bool_)

_SOURCE = """
def power(x, n):
    r = x - n * f(0.693359375) + n * f(2.12194440054690583e-4)
    q = f(1.395059554747436e-3) * r + f(8.36895419829303e-3)
    q = (q * r + f(4.166620423102621e-2)) * r + f(1.666651829863044e-1)
    return f(1.0) + (r + r * r * (q * r + f(5.000000095680183e-1)))


def exp32(x):
    low = x if not (x < f(-104.0)) else f(-104.0)
    low = low if not (low > f(89.0)) else f(89.0)
    n = floor(low * f(1.4426950408889634) + f(0.5))
    k = int32(n if n == n else f(0.0))
    half = k >> int32(1)
    first = int32((half + int32(127)) << int32(23)).view(f)
    second = int32((k - half + int32(127)) << int32(23)).view(f)
    return power(low, n) * first * second


def tanh32(x):
    size = abs(x)
    low = f(9.1) if size > f(9.1) else size
    shifted = low * f(2.8853900817779268) + f(12583039.0)
    n = shifted - f(12583039.0)
    s = int32(f(shifted).view(int32) << int32(23)).view(f)
    r = low - n * f(0.34657359027997264)
    z = r * r
    q = (f(-5.279915439509462e-2) * z + f(1.3331443626517842e-1)) * z
    t = r + r * z * (q + f(-3.3333324712427276e-1))
    over = (s * f(0.625) - f(0.625)) + (s * f(0.625) + f(0.625)) * t
    y = over / (over + (f(1.25) - f(1.25) * t))
    return int32(f(y).view(int32) | (f(x).view(int32) & int32(-2147483648))).view(f)
"""
_functions: dict[str, Any] = {}


def available() -> Any:
    """Numba; a ModuleNotFoundError names the extra where it is missing."""
    return optional("numba", "compile(numba=True) needs Numba", "numba")


def _compiled(name: str) -> Any:
    """A function of `_SOURCE` for Numba's loops."""
    if not _functions:
        numba = available()
        made = numba.njit(inline="always", error_model="numpy", nogil=True, fastmath={"contract"})
        space: dict[str, Any] = {"f": np.float32, "int32": np.int32, "floor": np.floor}
        exec(_SOURCE, space)
        space["power"] = made(space["power"])
        _functions["exp"] = made(space["exp32"])
        _functions["tanh"] = made(space["tanh32"])
    return _functions[name]


def is_loop(group: Group) -> bool:
    """Whether a group can be a loop: elementwise in one precision, and in vectors."""
    full = {v for v in group.inputs if v.shape == group.shape}
    if any(v.shape and v.shape != group.shape for v in group.inputs):
        return False
    kinds = {v.dtype for v in (*group.inputs, *group.roles)} - {_BOOL}
    pairs = len(group.outputs) * len(full) + len(group.outputs) * (len(group.outputs) - 1) // 2
    if len(kinds) != 1 or pairs > _MOST or any(r != FULL for r in group.roles.values()):
        return False
    (dtype,) = kinds
    names = {step.name for step in group.steps}
    known = _SIGNS.keys() | _TESTS.keys() | _FORMS.keys() | (_SINGLE if dtype == _FLOAT else set())
    return dtype in (_FLOAT, _DOUBLE) and names <= known


def looped(build: Any, group: Group) -> None:
    """Add the call of a group's loop to what is built."""
    full = [v for v in group.inputs if v.shape == group.shape]
    guide = next((build.names[v] for v in full if v in build.loose), None)
    if guide is not None:
        build.lines.append(f"way = {build.function('memory_order', memory_order)}({guide})")

    def flat(name: str) -> str:
        plain = f"{name}.reshape(-1)"
        if guide is None:
            return plain
        return f"{plain} if way is None else {name}.transpose(way).reshape(-1)"

    args = []
    for v in group.inputs:
        args.append(flat(build.names[v]) if v in full else f"asarray({build.names[v]}).reshape(-1)")
    build.globals |= {"asarray": np.asarray, "empty": np.empty, "empty_like": np.empty_like}
    for v in group.outputs:
        if guide is None and build.is_buffered(v):
            args.append(f"{build.buffer(v)}.reshape(-1)")
            continue
        name, dtype = f"v{v.number}", build.constant(v.dtype, "d")
        code = f"empty({v.shape}, {dtype})"
        if guide is not None:
            code += f" if way is None else empty_like({guide}, {dtype})"
        build.names[v] = name
        build.lines.append(f"{name} = {code}")
        args.append(flat(name))
    build.lines.append(f"{build.constant(_loop(group), 'loop')}({', '.join(args)})")


def _loop(group: Group) -> Any:
    """The group as a function of the inputs' and outputs' numbers, each array flat."""
    dtype = next(v.dtype for v in group.roles if v.dtype != _BOOL)
    space: dict[str, Any] = {"sqrt": np.sqrt, "zero": dtype.type(0), "empty": np.empty}
    names: dict[Any, str] = {}
    before: list[str] = []
    full: dict[Value, str] = {}  # where the numbers of a value are
    for i, v in enumerate(group.inputs):
        if v.shape == group.shape:
            full[v] = f"p{i}[i]"
        else:
            names[v] = f"v{i}"
            before.append(f"v{i} = x{i}[0]")
    for i, v in enumerate(group.outputs):
        full[v] = f"q{i}[i]"
    body: list[str] = []
    parts = _parts(group)
    for part in parts:
        lines: list[str] = []
        there = dict(names)
        for step in part:
            for v in step.args:
                if isinstance(v, Value) and v not in there:
                    there[v] = f"t{v.number}"
                    lines.append(f"t{v.number} = {full[v]}")
            y = step.result
            there[y] = f"t{y.number}"
            lines.append(f"t{y.number} = {_expression(step, there, space, dtype)}")
            users = (s for other in parts if other is not part for s in other)
            if y not in full and any(y in s.args for s in users):
                full[y] = f"b{y.number}[i]"
                key = f"d{y.number}"
                space[key] = y.dtype
                before.append(f"b{y.number} = empty({_BLOCK}, {key})")
            if y in full:
                lines.append(f"{full[y]} = t{y.number}")
        body += ["for i in range(count):", *("    " + line for line in lines)]
    arguments = [f"x{i}" for i in range(len(group.inputs))]
    arguments += [f"y{i}" for i in range(len(group.outputs))]
    source = [f"def chain({', '.join(arguments)}):", *("    " + line for line in before)]
    source += [f"    for start in range(0, y0.size, {_BLOCK}):"]
    source += [f"        stop = min(start + {_BLOCK}, y0.size)", "        count = stop - start"]
    for i, v in enumerate(group.inputs):
        source += [f"        p{i} = x{i}[start:stop]"] if v in full else []
    source += [f"        q{i} = y{i}[start:stop]" for i in range(len(group.outputs))]
    source += ["        " + line for line in body]
    exec("\n".join(source), space)
    return available().njit(error_model="numpy", nogil=True, fastmath={"contract"})(space["chain"])


def _parts(group: Group) -> list[list[Step]]:
    """The steps in loops that end with an exponential: longer ones leave a processor waiting."""
    parts: list[list[Step]] = [[]]
    for step in group.steps:
        parts[-1].append(step)
        if step.name in _SINGLE:
            parts.append([])
    return [part for part in parts if part]


def _expression(step: Step, names: dict[Any, str], space: dict[str, Any], dtype: Any) -> str:
    args = []
    for arg in step.args:
        if isinstance(arg, Value):
            args.append(names[arg])
        else:
            key = f"n{len(space)}"
            space[key] = dtype.type(arg)
            args.append(key)
    sign = _SIGNS.get(step.name) or _TESTS.get(step.name)
    if sign:
        return f" {sign} ".join(args)
    if step.name in _SINGLE:
        space[f"{step.name}32"] = _compiled(step.name)
        return f"{step.name}32({args[0]})"
    return _FORMS[step.name].format(*args)
