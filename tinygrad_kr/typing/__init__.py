"""Types for checkers: ``tinygrad_kr.typing.numpy`` types NumPy's functions as they work on Tensors.

It exists for checkers alone; a program turns it on so::

    from typing import TYPE_CHECKING

    if TYPE_CHECKING:
        import tinygrad_kr.typing.numpy as np
    else:
        import numpy as np
"""
