"""Plots of weights as images and of activations as histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr import functional as F
from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import NonFiniteError, ShapeError
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.nn import Module, layer_outputs
from tinygrad_kr.plotting.page import BLUE, Page, Path, tidy

__all__ = ["plot_activation_histograms", "plot_weights"]

COLUMNS = 10
TITLES = {
    2: ("Weights into each unit", "유닛마다 본 가중치"),
    4: ("Weights of each filter (filter, channel)", "필터마다 본 가중치 (필터, 채널)"),
}


def plot_weights(
    weights: Any,
    *,
    shape: tuple[int, int] | None = None,
    limit: int = 50,
    path: Path = None,
    lang: str = "en",
) -> Any:
    """Draw weights as images: one for each unit of the first layer, or each filter of a convolution.

    Parameters
    ----------
    weights : Tensor, array or TwoLayerNet
        Of shape (features, units), one image for each unit; or (filters, channels, height, width), one image for each
        channel of each filter. Of a network, ``W1``.
    shape : tuple of int, optional
        Height and width of an image, for weights of shape (features, units). Default: square.
    limit : int
        At most so many images are drawn, the first ones; the title says how many there are.
    path : str or path-like, optional
        The picture to write; its suffix says the format.
    lang : {"en", "ko"}
        The language of the labels.

    Returns
    -------
    matplotlib.figure.Figure
        All images share one scale, with 0 in its middle.

    Raises
    ------
    ShapeError
        If the weights have another number of axes, or the features are not those of an image.
    NonFiniteError
        If a weight is NaN or infinite.
    ValueError
        If ``limit`` is not positive, or there are no weights.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = plot_weights(TwoLayerNet(784, 3, 10, rng=np.random.default_rng(0)))
    >>> [axes.get_title() for axes in figure.axes[:3]], figure.axes[0].images[0].get_array().shape
    (['0', '1', '2'], (28, 28))
    """
    if limit < 1:
        raise ValueError(f"plot_weights: limit must be at least 1, got {limit}")
    values = np.asarray(raw(weights.W1 if isinstance(weights, TwoLayerNet) else weights), np.float64)
    images, titles = _images(values, shape)
    if not np.all(np.isfinite(images)):
        raise NonFiniteError(f"plot_weights: {int(np.sum(~np.isfinite(images)))} weights are not finite")

    shown = images[:limit]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    page = Page((max(4.0, 1.05 * columns + 1), 1.1 * rows + 0.8), lang)
    of = page.say(f"the first {len(shown)} of {len(images)}", f"{len(images)}개 중 처음 {len(shown)}개")
    what = page.say(*TITLES[values.ndim])
    page.figure.suptitle(f"{what} ({of})" if len(shown) < len(images) else what, fontsize=11)
    grid = page.figure.subplots(rows, columns, squeeze=False)
    bound = float(np.max(np.abs(shown))) or 1.0
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, image, title in zip(grid.flat, shown, titles, strict=False):
        picture = axes.imshow(image, cmap="RdBu_r", vmin=-bound, vmax=bound)
        axes.set_title(title, fontsize=8, pad=2)
        axes.set(xticks=[], yticks=[])
    page.figure.colorbar(picture, ax=grid, label=page.say("weight", "가중치"), shrink=0.9, format="%.2g")
    return page.done(path)


def plot_activation_histograms(layers: Any, x: Any = None, *, path: Path = None, lang: str = "en") -> Any:
    """Draw a histogram of the activations of each layer.

    Parameters
    ----------
    layers : mapping of str to Tensor or array, or Module, or TwoLayerNet
        The activations by the name of the layer, of any shape. A network is asked for those of `x`.
    x : array, optional
        What goes into the network.
    path : str or path-like, optional
        The picture to write; its suffix says the format.
    lang : {"en", "ko"}
        The language of the labels.

    Returns
    -------
    matplotlib.figure.Figure
        Above each layer: mean, standard deviation, and the share of values that are exactly 0. Values that are not
        finite are left out and counted there.

    Raises
    ------
    ValueError
        If there is no layer, one without a finite value, or a network without `x` (or `x` without a network).
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> figure = plot_activation_histograms({"relu": np.array([0.0, 0.0, 0.5, 1.5])})
    >>> print(figure.axes[0].get_title())
    relu
    mean 0.5, std 0.612, 50% zero
    """
    network = isinstance(layers, TwoLayerNet | Module)
    if network != (x is not None):
        raise ValueError("plot_activation_histograms: pass a network with x, or a mapping of activations alone")
    found = _activations(layers, x) if network else layers
    if not isinstance(found, Mapping) or not found:
        raise ValueError(
            f"plot_activation_histograms: expected a mapping of names to activations, not empty; got {found!r}"
        )
    columns = min(4, len(found))
    rows = -(-len(found) // columns)
    page = Page((3.3 * columns, 3.2 * rows), lang)
    grid = page.figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(found) :]:
        axes.set_axis_off()
    for axes, (name, activations) in zip(grid.flat, found.items(), strict=False):
        values = np.asarray(raw(activations), np.float64).ravel()
        finite = values[np.isfinite(values)]
        if not finite.size:
            raise ValueError(f"plot_activation_histograms: {name} has no finite value")
        axes.hist(finite, bins=30, color=BLUE)
        zero = f"{np.mean(finite == 0):.0%}"
        title = page.say(
            f"{name}\nmean {finite.mean():.3g}, std {finite.std():.3g}, {zero} zero",
            f"{name}\n평균 {finite.mean():.3g}, 표준편차 {finite.std():.3g}, 0이 {zero}",
        )
        if lost := values.size - finite.size:
            title += page.say(f"\n{lost:,} not finite", f"\n유한하지 않은 값 {lost:,}개")
        axes.set_title(title, fontsize=10)
        axes.set(xlabel=page.say("value", "값"), ylabel=page.say("number of values", "값의 개수"))
        tidy(axes)
    return page.done(path)


def _images(values: NDArray[Any], shape: tuple[int, int] | None) -> tuple[NDArray[Any], list[str]]:
    """Return weights as images, of shape (count, height, width), and what each is called."""
    if not values.size:
        raise ValueError(f"plot_weights: there are no weights, the shape is {values.shape}")
    if values.ndim == 4:
        filters, channels, height, width = values.shape
        names = [f"{i}, {c}" for i in range(filters) for c in range(channels)]
        return values.reshape(-1, height, width), names
    if values.ndim != 2:
        raise ShapeError(
            f"plot_weights: expected weights of shape (features, units) or (filters, channels, height, width), "
            f"got {values.shape}"
        )
    features, units = values.shape
    side = math.isqrt(features)
    height, width = shape or (side, side)
    if height * width != features:
        raise ShapeError(
            f"plot_weights: {features} features are not an image of {height} x {width}\n  pass shape=(height, width)"
        )
    return values.T.reshape(units, height, width), [str(i) for i in range(units)]


def _activations(net: Module, x: Any) -> dict[str, Any]:
    """Return the output of each stage of a network for x."""
    if not isinstance(net, TwoLayerNet):
        return dict(layer_outputs(net, x))
    with no_grad():
        hidden, scores = net.hidden(x), net.scores(x)
        return {
            "x W1 + b1": hidden,
            f"{net.activation.__name__}(x W1 + b1)": net.activation(hidden),
            "scores": scores,
            "softmax(scores)": F.softmax(scores),
        }
