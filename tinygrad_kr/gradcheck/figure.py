"""A report as HTML and as a figure."""

from __future__ import annotations

import html
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.extras import require
from tinygrad_kr.gradcheck.findings import Finding, Verdict
from tinygrad_kr.gradcheck.problem import Leaf
from tinygrad_kr.gradcheck.slopes import Line

if TYPE_CHECKING:
    from tinygrad_kr.gradcheck.report import Report

__all__ = ["figure_of", "html_of"]

COLORS = {
    Verdict.PASS: "#d7f0d7",
    Verdict.KINK: "#d6e4f7",
    Verdict.INCONCLUSIVE: "#f6ecc9",
    Verdict.FAIL: "#f5c6c3",
}
CELLS = 400
"""Inputs up to this many elements are shown element by element."""
STEPS = 2.0 ** -np.arange(4, 46, 2)


def html_of(report: Report) -> str:
    """Return a report as HTML that stands on its own."""
    parts = [
        f'<div class="gradcheck" style="border-left: 6px solid {COLORS[report.verdict]}; padding-left: 8px">',
        "<style>.gradcheck pre { white-space: pre-wrap; overflow-wrap: anywhere }</style>",  # long lines wrap
        f"<pre>{html.escape(str(report))}</pre>",
    ]
    parts += [_table(leaf, found) for leaf, found in _by_leaf(report) if leaf.size <= CELLS]
    rows = "".join(
        f'<tr><td style="background: {COLORS[c.verdict]}">{c.verdict}</td><td>{c.name}</td>'
        f"<td>{html.escape(c.message)}</td></tr>"
        for c in report.companions
    )
    parts.append(f"<details><summary>exact properties</summary><table>{rows}</table></details></div>")
    return "\n".join(parts)


def figure_of(report: Report, path: str | Path | None = None) -> Any:
    """Draw a report; see ``Report.plot``."""
    require("matplotlib", "train", "the picture of a gradient check")
    from matplotlib.ticker import MaxNLocator

    from tinygrad_kr.common.figure import Figure

    maps = _by_leaf(report)[:3]
    figure = Figure((4.5 * (len(maps) + 1), 4))
    axes = figure.subplots(1, len(maps) + 1, squeeze=False)[0]
    for ax, (leaf, found) in zip(axes, maps, strict=False):
        _draw_map(figure, ax, leaf, found)
        for axis in (ax.xaxis, ax.yaxis):  # of indices
            axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _draw_steps(axes[-1], report)
    figure.suptitle(f"{report!r}"[1:-1])
    if path is not None:
        figure.savefig(path)
    return figure


def _by_leaf(report: Report) -> list[tuple[Leaf, list[Finding]]]:
    """Return the findings about single elements, by leaf."""
    singles = [f for f in report.findings if f.index is not None]
    pairs = [(leaf, [f for f in singles if f.input == leaf.name]) for leaf in report.problem.leaves if leaf.size]
    return [(leaf, found) for leaf, found in pairs if found]


def _as_matrix(leaf: Leaf, values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, leaf.shape[-1] if leaf.shape else 1)


def _table(leaf: Leaf, found: list[Finding]) -> str:
    """Return an input as a table, each cell coloured by its verdict, with the numbers behind it as its title."""
    cells = np.full(leaf.shape, '<td style="color: #999">&middot;</td>', dtype=object)
    for f in found:
        assert f.index is not None
        title = html.escape(
            f"{f.label} = {f.at:.6g}: given {f.claimed:.10g}, true {f.estimate:.10g} ± {f.bar:.1g}; {f.reason}"
        )
        cells[f.index] = (
            f'<td style="background: {COLORS[f.verdict]}; padding: 2px" title="{title}">{_shown(f.bars)}</td>'
        )
    rows = "".join(f"<tr>{''.join(row)}</tr>" for row in _as_matrix(leaf, cells))
    caption = f"{leaf.name} {leaf.shape}: how many error bars the gradient is off"
    return f"<table><caption>{html.escape(caption)}</caption>{rows}</table>"


def _shown(bars: float) -> str:
    return f"{bars:.2g}" if math.isfinite(bars) else "&infin;"


def _draw_map(figure: Any, ax: Any, leaf: Leaf, found: list[Finding]) -> None:
    bars = np.full(leaf.shape, np.nan)
    for f in found:
        assert f.index is not None
        bars[f.index] = np.log10(max(min(f.bars, 1e12), 1e-6)) if not math.isnan(f.bars) else np.nan
    image = ax.imshow(_as_matrix(leaf, bars), vmin=-4, vmax=4, cmap="coolwarm", aspect="auto")
    figure.colorbar(image, ax=ax, label="log10 of the error in bars (wrong above 0.3)")
    ax.set_title(f"{leaf.name} {leaf.shape}")
    ax.set_xlabel("last axis")
    ax.set_ylabel("the other axes")


def _draw_steps(ax: Any, report: Report) -> None:
    """Draw the error of the worst element against the step: a valley if it is right, a plateau if it is wrong."""
    singles = [f for f in report.findings if f.index is not None and math.isfinite(f.claimed)]
    judge = report.judge
    if not singles or judge is None:
        ax.set_axis_off()
        return
    worst = report.culprit if report.culprit in singles else max(singles, key=lambda f: f.bars)
    assert worst is not None and worst.index is not None
    leaf = next(leaf for leaf in report.problem.leaves if leaf.name == worst.input)
    position = int(np.ravel_multi_index(worst.index, leaf.shape)) if leaf.shape else 0
    line = Line.element(judge.point, leaf, position)
    unit = line.first_step / STEPS[5]
    with report.problem.borrowed():
        rungs = [judge.rung(line, unit * step) for step in STEPS]
    steps = [rung.step for rung in rungs]
    ax.loglog(steps, [abs(worst.claimed - rung.slope) or np.nan for rung in rungs], "o-", label="|given - estimate|")
    ax.loglog(steps, [rung.bar() or np.nan for rung in rungs], "--", label="error bar of the estimate")
    ax.set_title(f"{worst.label}: {worst.verdict}")
    ax.set_xlabel("step, in units of the input")
    ax.set_ylabel("error, in units of the gradient")
    ax.legend()
