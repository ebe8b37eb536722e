"""The main job, with a network of layers: its gradient is checked along random directions, then it is trained."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_kr import functional as F
from tinygrad_kr import nn, optim
from tinygrad_kr.cli import results
from tinygrad_kr.cli.data import load
from tinygrad_kr.cli.networks import build, scores
from tinygrad_kr.cli.options import GradientError, UsageError, say, silent
from tinygrad_kr.gradcheck import Report, Verdict, check_gradients
from tinygrad_kr.optim import schedules
from tinygrad_kr.training.study_notes import Epoch, Row, Split, Trainer

__all__ = ["OPTIMIZERS", "SCHEDULES", "run"]

CHECKED_DIGITS, MEASURED_DIGITS = 2, 10_000
NUDGE = 0.05


@dataclass(frozen=True)
class Choice:
    """An optimizer with a learning rate that suits it."""

    make: Callable[..., optim.Optimizer]
    lr: float


OPTIMIZERS = {
    "sgd": Choice(optim.SGD, 0.1),
    "momentum": Choice(lambda params, lr: optim.SGD(params, lr=lr, momentum=0.9), 0.02),
    "adagrad": Choice(optim.AdaGrad, 0.02),
    "rmsprop": Choice(optim.RMSprop, 0.001),
    "adam": Choice(optim.Adam, 0.002),
    "adamw": Choice(optim.AdamW, 0.002),
}
SCHEDULES: dict[str, Callable[[int], Callable[[int], float] | None]] = {
    "none": lambda steps: None,
    "step": lambda steps: schedules.step_decay(every=-(-steps // 3), factor=0.1),
    "cosine": lambda steps: schedules.cosine(steps),
}


def run(options: argparse.Namespace, resumed: bool = False) -> None:
    """Do the job in the folder `options.out`; resumed, go on there."""
    if options.lr is None:
        options.lr = OPTIMIZERS[options.optimizer].lr
    dataset, train_set, test_set = load(options.data, flatten=False)
    train_set, test_set = _as(options.dtype, train_set), _as(options.dtype, test_set)
    if options.batch_size > len(train_set[0]):
        raise UsageError(f"--batch-size {options.batch_size} is more than the {len(train_set[0]):,} training digits")
    tell = silent if options.quiet else say
    results.progress(options)  # says what is missing for one
    # Two generators, so that the order of the digits does not depend on what the factory draws.
    network = build(options.model, np.random.default_rng(options.seed), options.dtype)
    tell(f"{dataset}: {len(train_set[0]):,} training and {len(test_set[0]):,} test digits")
    size = sum(parameter.size for _, parameter in network.named_parameters())
    tell(f"network {options.model}, {size:,} parameters, {options.optimizer}, {options.schedule}, {options.dtype}")
    trainer = _trainer(options, network, train_set, tell)
    if resumed:
        trainer.resume()
        if options.epochs < trainer.epoch:
            raise UsageError(f"--epochs {options.epochs}, but {trainer.epoch} are done already, and those count")
        tell(f"resumed after {trainer.steps:,} steps, in epoch {trainer.epoch + 1}")
        check = results.read_settings(options.out).get("gradient_check")
    else:
        check = _prove(network, train_set, options.seed, tell)
        results.write_settings(options.out, options, dataset, check, last=None)
    tell(results.heading)
    for row in trainer.history:
        tell(results.line(_epoch(row)))
    trainer.fit(train_set, epochs=options.epochs, batch_size=options.batch_size, validation=test_set)
    history = [_epoch(row) for row in trainer.history]
    with results.published(options.out) as folder:
        results.write_history(folder / "history.csv", history)
        results.write_settings(folder, options, dataset, check, history[-1])
        results.write_weights(folder, network.state())
        images, labels = test_set
        results.draw(folder, history, images, labels, lambda: np.argmax(scores(network, images), axis=1))
    tell()
    say(f"final test accuracy {history[-1].test_accuracy:.4f}")
    say(f"written to {options.out}")


def _as(dtype: str, split: Split) -> Split:
    return split[0].astype(dtype, copy=False), split[1]


def _trainer(options: argparse.Namespace, network: nn.Module, train_set: Split, tell: Callable[..., None]) -> Trainer:
    """Return what trains the network as the options say, with a checkpoint after each epoch."""
    steps = options.epochs * -(-len(train_set[0]) // options.batch_size)
    warm_up = max(1, steps // 20) if options.warm_up is None else options.warm_up
    schedule = SCHEDULES[options.schedule](max(1, steps - warm_up))
    if options.schedule != "none" or options.warm_up is not None:
        schedule = schedules.warm_up(warm_up, schedule)

    def report(row: Row) -> None:
        images, labels = (part[:MEASURED_DIGITS] for part in train_set)
        row.metrics["train_accuracy"] = _accuracy(scores(network, images), labels)
        tell(results.line(_epoch(row)))

    checkpoint = results.CHECKPOINTS[importlib.util.find_spec("safetensors") is None]
    return Trainer(
        network,
        F.softmax_cross_entropy,
        OPTIMIZERS[options.optimizer].make(network, lr=options.lr),
        schedule=schedule,
        rng=np.random.default_rng([options.seed, 1]),
        metrics={"test_accuracy": _accuracy},
        callbacks=[report],
        checkpoint=options.out / checkpoint,
        progress=not options.quiet,
    )


def _accuracy(given: Any, labels: Any) -> float:
    return float(np.mean(np.argmax(given, axis=1) == labels))


def _epoch(row: Row) -> Epoch:
    return Epoch(row.epoch, row.loss, row.metrics["train_accuracy"], row.metrics["test_accuracy"], row.seconds)


def _prove(network: nn.Module, train_set: Split, seed: int, tell: Callable[..., None]) -> dict[str, Any]:
    """Check the gradient along random directions, and stop if it is wrong.

    In float64, in evaluation, on digits with a little noise and near the initial weights rather than at them: where
    biases are 0 and pixels black, ReLU and pooling are right at their kinks, and no finite difference can tell.
    """
    rng = np.random.default_rng([seed, 2])
    judged = network.astype(np.float64).eval()
    for _, parameter in judged.named_parameters():
        parameter.assign(parameter.data + NUDGE * rng.standard_normal(parameter.shape))
    images, labels = train_set[0][:CHECKED_DIGITS], train_set[1][:CHECKED_DIGITS]
    x = images + NUDGE * rng.standard_normal(images.shape)
    tell("\nexact gradient against finite differences, in float64, along random directions")
    report = check_gradients(
        lambda x, t: F.softmax_cross_entropy(judged(x), t),
        x,
        labels,
        model=judged,
        mode="directions",
        seed=seed,
        progress=False,
    )
    tell(f"{report.verdict}: {report.coverage:.1%} of it resolved, {report.seconds:.1f} seconds{_why(report)}")
    if report.verdict is Verdict.FAIL:
        where = "" if report.worst is None else f" in {report.worst.label}"
        raise GradientError(f"the gradient contradicts finite differences{where}: {report.reason}")
    return {"verdict": str(report.verdict), "coverage": report.coverage, "seconds": report.seconds}


def _why(report: Report) -> str:
    return f" ({report.reason})" if report.verdict is Verdict.INCONCLUSIVE else ""
