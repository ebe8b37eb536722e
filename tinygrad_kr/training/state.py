"""The state of a training run: all that changes while a model is trained. A checkpoint saves it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.debug import finite
from tinygrad_kr.optim import Optimizer
from tinygrad_kr.parameters import named_arrays

__all__ = ["Row", "Snapshot", "TrainingState"]


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


class TrainingState:
    """The state of a training run.

    Attributes
    ----------
    model, optimizer, rng
        As they are now.
    owner : object
        The model itself, where `model` is a method such as ``net.predict``.
    initial_lr : float
        The learning rate that a schedule multiplies.
    history : list of Row
    epoch, steps : int
        How many are finished.
    order : ndarray of int, or None
        The places of the training examples in the order of the epoch that runs; between epochs None.
    losses : list of float
        Of the steps in that epoch.
    batch_size : int
    best_values : dict of str to ndarray
        What ``places`` held after the epoch with the smallest validation loss.
    """

    model: Any
    optimizer: Optimizer
    rng: np.random.Generator
    owner: Any
    initial_lr: float
    epoch: int
    steps: int

    def __init__(self, model: Any, optimizer: Optimizer, rng: np.random.Generator) -> None:
        self.model, self.optimizer, self.rng = model, optimizer, rng
        self.owner = getattr(model, "__self__", model)
        self.initial_lr = optimizer.lr
        self.history: list[Row] = []
        self.epoch = self.steps = 0
        self.order: NDArray[np.int64] | None = None
        self.losses: list[float] = []
        self.batch_size = 0
        self.best_values: dict[str, NDArray[Any]] = {}

    def places(self) -> dict[str, Any]:
        """Return the Tensors and arrays that change: the model's, and what else the optimizer updates."""
        try:
            own = named_arrays(self.model, "Trainer")
        except TypeError:  # a function
            own = {}
        known = {id(value) for value in own.values()}
        others = {name: p for name, p in self.optimizer.params.items() if id(p) not in known}
        of_model = {f"model.{name}": value for name, value in own.items()}
        return of_model | {f"other.{name}": p for name, p in others.items()}

    def generators(self) -> list[np.random.BitGenerator]:
        """Return the random generators of the run, each once."""
        found = [self.rng, *(generator for _, generator in getattr(self.owner, "named_generators", tuple)())]
        return list({id(generator.bit_generator): generator.bit_generator for generator in found}.values())


class Snapshot:
    """A copy of the buffers and random generators, which a forward pass changes, taken before each step.

    Attributes
    ----------
    finite : dict of str to ndarray
        The buffers that were finite when they were found. A mask of -inf is not, and need not be.
    """

    finite: dict[str, NDArray[Any]]

    def __init__(self, run: TrainingState) -> None:
        buffers = dict(getattr(run.owner, "named_buffers", dict)())
        self._buffers = list(buffers.values())
        self.finite = {name: array for name, array in buffers.items() if finite(array)}
        self._generators = run.generators()
        self.take()

    def take(self) -> Snapshot:
        """Copy the present values."""
        self._values = [array.copy() for array in self._buffers]
        self._states = [generator.state for generator in self._generators]
        return self

    def restore(self) -> None:
        """Write the copied values back."""
        for array, values in zip(self._buffers, self._values, strict=True):
            np.copyto(array, values)
        for generator, state in zip(self._generators, self._states, strict=True):
            generator.state = state
