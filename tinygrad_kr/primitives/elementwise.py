"""Element by element: the ufuncs of NumPy.

At kinks: |x|'(0) = 0; ties in maximum and minimum share the gradient equally; x**0 has gradient 0 everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import NUMPY


def broadcasting(*shapes: tuple[int, ...], **params: Any) -> str:
    """What elementwise operations expect of their operands."""
    return "along each axis, counted from the last, equal sizes or a size of 1"


add = Primitive("add", np.add, expects=broadcasting, a=lambda g: g, b=lambda g: g)
subtract = Primitive("subtract", np.subtract, expects=broadcasting, a=lambda g: g, b=lambda g: -g)
multiply = Primitive("multiply", np.multiply, expects=broadcasting, a=lambda g, b: g * b, b=lambda g, a: g * a)
divide = Primitive("divide", np.divide, expects=broadcasting, a=lambda g, b: g / b, b=lambda g, b, y: -g * y / b)
negative = Primitive("negative", np.negative, x=lambda g: -g)
absolute = Primitive("abs", np.absolute, x=lambda g, x: g * np.sign(x))
sign = Primitive("sign", np.sign, x=lambda g: np.zeros_like(g))
exp = Primitive("exp", np.exp, x=lambda g, y: g * y)
log = Primitive("log", np.log, x=lambda g, x: g / x)
sqrt = Primitive("sqrt", np.sqrt, x=lambda g, y: g / (2 * y))
square = Primitive("square", np.square, x=lambda g, x: 2 * g * x)
tanh = Primitive("tanh", np.tanh, x=lambda g, y: g * (1 - y * y))


def _larger_share(g: Any, a: Any, b: Any) -> Any:
    """Return g where a is the larger, half of it where both are equal."""
    return np.where(a > b, g, np.where(a == b, g / 2, 0))


maximum = Primitive(
    "maximum",
    np.maximum,
    expects=broadcasting,
    a=lambda g, a, b: _larger_share(g, a, b),
    b=lambda g, a, b: _larger_share(g, b, a),
)
minimum = Primitive(
    "minimum",
    np.minimum,
    expects=broadcasting,
    a=lambda g, a, b: _larger_share(g, b, a),
    b=lambda g, a, b: _larger_share(g, a, b),
)
where = Primitive(
    "where",
    np.where,
    expects=broadcasting,
    condition=None,
    a=lambda g, condition: np.where(condition, g, 0),
    b=lambda g, condition: np.where(condition, 0, g),
)

array_power = Primitive(
    "power",
    np.power,
    expects=broadcasting,
    a=lambda g, a, b: g * b * a ** np.where(b == 0, 1, b - 1),
    b=lambda g, a, y: g * y * np.log(np.where(a == 0, 1, a)),
)
constant_power = Primitive(
    "power",
    lambda x, *, exponent: np.power(x, exponent),
    x=lambda g, x, exponent: g * exponent * x ** (exponent - 1) if exponent else np.zeros_like(g),
)


def power(a: Any, b: Any) -> Any:
    """Raise a to the power b; a number as the exponent is a parameter, not an operand."""
    if isinstance(b, int | float):
        return square(a) if b == 2 else constant_power(a, exponent=b)
    return array_power(a, b)


astype = Primitive("astype", lambda x, *, dtype: np.asarray(x).astype(dtype, copy=False), x=lambda g: g)
identity = Primitive("identity", lambda x: np.asarray(x).view(), x=lambda g: g)

NUMPY[np.power] = power
NUMPY[np.where] = where
NUMPY[np.astype] = lambda x, dtype, copy=True: astype(x, dtype=dtype)
NUMPY[np.copy] = lambda a, order="K", subok=False: identity(a)
