"""A seed for each program of a run, so that each can be had by itself; and the run, in one process or several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")


def seeds_from(seed: int, count: int) -> list[int]:
    """Return a seed for each program: of (seed, index), so that a longer run begins with the shorter one."""
    return [int(np.random.SeedSequence((seed, i)).generate_state(1, np.uint64)[0]) for i in range(count)]


def in_chunks(seeds: list[int], most: int) -> list[list[int]]:
    """Divide the seeds into some twenty chunks, or more if they would be longer than ``most``."""
    size = max(1, min(most, len(seeds) // 20))
    return [seeds[i : i + size] for i in range(0, len(seeds), size)]


def checked(check: Callable[[list[int]], Result], chunks: list[list[int]], jobs: int) -> Iterator[Result]:
    """Check chunk by chunk, in processes of their own if there are several jobs."""
    if jobs == 1:
        yield from map(check, chunks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(check, chunks)
