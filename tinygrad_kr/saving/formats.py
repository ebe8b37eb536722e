"""The two file formats of weights, as bytes: safetensors, read and written by its library, and npz without pickle.

The bytes are not trusted: a size in them is compared with the bytes that are there before anything is allocated, and
nothing in them is evaluated.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.extras import require
from tinygrad_kr.errors import DataError, DtypeError

__all__ = ["NOTES", "Arrays", "from_npz", "from_safetensors", "to_npz", "to_safetensors"]

Arrays = dict[str, NDArray[Any]]
Notes = dict[str, str]

NOTES = "__tinygrad_kr__"
"""Under this name an npz file keeps its notes, as the bytes of JSON."""
UNFOLDED, RATIO = 64 * 2**20, 100
"""A compressed npz file may decompress to this many bytes, or to this many times its size, whichever is more."""
NAME_BYTES = 2**16 - 1
"""The longest name of a file in an archive, which ends in .npy."""
HEADER_BYTES = 10_000
"""The longest header of an array in an npz file, as in NumPy."""
SAFETENSORS_DTYPES = frozenset(["f8", "f4", "f2", "i8", "u8", "i4", "u4", "i2", "u2", "i1", "u1", "b1", "c8"])
HEADER = re.compile(
    r"""\{\s*['"]descr['"]:\s*['"]([<>|=]?[a-zA-Z]\d{0,3})['"],
    \s*['"]fortran_order['"]:\s*(True|False),
    \s*['"]shape['"]:\s*\(([\d,\s]*)\),?\s*\}\s*""",
    re.VERBOSE,
)


def to_safetensors(arrays: Mapping[str, NDArray[Any]], notes: Notes) -> bytes:
    """Return the arrays, in C order and little-endian, and the notes as a safetensors file."""
    safetensors = require("safetensors", "train", "saving weights as safetensors")
    library = require("safetensors.numpy", "train", "saving weights as safetensors")
    for name, array in arrays.items():
        if array.dtype.str[1:] not in SAFETENSORS_DTYPES:
            raise DtypeError(
                f"save: a safetensors file cannot hold {name!r} of dtype {array.dtype}.\n"
                "  save to a path that ends in .npz, or convert it with astype"
            )
    try:
        content: bytes = library.save(dict(arrays), metadata=notes)
    except safetensors.SafetensorError as error:  # its older versions have no complex64
        raise DataError(
            f"save: safetensors {safetensors.__version__} cannot write these arrays: {error}\n"
            "  save to a path that ends in .npz, or upgrade safetensors"
        ) from error
    return content


def from_safetensors(content: bytes) -> tuple[Arrays, Notes]:
    """Return the arrays and the notes of a safetensors file."""
    safetensors = require("safetensors", "train", "loading weights from safetensors")
    library = require("safetensors.numpy", "train", "loading weights from safetensors")
    try:
        arrays = library.load(content)
    except safetensors.SafetensorError as error:
        raise DataError(str(error)) from error
    except KeyError as error:
        raise DataError(f"NumPy has no dtype {error}") from error
    # Of two arrays with one name the library returns the last, and it does not return the notes.
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length].decode(), object_pairs_hook=_unique)
    return {name: _native(array) for name, array in arrays.items()}, dict(header.get("__metadata__") or {})


def to_npz(arrays: Mapping[str, NDArray[Any]], notes: Notes) -> bytes:
    """Return the arrays and the notes as an uncompressed npz file, which ``numpy.load`` reads too."""
    in_bytes = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {**arrays, NOTES: in_bytes}.items():
            if re.search(r"[/\\:\x00-\x1f]", name):
                raise ValueError(
                    f"save: {name!r} cannot be a name in an npz file, whose names are file names; use dots, as in 'a.b'"
                )
            member_name = f"{name}.npy"
            if (length := len(member_name.encode())) > NAME_BYTES:
                raise ValueError(
                    f"save: the name {name[:20]!r}... is too long for an npz file: {length:,} bytes\n"
                    f"  it has room for {NAME_BYTES:,}; save to a path that ends in .safetensors, or use shorter names"
                )
            with archive.open(member_name, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def from_npz(content: bytes) -> tuple[Arrays, Notes]:
    """Return the arrays and the notes of an npz file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            end = content.rfind(b"PK\x05\x06")  # zipfile found it; it says how many members there are
            if int.from_bytes(content[end + 10 : end + 12], "little") not in (len(members), 0xFFFF):
                raise DataError("its directory is cut short")
            _check_members(members, len(content))
            arrays = {member.filename.removesuffix(".npy"): _read_array(archive, member) for member in members}
    except (DataError, MemoryError):
        raise
    except Exception as error:  # zipfile raises many kinds for bytes that are no archive
        raise DataError(f"{type(error).__name__}: {error}") from error
    if NOTES not in arrays:
        return arrays, {}
    notes = json.loads(arrays.pop(NOTES).tobytes().decode(), object_pairs_hook=_unique)
    if not isinstance(notes, dict) or not all(isinstance(value, str) for value in notes.values()):
        raise DataError("its notes are not strings by name")
    return arrays, notes


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raise DataError for an archive that is no npz file, or that would decompress to more than the limit."""
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise DataError(f"two arrays have the name {max(names, key=names.count)!r}")
    for member in members:
        if not member.filename.endswith(".npy"):
            raise DataError(f"it contains {member.filename!r}, which is no array")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise DataError(f"{member.filename!r} is encrypted, or compressed in an unusual way")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise DataError(f"{member.filename!r} has two sizes")
    if sum(member.compress_size for member in members) > size:
        raise DataError("its members are together larger than the file")
    if (unfolded := sum(member.file_size for member in members)) > max(UNFOLDED, RATIO * size):
        raise DataError(f"its {size:,} bytes would unfold to {unfolded:,}; if you trust it, numpy.load reads it")


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        magic = file.read(8)
        if magic[:6] != b"\x93NUMPY" or magic[6:] not in (b"\x01\x00", b"\x02\x00"):
            raise DataError(f"{member.filename!r} is no array, or one in a format that holds Python objects")
        digits = 2 if magic[6] == 1 else 4
        length = int.from_bytes(file.read(digits), "little")
        header = file.read(min(length, HEADER_BYTES)).decode("latin-1")
        dtype, shape, order = _parse(header, member.filename)
        room = member.file_size - 8 - digits - length
        if (needed := math.prod(shape) * dtype.itemsize) != room:
            raise DataError(f"{member.filename!r} should hold {needed:,} bytes for shape {shape}, but holds {room:,}")
        data = file.read()  # to the end: only there is the checksum compared
    return _native(np.ndarray(shape, dtype, buffer=data, order="F" if order == "True" else "C"))


def _parse(header: str, name: str) -> tuple[np.dtype[Any], tuple[int, ...], str]:
    match = HEADER.fullmatch(header)
    if match is None:
        raise DataError(f"the header of {name!r} is not that of a plain array")
    descr, order, sizes = match.groups()
    dtype = np.dtype(descr) if descr.lstrip("<>|=")[0] in "biufc" else None
    if dtype is None or dtype.kind not in "biufc":
        raise DataError(f"{name!r} has dtype {descr!r}, but only numbers are loaded, no Python objects or text")
    return dtype, tuple(int(size) for size in sizes.split(",") if size.strip()), order


def _native(array: NDArray[Any]) -> NDArray[Any]:
    """Return a writable copy in C order and in the machine's byte order."""
    if array.dtype.kind == "b":
        return np.array(array.view(np.uint8) != 0)
    return np.array(array, array.dtype.newbyteorder("="), order="C")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DataError("two entries have one name")
    return found
