"""Whether two results agree."""

from __future__ import annotations

from typing import Any

import numpy as np

RTOL, ATOL = 1e-9, 1e-12  # of float64's 1e-16, times what nested derivatives of some tens of operations make of it


def differing(results: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """Say of each result that differs by more than rounding where it does."""
    if list(results) != list(reference):
        return [f"{list(results)} here, {list(reference)} there"]
    pairs = ((name, x, reference[name]) for name, x in results.items())
    return [f"{name}:\n{x!r} here\n{y!r} there" for name, x, y in pairs if not agree(x, y)]


def agree(x: Any, y: Any) -> bool:
    return x.shape == y.shape and x.dtype == y.dtype and bool(np.all(np.abs(x - y) <= RTOL * largest(y) + ATOL))


def largest(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0))
