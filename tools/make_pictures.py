"""Draw the pictures of docs/training.md, in both languages: python -m tools.make_pictures."""

from __future__ import annotations

from pathlib import Path

from tinygrad_kr.numerical import gradient_descent
from tinygrad_kr.plotting import plot_activations, plot_descent, plot_vanishing_gradients

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SUFFIXES = {"en": ".png", "ko": ".ko.png"}


def ravine(x):
    """The function on which the book compares optimizers, section 6.1.3."""
    return x[0] ** 2 / 20 + x[1] ** 2


if __name__ == "__main__":
    _, trail = gradient_descent(ravine, [-7.0, 2.0], lr=0.95, step_num=30, return_path=True)
    for lang, suffix in SUFFIXES.items():
        plot_activations(path=IMAGES / f"activations{suffix}", lang=lang)
        plot_vanishing_gradients(path=IMAGES / f"vanishing{suffix}", lang=lang)
        plot_descent(ravine, trail, path=IMAGES / f"descent{suffix}", lang=lang)
