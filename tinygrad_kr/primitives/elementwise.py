"""Element by element: the ufuncs of NumPy.

At kinks: abs has gradient 0 at 0; ties in maximum, minimum, fmax and fmin share the gradient equally; x**0 has
gradient 0 everywhere; clip lets the gradient through at its bounds; sign has gradient 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_kr.engine.dispatch import NUMPY
from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.errors import ShapeError, UnsupportedError


def broadcasting(*shapes: tuple[int, ...], **params: Any) -> str:
    """What elementwise operations expect of their operands."""
    return "along each axis, counted from the last, equal sizes or a size of 1"


# Arithmetic

add: Primitive = Primitive("add", np.add, expects=broadcasting, a=lambda g: g, b=lambda g: g)
subtract: Primitive = Primitive("subtract", np.subtract, expects=broadcasting, a=lambda g: g, b=lambda g: -g)
multiply: Primitive = Primitive(
    "multiply", np.multiply, expects=broadcasting, a=lambda g, b: g * b, b=lambda g, a: g * a
)
divide: Primitive = Primitive(
    "divide", np.divide, expects=broadcasting, a=lambda g, b: g / b, b=lambda g, b, y: -g * y / b
)
remainder: Primitive = Primitive(
    "remainder", np.remainder, expects=broadcasting, a=lambda g: g, b=lambda g, a, b: -g * np.floor_divide(a, b)
)
negative: Primitive = Primitive("negative", np.negative, x=lambda g: -g)
positive: Primitive = Primitive("positive", np.positive, x=lambda g: g)
reciprocal: Primitive = Primitive("reciprocal", np.reciprocal, x=lambda g, y: -g * y * y)
absolute: Primitive = Primitive("abs", np.absolute, x=lambda g, x: g * np.sign(x))
fabs: Primitive = Primitive("fabs", np.fabs, x=lambda g, x: g * np.sign(x))
sign: Primitive = Primitive("sign", np.sign, x=lambda g: np.zeros_like(g))
square: Primitive = Primitive("square", np.square, x=lambda g, x: g * x * 2)
sqrt: Primitive = Primitive("sqrt", np.sqrt, x=lambda g, y: g / (2 * y))
cbrt: Primitive = Primitive("cbrt", np.cbrt, x=lambda g, y: g / (3 * y * y))
hypot: Primitive = Primitive(
    "hypot",
    np.hypot,
    expects=broadcasting,
    a=lambda g, a, y: g * a / np.where(y == 0, 1, y),
    b=lambda g, b, y: g * b / np.where(y == 0, 1, y),
)
deg2rad: Primitive
radians: Primitive
deg2rad, radians = (Primitive(f.__name__, f, x=lambda g: g * (np.pi / 180)) for f in (np.deg2rad, np.radians))
rad2deg: Primitive
degrees: Primitive
rad2deg, degrees = (Primitive(f.__name__, f, x=lambda g: g * (180 / np.pi)) for f in (np.rad2deg, np.degrees))

array_power: Primitive = Primitive(
    "power",
    np.power,
    expects=broadcasting,
    a=lambda g, a, b: g * b * a ** np.where((a == 0) & (b == 0), 1, b - 1),
    b=lambda g, a, y: g * y * np.log(np.where(a == 0, 1, a)),
)
constant_power: Primitive = Primitive(
    "power",
    lambda x, *, exponent: np.power(x, exponent),
    x=lambda g, x, exponent: g * exponent * x ** (exponent - 1) if exponent else np.zeros_like(g),
)


def power(a: Any, b: Any) -> Any:
    """Raise a to the power b; a Python number as the exponent is a parameter, not an operand."""
    if type(b) in (int, float, bool):
        return square(a) if b == 2 else constant_power(a, exponent=b)
    return array_power(a, b)


def float_power(a: Any, b: Any) -> Any:
    """Raise a to the power b in float64, as ``numpy.float_power`` does."""
    return array_power(*(cast(x, dtype=np.float64) for x in (a, b)))


# Exponentials and logarithms

exp: Primitive = Primitive("exp", np.exp, x=lambda g, y: g * y)
exp2: Primitive = Primitive("exp2", np.exp2, x=lambda g, y: g * y * np.log(2))
expm1: Primitive = Primitive("expm1", np.expm1, x=lambda g, x: g * np.exp(x))
log: Primitive = Primitive("log", np.log, x=lambda g, x: g / x)
log2: Primitive = Primitive("log2", np.log2, x=lambda g, x: g / (x * np.log(2)))
log10: Primitive = Primitive("log10", np.log10, x=lambda g, x: g / (x * np.log(10)))
log1p: Primitive = Primitive("log1p", np.log1p, x=lambda g, x: g / (1 + x))
logaddexp: Primitive = Primitive(
    "logaddexp",
    np.logaddexp,
    expects=broadcasting,
    a=lambda g, a, b: g * np.exp(-np.logaddexp(0, b - a)),
    b=lambda g, a, b: g * np.exp(-np.logaddexp(0, a - b)),
)

# Trigonometry

sin: Primitive = Primitive("sin", np.sin, x=lambda g, x: g * np.cos(x))
cos: Primitive = Primitive("cos", np.cos, x=lambda g, x: -g * np.sin(x))
tan: Primitive = Primitive("tan", np.tan, x=lambda g, y: g * (1 + y * y))
arcsin: Primitive = Primitive("arcsin", np.arcsin, x=lambda g, x: g / np.sqrt((1 - x) * (1 + x)))
arccos: Primitive = Primitive("arccos", np.arccos, x=lambda g, x: -g / np.sqrt((1 - x) * (1 + x)))
arctan: Primitive = Primitive("arctan", np.arctan, x=lambda g, x: g / (1 + x * x))
arctan2: Primitive = Primitive(
    "arctan2",
    np.arctan2,
    expects=broadcasting,
    a=lambda g, a, b: g * b / (a * a + b * b),
    b=lambda g, a, b: -g * a / (a * a + b * b),
)
sinh: Primitive = Primitive("sinh", np.sinh, x=lambda g, x: g * np.cosh(x))
cosh: Primitive = Primitive("cosh", np.cosh, x=lambda g, x: g * np.sinh(x))
tanh: Primitive = Primitive("tanh", np.tanh, x=lambda g, y: g * (1 - y * y))
arcsinh: Primitive = Primitive("arcsinh", np.arcsinh, x=lambda g, x: g / np.hypot(x, 1))
arccosh: Primitive = Primitive("arccosh", np.arccosh, x=lambda g, x: g / np.sqrt((x - 1) * (x + 1)))
arctanh: Primitive = Primitive("arctanh", np.arctanh, x=lambda g, x: g / ((1 - x) * (1 + x)))

# Choices


def _if_chosen(g: Any, mine: Any, other: Any, y: Any) -> Any:
    """Return g where mine was chosen, half of it where both are equal."""
    return np.where(y == mine, np.where(mine == other, g / 2, g), 0)


maximum: Primitive
minimum: Primitive
fmax: Primitive
fmin: Primitive
maximum, minimum, fmax, fmin = (
    Primitive(
        ufunc.__name__,
        ufunc,
        expects=broadcasting,
        a=lambda g, a, b, y: _if_chosen(g, a, b, y),
        b=lambda g, a, b, y: _if_chosen(g, b, a, y),
    )
    for ufunc in (np.maximum, np.minimum, np.fmax, np.fmin)
)
select: Primitive = Primitive(
    "where",
    np.where,
    expects=broadcasting,
    condition=None,
    a=lambda g, condition: np.where(condition, g, 0),
    b=lambda g, condition: np.where(condition, 0, g),
)
constant_clip: Primitive = Primitive(
    "clip",
    lambda x, *, low, high: np.clip(x, low, high),
    expects=broadcasting,
    x=lambda g, x, low, high: (
        g * ((x >= (-np.inf if low is None else low)) & (x <= (np.inf if high is None else high)))
    ),
)


def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Choose by a condition; with the condition alone, the indices where it holds."""
    if x is None and y is None:
        return np.nonzero(raw(condition))
    if x is None or y is None:
        raise ShapeError("where: pass both x and y, what to take where the condition holds and where not; or neither")
    return select(raw(condition), x, y)


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Limit values to an interval; bounds that are Tensors take part in the gradient."""
    low, high = a_min if min is None else min, a_max if max is None else max
    if not isinstance(low, Tensor) and not isinstance(high, Tensor):
        return constant_clip(a, low=low, high=high)
    a = a if low is None else maximum(a, low)
    return a if high is None else minimum(a, high)


# The same values in another form

identity: Primitive = Primitive("identity", lambda x: np.asarray(x).view(), x=lambda g: g)
copy: Primitive = Primitive("copy", lambda x, *, order="K": np.array(x, order=order, copy=True), x=lambda g: g)
cast: Primitive = Primitive("astype", lambda x, *, dtype: np.asarray(x).astype(dtype), x=lambda g: g)


def astype(x: Any, dtype: Any, copy: bool = True) -> Any:
    """Change the dtype; the gradient comes back in the old one."""
    if np.dtype(dtype).kind != "f" and isinstance(x, Tensor) and x.requires_grad:
        raise UnsupportedError(
            f"astype: {np.dtype(dtype)} would silently drop the gradient of {x.label()} {x.shape}.\n"
            f"  for the values alone use t.data.astype({np.dtype(dtype)})"
        )
    return cast(x, dtype=dtype)


def full_like(a: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    """Fill an array like a with a value, whose gradient is the sum over all elements."""
    if not isinstance(fill_value, Tensor):
        return np.full_like(raw(a), fill_value, dtype=dtype, shape=shape)
    filled = np.broadcast_to(fill_value, np.shape(a) if shape is None else shape)
    return astype(filled, raw(a).dtype if dtype is None else dtype)


NUMPY.update(
    {
        np.power: power,
        np.float_power: float_power,
        np.where: where,
        np.clip: clip,
        np.astype: astype,
        np.copy: lambda a, order="K": copy(a, order=order),
        np.full_like: full_like,
    }
)
