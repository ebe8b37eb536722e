"""Show where the time of this package's own training step goes: ``python -m benchmarks.speed.profile_step 784-100-10``.

The four phases of a step are timed as they are. Then the forward function and the rules of every primitive are timed
where they run. What the phases take beyond them is the engine: recording on the way forward, walking on the way back.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Any

from benchmarks.speed.peers import ours
from benchmarks.speed.report import quantity
from benchmarks.speed.worker import RATE
from benchmarks.speed.workloads import WORKLOADS, Workload
from tinygrad_kr import Primitive, primitives

Spent = dict[Any, float]  # seconds in one step, by what they were spent on
NAMES = [name for name, workload in WORKLOADS.items() if workload.measure == "time"]


def catalogue() -> Iterator[Primitive]:
    """Every primitive once, under whatever names its module knows it."""
    modules = [module for module in vars(primitives).values() if isinstance(module, ModuleType)]
    yield from {id(p): p for module in modules for p in vars(module).values() if isinstance(p, Primitive)}.values()


class Stopwatch:
    """Adds up the seconds spent in the functions that it watches, by name and phase, and counts their calls."""

    def __init__(self) -> None:
        self.phase = ""
        self.seconds: Spent = defaultdict(float)
        self.calls: dict[Any, int] = defaultdict(int)
        self._elsewhere = 0.0  # spent in watched functions that the current one called
        self._own = 0.0
        self._own = self._cost_of_watching()

    def watch(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return the function with its time taken: without what it calls that is watched too, and without taking it."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            elsewhere, self._elsewhere = self._elsewhere, 0.0
            start = perf_counter()
            result = function(*args, **kwargs)
            taken = perf_counter() - start
            self.seconds[name, self.phase] += taken - self._elsewhere - self._own
            self.calls[name, self.phase] += 1
            self._elsewhere = elsewhere + taken
            return result

        return watched

    def reset(self) -> None:
        self.seconds.clear()
        self.calls.clear()

    def _cost_of_watching(self) -> float:
        nothing, costs = self.watch(lambda: None, ""), []
        for _ in range(1000):
            nothing()
            costs.append(self.seconds["", ""])
            self.reset()
        return min(costs)


def watch_primitives(stopwatch: Stopwatch) -> None:
    """Watch forward functions and rules from now on, in this process."""
    for primitive in catalogue():
        primitive.forward = stopwatch.watch(primitive.forward, primitive.name)
        primitive.rules = [
            parsed and (stopwatch.watch(parsed[0], primitive.name), *parsed[1:]) for parsed in primitive.rules
        ]


def phases(training: ours.Training, x: Any, t: Any) -> Spent:
    """Carry out one step and time its phases."""
    start = perf_counter()
    training.forget()
    forgotten = perf_counter()
    loss = training.loss(x, t)
    computed = perf_counter()
    loss.backward()
    walked = perf_counter()
    training.update()
    return {
        "forget": forgotten - start,
        "forward": computed - forgotten,
        "backward": walked - computed,
        "update": perf_counter() - walked,
    }


def repeated(measure: Callable[[], Spent], seconds: float) -> Spent:
    """Measure steps for some time; return the median of each part."""
    samples: list[Spent] = []
    start = perf_counter()
    while perf_counter() - start < seconds or len(samples) < 3:
        samples.append(measure())
    return {key: median(sample[key] for sample in samples) for key in samples[-1]}


def profile(workload: Workload, dtype: str, seconds: float) -> list[tuple[str, float, float]]:
    """Return what a step spends its time on, forward and backward, in seconds."""
    problem = workload.draw(dtype)
    training = ours.Training(ours.PROGRAMS[workload.program], problem.parameters, RATE)
    (batch,) = problem.batches
    whole = repeated(lambda: phases(training, *batch), seconds)

    stopwatch = Stopwatch()
    watch_primitives(stopwatch)

    def inside() -> Spent:
        stopwatch.reset()
        training.forget()
        stopwatch.phase = "forward"
        loss = training.loss(*batch)
        stopwatch.phase = "backward"
        loss.backward()
        training.update()
        return dict(stopwatch.seconds)

    spent = repeated(inside, seconds)
    rows = []
    for name in dict.fromkeys(name for name, _ in spent):
        sides = (name, "forward"), (name, "backward")
        calls = next(stopwatch.calls[side] for side in sides if side in stopwatch.calls)
        rows.append((f"{name} x{calls}", *(max(0.0, spent.get(side, 0.0)) for side in sides)))
    forward, backward = (sum(row[side] for row in rows) for side in (1, 2))
    rows.append(("engine: recording, walking", whole["forward"] - forward, whole["backward"] - backward))
    rows.append(("update; forgetting gradients", whole["update"], whole["forget"]))
    return rows


def text(workload: Workload, dtype: str, rows: list[tuple[str, float, float]]) -> str:
    total = sum(forward + backward for _, forward, backward in rows)
    lines = [f"{workload.title}, {dtype}: {quantity(total, 'second')}"]
    lines.append(f"{'':30}{'forward':>12}{'backward':>12}{'share':>8}")
    for name, forward, backward in rows:
        cells = [quantity(seconds, "second") if seconds else "" for seconds in (forward, backward)]
        lines.append(f"{name:30}{cells[0]:>12}{cells[1]:>12}{(forward + backward) / total:>8.0%}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.profile_step", description=__doc__)
    parser.add_argument("workload", nargs="?", choices=NAMES, default=NAMES[0], metavar="WORKLOAD")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--seconds", type=float, default=1.0, help="to measure, twice (%(default)s)")
    options = parser.parse_args()
    workload = WORKLOADS[options.workload]
    print(text(workload, options.dtype, profile(workload, options.dtype, options.seconds)))


if __name__ == "__main__":
    main()
