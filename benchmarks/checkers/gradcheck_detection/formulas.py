"""Wrong gradients: mistakes in the formula of one operation, and the table of all mutants."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.checkers.gradcheck_detection.mutants import Backward, Broken, Mutant, general
from benchmarks.checkers.gradcheck_detection.operations import (
    EPS,
    PICKED,
    SLOPE,
    Array,
    Inputs,
    Operation,
    Points,
    log_softmax,
    normalised,
    of,
    one_hot,
    signed,
    softmax,
)


def times_length(operation: Operation) -> Backward:
    return lambda *args: tuple(g * len(args[0]) for g in operation.backward(*args))


def norm_without(term: str, axis: int) -> Callable[[Operation], Backward]:
    """Leave a term out of the gradient of a normalisation: "mean", "product" or "eps"."""

    def backward(x: Array, gamma: Array, beta: Array, v: Array) -> Inputs:
        hat, scale = normalised(x, axis, 0 if term == "eps" else EPS)
        u = v * gamma
        mean = 0 if term == "mean" else u.mean(axis, keepdims=True)
        product = 0 if term == "product" else hat * (u * hat).mean(axis, keepdims=True)
        return scale * (u - mean - product), (v * hat).sum(0), v.sum(0)

    return lambda operation: backward


def assigned(x: Array, v: Array) -> Inputs:
    g = np.zeros_like(x)
    g[PICKED] = v
    return (g,)


def windows_assigned(operation: Operation) -> Backward:
    def backward(x: Array, w: Array, v: Array) -> Inputs:
        g = np.zeros_like(x)
        for i, weight in enumerate(w):
            g[i : i + len(v)] = weight * v
        return g, operation.backward(x, w, v)[1]

    return backward


def formula(backward: Backward) -> Callable[[Operation], Backward]:
    return lambda operation: backward


Formulas = Mapping[str, Callable[[Operation], Backward]]

WITHOUT_1_OVER_N: Formulas = dict.fromkeys(("mean", "var", "mse", "cross-entropy"), times_length)
TRANSPOSED: Formulas = {
    "matmul": formula(lambda x, y, v: (v @ y, x @ v)),
    "linear": formula(lambda x, w, b, v: (v @ w, x @ v, v.sum(0))),
    "reshape": formula(lambda x, v: (v.reshape(x.shape, order="F").copy(),)),
}
DROPPED: Mapping[str, Formulas] = {
    "the sum": {
        "softmax": formula(lambda x, v: (softmax(x) * v,)),
        "log-softmax": formula(lambda x, v: (v.copy(),)),
        "cross-entropy": formula(lambda x, v: (v * softmax(x) / len(x),)),
    },
    "the mean": {
        "layer norm": norm_without("mean", -1),
        "batch norm": norm_without("mean", 0),
        "var": formula(lambda x, v: (2 * v * x / len(x),)),
    },
    "the normalised input": {"layer norm": norm_without("product", -1), "batch norm": norm_without("product", 0)},
    "eps": {"layer norm": norm_without("eps", -1), "batch norm": norm_without("eps", 0)},
    "the inner derivative": {
        "gelu": formula(lambda x, v: (v * 0.5 * (1 + np.tanh(0.8 * (x + 0.04 * x**3))),)),
        "log-softmax": formula(lambda x, v: (v - np.exp(log_softmax(x)),)),
        "norm": formula(lambda x, v: (v * x,)),
    },
}
FORGETFUL: Formulas = {
    "index": formula(assigned),
    "conv1d": windows_assigned,
    "used twice": formula(lambda x, v: (v * np.sin(x),)),
}


def specific(formulas: Formulas) -> Callable[..., Backward | None]:
    return lambda operation, inputs, rng: (make := formulas.get(operation.name)) and make(operation)


def square_specific(formulas: Formulas) -> Callable[..., Backward | None]:
    """For formulas whose shapes fit only if all operands are square; a single operand always is."""

    def make(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
        lengths = {n for x in inputs for n in x.shape}
        return specific(formulas)(operation, inputs, rng) if len(inputs) == 1 or len(lengths) == 1 else None

    return make


# At a kink: everything in the subgradient interval is right, nothing else.


def with_zeros(rng: np.random.Generator) -> Inputs:
    x = signed(rng, (7,))
    x[rng.integers(7)] = 0
    return (x,)


def with_ties(rng: np.random.Generator) -> Inputs:
    x = signed(rng, (3, 4))
    x[1, [0, 2]] = 3.0
    return (x,)


def equal_somewhere(rng: np.random.Generator) -> Inputs:
    x, y = signed(rng, (6,)), signed(rng, (6,))
    x[2] = y[2]
    return x, y


AT_KINKS: Mapping[str, Points] = {
    "relu": with_zeros,
    "leaky relu": with_zeros,
    "abs": with_zeros,
    "max": with_ties,
    "maximum": equal_somewhere,
}


def at_zero(slope: float) -> Callable[[Operation], Backward]:
    return lambda operation: lambda x, v: (np.where(x == 0, slope * v, operation.backward(x, v)[0]),)


OUTSIDE: Formulas = {
    "relu": at_zero(5),
    "leaky relu": at_zero(-1),
    "abs": at_zero(2),
    "max": formula(lambda x, v: ((x == x.max(1, keepdims=True)) * v[:, None] * 2,)),
    "maximum": formula(lambda x, y, v: ((x >= y) * v * 3, (x < y) * v)),
}
TOGETHER_OUTSIDE: Formulas = {
    "max": formula(lambda x, v: ((x == x.max(1, keepdims=True)) * v[:, None],)),
    "maximum": formula(lambda x, y, v: ((x >= y) * v, (x <= y) * v)),
}
INSIDE: Formulas = {
    "relu": at_zero(1),
    "leaky relu": at_zero((1 + SLOPE) / 2),
    "abs": at_zero(-1),
    "max": formula(lambda x, v: (np.eye(x.shape[1])[x.argmax(1)] * v[:, None],)),
    "maximum": formula(lambda x, y, v: ((x >= y) * v, (x < y) * v)),
}


# A NaN of an overflow, hidden.


def hiding(naive: Callable[[Array, Array], Array]) -> Callable[[Operation], Backward]:
    def backward(x: Array, v: Array) -> Inputs:
        with np.errstate(all="ignore"):
            return (np.nan_to_num(naive(x, v)),)

    return lambda operation: backward


def naive_softmax(x: Array) -> Array:
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


HIDDEN: Formulas = {
    "softplus": hiding(lambda x, v: v * np.exp(x) / (1 + np.exp(x))),
    "logsumexp": hiding(lambda x, v: v[..., None] * naive_softmax(x)),
    "softmax": hiding(lambda x, v: naive_softmax(x) * (v - (v * naive_softmax(x)).sum(-1, keepdims=True))),
    "cross-entropy": hiding(lambda x, v: v * (naive_softmax(x) - one_hot(x)) / len(x)),
}


def overflowing(operation: Operation) -> Points | None:
    if operation.name not in HIDDEN:
        return None
    return of(lambda rng, shape: 800 + signed(rng, shape), ((2, 3), (3, 4)))


def kinks(operation: Operation) -> Points | None:
    return AT_KINKS.get(operation.name)


MUTANTS = [
    *general(),
    Mutant("factor", "missing 1/N", specific(WITHOUT_1_OVER_N)),
    Mutant("transpose", "in the formula", square_specific(TRANSPOSED)),
    *(Mutant("dropped term", term, specific(formulas)) for term, formulas in DROPPED.items()),
    Mutant("forgets accumulation", "", specific(FORGETFUL)),
    Mutant("kink side", "outside", specific(OUTSIDE), points=kinks),
    Mutant("kink side, several together", "outside", specific(TOGETHER_OUTSIDE), points=kinks),
    Mutant("kink side, allowed", "inside", specific(INSIDE), expected="KINK", points=kinks),
    Mutant("nan hidden", "", specific(HIDDEN), points=overflowing),
]

__all__ = ["MUTANTS", "Broken", "Mutant"]
