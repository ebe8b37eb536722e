"""Save and load models: the choice of the format, the metadata and the checksum."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.files import whole
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import DataError, DtypeError
from tinygrad_kr.parameters import mismatches, named_arrays, write_into
from tinygrad_kr.saving import formats
from tinygrad_kr.saving.formats import Arrays

__all__ = ["CHECKPOINT", "load", "load_weights", "require_fit", "save", "save_weights", "suffix"]

Path_ = str | os.PathLike[str]

VERSION = 1
"""The version of the note, which holds a checksum and the metadata."""
NOTE = "tinygrad_kr"
"""The name of the note in a file; there is one only, so that equal arrays give equal files."""
CHECKPOINT = "tinygrad_kr.checkpoint"
"""The key of the metadata by which a file says that it is a checkpoint of a Trainer."""
ENCODERS: dict[str, Callable[[Arrays, dict[str, str]], bytes]] = {
    ".safetensors": formats.to_safetensors,
    ".npz": formats.to_npz,
}
DECODERS: dict[str, Callable[[bytes], tuple[Arrays, dict[str, str]]]] = {
    ".safetensors": formats.from_safetensors,
    ".npz": formats.from_npz,
}


def save(path: Path_, model: Any, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a model's arrays to a file, replacing what was at `path` in one step.

    A reader finds either all of the old content or all of the new, even after the process was killed or the power
    failed. The study notes leave saving open, the book does it by pickle; ``docs/saving.md`` says why not.

    Parameters
    ----------
    path : str or path-like
        The file to write, which ends in ``.safetensors`` or ``.npz``; its folder must exist. The first needs the
        library of that name; the second needs nothing, and ``numpy.load`` reads it.
    model : model, or mapping of str to array or Tensor
        A model with ``named_parameters()`` (and ``named_buffers()``) or a dict ``params``; or the arrays themselves,
        of any shape and memory layout.
    metadata : mapping of str to str, number, bool, None, list or dict, optional
        Anything that JSON can hold, to be kept with them. Tuples become lists.

    Raises
    ------
    ValueError
        If `path` ends in something else, or a name cannot be used.
    TypeError
        If `model` has no arrays by name, or JSON cannot hold `metadata`.
    DtypeError
        If an array does not hold numbers.
    MissingExtraError
        If safetensors is asked for and not installed.
    OSError
        If the file cannot be written; what was at `path` is then still there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save(Path(folder, "net.npz"), {"W": np.eye(2), "b": np.zeros(2)}, {"accuracy": 0.97})
    ...     arrays, metadata = load(Path(folder, "net.npz"))
    >>> arrays["W"], metadata
    (array([[1., 0.],
           [0., 1.]]), {'accuracy': 0.97})
    """
    _save(path, model, metadata, suffix(path, "save"))


def load(path: Path_, model: Any = None) -> tuple[Arrays, dict[str, Any]]:
    """Read the arrays of a file, and write them into a model if one is given.

    No file runs code or takes memory beyond a small multiple of its size: an ``.npz`` file that decompresses to more
    than 64 MiB and more than 100 times its size is refused. Files of ``save`` have a checksum, which is compared.

    Parameters
    ----------
    path : str or path-like
        A file that ends in ``.safetensors`` or ``.npz``, from ``save`` or any other program.
    model : model, or mapping of str to Tensor or ndarray, optional
        The arrays are written into it, in place. Its names and shapes must be those of the file; floats are converted
        to its dtypes. Of a checkpoint of a Trainer, only the arrays of the model are written.

    Returns
    -------
    arrays : dict of str to ndarray
        The arrays by name, in their shapes and dtypes.
    metadata : dict of str
        The metadata that they were saved with.

    Raises
    ------
    DataError
        If the file is not what its name says, is damaged, or contains objects. If it does not fit the model: the
        message lists all that is missing, not expected, or of another shape, and the model is as it was.
    ValueError
        If `path` ends in something else.
    MissingExtraError
        If safetensors is asked for and not installed.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from tinygrad_kr.models import TwoLayerNet
    >>> net, copy = TwoLayerNet(4, 3, 2), TwoLayerNet(4, 3, 2)
    >>> with TemporaryDirectory() as folder:
    ...     save(Path(folder, "net.npz"), net)
    ...     arrays, metadata = load(Path(folder, "net.npz"), copy)
    >>> np.array_equal(copy.params["W1"].data, net.params["W1"].data)
    True
    """
    arrays, metadata = _load(path, suffix(path, "load"))
    if model is not None:
        own = arrays
        if CHECKPOINT in metadata:
            own = {name.removeprefix("model."): array for name, array in arrays.items() if name.startswith("model.")}
        places = named_arrays(model, "load")
        require_fit(places, own, f"{path} does not fit the model")
        write_into(places, own)
    return arrays, metadata


def save_weights(path: Path_, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays as a safetensors file, whatever the path ends in; otherwise like ``save``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save_weights(Path(folder, "weights"), {"W": np.eye(2), "b": np.zeros(2)})
    ...     load_weights(Path(folder, "weights"))["W"]
    array([[1., 0.],
           [0., 1.]])
    """
    _save(path, arrays, metadata, ".safetensors")


def load_weights(path: Path_) -> Arrays:
    """Read named arrays from a safetensors file, whatever the path ends in; otherwise like ``load``."""
    return _load(path, ".safetensors")[0]


def require_fit(own: Mapping[str, Any], given: Mapping[str, NDArray[Any]], refusal: str, exact: bool = False) -> None:
    """Raise DataError, which lists every mismatch, unless arrays can be written into those of the same names.

    Parameters
    ----------
    own : mapping of str to Tensor or ndarray
        The arrays to write into.
    given : mapping of str to ndarray
        The arrays to write.
    refusal : str
        How the message begins.
    exact : bool
        Whether dtypes must be equal; otherwise floats can be converted.
    """
    arrays = {name: np.asarray(raw(array)) for name, array in own.items()}
    if wrong := mismatches(arrays, given, "equiv" if exact else "same_kind"):
        raise DataError("\n  ".join([f"{refusal}:", *wrong, "make the model as the one that was saved"]))


def suffix(path: Path_, caller: str) -> str:
    """Return the suffix of a path, which names a format; raise ValueError for any other."""
    ending = Path(path).suffix
    if ending not in ENCODERS:
        raise ValueError(f"{caller}: the path must end in {' or '.join(ENCODERS)}, got {os.fspath(path)!r}")
    return ending


def _save(path: Path_, model: Any, metadata: Mapping[str, Any] | None, ending: str) -> None:
    arrays = {name: _plain(name, value) for name, value in named_arrays(model, "save").items()}
    try:
        plain = json.loads(json.dumps(dict(metadata or {})))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"save: metadata must be what JSON can hold: {error}") from error
    note = {"format": VERSION, "crc32": _checksum(arrays, plain), "metadata": plain}
    content = ENCODERS[ending](arrays, {NOTE: json.dumps(note)})
    with whole(path) as file:
        file.write(content)


def _plain(name: Any, value: Any) -> NDArray[Any]:
    """Return a little-endian array in C order; raise an error for a name or a dtype that no file can hold."""
    if not isinstance(name, str):
        raise TypeError(f"save: the name of an array must be a str, got {name!r}")
    if name in ("", "__metadata__", formats.NOTES):
        raise ValueError(f"save: an array cannot have the name {name!r}")
    array = np.asarray(raw(value))
    if array.dtype.kind not in "biufc":
        raise DtypeError(f"save: {name!r} must hold numbers, got dtype {array.dtype}")
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def _load(path: Path_, ending: str) -> tuple[Arrays, dict[str, Any]]:
    kind = ending.removeprefix(".")
    if not (Path(path).is_file() or not Path(path).exists()):
        raise DataError(f"{path} is not a {kind} file: it is no file at all")
    content = Path(path).read_bytes()
    try:
        arrays, notes = DECODERS[ending](content)
        return arrays, _metadata(arrays, notes)
    except (AttributeError, RecursionError, ValueError) as error:  # also of a note that is no dict
        raise DataError(f"{path} is not a {kind} file, or is damaged: {error}") from error


def _metadata(arrays: Arrays, notes: dict[str, str]) -> dict[str, Any]:
    """Return the metadata in the notes of a file, once the checksum there is that of the arrays."""
    if NOTE not in notes:
        return dict(notes)  # of another program
    note = json.loads(notes[NOTE])
    version, checksum, metadata = (note.get(key) for key in ("format", "crc32", "metadata"))
    if isinstance(version, int) and version > VERSION:
        raise DataError(f"it has format {version}, from a newer tinygrad_kr, and this one knows {VERSION}; upgrade it")
    if version != VERSION or not isinstance(metadata, dict) or checksum != _checksum(arrays, metadata):
        raise DataError("its checksum is wrong")
    return metadata


def _checksum(arrays: Arrays, metadata: Any) -> int:
    checksum = zlib.crc32(json.dumps(metadata).encode())
    for name, array in sorted(arrays.items()):
        head = f"{name} {array.dtype.name} {array.shape}".encode()
        little_endian = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        checksum = zlib.crc32(little_endian.reshape(-1).view(np.uint8).data, zlib.crc32(head, checksum))
    return checksum
