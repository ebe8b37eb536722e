"""Hypothesis strategies for tests of gradients of array functions.

Values are small (30 elements at most by default), finite, and free of accidental ties. They shrink towards few elements
first and simple numbers next, and replay: hypothesis draws everything that is random.
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
