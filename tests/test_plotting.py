"""The pictures: that they are drawn, that they show what they say, and that they share no state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from tinygrad_kr.plotting import BLUE, COLUMNS, ORANGE, RED, ROWS, plot_digits, plot_history
from tinygrad_kr.training import Epoch


def history(epochs: int) -> list[Epoch]:
    return [Epoch(n, 2 / n, 1 - 0.3 / n, 1 - 0.5 / n, 0.1) for n in range(1, epochs + 1)]


def pixels(path: Path, color: str) -> int:
    """Count the pixels of exactly one colour."""
    picture = np.round(matplotlib.image.imread(path)[..., :3] * 255).astype(int)
    return int(np.sum(np.all(picture == [int(color[i : i + 2], 16) for i in (1, 3, 5)], axis=-1)))


@pytest.mark.parametrize("epochs", [1, 2, 20])
def test_the_curve_shows_loss_and_both_accuracies(tmp_path: Path, epochs: int) -> None:
    plot_history(history(epochs), tmp_path / "curve.png")
    for color in (RED, BLUE, ORANGE):
        assert pixels(tmp_path / "curve.png", color) > 20


def test_an_empty_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no epoch"):
        plot_history([], tmp_path / "curve.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(784,), (28, 28), (1, 28, 28)])
def test_digits_in_any_layout(tmp_path: Path, shape: tuple[int, ...]) -> None:
    labels = np.arange(50) % 10
    plot_digits(np.random.default_rng(0).random((50, *shape)), labels, labels, tmp_path / "digits.png")
    assert (tmp_path / "digits.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("count", "wrong", "shown_wrong"),
    [
        (100, 0, 0),
        (100, 3, 3),
        (100, 60, COLUMNS),
        (100, 75, COLUMNS * ROWS - 25),
        (100, 100, COLUMNS * ROWS),
        (5, 0, 0),
        (5, 5, 5),
    ],
)
def test_wrong_ones_are_marked_in_red_and_only_they(tmp_path: Path, count: int, wrong: int, shown_wrong: int) -> None:
    labels = np.arange(count) % 10
    predictions = np.where(np.arange(count) >= count - wrong, (labels + 1) % 10, labels)
    plot_digits(np.zeros((count, 784)), labels, predictions, tmp_path / "digits.png")
    marked = pixels(tmp_path / "digits.png", RED)
    one_frame = 4 * 110 * 3  # about 110 pixels a side and 3 thick, and the title
    assert 0.6 * shown_wrong * one_frame <= marked <= 1.8 * shown_wrong * one_frame


def test_no_global_state_of_pyplot(tmp_path: Path) -> None:
    code = (
        "import sys; from tinygrad_kr.plotting import plot_history; from tinygrad_kr.training import Epoch;"
        f"plot_history([Epoch(1, 1.0, 0.5, 0.5, 0.1)], {str(tmp_path / 'curve.png')!r});"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
