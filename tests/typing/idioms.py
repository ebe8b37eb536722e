"""Idioms of README and docs, which type checkers must accept; each line's type is what a reader takes it for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

from numpy.typing import NDArray

from tinygrad_kr import Tensor, grad, hessian, hvp, jacobian, jvp, nn, no_grad, optim, value_and_grad, vjp
from tinygrad_kr import functional as F

if TYPE_CHECKING:
    import tinygrad_kr.typing.numpy as np
else:
    import numpy as np

t = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
w = Tensor(np.eye(2), requires_grad=True)
x = np.ones((2, 2))
labels = np.array([0, 1])

# Operators and methods
assert_type(t + 1, Tensor)
assert_type(2 * t, Tensor)
assert_type(t @ w, Tensor)
assert_type(-t / 3.0 - t**2, Tensor)
assert_type(t.sum(), Tensor)
assert_type(t.T.reshape(4), Tensor)
assert_type(t[0, 1:], Tensor)
assert_type(t.data, NDArray[Any])
assert_type(t.mean(axis=0, keepdims=True), Tensor)
t.sum().backward()
with no_grad():
    t -= 0.1 * t.grad

# NumPy's functions
np.exp(t).backward(np.ones((2, 2)))
assert_type(np.exp(t), Tensor)
assert_type(np.dot(x, w), Tensor)
assert_type(np.add(1.0, t), Tensor)
assert_type(np.where(x > 0, t, 0), Tensor)
assert_type(np.sum(t, axis=0), Tensor)
assert_type(np.concatenate([t, w]), Tensor)
assert_type(np.stack([t, w], axis=1), Tensor)
assert_type(np.linalg.norm(t), Tensor)
assert_type(np.linalg.solve(np.eye(2), t), Tensor)
assert_type(np.einsum("ij,jk->ik", x, t), Tensor)
assert_type(np.reshape(t, (4,)), Tensor)
assert_type(np.exp(x), NDArray[Any])

# Functions by name
assert_type(F.relu(t), Tensor)
assert_type(F.relu(x), NDArray[Any])
assert_type(F.leaky_relu(t, slope=0.1), Tensor)
assert_type(F.softmax(t, axis=0), Tensor)
assert_type(F.linear(x, w, np.zeros(2)), Tensor)
F.softmax_cross_entropy(t, labels).backward()


# Functions of functions
def f(x: Tensor) -> Tensor:
    return np.sum(np.sin(x) ** 3)


assert_type(grad(f)(x), NDArray[Any])
assert_type(grad(grad(f))(0.5), np.float64)
assert_type(grad(lambda p: f(p["w"]))({"w": x})["w"], NDArray[Any])
assert_type(value_and_grad(f)(x)[1], NDArray[Any])
assert_type(vjp(f, x)[1](1.0), tuple[NDArray[Any], ...])
assert_type(jvp(f, (x,), (x,)), tuple[NDArray[Any], NDArray[Any]])
assert_type(jacobian(f)(x), NDArray[Any])
assert_type(hessian(f)(x), NDArray[Any])
assert_type(hvp(f)(x, x), NDArray[Any])


# Layers, optimizers, and blocks
class Net(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        self.fc1 = nn.Linear(2, 5, rng=rng)
        self.fc2 = nn.Linear(5, 3, bias=False)

    def forward(self, x: NDArray[Any]) -> Tensor:
        return self.fc2(F.relu(self.fc1(x)))


layer = nn.Linear(2, 3, rng=np.random.default_rng(0))
model = nn.Sequential(layer, nn.ReLU(), nn.Dropout(0.5))
assert_type(layer, nn.Linear)
assert_type(layer.W, Tensor)
assert_type(layer(x), Tensor)
assert_type(model(x).data, NDArray[Any])
assert_type(Net(np.random.default_rng(0))(x), Tensor)
optimizer = optim.SGD(model, lr=0.1)
optimizer.step()

with no_grad():
    w -= 0.5


@no_grad()
def predict(x: NDArray[Any]) -> NDArray[Any]:
    return model(x).data


assert_type(predict(x), NDArray[Any])
