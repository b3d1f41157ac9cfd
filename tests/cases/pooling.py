"""Cases of pooling: references go through every window."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import dezero.functions as F
from dezero.backends.pooling import Window

from .case import NO_ALONG, apart, case, real

_LINEAR = ("pool_sum", "pool_sum_spread")
_MAXIMA = ("pool_max", "pool_max_spread", "pool_max_pick")


def windows(
    x: Any,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[tuple[int, int], ...],
    stops: tuple[int, ...],
    reduce: Callable[..., Any],
    dilation: int = 1,
) -> Any:
    """``reduce`` of the elements of each window that lie within ``x``."""
    size = x.shape[2:]
    y = np.zeros((*x.shape[:2], *stops), x.dtype)
    for place in itertools.product(*map(range, stops)):
        axes = []
        for i, s, k, (before, _), n in zip(place, stride, kernel, pad, size, strict=True):
            taps = [i * s - before + j * dilation for j in range(k)]
            axes.append([t for t in taps if 0 <= t < n])
        grid = np.ix_(range(x.shape[0]), range(x.shape[1]), *axes)
        y[(slice(None), slice(None), *place)] = reduce(x[grid].reshape(*x.shape[:2], -1))
    return y


def _max(v: Any) -> Any:
    return v.max(axis=-1)


def _mean(v: Any) -> Any:
    return v.mean(axis=-1)


_MAX: dict[str, tuple[tuple[int, ...], dict[str, Any], tuple[Any, ...]]] = {
    # label: shape, arguments, (kernel, stride, pad, stops)
    "halves": ((2, 2, 4, 6), {"kernel_size": 2}, ((2, 2), (2, 2), ((0, 0),) * 2, (2, 3))),
    "overlapping": (
        (2, 2, 5, 6),
        {"kernel_size": 3, "stride": 2, "pad": 1},
        ((3, 3), (2, 2), ((1, 1),) * 2, (3, 3)),
    ),
    "dense": (
        (1, 2, 4, 5),
        {"kernel_size": (2, 3), "stride": 1, "pad": (1, 0)},
        ((2, 3), (1, 1), ((1, 1), (0, 0)), (5, 3)),
    ),
    "apart": (
        (1, 2, 7, 8),
        {"kernel_size": (2, 1), "stride": 3},
        ((2, 1), (3, 3), ((0, 0),) * 2, (2, 3)),
    ),
    "ceil": (
        (2, 1, 5, 8),
        {"kernel_size": 3, "stride": 2, "ceil_mode": True},
        ((3, 3), (2, 2), ((0, 0),) * 2, (2, 4)),
    ),
    "same": (
        (1, 2, 5, 7),
        {"kernel_size": (3, 2), "stride": 2, "pad": "same"},
        ((3, 2), (2, 2), ((1, 1), (0, 1)), (3, 4)),
    ),
    "pairs": (
        (1, 2, 5, 6),
        {"kernel_size": 3, "stride": 2, "pad": ((0, 1), (1, 0))},
        ((3, 3), (2, 2), ((0, 1), (1, 0)), (2, 3)),
    ),
    "one dimension": ((2, 3, 9), {"kernel_size": 3, "pad": 1}, ((3,), (3,), ((1, 1),), (3,))),
    "three dimensions": (
        (1, 2, 4, 5, 4),
        {"kernel_size": (2, 3, 2), "stride": (2, 1, 1), "pad": (1, 1, 0)},
        ((2, 3, 2), (2, 1, 1), ((1, 1), (1, 1), (0, 0)), (3, 5, 3)),
    ),
    "valid": (
        (2, 1, 5, 5),
        {"kernel_size": 2, "pad": "valid"},
        ((2, 2), (2, 2), ((0, 0),) * 2, (2, 2)),
    ),
    "points": ((2, 2, 3, 3), {"kernel_size": 1}, ((1, 1), (1, 1), ((0, 0),) * 2, (3, 3))),
}
for _label, (_shape, _arguments, _given) in _MAX.items():
    case(
        "max_pool",
        _label,
        (apart(*_shape),),
        lambda x, given=_given: windows(x, *given, _max),
        lambda x, arguments=_arguments: F.max_pool(x, **arguments),
        covers=_MAXIMA,
    )
    if _label != "ceil":
        case(
            "average_pool",
            _label,
            (real(*_shape),),
            lambda x, given=_given: windows(x, *given, _mean),
            lambda x, arguments=_arguments: F.average_pool(x, **arguments, count_include_pad=False),
            covers=_LINEAR,
        )
case(
    "max_pool",
    "dilated",
    (apart(1, 2, 8, 7),),
    lambda x: windows(x, (2, 3), (2, 1), ((1, 1), (2, 2)), (4, 7), _max, 2),
    lambda x: F.max_pool(x, (2, 3), (2, 1), (1, 2), dilation=2),
    covers=_MAXIMA,
)
case(
    "average_pool",
    "counting zeros",
    (real(2, 2, 5, 6),),
    lambda x: windows(x, (3, 2), (2, 2), ((1, 1), (1, 1)), (3, 4), lambda v: v.sum(axis=-1) / 6),
    lambda x: F.average_pool(x, (3, 2), 2, 1),
    covers=_LINEAR,
)


def _ceil_mean(x: Any) -> Any:
    """What lies beyond the padding is not counted: of 5 + 2 the last window of 3 has 1."""
    counts = np.array([3.0, 3.0, 3.0])
    sums = windows(x, (3,), (2,), ((1, 1),), (3,), lambda v: v.sum(axis=-1))
    return sums / counts


case(
    "average_pool",
    "ceil",
    (real(2, 2, 5),),
    _ceil_mean,
    lambda x: F.average_pool(x, 3, 2, 1, ceil_mode=True),
    covers=_LINEAR,
)
case(
    "average_pool",
    "ceil over the end",
    (real(2, 2, 6),),
    lambda x: windows(x, (3,), (2,), ((0, 0),), (3,), _mean),
    lambda x: F.average_pool(x, 3, 2, ceil_mode=True),
    covers=_LINEAR,
)

for _name, _draw, _reduce in (
    ("adaptive_max_pool", apart, _max),
    ("adaptive_average_pool", real, _mean),
):
    for _label, _shape, _size in (
        ("uneven", (2, 2, 5, 7), (3, 4)),
        ("even", (1, 2, 4, 6), (2, 3)),
        ("more than there are", (1, 2, 3), (5,)),
        ("three dimensions", (1, 2, 3, 4, 5), (2, 2, 3)),
    ):

        def _bins(x: Any, size: Any = _size, reduce: Any = _reduce) -> Any:
            y = np.zeros((*x.shape[:2], *size))
            for place in itertools.product(*map(range, size)):
                key = tuple(
                    slice(i * n // m, math.ceil((i + 1) * n / m))
                    for i, n, m in zip(place, x.shape[2:], size, strict=True)
                )
                y[(slice(None), slice(None), *place)] = reduce(
                    x[(slice(None), slice(None), *key)].reshape(*x.shape[:2], -1)
                )
            return y

        case(
            _name,
            _label,
            (_draw(*_shape),),
            _bins,
            lambda x, name=_name, size=_size: getattr(F, name)(x, size),
        )

case(
    "global_max_pool",
    "image",
    (apart(2, 3, 3, 4),),
    lambda x: x.max(axis=(2, 3), keepdims=True),
    missing=NO_ALONG,
)
case(
    "pool_max_spread",
    "direct",
    (real(1, 2, 2, 2), apart(1, 2, 5, 5)),
    lambda v, x: _spread(v, x),
    lambda v, x: F.pool.pool_max_spread(v, x, (Window(3, 2, 1, 0, 2),) * 2),
)
case(
    "pool_max_pick",
    "direct",
    (real(1, 2, 5, 5), apart(1, 2, 5, 5)),
    lambda v, x: _pick(v, x),
    lambda v, x: F.pool.pool_max_pick(v, x, (Window(3, 2, 1, 0, 2),) * 2),
)
case(
    "pool_sum_spread",
    "beyond the windows",
    (real(1, 2, 2),),
    lambda g: np.stack([g[..., 0], g[..., 0], g[..., 1], g[..., 1], 0 * g[..., 0]], axis=-1),
    lambda g: F.pool.pool_sum_spread(g, (Window(2, 2, 1, 0, 2),), (1, 2, 5)),
)


def _winners(x: Any) -> Any:
    """For each window of 3 that moves by 2 its place, and where its maximum is."""
    for n, c, i, j in np.ndindex(1, 2, 2, 2):
        part = x[n, c, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        a, b = divmod(int(np.argmax(part)), 3)
        yield (n, c, i, j), (n, c, 2 * i + a, 2 * j + b)


def _spread(v: Any, x: Any) -> Any:
    y = np.zeros_like(x)
    for window, place in _winners(x):
        y[place] += v[window]
    return y


def _pick(v: Any, x: Any) -> Any:
    y = np.zeros((1, 2, 2, 2))
    for window, place in _winners(x):
        y[window] = v[place]
    return y
