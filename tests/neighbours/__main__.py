"""Measure the lists of functions, write the page or compare with it."""

from __future__ import annotations

import argparse
import os
import sys


def main() -> None:
    os.environ["SCIPY_ARRAY_API"] = "1"  # read when SciPy is imported, below
    from .measure import WORKS, Result, Unfit, chapter, measure
    from .page import CHAPTERS, PAGE, counted, lost, write

    parser = argparse.ArgumentParser(prog="neighbours", description=__doc__)
    parser.add_argument("chapters", nargs="*", help=f"of {', '.join(CHAPTERS)}; all by default")
    parser.add_argument("-k", default="", metavar="TEXT", help="only names that contain it")
    parser.add_argument("--failures", action="store_true", help="print what fails, and why")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--check", action="store_true", help="fail where the page promises more")
    arguments = parser.parse_args()
    if unknown := set(arguments.chapters) - set(CHAPTERS):
        parser.error(f"there is no chapter {', '.join(sorted(unknown))}")
    if arguments.write and (arguments.chapters or arguments.k):
        parser.error("--write takes all chapters")

    results: dict[str, Result] = {}
    unfit: list[str] = []
    for name in arguments.chapters or CHAPTERS:
        entries = [entry for entry in chapter(name).entries if arguments.k in entry.id]
        for entry in entries:
            if entry.id in results:
                unfit.append(f"{entry.id} is there twice")
            try:
                result = results[entry.id] = measure(entry)
            except Unfit as error:
                unfit.append(str(error))
                continue
            if arguments.failures and result.second != WORKS:
                print(f"{entry.id}: {result.first}", end="")
                print(f"; second order: {result.second}" if result.first == WORKS else "")
            if arguments.failures and result.seconds > 1:
                print(f"{entry.id} took {result.seconds:.1f} s")
        print(
            "{}: {} functions, {} to first order, {} to second".format(
                name, *counted([e for e in entries if e.id in results], results)
            ),
            flush=True,
        )
    if unfit:
        sys.exit("\n".join(unfit))
    if arguments.write:
        PAGE.write_text(write(results), encoding="utf-8")
    if arguments.check and (found := lost(results.values(), PAGE.read_text(encoding="utf-8"))):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
