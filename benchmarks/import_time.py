"""Time to import dezero, against importing NumPy, in fresh processes that alternate.

    python benchmarks/import_time.py [--rounds N] [--json FILE]

dezero imports NumPy itself: the ratio less one is what dezero adds. Byte code is there in both
cases, in a folder of its own, whatever the environment says about writing it.
"""

import os
import subprocess
import sys
import tempfile

from measure import ROOT, arguments, median, ratio, report, row

CODE = """
import sys
from time import process_time
begin = process_time()
import {0}
print(process_time() - begin)
"""


def seconds(module, cache):
    """CPU time of the import alone, without the start of the interpreter."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONPYCACHEPREFIX": cache,
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", CODE.format(module)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main():
    options = arguments(__doc__, rounds=41)
    modules = ["dezero", "numpy"]
    samples = {name: [] for name in modules}
    with tempfile.TemporaryDirectory() as cache:
        for name in modules:  # writes the byte code, fills the system's file cache
            seconds(name, cache)
        for i in range(options.rounds):
            for name in modules if i % 2 == 0 else reversed(modules):
                samples[name].append(seconds(name, cache))
    mine, base = samples["dezero"], samples["numpy"]
    least = min(mine) * 1e3, "import numpy", min(base) * 1e3, min(mine) / min(base)
    rows = [
        row(
            "import dezero, medians", "ms", median(mine, 1e3), "import numpy", median(base, 1e3),
            ratio(mine, base), 1.2,
        ),
        row("import dezero, minima", "ms", *least),
    ]  # fmt: skip
    return report("Import", rows, options.json)


if __name__ == "__main__":
    sys.exit(main())
