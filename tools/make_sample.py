"""Choose the sample that comes with the package from the whole of MNIST.

Run as ``python -m tools.make_sample --data DIR --out DIR``, where ``--data`` is a folder with
the four MNIST files. It prints what ``mnist.py`` must know of the sample.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.datasets.idx import UNSIGNED_BYTES
from tinygrad_kr.datasets.mnist import load_mnist

SEED = 1998  # the year of the paper that introduced MNIST
TRAIN_PER_CLASS = 600
TEST_PER_CLASS = 100


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the four files of the sample and print their digests."""
    parser = argparse.ArgumentParser(description="Choose the MNIST sample of tinygrad_kr.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the four files of MNIST")
    parser.add_argument("--out", type=Path, required=True, help="folder for the four files of the sample")
    options = parser.parse_args(arguments)

    train, test = load_mnist(options.data, normalize=False, flatten=False)
    rng = np.random.default_rng(SEED)
    options.out.mkdir(parents=True, exist_ok=True)
    _write_split(options.out, "train", *train, _choose(train[1], TRAIN_PER_CLASS, rng))
    _write_split(options.out, "t10k", *test, _choose(test[1], TEST_PER_CLASS, rng))


def _choose(labels: NDArray[Any], per_class: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the same number of indices from every class, in shuffled order."""
    members = (np.flatnonzero(labels == label) for label in range(10))
    chosen = [rng.choice(indices, per_class, replace=False) for indices in members]
    return rng.permutation(np.concatenate(chosen))


def _write_split(
    folder: Path, split: str, images: NDArray[Any], labels: NDArray[Any], chosen: NDArray[np.int64]
) -> None:
    _write_idx(folder / f"{split}-images-idx3-ubyte.gz", images[chosen, 0])
    _write_idx(folder / f"{split}-labels-idx1-ubyte.gz", labels[chosen].astype(np.uint8))


def _write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = UNSIGNED_BYTES + bytes([values.ndim]) + np.array(values.shape, ">u4").tobytes()
    content = header + values.tobytes()
    # gzip.compress leaves part of the gzip header to the Python version; this names all of it.
    with path.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=9, fileobj=file, mtime=0) as stream:
        stream.write(content)
    print(path.name, values.shape, hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
