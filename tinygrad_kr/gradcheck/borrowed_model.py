"""A model whose parameters a check moves, and which it puts back as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.errors import DtypeError
from tinygrad_kr.gradcheck.variables import Vector
from tinygrad_kr.parameters import parameter_items

__all__ = ["BorrowedModel"]


class BorrowedModel:
    """The parameters of a model, or of none, by name; NumPy's arrays and any framework's tensors alike."""

    model: object
    parameters: dict[str, Any]

    def __init__(self, model: object) -> None:
        self.model, self.parameters = model, _named_parameters(model)
        self.written: dict[int, Vector] = {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the memory of each parameter, by name."""
        return {name: _memory(name, parameter) for name, parameter in self.parameters.items()}

    def write(self, arrays: Sequence[Vector]) -> None:
        """Write arrays into the parameters that do not hold them yet."""
        for (name, parameter), array in zip(self.parameters.items(), arrays, strict=True):
            if self.written.get(id(parameter)) is not array:
                _memory(name, parameter)[...] = array
                self.written[id(parameter)] = array

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Put the model back in any case: parameters, their gradients, buffers, and what is in training."""
        memory = [(array, array.copy()) for array in self.arrays().values()]
        gradients = [(p, p.grad, _copied(p.grad)) for p in self.parameters.values() if hasattr(p, "grad")]
        buffers = {name: _copied(buffer) for name, buffer in self._parts("named_buffers")}
        modes = [(m, m.training) for _, m in self._parts("named_modules") if hasattr(m, "training")]
        try:
            yield
        finally:
            for array, content in memory:
                array[...] = content
            for parameter, gradient, content in gradients:
                parameter.grad = gradient
                _put_back(gradient, content)
            for name, buffer in self._parts("named_buffers"):  # by name: a pass may have made a new array
                _put_back(buffer, buffers.get(name))
            for module, training in modes:
                module.training = training
            self.written.clear()

    def _parts(self, method: str) -> Iterator[tuple[str, Any]]:
        return iter(getattr(self.model, method)()) if hasattr(self.model, method) else iter(())


def _named_parameters(model: Any) -> dict[str, Any]:
    """Return a model's parameters by name, each checked to be float64."""
    if model is None:
        return {}
    items = parameter_items(model)
    if items is None:
        raise TypeError(
            f"check_gradients: model must have a dict params or a method named_parameters(), got {type(model).__name__}"
        )
    parameters = dict(items)
    for name, parameter in parameters.items():
        dtype = _memory(name, parameter).dtype
        if dtype != np.float64:
            raise DtypeError(
                f"check_gradients: parameter {name} of the model is {dtype}; finite differences need float64.\n"
                "  check a copy in float64, for example model.astype(np.float64)"
            )
    return parameters


def _memory(name: str, parameter: Any) -> NDArray[Any]:
    """Return the array in which a parameter keeps its values, to be written to."""
    if isinstance(parameter, np.ndarray):
        return parameter
    memory = np.asarray(getattr(parameter, "data", None))
    if memory.dtype == object:
        raise TypeError(
            f"check_gradients: parameter {name} is a {type(parameter).__name__}; expected a Tensor or an array"
        )
    return memory


def _copied(value: Any) -> Any:
    """Return a copy of an array, or of a tensor of PyTorch in any dtype and place; None of None."""
    if value is None:
        return None
    return value.detach().clone() if hasattr(value, "clone") else np.array(value)


def _put_back(value: Any, content: Any) -> None:
    """Write a copy back, unless there is none or it has another shape now."""
    if content is not None and value.shape == content.shape:
        if hasattr(value, "clone"):
            value.data.copy_(content)
        else:
            np.copyto(value, content)
