"""What a check found, in numbers and in words."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_kr.gradcheck.findings import Companion, Finding, Verdict
from tinygrad_kr.gradcheck.judge import Judge
from tinygrad_kr.gradcheck.problem import Leaf, Problem, name_of

__all__ = ["Report"]

ENOUGH = 0.9
"""The coverage below which a check as a whole is inconclusive."""
NAMED = 5
"""How many wrong elements are named besides the worst."""
WRITTEN_OUT = 30
"""Inputs up to this many elements in all are written into the line that reproduces a failure."""


class Report:
    """The result of ``check_gradients``.

    Attributes
    ----------
    findings : list of Finding
        One for each element in mode full, for each direction (and each suspect) in mode directions.
    companions : list of Companion
        The exact properties.
    patterns : list of str
        What a wrong gradient looks like, in sentences.
    evaluations, gradient_calls : int
        How often f and the gradient were called.
    seconds : float
        What it took.
    mode : str
        full, directions or numerical.
    seed : int or None
        As it was given.
    resolution : float
        The relative error bar from which on an element counts as resolved.
    claimed : list of ndarray
        The gradient that was checked, one array for each input.
    second_point : dict of str to ndarray
        The inputs and parameters, by name, at which the companion *stale cache* looked too; empty if it did not.
    """

    def __init__(self, problem: Problem, seed: int | None, cotangent: Any = None) -> None:
        self.problem, self.seed, self.cotangent = problem, seed, cotangent
        self.judge: Judge | None = None
        self.findings: list[Finding] = []
        self.companions: list[Companion] = []
        self.patterns: list[str] = []
        self.claimed: list[Any] = []
        self.evaluations = self.gradient_calls = 0
        self.seconds = 0.0
        self.mode, self.resolution = "full", 1e-5
        self.second_point: dict[str, Any] = {}

    # In numbers

    @property
    def verdict(self) -> Verdict:
        """FAIL if anything failed; INCONCLUSIVE if something was refuted or too little seen; KINK if at a kink."""
        if self._broken("forward determinism"):
            return Verdict.INCONCLUSIVE
        verdicts = {finding.verdict for finding in self.findings}
        if Verdict.FAIL in verdicts or any(c.verdict is Verdict.FAIL for c in self.companions):
            return Verdict.FAIL
        if self.nothing_to_compare or self.coverage < ENOUGH or any(finding.refuted for finding in self.findings):
            return Verdict.INCONCLUSIVE
        return Verdict.KINK if Verdict.KINK in verdicts else Verdict.PASS

    @property
    def passed(self) -> bool:
        """Whether the gradient is certified: PASS or KINK."""
        return self.verdict in (Verdict.PASS, Verdict.KINK)

    @property
    def coverage(self) -> float:
        """The share of the gradient that is resolved, by magnitude: the smallest of all inputs."""
        return min(map(self._coverage, {finding.input for finding in self.findings}), default=1.0)

    def _coverage(self, name: str) -> float:
        found = [finding for finding in self.findings if finding.input == name]
        total = sum(finding.scale for finding in found)
        unresolved = sum(f.scale for f in found if f.verdict is Verdict.INCONCLUSIVE)
        if total == 0:
            return 0.0 if any(f.verdict is Verdict.INCONCLUSIVE for f in found) else 1.0
        return 1 - unresolved / total if math.isfinite(total) else 0.0

    @property
    def minimum_detectable_error(self) -> float:
        """The relative error of an element that would have been seen for certain: the median; NaN if none is known."""
        sure = (Verdict.PASS, Verdict.FAIL)
        known = [f.detectable for f in self.findings if f.verdict in sure and math.isfinite(f.detectable)]
        return float(np.median(known)) if known else math.nan

    def miss_probability(self, error: float = 1e-3) -> float:
        """Bound the probability that a wrong gradient passed, in mode directions.

        Parameters
        ----------
        error : float
            The norm of the error of one input's gradient, relative to the norm of that gradient (each element in
            units of its step).

        Returns
        -------
        float
            ``prod(min(1, 0.8 * threshold / (error * norm)))`` over the Gaussian directions; the largest of all inputs.
            0 in the other modes, which look at every element.
        """
        bounds: dict[str, float] = {}
        for finding in self.findings:
            if finding.gaussian and finding.norm > 0:
                chance = min(1.0, 0.8 * finding.threshold / (error * finding.norm))
                bounds[finding.input] = bounds.get(finding.input, 1.0) * chance
        return max(bounds.values(), default=0.0)

    @property
    def culprit(self) -> Finding | None:
        """The worst wrong element; a direction if no element could be named; None if nothing is wrong."""
        failed = [finding for finding in self.findings if finding.verdict is Verdict.FAIL]
        return max(failed, key=lambda f: (f.index is not None, _bars(f), f.error), default=None)

    @property
    def reason(self) -> str:
        """Why the verdict is not a plain PASS, in a few words."""
        if broken := self._broken("forward determinism"):
            return broken.message
        if self.verdict is Verdict.FAIL:
            if self.culprit is None:
                return next((c.message for c in self.companions if c.verdict is Verdict.FAIL), "")
            return self.culprit.reason or "outside the error bar at every step that could see it"
        if nothing := self.nothing_to_compare:
            return nothing
        found = [f for f in self.findings if f.verdict is self.verdict and f.reason]
        unsettled = Counter(f.reason for f in found if f.refuted) or Counter(f.reason for f in found)
        if self.verdict is Verdict.INCONCLUSIVE:
            return unsettled.most_common(1)[0][0] if unsettled else "too little of the gradient could be resolved"
        if self.verdict is Verdict.KINK:
            return "at a kink, where every slope between those on the two sides will do"
        return ""

    @property
    def nothing_to_compare(self) -> str:
        """Return why there was nothing to compare, or an empty string."""
        if self.judge is not None and self.judge.weights.size == 0:
            return "there was nothing to check: f returns no numbers"
        if self.judge is not None and not np.any(self.judge.weights):
            return "there was nothing to check: the cotangent is zero, and so is every gradient for it"
        return "" if self.findings else "there was nothing to check: every input is empty"

    def _broken(self, name: str) -> Companion | None:
        return next((c for c in self.companions if c.name == name and c.verdict is Verdict.FAIL), None)

    # In words

    def __str__(self) -> str:
        return "\n".join(
            [f"check_gradients: {name_of(self.problem.f)}: {self.verdict}{self._summary()}"]
            + [f"  {line}" for line in (*map(self._leaf_line, self._leaves()), *self._details())]
        )

    def __repr__(self) -> str:
        return f"<Report {name_of(self.problem.f)}: {self.verdict}>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """Return the report as HTML: the text, the exact properties, and each small input as a heat-map of bars."""
        from tinygrad_kr.gradcheck.figure import html_of

        return html_of(self)

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the bars over each input, and the error of the worst element against the step, log-log.

        Parameters
        ----------
        path : path-like, optional
            Where to save the picture; its ending says the format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        from tinygrad_kr.gradcheck.figure import figure_of

        return figure_of(self, path)

    def _leaves(self) -> list[Leaf]:
        return [leaf for leaf in self.problem.leaves if leaf.position in self.problem.checked]

    def _summary(self) -> str:
        wrong = sorted({f.input for f in self.findings if f.verdict is Verdict.FAIL})
        if self.verdict is Verdict.FAIL and wrong:
            return f": wrong gradient for {', '.join(wrong)}"
        return f": {self.reason}" if self.reason else ""

    def _leaf_line(self, leaf: Leaf) -> str:
        found = [f for f in self.findings if f.input == leaf.name]
        counts = Counter(str(f.verdict) for f in found)
        said = ", ".join(f"{counts[v]} {v}" for v in reversed(Verdict) if counts[v]) or "nothing to compare"
        unit = "directions and suspects" if self.mode == "directions" else "elements"
        line = (
            f"{leaf.name} {leaf.shape} {leaf.dtype}: {said} of {len(found)} {unit}"
            if found
            else (f"{leaf.name} {leaf.shape} {leaf.dtype}: {said}")
        )
        return line + (f"; coverage {self._coverage(leaf.name):.3g}" if found else "")

    def _details(self) -> list[str]:
        lines = self._accusation()
        lines += [f"pattern: {pattern}" for pattern in self.patterns]
        for companion in self.companions:
            if companion.verdict is Verdict.FAIL:
                lines.append(f"{companion.name}: {companion.message}")
                lines += self._second_point() if companion.name == "stale cache" else []
        lines += [self._power()] if self.findings else []
        held = [c.name for c in self.companions if c.verdict is Verdict.PASS]
        if len(held) > 1:
            lines.append(f"exact properties that hold: {', '.join(held)}")
        unseen = [f"{c.name} ({c.message})" for c in self.companions if c.verdict is Verdict.INCONCLUSIVE]
        if unseen:
            lines.append(f"not looked at: {', '.join(unseen)}")
        lines.append(
            f"cost: {self.evaluations} evaluations of f, {self.gradient_calls} of the gradient, {self.seconds:.2g} s"
        )
        if not self.passed:
            lines.append(f"reproduce: {self._call()}")
        return lines

    def _accusation(self) -> list[str]:
        worst = self.culprit
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
        others = [
            f.label for f in self.findings if f.verdict is Verdict.FAIL and f.index is not None and f is not worst
        ]
        if others:
            more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
            lines.append(f"also wrong: {', '.join(others[:NAMED])}{more}")
        return lines

    def _second_point(self) -> list[str]:
        """Say where the companion *stale cache* looked, unless it is too much to be written out."""
        if not self.second_point or not self._short:
            return []
        return [
            f"    the second point: {', '.join(f'{name} = {_written(x)}' for name, x in self.second_point.items())}"
        ]

    @property
    def _short(self) -> bool:
        """Whether the inputs are few enough to be written out."""
        return sum(leaf.size for leaf in self.problem.leaves) <= WRITTEN_OUT

    def _power(self) -> str:
        smallest = self.minimum_detectable_error
        if math.isnan(smallest):
            return "power: no slope here is different from 0 and resolved, so nothing is certified but that"
        line = f"power: a relative error of {smallest:.1g} in a typical element would have been seen"
        if self.mode == "directions" and self.passed:
            line += f"; one of 0.001 in the norm is missed with a probability of at most {self.miss_probability():.1g}"
        return line

    def _call(self) -> str:
        """The line that reproduces this check."""
        arguments = [name_of(self.problem.f)]
        short = self._short
        values = self.problem.arguments(self.problem.start, dtypes=True)
        named = zip(values, self.problem.input_names, strict=True)
        arguments += [_written(value) if short else name for value, name in named]
        if self.problem.user_gradient is not None:
            arguments.append(f"gradient={name_of(self.problem.user_gradient)}")
        if self.problem.parameters:
            arguments.append("model=...")
        if self.cotangent is not None:
            arguments.append(f"cotangent={_written(self.cotangent) if short else 'cotangent'}")
        arguments.append(f"mode={self.mode!r}")
        if self.seed is not None:
            arguments.append(f"seed={self.seed}")
        return f"check_gradients({', '.join(arguments)})"


def _bars(finding: Finding) -> float:
    return finding.bars if math.isfinite(finding.bars) else math.inf


def _written(value: Any) -> str:
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
