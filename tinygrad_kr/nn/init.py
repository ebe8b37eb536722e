"""How weights begin: functions of a shape and a random generator.

A weight of two axes is (in, out), one of more axes (out, in, height, width); from these come the *fans*: how many
numbers go into one output, and how many outputs one input goes to. Layers begin with ``he_normal``, which suits ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.errors import ShapeError

__all__ = [
    "Initializer",
    "fans",
    "fixed",
    "he_normal",
    "he_uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

Initializer = Callable[[tuple[int, ...], "np.random.Generator"], NDArray[Any]]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many numbers go into one output of a weight, and how many outputs one input goes to.

    Raises
    ------
    ShapeError
        If the shape has fewer than two axes.

    Examples
    --------
    >>> fans((784, 50)), fans((16, 3, 5, 5))
    ((784, 50), (75, 400))
    """
    if len(shape) < 2:
        raise ShapeError(
            f"a weight of shape {shape} has no fans\n  expected (in, out), or (out, in, height, width) of filters"
        )
    if len(shape) == 2:
        return shape
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def xavier_normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Draw from N(0, 2 / (fan_in + fan_out)): for sigmoid and tanh (Glorot and Bengio 2010).

    The book's simpler form, N(0, 1 / fan_in), is the same where fan_in = fan_out.

    Examples
    --------
    >>> float(np.std(xavier_normal((300, 500), np.random.default_rng(0))).round(3))
    0.05
    """
    return rng.normal(0, math.sqrt(2 / sum(fans(shape))), shape)


def xavier_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Draw uniformly from [-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16).

    Examples
    --------
    >>> bool(np.all(np.abs(xavier_uniform((2, 4), np.random.default_rng(0))) <= 1))
    True
    """
    return _uniform(2 / sum(fans(shape)), shape, rng)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator, slope: float = 0.0) -> NDArray[Any]:
    """Draw from N(0, 2 / ((1 + slope**2) fan_in)): for ReLU, and Leaky ReLU with that slope (He et al. 2015).

    Examples
    --------
    >>> float(np.std(he_normal((800, 100), np.random.default_rng(0))).round(3))
    0.05
    """
    return rng.normal(0, math.sqrt(2 / ((1 + slope**2) * fans(shape)[0])), shape)


def he_uniform(shape: tuple[int, ...], rng: np.random.Generator, slope: float = 0.0) -> NDArray[Any]:
    """Draw uniformly with the variance of ``he_normal``: from [-a, a) with a = sqrt(6 / ((1 + slope**2) fan_in)).

    Examples
    --------
    >>> bool(np.all(np.abs(he_uniform((6, 3), np.random.default_rng(0))) <= 1))
    True
    """
    return _uniform(2 / ((1 + slope**2) * fans(shape)[0]), shape, rng)


def fixed(std: float = 0.01) -> Initializer:
    """Return the study notes' choice: draw from N(0, std**2), whatever the size of the layer (study note 002, 4.5.1).

    Examples
    --------
    >>> draw = fixed(0.01)
    >>> draw((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """

    def fixed_normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
        return std * rng.standard_normal(shape)

    return fixed_normal


def zeros(shape: tuple[int, ...], rng: np.random.Generator | None = None) -> NDArray[Any]:
    """Return zeros: for biases. Weights of a hidden layer that are all equal stay equal.

    Examples
    --------
    >>> zeros((3,))
    array([0., 0., 0.])
    """
    return np.zeros(shape)


def _uniform(variance: float, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Draw uniformly around 0: on [-a, a) the variance is a**2 / 3."""
    a = math.sqrt(3 * variance)
    return rng.uniform(-a, a, shape)
