"""debug(): slower, and tells more: where an operation was called, and which one first made a NaN or infinity."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_kr.engine.graph import Node, Switch, mode
from tinygrad_kr.errors import MutationError, NonFiniteError

__all__ = ["debug"]


class debug(Switch):
    """Look closely at every operation until the ``with`` block ends.

    An error of a backward pass names the line where the operation was called; an array that was changed by a raw
    NumPy write after it was used raises MutationError; the first operation that makes a NaN or infinity of finite
    operands raises NonFiniteError; training through a step function warns.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Tensor, debug
    >>> x = Tensor([0.0], requires_grad=True)
    >>> with debug(), np.errstate(divide="ignore"):
    ...     np.log(x)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    tinygrad_kr.errors.NonFiniteError: log made ...
    """

    __slots__ = ()

    def __enter__(self) -> None:
        self.token = mode.set(mode.get()._replace(debugging=True))


class Origin:
    """Where an operation was called, and what the arrays it saved looked like."""

    __slots__ = ("fingerprints", "where")

    def __init__(self, node: Node) -> None:
        self.where = calling_line()
        self.fingerprints = [fingerprint(array) for array in node.saved or ()]

    def check(self, node: Node) -> None:
        """Raise if an array that the Node saved was changed."""
        for array, before in zip(node.saved or (), self.fingerprints, strict=True):
            if fingerprint(array) != before:
                raise MutationError(
                    f"{node.primitive.name}, called at {self.where}: an array {np.shape(array)} that it saved for the "
                    "backward pass was changed in place by NumPy.\n  write the change as a new array"
                )


def record_origin(node: Node) -> None:
    """Attach to a Node where it was called, and fingerprints of what it saved."""
    node.origin = Origin(node)


def require_finite(name: str, operands: Sequence[Any], output: Any) -> None:
    """Raise if an operation made a NaN or infinity of finite operands."""
    if finite(output) or not all(map(finite, operands)):
        return
    shapes = ", ".join(str(np.shape(operand)) for operand in operands)
    bad = np.argwhere(~np.isfinite(output))[0]
    raise NonFiniteError(
        f"{name} made {np.asarray(output)[tuple(bad)]} at index {tuple(map(int, bad))} of finite operands {shapes}, "
        f"called at {calling_line()}"
    )


def finite(array: Any) -> bool:
    """Whether no element is NaN or infinite."""
    return np.asarray(array).dtype.kind not in "fc" or bool(np.all(np.isfinite(array)))


def fingerprint(array: Any) -> int:
    """Return a number that changes when the array does."""
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if isinstance(array, np.ndarray) else 0


def calling_line() -> str:
    """Return the file and line of the user's code that is running."""
    frame: Any = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("tinygrad_kr", "numpy"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
