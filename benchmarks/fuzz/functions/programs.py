"""What a program is: lines of text, twice, and how its lines are run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

Array = Any
Shape = tuple[int, ...]
Results = dict[str, Array]


@dataclass(frozen=True)
class Line:
    """``targets = here`` with NumPy's functions on Tensors, ``targets = there`` with PyTorch's on its own."""

    targets: tuple[str, ...]
    here: str
    there: str
    operations: tuple[str, ...] = ()

    def written(self, side: str) -> str:
        return f"{', '.join(self.targets)} = {getattr(self, side)}"

    @property
    def operands(self) -> list[str]:
        return list(dict.fromkeys(re.findall(r"\b[vx]\d+\b", self.here)))


@dataclass(frozen=True)
class Program:
    """Lines that compute from leaves; ``values`` are the leaves and what NumPy itself makes of them."""

    seed: int
    leaves: Results
    lines: list[Line]
    values: Results = field(repr=False)

    @cached_property
    def weights(self) -> Results:
        """Random cotangents of the values that no line uses."""
        used = {name for line in self.lines for name in line.operands}
        rng = np.random.default_rng([self.seed, 1])
        return {f"w_{name}": normal(rng, value.shape) for name, value in self.values.items() if name not in used}

    @cached_property
    def directions(self) -> Results:
        """Random arrays of the leaves' shapes: u in the derivative of <u, gradient>."""
        rng = np.random.default_rng([self.seed, 2])
        return {name: normal(rng, x.shape) for name, x in self.leaves.items()}

    @cached_property
    def loss(self) -> Line:
        total = " + ".join(f"np.sum({weight[2:]} * {weight})" for weight in self.weights)
        return Line(("loss",), total, total.replace("np.", "torch."))

    def alone(self, line: Line) -> Program:
        """The program of one line, whose operands become leaves."""
        leaves = {name: self.values[name] for name in line.operands}
        return Program(self.seed, leaves, [line], leaves | {name: self.values[name] for name in line.targets})

    def written(self, side: str) -> str:
        return "\n".join(line.written(side) for line in (*self.lines, self.loss))

    @property
    def code(self) -> str:
        """The program as NumPy code on Tensors, complete."""
        return "\n".join(
            [
                "import numpy as np",
                "from tinygrad_kr import Tensor, functional as F",
                f"rng = np.random.default_rng({self.seed})",
                *(
                    f"{name} = Tensor(rng.normal(size={x.shape}), requires_grad=True)"
                    for name, x in self.leaves.items()
                ),
                f"rng = np.random.default_rng([{self.seed}, 1])",
                *(f"{name} = rng.normal(size={w.shape})" for name, w in self.weights.items()),
                self.written("here"),
                "loss.backward()",
            ]
        )


def run(program: Program, side: str, space: dict[str, Any], each: Callable[[Any], Any] | None = None) -> None:
    """Run the lines and the loss in a space of names; ``each`` replaces every value right after its line."""
    for line in (*program.lines, program.loss):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # advice, as against a softmax of a softmax
                exec(line.written(side), space)
        except Exception as error:
            error.add_note(f"in the line {line.written(side)}, of program {program.seed}")
            raise
        if each is not None:
            space.update({name: each(space[name]) for name in line.targets})


def normal(rng: np.random.Generator, shape: Shape) -> Array:
    return np.asarray(rng.normal(size=shape))


def largest(x: Array) -> float:
    return float(np.max(np.abs(x), initial=0))
