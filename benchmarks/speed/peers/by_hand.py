"""Textbook NumPy with the backward pass written by hand; in float64 it is the reference for all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.speed.documents import DELTA
from benchmarks.speed.workloads import ROUNDS_OF_CHAIN

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
    loss, gradients, _ = dense_layers(parameters, x, t)
    return loss, gradients


def dense_layers(parameters: list[Any], x: Any, t: Any) -> tuple[Any, list[Any], Any]:
    """Return the loss, its gradients, and the gradient with respect to what the first layer gives."""
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
    return loss, gradients, da


def im2col(x: Any, size: int) -> Any:
    """Lay every window of images (N, C, H, W) out as a row, as the book does."""
    n, channels, height, width = x.shape
    rows, columns = height - size + 1, width - size + 1
    col = np.empty((n, channels, size, size, rows, columns), x.dtype)
    for i in range(size):
        for j in range(size):
            col[:, :, i, j] = x[:, :, i : i + rows, j : j + columns]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * rows * columns, -1)


def col2im(col: Any, shape: tuple[int, ...], size: int) -> Any:
    """Add rows up to images again."""
    n, channels, height, width = shape
    rows, columns = height - size + 1, width - size + 1
    col = col.reshape(n, rows, columns, channels, size, size).transpose(0, 3, 4, 5, 1, 2)
    x = np.zeros(shape, col.dtype)
    for i in range(size):
        for j in range(size):
            x[:, :, i : i + rows, j : j + columns] += col[:, :, i, j]
    return x


def pool(x: Any) -> tuple[Any, Any]:
    """Return the largest of two by two pixels, and where in the four it is."""
    n, channels, height, width = x.shape
    fours = x.reshape(n, channels, height // 2, 2, width // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(-1, 4)
    where = np.argmax(fours, axis=1)
    return fours[np.arange(len(fours)), where].reshape(n, channels, height // 2, width // 2), where


def unpool(d: Any, where: Any) -> Any:
    n, channels, height, width = d.shape
    fours = np.zeros((d.size, 4), d.dtype)
    fours[np.arange(d.size), where] = d.ravel()
    fours = fours.reshape(n, channels, height, width, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return fours.reshape(n, channels, 2 * height, 2 * width)


def lenet(parameters: list[Any], x: Any, t: Any) -> Gradients:
    (W1, b1, W2, b2, *dense), n = parameters, len(x)
    col1 = im2col(np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2))), 5)
    a1 = (np.dot(col1, W1.reshape(6, -1).T) + b1).reshape(n, 28, 28, 6).transpose(0, 3, 1, 2)
    z1, where1 = pool(np.maximum(a1, 0))
    col2 = im2col(z1, 5)
    a2 = (np.dot(col2, W2.reshape(16, -1).T) + b2).reshape(n, 10, 10, 16).transpose(0, 3, 1, 2)
    z2, where2 = pool(np.maximum(a2, 0))
    loss, gradients, da3 = dense_layers(dense, z2.reshape(n, -1), t)

    dz2 = np.dot(da3, dense[0].T).reshape(z2.shape)
    da2 = (unpool(dz2, where2) * (a2 > 0)).transpose(0, 2, 3, 1).reshape(-1, 16)
    dW2 = np.dot(da2.T, col2).reshape(W2.shape)
    db2 = np.sum(da2, axis=0)
    dz1 = col2im(np.dot(da2, W2.reshape(16, -1)), z1.shape, 5)
    da1 = (unpool(dz1, where1) * (a1 > 0)).transpose(0, 2, 3, 1).reshape(-1, 6)
    dW1 = np.dot(da1.T, col1).reshape(W1.shape)
    db1 = np.sum(da1, axis=0)
    return loss, [dW1, db1, dW2, db2, *gradients]


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


PROGRAMS = {"two_layers": two_layers, "layers": layers, "lenet": lenet, "chain": chain, "documents": documents}


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
