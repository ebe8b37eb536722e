"""Declarations: element by element, operators and a primitive of a user."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from catalogue.declaration import Declaration, at_tie, at_whole_multiple, at_zero, binary, exponents, unary
from catalogue.layouts import alone, broadcastable, conditionals, matrix_products, squares, with_params
from catalogue.references import reference_power
from catalogue.values import BEFORE_2_1, Domain, inside_unit, nonzero, positive, real, small
from tinygrad_kr import Primitive
from tinygrad_kr import functional as F
from tinygrad_kr.primitives import elementwise

TABLE = [
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
]
