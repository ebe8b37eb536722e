"""The result of a check as users meet it: numbers, text, HTML and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_kr.gradcheck.figure import figure_of
from tinygrad_kr.gradcheck.findings import name_of
from tinygrad_kr.gradcheck.html import html_of
from tinygrad_kr.gradcheck.result import Result
from tinygrad_kr.gradcheck.wording import text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Report"]


class Report(Result):
    """The result of ``check_gradients``, with the attributes of ``Result``; a notebook shows it as HTML."""

    def __str__(self) -> str:
        return text_of(self)

    def __repr__(self) -> str:
        return f"<Report {name_of(self.problem.f)}: {self.verdict}>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """Return the report as HTML: the text, the exact properties, and each small input as a heat-map of bars."""
        return html_of(self, str(self))

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the bars over each input, and the error of the worst element against the step, log-log.

        Parameters
        ----------
        path : path-like, optional
            Where to save the picture; its ending says the format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        figure = figure_of(self, title=repr(self)[1:-1])
        if path is not None:
            figure.savefig(path)
        return figure
