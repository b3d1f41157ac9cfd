"""A workload in a fresh process, to be looked at: steps for a sampling profiler, then their lines.

    python sampling.py ENGINE THREADS NAME SECONDS FILE

The profiler finds the steps by their function, `Session.sample`. What it cannot know is written to
FILE as JSON: how often a step comes to each line, and what text and arrays are there. For a
workload of memory it is what lives at a step's highest.
"""

import collections
import gc
import json
import linecache
import os
import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
from processes import HERE, ROOT
from worker import Session
from workloads import WORKLOADS

OURS = f"{ROOT / 'dezero'}{os.sep}", "<dezero "


def owner(frames):
    """Of a stack, innermost first, the frame that stands for it: dezero's, else the workload's."""
    for source in OURS, str(HERE):
        for frame in frames:
            if frame[0].startswith(source):
                return frame
    return "", 0, ""


def visits(run):
    """How often a step comes to each line of dezero, and calls each function; arrays of lines."""
    lines, calls, arrays = collections.Counter(), collections.Counter(), {}

    def local(frame, event, _):
        if event == "line":
            place = frame.f_code.co_filename, frame.f_lineno
            lines[place] += 1
            if place not in arrays:
                arrays[place] = named(linecache.getline(*place), frame.f_locals)
        return local

    def entered(frame, *_):
        calls[frame.f_code.co_filename, frame.f_code.co_qualname] += 1
        return local if frame.f_code.co_filename.startswith(OURS) else None

    sys.settrace(entered)
    try:
        run()
    finally:
        sys.settrace(None)
    return lines, calls, arrays


def named(text, values):
    """The arrays that a line names, as ``"x (64, 10), y (64,)"``."""
    found = {name: values.get(name) for name in re.findall(r"(?<![.\w])[^\W\d]\w*", text)}
    shapes = {n: v.shape for n, v in found.items() if isinstance(v, np.ndarray) and v.ndim}
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def living(run):
    """Bytes that live at a step's highest, by line; that line, and what it adds itself.

    Begins before the first step, so that what steps leave behind is counted. Steps must be alike:
    the third says where the highest is, the fourth stops there.
    """
    gc.disable()
    tracemalloc.start(12)
    run()
    run()
    highest, place, _ = at_highest(run)
    _, _, (now, snapshot) = at_highest(run, place)
    tracemalloc.stop()
    gc.enable()
    sizes = collections.Counter()
    for trace in snapshot.traces:
        frames = [(frame.filename, frame.lineno) for frame in reversed(trace.traceback)]
        sizes[owner(frames)[:2]] += trace.size
    return sizes, place[1:], highest - now


def at_highest(run, wanted=None):
    """The most bytes, and where: a line's number among all that are run, its file and line.

    With such a place as ``wanted``, also the bytes when it was reached, and a snapshot.
    """
    highest, place, here, number, found = 0, None, None, 0, None

    def local(frame, event, _):
        nonlocal highest, place, here, number, found
        now, most = tracemalloc.get_traced_memory()
        if most > highest:
            highest, place = most, here
        if event == "line":
            number += 1
            here = number, frame.f_code.co_filename, frame.f_lineno
            if here == wanted:
                found = now, tracemalloc.take_snapshot()
        tracemalloc.reset_peak()
        return local

    sys.settrace(local)
    try:
        run()
    finally:
        sys.settrace(None)
    if wanted is not None and found is None:
        raise RuntimeError(
            f"steps are not alike: {wanted} was the highest, and was not reached again"
        )
    return highest, place, found


def main():
    engine, threads, name, seconds, file = sys.argv[1:]
    session, workload = Session(engine, int(threads)), WORKLOADS[name]
    if workload.kind == "memory":
        session.load_code()
        session.set_up(workload.make())
        sizes, place, added = living(session.run)
        report = {"place": place, "text": linecache.getline(*place).strip(), "added": added}
        report["lines"] = [
            {"place": where, "text": linecache.getline(*where).strip(), "bytes": size}
            for where, size in sizes.most_common()
        ]
    else:
        session.results(name)
        once, _ = session.repeats(0.1)
        number = max(1, int(float(seconds) / sum(session.sample(once))))
        taken = sum(session.sample(number))
        lines, calls, arrays = visits(session.run)
        report = {"seconds": taken, "calls": calls.total()}
        report["functions"] = [[*function, count] for function, count in calls.items()]
        report["lines"] = [
            {"place": p, "text": linecache.getline(*p).strip(), "visits": n, "arrays": arrays[p]}
            for p, n in lines.items()
        ]
    Path(file).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
