"""One engine in a process of its own: it takes samples of workloads as it is told.

    python worker.py ENGINE THREADS

Requests and answers are pickled, on standard input and output: a tuple of a method of `Session`
and its arguments; then ``"ok"`` with what it gives, ``"missing"`` or ``"failed"`` with the reason.
"""

import contextlib
import ctypes
import gc
import importlib.metadata
import inspect
import os
import pickle
import sys
import time
import traceback
import tracemalloc
from pathlib import Path

from engines import ENGINES, Missing
from workloads import WORKLOADS
from workloads.base import Gradient

STATUS = Path("/proc/self/status")
NO_MEMORY = "what a process occupies is measured on Linux only"


class Session:
    """An engine and the program that it runs."""

    def __init__(self, name, threads):
        self.threads = threads
        self.engine = ENGINES[name](threads)
        # CPU time of the process: others disturb it least. It adds up the threads' times.
        self.clock = time.process_time if threads == 1 else time.perf_counter
        self.step = None

    def about(self):
        """The library's version and file."""
        library = self.engine.library
        if hasattr(library, "__version__"):
            return library.__version__, library.__file__
        return importlib.metadata.version(self.engine.module), library.__file__

    def results(self, name):
        """The arrays of the first step of those to be timed, and what a time is divided by."""
        program = WORKLOADS[name].make()
        self.set_up(program)
        for _ in range(self.engine.calls):
            found = self.run()
        self.engine.check(self.step)
        arrays = [self.engine.host(x) for x in found]
        del found
        gc.collect()
        # The size of a library, that is of its modules, must not count for its graphs.
        gc.freeze()
        return arrays, program.operations

    def truth(self, name, calls):
        """The arrays of a later step, from float64."""
        self.set_up(WORKLOADS[name].make().widened())
        for _ in range(calls):
            found = self.run()
        arrays = [self.engine.host(x) for x in found]
        del found
        self.drop()
        return arrays

    def method(self, program):
        """What a program has for the engine."""
        found = getattr(program, self.engine.method, "")
        if isinstance(found, str):
            raise Missing(found)
        return found

    def set_up(self, program):
        found = self.method(program)
        if isinstance(program, Gradient):
            step = self.engine.gradient(found(), program.g)
            self.arguments = [self.engine.leaf(a) for a in program.leaves]
        else:
            step, *self.arguments = found()
        self.in_phases = inspect.isgeneratorfunction(step)
        self.step = step if self.in_phases else self.engine.finished(step)

    def run(self):
        result = self.step(*self.arguments)
        if self.in_phases:
            *_, result = result
        return result

    def repeats(self, seconds):
        """How many steps take about so long, and the seconds that they took."""
        number, taken = 1, sum(self.sample(1))
        while taken < seconds and number < 1_000_000:
            number = max(number * 2, int(number * 1.1 * seconds / max(taken, 1e-6)))
            taken = sum(self.sample(number)) * number
        return number, taken

    def sample(self, number):
        """Seconds a step, of each figure."""
        gc.collect()
        step, arguments, clock, numbers = self.step, self.arguments, self.clock, range(number)
        if not self.in_phases:
            begin = clock()
            for _ in numbers:
                step(*arguments)
            return [(clock() - begin) / number]
        passes = []
        for _ in numbers:
            times, begin = [], clock()
            for _ in step(*arguments):
                end = clock()
                times.append(end - begin)
                begin = clock()
            passes.append(times)
        return [sum(times) / number for times in zip(*passes, strict=True)]

    def drop(self):
        """Forget the program."""
        self.step = self.arguments = None
        gc.unfreeze()
        gc.collect()

    def memory(self, name):
        """Bytes at the highest of a step beyond its parameters and data; those kept by forward.

        For a fresh process.
        """
        self.load_code()
        program = WORKLOADS[name].make()
        self.set_up(program)
        before, kept = anonymous(), None
        with contextlib.suppress(Missing):
            if isinstance(program, Gradient):
                forward = self.method(program)()
                graph = self.engine.recorded(forward, self.arguments)
                kept = anonymous() - before
                del graph
        self.run()
        return_free_memory()
        forget_peak()
        for _ in range(3):
            self.run()
        return [occupied("VmHWM") - occupied("RssFile") - before, kept]

    def load_code(self):
        """Run small programs: their code does not count for what comes next."""
        for small in ("tiny-mlp", "chain-1000"):
            with contextlib.suppress(Missing):
                self.set_up(WORKLOADS[small].make())
                self.run()
        self.drop()

    def graph(self, name):
        """Bytes an operation of a graph: those of Python beyond the arrays, and all."""
        program = WORKLOADS[name].make()
        found = self.method(program)
        leaves = [self.engine.leaf(a) for a in program.leaves]
        beyond = None
        with contextlib.suppress(Missing):
            for _ in range(2):  # the first pass writes the functions' code
                beyond = self.counted(found, leaves) / program.operations
        forward = found()
        first = self.engine.recorded(forward, leaves)
        del first
        graphs, before = [self.engine.recorded(forward, leaves)], anonymous()
        graphs += [self.engine.recorded(forward, leaves) for _ in range(5)]
        return [beyond, (anonymous() - before) / (5 * program.operations)]

    def counted(self, make, leaves):
        arrays = []
        forward = make(seen=lambda v: arrays.append(self.engine.raw(v)))
        gc.collect()
        tracemalloc.start()
        graph = self.engine.recorded(forward, leaves)
        gc.collect()
        with_graph = tracemalloc.get_traced_memory()[0]
        del graph
        gc.collect()
        without = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return with_graph - without


def occupied(field):
    """Bytes of the process: ``VmHWM`` at its highest, ``RssAnon`` now without files' pages."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise Missing(NO_MEMORY)


def anonymous():
    return_free_memory()
    return occupied("RssAnon")


def forget_peak():
    """Let ``VmHWM`` start again from what is occupied now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        raise Missing(NO_MEMORY) from None


def return_free_memory():
    """Give the system what the C library keeps of freed memory, where it can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def main():
    name, threads = sys.argv[1], int(sys.argv[2])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print does not get among the answers
    session = None
    while True:
        try:
            method, *arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            if session is None:
                session = Session(name, threads)
            answer = "ok", getattr(session, method)(*arguments)
        except Missing as error:
            answer = "missing", str(error)
        except Exception:
            answer = "failed", traceback.format_exc()
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
