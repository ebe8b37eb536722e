"""The command ``plot``: the pictures of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_kr.cli.networks import load_digits
from tinygrad_kr.cli.options import UsageError, add_option, note, say
from tinygrad_kr.cli.run_folder import check_out, held, open_run, published, read_history
from tinygrad_kr.cli.train_options import model_name
from tinygrad_kr.diagram import draw
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.parameters import named_arrays
from tinygrad_kr.plotting import (
    plot_activation_histograms,
    plot_confusion,
    plot_digits,
    plot_history,
    plot_weights,
)
from tinygrad_kr.plotting.page import NO_HANGUL, font_with_hangul

__all__ = ["PICTURES", "add_arguments", "run"]

PICTURES = ("curve", "digits", "confusion", "activations", "weights")
GRAPH = "graph.svg"
SPREAD = 500
"""Digits of which the activations are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to a parser."""
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
    history = read_history(options.run)
    check_out(out, [*(f"{name}.{options.format}" for name in PICTURES), GRAPH])
    _, _, (images, labels) = load_digits(options.data or found.options.data, flatten=False)
    probabilities = found.probabilities(images)
    learnt = (raw(place) for place in named_arrays(found.network, "plot").values())
    first = next((w for w in learnt if w.ndim == 4 or (w.ndim == 2 and len(w) == 784)), None)
    lang = options.lang
    if lang == "ko" and font_with_hangul() is None:
        note(NO_HANGUL)
        lang = "en"
    with held(options.run), published(out) as folder:

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
