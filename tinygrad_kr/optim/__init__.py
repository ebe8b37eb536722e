"""Optimizers, gradient clipping and learning-rate schedules (the book, chapter 6).

The arithmetic is PyTorch's, step for step: a run that is moved from there gives the same numbers.
"""

from tinygrad_kr.optim import schedules
from tinygrad_kr.optim.adaptive import AdaGrad, Adam, AdamW, RMSprop
from tinygrad_kr.optim.clipping import clip_grad_norm
from tinygrad_kr.optim.optimizer import Optimizer
from tinygrad_kr.optim.sgd import SGD

__all__ = ["SGD", "AdaGrad", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_grad_norm", "schedules"]
