"""Plots of activation functions with their derivatives, and of gradients in deep networks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr import functional as F
from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.engine.transforms import grad
from tinygrad_kr.errors import NonFiniteError, ShapeError
from tinygrad_kr.plotting.page import BLUE, GREEN, GREY, ORANGE, RED, Page, Path, tidy

__all__ = ["plot_activations", "plot_gradient_sizes", "plot_vanishing_gradients"]

Array = NDArray[np.float64]
Functions = Sequence[str] | Mapping[str, Callable[[Any], Any]]

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    f.__name__: f
    for f in (
        *(F.step, F.identity, F.sigmoid, F.tanh, F.relu, F.leaky_relu, F.elu, F.selu, F.gelu, F.silu, F.softplus),
        *(F.softsign, F.hard_sigmoid, F.hard_tanh),
    )
}
DRAWN = {"leaky_relu": ("leaky_relu, slope = 0.1", functools.partial(F.leaky_relu, slope=0.1))}
"""What the eye could not tell from another function: leaky_relu with its default slope of 0.01 from relu."""
STUDY_NOTES = "step", "identity", "sigmoid", "tanh", "relu", "leaky_relu"
RELU_FAMILY = "relu", "leaky_relu", "elu", "gelu", "silu"
LINES = tuple(zip((BLUE, ORANGE, GREEN, RED, GREY), "os^Dv", strict=True))
"""Colours, each with a marker of its own, for those who cannot tell the colours apart."""


def plot_activations(
    functions: Functions = STUDY_NOTES,
    *,
    xlim: tuple[float, float] = (-6.0, 6.0),
    path: Path = None,
    lang: str = "en",
) -> Any:
    """Draw activation functions, each with its derivative as this package computes it (study note 004).

    Parameters
    ----------
    functions : sequence of str, or mapping of str to callable
        Names of activations in ``functional``, or functions of one Tensor that work element by element. By its name
        leaky_relu is drawn with a slope of 0.1, and the title says so: 0.01 could not be told from relu.
    xlim : tuple of float
        From where to where.
    path : str or path-like, optional
        The picture to write; its suffix says the format.
    lang : {"en", "ko"}
        The language of the labels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If a name is unknown, there is none, or ``xlim`` is empty.
    ShapeError
        If a function does not work element by element.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = plot_activations(["sigmoid", "relu"])
    >>> value, slope = figure.axes[0].lines[:2]
    >>> float(slope.get_ydata().max())  # s' = s (1 - s) is never more than a quarter
    0.25
    """
    chosen = _chosen(functions)
    if not isinstance(functions, Mapping):
        chosen = dict(DRAWN.get(name, (name, f)) for name, f in chosen.items())
    if not xlim[0] < xlim[1]:
        raise ValueError(f"plot_activations: xlim must be (from, to) with from < to, got {xlim}")
    x = np.linspace(*xlim, 601)
    curves = {name: [_broken(part, x) for part in _with_derivative(name, f, x)] for name, f in chosen.items()}

    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    page = Page((3.6 * columns, 3.1 * rows), lang)
    say = page.say
    grid = page.figure.subplots(rows, columns, squeeze=False)
    for axes, (name, (values, slopes)) in zip(grid.flat, curves.items(), strict=False):
        axes.plot(*values, color=BLUE, linewidth=1.8, label=say("f(x)", "함수 f(x)"))
        axes.plot(*slopes, color=ORANGE, linewidth=1.8, linestyle="--", label=say("derivative f′(x)", "도함수 f′(x)"))
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
        axes.set(title=name, xlabel="x", ylabel="f(x), f′(x)", xlim=xlim)
        tidy(axes)
    for axes in grid.flat[len(curves) :]:
        axes.set_axis_off()
    page.figure.axes[0].legend()
    return page.done(path)


def plot_vanishing_gradients(
    functions: Functions = ("sigmoid", "tanh", "relu"),
    *,
    depth: int = 10,
    width: int = 100,
    weight_std: float | None = None,
    seed: int = 0,
    path: Path = None,
    lang: str = "en",
) -> Any:
    """Draw how the gradient shrinks on its way back through a deep network, for some activations (study note 004).

    For each activation a network of its own is made: ``depth`` layers h = f(h W) of ``width`` units, the weights
    drawn from a normal distribution. 100 normal inputs go in, and a random linear function of the output is the loss.
    All networks get the same random numbers. tanh keeps its gradient here since such weights keep it near 0, where its
    slope is 1; far from 0 its slope vanishes too, as ``plot_activations`` shows.

    Parameters
    ----------
    functions : sequence of str, or mapping of str to callable
        Names of activations in ``functional``, or functions of one Tensor.
    depth, width : int
        The number of layers, and of units in each.
    weight_std : float, optional
        Standard deviation of the weights. Default: what suits the activation, He's sqrt(2 / width) for the ReLU family
        and Xavier's sqrt(1 / width) for the others, as in ``models.TwoLayerNet``.
    seed : int
        Of the random numbers.
    path, lang
        As for ``plot_gradient_sizes``, which draws what was found.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If a name is unknown or there is none; if ``depth`` or ``width`` is not positive.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = plot_vanishing_gradients(["sigmoid", "relu"], depth=5, width=20)
    >>> [len(line.get_ydata()) for line in figure.axes[0].lines]
    [5, 5]
    """
    if min(depth, width) < 1:
        raise ValueError(f"plot_vanishing_gradients: depth and width must be at least 1, got {depth} and {width}")
    gradients = {name: _gradients(name, f, (depth, width), weight_std, seed) for name, f in _chosen(functions).items()}
    return plot_gradient_sizes(gradients, path=path, lang=lang)


def plot_gradient_sizes(gradients: Mapping[str, Sequence[Any]], *, path: Path = None, lang: str = "en") -> Any:
    """Draw the size of the gradient of the weights, layer by layer, on a logarithmic axis.

    Parameters
    ----------
    gradients : mapping of str to sequence of arrays
        For each network its gradients, the layer at the input first. Their size is the root mean square, so that
        layers of different widths compare.
    path : str or path-like, optional
        The picture to write; its suffix says the format.
    lang : {"en", "ko"}
        The language of the labels.

    Returns
    -------
    matplotlib.figure.Figure
        A gradient of 0 has no place on the axis; the legend says how many there are.

    Raises
    ------
    ValueError
        If there is no network, or one without a gradient.
    NonFiniteError
        If a gradient holds NaN or infinity.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = plot_gradient_sizes({"net": [np.full((2, 3), 0.01), np.full((3, 1), 0.1)]})
    >>> figure.axes[0].lines[0].get_ydata().round(3)
    array([0.01, 0.1 ])
    """
    if not gradients or not all(len(layers) for layers in gradients.values()):
        raise ValueError("plot_gradient_sizes: expected at least one network, each with at least one gradient")
    sizes = {name: np.array([_size(name, g) for g in layers]) for name, layers in gradients.items()}

    page = Page((7.5, 4.6), lang)
    say = page.say
    axes = page.figure.subplots()
    for i, (name, values) in enumerate(sizes.items()):
        color, marker = LINES[i % len(LINES)]
        zeros = int(np.sum(values == 0))
        if zeros:
            note = say(f"0 in {zeros} of {len(values)} layers", f"{len(values)}층 중 {zeros}층에서 0")
        else:
            ratio = f"{values[0] / values[-1]:.2g}"
            note = say(f"first / last layer: {ratio}", f"첫 층 / 마지막 층: {ratio}")
        shown = np.where(values > 0, values, np.nan)
        axes.plot(np.arange(1, len(values) + 1), shown, color=color, marker=marker, label=f"{name}  ({note})")
    axes.set(
        title=say("Size of the gradient, layer by layer", "층별 기울기의 크기"),
        xlabel=say("layer (1 is next to the input)", "층 (1이 입력 쪽)"),
        ylabel=say("gradient of the weights (root mean square)", "가중치 기울기의 크기 (제곱평균제곱근)"),
        yscale="log",
    )
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    tidy(axes)
    axes.legend()
    return page.done(path)


def _chosen(functions: Functions) -> dict[str, Callable[[Any], Any]]:
    """Return the functions with their names."""
    if isinstance(functions, str):
        functions = (functions,)
    if not isinstance(functions, Mapping):
        for name in functions:
            if name not in ACTIVATIONS:
                raise ValueError(f"unknown activation {name!r}; choose of {', '.join(ACTIVATIONS)}, or pass a mapping")
        functions = {name: ACTIVATIONS[name] for name in functions}
    if not functions:
        raise ValueError("no activation to draw")
    return dict(functions)


def _with_derivative(name: str, f: Callable[[Any], Any], x: Array) -> tuple[Callable[[Array], Array], ...]:
    """Return a function and its derivative, both from arrays to arrays, after a look at whether f is elementwise."""

    def value(at: Array) -> Array:
        return np.asarray(raw(f(Tensor(at))))

    def derivative(at: Array) -> Array:
        return np.asarray(grad(lambda t: np.sum(f(t)))(at))

    values = value(x)
    some = [0, len(x) // 3, len(x) - 1]
    if values.shape != x.shape or not np.allclose(values[some], [value(x[i : i + 1])[0] for i in some], equal_nan=True):
        raise ShapeError(
            f"plot_activations: {name} does not work element by element, so it has no curve\n"
            f"  expected one value for each of {x.shape}, each of its own element alone; got {values.shape}"
        )
    return value, derivative


def _broken(f: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
    """Return the points of a curve, with a gap where the function jumps.

    Between any two neighbours the side with the larger change is halved again and again: of a steep slope nothing
    remains, of a jump all.
    """
    y = f(x)
    left, right, y_left, y_right = x[:-1], x[1:], y[:-1], y[1:]
    for _ in range(45):
        middle = (left + right) / 2
        y_middle = f(middle)
        go_left = np.abs(y_middle - y_left) >= np.abs(y_right - y_middle)
        left, y_left = np.where(go_left, left, middle), np.where(go_left, y_left, y_middle)
        right, y_right = np.where(go_left, middle, right), np.where(go_left, y_middle, y_right)
    jumps = np.flatnonzero(np.abs(y_right - y_left) > 1e-3) + 1
    return np.insert(x, jumps, np.nan), np.insert(y, jumps, np.nan)


def _gradients(name: str, f: Callable[[Any], Any], size: tuple[int, int], std: float | None, seed: int) -> list[Array]:
    """Return the gradient of each layer's weights in a random network, the layer at the input first."""
    rng = np.random.default_rng(seed)
    depth, width = size
    if std is None:
        std = float(np.sqrt((2.0 if name in RELU_FAMILY else 1.0) / width))
    weights = [std * rng.standard_normal((width, width)) for _ in range(depth)]
    x, direction = rng.standard_normal((100, width)), rng.standard_normal((100, width))

    def loss(layers: list[Any]) -> Any:
        h = x
        for w in layers:
            h = f(h @ w)
        return np.sum(h * direction) / len(x)

    return list(grad(loss)(weights))


def _size(name: str, gradient: Any) -> float:
    """Return the root mean square, without overflow or underflow on the way."""
    values = np.asarray(raw(gradient), dtype=np.float64)
    if not values.size or not np.all(np.isfinite(values)):
        raise NonFiniteError(f"plot_gradient_sizes: a gradient of {name} {values.shape} is empty or not finite")
    largest = float(np.max(np.abs(values)))
    return largest * float(np.sqrt(np.mean((values / largest) ** 2))) if largest else 0.0
