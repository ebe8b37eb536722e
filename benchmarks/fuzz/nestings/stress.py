"""One pullback used thousands of times: power iteration and conjugate gradients, alone and under a gradient.

Each program takes a number of uses, and returns a result with what it must be. Outside a transform nothing of a use
may be kept; under a gradient each use is recorded, and costs what the one before it cost.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_kr import grad, hvp, vjp

Result = tuple[Any, Any]  # what came out, and what must
SIZE = 6
BASIS = np.linalg.qr(np.sin(np.arange(1.0, 1 + SIZE * SIZE)).reshape(SIZE, SIZE))[0]
MATRIX = BASIS * np.arange(1.0, 1 + SIZE) @ BASIS.T  # eigenvalues 1 to SIZE, of the columns of the basis
VECTOR = np.cos(np.arange(1.0 * SIZE))
ROWS = np.tile(VECTOR, (1000, 1))


def plain(uses: int) -> Result:
    """Apply one pullback to what it returned, outside any transform: every row turns into the last column."""
    _, pullback = vjp(lambda x: x @ MATRIX, ROWS)
    u = ROWS
    for _ in range(uses):
        (u,) = pullback(u)
        u = u / np.sqrt(np.sum(u * u, axis=1, keepdims=True))
    return np.abs(u), np.abs(np.tile(BASIS[:, -1], (len(ROWS), 1)))


def power_iteration(uses: int) -> Result:
    """Differentiate the largest eigenvalue, found by power iteration: the outer product of its eigenvector."""

    def largest(matrix: Any) -> Any:
        _, pullback = vjp(lambda x: matrix @ x, VECTOR)
        u = VECTOR
        for _ in range(uses):
            (u,) = pullback(u)
            u = u / np.sqrt(u @ u)
        return u @ pullback(u)[0]

    return grad(largest)(MATRIX), np.outer(BASIS[:, -1], BASIS[:, -1])


def conjugate_gradients(uses: int) -> Result:
    """Differentiate v @ x with A x = v, solved by conjugate gradients on a pullback: x twice.

    After SIZE steps the solution is exact, and the method starts again from it.
    """

    def solved(v: Any) -> Any:
        _, pullback = vjp(lambda x: MATRIX @ x, VECTOR)
        x = np.zeros(SIZE)
        for _ in range(uses // (SIZE + 1)):
            r = v - pullback(x)[0]
            p = r
            for _ in range(SIZE):
                (q,) = pullback(p)
                step = (r @ r) / (p @ q + 1e-300)
                x, new = x + step * p, r - step * q
                r, p = new, new + (new @ new) / (r @ r + 1e-300) * p
        return v @ x

    return grad(solved)(VECTOR), 2 * np.linalg.solve(MATRIX, VECTOR)


def second_derivatives(uses: int) -> Result:
    """Use one pullback of a gradient, a product with the Hessian, under another gradient."""

    def total(v: Any) -> Any:
        _, pullback = vjp(grad(lambda x: np.sum(np.cosh(x))), VECTOR)
        u = v
        for _ in range(uses):
            (u,) = pullback(u)
            u = u / np.cosh(VECTOR)
        return np.sum(u * u)

    return hvp(total)(VECTOR, VECTOR), 2 * VECTOR


PROGRAMS: tuple[Callable[[int], Result], ...] = (plain, power_iteration, conjugate_gradients, second_derivatives)


def calls(program: Callable[[int], Result], uses: int) -> int:
    """Count the function calls that a program makes, Python's and C's: its time, but the same on every machine."""
    count = 0

    def counting(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counting)
    try:
        program(uses)
    finally:
        sys.setprofile(before)
    return count


def peak(program: Callable[[int], Result], uses: int) -> int:
    """Return the most bytes that were held at once."""
    tracemalloc.start()
    try:
        program(uses)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
