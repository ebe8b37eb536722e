"""Random programs, here and in PyTorch: ``python -m benchmarks.fuzz --count 20000 --seed 0``.

A program is Python text: up to 30 lines of NumPy on a few random arrays. It runs on Tensors; each line has a twin that
runs on PyTorch, in float64. All intermediate values, the loss and the gradient of each leaf must agree.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import random
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.progress import Progress
from tinygrad_kr import Tensor, functional, grad
from tinygrad_kr.engine.tensor import NUMPY, PLAIN, indexing

try:
    import torch
except ModuleNotFoundError:
    sys.exit("python -m benchmarks.fuzz compares with PyTorch, which is not installed: pip install torch")

Array = Any
Shape = tuple[int, ...]
Fields = dict[str, str]
Results = dict[str, Array]
Kind = Callable[["Draft", Fields], str]  # draws an operand or a parameter, as text

LARGEST = 256  # elements of a value
HIGHEST = 1e6  # magnitude of a value; beyond BOUND it goes on only through arcsinh, which keeps its conditioning
BOUND = 5.0
NEAR = 1e-6  # a kink so near could fall on one side here and on the other there
NOISE = 1e-15  # relative: a few units in the last place
RTOL, ATOL = 1e-9, 1e-12  # 1e-16 for rounding, times what thirty operations of conditioning 10 to 1000 can make of it
EXPLAINED = 10  # a difference is explained by rounding if noise moves the reference by a tenth of it
TOLERATED = 0.005  # of all programs may be too ill-conditioned to compare
METHODS = 0.2  # how often np.f(x) is written x.f(), where there is such a method


# Operations: one line of NumPy, its twin in PyTorch, and how far the operands are from a kink


class NotApplicable(Exception):
    """The values at hand do not fit this operation."""


@dataclass(frozen=True)
class Operation:
    """Templates of one line.

    In the NumPy form ``{x:line positive}`` says which values fit (KINDS; without a word, the name of the field) and how
    they are mapped into the domain (DOMAINS), ``{axis}`` which parameter to draw. PyTorch's form is the same text with
    another prefix unless written out. ``kink`` gives distances to where the gradient jumps; an exact 0 is allowed,
    since both sides then follow docs/conventions.md.
    """

    form: str
    torch: str
    kink: str
    fields: tuple[tuple[str, str], ...]

    @property
    def names(self) -> list[str]:
        """The functions that the form calls, or else the form itself."""
        return functions_in(self.form) or [re.sub(r"[{}]", "", self.form)]


def op(form: str, torch: str = "", kink: str = "") -> Operation:
    """Make an operation; operands are drawn first, then axes, then the other parameters."""
    fields = {name: kind or name for name, kind in re.findall(r"\{(\w+):?([\w ]*)\}", form)}
    plain = re.sub(r":[\w ]+\}", "}", form)
    drawn = sorted(fields.items(), key=lambda item: (item[0] not in OPERANDS, "ax" not in item[0]))
    return Operation(plain, torch or plain.replace("np.", "torch."), kink, tuple(drawn))


def moving(form: str) -> Operation:
    """Make an operation that only moves elements: NumPy says where each comes from, PyTorch takes it from there."""
    return op(form, "moved({x}, lambda x: " + re.sub(r"\{x(:[\w ]*)?\}", "x", form) + ")")


def functions_in(text: str) -> list[str]:
    """Return the functions of NumPy and of ``functional`` that a text calls."""
    return re.findall(r"np\.(?:linalg\.)?[a-z]\w*(?=[(.])|F\.\w+", text)


OPERANDS = ("x", "y", "z")
GAPS = "np.diff(np.sort({x}, axis=None))"
NOT_ZERO = " + 1e-9"  # here an exact 0 is as near as any other: rounding alone decides on which side it falls

DOMAINS = {
    "positive": [op("{x} * {x} + 0.5")],
    "nonzero": [op("{x} * {x} + 0.5"), op("-0.5 - {x} * {x}")],
    "beyond one": [op("{x} * {x} + 1.5")],
    "unit": [op("0.9 * np.tanh({x})")],
    "probability": [op("F.softmax({x})", "F.softmax({x}, dim=-1)")],
    "regular": [op("0.5 * np.tanh({x}) + 3.0 * np.eye({x}.shape[-1])")],
    "definite": [op("{x} @ {x}.mT + 2.0 * np.eye({x}.shape[-2])")],
}
TAMED = op("np.arcsinh({x})")
TRANSPOSED = op("np.swapaxes({x}, -1, -2)")
COLUMN_SUMS = op("np.sum({x}, axis=0)")

ELEMENTWISE = [
    *(op(f"np.{name}({{x}})") for name in ("negative", "positive", "square", "exp", "exp2", "expm1")),
    *(op(f"np.{name}({{x}})") for name in ("sin", "cos", "sinh", "cosh", "tanh", "arctan", "arcsinh")),
    *(op(f"np.{name}({{x:unit}})") for name in ("arcsin", "arccos", "arctanh", "tan", "log1p")),
    *(op(f"np.{name}({{x:positive}})") for name in ("log", "log2", "log10", "sqrt")),
    op("np.reciprocal({x:nonzero})"),
    op("np.cbrt({x:nonzero})", "torch.sign({x}) * torch.abs({x}) ** (1 / 3)"),
    op("np.arccosh({x:beyond one})"),
    *(op(f"np.{name}({{x}})", "torch.deg2rad({x})") for name in ("deg2rad", "radians")),
    *(op(f"np.{name}({{x}})", "torch.rad2deg({x})") for name in ("rad2deg", "degrees")),
    op("np.copy({x})", "torch.clone({x})"),
    op("np.astype({x}, np.float64)", "{x}.to(torch.float64)"),
    *(op(f"np.{name}({{x}})", "torch.abs({x})", kink="{x}") for name in ("absolute", "fabs")),
    op("np.sign({x})", kink="{x}"),
    op("-{x}"),
    op("abs({x})", kink="{x}"),
    *(op(f"np.{name}({{x}}, {{y}})") for name in ("add", "subtract", "multiply", "logaddexp")),
    *(op(f"{{x}} {sign} {{y}}") for sign in "+-*"),
    *(op(f"{{x}} {sign} {{number}}") for sign in "+-*/"),
    *(op(f"{{number}} {sign} {{x}}") for sign in "+-*"),
    op("np.divide({x}, {y:nonzero})"),
    op("{x} / {y:nonzero}"),
    op("{number} / {x:nonzero}"),
    op("np.hypot({x}, {y:positive})"),
    op("np.arctan2({x}, {y:positive})"),
    op("np.arctan2({x:nonzero}, {y})"),
    op("np.power({x:positive}, {y})", "torch.pow({x}, {y})"),
    op("np.float_power({x:positive}, {y})"),
    op("{x:positive} ** {y}"),
    op("{x:positive} ** {real_exponent}"),
    op("np.power({x}, {exponent})", "torch.pow({x}, {exponent})"),
    op("{x} ** {exponent}"),
    op("2.5 ** {x}"),
    *(
        op(form, "torch.remainder({x}, {y})", kink="np.rint({x} / {y}) - {x} / {y}" + NOT_ZERO)
        for form in ("np.remainder({x}, {y:nonzero})", "{x} % {y:nonzero}")
    ),
    # PyTorch's fmax and fmin give a tie's gradient to the first operand; without NaN they are its maximum and minimum,
    # which share it.
    *(op(f"np.{f}({{x}}, {{y}})", "torch.maximum({x}, {y})", kink="{x} - {y}") for f in ("maximum", "fmax")),
    *(op(f"np.{f}({{x}}, {{y}})", "torch.minimum({x}, {y})", kink="{x} - {y}") for f in ("minimum", "fmin")),
    op("np.maximum({x}, {number})", "torch.clamp({x}, min={number})", kink="{x} - {number}"),
    op("np.clip({x}, -0.5, 0.75)", kink="({x} + 0.5) * ({x} - 0.75)"),
    op("np.clip({x}, {number}, None)", kink="{x} - {number}"),
    op("np.clip({x}, None, {number})", kink="{x} - {number}"),
    op(  # written out, since clamp with bounds that are tensors shares no ties
        "np.clip({x}, {y}, {z})",
        "torch.minimum(torch.maximum({x}, {y}), {z})",
        kink="({x} - {y}) * ({y} - {z}) * ({z} - {x})",
    ),
    *(
        op(f"np.where({{x}} {sign} {{y}}, {{z}}, {{other}})", kink="{x} - {y}" + NOT_ZERO)
        for sign in ("<", "<=", ">", ">=")
    ),
    *(
        op(f"np.where(np.{name}({{x}}, {{y}}), {{z}}, {{number}})", kink="{x} - {y}" + NOT_ZERO)
        for name in ("less", "less_equal", "greater", "greater_equal")
    ),
    op("np.where(np.logical_and({x} < 0.5, {y} > 0), {number}, {x})", kink="({x} - 0.5) * {y}" + NOT_ZERO),
    *(
        op(f"{{x}} * np.{name}({{y}})", kink="{y} - np.rint({y})" + NOT_ZERO)
        for name in ("floor", "ceil", "trunc", "fix")
    ),
    *(
        op(f"{{x}} * np.{name}({{y}})", "{x} * torch.round({y})", kink="2 * {y} - np.rint(2 * {y})" + NOT_ZERO)
        for name in ("rint", "round")
    ),
]

ACTIVATIONS = [
    op("F.sigmoid({x})"),
    op("F.tanh({x})"),
    op("F.relu({x})", kink="{x}"),
    op("F.leaky_relu({x}, {slope})", kink="{x}"),
    op("F.leaky_relu({x})", kink="{x}"),
    op("F.elu({x}, {slope})", kink="{x}"),
    op("F.elu({x})", kink="{x}"),
    op("F.selu({x})", kink="{x}"),
    op("F.silu({x})"),
    op("F.gelu({x})", "F.gelu({x}, approximate='tanh')"),
    op("F.softplus({x})", "F.softplus({x}, threshold=1000)"),
    op("F.softsign({x})", kink="{x}"),
    # PyTorch's hardtanh and hardsigmoid let nothing through at their bounds, clamp does.
    op("F.hard_tanh({x})", "torch.clamp({x}, -1, 1)", kink="{x} * {x} - 1"),
    op("F.hard_sigmoid({x})", "torch.clamp({x} / 6 + 0.5, 0, 1)", kink="{x} * {x} - 9"),
    op("F.identity({x})", "torch.clone({x})"),
    op("F.step({x})", "({x} > 0) + 0.0 * {x}", kink="{x}"),
    op("F.softmax({x:rows})", "F.softmax({x}, dim=-1)"),
    op("F.softmax({x:line}, {long_axis})", "F.softmax({x}, dim={long_axis})"),
    op("F.log_softmax({x:line}, {long_axis})", "F.log_softmax({x}, dim={long_axis})"),
]

LOSSES = [
    op("F.sum_squares_error({x}, {y:twin})", "0.5 * torch.sum(({x} - {y}) ** 2)"),
    op("F.mean_squared_error({x:filled}, {y:twin})", "F.mse_loss({x}, {y})"),
    op("F.softmax_cross_entropy({x:rows}, {labels})", "F.cross_entropy(rows({x}), labels({labels}))"),
    op("F.softmax_cross_entropy({x:rows}, {y:twin probability})", "F.cross_entropy(rows({x}), rows({y}))"),
    op(
        "F.cross_entropy_error({x:rows probability}, {labels})",
        "F.nll_loss((rows({x}) + 1e-7).log(), labels({labels}))",
    ),
]

REDUCTIONS = [
    *(
        op(f"np.{name}({{x}}, axis={{axes}}, keepdims={{flag}})", f"over(torch.{name})({{x}}, {{axes}}, {{flag}})")
        for name in ("sum", "prod")
    ),
    op("np.mean({x}, axis={filled_axes}, keepdims={flag})", "over(torch.mean)({x}, {filled_axes}, {flag})"),
    *(
        op(  # amax and amin share ties, PyTorch's max and min along an axis do not
            f"np.{name}({{x}}, axis={{filled_axes}}, keepdims={{flag}})",
            f"over(torch.a{name[-3:]})({{x}}, {{filled_axes}}, {{flag}})",
            kink=GAPS,
        )
        for name in ("max", "min", "amax", "amin")
    ),
    op("np.add.reduce({x:line}, {axis})", "torch.sum({x}, {axis})"),
    op(
        "np.var({x:filled}, axis={filled_axes}, keepdims={flag})",
        "over(torch.var, correction=0)({x}, {filled_axes}, {flag})",
    ),
    *(
        op(
            f"np.{name}({{x:filled}}, axis={{filled_axes}}, ddof={{ddof}}, keepdims={{flag}})",
            f"over(torch.{name}, correction={{ddof}})({{x}}, {{filled_axes}}, {{flag}})",
            kink=kink,
        )
        for name, kink in (("var", ""), ("std", "np.std({x}, axis={filled_axes})" + NOT_ZERO))
    ),
    op(
        "F.logsumexp({x}, axis={filled_axes}, keepdims={flag})",
        "over(torch.logsumexp)({x}, {filled_axes}, {flag})",
    ),
    op(
        "np.linalg.norm({x}, axis={norm_axes}, keepdims={flag})",
        "over(torch.linalg.vector_norm)({x}, {norm_axes}, {flag})",
        kink="np.linalg.norm({x}, axis={norm_axes})",
    ),
    op(
        "np.linalg.norm({x:line}, {order}, axis={long_axis}, keepdims={flag})",
        "over(torch.linalg.vector_norm, ord={order})({x}, {long_axis}, {flag})",
        kink="np.append({x}, np.diff(np.sort(np.abs({x}), axis=None)))",
    ),
    op(
        "np.linalg.norm({x:matrix}, 'fro', axis={two_axes})",
        "over(torch.linalg.vector_norm)({x}, {two_axes}, False)",
        kink="np.linalg.norm({x}, axis={two_axes})",
    ),
    *(op(f"np.{name}({{x:line}}, axis={{axis}})") for name in ("cumsum", "cumprod")),
    *(op(f"np.{name}({{x}})", f"torch.{name}(torch.ravel({{x}}), 0)") for name in ("cumsum", "cumprod")),
]

SHAPING = [
    op("np.reshape({x}, {shape})"),
    op("np.ravel({x})"),
    op("np.transpose({x}, {order_of_axes})", "torch.permute({x}, {order_of_axes})"),
    moving("np.transpose({x})"),
    op("{x:matrix}.mT"),
    moving("{x}.T"),
    op("np.matrix_transpose({x:matrix})", "{x}.mT"),
    op("np.linalg.matrix_transpose({x:matrix})", "{x}.mT"),
    op("np.swapaxes({x:matrix}, *{two_axes})"),
    op("np.moveaxis({x:line}, {axis}, 0)"),
    op("np.moveaxis({x:matrix}, {two_axes}, (-1, 0))"),
    moving("np.expand_dims({x}, {new_axes})"),
    op("np.squeeze({x})"),
    op("np.squeeze({x}, axis={axis_of_one})"),
    op("np.broadcast_to({x}, {wider})"),
    *(op(f"np.atleast_{n}d({{x}})") for n in (1, 2)),
    op("np.concatenate([{x:line}, {y:neighbour}], axis={common_axis})"),
    op("np.concatenate([{x:line}, {y:twin}, {z:twin}], axis={axis})"),
    op("np.concatenate([{x}, {y:any}], axis=None)", "torch.cat([torch.ravel({x}), torch.ravel({y})])"),
    op("np.stack([{x}, {y:twin}], axis={new_axis})"),
    op("np.stack([{x}, {y:twin}, {z:twin}])"),
    *(op(f"np.{name}([{{x}}, {{y:twin}}])") for name in ("vstack", "hstack")),
    op("np.split({x:line}, {cuts}, {axis})", "torch.tensor_split({x}, {cuts}, {axis})"),
    op("np.split({x:line}, {sections}, {long_axis})", "torch.tensor_split({x}, {sections}, {long_axis})"),
    op("np.array_split({x:line}, {several}, {axis})", "torch.tensor_split({x}, {several}, {axis})"),
    op("np.array_split({x:line}, {cuts}, {axis})", "torch.tensor_split({x}, {cuts}, {axis})"),
    moving("np.repeat({x}, {count})"),
    moving("np.repeat({x:line}, {counts}, {axis})"),
    moving("np.tile({x}, {repetitions})"),
    moving("np.flip({x}, axis={axes})"),
    op("np.flip({x:matrix}, {two_axes})"),
    op("np.roll({x}, {shift})"),
    op("np.roll({x:line}, {shift}, {axis})"),
    op("np.roll({x:matrix}, (1, {shift}), {two_axes})"),
    op("np.pad({x}, {widths}, constant_values={number})", "padded({x}, {widths}, {number})"),
    op("np.pad({x}, {widths})", "padded({x}, {widths}, 0.0)"),
    moving("np.pad({x:filled}, {widths}, mode={pad_mode})"),
    moving("np.take({x:filled}, {places})"),
    moving("np.take({x:line}, {places_along}, {long_axis})"),
    moving("np.take_along_axis({x:line}, {places_in_lines}, {long_axis})"),
    op(
        "np.take_along_axis({x:line}, np.argsort({x}, axis={axis}), axis={axis})",
        "torch.take_along_dim({x}, torch.argsort({x}, dim={axis}), {axis})",
        kink=GAPS,
    ),
    op("np.sort({x:line}, axis={axis})", "torch.sort({x}, dim={axis}, stable=True).values", kink=GAPS),
    op("np.sort({x:line})", "torch.sort({x}, stable=True).values", kink=GAPS),
    op("np.sort({x}, axis=None)", "torch.sort(torch.ravel({x}), stable=True).values", kink=GAPS),
    op("np.diagonal({x:matrix}, {offset}, *{two_axes})"),
    op("np.diagonal({x:matrix})"),
    op("np.diag({x:up to matrix}, {offset})"),
    op("np.trace({x:matrix}, {offset}, *{two_axes})", "torch.diagonal({x}, {offset}, *{two_axes}).sum(-1)"),
    *(op(f"np.{name}({{x:matrix}}, {{offset}})") for name in ("tril", "triu")),
    moving("{x}[{index}]"),
    moving("{x:line}[{mask}]"),
    op("{x:line}[{x} > {number}]", kink="{x} - {number}" + NOT_ZERO),
]

PRODUCTS = [
    *(op(form, "torch.matmul({x}, {y})") for form in ("{x:line} @ {y:factor}", "np.matmul({x:line}, {y:factor})")),
    op("np.linalg.matmul({x:line}, {y:factor})"),
    op("np.dot({x:line}, {y:dot factor})", "dot({x}, {y})"),
    op("np.dot({x:line}, {y:high dot factor})", "dot({x}, {y})"),
    op("np.dot({x}, {y:single})", "{x} * {y}"),
    op("np.vdot({x}, {y:twin})", "torch.sum({x} * {y})"),
    op("np.inner({x:line}, {y:same rows})"),
    op("np.outer({x}, {y:any})", "torch.outer(torch.ravel({x}), torch.ravel({y}))"),
    op("np.linalg.outer({x:vector}, {y:vector})", "torch.outer({x}, {y})"),
    op("np.tensordot({x}, {y:any}, {pairs})"),
    op("np.linalg.tensordot({x}, {y:any}, axes={pairs})", "torch.tensordot({x}, {y}, {pairs})"),
    op("np.tensordot({x}, {y:any}, {shared})"),
    op("np.einsum({subscripts}, {x})"),
    op("np.einsum({subscripts}, {x}, {y:any})"),
    op("np.einsum({subscripts}, {x}, {y:any}, {z:any})"),
    op("F.linear({x:line}, {y:weight}, {z:bias})", "{x} @ {y} + {z}"),
]

SOLVING = [
    *(op(f"np.linalg.{name}({{x:square regular}})") for name in ("inv", "det")),
    op("np.linalg.slogdet({x:square regular})[1]"),
    op("np.linalg.slogdet(-{x:square regular}).logabsdet"),
    op("np.linalg.inv({x:matrix definite})"),
    op("np.linalg.cholesky({x:matrix definite})"),
    op("np.linalg.solve({x:square regular}, {y:right side})", "solve({x}, {y})"),
    op("np.linalg.solve({x:matrix definite}, {y:right side})", "solve({x}, {y})"),
]

TABLE = [*ELEMENTWISE, *ACTIVATIONS, *LOSSES, *REDUCTIONS, *SHAPING, *PRODUCTS, *SOLVING]


# What PyTorch lacks in NumPy's form


def over(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Let a reduction of one axis reduce as in NumPy: over all axes (None), one, several, or none of them."""

    def reduce(x: Any, axis: Any, keepdims: bool) -> Any:
        named = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = [i % x.ndim for i in named]
        kept = [i for i in range(x.ndim) if i not in axes]
        count = math.prod(x.shape[i] for i in axes)
        rows = x.permute([*kept, *axes]).reshape([*(x.shape[i] for i in kept), count])
        y = function(rows, dim=-1, **options)
        return y.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else y

    return reduce


def moved(x: Any, move: Callable[[Array], Array]) -> Any:
    """Move elements as a NumPy function moves their numbers."""
    numbers = np.arange(x.numel()).reshape(x.shape)
    return x.reshape(-1)[torch.from_numpy(np.array(move(numbers)))]


def padded(x: Any, widths: Any, value: float) -> Any:
    """Surround with a constant; PyTorch wants the widths flat, and the last axis first."""
    pairs = np.broadcast_to(widths, (x.ndim, 2))[::-1]
    return torch.nn.functional.pad(x, pairs.ravel().tolist(), value=value)


def dot(x: Any, y: Any) -> Any:
    """Sum over the last axis of x and the last but one of y."""
    return torch.tensordot(x, y, ([-1], [max(y.ndim - 2, 0)]))


def solve(a: Any, b: Any) -> Any:
    """Solve with matrices on the right, unless b has one axis; PyTorch would take some matrices for many vectors."""
    return torch.linalg.solve(a, b if b.ndim == 1 else b.reshape(*[1] * (a.ndim - b.ndim), *b.shape))


def rows(x: Any) -> Any:
    return x.reshape(-1, x.shape[-1])


def labels(values: Any) -> Any:
    return torch.tensor(values).reshape(-1)


HERE = {"np": np, "F": functional}
THERE = {
    **{f.__name__: f for f in (over, moved, padded, dot, solve, rows, labels)},
    **{"np": np, "F": torch.nn.functional, "torch": torch},
}


# Which operands fit


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


def is_right_side(a: Array, b: Array) -> bool:
    """Whether solve(a, b) has a shape; one axis is one right-hand side."""
    if b.ndim == 1:
        return len(b) == a.shape[-1]
    return b.ndim > 1 and b.shape[-2] == a.shape[-1] and together(a.shape[:-2], b.shape[:-2])


def is_neighbour(x: Array, y: Array) -> bool:
    """Whether two arrays can be joined."""
    return x.ndim == y.ndim and sum(m != n for m, n in zip(x.shape, y.shape, strict=True)) <= 1


# Parameters, as text


def parameter(draw: Callable[[random.Random, Shape], Any]) -> Kind:
    """Draw a parameter that depends on the shape of x."""
    return lambda draft, fields: repr(draw(draft.rng, draft.values[fields["x"]].shape))


def along(draw: Callable[[random.Random, Shape, int], Any]) -> Kind:
    """Draw a parameter that depends on the shape of x and on the axis that was drawn before."""

    def kind(draft: Draft, fields: Fields) -> str:
        shape = draft.values[fields["x"]].shape
        axis = int(fields.get("long_axis", fields.get("axis", "0")))
        return str(draw(draft.rng, shape, axis))

    return kind


def require(condition: Any) -> None:
    if not condition:
        raise NotApplicable


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
    "number": parameter(number),
    "exponent": parameter(lambda rng, shape: rng.choice([0, 1, 2, 3, 2.0, 0.0])),
    "real_exponent": parameter(lambda rng, shape: rng.choice([-2, -1, -0.5, 0.5, 1.5])),
    "slope": parameter(lambda rng, shape: rng.choice([0.05, 0.5, 1.5])),
    "flag": parameter(lambda rng, shape: rng.random() < 0.4),
    "order": lambda draft, fields: draft.rng.choice(["1", "2", "np.inf"]),
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
    "pad_mode": parameter(lambda rng, shape: rng.choice(["edge", "reflect", "symmetric", "wrap"])),
    "places": parameter(lambda rng, shape: places(rng, math.prod(shape))),
    "places_along": along(lambda rng, shape, axis: places(rng, shape[axis])),
    "places_in_lines": along(places_in_lines),
    "index": index,
    "mask": lambda draft, fields: mask(draft.rng, draft.values[fields["x"]].shape),
    "pairs": pairs,
    "shared": shared,
    "subscripts": subscripts,
}


# Programs


@dataclass(frozen=True)
class Line:
    """``targets = here`` with NumPy's functions on Tensors, ``targets = there`` with PyTorch's on its own."""

    targets: tuple[str, ...]
    here: str
    there: str
    operations: tuple[str, ...] = ()

    def written(self, side: str) -> str:
        return f"{', '.join(self.targets)} = {getattr(self, side)}"

    @property
    def operands(self) -> list[str]:
        return list(dict.fromkeys(re.findall(r"\b[vx]\d+\b", self.here)))


@dataclass(frozen=True)
class Program:
    """Lines that compute from leaves; ``values`` are the leaves and what NumPy itself makes of them."""

    seed: int
    leaves: Results
    lines: list[Line]
    values: Results = field(repr=False)

    @cached_property
    def weights(self) -> Results:
        """Random cotangents of the values that no line uses."""
        used = {name for line in self.lines for name in line.operands}
        rng = np.random.default_rng([self.seed, 1])
        return {f"w_{name}": normal(rng, value.shape) for name, value in self.values.items() if name not in used}

    @cached_property
    def directions(self) -> Results:
        """Random arrays of the leaves' shapes: u in the derivative of <u, gradient>."""
        rng = np.random.default_rng([self.seed, 2])
        return {name: normal(rng, x.shape) for name, x in self.leaves.items()}

    @cached_property
    def loss(self) -> Line:
        total = " + ".join(f"np.sum({weight[2:]} * {weight})" for weight in self.weights)
        return Line(("loss",), total, total.replace("np.", "torch."))

    def alone(self, line: Line) -> Program:
        """The program of one line, whose operands become leaves."""
        leaves = {name: self.values[name] for name in line.operands}
        return Program(self.seed, leaves, [line], leaves | {name: self.values[name] for name in line.targets})

    def written(self, side: str) -> str:
        return "\n".join(line.written(side) for line in (*self.lines, self.loss))

    @property
    def code(self) -> str:
        """The program as NumPy code on Tensors, complete."""
        return "\n".join(
            [
                "import numpy as np",
                "from tinygrad_kr import Tensor, functional as F",
                f"rng = np.random.default_rng({self.seed})",
                *(
                    f"{name} = Tensor(rng.normal(size={x.shape}), requires_grad=True)"
                    for name, x in self.leaves.items()
                ),
                f"rng = np.random.default_rng([{self.seed}, 1])",
                *(f"{name} = rng.normal(size={w.shape})" for name, w in self.weights.items()),
                self.written("here"),
                "loss.backward()",
            ]
        )


class Draft:
    """A program as it is written, line by line; each line is run by NumPy to see what comes of it."""

    def __init__(self, seed: int, length: int, strict: bool) -> None:
        self.length, self.strict = length, strict
        self.rng = random.Random(seed)
        self.lines: list[Line] = []
        self.large: set[str] = set()  # values that only arcsinh takes up
        data = np.random.default_rng(seed)
        sides = [1, *self.rng.choices((1, 2, 3, 4), k=3)]  # few, so that shapes often fit
        self.leaves = {f"x{i}": normal(data, self.leaf_shape(sides)) for i in range(self.rng.randint(1, 4))}
        self.values = dict(self.leaves)

    def leaf_shape(self, sides: list[int]) -> Shape:
        empty = [0] * (self.rng.random() < 0.08)
        return tuple(self.rng.choice(sides + empty) for _ in range(self.rng.choice((0, 1, 1, 2, 2, 2, 3, 3, 4))))

    def pick(self, fits: Callable[[Array], bool]) -> str:
        """Choose a value, half of the time among the latest that fit."""
        names = [name for name, value in self.values.items() if name not in self.large and fits(value)]
        require(names)
        return self.rng.choice(names[-4:] if self.rng.random() < 0.5 else names)

    def add(self, operation: Operation) -> None:
        """Write an operation with operands and parameters that fit, or nothing."""
        lines, values, large = len(self.lines), dict(self.values), set(self.large)
        try:
            fields: Fields = {}
            for name, kind in operation.fields:
                fields[name] = self.draw(kind, name, fields)
            self.stay_clear(operation.kink.format(**fields))
            for name in self.write(operation, fields):
                self.tame(name)
        except NotApplicable:
            del self.lines[lines:]
            self.values, self.large = values, large

    def draw(self, kind: str, name: str, fields: Fields) -> str:
        """Draw an operand, mapped into its domain, or a parameter."""
        domain = next((domain for domain in DOMAINS if kind.endswith(domain)), "")
        drawn = KINDS[kind.removesuffix(domain).strip() or name](self, fields)
        return self.write(self.rng.choice(DOMAINS[domain]), {"x": drawn})[0] if domain else drawn

    def stay_clear(self, kink: str) -> None:
        """Give up where the operands are near a kink.

        On the kink itself first derivatives follow docs/conventions.md, second derivatives no convention at all.
        """
        if kink:
            distances = np.abs(eval(kink, HERE, self.values))
            require(not np.any((distances < NEAR) & (self.strict | (distances > 0))))

    def write(self, operation: Operation, fields: Fields) -> list[str]:
        """Write one line; return the names of its results."""
        require(len(self.lines) < self.length)
        here, there = operation.form.format(**fields), operation.torch.format(**fields)
        if self.rng.random() < METHODS:
            here = as_method(here)
        result = eval(here, HERE, self.values)
        results = list(map(np.asarray, result)) if isinstance(result, list) else [np.asarray(result)]
        for value in results:
            require(value.ndim <= 5 and value.size <= LARGEST and largest(value) < HIGHEST)
        names = [f"v{len(self.values) - len(self.leaves) + i}" for i in range(len(results))]
        self.values.update(zip(names, results, strict=True))
        self.large.update(name for name in names if largest(self.values[name]) > BOUND)
        counted = (*operation.names, *re.findall(r"^[vx]\d+(\.[a-z]\w*)(?=\()", here))
        self.lines.append(Line(tuple(names), here, there, counted))
        return names

    def tame(self, name: str) -> None:
        """Go on with the arcsinh of what has grown too large."""
        while name in self.large:
            (name,) = self.write(TAMED, {"x": name})


def as_method(text: str) -> str:
    """Write np.f(x, ...) as x.f(...), if arrays and Tensors have this method."""
    match = re.match(r"np\.(\w+)\(([vx]\d+)(?:, |(?=\)))", text)
    if match is None or not (hasattr(np.ndarray, match[1]) and hasattr(Tensor, match[1])):
        return text
    return f"{match[2]}.{match[1]}({text[match.end() :]}"


def normal(rng: np.random.Generator, shape: Shape) -> Array:
    return np.asarray(rng.normal(size=shape))


def program(seed: int, length: int = 30, strict: bool = False) -> Program:
    """Write the program of a seed; ``strict`` keeps it off the kinks themselves, too."""
    draft = Draft(seed, length, strict)
    goal = draft.rng.randint(1, length)
    while len(draft.lines) < goal:
        draft.add(draft.rng.choice(TABLE))
    return Program(seed, draft.leaves, draft.lines, draft.values)


# Running a program here and there


def run(program: Program, side: str, space: dict[str, Any], each: Callable[[Any], Any] | None = None) -> None:
    """Run the lines and the loss in a space of names; ``each`` replaces every value right after its line."""
    for line in (*program.lines, program.loss):
        try:
            exec(line.written(side), space)
        except Exception as error:
            error.add_note(f"in the line {line.written(side)}, of program {program.seed}")
            raise
        if each is not None:
            space.update({name: each(space[name]) for name in line.targets})


def run_here(program: Program, second: bool) -> Results:
    """Compute values and gradients with this package."""
    leaves = {name: Tensor(x.copy(), requires_grad=True) for name, x in program.leaves.items()}
    space = HERE | program.weights | leaves
    run(program, "here", space)
    space["loss"].backward()
    results = {name: space[name].data for line in (*program.lines, program.loss) for name in line.targets}
    for name, leaf in leaves.items():
        results[f"gradient of {name}"] = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad
    if second:
        for name, derivative in zip(leaves, second_here(program), strict=True):
            results[f"derivative of <u, gradient> for {name}"] = np.asarray(derivative)
    return results


def second_here(program: Program) -> tuple[Array, ...]:
    argnums = tuple(range(len(program.leaves)))

    def loss(*leaves: Any) -> Any:
        space = HERE | program.weights | dict(zip(program.leaves, leaves, strict=True))
        run(program, "here", space)
        return space["loss"]

    def slope(*leaves: Any) -> Any:
        gradients = grad(loss, argnums)(*leaves)
        return sum(np.sum(u * g) for u, g in zip(program.directions.values(), gradients, strict=True))

    return grad(slope, argnums)(*program.leaves.values())


def run_there(program: Program, second: bool, each: Callable[[Any], Any] | None = None) -> Results:
    """Compute values and gradients with PyTorch."""
    leaves = {name: torch.from_numpy(x.copy()).requires_grad_() for name, x in program.leaves.items()}
    weights = {name: torch.from_numpy(w) for name, w in program.weights.items()}
    space = THERE | weights | (leaves if each is None else {name: each(x) for name, x in leaves.items()})
    run(program, "there", space, each)
    results = {name: space[name] for line in (*program.lines, program.loss) for name in line.targets}
    gradients = derivatives(space["loss"], leaves, create_graph=second)
    results |= {f"gradient of {name}": g for name, g in gradients.items()}
    if second:
        slope = sum(torch.sum(torch.from_numpy(u) * gradients[name]) for name, u in program.directions.items())
        for name, derivative in derivatives(slope, leaves).items():
            results[f"derivative of <u, gradient> for {name}"] = derivative
    return {name: as_array(value) for name, value in results.items()}


def as_array(value: Any) -> Array:
    """Copy a tensor; those that PyTorch knows to be zeros have no memory that NumPy could read."""
    return torch.empty(value.shape, dtype=value.dtype).copy_(value.detach()).numpy()


def derivatives(total: Any, leaves: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return PyTorch's gradient for each leaf, zeros where nothing depends on it."""
    if not total.requires_grad:
        return {name: torch.zeros_like(x) for name, x in leaves.items()}
    gradients = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True, **options)
    return dict(zip(leaves, gradients, strict=True))


# Judging what comes out


def differing(results: Results, reference: Results) -> list[str]:
    """Return the names of what differs by more than rounding, in the order in which it was computed."""
    return [name for name, value in reference.items() if not agree(results[name], value)]


def agree(value: Array, reference: Array) -> bool:
    if value.shape != reference.shape or value.dtype != reference.dtype:
        return False
    return bool(np.all(np.abs(value - reference) <= RTOL * largest(reference) + ATOL))


def largest(x: Array) -> float:
    return float(np.max(np.abs(x), initial=0))


def is_rounding(program: Program, second: bool, results: Results, reference: Results, names: list[str]) -> bool:
    """Whether noise in PyTorch's own operations, of about a rounding each, explains all differences."""
    spread = dict.fromkeys(names, 0.0)
    for seed in range(5):
        noisy = run_there(program, second, noise(seed))
        for name in names:
            spread[name] = max(spread[name], largest(noisy[name] - reference[name]))
    return all(
        results[name].shape == reference[name].shape
        and largest(results[name] - reference[name]) <= EXPLAINED * spread[name]
        for name in names
    )


def noise(seed: int) -> Callable[[Any], Any]:
    generator = torch.Generator().manual_seed(seed)
    return lambda x: x * (1 + NOISE * torch.randn(x.shape, generator=generator, dtype=x.dtype))


@dataclass
class Tally:
    """What was run, and what came of it."""

    programs: int = 0
    lines: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    empty: int = 0
    ill_conditioned: list[int] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.programs += other.programs
        self.lines += other.lines
        self.operations += other.operations
        self.empty += other.empty
        self.ill_conditioned += other.ill_conditioned
        self.mismatches += other.mismatches

    def count(self, program: Program) -> None:
        self.programs += 1
        self.lines += len(program.lines)
        self.operations.update(name for line in program.lines for name in line.operations)
        self.empty += any(value.size == 0 for value in program.values.values())

    @property
    def failed(self) -> bool:
        return bool(self.mismatches) or len(self.ill_conditioned) > max(1, TOLERATED * self.programs)


@dataclass(frozen=True)
class Fuzzer:
    """How programs are written and compared."""

    length: int = 30
    second: bool = False
    verbose: bool = False

    def check(self, seeds: Iterable[int]) -> Tally:
        """Run the programs of some seeds here and in PyTorch."""
        tally = Tally()
        for seed in seeds:
            written = program(seed, self.length, strict=self.second)
            tally.count(written)
            if self.verbose:
                print(f"{written.code}\n\nin PyTorch:\n{written.written('there')}\n")
            verdict = self.verdict(written)
            if verdict == "ill-conditioned":
                tally.ill_conditioned.append(seed)
            elif verdict:
                tally.mismatches.append(f"mismatch; again with: {self.command(seed)}\n\n{written.code}\n\n{verdict}")
        return tally

    def verdict(self, program: Program) -> str:
        """Return nothing if both agree, "ill-conditioned", or what differs."""
        reference = run_there(program, self.second)
        try:
            results = run_here(program, self.second)
        except Exception as error:
            lines = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
        else:
            names = differing(results, reference)
            if not names:
                return ""
            if is_rounding(program, self.second, results, reference, names):
                return "ill-conditioned"
            lines = [difference(names[0], results[names[0]], reference[names[0]])]
        if len(program.lines) > 1:
            suspects = [line.written("here") for line in program.lines if self.verdict(program.alone(line))]
            lines.append("lines that differ by themselves: " + ("".join(f"\n  {line}" for line in suspects) or "none"))
        return "\n".join(lines)

    def command(self, seed: int) -> str:
        second = " --second" if self.second else ""
        return f"python -m benchmarks.fuzz --only {seed} --length {self.length}{second}"


def difference(name: str, value: Array, reference: Array) -> str:
    """Say where two arrays differ most."""
    if value.shape != reference.shape or value.dtype != reference.dtype:
        return f"{name}: {value.shape} {value.dtype} here, {reference.shape} {reference.dtype} in PyTorch"
    distances = np.nan_to_num(np.abs(value - reference), nan=np.inf)
    at = np.unravel_index(np.argmax(distances), value.shape)
    return f"{name}{list(map(int, at)) or ''}: {value[at]!r} here, {reference[at]!r} in PyTorch"


# The run


def seeds_from(seed: int, count: int) -> list[int]:
    """Return a seed for each program: of (seed, index), so that each program can be had by itself."""
    return [int(np.random.SeedSequence((seed, i)).generate_state(1, np.uint64)[0]) for i in range(count)]


def tallies(fuzzer: Fuzzer, chunks: list[list[int]], jobs: int) -> Iterator[Tally]:
    """Check chunk by chunk, in processes of their own if there are several jobs."""
    if jobs == 1:
        yield from map(fuzzer.check, chunks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, torch.set_num_threads, (1,)) as pool:
        yield from pool.imap_unordered(fuzzer.check, chunks)


def catalogue() -> list[str]:
    """Return the names of everything in docs/functions.md that a gradient flows through."""
    named = [name_of(function) for function in NUMPY]
    return sorted(named, key=str.lower) + [f"F.{name}" for name in functional.__all__]


def name_of(function: Any) -> str:
    if function is indexing:
        return "x[index]"
    inside = getattr(np.linalg, function.__name__, None) is function
    return ("np.linalg." if inside else "np.") + function.__name__


def report(tally: Tally, seconds: float) -> str:
    """Say how often each operation was run, and what came of it."""
    known = catalogue()
    plain = sorted(map(name_of, PLAIN))
    others = sorted(set(tally.operations) - set(known) - set(plain))
    counted = [*known, *(name for name in plain if tally.operations[name]), *others]
    cells = [f"{name:28}{tally.operations[name]:8}" for name in counted]
    rows = [" ".join(cells[i : i + 3]) for i in range(0, len(cells), 3)]
    left_out = [name for name in plain if not tally.operations[name]]
    return "\n".join(
        [
            *("how often each operation was run; .name is a method", *rows, ""),
            "not in the fuzzer, since their results are plain, without a gradient to compare:",
            *textwrap.wrap(", ".join(left_out), 115, initial_indent="  ", subsequent_indent="  "),
            "",
            f"programs          {tally.programs:10,}",
            f"operations        {tally.lines:10,}",
            f"with empty arrays {tally.empty:10,}",
            f"ill-conditioned   {len(tally.ill_conditioned):10,}",
            f"mismatches        {len(tally.mismatches):10,}",
            f"seconds           {seconds:10,.1f}",
        ]
    )


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__.partition(":")[0])
    parser.add_argument("--count", type=int, default=1000, help="how many programs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (%(default)s)")
    parser.add_argument("--length", type=int, default=30, help="most lines of a program (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--only", type=int, metavar="SEED", help="the program of this seed, as a mismatch names it")
    parser.add_argument("--second", action="store_true", help="compare the gradient of <u, gradient>, too")
    parser.add_argument("--verbose", action="store_true", help="show each program, here and in PyTorch")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    torch.set_num_threads(1)  # the arrays are small
    fuzzer = Fuzzer(options.length, options.second, options.verbose)
    seeds = seeds_from(options.seed, options.count) if options.only is None else [options.only]
    size = max(1, min(500, len(seeds) // 20))
    chunks = [seeds[i : i + size] for i in range(0, len(seeds), size)]
    progress, total, start = Progress(len(chunks)), Tally(), perf_counter()
    for tally in tallies(fuzzer, chunks, options.jobs):
        total.add(tally)
        for mismatch in tally.mismatches:
            progress.write(mismatch + "\n")
        progress.advance(f"{total.programs} programs, {len(total.mismatches)} mismatches")
    progress.close()
    for seed in total.ill_conditioned:
        print(f"ill-conditioned; again with: {fuzzer.command(seed)}")
    print(report(total, perf_counter() - start))
    return int(total.failed)


if __name__ == "__main__":
    sys.exit(main())
