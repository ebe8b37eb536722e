"""``python -m benchmarks.captures``: transforms of functions that capture Tensors, here and in PyTorch."""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

from benchmarks.captures.check import Checker
from benchmarks.captures.drawing import program
from benchmarks.nestings.tally import Tally
from benchmarks.progress import Progress
from benchmarks.seeds import checked, in_chunks, seeds_from


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.captures", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="how many programs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--only", type=int, metavar="SEED", help="the program of this seed, as a mismatch names it")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    one = options.only is not None
    checker = Checker(shrinking=one)
    chunks = in_chunks([options.only] if one else seeds_from(options.seed, options.count), 100)
    progress, total, start = Progress(len(chunks)), Tally(), perf_counter()
    if one:
        print(program(options.only).shown(), end="\n\n")
    for tally in checked(checker.check, chunks, options.jobs):
        total.add(tally)
        for found in (*tally.mismatches, *tally.errors):
            progress.write(found)
        progress.advance(f"{total.programs} programs, {len(total.mismatches)} mismatches, {len(total.errors)} errors")
    progress.close()
    print(total.report(perf_counter() - start))
    return int(total.failed)


if __name__ == "__main__":
    sys.exit(main())
