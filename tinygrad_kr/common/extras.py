"""Optional libraries: imported where they are used, with an error that names the extra to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from tinygrad_kr.errors import MissingExtraError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional library.

    Parameters
    ----------
    module : str
        Dotted name of the module, or of one of ours that imports it.
    extra : str
        The extra of this package that installs it.
    purpose : str
        What it is needed for, as it should read in the error.

    Raises
    ------
    MissingExtraError
        If the library is not installed.

    Examples
    --------
    >>> require("json", "train", "the history").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{purpose} needs {(error.name or module).partition('.')[0]}, which is not installed.\n"
            f"  install it with: pip install 'tinygrad_kr[{extra}]'"
        ) from error
