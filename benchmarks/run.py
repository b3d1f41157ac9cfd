"""All benchmarks, one after the other, as one Markdown file.

    python benchmarks/run.py [--quick] [--out FILE] [--only NAME ...]

The exit code is 0 if every target was met.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import markdown

HERE = Path(__file__).resolve().parent
BENCHMARKS = {
    "overhead": ["--rounds", "5"],
    "growth": ["--rounds", "1", "--largest", "100000"],
    "memory": ["--rounds", "2"],
    "import_time": ["--rounds", "11"],
    "networks": ["--rounds", "3"],
}


def result(name, options):
    """What one benchmark wrote as JSON; it runs in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(file), *options]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if not file.exists():
            sys.exit(f"{name} failed with exit code {done.returncode}")
        return json.loads(file.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller graphs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the tables there")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME")
    options = parser.parse_args()
    parts, missed = [], []
    for name in options.only or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found = result(name, BENCHMARKS[name] if options.quick else [])
        machine = found["machine"]
        parts.append("\n\n".join([markdown(found["title"], found["rows"]), *found["notes"]]))
        missed += [f"{found['title']}: {r['what']}" for r in found["rows"] if r["met"] is False]
    facts = [f"{name} {machine[name]}" for name in ("python", "numpy", "torch") if machine[name]]
    head = (
        f"# Benchmarks of {machine['date']}\n\n{', '.join(facts)}, {machine['system']} with "
        f"{machine['processors']} processors, one thread. Only the ratios mean something: they are "
        "of figures taken in one run, in alternating rounds."
    )
    text = "\n\n".join([head, *parts]) + "\n"
    print(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    for what in missed:
        print(f"missed: {what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
