"""Losses: softmax and cross-entropy fused in one operation; what targets may look like."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_kr.engine.arrays import is_foreign, plain_array
from tinygrad_kr.engine.callers import warn
from tinygrad_kr.engine.graph import Node
from tinygrad_kr.engine.primitive import Primitive, as_real
from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.errors import DtypeError, LabelError, ShapeError
from tinygrad_kr.primitives.activations import softmax
from tinygrad_kr.primitives.reductions import divided


@lru_cache(maxsize=16)
def rows(count: int) -> Any:
    """Return the row numbers of a batch, the same at every step."""
    numbers = np.arange(count)
    numbers.flags.writeable = False
    return numbers


def _label_cross_entropy(scores: Any, labels: Any) -> tuple[Any, Any]:
    """Return minus the mean of scores[label] - log(sum(exp(scores))), shifted by the maximum before taking the gap.

    The residue, softmax(scores) - one_hot(labels), is made in the memory of the exponentials. Where the label is, it
    is p - 1 = expm1(log p): exact also for a p so near 1 that p - 1 would have no digits left.
    """
    if not np.vdot(scores, scores) < np.inf:  # so large that differences may overflow, to a harmless -inf
        with np.errstate(over="ignore"):
            return _shifted_cross_entropy(scores, labels)
    return _shifted_cross_entropy(scores, labels)


def _shifted_cross_entropy(scores: Any, labels: Any) -> tuple[Any, Any]:
    by_class = scores.T  # one row for each class: reductions and broadcasting then need no axis
    r = by_class - np.maximum.reduce(by_class)
    try:
        true_scores = r[labels, rows(len(labels))]
    except IndexError:
        require_in_range("softmax_cross_entropy", scores, labels)
        raise
    if np.minimum.reduce(labels) < 0:  # would count from the last class
        require_in_range("softmax_cross_entropy", scores, labels)
    np.exp(r, out=r)
    sums = np.add.reduce(r)
    log_p = true_scores - np.log(sums)
    r /= sums
    r[labels, rows(len(labels))] = np.expm1(log_p)
    return np.add.reduce(log_p) / -len(labels), r.T


def _residue(scores: Any, labels: Any) -> Any:
    one_hot = np.zeros(scores.shape, scores.dtype)
    one_hot[rows(len(labels)), labels] = 1
    return softmax(scores) - one_hot


def require_in_range(name: str, scores: Any, labels: Any) -> None:
    """Raise LabelError if a label names no class."""
    classes = scores.shape[-1]
    bad = np.flatnonzero((labels < 0) | (labels >= classes))
    if bad.size:
        raise LabelError(
            f"{name}: label {labels[bad[0]]} at position {bad[0]} is out of range\n"
            f"  with the {classes} classes of scores {scores.shape}, labels {labels.shape} go from 0 to {classes - 1}"
        )


label_cross_entropy: Primitive = Primitive(
    "softmax_cross_entropy",
    _label_cross_entropy,
    residue=_residue,
    scores=lambda g, r: r * divided(g, len(r)),
    labels=None,
)


def floats(value: Any) -> Any:
    """Return an array or a Tensor of floats: functions of real numbers take integers and booleans as float64.

    In their own dtype, integers would wrap around (8 bits hold no 256), and NumPy would answer in float16.
    """
    if type(value) is Tensor:
        return value if value._node is not None else Tensor(as_real(value.data), name=value.name)
    if type(value) is not ndarray and not is_foreign(value):
        value = plain_array(value, "floats")
    return as_real(value)


def require_same_shape(name: str, y: Any, t: Any) -> None:
    """Raise ShapeError unless predictions and targets have one shape."""
    if np.shape(y) != np.shape(t):
        raise ShapeError(
            f"{name}: predictions and targets must have the same shape, got y {np.shape(y)} and t {np.shape(t)}\n"
            "  class labels become rows with datasets.one_hot(labels, num_classes)"
        )


def rows_and_targets(name: str, y: Any, t: Any) -> tuple[Any, Any, bool]:
    """Bring y to shape (N, C) and t to labels (N,) or rows (N, C), told apart by t's shape and dtype."""
    y = floats(y)
    if type(t) is not Tensor:
        t = np.asarray(t)
    elif t._node is None:
        t = t.data
    if y.ndim == 2 and t.ndim == 1 and len(y) == len(t) > 0 and t.dtype.kind in "iu":
        return y, t, True
    if y.ndim == 0:
        raise ShapeError(f"{name}: expected the classes along the last axis, got a single number")
    if y.size == 0:
        raise ShapeError(
            f"{name}: the mean over no samples, or no classes, is not defined; got scores of shape {y.shape}"
        )
    rows = y.reshape(-1, y.shape[-1])
    if t.shape == y.shape:
        if t.dtype.kind in "iub":
            _require_one_hot(name, t.reshape(rows.shape))
        return rows, t.reshape(rows.shape).astype(y.dtype), False
    if t.shape != y.shape[:-1] and not (t.size == 1 == len(rows)):
        raise ShapeError(
            f"{name}: targets {t.shape} do not fit {y.shape}\n"
            f"  expected integer labels of shape {y.shape[:-1]}, or rows of shape {y.shape}"
        )
    if t.dtype.kind not in "iu":
        raise DtypeError(
            f"{name}: labels must be integers, got {t.dtype} of shape {t.shape}\n"
            f"  use t.astype(int) for labels, or pass one-hot rows of shape {y.shape}"
        )
    return rows, t.reshape(-1), True


def _require_one_hot(name: str, rows: Any) -> None:
    """Integers of the shape of the scores are taken for one-hot rows only if they are."""
    bad = np.flatnonzero((np.sum(rows == 1, axis=1) != 1) | (np.sum(rows != 0, axis=1) != 1))
    if bad.size:
        raise LabelError(
            f"{name}: integer targets of the shape of the scores must be one-hot rows, but row {bad[0]} is "
            f"{rows[bad[0]]}\n  pass labels of shape {rows.shape[:-1]}, or soft targets as floats"
        )


# What is easily confused


def warn_of_scores(name: str, y: Any, loss: Any) -> None:
    """Warn if numbers that should be probabilities cannot be; looked at only if their sum or the loss is odd."""
    if type(y) is Tensor and type(y._node) is Node and y._node.primitive is softmax:
        return
    y = raw(y)
    if abs(np.add.reduce(y, axis=None) / len(y) - 1) < 0.001 and raw(loss) > -0.01:
        return
    low, high = y.min(), y.max()
    if low < 0 or high > CERTAINTY:
        warn(
            f"{name}: y must hold probabilities, from 0 to 1, but goes from {low:.3g} to {high:.3g}, so the loss means "
            "nothing.\n  for scores use softmax_cross_entropy(scores, t), or pass softmax(scores)"
        )


MANY_ROWS = 8
CERTAINTY = 1.01
"""Rounding, and the steps of a numerical gradient, may lead a probability this far."""


def warn_of_probabilities(name: str, scores: Any, axis: int = -1) -> None:
    """Warn if what should be scores has been through softmax along the same axis already."""
    node = scores._node if type(scores) is Tensor else None
    if type(node) is Node:
        if node.primitive is not softmax or (node.params.get("axis", -1) - axis) % scores.ndim:
            return
    elif (axis + 1) % (np.ndim(raw(scores)) or 1) or not _are_probabilities(np.asarray(raw(scores))):
        return
    warn(
        f"{name}: these scores have been through softmax already; twice, it hardly tells classes apart, and gradients "
        "shrink.\n  pass what went into the softmax; probabilities go into cross_entropy_error(y, t)"
    )


def _are_probabilities(x: Any) -> bool:
    """Whether the rows of a mini-batch are positive and add up to 1; a few rows may do so by chance."""
    if x.dtype.kind != "f" or x.ndim < 2 or x.shape[-1] < 2 or x.size < MANY_ROWS * x.shape[-1] or x.min() <= 0:
        return False
    return bool(np.max(np.abs(np.sum(x, axis=-1) - 1)) < 8 * np.finfo(x.dtype).eps)


def warn_of_weights(name: str, rows: Any) -> None:
    """Warn if rows of targets do not add up to 1."""
    sums = np.add.reduce(raw(rows), axis=-1)
    off = sums - 1
    if np.vdot(off, off) < 0.01**2:
        return
    worst = int(np.argmax(np.abs(off)))
    if not abs(off[worst]) < 0.01:
        warn(
            f"{name}: row {worst} of the targets adds up to {sums[worst]:.4g}, not to 1, so its loss is no "
            "cross-entropy of probabilities.\n  pass t / np.sum(t, axis=-1, keepdims=True); to weight samples, weight "
            "their losses"
        )
