"""``python -m tinygrad_kr``."""

from __future__ import annotations

import sys

from tinygrad_kr.cli import main

if __name__ == "__main__":
    sys.exit(main())
