"""Checkpoints of a Trainer: the state of a run in one file without code."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.errors import DataError
from tinygrad_kr.parameters import write_into
from tinygrad_kr.saving.files import CHECKPOINT, load, require_fit, save
from tinygrad_kr.training.state import Row, TrainingState

__all__ = ["read", "write"]

VERSION = 1


def write(run: TrainingState, path: str | os.PathLike[str]) -> None:
    """Save the state of a run."""
    parts: dict[str, Mapping[str, Any]] = {
        "": run.places(),
        "optimizer.": run.optimizer.state(),
        "best.": run.best_values,
        "epoch.": {} if run.order is None else {"order": run.order, "losses": np.array(run.losses)},
    }
    metadata = {
        CHECKPOINT: VERSION,
        "optimizer": type(run.optimizer).__name__,
        "lr": run.optimizer.lr,
        "initial_lr": run.initial_lr,
        "batch_size": run.batch_size,
        "generators": [_plain(generator.state) for generator in run.generators()],
        "history": [dataclasses.asdict(row) for row in run.history],
    }
    save(path, {prefix + name: array for prefix, part in parts.items() for name, array in part.items()}, metadata)


def read(run: TrainingState, path: str | os.PathLike[str]) -> None:
    """Restore a run from a checkpoint; on error it is unchanged."""
    arrays, metadata = load(path)
    if metadata.get(CHECKPOINT) != VERSION:
        raise DataError(f"{path} is no checkpoint of a Trainer that this version reads; saving.load reads its arrays")
    drawing = run.generators()
    try:
        history = [_row(row) for row in metadata["history"]]
        lr, initial_lr, batch_size = float(metadata["lr"]), float(metadata["initial_lr"]), int(metadata["batch_size"])
        if not 0 <= lr < math.inf:
            raise ValueError(f"the learning rate is {lr}")
        epoch = _part(arrays, "epoch.")
        order, losses = _unfinished(epoch["order"], epoch["losses"], batch_size) if epoch else (None, [])
        states = metadata["generators"]
        here, there = [type(generator).__name__ for generator in drawing], [state["bit_generator"] for state in states]
        if here == there:
            for generator, state in zip(drawing, states, strict=True):
                type(generator)().state = state  # try it on
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no checkpoint of a Trainer, or is damaged: {error!r}") from error
    if here != there:
        raise DataError(f"{path}: the run drew from the random generators {there}, and this one draws from {here}")
    if metadata.get("optimizer") != (kind := type(run.optimizer).__name__):
        raise DataError(f"{path}: the run had the optimizer {metadata.get('optimizer')}, and this one has {kind}")
    steps = (history[-1].steps if history else 0) + len(losses)
    own, best = run.places(), _part(arrays, "best.")
    saved = {name: array for name, array in arrays.items() if name.startswith(("model.", "other."))}
    require_fit(own, saved, f"{path} does not fit the model", exact=True)
    if best:
        require_fit(own, best, f"{path}: its best values do not fit the model", exact=True)
    # From here on nothing fails: the optimizer looks at everything before it takes anything.
    run.optimizer.load_state(_part(arrays, "optimizer."))
    write_into(own, saved)
    for generator, state in zip(drawing, states, strict=True):
        generator.state = state
    if run.initial_lr == initial_lr:
        run.optimizer.lr = lr
    run.history[:] = history
    run.epoch, run.steps, run.batch_size = len(history), steps, batch_size
    run.order, run.losses, run.best_values = order, losses, best


def _part(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _plain(state: Any) -> Any:
    """Return the state of a generator as what JSON can hold."""
    if isinstance(state, Mapping):
        return {key: _plain(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state


def _row(row: Mapping[str, Any]) -> Row:
    validation = row["validation_loss"]
    return Row(
        epoch=int(row["epoch"]),
        steps=int(row["steps"]),
        lr=float(row["lr"]),
        loss=float(row["loss"]),
        validation_loss=None if validation is None else float(validation),
        metrics={str(name): float(value) for name, value in row["metrics"].items()},
        seconds=float(row["seconds"]),
    )


def _unfinished(order: NDArray[Any], losses: NDArray[Any], batch_size: int) -> tuple[NDArray[np.int64], list[float]]:
    if order.dtype.kind != "i" or not np.array_equal(np.sort(order), np.arange(len(order))):
        raise ValueError("the order of the examples is none")
    if losses.shape != (losses.size,) or losses.size > math.ceil(len(order) / batch_size):
        raise ValueError("there are more steps than the epoch has")
    return order, losses.astype(np.float64).tolist()
