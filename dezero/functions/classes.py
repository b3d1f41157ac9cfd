"""The book's Function classes by their names: ``F.Sin()(x)`` is ``F.sin(x)``.

An instance holds the parameters and applies the function; what is recorded is the function's node.
"""

from __future__ import annotations

from typing import Any

from ..core import Function
from .convolution import _conv2d_weight
from .elementwise import divide, subtract
from .pool import _pooling_gradient, _pooling_places

__all__ = [
    "Add",
    "AveragePooling",
    "BatchNorm",
    "BroadcastTo",
    "Clip",
    "Col2im",
    "Conv2DGradW",
    "Conv2d",
    "Cos",
    "Deconv2d",
    "Div",
    "Exp",
    "GetItem",
    "GetItemGrad",
    "Im2col",
    "LeakyReLU",
    "Linear",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MeanSquaredError",
    "Min",
    "Mul",
    "Neg",
    "Pooling",
    "Pooling2DGrad",
    "Pooling2DWithIndexes",
    "Pow",
    "ReLU",
    "Reshape",
    "Sigmoid",
    "Sin",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Sub",
    "Sum",
    "SumTo",
    "Tanh",
    "Transpose",
    "rdiv",
    "rsub",
]


def rsub(x0: Any, x1: Any) -> Any:
    """``x1 - x0``."""
    return subtract(x1, x0)


def rdiv(x0: Any, x1: Any) -> Any:
    """``x1 / x0``."""
    return divide(x1, x0)


class _Applied(Function):
    """A function with its parameters, as a Function to be called."""

    function: str
    parameters: dict[str, Any]
    count = 0  # of operands, where the last ones may be left out
    operands: tuple[Any, ...] = ()  # of the last call

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = dict(zip(self.parameters, args, strict=False)) | kwargs
        lacking = [n for n, v in self.parameters.items() if v is ... and n not in given]
        if len(args) > len(self.parameters) or given.keys() - self.parameters or lacking:
            name, expected = type(self).__name__, ", ".join(self.parameters) or "nothing"
            msg = f"{name}: expected {expected}, got {args} {kwargs or ''}".rstrip()
            raise TypeError(msg)
        for name in self.parameters:
            setattr(self, name, given.get(name, self.parameters[name]))

    def __call__(self, *inputs: Any) -> Any:
        from .. import functions

        function = getattr(functions, self.function)
        self.operands = inputs = inputs + (None,) * (self.count - len(inputs))
        return function(*inputs, *(getattr(self, name) for name in self.parameters))


def _class(name: str, function: str, count: int = 0, **parameters: Any) -> type[_Applied]:
    """The class of a function; ``...`` stands for a parameter without a default."""
    text = f"The book's Function of `{function}`: ``{name}({', '.join(parameters)})(x, ...)``."
    body = {
        "function": function,
        "count": count,
        "parameters": parameters,
        "__doc__": text,
        "__module__": __name__,
    }
    return type(name, (_Applied,), body)


Add = _class("Add", "add")
Mul = _class("Mul", "multiply")
Neg = _class("Neg", "negative")
Sub = _class("Sub", "subtract")
Div = _class("Div", "divide")
Pow = _class("Pow", "pow", c=...)
Sin = _class("Sin", "sin")
Cos = _class("Cos", "cos")
Tanh = _class("Tanh", "tanh")
Exp = _class("Exp", "exp")
Log = _class("Log", "log")
Reshape = _class("Reshape", "reshape", shape=...)
Transpose = _class("Transpose", "transpose", axes=None)
GetItem = _class("GetItem", "get_item", slices=...)
GetItemGrad = _class("GetItemGrad", "scatter_add", slices=..., in_shape=...)
Sum = _class("Sum", "sum", axis=None, keepdims=False)
SumTo = _class("SumTo", "sum_to", shape=...)
BroadcastTo = _class("BroadcastTo", "broadcast_to", shape=...)
MatMul = _class("MatMul", "matmul")
Linear = _class("Linear", "linear")
Sigmoid = _class("Sigmoid", "sigmoid")
ReLU = _class("ReLU", "relu")
Softmax = _class("Softmax", "softmax", axis=1)
LogSoftmax = _class("LogSoftmax", "log_softmax", axis=1)
LeakyReLU = _class("LeakyReLU", "leaky_relu", slope=...)
MeanSquaredError = _class("MeanSquaredError", "mean_squared_error")
SoftmaxCrossEntropy = _class("SoftmaxCrossEntropy", "softmax_cross_entropy")
BatchNorm = _class("BatchNorm", "batch_norm", mean=..., var=..., decay=..., eps=...)
Max = _class("Max", "max", axis=None, keepdims=False)
Min = _class("Min", "min", axis=None, keepdims=False)
Clip = _class("Clip", "clip", x_min=..., x_max=...)
Conv2d = _class("Conv2d", "conv2d", 3, stride=1, pad=0)
Deconv2d = _class("Deconv2d", "deconv2d", 3, stride=1, pad=0, outsize=None)
Pooling = _class("Pooling", "pooling", kernel_size=..., stride=1, pad=0)
AveragePooling = _class("AveragePooling", "average_pooling", kernel_size=..., stride=1, pad=0)
Im2col = _class("Im2col", "im2col", kernel_size=..., stride=..., pad=..., to_matrix=...)
Col2im = _class(
    "Col2im", "col2im", input_shape=..., kernel_size=..., stride=..., pad=..., to_matrix=...
)


class _Adjoint(Function):
    """A Function that belongs to another one, which was called before."""

    kind: type[_Applied]

    def __init__(self, function: _Applied) -> None:
        if not isinstance(function, self.kind) or not function.operands:
            name, kind = type(self).__name__, self.kind.__name__
            msg = f"{name}: got {function!r}, a {kind} that was called is expected"
            raise TypeError(msg)
        self.of: Any = function


class Conv2DGradW(_Adjoint):
    """The gradient of a `Conv2d`'s weights: ``Conv2DGradW(conv2d)(x, gy)``."""

    kind = Conv2d

    def __call__(self, x: Any, gy: Any) -> Any:
        kernel = tuple(self.of.operands[1].shape[2:])
        return _conv2d_weight(x, gy, kernel, self.of.stride, self.of.pad)


class Pooling2DGrad(_Adjoint):
    """The gradient of a `Pooling`: ``Pooling2DGrad(pooling)(gy)``."""

    kind = Pooling

    def __call__(self, gy: Any) -> Any:
        of = self.of
        return _pooling_gradient(gy, of.operands[0], of.kernel_size, of.stride, of.pad)


class Pooling2DWithIndexes(_Adjoint):
    """What stands where a `Pooling` found its maxima: ``Pooling2DWithIndexes(pooling)(x)``."""

    kind = Pooling

    def __call__(self, x: Any) -> Any:
        of = self.of
        return _pooling_places(x, of.operands[0], of.kernel_size, of.stride, of.pad)
