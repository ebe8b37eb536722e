"""Ctrl-C that takes effect between two steps."""

from __future__ import annotations

import signal
import threading
from typing import Any, Self

__all__ = ["Interrupts"]


class Interrupts:
    """Delay a first Ctrl-C until the ``with`` block looks at ``pending``; a second one interrupts at once.

    Whoever is in the block looks at ``pending`` between two steps. Nothing is changed where a handler of the program's
    own is installed, or outside the main thread, where Ctrl-C never arrives.
    """

    pending: bool

    def __enter__(self) -> Self:
        self.pending = False
        self._installed = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._installed:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: Any, *error: Any) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.pending and kind is None:  # it came after the last look
            raise KeyboardInterrupt

    def _note(self, number: int, frame: Any) -> None:
        if self.pending:
            raise KeyboardInterrupt
        self.pending = True
