"""Families of right gradients that finite differences find difficult: none may fail, ordinary ones pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import functional as F
from tinygrad_kr.gradcheck import Report, Verdict, check_gradients

Array = Any
Case = tuple[Callable[..., Any], tuple[Any, ...], Callable[..., Any] | None]
"""A function, its inputs, and its gradient: None for that of this package."""
Draw = Callable[[np.random.Generator], Case]


def report_of(case: Case, **options: Any) -> Report:
    f, inputs, gradient = case
    with np.errstate(all="ignore"):
        return check_gradients(f, *inputs, gradient=gradient, **options)


# Gradients that are 0 though nothing is wrong


def scale(rng: np.random.Generator) -> float:
    return float(10 ** rng.uniform(-6, 6))


def batch_norm(rng: np.random.Generator) -> Case:
    """The bias before a batch normalisation: the mean takes it away again."""
    n, m, k = rng.integers(3, 7), rng.integers(2, 5), rng.integers(1, 5)
    x, w, b = rng.normal(size=(n, m)), rng.normal(size=(m, k)), rng.normal(size=k)
    b *= rng.choice([0.0, 1.0])
    return lambda x, w, b: F.standardize(F.linear(x, w, b), axis=0), (x, w, b), None


def batch_norm_loss(rng: np.random.Generator) -> Case:
    _, (x, w, b), _ = batch_norm(rng)
    t, gamma = rng.normal(size=(len(x), len(b))), rng.normal(size=len(b))
    return lambda x, w, b, g: np.mean((F.standardize(F.linear(x, w, b), axis=0) * g - t) ** 2), (x, w, b, gamma), None


def attention(rng: np.random.Generator) -> Case:
    """The bias of the keys: it adds the same to all scores of a query."""
    n, d = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    x = rng.normal(size=(n, d))
    parts = [part for _ in range(3) for part in (rng.normal(size=(d, d)), rng.normal(size=d))]

    def f(x: Any, wq: Any, bq: Any, wk: Any, bk: Any, wv: Any, bv: Any) -> Any:
        scores = np.matmul(F.linear(x, wq, bq), F.linear(x, wk, bk).T) / np.sqrt(d)
        return np.matmul(F.softmax(scores), F.linear(x, wv, bv))

    return f, (x, *parts), None


def balanced_labels(rng: np.random.Generator) -> Case:
    """At the start of a training all classes are equally likely, and as many as the labels say."""
    classes, times, m = int(rng.integers(2, 5)), int(rng.integers(1, 3)), int(rng.integers(2, 5))
    t = rng.permutation(np.repeat(np.arange(classes), times))
    x = rng.normal(size=(len(t), m))
    w, b = np.zeros((m, classes)), np.zeros(classes)
    return lambda x, w, b: F.softmax_cross_entropy(F.linear(x, w, b), t), (x, w, b), None


ZEROS = [batch_norm, batch_norm_loss, attention, balanced_labels]


def scaled(draw: Draw) -> Draw:
    def drawn(rng: np.random.Generator) -> Case:
        f, (x, *others), gradient = draw(rng)
        return f, (x * scale(rng), *others), gradient

    drawn.__name__ = f"scaled {draw.__name__}"
    return drawn


# Several kinks in one place


def row_of_zeros(rng: np.random.Generator) -> Case:
    n, m, k = int(rng.integers(2, 5)), int(rng.integers(2, 5)), int(rng.integers(2, 9))
    x, w1, w2 = rng.normal(size=(n, m)), rng.normal(size=(m, k)), rng.normal(size=(k, 2))
    x[rng.integers(n)] = 0
    return lambda x, w1, w2: np.matmul(F.relu(np.matmul(x, w1)), w2), (x, w1, w2), None


def row_of_zeros_in_a_loss(rng: np.random.Generator) -> Case:
    n, m, k, o = (int(rng.integers(*range_)) for range_ in ((1, 6), (1, 6), (1, 9), (1, 4)))
    x, w1, w2, t = rng.normal(size=(n, m)), rng.normal(size=(m, k)), rng.normal(size=(k, o)), rng.normal(size=(n, o))
    x[rng.integers(n)] = 0
    return lambda x: np.mean((np.matmul(F.relu(np.matmul(x, w1)), w2) - t) ** 2), (x,), None


# Functions that move in quanta: the gradient is that of the function before it was rounded


def float16(x: Array) -> Array:
    return np.asarray(x, np.float16).astype(float)


def bfloat16(x: Array) -> Array:
    """Round to 8 binary digits, ties to even."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    kept = (bits + np.uint32(0x7FFF) + (bits >> 16 & np.uint32(1))) & np.uint32(0xFFFF0000)
    return kept.view(np.float32).astype(float)


def digits(x: Array) -> Array:
    return np.round(x, 4)


def int8(x: Array) -> Array:
    return np.round(np.asarray(x) * 127) / 127


SMOOTH: list[tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = [
    (np.sin, lambda x, v: v * np.cos(x)),
    (np.exp, lambda x, v: v * np.exp(x)),
    (np.tanh, lambda x, v: v / np.cosh(x) ** 2),
    (np.square, lambda x, v: 2 * v * x),
    (lambda x: np.log1p(np.exp(x)), lambda x, v: v / (1 + np.exp(-x))),
    (lambda x: np.sum(x * x) / 2, lambda x, v: v * x),
]


def points(rng: np.random.Generator) -> Array:
    return rng.choice([-1.0, 1.0], n := int(rng.integers(1, 7))) * rng.uniform(0.2, 1, n)


def rounded_inside(rounded: Callable[[Array], Array]) -> Draw:
    """Round the input, the output, or both."""

    def drawn(rng: np.random.Generator) -> Case:
        f, gradient = SMOOTH[rng.integers(len(SMOOTH))]
        before, after = [(True, False), (False, True), (True, True)][rng.integers(3)]

        def g(x: Array) -> Array:
            y = f(rounded(x) if before else x)
            return rounded(y) if after else y

        return g, (points(rng),), gradient

    drawn.__name__ = rounded.__name__
    return drawn


def rounded_layer(rounded: Callable[[Array], Array]) -> Draw:
    """A layer that computes with rounded inputs, weights and outputs."""

    def drawn(rng: np.random.Generator) -> Case:
        n, m, k = rng.integers(1, 5, 3)
        x, w = rng.normal(size=(n, m)), rng.normal(size=(m, k))

        def gradient(x: Array, w: Array, v: Array) -> Any:
            d = v * (1 - np.tanh(x @ w) ** 2)
            return d @ w.T, x.T @ d

        return lambda x, w: rounded(np.tanh(rounded(rounded(x) @ rounded(w)))), (x, w), gradient

    drawn.__name__ = f"{rounded.__name__} layer"
    return drawn


def bisection(rng: np.random.Generator) -> Case:
    """Cube roots, from a bracket that is halved until it is short enough."""
    tolerance = 10 ** rng.uniform(-8, -2)
    moving = rng.integers(2)

    def root(y: float) -> float:
        if y < 0:
            return -root(-y)
        low, high = 0.0, (max(1.0, y) if moving else 2.0)
        while high - low > tolerance:
            middle = (low + high) / 2
            low, high = (middle, high) if middle**3 < y else (low, middle)
        return (low + high) / 2

    x = rng.uniform(0.2, 6, int(rng.integers(1, 5)))
    return lambda x: np.array([root(y) for y in x]), (x,), lambda x, v: v / (3 * np.cbrt(x) ** 2)


ROUNDINGS = (float16, bfloat16, digits, int8)
QUANTA: list[Draw] = [make(r) for make in (rounded_inside, rounded_layer) for r in ROUNDINGS] + [bisection]


# Fine structure that is the function's own: the gradient is that of what is written down


def stairs(rng: np.random.Generator) -> Case:
    """A staircase of smooth steps."""
    steps = 10 ** rng.uniform(2, 6)

    def f(x: Array) -> Array:
        whole, part = np.divmod(steps * x, 1)
        return (whole + part * part * (3 - 2 * part)) / steps

    def gradient(x: Array, v: Array) -> Array:
        part = steps * x % 1
        return v * 6 * part * (1 - part)

    return f, (points(rng),), gradient


def triangle_wave(rng: np.random.Generator) -> Case:
    a, w = 10 ** rng.uniform(-9, -4), 10 ** rng.uniform(4, 8)
    f = lambda x: x * x + a * 4 * np.abs((w * x) % 1 - 0.5)
    return f, (points(rng),), lambda x, v: v * (2 * x + 4 * a * w * np.sign((w * x) % 1 - 0.5))


def fast_sine(rng: np.random.Generator) -> Case:
    a, w = 10 ** rng.uniform(-10, -3), 10 ** rng.uniform(4, 9)
    return (
        (lambda x: np.exp(x) + a * np.sin(w * x)),
        (points(rng),),
        lambda x, v: v * (np.exp(x) + a * w * np.cos(w * x)),
    )


def ripples(rng: np.random.Generator) -> Case:
    """Many oscillations at once."""
    w = 10 ** rng.uniform(3, 8, 4)
    a = rng.normal(size=4) / w
    f = lambda x: np.tanh(x) + np.sum(a * np.sin(np.multiply.outer(x, w)), axis=-1)
    return f, (points(rng),), lambda x, v: v * (1 / np.cosh(x) ** 2 + np.cos(np.multiply.outer(x, w)) @ (a * w))


FINE: list[Draw] = [stairs, triangle_wave, fast_sine, ripples]


# What must hold


MODES = ["full", "directions"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("draw", ZEROS, ids=lambda draw: draw.__name__)
def test_a_gradient_of_zero_passes_beside_others(draw: Draw, mode: str) -> None:
    for seed in range(5):
        report = report_of(draw(np.random.default_rng(seed)), mode=mode)
        assert report.verdict is Verdict.PASS, f"{seed}: {report}"


ACCUSED_BEFORE = [*map(scaled, ZEROS), row_of_zeros, row_of_zeros_in_a_loss, *QUANTA, *FINE]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("draw", ACCUSED_BEFORE, ids=lambda draw: draw.__name__)
def test_no_right_gradient_fails(draw: Draw, mode: str) -> None:
    for seed in range(40 if draw is row_of_zeros_in_a_loss else 6):
        report = report_of(draw(np.random.default_rng(seed)), mode=mode)
        assert report.verdict is not Verdict.FAIL, f"{seed}: {report}"


def test_a_wrong_gradient_beside_a_zero_one_fails() -> None:
    for seed in range(5):
        f, inputs, _ = batch_norm(np.random.default_rng(seed))
        right = lambda *inputs, f=f: np.sum(f(*inputs) ** 2 * np.arange(1, len(inputs[0]) + 1)[:, np.newaxis])
        x, w, b = inputs
        report = check_gradients(right, x, w, b, gradient=lambda x, w, b, v: (0 * x, 0 * w, 0 * b))
        assert report.verdict is Verdict.FAIL, f"{seed}: {report}"
