"""The decision rules of checkers that cannot be installed beside a current NumPy, written out."""

from __future__ import annotations

import numpy as np

from benchmarks.checkers.gradcheck_detection.operations import Array, Backward, Forward, Inputs


def chainer(forward: Forward, backward: Backward, inputs: Inputs, rng: np.random.Generator) -> bool:
    """Decide as ``chainer.gradient_check.check_backward`` does: one random direction, eps 1e-3, atol 1e-5, rtol 1e-4.

    The direction has length 1, and no component below a tenth of what each has on average; the cotangent is uniform in
    [-1, 1], as in Chainer's own tests. Its functions reject gradients of another shape or dtype than their inputs.
    """
    eps, atol, rtol = 1e-3, 1e-5, 1e-4
    cotangent = np.asarray(rng.uniform(-1, 1, np.shape(forward(*inputs))))
    directions = [rng.standard_normal(x.shape) for x in inputs]
    length = np.sqrt(sum((d * d).sum() for d in directions))
    least = 0.1 / np.sqrt(sum(x.size for x in inputs))
    directions = [at_least(d / length, least) for d in directions]
    gradients = backward(*inputs, cotangent)
    if any((g.shape, g.dtype) != (x.shape, x.dtype) for g, x in zip(gradients, inputs, strict=True)):
        return False
    claimed = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    ahead, behind = (
        np.array(forward(*(x + step * d for x, d in zip(inputs, directions, strict=True)))) for step in (eps, -eps)
    )
    estimate = ((ahead - behind) * cotangent).sum() / (2 * eps)
    return bool(abs(estimate - claimed) <= atol + rtol * abs(claimed))


def at_least(direction: Array, least: float) -> Array:
    return np.where(np.abs(direction) < least, np.copysign(least, direction), direction)


def book(forward: Forward, backward: Backward, inputs: Inputs, rng: np.random.Generator) -> bool:
    """Decide as DeZero's ``gradient_check`` does: the sum of the outputs, each element moved by 1e-4, ``allclose``."""
    return all(book_one(forward, backward, inputs, number) for number in range(len(inputs)))


def book_one(forward: Forward, backward: Backward, inputs: Inputs, number: int) -> bool:
    eps = 1e-4
    x = inputs[number]
    estimate = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + eps
        ahead = np.array(forward(*inputs))
        x[index] = kept - eps
        behind = np.array(forward(*inputs))
        x[index] = kept
        estimate[index] = (ahead - behind).sum() / (2 * eps)
    claimed = backward(*inputs, np.ones(np.shape(forward(*inputs))))[number]
    return claimed.shape == estimate.shape and np.allclose(estimate, claimed, rtol=1e-4, atol=1e-5)
