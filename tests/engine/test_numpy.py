"""NumPy's functions on Tensors in the corners that random programs found."""

from __future__ import annotations

import operator
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import Primitive, Tensor, grad
from tinygrad_kr import functional as F
from tinygrad_kr.engine.dispatch import NUMPY
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.errors import DtypeError, ShapeError, UnsupportedError
from tinygrad_kr.numerical import numerical_gradient


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


# Dtypes and operators

KINDS = [
    2,
    2.0,
    True,
    np.float64(2),
    np.float32(2),
    np.int64(2),
    np.array(2.0),
    np.array([2.0, 3.0], "f4"),
    np.uint8(3),
]


@pytest.mark.parametrize(
    "ufunc", [f for f in NUMPY if isinstance(f, np.ufunc) and f.nin == 2], ids=lambda f: f.__name__
)
def test_operands_of_any_kind_promote_as_in_numpy(ufunc: Any) -> None:
    x = np.array([[0.5, 0.25]], "f4") if ufunc is not np.matmul else np.array([[0.5, 0.25]] * 2, "f4")
    for other in KINDS:
        for arguments in ((x, other), (other, x)):
            if ufunc is np.matmul and np.ndim(other) == 0:
                continue
            expected = ufunc(*arguments)
            y = ufunc(*(Tensor(a, requires_grad=True) if a is x else a for a in arguments))
            assert y.dtype == expected.dtype, (ufunc, other)
            np.testing.assert_allclose(y.data, expected, rtol=1e-6)


@pytest.mark.parametrize("other", KINDS, ids=repr)
def test_power_by_an_operator_promotes_as_np_power_does(other: Any) -> None:
    x = np.array([0.5, 0.25], "f4")
    assert (Tensor(x, requires_grad=True) ** other).dtype == np.power(x, other).dtype
    assert (other ** Tensor(x, requires_grad=True)).dtype == np.power(other, x).dtype


OPERATORS = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and_",
    "or_",
    "xor",
    "lshift",
    "rshift",
    "lt",
    "le",
    "gt",
    "ge",
    "eq",
    "ne",
]


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_works_from_both_sides(name: str) -> None:
    operate = getattr(operator, name)
    bits = name in ("and_", "or_", "xor", "lshift", "rshift")
    a, b = (np.array([5, 3]), np.array([2, 1])) if bits else (np.array([5.0, 3.0]), np.array([2.0, 1.5]))
    for left, right in ((Tensor(a), b), (a, Tensor(b)), (Tensor(a), Tensor(b))):
        np.testing.assert_array_equal(raw(operate(left, right)), operate(a, b))
    if name != "matmul":
        np.testing.assert_array_equal(raw(operate(2, Tensor(b))), operate(2, b))


def test_divmod_and_invert() -> None:
    t = Tensor(np.array([5.0, -3.0]), requires_grad=True)
    for (quotient, rest), expected in ((divmod(t, 2.0), divmod(t.data, 2.0)), (divmod(7.0, t), divmod(7.0, t.data))):
        np.testing.assert_array_equal(quotient, expected[0])
        np.testing.assert_array_equal(rest.data, expected[1])
    np.testing.assert_array_equal(~Tensor(np.array([True, False])), [False, True])


# Corners of reductions and determinants


@pytest.mark.parametrize("function", [np.var, np.std])
def test_variance_without_degrees_of_freedom_is_that_of_numpy(function: Any) -> None:
    for x, how in (
        (np.ones((0, 2)), {"axis": 0}),
        (np.array([1.0, 2.0]), {"ddof": 2}),
        (np.array([1.0, 2.0]), {"ddof": 3}),
    ):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(function(Tensor(x), **how).data, function(x, **how))
        with pytest.warns(RuntimeWarning):
            function(Tensor(x), **how)


def test_many_numbers_in_float16() -> None:
    """A count beyond 65504 is infinite in float16."""
    x = np.resize(np.array([0.0, 1.0, 2.0, 3.0], np.float16), 80_000)
    assert np.all(grad(np.mean)(x) == np.float16(1 / 80_000))
    for function in (np.mean, np.var, np.std):
        y = function(Tensor(x, requires_grad=True))
        assert (y.dtype, y.item()) == (np.float16, pytest.approx(float(function(x.astype(float))), rel=1e-3))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_gradient_of_a_determinant_exists_at_singular_matrices(n: int) -> None:
    rng = np.random.default_rng(n)
    f = lambda a: np.sum(np.linalg.det(a))
    weights = np.arange(2 * n * n).reshape(2, n, n)
    slope = lambda a: np.sum(grad(f)(a) * weights)
    for rank in range(n):
        a = np.zeros((2, n, n))
        a[0, :rank, :rank] = np.eye(rank)
        a[1] = np.eye(n) + 0.1 * rng.standard_normal((n, n))  # a regular one in the same batch
        np.testing.assert_allclose(grad(f)(a), numerical_gradient(f, a.copy()), atol=1e-7)
        np.testing.assert_allclose(grad(slope)(a), numerical_gradient(slope, a.copy()), atol=1e-6)


def test_einsum_goes_back_in_products_of_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, einsum = [], np.einsum
    monkeypatch.setattr(np, "einsum", lambda *args, **how: (seen.append(how), einsum(*args, **how))[1])
    a, b = (Tensor(np.ones((40, 40)), requires_grad=True) for _ in range(2))
    np.sum(NUMPY[einsum]("ij,jk->ik", a, b)).backward()
    assert [how.get("optimize") for how in seen] == [True] * 3


# Arrays of other classes


class Units(np.ndarray):
    """An array that computes in its own way, as those with units do."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return NotImplemented


class Labelled(np.ndarray):
    """An array that only carries something along, as those of image readers do."""


class Foreign:
    """An array of another library that speaks NumPy's protocols."""

    shape, ndim, size, dtype = (2,), 1, 2, np.dtype(float)

    def __array_function__(self, *args: Any) -> Any:
        return NotImplemented

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        return NotImplemented


WAYS_IN: list[Any] = [
    Tensor,
    lambda a: grad(np.sum)(a),
    lambda a: Tensor([1.0, 2.0], requires_grad=True) * a,
    lambda a: np.multiply(a, Tensor([1.0, 2.0])),
    lambda a: F.linear(Tensor(np.ones((1, 2))), a, np.ones(2)),
    lambda a: np.where([True, False], a, Tensor([1.0, 2.0])),
]


@pytest.mark.parametrize("way_in", WAYS_IN)
@pytest.mark.parametrize(
    ("array", "cure"),
    [
        (np.ma.array([1.0, 2.0], mask=[False, True]), "filled"),
        (np.ones(2).view(Units), "np.asarray"),
        (Foreign(), "np.asarray"),
    ],
    ids=["masked", "units", "foreign"],
)
def test_arrays_that_compute_otherwise_are_refused_at_the_door(way_in: Any, array: Any, cure: str) -> None:
    with pytest.raises((UnsupportedError, TypeError)) as caught:
        way_in(array)
    if type(caught.value) is not TypeError:  # NumPy's own, where the other array refuses first
        assert cure in str(caught.value)


def test_matrices_are_refused_at_the_door() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        m = np.matrix([[1.0, 2.0]])
    for way_in in WAYS_IN[:4]:
        with pytest.raises(UnsupportedError, match=r"np\.asarray"):
            way_in(m)


def test_subclasses_that_compute_as_arrays_do_are_taken_as_arrays(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "x", float, "w+", shape=(2,))
    mapped[:] = [1.0, 2.0]
    for array in (mapped, np.array([1.0, 2.0]).view(Labelled)):
        x = Tensor(array, requires_grad=True)
        np.sum(x * array).backward()
        assert type(x.data) is type(x.grad) is np.ndarray and np.shares_memory(x.data, array)
        np.testing.assert_array_equal(x.grad, [1.0, 2.0])


def test_an_unknown_keyword_is_answered_with_the_known_one() -> None:
    with pytest.raises(UnsupportedError, match="did you mean keepdims="):
        Tensor([1.0]).sum(keepdim=True)
    with pytest.raises(UnsupportedError, match=r"on plain arrays \(t.data\) it works"):
        np.sum(Tensor([1.0]), initial=1.0)


def test_a_parameter_that_is_a_tensor_is_refused() -> None:
    with pytest.raises(DtypeError, match="slope is a Tensor"):
        F.leaky_relu(Tensor([1.0, -1.0]), slope=Tensor(0.1, requires_grad=True))
