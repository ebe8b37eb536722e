"""Files that are written whole or not at all, and the lock of a folder."""

from __future__ import annotations

import functools
import glob
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tinygrad_kr.common.extras import require

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked", "whole"]

ABANDONED_SECONDS = 24 * 60 * 60
"""Without locks of POSIX, an unfinished file that nobody has written to for so long is taken for abandoned."""


@contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Hold the lock of a folder, which one block of one process can have at a time; it goes when the process ends.

    The file that is locked lies in the folder for temporary files, under a name that stands for the folder.

    Raises
    ------
    BlockingIOError
        If another one holds it.
    MissingExtraError
        If filelock is not installed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, locked(folder):
    ...     with locked(folder):  # doctest: +ELLIPSIS
    ...         pass
    Traceback (most recent call last):
    BlockingIOError: ...: in use by another process; wait until it has ended, or name another folder
    """
    filelock = require("filelock", "train", "locking a folder")
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
    lock = filelock.FileLock(Path(tempfile.gettempdir(), f"tinygrad_kr-{name}.lock"), timeout=0, mode=0o666)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BlockingIOError(
            f"{os.fspath(folder)}: in use by another process; wait until it has ended, or name another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a new file, which replaces what is at `path` in one step when the block ends without an error.

    It is created exclusively beside `path`, under a random name: no link is followed, and neither a pipe nor another
    process is waited for. It gets the mode of the file that it replaces, or that of any new file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with whole(Path(folder, "note")) as file:
    ...         _ = file.write(b"all of it")
    ...     Path(folder, "note").read_bytes()
    b'all of it'
    """
    target = Path(os.path.realpath(path))
    _remove_leftovers(target)
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    part = target.with_name(f".{target.name}.{os.urandom(8).hex()}.part")
    with open(part, "xb", opener=functools.partial(os.open, mode=0o666 if mode is None else mode)) as file:
        try:
            if fcntl is not None:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if mode is not None:  # also what the umask took away
                    os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:  # only what is closed can be renamed there
                file.close()
            os.replace(part, target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    if fcntl is not None:  # the new name must survive a power failure too
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _remove_leftovers(target: Path) -> None:
    """Remove what processes that were killed have left beside a target.

    A process that still writes holds the POSIX lock of its file, from before the first byte. Elsewhere only age tells.
    """
    for part in target.parent.glob(f".{glob.escape(target.name)}*.part"):
        with suppress(OSError):  # a link, or somebody else's, or in use
            if fcntl is None:
                if time.time() - part.lstat().st_mtime > ABANDONED_SECONDS:
                    part.unlink()
                continue
            descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if os.fstat(descriptor).st_size > 0:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    part.unlink()
            finally:
                os.close(descriptor)
