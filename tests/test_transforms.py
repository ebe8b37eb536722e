"""grad and its kin: structures, nesting, closures, and what they refuse."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from tinygrad_kr import Tensor, grad, hessian, hvp, jacobian, jvp, no_grad, value_and_grad, vjp
from tinygrad_kr.errors import DtypeError, ShapeError
from tinygrad_kr.numerical import numerical_gradient

x = np.array([0.5, -1.0, 2.0])


def cubic(x: Any) -> Any:
    return np.sum(x**3) + x[0] * x[1] * x[2]


def test_gradient_is_an_array_and_agrees_with_the_numerical_one() -> None:
    value, gradient = value_and_grad(cubic)(x)
    assert value == cubic(x) and type(gradient) is np.ndarray
    np.testing.assert_allclose(gradient, numerical_gradient(cubic, x), atol=1e-7)


def test_argnums_choose_and_order_the_gradients() -> None:
    f = lambda a, b, c: np.sum(a * b**2 * c)
    a, b, c = np.array([1.0, 2.0]), 3.0, np.array([5.0, 7.0])
    by_c, by_a = grad(f, argnums=(2, 0))(a, b, c)
    np.testing.assert_array_equal(by_c, a * 9)
    np.testing.assert_array_equal(by_a, 9 * c)
    assert grad(f, argnums=1)(a, b, c) == grad(f, argnums=-2)(a, b, c) == 6.0 * 19
    with pytest.raises(ShapeError, match="called with 3 arguments"):
        grad(f, argnums=3)(a, b, c)


class Layer(NamedTuple):
    w: Any
    b: Any


def test_gradients_come_back_in_the_structure_of_the_argument() -> None:
    params = {"layers": [Layer(np.ones((3, 2)), np.zeros(2)), (np.ones((2, 1)), 0.5)], "scale": 2.0}

    def loss(params: Any) -> Any:
        first, (w, b) = params["layers"]
        return np.sum(params["scale"] * (np.tanh(x @ first.w + first.b) @ w + b))

    gradient = grad(loss)(params)
    assert type(gradient["layers"][0]) is Layer and gradient["layers"][0].w.shape == (3, 2)
    assert type(gradient["layers"][1]) is tuple and gradient["layers"][1][1] == 2.0
    assert gradient["scale"] == pytest.approx(loss(params) / 2.0)


def test_what_the_value_does_not_depend_on_has_gradient_zero() -> None:
    gradient = grad(lambda p: np.sum(p["used"]))({"used": np.ones(2), "unused": np.ones((2, 3))})
    np.testing.assert_array_equal(gradient["unused"], np.zeros((2, 3)))
    assert grad(lambda x: 3.0)(x).tolist() == [0.0, 0.0, 0.0]


def test_transforms_nest() -> None:
    third = grad(grad(grad(lambda x: x**4)))
    assert third(2.0) == pytest.approx(48.0)
    np.testing.assert_allclose(hessian(cubic)(x), jacobian(grad(cubic))(x))
    np.testing.assert_allclose(hvp(cubic)(x, np.arange(3.0)), hessian(cubic)(x) @ np.arange(3.0))
    np.testing.assert_allclose(jvp(grad(cubic), (x,), (np.arange(3.0),))[1], hessian(cubic)(x) @ np.arange(3.0))


def test_an_inner_gradient_may_depend_on_the_outer_variable() -> None:
    inner = lambda x: grad(lambda y: x * y**2)(1.0)  # 2 x
    assert inner(3.0) == 6.0
    assert grad(inner)(3.0) == 2.0
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(5.0) == 1.0


def test_second_derivatives_where_a_value_is_used_twice() -> None:
    f = lambda x: np.sum(np.exp(x)) + np.sum(x * 3.0) + np.sum(x * x)
    np.testing.assert_allclose(hessian(f)(x), np.diag(np.exp(x) + 2))


def test_a_gradient_taken_of_tensors_can_be_walked_back() -> None:
    w = Tensor(x, requires_grad=True)
    penalty = np.sum(grad(cubic)(w) ** 2)
    penalty.backward()
    expected = numerical_gradient(lambda w: np.sum(grad(cubic)(w) ** 2), x.copy())
    np.testing.assert_allclose(w.grad, expected, atol=1e-5)


def test_transforms_record_inside_no_grad() -> None:
    with no_grad():
        np.testing.assert_array_equal(grad(np.sum)(x), np.ones(3))


def test_vjp_of_several_values_and_arguments() -> None:
    f = lambda a, b: {"sum": a + b, "both": (a * b, np.sum(a))}
    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    value, pullback = vjp(f, a, b)
    assert value["both"][1] == 3.0
    cotangents = {"sum": np.array([1.0, 1.0]), "both": (np.array([1.0, 10.0]), 100.0)}
    by_a, by_b = pullback(cotangents)
    np.testing.assert_array_equal(by_a, 1 + np.array([3.0, 40.0]) + 100)
    np.testing.assert_array_equal(by_b, 1 + np.array([1.0, 20.0]))
    np.testing.assert_array_equal(pullback(cotangents)[0], by_a)  # as often as wanted


def test_jvp_and_vjp_are_transposes_of_each_other() -> None:
    rng = np.random.default_rng(0)
    f = lambda x: np.sin(x[:2]) * np.sum(x)
    v, u = rng.standard_normal(3), rng.standard_normal(2)
    assert u @ jvp(f, (x,), (v,))[1] == pytest.approx(vjp(f, x)[1](u)[0] @ v)


def test_jacobian_has_the_shape_of_value_and_argument() -> None:
    j = jacobian(lambda a: a[:, None] * np.ones((1, 2)))(x)
    assert j.shape == (3, 2, 3)
    np.testing.assert_array_equal(j[:, 0], np.eye(3))
    nested = jacobian(lambda p: {"y": p["a"] * 2, "z": np.sum(p["b"])})({"a": x, "b": np.ones((2, 2))})
    np.testing.assert_array_equal(nested["y"]["a"], 2 * np.eye(3))
    assert nested["y"]["b"].shape == (3, 2, 2) and nested["z"]["b"].shape == (2, 2)
    assert jacobian(lambda a: a[:0])(x).shape == (0, 3)


def test_keyword_arguments_are_passed_on() -> None:
    f = lambda x, *, power: np.sum(x**power)
    np.testing.assert_allclose(grad(f)(x, power=2), 2 * x)
    np.testing.assert_allclose(hvp(f)(x, np.ones(3), power=3), 6 * x)


@pytest.mark.parametrize(
    ("call", "error", "parts"),
    [
        (lambda: grad(np.sin)(x), ShapeError, ["single number", "(3,)", "np.sum", "jacobian"]),
        (lambda: grad(lambda x: (np.sum(x), 1.0))(x), ShapeError, ["single number", "tuple"]),
        (lambda: grad(np.sum)(np.array([1, 2])), DtypeError, ["int64", "floats"]),
        (lambda: vjp(np.sin, x)[1](np.ones(2)), ShapeError, ["(3,)", "(2,)"]),
        (lambda: vjp(lambda x: (x, x), x)[1](np.ones(3)), ShapeError, ["tuple(array, array)", "got array"]),
        (lambda: jvp(np.sin, (x,), (np.ones(2),)), ShapeError, ["(3,)", "(2,)"]),
        (lambda: hvp(cubic)(x, (x,)), ShapeError, ["expected", "structure"]),
    ],
)
def test_misuse_is_explained(call: Any, error: type[Exception], parts: list[str]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert [part for part in parts if part not in str(caught.value)] == []


def test_a_failing_function_leaves_no_trace() -> None:
    def fails(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        grad(fails)(x)
    assert type(grad(cubic)(x)) is np.ndarray  # and not a Tensor, as inside another transform
