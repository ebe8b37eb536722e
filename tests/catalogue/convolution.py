"""Declarations: convolution and pooling."""

from __future__ import annotations

import numpy as np

from catalogue.declaration import Declaration, unary
from catalogue.layouts import convolutions, poolings, window_layouts
from catalogue.references import reference_conv2d, reference_fold, reference_pool, reference_windows
from catalogue.values import distinct, real
from tinygrad_kr import functional as F
from tinygrad_kr.primitives import convolution

TABLE = [
    Declaration("conv2d", F.conv2d, convolutions(bias=False), (real, real), reference_conv2d),
    Declaration("conv2d with a bias", F.conv2d, convolutions(bias=True), (real, real, real), reference_conv2d),
    unary(
        "max_pool2d",
        F.max_pool2d,
        distinct,
        reference=reference_pool(np.max, -np.inf),
        layouts=poolings(reaching_beyond=False),
    ),
    unary("avg_pool2d", F.avg_pool2d, reference=reference_pool(np.mean, 0), layouts=poolings()),
    unary("windows", convolution.windows, reference=reference_windows, layouts=window_layouts()),
    unary("fold", convolution.folded, reference=reference_fold, layouts=window_layouts(folded=True)),
]
