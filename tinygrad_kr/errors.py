"""The errors of this package, one class for each kind.

Every class derives from the built-in that NumPy or Python raises for the same kind of mistake, so ``except
ValueError`` keeps working. A message says what happened, with which shapes, what was expected, and what to do.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "DtypeError",
    "FreedGraphError",
    "GraphError",
    "IndexingError",
    "LabelError",
    "MissingExtraError",
    "MutationError",
    "NonFiniteError",
    "ShapeError",
    "UnsupportedError",
]


class ShapeError(ValueError):
    """Operands whose shapes do not fit each other or the operation."""


class IndexingError(ShapeError, IndexError):
    """An index or an axis that an array does not have."""


class DtypeError(TypeError):
    """A dtype that cannot do what was asked, such as a gradient of integers."""


class LabelError(ValueError):
    """A class label that is out of range or of the wrong form."""


class UnsupportedError(TypeError):
    """A NumPy function or argument that does not work on Tensors; the message names what to use instead."""


class GraphError(RuntimeError):
    """A computation graph on which the operation asked for is not possible."""


class FreedGraphError(GraphError):
    """A second backward pass through a graph whose saved arrays the first one released."""


class MutationError(GraphError):
    """An array changed between the forward pass that used it and the backward pass that needs it."""


class NonFiniteError(ArithmeticError):
    """A NaN or infinity where there must be none: a diverged loss, or any result under ``debug()``."""


class DataError(ValueError):
    """A data file of another format, or one that is truncated or altered."""


class MissingExtraError(ImportError):
    """An optional library is not installed; the message names the extra that installs it."""
