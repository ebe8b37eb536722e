"""Importing the package brings NumPy and the standard library, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tinygrad_kr

LIST_FOREIGN = """
import importlib, sys
import numpy
before = set(sys.modules)
importlib.import_module({module!r})
names = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(names - sys.stdlib_module_names - {{"numpy", "tinygrad_kr"}}))
"""


def in_subprocess(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module",
    [
        "tinygrad_kr",
        "tinygrad_kr.functional",
        "tinygrad_kr.models",
        "tinygrad_kr.numerical",
        "tinygrad_kr.datasets",
        "tinygrad_kr.training",
        "tinygrad_kr.saving",
        "tinygrad_kr.plotting",
        "tinygrad_kr.gradcheck",
        "tinygrad_kr.drawing",
        "tinygrad_kr.nn",
        "tinygrad_kr.optim",
        "tinygrad_kr.cli",
    ],
)
def test_import_loads_only_numpy_and_the_standard_library(module: str) -> None:
    assert in_subprocess(LIST_FOREIGN.format(module=module)) == ""


def test_import_leaves_numpys_error_handling_and_random_state_alone() -> None:
    code = """
import numpy as np
def state():
    return np.geterr(), np.get_printoptions(), np.random.get_state()[1].tobytes()
before = state()
import tinygrad_kr
print(before == state())
"""
    assert in_subprocess(code) == "True"


def test_every_public_name_is_there() -> None:
    assert len(set(tinygrad_kr.__all__)) == len(tinygrad_kr.__all__)
    for name in tinygrad_kr.__all__:
        assert getattr(tinygrad_kr, name) is not None


def test_the_modules_users_import_import_each_on_its_own() -> None:
    """No module relies on another having been imported first."""
    for module in ("functional", "models", "numerical", "errors", "engine.tensor", "primitives.linalg"):
        assert in_subprocess(f"import tinygrad_kr.{module}") == ""
