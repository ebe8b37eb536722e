"""The progress bar of an epoch."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from tinygrad_kr.common.progress import visible_tqdm

__all__ = ["bar"]


def bar(steps: range, done: int, title: str) -> AbstractContextManager[Iterable[int]]:
    """Wrap what is left of the steps of an epoch in a bar, if it can be seen."""
    remaining, tqdm = steps[done:], visible_tqdm()
    if tqdm is None:
        return nullcontext(remaining)
    shown: AbstractContextManager[Iterable[int]] = tqdm(
        remaining, desc=title, initial=done, total=len(steps), unit="batch", leave=False
    )
    return shown
