"""The command ``datasets``: which there are, fetching MNIST, and verifying its files."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tinygrad_kr.cli.options import say
from tinygrad_kr.datasets import mnist
from tinygrad_kr.errors import DataError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to a parser."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|fetch|verify")
    actions.add_parser("list", help="say which there are, and where", allow_abbrev=False)
    folder = "the folder (default: that of TINYGRAD_KR_DATA, or the user's cache)"
    for name, help in (
        ("fetch", "download what is missing of MNIST (11 MB), and verify it"),
        ("verify", "compare the files of MNIST and of the sample with their SHA-256"),
    ):
        action = actions.add_parser(name, help=help, allow_abbrev=False)
        action.add_argument("folder", help=folder, type=Path, nargs="?")


def run(options: argparse.Namespace) -> int:
    """Do what was asked for; return the exit status 0."""
    folder = _default() if getattr(options, "folder", None) is None else options.folder
    if options.action == "list":
        here = "complete" if folder.is_dir() and not mnist.missing_files(folder) else "not fetched"
        say("name          training    test  where")
        say(f"MNIST sample     6,000   1,000  {mnist.SAMPLE_FOLDER}")
        say(f"MNIST           60,000  10,000  {folder} ({here})")
        return 0
    if options.action == "fetch":
        mnist.download(folder, mnist.missing_files(folder))
    elif options.folder is None:
        _verify(mnist.SAMPLE_FOLDER, mnist.SAMPLE)
    _verify(folder, mnist.MNIST)
    return 0


def _verify(folder: Path, files: tuple[mnist.IdxFile, ...]) -> None:
    """Print the state of each file; raise if one is not what it should be."""
    wrong = []
    for file in files:
        path, state = file.path(folder), "right"
        try:
            file.read(path)
        except FileNotFoundError:
            state = "missing"
        except DataError:
            state = "wrong"
        say(f"{state:7}  {path}")
        if state != "right":
            wrong.append(f"{file.name} is {state}")
    if wrong:
        raise DataError(f"{folder}: {', '.join(wrong)}; delete what is wrong, then datasets fetch")


def _default() -> Path:
    named = os.environ.get(mnist.DATA_VARIABLE)
    return Path(named).expanduser() if named else mnist.cache_folder()
