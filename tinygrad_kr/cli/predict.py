"""The command ``predict``: which digits images show."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr._extras import require
from tinygrad_kr.cli.options import UsageError, add_option, say
from tinygrad_kr.cli.runs import open_run
from tinygrad_kr.cli.train import model_name
from tinygrad_kr.datasets import read_idx
from tinygrad_kr.errors import DataError

__all__ = ["add_parser", "images", "run"]

SIDE = 28


def add_parser(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = commands.add_parser(
        "predict", help="say which digits images show, with a trained network", allow_abbrev=False
    )
    parser.add_argument("run", help="the folder of a run, or a file of weights", type=Path)
    parser.add_argument("images", help="an IDX file, a .npy array or a .png of 28 x 28 pixels", type=Path)
    add_option(parser, "--model", "the network, if it is code of your own: PATH.py:factory", type=model_name)
    add_option(parser, "--invert", "the digits are dark on a light ground", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Print the label and the probabilities of each image; return the exit status 0."""
    digits = images(options.images)
    probabilities = open_run(options.run, options.model).probabilities(1 - digits if options.invert else digits)
    say("image  label " + "".join(f"{f'p({digit})':>8}" for digit in range(probabilities.shape[1])))
    for i, row in enumerate(probabilities):
        say(f"{i:5}  {np.argmax(row):5} " + "".join(f"{p:8.4f}" for p in row))
    return 0


def images(path: Path) -> NDArray[np.float64]:
    """Return the images of a file, of shape (N, 1, 28, 28), from 0 for the ground to 1."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    if path.suffix.lower() == ".png":
        pixels = _png(path)
    elif path.suffix == ".npy":
        pixels = _npy(path)
    else:
        pixels = read_idx(path)
    bytes_ = pixels.dtype == np.uint8
    if (pixels.shape[-2:] != (SIDE, SIDE) and pixels.shape[-1:] != (SIDE * SIDE,)) or pixels.size == 0:
        raise DataError(f"{path}: expected images of {SIDE} x {SIDE} pixels, found shape {pixels.shape}")
    values = pixels.reshape(-1, 1, SIDE, SIDE) / (255.0 if bytes_ else 1.0)
    if not (np.all(values >= 0) and np.all(values <= 1)):
        raise DataError(f"{path}: expected pixels as uint8, or from 0 to 1, found {values.min():g} to {values.max():g}")
    return values.astype(np.float64)


def _npy(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: not an array as np.save writes it: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise DataError(f"{path}: expected an array of numbers")
    return array


def _png(path: Path) -> NDArray[Any]:
    """Return the grey values of a picture; a transparent ground is black."""
    image = require("matplotlib.image", "train", "reading .png")
    try:
        picture = np.asarray(image.imread(path), np.float64)
    except (ValueError, SyntaxError, OSError) as error:
        raise DataError(f"{path}: not a picture that can be read: {error}") from error
    if picture.ndim == 3:
        colours = picture[..., :3] if picture.shape[-1] > 2 else picture[..., :1]
        opacity = picture[..., -1] if picture.shape[-1] in (2, 4) else 1.0
        picture = colours.mean(axis=-1) * opacity
    return picture
