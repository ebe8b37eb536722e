"""The text of a report."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from tinygrad_kr.gradcheck.findings import Verdict, name_of
from tinygrad_kr.gradcheck.result import Result
from tinygrad_kr.gradcheck.variables import Variable

__all__ = ["text_of"]

NAMED = 5
"""How many wrong elements are named besides the worst."""
WRITTEN_OUT = 30
"""Inputs up to this many elements in all are written into the line that reproduces a failure."""


def text_of(result: Result) -> str:
    """Return a report as text, one fact a line."""
    checked = [v for v in result.problem.variables if v.position in result.problem.checked]
    return "\n".join(
        [f"check_gradients: {name_of(result.problem.f)}: {result.verdict}{_summary(result)}"]
        + [f"  {line}" for line in (*(_of_variable(result, v) for v in checked), *_details(result))]
    )


def _summary(result: Result) -> str:
    wrong = sorted({f.input for f in result.findings if f.verdict is Verdict.FAIL})
    if result.verdict is Verdict.FAIL and wrong:
        return f": wrong gradient for {', '.join(wrong)}"
    return f": {result.reason}" if result.reason else ""


def _of_variable(result: Result, variable: Variable) -> str:
    line = f"{variable.name} {variable.shape} {variable.dtype}: "
    counts = Counter(f.verdict for f in result.findings if f.input == variable.name)
    if not counts:
        return line + "nothing to compare"
    unit = "directions and single elements" if result.mode == "directions" else "elements"
    said = ", ".join(f"{counts[v]} {v}" for v in reversed(Verdict) if counts[v])
    return line + f"{said} of {counts.total()} {unit}; coverage {result.coverage_of(variable.name):.3g}"


def _details(result: Result) -> list[str]:
    lines = _worst(result)
    lines += [f"pattern: {pattern}" for pattern in result.patterns]
    for broken in (p for p in result.exact_properties if p.verdict is Verdict.FAIL):
        lines.append(f"{broken.name}: {broken.message}")
        if broken.name == "stale cache" and result.second_point and _is_short(result):
            point = ", ".join(f"{name} = {_written(x)}" for name, x in result.second_point.items())
            lines.append(f"    the second point: {point}")
    lines += [_power(result)] if result.findings else []
    held = [p.name for p in result.exact_properties if p.verdict is Verdict.PASS]
    if len(held) > 1:
        lines.append(f"exact properties that hold: {', '.join(held)}")
    unseen = [f"{p.name} ({p.message})" for p in result.exact_properties if p.verdict is Verdict.INCONCLUSIVE]
    if unseen:
        lines.append(f"not looked at: {', '.join(unseen)}")
    calls = f"{result.evaluations} evaluations of f, {result.gradient_calls} of the gradient"
    lines.append(f"cost: {calls}, {result.seconds:.2g} s")
    return lines if result.passed else [*lines, f"reproduce: {_call(result)}"]


def _worst(result: Result) -> list[str]:
    worst = result.worst
    if worst is None:
        return []
    value = f" at {worst.at:.6g}" if math.isfinite(worst.at) else ""
    bars = f" = {worst.bars:.2g} bars" if math.isfinite(worst.bars) else ""
    lines = [
        f"worst: {worst.label}{value}: given {worst.claimed:.10g}, true {worst.estimate:.10g} +- {worst.bar:.1g}, "
        f"off by {worst.error:.2g}{bars}"
    ]
    if worst.reason:
        lines.append(f"       {worst.reason}")
    wrong = [f for f in result.findings if f.verdict is Verdict.FAIL and f.index is not None and f is not worst]
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        lines.append(f"also wrong: {', '.join(f.label for f in wrong[:NAMED])}{more}")
    return lines


def _power(result: Result) -> str:
    smallest = result.minimum_detectable_error
    if math.isnan(smallest):
        return "power: no slope here is different from 0 and resolved, so nothing is certified but that"
    line = f"power: a relative error of {smallest:.1g} in a typical element would have been seen"
    if result.mode == "directions" and result.passed:
        line += f"; one of 0.001 in the norm is missed with a probability of at most {result.miss_probability():.1g}"
    return line


def _is_short(result: Result) -> bool:
    """Whether the inputs are few enough to be written out."""
    return sum(v.size for v in result.problem.variables) <= WRITTEN_OUT


def _call(result: Result) -> str:
    """Return the call that reproduces this check."""
    problem, short = result.problem, _is_short(result)
    values = problem.arguments(problem.start, dtypes=True)
    arguments = [name_of(problem.f)]
    arguments += [_written(x) if short else name for x, name in zip(values, problem.input_names, strict=True)]
    if problem.user_gradient is not None:
        arguments.append(f"gradient={name_of(problem.user_gradient)}")
    if problem.parameters:
        arguments.append("model=...")
    if result.cotangent is not None:
        arguments.append(f"cotangent={_written(result.cotangent) if short else 'cotangent'}")
    arguments.append(f"mode={result.mode!r}")
    if result.seed is not None:
        arguments.append(f"seed={result.seed}")
    return f"check_gradients({', '.join(arguments)})"


def _written(value: object) -> str:
    """Return a value as code, to the last digit."""
    if isinstance(value, np.ndarray):
        dtype = "" if value.dtype in (np.float64, np.int64, bool) else f", np.{value.dtype}"
        return f"np.array({value.tolist()!r}{dtype})"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_written(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        inside = ", ".join(map(_written, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside},)"
    return repr(value)
