"""Convolution on CUDA as products of matrices that are nowhere in memory.

The three maps of `convolution` are products: of the weights with the windows of an image, of the
weights with what is like a result, and of that with windows. One kernel does them all. A block
of threads computes a tile of the product; it takes the elements of both matrices from where they
lie, zeros where a window leaves the image, into shared memory, a slice at a time, and each thread
sums a part of the tile in registers. float16, and float32 rounded to TF32, are multiplied on tensor
cores (compute capability 8.0) and summed in single precision.

For the gradient of an image with a stride s, the places whose numbers leave the same rest when
divided by s meet the same elements of the kernel: each such set is a product of its own, without
zeros. The sum over images and places that the gradient of the weights is can be cut into parts; how
many depends on shapes alone, and they are added in order, so that results are the same each time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from .convolution import Convolution, Geometry, Sizes, result_size, with_bias
from .cuda_source import Source
from .cupy_kernels import CuPyKernels

__all__ = ["Axis", "ImplicitConvolution", "source"]

Array = Any

_THREADS = 256
_FEWEST = 16  # rows of a product for which a tile pays
_BLOCKS = 256  # that a gradient of weights is cut into at least, if its sum is long enough
_TYPES = {"float16": "__half", "float32": "float", "float64": "double"}
_CODE = """\
extern "C" __launch_bounds__(THREADS) __global__ void NAME(PARAMETERS) {
  __shared__ __align__(16) SHARED a[BM][BK + PAD];
  __shared__ __align__(16) SHARED b[BN][BK + PAD];
  constexpr int taps[] = {TAPS};
  constexpr int window = WINDOW;
SIZES
  int places = images, weights = 1;
#pragma unroll
  for (int d = 0; d < RANK; d++) { places *= length[d]; weights *= kernel[d]; }
  const int each = places / images;  // places of an image
  const int columns = BY_PLACE ? places : depth * window;
  const int inner = BY_PLACE ? depth * window : places;
  const int t = threadIdx.x, group = blockIdx.z / splits, split = blockIdx.z % splits;
  const int m0 = blockIdx.y * BM, n0 = blockIdx.x * BN;
  const int part = (inner + splits * BK - 1) / (splits * BK) * BK;
  const int begin = split * part, end = begin + part < inner ? begin + part : inner;

  // Where the window of a place begins, and the image that the place is in.
  const auto opened = [&](int place, int* at) -> int {
#pragma unroll
    for (int d = RANK - 1; d >= 0; d--) {
      at[d] = place % length[d] * step[d] + first[d];
      place /= length[d];
    }
    return place;
  };
  // What an element of the kernel meets in a plane of the image.
  const auto met = [&](int plane, int tap, const int* at) -> T {
    int where[RANK];
    bool inside = true;
#pragma unroll
    for (int d = RANK - 1; d >= 0; d--) {
      where[d] = at[d] + tap % taps[d] * apart[d];
      tap /= taps[d];
      inside = inside && where[d] >= 0 && where[d] < size[d];
    }
#pragma unroll
    for (int d = 0; d < RANK; d++) plane = plane * size[d] + where[d];
    return inside ? right[plane] : T{};
  };

  const int slice = t % BK, line = t / BK;
  const int column = t % BN;
  int own[RANK];
  const int image = opened(n0 + column, own);
  T next_a[BM * BK / THREADS], next_b[BN * BK / THREADS];
  const auto fetch = [&](int k0) {
    const int k = k0 + slice;
#if BY_PLACE
    int tap = k % window, at = 0, scale = 1;
#pragma unroll
    for (int d = RANK - 1; d >= 0; d--) {
      at += (tap_first[d] + tap % taps[d] * tap_step[d]) * scale;
      tap /= taps[d];
      scale *= kernel[d];
    }
    at += group * rows * depth * weights + k / window * depth_step;
#pragma unroll
    for (int i = 0; i < BM * BK / THREADS; i++) {
      const int row = m0 + line + i * (THREADS / BK);
      next_a[i] = k < end && row < rows ? left[at + row * row_step] : T{};
    }
#pragma unroll
    for (int i = 0; i < BN * BK / THREADS; i++) {
      const int l = k0 + t / BN + i * (THREADS / BN);
      const bool is_there = l < end && n0 + column < columns;
      const int plane = (image * groups + group) * depth + l / window;
      next_b[i] = is_there ? met(plane, l % window, own) : T{};
    }
#else
    int at[RANK];
    const int of = opened(k, at) * groups + group;
#pragma unroll
    for (int i = 0; i < BM * BK / THREADS; i++) {
      const int row = m0 + line + i * (THREADS / BK);
      next_a[i] = k < end && row < rows ? left[(of * rows + row) * each + k % each] : T{};
    }
#pragma unroll
    for (int i = 0; i < BN * BK / THREADS; i++) {
      const int c = n0 + line + i * (THREADS / BK);
      next_b[i] = k < end && c < columns ? met(of * depth + c / window, c % window, at) : T{};
    }
#endif
  };
  const auto store = [&](int row, int c, SUM value) {
    if (row >= rows || c >= columns) return;
#if BY_PLACE
    int within[RANK], rest = c;
#pragma unroll
    for (int d = RANK - 1; d >= 0; d--) {
      within[d] = start[d] + rest % length[d] * stride[d];
      rest /= length[d];
    }
    int at = (rest * groups + group) * rows + row;
#pragma unroll
    for (int d = 0; d < RANK; d++) at = at * whole[d] + within[d];
#else
    const int at = ((split * groups + group) * rows + row) * columns + c;
#endif
    result[at] = STORED(value);
  };

  INTO
  fetch(begin);
  for (int k0 = begin; k0 < end; k0 += BK) {
#pragma unroll
    for (int i = 0; i < BM * BK / THREADS; i++)
      a[line + i * (THREADS / BK)][slice] = KEPT(next_a[i]);
#pragma unroll
    for (int i = 0; i < BN * BK / THREADS; i++) {
#if BY_PLACE
      b[column][t / BN + i * (THREADS / BN)] = KEPT(next_b[i]);
#else
      b[line + i * (THREADS / BK)][slice] = KEPT(next_b[i]);
#endif
    }
    __syncthreads();
    if (k0 + BK < end) fetch(k0 + BK);
    MULTIPLY
    __syncthreads();
  }
  OUT_OF
}
"""
# Each thread has every sixteenth row and column of the tile.
_PLAIN = {
    "INTO": """\
const int tx = t % 16, ty = t / 16;
  SUM sums[BM / 16][BN / 16] = {};""",
    "MULTIPLY": """\
for (int k = 0; k < BK; k++) {
      SUM x[BM / 16], y[BN / 16];
#pragma unroll
      for (int i = 0; i < BM / 16; i++) x[i] = a[ty + 16 * i][k];
#pragma unroll
      for (int j = 0; j < BN / 16; j++) y[j] = b[tx + 16 * j][k];
#pragma unroll
      for (int i = 0; i < BM / 16; i++)
#pragma unroll
        for (int j = 0; j < BN / 16; j++) sums[i][j] = fma(x[i], y[j], sums[i][j]);
    }""",
    "OUT_OF": """\
#pragma unroll
for (int i = 0; i < BM / 16; i++)
#pragma unroll
    for (int j = 0; j < BN / 16; j++)
      store(m0 + ty + 16 * i, n0 + tx + 16 * j, sums[i][j]);""",
}
# Two by four warps, each with products of 16 by 8; lanes hold them as the instruction wants.
_TENSOR = {
    "INTO": """\
const int lane = t % 32, high = lane / 4, low = lane % 4;
  const int m1 = t / 128 * (BM / 2), n1 = t / 32 % 4 * (BN / 4);
  constexpr int per = 4 / sizeof(SHARED);  // numbers of a register
  float sums[BM / 32][BN / 32][4] = {};""",
    "MULTIPLY": """\
for (int k = 0; k < BK; k += 8 * per) {
      unsigned int x[BM / 32][4], y[BN / 32][2];
#pragma unroll
      for (int i = 0; i < BM / 32; i++)
#pragma unroll
        for (int r = 0; r < 4; r++)
          x[i][r] = bits(&a[m1 + 16 * i + high + r % 2 * 8][k + (low + r / 2 * 4) * per]);
#pragma unroll
      for (int j = 0; j < BN / 32; j++)
#pragma unroll
        for (int r = 0; r < 2; r++)
          y[j][r] = bits(&b[n1 + 8 * j + high][k + (low + r * 4) * per]);
#pragma unroll
      for (int i = 0; i < BM / 32; i++)
#pragma unroll
        for (int j = 0; j < BN / 32; j++) MMA(sums[i][j], x[i], y[j]);
    }""",
    "OUT_OF": """\
#pragma unroll
for (int i = 0; i < BM / 32; i++)
#pragma unroll
    for (int j = 0; j < BN / 32; j++)
#pragma unroll
      for (int r = 0; r < 4; r++)
        store(m0 + m1 + 16 * i + high + r / 2 * 8, n0 + n1 + 8 * j + low * 2 + r % 2,
              sums[i][j][r]);""",
}
_MMA = """\
__device__ unsigned int bits(const void* p) { return *(const unsigned int*)p; }
__device__ void MMA(float* d, const unsigned int* x, const unsigned int* y) {
  asm volatile("mma.sync.aligned.INSTRUCTION {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};" : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
}
"""
_ROUND = """\
__device__ unsigned int as_tf32(float x) {
  unsigned int y;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
  return y;
}
"""
_INSTRUCTIONS = {
    "float16": ("multiply_halves", "m16n8k16.row.col.f32.f16.f16.f32"),
    "float32": ("multiply_tf32", "m16n8k8.row.col.f32.tf32.tf32.f32"),
}


class Axis(NamedTuple):
    """A spatial dimension of one launch.

    A place ``j`` with the tap ``i`` meets ``first + j * step + i * apart`` of ``size`` elements.
    What follows is not used by the gradient of the weights: the place is ``start + j * stride`` of
    ``whole``, the tap is ``tap_first + i * tap_step`` of ``kernel``.
    """

    size: int
    length: int
    step: int
    apart: int
    first: int
    whole: int
    start: int
    stride: int
    kernel: int
    tap_first: int
    tap_step: int


_SCALARS = ("images", "rows", "depth", "groups", "splits", "row_step", "depth_step")


def _tile(rows: int, dtype: str) -> tuple[int, int]:
    """The rows and columns of the product that a block computes."""
    if dtype == "float64":
        return (32 if rows <= 32 else 64), 64
    return (32 if rows <= 32 else 64 if rows <= 64 else 128), 128


def source(
    by_place: bool, taps: Sizes, dtype: str, result: str, tile: tuple[int, int], tensor: bool
) -> Source:
    """The kernel: its parameters are the two operands, the result, `_SCALARS` and the axes'.

    Args:
        by_place: Columns of the product are places, and its rows those of weights; else columns are
            elements of weights, and sums go over places.
        taps: The elements of the kernel that a place meets, for each dimension.
        dtype: Of the operands.
        result: The dtype of what is stored.
        tile: The rows and columns of a tile.
        tensor: Whether tensor cores multiply.

    Example:
        >>> source(True, (3, 3), "float32", "float32", (64, 128), False).name
        'dezero_convolution'
    """
    half = dtype == "float16"
    kept = "{}"
    if tensor:
        shared, slices, pad = ("__half", 32, 8) if half else ("unsigned int", 16, 4)
        kept = "{}" if half else "as_tf32({})"
    else:
        shared, slices, pad = ("double" if dtype == "float64" else "float"), 16, 1
        kept = "__half2float({})" if half else "{}"
    numbers = [f"const int {name}" for name in _SCALARS]
    numbers += [f"const int {name}{d}" for d in range(len(taps)) for name in Axis._fields]
    kind, to = _TYPES[dtype], _TYPES[result]
    parameters = [f"const {kind}* __restrict__ {name}" for name in ("left", "right")]
    parameters += [f"{to}* __restrict__ result", *numbers]
    sizes = [
        f"  const int {name}[] = {{{', '.join(f'{name}{d}' for d in range(len(taps)))}}};"
        for name in Axis._fields
    ]
    defined = {
        "THREADS": _THREADS, "RANK": len(taps), "BM": tile[0], "BN": tile[1], "BK": slices,
        "PAD": pad, "BY_PLACE": int(by_place), "T": kind, "SHARED": shared,
        "SUM": "double" if dtype == "float64" else "float", "KEPT(x)": kept.format("x"),
        "STORED(x)": "__float2half_rn(x)" if result == "float16" else "x",
    }  # fmt: skip
    code = _CODE
    for name, text in (_TENSOR if tensor else _PLAIN).items():
        code = code.replace(name, text, 1)
    code = code.replace("NAME", "dezero_convolution").replace("PARAMETERS", ", ".join(parameters))
    code = code.replace("{TAPS}", f"{{{', '.join(map(str, taps))}}}")
    code = code.replace("WINDOW", str(math.prod(taps))).replace("SIZES", "\n".join(sizes))
    if tensor:
        name, instruction = _INSTRUCTIONS[dtype]
        code = (_MMA + ("" if half else _ROUND) + code).replace("INSTRUCTION", instruction)
        code = code.replace("MMA", name)
    head = "#include <cuda_fp16.h>\n" if half else ""
    head += "".join(f"#define {name} {value}\n" for name, value in defined.items())
    return Source("dezero_convolution", head + code, ((np.dtype(result), True),))


def _phases(size: int, kernel: int, result: int, before: int, s: int, d: int) -> list[Any]:
    """The axes and taps of the gradient of an image: of each set of places that meet the same."""
    found = []
    for rest in range(s):
        start = (rest - before) % s
        count = -(-(size - start) // s)
        taps = [k for k in range(kernel) if (k * d - rest) % s == 0]
        if count > 0:
            apart = s // math.gcd(s, d)
            first = (start + before - taps[0] * d) // s if taps else 0
            axis = Axis(
                result, count, 1, -(apart * d // s), first, size, start, s, kernel, 0, apart
            )
            found.append((axis._replace(tap_first=taps[0] if taps else 0), len(taps)))
    return found


class ImplicitConvolution(CuPyKernels):
    """The part of CuPy's backend that convolves.

    Attributes:
        implicit_convolution: Whether the kernel is used where it can be and pays: not for complex
            numbers and arrays of 2^31 elements, not for kernels of one element that meet each place
            once, which are plain products, and not where a group has fewer than 16 rows, channels
            of the result, or of the image for its gradient. Else windows are laid side by side, and
            cuBLAS multiplies.
    """

    implicit_convolution = True
    tf32: bool

    def _suits(self, arrays: Sequence[Array], kernel: Sizes, geometry: Geometry, rows: int) -> bool:
        pointwise = (
            math.prod(kernel) == 1
            and not any(map(any, geometry.pads))
            and math.prod(geometry.stride) == 1
        )
        first = arrays[0]
        return (
            self.implicit_convolution
            and not pointwise
            and rows >= _FEWEST
            and geometry.groups < 2**16
            and first.dtype.name in _TYPES
            and all(type(x) is self.cupy.ndarray and x.dtype == first.dtype for x in arrays)
            and all(0 < x.size < 2**30 for x in arrays)
        )

    def _tensor(self, dtype: str) -> bool:
        """Whether tensor cores multiply numbers of a dtype."""
        wanted = dtype == "float16" or (dtype == "float32" and self.tf32)
        return wanted and int(self.cupy.cuda.Device().compute_capability) >= 80

    def _product(
        self,
        by_place: bool,
        operands: tuple[Array, Array],
        result: Array,
        taps: Sizes,
        scalars: tuple[int, ...],
        axes: Sequence[Axis],
    ) -> None:
        """Launch the kernel; ``scalars`` are those that `source` names."""
        images, rows, depth, groups, splits, *_ = scalars
        dtype = operands[0].dtype.name
        tile, tensor = _tile(rows, dtype), self._tensor(dtype)
        key = by_place, taps, dtype, result.dtype.name, tile, tensor
        kernel = self._kernel(("convolution", *key), lambda: source(*key))
        assert kernel is not None
        places = images * math.prod(axis.length for axis in axes)
        columns = places if by_place else depth * math.prod(taps)
        grid = -(-columns // tile[1]), -(-rows // tile[0]), groups * splits
        numbers = [np.int32(n) for n in (*scalars, *(n for axis in axes for n in axis))]
        left, right = map(self.cupy.ascontiguousarray, operands)
        kernel[0](grid, (_THREADS,), (left, right, result, *numbers))

    def convolve(
        self, arrays: Sequence[Array], geometry: Geometry, kept: dict[str, Any] | None = None
    ) -> Array:
        x, w, *b = arrays
        kernel, groups = tuple(w.shape[2:]), geometry.groups
        rows, depth, window = w.shape[0] // groups, w.shape[1], math.prod(kernel)
        result = result_size(x.shape[2:], kernel, geometry)
        shape = (x.shape[0], w.shape[0], *result)
        fits = 0 < math.prod(shape) < 2**30
        if not fits or not self._suits((x, w), kernel, geometry, rows):
            return super().convolve(arrays, geometry, kept)
        axes = [
            Axis(n, r, s, d, -before, r, 0, 1, k, 0, 1)
            for n, r, k, s, d, (before, _) in zip(
                x.shape[2:], result, kernel, geometry.stride, geometry.dilation, geometry.pads,
                strict=True,
            )
        ]  # fmt: skip
        y = self.cupy.empty(shape, x.dtype)
        scalars = x.shape[0], rows, depth, groups, 1, depth * window, window
        self._product(True, (w, x), y, kernel, scalars, axes)
        return with_bias(self, y, b)

    def convolve_input(self, arrays: Sequence[Array], size: Sizes, geometry: Geometry) -> Array:
        g, w, *b = arrays
        kernel, groups = tuple(w.shape[2:]), geometry.groups
        rows, depth, window = w.shape[1], w.shape[0] // groups, math.prod(kernel)
        shape = (g.shape[0], rows * groups, *size)
        fits = 0 < math.prod(shape) < 2**30
        if not fits or not self._suits((g, w), kernel, geometry, rows):
            return super().convolve_input(arrays, size, geometry)
        phases = [
            _phases(n, k, r, before, s, d)
            for n, k, r, (before, _), s, d in zip(
                size, kernel, g.shape[2:], geometry.pads, geometry.stride, geometry.dilation,
                strict=True,
            )
        ]  # fmt: skip
        whole = all(taps for axis in phases for _, taps in axis)  # else some places meet nothing
        y = self.cupy.empty(shape, g.dtype) if whole else self.cupy.zeros(shape, g.dtype)
        scalars = g.shape[0], rows, depth, groups, 1, window, rows * window
        for parts in product(*phases):
            taps = tuple(n for _, n in parts)
            if all(taps):
                self._product(True, (w, g), y, taps, scalars, [axis for axis, _ in parts])
        return with_bias(self, y, b)

    def convolve_weight(self, arrays: Sequence[Array], kernel: Sizes, geometry: Geometry) -> Array:
        x, g = arrays
        kernel, groups = tuple(kernel), geometry.groups
        rows, depth = g.shape[1] // groups, x.shape[1] // groups
        if not self._suits((x, g), kernel, geometry, rows):
            return super().convolve_weight(arrays, kernel, geometry)
        shape = (g.shape[1], depth, *kernel)
        tile = _tile(rows, x.dtype.name)
        tiles = -(-rows // tile[0]) * -(-depth * math.prod(kernel) // tile[1]) * groups
        places = g.shape[0] * math.prod(g.shape[2:])
        splits = max(1, min(-(-_BLOCKS // tiles), places // 512, 2**16 // groups - 1))
        dtype = np.float32 if x.dtype == np.float16 and splits > 1 else x.dtype
        w = self.cupy.empty((splits, *shape), dtype)
        axes = [
            Axis(n, r, s, d, -before, 0, 0, 0, k, 0, 0)
            for n, r, k, s, d, (before, _) in zip(
                x.shape[2:], g.shape[2:], kernel, geometry.stride, geometry.dilation,
                geometry.pads, strict=True,
            )
        ]  # fmt: skip
        scalars = x.shape[0], rows, depth, groups, splits, 0, 0
        self._product(False, (g, x), w, kernel, scalars, axes)
        if splits == 1:
            return w.reshape(shape)
        return self.sum(w, axis=0, dtype=dtype).astype(x.dtype, copy=False)


for _name in ("convolve", "convolve_input", "convolve_weight"):
    getattr(ImplicitConvolution, _name).__doc__ = getattr(Convolution, _name).__doc__
