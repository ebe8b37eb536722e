"""Compare this package with its peers, workload by workload, once all are known to compute the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from benchmarks.speed.peers import OURS, Peer, by_hand
from benchmarks.speed.processes import PeerFailed, Process, import_seconds
from benchmarks.speed.workloads import Answer, Workload

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}

Meter = Callable[[], float]  # measures once: seconds, or bytes


class Mismatch(Exception):
    """A peer computes something else. A benchmark of different computations is worthless, so the run stops."""


@dataclass(frozen=True)
class Plan:
    """How to measure."""

    threads: int = 2
    rounds: int = 15
    batch_seconds: float = 0.1
    warm_up_seconds: float = 0.08  # longer than the other side's BLAS threads spin before they sleep


@dataclass(frozen=True)
class Comparison:
    """Pairs of one measurement of this package and one of a peer."""

    peer: Peer
    pairs: list[tuple[float, float]]
    target: float | None

    @property
    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in self.pairs]


@dataclass(frozen=True)
class Table:
    """What was measured for one workload and dtype, and which peers could not, and why."""

    workload: Workload
    dtype: str
    comparisons: list[Comparison] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


class Session:
    """The processes of this package and of its peers, which live as long as the ``with`` block."""

    def __init__(self, peers: Sequence[Peer], plan: Plan) -> None:
        self.plan = plan
        self.processes: dict[str, Process] = {}
        self.peers: list[Peer] = []
        self.missing: dict[str, str] = {}
        self._stack = ExitStack()
        self._start(OURS)
        for peer in peers:
            try:
                self._start(peer)
                self.peers.append(peer)
            except PeerFailed as failure:
                self.missing[peer.name] = str(failure)

    def _start(self, peer: Peer) -> None:
        self.processes[peer.name] = self._stack.enter_context(Process(peer, self.plan.threads))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def versions(self) -> dict[str, str]:
        """Of everything that takes part."""
        return {name: text for process in self.processes.values() for name, text in process.versions.items()}

    def compare(self, workload: Workload, dtype: str, progress: Callable[[str], None]) -> Table:
        """Measure one workload on this package and each peer in turn."""
        table = Table(workload, dtype)
        measure = MEASURES[workload.measure]
        reference = reference_answer(workload, dtype) if workload.problem else None

        def meter(peer: Peer) -> Meter | None:
            try:
                if reference:
                    answer = self.processes[peer.name].ask("build", workload, dtype)
                    require_same(f"{peer.title} on {workload.name} in {dtype}", answer, reference)
                return measure.meter(self, peer, workload, dtype)
            except PeerFailed as failure:
                table.skipped[peer.name] = str(failure)
                return None

        ours = meter(OURS)
        for peer in self.peers:
            progress(f"{workload.name} {dtype} {peer.name}")
            if ours and (theirs := meter(peer)):
                pairs = list(paired(ours, theirs, measure.rounds(self.plan.rounds)))
                table.comparisons.append(Comparison(peer, pairs, self._target(table, peer)))
        return table

    def _target(self, table: Table, peer: Peer) -> float | None:
        """The targets are stated for float32 and two threads."""
        stated = table.dtype == "float32" and self.plan.threads == 2
        return table.workload.targets.get(peer.name) if stated else None


def paired(ours: Meter, theirs: Meter, rounds: int) -> Iterator[tuple[float, float]]:
    """Measure in turn, and change who begins from pair to pair: what drifts hits both alike."""
    for i in range(rounds):
        if i % 2:
            second, first = theirs(), ours()
            yield first, second
        else:
            yield ours(), theirs()


def reference_answer(workload: Workload, dtype: str) -> Answer:
    """Compute a step by hand in float64, from the numbers that ``dtype`` can hold."""
    problem = workload.draw(dtype).astype("float64")
    loss, gradients = by_hand.PROGRAMS[workload.program](problem.parameters, *problem.batches[0])
    return Answer(loss, gradients, {dtype})


def require_same(who: str, answer: Answer, reference: Answer) -> None:
    """Raise unless the dtype, the loss and every gradient are those of the reference."""
    (dtype,) = reference.dtypes
    if answer.dtypes != {dtype}:
        raise Mismatch(f"{who}: its parameters have become {', '.join(sorted(answer.dtypes))}")
    names = ["the loss", *(f"the gradient of parameter {i}" for i in range(len(reference.gradients)))]
    found, expected = (answer.loss, *answer.gradients), (reference.loss, *reference.gradients)
    for name, value, right in zip(names, found, expected, strict=True):
        difference = relative_difference(value, right)
        if not difference <= TOLERANCE[dtype]:
            raise Mismatch(f"{who}: {name} is off by {difference:.1e} of its norm; {TOLERANCE[dtype]:.0e} is allowed")


def relative_difference(value: Any, right: Any) -> float:
    """Return the norm of the difference over the norm of what is right; infinity for another shape."""
    if np.shape(value) != np.shape(right):
        return np.inf
    return float(np.linalg.norm(value - right) / np.linalg.norm(right))


def step_seconds(session: Session, peer: Peer, workload: Workload, dtype: str) -> Meter:
    """Time batches of steps, each of about the seconds that the plan asks for."""
    process, plan = session.processes[peer.name], session.plan
    loops = calibrated(lambda loops: process.ask("run", loops, 0.0), plan.batch_seconds)
    return lambda: process.ask("run", loops, plan.warm_up_seconds) / loops


def calibrated(run: Callable[[int], float], seconds: float) -> int:
    """Double the number of loops until it takes half of the seconds, then scale."""
    loops = 1
    while (taken := run(loops)) < seconds / 2:
        loops *= 2
    return max(1, round(loops * seconds / taken))


def added_bytes(session: Session, peer: Peer, workload: Workload, dtype: str) -> Meter:
    """Run once in a fresh process, and ask for the peak of its memory."""

    def meter() -> float:
        with Process(peer, session.plan.threads) as process:
            return float(process.ask("added_memory", workload, dtype))

    return meter


def import_time(session: Session, peer: Peer, workload: Workload, dtype: str) -> Meter:
    """Import in a fresh process, after once untimed to have the files in memory."""
    import_seconds(peer, session.plan.threads)
    return lambda: import_seconds(peer, session.plan.threads)


class Measure(NamedTuple):
    """A kind of measurement, its unit, and how many pairs it takes out of how many rounds."""

    meter: Callable[[Session, Peer, Workload, str], Meter]
    unit: str
    rounds: Callable[[int], int]


def fewer(rounds: int) -> int:
    """A fresh process for each measurement takes long."""
    return max(1, rounds // 3)


MEASURES = {
    "time": Measure(step_seconds, "second", lambda rounds: rounds),
    "memory": Measure(added_bytes, "byte", fewer),
    "import": Measure(import_time, "second", fewer),
}
