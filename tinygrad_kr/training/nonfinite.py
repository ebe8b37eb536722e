"""Why a training step gave a NaN or an infinity: in the data, in a parameter, or made by an operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.debug import debug, finite
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import NonFiniteError

__all__ = ["cause"]


def cause(
    x: NDArray[Any],
    t: NDArray[Any],
    order: NDArray[Any],
    parameters: Mapping[str, Any],
    buffers: Mapping[str, Any],
    loss: Callable[[], Any],
) -> str:
    """Find what first was not finite in a step that failed.

    Parameters
    ----------
    x, t : ndarray
        The mini-batch; empty if only what the steps left behind is in question.
    order : ndarray of int
        The places of its examples in the training set.
    parameters, buffers : mapping of str to Tensor or ndarray
        What should be finite, as it was before the step.
    loss : callable
        Computes the loss once more, just as in the step.

    Returns
    -------
    str
        One or more lines.
    """
    for name, batch in (("x", x), ("t", t)):
        if not finite(batch):
            place, value = _first(batch)
            where = (int(order[place[0]]), *place[1:])
            return f"the data hold it: {name}{list(where)} of the training set is {value}"
    reason = _broken(parameters)
    if not reason and len(x):
        reason = _operation(loss)
    return reason or _broken(buffers) or "the operation was not found: the step was computed again, and nothing raised"


def _operation(loss: Callable[[], Any]) -> str:
    """Compute the loss and its gradients again, and return the error that names the operation."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        try:
            with debug():
                result = loss()
        except NonFiniteError as error:
            return _with_notes(error)
    if not math.isfinite(result.item()):
        return ""
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            result.backward()
    except FloatingPointError as error:
        return _with_notes(error)
    return ""


def _broken(places: Mapping[str, Any]) -> str:
    for name, array in places.items():
        if not finite(raw(array)):
            place, value = _first(raw(array))
            return f"{name!r} is no longer finite: it is {value} at index {place}, since the update before or a write"
    return ""


def _with_notes(error: Exception) -> str:
    return "\n  ".join([str(error), *getattr(error, "__notes__", [])])


def _first(array: NDArray[Any]) -> tuple[tuple[int, ...], Any]:
    place = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
    return place, array[place]
