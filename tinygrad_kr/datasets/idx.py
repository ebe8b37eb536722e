"""The IDX format of the MNIST files: a magic number, the dimensions, then the values in C order."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.errors import DataError

UNSIGNED_BYTES = b"\x00\x00\x08"  # the magic number; its fourth byte counts the dimensions
GZIP_MAGIC = b"\x1f\x8b"
MAX_DIMENSIONS = 4
MAX_BYTES = 2**30  # where no shape is expected: more than any common IDX file has, against gzip bombs


def read_idx(
    path: str | os.PathLike[str], *, shape: tuple[int, ...] | None = None, sha256: str | None = None
) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzip-compressed or not.

    Compression is recognised by the content, not by the name. No more is decompressed than the header
    gives as the size, and that is at most the size of `shape`, or 1 GiB without it.

    Parameters
    ----------
    path : str or path-like
        The file.
    shape : tuple of int, optional
        The only shape to accept.
    sha256 : str, optional
        The only SHA-256 to accept, in lower-case hexadecimal, of the whole uncompressed file.

    Returns
    -------
    ndarray of uint8
        The values, with 1 to 4 dimensions, in memory of their own.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If the file is not IDX, is truncated or too long, or is not of the given `shape` or `sha256`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    with _uncompressed(path) as stream:
        header, found = _read_header(stream, path)
        _check_shape(found, shape, path)
        size = math.prod(found)
        values = stream.read(size + 1)  # one byte more shows whether the file ends where it should
    if len(values) != size:
        excess = "more" if len(values) > size else f"only {len(values)}"
        raise DataError(f"{path}: expected {size} values for the shape {found} of its header, found {excess}")
    if sha256 is not None:
        _check_sha256(header, values, sha256, path)
    return np.frombuffer(values, np.uint8).reshape(found).copy()


@contextmanager
def _uncompressed(path: Path) -> Iterator[BinaryIO]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an IDX file, found no such file")
    with path.open("rb") as file:
        compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        if not compressed:
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(BinaryIO, stream)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path}: expected a whole gzip file, found a damaged one") from error


def _read_header(stream: BinaryIO, path: Path) -> tuple[bytes, tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:3] != UNSIGNED_BYTES or not 1 <= magic[3] <= MAX_DIMENSIONS:
        raise DataError(
            f"{path}: expected IDX of unsigned bytes, beginning with 00000801 to 0000080{MAX_DIMENSIONS}, "
            f"found {magic.hex() or 'nothing'}"
        )
    dimensions = stream.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise DataError(f"{path}: expected {magic[3]} dimensions in the header, found the file's end")
    return magic + dimensions, tuple(np.frombuffer(dimensions, ">u4").tolist())


def _check_shape(found: tuple[int, ...], expected: tuple[int, ...] | None, path: Path) -> None:
    if expected is not None and found != expected:
        raise DataError(f"{path}: expected the shape {expected}, found {found}")
    # Without the zeros: NumPy multiplies the other dimensions even if one is zero.
    if expected is None and math.prod(filter(None, found)) > MAX_BYTES:
        raise DataError(f"{path}: expected at most {MAX_BYTES} values, found the shape {found}")


def _check_sha256(header: bytes, values: bytes, expected: str, path: Path) -> None:
    digest = hashlib.sha256(header)
    digest.update(values)
    found = digest.hexdigest()
    if found != expected:
        raise DataError(f"{path}: expected SHA-256 {expected[:16]}..., found {found[:16]}...; replace the altered file")
