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

from tinygrad_kr.gradcheck.findings import Finding, Verdict
from tinygrad_kr.gradcheck.problem import Point, Problem, Variable, Vector
from tinygrad_kr.gradcheck.slopes import (
    EPS,
    Estimate,
    Far,
    Line,
    Noise,
    Together,
    far_away,
    measure,
    moves_in_quanta,
    noise_of,
)

__all__ = ["Judge"]

SAFETY = 2.0
"""How many bars a gradient must be off before it is suspected."""
NEGLIGIBLE = 1e-3
"""Of the resolution, beside larger slopes: below this an element's bar does not matter."""
BLUR = 1e-11
"""The share of the outputs' slopes that rounding in the gradient itself may explain."""
QUANTA = 64.0
"""How many roundings of the input, or of 1/4, an intermediate result may move by at once."""
MOST_RUNGS = 16
UNDERFLOW = float(np.finfo(np.float32).tiny)
"""What a function that does not move at all may have lost, if it casts to float32 inside."""
SHARP = 2e-8
"""The relative bar below which no finer step is tried, where truncation and not noise makes it."""
CONFIRMING = 2.0 ** np.array([2, 6, 10, 14, 18, 22, 26, 30])
"""How much finer the steps are that could contradict an accusation."""
SHAKES, SHAKE, LOST = 3, 16 * EPS, 64.0
"""How often and by how much inputs and cotangent are shaken, and how much more than is seen then rounding may do."""
FURTHER = (2.0**-8, 2.0**-3)
"""Steps, relative to the size of an element, over which f may move as claimed although it does not close by."""
PROBES, NEARBY, CLOSER = 16, (2.0**-20, 2.0**-10), 2.0**12
"""Where other kinks are looked for: at how many points, how far away relative to the elements' sizes, and with steps by
how much smaller."""
BUDGET = "the evaluations or the time allowed are used up"


@dataclass
class Judge:
    """Measures slopes of one problem at one point, with one cotangent, and judges claims about them."""

    problem: Problem
    point: Point
    center: Vector
    weights: Vector
    noise: Noise
    resolution: float
    seed: int
    allowed: Callable[[], bool] = lambda: True

    def at(self, point: Point) -> Judge:
        """Return a judge at another point, who takes the noise of f to be the same there."""
        center = self.problem.value(point)
        return replace(self, point=point, center=center, noise=replace(self.noise, center=center))

    @cached_property
    def local_noise(self) -> Noise:
        """The noise of f with steps on the scale of each element itself, however small."""
        sizes = [
            np.where(x == 0, size, np.ldexp(1.0, np.frexp(x)[1] - 1))
            for x, size in zip(self.point, self.problem.sizes, strict=True)
        ]
        return noise_of(self.problem, self.point, sizes, self.center, np.random.default_rng(self.seed))

    @cached_property
    def in_quanta(self) -> bool:
        """Whether f is a staircase, whose rest says nothing."""
        rng = np.random.default_rng(self.seed)
        return moves_in_quanta(self.problem, self.point, self.problem.sizes, self.center, rng)

    @cached_property
    def lost_digits(self) -> list[float]:
        """Bound the rounding error of each gradient by perturbing the last digits of inputs and cotangent.

        Where the terms of a sum cancel, as for the bias before a batch normalisation, nothing else shows their size.
        The inputs get one factor, so that what is tied stays tied. Without a budget for it, all may be lost.
        """
        if not self.problem.affords(gradients=1 + SHAKES):
            return [math.inf] * len(self.point)
        rng = np.random.default_rng(self.seed)
        lost = [0.0] * len(self.point)
        first = self.problem.gradient(self.point, self.weights)
        for _ in range(SHAKES):
            point = [x * (1 + SHAKE * rng.uniform(0.5, 1)) for x in self.point]
            cotangent = self.weights * (1 + SHAKE * rng.uniform(-1, 1, self.weights.shape))
            for i, (g, shaken) in enumerate(zip(first, self.problem.gradient(point, cotangent), strict=True)):
                if g is not None and np.shape(g) == np.shape(shaken):
                    change = np.abs(np.asarray(shaken, np.float64) - np.asarray(g, np.float64))
                    lost[i] = max(lost[i], LOST * float(np.max(change, initial=0, where=np.isfinite(change))))
        return lost

    def element(self, variable: Variable, position: int, claimed: float, quick: bool = False) -> Finding:
        """Judge one element of the gradient, given by its position in the flattened variable."""
        finding = self.line(Line.element(self.point, variable, position), claimed, quick=quick)
        finding.index = tuple(int(i) for i in np.unravel_index(position, variable.shape)) if variable.shape else ()
        finding.at = float(self.point[variable.position].flat[position])
        return finding

    def line(self, line: Line, claimed: float, norm: float = 0.0, quick: bool = False) -> Finding:
        """Judge the slope along a line.

        ``norm`` is the magnitude that the bar is compared with along several elements, whose parts of the slope may
        cancel. ``quick`` variables out the steps that only look for what could excuse a wrong slope.
        """
        if not math.isfinite(claimed):
            return self._not_finite(line, claimed)
        climb = Climb(self, line, claimed, norm, quick)
        climb.run()
        return climb.verdict()

    def estimate(self, line: Line | Together, step: float) -> Estimate:
        """Measure a slope with one step."""
        if line.local_unit is not None and step <= line.local_unit / 64:
            return measure(self.problem, self.point, line, step, self.weights, self.local_noise, line.local_unit)
        return measure(self.problem, self.point, line, step, self.weights, self.noise, line.unit)

    def several_kinks(self, line: Line | Together, estimate: Estimate, off: float) -> bool:
        """Whether more kinks meet here than one: slopes nearby are then neither of those on the two sides.

        A gradient may take a side at each, and together these need not lie between the two slopes along a line. So a
        gradient that is ``off`` outside them is not wrong for certain.
        """
        rng = np.random.default_rng(self.seed)
        near = min(max(estimate.step / line.unit, NEARBY[0]), NEARBY[1])
        step = near * line.unit / CLOSER  # hardly across a kink
        allowed = off / 1000 + 10 * estimate.sides()[2] + 3 * estimate.noise() * max(estimate.step / step, 1)
        for _ in range(PROBES):
            here = [
                x + near * size * rng.uniform(0.5, 1, x.shape) * rng.choice([-1.0, 1.0], x.shape)
                for x, size in zip(self.point, self.problem.sizes, strict=True)
            ]
            above, below = (self.problem.value_nearby(line.point(here, t)) for t in (step, -step))
            with np.errstate(all="ignore"):
                slopes = self.weights * (above - below) / (2 * step)
                apart = np.minimum(np.abs(slopes - estimate.below[1]), np.abs(slopes - estimate.above[1]))
            if not float(apart.sum()) <= allowed:
                return True
        return False

    def _not_finite(self, line: Line, claimed: float) -> Finding:
        coarser = self.estimate(line, line.local_step or line.first_step)
        estimate = self.estimate(line, coarser.step / 16)
        bounded = estimate.finite and estimate.bar() <= 2 * coarser.bar() + 20 * estimate.noise()
        verdict = Verdict.FAIL if bounded else Verdict.INCONCLUSIVE
        reason = f"the gradient is {claimed}" + ("" if bounded else ", and the slope of f seems to have no bound")
        return Finding(
            line.variable.name,
            None,
            verdict,
            claimed,
            estimate.slope,
            estimate.bar(),
            step=estimate.step,
            reason=reason,
        )


class Climb:
    """Measurements of one slope with several steps, each chosen after those before."""

    def __init__(self, judge: Judge, line: Line, claimed: float, norm: float, quick: bool) -> None:
        self.judge, self.line, self.claimed, self.quick = judge, line, claimed, quick
        self.scale = max(norm, abs(claimed))
        self.aim = SHARP if line.where.size == 1 else judge.resolution / 10
        self.estimates: list[Estimate] = []
        self.lost: list[float] = []  # steps at which f was not finite
        self.coarser_left = 2

    # Taking measurements

    def run(self) -> None:
        """Measure until the question is settled, or nothing better can be had."""
        step: float | None = self.line.first_step
        while step is not None and len(self.estimates) + len(self.lost) < MOST_RUNGS and self.judge.allowed():
            estimate = self.judge.estimate(self.line, step)
            if estimate.finite:
                self.estimates.append(estimate)
            else:
                self.lost.append(step)
            step = self._next()

    def _next(self) -> float | None:
        """Return the next step worth trying, or None."""
        if not self.estimates:
            return self._finer(self.lost[-1] / 16)
        finest = min(self.estimates, key=lambda estimate: estimate.step)
        best = self.trusted()
        if self.refuted(best):
            return self._next_to_confirm(best)
        if self.bar(best) <= self.aim * max(abs(best.slope), self.scale):
            return None
        noisy = math.inf > self.noise(finest) > finest.truncation + finest.kink
        if self._rests(best) or (self.resolved(best) and noisy):
            return None
        if noisy and self._at_a_kink(best):
            return None
        if noisy:
            return self._finer(0) if self._local_left(finest.step) else self._coarser()
        if self._stuck_at_a_kink() and self._kink().verdict is Verdict.KINK:
            return None
        return self._finer(finest.step / 16)

    def _next_to_confirm(self, best: Estimate) -> float | None:
        """Return a finer step that could still contradict an accusation, or one that could confirm it, or None."""
        if self.quick and self._confirmed(best):
            return None
        if not self.quick and self._fits_further(best):
            return None
        error = abs(self.claimed - best.slope)
        local = self.line.local_step
        first = local if local is not None and best.step <= local else self.line.first_step
        noise = min(
            self.noise(estimate, least=True) * estimate.step
            for estimate in self.estimates
            if estimate.step <= best.step
        )
        for step in first / CONFIRMING:
            could_see = 2 * SAFETY * noise < error * step or self._local_left(
                min(estimate.step for estimate in self.estimates)
            )
            if (
                step < best.step
                and could_see
                and not any(abs(math.log2(estimate.step / step)) < 2 for estimate in self.estimates)
            ):
                finer = self._finer(step)
                if finer is not None and finer not in self.lost:
                    return finer
        return None if self._confirmed(best) else self._beside(best)

    def _local_left(self, step: float) -> bool:
        """Whether the element's own scale is smaller than all steps so far."""
        return self.line.local_step is not None and self.line.local_step < min(step, *self.lost, math.inf)

    def _finer(self, step: float) -> float | None:
        """Return a smaller step, that of the element's own scale if it has not had its turn; None at the end."""
        tried = [*(estimate.step for estimate in self.estimates), *self.lost]
        if self._local_left(min(tried)):
            return self.line.local_step
        return step if step >= self.line.smallest_step and step > 0 else None

    def _coarser(self) -> float | None:
        """Return a larger step, at most twice: the second time that which balances noise and truncation."""
        self.coarser_left -= 1
        largest = max(self.estimates, key=lambda estimate: estimate.step)
        balance = np.cbrt(self.noise(largest) / max(2 * (largest.truncation + largest.kink), 1e-300))
        factor = 16.0 if self.coarser_left else 2.0 ** np.clip(np.round(np.log2(max(balance, 1.0))), 1, 6)
        coarser = float(factor) * largest.step
        return None if self.coarser_left < 0 or any(coarser >= lost for lost in self.lost) else coarser

    def _beside(self, best: Estimate) -> float | None:
        """Return a step next to the best one, for a second opinion with about the same bar."""
        tried = {estimate.step for estimate in self.estimates} | set(self.lost)
        return next((s for s in (best.step / 2, best.step * 2, best.step * 4) if s not in tried), None)

    # Weighing them

    @cached_property
    def far(self) -> Far:
        """What f does when the elements of this line change a lot."""
        return far_away(self.judge.problem, self.judge.point, self.line, self.judge.center)

    @property
    def depends(self) -> NDArray[np.bool_]:
        """Which outputs depend on the elements of this line at all: of several elements, presumably all."""
        return self.far.depends if self.line.where.size == 1 else np.ones(self.judge.center.size, bool)

    def noise(self, estimate: Estimate, least: bool = False) -> float:
        """Return what noise may do to a slope, with outputs that only rounding keeps from moving.

        An output that rests here, and with a larger step moves on both sides, moves in quanta of unknown size. If all
        rest, and with larger steps nothing but noise is seen, this rest says nothing. ``least`` counts no noise but
        rounding and quanta: with finer steps what looked like noise may be the function itself.
        """
        larger = [other for other in self.estimates if other.step > estimate.step]
        if self._rests(estimate) or (
            not estimate.moved.any() and any(math.isinf(r.noise(self.depends)) for r in larger)
        ):
            return math.inf
        coarser = [other.travel for other in larger]
        rests = ~estimate.moved & self.depends
        quanta = np.min([np.where(travel > 0, travel, np.inf) for travel in coarser], axis=0) if coarser else np.inf
        jumps = np.where(rests & np.isfinite(quanta), quanta, 0.0)
        errors = estimate.rounding if least else estimate.errors
        return float(np.sum(errors, where=self.depends | estimate.moved)) + 1.5 * float(np.sum(jumps)) / estimate.step

    def _rests(self, estimate: Estimate) -> bool:
        """Whether an output of a staircase rests, of those that depend on the line or, if none is seen to, of all."""
        still = ~estimate.moved & (self.judge.weights != 0)
        return bool(still.any()) and self.judge.in_quanta and bool(np.any(still & self.depends) or still.all())

    def whole_bar(self, estimate: Estimate) -> float:
        """Return the bar with all that noise may do."""
        return estimate.truncation + estimate.kink + self.noise(estimate)

    def trusted(self) -> Estimate:
        """Return the measurement with the smallest bar that no finer one contradicts.

        Where f oscillates within a step, slopes look small and sure; finer steps then bend more, not less.
        """
        if len(self.estimates) == 1:
            return self.estimates[0]
        for estimate in sorted(self.estimates, key=self.whole_bar):
            finer = [other for other in self.estimates if other.step < estimate.step]
            if all(self._agree(estimate, other) and self._calmer(other, estimate) for other in finer):
                return estimate
        return min(self.estimates, key=lambda estimate: estimate.step)

    def _calmer(self, finer: Estimate, coarser: Estimate) -> bool:
        """Whether f bends no more with a finer step, as it must where it is smooth on that scale."""
        limit = 2 * (coarser.truncation + coarser.kink) + 4 * self.noise(finer) + BLUR * finer.size
        return finer.truncation + finer.kink <= limit

    def _agree(self, a: Estimate, b: Estimate) -> bool:
        bars = self.whole_bar(a) + self.whole_bar(b)
        return abs(a.slope - b.slope) <= SAFETY * bars + BLUR * (a.size + b.size)

    def blur(self, estimate: Estimate) -> float:
        """Return what rounding in the claimed value may amount to, among it what is too small to show in f at all."""
        invisible = float(np.sum(estimate.errors, where=np.isfinite(estimate.errors))) * estimate.step / self.line.unit
        underflow = 0.0 if estimate.moved.any() else float(np.abs(self.judge.weights).sum()) * UNDERFLOW / estimate.step
        return BLUR * estimate.size + 16 * EPS * self.scale + invisible + underflow

    def bar(self, estimate: Estimate) -> float:
        """Return the bar: with the noise of all outputs if that is small, or else of those that depend on the line."""
        bar = estimate.bar(np.ones(estimate.moved.shape, bool))
        if bar <= self.aim * max(abs(estimate.slope), self.scale) and not (
            self._outside(estimate, bar) and self._rests(estimate)
        ):
            return bar
        return self.whole_bar(estimate)

    def _outside(self, estimate: Estimate, bar: float) -> bool:
        return abs(self.claimed - estimate.slope) > SAFETY * bar + self._allowance(estimate, bar)

    def _allowance(self, estimate: Estimate, bar: float) -> float:
        """Return what rounding in the claimed value may amount to; of what cancelled in it, only if that decides."""
        blur = self.blur(estimate)
        if abs(self.claimed - estimate.slope) <= SAFETY * bar + blur:
            return blur
        lost = self.judge.lost_digits[self.line.variable.position]
        return blur + lost * float(np.abs(self.line.direction).sum())

    def refuted(self, estimate: Estimate) -> bool:
        """Whether the claim is out of reach of one measurement."""
        return self._outside(estimate, self.bar(estimate))

    def _confirmed(self, best: Estimate) -> bool:
        """Whether one more measurement refutes the claim: a finer one, or, where those see too little, one beside."""
        others = [estimate for estimate in self.estimates if estimate is not best and self._agree(estimate, best)]
        seen_twice = any(self.refuted(estimate) for estimate in others if estimate.step <= 4 * best.step)
        jumps = any(not self._calmer(best, estimate) for estimate in self.estimates if estimate.step > best.step)
        excused = jumps or self._in_quanta(best) or any(self._supported(estimate, best) for estimate in self.estimates)
        return seen_twice and not excused and (self.quick or not self._fits_further(best))

    def _in_quanta(self, best: Estimate) -> bool:
        """Whether an intermediate result may move in quanta so large that they hide a slope as small as the error.

        Between them f is exactly straight, and has a wrong slope. So is ``x * (1 + tanh(x))`` for x = -7.
        """
        quantum = QUANTA * EPS * self.line.unit * float(np.abs(self.judge.weights).sum())
        hidden = abs(self.claimed - best.slope) * self.line.first_step <= quantum
        return best.truncation == best.kink == 0 and hidden

    def _supported(self, estimate: Estimate, best: Estimate) -> bool:
        """Whether a measurement contradicts the best one and speaks for the claim.

        It need not be free of noise: noise that bends f less than the two differ would not have made them differ.
        """
        reach = SAFETY * (estimate.truncation + estimate.kink + self.noise(estimate, least=True)) + self.blur(estimate)
        return abs(self.claimed - estimate.slope) <= reach < abs(self.claimed - best.slope) / 2

    def _fits_further(self, best: Estimate) -> bool:
        """Whether f moves over some large step as the claim says, on both sides, though close by it does not.

        Then it may move in quanta: between them it is smooth, and has a wrong slope.
        """
        near = min(abs(self.claimed), abs(self.claimed - best.slope)) / 2
        return any(max(abs(self.claimed - slope) for slope in slopes) <= near for slopes in self.further)

    @cached_property
    def further(self) -> list[tuple[float, ...]]:
        """The slopes on the two sides over steps so large that only quanta could excuse a claim that fits them."""
        line = self.line
        unit = line.unit if line.local_unit is None or self.estimates[-1].step > line.local_unit else line.local_unit
        estimates = [
            self.judge.estimate(line, share * unit / 2) for share in FURTHER
        ]  # whose outer points lie a step away
        return [tuple(float((2 * side[0] - side[1]).sum()) for side in (r.below, r.above)) for r in estimates]

    def resolved(self, estimate: Estimate) -> bool:
        """Whether the bar is small beside the slope."""
        return self.bar(estimate) <= self.judge.resolution * max(abs(estimate.slope), self.scale)

    def _stuck_at_a_kink(self) -> bool:
        """Whether the kink part has not shrunk over three finer steps, as it does where f is smooth."""
        by_step = sorted(self.estimates, key=lambda estimate: estimate.step)
        return len(by_step) > 3 and by_step[0].kink > max(0.3 * by_step[3].kink, 3 * by_step[0].noise())

    def _at_a_kink(self, best: Estimate) -> bool:
        largest = max(estimate.kink for estimate in self.estimates)
        return best.kink > max(0.3 * largest, 3 * best.noise(), best.truncation)

    def _stays_bent(self) -> bool:
        """Whether f shows one kink with every step down to the finest whose noise would let it be seen."""
        bends = [high - low for low, high, _ in (estimate.sides() for estimate in self.estimates if _clear(estimate))]
        seeing = [
            estimate for estimate in self.estimates if 64 * self.noise(estimate, least=True) < min(bends, default=0.0)
        ]
        return len(seeing) > 2 and _clear(min(seeing, key=lambda estimate: estimate.step))

    # The verdict

    def verdict(self) -> Finding:
        """Return what the measurements say of the claim."""
        if not self.estimates:
            reason = "f is not finite close to this point" if self.lost else BUDGET
            return Finding(
                self.line.variable.name, None, Verdict.INCONCLUSIVE, self.claimed, math.nan, math.inf, reason=reason
            )
        best = self.trusted()
        if (self._at_a_kink(best) and not self.resolved(best)) or (self.refuted(best) and self._stays_bent()):
            return self._kink()
        if self.refuted(best):
            if self._confirmed(best):
                return self._finding(best, Verdict.FAIL)
            reason = "noise: the slopes with different steps contradict each other"
            return replace(self._finding(best, Verdict.INCONCLUSIVE, reason), refuted=True)
        if self.resolved(best):
            return self._finding(best, Verdict.PASS)
        if self._stationary(best):
            return self._finding(best, Verdict.PASS, "0, beside what f changes further away")
        return self._finding(best, Verdict.INCONCLUSIVE, self._reason(best))

    def _stationary(self, best: Estimate) -> bool:
        """Whether both the slope and its bar are nothing beside the slopes of f further away."""
        if self.line.where.size > 1:
            return False
        slope = float(np.abs(self.judge.weights) @ np.nan_to_num(self.far.change, posinf=0.0))
        return max(abs(self.claimed), abs(best.slope), self.bar(best)) <= NEGLIGIBLE * self.judge.resolution * slope

    def _reason(self, best: Estimate) -> str:
        if not self.judge.allowed():
            return BUDGET
        if self.noise(best) >= max(best.truncation, best.kink):
            return "noise: rounding in f hides a slope this small"
        if best.kink > best.truncation:
            return "kink: the slope changes close to this point"
        return "truncation: f bends too much at every step that rounding allows"

    def _finding(self, estimate: Estimate, verdict: Verdict, reason: str = "") -> Finding:
        name, bar = self.line.variable.name, self.bar(estimate)
        blur = self._allowance(estimate, bar)
        return Finding(name, None, verdict, self.claimed, estimate.slope, bar, blur, estimate.step, reason)

    def _kink(self) -> Finding:
        """Judge a claim where the slope jumps: it must lie between the slopes on the two sides."""
        estimates = sorted(self.estimates, key=lambda estimate: estimate.step)
        clear = [estimate for estimate in estimates if _clear(estimate)]
        if not clear:
            return self._finding(estimates[0], Verdict.INCONCLUSIVE, "kink: the slope changes close to this point")
        low, high, margin = clear[0].sides()
        shifts = [max(abs(estimate.sides()[0] - low), abs(estimate.sides()[1] - high)) for estimate in clear[1:2]]
        if max(shifts, default=0.0) > 0.1 * (high - low) + margin:
            return self._finding(clear[0], Verdict.INCONCLUSIVE, "f jumps close to here, or its slope has no bound")
        sharpest = min(clear, key=lambda estimate: estimate.sides()[2])
        low, high, margin = sharpest.sides()
        margin += self.blur(sharpest)
        off = max(low - margin - self.claimed, self.claimed - high - margin)
        reason = f"at a kink, where the slopes on the two sides are {low:.6g} and {high:.6g}"
        if off <= 0:
            verdict = Verdict.KINK
        elif self.claimed == 0 or self.judge.several_kinks(self.line, clear[-1], off):
            verdict, reason = Verdict.INCONCLUSIVE, f"{reason}; but several kinks meet here"
        else:
            verdict = Verdict.FAIL if len(clear) > 1 else Verdict.INCONCLUSIVE
        finding = self._finding(sharpest, verdict, reason)
        finding.estimate, finding.bar, finding.kink = (low + high) / 2, (high - low) / 2 + margin, True
        finding.refuted = off > 0
        return finding


def _clear(estimate: Estimate) -> bool:
    """Whether a measurement shows a kink: the two sides differ by far more than they may be off."""
    low, high, margin = estimate.sides()
    return margin < 0.1 * (high - low)
