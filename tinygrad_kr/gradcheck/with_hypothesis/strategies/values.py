"""Draw the elements of operands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_kr.gradcheck.with_hypothesis.optional import hnp, st
from tinygrad_kr.gradcheck.with_hypothesis.strategies.shapes import Array, Shape, chance

SMALLEST = 2.0**-20
"""Where 0 can be drawn, smaller magnitudes become 0: finite differences cannot resolve them."""


def magnitudes(lowest: int = -20, highest: int = 20, *, signed: bool = True) -> st.SearchStrategy[float]:
    """Draw a number of any order of magnitude: 2**k * u, with u from 1 up to 2.

    Parameters
    ----------
    lowest, highest : int
        Bounds of k. -20 and 20 suit algebraic functions; take -3 and 4 for those that grow like exp.
    signed : bool
        Whether half of them are negative.

    Returns
    -------
    strategy of float
        For the ``elements`` of ``arrays`` and ``operands``.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(magnitudes(-3, 4))
    ... def test(x):
    ...     assert 1 / 8 <= abs(x) < 32
    >>> test()
    """
    exponents = st.integers(lowest, highest)
    signs = st.sampled_from((1.0, -1.0) if signed else (1.0,))
    fractions = st.floats(1.0, 2.0, exclude_max=True)
    return st.tuples(exponents, fractions, signs).map(lambda drawn: math.ldexp(drawn[2] * drawn[1], drawn[0]))


@dataclass(frozen=True)
class Range:
    """The range and kind of the elements of one operand."""

    low: float
    high: float
    signed: bool
    distinct: bool
    elements: st.SearchStrategy[float] | None
    dtype: np.dtype[Any]

    def __post_init__(self) -> None:
        if not math.isfinite(self.low) or not math.isfinite(self.high) or self.low > self.high:
            raise ValueError(f"low and high must be finite, and low not above high; got {self.low} and {self.high}")
        if self.signed and self.low < 0:
            raise ValueError(f"with signed=True, low is the smallest magnitude and cannot be negative; got {self.low}")
        if self.distinct and (self.elements is not None or self.low == self.high):
            raise ValueError("distinct elements need a range: low below high, and no elements of your own")
        if self.dtype.kind != "f":
            raise ValueError(f"dtype must be a float, got {self.dtype}")

    def array(self, draw: st.DrawFn, shape: Shape) -> Array:
        """Draw an array of a shape."""
        size = math.prod(shape)
        values = self._distinct(draw, size) if self.distinct else self._independent(draw, size)
        if self.signed:
            signs = draw(st.integers(0, 2**size - 1))
            values = np.where(np.array([signs >> i & 1 for i in range(size)], dtype=bool), -values, values)
        return values.astype(self.dtype).reshape(shape)

    def _independent(self, draw: st.DrawFn, size: int) -> Array:
        if self.elements is not None:
            return np.asarray(draw(hnp.arrays(np.float64, size, elements=self.elements, fill=st.nothing())))
        has_ties = not draw(chance(0.75))
        elements = st.floats(self.low, self.high, allow_subnormal=False)
        values: Array = draw(hnp.arrays(np.float64, size, elements=elements, fill=st.nothing()))
        if self.low <= 0 <= self.high:
            values = np.where(np.abs(values) < SMALLEST, np.copysign(0.0, values), values)
        return values if has_ties else self._without_ties(values)

    def _without_ties(self, values: Array) -> Array:
        """Replace repeated numbers, which hypothesis likes to draw, by simple ones in the range."""
        seen: set[float] = set()
        others = (self.low + (self.high - self.low) * _halves(k) for k in range(1, 3 * values.size))
        for i, value in enumerate(values):
            if value in seen:
                values[i] = next((other for other in others if other not in seen), value)
            seen.add(float(values[i]))
        return values

    def _distinct(self, draw: st.DrawFn, size: int) -> Array:
        """Draw one number from about the middle of each of as many strips, the strips in any order."""
        order = np.array(draw(st.permutations(range(size))), dtype=float)
        offsets = draw(hnp.arrays(np.float64, size, elements=st.floats(-0.25, 0.25), fill=st.nothing()))
        width = 2.0 ** math.floor(math.log2((self.high - self.low) / max(size, 1)))  # a power of two: simple numbers
        values: Array = (self.low + self.high) / 2 + width * (order - (size - 1) / 2 + offsets)
        return values

    def holds(self, values: Array) -> bool:
        """Whether all of them are in the range."""
        if self.elements is not None:
            return True
        compared = np.abs(values) if self.signed else values
        return bool(np.all((compared >= self.low) & (compared <= self.high)))

    def inwards(self, values: Array) -> Array:
        """Return +1 or -1 for each: the way towards the middle of the range, or up where there is none."""
        if self.elements is not None:
            return np.ones(values.shape)
        compared = np.abs(values) if self.signed else values
        inwards: Array = np.where(compared <= (self.low + self.high) / 2, 1.0, -1.0)
        return np.copysign(1.0, values) * inwards if self.signed else inwards


def _halves(k: int) -> float:
    """Return the k-th of the numbers 1/2, 1/4, 3/4, 1/8, 5/8, ...: k's binary digits in reverse, behind the point."""
    return math.ldexp(int(f"{k:b}"[::-1], 2), -k.bit_length())
