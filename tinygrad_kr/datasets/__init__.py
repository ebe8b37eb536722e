"""MNIST, and minibatches of any pair of arrays.

``load_mnist_sample`` reads the sample in this package; ``load_mnist`` downloads the whole data set once.
"""

from __future__ import annotations

from tinygrad_kr.datasets.idx import read_idx
from tinygrad_kr.datasets.minibatch import Split, batches, one_hot, sample_batch
from tinygrad_kr.datasets.mnist import load_mnist, load_mnist_sample

__all__ = ["Split", "batches", "load_mnist", "load_mnist_sample", "one_hot", "read_idx", "sample_batch"]
