"""Proving a gradient, the four steps, and the weights on disk."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_kr.datasets import load_mnist_sample, one_hot
from tinygrad_kr.errors import DataError, NonFiniteError
from tinygrad_kr.models import TwoLayerNet
from tinygrad_kr.optim import SGD
from tinygrad_kr.saving import load_weights, save_weights
from tinygrad_kr.training import (
    Row,
    Trainer,
    accuracy,
    class_labels,
    compare_gradients,
    far_from_kinks,
    predicted_labels,
)


def small_net(seed: int = 0, **options: Any) -> TwoLayerNet:
    return TwoLayerNet(6, 5, 3, rng=np.random.default_rng(seed), **options)


def examples(count: int = 12, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)), rng.integers(3, size=count)


def train(
    net: TwoLayerNet,
    train_set: Any,
    test_set: Any,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    rng: np.random.Generator,
    report: Any = None,
) -> list[Row]:
    trainer = Trainer(
        net,
        net.loss_of_scores,
        SGD(net, lr=lr),
        rng=rng,
        metrics={"accuracy": lambda scores, t: float(np.mean(np.argmax(scores, axis=1) == class_labels(t)))},
        callbacks=[] if report is None else [report],
    )
    return trainer.fit(train_set, epochs=epochs, batch_size=batch_size, validation=test_set)


def values(net: TwoLayerNet) -> dict[str, np.ndarray]:
    return {name: parameter.data.copy() for name, parameter in net.params.items()}


# The proof


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "identity"])
@pytest.mark.parametrize(
    "loss", ["softmax_cross_entropy", "cross_entropy_error", "sum_squares_error", "mean_squared_error"]
)
def test_exact_and_numerical_gradient_agree(activation: str, loss: str) -> None:
    net = small_net(activation=activation, loss=loss)
    x, labels = examples(200)
    x, t, margin = far_from_kinks(net, x, one_hot(labels, 3, np.float64), size=4)
    assert margin > 1e-3
    differences = compare_gradients(net, x, t)
    assert [(row.name, row.shape) for row in differences] == [
        ("W1", (6, 5)),
        ("b1", (5,)),
        ("W2", (5, 3)),
        ("b2", (3,)),
    ]
    assert max(row.relative for row in differences) < 1e-7


def test_a_wrong_gradient_shows_where_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = TwoLayerNet.gradient

    def wrong(self: TwoLayerNet, x: Any, t: Any) -> dict[str, Any]:
        gradient = exact(self, x, t)
        gradient["W2"][1, 2] -= 0.25
        return gradient

    net = small_net(activation="tanh")
    x, t = examples()
    scale = np.abs(net.gradient(x, t)["W2"]).max()
    monkeypatch.setattr(TwoLayerNet, "gradient", wrong)
    differences = {row.name: row for row in compare_gradients(net, x, t)}
    assert differences["W2"].largest == pytest.approx(0.25, abs=1e-6)
    assert differences["W2"].relative == pytest.approx(0.25 / scale, rel=1e-5)
    assert max(row.relative for name, row in differences.items() if name != "W2") < 1e-7


@pytest.mark.parametrize("bad", [math.nan, 1.0])
def test_a_gradient_that_should_be_zero_is_not_excused(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(activation="tanh")
    x = np.zeros((2, 6))  # so the true gradient of W1 is zero
    monkeypatch.setattr(
        TwoLayerNet, "gradient", lambda self, x, t: {k: np.full(p.shape, bad) for k, p in self.params.items()}
    )
    assert compare_gradients(net, x, np.array([0, 1]))[0].relative == math.inf


def test_equal_gradients_of_zero_do_not_differ() -> None:
    assert compare_gradients(small_net(activation="tanh"), np.zeros((2, 6)), np.array([0, 1]))[0].relative == 0


def test_the_proof_is_in_float64_and_leaves_a_float32_network_alone() -> None:
    net = small_net(dtype=np.float32, activation="tanh")
    before = values(net)
    x, t = examples()
    assert max(row.relative for row in compare_gradients(net, x.astype(np.float32), t)) < 1e-8
    for name, parameter in net.params.items():
        assert parameter.dtype == np.float32
        np.testing.assert_array_equal(parameter.data, before[name])


def test_progress_sees_every_element() -> None:
    visited: list[int] = []

    def progress(positions: Any) -> Any:
        visited.append(len(positions))
        return positions

    compare_gradients(small_net(), *examples(2), progress=progress)
    assert visited == [30, 5, 15, 3]


def test_examples_at_a_kink_are_not_picked() -> None:
    net = small_net()
    x, t = examples(10)
    x[3] = 0  # every hidden unit is at the kink
    t = np.arange(10)
    picked, labels, margin = far_from_kinks(net, x, t, size=9)
    assert sorted(labels) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(picked, x[labels])
    assert margin == np.abs(net.hidden(picked).data).min() > 0


# The four steps


def test_one_step_is_the_gradient_times_the_learning_rate() -> None:
    net = small_net()
    x, t = examples()
    before, gradient = values(net), net.gradient(x, t)  # which also leaves its gradient in the parameters
    loss = net.loss(x, t).item()
    history = train(net, (x, t), (x, t), epochs=1, batch_size=12, lr=0.5, rng=np.random.default_rng(0))
    for name, parameter in net.params.items():
        np.testing.assert_allclose(parameter.data, before[name] - 0.5 * gradient[name], rtol=1e-12, atol=1e-15)
    assert history[0].loss == pytest.approx(loss)


def test_history_report_and_progress() -> None:
    rows: list[Row] = []
    net, data, test = small_net(), examples(25), examples(7, seed=3)
    history = train(
        net,
        data,
        test,
        epochs=3,
        batch_size=10,
        lr=0.1,
        rng=np.random.default_rng(0),
        report=rows.append,
    )
    assert history == rows
    assert [row.epoch for row in history] == [1, 2, 3]
    assert [row.steps for row in history] == [3, 6, 9]
    assert history[-1].metrics["accuracy"] == net.accuracy(*test)
    assert all(row.seconds > 0 for row in history)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_does_not() -> None:
    def run(seed: int) -> tuple[list[float], dict[str, np.ndarray]]:
        net = small_net()
        rng = np.random.default_rng(seed)
        history = train(net, examples(), examples(), epochs=3, batch_size=5, lr=0.1, rng=rng)
        return [row.loss for row in history], values(net)

    (losses, weights), (losses_again, weights_again), (other, _) = run(0), run(0), run(1)
    assert losses == losses_again != other
    for name in weights:
        np.testing.assert_array_equal(weights[name], weights_again[name])


def test_float32_stays_float32() -> None:
    net = small_net(dtype=np.float32)
    train(net, examples(), examples(), epochs=1, batch_size=5, lr=0.1, rng=np.random.default_rng(0))
    assert {parameter.dtype for parameter in net.params.values()} == {np.dtype(np.float32)}


def test_training_on_real_digits_reaches_90_percent() -> None:
    train_set, test_set = load_mnist_sample()
    rng = np.random.default_rng(0)
    net = TwoLayerNet(784, 50, 10, dtype=np.float32, rng=rng)
    history = train(net, train_set, test_set, epochs=4, batch_size=100, lr=0.5, rng=rng)
    assert history[-1].metrics["accuracy"] >= 0.90
    assert history[-1].loss < history[0].loss


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    net = small_net()
    x, t = examples()
    with pytest.raises(
        NonFiniteError, match=r"not finite in epoch \d+, step \d+ (.*\n)+.*try a smaller lr than 1e\+200"
    ):
        train(net, (x, t), (x, t), epochs=9, batch_size=5, lr=1e200, rng=np.random.default_rng(0))


def test_a_last_step_into_infinity_is_noticed_too() -> None:
    net = small_net()
    x, t = examples()
    with pytest.raises(NonFiniteError, match="is not finite in epoch 1, step 1"):
        train(net, (x * 1e10, t), (x, t), epochs=1, batch_size=12, lr=1e300, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size"),
        ({"lr": -1.0}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"test_set": (np.zeros((0, 6)), np.zeros(0, int))}, "validation is empty"),
        ({"train_set": (np.zeros((0, 6)), np.zeros(0, int))}, "train_set is empty"),
    ],
)
def test_train_refuses(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "train_set": examples(),
        "test_set": examples(),
        "epochs": 1,
        "batch_size": 5,
        "lr": 0.1,
        "rng": np.random.default_rng(0),
    }
    net = small_net()
    before = values(net)
    with pytest.raises(ValueError, match=message):
        train(net, **(arguments | change))
    for name, parameter in net.params.items():
        np.testing.assert_array_equal(parameter.data, before[name])


@pytest.mark.parametrize("count", [1, 6, 7, 8, 25])
def test_predictions_are_made_in_chunks(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net()
    x, _ = examples(count)
    whole = np.argmax(net.predict(x).data, axis=1)
    sizes: list[int] = []
    forward = TwoLayerNet.forward
    monkeypatch.setattr(TwoLayerNet, "forward", lambda self, x: sizes.append(len(x)) or forward(self, x))
    np.testing.assert_array_equal(predicted_labels(net, x, chunk_size=7), whole)
    assert sum(sizes) == count
    assert max(sizes) <= 7


def test_accuracy_takes_labels_and_rows() -> None:
    net = small_net()
    x, t = examples(30)
    assert accuracy(net, x, t) == accuracy(net, x, one_hot(t, 3)) == net.accuracy(x, t)
    assert class_labels(t) is t


# Weights on disk


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda name: name != "__metadata__" and name.isprintable()),
        hnp.arrays(
            st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.bool_]),
            hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
        ),
        max_size=3,
    )
)
def test_weights_come_back_as_they_were(tmp_path_factory: Any, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_weights(path, {name: array.T for name, array in arrays.items()}, metadata={"made": "here"})
    loaded = load_weights(path)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array.T)


def test_weights_of_any_memory_layout(tmp_path: Path) -> None:
    base = np.arange(24.0).reshape(4, 6)
    views = {"slice": base[::2, ::-3], "fortran": np.asfortranarray(base), "big_endian": base.astype(">f8")}
    save_weights(tmp_path / "w", views)
    for name, array in load_weights(tmp_path / "w").items():
        np.testing.assert_array_equal(array, views[name])


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"W": np.ones(3)})
    before = path.read_bytes()
    with path.open("rb") as reader:
        save_weights(path, {"W": np.zeros(3)})
        assert reader.read() == before


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "cross_entropy_error", "sum_squares_error"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_a_training_that_diverges_without_a_nan_says_so(loss: str, activation: str) -> None:
    """Also where the loss is bounded: with the right rate, it is not accused."""
    (x, t), _ = load_mnist_sample()
    data = x[:1000], t[:1000] if loss != "sum_squares_error" else one_hot(t[:1000], 10)
    for rate, diverges in ((0.01 if loss == "sum_squares_error" else 0.3, False), (100.0, True)):
        rng = np.random.default_rng(0)
        net = TwoLayerNet(784, 20, 10, activation=activation, loss=loss, rng=rng)
        arguments: dict[str, Any] = {"epochs": 2, "batch_size": 100, "lr": rate, "rng": rng}
        if diverges:
            with pytest.warns(UserWarning, match=r"Trainer: the training diverged with learning rate 100: ") as told:
                train(net, data, data, **arguments)
            assert "training diverged" in str(told[0].message)
        else:
            train(net, data, data, **arguments)


@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
def test_along_directions_one_wrong_element_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = TwoLayerNet(20, 30, 5, activation="tanh", rng=np.random.default_rng(0))
    x, t = np.random.default_rng(1).normal(size=(4, 20)), np.array([0, 1, 2, 4])
    before = {key: parameter.data.copy() for key, parameter in net.params.items()}
    for row in compare_gradients(net, x, t, directions=5):
        assert row.shape == net.params[row.name].shape
        assert row.relative < 1e-7
    exact = TwoLayerNet.gradient

    def wrong(self: TwoLayerNet, x: Any, t: Any) -> dict[str, Any]:
        gradient = exact(self, x, t)
        gradient[name].flat[3] += 1e-4
        return gradient

    monkeypatch.setattr(TwoLayerNet, "gradient", wrong)
    assert {row.name for row in compare_gradients(net, x, t, directions=5) if row.relative > 1e-6} == {name}
    for key, parameter in net.params.items():
        np.testing.assert_array_equal(parameter.data, before[key])


def test_a_failed_save_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"W": np.ones(3)})

    def full_disk(descriptor: int) -> None:
        os.truncate(descriptor, 10)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_weights(path, {"W": np.zeros(3)})
    np.testing.assert_array_equal(load_weights(path)["W"], np.ones(3))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b"not weights at all", lambda b: b[:-1], lambda b: b + b"x"]
)
def test_a_damaged_weights_file_is_refused(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"W": np.ones(3)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"w\.safetensors is not a safetensors file"):
        load_weights(path)
