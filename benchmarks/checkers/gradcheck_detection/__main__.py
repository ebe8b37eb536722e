"""``python -m benchmarks.checkers.gradcheck_detection``: which wrong gradients do gradient checkers find?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.checkers.gradcheck_detection import report
from benchmarks.checkers.gradcheck_detection.checkers import CHECKERS, available, chosen
from benchmarks.checkers.gradcheck_detection.tally import Tally
from benchmarks.checkers.gradcheck_detection.trials import Task, large_tasks, mutant_tasks, results, right_tasks
from benchmarks.progress import Progress

CHUNKS = 60  # of tasks, each a step of the progress bar


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkers.gradcheck_detection", description=__doc__)
    parser.add_argument("--count", type=int, default=2, help="trials of each fault in each operation (%(default)s)")
    parser.add_argument("--checks", type=int, default=2000, help="of right gradients, half of them hard (%(default)s)")
    parser.add_argument("--large", type=int, default=200, help="seeds with 10,000 elements (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (%(default)s)")
    parser.add_argument("--checkers", default=",".join(CHECKERS), metavar="NAMES", help="%(default)s")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write a table, a picture and the counts as JSON")
    parser.add_argument(
        "--only",
        nargs=4,
        metavar=("KIND", "CASE", "OPERATION", "SEED"),
        help="show one trial, as the JSON names it, and what the checkers say of it",
    )
    options = parser.parse_args(argv)
    try:
        options.checkers = chosen(options.checkers)
    except ValueError as error:
        parser.error(str(error))
    return options


def show(kind: str, case: str, operation: str, seed: str, names: tuple[str, ...]) -> None:
    task = Task(kind, case, operation, (int(seed),), names)
    trial = task.trial(int(seed))
    if trial is None:
        print("this fault does not apply to this operation")
        return
    print(f"{operation}, expected: {trial.expected}, wrong element: {trial.place}")
    for number, x in enumerate(trial.inputs):
        print(f"input {number}: {x!r}")
    for result in task.run():
        print(f"{CHECKERS[result.checker].title}: {result.answer}")


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    checkers, versions, missing = available(options.checkers)
    names = tuple(checker.name for checker in checkers)
    if options.only:
        show(*options.only, names)
        return 0
    head = report.stated(versions, missing)
    tasks = [
        *mutant_tasks(options.count, options.seed, names),
        *right_tasks(options.checks, options.seed, names),
        *large_tasks(options.large, options.seed, names),
    ]
    chunks = [chunk for i in range(CHUNKS) if (chunk := tasks[i::CHUNKS])]
    progress, tally, start = Progress(len(chunks)), Tally(), perf_counter()
    for done in results(chunks, options.jobs):
        tally.add(done)
        progress.advance(f"{sum(tally.verdicts.values()):,} checks, {len(tally.false_alarms())} false alarms of ours")
    progress.close()
    head.append(f"count {options.count}, checks {options.checks:,}, seed {options.seed}")
    head.append(f"{sum(tally.verdicts.values()):,} checks in {perf_counter() - start:,.0f} seconds")
    print(report.markdown(tally, checkers, head))
    if options.out:
        report.save(options.out, tally, checkers, head)
    return int(bool(tally.false_alarms()))


if __name__ == "__main__":
    sys.exit(main())
