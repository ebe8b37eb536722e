"""The folder of a run: written whole or not at all, and read again, up to the network with its weights."""

from __future__ import annotations

import csv
import itertools
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinygrad_kr
from tinygrad_kr import functional as F
from tinygrad_kr import nn
from tinygrad_kr.cli.networks import NETWORKS, network_of
from tinygrad_kr.cli.options import UsageError, note
from tinygrad_kr.cli.train_options import TWO_LAYER, TrainOptions, trusted_model
from tinygrad_kr.common.files import locked, whole
from tinygrad_kr.datasets import one_hot
from tinygrad_kr.errors import DataError, MissingExtraError
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.plotting import plot_digits, plot_history
from tinygrad_kr.saving import load, save, save_weights
from tinygrad_kr.training import Row, class_labels
from tinygrad_kr.training.evaluation import scores
from tinygrad_kr.training.interrupts import Interrupts

__all__ = [
    "CHECKPOINTS",
    "NOT_OPTIONS",
    "WEIGHTS",
    "TrainedNetwork",
    "check_out",
    "checkpoint_of",
    "claimed",
    "draw",
    "folder_of",
    "heading",
    "held",
    "line",
    "open_run",
    "published",
    "read_history",
    "read_settings",
    "write_history",
    "write_settings",
    "write_weights",
]

SETTINGS = "settings.json"
WEIGHTS = ("weights.safetensors", "weights.npz")
CHECKPOINTS = ("checkpoint.safetensors", "checkpoint.npz")
NOT_OPTIONS = ("command", "version", "verbose", "print_completion")
"""What the parser of the whole command line adds to the options of a command."""
CLASSES = 10
LOSSES_OF_LABELS = (F.softmax_cross_entropy, F.cross_entropy_error)
METRICS = ("train_accuracy", "test_accuracy")
RESULTS = ("history.csv", SETTINGS, *WEIGHTS, *CHECKPOINTS, "curve.png", "digits.png")

heading = "\nepoch      loss  train accuracy  test accuracy  seconds"


def line(row: Row) -> str:
    """Return the line of an epoch, which stands under the heading."""
    train, test = (row.metrics[name] for name in METRICS)
    return f"{row.epoch:5}  {row.loss:8.5f}  {train:14.4f}  {test:13.4f}  {row.seconds:7.2f}"


def folder_of(options: TrainOptions) -> Path:
    """Return the folder that a run has claimed."""
    if options.out is None:
        raise UsageError("the run has no folder yet")
    return options.out


def checkpoint_of(folder: Path | None) -> Path | None:
    """Return the checkpoint in the folder of a run, if there is one."""
    paths = [] if folder is None else [folder / name for name in CHECKPOINTS]
    return next((path for path in paths if path.is_file()), None)


def check_out(out: Path, names: Sequence[str] = RESULTS) -> None:
    """Raise UsageError if results cannot be written into a folder, before any work is done."""
    if existing := [name for name in names if os.path.lexists(out / name)]:
        raise _taken(out, existing)
    nearest = next((folder for folder in (out, *out.parents) if os.path.lexists(folder)), out)
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=nearest) as rehearsal:
            Path(rehearsal, out.relative_to(nearest)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot write there: {error.strerror}") from error


def _taken(out: Path, existing: Sequence[str]) -> UsageError:
    return UsageError(f"--out {out}: already has {', '.join(existing)}; name another folder")


@contextmanager
def claimed(options: Any) -> Iterator[None]:
    """Give a run the folder `options.out` before its work, or a new one below runs; only one run can have it.

    The claim is settings.json, which is created exclusively; after an error it goes, unless there is more beside it.
    """
    unnamed = options.out is None
    with made(Path("runs", time.strftime("%Y%m%d-%H%M%S")) if unnamed else options.out, numbered=unnamed) as out:
        options.out, settings = out, out / SETTINGS
        try:
            with settings.open("x", encoding="utf-8") as file:
                json.dump({"options": vars(options)}, file, default=str)
        except FileExistsError:
            raise _taken(out, [SETTINGS]) from None
        try:
            yield
        except BaseException:
            if not any((out / name).exists() for name in (*WEIGHTS, *CHECKPOINTS)):
                settings.unlink()
            raise


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder of a run that is there already: no other command writes into it meanwhile."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder))
        except MissingExtraError as missing:
            note(missing, "; make sure that no other process writes there")
        yield


@contextmanager
def made(out: Path, numbered: bool = False) -> Iterator[Path]:
    """Yield a folder, made if it is not there; after an error, remove again what was made and is empty.

    Where names are numbered the folder is always a new one: `out`, or the first that is free of out-2, out-3, ...
    """
    created = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for folder in itertools.chain([out], (out.with_name(f"{out.name}-{number}") for number in itertools.count(2))):
            with suppress(FileExistsError):
                folder.mkdir()
                created.insert(0, folder)
            if folder in created or not numbered:
                break
        yield folder
    except BaseException:
        for folder in created:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def published(out: Path) -> Iterator[Path]:
    """Yield a folder to write into, whose files appear in `out` once all are written, or not at all."""
    with made(out), tempfile.TemporaryDirectory(prefix=".", dir=out) as stage:
        yield Path(stage)
        try:
            with Interrupts():
                for file in Path(stage).iterdir():
                    if (out / file.name).exists():  # of a run that was resumed
                        shutil.copymode(out / file.name, file)
                    os.replace(file, out / file.name)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(f"everything was written to {out} before") from interrupt


def write_history(path: Path, history: Sequence[Row]) -> None:
    """Write the rows of a history, one line an epoch."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "loss", *METRICS, "seconds", "steps", "lr", "validation_loss"])
        for row in history:
            metrics = [row.metrics[name] for name in METRICS]
            writer.writerow([row.epoch, row.loss, *metrics, row.seconds, row.steps, row.lr, row.validation_loss])


def read_history(folder: Path) -> list[Row]:
    """Return the rows that ``write_history`` wrote into the folder of a run."""
    path = folder / "history.csv"
    if not path.is_file():
        raise UsageError(f"{folder}: no finished run there: it has no {path.name}")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            history = [
                Row(
                    epoch=int(row["epoch"]),
                    steps=int(row["steps"]),
                    lr=float(row["lr"]),
                    loss=float(row["loss"]),
                    validation_loss=float(row["validation_loss"]) if row["validation_loss"] else None,
                    metrics={name: float(row[name]) for name in METRICS},
                    seconds=float(row["seconds"]),
                )
                for row in csv.DictReader(file)
            ]
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path} is not the history of a run: {error!r}") from error
    if not history:
        raise DataError(f"{path} has no epoch")
    return history


def write_settings(folder: Path, options: TrainOptions, dataset: str, gradient_check: Any, last: Row | None) -> None:
    """Write options, versions and the gradient check; after the last epoch the final accuracies too."""
    settings = {
        "options": vars(options),
        "dataset": dataset,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "tinygrad_kr": tinygrad_kr.__version__,
        },
        "gradient_check": gradient_check,
    }
    if last is not None:
        settings["final"] = dict(last.metrics)
    with whole(folder / SETTINGS) as file:
        file.write((json.dumps(settings, indent=2, default=str) + "\n").encode())


def write_weights(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the weights as safetensors, or as npz where that library is missing."""
    try:
        save_weights(folder / "weights.safetensors", arrays)
    except MissingExtraError as missing:
        note(missing, "; wrote weights.npz instead")
        save(folder / "weights.npz", arrays)


def draw(
    folder: Path,
    history: Sequence[Row],
    images: NDArray[Any],
    labels: NDArray[Any],
    predicted: Callable[[], NDArray[np.integer[Any]]],
) -> None:
    """Draw the curve and the digits, if matplotlib is installed."""
    try:
        plot_history(history, folder / "curve.png")
        plot_digits(images, class_labels(labels), predicted(), folder / "digits.png")
    except MissingExtraError as missing:
        note(missing)


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what ``write_settings`` wrote into the folder of a run."""
    path = folder / SETTINGS
    if not path.is_file():
        raise UsageError(f"{folder}: no run there: it has no {SETTINGS}")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(settings["options"], dict):
            raise TypeError("its options have no names")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is not what a run wrote: {error!r}") from error
    return dict(settings)


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network.

    Attributes
    ----------
    options : TrainOptions
        How it was trained.
    network : Module
        With what it learnt, in evaluation.
    """

    options: TrainOptions
    network: nn.Module

    def inputs(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return images of shape (N, 1, 28, 28), from 0 to 1, as what goes into the network."""
        x = images.astype(self.options.dtype, copy=False)
        return x.reshape(len(x), -1) if network_of(self.options.model).flat else x

    def loss(self, x: NDArray[Any], labels: NDArray[Any]) -> Any:
        """Return the loss of what ``inputs`` returned, on the graph."""
        rows = isinstance(self.network, TwoLayerNet) and self.network.loss_function not in LOSSES_OF_LABELS
        loss = network_of(self.options.model).loss(self.network)
        return loss(self.network(x), one_hot(labels, CLASSES) if rows else labels)

    def probabilities(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return the probabilities of the digits, of shape (N, 10)."""
        return np.asarray(F.softmax(scores(self.network, self.inputs(images)).astype(np.float64)))


def open_run(path: Path, model: str | None = None) -> TrainedNetwork:
    """Load the network of a run.

    Parameters
    ----------
    path : Path
        The folder of the run, or a file with weights: in such a folder, or alone.
    model : str, optional
        The network that the weights belong to, where the run does not say it or it is the user's own code.

    Raises
    ------
    UsageError, DataError
        If there is no such run, or the weights do not fit the network.
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise UsageError(f"{path}: no such folder or file")
    if path.is_dir():
        path = next((path / name for name in WEIGHTS if (path / name).is_file()), path / WEIGHTS[0])
        if not path.is_file():
            raise UsageError(f"{folder}: no finished run there: it has no {' or '.join(WEIGHTS)}")
    if path.suffix not in (".safetensors", ".npz"):
        raise UsageError(f"{path}: expected a folder of a run, or weights as .safetensors or .npz")
    arrays, _ = load(path)
    saved = read_settings(folder)["options"] if (folder / SETTINGS).is_file() else _guessed(arrays, model)
    options = TrainOptions.from_settings({**saved, "model": trusted_model(saved, model)})
    shapes = {name.removeprefix("model."): array.shape for name, array in arrays.items()}  # also of a checkpoint
    if options.model == TWO_LAYER and not _shapes(options).items() <= shapes.items():
        # Before it is built: what the settings claim could be larger than the memory.
        raise DataError(f"{path}: expected the weights of 784-{options.hidden}-10, as settings.json says; found others")
    network = network_of(options.model).build(options, np.random.default_rng(0)).eval()
    load(path, network)
    return TrainedNetwork(options, network)


def _shapes(options: TrainOptions) -> dict[str, tuple[int, ...]]:
    units = options.hidden or 0
    return {"W1": (784, units), "b1": (units,), "W2": (units, CLASSES), "b2": (CLASSES,)}


def _guessed(weights: dict[str, NDArray[Any]], model: str | None) -> dict[str, Any]:
    """Infer the options of a run from the names and shapes of its weights."""
    if model not in (None, TWO_LAYER):
        return {"model": model}
    if weights.keys() == {"W1", "b1", "W2", "b2"}:
        return {"hidden": weights["b1"].size}
    shapes = {name: array.shape for name, array in weights.items()}
    for name in NETWORKS.keys() - {TWO_LAYER}:
        own = NETWORKS[name].build(TrainOptions.from_arguments({"model": name}), np.random.default_rng(0)).state()
        if {key: array.shape for key, array in own.items()} == shapes:
            return {"model": name}
    raise UsageError("these weights fit no network of the command line; name it with --model PATH.py:factory")
