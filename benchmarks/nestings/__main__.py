"""``python -m benchmarks.nestings``: transforms nested in each other, here and in JAX."""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

import numpy as np

from benchmarks.nestings.check import SLOW, Checker, Tally, tallies
from benchmarks.nestings.drawing import program
from benchmarks.progress import Progress
from benchmarks.seeds import seeds_from


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nestings", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="how many programs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--only", type=int, metavar="SEED", help="the program of this seed, as a mismatch names it")
    parser.add_argument("--untimed", action="store_true", help="compare values only")
    return parser.parse_args(argv)


def report(tally: Tally, seconds: float) -> str:
    lines = [
        f"programs        {tally.programs:9,}",
        f"ill-conditioned {len(tally.ill_conditioned):9,}",
        f"mismatches      {len(tally.mismatches):9,}",
        f"errors          {len(tally.errors):9,}",
        f"seconds         {seconds:9,.1f}",
    ]
    if tally.ratios:
        ratios = [ratio for ratio, _ in tally.ratios]
        slowest = ", ".join(f"{ratio:.2f} (--only {seed})" for ratio, seed in sorted(tally.ratios)[:-4:-1])
        lines += [
            "our time over that of the passes a program stands for, in plain NumPy (benchmarks/nestings/passes.py):",
            "  median {:.2f}, 99 % below {:.2f}, above {}: {}".format(
                *np.percentile(ratios, [50, 99]), SLOW, sum(ratio > SLOW for ratio in ratios)
            ),
            f"  slowest: {slowest}",
        ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    one = options.only is not None
    checker = Checker(timed=not options.untimed, shrinking=one)
    seeds = [options.only] if one else seeds_from(options.seed, options.count)
    size = max(1, min(100, len(seeds) // 20))
    chunks = [seeds[i : i + size] for i in range(0, len(seeds), size)]
    progress, total, start = Progress(len(chunks)), Tally(), perf_counter()
    if one:
        print(program(options.only).complete(), end="\n\n")
    for tally in tallies(checker, chunks, options.jobs):
        total.add(tally)
        for found in (*tally.mismatches, *tally.errors):
            progress.write(found)
        progress.advance(f"{total.programs} programs, {len(total.mismatches)} mismatches, {len(total.errors)} errors")
    progress.close()
    for seed in total.ill_conditioned:
        print(f"ill-conditioned; again with: python -m benchmarks.nestings --only {seed}")
    print(report(total, perf_counter() - start))
    return int(bool(total.mismatches or total.errors))


if __name__ == "__main__":
    sys.exit(main())
