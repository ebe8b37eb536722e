"""What may become the data of a Tensor: NumPy's own arrays, and what NumPy makes one of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_kr.errors import UnsupportedError

__all__ = ["is_foreign", "plain_array"]


def plain_array(value: Any, name: str) -> ndarray[Any, Any]:
    """Return a value as an array of NumPy's own class, without a copy if it is one.

    Parameters
    ----------
    value : array_like
    name : str
        What asks for the array, for messages.

    Raises
    ------
    UnsupportedError
        If its own class computes otherwise than ndarray does: a masked array, ``numpy.matrix``, an array with units, an
        array of another library. The rules, written for ndarray, would give another function's gradient.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise UnsupportedError(
            f"{name}: a masked array {value.shape} is not supported: its mask would be ignored.\n"
            "  pass a.filled(value), or a.data with weights of 0 where it is masked: np.sum(w * a) / np.sum(w)"
        )
    if isinstance(value, np.matrix):
        raise UnsupportedError(
            f"{name}: numpy.matrix {value.shape} is not supported: its * is a product of matrices.\n"
            "  pass np.asarray(m), and write @ for products"
        )
    if is_foreign(value):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise UnsupportedError(
            f"{name}: {kind} is not supported; Tensors hold NumPy's own arrays.\n"
            "  convert it first, as its library does: a.compute(), a.get(), a.todense(), a.value; then np.asarray"
        )
    return np.asarray(value)


def is_foreign(value: Any) -> bool:
    """Whether a value speaks NumPy's protocols with an implementation of its own."""
    own = getattr(type(value), "__array_function__", None)
    return own is not None and (own is not ndarray.__array_function__ or _own_ufuncs(value))


def _own_ufuncs(value: Any) -> bool:
    return getattr(type(value), "__array_ufunc__", None) is not ndarray.__array_ufunc__
