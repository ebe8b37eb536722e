"""Trainer: mini-batches, epochs, validation, early stopping, and checkpoints that resume to the same numbers."""

from tinygrad_kr.trainer.checkpoint import Row
from tinygrad_kr.trainer.loop import Trainer

__all__ = ["Row", "Trainer"]
