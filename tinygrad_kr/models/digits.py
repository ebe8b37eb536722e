"""Networks for images of digits of shape (N, 1, 28, 28): those that the command line trains by name."""

from __future__ import annotations

import numpy as np

from tinygrad_kr import nn

__all__ = ["cnn", "mlp"]

CLASSES = 10


def mlp(rng: np.random.Generator) -> nn.Module:
    """Return a network 784-256-128-10 with ReLU and dropout.

    Examples
    --------
    >>> mlp(np.random.default_rng(0))(np.zeros((2, 1, 28, 28))).shape
    (2, 10)
    """
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


def cnn(rng: np.random.Generator) -> nn.Module:
    """Return LeNet-5 (LeCun et al. 1998) with ReLU and max pooling.

    Examples
    --------
    >>> cnn(np.random.default_rng(0))(np.zeros((2, 1, 28, 28))).shape
    (2, 10)
    """
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
