"""Hypothesis strategies for those who test gradients of array functions.

What is drawn is small (30 elements at most, unless told otherwise), finite, and free of accidental ties. It shrinks
towards few elements first and simple numbers next, and replays: nothing is random but what hypothesis draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tinygrad_kr._extras import require

if TYPE_CHECKING:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
else:
    st = require("hypothesis.strategies", "test", "tinygrad_kr.gradcheck.strategies")
    hnp = require("hypothesis.extra.numpy", "test", "tinygrad_kr.gradcheck.strategies")

__all__ = [
    "arrays",
    "broadcastable_shapes",
    "cotangents",
    "magnitudes",
    "matmul_operands",
    "operands",
    "positive_definite",
    "scores_with_labels",
    "shapes",
]

Array = NDArray[Any]
Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]
Kinks = Sequence[float] | Callable[..., Any]
Distances = Callable[..., tuple[Array, ...]]

GAP = 2.0**-6
"""How far from kinks operands stay, unless told otherwise: far more than a step of a finite difference."""

SMALLEST = 2.0**-20
"""Where 0 can be drawn, what is smaller becomes 0: finite differences see neither the one nor the other."""


# Shapes


def shapes(
    *,
    min_dims: int = 0,
    max_dims: int = 3,
    min_side: int = 1,
    max_side: int = 4,
    max_size: int = 30,
    empty: bool = True,
) -> st.SearchStrategy[Shape]:
    """Shapes of arrays, from 0-d on.

    Parameters
    ----------
    min_dims, max_dims : int
        How many axes.
    min_side, max_side : int
        How long each axis is.
    max_size : int
        How many elements at most.
    empty : bool
        Whether in one draw of three an axis may be of length 0.

    Returns
    -------
    strategy of tuples of int

    Raises
    ------
    hypothesis.errors.InvalidArgument
        When drawn from, if a minimum is above its maximum.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(shapes(max_dims=2))
    ... def test(shape):
    ...     assert len(shape) <= 2 and math.prod(shape) <= 16
    >>> test()
    """

    def with_sides_from(side: int) -> st.SearchStrategy[Shape]:
        drawn = hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=side, max_side=max_side)
        return drawn.filter(lambda shape: math.prod(shape) <= max_size)

    return _sometimes_empty(with_sides_from, min_side, empty)


def broadcastable_shapes(
    count: int,
    *,
    min_dims: int = 0,
    max_dims: int = 3,
    min_side: int = 1,
    max_side: int = 4,
    max_size: int = 30,
    empty: bool = True,
) -> st.SearchStrategy[Shapes]:
    """Shapes that broadcasting brings together: axes of length 1, and axes left out.

    Parameters
    ----------
    count : int
        How many shapes.
    min_dims, max_dims, min_side, max_side, empty
        As for ``shapes``.
    max_size : int
        How many elements the result of broadcasting has at most.

    Returns
    -------
    strategy of tuples of count shapes

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(broadcastable_shapes(2))
    ... def test(both):
    ...     assert np.broadcast_shapes(*both) is not None
    >>> test()
    """

    def with_sides_from(side: int) -> st.SearchStrategy[Shapes]:
        drawn = hnp.mutually_broadcastable_shapes(
            num_shapes=count, min_dims=min_dims, max_dims=max_dims, min_side=side, max_side=max_side
        )
        return drawn.filter(lambda all_: math.prod(all_.result_shape) <= max_size).map(lambda all_: all_.input_shapes)

    return _sometimes_empty(with_sides_from, min_side, empty)


def _matmul_shapes(max_side: int, max_dims: int, max_size: int, empty: bool) -> st.SearchStrategy[Shapes]:
    def with_sides_from(side: int) -> st.SearchStrategy[Shapes]:
        drawn = hnp.mutually_broadcastable_shapes(
            signature=np.matmul.signature, min_dims=0, max_dims=max_dims, min_side=side, max_side=max_side
        )
        small = drawn.filter(lambda all_: max(map(math.prod, (*all_.input_shapes, all_.result_shape))) <= max_size)
        return small.map(lambda all_: all_.input_shapes)

    return _sometimes_empty(with_sides_from, 1, empty)


def _sometimes_empty(
    with_sides_from: Callable[[int], st.SearchStrategy[Any]], min_side: int, empty: bool
) -> st.SearchStrategy[Any]:
    """Two draws of three with the sides as they are, one with sides from 0."""
    filled = with_sides_from(min_side)
    if not empty or min_side == 0:
        return filled
    maybe_empty = with_sides_from(0)
    return _chance(1 / 3).flatmap(lambda third: maybe_empty if third else filled)


def _chance(probability: float) -> st.SearchStrategy[bool]:
    """True with a probability, in whole percents; shrinks to False.

    Drawn before everything else: hypothesis fills the ends of many examples with what is simplest.
    """
    percents = round(100 * probability)
    if percents == 0:
        return st.just(False)
    return st.integers(0, 99).map(lambda drawn: drawn >= 100 - percents)


# Operands


def arrays(
    shape: int | Shape | st.SearchStrategy[Shape] | None = None,
    *,
    low: float = -4.0,
    high: float = 4.0,
    signed: bool = False,
    distinct: bool = False,
    kinks: Kinks = (),
    gap: float = GAP,
    on_kinks: float = 0.1,
    elements: st.SearchStrategy[float] | None = None,
    dtype: DTypeLike = np.float64,
) -> st.SearchStrategy[Array]:
    """Arrays of floats, each element drawn for itself, with ties in one draw of four.

    Parameters
    ----------
    shape : int, tuple of int, or strategy of them
        ``shapes()`` unless given.
    low, high : float
        The smallest and the largest element. 0.25 and 4 for a function of positive numbers such as log.
    signed : bool
        Give each element a sign of its own; ``low`` and ``high`` then bound the magnitude.
    distinct : bool
        Whether no two elements are alike, for max, sort and pooling. They are at least ``(high - low) / (4 * size)``
        apart, or their magnitudes are where ``signed``, and come in any order.
    kinks : sequence of float, or callable
        Where the derivative jumps: numbers, or a function of the array that returns how far each element is from its
        kink (or a tuple of such arrays, for several kinks), with a sign, as in ``lambda x: (x - 1, x + 1)``.
    gap : float
        How far from every kink the elements are kept.
    on_kinks : float
        The share of draws, in whole percents, in which one or more elements are moved exactly onto a kink.
    elements : strategy of float
        Draws the elements instead of ``low`` and ``high``, for example ``magnitudes()``.
    dtype : dtype
        float64 or float32.

    Returns
    -------
    strategy of arrays
        C-contiguous, without NaN, infinities or subnormal numbers. Where 0 is in the range, magnitudes below 2**-20
        become 0.

    Raises
    ------
    ValueError
        If the arguments contradict each other; when drawn from, if the kinks leave no room between them.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(arrays((2, 3), low=0.25, high=4.0))
    ... def test(x):
    ...     assert x.shape == (2, 3) and x.min() >= 0.25
    >>> test()

    Of a function that bends at 0 and at 1, kept away from there but for one draw in ten:

    >>> @settings(max_examples=10)
    ... @given(arrays(kinks=[0.0, 1.0]))
    ... def test(x):
    ...     assert np.all((x == 0) | (np.abs(x) >= 1 / 64))
    >>> test()
    """
    drawn = operands(
        1,
        operand_shapes=_as_shapes(shapes() if shape is None else shape).map(lambda drawn: (drawn,)),
        low=low,
        high=high,
        signed=signed,
        distinct=distinct,
        kinks=kinks,
        gap=gap,
        on_kinks=on_kinks,
        elements=elements,
        dtype=dtype,
    )
    return drawn.map(lambda only: only[0])


def operands(
    count: int,
    *,
    operand_shapes: st.SearchStrategy[Shapes] | None = None,
    low: float | Sequence[float] = -4.0,
    high: float | Sequence[float] = 4.0,
    signed: bool | Sequence[bool] = False,
    distinct: bool | Sequence[bool] = False,
    kinks: Kinks = (),
    gap: float = GAP,
    on_kinks: float = 0.1,
    elements: st.SearchStrategy[float] | None = None,
    dtype: DTypeLike = np.float64,
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Several arrays for one call, which broadcast unless shapes are given.

    Parameters
    ----------
    count : int
        How many.
    operand_shapes : strategy of tuples of shapes
        ``broadcastable_shapes(count)`` unless given; ``shapes().map(lambda shape: (shape, shape))`` for equal shapes.
    low, high, signed, distinct
        As for ``arrays``: one for all operands, or a sequence with one for each.
    kinks : sequence of float, or callable
        Numbers around which the first operand jumps, or a function of all operands that returns distances, such as
        ``lambda a, b: a - b`` for the ties of maximum. It is the first operand that is moved, off a kink or onto one.
    gap, on_kinks, elements, dtype
        As for ``arrays``.

    Returns
    -------
    strategy of tuples of count arrays

    Raises
    ------
    ValueError
        As for ``arrays``, and if a sequence has another length than ``count``.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(operands(2, low=(-4.0, 0.5)))
    ... def test(both):
    ...     assert np.all(np.isfinite(both[0] / both[1]))
    >>> test()
    """
    given = {"low": low, "high": high, "signed": signed, "distinct": distinct}
    of_each = {name: _each(name, value, count) for name, value in given.items()}
    ranges = [
        _Range(elements=elements, dtype=np.dtype(dtype), **{name: values[i] for name, values in of_each.items()})
        for i in range(count)
    ]
    if not gap > 0 or not 0 <= on_kinks <= 1:
        raise ValueError(f"gap must be above 0 and on_kinks between 0 and 1, got gap={gap} and on_kinks={on_kinks}")
    distances = _distances(kinks, ranges[0], gap)
    if distances is not None and ranges[0].distinct:
        raise ValueError(
            "the operand that is moved off its kinks cannot be distinct: moving makes ties.\n"
            "  leave out kinks, or leave out distinct"
        )
    drawn_shapes = broadcastable_shapes(count) if operand_shapes is None else operand_shapes
    return _operands(drawn_shapes, ranges, distances, gap, _chance(on_kinks))


def matmul_operands(
    *,
    low: float = -4.0,
    high: float = 4.0,
    max_side: int = 3,
    max_dims: int = 2,
    max_size: int = 30,
    empty: bool = True,
    dtype: DTypeLike = np.float64,
) -> st.SearchStrategy[tuple[Array, Array]]:
    """Two operands of ``@``: vectors, matrices, and batches of matrices that broadcast.

    Parameters
    ----------
    low, high : float
        The smallest and the largest element.
    max_side : int
        How long an axis is at most.
    max_dims : int
        How many axes a batch has at most, besides the matrix' own.
    max_size : int
        How many elements an operand, or the product, has at most.
    empty : bool
        Whether in one draw of three an axis may be of length 0, the one that is summed over among them.
    dtype : dtype
        float64 or float32.

    Returns
    -------
    strategy of pairs of arrays

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(matmul_operands())
    ... def test(both):
    ...     assert (both[0] @ both[1]).size <= 30
    >>> test()
    """
    drawn_shapes = _matmul_shapes(max_side, max_dims, max_size, empty)
    return operands(2, operand_shapes=drawn_shapes, low=low, high=high, dtype=dtype).map(lambda ab: (ab[0], ab[1]))


def magnitudes(lowest: int = -20, highest: int = 20, *, signed: bool = True) -> st.SearchStrategy[float]:
    """Numbers of every order of magnitude alike: 2**k * u, with u from 1 up to 2.

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
class _Range:
    """The numbers of which one operand is made."""

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
        size = math.prod(shape)
        values = self._distinct(draw, size) if self.distinct else self._independent(draw, size)
        if self.signed:
            signs = draw(st.integers(0, 2**size - 1))
            values = np.where(np.array([signs >> i & 1 for i in range(size)], dtype=bool), -values, values)
        return values.astype(self.dtype).reshape(shape)

    def _independent(self, draw: st.DrawFn, size: int) -> Array:
        if self.elements is not None:
            return np.asarray(draw(hnp.arrays(np.float64, size, elements=self.elements, fill=st.nothing())))
        has_ties = not draw(_chance(0.75))
        elements = st.floats(self.low, self.high, allow_subnormal=False)
        values: Array = draw(hnp.arrays(np.float64, size, elements=elements, fill=st.nothing()))
        if self.low <= 0 <= self.high:
            values = np.where(np.abs(values) < SMALLEST, np.copysign(0.0, values), values)
        return values if has_ties else self._without_ties(values)

    def _without_ties(self, values: Array) -> Array:
        """Replace what was there before by simple numbers in the range: hypothesis likes to draw a number again."""
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


@st.composite
def _operands(
    draw: st.DrawFn,
    drawn_shapes: st.SearchStrategy[Shapes],
    ranges: list[_Range],
    distances: Distances | None,
    gap: float,
    on_kink: st.SearchStrategy[bool],
) -> tuple[Array, ...]:
    is_on_kink = distances is not None and draw(on_kink)
    first, *rest = [range_.array(draw, shape) for range_, shape in zip(ranges, draw(drawn_shapes), strict=True)]
    if distances is not None:
        clear = _Clearance(lambda moved: distances(moved, *rest), gap, ranges[0])
        first = clear.away(first)
        if is_on_kink:
            first = clear.onto(first, draw)
    return (first, *rest)


@dataclass(frozen=True)
class _Clearance:
    """The first operand and its kinks, the others given."""

    distances: Callable[[Array], tuple[Array, ...]]
    gap: float
    range: _Range

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


def _distances(kinks: Kinks, range_: _Range, gap: float) -> Distances | None:
    """Return a function of the operands that gives a tuple of distances, or None without kinks."""
    if not callable(kinks):
        numbers = [kink for kink in kinks if range_.elements is not None or _reaches(range_, kink, gap)]
        return (lambda first, *_: tuple(np.asarray(first - kink) for kink in numbers)) if numbers else None

    def distances(first: Array, *rest: Array) -> tuple[Array, ...]:
        returned = kinks(first, *rest)
        arrays_ = tuple(np.asarray(d) for d in (returned if isinstance(returned, tuple) else (returned,)))
        for distance in arrays_:
            if not _comes_of(first.shape, distance.shape):
                raise ValueError(
                    f"kinks must return one distance for each element of the first operand, {first.shape}, or of what "
                    f"broadcasting makes of it; got {distance.shape}"
                )
        return arrays_

    return distances


def _reaches(range_: _Range, kink: float, gap: float) -> bool:
    """Whether a kink is in the range, or so near to it that elements must be pushed away."""
    position = abs(kink) if range_.signed else kink
    return range_.low - gap < position < range_.high + gap


def _comes_of(shape: Shape, result: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, result) == result
    except ValueError:
        return False


def _each(name: str, value: Any, count: int) -> list[Any]:
    """Return one value for each operand."""
    if not isinstance(value, Sequence):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} values, but there are {count} operands; give one value or {count}")
    return list(value)


def _as_shapes(shape: int | Shape | st.SearchStrategy[Any]) -> st.SearchStrategy[Shape]:
    """Return a strategy of shapes for a shape or a strategy, where an int stands for one axis."""
    drawn = shape if isinstance(shape, st.SearchStrategy) else st.just(shape)
    return drawn.map(lambda sides: (sides,) if isinstance(sides, int) else tuple(sides))


# Scores and their targets


def scores_with_labels(
    kind: Literal["labels", "one-hot", "soft"] = "labels",
    *,
    batch: int | Shape | st.SearchStrategy[Any] | None = None,
    classes: int | st.SearchStrategy[int] | None = None,
    low: float = -4.0,
    high: float = 4.0,
    dtypes: Sequence[DTypeLike] = (np.int64, np.int32, np.uint8),
) -> st.SearchStrategy[tuple[Array, Array]]:
    """Scores with the classes along the last axis, and targets for a loss.

    Parameters
    ----------
    kind : {"labels", "one-hot", "soft"}
        An integer for each sample; rows of zeros and a one; rows of different weights that add up to 1. Join
        strategies with ``|`` for a function that takes several kinds.
    batch : int, shape, or strategy of them
        From 1 to 4 samples unless given; ``()`` for a single sample without a batch axis.
    classes : int or strategy of int
        From 2 to 4 unless given.
    low, high : float
        The smallest and the largest score.
    dtypes : sequence of dtypes
        What labels and one-hot rows are made of. Soft rows are float64, and so are checked like any other input; say
        ``argnums=0`` to ``gradient_property`` if the gradient is that of the scores alone.

    Returns
    -------
    strategy of pairs of arrays
        Scores (*batch, classes), and labels (*batch,) or rows (*batch, classes). In about one draw of five all labels
        are the same.

    Raises
    ------
    ValueError
        If ``kind`` is none of the three.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(scores_with_labels(classes=3))
    ... def test(drawn):
    ...     assert drawn[0].shape == (*drawn[1].shape, 3) and np.all(drawn[1] < 3)
    >>> test()
    """
    if kind not in ("labels", "one-hot", "soft"):
        raise ValueError(f"kind must be 'labels', 'one-hot' or 'soft', got {kind!r}")
    batches = _as_shapes(st.integers(1, 4) if batch is None else batch)
    counts = st.integers(2, 4) if classes is None else classes
    return _scores_with_labels(kind, batches, _as_strategy(counts), (low, high), list(dtypes))


@st.composite
def _scores_with_labels(
    draw: st.DrawFn,
    kind: str,
    batches: st.SearchStrategy[Shape],
    counts: st.SearchStrategy[int],
    bounds: tuple[float, float],
    dtypes: list[DTypeLike],
) -> tuple[Array, Array]:
    are_equal = draw(_chance(0.2))
    batch, classes = draw(batches), draw(counts)
    scores = draw(arrays((*batch, classes), low=bounds[0], high=bounds[1]))
    if kind == "soft":
        weights = draw(arrays((*batch, classes), low=0.125, high=1.0, distinct=True))
        return scores, weights / np.sum(weights, axis=-1, keepdims=True)
    each = hnp.arrays(np.intp, batch, elements=st.integers(0, classes - 1), fill=st.nothing())
    labels = np.full(batch, draw(st.integers(0, classes - 1))) if are_equal else draw(each)
    dtype = draw(st.sampled_from(dtypes))
    return scores, labels.astype(dtype) if kind == "labels" else np.eye(classes, dtype=dtype)[labels]


def _as_strategy(value: Any) -> st.SearchStrategy[Any]:
    return value if isinstance(value, st.SearchStrategy) else st.just(value)


# Matrices


def positive_definite(
    n: int | st.SearchStrategy[int] | None = None,
    batch: int | Shape | st.SearchStrategy[Any] = (),
) -> st.SearchStrategy[Array]:
    """Symmetric positive definite matrices, for cholesky, inverse and log-determinant.

    Parameters
    ----------
    n : int or strategy of int
        Rows of a matrix; from 1 to 4 unless given.
    batch : int, shape, or strategy of them
        The axes before the matrix' own; none unless given.

    Returns
    -------
    strategy of float64 arrays (*batch, n, n)
        B B^T + I with elements of B in [-1, 1]: symmetric to the last bit, eigenvalues from 1 to 1 + n^2.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(positive_definite(3))
    ... def test(a):
    ...     assert np.linalg.cholesky(a).shape == (3, 3)
    >>> test()
    """
    sizes = st.tuples(_as_shapes(batch), _as_strategy(st.integers(1, 4) if n is None else n))
    return sizes.map(lambda drawn: (*drawn[0], drawn[1], drawn[1])).flatmap(
        lambda shape: arrays(shape, low=-1.0, high=1.0).map(_gram)
    )


def _gram(b: Array) -> Array:
    product: Array = b @ b.mT
    return (product + product.mT) / 2 + np.eye(b.shape[-1])


# Cotangents


def cotangents(
    shape: int | Shape | st.SearchStrategy[Any], *, zeros: bool = False, dtype: DTypeLike = np.float64
) -> st.SearchStrategy[Array]:
    """Cotangents of an output: numbers from 0.5 to 1.5 with either sign, no two magnitudes alike.

    A cotangent of ones hides what a gradient function does with it: sums that vanish, axes that are swapped.

    Parameters
    ----------
    shape : int, tuple of int, or strategy of them
        The shape of the output.
    zeros : bool
        Whether one draw in ten is exactly 0, and one in ten 0 but for a single 1.
    dtype : dtype
        float64 or float32.

    Returns
    -------
    strategy of arrays

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(cotangents(4))
    ... def test(v):
    ...     assert np.all(np.abs(v) >= 0.5) and np.ptp(np.abs(v)) > 0
    >>> test()
    """
    return _as_shapes(shape).flatmap(lambda sides: _cotangents(sides, zeros, np.dtype(dtype)))


@st.composite
def _cotangents(draw: st.DrawFn, shape: Shape, zeros: bool, dtype: np.dtype[Any]) -> Array:
    special = draw(st.integers(0, 9)) if zeros and 0 not in shape else 0
    if special < 8:
        return draw(arrays(shape, low=0.5, high=1.5, signed=True, distinct=True, dtype=dtype))
    cotangent = np.zeros(shape, dtype)
    if special == 8:
        cotangent.flat[draw(st.integers(0, cotangent.size - 1))] = 1
    return cotangent
