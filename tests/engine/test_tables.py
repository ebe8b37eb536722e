"""The tables of NumPy functions, each of their entries and every keyword of each: values and slopes, against NumPy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import Primitive, Tensor
from tinygrad_kr.engine.dispatch import NUMPY, PLAIN, indexing
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import UnsupportedError
from tinygrad_kr.gradcheck import Verdict, check_gradients

Function = Callable[..., Any]

x = np.array([[2.3, 0.4, 0.9], [0.7, 1.9, 0.2], [0.3, 0.6, 2.7]])
other = np.array([[1.2, 0.13, 0.5], [0.41, 2.2, 0.8], [0.14, 0.35, 1.7]])
numbers = np.array([[0, 2, 1], [1, 1, 0], [2, 0, 2]])

# What a required parameter of this name is given; floats become Tensors.
REQUIRED: dict[str, Any] = {
    **dict.fromkeys(("a", "x", "m", "v", "A", "array", "arr", "ary", "x1"), x),
    **dict.fromkeys(("b", "x2"), other),
    "arrays": [x, other],
    "axis": 1,
    "axis1": 0,
    "axis2": 1,
    "condition": x > 1,
    "destination": 1,
    "dtype": np.float64,
    "fill_value": np.array(0.7),
    "index": (slice(None), [0, 0, 2]),
    "indices": numbers,
    "indices_or_sections": 3,
    "pad_width": 1,
    "repeats": 2,
    "reps": (2, 1),
    "shape": (9,),
    "shift": 2,
    "source": 0,
    "tup": [x, other],
}
FUNCTION: dict[Function, dict[str, Any]] = {
    np.bincount: {"x": numbers[0]},
    np.broadcast_to: {"shape": (2, 3, 3)},
    np.linalg.cholesky: {"a": x @ x.T},
    np.linalg.outer: {"a": x[0], "b": other[0]},
    np.squeeze: {"a": x[:, None]},
    np.unique: {"ar": numbers},
    np.linalg.cond: {"x": numbers},
}
"""Where one function needs something else."""

# What an optional parameter of this name is given, each value in turn.
OPTIONAL: dict[str, list[Any]] = {
    "a_max": [1.0, np.array([1.0, 0.8, 2.0])],
    "a_min": [0.5, np.array([0.5, 0.1, 1.0])],
    "axes": [1, ((0,), (1,))],
    "axis": [0, 1, -1],
    "axis1": [1],
    "axis2": [0],
    "constant_values": [0.5, ((1, 2), (3, 4))],
    "copy": [True],
    "ddof": [1, 0.5],
    "dtype": [np.float32],
    "k": [1, -1],
    "keepdims": [True],
    "kind": ["stable", "quicksort"],
    "max": [1.0],
    "min": [0.5],
    "minlength": [7],
    "mode": ["edge", "reflect", "wrap"],
    "offset": [1, -1],
    "optimize": [True],
    "ord": [None],
    "order": ["C", "F"],
    "shape": [(2, 2)],
    "upper": [True],
    "weights": [np.array([0.5, 1.5, 2.5])],
}
OF_FUNCTION: dict[tuple[Function, str], list[Any]] = {
    (np.linalg.norm, "ord"): ["fro"],
    (np.squeeze, "axis"): [1],
    (np.transpose, "axes"): [(1, 0), (-1, 0)],
}
TOGETHER: dict[tuple[Function, str], dict[str, Any]] = {
    (np.clip, "a_min"): {"a_max": None},
    (np.clip, "a_max"): {"a_min": None},
    (np.pad, "constant_values"): {"mode": "constant"},
    (np.diagonal, "axis1"): {"axis2": 0},
    (np.diagonal, "axis2"): {"axis1": 1},
    (np.trace, "axis1"): {"axis2": 0},
    (np.trace, "axis2"): {"axis1": 1},
}
"""Parameters that make sense only with others."""


def keyword_of_numpy(function: Function, name: str) -> bool:
    """Whether the NumPy that is installed takes a keyword: clip's min and max came with 2.1."""
    return not (function is np.clip and name in ("min", "max") and np.lib.NumpyVersion(np.__version__) < "2.1.0")


KEYWORDS = [
    (function, name)
    for function, implementation in NUMPY.items()
    if not isinstance(function, np.ufunc)
    for name, parameter in inspect.signature(implementation).parameters.items()
    if parameter.default is not parameter.empty and parameter.kind is not parameter.POSITIONAL_ONLY
    if keyword_of_numpy(function, name)
]


def required(function: Function) -> dict[str, Any]:
    """The arguments without which a function cannot be called."""
    parameters = inspect.signature(NUMPY[function]).parameters.values()
    names = [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    given = {**REQUIRED, **FUNCTION.get(function, {})}
    if function is np.einsum:
        return {"subscripts": "ij,jk->ik", "a": x, "b": other}
    if function in (np.unique, np.linalg.cond):
        return FUNCTION[function]
    assert set(names) <= set(given), f"{function.__name__}: say in REQUIRED what to pass as {set(names) - set(given)}"
    return {name: given[name] for name in names}


def named(function: Function) -> str:
    module = "linalg." if "linalg" in str(getattr(function, "__module__", "")) else ""
    return module + function.__name__


def floats_in(value: Any) -> Iterator[Any]:
    """The arrays of floats among arguments."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from floats_in(part)


def replaced(value: Any, arrays: Iterator[Any]) -> Any:
    """The arguments with other arrays of floats."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return next(arrays)
    if isinstance(value, list | tuple):
        return type(value)(replaced(part, arrays) for part in value)
    return value


def call(function: Function, arguments: dict[str, Any], keywords: dict[str, Any]) -> Callable[..., Any]:
    """A function of the arrays of floats among some arguments; a list of results is joined."""

    def f(*arrays: Any) -> Any:
        given = iter(arrays)
        positional = [replaced(value, given) for value in arguments.values()]
        if function is np.linalg.cholesky:  # looks at one triangle of a symmetric matrix
            positional = [(a + a.mT) / 2 for a in positional]
        result = function(*positional, **{name: replaced(value, given) for name, value in keywords.items()})
        return result[1] if isinstance(result, tuple) else np.stack(result) if isinstance(result, list) else result

    return f


@pytest.mark.parametrize(("function", "keyword"), KEYWORDS, ids=[f"{named(f)}, {name}" for f, name in KEYWORDS])
def test_every_keyword_that_is_taken_is_known_to_the_gradient(function: Function, keyword: str) -> None:
    values = OF_FUNCTION.get((function, keyword)) or OPTIONAL[keyword]
    for value in values:
        arguments = required(function)
        keywords = {keyword: value, **TOGETHER.get((function, keyword), {})}
        f, arrays = call(function, arguments, keywords), list(floats_in([*arguments.values(), *keywords.values()]))
        expected, y = f(*arrays), f(*(Tensor(array, requires_grad=keyword != "dtype") for array in arrays))
        np.testing.assert_allclose(raw(y), expected, rtol=1e-14)
        assert raw(y).dtype == expected.dtype and raw(y).shape == expected.shape
        if isinstance(y, Tensor) and y.dtype == np.float64:
            report = check_gradients(f, *arrays)
            assert report.verdict in (Verdict.PASS, Verdict.KINK), f"{keyword}={value!r}\n{report}"


def test_no_function_passes_keywords_on_unseen() -> None:
    """A Primitive would hand them to its forward function, of whose keywords its rules may know nothing."""
    assert [f for f, does in NUMPY.items() if isinstance(does, Primitive) and not isinstance(f, np.ufunc)] == []


@pytest.mark.parametrize("function", [f for f in NUMPY if not isinstance(f, np.ufunc)], ids=named)
def test_what_is_not_known_is_refused(function: Function) -> None:
    arguments = [replaced(value, map(Tensor, [x, other])) for value in required(function).values()]
    if function is indexing:
        return
    with pytest.raises((UnsupportedError, TypeError), match=r"keyword|required"):  # NumPy may miss others first
        function(*arguments, keepdim=True)
    if function in (np.sum, np.mean, np.dot, np.cumsum, np.max):
        with pytest.raises(UnsupportedError, match="out"):
            function(*arguments, out=np.empty((3, 3)))


# Functions whose results carry no gradient

PLAIN_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "can_cast": (x, np.float64),
    "count_nonzero": (x,),
    "digitize": (x, np.sort(other[0])),
    "empty_like": (x,),
    "may_share_memory": (x, other),
    "shares_memory": (x, other),
    "isin": (x, other),
    "result_type": (x, other),
    "searchsorted": (np.sort(x[0]), other[0]),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"), (numbers, numbers)),
    "invert": (numbers,),
}


def plain_arguments(function: Any) -> tuple[Any, ...]:
    if function.__name__ in PLAIN_ARGUMENTS:
        return PLAIN_ARGUMENTS[function.__name__]
    if isinstance(function, np.ufunc):
        return (x, other)[: function.nin]
    parameters = inspect.signature(function).parameters.values()
    count = sum(
        1 for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    )
    return (x, other)[:count]


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")
@pytest.mark.parametrize("function", sorted(PLAIN, key=lambda f: f.__name__), ids=named)
def test_a_function_with_plain_results_is_piecewise_constant(function: Function) -> None:
    """Its gradient is zero wherever it has one: the results of operands close by are the same."""
    arguments, rng = plain_arguments(function), np.random.default_rng(0)
    exactly = function(*arguments)
    assert not contains_tensor(function(*(replaced(a, map(Tensor, floats_in(a))) for a in arguments)))
    for _ in range(10):
        nearby = [replaced(a, (v + 1e-9 * rng.standard_normal(v.shape) for v in floats_in(a))) for a in arguments]
        if function is np.empty_like:
            assert function(*nearby).shape == exactly.shape
        else:
            np.testing.assert_equal(function(*nearby), exactly)


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")
@pytest.mark.parametrize("function", sorted(PLAIN, key=lambda f: f.__name__), ids=named)
def test_no_keyword_makes_a_plain_result_depend_on_it(function: Function) -> None:
    if isinstance(function, np.ufunc):
        return  # takes no keywords with Tensors
    arguments = plain_arguments(function)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # of what is compiled, NumPy tells it from 2.4 on
        return
    optional = [p.name for p in parameters if p.default is not p.empty]
    for keyword in optional:
        for value in (0.3, np.array([0.3, 0.6, 0.9]), np.full((3, 3), 0.4)):
            try:
                exactly = function(*arguments, **{keyword: value})
            except Exception:  # no number is taken there
                continue
            np.testing.assert_equal(function(*arguments, **{keyword: value * (1 + 1e-9)}), exactly)


def contains_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, list | tuple) and any(map(contains_tensor, value)))
