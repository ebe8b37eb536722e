"""The work a program stands for: the same text, each transform replaced by the passes it needs.

A forward pass is one evaluation of the function on plain arrays, a backward or tangent pass is counted as one more,
and what a transform returns has the shapes, not the values, of its results. A function inside a function is thus
evaluated as often as the passes of all transforms around it multiply to. The time this takes in plain NumPy is what
the program is held against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_kr.engine.tree import tree_leaves, tree_map

Argnums = Any


def chosen(argnums: Argnums, args: Any) -> Any:
    return args[argnums] if isinstance(argnums, int) else tuple(args[i] for i in argnums or range(len(args)))


def size(tree: Any) -> int:
    return sum(np.size(leaf) for leaf in tree_leaves(tree))


def grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    return lambda *args: value_and_grad(f, argnums)(*args)[1]


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """One forward, one backward."""

    def function(*args: Any) -> Any:
        value, pullback = vjp(f, *args, argnums=argnums)
        return value, pullback(value)

    return function


def vjp(f: Callable[..., Any], *args: Any, argnums: Argnums = ()) -> Any:
    """One forward; one backward each time the pullback is called."""

    def pullback(cotangent: Any) -> Any:
        f(*args)
        return chosen(argnums, args)

    return f(*args), pullback


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """One forward, one backward, and one backward through that backward: there is no forward mode."""
    value, *_ = [f(*primals) for _ in range(3)]
    return value, value


def hvp(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A forward and a backward, and both once more for the derivative of the gradient."""
    return lambda *args: [f(*args[:-1]) for _ in range(4)] and args[:-1][argnums]


def jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """One forward, one backward for each number in the value."""

    def function(*args: Any) -> Any:
        value = f(*args)
        for _ in range(size(value)):
            f(*args)
        of_one = lambda y: tree_map(lambda x: np.zeros(np.shape(y) + np.shape(x)), chosen(argnums, args))
        return tree_map(of_one, value)

    return function


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The Jacobian of the gradient."""
    return jacobian(grad(f, argnums), argnums)


PASSES: dict[str, Any] = {"np": np}
PASSES |= {f.__name__: f for f in (grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp)}
