"""Right gradients at points where finite differences are in trouble: whoever says FAIL here raises a false alarm."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from benchmarks.checkers.gradcheck_detection.formulas import AT_KINKS
from benchmarks.checkers.gradcheck_detection.operations import (
    MATRICES,
    OPERATIONS,
    Array,
    Forward,
    Inputs,
    Operation,
    Points,
    distinct,
    of,
    positive,
    signed,
)

ANY_SIGN = ("sin", "tanh", "sigmoid", "relu", "leaky relu", "abs", "square", "reciprocal", "softplus", "gelu")
POSITIVE = ("log", "sqrt", "power")
ROWS = ("sum", "mean", "logsumexp", "norm", "var", "softmax", "log-softmax", "cross-entropy", "cumsum")
NOISY = ("exp", "log", "sin", "tanh", "sigmoid", "square", "softplus", "softmax", "matmul", "linear", "layer norm")
STEEP = 1e5
FLAT = 1e8


def at(operation: Operation, group: str, points: Points, forward: Forward | None = None) -> tuple[str, Operation]:
    return group, Operation(operation.name, forward or operation.forward, operation.backward, points)


def scaled(points: Points, low: float, high: float) -> Points:
    """Multiply the inputs, all by the same power of ten."""

    def draw(rng: np.random.Generator) -> Inputs:
        scale = 10 ** rng.uniform(low, high)
        return tuple(scale * x for x in points(rng))

    return draw


def mixed(draw: Callable[..., Array], low: float, high: float) -> Points:
    """Give every element a power of ten of its own."""
    return of(lambda rng, shape: draw(rng, shape) * 10 ** rng.uniform(low, high, shape))


# Near a kink: some elements at a distance of 1e-12 to 1.


def distances(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.choice([-1.0, 1.0], shape) * 10 ** rng.uniform(-12, 0, shape)


def near_equal(rng: np.random.Generator) -> Inputs:
    x = signed(rng, (3, 4))
    return x, x + distances(rng, (3, 4))


def near_ties(rng: np.random.Generator) -> Inputs:
    x = distinct(rng, (3, 4))
    x[1, 0] = x[1].max() + abs(distances(rng, ()))
    return (x,)


NEAR_KINKS = {
    "relu": of(distances),
    "leaky relu": of(distances),
    "abs": of(distances),
    "maximum": near_equal,
    "max": near_ties,
}


# Forward functions that are less exact than they look.


def pseudo_noise(y: Any, inputs: Inputs) -> Any:
    """Numbers in [-1, 1) made of the bits of the inputs: always the same for the same inputs."""
    state = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        for x in inputs:
            for bits in np.ascontiguousarray(x, np.float64).ravel().view(np.uint64):
                state = (state ^ bits) * np.uint64(0xBF58476D1CE4E5B9)
                state ^= state >> np.uint64(29)
    return np.random.default_rng(int(state)).uniform(-1, 1, np.shape(y))


def noisy(forward: Forward, size: float = 1e-9) -> Forward:
    @wraps(forward)
    def noisy_forward(*inputs: Array) -> Any:
        y = forward(*inputs)
        return y * (1 + size * pseudo_noise(y, inputs))

    return noisy_forward


def single(forward: Forward) -> Forward:
    """Compute in float32, and return float64."""
    return wraps(forward)(lambda *inputs: np.asarray(forward(*(np.asarray(x, np.float32) for x in inputs)), np.float64))


def lifted(forward: Forward) -> Forward:
    """Add so large a number that half of the digits are lost."""
    return wraps(forward)(lambda *inputs: FLAT + forward(*inputs))


def table() -> list[tuple[str, Operation]]:
    every = OPERATIONS
    oscillating = Operation(
        "sin(1e5 x)", lambda x: np.sin(STEEP * x), lambda x, v: (v * STEEP * np.cos(STEEP * x),), of(signed)
    )
    rows = of(signed, MATRICES)
    return [
        *(at(every[name], "tiny and huge inputs", mixed(signed, -12, 8)) for name in ANY_SIGN),
        *(at(every[name], "tiny and huge inputs", mixed(positive, -12, 8)) for name in POSITIVE),
        *(at(every[name], "tiny and huge inputs", scaled(rows, -12, 8)) for name in ROWS),
        *(
            at(every[name], "tiny and huge inputs", scaled(every[name].points, -12, 8))
            for name in ("add", "multiply", "divide", "matmul", "linear", "sse", "mse", "layer norm", "index", "conv1d")
        ),
        *(at(every[name], "saturated", scaled(of(signed), 0, 1.5)) for name in ("tanh", "sigmoid", "softplus", "gelu")),
        *(at(every[name], "saturated", scaled(rows, 0, 2.5)) for name in ("softmax", "log-softmax", "cross-entropy")),
        *(at(every[name], "near a kink", points) for name, points in NEAR_KINKS.items()),
        *(at(every[name], "at a kink", points) for name, points in AT_KINKS.items()),
        *(at(every[name], "noise of 1e-9", every[name].points, noisy(every[name].forward)) for name in NOISY),
        *(at(every[name], "float32 inside", every[name].points, single(every[name].forward)) for name in NOISY),
        *(at(every[name], "1e8 + f(x)", every[name].points, lifted(every[name].forward)) for name in NOISY),
        at(oscillating, "sin(1e5 x)", of(signed)),
    ]


DIFFICULT = table()
GROUPS = list(dict.fromkeys(group for group, _ in DIFFICULT))
