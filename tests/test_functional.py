"""Activations and losses where it is hard: extreme numbers, both forms of targets, one sample and many."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from catalogue import labels, real, soft_rows, uneven
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_kr import Tensor, grad
from tinygrad_kr import functional as F

LARGEST = np.finfo(np.float64).max
LOSSES = [F.cross_entropy_error, F.softmax_cross_entropy]


def value_and_gradient(f: Callable[..., Any], x: Any) -> tuple[Any, Any]:
    leaf = Tensor(np.asarray(x), requires_grad=True)
    y = f(leaf)
    y.backward(np.ones(y.shape))
    return y.data, leaf.grad


# Activations. Warnings are errors, so none of these overflows on the way.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_of_extreme_numbers(dtype: Any) -> None:
    huge = np.finfo(dtype).max
    x = np.array([-huge, -1e4, -800, 0, 800, 1e4, huge], dtype)
    y, gradient = value_and_gradient(F.sigmoid, x)
    assert y.dtype == gradient.dtype == dtype
    tail = math.exp(-800) if dtype == np.float64 else 0
    np.testing.assert_allclose(y, [0, 0, tail, 0.5, 1, 1, 1], rtol=1e-6, atol=0)
    np.testing.assert_allclose(gradient, [0, 0, tail, 0.25, 0, 0, 0], rtol=1e-6, atol=0)


def test_sigmoid_is_exact_in_its_tail() -> None:
    x = np.array([-700.0, -50.0, -1.0])
    np.testing.assert_allclose(F.sigmoid(x), np.exp(x) / (1 + np.exp(x)), rtol=1e-14)
    np.testing.assert_allclose(F.sigmoid(-x), 1 / (1 + np.exp(x)), rtol=1e-14)


@pytest.mark.parametrize(
    ("activation", "expected", "slopes"),
    [
        (F.tanh, [-1, 0, 1], [0, 1, 0]),
        (F.relu, [0, 0, LARGEST], [0, 0, 1]),
        (F.leaky_relu, [-0.01 * LARGEST, 0, LARGEST], [0.01, 0.01, 1]),
        (F.elu, [-1, 0, LARGEST], [0, 1, 1]),
        (F.silu, [0, 0, LARGEST], [0, 0.5, 1]),
        (F.gelu, [0, 0, LARGEST], [0, 0.5, 1]),
        (F.softplus, [0, math.log(2), LARGEST], [0, 0.5, 1]),
        (F.hard_sigmoid, [0, 0.5, 1], [0, 1 / 6, 0]),
        (F.hard_tanh, [-1, 0, 1], [0, 1, 0]),
        (F.step, [0, 0, 1], [0, 0, 0]),
        (F.identity, [-LARGEST, 0, LARGEST], [1, 1, 1]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_activation_of_the_largest_numbers(activation: Any, expected: list[float], slopes: list[float]) -> None:
    y, gradient = value_and_gradient(activation, [-LARGEST, 0.0, LARGEST])
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-12, atol=1e-300)


def test_identity_shares_no_memory_that_an_update_could_reach() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    F.identity(x).backward(np.ones(2))
    assert x.grad.tolist() == [1, 1]


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=st.floats(-1e300, 1e300)))
def test_softmax_is_a_distribution_and_log_softmax_its_logarithm(x: Any) -> None:
    y, logs = F.softmax(x), F.log_softmax(x)
    np.testing.assert_allclose(np.sum(y, axis=1), 1, rtol=1e-14)
    assert np.all(y >= 0) and np.all(logs <= 0) and np.all(np.isfinite(logs))
    np.testing.assert_allclose(np.exp(logs), y, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("shift", [0.0, 1e8, -1e8, 1e15])
def test_softmax_does_not_see_an_offset(shift: float) -> None:
    x = np.array([0.0, 1.0, 3.0])
    np.testing.assert_array_equal(F.softmax(x + shift), F.softmax(x))


@pytest.mark.parametrize("axis", [0, 1, -1, -3])
def test_softmax_along_any_axis(axis: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.testing.assert_allclose(np.sum(F.softmax(x, axis=axis), axis=axis), 1, rtol=1e-14)
    np.testing.assert_allclose(np.exp(F.log_softmax(x, axis)), F.softmax(x, axis), rtol=1e-14)


# Losses


@given(st.data())
def test_labels_one_hot_rows_and_soft_rows_agree(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    t = np.asarray(data.draw(labels(shape)))
    classes = shape[-1]
    scores = data.draw(real.arrays(shape))
    for loss, y in ((F.softmax_cross_entropy, scores), (F.cross_entropy_error, F.softmax(scores))):
        of_labels, gradient = value_and_gradient(lambda y, loss=loss: loss(y, t), y)
        for rows in (np.eye(classes, dtype=int)[t], np.eye(classes)[t], np.eye(classes, dtype=bool)[t]):
            value, same_gradient = value_and_gradient(lambda y, rows=rows, loss=loss: loss(y, rows), y)
            np.testing.assert_allclose(value, of_labels, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(same_gradient, gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
@given(data=st.data())
def test_a_batch_is_the_mean_of_its_samples(loss: Callable[..., Any], data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    y, soft, hard = F.softmax(data.draw(real.arrays(shape))), data.draw(soft_rows(shape)), data.draw(labels(shape))
    for t in (soft, hard):
        alone = [float(loss(sample, target)) for sample, target in zip(y, t, strict=True)]
        assert float(loss(y, t)) == pytest.approx(np.mean(alone), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("target", [2, np.int32(2), np.array(2), np.array([2]), [0, 0, 1], Tensor(2), [0.0, 0.0, 1.0]])
def test_targets_of_one_sample_in_any_form(loss: Callable[..., Any], target: Any) -> None:
    y = np.array([0.2, 0.3, 0.5])
    assert float(loss(y, target)) == float(loss(y[None], np.array([2])))


def test_the_dtype_decides_and_not_the_size() -> None:
    """Two samples of two classes: integers of shape (2,) are labels, floats of shape (2, 2) are rows."""
    scores = np.array([[1.0, 3.0], [2.0, -1.0]])
    assert float(F.softmax_cross_entropy(scores, np.array([1, 0]))) == pytest.approx(
        (math.log1p(math.exp(-2)) + math.log1p(math.exp(-3))) / 2, rel=1e-14
    )
    soft = np.array([[0.25, 0.75], [0.5, 0.5]])
    rows = -np.sum(soft * F.log_softmax(scores)) / 2
    assert float(F.softmax_cross_entropy(scores, soft)) == pytest.approx(rows, rel=1e-14)


EXTREMES: list[tuple[str, list[list[float]], list[int], float]] = [
    ("right by 20000", [[1e4, -1e4]], [0], 0.0),
    ("wrong by 20000", [[1e4, -1e4]], [1], 2e4),
    ("right by 1e30", [[0.0, 1e30]], [1], 0.0),
    ("wrong by 1e30", [[0.0, 1e30]], [0], 1e30),
    ("wrong by 1e300", [[-1e300, 0.0]], [0], 1e300),
    ("equal scores", [[7.0] * 10], [3], math.log(10)),
    ("equal large scores", [[1e8] * 4], [0], math.log(4)),
    ("an offset of 1e8", [[1e8, 1e8 + 1]], [1], math.log1p(math.exp(-1))),
    ("an offset of -1e8", [[-1e8, -1e8 + 1]], [0], math.log1p(math.exp(-1)) + 1),
    ("nearly certain", [[0.0, -40.0]], [0], math.exp(-40)),
    ("a batch of both", [[0.0, 1000.0], [1000.0, 0.0]], [0, 0], 500.0),
    ("one class", [[3.0]], [0], 0.0),
]


@pytest.mark.parametrize(("scores", "t", "expected"), [row[1:] for row in EXTREMES], ids=[row[0] for row in EXTREMES])
@pytest.mark.parametrize("form", ["labels", "rows"])
def test_softmax_cross_entropy_of_extreme_scores(form: str, scores: Any, t: Any, expected: float) -> None:
    scores, targets = np.array(scores), np.array(t)
    if form == "rows":
        targets = np.eye(scores.shape[1])[t]
    value, gradient = value_and_gradient(lambda s: F.softmax_cross_entropy(s, targets), scores)
    assert float(value) == pytest.approx(expected, rel=1e-14, abs=1e-16)
    one_hot = np.eye(scores.shape[1])[t]
    np.testing.assert_allclose(gradient, (F.softmax(scores) - one_hot) / len(scores), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("form", ["labels", "rows"])
def test_extreme_scores_in_float32(form: str) -> None:
    scores = np.array([[1e4, -1e4, 0], [1e38, -1e38, 1], [5, 5, 5]], np.float32)
    t = np.array([1, 0, 2]) if form == "labels" else np.eye(3, dtype=np.float32)[[1, 0, 2]]
    value, gradient = value_and_gradient(lambda s: F.softmax_cross_entropy(s, t), scores)
    assert value.dtype == gradient.dtype == np.float32
    assert float(value) == pytest.approx((2e4 + math.log(3)) / 3, rel=1e-6)
    np.testing.assert_allclose(gradient, [[1 / 3, -1 / 3, 0], [0, 0, 0], [1 / 9, 1 / 9, -2 / 9]], atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_further_apart_than_the_largest_number(dtype: Any) -> None:
    """Also where the difference of two scores cannot be written down, what can be is right, without a warning."""
    largest = np.finfo(dtype).max
    scores = np.array([[largest, -largest, 0]], dtype)
    assert F.softmax(scores).tolist() == [[1, 0, 0]]
    assert float(F.logsumexp(scores)) == largest
    value, gradient = value_and_gradient(lambda s: F.softmax_cross_entropy(s, np.array([0])), scores)
    assert value == 0 and not gradient.any()


def test_the_documents_delta_biases_the_loss_as_its_docstring_says() -> None:
    y = np.array([1e-30, 1.0])
    assert float(F.cross_entropy_error(y, 0)) == pytest.approx(16.1, abs=0.05)
    assert float(F.cross_entropy_error(y, 0, delta=0)) == pytest.approx(69.1, abs=0.05)
    assert float(F.softmax_cross_entropy(np.log(y), 0)) == pytest.approx(69.1, abs=0.05)


def test_cross_entropy_of_a_certain_and_of_an_impossible_class() -> None:
    y = np.array([0.0, 1.0])
    assert float(F.cross_entropy_error(y, 0)) == -math.log(1e-7)
    assert float(F.cross_entropy_error(y, 1)) == pytest.approx(-1e-7, rel=1e-6)


def test_softmax_cross_entropy_is_cross_entropy_of_softmax() -> None:
    rng = np.random.default_rng(0)
    scores, t = rng.normal(size=(5, 4)), rng.integers(4, size=5)
    apart, gradient = value_and_gradient(lambda s: F.cross_entropy_error(F.softmax(s), t, delta=0), scores)
    fused, fused_gradient = value_and_gradient(lambda s: F.softmax_cross_entropy(s, t), scores)
    np.testing.assert_allclose(fused, apart, rtol=1e-14)
    np.testing.assert_allclose(fused_gradient, gradient, rtol=1e-12, atol=1e-15)


def test_the_fused_loss_has_the_second_derivatives_of_the_plain_one() -> None:
    rng = np.random.default_rng(1)
    scores, t, u = rng.normal(size=(3, 4)), rng.integers(4, size=3), uneven(0, (3, 4))
    second = lambda loss: grad(lambda s: np.sum(u * grad(lambda s: loss(s))(s)))(scores)
    fused = second(lambda s: F.softmax_cross_entropy(s, t))
    plain = second(lambda s: -np.sum(np.eye(4)[t] * F.log_softmax(s)) / 3)
    np.testing.assert_allclose(fused, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", [F.sum_squares_error, F.mean_squared_error])
def test_squared_errors_of_integers_and_lists(loss: Callable[..., Any]) -> None:
    expected = {F.sum_squares_error: 2.5, F.mean_squared_error: 2.5}[loss]
    assert float(loss([1, 2], [2, 4])) == float(loss(np.array([1, 2]), np.array([2.0, 4.0]))) == expected
    value, gradient = value_and_gradient(lambda y: loss(y, np.array([2, 4])), [1.0, 2.0])
    assert value == expected
    assert gradient.tolist() == [-1, -2]


def test_predictions_and_targets_may_both_learn() -> None:
    y, t = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 5.0], requires_grad=True)
    F.sum_squares_error(y, t).backward()
    assert y.grad.tolist() == [-2, -3] and t.grad.tolist() == [2, 3]


def test_functions_on_arrays_give_arrays() -> None:
    x = np.array([[0.5, -1.0]])
    images = np.ones((1, 2, 4, 4))
    names = [name for name in F.__all__ if not any(part in name for part in ("error", "cross", "linear", "conv2d"))]
    for name in names:
        operand = images if name.endswith("2d") else x
        assert isinstance(getattr(F, name)(operand), np.ndarray | np.generic), name
    assert isinstance(F.linear(x, np.ones((2, 3)), np.zeros(3)), np.ndarray)
    assert isinstance(F.conv2d(images, np.ones((3, 2, 2, 2))), np.ndarray)
    assert isinstance(F.softmax_cross_entropy(x, [1]), float)


# Integers


def test_functions_of_real_numbers_take_small_integers_as_floats() -> None:
    """In 8 bits 16 * 16 is 0, and NumPy answers the exponential of 8 bits in float16."""
    rng = np.random.default_rng(0)
    arguments = {"x": (2, 1, 4, 4), "scores": (3, 4), "y": (3, 4), "t": (3, 4), "w": (2, 1, 2, 2), "b": (2,)}
    special: dict[str, dict[str, Any]] = {
        "linear": {"x": (3, 4), "w": (4, 2)},
        "softmax_cross_entropy": {"t": np.array([0, 3, 1])},
        "cross_entropy_error": {"y": np.eye(4)[[0, 3, 1]], "t": np.array([0, 3, 1])},
    }
    for name in F.__all__:
        function = getattr(F, name)
        if name in ("identity", "step", "relu", "max_pool2d"):
            continue  # they choose among their operands, or between 0 and 1, and stay integers
        taken = [p for p in inspect.signature(function).parameters if p in arguments]
        for dtype in (np.uint8, np.int8, np.bool):
            low, high = (0, 2) if dtype is np.bool else (np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
            integers = []
            for parameter in taken:
                value = special.get(name, {}).get(parameter, arguments[parameter])
                if isinstance(value, tuple):
                    value = rng.integers(low, high, value)
                integers.append(value if value.ndim == 1 and parameter == "t" else value.astype(dtype))
            as_floats = [
                value if p == "t" and value.ndim == 1 else value.astype(float)
                for p, value in zip(taken, integers, strict=True)
            ]
            expected = function(*as_floats)
            for y in (function(*integers), function(*map(Tensor, integers)).data):
                assert y.dtype == np.float64, (name, dtype)
                np.testing.assert_array_equal(y, expected, err_msg=f"{name} {dtype}")


def test_soft_targets_for_scores_of_integers_keep_their_fractions() -> None:
    assert F.softmax_cross_entropy(np.array([[1, 2]], "u1"), np.array([[0.5, 0.5]])) == pytest.approx(0.8132616875)


# Large numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1.0, 3e7, 1e17])
def test_the_gradient_of_logsumexp_is_the_softmax_at_any_size(dtype: Any, size: float) -> None:
    x = np.array([1, 1, 1 - 0.25], dtype) * np.array(size, dtype)
    _, gradient = value_and_gradient(F.logsumexp, x)
    np.testing.assert_allclose(gradient, F.softmax(x.astype(np.float64)), rtol=1e-6)
    a, b = (Tensor(v, requires_grad=True) for v in x[1:])
    np.logaddexp(a, b).backward()
    np.testing.assert_allclose([a.grad, b.grad], F.softmax(x[1:].astype(np.float64)), rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e20), (np.float32, 1e37), (np.float64, 1e200)])
def test_standardize_where_squares_overflow(dtype: Any, size: float) -> None:
    x = np.array([1.0, -1.0, 3.0, 0.5])
    expected = (x - x.mean()) / x.std()
    large, gradient = value_and_gradient(F.standardize, (x * size).astype(dtype))
    np.testing.assert_allclose(large, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


# What is easily confused


def test_scores_taken_for_probabilities_are_noticed() -> None:
    for scores in ([[2.0, 1.0, 0.1]], [[-0.2, 0.9, 0.3]], [[0.5, 3.0, 0.2]]):
        message = r"probabilities[\s\S]*softmax_cross_entropy\(scores, t\)"
        with np.errstate(invalid="ignore"), pytest.warns(UserWarning, match=message) as caught:
            F.cross_entropy_error(Tensor(np.array(scores), requires_grad=True), [0])
        assert caught[0].filename == __file__


def test_targets_that_are_no_distribution_are_noticed() -> None:
    scores = np.zeros((3, 2))
    with pytest.warns(UserWarning, match=r"row 1 of the targets adds up to 1.5[\s\S]*np.sum\(t") as caught:
        F.softmax_cross_entropy(scores, np.array([[1, 0], [1, 0.5], [0.5, 0]]))
    assert caught[0].filename == __file__
    F.softmax_cross_entropy(scores, np.array([[1, 0], [0.3, 0.7], [0.5, 0.5]], np.float32))


@pytest.mark.parametrize("twice", [F.softmax, lambda p: F.softmax_cross_entropy(p, np.arange(8) % 3)])
@pytest.mark.parametrize("kind", [np.asarray, Tensor, lambda x: Tensor(x, requires_grad=True)])
def test_a_softmax_of_a_softmax_is_noticed(twice: Any, kind: Any) -> None:
    scores = kind(np.random.default_rng(0).standard_normal((8, 3)))
    with pytest.warns(UserWarning, match="through softmax already") as caught:
        twice(F.softmax(scores))
    assert caught[0].filename == __file__
    F.softmax(F.softmax(scores), axis=0)  # rows, then columns
    twice(scores)  # and no warning, which would be an error, where it is used once
    twice(F.log_softmax(scores))
