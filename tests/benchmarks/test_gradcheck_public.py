"""The benchmark on public packages: that it runs, says what is missing, and that its list is long enough."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyperf")

from benchmarks.checkers.gradcheck_public import __main__ as command
from benchmarks.checkers.gradcheck_public.cases import Case, curve, jacobian, likelihood
from tinygrad_kr.gradcheck import Verdict, check_gradients

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages, about themselves


def verdict(case: Case, seed: int = 0) -> Verdict:
    f, gradient, inputs = case.make(np.random.default_rng(seed))
    return check_gradients(f, *inputs, gradient=gradient).verdict


class Model:
    """A likelihood with its derivatives, as models have them."""

    loglike = staticmethod(lambda p: np.sum(np.sin(p)))
    score = staticmethod(np.cos)
    hessian = staticmethod(lambda p: np.diag(-np.sin(p)))


def test_the_kinds_of_cases() -> None:
    assert verdict(curve("sin", np.sin, np.cos, -2, 2)) is Verdict.PASS
    assert verdict(curve("sin", np.sin, np.sin, -2, 2)) is Verdict.FAIL
    matrix = np.arange(6.0).reshape(2, 3)
    assert verdict(jacobian("matrix", lambda rng: (lambda x: matrix @ x, lambda x: matrix, np.ones(3)))) is Verdict.PASS
    cases = likelihood("Model", lambda rng: (Model(), rng.normal(0, 1, 3)), "loglike", "score", "hessian")
    assert [case.name for case in cases] == ["Model.score", "Model.hessian"]
    assert [verdict(case) for case in cases] == [Verdict.PASS, Verdict.PASS]


def test_the_table_counts_and_a_failure_shows_its_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = types.ModuleType("benchmarks.checkers.gradcheck_public.of_numpy")
    module.CASES = [curve("sine", np.sin, np.cos, -2, 2), curve("wrong", np.sin, lambda x: 2 * np.cos(x), -2, 2)]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(command, "PACKAGES", {"numpy": ("numpy", "of_numpy")})
    monkeypatch.setattr(command, "missing", lambda names: [])
    options = ["--packages", "numpy", "--seeds", "2", "--only"]
    assert command.main([*options, "sine"]) == 0
    assert f"| numpy | {np.__version__} | 1 | 4 | 4 | 0 | 0 | 0 |" in capsys.readouterr().out
    assert command.main([*options, "wrong"]) == 1
    said = capsys.readouterr().out
    assert f"| numpy | {np.__version__} | 1 | 4 | 0 | 0 | 0 | 4 |" in said
    assert "wrong, seed 0, mode full:\n    check_gradients: sin: FAIL" in said and "worst: x[" in said


def test_what_is_missing_is_named_with_the_way_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "sklearn" else types)
    with pytest.raises(SystemExit):
        command.main([])
    assert "not installed: scikit-learn\n  pip install scikit-learn" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["--packages", "scikit"])
    assert "unknown: scikit; choose from scipy, statsmodels" in capsys.readouterr().err


def test_scipy(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scipy")
    assert command.main(["--packages", "scipy", "--seeds", "1", "--only", "rosen"]) == 0
    assert " | 3 | 6 | 6 | 0 | 0 | 0 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "imported", "only"),
    [
        ("scipy", "scipy", "special.jvp"),
        ("statsmodels", "statsmodels", "links.Cauchy"),
        ("scikit-learn", "sklearn", "_loss.HalfPoisson"),
        ("astropy", "astropy", "Gaussian1D"),
    ],
)
def test_a_few_of_each_package_pass(name: str, imported: str, only: str) -> None:
    pytest.importorskip("scipy")
    pytest.importorskip(imported)
    cases = command.cases_of(name, only)
    assert cases and {verdict(case) for case in cases} == {Verdict.PASS}
    names = [case.name for case in command.cases_of(name)]
    assert len(names) == len(set(names)) >= 30


def test_an_error_that_was_found_is_refuted_by_the_harness_and_by_the_formula() -> None:
    pytest.importorskip("mpmath")
    pytest.importorskip("statsmodels")
    from benchmarks.checkers.gradcheck_public.errors_found import WRONG, evidence

    found = evidence(next(wrong for wrong in WRONG if "Frank" in wrong.says), seed=0)
    assert found.holds and found.value_off < 1e-14 and found.derivative_off > 1
