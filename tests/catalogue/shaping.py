"""Declarations: shapes, orders and indexing."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from catalogue.declaration import Declaration, unary
from catalogue.layouts import (
    alone,
    any_axes,
    axis_or_none,
    depending,
    enlargeable,
    indices,
    joinable,
    new_axes,
    permutations,
    repeated,
    repetitions,
    reshaped,
    scatterings,
    shapes,
    single_axis,
    small_shapes,
    squeezable,
    takings,
    widths,
)
from catalogue.references import reference_scatter
from catalogue.values import BEFORE_2_1, distinct, real
from tinygrad_kr.primitives import indexing

TABLE = [
    unary("ravel", np.ravel),
    unary(
        "moveaxis",
        np.moveaxis,
        layouts=depending(hnp.array_shapes(max_dims=3), source=single_axis, destination=single_axis),
    ),
    unary("flip", np.flip, layouts=depending(shapes, axis=any_axes)),
    unary(
        "roll",
        lambda x, shift, axis: np.roll(x, shift, axis),
        layouts=depending(shapes, shift=lambda shape: st.integers(-5, 5), axis=axis_or_none),
    ),
    unary("take", np.take, layouts=takings()),
    unary("take_along_axis", np.take_along_axis, layouts=takings(along=True)),
    unary("repeat", np.repeat, layouts=repeated()),
    unary("tile", np.tile, layouts=depending(small_shapes, reps=repetitions)),
    unary("sort", np.sort, distinct, layouts=depending(shapes.filter(len), axis=axis_or_none)),
    unary("pad", np.pad, layouts=depending(small_shapes, pad_width=widths)),
    *(
        unary(
            f"pad, {mode}",
            lambda x, pad_width, mode: np.pad(x, pad_width, mode),
            layouts=depending(
                hnp.array_shapes(max_dims=2, min_side=2), pad_width=widths, mode=lambda shape, mode=mode: st.just(mode)
            ),
        )
        for mode in ("edge", "reflect", "symmetric", "wrap")
    ),
    Declaration("concatenate", lambda *parts, axis: np.concatenate(parts, axis), joinable(), (real,) * 3),
    Declaration("concatenate, flat", lambda *parts, axis: np.concatenate(parts, None), joinable(), (real,) * 3),
    Declaration("stack", lambda *parts, axis: np.stack(parts, axis), joinable(equal=True), (real,) * 3),
    Declaration("vstack", lambda *parts, axis: np.vstack(parts), joinable(equal=True), (real,) * 3),
    Declaration("hstack", lambda *parts, axis: np.hstack(parts), joinable(equal=True), (real,) * 3),
    *(
        unary(
            split.__name__,
            lambda x, at, split=split: np.concatenate(split(x, at)[::-1]),
            layouts=alone(st.integers(0, 3).map(lambda n: (n, 2)), at=st.just([1, 2])),
        )
        for split in (np.split, np.array_split)
    ),
    unary("atleast_1d", np.atleast_1d),
    unary("atleast_2d", np.atleast_2d),
    unary(
        "reshape",
        (lambda x, shape: np.reshape(x, shape)) if BEFORE_2_1 else np.reshape,
        layouts=depending(shapes, shape=reshaped),
    ),
    unary("reshape, the method", lambda x, to: x.reshape(to), layouts=depending(shapes, to=reshaped)),
    unary("transpose", np.transpose, layouts=depending(shapes, axes=permutations)),
    unary("x.T", lambda x: x.T),
    unary("x.mT", lambda x: x.mT, layouts=alone(hnp.array_shapes(min_dims=2, min_side=0, max_side=3))),
    unary("matrix_transpose", np.matrix_transpose, layouts=alone(hnp.array_shapes(min_dims=2, max_side=3))),
    unary(
        "swapaxes",
        np.swapaxes,
        layouts=depending(hnp.array_shapes(max_dims=3, min_side=0), axis1=single_axis, axis2=single_axis),
    ),
    unary("expand_dims", np.expand_dims, layouts=depending(small_shapes, axis=new_axes)),
    unary("squeeze", np.squeeze, layouts=squeezable()),
    unary("broadcast_to", np.broadcast_to, layouts=enlargeable()),
    unary("indexing", lambda x, index: x[index], layouts=depending(small_shapes, index=indices)),
    unary("scatter", indexing.scattered, reference=reference_scatter, layouts=scatterings()),
]
