"""draw(): what is in the graph now, kept as a picture that outlives the graph."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygrad_kr.common.files import whole
from tinygrad_kr.diagram.capture import Box, Edge, captured
from tinygrad_kr.diagram.svg import svg
from tinygrad_kr.diagram.text import dot, mermaid
from tinygrad_kr.diagram.words import LANGUAGES, lines
from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.errors import GraphError

__all__ = ["Picture", "draw"]


class Picture:
    """A computation graph as it was when it was drawn; a notebook shows it.

    Made by ``draw``. The graph itself is not held, so the picture keeps no intermediate result in memory, and is the
    same after ``backward()`` has freed the graph. The gradients are the exception: they are read whenever the picture
    is shown, so a picture drawn before ``backward()`` shows the norms of the gradients after it.

    Attributes
    ----------
    boxes : list of Box
        Leaves, inputs and constants in the order of their first use, then the operations in the order they were carried
        out.
    edges : list of Edge
        From an operand to its operation.
    left_out : int
        How many operations are in the graph and, because of the limit, not in the picture.
    """

    def __init__(self, boxes: list[Box], edges: list[Edge], left_out: int, lang: str) -> None:
        self.boxes = boxes
        self.edges = edges
        self.left_out = left_out
        self.lang = lang

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


def draw(tensor: Tensor, names: Mapping[str, Any] | None = None, *, limit: int = 50, lang: str = "en") -> Picture:
    """Draw the computation graph of a Tensor.

    A box for every leaf, with its name, shape and dtype, and the norm of its gradient once there is one; for every
    input, another array or Tensor that an operation was given, and every number, with shape or value where the graph
    kept it; and for every operation, with the shape of its result and the static parameters that differ from their
    defaults. Of a graph that ``backward()`` has freed only the last operation is left, and the box says so: draw before
    ``backward()``, or use ``backward(retain_graph=True)``.

    Parameters
    ----------
    tensor : Tensor
        The result whose graph is drawn, or a leaf.
    names : mapping of str to Tensor or array, optional
        What to call them, such as ``net.params`` or ``{"x": x}``. Default: the Tensors' own names; the graph
        does not hold the Tensors, so the name of one that is gone is gone too.
    limit : int
        At most about so many boxes are drawn, those closest to the result; one more says how many are missing.
    lang : {"en", "ko"}
        The language of the words in the picture.

    Returns
    -------
    Picture

    Raises
    ------
    TypeError
        If it is no Tensor.
    GraphError
        If it was computed from no Tensor that requires a gradient: then nothing was recorded.
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
