"""From estimates with error bars to a verdict on one claimed slope."""

from __future__ import annotations

import math
from dataclasses import replace

from tinygrad_kr.gradcheck.claim import Claim
from tinygrad_kr.gradcheck.findings import Finding, Verdict
from tinygrad_kr.gradcheck.kinks import at_a_kink, finding_at_a_kink, stays_bent
from tinygrad_kr.gradcheck.sampler import Sampler
from tinygrad_kr.gradcheck.slopes import Estimate, Line
from tinygrad_kr.gradcheck.steps import Steps
from tinygrad_kr.gradcheck.variables import Variable, index_of

__all__ = ["BUDGET", "judge_element", "judge_line"]

BUDGET = "the evaluations or the time allowed are used up"


def judge_element(sampler: Sampler, variable: Variable, position: int, claimed: float, quick: bool = False) -> Finding:
    """Judge one element of the gradient, given by its position in the flattened variable."""
    finding = judge_line(sampler, Line.element(sampler.point, variable, position), claimed, quick=quick)
    finding.index = index_of(position, variable.shape)
    finding.at = float(sampler.point[variable.position].flat[position])
    return finding


def judge_line(sampler: Sampler, line: Line, claimed: float, norm: float = 0.0, quick: bool = False) -> Finding:
    """Judge the slope along a line.

    ``norm`` is the magnitude that the bar is compared with along several elements, whose parts of the slope may
    cancel. ``quick`` leaves out the steps that could only support a refuted claim.
    """
    if not math.isfinite(claimed):
        return _not_finite(sampler, line, claimed)
    claim = Claim(sampler, line, claimed, norm, quick)
    Steps(claim).run()
    return _verdict(claim)


def _not_finite(sampler: Sampler, line: Line, claimed: float) -> Finding:
    coarser = sampler.estimate(line, line.local_step or line.first_step)
    estimate = sampler.estimate(line, coarser.step / 16)
    bounded = estimate.finite and estimate.bar() <= 2 * coarser.bar() + 20 * estimate.noise()
    verdict = Verdict.FAIL if bounded else Verdict.INCONCLUSIVE
    reason = f"the gradient is {claimed}" + ("" if bounded else ", and the slope of f seems to have no bound")
    name, slope, bar = line.variable.name, estimate.slope, estimate.bar()
    return Finding(name, None, verdict, claimed, slope, bar, step=estimate.step, reason=reason)


def _verdict(claim: Claim) -> Finding:
    """Return what the measurements say of the claim."""
    if not claim.estimates:
        reason = "f is not finite close to this point" if claim.lost else BUDGET
        return Finding(
            claim.line.variable.name, None, Verdict.INCONCLUSIVE, claim.claimed, math.nan, math.inf, reason=reason
        )
    best = claim.trusted()
    if (at_a_kink(claim, best) and not claim.resolved(best)) or (claim.refuted(best) and stays_bent(claim)):
        return finding_at_a_kink(claim)
    if claim.refuted(best):
        if claim.confirmed(best):
            return claim.finding(best, Verdict.FAIL)
        reason = "noise: the slopes with different steps contradict each other"
        return replace(claim.finding(best, Verdict.INCONCLUSIVE, reason), refuted=True)
    if claim.resolved(best):
        return claim.finding(best, Verdict.PASS)
    if claim.stationary(best):
        return claim.finding(best, Verdict.PASS, "0, beside what f changes further away")
    return claim.finding(best, Verdict.INCONCLUSIVE, _reason(claim, best))


def _reason(claim: Claim, best: Estimate) -> str:
    if not claim.sampler.allowed():
        return BUDGET
    if claim.noise(best) >= max(best.truncation, best.kink):
        return "noise: rounding in f hides a slope this small"
    if best.kink > best.truncation:
        return "kink: the slope changes close to this point"
    return "truncation: f bends too much at every step that rounding allows"
