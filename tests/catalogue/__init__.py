"""The catalogue: what can be differentiated, one declaration each, in a table for each file of primitives.

From a declaration, ``cases`` draws operands, static parameters and a cotangent; ``test_catalogue.py`` holds the
properties that every one of them must have. To declare one more primitive, add a line to its table.
"""

from __future__ import annotations

from catalogue import activations, convolution, elementwise, linalg, losses, reductions, shaping
from catalogue.declaration import Case, Declaration, cases, fan_ins, uneven
from catalogue.layouts import labels, soft_rows
from catalogue.values import real

__all__ = ["CATALOGUE", "Case", "Declaration", "cases", "fan_ins", "labels", "real", "soft_rows", "uneven"]

CATALOGUE = [
    declaration
    for module in (elementwise, activations, reductions, linalg, convolution, shaping, losses)
    for declaration in module.TABLE
]
