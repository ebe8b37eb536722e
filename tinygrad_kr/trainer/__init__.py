"""Trainer: mini-batches, epochs, validation, early stopping, and checkpoints that resume to the same numbers."""

from tinygrad_kr.trainer.loop import Trainer
from tinygrad_kr.trainer.run import Row

__all__ = ["Row", "Trainer"]
