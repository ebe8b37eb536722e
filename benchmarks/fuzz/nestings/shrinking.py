"""Making a program smaller as long as something still holds of it."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from benchmarks.fuzz.nestings.programs import Program


def shrunk(program: Program, holds: Callable[[Program], bool]) -> Program:
    """Leave out what can be left out; ``holds`` says whether a smaller program will do."""
    while smaller := next(filter(holds, candidates(program)), None):
        program = smaller
    return program


def candidates(program: Program) -> Iterator[Program]:
    for number in itertools.count():
        change = Change(number)
        tree = change.visit(ast.parse(program.text))
        if not change.made:
            return
        yield replace(program, text=ast.unparse(tree))


class Change(ast.NodeTransformer):
    """One change: a line left out, or an operand in the place of an operation; counted in the order of the text."""

    def __init__(self, number: int) -> None:
        self.number = number

    @property
    def made(self) -> bool:
        return self.number < 0

    def here(self) -> bool:
        self.number -= 1
        return self.number == -1

    def visit_line(self, node: Any) -> Any:
        return None if self.here() else self.generic_visit(node)

    def visit_operation(self, node: Any) -> Any:
        operands = node.args if isinstance(node, ast.Call) else [node.left, node.right]
        return next((operand for operand in operands if self.here()), None) or self.generic_visit(node)

    visit_Assign = visit_FunctionDef = visit_line
    visit_BinOp = visit_Call = visit_operation
