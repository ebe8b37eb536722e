"""One claimed slope beside estimates of it with several steps: which of them to trust, and whether they contradict it.

A claim is refuted only if it is off by more than twice the error bar of the best estimate and of one more, with the
noise of every output counted that depends on the element; and if no finer step, down to the scale of the element
itself, contradicts the estimate.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.gradcheck.findings import Finding, Verdict
from tinygrad_kr.gradcheck.sampler import Sampler
from tinygrad_kr.gradcheck.slopes import EPS, Estimate, Far, Line, far_away

__all__ = ["BLUR", "NEGLIGIBLE", "SAFETY", "Claim"]

SAFETY = 2.0
"""How many bars a claim must be off to be contradicted."""
NEGLIGIBLE = 1e-3
"""Of the resolution, beside larger slopes: below this an element's bar does not matter."""
BLUR = 1e-11
"""The share of the outputs' slopes that rounding in the gradient itself may explain."""
QUANTA = 64.0
"""How many roundings of the input, or of 1/4, an intermediate result may move by at once."""
UNDERFLOW = float(np.finfo(np.float32).tiny)
"""The underflow of a function that casts to float32 inside, if it does not move at all."""
SHARP = 2e-8
"""The relative bar below which no finer step is tried, where truncation and not noise makes it."""
FURTHER = (2.0**-8, 2.0**-3)
"""Steps, relative to the size of an element, over which f may move as claimed although it does not close by."""


class Claim:
    """A claimed slope along a line, and estimates of it."""

    sampler: Sampler
    line: Line
    claimed: float
    quick: bool
    scale: float
    aim: float

    def __init__(self, sampler: Sampler, line: Line, claimed: float, norm: float, quick: bool) -> None:
        self.sampler, self.line, self.claimed, self.quick = sampler, line, claimed, quick
        self.scale = max(norm, abs(claimed))
        self.aim = SHARP if line.where.size == 1 else sampler.resolution / 10
        self.estimates: list[Estimate] = []
        self.lost: list[float] = []  # steps at which f was not finite

    @cached_property
    def far(self) -> Far:
        """What f does when the elements of this line change a lot."""
        return far_away(self.sampler.problem, self.sampler.point, self.line, self.sampler.center)

    @property
    def depends(self) -> NDArray[np.bool_]:
        """Which outputs depend on the elements of this line at all: of several elements, presumably all."""
        return self.far.depends if self.line.where.size == 1 else np.ones(self.sampler.center.size, bool)

    def noise(self, estimate: Estimate, least: bool = False) -> float:
        """Return what noise may do to a slope, with outputs that only rounding keeps from moving.

        An output that is constant here, and with a larger step moves on both sides, moves in quanta of unknown size. If
        all are constant, and larger steps show only noise, the slope is unknown. ``least`` counts rounding and quanta
        alone: with finer steps what looked like noise may be the function itself.
        """
        larger = [other for other in self.estimates if other.step > estimate.step]
        still, noisy = not estimate.moved.any(), any(math.isinf(other.noise(self.depends)) for other in larger)
        if self.on_a_stair(estimate) or (still and noisy):
            return math.inf
        coarser = [other.travel for other in larger]
        constant = ~estimate.moved & self.depends
        quanta = np.min([np.where(travel > 0, travel, np.inf) for travel in coarser], axis=0) if coarser else np.inf
        jumps = np.where(constant & np.isfinite(quanta), quanta, 0.0)
        errors = estimate.rounding if least else estimate.errors
        return float(np.sum(errors, where=self.depends | estimate.moved)) + 1.5 * float(np.sum(jumps)) / estimate.step

    def on_a_stair(self, estimate: Estimate) -> bool:
        """Whether a staircase is constant here in an output that depends on the line or, if none is seen to, in all."""
        still = ~estimate.moved & (self.sampler.weights != 0)
        return bool(still.any()) and self.sampler.in_quanta and bool(np.any(still & self.depends) or still.all())

    def whole_bar(self, estimate: Estimate) -> float:
        """Return the bar with all that noise may do."""
        return estimate.truncation + estimate.kink + self.noise(estimate)

    def trusted(self) -> Estimate:
        """Return the estimate with the smallest bar that no finer one contradicts.

        Where f oscillates within a step, slopes look small and sure; finer steps then bend more, not less.
        """
        if len(self.estimates) == 1:
            return self.estimates[0]
        for estimate in sorted(self.estimates, key=self.whole_bar):
            finer = [other for other in self.estimates if other.step < estimate.step]
            if all(self._agree(estimate, other) and self.bends_no_more(other, estimate) for other in finer):
                return estimate
        return min(self.estimates, key=lambda e: e.step)

    def bends_no_more(self, finer: Estimate, coarser: Estimate) -> bool:
        """Whether f bends no more with a finer step, as it must where it is smooth on that scale."""
        limit = 2 * (coarser.truncation + coarser.kink) + 4 * self.noise(finer) + BLUR * finer.size
        return finer.truncation + finer.kink <= limit

    def _agree(self, a: Estimate, b: Estimate) -> bool:
        bars = self.whole_bar(a) + self.whole_bar(b)
        return abs(a.slope - b.slope) <= SAFETY * bars + BLUR * (a.size + b.size)

    def blur(self, estimate: Estimate) -> float:
        """Return what rounding in the claimed value may amount to, among it what is too small to show in f at all."""
        invisible = float(np.sum(estimate.errors, where=np.isfinite(estimate.errors))) * estimate.step / self.line.unit
        weight = 0.0 if estimate.moved.any() else float(np.abs(self.sampler.weights).sum())
        return BLUR * estimate.size + 16 * EPS * self.scale + invisible + weight * UNDERFLOW / estimate.step

    def bar(self, estimate: Estimate) -> float:
        """Return the bar: with the noise of all outputs if that is small, or else of those that depend on the line."""
        bar = estimate.bar(np.ones(estimate.moved.shape, bool))
        is_small = bar <= self.aim * max(abs(estimate.slope), self.scale)
        on_a_stair = is_small and self._outside(estimate, bar) and self.on_a_stair(estimate)
        return bar if is_small and not on_a_stair else self.whole_bar(estimate)

    def _outside(self, estimate: Estimate, bar: float) -> bool:
        return abs(self.claimed - estimate.slope) > SAFETY * bar + self._allowance(estimate, bar)

    def _allowance(self, estimate: Estimate, bar: float) -> float:
        """Return what rounding in the claimed value may amount to; of what cancelled in it, only if that decides."""
        blur = self.blur(estimate)
        if abs(self.claimed - estimate.slope) <= SAFETY * bar + blur:
            return blur
        lost = self.sampler.lost_digits[self.line.variable.position]
        return blur + lost * float(np.abs(self.line.direction).sum())

    def refuted(self, estimate: Estimate) -> bool:
        """Whether one estimate contradicts the claim."""
        return self._outside(estimate, self.bar(estimate))

    def confirmed(self, best: Estimate) -> bool:
        """Whether one more estimate contradicts the claim, and no quanta, jump or other estimate explains it."""
        others = [e for e in self.estimates if e is not best and self._agree(e, best)]
        seen_twice = any(self.refuted(e) for e in others if e.step <= 4 * best.step)
        jumps = any(not self.bends_no_more(best, e) for e in self.estimates if e.step > best.step)
        explained = jumps or self._in_quanta(best) or any(self._supported(e, best) for e in self.estimates)
        return seen_twice and not explained and (self.quick or not self.fits_further(best))

    def _in_quanta(self, best: Estimate) -> bool:
        """Whether an intermediate result may move in quanta so large that they hide a slope as small as the error.

        Between them f is exactly straight, and has a wrong slope. So is ``x * (1 + tanh(x))`` for x = -7.
        """
        quantum = QUANTA * EPS * self.line.unit * float(np.abs(self.sampler.weights).sum())
        hidden = abs(self.claimed - best.slope) * self.line.first_step <= quantum
        return best.truncation == best.kink == 0 and hidden

    def _supported(self, estimate: Estimate, best: Estimate) -> bool:
        """Whether an estimate contradicts the best one and supports the claim.

        It need not be free of noise: noise that bends f less than the two differ would not have made them differ.
        """
        reach = SAFETY * (estimate.truncation + estimate.kink + self.noise(estimate, least=True)) + self.blur(estimate)
        return abs(self.claimed - estimate.slope) <= reach < abs(self.claimed - best.slope) / 2

    def fits_further(self, best: Estimate) -> bool:
        """Whether f moves over some large step as the claim says, on both sides, though close by it does not.

        Then it may move in quanta: between them it is smooth, and has a wrong slope.
        """
        near = min(abs(self.claimed), abs(self.claimed - best.slope)) / 2
        return any(max(abs(self.claimed - slope) for slope in slopes) <= near for slopes in self.further)

    @cached_property
    def further(self) -> list[tuple[float, ...]]:
        """The slopes on the two sides over steps so large that a claim fits them only if f moves in quanta."""
        line = self.line
        unit = line.unit if line.local_unit is None or self.estimates[-1].step > line.local_unit else line.local_unit
        estimates = [self.sampler.estimate(line, share * unit / 2) for share in FURTHER]  # outer points a step away
        return [tuple(float((2 * side[0] - side[1]).sum()) for side in (r.below, r.above)) for r in estimates]

    def resolved(self, estimate: Estimate) -> bool:
        """Whether the bar is small beside the slope."""
        return self.bar(estimate) <= self.sampler.resolution * max(abs(estimate.slope), self.scale)

    def stationary(self, best: Estimate) -> bool:
        """Whether the slope and its bar are negligible beside the slopes of f further away."""
        if self.line.where.size > 1:
            return False
        slope = float(np.abs(self.sampler.weights) @ np.nan_to_num(self.far.change, posinf=0.0))
        return max(abs(self.claimed), abs(best.slope), self.bar(best)) <= NEGLIGIBLE * self.sampler.resolution * slope

    def finding(self, estimate: Estimate, verdict: Verdict, reason: str = "") -> Finding:
        """Return a finding with the numbers of one estimate."""
        name, bar = self.line.variable.name, self.bar(estimate)
        blur = self._allowance(estimate, bar)
        return Finding(name, None, verdict, self.claimed, estimate.slope, bar, blur, estimate.step, reason)
