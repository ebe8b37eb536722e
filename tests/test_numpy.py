"""NumPy's functions on Tensors in the corners that random programs found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_kr import Primitive, Tensor, grad
from tinygrad_kr.errors import ShapeError, UnsupportedError


@pytest.mark.parametrize("where", [[2, 1], [1, 1], [0, 5], [-1]])
def test_split_at_any_positions(where: list[int]) -> None:
    parts = np.split(Tensor(np.arange(3.0)), where)
    for part, expected in zip(parts, np.split(np.arange(3.0), where), strict=True):
        np.testing.assert_array_equal(part.data, expected)


def test_sort_sends_the_gradient_along_a_stable_permutation() -> None:
    x = np.array([0.0] * 5 + [1.0] * 30 + [0.0] * 5)
    weights = np.arange(40.0)
    gradient = grad(lambda x: np.sum(np.sort(x) * weights))(x)
    np.testing.assert_array_equal(gradient[np.argsort(x, kind="stable")], weights)


@pytest.mark.parametrize("subscripts", ["ij,ij->i", "...i,...i->...", "ij,ij->", "ij,ij->ij"])
@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (1, 1)])
def test_einsum_repeats_sizes_of_one(subscripts: str, shape: tuple[int, int]) -> None:
    b = np.arange(6.0).reshape(2, 3) + 1
    f = lambda a: np.sum(np.einsum(subscripts, a, b) ** 2)
    a = np.full(shape, 0.5)
    expected = np.array([(f(a + 1e-4 * e) - f(a - 1e-4 * e)) / 2e-4 for e in np.eye(a.size).reshape(-1, *shape)])
    np.testing.assert_allclose(grad(f)(a), expected.reshape(shape), rtol=1e-7)


@pytest.mark.parametrize("function", [np.hstack, np.vstack, np.stack, np.concatenate])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_joining(function: Any, shape: tuple[int, ...]) -> None:
    arrays = [np.full(shape, 1.0), np.full(shape, 2.0)]
    if function is np.concatenate and shape == ():
        with pytest.raises(ValueError, match="zero-dimensional"):
            function([Tensor(a) for a in arrays])
        return
    np.testing.assert_array_equal(function([Tensor(a) for a in arrays]).data, function(arrays))


def test_pad_of_a_single_number() -> None:
    assert np.pad(Tensor(2.0), 1).item() == 2.0


@pytest.mark.parametrize("function", [np.linalg.inv, lambda a: np.linalg.solve(a, np.ones(2)), np.linalg.cholesky])
def test_a_singular_matrix_is_not_called_an_error_of_shape(function: Any) -> None:
    with pytest.raises(np.linalg.LinAlgError):
        function(Tensor(np.array([[1.0, 1.0], [1.0, 1.0]]) - np.eye(2) * (function is np.linalg.cholesky)))
    with pytest.raises(ShapeError, match="square"):
        function(Tensor(np.ones((2, 3))))


def test_an_operation_called_with_too_few_operands_says_so() -> None:
    scaled = Primitive("scaled", lambda a, b=2.0: a * b, a=lambda g, b: g * b, b=lambda g, a: g * a)
    with pytest.raises(TypeError, match="takes 2 operands"):
        scaled(Tensor([1.0], requires_grad=True))


def test_tensor_is_final() -> None:
    with pytest.raises(TypeError, match="cannot be subclassed"):
        type("Parameter", (Tensor,), {})


@pytest.mark.parametrize("use", [lambda t: t[5], lambda t: t[1.5], lambda t: t.sum(axis=3), lambda t: np.take(t, [7])])
def test_an_index_that_does_not_exist_is_an_index_error(use: Any) -> None:
    with pytest.raises(IndexError) as caught:
        use(Tensor([1.0, 2.0], requires_grad=True))
    assert isinstance(caught.value, ShapeError) and "(2,)" in str(caught.value)


def test_a_number_is_formatted_and_an_array_is_not() -> None:
    loss = np.sum(Tensor([1.0, 2.5], requires_grad=True))
    assert f"{loss:.2f}" == "3.50" and f"{loss}" == str(loss)
    with pytest.raises(ValueError, match="size 1"):
        f"{Tensor([1.0, 2.0]):.2f}"


@pytest.mark.parametrize("call", [lambda t: np.ravel(t, order="F"), lambda t: t.flatten("F")])
def test_another_order_of_elements_is_refused_and_not_ignored(call: Any) -> None:
    with pytest.raises(UnsupportedError, match="ravel"):
        call(Tensor(np.ones((2, 3))))
