"""Compare two commits of dezero; fail where HEAD is slower than the noise that BASE has.

    ci/bench [BASE [HEAD]] [--only NAME ...] [--rounds N]

BASE, a second process of BASE, and HEAD take samples in alternating rounds, in several launches of
fresh processes. The noise is the most that BASE differed from itself in a launch; HEAD is slower if
it was so in every launch by more than that. What seems slower is measured once more before it
counts.
"""

import argparse
import contextlib
import math
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from processes import ROOT
from run import Suite, chosen, positive
from table import cell


@contextlib.contextmanager
def tree(name):
    """A folder with the files of a commit; or that folder itself, if ``name`` is one."""
    if (Path(name) / "dezero").is_dir():
        yield Path(name).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "tree.zip"
        command = ["git", "archive", f"--output={archive}", name, "--", "dezero"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}: {done.stderr.strip()}")
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        yield Path(folder)


def measured(workloads, base, head, options):
    """For each figure of the workloads its unit, seconds of all, changes and noise by launches."""
    found, failed = {}, []
    for launch in range(options.launches):
        folders = {"base": base, "again": base, "head": head}
        engines = {name: ("dezero", folder) for name, folder in folders.items()}
        suite = Suite(engines, options.rounds)
        try:
            for workload in workloads:
                print(f"launch {launch + 1}, {workload.name} ...", file=sys.stderr, flush=True)
                samples = suite.time(workload, list(engines))
                if "base" in samples and "head" not in samples:
                    failed.append(workload.name)
                if len(samples) < 3:
                    continue
                for i, figure in enumerate(workload.figures):
                    name = f"{workload.name} {figure}".strip()
                    times = {e: [s[i] for s in rounds] for e, rounds in samples.items()}
                    entry = found.setdefault(name, {"workload": workload, "launches": []})
                    entry["launches"].append(times)
        finally:
            suite.close()
    for entry in found.values():
        judge(entry)
    return found, failed


def judge(entry):
    """Add the change, the noise, both of logarithms, and the verdict."""
    changes, noises = [], []
    for times in entry["launches"]:
        # A process that takes over a second for a sample takes fewer of them.
        triples = list(zip(times["base"], times["again"], times["head"], strict=False))
        changes.append(statistics.median(math.log(h / math.sqrt(a * b)) for a, b, h in triples))
        noises.append(abs(statistics.median(math.log(b / a) for a, b, _ in triples)))
    entry["change"], entry["noise"] = statistics.median(changes), max(noises)
    entry["slower"] = min(changes) > entry["noise"]
    entry["faster"] = max(changes) < -entry["noise"]


def line(name, entry):
    unit = entry["workload"].unit
    times = {
        e: [t for launch in entry["launches"] for t in launch[e]] for e in ("base", "again", "head")
    }
    cells = cell(times["base"] + times["again"], unit), cell(times["head"], unit)
    verdict = "**slower**" if entry["slower"] else "faster" if entry["faster"] else ""
    change, noise = 100 * math.expm1(entry["change"]), 100 * math.expm1(entry["noise"])
    return (
        f"| {name} | {unit} | {' | '.join(cells)} | {change:+.1f} % | {noise:.1f} % | {verdict} |"
    )


def main():
    parser = argparse.ArgumentParser(prog="ci/bench", description=__doc__.partition("\n")[0])
    parser.add_argument("base", nargs="?", default="HEAD~1", metavar="BASE")
    parser.add_argument(
        "head", nargs="?", default=str(ROOT), metavar="HEAD", help="by default the working tree"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="of a launch")
    parser.add_argument("--launches", type=positive, default=3, metavar="N")
    options = parser.parse_args()
    workloads = [
        workload
        for _, workload in chosen(options.only, quick=not options.only)
        if workload.kind == "time" and workload.threads is None
    ]
    if not workloads:
        parser.error(f"--only {' '.join(options.only)}: no times of one thread are among these")
    with tree(options.base) as base, tree(options.head) as head:
        found, failed = measured(workloads, base, head, options)
        suspects = {e["workload"].name: e["workload"] for e in found.values() if e["slower"]}
        again, _ = measured(suspects.values(), base, head, options)
    for name, entry in again.items():
        if found[name]["slower"]:
            found[name] = entry
    lines = [
        f"| | | {options.base} | {options.head} | change | noise | |",
        "|---|---|---|---|---|---|---|",
        *(line(name, entry) for name, entry in found.items()),
    ]
    print("\n".join(lines))
    slower = [name for name, entry in found.items() if entry["slower"]]
    if failed:
        print(f"failed with HEAD only: {', '.join(dict.fromkeys(failed))}", file=sys.stderr)
    if slower:
        print(f"slower than the noise: {', '.join(slower)}", file=sys.stderr)
    return 1 if slower or failed else 0


if __name__ == "__main__":
    sys.exit(main())
