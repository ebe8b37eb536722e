"""The options of ``train``: from the command line, or from the settings of an earlier run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_kr.cli.options import Parser, UsageError, add_option, count, rate, seed
from tinygrad_kr.errors import DataError

__all__ = [
    "ACTIVATIONS",
    "LEARNING_RATES",
    "OPTIMIZERS",
    "SCHEDULES",
    "TWO_LAYER",
    "TrainOptions",
    "add_arguments",
    "model_name",
    "trusted_model",
]

TWO_LAYER = "two-layer"
EPOCHS = {TWO_LAYER: 20, "mlp": 8, "cnn": 5}
"""The models that have a name, with the epochs that they need for MNIST."""
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "identity")
# Each loss with a learning rate that suits it: some are a sum, some a mean over examples or over all outputs.
LEARNING_RATES = {
    "softmax_cross_entropy": 0.5,
    "cross_entropy_error": 0.5,
    "sum_squares_error": 0.02,
    "mean_squared_error": 10.0,
}
OPTIMIZERS = {"sgd": 0.1, "momentum": 0.02, "adagrad": 0.02, "rmsprop": 0.001, "adam": 0.002, "adamw": 0.002}
"""Each with a learning rate that suits it."""
SCHEDULES = ("none", "step", "cosine")
OF_TWO_LAYER: dict[str, Any] = {"hidden": 100, "activation": "relu", "loss": "softmax_cross_entropy"}
OF_LAYERS: dict[str, Any] = {"optimizer": "adam", "schedule": "cosine", "warm_up": None}
ANEW = {"resume", "model", "epochs", "data", "quiet"}
"""What may stand beside --resume."""
EPILOG = f"""\
With --model mlp, cnn or PATH.py:factory the digits come as images of shape (N, 1, 28, 28), the loss is
softmax_cross_entropy, and the defaults are --optimizer {OF_LAYERS["optimizer"]} --schedule {OF_LAYERS["schedule"]}
and --epochs {", ".join(f"{epochs} for {name}" for name, epochs in list(EPOCHS.items())[1:])}, 10 for another.
A run can be interrupted with Ctrl-C, and goes on with --resume DIR to the same numbers.
"""


@dataclass
class TrainOptions:
    """Options of a training; None where an option does not apply to the model.

    Attributes
    ----------
    model : str
        A name in ``EPOCHS``, or ``PATH.py:factory``.
    lr : float
        The learning rate.
    warm_up : int or None
        Steps in which the learning rate rises.
    out : Path or None
        The folder of the run; None until it has one.
    data : Path or None
        The folder of the MNIST files; None for the sample.
    """

    model: str
    epochs: int
    lr: float
    batch_size: int = 100
    hidden: int | None = None
    activation: str | None = None
    loss: str | None = None
    optimizer: str | None = None
    schedule: str | None = None
    warm_up: int | None = None
    seed: int = 0
    dtype: str = "float32"
    out: Path | None = None
    data: Path | None = None
    quiet: bool = False

    @classmethod
    def from_arguments(cls, given: Mapping[str, Any]) -> TrainOptions:
        """Return the options that were given, with the defaults of the model for the others.

        Raises
        ------
        UsageError
            If one of them is for other models only.
        """
        model = given.get("model", TWO_LAYER)
        own, others = (OF_TWO_LAYER, OF_LAYERS) if model == TWO_LAYER else (OF_LAYERS, OF_TWO_LAYER)
        for name in others:
            if name in given:
                whose = "--model mlp, cnn or PATH.py:factory" if model == TWO_LAYER else f"--model {TWO_LAYER}"
                raise UsageError(f"--{name.replace('_', '-')} is for {whose} only")
        values = {"model": model, "epochs": EPOCHS.get(model, 10), **own, **given}
        suits = LEARNING_RATES[values["loss"]] if model == TWO_LAYER else OPTIMIZERS[values["optimizer"]]
        return cls(**{"lr": suits, **values})

    @classmethod
    def from_settings(cls, options: Mapping[str, Any]) -> TrainOptions:
        """Return options that ``settings.json`` holds, checked as those of the command line are.

        Raises
        ------
        DataError, UsageError
            If an option is unknown, or has a value that the command line would refuse.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(options.keys() - known - {"command", "resume"}):
            raise DataError(f"settings.json: train has no option {', '.join(map(repr, unknown))}")
        arguments = []
        for name, value in options.items():
            if name in known and value is not None and value is not False:
                option = f"--{name.replace('_', '-')}"
                arguments += [option] if value is True else [f"{option}={value}"]
        parser = Parser(allow_abbrev=False)
        add_arguments(parser)
        return cls.from_arguments(vars(parser.parse_args(arguments)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser; those that are not given will be absent from what it returns."""
    parser.epilog, parser.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter

    def add(name: str, help: str, default: object = None, **settings: Any) -> None:
        untold = "" if default is None else f" (default: {default})"
        add_option(parser, name, help + untold, default=argparse.SUPPRESS, **settings)

    rates = ", ".join(f"{lr:g} for {name}" for name, lr in LEARNING_RATES.items())
    more = ", ".join(f"{lr:g} for {name}" for name, lr in OPTIMIZERS.items())
    add("--model", "two-layer, mlp, cnn, or PATH.py:factory, where factory(rng) returns an nn.Module", type=model_name)
    add("--epochs", "how often to go through the training digits", EPOCHS[TWO_LAYER], type=count, metavar="N")
    add("--batch-size", "digits in a mini-batch", TrainOptions.batch_size, type=count, metavar="N")
    add("--lr", f"learning rate (default: {rates}; {more})", type=rate, metavar="RATE")
    add("--hidden", "units in the hidden layer, two-layer only", OF_TWO_LAYER["hidden"], type=count, metavar="N")
    add("--activation", "of the hidden layer, two-layer only", OF_TWO_LAYER["activation"], choices=ACTIVATIONS)
    add("--loss", "what to make small, two-layer only", OF_TWO_LAYER["loss"], choices=tuple(LEARNING_RATES))
    add("--optimizer", "how gradients become updates, not for two-layer", choices=tuple(OPTIMIZERS))
    add("--schedule", "of the learning rate, not for two-layer", choices=SCHEDULES)
    add("--warm-up", "steps in which it rises (default: a twentieth of all)", type=count, metavar="STEPS")
    add("--seed", "same seed, same numbers", TrainOptions.seed, type=seed, metavar="N")
    add("--dtype", "of the weights, in training", TrainOptions.dtype, choices=("float32", "float64"))
    add("--out", "folder for the results (default: runs/<time>)", type=Path, metavar="DIR")
    add("--data", "folder with the four MNIST files (default: the sample inside the package)", type=Path, metavar="DIR")
    add("--resume", "go on with the interrupted run of this folder", type=Path, metavar="DIR")
    add("--quiet", "print only the final accuracy and the folder", action="store_true")


def model_name(text: str) -> str:
    """Return a model as it was named, a file by its whole path."""
    if text in EPOCHS:
        return text
    path, colon, factory = text.rpartition(":")
    if not (colon and factory and path.endswith(".py")):
        raise argparse.ArgumentTypeError(f"expected {', '.join(EPOCHS)} or PATH.py:factory, got {text!r}")
    return f"{Path(path).resolve()}:{factory}"


def trusted_model(saved: Mapping[str, Any], given: str | None) -> str:
    """Return the model of a run; code of the user's own is run only if it is named again."""
    model = str(saved.get("model", TWO_LAYER))
    if model not in EPOCHS:
        if given is None or given in EPOCHS:
            raise UsageError(f"its network is code from {model}; if you trust it, say so with --model {model}")
        return given
    if given not in (None, model):
        raise UsageError(f"--model {given}: the run has {model}")
    return model
