"""Checks of arguments: counts, numbers, fractions, random generators. A message names the function and the argument."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

import numpy as np

__all__ = ["count", "fraction", "generator", "number"]


def count(value: Any, name: str, owner: str, least: int = 1) -> int:
    """Return an integer of at least `least`; raise TypeError or ValueError for anything else."""
    try:
        if isinstance(value, bool | np.bool):
            raise TypeError
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{owner}: {name} must be an integer, got {value!r}") from None
    if result < least:
        raise ValueError(f"{owner}: {name} must be at least {least}, got {result}")
    return result


def number(value: Any, name: str, owner: str, below: float = math.inf) -> float:
    """Return a number with 0 <= value < below as a float; raise TypeError or ValueError for anything else."""
    result = _real(value, name, owner)
    if not 0 <= result < below:  # NaN is not
        expected = "0 or a positive finite number" if below == math.inf else f"at least 0 and less than {below:g}"
        raise ValueError(f"{owner}: {name} must be {expected}, got {value}")
    return result


def fraction(value: Any, name: str, owner: str) -> float:
    """Return a number from 0 to 1 as a float; raise TypeError or ValueError for anything else."""
    result = _real(value, name, owner)
    if not 0 <= result <= 1:
        raise ValueError(f"{owner}: {name} must be from 0 to 1, got {value}")
    return result


def generator(value: Any, owner: str) -> np.random.Generator:
    """Return a random generator; raise TypeError for anything else."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(
            f"{owner}: rng must be a numpy.random.Generator, got {type(value).__name__}; "
            "make one with np.random.default_rng(seed)"
        )
    return value


def _real(value: Any, name: str, owner: str) -> float:
    if not isinstance(value, Real):
        raise TypeError(f"{owner}: {name} must be a number, got {type(value).__name__}")
    return float(value)
