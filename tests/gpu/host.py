"""A host's C++ compiler in place of a GPU: it runs generated kernels, one thread after another."""

from __future__ import annotations

import atexit
import ctypes
import functools
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["COMPILER", "HALF", "compiled", "has_blocks", "run"]

COMPILER = shutil.which("g++") or shutil.which("clang++")

_PRELUDE = r"""
#include <math.h>
#include <string.h>
#define __global__ __attribute__((visibility("default")))
#define __device__ inline
#define __shared__ static
#define __launch_bounds__(n)
#define __align__(n) __attribute__((aligned(n)))
struct Place { unsigned int x, y, z; };
static Place gridDim = {1, 1, 1}, blockDim = {1, 1, 1}, blockIdx = {0, 0, 0}, threadIdx = {0, 0, 0};
static inline float __int_as_float(int bits) { float x; memcpy(&x, &bits, 4); return x; }
static inline unsigned int bits_of(float x) { unsigned int b; memcpy(&b, &x, 4); return b; }
struct __nv_bfloat16 { unsigned short bits; };
static inline float __bfloat162float(__nv_bfloat16 x) { return __int_as_float(x.bits << 16); }
static inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  unsigned int b = bits_of(x);
  if (x != x) return {(unsigned short)((b >> 16) | 64)};
  return {(unsigned short)((b + 0x7fff + ((b >> 16) & 1)) >> 16)};
}
#ifdef __F16C__
#include <immintrin.h>
struct __half { unsigned short bits; };
static inline float __half2float(__half x) { return _cvtsh_ss(x.bits); }
static inline __half __float2half_rn(float x) { return {(unsigned short)_cvtss_sh(x, 0)}; }
#endif
template <typename T> static T atomicMin(T *p, T x) { T old = *p; if (x < old) *p = x; return old; }
template <typename T> static T atomicMax(T *p, T x) { T old = *p; if (x > old) *p = x; return old; }
"""
_EPILOGUE = r"""
#ifndef BLOCKS
static void in_block(void (*kernel)(void), unsigned int threads) { kernel(); }
#endif
static void **given;
static void kernel_of_one_thread() { void **p = given; %(name)s(%(arguments)s); }
extern "C" __attribute__((visibility("default")))
void run_%(name)s(unsigned int *grid, unsigned int threads, void **p) {
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim.x = threads;
  given = p;
  for (blockIdx.z = 0; blockIdx.z < grid[2]; blockIdx.z++)
    for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
      for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++)
        in_block(kernel_of_one_thread, threads);
}
"""
# The threads of a block take turns: each runs until it waits for the others. A product on tensor
# cores is computed from what the lanes of a warp hold, where PTX says that it is.
_BLOCKS = r"""
#define BLOCKS
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
static ucontext_t turn, threads_of_block[1024];
static bool done[1024];
static void (*body)(void);
static void __syncthreads() { swapcontext(&threads_of_block[threadIdx.x], &turn); }
static void enter() { body(); done[threadIdx.x] = true; }
static void in_block(void (*kernel)(void), unsigned int threads) {
  const size_t size = 1 << 16;
  static char *stacks = (char *)malloc(1024 * size);
  body = kernel;
  for (unsigned int t = 0; t < threads; t++) {
    getcontext(&threads_of_block[t]);
    threads_of_block[t].uc_stack.ss_sp = stacks + t * size;
    threads_of_block[t].uc_stack.ss_size = size;
    threads_of_block[t].uc_link = &turn;
    makecontext(&threads_of_block[t], enter, 0);
    done[t] = false;
  }
  while (!done[0]) {
    for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) {
      swapcontext(&turn, &threads_of_block[threadIdx.x]);
      if (done[threadIdx.x] != done[0]) {
        fprintf(stderr, "thread %u waits for others that have ended\n", threadIdx.x);
        abort();
      }
    }
  }
  threadIdx.x = 0;
}
static unsigned int held_x[1024][4], held_y[1024][2];
template <typename F> static void multiply(float *d, const unsigned int *x, const unsigned int *y,
                                           F numbers) {
  const unsigned int t = threadIdx.x, warp = t / 32 * 32, lane = t % 32;
  memcpy(held_x[t], x, 16);
  memcpy(held_y[t], y, 8);
  __syncthreads();
  for (int r = 0; r < 4; r++) {
    const int row = lane / 4 + r / 2 * 8, column = lane % 4 * 2 + r % 2;
    for (int k = 0; k < 8; k++)
      d[r] += numbers(held_x[warp + row % 8 * 4 + k % 4][row / 8 + k / 4 * 2],
                      held_y[warp + column * 4 + k % 4][k / 4]);
  }
  __syncthreads();
}
static float of_tf32(unsigned int a, unsigned int b) {
  if ((a | b) & 0x1fff) abort();
  return __int_as_float(a) * __int_as_float(b);
}
static void multiply_tf32(float *d, const unsigned int *x, const unsigned int *y) {
  multiply(d, x, y, of_tf32);
}
static unsigned int as_tf32(float x) {
  unsigned int b = bits_of(x);
  return x != x || isinf(x) ? b & ~0x1fffu : (b + 0x1000) & ~0x1fffu;
}
#ifdef __F16C__
static float of_halves(unsigned int a, unsigned int b) {
  return _cvtsh_ss(a & 0xffff) * _cvtsh_ss(b & 0xffff) + _cvtsh_ss(a >> 16) * _cvtsh_ss(b >> 16);
}
static void multiply_halves(float *d, const unsigned int *x, const unsigned int *y) {
  multiply(d, x, y, of_halves);
}
#endif
"""
_DEVICE_ONLY = r"__device__ (void multiply_\w+|unsigned int as_tf32)\(.*?\n}\n"
HALF = platform.machine() in ("x86_64", "AMD64")


_OPTIONS = ["-O0", "-ffp-contract=off", "-shared", "-fPIC", "-w", *(["-mf16c"] if HALF else [])]


def _call(*arguments: str) -> Any:
    command = [COMPILER or "c++", *_OPTIONS, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@functools.cache
def _prelude() -> Path:
    """A folder with what all kernels begin with, which the compiler reads faster than its text."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    header = folder / "prelude.h"
    header.write_text(_PRELUDE, encoding="utf-8")
    _call("-x", "c++-header", str(header), "-o", str(folder / "prelude.h.gch"))
    return folder


@functools.lru_cache(maxsize=1024)
def compiled(code: str, name: str) -> Any:
    """The function of a program of CUDA C, as the host runs it."""
    head = code.index(f"__global__ void {name}(") + len(f"__global__ void {name}(")
    parameters = [p.strip() for p in code[head : code.index(") {", head)].split(",")]
    arguments = []
    for i, parameter in enumerate(parameters):
        kind = parameter.rpartition(" ")[0].replace("__restrict__", "").strip()
        kind = kind.removeprefix("const ")
        arguments.append(f"({kind})p[{i}]" if kind.endswith("*") else f"*({kind}*)p[{i}]")
    code = re.sub(_DEVICE_ONLY, "", code, flags=re.DOTALL)
    lines = [line for line in code.splitlines() if not line.startswith("#include")]
    epilogue = _EPILOGUE % {"name": name, "arguments": ", ".join(arguments)}
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        text = '#include "prelude.h"\n' + (_BLOCKS if has_blocks(code) else "")
        source.write_text(text + "\n".join(lines) + epilogue, encoding="utf-8")
        done = _call("-I", str(_prelude()), str(source), "-o", str(library))
        if done.returncode:
            raise AssertionError(f"{done.stderr}\n{code}")
        function = getattr(ctypes.CDLL(str(library)), f"run_{name}")
    function.argtypes = [ctypes.c_uint * 3, ctypes.c_uint, ctypes.POINTER(ctypes.c_void_p)]
    function.restype = None
    return function


def has_blocks(code: str) -> bool:
    """Whether the threads of a block wait for each other, beyond those of a row."""
    return "__syncthreads" in code and "#define WIDTH" not in code


def run(
    code: str,
    name: str,
    blocks: int | tuple[int, int, int],
    arguments: list[np.ndarray],
    threads: int = 1,
) -> None:
    """Call a kernel; arrays of rank 0 stand for numbers, all others for their memory."""
    places = (ctypes.c_void_p * len(arguments))(*(a.ctypes.data for a in arguments))
    grid = (blocks, 1, 1) if isinstance(blocks, int) else blocks
    compiled(code, name)((ctypes.c_uint * 3)(*grid), threads, places)
