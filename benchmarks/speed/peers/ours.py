"""This package, as its users write it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.speed import documents
from benchmarks.speed.workloads import ROUNDS_OF_CHAIN
from tinygrad_kr import Tensor, no_grad
from tinygrad_kr import functional as F
from tinygrad_kr.models import TwoLayerNet

array = np.array
Program = tuple[list[Tensor], Callable[[Any, Any], Any]]  # the parameters, and the loss of a batch


def two_layers(arrays: list[Any]) -> Program:
    (inputs, hidden), _, (_, outputs), _ = (a.shape if a.ndim == 2 else (1, a.size) for a in arrays)
    net = TwoLayerNet(inputs, hidden, outputs, dtype=arrays[0].dtype)
    for parameter, values in zip(net.params.values(), arrays, strict=True):
        parameter.assign(values)
    return list(net.params.values()), net.loss


def of_parameters(loss: Callable[..., Any]) -> Callable[[list[Any]], Program]:
    """Make a program of a loss that takes its parameters as arguments."""

    def program(arrays: list[Any]) -> Program:
        parameters = [Tensor(values, requires_grad=True) for values in arrays]
        return parameters, partial(loss, parameters)

    return program


def layers(parameters: list[Tensor], x: Any, t: Any) -> Any:
    *hidden, W, b = parameters
    for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
        x = F.relu(F.linear(x, weight, bias))
    return F.softmax_cross_entropy(F.linear(x, W, b), t)


def lenet(parameters: list[Tensor], x: Any, t: Any) -> Any:
    W1, b1, W2, b2, *dense = parameters
    x = F.max_pool2d(F.relu(F.conv2d(x, W1, b1, padding=2)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, W2, b2)), 2)
    return layers(dense, x.reshape(len(x), -1), t)


def chain(parameters: list[Tensor], y: Any, _: Any) -> Any:
    w, b = parameters
    for _ in range(ROUNDS_OF_CHAIN):
        y = np.tanh(y * w + b)
    return np.sum(y)


PROGRAMS = {
    "two_layers": two_layers,
    "layers": of_parameters(layers),
    "lenet": of_parameters(lenet),
    "chain": of_parameters(chain),
    "documents": of_parameters(partial(documents.loss, np)),
}


class Training:
    def __init__(self, program: Callable[[list[Any]], Program], parameters: list[Any], lr: float) -> None:
        self.parameters, self.loss = program(parameters)
        self.lr = lr

    def step(self, x: Any, t: Any) -> Any:
        self.forget()
        loss = self.loss(x, t)
        loss.backward()
        self.update()
        return loss

    def forget(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def update(self) -> None:
        with no_grad():
            for parameter in self.parameters:
                parameter -= self.lr * parameter.grad

    def values(self) -> list[Any]:
        return [parameter.data for parameter in self.parameters]
