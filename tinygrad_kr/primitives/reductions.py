"""Along axes: sum, mean, max, min. Ties in max and min share the gradient equally."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import NUMPY

Axis = int | tuple[int, ...] | None


def reduced_axis(shape: tuple[int, ...], *, axis: Axis = None, **params: Any) -> str:
    """What a reduction expects of its axis."""
    return f"axis None, or distinct axes from {-len(shape)} to {len(shape) - 1}, got {axis}"


def spread(reduced: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """Repeat what a reduction made along the axes it took away."""
    if axis is not None and not keepdims:
        reduced = np.expand_dims(reduced, axis)
    return np.broadcast_to(reduced, shape)


def reduced_count(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements a reduction takes together; at least 1, so that empty arrays divide cleanly."""
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return math.prod(shape[i] for i in axes) or 1


def _share_of_extreme(g: Any, x: Any, y: Any, axis: Axis, keepdims: bool) -> Any:
    """Give g to the elements that equal the extreme y, in equal parts."""
    hits = x == spread(y, x.shape, axis, keepdims)
    return spread(g, x.shape, axis, keepdims) * hits / np.sum(hits, axis=axis, keepdims=True)


sum = Primitive(
    "sum",
    lambda x, *, axis=None, keepdims=False: np.add.reduce(x, axis=axis, keepdims=keepdims),
    expects=reduced_axis,
    x=lambda g, shape, axis, keepdims: spread(g, shape, axis, keepdims),
)
mean = Primitive(
    "mean",
    lambda x, *, axis=None, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    expects=reduced_axis,
    x=lambda g, shape, axis, keepdims: spread(g / reduced_count(shape, axis), shape, axis, keepdims),
)
max = Primitive(
    "max",
    lambda x, *, axis=None, keepdims=False: np.max(x, axis=axis, keepdims=keepdims),
    expects=reduced_axis,
    x=lambda g, x, y, axis, keepdims: _share_of_extreme(g, x, y, axis, keepdims),
)
min = Primitive(
    "min",
    lambda x, *, axis=None, keepdims=False: np.min(x, axis=axis, keepdims=keepdims),
    expects=reduced_axis,
    x=lambda g, x, y, axis, keepdims: _share_of_extreme(g, x, y, axis, keepdims),
)

NUMPY[np.sum] = lambda a, axis=None, *, keepdims=False: sum(a, axis=axis, keepdims=keepdims)
NUMPY[np.mean] = lambda a, axis=None, *, keepdims=False: mean(a, axis=axis, keepdims=keepdims)
NUMPY[np.max] = lambda a, axis=None, *, keepdims=False: max(a, axis=axis, keepdims=keepdims)
NUMPY[np.min] = lambda a, axis=None, *, keepdims=False: min(a, axis=axis, keepdims=keepdims)
