"""What a check found, in numbers."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.gradcheck.findings import ExactProperty, Finding, Verdict
from tinygrad_kr.gradcheck.problem import Problem
from tinygrad_kr.gradcheck.sampler import Sampler
from tinygrad_kr.gradcheck.variables import Variable

__all__ = ["Result"]

ENOUGH = 0.9
"""The coverage below which a check as a whole is inconclusive."""


class Result:
    """The findings of a check, and what follows from them.

    Attributes
    ----------
    findings : list of Finding
        In mode full one for each element; in mode directions one for each direction and each element judged singly.
    exact_properties : list of ExactProperty
        The exact properties.
    patterns : list of str
        The likely mistakes behind a wrong gradient, in sentences.
    evaluations, gradient_calls : int
        How often f and the gradient were called.
    seconds : float
        How long the check took.
    mode : str
        full, directions or numerical.
    seed : int or None
        As it was given.
    resolution : float
        The relative error bar from which on an element counts as resolved.
    claimed : list of ndarray or None
        The gradient that was checked, one array for each input.
    second_point : dict of str to ndarray
        The inputs and parameters, by name, at which the property *stale cache* looked too; empty if it did not.
    """

    problem: Problem
    seed: int | None
    cotangent: object
    seconds: float = 0.0
    evaluations: int = 0
    gradient_calls: int = 0
    mode: str = "full"
    resolution: float = 1e-5
    sampler: Sampler | None = None

    def __init__(self, problem: Problem, seed: int | None, cotangent: object = None) -> None:
        self.problem, self.seed, self.cotangent = problem, seed, cotangent
        self.findings: list[Finding] = []
        self.exact_properties: list[ExactProperty] = []
        self.patterns: list[str] = []
        self.claimed: list[NDArray[Any] | None] = []
        self.second_point: dict[str, NDArray[np.float64]] = {}

    @property
    def verdict(self) -> Verdict:
        """FAIL if anything failed; INCONCLUSIVE if something was refuted or too little seen; KINK if at a kink."""
        if self._broken("forward determinism"):
            return Verdict.INCONCLUSIVE
        verdicts = {f.verdict for f in self.findings}
        if Verdict.FAIL in verdicts or any(c.verdict is Verdict.FAIL for c in self.exact_properties):
            return Verdict.FAIL
        if self.nothing_to_compare or self.coverage < ENOUGH or any(f.refuted for f in self.findings):
            return Verdict.INCONCLUSIVE
        return Verdict.KINK if Verdict.KINK in verdicts else Verdict.PASS

    @property
    def passed(self) -> bool:
        """Whether the gradient is certified: PASS or KINK."""
        return self.verdict in (Verdict.PASS, Verdict.KINK)

    @property
    def coverage(self) -> float:
        """The share of the gradient that is resolved, by magnitude: the smallest of all inputs."""
        return min(map(self.coverage_of, {f.input for f in self.findings}), default=1.0)

    def coverage_of(self, name: str) -> float:
        """Return the share of one input's gradient that is resolved."""
        found = [f for f in self.findings if f.input == name]
        total = sum(f.scale for f in found)
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
    def worst(self) -> Finding | None:
        """The worst wrong element; a direction if no element could be named; None if nothing is wrong."""
        failed = [f for f in self.findings if f.verdict is Verdict.FAIL]
        return max(
            failed,
            key=lambda f: (f.index is not None, f.bars if math.isfinite(f.bars) else math.inf, f.error),
            default=None,
        )

    @property
    def reason(self) -> str:
        """Why the verdict is not a plain PASS, in a few words."""
        if broken := self._broken("forward determinism"):
            return broken.message
        if self.verdict is Verdict.FAIL:
            if self.worst is None:
                return next((c.message for c in self.exact_properties if c.verdict is Verdict.FAIL), "")
            return self.worst.reason or "outside the error bar at every step that could see it"
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
        if self.sampler is not None and self.sampler.weights.size == 0:
            return "there was nothing to check: f returns no numbers"
        if self.sampler is not None and not np.any(self.sampler.weights):
            return "there was nothing to check: the cotangent is zero, and so is every gradient for it"
        return "" if self.findings else "there was nothing to check: every input is empty"

    def _broken(self, name: str) -> ExactProperty | None:
        return next((c for c in self.exact_properties if c.name == name and c.verdict is Verdict.FAIL), None)

    def found_by_variable(self) -> list[tuple[Variable, list[Finding]]]:
        """Return the findings about single elements, by variable."""
        singles = [f for f in self.findings if f.index is not None]
        pairs = [(v, [f for f in singles if f.input == v.name]) for v in self.problem.variables if v.size]
        return [(v, found) for v, found in pairs if found]
