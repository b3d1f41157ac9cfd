"""Cases of activation functions, and of what attention is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import dezero.functions as F
from dezero.primitive import ops

from .case import between, case, mask, real


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Any) -> Any:
    return np.logaddexp(0, x)


def _erf(x: Any) -> Any:
    return np.vectorize(math.erf, otypes=[float])(x)


def registered(name: str) -> Callable[..., Any]:
    """A function that rules use, by its name in the registry."""

    def call(*operands: Any) -> Any:
        F.relu  # noqa: B018  the chapter is loaded with its first name
        return ops[name](*operands)

    return call


_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772
_ONE: dict[str, Callable[[Any], Any]] = {
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hardshrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "log_sigmoid": lambda x: -_softplus(-x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "selu": lambda x: _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(x)),
    "silu": lambda x: x * _sigmoid(x),
    "softplus": _softplus,
    "softshrink": lambda x: np.where(np.abs(x) > 0.5, x - 0.5 * np.sign(x), 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanhshrink": lambda x: x - np.tanh(x),
}
SPREAD = np.array([[-4.2, -1.7, -0.8], [0.3, 0.7, 3.6]])
"""Numbers on both sides of all kinks, none near one."""

for _name, _reference in _ONE.items():
    case(_name, "spread", (SPREAD,), _reference)

for _label, _name, _parameters, _reference in [
    ("alpha", "celu", (0.7,), lambda x, a: np.where(x > 0, x, a * np.expm1(x / a))),
    ("alpha", "elu", (0.7,), lambda x, a: np.where(x > 0, x, a * np.expm1(x))),
    ("bounds", "hard_tanh", (-2.0, 0.5), np.clip),
    ("lambd", "hardshrink", (0.9,), lambda x, b: np.where(np.abs(x) > b, x, 0)),
    ("lambd", "softshrink", (0.9,), lambda x, b: np.sign(x) * np.maximum(np.abs(x) - b, 0)),
    ("beta", "softplus", (2.0,), lambda x, b: _softplus(b * x) / b),
    (
        "threshold", "softplus", (2.0, 3.0),
        lambda x, b, c: np.where(b * x > c, x, _softplus(b * x) / b),
    ),
]:  # fmt: skip
    case(_name, _label, (SPREAD, *_parameters), _reference)

_KINKS: dict[str, list[float]] = {
    "elu": [0.0], "celu": [0.0], "selu": [0.0], "hard_tanh": [-1.0, 1.0],
    "hard_sigmoid": [-3.0, 3.0], "hard_swish": [-3.0, 3.0], "hardshrink": [-0.5, 0.5],
    "softshrink": [-0.5, 0.5], "softsign": [0.0],
}  # fmt: skip
for _name, _places in _KINKS.items():
    case(_name, "kinks", (np.array(_places),), _ONE[_name], kink=True)
for _name in ("silu", "mish", "softplus", "log_sigmoid", "tanhshrink"):
    case(_name, "zero", (np.array([0.0, 0.5]),), _ONE[_name])

# --- several operands -------------------------------------------------------------------------

case(
    "_prelu", "slopes", (SPREAD, between(0.1, 0.9, 3)), lambda x, w: np.where(x > 0, x, w * x),
    call=lambda x, w: F.prelu(x, w),
)  # fmt: skip
case(
    "_prelu", "images", (real(2, 3, 2, 2), between(0.1, 0.9, 3)),
    lambda x, w: np.where(x > 0, x, w[:, None, None] * x),
    call=lambda x, w: F.prelu(x, w),
)  # fmt: skip
case(
    "_prelu", "one", (SPREAD, between(0.1, 0.9, 1)), lambda x, w: np.where(x > 0, x, w * x),
    call=lambda x, w: F.prelu(x, w),
)  # fmt: skip
case("only", "mask", (real(2, 3), mask(2, 3)), lambda x, c: x * c, call=registered("only"))
case(
    "sigmoid_grad", "matrix", (real(2, 3), between(0.1, 0.9, 2, 3)),
    lambda g, y: g * y * (1 - y), call=registered("sigmoid_grad"),
)  # fmt: skip


def _gelu_grad(g: Any, x: Any, approximate: str) -> Any:
    if approximate == "none":
        density = np.exp(-x * x / 2) / math.sqrt(2 * np.pi)
        return g * (0.5 * (1 + _erf(x / math.sqrt(2))) + x * density)
    z, h = 1e-200j, math.sqrt(2 / math.pi)  # the derivative by a complex step
    x = x + z
    return g * np.imag(0.5 * x * (1 + np.tanh(h * (x + 0.044715 * x**3)))) / z.imag


for _approximate in ("none", "tanh"):
    _places = np.array([[-2.5, -0.4, 0.0], [1e-200, 0.6, 3.0]])
    case(
        "gelu_grad", _approximate, (real(2, 3), _places, _approximate),
        _gelu_grad,
        call=lambda g, x, a: registered("gelu_grad")(g, x, F.gelu(x, a).data, a),
        single=False,
    )  # fmt: skip

# --- along an axis ----------------------------------------------------------------------------


def _softmax(x: Any, axis: int) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


for _axis in (1, 0):
    case(
        "softmax_grad", f"axis-{_axis}", (real(2, 3), between(0.1, 0.9, 2, 3), _axis),
        lambda g, y, a: y * (g - np.sum(g * y, a, keepdims=True)),
        call=registered("softmax_grad"),
    )  # fmt: skip
    case(
        "log_softmax_grad", f"axis-{_axis}", (real(2, 3), between(-2.0, -0.1, 2, 3), _axis),
        lambda g, y, a: g - np.exp(y) * np.sum(g, a, keepdims=True),
        call=registered("log_softmax_grad"),
    )  # fmt: skip

SEEN = np.array([[True, False, True], [False, False, False]])


def _masked(x: Any, seen: Any) -> Any:
    e = np.exp(x) * seen
    return e / np.maximum(e.sum(-1, keepdims=True), 1e-300)


for _label, _seen in (("rows", SEEN), ("none", None)):
    case(
        "masked_softmax", _label, (real(2, 2, 3), *(() if _seen is None else (_seen,))),
        lambda x, seen=1.0: _masked(x, seen), call=registered("masked_softmax"),
    )  # fmt: skip

for _label, _keys in (("alike", real(2, 5, 4)), ("shared", real(1, 5, 4))):
    case(
        "_attention_scores", _label, (real(2, 3, 4), _keys, 0.5),
        lambda q, k, scale: scale * q @ np.swapaxes(k, -1, -2),
        call=registered("_attention_scores"),
    )  # fmt: skip
