"""A progress bar, where it can be seen."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from tinygrad_kr._extras import require
from tinygrad_kr.errors import MissingExtraError

__all__ = ["bar"]


def bar(steps: range, done: int, title: str) -> AbstractContextManager[Iterable[int]]:
    """Wrap what is left of the steps of an epoch in a bar, if tqdm is installed and a terminal shows it."""
    remaining = steps[done:]
    if not (sys.stderr and sys.stderr.isatty()):
        return nullcontext(remaining)
    try:
        tqdm = require("tqdm", "train", "a progress bar").tqdm
    except MissingExtraError:
        return nullcontext(remaining)
    shown: AbstractContextManager[Iterable[int]] = tqdm(
        remaining, desc=title, initial=done, total=len(steps), unit="batch", leave=False
    )
    return shown
