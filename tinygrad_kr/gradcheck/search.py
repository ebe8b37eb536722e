"""Where to look: at every element, or along random directions with a search for the culprit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.gradcheck.judge import BLUR, BUDGET, SAFETY, Judge
from tinygrad_kr.gradcheck.problem import Leaf, Vector
from tinygrad_kr.gradcheck.stencil import EPS, Line, rough_size
from tinygrad_kr.gradcheck.verdict import Finding, Verdict
from tinygrad_kr.numerical import numerical_gradient

__all__ = ["BOOK_STEP", "GAUSSIANS", "Search"]

GROUPS, GROUPED_FROM = 8, 1000
GAUSSIANS = 2
BOOK_STEP = 1e-4
NEGLIGIBLE = 1e-3
"""Of the resolution, taken of a leaf's largest element: below this an element's bar does not matter."""
WITNESSES = 8
"""How many elements are looked at singly when an error is spread over a leaf."""

Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass
class Search:
    """Judges the leaves of a problem against a gradient, one by one.

    ``claimed`` holds the gradient, None where a leaf has none of the right shape.
    """

    judge: Judge
    claimed: list[Vector | None]
    rng: np.random.Generator
    progress: Progress
    findings: list[Finding] = field(default_factory=list)

    def full(self, leaf: Leaf) -> None:
        """Judge every element."""
        claimed = self._flat(leaf)
        found = [self.judge.element(leaf, i, float(claimed[i])) for i in self.progress(range(leaf.size))]
        excuse_negligible(found, self.judge.resolution)
        self.findings += found

    def numerical(self, leaf: Leaf) -> None:
        """Compare with the documents' ``numerical_gradient``; its bar is what it changes with twice the step.

        What disagrees is judged again, with error bars that bound.
        """
        claimed, start = self._flat(leaf), self.judge.point

        def projected(x: Any) -> float:
            point = list(start)
            point[leaf.position] = np.array(x)
            return float(self.judge.weights @ (self.judge.problem.value(point) - self.judge.center))

        x = start[leaf.position].copy()
        once = numerical_gradient(projected, x, BOOK_STEP, progress=self.progress).ravel()
        twice = numerical_gradient(projected, x, 2 * BOOK_STEP, progress=self.progress).ravel()
        noise = float(np.abs(self.judge.weights) @ self.judge.noise.at(np.abs(self.judge.center))) / BOOK_STEP
        found = []
        for i in range(leaf.size):
            bar = abs(float(twice[i] - once[i])) + noise
            value = float(claimed[i])
            finding = Finding(leaf.name, _index(leaf, i), Verdict.PASS, value, float(once[i]), bar, step=BOOK_STEP)
            finding.at = float(x.flat[i])
            if not finding.error <= SAFETY * bar:
                finding = self.judge.element(leaf, i, value)
            elif bar > self.judge.resolution * max(abs(value), abs(finding.estimate)):
                finding.verdict, finding.reason = Verdict.INCONCLUSIVE, "noise: rounding in f hides a slope this small"
            found.append(finding)
        excuse_negligible(found, self.judge.resolution)
        self.findings += found

    def directions(self, leaf: Leaf) -> None:
        """Judge slopes along random directions; where one is wrong, look for the element."""
        claimed = self._flat(leaf)
        size = rough_size(self.judge.point[leaf.position]).ravel()
        order = self.rng.permutation(leaf.size).astype(np.intp)
        signs = self._signs(size)
        for group in self.progress(np.array_split(order, GROUPS if leaf.size > GROUPED_FROM else 1)):
            finding = self._along(Line.along(leaf, group, signs[group]), claimed)
            self.findings.append(finding)
            if finding.verdict is Verdict.FAIL:
                self._name_culprit(Line.along(leaf, group, signs[group]), finding, claimed)
                return
        for _ in range(GAUSSIANS):
            direction = self.rng.standard_normal(leaf.size) * size
            finding = self._along(Line.along(leaf, np.arange(leaf.size), direction), claimed)
            finding.gaussian = finding.index is None
            self.findings.append(finding)
            if finding.verdict is Verdict.FAIL:
                self._name_culprit(Line.along(leaf, order, direction[order]), finding, claimed)
                return

    def skip(self, leaf: Leaf) -> None:
        """Say that the budget did not reach a leaf."""
        norm = float(np.linalg.norm(self._flat(leaf)))
        self.findings.append(Finding(leaf.name, None, Verdict.INCONCLUSIVE, norm, math.nan, math.inf, reason=BUDGET))

    def one_direction(self, leaf: Leaf) -> Finding:
        """Judge the slope along one direction that moves every element."""
        size = rough_size(self.judge.point[leaf.position]).ravel()
        return self._along(Line.along(leaf, np.arange(leaf.size), self._signs(size)), self._flat(leaf))

    def _flat(self, leaf: Leaf) -> Vector:
        claimed = self.claimed[leaf.position]
        assert claimed is not None
        return claimed.ravel()

    def _signs(self, size: Vector) -> Vector:
        """A direction that no single element is missing from: signs, with magnitudes from 1/2 to 3/2."""
        return np.asarray(size * self.rng.uniform(0.5, 1.5, size.size) * self.rng.choice([-1.0, 1.0], size.size))

    def _along(self, line: Line, claimed: Vector) -> Finding:
        parts = claimed[line.where] * line.direction
        if not np.all(np.isfinite(parts)):
            worst = int(line.where[np.argmin(np.isfinite(parts))])
            return self.judge.element(line.leaf, worst, float(claimed[worst]))
        finding = self.judge.line(line, float(parts.sum()), norm=float(np.linalg.norm(parts)), quick=True)
        finding.blur += EPS * float(np.abs(parts).sum())
        finding.norm, finding.typical = float(np.linalg.norm(parts)), float(np.median(np.abs(parts)))
        return finding

    def _name_culprit(self, line: Line, finding: Finding, claimed: Vector) -> None:
        """Halve the elements that move, keeping a half along which the slope is still wrong."""
        if finding.index is not None:
            return
        group = line
        while line.where.size > 1:
            half = line.where.size // 2
            first, second = line.part(slice(None, half)), line.part(slice(half, None))
            line = first if self._excess(first, finding.step, claimed) > SAFETY else second
        element = self.judge.element(line.leaf, int(line.where[0]), float(claimed[line.where[0]]))
        self.findings.append(element)
        others = Line.along(group.leaf, *_without(group, line.where))
        if others.where.size and self._excess(others, finding.step, claimed) > SAFETY:
            for i in others.where[:WITNESSES]:
                self.findings.append(self.judge.element(line.leaf, int(i), float(claimed[i])))

    def _excess(self, line: Line, step: float, claimed: Vector) -> float:
        """Return how many bars the slope along a line is off, measured once."""
        parts = claimed[line.where] * line.direction
        rung = self.judge.rung(line, step)
        blur = (BLUR * rung.size + EPS * float(np.abs(parts).sum())) / SAFETY
        return abs(float(parts.sum()) - rung.slope) / max(rung.bar(np.ones(rung.moved.shape, bool)) + blur, 1e-300)


def excuse_negligible(findings: list[Finding], resolution: float) -> None:
    """Let an element pass whose bar is nothing beside the largest slope of its leaf, and that is within it."""
    sound = [abs(f.estimate) for f in findings if f.verdict in (Verdict.PASS, Verdict.KINK)]
    limit = resolution * NEGLIGIBLE * max(sound, default=0.0)
    for finding in findings:
        small = finding.bar <= limit and finding.error <= SAFETY * finding.bar + finding.blur
        if finding.verdict is Verdict.INCONCLUSIVE and small and math.isfinite(finding.estimate):
            finding.verdict, finding.negligible = Verdict.PASS, True
            finding.reason = "so small beside the others that its bar does not matter"


def _without(line: Line, where: NDArray[np.intp]) -> tuple[NDArray[np.intp], Vector]:
    kept = ~np.isin(line.where, where)
    return line.where[kept], line.direction[kept]


def _index(leaf: Leaf, position: int) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(position, leaf.shape)) if leaf.shape else ()
