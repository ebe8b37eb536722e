"""A progress bar, where it can be seen."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from tinygrad_kr.common.extras import require
from tinygrad_kr.errors import MissingExtraError

__all__ = ["visible_tqdm"]


def visible_tqdm() -> Any:
    """Return tqdm as a terminal or a notebook shows it; None where neither is there, or tqdm is not installed."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (on_terminal or _in_notebook()):
        return None
    try:
        with warnings.catch_warnings():  # that ipywidgets is missing: the bar is text then
            warnings.simplefilter("ignore")
            return require("tqdm" if on_terminal else "tqdm.auto", "train", "a progress bar").tqdm
    except MissingExtraError:
        return None


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this: its shell has one, IPython's on a terminal has none."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return hasattr(get_shell(), "kernel")
