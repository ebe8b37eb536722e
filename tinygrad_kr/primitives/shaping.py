"""Shapes and orders: reshape, transpose, pad, concatenate and their like. The values are only moved."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_kr.engine.dispatch import NUMPY
from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.primitives.indexing import along, getitem, scattered, take, take_along_axis


def axes_of(axis: Any, ndim: int) -> list[int]:
    """Return the axes that an argument names, from the front: None names all."""
    return list(range(ndim)) if axis is None else [int(i) % ndim for i in np.ravel(axis)]


# Another shape

reshaped: Primitive = Primitive(
    "reshape",
    lambda x, *, to: np.reshape(x, to),
    expects=lambda x, to: f"a shape of {math.prod(x)} elements, got {to}",
    x=lambda g, shape: np.reshape(g, shape),
)
transposed: Primitive = Primitive(
    "transpose",
    lambda x, *, axes=None: np.transpose(x, axes),
    expects=lambda x, axes=None: f"a permutation of the {len(x)} axes, got {axes}",
    x=lambda g, axes: np.transpose(g, None if axes is None else np.argsort(np.mod(axes, len(axes)))),
)
swapped: Primitive = Primitive(
    "swapaxes",
    lambda x, *, one, other: np.swapaxes(x, one, other),
    expects=lambda x, one, other: f"axes from {-len(x)} to {len(x) - 1}, got {one} and {other}",
    x=lambda g, one, other: np.swapaxes(g, one, other),
)
expanded: Primitive = Primitive(
    "expand_dims",
    lambda x, *, axis: np.expand_dims(x, axis),
    expects=lambda x, axis: f"axes of the result, got {axis}",
    x=lambda g, shape: np.reshape(g, shape),
)
squeezed: Primitive = Primitive(
    "squeeze",
    lambda x, *, axis=None: np.squeeze(x, axis),
    expects=lambda x, axis=None: f"axes of size 1, got axis={axis}",
    x=lambda g, shape: np.reshape(g, shape),
)
broadcast: Primitive = Primitive(
    "broadcast_to",
    lambda x, *, to: np.broadcast_to(x, to),
    expects=lambda x, to: f"a shape that broadcasting can make of it, got {to}",
    x=lambda g: g,
)


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Move axes to new positions."""
    sources, destinations = (axes_of(axes, np.ndim(a)) for axes in (source, destination))
    order = [i for i in range(np.ndim(a)) if i not in sources]
    for to, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(to, axis)
    return transposed(a, axes=order)


def flip(m: Any, axis: Any = None) -> Any:
    """Reverse the order along axes."""
    axes = axes_of(axis, np.ndim(m))
    return getitem(m, builtins.tuple(slice(None, None, -1 if i in axes else 1) for i in range(np.ndim(m))))


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeat each element."""
    size = np.size(a) if axis is None else np.shape(a)[axis]
    return take(a, np.repeat(np.arange(size), repeats), axis)


def tile(A: Any, reps: Any) -> Any:
    """Repeat the whole array."""
    reps = (reps,) if isinstance(reps, int) else builtins.tuple(reps)
    shape = (1,) * (len(reps) - np.ndim(A)) + np.shape(A)
    reps = (1,) * (len(shape) - len(reps)) + reps
    pairs = np.reshape(A, [part for n in shape for part in (1, n)])
    repeated = np.broadcast_to(pairs, [part for r, n in zip(reps, shape, strict=True) for part in (r, n)])
    return np.copy(np.reshape(repeated, builtins.tuple(r * n for r, n in zip(reps, shape, strict=True))))


def sort(a: Any, axis: int | None = -1, kind: Any = None) -> Any:
    """Sort along an axis; the gradient goes back along the permutation."""
    if axis is None:
        a, axis = np.ravel(a), 0
    return take_along_axis(a, np.argsort(raw(a), axis=axis, kind=kind or "stable"), axis)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Take the diagonal of matrices; it becomes the last axis."""
    matrices = np.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = matrices.shape[-2:]
    start = np.arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0))))
    return getitem(matrices, (..., start + max(-offset, 0), start + max(offset, 0)))


def diag(v: Any, k: int = 0) -> Any:
    """Take the diagonal of a matrix, or build a matrix from one."""
    if np.ndim(v) == 2:
        return diagonal(v, k)
    n = np.shape(v)[0]
    start = np.arange(n)
    return scattered(v, to=(n + abs(k),) * 2, index=(start + max(-k, 0), start + max(k, 0)))


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sum the diagonal."""
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1)


def tril(m: Any, k: int = 0) -> Any:
    """Keep the lower triangle of matrices."""
    rows, columns = np.shape(m)[-2:]
    return np.where(np.tri(rows, columns, k, dtype=bool), m, 0)


def triu(m: Any, k: int = 0) -> Any:
    """Keep the upper triangle of matrices."""
    rows, columns = np.shape(m)[-2:]
    return np.where(np.tri(rows, columns, k - 1, dtype=bool), 0, m)


rolled: Primitive = Primitive(
    "roll",
    lambda x, *, shift, axis: np.roll(x, shift, axis),
    x=lambda g, shift, axis: np.roll(g, np.negative(shift).tolist(), axis),
)
padded: Primitive = Primitive(
    "pad",
    lambda x, *, width, values: np.pad(x, width, constant_values=values),
    expects=lambda x, width, values: f"a pair of widths for each of {len(x)} axes, got {width}",
    x=lambda g, shape, width: g[builtins.tuple(slice(w[0], w[0] + n) for w, n in zip(width, shape, strict=True))],
)


def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """Surround with constants, or with the array's own elements (edge, reflect, symmetric, wrap)."""
    if np.ndim(array) == 0:
        return getitem(array, ())
    width = np.broadcast_to(pad_width, (np.ndim(array), 2)).tolist()
    if mode == "constant":
        return padded(array, width=width, values=constant_values)
    for axis, sides in enumerate(width):
        array = take(array, np.pad(np.arange(np.shape(array)[axis]), sides, mode=mode), axis)  # type: ignore[call-overload]
    return array


# Several arrays

joined: Primitive = Primitive(
    "concatenate",
    lambda *parts, axis, starts: np.concatenate(parts, axis),
    expects=lambda *parts, axis, starts: f"the same shape except along axis {axis}",
    parts=lambda g, shape, position, axis, starts: g[
        along(axis, g.ndim, slice(starts[position], starts[position] + shape[axis]))
    ],
)


def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Join along an axis; None flattens first."""
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    sizes = [np.shape(a)[axis] if np.ndim(a) > 0 else 0 for a in arrays]
    return joined(*arrays, axis=axis, starts=[0, *np.cumsum(sizes).tolist()])


def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Join along a new axis."""
    return concatenate([np.expand_dims(a, axis) for a in arrays], axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Split along an axis, into parts as equal as can be or at given positions."""
    spans = np.array_split(np.arange(np.shape(ary)[axis]), indices_or_sections)
    slices = [slice(int(span[0]), int(span[-1]) + 1) if len(span) else slice(0, 0) for span in spans]
    return [getitem(ary, along(axis, np.ndim(ary), part)) for part in slices]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Split along an axis, into equal parts or at given positions."""
    np.split(np.empty(np.shape(ary)[axis]), indices_or_sections)  # NumPy's own error if it cannot
    return array_split(ary, indices_or_sections, axis)


NUMPY.update(
    {
        np.reshape: lambda a, shape: reshaped(a, to=shape),
        np.ravel: lambda a: reshaped(a, to=-1),
        np.transpose: lambda a, axes=None: transposed(a, axes=axes),
        np.swapaxes: lambda a, axis1, axis2: swapped(a, one=axis1, other=axis2),
        np.matrix_transpose: lambda x: swapped(x, one=-2, other=-1),
        np.expand_dims: lambda a, axis: expanded(a, axis=axis),
        np.squeeze: lambda a, axis=None: squeezed(a, axis=axis),
        np.broadcast_to: lambda array, shape: broadcast(array, to=shape),
        np.roll: lambda a, shift, axis=None: rolled(a, shift=shift, axis=axis),
        np.vstack: lambda tup: concatenate([np.atleast_2d(a) for a in tup]),
        np.hstack: lambda tup: concatenate([np.atleast_1d(a) for a in tup], 0 if np.ndim(tup[0]) <= 1 else 1),
        np.atleast_1d: lambda a: np.reshape(a, 1) if np.ndim(a) == 0 else a,
        np.atleast_2d: lambda a: np.reshape(a, (1, -1)) if np.ndim(a) < 2 else a,
    }
)
NUMPY.update(
    {
        getattr(np, f.__name__): f
        for f in (
            *(moveaxis, flip, repeat, tile, sort, diagonal, diag, trace, tril, triu),
            *(pad, concatenate, stack, array_split, split),
        )
    }
)
NUMPY[np.linalg.matrix_transpose] = NUMPY[np.matrix_transpose]
