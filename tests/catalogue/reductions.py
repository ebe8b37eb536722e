"""Declarations: reductions along axes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from catalogue.declaration import unary
from catalogue.layouts import alone, axis_or_none, depending, reduced, shapes, single_axis, small_shapes
from catalogue.references import reference_standardize
from catalogue.values import Domain, distinct, nonzero
from tinygrad_kr import functional as F

TABLE = [
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
]
