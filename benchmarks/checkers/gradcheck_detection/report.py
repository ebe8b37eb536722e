"""What came of it: Markdown for people, a picture, and JSON with all counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.checkers.gradcheck_detection.checkers import Checker
from benchmarks.checkers.gradcheck_detection.difficult import GROUPS
from benchmarks.checkers.gradcheck_detection.formulas import MUTANTS
from benchmarks.checkers.gradcheck_detection.mutants import SIZES, UNIFORM_SIZES
from benchmarks.checkers.gradcheck_detection.tally import Rate, Tally
from benchmarks.speed.report import STATED, machine

FAULTS = list(dict.fromkeys(mutant.fault for mutant in MUTANTS))
RIGHT = ("ordinary", "difficult")


def markdown(tally: Tally, checkers: Sequence[Checker], head: Iterable[str]) -> str:
    titles = [checker.title for checker in checkers]
    return "\n".join(
        [
            "# Which wrong gradients do gradient checkers find?",
            "",
            *(f"- {line}" for line in head),
            *section(
                "Faults found",
                "How often a broken gradient was found, with 95 % intervals (Wilson). At a kink, a value within the "
                "subgradient interval is allowed: there it is how often it was accepted.",
            ),
            *table(["fault", "trials", *titles], fault_rows(tally, checkers)),
            *section(
                "Right gradients",
                "FAIL, which is a false alarm, with the upper end of its 95 % interval, and INCONCLUSIVE, in percent.",
            ),
            *table(["inputs", "checks", *titles], right_rows(tally, checkers)),
            *section(
                "Cost, and the wrong element",
                "Medians over right gradients at ordinary inputs; and how often a single wrong element, if found, was "
                "named.",
            ),
            *table(["checker", "forward evaluations", "milliseconds", "element named"], cost_rows(tally, checkers)),
            *section("Large arrays", "exp of 10,000 elements, whose gradient is wrong by 1e-3 at one of them."),
            *table(
                ["checker", "seeds", "found", "element named", "most forward evaluations", "milliseconds"],
                large_rows(tally, checkers),
            ),
            "",
        ]
    )


def section(title: str, text: str) -> list[str]:
    return ["", f"## {title}", "", text, ""]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (header, ["---"] * len(header), *rows):
        yield f"| {' | '.join(row)} |"


def fault_rows(tally: Tally, checkers: Sequence[Checker]) -> Iterator[list[str]]:
    for fault in FAULTS:
        rates = [tally.as_expected(fault, checker.name) for checker in checkers]
        if total := max(rate.total for rate in rates):
            yield [fault, str(total), *map(with_interval, rates)]


def with_interval(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.value:.2f} ({low:.2f} to {high:.2f})" if rate.total else "not tried"


def right_rows(tally: Tally, checkers: Sequence[Checker]) -> Iterator[list[str]]:
    kinds = [
        ("ordinary", "", "ordinary"),
        ("difficult", None, "difficult, all"),
        *(("difficult", g, g) for g in GROUPS),
    ]
    for kind, group, title in kinds:
        pairs = []
        for checker in checkers:
            wanted = lambda key, name=checker.name: (
                key.kind == kind and key.checker == name and group in (None, key.case)  # noqa: B023  used here only
            )
            pairs.append((tally.rate("FAIL", wanted), tally.rate("INCONCLUSIVE", wanted)))
        if total := max(fails.total for fails, _ in pairs):
            yield [title, f"{total:,}", *(percent(*pair) for pair in pairs)]


def percent(fails: Rate, inconclusive: Rate) -> str:
    if not fails.total:
        return "not tried"
    return f"{100 * fails.value:.2f} (< {100 * fails.interval[1]:.2f}), {100 * inconclusive.value:.2f}"


def cost_rows(tally: Tally, checkers: Sequence[Checker]) -> Iterator[list[str]]:
    for checker in checkers:
        evaluations, seconds = tally.cost("ordinary", checker.name)
        yield [checker.title, f"{evaluations:g}", f"{1e3 * seconds:.2f}", share(tally.named("mutant", checker.name))]


def large_rows(tally: Tally, checkers: Sequence[Checker]) -> Iterator[list[str]]:
    for checker in checkers:
        if not (costs := tally.costs["large", checker.name]):
            continue
        found = tally.rate("FAIL", lambda key, name=checker.name: key.kind == "large" and key.checker == name)
        yield [
            checker.title,
            str(found.total),
            with_interval(found),
            share(tally.named("large", checker.name)),
            f"{max(evaluations for evaluations, _ in costs):,}",
            f"{1e3 * tally.cost('large', checker.name)[1]:.1f}",
        ]


def share(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % of {rate.total:,}" if rate.total else "none found"


def stated(versions: dict[str, str], missing: dict[str, str]) -> list[str]:
    """State what the numbers depend on, and who is missing."""
    known = machine()
    lines = [f"{name.replace('_', ' ')}: {known[name]}" for name in STATED if name in known]
    lines.append("versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))
    return lines + [f"skipped: {title}: {reason}" for title, reason in missing.items()]


def save(folder: Path, tally: Tally, checkers: Sequence[Checker], head: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "detection.md").write_text(markdown(tally, checkers, head))
    counts = {"stated": head, "counts": tally.raw(), "surprises": tally.surprises}
    (folder / "detection.json").write_text(json.dumps(counts, indent=1))
    if find_spec("matplotlib") is not None and any(key.kind == "mutant" for key in tally.verdicts):
        save_plot(folder / "detection.png", tally, checkers)


def save_plot(path: Path, tally: Tally, checkers: Sequence[Checker]) -> None:
    """Draw the rates of all faults as a heat map, and those of one wrong element against the size of its error."""
    from matplotlib.figure import Figure

    faults = [fault for fault in FAULTS if any(tally.as_expected(fault, checker.name).total for checker in checkers)]
    figure = Figure(figsize=(13, 1.5 + 0.2 * len(faults)), layout="constrained")
    heat, element, uniform = figure.subplot_mosaic([["heat", "element"], ["heat", "uniform"]]).values()
    rates = [[tally.as_expected(fault, checker.name).value for checker in checkers] for fault in faults]
    image = heat.imshow(rates, vmin=0, vmax=1, aspect="auto", cmap="viridis")
    heat.set_xticks(range(len(checkers)), [checker.title for checker in checkers], rotation=45, ha="right")
    heat.set_yticks(range(len(faults)), faults, fontsize="small")
    figure.colorbar(image, ax=heat, label="verdict as expected")
    for axes, sizes, what in ((element, SIZES, "one element"), (uniform, UNIFORM_SIZES, "all elements")):
        for checker in checkers:
            found = [tally.as_expected(f"{what} {size:.0e}".replace("e-0", "e-"), checker.name).value for size in sizes]
            axes.plot(sizes, found, "o-", markersize=4, label=checker.title)
        axes.set_xscale("log")
        axes.set_xlabel(f"relative error of {what}")
        axes.set_ylabel("found")
        axes.set_ylim(-0.05, 1.05)
    figure.legend(*element.get_legend_handles_labels(), loc="outside upper center", ncols=5, fontsize="small")
    figure.savefig(path, dpi=130)
