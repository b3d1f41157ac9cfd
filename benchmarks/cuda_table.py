"""The rows for a GPU: dezero over CuPy, bare CuPy, PyTorch on the same device, as one table.

    python benchmarks/cuda_table.py [--only WORDS] [--rounds N] [--out FILE]

Where there is no CUDA device it says what is missing and leaves with exit status 0. The table also
goes to ``benchmarks/results/cuda-<device>.md``. The exit code is 1 if engines disagree.

A time is the device's and the host's together, from the first launch of many steps to the end of
the last: what is larger of launching and computing. ``host`` is what it takes to hand out a step.
"""

import argparse
import importlib
import platform
import re
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from workloads.cuda import ROWS, Libraries  # after the path, for a checkout that is not installed

ENGINES = ("dezero", "compiled", "cupy", "torch", "torch, graph", "torch, fused")


def libraries():
    """What the rows need, and what is missing where there is no device."""
    try:
        cupy = importlib.import_module("cupy")
        cupy.zeros(1)
    except Exception as error:  # no package, no driver, no device, or one that cannot be used
        return None, f"{type(error).__name__}: {error}"
    try:
        torch = importlib.import_module("torch")
        torch = torch if torch.cuda.is_available() else None
    except ImportError:
        torch = None
    return Libraries(cupy, torch), None


def on_host(x):
    """Results as NumPy's arrays."""
    if isinstance(x, (list, tuple)):
        return [array for part in x for array in on_host(part)]
    x = getattr(x, "data", x) if type(x).__module__.startswith("dezero") else x
    if hasattr(x, "detach"):
        return [x.detach().float().cpu().numpy()]
    return [np.asarray(x.get(), np.float32)]


def disagreement(steps, tolerance):
    """Between which engines results differ, or None. Calls each step several times."""
    found = {}
    for name, step in steps.items():
        # What is compiled is replayed from the third call on; steps of training move on.
        results = [on_host(step()) for _ in range(4)]
        found[name] = results[-1]
    first, truth = next(iter(found.items()))
    for name, arrays in found.items():
        for a, b in zip(arrays, truth, strict=True):
            error = float(np.max(np.abs(a - b), initial=0.0))
            if not error <= tolerance * float(np.max(np.abs(b), initial=1e-30)):
                return f"{name} and {first} differ by {error:.3g}"
    return None


def measured(steps, wait, rounds, seconds=0.05):
    """The least time of a step, and of handing it out, for each engine, in alternating rounds."""
    repeats, times = {}, dict.fromkeys(steps, (np.inf, np.inf))
    for name, step in steps.items():
        count, spent = 1, 0.0
        while spent < seconds / 4:
            count *= 2
            start = time.perf_counter()
            for _ in range(count):
                step()
            wait()
            spent = time.perf_counter() - start
        repeats[name] = max(3, int(count * seconds / spent))
    for i in range(rounds):
        for name in list(steps) if i % 2 == 0 else list(steps)[::-1]:
            step, count = steps[name], repeats[name]
            wait()
            start = time.perf_counter()
            for _ in range(count):
                step()
            out = time.perf_counter() - start
            wait()
            whole = time.perf_counter() - start
            times[name] = min(times[name][0], whole / count), min(times[name][1], out / count)
    return times


def line(name, times):
    """A row of the table."""
    cells = []
    for engine in ENGINES:
        whole, out = times.get(engine, (None, None))
        cells.append("-" if whole is None else f"{whole * 1e6:,.1f} ({out * 1e6:,.1f})")
    peer = min((times[e][0] for e in times if e.startswith("torch")), default=None)
    ours = min(times[e][0] for e in ("dezero", "compiled") if e in times)
    cells.append("-" if peer is None else f"{ours / peer:.2f}")
    return f"| {name} | {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="rows whose name has these words")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="instead of results/cuda-<device>.md")
    arguments = parser.parse_args()

    lib, missing = libraries()
    if lib is None:
        print(f"no usable CUDA device: {missing}; nothing was measured")
        return
    cupy, wrong = lib.cupy, []
    device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    versions = [f"CuPy {cupy.__version__}", f"CUDA {cupy.cuda.runtime.runtimeGetVersion()}"]
    versions += [f"PyTorch {lib.torch.__version__}"] if lib.torch else ["no PyTorch with CUDA"]
    heads = " | ".join((*ENGINES, "of PyTorch's best"))
    text = [
        f"# dezero on {device}",
        "",
        f"`python benchmarks/cuda_table.py`: {', '.join(versions)}, CPython "
        f"{platform.python_version()}. Microseconds of a step, and in brackets of handing it out; "
        f"the least of {arguments.rounds} alternating rounds.",
        "",
        f"| step | {heads} |",
        "|---" * (len(ENGINES) + 2) + "|",
    ]
    print("\n".join(text))
    for row in ROWS:
        if arguments.only not in row.name:
            continue
        steps = row.make(lib)
        if problem := disagreement(steps, row.tolerance):
            wrong.append(f"{row.name}: {problem}")
            print(wrong[-1], file=sys.stderr)
            continue
        times = measured(steps, cupy.cuda.Device().synchronize, arguments.rounds)
        text.append(line(row.name, times))
        print(text[-1], flush=True)
        del steps
        cupy.get_default_memory_pool().free_all_blocks()
    name = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    out = arguments.out or Path(__file__).parent / "results" / f"cuda-{name}.md"
    if not wrong and (arguments.out or not arguments.only):
        out.write_text("\n".join(text) + "\n", encoding="utf-8")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
