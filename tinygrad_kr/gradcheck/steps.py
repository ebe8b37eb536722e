"""Choose the steps with which a slope is estimated, each after the estimates before."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_kr.gradcheck.claim import SAFETY, Claim
from tinygrad_kr.gradcheck.findings import Verdict
from tinygrad_kr.gradcheck.kinks import at_a_kink, finding_at_a_kink, persists
from tinygrad_kr.gradcheck.slopes import Estimate

__all__ = ["Steps"]

MOST_ESTIMATES = 16
CONFIRMING = 2.0 ** np.array([2, 6, 10, 14, 18, 22, 26, 30])
"""How much finer the steps are that could support a refuted claim."""


class Steps:
    """Adds estimates to a claim, with one step after the other."""

    coarser_left: int

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.coarser_left = 2

    def run(self) -> None:
        """Estimate the slope until the claim is settled or no further step would help."""
        claim = self.claim
        step: float | None = claim.line.first_step
        while step is not None and len(claim.estimates) + len(claim.lost) < MOST_ESTIMATES and claim.sampler.allowed():
            estimate = claim.sampler.estimate(claim.line, step)
            if estimate.finite:
                claim.estimates.append(estimate)
            else:
                claim.lost.append(step)
            step = self._next()

    def _next(self) -> float | None:
        """Return the next step worth trying, or None."""
        claim = self.claim
        if not claim.estimates:
            return self._finer(claim.lost[-1] / 16)
        finest = min(claim.estimates, key=lambda e: e.step)
        best = claim.trusted()
        if claim.refuted(best):
            return self._next_to_confirm(best)
        if claim.bar(best) <= claim.aim * max(abs(best.slope), claim.scale):
            return None
        noisy = math.inf > claim.noise(finest) > finest.truncation + finest.kink
        if claim.on_a_stair(best) or (claim.resolved(best) and noisy):
            return None
        if noisy and at_a_kink(claim, best):
            return None
        if noisy:
            return self._finer(0) if self._local_left(finest.step) else self._coarser()
        if persists(claim) and finding_at_a_kink(claim).verdict is Verdict.KINK:
            return None
        return self._finer(finest.step / 16)

    def _next_to_confirm(self, best: Estimate) -> float | None:
        """Return a finer step that could support a refuted claim, or one that could refute it again, or None."""
        claim = self.claim
        if claim.confirmed(best) if claim.quick else claim.fits_further(best):
            return None
        error = abs(claim.claimed - best.slope)
        local = claim.line.local_step
        first = local if local is not None and best.step <= local else claim.line.first_step
        noise = min(claim.noise(e, least=True) * e.step for e in claim.estimates if e.step <= best.step)
        for step in first / CONFIRMING:
            could_see = 2 * SAFETY * noise < error * step or self._local_left(min(e.step for e in claim.estimates))
            if step < best.step and could_see and not any(abs(math.log2(e.step / step)) < 2 for e in claim.estimates):
                finer = self._finer(step)
                if finer is not None and finer not in claim.lost:
                    return finer
        return None if claim.confirmed(best) else self._beside(best)

    def _local_left(self, step: float) -> bool:
        """Whether the element's own scale is smaller than all steps so far."""
        claim = self.claim
        return claim.line.local_step is not None and claim.line.local_step < min(step, *claim.lost, math.inf)

    def _finer(self, step: float) -> float | None:
        """Return a smaller step, that of the element's own scale if it was not tried; None at the end."""
        claim = self.claim
        tried = [*(e.step for e in claim.estimates), *claim.lost]
        if self._local_left(min(tried)):
            return claim.line.local_step
        return step if step >= claim.line.smallest_step and step > 0 else None

    def _coarser(self) -> float | None:
        """Return a larger step, at most twice: the second time that which balances noise and truncation."""
        claim = self.claim
        self.coarser_left -= 1
        largest = max(claim.estimates, key=lambda e: e.step)
        balance = np.cbrt(claim.noise(largest) / max(2 * (largest.truncation + largest.kink), 1e-300))
        factor = 16.0 if self.coarser_left else 2.0 ** np.clip(np.round(np.log2(max(balance, 1.0))), 1, 6)
        coarser = float(factor) * largest.step
        return None if self.coarser_left < 0 or any(coarser >= lost for lost in claim.lost) else coarser

    def _beside(self, best: Estimate) -> float | None:
        """Return a step next to the best one, for a second estimate with about the same bar."""
        claim = self.claim
        tried = {e.step for e in claim.estimates} | set(claim.lost)
        return next((s for s in (best.step / 2, best.step * 2, best.step * 4) if s not in tried), None)
