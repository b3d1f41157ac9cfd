"""A host's C++ compiler in place of a GPU: it runs generated kernels, one thread after another."""

from __future__ import annotations

import atexit
import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["COMPILER", "compiled", "run"]

COMPILER = shutil.which("g++") or shutil.which("clang++")

_PRELUDE = r"""
#include <math.h>
#include <string.h>
#define __global__ __attribute__((visibility("default")))
#define __device__ inline
#define __shared__ static
#define __launch_bounds__(n)
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
extern "C" __attribute__((visibility("default"))) void run_%(name)s(unsigned int blocks, void **p) {
  gridDim.x = blocks;
  for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) %(name)s(%(arguments)s);
}
"""
_HALF = platform.machine() in ("x86_64", "AMD64")


_OPTIONS = ["-O0", "-ffp-contract=off", "-shared", "-fPIC", "-w", *(["-mf16c"] if _HALF else [])]


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
    lines = [line for line in code.splitlines() if not line.startswith("#include")]
    epilogue = _EPILOGUE % {"name": name, "arguments": ", ".join(arguments)}
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        source.write_text('#include "prelude.h"\n' + "\n".join(lines) + epilogue, encoding="utf-8")
        done = _call("-I", str(_prelude()), str(source), "-o", str(library))
        if done.returncode:
            raise AssertionError(f"{done.stderr}\n{code}")
        function = getattr(ctypes.CDLL(str(library)), f"run_{name}")
    function.argtypes = [ctypes.c_uint, ctypes.POINTER(ctypes.c_void_p)]
    function.restype = None
    return function


def run(code: str, name: str, blocks: int, arguments: list[np.ndarray]) -> None:
    """Call a kernel; arrays of rank 0 stand for numbers, all others for their memory."""
    places = (ctypes.c_void_p * len(arguments))(*(a.ctypes.data for a in arguments))
    compiled(code, name)(blocks, places)
