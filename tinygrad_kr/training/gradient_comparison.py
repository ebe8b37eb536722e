"""Compare the exact gradient of a network with the numerical one of the study notes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.numerical import Progress, numerical_gradient

__all__ = ["Difference", "compare_gradients", "far_from_kinks"]

REACH = 3.0
"""The norm of a direction; with the step of ``numerical_gradient``, 1e-4, it moves a parameter by 0.0003 in all."""


@dataclass(frozen=True)
class Difference:
    """The difference between the exact and the numerical gradient of one parameter.

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


def far_from_kinks(
    net: TwoLayerNet, x: NDArray[Any], t: NDArray[Any], size: int
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Pick the examples whose hidden units are furthest from the kink of ReLU.

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


def _difference(name: str, shape: tuple[int, ...], exact: NDArray[Any], numerical: NDArray[np.float64]) -> Difference:
    largest = float(np.max(np.abs(exact - numerical)))
    scale = float(np.max(np.abs(numerical)))
    relative = 0.0 if largest == 0 else largest / scale if scale > 0 else math.inf
    return Difference(name, shape, largest, relative)
