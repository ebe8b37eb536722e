"""Checks of the arguments of optimizers and gradient clipping."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import DtypeError, GraphError, ShapeError
from tinygrad_kr.parameters import parameter_items

__all__ = ["gradient_of", "named_tensors"]


def named_tensors(params: Any, owner: str) -> dict[str, Tensor]:
    """Look up parameters by name, and check that an optimizer can update each of them.

    Parameters
    ----------
    params : dict of str to Tensor, or object
        Where they are looked up, as by ``parameters.parameter_items``.
    owner : str
        Who asks, for the messages.
    """
    pairs = parameter_items(params)
    if pairs is None:
        raise TypeError(
            f"{owner}: params must be a dict of name to Tensor, or a model that has named_parameters() or such a dict "
            f"params, got {type(params).__name__}.\n"
            '  pass names too, for example {"W": W, "b": b}: the state is kept and saved by name'
        )
    if not pairs:
        raise ValueError(f"{owner}: there is no parameter to update; params is empty")
    named: dict[str, Tensor] = {}
    names: dict[Tensor, str] = {}
    for name, parameter in pairs:
        _check_parameter(name, parameter, owner)
        if name in named:
            raise ValueError(f"{owner}: two parameters are called {name!r}; their state could not be told apart")
        if parameter in names:
            raise ValueError(
                f"{owner}: {names[parameter]!r} and {name!r} are the same Tensor, which would be updated twice in one "
                "step.\n  pass it under one name"
            )
        named[name] = parameter
        names[parameter] = name
    return named


def _check_parameter(name: Any, parameter: Any, owner: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{owner}: the name of a parameter must be a str, got {name!r}")
    if not isinstance(parameter, Tensor):
        raise TypeError(
            f"{owner}: parameter {name!r} must be a Tensor, got {type(parameter).__name__}.\n"
            "  make it with Tensor(values, requires_grad=True)"
        )
    if not parameter.is_leaf:
        raise GraphError(
            f"{owner}: parameter {name!r} {parameter.shape} is no leaf but {parameter.label()}: it is computed anew in "
            "each forward pass.\n  pass the Tensors that it is computed from"
        )
    if not parameter.requires_grad:
        raise GraphError(
            f"{owner}: parameter {name!r} {parameter.shape} does not require a gradient, so it would never be updated."
            "\n  make it with Tensor(values, requires_grad=True), or leave it out"
        )
    if parameter._version is None:
        raise GraphError(
            f"{owner}: parameter {name!r} {parameter.shape} shows the memory of a result on the graph, whose values "
            "may be needed by the backward pass.\n  make it of a copy, Tensor(t.data.copy(), requires_grad=True)"
        )
    if not parameter.data.flags.writeable:
        raise ValueError(
            f"{owner}: parameter {name!r} {parameter.shape} is read-only memory and cannot be updated in place.\n"
            "  make it of a copy, Tensor(values.copy(), requires_grad=True)"
        )


def gradient_of(parameter: Tensor, name: str, owner: str) -> Any:
    """Return the gradient of a parameter, checked to fit it; None if it has none."""
    g = parameter.grad
    if g is None:
        return None
    if not isinstance(g, np.ndarray):
        raise TypeError(
            f"{owner}: the gradient of {name!r} must be an ndarray, got {type(g).__name__}.\n"
            "  set it with np.asarray(grad)"
        )
    if g.shape != parameter.shape:
        raise ShapeError(f"{owner}: {name!r} has shape {parameter.shape}, but its gradient has {g.shape}")
    if g.dtype != parameter.dtype:
        raise DtypeError(
            f"{owner}: {name!r} has dtype {parameter.dtype}, but its gradient has {g.dtype}.\n"
            f"  set it with grad.astype({parameter.dtype.name!r})"
        )
    return g
