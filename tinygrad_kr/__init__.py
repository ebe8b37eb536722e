"""tinygrad_kr: NumPy code you already wrote, differentiated exactly and proven right.

The public surface. The engine, and NumPy with it, is loaded when the first of its names is asked for.
"""

from typing import TYPE_CHECKING

from tinygrad_kr.common.lazy import on_demand

if TYPE_CHECKING:
    from tinygrad_kr.engine.debug import debug
    from tinygrad_kr.engine.graph import no_grad
    from tinygrad_kr.engine.primitive import Primitive
    from tinygrad_kr.engine.tensor import Tensor
    from tinygrad_kr.engine.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "engine.debug": ["debug"],
            "engine.graph": ["no_grad"],
            "engine.primitive": ["Primitive"],
            "engine.tensor": ["Tensor"],
            "engine.transforms": ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"],
        },
        requires=["tinygrad_kr.primitives"],  # what NumPy functions do on Tensors
    )

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
