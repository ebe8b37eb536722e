"""The base class of optimizers: parameters by name, checks, state and work buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.arguments import number
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import DtypeError, ShapeError
from tinygrad_kr.optim.checks import gradient_of, named_tensors
from tinygrad_kr.parameters import mismatches

__all__ = ["Optimizer"]

Array = NDArray[Any]


class Optimizer:
    """Updates parameters in place from their gradients; each method is a subclass with its own ``update``.

    Updates are made outside the graph and are counted: a ``backward()`` through what was computed before the update
    and needs the old values raises MutationError.

    Parameters
    ----------
    params : dict of str to Tensor, or a model
        What to update: leaves that require a gradient. A model has ``named_parameters()``, or a dict ``params``.
    lr : float
        The learning rate.
    weight_decay : float
        How strongly weights are pulled to 0: weight_decay times w is added to the gradient of w, as the gradient of
        weight_decay / 2 times the sum of the squares of w would be (the book, section 6.4.2).
    state : sequence of str
        What the method remembers of each parameter: arrays of its shape, 0 at first, under these names. One that is
        called "step" is a single integer.

    Attributes
    ----------
    params : dict of str to Tensor
        The parameters by name.
    lr : float
        The learning rate; set it at any time, for example from ``optim.schedules``.
    steps : int
        How often ``step`` was called.

    Raises
    ------
    TypeError
        If `params` is of another kind, or holds what is no Tensor; if a hyperparameter is no number.
    ValueError
        If there is no parameter, or one has two names or read-only memory; if a hyperparameter is out of range.
    GraphError
        If a parameter is the result of an operation, or does not require a gradient.

    Examples
    --------
    A method of one's own, which looks only at the signs of the gradient:

    >>> import numpy as np
    >>> from tinygrad_kr import Tensor
    >>> class SignDescent(Optimizer):
    ...     def update(self, w, g, work, state):
    ...         a, b = work
    ...         np.sign(self.decayed(w, g, out=a), out=b)
    ...         b *= self.lr
    ...         w -= b
    >>> W = Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = SignDescent({"W": W}, lr=0.5)
    >>> np.sum(W**2).backward()
    >>> optimizer.step()
    >>> W.data
    array([ 2.5, -3.5])
    """

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0, state: Sequence[str] = ()) -> None:
        self._kind = type(self).__name__
        self.params: dict[str, Tensor] = named_tensors(params, self._kind)
        self.lr = lr
        self.weight_decay: float = number(weight_decay, "weight_decay", self._kind)
        self.steps: int = 0
        self._state: dict[str, dict[str, Array]] = {
            name: {key: np.zeros((), np.int64) if key == "step" else np.zeros_like(p.data) for key in state}
            for name, p in self.params.items()
        }
        self._work = {name: (np.empty_like(p.data), np.empty_like(p.data)) for name, p in self.params.items()}

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = number(value, "lr", self._kind)

    def step(self) -> None:
        """Update every parameter that has a gradient; leave those without, and what is remembered of them, alone.

        Raises
        ------
        ShapeError, DtypeError
            If a gradient does not fit its parameter, or a parameter is not what it was when the optimizer was made.
            Nothing is updated then.
        """
        ready = [name for name, p in self.params.items() if self._fits(name, p)]
        for name in ready:
            p = self.params[name]
            p._count_change(f"{self._kind}.step")
            self.update(p.data, p.grad, self._work[name], tuple(self._state[name].values()))
        self.steps += 1

    def update(self, w: Array, g: Array, work: tuple[Array, Array], state: tuple[Any, ...]) -> None:
        """Update one parameter in place.

        Parameters
        ----------
        w : ndarray
            The values.
        g : ndarray of the same shape and dtype
            The gradient, which must be left as it is.
        work : two ndarrays of the same shape and dtype
            Room for intermediate results; what is in them is not kept.
        state : tuple of ndarray
            What is remembered of this parameter, to be changed in place.
        """
        raise NotImplementedError(f"{self._kind} must define update(w, g, work, state)")

    def decayed(self, w: Array, g: Array, out: Array) -> Array:
        """Return g + weight_decay w, written into `out`; without weight decay g itself."""
        if self.weight_decay == 0:
            return g
        np.multiply(w, self.weight_decay, out=out)
        out += g
        return out

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for p in self.params.values():
            p.zero_grad()

    def state(self) -> dict[str, Array]:
        """Return a copy of the optimizer's state, without the parameters, from which a run resumes exactly.

        Hyperparameters are not part of it: make the new optimizer with the same ones.

        Returns
        -------
        dict of str to ndarray
            "step", how often ``step`` was called, as an array of no axes; and what is remembered of each parameter,
            for example "momentum.W1".

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_kr import Tensor
        >>> from tinygrad_kr.optim import SGD
        >>> optimizer = SGD({"W": Tensor([3.0, -4.0], requires_grad=True)}, lr=0.1, momentum=0.9)
        >>> optimizer.state()
        {'step': array(0), 'momentum.W': array([0., 0.])}
        """
        return {name: array.copy() for name, array in self._named_state().items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state()`` returned; on error the optimizer is unchanged.

        Parameters
        ----------
        state : mapping of str to array_like
            The same names, shapes and dtypes as in ``state()``.

        Raises
        ------
        TypeError
            If `state` is no mapping.
        ValueError
            If a name is missing or not expected, or an array has another shape or dtype. The message lists them all.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"{self._kind}.load_state: expected a dict of name to array, got {type(state).__name__}")
        own, given = self._named_state(), {name: np.asarray(value) for name, value in state.items()}
        counts = {name: array for name, array in given.items() if array.shape == () and array.dtype.kind == "i"}
        wrong = mismatches(own, given, "equiv")
        wrong += [f"{name}: expected a count, got {value}" for name, value in counts.items() if value < 0]
        if wrong:
            raise ValueError(
                f"{self._kind}.load_state: the state does not fit these parameters and options:\n"
                + "".join(f"  {line}\n" for line in wrong)
                + "  load it into an optimizer made as the one that it came from"
            )
        for name, array in own.items():
            np.copyto(array, given[name])
        self.steps = int(given["step"])

    def _named_state(self) -> dict[str, Array]:
        named: dict[str, Array] = {"step": np.array(self.steps, np.int64)}
        for name, arrays in self._state.items():
            named |= {f"{key}.{name}": array for key, array in arrays.items()}
        return named

    def _fits(self, name: str, p: Any) -> bool:
        """Return whether a parameter has a gradient; raise if that or the parameter is not as it must be."""
        then = self._work[name][0]
        if p.shape != then.shape or p.dtype != then.dtype:
            raise (ShapeError if p.shape != then.shape else DtypeError)(
                f"{self._kind}.step: parameter {name!r} was {then.shape} {then.dtype} when the optimizer was made, "
                f"and is {p.shape} {p.dtype} now.\n  make a new optimizer, or write new values with w.assign(values)"
            )
        return gradient_of(p, name, f"{self._kind}.step") is not None

    def __repr__(self) -> str:
        return f"{self._kind}(lr={self.lr:g}, parameters: {', '.join(self.params)})"
