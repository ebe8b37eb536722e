"""``python -m benchmarks.checkers.gradcheck_public``: are right gradients reported as wrong?"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module, metadata
from importlib.util import find_spec
from time import perf_counter

import numpy as np

from benchmarks.checkers.gradcheck_detection.report import stated, table
from benchmarks.checkers.gradcheck_public.cases import Case
from benchmarks.progress import Progress
from tinygrad_kr.gradcheck import Report, check_gradients

MODES = ("full", "directions")
FIRST_LINES = 5


PACKAGES = {  # as pip calls them: how they are imported, and the module with their cases
    "scipy": ("scipy", "of_scipy"),
    "statsmodels": ("statsmodels", "of_statsmodels"),
    "scikit-learn": ("sklearn", "of_sklearn"),
    "astropy": ("astropy", "of_astropy"),
}


@dataclass
class Outcome:
    """Count the verdicts of the checks of one package."""

    derivatives: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)

    def add(self, case: Case, seed: int, report: Report) -> None:
        verdict = str(report.verdict)
        self.verdicts[verdict] += 1
        if verdict in ("FAIL", "INCONCLUSIVE"):
            lines = str(report).splitlines()[: FIRST_LINES if verdict == "FAIL" else 1]
            place = self.failures if verdict == "FAIL" else self.unresolved
            place.append("\n    ".join([f"{case.name}, seed {seed}, mode {report.mode}:", *lines]))


def missing(names: list[str]) -> list[str]:
    """Return the packages that are not installed, as pip calls them."""
    return [name for name in names if find_spec(PACKAGES[name][0] if name in PACKAGES else name) is None]


def cases_of(name: str, only: str = "") -> list[Case]:
    module = import_module(f"benchmarks.checkers.gradcheck_public.{PACKAGES[name][1]}")
    warnings.simplefilter("ignore")  # once more: some packages set filters of their own when they are imported
    return [case for case in module.CASES if only in case.name]


def checked(case: Case, seed: int) -> Iterator[Report]:
    for mode in MODES:
        f, gradient, inputs = case.make(np.random.default_rng(seed))
        yield check_gradients(f, *inputs, gradient=gradient, mode=mode, progress=False)


def run(names: list[str], seeds: range, only: str = "") -> dict[str, Outcome]:
    chosen = {name: cases_of(name, only) for name in names}
    outcomes, progress = {name: Outcome() for name in names}, Progress(len(names) * len(seeds))
    for name, cases in chosen.items():
        outcomes[name].derivatives = len(cases)
        for seed in seeds:
            progress.advance(f"{name}, seed {seed}")
            for case in cases:
                for report in checked(case, seed):
                    outcomes[name].add(case, seed, report)
    progress.close()
    return outcomes


def rows(outcomes: dict[str, Outcome]) -> Iterator[list[str]]:
    for name, outcome in outcomes.items():
        counts = [outcome.verdicts[verdict] for verdict in ("PASS", "KINK", "INCONCLUSIVE", "FAIL")]
        yield [name, metadata.version(name), *(f"{n:,}" for n in (outcome.derivatives, sum(counts), *counts))]


def wrong_rows(names: list[str], seeds: range) -> Iterator[tuple[bool, list[str]]]:
    """Yield whether each error that was found is still there, and what to say of it."""
    from benchmarks.checkers.gradcheck_public.errors_found import WRONG, evidence

    for wrong in WRONG:
        if wrong.package in names:
            found = [evidence(wrong, seed) for seed in seeds]
            off = [max(e.value_off for e in found), max(e.derivative_off for e in found)]
            verdicts = Counter(str(e.report.verdict) for e in found)
            said = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
            yield all(e.holds for e in found), [wrong.package, wrong.says, said, *(f"{number:.1e}" for number in off)]


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkers.gradcheck_public", description=__doc__)
    parser.add_argument("--packages", default=",".join(PACKAGES), metavar="NAMES", help="%(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="inputs drawn for each derivative (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (%(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="derivatives with this in their names")
    parser.add_argument("--list", action="store_true", help="name the derivatives, and stop")
    options = parser.parse_args(argv)
    options.names = options.packages.split(",")
    if unknown := [name for name in options.names if name not in PACKAGES]:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(PACKAGES)}")
    if absent := missing(list(dict.fromkeys(["scipy", *options.names]))):
        parser.error(f"not installed: {', '.join(absent)}\n  pip install {' '.join(absent)}")
    return options


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages, about themselves
        return reported(options)


def reported(options: argparse.Namespace) -> int:
    if options.list:
        print("\n".join(f"{name}: {case.name}" for name in options.names for case in cases_of(name, options.only)))
        return 0
    start, seeds = perf_counter(), range(options.seed, options.seed + options.seeds)
    outcomes = run(options.names, seeds, options.only)
    print("# Right gradients of public packages\n")
    print(*(f"- {line}" for line in stated({"numpy": np.__version__}, {})), sep="\n")
    print(f"- {options.seeds} inputs for each, modes {' and '.join(MODES)}; {perf_counter() - start:,.0f} seconds\n")
    header = ["package", "version", "derivatives", "checks", "PASS", "KINK", "INCONCLUSIVE", "FAIL"]
    print("\n".join(table(header, rows(outcomes))))
    for title, kind in (("FAIL", "failures"), ("INCONCLUSIVE", "unresolved")):
        if texts := [text for outcome in outcomes.values() for text in getattr(outcome, kind)]:
            print(f"\n## {title}\n", *texts, sep="\n")
    known = [] if options.only else errors(options.names, seeds)
    return int(any(outcome.failures for outcome in outcomes.values()) or not all(known))


def errors(names: list[str], seeds: range) -> list[bool]:
    """Print what is wrong in the packages, and return of each error whether it still is."""
    if absent := missing(["mpmath"]):
        print(f"\nErrors found: not looked at without {absent[0]}\n  pip install {absent[0]}")
        return []
    found = list(wrong_rows(names, seeds))
    print("\n## Errors found\n\nHow far the package is from the formula in mpmath, relative to its largest number.\n")
    header = ["package", "what is wrong", "verdicts", "value off by", "derivative off by"]
    print("\n".join(table(header, (row for _, row in found))))
    return [holds for holds, _ in found]


if __name__ == "__main__":
    sys.exit(main())
