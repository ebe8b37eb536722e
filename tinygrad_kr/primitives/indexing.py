"""Indexing: elements taken by an index, and its transpose, a gradient added at an index."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from tinygrad_kr.engine.dispatch import NUMPY, indexing
from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import Tensor, raw


def _scattered(g: Any, *, to: tuple[int, ...], index: Any) -> Any:
    """Return zeros with g added at an index; what an index names twice receives both."""
    out = np.zeros(to, g.dtype)
    if is_basic(index):
        out[index] = g
    else:
        np.add.at(out, index, g)
    return out


def is_basic(index: Any) -> bool:
    """Whether NumPy takes the index for basic indexing: every element at most once."""
    parts = index if isinstance(index, builtins.tuple) else (index,)
    return all(part is None or part is Ellipsis or type(part) in (int, slice) for part in parts)


indexed: Primitive = Primitive(
    "indexing",
    lambda x, *, index: x[index],
    expects=lambda x, index: f"an index that fits the shape {x}",
    x=lambda g, shape, index: scattered(g, to=shape, index=index),
)
scattered: Primitive = Primitive("scatter", _scattered, g=lambda g, index: g[index])


def getitem(x: Any, index: Any) -> Any:
    """Index with integers, slices, None, Ellipsis, and arrays of integers or booleans."""
    return indexed(x, index=raw(index))


def along(axis: int, ndim: int, index: Any) -> tuple[Any, ...]:
    """Return an index for one axis; the others are taken whole."""
    return (*[slice(None)] * (axis % ndim), index)


def take(a: Any, indices: Any, axis: int | None = None) -> Any:
    """Take elements along an axis, or of the flattened array."""
    if axis is None:
        a, axis = np.ravel(a), 0
    return getitem(a, along(axis, np.ndim(a), np.asarray(raw(indices))))


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """Take along an axis at positions of their own for each line."""
    if axis is None:
        arr, axis = np.ravel(arr), 0
    indices = raw(indices)
    grid = [np.arange(n).reshape(-1, *[1] * (indices.ndim - i - 1)) for i, n in enumerate(arr.shape)]
    grid[axis % indices.ndim] = indices
    return getitem(arr, builtins.tuple(grid))


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Count each number in x; with weights, add up those of each number, in float64 as NumPy does."""
    x = raw(x)
    if not isinstance(weights, Tensor):
        return np.bincount(x, weights, minlength)
    counts = np.bincount(x, minlength=minlength)
    return scattered(weights.astype(np.float64), to=counts.shape, index=np.asarray(x, np.intp))


NUMPY.update({indexing: getitem, np.take: take, np.take_along_axis: take_along_axis, np.bincount: bincount})
