"""NumPy functions whose result carries no gradient: on Tensors they give plain arrays."""

from __future__ import annotations

import numpy as np

from tinygrad_kr.engine.tensor import PLAIN

PLAIN.update(
    {
        *(np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal),
        *(np.logical_and, np.logical_or, np.logical_not, np.logical_xor),
        *(np.isnan, np.isinf, np.isfinite, np.signbit, np.isclose, np.allclose, np.array_equal, np.array_equiv),
        *(np.floor, np.ceil, np.trunc, np.rint, np.round, np.floor_divide),
        *(np.argmax, np.argmin, np.argsort, np.argwhere, np.nonzero, np.flatnonzero, np.count_nonzero),
        *(np.all, np.any, np.searchsorted, np.digitize, np.unique, np.isin, np.bincount),
        *(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj),
        *(np.zeros_like, np.ones_like, np.empty_like, np.full_like),
        *(np.shares_memory, np.may_share_memory, np.array2string, np.array_repr, np.array_str),
    }
)
