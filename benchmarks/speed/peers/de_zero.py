"""DeZero, the framework of the book's third volume. Version 0.0.13 cannot be imported with NumPy 1.24 or later.

The gradient of its max fails for a negative axis; hence axis=1 in the documents' softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dezero.functions as F
import numpy as np
from dezero import Parameter

from benchmarks.speed.documents import DELTA
from benchmarks.speed.workloads import ROUNDS_OF_CHAIN

array = np.array


def layers(parameters: list[Any], x: Any, t: Any) -> Any:
    *hidden, W, b = parameters
    for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
        x = F.relu(F.linear(x, weight, bias))
    return F.softmax_cross_entropy(F.linear(x, W, b), t)


def chain(parameters: list[Any], y: Any, _: Any) -> Any:
    w, b = parameters
    for _ in range(ROUNDS_OF_CHAIN):
        y = F.tanh(y * w + b)
    return F.sum(y)


def documents(parameters: list[Any], x: Any, t: Any) -> Any:
    W1, b1, W2, b2 = parameters
    z1 = 1 / (1 + F.exp(-(F.matmul(x, W1) + b1)))
    scores = F.matmul(z1, W2) + b2
    exp_x = F.exp(scores - F.max(scores, axis=1, keepdims=True))
    y = exp_x / F.sum(exp_x, axis=1, keepdims=True)
    return -F.sum(F.log(y[np.arange(len(t)), t] + DELTA)) / len(t)


PROGRAMS = {"two_layers": layers, "layers": layers, "chain": chain, "documents": documents}


class Training:
    def __init__(self, program: Callable[..., Any], parameters: list[Any], lr: float) -> None:
        self.loss = program
        self.parameters = [Parameter(values) for values in parameters]
        self.lr = lr

    def step(self, x: Any, t: Any) -> Any:
        for parameter in self.parameters:
            parameter.cleargrad()
        loss = self.loss(self.parameters, x, t)
        loss.backward()
        for parameter in self.parameters:
            parameter.data -= self.lr * parameter.grad.data
        return loss.data

    def values(self) -> list[Any]:
        return [parameter.data for parameter in self.parameters]
