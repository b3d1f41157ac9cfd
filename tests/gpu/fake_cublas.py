"""A shared library with the symbols of cuBLAS that are used, which computes on the host.

A call becomes work of the fake device: while a stream is captured it is a node of the graph.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from dezero.backends import cublas
from gpu import host

__all__ = ["CODE", "NAME", "installed"]

NAME = "libfakecublas.so.{}"
CODE = r"""
#include <stdlib.h>
typedef void (*work_t)(const void*, size_t);
typedef struct {
  void *stream; void *workspace; size_t bytes; int transa, transb, m, n, k; double alpha, beta;
  const char *A, *B; char *C; int type, lda, ldb, ldc; long long stepa, stepb, stepc;
  int count, compute;
} call_t;
typedef struct { void *stream, *workspace; size_t bytes; } context_t;
static work_t later = 0;
static int failing = 0;

#ifdef __F16C__
#include <immintrin.h>
static double wide(unsigned short x) { return _cvtsh_ss(x); }
static unsigned short half(double x) { return _cvtss_sh((float)x, 0); }
#else
static double wide(unsigned short x) { return 0; }
static unsigned short half(double x) { return 0; }
#endif
static double at(const char *p, int type, long long i) {
  return type == 0 ? ((float*)p)[i] : type == 1 ? ((double*)p)[i] : wide(((unsigned short*)p)[i]);
}
void compute(const call_t *c) {
  for (int b = 0; b < c->count; b++)
    for (int j = 0; j < c->n; j++)
      for (int i = 0; i < c->m; i++) {
        double sum = 0;
        for (int l = 0; l < c->k; l++) {
          long long a = c->transa ? l + (long long)i * c->lda : i + (long long)l * c->lda;
          long long d = c->transb ? j + (long long)l * c->ldb : l + (long long)j * c->ldb;
          sum += at(c->A, c->type, b * c->stepa + a) * at(c->B, c->type, b * c->stepb + d);
        }
        long long e = b * c->stepc + i + (long long)j * c->ldc;
        sum = c->alpha * sum + (c->beta ? c->beta * at(c->C, c->type, e) : 0);
        if (c->type == 0) ((float*)c->C)[e] = sum;
        else if (c->type == 1) ((double*)c->C)[e] = sum;
        else ((unsigned short*)c->C)[e] = half(sum);
      }
}
void fake_setup(work_t work, int fail) { later = work; failing = fail; }
int cublasCreate_v2(void **handle) {
  if (failing == 1) return 1;
  *handle = calloc(1, sizeof(context_t));
  return 0;
}
int cublasSetStream_v2(void *handle, void *stream) {
  context_t *x = handle;
  x->stream = stream; x->workspace = 0; x->bytes = 0;
  return 0;
}
int cublasSetWorkspace_v2(void *handle, void *workspace, size_t bytes) {
  context_t *x = handle;
  x->workspace = workspace; x->bytes = bytes;
  return (size_t)workspace % 16 ? 7 : 0;
}
int cublasGemmStridedBatchedEx(void *handle, int transa, int transb, int m, int n, int k,
    const void *alpha, const void *A, int Atype, int lda, long long stepa, const void *B, int Btype,
    int ldb, long long stepb, const void *beta, void *C, int Ctype, int ldc, long long stepc,
    int count, int computeType, int algo) {
  context_t *x = handle;
  int wanted = Ctype == 1 ? 70 : 68;
  if (failing == 2) return 13;
  if (Atype != Btype || Btype != Ctype || algo != -1 || m < 1 || n < 1 || k < 1 || count < 1)
    return 7;
  if (computeType != wanted && !(Ctype == 0 && computeType == 77)) return 15;
  if (lda < (transa ? k : m) || ldb < (transb ? n : k) || ldc < m) return 7;
  if (!x->stream || !x->workspace || stepa < 0 || stepb < 0) return 7;
  double one = Ctype == 1 ? *(double*)alpha : *(float*)alpha;
  double none = Ctype == 1 ? *(double*)beta : *(float*)beta;
  call_t c = {x->stream, x->workspace, x->bytes, transa, transb, m, n, k, one, none, A, B, C, Ctype,
              lda, ldb, ldc, stepa, stepb, stepc, count, computeType};
  if (later) later(&c, sizeof c); else compute(&c);
  return 0;
}
"""


@functools.cache
def _library() -> Any:
    """The library, loaded for the life of the process under the name that is looked for."""
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder, "cublas.c"), Path(folder, "cublas.so")
        source.write_text(CODE, encoding="utf-8")
        name = f"-Wl,-soname,{NAME.format(12)}"
        command = [host.COMPILER or "c++", "-x", "c", "-shared", "-fPIC", name]
        command += ["-mf16c"] if host.HALF else []
        subprocess.run([*command, str(source), "-o", str(path)], check=True)
        return ctypes.CDLL(str(path))


class Library:
    """What the fake library is asked for.

    Attributes:
        calls: The bytes of each call's arguments.
    """

    def __init__(self, cupy: Any) -> None:
        self.cupy, self.calls = cupy, list[bytes]()
        self.library = _library()
        self._work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)(self._later)
        self.fail(0)

    def fail(self, how: int) -> None:
        """From now on: 0, work; 1, no handles; 2, no products."""
        self.library.fake_setup(self._work, how)

    def _later(self, place: int, size: int) -> None:
        call = ctypes.string_at(place, size)
        self.calls.append(call)
        self.cupy.do(lambda: self.library.compute(call), (), {})


def installed(cupy: Any, monkeypatch: Any) -> Library:
    """The fake library as the one that the fake CuPy has loaded."""
    library = Library(cupy)
    monkeypatch.setattr(cublas, "_LIBRARY", NAME)
    cupy.cuda.runtime.runtimeGetVersion = lambda: 12090
    return library
