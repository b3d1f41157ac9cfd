"""A chain of steps as a loop over tiles: parts of all arrays that fit into the cache together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from ..backends.scratch import blocks
from .elementwise import by_bits, out_of, ufunc
from .groups import FINAL, FULL, ROW, SHORT, Group, reduced_axes
from .program import Step, Value

__all__ = ["memory_order", "tiled"]

_BYTES = 1 << 20  # of all parts together
_FEWEST = 1 << 14  # numbers of a tile: with fewer calling NumPy takes too large a part
_WIDEST = 1 << 15


class _Frame:
    """The group's shape with neighbouring dimensions as one where every operand allows it.

    Attributes:
        ranges: The dimensions that each new dimension stands for.
        sizes: The new shape.
        lead: How many of the new dimensions the tiles cut.
        rows: How many of them count rows.
    """

    def __init__(self, group: Group, operands: Iterable[tuple[tuple[int, ...], bool]]) -> None:
        shape = group.shape
        self.ndim, self.trailing = len(shape), group.trailing
        cuts = {group.lead, self.ndim - group.trailing}
        for step in group.steps:
            if group.roles[step.result] == FINAL:
                cuts.add(len(reduced_axes(step) or ()))
        patterns = [self._pattern(shape, s, short) for s, short in operands]
        self.ranges: list[tuple[int, int]] = []
        for i in range(self.ndim):
            joined = i > 0 and i not in cuts
            if joined and all(p[i] == p[i - 1] for p in patterns):
                self.ranges[-1] = self.ranges[-1][0], i + 1
            else:
                self.ranges.append((i, i + 1))
        self.sizes = tuple(math.prod(shape[i:j]) for i, j in self.ranges)
        self.lead = sum(j <= group.lead for _, j in self.ranges)
        self.rows = sum(j <= self.ndim - group.trailing for _, j in self.ranges)

    def _pattern(
        self, shape: tuple[int, ...], own: tuple[int, ...], short: bool
    ) -> list[bool | None]:
        """For each dimension whether an operand has it; None: it has length 1 and fits anything."""
        if short:
            own += (1,) * self.trailing
        own = (1,) * (self.ndim - len(own)) + own
        return [m == n for m, n in zip(own, shape, strict=True)]

    def collapsed(self, own: tuple[int, ...], short: bool) -> tuple[int, ...]:
        """The shape of an operand in these dimensions."""
        if short:
            own += (1,) * self.trailing
        own = (1,) * (self.ndim - len(own)) + own
        result = tuple(math.prod(own[i:j]) for i, j in self.ranges)
        return result[: self.rows] if short else result

    def leading(self, count: int) -> int:
        """How many new dimensions stand for the first ``count``."""
        return sum(j <= count for _, j in self.ranges)


def _cut(places: list[Any], specs: list[Any], arrays: list[Any]) -> list[tuple[Any, ...]]:
    """What each tile works with, in the order of ``specs``."""
    result = []
    kept: dict[Any, Any] = {}  # equal parts are made once
    for place in places:
        lengths = tuple(s.stop - s.start for s in place)
        parts: list[Any] = []
        for kind, which, extra in specs:
            if kind == "key":
                key = tuple(s if own else slice(None) for s, own in zip(place, extra, strict=True))
                parts.append(key[0] if len(key) == 1 else key)
            elif kind == "part":
                key = tuple(s if own else slice(None) for s, own in zip(place, extra, strict=True))
                parts.append(arrays[which][key])
            else:  # scratch memory, or ones
                at = kind, which, extra, lengths
                if at not in kept:
                    dtype, rest, count = extra
                    shape = (*lengths[:count], *rest)
                    flat = arrays[which][: math.prod(shape) * dtype.itemsize].view(dtype)
                    kept[at] = flat if kind == "ones" else flat.reshape(shape)
                parts.append(kept[at])
        result.append(tuple(parts))
    return result


def memory_order(x: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    """The dimensions from the slowest to the fastest, if they are not in that order already.

    None also for an array with gaps.
    """
    if x.flags.c_contiguous:
        return None
    order = tuple(sorted(range(x.ndim), key=lambda i: (-x.strides[i], i)))
    return order if x.transpose(order).flags.c_contiguous else None


def tiled(build: Any, group: Group) -> None:
    """Add the lines of a group to what is built."""
    _Tiles(build, group).write()


class _Tiles:
    def __init__(self, build: Any, group: Group) -> None:
        self.build, self.group = build, group
        self.operands: dict[tuple[Value, bool], None] = {}
        for step in group.steps:
            short = group.roles[step.result] == SHORT and step.name not in ("sum", "max", "min")
            for v in step.args:
                if isinstance(v, Value) and v not in group.roles:
                    self.operands[v, short] = None
        self.frame = _Frame(group, [(v.shape, short) for v, short in self.operands])
        full = [v for v, _ in self.operands if v.shape == group.shape and v in build.loose]
        self.guide = full[0] if full and len(self.frame.sizes) == 1 else None
        self.parts: dict[Any, str] = {}  # by what they are, the names of a tile's parts
        self.arrays: dict[str, int] = {}  # what the parts are of
        self.before: list[str] = []
        self.body: list[str] = []
        self.after: list[str] = []
        self.locals: list[str] = []
        self.outside = {build.names[v] for v, _ in self.operands}
        self.numbers: dict[str, Any] = {}  # arrays of one number
        self.names: dict[Any, str] = {}
        self.slots: dict[Value, tuple[Any, int]] = {}
        self.free: dict[Any, list[int]] = {}
        self.count: dict[Any, int] = {}
        self.base: dict[Value, Value] = {}  # whose memory a view is of

    # --- parts ---------------------------------------------------------------------------------

    def part(self, kind: str, which: int, extra: Any) -> str:
        """The name of a part that is there for each tile."""
        return self.parts.setdefault((kind, which, extra), f"p{len(self.parts)}")

    def array(self, name: str) -> int:
        return self.arrays.setdefault(name, len(self.arrays))

    def cut(self, name: str, shape: tuple[int, ...], target: tuple[int, ...], once: bool) -> str:
        """The part of an array for each tile; ``target`` is its shape in the new dimensions."""
        owns = tuple(n != 1 for n in target[: self.frame.lead])
        is_made = shape == self.group.shape or name not in self.outside
        if not any(owns) and not is_made:
            target = target[next((i for i, n in enumerate(target) if n != 1), len(target)) :]
            target = target or (1,)
            if target == shape or not shape:
                return name
        if once:
            code = name if target == shape else f"{name}.reshape({target})"
            if not any(owns):
                self.build.made.append(f"{name}_{len(self.build.made)} = {code}")
                return f"{name}_{len(self.build.made) - 1}"
            return self.part("part", self.array(code), owns)
        if target != shape:
            local = f"x{len(self.locals)}"
            self.locals.append(local)
            code = f"{name}.reshape({target})"
            if self.guide is not None and any(owns):
                code += f" if way is None else {name}.transpose(way).reshape({target})"
            self.before.append(f"{local} = {code}")
            name = local
        if not any(owns):
            return name
        key = self.part("key", -1, owns)
        local = f"q{len(self.locals)}"
        self.locals.append(local)
        self.body.append(f"{local} = {name}[{key}]")
        return local

    def operand(self, arg: Any, step: Step, short: bool) -> str:
        if not isinstance(arg, Value):
            return self.build.operand(arg, step)
        if arg in self.names:
            return self.names[arg]
        if (arg, short) not in self.names:
            target = self.frame.collapsed(arg.shape, short)
            name = self.build.names[arg]
            once = arg in self.build.once and (
                arg in self.build.whole or arg in self.build.program.fixed or target == arg.shape
            )
            once = once and (self.guide is None or arg.shape != self.group.shape)
            self.names[arg, short] = self.cut(name, arg.shape, target, once)
        return self.names[arg, short]

    def slot(self, value: Value | None, role: str, dtype: Any) -> str:
        """Scratch memory for a value; for None some that is free again at once."""
        sizes, frame = self.frame.sizes, self.frame
        rest: tuple[int, ...] = sizes[frame.lead :]
        if role != FULL:
            rest = sizes[frame.lead : frame.rows]
            rest += (1,) * (len(sizes) - frame.rows) if role == ROW else ()
        kind = dtype, rest
        waiting = self.free.setdefault(kind, [])
        number = waiting.pop() if waiting else self.count.get(kind, 0)
        self.count[kind] = max(self.count.get(kind, 0), number + 1)
        if value is None:
            waiting.append(number)
        else:
            self.slots[value] = kind, number
        return self.part("slot", self.array(f"{kind}{number}"), (dtype, rest, frame.lead))

    def release(self, place: int, last: dict[Value, int]) -> None:
        for value, (kind, number) in list(self.slots.items()):
            if last[value] <= place:
                self.free[kind].append(number)
                del self.slots[value]

    # --- steps ---------------------------------------------------------------------------------

    def write(self) -> None:
        group, build = self.group, self.build
        last: dict[Value, int] = {}
        for place, step in enumerate(group.steps):
            for v in (*step.args, step.result):
                if isinstance(v, Value):
                    root = v
                    while root in self.base:
                        root = self.base[root]
                    last[root] = last[v] = place
            if step.name not in ("sum", "max", "min") and ufunc(step.name) is None:
                own = [v for v in step.args if isinstance(v, Value) and v in group.roles]
                if step.name in ("reshape", "expand_dims", "squeeze", "get_item"):
                    self.base[step.result] = own[0]
        outputs = set(group.outputs)
        if self.guide is not None:
            name = build.function("memory_order", memory_order)
            self.before.append(f"way = {name}({build.names[self.guide]})")
        for step in group.steps:
            y = step.result
            role = group.roles[y]
            if y in outputs and role != FINAL:
                target = self.frame.collapsed(y.shape, role == SHORT)
                buffered = build.is_buffered(y) and self.guide is None
                if buffered:
                    name = build.buffer(y)
                else:
                    name = build.names[y] = f"v{y.number}"
                    build.globals["empty"] = np.empty
                    dtype = build.constant(y.dtype, "d")
                    code = f"empty({y.shape}, {dtype})"
                    if self.guide is not None:
                        like = build.function("empty_like", np.empty_like)
                        guide = build.names[self.guide]
                        code += f" if way is None else {like}({guide}, {dtype})"
                    self.before.append(f"{name} = {code}")
                self.names[y] = self.cut(name, y.shape, target, buffered)
        for place, step in enumerate(group.steps):
            self.step(step, place, last, step.result in outputs)
            self.release(place, last)
        self.finish()

    def out(self, step: Step, is_output: bool) -> str:
        y = step.result
        if not is_output:
            self.names[y] = self.slot(y, self.group.roles[y], y.dtype)
        return self.names[y]

    def step(self, step: Step, place: int, last: dict[Value, int], is_output: bool) -> None:
        group, build, y = self.group, self.build, step.result
        role = group.roles[y]
        short = role == SHORT
        if step.name in ("sum", "max", "min"):
            self.reduction(step, role, is_output)
            return
        if y in self.base:
            source = self.names[step.args[0]]
            was = group.roles[step.args[0]]
            axes = len(self.frame.sizes) - self.frame.rows
            if was != role:
                source += f"[...{(', None' if role == ROW else ', 0') * axes}]"
            if is_output:
                self.body.append(f"{self.names[y]}[...] = {source}")
            else:
                self.body.append(f"z{y.number} = {source}")
                self.names[y] = f"z{y.number}"
                self.locals.append(self.names[y])
            return
        args = [self.operand(arg, step, short) for arg in step.args]
        if step.name in ("maximum", "minimum") and role == FULL:  # slow with a single number
            for i, arg in enumerate(step.args):
                if not isinstance(arg, Value):
                    args[i] = self.filled(arg, y.dtype)
        function = ufunc(step.name)
        if function is not None:
            name = build.function(function.__name__, function)
            self.release(place, last)
            out = out_of(name) + self.out(step, is_output)
            self.body.append(f"{name}({', '.join(args)}, {out})")
            return
        out = self.out(step, is_output)
        spare = self.slot(None, role, y.dtype) if step.name == "where" else ""
        reduce: Any = np.add.reduce
        names = {
            "add_reduce": reduce,
            "divide": np.divide,
            "isnan": math.isnan,
            "xdivy": build.backend.xdivy,
            "where": np.where,
            "negative": np.negative,
            "bitwise_and": np.bitwise_and,
            "bitwise_xor": np.bitwise_xor,
        }
        self.body += by_bits(step, args, out, spare, names)
        build.globals |= names

    def reduction(self, step: Step, role: str, is_output: bool) -> None:
        build, frame = self.build, self.frame
        x, y = step.args[0], step.result
        source = self.operand(x, step, False)
        part: Any = {"sum": np.add, "max": np.maximum, "min": np.minimum}[step.name]
        reduce = build.function(f"{part.__name__}_reduce", part.reduce)
        build.function("dot", np.dot)
        sizes = frame.sizes
        if role in (ROW, SHORT):
            out = self.out(step, is_output)
            if step.name == "sum":
                width = math.prod(sizes[frame.rows :])
                ones = f"ones{x.dtype.char}{width}"
                build.globals[ones] = np.ones(width, x.dtype)
                if len(sizes) != 2:
                    source = f"{source}.reshape(-1, {width})"
                if frame.rows == 1:
                    out = out if role == SHORT else f"{out}.reshape(-1)"
                    self.body.append(f"dot({source}, {ones}, {out})")
                else:
                    self.body.append(f"{out}[...] = dot({source}, {ones}).reshape({out}.shape)")
            else:
                axes = tuple(range(frame.rows, len(sizes)))
                axis = axes[0] if len(axes) == 1 else axes
                self.body.append(f"{reduce}({source}, {axis}, None, {out}, {role == ROW})")
            return
        count = frame.leading(len(reduced_axes(step) or ()))
        rest = math.prod(sizes[count:])
        total = f"a{y.number}"
        self.locals.append(total)
        if count == len(sizes):
            self.before.append(f"{total} = []")
            if step.name == "sum":
                ones = self.ones(x.dtype, count)
                self.body.append(f"{total}.append(dot({source}.reshape(-1), {ones}))")
            else:
                self.body.append(f"{total}.append({reduce}({source}, None))")
            build.function("array", np.array)
            code = f"{reduce}(array({total}), None)"
        else:
            self.before.append(f"{total} = None")
            combine = build.function(part.__name__, part)
            code = f"{source}.reshape(-1, {rest})" if (count, len(sizes)) != (1, 2) else source
            if step.name == "sum":
                code = f"dot({self.ones(x.dtype, count)}, {code})"
            else:
                code = f"{reduce}({code}, 0)"
            self.body.append(f"w = {code}")
            self.body.append(
                f"{total} = w if {total} is None else {combine}({total}, w, out={total})"
            )
            code = total
        build.names[y] = f"v{y.number}"
        scalar = count == len(sizes) and not y.shape
        self.after.append(f"v{y.number} = {code}{'' if scalar else f'.reshape({y.shape})'}")

    def ones(self, dtype: Any, count: int) -> str:
        """As many ones as a tile has numbers in its first ``count`` dimensions."""
        frame = self.frame
        rest = frame.sizes[frame.lead : count]
        return self.part("ones", self.array(f"ones{dtype.char}"), (dtype, rest, frame.lead))

    def filled(self, number: float, dtype: Any) -> str:
        """An array of one number in the shape of a tile."""
        dtype, frame = np.dtype(dtype), self.frame
        name = f"filled {dtype} {float(number).hex()}"
        self.numbers[name] = np.array(number, dtype)
        return self.part("slot", self.array(name), (dtype, frame.sizes[frame.lead :], frame.lead))

    # --- the whole -----------------------------------------------------------------------------

    def finish(self) -> None:
        build, frame, sizes = self.build, self.frame, self.frame.sizes
        inner = math.prod(sizes[frame.lead :])
        width = (
            sum(self.count[kind] for kind in self.count if kind[1] == sizes[frame.lead :])
            + len(self.operands)
            + len(self.group.outputs)
        )
        itemsize = max(v.dtype.itemsize for v in self.group.roles)
        most = min(max(_BYTES // (itemsize * max(width, 1)), _FEWEST), _WIDEST)
        places = list(blocks(sizes[: frame.lead], max(1, most // max(inner, 1))))
        longest = max(math.prod(s.stop - s.start for s in place) for place in places)
        names = []
        kinds = {f"{kind}{i}": kind for kind, n in self.count.items() for i in range(n)}
        numbers: dict[int, int] = {}
        for name in self.arrays:
            if name in kinds:
                dtype, rest = kinds[name]
                size = longest * math.prod(rest) * dtype.itemsize
                number = numbers[size] = numbers.get(size, -1) + 1
                names.append(build.scratch(size, number))
            elif name.startswith("ones") and len(name) == 5:
                dtype = np.dtype(name[4:])
                ones = np.ones(longest * max(inner, 1), dtype).view(np.uint8)
                names.append(build.constant(ones))
            elif name in self.numbers:
                one = self.numbers[name]
                names.append(build.constant(np.full(longest * max(inner, 1), one).view(np.uint8)))
            else:
                names.append(name)
        number = len(build.globals)
        build.globals[f"cut{number}"] = partial(_cut, places, [*self.parts])
        build.made.append(f"t{number} = cut{number}([{', '.join(names)}])")
        targets = ", ".join(self.parts.values()) + ("," if len(self.parts) == 1 else "")
        build.lines += self.before
        build.lines.append(f"for {targets} in t{number}:" if targets else f"for _ in t{number}:")
        build.lines += ["    " + line for line in self.body]
        build.lines += self.after
        gone = [*dict.fromkeys((*self.parts.values(), *self.locals))]
        if gone:
            build.lines.append("del " + ", ".join(gone))
