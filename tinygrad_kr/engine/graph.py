"""The computation graph: what a Node records, and the walk backward through the Nodes.

A Tensor points to the Node of the operation that made it, to a Leaf if it is a parameter, or to nothing if it is a
constant. Nodes point to the Nodes and Leaves of their operands, never to Tensors: there are no cycles, and
intermediate results live only as long as a rule needs them.
"""

from __future__ import annotations

import inspect
import itertools
import operator
from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy import ndarray

from tinygrad_kr.engine import callers
from tinygrad_kr.errors import DtypeError, FreedGraphError, MutationError, ShapeError

__all__ = ["Leaf", "Mode", "Node", "Switch", "mode", "no_grad", "walk"]

Array = Any  # np.ndarray, or a Tensor while the walk itself is recorded


class Operation(Protocol):
    """What a graph asks of a Primitive, which is defined above it."""

    name: str
    last: int
    rules: list[Any]
    _defaults: dict[str, Any]  # of the static parameters

    def label(self, position: int) -> str:
        """Return what messages call an operand."""

    def pull_back(self, node: Node, position: int, g: Array, wrap: Wrap | None) -> Array:
        """Apply the rule of one operand."""


P = ParamSpec("P")
R = TypeVar("R")
numbers: itertools.count[int] = itertools.count(1)


class Mode(NamedTuple):
    """How operations are carried out in a thread or task; which kind of Switch said so, and what was before."""

    recording: bool = True
    debugging: bool = False
    kind: type[Switch] | None = None
    outer: Mode | None = None


RECORDING = Mode()
mode: ContextVar[Mode] = ContextVar("tinygrad_kr_mode", default=RECORDING)


class Switch:
    """Change the mode until a ``with`` block ends, also by an error, or while a function runs that it decorates.

    One Switch may be entered several times, and blocks may end in another order than they began, as in generators.
    """

    __slots__ = ()

    @classmethod
    def inside(cls, outer: Mode) -> Mode:
        """Return the mode inside a block."""
        raise NotImplementedError

    def __enter__(self) -> None:
        outer = mode.get()
        mode.set(SILENT if outer is RECORDING and type(self) is no_grad else self.inside(outer))

    def __exit__(self, *error: object) -> None:
        state = mode.get()
        if state.kind is type(self) and state.outer is not None:
            mode.set(state.outer)
        elif state.kind is not None and state.outer is not None:  # a block of another kind, opened later, is still open
            mode.set(state.outer)
            self.__exit__()
            mode.set(state.kind.inside(mode.get()))

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function, which then runs inside the block."""
        if any(suspends(function) for suspends in SUSPENDING):
            raise TypeError(
                f"@{type(self).__name__}() decorates plain functions, got {function!r}.\n"
                f"  in a generator or coroutine write: with {type(self).__name__}(): around the computation"
            )

        @wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return inside


SUSPENDING = inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction


class no_grad(Switch):
    """Compute without recording a graph, in this thread or task, until the ``with`` block ends.

    Use it for inference, and for parameter updates in place; as a decorator, for the whole of a function.

    Examples
    --------
    >>> from tinygrad_kr import Tensor, no_grad
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> with no_grad():
    ...     w -= 0.5
    >>> w.data
    array([0.5, 1.5])
    >>> @no_grad()
    ... def predict(x):
    ...     return w * x
    >>> predict(2.0).requires_grad
    False
    """

    __slots__ = ()

    @classmethod
    def inside(cls, outer: Mode) -> Mode:
        """Return the mode inside a block: debugging as outside."""
        return Mode(False, outer.debugging, cls, outer)


SILENT = no_grad.inside(RECORDING)  # made once, since every update enters it


class recording(Switch):
    """Record a graph, also inside ``no_grad()``: the transforms need one."""

    __slots__ = ()

    @classmethod
    def inside(cls, outer: Mode) -> Mode:
        """Return the mode inside a block: debugging as outside."""
        return Mode(True, outer.debugging, cls, outer)


class Leaf:
    """The place in the graph of a parameter, where its gradient arrives."""

    __slots__ = ("dtype", "grad", "number", "shape")

    def __init__(self, data: Any) -> None:
        self.number: int = next(numbers)
        self.shape: tuple[int, ...] = data.shape
        self.dtype: np.dtype[Any] = data.dtype
        self.grad: Any = None


Link = Any  # Node | Leaf | None
Wrap = Callable[[Any, Link, list[int] | None], Any]


class Node:
    """One recorded operation: what was done, to which operands, and what its rules need to go back."""

    __slots__ = ("dtype", "guards", "links", "number", "origin", "params", "primitive", "saved", "shape")

    def __init__(
        self,
        primitive: Operation,
        links: Sequence[Link],
        saved: list[Any],
        params: dict[str, Any],
        output: Any,
        guards: Sequence[tuple[list[int], int, int]],
    ) -> None:
        self.number: int = next(numbers)
        self.primitive: Operation = primitive
        self.links: Sequence[Any] = links
        self.saved: Any = saved  # the operands, the output, the residue; None where no rule asks for it
        self.params: dict[str, Any] = params
        self.shape: tuple[int, ...] = output.shape
        self.dtype: np.dtype[Any] = output.dtype
        self.guards: Sequence[tuple[list[int], int, int]] = (
            guards  # version counter, its value then, and position of each operand that can change
        )
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
                    f"{self.primitive.name}: its operand {self.primitive.label(position)} "
                    f"{np.shape(self.saved[position])} was changed in place after it was used, so the gradient can no "
                    "longer be computed.\n"
                    "  call backward() before updating, or compute the result again after the update"
                )
        if self.origin is not None:
            self.origin.check(self)


def walk(
    seeds: dict[Link, Array],
    wanted: Sequence[Link] | None = None,
    *,
    retain_graph: bool = False,
    wrap: Wrap | None = None,
    since: int = 0,
) -> tuple[dict[Link, Array], set[Link]]:
    """Carry cotangents back to the leaves: one vector-Jacobian product of the whole graph.

    Parameters
    ----------
    seeds : dict of arrays by Node or Leaf
        Where to start, each with its cotangent, an array of its shape; used up. How a cotangent was computed is not
        looked at.
    wanted : sequence of Nodes and Leaves, optional
        Where to stop; only what lies between them and the seeds is walked. Default: all Leaves.
    retain_graph : bool
        Keep what the Nodes saved, for another walk.
    wrap : function of an array, its Node or Leaf, and its version counter, optional
        Makes a Tensor of a saved array, so that the rules record themselves and can be differentiated again.
        Default: rules run on plain arrays.
    since : int
        Nodes with a smaller number cannot depend on what is wanted, and are left alone.

    Returns
    -------
    gradients : dict
        For each Node or Leaf where the walk ended, its gradient.
    borrowed : set
        Those of them whose gradient somebody else may hold as well.
    """
    callers.raise_warnings()
    order = reachable(seeds, since)
    useful = None if wanted is None else leading_to(wanted, order)
    stops = frozenset(wanted) if wanted else ()
    gradients = seeds
    borrowed = set(seeds)
    for node in order:
        if node in stops or node not in gradients:
            continue
        g, primitive, saved = gradients.pop(node), node.primitive, node.saved
        rules, last, position = primitive.rules, primitive.last, 0
        try:
            for position, link in enumerate(node.links):
                if link is None or (useful is not None and link not in useful):
                    continue
                rule, needs, keywords = rules[position] if position < last else rules[last]
                try:
                    if wrap is None and not keywords:
                        gradient = rule(g, *map(saved.__getitem__, needs))
                    else:
                        gradient = primitive.pull_back(node, position, g, wrap)
                except RuntimeWarning:
                    again = partial(primitive.pull_back, node, position, g, wrap)
                    gradient = callers.at_calling_line(again, f", in the backward pass of {primitive.name}")
                if type(gradient) is not ndarray or gradient.shape != link.shape or gradient.dtype is not link.dtype:
                    gradient = fit(gradient, link, primitive, position)
                if link in gradients:  # the first is borrowed, the second allocates, later ones add in place
                    gradients[link] = accumulated(gradients[link], gradient, link in borrowed)
                    borrowed.discard(link)
                else:
                    gradients[link] = gradient
                    if gradient is g or gradient.base is not None:
                        borrowed.add(link)
                    for i in needs:
                        if gradient is saved[i]:
                            borrowed.add(link)
        except Exception as error:
            error.add_note(f"in the backward pass of {primitive.name}, for its operand {primitive.label(position)}")
            if node.origin is not None:
                error.add_note(f"the operation was called at {node.origin.where}")
            raise
        if not retain_graph:  # let go of the saved arrays and of the graph above
            node.saved, node.links, node.guards = None, (), ()
    return gradients, borrowed


def reachable(roots: Iterable[Link], since: int) -> list[Any]:
    """All Nodes that the roots depend on, latest first: every Node comes before the Nodes it depends on."""
    found: list[Any] = []
    for root in roots:
        if type(root) is Node and root.number > since:
            found.append(root)
    seen = set(found)
    for node in found:  # grows as it is read
        for link in node.links:
            if type(link) is Node and link not in seen and link.number > since:
                seen.add(link)
                found.append(link)
        for version, then, _ in node.guards:
            if version[0] != then:
                node.check()
        if node.saved is None or node.origin is not None:
            node.check()
    found.sort(key=by_number, reverse=True)
    return found


by_number = operator.attrgetter("number")


def depends_on_earlier(roots: Collection[Link], since: int) -> bool:
    """Whether anything that the roots depend on was recorded at or before the number ``since``."""
    links = itertools.chain(roots, *(node.links for node in reachable(roots, since)))
    return any(link is not None and link.number <= since for link in links)


def leading_to(wanted: Sequence[Link], order: Sequence[Link]) -> set[Link]:
    """The links through which a gradient reaches one that is wanted."""
    useful = set(wanted)
    for node in reversed(order):
        if not useful.isdisjoint(node.links):
            useful.add(node)
    return useful


def accumulated(total: Array, more: Array, borrowed: bool) -> Array:
    """Return the sum, in place only where the running total is known to be held by nobody else."""
    if borrowed or type(total) is not ndarray or type(more) is not ndarray:
        result = total + more
        return np.asarray(result) if isinstance(result, np.generic) else result
    total += more
    return total


def fit(gradient: Array, link: Link, primitive: Operation, position: int) -> Array:
    """Undo broadcasting and promotion: a gradient has the shape and the dtype of its operand.

    An axis along which the operand was repeated is summed over.
    """
    if type(gradient) is ndarray and gradient.dtype is link.dtype and gradient.shape[1:] == link.shape:
        return np.asarray(np.add.reduce(gradient))  # the commonest case: a bias, shared by a batch
    extra = gradient.ndim - len(link.shape)
    if extra > 0:
        gradient = np.add.reduce(gradient, axis=tuple(range(extra)))
    if gradient.shape != link.shape:
        repeated = tuple(i for i, size in enumerate(link.shape) if size == 1)
        if extra < 0 or any(a != b != 1 for a, b in zip(gradient.shape, link.shape, strict=True)):
            raise ShapeError(
                f"{primitive.name}: its rule for {primitive.label(position)} returned a gradient that does not fit\n"
                f"  expected shape {link.shape}, or one that broadcasting makes of it; got {gradient.shape}"
            )
        gradient = np.add.reduce(gradient, axis=repeated, keepdims=True)
    if isinstance(gradient, np.generic):
        gradient = np.asarray(gradient)
    if gradient.dtype.kind == "c":
        raise DtypeError(f"{primitive.name}: complex numbers are not supported; its operands must be real")
    return gradient if gradient.dtype == link.dtype else gradient.astype(link.dtype)
