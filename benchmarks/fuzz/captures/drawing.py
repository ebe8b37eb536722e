"""Drawing a program: inputs that are arrays, Tensors and leaves, a transform, and a loss of its results."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

from benchmarks.fuzz.nestings.drawing import MOST_PASSES, Call, Draft, M, S, Scope, V, bare
from benchmarks.fuzz.nestings.programs import INDENT, Program, written

ACTIVATIONS = ("Tanh", "Sigmoid", "SiLU", "Softplus")
PENALTY = """\
g0 = grad(lambda u: np.sum({network}))({points})
loss = np.mean((np.sqrt(np.sum(g0 * g0, axis=1)) - 1) ** 2) + np.mean(net(A) ** 2)"""


@dataclass(frozen=True)
class Network:
    """nn.Sequential(Linear(3, width), activation, Linear(width, 3)), and its parameters' values."""

    activation: str
    parameters: dict[str, np.ndarray]


@dataclass(frozen=True)
class Capturing(Program):
    """A program some of whose inputs are Tensors: leaves that require a gradient, and constants."""

    leaves: tuple[str, ...]
    constants: tuple[str, ...]
    network: Network | None

    def shown(self) -> str:
        made = {name: "Tensor({}, requires_grad=True)" for name in self.leaves}
        made |= {name: "Tensor({})" for name in self.constants}
        if self.network is None:
            return self.complete(made)
        width = len(self.network.parameters["layers.0.b"])
        net = f"net = nn.Sequential(nn.Linear(3, {width}), nn.{self.network.activation}(), nn.Linear({width}, 3))"
        return f"{self.complete(made)}\n# with {net}"


def program(seed: int) -> Capturing:
    """Write the program of a seed."""
    draft, scope = Draft(seed), Scope()
    inputs, roles = {}, {}
    for name, kind in (("x", V), ("a", S), ("m", M), ("w", V), ("b", S), ("k", M)):
        inputs[name] = draft.numbers(kind)
        roles[name] = draft.rng.choices(("array", "leaf", "constant"), (7, 2, 1) if name in "xam" else (0, 3, 1))[0]
        scope.add(name, kind)
    if "leaf" not in roles.values():
        roles["w"] = "leaf"
    leaves = [name for name in inputs if roles[name] == "leaf"]
    network = drawn_network(draft) if draft.rng.random() < 0.3 else None
    if network is not None:
        scope.calls.append(Call("net({})", (V,), V))
    penalised = network is not None and draft.rng.random() < 0.3
    text = penalty(draft) if penalised else transformed(draft, scope, leaves)
    constants = tuple(name for name in inputs if roles[name] == "constant")
    return Capturing(seed, inputs, text, tuple(leaves), constants, network)


def drawn_network(draft: Draft) -> Network:
    width = draft.rng.randint(1, 4)
    shapes = {"layers.0.W": (3, width), "layers.0.b": (width,), "layers.2.W": (width, 3), "layers.2.b": (3,)}
    values = {name: np.asarray(draft.data.normal(0, 0.7, shape)) for name, shape in shapes.items()}
    return Network(draft.rng.choice(ACTIVATIONS), values)


def penalty(draft: Draft) -> str:
    """Write a gradient penalty: the norms of the network's gradients at some points shall be 1."""
    network = draft.rng.choice(["net(u)", "net(u) ** 2", "np.tanh(net(u) @ k)", "net(w * u)"])
    return PENALTY.format(network=network, points=draft.rng.choice(["A", "A * w", "A @ m"]))


def transformed(draft: Draft, scope: Scope, leaves: list[str]) -> str:
    """Write intermediate results of leaves, a transform or two, and a loss of their results and of the leaves."""
    body = []
    for _ in range(draft.rng.choice((0, 0, 1, 2))):
        local, kind = draft.name("h"), draft.rng.choice((S, V))
        needed = [value for value in scope.values if value.text in leaves]
        body.append(f"{local} = {bare(draft.including(kind, scope, needed, heavy=False))}")
        scope.add(local, kind)
    before = len(scope.values)
    lines = []
    for _ in range(draft.rng.choice((1, 1, 2))):
        lines += draft.transform(scope, draft.rng.choice((1, 1, 1, 2)), MOST_PASSES / 2)
    if draft.rng.random() < 0.12:
        lines = [f"with no_grad():\n{textwrap.indent(written(lines), INDENT)}"]
    results = scope.values[before:]
    terms = [f"np.sum(np.sin({value.text}))" for value in draft.rng.sample(results, min(4, len(results)))]
    terms += [f"np.sum({leaf} * {leaf})" for leaf in leaves]
    return written([*body, *lines, f"loss = {' + '.join(terms)}"])
