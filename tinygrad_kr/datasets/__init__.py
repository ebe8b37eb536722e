"""MNIST and minibatches: what an example needs before it can train.

``load_mnist_sample`` needs no network, ``load_mnist`` fetches the whole data set once; ``sample_batch`` and
``batches`` draw minibatches from any pair of arrays.
"""

from __future__ import annotations

from tinygrad_kr.datasets.idx import read_idx
from tinygrad_kr.datasets.minibatch import batches, one_hot, sample_batch
from tinygrad_kr.datasets.mnist import load_mnist, load_mnist_sample

__all__ = ["batches", "load_mnist", "load_mnist_sample", "one_hot", "read_idx", "sample_batch"]
