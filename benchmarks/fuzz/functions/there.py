"""The other side: a program's lines in PyTorch, with what it lacks in NumPy's form.

The only module that imports PyTorch, and it needs it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.fuzz.functions.programs import Array, Program, Results, run

try:
    import torch
except ModuleNotFoundError:
    sys.exit("python -m benchmarks.fuzz.functions compares with PyTorch, which is not installed: pip install torch")

torch.set_num_threads(1)  # the arrays are small
NOISE = 1e-15  # relative: a few units in the last place


def over(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Let a reduction of one axis reduce as in NumPy: over all axes (None), one, several, or none of them."""

    def reduce(x: Any, axis: Any, keepdims: bool) -> Any:
        named = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = [i % x.ndim for i in named]
        kept = [i for i in range(x.ndim) if i not in axes]
        count = math.prod(x.shape[i] for i in axes)
        rows = x.permute([*kept, *axes]).reshape([*(x.shape[i] for i in kept), count])
        y = function(rows, dim=-1, **options)
        return y.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else y

    return reduce


def moved(x: Any, move: Callable[[Array], Array]) -> Any:
    """Move elements as a NumPy function moves their numbers."""
    numbers = np.arange(x.numel()).reshape(x.shape)
    return x.reshape(-1)[torch.from_numpy(np.array(move(numbers)))]


def padded(x: Any, widths: Any, value: float) -> Any:
    """Surround with a constant; PyTorch wants the widths flat, and the last axis first."""
    pairs = np.broadcast_to(widths, (x.ndim, 2))[::-1]
    return torch.nn.functional.pad(x, pairs.ravel().tolist(), value=value)


def cut(x: Any, size: Any, stride: Any, padding: Any, value: float) -> Any:
    """Cut padded images into windows, (N, C, rows, columns, height, width)."""
    (height, width), (down, across), (above, beside) = (np.broadcast_to(a, 2).tolist() for a in (size, stride, padding))
    x = torch.nn.functional.pad(x, (beside, beside, above, above), value=value)
    return x.unfold(2, height, down).unfold(3, width, across)


def dot(x: Any, y: Any) -> Any:
    """Sum over the last axis of x and the last but one of y."""
    return torch.tensordot(x, y, ([-1], [max(y.ndim - 2, 0)]))


def solve(a: Any, b: Any) -> Any:
    """Solve with matrices on the right, unless b has one axis; PyTorch would take some matrices for many vectors."""
    return torch.linalg.solve(a, b if b.ndim == 1 else b.reshape(*[1] * (a.ndim - b.ndim), *b.shape))


def rows(x: Any) -> Any:
    return x.reshape(-1, x.shape[-1])


def labels(values: Any) -> Any:
    return torch.tensor(values).reshape(-1)


THERE = {"np": np, "F": torch.nn.functional, "torch": torch}
THERE |= {f.__name__: f for f in (over, moved, padded, cut, dot, solve, rows, labels)}


def run_there(program: Program, second: bool, each: Callable[[Any], Any] | None = None) -> Results:
    """Compute values and gradients with PyTorch."""
    leaves = {name: torch.from_numpy(x.copy()).requires_grad_() for name, x in program.leaves.items()}
    weights = {name: torch.from_numpy(w) for name, w in program.weights.items()}
    space = THERE | weights | (leaves if each is None else {name: each(x) for name, x in leaves.items()})
    run(program, "there", space, each)
    results = {name: space[name] for line in (*program.lines, program.loss) for name in line.targets}
    gradients = derivatives(space["loss"], leaves, create_graph=second)
    results |= {f"gradient of {name}": g for name, g in gradients.items()}
    if second:
        slope = sum(torch.sum(torch.from_numpy(u) * gradients[name]) for name, u in program.directions.items())
        for name, derivative in derivatives(slope, leaves).items():
            results[f"derivative of <u, gradient> for {name}"] = derivative
    return {name: as_array(value) for name, value in results.items()}


def as_array(value: Any) -> Array:
    """Copy a tensor; those that PyTorch knows to be zeros have no memory that NumPy could read."""
    return torch.empty(value.shape, dtype=value.dtype).copy_(value.detach()).numpy()


def derivatives(total: Any, leaves: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return PyTorch's gradient for each leaf, zeros where nothing depends on it."""
    if not total.requires_grad:
        return {name: torch.zeros_like(x) for name, x in leaves.items()}
    gradients = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True, **options)
    return dict(zip(leaves, gradients, strict=True))


def noise(seed: int) -> Callable[[Any], Any]:
    """Move each value by about a rounding."""
    generator = torch.Generator().manual_seed(seed)
    return lambda x: x * (1 + NOISE * torch.randn(x.shape, generator=generator, dtype=x.dtype))
