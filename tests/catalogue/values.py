"""The values of operands: domains from which they are drawn."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

Array = Any
Shape = tuple[int, ...]
Layout = tuple[tuple[Shape, ...], dict[str, Any]]  # the shape of each operand, and the static parameters

BEFORE_2_1 = np.lib.NumpyVersion(np.__version__) < "2.1.0"
"""Whether NumPy calls the shape of ``np.reshape`` ``newshape``, and ``np.clip`` needs a bound."""

GAP = 0.01
"""How far from a kink the operands stay: a hundred steps of the numerical gradient."""


# The values of operands


@dataclass(frozen=True)
class Domain:
    """Magnitudes from ``low`` to ``high``, with either sign or positive, ties allowed or not."""

    low: float
    high: float
    signed: bool = True
    distinct: bool = False

    @functools.cache  # noqa: B019 - a domain lives as long as the catalogue
    def arrays(self, shape: Shape) -> st.SearchStrategy[Array]:
        """Arrays of a shape. Each element is drawn for itself, so that they are not mostly equal."""
        size = math.prod(shape)
        magnitudes = hnp.arrays(
            np.float64, size, elements=st.floats(self.low, self.high, allow_subnormal=False), fill=st.nothing()
        )
        signs = st.integers(0, 2**size - 1) if self.signed else st.just(0)
        return st.tuples(magnitudes, signs).map(lambda drawn: self._array(*drawn, shape))

    def _array(self, magnitudes: Array, signs: int, shape: Shape) -> Array:
        negative = np.array([signs >> i & 1 for i in range(magnitudes.size)], bool)
        values = np.where(negative, -magnitudes, magnitudes)
        if self.distinct:  # the order stays, the steps become at least a quarter
            ranks = np.argsort(np.argsort(values, kind="stable"))
            values = (ranks - values.size // 2) * 0.5 + 0.25 * values / self.high / 2
        return values.reshape(shape)


real = Domain(0, 4)
nonzero = Domain(0.25, 4)
positive = Domain(0.25, 4, signed=False)
small = Domain(0, 1)
inside_unit = Domain(0, 0.8)
probability = Domain(0.2, 1, signed=False)
distinct = Domain(0, 4, distinct=True)
