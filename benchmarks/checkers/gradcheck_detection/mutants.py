"""Wrong gradients: ways to break the backward function of any operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.checkers.gradcheck_detection.operations import Array, Backward, Inputs, Operation, Points

Place = tuple[int, tuple[int, ...]]  # the number of an input, and an index into it
Change = Callable[[Array], Array]
SIZES = (1e-1, 1e-2, 1e-3, 1e-5, 1e-7, 1e-9)
UNIFORM_SIZES = (1e-4, 1e-6, 1e-8)
EQUIVALENT = 1e-9  # a relative error below which a broken gradient counts as right


@dataclass(frozen=True)
class Broken:
    """A broken backward function, and the one wrong element where there is just one."""

    backward: Backward
    place: Place | None = None


Make = Callable[[Operation, Inputs, np.random.Generator], Broken | Backward | None]


@dataclass(frozen=True)
class Mutant:
    """A way to break a gradient; ``make`` returns None where it does not apply.

    ``least`` is the relative error below which a gradient counts as right, and the trial is not made. 0 stands for
    faults of behaviour: a gradient that is right, but shares memory, say. ``points`` are the inputs that show the
    fault, where ordinary ones do not.
    """

    fault: str
    variant: str
    make: Make
    expected: str = "FAIL"
    least: float = EQUIVALENT
    points: Callable[[Operation], Points | None] = lambda operation: operation.points

    @property
    def name(self) -> str:
        return f"{self.fault}: {self.variant}" if self.variant else self.fault


def after(operation: Operation, change: Callable[[Array, Array], Array]) -> Backward:
    """Let every gradient be what ``change`` makes of it and its input."""
    return lambda *args: tuple(change(g, x) for g, x in zip(operation.backward(*args), args, strict=False))


def replaced(operation: Operation, number: int, change: Change) -> Backward:
    """Change the gradient of one input."""

    def backward(*args: Array) -> Inputs:
        gradients = operation.backward(*args)
        return *gradients[:number], change(gradients[number]), *gradients[number + 1 :]

    return backward


def each(change: Change) -> Make:
    return lambda operation, inputs, rng: after(operation, lambda g, x: change(g))


def largest(inputs: Inputs) -> int:
    return max(range(len(inputs)), key=lambda i: inputs[i].size)


def cotangent(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Array:
    shape = np.shape(operation.forward(*inputs))
    return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape))


def one_element(change: Callable[[Any], Any]) -> Make:
    """Change one element of the gradient, always the same one, and one that is not 0."""

    def make(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Broken | None:
        gradients = operation.backward(*inputs, cotangent(operation, inputs, rng))
        places = [
            (number, tuple(map(int, index)))
            for number, g in enumerate(gradients)
            for index in np.argwhere(np.abs(g) > EQUIVALENT * np.abs(g).max(initial=0))
        ]
        if not places:
            return None
        number, index = places[rng.integers(len(places))]

        def changed(g: Array) -> Array:
            g = g.copy()
            g[index] = change(g[index])
            return g

        return Broken(replaced(operation, number, changed), (number, index))

    return make


def one_input(change: Change, applies: Callable[[Array], bool]) -> Make:
    """Change the gradient of one input among those that are large enough, or square."""

    def make(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
        suitable = [i for i, x in enumerate(inputs) if applies(x)]
        return replaced(operation, int(rng.choice(suitable)), change) if suitable else None

    return make


def is_square(x: Array) -> bool:
    return x.ndim == 2 and x.shape[0] == x.shape[1] > 1


def sign_of_one(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
    if len(inputs) == 1:
        return None
    return replaced(operation, int(rng.integers(len(inputs))), np.negative)


def swapped(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
    if len(inputs) != 2 or inputs[0].shape != inputs[1].shape:
        return None
    return lambda *args: operation.backward(*args)[::-1]


def ignores_cotangent(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward:
    return lambda *args: operation.backward(*args[:-1], np.ones_like(args[-1]))


# Axes of broadcasting that are not summed over as they should be.


def repeated_axes(shape: tuple[int, ...], wide: tuple[int, ...]) -> tuple[int, ...]:
    padded = (1,) * (len(wide) - len(shape)) + shape
    return tuple(i for i, (n, m) in enumerate(zip(padded, wide, strict=True)) if n != m)


def missing_sum(instead: Callable[[Array, tuple[int, ...], tuple[int, ...]], Array | None]) -> Make:
    """Reduce the gradient of an operand that was broadcast by ``instead(gradient, axes, shape)``."""

    def make(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
        if not (unsummed := operation.unsummed):
            return None
        wide = unsummed(*inputs, cotangent(operation, inputs, rng))
        narrow = [i for i, (x, g) in enumerate(zip(inputs, wide, strict=True)) if repeated_axes(x.shape, g.shape)]
        if not narrow:
            return None
        number = int(rng.choice(narrow))
        shape, axes = inputs[number].shape, repeated_axes(inputs[number].shape, wide[number].shape)
        if instead(wide[number], axes, shape) is None:
            return None

        def backward(*args: Array) -> Inputs:
            gradients = operation.backward(*args)
            wrong = instead(unsummed(*args)[number], axes, shape)
            assert wrong is not None
            return *gradients[:number], wrong, *gradients[number + 1 :]

        return backward

    return make


def first_slice(g: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    return g[tuple(0 if i in axes else slice(None) for i in range(g.ndim))].reshape(shape).copy()


def broadcast_back(g: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    return np.zeros_like(g) + g.sum(axes, keepdims=True)


def wrong_axis(g: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array | None:
    return g.sum(1 - axes[0]).reshape(shape) if len(axes) == 1 and is_square(g) else None


# What was computed for other inputs.


def other_batch(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
    shapes = [x.shape for x in inputs]
    for _ in range(100):
        stale = operation.points(rng)
        if [x.shape for x in stale] == shapes:
            return lambda *args: operation.backward(*stale, args[-1])
    return None


def elsewhere(move: Callable[..., Inputs]) -> Make:
    """Return the gradient of another place, if there is one."""

    def make(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
        backward = lambda *args: operation.backward(*move(*args[:-1]), args[-1])
        found = backward(*inputs, cotangent(operation, inputs, rng))
        return backward if all(np.isfinite(g).all() for g in found) else None

    return make


def first_inputs_kept(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
    stale = other_batch(operation, inputs, rng)
    v = cotangent(operation, inputs, rng)
    if stale is None or all(map(np.allclose, stale(*inputs, v), operation.backward(*inputs, v))):
        return None  # the gradient does not depend on the inputs
    kept: dict[tuple[tuple[int, ...], ...], Inputs] = {}

    def backward(*args: Array) -> Inputs:
        first = kept.setdefault(tuple(x.shape for x in args[:-1]), tuple(x.copy() for x in args[:-1]))
        return operation.backward(*first, args[-1])

    return backward


# Right numbers, wrong behaviour.


def returns_cotangent(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
    if operation.name == "transpose":
        return lambda x, v: (v.T,)
    if operation.name == "reshape":
        return lambda x, v: (v.reshape(x.shape),)
    if operation.name == "add" and inputs[0].shape == inputs[1].shape:
        return lambda x, y, v: (v, v)
    if operation.name == "sum":
        return lambda x, v: (np.broadcast_to(v, x.shape),)
    return None


def one_array_for_both(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
    if operation.name != "add" or inputs[0].shape != inputs[1].shape:
        return None
    return lambda x, y, v: (v.copy(),) * 2


def then(afterwards: Callable[..., None]) -> Make:
    """Compute the right gradients, and do something to the inputs or the cotangent."""

    def make(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward:
        def backward(*args: Array) -> Inputs:
            gradients = operation.backward(*args)
            afterwards(*args)
            return gradients

        return backward

    return make


def double_cotangent(*args: Array) -> None:
    args[-1][...] *= 2


def move_input(*args: Array) -> None:
    args[0][...] *= 1.001


def written_over_cotangent(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward | None:
    if len(inputs) > 1 or np.shape(operation.forward(*inputs)) != inputs[0].shape:
        return None

    def backward(x: Array, v: Array) -> Inputs:
        v[...] = operation.backward(x, v)[0]
        return (v,)

    return backward


def noisy(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward:
    return after(operation, lambda g, x: g * (1 + 1e-9 * rng.uniform(-1, 1, g.shape)))


def accumulating(operation: Operation, inputs: Inputs, rng: np.random.Generator) -> Backward:
    totals = [np.zeros_like(x) for x in inputs]

    def backward(*args: Array) -> Inputs:
        for total, g in zip(totals, operation.backward(*args), strict=True):
            total += g
        return tuple(total.copy() for total in totals)

    return backward


# Wrong for some shapes or numbers only.


def last_left_out(g: Array) -> Array:
    """Handle elements in pairs, and forget the one that is left."""
    if g.ndim and g.shape[-1] % 2:
        g = g.copy()
        g[..., -1] = 0
    return g


def last_row_scaled(g: Array) -> Array:
    g = g.copy()
    g[-1] *= 1.001
    return g


def rounded(dtype: type[np.floating[Any]]) -> Change:
    return lambda g: g.astype(dtype).astype(g.dtype)


def general() -> Iterator[Mutant]:
    some = lambda x: x.size > 1
    yield Mutant("sign", "all", each(np.negative))
    yield Mutant("sign", "one operand", sign_of_one)
    yield Mutant("factor", "2", each(lambda g: 2 * g))
    yield Mutant("factor", "0.5", each(lambda g: 0.5 * g))
    yield Mutant("transpose", "of a square operand", one_input(lambda g: g.T.copy(), is_square))
    yield Mutant("missing sum", "first slice", missing_sum(first_slice))
    yield Mutant("missing sum", "broadcast back", missing_sum(broadcast_back))
    yield Mutant("missing sum", "mean", missing_sum(lambda g, axes, shape: g.mean(axes).reshape(shape)))
    yield Mutant("missing sum", "wrong axis", missing_sum(wrong_axis))
    yield Mutant("ignored cotangent", "", ignores_cotangent)
    yield Mutant("stale input", "another batch", other_batch)
    yield Mutant("stale input", "x * 1.01", elsewhere(lambda x, *rest: (1.01 * x, *rest)))
    yield Mutant("stale cache", "", first_inputs_kept, least=0)
    for size in SIZES:
        change, least = (lambda g, size=size: g * (1 + size)), min(EQUIVALENT, size / 1e4)
        yield Mutant(f"one element {size:.0e}".replace("e-0", "e-"), "", one_element(change), least=least)
    for size in UNIFORM_SIZES:
        yield Mutant(f"all elements {size:.0e}".replace("e-0", "e-"), "", each(lambda g, size=size: g * (1 + size)))
    yield Mutant("float32 gradient", "", each(rounded(np.float32)))
    yield Mutant("float16 gradient", "", each(rounded(np.float16)))
    yield Mutant("swapped operands", "", swapped)
    yield Mutant("rolled by one", "", one_input(lambda g: np.roll(g, 1), some))
    yield Mutant("reversed", "", one_input(lambda g: g.ravel()[::-1].reshape(g.shape).copy(), some))
    yield Mutant("zeroed element", "", one_element(lambda g: 0 * g))
    yield Mutant("zero gradient", "", each(np.zeros_like))
    yield Mutant("one row 1e-3", "", one_input(last_row_scaled, lambda x: x.ndim == 2))
    yield Mutant("offset 1e-6", "", each(lambda g: g + 1e-6))
    yield Mutant("clipped", "to [-0.1, 0.1]", each(lambda g: np.clip(g, -0.1, 0.1)))
    yield Mutant("int truncation", "", each(np.trunc))
    yield Mutant("wrong for odd lengths", "", one_input(last_left_out, some))
    yield Mutant("right only at zero", "", elsewhere(lambda *xs: tuple(map(np.zeros_like, xs))))
    yield Mutant("wrong shape", "an axis too many", each(lambda g: g[..., None]), least=0)
    yield Mutant("wrong shape", "axis of broadcasting left", missing_sum(lambda g, axes, shape: g), least=0)
    yield Mutant("wrong dtype", "float32", each(lambda g: g.astype(np.float32)), least=0)
    yield Mutant("alias of cotangent", "", returns_cotangent, least=0)
    yield Mutant("one array for two gradients", "", one_array_for_both, least=0)
    yield Mutant("mutates cotangent", "doubles it", then(double_cotangent), least=0)
    yield Mutant("mutates cotangent", "writes over it", written_over_cotangent, least=0)
    yield Mutant("mutates input", "", then(move_input), least=0)
    yield Mutant("non-deterministic 1e-9", "", noisy, least=0)
    yield Mutant("accumulates over calls", "", accumulating, least=0)
