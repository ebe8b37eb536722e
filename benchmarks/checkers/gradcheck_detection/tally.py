"""What was judged, and how: counted, with confidence intervals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import sqrt
from statistics import median
from typing import Any, NamedTuple

from benchmarks.checkers.gradcheck_detection.trials import BY_NAME, Result

NORMAL_95 = 1.959963984540054  # the quantile of the normal distribution for 95 %
ACCEPTED = {"PASS": ("PASS",), "KINK": ("PASS", "KINK"), "FAIL": ("FAIL",)}


class Rate(NamedTuple):
    """So many of so many."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.total)


def wilson(hits: int, total: int, z: float = NORMAL_95) -> tuple[float, float]:
    """Return Wilson's confidence interval of a proportion (Wilson 1927)."""
    if not total:
        return 0.0, 1.0
    p, shrink = hits / total, 1 + z * z / total
    middle = (p + z * z / (2 * total)) / shrink
    half = z / shrink * sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


class Key(NamedTuple):
    """What is counted apart."""

    kind: str
    case: str
    operation: str
    checker: str
    expected: str
    verdict: str

    @property
    def fault(self) -> str:
        return BY_NAME[self.case].fault if self.kind == "mutant" else self.case


@dataclass
class Tally:
    """Verdicts, places named, what checks cost, and what our own checkers got wrong."""

    verdicts: Counter[Key] = field(default_factory=Counter)
    located: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    costs: defaultdict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    surprises: list[dict[str, Any]] = field(default_factory=list)

    def add(self, results: Iterable[Result]) -> None:
        for result in results:
            kind, checker, answer = result.kind, result.checker, result.answer
            key = Key(kind, result.case, result.operation, checker, result.expected, answer.verdict)
            self.verdicts[key] += 1
            self.costs[kind, checker].append((answer.evaluations, answer.seconds))
            if result.located is not None:
                self.located[kind, checker, result.located] += 1
            if checker.startswith("ours") and answer.verdict not in (*ACCEPTED[result.expected], "KINK"):
                self.surprises.append({**key._asdict(), "seed": result.seed, "reason": answer.reason})

    def rate(self, verdict: str, wanted: Callable[[Key], bool]) -> Rate:
        """Return how many of the checks that are ``wanted`` gave this verdict."""
        chosen = [(key, count) for key, count in self.verdicts.items() if wanted(key)]
        return Rate(sum(count for key, count in chosen if key.verdict == verdict), sum(count for _, count in chosen))

    def as_expected(self, fault: str, checker: str) -> Rate:
        """Return how many mutants of a fault got the verdict they should get."""
        chosen = [
            (key, count)
            for key, count in self.verdicts.items()
            if (key.kind, key.fault, key.checker) == ("mutant", fault, checker)
        ]
        hits = sum(count for key, count in chosen if key.verdict in ACCEPTED[key.expected])
        return Rate(hits, sum(count for _, count in chosen))

    def named(self, kind: str, checker: str) -> Rate:
        right, wrong = self.located[kind, checker, True], self.located[kind, checker, False]
        return Rate(right, right + wrong)

    def cost(self, kind: str, checker: str) -> tuple[float, float]:
        """Return the median number of forward evaluations and of seconds."""
        costs = self.costs[kind, checker]
        return (median(n for n, _ in costs), median(s for _, s in costs)) if costs else (float("nan"), float("nan"))

    def false_alarms(self) -> list[dict[str, Any]]:
        return [s for s in self.surprises if s["expected"] == "PASS" and s["verdict"] == "FAIL"]

    def raw(self) -> list[dict[str, Any]]:
        return [{**key._asdict(), "count": count} for key, count in sorted(self.verdicts.items())]
