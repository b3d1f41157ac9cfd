"""The book's module of convolution and pooling: names of `dezero.functions`."""

from typing import Any

from .functions import average_pooling as average_pooling
from .functions import classes
from .functions import pooling as pooling
from .functions import pooling_simple as pooling_simple
from .functions.convolution import col2im as col2im
from .functions.convolution import col2im_array as col2im_array
from .functions.convolution import conv2d as conv2d
from .functions.convolution import conv2d_simple as conv2d_simple
from .functions.convolution import deconv2d as deconv2d
from .functions.convolution import im2col as im2col
from .functions.convolution import im2col_array as im2col_array

_book: Any = classes  # its classes are made from a table
AveragePooling, Pooling = _book.AveragePooling, _book.Pooling
Conv2d, Deconv2d = _book.Conv2d, _book.Deconv2d
Im2col, Col2im = _book.Im2col, _book.Col2im
Conv2DGradW, Pooling2DGrad = _book.Conv2DGradW, _book.Pooling2DGrad
Pooling2DWithIndexes = _book.Pooling2DWithIndexes

__all__ = [
    "AveragePooling",
    "Col2im",
    "Conv2DGradW",
    "Conv2d",
    "Deconv2d",
    "Im2col",
    "Pooling",
    "Pooling2DGrad",
    "Pooling2DWithIndexes",
    "average_pooling",
    "col2im",
    "col2im_array",
    "conv2d",
    "conv2d_simple",
    "deconv2d",
    "im2col",
    "im2col_array",
    "pooling",
    "pooling_simple",
]
