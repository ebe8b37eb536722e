"""Kinks: whether estimates show one, and whether a claim lies between the slopes on its two sides."""

from __future__ import annotations

import numpy as np

from tinygrad_kr.gradcheck.claim import Claim
from tinygrad_kr.gradcheck.findings import Finding, Verdict
from tinygrad_kr.gradcheck.sampler import Sampler
from tinygrad_kr.gradcheck.slopes import Estimate, Line, Together
from tinygrad_kr.gradcheck.variables import nearby

__all__ = ["at_a_kink", "finding_at_a_kink", "persists", "several_kinks", "stays_bent"]

PROBES, NEARBY, CLOSER = 16, (2.0**-20, 2.0**-10), 2.0**12
"""Where other kinks are looked for: at how many points, how far away relative to the elements' sizes, and with steps by
how much smaller."""


def at_a_kink(claim: Claim, best: Estimate) -> bool:
    """Whether most of the bar of the best estimate is that of a kink."""
    largest = max(e.kink for e in claim.estimates)
    return best.kink > max(0.3 * largest, 3 * best.noise(), best.truncation)


def persists(claim: Claim) -> bool:
    """Whether the kink part has not shrunk over three finer steps, as it does where f is smooth."""
    by_step = sorted(claim.estimates, key=lambda e: e.step)
    return len(by_step) > 3 and by_step[0].kink > max(0.3 * by_step[3].kink, 3 * by_step[0].noise())


def stays_bent(claim: Claim) -> bool:
    """Whether f shows one kink with every step down to the finest whose noise would let it be seen."""
    bends = [high - low for low, high, _ in (e.sides() for e in claim.estimates if _clear(e))]
    seeing = [e for e in claim.estimates if 64 * claim.noise(e, least=True) < min(bends, default=0.0)]
    return len(seeing) > 2 and _clear(min(seeing, key=lambda e: e.step))


def finding_at_a_kink(claim: Claim) -> Finding:
    """Judge a claim where the slope jumps: it must lie between the slopes on the two sides."""
    estimates = sorted(claim.estimates, key=lambda e: e.step)
    clear = [e for e in estimates if _clear(e)]
    if not clear:
        return claim.finding(estimates[0], Verdict.INCONCLUSIVE, "kink: the slope changes close to this point")
    low, high, margin = clear[0].sides()
    shifts = [max(abs(e.sides()[0] - low), abs(e.sides()[1] - high)) for e in clear[1:2]]
    if max(shifts, default=0.0) > 0.1 * (high - low) + margin:
        return claim.finding(clear[0], Verdict.INCONCLUSIVE, "f jumps close to here, or its slope has no bound")
    sharpest = min(clear, key=lambda e: e.sides()[2])
    low, high, margin = sharpest.sides()
    margin += claim.blur(sharpest)
    off = max(low - margin - claim.claimed, claim.claimed - high - margin)
    reason = f"at a kink, where the slopes on the two sides are {low:.6g} and {high:.6g}"
    if off <= 0:
        verdict = Verdict.KINK
    elif claim.claimed == 0 or several_kinks(claim.sampler, claim.line, clear[-1], off):
        verdict, reason = Verdict.INCONCLUSIVE, f"{reason}; but several kinks meet here"
    else:
        verdict = Verdict.FAIL if len(clear) > 1 else Verdict.INCONCLUSIVE
    finding = claim.finding(sharpest, verdict, reason)
    finding.estimate, finding.bar, finding.kink = (low + high) / 2, (high - low) / 2 + margin, True
    finding.refuted = off > 0
    return finding


def several_kinks(sampler: Sampler, line: Line | Together, estimate: Estimate, off: float) -> bool:
    """Whether more kinks meet here than one: slopes nearby are then neither of those on the two sides.

    A gradient may take a side at each, and together these need not lie between the two slopes along a line. So a
    gradient that is ``off`` outside them is not wrong for certain.
    """
    rng = np.random.default_rng(sampler.seed)
    near = min(max(estimate.step / line.unit, NEARBY[0]), NEARBY[1])
    step = near * line.unit / CLOSER  # hardly across a kink
    allowed = off / 1000 + 10 * estimate.sides()[2] + 3 * estimate.noise() * max(estimate.step / step, 1)
    for _ in range(PROBES):
        here = nearby(rng, sampler.point, sampler.problem.sizes, near)
        above, below = (sampler.problem.value_nearby(line.point(here, t)) for t in (step, -step))
        with np.errstate(all="ignore"):
            slopes = sampler.weights * (above - below) / (2 * step)
            apart = np.minimum(np.abs(slopes - estimate.below[1]), np.abs(slopes - estimate.above[1]))
        if not float(apart.sum()) <= allowed:
            return True
    return False


def _clear(estimate: Estimate) -> bool:
    """Whether a measurement shows a kink: the two sides differ by far more than they may be off."""
    low, high, margin = estimate.sides()
    return margin < 0.1 * (high - low)
