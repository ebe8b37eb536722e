"""The repr of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tinygrad_kr.engine.tensor import Tensor
from tinygrad_kr.nn.contents import Branch, Found

__all__ = ["drawn"]


@dataclass
class _Row:
    """A Module's line: what it is, and the parameters that it adds to those above."""

    label: str
    count: int = 0
    notes: list[str] = field(default_factory=list)


def drawn(title: str, contents: Iterable[Found]) -> str:
    """Draw a model as a tree: a line for each Module; the counts add up to the total, for what is shared adds none.

    Parameters
    ----------
    title : str
        Of the model itself.
    contents : iterable of Found
        What it holds.
    """
    rows = {"": _Row(title)}  # by name
    for found in contents:
        value, owner = found.value, rows[found.owner]
        if isinstance(value, Tensor):
            if value.is_leaf:
                owner.notes.append(_tensor_note(found))
                owner.count += value.size if value.requires_grad and not found.shared else 0
        elif isinstance(value, Branch):
            label = f"{'  ' * (found.depth + 1)}{found.attribute}: "
            rows[found.name] = _Row(label + (f"is {found.first or 'the model'}" if found.shared else value.title()))
    top, *rest = rows.values()
    total = sum(row.count for row in rows.values())
    wide = max((len(row.label) for row in rest), default=0)
    digits = max((len(f"{row.count:,}") for row in rest), default=0)
    lines = [top.label + (f": {', '.join([f'{total:,} parameters', *top.notes])}" if total or rest else "")]
    for row in rest:
        numbers = f"{row.count:{digits},}  {', '.join(row.notes)}" if row.notes else ""
        lines.append(f"{row.label:{wide}}  {numbers}".rstrip())
    return "\n".join(lines)


def _tensor_note(found: Found) -> str:
    if found.shared:
        return f"{found.attribute} is {found.first}"
    return f"{found.attribute} {found.value.shape}" + (", fixed" if not found.value.requires_grad else "")
