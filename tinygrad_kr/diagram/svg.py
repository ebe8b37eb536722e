"""Render boxes and edges as SVG, with inputs at the top and the result at the bottom."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from xml.sax.saxutils import escape

from tinygrad_kr.diagram.capture import Box, Edge
from tinygrad_kr.diagram.layout import laid_out

__all__ = ["svg"]

SIZE, LINE, PADDING, MARGIN = 12, 16, 10, 12
LABEL_SIZE = 10
HEAD = 8
"""How broad an arrowhead is."""
BETWEEN = 46
"""Height between two layers."""
LABELLED = 6
"""An operation with more operands is drawn without their names."""
STYLE = {
    "leaf": 'fill="#e3f0fb" stroke="#1f6fb4" rx="10"',
    "input": 'fill="#e6f4e8" stroke="#2b8a3e"',
    "constant": 'fill="#f4f5f6" stroke="#5c636a" stroke-dasharray="4 3"',
    "operation": 'fill="#fff4e0" stroke="#b35c0a"',
    "rest": 'fill="#ffffff" stroke="#5c636a" stroke-dasharray="1 3"',
}
WEIGHT = ' font-weight="bold"'
INK, PALE = "#1b1f23", "#7a828a"


def svg(boxes: Sequence[Box], edges: Sequence[Edge], texts: Sequence[Sequence[str]]) -> str:
    """Return an SVG document that stands on its own."""
    arriving: list[list[int]] = [[] for _ in boxes]
    for i, edge in enumerate(edges):
        arriving[edge.end].append(i)
    widths = [
        max(*(_width(line, SIZE) for line in lines), sum(_shares(edges, arriving[i]))) + 2 * PADDING
        for i, lines in enumerate(texts)
    ]
    heights = [LINE * len(lines) + PADDING for lines in texts]
    layout = laid_out(widths, edges)

    row_height = [0] * (max(layout.layer) + 1)
    for height, level in zip(heights, layout.layer, strict=False):
        row_height[level] = max(row_height[level], height)
    tops = [MARGIN + sum(row_height[:level]) + BETWEEN * level for level in range(len(row_height))]
    x = [MARGIN + value for value in layout.x]
    right = max(value + (widths[i] / 2 if i < len(boxes) else 0) for i, value in enumerate(x)) + MARGIN
    bottom = tops[-1] + row_height[-1] + MARGIN

    def middle(item: int) -> float:
        return tops[layout.layer[item]] + row_height[layout.layer[item]] / 2

    parts = []
    for end, incoming in enumerate(arriving):
        ports = _ports(_shares(edges, incoming), widths[end], x[end], [x[layout.ways[i][-2]] for i in incoming])
        for i, port in zip(incoming, ports, strict=True):
            way = layout.ways[i]
            top = middle(end) - heights[end] / 2
            points = [(x[way[0]], middle(way[0]) + heights[way[0]] / 2)]
            for bend in way[1:-1]:  # straight through the layer
                level = layout.layer[bend]
                points += [(x[bend], tops[level]), (x[bend], tops[level] + row_height[level])]
            parts.append(_curve([*points, (port, top)], edges[i].label if len(incoming) <= LABELLED else ""))
    for i, (box, lines) in enumerate(zip(boxes, texts, strict=True)):
        parts.append(_box(box, lines, x[i] - widths[i] / 2, middle(i) - heights[i] / 2, widths[i], heights[i]))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{right:.0f}" height="{bottom:.0f}" '
            f'viewBox="0 0 {right:.0f} {bottom:.0f}" font-family="ui-monospace, Menlo, Consolas, monospace" '
            f'font-size="{SIZE}">',
            "<title>computation graph</title>",
            *parts,
            "</svg>",
        ]
    )


def _width(text: str, size: float) -> float:
    """Return the width of a text in a monospaced font, where Hangul is twice as wide as Latin."""
    return 0.61 * size * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _shares(edges: Sequence[Edge], incoming: Sequence[int]) -> list[float]:
    """Return the width that each edge needs on the upper side of its box, for arrow and label."""
    if len(incoming) > LABELLED:
        return [HEAD] * len(incoming)
    return [_width(edges[i].label, LABEL_SIZE) + 2 * HEAD for i in incoming]


def _ports(shares: Sequence[float], width: float, x: float, sources: Sequence[float]) -> list[float]:
    """Return the x at which each edge reaches the upper side of its box, in the order of their sources."""
    scale = (width - 2 * PADDING) / sum(shares) if shares else 1.0
    ports, left = [0.0] * len(shares), x - width / 2 + PADDING
    for i in sorted(range(len(shares)), key=sources.__getitem__):
        ports[i] = left + (scale - 1) * shares[i] / 2 + HEAD  # its label is to the right of it
        left += scale * shares[i]
    return ports


def _curve(points: Sequence[tuple[float, float]], label: str) -> str:
    """Return an edge with its arrowhead; every piece leaves and arrives vertically."""
    (x, y), *others = points
    end_x, end_y = others[-1]
    others[-1] = end_x, end_y - 6
    path = f"M{x:.1f} {y:.1f}"
    for next_x, next_y in others:
        half = (y + next_y) / 2
        path += f" C{x:.1f} {half:.1f} {next_x:.1f} {half:.1f} {next_x:.1f} {next_y:.1f}"
        x, y = next_x, next_y
    head = f"M{end_x:.1f} {end_y:.1f} l-4 -7 h8 z"
    text = (
        f'<text x="{end_x + 6:.1f}" y="{end_y - 5:.1f}" font-size="{LABEL_SIZE}" fill="{PALE}">{escape(label)}</text>'
        if label
        else ""
    )
    return f'<path d="{path}" fill="none" stroke="{PALE}"/><path d="{head}" fill="{PALE}"/>{text}'


def _box(box: Box, lines: Sequence[str], left: float, top: float, width: float, height: float) -> str:
    """Return a box with its lines; the first is its title."""
    thick = ' stroke-width="2.5"' if box.result else ""
    tip = f"<title>{escape(box.where)}</title>" if box.where else ""
    rows = "".join(
        f'<text x="{left + width / 2:.1f}" y="{top + PADDING / 2 + LINE * i + LINE - 4:.1f}" text-anchor="middle" '
        f'fill="{INK}"{"" if i else WEIGHT}>{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    return (
        f'<g class="{box.kind}">{tip}<rect x="{left:.1f}" y="{top:.1f}" width="{math.ceil(width)}" height="{height}" '
        f"{STYLE[box.kind]}{thick}/>{rows}</g>"
    )
