"""The table of operations: one line of NumPy, its twin in PyTorch, and how far its operands are from a kink."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """Templates of one line.

    In the NumPy form ``{x:line positive}`` says which values fit (KINDS of ``operands``; without a word, the name of
    the field) and how they are mapped into the domain (DOMAINS), ``{axis}`` which parameter to draw (KINDS of
    ``parameters``). PyTorch's form is the same text with another prefix unless written out. ``kink`` gives distances
    to where the gradient jumps; an exact 0 is allowed, since both sides then follow docs/conventions.md.
    """

    form: str
    torch: str
    kink: str
    fields: tuple[tuple[str, str], ...]

    @property
    def names(self) -> list[str]:
        """The functions of NumPy and of ``functional`` that the form calls, or else the form itself."""
        return re.findall(r"np\.(?:linalg\.)?[a-z]\w*(?=[(.])|F\.\w+", self.form) or [re.sub(r"[{}]", "", self.form)]


def op(form: str, torch: str = "", kink: str = "") -> Operation:
    """Make an operation; operands are drawn first, then axes, then the other parameters."""
    fields = {name: kind or name for name, kind in re.findall(r"\{(\w+):?([\w ]*)\}", form)}
    plain = re.sub(r":[\w ]+\}", "}", form)
    drawn = sorted(fields.items(), key=lambda item: (item[0] not in OPERANDS, "ax" not in item[0]))
    return Operation(plain, torch or plain.replace("np.", "torch."), kink, tuple(drawn))


def moving(form: str) -> Operation:
    """Make an operation that only moves elements: NumPy says where each comes from, PyTorch takes it from there."""
    return op(form, "moved({x}, lambda x: " + re.sub(r"\{x(:[\w ]*)?\}", "x", form) + ")")


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
    op(
        "F.standardize({x:line}, {long_axis}, 0.5)",
        "({x} - {x}.mean({long_axis}, keepdim=True)) / ({x}.var({long_axis}, correction=0, keepdim=True) + 0.5).sqrt()",
    ),
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
    op("np.full_like({x}, np.sum({x}))", "torch.sum({x}) + torch.zeros_like({x})"),
    op(
        "np.bincount(np.arange({x}.size) % 2, np.ravel({x}), 2)",
        "torch.stack([torch.sum(torch.ravel({x})[::2]), torch.sum(torch.ravel({x})[1::2])])",
    ),
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

IMAGES = [
    op("F.conv2d({x:images}, {y:filters}, stride={stride}, padding={margin})"),
    op("F.conv2d({x:images}, {y:filters}, {z:bias of filters}, {stride}, {margin})"),
    op(
        "F.max_pool2d({x:images}, {window}, {stride}, {inner_margin})",
        "torch.amax(cut({x}, {window}, {stride}, {inner_margin}, -torch.inf), (-2, -1))",
        kink=GAPS,
    ),
    op(
        "F.avg_pool2d({x:images}, {window}, {stride}, {margin})",
        "torch.mean(cut({x}, {window}, {stride}, {margin}, 0), (-2, -1))",
    ),
]

TABLE = [*ELEMENTWISE, *ACTIVATIONS, *LOSSES, *REDUCTIONS, *SHAPING, *PRODUCTS, *SOLVING, *IMAGES]
