"""Recording a computation and walking it backward. Knows no layer, no loss and no file.

What NumPy functions do on Tensors, the catalogue says. It is loaded here, so that it is complete whichever module of
the package a program imports first.
"""

import tinygrad_kr.primitives as _catalogue

del _catalogue
