"""Networks of layers that the command line can train: two of its own, and the user's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr import nn
from tinygrad_kr.cli.options import UsageError
from tinygrad_kr.cli.user_code import function_at, importable, raised
from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import raw

__all__ = ["NETWORKS", "Network", "build", "scores"]

CLASSES = 10


@dataclass(frozen=True)
class Network:
    """A network with the number of epochs that it needs for MNIST."""

    make: Callable[[np.random.Generator], nn.Module]
    epochs: int


def _mlp(rng: np.random.Generator) -> nn.Module:
    """784-256-128-10, with ReLU and dropout."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256, rng=rng),
        nn.ReLU(),
        nn.Dropout(0.2, rng=rng),
        nn.Linear(256, 128, rng=rng),
        nn.ReLU(),
        nn.Dropout(0.2, rng=rng),
        nn.Linear(128, CLASSES, rng=rng),
    )


def _cnn(rng: np.random.Generator) -> nn.Module:
    """LeNet-5 (LeCun et al. 1998), with ReLU and max pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120, rng=rng),
        nn.ReLU(),
        nn.Linear(120, 84, rng=rng),
        nn.ReLU(),
        nn.Linear(84, CLASSES, rng=rng),
    )


NETWORKS = {"mlp": Network(_mlp, epochs=8), "cnn": Network(_cnn, epochs=5)}


def build(model: str, rng: np.random.Generator, dtype: Any) -> nn.Module:
    """Return the network of a name or of ``path.py:factory``, with initial weights.

    Raises
    ------
    UsageError, CommandError
        If a file has no such factory, or what it makes does not take images of digits.
    """
    if model in NETWORKS:
        return NETWORKS[model].make(rng).astype(dtype)
    with importable():
        factory = function_at(model, {})
        what = f"{Path(model.rpartition(':')[0]).name}:{model.rpartition(':')[2]}"
        try:
            made = factory(rng)
        except (Exception, SystemExit) as error:
            raise UsageError(raised(error, f"{what}(rng)")) from error
        if not isinstance(made, nn.Module):
            raise UsageError(f"{what}(rng) must return an nn.Module, got {type(made).__name__}")
        network = made.astype(dtype)
        try:
            shape = scores(network, np.zeros((2, 1, 28, 28), dtype)).shape
        except (Exception, SystemExit) as error:
            raise UsageError(raised(error, f"calling {what} with images of shape (2, 1, 28, 28)")) from error
    if shape != (2, CLASSES):
        raise UsageError(f"{what}: from images of shape (2, 1, 28, 28) expected scores of shape (2, 10), got {shape}")
    return network


def scores(network: nn.Module, images: NDArray[Any], chunk_size: int = 500) -> NDArray[Any]:
    """Return the scores of images in evaluation, in memory for one chunk of them."""
    training = network.training
    network.eval()
    try:
        with no_grad():
            chunks = [raw(network(images[i : i + chunk_size])) for i in range(0, len(images), chunk_size)]
    finally:
        if training:
            network.train()
    return np.concatenate(chunks)
