"""This side: a program's lines as NumPy code on Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.fuzz.functions.programs import Array, Program, Results, run
from tinygrad_kr import Tensor, functional, grad

HERE = {"np": np, "F": functional}


def run_here(program: Program, second: bool) -> Results:
    """Compute values and gradients with this package."""
    leaves = {name: Tensor(x.copy(), requires_grad=True) for name, x in program.leaves.items()}
    space = HERE | program.weights | leaves
    run(program, "here", space)
    space["loss"].backward()
    results = {name: space[name].data for line in (*program.lines, program.loss) for name in line.targets}
    for name, leaf in leaves.items():
        results[f"gradient of {name}"] = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad
    if second:
        for name, derivative in zip(leaves, second_here(program), strict=True):
            results[f"derivative of <u, gradient> for {name}"] = np.asarray(derivative)
    return results


def second_here(program: Program) -> tuple[Array, ...]:
    argnums = tuple(range(len(program.leaves)))

    def loss(*leaves: Any) -> Any:
        space = HERE | program.weights | dict(zip(program.leaves, leaves, strict=True))
        run(program, "here", space)
        return space["loss"]

    def slope(*leaves: Any) -> Any:
        gradients = grad(loss, argnums)(*leaves)
        return sum(np.sum(u * g) for u, g in zip(program.directions.values(), gradients, strict=True))

    return grad(slope, argnums)(*program.leaves.values())
