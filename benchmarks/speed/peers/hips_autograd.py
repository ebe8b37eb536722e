"""HIPS autograd: value_and_grad over a list of arrays.

log-softmax is written out: it was as fast as logsumexp of autograd.scipy, and picking the labels' entries as fast as a
product with one-hot rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad

from benchmarks.speed import documents
from benchmarks.speed.workloads import ROUNDS_OF_CHAIN

array = np.array


def layers(parameters: list[Any], x: Any, t: Any) -> Any:
    *hidden, W, b = parameters
    for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
        x = np.maximum(np.dot(x, weight) + bias, 0)
    scores = np.dot(x, W) + b
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.sum(log_probabilities[np.arange(len(t)), t]) / len(t)


def chain(parameters: list[Any], y: Any, _: Any) -> Any:
    w, b = parameters
    for _ in range(ROUNDS_OF_CHAIN):
        y = np.tanh(y * w + b)
    return np.sum(y)


PROGRAMS = {
    "two_layers": layers,
    "layers": layers,
    "chain": chain,
    "documents": partial(documents.loss, np),
}


class Training:
    def __init__(self, program: Callable[..., Any], parameters: list[Any], lr: float) -> None:
        self.loss_and_gradients = value_and_grad(program)
        self.parameters = parameters
        self.lr = lr

    def step(self, x: Any, t: Any) -> Any:
        loss, gradients = self.loss_and_gradients(self.parameters, x, t)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter -= self.lr * gradient
        return loss

    def values(self) -> list[Any]:
        return self.parameters
