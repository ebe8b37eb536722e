"""Type checkers accept the idioms, reject the wrong uses, and read NumPy's twin as the catalogue has it."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_kr
from tinygrad_kr import Tensor
from tools.make_typing import FOLDER, stubs

HERE = Path(__file__).parent
CHECKERS = {"mypy": ["mypy", "--strict", "--no-error-summary", "--cache-dir"], "pyright": ["pyright"]}


TYPED_IN_THE_CLASS = {
    *("base", "data", "shape", "dtype", "ndim", "size", "item", "tolist"),
    *("__array__", "__array_function__", "__array_ufunc__", "__setitem__"),
    *("__bool__", "__float__", "__index__", "__int__", "__len__"),
}


def errors(checker: str, file: str, cache: Path) -> set[int]:
    """Return the lines of a file at which a checker reports errors."""
    pytest.importorskip(checker)
    options = [*CHECKERS[checker], *([str(cache)] if checker == "mypy" else ["--pythonpath", sys.executable])]
    run = subprocess.run([sys.executable, "-m", *options, file], cwd=HERE, capture_output=True, text=True, timeout=300)
    if checker == "pyright" and "error" not in run.stdout:
        pytest.skip(f"pyright does not run here: {run.stderr[-200:]}")
    return {int(line) for line in re.findall(rf"{file}:(\d+)(?::\d+)?(?: -|:) error", run.stdout)}


def test_the_idioms_run() -> None:
    runpy.run_path(str(HERE / "idioms.py"))


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_idioms_are_accepted(checker: str, tmp_path: Path) -> None:
    assert errors(checker, "idioms.py", tmp_path) == set()


@pytest.mark.parametrize("checker", CHECKERS)
def test_every_wrong_use_is_rejected_and_nothing_else(checker: str, tmp_path: Path) -> None:
    lines = (HERE / "wrong.py").read_text(encoding="utf-8").splitlines()
    assert errors(checker, "wrong.py", tmp_path) == {i for i, line in enumerate(lines, 1) if line.endswith("# wrong")}


@pytest.mark.skipif(np.__version__[:4] != "2.4.", reason="the twin is written with NumPy 2.4")
def test_the_twin_of_numpy_is_what_the_catalogue_makes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == stubs()


def test_the_types_of_operators_name_what_a_tensor_has() -> None:
    stub = Path(tinygrad_kr.__path__[0], "engine", "operators.pyi").read_text(encoding="utf-8")
    (operators,) = (node for node in ast.parse(stub).body if isinstance(node, ast.ClassDef))
    declared = {node.name for node in operators.body if isinstance(node, ast.FunctionDef)}
    of_any_class = {"__module__", *vars(object)}
    assert declared - of_any_class <= set(vars(Tensor))
    of_an_array = {name for name in vars(Tensor) if hasattr(np.ndarray, name)}
    assert of_an_array - of_any_class - declared == TYPED_IN_THE_CLASS
