"""Transforms in each other: random nestings agree with JAX, and a pullback may be used as often as wanted."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("benchmarks.fuzz.nestings")
from benchmarks.fuzz.nestings import stress
from benchmarks.fuzz.nestings.drawing import PASSES, program
from benchmarks.fuzz.nestings.passes import PASSES as STANDINS
from benchmarks.fuzz.nestings.programs import Program, arrays
from benchmarks.fuzz.nestings.shrinking import shrunk
from benchmarks.fuzz.seeds import seeds_from
from tinygrad_kr import Tensor, grad, hvp, jacobian, jvp, vjp

x = np.array([3.0])
square = lambda z: z * z


# By hand: a pullback differentiates its function, not the history of its cotangent


def test_a_pullback_leaves_its_cotangents_history_alone() -> None:
    y, pullback = vjp(square, Tensor(x, requires_grad=True))
    assert pullback(y)[0].data == [54.0]  # 2 x y
    assert pullback(pullback(np.ones(1))[0])[0].data == [36.0]  # 2 x (2 x)


def test_a_pullback_inside_a_gradient_is_differentiated_once() -> None:
    def f(x: Any) -> Any:
        y, pullback = vjp(square, x)
        return np.sum(pullback(y)[0])  # 2 x^3

    assert grad(f)(x) == [54.0]
    assert hvp(f)(x, np.ones(1)) == [36.0]
    assert jvp(f, (x,), (np.ones(1),))[1] == 54.0


def test_a_pullback_called_inside_another_transform() -> None:
    y, pullback = vjp(square, x)
    assert jacobian(lambda u: pullback(u * u)[0])(y) == [[108.0]]  # 2 x 2 u at u = x^2


def test_gauss_newton_products() -> None:
    residual = lambda w: np.tanh(np.stack([w, 2 * w, w * w]))

    def product(w: Any) -> Any:
        _, pullback = vjp(residual, w)
        return pullback(jvp(residual, (w,), (np.ones(()),))[1])[0]  # J^T J

    w = np.array(0.3)
    J = jacobian(residual)(w)
    assert product(w) == pytest.approx(J @ J)
    slopes = jacobian(jacobian(residual))(w)
    assert grad(product)(w) == pytest.approx(2 * J @ slopes)


@pytest.mark.parametrize("program", stress.PROGRAMS, ids=lambda program: program.__name__)
def test_a_pullback_used_many_times_stays_as_fast(program: Any) -> None:
    np.testing.assert_allclose(*program(200), atol=1e-9)
    few, many = stress.calls(program, 42), stress.calls(program, 168)
    assert many < 4.2 * few


def test_a_pullback_outside_transforms_keeps_nothing_of_its_uses() -> None:
    assert stress.peak(stress.plain, 400) < 1.5 * stress.peak(stress.plain, 20)


# At random: against JAX


def test_random_nestings_agree_with_jax(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("jax")
    from benchmarks.fuzz.nestings.__main__ import main

    assert main(["--count", "20", "--seed", "2026", "--untimed"]) == 0, capsys.readouterr().out


def test_a_wrong_rule_is_found_and_the_program_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    from benchmarks.fuzz.nestings.check import fails, verdict
    from tinygrad_kr.primitives.elementwise import tanh

    text = "y0, p0 = vjp(lambda u: np.tanh(u) * np.sin(u), x)\nu0 = p0(y0)\nresult = u0[0] + x"
    written = Program(0, {"x": [0.3, 0.5, 0.1]}, text)
    assert verdict(written)[0] == ""
    monkeypatch.setattr(tanh, "rules", [(lambda g, y: g * (1 - y), (1,), ())])
    kind, words = verdict(written)
    assert kind == "mismatch" and words.startswith("u0[0]:")
    smaller = shrunk(written, lambda program: fails("mismatch", program)).text
    assert "tanh" in smaller and "sin" not in smaller and "result" not in smaller


def test_programs_hold_every_transform_and_run_without_them() -> None:
    texts = [program(seed).text for seed in seeds_from(3, 100)]
    for name in PASSES:
        assert sum(f"{name}(" in text for text in texts) > 5
    assert sum(bool(re.search(r"\n {8}\w.*(grad|vjp|jvp)\(", text)) for text in texts) > 20, "few nest deeply"
    written = program(seeds_from(3, 1)[0])
    assert program(written.seed).text == written.text
    assert written.run(STANDINS | arrays(written.inputs))


def test_shrinking_leaves_what_matters() -> None:
    text = "y = np.sin(x) * 2\ng = grad(lambda u: np.sum(np.tanh(u) * y))(x)\nresult = g + y"
    smaller = shrunk(Program(0, {"x": [1.0]}, text), lambda program: "tanh" in program.text)
    assert smaller.text.count("\n") == 0
    assert "tanh(u)" in smaller.text and "sin" not in smaller.text
