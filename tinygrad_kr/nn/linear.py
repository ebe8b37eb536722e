"""Layers: linear, flattening, one after the other, dropout."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_kr import functional as F
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.nn.init import Initializer, he_normal
from tinygrad_kr.nn.making import generator, positive, weights
from tinygrad_kr.nn.module import Module

__all__ = ["Dropout", "Flatten", "Linear", "Sequential"]


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


class Dropout(Module):
    """Set a random part of the activations to 0 while training, so that none is relied upon.

    What stays is divided by 1 - p, so that its mean stays what it was; in evaluation x passes unchanged.

    Parameters
    ----------
    p : float in [0, 1)
        The probability of 0, as in the field; 0 drops nothing.
    rng : numpy.random.Generator, optional
        Draws what stays. Layers may share one.

    Raises
    ------
    ValueError
        If p is not in [0, 1).

    Notes
    -----
    Srivastava et al. 2014; the book, section 6.4.3, scales in evaluation instead.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Dropout(0.5, rng=np.random.default_rng(1))
    >>> layer(np.ones(6))
    array([0., 2., 2., 2., 0., 0.])
    >>> layer.eval()(np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | None = None) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p is the probability to drop, at least 0 and less than 1; got {p}")
        self.p = p
        self.rng: np.random.Generator = generator("Dropout", rng)

    def options(self) -> str:
        """Return p."""
        return f"{self.p:g}"

    def forward(self, x: Any) -> Any:
        """Return x of any shape, some of it 0 and the rest larger; in evaluation, x."""
        if not self.training or self.p == 0:
            return x
        stays = self.rng.random(np.shape(x), dtype=np.float32) >= self.p
        dtype = x.dtype if hasattr(x, "dtype") and x.dtype.kind == "f" else np.float64
        return x * (stays / np.asarray(1 - self.p, dtype))
