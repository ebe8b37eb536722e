"""The documents' own code: as it stands with its errata mended, on arrays and on Tensors; and each erratum."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import Tensor
from tinygrad_kr import functional as F
from tinygrad_kr.errors import DtypeError, NonFiniteError
from tinygrad_kr.models import Perceptron as OurPerceptron
from tinygrad_kr.models import TwoLayerNet as OurTwoLayerNet
from tinygrad_kr.numerical import gradient_descent, numerical_diff, numerical_gradient

# The documents' prediction and target: ten classes, and the third is right.
Y = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]
T = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
AND_INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
AND_TARGETS = np.array([0, 0, 0, 1])

# ruff: noqa: NPY002 - np.random.randn is what the documents call


class Document000:
    """Loss functions; the formula's (y_k = t_k)**2 means (y_k - t_k)**2."""

    @staticmethod
    def sse(y, t):
        return 0.5 * np.sum((y - t) ** 2)

    @staticmethod
    def cee(y, t):
        delta = 1e-7
        return -np.sum(t * np.log(y + delta))

    @staticmethod
    def cee_of_a_batch(y, t):
        if y.ndim == 1:
            t = t.reshape(1, t.size)
            y = y.reshape(1, y.size)
        batch_size = y.shape[0]

        return -np.sum(t * np.log(y + 1e-7)) / batch_size


class Document001:
    """The same losses; the blog's line breaks and spaces in names are no code."""

    @staticmethod
    def sum_squares_error(y, t):
        return 0.5 * np.sum((y - t) ** 2)

    @staticmethod
    def cross_entropy_error(y, t):
        delta = 1e-7
        return -np.sum(t * np.log(y + delta))

    @staticmethod
    def cross_entropy_error_of_labels(y, t):
        if y.ndim == 1:
            t = t.reshape(1, t.size)
            y = y.reshape(1, y.size)
        batch_size = y.shape[0]
        return -np.sum(np.log(y[np.arange(batch_size), t] + 1e-7)) / batch_size


class Document002:
    """Numerical derivatives, softmax per row, simpleNet and TwoLayerNet."""

    @staticmethod
    def function_2(x):
        return np.sum(x**2)

    @staticmethod
    def sum_squares_error(y_pred, y):
        return 0.5 * np.sum((y_pred - y) ** 2)

    @staticmethod
    def cross_entropy_error(y_pred, y):
        delta = 1e-7
        return -np.sum(y * np.log(y_pred + delta))

    @staticmethod
    def cross_entropy_error1(y_pred, y):
        if y_pred.ndim == 1:
            y = y.reshape(1, y.size)
            y_pred = y_pred.reshape(1, y_pred.size)  # mended: was y.reshape

        batch_size = y_pred.shape[0]
        return -np.sum(y * np.log(y_pred + 1e-7)) / batch_size

    @staticmethod
    def cross_entropy_error2(y_pred, y):
        if y_pred.ndim == 1:
            y = y.reshape(1, y.size)
            y_pred = y_pred.reshape(1, y_pred.size)  # mended: was y.reshape

        batch_size = y_pred.shape[0]
        return -np.sum(np.log(y_pred[np.arange(batch_size), y] + 1e-7)) / batch_size

    @staticmethod
    def softmax(x):
        c = np.max(x, axis=-1, keepdims=True)  # mended: per row
        exp_x = np.exp(x - c)
        sum_exp_x = np.sum(exp_x, axis=-1, keepdims=True)  # mended: was np.sum(exp_x - c), and per row
        y = exp_x / sum_exp_x
        return y

    @staticmethod
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    @staticmethod
    def numerical_diff(f, x):
        h = 1e-4
        return (f(x + h) - f(x - h)) / (2 * h)  # mended: the bracket


class simpleNet:
    def __init__(self):
        self.W = np.random.randn(2, 3)

    def predict(self, x):
        return np.dot(x, self.W)

    def loss(self, x, y):
        z = self.predict(x)
        y_pred = Document002.softmax(z)
        loss = Document002.cross_entropy_error1(y_pred, y)
        return loss


class TwoLayerNet:
    def __init__(self, input_size, hidden_size, ouput_size, weight_init_std=0.01):
        self.params = {}
        self.params["W1"] = weight_init_std * np.random.randn(input_size, hidden_size)
        self.params["b1"] = np.zeros(hidden_size)
        self.params["W2"] = weight_init_std * np.random.randn(hidden_size, ouput_size)
        self.params["b2"] = np.zeros(ouput_size)

    def predict(self, X):
        W1, W2 = self.params["W1"], self.params["W2"]
        b1, b2 = self.params["b1"], self.params["b2"]

        a1 = np.dot(X, W1) + b1
        z1 = Document002.sigmoid(a1)
        a2 = np.dot(z1, W2) + b2
        y = Document002.softmax(a2)

        return y

    def loss(self, X, y):
        y_pred = self.predict(X)

        return Document002.cross_entropy_error1(y_pred, y)

    def accuracy(self, X, y):
        y_pred = self.predict(X)
        y_pred = np.argmax(y_pred, axis=1)
        y = np.argmax(y, axis=1)

        accuracy = np.sum(y_pred == y) / float(X.shape[0])  # mended: was t
        return accuracy

    def numerical_gradient(self, X, y):
        loss_W = lambda W: self.loss(X, y)

        grads = {}
        grads["W1"] = numerical_gradient(loss_W, self.params["W1"])
        grads["b1"] = numerical_gradient(loss_W, self.params["b1"])
        grads["W2"] = numerical_gradient(loss_W, self.params["W2"])
        grads["b2"] = numerical_gradient(loss_W, self.params["b2"])
        return grads


class Document003:
    """Cross-entropy, with one-hot rows and with labels, alone and in batches."""

    @staticmethod
    def cross_entropy_error(y, t):
        delta = 1e-7
        return -np.sum(t * np.log(y + delta))

    @staticmethod
    def cross_entropy_error_of_a_label(y, t):
        delta = 1e-7
        return -np.sum(np.log(y + delta)[t])  # mended: was t * np.log(y + delta)[t]

    @staticmethod
    def cross_entropy_error_of_a_batch(y, t):
        if y.ndim == 1:  # mended: was y.dim
            t = t.reshape(1, t.size)
            y = y.reshape(1, y.size)

        batch_size = y.shape[0]
        return -np.sum(t * np.log(y)) / batch_size

    @staticmethod
    def cross_entropy_error_of_labels(y, t):
        if y.ndim == 1:  # mended: was y.dim
            t = t.reshape(1, t.size)
            y = y.reshape(1, y.size)

        batch_size = y.shape[0]
        return -np.sum(np.log(y[np.arange(batch_size), t])) / batch_size


class Document004:
    """Activations and losses. The text gives step, ReLU, Leaky ReLU and sigmoid in words and formulas."""

    @staticmethod
    def step(x):
        return np.where(x > 0, 1.0, 0.0) + 0 * x

    @staticmethod
    def sigmoid(x):
        s = 1 / (1 + np.exp(-x))
        ds = s * (1 - s)
        return s, ds

    @staticmethod
    def tanh(x):
        s = (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))
        ds = 1 - s * s
        return s, ds

    @staticmethod
    def relu(x):
        return np.maximum(0, x)

    @staticmethod
    def leaky_relu(x):
        return np.where(x > 0, x, 0.01 * x)

    @staticmethod
    def softmax(a):
        exp_a = np.exp(a)
        sum_exp_a = np.sum(exp_a)
        y = exp_a / sum_exp_a
        return y

    @staticmethod
    def MSE(target, y):
        return 0.5 * np.sum((y - target) ** 2)

    @staticmethod
    def CEE(target, y):
        delta = 1e-7
        return -np.sum(target * np.log(y + delta))


class Perceptron:
    def __init__(self, input_size, learning_rate=0.2, epochs=10):
        self.weights = np.zeros(input_size + 1)
        self.learning_rate = learning_rate
        self.epochs = epochs

    def activation_function(self, x):
        return 1 if x > 0 else 0

    def predict(self, inputs):
        summation = np.dot(inputs, self.weights[1:]) + self.weights[0]
        return self.activation_function(summation)

    def fit(self, X, y):
        for _epoch in range(self.epochs):
            for inputs, target in zip(X, y):  # noqa: B905 - the document's line
                prediction = self.predict(inputs)
                self.weights[1:] += self.learning_rate * (target - prediction) * inputs
                self.weights[0] += self.learning_rate * (target - prediction)


class PerceptronWithoutActivation(Perceptron):
    def predict(self, inputs):
        summation = np.dot(inputs, self.weights[1:]) + self.weights[0]
        return summation


class LinearPerceptron(Perceptron):
    def activation_function(self, x):
        return 2 * x + 1


# The documents' functions on Tensors


RNG = np.random.default_rng(20)
ROWS = RNG.dirichlet(np.ones(4) * 3, size=3)
ONE_HOT = np.eye(4)[[2, 0, 3]]
SCORES = RNG.normal(size=(3, 4))
LABELS = np.array([2, 0, 3])
row, scores = np.array(Y) + 0.01, SCORES[0]

FUNCTIONS: list[tuple[Callable[..., Any], Any, tuple[Any, ...]]] = [
    (Document000.sse, row, (np.array(T),)),
    (Document000.cee, row, (np.array(T),)),
    (Document000.cee_of_a_batch, row, (np.array(T),)),
    (Document000.cee_of_a_batch, ROWS, (ONE_HOT,)),
    (Document001.sum_squares_error, row, (np.array(T),)),
    (Document001.cross_entropy_error, row, (np.array(T),)),
    (Document001.cross_entropy_error_of_labels, row, (np.array(2),)),
    (Document001.cross_entropy_error_of_labels, ROWS, (LABELS,)),
    (Document002.function_2, np.array([3.0, 4.0]), ()),
    (Document002.sum_squares_error, row, (np.array(T),)),
    (Document002.cross_entropy_error, row, (np.array(T),)),
    (Document002.cross_entropy_error1, row, (np.array(T),)),
    (Document002.cross_entropy_error1, ROWS, (ONE_HOT,)),
    (Document002.cross_entropy_error2, row, (np.array(2),)),
    (Document002.cross_entropy_error2, ROWS, (LABELS,)),
    (Document002.softmax, scores, ()),
    (Document002.softmax, SCORES, ()),
    (Document002.sigmoid, SCORES, ()),
    (Document003.cross_entropy_error, row, (np.array(T),)),
    (Document003.cross_entropy_error_of_a_label, row, (2,)),
    (Document003.cross_entropy_error_of_a_batch, row, (np.array(T),)),
    (Document003.cross_entropy_error_of_a_batch, ROWS, (ONE_HOT,)),
    (Document003.cross_entropy_error_of_labels, row, (np.array(2),)),
    (Document003.cross_entropy_error_of_labels, ROWS, (LABELS,)),
    (Document004.step, SCORES, ()),
    (lambda x: Document004.sigmoid(x)[0], SCORES, ()),
    (lambda x: Document004.sigmoid(x)[1], SCORES, ()),
    (lambda x: Document004.tanh(x)[0], SCORES, ()),
    (lambda x: Document004.tanh(x)[1], SCORES, ()),
    (Document004.relu, SCORES, ()),
    (Document004.leaky_relu, SCORES, ()),
    (Document004.softmax, scores, ()),
    (lambda y, target: Document004.MSE(target, y), row, (np.array(T),)),
    (lambda y, target: Document004.CEE(target, y), row, (np.array(T),)),
]


def title(row: Any) -> str:
    function, x, _ = row
    source = function.__qualname__
    if "lambda" in source:
        source = ".".join(name for name in function.__code__.co_names if not name.startswith("_"))
    return f"{source}{x.shape}"


@pytest.mark.parametrize(("function", "x", "rest"), FUNCTIONS, ids=map(title, FUNCTIONS))
def test_function_on_tensors(function: Callable[..., Any], x: Any, rest: tuple[Any, ...]) -> None:
    on_array = function(x, *rest)
    leaf = Tensor(x, requires_grad=True)
    on_tensor = function(leaf, *rest)
    np.testing.assert_allclose(on_tensor.data, on_array, rtol=1e-14, atol=0)
    cotangent = np.random.default_rng(0).uniform(0.5, 2, np.shape(on_array))
    on_tensor.backward(cotangent)
    expected = numerical_gradient(lambda x: np.sum(cotangent * function(x, *rest)), x.copy())
    np.testing.assert_allclose(leaf.grad, expected, rtol=1e-6, atol=1e-8)


def test_document_002_simpleNet_with_a_tensor_as_its_weights() -> None:
    net = simpleNet()
    net.W = np.array([[-2.50093784, 0.60734283, -0.40662738], [0.86203722, 1.5465298, -1.42010576]])
    x, y = np.array([0.6, 0.9]), np.array([0, 0, 1])
    assert np.argmax(net.predict(x)) == 1  # as the notebook prints
    loss, expected = net.loss(x, y), numerical_gradient(lambda W: net.loss(x, y), net.W)
    assert loss == pytest.approx(float(F.softmax_cross_entropy(x @ net.W, 2)), abs=1e-5)

    net.W = W = Tensor(net.W, requires_grad=True)
    on_tensor = net.loss(x, y)
    assert on_tensor.item() == pytest.approx(loss, rel=1e-14)
    on_tensor.backward()
    np.testing.assert_allclose(W.grad, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("mixed", [False, True], ids=["all parameters", "some parameters"])
def test_document_002_TwoLayerNet_with_tensors_as_parameters(mixed: bool) -> None:
    rng = np.random.default_rng(2)
    net = TwoLayerNet(input_size=6, hidden_size=5, ouput_size=3)
    net.params = {name: rng.normal(size=values.shape) for name, values in net.params.items()}
    X, y = rng.random((4, 6)), np.eye(3)[[0, 2, 1, 2]]
    loss, accuracy, expected = net.loss(X, y), net.accuracy(X, y), net.numerical_gradient(X, y)

    chosen = ["W1", "b2"] if mixed else list(net.params)
    for name in chosen:
        net.params[name] = Tensor(net.params[name], requires_grad=True, name=name)
    on_tensors = net.loss(X, y)
    assert on_tensors.item() == pytest.approx(loss, rel=1e-14)
    assert net.accuracy(X, y) == accuracy
    on_tensors.backward()
    for name in chosen:
        np.testing.assert_allclose(net.params[name].grad, expected[name], rtol=1e-6, atol=1e-8)


def test_document_002_the_four_steps_with_tensors_as_parameters() -> None:
    """Mini-batch, gradient, update, again: the loss goes down with either gradient in the same way."""
    rng = np.random.default_rng(3)
    X, y = rng.random((8, 6)), np.eye(3)[rng.integers(3, size=8)]
    initial = {
        name: rng.normal(size=shape) for name, shape in {"W1": (6, 5), "b1": (5,), "W2": (5, 3), "b2": (3,)}.items()
    }

    def losses(gradient: Callable[[TwoLayerNet, dict[str, Any]], dict[str, Any]]) -> list[float]:
        net, values = TwoLayerNet(6, 5, 3), {name: start.copy() for name, start in initial.items()}
        path = []
        for _ in range(20):
            net.params = values
            path.append(float(net.loss(X, y)))
            grads = gradient(net, values)
            values = {name: values[name] - 0.5 * grads[name] for name in values}
        return path

    def by_tensors(net: TwoLayerNet, values: dict[str, Any]) -> dict[str, Any]:
        net.params = {name: Tensor(value, requires_grad=True) for name, value in values.items()}
        net.loss(X, y).backward()
        return {name: p.grad for name, p in net.params.items()}

    exact = losses(by_tensors)
    np.testing.assert_allclose(exact, losses(lambda net, values: net.numerical_gradient(X, y)), rtol=1e-6)
    assert exact[-1] < 0.9 * exact[0]


# Worked numbers


@pytest.mark.parametrize(
    "sse", [F.sum_squares_error, Document000.sse, lambda y, t: Document004.MSE(t, y)], ids=["ours", "000", "004"]
)
def test_worked_sum_of_squares(sse: Callable[..., Any]) -> None:
    assert float(sse(np.array(Y), np.array(T))) == 0.09750000000000003
    assert sse(Tensor(Y, requires_grad=True), np.array(T)).item() == 0.09750000000000003


@pytest.mark.parametrize(
    "cee",
    [F.cross_entropy_error, Document000.cee, Document000.cee_of_a_batch, lambda y, t: Document004.CEE(t, y)],
    ids=["ours", "000", "000 batch", "004"],
)
def test_worked_cross_entropy(cee: Callable[..., Any]) -> None:
    assert float(cee(np.array(Y), np.array(T))) == 0.510825457099338
    assert cee(Tensor(Y, requires_grad=True), np.array(T)).item() == 0.510825457099338


def test_worked_numerical_gradient() -> None:
    x = np.array([3.0, 4.0])
    np.testing.assert_allclose(numerical_gradient(Document002.function_2, x), [6, 8], rtol=0, atol=1e-8)
    leaf = Tensor(x, requires_grad=True)
    Document002.function_2(leaf).backward()
    assert leaf.grad.tolist() == [6, 8]


def test_worked_perceptron() -> None:
    theirs, ours = Perceptron(input_size=2), OurPerceptron(input_size=2)
    theirs.fit(AND_INPUTS, AND_TARGETS)
    ours.fit(AND_INPUTS, AND_TARGETS)
    np.testing.assert_allclose(theirs.weights, [-0.4, 0.4, 0.2], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(ours.weights, theirs.weights)
    assert [theirs.predict(inputs) for inputs in AND_INPUTS] == [0, 0, 0, 1]
    assert ours.predict(AND_INPUTS).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("theirs", "activation"),
    [(PerceptronWithoutActivation, F.identity), (LinearPerceptron, lambda a: 2 * a + 1)],
    ids=["no activation", "linear"],
)
def test_worked_perceptron_with_real_outputs(theirs: Any, activation: Callable[..., Any]) -> None:
    gate, ours = theirs(input_size=2), OurPerceptron(2, activation=activation)
    gate.fit(AND_INPUTS, AND_TARGETS)
    ours.fit(AND_INPUTS, AND_TARGETS)
    np.testing.assert_allclose(ours.weights, gate.weights, rtol=1e-12)
    predictions = [gate.predict(inputs) for inputs in AND_INPUTS]
    np.testing.assert_allclose(ours.predict(AND_INPUTS), predictions, rtol=1e-12, atol=1e-12)
    assert not set(predictions) <= {0, 1}


def test_worked_prediction_without_activation() -> None:
    ours = OurPerceptron(2, activation=F.identity).fit(AND_INPUTS, AND_TARGETS)
    assert float(ours.predict(np.array([0, 0]))) == pytest.approx(-0.16483626841185234, rel=1e-12)


def test_worked_perceptron_on_tensors() -> None:
    """The documents' predict with Tensors in place of the weights."""
    gate = Perceptron(input_size=2)
    gate.weights = Tensor([-0.4, 0.4, 0.2], requires_grad=True)
    assert [gate.predict(inputs) for inputs in AND_INPUTS] == [0, 0, 0, 1]
    linear = PerceptronWithoutActivation(input_size=2)
    linear.weights = gate.weights
    linear.predict(np.array([1, 1])).backward()
    assert gate.weights.grad.tolist() == [1, 1, 1]


# Errata: what the document's code does, and what ours does


def wrong_numerical_diff(f, x):
    h = 1e-4
    return f(x + h) - f(x - h) / (2 * h)


def erratum_numerical_diff() -> None:
    square = lambda x: x**2
    assert wrong_numerical_diff(square, 3.0) == pytest.approx(-44988, abs=1)
    assert numerical_diff(square, 3.0) == pytest.approx(6, abs=1e-8)


def wrong_softmax(x):
    c = np.max(x)
    exp_x = np.exp(x - c)
    sum_exp_x = np.sum(exp_x - c)
    return exp_x / sum_exp_x


def erratum_softmax_sum() -> None:
    x = np.array([0.3, 2.9, 4.0])
    assert np.sum(wrong_softmax(x)) == pytest.approx(-0.1276, abs=1e-4)
    assert np.sum(F.softmax(x)) == pytest.approx(1, rel=1e-15)


def softmax_over_the_whole_batch(x):
    exp_x = np.exp(x - np.max(x))
    return exp_x / np.sum(exp_x)


def erratum_softmax_rows() -> None:
    x = np.ones((2, 3))
    np.testing.assert_allclose(np.sum(softmax_over_the_whole_batch(x), axis=1), 0.5)
    np.testing.assert_allclose(np.sum(F.softmax(x), axis=1), 1)
    np.testing.assert_allclose(np.sum(OurTwoLayerNet(3, 4, 5).predict(x).data, axis=1), 1)


def wrong_cross_entropy_error1(y_pred, y):
    if y_pred.ndim == 1:
        y = y.reshape(1, y.size)
        y_pred = y.reshape(1, y_pred.size)
    batch_size = y_pred.shape[0]
    return -np.sum(y * np.log(y_pred + 1e-7)) / batch_size


def erratum_cross_entropy_error1() -> None:
    y = np.array([0, 0, 1])
    for y_pred in (np.array([0.1, 0.2, 0.7]), np.array([0.8, 0.1, 0.1])):
        assert wrong_cross_entropy_error1(y_pred, y) == -9.999999505838704e-08
        assert float(F.cross_entropy_error(y_pred, y)) == pytest.approx(-np.log(y_pred[2] + 1e-7), rel=1e-15)


def wrong_accuracy(net, X, y):
    y_pred = np.argmax(net.predict(X), axis=1)
    y = np.argmax(y, axis=1)
    return np.sum(y_pred == t) / float(X.shape[0])  # noqa: F821 - the erratum


def erratum_accuracy() -> None:
    net, X, y = OurTwoLayerNet(3, 4, 2), np.ones((5, 3)), np.eye(2)[[0, 0, 1, 1, 1]]
    with pytest.raises(NameError, match="'t'"):
        wrong_accuracy(net, X, y)
    assert net.accuracy(X, y) in (0.4, 0.6)


def numerical_gradient_without_batch(f, x):
    h = 1e-4
    grad = np.zeros_like(x)
    for idx in range(x.size):
        tmp_val = x[idx]
        x[idx] = float(tmp_val) + h
        fxh1 = f(x)
        x[idx] = tmp_val - h
        fxh2 = f(x)
        grad[idx] = (fxh1 - fxh2) / (2 * h)
        x[idx] = tmp_val
    return grad


def numerical_gradient_of_rows(f, X):
    if X.ndim == 1:
        return numerical_gradient_without_batch(f, X)
    grad = np.zeros_like(X)
    for idx, x in enumerate(X):
        grad[idx] = numerical_gradient_without_batch(f, x)
    return grad


def erratum_numerical_gradient_of_integers() -> None:
    x = np.array([3, 4])
    assert numerical_gradient_of_rows(Document002.function_2, x.copy()).tolist() == [25000, 35000]
    with pytest.raises(DtypeError, match="floats"):
        numerical_gradient(Document002.function_2, x)


def erratum_numerical_gradient_in_float32() -> None:
    x = np.array([3, 4], np.float32)
    theirs = numerical_gradient_of_rows(Document002.function_2, x.copy())
    assert theirs[0] == pytest.approx(5.989, abs=1e-3)
    np.testing.assert_allclose(numerical_gradient(Document002.function_2, x), [6, 8], atol=1e-6)


def erratum_numerical_gradient_in_three_dimensions() -> None:
    x = np.arange(8.0).reshape(2, 2, 2)
    with pytest.raises((TypeError, ValueError)):
        numerical_gradient_of_rows(Document002.function_2, x.copy())
    np.testing.assert_allclose(numerical_gradient(Document002.function_2, x), 2 * x, atol=1e-7)


def gradient_descent_of_the_document(f, init_x, lr=0.01, step_num=100):
    x = init_x
    for _i in range(step_num):
        grad = numerical_gradient_without_batch(f, x)
        x -= lr * grad
    return x


def erratum_gradient_descent_at_too_large_a_rate() -> None:
    """Where x + h rounds to x, the document's gradient is 0 and its x stands still; x = -19 x goes on."""
    start, f, exact = np.array([-3.0, 4.0]), Document002.function_2, lambda x: 2 * x
    stuck = gradient_descent_of_the_document(f, start.copy(), lr=10.0)
    np.testing.assert_allclose(stuck, [-2.58983747e13, -1.29524862e12], rtol=1e-8)  # what the book prints
    assert numerical_gradient_without_batch(f, stuck.copy()).tolist() == [0, 0]
    np.testing.assert_allclose(gradient_descent(f, start, 10.0, 100, exact), 19.0**100 * start, rtol=1e-12)
    with pytest.raises(NonFiniteError, match=r"lr = 10\.0 is too large"):
        gradient_descent(f, start, lr=10.0)


def wrong_cross_entropy_error_of_a_label(y, t):
    delta = 1e-7
    return -np.sum(t * np.log(y + delta)[t])


def erratum_label_form() -> None:
    y = np.array(Y)
    assert wrong_cross_entropy_error_of_a_label(y, 2) == pytest.approx(1.0217, abs=1e-4)
    assert float(F.cross_entropy_error(y, 2)) == 0.510825457099338


def erratum_batch_form() -> None:
    y = np.array([Y, Y])
    with pytest.raises(AttributeError, match="dim"):
        _ = y.dim
    assert float(F.cross_entropy_error(y, np.array([2, 2]))) == 0.510825457099338


def erratum_formula() -> None:
    y, t = np.array(Y), np.array(T)
    as_printed = 0.5 * np.sum((y == t) ** 2)
    assert as_printed == 2.0  # four entries are equal
    assert float(F.sum_squares_error(y, t)) == 0.09750000000000003


def erratum_mean_squared_error() -> None:
    y, t = np.array(Y), np.array(T)
    assert float(F.sum_squares_error(y, t)) == Document004.MSE(t, y)
    assert float(F.mean_squared_error(y, t)) == pytest.approx(2 * Document004.MSE(t, y) / len(y), rel=1e-15)


def erratum_softmax_of_large_scores() -> None:
    a = np.array([1000.0, 999.0])
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(Document004.softmax(a)).all()
    np.testing.assert_allclose(F.softmax(a), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))], rtol=1e-15)


def erratum_tanh_of_large_numbers() -> None:
    x = np.array([800.0, -800.0])
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(Document004.tanh(x)[0]).all()
    assert F.tanh(x).tolist() == [1, -1]


def erratum_order_of_the_perceptrons_weights() -> None:
    bias, w1, w2 = OurPerceptron(2).fit(AND_INPUTS, AND_TARGETS).weights
    as_in_the_prose = AND_INPUTS @ [-0.4, 0.4] + 0.2 > 0  # w1, w2 and the bias
    assert as_in_the_prose.astype(int).tolist() != AND_TARGETS.tolist()
    assert (AND_INPUTS @ [w1, w2] + bias > 0).astype(int).tolist() == AND_TARGETS.tolist()


def erratum_no_activation_can_classify() -> None:
    for theirs in (PerceptronWithoutActivation(input_size=2), LinearPerceptron(input_size=2)):
        theirs.fit(AND_INPUTS, AND_TARGETS)
        outputs = [theirs.predict(inputs) for inputs in AND_INPUTS]
        assert [int(output > 0.5) for output in outputs] == AND_TARGETS.tolist()
    outputs = OurPerceptron(2, activation=F.identity).fit(AND_INPUTS, AND_TARGETS).predict(AND_INPUTS)
    assert outputs.round(2).tolist() == [-0.16, 0.3, 0.37, 0.83]


def erratum_sigmoid_is_not_linear() -> None:
    a, b = 1.0, 2.0
    assert float(F.sigmoid(a + b)) != pytest.approx(float(F.sigmoid(a)) + float(F.sigmoid(b)), abs=0.1)


ERRATA = {
    "002 numerical_diff, the bracket": erratum_numerical_diff,
    "002 softmax, the sum": erratum_softmax_sum,
    "002 softmax in TwoLayerNet, the rows": erratum_softmax_rows,
    "002 cross_entropy_error1": erratum_cross_entropy_error1,
    "002 accuracy": erratum_accuracy,
    "002 and 003 numerical_gradient, integers": erratum_numerical_gradient_of_integers,
    "002 and 003 numerical_gradient, float32": erratum_numerical_gradient_in_float32,
    "002 and 003 numerical_gradient, three dimensions": erratum_numerical_gradient_in_three_dimensions,
    "002 gradient_descent, a rate of 10": erratum_gradient_descent_at_too_large_a_rate,
    "003 label form": erratum_label_form,
    "003 batch form": erratum_batch_form,
    "000 formula": erratum_formula,
    "003 and 004 MSE": erratum_mean_squared_error,
    "004 softmax": erratum_softmax_of_large_scores,
    "004 tanh": erratum_tanh_of_large_numbers,
    "004 perceptron, the prose": erratum_order_of_the_perceptrons_weights,
    "004 no activation": erratum_no_activation_can_classify,
    "004 sigmoid, the prose": erratum_sigmoid_is_not_linear,
}


@pytest.mark.parametrize("name", ERRATA)
def test_erratum(name: str) -> None:
    ERRATA[name]()


def test_every_erratum_above_is_in_the_table() -> None:
    written = {f for f in globals().values() if isinstance(f, types.FunctionType) and f.__name__.startswith("erratum_")}
    assert written == set(ERRATA.values())
    assert all(not inspect.signature(f).parameters for f in written)
