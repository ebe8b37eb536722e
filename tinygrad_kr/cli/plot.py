"""The command ``plot``: the pictures of a run."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_kr.cli.data import load
from tinygrad_kr.cli.options import UsageError, add_option, note, say
from tinygrad_kr.cli.results import check_out, published
from tinygrad_kr.cli.runs import open_run
from tinygrad_kr.cli.train import model_name
from tinygrad_kr.diagram import draw
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import DataError
from tinygrad_kr.parameters import named_arrays
from tinygrad_kr.plotting import (
    plot_activation_histograms,
    plot_confusion,
    plot_digits,
    plot_history,
    plot_weights,
)
from tinygrad_kr.plotting.page import NO_HANGUL, font_with_hangul
from tinygrad_kr.training import Epoch

__all__ = ["PICTURES", "add_parser", "run"]

PICTURES = ("curve", "digits", "confusion", "activations", "weights")
GRAPH = "graph.svg"
SPREAD = 500
"""Digits of which the activations are shown."""


def add_parser(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = commands.add_parser("plot", help="draw the pictures of a run", allow_abbrev=False)
    parser.add_argument("run", help="the folder of a run", type=Path)
    add_option(parser, "--out", "folder for the pictures (default: <run>/pictures)", type=Path, metavar="DIR")
    add_option(parser, "--format", "of all pictures but the graph", choices=("png", "svg", "pdf"), default="png")
    add_option(parser, "--lang", "of the labels", choices=("en", "ko"), default="en")
    add_option(parser, "--data", "folder with the MNIST files (default: that of the run)", type=Path, metavar="DIR")
    add_option(parser, "--model", "the network, if it is code of your own: PATH.py:factory", type=model_name)


def run(options: argparse.Namespace) -> int:
    """Draw the pictures; return the exit status 0."""
    if options.run.is_file():
        raise UsageError(f"{options.run} is a file: expected the folder of a run, with its history and its weights")
    out = options.run / "pictures" if options.out is None else options.out
    found = open_run(options.run, options.model)
    history = _history(options.run / "history.csv")
    check_out(out, [*(f"{name}.{options.format}" for name in PICTURES), GRAPH])
    _, _, (images, labels) = load(options.data or found.options.data, flatten=False)
    probabilities = found.probabilities(images)
    learnt = (raw(place) for place in named_arrays(found.network, "plot").values())
    first = next((w for w in learnt if w.ndim == 4 or (w.ndim == 2 and len(w) == 784)), None)
    lang = options.lang
    if lang == "ko" and font_with_hangul() is None:
        note(NO_HANGUL)
        lang = "en"
    with published(out) as folder:

        def page(name: str) -> dict[str, Any]:
            return {"path": folder / f"{name}.{options.format}", "lang": lang}

        plot_history(history, **page("curve"))
        plot_digits(images, labels, np.argmax(probabilities, axis=1), **page("digits"))
        plot_confusion(labels, probabilities, **page("confusion"))
        plot_activation_histograms(found.network, found.inputs(images[:SPREAD]), **page("activations"))
        if first is not None:
            plot_weights(first, **page("weights"))
        x = found.inputs(images[:1])
        loss = found.loss(x, labels[:1])
        graph = draw(loss, {**named_arrays(found.network, "plot"), "x": x}, lang=options.lang)
        loss.backward()
        graph.save(folder / GRAPH)
        written = sorted(path.name for path in folder.iterdir())
    for name in written:
        say(f"written to {out / name}")
    return 0


def _history(path: Path) -> list[Epoch]:
    if not path.is_file():
        raise UsageError(f"{path.parent}: no finished run there: it has no {path.name}")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            history = [
                Epoch(
                    int(row["epoch"]),
                    float(row["loss"]),
                    float(row["train_accuracy"]),
                    float(row["test_accuracy"]),
                    float(row["seconds"]),
                )
                for row in csv.DictReader(file)
            ]
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path} is not the history of a run: {error!r}") from error
    if not history:
        raise DataError(f"{path} has no epoch")
    return history
