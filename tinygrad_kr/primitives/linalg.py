"""Linear algebra: products of matrices and tensors, and what solves with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_kr.engine.dispatch import NUMPY
from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.primitives.shaping import axes_of

# Products


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
        x, g = (np.reshape(v, (math.prod(v.shape[:-1]), v.shape[-1])) for v in (x, g))
    return np.dot(x.T, g)


matrix_product: Primitive = Primitive(
    "matmul",
    np.matmul,
    expects=inner_dimensions,
    a=lambda g, b: g @ b.mT,
    b=lambda g, a, shape: _summed_outer(a, g) if len(shape) == 2 else a.mT @ g,
)


linear: Primitive = Primitive(
    "linear",
    lambda x, w, b: np.dot(x, w) + b,
    expects=lambda x, w, b: f"x (..., in), w (in, out), b (out,), got {x}, {w}, {b}",
    real=True,
    x=lambda g, w: np.dot(g, w.T),
    w=lambda g, x: _summed_outer(x, g),
    b=lambda g: g,
)


def matmul(a: Any, b: Any) -> Any:
    """Multiply matrices as ``numpy.matmul`` does: a vector is a row on the left, a column on the right."""
    row, column = np.ndim(a) == 1, np.ndim(b) == 1
    if not row and not column:
        return matrix_product(a, b)
    product = matrix_product(np.expand_dims(a, 0) if row else a, np.expand_dims(b, 1) if column else b)
    return np.squeeze(product, axis=tuple(axis for axis, gone in ((-2, row), (-1, column)) if gone))


def dot(a: Any, b: Any) -> Any:
    """Multiply as ``numpy.dot`` does: numbers by elements, others along a's last and b's second-last axis."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    return matmul(a, b) if np.ndim(b) <= 2 else tensordot(a, b, axes=(-1, -2))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum over pairs of axes: as one product of matrices."""
    if isinstance(axes, int):
        axes = range(np.ndim(a) - axes, np.ndim(a)), range(axes)
    of_a, of_b = (axes_of(of, np.ndim(x)) for x, of in zip((a, b), axes, strict=True))
    free_a, free_b = ([i for i in range(np.ndim(x)) if i not in of] for x, of in ((a, of_a), (b, of_b)))
    rows = np.reshape(np.transpose(a, free_a + of_a), (_size(a, free_a), _size(a, of_a)))
    columns = np.reshape(np.transpose(b, of_b + free_b), (_size(b, of_b), _size(b, free_b)))
    return np.reshape(
        matrix_product(rows, columns), [np.shape(a)[i] for i in free_a] + [np.shape(b)[i] for i in free_b]
    )


def _size(x: Any, axes: list[int]) -> int:
    return math.prod(np.shape(x)[i] for i in axes)


def outer(a: Any, b: Any) -> Any:
    """Multiply every element of a with every element of b."""
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


def inner(a: Any, b: Any) -> Any:
    """Sum over the last axes."""
    return np.multiply(a, b) if np.ndim(a) == 0 or np.ndim(b) == 0 else tensordot(a, b, axes=(-1, -1))


def vdot(a: Any, b: Any) -> Any:
    """Sum of the products of all elements."""
    return np.sum(np.ravel(a) * np.ravel(b))


# Solving


def square_matrices(a: tuple[int, ...], *rest: tuple[int, ...]) -> str:
    """What functions of square matrices expect."""
    return f"square matrices in the last two axes, got {a}" + "".join(
        f", and {shape} with as many rows" for shape in rest
    )


inv: Primitive = Primitive("inv", np.linalg.inv, expects=square_matrices, a=lambda g, y: -y.mT @ g @ y.mT)
det: Primitive = Primitive(
    "det",
    np.linalg.det,
    expects=square_matrices,
    a=lambda g, a, y: np.expand_dims(g, (-2, -1)) * _cofactors(a, y),
)
log_abs_det: Primitive = Primitive(
    "slogdet",
    lambda a: np.linalg.slogdet(a)[1],
    expects=square_matrices,
    a=lambda g, a: np.expand_dims(g, (-2, -1)) * np.linalg.inv(a).mT,
)
solve_matrix: Primitive = Primitive(
    "solve",
    np.linalg.solve,
    expects=square_matrices,
    a=lambda g, a, y: -np.linalg.solve(a.mT, g) @ y.mT,
    b=lambda g, a: np.linalg.solve(a.mT, g),
)
cholesky: Primitive = Primitive(
    "cholesky",
    lambda a: np.linalg.cholesky(a),
    expects=square_matrices,
    a=lambda g, y: _cholesky_rule(g, y),
)


def _cofactors(a: Any, det: Any) -> Any:
    """Return the derivatives of the determinant: det a^-T; of singular matrices, the determinants of minors."""
    if np.all(raw(det) != 0):
        return np.expand_dims(det, (-2, -1)) * np.linalg.inv(a).mT
    n = np.shape(a)[-1]
    others = np.array([[j for j in range(n) if j != i] for i in range(n)], int).reshape(n, n - 1)
    minors = a[..., others[:, None, :, None], others[None, :, None, :]]
    signs = (-1.0) ** np.add.outer(np.arange(n), np.arange(n))
    return np.linalg.det(minors) * signs.astype(a.dtype)


def _cholesky_rule(g: Any, y: Any) -> Any:
    """Return y^-T P(y^T g) y^-1, symmetrised; P keeps the lower triangle with half the diagonal (Murray 2016)."""
    p = np.tril(y.mT @ g) * (1 - 0.5 * np.eye(y.shape[-1], dtype=y.dtype))
    s = np.linalg.solve(y.mT, np.linalg.solve(y.mT, p.mT).mT)
    return (s + s.mT) / 2


def solve(a: Any, b: Any) -> Any:
    """Solve a x = b for x; b of one axis is one right-hand side."""
    if np.ndim(b) == 1:
        return np.squeeze(solve_matrix(a, np.expand_dims(b, 1)), axis=-1)
    return solve_matrix(a, b)


def lower_or_upper(a: Any, /, *, upper: bool = False) -> Any:
    """Factor a into L L^T, or into U^T U."""
    return cholesky(a.mT).mT if upper else cholesky(a)


def slogdet(a: Any) -> Any:
    """Sign and logarithm of the absolute value of the determinant; the sign is a plain array."""
    return np.linalg.slogdet(raw(a))._replace(logabsdet=log_abs_det(a))


NUMPY.update({np.matmul: matmul, np.dot: dot})
NUMPY.update({getattr(np, f.__name__): f for f in (tensordot, outer, inner, vdot)})
NUMPY.update({getattr(np.linalg, f.__name__): f for f in (solve, slogdet)})
NUMPY.update({np.linalg.inv: lambda a: inv(a), np.linalg.det: lambda a: det(a), np.linalg.cholesky: lower_or_upper})
NUMPY.update({np.linalg.matmul: matmul, np.linalg.tensordot: tensordot, np.linalg.outer: outer})
