"""Optimizers with a rate for each weight: those of the book's sections 6.1.5 and 6.1.6, and their successors.

In the formulas w is a parameter, g its gradient, lr the learning rate, and all operations are elementwise. In the code
a and b are work buffers, so that a step allocates nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.arguments import number
from tinygrad_kr.optim.optimizer import Optimizer

__all__ = ["AdaGrad", "Adam", "AdamW", "RMSprop"]

Array = NDArray[Any]
Pair = tuple[Array, Array]


class AdaGrad(Optimizer):
    """A learning rate for each weight, which falls the more the weight was moved (the book, section 6.1.5).

    ::

        g <- g + weight_decay w
        h <- h + g**2
        w <- w - lr g / (sqrt(h) + eps)

    Parameters
    ----------
    params : dict of str to Tensor, or a model
        What to update; see Optimizer.
    lr : float
        The learning rate.
    eps : float
        Keeps the division from 0 / 0; the book has 1e-7.
    weight_decay : float
        0 for none; see Optimizer.

    Raises
    ------
    ValueError, TypeError, GraphError
        If an argument is out of range or not of its type; see Optimizer.

    References
    ----------
    Duchi, Hazan and Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization".

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Tensor
    >>> W = Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = AdaGrad({"W": W}, lr=0.5)
    >>> np.sum(W**2).backward()
    >>> optimizer.step()
    >>> W.data.round(3)
    array([ 2.5, -3.5])
    """

    def __init__(self, params: Any, lr: float = 0.01, *, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        self.eps: float = number(eps, "eps", "AdaGrad")
        super().__init__(params, lr, weight_decay, state=("sum_of_squares",))

    def update(self, w: Array, g: Array, work: Pair, state: tuple[Array, ...]) -> None:
        """Update one parameter in place; see Optimizer."""
        (a, b), (h,) = work, state
        g = self.decayed(w, g, out=a)
        np.multiply(g, g, out=b)
        h += b
        np.sqrt(h, out=b)
        b += self.eps
        np.divide(g, b, out=b)
        b *= self.lr
        w -= b


class RMSprop(Optimizer):
    """AdaGrad with a moving mean of the squared gradients in place of their sum (the book, section 6.1.5).

    ::

        g <- g + weight_decay w
        h <- alpha h + (1 - alpha) g**2
        w <- w - lr g / (sqrt(h) + eps)

    Parameters
    ----------
    params : dict of str to Tensor, or a model
        What to update; see Optimizer.
    lr : float
        The learning rate.
    alpha : float
        How much of the old mean is kept, 0 <= alpha < 1.
    eps : float
        Keeps the division from 0 / 0.
    weight_decay : float
        0 for none; see Optimizer.

    Raises
    ------
    ValueError, TypeError, GraphError
        If an argument is out of range or not of its type; see Optimizer.

    References
    ----------
    Tieleman and Hinton 2012, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Tensor
    >>> W = Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = RMSprop({"W": W}, lr=0.01)
    >>> np.sum(W**2).backward()
    >>> optimizer.step()
    >>> W.data.round(3)
    array([ 2.9, -3.9])
    """

    def __init__(
        self, params: Any, lr: float = 0.01, *, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        self.alpha: float = number(alpha, "alpha", "RMSprop", below=1)
        self.eps: float = number(eps, "eps", "RMSprop")
        super().__init__(params, lr, weight_decay, state=("mean_square",))

    def update(self, w: Array, g: Array, work: Pair, state: tuple[Array, ...]) -> None:
        """Update one parameter in place; see Optimizer."""
        (a, b), (h,) = work, state
        g = self.decayed(w, g, out=a)
        np.multiply(g, g, out=b)
        b *= 1 - self.alpha
        h *= self.alpha
        h += b
        np.sqrt(h, out=b)
        b += self.eps
        np.divide(g, b, out=b)
        b *= self.lr
        w -= b


class Adam(Optimizer):
    """Momentum and RMSprop in one, both corrected for having begun at 0 (the book, section 6.1.6).

    ::

        g <- g + weight_decay w
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g**2
        w <- w - lr m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)

    at the parameter's t-th update, counted from 1.

    Parameters
    ----------
    params : dict of str to Tensor, or a model
        What to update; see Optimizer.
    lr : float
        The learning rate: about how far each weight moves in a step.
    betas : pair of float
        How much of the old means of g and of g**2 is kept, each from 0 to less than 1.
    eps : float
        Keeps the division from 0 / 0.
    weight_decay : float
        0 for none; see Optimizer. It is part of g, and so divided like g; AdamW keeps it apart.

    Raises
    ------
    ValueError, TypeError, GraphError
        If an argument is out of range or not of its type; see Optimizer.

    Notes
    -----
    The book's code adds eps before the correction of v, as at the end of the paper's section 2: a slightly larger eps
    in the first steps.

    References
    ----------
    Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Tensor
    >>> W = Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = Adam({"W": W}, lr=0.1)
    >>> for _ in range(20):
    ...     optimizer.zero_grad()
    ...     np.sum(W**2).backward()
    ...     optimizer.step()
    >>> W.data.round(1)
    array([ 1.1, -2.1])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.001,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        kind = type(self).__name__
        if np.shape(betas) != (2,):
            raise ValueError(f"{kind}: betas must be two numbers, such as (0.9, 0.999), got {betas!r}")
        beta1, beta2 = betas
        self.betas = number(beta1, "beta1", kind, below=1), number(beta2, "beta2", kind, below=1)
        self.eps: float = number(eps, "eps", kind)
        super().__init__(params, lr, weight_decay, state=("first_moment", "second_moment", "step"))

    def update(self, w: Array, g: Array, work: Pair, state: tuple[Array, ...]) -> None:
        """Update one parameter in place; see Optimizer."""
        (a, b), (m, v, step), (beta1, beta2) = work, state, self.betas
        step += 1
        t = int(step)
        g = self.decayed(w, g, out=a)
        np.multiply(g, 1 - beta1, out=b)
        m *= beta1
        m += b
        np.multiply(g, g, out=b)
        b *= 1 - beta2
        v *= beta2
        v += b
        np.sqrt(v, out=b)
        b /= math.sqrt(1 - beta2**t)
        b += self.eps
        np.divide(m, b, out=b)
        b *= self.lr / (1 - beta1**t)
        w -= b


class AdamW(Adam):
    """Adam with weight decay apart from the gradient, so that every weight decays at the same rate.

    ::

        w <- w - lr weight_decay w         then Adam without weight decay

    Parameters
    ----------
    params : dict of str to Tensor, or a model
        What to update; see Optimizer.
    lr : float
        The learning rate.
    betas : pair of float
        As for Adam.
    eps : float
        As for Adam.
    weight_decay : float
        By which share of itself, times lr, a weight shrinks in a step.

    Raises
    ------
    ValueError, TypeError, GraphError
        If an argument is out of range or not of its type; see Optimizer.

    References
    ----------
    Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Tensor
    >>> W = Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = AdamW({"W": W}, lr=0.1, weight_decay=0.5)
    >>> np.sum(W**2).backward()
    >>> optimizer.step()
    >>> W.data.round(2)
    array([ 2.75, -3.7 ])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.001,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def decayed(self, w: Array, g: Array, out: Array) -> Array:
        """Let w decay in place, and return g as it is."""
        w *= 1 - self.lr * self.weight_decay
        return g
