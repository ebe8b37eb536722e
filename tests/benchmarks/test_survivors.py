"""Regression tests for mutants that no test caught once: ``python -m benchmarks.checkers.mutants``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_kr import Primitive, Tensor, vjp
from tinygrad_kr import functional as F
from tinygrad_kr.engine.tree import tree_map
from tinygrad_kr.errors import ShapeError, UnsupportedError


def leaf(values: Any) -> Tensor:
    return Tensor(np.array(values, dtype=float), requires_grad=True)


@pytest.mark.parametrize("other", [[1, 2], (1,), (1, 2, 3), {0: 1, 1: 2}, 1], ids=repr)
def test_trees_of_another_type_or_length_are_refused(other: Any) -> None:
    with pytest.raises(ShapeError, match=r"expected the structure tuple\(array, array\)"):
        tree_map(lambda a, b: a, (1, 2), other)
    _, pullback = vjp(lambda x: (x, x), 1.0)
    with pytest.raises(ShapeError):
        pullback(other)


@pytest.mark.parametrize("other", [{"a": 1}, {"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}, [1, 2]], ids=repr)
def test_dicts_with_other_keys_are_refused(other: Any) -> None:
    with pytest.raises(ShapeError, match=r"expected the structure {'a': array, 'b': array}"):
        tree_map(lambda a, b: a, {"a": 1, "b": 2}, other)


def test_powers_of_zero() -> None:
    a, b = leaf([0, 0, 0, 3]), leaf([0, 1, 2, 0])
    np.sum(a**b).backward()
    np.testing.assert_array_equal(a.grad, [0, 1, 0, 0])
    np.testing.assert_array_equal(b.grad, [0, 0, 0, np.log(3)])


def test_only_a_call_that_fails_itself_is_about_arguments() -> None:
    with pytest.raises(UnsupportedError, match="unexpected keyword argument 'out'"):
        np.sum(leaf([1]), out=np.empty(()))
    with pytest.raises(TypeError) as deeper:  # NumPy's own, of a value it cannot use
        np.reshape(leaf([1]), "x")
    assert not isinstance(deeper.value, UnsupportedError)


def test_errors_about_values_speak_for_themselves() -> None:
    with pytest.raises(np.linalg.LinAlgError, match=r"^Singular matrix$"):
        np.linalg.inv(leaf([[0]]))
    with pytest.raises(ShapeError, match=r"inv: .*square.*\n  a \(1, 2\)"):
        np.linalg.inv(leaf([[0, 1]]))
    with pytest.raises(ShapeError, match=r"inv: .*dimensional"):
        np.linalg.inv(leaf([0]))

    def refuse(x: Any) -> Any:
        raise ShapeError("mine")

    with pytest.raises(ShapeError, match=r"^mine$"):
        Primitive("refuse", refuse, x=lambda g: g)(leaf([1]))


def test_standardize_adds_a_hundred_thousandth_to_the_variance() -> None:
    x = np.array([1e-3, -1e-3])
    np.testing.assert_allclose(F.standardize(x), x / np.sqrt(1e-6 + 1e-5))


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_take_along_axis_takes_each_line_at_its_own_positions(axis: int | None) -> None:
    x = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    indices = np.argsort(x, axis=axis)
    t = Tensor(x, requires_grad=True)
    taken = np.take_along_axis(t, indices, axis)
    np.testing.assert_array_equal(taken.data, np.sort(x, axis))
    weights = np.arange(1.0, 7.0).reshape(taken.shape)
    taken.backward(weights)
    expected = np.empty_like(x if axis is not None else x.ravel())
    np.put_along_axis(expected, indices, weights, axis)
    np.testing.assert_array_equal(t.grad, expected.reshape(x.shape))


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.3.0", reason="NumPy itself has no default before 2.3")
def test_take_along_axis_takes_along_the_last_axis_by_default() -> None:
    x = np.arange(12.0).reshape(2, 3, 2)
    indices = np.array([[[1], [0], [1]], [[0], [0], [1]]])
    taken = np.take_along_axis(leaf(x), indices)
    np.testing.assert_array_equal(taken.data, np.take_along_axis(x, indices, -1))


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)])
@pytest.mark.parametrize("k", [-2, -1, 0, 1, 2])
def test_diagonals_and_triangles_are_numpys(shape: tuple[int, int], k: int) -> None:
    x = np.arange(1.0, 9.0 + (shape == (3, 3))).reshape(shape)
    for function in (np.diagonal, np.tril, np.triu):
        np.testing.assert_array_equal(function(leaf(x), k).data, function(x, k), err_msg=function.__name__)


@pytest.mark.parametrize("of_a", [(), (3,), (2, 3), (4, 2, 3)])
@pytest.mark.parametrize("of_b", [(), (3,), (4, 3), (2, 4, 3)])
def test_inner_sums_over_the_last_axes(of_a: tuple[int, ...], of_b: tuple[int, ...]) -> None:
    a, b = (np.arange(1.0, 1 + np.prod(shape)).reshape(shape) for shape in (of_a, of_b))
    np.testing.assert_array_equal(np.inner(leaf(a), leaf(b)).data, np.inner(a, b))


def test_the_gradient_of_running_products_of_many_numbers() -> None:
    x = leaf([2, 0, 3, 0.5, 4, 7])
    np.cumprod(x).backward(np.ones(6))
    np.testing.assert_allclose(x.grad, [1, 2 * (1 + 3 + 1.5 + 6 + 42), 0, 0, 0, 0])
    y = leaf([2, 1, 3, 0.5, 4, 7])
    np.cumprod(y).backward(np.ones(6))
    products = np.cumprod(y.data)
    np.testing.assert_allclose(y.grad, [products[i:].sum() / y.data[i] for i in range(6)])


@pytest.mark.parametrize("shapes", [[(3,)], [(2, 3)], [(3,), (1,)], [(2, 3), (2, 1)]], ids=str)
def test_hstack_of_one_and_of_two(shapes: list[tuple[int, ...]]) -> None:
    parts = [np.arange(1.0, 1 + np.prod(shape)).reshape(shape) for shape in shapes]
    np.testing.assert_array_equal(np.hstack([leaf(part) for part in parts]).data, np.hstack(parts))
