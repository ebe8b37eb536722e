"""Functions to call by name: activations, losses, and layers without state.

They work on Tensors and on plain arrays alike. The names are those of the study notes and of the field.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any, Concatenate, ParamSpec, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.primitives import activations, convolution, elementwise, linalg, losses, reductions
from tinygrad_kr.primitives.losses import floats, require_same_shape, rows_and_targets

__all__ = [
    "avg_pool2d",
    "conv2d",
    "cross_entropy_error",
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "mean_squared_error",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "softsign",
    "standardize",
    "step",
    "sum_squares_error",
    "tanh",
]

P = ParamSpec("P")
Pair = int | tuple[int, int]


class LikeOperand(Protocol[P]):
    """A function whose result is a Tensor where its first operand is one, and else an array."""

    __name__: str

    @overload
    def __call__(self, x: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor: ...
    @overload
    def __call__(self, x: ArrayLike, /, *args: P.args, **kwargs: P.kwargs) -> NDArray[Any]: ...


def like_operand(function: Callable[Concatenate[Any, P], Any]) -> LikeOperand[P]:
    """Return a function as it is, known to type checkers as LikeOperand."""
    return function


@like_operand
def sigmoid(x: Any) -> Any:
    """Squash to (0, 1): 1 / (1 + exp(-x)).

    Exact for any finite x: no overflow, no warning.

    Parameters
    ----------
    x : Tensor or array_like, any shape

    Returns
    -------
    Tensor or numpy.ndarray of the same shape

    Notes
    -----
    Study notes 002 and 004. The derivative is y (1 - y).

    Examples
    --------
    >>> float(sigmoid(0.0))
    0.5
    """
    return activations.sigmoid(x)


@like_operand
def tanh(x: Any) -> Any:
    """Squash to (-1, 1), as ``numpy.tanh`` does (study note 004). The derivative is 1 - y**2.

    Examples
    --------
    >>> float(tanh(0.0))
    0.0
    """
    return elementwise.tanh(floats(x))


@like_operand
def relu(x: Any) -> Any:
    """Pass what is positive, max(x, 0) (study note 004). The derivative at 0 is 0.

    Examples
    --------
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return activations.relu(x)


@like_operand
def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """Pass what is positive, and a little of what is not: x if x > 0, else slope * x (study note 004).

    Parameters
    ----------
    x : Tensor or array_like, any shape
    slope : float
        The derivative for x <= 0, at 0 too.

    Examples
    --------
    >>> leaky_relu(np.array([-1.0, 2.0]), slope=0.5)
    array([-0.5,  2. ])
    """
    return activations.leaky_relu(x, slope=slope)


@like_operand
def identity(x: Any) -> Any:
    """Return x as it is: the output activation of regression (study note 004).

    Examples
    --------
    >>> identity(np.array([1.0]))
    array([1.])
    """
    return elementwise.identity(x)


@like_operand
def step(x: Any) -> Any:
    """Fire or not: 1 if x > 0, else 0 (study note 004, the perceptron).

    Its gradient is 0 everywhere, so a network cannot learn through it; under ``debug()`` the attempt warns.

    Examples
    --------
    >>> step(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return activations.step(x)


@like_operand
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Exponential linear unit: x if x > 0, else alpha (exp(x) - 1) (Clevert et al. 2015).

    Examples
    --------
    >>> elu(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    return activations.elu(x, alpha=alpha)


@like_operand
def selu(x: Any) -> Any:
    """Scaled ELU, which keeps mean 0 and variance 1 through deep networks (Klambauer et al. 2017).

    Examples
    --------
    >>> selu(np.array([-1000.0, 1.0])).round(4)
    array([-1.7581,  1.0507])
    """
    return 1.0507009873554805 * activations.elu(x, alpha=1.6732632423543772)


@like_operand
def gelu(x: Any) -> Any:
    """Gaussian error linear unit in its tanh form (Hendrycks and Gimpel 2016).

    1/2 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x**3))).

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1588,  0.    ,  0.8412])
    """
    return activations.gelu(x)


@like_operand
def silu(x: Any) -> Any:
    """Return x sigmoid(x), also called swish.

    Examples
    --------
    >>> silu(np.array([-1.0, 0.0, 1000.0])).round(4)
    array([-2.689e-01,  0.000e+00,  1.000e+03])
    """
    return activations.silu(x)


@like_operand
def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)), a smooth ReLU, exact for any finite x.

    Examples
    --------
    >>> softplus(np.array([-1000.0, 0.0, 1000.0])).round(4)
    array([0.000e+00, 6.931e-01, 1.000e+03])
    """
    return activations.softplus(x)


@like_operand
def softsign(x: Any) -> Any:
    """Return x / (1 + abs(x)).

    Examples
    --------
    >>> softsign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    return activations.softsign(x)


@like_operand
def hard_sigmoid(x: Any) -> Any:
    """Straight-line sigmoid: x / 6 + 1/2, kept within [0, 1].

    Examples
    --------
    >>> hard_sigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return np.clip(floats(x) / 6 + 0.5, 0, 1)


@like_operand
def hard_tanh(x: Any) -> Any:
    """Straight-line tanh: x kept within [-1, 1].

    Examples
    --------
    >>> hard_tanh(np.array([-4.0, 0.5, 4.0]))
    array([-1. ,  0.5,  1. ])
    """
    return np.clip(floats(x), -1, 1)


@like_operand
def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """Return log(sum(exp(x))) along axes, exact for any finite x; its gradient is the softmax.

    Examples
    --------
    >>> float(logsumexp(np.array([1000.0, 1000.0])))
    1000.6931471805599
    """
    return activations.logsumexp(x, axis=axis, keepdims=keepdims)


@like_operand
def softmax(x: Any, axis: int = -1) -> Any:
    """Turn scores into probabilities: exp(x) / sum(exp(x)) along an axis.

    Parameters
    ----------
    x : Tensor or array_like
        Scores of any finite size: the maximum is subtracted first.
    axis : int
        The axis of the classes; a batch of shape (N, C) is normalised row by row.

    Notes
    -----
    Study notes 002 and 004. The vector-Jacobian product is y * (g - sum(g * y)).

    Examples
    --------
    >>> softmax(np.array([0.3, 2.9, 4.0])).round(3)
    array([0.018, 0.245, 0.737])
    """
    losses.warn_of_probabilities("softmax", x, axis)
    return activations.softmax(x, axis=axis)


@like_operand
def log_softmax(x: Any, axis: int = -1) -> Any:
    """Return the logarithm of softmax, exact also where a probability is too small to write down.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return activations.log_softmax(x, axis=axis)


@like_operand
def standardize(x: Any, axis: int | tuple[int, ...] | None = -1, eps: float = 1e-5) -> Any:
    """Bring x to mean 0 and variance 1: (x - mean(x)) / sqrt(var(x) + eps), in one operation.

    Parameters
    ----------
    x : Tensor or array_like
    axis : int, tuple of int, or None
        Over which axes mean and variance are taken: -1 as layer normalisation does, 0 as batch normalisation does.
    eps : float
        Keeps the division finite where x does not vary.

    Raises
    ------
    ShapeError
        If there is no such axis.

    Notes
    -----
    The book, section 6.3. The vector-Jacobian product is (g - mean(g) - y mean(g y)) / sqrt(var(x) + eps).

    Examples
    --------
    >>> standardize(np.array([[1.0, 3.0], [10.0, 30.0]])).round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    return reductions.standardize(x, axis=axis, eps=eps)


@overload
def linear(x: Tensor | ArrayLike, w: Tensor, b: Tensor | ArrayLike) -> Tensor: ...
@overload
def linear(x: Tensor, w: ArrayLike, b: Tensor | ArrayLike) -> Tensor: ...
@overload
def linear(x: ArrayLike, w: ArrayLike, b: Tensor) -> Tensor: ...
@overload
def linear(x: ArrayLike, w: ArrayLike, b: ArrayLike) -> NDArray[Any]: ...
def linear(x: Any, w: Any, b: Any) -> Any:
    """Compute x @ w + b in one operation: the layer that the book calls Affine.

    Parameters
    ----------
    x : Tensor or array of shape (..., in)
    w : Tensor or array of shape (in, out)
    b : Tensor or array of shape (out,)

    Returns
    -------
    Tensor or numpy.ndarray of shape (..., out)

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> linear(np.ones((2, 3)), np.ones((3, 1)), np.array([0.5]))
    array([[3.5],
           [3.5]])
    """
    return linalg.linear(x, w if type(w) is Tensor else floats(w), b)


@overload
def conv2d(
    x: Tensor | ArrayLike, w: Tensor, b: Tensor | ArrayLike | None = None, stride: Pair = 1, padding: Pair = 0
) -> Tensor: ...
@overload
def conv2d(
    x: Tensor, w: ArrayLike, b: Tensor | ArrayLike | None = None, stride: Pair = 1, padding: Pair = 0
) -> Tensor: ...
@overload
def conv2d(
    x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, stride: Pair = 1, padding: Pair = 0
) -> NDArray[Any]: ...
def conv2d(x: Any, w: Any, b: Any = None, stride: Pair = 1, padding: Pair = 0) -> Any:
    """Slide filters over images: y[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[n, c, i s + u, j s + v].

    Parameters
    ----------
    x : Tensor or array_like of shape (N, channels, H, W)
        Images.
    w : Tensor or array_like of shape (filters, channels, height, width)
    b : Tensor or array_like of shape (filters,), optional
    stride : int or (vertical, horizontal)
        How many pixels a filter moves at a time: s in the formula.
    padding : int or (vertical, horizontal)
        How many zeros are put around each image first: p above and p below, to the left and to the right.

    Returns
    -------
    Tensor or numpy.ndarray of shape (N, filters, (H + 2p - height) // s + 1, (W + 2p - width) // s + 1)

    Raises
    ------
    ShapeError
        If the shapes do not fit, a filter is larger than a padded image, or stride or padding is no such number.

    Notes
    -----
    The filters are not flipped: what the field calls a convolution is a cross-correlation (LeCun et al. 1998). The
    values lie in memory with the batch last, as the next layer reads them best; the axes are in their usual order.

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(x, np.ones((1, 1, 2, 2)), np.array([0.5]))
    array([[[[ 8.5, 12.5],
             [20.5, 24.5]]]])
    """
    where = {"stride": _pair("conv2d", "stride", stride, 1), "padding": _pair("conv2d", "padding", padding, 0)}
    w = floats(w)
    return convolution.conv2d(x, w, **where) if b is None else convolution.conv2d_with_bias(x, w, b, **where)


@like_operand
def max_pool2d(x: Any, size: Pair = 2, stride: Pair | None = None, padding: Pair = 0) -> Any:
    """Keep the largest pixel of each window.

    Parameters
    ----------
    x : Tensor or array_like of shape (N, channels, H, W)
        Images.
    size : int or (height, width)
        The window.
    stride : int or (vertical, horizontal), optional
        How many pixels the window moves at a time. Default: its size, so that windows lie side by side.
    padding : int or (vertical, horizontal)
        How far windows may reach over each edge, less than their size. What lies outside is never the largest.

    Returns
    -------
    Tensor or numpy.ndarray of shape (N, channels, (H + 2p - height) // s + 1, (W + 2p - width) // s + 1)

    Raises
    ------
    ShapeError
        If x has other axes, a window is larger than a padded image, or a number is out of its range.

    Notes
    -----
    The gradient goes to the largest pixel of each window; pixels that tie share it equally, as in ``np.max``.

    Examples
    --------
    >>> max_pool2d(np.array([[[[1.0, 2.0, 5.0, 0.0], [4.0, 3.0, 0.0, 0.0]]]]))
    array([[[[4., 5.]]]])
    """
    how = _pooling("max_pool2d", size, stride, padding)
    if any(p >= n for p, n in zip(how["padding"], how["size"], strict=True)):
        raise ShapeError(
            f"max_pool2d: with padding {how['padding']} a window {how['size']} can lie outside the image altogether.\n"
            "  expected a padding less than the size of the window"
        )
    return convolution.max_pool2d(x, **how)


@like_operand
def avg_pool2d(x: Any, size: Pair = 2, stride: Pair | None = None, padding: Pair = 0) -> Any:
    """Average the pixels of each window.

    Parameters
    ----------
    x : Tensor or array_like of shape (N, channels, H, W)
        Images.
    size : int or (height, width)
        The window.
    stride : int or (vertical, horizontal), optional
        How many pixels the window moves at a time. Default: its size, so that windows lie side by side.
    padding : int or (vertical, horizontal)
        How many zeros are put around each image first; they count in the average.

    Returns
    -------
    Tensor or numpy.ndarray of shape (N, channels, (H + 2p - height) // s + 1, (W + 2p - width) // s + 1)

    Raises
    ------
    ShapeError
        If x has other axes, a window is larger than a padded image, or a number is out of its range.

    Examples
    --------
    >>> avg_pool2d(np.array([[[[1.0, 2.0, 5.0, 0.0], [4.0, 3.0, 0.0, 0.0]]]]))
    array([[[[2.5 , 1.25]]]])
    """
    return convolution.avg_pool2d(x, **_pooling("avg_pool2d", size, stride, padding))


def _pooling(name: str, size: Any, stride: Any, padding: Any) -> dict[str, tuple[int, int]]:
    """Read what pooling takes."""
    size = _pair(name, "size", size, 1)
    stride = size if stride is None else _pair(name, "stride", stride, 1)
    return {"size": size, "stride": stride, "padding": _pair(name, "padding", padding, 0)}


def _pair(name: str, what: str, value: Any, least: int) -> tuple[int, int]:
    """Read a number for both directions, or one for each."""
    try:
        vertical, horizontal = map(index, value) if np.ndim(value) else (index(value),) * 2
    except (TypeError, ValueError):
        vertical = horizontal = least - 1
    if vertical < least or horizontal < least:
        raise ShapeError(
            f"{name}: {what} must be a whole number from {least} on, or a pair (vertical, horizontal) of them, "
            f"got {value!r}"
        )
    return vertical, horizontal


@like_operand
def sum_squares_error(y: Any, t: Tensor | ArrayLike) -> Any:
    """Half the sum of squared differences: 1/2 sum((y - t)**2), over everything.

    Parameters
    ----------
    y : Tensor or array_like
        Predictions.
    t : Tensor or array_like of the same shape
        Targets; for class labels use ``datasets.one_hot``.

    Raises
    ------
    ShapeError
        If the shapes differ.

    Notes
    -----
    Study notes 000, 001 and 002. Study notes 003 and 004 call it MSE; it is not a mean.

    Examples
    --------
    >>> y = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
    >>> t = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    >>> float(sum_squares_error(y, t))
    0.09750000000000003
    """
    require_same_shape("sum_squares_error", y, t)
    return 0.5 * np.sum((floats(y) - t) ** 2)


@like_operand
def mean_squared_error(y: Any, t: Tensor | ArrayLike) -> Any:
    """Mean of squared differences, over everything: mean((y - t)**2).

    Parameters
    ----------
    y : Tensor or array_like
        Predictions.
    t : Tensor or array_like of the same shape
        Targets.

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> float(mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    require_same_shape("mean_squared_error", y, t)
    return np.mean((floats(y) - t) ** 2)


@like_operand
def cross_entropy_error(y: Any, t: Tensor | ArrayLike, delta: float = 1e-7) -> Any:
    """Cross-entropy of probabilities, the study notes' formula: -sum(t log(y + delta)) / N.

    Parameters
    ----------
    y : Tensor or array_like of shape (C,) or (N, C)
        Probabilities, of one sample or of a batch.
    t : Tensor or array_like
        Integer class labels of shape () or (N,), or one-hot rows of y's shape.
    delta : float
        Keeps the logarithm finite at 0. It biases the loss: at y = 1e-30 it gives 16.1 where the true value is 69.1.
        To train, use ``softmax_cross_entropy``, which needs none.

    Raises
    ------
    LabelError
        If a label is out of range.
    ShapeError, DtypeError
        If t is neither labels nor one-hot rows for y.

    Notes
    -----
    Study notes 000 to 004, their batch forms with N = y.shape[0].

    Examples
    --------
    >>> y = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
    >>> float(cross_entropy_error(y, np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0])))
    0.510825457099338
    >>> float(cross_entropy_error(y, 2))
    0.510825457099338
    """
    y, targets, are_labels = rows_and_targets("cross_entropy_error", y, t)
    if are_labels:
        losses.require_in_range("cross_entropy_error", y, targets)
        loss = -np.sum(np.log(y[np.arange(len(targets)), targets] + delta)) / len(targets)
    else:
        loss = -np.sum(targets * np.log(y + delta)) / len(y)
    losses.warn_of_scores("cross_entropy_error", y, loss)
    return loss


@like_operand
def softmax_cross_entropy(scores: Any, t: Tensor | ArrayLike) -> Any:
    """Mean cross-entropy between softmax(scores) and the targets, in one operation and exact for any scores.

    Parameters
    ----------
    scores : Tensor or array_like of shape (C,) or (..., C)
        What goes into softmax, also called logits.
    t : Tensor or array_like
        Integer class labels of shape (...), or one-hot or soft rows of the shape of ``scores``.

    Returns
    -------
    Tensor or numpy scalar
        -mean over the samples of sum(t log softmax(scores)).

    Raises
    ------
    LabelError
        If a label is out of range.
    ShapeError, DtypeError
        If t is neither labels nor rows for the scores.

    Notes
    -----
    The gradient with respect to the scores is (softmax(scores) - t) / N.

    Examples
    --------
    >>> float(softmax_cross_entropy(np.array([[0.0, 1000.0]]), np.array([0])))
    1000.0
    """
    losses.warn_of_probabilities("softmax_cross_entropy", scores)
    scores, t, are_labels = rows_and_targets("softmax_cross_entropy", scores, t)
    if are_labels:
        return losses.label_cross_entropy(scores, t)
    losses.warn_of_weights("softmax_cross_entropy", t)
    return -np.sum(t * activations.log_softmax(scores)) / len(scores)
