"""Who imports whom: only what is below, and never in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import tinygrad_kr

ROOT = Path(str(tinygrad_kr.__file__)).parent
FLOORS = (
    ("errors",),
    ("common",),
    ("engine",),
    ("primitives",),
    ("parameters", "functional", "numerical", "typing"),
    ("nn",),
    ("optim",),
    ("datasets", "saving", "diagram"),
    ("models",),
    ("training", "gradcheck"),
    ("plotting",),
    ("cli",),
)
"""From the lowest to the highest; rooms of one floor do not import each other."""
HEIGHT = {room: height for height, floor in enumerate(FLOORS) for room in floor}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in ROOT.rglob("*.py") if path.name != "__main__.py"}


def imports(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, in functions too, but not for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        node
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for statement in test.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and node not in skipped:
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node not in skipped:
            inner = [f"{node.module}.{name.name}" for name in node.names]
            names = [name if name.removeprefix("tinygrad_kr.") in MODULES else str(node.module) for name in inner]
        else:
            continue
        for name in names:
            if name.startswith("tinygrad_kr.") and name.removeprefix("tinygrad_kr.") in MODULES:
                yield name.removeprefix("tinygrad_kr.")


IMPORTS = {name: set(imports(path)) for name, path in MODULES.items()}


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in MODULES if name not in ("", "__init__")} == set(HEIGHT)
    assert sum(map(len, IMPORTS.values())) > 300


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("", "__init__")])
def test_a_module_imports_from_lower_floors_only(name: str) -> None:
    wrong = {
        other for other in IMPORTS[name] if room(other) != room(name) and HEIGHT[room(other)] >= HEIGHT[room(name)]
    }
    assert not wrong


def test_no_module_imports_itself_by_way_of_others() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))
