"""What was measured, for people (a table, a picture) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pyperf

from benchmarks.speed.peers import OURS, PEERS
from benchmarks.speed.runner import MEASURES, Comparison, Plan, Table

STEPS = {"second": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")), "byte": ((2**20, "MiB"), (2**10, "KiB"))}
HEADER = ("peer", "ours", "theirs", "min", "median", "max", "target")
STATED = ("cpu_model_name", "cpu_count", "cpu_affinity", "platform", "load_avg_1min", "python_version", "date")
QUIET = 0.5  # programs running on average in the minute before


def machine() -> dict[str, Any]:
    """What pyperf knows about the machine, the system and the interpreter."""
    return dict(pyperf.Run([1.0]).get_metadata())


def head(plan: Plan, versions: Mapping[str, str], missing: Mapping[str, str]) -> str:
    """State what the numbers depend on, and who is missing."""
    known = machine()
    lines = [f"{name.replace('_', ' ')}: {known[name]}" for name in STATED if name in known]
    lines.append(f"threads: {plan.threads}, pairs: {plan.rounds}, seconds per batch: {plan.batch_seconds:g}")
    lines.append("versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))
    lines += [f"skipped: {PEERS[name].title}: {reason}" for name, reason in missing.items()]
    if known.get("load_avg_1min", 0) > QUIET:
        lines.append("note: the machine is busy; threads that wait for each other make such numbers worthless")
    return "\n".join(lines)


def text(table: Table) -> str:
    """Lay out one table; ratios are ours over theirs, below 1 where this package is ahead."""
    unit = MEASURES[table.workload.measure].unit
    lines = ["", ", ".join(filter(None, (table.workload.title, table.dtype)))]
    if table.comparisons:
        lines += aligned([HEADER, *(row(comparison, unit) for comparison in table.comparisons)])
    titles = {peer.name: peer.title for peer in (OURS, *PEERS.values())}
    return "\n".join(lines + [f"skipped: {titles[name]}: {reason}" for name, reason in table.skipped.items()])


def aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Names and verdicts to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells, target in rows:
        numbers = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=False)]
        yield "  ".join([name.ljust(widths[0]), *numbers, target]).rstrip()


def row(comparison: Comparison, unit: str) -> tuple[str, ...]:
    ours, theirs = (median(side) for side in zip(*comparison.pairs, strict=True))
    ratios = comparison.ratios
    return (
        comparison.peer.title,
        quantity(ours, unit),
        quantity(theirs, unit),
        *(f"{ratio:.2f}" for ratio in (min(ratios), median(ratios), max(ratios))),
        verdict(comparison),
    )


def quantity(value: float, unit: str) -> str:
    """Write three digits with a suitable unit."""
    scale, name = next((step for step in STEPS[unit] if value >= step[0]), STEPS[unit][-1])
    return f"{value / scale:#.3g}".rstrip(".") + f" {name}"


def verdict(comparison: Comparison) -> str:
    if comparison.target is None:
        return ""
    met = median(comparison.ratios) <= comparison.target
    return f"<= {comparison.target:.2f} {'met' if met else 'missed'}"


def save_json(tables: Sequence[Table], plan: Plan, versions: Mapping[str, str], path: Path) -> None:
    """Write a suite that ``python -m pyperf`` reads: for every pair of peers, ours and theirs, value by value."""
    suite = pyperf.BenchmarkSuite(list(benchmarks(tables, plan, versions)))
    suite.dump(str(path), replace=True)


def benchmarks(tables: Sequence[Table], plan: Plan, versions: Mapping[str, str]) -> Iterator[pyperf.Benchmark]:
    common = machine() | {f"{name}_version": version for name, version in versions.items()} | {"threads": plan.threads}
    for table in tables:
        unit = MEASURES[table.workload.measure].unit
        case = "/".join(filter(None, (table.workload.name, table.dtype)))
        for comparison in table.comparisons:
            peer = comparison.peer.name
            names = (f"{case}/{OURS.name} beside {peer}", f"{case}/{peer}")
            for name, values in zip(names, zip(*comparison.pairs, strict=True), strict=True):
                metadata = common | {"name": name, "unit": unit}
                yield pyperf.Benchmark([pyperf.Run(values, metadata=metadata, collect_metadata=False)])


def save_plot(tables: Sequence[Table], path: Path) -> None:
    """Draw the median ratios, with lines from the smallest to the largest."""
    from matplotlib.figure import Figure

    tables = [table for table in tables if table.comparisons]
    peers = list({c.peer.name: c.peer for table in tables for c in table.comparisons}.values())
    figure = Figure(figsize=(9, 1.5 + 0.14 * len(tables) * (len(peers) + 1)), layout="constrained")
    axes = figure.subplots()
    for offset, peer in enumerate(peers):
        points = [
            (row + (offset + 0.5) / (len(peers) + 1) - 0.5, c.ratios)
            for row, table in enumerate(tables)
            for c in table.comparisons
            if c.peer == peer
        ]
        middles = [median(ratios) for _, ratios in points]
        spans = [
            [middle - min(ratios) for middle, (_, ratios) in zip(middles, points, strict=True)],
            [max(ratios) - middle for middle, (_, ratios) in zip(middles, points, strict=True)],
        ]
        axes.errorbar(middles, [y for y, _ in points], xerr=spans, fmt="o", markersize=3, label=peer.title)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel(f"{OURS.name} / peer: left of the line, {OURS.name} needs less")
    axes.set_yticks(range(len(tables)), [f"{table.workload.name} {table.dtype}" for table in tables])
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=4, fontsize="small")
    figure.savefig(path, dpi=150)
