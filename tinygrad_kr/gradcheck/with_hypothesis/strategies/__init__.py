"""Hypothesis strategies for those who test gradients of array functions.

What is drawn is small (30 elements at most, unless told otherwise), finite, and free of accidental ties. It shrinks
towards few elements first and simple numbers next, and replays: nothing is random but what hypothesis draws.
"""

from tinygrad_kr.gradcheck.with_hypothesis.strategies.kinks import GAP
from tinygrad_kr.gradcheck.with_hypothesis.strategies.operands import arrays, cotangents, matmul_operands, operands
from tinygrad_kr.gradcheck.with_hypothesis.strategies.shapes import broadcastable_shapes, shapes
from tinygrad_kr.gradcheck.with_hypothesis.strategies.targets import positive_definite, scores_with_labels
from tinygrad_kr.gradcheck.with_hypothesis.strategies.values import magnitudes

__all__ = [
    "GAP",
    "arrays",
    "broadcastable_shapes",
    "cotangents",
    "magnitudes",
    "matmul_operands",
    "operands",
    "positive_definite",
    "scores_with_labels",
    "shapes",
]
