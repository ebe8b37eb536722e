"""Declarations: products of matrices, einsum and linear algebra."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from catalogue.declaration import Declaration, binary, unary
from catalogue.layouts import (
    alone,
    contractions,
    dots,
    einsums,
    linear_layers,
    matrices,
    matrix_products,
    regular,
    shapes,
    small_shapes,
    square_matrices,
    squares,
    systems,
    unit_matrix,
    with_params,
)
from catalogue.references import reference_linear
from catalogue.values import real, small
from tinygrad_kr import functional as F

TABLE = [
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
]
