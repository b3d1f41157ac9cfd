"""What the benchmarks share: one thread, alternating rounds, ratios, and tables of them.

Import it before any array library: it sets the number of threads, which is read once.
"""

import argparse
import gc
import importlib
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

for _name in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR"):
    os.environ[f"{_name}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402  (after the number of threads)

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def peer():
    """PyTorch on one thread, or None where it is not installed."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch


def arguments(doc, **options):
    """The command line of one benchmark: ``--rounds``, ``--json`` and what ``options`` adds.

    An option is its default value; ``False`` makes a switch.
    """
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    for name, value in options.items():
        if value is False:
            parser.add_argument(f"--{name.replace('_', '-')}", action="store_true")
        else:
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    return parser.parse_args()


def rounds(programs, count, least=0.02, clock=time.process_time):
    """Seconds per call of each program, in ``count`` alternating rounds.

    Args:
        programs: Callables by name; None stands for one that is not there.
        count: How many rounds. The order is reversed in every other one.
        least: A sample repeats a program until it takes about this many seconds.
        clock: CPU time of the process by default, which other processes disturb least.

    Returns:
        A list of seconds per call for each program, in the order of the rounds.
    """
    programs = {name: program for name, program in programs.items() if program is not None}
    repeats = {}
    for name, program in programs.items():
        program()
        number, seconds = 1, _sample(program, 1, clock)
        while seconds < least and number < 1_000_000:
            number = max(number * 2, int(number * 1.1 * least / max(seconds, 1e-6)))
            seconds = _sample(program, number, clock)
        repeats[name] = number
    samples = {name: [] for name in programs}
    for i in range(count):
        names = list(programs)
        for name in names if i % 2 == 0 else reversed(names):
            samples[name].append(_sample(programs[name], repeats[name], clock) / repeats[name])
    return samples


def _sample(program, number, clock):
    begin = clock()
    for _ in range(number):
        program()
    return clock() - begin


def phased(programs, count, collect=False, clock=time.process_time):
    """Seconds of each phase of each program, in ``count`` alternating rounds.

    A program is a generator function: it yields between its phases, so that the graph of one phase
    is there for the next. The first pass of each is not counted. ``collect`` calls the cyclic
    collector before each pass; it stays on in any case.

    Returns:
        For each program and each phase, a list of seconds in the order of the rounds.
    """
    programs = {name: program for name, program in programs.items() if program is not None}
    samples = dict.fromkeys(programs)
    for i in range(count + 1):
        names = list(programs)
        for name in names if i % 2 == 0 else reversed(names):
            if collect:
                gc.collect()
            times, steps = [], programs[name]()
            begin = clock()
            for _ in steps:
                end = clock()
                times.append(end - begin)
                begin = clock()
            if samples[name] is None:
                samples[name] = [[] for _ in times]
            elif i > 0:
                for row, seconds in zip(samples[name], times, strict=True):
                    row.append(seconds)
    return samples


def median(samples, scale=1.0):
    """The median times ``scale``; None for no samples."""
    return None if not samples else statistics.median(samples) * scale


def ratio(ours, theirs):
    """The median of the rounds' ratios, which a slow spell of the machine leaves alone."""
    if not ours or not theirs:
        return None
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True) if b)


def row(what, unit, ours, against, theirs, value, target=None):
    """One line of a table: our figure, that of ``against``, their ratio and its target."""
    return {
        "what": what,
        "unit": unit,
        "ours": ours,
        "against": against,
        "theirs": theirs,
        "ratio": value,
        "target": target,
        "met": None if target is None or value is None else value <= target,
    }


def machine():
    """What the figures depend on, in words."""
    torch = sys.modules.get("torch")
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "numpy": np.__version__,
        "torch": getattr(torch, "__version__", None),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _number(x):
    if x is None:
        return "-"
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def markdown(title, rows):
    """A Markdown table of the rows."""
    lines = [
        f"## {title}",
        "",
        "| | dezero | against | | ratio | target | |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        verdict = {True: "met", False: "**missed**", None: ""}[r["met"]]
        target = "" if r["target"] is None else f"at most {r['target']:g}"
        value = "-" if r["ratio"] is None else f"{r['ratio']:.2f}"
        theirs = "-" if r["theirs"] is None else f"{_number(r['theirs'])} {r['unit']}"
        ours = f"{_number(r['ours'])} {r['unit']}"
        lines.append(
            f"| {r['what']} | {ours} | {r['against']} | {theirs} | {value} | {target} | {verdict} |"
        )
    return "\n".join(lines)


def report(title, rows, file=None, notes=()):
    """Print the rows as a table, and write them to ``file`` as JSON.

    Returns:
        An exit code: 1 if a target was missed, else 0.
    """
    print(markdown(title, rows))
    for note in notes:
        print(f"\n{note}")
    if file is not None:
        content = {"title": title, "machine": machine(), "rows": rows, "notes": list(notes)}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1) + "\n")
    return 1 if any(r["met"] is False for r in rows) else 0


WITHOUT_PEER = "PyTorch is not installed: only ratios to NumPy and absolute figures are shown."
