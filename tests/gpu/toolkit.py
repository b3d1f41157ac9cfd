"""NVIDIA's compilers, where there are some: they need no device."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import glob
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["MISSING", "compiled", "found", "has_halves", "places"]

MISSING = (
    "there is neither NVRTC (pip install nvidia-cuda-nvrtc-cu12, or CUPY's own) nor nvcc: "
    "ci/cuda says what a machine with a GPU needs"
)


def places(what: str) -> list[str]:
    """Files of the packages nvidia-* and of installed toolkits."""
    roots = ["/usr/local/cuda", *sorted(glob.glob("/usr/local/cuda-*"), reverse=True)]
    if home := os.environ.get("CUDA_PATH"):
        roots.insert(0, home)
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        roots += sorted(glob.glob(f"{folder}/*"))
    return [path for root in roots for path in sorted(glob.glob(f"{root}/{what}"))]


@functools.cache
def _nvrtc() -> ctypes.CDLL | None:
    names = [p for w in ("lib/libnvrtc.so*", "lib64/libnvrtc.so*") for p in places(w)]
    for name in [*names, ctypes.util.find_library("nvrtc")]:
        if name and "builtins" not in name:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    return None


def found() -> str | None:
    """What compiles here, or None."""
    return "NVRTC" if _nvrtc() is not None else "nvcc" if shutil.which("nvcc") else None


@functools.cache
def _headers() -> str | None:
    paths = places("include/cuda_fp16.h")
    return str(Path(paths[0]).parent) if paths else None


def has_halves() -> bool:
    """Whether the headers of half precision are there."""
    return _headers() is not None or shutil.which("nvcc") is not None


def compiled(code: str, arch: int, options: tuple[str, ...]) -> str:
    """PTX of a program for devices of compute capability ``arch``.

    Raises:
        AssertionError: It does not compile; the message is the compiler's.
    """
    library = _nvrtc()
    if library is None:
        return _by_nvcc(code, arch, options)
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    given = [f"--gpu-architecture=compute_{arch}", *options]
    given += [f"-I{_headers()}"] if _headers() else []
    texts = (ctypes.c_char_p * len(given))(*(o.encode() for o in given))
    head = library.nvrtcCreateProgram(
        ctypes.byref(program), code.encode(), b"kernel.cu", 0, None, None
    )
    assert head == 0, head
    try:
        status = library.nvrtcCompileProgram(program, len(given), texts)
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        assert status == 0, f"{log.value.decode()}\n{code}"
        library.nvrtcGetPTXSize(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        library.nvrtcGetPTX(program, text)
        return text.value.decode()
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _by_nvcc(code: str, arch: int, options: tuple[str, ...]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        source, ptx = Path(folder, "kernel.cu"), Path(folder, "kernel.ptx")
        source.write_text(code, encoding="utf-8")
        command = ["nvcc", f"-arch=compute_{arch}", "-ptx", *options, "-o", str(ptx), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{code}"
        return ptx.read_text(encoding="utf-8")
