"""Writing a file whole or not at all."""

from __future__ import annotations

import functools
import glob
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

__all__ = ["whole"]


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a new file, which replaces what is at `path` in one step when the block ends without an error.

    It lies beside `path` under a random name and is created exclusively: no link is followed, no pipe and no other
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

    Whoever still writes holds the lock of his file, from before its first byte.
    """
    if fcntl is None:
        return
    for part in target.parent.glob(f".{glob.escape(target.name)}*.part"):
        with suppress(OSError):  # a link, or somebody else's, or in use
            descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if os.fstat(descriptor).st_size > 0:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    part.unlink()
            finally:
                os.close(descriptor)
