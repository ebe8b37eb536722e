"""Import functions of the user's by name, and explain the errors that their code raises."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import tinygrad_kr
from tinygrad_kr.cli.options import UsageError

__all__ = ["function_at", "importable", "raised"]


@contextmanager
def importable() -> Iterator[None]:
    """Let modules in the current folder be imported, as ``python -m`` does."""
    before = sys.path.copy()
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before


def function_at(name: str, files: dict[Path, ModuleType]) -> Callable[..., Any]:
    """Return the function that ``module:function`` or ``file.py:function`` names; a file is imported once."""
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not attribute:
        raise UsageError(f"expected MODULE:FUNCTION, such as layers:softmax or layers.py:softmax, got {name!r}")
    if not where.endswith(".py"):
        module = _imported(where)
    elif (path := Path(where).resolve()) in files:
        module = files[path]
    else:
        module = files[path] = _from_file(Path(where))
    try:
        found = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        from tinygrad_kr.parameters import nearest

        meant = nearest(attribute, dir(module))
        hint = f"; did you mean {meant}?" if meant else ""
        raise UsageError(f"{where} has no {attribute}{hint}") from None
    if not callable(found):
        raise UsageError(f"{name} is not a function; its type is {type(found).__name__}")
    return found


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise UsageError(raised(error, f"importing {name}")) from error
        raise UsageError(f"no module named {error.name}, in the current folder or installed") from None
    except (Exception, SystemExit) as error:
        raise UsageError(raised(error, f"importing {name}")) from error


def _from_file(path: Path) -> ModuleType:
    """Import a file, with its own folder on the path, as ``python path/to/file.py`` does."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    sys.path.insert(0, str(path.resolve().parent))
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_from_file"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(raised(error, f"importing {path}")) from error
    return module


def raised(error: BaseException, doing: str) -> str:
    """Describe an error of a user's code, with the line in the file that was entered first."""
    machinery = Path(tinygrad_kr.__file__).parent, Path(importlib.__file__).parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(folder in Path(frame.filename).parents for folder in machinery) and "<frozen" not in frame.filename
    ]
    said = f"{doing} raised {type(error).__name__}: {error}".removesuffix(": ")
    if not frames:
        return said
    line = [frame.lineno for frame in frames if frame.filename == frames[0].filename][-1]
    return f"{said} ({Path(frames[0].filename).name}, line {line})"
