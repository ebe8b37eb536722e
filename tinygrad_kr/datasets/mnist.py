"""MNIST, whole or as the sample in this package; the SHA-256 of every file is checked on every load."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.files import whole
from tinygrad_kr.common.progress import Hidden, bar
from tinygrad_kr.datasets.idx import read_idx
from tinygrad_kr.datasets.minibatch import Split, one_hot
from tinygrad_kr.errors import DataError

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
DATA_VARIABLE = "TINYGRAD_KR_DATA"
SAMPLE_FOLDER = Path(__file__).parent / "sample"
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 2**16


@dataclass(frozen=True)
class IdxFile:
    """One file of a data set: its name, and the shape and SHA-256 of its uncompressed content."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    def path(self, folder: Path) -> Path:
        """Return its path in a folder: the plain file if there is one, else the compressed file."""
        plain = folder / self.name
        return plain if plain.is_file() else folder / f"{self.name}.gz"

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Read a file; raise DataError if its content is not that of this one."""
        return read_idx(path, shape=self.shape, sha256=self.sha256)


def _idx_files(train: int, test: int, *sha256: str) -> tuple[IdxFile, ...]:
    """Return the four files of a data set with so many training and test digits, of these SHA-256."""
    shapes: dict[str, tuple[int, ...]] = {
        "train-images-idx3-ubyte": (train, 28, 28),
        "train-labels-idx1-ubyte": (train,),
        "t10k-images-idx3-ubyte": (test, 28, 28),
        "t10k-labels-idx1-ubyte": (test,),
    }
    return tuple(IdxFile(name, shape, digest) for (name, shape), digest in zip(shapes.items(), sha256, strict=True))


MNIST = _idx_files(
    60_000,
    10_000,
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
SAMPLE = _idx_files(
    6_000,
    1_000,
    "09d63aa82963e0bc1d9e4ef8164c62de9bca9036cc7c4b44ef2bc7ab6941e6bd",
    "c97e0b472c075b09c4d44e3269f39a3257d05494085259ff364778f24f2113aa",
    "acee4491f064e7d319b5ce14c6441ebd9f71f7072f449e5eeed42dc4d838de64",
    "0b35b1bd46086a095cd612202616bda55ce9d32b9db7a5feda1620f217374195",
)


def load_mnist(
    directory: str | os.PathLike[str] | None = None,
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
) -> tuple[Split, Split]:
    """Load MNIST: 60,000 training and 10,000 test digits.

    The four IDX files, gzip-compressed or not, are taken from `directory`; else from the folder that the
    environment variable ``TINYGRAD_KR_DATA`` names; else from the user's cache, into which missing files are
    downloaded once (11 MB). A folder that was named is never downloaded into.

    Parameters
    ----------
    directory : str or path-like, optional
        The folder with the files.
    normalize : bool, default True
        Give pixels as float32 from 0 to 1, rather than uint8 from 0 to 255.
    flatten : bool, default True
        Give an image as a row of 784 pixels, rather than 1 x 28 x 28.
    one_hot_label : bool, default False
        Give labels as one-hot float32 of shape (N, 10), rather than int64 class indices of shape (N,).

    Returns
    -------
    (x_train, t_train), (x_test, t_test) : tuples of ndarray
        Images of shape (N, 784) or (N, 1, 28, 28), and their labels.

    Raises
    ------
    FileNotFoundError
        If a folder was named and lacks files.
    DataError
        If a file is not the one that its SHA-256 says, on disk or as downloaded.
    OSError
        If the download fails.

    Notes
    -----
    The MNIST database is by Yann LeCun, Corinna Cortes and Christopher J.C. Burges, under CC BY-SA 3.0.

    Examples
    --------
    >>> load_mnist("no-such-folder")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: no-such-folder lacks train-images-idx3-ubyte, ...
    """
    return _load(_locate(directory), MNIST, normalize, flatten, one_hot_label)


def load_mnist_sample(normalize: bool = True, flatten: bool = True, one_hot_label: bool = False) -> tuple[Split, Split]:
    """Load the sample of MNIST inside this package: 6,000 training and 1,000 test digits, without a network.

    Every class has 600 training and 100 test digits, chosen at random from the training and the test files
    of MNIST.

    Parameters
    ----------
    normalize : bool, default True
        Give pixels as float32 from 0 to 1, rather than uint8 from 0 to 255.
    flatten : bool, default True
        Give an image as a row of 784 pixels, rather than 1 x 28 x 28.
    one_hot_label : bool, default False
        Give labels as one-hot float32 of shape (N, 10), rather than int64 class indices of shape (N,).

    Returns
    -------
    (x_train, t_train), (x_test, t_test) : tuples of ndarray
        Images of shape (N, 784) or (N, 1, 28, 28), and their labels.

    Raises
    ------
    DataError
        If a file was altered.

    Notes
    -----
    The MNIST database is by Yann LeCun, Corinna Cortes and Christopher J.C. Burges, under CC BY-SA 3.0; so is
    the sample.

    Examples
    --------
    >>> (x_train, t_train), (x_test, t_test) = load_mnist_sample()
    >>> x_train.shape, x_train.dtype, t_train.shape, t_train.dtype
    ((6000, 784), dtype('float32'), (6000,), dtype('int64'))
    >>> np.bincount(t_test)
    array([100, 100, 100, 100, 100, 100, 100, 100, 100, 100])
    """
    return _load(SAMPLE_FOLDER, SAMPLE, normalize, flatten, one_hot_label)


def _load(
    folder: Path, files: Iterable[IdxFile], normalize: bool, flatten: bool, as_one_hot: bool
) -> tuple[Split, Split]:
    x_train, t_train, x_test, t_test = (file.read(file.path(folder)) for file in files)
    return (
        (_images(x_train, normalize, flatten), _labels(t_train, as_one_hot)),
        (_images(x_test, normalize, flatten), _labels(t_test, as_one_hot)),
    )


def _images(pixels: NDArray[np.uint8], normalize: bool, flatten: bool) -> NDArray[Any]:
    images = pixels.reshape(-1, 784) if flatten else pixels.reshape(-1, 1, 28, 28)
    return np.divide(images, 255, dtype=np.float32) if normalize else images


def _labels(labels: NDArray[np.uint8], as_one_hot: bool) -> NDArray[Any]:
    return one_hot(labels, 10) if as_one_hot else labels.astype(np.int64)


def _locate(directory: str | os.PathLike[str] | None) -> Path:
    if directory is None:
        directory = os.environ.get(DATA_VARIABLE) or None
    if directory is None:
        cache = cache_folder()
        download(cache, missing_files(cache))
        return cache
    folder = Path(directory).expanduser()
    if missing := missing_files(folder):
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(file.name for file in missing)} (plain or .gz); "
            f"put the files there, or name no folder and unset {DATA_VARIABLE} to download them"
        )
    return folder


def missing_files(folder: Path) -> list[IdxFile]:
    """Return the files of MNIST that are not in a folder."""
    return [file for file in MNIST if not file.path(folder).is_file()]


def cache_folder() -> Path:
    """Return the folder of this user for downloaded files."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "tinygrad_kr", "mnist")


def download(folder: Path, files: Iterable[IdxFile], base_url: str = MIRROR) -> None:
    """Download files into a folder; each appears there once its SHA-256 has been verified."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        _download_file(folder, file, f"{base_url}{file.name}.gz")


def _download_file(folder: Path, file: IdxFile, url: str) -> None:
    by_hand = f"download it by hand into {folder}, or set {DATA_VARIABLE} to a folder with MNIST"
    temporary = ""
    try:
        with whole(folder / f"{file.name}.gz") as out:
            temporary = out.name
            _transfer(url, out, at_most=math.prod(file.shape))
            out.flush()
            file.read(Path(temporary))
    except OSError as error:
        raise OSError(f"cannot download {url}: {error}; {by_hand}") from error
    except DataError as error:
        reason = str(error).removeprefix(f"{temporary}: ")
        raise DataError(f"downloaded {url}: {reason}; {by_hand}") from error


def _transfer(url: str, out: BinaryIO, at_most: int) -> None:
    """Copy the content of a URL; raise DataError if it is longer than the file can be."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    received = 0
    try:
        title = url.rpartition("/")[2]
        with (
            urlopen(url, timeout=TIMEOUT_SECONDS) as response,
            bar(title=title, unit="B", unit_scale=True, total=response.length) as shown,
        ):
            if isinstance(shown, Hidden) and sys.stderr is not None:  # None: it was closed
                print(f"downloading {url}", file=sys.stderr)
            while chunk := response.read(CHUNK_BYTES):
                received += len(chunk)
                if received > at_most:
                    raise DataError(f"expected at most {at_most} bytes, found more")
                out.write(chunk)
                shown.update(len(chunk))
            if response.length:
                raise ConnectionError(f"the transfer broke off {response.length} bytes before its end")
    except HTTPError as error:
        error.close()  # it holds the connection
        raise
    except HTTPException as error:
        raise ConnectionError(repr(error)) from error
