"""Name the likely mistake behind a wrong gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_kr.gradcheck.comparison import CLOSE, Comparison

__all__ = ["patterns"]

SLIGHT, ALIKE = 0.01, 0.05
"""Up to which relative error a constant may be missing, and how alike the constants must be that it amounts to."""


def patterns(e: Comparison) -> list[str]:
    """Return sentences that name likely mistakes, the most specific first; empty if none is recognised."""
    if e.claimed.shape != e.true.shape:
        return list(_of_another_shape(e))
    almost = e.matches(e.claimed)
    found = [] if almost else list(_whole(e))
    return found[:1] if found else list(_partial(e))


def _of_another_shape(e: Comparison) -> Iterator[str]:
    extra = e.claimed.ndim - e.true.ndim
    axes = tuple(range(extra)) + tuple(
        i for i in range(max(extra, 0), e.claimed.ndim) if e.true.shape[i - extra] == 1 != e.claimed.shape[i]
    )
    if extra >= 0 and axes:
        summed = e.claimed.sum(axis=axes, keepdims=True).reshape(-1)
        if summed.size == e.true.size and e.matches(summed.reshape(e.true.shape)):
            yield (f"a missing sum: summed over axis {_joined(axes)}, along which {e.name} was broadcast, it is right")
            return
    if e.claimed.T.shape == e.true.shape and e.matches(e.claimed.T):
        yield "a transpose: the transposed array is the true gradient"
    elif e.claimed.size == e.true.size and e.matches(e.claimed.reshape(e.true.shape)):
        yield "a missing reshape: in the shape of the input it is right"


def _whole(e: Comparison) -> Iterator[str]:
    a, true = e.claimed, e.true
    if a.size > 1 and not np.any(a):
        yield f"it is zero everywhere: the backward pass never reaches {e.name}, or the path is cut (.data, detach)"
    if e.with_ones is not None and e.with_ones.shape == a.shape and np.array_equal(e.with_ones, a):
        yield "it ignores the cotangent: for a cotangent of ones it is the same; multiply by the cotangent"
    if e.matches(-a):
        yield "it is minus the true gradient: a sign is wrong"
    yield from _constant_factor(e)
    for name, other in e.others.items():
        if e.matches(a, other):
            yield f"it is the true gradient for {name}: two gradients are swapped"
    if true.ndim == 2 and true.shape[0] == true.shape[1] > 1 and e.matches(a.T):
        yield "it is the transpose of the true gradient"
    for axis in range(true.ndim):
        for shift in (1, -1):
            if true.shape[axis] > 2 and e.matches(np.roll(a, shift, axis)):
                yield f"it is the true gradient moved by one along axis {axis}: an index is off by one"
    known = np.isfinite(true)
    if true.size > 1 and known.all() and e.matches(np.sort(a.ravel()), np.sort(true.ravel())):
        yield "it has the right numbers at the wrong places: a permutation, or an order of axes"


def _constant_factor(e: Comparison) -> Iterator[str]:
    known = np.isfinite(e.true) & (e.true != 0)
    if not known.any():
        return
    ratio = float(np.sum(e.claimed[known] * e.true[known]) / np.sum(e.true[known] ** 2))
    if abs(ratio) < CLOSE or abs(ratio - 1) < CLOSE or not e.matches(e.claimed / ratio):
        return
    if abs(ratio - 2) < CLOSE or abs(ratio - 0.5) < CLOSE:
        mean = f", or the 1/N of a mean: {e.lengths[2]} has length 2" if 2 in e.lengths else ""
        yield f"it is {ratio:.3g} times the true gradient: the 2 of a square's derivative, or the 1/2 before one{mean}"
        return
    for length, words in e.lengths.items():
        if length > 1 and abs(ratio / length - 1) < CLOSE:
            yield f"it is {length} times the true gradient, the length of {words}: is a 1/N (a mean) missing?"
            return
        if length > 1 and abs(ratio * length - 1) < CLOSE:
            yield f"it is 1/{length} of the true gradient, the length of {words}: is 1/N there once too often?"
            return
    if known.sum() > 1:
        count = max(abs(ratio), 1 / abs(ratio))
        whole = ", such as 1/N in a mean" if abs(count - round(count)) < CLOSE else ""
        yield f"it is {ratio:.6g} times the true gradient, everywhere: a constant factor{whole}"


def _partial(e: Comparison) -> Iterator[str]:
    known = bool(np.isfinite(e.true).all())
    if known:
        yield from _sums_to_zero(e)
        yield from _constant_along_an_axis(e)
    epsilon = list(_epsilon(e))
    yield from epsilon or _precision(e)
    if known:
        yield from _places(e)


def _sums_to_zero(e: Comparison) -> Iterator[str]:
    for axis, length in enumerate(e.true.shape):
        magnitude = np.abs(e.true).sum(axis=axis)
        sums = e.claimed.sum(axis=axis)
        vanish = np.all(np.abs(e.true.sum(axis=axis)) <= CLOSE * magnitude.max(initial=0))
        if length > 1 and vanish and np.max(np.abs(sums), initial=0) > 100 * CLOSE * magnitude.max(initial=0):
            worst = float(sums.ravel()[np.argmax(np.abs(sums))])
            yield (
                f"along axis {axis} the true gradient sums to 0, this one to {worst:.3g}: a term that subtracts a sum "
                "or a mean is missing, such as - sum(v * s) in the backward pass of softmax"
            )


def _constant_along_an_axis(e: Comparison) -> Iterator[str]:
    error = e.claimed - e.true
    scale = float(np.max(np.abs(error), initial=0))
    for axis, length in enumerate(e.true.shape):
        if length > 1 and np.all(np.ptp(error, axis=axis) <= CLOSE * scale):
            yield f"the error is the same all along axis {axis}: a term constant along it is missing, or too much"
            return


def _epsilon(e: Comparison) -> Iterator[str]:
    """Recognise log(y + epsilon), differentiated as log(y): the relative error is epsilon / y."""
    if e.at is None or not np.all(np.isfinite(e.true) & (e.true != 0)):
        return
    relative = e.claimed / e.true - 1
    if not 0 < np.max(np.abs(relative), initial=0) < SLIGHT:
        return
    candidates = [relative * e.at]
    for axis in range(e.at.ndim):  # y may be the probability of the label, and the input the scores of a softmax
        powers = np.exp(e.at - e.at.max(axis=axis, keepdims=True))
        amounts = relative * powers / powers.sum(axis=axis, keepdims=True)
        for sign in (1, -1):
            label = np.expand_dims(np.argmax(sign * e.claimed, axis=axis), axis)
            at_label = np.take_along_axis(amounts, label, axis)
            if np.all(np.ptp(relative, axis=axis) <= ALIKE * np.abs(relative).max(axis=axis)):
                candidates.append(at_label)
    for amounts in candidates:
        epsilon = float(np.median(amounts))
        if amounts.size > 1 and epsilon > 0 and np.all(np.abs(amounts - epsilon) <= ALIKE * epsilon):
            yield (
                f"the relative error is {epsilon:.1g} / y: f has an epsilon, as in log(y + {epsilon:.1g}) or "
                "1 / (y + ...), that the backward pass forgets"
            )
            return


def _precision(e: Comparison) -> Iterator[str]:
    known = np.isfinite(e.true) & (e.true != 0)
    if not np.any(known & e.wrong):
        return
    relative = np.abs(e.claimed[known] / e.true[known] - 1)
    for dtype in (np.float16, np.float32):
        with np.errstate(all="ignore"):
            rounded = np.array_equal(e.claimed.astype(dtype).astype(np.float64), e.claimed)
        if rounded and np.max(relative, initial=0) < 4 * float(np.finfo(dtype).eps):
            yield f"the error is that of rounding to {dtype.__name__}, as by a cast inside"
            return
    largest, alone = np.max(relative, initial=0), np.count_nonzero(e.wrong) == 1 < e.wrong.size
    like_float32 = largest < 4 * float(np.finfo(np.float32).eps)
    if largest < SLIGHT and (like_float32 or not alone) and e.steady():
        yield (
            "the relative error is small, and the same at points close by, so it is no rounding: a small constant of f "
            "is left out, such as the epsilon in log(y + 1e-7) or in sqrt(var + 1e-5)"
        )
    elif like_float32:
        yield "the error has the size of float32 rounding: something is computed or kept in float32"


def _places(e: Comparison) -> Iterator[str]:
    wrong = np.argwhere(e.wrong)
    if e.wrong.all() or len(wrong) < 2:
        return
    for axis, length in enumerate(e.wrong.shape):
        indices = np.unique(wrong[:, axis])
        if len(indices) == 1 < length and np.take(e.wrong, indices[0], axis).all():
            yield f"wrong only where the index along axis {axis} is {indices[0]} of {length}"
        elif len(indices) > 1 and set(indices) == set(range(1, length, 2)):
            yield f"wrong only at odd indices along axis {axis}"


def _joined(axes: tuple[int, ...]) -> str:
    return " and ".join(map(str, axes))
