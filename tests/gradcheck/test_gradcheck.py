"""The gradient checker: bars that cover the truth, verdicts, exact properties, reports."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinygrad_kr import Tensor, no_grad
from tinygrad_kr import functional as F
from tinygrad_kr.errors import DtypeError, NonFiniteError, ShapeError
from tinygrad_kr.gradcheck import GradientMismatch, Report, Verdict, assert_gradients, check_gradients
from tinygrad_kr.gradcheck.noise import Noise, noise_of
from tinygrad_kr.gradcheck.problem import Problem
from tinygrad_kr.gradcheck.slopes import Line, measure
from tinygrad_kr.models import TwoLayerNet

PASS, KINK, INCONCLUSIVE, FAIL = Verdict.PASS, Verdict.KINK, Verdict.INCONCLUSIVE, Verdict.FAIL
Array = Any
Function = Callable[..., Any]


def float32(x: Array) -> Array:
    return np.asarray(x, np.float32)


def pseudo_noise(x: Array) -> Array:
    """A number between -1 and 1 for each element, another one for each neighbour."""
    bits = np.asarray(x, np.float64).view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((bits ^ bits >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(11)) / 2.0**52 - 1


# The bar covers the truth


def rung_of(f: Function, x: float, step: float, noise: float = 0.0) -> Any:
    problem = Problem(f, (np.array(x),), None, None)
    center = problem.value(problem.start)
    silence = Noise(np.full(1, noise), center, np.ones(1), np.zeros(1), np.zeros((7, 1)))
    line = Line.element(problem.start, problem.variables[0], 0)
    return measure(problem, problem.start, line, step, np.ones(1), silence, line.unit)


@given(at=st.floats(-2.1, 2.1).filter(lambda at: abs(at) > 1e-6), jump=st.floats(-5, 5), slope=st.floats(-3, 3))
@example(at=1 / 3, jump=1.0, slope=0.0)
@example(at=1e-5, jump=1.0, slope=0.0)
@example(at=1.0, jump=-1.0, slope=2.0)
def test_one_kink_anywhere_in_the_stencil_is_covered_by_two_thirds(at: float, jump: float, slope: float) -> None:
    rung = rung_of(lambda x: slope * x + jump * np.maximum(x - at, 0), 0.0, 1.0)
    true = slope + (jump if at < 0 else 0)
    assert abs(rung.slope - true) <= 2 / 3 * (rung.truncation + rung.kink) + 1e-14


SMOOTH = [
    (np.sin, np.cos),
    (np.exp, np.exp),
    (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    (lambda x: x**5 - x, lambda x: 5 * x**4 - 1),
    (lambda x: np.log1p(x * x), lambda x: 2 * x / (1 + x * x)),
    (lambda x: np.sqrt(1 + x * x), lambda x: x / np.sqrt(1 + x * x)),
]


@given(
    pair=st.sampled_from(SMOOTH),
    x=st.floats(-3, 3),
    exponent=st.integers(-30, -4),
    size=st.sampled_from([1e-6, 1, 1e6]),
)
def test_the_bar_covers_the_true_slope(pair: Any, x: float, exponent: int, size: float) -> None:
    f, derivative = pair
    rung = rung_of(lambda x: size * f(x), x, 2.0**exponent, noise=4 * np.finfo(float).eps)
    rounding = 1e-14 * size  # of the derivative itself
    assert abs(rung.slope - size * derivative(np.float64(x))) <= rung.bar() + rounding


@pytest.mark.parametrize("level", [1e-12, 1e-9, 1e-7])
def test_noise_is_found_and_not_underestimated(level: float) -> None:
    def noisy(x: Array) -> Array:
        return np.sin(x) + level * pseudo_noise(x)

    problem = Problem(noisy, (np.full(20, 0.7) + np.arange(20) / 64,), None, None)
    center = problem.value(problem.start)
    noise = noise_of(problem, problem.start, problem.sizes, center, np.random.default_rng(0))
    found = noise.at(np.abs(center), 2.0**-14)
    assert np.all(found > 0.7 * level) and np.all(found < 40 * level)


def test_a_smooth_function_has_no_noise_but_rounding() -> None:
    problem = Problem(np.sin, (np.linspace(0.5, 1.5, 20),), None, None)
    center = problem.value(problem.start)
    noise = noise_of(problem, problem.start, problem.sizes, center, np.random.default_rng(0))
    assert np.all(noise.at(np.abs(center), 2.0**-14) < 1e-14)


def test_a_cast_to_float32_inside_is_noise() -> None:
    problem = Problem(lambda x: np.sin(float32(x)).astype(float), (np.linspace(0.5, 1.5, 20),), None, None)
    center = problem.value(problem.start)
    noise = noise_of(problem, problem.start, problem.sizes, center, np.random.default_rng(0))
    assert np.all(noise.at(np.abs(center), 2.0**-14) > 2e-8)


# Verdicts


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(0.8 * (x + 0.04 * x**3)))


def gelu_gradient(x: Array, v: Array) -> Array:
    """Exact also where 1 + tanh cancels."""
    e = np.exp(1.6 * (x + 0.04 * x**3))
    s = e / (1 + e)
    return v * (s + 1.6 * x * s * (1 - s) * (1 + 0.12 * x * x))


VERDICTS: list[tuple[str, Function, Function, Any, set[Verdict]]] = [
    ("sin", np.sin, lambda x, v: v * np.cos(x), [0.3, -1.2, 2.5], {PASS}),
    ("a constant", lambda x: 0 * x + 3, lambda x, v: 0 * x, [1.0], {PASS}),
    ("a negative factor", np.sin, lambda x, v: -v * np.cos(x), [0.3], {FAIL}),
    ("off by 1e-7", np.sin, lambda x, v: (1 + 1e-7) * v * np.cos(x), [0.3, -1.2, 2.5], {FAIL}),
    ("NaN in the gradient", np.sin, lambda x, v: v * np.nan, [0.3], {FAIL}),
    ("log close to 0", np.log, lambda x, v: v / x, [1e-12, 1e-6, 1e-3, 1e8], {PASS}),
    ("1/x close to 0", lambda x: 1 / x, lambda x, v: -v / x**2, [1e-8, -1e-3, 1e8], {PASS}),
    ("1/x wrong by 1e-6", lambda x: 1 / x, lambda x, v: -v / x**2 * (1 + 1e-6), [1e-8, 1e8], {FAIL}),
    ("sqrt at 0", np.sqrt, lambda x, v: v * np.inf, [0.0], {INCONCLUSIVE}),
    ("fast oscillation", lambda x: np.sin(1e5 * x), lambda x, v: 1e5 * v * np.cos(1e5 * x), [0.3, 2.5], {PASS}),
    ("oscillation at 1e4", np.sin, lambda x, v: v * np.cos(x), [1e4, 2.345e4], {PASS}),
    ("oscillation at 1e8", np.sin, lambda x, v: v * np.cos(x), [1e8], {PASS, INCONCLUSIVE}),
    ("cancellation", lambda x: 1e8 + np.sin(x), lambda x, v: v * np.cos(x), [0.3, 2.5], {INCONCLUSIVE}),
    ("cancellation, wrong", lambda x: 1e8 + np.sin(x), lambda x, v: 2 * v * np.cos(x), [0.3], {FAIL}),
    ("saturated", np.tanh, lambda x, v: v / np.cosh(x) ** 2, [0.5, 25.0], {PASS}),
    ("float32 inside", lambda x: np.sin(float32(x)).astype(float), lambda x, v: v * np.cos(x), [0.7], {INCONCLUSIVE}),
    ("float32 inside, wrong", lambda x: np.sin(float32(x)).astype(float), lambda x, v: v * np.sin(x), [0.3], {FAIL}),
    ("relu close to 0", relu, lambda x, v: v * (x > 0), [1e-12, -1e-9, 1e-6, -1e-3, 1.0], {PASS}),
    ("relu at 0: 0", relu, lambda x, v: v * (x > 0), [0.0, 1.0], {KINK}),
    ("relu at 0: 1", relu, lambda x, v: v * (x >= 0), [0.0, 1.0], {KINK}),
    ("relu at 0: 5", relu, lambda x, v: v * np.where(x == 0, 5, x > 0), [0.0, 1.0], {FAIL}),
    ("relu at 0: -0.1", relu, lambda x, v: v * np.where(x == 0, -0.1, x > 0), [0.0, 1.0], {FAIL}),
    ("abs at 0", np.abs, lambda x, v: v * np.sign(x), [0.0, -2.0], {KINK}),
    ("abs at 0: 2", np.abs, lambda x, v: v * np.where(x == 0, 2, np.sign(x)), [0.0, -2.0], {FAIL}),
    ("abs is not 0", np.abs, lambda x, v: 0 * v, [0.5, -2.0], {FAIL}),
    ("ties share", np.max, lambda x, v: v * (x == x.max()) / np.sum(x == x.max()), [3.0, 1.0, 3.0], {KINK}),
    ("ties each get all", np.max, lambda x, v: v * (x == x.max()), [3.0, 1.0, 3.0], {FAIL}),
    ("a jump", lambda x: np.heaviside(x, 0), lambda x, v: 0 * x, [0.0], {INCONCLUSIVE}),
    ("a symmetric jump", np.sign, lambda x, v: 0 * v, [0.0], {INCONCLUSIVE}),
    (
        "underflow in float32",
        lambda x: np.logaddexp(0, float32(x)).astype(float),
        lambda x, v: v / (1 + np.exp(-x)),
        [-300.0, 1.0],
        {PASS, INCONCLUSIVE},
    ),
    ("flat", lambda x: np.heaviside(x, 0), lambda x, v: 0 * x, [1.0, -1.0], {PASS}),
    ("0 at a stationary point", np.square, lambda x, v: 2 * v * x, [0.0], {PASS}),
    (
        "0 where rounding hides a slope",
        lambda x: 1e13 + np.sin(x),
        lambda x, v: 0 * v,
        [1.0, 2.0],
        {FAIL, INCONCLUSIVE},
    ),
    ("a tail that moves in quanta", gelu, gelu_gradient, [-6.605617635218315, -7.3, -7.0, -5.9], {PASS, INCONCLUSIVE}),
    ("NaN at a kink", np.abs, lambda x, v: v * x / np.abs(x), [0.0, 1.0], {FAIL}),
    ("no dependence, but a gradient", lambda x: 0 * x, lambda x, v: v * 1e-3, [1.0], {FAIL}),
]


@pytest.mark.parametrize("mode", ["full", "directions"])
@pytest.mark.parametrize(("f", "gradient", "x", "verdicts"), [r[1:] for r in VERDICTS], ids=[r[0] for r in VERDICTS])
def test_verdict(f: Function, gradient: Function, x: Any, verdicts: set[Verdict], mode: Any) -> None:
    if mode == "directions":  # one slope for all: it may see less, but no right gradient fails
        verdicts = verdicts | ({INCONCLUSIVE} if FAIL in verdicts else {PASS, KINK, INCONCLUSIVE})
    with np.errstate(all="ignore"):
        report = check_gradients(f, np.array(x), gradient=gradient, mode=mode)
    assert report.verdict in verdicts, str(report)


RIGHT: dict[str, tuple[Function, Function]] = {
    "sin": (np.sin, lambda x, v: v * np.cos(x)),
    "log": (lambda x: np.log(np.abs(x)), lambda x, v: v / x),
    "sqrt": (lambda x: np.sqrt(np.abs(x)), lambda x, v: v * 0.5 * np.sign(x) / np.sqrt(np.abs(x))),
    "reciprocal": (lambda x: 1 / x, lambda x, v: -v / x / x),
    "relu": (relu, lambda x, v: v * (x > 0)),
    "clip": (lambda x: np.clip(x, -1, 1), lambda x, v: v * (np.abs(x) <= 1)),
    "norm": (lambda x: np.sqrt(np.sum(x * x)), lambda x, v: v * x / np.sqrt(np.sum(x * x))),
    "float32": (lambda x: np.sin(float32(x)).astype(float), lambda x, v: v * np.cos(float32(x).astype(float))),
    "float32 square": (lambda x: np.square(float32(x)).astype(float), lambda x, v: 2 * v * float32(x).astype(float)),
    "float32 output": (lambda x: float32(np.sin(x)), lambda x, v: v * np.cos(x)),
    "cancellation": (lambda x: 1e8 + np.sin(x), lambda x, v: v * np.cos(x)),
    "oscillation": (lambda x: np.sin(1e5 * x), lambda x, v: v * 1e5 * np.cos(1e5 * x)),
    "noise": (lambda x: np.sin(x) * (1 + 1e-9 * pseudo_noise(x)), lambda x, v: v * np.cos(x)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_no_right_gradient_fails(name: str) -> None:
    f, gradient = RIGHT[name]
    rng = np.random.default_rng(7)
    for trial in range(25):
        n = int(rng.integers(1, 5))
        signs = rng.choice([-1.0, 1.0], n)
        anywhere = signs * 10.0 ** rng.uniform(-12, 8, n)
        near_kinks = rng.choice([-1.0, 0.0, 1.0], n) + signs * 10.0 ** rng.uniform(-12, 0, n)
        x = anywhere if trial % 2 else near_kinks
        with np.errstate(all="ignore"):
            report = check_gradients(f, x, gradient=gradient, mode="directions" if trial % 5 == 0 else "full")
        assert report.verdict is not FAIL, f"{x!r}\n{report}"


def test_ties_between_inputs_share() -> None:
    x, y = np.array([1.0, 2.0]), np.array([1.0, 0.5])
    assert check_gradients(np.maximum, x, y).verdict is KINK
    assert check_gradients(np.maximum, x, y, gradient=lambda x, y, v: (v * (x > y), v * (x <= y))).verdict is KINK
    both = check_gradients(np.maximum, x, y, gradient=lambda x, y, v: (v * (x >= y), v * (x <= y)))
    assert both.verdict is FAIL and "together must add up to" in str(both)


@pytest.mark.parametrize("mode", ["full", "directions"])
def test_ties_in_large_arrays_share(mode: str) -> None:
    x = np.round(np.random.default_rng(0).normal(size=(2, 15, 10)), 1)
    share = check_gradients(np.maximum, *x, gradient=lambda x, y, v: (v * (x > y), v * (x <= y)), mode=mode)
    both = check_gradients(np.maximum, *x, gradient=lambda x, y, v: (v * (x >= y), v * (x <= y)), mode=mode)
    assert (share.verdict, both.verdict) == (KINK, FAIL)
    if mode == "directions":
        assert "ties: with all elements moved by the same the slope is" in str(both)


WEIGHTS = np.random.default_rng(0).normal(size=(4, 20))
SEVERAL_KINKS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    # along x[:, 0] both slopes are positive, and the gradient, relu'(0) being 0, is 0
    "rows of zeros": (lambda x: F.relu(x @ WEIGHTS) @ np.sign(WEIGHTS[0]), (np.zeros((3, 4)),)),
    "two conventions": (lambda x, y: np.sum(F.relu(x) - F.relu(-y)), (np.zeros((5, 4)), np.zeros((5, 4)))),
    "equal numbers in order": (np.sort, (np.round(np.random.default_rng(1).normal(size=(2, 20))),)),
}


@pytest.mark.parametrize("mode", ["full", "directions"])
@pytest.mark.parametrize("name", SEVERAL_KINKS)
def test_where_several_kinks_meet_a_conventional_gradient_does_not_fail(name: str, mode: str) -> None:
    f, inputs = SEVERAL_KINKS[name]
    for seed in range(3):
        report = check_gradients(f, *inputs, mode=mode, seed=seed)
        assert report.verdict is not FAIL, report


@pytest.mark.parametrize("seed", range(5))
def test_a_function_that_is_still_along_a_direction_is_not_taken_for_noisy(seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(2)
    assert check_gradients(F.log_softmax, x, seed=seed).verdict is PASS


def test_ordinary_points_are_resolved() -> None:
    rng = np.random.default_rng(8)
    for name in ("sin", "log", "sqrt", "reciprocal", "relu", "clip", "norm", "oscillation"):
        f, gradient = RIGHT[name]
        for _ in range(5):
            assert check_gradients(f, rng.uniform(0.2, 0.8, 4), gradient=gradient).verdict is PASS, name


def test_an_unresolved_element_is_negligible_only_beside_much_larger_ones() -> None:
    def f(x: Array) -> Array:
        return np.stack([1e3 * x[0], 1e8 + np.sin(x[1])])

    report = check_gradients(f, np.array([1.0, 0.5]))
    assert [finding.verdict for finding in report.findings] == [PASS, INCONCLUSIVE]
    assert check_gradients(lambda x: f(x) * [1e9, 1], np.array([1.0, 0.5])).findings[1].negligible


# Directions


def test_no_direction_fails_alone() -> None:
    rng = np.random.default_rng(0)
    f, gradient = RIGHT["oscillation"]
    for _ in range(10):
        x = rng.choice([-1.0, 1.0], 3) * 10.0 ** rng.uniform(5, 8, 3)
        assert check_gradients(f, x, gradient=gradient, mode="directions").verdict is not FAIL


def exp_with_one_wrong(x: Array, v: Array) -> Array:
    g = v * np.exp(x)
    g[1234] *= 1.001
    return g


@pytest.mark.parametrize("seed", range(5))
def test_one_wrong_element_of_ten_thousand_is_named_in_150_evaluations(seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(10_000)
    report = check_gradients(np.exp, x, gradient=exp_with_one_wrong, seed=seed)
    assert report.mode == "directions" and report.verdict is FAIL
    assert report.worst is not None and report.worst.index == (1234,)
    assert report.evaluations <= 150


def test_an_error_spread_over_all_elements_is_found_along_directions() -> None:
    x = np.random.default_rng(0).standard_normal(5000)
    report = check_gradients(np.exp, x, gradient=lambda x, v: v * np.exp(x) * (1 + 1e-5))
    assert report.verdict is FAIL
    assert sum(f.index is not None and f.verdict is FAIL for f in report.findings) > 3


def test_directions_say_what_they_may_miss() -> None:
    x = np.random.default_rng(0).standard_normal(5000)
    report = check_gradients(np.exp, x)
    assert report.passed and report.minimum_detectable_error < 1e-3
    assert 0 < report.miss_probability(1e-3) < 1e-4 < report.miss_probability(1e-6) <= 1


# Inputs of every kind


def test_nested_inputs_and_outputs() -> None:
    def f(layers: Any, scale: float, name: str, t: Array) -> Any:
        hidden = np.tanh(layers[0]["w"] * scale)
        return {"hidden": hidden, "loss": np.sum(hidden[t] * layers[1])}

    layers = [{"w": np.array([0.5, -1.0, 2.0])}, np.array([1.0, 2.0])]
    report = check_gradients(f, layers, 1.5, "a name", np.array([0, 2]))
    assert report.verdict is PASS
    assert [leaf.name for leaf in report.problem.variables] == ["layers[0]['w']", "layers[1]", "scale"]


def test_labels_may_be_left_out_of_the_gradients_or_be_none() -> None:
    scores, t = np.random.default_rng(0).standard_normal((3, 4)), np.array([0, 3, 1])

    def gradient(scores: Array, t: Array, v: Array) -> Array:
        p = F.softmax(scores)
        p[np.arange(len(t)), t] -= 1
        return v * p / len(t)

    for wrap in (lambda g: g, lambda g: (g,), lambda g: (g, None), lambda g: [g, None]):
        assert_gradients(F.softmax_cross_entropy, scores, t, gradient=lambda *args, wrap=wrap: wrap(gradient(*args)))


def test_a_model_is_checked_through_its_parameters_and_left_as_it_was() -> None:
    net = TwoLayerNet(4, 3, 2, activation="tanh", rng=np.random.default_rng(0))
    x, t = np.random.default_rng(1).standard_normal((5, 4)), np.array([0, 1, 1, 0, 1])
    before = {name: p.data.copy() for name, p in net.params.items()}
    marker = np.ones(2)
    net.params["b2"].grad = marker
    report = check_gradients(net.loss, x, t, model=net)
    assert report.verdict is PASS
    assert [leaf.name for leaf in report.problem.variables] == ["x", *(f"params[{name!r}]" for name in net.params)]
    assert all(np.array_equal(p.data, before[name]) for name, p in net.params.items())
    assert net.params["b2"].grad is marker
    assert check_gradients(net.loss, x, t, model=net, gradient=lambda x, t, v: scaled(net, x, t, v)).verdict is PASS


def scaled(net: TwoLayerNet, x: Array, t: Array, v: Array, wrong: str = "") -> dict[str, Array]:
    with no_grad():
        params = {name: Tensor(p.data, requires_grad=True) for name, p in net.params.items()}
    twin = TwoLayerNet(4, 3, 2, activation="tanh")
    for name, parameter in params.items():
        setattr(twin, name, parameter)
    from tinygrad_kr.engine.graph import recording

    with recording():
        gradients = twin.gradient(x, t)
    return {name: v * g * (1 + 1e-4 * (name == wrong)) for name, g in gradients.items()}


def test_a_wrong_gradient_of_one_parameter_is_named() -> None:
    net = TwoLayerNet(4, 3, 2, activation="tanh", rng=np.random.default_rng(0))
    x, t = np.random.default_rng(1).standard_normal((5, 4)), np.array([0, 1, 1, 0, 1])
    report = check_gradients(net.loss, x, t, model=net, gradient=lambda x, t, v: scaled(net, x, t, v, "b1"))
    assert {f.input for f in report.findings if f.verdict is FAIL} == {"params['b1']"}


def test_a_model_is_put_back_when_f_raises() -> None:
    net = TwoLayerNet(2, 3, 2, rng=np.random.default_rng(0))
    before = net.params["W1"].data.copy()
    calls = []

    def stubborn() -> Any:
        calls.append(1)
        if len(calls) > 20:
            raise KeyError("enough")
        return net.loss(np.ones((1, 2)), np.array([0]))

    with pytest.raises(KeyError, match="enough"):
        check_gradients(stubborn, model=net)
    assert np.array_equal(net.params["W1"].data, before)


def test_float32_inputs_are_checked_in_float64_and_then_compared() -> None:
    x = np.array([0.5, -1.0], np.float32)
    report = check_gradients(np.tanh, x)
    assert report.verdict is PASS and verdict_of(report, "float32") is PASS

    def coarse(x: Array, v: Array) -> Array:
        slope = 1 - np.tanh(x) ** 2
        return v * (slope if x.dtype == np.float64 else np.round(slope, 1))

    assert verdict_of(check_gradients(np.tanh, x, gradient=coarse), "float32") is FAIL


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_empty_inputs_are_no_pass(shape: tuple[int, ...]) -> None:
    report = check_gradients(np.tanh, np.zeros(shape))
    assert report.verdict is INCONCLUSIVE and "nothing to check" in report.reason


def test_a_zero_cotangent_is_no_pass() -> None:
    report = check_gradients(np.tanh, np.ones(2), cotangent=np.zeros(2))
    assert report.verdict is INCONCLUSIVE and "nothing to check" in report.reason


def test_a_refuted_element_beside_a_large_one_is_no_pass() -> None:
    def f(x: Array) -> Array:
        return np.array([1e8 * x[0], np.exp(-(((x[1] - 1.000001) / 1e-6) ** 2))])

    report = check_gradients(f, np.array([1, 1.0000005]), gradient=lambda x, v: np.array([1e8 * v[0], 0.0]))
    assert report.verdict in (FAIL, INCONCLUSIVE), report


def test_second_order() -> None:
    x, w = np.array([0.5, -1.0]), np.array([2.0, 3.0])
    assert check_gradients(lambda x, w: np.sum(np.sin(x * w)), x, w, order=2).verdict is PASS
    with pytest.raises(ValueError, match="order=2"):
        check_gradients(np.sin, x, gradient=lambda x, v: v, order=2)


def test_the_documents_numerical_gradient_as_a_mode() -> None:
    x = np.array([[0.5, -1.0], [2.0, 0.0]])
    report = check_gradients(np.tanh, x, mode="numerical")
    assert report.verdict is PASS and all(f.step == 1e-4 for f in report.findings)
    wrong = check_gradients(np.tanh, x, gradient=lambda x, v: v * (1 - np.tanh(x)), mode="numerical")
    assert wrong.verdict is FAIL
    assert check_gradients(relu, np.array([0.0]), gradient=lambda x, v: 0 * v, mode="numerical").verdict is KINK


# Exact properties


def verdict_of(report: Report, exact_property: str) -> Verdict:
    return next(c.verdict for c in report.exact_properties if c.name == exact_property)


class Stale:
    """Backward passes that remember what they should not."""

    def __init__(self) -> None:
        self.x: Array = None

    def last_call(self, x: Array, v: Array) -> Array:
        before, self.x = (x if self.x is None else self.x), x.copy()
        return v * np.cos(before)

    def first_call(self, x: Array, v: Array) -> Array:
        self.x = x.copy() if self.x is None else self.x
        return v * np.cos(self.x)


class StaleRelu:
    """A layer that keeps its first mask: a second point close to the first would not show it."""

    def __init__(self) -> None:
        self.mask: Array = None

    def backward(self, x: Array, v: Array) -> Array:
        self.mask = x > 0 if self.mask is None else self.mask
        return v * self.mask


def mutates_input(x: Array, v: Array) -> Array:
    g = v * np.cos(x)
    x *= 2
    return g


def mutates_cotangent(x: Array, v: Array) -> Array:
    v *= np.cos(x)
    return v.copy()


def drifting() -> Function:
    drift = iter(range(1, 1000))
    return lambda x, v: v * np.cos(x) * (1 + 1e-9 * next(drift))


COMPANIONS: list[tuple[str, Function, Function]] = [
    ("linearity", np.sin, lambda x, v: np.cos(x) * np.abs(v)),
    ("linearity", np.sin, lambda x, v: float32(v * np.cos(x)).astype(float)),
    ("zero cotangent", np.sin, lambda x, v: v * np.cos(x) + 1e-3),
    ("backward determinism", np.sin, drifting()),
    ("mutation", np.sin, mutates_input),
    ("mutation", np.sin, mutates_cotangent),
    ("aliasing", lambda x: x + 1, lambda x, v: v),
    ("dtype and shape", np.sin, lambda x, v: float32(v * np.cos(x))),
    ("dtype and shape", np.sin, lambda x, v: (v * np.cos(x))[:1]),
    ("dtype and shape", np.sin, lambda x, v: np.zeros(x.shape, int)),
    ("dtype and shape", np.sin, lambda x, v: (None,)),
    ("stale cache", np.sin, Stale().last_call),
    ("stale cache", np.sin, Stale().first_call),
    ("stale cache", relu, StaleRelu().backward),
    ("layouts", np.sin, lambda x, v: v * np.cos(np.ndarray(x.shape, x.dtype, np.ravel(x, "K")))[..., ::1] * scale(x)),
]


def scale(x: Array) -> float:
    return 1.0 if x.flags.c_contiguous else 1.5


@pytest.mark.parametrize(
    ("name", "f", "gradient"), COMPANIONS, ids=[f"{i}-{row[0]}" for i, row in enumerate(COMPANIONS)]
)
def test_a_broken_property_is_seen(name: str, f: Function, gradient: Function) -> None:
    report = check_gradients(f, np.array([0.3, 1.1, -0.4]), gradient=gradient)
    assert report.verdict is FAIL and verdict_of(report, name) is FAIL, str(report)
    assert f"{name}: " in str(report)


def test_a_read_only_input_that_is_written_to() -> None:
    def gradient(x: Array, v: Array) -> Array:
        if not x.flags.writeable:
            x[...] = x
        return v * np.cos(x)

    assert verdict_of(check_gradients(np.sin, np.array([0.3]), gradient=gradient), "layouts") is FAIL


def test_two_inputs_that_are_one_array() -> None:
    def gradient(a: Array, b: Array, v: Array) -> Any:
        return (v * b, v * a) if a is not b else (2 * v * b, 2 * v * a)

    report = check_gradients(np.multiply, np.array([1.0, 2.0]), np.array([3.0, 4.0]), gradient=gradient)
    assert verdict_of(report, "repeated input") is FAIL
    assert verdict_of(check_gradients(np.multiply, np.ones(2), np.ones(2)), "repeated input") is PASS


def test_a_function_that_is_not_deterministic_cannot_be_checked() -> None:
    rng = np.random.default_rng(0)
    report = check_gradients(lambda x: x * rng.uniform(), np.array([1.0]), gradient=lambda x, v: v)
    assert report.verdict is INCONCLUSIVE and "seed" in report.reason


def test_companions_can_be_left_out() -> None:
    report = check_gradients(np.sin, np.array([0.3]), exact_properties=False)
    assert [c.name for c in report.exact_properties] == ["dtype and shape"]


# Reports


def report_of_a_failure(**options: Any) -> Report:
    return check_gradients(np.sin, np.array([0.3, 1.1]), gradient=lambda x, v: v * np.cos(x) * [1, 1.5], **options)


def test_a_failure_names_the_element_the_truth_its_bar_and_how_to_see_it_again() -> None:
    report = report_of_a_failure(seed=3)
    text = str(report)
    assert text.startswith("check_gradients: sin: FAIL: wrong gradient for x")
    worst = report.worst
    assert worst is not None and worst.label == "x[1]" and worst.at == 1.1
    assert math.isclose(worst.claimed / worst.estimate, 1.5, rel_tol=1e-9) and worst.bar < 1e-8
    assert f"worst: x[1] at 1.1: given {worst.claimed:.10g}, true {worst.estimate:.10g} +- " in text
    assert "reproduce: check_gradients(sin, np.array([0.3, 1.1]), gradient=" in text and "seed=3)" in text


def test_the_same_call_says_the_same() -> None:
    def without_time(report: Report) -> str:
        return "\n".join(line for line in str(report).splitlines() if "cost:" not in line)

    assert without_time(report_of_a_failure()) == without_time(report_of_a_failure())
    assert report_of_a_failure().claimed[0][0] != report_of_a_failure(seed=1).claimed[0][0]


def test_html_stands_on_its_own_and_escapes() -> None:
    html = check_gradients(lambda x: np.sin(x), np.array([[0.3, 1.1]]), gradient=lambda x, v: v).to_html()
    assert "&lt;lambda&gt;" in html and "<lambda>" not in html
    assert html.count("<td") > 2 and "http" not in html


def test_pictures(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    report_of_a_failure().plot(tmp_path / "failure.png")
    assert (tmp_path / "failure.png").stat().st_size > 5000


def test_assert_gradients_raises_the_report() -> None:
    with pytest.raises(GradientMismatch, match=r"worst: x\[0\]") as caught:
        assert_gradients(np.sin, np.array([0.3]), gradient=lambda x, v: v)
    assert isinstance(caught.value, AssertionError) and caught.value.report.verdict is FAIL


def test_inconclusive_raises_unless_it_may_pass() -> None:
    cancelling = lambda x: 1e8 + np.sin(x)
    with pytest.raises(GradientMismatch, match="INCONCLUSIVE"):
        assert_gradients(cancelling, np.array([0.3]))
    assert assert_gradients(cancelling, np.array([0.3]), inconclusive="pass").verdict is INCONCLUSIVE


@pytest.mark.parametrize("budget", [{"max_evaluations": 60}, {"max_seconds": 0.0}])
def test_a_budget_ends_the_check_and_says_so(budget: dict[str, Any]) -> None:
    report = check_gradients(np.sin, np.linspace(0.1, 1, 100), mode="full", **budget)
    assert report.verdict is INCONCLUSIVE and "used up" in report.reason
    assert report.evaluations < 100


def test_progress_wraps_long_loops() -> None:
    seen: list[int] = []

    def progress(items: Any) -> Any:
        for item in items:
            seen.append(1)
            yield item

    check_gradients(np.sin, np.linspace(0.1, 1, 10), progress=progress)
    assert len(seen) == 10


# Errors


ERRORS: list[tuple[str, Callable[[], Any], type[Exception], str]] = [
    ("only labels", lambda: check_gradients(np.sin, np.array([1, 2])), DtypeError, "no input holds floats"),
    ("complex", lambda: check_gradients(np.sin, np.array([1j])), DtypeError, "complex"),
    ("NaN input", lambda: check_gradients(np.sin, np.array([1.0, np.nan])), NonFiniteError, r"\[1\] is nan"),
    (
        "NaN output",
        lambda: check_gradients(lambda x: x / 0, np.array([1.0])),
        NonFiniteError,
        "not finite at the inputs",
    ),
    (
        "integer output",
        lambda: check_gradients(np.argmax, np.array([1.0]), gradient=abs),
        DtypeError,
        "must return floats",
    ),
    ("mode", lambda: check_gradients(np.sin, np.ones(1), mode="quick"), ValueError, "mode must be"),
    ("order", lambda: check_gradients(np.sin, np.ones(1), order=3), ValueError, "order must be 1 or 2"),
    (
        "cotangent",
        lambda: check_gradients(np.sin, np.ones(2), cotangent=np.ones(3)),
        ShapeError,
        r"expected \(2,\), got \(3,\)",
    ),
    (
        "too many gradients",
        lambda: check_gradients(np.multiply, np.ones(2), np.ones(2), gradient=lambda a, b, v: (v, v, v)),
        ShapeError,
        "tuple of 2, got 3 values",
    ),
    (
        "one gradient for two inputs",
        lambda: check_gradients(np.multiply, np.ones(2), np.ones(2), gradient=lambda a, b, v: v.sum()),
        ShapeError,
        "one gradient for each input",
    ),
    (
        "another structure",
        lambda: check_gradients(lambda p: p["w"], {"w": np.ones(2)}, gradient=lambda p, v: {"b": v}),
        ShapeError,
        "another structure",
    ),
    (
        "no model",
        lambda: check_gradients(np.sin, np.ones(1), model=3),
        TypeError,
        "params or a method named_parameters",
    ),
    (
        "float32 model",
        lambda: check_gradients(lambda: 1.0, model=TwoLayerNet(2, 2, 2, dtype=np.float32)),
        DtypeError,
        "astype",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_misuse_says_what_to_do(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with np.errstate(all="ignore"), pytest.raises(error, match=message):
        call()
