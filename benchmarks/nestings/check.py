"""Programs run on both sides, compared, and timed against the work they stand for."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.nestings.drawing import program
from benchmarks.nestings.here import HERE, run_here
from benchmarks.nestings.passes import PASSES
from benchmarks.nestings.programs import Program, arrays
from benchmarks.nestings.shrinking import shrunk
from benchmarks.nestings.there import run_there

RTOL, ATOL = 1e-9, 1e-12
NOISE, EXPLAINED = 1e-14, 30  # a difference is rounding if noise in the inputs moves the reference by a 30th of it
MANY_ROWS = 40_000  # of A, where programs are timed: arithmetic, not the calls of Python, takes the time
SLOW = 5.0  # times the work a program stands for


@dataclass
class Tally:
    programs: int = 0
    mismatches: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    ill_conditioned: list[int] = field(default_factory=list)
    ratios: list[tuple[float, int]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.programs += other.programs
        self.mismatches += other.mismatches
        self.errors += other.errors
        self.ill_conditioned += other.ill_conditioned
        self.ratios += other.ratios


@dataclass(frozen=True)
class Checker:
    timed: bool = True
    shrinking: bool = False

    def check(self, seeds: Iterable[int]) -> Tally:
        """Run the programs of some seeds here and in JAX."""
        tally = Tally()
        for seed in seeds:
            written, tally.programs = program(seed), tally.programs + 1
            kind, difference = verdict(written)
            if kind == "ill-conditioned":
                tally.ill_conditioned.append(seed)
            elif kind:
                found = tally.errors if kind == "error" else tally.mismatches
                smaller = shrunk(written, lambda p, kind=kind: fails(p, kind)) if self.shrinking else written
                head = f"{kind}; again, and made smaller, with: python -m benchmarks.nestings --only {seed}"
                found.append(f"{head}\n\n{smaller.complete()}\n\n{verdict(smaller)[1]}\n")
            if self.timed and kind != "error":
                tally.ratios.append((slowness(written), seed))
        return tally


def verdict(program: Program) -> tuple[str, str]:
    """Return nothing if both sides agree, or what is wrong, in a word and in words."""
    inputs = arrays(program.inputs)
    reference = run_there(program, inputs)
    try:
        results = {name: as_array(x) for name, x in run_here(program, inputs).items()}
    except Exception as error:
        return "error", "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    differences = differing(results, reference)
    if not differences:
        return "", ""
    return ("ill-conditioned" if is_rounding(program, inputs, results, reference) else "mismatch"), differences[0]


def fails(program: Program, kind: str) -> bool:
    """Whether a program still fails in this way; one that JAX does not run either is no program."""
    try:
        return verdict(program)[0] == kind
    except Exception:
        return False


def as_array(x: Any) -> Any:
    return np.asarray(getattr(x, "data", x)) if not isinstance(x, np.ndarray | np.generic) else np.asarray(x)


def differing(results: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """Say of each result that differs by more than rounding where it does."""
    if list(results) != list(reference):
        return [f"{list(results)} here, {list(reference)} there"]
    return [
        f"{name}:\n{x!r} here\n{y!r} there"
        for (name, x), y in zip(results.items(), reference.values(), strict=True)
        if x.shape != y.shape or x.dtype != y.dtype or not np.all(np.abs(x - y) <= RTOL * largest(y) + ATOL)
    ]


def is_rounding(program: Program, inputs: Any, results: dict[str, Any], reference: dict[str, Any]) -> bool:
    """Whether noise in the inputs, of a few roundings, explains all differences."""
    if any(results[name].shape != y.shape for name, y in reference.items()):
        return False
    spread = dict.fromkeys(reference, 0.0)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        noisy = run_there(program, {name: x * (1 + NOISE * rng.normal(size=x.shape)) for name, x in inputs.items()})
        for name, y in reference.items():
            spread[name] = max(spread[name], largest(noisy[name] - y))
    return all(
        largest(results[name] - y) <= RTOL * largest(y) + ATOL + EXPLAINED * spread[name]
        for name, y in reference.items()
    )


def largest(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0))


def slowness(program: Program) -> float:
    """Return how many times longer a program takes than the passes it stands for; the best of five if it is slow."""
    inputs = arrays(program.inputs, MANY_ROWS)
    ours, passes = seconds(program, HERE | inputs), seconds(program, PASSES | inputs)
    for _ in range(4):
        if ours < SLOW / 2 * passes:
            break
        ours, passes = min(ours, seconds(program, HERE | inputs)), min(passes, seconds(program, PASSES | inputs))
    return ours / passes


def seconds(program: Program, space: dict[str, Any]) -> float:
    start = perf_counter()
    program.run(space)
    return perf_counter() - start


def tallies(checker: Checker, chunks: list[list[int]], jobs: int) -> Iterator[Tally]:
    """Check chunk by chunk, in processes of their own if there are several jobs."""
    if jobs == 1:
        yield from map(checker.check, chunks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(checker.check, chunks)
