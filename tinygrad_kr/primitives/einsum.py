"""Sums of products in Einstein's notation."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tinygrad_kr.engine.dispatch import NUMPY
from tinygrad_kr.engine.primitive import Primitive
from tinygrad_kr.errors import UnsupportedError
from tinygrad_kr.primitives.indexing import scattered

MANY_PRODUCTS = 30_000
"""From here on, finding and calling a product of matrices takes less time than NumPy's own loop."""

einsum_of_one: Primitive = Primitive(
    "einsum",
    lambda x, *, terms, result: np.einsum(f"{terms}->{result}", x),
    expects=lambda x, terms, result: f"one letter for each axis, got {terms!r}",
    x=lambda g, shape, terms, result: _einsum_back(g, result, terms, shape),
)
einsum_of_two: Primitive = Primitive(
    "einsum",
    lambda a, b, *, of_a, of_b, result: _contracted([of_a, of_b], result, a, b),
    expects=lambda a, b, of_a, of_b, result: (
        f"one letter for each axis and one size for each letter: {of_a!r}, {of_b!r}"
    ),
    a=lambda g, b, shape, of_a, of_b, result: _einsum_back(g, result, of_a, shape, b, of_b),
    b=lambda g, a, shape, of_a, of_b, result: _einsum_back(g, result, of_b, shape, a, of_a),
)


def _contracted(terms: list[str], result: str, *operands: Any) -> Any:
    """Sum products over the letters that the result lacks: as a product of matrices where it pays to look for one."""
    shapes = [x.shape for x in operands]
    sizes = dict(zip("".join(terms), itertools.chain(*shapes), strict=False))
    is_large = math.prod(sizes.values()) > MANY_PRODUCTS
    return np.einsum(f"{','.join(terms)}->{result}", *operands, optimize=is_large)


def _einsum_back(g: Any, result: str, terms: str, shape: tuple[int, ...], other: Any = None, of_other: str = "") -> Any:
    """Carry g to an operand with the given terms: sum over what it lacks, repeat along what only it has.

    A letter that stands twice in the terms names a diagonal; the rest is zero.
    """
    letters = "".join(dict.fromkeys(terms))
    known = [c for c in letters if c in result + of_other]
    operands = [g] if other is None else [g, other]
    back = _contracted([result, of_other][: len(operands)], "".join(known), *operands)
    sizes = [shape[terms.index(c)] for c in letters]
    widened = tuple(i for i, c in enumerate(known) if shape[terms.index(c)] == 1)
    if widened:
        back = np.sum(back, axis=widened, keepdims=True)
    found = dict(zip(known, back.shape, strict=True))
    back = np.reshape(back, [found.get(c, 1) for c in letters])
    back = np.broadcast_to(back, sizes)
    if len(letters) == len(terms):
        return back
    grid = np.ix_(*map(np.arange, sizes))
    return scattered(back, to=shape, index=tuple(grid[letters.index(c)] for c in terms))


def einsum(subscripts: str, *operands: Any, optimize: Any = False) -> Any:
    """Sum products in Einstein's notation, two operands at a time from the left."""
    if not isinstance(subscripts, str):
        raise UnsupportedError("numpy.einsum: on Tensors the subscripts must be a string, such as 'ij,jk->ik'")
    terms, result = _parsed_subscripts(subscripts, operands)
    value, of_value = operands[0], terms[0]
    if len(operands) == 1:
        return einsum_of_one(value, terms=of_value, result=result)
    for i, operand in enumerate(operands[1:], start=1):
        later = "".join(terms[i + 1 :]) + result
        target = (
            result if i == len(operands) - 1 else "".join(dict.fromkeys(c for c in of_value + terms[i] if c in later))
        )
        value, of_value = einsum_of_two(value, operand, of_a=of_value, of_b=terms[i], result=target), target
    return value


def _parsed_subscripts(subscripts: str, operands: Any) -> tuple[list[str], str]:
    """Return the letters of each operand and of the result, with letters in place of the dots of an ellipsis."""
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise UnsupportedError(f"numpy.einsum: {subscripts!r} has {len(terms)} terms for {len(operands)} operands")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    hidden = [np.ndim(x) - len(term) + 3 if "..." in term else 0 for term, x in zip(terms, operands, strict=True)]
    dots = "".join(spare[: max(hidden)])
    terms = [term.replace("...", dots[len(dots) - n :]) for term, n in zip(terms, hidden, strict=True)]
    if not arrow:
        letters = "".join(terms)
        result = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    return terms, result.replace("...", dots)


NUMPY[np.einsum] = einsum
