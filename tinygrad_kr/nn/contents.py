"""A model as a tree: what it holds, by full names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from tinygrad_kr.engine.tensor import Tensor

__all__ = ["Branch", "Found", "by_name", "is_buffer", "is_parameter", "walk"]


class Branch:
    """What has parts of its own: a Module."""

    def title(self) -> str:
        """What it is called in a picture."""
        return type(self).__name__


class Found(NamedTuple):
    """Something that a model holds: a Tensor, an array, a Module or a random generator."""

    owner: str
    """The name of the Module that has it."""
    attribute: str
    """Its name there."""
    value: Any
    first: str
    """The full name under which it was met first."""
    depth: int
    """How many Modules lie between it and the model."""

    @property
    def name(self) -> str:
        """The full name."""
        return f"{self.owner}.{self.attribute}" if self.owner else self.attribute

    @property
    def shared(self) -> bool:
        """Whether it was met before, under another name."""
        return self.name != self.first


def walk(module: Branch) -> Iterator[Found]:
    """Yield what a Module holds in order of assignment, a child's contents right after the child.

    What is shared is yielded every time it is met, a shared child's contents only the first time.
    """
    return _walk(module, "", 0, {id(module): ""})


def _walk(module: Branch, owner: str, depth: int, seen: dict[int, str]) -> Iterator[Found]:
    for name, content in vars(module).items():
        for attribute, value in _contents(name, content):
            found = Found(owner, attribute, value, "", depth)
            found = found._replace(first=seen.setdefault(id(value), found.name))
            yield found
            if isinstance(value, Branch) and not found.shared:
                yield from _walk(value, found.name, depth + 1, seen)


def _contents(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Look for what a model can hold in an attribute, also in lists, tuples and dicts."""
    if isinstance(value, Tensor | Branch | np.ndarray | np.random.Generator):
        yield name, value
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _contents(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _contents(f"{name}.{key}", item)


def is_parameter(value: Any) -> TypeGuard[Tensor]:
    """Whether a value is to be trained: a leaf Tensor that requires a gradient."""
    return isinstance(value, Tensor) and value.is_leaf and value.requires_grad


def is_buffer(found: Found) -> bool:
    """Whether something is to be saved but not trained: a Tensor without gradient, or an array, with a public name."""
    value = found.value
    if found.attribute.startswith("_") or (isinstance(value, Tensor) and value.requires_grad):
        return False
    return isinstance(value, Tensor | np.ndarray) and value.dtype.kind in "fiub"


def by_name(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict; a name that stands for two things is an error."""
    named: dict[str, Any] = {}
    for name, value in pairs:
        if name in named:
            raise ValueError(f"two parts of the model are called {name!r}.\n  give dicts of layers keys without dots")
        named[name] = value
    return named
