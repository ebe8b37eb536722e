"""Derivatives by moving the input a little: slow, simple, and the judge of every exact gradient.

Nothing here knows a graph or a Tensor: ``f`` is any function, so what comes out is a second opinion on a
gradient. The functions keep the names, the arguments and the step of study note 002, 4.3 and 4.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, SupportsFloat, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_kr.errors import DtypeError, NonFiniteError, ShapeError

__all__ = ["gradient_descent", "numerical_diff", "numerical_gradient"]

FloatArray = NDArray[np.floating[Any]]
Progress = Callable[[Iterable[int]], Iterable[int]]
STEP = 1e-4
"""The study notes' h."""


@overload
def numerical_diff(f: Callable[[Any], Any], x: float, h: float = ...) -> float: ...
@overload
def numerical_diff(f: Callable[[Any], Any], x: NDArray[Any], h: float = ...) -> NDArray[np.float64]: ...
def numerical_diff(f: Callable[[Any], Any], x: ArrayLike, h: float = STEP) -> float | NDArray[np.float64]:
    """Differentiate a function of one variable by the central difference (study note 002, 4.3.1).

    ``(f(x + h) - f(x - h)) / (2 * h)``, where ``2 * h`` is the distance that the rounded points really have.

    Parameters
    ----------
    f : callable
        A function of one number. For an array `x` it must be elementwise.
    x : float or ndarray
        Where to differentiate. Computed in float64 whatever the dtype.
    h : float
        The step to either side.

    Returns
    -------
    float or ndarray
        The derivative; a float64 array of the shape of `x` for an array.

    Raises
    ------
    DtypeError
        If `x` or a value of `f` is not real.
    ShapeError
        If `f` is not elementwise.
    ValueError
        If `h` is not positive, or too small to move `x`.
    NonFiniteError
        If `f` is NaN or infinite at a point it was asked for.

    Examples
    --------
    >>> round(numerical_diff(lambda x: x**2, 3), 8)
    6.0
    >>> numerical_diff(np.sin, np.array([0.0, np.pi])).round(6)
    array([ 1., -1.])
    """
    _check_step(h)
    points = np.asarray(x)
    if points.dtype.kind not in "fiu":
        raise DtypeError(f"numerical_diff: x must be a real number or an array of them, got {points.dtype}")
    points = points.astype(np.float64)
    below, above = points - h, points + h
    if not np.all((below < points) & (points < above)):
        raise ValueError(f"numerical_diff: x cannot move by h = {h} in float64; use a larger h and a finite x")
    derivative = (_elementwise(f, above) - _elementwise(f, below)) / (above - below)
    return derivative if points.ndim else float(derivative)


def numerical_gradient(
    f: Callable[[Any], SupportsFloat], x: FloatArray, h: float = STEP, *, progress: Progress | None = None
) -> NDArray[np.float64]:
    """Differentiate a scalar function of an array, one element at a time (study note 002, 4.4).

    Element i of the result is ``(f(x + h e_i) - f(x - h e_i)) / (2 * h)``, where ``2 * h`` is the distance
    that the rounded points really have. `x` itself is moved and put back, so `f` may use its argument or read
    `x` from elsewhere, as in ``loss_W = lambda W: net.loss(x, t)``.

    Parameters
    ----------
    f : callable
        Takes the array, which it must not change or keep, and returns one number: a float, an array or
        Tensor of size 1, or anything that ``float`` accepts. For an `x` in float32 or float16 it is given a
        float64 array at the very points that `x` visits.
    x : ndarray of floats
        Any number of dimensions, also none or zero-size. Put back exactly, also when `f` raises.
    h : float
        The step to either side.
    progress : callable, optional
        Wraps the range of elements to visit, for instance ``tqdm.tqdm``.

    Returns
    -------
    ndarray of float64
        The gradient, of the shape of `x`.

    Raises
    ------
    TypeError
        If `x` is not an array, or `f` returns something that is not a number.
    DtypeError
        If `x` holds integers, booleans, complex numbers or objects, or `f` returns a complex number.
    ShapeError
        If elements of `x` share memory, or `f` returns more than one number.
    ValueError
        If `x` is read-only or not finite, if `h` is not positive, or too small to move an element.
    NonFiniteError
        If `f` is NaN or infinite at a point it was asked for.

    Examples
    --------
    >>> def function_2(x):
    ...     return np.sum(x**2)
    >>> numerical_gradient(function_2, np.array([3.0, 4.0])).round(8)
    array([6., 8.])
    """
    _check_step(h)
    _check_movable(x)
    if (stuck := _unmovable(x, h)) is not None:
        wider = "" if x.itemsize >= 8 else "float64 (x.astype(np.float64)) or "
        raise ValueError(
            f"numerical_gradient: {_element(stuck, x.shape)} = {x.flat[stuck]} cannot move by h = {h}\n"
            f"  in {x.dtype} the step is lost in rounding; use {wider}a larger h"
        )
    # The difference of two float32 values of f has no digits: f gets a float64 twin at the same points.
    twin = x if x.itemsize >= 8 else x.astype(np.float64)
    gradient = np.full(x.shape, np.nan)
    positions = range(x.size)
    for position in positions if progress is None else progress(positions):
        gradient.flat[position] = _partial_derivative(f, x, twin, position, h)
    return gradient


@overload
def gradient_descent(
    f: Callable[[Any], SupportsFloat],
    init_x: ArrayLike,
    lr: float = ...,
    step_num: int = ...,
    gradient: Callable[[Any], ArrayLike] | None = ...,
    return_path: Literal[False] = ...,
) -> FloatArray: ...
@overload
def gradient_descent(
    f: Callable[[Any], SupportsFloat],
    init_x: ArrayLike,
    lr: float = ...,
    step_num: int = ...,
    gradient: Callable[[Any], ArrayLike] | None = ...,
    *,
    return_path: Literal[True],
) -> tuple[FloatArray, FloatArray]: ...
def gradient_descent(
    f: Callable[[Any], SupportsFloat],
    init_x: ArrayLike,
    lr: float = 0.01,
    step_num: int = 100,
    gradient: Callable[[Any], ArrayLike] | None = None,
    return_path: bool = False,
) -> FloatArray | tuple[FloatArray, FloatArray]:
    """Walk downhill: ``x = x - lr * gradient(x)``, `step_num` times (study note 002, 4.4.1).

    Parameters
    ----------
    f : callable
        The function to make small; used by the numerical gradient only.
    init_x : array_like of floats
        Where to start. It is copied, never changed.
    lr : float
        The learning rate.
    step_num : int
        The number of steps.
    gradient : callable, optional
        A function from x to the gradient of `f` there. By default ``numerical_gradient(f, x)``.
    return_path : bool
        Whether to return the points on the way as well.

    Returns
    -------
    x : ndarray
        The last point, in the shape and dtype of `init_x`.
    path : ndarray
        Every point from first to last, of shape ``(step_num + 1, *x.shape)``; only with `return_path`.

    Raises
    ------
    DtypeError
        If `init_x` does not hold floats.
    ShapeError
        If `gradient` returns another shape than that of x.
    ValueError
        If `lr` is not finite or `step_num` is negative.
    NonFiniteError
        If x goes where it, f or the gradient is not finite, or where x is so large that the h of the numerical
        gradient is lost in its rounding: `lr` is too large, or f has no minimum.

    Examples
    --------
    >>> def function_2(x):
    ...     return np.sum(x**2)
    >>> x = gradient_descent(function_2, np.array([-3.0, 4.0]), lr=0.1)
    >>> bool(np.all(np.abs(x) < 1e-8))
    True
    >>> twice = lambda x: 2 * x  # the exact gradient of function_2
    >>> x, path = gradient_descent(function_2, [8.0], lr=0.25, step_num=3, gradient=twice, return_path=True)
    >>> path.ravel()
    array([8., 4., 2., 1.])
    """
    if not math.isfinite(lr):
        raise ValueError(f"gradient_descent: lr must be finite, got {lr}")
    if step_num < 0:
        raise ValueError(f"gradient_descent: step_num must not be negative, got {step_num}")
    start = np.array(init_x)
    _check_floats("gradient_descent: init_x", start)
    x = start.copy()
    path = np.empty((step_num + 1, *x.shape), x.dtype) if return_path else None
    for step in range(step_num):
        if path is not None:
            path[step] = x
        if step > 0 and gradient is None and _unmovable(x, STEP) is not None:
            raise _diverged(lr, step, start, x, f"where h = {STEP} is lost in the rounding of {x.dtype}")
        try:
            slope = np.asarray(numerical_gradient(f, x) if gradient is None else gradient(x))
        except NonFiniteError as error:
            if step == 0:
                raise
            raise _diverged(lr, step, start, x, "where f is not finite") from error
        if slope.shape != x.shape:
            raise ShapeError(
                f"gradient_descent: the gradient must have the shape of x\n  expected {x.shape}, got {slope.shape}"
            )
        if step == 0 and not np.all(np.isfinite(slope)):
            raise NonFiniteError("gradient_descent: the gradient is not finite at init_x\n  start at another point")
        before = x.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            x -= lr * slope
        if not np.all(np.isfinite(x)):
            raise _diverged(lr, step, start, before, "from where the next step is not finite")
    if path is None:
        return x
    path[step_num] = x
    return x, path


def _diverged(lr: float, steps: int, start: FloatArray, x: FloatArray, reason: str) -> NonFiniteError:
    """Say how far x has gone, in its largest element."""
    farthest = int(np.argmax(np.abs(x)))
    return NonFiniteError(
        f"gradient_descent: lr = {lr} is too large, or f has no minimum\n"
        f"  by step {steps} {_element(farthest, x.shape)} had gone from {start.flat[farthest]:.6g} to "
        f"{x.flat[farthest]:.6g}, {reason}\n  try a smaller lr"
    )


def _partial_derivative(
    f: Callable[[Any], SupportsFloat], x: FloatArray, twin: FloatArray, position: int, h: float
) -> float:
    """Return the central difference in one element of `x`, which is put back in any case."""
    original = x.flat[position]
    try:
        above = _move(x, twin, position, float(original) + h)
        value_above = _as_number(f(twin))
        below = _move(x, twin, position, float(original) - h)
        value_below = _as_number(f(twin))
    finally:
        x.flat[position] = twin.flat[position] = original
    if not (math.isfinite(value_above) and math.isfinite(value_below)):
        element = _element(position, x.shape)
        raise NonFiniteError(
            f"numerical_gradient: f is not finite around {element} = {original}\n"
            f"  f is {value_below} at {element} = {below} and {value_above} at {element} = {above}"
        )
    return (value_above - value_below) / (above - below)


def _move(x: FloatArray, twin: FloatArray, position: int, value: float) -> float:
    """Write `value` into one element of `x`, and into its twin what `x` could store of it."""
    x.flat[position] = value
    twin.flat[position] = x.flat[position]
    return float(x.flat[position])


def _as_number(value: Any) -> float:
    """Return the number that `f` returned, whatever it came wrapped in."""
    shape = getattr(value, "shape", ())
    if math.prod(shape) != 1:
        raise ShapeError(
            f"numerical_gradient: f must return one number, got an array of shape {shape}\n"
            f"  sum it: f = lambda x: np.sum(...)"
        )
    # item() and not float(): a Tensor refuses float() while it records, and here its graph is not wanted.
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, complex):
        raise DtypeError(f"numerical_gradient: f must return a real number, got {plain}")
    try:
        return float(plain)
    except TypeError as error:
        raise TypeError(f"numerical_gradient: f must return a number, got {type(value).__name__}") from error


def _elementwise(f: Callable[[Any], Any], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the finite real values of `f` at `points`, one for each."""
    values = np.asarray(f(points))
    if values.shape != points.shape:
        raise ShapeError(
            f"numerical_diff: f must return one value for each element of x\n"
            f"  expected {points.shape}, got {values.shape}; for one value of all x use numerical_gradient"
        )
    if values.dtype.kind not in "fiub":
        raise DtypeError(f"numerical_diff: f must return real numbers, got {values.dtype}")
    if not np.all(np.isfinite(values)):
        first = tuple(np.argwhere(~np.isfinite(values))[0])
        raise NonFiniteError(f"numerical_diff: f is {values[first]} at x = {points[first]}")
    return values.astype(np.float64)


def _check_step(h: float) -> None:
    if not 0 < h < math.inf:
        raise ValueError(f"h must be a positive number, got {h}")


def _check_floats(what: str, x: NDArray[Any]) -> None:
    if x.dtype.kind != "f":
        raise DtypeError(f"{what} must hold floats, got {x.dtype}\n  pass x.astype(np.float64)")


def _check_movable(x: Any) -> None:
    """Raise unless each element of `x` can be changed, alone."""
    if not isinstance(x, np.ndarray):
        raise TypeError(
            f"numerical_gradient: x must be an array, which can be moved in place, got {type(x).__name__}\n"
            f"  pass np.array(..., dtype=float), or the .data of a Tensor"
        )
    _check_floats("numerical_gradient: x", x)
    if not x.flags.writeable:
        raise ValueError("numerical_gradient: x is read-only and cannot be moved in place; pass x.copy()")
    if _overlaps_itself(x):
        raise ShapeError(
            f"numerical_gradient: elements of x share memory, so one cannot be moved alone\n"
            f"  x has shape {x.shape} and strides {x.strides}; pass x.copy()"
        )
    if not np.all(np.isfinite(x)):
        position = int(np.argmin(np.isfinite(x)))
        raise ValueError(f"numerical_gradient: {_element(position, x.shape)} = {x.flat[position]} is not finite")


def _unmovable(x: FloatArray, h: float) -> int | None:
    """Return the position of the first element that is not changed by `h`, up and down, to another finite number."""
    middle = x.astype(np.float64)
    with np.errstate(over="ignore"):
        below, above = (middle - h).astype(x.dtype), (middle + h).astype(x.dtype)
    moves = (-math.inf < below) & (below < x) & (x < above) & (above < math.inf)
    return None if np.all(moves) else int(np.argmin(moves))


def _overlaps_itself(x: NDArray[Any]) -> bool:
    """Return whether two elements of `x` have a byte in common; exact."""
    axes = sorted((abs(stride), length) for stride, length in zip(x.strides, x.shape, strict=True) if length > 1)
    if x.size == 0 or not axes:
        return False
    if axes[0][0] < x.itemsize:
        return True
    # Nearly every array nests: each axis steps over all that the finer ones cover.
    covered = x.itemsize
    for stride, length in axes:
        if stride < covered:
            break
        covered += stride * (length - 1)
    else:
        return False
    offsets = np.zeros(1, dtype=np.int64)
    for stride, length in axes:
        offsets = np.add.outer(offsets, stride * np.arange(length)).ravel()
    return bool(np.any(np.diff(np.sort(offsets)) < x.itemsize))


def _element(position: int, shape: tuple[int, ...]) -> str:
    """Name an element as the user would write it, such as ``x[0, 2]``."""
    index = ", ".join(str(i) for i in np.unravel_index(position, shape))
    return f"x[{index}]" if shape else "x"
