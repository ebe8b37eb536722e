"""Estimate slopes by finite differences, each with a bar that bounds its error.

Five points at equal steps give a slope of fourth order. Its error bar has three parts, none of them a tolerance:
what the third difference says of truncation, what the fourth says of a kink inside the stencil, and what rounding
and other noise in f can do. They are formed for each output separately, before the cotangent weighs them, so that
errors of different outputs cannot cancel.

For f smooth but for one kink anywhere between the points, except exactly in the middle, the error of the slope is
at most 2/3 of the first two parts together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.gradcheck.noise import SIDES, Noise
from tinygrad_kr.gradcheck.problem import Problem
from tinygrad_kr.gradcheck.variables import Point, Variable, Vector, rough_size

__all__ = ["EPS", "FIRST_STEP", "Estimate", "Far", "Line", "Together", "far_away", "measure"]

EPS = float(np.finfo(np.float64).eps)
FIRST_STEP = 2.0**-14


@dataclass(frozen=True)
class Line:
    """A straight line through one variable: ``x + t * direction``, for t a multiple of a step.

    ``where`` picks the elements that move, ``direction`` holds their speeds, ``unit`` is the size of a relative step
    of 1, ``local_unit`` the same on the scale of the element itself, if that is much smaller.
    """

    variable: Variable
    where: NDArray[np.intp]
    direction: Vector
    unit: float
    local_unit: float | None = None
    smallest_step: float = 0.0

    @staticmethod
    def element(here: Point, variable: Variable, position: int) -> Line:
        """Make the line along one element: t is in the units of x."""
        x = float(here[variable.position].flat[position])
        unit = float(rough_size(np.array(x)))
        local = math.ldexp(1.0, math.frexp(x)[1] - 1) if 0 < abs(x) < unit / 64 else None
        return Line(variable, np.array([position]), np.ones(1), unit, local, 4 * float(np.spacing(abs(x))))

    @staticmethod
    def along(variable: Variable, where: NDArray[np.intp], direction: Vector) -> Line:
        """Make the line along a direction of several elements: t is in units of their sizes."""
        return Line(variable, where, direction, unit=1.0, smallest_step=2.0**-46)

    @property
    def first_step(self) -> float:
        """The first step."""
        return FIRST_STEP * self.unit

    @property
    def local_step(self) -> float | None:
        """The first step on the scale of the element itself, if that is another."""
        return None if self.local_unit is None else FIRST_STEP * self.local_unit

    def part(self, chosen: slice | NDArray[np.bool_]) -> Line:
        """Return the line along some of the elements only."""
        return replace(self, where=self.where[chosen], direction=self.direction[chosen])

    def point(self, here: Point, t: float) -> Point:
        """Return the point at t."""
        point = list(here)
        point[self.variable.position] = moved = here[self.variable.position].copy()
        moved.reshape(-1)[self.where] += t * self.direction
        return point

    def misplacement(self, here: Point, step: float) -> float:
        """Return the share of a step by which rounding moves elements, or intermediate results of f."""
        if self.where.size > 1:
            return 4 * EPS / step
        x = float(here[self.variable.position].flat[self.where[0]])
        return max(abs((x + k * step) - x - k * step) for k in SIDES) / step + 2 * EPS * abs(x) / step


@dataclass(frozen=True)
class Together:
    """Several lines, of one variable or of several, followed at once."""

    lines: tuple[Line, ...]
    unit: float = 1.0
    local_unit: float | None = None

    def point(self, here: Point, t: float) -> Point:
        """Return the point at t."""
        for line in self.lines:
            here = line.point(here, t)
        return here

    def misplacement(self, here: Point, step: float) -> float:
        """Return the share of a step by which rounding moves elements."""
        return max(line.misplacement(here, step) for line in self.lines)


@dataclass(frozen=True)
class Estimate:
    """The slope of the weighted outputs along a line, measured with one step.

    Attributes
    ----------
    step : float
    slope : float
        NaN if f is not finite at one of the points.
    truncation, kink : float
        The parts of the bar that the third and the fourth difference give.
    errors, rounding : Vector
        The error of the slope from noise in each output, and from rounding alone.
    moved, travel : Vector
        Which outputs differ between the points at all, and by how much; 0 unless all points differ from the middle.
    size : float
        The sum of the magnitudes of all outputs' weighted slopes, before any cancellation.
    below, above : tuple of Vector
        The one-sided slopes of each output, weighted, of first and of second order.
    """

    step: float
    slope: float
    truncation: float
    kink: float
    errors: Vector
    rounding: Vector
    moved: NDArray[np.bool_]
    travel: Vector
    size: float
    below: tuple[Vector, Vector]
    above: tuple[Vector, Vector]

    def noise(self, among: NDArray[np.bool_] | None = None) -> float:
        """Return the error from noise in some outputs; by default in those that moved."""
        return float(np.sum(self.errors, where=self.moved if among is None else among | self.moved))

    def bar(self, among: NDArray[np.bool_] | None = None) -> float:
        """Return the bound on the error of the slope."""
        return self.truncation + self.kink + self.noise(among)

    def sides(self) -> tuple[float, float, float]:
        """Return the least and the greatest slope of the two sides, and a bound on their errors."""
        below, above = self.below[1], self.above[1]
        low, high = float(np.minimum(below, above).sum()), float(np.maximum(below, above).sum())
        bent = np.abs(below - self.below[0]) + np.abs(above - self.above[0])
        return low, high, float(bent.sum()) + 3 * self.noise() + 1e-6 * max(abs(low), abs(high))

    @property
    def finite(self) -> bool:
        """Whether f was finite at all points."""
        return math.isfinite(self.slope + self.truncation + self.kink)


def measure(
    problem: Problem, here: Point, line: Line | Together, step: float, weights: Vector, noise: Noise, unit: float
) -> Estimate:
    """Return the slope of ``sum(weights * f)`` along a line through a point; ``unit`` is that of the noise."""
    center = noise.center
    f_2, f_1, f1, f2 = (problem.value_nearby(line.point(here, k * step)) for k in SIDES)
    weighs = np.abs(weights)
    with np.errstate(all="ignore"):
        first, second = f1 - f_1, f2 - f_2
        slopes = (8 * first - second) / (12 * step)
        truncation = np.abs(second - 2 * first) / (4 * step)
        bend1, bend2 = (f1 - center) - (center - f_1), (f2 - center) - (center - f_2)
        kink = np.abs(bend2 - 4 * bend1) / (2 * step)
        largest = np.maximum(np.abs(f2), np.abs(f_2))
        misplacement = line.misplacement(here, step) * np.abs(slopes)
        noisy = 1.5 * noise.at(largest, step / unit) / step + misplacement
        rounding = 1.5 * noise.rounding * np.maximum(largest, np.abs(center)) / step + misplacement
        differ = np.array([f_2 != center, f_1 != center, f1 != center, f2 != center])
        travel = np.where(differ.all(axis=0), np.maximum(np.abs(first), np.abs(second)), 0.0)
        return Estimate(
            step,
            slope=float(weights @ slopes),
            truncation=float(weighs @ truncation),
            kink=float(weighs @ kink),
            errors=np.where(weighs == 0, 0.0, weighs * noisy),
            rounding=weighs * rounding,
            moved=np.asarray(differ.any(axis=0)),
            travel=weighs * travel,
            size=float(weighs @ np.abs(slopes)),
            below=(weights * (center - f_1) / step, weights * (3 * center - 4 * f_1 + f_2) / (2 * step)),
            above=(weights * (f1 - center) / step, weights * (4 * f1 - 3 * center - f2) / (2 * step)),
        )


@dataclass(frozen=True)
class Far:
    """Whether outputs change far away, and their largest change per unit of distance."""

    depends: NDArray[np.bool_]
    change: Vector


def far_away(problem: Problem, here: Point, line: Line, center: Vector) -> Far:
    """Evaluate f with the elements of a line changed to 0, to the opposite, and further."""
    x = here[line.variable.position]
    depends, change = np.zeros(center.size, bool), np.zeros(center.size)
    for factor, shift in ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.125), (2.0, 1.0)):
        far = x.copy()
        far.flat[line.where] = factor * far.flat[line.where] + shift
        point = list(here)
        point[line.variable.position] = far
        distance = float(np.abs(far - x).max())
        if distance > 0:
            value = problem.value_nearby(point)
            depends |= value != center
            with np.errstate(all="ignore"):
                change = np.fmax(change, np.abs(value - center) / distance)
    return Far(depends, change)
