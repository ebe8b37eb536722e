"""Parameters that fit the operands, as text."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.fuzz.functions.draft import LARGEST, Draft, Fields, Kind, require
from benchmarks.fuzz.functions.operands import together
from benchmarks.fuzz.functions.operations import OPERANDS
from benchmarks.fuzz.functions.programs import Shape


def parameter(draw: Callable[[random.Random, Shape], Any]) -> Kind:
    """Draw a parameter that depends on the shape of x."""
    return lambda draft, fields: str(draw(draft.rng, draft.values[fields["x"]].shape))


def along(draw: Callable[[random.Random, Shape, int], Any]) -> Kind:
    """Draw a parameter that depends on the shape of x and on the axis that was drawn before."""

    def kind(draft: Draft, fields: Fields) -> str:
        shape = draft.values[fields["x"]].shape
        axis = int(fields.get("long_axis") or fields["axis"])
        return str(draw(draft.rng, shape, axis))

    return kind


def signed(rng: random.Random, axis: int, ndim: int) -> int:
    """Count an axis from the front or from the back."""
    return axis - ndim * rng.randrange(2)


def some_axis(rng: random.Random, shape: Shape, fits: Callable[[int], bool] = lambda size: True) -> int:
    fitting = [i for i, size in enumerate(shape) if fits(size)]
    require(fitting)
    return signed(rng, rng.choice(fitting), len(shape))


def some_axes(rng: random.Random, shape: Shape) -> int | Shape | None:
    """Every form that NumPy knows: None, an integer, a tuple, the empty tuple."""
    form = rng.randrange(3)
    if form == 0:
        return None
    if form == 1 and shape:
        return some_axis(rng, shape)
    return ordered_axes(rng, shape, rng.randint(0, len(shape)))


def ordered_axes(rng: random.Random, shape: Shape, count: int) -> Shape:
    return tuple(signed(rng, i, len(shape)) for i in rng.sample(range(len(shape)), count))


def taken_together(shape: Shape, axes: int | Shape | None) -> int:
    """How many elements a reduction takes together."""
    named = range(len(shape)) if axes is None else (axes,) if isinstance(axes, int) else axes
    return math.prod(shape[i] for i in named)


def filled_axes(rng: random.Random, shape: Shape) -> int | Shape | None:
    axes = some_axes(rng, shape)
    require(taken_together(shape, axes))
    return axes


def norm_axes(rng: random.Random, shape: Shape) -> int | Shape | None:
    return rng.choice(
        [None, *([some_axis(rng, shape)] if shape else []), *([ordered_axes(rng, shape, 2)] if len(shape) > 1 else [])]
    )


def ddof(draft: Draft, fields: Fields) -> str:
    count = taken_together(draft.values[fields["x"]].shape, eval(fields["filled_axes"]))
    return str(draft.rng.choice([n for n in (0, 0.5, 1, 2) if n < count]))


def common_axis(draft: Draft, fields: Fields) -> str:
    """Draw the axis along which x and y can be joined."""
    x, y = (draft.values[fields[name]].shape for name in "xy")
    differing = [i for i, (m, n) in enumerate(zip(x, y, strict=True)) if m != n]
    return str(signed(draft.rng, differing[0], len(x)) if differing else some_axis(draft.rng, x))


def new_axes(rng: random.Random, shape: Shape) -> int | Shape:
    count = rng.randrange(3)
    return ordered_axes(rng, (*shape, *[1] * count), count) if count else new_axis(rng, shape)


def new_axis(rng: random.Random, shape: Shape) -> int:
    return some_axis(rng, (*shape, 1))


def same_size(rng: random.Random, shape: Shape) -> Shape:
    """Draw another shape of as many elements; -1 stands for one of its sides."""
    size = math.prod(shape)
    if not size:
        return tuple(rng.sample(shape, len(shape)))
    sides: list[int] = [1] * rng.randrange(2)
    while size > 1:
        sides.append(rng.choice([n for n in range(2, size + 1) if size % n == 0]))
        size //= sides[-1]
    rng.shuffle(sides)
    if sides and rng.random() < 0.3:
        sides[rng.randrange(len(sides))] = -1
    return tuple(sides)


def wider(rng: random.Random, shape: Shape) -> Shape:
    return (*[rng.randrange(4)] * rng.randrange(2), *(rng.randrange(4) if n == 1 else n for n in shape))


def cuts(rng: random.Random, shape: Shape, axis: int) -> tuple[int, ...]:
    """Draw positions, in whatever order, from either end."""
    return tuple(rng.randint(-shape[axis], shape[axis]) for _ in range(rng.randint(1, 3)))


def sections(rng: random.Random, shape: Shape, axis: int) -> int:
    require(shape[axis] > 1)
    return rng.choice([n for n in range(2, shape[axis] + 1) if shape[axis] % n == 0])


def counts(rng: random.Random, shape: Shape, axis: int) -> int | list[int]:
    return rng.choice([rng.randrange(4), [rng.randrange(3) for _ in range(shape[axis])]])


def repetitions(rng: random.Random, shape: Shape) -> int | Shape:
    several = tuple(rng.choice([0, 1, 1, 2, 2, 3]) for _ in range(rng.randint(0, len(shape) + 1)))
    return rng.choice([rng.randrange(4), several])


def widths(rng: random.Random, shape: Shape) -> Any:
    """Draw one width for all, a pair for all, or a pair for each axis."""
    pairs = tuple((rng.randrange(3), rng.randrange(3)) for _ in shape)
    return rng.choice([rng.randrange(3), (rng.randrange(3), rng.randrange(3)), *([pairs] if shape else [])])


def places(rng: random.Random, size: int, shape: Shape | None = None) -> Any:
    """Draw integers that index an axis, with repeats and from either end, as nested lists."""
    shape = rng.choice([(), (1,), (3,), (4,), (2, 2)]) if shape is None else shape
    flat = [rng.randrange(-size, size) for _ in range(math.prod(shape))]
    return np.array(flat, int).reshape(shape).tolist()


def places_in_lines(rng: random.Random, shape: Shape, axis: int) -> str:
    """Draw places in each line along an axis, in an array, since lists of size zero have no dtype."""
    to = tuple(rng.randint(1, 4) if i == axis % len(shape) else n for i, n in enumerate(shape))
    return f"np.array({places(rng, shape[axis], to)}, int).reshape({to})"


def index(draft: Draft, fields: Fields) -> str:
    """Draw what NumPy allows between brackets: integers, slices, None, an ellipsis, arrays, all mixed."""
    rng, shape = draft.rng, draft.values[fields["x"]].shape
    length = rng.randint(1, 3)  # of all arrays in this index, since they are taken together
    named = rng.randint(0, len(shape))
    at = rng.randint(0, named)  # where the ellipsis stands
    parts = [index_of_axis(rng, n, length) for n in (*shape[:at], *shape[len(shape) - named + at :])]
    if named < len(shape):
        parts.insert(at, "...")
    for _ in range(rng.choice([0, 0, 1, 2])):
        parts.insert(rng.randint(0, len(parts)), "None")
    return ", ".join(parts) or "()"


def index_of_axis(rng: random.Random, size: int, length: int) -> str:
    kind = rng.choice(["slice", "slice", "integer", "array", "mask"]) if size else "slice"
    if kind == "integer":
        return str(rng.randrange(-size, size))
    if kind == "array":
        return str(places(rng, size, rng.choice([(length,), (length,), (2, length)])))
    if kind == "mask" and length <= size:
        chosen = rng.sample(range(size), length)
        return str([i in chosen for i in range(size)])
    start, stop = (rng.choice(["", rng.randint(-size - 1, size + 1)]) for _ in range(2))
    return f"{start}:{stop}" + rng.choice(["", ":2", ":-1", ":-1", ":-2"])


def mask(rng: random.Random, shape: Shape) -> str:
    """Draw a mask of the leading axes."""
    to = shape[: rng.randint(1, len(shape))]
    chosen = np.array([rng.random() < 0.5 for _ in range(math.prod(to))], bool).reshape(to)
    return f"np.array({chosen.tolist()}, bool).reshape({to})"


def pairs(draft: Draft, fields: Fields) -> str:
    """Draw pairs of axes of x and y that tensordot can sum over."""
    x, y = (draft.values[fields[name]].shape for name in "xy")
    free = list(range(len(y)))
    of_x: list[int] = []
    of_y: list[int] = []
    for i in draft.rng.sample(range(len(x)), len(x)):
        partners = [j for j in free if y[j] == x[i]]
        if partners and draft.rng.random() < 0.7:
            of_x.append(signed(draft.rng, i, len(x)))
            of_y.append(draft.rng.choice(partners))
            free.remove(of_y[-1])
    return f"({of_x}, {of_y})"


def shared(draft: Draft, fields: Fields) -> str:
    """Draw how many last axes of x are first axes of y."""
    x, y = (draft.values[fields[name]].shape for name in "xy")
    return str(draft.rng.choice([n for n in range(min(len(x), len(y)) + 1) if x[len(x) - n :] == y[:n]]))


def subscripts(draft: Draft, fields: Fields) -> str:
    """Draw terms for the operands in Einstein's notation; a size of 1 may share a letter with any other."""
    rng = draft.rng
    shapes = [draft.values[fields[name]].shape for name in OPERANDS if name in fields]
    sizes: dict[str, int] = {}
    hidden = min(map(len, shapes)) if rng.random() < 0.3 else 0
    leading = [shape[:hidden] for shape in shapes]
    require(all(together(a, b) for a in leading for b in leading))
    dots = "..." if hidden else ""
    terms = [dots + letters(rng, sizes, shape[hidden:]) for shape in shapes]
    require(math.prod(sizes.values()) <= 16 * LARGEST)
    if rng.random() < 0.2:
        return repr(",".join(terms))
    return repr(",".join(terms) + "->" + dots + "".join(rng.sample(sorted(sizes), rng.randint(0, len(sizes)))))


def letters(rng: random.Random, sizes: dict[str, int], shape: Shape) -> str:
    """Choose a letter for each axis: a new one, or one that stands for this size, or for 1 in another operand."""
    term = ""
    for size in shape:
        known = [c for c, n in sizes.items() if n == size or 1 in (n, size)]
        known = [c for c in known if c not in term or shape[term.index(c)] == size]
        chosen = rng.choice(known) if known and rng.random() < 0.7 else "abcdefghijklmnop"[len(sizes)]
        sizes[chosen] = size if sizes.get(chosen, 1) == 1 else sizes[chosen]
        term += chosen
    return term


def some_labels(rng: random.Random, shape: Shape) -> Any:
    """Draw a class for each row."""
    drawn = [rng.randrange(shape[-1]) for _ in range(math.prod(shape[:-1]))]
    return np.reshape(drawn, shape[:-1]).tolist()


def number(rng: random.Random, shape: Shape) -> float:
    return round(rng.choice([-1, 1]) * rng.uniform(0.3, 2), 2)


def window(rng: random.Random, shape: Shape) -> Shape:
    return tuple(rng.randint(1, side) for side in shape[2:])


def in_both_directions(rng: random.Random, least: int, most: int) -> int | Shape:
    """Draw one number for both directions, or one for each."""
    return rng.choice([rng.randint(least, most), (rng.randint(least, most), rng.randint(least, most))])


def inner_margin(draft: Draft, fields: Fields) -> str:
    """Draw how far a window may reach over the edge without leaving the image."""
    return str(tuple(draft.rng.randint(0, side - 1) for side in eval(fields["window"])))


KINDS: dict[str, Kind] = {
    "number": parameter(number),
    "exponent": parameter(lambda rng, shape: rng.choice([0, 1, 2, 3, 2.0, 0.0])),
    "real_exponent": parameter(lambda rng, shape: rng.choice([-2, -1, -0.5, 0.5, 1.5])),
    "slope": parameter(lambda rng, shape: rng.choice([0.05, 0.5, 1.5])),
    "flag": parameter(lambda rng, shape: rng.random() < 0.4),
    "order": parameter(lambda rng, shape: rng.choice(["1", "2", "np.inf"])),
    "labels": parameter(some_labels),
    "axis": parameter(some_axis),
    "long_axis": parameter(lambda rng, shape: some_axis(rng, shape, lambda n: n > 0)),
    "axis_of_one": parameter(lambda rng, shape: some_axis(rng, shape, lambda n: n == 1)),
    "axes": parameter(some_axes),
    "filled_axes": parameter(filled_axes),
    "norm_axes": parameter(norm_axes),
    "two_axes": parameter(lambda rng, shape: ordered_axes(rng, shape, 2)),
    "order_of_axes": parameter(lambda rng, shape: ordered_axes(rng, shape, len(shape))),
    "new_axis": parameter(new_axis),
    "new_axes": parameter(new_axes),
    "common_axis": common_axis,
    "ddof": ddof,
    "shape": parameter(same_size),
    "wider": parameter(wider),
    "offset": parameter(lambda rng, shape: rng.randint(-2, 2)),
    "shift": parameter(lambda rng, shape: rng.randint(-5, 5)),
    "count": parameter(lambda rng, shape: rng.randint(1, 4)),
    "several": parameter(lambda rng, shape: rng.randint(2, 4)),
    "cuts": along(cuts),
    "sections": along(sections),
    "counts": along(counts),
    "repetitions": parameter(repetitions),
    "widths": parameter(widths),
    "pad_mode": parameter(lambda rng, shape: repr(rng.choice(["edge", "reflect", "symmetric", "wrap"]))),
    "places": parameter(lambda rng, shape: places(rng, math.prod(shape))),
    "places_along": along(lambda rng, shape, axis: places(rng, shape[axis])),
    "places_in_lines": along(places_in_lines),
    "index": index,
    "mask": parameter(mask),
    "pairs": pairs,
    "shared": shared,
    "subscripts": subscripts,
    "window": parameter(window),
    "stride": parameter(lambda rng, shape: in_both_directions(rng, 1, 3)),
    "margin": parameter(lambda rng, shape: in_both_directions(rng, 0, 2)),
    "inner_margin": inner_margin,
}
