"""How far a long run is: a bar on a terminal, or plain lines on standard error."""

from __future__ import annotations

import sys
from typing import Any


class Progress:
    def __init__(self, total: int) -> None:
        self.done, self.total = 0, total
        self.bar: Any = None
        if sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ModuleNotFoundError:
                return
            self.bar = tqdm(total=total, leave=False)

    def advance(self, what: str) -> None:
        """Say what comes next."""
        self.done += 1
        if self.bar is None:
            print(f"[{self.done}/{self.total}] {what}", file=sys.stderr)
        else:
            self.bar.set_description_str(what, refresh=False)
            self.bar.update()

    def write(self, text: str) -> None:
        """Print a result."""
        if self.bar is None:
            print(text, flush=True)
        else:
            self.bar.write(text)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
