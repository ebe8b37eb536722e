"""debug(): slower, and tells more: where an operation was called, and which one first made a NaN or infinity."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_kr.engine.callers import calling_line
from tinygrad_kr.engine.graph import Mode, Node, Switch
from tinygrad_kr.errors import MutationError, NonFiniteError

__all__ = ["debug"]


class debug(Switch):
    """Check every operation until the ``with`` block ends.

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

    @classmethod
    def inside(cls, outer: Mode) -> Mode:
        """Return the mode inside a block: recording or not as outside."""
        return Mode(outer.recording, True, cls, outer)


class Origin:
    """Where an operation was called, and what the arrays it saved looked like."""

    __slots__ = ("fingerprints", "where")

    def __init__(self, node: Node) -> None:
        self.where: str = calling_line()
        self.fingerprints: list[int] = [fingerprint(array) for array in node.saved or ()]

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
        f"called at {calling_line()}{remedy(name)}"
    )


REMEDIES = {
    "log of 0 or of a negative number: F.log_softmax, F.logsumexp and F.softmax_cross_entropy need no log; or keep its "
    "operand positive with np.clip": ("log", "log2", "log10", "log1p"),
    "a denominator of 0: choose another one there, as in a / np.where(b == 0, 1, b)": (
        *("divide", "reciprocal", "remainder", "standardize"),
    ),
    "an exponential too large: F.sigmoid, F.softmax, F.softplus and F.logsumexp are exact for any finite operand": (
        *("exp", "exp2", "expm1", "sinh", "cosh"),
    ),
    "an operand outside the domain: keep it inside with np.clip": (
        *("sqrt", "power", "arcsin", "arccos", "arccosh", "arctanh"),
    ),
}


def remedy(name: str) -> str:
    """Return a line that says what helps against NaN and infinity from an operation, if it is known."""
    return next((f"\n  {advice}" for advice, names in REMEDIES.items() if name in names), "")


def finite(array: Any) -> bool:
    """Whether no element is NaN or infinite."""
    return np.asarray(array).dtype.kind not in "fc" or bool(np.all(np.isfinite(array)))


def fingerprint(array: Any) -> int:
    """Return a number that changes when the array does."""
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data) if isinstance(array, np.ndarray) else 0
