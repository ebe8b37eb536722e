"""Prove a network's gradient, then train it: the four steps of study note 002, 4.5, for any model."""

from tinygrad_kr.training.evaluation import accuracy, class_labels, predicted_labels
from tinygrad_kr.training.gradient_comparison import Difference, compare_gradients, far_from_kinks
from tinygrad_kr.training.state import Row
from tinygrad_kr.training.trainer import Trainer

__all__ = [
    "Difference",
    "Row",
    "Trainer",
    "accuracy",
    "class_labels",
    "compare_gradients",
    "far_from_kinks",
    "predicted_labels",
]
