"""Which NumPy function does what on Tensors: tables that the catalogue of primitives fills."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import Any

import numpy as np

from tinygrad_kr.engine import callers
from tinygrad_kr.errors import UnsupportedError

__all__ = ["INSTEAD", "NUMPY", "PLAIN", "REDUCTIONS", "implemented", "indexing", "unsupported", "without_gradient"]

NUMPY: dict[Callable[..., Any], Callable[..., Any]] = {}
"""What each NumPy function does on Tensors."""

PLAIN: set[Callable[..., Any]] = set()
"""NumPy functions whose result carries no gradient: on Tensors they give plain arrays."""

INSTEAD: dict[str, str] = {}
"""What to use in place of a NumPy function that Tensors do not support."""

REDUCTIONS: dict[Any, Any] = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min}
"""What ``ufunc.reduce`` is called elsewhere in NumPy."""


def indexing(x: Any, index: Any) -> Any:
    """Stand in the table of NumPy functions for ``x[index]``, which has no name of its own."""
    return x[index]


def implemented(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call what a NumPy function does on Tensors, or say that it does nothing, or that it takes other arguments."""
    implementation = NUMPY.get(function)
    if implementation is None:
        raise unsupported(function.__name__)
    try:
        return implementation(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:
            raise
        mismatch = str(error).partition("() ")[2]  # the call itself failed: these arguments are not taken
        raise UnsupportedError(
            f"numpy.{function.__name__}: on Tensors it {mismatch}.\n  {_cure(function, kwargs)}"
        ) from None


def _cure(function: Callable[..., Any], kwargs: dict[str, Any]) -> str:
    """Say what to do about arguments that are not taken on Tensors: NumPy may take them, or another spelling."""
    try:
        known = set(inspect.signature(function).parameters)
    except ValueError:  # compiled
        known = set(kwargs)
    for keyword in kwargs.keys() - known:
        similar = get_close_matches(keyword, known)
        return f"NumPy does not take {keyword}= either" + (f"; did you mean {similar[0]}=?" if similar else "")
    return "leave it out; on plain arrays (t.data) it works as usual"


def without_gradient(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call a NumPy function whose result carries no gradient, on arrays."""
    callers.raise_warnings()
    try:
        return function(*args, **kwargs)
    except RuntimeWarning:
        return callers.at_calling_line(partial(function, *args, **kwargs))


def unsupported(name: str) -> UnsupportedError:
    """Say which NumPy function does not work on Tensors, and what to do."""
    instead = INSTEAD.get(name, "compose it of supported functions (docs/functions.md), or define it as a Primitive")
    return UnsupportedError(
        f"numpy.{name} does not work on Tensors.\n  {instead}; for the values alone, without gradient, pass t.data"
    )
