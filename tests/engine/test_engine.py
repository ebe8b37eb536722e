"""The engine: recording, walking, whose memory is whose, and what every misuse says."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import gc
import math
import operator
import pickle
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import Primitive, Tensor, debug, grad, no_grad
from tinygrad_kr import functional as F
from tinygrad_kr.engine.dispatch import NUMPY
from tinygrad_kr.errors import (
    DtypeError,
    FreedGraphError,
    GraphError,
    LabelError,
    MutationError,
    NonFiniteError,
    ShapeError,
    UnsupportedError,
)
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.numerical import numerical_gradient


def leaf(*shape: int, seed: int = 0, name: str | None = None) -> Tensor:
    """A parameter with values between 1 and 2, where every function here is smooth."""
    return Tensor(np.random.default_rng(seed).uniform(1, 2, shape), requires_grad=True, name=name)


def in_subprocess(code: str) -> str:
    """Run code in a fresh interpreter, with warnings as errors, and return what it prints."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# The walk


def test_gradients_add_up_over_calls_of_backward() -> None:
    x = leaf(3)
    for count in range(1, 4):
        np.sum(x * x).backward()
        np.testing.assert_allclose(x.grad, count * 2 * x.data, rtol=1e-15)
    x.zero_grad()
    assert x.grad is None


def test_gradients_of_a_single_number_add_up_and_stay_arrays() -> None:
    x = leaf()
    for count in range(1, 4):
        (x * 2).backward()
        assert type(x.grad) is np.ndarray and x.grad.shape == () and x.grad == 2 * count


def test_an_operand_used_in_several_places_gets_the_sum() -> None:
    x = leaf(4)
    y = np.exp(x)
    total = np.sum(y * x + y / x - np.log(y) * 3)
    total.backward()
    expected = numerical_gradient(
        lambda v: np.sum(np.exp(v) * v + np.exp(v) / v - np.log(np.exp(v)) * 3), x.data.copy()
    )
    np.testing.assert_allclose(x.grad, expected, rtol=1e-6)


def test_a_fan_out_of_depth_64_has_2_to_the_64_paths() -> None:
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(64):
        y = y + y
    y.backward()
    assert y.item() == x.grad == 2.0**64


def test_a_chain_of_a_million_operations() -> None:
    """No recursion, forward, backward or in the release, with a graph that was walked and one that was not."""
    printed = in_subprocess(
        """
        import sys
        import weakref
        from tinygrad_kr import Tensor

        def chain(x, length):
            for _ in range(length):
                x = x + 1.0
            return x

        limit = sys.getrecursionlimit()
        x = Tensor(0.0, requires_grad=True)
        y = chain(x, 1_000_000)
        y.backward()
        assert y.item() == 1_000_000 and x.grad == 1
        del y
        first = x + 1.0
        node, y = weakref.ref(first), chain(first, 100_000)
        del first, y  # released although nobody walked it
        assert node() is None
        print(limit == sys.getrecursionlimit())
        """
    )
    assert printed == "True"


def test_an_operation_waits_for_the_longest_path_to_it() -> None:
    """Its result is used at once and again after five more operations; both must arrive before its rule is run."""

    def f(x: Any) -> Any:
        start = long = np.exp(x)
        for _ in range(5):
            long = np.tanh(long)
        return np.sum(start * long + start)

    x = leaf(3)
    f(x).backward()
    np.testing.assert_allclose(x.grad, numerical_gradient(f, x.data.copy()), rtol=1e-6)


def test_a_walk_with_retain_graph_can_be_repeated() -> None:
    x = leaf(2, 3)
    y = np.sum(np.exp(x) @ np.ones((3, 2)))
    y.backward(retain_graph=True)
    first = x.grad.copy()
    y.backward()
    np.testing.assert_array_equal(x.grad, 2 * first)


def test_a_freed_graph_names_the_operation() -> None:
    y = np.exp(leaf(2))
    y.backward(np.ones(2))
    with pytest.raises(FreedGraphError, match=r"exp: .*freed(.|\n)*retain_graph=True"):
        y.backward(np.ones(2))


def test_a_graph_that_leads_into_a_freed_part_names_the_operation() -> None:
    h = np.exp(leaf(2))
    np.sum(h).backward()
    with pytest.raises(FreedGraphError, match="exp"):
        np.sum(h * 2).backward()


def test_a_failed_walk_leaves_no_gradients_behind() -> None:
    x, w = leaf(2), leaf(2, seed=1)
    y = np.sum(w * np.exp(x * w))
    with no_grad():
        w -= 0.5
    with pytest.raises(MutationError):
        y.backward()
    assert x.grad is None and w.grad is None


def test_gradients_reach_only_what_asks_for_them() -> None:
    x, constant = leaf(2), Tensor([3.0, 4.0])
    np.sum(x * constant).backward()
    assert constant.grad is None
    np.testing.assert_array_equal(x.grad, [3, 4])


@pytest.mark.parametrize("forward", [lambda t: t * 2 + t, np.exp, lambda t: np.sum(t[:1])])
def test_constants_are_not_recorded(forward: Callable[..., Any]) -> None:
    y = forward(Tensor([1.0, 2.0]))
    assert type(y) is Tensor and not y.requires_grad and y.is_leaf
    with pytest.raises(GraphError):
        y.backward(np.ones(y.shape))


def test_integer_tensors_take_part_as_constants() -> None:
    x, n = leaf(3), Tensor([1, 2, 3])
    y = np.sum(x * n)
    y.backward()
    assert y.dtype == np.float64 and x.grad.tolist() == [1, 2, 3]


# Whose memory


def passing_on(t: Any) -> Any:
    """A result through which the cotangent passes as it is."""
    return np.copy(t) + 0.0


CARRIERS: list[Callable[..., Any]] = [
    lambda a, b: a + b,
    lambda a, b: passing_on(a) + passing_on(b),
    lambda a, b: a.reshape(6).reshape(2, 3) + b.T.T,
    lambda a, b: (a + b) + (a + b),
    lambda a, b: a + a + a + b,
    lambda a, b: a[:] + b[...],
    lambda a, b: np.concatenate([a, b])[:2] + b,
    lambda a, b: np.where(np.ones((2, 3), bool), a, b),
    lambda a, b: F.identity(a) + b,
    lambda a, b: a + np.broadcast_to(b, (2, 3)),
    lambda a, b: np.squeeze(np.expand_dims(a, 0), 0) + b,
]


@pytest.mark.parametrize("f", CARRIERS)
def test_no_two_gradients_share_memory_and_the_cotangent_is_left_alone(f: Callable[..., Any]) -> None:
    a, b = leaf(2, 3), leaf(2, 3, seed=1)
    cotangent = np.arange(1.0, 7).reshape(2, 3)
    y = f(a, b)
    values = [a.data.copy(), b.data.copy(), y.data.copy()]
    y.backward(cotangent)
    held = [a.grad, b.grad, a.data, b.data, y.data, cotangent]
    for i, one in enumerate(held[:2]):
        assert not any(np.shares_memory(one, other) for j, other in enumerate(held) if i != j)
    a.grad += 1000
    b.grad += 1000
    np.testing.assert_array_equal(cotangent, np.arange(1.0, 7).reshape(2, 3))
    for array, before in zip((a.data, b.data, y.data), values, strict=True):
        np.testing.assert_array_equal(array, before)


def test_backward_from_a_leaf_copies_the_cotangent() -> None:
    x, cotangent = leaf(2), np.array([1.0, 2.0])
    x.backward(cotangent)
    assert not np.shares_memory(x.grad, cotangent)
    np.testing.assert_array_equal(x.grad, cotangent)
    y = leaf()
    y.backward()
    y.grad += 1  # it is the user's to write into, also where the walk began with a 1 of its own
    leaf().backward()
    assert y.grad == 2


def test_a_gradient_that_the_user_holds_is_not_changed_by_the_next_walk() -> None:
    x = leaf(2)
    np.sum(x * 2).backward()
    held = x.grad
    np.sum(x * 3).backward()
    assert held.tolist() == [2, 2] and x.grad.tolist() == [5, 5]


@pytest.mark.parametrize("f", [lambda p, x, w: p(x, w), lambda p, x, w: p(x, w) + p(x, w) + p(x, w)])
def test_a_rule_may_return_what_it_was_given(f: Callable[..., Any]) -> None:
    """The arrays that a rule asks for are not its own: neither gradients nor sums are made in their memory."""
    weighted = Primitive("weighted", lambda x, w: np.vdot(x, w), x=lambda g, w: w, w=lambda g, x: x)
    x, w = leaf(3), leaf(3, seed=1)
    before = x.data.copy(), w.data.copy()
    f(weighted, x, w).backward()
    np.testing.assert_array_equal(x.data, before[0])
    np.testing.assert_array_equal(w.data, before[1])
    assert not np.shares_memory(x.grad, w.data) and not np.shares_memory(w.grad, x.data)
    assert not np.shares_memory(x.grad, w.grad)


def test_a_rule_may_return_the_output() -> None:
    exponential = Primitive("exponential", lambda x: np.exp(x), x=lambda g, y: y)
    x = leaf(3)
    y = exponential(x)
    before = y.data.copy()
    y.backward(np.ones(3))
    x.grad += 1
    np.testing.assert_array_equal(y.data, before)


def test_a_forward_function_may_be_compiled() -> None:
    """What is written in C may have no signature to read: ``max``, and ``numpy.where`` before NumPy 2.4."""
    larger = Primitive("larger", max, a=lambda g, a, b: g * (a >= b), b=lambda g, a, b: g * (a < b))
    a, b = (Tensor(value, requires_grad=True) for value in (1.0, 2.0))
    larger(a, b).backward()
    assert (a.grad, b.grad) == (0, 1)


# What is kept


def test_what_no_rule_names_is_not_kept() -> None:
    x = leaf(3)
    shifted = x + 1  # addition needs neither operand, nor its result
    squared = np.square(shifted)  # squaring needs its operand, not its result
    total = np.sum(squared + 1)
    kept, not_kept = weakref.ref(shifted.data), weakref.ref(squared.data)
    del shifted, squared
    assert not_kept() is None
    assert kept() is not None
    total.backward()
    assert kept() is None, "backward frees what it has walked"


def test_an_operand_that_only_a_constants_rule_needs_is_not_kept() -> None:
    x = leaf(3)
    shifted = x + 1
    product = shifted * np.array([2.0, 3.0, 4.0])  # shifted would be needed for the gradient of the array
    operand = weakref.ref(shifted.data)
    del shifted
    assert operand() is None
    product.backward(np.ones(3))
    assert x.grad.tolist() == [2, 3, 4]


def test_intermediate_tensors_are_not_kept_alive_by_the_graph() -> None:
    x = leaf(3)
    hidden = np.tanh(x)
    tensor, array = weakref.ref(hidden), weakref.ref(hidden.data)
    total = np.sum(hidden * hidden)
    del hidden
    assert tensor() is None and array() is not None
    del total
    assert array() is None


def test_no_grad_keeps_nothing() -> None:
    x = leaf(3)
    with no_grad():
        y = np.square(np.exp(x))
        array = weakref.ref(np.exp(x).data)
    assert not y.requires_grad and array() is None


def test_training_makes_no_reference_cycles() -> None:
    net = TwoLayerNet(6, 5, 3, rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(8, 6)), rng.integers(3, size=8)

    def steps(count: int) -> Any:
        for _ in range(count):
            loss = net.loss(x, t)
            loss.backward()
            with no_grad():
                for p in net.params.values():
                    p -= 0.1 * p.grad
                    p.grad = None
            intermediate = weakref.ref(loss)
        return intermediate

    steps(2)  # what is made once and kept, such as plans of rules
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        last_loss = steps(300)
        assert last_loss() is None
        assert gc.collect() == 0
    finally:
        if was_enabled:
            gc.enable()


def test_ten_thousand_steps_without_the_collector_keep_memory_flat() -> None:
    net = TwoLayerNet(8, 4, 3, rng=np.random.default_rng(0))
    images, labels = np.ones((4, 8)), np.array([0, 1, 2, 0])

    def train(steps: int) -> None:
        for _ in range(steps):
            net.gradient(images, labels)
            with no_grad():
                for parameter in net.params.values():
                    parameter -= 0.01 * parameter.grad

    gc.disable()
    try:
        train(100)
        tracemalloc.start()
        train(10)
        before = tracemalloc.get_traced_memory()[0]
        train(10_000)
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()
        gc.enable()


def test_second_derivatives_make_no_reference_cycles() -> None:
    f = grad(lambda x: np.sum(grad(lambda x: np.sum(np.tanh(x) ** 3))(x)))
    f(np.ones(2))
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            f(np.ones(2))
        assert gc.collect() == 0
    finally:
        gc.enable()


# no_grad


def test_no_grad_records_nothing_and_is_undone() -> None:
    x = leaf(2)
    with no_grad():
        assert not (x * 2).requires_grad
        with no_grad():
            assert not (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_is_undone_after_an_error() -> None:
    x = leaf(2)
    with pytest.raises(ZeroDivisionError), no_grad():
        _ = 1 / 0
    assert (x * 2).requires_grad


def test_no_grad_holds_in_its_own_thread_only() -> None:
    x = leaf(2)
    inside, seen = threading.Barrier(2, timeout=60), {}

    def other() -> None:
        with no_grad():
            inside.wait()
            seen["there"] = (x * 2).requires_grad
            inside.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    seen["here"] = (x * 2).requires_grad
    inside.wait()
    thread.join()
    assert seen == {"there": False, "here": True}


def test_no_grad_holds_in_its_own_task_only() -> None:
    x, seen = leaf(2), {}

    async def main() -> None:
        entered, looked = asyncio.Event(), asyncio.Event()

        async def inside() -> None:
            with no_grad():
                entered.set()
                await looked.wait()
                seen["inside"] = (x * 2).requires_grad

        async def outside() -> None:
            await entered.wait()
            seen["outside"] = (x * 2).requires_grad
            looked.set()

        await asyncio.gather(inside(), outside())

    asyncio.run(main())
    assert seen == {"inside": False, "outside": True}


def test_no_contribution_is_lost_where_threads_walk_back_to_one_leaf() -> None:
    w, start = leaf(1000), threading.Barrier(8, timeout=60)

    def work() -> None:
        start.wait()
        for _ in range(200):
            np.sum(w * 1.0).backward()

    threads = [threading.Thread(target=work) for _ in range(8)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    np.testing.assert_array_equal(w.grad, np.full(1000, 1600.0))


def test_threads_differentiate_the_same_parameters_each_for_itself() -> None:
    w, results = leaf(50), {}
    expected = 3 * w.data**2

    def work(i: int) -> None:
        results[i] = [grad(lambda w: np.sum(w * w * w))(w.data) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for gradients in results.values():
        for gradient in gradients:
            np.testing.assert_allclose(gradient, expected, rtol=1e-14)
    assert len(results) == 4


# Changes in place


def assigned(w: Tensor) -> None:
    w.assign(np.zeros(w.shape))


def decreased(w: Tensor) -> None:
    with no_grad():
        w -= 0.5


def item_assigned(w: Tensor) -> None:
    with no_grad():
        w[0] = 7.0


def changed_through_a_view(w: Tensor) -> None:
    with no_grad():
        view = w.reshape(-1)
        view *= 2


def changed_through_a_slice(w: Tensor) -> None:
    with no_grad():
        row = w[1]
        row[...] = 0.0


CHANGES = [assigned, decreased, item_assigned, changed_through_a_view, changed_through_a_slice]
USES: dict[str, Callable[[Tensor], Any]] = {
    "multiply": lambda w: w * w,
    "matmul": lambda w: np.ones((2, 2)) @ w * np.ones(3) @ w.T,
    "through reshape": lambda w: np.square(w.reshape(-1)),
    "through a transpose": lambda w: np.exp(w.T) * w.T,
    "through a slice": lambda w: np.square(w[:, 1:]),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("use", USES)
def test_a_change_between_forward_and_backward_is_caught(use: str, change: Callable[[Tensor], None]) -> None:
    w = leaf(2, 3, name="w")
    total = np.sum(USES[use](w))
    change(w)
    with pytest.raises(MutationError, match=r"operand .* \(\d.*\) was changed in place(.|\n)*backward\(\) before"):
        total.backward()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_of_what_backward_does_not_need_is_allowed(change: Callable[[Tensor], None]) -> None:
    w, v = leaf(2, 3), leaf(2, 3, seed=1)
    total = np.sum(w * 3 + v)
    change(w)
    total.backward()
    assert np.all(w.grad == 3) and np.all(v.grad == 1)


def test_a_change_after_backward_is_allowed_and_the_next_pass_sees_it() -> None:
    w = leaf(3)
    np.sum(w * w).backward()
    w.assign([1.0, 2.0, 3.0])
    w.zero_grad()
    np.sum(w * w).backward()
    assert w.grad.tolist() == [2, 4, 6]


def test_a_change_of_a_result_through_a_view_is_refused_or_caught() -> None:
    x = leaf(2, 3)
    hidden = x * 2
    total = np.sum(hidden * hidden)
    with pytest.raises(GraphError):  # which MutationError derives from
        with no_grad():
            view = hidden.reshape(-1)
            view += 1.0
        total.backward()


def test_constants_may_be_changed_before_but_not_while_they_are_needed() -> None:
    x, c = leaf(2), Tensor([1.0, 2.0])
    c += 1.0
    assert c.data.tolist() == [2, 3]
    total = np.sum(x * c)
    c *= 2.0
    with pytest.raises(MutationError, match="multiply"):
        total.backward()


@pytest.mark.parametrize(
    "change", [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow, operator.imod]
)
def test_in_place_operators_update_under_no_grad_in_the_same_memory(change: Callable[..., Any]) -> None:
    w = leaf(3)
    data, expected = w.data, change(w.data.copy(), 2.0)
    with no_grad():
        assert change(w, 2.0) is w
    assert w.data is data
    np.testing.assert_array_equal(data, expected)


def test_in_place_operators_on_a_result_make_a_new_one() -> None:
    x = leaf(2)
    y = x * 1.0
    first = y
    y += x
    assert y is not first
    y.backward(np.ones(2))
    assert x.grad.tolist() == [2, 2]


def test_assign_refuses_another_shape_and_keeps_the_array() -> None:
    w = leaf(2, name="w")
    data = w.data
    with pytest.raises(ShapeError, match=r"w has shape \(2,\), the new values have \(3,\)"):
        w.assign(np.ones(3))
    w.assign([5, 6])
    assert w.data is data and data.tolist() == [5.0, 6.0]


# debug()


def line_after(marker: str) -> str:
    """The place in this file that follows a comment, as messages write it."""
    with open(__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    return f"{__file__}:{next(i for i, line in enumerate(lines, 2) if line.strip() == f'# {marker}')}"


def test_debug_names_the_calling_line_of_a_rule_that_fails() -> None:
    broken = Primitive("broken", lambda x: x * 2, x=lambda g: g.no_such_attribute)
    with debug():
        # here the broken operation is called
        y = broken(leaf(2))
    with pytest.raises(AttributeError) as caught:
        y.backward(np.ones(2))
    notes = "\n".join(caught.value.__notes__)
    assert "in the backward pass of broken, for its operand x" in notes
    assert line_after("here the broken operation is called") in notes


def test_debug_names_the_calling_line_of_a_gradient_that_does_not_fit() -> None:
    misshapen = Primitive("misshapen", lambda x: x * 2, x=lambda g: np.ones(7))
    with debug():
        # here the misshapen operation is called
        y = misshapen(leaf(2))
    with pytest.raises(ShapeError, match="misshapen") as caught:
        y.backward(np.ones(2))
    said = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert line_after("here the misshapen operation is called") in said


def test_without_debug_a_failing_rule_still_names_its_operation() -> None:
    broken = Primitive("broken", lambda x: x * 2, x=lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        broken(leaf(2)).backward(np.ones(2))
    assert caught.value.__notes__ == ["in the backward pass of broken, for its operand x"]


def test_debug_catches_a_raw_write_into_data() -> None:
    x = leaf(3)
    with debug():
        # here the square is called
        y = np.sum(np.square(x))
        x.data[0] = 5.0
        with pytest.raises(MutationError, match="square, called at") as caught:
            y.backward()
    assert line_after("here the square is called") in str(caught.value)


def test_debug_finds_where_the_first_infinity_was_born() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 0.0]], requires_grad=True)
    with debug(), np.errstate(divide="ignore"):
        fine = x * 2
        with pytest.raises(
            NonFiniteError, match=r"log made -inf at index \(1, 1\) of finite operands \(2, 2\)"
        ) as caught:
            # here the logarithm is called
            np.exp(np.log(fine))
    assert line_after("here the logarithm is called") in str(caught.value)


def test_debug_does_not_blame_who_was_given_a_nan() -> None:
    with debug():
        y = Tensor([np.nan, 1.0], requires_grad=True) * 2
    assert np.isnan(y.data[0])


def test_debug_finds_a_nan_among_constants_too() -> None:
    with debug(), np.errstate(invalid="ignore"), pytest.raises(NonFiniteError, match="sqrt made nan"):
        np.sqrt(Tensor([-1.0]))


def test_debug_is_undone_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), debug():
        _ = 1 / 0
    with np.errstate(divide="ignore"):
        assert np.log(leaf(1) * 0).data[0] == -np.inf


def test_debug_warns_of_training_through_a_step() -> None:
    x = leaf(2)
    with debug(), pytest.warns(UserWarning, match="the gradient of step is 0 everywhere"):
        F.step(x).backward(np.ones(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F.step(x).backward(np.ones(2))
    assert x.grad.tolist() == [0, 0]


def test_debug_and_no_grad_go_together() -> None:
    x = Tensor([0.0], requires_grad=True)
    with debug(), no_grad(), np.errstate(divide="ignore"), pytest.raises(NonFiniteError):
        np.log(x)
    with no_grad(), debug():
        assert not (x + 1).requires_grad


# Custom primitives


def test_a_custom_primitive_in_five_lines() -> None:
    swish = Primitive(
        "swish",
        lambda x, *, beta=1.0: x * F.sigmoid(beta * x),
        x=lambda g, x, beta: g * (F.sigmoid(beta * x) + beta * x * F.sigmoid(beta * x) * (1 - F.sigmoid(beta * x))),
    )
    x = leaf(2, 3)
    for bent in (swish, functools.partial(swish, beta=2.0)):
        x.zero_grad()
        assert isinstance(bent(x.data), np.ndarray)
        np.sum(np.sin(bent(x))).backward()
        expected = numerical_gradient(lambda v, bent=bent: np.sum(np.sin(bent(v))), x.data.copy())
        np.testing.assert_allclose(x.grad, expected, rtol=1e-6)
    second = grad(lambda x: np.sum(grad(lambda x: np.sum(swish(x)))(x)))
    expected = numerical_gradient(lambda x: np.sum(grad(lambda x: np.sum(swish(x)))(x)), x.data.copy())
    np.testing.assert_allclose(second(x.data), expected, rtol=1e-5, atol=1e-7)


def test_a_custom_primitive_with_a_residue() -> None:
    calls = []

    def forward(x: Any, w: Any) -> Any:
        r = np.tanh(x * w)
        return np.sum(r * r), r

    def again(x: Any, w: Any) -> Any:
        calls.append(type(x))
        return np.tanh(x * w)

    energy = Primitive(
        "energy",
        forward,
        residue=again,
        x=lambda g, w, r: g * 2 * r * (1 - r * r) * w,
        w=lambda g, x, r: g * 2 * r * (1 - r * r) * x,
    )
    x, w = leaf(3), leaf(3, seed=1)
    energy(x, w).backward()
    assert not calls, "at first order the residue of the forward pass is used"
    plain = lambda x, w: np.sum(np.tanh(x * w) ** 2)
    np.testing.assert_allclose(x.grad, numerical_gradient(lambda v: plain(v, w.data), x.data.copy()), rtol=1e-6)
    np.testing.assert_allclose(w.grad, numerical_gradient(lambda v: plain(x.data, v), w.data.copy()), rtol=1e-6)
    slope = lambda x: np.sum(grad(energy)(x, w.data))
    expected = numerical_gradient(lambda v: np.sum(grad(plain)(v, w.data)), x.data.copy())
    np.testing.assert_allclose(grad(slope)(x.data), expected, rtol=1e-5)
    assert calls


def test_a_custom_primitive_of_several_operands_broadcasts() -> None:
    weighted_sum = Primitive("weighted_sum", lambda a, b: a + 3 * b, a=lambda g: g, b=lambda g: 3 * g)
    a, b = leaf(2, 3), leaf(3)
    weighted_sum(a, b).backward(np.ones((2, 3)))
    assert np.all(a.grad == 1) and b.grad.tolist() == [6, 6, 6]


def test_a_rule_of_an_operand_that_needs_no_gradient_is_never_run() -> None:
    half = Primitive("half", lambda a, b: a * b, a=lambda g, b: g * b, b=lambda g: 1 / 0)
    a = leaf(2)
    half(a, np.ones(2)).backward(np.ones(2))
    half(a, Tensor(np.ones(2))).backward(np.ones(2))
    assert a.grad.tolist() == [2, 2]


# NumPy's world


@pytest.mark.parametrize(
    "mix",
    [
        lambda t: t + [1.0, 2.0],  # noqa: RUF005 - a sum
        lambda t: [1.0, 2.0] + t,  # noqa: RUF005
        lambda t: np.float64(2) * t,
        lambda t: np.ones((2, 2)) * t,
        lambda t: np.ones((2, 2)) @ t,
        lambda t: np.float32(1) - t,
        lambda t: np.stack([t, t]),
        lambda t: np.concatenate([t, np.ones(2)]),
        lambda t: np.maximum(np.ones(2), t),
    ],
)
def test_arrays_and_lists_on_either_side_give_a_tensor(mix: Callable[..., Any]) -> None:
    y = mix(leaf(2))
    assert type(y) is Tensor and y.dtype == np.float64 and y.requires_grad


MAKERS = [
    lambda t: np.array([t, t]),
    lambda t: np.array([t[0], t[1]]),
    lambda t: np.array([t[0], 1.0]),
    lambda t: np.array(t),
    lambda t: np.asarray(t, dtype=np.float32),
    lambda t: np.full(2, t[0]),
]


@pytest.mark.parametrize("make", MAKERS)
def test_no_array_is_made_of_tensors_that_require_a_gradient(make: Callable[..., Any]) -> None:
    t = leaf(2)
    with pytest.raises(UnsupportedError, match="drop its gradient"):
        make(t)
    with no_grad():
        assert make(t).dtype.kind == "f"


def test_no_array_of_objects_is_made_of_tensors() -> None:
    with pytest.raises(UnsupportedError, match="drop its gradient"):
        np.asarray([leaf(2), leaf(2)], dtype=object)


def test_no_tensor_that_requires_a_gradient_is_written_into_an_array() -> None:
    t, array = leaf(2), np.zeros((2, 2))
    with pytest.raises(UnsupportedError, match="drop its gradient"):
        array[0] = t
    with pytest.raises(ValueError, match="setting an array element") as caught:  # NumPy's own words
        array[0, 0] = t[0]
    assert isinstance(caught.value.__cause__, UnsupportedError)
    assert not array.any()


def test_arrays_of_constant_tensors_hold_their_numbers() -> None:
    t = Tensor([1.0, 2.0])
    for made in (np.array([t, t]), np.array([[t[0], t[1]]] * 2), np.asarray([t.data, t])):
        assert made.dtype == np.float64 and made.tolist() == [[1, 2], [1, 2]]


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std", "cumsum", "ravel", "copy"])
def test_methods_are_numpys_functions(name: str) -> None:
    x = leaf(2, 3)
    y = getattr(x, name)()
    np.testing.assert_allclose(y.data, getattr(np, name)(x.data), rtol=1e-15)
    assert y.requires_grad


@pytest.mark.parametrize("name", ["argmax", "argmin", "argsort", "all", "any", "round"])
def test_methods_without_gradient_give_plain_arrays(name: str) -> None:
    x = leaf(2, 3)
    np.testing.assert_array_equal(getattr(x, name)(), getattr(x.data, name)())
    assert not isinstance(getattr(x, name)(), Tensor)


def test_comparisons_give_plain_arrays() -> None:
    x = leaf(2, 3)
    for made in (x > 1.5, x <= x, x == x.data, np.isnan(x), np.sign(x.data) < x, x != 1.5):
        assert type(made) is np.ndarray and made.dtype == bool


def test_a_tensor_behaves_like_an_array_where_it_is_read() -> None:
    x = leaf(2, 3, name="x")
    assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 3), 2, 6, 2, np.float64)
    assert x.tolist() == x.data.tolist()
    assert [row.shape for row in x] == [(3,), (3,)]
    assert x[0, 0].item() == x.data[0, 0]
    assert [10, 20, 30][Tensor(1)] == 20 and int(Tensor(2.7)) == 2
    assert bool(Tensor(1.0)) and not bool(Tensor(0.0))
    assert {x: 1}[x] == 1


def test_data_is_shared_with_an_array_and_made_of_a_list() -> None:
    array = np.ones(2)
    assert Tensor(array).data is array
    assert Tensor([1.0, 2]).dtype == np.float64 and Tensor(1).dtype == np.int64
    assert Tensor(np.float32(1)).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Tensor([1.0, 2.0]), ["Tensor([1., 2.]", "float64"]),
        (lambda: Tensor([1.0], requires_grad=True), ["requires_grad=True"]),
        (lambda: Tensor(np.ones(1, np.float32), name="bias"), ["float32", "'bias'"]),
        (lambda: np.exp(leaf(2)), ["made by exp"]),
    ],
)
def test_repr_tells_values_dtype_name_and_origin(make: Callable[[], Any], parts: list[str]) -> None:
    for part in parts:
        assert part in repr(make())


def test_leaves_are_copied_and_pickled_and_results_are_not() -> None:
    x = leaf(2, name="x")
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        np.testing.assert_array_equal(twin.data, x.data)
        assert twin.requires_grad and twin.name == "x" and not np.shares_memory(twin.data, x.data)
    for attempt in (copy.deepcopy, pickle.dumps):
        with pytest.raises(GraphError, match="exp"):
            attempt(np.exp(x))


def test_detach_leaves_the_graph_and_the_memory() -> None:
    x = leaf(2)
    y = (x * 2).detach()
    assert not y.requires_grad and not np.shares_memory(y.data, x.data)
    assert not np.shares_memory(x.detach().data, x.data)


# What every misuse says: its class, and the parts that its message must have


def w(**more: Any) -> Tensor:
    return leaf(2, 3, name="w", **more)


def v() -> Tensor:
    return leaf(4, 3, name="v")


def added_to_an_array() -> None:
    array = np.ones((2, 3))
    array += w()


def written_into() -> None:
    w()[0] = 1.0


def decreased_while_recording() -> None:
    t = w()
    t -= 1


def result_written_into() -> None:
    t = np.exp(w())
    with no_grad():
        t += 1


def wrong_gradient_shape() -> None:
    Primitive("odd", lambda x: x * 1, x=lambda g: g[:1])(w()).backward(np.ones((2, 3)))


def wrong_gradient_dimensions() -> None:
    Primitive("odd", lambda x: x * 1, x=lambda g: np.sum(g))(w()).backward(np.ones((2, 3)))


def in_place_shape() -> None:
    t = Tensor(np.ones(3), name="t")
    t += np.ones(4)


Misuse = tuple[str, Callable[[], Any], type[Exception], list[str]]
SCORES = np.zeros((2, 3))

MISUSES: list[Misuse] = [
    # Shapes
    ("matmul", lambda: w() @ v(), ShapeError, ["matmul: inner dimensions", "w (2, 3)", "v (4, 3)", "got 3 and 4"]),
    ("dot", lambda: np.dot(w(), v()), ShapeError, ["w (2, 3)", "v (4, 3)", "got 3 and 4"]),
    ("matmul of a number", lambda: w() @ Tensor(2.0), ShapeError, ["matmul", "w (2, 3)", "()", "use *"]),
    ("linear", lambda: F.linear(w(), v(), np.ones(3)), ShapeError, ["linear", "(2, 3)", "(4, 3)", "expected"]),
    ("add", lambda: w() + np.ones((2, 4)), ShapeError, ["add", "w (2, 3)", "b (2, 4)", "expected", "size of 1"]),
    ("maximum", lambda: np.maximum(v(), w()), ShapeError, ["maximum", "v (4, 3)", "w (2, 3)", "expected"]),
    ("where", lambda: np.where(np.ones(5, bool), w(), 0), ShapeError, ["where", "(5,)", "w (2, 3)", "expected"]),
    ("reshape", lambda: w().reshape(5), ShapeError, ["reshape", "w (2, 3)", "expected", "6 elements", "got 5"]),
    (
        "sum axis",
        lambda: np.sum(w(), axis=2),
        ShapeError,
        ["sum", "w (2, 3)", "expected axis", "from -2 to 1", "got 2"],
    ),
    ("max axis", lambda: np.max(w(), axis=(0, -3)), ShapeError, ["max", "w (2, 3)", "from -2 to 1", "got (0, -3)"]),
    ("softmax axis", lambda: F.softmax(w(), axis=5), ShapeError, ["softmax", "w (2, 3)", "expected", "-2 to 1", "5"]),
    ("transpose", lambda: np.transpose(w(), (0, 0)), ShapeError, ["transpose", "w (2, 3)", "permutation", "(0, 0)"]),
    ("squeeze", lambda: np.squeeze(w(), axis=0), ShapeError, ["squeeze", "w (2, 3)", "size 1", "axis=0"]),
    ("broadcast_to", lambda: np.broadcast_to(w(), (5, 5)), ShapeError, ["broadcast_to", "w (2, 3)", "got (5, 5)"]),
    ("index", lambda: w()[5], ShapeError, ["indexing", "w (2, 3)", "index=5", "expected"]),
    ("too many indices", lambda: w()[0, 0, 0], ShapeError, ["indexing", "w (2, 3)", "expected"]),
    ("mean_squared_error", lambda: F.mean_squared_error(w(), np.ones(3)), ShapeError, ["(2, 3)", "(3,)", "one_hot"]),
    ("sum_squares_error", lambda: F.sum_squares_error(w(), np.ones(3)), ShapeError, ["(2, 3)", "(3,)", "one_hot"]),
    ("in place", in_place_shape, ShapeError, ["add in place", "t (3,)"]),
    (
        "non-scalar backward",
        lambda: w().backward(),
        ShapeError,
        ["backward", "w (2, 3)", "np.sum", "backward(gradient)"],
    ),
    ("cotangent", lambda: w().backward(np.ones(3)), ShapeError, ["backward", "(2, 3)", "got (3,)"]),
    ("gradient that does not fit", wrong_gradient_shape, ShapeError, ["odd", "rule for x", "(2, 3)", "got (1, 3)"]),
    ("gradient that is a number", wrong_gradient_dimensions, ShapeError, ["odd", "rule for x", "(2, 3)", "got ()"]),
    ("grad of many numbers", lambda: grad(lambda x: x)(np.ones(3)), ShapeError, ["grad", "(3,)", "np.sum", "jacobian"]),
    # Dtypes
    ("integers", lambda: Tensor([1, 2], requires_grad=True), DtypeError, ["(2,)", "int64", "floats"]),
    ("booleans", lambda: Tensor([True], requires_grad=True), DtypeError, ["(1,)", "bool", "floats"]),
    ("grad of an integer", lambda: grad(lambda x: x * x)(3), DtypeError, ["int64", "floats"]),
    ("text", lambda: Tensor(["a"]), DtypeError, ["real numbers", "<U1"]),
    ("complex numbers", lambda: Tensor([1j]), DtypeError, ["real numbers", "complex128"]),
    ("objects", lambda: Tensor([None, 1.0]), DtypeError, ["real numbers", "object"]),
    # Labels
    *(
        (f"{f.__name__}, {kind}", lambda f=f, y=y, t=t: f(y(), t), error, parts)
        for f in (F.softmax_cross_entropy, F.cross_entropy_error)
        for kind, y, t, error, parts in [
            ("label out of range", w, np.array([0, 3]), LabelError, ["label 3", "position 1", "3 classes", "0 to 2"]),
            ("negative label", w, np.array([-1, 0]), LabelError, ["label -1", "position 0", "3 classes", "0 to 2"]),
            ("on arrays", lambda: SCORES, np.array([0, 3]), LabelError, ["label 3", "position 1", "3 classes"]),
            ("float labels", w, np.array([0.0, 1.0]), DtypeError, [f.__name__, "integers", "float64", "astype(int)"]),
            ("too many labels", w, np.array([0, 1, 2]), ShapeError, [f.__name__, "(3,)", "(2, 3)", "(2,)"]),
            ("no one-hot rows", w, np.ones((2, 3), int), LabelError, [f.__name__, "one-hot", "row 0"]),
            ("a single number", lambda: Tensor(1.0), np.array(0), ShapeError, [f.__name__, "classes", "last axis"]),
        ]
    ),
    # The graph
    ("no graph", lambda: Tensor([1.0]).backward(), GraphError, ["backward", "(1,)", "requires_grad=True", "no_grad"]),
    ("item assignment", written_into, GraphError, ["item assignment", "w (2, 3)", "np.where", "no_grad"]),
    ("update while recording", decreased_while_recording, GraphError, ["subtract", "w (2, 3)", "with no_grad()"]),
    ("write into a result", result_written_into, GraphError, ["add", "result of exp", "(2, 3)", "detach"]),
    ("assign to a result", lambda: np.exp(w()).assign(SCORES), GraphError, ["assign", "result of exp", "detach"]),
    ("requires_grad of a result", lambda: setattr(np.exp(w()), "requires_grad", False), GraphError, ["exp", "detach"]),
    ("grad of a constant", lambda: setattr(Tensor(1.0), "grad", 1.0), GraphError, ["()", "leaf"]),
    # Leaving the graph
    ("np.asarray", lambda: np.asarray(w()), UnsupportedError, ["w (2, 3)", "array", "drop its gradient", "t.data"]),
    ("float", lambda: float(w()[0, 0]), UnsupportedError, ["()", "float", "drop its gradient", "t.item()"]),
    ("math.exp", lambda: math.exp(w()[0, 0]), UnsupportedError, ["float", "drop its gradient", "np.exp"]),
    ("int of a gradient", lambda: w().astype(int), UnsupportedError, ["int64", "w (2, 3)", "t.data"]),
    ("array += t", added_to_an_array, UnsupportedError, ["add", "a = a + t"]),
    # NumPy functions and keywords
    ("np.median", lambda: np.median(w()), UnsupportedError, ["numpy.median", "np.sort", "t.data"]),
    ("np.fft.fft", lambda: np.fft.fft(w()), UnsupportedError, ["numpy.fft", "Primitive", "t.data"]),
    ("np.gcd", lambda: np.gcd(w(), 2), UnsupportedError, ["numpy.gcd", "Primitive", "t.data"]),
    ("np.add.at", lambda: np.add.at(w(), 0, 1), UnsupportedError, ["numpy.add.at", "t.data"]),
    ("np.add.outer", lambda: np.add.outer(w(), w()), UnsupportedError, ["numpy.add.outer", "t.data"]),
    ("where=", lambda: np.exp(w(), where=SCORES == 0), UnsupportedError, ["numpy.exp", "where=", "np.where("]),
    ("out=", lambda: np.exp(w(), out=np.ones((2, 3))), UnsupportedError, ["numpy.exp", "out="]),
    ("dtype=", lambda: np.exp(w(), dtype=np.float32), UnsupportedError, ["numpy.exp", "dtype=", "leave it out"]),
    (
        "dtype= of a sum",
        lambda: np.sum(w(), dtype=np.float32),
        UnsupportedError,
        ["numpy.sum", "dtype", "leave it out"],
    ),
    ("out= of a sum", lambda: np.sum(w(), out=np.ones(())), UnsupportedError, ["numpy.sum", "out", "leave it out"]),
    ("where= of a mean", lambda: np.mean(w(), where=SCORES == 0), UnsupportedError, ["numpy.mean", "where"]),
    # Custom primitives
    ("rule without g", lambda: Primitive("odd", np.exp, x=lambda x: x), TypeError, ["odd", "takes g", "(x)"]),
    (
        "order of a rule",
        lambda: Primitive("odd", lambda a, *, k: a, a=lambda g, k, a: g),
        TypeError,
        ["odd", "(g, k, a)"],
    ),
    (
        "rule that asks for what there is not",
        lambda: Primitive("odd", lambda x: x * 1, x=lambda g, z: g)(w()).backward(np.ones((2, 3))),
        TypeError,
        ["odd", "z"],
    ),
    (
        "operand without a rule",
        lambda: Primitive("odd", lambda a, b: a * b, a=lambda g, b: g * b, b=None)(w(), w()),
        DtypeError,
        ["odd", "operand b", "detach"],
    ),
]


@pytest.mark.parametrize("misuse", MISUSES, ids=[misuse[0] for misuse in MISUSES])
def test_misuse_says_what_happened_and_what_to_do(misuse: Misuse) -> None:
    _, attempt, error, parts = misuse
    with pytest.raises(error) as caught:
        attempt()
    message = str(caught.value)
    assert [part for part in parts if part not in message] == [], message
    assert "<lambda>" not in message


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ShapeError, ValueError),
        (DtypeError, TypeError),
        (LabelError, ValueError),
        (UnsupportedError, TypeError),
        (GraphError, RuntimeError),
        (FreedGraphError, GraphError),
        (MutationError, GraphError),
        (NonFiniteError, ArithmeticError),
    ],
)
def test_errors_derive_from_what_numpy_and_python_raise(error: type, builtin: type) -> None:
    assert issubclass(error, builtin)


# Parameters of an operation


@pytest.mark.parametrize("debugging", [False, True])
@pytest.mark.parametrize(
    ("operation", "parameter", "change"),
    [
        (lambda x, i: x[i], np.array([0, 2]), 1),
        (lambda x, i: x[i], np.array([True, False, True]), np.array([False, True, False])),
        (lambda x, i: x[(i, [0, 1])], np.array([0, 1]), 2),
        (lambda x, i: x[i], Tensor(np.array([0, 2])), 1),
        (lambda x, i: np.take(x, i, axis=1), np.array([0, 2]), 1),
        (lambda x, i: np.take_along_axis(x, i, 0), np.array([[0, 2, 1]]), 1),
        (lambda x, low: np.clip(x, low, None), np.array([0.0, 5.0, 0.0]), 5.0),
        (lambda x, high: np.clip(x, None, high), np.array([9.0, 0.5, 9.0]), 0.5),
        (lambda x, axes: np.transpose(x, axes) * np.arange(3.0), [1, 0], [0, 1]),
        (lambda x, shift: np.roll(x, shift, (0, 1)) * np.arange(3.0), [1, 0], [0, 1]),
        (lambda x, at: np.stack(np.split(x, at)), np.array([1, 2]), 0),
        (lambda x, mask: np.where(mask, x, 0.0), Tensor(np.eye(3, dtype=bool)), False),
    ],
)
def test_a_parameter_changed_after_the_forward_pass_does_not_reach_the_gradient(
    operation: Any, parameter: Any, change: Any, debugging: bool
) -> None:
    """The operation keeps a copy; a condition, which is an operand, is watched under ``debug()``."""
    parameter, x = copy.deepcopy(parameter), leaf(3, 3)
    with debug() if debugging else contextlib.nullcontext():
        expected = operation(x, copy.deepcopy(parameter))
        np.sum(expected * expected).backward()
        expected, x.grad = x.grad, None
        y = operation(x, parameter)
        y = np.sum(y * y)
    parameter[:] = change
    try:
        y.backward()
    except MutationError:
        assert isinstance(parameter, Tensor)
    else:
        assert debugging is False or not isinstance(parameter, Tensor) or parameter.dtype != bool
        if not (isinstance(parameter, Tensor) and parameter.dtype == bool):
            np.testing.assert_array_equal(x.grad, expected)


def test_parameters_that_no_rule_knows_are_refused() -> None:
    scaled = Primitive("scaled", np.multiply, a=lambda g, b: g * b, b=None)
    assert scaled not in NUMPY.values()  # what the package defines is not replaced behind its back
    with pytest.raises(TypeError, match="takes no parameter dtype"):
        scaled(leaf(2), np.ones(2), dtype=np.float32)


# Copies


def test_the_best_parameters_so_far_can_be_kept() -> None:
    w = leaf(3)
    kept = [w.copy(), np.copy(w), w.flatten(), np.tile(w, 1), w.astype(float)]
    before = w.data.copy()
    with no_grad():
        w -= 1.0
    for best in kept:
        np.testing.assert_array_equal(best.data, before)
    constant = np.ones(2)
    np.copy(Tensor(constant))[0] = 99
    np.testing.assert_array_equal(constant, [1, 1])


# Switches


def test_no_grad_decorates_functions_and_one_serves_many_times() -> None:
    switch, x = no_grad(), leaf(2)

    @switch
    def predict(x: Tensor, depth: int = 0) -> bool:
        "Predict."
        return (x * 2).requires_grad if depth == 3 else predict(x, depth + 1)

    assert predict(x) is False and (predict.__name__, predict.__doc__) == ("predict", "Predict.")
    with switch:
        with switch:
            assert not (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
    for suspended in (lambda: (yield), generator_of_losses):
        with pytest.raises(TypeError, match="in a generator or coroutine write: with no_grad"):
            no_grad()(suspended)


def generator_of_losses() -> Any:
    yield 1.0


def test_blocks_that_end_in_another_order_than_they_began() -> None:
    def steps(switch: Any) -> Any:
        with switch:
            yield

    x = leaf(2)
    first, second, third = steps(no_grad()), steps(debug()), steps(no_grad())
    for generator in (first, second, third):
        next(generator)
    first.close()
    assert not (x * 2).requires_grad  # the third is still open
    third.close()
    assert (x * 2).requires_grad
    with pytest.raises(NonFiniteError), np.errstate(divide="ignore"):
        np.log(x * 0)  # and so is the second
    second.close()
    with np.errstate(divide="ignore"):
        np.log(x * 0)


def test_a_generator_closed_in_another_thread_changes_nothing_here() -> None:
    def hold() -> Any:
        with no_grad():
            yield

    generator = hold()
    threading.Thread(target=lambda: next(generator)).start()
    generator.close()
    assert (leaf(2) * 2).requires_grad


# Warnings


WARNINGS = [
    ("np.log(x)", "divide by zero encountered in log"),
    ("1 / x", "divide by zero encountered in divide"),
    ("F.standardize(np.full(2, 3.0), eps=0)", "divide by zero encountered in divide"),
    ("np.exp(x + 1e4)", "overflow encountered in exp"),
    ("x // 0", "invalid value encountered in floor_divide"),
    ("np.floor_divide(x, 0)", "invalid value encountered in floor_divide"),
    ("np.sum(np.sqrt(x)).backward()", "divide by zero encountered in divide, in the backward pass of sqrt"),
    ("grad(lambda x: np.sum(np.sqrt(x)))(np.zeros(2))", "divide by zero encountered in divide, in the backward pass"),
    ("np.std(x, ddof=3)", "invalid value encountered in divide"),
]


@pytest.mark.parametrize(("code", "message"), WARNINGS)
def test_warnings_name_the_line_of_the_user(code: str, message: str, tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\nfrom tinygrad_kr import Tensor, grad\nfrom tinygrad_kr import functional as F\n"
        f"x = Tensor(np.zeros(2), requires_grad=True)\nfor _ in range(2):\n    {code}\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
    assert f"program.py:6: RuntimeWarning: {message}" in done.stderr
    assert done.stderr.count(message) == 1, done.stderr  # once for each line, by Python's default
    done = subprocess.run([sys.executable, "-W", "error", str(program)], capture_output=True, text=True)
    assert done.returncode == 1 and f"RuntimeWarning: {message}" in done.stderr


@pytest.mark.parametrize("action", ["always", "default", "error"])
def test_recorded_warnings_name_the_line_of_the_user(action: Any) -> None:
    x = leaf(2)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            with pytest.raises(RuntimeWarning) if action == "error" else contextlib.nullcontext():
                np.log(x * 0)
            warnings.simplefilter(action)  # a filter added later
            with pytest.raises(RuntimeWarning) if action == "error" else contextlib.nullcontext():
                np.sum(np.sqrt(x * 0)).backward()
        assert {warning.filename for warning in caught} == ({__file__} if action != "error" else set())
        assert len(caught) == (3 if action != "error" else 0)  # log, and on the way back sqrt and the product
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        np.log(x * 0)


def test_errstate_of_the_user_decides_what_warns() -> None:
    x = Tensor(np.zeros(2), requires_grad=True)
    with np.errstate(divide="ignore"):
        np.sum(np.log(x)).backward()
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        np.log(x)


def test_debug_adds_the_remedy() -> None:
    x = leaf(2)
    with debug(), pytest.raises(NonFiniteError, match=r"F\.log_softmax"), np.errstate(divide="ignore"):
        np.log(x * 0)
    with debug(), pytest.warns(RuntimeWarning, match=r"np\.where\(b == 0, 1, b\)"), pytest.raises(NonFiniteError):
        1 / (x * 0)


# Messages


def test_a_tensor_is_not_rounded_to_an_int_in_silence() -> None:
    x = leaf()
    with pytest.raises(UnsupportedError, match=r"t\.item\(\)"):
        int(x)
    assert int(x.detach()) == 1


def test_a_tensor_that_cannot_be_copied_says_how_to_plot_it() -> None:
    with pytest.raises(GraphError, match=r"plt\.plot.*t\.data"):
        copy.copy(np.tanh(leaf(2)))


@pytest.mark.parametrize("wrong", [lambda a, b: a + b, np.dot, np.tensordot, lambda a, b: np.concatenate([a, b], 1)])
def test_an_error_is_not_buried_under_lines_of_the_package(wrong: Any) -> None:
    """Neither the error of NumPy, whose words it quotes, nor how it came about inside is shown."""
    with pytest.raises(ShapeError) as caught:
        wrong(leaf(2, 2), leaf(3, 3))
    ours = [entry for entry in caught.traceback if "tinygrad_kr" in str(entry.path) and "tests" not in str(entry.path)]
    assert caught.value.__suppress_context__ and len(ours) <= 2
