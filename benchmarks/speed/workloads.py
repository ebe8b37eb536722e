"""What is computed and measured: one entry of WORKLOADS for each. Knows no peer's code."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

Array = Any
ROUNDS_OF_CHAIN = 333  # of multiply, add and tanh; with the sum at its end a chain of 1,000 operations


class Problem(NamedTuple):
    """Parameters to start from, and the batches (x, t) of one run."""

    parameters: list[Array]
    batches: list[tuple[Array, Array]]

    def astype(self, dtype: str) -> Problem:
        """Return copies in another dtype; labels stay integers."""
        return Problem(
            [parameter.astype(dtype) for parameter in self.parameters],
            [(x.astype(dtype), t) for x, t in self.batches],
        )


class Answer(NamedTuple):
    """What one step computes: the loss, the gradients of all parameters, and the dtypes of the parameters after it."""

    loss: float
    gradients: list[Array]
    dtypes: set[str]


@dataclass(frozen=True)
class Workload:
    """Something to measure on every peer.

    ``measure`` is a name in ``runner.MEASURES``, ``program`` one in the PROGRAMS of a peer, ``problem`` draws the data
    in float64, and ``targets`` states, peer by peer, the largest median ratio that is hoped for in float32 on two
    threads.
    """

    name: str
    title: str
    measure: str = "time"
    program: str = ""
    problem: Callable[[], Problem] | None = None
    targets: dict[str, float] = field(default_factory=dict)

    def draw(self, dtype: str) -> Problem:
        """Return the same data at every call, and the same numbers in every dtype."""
        assert self.problem is not None
        return self.problem().astype("float32").astype(dtype)


def network(sizes: tuple[int, ...], batch: int) -> Problem:
    """Draw He-initialised weights, small biases, and a batch of normal inputs with labels."""
    rng = np.random.default_rng(0)
    parameters: list[Array] = []
    for fan_in, fan_out in pairwise(sizes):
        parameters += [
            rng.standard_normal((fan_in, fan_out)) * math.sqrt(2 / fan_in),
            0.01 * rng.standard_normal(fan_out),
        ]
    x = far_from_kinks(parameters, rng.standard_normal((2 * batch, sizes[0])))
    return Problem(parameters, [(x, rng.integers(sizes[-1], size=batch))])


def far_from_kinks(parameters: list[Array], x: Array) -> Array:
    """Return the half of the samples that stay furthest from the kinks of ReLU.

    Near a kink the rounding of one BLAS or the other decides on which side a unit is, and gradients that are both
    right would differ.
    """
    return x[np.argsort(distances_to_kinks(parameters, x))[len(x) // 2 :]]


def distances_to_kinks(parameters: list[Array], x: Array) -> Array:
    """Return, for each sample, how close any hidden unit comes to the kink of ReLU."""
    activation, margins = x, np.full(len(x), np.inf)
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        scores = activation @ weight + bias
        margins = np.minimum(margins, np.abs(scores).min(axis=1))
        activation = np.maximum(scores, 0)
    return margins


def lenet(batch: int) -> Problem:
    """Draw LeNet-5 with ReLU and max pooling, He-initialised, and a batch of normal images of 28 x 28 with labels.

    The samples are those that stay furthest from the kinks, of ReLU and of the maximum of two by two alike.
    """
    rng = np.random.default_rng(0)
    filters: list[Array] = []
    for shape in ((6, 1, 5, 5), (16, 6, 5, 5)):
        fan_in = math.prod(shape[1:])
        filters += [rng.standard_normal(shape) * math.sqrt(2 / fan_in), 0.01 * rng.standard_normal(shape[0])]
    dense = network((400, 120, 84, 10), batch).parameters
    images = rng.standard_normal((2 * batch, 1, 28, 28))
    activation, margins = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2))), np.full(2 * batch, np.inf)
    for weight, bias in zip(filters[::2], filters[1::2], strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(activation, (5, 5), axis=(2, 3))
        scores = np.einsum("nchwij,fcij->nfhw", windows, weight, optimize=True) + bias[:, np.newaxis, np.newaxis]
        fours = np.stack([scores[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=-1)
        second, first = np.moveaxis(np.sort(np.maximum(fours, 0))[..., 2:], -1, 0)
        gaps = np.where(first > 0, first - second, np.inf)
        margins = np.minimum.reduce([margins, *(m.reshape(2 * batch, -1).min(axis=1) for m in (np.abs(scores), gaps))])
        activation = first
    margins = np.minimum(margins, distances_to_kinks(dense, activation.reshape(2 * batch, -1)))
    return Problem([*filters, *dense], [(images[np.argsort(margins)[batch:]], rng.integers(10, size=batch))])


def small_vectors(size: int) -> Problem:
    """Draw a start, a factor and a summand with which a long chain of tanh neither dies out nor saturates."""
    rng = np.random.default_rng(0)
    parameters = [rng.uniform(1.0, 1.05, size), rng.uniform(-0.001, 0.001, size)]
    return Problem(parameters, [(rng.uniform(-0.5, 0.5, size), np.zeros(0, int))])


def epoch_of_sample(hidden: int, batch: int) -> Problem:
    """Take every mini-batch of the embedded sample of MNIST once."""
    from tinygrad_kr.datasets import batches, load_mnist_sample

    (x, t), _ = load_mnist_sample()
    return Problem(network((x.shape[1], hidden, 10), batch).parameters, list(batches(x, t, batch)))


def _step(sizes: tuple[int, ...], batch: int, **targets: float) -> Workload:
    """A training step of the network of these sizes, named after them."""
    name = "-".join(map(str, sizes))
    return Workload(
        name=name,
        title=f"training step of {name}, batch {batch}",
        program="two_layers" if len(sizes) == 3 else "layers",
        problem=partial(network, sizes, batch),
        targets=targets,
    )


WIDE = (784, 1024, 1024, 10)

_ALL = (
    _step((784, 100, 10), 100, numpy=1.00, torch=1.00, mygrad=0.75, autograd=0.40),
    _step((64, 32, 10), 32, numpy=1.10, torch=0.35, mygrad=0.30, autograd=0.12),
    _step((2, 8, 2), 4, numpy=1.60, torch=0.55, mygrad=0.35, autograd=0.15),
    _step(WIDE, 256, numpy=1.00, torch=1.15, mygrad=0.90, autograd=0.60),
    Workload(
        name="lenet",
        title="training step of LeNet-5 with max pooling, 28 x 28, batch 64",
        program="lenet",
        problem=partial(lenet, 64),
        targets={"torch": 1.50},
    ),
    Workload(
        name="chain",
        title="training step through a chain of 1,000 operations on 10 numbers",
        program="chain",
        problem=partial(small_vectors, 10),
    ),
    Workload(
        name="deep",
        title="training step of 30 layers of 64, batch 32",
        program="layers",
        problem=partial(network, (64,) * 31, 32),
    ),
    Workload(
        name="documents",
        title="training step of the documents' TwoLayerNet in plain NumPy functions, 784-100-10, batch 100",
        program="documents",
        problem=partial(network, (784, 100, 10), 100),
    ),
    Workload(name="import", title="import in a fresh process", measure="import"),
    Workload(
        name="memory-step",
        title="memory that a training step of 784-1024-1024-10, batch 256, adds at its peak",
        measure="memory",
        program="layers",
        problem=partial(network, WIDE, 256),
    ),
    Workload(
        name="memory-epoch",
        title="memory that an epoch of the embedded sample, 784-100-10, batch 100, adds at its peak",
        measure="memory",
        program="two_layers",
        problem=partial(epoch_of_sample, 100, 100),
    ),
)
WORKLOADS = {workload.name: workload for workload in _ALL}
