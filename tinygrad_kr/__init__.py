"""tinygrad_kr: NumPy code you already wrote, differentiated exactly and proven right.

The public surface, listed once.
"""

from tinygrad_kr import primitives as _catalogue  # fills the table of NumPy functions
from tinygrad_kr.engine.debug import debug
from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.engine.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"

__all__ = [
    "Primitive",
    "Tensor",
    "__version__",
    "debug",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "no_grad",
    "value_and_grad",
    "vjp",
]

del _catalogue
