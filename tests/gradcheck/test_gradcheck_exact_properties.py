"""The harness around the measurements: exact properties, budgets, models put back. No right gradient fails for it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from tinygrad_kr import functional as F
from tinygrad_kr import nn
from tinygrad_kr.gradcheck import Report, Verdict, check_gradients, html

Array = Any
Function = Callable[..., Any]
PASS, INCONCLUSIVE, FAIL = Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL
MIXED = np.array([0.3, 1.1, -0.4, 2.0])


def exact_property(report: Report, name: str) -> Any:
    return next(c for c in report.exact_properties if c.name == name)


# Stale caches: right gradients are judged only where the user is


DOMAINS: dict[str, tuple[Function, Function, Array]] = {
    "clipped logarithm": (
        lambda p: -np.log(np.clip(p, 1e-12, 1)),
        lambda p, v: -v / np.clip(p, 1e-12, 1),
        np.array([0.3, 0.7]),
    ),
    "clipped, constant slope": (lambda p: np.clip(p, 0, None) * [2, 3], lambda p, v: v * [2, 3], np.array([0.3, 0.7])),
    "up to the edge": (
        lambda p: np.sum(np.clip(p, 0, 1) ** 2),
        lambda p, v: 2 * v * p,
        np.array([0.9995, 0.5, 0.02]),
    ),
    "correlation": (
        lambda r: np.log1p(-np.minimum(r * r, 0.999999)),
        lambda r, v: -2 * v * r / (1 - r * r),
        np.array([0.999, -0.5]),
    ),
    "magnitude": (lambda s: np.log(np.abs(s)) * s, lambda s, v: v * (np.log(s) + 1), np.array([0.4, 2.5])),
    "no logarithm left": (lambda x: np.sqrt(x), lambda x, v: v / (2 * np.emath.sqrt(x).real), np.array([0.4, 2.5])),
    "a symmetric matrix": (
        lambda a: np.linalg.slogdet(a)[1],
        lambda a, v: v * np.linalg.inv(a),
        np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.4], [0.1, -0.4, 1.5]]),
    ),
    "knots in order": (
        lambda knots: np.interp([0.5, 1.5], knots, [0.0, 1.0, 3.0]),
        lambda knots, v: np.array(
            [
                v[0] * (0.5 - knots[1]) / (knots[1] - knots[0]) ** 2,
                -v[0] * (0.5 - knots[0]) / (knots[1] - knots[0]) ** 2
                + v[1] * 2 * (1.5 - knots[2]) / (knots[2] - knots[1]) ** 2,
                -v[1] * 2 * (1.5 - knots[1]) / (knots[2] - knots[1]) ** 2,
            ]
        ),
        np.array([0.1, 1.0, 2.0]),
    ),
}


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("mode", ["full", "directions"])
def test_a_gradient_that_is_right_in_its_domain_is_not_judged_outside(name: str, mode: Any) -> None:
    f, gradient, x = DOMAINS[name]
    report = check_gradients(f, x, gradient=gradient, mode=mode)
    assert report.verdict is PASS, report


class Remembers:
    """Backward passes that keep what they should compute anew."""

    def __init__(self, when: str) -> None:
        self.when, self.kept = when, None

    def old(self, new: Array) -> Array:
        before = new if self.kept is None else self.kept
        self.kept = before if self.when == "first" else new
        return before


@pytest.mark.parametrize("when", ["first", "last"])
@pytest.mark.parametrize("shape", [(4,), (2, 2), (1, 4), (4, 1)])
def test_a_remembered_mask_and_a_remembered_input_are_caught(when: str, shape: tuple[int, ...]) -> None:
    x = MIXED.reshape(shape)
    mask, input_ = Remembers(when), Remembers(when)
    report = check_gradients(lambda x: np.maximum(x, 0), x, gradient=lambda x, v: v * mask.old(x > 0))
    assert exact_property(report, "stale cache").verdict is FAIL, report
    report = check_gradients(np.sin, x, gradient=lambda x, v: v * np.cos(input_.old(x.copy())))
    assert exact_property(report, "stale cache").verdict is FAIL, report


@pytest.mark.parametrize("when", ["first", "last"])
@pytest.mark.parametrize("seed", range(5))
def test_a_remembered_mask_inside_a_small_network_is_caught(when: str, seed: int) -> None:
    rng, mask = np.random.default_rng(seed), Remembers(when)
    t = np.array([0, 1, 1, 0])

    def f(x: Array, w1: Array, b: Array, w2: Array) -> Array:
        scores = np.maximum(x @ w1 + b, 0) @ w2
        return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(4), t])

    def gradient(x: Array, w1: Array, b: Array, w2: Array, v: Array) -> Any:
        on = mask.old(x @ w1 + b > 0)
        hidden = (x @ w1 + b) * on
        e = np.exp(hidden @ w2)
        d2 = v * (e / e.sum(axis=1, keepdims=True) - np.eye(2)[t]) / 4
        d1 = d2 @ w2.T * on
        return d1 @ w1.T, x.T @ d1, d1.sum(axis=0), hidden.T @ d2

    inputs = (
        rng.standard_normal((4, 3)),
        rng.standard_normal((3, 5)),
        rng.standard_normal(5),
        rng.standard_normal((5, 2)),
    )
    report = check_gradients(f, *inputs, gradient=gradient)
    assert report.worst is None and exact_property(report, "stale cache").verdict is FAIL, report


def test_the_report_says_where_the_second_point_is() -> None:
    kept = Remembers("first")
    report = check_gradients(np.sin, MIXED, gradient=lambda x, v: v * np.cos(kept.old(x.copy())))
    second = report.second_point["x"]
    assert np.all(second != MIXED) and np.allclose(second, MIXED, rtol=1e-3)
    assert f"the second point: x = np.array({second.tolist()})" in str(report)
    assert list(check_gradients(np.sin, MIXED).second_point) == ["x"]
    assert not check_gradients(np.sin, MIXED, exact_properties=False).second_point


def test_the_second_point_names_the_parameters_of_a_model() -> None:
    class Layer:
        params: ClassVar = {"w": MIXED.copy()}

    kept, layer = Remembers("first"), Layer()
    f = lambda: np.sin(layer.params["w"])
    report = check_gradients(f, gradient=lambda v: {"w": v * np.cos(kept.old(layer.params["w"].copy()))}, model=layer)
    (second,) = report.second_point.values()
    assert f"the second point: params['w'] = np.array({second.tolist()})" in str(report)


def test_a_gradient_function_that_refuses_far_away_points_does_not_fail() -> None:
    def gradient(p: Array, v: Array) -> Array:
        if p[0] > p[1]:
            raise RuntimeError("not in order")
        return v * 2 * p

    report = check_gradients(np.square, np.array([0.3, 0.7]), gradient=gradient)
    assert report.verdict is PASS and exact_property(report, "stale cache").verdict is PASS, report


# Determinism


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [30, 1000])
def test_sums_in_another_order_are_the_same(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms, order = 300 * rng.standard_normal(n), np.random.default_rng(seed)

    def total(terms: Array) -> float:
        return sum(terms[i] for i in order.permutation(n))

    def f(x: Array) -> Array:
        return np.array([total(terms * x[0]), np.exp(x[1]) * total(np.abs(terms))])

    def gradient(x: Array, v: Array) -> Array:
        return np.array([v[0] * total(terms), v[1] * np.exp(x[1]) * total(np.abs(terms))])

    report = check_gradients(f, np.array([0.7, 0.2]), gradient=gradient)
    assert report.verdict is PASS, report


def test_a_gradient_that_cancels_may_be_summed_in_another_order() -> None:
    rng = np.random.default_rng(0)
    data, order = rng.standard_normal((200, 3)), np.random.default_rng(1)
    target = rng.standard_normal(200)
    best = np.linalg.lstsq(data, target)[0]
    loss = lambda w: 0.5 * np.sum((data @ w - target) ** 2)

    def gradient(w: Array, v: Array) -> Array:
        rows = order.permutation(200)
        return v * (data[rows].T @ (data[rows] @ w - target[rows]))

    report = check_gradients(loss, best, gradient=gradient)
    assert exact_property(report, "backward determinism").verdict is PASS, report
    assert exact_property(report, "stale cache").verdict is PASS, report


@pytest.mark.parametrize("level", [1e-3, 1e-6, 1e-9, 1e-11])
def test_what_is_random_is_not_deterministic(level: float) -> None:
    rng = np.random.default_rng(0)
    random = lambda y: y * (1 + level * rng.standard_normal(y.shape))
    report = check_gradients(np.sin, MIXED, gradient=lambda x, v: random(v * np.cos(x)))
    assert exact_property(report, "backward determinism").verdict is FAIL, report
    report = check_gradients(lambda x: random(np.sin(x)), MIXED, gradient=lambda x, v: v * np.cos(x))
    assert exact_property(report, "forward determinism").verdict is FAIL and report.verdict is INCONCLUSIVE, report


# float32


def batch_norm(x: Array, gamma: Array, eps: float = 1e-5) -> Array:
    centred = x - x.mean(axis=0)
    return gamma * (centred / np.sqrt((centred**2).mean(axis=0) + x.dtype.type(eps)))


def batch_norm_backward(x: Array, gamma: Array, v: Array) -> tuple[Array, Array]:
    centred = x - x.mean(axis=0)
    std = np.sqrt((centred**2).mean(axis=0) + x.dtype.type(1e-5))
    normal, v = centred / std, v.astype(x.dtype)
    g = gamma * (v - v.mean(axis=0) - normal * (v * normal).mean(axis=0)) / std
    return g, (v * normal).sum(axis=0)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("seed", range(12))
def test_batch_norm_of_two_in_float32_cancels(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x = (scale * rng.standard_normal((2, 4))).astype(np.float32)
    gamma = rng.uniform(0.5, 2, 4).astype(np.float32)
    report = check_gradients(batch_norm, x, gamma, gradient=batch_norm_backward)
    assert exact_property(report, "float32").verdict is PASS and report.verdict is not FAIL, report


@pytest.mark.parametrize("seed", range(6))
def test_our_batch_norm_of_two_in_float32(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, layer = rng.standard_normal((2, 5)).astype(np.float32), nn.BatchNorm(5, dtype=np.float32)
    report = check_gradients(lambda x: layer(x), x)
    assert exact_property(report, "float32").verdict is PASS, report


def test_a_backward_pass_that_is_wrong_in_float32_alone_is_caught() -> None:
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    gamma = np.ones(4, np.float32)

    def gradient(x: Array, gamma: Array, v: Array) -> Any:
        g, dgamma = batch_norm_backward(x, gamma, v)
        return (g, dgamma) if x.dtype == np.float64 else (g * np.float32(1.01), dgamma)

    assert exact_property(check_gradients(batch_norm, x, gamma, gradient=gradient), "float32").verdict is FAIL
    x = np.linspace(0.1, 3, 20_000, dtype=np.float32)
    report = check_gradients(
        np.sin, x, gradient=lambda x, v: v.astype(x.dtype) * np.cos(x) * (1 if x.itemsize == 8 else x.dtype.type(1.01))
    )
    assert exact_property(report, "float32").verdict is FAIL


# What an exact property meets costs no check


@pytest.mark.parametrize("requires", ["output", "gradient", "input", "cotangent"])
def test_tensors_that_require_a_gradient_may_be_handed_over(requires: str) -> None:
    torch = pytest.importorskip("torch")
    x, w = torch.linspace(0.1, 1, 3, dtype=torch.float64), torch.ones(3, dtype=torch.float64, requires_grad=True)
    f = lambda x: torch.sin(torch.tensor(x)) * (w if requires == "output" else 1)
    gradient = lambda x, v: torch.tensor(v) * torch.cos(torch.tensor(x)) * (w if requires == "gradient" else 1)
    cotangent = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    report = check_gradients(
        f,
        x.requires_grad_() if requires == "input" else x,
        gradient=gradient,
        cotangent=cotangent if requires == "cotangent" else None,
    )
    assert report.verdict is PASS, report
    assert all(c.verdict is PASS for c in report.exact_properties if c.name not in ("repeated input", "float32")), (
        report
    )


FAR_AWAY = 8  # the number of the call outside the domain, where the gradient function may raise


@pytest.mark.parametrize("calls", range(2, 12))
def test_a_gradient_that_raises_in_a_companion_costs_that_companion_alone(calls: int) -> None:
    count = iter(range(1, 100))

    def gradient(x: Array, v: Array) -> Array:
        if next(count) == calls:
            raise RuntimeError("not this time")
        return v * np.cos(x)

    report = check_gradients(np.sin, MIXED, gradient=gradient)
    assert report.verdict is PASS, report
    lost = [c for c in report.exact_properties if "RuntimeError: not this time" in c.message]
    assert {c.verdict for c in lost} <= {INCONCLUSIVE}
    assert all(f"{c.name} (RuntimeError: not this time)" in str(report) for c in lost)
    assert len(lost) == (calls != FAR_AWAY)


def test_a_gradient_that_raises_while_a_pattern_is_looked_for_does_not_cost_the_report() -> None:
    def gradient(x: Array, v: Array) -> Array:
        if np.all(v == 1):
            raise RuntimeError("not of ones")
        return 2 * v * np.cos(x)

    report = check_gradients(np.sin, MIXED, gradient=gradient)
    assert report.verdict is FAIL and "2 times" in report.patterns[0], report


@pytest.mark.parametrize(
    ("accepts", "says", "layout"),
    [
        (lambda x: x.flags.c_contiguous, "ndarray is not C-contiguous", "strided"),
        (lambda x: x.flags.writeable, "buffer source array is read-only", "read-only"),
    ],
)
def test_a_layout_that_is_refused_aloud_is_no_wrong_gradient(accepts: Function, says: str, layout: str) -> None:
    def gradient(x: Array, v: Array) -> Array:
        if not accepts(x):
            raise ValueError(says)  # as compiled code does
        return v * np.cos(x)

    report = check_gradients(np.sin, MIXED, gradient=gradient)
    assert report.verdict is PASS and f"layouts ({layout} inputs are refused: {says})" in str(report), report


def test_of_a_layout_that_is_refused_the_others_are_looked_at() -> None:
    def gradient(x: Array, v: Array) -> Array:
        if not x.flags.c_contiguous:
            raise ValueError("ndarray is not C-contiguous")
        return v * np.cos(x) * (1 if x.flags.writeable else 2)

    assert exact_property(check_gradients(np.sin, MIXED, gradient=gradient), "layouts").verdict is FAIL


def test_the_linearity_message_tells_the_numbers_apart() -> None:
    report = check_gradients(np.sin, MIXED, gradient=lambda x, v: v * np.cos(x) * (1 + 1e-12 * np.sum(v)))
    message = exact_property(report, "linearity").message
    assert exact_property(report, "linearity").verdict is FAIL and "off by" in message, message


# Budgets


@pytest.mark.parametrize("limit", [1, 2, 5, 28, 29, 33, 40, 47, 60, 77, 100, 130])
@pytest.mark.parametrize("mode", ["full", "directions", "numerical"])
def test_no_check_takes_more_evaluations_than_allowed(limit: int, mode: Any) -> None:
    count = 0

    def f(x: Array, w: Array) -> Array:
        nonlocal count
        count += 1
        return np.maximum(x, 0) @ w

    x, w = np.random.default_rng(0).standard_normal((3, 4)), np.random.default_rng(1).standard_normal((4, 2))
    x[0, 0] = 0.0
    for gradient in (lambda x, w, v: ((v @ w.T) * (x > 0), np.maximum(x, 0).T @ v), lambda x, w, v: (v @ w.T, x.T @ v)):
        count = 0
        report = check_gradients(f, x, w, gradient=gradient, mode=mode, max_evaluations=limit)
        assert count == report.evaluations <= limit
        if limit < 60:
            assert report.verdict is INCONCLUSIVE and "used up" in str(report), report
        if limit < 40:
            assert "stale cache (the evaluations or the time allowed are used up)" in str(report)


def test_a_right_gradient_does_not_fail_for_want_of_evaluations() -> None:
    f, gradient = lambda x: np.abs(x) ** 1.5 + 1e-3 * np.maximum(x, 0), None
    for limit in range(1, 120, 7):
        assert check_gradients(f, MIXED, gradient=gradient, max_evaluations=limit).verdict in (PASS, INCONCLUSIVE)


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.mark.parametrize("mode", ["full", "directions", "numerical"])
@pytest.mark.parametrize(("each", "backward"), [(0.01, 0.02), (0.05, 0.05), (0.1, 0.3), (0.0001, 0.2)])
def test_no_check_takes_more_seconds_than_allowed(
    mode: Any, each: float, backward: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock.perf_counter)

    def f(x: Array) -> Array:
        clock.now += each
        return np.sin(x)

    def gradient(x: Array, v: Array) -> Array:
        clock.now += backward
        return v * np.cos(x) * 1.001

    report = check_gradients(f, np.linspace(0.1, 1, 30), gradient=gradient, mode=mode, max_seconds=1)
    assert report.seconds == clock.now - 100 <= 1


def test_a_picture_is_no_part_of_the_budget() -> None:
    pytest.importorskip("matplotlib")
    figure = check_gradients(np.sin, MIXED, max_evaluations=60).plot()
    errors = figure.axes[1].get_lines()[1].get_ydata()
    assert np.isfinite(np.asarray(errors, float)).sum() > 10


def test_warnings_at_points_that_the_check_chose_are_not_given(recwarn: pytest.WarningsRecorder) -> None:
    def f(x: Array) -> Array:
        if np.any(x > 1):
            warnings.warn("x must be a probability", stacklevel=1)
        return np.log(x)

    assert check_gradients(f, np.array([0.5, 1.0]), gradient=lambda x, v: v / x).passed
    assert [str(w.message) for w in recwarn] == []
    check_gradients(f, np.array([0.5, 1.5]), gradient=lambda x, v: v / x)
    assert {str(w.message) for w in recwarn} == {"x must be a probability"}  # where the user asked for it


# Models are put back


@pytest.mark.parametrize("fails", [False, True])
def test_a_torch_module_keeps_its_buffers_gradients_and_modes(fails: bool) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh()).double()
    net[0].eval()
    net(torch.ones(2, 3, dtype=torch.float64)).sum().backward()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    gradients = {name: p.grad.clone() for name, p in net.named_parameters()}
    owned = {name: p.grad for name, p in net.named_parameters()}
    modes = [module.training for module in net.modules()]
    calls = []

    def f(x: Any) -> Any:
        calls.append(x)
        if fails and len(calls) > 20:
            raise RuntimeError("in the middle")
        return net.train()(torch.tensor(x))

    def gradient(x: Any, v: Any) -> Any:
        x = torch.tensor(x, requires_grad=True)
        net.zero_grad(set_to_none=False)
        net.train()(x).backward(torch.tensor(v))
        return x.grad, {name: p.grad.clone() for name, p in net.named_parameters()}

    x = np.random.default_rng(0).standard_normal((3, 3))
    if fails:
        with pytest.raises(RuntimeError, match="in the middle"):
            check_gradients(f, x, gradient=gradient, model=net)
    else:
        assert check_gradients(f, x, gradient=gradient, model=net, mode="directions").verdict is not FAIL
    for name, value in net.state_dict().items():
        assert torch.equal(value, state[name]), name
    for name, p in net.named_parameters():
        assert p.grad is owned[name] and torch.equal(p.grad, gradients[name]), name
    assert [module.training for module in net.modules()] == modes


def test_a_torch_buffer_that_is_made_anew_gets_its_values_back() -> None:
    torch = pytest.importorskip("torch")

    class Centred(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
            self.register_buffer("seen", torch.ones(2))
            self.register_buffer("pairs", torch.eye(2).to_sparse())

        def forward(self, x: Any) -> Any:
            self.seen = 0.9 * self.seen + 0.1 * x.mean(0).float()
            return torch.sin(x + self.shift)

    net = Centred()
    gradient = lambda x, v: {"shift": (torch.tensor(v) * torch.cos(torch.tensor(x) + net.shift.detach())).sum(0)}
    report = check_gradients(lambda x: net(torch.tensor(x)), np.ones((3, 2)), gradient=gradient, model=net)
    assert report.verdict is PASS, report
    assert torch.equal(net.seen, torch.ones(2))


def test_our_batch_norm_keeps_its_buffers_and_modes() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(3, 4, rng=np.random.default_rng(0))
            self.norm = nn.BatchNorm(4)

        def forward(self, x: Any) -> Any:
            return F.tanh(self.norm(self.linear(x)))

    net = Net()
    net.eval()
    net.norm.training = True
    before = {name: value.copy() for name, value in net.state().items()}
    report = check_gradients(lambda x: net.train()(x), np.random.default_rng(1).standard_normal((5, 3)), model=net)
    assert report.verdict is not FAIL, report
    for name, value in net.state().items():
        assert np.array_equal(value, before[name]), name
    assert [module.training for _, module in net.named_modules()] == [False, False, True]


# What is shown


def test_the_axes_of_a_picture_are_whole_numbers() -> None:
    pytest.importorskip("matplotlib")
    for shape in ((1,), (2,), (1, 2), (2, 1), (3, 4), (40, 3)):
        figure = check_gradients(np.sin, np.linspace(0.1, 1, int(np.prod(shape))).reshape(shape)).plot()
        figure.canvas.draw()
        ax = figure.axes[0]
        for axis in (ax.xaxis, ax.yaxis):
            ticks = [label.get_text().replace("−", "-") for label in axis.get_ticklabels()]
            assert ticks and all(float(text).is_integer() for text in ticks if text), (shape, ticks)
            assert all(text.lstrip("-").isdigit() for text in ticks if text), (shape, ticks)


def test_long_lines_of_a_report_wrap_in_html() -> None:
    page = check_gradients(np.sin, MIXED, gradient=lambda x, v: 2 * v * np.cos(x)).to_html()
    assert '<div class="gradcheck"' in page and ".gradcheck pre { white-space: pre-wrap;" in page
    assert "overflow-x" not in html.STYLE  # which would scroll instead
