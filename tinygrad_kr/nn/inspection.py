"""What each layer of a model makes of its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.nn.module import Module

__all__ = ["layer_outputs"]


def layer_outputs(model: Module, *args: Any) -> dict[str, NDArray[Any]]:
    """Call a model, and return what each of its innermost layers returned.

    Parameters
    ----------
    model : Module
        In evaluation or in training, as it is; nothing is recorded on the graph.
    *args
        What it is called with.

    Returns
    -------
    dict of str to ndarray
        By the layer's name with its class, such as "layers.1 ReLU", in the order of the calls; of a layer that is
        called several times the last. Layers that return no array are left out.

    Raises
    ------
    TypeError
        If it is no Module.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import nn
    >>> net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    >>> {name: array.shape for name, array in layer_outputs(net, np.ones((2, 4))).items()}
    {'layers.0 Linear': (2, 5), 'layers.1 ReLU': (2, 5), 'layers.2 Linear': (2, 3)}
    """
    if not isinstance(model, Module):
        raise TypeError(f"layer_outputs: expected an nn.Module, got {type(model).__name__}")
    outputs: dict[str, NDArray[Any]] = {}

    def noting(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            y = forward(*args, **kwargs)
            if isinstance(y, Tensor | np.ndarray):
                outputs[name] = raw(y)
            return y

        return noted

    inner = [(name, module) for name, module in model.named_modules() if len(list(module.named_modules())) == 1]
    own = [(module, vars(module).get("forward")) for _, module in inner]
    try:
        for name, module in inner:
            vars(module)["forward"] = noting(f"{name} {type(module).__name__}".strip(), module.forward)
        with no_grad():
            model(*args)
    finally:
        for module, forward in own:
            vars(module).pop("forward", None)
            if forward is not None:  # it had one of its own before
                vars(module)["forward"] = forward
    return outputs
