"""``python -m benchmarks.fuzz.functions``: random programs, here and in PyTorch."""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

from benchmarks.fuzz.functions.fuzzer import Fuzzer
from benchmarks.fuzz.functions.tally import Tally, report
from benchmarks.fuzz.seeds import checked, in_chunks, seeds_from
from benchmarks.progress import Progress


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz.functions", description="Random programs, here and in PyTorch"
    )
    parser.add_argument("--count", type=int, default=1000, help="how many programs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (%(default)s)")
    parser.add_argument("--length", type=int, default=30, help="most lines of a program (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--only", type=int, metavar="SEED", help="the program of this seed, as a mismatch names it")
    parser.add_argument("--second", action="store_true", help="compare the gradient of <u, gradient>, too")
    parser.add_argument("--verbose", action="store_true", help="show each program, here and in PyTorch")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    fuzzer = Fuzzer(options.length, options.second, options.verbose)
    seeds = seeds_from(options.seed, options.count) if options.only is None else [options.only]
    chunks = in_chunks(seeds, 500)
    progress, total, start = Progress(len(chunks)), Tally(), perf_counter()
    for tally in checked(fuzzer.check, chunks, options.jobs):
        total.add(tally)
        for mismatch in tally.mismatches:
            progress.write(mismatch + "\n")
        progress.advance(f"{total.programs} programs, {len(total.mismatches)} mismatches")
    progress.close()
    for seed in total.ill_conditioned:
        print(f"ill-conditioned; again with: {fuzzer.command(seed)}")
    print(report(total, perf_counter() - start))
    return int(total.failed)


if __name__ == "__main__":
    sys.exit(main())
