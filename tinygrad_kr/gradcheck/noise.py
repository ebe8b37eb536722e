"""The noise of f: what one evaluation may be off by, measured rather than assumed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.gradcheck.problem import Problem
from tinygrad_kr.gradcheck.variables import Point, Vector, random_signs

__all__ = ["SIDES", "Noise", "moves_in_quanta", "noise_of"]

SIDES = (-2, -1, 1, 2)
NOISE_STEPS = 2.0 ** np.arange(-38, -13, 4)
"""Steps at which noise is looked for, from some roundings of float64 to many of float32."""
CLOSE, FAR = 2.0**-18, (2.0**-3, 2.0**-1, 2.0**-8)
"""Steps over which a staircase is constant, and is not: its quanta may be 2^-7, as of bfloat16 or int8."""
SIGHT = 4096.0
"""Noise that shows only with steps larger than this many times the one in use is taken for the function itself."""
MOST_RELATIVE = 2.0**-20
"""Noise beyond this share of an output, 16 times that of float32, is taken to be absolute."""
HOPELESS = 0.03
"""The share of f's own variation from which on noise cannot be told from it."""


@dataclass(frozen=True)
class Noise:
    """The error of one evaluation of f, for each output.

    Attributes
    ----------
    rounding : Vector
        The relative rounding of each output's dtype.
    center, variation : Vector
        Each output in the middle, and by how much it varies around.
    quantum : Vector
        The jumps of outputs that are constant between them, as after a cast to a shorter type.
    levels : ndarray, shape (steps, outputs)
        The noise seen with steps up to each of ``NOISE_STEPS``.
    """

    rounding: Vector
    center: Vector
    variation: Vector
    quantum: Vector
    levels: NDArray[np.float64]

    def at(self, largest: Vector, step: float) -> Vector:
        """Return a bound for outputs of these magnitudes, around points that are a relative step apart.

        Noise as large as the variation of f cannot be told from f: the bound is infinite.
        """
        seen = int(np.searchsorted(NOISE_STEPS, SIGHT * step, side="right"))
        level = self.levels[seen - 1] if seen else np.zeros(self.center.size)
        absolute = np.maximum(np.maximum(level, self.quantum), self.rounding * np.abs(self.center))
        share = np.divide(absolute, np.abs(self.center), out=np.zeros(absolute.size), where=self.center != 0)
        relative = np.maximum(np.minimum(share, MOST_RELATIVE), self.rounding)
        excess = np.where(absolute > 1000 * self.rounding * np.abs(self.center), absolute, 0.0)
        hopeless = excess > HOPELESS * self.variation
        return np.where(hopeless & (excess > 0), np.inf, np.maximum(absolute, relative * largest))


def noise_of(problem: Problem, here: Point, sizes: Point, center: Vector, rng: np.random.Generator) -> Noise:
    """Measure the noise of f around a point, with steps in units of ``sizes``.

    Along random directions the fourth difference of noise stays what it is when the step grows, while that of a
    kink grows as the step and that of a smooth function as its fourth power (J. J. Moré and S. M. Wild, Estimating
    computational noise, 2011). Once it has grown that fast twice, what follows is the function itself. A function
    that does not move at all, and then, at 16 times the step, by more than its rounding on both sides, moves in
    quanta of about that size: it casts to a shorter type inside.
    """
    rounding = problem.output_rounding
    found, quantum, variation = np.zeros(center.size), np.zeros(center.size), np.zeros(center.size)
    levels, growths, constant = [], np.zeros(center.size), np.zeros(center.size, bool)
    before, largest = np.full(center.size, np.nan), np.full(center.size, np.nan)
    direction = [size * random_signs(rng, size.shape, 0.5, 1) for size in sizes]
    for step in NOISE_STEPS:
        moved = ([x + k * step * u for x, u in zip(here, direction, strict=True)] for k in SIDES)
        with np.errstate(all="ignore"):
            below2, below, above, above2 = (problem.value_nearby(point) - center for point in moved)
            bend = np.abs(below2 + above2 - 4 * (below + above)) / np.sqrt(70)
            stays = (growths < 2) & (bend < 2.5 * largest)
            jump = np.minimum(np.abs(below2), np.abs(above2))
            jumps = constant & np.isfinite(jump) & (jump > 64 * rounding * np.abs(center))
            grows = (bend > 64 * before) & (bend < 1e7 * before)
            variation = np.fmax(variation, np.abs(above2))
        found = np.where(stays, 4 * np.fmax(largest, bend), found)
        quantum = np.where(jumps, np.maximum(quantum, 4 * jump), quantum)
        growths = np.where(grows, growths + 1, np.where(growths < 2, 0, growths))
        constant = (below2 == 0) & (below == 0) & (above == 0) & (above2 == 0)
        before, largest = bend, np.fmax(largest, bend)
        levels.append(found)
    return Noise(rounding, center, variation, quantum, np.array(levels))


def moves_in_quanta(problem: Problem, here: Point, sizes: Point, center: Vector, rng: np.random.Generator) -> bool:
    """Return whether some output is constant here, and further away at another level.

    Then f is a staircase, as after a cast to float16 or to the levels of int8, and its slope cannot be seen here.
    """
    direction = [size * random_signs(rng, size.shape, 0.5, 1) for size in sizes]

    def change(step: float) -> Vector:
        return problem.value_nearby([x + step * u for x, u in zip(here, direction, strict=True)]) - center

    constant = (change(CLOSE) == 0) & (change(-CLOSE) == 0)
    for step in (sign * step for step in FAR for sign in (1, -1) if constant.any()):
        there = change(step)
        if np.any(constant & (there != 0)) and np.any(constant & (there != 0) & (there == change(step + CLOSE))):
            return True
    return False
