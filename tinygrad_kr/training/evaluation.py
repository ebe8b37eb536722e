"""Scores, predictions, losses and metrics of a model, in memory for one mini-batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import raw

__all__ = ["QUIET", "accuracy", "class_labels", "measured", "predicted_labels", "scores", "set_training"]

QUIET: Any = {"over": "ignore", "invalid": "ignore", "divide": "ignore"}
"""NumPy need not warn: what is not finite shows in the loss and the gradients, which are checked."""


def measured(
    model: Callable[[Any], Any],
    loss: Callable[[Any, Any], Any],
    metrics: Mapping[str, Callable[[Any, Any], Any]],
    x: NDArray[Any],
    t: NDArray[Any],
    batch_size: int,
) -> tuple[float, dict[str, float]]:
    """Return the means of the loss and of the metrics over all examples, in memory for one mini-batch."""
    total, totals = 0.0, dict.fromkeys(metrics, 0.0)
    with no_grad(), np.errstate(**QUIET):
        for start in range(0, len(x), batch_size):
            targets = t[start : start + batch_size]
            scores = model(x[start : start + batch_size])
            total += float(raw(loss(scores, targets))) * len(targets)
            for name, metric in metrics.items():
                totals[name] += float(metric(raw(scores), targets)) * len(targets)
    return total / len(x), {name: value / len(x) for name, value in totals.items()}


def set_training(model: Any, training: bool) -> None:
    """Set a model to training or to evaluation, if it has both modes."""
    switch = getattr(model, "train" if training else "eval", None)
    if callable(switch) and hasattr(model, "training"):
        switch()


def scores(model: Any, x: NDArray[Any], chunk_size: int = 500) -> NDArray[Any]:
    """Return what a model returns for examples, in evaluation, in memory for one chunk of them."""
    training = getattr(model, "training", False)
    set_training(model, False)
    try:
        with no_grad():
            chunks = [raw(model(x[start : start + chunk_size])) for start in range(0, len(x), chunk_size)]
    finally:
        set_training(model, training)
    return np.concatenate(chunks)


def predicted_labels(model: Callable[[Any], Any], x: NDArray[Any], chunk_size: int = 1000) -> NDArray[np.intp]:
    """Return the class with the largest score of each example, in memory for one chunk of them.

    Parameters
    ----------
    model : callable
        From x to scores of shape (N, classes), for instance a Module.
    x : ndarray, shape (N, ...)
        Examples.
    chunk_size : int
        How many to predict at a time.

    Returns
    -------
    ndarray of int, shape (N,)
        Class indices.
    """
    return np.asarray(np.argmax(scores(model, x, chunk_size), axis=-1))


def accuracy(model: Callable[[Any], Any], x: NDArray[Any], t: NDArray[Any]) -> float:
    """Return the fraction of examples, from 0 to 1, that a model predicts right.

    Parameters
    ----------
    model : callable
        From x to scores of shape (N, classes).
    x : ndarray, shape (N, ...)
        Examples, as many as there are: they are predicted in chunks.
    t : ndarray, shape (N,) or (N, classes)
        Their labels, or one-hot rows.
    """
    return float(np.mean(predicted_labels(model, x) == class_labels(t)))


def class_labels(t: NDArray[Any]) -> NDArray[np.integer[Any]]:
    """Return labels as class indices of shape (N,), whether they are so already or are one-hot rows.

    Examples
    --------
    >>> class_labels(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    array([2, 0])
    """
    return t if t.ndim == 1 else np.argmax(t, axis=-1)
