"""Record the gradient checks of one test session, report them, and run the negative control."""

from __future__ import annotations

import html
import math
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_kr.gradcheck.check import check_gradients
from tinygrad_kr.gradcheck.findings import Verdict, name_of
from tinygrad_kr.gradcheck.html import COLORS, page
from tinygrad_kr.gradcheck.pages import section, write
from tinygrad_kr.gradcheck.problem import Problem
from tinygrad_kr.gradcheck.report import Report

__all__ = ["SMALL", "Record", "Recorder", "negative_control"]

SMALL = 30
"""Up to this many elements, a fast session looks at each: directions would hardly be cheaper."""
CONTROL_POINTS, DISTURBED, TIMES = (-1.25, -0.5, 0.3, 0.75, 1.5), 2, 10
"""The negative control: inputs, the wrong element, and its error in minimum detectable errors."""
COLUMNS = "check", "test", "function", "verdict", "coverage", "minimum detectable error", "evaluations", "seconds"


@dataclass(frozen=True)
class Record:
    """The numbers of a check, and its part of the page if there is one to write; no arrays."""

    test: str
    function: str
    verdict: str
    coverage: float
    detectable: float
    evaluations: int
    seconds: float
    section: str


@dataclass
class Recorder:
    """The checks of a session.

    Attributes
    ----------
    speed : {"fast", "full"} or None
        The mode where a test leaves it open.
    path : Path or None
        The page to write at the end.
    records : list of Record
    modes : set of str
        The modes of the checks that this process made.
    missed : list of str
        The messages of negative controls that were not caught.
    unwritten : list of str
        Why the page could not be written.
    """

    speed: str | None
    path: Path | None
    records: list[Record] = field(default_factory=list)
    modes: set[str] = field(default_factory=set)
    missed: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Why the session must fail, whatever its tests say."""
        return self.missed + self.unwritten

    def settled(self, f: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a check, with the mode that the session asks for if the test variables it open."""
        if self.speed is None or options.get("mode", "auto") != "auto":
            return options
        return options | {"mode": "full" if self.speed == "full" or _is_small(f, inputs, options) else "directions"}

    def add(self, report: Report, test: str) -> None:
        """Add the record of a report."""
        self.modes.add(report.mode)
        self.records.append(
            Record(
                test=test,
                function=name_of(report.problem.f),
                verdict=str(report.verdict),
                coverage=float(report.coverage),
                detectable=float(report.minimum_detectable_error),
                evaluations=report.evaluations,
                seconds=report.seconds,
                section=section(report, picture=report.verdict is Verdict.FAIL) if self.path else "",
            )
        )

    def run_negative_control(self) -> None:
        """Run the negative control in each mode that was used."""
        self.missed += [message for mode in sorted(self.modes) if (message := negative_control(mode))]

    def packed(self) -> tuple[list[tuple[Any, ...]], list[str]]:
        """Return the records for another process, in built-in types."""
        return [astuple(record) for record in self.records], self.missed

    def unpack(self, records: list[tuple[Any, ...]], missed: list[str]) -> None:
        """Add the records that another process packed."""
        self.records += [Record(*values) for values in records]
        self.missed += [message for message in missed if message not in self.missed]

    def write_page(self) -> None:
        """Write the page, or note why not."""
        assert self.path is not None
        try:
            write(self.path, page("Gradient checks", self._body()))
        except OSError as error:
            self.unwritten.append(f"the report {self.path} could not be written: {error.strerror}")

    def summary(self) -> str:
        """Return the session in one line."""
        counts = Counter(record.verdict for record in self.records)
        said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        parts = [f"gradient checks: {len(self.records)} ({said})"]
        known = [record.detectable for record in self.records if math.isfinite(record.detectable)]
        if known:
            parts.append(f"median minimum detectable error {statistics.median(known):.0e}")
        parts.append("negative control MISSED" if self.missed else "negative control caught")
        return ", ".join(parts)

    def _body(self) -> str:
        """Return the inside of the page, with what failed first."""
        if not self.records:
            return "<p>No gradient was checked.</p>"
        numbered = sorted(enumerate(self.records, 1), key=lambda pair: -Verdict(pair[1].verdict).severity)
        return "\n".join(
            [f"<p>{html.escape(line)}</p>" for line in (self.summary(), *self.missed)]
            + ["<table>", _row("th", COLUMNS), *(_summary_row(*pair) for pair in numbered), "</table>"]
            + [_details(*pair) for pair in numbered]
        )


def _is_small(f: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> bool:
    variables = Problem(f, inputs, options.get("gradient"), options.get("model")).variables
    return sum(v.size for v in variables) <= SMALL


def _row(tag: str, cells: tuple[str, ...], style: str = "") -> str:
    return f"<tr{style}>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def _summary_row(number: int, record: Record) -> str:
    cells = (
        f'<a href="#check-{number}">{number}</a>',
        html.escape(record.test),
        html.escape(record.function),
        record.verdict,
        f"{record.coverage:.3g}",
        f"{record.detectable:.1e}" if math.isfinite(record.detectable) else "&ndash;",
        str(record.evaluations),
        f"{record.seconds:.2g}",
    )
    return _row("td", cells, f' style="background: {COLORS[Verdict(record.verdict)]}"')


def _details(number: int, record: Record) -> str:
    is_open = "" if record.verdict in (Verdict.PASS, Verdict.KINK) else " open"
    title = f"{number}: {record.function}: {record.verdict} in {record.test}"
    return (
        f'<details id="check-{number}"{is_open}><summary>{html.escape(title)}</summary>\n{record.section}\n</details>'
    )


def negative_control(mode: str) -> str:
    """Check that a gradient wrong by ten times the minimum detectable error FAILs, and at the wrong element.

    Parameters
    ----------
    mode : {"full", "directions", "numerical"}

    Returns
    -------
    str
        What went wrong; empty if the mistake was found, and the right gradient passed.
    """
    try:
        right = _control_report(mode, factor=1.0)
        if not right.passed:
            return f"the right gradient of np.tanh was judged {right.verdict} in mode {mode}: {right.reason}"
        about_it = next((f for f in right.findings if f.index == (DISTURBED,)), right.findings[0])
        wrong = _control_report(mode, factor=1 + TIMES * about_it.detectable)
    except Exception as error:  # then no check of this session can be trusted
        return f"the negative control raised {type(error).__name__} in mode {mode}: {error}"
    if wrong.verdict is Verdict.FAIL and wrong.worst is not None and wrong.worst.index == (DISTURBED,):
        return ""
    return (
        f"the negative control was missed: element {DISTURBED} of the gradient of np.tanh was made wrong by {TIMES} "
        f"times its minimum detectable error, and the verdict in mode {mode} was {wrong.verdict}; "
        "so the gradient checks of this session prove nothing"
    )


def _control_report(mode: str, factor: float) -> Report:
    """Check the gradient of np.tanh with one element times a factor; without the exact properties."""

    def gradient(x: Any, v: Any) -> Any:
        g = v * (1 - np.tanh(x) ** 2)
        g[DISTURBED] *= factor
        return g

    options: dict[str, Any] = {"mode": mode, "exact_properties": False}
    return check_gradients(np.tanh, np.array(CONTROL_POINTS), gradient=gradient, **options)
