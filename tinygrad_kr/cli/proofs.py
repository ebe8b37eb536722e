"""The proof of a gradient before a training: in each element, or along random directions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_kr import functional as F
from tinygrad_kr import nn
from tinygrad_kr.cli.options import GradientError
from tinygrad_kr.cli.train_options import TrainOptions
from tinygrad_kr.datasets import Split
from tinygrad_kr.gradcheck import Verdict, check_gradients
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.numerical import Progress
from tinygrad_kr.training import compare_gradients, far_from_kinks

__all__ = ["prove_along_directions", "prove_each_element"]

CANDIDATES = 1000
ONE_BY_ONE, DIRECTIONS = 200_000, 5
"""Up to so many elements the gradient is compared in each, which takes up to a minute; beyond, along directions."""
TOLERANCE = 1e-7
"""From this relative difference on, in float64, the exact or the numerical gradient is wrong."""
NUDGE = 0.05


def prove_each_element(
    network: TwoLayerNet, train_set: Split, options: TrainOptions, tell: Callable[..., None], progress: Progress | None
) -> list[dict[str, Any]]:
    """Compare the exact with the numerical gradient on four digits, and raise GradientError if they disagree."""
    digits, labels = train_set
    x, t, margin = far_from_kinks(network, digits[:CANDIDATES], labels[:CANDIDATES], 4)
    size = sum(parameter.size for _, parameter in network.named_parameters())
    directions = None if size <= ONE_BY_ONE else DIRECTIONS
    extent = f"{size:,} elements" if directions is None else f"{DIRECTIONS} random directions for {size:,} elements"
    tell(f"\nexact against numerical gradient, in float64 on {len(x)} digits: {extent}")
    if options.activation in ("relu", "leaky_relu"):
        tell(f"(digits that keep every hidden unit at least {margin:.2g} away from the kink at 0)")
    differences = compare_gradients(network, x, t, progress, directions)
    tell("parameter       shape  largest difference  relative")
    for row in differences:
        shape = " x ".join(map(str, row.shape))
        tell(f"{row.name:9}  {shape:>10}  {row.largest:18.1e}  {row.relative:8.1e}")
    wrong = [row for row in differences if not row.relative < TOLERANCE]
    if wrong:
        details = ", ".join(f"{row.name} by {row.relative:.1e}" for row in wrong)
        raise GradientError(
            f"exact and numerical gradient differ by {TOLERANCE:g} or more of the largest element: {details}"
        )
    return list(map(dataclasses.asdict, differences))


def prove_along_directions(
    network: nn.Module, train_set: Split, options: TrainOptions, tell: Callable[..., None], progress: Progress | None
) -> dict[str, Any]:
    """Check the gradient on two digits along random directions, and raise GradientError if it is wrong.

    In float64, in evaluation, on digits with a little noise and near the initial weights rather than at them: where
    biases are 0 and pixels black, ReLU and pooling are at their kinks, where no finite difference can tell.
    """
    rng = np.random.default_rng([options.seed, 2])
    judged = network.astype(np.float64).eval()
    for _, parameter in judged.named_parameters():
        parameter.assign(parameter.data + NUDGE * rng.standard_normal(parameter.shape))
    images, labels = train_set[0][:2], train_set[1][:2]
    x = images + NUDGE * rng.standard_normal(images.shape)
    tell("\nexact gradient against finite differences, in float64, along random directions")
    report = check_gradients(
        lambda x, t: F.softmax_cross_entropy(judged(x), t),
        x,
        labels,
        model=judged,
        mode="directions",
        seed=options.seed,
        progress=False,
    )
    why = f" ({report.reason})" if report.verdict is Verdict.INCONCLUSIVE else ""
    tell(f"{report.verdict}: {report.coverage:.1%} of it resolved, {report.seconds:.1f} seconds{why}")
    if report.verdict is Verdict.FAIL:
        where = "" if report.worst is None else f" in {report.worst.label}"
        raise GradientError(f"the gradient contradicts finite differences{where}: {report.reason}")
    return {"verdict": str(report.verdict), "coverage": report.coverage, "seconds": report.seconds}
