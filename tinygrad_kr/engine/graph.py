"""The computation graph: what a Node records, and the walk backward through the Nodes.

A Node's *links* are the operands that a gradient can flow to: the Node that made the operand, the leaf Tensor
itself, or None for a constant. Links have ``shape`` and ``dtype``; Tensors of intermediate results are not kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_kr.errors import FreedGraphError, MutationError, ShapeError

if TYPE_CHECKING:
    from tinygrad_kr.engine.primitive import Primitive

__all__ = ["Node", "mode", "no_grad", "walk"]

Link = Any  # Node | leaf Tensor | None
Array = Any  # np.ndarray, or a Tensor while the walk itself is recorded
numbers = itertools.count(1)


class Mode(NamedTuple):
    """How operations are carried out in the current thread or task."""

    recording: bool = True
    debugging: bool = False


mode: ContextVar[Mode] = ContextVar("tinygrad_kr_mode", default=Mode())


@contextmanager
def switched(**changes: bool) -> Iterator[None]:
    """Change the mode for the current thread or task, and restore it also after an error."""
    token = mode.set(mode.get()._replace(**changes))
    try:
        yield
    finally:
        mode.reset(token)


def no_grad() -> Any:
    """Compute without recording a graph, in this thread or task, until the ``with`` block ends.

    Use it for inference, and for parameter updates in place.

    Examples
    --------
    >>> from tinygrad_kr import Tensor, no_grad
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> with no_grad():
    ...     w -= 0.5
    >>> w.data
    array([0.5, 1.5])
    """
    return switched(recording=False)


class Node:
    """One recorded operation: what was done, to which operands, and what its rules need to go back."""

    __slots__ = ("dtype", "guards", "links", "number", "origin", "params", "primitive", "saved", "shape")

    def __init__(
        self,
        primitive: Primitive,
        links: Sequence[Link],
        saved: Sequence[Any],
        params: dict[str, Any],
        output: Any,
        guards: Sequence[tuple[list[int], int, int]],
    ) -> None:
        self.number = next(numbers)
        self.primitive = primitive
        self.links = links
        self.saved: Sequence[Any] | None = saved  # the operands, then the output; None where no rule asks for it
        self.params = params
        self.shape: tuple[int, ...] = output.shape
        self.dtype = output.dtype
        self.guards = guards  # version counter, its value then, and position of each operand that can change
        self.origin: Any = None  # set by debug(): where the operation was called, fingerprints of what it saved

    def check(self) -> None:
        """Raise if what was saved is gone, or is no longer what it was."""
        if self.saved is None:
            raise FreedGraphError(
                f"{self.primitive.name}: this part of the graph was freed by an earlier backward().\n"
                "  to walk it twice, call backward(retain_graph=True) the first time, or compute the result again"
            )
        for version, then, position in self.guards:
            if version[0] != then:
                raise MutationError(
                    f"{self.primitive.name}: its operand {self.primitive.operands[position]} "
                    f"{np.shape(self.saved[position])} was changed in place after it was used, so the gradient can no "
                    "longer be computed.\n"
                    "  call backward() before updating, or compute the result again after the update"
                )
        if self.origin is not None:
            self.origin.check(self)

    def free(self) -> None:
        """Let go of the saved arrays and of the graph above."""
        self.saved, self.links, self.guards = None, (), ()


def walk(
    root: Link,
    cotangent: Array,
    wanted: Sequence[Link] | None = None,
    *,
    retain_graph: bool = False,
    wrap: Callable[[Any, Link], Any] | None = None,
    since: int = 0,
) -> dict[Link, tuple[Array, bool]]:
    """Carry a cotangent from ``root`` back to the leaves: one vector-Jacobian product of the whole graph.

    Parameters
    ----------
    root : Node or leaf Tensor
        Where to start.
    cotangent : array of root's shape
        The vector.
    wanted : sequence of links, optional
        Where to stop; only what lies between them and the root is walked. Default: all leaf Tensors.
    retain_graph : bool
        Keep what the Nodes saved, for another walk.
    wrap : function of an array and its link, optional
        Makes a Tensor of a saved array, so that the rules record themselves and can be differentiated again.
        Default: rules run on plain arrays.
    since : int
        Nodes with a smaller number cannot depend on what is wanted, and are left alone.

    Returns
    -------
    dict
        For each link reached, its gradient and whether nobody else holds that array.
    """
    order = reachable(root, since)
    useful = None if wanted is None else leading_to(wanted, order)
    gradients: dict[Link, tuple[Array, bool]] = {root: (cotangent, False)}
    stops = frozenset(wanted or ())
    for node in order:
        if node in stops:
            continue
        g = gradients.pop(node, (None,))[0]
        if g is None:
            continue
        node.check()
        for position, link in enumerate(node.links):
            if link is None or (useful is not None and link not in useful):
                continue
            gradient = node.primitive.pull_back(node, position, g, wrap)
            ours = gradient is not g and getattr(gradient, "base", g) is None
            if link in gradients:
                gradient, ours = accumulated(*gradients[link], gradient), True
            gradients[link] = gradient, ours
        if not retain_graph:
            node.free()
    return gradients


def reachable(root: Link, since: int) -> list[Node]:
    """All Nodes that ``root`` depends on, latest first: every Node comes before the Nodes it depends on."""
    if type(root) is not Node:
        return []
    found, seen = [root], {root}
    for node in found:  # grows as it is read
        if node.saved is None:
            node.check()
        for link in node.links:
            if type(link) is Node and link not in seen and link.number > since:
                seen.add(link)
                found.append(link)
    found.sort(key=lambda node: node.number, reverse=True)
    return found


def leading_to(wanted: Sequence[Link], order: Sequence[Node]) -> set[Link]:
    """The links through which a gradient reaches one that is wanted."""
    useful = set(wanted)
    for node in reversed(order):
        if any(link in useful for link in node.links):
            useful.add(node)
    return useful


def accumulated(total: Array, ours: bool, more: Array) -> Array:
    """Return the sum, in place only where the running total is known to be held by nobody else."""
    if ours and type(total) is np.ndarray:
        total += more
        return total
    return total + more


def fit(gradient: Array, link: Link, primitive: Primitive, position: int) -> Array:
    """Undo broadcasting and promotion: a gradient has the shape and the dtype of its operand.

    An axis along which the operand was repeated is summed over.
    """
    if isinstance(gradient, np.generic):
        gradient = np.asarray(gradient)
    if gradient.shape != link.shape:
        extra = gradient.ndim - len(link.shape)
        repeated = [i for i, size in enumerate(link.shape, extra) if i >= 0 and size == 1 != gradient.shape[i]]
        if extra < 0 or gradient.shape[extra:] != tuple(
            gradient.shape[i] if i in repeated else size for i, size in enumerate(link.shape, extra)
        ):
            raise ShapeError(
                f"{primitive.name}: its rule for {primitive.operands[position]} returned a gradient that does not fit\n"
                f"  expected shape {link.shape}, or one that broadcasting makes of it; got {gradient.shape}"
            )
        gradient = np.sum(gradient, axis=(*range(extra), *repeated), keepdims=True).reshape(link.shape)
    return gradient if gradient.dtype == link.dtype else gradient.astype(link.dtype)
