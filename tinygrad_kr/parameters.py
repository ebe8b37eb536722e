"""A model's arrays by name: finding them, comparing them with others of the same names, and writing into them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tensor import Tensor

__all__ = ["mismatches", "named_arrays", "nearest", "parameter_items", "write_into"]

Arrays = Mapping[str, NDArray[Any]]


def parameter_items(model: Any) -> list[tuple[str, Any]] | None:
    """Return the parameters of a model with their names; None if it has none to look up.

    They come from its method ``named_parameters()``, from itself if it is a mapping, or from its mapping ``params``.
    """
    if callable(getattr(model, "named_parameters", None)):
        return list(model.named_parameters())
    params = model if isinstance(model, Mapping) else getattr(model, "params", None)
    return list(params.items()) if isinstance(params, Mapping) else None


def named_arrays(model: Any, caller: str) -> dict[str, Any]:
    """Return a model's parameters and buffers by name, as the Tensors and ndarrays that it computes with.

    Parameters
    ----------
    model : model, mapping of str to Tensor or ndarray, or a method of a model
        A model as for ``parameter_items``; its buffers come from ``named_buffers()``.
    caller : str
        The function that asks, for the message.

    Raises
    ------
    TypeError
        If it has none.
    """
    model = getattr(model, "__self__", model)
    items = parameter_items(model)
    if items is None:
        raise TypeError(
            f"{caller}: expected a model with named_parameters() or a dict params, or a dict of name to array, got "
            f"{type(model).__name__}"
        )
    return dict(items) | dict(getattr(model, "named_buffers", dict)())


def mismatches(own: Arrays, given: Arrays, casting: Literal["equiv", "same_kind"]) -> list[str]:
    """Describe everything that prevents arrays from being written into those of the same names.

    Parameters
    ----------
    own, given : mapping of str to ndarray
        The arrays to write into, and the arrays to write.
    casting : str
        Which dtypes go together, as for ``numpy.can_cast``.

    Returns
    -------
    list of str
        A line for each name that is missing, not expected, or of another shape or dtype.
    """
    lines = [f"missing: {name} {array.shape}" for name, array in own.items() if name not in given]
    for name, array in given.items():
        if name not in own:
            meant = nearest(name, own.keys() - given.keys())
            lines.append(f"not expected: {name} {array.shape}" + (f"; meant {meant}?" if meant else ""))
        elif array.shape != own[name].shape:
            lines.append(f"{name}: expected shape {own[name].shape}, got {array.shape}")
        elif not np.can_cast(array.dtype, own[name].dtype, casting):
            lines.append(f"{name}: expected dtype {own[name].dtype}, got {array.dtype}")
        elif not own[name].flags.writeable:
            lines.append(f"{name}: is read-only memory in the model")
    return lines


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that was probably meant, if there is one."""
    close = difflib.get_close_matches(name, sorted(names), n=1)
    return close[0] if close else None


def write_into(own: Mapping[str, Any], given: Arrays) -> None:
    """Write arrays without ``mismatches`` into the Tensors and ndarrays of the same names, in place."""
    for name, array in own.items():
        if isinstance(array, Tensor):
            array.assign(given[name])
        else:
            np.copyto(array, given[name], casting="same_kind")
