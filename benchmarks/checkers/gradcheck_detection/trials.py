"""One check: an operation, its gradient broken or not, inputs drawn from a seed, and what a checker says."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil
from zlib import crc32

import numpy as np

from benchmarks.checkers.gradcheck_detection.checkers import CHECKERS, Answer, Judge, check
from benchmarks.checkers.gradcheck_detection.difficult import DIFFICULT, GROUPS
from benchmarks.checkers.gradcheck_detection.formulas import MUTANTS
from benchmarks.checkers.gradcheck_detection.mutants import Broken, Mutant, Place, cotangent
from benchmarks.checkers.gradcheck_detection.operations import (
    OPERATIONS,
    TABLE,
    Array,
    Backward,
    Forward,
    Inputs,
    Operation,
)
from benchmarks.speed.processes import environment

TRIES = 20  # at finding inputs where a mutant applies
LEAST_TRIALS = 12  # of each mutant, however few operations it fits
LARGE = 10_000
LARGE_ERROR = 1e-3
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@dataclass(frozen=True)
class Trial:
    """A gradient to judge; what is expected: FAIL, KINK or PASS; the wrong element, where there is just one."""

    forward: Forward
    backward: Backward
    inputs: Inputs
    expected: str
    place: Place | None = None


@dataclass(frozen=True)
class Result:
    """What a checker said of a trial, of which ``case`` is the mutant or the difficulty."""

    kind: str
    case: str
    operation: str
    checker: str
    seed: int
    expected: str
    answer: Answer
    located: bool | None = None  # whether it named the right element, where one element was wrong and was found


@dataclass(frozen=True)
class Task:
    """Trials of one case for the same checkers."""

    kind: str
    case: str
    operation: str
    seeds: tuple[int, ...] = ()
    checkers: tuple[str, ...] = ()

    def run(self) -> list[Result]:
        return [result for seed in self.seeds for name in self.checkers for result in self.judged(seed, name)]

    def judged(self, seed: int, name: str) -> Iterator[Result]:
        """Make the trial anew for each checker: some gradients remember earlier calls."""
        trial = self.trial(seed)
        if trial is None:
            return
        answer = check(judge(name), trial.forward, trial.backward, trial.inputs, generator(seed, name))
        located = answer.place == trial.place if trial.place and answer.verdict == "FAIL" else None
        yield Result(self.kind, self.case, self.operation, name, seed, trial.expected, answer, located)

    def trial(self, seed: int) -> Trial | None:
        rng = generator(seed, self.case, self.operation)
        if self.kind == "mutant":
            with np.errstate(all="ignore"):
                return mutated(OPERATIONS[self.operation], BY_NAME[self.case], rng)
        if self.kind == "large":
            return large(rng)
        operation = OPERATIONS[self.operation] if self.kind == "ordinary" else difficult(self.case, self.operation)
        return Trial(operation.forward, operation.backward, operation.points(rng), "PASS")


@cache
def judge(name: str) -> Judge:
    return CHECKERS[name].load()


def generator(seed: int, *names: str) -> np.random.Generator:
    return np.random.default_rng((seed, *(crc32(name.encode()) for name in names)))


def difficult(group: str, name: str) -> Operation:
    return next(operation for case, operation in DIFFICULT if case == group and operation.name == name)


def mutated(operation: Operation, mutant: Mutant, rng: np.random.Generator) -> Trial | None:
    """Break the gradient at inputs where that shows, if any are found."""
    points = mutant.points(operation)
    for _ in range(TRIES if points else 0):
        inputs = points(rng)
        broken = mutant.make(operation, inputs, rng)
        if broken is None:
            continue
        if not isinstance(broken, Broken):
            broken = Broken(broken)
        if not mutant.least or differs(operation, broken.backward, inputs, mutant.least, rng):
            return Trial(operation.forward, broken.backward, inputs, mutant.expected, broken.place)
    return None


def differs(operation: Operation, broken: Backward, inputs: Inputs, least: float, rng: np.random.Generator) -> bool:
    """Tell whether a broken gradient is wrong by more than a relative error, in any of its elements."""
    v = cotangent(operation, inputs, rng)
    right, wrong = operation.backward(*inputs, v), broken(*inputs, v.copy())
    return any(
        r.shape != w.shape or bool(np.any(~(np.abs(w - r) <= least * np.maximum(np.abs(r), np.abs(w)))))
        for r, w in zip(right, wrong, strict=True)
    )


def large(rng: np.random.Generator) -> Trial:
    """exp of 10,000 elements, with a gradient that is wrong at one of them."""
    x = rng.uniform(-1, 1, LARGE)
    wrong = int(rng.integers(LARGE))

    def backward(x: Array, v: Array) -> Inputs:
        g = v * np.exp(x)
        g[wrong] *= 1 + LARGE_ERROR
        return (g,)

    return Trial(lambda x: np.exp(x), backward, (x,), "FAIL", (0, (wrong,)))


def mutant_tasks(count: int, seed: int, checkers: tuple[str, ...]) -> list[Task]:
    """Return ``count`` trials for each mutant of each operation, and more of mutants that fit few operations."""
    tasks = []
    for mutant in MUTANTS:
        fits = [operation.name for operation in TABLE if Task("mutant", mutant.name, operation.name).trial(seed)]
        seeds = range(seed, seed + ceil(count * max(1, LEAST_TRIALS / len(fits))))
        tasks += [Task("mutant", mutant.name, name, tuple(seeds), checkers) for name in fits]
    return tasks


def right_tasks(count: int, seed: int, checkers: tuple[str, ...]) -> list[Task]:
    """Return ``count`` trials with right gradients: half at ordinary points, half shared by the difficulties."""
    groups = [("ordinary", "", TABLE, count // 2)]
    for group, part in zip(GROUPS, shares(count // 2, len(GROUPS)), strict=True):
        groups.append(("difficult", group, [operation for name, operation in DIFFICULT if name == group], part))
    return [
        Task(kind, case, operation.name, tuple(range(first, first + size)), checkers)
        for kind, case, operations, total in groups
        for operation, part in zip(operations, shares(total, len(operations)), strict=True)
        for first, size in blocks(seed, part)
    ]


def shares(total: int, parts: int) -> list[int]:
    return [total // parts + (number < total % parts) for number in range(parts)]


def blocks(first: int, count: int, size: int = 25) -> Iterator[tuple[int, int]]:
    for start in range(first, first + count, size):
        yield start, min(size, first + count - start)


def large_tasks(count: int, seed: int, checkers: tuple[str, ...]) -> list[Task]:
    return [
        Task("large", "", "exp", (number,), (name,))
        for name in checkers
        if (step := CHECKERS[name].large)
        for number in range(seed, seed + count, step)
    ]


def run(tasks: list[Task]) -> list[Result]:
    return [result for task in tasks for result in task.run()]


def results(chunks: list[list[Task]], jobs: int) -> Iterator[list[Result]]:
    """Run chunk by chunk, in processes of their own with one thread each if there are several jobs."""
    if jobs == 1:
        yield from map(run, chunks)
        return
    os.environ.update(environment(threads=1))
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(run, chunks)
