"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import NUMPY


def inner_dimensions(a: tuple[int, ...], b: tuple[int, ...], *rest: Any) -> str:
    """What a matrix product expects of its operands."""
    if len(a) < 2 or len(b) < 2:
        return "two arrays of one or more axes; for a number use *"
    return f"a.shape[-1] == b.shape[-2], got {a[-1]} and {b[-2]}; and leading axes that broadcast"


def _summed_outer(x: Any, g: Any) -> Any:
    """Return x^T g for a weight that all samples share: the sum over all leading axes."""
    if x.ndim == 1:
        return np.expand_dims(x, 1) * g
    if x.ndim > 2:
        x, g = np.reshape(x, (-1, x.shape[-1])), np.reshape(g, (-1, g.shape[-1]))
    return np.dot(x.T, g)


matrix_product = Primitive(
    "matmul",
    np.matmul,
    expects=inner_dimensions,
    a=lambda g, b: g @ b.mT,
    b=lambda g, a, shape: _summed_outer(a, g) if len(shape) == 2 else a.mT @ g,
)


def matmul(a: Any, b: Any) -> Any:
    """Multiply matrices as ``numpy.matmul`` does: a vector is a row on the left, a column on the right."""
    row, column = np.ndim(a) == 1, np.ndim(b) == 1
    if not row and not column:
        return matrix_product(a, b)
    product = matrix_product(np.expand_dims(a, 0) if row else a, np.expand_dims(b, 1) if column else b)
    return np.squeeze(product, axis=tuple(axis for axis, gone in ((-2, row), (-1, column)) if gone))


def dot(a: Any, b: Any) -> Any:
    """Multiply as ``numpy.dot`` does: numbers by elements, the others along a's last and b's second-last axis."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if np.ndim(b) <= 2:
        return matmul(a, b)
    return np.tensordot(a, b, axes=(-1, -2))


def _linear(x: Any, w: Any, b: Any) -> Any:
    y = np.dot(x, w)
    if type(y) is np.ndarray and y.dtype is b.dtype:  # nobody else has seen y yet
        y += b
        return y
    return y + b


linear = Primitive(
    "linear",
    _linear,
    expects=lambda x, w, b: f"x (..., in), w (in, out), b (out,), got {x}, {w}, {b}",
    x=lambda g, w: np.dot(g, w.T),
    w=lambda g, x: _summed_outer(x, g),
    b=lambda g: g,
)

NUMPY[np.matmul] = matmul
NUMPY[np.dot] = dot
