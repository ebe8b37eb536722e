"""The command ``train``: the gradient of a network is proven, then it is trained on digits."""

from __future__ import annotations

import argparse
import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_kr import nn, optim
from tinygrad_kr.cli import run_folder
from tinygrad_kr.cli.networks import Network, load_digits, network_of
from tinygrad_kr.cli.options import UsageError, note, noted, say, silent
from tinygrad_kr.cli.train_options import ANEW, TWO_LAYER, TrainOptions, add_arguments, trusted_model
from tinygrad_kr.common.extras import require
from tinygrad_kr.common.progress import visible_tqdm
from tinygrad_kr.datasets import Split
from tinygrad_kr.errors import MissingExtraError
from tinygrad_kr.numerical import Progress
from tinygrad_kr.optim import schedules
from tinygrad_kr.training import Row, Trainer, class_labels
from tinygrad_kr.training.evaluation import predicted_labels

__all__ = ["add_arguments", "run"]

OF_ROWS = ("sum_squares_error", "mean_squared_error")
"""Losses that compare with a one-hot row."""
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": optim.SGD,
    "momentum": functools.partial(optim.SGD, momentum=0.9),
    "adagrad": optim.AdaGrad,
    "rmsprop": optim.RMSprop,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
}
SCHEDULES: dict[str, Callable[[int], Callable[[int], float] | None]] = {
    "none": lambda steps: None,
    "step": lambda steps: schedules.step_decay(every=-(-steps // 3), factor=0.1),
    "cosine": lambda steps: schedules.cosine(steps),
}


def run(arguments: argparse.Namespace) -> int:
    """Train as asked for.

    Parameters
    ----------
    arguments : argparse.Namespace
        What a parser returned to which ``add_arguments`` was applied.

    Returns
    -------
    int
        The exit status 0.

    Raises
    ------
    UsageError
        If the options do not go together.
    """
    given = {name: value for name, value in vars(arguments).items() if name not in run_folder.NOT_OPTIONS}
    resumed = "resume" in given
    options = _resumed_options(given) if resumed else TrainOptions.from_arguments(given)
    if options.out is not None and not resumed:
        run_folder.check_out(options.out)
    try:
        with noted(), run_folder.held(run_folder.folder_of(options)) if resumed else run_folder.claimed(options):
            _train(options, resumed)
    except KeyboardInterrupt as interrupt:
        if run_folder.checkpoint_of(options.out) is not None:
            raise KeyboardInterrupt(f"go on with: train --resume {options.out}") from interrupt
        raise
    return 0


def _resumed_options(given: dict[str, Any]) -> TrainOptions:
    """Return the options of an interrupted run, with those given anew."""
    folder: Path = given["resume"]
    if extra := sorted(given.keys() - ANEW):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in extra)
        raise UsageError(f"--resume goes on with the options of the run; leave out {names}")
    saved = run_folder.read_settings(folder)["options"]
    model = trusted_model(saved, given.get("model"))
    if run_folder.checkpoint_of(folder) is None:
        raise UsageError(f"--resume {folder}: no run there that can go on; it needs a checkpoint")
    return TrainOptions.from_settings({**saved, **given, "model": model, "out": folder})


def _train(options: TrainOptions, resumed: bool) -> None:
    """Prove, train and write the results into `options.out`; go on from its checkpoint if `resumed`."""
    kind = network_of(options.model)
    dataset, train_set, test_set = load_digits(options.data, flatten=kind.flat, one_hot_label=options.loss in OF_ROWS)
    train_set, test_set = _as(options.dtype, train_set), _as(options.dtype, test_set)
    if options.batch_size > len(train_set[0]):
        raise UsageError(f"--batch-size {options.batch_size} is more than the {len(train_set[0]):,} training digits")
    tell, progress = silent if options.quiet else say, _bar(options)
    # Two generators, so that the order of the digits does not depend on what making the network draws.
    network = kind.build(options, np.random.default_rng(options.seed))
    tell(f"{dataset}: {len(train_set[0]):,} training and {len(test_set[0]):,} test digits")
    tell(f"network {kind.describe(options, network)}")
    trainer = _trainer(options, kind, network, train_set, tell)
    if resumed:
        trainer.resume()
        if options.epochs < trainer.epoch:
            raise UsageError(f"--epochs {options.epochs}, but {trainer.epoch} are done already, and those count")
        tell(f"resumed after {trainer.steps:,} steps, in epoch {trainer.epoch + 1}")
        check = run_folder.read_settings(run_folder.folder_of(options)).get("gradient_check")
    else:
        check = kind.prove(network, train_set, options, tell, progress)
        run_folder.write_settings(run_folder.folder_of(options), options, dataset, check, last=None)
    tell(run_folder.heading)
    for row in trainer.history:
        tell(run_folder.line(row))
    history = trainer.fit(train_set, epochs=options.epochs, batch_size=options.batch_size, validation=test_set)
    with run_folder.published(run_folder.folder_of(options)) as folder:
        run_folder.write_history(folder / "history.csv", history)
        run_folder.write_settings(folder, options, dataset, check, history[-1])
        run_folder.write_weights(folder, network.state())
        run_folder.draw(folder, history, *test_set, lambda: predicted_labels(network, test_set[0]))
    tell()
    say(f"final test accuracy {history[-1].metrics['test_accuracy']:.4f}")
    say(f"written to {options.out}")


def _as(dtype: str, split: Split) -> Split:
    return split[0].astype(dtype, copy=False), split[1]


def _bar(options: TrainOptions) -> Progress | None:
    """Return a progress bar where one can be seen, and say if the library for it is missing."""
    if options.quiet:
        return None
    try:
        require("tqdm", "train", "a progress bar")
    except MissingExtraError as missing:
        note(missing)
    tqdm = visible_tqdm()
    return None if tqdm is None else functools.partial(tqdm, leave=False)


def _trainer(
    options: TrainOptions, kind: Network, network: nn.Module, train_set: Split, tell: Callable[..., None]
) -> Trainer:
    """Return a Trainer with the optimizer and schedule of the options, and a checkpoint after each epoch."""
    if options.model == TWO_LAYER:  # study note 002: a fixed step downhill
        optimizer: optim.Optimizer = optim.SGD(network, lr=options.lr)
        schedule = None
    else:
        optimizer = OPTIMIZERS[str(options.optimizer)](network, lr=options.lr)
        steps = options.epochs * -(-len(train_set[0]) // options.batch_size)
        warm_up = max(1, steps // 20) if options.warm_up is None else options.warm_up
        schedule = SCHEDULES[str(options.schedule)](max(1, steps - warm_up))
        if options.schedule != "none" or options.warm_up is not None:
            schedule = schedules.warm_up(warm_up, schedule)

    def report(row: Row) -> None:
        digits, labels = (part[: kind.measured] for part in train_set)
        row.metrics["train_accuracy"] = float(np.mean(predicted_labels(network, digits) == class_labels(labels)))
        tell(run_folder.line(row))

    checkpoint = run_folder.CHECKPOINTS[importlib.util.find_spec("safetensors") is None]
    return Trainer(
        network,
        kind.loss(network),
        optimizer,
        schedule=schedule,
        rng=np.random.default_rng([options.seed, 1]),
        metrics={"test_accuracy": _accuracy},
        callbacks=[report],
        checkpoint=run_folder.folder_of(options) / checkpoint,
        progress=not options.quiet,
    )


def _accuracy(scores: Any, labels: Any) -> float:
    return float(np.mean(np.argmax(scores, axis=1) == class_labels(labels)))
