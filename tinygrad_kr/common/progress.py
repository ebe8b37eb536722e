"""A progress bar, shown on a terminal and in a notebook."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Self, TypeVar

from tinygrad_kr.common.extras import require
from tinygrad_kr.errors import MissingExtraError

__all__ = ["Hidden", "bar", "visible_tqdm"]

T = TypeVar("T")


def bar(items: Iterable[T] | None = None, title: str = "", unit: str = "it", **options: Any) -> Any:
    """Wrap items in a progress bar of tqdm, which vanishes at its end; in a ``Hidden`` bar where none can be shown.

    Parameters
    ----------
    items : iterable, optional
        What the bar yields; without it, it is moved with its method ``update``.
    title, unit : str
        What stands before the bar, and what an item is called.
    **options
        More for tqdm: ``total``, ``initial``, ``unit_scale``.

    Returns
    -------
    tqdm or Hidden
        An iterable, and a context manager that removes the bar also after an error.

    Examples
    --------
    >>> with bar(range(3), "epoch 1") as steps:
    ...     sum(steps)
    3
    """
    tqdm = visible_tqdm()
    if tqdm is None:
        return Hidden(() if items is None else items)
    return tqdm(items, desc=title or None, unit=unit, leave=False, **options)


class Hidden(Generic[T]):
    """A bar that shows nothing."""

    def __init__(self, items: Iterable[T]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def update(self, n: float = 1) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def visible_tqdm() -> Any:
    """Return tqdm as a terminal or a notebook shows it; None where neither is there, or tqdm is not installed."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (on_terminal or _in_notebook()):
        return None
    try:
        with warnings.catch_warnings():  # without ipywidgets, which tqdm.auto misses, the bar is text
            warnings.simplefilter("ignore")
            return require("tqdm" if on_terminal else "tqdm.auto", "train", "a progress bar").tqdm
    except MissingExtraError:
        return None


def _in_notebook() -> bool:
    """Return whether a Jupyter kernel runs this: its shell has one, IPython's on a terminal has none."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return hasattr(get_shell(), "kernel")
