"""The linear layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr import functional as F
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.nn.init import Initializer, he_normal
from tinygrad_kr.nn.making import positive, weights
from tinygrad_kr.nn.module import Module

__all__ = ["Linear"]


class Linear(Module):
    """x W + b: each output is a weighted sum of all inputs. The book calls it Affine.

    Parameters
    ----------
    n_in, n_out : int
        The number of features that go in and out.
    bias : bool
        Whether to add b. Before a BatchNorm, which subtracts the mean, it has no effect.
    rng : numpy.random.Generator, optional
        Draws the initial weights.
    init : callable
        Makes them of a shape and the generator: one of ``nn.init``. Default: He's, for ReLU; b begins with zeros.
    dtype : numpy dtype
        float64, or float32 for speed.

    Attributes
    ----------
    W : Tensor of shape (n_in, n_out)
    b : Tensor of shape (n_out,), or None

    Raises
    ------
    ValueError
        If a size is not positive.
    ShapeError
        When called, if the last axis of x is not n_in.

    Notes
    -----
    Study note 002, 4.5; the book, section 5.6.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import nn
    >>> layer = nn.Linear(4, 3, rng=np.random.default_rng(0))
    >>> layer(np.ones((2, 4))).shape
    (2, 3)
    >>> layer
    Linear(4, 3): 15 parameters, W (4, 3), b (3,)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        init: Initializer = he_normal,
        dtype: Any = np.float64,
    ) -> None:
        positive("Linear", n_in=n_in, n_out=n_out)
        self.W = weights("Linear", (n_in, n_out), init, rng, dtype)
        self.b: Tensor | None = Tensor(np.zeros(n_out, dtype), requires_grad=True, name="b") if bias else None

    def options(self) -> str:
        """Return the sizes."""
        n_in, n_out = self.W.shape
        return f"{n_in}, {n_out}" + (", bias=False" if self.b is None else "")

    def forward(self, x: Any) -> Any:
        """Return x W + b of shape (..., n_out), for x of shape (..., n_in)."""
        if np.shape(x)[-1:] != self.W.shape[:1]:
            hint = "; images go through Flatten() first" if np.ndim(x) > 2 else ""
            raise ShapeError(
                f"{self.title()}: the last axis of x must hold the {self.W.shape[0]} features\n"
                f"  x {np.shape(x)},  W {self.W.shape}\n  expected x (..., {self.W.shape[0]}){hint}"
            )
        return np.dot(x, self.W) if self.b is None else F.linear(x, self.W, self.b)
