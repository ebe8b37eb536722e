"""Activations as layers, for ``Sequential``: each is the function of ``functional`` of the same name."""

from __future__ import annotations

from typing import Any, ClassVar

from tinygrad_kr import functional as F
from tinygrad_kr.nn.module import Module

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Identity",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]


class _Activation(Module):
    """A function of ``functional`` without options."""

    function: ClassVar[F.LikeOperand[[]]]

    def forward(self, x: Any) -> Any:
        """Apply the function to x of any shape."""
        return type(self).function(x)


class ReLU(_Activation):
    """max(x, 0): ``functional.relu``.

    Examples
    --------
    >>> import numpy as np
    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    function: ClassVar[F.LikeOperand[[]]] = F.relu


class Sigmoid(_Activation):
    """1 / (1 + exp(-x)): ``functional.sigmoid``."""

    function: ClassVar[F.LikeOperand[[]]] = F.sigmoid


class Tanh(_Activation):
    """``functional.tanh``."""

    function: ClassVar[F.LikeOperand[[]]] = F.tanh


class SELU(_Activation):
    """Scaled ELU: ``functional.selu``."""

    function: ClassVar[F.LikeOperand[[]]] = F.selu


class GELU(_Activation):
    """x times the normal distribution function, in its tanh form: ``functional.gelu``."""

    function: ClassVar[F.LikeOperand[[]]] = F.gelu


class SiLU(_Activation):
    """x sigmoid(x): ``functional.silu``."""

    function: ClassVar[F.LikeOperand[[]]] = F.silu


class Softplus(_Activation):
    """log(1 + exp(x)): ``functional.softplus``."""

    function: ClassVar[F.LikeOperand[[]]] = F.softplus


class Softsign(_Activation):
    """x / (1 + abs(x)): ``functional.softsign``."""

    function: ClassVar[F.LikeOperand[[]]] = F.softsign


class Identity(_Activation):
    """x: ``functional.identity``."""

    function: ClassVar[F.LikeOperand[[]]] = F.identity


class LeakyReLU(Module):
    """x if x > 0, else slope * x: ``functional.leaky_relu``."""

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def options(self) -> str:
        """Return the slope."""
        return f"{self.slope:g}"

    def forward(self, x: Any) -> Any:
        """Apply the function to x of any shape."""
        return F.leaky_relu(x, slope=self.slope)


class ELU(Module):
    """x if x > 0, else alpha (exp(x) - 1): ``functional.elu``."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def options(self) -> str:
        """Return alpha."""
        return f"{self.alpha:g}"

    def forward(self, x: Any) -> Any:
        """Apply the function to x of any shape."""
        return F.elu(x, alpha=self.alpha)


class Softmax(Module):
    """Probabilities along an axis: ``functional.softmax``. To train, leave it out: use ``softmax_cross_entropy``."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def options(self) -> str:
        """Return the axis, if it is not the last."""
        return "" if self.axis == -1 else f"axis={self.axis}"

    def forward(self, x: Any) -> Any:
        """Apply the function to x, with the classes along the axis."""
        return F.softmax(x, axis=self.axis)


class LogSoftmax(Softmax):
    """Logarithm of the probabilities along an axis: ``functional.log_softmax``."""

    def forward(self, x: Any) -> Any:
        """Apply the function to x, with the classes along the axis."""
        return F.log_softmax(x, axis=self.axis)
