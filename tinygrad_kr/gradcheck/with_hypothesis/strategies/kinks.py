"""Keep operands away from kinks, or move them exactly onto one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_kr.gradcheck.with_hypothesis.optional import st
from tinygrad_kr.gradcheck.with_hypothesis.strategies.shapes import Array, comes_of
from tinygrad_kr.gradcheck.with_hypothesis.strategies.values import Range

Kinks = Sequence[float] | Callable[..., Any]

Distances = Callable[..., tuple[Array, ...]]

GAP = 2.0**-6
"""How far from kinks operands stay, unless told otherwise: far more than the step of a finite difference."""


@dataclass(frozen=True)
class Clearance:
    """Moves the first operand off its kinks or onto one; the other operands are fixed."""

    distances: Callable[[Array], tuple[Array, ...]]
    gap: float
    range: Range

    def away(self, first: Array) -> Array:
        """Move elements until none is near a kink."""
        step = self.range.inwards(first) * 2 * self.gap
        for _ in range(1000):
            near = self._near(first)
            if not near.any():
                break
            first = np.where(near, first + step, first).astype(first.dtype)
        else:
            raise ValueError(f"moving the operand by steps of {2 * self.gap} does not take it away from its kinks")
        if not self.range.holds(first):
            raise ValueError(
                f"between {self.range.low} and {self.range.high} there is no room that is {self.gap} away from all "
                "kinks; take a smaller gap"
            )
        return first

    def onto(self, first: Array, draw: st.DrawFn) -> Array:
        """Move drawn elements exactly onto a kink, where none comes near another kink by that."""
        sizes = [distance.size for distance in self.distances(first)]
        if not sum(sizes):
            return first
        ends = np.cumsum(sizes)
        for position in draw(st.lists(st.integers(0, sum(sizes) - 1), min_size=1, max_size=first.size, unique=True)):
            kink = int(np.searchsorted(ends, position, side="right"))
            moved = self._moved(first, kink, position - int(ends[kink]) + sizes[kink])
            if self._sound(moved):
                first = moved
        return first

    def _moved(self, first: Array, kink: int, place: int) -> Array:
        """Return the operand with the element that determines one of the distances where this is 0, or nearly so."""
        distance = self.distances(first)[kink]
        element = int(np.broadcast_to(np.arange(first.size).reshape(first.shape), distance.shape).flat[place])
        for _ in range(4):  # rounding may leave a last digit to be subtracted again
            off = self.distances(first)[kink].flat[place]
            candidates = [first.copy(), first.copy()]
            candidates[0].flat[element] -= off
            candidates[1].flat[element] += off
            first = min(candidates, key=lambda moved: abs(self.distances(moved)[kink].flat[place]))
        return first

    def _sound(self, first: Array) -> bool:
        """Whether the operand is in its range, and each distance 0 or no less than the gap."""
        clear = all(np.all((d == 0) | (np.abs(d) >= self.gap)) for d in self.distances(first))
        return clear and self.range.holds(first)

    def _near(self, first: Array) -> Array:
        """Return the elements of which some distance, if only that of one broadcast copy, is less than the gap."""
        near = np.zeros(first.shape, dtype=bool)
        for distance in self.distances(first):
            flags = np.abs(distance) < self.gap
            flags = np.any(flags, axis=tuple(range(flags.ndim - first.ndim)))
            stretched = tuple(axis for axis, side in enumerate(first.shape) if side == 1)
            near |= np.any(flags, axis=stretched, keepdims=True)
        return near


def kink_distances(kinks: Kinks, range_: Range, gap: float) -> Distances | None:
    """Return a function of the operands that gives a tuple of distances, or None without kinks."""
    if not callable(kinks):
        numbers = [kink for kink in kinks if range_.elements is not None or _reaches(range_, kink, gap)]
        return (lambda first, *_: tuple(np.asarray(first - kink) for kink in numbers)) if numbers else None

    def distances(first: Array, *rest: Array) -> tuple[Array, ...]:
        returned = kinks(first, *rest)
        arrays_ = tuple(np.asarray(d) for d in (returned if isinstance(returned, tuple) else (returned,)))
        for distance in arrays_:
            if not comes_of(first.shape, distance.shape):
                raise ValueError(
                    f"kinks must return one distance for each element of the first operand, {first.shape}, or of what "
                    f"broadcasting makes of it; got {distance.shape}"
                )
        return arrays_

    return distances


def _reaches(range_: Range, kink: float, gap: float) -> bool:
    """Whether a kink is in the range, or so near to it that elements must be pushed away."""
    position = abs(kink) if range_.signed else kink
    return range_.low - gap < position < range_.high + gap
