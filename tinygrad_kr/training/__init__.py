"""Prove a network's gradient, then train it: the four steps of study note 002, 4.5, for any model."""

from tinygrad_kr.training.state import Row
from tinygrad_kr.training.study_notes import (
    Difference,
    Epoch,
    accuracy,
    class_labels,
    compare_gradients,
    far_from_kinks,
    predicted_labels,
    train,
)
from tinygrad_kr.training.trainer import Trainer

__all__ = [
    "Difference",
    "Epoch",
    "Row",
    "Trainer",
    "accuracy",
    "class_labels",
    "compare_gradients",
    "far_from_kinks",
    "predicted_labels",
    "train",
]
