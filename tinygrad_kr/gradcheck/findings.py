"""The verdicts, and the results that carry them: of one element or direction, and of one exact property."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["ExactProperty", "Finding", "Verdict", "name_of"]


class Verdict(StrEnum):
    """The outcome for a gradient or a part of it; ``severity`` orders them.

    Attributes
    ----------
    PASS
        Within the error bar of the true value, and the bar is small.
    KINK
        The derivative jumps here, and the gradient lies between the slopes on the two sides: a subgradient.
    INCONCLUSIVE
        Finite differences cannot tell; the reason says why.
    FAIL
        Outside the error bar, at every step that could see it; or an exact property is broken.
    """

    PASS = "PASS"
    KINK = "KINK"
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"

    @property
    def severity(self) -> int:
        """0 for PASS up to 3 for FAIL."""
        return list(Verdict).index(self)


@dataclass
class Finding:
    """The outcome for one element of a gradient, or for its slope along one direction.

    Attributes
    ----------
    input : str
        The input, as in ``x`` or ``params['W1']``.
    index : tuple of int or None
        The element; None for a direction.
    verdict : Verdict
    claimed : float
        The gradient that was given.
    estimate, bar : float
        The true value, within plus or minus the bar.
    blur : float
        The part of ``claimed`` that its own rounding may explain.
    step : float
        The distance between the points that gave the estimate.
    reason : str
        Why the verdict is not a plain PASS; empty for one.
    at : float
        The value of the element of the input; NaN for a direction.
    negligible : bool
        Whether the element is a PASS because its bar is negligible beside the other elements.
    typical, norm : float
        Of a direction: the median of what the elements contribute to ``claimed``, and the Euclidean norm of the
        gradient in units of the elements' sizes.
    gaussian : bool
        Whether the direction is Gaussian; otherwise its elements have signs and magnitudes of about the same size.
    kink : bool
        Whether ``estimate`` and ``bar`` are the middle and the half width of an interval of slopes, at a kink.
    refuted : bool
        Whether an estimate contradicts ``claimed``, confirmed by others (FAIL) or not (INCONCLUSIVE).
    """

    input: str
    index: tuple[int, ...] | None
    verdict: Verdict
    claimed: float
    estimate: float
    bar: float
    blur: float = 0.0
    step: float = math.nan
    reason: str = ""
    at: float = math.nan
    negligible: bool = False
    typical: float = math.nan
    norm: float = math.nan
    gaussian: bool = False
    kink: bool = False
    refuted: bool = False

    @property
    def error(self) -> float:
        """``|claimed - estimate|``."""
        return abs(self.claimed - self.estimate)

    @property
    def bars(self) -> float:
        """How many error bars the claimed value is away from the estimate."""
        if self.error == 0:
            return 0.0
        unit = self.bar + self.blur
        return self.error / unit if unit > 0 else math.inf

    @property
    def threshold(self) -> float:
        """The error of ``claimed`` that would have been seen for certain."""
        return 3 * self.bar + self.blur

    @property
    def detectable(self) -> float:
        """The relative error of the element, or of a typical element of a direction, that would have been seen."""
        unit = abs(self.estimate) if self.index is not None else self.typical
        return self.threshold / unit if unit > 0 and not self.kink else math.nan

    @property
    def scale(self) -> float:
        """The magnitude that this derivative may have, as far as is known."""
        magnitudes = [abs(self.estimate), abs(self.claimed)]
        if self.verdict is Verdict.INCONCLUSIVE:
            magnitudes.append(self.bar)
        return max((m for m in magnitudes if math.isfinite(m)), default=math.inf)

    @property
    def label(self) -> str:
        """The element as it would be written, such as ``x[1, 2]``, or ``along x`` for a direction."""
        if self.index is None:
            return f"along {self.input}"
        return f"{self.input}[{', '.join(map(str, self.index))}]" if self.index else self.input


@dataclass(frozen=True)
class ExactProperty:
    """An exact property of a gradient function, which needs no finite differences.

    Attributes
    ----------
    name : str
        Such as ``linearity`` or ``stale cache``.
    verdict : Verdict
        PASS, FAIL, or INCONCLUSIVE where it could not be looked at.
    message : str
        What was seen; empty for a PASS.
    """

    name: str
    verdict: Verdict
    message: str = ""


def name_of(f: Callable[..., Any]) -> str:
    """Return the name of a function in messages."""
    return str(getattr(f, "__qualname__", None) or getattr(f, "__name__", None) or type(f).__name__)
