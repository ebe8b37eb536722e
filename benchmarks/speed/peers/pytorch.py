"""PyTorch eager: nn.functional on plain parameters, which is faster than modules.

The update is written out: ``p.add_(p.grad, alpha=-lr)`` was faster than torch.optim.SGD in each of its forms (plain,
foreach, fused), which all spend some 100 microseconds in bookkeeping. Weights lie as nn.Linear keeps them, (out, in),
filters as nn.Conv2d keeps them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.speed.documents import DELTA
from benchmarks.speed.workloads import ROUNDS_OF_CHAIN

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

array = torch.tensor


def layers(parameters: list[Any], x: Any, t: Any) -> Any:
    *hidden, W, b = parameters
    for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
        x = F.relu(F.linear(x, weight, bias))
    return F.cross_entropy(F.linear(x, W, b), t)


def lenet(parameters: list[Any], x: Any, t: Any) -> Any:
    W1, b1, W2, b2, *dense = parameters
    x = F.max_pool2d(F.relu(F.conv2d(x, W1, b1, padding=2)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, W2, b2)), 2)
    return layers(dense, x.flatten(1), t)


def chain(parameters: list[Any], y: Any, _: Any) -> Any:
    w, b = parameters
    for _ in range(ROUNDS_OF_CHAIN):
        y = torch.tanh(y * w + b)
    return y.sum()


def documents(parameters: list[Any], x: Any, t: Any) -> Any:
    W1, b1, W2, b2 = parameters
    z1 = 1 / (1 + torch.exp(-(x @ W1.T + b1)))
    scores = z1 @ W2.T + b2
    exp_x = torch.exp(scores - torch.amax(scores, dim=-1, keepdim=True))
    y = exp_x / torch.sum(exp_x, dim=-1, keepdim=True)
    return -torch.sum(torch.log(y[torch.arange(len(t)), t] + DELTA)) / len(t)


PROGRAMS = {"two_layers": layers, "layers": layers, "lenet": lenet, "chain": chain, "documents": documents}


def laid_out(values: Any) -> Any:
    """Change between (in, out) and (out, in); what is no matrix stays as it is."""
    return values.T if values.ndim == 2 else values


class Training:
    def __init__(self, program: Callable[..., Any], parameters: list[Any], lr: float) -> None:
        self.loss = program
        self.parameters = [torch.tensor(laid_out(values).copy(), requires_grad=True) for values in parameters]
        self.lr = lr

    def step(self, x: Any, t: Any) -> Any:
        for parameter in self.parameters:
            parameter.grad = None
        loss = self.loss(self.parameters, x, t)
        loss.backward()
        with torch.no_grad():
            for parameter in self.parameters:
                parameter.add_(parameter.grad, alpha=-self.lr)
        return loss

    def values(self) -> list[Any]:
        return [laid_out(parameter.detach().numpy()) for parameter in self.parameters]
