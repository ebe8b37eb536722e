"""The training loop: epochs of mini-batches, with checks in each step and checkpoints."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.arguments import count
from tinygrad_kr.common.progress import bar
from tinygrad_kr.datasets import Split
from tinygrad_kr.engine.debug import finite
from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.errors import GraphError, NonFiniteError
from tinygrad_kr.optim import Optimizer, clip_grad_norm
from tinygrad_kr.parameters import write_into
from tinygrad_kr.training import checkpoint as checkpoints
from tinygrad_kr.training import inputs
from tinygrad_kr.training.divergence import Watch
from tinygrad_kr.training.evaluation import QUIET, measured, set_training
from tinygrad_kr.training.interrupts import Interrupts
from tinygrad_kr.training.nonfinite import cause
from tinygrad_kr.training.state import Row, Snapshot, TrainingState

__all__ = ["Trainer"]

Metric = Callable[[NDArray[Any], NDArray[Any]], float]


class Trainer(TrainingState):
    """Train a model; a run can be stopped at any moment and resumed to the same numbers, bit for bit.

    Ctrl-C takes effect after the running step: the checkpoint is saved, and KeyboardInterrupt goes on. A second Ctrl-C
    interrupts at once.

    Parameters
    ----------
    model : callable
        From a mini-batch x to the scores: a function of Tensors, an ``nn.Module``.
    loss : callable
        From the scores and the targets t to a Tensor of one number.
    optimizer : Optimizer
        What updates the parameters.
    schedule : function of int, optional
        From the step, counted from 0, to a factor of the learning rate that the optimizer has now.
    clip : float, optional
        The largest norm of all gradients together; see ``optim.clip_grad_norm``.
    rng : numpy.random.Generator
        What shuffles the training set, each epoch anew.
    callbacks : iterable of callables
        Each is called with every row of the history as it is made; one that returns True ends the training.
    checkpoint : str or path-like, optional
        Where to save, as ``.safetensors`` or ``.npz``: after every `every` epochs, at the end, and upon Ctrl-C.
    every : int
        Epochs from one checkpoint to the next.
    patience : int, optional
        Early stopping: end after so many epochs without a smaller validation loss. See ``load_best``.
    metrics : mapping of str to callable, optional
        From the scores and the targets of validation examples, as arrays, to a mean over them, such as an accuracy.
    progress : bool
        Whether to show a progress bar, if tqdm is installed and a terminal or a notebook shows it.

    Attributes
    ----------
    history : list of Row
        One row for each finished epoch.
    epoch, steps : int
        How many epochs are finished, and how many updates were made.
    best : Row or None
        The row with the smallest validation loss.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its type, or out of range.

    Warns
    -----
    UserWarning
        Once, after an epoch in which no gradient reached some parameter: it was built and then forgotten. Once, at the
        end of ``fit``, if the training diverged although all is finite: its loss rose and did not come back.

    Notes
    -----
    A resumed run gives the same numbers if all that is random comes from `rng` or from generators of the model's
    layers: these are saved. Hyperparameters are not: make the new Trainer as the old one was.

    Examples
    --------
    >>> from tinygrad_kr import functional as F
    >>> from tinygrad_kr.models import TwoLayerNet
    >>> from tinygrad_kr.optim import SGD
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> t = (x[:, 0] * x[:, 1] > 0).astype(int)
    >>> net = TwoLayerNet(2, 16, 2, rng=rng)
    >>> trainer = Trainer(net, F.softmax_cross_entropy, SGD(net, lr=0.1), rng=rng)
    >>> history = trainer.fit((x, t), epochs=30, batch_size=10)
    >>> history[-1].loss < history[0].loss / 2
    True
    """

    callbacks: tuple[Callable[[Row], object], ...]
    metrics: dict[str, Metric]
    loss: Callable[[Any, Any], Any]
    schedule: Callable[[int], float] | None
    clip: float | None
    progress: bool
    every: int
    patience: int | None

    def __init__(
        self,
        model: Any,
        loss: Callable[[Any, Any], Any],
        optimizer: Optimizer,
        *,
        rng: np.random.Generator,
        schedule: Callable[[int], float] | None = None,
        clip: float | None = None,
        callbacks: Iterable[Callable[[Row], object]] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        every: int = 1,
        patience: int | None = None,
        metrics: Mapping[str, Metric] | None = None,
        progress: bool = True,
    ) -> None:
        self.callbacks, self.metrics = tuple(callbacks), dict(metrics or {})
        inputs.require_callable({"the model": model, "the loss": loss, "schedule": schedule or float})
        inputs.require_callable(self.metrics | {f"callbacks[{i}]": f for i, f in enumerate(self.callbacks)})
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"Trainer: expected an optimizer, as SGD(model, lr=0.1), got {type(optimizer).__name__}")
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"Trainer: rng must be np.random.default_rng(seed), got {type(rng).__name__}")
        if clip is not None and not clip > 0:
            raise ValueError(f"Trainer: clip must be positive, got {clip}")
        super().__init__(model, optimizer, rng)
        self.loss, self.schedule, self.clip, self.progress = loss, schedule, clip, progress
        self.every, self.patience = count(every, "every", "Trainer"), patience
        if patience is not None:
            count(patience, "patience", "Trainer")
        self.checkpoint = checkpoint
        self._told = False  # of parameters that no gradient reaches
        self._watch: Watch | None = None
        self._saved: tuple[int, int] | None = None  # epoch and steps when the checkpoint was last written or read

    @property
    def checkpoint(self) -> Path | None:
        """Where to save; a path that could not be saved to is refused when it is set."""
        return self._checkpoint

    @checkpoint.setter
    def checkpoint(self, path: str | os.PathLike[str] | None) -> None:
        self._checkpoint = inputs.checkpoint_path(path)

    def fit(self, train_set: Split, *, epochs: int, batch_size: int, validation: Split | None = None) -> list[Row]:
        """Train up to an epoch, from the start or from where the last ``fit`` or ``resume`` ended.

        Parameters
        ----------
        train_set : (x, t)
            Inputs and targets, arrays whose first axis runs over the examples.
        epochs : int
            How many epochs there are to be in all: those already done count.
        batch_size : int
            Examples in a mini-batch; the last of an epoch may be smaller.
        validation : (x, t), optional
            Other examples, to measure after each epoch, with the model in evaluation.

        Returns
        -------
        list of Row
            The history, of all epochs.

        Raises
        ------
        ValueError, ShapeError, TypeError
            If the arguments do not fit each other, a set is empty, or smaller than a mini-batch.
        FileExistsError
            If there is a checkpoint that this run did not write or resume from: it would be lost.
        NonFiniteError
            If the loss, a gradient or a parameter becomes NaN or infinite. The message names the operation that made
            it, the epoch, the step and the learning rate; the model is as before that step.
        KeyboardInterrupt
            Upon Ctrl-C, after the checkpoint was saved.
        """
        x, t = inputs.examples(train_set, "train_set")
        validation = None if validation is None else inputs.examples(validation, "validation")
        epochs, batch_size = count(epochs, "epochs", "Trainer"), count(batch_size, "batch_size", "Trainer")
        inputs.require_fitting(self, len(x), epochs, batch_size)
        if validation is None and (self.metrics or self.patience is not None):
            raise ValueError("Trainer.fit: patience and metrics need validation=(x, t)")
        if self.checkpoint is not None and self._saved is None and self.checkpoint.exists():
            raise FileExistsError(
                f"Trainer.fit: {self.checkpoint} is there already, and would be overwritten.\n"
                "  call trainer.resume() to go on from it, or delete it"
            )
        self._watch = self._watch or Watch(self.optimizer.params.values())
        self.batch_size, ended, training = batch_size, False, getattr(self.owner, "training", True)
        try:
            with Interrupts() as interrupts:
                while self.epoch < epochs and not ended and not self._out_of_patience():
                    start = time.perf_counter()
                    self._train_epoch(x, t, epochs, interrupts)
                    row = self._add_row(start, validation)
                    ended = any([callback(row) is True for callback in self.callbacks])
                    if self.checkpoint is not None and self.epoch % self.every == 0:
                        self.save()
                    self._leave_if_asked(interrupts)
                if self.checkpoint is not None and self._saved != (self.epoch, self.steps):
                    self.save()
            self._watch.tell("Trainer", self.initial_lr, lambda: self._mean_loss(x, t), stacklevel=2)
        finally:
            set_training(self.owner, training)
        return self.history

    @property
    def best(self) -> Row | None:
        """The row with the smallest validation loss."""
        rows = [row for row in self.history if row.validation_loss is not None and math.isfinite(row.validation_loss)]
        return min(rows, key=lambda row: row.validation_loss or 0.0, default=None)

    def load_best(self) -> Row:
        """Restore the values of the model after its best epoch; return that row."""
        if self.best is None or not self.best_values:
            raise ValueError("Trainer.load_best: nothing was validated; call fit with validation=(x, t)")
        write_into(self.places(), self.best_values)
        return self.best

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Save all that a run needs to go on, in one file and in one step; by default to the checkpoint's path."""
        path = self._path(path)
        checkpoints.write(self, path)
        if path == self.checkpoint:
            self._saved = self.epoch, self.steps

    def resume(self, path: str | os.PathLike[str] | None = None) -> None:
        """Restore the run from a checkpoint, also in the middle of an epoch; on error it is unchanged.

        The learning rate is the one at that moment, unless the optimizer was made with another one than the run had at
        its beginning: then that holds.

        Parameters
        ----------
        path : str or path-like, optional
            The file; by default the checkpoint's path.

        Raises
        ------
        DataError
            If it is no checkpoint, or does not fit the model; see ``saving.load``.
        ValueError
            If it does not fit the optimizer.
        OSError
            If the file cannot be read.
        """
        path = self._path(path)
        checkpoints.read(self, path)
        if path == self.checkpoint:
            self._saved = self.epoch, self.steps

    def _train_epoch(self, x: NDArray[Any], t: NDArray[Any], epochs: int, interrupts: Interrupts) -> None:
        """Go through the training set once, or through what is left of it."""
        if self.order is None:
            self.order, self.losses = self.rng.permutation(len(x)), []
        set_training(self.owner, True)
        before = Snapshot(self)
        # The four steps of study note 002, 4.5. 1. Mini-batch: some of the training examples, at random.
        starts = range(0, len(x), self.batch_size)
        whole, reached = not self.losses, set[str]()
        with self._remaining(starts, epochs) as remaining:
            for start in remaining:
                examples = self.order[start : start + self.batch_size]
                reached.update(self._step(x[examples], t[examples], examples, before))
                self._leave_if_asked(interrupts)
        if not all(finite(raw(place)) for place in [*self.optimizer.params.values(), *before.finite.values()]):
            raise self._diverged("a parameter or a buffer", x[:0], t[:0], self.order[:0], before.take())
        unreached = [name for name in self.optimizer.params if name not in reached]
        if whole and unreached and not self._told:
            self._told = True
            warnings.warn(
                f"Trainer: no gradient reached {', '.join(unreached)} in this epoch, so they stay as they began.\n"
                "  use them in the model, or leave them out of the optimizer",
                stacklevel=3,
            )

    def _step(self, x: NDArray[Any], t: NDArray[Any], examples: NDArray[Any], before: Snapshot) -> Iterable[str]:
        """Compute loss and gradients of a mini-batch and update; on error nothing is changed.

        Returns the names of the parameters that have a gradient.
        """
        if self.schedule is not None:
            self.optimizer.lr = self.initial_lr * self.schedule(self.steps)
        before.take()
        self.optimizer.zero_grad()
        with np.errstate(**QUIET):
            loss = self._loss(x, t)
            if not math.isfinite(value := loss.item()):
                raise self._diverged("the loss", x, t, examples, before)
            # 2. Gradient: of the loss on the mini-batch, with respect to every parameter.
            loss.backward()
            gradients = {name: p.grad for name, p in self.optimizer.params.items() if p.grad is not None}
            if not gradients:
                raise GraphError("Trainer: the loss was computed from no parameter that the optimizer updates")
            for name, gradient in gradients.items():
                if not finite(gradient):
                    raise self._diverged(f"the gradient of {name!r}", x, t, examples, before)
            if self.clip is not None:
                clip_grad_norm(self.optimizer, self.clip)
            self.optimizer.step()  # 3. Update: a small step downhill. 4. Repeat.
        self.losses.append(value)
        self.steps += 1
        return gradients.keys()

    def _loss(self, x: NDArray[Any], t: NDArray[Any]) -> Tensor:
        loss = self.loss(self.model(x), t)
        if not isinstance(loss, Tensor) or loss.size != 1:
            kind = type(loss).__name__
            raise TypeError(f"Trainer: the loss must be a Tensor of one number, got {kind} {np.shape(raw(loss))}")
        return loss

    def _mean_loss(self, x: NDArray[Any], t: NDArray[Any]) -> float:
        """Return the mean loss as in training, and leave buffers and generators as they are."""
        set_training(self.owner, True)
        before = Snapshot(self)
        try:
            return measured(self.model, self.loss, {}, x, t, self.batch_size)[0]
        finally:
            before.restore()

    def _diverged(
        self, what: str, x: NDArray[Any], t: NDArray[Any], order: NDArray[Any], before: Snapshot
    ) -> NonFiniteError:
        """Undo what the failed step changed, and find out what went wrong."""

        def again() -> Tensor:
            before.restore()
            return self._loss(x, t)

        reason = cause(x, t, order, self.optimizer.params, before.finite, again)
        before.restore()
        where = f"epoch {self.epoch + 1}, step {len(self.losses) + len(x[:1])} (learning rate {self.optimizer.lr:g})"
        if self.steps == 0:
            advice = "it fails in the very first step: look at the data, the initial weights and the loss"
        else:
            advice = f"try a smaller lr than {self.optimizer.lr:g}, clip=1.0, or schedule=warm_up(...)"
        return NonFiniteError(f"Trainer: {what} is not finite in {where}\n  {reason}\n  {advice}")

    def _add_row(self, start: float, validation: Split | None) -> Row:
        set_training(self.owner, False)
        loss: float | None = None
        metrics: dict[str, float] = {}
        if validation is not None:
            loss, metrics = measured(self.model, self.loss, self.metrics, *validation, self.batch_size)
        row = Row(
            epoch=self.epoch + 1,
            steps=self.steps,
            lr=self.optimizer.lr,
            loss=float(np.mean(self.losses)),
            validation_loss=loss,
            metrics=metrics,
            seconds=time.perf_counter() - start,
        )
        self.history.append(row)
        if self._watch is not None:
            self._watch.add(self.losses)
        self.epoch, self.order, self.losses = self.epoch + 1, None, []
        if self.best is row:
            self.best_values = {name: raw(place).copy() for name, place in self.places().items()}
        return row

    def _out_of_patience(self) -> bool:
        best = 0 if self.best is None else self.best.epoch
        return self.patience is not None and self.epoch - best >= self.patience

    def _leave_if_asked(self, interrupts: Interrupts) -> None:
        if not interrupts.pending:
            return
        if self.checkpoint is None:
            raise KeyboardInterrupt
        self.save()
        raise KeyboardInterrupt(f"saved to {self.checkpoint} after {self.steps} steps")

    def _remaining(self, starts: range, epochs: int) -> AbstractContextManager[Iterable[int]]:
        """Return what is left of an epoch, with a progress bar if wanted."""
        remaining, title = starts[len(self.losses) :], f"epoch {self.epoch + 1}/{epochs}"
        if not self.progress:
            return nullcontext(remaining)
        shown: AbstractContextManager[Iterable[int]] = bar(
            remaining, title, "batch", initial=len(self.losses), total=len(starts)
        )
        return shown

    def _path(self, path: str | os.PathLike[str] | None) -> Path:
        if path is None and self.checkpoint is None:
            raise ValueError("Trainer: name a path, here or as checkpoint= of the Trainer")
        return Path(path) if path is not None else self.checkpoint  # type: ignore[return-value]
