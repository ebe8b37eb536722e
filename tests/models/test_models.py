"""The documents' models with exact gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_kr import Tensor
from tinygrad_kr import functional as F
from tinygrad_kr.errors import LabelError, ShapeError
from tinygrad_kr.models import ACTIVATIONS, LOSSES, Perceptron, SimpleNet, TwoLayerNet
from tinygrad_kr.numerical import numerical_gradient

SHAPES = {"W1": (6, 5), "b1": (5,), "W2": (5, 3), "b2": (3,)}
AND = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 0, 0, 1])


def net(seed: int = 0, **options: Any) -> TwoLayerNet:
    return TwoLayerNet(6, 5, 3, rng=np.random.default_rng(seed), **options)


def batch(size: int = 7, seed: int = 1) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, 6)), rng.integers(3, size=size)


def relative_difference(exact: Any, numerical: Any) -> float:
    return float(np.max(np.abs(exact - numerical)) / np.max(np.abs(numerical)))


# TwoLayerNet


def test_params_are_named_leaves_of_the_documents_shapes() -> None:
    params = net().params
    assert {name: p.shape for name, p in params.items()} == SHAPES
    for name, p in params.items():
        assert type(p) is Tensor and p.name == name and p.is_leaf and p.requires_grad and p.dtype == np.float64
    assert not params["b1"].data.any() and not params["b2"].data.any()


def test_the_same_generator_gives_the_same_weights() -> None:
    for name, p in net(3).params.items():
        np.testing.assert_array_equal(p.data, net(3).params[name].data)
    assert not np.array_equal(net(3).params["W1"].data, net(4).params["W1"].data)


@pytest.mark.parametrize(
    ("options", "std"),
    [
        ({"activation": "relu"}, (2 / 400) ** 0.5),
        ({"activation": "leaky_relu"}, (2 / 400) ** 0.5),
        ({"activation": "sigmoid"}, (1 / 400) ** 0.5),
        ({"weight_init_std": 0.01}, 0.01),
    ],
    ids=str,
)
def test_initial_weights_have_the_spread_that_suits_the_activation(options: dict[str, Any], std: float) -> None:
    weights = TwoLayerNet(400, 400, 2, rng=np.random.default_rng(0), **options).params["W1"].data
    assert np.std(weights) == pytest.approx(std, rel=0.02)
    assert np.mean(weights) == pytest.approx(0, abs=std / 50)


def test_rows_of_predict_sum_to_1() -> None:
    x, _ = batch()
    for inputs in (x, x[0], x * 1e4):
        probabilities = net().predict(inputs).data
        assert probabilities.shape == (*inputs.shape[:-1], 3) and np.all(probabilities >= 0)
        np.testing.assert_allclose(np.sum(probabilities, axis=-1), 1, rtol=1e-14)


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"step"}))
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_agrees_with_numerical_gradient_to_1e_7(activation: str, loss: str) -> None:
    model = net(activation=activation, loss=loss)
    x, t = batch()
    if "squares" in loss or "squared" in loss:
        t = np.eye(3)[t]
    assert np.min(np.abs(model.hidden(x).data)) > 1e-3, "too near a kink to differentiate numerically"
    exact, numerical = model.gradient(x, t), model.numerical_gradient(x, t)
    assert list(exact) == list(numerical) == list(SHAPES)
    for name, shape in SHAPES.items():
        assert exact[name].shape == shape
        assert relative_difference(exact[name], numerical[name]) < 1e-7, name


def test_numerical_gradient_leaves_the_parameters_as_they_were() -> None:
    model, (x, t) = net(), batch()
    before = {name: p.data.tobytes() for name, p in model.params.items()}
    model.numerical_gradient(x, t)
    assert {name: p.data.tobytes() for name, p in model.params.items()} == before


def test_gradient_does_not_add_up_over_calls() -> None:
    model, (x, t) = net(), batch()
    first = {name: g.copy() for name, g in model.gradient(x, t).items()}
    for name, g in model.gradient(x, t).items():
        np.testing.assert_array_equal(g, first[name])


def test_labels_and_one_hot_rows_give_the_same_loss_and_accuracy() -> None:
    model, (x, t) = net(), batch()
    rows = np.eye(3)[t]
    assert model.loss(x, t).item() == pytest.approx(model.loss(x, rows).item(), rel=1e-14)
    assert model.accuracy(x, t) == model.accuracy(x, rows) == model.accuracy(Tensor(x), Tensor(t))


def test_accuracy_is_the_share_of_right_predictions() -> None:
    model, (x, _) = net(), batch(40)
    predicted = np.argmax(model.predict(x), axis=1)
    assert model.accuracy(x, predicted) == 1.0
    assert model.accuracy(x, (predicted + 1) % 3) == 0.0
    half_wrong = np.where(np.arange(40) < 10, (predicted + 1) % 3, predicted)
    assert model.accuracy(x, half_wrong) == 0.75


def test_training_with_gradient_lowers_the_loss() -> None:
    model, (x, t) = net(), batch(30)
    before = model.loss(x, t).item()
    for _ in range(100):
        for name, g in model.gradient(x, t).items():
            p = model.params[name]
            p.assign(p.data - 0.5 * g)
    assert model.loss(x, t).item() < 0.6 * before


def test_float32_stays_float32() -> None:
    model, (x, t) = net(dtype=np.float32), batch()
    assert model.loss(x.astype(np.float32), t).dtype == np.float32
    assert {g.dtype for g in model.gradient(x.astype(np.float32), t).values()} == {np.dtype(np.float32)}


def test_astype_copies_the_parameters() -> None:
    model = net()
    single = model.astype(np.float32)
    assert {p.dtype for p in single.params.values()} == {np.dtype(np.float32)}
    assert {p.dtype for p in model.params.values()} == {np.dtype(np.float64)}
    twin = model.astype(np.float64)
    twin.params["W1"].assign(np.zeros((6, 5)))
    assert model.params["W1"].data.any()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"activation": "rellu"}, "unknown activation 'rellu'; choose one of sigmoid, tanh, relu"),
        ({"loss": "mse"}, "unknown loss 'mse'; choose one of softmax_cross_entropy"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(options: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        net(**options)


@pytest.mark.parametrize("sizes", [(0, 5, 3), (6, 0, 3), (6, 5, -1)])
def test_sizes_must_be_positive(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="sizes must be at least 1"):
        TwoLayerNet(*sizes)


def test_wrong_inputs_name_the_parameter_and_the_shapes() -> None:
    with pytest.raises(ShapeError, match=r"\(7, 4\)(.|\n)*W1 \(6, 5\)"):
        net().loss(np.ones((7, 4)), np.zeros(7, int))
    with pytest.raises(LabelError, match="label 3 at position 0"):
        net().loss(np.ones((1, 6)), np.array([3]))


# SimpleNet


def test_simple_net_with_the_books_weights() -> None:
    model = SimpleNet()
    assert model.W.shape == (2, 3)
    # The numbers printed in the book of which document 002 is a study note; its loss has no delta.
    model.W.assign([[0.47355232, 0.9977393, 0.84668094], [0.85557411, 0.03563661, 0.69422093]])
    x, t = np.array([0.6, 0.9]), np.array([0, 0, 1])
    np.testing.assert_allclose(model.predict(x).data, [1.05414809, 0.63071653, 1.1328074], rtol=1e-8)
    assert model.loss(x, t).item() == pytest.approx(0.92806853663411326, abs=1e-6)
    model.loss(x, t).backward()
    expected = [[0.21924763, 0.14356247, -0.36281009], [0.32887144, 0.2153437, -0.54421514]]
    np.testing.assert_allclose(model.W.grad, expected, atol=1e-6)


@pytest.mark.parametrize(("x", "t"), [((2,), 2), ((4, 2), [0, 2, 1, 1])])
def test_simple_net_gradient(x: tuple[int, ...], t: Any) -> None:
    rng = np.random.default_rng(0)
    model, inputs = SimpleNet(rng), rng.normal(size=x)
    model.loss(inputs, np.array(t)).backward()
    numerical = numerical_gradient(lambda _: model.loss(inputs, np.array(t)), model.W.data)
    assert relative_difference(model.W.grad, numerical) < 1e-7


# Perceptron: the documents' three experiments


def test_perceptron_learns_and() -> None:
    x, y = AND
    gate = Perceptron(2).fit(x, y)
    np.testing.assert_allclose(gate.weights, [-0.4, 0.4, 0.2], rtol=0, atol=1e-15)
    assert gate.predict(x).tolist() == y.tolist()
    assert [float(gate.predict(inputs)) for inputs in x] == y.tolist()


@pytest.mark.parametrize(
    ("targets", "learns"),
    [([0, 1, 1, 1], True), ([1, 1, 1, 0], True), ([0, 1, 1, 0], False)],
    ids=["OR", "NAND", "XOR"],
)
def test_perceptron_learns_what_a_line_can_divide(targets: list[int], learns: bool) -> None:
    gate = Perceptron(2, epochs=50).fit(AND[0], np.array(targets))
    assert (gate.predict(AND[0]).tolist() == targets) is learns


@pytest.mark.parametrize("activation", [F.identity, lambda a: 2 * a + 1], ids=["none", "linear"])
@pytest.mark.parametrize("targets", [[0, 0, 0, 1], [1, 1, 1, 0]], ids=["AND", "NAND"])
def test_perceptron_with_real_outputs_classifies_at_one_half(activation: Any, targets: list[int]) -> None:
    outputs = Perceptron(2, activation=activation).fit(AND[0], targets).predict(AND[0])
    assert not set(outputs.tolist()) <= {0.0, 1.0}
    assert (outputs > 0.5).tolist() == [bool(t) for t in targets]


def test_perceptron_takes_lists() -> None:
    x, y = AND
    from_lists = Perceptron(2).fit(x.tolist(), y.tolist())
    np.testing.assert_array_equal(from_lists.weights, Perceptron(2).fit(x, y).weights)
    assert from_lists.predict(x.tolist()).tolist() == y.tolist()


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (AND[0], AND[1][:3], ShapeError, r"x of shape \(N, 2\) and y of shape \(N,\), got \(4, 2\) and \(3,\)"),
        (np.ones((4, 3)), AND[1], ShapeError, r"got \(4, 3\) and \(4,\)"),
        (AND[0], AND[1][:, np.newaxis], ShapeError, r"got \(4, 2\) and \(4, 1\)"),
        (AND[0], None, ShapeError, r"got \(4, 2\) and \(\)"),
        ([[0, 1], [2]], [0, 1], TypeError, "x must be an array or a list of numbers, all rows of one length"),
        (AND[0], ["no", "no", "no", "yes"], TypeError, "y must be an array or a list of numbers"),
    ],
)
def test_perceptron_says_what_it_expects(x: Any, y: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Perceptron(2).fit(x, y)
