"""A plot of gradient descent on a function of two variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.extras import require
from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import NonFiniteError, ShapeError
from tinygrad_kr.plotting.page import GREEN, GREY, ORANGE, RED, Page, Path

__all__ = ["plot_descent"]

Array = NDArray[np.float64]
MARKED = 200
"""The most steps that are marked one by one."""
Limits = tuple[float, float]


def plot_descent(
    f: Callable[[Array], Any],
    trail: Any,
    *,
    xlim: Limits | None = None,
    ylim: Limits | None = None,
    names: tuple[str, str] = ("x0", "x1"),
    path: Path = None,
    lang: str = "en",
) -> Any:
    """Draw a function of two variables as contours, and on it the way that gradient descent took.

    Parameters
    ----------
    f : callable
        From an array of shape (2,) to one number, as for ``gradient_descent``.
    trail : array of shape (steps + 1, 2), or mapping of str to such arrays
        The points of the way: what ``gradient_descent(..., return_path=True)`` returns second. Several are told apart
        by their names.
    xlim, ylim : tuple of float, optional
        What to show. Default: the whole way, with where it ended in the middle.
    names : tuple of str
        What the variables are called.
    path : str or path-like, optional
        The picture to write; its suffix says the format.
    lang : {"en", "ko"}
        The language of the labels.

    Returns
    -------
    matplotlib.figure.Figure
        Between two neighbouring contours lies the same share of the area, so both a ravine and a plain show their
        shape. Where f is not finite nothing is drawn.

    Raises
    ------
    ShapeError
        If a trail has another shape, or f does not return one number.
    NonFiniteError
        If a trail holds NaN or infinity, or f is finite nowhere.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> from tinygrad_kr.numerical import gradient_descent
    >>> f = lambda x: x[0] ** 2 / 20 + x[1] ** 2
    >>> x, trail = gradient_descent(f, [-7.0, 2.0], lr=0.9, step_num=20, return_path=True)
    >>> figure = plot_descent(f, trail)
    >>> figure.axes[0].get_xlabel(), figure.axes[0].lines[0].get_xydata()[0]
    ('x0', array([-7.,  2.]))
    """
    trails = {name: _trail(points) for name, points in (trail if isinstance(trail, Mapping) else {"": trail}).items()}
    if not trails:
        raise ValueError("plot_descent: there is no trail to draw")
    xlim, ylim = (given or found for given, found in zip((xlim, ylim), _limits(list(trails.values())), strict=True))
    xs, ys = np.linspace(*xlim, 81), np.linspace(*ylim, 81)
    with no_grad():
        heights = np.ma.masked_invalid([[_number(f(np.array([x, y]))) for x in xs] for y in ys])
        ends = {name: [_number(f(points[i].copy())) for i in (0, -1)] for name, points in trails.items()}
    if heights.count() == 0:
        raise NonFiniteError(f"plot_descent: f is finite nowhere in {xlim} x {ylim}")

    ratio = (ylim[1] - ylim[0]) / (xlim[1] - xlim[0])
    in_scale = 0.25 <= ratio <= 4
    page = Page((7.4, max(3.4, 5.3 * min(ratio, 1.4) + 0.9) if in_scale else 5.2), lang)
    page.figure.set_layout_engine("compressed")  # the colour bar is as high as axes of equal scale
    axes = page.figure.subplots()
    levels = np.unique(np.quantile(heights.compressed(), np.linspace(0, 1, 16)))
    if len(levels) > 1:
        norm = require("matplotlib.colors", "train", "drawing a picture").BoundaryNorm(levels, 256)
        shades = axes.contourf(xs, ys, heights, levels, cmap="YlGnBu_r", norm=norm, alpha=0.75)
        axes.contour(xs, ys, heights, levels, colors="white", linewidths=0.5)
        page.figure.colorbar(shades, ax=axes, spacing="uniform", format="%.3g", label=f"f({', '.join(names)})")
    colors = [RED, ORANGE, GREEN, GREY]
    for i, (name, points) in enumerate(trails.items()):
        color, before = colors[i % len(colors)], f"{name}: " if name else ""
        steps, (first, last) = len(points) - 1, ends[name]
        label = page.say(
            f"{before}f: {first:.3g} → {last:.3g} in {steps} steps",
            f"{before}f: {first:.3g} → {last:.3g} ({steps}단계)",
        )
        marker = "o" if steps <= MARKED else ""
        axes.plot(*points.T, color=color, marker=marker, markersize=3, linewidth=1.2, label=label)
        axes.plot(*points[-1], color=color, marker="*", markersize=13, markeredgecolor="white", linestyle="none")
    axes.set(
        title=page.say("Gradient descent (star: the last point)", "경사 하강법의 경로 (별: 마지막 점)"),
        xlabel=names[0],
        ylabel=names[1],
        xlim=xlim,
        ylim=ylim,
    )
    if in_scale:
        axes.set_aspect("equal")  # so that the way is seen to cross the contours at a right angle
    axes.legend()
    return page.done(path)


def _trail(given: Any) -> Array:
    """Return the points of a trajectory as an array of floats."""
    points: Array = np.asarray(raw(given), dtype=np.float64) if not isinstance(given, tuple) else np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ShapeError(
            "plot_descent: expected a trail of shape (steps + 1, 2), the second thing that "
            f"gradient_descent(..., return_path=True) returns; got {points.shape}"
        )
    if not np.all(np.isfinite(points)):
        step = int(np.argmin(np.all(np.isfinite(points), axis=1)))
        raise NonFiniteError(f"plot_descent: the trail is not finite at step {step}: {points[step]}")
    return points


def _number(value: Any) -> float:
    """Return the one number that f returned, whatever it came wrapped in."""
    value = np.asarray(raw(value))
    if value.size != 1:
        raise ShapeError(f"plot_descent: f must return one number, got an array of shape {value.shape}")
    return float(value.item())


def _limits(trails: list[Array]) -> tuple[Limits, Limits]:
    """Return limits of the axes that show every trajectory, centred, with sides of similar length."""
    ends = np.mean([points[-1] for points in trails], axis=0)
    reach = np.max([np.max(np.abs(points - ends), axis=0) for points in trails], axis=0)
    reach = 1.15 * np.maximum(reach, 0.6 * np.max(reach)) if np.any(reach) else np.ones(2)
    low, high = ends - reach, ends + reach
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))
