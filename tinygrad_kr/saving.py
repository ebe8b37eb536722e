"""Weights on disk: named arrays in a file that holds no code, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr._extras import require
from tinygrad_kr.errors import DataError

__all__ = ["load_weights", "save_weights"]


def save_weights(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named arrays as a safetensors file, replacing what was at `path` in one step.

    Document 003 leaves saving a model open; this is the part of it that every model shares.

    Parameters
    ----------
    path : str or path-like
        The file to write; its folder must exist.
    arrays : mapping of str to ndarray
        The weights by name, of any shape and memory layout.
    metadata : mapping of str to str, optional
        What to note beside them.

    Raises
    ------
    MissingExtraError
        If safetensors is not installed.
    OSError
        If the file cannot be written; what was at `path` is then still there.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(Path(folder, "net.safetensors"), {"W": np.eye(2), "b": np.zeros(2)})
    ...     load_weights(Path(folder, "net.safetensors"))["W"]
    array([[1., 0.],
           [0., 1.]])
    """
    safetensors = require("safetensors.numpy", "train", "saving weights")
    in_c_order = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    content: bytes = safetensors.save(in_c_order, metadata=None if metadata is None else dict(metadata))
    target = Path(path)
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
        complete = Path(folder, target.name)
        complete.write_bytes(content)
        os.replace(complete, target)


def load_weights(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read named arrays from a safetensors file.

    Parameters
    ----------
    path : str or path-like
        The file, as ``save_weights`` or any other safetensors writer made it.

    Returns
    -------
    dict of str to ndarray
        The arrays by name, in their shapes and dtypes.

    Raises
    ------
    MissingExtraError
        If safetensors is not installed.
    OSError
        If the file cannot be read.
    DataError
        If it is not a safetensors file, or a damaged one.
    """
    safetensors = require("safetensors", "train", "loading weights")
    reader = require("safetensors.numpy", "train", "loading weights")
    content = Path(path).read_bytes()
    try:
        arrays: dict[str, NDArray[Any]] = reader.load(content)
    except (safetensors.SafetensorError, KeyError) as error:
        raise DataError(f"{path} is not a safetensors file: {error}") from error
    return arrays
