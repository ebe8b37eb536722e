"""MyGrad as it comes, with memory guarding on.

Parameters are updated through ``data``, which was faster than in place under ``no_autodiff``. It has no ``dot``, and a
Python number next to a float32 tensor makes float64: the documents' functions are written with ``matmul`` and with
numbers of the tensor's dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu
from mygrad.nnet.layers import conv_nd, max_pool
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.speed.documents import DELTA
from benchmarks.speed.workloads import ROUNDS_OF_CHAIN

array = np.array


def layers(parameters: list[Any], x: Any, t: Any) -> Any:
    *hidden, W, b = parameters
    for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
        x = relu(mg.matmul(x, weight) + bias)
    return softmax_crossentropy(mg.matmul(x, W) + b, t)


def lenet(parameters: list[Any], x: Any, t: Any) -> Any:
    W1, b1, W2, b2, *dense = parameters
    x = max_pool(relu(conv_nd(x, W1, stride=1, padding=2) + b1[:, np.newaxis, np.newaxis]), (2, 2), 2)
    x = max_pool(relu(conv_nd(x, W2, stride=1) + b2[:, np.newaxis, np.newaxis]), (2, 2), 2)
    return layers(dense, x.reshape(len(x), -1), t)


def chain(parameters: list[Any], y: Any, _: Any) -> Any:
    w, b = parameters
    for _ in range(ROUNDS_OF_CHAIN):
        y = mg.tanh(y * w + b)
    return mg.sum(y)


def documents(parameters: list[Any], x: Any, t: Any) -> Any:
    W1, b1, W2, b2 = parameters
    number = x.dtype.type
    z1 = number(1) / (number(1) + mg.exp(-(mg.matmul(x, W1) + b1)))
    scores = mg.matmul(z1, W2) + b2
    exp_x = mg.exp(scores - mg.max(scores, axis=-1, keepdims=True))
    y = exp_x / mg.sum(exp_x, axis=-1, keepdims=True)
    return -mg.sum(mg.log(y[np.arange(len(t)), t] + number(DELTA))) / number(len(t))


PROGRAMS = {"two_layers": layers, "layers": layers, "lenet": lenet, "chain": chain, "documents": documents}


class Training:
    def __init__(self, program: Callable[..., Any], parameters: list[Any], lr: float) -> None:
        self.loss = program
        self.parameters = [mg.tensor(values) for values in parameters]
        self.lr = lr

    def step(self, x: Any, t: Any) -> Any:
        loss = self.loss(self.parameters, x, t)
        loss.backward()
        for parameter in self.parameters:
            parameter.data -= self.lr * parameter.grad
        return loss

    def values(self) -> list[Any]:
        return [parameter.data for parameter in self.parameters]
