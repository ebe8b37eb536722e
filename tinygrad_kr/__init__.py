"""tinygrad_kr: NumPy code you already wrote, differentiated exactly and proven right.

The public surface, listed once.
"""

from tinygrad_kr import primitives as _catalogue  # fills the table of NumPy functions
from tinygrad_kr.engine.debug import debug
from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import Tensor

__version__ = "0.1.0"

__all__ = ["Primitive", "Tensor", "__version__", "debug", "no_grad"]

del _catalogue
