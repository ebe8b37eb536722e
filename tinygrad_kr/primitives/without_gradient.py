"""NumPy functions whose result carries no gradient (on Tensors they give plain arrays), and what replaces others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_kr.engine.dispatch import INSTEAD, NUMPY, PLAIN, unsupported
from tinygrad_kr.engine.graph import mode
from tinygrad_kr.engine.tensor import Tensor, raw

PLAIN.update(
    {
        *(np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal),
        *(np.logical_and, np.logical_or, np.logical_not, np.logical_xor),
        *(np.isnan, np.isinf, np.isfinite, np.isclose, np.allclose, np.array_equal, np.array_equiv),
        *(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift),
        *(np.floor, np.ceil, np.trunc, np.rint, np.round, np.floor_divide, np.signbit),
        *(np.argmax, np.argmin, np.argsort, np.argwhere, np.nonzero, np.flatnonzero, np.count_nonzero),
        *(np.all, np.any, np.searchsorted, np.digitize, np.isin),
        *(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj),
        *(np.zeros_like, np.ones_like, np.empty_like),
        *(np.shares_memory, np.may_share_memory, np.array2string, np.array_repr, np.array_str),
        np.linalg.matrix_rank,
        *(getattr(np, name) for name in ("fix",) if hasattr(np, name)),  # NumPy 2.5 means to take it away
    }
)


def of_constants(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an implementation that calls a NumPy function on values, and refuses Tensors that require a gradient."""

    def values(*args: Any, **kwargs: Any) -> Any:
        if mode.get().recording and any(isinstance(x, Tensor) and x.requires_grad for x in (*args, *kwargs.values())):
            raise unsupported(function.__name__)
        return function(*raw(args), **raw(kwargs))

    return values


NUMPY.update({function: of_constants(function) for function in (np.unique, np.linalg.cond)})
INSTEAD.update(
    {
        "append": "use np.concatenate",
        "average": "use np.sum(weights * t) / np.sum(weights)",
        "column_stack": "use np.stack(..., axis=1)",
        "cond": "use np.linalg.norm(t) * np.linalg.norm(np.linalg.inv(t)), that of the Frobenius norm",
        "convolve": "use a sum of shifted slices times the weights",
        "cross": "write the products of components, with np.stack",
        "delete": "use indexing with the elements to keep",
        "diff": "use t[1:] - t[:-1]",
        "divmod": "use t // d and t % d",
        "fill_diagonal": "use np.where(np.eye(n, dtype=bool), value, t)",
        "full": "use value * np.ones(shape)",
        "gradient": "use differences of slices; for derivatives of functions, tinygrad_kr.grad",
        "insert": "use np.concatenate with slices",
        "interp": "write the straight line between the neighbours found by np.searchsorted(x, t.data)",
        "kron": "use np.einsum('ij,kl->ikjl', a, b).reshape(...)",
        "median": "use np.sort and indexing",
        "nan_to_num": "use np.where(np.isnan(t), 0, t)",
        "nansum": "use np.sum(np.where(np.isnan(t), 0, t))",
        "partition": "use np.sort",
        "percentile": "use np.sort and indexing",
        "ptp": "use np.max(t) - np.min(t)",
        "put_along_axis": "use np.where with a mask",
        "quantile": "use np.sort and indexing",
        "rot90": "use np.flip and np.swapaxes",
        "select": "use np.where, nested",
        "sinc": "use np.sin(x) / x away from 0",
        "svd": "use np.linalg.solve, inv, det, slogdet or cholesky where they serve",
        "trapezoid": "use np.sum of (t[1:] + t[:-1]) / 2 times the steps",
        "unique": "use t[index] with _, index = np.unique(t.data, return_index=True)",
        "vander": "use np.stack of powers",
    }
)
