"""Gradient clipping: a bound on how far one step can go."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.errors import NonFiniteError
from tinygrad_kr.optim.checks import gradient_of, named_tensors

__all__ = ["clip_grad_norm"]


def clip_grad_norm(params: Any, max_norm: float) -> float:
    """Scale all gradients by one factor, so that together they are no longer than `max_norm`.

    With the norm n of all gradients taken as one vector, each is multiplied in place by
    min(1, max_norm / (n + 1e-6)). The direction stays, only the length is bounded. Call it between ``backward()`` and
    ``step()``.

    Parameters
    ----------
    params : dict of str to Tensor, a model, or an optimizer
        The parameters; those without a gradient do not count.
    max_norm : float
        The largest norm; ``math.inf`` only measures.

    Returns
    -------
    float
        The norm before, summed in float64; 0 if there is no gradient.

    Raises
    ------
    NonFiniteError
        If the norm is NaN or infinite: scaling would spread the NaN to every parameter. Gradients are left alone.
    ValueError, TypeError
        If `max_norm` is not a positive number; if `params` is not what an optimizer takes.
    ShapeError, DtypeError
        If a gradient does not fit its parameter.

    References
    ----------
    Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Tensor
    >>> W = Tensor([3.0, 4.0], requires_grad=True)
    >>> np.sum(W**2).backward()
    >>> clip_grad_norm({"W": W}, max_norm=1.0)
    10.0
    >>> W.grad.round(3)
    array([0.6, 0.8])
    """
    if not isinstance(max_norm, Real):
        raise TypeError(f"clip_grad_norm: max_norm must be a number, got {type(max_norm).__name__}")
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm: max_norm must be positive, got {max_norm}")
    gradients = {
        name: gradient_of(p, name, "clip_grad_norm") for name, p in named_tensors(params, "clip_grad_norm").items()
    }
    gradients = {name: g for name, g in gradients.items() if g is not None}
    norm = math.sqrt(sum(_sum_of_squares(g) for g in gradients.values()))
    if not math.isfinite(norm):
        culprits = [name for name, g in gradients.items() if not math.isfinite(_sum_of_squares(g))]
        raise NonFiniteError(
            f"clip_grad_norm: the norm of the gradients is {norm}, because of {', '.join(culprits) or 'their sum'}.\n"
            "  try a smaller learning rate; debug() finds the operation that made the first NaN or infinity"
        )
    factor = float(max_norm) / (norm + 1e-6)
    if factor < 1:
        for g in gradients.values():
            g *= factor
    return norm


def _sum_of_squares(g: NDArray[Any]) -> float:
    """Return the sum of the squares, in float64 and without an array of them: it overflows late and rounds little."""
    axes = list(range(g.ndim))
    return float(np.einsum(g, axes, g, axes, [], dtype=np.result_type(g, np.float64)))
