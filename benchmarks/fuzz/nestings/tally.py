"""Count programs, mismatches and errors of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.fuzz.seeds import checked, in_chunks
from benchmarks.progress import Progress

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

    def found(self, kind: str, words: str) -> None:
        (self.errors if kind == "error" else self.mismatches).append(words)

    @property
    def failed(self) -> bool:
        return bool(self.mismatches or self.errors)

    def report(self, seconds: float) -> str:
        lines = [
            f"programs        {self.programs:9,}",
            f"ill-conditioned {len(self.ill_conditioned):9,}",
            f"mismatches      {len(self.mismatches):9,}",
            f"errors          {len(self.errors):9,}",
            f"seconds         {seconds:9,.1f}",
        ]
        if self.ratios:
            ratios = [ratio for ratio, _ in self.ratios]
            median, most = np.percentile(ratios, [50, 99])
            slowest = ", ".join(f"{ratio:.2f} (--only {seed})" for ratio, seed in sorted(self.ratios)[:-4:-1])
            lines += [
                "our time over that of the passes a program stands for (benchmarks/fuzz/nestings/passes.py):",
                f"  median {median:.2f}, 99 % below {most:.2f}; above {SLOW:g}: {sum(r > SLOW for r in ratios)}",
                f"  slowest: {slowest}",
            ]
        return "\n".join(lines)


def gather(check: Callable[[list[int]], Tally], seeds: list[int], jobs: int) -> Tally:
    """Check the programs of some seeds chunk by chunk, show what is found at once, and return the sum."""
    chunks = in_chunks(seeds, 100)
    progress, total = Progress(len(chunks)), Tally()
    for tally in checked(check, chunks, jobs):
        total.add(tally)
        for found in (*tally.mismatches, *tally.errors):
            progress.write(found)
        progress.advance(f"{total.programs} programs, {len(total.mismatches)} mismatches, {len(total.errors)} errors")
    progress.close()
    return total
