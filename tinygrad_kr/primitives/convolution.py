"""Convolution and pooling of images (N, C, H, W), by windows laid side by side and products of matrices.

The axes are those of the field. In memory the batch comes last, (C, H, W, N), whatever layout an operand arrives in:
one pixel of a row of windows, for all samples, is then one contiguous run, so that gathering windows copies long runs,
and a convolution is one large product of matrices. Results are views with the axes in their usual order; the next
layer finds its operand laid out as it needs it. Pixels that tie for the maximum of a window share its gradient equally.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided

from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import raw

Pair = tuple[int, int]  # vertical, horizontal


def batch_last(x: Any) -> Any:
    """Turn (N, C, H, W) to (C, H, W, N)."""
    return np.transpose(x, (1, 2, 3, 0))


def batch_first(x: Any) -> Any:
    """Turn (C, H, W, N) to (N, C, H, W)."""
    return np.transpose(x, (3, 0, 1, 2))


# Windows


def counts(image: tuple[int, ...], size: Pair, stride: Pair, padding: Pair) -> Pair:
    """How many windows lie below and beside each other in images (N, C, H, W)."""
    if len(image) != 4:
        raise ValueError(f"images have four axes, these {len(image)}")
    if 0 in image[2:] or 0 in size:
        raise ValueError("images and windows have at least one pixel")
    height, width = image[2] + 2 * padding[0], image[3] + 2 * padding[1]
    if size[0] > height or size[1] > width:
        image_and_padding = f"an image {(height, width)}" + ", its padding included" * any(padding)
        raise ValueError(f"a window {size} is larger than {image_and_padding}")
    return (height - size[0]) // stride[0] + 1, (width - size[1]) // stride[1] + 1


def padded(x: Any, padding: Pair, fill: float = 0) -> Any:
    """Return the pixels (C, H, W, N), contiguous, with a margin around each image; no copy where none is needed."""
    x, (above, beside) = batch_last(x), padding
    if not above and not beside:
        return np.ascontiguousarray(x)
    channels, height, width, n = x.shape
    out = np.full((channels, height + 2 * above, width + 2 * beside, n), fill, x.dtype)
    out[:, above : above + height, beside : beside + width] = x
    return out


def cropped(pixels: Any, to: tuple[int, ...], padding: Pair) -> Any:
    """Take the margin off again, and return images (N, C, H, W)."""
    (above, beside), (height, width) = padding, to[2:]
    return batch_first(pixels[:, above : above + height, beside : beside + width])


def every_position(size: Pair, stride: Pair, count: Pair) -> Any:
    """For each position in a window: an index for it, and one for the pixels that all windows have there."""
    rows, columns = ((n - 1) * step + 1 for n, step in zip(count, stride, strict=True))
    return [
        ((slice(None), i, j), (slice(None), slice(i, i + rows, stride[0]), slice(j, j + columns, stride[1])))
        for i in range(size[0])
        for j in range(size[1])
    ]


def _windows(x: Any, *, size: Pair, stride: Pair, padding: Pair, fill: float = 0) -> Any:
    count = counts(np.shape(x), size, stride, padding)
    pixels = padded(x, padding, fill)
    channel, row, column, sample = pixels.strides
    steps = (channel, row, column, row * stride[0], column * stride[1], sample)
    return np.array(as_strided(pixels, (len(pixels), *size, *count, len(x)), steps), order="C")


def _folded(g: Any, *, to: tuple[int, ...], size: Pair, stride: Pair, padding: Pair) -> Any:
    out = np.zeros((to[1], to[2] + 2 * padding[0], to[3] + 2 * padding[1], to[0]), g.dtype)
    for position, pixels in every_position(size, stride, g.shape[3:5]):
        out[pixels] += g[position]
    return cropped(out, to, padding)


windows: Primitive = Primitive(
    "windows",
    _windows,
    x=lambda g, shape, size, stride, padding: folded(g, to=shape, size=size, stride=stride, padding=padding),
)
"""All windows of images (N, C, H, W), side by side: (C, height, width, rows, columns, N). The margin is 0."""

folded: Primitive = Primitive(
    "fold",
    _folded,
    g=lambda g, size, stride, padding: windows(g, size=size, stride=stride, padding=padding),
)
"""The transpose of ``windows``: images in which each pixel is the sum over all windows that have it."""


# Convolution


def matrix(x: Any, axes: int) -> Any:
    """Take the first axes together as rows, and the others as columns."""
    return np.reshape(x, (math.prod(x.shape[:axes]), math.prod(x.shape[axes:])))


def _conv2d(x: Any, w: Any, *, stride: Pair, padding: Pair) -> Any:
    if np.ndim(w) != 4:
        raise ValueError(f"filters have four axes, these {np.ndim(w)}")
    columns = _windows(x, size=w.shape[2:], stride=stride, padding=padding)
    if len(columns) != w.shape[1]:
        raise ValueError(f"the images have {len(columns)} channels, the filters {w.shape[1]}")
    y = np.dot(matrix(w, 1), matrix(columns, 3))
    return batch_first(np.reshape(y, (len(w), *columns.shape[3:])))


def _conv2d_with_bias(x: Any, w: Any, b: Any, *, stride: Pair, padding: Pair) -> Any:
    if np.shape(b) != np.shape(w)[:1]:
        raise ValueError("there is one bias for each filter")
    y = _conv2d(x, w, stride=stride, padding=padding)
    b = np.expand_dims(b, (1, 2))
    return np.add(y, b, out=y if np.result_type(y, b) == y.dtype else None)


def _to_images(g: Any, w: Any, shape: tuple[int, ...], stride: Pair, padding: Pair) -> Any:
    """Fold up windows of w^T g."""
    columns = np.dot(matrix(w, 1).T, matrix(batch_last(g), 1))
    columns = np.reshape(columns, (*w.shape[1:], *g.shape[2:], len(g)))
    return folded(columns, to=shape, size=w.shape[2:], stride=stride, padding=padding)


def _to_filters(g: Any, x: Any, shape: tuple[int, ...], stride: Pair, padding: Pair) -> Any:
    """Sum g times the window over all windows. They are gathered again: kept, they would take height x width of x."""
    columns = windows(x, size=shape[2:], stride=stride, padding=padding)
    return np.reshape(np.dot(matrix(batch_last(g), 1), matrix(columns, 3).T), shape)


def images_and_filters(x: Any, w: Any, b: Any = None, **params: Any) -> str:
    """What a convolution expects of its operands."""
    bias = "" if b is None else ", b (filters,)"
    return (
        f"x (N, channels, H, W), w (filters, channels, height, width){bias}, height and width within the padded image"
    )


conv2d: Primitive = Primitive(
    "conv2d",
    _conv2d,
    expects=images_and_filters,
    real=True,
    x=lambda g, w, shape, stride, padding: _to_images(g, w, shape, stride, padding),
    w=lambda g, x, shape, stride, padding: _to_filters(g, x, shape, stride, padding),
)
conv2d_with_bias: Primitive = Primitive(
    "conv2d",
    _conv2d_with_bias,
    expects=images_and_filters,
    real=True,
    x=lambda g, w, shape, stride, padding: _to_images(g, w, shape, stride, padding),
    w=lambda g, x, shape, stride, padding: _to_filters(g, x, shape, stride, padding),
    b=lambda g: np.sum(g, axis=(0, 2, 3)),
)


# Pooling


def over_windows(y: Any) -> Any:
    """Give a number for each window the axes of ``windows``, to broadcast over the window."""
    return np.expand_dims(batch_last(y), (1, 2))


def _max_pool2d(x: Any, *, size: Pair, stride: Pair, padding: Pair) -> Any:
    count = counts(np.shape(x), size, stride, padding)
    lowest: Any = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min if x.dtype.kind in "iu" else 0
    pixels = padded(x, padding, lowest)
    out = np.full((len(pixels), *count, len(x)), lowest, x.dtype)
    for _, where in every_position(size, stride, count):
        np.maximum(out, pixels[where], out=out)
    return batch_first(out)


def _to_largest(g: Any, x: Any, y: Any, size: Pair, stride: Pair, padding: Pair) -> Any:
    """Give g to the pixels that equal the largest of their window, in equal parts. The margin, NaN, equals nothing."""
    x, y = raw(x), raw(y)
    if type(g) is ndarray:
        return _to_largest_of_arrays(g, x, y, size, stride, padding)
    how: Any = {"size": size, "stride": stride, "padding": padding}
    hits = (_windows(x, **how, fill=np.nan) == over_windows(y)).astype(y.dtype)
    return folded(over_windows(g) * hits / np.sum(hits, axis=(1, 2), keepdims=True), to=x.shape, **how)


def _to_largest_of_arrays(g: Any, x: Any, y: Any, size: Pair, stride: Pair, padding: Pair) -> Any:
    """Do the same position by position, without laying out the windows."""
    pixels, g, y = padded(x, padding, np.nan), batch_last(g), batch_last(y)
    positions = [where for _, where in every_position(size, stride, y.shape[1:3])]
    hits = [pixels[where] == y for where in positions]
    ties = np.zeros(y.shape, np.int8 if len(hits) < 128 else np.int64)
    for hit in hits:
        ties += hit
    share = g / ties.astype(g.dtype)
    out = np.zeros(pixels.shape, g.dtype)
    disjoint = stride[0] >= size[0] and stride[1] >= size[1]
    for where, hit in zip(positions, hits, strict=True):
        if disjoint:
            np.multiply(share, hit, out=out[where])
        else:
            out[where] += share * hit
    return cropped(out, x.shape, padding)


def _avg_pool2d(x: Any, *, size: Pair, stride: Pair, padding: Pair) -> Any:
    count = counts(np.shape(x), size, stride, padding)
    pixels = padded(x, padding)
    out = np.zeros((len(pixels), *count, len(x)), x.dtype if x.dtype.kind == "f" else float)
    for _, where in every_position(size, stride, count):
        out += pixels[where]
    out /= math.prod(size)
    return batch_first(out)


def _to_all(g: Any, shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair) -> Any:
    """Give every pixel an equal part of g."""
    parts = np.broadcast_to(over_windows(g / math.prod(size)), (shape[1], *size, *g.shape[2:], shape[0]))
    return folded(parts, to=shape, size=size, stride=stride, padding=padding)


def images(x: Any, size: Pair, **params: Any) -> str:
    """What pooling expects of its operand."""
    return "x (N, channels, H, W), and a window within the padded image"


max_pool2d: Primitive = Primitive(
    "max_pool2d",
    _max_pool2d,
    expects=images,
    x=lambda g, x, y, size, stride, padding: _to_largest(g, x, y, size, stride, padding),
)
avg_pool2d: Primitive = Primitive(
    "avg_pool2d",
    _avg_pool2d,
    expects=images,
    x=lambda g, shape, size, stride, padding: _to_all(g, shape, size, stride, padding),
)
