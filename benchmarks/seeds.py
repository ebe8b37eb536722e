"""A seed for each program of a run, so that each can be had by itself."""

from __future__ import annotations

import numpy as np


def seeds_from(seed: int, count: int) -> list[int]:
    """Return a seed for each program: of (seed, index), so that a longer run begins with the shorter one."""
    return [int(np.random.SeedSequence((seed, i)).generate_state(1, np.uint64)[0]) for i in range(count)]
