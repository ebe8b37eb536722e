"""Programs run on both sides and compared: values, gradients of leaves, and what stands on the graph."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from benchmarks.fuzz.captures.drawing import Capturing, program
from benchmarks.fuzz.captures.here import Outcome, run_here
from benchmarks.fuzz.captures.there import run_there
from benchmarks.fuzz.nestings.compare import differing
from benchmarks.fuzz.nestings.shrinking import shrunk
from benchmarks.fuzz.nestings.tally import Tally

TRANSFORMED = r"^ *(\w+, )?{}\b.* = (p\d+|vjp|jvp|((grad|value_and_grad|hvp|jacobian|hessian)\(.*\)))\("


@dataclass(frozen=True)
class Checker:
    shrinking: bool = False

    def check(self, seeds: Iterable[int]) -> Tally:
        """Run the programs of some seeds here and in PyTorch."""
        tally = Tally()
        for seed in seeds:
            written, tally.programs = program(seed), tally.programs + 1
            kind, words = verdict(written)
            if kind:
                if self.shrinking:
                    written = shrunk(written, partial(fails, kind))
                    words = verdict(written)[1]
                head = f"{kind}; again, and made smaller, with: python -m benchmarks.fuzz.captures --only {seed}"
                tally.found(kind, f"{head}\n\n{written.shown()}\n\n{words}\n")
        return tally


def verdict(program: Capturing) -> tuple[str, str]:
    """Return nothing if both sides agree, or what is wrong, in a word and in words."""
    reference = run_there(program)
    try:
        outcome = run_here(program)
    except Exception as error:
        return "error", "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    if values := differing(outcome.values, reference.values):
        return "value", values[0]
    if places := misplaced(program, outcome, reference):
        return "place", places[0]
    if gradients := differing(outcome.gradients, reference.gradients):
        return "gradient", f"gradient of {gradients[0]}"
    return "", ""


def misplaced(program: Capturing, outcome: Outcome, reference: Outcome) -> list[str]:
    """Say which results of transforms are on the graph and should not be, or the other way round."""
    return [
        f"{name} is {place}, should be {reference.places[name]}"
        for name, place in outcome.places.items()
        if re.search(TRANSFORMED.format(name.partition("[")[0]), program.text, re.MULTILINE)
        and reference.places[name] not in (place, "either")
    ]


def fails(kind: str, program: Capturing) -> bool:
    """Run a program and return True if it fails in the given way; a program that PyTorch rejects counts as passing."""
    try:
        return verdict(program)[0] == kind
    except Exception:
        return False
