"""MyGrad with memory guarding off, as its performance tips say: arrays in a graph can then be changed unnoticed."""

from __future__ import annotations

import mygrad as mg

from benchmarks.speed.peers.my_grad import PROGRAMS, Training, array

__all__ = ["PROGRAMS", "Training", "array"]

mg.turn_memory_guarding_off()
