"""This side: Tensors, our transforms, and ``backward()``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.fuzz.captures.drawing import Capturing
from benchmarks.fuzz.nestings.here import HERE
from benchmarks.fuzz.nestings.programs import arrays
from tinygrad_kr import Tensor, nn, no_grad


@dataclass(frozen=True)
class Outcome:
    """Hold the results of a program: values, gradients of leaves, and for each value whether it is on the graph."""

    values: dict[str, Any]
    gradients: dict[str, Any]
    places: dict[str, str]


def run_here(program: Capturing) -> Outcome:
    space = HERE | arrays(program.inputs) | {"no_grad": no_grad}
    for name in program.constants:
        space[name] = Tensor(space[name])
    leaves = {name: Tensor(space[name], requires_grad=True) for name in program.leaves}
    if program.network is not None:
        network = program.network
        width = len(network.parameters["layers.0.b"])
        net = nn.Sequential(nn.Linear(3, width), getattr(nn, network.activation)(), nn.Linear(width, 3))
        for name, parameter in net.named_parameters():
            parameter.assign(network.parameters[name])
            leaves[name] = parameter
        space["net"] = net
    results = program.run(space | leaves)
    places = {name: place_of(value) for name, value in results.items()}
    values = {name: np.asarray(value.data if isinstance(value, Tensor) else value) for name, value in results.items()}
    results["loss"].backward()
    gradients = {name: np.zeros(x.shape) if x.grad is None else x.grad for name, x in leaves.items()}
    return Outcome(values, gradients, places)


def place_of(value: Any) -> str:
    if not isinstance(value, Tensor):
        return "plain"
    return "on the graph" if value.requires_grad else "a Tensor without gradient"
