"""A picture of a computation graph: as SVG in a notebook or a file, or as text for Mermaid and Graphviz."""

from tinygrad_kr.diagram.picture import Picture, draw

__all__ = ["Picture", "draw"]
