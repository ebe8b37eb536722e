"""The models of the study notes: SimpleNet, TwoLayerNet and Perceptron."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr import functional as F
from tinygrad_kr.engine.graph import no_grad
from tinygrad_kr.engine.tensor import Tensor, raw
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.nn import Module
from tinygrad_kr.numerical import numerical_gradient

__all__ = ["ACTIVATIONS", "LOSSES", "Perceptron", "SimpleNet", "TwoLayerNet"]

ACTIVATIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (F.sigmoid, F.tanh, F.relu, F.leaky_relu, F.identity, F.step)
}
LOSSES: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (F.softmax_cross_entropy, F.cross_entropy_error, F.sum_squares_error, F.mean_squared_error)
}


def _choice(kind: str, name: str, choices: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    if name not in choices:
        raise ValueError(f"unknown {kind} {name!r}; choose one of {', '.join(choices)}")
    return choices[name]


class SimpleNet:
    """The smallest network: scores = x W (study note 002, 4.4.2).

    Parameters
    ----------
    rng : numpy.random.Generator, optional
        Draws the weights from the standard normal distribution.

    Attributes
    ----------
    W : Tensor of shape (2, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr.models import SimpleNet
    >>> net = SimpleNet(np.random.default_rng(0))
    >>> loss = net.loss(np.array([0.6, 0.9]), np.array([0, 0, 1]))
    >>> loss.backward()
    >>> net.W.grad.shape
    (2, 3)
    """

    def __init__(self, rng: np.random.Generator | None = None) -> None:
        rng = np.random.default_rng() if rng is None else rng
        self.W = Tensor(rng.standard_normal((2, 3)), requires_grad=True, name="W")

    def predict(self, x: Any) -> Any:
        """Return the scores, of shape (3,) for x of shape (2,), or (N, 3) for (N, 2)."""
        return np.dot(x, self.W)

    def loss(self, x: Any, t: Any) -> Any:
        """Return the cross-entropy of the softmax of the scores."""
        return F.cross_entropy_error(F.softmax(self.predict(x)), t)


class TwoLayerNet(Module):
    """Two layers: scores = activation(x W1 + b1) W2 + b2 (study note 002, 4.5.1).

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        The number of features, of hidden units, and of classes.
    weight_init_std : float, optional
        Standard deviation of the initial weights; study note 002 uses 0.01. Default: what suits the activation, He's
        sqrt(2 / fan_in) for ReLU and Leaky ReLU, Xavier's sqrt(1 / fan_in) for the others.
    activation : str
        Of the hidden layer: a name in ``models.ACTIVATIONS``.
    loss : str
        A name in ``models.LOSSES``. ``softmax_cross_entropy`` takes the scores, the others the probabilities.
    dtype : numpy dtype
        float64, or float32 for speed.
    rng : numpy.random.Generator, optional
        Draws the initial weights.

    Attributes
    ----------
    W1, b1, W2, b2 : Tensor
        Of shape (input_size, hidden_size), (hidden_size,), (hidden_size, output_size) and (output_size,).
    params : dict of str to Tensor
        The four by name.

    Raises
    ------
    ValueError
        If a size is not positive, or an activation or a loss is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr.models import TwoLayerNet
    >>> net = TwoLayerNet(4, 5, 3, rng=np.random.default_rng(0))
    >>> grads = net.gradient(np.ones((2, 4)), np.array([0, 2]))
    >>> {name: g.shape for name, g in grads.items()}
    {'W1': (4, 5), 'b1': (5,), 'W2': (5, 3), 'b2': (3,)}
    """

    activation: Callable[..., Any]
    loss_function: Callable[..., Any]
    W1: Tensor
    b1: Tensor
    W2: Tensor
    b2: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float | None = None,
        activation: str = "relu",
        loss: str = "softmax_cross_entropy",
        dtype: Any = np.float64,
        rng: np.random.Generator | None = None,
    ) -> None:
        if min(input_size, hidden_size, output_size) < 1:
            raise ValueError(
                "sizes must be at least 1, "
                f"got input_size={input_size}, hidden_size={hidden_size}, output_size={output_size}"
            )
        self.activation = _choice("activation", activation, ACTIVATIONS)
        self.loss_function = _choice("loss", loss, LOSSES)
        self._sizes = input_size, hidden_size, output_size
        rng = np.random.default_rng() if rng is None else rng
        gain = 2.0 if activation in ("relu", "leaky_relu") else 1.0

        def weights(fan_in: int, fan_out: int) -> Tensor:
            std = np.sqrt(gain / fan_in) if weight_init_std is None else weight_init_std
            return Tensor((std * rng.standard_normal((fan_in, fan_out))).astype(dtype), requires_grad=True)

        self.W1, self.b1 = weights(input_size, hidden_size), Tensor(np.zeros(hidden_size, dtype), requires_grad=True)
        self.W2, self.b2 = weights(hidden_size, output_size), Tensor(np.zeros(output_size, dtype), requires_grad=True)

    def options(self) -> str:
        """Return the sizes, as the repr shows them."""
        return ", ".join(map(str, self._sizes))

    def hidden(self, x: Any) -> Any:
        """Return the input of the hidden activation, x W1 + b1, of shape (..., hidden_size)."""
        return F.linear(x, self.W1, self.b1)

    def forward(self, x: Any) -> Any:
        """Return the scores, of shape (..., output_size)."""
        return F.linear(self.activation(self.hidden(x)), self.W2, self.b2)

    scores = forward

    def predict(self, x: Any) -> Any:
        """Return the probabilities of the classes, of shape (..., output_size)."""
        return F.softmax(self.scores(x))

    def loss_of_scores(self, scores: Any, t: Any) -> Any:
        """Return the loss of scores, as ``Trainer`` takes it, a Tensor of one number."""
        if self.loss_function is F.softmax_cross_entropy:
            return F.softmax_cross_entropy(scores, t)
        return self.loss_function(F.softmax(scores), t)

    def loss(self, x: Any, t: Any) -> Any:
        """Return the loss, a Tensor of one number.

        Parameters
        ----------
        x : array of shape (N, input_size)
        t : array
            Labels of shape (N,) or one-hot rows of shape (N, output_size).
        """
        return self.loss_of_scores(self.scores(x), t)

    def accuracy(self, x: Any, t: Any) -> float:
        """Return the share of samples whose most probable class is the right one."""
        with no_grad():
            predicted = np.argmax(self.scores(x), axis=-1)
        t = np.asarray(raw(t))
        return float(np.mean(predicted == (np.argmax(t, axis=-1) if t.ndim > predicted.ndim else t)))

    def gradient(self, x: Any, t: Any) -> dict[str, Any]:
        """Return the gradient of the loss with respect to each parameter, by one backward pass."""
        self.zero_grad()
        self.loss(x, t).backward()
        return {name: p.grad for name, p in self.named_parameters()}

    def numerical_gradient(self, x: Any, t: Any) -> dict[str, Any]:
        """Return the same gradient by central differences: two forward passes for each number in each parameter."""
        with no_grad():
            return {name: numerical_gradient(lambda _: self.loss(x, t), p.data) for name, p in self.named_parameters()}


class Perceptron:
    """A single neuron that learns from its mistakes (study note 004).

    Parameters
    ----------
    input_size : int
        The number of inputs.
    learning_rate : float
        How far one mistake moves the weights.
    epochs : int
        How often ``fit`` goes through the data.
    activation : callable
        From the weighted sum to the output: ``functional.step`` as in the study note; ``functional.identity`` for none;
        ``lambda a: 2 * a + 1`` for a linear one. With the last two the outputs are no classes but real numbers, which
        ``fit`` brings close to the targets; compared with 0.5 they are classes again.

    Attributes
    ----------
    weights : numpy.ndarray of shape (input_size + 1,)
        The bias, then the weights.

    Notes
    -----
    Study note 004 concludes from an output of -0.16 for a target of 0 that no activation, or a linear one, cannot
    classify. It can: after ten epochs both put only (1, 1) above 0.5. Without an activation this is the
    delta rule of Widrow and Hoff (1960), which makes the squared error small. What a nonlinear activation is needed for
    is several layers: linear ones in a row are one linear layer.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr.models import Perceptron
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> gate = Perceptron(2).fit(x, np.array([0, 0, 0, 1]))
    >>> gate.weights.round(3)
    array([-0.4,  0.4,  0.2])
    >>> gate.predict(x)
    array([0., 0., 0., 1.])
    >>> outputs = Perceptron(2, activation=F.identity).fit(x, np.array([0, 0, 0, 1])).predict(x)
    >>> outputs.round(2), outputs > 0.5
    (array([-0.16,  0.3 ,  0.37,  0.83]), array([False, False, False,  True]))
    """

    weights: NDArray[np.float64]

    def __init__(
        self,
        input_size: int,
        learning_rate: float = 0.2,
        epochs: int = 10,
        activation: Callable[[Any], Any] = F.step,
    ) -> None:
        self.weights = np.zeros(input_size + 1)
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.activation = activation

    def predict(self, inputs: Any) -> Any:
        """Return the output for one input of shape (input_size,), or for several, (N, input_size)."""
        return self.activation(np.dot(inputs, self.weights[1:]) + self.weights[0])

    def fit(self, x: Any, y: Any) -> Perceptron:
        """Learn from samples x of shape (N, input_size) with targets y of shape (N,), one after the other."""
        x, y = _numbers("x", x), _numbers("y", y)
        if y.ndim != 1 or x.shape != (len(y), len(self.weights) - 1):
            raise ShapeError(
                "Perceptron.fit: expected a row of x and one number of y for each sample\n"
                f"  x of shape (N, {len(self.weights) - 1}) and y of shape (N,), got {x.shape} and {y.shape}"
            )
        for _ in range(self.epochs):
            for inputs, target in zip(x, y, strict=True):
                error = target - self.predict(inputs)
                self.weights[1:] += self.learning_rate * error * inputs
                self.weights[0] += self.learning_rate * error
        return self


def _numbers(name: str, values: Any) -> Any:
    """Return what may be a list as an array of floats."""
    try:
        return np.asarray(raw(values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"Perceptron.fit: {name} must be an array or a list of numbers, all rows of one length: {error}"
        ) from error
