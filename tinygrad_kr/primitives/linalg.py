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


matrix_product = Primitive(
    "matmul",
    np.matmul,
    expects=inner_dimensions,
    a=lambda g, b: g @ b.mT,
    b=lambda g, a: a.mT @ g,
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


linear = Primitive(
    "linear",
    lambda x, w, b: np.add(x @ w, b),
    expects=lambda x, w, b: f"x (..., in), w (in, out), b (out,), got {x}, {w}, {b}",
    x=lambda g, w: g @ w.mT,
    w=lambda g, x: x.mT @ g,
    b=lambda g: g,
)

NUMPY[np.matmul] = matmul
NUMPY[np.dot] = dot
