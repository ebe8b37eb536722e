"""Detection of training that diverges although all numbers stay finite."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tinygrad_kr.engine.tensor import Tensor

__all__ = ["Watch"]


class Watch:
    """Compare the losses of a training with those of its initial parameters.

    It has diverged if the mean loss of the last epoch is more than 1.5 times the initial loss; or if that of some epoch
    was more than twice the initial loss, and that of the last is still more than 0.9 times. At first the loss of the
    very first mini-batch stands for the initial one. It may be small by chance, so then the loss of the initial
    parameters on all examples decides.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self._parameters = list(parameters)
        self._initial = [parameter.data.copy() for parameter in self._parameters]
        self._first: float | None = None
        self._means: list[float] = []
        self._told = False

    def add(self, losses: Sequence[float]) -> None:
        """Note the losses of the mini-batches of an epoch."""
        self._first = losses[0] if self._first is None else self._first
        self._means.append(float(np.mean(losses)))

    def tell(self, caller: str, lr: float, mean_loss: Callable[[], float], stacklevel: int) -> None:
        """Warn, once, if the training has diverged.

        Parameters
        ----------
        caller : str
            Who trains.
        lr : float
            The learning rate.
        mean_loss : callable
            Returns the mean loss over all training examples, with the parameters as they are.
        stacklevel : int
            Whose line the warning names: 1 for that of who calls this, 2 for his caller.
        """
        if self._told or self._first is None or not self._diverged(self._first):
            return
        if self._diverged(initial := self._of_initial(mean_loss)):
            self._told = True
            warnings.warn(
                f"{caller}: the training diverged with learning rate {lr:g}: the loss was {initial:.4g} at the start, "
                f"{max(self._means):.4g} in the worst epoch, and is {self._means[-1]:.4g} in the last.\n"
                f"  try a smaller lr than {lr:g}",
                stacklevel=stacklevel + 1,
            )

    def _diverged(self, initial: float) -> bool:
        worst, last = ((mean - initial) / abs(initial or 1) for mean in (max(self._means), self._means[-1]))
        return last > 0.5 or (worst > 1 and last > -0.1)

    def _of_initial(self, mean_loss: Callable[[], float]) -> float:
        trained = [parameter.data.copy() for parameter in self._parameters]
        try:
            self._put(self._initial)
            return mean_loss()
        finally:
            self._put(trained)

    def _put(self, values: list[np.ndarray]) -> None:
        for parameter, array in zip(self._parameters, values, strict=True):
            parameter.assign(array)
