"""Module: a plain class whose attributes are the parameters and the layers."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.tracebacks import drop_own_frames
from tinygrad_kr.engine.graph import mode
from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.errors import DtypeError, GraphError
from tinygrad_kr.nn.contents import Branch, by_name, is_buffer, is_parameter, walk
from tinygrad_kr.nn.summary import drawn
from tinygrad_kr.parameters import mismatches, nearest

__all__ = ["Module", "unused_parameters"]


class _Sealing(type):
    """Notes that ``__init__`` is done, so that a new attribute from then on is known for a misspelt one."""

    if not TYPE_CHECKING:  # a type checker then reads the arguments from __init__

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            module = super().__call__(*args, **kwargs)
            vars(module)["_built"] = True
            return module

    @property
    def __signature__(cls) -> inspect.Signature:
        """Return the signature of ``__init__``; help and editors would show that of ``__call__`` above."""
        init: Any = cls.__init__  # type: ignore[misc]
        return inspect.Signature() if init is object.__init__ else inspect.signature(MethodType(init, cls))


class Module(Branch, metaclass=_Sealing):
    """A layer, or a network of layers: set Tensors and Modules as attributes in ``__init__``, write ``forward``.

    An attribute that is a leaf Tensor requiring a gradient is a parameter. One that is a Module is a child, and so are
    the Modules and Tensors in a list, a tuple or a dict. Arrays, and Tensors without gradient, are buffers: saved with
    the model but not trained, unless the attribute's name starts with an underscore. Names have dots: ``layers.0.W``.
    What several places share is one thing, found under its first name.

    After ``__init__`` a new attribute is an error, for it is most likely a misspelt one.

    Attributes
    ----------
    training : bool
        Whether Dropout drops and BatchNorm normalises with the batch: True until ``eval()``.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import nn
    >>> from tinygrad_kr import functional as F
    >>> class Net(nn.Module):
    ...     def __init__(self, rng):
    ...         self.fc1 = nn.Linear(4, 5, rng=rng)
    ...         self.fc2 = nn.Linear(5, 3, rng=rng)
    ...
    ...     def forward(self, x):
    ...         return self.fc2(F.relu(self.fc1(x)))
    >>> net = Net(np.random.default_rng(0))
    >>> net
    Net(): 43 parameters
      fc1: Linear(4, 5)  25  W (4, 5), b (5,)
      fc2: Linear(5, 3)  18  W (5, 3), b (3,)
    >>> F.softmax_cross_entropy(net(np.ones((2, 4))), np.array([0, 2])).backward()
    >>> {name: p.grad.shape for name, p in net.named_parameters()}
    {'fc1.W': (4, 5), 'fc1.b': (5,), 'fc2.W': (5, 3), 'fc2.b': (3,)}
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every Module writes its own."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forward.\n  define it in the class: def forward(self, x): return ..."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return ``forward`` of the arguments, and name the layer in an error that it raises.

        Type checkers take the result for a Tensor; a class whose ``forward`` returns anything else declares
        ``__call__`` anew, under ``TYPE_CHECKING``.
        """
        try:
            return self.forward(*args, **kwargs)  # type: ignore[no-any-return]
        except Exception as error:
            __tracebackhide__ = True  # for pytest and IPython
            self._locate(error)
            if not mode.get().debugging:
                drop_own_frames(error)
            raise

    def options(self) -> str:
        """What messages and the repr show between the parentheses: ``4, 3`` for Linear(4, 3)."""
        return ""

    # What it holds

    @property
    def params(self) -> dict[str, Tensor]:
        """The parameters by name; to replace one, set the attribute of its Module."""
        return _Parameters(by_name(self.named_parameters()))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield name and Tensor of each parameter once, in order of assignment."""
        return ((found.name, found.value) for found in walk(self) if not found.shared and is_parameter(found.value))

    def named_buffers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield name and array of each buffer once: running statistics, and Tensors that are not trained."""
        return ((found.name, raw(found.value)) for found in walk(self) if not found.shared and is_buffer(found))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield name and Module, itself with the name "" first, then all below it, each once."""
        yield "", self
        yield from (
            (found.name, found.value) for found in walk(self) if not found.shared and isinstance(found.value, Module)
        )

    def named_generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """Yield name and random generator of each layer that draws: what else is needed to go on exactly."""
        return (
            (found.name, found.value)
            for found in walk(self)
            if not found.shared and isinstance(found.value, np.random.Generator)
        )

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for _, parameter in self.named_parameters():
            parameter.grad = None

    def train(self) -> Self:
        """Set this Module and its children to training; return it."""
        return self._set_training(True)

    def eval(self) -> Self:
        """Set this Module and its children to evaluation; return it."""
        return self._set_training(False)

    def _set_training(self, training: bool) -> Self:
        for _, module in self.named_modules():
            module.training = training
        return self

    # Its state

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that was learnt, by name: the parameters' arrays, then the buffers. They are not copied."""
        parameters = ((name, p.data) for name, p in self.named_parameters())
        return by_name(pair for pairs in (parameters, self.named_buffers()) for pair in pairs)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Write what ``state()`` returned, of this or of another Module of the same build, into this one's arrays.

        Parameters
        ----------
        state : mapping of str to array_like
            The same names and shapes as in ``state()``; floats of another precision are rounded.

        Raises
        ------
        TypeError
            If `state` is no mapping.
        ValueError
            If a name is missing or not expected, or an array has another shape or kind. The message lists them all,
            and nothing is changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"{self.title()}.load_state: expected a dict of name to array, got {type(state).__name__}")
        own, given = self.state(), {name: np.asarray(raw(value)) for name, value in state.items()}
        if wrong := mismatches(own, given, "same_kind"):
            raise ValueError(
                f"{self.title()}.load_state: the state does not fit this model; nothing was loaded\n"
                + "".join(f"  {line}\n" for line in wrong)
                + "  build the model as the one that the state came from"
            )
        tensors = {id(found.value.data): found.value for found in walk(self) if isinstance(found.value, Tensor)}
        for name, array in own.items():
            if id(array) in tensors:
                tensors[id(array)].assign(given[name])
            else:
                np.copyto(array, given[name], casting="same_kind")

    def astype(self, dtype: Any) -> Self:
        """Return a copy with its parameters and buffers of floats in another dtype, shared where they were shared.

        The copy's random generators are copies too, in the same state. Gradients are not copied.
        """
        if np.dtype(dtype).kind != "f":
            raise DtypeError(f"{self.title()}.astype: a model needs floats, got {np.dtype(dtype)}")
        converted: dict[int, Any] = {}
        for found in walk(self):
            value = found.value
            if isinstance(value, Tensor) and value.is_leaf and value.dtype.kind == "f":
                converted[id(value)] = Tensor(value.data.astype(dtype), value.requires_grad, value.name)
            elif is_buffer(found) and value.dtype.kind == "f":
                converted[id(value)] = value.astype(dtype)
        return copy.deepcopy(self, converted)

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        known, of_class = vars(self), hasattr(type(self), name)
        if name not in ("training", "forward") and hasattr(Module, name):
            raise AttributeError(f"{type(self).__name__}.{name}: the name is taken by nn.Module; choose another one")
        if "_built" in known and name not in known and not of_class:
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r} to set{self._suggestion(name)}\n"
                f"  declare it in __init__: self.{name} = None will do"
            )
        old = known.get(name)
        if is_parameter(old) and value is not old and value is not None and not is_parameter(value):
            raise GraphError(
                f"{type(self).__name__}.{name} {old.shape} is a parameter, and what is assigned to it is none: "
                f"{value.label() if isinstance(value, Tensor) else type(value).__name__} {np.shape(value)}.\n"
                f"  for an update write: with no_grad(): model.{name} -= step   (or model.{name}.assign(values))"
            )
        if is_parameter(value) and value.name is None:
            value.name = name  # so that messages can call it so
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self), name):  # a property that failed: its own error says why
            return object.__getattribute__(self, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{self._suggestion(name)}")

    def _suggestion(self, name: str) -> str:
        meant = nearest(name, [n for n in {*vars(self), *dir(type(self))} if not n.startswith("_")])
        return f"; did you mean {meant!r}?" if meant else ""

    # For people

    def title(self) -> str:
        """Return the class with its options, as messages show it."""
        return f"{type(self).__name__}({self.options()})"

    def __repr__(self) -> str:
        return drawn(self.title(), walk(self))

    def _locate(self, error: Any) -> None:
        """Note on an error the full name of the layer in which it arose; the outermost caller knows most of it."""
        origin, note = getattr(error, "_layer", (self, None))
        name = next((found.name for found in walk(self) if found.value is origin), None)
        if name is not None:
            if note is not None:
                error.__notes__.remove(note)
            note = f"in layer {name!r} of {type(self).__name__}: {origin.title()}"
            error.add_note(note)
        error._layer = origin, note


class _Parameters(dict[str, Tensor]):
    """Parameters by name. Assigning another Tensor would not reach the Module, and is refused."""

    def __setitem__(self, name: str, value: Tensor) -> None:
        if value is not self.get(name):  # what ``params[name] -= step`` assigns is the parameter itself
            raise TypeError(
                f"params[{name!r}] = ... does not reach the model: params is a dict made anew at each access.\n"
                f"  set the attribute, as in model.{name} = Tensor(..., requires_grad=True), or write values with "
                f"params[{name!r}].assign(values)"
            )


def unused_parameters(model: Module) -> list[str]:
    """Return the names of the parameters that the last backward pass did not reach.

    Call it after ``loss.backward()``. A layer in the list was built and then forgotten in ``forward``, or lies behind
    something that drops gradients, such as ``t.data``.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import nn
    >>> class Forgetful(nn.Module):
    ...     def __init__(self):
    ...         self.used, self.forgotten = nn.Linear(2, 2), nn.Linear(2, 2)
    ...
    ...     def forward(self, x):
    ...         return self.used(x)
    >>> net = Forgetful()
    >>> np.sum(net(np.ones((1, 2)))).backward()
    >>> nn.unused_parameters(net)
    ['forgotten.W', 'forgotten.b']
    """
    return [name for name, parameter in model.named_parameters() if parameter.grad is None]
