"""Tracebacks without the frames of this package."""

from __future__ import annotations

import os
from itertools import pairwise

from tinygrad_kr import errors

__all__ = ["drop_own_frames"]

PACKAGE = os.path.dirname(errors.__file__) + os.sep


def drop_own_frames(error: BaseException) -> None:
    """Remove the frames of this package from the traceback of an error of one of its own classes.

    An error of any other class may be a fault of this package, and keeps every frame.
    """
    if type(error).__module__ != errors.__name__:
        return
    frames, place = [], error.__traceback__
    while place is not None:
        if not place.tb_frame.f_code.co_filename.startswith(PACKAGE):
            frames.append(place)
        place = place.tb_next
    for place, following in pairwise([*frames, None]):
        place.tb_next = following  # type: ignore[union-attr]
    error.__traceback__ = frames[0] if frames else None
