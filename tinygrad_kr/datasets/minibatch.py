"""One-hot labels, and minibatches of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from tinygrad_kr.common.arguments import count, generator
from tinygrad_kr.errors import DtypeError, LabelError, ShapeError

__all__ = ["Split", "batches", "one_hot", "sample_batch"]

Split = tuple[NDArray[Any], NDArray[Any]]
"""Inputs and their labels."""


def one_hot(labels: ArrayLike, num_classes: int, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Convert class indices to one-hot rows.

    Parameters
    ----------
    labels : array_like of int, shape (...)
        Class indices from 0 to ``num_classes - 1``.
    num_classes : int
        The number of classes.
    dtype : dtype, default float32
        The dtype of the result.

    Returns
    -------
    ndarray of `dtype`, shape (..., num_classes)
        1 where the last index is the label, 0 elsewhere.

    Raises
    ------
    DtypeError
        If the labels are not integers.
    LabelError
        If a label is out of range.

    Examples
    --------
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    index = np.asarray(labels)
    if not np.issubdtype(index.dtype, np.integer):
        raise DtypeError(f"one_hot: expected integer labels, found {index.dtype}; use labels.astype(np.int64)")
    outside = np.argwhere((index < 0) | (index >= num_classes))
    if len(outside):
        position = tuple(outside[0].tolist())
        raise LabelError(
            f"one_hot: expected labels from 0 to {num_classes - 1} for {num_classes} classes, "
            f"found {index[position]} at position {position[0] if len(position) == 1 else position}"
        )
    rows: NDArray[Any] = (index[..., np.newaxis] == np.arange(num_classes)).astype(dtype)
    return rows


def sample_batch(x: NDArray[Any], t: NDArray[Any], batch_size: int, rng: np.random.Generator) -> Split:
    """Draw one random minibatch, with replacement.

    Parameters
    ----------
    x : ndarray, shape (N, ...)
        Inputs.
    t : ndarray, shape (N, ...)
        Their labels.
    batch_size : int
        The number of draws; an example may come more than once.
    rng : numpy.random.Generator
        The generator of the draw, ``rng.choice(N, batch_size)``.

    Returns
    -------
    x_batch, t_batch : ndarray, shape (batch_size, ...)
        Copies, of the dtypes of `x` and `t`.

    Raises
    ------
    ShapeError
        If `x` and `t` differ in length.
    ValueError
        If `batch_size` is less than 1, or `x` and `t` are empty.
    TypeError
        If `rng` is not a Generator, or `batch_size` not an integer.

    Examples
    --------
    >>> x = np.arange(10.0)
    >>> x_batch, t_batch = sample_batch(x, 2 * x, 3, np.random.default_rng(0))
    >>> x_batch, t_batch
    (array([8., 6., 5.]), array([16., 12., 10.]))
    """
    batch_size = _checked(x, t, batch_size, "sample_batch")
    if len(x) == 0:
        raise ValueError("sample_batch: expected at least one example to draw from, got x and t empty")
    index = generator(rng, "sample_batch").choice(len(x), batch_size)
    return x[index], t[index]


def batches(
    x: NDArray[Any],
    t: NDArray[Any],
    batch_size: int,
    rng: np.random.Generator | None = None,
    drop_last: bool = False,
) -> Iterator[Split]:
    """Iterate over the minibatches of one epoch, which do not overlap.

    Parameters
    ----------
    x : ndarray, shape (N, ...)
        Inputs.
    t : ndarray, shape (N, ...)
        Their labels.
    batch_size : int
        The number of examples in a batch.
    rng : numpy.random.Generator, optional
        Shuffles the examples, at the time of the call; without it they come in order.
    drop_last : bool, default False
        Leave out the last batch if it is smaller than the others.

    Returns
    -------
    iterator of (x_batch, t_batch)
        Copies of shape (batch_size, ...), of the dtypes of `x` and `t`; the last may be shorter.

    Raises
    ------
    ShapeError
        If `x` and `t` differ in length.
    ValueError
        If `batch_size` is less than 1.
    TypeError
        If `rng` is neither a Generator nor None, or `batch_size` not an integer.

    Examples
    --------
    >>> x = np.arange(5)
    >>> [x_batch.tolist() for x_batch, t_batch in batches(x, x, 2)]
    [[0, 1], [2, 3], [4]]
    >>> rng = np.random.default_rng(0)
    >>> [x_batch.tolist() for x_batch, t_batch in batches(x, x, 2, rng, drop_last=True)]
    [[2, 4], [3, 0]]
    """
    batch_size = _checked(x, t, batch_size, "batches")
    order = np.arange(len(x)) if rng is None else generator(rng, "batches").permutation(len(x))
    stop = len(x) - len(x) % batch_size if drop_last else len(x)
    chunks = (order[start : start + batch_size] for start in range(0, stop, batch_size))
    return ((x[index], t[index]) for index in chunks)


def _checked(x: NDArray[Any], t: NDArray[Any], batch_size: int, owner: str) -> int:
    """Return the batch size, once it and the lengths of inputs and labels have been checked."""
    if len(x) != len(t):
        raise ShapeError(f"{owner}: expected as many labels as inputs, got len(x)={len(x)} and len(t)={len(t)}")
    return count(batch_size, "batch_size", owner)
