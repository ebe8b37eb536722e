"""A program as it is written: which values there are, and what the next line makes of them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.fuzz.functions.here import HERE
from benchmarks.fuzz.functions.operations import Operation, op
from benchmarks.fuzz.functions.programs import Array, Line, Shape, largest, normal
from tinygrad_kr import Tensor

Fields = dict[str, str]

LARGEST = 256  # elements of a value
HIGHEST = 1e6  # magnitude of a value; beyond BOUND it goes on only through arcsinh, which keeps its conditioning
BOUND = 5.0
NEAR = 1e-6  # a kink so near could fall on one side here and on the other there
METHODS = 0.2  # how often np.f(x) is written x.f(), where there is such a method

TAMED = op("np.arcsinh({x})")


class NotApplicable(Exception):
    """The values at hand do not fit this operation."""


def require(condition: Any) -> None:
    if not condition:
        raise NotApplicable


class Draft:
    """Lines as they are written, one by one; each is run by NumPy to see what comes of it."""

    def __init__(self, seed: int, length: int, strict: bool) -> None:
        self.length, self.strict = length, strict
        self.rng = random.Random(seed)
        self.lines: list[Line] = []
        self.large: set[str] = set()  # values that only arcsinh takes up
        data = np.random.default_rng(seed)
        sides = [1, *self.rng.choices((1, 2, 3, 4), k=3)]  # few, so that shapes often fit
        self.leaves = {f"x{i}": normal(data, self.leaf_shape(sides)) for i in range(self.rng.randint(1, 4))}
        self.values = dict(self.leaves)

    def leaf_shape(self, sides: list[int]) -> Shape:
        empty = [0] * (self.rng.random() < 0.08)
        return tuple(self.rng.choice(sides + empty) for _ in range(self.rng.choice((0, 1, 1, 2, 2, 2, 3, 3, 4))))

    def pick(self, fits: Callable[[Array], bool]) -> str:
        """Choose a value, half of the time among the latest that fit."""
        names = [name for name, value in self.values.items() if name not in self.large and fits(value)]
        require(names)
        return self.rng.choice(names[-4:] if self.rng.random() < 0.5 else names)

    def stay_clear(self, kink: str) -> None:
        """Give up where the operands are near a kink.

        On the kink itself first derivatives follow docs/conventions.md, second derivatives no convention at all.
        """
        if kink:
            distances = np.abs(eval(kink, HERE, self.values))
            require(not np.any((distances < NEAR) & (self.strict | (distances > 0))))

    def write(self, operation: Operation, fields: Fields) -> list[str]:
        """Write one line; return the names of its results."""
        require(len(self.lines) < self.length)
        here, there = operation.form.format(**fields), operation.torch.format(**fields)
        if self.rng.random() < METHODS:
            here = as_method(here)
        result = eval(here, HERE, self.values)
        results = list(map(np.asarray, result)) if isinstance(result, list) else [np.asarray(result)]
        for value in results:
            require(value.ndim <= 5 and value.size <= LARGEST and largest(value) < HIGHEST)
        names = [f"v{len(self.values) - len(self.leaves) + i}" for i in range(len(results))]
        self.values.update(zip(names, results, strict=True))
        self.large.update(name for name in names if largest(self.values[name]) > BOUND)
        counted = (*operation.names, *re.findall(r"^[vx]\d+(\.[a-z]\w*)(?=\()", here))
        self.lines.append(Line(tuple(names), here, there, counted))
        return names

    def tame(self, name: str) -> None:
        """Go on with the arcsinh of what has grown too large."""
        while name in self.large:
            (name,) = self.write(TAMED, {"x": name})


def as_method(text: str) -> str:
    """Write np.f(x, ...) as x.f(...), if arrays and Tensors have this method."""
    match = re.match(r"np\.(\w+)\(([vx]\d+)(?:, |(?=\)))", text)
    if match is None or not (hasattr(np.ndarray, match[1]) and hasattr(Tensor, match[1])):
        return text
    return f"{match[2]}.{match[1]}({text[match.end() :]}"


Kind = Callable[[Draft, Fields], str]  # draws an operand or a parameter, as text
