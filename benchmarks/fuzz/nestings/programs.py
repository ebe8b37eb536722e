"""What a program is: lines and functions, functions within functions, written as Python.

The same text runs on every side: it names ``np``, the transforms, its inputs and two constants, ``A`` (many rows of
three) and ``I`` (the unit matrix), and the side says what these are.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import CodeType
from typing import Any

import numpy as np

ROWS = 4  # of A, where programs are compared
INDENT = "    "


@dataclass(frozen=True)
class Function:
    """``def name(parameters)``: what it does, and what it returns."""

    name: str
    parameters: tuple[str, ...]
    body: list[Line]
    result: str

    def written(self) -> str:
        parameters = ", ".join(self.parameters)
        if not self.body:
            return f"{self.name} = lambda {parameters}: {self.result}"
        body = "\n".join([written(self.body), f"return {self.result}"])
        return f"def {self.name}({parameters}):\n{textwrap.indent(body, INDENT)}"


Line = str | Function


def written(body: list[Line]) -> str:
    return "\n".join(line if isinstance(line, str) else line.written() for line in body)


@dataclass(frozen=True)
class Program:
    """Lines that compute from inputs."""

    seed: int
    inputs: dict[str, Any]
    text: str

    @cached_property
    def code(self) -> CodeType:
        return compile(self.text, f"<program {self.seed}>", "exec")

    @cached_property
    def outputs(self) -> list[str]:
        """The names of what its lines compute, functions and pullbacks left out."""
        lines = ast.parse(self.text).body
        lines = [inner for line in lines for inner in (line.body if isinstance(line, ast.With) else [line])]
        assigned = [line for line in lines if isinstance(line, ast.Assign)]
        names = [name.id for node in assigned for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)]
        return [name for name in names if name[0] not in "fp"]

    def run(self, space: dict[str, Any]) -> dict[str, Any]:
        """Run the lines in a space of names; return the leaves of all results, by the expressions that name them."""
        space = dict(space)
        exec(self.code, space)
        return dict(leaf for name in self.outputs for leaf in flattened(name, space[name]))

    def complete(self, made: dict[str, str] | None = None) -> str:
        """The program as it can be pasted; ``made`` says how an input is written where it is no plain array."""
        named = {name: x for name, x in self.inputs.items() if re.search(rf"\b{name}\b", self.text)}
        lines = [f"{name} = {(made or {}).get(name, 'np.array({})').format(x)}" for name, x in named.items()]
        return "\n".join(
            [
                "import numpy as np",
                "from tinygrad_kr import *",
                f"A, I = np.sin(np.arange({3.0 * ROWS})).reshape(-1, 3), np.eye(3)",
                *lines,
                self.text,
            ]
        )


def arrays(inputs: dict[str, Any], rows: int = ROWS) -> dict[str, Any]:
    """Return the inputs and the constants as arrays."""
    A = np.sin(np.arange(3.0 * rows)).reshape(-1, 3)
    return {"A": A, "I": np.eye(3), **{name: np.array(value) for name, value in inputs.items()}}


def flattened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Return the leaves of a result, each with the expression that names it."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from flattened(f"{name}[{key!r}]", value[key])
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from flattened(f"{name}[{i}]", item)
    else:
        yield name, value
