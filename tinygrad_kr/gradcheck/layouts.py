"""Copy an array into other memory layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LAYOUTS"]

Array = NDArray[Any]


def _reversed(x: Array) -> Array:
    return np.asarray(np.flip(np.flip(x).copy()))


def _strided(x: Array) -> Array:
    """Return a view of every second element along each axis of a larger array."""
    larger = np.full([2 * side for side in x.shape], np.nan if x.dtype.kind == "f" else 0, dtype=x.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in x.shape)] if x.shape else larger
    view[...] = x
    return view


def _read_only(x: Array) -> Array:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C-ordered": np.copy,
    "Fortran-ordered": lambda x: np.array(x, order="F"),
    "reversed": _reversed,
    "strided": _strided,
    "read-only": _read_only,
}
