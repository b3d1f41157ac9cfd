"""What the Array API standard 2025.12 asks for: names and signatures, written by hand."""

import inspect

_FUNCTIONS = """
x, /: abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag
    isfinite isinf isnan log log10 log1p log2 logical_not negative positive real reciprocal round
    sign signbit sin sinh sqrt square tan tanh trunc matrix_transpose nonzero unique_all
    unique_counts unique_inverse unique_values
    linalg.det linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh linalg.inv
    linalg.matrix_transpose linalg.slogdet linalg.svdvals
x1, x2, /: add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
    copysign divide equal floor_divide greater greater_equal hypot less less_equal logaddexp
    logical_and logical_or logical_xor matmul maximum minimum multiply nextafter not_equal pow
    remainder subtract linalg.matmul linalg.outer linalg.solve
x, /, min=None, max=None: clip
start, /, stop=None, step=1, *, dtype=None, device=None: arange
obj, /, *, dtype=None, device=None, copy=None: asarray
shape, *, dtype=None, device=None: empty ones zeros
x, /, *, dtype=None, device=None: empty_like ones_like zeros_like
n_rows, n_cols=None, /, *, k=0, dtype=None, device=None: eye
x, /, *, device=None, copy=None: from_dlpack
shape, fill_value, *, dtype=None, device=None: full
x, /, fill_value, *, dtype=None, device=None: full_like
start, stop, /, num, *, dtype=None, device=None, endpoint=True: linspace
*arrays, indexing="xy": meshgrid
x, /, *, k=0: tril triu
x, dtype, /, *, copy=True, device=None: astype
from_, to, /: can_cast
type, /: finfo iinfo
dtype, kind: isdtype
*arrays_and_dtypes: result_type
x, indices, /, *, axis=None: take
x, indices, /, *, axis=-1: take_along_axis
x1, x2, /, *, axes=2: tensordot linalg.tensordot
x1, x2, /, *, axis=-1: vecdot linalg.vecdot linalg.cross
*arrays: broadcast_arrays
*shapes: broadcast_shapes
x, /, shape: broadcast_to
arrays, /, *, axis=0: concat stack
x, /, axis: expand_dims squeeze
x, /, *, axis=None: flip
x, source, destination, /: moveaxis
x, /, axes: permute_dims
x, repeats, /, *, axis=None: repeat
x, /, shape, *, copy=None: reshape
x, /, shift, *, axis=None: roll
x, repetitions, /: tile
x, /, *, axis=0: unstack
x, /, *, axis=None, keepdims=False: all any argmax argmin count_nonzero max mean min
x, /, *, axis=None, dtype=None, keepdims=False: prod sum
x, /, *, axis=None, correction=0.0, keepdims=False: std var
x, /, *, axis=None, dtype=None, include_initial=False: cumulative_prod cumulative_sum
x, /, *, axis=-1, n=1, prepend=None, append=None: diff
x1, x2, /, *, side="left", sorter=None: searchsorted
condition, x1, x2, /: where
x1, x2, /, *, invert=False: isin
x, /, *, axis=-1, descending=False, stable=True: argsort sort
x, /, *, upper=False: linalg.cholesky
x, /, *, offset=0: linalg.diagonal
x, /, *, keepdims=False, ord="fro": linalg.matrix_norm
x, n, /: linalg.matrix_power
x, /, *, rtol=None: linalg.matrix_rank linalg.pinv
x, /, *, mode="reduced": linalg.qr
x, /, *, full_matrices=True: linalg.svd
x, /, *, offset=0, dtype=None: linalg.trace
x, /, *, axis=None, keepdims=False, ord=2: linalg.vector_norm
x, /, *, n=None, axis=-1, norm="backward": fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft
x, /, *, s=None, axes=None, norm="backward": fft.fftn fft.ifftn fft.rfftn fft.irfftn
n, /, *, d=1.0, dtype=None, device=None: fft.fftfreq fft.rfftfreq
x, /, *, axes=None: fft.fftshift fft.ifftshift
"""


def _parsed(text):
    """Signatures by name: a line that starts at the margin begins with the parameters."""
    found = {}
    signature = inspect.Signature()
    for line in text.strip().splitlines():
        names = line
        if not line.startswith(" "):
            parameters, _, names = line.partition(": ")
            signature = inspect.signature(eval(f"lambda {parameters}: None"))
        found.update(dict.fromkeys(names.split(), signature))
    return found


SIGNATURES = _parsed(_FUNCTIONS)
"""Every function of the standard, those of extensions as ``linalg.det``."""

BOOL = ("bool",)
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
REAL_FLOATING = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
DTYPES = BOOL + SIGNED + UNSIGNED + REAL_FLOATING + COMPLEX

CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")
EXTENSIONS = ("fft", "linalg")
INFO = ("capabilities", "default_device", "default_dtypes", "devices", "dtypes")

ATTRIBUTES = ("T", "device", "dtype", "mT", "ndim", "shape", "size")
_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
_BINARY += ("and", "or", "xor", "lshift", "rshift")
METHODS = (
    *(f"__{prefix}{name}__" for name in _BINARY for prefix in ("", "r", "i")),
    *(f"__{name}__" for name in ("eq", "ge", "gt", "le", "lt", "ne")),
    *(f"__{name}__" for name in ("abs", "invert", "neg", "pos")),
    *(f"__{name}__" for name in ("bool", "complex", "float", "index", "int")),
    *(f"__{name}__" for name in ("getitem", "setitem")),
    *(f"__{name}__" for name in ("array_namespace", "dlpack", "dlpack_device")),
    "to_device",
)
METHOD_SIGNATURES = _parsed(
    """
self, /, *, api_version=None: __array_namespace__
self, /, *, stream=None, max_version=None, dl_device=None, copy=None: __dlpack__
self, /: __dlpack_device__ __bool__ __complex__ __float__ __index__ __int__ __abs__ __invert__
    __neg__ __pos__
self, device, /, *, stream=None: to_device
self, key, /: __getitem__
self, key, value, /: __setitem__
"""
)
