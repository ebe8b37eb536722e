"""Choose what is compared: every element, or random directions with a search for a wrong element."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_kr.gradcheck.claim import BLUR, NEGLIGIBLE, SAFETY
from tinygrad_kr.gradcheck.findings import Finding, Verdict
from tinygrad_kr.gradcheck.judge import BUDGET, judge_element, judge_line
from tinygrad_kr.gradcheck.kinks import several_kinks
from tinygrad_kr.gradcheck.sampler import Sampler
from tinygrad_kr.gradcheck.slopes import EPS, FIRST_STEP, Line, Together
from tinygrad_kr.gradcheck.variables import Variable, Vector, index_of, position_of, random_signs
from tinygrad_kr.numerical import numerical_gradient

__all__ = ["BOOK_STEP", "GAUSSIANS", "Search"]

GROUPS, GROUPED_FROM = 8, 1000
GAUSSIANS = 2
BOOK_STEP = 1e-4
THOROUGH = 3
"""After so many wrong elements of a variable, the others are judged with fewer steps."""
FEW = 8
"""Among so few elements halving is the quickest search."""
ALIKE = 64.0
"""The largest ratio of the sizes of elements that are moved by the same amount."""
SINGLES = 8
"""How many elements are looked at singly when an error is spread over a variable."""
ATTEMPTS = 3
"""How often an element is looked for, with other directions, before a wrong slope stays unexplained."""

Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass
class Search:
    """Judges the gradient of one variable after the other.

    ``claimed`` holds the gradient, None where a variable has none of the right shape.
    """

    sampler: Sampler
    claimed: list[Vector | None]
    rng: np.random.Generator
    progress: Progress
    findings: list[Finding] = field(default_factory=list)

    def full(self, variable: Variable) -> None:
        """Judge every element of a variable."""
        claimed = self._flat(variable)
        found: list[Finding] = []
        for i in self.progress(range(variable.size)):
            quick = sum(f.verdict is Verdict.FAIL for f in found) >= THOROUGH
            found.append(judge_element(self.sampler, variable, i, float(claimed[i]), quick=quick))
        self.findings += found

    def compare(self) -> None:
        """Pass slopes whose bars are negligible relative to the largest slope of all inputs, each on its input's scale.

        A slope that cannot be told from 0 has no other measure: no bar is small beside itself.
        """
        problem = self.sampler.problem
        largest = {v.name: float(problem.sizes[v.position].max()) for v in problem.variables if v.size}
        # Slopes along directions are relative to the sizes already.
        pairs = [(f, 1.0 if f.index is None else largest[f.input]) for f in self.findings]
        sound = (abs(f.estimate) * scale for f, scale in pairs if f.verdict in (Verdict.PASS, Verdict.KINK))
        limit = self.sampler.resolution * max(sound, default=0.0)
        for finding, scale in pairs:
            bar = finding.bar * scale
            reach = SAFETY * finding.bar + finding.blur
            if finding.verdict is not Verdict.INCONCLUSIVE or finding.refuted or not finding.error <= reach:
                continue
            if bar <= limit and max(abs(finding.claimed), abs(finding.estimate)) <= reach:
                finding.verdict, finding.reason = Verdict.PASS, "0, as far as can be told beside the others"
            elif bar <= NEGLIGIBLE * limit:
                finding.verdict, finding.negligible = Verdict.PASS, True
                finding.reason = "so small beside the others that its bar does not matter"

    def judge_ties(self) -> None:
        """Move all elements at a kink together: their gradients must fit that direction too.

        Where elements tie for a maximum, each may have any share of the gradient, but the shares add up to 1.
        """
        at_kinks = [f for f in self.findings if f.verdict is Verdict.KINK]
        tied = [f for f in at_kinks if f.index is not None]
        if len(tied) > 1:
            self._judge_tied(tied)
        if any(f.index is None for f in self.findings) and all(f.verdict is not Verdict.FAIL for f in self.findings):
            self._judge_translation({f.input for f in at_kinks})

    def _judge_tied(self, tied: list[Finding]) -> None:
        """Move the elements at a kink together, and no others."""
        variables = {v.name: v for v in self.sampler.problem.variables}
        places = [(variables[f.input], position_of(f.index, variables[f.input].shape)) for f in tied]
        together = Together(tuple(Line.element(self.sampler.point, *place) for place in places))
        estimate = self.sampler.estimate(together, min(f.step for f in tied))
        low, high, margin = estimate.sides()
        margin += sum(f.blur for f in tied)
        claimed = sum(f.claimed for f in tied)
        off = max(low - margin - claimed, claimed - high - margin)
        if not estimate.finite or off <= 0:
            return
        several = several_kinks(self.sampler, together, estimate, off)
        for finding in tied:
            finding.verdict, finding.refuted = Verdict.INCONCLUSIVE if several else Verdict.FAIL, True
            finding.reason += f"; all {len(tied)} elements at a kink together must add up to {(low + high) / 2:.6g}"

    def _judge_translation(self, names: set[str]) -> None:
        """Add the same number to all elements of some variables: f has no kink there, as ties stay."""
        variables = [v for v in self.sampler.problem.variables if v.name in names]
        sizes = [self.sampler.problem.sizes[v.position] for v in variables]
        unit = max((float(size.max()) for size in sizes), default=0.0)
        if not variables or unit > ALIKE * min(float(size.min()) for size in sizes):
            return
        together = Together(tuple(Line.along(v, np.arange(v.size), np.full(v.size, unit)) for v in variables))
        parts = np.concatenate([unit * self._flat(v) for v in variables])
        claimed, blur = float(parts.sum()), EPS * float(np.abs(parts).sum())
        estimate, finer = (self.sampler.estimate(together, step) for step in (FIRST_STEP, FIRST_STEP / 16))
        (low, high, margin), (finer_low, finer_high, finer_margin) = estimate.sides(), finer.sides()
        margins = margin + finer_margin + BLUR * estimate.size + blur
        same = max(abs(low - finer_low), abs(high - finer_high)) <= margins
        off = max(low - claimed, claimed - high) - SAFETY * margins
        if same and off > 0 and not several_kinks(self.sampler, together, finer, off):
            claimed, middle, bar = (value / unit for value in (claimed, (low + high) / 2, (high - low) / 2 + margins))
            reason = (
                f"ties: with all elements moved by the same the slope is {middle:.6g}, but they add up to {claimed:.6g}"
            )
            finding = Finding(variables[0].name, None, Verdict.FAIL, claimed, middle, bar, kink=True)
            finding.step, finding.reason = estimate.step, reason
            self.findings.append(finding)

    def numerical(self, variable: Variable) -> None:
        """Compare with ``numerical_gradient`` (study note 002, 4.4); its bar is its change with twice the step.

        Elements that disagree are judged as in ``full``.
        """
        claimed, start = self._flat(variable), self.sampler.point

        def projected(x: Any) -> float:
            point = list(start)
            point[variable.position] = np.array(x)
            return float(self.sampler.weights @ (self.sampler.problem.value(point) - self.sampler.center))

        x = start[variable.position].copy()
        once = numerical_gradient(projected, x, BOOK_STEP, progress=self.progress).ravel()
        twice = numerical_gradient(projected, x, 2 * BOOK_STEP, progress=self.progress).ravel()
        level = self.sampler.noise.at(np.abs(self.sampler.center), BOOK_STEP)
        noise = float(np.abs(self.sampler.weights) @ level) / BOOK_STEP
        found = []
        for i in range(variable.size):
            bar = abs(float(twice[i] - once[i])) + noise
            value = float(claimed[i])
            finding = Finding(variable.name, index_of(i, variable.shape), Verdict.PASS, value, float(once[i]), bar)
            finding.step, finding.at = BOOK_STEP, float(x.flat[i])
            if not finding.error <= SAFETY * bar:
                finding = judge_element(self.sampler, variable, i, value)
            elif bar > self.sampler.resolution * max(abs(value), abs(finding.estimate)):
                finding.verdict, finding.reason = Verdict.INCONCLUSIVE, "noise: rounding in f hides a slope this small"
            found.append(finding)
        self.findings += found

    def directions(self, variable: Variable) -> None:
        """Judge slopes along random directions; where one is wrong, look for the element."""
        size = self.sampler.problem.sizes[variable.position].ravel()
        order = self.rng.permutation(variable.size).astype(np.intp)
        signs = self._signs(size)
        groups = np.array_split(order, GROUPS if variable.size > GROUPED_FROM else 1)
        lines = [Line.along(variable, group, signs[group]) for group in groups]
        for _ in range(GAUSSIANS):
            lines.append(Line.along(variable, order, (self.rng.standard_normal(variable.size) * size)[order]))
        for number, line in enumerate(self.progress(lines)):
            found = self.along(line)
            found[0].gaussian = found[0].index is None and number >= len(groups)
            self.findings += found
            if any(f.verdict is Verdict.FAIL for f in found):
                return

    def along(self, line: Line) -> list[Finding]:
        """Judge the slope along one line; if it is wrong, add findings on single elements.

        Some element must fail too: along many elements at once f may oscillate faster than any step can resolve.
        """
        claimed = self._flat(line.variable)
        finding = self._slope(line, claimed)
        if finding.verdict is not Verdict.FAIL or finding.index is not None:
            return [finding]
        singles: list[Finding] = []
        for _ in range(ATTEMPTS):
            singles += self._single_elements(line, finding, claimed)
            if any(single.verdict is Verdict.FAIL for single in singles):
                return [finding, *singles]
            line = Line.along(line.variable, line.where, self._signs(np.abs(line.direction)))
        finding.verdict = Verdict.INCONCLUSIVE
        finding.reason = "the slope along a direction is wrong, but that of no element looked at"
        return [finding, *singles]

    def all_at_once(self, variable: Variable) -> Line:
        """A direction that moves every element of a variable."""
        size = self.sampler.problem.sizes[variable.position].ravel()
        return Line.along(variable, np.arange(variable.size), self._signs(size))

    def skip(self, variable: Variable) -> None:
        """Add an INCONCLUSIVE finding for a variable that the budget did not reach."""
        norm = float(np.linalg.norm(self._flat(variable)))
        self.findings.append(
            Finding(variable.name, None, Verdict.INCONCLUSIVE, norm, math.nan, math.inf, reason=BUDGET)
        )

    def _flat(self, variable: Variable) -> Vector:
        claimed = self.claimed[variable.position]
        assert claimed is not None
        return claimed.ravel()

    def _signs(self, size: Vector) -> Vector:
        """Draw a direction: signs, with magnitudes from 1/2 to 3/2 of each size."""
        return size * random_signs(self.rng, size.size, 0.5, 1.5)

    def _slope(self, line: Line, claimed: Vector) -> Finding:
        parts = claimed[line.where] * line.direction
        worst = line.where[np.argmin(np.isfinite(parts))]
        if line.where.size == 1 or not np.all(np.isfinite(parts)):
            return judge_element(self.sampler, line.variable, int(worst), float(claimed[worst]))
        finding = judge_line(self.sampler, line, float(parts.sum()), float(np.linalg.norm(parts)), quick=True)
        finding.blur += EPS * float(np.abs(parts).sum())
        sizes = self.sampler.problem.sizes[line.variable.position].reshape(-1)[line.where]
        finding.norm = float(np.linalg.norm(claimed[line.where] * sizes))
        finding.typical = float(np.median(np.abs(parts)))
        return finding

    def _single_elements(self, line: Line, finding: Finding, claimed: Vector) -> list[Finding]:
        """Find and judge the element that makes the slope wrong; if others are wrong too, judge a few of them."""
        group, line = line, self._worst_part(line, finding.step, claimed)
        singles = [int(line.where[0])]
        others = group.part(~np.isin(group.where, line.where))
        if others.where.size and self._excess(others, finding.step, claimed) > SAFETY:
            singles += others.where[:SINGLES].tolist()
        return [judge_element(self.sampler, line.variable, i, float(claimed[i])) for i in singles]

    def _worst_part(self, line: Line, step: float, claimed: Vector) -> Line:
        """Return the part of a line, one element, that makes its slope wrong, or as wrong as any.

        If it is one element alone, then moving each by a random share of its speed leaves that share of its error: two
        sets of shares tell which. If it is several, halve them, keeping the half along which the slope is more wrong.
        """
        off = self._off(line, step, claimed)
        if line.where.size > FEW and off != 0:
            shares = self.rng.random((2, line.where.size))
            left = [self._off(replace(line, direction=line.direction * share), step, claimed) / off for share in shares]
            nearest = int(np.argmin(np.abs(shares - np.array(left)[:, np.newaxis]).max(axis=0)))
            alone = line.part(slice(nearest, nearest + 1))
            if abs(self._off(alone, step, claimed) / off - 1) < 0.5:
                return alone
        while line.where.size > 1:
            half = line.where.size // 2
            first, second = line.part(slice(None, half)), line.part(slice(half, None))
            off_first = self._off(first, step, claimed)
            line, off = (first, off_first) if abs(off_first) > abs(off - off_first) else (second, off - off_first)
        return line

    def _off(self, line: Line, step: float, claimed: Vector) -> float:
        """Return how much the slope along a line is off, by two points only: enough to compare parts."""
        above, below = (self.sampler.problem.value_nearby(line.point(self.sampler.point, t)) for t in (step, -step))
        slope = float(self.sampler.weights @ (above - below)) / (2 * step)
        return float((claimed[line.where] * line.direction).sum()) - slope

    def _excess(self, line: Line, step: float, claimed: Vector) -> float:
        """Return how many bars the slope along a line is off, measured once."""
        parts = claimed[line.where] * line.direction
        estimate = self.sampler.estimate(line, step)
        blur = (BLUR * estimate.size + EPS * float(np.abs(parts).sum())) / SAFETY
        bar = estimate.bar(np.ones(estimate.moved.shape, bool)) + blur
        return abs(float(parts.sum()) - estimate.slope) / max(bar, 1e-300)
