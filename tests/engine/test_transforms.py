"""grad and its kin: structures, nesting, closures, and what they refuse."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from tinygrad_kr import Tensor, grad, hessian, hvp, jacobian, jvp, no_grad, value_and_grad, vjp
from tinygrad_kr.errors import DtypeError, MutationError, ShapeError
from tinygrad_kr.numerical import numerical_gradient

Array = Any
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


# What a function captures


def slopes(w: Any, x: Array) -> dict[str, Any]:
    """What each transform makes of one function of x that captures w."""
    f = lambda x: np.sum(np.tanh(w * x)) + np.sum(x * x * w)
    elementwise = lambda x: np.tanh(w * x) * w
    v = np.array([0.3, -0.7])
    return {
        "grad": grad(f)(x),
        "value_and_grad": sum(np.sum(part) for part in value_and_grad(f)(x)),
        "vjp": vjp(elementwise, x)[1](v)[0],
        "jvp": jvp(elementwise, (x,), (v,))[1],
        "tangent": jvp(np.sin, (x,), (w * v,))[1],
        "cotangent": vjp(np.sin, x)[1](w * v)[0],
        "hvp": hvp(f)(x, v),
        "vector": hvp(lambda x: np.sum(x**3))(x, w * v),
        "jacobian": jacobian(elementwise)(x),
        "hessian": hessian(f)(x),
    }


@pytest.mark.parametrize("transform", slopes(np.ones(2), np.ones(2)))
def test_a_captured_tensor_stays_on_the_graph(transform: str) -> None:
    x, values = np.array([0.3, 0.4]), np.array([1.0, 2.0])
    loss = lambda w: np.sum(slopes(w, x)[transform] ** 2) + np.sum(w**2)
    w = Tensor(values, requires_grad=True)
    loss(w).backward()
    np.testing.assert_allclose(w.grad, numerical_gradient(lambda w: float(loss(w)), values), rtol=1e-6)


def test_what_a_captured_tensor_was_computed_from_gets_its_gradient() -> None:
    w = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    doubled = 2 * w
    np.sum(grad(lambda x: np.sum(doubled * x * x))(np.array([0.3, 0.4]))).backward()
    np.testing.assert_allclose(w.grad, 4 * np.array([0.3, 0.4]))


def test_results_are_arrays_where_nothing_outside_can_be_differentiated() -> None:
    w = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    f = lambda x: np.sum(w * x * x)
    with no_grad():
        assert type(grad(f)(x)) is np.ndarray
    assert type(grad(f)(x)) is Tensor
    w.requires_grad = False
    assert type(grad(f)(x)) is np.ndarray


def test_a_pullback_under_no_grad_returns_arrays_also_of_a_cotangent_on_the_graph() -> None:
    cotangent = Tensor(np.ones(3), requires_grad=True)
    _, pullback = vjp(lambda z: z + 1.0, x)
    assert type(pullback(cotangent)[0]) is Tensor
    with no_grad():
        assert type(pullback(cotangent)[0]) is np.ndarray


def test_a_captured_parameter_changed_before_backward_is_noticed() -> None:
    w = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    penalty = np.sum(grad(lambda x: np.sum(np.sin(w * x)))(x) ** 2)
    with no_grad():
        w -= 0.5
    with pytest.raises(MutationError):
        penalty.backward()


# Pullbacks


def test_a_pullback_does_not_differentiate_the_history_of_its_cotangent() -> None:
    f, three = lambda z: z * z, np.array([3.0])
    y, pullback = vjp(f, Tensor(three, requires_grad=True))
    assert pullback(y)[0].item() == 54.0
    assert pullback(pullback(np.ones(1))[0])[0].item() == 36.0

    def of_its_own_value(x: Any) -> Any:
        y, pullback = vjp(f, x)
        return np.sum(pullback(y)[0])  # 2 x**3

    assert of_its_own_value(three) == 54.0
    assert grad(of_its_own_value)(three).item() == 54.0  # 6 x**2


def test_cotangents_of_values_that_are_one_array_add_up() -> None:
    pullback = vjp(lambda x: (y := np.sin(x), y), x)[1]
    np.testing.assert_allclose(pullback((np.ones(3), 2 * np.ones(3)))[0], 3 * np.cos(x))


def test_a_pullback_walks_only_its_own_function_however_often_it_is_used() -> None:
    """A power iteration of 300 steps: with the history of the vector, it would take 2**300 of them."""
    a = np.array([[2.0, 1.0], [1.0, 3.0]])

    def largest_eigenvalue(a: Any) -> Any:
        v = np.ones(2)
        for _ in range(300):
            v = vjp(lambda x: a @ x, v)[1](v)[0]
            v = v / np.sqrt(np.sum(v * v))
        return np.sum(v * (a @ v))

    value, gradient = value_and_grad(largest_eigenvalue)(a)
    values, vectors = np.linalg.eigh(a)
    assert value == pytest.approx(values[1])
    np.testing.assert_allclose(gradient, np.outer(vectors[:, 1], vectors[:, 1]), atol=1e-10)


@pytest.mark.parametrize("f", [np.sum, np.transpose, lambda x: x, np.positive, np.ravel, lambda x: x[::2]], ids=str)
def test_results_can_be_written_to_and_belong_to_the_caller(f: Any) -> None:
    cotangent = np.ones(np.shape(f(x)))
    _, pullback = vjp(f, x)
    (gradient,) = pullback(cotangent)
    gradient += 1
    assert np.all(cotangent == 1)
    assert np.all(pullback(cotangent)[0] <= 1)
