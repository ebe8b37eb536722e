"""Define a case: a function, its derivative and inputs; and build the common kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Array = Any
Function = Callable[..., Any]
Generator = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A derivative of a package.

    ``make`` draws inputs, and returns a function, its vector-Jacobian product, and the inputs.
    """

    name: str
    make: Callable[[Generator], tuple[Function, Function, tuple[Any, ...]]]


def curve(name: str, f: Function, derivative: Function, low: float, high: float, size: int = 5) -> Case:
    """Return a case of a function of single numbers, at some between two bounds."""

    def make(rng: Generator) -> Any:
        return f, lambda x, v: v * derivative(x), (rng.uniform(low, high, size),)

    return Case(name, make)


def jacobian(name: str, make: Callable[[Generator], tuple[Function, Function, Array]]) -> Case:
    """Return a case of a function of one array, with its Jacobian: the axes of the output come first."""

    def with_product(rng: Generator) -> Any:
        f, slopes, x = make(rng)

        def gradient(x: Array, v: Array) -> Array:
            return (np.ravel(v) @ np.reshape(slopes(x), (np.size(v), -1))).reshape(np.shape(x))

        return f, gradient, (np.asarray(x, float),)

    return Case(name, with_product)


def likelihood(name: str, make: Callable[[Generator], tuple[Any, Array]], *methods: str) -> list[Case]:
    """Return cases of a model's methods, each the derivative of the one before, at some parameters."""

    def of(function: str, derivative: str) -> Case:
        def bound(rng: Generator) -> tuple[Function, Function, Array]:
            model, parameters = make(rng)
            return getattr(model, function), getattr(model, derivative), parameters

        return jacobian(f"{name}.{derivative}", bound)

    return [of(*pair) for pair in pairwise(methods)]


def flat(cases: Iterable[Case | Iterable[Case]]) -> list[Case]:
    """Return single cases and groups of them as one list."""
    return [case for group in cases for case in ([group] if isinstance(group, Case) else group)]
