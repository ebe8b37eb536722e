"""The fused loss: softmax and cross-entropy in one operation, from scores to a number."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.primitives.activations import softmax


def _label_cross_entropy(scores: Any, labels: Any) -> Any:
    """Return the mean of log(sum(exp(scores))) - scores[label], shifted by the maximum before taking the gap."""
    shifted = scores - np.maximum.reduce(scores, axis=-1, keepdims=True)
    log_sums = np.log(np.add.reduce(np.exp(shifted), axis=-1))
    return (log_sums - shifted[np.arange(len(labels)), labels]).mean()


def _scores_rule(g: Any, scores: Any, labels: Any) -> Any:
    """(softmax(scores) - one_hot(labels)) / N; on plain arrays in the memory of the softmax."""
    rows = np.arange(len(labels))
    p = softmax(scores)
    if type(p) is np.ndarray:
        p[rows, labels] -= 1
        p *= g / len(labels)
        return p
    one_hot = np.zeros(scores.shape, scores.dtype)
    one_hot[rows, labels] = 1
    return (p - one_hot) * (g / len(labels))


label_cross_entropy = Primitive("softmax_cross_entropy", _label_cross_entropy, scores=_scores_rule, labels=None)
