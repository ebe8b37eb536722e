"""Plots of a training run: learning curves, digits with predictions, the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import LabelError
from tinygrad_kr.plotting.page import BLUE, GREEN, GREY, ORANGE, RED, Page, Path, tidy
from tinygrad_kr.training import Row, class_labels

__all__ = ["COLUMNS", "ROWS", "plot_confusion", "plot_digits", "plot_history"]

COLUMNS, ROWS = 10, 4
READABLE = 25
"""The most classes whose counts are written into the matrix."""


def plot_history(history: Sequence[Row], path: Path = None, *, lang: str = "en") -> Any:
    """Draw the loss, and beside it the accuracies or other metrics, over the epochs.

    Parameters
    ----------
    history : sequence of Row
        What ``Trainer.fit`` returned.
    path : str or path-like, optional
        The picture to write; its suffix says the format.
    lang : {"en", "ko"}
        The language of the labels. Metrics are called what the Trainer was told.

    Returns
    -------
    matplotlib.figure.Figure
        With the validation loss beside that of training, if there is one; without metrics the loss alone.

    Raises
    ------
    ValueError
        If the history is empty.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> from tinygrad_kr.training import Row
    >>> accuracies = {"train_accuracy": 0.5, "test_accuracy": 0.4}
    >>> figure = plot_history([Row(epoch=1, steps=60, lr=0.5, loss=2.3, metrics=accuracies)])
    >>> [axes.get_title() for axes in figure.axes]
    ['Loss', 'Accuracy']
    """
    if not history:
        raise ValueError("plot_history: the history has no epoch to draw")
    losses, metrics = _losses(history), _metrics(history)
    page = Page((10 if metrics else 5.5, 4), lang)
    say = page.say
    epochs = [row.epoch for row in history]
    left, *right = page.figure.subplots(1, 2 if metrics else 1, squeeze=False).flat
    _draw_curves(left, epochs, losses, (RED, GREY), say)
    left.set(title=say("Loss", "손실"), ylabel=say("loss (mean of the mini-batches)", "손실 (미니배치의 평균)"))
    if not any(value < 0 for values in losses.values() for value in values):
        left.set_ylim(bottom=0)
    for axes in right:
        _draw_curves(axes, epochs, metrics, (BLUE, ORANGE, GREEN, RED, GREY), say)
        if all(names in ACCURACIES.values() for names in metrics):
            axes.set(title=say("Accuracy", "정확도"), ylabel=say("fraction predicted right", "맞게 예측한 비율"))
        else:
            axes.set(title=say("Metrics", "지표"), ylabel=say("mean over the validation examples", "검증 예의 평균"))
    for axes in (left, *right):
        axes.set(xlabel=say("epoch", "에폭"), xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        tidy(axes)
    return page.done(path)


ACCURACIES = {"train_accuracy": ("train", "훈련"), "test_accuracy": ("test", "시험")}
"""What the command line measures, by how it is called in a legend."""
Curves = dict[tuple[str, str], list[float]]
"""Values over the epochs, by their names in English and Korean; NaN where there is none."""


def _losses(history: Sequence[Row]) -> Curves:
    losses: Curves = {("training", "훈련"): [row.loss for row in history]}
    validation = [row.validation_loss for row in history]
    if any(value is not None for value in validation):
        losses["validation", "검증"] = [math.nan if value is None else value for value in validation]
    return losses


def _metrics(history: Sequence[Row]) -> Curves:
    by_row = [{ACCURACIES.get(name, (name, name)): value for name, value in row.metrics.items()} for row in history]
    names = dict.fromkeys(name for metrics in by_row for name in metrics)
    return {name: [metrics.get(name, math.nan) for metrics in by_row] for name in names}


def _draw_curves(
    axes: Any, epochs: list[int], curves: Curves, colors: Sequence[str], say: Callable[[str, str], str]
) -> None:
    """Draw some curves; a legend says their last values."""
    for i, (names, values) in enumerate(curves.items()):
        name, last = say(*names), f"{values[-1]:.4f}"
        label = say(f"{name} ({last} at the end)", f"{name} (마지막 {last})")
        axes.plot(epochs, values, "o-", color=colors[i % len(colors)], markersize=3.5, linewidth=1.6, label=label)
    axes.legend()


def plot_digits(
    images: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    predictions: NDArray[np.integer[Any]],
    path: Path = None,
    *,
    lang: str = "en",
) -> Any:
    """Draw a few digits with what was predicted: first some that are right, then some that are wrong.

    Parameters
    ----------
    images : ndarray, shape (N, side * side) or (N, ..., side, side)
        Square grey pictures.
    labels : ndarray of int, shape (N,)
        What they show.
    predictions : ndarray of int, shape (N,)
        What the network says they show.
    path : str or path-like, optional
        The picture to write; its suffix says the format.
    lang : {"en", "ko"}
        The language of the labels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = plot_digits(np.zeros((2, 784)), np.array([3, 5]), np.array([3, 8]))
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['3', '8, true 5']
    """
    wrong = np.flatnonzero(predictions != labels)
    right = np.flatnonzero(predictions == labels)
    # A row for the wrong ones, more if there are not enough right ones.
    shown_wrong = wrong[: max(COLUMNS, COLUMNS * ROWS - len(right))]
    shown = np.concatenate([right[: COLUMNS * ROWS - len(shown_wrong)], shown_wrong])
    side = math.isqrt(images[0].size)

    page = Page((COLUMNS, 1.25 * ROWS + 0.6), lang)
    page.figure.suptitle(
        page.say(
            f"{len(wrong):,} of {len(labels):,} digits predicted wrong.  Above each: the prediction."
            "  Red: a wrong one, with the true label.",
            f"숫자 {len(labels):,}개 중 {len(wrong):,}개를 틀렸습니다.  그림 위의 수: 예측."
            "  빨간색: 틀린 예측과 정답 레이블.",
        ),
        fontsize=11,
    )
    grid = page.figure.subplots(ROWS, COLUMNS)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, index in zip(grid.flat, shown, strict=False):
        label, prediction = labels[index], predictions[index]
        right_one = prediction == label
        color = GREY if right_one else RED
        axes.imshow(images[index].reshape(side, side), cmap="gray_r")
        both = page.say(f"{prediction}, true {label}", f"{prediction}, 정답 {label}")
        axes.set_title(prediction if right_one else both, color=color, pad=3)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=color, linewidth=0.5 if right_one else 2)
    return page.done(path)


def plot_confusion(
    labels: Any, predictions: Any, *, classes: Sequence[str] | None = None, path: Path = None, lang: str = "en"
) -> Any:
    """Draw the confusion matrix, and beside it the recall of each class.

    Parameters
    ----------
    labels : array of int, shape (N,), or one-hot rows, shape (N, C)
        The true classes.
    predictions : array of int, shape (N,)
        The predicted classes; or a row of scores or probabilities for each example, shape (N, C).
    classes : sequence of str, optional
        What the classes are called. Default: their numbers.
    path : str or path-like, optional
        The picture to write; its suffix says the format.
    lang : {"en", "ko"}
        The language of the labels.

    Returns
    -------
    matplotlib.figure.Figure
        A row of the matrix is a true class, a column a prediction; the shade is the share of the row.

    Raises
    ------
    LabelError
        If a class is not an integer, is negative, or has no name in `classes`; if there are no examples, or not as
        many predictions as labels.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = plot_confusion([0, 1, 1, 1], [0, 1, 1, 0])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '0', '1', '2']
    """
    true, predicted = _classes("labels", labels), _classes("predictions", predictions)
    if true.shape != predicted.shape or not true.size:
        raise LabelError(
            f"plot_confusion: expected as many predictions as labels, and at least one\n"
            f"  got {len(true)} labels and {len(predicted)} predictions"
        )
    largest = int(max(true.max(), predicted.max()))
    count = largest + 1 if classes is None else len(classes)
    if largest >= count:
        raise LabelError(f"plot_confusion: class {largest} has no name; classes has {count}")
    names = [str(name) for name in (range(count) if classes is None else classes)]
    counts = np.bincount(true * count + predicted, minlength=count * count).reshape(count, count)

    totals, right = counts.sum(axis=1), counts.diagonal()
    page = Page((10.5, 5.4), lang)
    say = page.say
    matrix, bars = page.figure.subplots(1, 2, width_ratios=(1.4, 1))
    share = right.sum() / true.size
    page.figure.suptitle(
        say(
            f"{right.sum():,} of {true.size:,} predicted right ({share:.1%})",
            f"{true.size:,}개 중 {right.sum():,}개를 맞게 예측 ({share:.1%})",
        )
    )
    _draw_counts(matrix, counts, names)
    matrix.set(
        title=say("Confusion matrix (number of examples)", "혼동 행렬 (예의 개수)"),
        xlabel=say("predicted class", "예측한 클래스"),
        ylabel=say("true class", "정답 클래스"),
    )
    places = range(count)
    percent = 100 * right / np.maximum(totals, 1)
    bars.barh(places, percent, color=BLUE)
    for place, total, hits, length in zip(places, totals, right, percent, strict=True):
        of = say(f"({hits:,} of {total:,})", f"({hits:,} / {total:,})")
        text = f"{length:.1f}% {of}" if total else say("no example", "예가 없음")
        inside = length > 55
        bars.text(1.5 if inside else length + 1.5, place, text, va="center", color="white" if inside else "black")
    bars.set(
        title=say("Accuracy per class", "클래스별 정확도"),
        xlabel=say("accuracy (%)", "정확도 (%)"),
        xlim=(0, 100),
        ylim=(count - 0.5, -0.5),
    )
    bars.set_yticks(places, names)
    bars.spines[["top", "right"]].set_visible(False)
    return page.done(path)


def _draw_counts(axes: Any, counts: NDArray[np.integer[Any]], names: Sequence[str]) -> None:
    """Draw the matrix, each cell with its count."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(places, names)
    if len(names) <= READABLE:
        size = min(10.0, 80 / len(names))
        for (row, column), value in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black" if value else "#a0a6ac"
            axes.text(column, row, f"{value:,}", ha="center", va="center", color=color, fontsize=size)


def _classes(what: str, values: Any) -> NDArray[np.integer[Any]]:
    """Return class indices, also of one-hot rows or of rows of scores."""
    classes = class_labels(np.asarray(raw(values)))
    if classes.ndim != 1 or classes.dtype.kind not in "iu" or np.any(classes < 0):
        raise LabelError(
            f"plot_confusion: {what} must be class numbers from 0, of shape (N,), or a row for each example\n"
            f"  got {classes.dtype} of shape {np.shape(raw(values))}"
            + (f", the least {classes.min()}" if classes.size and classes.dtype.kind in "iu" else "")
        )
    return classes.astype(np.int64)
