"""Operands of elementwise functions and of matrix products, and cotangents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_kr.gradcheck.with_hypothesis.optional import st
from tinygrad_kr.gradcheck.with_hypothesis.strategies.kinks import GAP, Clearance, Distances, Kinks, kink_distances
from tinygrad_kr.gradcheck.with_hypothesis.strategies.shapes import (
    Array,
    Shape,
    Shapes,
    as_shapes,
    broadcastable_shapes,
    chance,
    matmul_shapes,
    shapes,
)
from tinygrad_kr.gradcheck.with_hypothesis.strategies.values import Range


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
    """Draw an array of floats, each element for itself, with ties in one draw of four.

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

    Kept away from the kinks at 0 and 1, but for one draw in ten:

    >>> @settings(max_examples=10)
    ... @given(arrays(kinks=[0.0, 1.0]))
    ... def test(x):
    ...     assert np.all((x == 0) | (np.abs(x) >= 1 / 64))
    >>> test()
    """
    drawn = operands(
        1,
        operand_shapes=as_shapes(shapes() if shape is None else shape).map(lambda drawn: (drawn,)),
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
    """Draw several arrays for one call, which broadcast unless shapes are given.

    Parameters
    ----------
    count : int
        The number of arrays.
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
        Range(elements=elements, dtype=np.dtype(dtype), **{name: values[i] for name, values in of_each.items()})
        for i in range(count)
    ]
    if not gap > 0 or not 0 <= on_kinks <= 1:
        raise ValueError(f"gap must be above 0 and on_kinks between 0 and 1, got gap={gap} and on_kinks={on_kinks}")
    distances = kink_distances(kinks, ranges[0], gap)
    if distances is not None and ranges[0].distinct:
        raise ValueError(
            "the operand that is moved off its kinks cannot be distinct: moving makes ties.\n"
            "  leave out kinks, or leave out distinct"
        )
    drawn_shapes = broadcastable_shapes(count) if operand_shapes is None else operand_shapes
    return _operands(drawn_shapes, ranges, distances, gap, chance(on_kinks))


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
    """Draw two operands of ``@``: vectors, matrices, and batches of matrices that broadcast.

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
    drawn_shapes = matmul_shapes(max_side, max_dims, max_size, empty)
    return operands(2, operand_shapes=drawn_shapes, low=low, high=high, dtype=dtype).map(lambda ab: (ab[0], ab[1]))


@st.composite
def _operands(
    draw: st.DrawFn,
    drawn_shapes: st.SearchStrategy[Shapes],
    ranges: list[Range],
    distances: Distances | None,
    gap: float,
    on_kink: st.SearchStrategy[bool],
) -> tuple[Array, ...]:
    is_on_kink = distances is not None and draw(on_kink)
    first, *rest = [range_.array(draw, shape) for range_, shape in zip(ranges, draw(drawn_shapes), strict=True)]
    if distances is not None:
        clear = Clearance(lambda moved: distances(moved, *rest), gap, ranges[0])
        first = clear.away(first)
        if is_on_kink:
            first = clear.onto(first, draw)
    return (first, *rest)


def _each(name: str, value: Any, count: int) -> list[Any]:
    """Return one value for each operand."""
    if not isinstance(value, Sequence):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} values, but there are {count} operands; give one value or {count}")
    return list(value)


def cotangents(
    shape: int | Shape | st.SearchStrategy[Any], *, zeros: bool = False, dtype: DTypeLike = np.float64
) -> st.SearchStrategy[Array]:
    """Draw the cotangent of an output: numbers from 0.5 to 1.5 with either sign, no two magnitudes alike.

    With a cotangent of ones, sums that vanish and swapped axes would go unnoticed.

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
    return as_shapes(shape).flatmap(lambda sides: _cotangents(sides, zeros, np.dtype(dtype)))


@st.composite
def _cotangents(draw: st.DrawFn, shape: Shape, zeros: bool, dtype: np.dtype[Any]) -> Array:
    special = draw(st.integers(0, 9)) if zeros and 0 not in shape else 0
    if special < 8:
        return draw(arrays(shape, low=0.5, high=1.5, signed=True, distinct=True, dtype=dtype))
    cotangent = np.zeros(shape, dtype)
    if special == 8:
        cotangent.flat[draw(st.integers(0, cotangent.size - 1))] = 1
    return cotangent
