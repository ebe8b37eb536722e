"""The progress of a long run: a bar on a terminal, or plain lines on standard error."""

from __future__ import annotations

import sys

from tinygrad_kr.common.progress import Hidden, bar


class Progress:
    def __init__(self, total: int) -> None:
        self.done, self.total = 0, total
        self.bar = bar(total=total)

    def advance(self, what: str) -> None:
        """Show what comes next."""
        self.done += 1
        if isinstance(self.bar, Hidden):
            print(f"[{self.done}/{self.total}] {what}", file=sys.stderr)
        else:
            self.bar.set_description_str(what, refresh=False)
            self.bar.update()

    def write(self, text: str) -> None:
        """Print a result."""
        if isinstance(self.bar, Hidden):
            print(text, flush=True)
        else:
            self.bar.write(text)

    def close(self) -> None:
        self.bar.close()
