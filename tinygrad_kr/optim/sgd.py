"""Gradient descent: the optimizers of the book's sections 6.1.2 and 6.1.4.

In the formulas w is a parameter, g its gradient, lr the learning rate. In the code a and b are work buffers, so that a
step allocates nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.arguments import number
from tinygrad_kr.optim.optimizer import Optimizer

__all__ = ["SGD"]

Array = NDArray[Any]
Pair = tuple[Array, Array]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted (the book, sections 6.1.2 and 6.1.4).

    ::

        g <- g + weight_decay w
        v <- momentum v + g
        w <- w - lr v                      or with Nesterov's momentum: w <- w - lr (g + momentum v)

    Parameters
    ----------
    params : dict of str to Tensor, or a model
        What to update; see Optimizer.
    lr : float
        The learning rate.
    momentum : float
        0 <= momentum < 1; 0 for none.
    nesterov : bool
        Whether to look one step of momentum ahead.
    weight_decay : float
        0 for none; see Optimizer.

    Raises
    ------
    ValueError, TypeError, GraphError
        If an argument is out of range or not of its type; see Optimizer.

    Notes
    -----
    The book writes v <- momentum v - lr g, w <- w + v. That is the same as long as lr stays the same; here, as in
    PyTorch, a new lr takes effect at once.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton 2013, "On the importance of initialization and momentum in deep learning".

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Tensor
    >>> W = Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = SGD({"W": W}, lr=0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     np.sum(W**2).backward()
    ...     optimizer.step()
    >>> W.data.round(3)
    array([ 1.62, -2.16])
    """

    def __init__(
        self, params: Any, lr: float, *, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        self.momentum: float = number(momentum, "momentum", "SGD", below=1)
        self.nesterov = nesterov
        if nesterov and self.momentum == 0:
            raise ValueError("SGD: nesterov=True needs a momentum, for example momentum=0.9")
        super().__init__(params, lr, weight_decay, state=("momentum",) if self.momentum else ())

    def update(self, w: Array, g: Array, work: Pair, state: tuple[Array, ...]) -> None:
        """Update one parameter in place; see Optimizer."""
        a, b = work
        g = self.decayed(w, g, out=a)
        for v in state:  # there is one, or without momentum none
            v *= self.momentum
            v += g
            if self.nesterov:
                np.multiply(v, self.momentum, out=b)
                g = np.add(g, b, out=b)
            else:
                g = v
        np.multiply(g, self.lr, out=b)
        w -= b
