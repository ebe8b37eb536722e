"""Checkpoints of a Trainer: all that a run needs to go on to the same numbers, in one file without code."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.debug import finite
from tinygrad_kr.errors import DataError
from tinygrad_kr.saving.files import CHECKPOINT, load, save
from tinygrad_kr.saving.places import named_arrays, require_fit, write_into

if TYPE_CHECKING:
    from tinygrad_kr.trainer.loop import Trainer

__all__ = ["Row", "Snapshot", "generators", "places", "read", "write"]

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a training history.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    steps : int
        How many updates there were in all, up to its end.
    lr : float
        The learning rate of its last step.
    loss : float
        The mean of the losses of its mini-batches, each before its update.
    validation_loss : float or None
        The mean of the loss over all validation examples right after the epoch.
    metrics : dict of str to float
        The means of the metrics over all validation examples.
    seconds : float
        What the epoch took; rows are compared without it.
    """

    epoch: int
    steps: int
    lr: float
    loss: float
    validation_loss: float | None = None
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = dataclasses.field(default=0.0, compare=False)


def places(trainer: Trainer) -> dict[str, Any]:
    """Return the Tensors and arrays that a run changes: the model's, and what else the optimizer updates."""
    try:
        own = named_arrays(trainer.model, "Trainer")
    except TypeError:  # a function
        own = {}
    known = {id(value) for value in own.values()}
    others = {name: p for name, p in trainer.optimizer.params.items() if id(p) not in known}
    return {f"model.{name}": value for name, value in own.items()} | {f"other.{name}": p for name, p in others.items()}


def generators(model: Any, rng: np.random.Generator) -> list[np.random.BitGenerator]:
    """Return what draws the random numbers of a run, each once."""
    found = [rng, *(generator for _, generator in getattr(model, "named_generators", tuple)())]
    return list({id(generator.bit_generator): generator.bit_generator for generator in found}.values())


class Snapshot:
    """What a forward pass changes, buffers and random generators: found once, and copied before each step.

    Attributes
    ----------
    finite : dict of str to ndarray
        The buffers that were finite when they were found. A mask of -inf is not, and need not be.
    """

    def __init__(self, model: Any, rng: np.random.Generator) -> None:
        buffers = dict(getattr(model, "named_buffers", dict)())
        self._buffers = list(buffers.values())
        self.finite = {name: array for name, array in buffers.items() if finite(array)}
        self._generators = generators(model, rng)
        self.take()

    def take(self) -> Snapshot:
        """Copy how it is now."""
        self._values = [array.copy() for array in self._buffers]
        self._states = [generator.state for generator in self._generators]
        return self

    def restore(self) -> None:
        """Make it as it was then."""
        for array, values in zip(self._buffers, self._values, strict=True):
            np.copyto(array, values)
        for generator, state in zip(self._generators, self._states, strict=True):
            generator.state = state


def write(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """Save a run."""
    parts: dict[str, Mapping[str, Any]] = {
        "": places(trainer),
        "optimizer.": trainer.optimizer.state(),
        "best.": trainer._best,
        "epoch.": {} if trainer._order is None else {"order": trainer._order, "losses": np.array(trainer._losses)},
    }
    metadata = {
        CHECKPOINT: VERSION,
        "optimizer": type(trainer.optimizer).__name__,
        "lr": trainer.optimizer.lr,
        "initial_lr": trainer._initial_lr,
        "batch_size": trainer._batch_size,
        "generators": [_plain(generator.state) for generator in generators(trainer._owner, trainer.rng)],
        "history": [dataclasses.asdict(row) for row in trainer.history],
    }
    save(path, {prefix + name: array for prefix, part in parts.items() for name, array in part.items()}, metadata)


def read(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """Make a Trainer go on with a run that was saved; after an error it is as it was."""
    arrays, metadata = load(path)
    if metadata.get(CHECKPOINT) != VERSION:
        raise DataError(f"{path} is no checkpoint of a Trainer that this version reads; saving.load reads its arrays")
    drawing = generators(trainer._owner, trainer.rng)
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
    if metadata.get("optimizer") != (kind := type(trainer.optimizer).__name__):
        raise DataError(f"{path}: the run had the optimizer {metadata.get('optimizer')}, and this one has {kind}")
    steps = (history[-1].steps if history else 0) + len(losses)
    own, best = places(trainer), _part(arrays, "best.")
    saved = {name: array for name, array in arrays.items() if name.startswith(("model.", "other."))}
    require_fit(own, saved, f"{path} does not fit the model", exact=True)
    if best:
        require_fit(own, best, f"{path}: its best values do not fit the model", exact=True)
    # From here on nothing fails: the optimizer looks at everything before it takes anything.
    trainer.optimizer.load_state(_part(arrays, "optimizer."))
    write_into(own, saved)
    for generator, state in zip(drawing, states, strict=True):
        generator.state = state
    if trainer._initial_lr == initial_lr:
        trainer.optimizer.lr = lr
    trainer.history[:] = history
    trainer.epoch, trainer.steps, trainer._batch_size = len(history), steps, batch_size
    trainer._order, trainer._losses, trainer._best = order, losses, best


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
