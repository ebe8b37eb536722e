"""The networks that the command line trains: how each is made, fed, described and proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_kr import functional as F
from tinygrad_kr import nn
from tinygrad_kr.cli.options import UsageError
from tinygrad_kr.cli.proofs import prove_along_directions, prove_each_element
from tinygrad_kr.cli.train_options import TWO_LAYER, TrainOptions
from tinygrad_kr.cli.user_code import function_at, importable, raised
from tinygrad_kr.datasets import Split, load_mnist, load_mnist_sample
from tinygrad_kr.models import TwoLayerNet, cnn, mlp
from tinygrad_kr.training.evaluation import scores

__all__ = ["NETWORKS", "Network", "load_digits", "network_of"]

PIXELS, CLASSES = 784, 10


@dataclass(frozen=True)
class Network:
    """A network that the command line trains.

    Attributes
    ----------
    build : callable
        From the options and a random generator to the network, with initial weights.
    describe : callable
        From the options and the network to what is printed of them.
    prove : callable
        Checks the gradient, and returns what ``settings.json`` keeps of that; GradientError if it is wrong.
    flat : bool
        Whether images go in as rows of 784 pixels.
    measured : int or None
        Of how many training digits the accuracy is measured; None for all.
    """

    build: Callable[[TrainOptions, np.random.Generator], nn.Module]
    describe: Callable[[TrainOptions, nn.Module], str]
    prove: Callable[..., Any]
    flat: bool = False
    measured: int | None = 10_000

    def loss(self, network: nn.Module) -> Callable[[Any, Any], Any]:
        """Return the loss of scores and targets."""
        return network.loss_of_scores if isinstance(network, TwoLayerNet) else F.softmax_cross_entropy


def _build_two_layer(options: TrainOptions, rng: np.random.Generator) -> nn.Module:
    return TwoLayerNet(
        PIXELS,
        options.hidden or 0,
        CLASSES,
        activation=options.activation or "",
        loss=options.loss or "",
        dtype=options.dtype,
        rng=rng,
    )


def _describe_two_layer(options: TrainOptions, network: nn.Module) -> str:
    return f"{PIXELS}-{options.hidden}-{CLASSES}, {options.activation}, {options.loss}, {options.dtype}"


def _describe_layers(options: TrainOptions, network: nn.Module) -> str:
    size = sum(parameter.size for _, parameter in network.named_parameters())
    return f"{options.model}, {size:,} parameters, {options.optimizer}, {options.schedule}, {options.dtype}"


def _of_layers(make: Callable[[np.random.Generator], nn.Module]) -> Network:
    return Network(lambda options, rng: make(rng).astype(options.dtype), _describe_layers, prove_along_directions)


NETWORKS = {
    TWO_LAYER: Network(_build_two_layer, _describe_two_layer, prove_each_element, flat=True, measured=None),
    "mlp": _of_layers(mlp),
    "cnn": _of_layers(cnn),
}


def network_of(model: str) -> Network:
    """Return the network of a name or of ``path.py:factory``."""
    return NETWORKS.get(model) or Network(_build_from_file, _describe_layers, prove_along_directions)


def _build_from_file(options: TrainOptions, rng: np.random.Generator) -> nn.Module:
    """Return what a factory of the user's makes; UsageError if it does not take images of digits."""
    path, _, name = options.model.rpartition(":")
    with importable():
        factory = function_at(options.model, {})
        what = f"{Path(path).name}:{name}"
        try:
            made = factory(rng)
        except (Exception, SystemExit) as error:
            raise UsageError(raised(error, f"{what}(rng)")) from error
        if not isinstance(made, nn.Module):
            raise UsageError(f"{what}(rng) must return an nn.Module, got {type(made).__name__}")
        network = made.astype(options.dtype)
        try:
            shape = scores(network, np.zeros((2, 1, 28, 28), options.dtype)).shape
        except (Exception, SystemExit) as error:
            raise UsageError(raised(error, f"calling {what} with images of shape (2, 1, 28, 28)")) from error
    if shape != (2, CLASSES):
        raise UsageError(f"{what}: from images of shape (2, 1, 28, 28) expected scores of shape (2, 10), got {shape}")
    return network


def load_digits(folder: Path | None, **settings: Any) -> tuple[str, Split, Split]:
    """Return the name of the data set, its training and its test examples."""
    if folder is None:
        return "MNIST sample", *load_mnist_sample(**settings)
    if not folder.is_dir():
        raise UsageError(f"--data {folder}: no such folder")
    return "MNIST", *load_mnist(folder, **settings)
