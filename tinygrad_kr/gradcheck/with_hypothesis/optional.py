"""hypothesis, which this package needs and does not install by default."""

from typing import TYPE_CHECKING

from tinygrad_kr.common.extras import require

if TYPE_CHECKING:
    import hypothesis as hypothesis
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
else:
    hypothesis = require("hypothesis", "test", "tinygrad_kr.gradcheck.with_hypothesis")
    st = require("hypothesis.strategies", "test", "tinygrad_kr.gradcheck.with_hypothesis")
    hnp = require("hypothesis.extra.numpy", "test", "tinygrad_kr.gradcheck.with_hypothesis")

__all__ = ["hnp", "hypothesis", "st"]
