"""The benchmark of gradient checkers: right gradients are right, broken ones are broken, and the counting counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyperf")
pytest.importorskip("benchmarks.checkers.gradcheck_detection")
from benchmarks.checkers.gradcheck_detection import trials
from benchmarks.checkers.gradcheck_detection.__main__ import main
from benchmarks.checkers.gradcheck_detection.checkers import CHECKERS, Answer, Checker, available, check, chosen
from benchmarks.checkers.gradcheck_detection.difficult import DIFFICULT, pseudo_noise
from benchmarks.checkers.gradcheck_detection.formulas import MUTANTS
from benchmarks.checkers.gradcheck_detection.mutants import cotangent
from benchmarks.checkers.gradcheck_detection.operations import OPERATIONS, TABLE, Array, Operation
from benchmarks.checkers.gradcheck_detection.tally import Rate, Tally, wilson
from benchmarks.checkers.gradcheck_detection.trials import Result, Task, differs, mutant_tasks, right_tasks

PRECISE = np.finfo(np.longdouble).eps < 1e-18
STEP, TOLERANCE = (2.0**-10, 1e-13) if PRECISE else (2.0**-6, 1e-9)
WEIGHTS = (4 / np.longdouble(5), -1 / np.longdouble(5), 4 / np.longdouble(105), -1 / np.longdouble(280))
RULES = ("chainer", "book")
PACKAGES = [name for name, checker in CHECKERS.items() if not name.startswith("ours") and name not in RULES]


def derivative(operation: Operation, inputs: tuple[Array, ...], v: Array, number: int, index: tuple[int, ...]) -> Any:
    """Return a central difference of order 8 in extended precision."""
    exact = [np.array(x, np.longdouble) for x in inputs]

    def moved(steps: int) -> Any:
        there = [x.copy() for x in exact]
        there[number][index] += steps * np.longdouble(STEP)
        return operation.forward(*there)

    differences = (w * ((moved(k) - moved(-k)) * v).sum() for k, w in enumerate(WEIGHTS, 1))
    return sum(differences) / np.longdouble(STEP)


@pytest.mark.parametrize("operation", TABLE, ids=lambda operation: operation.name)
def test_a_right_gradient_is_right_to_rounding(operation: Operation) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        inputs = operation.points(rng)
        v = cotangent(operation, inputs, rng)
        for number, (x, g) in enumerate(zip(inputs, operation.backward(*inputs, v), strict=True)):
            assert (g.shape, g.dtype) == (x.shape, np.float64)
            assert not any(np.shares_memory(g, other) for other in (v, *inputs))
            exact = [derivative(operation, inputs, v, number, index) for index in np.ndindex(x.shape)]
            np.testing.assert_allclose(g.ravel(), np.array(exact, np.float64), rtol=TOLERANCE, atol=20 * TOLERANCE)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_an_operation_and_breaks_it(mutant: Any) -> None:
    found = [trial for name in OPERATIONS if (trial := Task("mutant", mutant.name, name).trial(0))]
    assert found
    assert all(trial.expected == mutant.expected for trial in found)


def test_a_gradient_that_is_nearly_right_is_no_mutant() -> None:
    operation, rng = OPERATIONS["exp"], np.random.default_rng(0)
    inputs = operation.points(rng)
    off_by = lambda error: lambda x, v: (operation.backward(x, v)[0] * (1 + error),)
    assert differs(operation, off_by(1e-8), inputs, 1e-9, rng)
    assert not differs(operation, off_by(1e-10), inputs, 1e-9, rng)
    assert differs(operation, lambda x, v: (v * np.nan,), inputs, 1e-9, rng)


def test_the_wrong_element_is_where_the_trial_says() -> None:
    trial = Task("mutant", "one element 1e-3", "matmul").trial(4)
    assert trial is not None and trial.place is not None
    number, index = trial.place
    v = np.ones(np.shape(trial.forward(*trial.inputs)))
    right, wrong = OPERATIONS["matmul"].backward(*trial.inputs, v), trial.backward(*trial.inputs, v)
    ratio = wrong[number] / right[number]
    assert ratio[index] == pytest.approx(1.001, rel=1e-12)
    assert np.count_nonzero(ratio != 1) == 1


def test_a_seed_gives_one_trial() -> None:
    task = Task("mutant", "float32 gradient", "layer norm")
    one, again, other = task.trial(1), task.trial(1), task.trial(2)
    assert one and again and other
    assert all(map(np.array_equal, one.inputs, again.inputs))
    assert not all(map(np.array_equal, one.inputs, other.inputs))


def test_noise_depends_on_the_inputs_alone() -> None:
    x = np.array([0.3, 0.7])
    noise = pseudo_noise(x, (x,))
    assert np.array_equal(noise, pseudo_noise(x, (x.copy(),)))
    assert not np.any(noise == pseudo_noise(x, (np.nextafter(x, 1),)))


@pytest.mark.parametrize("name", RULES)
def test_transcribed_rules(name: str) -> None:
    assert verdicts(name, Task("ordinary", "", "softmax", (0, 1, 2))) == ["PASS"] * 3
    assert verdicts(name, Task("mutant", "factor: 2", "tanh", (0, 1, 2))) == ["FAIL"] * 3
    assert verdicts(name, Task("mutant", "all elements 1e-6", "tanh", (0, 1, 2))) == ["PASS"] * 3


def test_ones_as_a_cotangent_do_not_see_that_the_cotangent_is_ignored() -> None:
    task = Task("mutant", "ignored cotangent", "exp", (0, 1, 2))
    assert verdicts("book", task) == ["PASS"] * 3
    assert verdicts("chainer", task) == ["FAIL"] * 3


@pytest.mark.parametrize("name", PACKAGES)
def test_packages(name: str) -> None:
    if not available([CHECKERS[name]])[0]:
        pytest.skip(f"{name} is not installed")
    for operation in ("exp", "add", "softmax", "linear", "norm", "transpose"):
        assert verdicts(name, Task("ordinary", "", operation, (0, 1))) == ["PASS"] * 2
    assert verdicts(name, Task("mutant", "sign: all", "linear", (0, 1))) == ["FAIL"] * 2
    assert verdicts(name, Task("mutant", "all elements 1e-8", "exp", (0, 1))) == ["PASS"] * 2


@pytest.mark.parametrize("name", ["ours-full", "ours-directions"])
def test_ours_names_the_wrong_element(name: str) -> None:
    for operation in ("exp", "divide", "linear"):
        (right,) = Task("ordinary", "", operation, (0,), (name,)).run()
        (wrong,) = Task("mutant", "one element 1e-3", operation, (0,), (name,)).run()
        assert (right.answer.verdict, right.located) == ("PASS", None)
        assert (wrong.answer.verdict, wrong.located) == ("FAIL", True)


def verdicts(name: str, task: Task) -> list[str]:
    results = Task(task.kind, task.case, task.operation, task.seeds, (name,)).run()
    assert not any(result.answer.reason for result in results), results
    return [result.answer.verdict for result in results]


def test_a_check_counts_copies_and_takes_an_exception_for_a_failure() -> None:
    x = np.array([1.0, 2.0])

    def judge(forward: Any, backward: Any, inputs: tuple[Array, ...], rng: Any) -> Answer:
        forward(*inputs), forward(*inputs)
        inputs[0][0] = 7
        return Answer("PASS")

    rng = np.random.default_rng(0)
    assert check(judge, np.exp, lambda x, v: (v,), (x,), rng).evaluations == 2
    assert x[0] == 1
    answer = check(lambda *args: 1 / 0, np.exp, lambda x, v: (v,), (x,), rng)  # type: ignore[arg-type,return-value]
    assert (answer.verdict, answer.reason) == ("FAIL", "raised ZeroDivisionError: division by zero")


def test_checkers_are_chosen_by_name_or_package() -> None:
    assert [checker.name for checker in chosen("torch,book")] == ["torch-slow", "torch-fast", "book"]
    assert [checker.name for checker in chosen("ours-full")] == ["ours-full"]
    with pytest.raises(ValueError, match="no checker is called numpy"):
        chosen("numpy,book")


def test_a_missing_package_is_named() -> None:
    stranger = Checker("stranger", "Stranger", lambda: None, ("no-such-package-at-all",))  # type: ignore[arg-type,return-value]
    present, versions, missing = available([stranger, CHECKERS["book"]])
    assert [checker.name for checker in present] == ["book"]
    assert versions == {}
    assert "no-such-package-at-all" in missing["Stranger"]


@pytest.mark.parametrize(  # the last is Newcombe (1998), table I
    ("hits", "total", "low", "high"),
    [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (5, 10, 0.23659, 0.76341), (81, 263, 0.25529, 0.36621)],
)
def test_wilson_interval(hits: int, total: int, low: float, high: float) -> None:
    assert wilson(hits, total) == pytest.approx((low, high), abs=1e-5)
    assert Rate(hits, total).interval == wilson(hits, total)


def test_the_tally_counts_verdicts_and_keeps_what_ours_got_wrong() -> None:
    answers = [Answer("FAIL", evaluations=4, seconds=1.0), Answer("PASS", evaluations=6, seconds=3.0)]
    tally = Tally()
    tally.add(Result("mutant", "sign: all", "exp", "ours-full", 0, "FAIL", answer, None) for answer in answers)
    tally.add([Result("ordinary", "", "exp", "ours-full", 5, "PASS", answers[0])])
    tally.add([Result("mutant", "kink side, allowed: inside", "relu", "book", 0, "KINK", Answer("PASS"))])
    assert tally.as_expected("sign", "ours-full") == Rate(1, 2)
    assert tally.as_expected("kink side, allowed", "book") == Rate(1, 1)
    assert tally.cost("mutant", "ours-full") == (5, 2.0)
    assert [(s["kind"], s["seed"]) for s in tally.surprises] == [("mutant", 0), ("ordinary", 5)]
    assert [s["seed"] for s in tally.false_alarms()] == [5]


def test_as_many_trials_as_asked_for() -> None:
    tasks = right_tasks(1000, 0, ("book",))
    assert sum(len(task.seeds) for task in tasks if task.kind == "ordinary") == 500
    assert sum(len(task.seeds) for task in tasks if task.kind == "difficult") == 500
    assert {task.case for task in tasks if task.kind == "difficult"} == {group for group, _ in DIFFICULT}
    for mutant in MUTANTS:
        seeds = [len(task.seeds) for task in mutant_tasks(1, 0, ("book",)) if task.case == mutant.name]
        assert sum(seeds) >= trials.LEAST_TRIALS
        break


def test_table_json_and_one_trial_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = ["--checkers", "chainer", "--count", "1", "--checks", "90", "--large", "2", "--out", str(tmp_path)]
    assert main(run) == 0
    text = capsys.readouterr().out
    assert text.strip() == (tmp_path / "detection.md").read_text().strip()
    assert "| ignored cotangent | 39 | 1.00 (0.91 to 1.00) |" in text
    counts = json.loads((tmp_path / "detection.json").read_text())["counts"]
    assert sum(row["count"] for row in counts if row["kind"] == "ordinary") == 45
    assert main(["--checkers", "chainer", "--only", "mutant", "sign: all", "exp", "0"]) == 0
    assert "chainer (rule transcribed): Answer(verdict='FAIL'" in capsys.readouterr().out
