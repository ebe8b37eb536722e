"""Normalization layers: activations of mean 0 and variance 1, scaled and shifted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.nn.making import positive
from tinygrad_kr.nn.module import Module
from tinygrad_kr.primitives.reductions import moments, standardize

__all__ = ["BatchNorm", "LayerNorm"]


class BatchNorm(Module):
    """Normalise each feature over the batch; of images, each channel over the batch and all pixels.

    y = gamma (x - mean) / sqrt(var + eps) + beta. While training, mean and var are the batch's; in evaluation the
    running ones, which every training pass moves towards the batch's.

    Parameters
    ----------
    n : int
        The number of features, or of channels.
    momentum : float in [0, 1]
        The part of the old running value that stays, as in the book. PyTorch counts the other part: its momentum is
        1 minus this one.
    eps : float
        Keeps the division finite where a feature does not vary.
    dtype : numpy dtype
        float64, or float32 for speed.

    Attributes
    ----------
    gamma, beta : Tensor of shape (n,)
        Scale and shift, 1 and 0 at first.
    running_mean, running_var : numpy.ndarray of shape (n,)
        Buffers, 0 and 1 at first. The running variance is the unbiased one, divided by the number of values minus 1,
        as in PyTorch; the batch is normalised with the other, divided by the number of values. Every pass while
        training moves them, also one under ``no_grad()`` or of a gradient check.

    Raises
    ------
    ValueError
        If n is not positive, momentum not in [0, 1], or eps not positive.
    ShapeError
        When called, if x is neither (N, n) nor (N, n, H, W); while training, if there is but one value per feature.

    Notes
    -----
    Ioffe and Szegedy 2015; the book, section 6.3.

    Examples
    --------
    >>> import numpy as np
    from numpy.typing import NDArray
    >>> from tinygrad_kr import nn
    >>> layer = nn.BatchNorm(2)
    >>> layer(np.array([[1.0, 10.0], [3.0, 30.0]])).data.round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> layer.running_mean, layer.running_var
    (array([0.2, 2. ]), array([ 1.1, 20.9]))
    """

    momentum: float
    eps: float
    gamma: Tensor
    beta: Tensor
    running_mean: NDArray[Any]
    running_var: NDArray[Any]

    def __init__(self, n: int, momentum: float = 0.9, eps: float = 1e-5, *, dtype: Any = np.float64) -> None:
        positive("BatchNorm", n=n)
        if not 0 <= momentum <= 1:
            raise ValueError(f"BatchNorm: momentum is the part of the old value, from 0 to 1; got {momentum}")
        self.momentum, self.eps = momentum, _checked_eps("BatchNorm", eps)
        self.gamma = Tensor(np.ones(n, dtype), requires_grad=True, name="gamma")
        self.beta = Tensor(np.zeros(n, dtype), requires_grad=True, name="beta")
        self.running_mean = np.zeros(n, dtype)
        self.running_var = np.ones(n, dtype)

    def options(self) -> str:
        """Return the number of features."""
        return f"{self.gamma.size}"

    def forward(self, x: Any) -> Any:
        """Return x of shape (N, n) or (N, n, H, W), normalised, scaled and shifted."""
        shape, n = np.shape(x), self.gamma.size
        if len(shape) not in (2, 4) or shape[1] != n:
            raise ShapeError(
                f"{self.title()}: x must have {n} features along its second axis\n"
                f"  x {shape},  gamma {self.gamma.shape}\n  expected x (N, {n}) or (N, {n}, H, W)"
            )
        column = (n, *(1,) * (len(shape) - 2))  # broadcasts over the batch and the pixels
        gamma, beta = np.reshape(self.gamma, column), np.reshape(self.beta, column)
        if not self.training:
            mean, var = self.running_mean.reshape(column), self.running_var.reshape(column)
            return (x - mean) * (gamma / np.sqrt(var + self.eps)) + beta
        axes = (0, 2, 3)[: len(shape) - 1]
        count = math.prod(shape[axis] for axis in axes)
        if count < 2:
            raise ShapeError(
                f"{self.title()}: one value per feature has no variance\n  x {shape}\n"
                "  train with batches of 2 or more, or call eval() first"
            )

        mean, var = moments(raw(x), axes)
        y = standardize(x, axis=axes, eps=self.eps, known=(mean, var))
        if not np.add.reduce(var, axis=None) < np.inf:
            var = np.where(np.isinf(var), np.nan, var)  # infinite, it would turn every later output to 0 in silence
        _move(self.running_mean, mean, self.momentum)
        _move(self.running_var, var * (count / (count - 1)), self.momentum)
        return y * gamma + beta


class LayerNorm(Module):
    """Normalise each sample over its features: the last axis.

    y = gamma (x - mean) / sqrt(var + eps) + beta, in training and evaluation alike.

    Parameters
    ----------
    n : int
        The number of features.
    eps : float
        Keeps the division finite where all features are equal.
    dtype : numpy dtype
        float64, or float32 for speed.

    Attributes
    ----------
    gamma, beta : Tensor of shape (n,)
        Scale and shift, 1 and 0 at first.

    Raises
    ------
    ValueError
        If n or eps is not positive.
    ShapeError
        When called, if the last axis of x is not n.

    Notes
    -----
    Ba, Kiros and Hinton 2016. The variance is divided by n, not n - 1.

    Examples
    --------
    >>> import numpy as np
    from numpy.typing import NDArray
    >>> from tinygrad_kr import nn
    >>> nn.LayerNorm(2)(np.array([[1.0, 3.0], [10.0, 30.0]])).data.round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    eps: float
    gamma: Tensor
    beta: Tensor

    def __init__(self, n: int, eps: float = 1e-5, *, dtype: Any = np.float64) -> None:
        positive("LayerNorm", n=n)
        self.eps = _checked_eps("LayerNorm", eps)
        self.gamma = Tensor(np.ones(n, dtype), requires_grad=True, name="gamma")
        self.beta = Tensor(np.zeros(n, dtype), requires_grad=True, name="beta")

    def options(self) -> str:
        """Return the number of features."""
        return f"{self.gamma.size}"

    def forward(self, x: Any) -> Any:
        """Return x of shape (..., n), normalised, scaled and shifted."""
        if np.shape(x)[-1:] != self.gamma.shape:
            raise ShapeError(
                f"{self.title()}: x must have {self.gamma.size} features along its last axis\n"
                f"  x {np.shape(x)},  gamma {self.gamma.shape}\n  expected x (..., {self.gamma.size})"
            )
        return standardize(x, axis=-1, eps=self.eps) * self.gamma + self.beta


def _move(running: Any, new: Any, momentum: float) -> None:
    """Move a running value towards a new one, in place."""
    running *= momentum
    running += (1 - momentum) * new.reshape(running.shape)


def _checked_eps(layer: str, eps: float) -> float:
    if not eps > 0:
        raise ValueError(f"{layer}: eps must be positive, got {eps}")
    return eps
