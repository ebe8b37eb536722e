"""Read a graph into boxes and edges that hold none of its arrays."""

from __future__ import annotations

import gc
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.graph import Leaf, Node
from tinygrad_kr.engine.tensor import Tensor

__all__ = ["Box", "Edge", "captured"]

MOST_CHARACTERS = 40
"""Of a name or a parameter; longer ones are cut."""


@dataclass(eq=False)
class Box:
    """One box of the picture.

    Attributes
    ----------
    kind : str
        "leaf"; "input" for another array or Tensor, "constant" for a number; "operation"; or "rest" for the operations
        beyond the limit. An operand that the graph did not keep counts as an input.
    title : str
        The name of a leaf or input, or the primitive; empty if it has none.
    shape : tuple of int or None
        None where the graph did not keep the array.
    dtype : str
    value : str
        The number in an input, constant or result of one element.
    params : dict of str to str
        The static parameters of an operation that differ from their defaults.
    name : str
        The name of the result of an operation, if it has one.
    freed : bool
        Whether ``backward()`` has freed the operation, and with it the links to its operands.
    result : bool
        Whether this is the Tensor that was drawn.
    where : str
        The line that called the operation, if it was recorded under ``debug()``.
    count : int
        Of a "rest": how many operations it stands for.
    leaf : Leaf or None
        Holds the gradient of a leaf.
    """

    kind: Literal["leaf", "input", "constant", "operation", "rest"]
    title: str = ""
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    value: str = ""
    params: dict[str, str] = field(default_factory=dict)
    name: str = ""
    freed: bool = False
    result: bool = False
    where: str = ""
    count: int = 0
    leaf: Leaf | None = None

    @property
    def gradient_norm(self) -> float | None:
        """The Euclidean norm of the leaf's current gradient; None if it has none."""
        gradient = None if self.leaf is None else self.leaf.grad
        if gradient is None:
            return None
        values = np.abs(np.asarray(gradient.data if isinstance(gradient, Tensor) else gradient, dtype=np.float64))
        largest = float(np.max(values, initial=0.0))
        if largest in (0.0, np.inf):
            return largest
        return largest * float(np.linalg.norm((values / largest).ravel()))  # squares neither overflow nor vanish


class Edge(NamedTuple):
    """Positions of the boxes of an operand and of its operation, and the name of the operand."""

    start: int
    end: int
    label: str = ""


def captured(
    tensor: Tensor, names: Mapping[str, Tensor | NDArray[Any]], limit: int
) -> tuple[list[Box], list[Edge], int]:
    """Return boxes, edges, and how many operations the limit left out.

    Nodes are read latest first, as in the backward pass, so those next to the result are drawn. There is no recursion:
    a graph may be a million operations deep.
    """
    root = tensor._node
    if isinstance(root, Leaf):
        box = _leaf_box(root, tensor)
        _give_names([(root, box)], names)
        return [box], [], 0
    assert root is not None
    operations: dict[Node, Box] = {}
    sources: dict[Any, Box] = {}  # by Leaf, or the key of an input or constant
    arrows: list[tuple[Any, Node, str]] = []
    things: list[tuple[Any, Box]] = []  # boxes that may get a name
    left_out = 0
    for node in _latest_first(root):
        operands = list(_operands(node))
        new = {key for key, *_ in operands if type(key) is not Node and key not in sources}
        if left_out or (operations and len(operations) + 1 + len(sources) + len(new) > limit):
            left_out += 1
            continue
        operations[node] = _operation_box(node)
        things.append((node, operations[node]))
        for key, link, array, label in operands:
            arrows.append((key, node, label))
            if key in new and key not in sources:
                sources[key] = _given_box(array) if link is None else _leaf_box(link)
                things.append((array if link is None else link, sources[key]))
    _give_names(things, names)
    operations[root].result = True
    operations[root].value = _value(tensor.data)

    arrows.sort(key=lambda arrow: arrow[1].number)
    boxes = {key: sources[key] for key, *_ in arrows if key in sources} | dict(reversed(operations.items()))
    place = {key: i for i, key in enumerate(boxes, start=left_out > 0)}
    edges = [Edge(place.get(start, 0), place[end], label) for start, end, label in arrows]
    return [Box("rest", count=left_out)] * (left_out > 0) + list(boxes.values()), edges, left_out


def _latest_first(root: Node) -> Iterator[Node]:
    """Yield the Nodes that ``root`` depends on, every Node before those it depends on."""
    waiting, seen = [(-root.number, root)], {root}
    while waiting:
        _, node = heapq.heappop(waiting)
        yield node
        for link in node.links:
            if type(link) is Node and link not in seen:
                seen.add(link)
                heapq.heappush(waiting, (-link.number, link))


def _operands(node: Node) -> Iterator[tuple[Any, Any, Any, str]]:
    """Yield for each operand its key, its link, its array if that was kept, and its name in the primitive."""
    several = len(node.links) > 1
    for position, link in enumerate(node.links):
        array = None if node.saved is None else node.saved[position]
        # An array that is used twice is one input; a number, or what was not kept, one for each use.
        key = link if link is not None else ("array", id(array)) if isinstance(array, np.ndarray) else (node, position)
        yield key, link, array, _short(node.primitive.label(position)) if several else ""


def _operation_box(node: Node) -> Box:
    defaults = node.primitive._defaults
    params = {key: _parameter(value) for key, value in node.params.items()}
    return Box(
        "operation",
        _short(node.primitive.name),
        node.shape,
        str(node.dtype),
        params={key: text for key, text in params.items() if key not in defaults or text != _parameter(defaults[key])},
        freed=node.saved is None,
        where="" if node.origin is None else _clean(node.origin.where),
    )


def _leaf_box(leaf: Leaf, tensor: Tensor | None = None) -> Box:
    value = "" if tensor is None else _value(tensor.data)
    return Box("leaf", "", leaf.shape, str(leaf.dtype), value, result=tensor is not None, leaf=leaf)


def _given_box(array: Any) -> Box:
    if array is None:
        return Box("input")
    return Box(
        "input" if np.ndim(array) else "constant", "", np.shape(array), str(np.asarray(array).dtype), _value(array)
    )


def _value(array: Any) -> str:
    """Return the number in an array of one element, or an empty string."""
    return f"{np.asarray(array).item():.6g}" if np.size(array) == 1 else ""


def _parameter(value: Any) -> str:
    """Return a static parameter as short text."""
    return _short(_brief(value))


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array {value.shape}" if value.ndim else str(value)
    if isinstance(value, tuple | list) and len(value) <= MOST_CHARACTERS:
        inner = ", ".join(map(_brief, value)) + ("," if isinstance(value, tuple) and len(value) == 1 else "")
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    if isinstance(value, slice):
        parts = ["" if part is None else _brief(part) for part in (value.start, value.stop, value.step)]
        return ":".join(parts if parts[2] else parts[:2])
    if isinstance(value, np.generic):
        return str(value)
    return getattr(value, "__name__", None) or repr(value)


def _short(text: str) -> str:
    text = _clean(text)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _clean(text: str) -> str:
    """Replace line breaks, and characters that XML forbids."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def _give_names(things: list[tuple[Any, Box]], given: Mapping[str, Tensor | NDArray[Any]]) -> None:
    """Write the names of Nodes, Leaves and arrays into their boxes; a number that has a Tensor becomes an input.

    A Node has no reference to its Tensor, which would be a cycle; the garbage collector finds the Tensors.
    """
    found: dict[int, str] = {}
    for owner in gc.get_objects():
        if type(owner) is Tensor and hasattr(owner, "_node"):  # one that another thread is making has none yet
            for part in (owner._node, owner.data):
                found[id(part)] = owner.name or found.get(id(part), "")
    for name, thing in given.items():
        for part in (thing._node, thing.data) if isinstance(thing, Tensor) else (thing,):
            found[id(part)] = name
    for thing, box in things:
        if thing is not None and id(thing) in found:
            box.kind = "input" if box.kind == "constant" else box.kind
            setattr(box, "name" if box.kind == "operation" else "title", _short(found[id(thing)]))
