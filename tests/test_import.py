"""Importing the package brings NumPy and the standard library, and nothing else."""

from __future__ import annotations

import ast
import importlib
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import tinygrad_kr
import tinygrad_kr.gradcheck

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
        "tinygrad_kr.diagram",
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


LAZY = tinygrad_kr, tinygrad_kr.gradcheck


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_a_public_name_is_what_type_checkers_take_it_for(package: ModuleType) -> None:
    """Each is loaded from the module that the package's imports for type checkers name, and is in every list."""
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    imports = [line for line in ast.walk(tree) if isinstance(line, ast.ImportFrom) and line.module != "typing"]
    homes = {name.name: str(line.module) for line in imports for name in line.names if name.name != "on_demand"}
    assert {*homes, "__version__"} >= set(package.__all__) >= set(homes)
    assert len(set(package.__all__)) == len(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for name, home in homes.items():
        assert getattr(package, name) is getattr(importlib.import_module(home), name)
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'Tensr'"):
        _ = package.Tensr


@pytest.mark.parametrize("package", LAZY, ids=lambda package: package.__name__)
def test_a_package_loads_nothing_before_it_is_used(package: ModuleType) -> None:
    code = f"""
import sys
import {package.__name__} as package
assert set(package.__all__) <= set(dir(package))
print(*sorted(name for name in sys.modules if name in ("numpy", "tinygrad_kr.engine")))
"""
    assert in_subprocess(code) == ""


def test_the_catalogue_is_complete_whichever_module_is_imported_first() -> None:
    """Each module on its own, as if in a fresh process: the Tensors of the package can do all they can."""
    code = """
import importlib, pkgutil, sys
import numpy as np
import tinygrad_kr

modules = [module.name for module in pkgutil.walk_packages(tinygrad_kr.__path__, "tinygrad_kr.")]
counts = set()
for module in ["tinygrad_kr", *modules]:
    for name in [name for name in sys.modules if name.startswith("tinygrad_kr")]:
        del sys.modules[name]
    importlib.import_module(module)
    from tinygrad_kr import Tensor
    from tinygrad_kr.engine.dispatch import NUMPY, PLAIN
    assert np.exp(Tensor([0.0])).tolist() == [1.0], module
    counts.add((len(NUMPY), len(PLAIN)))
assert len(modules) > 100 and len(counts) == 1 and min(counts) > (100, 10), (modules, counts)
"""
    assert in_subprocess(code) == ""


def test_tensors_are_complete_where_no_name_of_the_package_was_asked_for() -> None:
    """A pickled Tensor in a new process; a check of a function of NumPy."""
    pickled = pickle.dumps(tinygrad_kr.Tensor([0.0], requires_grad=True))
    code = f"import pickle, numpy; print(numpy.exp(pickle.loads({pickled!r})).tolist())"
    assert in_subprocess(code) == "[1.0]"
    code = "import numpy; from tinygrad_kr.gradcheck import check_gradients as c; print(c(numpy.exp, 0.5).verdict)"
    assert in_subprocess(code) == "PASS"


def test_the_modules_users_import_import_each_on_its_own() -> None:
    """No module relies on another having been imported first."""
    for module in ("functional", "models", "numerical", "errors", "engine.tensor", "primitives.linalg"):
        assert in_subprocess(f"import tinygrad_kr.{module}") == ""
