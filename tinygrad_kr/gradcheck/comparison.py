"""A wrong gradient beside the true one, and what else helps to recognise the mistake."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tree import tree_leaves
from tinygrad_kr.gradcheck.findings import Finding, Verdict
from tinygrad_kr.gradcheck.problem import Problem
from tinygrad_kr.gradcheck.sampler import Sampler
from tinygrad_kr.gradcheck.slopes import Line
from tinygrad_kr.gradcheck.variables import Variable, Vector, position_of

__all__ = ["CLOSE", "Comparison", "comparisons"]

CLOSE = 1e-5
"""Relative to the largest element: arrays that differ by less are the same."""
CLEAR = 0.01
"""The relative bar up to which a numerical gradient serves to recognise a pattern."""
NEIGHBOURS, CLOSE_BY = 3, 2.0**-16
"""At how many points, and how far away, an error is looked at again to tell it from rounding."""
STEADY_BUDGET = 50
"""How many evaluations one such point may take."""
Array = NDArray[Any]


@dataclass
class Comparison:
    """The wrong gradient of one input beside the true one.

    Attributes
    ----------
    name : str
        The input.
    claimed : ndarray
        The gradient as it was given, of any shape.
    true : ndarray
        The numerical gradient, in the input's shape; NaN where it was not measured.
    wrong : ndarray of bool
        Which elements failed.
    with_ones : ndarray or None
        The gradient that is given for a cotangent of ones.
    others : dict
        The true gradients of other inputs of this shape, by name.
    lengths : dict
        Lengths of axes, each with the words for it, such as ``{4: "axis 0 of x"}``.
    at : ndarray or None
        The input itself.
    steady : callable
        Returns whether the relative error is the same at points close by, where rounding is another.
    """

    name: str
    claimed: Array
    true: Vector
    wrong: NDArray[np.bool_]
    with_ones: Array | None = None
    others: dict[str, Vector] = field(default_factory=dict)
    lengths: dict[int, str] = field(default_factory=dict)
    at: Vector | None = None
    steady: Callable[[], bool] = lambda: False

    def matches(self, candidate: Array, target: Array | None = None) -> bool:
        """Whether an array is the true gradient (or another target) wherever that is known."""
        target = self.true if target is None else target
        if candidate.shape != target.shape:
            return False
        known = np.isfinite(target)
        scale = float(np.max(np.abs(target[known]), initial=0))
        return bool(known.any() and scale > 0 and np.all(np.abs(candidate - target)[known] <= CLOSE * scale))


def comparisons(
    sampler: Sampler, findings: Sequence[Finding], given: Sequence[Array | None], complete_up_to: int
) -> list[Comparison]:
    """Compare each wrong gradient with the true one.

    Of a gradient in another shape no element has been judged: up to a size, the true one is measured now.
    """
    problem, variables = sampler.problem, sampler.problem.variables
    failed = [f for f in findings if f.verdict is Verdict.FAIL]
    names = {f.input for f in failed}
    misshapen = {v.name for v, g in problem.checked_pairs(given) if g is not None and g.shape != v.shape}
    chosen = [v for v in variables if v.name in names | misshapen]
    if not chosen:
        return []
    true = {
        v.name: _true(sampler, v, findings, complete=v.name in misshapen and v.size <= complete_up_to)
        for v in variables
    }
    with_ones, lengths = _with_ones(sampler), _lengths(problem)
    compared = []
    for variable in chosen:
        own = [f for f in failed if f.input == variable.name and f.index is not None]
        wrong = np.zeros(variable.shape, bool)
        for finding in own:
            wrong[finding.index] = True
        compared.append(
            Comparison(
                variable.name,
                np.asarray(given[variable.position], dtype=np.float64),
                true[variable.name],
                wrong,
                None if with_ones is None else with_ones[variable.position],
                {v.name: true[v.name] for v in variables if v is not variable and v.shape == variable.shape},
                lengths,
                problem.start[variable.position],
                partial(_is_steady, sampler, variable, own),
            )
        )
    return compared


def _lengths(problem: Problem) -> dict[int, str]:
    """Return the lengths of axes, each with the words for the first axis that has it."""
    lengths: dict[int, str] = {}
    for variable in problem.variables:
        axes = reversed(list(enumerate(variable.shape)))
        lengths |= {n: f"axis {axis} of {variable.name}" for axis, n in axes if n > 1}
    labels = [("the labels", x) for x in tree_leaves(problem.inputs) if isinstance(x, np.ndarray)]
    for words, array in (*labels, *(("the output", y) for y in tree_leaves(problem.output))):
        lengths |= {n: f"axis {axis} of {words}" for axis, n in enumerate(array.shape) if n not in lengths}
    return lengths


def _with_ones(sampler: Sampler) -> list[Any] | None:
    """Return the gradient for a cotangent of ones, if that is another one and can be had."""
    ones = np.ones_like(sampler.weights)
    if np.array_equal(sampler.weights, ones) or not sampler.problem.affords(gradients=1):
        return None
    try:
        return sampler.problem.gradient(sampler.point, ones)
    except Exception:  # of the user's function: a pattern is not worth the report
        return None


def _is_steady(sampler: Sampler, variable: Variable, findings: Sequence[Finding]) -> bool:
    """Return whether the relative errors of some wrong elements are the same at points close by."""
    wrong = [f for f in findings if f.estimate != 0]
    rng = np.random.default_rng(sampler.seed)
    for _ in range(NEIGHBOURS):
        if not sampler.problem.affords(evaluations=STEADY_BUDGET, gradients=1):
            return False
        there = sampler.at([x * (1 + CLOSE_BY * rng.uniform(0.5, 1, x.shape)) for x in sampler.point])
        gradient = np.asarray(sampler.problem.gradient(there.point, sampler.weights)[variable.position], np.float64)
        for f in sorted(wrong, key=lambda f: -f.bars)[:NEIGHBOURS]:
            position = position_of(f.index, variable.shape)
            slope = there.estimate(Line.element(there.point, variable, position), f.step).slope
            error = f.claimed / f.estimate - 1
            if not abs(gradient.flat[position] / slope - 1 - error) <= abs(error) / 4:
                return False
    return bool(wrong)


def _true(sampler: Sampler, variable: Variable, findings: Sequence[Finding], complete: bool) -> Vector:
    """Return the numerical gradient of a variable, NaN where it was not measured; if asked, measure all of it."""
    true = np.full(variable.shape, math.nan)
    for finding in findings:
        if (
            finding.input == variable.name
            and finding.index is not None
            and finding.bar <= CLEAR * abs(finding.estimate)
        ):
            true[finding.index] = finding.estimate
    if complete:
        for i in range(variable.size):
            line = Line.element(sampler.point, variable, i)
            true.flat[i] = sampler.estimate(line, line.local_step or line.first_step).slope
    return true
