"""Layers of images: convolution and pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr import functional as F
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.nn.init import Initializer, he_normal
from tinygrad_kr.nn.making import positive, weights
from tinygrad_kr.nn.module import Module

__all__ = ["AvgPool2d", "Conv2d", "MaxPool2d"]

Pair = int | tuple[int, int]


class Conv2d(Module):
    """Slide filters over images: each output pixel is a weighted sum of a window, over all channels.

    Parameters
    ----------
    c_in, c_out : int
        The number of channels that go in and out; c_out is the number of filters.
    size : int or (int, int)
        Height and width of the filters.
    stride : int or (int, int)
        How far a window is from the next.
    padding : int or (int, int)
        How many zeros to add around the image.
    bias : bool
        Whether to add b, one number for each filter.
    rng : numpy.random.Generator, optional
        Draws the initial filters.
    init : callable
        Makes them of a shape and the generator: one of ``nn.init``. Default: He's, for ReLU; b begins with zeros.
    dtype : numpy dtype
        float64, or float32 for speed.

    Attributes
    ----------
    W : Tensor of shape (c_out, c_in, height, width)
    b : Tensor of shape (c_out,), or None

    Raises
    ------
    ValueError
        If a size is not positive.
    ShapeError
        When called, if x is not (N, c_in, H, W), or smaller than the filters.

    Notes
    -----
    The book, chapter 7. The output has (H + 2 padding - height) // stride + 1 rows; columns likewise.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import nn
    >>> layer = nn.Conv2d(1, 8, 5, padding=2, rng=np.random.default_rng(0))
    >>> layer(np.ones((2, 1, 28, 28))).shape
    (2, 8, 28, 28)
    """

    stride: int | tuple[int, int]
    padding: int | tuple[int, int]

    def __init__(
        self,
        c_in: int,
        c_out: int,
        size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        init: Initializer = he_normal,
        dtype: Any = np.float64,
    ) -> None:
        height, width = size if isinstance(size, tuple) else (size, size)
        positive("Conv2d", c_in=c_in, c_out=c_out, height=height, width=width)
        self.stride, self.padding = stride, padding
        self.W = weights("Conv2d", (c_out, c_in, height, width), init, rng, dtype)
        self.b: Tensor | None = Tensor(np.zeros(c_out, dtype), requires_grad=True, name="b") if bias else None

    def options(self) -> str:
        """Return channels, size, and what is not the default."""
        c_out, c_in, height, width = self.W.shape
        size = height if height == width else (height, width)
        stride = f", stride={self.stride}" if self.stride != 1 else ""
        padding = f", padding={self.padding}" if self.padding != 0 else ""
        return f"{c_in}, {c_out}, {size}{stride}{padding}" + (", bias=False" if self.b is None else "")

    def forward(self, x: Any) -> Any:
        """Return the filtered images, of shape (N, c_out, rows, columns), for x of shape (N, c_in, H, W)."""
        shape, channels = np.shape(x), self.W.shape[1]
        if len(shape) != 4 or shape[1] != channels:
            raise ShapeError(
                f"{self.title()}: x must be images with {channels} channels\n"
                f"  x {shape},  W {self.W.shape}\n"
                f"  expected x (N, {channels}, H, W); for images without channels x[:, np.newaxis]"
            )
        return F.conv2d(x, self.W, self.b, stride=self.stride, padding=self.padding)


class _Pool2d(Module):
    """What the poolings share: the window."""

    size: int | tuple[int, int]
    stride: int | tuple[int, int] | None
    padding: int | tuple[int, int]

    def __init__(self, size: Pair = 2, stride: Pair | None = None, padding: Pair = 0) -> None:
        self.size, self.stride, self.padding = size, stride, padding

    def options(self) -> str:
        """Return the size, and what is not the default."""
        stride = f", stride={self.stride}" if self.stride is not None else ""
        return f"{self.size}{stride}" + (f", padding={self.padding}" if self.padding != 0 else "")


class MaxPool2d(_Pool2d):
    """Keep the largest pixel of each window, in each channel: ``functional.max_pool2d``.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the windows.
    stride : int or (int, int), optional
        How far a window is from the next. Default: its size, so that windows lie side by side.
    padding : int or (int, int)
        How many pixels to add around the image, which are never the largest.

    Notes
    -----
    The book, section 7.3. Pixels that are equally large share the gradient equally.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    def forward(self, x: Any) -> Any:
        """Return the largest pixels, of shape (N, C, rows, columns), for x of shape (N, C, H, W)."""
        return F.max_pool2d(x, self.size, stride=self.stride, padding=self.padding)


class AvgPool2d(_Pool2d):
    """Take the mean of each window, in each channel: ``functional.avg_pool2d``.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the windows.
    stride : int or (int, int), optional
        How far a window is from the next. Default: its size, so that windows lie side by side.
    padding : int or (int, int)
        How many zeros to add around the image; they count in the mean.

    Examples
    --------
    >>> import numpy as np
    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """

    def forward(self, x: Any) -> Any:
        """Return the means, of shape (N, C, rows, columns), for x of shape (N, C, H, W)."""
        return F.avg_pool2d(x, self.size, stride=self.stride, padding=self.padding)
