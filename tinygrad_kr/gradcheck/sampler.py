"""Slopes of f around one point, weighted by one cotangent, and how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tinygrad_kr.gradcheck.noise import Noise, moves_in_quanta, noise_of
from tinygrad_kr.gradcheck.problem import Problem
from tinygrad_kr.gradcheck.slopes import EPS, Estimate, Line, Together, measure
from tinygrad_kr.gradcheck.variables import Point, Vector

__all__ = ["Sampler"]

SHAKES, SHAKE, LOST = 3, 16 * EPS, 64.0
"""How often and by how much inputs and cotangent are shaken, and how much more than is seen then rounding may do."""


@dataclass
class Sampler:
    """Measures slopes of one problem at one point, with one cotangent; ``allowed`` says whether the budget lasts."""

    problem: Problem
    point: Point
    center: Vector
    weights: Vector
    noise: Noise
    resolution: float
    seed: int
    allowed: Callable[[], bool] = lambda: True

    def at(self, point: Point) -> Sampler:
        """Return a sampler at another point, with the same noise."""
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
        """Whether f is a staircase: constant close by, and elsewhere at another level."""
        rng = np.random.default_rng(self.seed)
        return moves_in_quanta(self.problem, self.point, self.problem.sizes, self.center, rng)

    @cached_property
    def lost_digits(self) -> list[float]:
        """Bound the rounding error of each gradient by perturbing the last digits of inputs and cotangent.

        Only this shows the size of terms that cancel, as for the bias before a batch normalisation. Each input gets one
        factor, so that ties stay. Without a budget for it the bound is infinite.
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

    def estimate(self, line: Line | Together, step: float) -> Estimate:
        """Measure a slope with one step."""
        if line.local_unit is not None and step <= line.local_unit / 64:
            return measure(self.problem, self.point, line, step, self.weights, self.local_noise, line.local_unit)
        return measure(self.problem, self.point, line, step, self.weights, self.noise, line.unit)
