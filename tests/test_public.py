"""What help, editors and documentation tools read of everything public: signatures and docstrings."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest

import tinygrad_kr
from tinygrad_kr import nn


def public() -> Iterator[tuple[str, Any]]:
    """Yield every class and function that a module lists, once, and its module."""
    seen = set()
    for info in pkgutil.walk_packages(tinygrad_kr.__path__, "tinygrad_kr."):
        if info.name.endswith(("__main__", "with_pytest.plugin")):
            continue
        module = importlib.import_module(info.name)
        yield info.name, module
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            own = getattr(thing, "__module__", "").startswith("tinygrad_kr")
            if own and (inspect.isclass(thing) or inspect.isfunction(thing)) and thing not in seen:
                seen.add(thing)
                yield f"{info.name}.{name}", thing


THINGS = dict(public())
CLASSES = {
    name: thing
    for name, thing in THINGS.items()
    if inspect.isclass(thing) and inspect.isfunction(thing.__init__) and not issubclass(thing, Enum)
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_shows_the_signature_of_its_init(name: str) -> None:
    shown, own = inspect.signature(CLASSES[name]), inspect.signature(CLASSES[name].__init__)
    assert list(map(str, shown.parameters.values())) == list(map(str, own.parameters.values()))[1:]


def test_a_module_of_ones_own_shows_its_signature() -> None:
    class Net(nn.Linear):
        def __init__(self, a: int, /, *layers: int, rng: Any = None, **more: Any) -> None:
            super().__init__(a, 1, rng=rng)

    assert str(inspect.signature(Net)) == "(a: 'int', /, *layers: 'int', rng: 'Any' = None, **more: 'Any') -> 'None'"
    assert str(inspect.signature(type("Plain", (nn.Module,), {}))) == "()"


CODE = re.compile(r"^\s*(>>>|\.\.\. |\.\.\.$).*$|^\*+\w+( :.*)?$", re.MULTILINE)
"""Doctests; and the parameters ``*args``, which numpydoc escapes."""
MARKUP = re.compile(r"``.+?``|`[^`\s]([^`]*[^`\s])?`|(?<!\S)\*\w[^*]*\*|\*\*\w[^*]*\*\*")
OPEN = re.compile(r"(^|(?<=[\s'\"(\[{<\-/:]))(\*\*|\*(?!\*)|\||`)(?=\S)|`")


def bare_markup(docstring: str) -> list[str]:
    """Return where reStructuredText would begin markup that never ends, or a substitution that nobody defined."""
    paragraphs = re.split(r"\n\s*\n", CODE.sub("", inspect.cleandoc(docstring)))
    prose = (MARKUP.sub("", " ".join(part.split())) for part in paragraphs if "-->" not in part)
    return [text for text in prose if OPEN.search(text)]


def docstrings() -> Iterator[tuple[str, str]]:
    for name, thing in THINGS.items():
        yield name, thing.__doc__ or ""
        for attribute, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not attribute.startswith("_") and isinstance(getattr(value, "__doc__", None), str):
                yield f"{name}.{attribute}", value.__doc__


def test_no_docstring_holds_bare_markup() -> None:
    assert {name: bare for name, text in docstrings() if (bare := bare_markup(text))} == {}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Return x / (1 + |x|).", False),
        ("Arrays (*batch, n).", False),
        ("Of ``x without an end.", False),
        ("Of `x without an end.", False),
        ("Of ``|x|``, y**2, a * b, a ** (b) and *leaves*.", True),
        (">>> f(*args)", True),
    ],
)
def test_bare_markup_is_found(text: str, clean: bool) -> None:
    assert (bare_markup(text) == []) is clean
