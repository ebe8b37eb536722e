"""Where a model keeps what it learnt: its Tensors and arrays by name, and writing into them, all or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.errors import DataError
from tinygrad_kr.parameters import misfits

__all__ = ["named_arrays", "require_fit", "write_into"]


def named_arrays(model: Any, caller: str) -> dict[str, Any]:
    """Return a model's parameters and buffers by name, as the Tensors and ndarrays that it computes with.

    Parameters
    ----------
    model : model, mapping of str to Tensor or ndarray, or a method of a model
        What has them.
    caller : str
        Who asks, for the message.

    Raises
    ------
    TypeError
        If it has none.
    """
    model = getattr(model, "__self__", model)
    if isinstance(model, Mapping):
        return dict(model)
    if callable(getattr(model, "named_parameters", None)):
        return dict(model.named_parameters()) | dict(getattr(model, "named_buffers", dict)())
    if isinstance(getattr(model, "params", None), Mapping):
        return dict(model.params)
    raise TypeError(
        f"{caller}: expected a model with named_parameters() or a dict params, or a dict of name to array, got "
        f"{type(model).__name__}"
    )


def require_fit(
    places: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], refusal: str, exact: bool = False
) -> None:
    """Raise unless the arrays can be written into the Tensors and ndarrays of the same names.

    Parameters
    ----------
    places : mapping of str to Tensor or ndarray
        Where to.
    arrays : mapping of str to ndarray
        What.
    refusal : str
        How the message begins.
    exact : bool
        Whether dtypes must be equal; otherwise floats can be converted.

    Raises
    ------
    DataError
        If they do not fit; the message lists every misfit.
    """
    own = {name: np.asarray(raw(place)) for name, place in places.items()}
    if wrong := misfits(own, arrays, "equiv" if exact else "same_kind"):
        raise DataError("\n  ".join([f"{refusal}:", *wrong, "make the model as the one that was saved"]))


def write_into(places: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays, which ``require_fit`` has passed, into the Tensors and ndarrays of the same names, in place."""
    for name, place in places.items():
        if isinstance(place, Tensor):
            place.assign(arrays[name])
        else:
            np.copyto(place, arrays[name], casting="same_kind")
