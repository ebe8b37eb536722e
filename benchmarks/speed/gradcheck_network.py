"""``python -m benchmarks.speed.gradcheck_network``: certify a network, in which share of ``numerical_gradient``'s time?

TwoLayerNet 784-100-10, 79,510 parameters, four digits, float64. ``check_gradients`` certifies all parameters along
directions; ``numerical_gradient`` differentiates W1 alone. Both run here, one after the other, the check several times.
"""

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.speed.report import STATED, machine
from tinygrad_kr import no_grad
from tinygrad_kr.datasets import load_mnist_sample
from tinygrad_kr.gradcheck import check_gradients
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.numerical import numerical_gradient
from tinygrad_kr.training import far_from_kinks

CHECKS, DIGITS = 7, 4


def main() -> int:
    (digits, labels), _ = load_mnist_sample()
    net = TwoLayerNet(784, 100, 10, rng=np.random.default_rng(0))
    x, t, _ = far_from_kinks(net, digits[:1000].astype(np.float64), labels[:1000], DIGITS)
    known = machine()
    print(*(f"{name.replace('_', ' ')}: {known[name]}" for name in STATED if name in known), sep="\n")
    reports = [check_gradients(lambda: net.loss(x, t), model=net, mode="directions", seed=i) for i in range(CHECKS)]
    print(reports[0])
    start = perf_counter()
    with no_grad():
        numerical_gradient(lambda _: net.loss(x, t), net.params["W1"].data)
    alone = perf_counter() - start
    check = median(report.seconds for report in reports)
    print(f"\nnumerical_gradient of W1 alone: {alone:.2f} s")
    print(f"check_gradients of all parameters: {check:.3f} s (median of {CHECKS}), 1/{alone / check:.0f} of it")
    return int(not all(report.passed for report in reports))


if __name__ == "__main__":
    sys.exit(main())
