"""The main job, with the documents' two-layer network: every element of its gradient is proven, then it is trained."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable

import numpy as np

from tinygrad_kr.cli.data import load
from tinygrad_kr.cli.options import GradientError, say, silent
from tinygrad_kr.cli.results import (
    draw,
    heading,
    line,
    progress,
    published,
    write_history,
    write_settings,
    write_weights,
)
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.numerical import Progress
from tinygrad_kr.training.study_notes import (
    Difference,
    Split,
    compare_gradients,
    far_from_kinks,
    predicted_labels,
    train,
)

__all__ = ["ACTIVATIONS", "LEARNING_RATES", "OF_ROWS", "build", "run", "shapes"]

PIXELS, CLASSES = 784, 10
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "identity")
# Each loss with a learning rate that suits it: some are a sum, some a mean over examples or over all outputs.
LEARNING_RATES = {
    "softmax_cross_entropy": 0.5,
    "cross_entropy_error": 0.5,
    "sum_squares_error": 0.02,
    "mean_squared_error": 10.0,
}
OF_ROWS = ("sum_squares_error", "mean_squared_error")
"""Losses that compare with a one-hot row."""
CHECKED_DIGITS, CANDIDATES = 4, 1000
ONE_BY_ONE, DIRECTIONS = 200_000, 5
"""Up to so many elements the gradient is compared in each, which takes up to a minute; beyond, along directions."""
TOLERANCE = 1e-7
"""From this relative difference on, in float64, the exact or the numerical gradient is wrong."""


def run(options: argparse.Namespace) -> None:
    """Do the job."""
    if options.lr is None:
        options.lr = LEARNING_RATES[options.loss]
    dataset, train_set, test_set = load(options.data, one_hot_label=options.loss in OF_ROWS)
    tell = silent if options.quiet else say
    bar = progress(options)
    rng = np.random.default_rng(options.seed)
    net = build(options, rng)
    tell(f"{dataset}: {len(train_set[0]):,} training and {len(test_set[0]):,} test digits")
    tell(f"network {PIXELS}-{options.hidden}-{CLASSES}, {options.activation}, {options.loss}, {options.dtype}")
    differences = _prove(net, train_set, options.activation, tell, bar)
    tell(heading)
    history = train(
        net,
        train_set,
        test_set,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        rng=rng,
        report=lambda row: tell(line(row)),
        progress=bar,
    )
    with published(options.out) as folder:
        write_history(folder / "history.csv", history)
        write_settings(folder, options, dataset, list(map(dataclasses.asdict, differences)), history[-1])
        write_weights(folder, {name: parameter.data for name, parameter in net.params.items()})
        draw(folder, history, *test_set, lambda: predicted_labels(net, test_set[0]))
    tell()
    say(f"final test accuracy {history[-1].test_accuracy:.4f}")
    say(f"written to {options.out}")


def build(options: argparse.Namespace, rng: np.random.Generator) -> TwoLayerNet:
    """Return the network that the options describe, with initial weights."""
    return TwoLayerNet(
        PIXELS,
        options.hidden,
        CLASSES,
        activation=options.activation,
        loss=options.loss,
        dtype=options.dtype,
        rng=rng,
    )


def shapes(options: argparse.Namespace) -> dict[str, tuple[int, ...]]:
    """Return the shapes of its parameters, without making it."""
    units = options.hidden
    return {"W1": (PIXELS, units), "b1": (units,), "W2": (units, CLASSES), "b2": (CLASSES,)}


def _prove(
    net: TwoLayerNet, train_set: Split, activation: str, tell: Callable[..., None], progress: Progress | None
) -> list[Difference]:
    """Compare the exact with the numerical gradient on a few digits, and stop if they disagree."""
    digits, labels = train_set
    x, t, margin = far_from_kinks(net, digits[:CANDIDATES], labels[:CANDIDATES], CHECKED_DIGITS)
    size = sum(parameter.size for parameter in net.params.values())
    directions = None if size <= ONE_BY_ONE else DIRECTIONS
    extent = f"{size:,} elements" if directions is None else f"{DIRECTIONS} random directions for {size:,} elements"
    tell(f"\nexact against numerical gradient, in float64 on {CHECKED_DIGITS} digits: {extent}")
    if activation in ("relu", "leaky_relu"):
        tell(f"(digits that keep every hidden unit at least {margin:.2g} away from the kink at 0)")
    differences = compare_gradients(net, x, t, progress, directions)
    tell("parameter       shape  largest difference  relative")
    for row in differences:
        shape = " x ".join(map(str, row.shape))
        tell(f"{row.name:9}  {shape:>10}  {row.largest:18.1e}  {row.relative:8.1e}")
    wrong = [row for row in differences if not row.relative < TOLERANCE]
    if wrong:
        details = ", ".join(f"{row.name} by {row.relative:.1e}" for row in wrong)
        raise GradientError(
            f"exact and numerical gradient differ by {TOLERANCE:g} or more of the largest element: {details}"
        )
    return differences
