"""What was run, and what came of it: counted, and as a table."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.fuzz.functions.programs import Program
from tinygrad_kr import functional
from tinygrad_kr.engine.dispatch import NUMPY, PLAIN, indexing

TOLERATED = 0.005  # of all programs may be too ill-conditioned to compare


@dataclass
class Tally:
    """Count programs, mismatches and errors of a run."""

    programs: int = 0
    lines: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    empty: int = 0
    ill_conditioned: list[int] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.programs += other.programs
        self.lines += other.lines
        self.operations += other.operations
        self.empty += other.empty
        self.ill_conditioned += other.ill_conditioned
        self.mismatches += other.mismatches

    def count(self, program: Program) -> None:
        self.programs += 1
        self.lines += len(program.lines)
        self.operations.update(name for line in program.lines for name in line.operations)
        self.empty += any(value.size == 0 for value in program.values.values())

    @property
    def failed(self) -> bool:
        return bool(self.mismatches) or len(self.ill_conditioned) > max(1, TOLERATED * self.programs)


def report(tally: Tally, seconds: float) -> str:
    """Say how often each operation was run, and what came of it."""
    known = catalogue()
    plain = sorted(map(name_of, PLAIN))
    others = sorted(set(tally.operations) - set(known) - set(plain))
    counted = [*known, *(name for name in plain if tally.operations[name]), *others]
    cells = [f"{name:28}{tally.operations[name]:8}" for name in counted]
    rows = [" ".join(cells[i : i + 3]) for i in range(0, len(cells), 3)]
    left_out = [name for name in plain if not tally.operations[name]]
    return "\n".join(
        [
            *("how often each operation was run; .name is a method", *rows, ""),
            "not in the fuzzer, since their results are plain, without a gradient to compare:",
            *textwrap.wrap(", ".join(left_out), 115, initial_indent="  ", subsequent_indent="  "),
            "",
            f"programs          {tally.programs:10,}",
            f"operations        {tally.lines:10,}",
            f"with empty arrays {tally.empty:10,}",
            f"ill-conditioned   {len(tally.ill_conditioned):10,}",
            f"mismatches        {len(tally.mismatches):10,}",
            f"seconds           {seconds:10,.1f}",
        ]
    )


def catalogue() -> list[str]:
    """Return the names of everything in docs/functions.md that a gradient flows through."""
    named = [name_of(function) for function in NUMPY if function not in (np.unique, np.linalg.cond)]
    return sorted(named, key=str.lower) + [f"F.{name}" for name in functional.__all__]


def name_of(function: Any) -> str:
    if function is indexing:
        return "x[index]"
    inside = getattr(np.linalg, function.__name__, None) is function
    return ("np.linalg." if inside else "np.") + function.__name__
