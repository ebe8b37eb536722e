"""Whether two results agree, and if not, whether rounding explains it."""

from __future__ import annotations

import numpy as np

from benchmarks.fuzz.functions.programs import Array, Program, Results, largest
from benchmarks.fuzz.functions.there import noise, run_there

RTOL, ATOL = 1e-9, 1e-12  # 1e-16 for rounding, times what thirty operations of conditioning 10 to 1000 can make of it
EXPLAINED = 10  # a difference is explained by rounding if noise moves the reference by a tenth of it


def differing(results: Results, reference: Results) -> list[str]:
    """Return the names of what differs by more than rounding, in the order in which it was computed."""
    return [name for name, value in reference.items() if not agree(results[name], value)]


def agree(value: Array, reference: Array) -> bool:
    if value.shape != reference.shape or value.dtype != reference.dtype:
        return False
    return bool(np.all(np.abs(value - reference) <= RTOL * largest(reference) + ATOL))


def is_rounding(program: Program, second: bool, results: Results, reference: Results, names: list[str]) -> bool:
    """Whether noise in PyTorch's own operations, of about a rounding each, explains all differences."""
    spread = dict.fromkeys(names, 0.0)
    for seed in range(5):
        noisy = run_there(program, second, noise(seed))
        for name in names:
            spread[name] = max(spread[name], largest(noisy[name] - reference[name]))
    return all(
        results[name].shape == reference[name].shape
        and largest(results[name] - reference[name]) <= EXPLAINED * spread[name]
        for name in names
    )


def difference(name: str, value: Array, reference: Array) -> str:
    """Say where two arrays differ most."""
    if value.shape != reference.shape or value.dtype != reference.dtype:
        return f"{name}: {value.shape} {value.dtype} here, {reference.shape} {reference.dtype} in PyTorch"
    distances = np.nan_to_num(np.abs(value - reference), nan=np.inf)
    at = np.unravel_index(np.argmax(distances), value.shape)
    return f"{name}{list(map(int, at)) or ''}: {value[at]!r} here, {reference[at]!r} in PyTorch"
