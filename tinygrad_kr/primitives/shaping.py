"""Where elements stand: reshape, transpose, indexing and their like. The values are only moved."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import NUMPY, _getitem, raw

reshape = Primitive(
    "reshape",
    lambda x, *, to: np.reshape(x, to),
    expects=lambda x, to: "as many elements as there are",
    x=lambda g, shape: np.reshape(g, shape),
)
transpose = Primitive(
    "transpose",
    lambda x, *, axes=None: np.transpose(x, axes),
    expects=lambda x, axes=None: f"a permutation of the {len(x)} axes, got {axes}",
    x=lambda g, axes: np.transpose(g, None if axes is None else np.argsort(np.mod(axes, len(axes)))),
)
swapaxes = Primitive(
    "swapaxes",
    lambda x, *, one, other: np.swapaxes(x, one, other),
    expects=lambda x, one, other: f"axes from {-len(x)} to {len(x) - 1}, got {one} and {other}",
    x=lambda g, one, other: np.swapaxes(g, one, other),
)
expand_dims = Primitive(
    "expand_dims",
    lambda x, *, axis: np.expand_dims(x, axis),
    x=lambda g, shape: np.reshape(g, shape),
)
squeeze = Primitive(
    "squeeze",
    lambda x, *, axis=None: np.squeeze(x, axis),
    expects=lambda x, axis=None: f"axes of size 1, got axis={axis}",
    x=lambda g, shape: np.reshape(g, shape),
)
broadcast_to = Primitive(
    "broadcast_to",
    lambda x, *, to: np.broadcast_to(x, to),
    expects=lambda x, to: f"a shape that broadcasting can make of it, got {to}",
    x=lambda g: g,
)


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
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or type(part) in (int, slice) for part in parts)


getitem = Primitive(
    "indexing",
    lambda x, *, index: x[index],
    expects=lambda x, index: f"an index that fits the shape {x}, got {index}",
    x=lambda g, shape, index: scatter(g, to=shape, index=index),
)
scatter = Primitive("scatter", _scattered, g=lambda g, index: g[index])

NUMPY[np.reshape] = lambda a, shape: reshape(a, to=shape)
NUMPY[np.transpose] = lambda a, axes=None: transpose(a, axes=axes)
NUMPY[np.swapaxes] = lambda a, axis1, axis2: swapaxes(a, one=axis1, other=axis2)
NUMPY[np.matrix_transpose] = lambda x: swapaxes(x, one=-2, other=-1)
NUMPY[np.expand_dims] = lambda a, axis: expand_dims(a, axis=axis)
NUMPY[np.squeeze] = lambda a, axis=None: squeeze(a, axis=axis)
NUMPY[np.broadcast_to] = lambda array, shape: broadcast_to(array, to=shape)
NUMPY[_getitem] = lambda x, index: getitem(x, index=raw(index))
