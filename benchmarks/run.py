"""Every benchmark for every engine that is installed, as one table.

    python benchmarks/run.py [--quick] [--only NAME ...] [--book PATH] [--out FILE] ...

An engine runs in a process of its own; all processes take a sample in turn, in alternating rounds.
An engine's numbers are compared with those of NumPy by hand before it is timed. The exit code is 1
if numbers of dezero are wrong or a workload of it failed; with ``--strict`` also if a target was
missed.
"""

import argparse
import contextlib
import fnmatch
import json
import sys
from pathlib import Path

import numpy as np
import table
from engines import ENGINES
from processes import ROOT, Importing, Refused, Worker
from workloads import FAMILIES

OURS = ("numpy", "dezero", "compiled")


def wrong(arrays, truth, workload):
    """In which way ``arrays`` differ from the true ones, or None."""
    if len(arrays) != len(truth):
        return f"wrong: {len(arrays)} arrays instead of {len(truth)}"
    for i, (found, true) in enumerate(zip(arrays, truth, strict=True)):
        if found.shape != true.shape:
            return f"wrong: result {i} has shape {found.shape} instead of {true.shape}"
        error = np.abs(found.astype(np.float64) - true)
        far = ~(error <= workload.rtol * np.max(np.abs(true), initial=1e-30))
        if np.mean(far) > workload.share:
            return f"wrong: result {i}: {far.sum()} of {far.size} numbers, by {error.max():.3g}"
    return None


class Suite:
    """One run: its workers, and what they gave.

    Args:
        engines: For the name of each column its engine, and the folder of its package dezero.
        rounds: How many samples each takes; an engine that needs over a second for one, 3 at most.
        seconds: What a sample takes at least.
        threads: For workloads that don't say themselves how many.
    """

    def __init__(self, engines, rounds=7, seconds=0.02, threads=1):
        self.engines, self.rounds, self.seconds = engines, rounds, seconds
        self.threads = threads
        self.workers, self.rows, self.notes, self.versions = {}, [], [], {}
        self.failed = False

    def worker(self, name, threads):
        key = name, threads
        if key not in self.workers:
            engine, path = self.engines.get(name, (name, None))
            self.workers[key] = Worker(engine, threads, path)
        return self.workers[key]

    def close(self):
        for worker in self.workers.values():
            worker.close()

    def note(self, workload, engine, reason, broken):
        """Say why there is no figure."""
        if broken:
            self.failed |= engine in OURS
            print(f"{workload.name}, {engine}: {reason}", file=sys.stderr)
        if reason:
            entry = {"workload": workload.name, "engine": engine, "reason": reason}
            self.notes.append(entry)

    def measure(self, family, workload):
        """Add the rows of a workload."""
        engines = list(self.engines)
        if not any(target.engine == "compiled" for target in workload.targets):
            engines = [engine for engine in engines if engine != "compiled"]
        samples = getattr(self, workload.kind)(workload, engines)
        for i, figure in enumerate(workload.figures):
            values = {e: [s[i] for s in found] for e, found in samples.items()}
            row = {"name": workload.name, "family": family, "figure": figure}
            row |= {"what": workload.what, "unit": workload.unit}
            row["samples"] = {e: v for e, v in values.items() if v and None not in v}
            if i and not row["samples"]:  # no engine has it
                continue
            self.rows.append(row | {"wanted": [t for t in workload.targets if t.figure == figure]})

    def time(self, workload, engines):
        """Seconds an operation, in alternating rounds; without the engines that are wrong."""
        threads = workload.threads or self.threads
        samples, number, operations, rounds = {}, {}, {}, {}
        calls = {engine: ENGINES[self.engines[engine][0]].calls for engine in engines}
        try:
            numpy = self.worker("numpy", threads)
            truth = {n: numpy.ask("truth", workload.name, n) for n in sorted({*calls.values()})}
        except Refused as refusal:
            self.note(workload, "numpy", str(refusal), True)
            return samples
        for engine in engines:
            worker = self.worker(engine, threads)
            with self.noting(workload, engine):
                if engine not in self.versions:
                    self.versions[engine] = worker.ask("about")[0]
                arrays, operations[engine] = worker.ask("results", workload.name)
                if error := wrong(arrays, truth[calls[engine]], workload):
                    worker.ask("drop")
                    raise Refused(error, True)
                number[engine], seconds = worker.ask("repeats", self.seconds)
                rounds[engine] = self.rounds if seconds < 1.0 else min(self.rounds, 3)
                samples[engine] = []
        for i in range(self.rounds):
            for engine in list(samples) if i % 2 == 0 else list(samples)[::-1]:
                if i >= rounds[engine]:  # one step takes so long that three must do
                    continue
                with self.noting(workload, engine, samples):
                    found = self.worker(engine, threads).ask("sample", number[engine])
                    samples[engine].append(found)
        for engine, found in samples.items():
            samples[engine] = [[t / operations[engine] for t in times] for times in found]
            self.worker(engine, threads).ask("drop")
        return samples

    def memory(self, workload, engines):
        """What fresh processes occupy."""
        samples = {}
        for engine in engines:
            module, path = self.engines[engine]
            worker = Worker(module, self.threads, path)
            with self.noting(workload, engine), worker:
                samples[engine] = [worker.ask(workload.kind, workload.name.removeprefix("memory-"))]
        return samples

    graph = memory

    def importing(self, workload, engines):
        """Seconds to import an engine's package, in fresh processes that alternate."""
        samples = {}
        with contextlib.ExitStack() as stack:
            imports = {}
            for engine in engines:
                with self.noting(workload, engine):
                    name, path = self.engines[engine]
                    made = Importing(ENGINES[name].module, path)
                    imports[engine] = stack.enter_context(made)
                    imports[engine].seconds()  # writes the byte code, fills the system's file cache
                    samples[engine] = []
            for i in range(self.rounds):
                for engine in list(samples) if i % 2 == 0 else list(samples)[::-1]:
                    samples[engine].append([imports[engine].seconds()])
        return samples

    @contextlib.contextmanager
    def noting(self, workload, engine, samples=None):
        """Take an engine that refuses out of the samples, with a note."""
        try:
            yield
        except Refused as refusal:
            if samples is not None:
                del samples[engine]
            self.note(workload, engine, str(refusal), refusal.broken)

    def report(self, options):
        """All of it, as it is written to JSON."""
        rows = {(row["name"], row["figure"]): row for row in self.rows}
        for row in self.rows:
            found = [table.judged(row["name"], target, rows) for target in row.pop("wanted")]
            row["targets"] = [target for target in found if target is not None]
        return {
            "machine": table.machine(),
            "options": options,
            "versions": self.versions,
            "rows": self.rows,
            "notes": self.notes,
        }


def chosen(patterns, quick):
    """Pairs of a family's name and a workload."""
    everything = [(f, w) for f, workloads in FAMILIES.items() for w in workloads]
    for pattern in patterns:
        if not any(fnmatch.fnmatch(n, pattern) for f, w in everything for n in (f, w.name)):
            names = ", ".join([*FAMILIES, *(w.name for _, w in everything)])
            sys.exit(f"no workload is named {pattern!r}; there are {names}")
    return [
        (family, workload)
        for family, workload in everything
        if not (quick and workload.slow)
        and (
            not patterns
            or any(fnmatch.fnmatch(n, p) for p in patterns for n in (family, workload.name))
        )
    ]


def positive(text):
    """An argument that is a whole number from 1 on."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def new_file(text):
    """An argument that is a file to be written: that it can be is known before the run."""
    file = Path(text)
    if file.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file, got the folder {text!r}")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def picture(text):
    """The same for a picture."""
    kinds = table.pyplot().gcf().canvas.get_supported_filetypes()
    if Path(text).suffix[1:].lower() not in kinds:
        raise argparse.ArgumentTypeError(f"expected a file of {', '.join(kinds)}, got {text!r}")
    return new_file(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=positive, metavar="N", help="samples of each engine, 7")
    parser.add_argument("--quick", action="store_true", help="3 short samples, no large graphs")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME",
        help="workloads or families; patterns such as 'conv*' too",
    )  # fmt: skip
    parser.add_argument(
        "--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="NAME",
        help=f"of {', '.join(ENGINES)}; by default those that are installed",
    )  # fmt: skip
    parser.add_argument("--threads", type=positive, default=1, metavar="N")
    parser.add_argument(
        "--book", type=Path, metavar="PATH", help="a checkout of the book's package"
    )
    parser.add_argument(
        "--json", type=new_file, metavar="FILE", help="also write all samples there"
    )
    parser.add_argument("--out", type=new_file, metavar="FILE", help="also write the table there")
    parser.add_argument("--plot", type=picture, metavar="FILE", help="draw the ratios to PyTorch's")
    parser.add_argument("--strict", action="store_true", help="exit code 1 if a target was missed")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 7)
    paths = {"dezero": ROOT, "compiled": ROOT, "book": options.book}
    engines = {e: (e, paths.get(e)) for e in options.engines if e != "book" or options.book}
    if not engines:
        parser.error("--engines book: --book says where it is")
    if options.book is not None and not (options.book / "dezero").is_dir():
        parser.error(f"--book {options.book}: expected a folder that holds the book's dezero/")
    workloads = chosen(options.only, options.quick)
    if not workloads:
        parser.error(f"--only {' '.join(options.only)}: --quick leaves all of these out")

    suite = Suite(engines, rounds, 0.005 if options.quick else 0.02, options.threads)
    try:
        for family, workload in workloads:
            print(f"{workload.name} ...", file=sys.stderr, flush=True)
            suite.measure(family, workload)
    finally:
        suite.close()
    report = suite.report({"rounds": rounds, "threads": options.threads, "quick": options.quick})
    text = table.markdown(report)
    print(text)
    for file, content in ((options.json, json.dumps(report, indent=1) + "\n"), (options.out, text)):
        if file is not None:
            file.write_text(content)
    if options.plot is not None:
        table.plot(report, options.plot)
    missed = any(not target["met"] for row in report["rows"] for target in row["targets"])
    return 1 if suite.failed or (options.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
