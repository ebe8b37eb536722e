"""The command ``train``: its options, and which of the two jobs does it.

The two-layer network of the documents goes through their own loop, in ``two_layer``; networks of layers go through the
Trainer, in ``network``.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tinygrad_kr.cli import network, two_layer
from tinygrad_kr.cli.networks import NETWORKS
from tinygrad_kr.cli.options import Parser, UsageError, add_option, count, noted, rate, seed
from tinygrad_kr.cli.results import CHECKPOINTS, check_out, claimed, read_settings
from tinygrad_kr.errors import DataError

__all__ = ["RESUME", "add_parser", "model_name", "of_layers", "parsed", "read_options", "run", "trusted_model"]

RESUME = "--resume"
"""In place of a model: the options are those of an interrupted run, but for what is given anew."""
COMMON = {"batch_size": 100, "lr": None, "seed": 0, "dtype": "float32", "out": None, "data": None, "quiet": False}
TWO_LAYER = {"epochs": 20, "hidden": 100, "activation": "relu", "loss": "softmax_cross_entropy"}
OF_LAYERS = {"optimizer": "adam", "schedule": "cosine", "warm_up": None}
OPTIONS = {"command", "resume", "model", *COMMON, *TWO_LAYER, *OF_LAYERS}
ANEW = {"command", "resume", "model", "epochs", "data", "quiet"}
"""What may stand beside --resume."""
EPILOG = f"""\
With --model mlp, cnn or PATH.py:factory the digits come as images of shape (N, 1, 28, 28), the loss is
softmax_cross_entropy, and the defaults are --optimizer {OF_LAYERS["optimizer"]} --schedule {OF_LAYERS["schedule"]}
and --epochs {", ".join(f"{network.epochs} for {name}" for name, network in NETWORKS.items())}, 10 for another.
Such a run can be interrupted with Ctrl-C, and goes on with --resume DIR to the same numbers.
"""


def add_parser(commands: Any, model: str = "two-layer") -> None:
    """Add the command to those of a parser, with the defaults of a model; with none for RESUME.

    What has no default there is absent from the options unless it was given.
    """
    defaults: dict[str, Any]
    if model == RESUME:
        defaults = {}
    elif model == "two-layer":
        defaults = COMMON | TWO_LAYER
    else:
        epochs = NETWORKS[model].epochs if model in NETWORKS else 10
        defaults = COMMON | OF_LAYERS | {"epochs": epochs, "model": model}
    parser = commands.add_parser(
        "train",
        help="prove the gradient of a network, train it on MNIST, show the result",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def add(name: str, help: str, **settings: Any) -> None:
        key = name.removeprefix("--").replace("-", "_")
        add_option(parser, name, help, default=defaults.get(key, argparse.SUPPRESS), **settings)

    rates = ", ".join(f"{lr:g} for {loss}" for loss, lr in two_layer.LEARNING_RATES.items())
    more = ", ".join(f"{optimizer.lr:g} for {name}" for name, optimizer in network.OPTIMIZERS.items())
    add("--model", "two-layer, mlp, cnn, or PATH.py:factory, where factory(rng) returns an nn.Module", type=model_name)
    add("--epochs", "how often to go through the training digits", type=count, metavar="N")
    add("--batch-size", "digits in a mini-batch", type=count, metavar="N")
    add("--lr", f"learning rate (default: {rates}; {more})", type=rate, metavar="RATE")
    add("--hidden", "units in the hidden layer, two-layer only", type=count, metavar="N")
    add("--activation", "of the hidden layer, two-layer only", choices=two_layer.ACTIVATIONS)
    add("--loss", "what to make small, two-layer only", choices=two_layer.LEARNING_RATES)
    add("--optimizer", "how gradients become updates, not for two-layer", choices=network.OPTIMIZERS)
    add("--schedule", "of the learning rate, not for two-layer", choices=network.SCHEDULES)
    add("--warm-up", "steps in which it rises (default: a twentieth of all)", type=count, metavar="STEPS")
    add("--seed", "same seed, same numbers", type=seed, metavar="N")
    add("--dtype", "of the weights, in training", choices=("float32", "float64"))
    add("--out", "folder for the results (default: runs/<time>)", type=Path, metavar="DIR")
    add("--data", "folder with the four MNIST files (default: the sample inside the package)", type=Path, metavar="DIR")
    add("--resume", "go on with the interrupted run of this folder", type=Path, metavar="DIR")
    add("--quiet", "print only the final accuracy and the folder", action="store_true")


def model_name(text: str) -> str:
    """Return a model as it was named, a file by its whole path."""
    if text == "two-layer" or text in NETWORKS:
        return text
    path, colon, factory = text.rpartition(":")
    if not (colon and factory and path.endswith(".py")):
        known = ", ".join(["two-layer", *NETWORKS])
        raise argparse.ArgumentTypeError(f"expected {known} or PATH.py:factory, got {text!r}")
    return f"{Path(path).resolve()}:{factory}"


def of_layers(options: argparse.Namespace) -> str | None:
    """Return whose defaults hold, if they are not those of the two-layer network."""
    if hasattr(options, "resume"):
        return RESUME
    model: str = getattr(options, "model", "two-layer")
    return None if model == "two-layer" else model


def run(options: argparse.Namespace) -> int:
    """Train as asked for.

    Parameters
    ----------
    options : argparse.Namespace
        What a parser returned to which ``add_parser`` was applied, for the model that they name.

    Returns
    -------
    int
        The exit status 0.

    Raises
    ------
    UsageError
        If the options do not go together.
    """
    resumed, layered = hasattr(options, "resume"), of_layers(options) is not None
    if resumed:
        options = _of_run(options)
    else:
        for name in TWO_LAYER.keys() - {"epochs"} if layered else OF_LAYERS:
            if hasattr(options, name):
                whose = "--model two-layer" if layered else "--model mlp, cnn or PATH.py:factory"
                raise UsageError(f"--{name.replace('_', '-')} is for {whose} only")
        if options.out is not None:
            check_out(options.out)
    try:
        with noted(), nullcontext() if resumed else claimed(options):
            if layered:
                network.run(options, resumed)
            else:
                two_layer.run(options)
    except KeyboardInterrupt as interrupt:
        if _resumable(options.out):
            raise KeyboardInterrupt(f"go on with: train --resume {options.out}") from interrupt
        raise
    return 0


def _resumable(folder: Path | None) -> bool:
    return folder is not None and any((folder / name).is_file() for name in CHECKPOINTS)


def _of_run(options: argparse.Namespace) -> argparse.Namespace:
    """Return the options of an interrupted run, with those given anew."""
    given = vars(options)
    folder: Path = given["resume"]
    if extra := sorted(given.keys() - ANEW):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in extra)
        raise UsageError(f"--resume goes on with the options of the run; leave out {names}")
    saved = read_options(folder)
    model = trusted_model(saved, given.get("model"))
    if model == "two-layer" or not _resumable(folder):
        raise UsageError(f"--resume {folder}: no run there that can go on; it needs a checkpoint of mlp, cnn or a file")
    options = parsed({**saved, **given, "model": model, "out": folder})
    return options


def read_options(folder: Path) -> dict[str, Any]:
    """Return the options of a run."""
    options: dict[str, Any] = read_settings(folder)["options"]
    return options


def trusted_model(saved: dict[str, Any], given: str | None) -> str:
    """Return the model of a run; code of the user's own is run only if it is named again."""
    model = str(saved.get("model", "two-layer"))
    if model != "two-layer" and model not in NETWORKS:
        if given is None or given in NETWORKS or given == "two-layer":
            raise UsageError(f"its network is code from {model}; if you trust it, say so with --model {model}")
        return given
    if given not in (None, model):
        raise UsageError(f"--model {given}: the run has {model}")
    return model


def parsed(options: dict[str, Any]) -> argparse.Namespace:
    """Return options from a file, checked as those of the command line are."""
    if unknown := sorted(options.keys() - OPTIONS):
        raise DataError(f"settings.json: train has no option {', '.join(map(repr, unknown))}")
    parser = Parser(allow_abbrev=False)
    add_parser(parser.add_subparsers(dest="command"), str(options.get("model", "two-layer")))
    arguments = ["train"]
    for name, value in options.items():
        if name not in ("command", "resume") and value is not None and value is not False:
            option = f"--{name.replace('_', '-')}"
            arguments += [option] if value is True else [f"{option}={value}"]
    checked: argparse.Namespace = parser.parse_args(arguments)
    return checked
