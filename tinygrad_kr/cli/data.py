"""The digits to train on and to test with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinygrad_kr.cli.options import UsageError
from tinygrad_kr.datasets import load_mnist, load_mnist_sample
from tinygrad_kr.training.study_notes import Split

__all__ = ["load"]


def load(folder: Path | None, **settings: Any) -> tuple[str, Split, Split]:
    """Return the name of the data set, its training and its test examples."""
    if folder is None:
        return "MNIST sample", *load_mnist_sample(**settings)
    if not folder.is_dir():
        raise UsageError(f"--data {folder}: no such folder")
    return "MNIST", *load_mnist(folder, **settings)
