"""Prove a network's gradient, then train it: the four steps of document 002, 4.5."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.datasets import batches
from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.errors import NonFiniteError
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.numerical import Progress, numerical_gradient
from tinygrad_kr.training.divergence import Watch
from tinygrad_kr.training.evaluation import measured
from tinygrad_kr.training.state import Row
from tinygrad_kr.training.trainer import Trainer

__all__ = [
    "Difference",
    "Epoch",
    "Row",
    "Trainer",
    "accuracy",
    "class_labels",
    "compare_gradients",
    "far_from_kinks",
    "predicted_labels",
    "train",
]

Split = tuple[NDArray[Any], NDArray[Any]]

REACH = 3.0
"""The norm of a direction; with the step of ``numerical_gradient``, 1e-4, it moves a parameter by 0.0003 in all."""


@dataclass(frozen=True)
class Difference:
    """How far the exact and the numerical gradient of one parameter are apart.

    Attributes
    ----------
    name : str
        The parameter.
    shape : tuple of int
        Its shape.
    largest : float
        ``max |a - n|`` over its elements, where a is the exact and n the numerical gradient.
    relative : float
        ``max |a - n| / max |n|``.
    """

    name: str
    shape: tuple[int, ...]
    largest: float
    relative: float


@dataclass(frozen=True)
class Epoch:
    """One row of a training history.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    loss : float
        The mean of the losses of its mini-batches, each before its update.
    train_accuracy, test_accuracy : float
        The fraction of all training and test examples predicted right after the epoch.
    seconds : float
        What the epoch took, with measuring the accuracies.
    """

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    seconds: float


def far_from_kinks(
    net: TwoLayerNet, x: NDArray[Any], t: NDArray[Any], size: int
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Pick the examples on which a numerical gradient can be trusted most.

    A central difference that steps over the kink of ReLU at 0 averages the slopes of both sides, and is
    wrong. So these are the examples whose hidden layer stays furthest from 0 before its activation.

    Parameters
    ----------
    net : TwoLayerNet
        The network.
    x, t : ndarray, shape (N, ...)
        Examples and their labels to pick from.
    size : int
        How many to pick.

    Returns
    -------
    x_batch, t_batch : ndarray, shape (size, ...)
        The examples picked, the best last.
    margin : float
        The smallest magnitude in their hidden layer before its activation; compare it with the step h.
    """
    with no_grad():
        margins = np.abs(net.hidden(x).data).min(axis=1)
    best = np.argsort(margins)[-size:]
    return x[best], t[best], float(margins[best].min())


def compare_gradients(
    net: TwoLayerNet,
    x: NDArray[Any],
    t: NDArray[Any],
    progress: Progress | None = None,
    directions: int | None = None,
) -> list[Difference]:
    """Compare the exact gradient of the loss with ``numerical_gradient``, in every element or along directions.

    Both are computed in float64, whatever the dtype of the network, which is left as it is.

    Parameters
    ----------
    net : TwoLayerNet
        The network; its loss is evaluated twice per element of its parameters, or per direction.
    x, t : ndarray
        A small batch.
    progress : callable, optional
        Wraps the range of elements, or of directions, of each parameter, for instance ``tqdm.tqdm``.
    directions : int, optional
        For parameters with too many elements: compare ``<gradient, v>`` with the numerical derivative along so many
        vectors v of random signs, the same in every call. An error in any element shows in almost all of them.

    Returns
    -------
    list of Difference
        One for each parameter.

    Examples
    --------
    >>> net = TwoLayerNet(2, 3, 2, activation="tanh", rng=np.random.default_rng(0))
    >>> differences = compare_gradients(net, np.array([[0.5, -1.0]]), np.array([1]))
    >>> [d.name for d in differences], max(d.relative for d in differences) < 1e-7
    (['W1', 'b1', 'W2', 'b2'], True)
    """
    judged = net.astype(np.float64)
    x = x.astype(np.float64)
    exact = judged.gradient(x, t)
    differences, rng = [], np.random.default_rng(0)
    with no_grad():
        for name, parameter in judged.params.items():
            claimed, array = exact[name], parameter.data
            if directions is None:
                numerical = numerical_gradient(lambda _: judged.loss(x, t), array, progress=progress)
            else:
                signs = [rng.choice(np.array([-1, 1], np.int8), array.shape) for _ in range(directions)]
                claimed = np.array([np.vdot(claimed, v) for v in signs]) * REACH / math.sqrt(array.size)
                numerical = _slopes(lambda: judged.loss(x, t), array, signs, progress)
            differences.append(_difference(name, parameter.shape, claimed, numerical))
    return differences


def _slopes(
    loss: Callable[[], Any], array: NDArray[Any], signs: list[NDArray[np.int8]], progress: Progress | None
) -> NDArray[np.float64]:
    """Return the numerical derivatives of a loss as an array moves along vectors of signs, of norm REACH."""
    start, places = array.copy(), range(len(signs))
    slopes = []
    for i in places if progress is None else progress(places):

        def moved(s: NDArray[np.float64], v: NDArray[np.int8] = signs[i]) -> Any:
            np.add(start, v * (s[0] * REACH / math.sqrt(array.size)), out=array)
            return loss()

        slopes.append(numerical_gradient(moved, np.zeros(1))[0])
    array[...] = start
    return np.array(slopes)


def train(
    net: TwoLayerNet,
    train_set: Split,
    test_set: Split,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    rng: np.random.Generator,
    report: Callable[[Epoch], object] | None = None,
    progress: Progress | None = None,
) -> list[Epoch]:
    """Train a network in place by stochastic gradient descent (document 002, 4.5).

    Parameters
    ----------
    net : TwoLayerNet
        The network.
    train_set, test_set : (x, t)
        Examples of shape (N, input_size) and their labels.
    epochs : int
        How often to go through the training set.
    batch_size : int
        Examples in a mini-batch; the last of an epoch may be smaller.
    lr : float
        The learning rate.
    rng : numpy.random.Generator
        What shuffles the training set, each epoch anew.
    report : callable, optional
        Called with each row of the history as it is made.
    progress : callable, optional
        Wraps the range of steps of each epoch, for instance ``tqdm.tqdm``.

    Returns
    -------
    list of Epoch
        The history.

    Raises
    ------
    ValueError
        If `epochs`, `batch_size` or `lr` is not positive, or a set is empty.
    NonFiniteError
        If the loss or a parameter becomes NaN or infinite.

    Warns
    -----
    UserWarning
        If the training diverged although all is finite: its loss rose and did not come back.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> t = (x[:, 0] * x[:, 1] > 0).astype(int)
    >>> net = TwoLayerNet(2, 16, 2, rng=rng)
    >>> history = train(net, (x, t), (x, t), epochs=30, batch_size=10, lr=0.2, rng=rng)
    >>> history[-1].test_accuracy > 0.9
    True
    """
    if epochs < 1:
        raise ValueError(f"train: epochs must be at least 1, got {epochs}")
    if not 0 < lr < math.inf:
        raise ValueError(f"train: lr must be a positive number, got {lr}")
    if len(train_set[0]) == 0 or len(test_set[0]) == 0:
        raise ValueError("train: there must be at least one training and one test example")
    history: list[Epoch] = []
    watch = Watch(net.params.values())
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        # NumPy need not warn of an overflow: it shows in the loss, which is checked.
        with np.errstate(over="ignore", invalid="ignore"):
            losses = _train_one_epoch(net, train_set, epoch, batch_size, lr, rng, progress)
        watch.add(losses)
        row = Epoch(
            epoch=epoch,
            loss=float(np.mean(losses)),
            train_accuracy=accuracy(net, *train_set),
            test_accuracy=accuracy(net, *test_set),
            seconds=time.perf_counter() - start,
        )
        history.append(row)
        if report is not None:
            report(row)
    watch.tell("train", lr, lambda: _mean_loss(net, *train_set, batch_size), stacklevel=2)
    return history


def accuracy(net: TwoLayerNet, x: NDArray[Any], t: NDArray[Any]) -> float:
    """Return the fraction of examples that the network predicts right.

    Parameters
    ----------
    net : TwoLayerNet
        The network.
    x : ndarray, shape (N, input_size)
        Examples, as many as there are: they are predicted in chunks.
    t : ndarray, shape (N,) or (N, output_size)
        Their labels, or one-hot rows.

    Returns
    -------
    float
        From 0 to 1.
    """
    return float(np.mean(predicted_labels(net, x) == class_labels(t)))


def predicted_labels(net: TwoLayerNet, x: NDArray[Any], chunk_size: int = 1000) -> NDArray[np.intp]:
    """Return the most probable class of each example, in memory for one chunk of them.

    Parameters
    ----------
    net : TwoLayerNet
        The network.
    x : ndarray, shape (N, input_size)
        Examples.
    chunk_size : int
        How many to predict at a time.

    Returns
    -------
    ndarray of int, shape (N,)
        Class indices.
    """
    chunks = (x[start : start + chunk_size] for start in range(0, len(x), chunk_size))
    with no_grad():
        return np.concatenate([np.argmax(net.predict(chunk).data, axis=-1) for chunk in chunks])


def _mean_loss(net: TwoLayerNet, x: NDArray[Any], t: NDArray[Any], batch_size: int) -> float:
    return measured(lambda chunk: chunk, net.loss, {}, x, t, batch_size)[0]


def class_labels(t: NDArray[Any]) -> NDArray[np.integer[Any]]:
    """Return labels as class indices of shape (N,), whether they are so already or are one-hot rows.

    Examples
    --------
    >>> class_labels(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    array([2, 0])
    """
    return t if t.ndim == 1 else np.argmax(t, axis=-1)


def _train_one_epoch(
    net: TwoLayerNet,
    train_set: Split,
    epoch: int,
    batch_size: int,
    lr: float,
    rng: np.random.Generator,
    progress: Progress | None,
) -> list[float]:
    """Go through the training set once; return the loss of each mini-batch."""
    parameters = net.params.values()
    losses: list[float] = []
    # 1. Mini-batch: some of the training examples, at random.
    mini_batches = batches(*train_set, batch_size, rng)
    steps = range(1, math.ceil(len(train_set[0]) / batch_size) + 1)
    for step, (x, t) in zip(steps if progress is None else progress(steps), mini_batches, strict=True):
        # 2. Gradient: of the loss on the mini-batch, with respect to every parameter.
        for parameter in parameters:
            parameter.zero_grad()
        loss = net.loss(x, t)
        loss.backward()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise _diverged(f"the loss is {losses[-1]}", epoch, step, lr)
        # 3. Update: a small step downhill.
        with no_grad():
            for parameter in parameters:
                parameter -= lr * parameter.grad
        # 4. Repeat.
    if not all(np.all(np.isfinite(parameter.data)) for parameter in parameters):
        raise _diverged("a parameter is not finite", epoch, len(losses), lr)
    return losses


def _diverged(what: str, epoch: int, step: int, lr: float) -> NonFiniteError:
    return NonFiniteError(f"train: {what} in epoch {epoch}, step {step}\n  try a smaller lr than {lr:g}")


def _difference(name: str, shape: tuple[int, ...], exact: NDArray[Any], numerical: NDArray[np.float64]) -> Difference:
    largest = float(np.max(np.abs(exact - numerical)))
    scale = float(np.max(np.abs(numerical)))
    relative = 0.0 if largest == 0 else largest / scale if scale > 0 else math.inf
    return Difference(name, shape, largest, relative)
