"""A declaration of one function that can be differentiated, and the cases that are drawn from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from catalogue.layouts import alone, broadcastable, shapes, with_params
from catalogue.values import GAP, Array, Domain, Layout, Shape, real


@dataclass(frozen=True, repr=False)
class Declaration:
    """One function that can be differentiated: what it is called with, and what it must give.

    ``call`` is what the user writes, on Tensors. ``reference`` gives the same on arrays without this package; NumPy
    itself, unless told otherwise. ``layouts`` draws the operands' shapes and the static parameters, ``domains`` says
    which values the operands take. ``kinks`` tells, as one array or several, how far the operands are from where the
    derivative jumps; moving the first operand must change it. ``same`` draws shapes for one Tensor as all operands.
    """

    name: str
    call: Callable[..., Any]
    layouts: st.SearchStrategy[Layout]
    domains: tuple[Domain, ...] = (real,)
    reference: Callable[..., Any] | None = None
    kinks: Callable[..., Any] | None = None
    same: st.SearchStrategy[Shape] | None = None
    keeps_dtype: bool = True
    tolerance: float = 1e-6

    def __repr__(self) -> str:
        return self.name

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the name only, where hypothesis shows a failing example."""
        printer.text(self.name)


def unary(name: str, call: Any, domain: Domain = real, **rest: Any) -> Declaration:
    """Declare a function of one operand of any shape."""
    return Declaration(name, call, rest.pop("layouts", alone()), (domain,), **rest)


def binary(name: str, call: Any, a: Domain = real, b: Domain = real, **rest: Any) -> Declaration:
    """Declare a function of two operands that broadcast."""
    layouts = rest.pop("layouts", with_params(broadcastable(2)))
    return Declaration(name, call, layouts, (a, b), **{"same": shapes} | rest)


def at_zero(x: Array, **params: Any) -> Array:
    """Return the distance of x from its kink at 0."""
    return x


def at_whole_multiple(a: Array, b: Array) -> Array:
    """Return the distance of a from the nearest whole multiple of b."""
    return a - b * np.round(a / b)


def at_tie(a: Array, b: Array, **params: Any) -> Array:
    """Return the distance of a from b."""
    return a - b


exponents = st.sampled_from([2, 3, 0.5, -1, -2.0, 1, 0, 0.0, 2.0])
slopes = st.floats(-0.5, 0.5)


@dataclass(frozen=True)
class Case:
    """A declaration with operands, parameters and a cotangent of the output."""

    declaration: Declaration
    operands: tuple[Array, ...]
    params: dict[str, Any]
    cotangent: Array = field(repr=False)

    def call(self, *operands: Any) -> Any:
        """What the user writes, on these operands or on others."""
        return self.declaration.call(*(operands or self.operands), **self.params)

    def reference(self, *operands: Any) -> Array:
        """What must come out."""
        reference = self.declaration.reference or self.declaration.call
        return np.asarray(reference(*(operands or self.operands), **self.params))

    def arrays(self) -> list[Array]:
        """All arrays that the caller owns."""
        params = [value for value in self.params.values() if isinstance(value, np.ndarray)]
        return [*self.operands, *params, self.cotangent]


@st.composite
def cases(draw: st.DrawFn, declaration: Declaration) -> Case:
    """Operands in the declaration's domain, away from its kinks, and a cotangent."""
    layout, params = draw(declaration.layouts)
    operands = [draw(domain.arrays(shape)) for domain, shape in zip(declaration.domains, layout, strict=True)]
    return case_of(declaration, operands, params, draw(st.integers(0, 2**32 - 1)))


@st.composite
def fan_ins(draw: st.DrawFn, declaration: Declaration) -> Case:
    """The same array for every operand."""
    assert declaration.same is not None
    x = draw(declaration.domains[0].arrays(draw(declaration.same)))
    operands = (x,) * len(declaration.domains)
    seed = draw(st.integers(0, 2**32 - 1))
    return Case(declaration, operands, {}, uneven(seed, np.shape(declaration.call(*operands))))


def case_of(declaration: Declaration, operands: Any, params: dict[str, Any], seed: int) -> Case:
    """A case with operands pushed away from kinks, and a cotangent that fits the output."""
    if declaration.kinks is not None:
        operands = pushed(operands, lambda *moved: declaration.kinks(*moved, **params))
    case = Case(declaration, tuple(operands), params, np.empty(0))
    return Case(declaration, case.operands, params, uneven(seed, case.reference().shape))


def pushed(operands: Any, kinks: Callable[..., Any]) -> list[Array]:
    """Move elements of the first operand up until none is near a kink."""
    first, *rest = operands
    for _ in range(1000):
        distances = kinks(first, *rest)
        near = np.zeros(first.shape, bool)
        for distance in distances if isinstance(distances, tuple) else (distances,):
            near |= any_along_broadcast(np.abs(distance) < GAP, first.shape)
        if not near.any():
            return [first, *rest]
        first = np.where(near, first + 2 * GAP, first)
    raise AssertionError("moving the first operand does not take it away from the kinks")


def any_along_broadcast(flags: Array, shape: Shape) -> Array:
    """Of what broadcasting made of a shape, whether any copy of an element is flagged."""
    flags = np.any(flags, axis=tuple(range(np.ndim(flags) - len(shape))))
    repeated = tuple(i for i, size in enumerate(shape) if size == 1)
    return np.any(flags, axis=repeated, keepdims=True)


def uneven(seed: int, shape: Shape) -> Array:
    """A cotangent of numbers between 1/2 and 2, no two alike, every second one negative."""
    rng = np.random.default_rng(seed)
    size = math.prod(shape)
    signs = 1.0 - 2 * (rng.permutation(size) % 2)
    return (signs * rng.uniform(0.5, 2, size)).reshape(shape)
