"""Which operands fit."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.fuzz.functions.draft import Draft, Fields, Kind, NotApplicable
from benchmarks.fuzz.functions.operations import op
from benchmarks.fuzz.functions.programs import Array, Shape

TRANSPOSED = op("np.swapaxes({x}, -1, -2)")
COLUMN_SUMS = op("np.sum({x}, axis=0)")
PART = op("{x}[:2, :, :2, -2:]")
SUMS_OF_FILTERS = op("np.sum({x}, axis=(1, 2, 3))")


def together(a: Shape, b: Shape) -> bool:
    """Whether broadcasting brings two shapes together."""
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


def operand(fits: Callable[[Array], bool]) -> Kind:
    """Draw a value that fits, whatever was drawn before."""
    return lambda draft, fields: draft.pick(fits)


def beside(fits: Callable[[Array, Array], bool]) -> Kind:
    """Draw a value that fits to x."""
    return lambda draft, fields: draft.pick(lambda value: fits(draft.values[fields["x"]], value))


def broadcasting(draft: Draft, fields: Fields) -> str:
    """Draw a value that broadcasting brings together with all that were drawn before."""
    shapes = [draft.values[name].shape for name in fields.values() if name in draft.values]
    return draft.pick(lambda value: all(together(value.shape, shape) for shape in shapes))


def multiplies(x: Array, y: Array) -> bool:
    """Whether x @ y has a shape."""
    return y.ndim > 0 and x.shape[-1] == y.shape[max(y.ndim - 2, 0)] and together(x.shape[:-2], y.shape[:-2])


def factor(draft: Draft, fields: Fields) -> str:
    """Draw a right factor; x transposed always is one."""
    try:
        return beside(multiplies)(draft, fields)
    except NotApplicable:
        return draft.write(TRANSPOSED, {"x": fields["x"]})[0]


def weight(draft: Draft, fields: Fields) -> str:
    """Draw the weights of a layer for x."""
    return draft.pick(lambda w: w.ndim == 2 and len(w) == draft.values[fields["x"]].shape[-1])


def bias(draft: Draft, fields: Fields) -> str:
    """Draw what is added to x @ y: sums of y's columns, if nothing else fits."""
    try:
        return draft.pick(lambda b: b.shape == draft.values[fields["y"]].shape[1:])
    except NotApplicable:
        return draft.write(COLUMN_SUMS, {"x": fields["y"]})[0]


def are_images(x: Array) -> bool:
    """Whether PyTorch, too, can slide windows over x: only the number of samples may be 0."""
    return x.ndim == 4 and 0 not in x.shape[1:]


def filters(draft: Draft, fields: Fields) -> str:
    """Draw filters for the images x, with sides up to theirs; as good as any is a part of x itself."""
    n, channels, height, width = draft.values[fields["x"]].shape
    if n and draft.rng.random() < 0.5:
        return draft.write(PART, {"x": fields["x"]})[0]
    return draft.pick(
        lambda w: (
            are_images(w) and len(w) > 0 and w.shape[1] == channels and w.shape[2] <= height and w.shape[3] <= width
        )
    )


def bias_of_filters(draft: Draft, fields: Fields) -> str:
    """Draw a number for each of the filters y: sums of each, if nothing else fits."""
    try:
        return draft.pick(lambda b: b.shape == draft.values[fields["y"]].shape[:1])
    except NotApplicable:
        return draft.write(SUMS_OF_FILTERS, {"x": fields["y"]})[0]


def is_right_side(a: Array, b: Array) -> bool:
    """Whether solve(a, b) has a shape; one axis is one right-hand side."""
    if b.ndim == 1:
        return len(b) == a.shape[-1]
    return b.ndim > 1 and b.shape[-2] == a.shape[-1] and together(a.shape[:-2], b.shape[:-2])


def is_neighbour(x: Array, y: Array) -> bool:
    """Whether two arrays can be joined."""
    return x.ndim == y.ndim and sum(m != n for m, n in zip(x.shape, y.shape, strict=True)) <= 1


KINDS: dict[str, Kind] = {
    **dict.fromkeys(("x", "y", "z", "other"), broadcasting),
    "any": operand(lambda x: True),
    "filled": operand(lambda x: x.size > 0),
    "line": operand(lambda x: x.ndim > 0),
    "rows": operand(lambda x: x.ndim > 0 and x.size > 0),
    "vector": operand(lambda x: x.ndim == 1),
    "single": operand(lambda x: x.ndim == 0),
    "matrix": operand(lambda x: x.ndim > 1),
    "up to matrix": operand(lambda x: x.ndim in (1, 2)),
    "square": operand(lambda x: x.ndim > 1 and x.shape[-1] == x.shape[-2]),
    "twin": beside(lambda x, y: x.shape == y.shape),
    "neighbour": beside(is_neighbour),
    "same rows": beside(lambda x, y: y.ndim > 0 and x.shape[-1] == y.shape[-1]),
    "dot factor": beside(lambda x, y: y.ndim > 0 and x.shape[-1] == y.shape[max(y.ndim - 2, 0)]),
    "high dot factor": beside(lambda x, y: y.ndim > 2 and x.shape[-1] == y.shape[-2]),
    "right side": beside(is_right_side),
    "factor": factor,
    "weight": weight,
    "bias": bias,
    "images": operand(are_images),
    "filters": filters,
    "bias of filters": bias_of_filters,
}
