"""Slopes by finite differences, each with a bar that bounds its error.

Five points at equal steps give a slope of fourth order. Its error bar has three parts, none of them a tolerance:
what the third difference says of truncation, what the fourth says of a kink inside the stencil, and what rounding
and other noise in f can do. They are formed for each output separately, before the cotangent weighs them, so that
errors of different outputs cannot cancel.

For f smooth but for one kink anywhere between the points, except exactly in the middle, the error of the slope is
at most 2/3 of the first two parts together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.gradcheck.problem import Leaf, Point, Problem, Vector

__all__ = ["EPS", "Line", "Noise", "Rung", "dependent_outputs", "measure", "noise_of", "rough_size"]

EPS = float(np.finfo(np.float64).eps)
FIRST_STEP = 2.0**-14
SMALLEST_SCALE = 0.25
LADDER = 2.0 ** np.arange(-42, -14, 4)
"""Steps at which noise is looked for, from a thousand roundings of float64 to a few dozen of float32."""


def rough_size(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power of two below each magnitude, and 1/4 for what is smaller: a step's unit without rounding."""
    return np.asarray(2.0 ** np.floor(np.log2(np.maximum(np.abs(x), SMALLEST_SCALE))))


@dataclass(frozen=True)
class Noise:
    """What one evaluation of f may be off by, for each output: absolute, and relative to the output."""

    absolute: Vector
    relative: Vector

    def at(self, largest: Vector) -> Vector:
        """Return a bound where outputs have these magnitudes."""
        return np.asarray(np.maximum(self.absolute, np.maximum(self.relative, EPS) * largest))


def noise_of(problem: Problem, here: Point, center: Vector, rng: np.random.Generator) -> Noise:
    """Measure the noise of f around a point.

    Along random directions the fourth difference of noise stays what it is when the step grows, while that of a
    kink grows as the step and that of a smooth function as its fourth power (J. J. Moré and S. M. Wild, Estimating
    computational noise, 2011). Once it has grown that fast twice, what follows is the function itself. A function
    that does not move at all, and then, at 16 times the step, by more than its rounding on both sides, moves in
    quanta of about that size: it casts to a shorter type inside.
    """
    sizes = [rough_size(x) for x in here]
    found, growths = np.zeros(center.size), np.zeros(center.size)
    before = np.full(center.size, np.nan)
    rests = np.zeros(center.size, bool)
    for step in LADDER:
        signs = [np.copysign(size, rng.uniform(-1, 1, size.shape)) for size in sizes]
        moved = ([x + k * step * u for x, u in zip(here, signs, strict=True)] for k in SIDES)
        values = [problem.value_nearby(point) for point in moved]
        with np.errstate(all="ignore"):
            below2, below, above, above2 = (value - center for value in values)
            bend = np.abs(below2 + above2 - 4 * (below + above)) / np.sqrt(70)
            is_noise = (growths < 2) & (bend < 8 * before)
            quantum = np.minimum(np.abs(below2), np.abs(above2))
            in_quanta = rests & np.isfinite(quantum) & (quantum > 64 * EPS * np.abs(center))
            grows = (bend > 64 * before) & (bend < 1e7 * before)
        found = np.where(is_noise, np.maximum(found, before), found)
        found = np.where(in_quanta, np.maximum(found, quantum), found)
        growths = np.where(grows, growths + 1, np.where(growths < 2, 0, growths))
        rests = (below2 == 0) & (below == 0) & (above == 0) & (above2 == 0)
        before = bend
    absolute = np.maximum(EPS * np.abs(center), 4 * found)
    relative = np.divide(absolute, np.abs(center), out=np.zeros(center.size), where=center != 0)
    return Noise(absolute, relative)


SIDES = (-2, -1, 1, 2)


@dataclass(frozen=True)
class Line:
    """A straight way through one leaf: ``x + t * direction``, for t a multiple of a step.

    ``where`` picks the elements that move, ``direction`` holds their speeds, ``first_step`` is where to begin, and
    ``local_step`` the same on the scale of the element itself, if that is much smaller.
    """

    leaf: Leaf
    where: NDArray[np.intp]
    direction: Vector
    first_step: float
    local_step: float | None = None
    smallest_step: float = 0.0

    @staticmethod
    def element(here: Point, leaf: Leaf, position: int) -> Line:
        """The line along one element: t is in the units of x."""
        x = float(here[leaf.position].flat[position])
        size = float(rough_size(np.array(x)))
        local = FIRST_STEP * 2.0 ** np.floor(np.log2(abs(x))) if 0 < abs(x) < size / 64 else None
        return Line(leaf, np.array([position]), np.ones(1), FIRST_STEP * size, local, 4 * float(np.spacing(abs(x))))

    @staticmethod
    def along(leaf: Leaf, where: NDArray[np.intp], direction: Vector) -> Line:
        """The line along a direction of several elements."""
        return Line(leaf, where, direction, FIRST_STEP, None, 2.0**-46)

    def part(self, chosen: slice) -> Line:
        """The line along some of the elements only."""
        return replace(self, where=self.where[chosen], direction=self.direction[chosen])

    def point(self, here: Point, t: float) -> tuple[Point, float]:
        """Return the point at t, and by which share of t rounding has put an element elsewhere."""
        x = here[self.leaf.position]
        moved = x.copy()
        before = x.flat[self.where]
        wanted = t * self.direction
        after = before + wanted
        moved.flat[self.where] = after
        point = list(here)
        point[self.leaf.position] = moved
        astray = np.abs((after - before) - wanted)
        share = np.divide(astray, np.abs(wanted), out=np.zeros(astray.shape), where=wanted != 0)
        return point, float(share.max(initial=0.0))


@dataclass(frozen=True)
class Rung:
    """The slope of the weighted outputs along a line, measured with one step.

    Attributes
    ----------
    step : float
    slope : float
        NaN if f is not finite at one of the points.
    truncation, kink : float
        The parts of the bar that the third and the fourth difference give.
    errors : Vector
        What noise in each output may do to the slope.
    moved : Vector of bool
        Which outputs differ between the points at all.
    size : float
        The sum of the magnitudes of all outputs' slopes, each weighted: what cancellation in ``slope`` started from.
    below, above : tuple of Vector
        The one-sided slopes of each output, of first and of second order.
    """

    step: float
    slope: float
    truncation: float
    kink: float
    errors: Vector
    moved: NDArray[np.bool_]
    size: float
    below: tuple[Vector, Vector]
    above: tuple[Vector, Vector]

    def noise(self, among: NDArray[np.bool_] | None = None) -> float:
        """Return what the noise of some outputs may do; by default of those that moved."""
        return float(self.errors @ (self.moved if among is None else among | self.moved))

    def bar(self, among: NDArray[np.bool_] | None = None) -> float:
        """Return the bound on the error of the slope."""
        return self.truncation + self.kink + self.noise(among)

    @property
    def finite(self) -> bool:
        """Whether f was finite at all points."""
        return bool(np.isfinite(self.slope + self.truncation + self.kink) and np.all(np.isfinite(self.errors)))


def measure(
    problem: Problem, here: Point, line: Line, step: float, center: Vector, weights: Vector, noise: Noise
) -> Rung:
    """Return the slope of ``sum(weights * f)`` along a line through a point, where f is ``center``."""
    points, astray = zip(*(line.point(here, k * step) for k in SIDES), strict=True)
    f_2, f_1, f1, f2 = (problem.value_nearby(point) for point in points)
    weighs = np.abs(weights)
    with np.errstate(all="ignore"):
        first, second = f1 - f_1, f2 - f_2
        slopes = (8 * first - second) / (12 * step)
        truncation = np.abs(second - 2 * first) / (4 * step)
        bend1, bend2 = (f1 - center) - (center - f_1), (f2 - center) - (center - f_2)
        kink = np.abs(bend2 - 4 * bend1) / (2 * step)
        quantum = noise.at(np.maximum(np.abs(f2), np.abs(f_2)))
        rounding = 1.5 * quantum / step + max(astray) * np.abs(slopes)
        moved = (f_2 != center) | (f_1 != center) | (f1 != center) | (f2 != center)
        return Rung(
            step,
            slope=float(weights @ slopes),
            truncation=float(weighs @ truncation),
            kink=float(weighs @ kink),
            errors=weighs * rounding,
            moved=moved,
            size=float(weighs @ np.abs(slopes)),
            below=((center - f_1) / step, (3 * center - 4 * f_1 + f_2) / (2 * step)),
            above=((f1 - center) / step, (4 * f1 - 3 * center - f2) / (2 * step)),
        )


def dependent_outputs(problem: Problem, here: Point, line: Line, center: Vector) -> NDArray[np.bool_]:
    """Return which outputs change when the elements of a line change a lot: to 0, to the opposite, a little further."""
    x = here[line.leaf.position]
    depends = np.zeros(center.size, bool)
    for factor, shift in ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.125), (2.0, 1.0)):
        far = x.copy()
        far.flat[line.where] = factor * far.flat[line.where] + shift
        point = list(here)
        point[line.leaf.position] = far
        depends |= problem.value_nearby(point) != center
    return depends
