"""The judge itself: what the numerical derivatives must get right, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.stride_tricks import as_strided

from tinygrad_kr.errors import DtypeError, NonFiniteError, ShapeError
from tinygrad_kr.numerical import _overlaps_itself, gradient_descent, numerical_diff, numerical_gradient


def function_2(x: Any) -> Any:
    return np.sum(x**2)


moderate = st.floats(-10, 10, allow_subnormal=False)
arrays = hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3), elements=moderate)


# The documents' worked numbers and the errata about the numerical side.


def test_numerical_gradient_of_the_documents() -> None:
    np.testing.assert_allclose(numerical_gradient(function_2, np.array([3.0, 4.0])), [6, 8], rtol=0, atol=1e-8)


def test_numerical_diff_is_6_where_the_documents_code_gives_minus_44988() -> None:
    assert numerical_diff(lambda x: x**2, 3) == pytest.approx(6, abs=1e-8)


def test_numerical_gradient_refuses_integers_where_the_documents_code_gives_25000() -> None:
    x = np.array([3, 4])
    with pytest.raises(DtypeError, match="must hold floats, got int64"):
        numerical_gradient(function_2, x)
    assert x.tolist() == [3, 4]


def test_numerical_gradient_in_float32_is_6_where_the_documents_code_gives_5_989() -> None:
    x = np.array([3, 4], dtype=np.float32)
    gradient = numerical_gradient(function_2, x)
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, [6, 8], rtol=0, atol=1e-6)


def test_numerical_gradient_in_three_dimensions_where_the_documents_code_fails() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_allclose(numerical_gradient(function_2, x), 2 * x, rtol=0, atol=1e-7)


# numerical_diff


@pytest.mark.parametrize("kind", [float, int, np.float32, np.float64, np.int8])
def test_numerical_diff_of_a_number_is_a_python_float(kind: type) -> None:
    derivative = numerical_diff(lambda x: x**3, kind(2))
    assert type(derivative) is float
    assert derivative == pytest.approx(12, abs=1e-6)


def test_numerical_diff_is_elementwise_and_central() -> None:
    x = np.linspace(-2, 2, 7).reshape(7, 1)
    derivative = numerical_diff(np.exp, x)
    assert derivative.shape == x.shape
    np.testing.assert_allclose(derivative, np.exp(x), rtol=1e-8)


def test_numerical_diff_takes_its_step() -> None:
    assert numerical_diff(lambda x: x**3, 0.0, h=0.5) == 0.25


@pytest.mark.parametrize(
    ("f", "x", "error", "message"),
    [
        (np.sum, np.ones(3), ShapeError, r"expected \(3,\), got \(\); .* use numerical_gradient"),
        (np.sin, 1j, DtypeError, "got complex128"),
        (np.sin, True, DtypeError, "got bool"),
        (np.sin, 1e20, ValueError, "cannot move by h = 0.0001"),
        (np.sin, math.nan, ValueError, "finite x"),
        (lambda x: x / 0.0 if isinstance(x, float) else x * math.nan, np.ones(2), NonFiniteError, "f is nan"),
        (lambda x: math.inf if x > 1 else 0.0, 1.0, NonFiniteError, r"f is inf at x = 1\.0001"),
        (lambda x: x * 1j, 1.0, DtypeError, "must return real numbers, got complex128"),
        (lambda x: None, 1.0, DtypeError, "must return real numbers, got object"),
    ],
)
def test_numerical_diff_refuses(f: Any, x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        numerical_diff(f, x)


@pytest.mark.parametrize("h", [0.0, -1e-4, math.nan, math.inf])
def test_a_step_that_is_no_step_is_refused(h: float) -> None:
    for derive, x in ((numerical_diff, 1.0), (numerical_gradient, np.ones(1))):
        with pytest.raises(ValueError, match="h must be a positive number"):
            derive(np.sin, x, h)  # type: ignore[operator]


# numerical_gradient: what it computes


@given(arrays)
def test_gradient_of_any_shape(x: np.ndarray) -> None:
    weights = np.arange(1.0, x.size + 1).reshape(x.shape)
    before = x.copy()
    gradient = numerical_gradient(lambda x: np.sum(weights * x**2), x)
    assert gradient.dtype == np.float64
    assert gradient.shape == x.shape
    np.testing.assert_allclose(gradient, 2 * weights * x, rtol=1e-7, atol=1e-5)
    np.testing.assert_array_equal(x, before)


@given(hnp.arrays(np.float32, hnp.array_shapes(max_side=3), elements=st.floats(-10, 10, width=32)))
def test_gradient_of_float32_is_as_good_as_its_points(x: np.ndarray) -> None:
    before = x.copy()
    np.testing.assert_allclose(numerical_gradient(function_2, x), 2 * x.astype(float), rtol=0, atol=2e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f8", ">f4"])
def test_both_a_function_of_its_argument_and_one_that_reads_x_itself_are_right(dtype: Any) -> None:
    x = np.array([[1.5, -2.0], [0.25, 3.0]], dtype=dtype)
    before = x.copy()
    h = 0.01  # large enough for float16
    of_argument = numerical_gradient(lambda a: np.sum(a**2), x, h)
    of_x_itself = numerical_gradient(lambda _: np.sum(x.astype(np.float64) ** 2), x, h)
    np.testing.assert_allclose(of_argument, of_x_itself, rtol=1e-12)
    # A float16 point may be rounded by 2**-10 to one side, which moves the centre by as much.
    np.testing.assert_allclose(of_argument, 2 * before.astype(np.float64), atol=2e-3 if x.itemsize < 4 else 1e-5)
    np.testing.assert_array_equal(x, before)


def test_float32_is_not_spoilt_by_the_rounded_step() -> None:
    x = np.array([1000.0], dtype=np.float32)  # x + 1e-4 is 1000.0001220703125 here
    np.testing.assert_allclose(numerical_gradient(np.sum, x), [1], rtol=1e-12)


def test_the_documents_closure_that_ignores_its_argument() -> None:
    weights = np.array([[1.0, 2.0, 3.0]])
    data = np.array([[2.0], [4.0]])

    def loss() -> Any:
        return np.sum(data @ weights)

    np.testing.assert_allclose(numerical_gradient(lambda _: loss(), weights), [[6, 6, 6]], rtol=1e-9)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[::2, ::-1],
        lambda a: a[:, 1],
        lambda a: np.asfortranarray(a),
        lambda a: a[np.newaxis, :, np.newaxis],
    ],
)
def test_views_are_moved_in_place(view: Any) -> None:
    base = np.arange(12.0).reshape(3, 4)
    x = view(base)
    np.testing.assert_allclose(numerical_gradient(lambda _: function_2(x), x), 2 * x, atol=1e-8)
    np.testing.assert_array_equal(base, np.arange(12.0).reshape(3, 4))


class Number:
    """Like a scalar Tensor: an object that only ``float`` understands."""

    shape = ()

    def __init__(self, value: Any) -> None:
        self.value = value

    def __float__(self) -> float:
        return float(self.value)


@pytest.mark.parametrize("wrap", [float, np.float64, np.float32, Number, np.array, lambda v: np.array([[v]]), int])
def test_f_may_wrap_its_number(wrap: Any) -> None:
    x = np.array([2.0])
    np.testing.assert_allclose(numerical_gradient(lambda x: wrap(np.sum(x)), x, h=1.0), [1])


def test_f_may_return_x_itself() -> None:
    np.testing.assert_allclose(numerical_gradient(lambda x: x, np.array(2.0)), 1)


def test_f_is_called_twice_for_each_element_and_never_for_none() -> None:
    calls = []
    numerical_gradient(lambda x: calls.append(x.copy()) or 0.0, np.zeros((2, 3)))
    assert len(calls) == 12
    assert all(np.count_nonzero(x) == 1 for x in calls)
    assert numerical_gradient(lambda x: 1 / 0, np.zeros((0, 3))).shape == (0, 3)


def test_f_is_given_x_itself_in_float64() -> None:
    x = np.ones(2)
    numerical_gradient(lambda a: 0.0 if a is x else pytest.fail("given a copy"), x)


def test_progress_wraps_the_elements() -> None:
    seen: list[int] = []

    def progress(positions: Any) -> Any:
        assert len(positions) == 6
        for position in positions:
            seen.append(position)
            yield position

    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(numerical_gradient(function_2, x, progress=progress), 2 * x, atol=1e-8)
    assert seen == list(range(6))


# numerical_gradient: what it refuses


@given(st.integers(0, 11), st.sampled_from([np.float32, np.float64, np.longdouble]))
def test_x_is_restored_when_f_raises(calls_before: int, dtype: Any) -> None:
    x = (np.arange(6, dtype=dtype) / 7).reshape(2, 3)
    before = x.copy()
    remaining = iter(range(calls_before))

    def f(x: Any) -> float:
        if next(remaining, None) is None:
            raise RuntimeError("enough")
        return 0.0

    with pytest.raises(RuntimeError, match="enough"):
        numerical_gradient(f, x)
    np.testing.assert_array_equal(x, before)


def read_only() -> np.ndarray:
    x = np.ones(3)
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([3.0, 4.0], TypeError, r"got list\n.*np\.array\(\.\.\., dtype=float\)"),
        (3.0, TypeError, "got float"),
        (np.float64(3.0), TypeError, "got float64"),
        (np.array([True]), DtypeError, "got bool"),
        (np.array([1j]), DtypeError, "got complex128"),
        (np.array([1.0], dtype=object), DtypeError, "got object"),
        (read_only(), ValueError, r"read-only.*x\.copy\(\)"),
        (np.array([1.0, math.nan]), ValueError, r"x\[1\] = nan is not finite"),
        (np.array([[1.0], [-math.inf]]), ValueError, r"x\[1, 0\] = -inf is not finite"),
        (np.array(1e20), ValueError, r"x = 1e\+20 cannot move by h = 0.0001"),
        (np.array([0, 1], np.float16), ValueError, r"x\[1\] = 1\.0 cannot .*\n.* in float16 .* a larger h"),
        (np.array([2048.0], np.float32), ValueError, r"use float64 .* or a larger h"),  # moves down only
    ],
)
def test_an_x_that_cannot_be_moved_is_refused(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        numerical_gradient(function_2, x)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ones((2, 1)), ShapeError, r"got an array of shape \(2, 1\)\n  sum it"),
        (np.ones(0), ShapeError, r"shape \(0,\)"),
        (None, TypeError, "must return a number, got NoneType"),
        (1j, DtypeError, "a real number"),
        (np.array([1j]), DtypeError, "a real number"),
    ],
)
def test_an_f_that_is_not_scalar_is_refused(value: Any, error: type[Exception], message: str) -> None:
    x = np.ones(2)
    with pytest.raises(error, match=message):
        numerical_gradient(lambda _: value, x)
    np.testing.assert_array_equal(x, 1)


@pytest.mark.parametrize(("below", "above"), [(7.5, math.nan), (-math.inf, 7.5), (math.inf, math.inf)])
def test_a_value_that_is_not_finite_is_never_silent(below: float, above: float) -> None:
    x = np.zeros((2, 3))
    with pytest.raises(NonFiniteError) as caught:
        numerical_gradient(lambda x: above if x[1, 2] > 0 else below if x[1, 2] < 0 else 0.0, x)
    message = str(caught.value)
    assert "f is not finite around x[1, 2] = 0.0" in message
    assert f"f is {below} at x[1, 2] = -0.0001 and {above} at x[1, 2] = 0.0001" in message


# Overlap: exact, so neither a view that is safe nor one that is not is misjudged.


@pytest.mark.parametrize(
    "x",
    [
        as_strided(np.zeros(10), (2, 3), (0, 8)),
        as_strided(np.zeros(10), (8, 3), (8, 8)),
        as_strided(np.zeros(10), (3, 2), (16, 32)),
        as_strided(np.zeros(10), (3,), (4,)),
        as_strided(np.zeros(10)[9:], (8, 3), (-8, -8)),
    ],
)
def test_overlapping_views_are_refused(x: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="share memory"):
        numerical_gradient(function_2, x)


@given(
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    strides=st.lists(st.integers(-20, 20), min_size=3, max_size=3),
)
def test_overlap_agrees_with_counting_bytes(shape: tuple[int, ...], strides: list[int]) -> None:
    memory = np.zeros(400, dtype=np.uint8)
    middle = memory[192:200].view(np.float64)
    x = as_strided(middle, shape, strides[: len(shape)])
    touched = [
        sum(i * s for i, s in zip(index, x.strides, strict=True)) + byte
        for index in np.ndindex(shape)
        for byte in range(8)
    ]
    assert _overlaps_itself(x) == (len(set(touched)) < len(touched))


def test_interleaved_axes_that_do_not_overlap_are_accepted() -> None:
    base = np.arange(10.0)
    x = as_strided(base, (2, 3), (24, 16))  # elements 0 2 4 and 3 5 7
    np.testing.assert_allclose(numerical_gradient(function_2, x), 2 * x, atol=1e-8)


# gradient_descent


def test_gradient_descent_finds_the_minimum_of_the_book_function() -> None:
    start = np.array([-3.0, 4.0])
    x = gradient_descent(function_2, start, lr=0.1, step_num=100)
    np.testing.assert_allclose(x, [0, 0], atol=1e-8)
    assert start.tolist() == [-3, 4]


@pytest.mark.parametrize("gradient", [None, lambda x: 2 * x])
def test_gradient_descent_returns_every_point(gradient: Any) -> None:
    x, path = gradient_descent(function_2, [[8.0, -4.0]], 0.25, 3, gradient, return_path=True)
    assert path.shape == (4, 1, 2)
    np.testing.assert_allclose(path[:, 0, 0], [8, 4, 2, 1], atol=1e-8)
    np.testing.assert_allclose(path[:, 0, 1], [-4, -2, -1, -0.5], atol=1e-8)
    np.testing.assert_array_equal(x, path[-1])


@given(arrays, st.integers(0, 3))
def test_gradient_descent_in_any_shape(start: np.ndarray, steps: int) -> None:
    before = start.copy()
    x, path = gradient_descent(function_2, start, 0.25, steps, gradient=lambda x: 2 * x, return_path=True)
    np.testing.assert_array_equal(start, before)
    np.testing.assert_array_equal(x, start * 0.5**steps)
    assert path.shape == (steps + 1, *start.shape)
    assert not np.shares_memory(x, path)


@pytest.mark.parametrize(
    ("f", "start", "arguments", "message"),
    [
        (
            function_2,
            [-3.0, 4.0],
            {"lr": 10.0},
            r"x\[1\] had gone from 4 to -1\.3.*e\+12, where h = 0.0001 is lost in .* float64",
        ),
        (
            function_2,
            [-3.0, 4.0],
            {"lr": 10.0, "gradient": lambda x: 2 * x, "step_num": 400},
            "next step is not finite",
        ),
        (function_2, np.array([4.0], np.float32), {"lr": 20.0}, "by step 2 .* lost in the rounding of float32"),
        (
            lambda x: x[0] + 1 / x[0] if x[0] > 0 else math.inf,
            [4.0],
            {"lr": 20.0},
            "by step 1 .* where f is not finite",
        ),
    ],
)
def test_gradient_descent_with_too_large_a_rate_says_so(
    f: Any, start: Any, arguments: dict[str, Any], message: str
) -> None:
    lr = arguments["lr"]
    with pytest.raises(NonFiniteError, match=rf"lr = {lr} is too large(.|\n)*{message}\n  try a smaller lr$") as caught:
        gradient_descent(f, start, **arguments)
    assert "larger h" not in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "advice"), [("f8", "; use a larger h"), ("f4", r"; use float64 \(.*\) or a larger h")]
)
def test_float64_is_not_advised_to_who_has_it(dtype: str, advice: str) -> None:
    with pytest.raises(ValueError, match=f"lost in rounding{advice}$"):
        numerical_gradient(function_2, np.array([1e20], dtype))


def test_gradient_descent_keeps_float32() -> None:
    assert gradient_descent(function_2, np.ones(2, np.float32), step_num=2).dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"init_x": np.array([3, 4])}, DtypeError, "init_x must hold floats, got int64"),
        ({"init_x": [1j]}, DtypeError, "got complex128"),
        ({"lr": math.nan}, ValueError, "lr must be finite"),
        ({"step_num": -1}, ValueError, "step_num must not be negative"),
        ({"gradient": lambda x: x[0]}, ShapeError, r"expected \(2,\), got \(\)"),
        ({"gradient": lambda x: x[:, None]}, ShapeError, r"expected \(2,\), got \(2, 1\)"),
        (
            {"gradient": lambda x: x * math.nan},
            NonFiniteError,
            "not finite at init_x\n  start at another point",
        ),
    ],
)
def test_gradient_descent_refuses(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gradient_descent(function_2, **{"init_x": [3.0, 4.0], **arguments})
