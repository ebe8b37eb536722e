"""Place boxes in layers, with few crossings and straight edges (Sugiyama et al. 1981)."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from tinygrad_kr.diagram.capture import Edge

__all__ = ["Layout", "laid_out"]

GAP = 26.0
"""Between neighbours in a layer."""
BEND_WIDTH = 12.0
MOST_BENDS = 4000
"""An edge that crosses layers bends around the boxes there; beyond so many bends in all, edges go straight."""
SWEEPS = 12


@dataclass
class Layout:
    """Positions; those of boxes come first, then those of bends.

    Attributes
    ----------
    layer : list of int
        0 at the top.
    x : list of float
        The middle.
    ways : list of list of int
        For each edge the boxes and bends on it, from its start to its end.
    """

    layer: list[int]
    x: list[float] = field(default_factory=list)
    ways: list[list[int]] = field(default_factory=list)


def laid_out(widths: Sequence[float], edges: Sequence[Edge]) -> Layout:
    """Return positions of boxes with these widths; every edge starts at a box before that at its end."""
    layout = Layout(_layers(len(widths), edges))
    breadth = list(widths)
    bends = sum(layout.layer[end] - layout.layer[start] - 1 for start, end, _ in edges)
    shared: dict[tuple[int, int], int] = {}  # edges from one box run together until they have to part
    for start, end, _ in edges:
        way = [start]
        for level in range(layout.layer[start] + 1, layout.layer[end]) if bends <= MOST_BENDS else ():
            if (start, level) not in shared:
                shared[start, level] = len(breadth)
                breadth.append(BEND_WIDTH)
                layout.layer.append(level)
            way.append(shared[start, level])
        layout.ways.append([*way, end])

    rows: list[list[int]] = [[] for _ in range(max(layout.layer) + 1)]
    for item, level in enumerate(layout.layer):
        rows[level].append(item)
    links = {pair for way in layout.ways for pair in pairwise(way)}
    above: list[list[int]] = [[] for _ in breadth]
    below: list[list[int]] = [[] for _ in breadth]
    for upper, lower in sorted(links):
        above[lower].append(upper)
        below[upper].append(lower)
    _order(rows, above, below)
    layout.x = _places(rows, breadth, above, below, len(widths))
    return layout


def _layers(count: int, edges: Sequence[Edge]) -> list[int]:
    """Return the layer of each box: the longest path to the result, counted from the bottom."""
    depth = [0] * count
    for start, end, _ in sorted(edges, key=lambda edge: -edge.end):  # the uses of a box before the box
        depth[start] = max(depth[start], depth[end] + 1)
    deepest = max(depth)
    return [deepest - d for d in depth]


def _order(rows: list[list[int]], above: list[list[int]], below: list[list[int]]) -> None:
    """Sort each row by the mean place of the neighbours, downwards and upwards in turn; keep the best."""
    place: dict[int, float] = {item: i for row in rows for i, item in enumerate(row)}
    best, fewest = [list(row) for row in rows], _crossings(rows, above)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        neighbours = above if sweep % 2 else below
        for row in rows if sweep % 2 else reversed(rows):
            means = {item: _mean([place[n] for n in neighbours[item]], place[item]) for item in row}
            row.sort(key=means.__getitem__)
            place.update({item: i for i, item in enumerate(row)})
        if (crossings := _crossings(rows, above)) < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _crossings(rows: list[list[int]], above: list[list[int]]) -> int:
    """Return how often edges between neighbouring rows cross; those without bends over several rows are not counted."""
    total = 0
    for upper, lower in pairwise(rows):
        place = {item: i for i, item in enumerate(upper)}
        ends: list[int] = []  # sorted, of the edges so far
        for item in lower:
            arriving = [place[n] for n in above[item] if n in place]
            total += sum(len(ends) - bisect_right(ends, end) for end in arriving)
            for end in arriving:
                insort(ends, end)
    return total


def _places(
    rows: list[list[int]], breadth: list[float], above: list[list[int]], below: list[list[int]], boxes: int
) -> list[float]:
    """Return the x of each item: near its neighbours, in the order of its row, without overlap."""
    offsets = [
        list(accumulate(((breadth[a] + breadth[b]) / 2 + GAP for a, b in pairwise(row)), initial=0.0)) for row in rows
    ]
    x = [0.0] * len(breadth)
    for row, apart in zip(rows, offsets, strict=True):
        for item, offset in zip(row, apart, strict=True):
            x[item] = offset - apart[-1] / 2
    both = [up + down for up, down in zip(above, below, strict=True)]
    order = list(zip(rows, offsets, strict=True))
    for sweep in range(SWEEPS):
        for row, apart in order if sweep % 2 else reversed(order):
            wanted = [
                _mean([x[n] for n in both[item]], x[item]) - offset for item, offset in zip(row, apart, strict=True)
            ]
            weights = [1.0 if item < boxes else 4.0 for item in row]  # long edges stay straight
            for item, value, offset in zip(row, _ascending(wanted, weights), apart, strict=True):
                x[item] = value + offset
    left = min(value - width / 2 for value, width in zip(x, breadth, strict=True))
    return [value - left for value in x]


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _ascending(values: list[float], weights: list[float]) -> list[float]:
    """Return the ascending sequence that is closest to some values in least squares: pool neighbours that disagree."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(values, weights, strict=True):
        count = 1
        while blocks and blocks[-1][0] > value:
            mean, heavy, more = blocks.pop()
            value, weight, count = (mean * heavy + value * weight) / (heavy + weight), heavy + weight, count + more
        blocks.append((value, weight, count))
    return [mean for mean, _, count in blocks for _ in range(count)]
