"""Optimizers against PyTorch, against hand-written formulas, and when stopped, resumed and misused."""

from __future__ import annotations

import doctest
import importlib
import itertools
import math
import re
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_kr import Tensor, no_grad
from tinygrad_kr.errors import DtypeError, GraphError, MutationError, NonFiniteError, ShapeError
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.optim import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSprop, clip_grad_norm, schedules
from tinygrad_kr.saving import load_weights, save_weights

SHAPES: dict[str, tuple[int, ...]] = {"layers.0.W": (3, 4), "layers.0.b": (4,), "scale": ()}
STEPS = 50

# Every option of every optimizer in every combination: (ours, its name in torch, options)
GRID: list[tuple[type[Optimizer], str, dict[str, Any]]] = [
    *(
        (SGD, "SGD", {"lr": 0.05, "momentum": momentum, "nesterov": nesterov, "weight_decay": decay})
        for momentum, nesterov, decay in itertools.product((0.0, 0.9), (False, True), (0.0, 0.1))
        if momentum or not nesterov
    ),
    *(
        (AdaGrad, "Adagrad", {"lr": 0.1, "eps": eps, "weight_decay": decay})
        for eps, decay in itertools.product((1e-10, 0.1), (0.0, 0.1))
    ),
    *(
        (RMSprop, "RMSprop", {"lr": 0.02, "alpha": alpha, "eps": eps, "weight_decay": decay})
        for alpha, eps, decay in itertools.product((0.99, 0.5), (1e-8, 0.1), (0.0, 0.1))
    ),
    *(
        (kind, kind.__name__, {"lr": 0.03, "betas": betas, "eps": eps, "weight_decay": decay})
        for kind, betas, eps, decay in itertools.product(
            (Adam, AdamW), ((0.9, 0.999), (0.5, 0.7), (0.0, 0.0)), (1e-8, 0.1), (0.0, 0.1)
        )
    ),
]
ONE_OF_EACH: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (SGD, {"lr": 0.05}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (AdaGrad, {"weight_decay": 0.1}),
    (RMSprop, {"weight_decay": 0.1}),
    (Adam, {"weight_decay": 0.1}),
    (AdamW, {"weight_decay": 0.1}),
]


def label(value: Any) -> str | None:
    if isinstance(value, dict):
        return "-".join(f"{name}={option}" for name, option in value.items() if name != "lr") or "plain"
    return value.__name__ if isinstance(value, type) else None


each = pytest.mark.parametrize(("kind", "options"), ONE_OF_EACH, ids=label)


def initial(dtype: Any = np.float64) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: np.asarray(rng.normal(size=shape), dtype) for name, shape in SHAPES.items()}


def parameters(dtype: Any = np.float64) -> dict[str, Tensor]:
    return {name: Tensor(values, requires_grad=True, name=name) for name, values in initial(dtype).items()}


def slopes(dtype: Any) -> Iterator[Callable[[str, np.ndarray], np.ndarray | None]]:
    """For each step a function from a parameter's name and values to its gradient, None now and then."""
    rng = np.random.default_rng(1)
    for step in range(STEPS):
        noise = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}

        def gradient(name: str, w: np.ndarray, step: int = step, noise: Any = noise) -> np.ndarray | None:
            if name == "layers.0.b" and step % 3 == 0:  # also at the first step
                return None
            return np.asarray(0.0 * w if step == 20 else np.sin(2 * w) + noise[name], dtype)

        yield gradient


def rate(step: int) -> float:
    return 1.0 if step < 10 else 0.5 + 0.01 * step


def run_ours(optimizer: Optimizer, dtype: Any = np.float64) -> None:
    base = optimizer.lr
    for step, gradient in enumerate(slopes(dtype)):
        optimizer.lr = base * rate(step)
        for name, p in optimizer.params.items():
            p.grad = gradient(name, p.data)
        optimizer.step()


# The arithmetic


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(("kind", "name", "options"), GRID, ids=label)
def test_fifty_steps_are_those_of_torch(kind: type[Optimizer], name: str, options: dict[str, Any], dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    ours = kind(parameters(dtype), **options)
    run_ours(ours, dtype)

    theirs = {key: torch.nn.Parameter(torch.tensor(values)) for key, values in initial(dtype).items()}
    optimizer = getattr(torch.optim, name)(theirs.values(), **options)
    for step, gradient in enumerate(slopes(dtype)):
        optimizer.param_groups[0]["lr"] = options["lr"] * rate(step)
        for key, p in theirs.items():
            g = gradient(key, p.detach().numpy())
            p.grad = None if g is None else torch.tensor(g)
        optimizer.step()

    bar = 1e-12 if dtype is np.float64 else 2e-5
    for key, p in theirs.items():
        expected = p.detach().numpy()
        assert ours.params[key].dtype == dtype
        np.testing.assert_allclose(ours.params[key].data, expected, rtol=0, atol=bar * np.abs(expected).max())

    renamed = {
        "momentum": "momentum_buffer",
        "sum_of_squares": "sum",
        "mean_square": "square_avg",
        "first_moment": "exp_avg",
        "second_moment": "exp_avg_sq",
        "step": "step",
    }
    for key, array in ours.state().items():
        slot, _, parameter = key.partition(".")
        if parameter:
            expected = optimizer.state[theirs[parameter]][renamed[slot]].numpy()
            np.testing.assert_allclose(array, expected, rtol=0, atol=bar * np.abs(expected).max())


def one_step(kind: type[Optimizer], w: float, *gradients: float, **options: Any) -> float:
    p = Tensor([w], requires_grad=True)
    optimizer = kind({"w": p}, **options)
    for g in gradients:
        p.grad = np.array([g])
        optimizer.step()
    return float(p.data[0])


def test_steps_by_hand() -> None:
    """The formulas with numbers small enough to check on paper."""
    exactly = lambda value: pytest.approx(value, rel=1e-14)
    assert one_step(SGD, 1.0, 2.0, lr=0.1) == exactly(0.8)
    assert one_step(SGD, 1.0, 2.0, lr=0.1, weight_decay=0.5) == exactly(1 - 0.1 * 2.5)
    assert one_step(SGD, 1.0, 2.0, 3.0, lr=0.1, momentum=0.5) == exactly(1 - 0.1 * 2 - 0.1 * 4)
    assert one_step(SGD, 1.0, 2.0, lr=0.1, momentum=0.5, nesterov=True) == exactly(1 - 0.1 * 3)
    assert one_step(AdaGrad, 1.0, 3.0, 4.0, lr=0.1, eps=1.0) == exactly(1 - 0.1 * 3 / 4 - 0.1 * 4 / 6)
    assert one_step(RMSprop, 1.0, 2.0, lr=0.1, alpha=0.75, eps=1.0) == exactly(1 - 0.1 * 2 / 2)
    assert one_step(Adam, 1.0, 2.0, lr=0.1, eps=2.0) == exactly(1 - 0.1 * 2 / 4)
    assert one_step(Adam, 1.0, 2.0, lr=0.1, eps=2.0, weight_decay=2.0) == exactly(1 - 0.1 * 4 / 6)
    assert one_step(AdamW, 1.0, 2.0, lr=0.1, eps=2.0, weight_decay=2.0) == exactly(0.8 - 0.1 * 2 / 4)


def test_defaults_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch")
    mine = {"w": Tensor([1.0], requires_grad=True)}
    for kind, name in [(AdaGrad, "Adagrad"), (RMSprop, "RMSprop"), (Adam, "Adam"), (AdamW, "AdamW")]:
        ours = kind(mine)
        theirs = getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(1))]).param_groups[0]
        for option in ("lr", "betas", "alpha", "eps", "weight_decay"):
            assert getattr(ours, option, None) == theirs.get(option)


@pytest.mark.parametrize("layout", ["columns first", "every other"])
@each
def test_memory_layout_does_not_matter(kind: type[Optimizer], options: dict[str, Any], layout: str) -> None:
    values, g = np.arange(12.0).reshape(3, 4), np.linspace(-1, 1, 12).reshape(3, 4)
    other = np.asfortranarray(values) if layout == "columns first" else np.repeat(values, 2, axis=1)[:, ::2]
    assert not other.flags.c_contiguous
    results = []
    for data in (values.copy(), other):
        w = Tensor(data, requires_grad=True)
        optimizer = kind({"w": w}, **options)
        for _ in range(3):
            w.grad = g.copy()
            optimizer.step()
        assert w.data is data
        results.append(w.data)
    np.testing.assert_array_equal(*results)


@each
def test_learning_makes_the_loss_smaller(kind: type[Optimizer], options: dict[str, Any]) -> None:
    net = TwoLayerNet(4, 8, 3, rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(20, 4)), rng.integers(3, size=20)
    optimizer = kind(net, **{**options, "lr": 0.05, "weight_decay": 0.0})
    before = net.loss(x, t).item()
    for _ in range(30):
        optimizer.zero_grad()
        loss = net.loss(x, t)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.9 * before


# In place, and counted


@each
def test_gradients_and_absent_gradients_are_left_alone(kind: type[Optimizer], options: dict[str, Any]) -> None:
    params = parameters()
    optimizer = kind(params, **options)
    run_ours(optimizer)
    still = "layers.0.W"
    before, state = params[still].data.copy(), optimizer.state()
    for name, p in params.items():
        p.grad = None if name == still else np.ones(p.shape)
    optimizer.step()
    np.testing.assert_array_equal(params[still].data, before)
    for name, array in optimizer.state().items():
        if name != "step":
            assert np.array_equal(array, state[name]) == name.endswith(still), name
    assert optimizer.steps == optimizer.state()["step"] == STEPS + 1
    assert params[still].grad is None
    assert all((p.grad == 1).all() for name, p in params.items() if name != still)
    optimizer.zero_grad()
    assert all(p.grad is None for p in params.values())


@each
def test_an_update_between_forward_and_backward_raises(kind: type[Optimizer], options: dict[str, Any]) -> None:
    w = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="w")
    optimizer = kind({"w": w}, **options)
    losses = [np.sum(w * w), np.sum(np.reshape(w, -1) ** 2)]
    needs_no_values = np.sum(w * 2.0)
    np.sum(w * w).backward()
    optimizer.step()
    for loss in losses:
        with pytest.raises(MutationError, match="changed in place"):
            loss.backward()
    needs_no_values.backward()
    w.zero_grad()
    loss = np.sum(w * w)
    optimizer.step()  # without a gradient: nothing changed
    loss.backward()
    np.testing.assert_array_equal(w.grad, 2 * w.data)


def growth_and_peak(action: Callable[[], Any]) -> tuple[int, int]:
    """By how many bytes twenty calls grow memory, and how many they need in between."""
    action()
    tracemalloc.start()
    try:
        action()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(20):
            action()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before, peak - before


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@each
def test_steps_allocate_nothing(kind: type[Optimizer], options: dict[str, Any], dtype: Any) -> None:
    shapes = {"W": (100, 50), "b": (50,)}
    params = {name: Tensor(np.ones(shape, dtype), requires_grad=True) for name, shape in shapes.items()}
    optimizer = kind(params, **options)
    for p in params.values():
        p.grad = np.full(p.shape, 0.5, dtype)
    growth, peak = growth_and_peak(optimizer.step)
    assert growth < 1000
    assert peak < 4000 < params["W"].data.nbytes / 4


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_clipping_allocates_nothing_of_the_size_of_a_parameter(dtype: Any) -> None:
    w = Tensor(np.ones((500, 800), dtype), requires_grad=True)
    w.grad = np.full(w.shape, 0.5, dtype)
    growth, peak = growth_and_peak(lambda: clip_grad_norm({"w": w}, 1.0))
    assert growth < 4000
    assert peak < 250_000 < w.data.nbytes / 4  # the buffers with which NumPy converts piece by piece


# Stopping and going on


@each
def test_a_resumed_run_gives_the_same_numbers(tmp_path: Path, kind: type[Optimizer], options: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(20, 4)), rng.integers(3, size=20)
    schedule = schedules.warm_up(5, then=schedules.cosine(40))

    def train(net: TwoLayerNet, optimizer: Optimizer, steps: int) -> None:
        base = options.get("lr", 0.01)
        for _ in range(steps):
            optimizer.lr = base * schedule(optimizer.steps)
            optimizer.zero_grad()
            net.loss(x, t).backward()
            optimizer.step()

    def fresh(seed: int) -> tuple[TwoLayerNet, Optimizer]:
        net = TwoLayerNet(4, 5, 3, dtype=np.float32, rng=np.random.default_rng(seed))
        return net, kind(net, **options)

    net, optimizer = fresh(0)
    train(net, optimizer, 11)
    weights = {name: p.data.copy() for name, p in net.params.items()}
    state = optimizer.state()
    np.savez(tmp_path / "state.npz", **state)
    train(net, optimizer, 9)

    resumed, again = fresh(1)
    for name, p in resumed.params.items():
        p.assign(weights[name])
    with np.load(tmp_path / "state.npz") as stored:
        again.load_state(dict(stored))
    assert again.steps == state["step"] == 11  # state() was a copy
    train(resumed, again, 9)
    for name, p in net.params.items():
        np.testing.assert_array_equal(p.data, resumed.params[name].data)
    for name, array in optimizer.state().items():
        np.testing.assert_array_equal(array, again.state()[name])


def test_state_is_flat_and_named_after_the_parameters(tmp_path: Path) -> None:
    state = Adam(parameters()).state()
    assert {name: (array.shape, array.dtype.name) for name, array in state.items()} == {
        "step": ((), "int64"),
        **{
            f"{slot}.{name}": (SHAPES[name], "float64") for name in SHAPES for slot in ("first_moment", "second_moment")
        },
        **{f"step.{name}": ((), "int64") for name in SHAPES},
    }
    assert set(SGD(parameters(), lr=0.1).state()) == {"step"}
    pytest.importorskip("safetensors")
    save_weights(tmp_path / "state.safetensors", state)
    Adam(parameters()).load_state(load_weights(tmp_path / "state.safetensors"))


def test_loading_copies() -> None:
    optimizer = SGD(parameters(), lr=0.1, momentum=0.9)
    run_ours(optimizer)
    state = optimizer.state()
    other = SGD(parameters(), lr=0.1, momentum=0.9)
    other.load_state(state)
    for array in state.values():
        array[...] = 7
    np.testing.assert_array_equal(other.state()["momentum.scale"], optimizer.state()["momentum.scale"])


def test_a_state_that_does_not_fit_is_refused_as_a_whole() -> None:
    optimizer = Adam(parameters(), lr=0.1)
    run_ours(optimizer)
    before = optimizer.state()
    wrong = {name: array + 1 for name, array in before.items()}
    del wrong["first_moment.scale"]
    wrong["momentum.scale"] = np.zeros(2)
    wrong["second_moment.layers.0.W"] = np.zeros((4, 3))
    wrong["second_moment.layers.0.b"] = np.zeros(4, np.float32)
    wrong["step.layers.0.b"] = np.array(-1)
    with pytest.raises(ValueError) as caught:
        optimizer.load_state(wrong)
    for line in (
        "Adam.load_state: the state does not fit",
        "missing: first_moment.scale ()",
        "not expected: momentum.scale (2,)",
        "second_moment.layers.0.W: expected shape (3, 4), got (4, 3)",
        "second_moment.layers.0.b: expected dtype float64, got float32",
        "step.layers.0.b: expected a count, got -1",
    ):
        assert line in str(caught.value)
    after = optimizer.state()
    assert list(after) == list(before)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
    with pytest.raises(TypeError, match="expected a dict of name to array, got tuple"):
        optimizer.load_state((before, None))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"missing: momentum\.scale"):
        SGD(parameters(), lr=0.1, momentum=0.9).load_state(SGD(parameters(), lr=0.1).state())


# Arguments


def test_params_may_be_a_dict_or_have_one_or_name_them() -> None:
    params = parameters()
    net = TwoLayerNet(2, 3, 2)
    nested = SimpleNamespace(named_parameters=lambda: iter(params.items()), params=None)
    assert SGD(params, lr=0.1).params == params
    assert SGD(nested, lr=0.1).params == params
    assert list(SGD(net, lr=0.1).params.values()) == list(net.params.values())
    assert repr(SGD(net, lr=0.1)) == "SGD(lr=0.1, parameters: W1, b1, W2, b2)"
    params.clear()
    assert list(SGD(net, 0.1).params) == ["W1", "b1", "W2", "b2"]


def fixed(**options: Any) -> Tensor:
    return Tensor([1.0], requires_grad=True, **options)


def read_only() -> Tensor:
    w = fixed()
    w.data.flags.writeable = False
    return w


def view_of_a_result() -> Tensor:
    result = np.exp(fixed())
    with no_grad():
        view = result[:]
    view.requires_grad = True
    return view


@pytest.mark.parametrize("use", [lambda params: Adam(params), lambda params: clip_grad_norm(params, 1.0)])
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([fixed()], TypeError, r"must be a dict of name to Tensor, or a model .*got list"),
        (fixed(), TypeError, "got Tensor"),
        (None, TypeError, "got NoneType"),
        ({}, ValueError, "there is no parameter"),
        (SimpleNamespace(params={}), ValueError, "there is no parameter"),
        ({"w": np.ones(2)}, TypeError, "'w' must be a Tensor, got ndarray"),
        ({0: fixed()}, TypeError, "name of a parameter must be a str, got 0"),
        ({"w": Tensor([1.0])}, GraphError, r"'w' \(1,\) does not require a gradient"),
        ({"w": np.exp(fixed())}, GraphError, "no leaf but the result of exp"),
        ({"w": read_only()}, ValueError, "'w' .* read-only"),
        ({"w": view_of_a_result()}, GraphError, "'w' .* shows the memory of"),
        ({"a": (w := fixed()), "b": w}, ValueError, "'a' and 'b' are the same Tensor"),
        (
            SimpleNamespace(named_parameters=lambda: [("w", fixed()), ("w", fixed())]),
            ValueError,
            "two parameters are called 'w'",
        ),
    ],
)
def test_params_that_cannot_be_updated(use: Any, params: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        use(params)
    assert str(caught.value).startswith(("Adam: ", "clip_grad_norm: "))


NAN = math.nan


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        (SGD, {"lr": NAN}, ValueError, "SGD: lr must be 0 or a positive finite number, got nan"),
        (SGD, {"lr": -0.1}, ValueError, "got -0.1"),
        (SGD, {"lr": math.inf}, ValueError, "got inf"),
        (SGD, {"lr": "0.1"}, TypeError, "SGD: lr must be a number, got str"),
        (SGD, {"lr": 0.1, "momentum": 1.0}, ValueError, "momentum must be at least 0 and less than 1, got 1.0"),
        (SGD, {"lr": 0.1, "momentum": -0.1}, ValueError, "momentum"),
        (SGD, {"lr": 0.1, "nesterov": True}, ValueError, "nesterov=True needs a momentum"),
        (SGD, {"lr": 0.1, "weight_decay": -1.0}, ValueError, "weight_decay"),
        (AdaGrad, {"eps": -1e-8}, ValueError, "AdaGrad: eps"),
        (RMSprop, {"alpha": 1.0}, ValueError, "RMSprop: alpha"),
        (RMSprop, {"eps": NAN}, ValueError, "RMSprop: eps"),
        (Adam, {"betas": (1.0, 0.9)}, ValueError, "Adam: beta1 must be at least 0 and less than 1, got 1.0"),
        (Adam, {"betas": (0.9, -0.1)}, ValueError, "Adam: beta2"),
        (Adam, {"betas": 0.9}, ValueError, "betas must be two numbers"),
        (AdamW, {"betas": (0.9, NAN)}, ValueError, "AdamW: beta2"),
        (AdamW, {"weight_decay": None}, TypeError, "AdamW: weight_decay must be a number, got NoneType"),
    ],
)
def test_options_out_of_range(kind: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        kind({"w": fixed()}, **options)


def test_lr_can_be_set_and_is_checked() -> None:
    w = Tensor(np.ones(2, np.float32), requires_grad=True)
    optimizer = SGD({"w": w}, lr=1)
    optimizer.lr = np.float64(0.5)
    w.grad = np.ones(2, np.float32)
    optimizer.step()
    np.testing.assert_array_equal(w.data, np.full(2, 0.5, np.float32))
    with pytest.raises(ValueError, match="SGD: lr must be"):
        optimizer.lr = NAN
    assert optimizer.lr == 0.5


@pytest.mark.parametrize(
    ("gradient", "error", "message"),
    [
        (np.ones(3), ShapeError, r"'w' has shape \(2,\), but its gradient has \(3,\)"),
        (np.ones(()), ShapeError, r"'w' has shape \(2,\), but its gradient has \(\)"),
        (np.ones(2, np.float32), DtypeError, "'w' has dtype float64, but its gradient has float32"),
        ([1.0, 1.0], TypeError, "gradient of 'w' must be an ndarray, got list"),
        (Tensor([1.0, 1.0]), TypeError, "gradient of 'w' must be an ndarray, got Tensor"),
    ],
)
def test_gradients_that_do_not_fit_update_nothing(gradient: Any, error: type[Exception], message: str) -> None:
    v, w = Tensor([1.0], requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
    optimizer = Adam({"v": v, "w": w})
    v.grad, w.grad = np.ones(1), gradient
    with pytest.raises(error, match=f"Adam.step: .*{message}"):
        optimizer.step()
    with pytest.raises(error, match=f"clip_grad_norm: .*{message}"):
        clip_grad_norm({"v": v, "w": w}, 0.1)
    assert (v.data[0], v.grad[0], optimizer.steps) == (1.0, 1.0, 0)
    assert not any(array.any() for array in optimizer.state().values())


def test_a_parameter_whose_data_were_replaced() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    optimizer = Adam({"w": w})
    w.data = np.ones(3)
    with pytest.raises(ShapeError, match=r"'w' was \(2,\) float64 .*, and is \(3,\) float64 now"):
        optimizer.step()
    w.data = np.ones(2, np.float32)
    with pytest.raises(DtypeError, match=r"and is \(2,\) float32 now"):
        optimizer.step()


def test_a_method_without_update() -> None:
    w = Tensor([1.0], requires_grad=True)
    w.grad = np.ones(1)
    with pytest.raises(NotImplementedError, match="must define update"):
        Optimizer({"w": w}, lr=0.1).step()


# Clipping


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("max_norm", [0.5, 1e6, math.inf])
def test_clipping_is_that_of_torch(max_norm: float, dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    params = {**parameters(dtype), "unused": Tensor(np.ones(2, dtype), requires_grad=True)}
    theirs = []
    for name, values in initial(dtype).items():
        p = torch.nn.Parameter(torch.tensor(values))
        params[name].grad, p.grad = np.asarray(3 * values), torch.tensor(3 * values)
        theirs.append(p)
    bar = 1e-14 if dtype is np.float64 else 1e-6
    before = {name: p.grad for name, p in params.items()}
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    assert clip_grad_norm(params, max_norm) == pytest.approx(float(expected), rel=bar)
    for (name, p), their in zip(params.items(), theirs, strict=False):
        np.testing.assert_allclose(p.grad, their.grad.numpy(), rtol=bar)
        assert p.grad is before[name]
    assert params["unused"].grad is None


def test_norm_of_gradients_in_any_dtype_size_and_layout() -> None:
    w = Tensor(np.zeros((40, 50), np.float32), requires_grad=True)
    assert clip_grad_norm({"w": w}, 1.0) == 0.0  # no gradient
    w.grad = np.full((40, 50), 1e30, np.float32)  # whose squares are beyond float32
    assert clip_grad_norm({"w": w}, 1.0) == pytest.approx(float(np.float32(1e30)) * math.sqrt(2000))
    assert np.linalg.norm(w.grad.astype(float)) == pytest.approx(1.0)
    half = Tensor(np.zeros(4, np.float16), requires_grad=True)
    half.grad = np.full(4, 6e4, np.float16)
    assert clip_grad_norm({"half": half}, math.inf) == 2 * float(np.float16(6e4))
    w.grad = np.full((50, 40), 2, np.float32).T
    assert clip_grad_norm(SGD({"w": w}, lr=0.1), math.inf) == pytest.approx(2 * math.sqrt(2000))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200])
def test_a_norm_that_is_no_number_is_refused(value: float) -> None:
    v, w = Tensor([1.0], requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
    v.grad, w.grad = np.ones(1), np.array([1.0, value])
    with pytest.raises(NonFiniteError, match=r"norm of the gradients is (nan|inf), because of w\."):
        clip_grad_norm({"v": v, "w": w}, 0.5)
    assert v.grad[0] == w.grad[0] == 1.0


@pytest.mark.parametrize(
    ("max_norm", "error"), [(0, ValueError), (-1.0, ValueError), (NAN, ValueError), ("1", TypeError)]
)
def test_max_norm_must_be_positive(max_norm: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="clip_grad_norm: max_norm must be"):
        clip_grad_norm({"w": fixed()}, max_norm)


# Schedules


def rates_of_torch(make: Callable[[Any, Any], Any], steps: int) -> list[float]:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (schedules.step_decay(7, 0.3), lambda torch, o: torch.StepLR(o, 7, gamma=0.3)),
        (schedules.cosine(30), lambda torch, o: torch.CosineAnnealingLR(o, 30)),
        (schedules.cosine(30, final=0.1), lambda torch, o: torch.CosineAnnealingLR(o, 30, eta_min=0.1)),
        (schedules.warm_up(8), lambda torch, o: torch.LinearLR(o, start_factor=1 / 8, total_iters=7)),
        (
            schedules.warm_up(8, then=schedules.step_decay(3, 0.5)),
            lambda torch, o: torch.SequentialLR(
                o, [torch.LinearLR(o, start_factor=1 / 8, total_iters=7), torch.StepLR(o, 3, gamma=0.5)], [8]
            ),
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:The epoch parameter")  # torch's SequentialLR calls what torch deprecates
def test_schedules_are_those_of_torch(ours: schedules.Schedule, theirs: Any) -> None:
    expected = rates_of_torch(theirs, 31)  # CosineAnnealingLR rises again after its last step
    np.testing.assert_allclose([ours(step) for step in range(31)], expected, rtol=1e-12, atol=1e-15)


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 1), st.integers(0, 200))
def test_schedules_stay_in_range_and_meet_at_one(rise: int, fall: int, final: float, step: int) -> None:
    schedule = schedules.warm_up(rise, then=schedules.cosine(fall, final))
    assert 0 <= schedule(step) <= 1
    assert schedule(rise - 1) == schedule(rise) == 1
    assert schedule(rise + fall) == schedule(rise + fall + step) == pytest.approx(final)
    assert schedule(rise + fall - 1) > 0
    if step < rise:
        assert schedule(step) == (step + 1) / rise
    elif step > rise:
        assert schedule(step) <= schedule(step - 1)


def test_the_step_may_be_any_integer() -> None:
    state = SGD(parameters(), lr=0.1).state()
    assert schedules.cosine(10)(state["step"]) == 1.0  # type: ignore[arg-type]
    assert schedules.warm_up(np.int64(4))(np.int32(1)) == 0.5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: schedules.step_decay(0, 0.5), ValueError, "step_decay: every must be at least 1, got 0"),
        (lambda: schedules.step_decay(1.5, 0.5), TypeError, "step_decay: every must be an integer, got 1.5"),
        (lambda: schedules.step_decay(1, 0), ValueError, "factor must be greater than 0"),
        (lambda: schedules.step_decay(1, 1.5), ValueError, "factor must be from 0 to 1, got 1.5"),
        (lambda: schedules.step_decay(1, NAN), ValueError, "factor must be from 0 to 1, got nan"),
        (lambda: schedules.step_decay(1, "a"), TypeError, "factor must be a number, got str"),
        (lambda: schedules.cosine(0), ValueError, "cosine: steps must be at least 1"),
        (lambda: schedules.cosine(5, -0.1), ValueError, "cosine: final must be from 0 to 1"),
        (lambda: schedules.warm_up(0), ValueError, "warm_up: steps must be at least 1"),
        (lambda: schedules.warm_up(5, 10), TypeError, "warm_up: then must be a function of the step"),
        (lambda: schedules.cosine(5)(-1), ValueError, "cosine: step must be at least 0, got -1"),
        (lambda: schedules.step_decay(5, 0.5)(0.5), TypeError, "step_decay: step must be an integer, got 0.5"),
        (lambda: schedules.warm_up(5)(-1), ValueError, "warm_up: step must be at least 0, got -1"),
    ],
)
def test_arguments_of_schedules(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()


@pytest.mark.parametrize("module", ["optimizer", "sgd", "adaptive", "clipping", "schedules"])
def test_the_examples_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"tinygrad_kr.optim.{module}"))
    assert result.failed == 0
    assert result.attempted > 0
