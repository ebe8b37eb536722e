"""Programs drawn, run on both sides and compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.fuzz.functions.compare import difference, differing, is_rounding
from benchmarks.fuzz.functions.drawing import program
from benchmarks.fuzz.functions.here import run_here
from benchmarks.fuzz.functions.programs import Program
from benchmarks.fuzz.functions.tally import Tally
from benchmarks.fuzz.functions.there import run_there


@dataclass(frozen=True)
class Fuzzer:
    """How programs are written and compared."""

    length: int = 30
    second: bool = False
    verbose: bool = False

    def check(self, seeds: Iterable[int]) -> Tally:
        """Run the programs of some seeds here and in PyTorch."""
        tally = Tally()
        for seed in seeds:
            written = program(seed, self.length, strict=self.second)
            tally.count(written)
            if self.verbose:
                print(f"{written.code}\n\nin PyTorch:\n{written.written('there')}\n")
            verdict = self.verdict(written)
            if verdict == "ill-conditioned":
                tally.ill_conditioned.append(seed)
            elif verdict:
                tally.mismatches.append(f"mismatch; again with: {self.command(seed)}\n\n{written.code}\n\n{verdict}")
        return tally

    def verdict(self, program: Program) -> str:
        """Return nothing if both agree, "ill-conditioned", or what differs."""
        reference = run_there(program, self.second)
        try:
            results = run_here(program, self.second)
        except Exception as error:
            lines = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
        else:
            names = differing(results, reference)
            if not names:
                return ""
            if is_rounding(program, self.second, results, reference, names):
                return "ill-conditioned"
            lines = [difference(names[0], results[names[0]], reference[names[0]])]
        if len(program.lines) > 1:
            suspects = [line.written("here") for line in program.lines if self.verdict(program.alone(line))]
            lines.append("lines that differ by themselves: " + ("".join(f"\n  {line}" for line in suspects) or "none"))
        return "\n".join(lines)

    def command(self, seed: int) -> str:
        second = " --second" if self.second else ""
        return f"python -m benchmarks.fuzz.functions --only {seed} --length {self.length}{second}"
