"""Right gradients: plain NumPy functions, their vector-Jacobian products written by hand, and ordinary inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Inputs = tuple[Array, ...]
Forward = Callable[..., Any]
Backward = Callable[..., Inputs]  # (*inputs, cotangent) -> a gradient for each input
Points = Callable[[np.random.Generator], Inputs]

SHAPES = ((4,), (7,), (2, 3), (3, 5), (3, 3), (4, 4), (2, 3, 2))
MATRICES = ((2, 3), (3, 4), (4, 4), (3, 3), (4, 5))
PICKED = np.array([1, 0, 1, 2, 1, 0])  # the repeated indices of "index"
EPS = 1e-5  # of the normalisations
SLOPE = 0.1


@dataclass(frozen=True)
class Operation:
    """A function of arrays and its gradient; ``unsummed`` is the gradient before broadcast axes are summed over."""

    name: str
    forward: Forward
    backward: Backward
    points: Points
    unsummed: Backward | None = None


def pick(rng: np.random.Generator, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return shapes[rng.integers(len(shapes))]


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Numbers of either sign, 0.2 to 2.5 in size."""
    return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.2, 2.5, shape))


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.uniform(0.2, 3.0, shape))


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Numbers that differ by 0.1 at least."""
    gaps = rng.uniform(0.1, 0.5, int(np.prod(shape)))
    return rng.permutation(np.cumsum(gaps) - gaps.sum() / 2).reshape(shape)


def of(draw: Callable[..., Array], shapes: tuple[tuple[int, ...], ...] = SHAPES) -> Points:
    """Draw one array in one of the shapes."""
    return lambda rng: (draw(rng, pick(rng, shapes)),)


def fit(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes along which an operand of this shape was repeated."""
    gradient = gradient.sum(tuple(range(gradient.ndim - len(shape))))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 != gradient.shape[i])
    return np.array(gradient.sum(repeated, keepdims=True))


def fitted(unsummed: Backward) -> Backward:
    return lambda *args: tuple(fit(g, x.shape) for g, x in zip(unsummed(*args), args, strict=False))


# Element by element.


def elementwise(
    name: str, forward: Forward, derivative: Callable[[Array], Array], draw: Callable[..., Array] = signed
) -> Operation:
    return Operation(name, forward, lambda x, v: (v * derivative(x),), of(draw))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def gelu_slope(x: Array) -> Array:
    t = np.tanh(0.8 * (x + 0.04 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.8 * (1 + 0.12 * x * x)


# Two operands that are broadcast.


def broadcast_pair(second: Callable[..., Array] = signed) -> Points:
    """Draw a matrix, and a matrix, row, column or number beside it; either may come first."""

    def points(rng: np.random.Generator) -> Inputs:
        n, m = pick(rng, MATRICES)
        narrow = pick(rng, ((n, m), (m,), (n, 1), (1, m), ()))
        shapes = ((n, m), narrow) if rng.random() < 0.7 else (narrow, (n, m))
        return signed(rng, shapes[0]), second(rng, shapes[1])

    return points


def apart(rng: np.random.Generator) -> Inputs:
    """Two operands that differ by 0.2 at least."""
    n, m = pick(rng, MATRICES)
    y = signed(rng, pick(rng, ((n, m), (m,), (n, 1))))
    return y + signed(rng, (n, m)), y


def binary(name: str, forward: Forward, partials: Callable[..., Inputs], points: Points) -> Operation:
    unsummed = lambda x, y, v: tuple(v * partial for partial in partials(x, y))
    return Operation(name, forward, fitted(unsummed), points, unsummed)


# Reductions.


def max_gradient(x: Array, v: Array) -> Inputs:
    top = x == x.max(1, keepdims=True)
    return (top * (v / top.sum(1))[:, None],)


def var_gradient(x: Array, v: Array) -> Inputs:
    return (2 * v * (x - x.mean(0)) / len(x),)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logsumexp(x: Array) -> Array:
    top = x.max(-1, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(-1, keepdims=True)))[..., 0]


def log_softmax(x: Array) -> Array:
    return x - logsumexp(x)[..., None]


def softmax_gradient(x: Array, v: Array) -> Inputs:
    s = softmax(x)
    return (s * (v - (v * s).sum(-1, keepdims=True)),)


def log_softmax_gradient(x: Array, v: Array) -> Inputs:
    return (v - softmax(x) * v.sum(-1, keepdims=True),)


# Products, losses, normalisations.


def matrices(rng: np.random.Generator) -> Inputs:
    n, k, m = (3, 3, 3) if rng.random() < 0.4 else rng.integers(2, 5, 3)
    return signed(rng, (n, k)), signed(rng, (k, m))


def layer(rng: np.random.Generator) -> Inputs:
    return *(operands := matrices(rng)), signed(rng, operands[1].shape[1:])


def pair(rng: np.random.Generator) -> Inputs:
    shape = pick(rng, MATRICES)
    return signed(rng, shape), signed(rng, shape)


def matmul_gradient(x: Array, y: Array, v: Array) -> Inputs:
    return v @ y.T, x.T @ v


def labels(x: Array) -> Array:
    """The right class of each row: an arbitrary one that is always the same."""
    return np.arange(len(x)) * 2 % x.shape[1]


def one_hot(x: Array) -> Array:
    return np.eye(x.shape[1])[labels(x)]


def cross_entropy(x: Array) -> Any:
    return -log_softmax(x)[np.arange(len(x)), labels(x)].mean()


def normalised(x: Array, axis: int, eps: float = EPS) -> tuple[Array, Array]:
    """Return x less its mean over its standard deviation, and 1 over that deviation."""
    scale = 1 / np.sqrt(x.var(axis, keepdims=True) + eps)
    return (x - x.mean(axis, keepdims=True)) * scale, scale


def norm_points(rng: np.random.Generator) -> Inputs:
    n, m = pick(rng, ((4, 4), (3, 5), (5, 3), (4, 3)))
    return signed(rng, (n, m)), signed(rng, (m,)), signed(rng, (m,))


def norm_unsummed(axis: int) -> Backward:
    def unsummed(x: Array, gamma: Array, beta: Array, v: Array) -> Inputs:
        hat, scale = normalised(x, axis)
        u = v * gamma
        means = u.mean(axis, keepdims=True) + hat * (u * hat).mean(axis, keepdims=True)
        return scale * (u - means), v * hat, v.copy()

    return unsummed


def norm_operation(name: str, axis: int) -> Operation:
    unsummed = norm_unsummed(axis)
    forward = lambda x, gamma, beta: gamma * normalised(x, axis)[0] + beta
    return Operation(name, forward, fitted(unsummed), norm_points, unsummed)


# Moving elements.


def index_gradient(x: Array, v: Array) -> Inputs:
    g = np.zeros_like(x)
    np.add.at(g, PICKED, v)
    return (g,)


def convolve(x: Array, w: Array) -> Array:
    return np.lib.stride_tricks.sliding_window_view(x, len(w)) @ w


def convolve_gradient(x: Array, w: Array, v: Array) -> Inputs:
    gx = np.zeros_like(x)
    for i, weight in enumerate(w):
        gx[i : i + len(v)] += weight * v
    return gx, np.lib.stride_tricks.sliding_window_view(x, len(w)).T @ v


def signal(rng: np.random.Generator) -> Inputs:
    return signed(rng, (int(rng.integers(5, 12)),)), signed(rng, (3,))


TABLE = [
    elementwise("exp", lambda x: np.exp(x), np.exp),
    elementwise("log", lambda x: np.log(x), lambda x: 1 / x, positive),
    elementwise("sqrt", lambda x: np.sqrt(x), lambda x: 0.5 / np.sqrt(x), positive),
    elementwise("sin", lambda x: np.sin(x), np.cos),
    elementwise("tanh", lambda x: np.tanh(x), lambda x: 1 / np.cosh(x) ** 2),
    elementwise("sigmoid", sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    elementwise("relu", lambda x: np.maximum(x, 0), lambda x: x > 0),
    elementwise("leaky relu", lambda x: np.where(x > 0, x, SLOPE * x), lambda x: np.where(x > 0, 1, SLOPE)),
    elementwise("abs", lambda x: np.abs(x), np.sign),
    elementwise("square", lambda x: x * x, lambda x: 2 * x),
    elementwise("reciprocal", lambda x: 1 / x, lambda x: -1 / (x * x)),
    elementwise("power", lambda x: x**2.5, lambda x: 2.5 * x**1.5, positive),
    elementwise("softplus", softplus, sigmoid),
    elementwise("gelu", lambda x: 0.5 * x * (1 + np.tanh(0.8 * (x + 0.04 * x**3))), gelu_slope),
    elementwise("used twice", lambda x: x * np.sin(x), lambda x: np.sin(x) + x * np.cos(x)),
    binary("add", lambda x, y: x + y, lambda x, y: (1, 1), broadcast_pair()),
    binary("multiply", lambda x, y: x * y, lambda x, y: (y, x), broadcast_pair()),
    binary("divide", lambda x, y: x / y, lambda x, y: (1 / y, -x / y**2), broadcast_pair(positive)),
    binary("maximum", lambda x, y: np.maximum(x, y), lambda x, y: (x > y, x <= y), apart),
    Operation("sum", lambda x: x.sum(0), lambda x, v: (np.zeros_like(x) + v,), of(signed)),
    Operation("mean", lambda x: x.mean(0), lambda x, v: (np.zeros_like(x) + v / len(x),), of(signed)),
    Operation("max", lambda x: x.max(1), max_gradient, of(distinct, MATRICES)),
    Operation("logsumexp", logsumexp, lambda x, v: (softmax(x) * v[..., None],), of(signed, MATRICES)),
    Operation("norm", lambda x: np.sqrt((x * x).sum()), lambda x, v: (v * x / np.sqrt((x * x).sum()),), of(signed)),
    Operation("var", lambda x: x.var(0), var_gradient, of(signed, MATRICES)),
    Operation("matmul", lambda x, y: x @ y, matmul_gradient, matrices),
    Operation(
        "linear",
        lambda x, w, b: x @ w + b,
        lambda x, w, b, v: (v @ w.T, x.T @ v, v.sum(0)),
        layer,
        lambda x, w, b, v: (v @ w.T, x.T @ v, v.copy()),
    ),
    Operation("softmax", softmax, softmax_gradient, of(signed, MATRICES)),
    Operation("log-softmax", log_softmax, log_softmax_gradient, of(signed, MATRICES)),
    Operation(
        "cross-entropy", cross_entropy, lambda x, v: (v * (softmax(x) - one_hot(x)) / len(x),), of(signed, MATRICES)
    ),
    Operation("sse", lambda y, t: 0.5 * ((y - t) ** 2).sum(), lambda y, t, v: (v * (y - t), v * (t - y)), pair),
    Operation(
        "mse",
        lambda y, t: ((y - t) ** 2).sum() / len(y),
        lambda y, t, v: (2 * v * (y - t) / len(y), 2 * v * (t - y) / len(y)),
        pair,
    ),
    norm_operation("layer norm", -1),
    norm_operation("batch norm", 0),
    Operation("index", lambda x: x[PICKED], index_gradient, of(signed, ((3, 4), (4,), (3, 3)))),
    Operation("transpose", lambda x: x.T, lambda x, v: (v.T.copy(),), of(signed, MATRICES)),
    Operation("reshape", lambda x: x.reshape(-1), lambda x, v: (v.reshape(x.shape).copy(),), of(signed)),
    Operation("cumsum", lambda x: x.cumsum(0), lambda x, v: (v[::-1].cumsum(0)[::-1].copy(),), of(signed)),
    Operation("conv1d", convolve, convolve_gradient, signal),
]
OPERATIONS = {operation.name: operation for operation in TABLE}
