"""Identities that the gradients of some functions satisfy, to be declared with ``gradient_property``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tree import tree_leaves

__all__ = ["Example", "Identity", "homogeneous", "rows_sum_to_zero", "sums_to_zero"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Example:
    """A function with its gradient at one point.

    Attributes
    ----------
    inputs : tuple
        The arguments of the function.
    value
        The value that it returned: an array, or a nested tuple, list or dict of them.
    cotangent
        In the structure of the value.
    gradients : tuple
        One for each input, in its structure; None for inputs that are not differentiated.
    """

    inputs: tuple[Any, ...]
    value: Any
    cotangent: Any
    gradients: tuple[Any, ...]


Identity = Callable[[Example], tuple[Any, Any]]
"""Returns two arrays that must be equal."""


def sums_to_zero(example: Example, argnum: int = 0) -> tuple[Array, Array]:
    """Compare the sum of one input's gradient with 0, relative to its largest element.

    The sum is 0 where adding a constant to the input changes nothing: softmax of a vector, a variance, differences.

    Examples
    --------
    >>> sums_to_zero(Example((), None, None, (np.array([1.0, -3.0]),)))
    (array(-0.66666667), array(0.))
    """
    return _sums_and_zeros(example.gradients[argnum], None)


def rows_sum_to_zero(example: Example, argnum: int = 0) -> tuple[Array, Array]:
    """Compare the sums of one input's gradient along the last axis with 0, relative to its largest element.

    They are 0 for softmax, cross-entropy of scores and layer norm.

    Examples
    --------
    >>> rows_sum_to_zero(Example((), None, None, (np.array([[1.0, -1.0], [2.0, 2.0]]),)))
    (array([0., 2.]), array([0., 0.]))
    """
    return _sums_and_zeros(example.gradients[argnum], -1)


def homogeneous(degree: float) -> Identity:
    """Make the identity of Euler: <gradient, inputs> = degree * <cotangent, value>, if f(c x) = c**degree f(x).

    1 for relu, a norm, a linear layer without its bias; 2 for a sum of squares; 0 where a scale makes no difference.

    Parameters
    ----------
    degree : float
        All inputs together are scaled.

    Returns
    -------
    callable
        For the ``identities`` of ``gradient_property``.

    Examples
    --------
    >>> x = np.array([1.0, 2.0])
    >>> homogeneous(2)(Example((x,), np.sum(x**2), np.array(1.0), (2 * x,)))
    (array(0.5), array(0.5))
    """

    def euler(example: Example) -> tuple[Array, Array]:
        pairs = [(x, g) for x, g in zip(example.inputs, example.gradients, strict=True) if g is not None]
        left = products([x for x, _ in pairs], [g for _, g in pairs])
        right = degree * products(example.value, example.cotangent)
        scale = np.sum(np.abs(left)) + np.sum(np.abs(right))
        return np.asarray(np.sum(left) / (scale or 1)), np.asarray(np.sum(right) / (scale or 1))

    euler.__name__ = f"homogeneous({degree})"
    return euler


def _sums_and_zeros(gradient: Array, axis: int | None) -> tuple[Array, Array]:
    largest = np.max(np.abs(gradient), initial=0.0)
    sums = np.asarray(np.sum(gradient, axis=axis) / (largest or 1))
    return sums, np.zeros_like(sums)


def products(a: Any, b: Any) -> Array:
    """Return the products of the elements of two nested structures, in one row."""
    pairs = zip(tree_leaves(a), tree_leaves(b), strict=True)
    return np.concatenate([np.empty(0), *(np.ravel(np.multiply(x, y)) for x, y in pairs)])
