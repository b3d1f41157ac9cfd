"""The functions of einops, and those of einops.array_api."""

from __future__ import annotations

import einops
import einops.array_api

from .measure import Chapter, normal, positive, spaced


class Operations(Chapter):
    """Each function of ``einops``, and of ``einops.array_api`` where it is there as well."""

    def __call__(self, name, call, *arrays, **facts):
        for module in (einops, einops.array_api):
            if hasattr(module, name):
                self.module = module.__name__
                super().__call__(name, lambda xp, *x, m=module: call(m, *x), *arrays, **facts)


entry = Operations("einops")


def apart(*shape):
    size = 1
    for n in shape:
        size *= n
    return lambda rng: spaced(size)(rng).reshape(shape)


def repacked(m, x, y):
    packed, shapes = m.pack([x, y], "* c")
    return m.unpack(packed * 2.0, shapes, "* c")


for pattern, lengths in (
    ("h w c -> c (w h)", {}),
    ("(h k) w c -> h (k w) c", {"k": 2}),
    ("... c -> c ...", {}),
    ("h w c -> h w c", {}),
):
    entry(
        "rearrange",
        lambda m, x, p=pattern, n=lengths: m.rearrange(x, p, **n),
        normal(4, 3, 2),
        arguments=repr(pattern),
    )
entry(
    "rearrange",
    lambda m, x, y: m.rearrange([x, y], "b h w -> h (b w)"),
    normal(4, 3),
    normal(4, 3),
    arguments="a list, 'b h w -> h (b w)'",
)
for reduction in ("sum", "mean", "max", "min", "prod"):
    entry(
        "reduce",
        lambda m, x, r=reduction: m.reduce(x, "(h k) w c -> h c", r, k=2),
        apart(4, 3, 2),
        arguments=f"'(h k) w c -> h c', {reduction!r}",
    )
entry(
    "reduce",
    lambda m, x: m.reduce(x, "h w -> h", lambda t, axes: (t * t).sum(axis=axes)),
    normal(3, 4),
    arguments="'h w -> h', a function",
)
entry("repeat", lambda m, x: m.repeat(x, "h w -> h (w k) j", k=2, j=3), normal(3, 2))
entry("pack", lambda m, x, y: m.pack([x, y], "* c")[0], normal(2, 3, 4), normal(4))
entry("unpack", repacked, normal(2, 3, 4), normal(4))
entry(
    "einsum",
    lambda m, a, b, c: m.einsum(a, b, c, "batch i j, j k, k -> batch i"),
    normal(2, 3, 4),
    normal(4, 3),
    positive(3),
)
