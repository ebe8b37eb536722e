"""Named arrays that are to be written into others: what does not fit, all of it, in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["misfits", "nearest"]

Arrays = Mapping[str, NDArray[Any]]


def misfits(own: Arrays, given: Arrays, casting: Literal["equiv", "same_kind"]) -> list[str]:
    """Say what keeps arrays from being written into those of the same names.

    Parameters
    ----------
    own, given : mapping of str to ndarray
        Where to, and what.
    casting : str
        Which dtypes go together, as for ``numpy.can_cast``.

    Returns
    -------
    list of str
        A line for each name that is missing, not expected, or of another shape or dtype.
    """
    lines = [f"missing: {name} {array.shape}" for name, array in own.items() if name not in given]
    for name, array in given.items():
        if name not in own:
            meant = nearest(name, own.keys() - given.keys())
            lines.append(f"not expected: {name} {array.shape}" + (f"; meant {meant}?" if meant else ""))
        elif array.shape != own[name].shape:
            lines.append(f"{name}: expected shape {own[name].shape}, got {array.shape}")
        elif not np.can_cast(array.dtype, own[name].dtype, casting):
            lines.append(f"{name}: expected dtype {own[name].dtype}, got {array.dtype}")
        elif not own[name].flags.writeable:
            lines.append(f"{name}: is read-only memory in the model")
    return lines


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that was probably meant, if there is one."""
    close = difflib.get_close_matches(name, sorted(names), n=1)
    return close[0] if close else None
