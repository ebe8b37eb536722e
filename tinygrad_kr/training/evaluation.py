"""Measuring a model on examples that it is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import raw

__all__ = ["QUIET", "measured", "set_training"]

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
    """Set a model to training or to evaluation, if it knows the difference."""
    switch = getattr(model, "train" if training else "eval", None)
    if callable(switch) and hasattr(model, "training"):
        switch()
