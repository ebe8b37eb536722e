"""Layers in order, and the flattening between images and rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_kr.errors import ShapeError
from tinygrad_kr.nn.module import Module

__all__ = ["Flatten", "Sequential"]


class Flatten(Module):
    """Lay out all but the first axis in one: from images to what Linear takes.

    Examples
    --------
    >>> import numpy as np
    >>> Flatten()(np.ones((2, 3, 4, 5))).shape
    (2, 60)
    """

    def forward(self, x: Any) -> Any:
        """Return x of shape (N, ...) as (N, features)."""
        shape = np.shape(x)
        if not shape:
            raise ShapeError("Flatten(): expected x of shape (N, ...), got a single number")
        return np.reshape(x, (shape[0], math.prod(shape[1:])))


class Sequential(Module):
    """Modules, one after the other.

    Parameters
    ----------
    *layers : Module
        They are named layers.0, layers.1 and so on.

    Raises
    ------
    TypeError
        If one is no Module.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import nn
    >>> net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    >>> net(np.ones((2, 4))).shape
    (2, 3)
    >>> net
    Sequential(): 43 parameters
      layers.0: Linear(4, 5)  25  W (4, 5), b (5,)
      layers.1: ReLU()
      layers.2: Linear(5, 3)  18  W (5, 3), b (3,)
    """

    def __init__(self, *layers: Module) -> None:
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                name = getattr(layer, "__name__", None)
                raise TypeError(
                    f"Sequential: layer {i} must be a Module, got {name or type(layer).__name__}.\n"
                    "  pass instances, such as nn.ReLU(), not classes or functions"
                )
        self.layers: list[Module] = list(layers)

    def forward(self, x: Any) -> Any:
        """Return what the last layer makes of what those before it made of x."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __bool__(self) -> bool:
        return True  # a model, also if it has no layers

    def __getitem__(self, i: int) -> Module:
        return self.layers[i]

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)
