"""A result as a figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_kr.common.extras import require
from tinygrad_kr.gradcheck.findings import Finding
from tinygrad_kr.gradcheck.html import as_matrix
from tinygrad_kr.gradcheck.result import Result
from tinygrad_kr.gradcheck.slopes import Line
from tinygrad_kr.gradcheck.variables import Variable, position_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figure_of"]

STEPS = 2.0 ** -np.arange(4, 46, 2)


def figure_of(result: Result, title: str) -> Figure:
    """Draw the error bars of up to three variables, and the error of the worst element against the step."""
    require("matplotlib", "train", "the picture of a gradient check")
    from matplotlib.ticker import MaxNLocator

    from tinygrad_kr.common import figure as figures

    maps = result.found_by_variable()[:3]
    figure: Figure = figures.Figure((4.5 * (len(maps) + 1), 4))
    axes = figure.subplots(1, len(maps) + 1, squeeze=False)[0]
    for ax, (variable, found) in zip(axes, maps, strict=False):
        _draw_map(figure, ax, variable, found)
        for axis in (ax.xaxis, ax.yaxis):  # of indices
            axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _draw_steps(axes[-1], result)
    figure.suptitle(title)
    return figure


def _draw_map(figure: Figure, ax: Axes, variable: Variable, found: list[Finding]) -> None:
    bars = np.full(variable.shape, np.nan)
    for f in found:
        assert f.index is not None
        bars[f.index] = np.log10(max(min(f.bars, 1e12), 1e-6)) if not math.isnan(f.bars) else np.nan
    image = ax.imshow(as_matrix(variable, bars), vmin=-4, vmax=4, cmap="coolwarm", aspect="auto")
    figure.colorbar(image, ax=ax, label="log10 of the error in bars (wrong above 0.3)")
    ax.set_title(f"{variable.name} {variable.shape}")
    ax.set_xlabel("last axis")
    ax.set_ylabel("the other axes")


def _draw_steps(ax: Axes, result: Result) -> None:
    """Draw the error of the worst element against the step: a valley if it is right, a plateau if it is wrong."""
    singles = [f for f in result.findings if f.index is not None and math.isfinite(f.claimed)]
    sampler = result.sampler
    if not singles or sampler is None:
        ax.set_axis_off()
        return
    worst = result.worst if result.worst in singles else max(singles, key=lambda f: f.bars)
    assert worst is not None and worst.index is not None
    variable = next(v for v in result.problem.variables if v.name == worst.input)
    position = position_of(worst.index, variable.shape)
    line = Line.element(sampler.point, variable, position)
    unit = line.first_step / STEPS[5]
    with result.problem.model.borrowed():
        estimates = [sampler.estimate(line, unit * step) for step in STEPS]
    steps = [e.step for e in estimates]
    ax.loglog(
        steps,
        [abs(worst.claimed - e.slope) or np.nan for e in estimates],
        "o-",
        label="|given - estimate|",
    )
    ax.loglog(steps, [e.bar() or np.nan for e in estimates], "--", label="error bar of the estimate")
    ax.set_title(f"{worst.label}: {worst.verdict}")
    ax.set_xlabel("step, in units of the input")
    ax.set_ylabel("error, in units of the gradient")
    ax.legend()
