"""Nested tuples, lists and dicts of arrays, walked together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_kr.errors import ShapeError

__all__ = ["tree_leaves", "tree_map"]


def tree_map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply f to the leaves of trees of the same structure, and return the results in that structure.

    Examples
    --------
    >>> tree_map(lambda a, b: a + b, {"w": 1, "b": (2, 3)}, {"w": 10, "b": (20, 30)})
    {'w': 11, 'b': (22, 33)}
    """
    if not isinstance(tree, tuple | list | dict):
        return f(tree, *others)
    for other in others:
        alike = type(other) is type(tree) and len(other) == len(tree)
        if not alike or (isinstance(tree, dict) and set(other) != set(tree)):
            raise ShapeError(f"expected the structure {_outline(tree)}, got {_outline(other)}")
    if isinstance(tree, dict):
        return {key: tree_map(f, tree[key], *(other[key] for other in others)) for key in tree}
    items = [tree_map(f, *parts) for parts in zip(tree, *others, strict=True)]
    return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)


def tree_leaves(tree: Any) -> list[Any]:
    """Return the leaves, in order.

    Examples
    --------
    >>> tree_leaves({"w": 1, "b": (2, 3)})
    [1, 2, 3]
    """
    leaves: list[Any] = []
    tree_map(leaves.append, tree)
    return leaves


def _outline(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {_outline(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, tuple | list):
        return f"{type(tree).__name__}({', '.join(map(_outline, tree))})"
    return "array"
