"""Figures of a run: statistics, targets, Markdown, a picture."""

import os
import platform
import statistics
import time

NAMES = {
    "numpy": "NumPy by hand",
    "dezero": "dezero",
    "compiled": "dezero, compiled",
    "torch": "PyTorch",
    "jax": "JAX, jit",
    "autograd": "autograd",
    "mygrad": "MyGrad",
    "book": "the book's",
}
SCALES = {"µs": 1e6, "ms": 1e3, "MiB": 2.0**-20, "bytes": 1.0}


def quartiles(samples):
    """The lower one, the median, the upper one."""
    if len(samples) == 1:
        return samples * 3
    return statistics.quantiles(samples, n=4, method="inclusive")


def judged(name, target, rows):
    """What became of a workload's target: the ratio and its quartiles, whether it is met.

    None if it was not measured.
    """
    row, figure = rows[name, target.figure], None
    mine = row["samples"].get(target.engine)
    if not mine:
        return None
    if target.against is None:
        figure = [value * SCALES[row["unit"]] for value in mine]
    elif target.workload:
        other = rows.get((target.workload, target.figure), {}).get("samples", {})
        if target.against in other:
            figure = [statistics.median(mine) / statistics.median(other[target.against])]
    elif target.against in row["samples"]:
        pairs = zip(mine, row["samples"][target.against], strict=False)  # of the same rounds
        figure = [a / b for a, b in pairs if b]
    if not figure:
        return None
    low, ratio, high = quartiles(figure)
    kept = {"ratio": ratio, "low": low, "high": high, "met": ratio <= target.limit}
    return target._asdict() | kept


def number(x):
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def cell(samples, unit):
    if not samples:
        return "-"
    low, middle, high = (x * SCALES[unit] for x in quartiles(samples))
    if len(samples) == 1 or not middle:
        return number(middle)
    return f"{number(middle)} ±{50 * (high - low) / abs(middle):.0f} %"


def verdict(found):
    """A target in words."""
    at_most, value = f"at most {found['limit']:g}", number(found["ratio"])
    of = "" if found["against"] is None else f" of {NAMES[found['against']]}"
    if found["workload"]:
        of = f" of {found['workload']}"
    who = "" if found["engine"] == "dezero" else f"{NAMES[found['engine']]} "
    return f"{who}{value}{of}, {at_most}: " + ("met" if found["met"] else "**missed**")


def markdown(report):
    """The whole report."""
    machine, options = report["machine"], report["options"]
    engines = [e for e in NAMES if any(e in row["samples"] for row in report["rows"])]
    versions = [f"{NAMES[e]} {report['versions'][e]}" for e in engines if e in report["versions"]]
    lines = [
        f"# Benchmarks of {machine['date']}",
        "",
        f"{', '.join(versions)}; {machine['python']}, {machine['system']}, "
        f"{machine['processors']} processors, {options['threads']} thread(s). Medians of "
        f"{options['rounds']} alternating rounds, one process an engine, and half the distance "
        "between the quartiles. Only ratios mean something: medians of the rounds' ratios.",
        "",
        f"| | | {' | '.join(NAMES[e] for e in engines)} | dezero's ratio |",
        "|---" * (len(engines) + 3) + "|",
    ]
    family = None
    for row in report["rows"]:
        if row["family"] != family:
            family = row["family"]
            lines.append(f"| **{family}** |" + " |" * (len(engines) + 2))
        figure = f": {row['figure']}" if row["figure"] else ""
        cells = [cell(row["samples"].get(e), row["unit"]) for e in engines]
        verdicts = "; ".join(map(verdict, row["targets"]))
        lines.append(
            f"| {row['what']}{figure} | {row['unit']} | {' | '.join(cells)} | {verdicts} |"
        )
    reasons = {}
    for note in report["notes"]:
        reasons.setdefault((note["engine"], note["reason"]), []).append(note["workload"])
    if reasons:
        lines += ["", "Not measured:", ""]
    for (engine, reason), workloads in reasons.items():
        lines.append(f"- {NAMES[engine]}: {', '.join(workloads)}: {reason.splitlines()[-1]}")
    targets = [t for row in report["rows"] for t in row["targets"]]
    met = sum(t["met"] for t in targets)
    lines += ["", f"{met} of {len(targets)} targets met."]
    return "\n".join(lines) + "\n"


def plot(report, file):
    """Write a picture: each engine's time as a multiple of PyTorch's, a tick at the target."""
    plt = pyplot()
    from matplotlib import ticker

    rows = [row for row in report["rows"] if "torch" in row["samples"]][::-1]
    if not rows:
        raise SystemExit("--plot: nothing was measured with PyTorch, to which others are compared")
    medians = [{e: statistics.median(s) for e, s in row["samples"].items()} for row in rows]
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.26 * len(rows)), layout="constrained")
    axes.axvline(1.0, color="grey", linewidth=1)
    marks = dict(zip(NAMES, "D*P.ov^s", strict=True))
    for engine, name in NAMES.items():
        points = [(m[engine] / m["torch"], i) for i, m in enumerate(medians) if m.get(engine)]
        if points and engine != "torch":
            style = {"markersize": 11, "zorder": 3} if engine in ("dezero", "compiled") else {}
            axes.plot(*zip(*points, strict=True), marks[engine], label=name, alpha=0.8, **style)
    for i, row in enumerate(rows):
        for target in row["targets"]:
            if target["against"] == "torch":
                axes.plot([target["limit"]] * 2, [i - 0.4, i + 0.4], color="black", linewidth=1)
    labels = [f"{row['name']} {row['figure']}".strip() for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.set(xscale="log", ylim=(-0.7, len(rows) - 0.3))
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel("times PyTorch eager (grey line), less is better; black: dezero's target")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    saved(figure, file)


def pyplot():
    """Matplotlib's module, drawing to files."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise SystemExit('--plot needs matplotlib: pip install "dezero[viz]"') from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def saved(figure, file):
    """Write a figure of Matplotlib to a file."""
    figure.savefig(file, dpi=150)
    pyplot().close(figure)


def machine():
    """What the figures depend on, in words."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }
