"""Along axes: sums, products, extremes, norms, and their running forms.

Ties in max and min share the gradient equally. The gradient of norm and std at 0 is 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_kr.engine.dispatch import NUMPY
from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.errors import UnsupportedError
from tinygrad_kr.primitives.shaping import axes_of

Axis = Any  # int | tuple of int | None


def valid_axis(shape: tuple[int, ...], *, axis: Axis = None, **params: Any) -> str:
    """What a reduction expects of its axis."""
    return f"axis None, or distinct axes from {-len(shape)} to {len(shape) - 1}, got {axis}"


def spread(reduced: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """Repeat what a reduction made along the axes it took away."""
    if axis is not None and not keepdims:
        reduced = np.expand_dims(reduced, axis)
    return np.broadcast_to(reduced, shape)


def reduced_count(shape: tuple[int, ...], axis: Axis) -> int:
    """Count the elements that a reduction takes together."""
    return math.prod(shape[i] for i in axes_of(axis, len(shape)))


def divided(g: Any, count: int) -> Any:
    """Divide by a count; one that float16 cannot hold divides as a factor, and 0, of no elements, not at all."""
    return g / count if 0 < count <= 65504 else g * (1 / (count or 1))


def _if_extreme(g: Any, x: Any, y: Any, axis: Axis, keepdims: bool) -> Any:
    """Give g to the elements that equal the extreme y, in equal parts."""
    hits = x == spread(y, x.shape, axis, keepdims)
    return spread(g, x.shape, axis, keepdims) * hits / np.sum(hits, axis=axis, keepdims=True)


def moments(x: Any, axis: Axis) -> tuple[Any, Any]:
    """Return mean and variance along axes, which stay with length 1; the variance is divided by the count."""
    mean = np.mean(x, axis, keepdims=True)
    with np.errstate(over="ignore"):
        return mean, np.mean(np.square(x - mean), axis, keepdims=True)


def _standardize(x: Any, *, axis: Axis, eps: float, known: Any = None) -> Any:
    """Standardize; `known` are the ``moments`` of x, where the caller has them already."""
    mean, var = moments(x, axis) if known is None else known
    y = x - mean
    if np.add.reduce(var, axis=None) < np.inf:
        r = 1 / np.sqrt(var + eps)
    else:  # the squares overflow: take them of numbers up to 1
        size = np.maximum(np.max(np.abs(y), axis, keepdims=True), 1)
        r = 1 / np.sqrt(np.mean(np.square(y / size), axis, keepdims=True) + eps / size / size) / size
    y *= r
    return y, r


def _inverse_std(x: Any, axis: Axis, eps: float) -> Any:
    var = np.mean(np.square(x - np.mean(x, axis, keepdims=True)), axis, keepdims=True)
    return 1 / np.sqrt(var + eps)


sum: Primitive = Primitive(
    "sum",
    lambda x, *, axis=None, keepdims=False: np.add.reduce(x, axis=axis, keepdims=keepdims),
    expects=valid_axis,
    x=lambda g, shape, axis, keepdims: spread(g, shape, axis, keepdims),
)
mean: Primitive = Primitive(
    "mean",
    lambda x, *, axis=None, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    expects=valid_axis,
    x=lambda g, shape, axis, keepdims: spread(divided(g, reduced_count(shape, axis)), shape, axis, keepdims),
)
standardize: Primitive = Primitive(
    "standardize",
    _standardize,
    expects=valid_axis,
    real=True,
    residue=_inverse_std,
    x=lambda g, y, r, axis: r * (g - np.mean(g, axis, keepdims=True) - y * np.mean(g * y, axis, keepdims=True)),
)
max: Primitive = Primitive(
    "max",
    lambda x, *, axis=None, keepdims=False: np.max(x, axis=axis, keepdims=keepdims),
    expects=valid_axis,
    x=lambda g, x, y, axis, keepdims: _if_extreme(g, x, y, axis, keepdims),
)
min: Primitive = Primitive(
    "min",
    lambda x, *, axis=None, keepdims=False: np.min(x, axis=axis, keepdims=keepdims),
    expects=valid_axis,
    x=lambda g, x, y, axis, keepdims: _if_extreme(g, x, y, axis, keepdims),
)


euclidean_norm: Primitive = Primitive(
    "norm",
    lambda x, *, axis=None, keepdims=False: np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims)),
    expects=valid_axis,
    x=lambda g, x, y, axis, keepdims: x * spread(g / np.where(y == 0, 1, y), x.shape, axis, keepdims),
)


def var(a: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """Mean squared distance from the mean."""
    if a.dtype == np.float16:
        return _in_float32(var, a, axis=axis, ddof=ddof, keepdims=keepdims)
    result = mean(np.square(a - mean(a, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims)
    count = reduced_count(a.shape, axis)
    return result / (degrees_of_freedom(count, ddof) / count) if ddof and count else result


def std(a: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """Root of the mean squared distance from the mean."""
    if a.dtype == np.float16:
        return _in_float32(std, a, axis=axis, ddof=ddof, keepdims=keepdims)
    distance = euclidean_norm(a - mean(a, axis=axis, keepdims=True), axis=axis, keepdims=keepdims)
    return distance / math.sqrt(degrees_of_freedom(reduced_count(a.shape, axis), ddof))


def _in_float32(reduce: Any, a: Any, **how: Any) -> Any:
    """Reduce float16 in float32, as NumPy does: sums of many float16 overflow."""
    return np.astype(reduce(np.astype(a, np.float32), **how), np.float16)


def degrees_of_freedom(count: int, ddof: float) -> float:
    """Return n - ddof, at least 0; division by 0 then warns as in NumPy."""
    return count - ddof if count > ddof else 0.0


def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """Vector norms 1, 2 and inf, and the Frobenius norm of matrices."""
    axes = axes_of(axis, np.ndim(x))
    if ord is None or (len(axes) == 1 and ord == 2) or (len(axes) == 2 and ord == "fro"):
        return euclidean_norm(x, axis=axis, keepdims=keepdims)
    if len(axes) == 1 and ord == 1:
        return sum(np.abs(x), axis=axis, keepdims=keepdims)
    if len(axes) == 1 and ord == np.inf:
        return max(np.abs(x), axis=axis, keepdims=keepdims)
    raise UnsupportedError(
        f"numpy.linalg.norm: ord={ord!r} over {len(axes)} axes does not work on Tensors.\n"
        "  supported: vectors with ord 1, 2 or inf, matrices with ord 'fro'"
    )


# Running forms


running_sum: Primitive = Primitive(
    "cumsum",
    lambda x, *, axis: np.cumsum(x, axis=axis),
    expects=valid_axis,
    x=lambda g, axis: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis),
)
running_product: Primitive = Primitive(
    "cumprod",
    lambda x, *, axis: np.cumprod(x, axis=axis),
    expects=valid_axis,
    x=lambda g, x, axis: np.moveaxis(_cumprod_rule(np.moveaxis(g, axis, 0), np.moveaxis(x, axis, 0)), 0, axis),
)


def _cumprod_rule(g: Any, x: Any) -> Any:
    """Without division, so that zeros are no exception: what stands before times what follows, from the end."""
    if len(x) == 0:
        return g
    before = _exclusive_cumprod(x)
    following = [g[-1]]
    for i in range(len(x) - 2, -1, -1):
        following.append(g[i] + x[i + 1] * following[-1])
    return before * np.stack(following[::-1])


def _exclusive_cumprod(x: Any) -> Any:
    """Return the product of all elements before each, along the first axis."""
    return np.concatenate([np.ones_like(x[:1]), np.cumprod(x[:-1], axis=0)])


product: Primitive = Primitive(
    "prod",
    lambda x: np.prod(x, axis=0),
    x=lambda g, x: g * _exclusive_cumprod(x) * np.flip(_exclusive_cumprod(np.flip(x, 0)), 0),
)


def cumsum(a: Any, axis: int | None = None) -> Any:
    """Running sums."""
    return running_sum(np.ravel(a), axis=0) if axis is None else running_sum(a, axis=axis)


def cumprod(a: Any, axis: int | None = None) -> Any:
    """Running products."""
    return running_product(np.ravel(a), axis=0) if axis is None else running_product(a, axis=axis)


def prod(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Product along axes: those axes are made one, the first."""
    shape = np.shape(a)
    axes = axes_of(axis, len(shape))
    first = np.moveaxis(a, axes, range(len(axes)))
    result = product(np.reshape(first, (math.prod(shape[i] for i in axes), *first.shape[len(axes) :])))
    return np.expand_dims(result, tuple(axes)) if keepdims else result


NUMPY.update(
    {
        np.sum: lambda a, axis=None, *, keepdims=False: sum(a, axis=axis, keepdims=keepdims),
        np.mean: lambda a, axis=None, *, keepdims=False: mean(a, axis=axis, keepdims=keepdims),
        np.max: lambda a, axis=None, *, keepdims=False: max(a, axis=axis, keepdims=keepdims),
        np.min: lambda a, axis=None, *, keepdims=False: min(a, axis=axis, keepdims=keepdims),
        np.var: var,
        np.std: std,
        np.prod: prod,
        np.cumsum: cumsum,
        np.cumprod: cumprod,
        np.linalg.norm: norm,
    }
)
NUMPY[np.amax], NUMPY[np.amin] = NUMPY[np.max], NUMPY[np.min]
