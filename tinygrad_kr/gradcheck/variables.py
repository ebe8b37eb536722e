"""Arrays that a check moves, and points: one array for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tensor import raw

__all__ = [
    "Point",
    "Variable",
    "Vector",
    "array_of",
    "index_of",
    "joined",
    "nearby",
    "position_of",
    "random_signs",
    "rough_size",
]

Vector = NDArray[np.float64]
Point = list[NDArray[np.float64]]
"""One array for each variable."""
SMALLEST_SIZE = 0.25


@dataclass(frozen=True)
class Variable:
    """A float array among the inputs, or a parameter of the model: what can be moved."""

    position: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_number: bool = False

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=int))


def joined(parts: Sequence[NDArray[Any]]) -> Vector:
    """Return the elements of arrays, one after the other, in float64."""
    return np.concatenate([np.empty(0), *(np.asarray(part, np.float64).ravel() for part in parts)])


def index_of(position: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index of an element, given by its position in the flattened array."""
    return tuple(int(i) for i in np.unravel_index(position, shape)) if shape else ()


def position_of(index: tuple[int, ...] | None, shape: tuple[int, ...]) -> int:
    """Return the position of an element in the flattened array."""
    return int(np.ravel_multi_index(index, shape)) if index else 0


def rough_size(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power of two below each magnitude, and 1/4 for what is smaller: a step's unit without rounding."""
    _, exponent = np.frexp(np.maximum(np.abs(x), SMALLEST_SIZE))
    return np.asarray(np.ldexp(1.0, exponent - 1), dtype=np.float64)


def random_signs(rng: np.random.Generator, shape: int | tuple[int, ...], least: float, most: float) -> Vector:
    """Draw numbers of either sign, with magnitudes between two positive bounds."""
    return np.asarray(rng.uniform(least, most, shape) * rng.choice([-1.0, 1.0], shape))


def nearby(rng: np.random.Generator, point: Point, sizes: Sequence[Vector], step: float) -> Point:
    """Draw a point at which every element is moved, by half a step to one step of its size."""
    return [x + step * size * random_signs(rng, x.shape, 0.5, 1) for x, size in zip(point, sizes, strict=True)]


def array_of(value: Any) -> NDArray[Any]:
    """Return a value of any framework as an array, in its own memory if it has some."""
    value = raw(value)
    return np.asarray(value.detach() if hasattr(value, "detach") else value)  # PyTorch refuses otherwise
