"""Activation functions (study notes 002 and 004, and the field's common ones).

At their kinks: relu'(0) = 0, leaky_relu'(0) = slope, elu'(0) = alpha.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.engine.callers import warn
from tinygrad_kr.engine.graph import mode
from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.primitives.reductions import spread, valid_axis


def _sigmoid(x: Any) -> Any:
    """Keep both exponents at or below 0, so that neither can overflow."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


GELU = (2 / np.pi) ** 0.5


def _gelu_slope(x: Any) -> Any:
    """What goes into the tanh of gelu; beyond 10 tanh is 1, and x**3 would overflow."""
    x = np.clip(x, -10, 10)
    return float(GELU) * (x + 0.044715 * x**3)


def _gelu_bend(x: Any) -> Any:
    return float(GELU) * (1 + 3 * 0.044715 * np.clip(x, -10, 10) ** 2)


def _tanh_slope(x: Any) -> Any:
    return 1 - np.tanh(x) ** 2


def _step_rule(g: Any) -> Any:
    if mode.get().debugging:
        warn("the gradient of step is 0 everywhere, so nothing before it can learn; use sigmoid or relu instead")
    return np.zeros_like(g)


sigmoid: Primitive = Primitive("sigmoid", _sigmoid, real=True, x=lambda g, y: g * y * (1 - y))
relu: Primitive = Primitive("relu", lambda x: np.maximum(x, 0), x=lambda g, y: g * np.sign(y))
leaky_relu: Primitive = Primitive(
    "leaky_relu",
    lambda x, *, slope=0.01: np.maximum(x, 0) + slope * np.minimum(x, 0),
    real=True,
    x=lambda g, x, slope: np.where(x > 0, g, slope * g),
)
elu: Primitive = Primitive(
    "elu",
    lambda x, *, alpha=1.0: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0)),
    real=True,
    x=lambda g, x, alpha: np.where(x > 0, g, g * alpha * np.exp(np.minimum(x, 0))),
)
silu: Primitive = Primitive(
    "silu", lambda x: x * _sigmoid(x), real=True, x=lambda g, x: g * sigmoid(x) * (1 + x * sigmoid(-x))
)
gelu: Primitive = Primitive(
    "gelu",
    lambda x: 0.5 * x * (1 + np.tanh(_gelu_slope(x))),
    real=True,
    x=lambda g, x: g * (0.5 * (1 + np.tanh(_gelu_slope(x))) + 0.5 * x * _tanh_slope(_gelu_slope(x)) * _gelu_bend(x)),
)
softplus: Primitive = Primitive("softplus", lambda x: np.logaddexp(x, 0), real=True, x=lambda g, x: g * sigmoid(x))
softsign: Primitive = Primitive(
    "softsign", lambda x: x / (1 + np.abs(x)), real=True, x=lambda g, x: g / (1 + np.abs(x)) ** 2
)
step: Primitive = Primitive("step", lambda x: np.where(x > 0, np.ones_like(x), 0), x=_step_rule)


@np.errstate(over="ignore")  # scores may be further apart than the largest number
def _softmax(x: Any, *, axis: int = -1) -> Any:
    """Shift by the maximum first, so that no exponential overflows."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@np.errstate(over="ignore")
def _log_softmax(x: Any, *, axis: int = -1) -> Any:
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


softmax: Primitive = Primitive(
    "softmax",
    _softmax,
    expects=valid_axis,
    real=True,
    x=lambda g, y, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)),
)
log_softmax: Primitive = Primitive(
    "log_softmax",
    _log_softmax,
    expects=valid_axis,
    real=True,
    x=lambda g, y, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True),
)


@np.errstate(over="ignore")  # elements may be further apart than the largest number
def _logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.logaddexp.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]


logsumexp: Primitive = Primitive(
    "logsumexp",
    _logsumexp,
    expects=valid_axis,
    real=True,
    x=lambda g, x, axis, keepdims: spread(g, x.shape, axis, keepdims) * softmax(x, axis=axis),
)
