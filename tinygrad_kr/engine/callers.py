"""The user's line: what warnings and ``debug()`` name instead of a line of this package."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np

__all__ = ["at_calling_line", "calling_line", "raise_warnings", "warn"]

MODULES = r"tinygrad_kr\.(engine\.(primitive|dispatch)|primitives\.)"
first_filter: Any = None


def raise_warnings() -> None:
    """Make floating-point warnings at lines of ours exceptions, so that they can be given at the user's line instead.

    NumPy warns at the Python line that called it. The filter stands before the user's, which decide what happens at the
    line of the user. It is put there again once others were added, which division and powers, NumPy's functions and the
    walk look for.
    """
    global first_filter
    if not warnings.filters or warnings.filters[0] is not first_filter:
        warnings.filterwarnings("error", category=RuntimeWarning, module=MODULES)
        first_filter = warnings.filters[0]


raise_warnings()


def frames() -> Iterator[FrameType]:
    """Yield the frames from the caller's up to the first that is the user's."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        yield frame
        if frame.f_globals.get("__name__", "").partition(".")[0] not in ("tinygrad_kr", "numpy"):
            return
        frame = frame.f_back


def calling_line() -> str:
    """Return the file and line of the user's code that is running."""
    *_, frame = frames()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def at_calling_line(compute: Callable[[], Any], note: str = "") -> Any:
    """Compute, and give floating-point warnings at the user's line.

    Parameters
    ----------
    compute : callable
        Without side effects: it may have been interrupted by the first warning.
    note : str
        Added to each warning.
    """
    log = Log()
    to_log: Any = {kind: "log" for kind, action in np.geterr().items() if action == "warn"}
    with np.errstate(call=log, **to_log):
        result = compute()
    for message in dict.fromkeys(log.messages):
        warn(message + note, RuntimeWarning)
    return result


class Log:
    """Collect the floating-point warnings that NumPy logs."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def write(self, message: str) -> None:
        """Keep a message, as a warning would word it."""
        self.messages.append(message.removeprefix("Warning: ").strip())


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line."""
    warnings.warn(message, category, stacklevel=1 + len(list(frames())))
