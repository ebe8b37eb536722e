"""JAX: one jitted step whose parameters are donated, so that XLA updates them in place.

Each step is waited for. The loss is enough to wait for: it comes out of the same execution as the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.speed import documents
from benchmarks.speed.workloads import ROUNDS_OF_CHAIN

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

array = jnp.array


def layers(parameters: list[Any], x: Any, t: Any) -> Any:
    *hidden, W, b = parameters
    for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
        x = jax.nn.relu(x @ weight + bias)
    log_probabilities = jax.nn.log_softmax(x @ W + b)
    return -jnp.mean(log_probabilities[jnp.arange(len(t)), t])


def pooled(x: Any) -> Any:
    """Keep the largest of two by two; reduce_window was faster than the maximum of a reshaped array."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def lenet(parameters: list[Any], x: Any, t: Any) -> Any:
    W1, b1, W2, b2, *dense = parameters
    x = jax.lax.conv(x, W1, (1, 1), "SAME") + b1[:, None, None]
    x = jax.lax.conv(pooled(jax.nn.relu(x)), W2, (1, 1), "VALID") + b2[:, None, None]
    return layers(dense, pooled(jax.nn.relu(x)).reshape(len(x), -1), t)


def chain(parameters: list[Any], y: Any, _: Any) -> Any:
    w, b = parameters
    for _ in range(ROUNDS_OF_CHAIN):
        y = jnp.tanh(y * w + b)
    return jnp.sum(y)


def jitted_step(loss: Callable[..., Any]) -> Any:
    """Compile loss, gradients and update into one function."""

    def step(parameters: list[Any], x: Any, t: Any, lr: float) -> tuple[list[Any], Any]:
        value, gradients = jax.value_and_grad(loss)(parameters, x, t)
        return [p - lr * g for p, g in zip(parameters, gradients, strict=True)], value

    return jax.jit(step, donate_argnums=0)


PROGRAMS = {
    name: jitted_step(loss)
    for name, loss in {
        "two_layers": layers,
        "layers": layers,
        "lenet": lenet,
        "chain": chain,
        "documents": partial(documents.loss, jnp),
    }.items()
}


class Training:
    def __init__(self, program: Any, parameters: list[Any], lr: float) -> None:
        self.jitted = program
        self.parameters = [array(values) for values in parameters]
        self.lr = lr

    def step(self, x: Any, t: Any) -> Any:
        self.parameters, loss = self.jitted(self.parameters, x, t, self.lr)
        return loss.block_until_ready()

    def values(self) -> list[Any]:
        return [np.array(parameter) for parameter in self.parameters]
