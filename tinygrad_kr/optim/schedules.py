"""Schedules: functions from the step to a factor of the learning rate.

A schedule is a pure function of the step, counted from 0. It remembers nothing, so a run that is resumed needs only
its step: ``optimizer.lr = lr * schedule(step)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tinygrad_kr.common.arguments import count, fraction

__all__ = ["cosine", "step_decay", "warm_up"]

Schedule = Callable[[int], float]


def step_decay(every: int, factor: float) -> Schedule:
    """Multiply by `factor` every so many steps: factor ** (step // every).

    Parameters
    ----------
    every : int
        After how many steps, 1 or more.
    factor : float
        By what, 0 < factor <= 1.

    Returns
    -------
    function of int
        From the step to the factor of the learning rate, in (0, 1].

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or not of its type.

    Examples
    --------
    >>> schedule = step_decay(every=10, factor=0.5)
    >>> [schedule(step) for step in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    every = count(every, "every", "step_decay")
    factor = fraction(factor, "factor", "step_decay")
    if factor == 0:
        raise ValueError("step_decay: factor must be greater than 0, got 0")
    return lambda step: factor ** (count(step, "step", "step_decay", least=0) // every)


def cosine(steps: int, final: float = 0.0) -> Schedule:
    """Fall along half a wave of the cosine, from 1 at step 0 to `final` at step `steps`; stay there afterwards.

    final + (1 - final) (1 + cos(pi step / steps)) / 2.

    Parameters
    ----------
    steps : int
        How many steps it takes, 1 or more. The steps 0 to steps - 1 of a run of this length all have a factor > 0.
    final : float
        Where it ends, 0 <= final <= 1.

    Returns
    -------
    function of int
        From the step to the factor of the learning rate, in [final, 1].

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or not of its type.

    References
    ----------
    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", equation 5, without restarts.

    Examples
    --------
    >>> schedule = cosine(steps=100, final=0.1)
    >>> [round(schedule(step), 3) for step in (0, 25, 50, 100, 1000)]
    [1.0, 0.868, 0.55, 0.1, 0.1]
    """
    steps = count(steps, "steps", "cosine")
    final = fraction(final, "final", "cosine")

    def schedule(step: int) -> float:
        done = min(count(step, "step", "cosine", least=0) / steps, 1.0)
        return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2

    return schedule


def warm_up(steps: int, then: Schedule | None = None) -> Schedule:
    """Rise in equal parts to 1: (step + 1) / steps for the first `steps` steps. Then go on with another schedule.

    Parameters
    ----------
    steps : int
        How many steps it takes, 1 or more.
    then : function of int, optional
        What comes afterwards; it counts its own steps from 0. Default: 1 for ever.

    Returns
    -------
    function of int
        From the step to the factor of the learning rate, in (0, 1] while it rises.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or not of its type.

    References
    ----------
    Goyal et al. 2017, "Accurate, large minibatch SGD: training ImageNet in 1 hour", section 2.2.

    Examples
    --------
    >>> schedule = warm_up(4, then=cosine(96))
    >>> [round(schedule(step), 3) for step in (0, 1, 2, 3, 4, 52, 100)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.0]
    """
    steps = count(steps, "steps", "warm_up")
    if then is not None and not callable(then):
        raise TypeError(
            f"warm_up: then must be a function of the step, such as cosine(1000), got {type(then).__name__}"
        )

    def schedule(step: int) -> float:
        step = count(step, "step", "warm_up", least=0)
        if step < steps:
            return (step + 1) / steps
        return 1.0 if then is None else then(step - steps)

    return schedule
