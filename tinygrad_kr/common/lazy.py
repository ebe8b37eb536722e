"""Public names whose modules are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def on_demand(
    package: str, names: Mapping[str, Sequence[str]], requires: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package whose public names live in its modules (PEP 562).

    Parameters
    ----------
    package : str
        Its ``__name__``.
    names : mapping of str to sequence of str
        The public names of each module, the module relative to the package.
    requires : sequence of str
        Modules to import before any of them.

    Examples
    --------
    >>> get, _ = on_demand("json", {"decoder": ["JSONDecodeError"]})
    >>> get("JSONDecodeError")
    <class 'json.decoder.JSONDecodeError'>
    """
    homes = {name: f"{package}.{module}" for module, theirs in names.items() for name in theirs}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        for module in requires:
            importlib.import_module(module)
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)  # from now on it is found without this function
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *homes})
