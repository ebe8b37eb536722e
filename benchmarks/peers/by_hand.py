"""Textbook NumPy with the backward pass written by hand; in float64 it is the reference for all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.documents import DELTA
from benchmarks.workloads import ROUNDS_OF_CHAIN

array = np.array
Gradients = tuple[Any, list[Any]]  # the loss, and its gradient with respect to each parameter


def softmax(x: Any) -> Any:
    exp_x = np.exp(x - np.max(x, axis=1, keepdims=True))
    return exp_x / np.sum(exp_x, axis=1, keepdims=True)


def cross_entropy(y: Any, t: Any, delta: float = 0.0) -> Any:
    return -np.sum(np.log(y[np.arange(len(t)), t] + delta)) / len(t)


def scores_gradient(y: Any, t: Any) -> Any:
    """Return the gradient of the cross-entropy of y = softmax(scores) with respect to the scores."""
    dy = y.copy()
    dy[np.arange(len(t)), t] -= 1
    return dy / len(t)


def two_layers(parameters: list[Any], x: Any, t: Any) -> Gradients:
    W1, b1, W2, b2 = parameters
    a1 = np.dot(x, W1) + b1
    z1 = np.maximum(a1, 0)
    y = softmax(np.dot(z1, W2) + b2)
    loss = cross_entropy(y, t)

    da2 = scores_gradient(y, t)
    dW2 = np.dot(z1.T, da2)
    db2 = np.sum(da2, axis=0)
    da1 = np.dot(da2, W2.T) * (a1 > 0)
    dW1 = np.dot(x.T, da1)
    db1 = np.sum(da1, axis=0)
    return loss, [dW1, db1, dW2, db2]


def layers(parameters: list[Any], x: Any, t: Any) -> Gradients:
    weights, biases = parameters[::2], parameters[1::2]
    inputs = [x]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        inputs.append(np.maximum(np.dot(inputs[-1], W) + b, 0))
    y = softmax(np.dot(inputs[-1], weights[-1]) + biases[-1])
    loss = cross_entropy(y, t)

    gradients: list[Any] = []
    da = scores_gradient(y, t)
    for i in reversed(range(len(weights))):
        gradients = [np.dot(inputs[i].T, da), np.sum(da, axis=0), *gradients]
        if i > 0:
            da = np.dot(da, weights[i].T) * (inputs[i] > 0)
    return loss, gradients


def chain(parameters: list[Any], x: Any, _: Any) -> Gradients:
    w, b = parameters
    ys = [x]
    for _ in range(ROUNDS_OF_CHAIN):
        ys.append(np.tanh(ys[-1] * w + b))
    loss = np.sum(ys[-1])

    dw, db, dy = np.zeros_like(w), np.zeros_like(b), np.ones_like(x)
    for i in reversed(range(ROUNDS_OF_CHAIN)):
        da = dy * (1 - ys[i + 1] ** 2)
        dw += da * ys[i]
        db += da
        dy = da * w
    return loss, [dw, db]


def documents(parameters: list[Any], x: Any, t: Any) -> Gradients:
    W1, b1, W2, b2 = parameters
    z1 = 1 / (1 + np.exp(-(np.dot(x, W1) + b1)))
    y = softmax(np.dot(z1, W2) + b2)
    loss = cross_entropy(y, t, DELTA)

    p = y[np.arange(len(t)), t]
    da2 = scores_gradient(y, t) * (p / (p + DELTA))[:, np.newaxis]
    dW2 = np.dot(z1.T, da2)
    db2 = np.sum(da2, axis=0)
    da1 = np.dot(da2, W2.T) * z1 * (1 - z1)
    dW1 = np.dot(x.T, da1)
    db1 = np.sum(da1, axis=0)
    return loss, [dW1, db1, dW2, db2]


PROGRAMS = {"two_layers": two_layers, "layers": layers, "chain": chain, "documents": documents}


class Training:
    def __init__(self, program: Callable[..., Gradients], parameters: list[Any], lr: float) -> None:
        self.gradient = program
        self.parameters = parameters
        self.lr = lr

    def step(self, x: Any, t: Any) -> Any:
        loss, gradients = self.gradient(self.parameters, x, t)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter -= self.lr * gradient
        return loss

    def values(self) -> list[Any]:
        return self.parameters
