"""What a Trainer is handed: checked before anything is done."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.saving.files import suffix

if TYPE_CHECKING:
    from tinygrad_kr.trainer.loop import Trainer

__all__ = ["checkpoint_path", "count", "examples", "require_callable", "require_fitting"]


def require_callable(functions: Mapping[str, Any]) -> None:
    """Raise TypeError if one of them cannot be called."""
    for what, function in functions.items():
        if not callable(function):
            raise TypeError(f"Trainer: {what} must be callable, got {type(function).__name__}")


def count(value: Any, name: str) -> int:
    """Return an integer that is at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"Trainer: {name} must be an integer, got {value!r}") from None
    if number < 1:
        raise ValueError(f"Trainer: {name} must be at least 1, got {number}")
    return number


def checkpoint_path(path: Any) -> Path | None:
    """Return a path that can be saved to later, after hours of training."""
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


def require_fitting(trainer: Trainer, x: NDArray[Any], epochs: int, batch_size: int, validated: bool) -> None:
    """Raise if a run cannot begin, or go on, with these arguments."""
    if batch_size > len(x):
        raise ValueError(f"Trainer.fit: batch_size={batch_size} is more than the {len(x)} examples")
    if epochs < trainer.epoch:
        raise ValueError(f"Trainer.fit: epochs={epochs}, but {trainer.epoch} are done already, and those count")
    if not validated and (trainer.metrics or trainer.patience is not None):
        raise ValueError("Trainer.fit: patience and metrics need validation=(x, t)")
    if trainer._order is not None and (len(trainer._order), trainer._batch_size) != (len(x), batch_size):
        raise ValueError(
            f"Trainer.fit: epoch {trainer.epoch + 1} was begun with {len(trainer._order)} examples in batches of "
            f"{trainer._batch_size}, and cannot go on with {len(x)} in batches of {batch_size}"
        )
    if trainer.checkpoint is not None and trainer._saved is None and trainer.checkpoint.exists():
        raise FileExistsError(
            f"Trainer.fit: {trainer.checkpoint} is there already, and would be overwritten.\n"
            "  call trainer.resume() to go on from it, or delete it"
        )
