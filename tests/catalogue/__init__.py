"""The catalogue: what can be differentiated, one declaration each.

From a declaration, ``cases`` draws operands, static parameters and a cotangent; ``test_catalogue.py`` holds the
properties that every one of them must have. To declare one more primitive, add a line to CATALOGUE.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_kr import Primitive
from tinygrad_kr import functional as F
from tinygrad_kr.primitives import convolution, elementwise, indexing

Array = Any
Shape = tuple[int, ...]
Layout = tuple[tuple[Shape, ...], dict[str, Any]]  # the shape of each operand, and the static parameters

BEFORE_2_1 = np.lib.NumpyVersion(np.__version__) < "2.1.0"
"""Whether NumPy calls the shape of ``np.reshape`` ``newshape``, and ``np.clip`` needs a bound."""

GAP = 0.01
"""How far from a kink the operands stay: a hundred steps of the numerical gradient."""


# The values of operands


@dataclass(frozen=True)
class Domain:
    """Magnitudes from ``low`` to ``high``, with either sign or positive, ties allowed or not."""

    low: float
    high: float
    signed: bool = True
    distinct: bool = False

    @functools.cache  # noqa: B019 - a domain lives as long as the catalogue
    def arrays(self, shape: Shape) -> st.SearchStrategy[Array]:
        """Arrays of a shape. Each element is drawn for itself, so that they are not mostly equal."""
        size = math.prod(shape)
        magnitudes = hnp.arrays(
            np.float64, size, elements=st.floats(self.low, self.high, allow_subnormal=False), fill=st.nothing()
        )
        signs = st.integers(0, 2**size - 1) if self.signed else st.just(0)
        return st.tuples(magnitudes, signs).map(lambda drawn: self._array(*drawn, shape))

    def _array(self, magnitudes: Array, signs: int, shape: Shape) -> Array:
        negative = np.array([signs >> i & 1 for i in range(magnitudes.size)], bool)
        values = np.where(negative, -magnitudes, magnitudes)
        if self.distinct:  # the order stays, the steps become at least a quarter
            ranks = np.argsort(np.argsort(values, kind="stable"))
            values = (ranks - values.size // 2) * 0.5 + 0.25 * values / self.high / 2
        return values.reshape(shape)


real = Domain(0, 4)
nonzero = Domain(0.25, 4)
positive = Domain(0.25, 4, signed=False)
small = Domain(0, 1)
inside_unit = Domain(0, 0.8)
probability = Domain(0.2, 1, signed=False)
distinct = Domain(0, 4, distinct=True)


# The shapes of operands, and parameters that depend on them


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


# Independent references, element by element or by another formula


def reference_power(x: Array, exponent: float) -> Array:
    return np.float_power(x, exponent)


def reference_softmax(x: Array, axis: int = -1) -> Array:
    return np.apply_along_axis(lambda row: np.array([1 / np.exp(row - one).sum() for one in row]), axis, x)


def reference_log_softmax(x: Array, axis: int = -1) -> Array:
    return x - np.logaddexp.reduce(x, axis=axis, keepdims=True)


def reference_standardize(x: Array, axis: Any) -> Array:
    return (x - np.mean(x, axis=axis, keepdims=True)) / np.sqrt(np.var(x, axis=axis, keepdims=True) + 0.5)


def reference_gelu(x: Array) -> Array:
    return x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def reference_linear(x: Array, w: Array, b: Array) -> Array:
    return np.einsum("...i,ij->...j", x, w) + b


def target_rows(scores: Array, t: Array) -> tuple[Array, Array]:
    """Scores and targets as rows, one for each sample."""
    classes = scores.shape[-1]
    rows = t if t.shape == scores.shape else np.eye(classes)[t]
    return scores.reshape(-1, classes), rows.reshape(-1, classes)


def reference_cross_entropy(y: Array, t: Array) -> float:
    y, t = target_rows(y, t)
    return sum(-t[n, k] * math.log(y[n, k] + 1e-7) for n, k in np.ndindex(y.shape)) / len(y)


def reference_softmax_cross_entropy(scores: Array, t: Array) -> float:
    scores, t = target_rows(scores, t)
    rows = range(len(scores))
    return sum(t[n].sum() * math.log(np.exp(scores[n]).sum()) - t[n] @ scores[n] for n in rows) / len(scores)


def of_any_weights(scores: Any, t: Any) -> Any:
    """The loss as a function of targets, which add up to anything while each is moved; the warning is not meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return F.softmax_cross_entropy(scores, t)


def reference_squares(y: Array, t: Array) -> float:
    return sum((a - b) ** 2 for a, b in zip(y.ravel(), t.ravel(), strict=True))


def reference_scatter(g: Array, to: Shape, index: Any) -> Array:
    """Each element of g goes to where indexing takes it from."""
    sources = np.arange(math.prod(to)).reshape(to)[index].ravel()
    return np.bincount(sources, weights=g.ravel(), minlength=math.prod(to)).reshape(to)


def windows_of(x: Array, size: Shape, stride: Any, padding: Any, fill: float = 0) -> Array:
    """Every window, cut out of the padded images: (rows, columns, N, C, height, width)."""
    (height, width), (down, across), (above, beside) = size, *(np.broadcast_to(a, 2) for a in (stride, padding))
    x = np.pad(x, ((0, 0), (0, 0), (above, above), (beside, beside)), constant_values=fill)
    rows, columns = range(0, x.shape[2] - height + 1, down), range(0, x.shape[3] - width + 1, across)
    return np.array([[x[:, :, i : i + height, j : j + width] for j in columns] for i in rows])


def reference_windows(x: Array, size: Shape, stride: Shape, padding: Shape) -> Array:
    return windows_of(x, size, stride, padding).transpose(3, 4, 5, 0, 1, 2)


def reference_fold(g: Array, to: Shape, **how: Any) -> Array:
    """Each element of g goes to the pixel that stands there among the windows; the padding is pixel -1."""
    pixels = windows_of(np.arange(math.prod(to)).reshape(to), **how, fill=-1).transpose(3, 4, 5, 0, 1, 2)
    return np.bincount(pixels.ravel() + 1, g.ravel(), math.prod(to) + 1)[1:].reshape(to)


def reference_conv2d(x: Array, w: Array, b: Array | float = 0.0, *, stride: Any, padding: Any) -> Array:
    sums = np.einsum("ijncuv,ocuv->nijo", windows_of(x, w.shape[2:], stride, padding), w) + b
    return np.moveaxis(sums, -1, 1)


def reference_pool(reduce: Callable[..., Array], fill: float) -> Callable[..., Array]:
    """Pooling by a reduction of each window."""

    def pool(x: Array, size: Shape, stride: Any, padding: Any) -> Array:
        windows = windows_of(x, size, size if stride is None else stride, padding, fill)
        return np.moveaxis(reduce(windows, axis=(-2, -1)), (0, 1), (2, 3))

    return pool


# Declarations


@dataclass(frozen=True, repr=False)
class Declaration:
    """One function that can be differentiated: what it is called with, and what it must give.

    ``call`` is what the user writes, on Tensors. ``reference`` gives the same on arrays without this package; NumPy
    itself, unless told otherwise. ``layouts`` draws the operands' shapes and the static parameters, ``domains`` says
    which values the operands take. ``kinks`` tells, as one array or several, how far the operands are from where the
    derivative jumps; moving the first operand must change it. ``same`` draws shapes for one Tensor as all operands.
    """

    name: str
    call: Callable[..., Any]
    layouts: st.SearchStrategy[Layout]
    domains: tuple[Domain, ...] = (real,)
    reference: Callable[..., Any] | None = None
    kinks: Callable[..., Any] | None = None
    same: st.SearchStrategy[Shape] | None = None
    keeps_dtype: bool = True
    tolerance: float = 1e-6

    def __repr__(self) -> str:
        return self.name

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints when an example fails: the name, not every field."""
        printer.text(self.name)


def unary(name: str, call: Any, domain: Domain = real, **rest: Any) -> Declaration:
    """Declare a function of one operand of any shape."""
    return Declaration(name, call, rest.pop("layouts", alone()), (domain,), **rest)


def binary(name: str, call: Any, a: Domain = real, b: Domain = real, **rest: Any) -> Declaration:
    """Declare a function of two operands that broadcast."""
    layouts = rest.pop("layouts", with_params(broadcastable(2)))
    return Declaration(name, call, layouts, (a, b), **{"same": shapes} | rest)


def at_zero(x: Array, **params: Any) -> Array:
    """How far x is from 0."""
    return x


def at_whole_multiple(a: Array, b: Array) -> Array:
    """How far a is from a whole multiple of b."""
    return a - b * np.round(a / b)


def at_tie(a: Array, b: Array, **params: Any) -> Array:
    """How far a is from b."""
    return a - b


exponents = st.sampled_from([2, 3, 0.5, -1, -2.0, 1, 0, 0.0, 2.0])
slopes = st.floats(-0.5, 0.5)

CATALOGUE = [
    # Elementwise
    binary("add", np.add),
    binary("subtract", np.subtract),
    binary("multiply", np.multiply),
    binary("divide", np.divide, b=nonzero, same=None),
    unary("negative", np.negative),
    unary("abs", np.abs, kinks=at_zero),
    unary("sign", np.sign, kinks=at_zero),
    unary("exp", np.exp),
    unary("log", np.log, positive),
    unary("sqrt", np.sqrt, positive),
    unary("square", np.square),
    unary("tanh", np.tanh),
    binary("maximum", np.maximum, kinks=at_tie),
    binary("minimum", np.minimum, kinks=at_tie),
    binary("where", lambda a, b, condition: np.where(condition, a, b), layouts=conditionals(), same=None),
    binary("power", np.power, positive, Domain(0, 2), same=None),
    unary("power of negatives", lambda x, n: np.power(x, n), nonzero, layouts=alone(n=st.sampled_from([-2, 0, 3]))),
    unary(
        "constant power",
        lambda x, exponent: x**exponent,
        positive,
        reference=reference_power,
        layouts=alone(exponent=exponents),
    ),
    unary("power of a constant", lambda x, base: base**x, small, layouts=alone(base=st.sampled_from([0.5, 2, 3.0]))),
    unary("astype", lambda x: x.astype(np.float64), keeps_dtype=False),
    unary("copy", np.copy),
    unary("identity", F.identity, reference=lambda x: x),
    unary("identity, the primitive", elementwise.identity, reference=lambda x: x),
    binary("remainder", np.remainder, b=nonzero, kinks=at_whole_multiple, same=None),
    unary("positive", np.positive),
    unary("reciprocal", np.reciprocal, nonzero),
    unary("fabs", np.fabs, kinks=at_zero),
    unary("cbrt", np.cbrt, nonzero),
    binary("hypot", np.hypot, nonzero),
    unary("deg2rad", np.deg2rad),
    unary("rad2deg", np.rad2deg),
    unary("radians", np.radians),
    unary("degrees", np.degrees),
    binary("float_power", np.float_power, positive, Domain(0, 2), same=None, keeps_dtype=False),
    unary("exp2", np.exp2),
    unary("expm1", np.expm1),
    unary("log2", np.log2, positive),
    unary("log10", np.log10, positive),
    unary("log1p", np.log1p, inside_unit),
    binary("logaddexp", np.logaddexp),
    unary("sin", np.sin),
    unary("cos", np.cos),
    unary("tan", np.tan, small),
    unary("arcsin", np.arcsin, inside_unit),
    unary("arccos", np.arccos, inside_unit),
    unary("arctan", np.arctan),
    binary("arctan2", np.arctan2, nonzero),
    unary("sinh", np.sinh),
    unary("cosh", np.cosh),
    unary("arcsinh", np.arcsinh),
    unary("arccosh", np.arccosh, Domain(1.25, 4, signed=False)),
    unary("arctanh", np.arctanh, inside_unit),
    binary("fmax", np.fmax, kinks=at_tie),
    binary("fmin", np.fmin, kinks=at_tie),
    unary(
        "clip",
        lambda x, low, high: np.clip(x, low, high),
        kinks=lambda x, low, high: tuple(x - bound for bound in (low, high) if bound is not None),
        layouts=alone(low=st.sampled_from([None, -1, -0.5]), high=st.sampled_from([None, 1, 0.5])).filter(
            lambda layout: not BEFORE_2_1 or {*layout[1].values()} != {None}
        ),
    ),
    Declaration(
        "clip between bounds that learn",
        np.clip,
        with_params(broadcastable(3)),
        (real, small, Domain(1.5, 3, signed=False)),
        kinks=lambda x, low, high: (x - low, x - high),
    ),
    # Operators, with numbers and arrays on the other side
    unary("-x", lambda x: -x),
    unary("abs(x)", abs, kinks=at_zero),
    unary("2 - x", lambda x: 2 - x),
    unary("x - 0.5", lambda x: x - 0.5),
    unary("3 * x", lambda x: 3 * x),
    unary("x / 4", lambda x: x / 4),
    unary("1 / x", lambda x: 1 / x, nonzero),
    unary("array + x", lambda x: np.ones(4, np.float32) + x, layouts=alone(st.sampled_from([(), (1,), (4,), (3, 1)]))),
    binary("a @ b", lambda a, b: a @ b, layouts=matrix_products, same=squares),
    # A user's own operations, held to the same
    unary(
        "logit, defined by a user",
        Primitive("logit", lambda x: np.log(x / (1 - x)), x=lambda g, x: g / (x * (1 - x))),
        Domain(0.2, 0.8, signed=False),
        reference=lambda x: 2 * np.arctanh(2 * x - 1),
    ),
    # Activations
    unary("sigmoid", F.sigmoid, reference=lambda x: (1 + np.tanh(x / 2)) / 2),
    unary("F.tanh", F.tanh, reference=lambda x: 1 - 2 / (np.exp(2 * x) + 1)),
    unary("relu", F.relu, reference=lambda x: x * (x > 0), kinks=at_zero),
    unary(
        "leaky_relu",
        F.leaky_relu,
        reference=lambda x, slope: x * (x > 0) + slope * x * (x <= 0),
        kinks=at_zero,
        layouts=alone(slope=slopes),
    ),
    unary(
        "elu",
        F.elu,
        reference=lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
        kinks=at_zero,
        layouts=alone(alpha=st.sampled_from([1.0, 0.5, 2.0])),
    ),
    unary(
        "selu",
        F.selu,
        reference=lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
        kinks=at_zero,
    ),
    unary(
        "hard_sigmoid",
        F.hard_sigmoid,
        reference=lambda x: np.interp(x, [-3, 3], [0, 1]),
        kinks=lambda x: (x - 3, x + 3),
    ),
    unary(
        "hard_tanh",
        F.hard_tanh,
        reference=lambda x: np.interp(x, [-1, 1], [-1, 1]),
        kinks=lambda x: (x - 1, x + 1),
    ),
    unary("silu", F.silu, reference=lambda x: x / (1 + np.exp(-x))),
    unary("gelu", F.gelu, reference=reference_gelu),
    unary("softplus", F.softplus, reference=lambda x: np.log(1 + np.exp(x))),
    unary("softsign", F.softsign, reference=lambda x: np.sign(x) - np.sign(x) / (1 + abs(x)), kinks=at_zero),
    unary("step", F.step, reference=lambda x: np.heaviside(x, 0), kinks=at_zero),
    unary(
        "softmax",
        F.softmax,
        reference=reference_softmax,
        layouts=depending(hnp.array_shapes(max_dims=3, max_side=4), axis=single_axis),
    ),
    unary(
        "log_softmax",
        F.log_softmax,
        reference=reference_log_softmax,
        layouts=depending(hnp.array_shapes(max_dims=3, max_side=4), axis=single_axis),
    ),
    # Reductions
    unary(
        "standardize",
        lambda x, axis: F.standardize(x, axis, eps=0.5),
        reference=reference_standardize,
        layouts=reduced(nonempty=True, keepdims=False),
    ),
    unary("sum", np.sum, layouts=reduced()),
    unary("mean", np.mean, layouts=reduced(nonempty=True)),
    unary("max", np.max, distinct, layouts=reduced(nonempty=True)),
    unary("min", np.min, distinct, layouts=reduced(nonempty=True)),
    unary("np.add.reduce", np.add.reduce, layouts=reduced()),
    unary("var", np.var, layouts=reduced(nonempty=True)),
    unary("std", np.std, distinct, layouts=reduced(nonempty=True)),
    unary("var of a sample", lambda x: np.var(x, ddof=1), layouts=alone(hnp.array_shapes(min_side=2, max_dims=2))),
    unary("std of a sample", lambda x: np.std(x, ddof=1), distinct, layouts=alone(hnp.array_shapes(min_side=2))),
    unary("prod", np.prod, Domain(0, 1.5), layouts=reduced(of=small_shapes)),
    unary("logsumexp", F.logsumexp, reference=np.logaddexp.reduce, layouts=reduced(nonempty=True)),
    unary(
        "norm",
        lambda x, **how: np.linalg.norm(np.ravel(x), **how),
        nonzero,
        layouts=alone(hnp.array_shapes(max_dims=2), ord=st.sampled_from([None, 1, 2])),
    ),
    unary(
        "norm, the largest",
        lambda x: np.linalg.norm(x - 9, np.inf),  # of negative numbers, where distinct numbers stay distinct
        distinct,
        layouts=alone(hnp.array_shapes(max_dims=1)),
    ),
    unary("norms of rows", np.linalg.norm, nonzero, layouts=reduced(single_axis, of=hnp.array_shapes(max_dims=3))),
    unary(
        "Frobenius norm",
        lambda x: np.linalg.norm(x, "fro"),
        nonzero,
        layouts=alone(hnp.array_shapes(min_dims=2, max_dims=2)),
    ),
    unary("cumsum", np.cumsum, layouts=depending(shapes, axis=axis_or_none)),
    unary("cumprod", np.cumprod, Domain(0, 1.5), layouts=depending(small_shapes, axis=axis_or_none)),
    # Products of matrices
    binary("matmul", np.matmul, layouts=matrix_products, same=squares),
    binary("dot", np.dot, layouts=dots(), same=squares),
    binary("dot with three axes on the right", np.dot, layouts=dots(right=(3,)), same=None),
    Declaration("linear", F.linear, linear_layers(), (real, real, real), reference_linear),
    binary("tensordot", np.tensordot, layouts=contractions(), same=None),
    binary("outer", np.outer, same=small_shapes, layouts=with_params(st.tuples(small_shapes, small_shapes))),
    binary("inner", np.inner, layouts=with_params(squares.map(lambda shape: (shape, shape[1:]))), same=squares),
    binary("vdot", np.vdot, layouts=with_params(shapes.map(lambda shape: (shape, shape)))),
    unary(
        "einsum of one",
        lambda x, subscripts: np.einsum(subscripts, x),
        layouts=einsums("ij->ji", "ij->j", "ij->", "ii->i", "ii", "iij->j", "ijk", "...i->i..."),
    ),
    binary(
        "einsum of two",
        lambda a, b, subscripts: np.einsum(subscripts, a, b),
        layouts=einsums("ij,jk->ik", "ij,jk", "i,j->ij", "ij,ij->", "bij,bjk->bik", "ii,ij->j", "i,jk->k", ",i->i"),
        same=None,
    ),
    Declaration(
        "einsum of three",
        lambda a, b, c, subscripts: np.einsum(subscripts, a, b, c),
        einsums("ij,jk,kl->il", "i,ij,j->", "ij,j,k->ki", "...i,ij,j->..."),
        (small, small, small),
    ),
    # Convolution and pooling
    Declaration("conv2d", F.conv2d, convolutions(bias=False), (real, real), reference_conv2d),
    Declaration("conv2d with a bias", F.conv2d, convolutions(bias=True), (real, real, real), reference_conv2d),
    unary(
        "max_pool2d",
        F.max_pool2d,
        distinct,
        reference=reference_pool(np.max, -np.inf),
        layouts=poolings(reaching_beyond=False),
    ),
    unary("avg_pool2d", F.avg_pool2d, reference=reference_pool(np.mean, 0), layouts=poolings()),
    unary("windows", convolution.windows, reference=reference_windows, layouts=window_layouts()),
    unary("fold", convolution.folded, reference=reference_fold, layouts=window_layouts(folded=True)),
    # Linear algebra
    unary("inv", lambda a: np.linalg.inv(regular(a)), small, layouts=alone(square_matrices)),
    unary("det", lambda a: np.linalg.det(regular(a)), small, layouts=alone(square_matrices)),
    unary("slogdet", lambda a: np.linalg.slogdet(-regular(a)).logabsdet, small, layouts=alone(square_matrices)),
    unary(
        "cholesky",
        lambda a: np.linalg.cholesky(a @ a.mT + unit_matrix(a)),
        small,
        layouts=alone(square_matrices),
    ),
    binary("solve", lambda a, b: np.linalg.solve(regular(a), b), small, layouts=systems(), same=None),
    unary("trace", np.trace, layouts=alone(matrices, offset=st.integers(-2, 2))),
    unary("diagonal", np.diagonal, layouts=alone(matrices, offset=st.integers(-2, 2))),
    unary("diagonal of other axes", lambda x: np.diagonal(x, 1, -1, 0), layouts=alone(matrices)),
    unary("diag", np.diag, layouts=alone(hnp.array_shapes(max_dims=2, min_side=0), k=st.integers(-2, 2))),
    unary("tril", np.tril, layouts=alone(matrices, k=st.integers(-2, 2))),
    unary("triu", np.triu, layouts=alone(matrices, k=st.integers(-2, 2))),
    # Shaping
    unary("ravel", np.ravel),
    unary(
        "moveaxis",
        np.moveaxis,
        layouts=depending(hnp.array_shapes(max_dims=3), source=single_axis, destination=single_axis),
    ),
    unary("flip", np.flip, layouts=depending(shapes, axis=any_axes)),
    unary(
        "roll",
        lambda x, shift, axis: np.roll(x, shift, axis),
        layouts=depending(shapes, shift=lambda shape: st.integers(-5, 5), axis=axis_or_none),
    ),
    unary("take", np.take, layouts=takings()),
    unary("take_along_axis", np.take_along_axis, layouts=takings(along=True)),
    unary("repeat", np.repeat, layouts=repeated()),
    unary("tile", np.tile, layouts=depending(small_shapes, reps=repetitions)),
    unary("sort", np.sort, distinct, layouts=depending(shapes.filter(len), axis=axis_or_none)),
    unary("pad", np.pad, layouts=depending(small_shapes, pad_width=widths)),
    *(
        unary(
            f"pad, {mode}",
            lambda x, pad_width, mode: np.pad(x, pad_width, mode),
            layouts=depending(
                hnp.array_shapes(max_dims=2, min_side=2), pad_width=widths, mode=lambda shape, mode=mode: st.just(mode)
            ),
        )
        for mode in ("edge", "reflect", "symmetric", "wrap")
    ),
    Declaration("concatenate", lambda *parts, axis: np.concatenate(parts, axis), joinable(), (real,) * 3),
    Declaration("concatenate, flat", lambda *parts, axis: np.concatenate(parts, None), joinable(), (real,) * 3),
    Declaration("stack", lambda *parts, axis: np.stack(parts, axis), joinable(equal=True), (real,) * 3),
    Declaration("vstack", lambda *parts, axis: np.vstack(parts), joinable(equal=True), (real,) * 3),
    Declaration("hstack", lambda *parts, axis: np.hstack(parts), joinable(equal=True), (real,) * 3),
    *(
        unary(
            split.__name__,
            lambda x, at, split=split: np.concatenate(split(x, at)[::-1]),
            layouts=alone(st.integers(0, 3).map(lambda n: (n, 2)), at=st.just([1, 2])),
        )
        for split in (np.split, np.array_split)
    ),
    unary("atleast_1d", np.atleast_1d),
    unary("atleast_2d", np.atleast_2d),
    unary(
        "reshape",
        (lambda x, shape: np.reshape(x, shape)) if BEFORE_2_1 else np.reshape,
        layouts=depending(shapes, shape=reshaped),
    ),
    unary("reshape, the method", lambda x, to: x.reshape(to), layouts=depending(shapes, to=reshaped)),
    unary("transpose", np.transpose, layouts=depending(shapes, axes=permutations)),
    unary("x.T", lambda x: x.T),
    unary("x.mT", lambda x: x.mT, layouts=alone(hnp.array_shapes(min_dims=2, min_side=0, max_side=3))),
    unary("matrix_transpose", np.matrix_transpose, layouts=alone(hnp.array_shapes(min_dims=2, max_side=3))),
    unary(
        "swapaxes",
        np.swapaxes,
        layouts=depending(hnp.array_shapes(max_dims=3, min_side=0), axis1=single_axis, axis2=single_axis),
    ),
    unary("expand_dims", np.expand_dims, layouts=depending(small_shapes, axis=new_axes)),
    unary("squeeze", np.squeeze, layouts=squeezable()),
    unary("broadcast_to", np.broadcast_to, layouts=enlargeable()),
    unary("indexing", lambda x, index: x[index], layouts=depending(small_shapes, index=indices)),
    unary("scatter", indexing.scattered, reference=reference_scatter, layouts=scatterings()),
    # Losses
    binary(
        "sum_squares_error",
        F.sum_squares_error,
        reference=lambda y, t: reference_squares(y, t) / 2,
        layouts=with_params(shapes.map(lambda shape: (shape, shape))),
    ),
    binary(
        "mean_squared_error",
        F.mean_squared_error,
        reference=lambda y, t: reference_squares(y, t) / y.size,
        layouts=with_params(hnp.array_shapes(min_dims=0, max_side=3).map(lambda shape: (shape, shape))),
        same=hnp.array_shapes(min_dims=0, max_side=3),
    ),
    *(
        unary(f"{name} of {kind}", call, domain, reference=reference, layouts=scores_with(targets))
        for name, call, domain, reference in [
            ("cross_entropy_error", F.cross_entropy_error, probability, reference_cross_entropy),
            ("softmax_cross_entropy", F.softmax_cross_entropy, real, reference_softmax_cross_entropy),
        ]
        for kind, targets in [("labels", labels), ("one-hot rows", one_hot_rows), ("soft rows", soft_rows)]
    ),
    Declaration(
        "softmax_cross_entropy of targets that learn",
        of_any_weights,
        with_params(hnp.array_shapes(min_dims=1, max_dims=2).map(lambda shape: (shape, shape))),
        (real, probability),
        reference_softmax_cross_entropy,
    ),
]


# Cases


@dataclass(frozen=True)
class Case:
    """A declaration with operands, parameters and a cotangent of the output."""

    declaration: Declaration
    operands: tuple[Array, ...]
    params: dict[str, Any]
    cotangent: Array = field(repr=False)

    def call(self, *operands: Any) -> Any:
        """What the user writes, on these operands or on others."""
        return self.declaration.call(*(operands or self.operands), **self.params)

    def reference(self, *operands: Any) -> Array:
        """What must come out."""
        reference = self.declaration.reference or self.declaration.call
        return np.asarray(reference(*(operands or self.operands), **self.params))

    def arrays(self) -> list[Array]:
        """All arrays that the caller owns."""
        params = [value for value in self.params.values() if isinstance(value, np.ndarray)]
        return [*self.operands, *params, self.cotangent]


@st.composite
def cases(draw: st.DrawFn, declaration: Declaration) -> Case:
    """Operands in the declaration's domain, away from its kinks, and a cotangent."""
    layout, params = draw(declaration.layouts)
    operands = [draw(domain.arrays(shape)) for domain, shape in zip(declaration.domains, layout, strict=True)]
    return case_of(declaration, operands, params, draw(st.integers(0, 2**32 - 1)))


@st.composite
def fan_ins(draw: st.DrawFn, declaration: Declaration) -> Case:
    """The same array for every operand."""
    assert declaration.same is not None
    x = draw(declaration.domains[0].arrays(draw(declaration.same)))
    operands = (x,) * len(declaration.domains)
    seed = draw(st.integers(0, 2**32 - 1))
    return Case(declaration, operands, {}, uneven(seed, np.shape(declaration.call(*operands))))


def case_of(declaration: Declaration, operands: Any, params: dict[str, Any], seed: int) -> Case:
    """A case with operands pushed away from kinks, and a cotangent that fits the output."""
    if declaration.kinks is not None:
        operands = pushed(operands, lambda *moved: declaration.kinks(*moved, **params))
    case = Case(declaration, tuple(operands), params, np.empty(0))
    return Case(declaration, case.operands, params, uneven(seed, case.reference().shape))


def pushed(operands: Any, kinks: Callable[..., Any]) -> list[Array]:
    """Move elements of the first operand up until none is near a kink."""
    first, *rest = operands
    for _ in range(1000):
        distances = kinks(first, *rest)
        near = np.zeros(first.shape, bool)
        for distance in distances if isinstance(distances, tuple) else (distances,):
            near |= any_along_broadcast(np.abs(distance) < GAP, first.shape)
        if not near.any():
            return [first, *rest]
        first = np.where(near, first + 2 * GAP, first)
    raise AssertionError("moving the first operand does not take it away from the kinks")


def any_along_broadcast(flags: Array, shape: Shape) -> Array:
    """Of what broadcasting made of a shape, whether any copy of an element is flagged."""
    flags = np.any(flags, axis=tuple(range(np.ndim(flags) - len(shape))))
    repeated = tuple(i for i, size in enumerate(shape) if size == 1)
    return np.any(flags, axis=repeated, keepdims=True)


def uneven(seed: int, shape: Shape) -> Array:
    """A cotangent of numbers between 1/2 and 2, no two alike, every second one negative."""
    rng = np.random.default_rng(seed)
    size = math.prod(shape)
    signs = 1.0 - 2 * (rng.permutation(size) % 2)
    return (signs * rng.uniform(0.5, 2, size)).reshape(shape)
