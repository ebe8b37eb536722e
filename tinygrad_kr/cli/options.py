"""Errors, types of options and printing, which the commands share."""

from __future__ import annotations

import argparse
import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from tinygrad_kr.errors import MissingExtraError

__all__ = [
    "GradientError",
    "Parser",
    "UsageError",
    "add_option",
    "count",
    "note",
    "noted",
    "rate",
    "say",
    "seed",
    "silent",
]


class UsageError(Exception):
    """Options that cannot be followed."""


class GradientError(Exception):
    """A gradient that finite differences contradict."""


SYNONYMS = {
    "--learning-rate": "--lr",
    "--step-size": "--lr",
    "--rate": "--lr",
    "--eta": "--lr",
    "--iterations": "--epochs",
    "--units": "--hidden",
    "--network": "--model",
    "--output": "--out",
    "--directory": "--out",
    "--dataset": "--data",
    "--continue": "--resume",
    "--silent": "--quiet",
    "--language": "--lang",
}
"""Options by the names that they have elsewhere."""


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError, and suggests the option closest to an unknown one."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments; raise UsageError, with a suggestion, for those that no option takes."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            meant = (self._meant(word.partition("=")[0].replace("_", "-")) for word in unknown)
            hint = ", ".join(dict.fromkeys(filter(None, meant)))
            self.error(f"unrecognized arguments: {' '.join(unknown)}" + (f"; did you mean {hint}?" if hint else ""))
        return known, unknown

    def _meant(self, word: str) -> str | None:
        from tinygrad_kr.parameters import nearest  # needs NumPy, which nothing else here does

        own = self._option_string_actions
        synonym = SYNONYMS.get(word)
        return synonym if synonym in own else nearest(word, own) if word.startswith("--") else None

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message)


def add_option(parser: argparse.ArgumentParser, name: str, help: str, **settings: Any) -> None:
    """Add an option whose help shows its default, if it has one."""
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


def say(*words: object) -> None:
    """Print a line at once."""
    try:
        print(*words, flush=True)
    except OSError as error:
        with suppress(OSError, ValueError):  # what is left in the buffer would fail once more at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UsageError(f"cannot print to the standard output: {error.strerror}") from error


def silent(*_: object) -> None:
    """Print nothing."""


@contextmanager
def noted() -> Iterator[None]:
    """Print warnings as notes until the ``with`` block ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: note(str(message))
        yield


def note(missing: MissingExtraError | str, instead: str = "") -> None:
    """Print a note of one line, for instance how to install what is missing."""
    print("tinygrad_kr: note:", " ".join(str(missing).split()) + instead, file=sys.stderr)
