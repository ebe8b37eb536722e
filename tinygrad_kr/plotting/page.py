"""The page of a plot: a figure without a window, the language of its labels, a font with Hangul."""

from __future__ import annotations

import os
import re
import warnings
from functools import cache
from typing import Any

from tinygrad_kr.common.extras import require

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "LANGUAGES",
    "NO_HANGUL",
    "ORANGE",
    "RED",
    "Page",
    "Path",
    "font_with_hangul",
    "tidy",
]

BLUE, ORANGE, GREY, RED, GREEN = "#1f6fb4", "#d9730d", "#5c636a", "#c92a2a", "#2b8a3e"
LANGUAGES = "en", "ko"
HANGUL = re.compile("[가-힣]")
Path = str | os.PathLike[str] | None

NO_HANGUL = (
    "no installed font has Hangul, so the labels are in English; install one, such as NanumGothic "
    "(Debian and Ubuntu: apt install fonts-nanum)"
)
PREFERRED = (
    "Pretendard",
    "Noto Sans KR",
    "Noto Sans CJK KR",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "NanumGothic",
    "NanumBarunGothic",
    "AppleGothic",
    "UnDotum",
)
"""The usual Korean fonts of each system; any other that has Hangul comes after them."""


class Page:
    """A figure to draw on, in one language.

    Parameters
    ----------
    size : tuple of float
        Width and height in inches.
    lang : {"en", "ko"}
        The language of the labels. Where no installed font has Hangul, they are English after all, with a warning:
        Korean would be a row of empty boxes.

    Raises
    ------
    ValueError
        If the language is another.
    MissingExtraError
        If matplotlib is not installed.
    """

    font: str | None

    def __init__(self, size: tuple[float, float], lang: str) -> None:
        if lang not in LANGUAGES:
            raise ValueError(f"lang must be one of {', '.join(map(repr, LANGUAGES))}, got {lang!r}")
        self.figure: Any = require("tinygrad_kr.common.figure", "train", "drawing a picture").Figure(size)
        self.font = font_with_hangul() if lang == "ko" else None
        if lang == "ko" and self.font is None:
            warnings.warn(NO_HANGUL, stacklevel=3)

    def say(self, english: str, korean: str) -> str:
        """Return the text in the language of the page."""
        return korean if self.font else english

    def done(self, path: Path) -> Any:
        """Give the labels their font, write the figure if a path is given, and return it."""
        matplotlib = require("matplotlib", "train", "drawing a picture")
        texts = self.figure.findobj(require("matplotlib.text", "train", "drawing a picture").Text)
        # In English too, names that the user gave may be Korean.
        font = self.font or (font_with_hangul() if any(HANGUL.search(text.get_text()) for text in texts) else None)
        if font:
            for text in texts:
                text.set_family([*matplotlib.rcParams["font.family"], font])  # the second for what the first lacks
        if path is not None:
            self.figure.savefig(path, dpi=120)
        return self.figure


def font_with_hangul() -> str | None:
    """Return the family name of an installed font that has Hangul, or None.

    The user's own font comes first, if it has it; then the usual Korean fonts; then any that matplotlib knows; at last
    those that were installed after matplotlib made its list.
    """
    manager = require("matplotlib.font_manager", "train", "drawing a picture")
    own = manager.get_font(manager.findfont(manager.FontProperties())).family_name
    ranks = {name: rank for rank, name in enumerate((own, *PREFERRED))}
    known = sorted(
        manager.fontManager.ttflist,
        key=lambda font: (ranks.get(font.name, len(ranks)), font.style != "normal", font.weight != 400, font.name),
    )
    for font in known:
        if _has_hangul(font.fname):
            return str(font.name)
    for file in sorted(set(manager.findSystemFonts()) - {font.fname for font in known}):
        if _has_hangul(file):
            manager.fontManager.addfont(file)
            return str(manager.get_font(file).family_name)
    return None


@cache
def _has_hangul(file: str) -> bool:
    """Whether a font file draws three syllables, and each in its own way: a font of last resort has one box for all."""
    manager = require("matplotlib.font_manager", "train", "drawing a picture")
    try:
        font = manager.get_font(file)
    except (OSError, RuntimeError):  # gone, or not a font that can be read
        return False
    glyphs = {font.get_char_index(ord(letter)) for letter in "가힣손"}
    return len(glyphs - {0}) == 3


def tidy(axes: Any) -> None:
    """Take away the frame's upper and right side, and draw a light grid."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
