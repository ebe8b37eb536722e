"""What is drawn keeps what the strategies promise."""

from __future__ import annotations

import doctest
import importlib
import math
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from tinygrad_kr.gradcheck.with_hypothesis import strategies as gs

Array = Any
SEEDED = settings(derandomize=True, database=None, deadline=None)


def draws(strategy: st.SearchStrategy[Any], count: int = 50) -> list[Any]:
    """The same examples in every run."""
    seen = []

    @settings(SEEDED, max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def collect(drawn: Any) -> None:
        seen.append(drawn)

    collect()
    return seen


def share(flags: list[Any]) -> float:
    return float(np.mean([bool(flag) for flag in flags]))


def first(strategy: st.SearchStrategy[Any]) -> Any:
    """The simplest example: hypothesis begins with it."""
    return draws(strategy, 1)[0]


def smallest(strategy: st.SearchStrategy[Any], condition: Callable[[Any], Any]) -> Any:
    """What an example that fulfils a condition shrinks to."""
    return find(strategy, condition, settings=SEEDED)


# Shapes


def test_shapes_have_all_forms() -> None:
    drawn = draws(gs.shapes(), 200)
    assert {len(shape) for shape in drawn} == {0, 1, 2, 3}
    assert {side for shape in drawn for side in shape} == {0, 1, 2, 3, 4}
    assert all(math.prod(shape) <= 30 for shape in drawn)
    assert 0.03 < share([0 in shape for shape in drawn]) < 1 / 3


def test_shapes_keep_their_bounds() -> None:
    drawn = draws(gs.shapes(min_dims=1, max_dims=2, min_side=2, max_side=5, max_size=12, empty=False))
    assert {len(shape) for shape in drawn} == {1, 2}
    assert {side for shape in drawn for side in shape} == {2, 3, 4, 5}
    assert max(map(math.prod, drawn)) == 12


@pytest.mark.parametrize("count", [1, 2, 3])
def test_broadcastable_shapes_broadcast(count: int) -> None:
    drawn = draws(gs.broadcastable_shapes(count), 120)
    assert all(len(shapes) == count and math.prod(np.broadcast_shapes(*shapes)) <= 30 for shapes in drawn)
    assert 0 < share([0 in np.broadcast_shapes(*shapes) for shapes in drawn]) < 1 / 3
    if count > 1:
        assert share([len({*shapes}) > 1 for shapes in drawn]) > 0.5
        assert any(len(a) < len(b) for a, b, *_ in drawn)
        assert any(len(a) == len(b) and 1 in a and a != b for a, b, *_ in drawn)
    assert not any(0 in shape for shapes in draws(gs.broadcastable_shapes(count, empty=False)) for shape in shapes)


# Arrays


def test_elements_are_in_range_each_for_itself() -> None:
    drawn = draws(gs.arrays(6, low=-1.0, high=2.0), 100)
    assert all(x.shape == (6,) and x.dtype == np.float64 and x.flags.c_contiguous for x in drawn)
    together = np.concatenate(drawn)
    assert together.min() >= -1 and together.max() <= 2 and np.ptp(together) > 2.5
    assert np.all((together == 0) | (np.abs(together) >= 2.0**-20))
    assert 0.5 < share([len({*x}) == 6 for x in drawn]) < 0.95


def test_sign_is_drawn_for_each_element() -> None:
    drawn = draws(gs.arrays(4, low=0.25, high=2.0, signed=True))
    assert all(np.all((np.abs(x) >= 0.25) & (np.abs(x) <= 2)) for x in drawn)
    assert len({tuple(x < 0) for x in drawn}) > 8


def test_where_zero_is_out_of_range_small_numbers_stay() -> None:
    tiny = np.concatenate(draws(gs.arrays(3, low=1e-30, high=1e-29)))
    assert tiny.min() >= 1e-30


def test_elements_of_ones_own_and_float32() -> None:
    drawn = np.concatenate(draws(gs.arrays(3, elements=gs.magnitudes(-3, 4), dtype=np.float32)))
    assert drawn.dtype == np.float32
    assert {*np.frexp(drawn)[1]} == set(range(-2, 6))  # frexp's mantissa is half of that in 2**k * u
    assert 0.2 < share(list(drawn < 0)) < 0.8
    assert min(draws(gs.magnitudes(-3, 4, signed=False))) > 0


@pytest.mark.parametrize("signed", [False, True])
def test_distinct_means_distinct_in_any_order(signed: bool) -> None:
    drawn = draws(gs.arrays(gs.shapes(), low=0.5, high=3.0, distinct=True, signed=signed))
    for x in drawn:
        magnitudes = np.sort(np.abs(x), axis=None)
        assert np.all(np.diff(magnitudes) >= 2.5 / (4 * max(x.size, 1)))
        assert np.all((magnitudes >= 0.5) & (magnitudes <= 3))
    orders = {tuple(np.argsort(np.abs(x))) for x in draws(gs.arrays(3, low=0.5, distinct=True, signed=signed))}
    assert len(orders) == 6


def test_arrays_take_an_int_a_shape_or_a_strategy() -> None:
    assert first(gs.arrays(3)).shape == (3,)
    assert first(gs.arrays((2, 0))).shape == (2, 0)
    assert first(gs.arrays(st.just((1, 2)))).shape == (1, 2)
    assert first(gs.arrays()).shape == ()


# Kinks


def distance_from(x: Array, kinks: list[float]) -> Array:
    return np.min([np.abs(x - kink) for kink in kinks], axis=0)


def test_one_draw_in_ten_is_on_a_kink_and_the_others_are_away() -> None:
    drawn = draws(gs.arrays(3, kinks=[0.0, 1.0]), 200)
    distances = [distance_from(x, [0.0, 1.0]) for x in drawn]
    assert all(np.all((d == 0) | (d >= gs.GAP)) for d in distances)
    assert 0.05 < share([np.any(d == 0) for d in distances]) < 0.2
    on = [tuple(x[d == 0]) for x, d in zip(drawn, distances, strict=True) if np.any(d == 0)]
    assert {0.0, 1.0} == {kink for kinks in on for kink in kinks}
    assert {len(kinks) for kinks in on} >= {1, 2}


@pytest.mark.parametrize(("wanted", "expected"), [(0, 0), (0.5, 0.5), (1, 1)])
def test_share_of_draws_on_kinks_can_be_chosen(wanted: float, expected: float) -> None:
    drawn = draws(gs.arrays(2, kinks=[0.0], on_kinks=wanted), 150)
    assert share([0 in x for x in drawn]) == pytest.approx(expected, abs=0 if wanted in (0, 1) else 0.2)


@pytest.mark.parametrize("signed", [False, True])
def test_elements_moved_off_a_kink_stay_in_range(signed: bool) -> None:
    strategy = gs.arrays(2, low=0.0 if signed else -1.0, high=1.0, signed=signed, kinks=[-1, 0, 1], gap=0.125)
    for x in draws(strategy, 200):
        d = distance_from(x, [-1, 0, 1])
        assert np.all(np.abs(x) <= 1) and np.all((d == 0) | (d >= 0.125))


def test_kinks_out_of_range_are_no_kinks() -> None:
    assert first(gs.arrays(1, low=0.0, high=2.0, kinks=[-5.0, 7.0])) == [0]


def test_kinks_as_distances() -> None:
    drawn = draws(gs.arrays(3, kinks=lambda x: (x - 0.1, 1 / 3 - x)), 200)
    distances = [distance_from(x, [0.1, 1 / 3]) for x in drawn]
    assert all(np.all((d == 0) | (d >= gs.GAP - 1e-15)) for d in distances)
    assert {0.1, 1 / 3} == {*np.concatenate([x[d == 0] for x, d in zip(drawn, distances, strict=True)])}


def test_rounding_does_not_keep_elements_from_a_kink() -> None:
    drawn = draws(gs.arrays(2, kinks=lambda x: x - 1e-5 / 3, on_kinks=1))
    assert all(np.any(x == 1e-5 / 3) for x in drawn)


def test_no_element_leaves_its_range_for_a_kink() -> None:
    assert all(np.all(x <= 4) for x in draws(gs.arrays(2, kinks=lambda x: x - 5, on_kinks=1)))


def test_nothing_is_moved_onto_one_kink_and_close_to_another() -> None:
    narrow = gs.operands(
        2, operand_shapes=st.just(((1,), (4,))), low=-0.25, high=0.25, kinks=lambda a, b: a - b, on_kinks=1
    )
    drawn = draws(narrow)
    assert all(np.all((a == b) | (np.abs(a - b) >= gs.GAP)) for a, b in drawn)
    assert any(np.any(a == b) for a, b in drawn)


def test_ties_of_operands_that_broadcast() -> None:
    drawn = draws(gs.operands(2, kinks=lambda a, b: a - b), 150)
    assert all(np.all((a == b) | (np.abs(a - b) >= gs.GAP)) for a, b in drawn)
    filled = [(a, b) for a, b in drawn if np.size(a - b)]
    assert 0.05 < share([np.any(a == b) for a, b in filled]) < 0.2
    assert any(np.any(a == b) and a.shape != b.shape for a, b in filled)


def test_each_operand_has_its_own_range() -> None:
    drawn = draws(gs.operands(3, low=(0, 1, -2), high=(1, 2, -1), signed=[False, True, False]))
    for a, b, c in drawn:
        np.broadcast_shapes(a.shape, b.shape, c.shape)
        assert np.all((a >= 0) & (a <= 1)) and np.all((np.abs(b) >= 1) & (np.abs(b) <= 2)) and np.all(c < 0)
    assert any(np.any(b < 0) for _, b, _ in drawn)


def test_operands_of_given_shapes() -> None:
    equal = gs.shapes().map(lambda shape: (shape, shape))
    assert all(a.shape == b.shape for a, b in draws(gs.operands(2, operand_shapes=equal)))


# What cannot be


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 2, "high": 1}, "low not above high; got 2 and 1"),
        ({"high": math.inf}, "must be finite"),
        ({"low": -1, "high": 1, "signed": True}, "smallest magnitude"),
        ({"gap": 0}, "gap must be above 0"),
        ({"on_kinks": 2}, "on_kinks between 0 and 1"),
        ({"distinct": True, "kinks": [0]}, "moving makes ties"),
        ({"distinct": True, "low": 1, "high": 1}, "need a range"),
        ({"distinct": True, "elements": st.just(1.0)}, "need a range"),
        ({"dtype": int}, "must be a float, got int64"),
    ],
)
def test_contradictions_are_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gs.arrays(3, **arguments)


def test_as_many_ranges_as_operands() -> None:
    with pytest.raises(ValueError, match="low has 3 values, but there are 2 operands"):
        gs.operands(2, low=[1, 2, 3])


@pytest.mark.parametrize(
    ("kinks", "message"),
    [
        (lambda x: x * 0, "does not take it away from its kinks"),
        ([i / 10 for i in range(-40, 41)], "there is no room"),
        (lambda x: np.diff(x), r"one distance for each element of the first operand, \(3,\).*; got \(2,\)"),
    ],
)
def test_impossible_kinks_are_refused(kinks: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        first(gs.arrays(3, kinks=kinks, gap=0.1))


def test_unknown_kind_of_labels() -> None:
    with pytest.raises(ValueError, match="'labels', 'one-hot' or 'soft', got 'onehot'"):
        gs.scores_with_labels("onehot")


# Products, labels, matrices


def test_matmul_operands_multiply() -> None:
    drawn = draws(gs.matmul_operands(), 250)
    assert all(max(a.size, b.size, (a @ b).size) <= 30 for a, b in drawn)
    dims = {(a.ndim, b.ndim) for a, b in drawn}
    assert dims >= {(1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (3, 3)}
    assert any(a.ndim > 2 and b.ndim > 2 and a.shape[:-2] != b.shape[:-2] for a, b in drawn)
    assert any(a.shape[-1] == 0 and (a @ b).size for a, b in drawn)
    assert not any(a.size == 0 for a, b in draws(gs.matmul_operands(empty=False)))


def test_labels_are_in_range_of_several_dtypes_and_repeat() -> None:
    drawn = draws(gs.scores_with_labels(), 150)
    for scores, labels in drawn:
        assert scores.ndim == 2 and scores.dtype == np.float64 and labels.shape == scores.shape[:1]
        assert np.all((labels >= 0) & (labels < scores.shape[1]))
    assert {labels.dtype for _, labels in drawn} == {np.dtype(kind) for kind in (np.int64, np.int32, np.uint8)}
    assert {len(scores) for scores, _ in drawn} == {1, 2, 3, 4}
    assert {int(np.max(labels)) for _, labels in drawn} == {0, 1, 2, 3}
    many = [labels for _, labels in drawn if len(labels) == 4]
    assert 0.1 < share([np.all(labels == labels[0]) for labels in many]) < 0.8
    assert any(1 < len({*labels.tolist()}) < 4 for labels in many)


def test_one_hot_and_soft_rows() -> None:
    for scores, rows in draws(gs.scores_with_labels("one-hot", dtypes=[np.float64])):
        assert rows.shape == scores.shape and rows.dtype == np.float64
        assert np.all(np.sort(rows)[:, -1] == 1) and np.all(np.sort(rows)[:, :-1] == 0)
    for scores, rows in draws(gs.scores_with_labels("soft")):
        assert rows.shape == scores.shape and np.all(rows > 0)
        np.testing.assert_allclose(rows.sum(axis=-1), 1)


def test_batches_of_labels() -> None:
    scores, label = first(gs.scores_with_labels(batch=(), classes=3))
    assert scores.shape == (3,) and label.shape == ()
    scores, rows = first(gs.scores_with_labels("one-hot", batch=st.just((2, 3)), classes=st.just(5)))
    assert scores.shape == rows.shape == (2, 3, 5)


def test_positive_definite_matrices_have_a_cholesky_factor() -> None:
    drawn = draws(gs.positive_definite(batch=gs.shapes(max_dims=1, max_side=2)))
    for a in drawn:
        factor = np.linalg.cholesky(a)
        np.testing.assert_allclose(factor @ factor.mT, a, rtol=0, atol=1e-13)
        np.testing.assert_array_equal(a, a.mT)
        if a.size:
            assert np.linalg.eigvalsh(a).min() > 1 - 1e-12
    assert {a.shape[-1] for a in drawn} == {1, 2, 3, 4}
    assert any(np.count_nonzero(a) > np.trace(np.ones_like(a), axis1=-2, axis2=-1).sum() for a in drawn)


# Cotangents


def test_cotangents_are_never_constant_and_never_small() -> None:
    drawn = draws(gs.cotangents(gs.shapes()))
    for v in drawn:
        assert np.all((np.abs(v) >= 0.5) & (np.abs(v) <= 1.5))
        assert len({*np.abs(v).ravel()}) == v.size
    assert any(np.any(v < 0) and np.any(v > 0) for v in drawn)
    assert first(gs.cotangents((), dtype=np.float32)).dtype == np.float32


def test_special_cotangents_only_if_asked() -> None:
    drawn = [v for v, _ in draws(st.tuples(gs.cotangents(4, zeros=True), st.integers()), 200)]
    counts = Counter(int(np.count_nonzero(v)) for v in drawn)
    assert set(counts) == {0, 1, 4}
    assert 0.03 < counts[0] / len(drawn) < 0.2 and 0.03 < counts[1] / len(drawn) < 0.2
    assert {int(np.argmax(v)) for v in drawn if np.count_nonzero(v) == 1} == {0, 1, 2, 3}
    assert all(v.size == 0 for v in draws(gs.cotangents((2, 0), zeros=True), 10))


# Shrinking


def test_shapes_shrink_first_and_numbers_become_simple() -> None:
    np.testing.assert_array_equal(smallest(gs.arrays(), lambda x: np.any(x > 1)), 2.0)
    np.testing.assert_array_equal(smallest(gs.arrays(), lambda x: x.size > 1), [0, 0])
    a, b = smallest(gs.operands(2, kinks=lambda a, b: a - b), lambda ab: np.any(ab[0] == ab[1]))
    assert a.shape == b.shape == () and a == b
    scores, labels = smallest(gs.scores_with_labels(), lambda drawn: len({*drawn[1].tolist()}) == 2)
    np.testing.assert_array_equal(scores, np.zeros((2, 2)))
    assert sorted(labels) == [0, 1]


def test_examples_in_docstrings() -> None:
    names = [module.name for module in pkgutil.iter_modules(gs.__path__)]
    results = [doctest.testmod(importlib.import_module(f"{gs.__name__}.{name}")) for name in names]
    assert [result.failed for result in results] == [0] * len(names)
    assert sum(result.attempted for result in results) == 29


@pytest.mark.parametrize("module", ["strategies", "properties"])
def test_without_hypothesis_the_error_names_the_extra(module: str) -> None:
    code = f"import sys; sys.modules['hypothesis'] = None; import tinygrad_kr.gradcheck.with_hypothesis.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "MissingExtraError" in done.stderr and "pip install 'tinygrad_kr[test]'" in done.stderr
