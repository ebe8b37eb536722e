"""Runs that are over: their network with its weights, from a folder or from a file of weights alone."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr import functional as F
from tinygrad_kr import nn
from tinygrad_kr.cli import networks, train, two_layer
from tinygrad_kr.cli.options import UsageError
from tinygrad_kr.cli.results import WEIGHTS
from tinygrad_kr.datasets import one_hot
from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import DataError
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.saving import load

__all__ = ["Run", "open_run"]


@dataclass(frozen=True)
class Run:
    """A trained network.

    Attributes
    ----------
    options : Namespace
        How it was trained.
    network : TwoLayerNet or Module
        With what it learnt, in evaluation.
    """

    options: argparse.Namespace
    network: TwoLayerNet | nn.Module

    def inputs(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return images of shape (N, 1, 28, 28), from 0 to 1, as what goes into the network."""
        x = images.astype(self.options.dtype, copy=False)
        return x.reshape(len(x), -1) if isinstance(self.network, TwoLayerNet) else x

    def loss(self, x: NDArray[Any], labels: NDArray[Any]) -> Any:
        """Return the loss of what ``inputs`` returned, on the graph."""
        if isinstance(self.network, TwoLayerNet):
            rows = self.options.loss in two_layer.OF_ROWS
            return self.network.loss(x, one_hot(labels, networks.CLASSES) if rows else labels)
        return F.softmax_cross_entropy(self.network(x), labels)

    def probabilities(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return the probabilities of the digits, of shape (N, 10)."""
        x = self.inputs(images)
        if isinstance(self.network, TwoLayerNet):
            with no_grad():
                scores = raw(self.network.scores(x))
        else:
            scores = networks.scores(self.network, x)
        return np.asarray(F.softmax(scores.astype(np.float64)))


def open_run(path: Path, model: str | None = None) -> Run:
    """Load the network of a run.

    Parameters
    ----------
    path : Path
        The folder of the run, or a file with weights: in such a folder, or alone.
    model : str, optional
        The network that the weights belong to, where the run does not say it or it is the user's own code.

    Raises
    ------
    UsageError, DataError
        If there is no such run, or the weights do not fit the network.
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise UsageError(f"{path}: no such folder or file")
    if path.is_dir():
        path = next((path / name for name in WEIGHTS if (path / name).is_file()), path / WEIGHTS[0])
        if not path.is_file():
            raise UsageError(f"{folder}: no finished run there: it has no {' or '.join(WEIGHTS)}")
    if path.suffix not in (".safetensors", ".npz"):
        raise UsageError(f"{path}: expected a folder of a run, or weights as .safetensors or .npz")
    arrays, _ = load(path)
    saved = train.read_options(folder) if (folder / "settings.json").is_file() else _guessed(arrays, model)
    chosen = train.trusted_model(saved, model)
    options = train.parsed(saved if chosen == "two-layer" else {**saved, "model": chosen})
    rng = np.random.default_rng(0)
    two = chosen == "two-layer"
    if two and {name: array.shape for name, array in arrays.items()} != two_layer.shapes(options):
        # Before it is built: what the settings claim could be larger than the memory.
        raise DataError(f"{path}: expected the weights of 784-{options.hidden}-10, as settings.json says; found others")
    network = two_layer.build(options, rng) if two else networks.build(chosen, rng, options.dtype).eval()
    load(path, network)
    return Run(options, network)


def _guessed(weights: dict[str, NDArray[Any]], model: str | None) -> dict[str, Any]:
    """Return options of a run that these weights, which stand alone, can come from."""
    if model not in (None, "two-layer"):
        return {"model": model}
    if weights.keys() == {"W1", "b1", "W2", "b2"}:
        return {"hidden": weights["b1"].size}
    shapes = {name: array.shape for name, array in weights.items()}
    for name in networks.NETWORKS:
        own = networks.build(name, np.random.default_rng(0), np.float32).state()
        if {key: array.shape for key, array in own.items()} == shapes:
            return {"model": name}
    raise UsageError("these weights fit no network of the command line; name it with --model PATH.py:factory")
