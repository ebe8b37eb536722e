"""The command ``predict``: which digits images show."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.cli.options import UsageError, add_option, note, say
from tinygrad_kr.cli.run_folder import open_run
from tinygrad_kr.cli.train_options import model_name
from tinygrad_kr.common.extras import require
from tinygrad_kr.datasets import read_idx
from tinygrad_kr.errors import DataError

__all__ = ["add_arguments", "images", "run"]

SIDE = 28
DIGIT_SIDE = 20
"""MNIST's digits fill a square of this side; their centre of mass is in the middle of the image (LeCun et al. 1998)."""
INK = 0.25
"""An image without this contrast is blank."""
DARK_GROUND, LIGHT_GROUND = 0.4, 0.75
"""Up to this share, and from this share on, of a border that is light, it is certain what the ground is."""
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to a parser."""
    parser.add_argument("run", help="the folder of a run, or a file of weights", type=Path)
    parser.add_argument(
        "images",
        help="IDX files, .npy arrays of 28 x 28 pixels, or pictures (.png, .jpg, ...) of one digit each; a picture of "
        "another size is cropped to its digit, scaled and centred as those of MNIST are",
        type=Path,
        nargs="+",
    )
    add_option(parser, "--model", "the network, if it is code of your own: PATH.py:factory", type=model_name)
    add_option(
        parser,
        "--invert",
        "whether the digits are dark on a light ground (default: each image is looked at, and a note says so)",
        action=argparse.BooleanOptionalAction,
        default=None,
    )


def run(options: argparse.Namespace) -> int:
    """Print the label and the probabilities of each image; return the exit status 0."""
    found = [images(path, options.invert) for path in options.images]
    several, pixels = len(found) > 1, np.concatenate(found)
    probabilities = open_run(options.run, options.model).probabilities(pixels)
    files = [path for path, group in zip(options.images, found, strict=True) for _ in group]
    heading = "image  label " + "".join(f"{f'p({digit})':>8}" for digit in range(probabilities.shape[1]))
    say(heading + "  file" * several)
    for i, (row, path) in enumerate(zip(probabilities, files, strict=True)):
        label, numbers = f"{np.argmax(row):5}", "".join(f"{p:8.4f}" for p in row)
        if np.ptp(pixels[i]) < INK:
            label, numbers = "blank", " " * len(numbers)
        say(f"{i:5}  {label} {numbers}" + f"  {path}" * several)
    return 0


def images(path: Path, invert: bool | None = None) -> NDArray[np.float64]:
    """Return the images of a file, of shape (N, 1, 28, 28), from 0 for the ground to 1.

    Whether they are dark on a light ground is seen by their borders, and noted, unless `invert` says it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    picture = path.suffix.lower() in PICTURES
    values = _picture(path, invert) if picture else _arrays(path)
    if invert is None:
        shares = np.array([light_border(image[0]) for image in values])
        if np.any((shares > DARK_GROUND) & (shares < LIGHT_GROUND)):
            raise UsageError(
                f"{path}: its border does not show whether the digit is dark on a light ground; "
                "say --invert if it is, or --no-invert"
            )
        dark = shares >= LIGHT_GROUND
        if np.any(dark):
            which = "" if np.all(dark) else f" in {np.sum(dark)} of {len(dark)} images"
            note(f"{path}: dark on a light ground{which}, so inverted first; --no-invert takes it as it is")
    else:
        dark = np.full(len(values), invert)
    values[dark] = 1 - values[dark]
    return _as_in_mnist(path, values[0, 0]).reshape(1, 1, SIDE, SIDE) if picture else values


def light_border(image: NDArray[np.float64]) -> float:
    """Return the fraction of border pixels lighter than the middle of the image's range; 0 for a blank image."""
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    low, high = image.min(), image.max()
    return float(np.mean(border > (low + high) / 2)) if high - low >= INK else 0.0


def _arrays(path: Path) -> NDArray[np.float64]:
    """Return the grey values of an IDX or an npy file, as they are."""
    pixels = _npy(path) if path.suffix == ".npy" else read_idx(path)
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


def _picture(path: Path, invert: bool | None) -> NDArray[np.float64]:
    """Return the grey values of a picture, of shape (1, 1, height, width), as they are.

    What is transparent is ground: black, or white under what is darker.
    """
    library = require("PIL.Image", "train", "reading pictures")
    too_large = library.DecompressionBombWarning, library.DecompressionBombError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", library.DecompressionBombWarning)
            with library.open(path) as file:
                if file.mode.startswith(("I", "F")):  # the library would cut the values off at 255
                    raise DataError(f"{path}: expected 8 bits a pixel, found a picture of mode {file.mode}")
                picture = file.convert("RGBA")
    except (OSError, ValueError, SyntaxError, *too_large) as error:
        raise DataError(f"{path}: not a picture that can be read: {error}") from error
    light = _dark_ink(picture) if invert is None else invert
    ground = library.new("RGBA", picture.size, "white" if light else "black")
    return np.asarray(library.alpha_composite(ground, picture).convert("L"), np.float64)[None, None] / 255


def _dark_ink(picture: Any) -> bool:
    """Return whether what is opaque in a picture is dark."""
    pixels = np.asarray(picture.convert("LA"), np.float64)
    return bool(np.average(pixels[..., 0], weights=pixels[..., 1] + 1e-9) < 128)


def _as_in_mnist(path: Path, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a picture of any size as one of 28 x 28 pixels, its digit as large and as central as those of MNIST."""
    low, high = values.min(), values.max()
    if high - low < INK:
        raise DataError(f"{path}: no digit to be seen: it is blank, with a contrast of {high - low:.0%}")
    if values.shape == (SIDE, SIDE):
        return values
    values = (values - low) / (high - low)
    rows, columns = (np.flatnonzero(values.max(axis=axis) > INK) for axis in (1, 0))
    digit = values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(DIGIT_SIDE * n / max(digit.shape))) for n in digit.shape)
    library = require("PIL.Image", "train", "reading pictures")
    scaled = library.fromarray(np.round(255 * digit).astype(np.uint8)).resize((width, height))
    small = np.asarray(scaled, np.float64) / 255
    image = np.zeros((SIDE, SIDE))
    masses = small.sum(axis=1), small.sum(axis=0)
    top, left = (
        int(np.clip(round(SIDE / 2 - np.average(np.arange(len(mass)) + 0.5, weights=mass)), 0, SIDE - len(mass)))
        for mass in masses
    )
    image[top : top + height, left : left + width] = small
    return image
