"""The table of checkers, and what each says of a gradient."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.checkers.gradcheck_detection import packages, rules
from benchmarks.checkers.gradcheck_detection.mutants import Place
from benchmarks.checkers.gradcheck_detection.operations import Backward, Forward, Inputs


@dataclass(frozen=True)
class Answer:
    """What a checker said: "PASS", "KINK", "INCONCLUSIVE" or "FAIL", and which element it named."""

    verdict: str
    place: Place | None = None
    reason: str = ""
    evaluations: int = 0
    seconds: float = 0.0


Judge = Callable[[Forward, Backward, Inputs, np.random.Generator], Answer]


@dataclass(frozen=True)
class Checker:
    """A gradient checker; of the arrays of 10,000 elements it judges every ``large``-th, or none if 0."""

    name: str
    title: str
    load: Callable[[], Judge]
    packages: tuple[str, ...] = ()
    large: int = 1


def check(judge: Judge, forward: Forward, backward: Backward, inputs: Inputs, rng: np.random.Generator) -> Answer:
    """Judge a gradient at copies of the inputs; a backward function that makes the checker raise was found out.

    Warnings are left out: of overflow in broken gradients, of arrays that cannot be written to.
    """
    evaluations = 0

    @functools.wraps(forward)  # keeps the names of the operands
    def counted(*args: Any) -> Any:
        nonlocal evaluations
        evaluations += 1
        return forward(*args)

    inputs = tuple(x.copy() for x in inputs)
    start = perf_counter()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            answer = judge(counted, backward, inputs, rng)
    except Exception as error:
        answer = Answer("FAIL", reason=f"raised {type(error).__name__}: {error}".partition("\n")[0])
    seconds = perf_counter() - start
    return Answer(answer.verdict, answer.place, answer.reason, evaluations, seconds)


def ours(mode: str) -> Judge:
    from tinygrad_kr.gradcheck import check_gradients

    def judge(forward: Forward, backward: Backward, inputs: Inputs, rng: np.random.Generator) -> Answer:
        report = check_gradients(forward, *inputs, gradient=backward, mode=mode, progress=False)
        worst, place = report.worst, None
        if worst is not None and worst.index is not None:
            place = operand(forward, worst.input, len(inputs)), worst.index
        return Answer(report.verdict.value, place, report.reason)

    return judge


def operand(forward: Forward, name: str, count: int) -> int:
    """Return the number of the operand of this name."""
    return list(inspect.signature(forward).parameters)[:count].index(name)


def yes_or_no(accepts: packages.Check) -> Judge:
    return lambda *args: Answer("PASS" if accepts(*args) else "FAIL")


CHECKERS = {
    checker.name: checker
    for checker in (
        Checker("ours-full", "ours", lambda: ours("full"), ("numpy",), large=0),
        Checker("ours-directions", "ours, directions", lambda: ours("directions"), ("numpy",)),
        Checker("torch-slow", "torch", lambda: yes_or_no(packages.torch_gradcheck(False)), ("torch",), large=0),
        Checker("torch-fast", "torch, fast mode", lambda: yes_or_no(packages.torch_gradcheck(True)), ("torch",)),
        Checker("jax", "jax", lambda: yes_or_no(packages.jax_check_grads()), ("jax", "jaxlib")),
        Checker("autograd", "autograd", lambda: yes_or_no(packages.autograd_check_grads()), ("autograd",)),
        Checker("scipy", "scipy", lambda: yes_or_no(packages.scipy_check_grad()), ("scipy",), large=20),
        Checker("chainer", "chainer (rule transcribed)", lambda: yes_or_no(rules.chainer)),
        Checker("book", "book/DeZero (rule transcribed)", lambda: yes_or_no(rules.book), large=40),
    )
}


def chosen(names: str) -> list[Checker]:
    """Return checkers by their names, or by what comes before the hyphen."""
    wanted = [name.strip() for name in names.split(",")]
    if unknown := [w for w in wanted if not any(w in (name, name.partition("-")[0]) for name in CHECKERS)]:
        raise ValueError(f"no checker is called {', '.join(unknown)}; there are {', '.join(CHECKERS)}")
    return [checker for name, checker in CHECKERS.items() if name in wanted or name.partition("-")[0] in wanted]


def available(checkers: list[Checker]) -> tuple[list[Checker], dict[str, str], dict[str, str]]:
    """Tell the checkers that can be had from those that cannot, with versions and reasons."""
    present, versions, missing = [], {}, {}
    for checker in checkers:
        try:
            found = {package: version(package) for package in checker.packages}
            checker.load()
        except (PackageNotFoundError, ImportError) as error:
            missing[checker.title] = f"{type(error).__name__}: {error}"
        else:
            present.append(checker)
            versions |= found
    return present, versions, missing
