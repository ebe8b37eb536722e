"""The entry point: which command, which exit status."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

import tinygrad_kr
from tinygrad_kr.cli import datasets, gradcheck, plot, predict, train
from tinygrad_kr.cli.options import GradientError, Parser, UsageError
from tinygrad_kr.errors import DataError, MissingExtraError, NonFiniteError

__all__ = ["main"]

COMMANDS = {
    "train": train.run,
    "predict": predict.run,
    "plot": plot.run,
    "datasets": datasets.run,
    "gradcheck": gradcheck.run,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit status: 0 if all went well, 1 if the gradient is wrong or the training diverged, 2 if the
        options or the data cannot be used, 3 if a gradient check is inconclusive, 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an ASCII terminal can show every file name too
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parser().parse_args(argv)
        if options.command == "train" and (model := train.of_layers(options)):
            options = _parser(model).parse_args(argv)
        return COMMANDS[options.command](options)
    except (UsageError, DataError, MissingExtraError, OSError, MemoryError) as error:
        return _fail(error, status=2)
    except (GradientError, NonFiniteError) as error:
        return _fail(error, status=1)
    except KeyboardInterrupt as interrupt:
        return _fail(f"interrupted; {interrupt if interrupt.args else 'nothing was written'}", status=130)


def _fail(reason: object, status: int) -> int:
    """Say in one line what went wrong; return the exit status."""
    if isinstance(reason, OSError) and reason.strerror:
        reason = f"{reason.filename}: {reason.strerror}" if reason.filename else reason.strerror
    print("tinygrad_kr: error:", *str(reason).split(), file=sys.stderr)
    return status


def _parser(model: str = "two-layer") -> argparse.ArgumentParser:
    """Return the parser, with the defaults of a model."""
    parser = Parser(
        prog="tinygrad_kr",
        description="NumPy code you already wrote, differentiated exactly and proven right.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tinygrad_kr {tinygrad_kr.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    train.add_parser(commands, model)
    predict.add_parser(commands)
    plot.add_parser(commands)
    datasets.add_parser(commands)
    gradcheck.add_parser(commands)
    return parser
