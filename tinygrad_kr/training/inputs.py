"""Checks of the arguments of a Trainer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.saving.files import suffix
from tinygrad_kr.training.state import TrainingState

__all__ = ["checkpoint_path", "examples", "require_callable", "require_fitting"]


def require_callable(functions: Mapping[str, Any]) -> None:
    """Raise TypeError if one of them cannot be called."""
    for what, function in functions.items():
        if not callable(function):
            raise TypeError(f"Trainer: {what} must be callable, got {type(function).__name__}")


def checkpoint_path(path: Any) -> Path | None:
    """Return a path, checked to be one that can be saved to."""
    if path is None:
        return None
    suffix(path, "Trainer")
    if not Path(path).parent.is_dir():
        raise ValueError(f"Trainer: checkpoint={str(path)!r}: there is no such folder")
    return Path(path)


def examples(pair: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return inputs and targets as arrays of one length."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"Trainer.fit: {name} must be a pair (x, t) of arrays, got {type(pair).__name__}")
    x, t = (np.asarray(raw(part)) for part in pair)
    if x.ndim == 0 or t.ndim == 0 or len(x) != len(t):
        raise ShapeError(
            f"Trainer.fit: {name} needs one target for each input, got x of shape {x.shape} and t of shape {t.shape}"
        )
    if len(x) == 0:
        raise ValueError(f"Trainer.fit: {name} is empty")
    return x, t


def require_fitting(run: TrainingState, size: int, epochs: int, batch_size: int) -> None:
    """Raise if a run cannot begin, or go on, with so many examples, epochs, and examples in a mini-batch."""
    if batch_size > size:
        raise ValueError(f"Trainer.fit: batch_size={batch_size} is more than the {size} examples")
    if epochs < run.epoch:
        raise ValueError(f"Trainer.fit: epochs={epochs}, but {run.epoch} are done already, and those count")
    if run.order is not None and (len(run.order), run.batch_size) != (size, batch_size):
        raise ValueError(
            f"Trainer.fit: epoch {run.epoch + 1} was begun with {len(run.order)} examples in batches of "
            f"{run.batch_size}, and cannot go on with {size} in batches of {batch_size}"
        )
