"""Independent references, element by element or by another formula."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from catalogue.values import Array, Shape
from tinygrad_kr import functional as F


def reference_power(x: Array, exponent: float) -> Array:
    return np.float_power(x, exponent)


def reference_softmax(x: Array, axis: int = -1) -> Array:
    return np.apply_along_axis(lambda row: np.array([1 / np.exp(row - one).sum() for one in row]), axis, x)


def reference_log_softmax(x: Array, axis: int = -1) -> Array:
    return x - np.logaddexp.reduce(x, axis=axis, keepdims=True)


def reference_standardize(x: Array, axis: Any) -> Array:
    return (x - np.mean(x, axis=axis, keepdims=True)) / np.sqrt(np.var(x, axis=axis, keepdims=True) + 0.5)


def reference_gelu(x: Array) -> Array:
    return x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def reference_linear(x: Array, w: Array, b: Array) -> Array:
    return np.einsum("...i,ij->...j", x, w) + b


def target_rows(scores: Array, t: Array) -> tuple[Array, Array]:
    """Scores and targets as rows, one for each sample."""
    classes = scores.shape[-1]
    rows = t if t.shape == scores.shape else np.eye(classes)[t]
    return scores.reshape(-1, classes), rows.reshape(-1, classes)


def reference_cross_entropy(y: Array, t: Array) -> float:
    y, t = target_rows(y, t)
    return sum(-t[n, k] * math.log(y[n, k] + 1e-7) for n, k in np.ndindex(y.shape)) / len(y)


def reference_softmax_cross_entropy(scores: Array, t: Array) -> float:
    scores, t = target_rows(scores, t)
    rows = range(len(scores))
    return sum(t[n].sum() * math.log(np.exp(scores[n]).sum()) - t[n] @ scores[n] for n in rows) / len(scores)


def of_any_weights(scores: Any, t: Any) -> Any:
    """The loss as a function of targets, which add up to anything while each is moved; the warning is not meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return F.softmax_cross_entropy(scores, t)


def reference_squares(y: Array, t: Array) -> float:
    return sum((a - b) ** 2 for a, b in zip(y.ravel(), t.ravel(), strict=True))


def reference_scatter(g: Array, to: Shape, index: Any) -> Array:
    """Each element of g goes to where indexing takes it from."""
    sources = np.arange(math.prod(to)).reshape(to)[index].ravel()
    return np.bincount(sources, weights=g.ravel(), minlength=math.prod(to)).reshape(to)


def windows_of(x: Array, size: Shape, stride: Any, padding: Any, fill: float = 0) -> Array:
    """Every window, cut out of the padded images: (rows, columns, N, C, height, width)."""
    (height, width), (down, across), (above, beside) = size, *(np.broadcast_to(a, 2) for a in (stride, padding))
    x = np.pad(x, ((0, 0), (0, 0), (above, above), (beside, beside)), constant_values=fill)
    rows, columns = range(0, x.shape[2] - height + 1, down), range(0, x.shape[3] - width + 1, across)
    return np.array([[x[:, :, i : i + height, j : j + width] for j in columns] for i in rows])


def reference_windows(x: Array, size: Shape, stride: Shape, padding: Shape) -> Array:
    return windows_of(x, size, stride, padding).transpose(3, 4, 5, 0, 1, 2)


def reference_fold(g: Array, to: Shape, **how: Any) -> Array:
    """Each element of g goes to the pixel that stands there among the windows; the padding is pixel -1."""
    pixels = windows_of(np.arange(math.prod(to)).reshape(to), **how, fill=-1).transpose(3, 4, 5, 0, 1, 2)
    return np.bincount(pixels.ravel() + 1, g.ravel(), math.prod(to) + 1)[1:].reshape(to)


def reference_conv2d(x: Array, w: Array, b: Array | float = 0.0, *, stride: Any, padding: Any) -> Array:
    sums = np.einsum("ijncuv,ocuv->nijo", windows_of(x, w.shape[2:], stride, padding), w) + b
    return np.moveaxis(sums, -1, 1)


def reference_pool(reduce: Callable[..., Array], fill: float) -> Callable[..., Array]:
    """Pooling by a reduction of each window."""

    def pool(x: Array, size: Shape, stride: Any, padding: Any) -> Array:
        windows = windows_of(x, size, size if stride is None else stride, padding, fill)
        return np.moveaxis(reduce(windows, axis=(-2, -1)), (0, 1), (2, 3))

    return pool
