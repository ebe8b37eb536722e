"""A result as HTML, and pages of HTML, that need no other file."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.gradcheck.findings import Finding, Verdict
from tinygrad_kr.gradcheck.result import Result
from tinygrad_kr.gradcheck.variables import Variable

__all__ = ["COLORS", "as_matrix", "html_of", "page"]

COLORS = {
    Verdict.PASS: "#d7f0d7",
    Verdict.KINK: "#d6e4f7",
    Verdict.INCONCLUSIVE: "#f6ecc9",
    Verdict.FAIL: "#f5c6c3",
}
CELLS = 400
"""Inputs up to this many elements are shown element by element."""
STYLE = """
body { font-family: system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em }
table { border-collapse: collapse; margin: 0.5em 0 } td, th { padding: 2px 8px; text-align: left }
img { max-width: 100% } details { margin: 0.5em 0 }
"""


def page(title: str, body: str) -> str:
    """Return a whole page."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def html_of(result: Result, text: str) -> str:
    """Return a result, with its text, as HTML that stands on its own."""
    parts = [
        f'<div class="gradcheck" style="border-left: 6px solid {COLORS[result.verdict]}; padding-left: 8px">',
        "<style>.gradcheck pre { white-space: pre-wrap; overflow-wrap: anywhere }</style>",  # long lines wrap
        f"<pre>{html.escape(text)}</pre>",
    ]
    parts += [_table(v, found) for v, found in result.found_by_variable() if v.size <= CELLS]
    rows = "".join(
        f'<tr><td style="background: {COLORS[c.verdict]}">{c.verdict}</td><td>{c.name}</td>'
        f"<td>{html.escape(c.message)}</td></tr>"
        for c in result.exact_properties
    )
    parts.append(f"<details><summary>exact properties</summary><table>{rows}</table></details></div>")
    return "\n".join(parts)


def as_matrix(variable: Variable, values: NDArray[Any]) -> NDArray[Any]:
    """Return the elements of a variable with all axes but the last joined."""
    return values.reshape(-1, variable.shape[-1] if variable.shape else 1)


def _table(variable: Variable, found: list[Finding]) -> str:
    """Return an input as a table, each cell coloured by its verdict, with the numbers behind it as its title."""
    cells = np.full(variable.shape, '<td style="color: #999">&middot;</td>', dtype=object)
    for f in found:
        assert f.index is not None
        bars = f"{f.bars:.2g}" if math.isfinite(f.bars) else "&infin;"
        title = html.escape(
            f"{f.label} = {f.at:.6g}: given {f.claimed:.10g}, true {f.estimate:.10g} ± {f.bar:.1g}; {f.reason}"
        )
        cells[f.index] = f'<td style="background: {COLORS[f.verdict]}; padding: 2px" title="{title}">{bars}</td>'
    rows = "".join(f"<tr>{''.join(row)}</tr>" for row in as_matrix(variable, cells))
    caption = f"{variable.name} {variable.shape}: how many error bars the gradient is off"
    return f"<table><caption>{html.escape(caption)}</caption>{rows}</table>"
