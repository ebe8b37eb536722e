"""Pictures of a training run: its curve, and what the network makes of the test digits."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr._extras import require
from tinygrad_kr.training import Epoch

__all__ = ["plot_digits", "plot_history"]

BLUE, ORANGE, GREY, RED = "#1f6fb4", "#d9730d", "#5c636a", "#c92a2a"
COLUMNS, ROWS = 10, 4


def plot_history(history: Sequence[Epoch], path: str | os.PathLike[str]) -> None:
    """Draw the loss, and beside it the accuracies, over the epochs.

    Parameters
    ----------
    history : sequence of Epoch
        What ``train`` returned.
    path : str or path-like
        The picture to write; its suffix says the format.

    Raises
    ------
    ValueError
        If the history is empty.
    MissingExtraError
        If matplotlib is not installed.
    """
    if not history:
        raise ValueError("plot_history: the history has no epoch to draw")
    figure = _figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2)
    epochs = [row.epoch for row in history]
    style = {"marker": "o", "markersize": 3.5, "linewidth": 1.6}

    left.plot(epochs, [row.loss for row in history], color=RED, **style)
    left.set(title="Training loss", ylabel="loss (mean of the mini-batches)")
    left.set_ylim(bottom=0)

    for name, color in (("train", BLUE), ("test", ORANGE)):
        values = [getattr(row, f"{name}_accuracy") for row in history]
        right.plot(epochs, values, color=color, label=f"{name} ({values[-1]:.4f} at the end)", **style)
    right.set(title="Accuracy", ylabel="fraction predicted right")
    right.legend()

    for axes in (left, right):
        axes.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def plot_digits(
    images: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    predictions: NDArray[np.integer[Any]],
    path: str | os.PathLike[str],
) -> None:
    """Draw a few digits with what was predicted: first some that are right, then some that are wrong.

    Parameters
    ----------
    images : ndarray, shape (N, side * side) or (N, ..., side, side)
        Square grey pictures.
    labels : ndarray of int, shape (N,)
        What they show.
    predictions : ndarray of int, shape (N,)
        What the network says they show.
    path : str or path-like
        The picture to write; its suffix says the format.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    wrong = np.flatnonzero(predictions != labels)
    right = np.flatnonzero(predictions == labels)
    # A row for the wrong ones, more if there are not enough right ones.
    shown_wrong = wrong[: max(COLUMNS, COLUMNS * ROWS - len(right))]
    shown = np.concatenate([right[: COLUMNS * ROWS - len(shown_wrong)], shown_wrong])
    side = math.isqrt(images[0].size)

    figure = _figure(figsize=(COLUMNS, 1.25 * ROWS + 0.6))
    figure.suptitle(
        f"{len(wrong):,} of {len(labels):,} digits predicted wrong.  Above each: the prediction."
        "  Red: a wrong one, with the true label.",
        fontsize=11,
    )
    grid = figure.subplots(ROWS, COLUMNS)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, index in zip(grid.flat, shown, strict=False):
        label, prediction = labels[index], predictions[index]
        right_one = prediction == label
        color = GREY if right_one else RED
        axes.imshow(images[index].reshape(side, side), cmap="gray_r")
        axes.set_title(prediction if right_one else f"{prediction}, true {label}", color=color, pad=3)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=color, linewidth=0.5 if right_one else 2)
    figure.savefig(path, dpi=120)


def _figure(figsize: tuple[float, float]) -> Any:
    """Return a figure that draws into a file: no window, and no state shared with ``matplotlib.pyplot``."""
    figure = require("matplotlib.figure", "train", "drawing a picture").Figure(figsize=figsize, layout="constrained")
    require("matplotlib.backends.backend_agg", "train", "drawing a picture").FigureCanvasAgg(figure)
    return figure
