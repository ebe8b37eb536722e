"""Wrong uses, which type checkers must reject: at every line that ends with the comment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinygrad_kr import Tensor, grad, nn, optim
from tinygrad_kr import functional as F

if TYPE_CHECKING:
    import tinygrad_kr.typing.numpy as np
else:
    import numpy as np

t = Tensor([1.0, 2.0], requires_grad=True)
layer = nn.Linear(2, 3)

nn.Linear("a", 3)  # wrong
nn.Linear(2, 3, foo=1)  # wrong
nn.Linear(2)  # wrong
nn.ReLU(0.1)  # wrong
nn.Sequential(nn.ReLU)  # wrong
nn.Dropout("half")  # wrong
layer(np.ones(2)).backwards()  # wrong
t.backwards()  # wrong
t.sum(axes=0)  # wrong
(t + 1).gradient()  # wrong
t.reshape("flat")  # wrong
np.exp(t).numpy()  # wrong
np.expp(t)  # wrong
F.relu(t, slope=0.1)  # wrong
F.leaky_relu(t, slope="steep")  # wrong
F.softmax(t, axis="last")  # wrong
F.linear(t, t)  # wrong
grad(f=1)  # wrong
optim.SGD(layer)  # wrong
optim.SGD(layer, lr="fast")  # wrong
