"""The shapes of operands, and static parameters that depend on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from catalogue.references import reference_windows
from catalogue.values import Array, Layout, Shape, probability


def mostly_filled(strategy: Callable[..., st.SearchStrategy[Any]], **sides: Any) -> st.SearchStrategy[Any]:
    """Shapes from 0-d on; one draw in three may be of size zero, or else most would be."""
    filled = strategy(min_dims=0, min_side=1, **sides)
    return st.one_of(filled, filled, strategy(min_dims=0, min_side=0, **sides))


shapes = mostly_filled(hnp.array_shapes, max_dims=3, max_side=4)
small_shapes = mostly_filled(hnp.array_shapes, max_dims=3, max_side=3)
squares = st.integers(0, 3).map(lambda n: (n, n))


def broadcastable(count: int) -> st.SearchStrategy[tuple[Shape, ...]]:
    """Shapes that broadcasting brings together."""
    together = mostly_filled(hnp.mutually_broadcastable_shapes, num_shapes=count, max_dims=3, max_side=4)
    return together.map(lambda drawn: drawn.input_shapes)


def with_params(
    operands: st.SearchStrategy[tuple[Shape, ...]], **params: st.SearchStrategy[Any]
) -> st.SearchStrategy[Layout]:
    """Shapes, and parameters that do not depend on them."""
    return st.tuples(operands, st.fixed_dictionaries(params))


def alone(of: st.SearchStrategy[Shape] = shapes, **params: st.SearchStrategy[Any]) -> st.SearchStrategy[Layout]:
    """One operand."""
    return with_params(st.tuples(of), **params)


def depending(
    of: st.SearchStrategy[Shape], **params: Callable[[Shape], st.SearchStrategy[Any]]
) -> st.SearchStrategy[Layout]:
    """One operand, and parameters that depend on its shape."""
    return of.flatmap(
        lambda shape: st.tuples(
            st.just((shape,)), st.fixed_dictionaries({name: param(shape) for name, param in params.items()})
        )
    )


def single_axis(shape: Shape) -> st.SearchStrategy[int]:
    """An axis, from the front or from the back."""
    return st.integers(-len(shape), len(shape) - 1)


def any_axes(shape: Shape) -> st.SearchStrategy[Any]:
    """None, one axis as a Python or a NumPy integer, several, or none of them."""
    several = hnp.valid_tuple_axes(len(shape))
    if not shape:
        return st.none() | several
    return st.one_of(st.none(), single_axis(shape), single_axis(shape).map(np.int64), several)


def without_empty(shape: Shape, axis: Any) -> Shape:
    """The shape, with at least one element along each axis that is reduced: nothing has no maximum."""
    axes = range(len(shape)) if axis is None else np.atleast_1d(axis).astype(int)
    reduced = {int(i) % len(shape) for i in axes}
    return tuple(size or 1 if i in reduced else size for i, size in enumerate(shape))


@st.composite
def reduced(
    draw: st.DrawFn,
    axes: Callable[[Shape], st.SearchStrategy[Any]] = any_axes,
    *,
    of: st.SearchStrategy[Shape] = shapes,
    nonempty: bool = False,
    keepdims: bool = True,
) -> Layout:
    """One operand, the axes to reduce, and whether they stay with size 1."""
    shape = draw(of)
    axis = draw(axes(shape))
    params = {"axis": axis}
    if keepdims:
        params["keepdims"] = draw(st.booleans())
    return (without_empty(shape, axis) if nonempty else shape,), params


matrix_products = mostly_filled(
    hnp.mutually_broadcastable_shapes, signature=np.matmul.signature, max_dims=2, max_side=3
).map(lambda drawn: (drawn.input_shapes, {}))
"""Vectors, matrices, and batches of them that broadcast."""


@st.composite
def dots(draw: st.DrawFn, right: tuple[int, ...] = (0, 1, 2)) -> Layout:
    """What ``np.dot`` multiplies; ``right`` says how many axes the second operand may have."""
    a = draw(hnp.array_shapes(min_dims=0 if 0 in right else 1, max_dims=3, min_side=0, max_side=3))
    b = draw(hnp.array_shapes(min_dims=max(right), max_dims=max(right), min_side=0, max_side=3))
    b = b[max(right) - draw(st.sampled_from(right)) :]
    if a and b:
        b = (*b[:-2], a[-1], *b[-1:]) if len(b) > 1 else a[-1:]
    return (a, b), {}


@st.composite
def linear_layers(draw: st.DrawFn) -> Layout:
    """x (..., in), w (in, out), b (out,)."""
    x = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    outputs = draw(st.integers(0, 3))
    return (x, (x[-1], outputs), (outputs,)), {}


@st.composite
def conditionals(draw: st.DrawFn) -> Layout:
    """Two operands and a condition that broadcast together."""
    condition, a, b = draw(broadcastable(3))
    return (a, b), {"condition": draw(hnp.arrays(bool, condition))}


def indices(shape: Shape) -> st.SearchStrategy[Any]:
    """Every kind of index: slices and numbers, repeated integers, pairs, masks, and mixtures of them."""
    kinds = [hnp.basic_indices(shape, allow_newaxis=True), hnp.arrays(bool, shape)]
    if shape:
        kinds.append(hnp.arrays(bool, shape[:1]))
    if shape and 0 not in shape:
        along_first = st.integers(-shape[0], shape[0] - 1)
        kinds.append(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=4)))
        kinds.append(st.lists(along_first, min_size=1, max_size=5))
        kinds.append(along_first.map(np.int64))
    if len(shape) > 1 and 0 not in shape:
        second = hnp.arrays(np.intp, st.integers(1, 5), elements=st.integers(-shape[1], shape[1] - 1))
        labels = hnp.arrays(np.intp, shape[0], elements=st.integers(0, shape[1] - 1))
        kinds.append(second.map(lambda picks: (slice(None), picks)))
        kinds.append(labels.map(lambda t: (np.arange(len(t)), t)))
    return st.one_of(kinds)


@st.composite
def scatterings(draw: st.DrawFn) -> Layout:
    """What indexing gives, to be put back where it was."""
    shape = draw(small_shapes)
    index = draw(indices(shape))
    return (np.empty(shape)[index].shape,), {"to": shape, "index": index}


def reshaped(shape: Shape) -> st.SearchStrategy[Any]:
    """Shapes for as many elements."""
    size = math.prod(shape)
    return st.sampled_from([shape[::-1], (1, *shape), (*shape, 1), (size,), size, -1])


def permutations(shape: Shape) -> st.SearchStrategy[Any]:
    """None, or the axes in another order, some counted from the back."""
    axes = st.permutations(range(len(shape)))
    return st.none() | axes.map(tuple) | axes.map(lambda order: tuple(i - len(shape) for i in order))


def new_axes(shape: Shape) -> st.SearchStrategy[Any]:
    """Where axes can be put in."""
    return single_axis((*shape, 1)) | hnp.valid_tuple_axes(len(shape) + 2, min_size=2, max_size=2)


@st.composite
def squeezable(draw: st.DrawFn) -> Layout:
    """A shape with axes of size 1, and all, some or one of them."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=2))
    ones = [i for i, size in enumerate(shape) if size == 1]
    axes = st.none() | st.sets(st.sampled_from(ones)).map(tuple) if ones else st.just(None)
    return (shape,), {"axis": draw(axes | st.sampled_from(ones) if ones else axes)}


@st.composite
def enlargeable(draw: st.DrawFn) -> Layout:
    """A shape, and a larger one that broadcasting makes of it."""
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=3, min_side=0, max_side=4))
    return drawn.input_shapes[:1], {"shape": drawn.result_shape}


def scores_with(
    targets: Callable[[Shape], st.SearchStrategy[Any]], min_dims: int = 1, max_dims: int = 3
) -> st.SearchStrategy[Layout]:
    """Scores or probabilities with the classes along the last axis, and targets for them."""
    return depending(hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, max_side=4), t=targets)


def sized(shape: Shape) -> Shape:
    """The shape with at least one element along each axis."""
    return tuple(size or 1 for size in shape)


def axis_or_none(shape: Shape) -> st.SearchStrategy[int | None]:
    """An axis, or None for all elements in a row."""
    return st.none() | single_axis(shape) if shape else st.none()


@st.composite
def takings(draw: st.DrawFn, *, along: bool = False) -> Layout:
    """Positions along an axis to take; ``along`` for positions of each line's own."""
    shape = draw(small_shapes.map(sized).filter(len))
    axis = draw(axis_or_none(shape))
    line = math.prod(shape) if axis is None else shape[axis]
    taken: Any = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0)
    if along:
        others = (1,) if axis is None else shape
        count = draw(st.integers(0, 4))
        taken = tuple(count if i == (axis or 0) % len(others) else size for i, size in enumerate(others))
    return (shape,), {
        "indices": draw(hnp.arrays(np.intp, taken, elements=st.integers(-line, line - 1))),
        "axis": axis,
    }


def repetitions(shape: Shape) -> st.SearchStrategy[Any]:
    """How often to repeat along each of some axes."""
    return st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=len(shape) + 1).map(tuple)


@st.composite
def repeated(draw: st.DrawFn) -> Layout:
    """How often to repeat each element: the same for all, or a number for each."""
    shape = draw(small_shapes.map(sized))
    axis = draw(axis_or_none(shape))
    length = math.prod(shape) if axis is None else shape[axis]
    return (shape,), {
        "repeats": draw(st.integers(0, 3) | st.lists(st.integers(0, 2), min_size=length, max_size=length)),
        "axis": axis,
    }


def widths(shape: Shape) -> st.SearchStrategy[Any]:
    """How much to pad: the same everywhere, or a pair for each axis."""
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    return st.integers(0, 2) | st.lists(pair, min_size=len(shape), max_size=len(shape)) if shape else st.just(1)


@st.composite
def joinable(draw: st.DrawFn, *, equal: bool = False) -> Layout:
    """Three shapes that differ along one axis at most, and that axis."""
    shape = draw(small_shapes.filter(len))
    axis = draw(single_axis(shape))
    lengths = [shape[axis]] * 3 if equal else draw(st.tuples(*[st.integers(0, 3)] * 3))
    parts = tuple(tuple(n if i == axis % len(shape) else m for i, m in enumerate(shape)) for n in lengths)
    return parts, {"axis": axis}


@st.composite
def contractions(draw: st.DrawFn) -> Layout:
    """Two shapes with axes in common, counted or listed."""
    common = draw(st.lists(st.integers(0, 3), max_size=2))
    a = (*draw(st.lists(st.integers(0, 3), max_size=2)), *common)
    b = (*common, *draw(st.lists(st.integers(0, 3), max_size=2)))
    count = len(common)
    listed = (list(range(len(a) - count, len(a))), list(range(count)))
    return (a, b), {"axes": draw(st.sampled_from([count, listed]))}


def einsums(*subscripts: str) -> st.SearchStrategy[Layout]:
    """Sizes for the letters of some subscripts; a dot stands for one more axis in an ellipsis."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Layout:
        chosen = draw(st.sampled_from(subscripts))
        sizes = {letter: draw(st.integers(0, 3)) for letter in sorted(set(chosen) - set("->,"))}
        terms = chosen.replace("...", ".").partition("->")[0].split(",")
        return tuple(tuple(sizes[c] for c in term) for term in terms), {"subscripts": chosen}

    return drawn()


matrices = hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=3)
square_matrices = st.tuples(st.lists(st.integers(1, 2), max_size=1), st.integers(1, 3)).map(
    lambda drawn: (*drawn[0], drawn[1], drawn[1])
)
"""Alone or in batches."""


@st.composite
def systems(draw: st.DrawFn) -> Layout:
    """Square matrices, and one or several right-hand sides."""
    n = draw(st.integers(1, 3))
    batch = tuple(draw(st.lists(st.integers(1, 2), max_size=1)))
    right = (n,) if draw(st.booleans()) else (*batch, n, draw(st.integers(1, 2)))
    return ((*batch, n, n), right), {}


def in_both_directions(least: int, most: int) -> st.SearchStrategy[Any]:
    """One number for both directions, or one for each."""
    numbers = st.integers(least, most)
    return numbers | st.tuples(numbers, numbers)


@st.composite
def slidings(draw: st.DrawFn) -> tuple[Shape, dict[str, Any]]:
    """Images (N, C, H, W), the size of a window within them, its stride, and their padding."""
    image, padding = draw(st.tuples(*[st.integers(1, 4)] * 2)), draw(in_both_directions(0, 2))
    most = [min(3, side + 2 * int(p)) for side, p in zip(image, np.broadcast_to(padding, 2), strict=True)]
    size = tuple(draw(st.integers(1, n)) for n in most)
    stride = draw(in_both_directions(1, 3))
    return (draw(st.integers(0, 2)), draw(st.integers(1, 2)), *image), {
        "size": size,
        "stride": stride,
        "padding": padding,
    }


@st.composite
def convolutions(draw: st.DrawFn, *, bias: bool) -> Layout:
    """Images and filters, with or without a bias for each filter."""
    x, params = draw(slidings())
    filters = draw(st.integers(0, 2))
    return (x, (filters, x[1], *params.pop("size")), (filters,))[: 3 if bias else 2], params


@st.composite
def poolings(draw: st.DrawFn, *, reaching_beyond: bool = True) -> Layout:
    """Images and windows, which may lie in the padding alone unless told otherwise; often side by side."""
    x, params = draw(slidings())
    if not reaching_beyond:
        both = np.broadcast_to(params["padding"], 2)
        params["padding"] = tuple(min(int(p), n - 1) for p, n in zip(both, params["size"], strict=True))
    if draw(st.booleans()):
        params["stride"] = None
    return (x,), params


@st.composite
def window_layouts(draw: st.DrawFn, *, folded: bool = False) -> Layout:
    """Images to take the windows of, or the windows to fold up to images."""
    x, params = draw(slidings())
    params = {name: tuple(np.broadcast_to(value, 2).tolist()) for name, value in params.items()}
    if not folded:
        return (x,), params
    return (reference_windows(np.empty(x), **params).shape,), {"to": x, **params}


def unit_matrix(a: Any) -> Array:
    """The identity of a's size and dtype."""
    return np.eye(a.shape[-1], dtype=a.dtype)


def regular(a: Any) -> Any:
    """A matrix far from singular, made of one with elements up to 1."""
    return a + 4 * unit_matrix(a)


def labels(shape: Shape) -> st.SearchStrategy[Any]:
    """An integer for each sample, of any integer dtype."""
    dtypes = st.sampled_from([np.int64, np.int32, np.uint8])
    return hnp.arrays(dtypes, shape[:-1], elements=st.integers(0, shape[-1] - 1))


def one_hot_rows(shape: Shape) -> st.SearchStrategy[Any]:
    """The same, as rows of zeros and a one, integers or floats."""
    dtypes = st.sampled_from([np.int64, np.float64])
    return st.tuples(labels(shape), dtypes).map(lambda drawn: np.eye(shape[-1], dtype=drawn[1])[drawn[0]])


def soft_rows(shape: Shape) -> st.SearchStrategy[Any]:
    """Rows of weights that add up to 1."""
    return probability.arrays(shape).map(lambda rows: rows / rows.sum(axis=-1, keepdims=True))
