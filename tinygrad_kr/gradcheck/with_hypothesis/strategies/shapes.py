"""Draw shapes, single ones and sets that broadcast."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.gradcheck.with_hypothesis.optional import hnp, st

Array = NDArray[Any]

Shape = tuple[int, ...]

Shapes = tuple[Shape, ...]


def shapes(
    *,
    min_dims: int = 0,
    max_dims: int = 3,
    min_side: int = 1,
    max_side: int = 4,
    max_size: int = 30,
    empty: bool = True,
) -> st.SearchStrategy[Shape]:
    """Draw the shape of an array, from 0-d on.

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
    """Draw shapes that broadcast: with axes of length 1, and axes left out.

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


def matmul_shapes(max_side: int, max_dims: int, max_size: int, empty: bool) -> st.SearchStrategy[Shapes]:
    """Draw two shapes that ``@`` takes."""

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
    """Draw with the given sides in two of three cases, with sides from 0 in the third."""
    filled = with_sides_from(min_side)
    if not empty or min_side == 0:
        return filled
    maybe_empty = with_sides_from(0)
    return chance(1 / 3).flatmap(lambda third: maybe_empty if third else filled)


def chance(probability: float) -> st.SearchStrategy[bool]:
    """Draw True with a probability, in whole percents; it shrinks to False.

    Draw it before everything else: hypothesis fills the ends of many examples with the simplest values.
    """
    percents = round(100 * probability)
    if percents == 0:
        return st.just(False)
    return st.integers(0, 99).map(lambda drawn: drawn >= 100 - percents)


def comes_of(shape: Shape, result: Shape) -> bool:
    """Whether the first shape broadcasts to the second."""
    try:
        return np.broadcast_shapes(shape, result) == result
    except ValueError:
        return False


def as_shapes(shape: int | Shape | st.SearchStrategy[Any]) -> st.SearchStrategy[Shape]:
    """Return a strategy of shapes for a shape or a strategy, where an int stands for one axis."""
    drawn = shape if isinstance(shape, st.SearchStrategy) else st.just(shape)
    return drawn.map(lambda sides: (sides,) if isinstance(sides, int) else tuple(sides))
