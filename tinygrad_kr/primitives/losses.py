"""The fused loss: softmax and cross-entropy in one operation, from scores to a number."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.errors import LabelError
from tinygrad_kr.primitives.activations import softmax


def _label_cross_entropy(scores: Any, labels: Any) -> tuple[Any, Any]:
    """Return the mean of log(sum(exp(scores))) - scores[label], shifted by the maximum before taking the gap.

    The residue, softmax(scores) - one_hot(labels), is made in the memory of the exponentials.
    """
    r = scores - np.maximum.reduce(scores, axis=-1, keepdims=True)
    true_scores = picked(r, labels)
    np.exp(r, out=r)
    sums = np.add.reduce(r, axis=-1, keepdims=True)
    loss = np.add.reduce(np.log(sums[:, 0]) - true_scores) / len(labels)
    r /= sums
    r[np.arange(len(labels)), labels] -= 1
    return loss, r


def _residue(scores: Any, labels: Any) -> Any:
    one_hot = np.zeros(scores.shape, scores.dtype)
    one_hot[np.arange(len(labels)), labels] = 1
    return softmax(scores) - one_hot


def picked(rows: Any, labels: Any) -> Any:
    """Return the entry of each row that its label names."""
    try:
        if np.minimum.reduce(labels, initial=0) >= 0:
            return rows[np.arange(len(labels)), labels]
    except IndexError:
        pass
    classes = rows.shape[-1]
    position = int(np.flatnonzero((labels < 0) | (labels >= classes))[0])
    raise LabelError(
        f"label {labels[position]} at position {position} is out of range\n"
        f"  with {classes} classes, labels go from 0 to {classes - 1}"
    )


label_cross_entropy = Primitive(
    "softmax_cross_entropy",
    _label_cross_entropy,
    residue=_residue,
    scores=lambda g, r: r * (g / len(r)),
    labels=None,
)
