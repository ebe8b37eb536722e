"""What a notebook shows of what is ours, by the protocols that it asks; no notebook runs here."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import functional as F
from tinygrad_kr import nn, plotting
from tinygrad_kr.common.progress import visible_tqdm
from tinygrad_kr.gradcheck import check_gradients
from tinygrad_kr.optim import SGD
from tinygrad_kr.plotting.page import Page
from tinygrad_kr.training import Row, Trainer

FIGURES: dict[str, Callable[[], Any]] = {
    "plot_activation_histograms": lambda: plotting.plot_activation_histograms({"relu": np.arange(4.0)}),
    "plot_activations": lambda: plotting.plot_activations(["relu"]),
    "plot_confusion": lambda: plotting.plot_confusion([0, 1], [0, 1]),
    "plot_descent": lambda: plotting.plot_descent(lambda x: np.sum(x**2), [[1.0, 1.0], [0.0, 0.0]]),
    "plot_digits": lambda: plotting.plot_digits(np.zeros((1, 4)), np.array([0]), np.array([0])),
    "plot_gradient_sizes": lambda: plotting.plot_gradient_sizes({"net": [np.ones(2)]}),
    "plot_history": lambda: plotting.plot_history([Row(1, 10, 0.1, 2.0)]),
    "plot_vanishing_gradients": lambda: plotting.plot_vanishing_gradients(["relu"], depth=2, width=3),
    "plot_weights": lambda: plotting.plot_weights(np.ones((4, 1))),
    "Report.plot": lambda: check_gradients(lambda x: np.sum(x**2), np.ones(2)).plot(),
}


def test_every_function_that_draws_is_here() -> None:
    assert {name for name in plotting.__all__ if name.startswith("plot_")} == set(FIGURES) - {"Report.plot"}


@pytest.mark.parametrize("name", FIGURES)
def test_a_notebook_is_given_the_picture(name: str) -> None:
    assert FIGURES[name]()._repr_png_().startswith(b"\x89PNG\r\n")


def test_a_figure_can_be_pickled() -> None:
    page = Page((2, 1), "en")
    page.figure.subplots().plot([1, 2])
    assert pickle.loads(pickle.dumps(page.figure))._repr_png_() == page.figure._repr_png_()


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for a kernel: the shell of a notebook has one."""
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def train() -> None:
    rng = np.random.default_rng(0)
    net = nn.Linear(2, 2, rng=rng)
    Trainer(net, F.softmax_cross_entropy, SGD(net, 0.1), rng=rng).fit(
        (np.ones((4, 2)), np.zeros(4, int)), epochs=1, batch_size=2
    )


def check() -> None:
    check_gradients(lambda x: np.sum(x**2), np.ones(600), exact_properties=False, mode="full")


@pytest.mark.parametrize(("work", "title"), [(train, "epoch 1/1"), (check, "gradient check")], ids=["fit", "check"])
def test_a_notebook_shows_a_bar(
    work: Callable[[], None], title: str, notebook: None, capsys: pytest.CaptureFixture[str]
) -> None:
    work()
    assert title in capsys.readouterr().err


@pytest.mark.usefixtures("notebook")
def test_a_notebook_without_tqdm_shows_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, module, None)
    train()
    assert capsys.readouterr() == ("", "")


def test_a_shell_without_a_kernel_and_without_a_terminal_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for shell in (None, SimpleNamespace()):  # a script that imported IPython; IPython on a terminal, into a file
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert visible_tqdm() is None
    monkeypatch.setattr(sys, "stderr", None)
    assert visible_tqdm() is None
