"""Reports with their pictures embedded, and writing them to files whole or not at all."""

from __future__ import annotations

import base64
import errno
import html
import io
import os
import warnings
from pathlib import Path

from tinygrad_kr.common.files import whole
from tinygrad_kr.errors import MissingExtraError
from tinygrad_kr.gradcheck.report import Report

__all__ = ["check_writable", "drawn", "section", "write"]


def section(report: Report, *, picture: bool) -> str:
    """Return the section of a page on one check, with its picture if asked for and if matplotlib is installed."""
    return report.to_html() + (_inline_picture(report) if picture else "")


def _inline_picture(report: Report) -> str:
    try:
        content = drawn(report, "png")
    except MissingExtraError:
        return ""
    except Exception as error:  # of f, at the points drawn: the report must not be lost
        return f"<p>no picture: {html.escape(f'{type(error).__name__}: {error}')}</p>"
    source = base64.b64encode(content).decode("ascii")
    return f'<p><img alt="error against step" src="data:image/png;base64,{source}"></p>'


def drawn(report: Report, kind: str) -> bytes:
    """Return the picture of a report as the content of a file, such as png or svg."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of matplotlib, about axes without a number to show
        report.plot().savefig(content, format=kind)
    return content.getvalue()


def check_writable(path: Path) -> None:
    """Raise an OSError if a file cannot be written."""
    if path.is_dir():
        raise _error(errno.EISDIR, path)
    nearest = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not nearest.is_dir():
        raise _error(errno.ENOTDIR, path)
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise _error(errno.EACCES, path)


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, and create its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
