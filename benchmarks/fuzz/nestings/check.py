"""Programs run on both sides, compared, and timed against the work they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any

import numpy as np

from benchmarks.fuzz.nestings.compare import ATOL, RTOL, differing, largest
from benchmarks.fuzz.nestings.drawing import program
from benchmarks.fuzz.nestings.here import HERE, run_here
from benchmarks.fuzz.nestings.passes import PASSES
from benchmarks.fuzz.nestings.programs import Program, arrays
from benchmarks.fuzz.nestings.shrinking import shrunk
from benchmarks.fuzz.nestings.tally import SLOW, Tally
from benchmarks.fuzz.nestings.there import run_there

NOISE, EXPLAINED = 1e-14, 30  # a difference is rounding if noise in the inputs moves the reference by a 30th of it
MANY_ROWS = 40_000  # of A, where programs are timed: arithmetic, not the calls of Python, takes the time


@dataclass(frozen=True)
class Checker:
    timed: bool = True
    shrinking: bool = False

    def check(self, seeds: Iterable[int]) -> Tally:
        """Run the programs of some seeds here and in JAX."""
        tally = Tally()
        for seed in seeds:
            written, tally.programs = program(seed), tally.programs + 1
            kind, words = verdict(written)
            if kind == "ill-conditioned":
                tally.ill_conditioned.append(seed)
            elif kind:
                if self.shrinking:
                    written = shrunk(written, partial(fails, kind))
                    words = verdict(written)[1]
                head = f"{kind}; again, and made smaller, with: python -m benchmarks.fuzz.nestings --only {seed}"
                tally.found(kind, f"{head}\n\n{written.complete()}\n\n{words}\n")
            if self.timed and kind != "error":
                tally.ratios.append((slowness(written), seed))
        return tally


def verdict(program: Program) -> tuple[str, str]:
    """Return nothing if both sides agree, or what is wrong, in a word and in words."""
    inputs = arrays(program.inputs)
    reference = run_there(program, inputs)
    try:
        results = run_here(program, inputs)
    except Exception as error:
        return "error", "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    differences = differing(results, reference)
    if not differences:
        return "", ""
    return ("ill-conditioned" if is_rounding(program, inputs, results, reference) else "mismatch"), differences[0]


def fails(kind: str, program: Program) -> bool:
    """Run a program and return True if it fails in the given way; a program that JAX rejects counts as passing."""
    try:
        return verdict(program)[0] == kind
    except Exception:
        return False


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
    start = process_time()
    program.run(space)
    return process_time() - start
