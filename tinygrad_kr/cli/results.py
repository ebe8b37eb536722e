"""What a run leaves behind: a folder whose files appear together, or not at all."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import itertools
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinygrad_kr
from tinygrad_kr.cli.options import UsageError, note
from tinygrad_kr.common.extras import require
from tinygrad_kr.common.files import whole
from tinygrad_kr.errors import DataError, MissingExtraError
from tinygrad_kr.numerical import Progress
from tinygrad_kr.plotting import plot_digits, plot_history
from tinygrad_kr.saving import save_weights
from tinygrad_kr.training import Epoch, class_labels
from tinygrad_kr.training.interrupts import Interrupts

__all__ = [
    "CHECKPOINTS",
    "WEIGHTS",
    "check_out",
    "claimed",
    "draw",
    "heading",
    "line",
    "progress",
    "published",
    "read_settings",
    "write_history",
    "write_settings",
    "write_weights",
]

SETTINGS = "settings.json"
WEIGHTS = ("weights.safetensors", "weights.npz")
CHECKPOINTS = ("checkpoint.safetensors", "checkpoint.npz")
RESULTS = ("history.csv", SETTINGS, *WEIGHTS, *CHECKPOINTS, "curve.png", "digits.png")

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
    on_terminal = all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))
    return functools.partial(tqdm, leave=False) if on_terminal else None


def check_out(out: Path, names: Sequence[str] = RESULTS) -> None:
    """Refuse, before any work, a folder that the results could not be written into at the end."""
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
def claimed(options: argparse.Namespace) -> Iterator[None]:
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


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write the rows of a history."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Epoch)])
        writer.writeheader()
        writer.writerows(map(dataclasses.asdict, history))


def write_settings(
    folder: Path, options: argparse.Namespace, dataset: str, gradient_check: Any, last: Epoch | None
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
    with whole(folder / SETTINGS) as file:
        file.write((json.dumps(settings, indent=2, default=str) + "\n").encode())


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
