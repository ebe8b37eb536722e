"""What the commands share: errors, kinds of options, words for the terminal."""

from __future__ import annotations

import argparse
import functools
import math
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from tinygrad_kr.errors import MissingExtraError

__all__ = ["GradientError", "Parser", "UsageError", "add_option", "count", "note", "rate", "say", "seed", "silent"]

say: Callable[..., None] = functools.partial(print, flush=True)


class UsageError(Exception):
    """Options that cannot be followed."""


class GradientError(Exception):
    """A gradient that finite differences contradict."""


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise UsageError(message)


def add_option(parser: argparse.ArgumentParser, name: str, help: str, **settings: Any) -> None:
    """Add an option that says its default, if it has one worth saying."""
    default = settings.get("default")
    untold = default is None or default is False or default is argparse.SUPPRESS
    parser.add_argument(name, help=help if untold else f"{help} (default: {default})", **settings)


def count(text: str) -> int:
    """Return a whole number from 1 on."""
    # The bound keeps products of two counts within an index.
    return _integer(text, least=1, most=2**31 - 1)


def seed(text: str) -> int:
    """Return a whole number from 0 on."""
    return _integer(text, least=0, most=2**128 - 1)


def _integer(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
    if number < least:
        raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
    if number > most:
        raise argparse.ArgumentTypeError(f"must be at most {most}, got {text}")
    return number


def rate(text: str) -> float:
    """Return a positive number."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text}")
    return number


def silent(*_: object) -> None:
    """Print nothing."""


def note(missing: MissingExtraError | str, instead: str = "") -> None:
    """Say in one line what is missing and how to get it."""
    print("tinygrad_kr: note:", " ".join(str(missing).split()) + instead, file=sys.stderr)
