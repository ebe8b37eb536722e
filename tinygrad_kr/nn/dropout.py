"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.nn.making import generator
from tinygrad_kr.nn.module import Module

__all__ = ["Dropout"]


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
