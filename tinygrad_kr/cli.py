"""The command line: ``python -m tinygrad_kr train`` proves a gradient, trains a network, shows the result.

``python -m tinygrad_kr gradcheck`` checks a gradient of the user's own.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import tinygrad_kr
from tinygrad_kr._extras import require
from tinygrad_kr.datasets import load_mnist, load_mnist_sample
from tinygrad_kr.errors import DataError, MissingExtraError, NonFiniteError
from tinygrad_kr.gradcheck import command as gradcheck
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.numerical import Progress
from tinygrad_kr.plotting import plot_digits, plot_history
from tinygrad_kr.saving import save_weights
from tinygrad_kr.training import (
    Difference,
    Epoch,
    Split,
    class_labels,
    compare_gradients,
    far_from_kinks,
    predicted_labels,
    train,
)

__all__ = ["main"]

PIXELS, CLASSES = 784, 10
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "identity")
# Each loss with a learning rate that suits it: some are a sum, some a mean over examples or over all outputs.
LEARNING_RATES = {
    "softmax_cross_entropy": 0.5,
    "cross_entropy_error": 0.5,
    "sum_squares_error": 0.02,
    "mean_squared_error": 10.0,
}
RESULTS = ("history.csv", "settings.json", "weights.safetensors", "weights.npz", "curve.png", "digits.png")
CHECKED_DIGITS, CANDIDATES = 4, 1000
TOLERANCE = 1e-7
"""From this relative difference on, in float64, the exact or the numerical gradient is wrong."""

say = functools.partial(print, flush=True)


class UsageError(Exception):
    """Options that cannot be followed."""


class GradientError(Exception):
    """An exact gradient that the numerical one contradicts."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit status: 0 if all went well, 1 if the gradient is wrong or the training diverged, 2 if the
        options or the data cannot be used, 3 if a gradient check is inconclusive, 130 after Ctrl-C.
    """
    try:
        options = _parser().parse_args(argv)
        if options.command == "gradcheck":
            return gradcheck.run(options)
        _train(options)
    except (UsageError, gradcheck.CommandError, DataError, OSError, MemoryError) as error:
        return _fail(error, status=2)
    except (GradientError, NonFiniteError) as error:
        return _fail(error, status=1)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was written", status=130)
    return 0


def _fail(reason: object, status: int) -> int:
    """Say in one line what went wrong; return the exit status."""
    print("tinygrad_kr: error:", *str(reason).split(), file=sys.stderr)
    return status


# Options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tinygrad_kr",
        description="NumPy code you already wrote, differentiated exactly and proven right.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tinygrad_kr {tinygrad_kr.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    train = commands.add_parser(
        "train",
        help="prove the gradient of a two-layer network, train it on MNIST, show the result",
        allow_abbrev=False,
    )
    add = functools.partial(_add_option, train)
    rates = ", ".join(f"{rate:g} for {loss}" for loss, rate in LEARNING_RATES.items())
    add("--epochs", "how often to go through the training digits", type=_count, default=20, metavar="N")
    add("--batch-size", "digits in a mini-batch", type=_count, default=100, metavar="N")
    add("--lr", f"learning rate (default: {rates})", type=_rate, metavar="RATE")
    add("--hidden", "units in the hidden layer", type=_count, default=100, metavar="N")
    add("--activation", "of the hidden layer", choices=ACTIVATIONS, default="relu")
    add("--loss", "what to make small", choices=LEARNING_RATES, default="softmax_cross_entropy")
    add("--seed", "same seed, same numbers", type=_seed, default=0, metavar="N")
    add("--dtype", "of the weights, in training", choices=("float32", "float64"), default="float32")
    add("--out", "folder for the results (default: runs/<time>)", type=Path, metavar="DIR")
    add(
        "--data",
        "folder with the four MNIST files (default: the sample inside the package)",
        type=Path,
        metavar="DIR",
    )
    add("--quiet", "print only the final accuracy and the folder", action="store_true")
    gradcheck.add_parser(commands)
    return parser


def _add_option(parser: argparse.ArgumentParser, name: str, help: str, **settings: Any) -> None:
    """Add an option that says its default, if it has one worth saying."""
    default = settings.get("default")
    parser.add_argument(name, help=help if default is None else f"{help} (default: {default})", **settings)


def _count(text: str) -> int:
    # The bound keeps products of two counts within an index.
    return _integer(text, least=1, most=2**31 - 1)


def _seed(text: str) -> int:
    return _integer(text, least=0, most=2**128 - 1)


def _integer(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
    if number < least:
        raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
    if number > most:
        raise argparse.ArgumentTypeError(f"must be at most {most}, got {text}")
    return number


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text}")
    return rate


# The main job


def _train(options: argparse.Namespace) -> None:
    if options.lr is None:
        options.lr = LEARNING_RATES[options.loss]
    if options.out is None:
        options.out = Path("runs", time.strftime("%Y%m%d-%H%M%S"))
    _check_out(options.out)
    dataset, train_set, test_set = _load(options)
    tell = _silent if options.quiet else say
    progress = _progress(options)
    rng = np.random.default_rng(options.seed)
    net = _build(options, rng)
    tell(f"{dataset}: {len(train_set[0]):,} training and {len(test_set[0]):,} test digits")
    tell(f"network {PIXELS}-{options.hidden}-{CLASSES}, {options.activation}, {options.loss}, {options.dtype}")
    differences = _prove(net, train_set, options.activation, tell, progress)
    tell("\nepoch      loss  train accuracy  test accuracy  seconds")
    history = train(
        net,
        train_set,
        test_set,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        rng=rng,
        report=lambda row: tell(_line(row)),
        progress=progress,
    )
    with _published(options.out) as folder:
        _write_history(folder / "history.csv", history)
        _write_settings(folder / "settings.json", options, dataset, differences, history[-1])
        _write_weights(folder, net)
        _draw(folder, net, history, test_set)
    tell()
    say(f"final test accuracy {history[-1].test_accuracy:.4f}")
    say(f"written to {options.out}")


def _load(options: argparse.Namespace) -> tuple[str, Split, Split]:
    """Return the name of the data set, its training and its test examples."""
    as_rows = options.loss in ("sum_squares_error", "mean_squared_error")
    if options.data is None:
        return "MNIST sample", *load_mnist_sample(one_hot_label=as_rows)
    if not options.data.is_dir():
        raise UsageError(f"--data {options.data}: no such folder")
    return "MNIST", *load_mnist(options.data, one_hot_label=as_rows)


def _build(options: argparse.Namespace, rng: np.random.Generator) -> TwoLayerNet:
    return TwoLayerNet(
        PIXELS,
        options.hidden,
        CLASSES,
        activation=options.activation,
        loss=options.loss,
        dtype=options.dtype,
        rng=rng,
    )


def _prove(
    net: TwoLayerNet, train_set: Split, activation: str, tell: Callable[..., None], progress: Progress | None
) -> list[Difference]:
    """Compare the exact with the numerical gradient on a few digits, and stop if they disagree."""
    digits, labels = train_set
    x, t, margin = far_from_kinks(net, digits[:CANDIDATES], labels[:CANDIDATES], CHECKED_DIGITS)
    tell(f"\nexact against numerical gradient, in float64 on {CHECKED_DIGITS} digits")
    if activation in ("relu", "leaky_relu"):
        tell(f"(digits that keep every hidden unit at least {margin:.2g} away from the kink at 0)")
    differences = compare_gradients(net, x, t, progress)
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


def _line(row: Epoch) -> str:
    return f"{row.epoch:5}  {row.loss:8.5f}  {row.train_accuracy:14.4f}  {row.test_accuracy:13.4f}  {row.seconds:7.2f}"


def _silent(*_: object) -> None:
    """Print nothing."""


def _progress(options: argparse.Namespace) -> Progress | None:
    """Return a progress bar for a terminal; nothing else should get one."""
    if options.quiet:
        return None
    try:
        tqdm = require("tqdm", "train", "a progress bar").tqdm
    except MissingExtraError as missing:
        _note(missing)
        return None
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    return functools.partial(tqdm, leave=False) if on_terminal else None


# Results


def _check_out(out: Path) -> None:
    """Refuse, before any work, a folder that the results could not be written into at the end."""
    if existing := [name for name in RESULTS if os.path.lexists(out / name)]:
        raise UsageError(f"--out {out}: already has {', '.join(existing)}; name another folder")
    nearest = next((folder for folder in (out, *out.parents) if os.path.lexists(folder)), out)
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=nearest) as rehearsal:
            Path(rehearsal, out.relative_to(nearest)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot write there: {error.strerror}") from error


@contextmanager
def _published(out: Path) -> Iterator[Path]:
    """Yield a folder to write into, whose files appear in `out` once all are written, or not at all."""
    created = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=out) as stage:
            yield Path(stage)
            for file in Path(stage).iterdir():
                os.replace(file, out / file.name)
    except BaseException:
        for folder in created:
            with suppress(OSError):
                folder.rmdir()
        raise


def _write_history(path: Path, history: Sequence[Epoch]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Epoch)])
        writer.writeheader()
        writer.writerows(map(dataclasses.asdict, history))


def _write_settings(
    path: Path, options: argparse.Namespace, dataset: str, differences: Sequence[Difference], last: Epoch
) -> None:
    settings = {
        "options": vars(options),
        "dataset": dataset,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "tinygrad_kr": tinygrad_kr.__version__,
        },
        "gradient_check": [dataclasses.asdict(row) for row in differences],
        "final": {"train_accuracy": last.train_accuracy, "test_accuracy": last.test_accuracy},
    }
    path.write_text(json.dumps(settings, indent=2, default=str) + "\n", encoding="utf-8")


def _write_weights(folder: Path, net: TwoLayerNet) -> None:
    arrays = {name: parameter.data for name, parameter in net.params.items()}
    try:
        save_weights(folder / "weights.safetensors", arrays)
    except MissingExtraError as missing:
        _note(missing, "; wrote weights.npz instead")
        np.savez(folder / "weights.npz", **arrays)


def _draw(folder: Path, net: TwoLayerNet, history: Sequence[Epoch], test_set: Split) -> None:
    images, labels = test_set
    try:
        plot_history(history, folder / "curve.png")
        plot_digits(images, class_labels(labels), predicted_labels(net, images), folder / "digits.png")
    except MissingExtraError as missing:
        _note(missing)


def _note(missing: MissingExtraError, instead: str = "") -> None:
    """Say in one line what is missing and how to get it."""
    print("tinygrad_kr: note:", " ".join(str(missing).split()) + instead, file=sys.stderr)
