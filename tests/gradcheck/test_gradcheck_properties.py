"""Right gradients pass the tests made for them; wrong ones fail with the smallest example."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase

from tinygrad_kr import functional as F
from tinygrad_kr.gradcheck import Finding, GradientMismatch, Verdict
from tinygrad_kr.gradcheck.with_hypothesis import identities, properties, subject
from tinygrad_kr.gradcheck.with_hypothesis import strategies as gs
from tinygrad_kr.gradcheck.with_hypothesis.properties import (
    Example,
    gradient_property,
    homogeneous,
    rows_sum_to_zero,
    sums_to_zero,
)

Array = Any
FEW = 20


def softmax(x: Array) -> Array:
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True, initial=-9))
    return powers / np.sum(powers, axis=-1, keepdims=True)


def softmax_backward(x: Array, v: Array) -> Array:
    s = softmax(x)
    return s * (v - np.sum(v * s, axis=-1, keepdims=True))


def logistic_ratios(x: Array) -> Array:
    """Softmax by another formula: each element from the differences to all others."""
    return 1 / np.sum(np.exp(x[..., None, :] - x[..., :, None]), axis=-1)


def cross_entropy(scores: Array, t: Array) -> float:
    return float(-np.sum(one_hot(scores, t) * np.log(softmax(scores))) / len(scores))


def cross_entropy_backward(scores: Array, t: Array, v: float) -> Array:
    return v * (softmax(scores) - one_hot(scores, t)) / len(scores)


def one_hot(scores: Array, t: Array) -> Array:
    return t if t.shape == scores.shape else np.eye(scores.shape[-1])[t]


def linear(x: Array, w: Array, b: Array) -> Array:
    return x @ w + b


def linear_backward(x: Array, w: Array, b: Array, v: Array) -> tuple[Array, Array, Array]:
    return v @ w.T, x.T @ v, v.sum(axis=0)


@st.composite
def layers(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    n, i, o = (draw(st.integers(1, 3)) for _ in range(3))
    return draw(gs.arrays((n, i))), draw(gs.arrays((i, o))), draw(gs.arrays(o))


ROWS = gs.shapes(min_dims=1, max_dims=2)
TARGETS = gs.scores_with_labels() | gs.scores_with_labels("one-hot") | gs.scores_with_labels("soft")

# Right gradients. These classes are tests: pytest collects them.

test_softmax = gradient_property(
    softmax,
    inputs=gs.arrays(ROWS),
    gradient=softmax_backward,
    reference=logistic_ratios,
    identities=[rows_sum_to_zero, sums_to_zero],
    max_examples=FEW,
)


@gradient_property(
    inputs=gs.arrays(kinks=[0.0]),
    gradient=lambda x, v: v * (x > 0),
    reference=lambda x: x * (x > 0),
    identities=[homogeneous(1)],
    max_examples=FEW,
)
def relu_by_hand(x: Array) -> Array:
    return np.maximum(x, 0)


test_linear = gradient_property(linear, inputs=layers(), gradient=linear_backward, max_examples=10)
test_cross_entropy = gradient_property(
    cross_entropy,
    inputs=TARGETS,
    gradient=cross_entropy_backward,
    reference=lambda scores, t: F.softmax_cross_entropy(scores, t),
    identities=[rows_sum_to_zero],
    argnums=0,
    max_examples=FEW,
)
test_own_cross_entropy = gradient_property(
    F.softmax_cross_entropy, inputs=TARGETS, argnums=0, identities=[rows_sum_to_zero], max_examples=FEW
)
test_own_matmul = gradient_property(
    np.matmul, inputs=gs.matmul_operands(), identities=[homogeneous(2)], max_examples=10
)
test_single_precision = gradient_property(
    np.tanh,
    inputs=[gs.arrays(dtype=np.float32)],
    gradient=lambda x, v: v * (1 - np.tanh(x) ** 2),
    reference=lambda x: 1 - 2 / (np.exp(2 * x) + 1),
    max_examples=10,
)
test_structures = gradient_property(
    lambda p, n: {"doubled": p["a"] * 2, "both": (p["b"] ** n, p["a"].sum())},
    inputs=[gs.operands(2, low=0.5).map(lambda ab: {"a": ab[0], "b": ab[1]}), st.just(2)],
    name="structures",
    max_examples=10,
)


# Wrong gradients


def failure(declared: Any, method: str, kind: type[BaseException] = AssertionError) -> BaseException:
    with pytest.raises(kind) as caught:
        getattr(declared, method)()
    return caught.value


def wrong(function: Callable[..., Any], inputs: Any, gradient: Any, **more: Any) -> Any:
    settings = hypothesis.settings(max_examples=100, report_multiple_bugs=False)
    return gradient_property(function, inputs=inputs, gradient=gradient, settings=settings, **more)


WRONG = {
    "softmax without its sum": (
        wrong(softmax, gs.arrays(ROWS), lambda x, v: softmax(x) * v),
        "inputs=(array([0.]),)",
    ),
    "bias of the first sample only": (
        wrong(linear, layers(), lambda x, w, b, v: (v @ w.T, x.T @ v, v[0].copy())),
        "array([[0.],\n           [0.]])",
    ),
    "bias without sum over the batch": (
        wrong(linear, layers(), lambda x, w, b, v: (v @ w.T, x.T @ v, v)),
        "inputs=(array([[0.]]), array([[0.]]), array([0.]))",
    ),
    "cross-entropy without mean": (
        wrong(cross_entropy, gs.scores_with_labels(), lambda s, t, v: cross_entropy_backward(s, t, v) * len(s)),
        "array([[0., 0.],\n           [0., 0.]])",
    ),
    "relu that ignores the cotangent": (
        wrong(np.maximum, [gs.arrays(kinks=[0.0]), st.just(0)], lambda x, zero, v: (x > 0) * 1.0, name="relu"),
        "inputs=(array(0.03125), 0)",
    ),
    "one element in a larger array": (
        wrong(np.tanh, gs.arrays(3), lambda x, v: v * (1 - np.tanh(x) ** 2) * [1, 1, 1 + 1e-6]),
        "inputs=(array([0., 0., 0.]),)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradient_fails_with_the_smallest_example(name: str) -> None:
    declared, smallest = WRONG[name]
    error = failure(declared, "test_vjp", GradientMismatch)
    assert isinstance(error, GradientMismatch) and error.report.verdict is Verdict.FAIL
    assert str(error.report) in str(error) and "FAIL" in str(error)
    assert smallest in "\n".join(error.__notes__)


def test_on_a_kink_only_a_subgradient_passes() -> None:
    declared = wrong(np.abs, gs.arrays(3, kinks=[0.0]), lambda x, v: v * np.where(x == 0, 1.5, np.sign(x)))
    error = failure(declared, "test_vjp", GradientMismatch)
    assert isinstance(error, GradientMismatch) and error.report.worst is not None
    assert error.report.worst.at == 0


def test_wrong_value_fails() -> None:
    declared = wrong(np.sin, gs.arrays(), lambda x, v: v * np.cos(x), reference=lambda x: x - x**3 / 6)
    assert "sin: the value is not the reference's" in str(failure(declared, "test_value"))
    shape = wrong(np.sin, gs.arrays(2), None, reference=lambda x: np.sin(x[:1]))
    assert "shape (2,), expected (1,)" in str(failure(shape, "test_value"))


def test_value_that_depends_on_the_layout_fails() -> None:
    declared = wrong(lambda x: x.ravel(order="K"), gs.arrays((2, 2)), lambda x, v: v.reshape(x.shape), name="ravel")
    error = failure(declared, "test_layouts")
    assert "ravel, inputs and cotangent laid out as" in str(error) and "another value" in str(error)


def test_gradient_that_depends_on_the_layout_fails() -> None:
    in_memory = lambda x, v: v * np.arange(x.size).reshape(x.shape, order="F" if x.flags.f_contiguous else "C")
    right = np.arange(4).reshape(2, 2)
    declared = wrong(lambda x: x * right, gs.arrays((2, 2)), in_memory, name="scale")
    assert "another gradient" in str(failure(declared, "test_layouts"))


def test_writing_to_an_input_fails() -> None:
    def doubled(x: Array) -> Array:
        x *= 2
        return x

    declared = wrong(doubled, gs.arrays(2), lambda x, v: 2 * v, reference=lambda x: doubled(x).copy())
    declared.test_value()  # every call gets copies
    error = failure(declared, "test_layouts", Exception)
    assert "argument 0 was written to" in str(error) or "read-only" in str(error)


def test_writing_to_the_cotangent_fails() -> None:
    declared = wrong(np.negative, gs.arrays(2), lambda x, v: np.negative(v, out=v if v.flags.writeable else None))
    assert "argument 1 was written to" in str(failure(declared, "test_layouts"))


def test_gradient_that_is_not_linear_in_the_cotangent_fails() -> None:
    declared = wrong(np.exp, gs.arrays(), lambda x, v: np.exp(x) * v**2)
    assert "the gradient for v + w is not that for v plus that for w" in str(failure(declared, "test_identities"))


def test_own_gradient_of_a_value_used_twice_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = gradient_property(np.exp, inputs=gs.arrays(), max_examples=5)
    own = subject.Subject._own_gradients

    def once(self: Any, function: Any, inputs: Any, cotangent: Any) -> Any:
        return own(self, np.exp, inputs, cotangent)

    declared.test_identities()
    monkeypatch.setattr(subject.Subject, "_own_gradients", once)
    assert "f(x) + f(x) does not have twice the gradient" in str(failure(declared, "test_identities"))


@pytest.mark.parametrize(
    ("identity", "name"),
    [(rows_sum_to_zero, "rows_sum_to_zero"), (sums_to_zero, "sums_to_zero"), (homogeneous(2), "homogeneous(2)")],
)
def test_identity_that_does_not_hold_fails(identity: Any, name: str) -> None:
    declared = gradient_property(
        lambda x: np.sum(x**2, axis=-1) ** 2, inputs=gs.arrays(2), identities=[identity], name="quartic"
    )
    assert f"quartic: {name} does not hold" in str(failure(declared, "test_identities"))


def test_layouts_keep_shape_and_dtype() -> None:
    for x in (np.array(1, np.float32), np.zeros((2, 0)), np.arange(6).reshape(2, 3)):
        for layout in subject.LAYOUTS:
            laid_out = subject._in_layout(x, layout)
            assert isinstance(laid_out, np.ndarray) and laid_out.dtype == x.dtype
            np.testing.assert_array_equal(laid_out, x, strict=True)
    flags = [subject._in_layout(np.ones((3, 3)), layout).flags for layout in subject.LAYOUTS]
    assert [flag.c_contiguous for flag in flags] == [True, False, False, False, True]
    assert [flag.writeable for flag in flags] == [True, True, True, True, False]


def test_numbers_are_inputs_too() -> None:
    for number in (1.0, np.float32(1)):
        declared = wrong(np.sin, st.just(number), lambda x, v: v * np.cos(x) ** 2)
        declared.test_layouts()
        failure(declared, "test_vjp", GradientMismatch)


def test_identity_sees_the_example() -> None:
    seen = []

    def look(example: Example) -> tuple[Array, Array]:
        seen.append(example)
        return example.gradients[1], example.inputs[0] * example.cotangent

    declared = gradient_property(
        lambda x, y, labels: x * y,
        inputs=[gs.arrays(2, dtype=np.float32), gs.arrays(2), st.just(np.array([1]))],
        identities=[look],
        max_examples=3,
    )
    declared.test_identities()
    assert [len(example.gradients) for example in seen] == [3] * len(seen)
    assert all(example.gradients[2] is None for example in seen)


# What could not be decided


def noisy(share: float, check: Callable[..., Any] = subject.check_gradients) -> Callable[..., Any]:
    """A check that leaves a share of the examples undecided."""
    calls = 0

    def check_gradients(f: Any, *inputs: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        function = (lambda x: 1e12 + np.sin(x)) if int(calls * share) > int((calls - 1) * share) else np.sin
        return check(function, *inputs, **options)

    return check_gradients


@pytest.mark.parametrize(("share", "examples", "fails"), [(0.1, 20, True), (0.04, 25, False), (1.0, 15, False)])
def test_few_inconclusive_examples_are_allowed(
    share: float, examples: int, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "check_gradients", noisy(share))
    declared = gradient_property(
        np.sin, inputs=gs.arrays(3, low=0.5, high=1.0), gradient=lambda x, v: v * np.cos(x), max_examples=examples
    )
    for _ in range(2):  # each run counts anew
        if fails:
            error = failure(declared, "test_vjp")
            assert "2 of 20 examples were INCONCLUSIVE, which is more than 5%" in str(error)
            assert "noise" in str(error)
        else:
            declared.test_vjp()


def test_points_where_the_gradient_is_zero_are_not_held_against_it() -> None:
    zeros = gs.arrays(low=0.0, high=0.0)
    gradient_property(np.square, inputs=zeros, gradient=lambda x, v: 2 * x * v).test_vjp()


@pytest.mark.parametrize(
    ("claimed", "estimate", "bar", "stationary"),
    [(0.0, 1e-13, 1e-12, True), (0.0, 0.0, 1e-3, False), (0.0, 1e-7, 1e-8, False), (1e-9, 0.0, 1e-8, False)],
)
def test_only_zeros_measured_as_zeros_are_stationary(
    claimed: float, estimate: float, bar: float, stationary: bool
) -> None:
    seen = Finding("x", (0,), Verdict.INCONCLUSIVE, claimed, estimate, bar)
    passed = Finding("x", (1,), Verdict.PASS, 1.0, 1.0, 1e-12)
    drowned = Finding("x", (2,), Verdict.INCONCLUSIVE, 1.0, 1.0, 1e-2)
    for findings, expected in (([seen, passed], stationary), ([seen, drowned], False), ([passed], False)):
        report: Any = types.SimpleNamespace(findings=findings, resolution=1e-5)
        assert properties._is_stationary(report) is expected


# How it runs


def test_what_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="strategies go to inputs="):
        gradient_property(gs.arrays(), inputs=gs.arrays())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a strategy, or a sequence with one for each argument, got 3"):
        gradient_property(np.sin, inputs=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has an argument tolerence"):
        gradient_property(np.sin, inputs=gs.arrays(), tolerence=1)


def test_settings_come_from_the_profile_without_its_deadline() -> None:
    def of(**more: Any) -> hypothesis.settings:
        test = gradient_property(np.sin, inputs=gs.arrays(), **more).test_vjp
        return test._hypothesis_internal_use_settings

    profile = hypothesis.settings.default
    strict = hypothesis.settings(max_examples=7, deadline=1, derandomize=False, suppress_health_check=[])
    assert (of().max_examples, of().derandomize, of().deadline) == (profile.max_examples, profile.derandomize, None)
    assert (of(settings=strict).max_examples, of(settings=strict).deadline) == (7, None)
    assert of(settings=strict).derandomize is False and of(settings=strict, max_examples=9).max_examples == 9
    assert set(profile.phases) - set(of().phases) == {hypothesis.Phase.explain}
    assert hypothesis.HealthCheck.too_slow in of(settings=strict).suppress_health_check


def test_further_arguments_reach_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    test = gradient_property(np.sin, inputs=gs.arrays(), mode="directions", max_examples=2)
    check, seen = subject.check_gradients, []
    monkeypatch.setattr(subject, "check_gradients", lambda *args, **how: seen.append(how) or check(*args, **how))
    test.test_vjp()
    assert [how["mode"] for how in seen] == ["directions"] * 2 and all(how["progress"] is False for how in seen)


def test_examples_that_failed_are_kept_for_each_property_alone() -> None:
    database = InMemoryExampleDatabase()
    settings = hypothesis.settings(max_examples=10, database=database, derandomize=False)
    bad = gradient_property(np.sin, inputs=gs.arrays(), gradient=lambda x, v: v, settings=settings, name="bad")
    good = gradient_property(
        np.sin, inputs=gs.arrays(), gradient=lambda x, v: v * np.cos(x), settings=settings, name="good"
    )
    failure(bad, "test_vjp")
    kept = {key: set(values) for key, values in database.data.items()}
    assert any(kept.values())
    good.test_vjp()
    assert {key: set(database.data[key]) for key in kept} == kept


def test_pytest_collects_and_reports_without_any_plugin(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import numpy as np\n"
        "from tinygrad_kr.gradcheck.with_hypothesis import strategies as gs\n"
        "from tinygrad_kr.gradcheck.with_hypothesis.properties import gradient_property\n"
        "@gradient_property(inputs=gs.arrays(), gradient=lambda x, v: v * x, max_examples=10)\n"
        "def square(x):\n"
        "    return x**2\n"
    )
    command = [sys.executable, "-m", "pytest", "-v", "--color=no", "-p", "no:cacheprovider", str(tmp_path)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "test_mine.py::square::test_vjp FAILED" in done.stdout, done.stdout + done.stderr
    assert "test_mine.py::square::test_layouts PASSED" in done.stdout
    assert "test_mine.py::square::test_identities PASSED" in done.stdout
    assert "test_vjp_of_square(" in done.stdout and "check_gradients: square: FAIL" in done.stdout
    assert "test_value" not in done.stdout  # there is no reference


def test_class_tells_what_it_is() -> None:
    assert isinstance(relu_by_hand, type) and isinstance(relu_by_hand.test_vjp, types.FunctionType)
    assert relu_by_hand.__name__ == "relu_by_hand" and relu_by_hand.__test__
    assert hasattr(relu_by_hand, "test_value") and not hasattr(test_linear, "test_value")


def test_examples_in_docstrings() -> None:
    results = [doctest.testmod(module) for module in (properties, identities)]
    assert (sum(r.failed for r in results), sum(r.attempted for r in results)) == (0, 12)
