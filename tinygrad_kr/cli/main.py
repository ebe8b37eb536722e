"""The entry point: which command, which exit status."""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import tinygrad_kr
from tinygrad_kr.cli.options import GradientError, Parser, UsageError, say
from tinygrad_kr.errors import DataError, MissingExtraError, NonFiniteError

__all__ = ["main"]

COMMANDS = {
    "train": "prove the gradient of a network, train it on MNIST, show the result",
    "predict": "say which digits images show, with a trained network",
    "plot": "draw the pictures of a run",
    "datasets": "list, fetch and verify the data",
    "gradcheck": "check a gradient against finite differences with error bars",
}
REPORTED = ("tqdm", "matplotlib", "pillow", "safetensors", "filelock", "pytest", "hypothesis")
"""Optional libraries whose versions ``--version --verbose`` prints."""


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
    argv = sys.argv[1:] if argv is None else argv
    try:
        options = make_parser([word for word in argv if word in COMMANDS][:1]).parse_args(argv)
        if options.version:
            _say_versions(options.verbose)
            return 0
        if options.command is None:
            raise UsageError("the following arguments are required: command")
        status: int = _module(options.command).run(options)
        return status
    except (UsageError, DataError, MissingExtraError, OSError, MemoryError) as error:
        return _fail(error, status=2)
    except (GradientError, NonFiniteError) as error:
        return _fail(error, status=1)
    except KeyboardInterrupt as interrupt:
        return _fail(f"interrupted; {interrupt if interrupt.args else 'nothing was written'}", status=130)


def make_parser(commands: Sequence[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of some commands; of the others it knows the names.

    Parameters
    ----------
    commands : sequence of str
        Those whose modules are imported.
    """
    parser = Parser(
        prog="tinygrad_kr",
        description="NumPy code you already wrote, differentiated exactly and proven right.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--verbose", action="store_true", help="with --version: also those of what it runs on")
    parser.add_argument("--print-completion", action=_Completion, metavar="SHELL", help="for bash, zsh or tcsh")
    parsers = parser.add_subparsers(dest="command", metavar="command")
    for name, help in COMMANDS.items():
        command = parsers.add_parser(name, help=help, allow_abbrev=False)
        if name in commands:
            _module(name).add_arguments(command)
    return parser


def _module(command: str) -> Any:
    return importlib.import_module(f"tinygrad_kr.cli.{command}")


class _Completion(argparse.Action):
    """Print a script with which a shell completes the arguments, and exit."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None) -> None:
        from tinygrad_kr.common.extras import require

        shtab = require("shtab", "completion", "shell completion")
        if values not in shtab.SUPPORTED_SHELLS:
            parser.error(f"argument {option}: expected {', '.join(shtab.SUPPORTED_SHELLS)}, got {values!r}")
        say(shtab.complete(make_parser(), values))
        parser.exit()


def _say_versions(verbose: bool) -> None:
    say(f"tinygrad_kr {tinygrad_kr.__version__}")
    if not verbose:
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import numpy as np

    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    say(f"python {platform.python_version()}, {platform.platform()}")
    say(f"numpy {np.__version__}, BLAS: {blas.get('name', 'unknown')} {blas.get('version', '')}".rstrip())
    for name in REPORTED:
        try:
            say(f"{name} {version(name)}")
        except PackageNotFoundError:
            say(f"{name} is not installed")


def _fail(reason: object, status: int) -> int:
    """Print an error in one line; return the exit status."""
    if isinstance(reason, OSError) and reason.strerror:
        reason = f"{reason.filename}: {reason.strerror}" if reason.filename else reason.strerror
    print("tinygrad_kr: error:", *str(reason).split(), file=sys.stderr)
    return status
