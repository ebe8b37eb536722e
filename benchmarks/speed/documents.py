"""The documents' TwoLayerNet in plain functions (002, with its errata mended).

``np`` is any namespace that speaks NumPy: the functions do not know whether they are fed arrays or something that
records what is done to it.
"""

from __future__ import annotations

from typing import Any

Array = Any
DELTA = 1e-7  # of cross_entropy_error


def sigmoid(np: Any, x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(np: Any, x: Array) -> Array:
    exp_x = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return exp_x / np.sum(exp_x, axis=-1, keepdims=True)


def cross_entropy_error(np: Any, y: Array, t: Array) -> Array:
    return -np.sum(np.log(y[np.arange(len(t)), t] + DELTA)) / len(t)


def loss(np: Any, parameters: Any, x: Array, t: Array) -> Array:
    W1, b1, W2, b2 = parameters
    z1 = sigmoid(np, np.dot(x, W1) + b1)
    y = softmax(np, np.dot(z1, W2) + b2)
    return cross_entropy_error(np, y, t)
