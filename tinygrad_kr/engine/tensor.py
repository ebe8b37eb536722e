"""Tensor: an array in the graph, with the operators of ndarray and NumPy's own protocols (NEP 13, NEP 18)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_kr.common.tracebacks import drop_own_frames
from tinygrad_kr.engine.arrays import plain_array
from tinygrad_kr.engine.callers import raise_warnings
from tinygrad_kr.engine.dispatch import (
    NUMPY,
    PLAIN,
    REDUCTIONS,
    implemented,
    indexing,
    unsupported,
    without_gradient,
)
from tinygrad_kr.engine.graph import Leaf, Node, mode, walk
from tinygrad_kr.errors import DtypeError, GraphError, ShapeError, UnsupportedError

if TYPE_CHECKING:
    from tinygrad_kr.engine.operators import Operators
else:
    Operators = object  # the tables below fill in what it declares

__all__ = ["Tensor", "raw"]

accumulating = Lock()  # threads may walk different graphs that share leaves


def _operator(ufunc: Callable[..., Any]) -> Any:
    return lambda self, other: NUMPY[ufunc](self, other)


def _reflected(ufunc: Callable[..., Any]) -> Any:
    return lambda self, other: NUMPY[ufunc](other, self)


def _warning(ufunc: Callable[..., Any]) -> Any:
    """Return an operator that warns of some operands, and its reflection."""
    return lambda self, other: apply(ufunc, (self, other), {}), lambda self, other: apply(ufunc, (other, self), {})


def _plain(ufunc: Callable[..., Any]) -> Any:
    return lambda self, other: without_gradient(ufunc, (self.data, raw(other)), {})


def _plain_reflected(ufunc: Callable[..., Any]) -> Any:
    return lambda self, other: without_gradient(ufunc, (raw(other), self.data), {})


def _in_place(ufunc: Any) -> Any:
    """Return an in-place operator: an update outside the graph; on the graph, a new Tensor."""

    def operator(self: Tensor, other: Any) -> Any:
        if mode.get().recording and (self._node is not None or (isinstance(other, Tensor) and other._node is not None)):
            self._forbid_update(ufunc.__name__)
            return NUMPY[ufunc](self, other)
        if type(self._node) is Node or self._version is None:
            raise self._unchangeable(ufunc.__name__)
        try:
            ufunc(self.data, other.data if isinstance(other, Tensor) else other, out=self.data)
        except ValueError as error:
            raise ShapeError(f"{ufunc.__name__} in place: {self.label()} {self.shape}: {error}") from error
        self._version[0] += 1
        return self

    return operator


def _method(function: Any) -> Any:
    """Return the NumPy function as a method."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return apply(function, (self, *args), kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"``numpy.{function.__name__}`` of this Tensor."
    return method


@final
class Tensor(Operators):
    """An array that remembers how it was computed.

    NumPy functions and operators work on Tensors as on arrays. ``backward()`` on a scalar result fills ``grad`` of
    every leaf Tensor with ``requires_grad=True`` that the result was computed from.

    Parameters
    ----------
    data : array_like
        Used as it is if it is an array (memory is shared), otherwise converted as NumPy does: a list of floats becomes
        float64.
    requires_grad : bool
        Whether ``backward()`` computes the gradient with respect to this Tensor.
    name : str, optional
        What messages and pictures call it.

    Attributes
    ----------
    data : numpy.ndarray
        The values.
    grad : numpy.ndarray or None
        The gradient, of the same shape and dtype as ``data``; it adds up over calls of ``backward()``.

    Raises
    ------
    DtypeError
        If the data are not numbers, or ``requires_grad`` is asked of integers or booleans.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Tensor
    >>> x = Tensor([3.0, 4.0], requires_grad=True)
    >>> y = np.sum(x**2)
    >>> y.backward()
    >>> x.grad
    array([6., 8.])
    """

    __slots__ = ("__weakref__", "_node", "_version", "data", "name")
    base: None = None  # as an array that is nobody's view: Tensors are never changed behind each other's back

    def __init_subclass__(cls) -> None:
        raise TypeError(
            "Tensor cannot be subclassed: operations look for exactly this class. Keep a Tensor as an attribute"
        )

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False, name: str | None = None) -> None:
        self.data: NDArray[Any] = data if type(data) is np.ndarray else array_of(data)
        if self.data.dtype.kind not in "fiub":
            raise DtypeError(
                f"Tensor: data must be real numbers, got dtype {self.data.dtype}.\n"
                "  pass an array of floats, or of integers or booleans where no gradient is needed"
            )
        self.name: str | None = name
        self._node: Node | Leaf | None = None
        self._version: list[int] | None = [0]  # counts changes in place; shared by views, None if none is allowed
        if requires_grad:
            self.requires_grad = True

    @staticmethod
    def of(data: NDArray[Any], node: Node | Leaf | None, version: list[int] | None = None) -> Tensor:
        """Make the Tensor of an operation's result, without the checks that data from outside need."""
        tensor = Tensor.__new__(Tensor)
        tensor.data = data
        tensor.name = None
        tensor._node = node
        tensor._version = version
        return tensor

    # The graph

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows to this Tensor."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if isinstance(self._node, Node):
            raise GraphError(
                f"requires_grad of {self.label()} cannot be changed: it is the result of {self._node.primitive.name}.\n"
                "  use t.detach() for a Tensor outside the graph"
            )
        if wanted and self.data.dtype.kind != "f":
            raise DtypeError(
                f"requires_grad=True needs floats, but {self.label()} {self.shape} has dtype {self.dtype}: "
                "a gradient would be rounded away.\n  pass floats, for example np.array(x, dtype=float)"
            )
        if wanted != self.requires_grad:
            self._node = Leaf(self.data) if wanted else None

    @property
    def is_leaf(self) -> bool:
        """Whether this Tensor was made by the user, not by an operation."""
        return not isinstance(self._node, Node)

    @property
    def grad(self) -> NDArray[Any] | Any:  # or None: a checker that asked for the test would ask at every update
        """The gradient that ``backward()`` left here, an array of this Tensor's shape and dtype, or None."""
        return self._node.grad if isinstance(self._node, Leaf) else None

    @grad.setter
    def grad(self, value: NDArray[Any] | Any) -> None:
        if isinstance(self._node, Leaf):
            self._node.grad = value
        elif value is not None:
            raise GraphError(
                f"{self.label()} {self.shape} has no place for a gradient: it is no leaf that requires one"
            )

    def backward(self, gradient: ArrayLike | None = None, *, retain_graph: bool = False) -> None:
        """Add to ``grad`` of every leaf the gradient of this Tensor with respect to it.

        Parameters
        ----------
        gradient : array_like of this Tensor's shape, optional
            The cotangent: the vector of the vector-Jacobian product. Default: 1, for a Tensor of one element.
        retain_graph : bool
            Keep the graph for another walk. By default it is freed.

        Raises
        ------
        GraphError
            If this Tensor was computed from nothing that requires a gradient, or its graph was freed.
        ShapeError
            If ``gradient`` is missing or has another shape.
        MutationError
            If a Tensor that the gradient needs was changed in place in the meantime.
        """
        if self._node is None:
            raise GraphError(
                f"backward: {self.label()} {self.shape} was computed from no Tensor that requires a gradient.\n"
                "  make the parameters with Tensor(..., requires_grad=True), and compute outside no_grad()"
            )
        gradients, borrowed = walk({self._node: self._cotangent(gradient)}, retain_graph=retain_graph)
        with accumulating:
            for leaf, g in gradients.items():
                if leaf.grad is not None:
                    leaf.grad = np.asarray(leaf.grad + g)
                else:
                    leaf.grad = g.copy() if leaf in borrowed else g

    def _cotangent(self, gradient: Any) -> Any:
        data = self.data
        if gradient is None:
            if data.size != 1:
                raise ShapeError(
                    f"backward: the gradient of {self.label()} {self.shape} needs a cotangent, since only a single "
                    f"number has a gradient by itself.\n  reduce it first, for example np.sum(t).backward(), or call "
                    f"t.backward(gradient) with an array of shape {self.shape}"
                )
            return one(data.dtype) if data.ndim == 0 else one(data.dtype).reshape(data.shape)
        gradient = np.asarray(gradient, dtype=self.dtype)
        if gradient.shape != self.shape:
            raise ShapeError(f"backward: the cotangent must have the shape {self.shape}, got {gradient.shape}")
        return gradient

    def detach(self) -> Tensor:
        """Return a copy of the values as a Tensor outside the graph."""
        return Tensor(self.data.copy(), name=self.name)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    # Changing values in place

    def assign(self, value: ArrayLike | Tensor) -> None:
        """Write new values into ``data``, in place and outside the graph.

        A later ``backward()`` through a result that still needs the old values raises MutationError.

        Parameters
        ----------
        value : array_like of this Tensor's shape

        Raises
        ------
        ShapeError, GraphError
            If the shape differs; if this Tensor is the result of an operation.
        """
        value = np.asarray(raw(value))
        if value.shape != self.shape:
            raise ShapeError(f"assign: {self.label()} has shape {self.shape}, the new values have {value.shape}")
        self._count_change("assign")
        np.copyto(self.data, value, casting="same_kind")

    def __setitem__(self, index: Any, value: Any) -> None:
        if mode.get().recording and (self.requires_grad or (isinstance(value, Tensor) and value.requires_grad)):
            raise GraphError(
                f"item assignment into {self.label()} {self.shape} cannot be recorded.\n"
                "  use np.where(mask, new, old), or np.concatenate; for an update write it under no_grad()"
            )
        self._count_change("item assignment")
        self.data[raw(index)] = raw(value)

    def _forbid_update(self, action: str) -> None:
        """Refuse to change a parameter while the graph is recorded."""
        if isinstance(self._node, Leaf):
            raise GraphError(
                f"{action}: {self.label()} {self.shape} is a parameter, and changing it in place while the graph is "
                "recorded would make its gradient ambiguous.\n"
                "  for an update write: with no_grad(): w -= step   (or w.assign(values))\n"
                "  for a new value write: v = w - step"
            )

    def _count_change(self, action: str) -> None:
        if isinstance(self._node, Node) or self._version is None:
            raise self._unchangeable(action)
        self._version[0] += 1

    def _unchangeable(self, action: str) -> GraphError:
        return GraphError(
            f"{action}: {self.label()} {self.shape} is the result of an operation, or a view of one; its values may be "
            "needed by the backward pass.\n  compute a new Tensor, or work on t.detach()"
        )

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise UnsupportedError(
                f"numpy.{ufunc.__name__}: out= and in-place operators cannot write a Tensor's values into an array.\n"
                f"  write a = a + t instead of a += t"
            )
        if kwargs and method == "__call__":
            raise UnsupportedError(
                f"numpy.{ufunc.__name__}: {', '.join(kwargs)}= cannot be used with Tensors.\n"
                "  leave it out; for where= write np.where(mask, f(t), other)"
            )
        if method == "reduce" and ufunc in REDUCTIONS:
            kwargs.setdefault("axis", 0)
            return NUMPY[REDUCTIONS[ufunc]](*inputs, **kwargs)
        if method != "__call__":
            raise unsupported(f"{ufunc.__name__}.{method}")
        return apply(ufunc, inputs, kwargs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return apply(function, args, kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        self._refuse_to_drop_gradient("an array", "t.data for the values, np.stack to join Tensors")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        self._refuse_to_drop_gradient("a float", "t.item(), and np.exp(t) rather than math.exp(t)")
        return float(self.item())

    def _refuse_to_drop_gradient(self, what: str, instead: str) -> None:
        if self.requires_grad and mode.get().recording:
            raise UnsupportedError(
                f"turning {self.label()} {self.shape} into {what} would silently drop its gradient.\n"
                f"  use {instead}; or do it under no_grad()"
            )

    # What ndarray has

    @property
    def shape(self) -> tuple[int, ...]:
        """The size along each axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of ``data``."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    def item(self) -> Any:
        """Return the value of a Tensor of one element as a Python number."""
        return self.data.item()

    def tolist(self) -> Any:
        """Return the values as nested lists."""
        return self.data.tolist()

    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __int__(self) -> int:
        self._refuse_to_drop_gradient("an int", "t.item()")
        return int(self.data)

    def __index__(self) -> int:
        return self.data.__index__()

    if not TYPE_CHECKING:  # Operators declares their types

        @property
        def T(self) -> Any:
            """The Tensor with its axes reversed."""
            return NUMPY[np.transpose](self)

        @property
        def mT(self) -> Any:
            """The Tensor with its last two axes exchanged."""
            return NUMPY[np.matrix_transpose](self)

        def reshape(self, *shape: Any) -> Any:
            """``numpy.reshape``; the shape as one tuple or as several numbers."""
            return NUMPY[np.reshape](self, shape[0] if len(shape) == 1 else shape)

        def flatten(self, *args: Any, **kwargs: Any) -> Any:
            """Return a copy of the elements in a row; ``ravel`` shares memory where it can."""
            return NUMPY[np.copy](apply(np.ravel, (self, *args), kwargs))

        def transpose(self, *axes: Any) -> Any:
            """``numpy.transpose``; the axes as one tuple or as several numbers."""
            return NUMPY[np.transpose](self, (axes[0] if len(axes) == 1 else axes) or None)

        def astype(self, dtype: Any) -> Any:
            """Return the values in another dtype; the gradient comes back in this one."""
            return NUMPY[np.astype](self, dtype)

        sum, mean, prod, max, min, var, std = map(_method, (np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std))
        cumsum, cumprod, clip, dot, trace = map(_method, (np.cumsum, np.cumprod, np.clip, np.dot, np.trace))
        ravel, squeeze, swapaxes, copy = map(_method, (np.ravel, np.squeeze, np.swapaxes, np.copy))
        take, repeat, diagonal = map(_method, (np.take, np.repeat, np.diagonal))
        argmax, argmin, argsort, all, any, round = map(
            _method, (np.argmax, np.argmin, np.argsort, np.all, np.any, np.round)
        )

        def __getitem__(self, index: Any) -> Any:
            return NUMPY[indexing](self, index)

        def __iter__(self) -> Iterator[Any]:
            return (self[i] for i in range(len(self)))

        __neg__ = lambda self: NUMPY[np.negative](self)
        __abs__ = lambda self: NUMPY[np.abs](self)
        __pos__ = lambda self: NUMPY[np.positive](self)
        __add__, __radd__, __iadd__ = _operator(np.add), _reflected(np.add), _in_place(np.add)
        __sub__, __rsub__, __isub__ = _operator(np.subtract), _reflected(np.subtract), _in_place(np.subtract)
        __mul__, __rmul__, __imul__ = _operator(np.multiply), _reflected(np.multiply), _in_place(np.multiply)
        (__truediv__, __rtruediv__), __itruediv__ = _warning(np.divide), _in_place(np.divide)
        (__pow__, __rpow__), __ipow__ = _warning(np.power), _in_place(np.power)
        (__mod__, __rmod__), __imod__ = _warning(np.remainder), _in_place(np.remainder)
        __floordiv__, __rfloordiv__ = _plain(np.floor_divide), _plain_reflected(np.floor_divide)
        __divmod__ = lambda self, other: (self // other, self % other)
        __rdivmod__ = lambda self, other: (other // self, other % self)
        __matmul__, __rmatmul__ = _operator(np.matmul), _reflected(np.matmul)
        __lt__, __le__ = _plain(np.less), _plain(np.less_equal)
        __gt__, __ge__ = _plain(np.greater), _plain(np.greater_equal)
        __eq__, __ne__ = _plain(np.equal), _plain(np.not_equal)
        __and__, __rand__ = _plain(np.bitwise_and), _plain_reflected(np.bitwise_and)
        __or__, __ror__ = _plain(np.bitwise_or), _plain_reflected(np.bitwise_or)
        __xor__, __rxor__ = _plain(np.bitwise_xor), _plain_reflected(np.bitwise_xor)
        __lshift__, __rlshift__ = _plain(np.left_shift), _plain_reflected(np.left_shift)
        __rshift__, __rrshift__ = _plain(np.right_shift), _plain_reflected(np.right_shift)
        __invert__ = lambda self: np.invert(self.data)
        __hash__ = object.__hash__

    # For people

    def label(self) -> str:
        """What messages call this Tensor."""
        return self.name or (
            f"the result of {self._node.primitive.name}" if isinstance(self._node, Node) else "a Tensor"
        )

    def __repr__(self) -> str:
        values = np.array2string(self.data, separator=", ", prefix="Tensor(")
        notes = [f"dtype={self.dtype}"]
        if self.name:
            notes.append(f"name={self.name!r}")
        if isinstance(self._node, Node):
            notes.append(f"made by {self._node.primitive.name}")
        elif self.requires_grad:
            notes.append("requires_grad=True")
        return f"Tensor({values}, {', '.join(notes)})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __reduce__(self) -> Any:
        if isinstance(self._node, Node):
            raise GraphError(
                f"{self.label()} {self.shape} is part of a graph and cannot be copied or pickled with it.\n"
                "  for the values, as plt.plot wants them, pass t.data; for a Tensor outside the graph, t.detach()"
            )
        return unpickled, (self.data, self.requires_grad, self.name)


def unpickled(data: Any, requires_grad: bool, name: str | None) -> Tensor:
    """Return a Tensor of what was pickled, with all that the public name loads."""
    import tinygrad_kr

    return tinygrad_kr.Tensor(data, requires_grad, name)


@cache
def one(dtype: Any) -> Any:
    """Return the number 1 in a dtype, the cotangent with which most walks begin."""
    number = np.ones((), dtype)
    number.flags.writeable = False
    return number


def apply(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Carry out a NumPy function on Tensors; the traceback of an error raised on purpose shows the user's lines."""
    if function in PLAIN:
        return without_gradient(function, raw(args), raw(kwargs))
    raise_warnings()
    try:
        return implemented(function, args, kwargs)
    except Exception as error:
        if not mode.get().debugging:
            drop_own_frames(error)
        raise


def array_of(data: Any) -> Any:
    """Return what a Tensor is made of as an array; another Tensor gives its own."""
    if isinstance(data, Tensor):
        data._refuse_to_drop_gradient("another Tensor", "t itself, or t.detach() for the values")
        return data.data
    return plain_array(data, "Tensor")


def raw(value: Any) -> Any:
    """Replace Tensors by their arrays, also inside tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return value.data
    if type(value) in (tuple, list):
        return type(value)(raw(item) for item in value)
    if type(value) is dict:
        return {key: raw(item) for key, item in value.items()}
    return value
