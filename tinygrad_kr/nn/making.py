"""What layers share when they are made: checks, random generators, weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.common import arguments
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.nn.init import Initializer

__all__ = ["generator", "positive", "weights"]


def positive(layer: str, **sizes: Any) -> None:
    """Raise ValueError unless sizes are positive integers."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{layer}: {name} must be an integer of at least 1, got {size!r}")


def generator(layer: str, rng: np.random.Generator | None) -> np.random.Generator:
    """Return the random generator, or a fresh one for None."""
    return np.random.default_rng() if rng is None else arguments.generator(rng, layer)


def weights(
    layer: str, shape: tuple[int, ...], init: Initializer, rng: np.random.Generator | None, dtype: Any
) -> Tensor:
    """Return a layer's initial weights, the parameter W."""
    values = np.asarray(init(shape, generator(layer, rng)))
    if values.shape != shape:
        raise ShapeError(f"{layer}: init was asked for weights of shape {shape}, and made {values.shape}")
    return Tensor(values.astype(dtype), requires_grad=True, name="W")
