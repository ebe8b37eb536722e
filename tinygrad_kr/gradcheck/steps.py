"""With which steps a slope is measured, each chosen after the estimates before."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_kr.gradcheck.claim import SAFETY, Claim
from tinygrad_kr.gradcheck.findings import Verdict
from tinygrad_kr.gradcheck.kinks import at_a_kink, finding_at_a_kink, persists
from tinygrad_kr.gradcheck.slopes import Estimate

__all__ = ["Steps"]

MOST_RUNGS = 16
CONFIRMING = 2.0 ** np.array([2, 6, 10, 14, 18, 22, 26, 30])
"""How much finer the steps are that could contradict an accusation."""


class Steps:
    """The steps of one claim, which collects the estimates."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.coarser_left = 2

    def run(self) -> None:
        """Measure until the question is settled, or nothing better can be had."""
        step: float | None = self.claim.line.first_step
        while (
            step is not None
            and len(self.claim.estimates) + len(self.claim.lost) < MOST_RUNGS
            and self.claim.sampler.allowed()
        ):
            estimate = self.claim.sampler.estimate(self.claim.line, step)
            if estimate.finite:
                self.claim.estimates.append(estimate)
            else:
                self.claim.lost.append(step)
            step = self._next()

    def _next(self) -> float | None:
        """Return the next step worth trying, or None."""
        if not self.claim.estimates:
            return self._finer(self.claim.lost[-1] / 16)
        finest = min(self.claim.estimates, key=lambda estimate: estimate.step)
        best = self.claim.trusted()
        if self.claim.refuted(best):
            return self._next_to_confirm(best)
        if self.claim.bar(best) <= self.claim.aim * max(abs(best.slope), self.claim.scale):
            return None
        noisy = math.inf > self.claim.noise(finest) > finest.truncation + finest.kink
        if self.claim.rests(best) or (self.claim.resolved(best) and noisy):
            return None
        if noisy and at_a_kink(self.claim, best):
            return None
        if noisy:
            return self._finer(0) if self._local_left(finest.step) else self._coarser()
        if persists(self.claim) and finding_at_a_kink(self.claim).verdict is Verdict.KINK:
            return None
        return self._finer(finest.step / 16)

    def _next_to_confirm(self, best: Estimate) -> float | None:
        """Return a finer step that could still contradict an accusation, or one that could confirm it, or None."""
        if self.claim.quick and self.claim.confirmed(best):
            return None
        if not self.claim.quick and self.claim.fits_further(best):
            return None
        error = abs(self.claim.claimed - best.slope)
        local = self.claim.line.local_step
        first = local if local is not None and best.step <= local else self.claim.line.first_step
        noise = min(
            self.claim.noise(estimate, least=True) * estimate.step
            for estimate in self.claim.estimates
            if estimate.step <= best.step
        )
        for step in first / CONFIRMING:
            could_see = 2 * SAFETY * noise < error * step or self._local_left(
                min(estimate.step for estimate in self.claim.estimates)
            )
            if (
                step < best.step
                and could_see
                and not any(abs(math.log2(estimate.step / step)) < 2 for estimate in self.claim.estimates)
            ):
                finer = self._finer(step)
                if finer is not None and finer not in self.claim.lost:
                    return finer
        return None if self.claim.confirmed(best) else self._beside(best)

    def _local_left(self, step: float) -> bool:
        """Whether the element's own scale is smaller than all steps so far."""
        return self.claim.line.local_step is not None and self.claim.line.local_step < min(
            step, *self.claim.lost, math.inf
        )

    def _finer(self, step: float) -> float | None:
        """Return a smaller step, that of the element's own scale if it has not had its turn; None at the end."""
        tried = [*(estimate.step for estimate in self.claim.estimates), *self.claim.lost]
        if self._local_left(min(tried)):
            return self.claim.line.local_step
        return step if step >= self.claim.line.smallest_step and step > 0 else None

    def _coarser(self) -> float | None:
        """Return a larger step, at most twice: the second time that which balances noise and truncation."""
        self.coarser_left -= 1
        largest = max(self.claim.estimates, key=lambda estimate: estimate.step)
        balance = np.cbrt(self.claim.noise(largest) / max(2 * (largest.truncation + largest.kink), 1e-300))
        factor = 16.0 if self.coarser_left else 2.0 ** np.clip(np.round(np.log2(max(balance, 1.0))), 1, 6)
        coarser = float(factor) * largest.step
        return None if self.coarser_left < 0 or any(coarser >= lost for lost in self.claim.lost) else coarser

    def _beside(self, best: Estimate) -> float | None:
        """Return a step next to the best one, for a second opinion with about the same bar."""
        tried = {estimate.step for estimate in self.claim.estimates} | set(self.claim.lost)
        return next((s for s in (best.step / 2, best.step * 2, best.step * 4) if s not in tried), None)
