"""Declarations: activations."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from catalogue.declaration import at_zero, slopes, unary
from catalogue.layouts import alone, depending, single_axis
from catalogue.references import reference_gelu, reference_log_softmax, reference_softmax
from tinygrad_kr import functional as F

TABLE = [
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
]
