"""From slopes with error bars to a verdict.

A gradient is accused only on good evidence: the disagreement must exceed twice the error bar at the best step and
at one more, with the noise of every output counted that depends on the element; and no finer step, down to the
scale of the element itself, may contradict the slope it rests on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.gradcheck.problem import Leaf, Point, Problem, Vector
from tinygrad_kr.gradcheck.stencil import EPS, Line, Noise, Rung, dependent_outputs, measure
from tinygrad_kr.gradcheck.verdict import Finding, Verdict

__all__ = ["Judge"]

SAFETY = 2.0
"""How many bars a gradient must be off before it is suspected."""
BLUR = 1e-11
"""The share of the outputs' slopes that rounding in the gradient itself may explain."""
MOST_RUNGS = 14
SHARP = 2e-8
"""The relative bar below which no finer step is tried, where truncation and not noise makes it."""
LEAP = 4096.0
"""From step to step on the way down to where an accusation could not be contradicted any more."""
BUDGET = "the evaluations or the time allowed are used up"


@dataclass(frozen=True)
class Judge:
    """Measures slopes of one problem at one point, with one cotangent, and judges claims about them."""

    problem: Problem
    point: Point
    center: Vector
    weights: Vector
    noise: Noise
    resolution: float
    allowed: Callable[[], bool] = lambda: True

    def at(self, point: Point) -> Judge:
        """Return a judge at another point, who takes the noise of f to be the same there."""
        return replace(self, point=point, center=self.problem.value(point))

    def element(self, leaf: Leaf, position: int, claimed: float) -> Finding:
        """Judge one element of the gradient, given by its position in the flattened leaf."""
        finding = self.line(Line.element(self.point, leaf, position), claimed)
        finding.index = tuple(int(i) for i in np.unravel_index(position, leaf.shape)) if leaf.shape else ()
        finding.at = float(self.point[leaf.position].flat[position])
        return finding

    def line(self, line: Line, claimed: float, norm: float = 0.0, quick: bool = False) -> Finding:
        """Judge the slope along a line.

        ``norm`` is the magnitude that the bar is compared with along several elements, whose parts of the slope may
        cancel. ``quick`` leaves out the steps that only look for what could excuse a wrong slope.
        """
        if not math.isfinite(claimed):
            return self._not_finite(line, claimed)
        climb = Climb(self, line, claimed, norm, quick)
        climb.run()
        return climb.verdict()

    def rung(self, line: Line, step: float) -> Rung:
        """Measure a slope with one step."""
        return measure(self.problem, self.point, line, step, self.center, self.weights, self.noise)

    def _not_finite(self, line: Line, claimed: float) -> Finding:
        rung = self.rung(line, line.local_step or line.first_step)
        sound = rung.finite and rung.bar() < 1e-3 * abs(rung.slope) + 1e-6
        verdict = Verdict.FAIL if sound else Verdict.INCONCLUSIVE
        reason = f"the gradient is {claimed}" + ("" if sound else ", and f has no clear slope here")
        return Finding(line.leaf.name, None, verdict, claimed, rung.slope, rung.bar(), step=rung.step, reason=reason)


class Climb:
    """Measurements of one slope with several steps, each chosen after those before."""

    def __init__(self, judge: Judge, line: Line, claimed: float, norm: float, quick: bool) -> None:
        self.judge, self.line, self.claimed, self.quick = judge, line, claimed, quick
        self.scale = max(norm, abs(claimed))
        self.aim = SHARP if line.where.size == 1 else judge.resolution / 10
        self.rungs: list[Rung] = []
        self.lost: list[float] = []  # steps at which f was not finite
        self.coarser_left = 2

    # Taking measurements

    def run(self) -> None:
        """Measure until the question is settled, or nothing better can be had."""
        step: float | None = self.line.first_step
        while step is not None and len(self.rungs) + len(self.lost) < MOST_RUNGS and self.judge.allowed():
            rung = self.judge.rung(self.line, step)
            if rung.finite:
                self.rungs.append(rung)
            else:
                self.lost.append(step)
            step = self._next()

    def _next(self) -> float | None:
        """Return the next step worth trying, or None."""
        if not self.rungs:
            return self._finer(self.lost[-1] / 16)
        finest = min(self.rungs, key=lambda rung: rung.step)
        best = self.trusted()
        if self.refuted(best):
            if self._can_see(finest):
                return self._finer(finest.step / (4 if len(self.rungs) == 1 else LEAP)) or self._beside(best)
            return self._beside(best)
        if self.bar(best) <= self.aim * max(abs(best.slope), self.scale):
            return None
        noisy = self.noise(finest) > finest.truncation + finest.kink
        if self.resolved(best) and noisy:
            return None
        if noisy:
            return self._finer(0) if self._local_left(finest.step) else self._coarser()
        return None if self._stuck_at_a_kink() else self._finer(finest.step / 16)

    def _local_left(self, step: float) -> bool:
        """Whether the element's own scale is smaller than all steps so far."""
        return self.line.local_step is not None and self.line.local_step < min(step, *self.lost, math.inf)

    def _finer(self, step: float) -> float | None:
        """Return a smaller step, that of the element's own scale if it has not had its turn; None at the end."""
        tried = [*(rung.step for rung in self.rungs), *self.lost]
        if self._local_left(min(tried)):
            return self.line.local_step
        return step if step >= self.line.smallest_step and step > 0 else None

    def _coarser(self) -> float | None:
        """Return a larger step, at most twice."""
        self.coarser_left -= 1
        coarser = 16 * max(rung.step for rung in self.rungs)
        return None if self.coarser_left < 0 or any(coarser >= lost for lost in self.lost) else coarser

    def _can_see(self, finest: Rung) -> bool:
        """Whether a finer step could still contradict an accusation."""
        if self.quick and self._confirmed(self.trusted()):
            return False
        error = abs(self.claimed - self.trusted().slope)
        return LEAP * SAFETY * self.noise(finest) < error or self._local_left(finest.step) or len(self.rungs) == 1

    def _beside(self, best: Rung) -> float | None:
        """Return a step next to the best one, for a second opinion with about the same bar, if one is needed."""
        if self._confirmed(best):
            return None
        tried = {rung.step for rung in self.rungs} | set(self.lost)
        return next((s for s in (best.step / 2, best.step * 2, best.step * 4) if s not in tried), None)

    # Weighing them

    @cached_property
    def depends(self) -> NDArray[np.bool_]:
        """Which outputs depend on the elements of this line at all: of several elements, presumably all."""
        if self.line.where.size > 1:
            return np.ones(self.judge.center.size, bool)
        return dependent_outputs(self.judge.problem, self.judge.point, self.line, self.judge.center)

    def noise(self, rung: Rung) -> float:
        """Return what noise may do to a slope, with outputs that rounding keeps from moving."""
        return rung.noise(self.depends)

    def trusted(self) -> Rung:
        """Return the measurement with the smallest bar that no finer one contradicts."""
        if len(self.rungs) == 1:
            return self.rungs[0]
        for rung in sorted(self.rungs, key=lambda rung: rung.bar(self.depends)):
            finer = (other for other in self.rungs if other.step < rung.step)
            if all(self._agree(rung, other) for other in finer):
                return rung
        return min(self.rungs, key=lambda rung: rung.step)

    def _agree(self, a: Rung, b: Rung) -> bool:
        bars = a.bar(self.depends) + b.bar(self.depends)
        return abs(a.slope - b.slope) <= SAFETY * bars + BLUR * (a.size + b.size)

    def blur(self, rung: Rung) -> float:
        """Return what rounding in the claimed value itself may amount to."""
        return BLUR * rung.size + 16 * EPS * self.scale

    def bar(self, rung: Rung) -> float:
        """Return the bar: of the outputs that moved, or, if the claim leaves it, of all that depend on the element."""
        bar = rung.bar()
        return rung.bar(self.depends) if self._outside(rung, bar) else bar

    def _outside(self, rung: Rung, bar: float) -> bool:
        return abs(self.claimed - rung.slope) > SAFETY * bar + self.blur(rung)

    def refuted(self, rung: Rung) -> bool:
        """Whether the claim is out of reach of one measurement."""
        return self._outside(rung, self.bar(rung))

    def _confirmed(self, best: Rung) -> bool:
        """Whether one more measurement that agrees with the best refutes the claim."""
        return sum(self.refuted(rung) for rung in self.rungs if self._agree(rung, best)) > 1

    def resolved(self, rung: Rung) -> bool:
        """Whether the bar is small beside the slope."""
        return self.bar(rung) <= self.judge.resolution * max(abs(rung.slope), self.scale)

    def _stuck_at_a_kink(self) -> bool:
        """Whether the kink part has not shrunk over three finer steps, as it does where f is smooth."""
        by_step = sorted(self.rungs, key=lambda rung: rung.step)
        return len(by_step) > 3 and by_step[0].kink > max(0.3 * by_step[3].kink, 3 * by_step[0].noise())

    def _at_a_kink(self, best: Rung) -> bool:
        largest = max(rung.kink for rung in self.rungs)
        return best.kink > max(0.3 * largest, 3 * best.noise(), best.truncation)

    # The verdict

    def verdict(self) -> Finding:
        """Return what the measurements say of the claim."""
        if not self.rungs:
            reason = "f is not finite close to this point" if self.lost else BUDGET
            return Finding(
                self.line.leaf.name, None, Verdict.INCONCLUSIVE, self.claimed, math.nan, math.inf, reason=reason
            )
        best = self.trusted()
        if self._at_a_kink(best) and not self.resolved(best):
            return self._at_kink(best)
        if self.refuted(best):
            if self._confirmed(best):
                return self._finding(best, Verdict.FAIL)
            return self._finding(best, Verdict.INCONCLUSIVE, "more than two bars off, but at one step only")
        if self.resolved(best):
            return self._finding(best, Verdict.PASS)
        return self._finding(best, Verdict.INCONCLUSIVE, self._reason(best))

    def _reason(self, best: Rung) -> str:
        if not self.judge.allowed():
            return BUDGET
        if self.noise(best) >= max(best.truncation, best.kink):
            return "noise: rounding in f hides a slope this small"
        if best.kink > best.truncation:
            return "kink: the slope changes close to this point"
        return "truncation: f bends too much at every step that rounding allows"

    def _finding(self, rung: Rung, verdict: Verdict, reason: str = "") -> Finding:
        name = self.line.leaf.name
        return Finding(
            name, None, verdict, self.claimed, rung.slope, self.bar(rung), self.blur(rung), rung.step, reason
        )

    def _at_kink(self, best: Rung) -> Finding:
        """Judge a claim where the slope jumps: it must lie between the slopes on the two sides."""
        intervals = [(*self._interval(rung), rung) for rung in self.rungs]
        low, high, margin, rung = min(intervals, key=lambda interval: interval[2])
        widths = [high - low for low, high, _, _ in sorted(intervals, key=lambda interval: interval[3].step)]
        if len(widths) > 1 and widths[0] > 1.5 * widths[-1]:
            return self._finding(best, Verdict.INCONCLUSIVE, "f jumps here, or its slope has no bound")
        inside = low - margin <= self.claimed <= high + margin
        finding = self._finding(
            rung,
            Verdict.KINK if inside else Verdict.FAIL,
            f"at a kink, where the slopes on the two sides are {low:.6g} and {high:.6g}",
        )
        finding.estimate, finding.bar = (low + high) / 2, (high - low) / 2 + margin
        return finding

    def _interval(self, rung: Rung) -> tuple[float, float, float]:
        """Return the least and the greatest slope that the two sides allow, and what they may be off by."""
        weights = self.judge.weights
        below, above = weights * rung.below[1], weights * rung.above[1]
        bent = np.abs(rung.below[1] - rung.below[0]) + np.abs(rung.above[1] - rung.above[0])
        low, high = float(np.minimum(below, above).sum()), float(np.maximum(below, above).sum())
        margin = float(np.abs(weights) @ bent) + 3 * rung.noise() + 1e-6 * max(abs(low), abs(high))
        return low, high, margin
