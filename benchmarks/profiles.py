"""Where the time of dezero's steps goes, line by line, and what lives at their peaks.

    python benchmarks/profiles.py [NAME ...] [--json FILE] [--out FILE] [--plot FILE]

Of the workloads named, or of the rows that a run of the suite missed. Times need py-spy, which
looks at the process from outside, a thousand times a second: the program runs as it always does.
"""

import argparse
import collections
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import table
from processes import HERE, ROOT, environment
from run import chosen, new_file, picture, positive
from sampling import owner
from workloads import WORKLOADS

# What a line of array work is about: the first whose names are found in it.
KINDS = {
    "exp, tanh, log": r"\b(_np_)?(exp|expm1|log|log1p|tanh|sqrt|power)\(",
    "matrix products": r" @ |\b(_np_)?(matmul|dot|einsum|vecdot|vdot|tensordot)\(",
    "sums, maxima": r"(\.|_np_|^|= )(sum|mean|max|min|any|all|argmax|reduce|reduceat)\(",
    "indices": r"\b(take|put|at|repeat|where|nonzero|bincount)\(",
    "elementwise": r"\bout=|_np_|\w \*\*? | [-+/] |[-+*/]= |\bfunction\(\*args\)",
    "copies": r"\b(copy|copyto|\w+_like|empty|zeros|ones|full|fill|astype|\w*stack|concatenate)\(",
}
PYTHON, PROGRAM = "Python", "the program"
SHADES = "C3", "C0", "C2", "C5", "C1", "C9", "0.5", "0.8"
COLOURS = dict(zip([*KINDS, PYTHON, PROGRAM], SHADES, strict=True))
WITH_ARRAYS = "dezero/backends/", "dezero/functions/", "dezero/optimizers/", "<dezero compiled"
LEAST = 0.01  # of the whole, to be shown
ALONE = 0.02  # the same for a line of Python; what is less is shown with its function
LONGEST = 110  # letters of a line's text

INTRODUCTION = """\
# Profiles of {date}

{python}, {system}, {processors} processors. Made by `python benchmarks/profiles.py`: fresh
processes, with one thread unless the row says two. A thousand times a second py-spy reads at which
line a process is; a share is that of the samples, and µs are so much of a step's time without
py-spy. Time within NumPy counts for dezero's line that called it. How often a step comes to a line,
and with which arrays at first, is counted in a step of its own. A line of Python with less than 2 %
is shown with its function. Verdicts are those of the suite's run."""


def kind(file, text, arrays):
    """What a line's time is spent on; ``arrays`` are those that it names, with their shapes."""
    if not file.startswith(("dezero/", "<dezero ")):
        return PROGRAM
    names = "|".join(re.findall(r"(\w+) \(", arrays))
    if names and re.search(rf"\w\[~?({names})\b", text):
        return "indices"
    # In the text written for a primitive, the lines that assign these have the formula and rules.
    if names or file.startswith(WITH_ARRAYS) or re.match(r"(_y|d) = ", text):
        rest = "elementwise" if names and file.startswith("<dezero compiled") else PYTHON
        return next((name for name, found in KINDS.items() if re.search(found, text)), rest)
    return PYTHON


def ran(workload, engine, seconds, sampled=False):
    """What `sampling.py` reports of a fresh process; with ``sampled`` also the stacks found."""
    threads = workload.threads or 1
    with tempfile.TemporaryDirectory() as folder:
        report, stacks = Path(folder) / "report.json", Path(folder) / "stacks.json"
        command = [sys.executable, HERE / "sampling.py", engine, str(threads), workload.name]
        command += [str(seconds), report]
        if sampled:
            spy = ["py-spy", "record", "--format", "speedscope", "--full-filenames"]
            command = [*spy, "--rate", "1000", "--output", stacks, "--", *command]
        done = subprocess.run(
            command, env=environment(threads, ROOT), capture_output=True, text=True, check=False
        )
        if not report.exists() or (sampled and not stacks.exists()):
            sys.exit(f"{workload.name}, {engine}: {done.stderr.strip() or done.stdout.strip()}")
        found = json.loads(report.read_text())
        if sampled:
            found["stacks"] = json.loads(stacks.read_text())
        return found


def timed(workload, engine, seconds):
    """Where the time of a step goes."""
    plain, found = ran(workload, engine, seconds), ran(workload, engine, seconds, sampled=True)
    shared = found["stacks"]["shared"]["frames"]
    frames = [(frame["file"], frame["line"], frame["name"]) for frame in shared]
    counts = collections.Counter()
    for thread in found["stacks"]["profiles"]:
        for stack in thread["samples"]:
            inner = [frames[i] for i in reversed(stack)]
            if any(name == "Session.sample" for _, _, name in inner):
                counts[owner(inner)] += 1
    known = {tuple(entry["place"]): entry for entry in found["lines"]}
    calls = {(file, function): count for file, function, count in found["functions"]}
    kinds, rows = collections.Counter(), {}
    for (file, line, function), count in counts.items():
        entry = known.get((file, line), {"text": "", "visits": 0, "arrays": ""})
        name, share = short(file), count / counts.total()
        what = kind(name, entry["text"], entry["arrays"])
        kinds[what] += share
        row = {"kind": what, "where": f"{name}:{line} {function}", "share": 0.0}
        row |= {"times": entry["visits"], "text": entry["text"], "arrays": entry["arrays"]}
        if what in (PYTHON, PROGRAM) and share < ALONE:
            row |= {"where": f"{name} {function}", "times": calls.get((file, function), 0)}
            row |= {"text": "", "arrays": ""}
        rows.setdefault(row["where"], row)["share"] += share
    return {
        "seconds": plain["seconds"],
        "sampled": found["seconds"],
        "samples": counts.total(),
        "calls": found["calls"],
        "kinds": kinds,
        "rows": sorted(rows.values(), key=lambda row: -row["share"]),
    }


def short(file):
    """A file's name within the repository."""
    return file.removeprefix(f"{ROOT}/")


def chosen_rows(patterns, rows):
    """Pairs of a workload and an engine: those of the patterns, or what missed a target."""
    if patterns:
        workloads = [workload for _, workload in chosen(patterns, quick=False)]
        pairs = [(w, target.engine) for w in workloads for target in w.targets]
    else:
        missed = [(row, t) for row in rows for t in row["targets"] if not t["met"]]
        pairs = [(WORKLOADS[row["name"]], target["engine"]) for row, target in missed]
    return [pair for pair in dict.fromkeys(pairs) if pair[0].kind in ("time", "memory")]


def compared(rows, engine):
    """What a run of the suite has about a workload: in words; ratio, peer and limit, or None."""
    targets = [t for row in rows for t in row["targets"] if t["engine"] == engine]
    words = "; ".join(map(table.verdict, targets))
    peers = [t for t in targets if t["against"] and not t["workload"]]
    if not peers:
        return words, None
    found = min(peers, key=lambda target: target["met"])
    if len(rows) == 1:
        return words, (found["ratio"], found["against"], found["limit"])
    ours, theirs = (
        sum(statistics.median(row["samples"][e]) for row in rows)
        for e in (engine, found["against"])
    )
    return words, (ours / theirs, found["against"], None)


def code(text):
    """``text`` in a cell of a table."""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    return f"`` {text} ``".replace("|", "\\|") if text else ""


def time_table(workload, profile, words):
    seconds, slower = profile["seconds"], profile["sampled"] / profile["seconds"] - 1
    rows = [row for row in profile["rows"] if row["share"] >= LEAST]
    rest = {"share": 1.0 - sum(row["share"] for row in rows), "kind": "all other lines"}
    rest |= dict.fromkeys(("times", "text", "arrays", "where"), "")
    lines = [
        f"{workload.what}: {table.cell([seconds], workload.unit)} {workload.unit} a step, "
        f"{100 * slower:+.0f} % while sampled; {profile['samples']:,} samples; "
        f"{profile['calls']:,} calls of Python functions a step. {words}",
        "",
        "| share | µs | times | | line, its arrays | where |",
        "|---:|---:|---:|---|---|---|",
    ]
    for row in [*rows, rest]:
        shown = "<br>".join(filter(None, (code(row["text"]), row["arrays"])))
        lines.append(
            f"| {100 * row['share']:.1f} % | {table.number(row['share'] * seconds * 1e6)} | "
            f"{row['times'] or ''} | {row['kind']} | {shown} | {code(row['where'])} |"
        )
    return lines


def memory_table(workload, report, words):
    """What lives when a step needs most."""
    whole = sum(entry["bytes"] for entry in report["lines"]) + report["added"]
    file, line = report["place"]
    highest = {"place": [file, line], "text": report["text"], "bytes": report["added"]}
    lines = [
        f"{workload.what}: {whole / 2**20:.1f} MiB at the highest of a step, as tracemalloc "
        f"counts. {words}",
        "",
        "| MiB | | line that made it | where |",
        "|---:|---|---|---|",
    ]
    entries = [(highest, "at the highest"), *((entry, "lives") for entry in report["lines"])]
    for entry, what in entries:
        if entry["bytes"] >= LEAST * whole:
            (file, line), size = entry["place"], entry["bytes"] / 2**20
            where = code(f"{short(file)}:{line}") if file else ""
            lines.append(f"| {size:.2f} | {what} | {code(entry['text'])} | {where} |")
    return lines


def plot(bars, file):
    """Write a picture: for each row the parts of its time, in units of its peer's whole time.

    Args:
        bars: A title, `compared`'s ratio, peer and limit, and the shares of kinds, of each.
        file: Where it is written.
    """
    plt = table.pyplot()
    figure, axes = plt.subplots(figsize=(9, 1.4 + 0.3 * len(bars)), layout="constrained")
    axes.axvline(1.0, color="black", linewidth=1.5, label="the peer's whole time")
    for i, (_, (ratio, _, limit), kinds) in enumerate(bars):
        left = 0.0
        for name, colour in COLOURS.items():
            label = name if i == 0 else None
            axes.barh(i, ratio * kinds[name], left=left, color=colour, label=label)
            left += ratio * kinds[name]
        if limit is not None:
            target = {"color": "black", "linestyle": ":", "label": "the target" if i == 0 else None}
            axes.plot([limit] * 2, [i - 0.45, i + 0.45], **target)
    labels = [f"{name} / {table.NAMES[peer]}" for name, (_, peer, _), _ in bars]
    axes.set_yticks(range(len(bars)), labels, fontsize=8)
    axes.set(ylim=(len(bars) - 0.4, -0.6), xlabel="dezero's time, in units of the peer's")
    figure.legend(loc="outside upper center", ncols=5, fontsize=8)
    table.saved(figure, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="as in run.py --only; by default what was missed"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", default=HERE / "results" / "speed.json",
        help="what run.py wrote with --json; by default results/speed.json",
    )  # fmt: skip
    parser.add_argument("--seconds", type=positive, default=5, metavar="S", help="of each, 5")
    parser.add_argument("--out", type=new_file, metavar="FILE", help="also write the tables there")
    parser.add_argument("--plot", type=picture, metavar="FILE", help="draw what times consist of")
    options = parser.parse_args()
    if not options.json.is_file() and not options.names:
        parser.error(f"{options.json}: there is no such file; run.py --json writes it")
    rows = json.loads(options.json.read_text())["rows"] if options.json.is_file() else []
    pairs = chosen_rows(options.names, rows)
    if not pairs:
        parser.error("nothing to show: no time and no peak among those named, or none was missed")
    if any(w.kind == "time" for w, _ in pairs) and not shutil.which("py-spy"):
        parser.error("profiles of times need py-spy: pip install py-spy")
    lines, bars = [INTRODUCTION.format(**table.machine())], []
    for workload, engine in pairs:
        name = workload.name if engine == "dezero" else f"{workload.name}, {engine}"
        print(f"{name} ...", file=sys.stderr, flush=True)
        words, ratio = compared([row for row in rows if row["name"] == workload.name], engine)
        lines += ["", f"## {name}", ""]
        if workload.kind == "memory":
            lines += memory_table(workload, ran(workload, engine, options.seconds), words)
            continue
        profile = timed(workload, engine, options.seconds)
        lines += time_table(workload, profile, words)
        if ratio is not None:
            bars.append((name, ratio, profile["kinds"]))
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out is not None:
        options.out.write_text(text)
    if options.plot is not None:
        plot(bars, options.plot)


if __name__ == "__main__":
    main()
