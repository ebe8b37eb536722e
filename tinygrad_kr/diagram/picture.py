"""``draw`` makes a Picture of the current graph."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from tinygrad_kr.common.files import whole
from tinygrad_kr.diagram.capture import Box, Edge, captured
from tinygrad_kr.diagram.svg import svg
from tinygrad_kr.diagram.text import dot, mermaid
from tinygrad_kr.diagram.words import LANGUAGES, lines
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import GraphError

__all__ = ["Picture", "draw"]


class Picture:
    """A computation graph at the time of ``draw``; a notebook shows it as SVG.

    The picture holds no intermediate result, and stays the same after ``backward()`` has freed the graph. Only the
    gradients are read whenever it is shown: drawn before ``backward()``, it shows their norms after it.

    Attributes
    ----------
    boxes : list of Box
        Leaves, inputs and constants in the order of their first use, then the operations in the order of execution.
    edges : list of Edge
        From an operand to its operation.
    left_out : int
        The number of operations that the limit left out.
    """

    boxes: list[Box]
    edges: list[Edge]
    left_out: int
    lang: str

    def __init__(self, boxes: list[Box], edges: list[Edge], left_out: int, lang: str) -> None:
        self.boxes, self.edges, self.left_out, self.lang = boxes, edges, left_out, lang

    def svg(self) -> str:
        """Return the picture as an SVG document."""
        return svg(self.boxes, self.edges, self._lines())

    def mermaid(self) -> str:
        """Return the picture as a Mermaid flowchart, as GitHub and many notebooks show it."""
        return mermaid(self.boxes, self.edges, self._lines())

    def dot(self) -> str:
        """Return the picture in Graphviz' language."""
        return dot(self.boxes, self.edges, self._lines())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file; its suffix says the format: ``.svg``, ``.mmd`` or ``.dot``.

        Raises
        ------
        ValueError
            If the suffix is another.
        """
        formats = {".svg": self.svg, ".mmd": self.mermaid, ".mermaid": self.mermaid, ".dot": self.dot, ".gv": self.dot}
        suffix = Path(path).suffix.lower()
        if suffix not in formats:
            raise ValueError(f"save: unknown suffix {suffix!r} of {os.fspath(path)!r}; use one of {', '.join(formats)}")
        with whole(path) as file:
            file.write((formats[suffix]() + "\n").encode())

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        operations = sum(box.kind == "operation" for box in self.boxes)
        cut = f" and {self.left_out} left out" if self.left_out else ""
        return f"<Picture of {operations} operations{cut}, {len(self.boxes)} boxes, {len(self.edges)} edges>"

    def _lines(self) -> list[list[str]]:
        return [lines(box, self.lang) for box in self.boxes]


def draw(
    tensor: Tensor,
    names: Mapping[str, Tensor | NDArray[Any]] | None = None,
    *,
    limit: int = 50,
    lang: Literal["en", "ko"] = "en",
) -> Picture:
    """Draw the computation graph of a Tensor.

    It has a box for every leaf, with name, shape, dtype and the norm of its gradient; for every other array, Tensor or
    number that an operation was given, with shape or value if the graph kept it; and for every operation, with the
    shape of its result and the static parameters that differ from their defaults. After ``backward()`` only the last
    operation is left: draw before it, or use ``backward(retain_graph=True)``.

    Parameters
    ----------
    tensor : Tensor
        The result whose graph is drawn, or a leaf.
    names : mapping of str to Tensor or array, optional
        Names to show, such as ``net.params`` or ``{"x": x}``. Default: the names of the Tensors that still exist.
    limit : int
        The number of boxes to draw at most, about: those closest to the result, and one that counts the rest.
    lang : {"en", "ko"}
        The language of the words in the picture.

    Returns
    -------
    Picture

    Raises
    ------
    TypeError
        If ``tensor`` is no Tensor.
    GraphError
        If it was computed from no Tensor that requires a gradient, so that no graph was recorded.
    ValueError
        If ``limit`` is not positive, or the language another.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr import Tensor
    >>> x = Tensor([3.0, 4.0], requires_grad=True, name="x")
    >>> y = np.sum(x * x)
    >>> picture = draw(y)
    >>> y.backward()
    >>> print(picture.mermaid())
    flowchart TD
      n0(["x<br/>(2,) float64<br/>gradient norm 10"])
      n1["multiply<br/>(2,)"]
      n2["sum<br/>= 25"]
      n0 -->|"a"| n1
      n0 -->|"b"| n1
      n1 --> n2
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"draw: expected a Tensor, got {type(tensor).__name__}")
    if limit < 1:
        raise ValueError(f"draw: limit must be at least 1, got {limit}")
    if lang not in LANGUAGES:
        raise ValueError(f"lang must be one of {', '.join(map(repr, LANGUAGES))}, got {lang!r}")
    if tensor._node is None:
        raise GraphError(
            f"draw: {tensor.label()} {tensor.shape} was computed from no Tensor that requires a gradient, "
            "so no graph was recorded.\n"
            "  make the parameters with Tensor(..., requires_grad=True), and compute outside no_grad()"
        )
    return Picture(*captured(tensor, names or {}, limit), lang)
