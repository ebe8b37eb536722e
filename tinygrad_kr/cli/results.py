"""What a run leaves behind: a folder whose files appear together, or not at all."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinygrad_kr
from tinygrad_kr._extras import require
from tinygrad_kr.cli.options import UsageError, note
from tinygrad_kr.errors import DataError, MissingExtraError
from tinygrad_kr.numerical import Progress
from tinygrad_kr.plotting import plot_digits, plot_history
from tinygrad_kr.saving import save_weights
from tinygrad_kr.training import Epoch, class_labels

__all__ = [
    "RESULTS",
    "check_out",
    "draw",
    "heading",
    "line",
    "made",
    "progress",
    "published",
    "read_settings",
    "write_history",
    "write_settings",
    "write_weights",
]

RESULTS = ("history.csv", "settings.json", "weights.safetensors", "weights.npz", "curve.png", "digits.png")

heading = "\nepoch      loss  train accuracy  test accuracy  seconds"


def line(row: Epoch) -> str:
    """Return the line of an epoch, which stands under the heading."""
    return f"{row.epoch:5}  {row.loss:8.5f}  {row.train_accuracy:14.4f}  {row.test_accuracy:13.4f}  {row.seconds:7.2f}"


def progress(options: argparse.Namespace) -> Progress | None:
    """Return a progress bar for a terminal; nothing else should get one."""
    if options.quiet:
        return None
    try:
        tqdm = require("tqdm", "train", "a progress bar").tqdm
    except MissingExtraError as missing:
        note(missing)
        return None
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    return functools.partial(tqdm, leave=False) if on_terminal else None


def check_out(out: Path, names: Sequence[str] = RESULTS) -> None:
    """Refuse, before any work, a folder that the results could not be written into at the end."""
    if existing := [name for name in names if os.path.lexists(out / name)]:
        raise UsageError(f"--out {out}: already has {', '.join(existing)}; name another folder")
    nearest = next((folder for folder in (out, *out.parents) if os.path.lexists(folder)), out)
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=nearest) as rehearsal:
            Path(rehearsal, out.relative_to(nearest)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot write there: {error.strerror}") from error


@contextmanager
def made(out: Path) -> Iterator[None]:
    """Make a folder; after an error, remove again what of it was made and is empty."""
    created = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
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
        for file in Path(stage).iterdir():
            os.replace(file, out / file.name)


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write the rows of a history."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Epoch)])
        writer.writeheader()
        writer.writerows(map(dataclasses.asdict, history))


def write_settings(
    path: Path, options: argparse.Namespace, dataset: str, gradient_check: Any, last: Epoch | None
) -> None:
    """Write how the numbers were made; without the last epoch, how they are to be made."""
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
        settings["final"] = {"train_accuracy": last.train_accuracy, "test_accuracy": last.test_accuracy}
    path.write_text(json.dumps(settings, indent=2, default=str) + "\n", encoding="utf-8")


def write_weights(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the weights as safetensors, or as npz where that library is missing."""
    try:
        save_weights(folder / "weights.safetensors", arrays)
    except MissingExtraError as missing:
        note(missing, "; wrote weights.npz instead")
        np.savez(folder / "weights.npz", **arrays)  # type: ignore[arg-type]


def draw(
    folder: Path,
    history: Sequence[Epoch],
    images: NDArray[Any],
    labels: NDArray[Any],
    predicted: Callable[[], NDArray[np.integer[Any]]],
) -> None:
    """Draw the curve and the digits, if that can be done here."""
    try:
        plot_history(history, folder / "curve.png")
        plot_digits(images, class_labels(labels), predicted(), folder / "digits.png")
    except MissingExtraError as missing:
        note(missing)


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what ``write_settings`` wrote into the folder of a run."""
    path = folder / "settings.json"
    if not path.is_file():
        raise UsageError(f"{folder}: no run there: it has no settings.json")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(settings["options"], dict):
            raise TypeError("its options have no names")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is not what a run wrote: {error!r}") from error
    return dict(settings)
