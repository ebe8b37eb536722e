"""The figure of all plots. Importing this module needs matplotlib."""

from __future__ import annotations

import io

from matplotlib import figure
from matplotlib.backends.backend_agg import FigureCanvasAgg

__all__ = ["Figure"]


class Figure(figure.Figure):
    """A figure without a window, which a notebook shows whether or not ``matplotlib.pyplot`` was imported."""

    def __init__(self, size: tuple[float, float]) -> None:
        super().__init__(figsize=size, layout="constrained")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()
