"""Functions of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp.

Names and argument order are those of JAX and HIPS autograd. Arguments may be numbers, arrays, Tensors, and nested
tuples, lists and dicts of them; gradients come back in the same structure. Results are arrays, unless the function
depends on something outside that requires a gradient (an argument, a Tensor that it captures, a variable of another
transform): then they are Tensors that can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_kr.engine.dispatch import NUMPY
from tinygrad_kr.engine.graph import Link, depends_on_earlier, mode, numbers, recording, walk
from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.engine.tree import tree_leaves, tree_map
from tinygrad_kr.errors import ShapeError

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

Argnums = int | tuple[int, ...]
Function = Callable[..., Any]
K = TypeVar("K")
Array = NDArray[Any]
Mapped = dict[K, Array] | dict[K, Tensor] | dict[K, float]


class Gradient(Protocol):
    """The gradient with respect to the first argument, in its structure; of a Tensor, one where it is differentiable.

    For a checker it has the type of the argument; only structures nested more than once are Any.
    """

    @overload
    def __call__(self, x: float, /, *args: Any, **kwargs: Any) -> np.float64: ...
    @overload
    def __call__(self, x: Array, /, *args: Any, **kwargs: Any) -> Array: ...
    @overload
    def __call__(self, x: Tensor, /, *args: Any, **kwargs: Any) -> Tensor | Array: ...
    @overload
    def __call__(self, x: Mapped[K], /, *args: Any, **kwargs: Any) -> dict[K, Array]: ...
    @overload
    def __call__(self, x: Any, /, *args: Any, **kwargs: Any) -> Any: ...


class ValueAndGradient(Protocol):
    """The value and the gradient with respect to the first argument; see Gradient."""

    @overload
    def __call__(self, x: float, /, *args: Any, **kwargs: Any) -> tuple[np.floating[Any], np.float64]: ...
    @overload
    def __call__(self, x: Array, /, *args: Any, **kwargs: Any) -> tuple[np.floating[Any], Array]: ...
    @overload
    def __call__(self, x: Mapped[K], /, *args: Any, **kwargs: Any) -> tuple[np.floating[Any], dict[K, Array]]: ...
    @overload
    def __call__(self, x: Any, /, *args: Any, **kwargs: Any) -> tuple[Any, Any]: ...


class Derivatives(Protocol):
    """All derivatives with respect to the first argument: an array for an array."""

    @overload
    def __call__(self, x: float | Array, /, *args: Any, **kwargs: Any) -> Array: ...
    @overload
    def __call__(self, x: Tensor, /, *args: Any, **kwargs: Any) -> Tensor | Array: ...
    @overload
    def __call__(self, x: Any, /, *args: Any, **kwargs: Any) -> Any: ...


class Trace:
    """One run of a function with its arguments made variables, ready to be walked backward."""

    def __init__(self, f: Function, argnums: Argnums, args: tuple[Any, ...], kwargs: Any = None) -> None:
        numbered = (argnums,) if isinstance(argnums, int) else argnums or range(len(args))
        if any(not -len(args) <= i < len(args) for i in numbered):
            raise ShapeError(f"argnums={argnums}, but the function was called with {len(args)} arguments")
        chosen = [i % len(args) for i in numbered]
        is_recorded = mode.get().recording
        self.since: int = next(numbers)
        with recording():
            variables = [tree_map(variable, args[i]) if i in chosen else args[i] for i in range(len(args))]
            self.output = f(*variables, **(kwargs or {}))
        self.variables: tuple[Any, ...] = tuple(variables[i] for i in chosen)
        roots = {y._node for y in tree_leaves(self.output) if isinstance(y, Tensor) and y.requires_grad}
        self.depends_on_outside: bool = is_recorded and depends_on_earlier(roots, self.since)

    def pull_back(self, cotangents: Any) -> tuple[Any, ...]:
        """Return the vector-Jacobian product with respect to each variable."""
        seeds: dict[Link, Any] = {}

        def seed(y: Any, cotangent: Any) -> None:
            if isinstance(y, Tensor) and y.requires_grad:
                seeds[y._node] = seeds[y._node] + cotangent if y._node in seeds else cotangent

        is_recording = mode.get().recording
        wrap = lift if self.depends_on_outside and is_recording else None
        tree_map(seed, self.output, cotangents)
        links = [x._node for x in tree_leaves(self.variables)]
        gradients, borrowed = walk(seeds, links, retain_graph=True, wrap=wrap, since=self.since)

        def gradient(x: Tensor) -> Any:
            if x._node not in gradients:
                return finished(np.zeros(x.shape, x.dtype), on_graph=False)
            g = gradients[x._node]
            on_graph = is_recording and isinstance(g, Tensor) and g.requires_grad
            return finished(g.copy() if x._node in borrowed and not on_graph else g, on_graph)

        return tuple(tree_map(gradient, x) for x in self.variables)

    def value(self) -> Any:
        """Return what the function returned."""
        return tree_map(lambda y: finished(y, self.depends_on_outside), self.output)


def finished(value: Any, on_graph: bool) -> Any:
    """Return a result as the caller gets it: a Tensor if it can be differentiated further, otherwise an array."""
    if on_graph:
        return value if isinstance(value, Tensor) else Tensor(value)
    value = raw(value)
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def variable(x: Any) -> Any:
    """Make a variable of an argument: connected to the graph it came from, and a place where the walk can stop."""
    if isinstance(x, Tensor) and x.requires_grad:
        return NUMPY[np.copy](x)
    return Tensor(x.data if isinstance(x, Tensor) else x, requires_grad=True)


def lift(array: Any, link: Link, version: list[int] | None) -> Any:
    """Make a saved array a Tensor at its place in the graph."""
    return array if link is None else Tensor.of(array, link, version)


@overload
def value_and_grad(f: Function, argnums: Literal[0] = 0) -> ValueAndGradient: ...
@overload
def value_and_grad(f: Function, argnums: int) -> Callable[..., tuple[Any, Any]]: ...
@overload
def value_and_grad(f: Function, argnums: tuple[int, ...]) -> Callable[..., tuple[Any, tuple[Any, ...]]]: ...
def value_and_grad(f: Function, argnums: Argnums = 0) -> Any:
    """Make a function that returns the value of f and its gradient.

    Parameters
    ----------
    f : callable
        Returns a single number.
    argnums : int or tuple of int
        The argument to differentiate with respect to, or several.

    Returns
    -------
    callable
        Takes what f takes; returns ``(value, gradient)``, the gradient in the structure of the argument, or a tuple of
        them for several arguments.

    Raises
    ------
    ShapeError
        If f returns anything but a single number.
    DtypeError
        If an argument consists of integers.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import value_and_grad
    >>> value_and_grad(lambda w: np.sum(w["a"] ** 2) + 3 * w["b"])({"a": np.array([1.0, 2.0]), "b": 1.0})
    (np.float64(8.0), {'a': array([2., 4.]), 'b': np.float64(3.0)})
    """

    @wraps(f)
    def function(*args: Any, **kwargs: Any) -> Any:
        trace = Trace(f, argnums, args, kwargs)
        if isinstance(trace.output, tuple | list | dict) or np.size(trace.output) != 1:
            is_tree = isinstance(trace.output, tuple | list | dict)
            raise ShapeError(
                "grad: the function must return a single number, got "
                f"{f'a {type(trace.output).__name__}' if is_tree else np.shape(trace.output)}.\n"
                "  reduce it, for example with np.sum; or use jacobian, or vjp with a cotangent"
            )
        gradients = trace.pull_back(np.ones(np.shape(trace.output), getattr(trace.output, "dtype", float)))
        return trace.value(), gradients[0] if isinstance(argnums, int) else gradients

    return function


@overload
def grad(f: Function, argnums: Literal[0] = 0) -> Gradient: ...
@overload
def grad(f: Function, argnums: int) -> Callable[..., Any]: ...
@overload
def grad(f: Function, argnums: tuple[int, ...]) -> Callable[..., tuple[Any, ...]]: ...
def grad(f: Function, argnums: Argnums = 0) -> Any:
    """Make a function that returns the gradient of f; see ``value_and_grad``.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import grad
    >>> grad(np.tanh)(0.0)
    np.float64(1.0)
    >>> grad(grad(lambda x: x**3))(2.0)
    np.float64(12.0)
    """

    @wraps(f)
    def function(*args: Any, **kwargs: Any) -> Any:
        return value_and_grad(f, argnums)(*args, **kwargs)[1]

    return function


@overload
def vjp(
    f: Function, *args: ArrayLike, argnums: tuple[int, ...] = ()
) -> tuple[Any, Callable[[Any], tuple[Array, ...]]]: ...
@overload
def vjp(f: Function, *args: ArrayLike, argnums: int) -> tuple[Any, Callable[[Any], Array]]: ...
@overload
def vjp(f: Function, *args: Any, argnums: Argnums = ()) -> tuple[Any, Callable[[Any], Any]]: ...
def vjp(f: Function, *args: Any, argnums: Argnums = ()) -> tuple[Any, Callable[[Any], Any]]:
    """Return f's value and the function that carries cotangents back: u -> u^T J.

    Parameters
    ----------
    f : callable
        Returns an array, or a nested structure of arrays.
    *args
        Where to evaluate f.
    argnums : int or tuple of int
        The arguments to differentiate with respect to; () means all.

    Returns
    -------
    value
        ``f(*args)``.
    pullback : callable
        Takes cotangents in the structure of the value; returns a tuple with one gradient for each argument (for an
        int ``argnums`` just that one). May be called several times.

    Raises
    ------
    ShapeError
        If a cotangent does not have the shape of the value.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import vjp
    >>> y, pullback = vjp(np.multiply, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 3., 40.]), array([ 1., 20.]))
    """
    trace = Trace(f, argnums, args)

    def pullback(cotangents: Any) -> Any:
        gradients = trace.pull_back(tree_map(fitting, trace.output, cotangents))
        return gradients[0] if isinstance(argnums, int) else gradients

    return trace.value(), pullback


def fitting(value: Any, cotangent: Any) -> Any:
    """Return a cotangent as an array or Tensor with the shape and dtype of the value, or say why it is none."""
    if isinstance(cotangent, tuple | list | dict):
        raise ShapeError(f"expected the structure of the value, an array {np.shape(value)}, got a nested structure")
    if not isinstance(cotangent, Tensor):
        cotangent = np.asarray(cotangent, dtype=getattr(value, "dtype", float))
    elif isinstance(value, Tensor | np.ndarray | np.generic) and cotangent.dtype != value.dtype:
        cotangent = cotangent.astype(value.dtype)
    if cotangent.shape != np.shape(value):
        raise ShapeError(f"the cotangent must have the shape of the value, {np.shape(value)}, got {cotangent.shape}")
    return cotangent


@overload
def jvp(f: Function, primals: tuple[ArrayLike, ...], tangents: tuple[ArrayLike, ...]) -> tuple[Array, Array]: ...
@overload
def jvp(f: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]: ...
def jvp(f: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return f's value and its directional derivative: J v.

    The vector-Jacobian product is linear in the cotangent; its transpose, found by walking it backward in turn, is the
    Jacobian-vector product.

    Parameters
    ----------
    f : callable
        Returns an array, or a nested structure of arrays.
    primals : tuple
        The arguments of f.
    tangents : tuple
        The direction, in the structure and shapes of the primals.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import jvp
    >>> jvp(np.square, (np.array([1.0, 2.0]),), (np.array([1.0, 0.5]),))
    (array([1., 4.]), array([2., 2.]))
    """
    tangents = tree_map(fitting, primals, tangents)
    value, pullback = vjp(f, *primals)

    def transposed(cotangents: Any) -> Any:
        products = tree_map(lambda g, v: np.sum(g * v), pullback(cotangents), tangents)
        return sum(tree_leaves(products))

    zeros = tree_map(lambda y: np.zeros(np.shape(y), getattr(y, "dtype", float)), value)
    return value, grad(transposed)(zeros)


@overload
def jacobian(f: Function, argnums: Literal[0] = 0) -> Derivatives: ...
@overload
def jacobian(f: Function, argnums: int) -> Callable[..., Any]: ...
@overload
def jacobian(f: Function, argnums: tuple[int, ...]) -> Callable[..., Any]: ...
def jacobian(f: Function, argnums: Argnums = 0) -> Any:
    """Make a function that returns all first derivatives of f, one walk for each number in the value.

    Returns
    -------
    callable
        Takes what f takes; returns an array of shape ``value.shape + argument.shape``; for nested values or arguments,
        the structure of the value with the structure of the argument in each place.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import jacobian
    >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @wraps(f)
    def function(*args: Any, **kwargs: Any) -> Any:
        trace = Trace(f, argnums, args, kwargs)
        zeros = tree_map(lambda y: np.zeros(np.shape(y), getattr(y, "dtype", float)), trace.output)

        def rows(zero: Any) -> Any:
            gradients = []
            for i in range(zero.size):
                zero.flat[i] = 1  # a unit cotangent, in its place among the zeros
                gradients.append(trace.pull_back(tree_map(np.copy, zeros)))
                zero.flat[i] = 0
            stacked = tree_map(
                lambda x, *parts: _stacked(parts, zero.shape + np.shape(x), x.dtype), trace.variables, *gradients
            )
            return stacked[0] if isinstance(argnums, int) else stacked

        return tree_map(rows, zeros)

    return function


def _stacked(parts: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    return np.reshape(np.stack(parts), shape) if parts else np.zeros(shape, dtype)


@overload
def hessian(f: Function, argnums: Literal[0] = 0) -> Derivatives: ...
@overload
def hessian(f: Function, argnums: int) -> Callable[..., Any]: ...
def hessian(f: Function, argnums: int = 0) -> Any:
    """Make a function that returns all second derivatives of a function that returns a single number.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import hessian
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


@overload
def hvp(f: Function, argnums: Literal[0] = 0) -> Gradient: ...
@overload
def hvp(f: Function, argnums: int) -> Callable[..., Any]: ...
def hvp(f: Function, argnums: int = 0) -> Any:
    """Make a function that returns the product of f's Hessian with a vector, without the Hessian.

    Returns
    -------
    callable
        Takes what f takes, then the vector, in the structure of the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import hvp
    >>> hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([  6., 120.])
    """

    @wraps(f)
    def function(*args_and_vector: Any, **kwargs: Any) -> Any:
        *args, vector = args_and_vector
        vector = tree_map(fitting, args[argnums], vector)

        def slope(*args: Any) -> Any:
            return sum(tree_leaves(tree_map(lambda g, v: np.sum(g * v), grad(f, argnums)(*args, **kwargs), vector)))

        return grad(slope, argnums)(*args)

    return function
