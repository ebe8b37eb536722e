"""Draw scores with their targets, and positive-definite matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from tinygrad_kr.gradcheck.with_hypothesis.optional import hnp, st
from tinygrad_kr.gradcheck.with_hypothesis.strategies.operands import arrays
from tinygrad_kr.gradcheck.with_hypothesis.strategies.shapes import Array, Shape, as_shapes, chance


def scores_with_labels(
    kind: Literal["labels", "one-hot", "soft"] = "labels",
    *,
    batch: int | Shape | st.SearchStrategy[Any] | None = None,
    classes: int | st.SearchStrategy[int] | None = None,
    low: float = -4.0,
    high: float = 4.0,
    dtypes: Sequence[DTypeLike] = (np.int64, np.int32, np.uint8),
) -> st.SearchStrategy[tuple[Array, Array]]:
    """Draw scores with the classes along the last axis, and targets for a loss.

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
        Of labels and one-hot rows. Soft rows are float64, and so are checked like any other input; pass ``argnums=0``
        to ``gradient_property`` if the gradient is that of the scores alone.

    Returns
    -------
    strategy of pairs of arrays
        Scores of shape ``(*batch, classes)``, and labels ``(*batch,)`` or rows ``(*batch, classes)``. In about one draw
        of five all labels are the same.

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
    batches = as_shapes(st.integers(1, 4) if batch is None else batch)
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
    are_equal = draw(chance(0.2))
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


def positive_definite(
    n: int | st.SearchStrategy[int] | None = None,
    batch: int | Shape | st.SearchStrategy[Any] = (),
) -> st.SearchStrategy[Array]:
    """Draw symmetric positive definite matrices, for cholesky, inverse and log-determinant.

    Parameters
    ----------
    n : int or strategy of int
        Rows of a matrix; from 1 to 4 unless given.
    batch : int, shape, or strategy of them
        The axes before the matrix' own; none unless given.

    Returns
    -------
    strategy of float64 arrays
        Of shape ``(*batch, n, n)``: B B^T + I with elements of B in [-1, 1]: symmetric to the last bit, eigenvalues
        from 1 to 1 + n^2.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10)
    ... @given(positive_definite(3))
    ... def test(a):
    ...     assert np.linalg.cholesky(a).shape == (3, 3)
    >>> test()
    """
    sizes = st.tuples(as_shapes(batch), _as_strategy(st.integers(1, 4) if n is None else n))
    return sizes.map(lambda drawn: (*drawn[0], drawn[1], drawn[1])).flatmap(
        lambda shape: arrays(shape, low=-1.0, high=1.0).map(_gram)
    )


def _gram(b: Array) -> Array:
    product: Array = b @ b.mT
    return (product + product.mT) / 2 + np.eye(b.shape[-1])
