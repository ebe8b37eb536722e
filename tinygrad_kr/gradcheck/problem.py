"""The function under test and its gradient, seen as functions of a flat list of float64 arrays."""

from __future__ import annotations

import hashlib
import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.engine.tree import tree_leaves, tree_map
from tinygrad_kr.errors import DtypeError, NonFiniteError, ShapeError
from tinygrad_kr.gradcheck.borrowed_model import BorrowedModel
from tinygrad_kr.gradcheck.variables import Point, Variable, Vector, array_of, joined, rough_size

__all__ = ["Budget", "Problem"]


@dataclass
class Budget:
    """The number of evaluations and the seconds that a check may take, from now on."""

    evaluations: float = math.inf
    seconds: float = math.inf
    started: float = field(default_factory=lambda: time.perf_counter())

    @property
    def spent(self) -> float:
        """The seconds since the start."""
        return time.perf_counter() - self.started


class Problem:
    """A function, the point at which it is checked, and its gradient.

    Inputs are flattened to *variables*, the float arrays among them; everything else is passed on unchanged.
    Every call gets copies, so that changes that a user's function makes to them do not reach the next call.
    """

    f: Callable[..., Any]
    user_gradient: Any
    evaluations: int
    gradient_calls: int
    budget: Budget
    lasted: dict[str, float]
    input_names: tuple[str, ...]
    inputs: tuple[Any, ...]
    model: BorrowedModel
    parameters: dict[str, Any]
    first_parameter: int
    checked: set[int]

    def __init__(self, f: Callable[..., Any], inputs: tuple[Any, ...], gradient: Any, model: Any) -> None:
        self.f, self.user_gradient = f, gradient
        self.variables: list[Variable] = []
        self.start: Point = []
        self.evaluations = self.gradient_calls = 0
        self.budget = Budget()
        self.lasted = {"f": 0.0, "gradient": 0.0}  # the seconds that the last call of each took
        self.input_names = _input_names(f, len(inputs))
        self.inputs = tuple(self._template(value, name) for value, name in zip(inputs, self.input_names, strict=True))
        self.model = BorrowedModel(model)
        self.parameters = self.model.parameters
        for name, array in self.model.arrays().items():
            self._add(f"params[{name!r}]", array)
        if not self.variables:
            raise DtypeError(
                "check_gradients: there is nothing to differentiate with respect to: no input holds floats.\n"
                f"  got {', '.join(type(x).__name__ for x in inputs) or 'no inputs'}; "
                "pass arrays of floats, for example np.array(x, dtype=float)"
            )
        self.first_parameter = len(self.variables) - len(self.parameters)
        self.output: Any = None  # the structure of what f returns, filled by the first evaluation
        self.checked = set(range(len(self.variables)))

    def value(self, point: Point) -> Vector:
        """Return everything f returns at a point, as one float64 vector."""
        output = self.call(self.arguments(point), point)
        parts = [_output_array(part) for part in tree_leaves(output)]
        if self.output is None:
            self.output = tree_map(lambda part: np.empty_like(_output_array(part)), output)
        return joined(parts)

    def call(self, arguments: tuple[Any, ...], point: Point) -> Any:
        """Return what f returns for arguments in the user's own structure."""
        self.evaluations += 1
        with no_grad(), np.errstate(all="ignore"), self._timed("f"):
            self.model.write(point[self.first_parameter :])
            return self.f(*arguments)

    def value_nearby(self, point: Point) -> Vector:
        """Return everything f returns at a point that the user did not choose.

        It is NaN where f refuses the point, as outside its domain, and once the budget is spent.
        """
        if not self.affords(evaluations=1):
            return np.full(self.output_size, np.nan)
        try:
            value = self.value(point)
        except (ArithmeticError, ValueError):
            return np.full(self.output_size, np.nan)
        if value.size != self.output_size:
            raise ShapeError(
                f"check_gradients: f returned {self.output_size} numbers at the inputs given, and {value.size} close by"
            )
        return value

    @property
    def output_size(self) -> int:
        """The number of numbers that f returns."""
        return sum(part.size for part in tree_leaves(self.output))

    def gradient(self, point: Point, cotangent: Vector, **how: Any) -> list[Any]:
        """Return what the gradient function returns at a point, one entry for each variable: an array, or None."""
        return self.gradient_of(self.arguments(point, **how), self.structured(cotangent), point)

    def gradient_of(self, arguments: tuple[Any, ...], cotangent: Any, point: Point) -> list[Any]:
        """Return the same for arguments and a cotangent in the user's own structure."""
        self.gradient_calls += 1
        with np.errstate(all="ignore"), self._timed("gradient"):
            self.model.write(point[self.first_parameter :])
            if self.user_gradient is None:
                return self._own_gradient(arguments, cotangent)
            return self._sorted(self.user_gradient(*arguments, cotangent))

    def affords(self, evaluations: int = 0, gradients: int = 0) -> bool:
        """Whether the budget allows so many more calls, if they take as long as the last ones."""
        seconds = evaluations * self.lasted["f"] + gradients * self.lasted["gradient"]
        budget = self.budget
        return self.evaluations + evaluations <= budget.evaluations and budget.spent + seconds < budget.seconds

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.lasted[what] = time.perf_counter() - started

    def arguments(self, point: Point, layout: Callable[..., Any] = np.array, dtypes: bool = False) -> tuple[Any, ...]:
        """Return the inputs as f gets them, in a layout of memory, and in the user's own dtypes if asked."""

        def filled(slot: Any) -> Any:
            if not isinstance(slot, Variable):
                return slot
            array = point[slot.position].astype(slot.dtype) if dtypes else point[slot.position]
            return array[()] if slot.is_number else layout(array)

        return tuple(tree_map(filled, template) for template in self.inputs)

    def structured(self, cotangent: Vector) -> Any:
        """Return a cotangent in the structure of what f returns."""
        parts = iter(np.split(cotangent, np.cumsum([part.size for part in tree_leaves(self.output)])[:-1]))
        return tree_map(lambda part: next(parts).reshape(part.shape).astype(part.dtype)[...], self.output)

    @cached_property
    def sizes(self) -> Point:
        """The unit of a step for each element: about its magnitude."""
        return [rough_size(x) for x in self.start]

    @property
    def size(self) -> int:
        """The number of elements of all inputs and parameters."""
        return sum(v.size for v in self.variables)

    def checked_pairs(self, gradients: Sequence[Any]) -> list[tuple[Variable, Any]]:
        """Return each variable whose gradient was asked for, with its gradient."""
        return [(v, gradients[v.position]) for v in self.variables if v.position in self.checked]

    def fitting(self, gradients: Sequence[Any]) -> list[tuple[Variable, Vector | None]]:
        """Return each variable with its gradient in float64, or None if that is missing or of another shape."""
        return [
            (v, np.asarray(g, dtype=np.float64) if g is not None and g.shape == v.shape else None)
            for v, g in zip(self.variables, gradients, strict=True)
        ]

    def digest(self) -> int:
        """Return a number derived from the inputs, from which random choices are seeded."""
        total = hashlib.blake2b(digest_size=8)
        for array in self.start:
            total.update(array.tobytes())
        return int.from_bytes(total.digest(), "little")

    @cached_property
    def output_rounding(self) -> Vector:
        """The relative rounding of each number that f returns, by its dtype."""
        return joined([np.full(part.size, np.finfo(part.dtype).eps, np.float64) for part in tree_leaves(self.output)])

    def rounded(self, cotangent: Vector) -> Vector:
        """Return a cotangent as the outputs' dtypes can hold it."""
        return joined(tree_leaves(self.structured(cotangent)))

    def _template(self, value: Any, name: str) -> Any:
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            parts = zip(value, value._fields, strict=True)
            return type(value)(*(self._template(part, f"{name}.{field}") for part, field in parts))
        if isinstance(value, dict):
            return {key: self._template(part, f"{name}[{key!r}]") for key, part in value.items()}
        if isinstance(value, list | tuple) and not _only_numbers(value):
            return type(value)([self._template(part, f"{name}[{i}]") for i, part in enumerate(value)])
        if value is None or isinstance(value, str | bool | int):
            return value
        array = array_of(value) if not callable(value) or hasattr(value, "dtype") else None
        if array is not None and array.dtype.kind == "c":
            raise DtypeError(f"check_gradients: {name} is complex; only real inputs can be checked")
        if array is None or array.dtype.kind != "f":
            return value
        return self._add(name, array, is_number=isinstance(value, float | np.floating))

    def _add(self, name: str, array: Any, is_number: bool = False) -> Variable:
        if not np.all(np.isfinite(array)):
            first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise NonFiniteError(f"check_gradients: {name}{list(first) if first else ''} is {array[first]}")
        variable = Variable(len(self.variables), name, array.shape, array.dtype, is_number)
        self.variables.append(variable)
        self.start.append(np.array(array, dtype=np.float64))
        return variable

    def _own_gradient(self, arguments: tuple[Any, ...], cotangent: Any) -> list[Any]:
        def variable(slot: Any, value: Any) -> Any:
            return Tensor(value, requires_grad=True, name=slot.name) if isinstance(slot, Variable) else value

        variables = tuple(tree_map(variable, *pair) for pair in zip(self.inputs, arguments, strict=True))
        pairs = zip(tree_leaves(self.inputs), tree_leaves(variables), strict=True)
        inputs = [x for slot, x in pairs if isinstance(slot, Variable)]
        parameters = list(self.parameters.values())
        for parameter in parameters:
            parameter.grad = None
        output = self.f(*variables)
        products: list[Any] = []
        tree_map(lambda y, v: products.append(np.sum(y * v)), output, cotangent)
        total = sum(products[1:], products[0])
        if isinstance(total, Tensor) and total.requires_grad:
            total.backward()
        return [np.zeros(x.shape, x.dtype) if x.grad is None else x.grad for x in (*inputs, *parameters)]

    def _sorted(self, returned: Any) -> list[Any]:
        """Return the gradients that the user's function returned, one entry for each variable."""
        templates, names = list(self.inputs), list(self.input_names)
        if self.parameters:
            if isinstance(returned, dict) and set(returned) == set(self.parameters):
                self.checked = set(range(self.first_parameter, len(self.variables)))
                return [None] * self.first_parameter + [_gradient_array(returned[name]) for name in self.parameters]
            templates.append({name: self.variables[self.first_parameter + i] for i, name in enumerate(self.parameters)})
            names.append("params")
        parts = self._parts(returned, templates, names)
        entries: list[Any] = [None] * len(self.variables)

        def collect(slot: Any, part: Any) -> None:
            if isinstance(slot, Variable):
                entries[slot.position] = None if part is None else _gradient_array(part)

        for template, name, part in zip(templates, names, parts, strict=True):
            if part is None or not any(isinstance(slot, Variable) for slot in tree_leaves(template)):
                continue
            try:
                tree_map(collect, template, part)
            except ShapeError as error:
                raise ShapeError(f"check_gradients: the gradient for {name} has another structure: {error}") from error
        return entries

    def _parts(self, returned: Any, templates: list[Any], names: list[str]) -> list[Any]:
        """Return one part for each input, labels included."""
        floats = [any(isinstance(slot, Variable) for slot in tree_leaves(template)) for template in templates]
        several = isinstance(returned, tuple | list)
        if len(templates) == 1 and not (several and len(returned) == 1 and not isinstance(templates[0], tuple | list)):
            return [returned]
        if several and len(returned) == len(templates):
            return list(returned)
        if sum(floats) == 1 and not several:
            returned, several = (returned,), True
        if several and len(returned) == sum(floats):
            given = iter(returned)
            return [next(given) if is_float else None for is_float in floats]
        got = f"{len(returned)} values" if several else f"a {type(returned).__name__}"
        raise ShapeError(
            f"check_gradients: gradient(*inputs, cotangent) must return one gradient for each input: "
            f"({', '.join(names)})\n  expected a tuple of {len(templates)}, got {got}; None will do for labels"
        )


def _input_names(f: Callable[..., Any], count: int) -> tuple[str, ...]:
    """Return the names of f's first arguments, or x0, x1, ... where they cannot be known."""
    fallback = ("x",) if count == 1 else tuple(f"x{i}" for i in range(count))
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        return fallback
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return tuple(named[:count]) if len(named) >= count else fallback


def _only_numbers(value: Any) -> bool:
    """Return whether nested lists hold Python numbers only, and so stand for an array."""
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(map(_only_numbers, value))
    return isinstance(value, float | int) and not isinstance(value, bool | np.generic)


def _output_array(part: Any) -> NDArray[Any]:
    array = array_of(part)
    if array.dtype.kind != "f":
        got = type(part).__name__ if array.dtype == object else array.dtype
        raise DtypeError(f"check_gradients: f must return floats, got {got}")
    return array


def _gradient_array(part: Any) -> NDArray[Any]:
    """Return a gradient as it was given: not copied, so that its memory can be compared with others'."""
    array = array_of(part)
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"check_gradients: a gradient must hold real numbers, got {type(part).__name__} {array.dtype}")
    return array
