"""``python -m benchmarks.fuzz.nestings``: transforms nested in each other, here and in JAX."""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

from benchmarks.fuzz.nestings.check import Checker
from benchmarks.fuzz.nestings.drawing import program
from benchmarks.fuzz.nestings.tally import gather
from benchmarks.fuzz.seeds import seeds_from


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz.nestings", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="how many programs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--only", type=int, metavar="SEED", help="the program of this seed, as a mismatch names it")
    parser.add_argument("--untimed", action="store_true", help="compare values only")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    one = options.only is not None
    checker = Checker(timed=not options.untimed, shrinking=one)
    seeds = [options.only] if one else seeds_from(options.seed, options.count)
    start = perf_counter()
    if one:
        print(program(options.only).complete(), end="\n\n")
    total = gather(checker.check, seeds, options.jobs)
    for seed in total.ill_conditioned:
        print(f"ill-conditioned; again with: python -m benchmarks.fuzz.nestings --only {seed}")
    print(total.report(perf_counter() - start))
    return int(total.failed)


if __name__ == "__main__":
    sys.exit(main())
