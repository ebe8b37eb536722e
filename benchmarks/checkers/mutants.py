"""``python -m benchmarks.checkers.mutants``: do the tests notice if a line of the engine or of a primitive is wrong?

A mutant is the package with one change: another operator, constant, comparison, ``and`` for ``or``, a condition turned
round. Each is written into a copy of the package, and the tests run there until one fails. One that passes all of them
has survived: a test is missing, the code is dead, or the change makes no difference.
"""

from __future__ import annotations

import argparse
import ast
import copy
import difflib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("engine", "primitives")
TESTS = (  # those that fail soonest first
    *("test_survivors", "test_transforms", "test_numpy", "test_tables", "test_functional", "test_study_notes"),
    *(
        "test_numerical",
        "test_convolution",
        "test_nn",
        "test_catalogue",
        "test_engine",
        "test_captures",
        "test_nestings",
    ),
)
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True)
class Mutant:
    """A file of the package, one of its lines, and the whole text with the change."""

    path: Path
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"

    def difference(self) -> str:
        """Show the lines that changed."""
        before = (ROOT / self.path).read_text().splitlines()
        lines = list(difflib.unified_diff(before, self.text.splitlines(), lineterm="", n=0))
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


@dataclass(frozen=True)
class Outcome:
    mutant: Mutant
    survived: bool
    by: str
    seconds: float


# What is changed


def mutants_of(path: Path) -> list[Mutant]:
    """Return every change of a file, in the order of its text."""
    text = (ROOT / path).read_text()
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    made = []
    for node in code(ast.parse(text)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        for changed in changes(node):
            replaced = text.encode()[:start] + changed.encode() + text.encode()[end:]
            made.append(Mutant(path, node.lineno, replaced.decode()))
    return sorted(made, key=lambda mutant: mutant.line)


def code(node: ast.AST) -> Iterator[Any]:
    """Walk through expressions and statements that compute: no annotations, messages, representations or exports."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.FunctionDef) and node.name == "__repr__":
        return
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in ("__all__", "__slots__"):
        return
    if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.expr | ast.AugAssign):
        yield node
    for name, field in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST):
                yield from code(child)
                if name in ("test", "ifs"):
                    yield Condition(child)


class Condition:
    """The condition of an if, a while, an assertion or a comprehension."""

    def __init__(self, test: Any) -> None:
        self.test = test
        self.lineno, self.col_offset = test.lineno, test.col_offset
        self.end_lineno, self.end_col_offset = test.end_lineno, test.end_col_offset


def changes(node: Any) -> Iterator[str]:
    """Return the texts that can stand in the place of a node."""
    if isinstance(node, Condition):
        yield f"(not ({ast.unparse(node.test)}))"
    elif isinstance(node, ast.Constant):
        yield from map(repr, other_constants(node.value))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[i] = other_operator(operator)
            yield f"({ast.unparse(changed)})"
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in OPERATORS:
        changed = copy.deepcopy(node)
        changed.op = other_operator(node.op)
        yield ast.unparse(changed) if isinstance(node, ast.AugAssign) else f"({ast.unparse(changed)})"


def other_operator(operator: ast.AST) -> Any:
    return OPERATORS[type(operator)]()


def other_constants(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1] if value else [1]
    return [value * 1.01 + 0.01] if isinstance(value, float) else []


def drawn(count: int, seed: int) -> list[Mutant]:
    """Draw mutants from all that can be made of the engine and the primitives."""
    paths = sorted(path.relative_to(ROOT) for name in FOLDERS for path in (ROOT / "tinygrad_kr" / name).glob("*.py"))
    every = [mutant for path in paths for mutant in mutants_of(path)]
    return random.Random(seed).sample(every, min(count, len(every)))


# What becomes of it


def tried(mutant: Mutant, tests: tuple[str, ...], limit: float) -> Outcome:
    """Run the tests on a copy with the change until one fails, first with a few of hypothesis' examples, then all."""
    start = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        there = copied(Path(folder))
        (there / mutant.path).write_text(mutant.text)
        passed, by = tested(there, tests, "few", limit)
        drawing = tuple(name for name in tests if any("hypothesis" in path.read_text() for path in files(there, name)))
        if passed and drawing:
            passed, by = tested(there, drawing, "ci", limit)
    return Outcome(mutant, passed, by, perf_counter() - start)


def files(there: Path, name: str) -> list[Path]:
    """Return the files of tests with a name, in any folder."""
    return sorted((there / "tests").rglob(f"{name}.py"))


def copied(there: Path) -> Path:
    """Copy the package and its tests."""
    for name in ("tinygrad_kr", "tests", "benchmarks", "docs", "tools"):
        shutil.copytree(ROOT / name, there / name, ignore=shutil.ignore_patterns("__pycache__", "images"))
    shutil.copy(ROOT / "pyproject.toml", there)
    return there


def tested(there: Path, tests: tuple[str, ...], profile: str, limit: float | None = None) -> tuple[bool, str]:
    """Return whether all tests pass, and if not, which did not; one that never ends fails."""
    paths = [str(path) for name in tests for path in files(there, name)]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider", *paths],
        cwd=there,
        env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(there), "HYPOTHESIS_PROFILE": profile},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False, f"still running after {limit:.0f} s"
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return process.returncode == 0, (failed or output.strip().splitlines() or [""])[-1].partition(" - ")[0]


def outcomes(mutants: list[Mutant], tests: tuple[str, ...], limit: float, jobs: int) -> Iterator[Outcome]:
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(tried, mutant, tests, limit) for mutant in mutants]):
            yield done.result()


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkers.mutants", description="Mutants of the package")
    parser.add_argument("--count", type=int, default=60, help="how many mutants (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once (%(default)s)")
    parser.add_argument("--only", metavar="FILE:LINE", help="every mutant of one line instead, as tree.py:24")
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="NAME", help="files under tests/, without .py")
    parser.add_argument("--list", action="store_true", help="show the mutants, and run nothing")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    mutants = drawn(options.count, options.seed)
    if options.only:
        file, _, line = options.only.partition(":")
        (path,) = (path for name in FOLDERS for path in (ROOT / "tinygrad_kr" / name).glob(file))
        mutants = [mutant for mutant in mutants_of(path.relative_to(ROOT)) if mutant.line == int(line)]
    if options.list:
        for mutant in mutants:
            print(f"{mutant.place}\n{mutant.difference()}")
        return 0
    tests = tuple(name for name in options.tests if files(ROOT, name))
    start = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        passed, by = tested(copied(Path(folder)), tests, "few")
    if not passed:
        print(f"the tests fail without any change: {by}")
        return 2
    print(f"unchanged: {by}", flush=True)
    progress, survivors = Progress(len(mutants)), []
    for outcome in outcomes(mutants, tests, 60 + 10 * (perf_counter() - start), options.jobs):
        word = "SURVIVED" if outcome.survived else "caught"
        progress.write(f"{word} {outcome.mutant.place}, {outcome.seconds:.0f} s: {outcome.by}")
        progress.write(outcome.mutant.difference())
        survivors += [outcome.mutant] * outcome.survived
        progress.advance(f"{len(survivors)} survived")
    progress.close()
    print(f"\n{len(mutants) - len(survivors)} of {len(mutants)} caught")
    for mutant in survivors:
        print(f"survived: {mutant.place}\n{mutant.difference()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
