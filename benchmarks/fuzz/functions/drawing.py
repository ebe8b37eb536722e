"""Drawing a program: operations of the table, with operands and parameters that fit."""

from __future__ import annotations

from benchmarks.fuzz.functions import operands, parameters
from benchmarks.fuzz.functions.draft import Draft, Fields, NotApplicable
from benchmarks.fuzz.functions.operations import DOMAINS, TABLE, Operation
from benchmarks.fuzz.functions.programs import Program

KINDS = operands.KINDS | parameters.KINDS


def program(seed: int, length: int = 30, strict: bool = False) -> Program:
    """Write the program of a seed; ``strict`` keeps it off the kinks themselves, too."""
    draft = Draft(seed, length, strict)
    goal = draft.rng.randint(1, length)
    while len(draft.lines) < goal:
        add(draft, draft.rng.choice(TABLE))
    return Program(seed, draft.leaves, draft.lines, draft.values)


def add(draft: Draft, operation: Operation) -> None:
    """Write an operation with operands and parameters that fit, or nothing."""
    lines, values, large = len(draft.lines), dict(draft.values), set(draft.large)
    try:
        fields: Fields = {}
        for name, kind in operation.fields:
            fields[name] = draw(draft, kind, name, fields)
        draft.stay_clear(operation.kink.format(**fields))
        for name in draft.write(operation, fields):
            draft.tame(name)
    except NotApplicable:
        del draft.lines[lines:]
        draft.values, draft.large = values, large


def draw(draft: Draft, kind: str, name: str, fields: Fields) -> str:
    """Draw an operand, mapped into its domain, or a parameter."""
    domain = next((domain for domain in DOMAINS if kind.endswith(domain)), "")
    drawn = KINDS[kind.removesuffix(domain).strip() or name](draft, fields)
    return draft.write(draft.rng.choice(DOMAINS[domain]), {"x": drawn})[0] if domain else drawn
