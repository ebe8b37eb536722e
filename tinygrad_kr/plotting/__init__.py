"""Plots of training histories, predictions, weights, activations and activation functions.

Every function returns a ``matplotlib.figure.Figure``, writes it if ``path`` is given (its suffix says the format), and
labels it in English or, with ``lang="ko"``, in Korean. No window opens, and no state is shared with
``matplotlib.pyplot``.
"""

from tinygrad_kr.plotting.activations import plot_activations, plot_gradient_sizes, plot_vanishing_gradients
from tinygrad_kr.plotting.descent import plot_descent
from tinygrad_kr.plotting.inside import plot_activation_histograms, plot_weights
from tinygrad_kr.plotting.page import BLUE, GREY, ORANGE, RED
from tinygrad_kr.plotting.run import COLUMNS, ROWS, plot_confusion, plot_digits, plot_history

__all__ = [
    "BLUE",
    "COLUMNS",
    "GREY",
    "ORANGE",
    "RED",
    "ROWS",
    "plot_activation_histograms",
    "plot_activations",
    "plot_confusion",
    "plot_descent",
    "plot_digits",
    "plot_gradient_sizes",
    "plot_history",
    "plot_vanishing_gradients",
    "plot_weights",
]
