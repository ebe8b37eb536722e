"""Functions that capture Tensors: what their derivatives give reaches the Tensors, as in PyTorch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

pytest.importorskip("benchmarks.fuzz.captures")
from benchmarks.fuzz.captures.drawing import program
from benchmarks.fuzz.seeds import seeds_from
from tinygrad_kr import Tensor, grad, hessian, hvp, jacobian, jvp, nn, no_grad, value_and_grad, vjp
from tinygrad_kr.numerical import numerical_gradient

x = np.array([0.3, 0.4])
v = np.array([1.0, -2.0])


def loss_of(w: Any, x: Any) -> Any:
    return np.sum(np.tanh(w * x))


RESULTS = {
    "grad": lambda f: grad(f)(x),
    "value": lambda f: value_and_grad(f)(x)[0],
    "value_and_grad": lambda f: value_and_grad(f)(x)[1],
    "vjp value": lambda f: vjp(f, x)[0],
    "vjp": lambda f: vjp(f, x)[1](2.0)[0],
    "jvp value": lambda f: jvp(f, (x,), (v,))[0],
    "jvp": lambda f: jvp(f, (x,), (v,))[1],
    "hvp": lambda f: hvp(f)(x, v),
    "jacobian": lambda f: jacobian(f)(x),
    "hessian": lambda f: hessian(f)(x),
}


# By hand


def test_the_gradient_of_a_gradient_reaches_a_captured_leaf() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    gx = grad(lambda x: np.sum(np.tanh(w * x)))(x)
    (np.sum(gx**2) + np.sum(w**2)).backward()
    np.testing.assert_allclose(w.grad, [3.38219, 3.92192], atol=1e-5)


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_every_transform_keeps_captured_leaves_on_the_graph(result: Any) -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    at = lambda w: np.sum(np.sin(result(lambda x: loss_of(w, x)))) + np.sum(w**2)
    outcome = result(lambda x: loss_of(w, x))
    assert isinstance(outcome, Tensor) and outcome.requires_grad
    at(w).backward()
    np.testing.assert_allclose(w.grad, numerical_gradient(at, w.data.copy()), rtol=1e-6)


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_results_are_plain_where_nothing_outside_requires_a_gradient(result: Any) -> None:
    constant, w = Tensor([1.0, 2.0]), Tensor([1.0, 2.0], requires_grad=True)
    assert isinstance(result(lambda x: loss_of(constant, x)), np.ndarray | np.generic)
    with no_grad():
        assert isinstance(result(lambda x: loss_of(w, x)), np.ndarray | np.generic)


def test_the_argument_may_be_what_is_captured() -> None:
    w = Tensor([0.3, 0.4], requires_grad=True)
    np.sum(grad(lambda x: np.sum(w * x * x))(w)).backward()  # 2 w x at x = w
    np.testing.assert_allclose(w.grad, 4 * w.data)


def test_a_gradient_penalty_reaches_every_parameter_of_a_network() -> None:
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(2, 3, rng=rng), nn.Tanh(), nn.Linear(3, 1, rng=rng))
    points = rng.normal(size=(4, 2))

    def penalty(_: Any = None) -> Any:
        slopes = grad(lambda u: np.sum(net(u)))(points)
        return np.mean((np.sqrt(np.sum(slopes**2, axis=1)) - 1) ** 2)

    penalty().backward()
    for name in ("layers.0.W", "layers.0.b", "layers.2.W"):
        parameter = net.params[name]
        expected = numerical_gradient(lambda _: penalty().item(), parameter.data)
        np.testing.assert_allclose(parameter.grad, expected, atol=1e-6, err_msg=name)


# At random: against PyTorch


def test_random_captures_agree_with_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    from benchmarks.fuzz.captures.__main__ import main

    assert main(["--count", "100", "--seed", "2026"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("kind", ["value", "place", "gradient"])
def test_what_is_made_wrong_is_found(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    from benchmarks.fuzz.captures import check
    from benchmarks.fuzz.captures.__main__ import main

    def wrong(program: Any) -> Any:
        outcome = check.run_there(program)
        if kind == "value":
            outcome.values["loss"] *= 1 + 1e-6
        elif kind == "place":
            outcome.places.update(dict.fromkeys(outcome.places, "a Tensor without gradient"))
        else:
            outcome.gradients[program.leaves[0]] += 1e-6
        return outcome

    monkeypatch.setattr(check, "run_here", wrong)
    assert main(["--count", "10", "--seed", "2026"]) == 1
    assert f"{kind}; again" in capsys.readouterr().out


def test_programs_hold_what_they_are_for() -> None:
    written = [program(seed) for seed in seeds_from(5, 400)]
    counts = Counter[str]()
    for one in written:
        counts["network"] += one.network is not None
        counts["penalty"] += "np.sqrt(np.sum(g0 * g0" in one.text
        counts["no_grad"] += "no_grad" in one.text
        counts["intermediate"] += one.text.startswith("h0 = ")
        counts["constant"] += bool(one.constants)
        assert one.leaves
    assert min(counts.values()) >= 20, counts
