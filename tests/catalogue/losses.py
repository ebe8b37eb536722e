"""Declarations: losses."""

from __future__ import annotations

from hypothesis.extra import numpy as hnp

from catalogue.declaration import Declaration, binary, unary
from catalogue.layouts import labels, one_hot_rows, scores_with, shapes, soft_rows, with_params
from catalogue.references import (
    of_any_weights,
    reference_cross_entropy,
    reference_softmax_cross_entropy,
    reference_squares,
)
from catalogue.values import probability, real
from tinygrad_kr import functional as F

TABLE = [
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
