"""Render boxes and edges as text for Mermaid and Graphviz."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinygrad_kr.diagram.capture import Box, Edge

__all__ = ["dot", "mermaid"]

# Markup in Mermaid or Markdown: also a list at the start of a line, emphasis around a word.
UNSAFE = re.compile(r"[^\w .,()=\-]|[.\-](?=\s)|(?<![^\W_])_|_(?![^\W_])")
MERMAID = {
    "leaf": '(["{}"])',
    "input": '[/"{}"/]',
    "constant": '("{}")',
    "operation": '["{}"]',
    "rest": '{{{{"{}"}}}}',
}
DOT = {
    "leaf": 'shape=box, style="rounded,filled", fillcolor="#e3f0fb"',
    "input": 'shape=box, style=filled, fillcolor="#e6f4e8"',
    "constant": 'shape=box, style="dashed,filled", fillcolor="#f4f5f6"',
    "operation": 'shape=box, style=filled, fillcolor="#fff4e0"',
    "rest": "shape=plaintext",
}


def mermaid(boxes: Sequence[Box], edges: Sequence[Edge], texts: Sequence[Sequence[str]]) -> str:
    """Return a Mermaid flowchart."""
    rows = ["flowchart TD"]
    for i, (box, lines) in enumerate(zip(boxes, texts, strict=True)):
        rows.append(f"  n{i}" + MERMAID[box.kind].format("<br/>".join(map(_for_mermaid, lines))))
    for start, end, label in edges:
        rows.append(f"  n{start} -->" + (f'|"{_for_mermaid(label)}"|' if label else "") + f" n{end}")
    return "\n".join(rows)


def dot(boxes: Sequence[Box], edges: Sequence[Edge], texts: Sequence[Sequence[str]]) -> str:
    """Return a Graphviz digraph."""
    rows = ["digraph {", '  node [fontname="monospace", fontsize=11];', "  edge [fontsize=9];"]
    for i, (box, lines) in enumerate(zip(boxes, texts, strict=True)):
        pen = ", penwidth=2" if box.result else ""
        rows.append(f'  n{i} [label="{_for_dot(lines)}", {DOT[box.kind]}{pen}];')
    for start, end, label in edges:
        rows.append(f"  n{start} -> n{end}" + (f' [label="{_for_dot([label])}"]' if label else "") + ";")
    return "\n".join([*rows, "}"])


def _for_mermaid(text: str) -> str:
    return UNSAFE.sub(lambda found: f"#{ord(found[0])};", text)


def _for_dot(lines: Sequence[str]) -> str:
    return "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
