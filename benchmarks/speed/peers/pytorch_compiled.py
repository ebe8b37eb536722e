"""PyTorch with torch.compile: the loss is compiled, and with it its backward pass; the update stays eager."""

from __future__ import annotations

import torch

from benchmarks.speed.peers import pytorch
from benchmarks.speed.peers.pytorch import Training, array

__all__ = ["PROGRAMS", "Training", "array"]

# Every workload and dtype is compiled anew, for its own shapes; the default gives up after eight.
torch._dynamo.config.recompile_limit = 64

PROGRAMS = {name: torch.compile(program, dynamic=False) for name, program in pytorch.PROGRAMS.items()}
