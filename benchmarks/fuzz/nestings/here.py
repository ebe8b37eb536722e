"""This side: NumPy's functions and our transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.fuzz.nestings.programs import Program
from tinygrad_kr import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tinygrad_kr.engine.tensor import raw

HERE: dict[str, Any] = {"np": np}
HERE |= {f.__name__: f for f in (grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp)}


def run_here(program: Program, inputs: dict[str, Any]) -> dict[str, Any]:
    """Compute all results with this package."""
    return {name: np.asarray(raw(x)) for name, x in program.run(HERE | inputs).items()}
