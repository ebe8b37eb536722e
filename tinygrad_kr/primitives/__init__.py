"""The catalogue of what can be differentiated, grouped as NumPy groups it."""

from tinygrad_kr.primitives import (
    activations,
    convolution,
    einsum,
    elementwise,
    indexing,
    linalg,
    losses,
    reductions,
    shaping,
    without_gradient,
)

__all__ = [
    "activations",
    "convolution",
    "einsum",
    "elementwise",
    "indexing",
    "linalg",
    "losses",
    "reductions",
    "shaping",
    "without_gradient",
]
