"""What every function of the catalogue must have, drawn from its declaration."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from catalogue import CATALOGUE, Case, Declaration, cases, fan_ins, uneven
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tinygrad_kr import Primitive, Tensor, debug, grad, jvp, primitives
from tinygrad_kr import functional as F
from tinygrad_kr.gradcheck import Verdict, check_gradients
from tinygrad_kr.gradcheck.layouts import LAYOUTS
from tinygrad_kr.numerical import numerical_gradient
from tinygrad_kr.primitives import elementwise

Array = Any
Property = Callable[..., None]


def for_each_declaration(
    share: float = 0.3,
    of: Callable[[Declaration], bool] = lambda declaration: True,
    drawn: Callable[[Declaration], st.SearchStrategy[Case]] = cases,
    **more: st.SearchStrategy[Any],
) -> Callable[[Property], Property]:
    """Turn a property of a case into a test of every declaration, with a share of the profile's examples."""

    def decorate(holds: Property) -> Property:
        @functools.wraps(holds)
        def test(declaration: Declaration, data: st.DataObject) -> None:
            case = data.draw(drawn(declaration), label="case")
            holds(case, **{name: data.draw(strategy, label=name) for name, strategy in more.items()})

        del test.__wrapped__  # pytest would look there for fixtures
        few = settings(max_examples=max(1, round(share * settings.default.max_examples)))
        chosen = [declaration for declaration in CATALOGUE if of(declaration)]
        return pytest.mark.parametrize("declaration", chosen, ids=str)(few(given(data=st.data())(test)))

    return decorate


def leaves_of(operands: Iterable[Array]) -> list[Tensor]:
    return [Tensor(operand, requires_grad=True) for operand in operands]


def gradients_of(case: Case, operands: Iterable[Array] | None = None, cotangent: Array | None = None) -> list[Array]:
    """The gradient with respect to each operand, of the case or of others in their place."""
    leaves = leaves_of(case.operands if operands is None else operands)
    case.call(*leaves).backward(case.cotangent if cotangent is None else cotangent)
    return [leaf.grad for leaf in leaves]


def numerical_gradients(f: Callable[..., Any], operands: Iterable[Array]) -> list[Array]:
    """The gradient of a number with respect to each operand, by central differences."""
    operands = [np.array(operand) for operand in operands]
    return [numerical_gradient(lambda _: f(*operands), operand) for operand in operands]


def assert_close(actual: Iterable[Array], expected: Iterable[Array], tolerance: float) -> None:
    """Compare relative to the largest expected element, and never more strictly than to 1."""
    for a, b in zip(actual, expected, strict=True):
        scale = np.max(np.abs(b), initial=1.0)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)


def contents(arrays: Iterable[Array]) -> list[bytes]:
    return [array.tobytes() for array in arrays]


# Values


@for_each_declaration()
def test_value_on_tensors_and_on_arrays(case: Case) -> None:
    expected = case.reference()
    y = case.call(*leaves_of(case.operands))
    assert type(y) is Tensor and type(y.data) is np.ndarray and y.requires_grad
    assert y.shape == expected.shape and y.dtype == np.float64
    assert_close([y.data], [expected], 1e-12)
    on_arrays = case.call()
    assert isinstance(on_arrays, np.ndarray | np.generic | float)
    assert_close([on_arrays], [expected], 1e-12)


# First order


@for_each_declaration(share=0.5)
def test_gradient_agrees_with_numerical_gradient(case: Case) -> None:
    # Central differences are off by h**2 |f'''| / 6, with h = 1e-4 and |f'''| < 500 in every domain below 1e-6,
    # and by the rounding of f, about eps |f| / h = 2e-12 |f|.
    def projected(*operands: Array) -> float:
        return float(np.sum(case.cotangent * case.reference(*operands)))

    expected = numerical_gradients(projected, case.operands)
    assert_close(gradients_of(case), expected, case.declaration.tolerance)


@for_each_declaration(share=0.1)
def test_gradient_is_certified_within_error_bars(case: Case) -> None:
    """The harness, which takes no tolerance, accuses no rule, and can certify nearly all."""
    report = check_gradients(case.call, *case.operands, cotangent=case.cotangent)
    event(str(report.verdict))
    assert report.verdict is not Verdict.FAIL, str(report)


@for_each_declaration(share=0.1, of=lambda declaration: declaration.kinks is not None)
def test_gradient_exactly_at_a_kink_is_a_subgradient(case: Case) -> None:
    zeros = [np.zeros_like(operand) if i == 0 else operand for i, operand in enumerate(case.operands)]
    assert check_gradients(case.call, *zeros).verdict is not Verdict.FAIL


@for_each_declaration(share=0.2, of=lambda declaration: len(declaration.domains) > 1)
def test_each_operand_alone_gets_the_same_gradient(case: Case) -> None:
    """What a rule needs is kept also where the other operands are constants."""
    together = gradients_of(case)
    for position, expected in enumerate(together):
        operands: list[Any] = list(case.operands)
        operands[position] = leaf = Tensor(operands[position], requires_grad=True)
        case.call(*operands).backward(case.cotangent)
        assert_close([leaf.grad], [expected], 1e-14)


@for_each_declaration(share=0.2, of=lambda declaration: declaration.same is not None, drawn=fan_ins)
def test_one_tensor_as_every_operand_gets_the_sum(case: Case) -> None:
    separate = gradients_of(case)
    x = Tensor(case.operands[0], requires_grad=True)
    case.call(*(x for _ in case.operands)).backward(case.cotangent)
    assert_close([x.grad], [np.sum(separate, axis=0)], 1e-14)


@for_each_declaration(share=0.15)
def test_a_second_walk_adds_the_same_again(case: Case) -> None:
    """No rule changes what it saved, and none gives away an array that it needs again."""
    leaves = leaves_of(case.operands)
    y = case.call(*leaves)
    y.backward(case.cotangent, retain_graph=True)
    first = [leaf.grad.copy() for leaf in leaves]
    y.backward(case.cotangent)
    for leaf, gradient in zip(leaves, first, strict=True):
        np.testing.assert_array_equal(leaf.grad, 2 * gradient)


# Whose memory


@for_each_declaration()
def test_nothing_is_changed_and_no_gradient_shares_memory(case: Case) -> None:
    leaves = leaves_of(case.operands)
    y = case.call(*leaves)
    theirs = [*case.arrays(), y.data]
    before = contents(theirs)
    y.backward(case.cotangent)
    assert contents(theirs) == before
    for position, leaf in enumerate(leaves):
        assert (type(leaf.grad), leaf.grad.dtype, leaf.grad.shape) == (np.ndarray, np.float64, leaf.shape)
        others = [*theirs, *(other.grad for other in leaves[:position])]
        assert leaf.grad.flags.writeable
        assert not any(np.shares_memory(leaf.grad, other) for other in others)


@for_each_declaration(share=0.2)
def test_what_numpy_copies_is_copied(case: Case) -> None:
    """A result can be kept, or written to, wherever NumPy's own could."""
    expected = case.reference()
    y = case.call(*map(Tensor, case.operands)).data
    for operand in case.operands:
        assert np.shares_memory(expected, operand) or not np.shares_memory(y, operand)


# Shapes and dtypes


@for_each_declaration(share=0.2)
def test_float32_stays_float32_and_close_to_float64(case: Case) -> None:
    halved = [operand.astype(np.float32) for operand in case.operands]
    params = {name: as_float32(value) for name, value in case.params.items()}
    single = Case(case.declaration, tuple(halved), params, case.cotangent)
    leaves = leaves_of(halved)
    y = single.call(*leaves)
    if case.declaration.keeps_dtype:
        assert y.dtype == np.float32
    y.backward(case.cotangent.astype(np.float32))
    gradients = [leaf.grad for leaf in leaves]
    assert [(g.dtype, g.shape) for g in gradients] == [(np.float32, x.shape) for x in halved]
    assert_close([y.data], [case.reference(*(x.astype(np.float64) for x in halved))], 1e-4)
    assert_close(gradients, gradients_of(case, [x.astype(np.float64) for x in halved]), 1e-4)


def as_float32(value: Any) -> Any:
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value


@for_each_declaration(share=0.2, of=lambda declaration: len(declaration.domains) > 1)
def test_mixed_dtypes_each_get_their_own_back(case: Case) -> None:
    exact = gradients_of(case)
    for position in range(len(case.operands)):
        operands = list(case.operands)
        operands[position] = operands[position].astype(np.float32)
        gradients = gradients_of(case, operands)
        assert [(g.dtype, g.shape) for g in gradients] == [(x.dtype, x.shape) for x in operands]
        assert_close(gradients, exact, 1e-4)


# Layouts in memory


@for_each_declaration(layout=st.sampled_from(list(LAYOUTS)))
def test_operands_in_any_layout(case: Case, layout: str) -> None:
    operands = [LAYOUTS[layout](operand) for operand in case.operands]
    cotangent = LAYOUTS[layout](case.cotangent)
    before = contents([*operands, cotangent])
    gradients = gradients_of(case, operands, cotangent)
    assert_close([case.call(*leaves_of(operands)).data], [case.reference()], 1e-12)
    assert_close(gradients, gradients_of(case), 1e-14)
    assert contents([*operands, cotangent]) == before
    for gradient in gradients:
        assert not any(np.shares_memory(gradient, other) for other in (*operands, cotangent))


# debug() sees every operation, and must accept every sound one


@for_each_declaration(share=0.05, of=lambda declaration: "step" not in declaration.name)
def test_debug_changes_nothing(case: Case) -> None:
    with debug():
        looked_at = gradients_of(case)
    for actual, expected in zip(looked_at, gradients_of(case), strict=True):
        np.testing.assert_array_equal(actual, expected)


@for_each_declaration(share=0.2)
def test_jvp_is_the_transpose_of_vjp(case: Case) -> None:
    """The rules are given Tensors as cotangents, and arrays for all else."""
    tangents = tuple(np.cos(1.0 + np.arange(x.size)).reshape(x.shape) for x in case.operands)
    _, tangent = jvp(case.call, case.operands, tangents)
    sideways = sum(np.vdot(g, v) for g, v in zip(gradients_of(case), tangents, strict=True))
    assert_close([np.vdot(case.cotangent, tangent)], [sideways], 1e-9)


# Second order


@for_each_declaration(share=0.2)
def test_second_order_agrees_with_numerical_gradient_of_the_first(case: Case) -> None:
    count = len(case.operands)
    directions = [uneven(position, x.shape) for position, x in enumerate(case.operands)]

    def first_order(*operands_and_cotangent: Any) -> tuple[Any, ...]:
        *operands, cotangent = operands_and_cotangent
        f = lambda *operands: np.sum(cotangent * case.call(*operands))
        return grad(f, argnums=tuple(range(count)))(*operands)

    def projected(*operands_and_cotangent: Any) -> Any:
        gradients = first_order(*operands_and_cotangent)
        return sum(np.sum(u * g) for u, g in zip(directions, gradients, strict=True))

    point = (*case.operands, case.cotangent)
    actual = grad(projected, argnums=tuple(range(count + 1)))(*point)
    # One more derivative than at first order, with larger constants: a tenth of its digits is given up.
    assert_close(actual, numerical_gradients(projected, point), 10 * case.declaration.tolerance)


# Conventions at kinks


CONVENTIONS: list[tuple[str, Callable[..., Any], list[Any], list[Any]]] = [
    ("relu at 0", F.relu, [[-1.0, 0.0, 1.0]], [[0, 0, 1]]),
    ("relu at -0", F.relu, [[-0.0]], [[0]]),
    ("abs at 0", np.abs, [[-2.0, 0.0, 2.0]], [[-1, 0, 1]]),
    ("sign", np.sign, [[-2.0, 0.0, 2.0]], [[0, 0, 0]]),
    ("step", F.step, [[-2.0, 0.0, 2.0]], [[0, 0, 0]]),
    ("leaky_relu at 0", F.leaky_relu, [[-1.0, 0.0, 1.0]], [[0.01, 0.01, 1]]),
    ("leaky_relu at 0, slope 0.3", lambda x: F.leaky_relu(x, 0.3), [[-1.0, 0.0, 1.0]], [[0.3, 0.3, 1]]),
    ("tie in maximum", np.maximum, [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]], [[0.5, 0, 1], [0.5, 1, 0]]),
    ("tie in minimum", np.minimum, [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]], [[0.5, 1, 0], [0.5, 0, 1]]),
    ("ties in max", np.max, [[3.0, 1.0, 3.0, 3.0]], [[1 / 3, 0, 1 / 3, 1 / 3]]),
    ("ties in min", np.min, [[3.0, 1.0, 3.0, 1.0]], [[0, 0.5, 0, 0.5]]),
    (
        "ties in max along an axis",
        lambda x: np.sum(np.max(x, axis=1)),
        [[[2.0, 2.0], [0.0, 1.0]]],
        [[[0.5, 0.5], [0, 1]]],
    ),
    (
        "ties in a window of max_pool2d",
        F.max_pool2d,
        [[[[[2.0, 2.0, 0.0, 3.0], [1.0, 2.0, 3.0, 0.0]]]]],
        [[[[[1 / 3, 1 / 3, 0, 0.5], [0, 1 / 3, 0.5, 0]]]]],
    ),
    (
        "ties in overlapping windows of max_pool2d",
        lambda x: F.max_pool2d(x, (1, 2), stride=1),
        [[[[[4.0, 4.0, 4.0, 1.0]]]]],
        [[[[[0.5, 1, 1.5, 0]]]]],
    ),
    (
        "no tie of max_pool2d with its padding",
        lambda x: F.max_pool2d(x, 3, padding=1),
        [[[[[-np.inf]]]]],
        [[[[[1]]]]],
    ),
    ("tie in fmax", np.fmax, [[1.0, 2.0], [1.0, 3.0]], [[0.5, 0], [0.5, 1]]),
    ("tie in fmin", np.fmin, [[1.0, 2.0], [1.0, 3.0]], [[0.5, 1], [0.5, 0]]),
    ("clip at its bounds", lambda x: np.clip(x, -1, 1), [[-2.0, -1.0, 0.0, 1.0, 2.0]], [[0, 1, 1, 1, 0]]),
    ("hard_tanh at its bounds", F.hard_tanh, [[-1.0, 1.0]], [[1, 1]]),
    ("elu at 0", lambda x: F.elu(x, 0.5), [[-0.0, 0.0]], [[0.5, 0.5]]),
    ("norm at 0", np.linalg.norm, [[0.0, 0.0]], [[0, 0]]),
    ("std at 0", np.std, [[2.0, 2.0]], [[0, 0]]),
    ("x**0", lambda x: x**0, [[-1.0, 0.0, 1.0]], [[0, 0, 0]]),
    ("x**0.0", lambda x: x**0.0, [[-1.0, 0.0, 1.0]], [[0, 0, 0]]),
    ("x**zeros", lambda x: x ** np.zeros(3), [[-1.0, 0.0, 1.0]], [[0, 0, 0]]),
    ("x**1", lambda x: x**1, [[-1.0, 0.0, 1.0]], [[1, 1, 1]]),
    ("x**2 at 0", lambda x: x**2, [[0.0]], [[0]]),
]


@pytest.mark.parametrize(
    ("call", "operands", "expected"), [row[1:] for row in CONVENTIONS], ids=[row[0] for row in CONVENTIONS]
)
def test_convention_at_a_kink(call: Callable[..., Any], operands: list[Any], expected: list[Any]) -> None:
    leaves = leaves_of(map(np.array, operands))
    np.sum(call(*leaves)).backward()
    for leaf, gradient in zip(leaves, expected, strict=True):
        np.testing.assert_array_equal(leaf.grad, gradient)


# Completeness


Observed = dict[Primitive, set[int]]
"""For each primitive that a declaration called, the operands that asked for a gradient."""


def catalogued() -> dict[str, Primitive]:
    """Every primitive of the package, by the module and the name under which it is found."""
    modules = [module for module in vars(primitives).values() if isinstance(module, types.ModuleType)]
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Primitive)
    }


def undeclared(primitive: Primitive, observed: Observed) -> list[str]:
    """The operands for which a primitive has a rule that no declaration runs."""
    seen = observed.get(primitive, set())
    return [
        operand
        for position, operand in enumerate(primitive.operands)
        if primitive.rules[position] is not None and position not in seen
    ]


@pytest.fixture(scope="module")
def observed() -> Observed:
    """What the declarations really call, seen while their gradients are computed."""
    seen: Observed = {}
    call = Primitive.__call__

    def watched(self: Primitive, *operands: Any, **params: Any) -> Any:
        output = call(self, *operands, **params)
        if isinstance(output, Tensor) and output.requires_grad:
            wanted = (i for i, operand in enumerate(operands) if getattr(operand, "requires_grad", False))
            seen.setdefault(self, set()).update(wanted)
        return output

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Primitive, "__call__", watched)
        for declaration in CATALOGUE:
            watch(declaration)
    return seen


def watch(declaration: Declaration) -> None:
    """Run a declaration a few times."""

    @settings(max_examples=10)
    @given(cases(declaration))
    def run(case: Case) -> None:
        with contextlib.suppress(Exception):  # what fails is told by the tests of its declaration
            gradients_of(case)

    run()


@pytest.mark.parametrize("name", catalogued())
def test_every_rule_is_declared(name: str, observed: Observed) -> None:
    missing = undeclared(catalogued()[name], observed)
    assert not missing, f"{name}: no declaration in tests/catalogue.py takes its gradient for {missing}"


def test_a_primitive_without_a_declaration_is_found(monkeypatch: pytest.MonkeyPatch, observed: Observed) -> None:
    orphan = Primitive("orphan", lambda a, b: a + b, a=lambda g: g, b=lambda g: g)
    monkeypatch.setattr(elementwise, "orphan", orphan, raising=False)
    assert catalogued()["elementwise.orphan"] is orphan
    assert undeclared(orphan, observed) == ["a", "b"]
    assert undeclared(orphan, observed | {orphan: {0}}) == ["b"]


def test_names_of_declarations_are_distinct() -> None:
    names = [declaration.name for declaration in CATALOGUE]
    assert sorted(set(names)) == sorted(names)
