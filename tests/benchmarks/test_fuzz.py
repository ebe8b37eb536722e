"""The fuzzer finds nothing wrong here, and finds what is made wrong."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("benchmarks.fuzz.functions")
from benchmarks.fuzz.functions.__main__ import main
from benchmarks.fuzz.functions.compare import agree, differing, is_rounding
from benchmarks.fuzz.functions.drawing import program
from benchmarks.fuzz.functions.operations import TABLE
from benchmarks.fuzz.functions.programs import Line, Program
from benchmarks.fuzz.functions.tally import catalogue
from benchmarks.fuzz.functions.there import run_there
from benchmarks.fuzz.seeds import seeds_from
from tinygrad_kr.primitives import elementwise, linalg, reductions


def test_random_programs_agree_with_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "250", "--seed", "2026"]) == 0, capsys.readouterr().out


def test_second_derivatives_agree_with_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "60", "--seed", "2026", "--second"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("primitive", "name"),
    [(elementwise.tanh, "tanh("), (linalg.solve_matrix, "solve("), (reductions.running_product, "cumprod(")],
    ids=["tanh", "solve", "cumprod"],
)
def test_a_rule_off_by_a_millionth_is_found_and_named(
    primitive: Any, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (rule, *needs), *others = primitive.rules
    wrong = lambda g, *args, **settings: 1.000001 * rule(g, *args, **settings)
    monkeypatch.setattr(primitive, "rules", [(wrong, *needs), *others])
    assert main(["--count", "40", "--seed", "2026"]) == 1
    output = capsys.readouterr().out
    command = re.search(r"again with: python -m benchmarks\.fuzz\.functions (--only .*)", output)
    suspects = re.findall(r"lines that differ by themselves: (?:\n  .*)+", output)
    assert command is not None
    assert suspects
    assert all(name in text for text in suspects), suspects
    assert main(command[1].split()) == 1, "the printed command does not find it again"
    monkeypatch.undo()
    assert main(command[1].split()) == 0


def test_only_what_noise_explains_counts_as_ill_conditioned() -> None:
    x = np.array([0.3])
    line = Line(("v0",), "np.sin(1e9 * x0)", "torch.sin(1e9 * x0)")
    written = Program(0, {"x0": x}, [line], {"x0": x, "v0": np.sin(1e9 * x)})
    reference = run_there(written, second=False)
    for error, explained in [(1e-7, True), (1e-3, False)]:
        results = reference | {"v0": reference["v0"] + error}
        assert differing(results, reference) == ["v0"]
        assert is_rounding(written, False, results, reference, ["v0"]) == explained


def test_everything_in_the_catalogue_is_in_the_table() -> None:
    exercised = {name for operation in TABLE for name in operation.names}
    assert not set(catalogue()) - exercised


def test_a_seed_gives_one_program() -> None:
    seeds = seeds_from(7, 3)
    assert seeds == seeds_from(7, 4)[:3]
    assert program(seeds[0]).code == program(seeds[0]).code
    assert program(seeds[0]).code != program(seeds[1]).code


def test_the_printed_program_runs_by_itself() -> None:
    written = program(seeds_from(7, 1)[0])
    space: dict[str, Any] = {}
    exec(written.code, space)
    reference = run_there(written, second=False)
    assert agree(space["loss"].data, reference["loss"])
    assert agree(space["x0"].grad, reference["gradient of x0"])
