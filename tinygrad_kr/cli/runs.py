"""Runs that are over: their network with its weights, from a folder or from a file of weights alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr import functional as F
from tinygrad_kr.cli import networks, train, two_layer
from tinygrad_kr.cli.options import UsageError
from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.saving import load

__all__ = ["Run", "open_run"]

WEIGHTS = ("weights.safetensors", "weights.npz")


@dataclass(frozen=True)
class Run:
    """A trained network.

    Attributes
    ----------
    options : Namespace
        How it was trained.
    weights : dict of str to ndarray
        What it learnt.
    probabilities : callable
        From images of shape (N, 1, 28, 28), from 0 to 1, to the probabilities of the digits, of shape (N, 10).
    """

    options: argparse.Namespace
    weights: dict[str, NDArray[Any]]
    probabilities: Callable[[NDArray[Any]], NDArray[Any]]


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
    saved = train.read_options(folder) if (folder / "settings.json").is_file() else _guessed(load(path)[0], model)
    chosen = train.trusted_model(saved, model)
    options = train.parsed(saved if chosen == "two-layer" else {**saved, "model": chosen})
    probabilities, network = _network(chosen, options)
    load(path, network)
    return Run(options, load(path)[0], probabilities)


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


def _network(model: str, options: argparse.Namespace) -> tuple[Callable[[NDArray[Any]], NDArray[Any]], Any]:
    rng = np.random.default_rng(0)
    if model != "two-layer":
        network = networks.build(model, rng, options.dtype)
        return lambda images: _softmax(networks.scores(network, images.astype(options.dtype))), network
    net = two_layer.build(options, rng)

    def probabilities(images: NDArray[Any]) -> NDArray[Any]:
        with no_grad():
            return _softmax(raw(net.scores(images.reshape(len(images), -1).astype(options.dtype))))

    return probabilities, net


def _softmax(scores: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(raw(F.softmax(scores.astype(np.float64))))
