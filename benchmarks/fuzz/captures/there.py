"""The other side: the transforms in PyTorch, each by ``torch.autograd.grad`` with ``create_graph=True``.

The only module that imports PyTorch, and it needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.fuzz.captures.drawing import Capturing, Network
from benchmarks.fuzz.captures.here import Outcome
from benchmarks.fuzz.nestings.programs import arrays
from tinygrad_kr.engine.tree import tree_leaves, tree_map

try:
    import torch
except ModuleNotFoundError:
    sys.exit("python -m benchmarks.fuzz.captures compares with PyTorch, which is not installed: pip install torch")

torch.set_num_threads(1)  # the arrays are small
Argnums = Any


def derivatives(outputs: Any, inputs: Any, cotangents: Any, **options: Any) -> Any:
    """Return the vector-Jacobian product in the structure of the inputs; zeros where nothing depends on them."""
    pairs = zip(tree_leaves(outputs), tree_leaves(cotangents), strict=True)
    kept = [(y, u) for y, u in pairs if y.requires_grad]
    leaves = tree_leaves(inputs)
    if not kept:
        return tree_map(torch.zeros_like, inputs)
    ys, us = zip(*kept, strict=True)
    gradients = iter(torch.autograd.grad(ys, leaves, us, materialize_grads=True, create_graph=True, **options))
    return tree_map(lambda x: next(gradients), inputs)


def variable(x: Any) -> Any:
    """A place of its own in the graph, connected to where the argument came from."""
    return x.view_as(x) if x.requires_grad else x.detach().clone().requires_grad_()


def outside(tree: Any) -> Any:
    """Return results as the caller gets them: without a graph under no_grad()."""
    return tree if torch.is_grad_enabled() else tree_map(lambda x: x.detach(), tree)


def tied(value: Any) -> Any:
    """Let each part of a value depend on all parts by its graph: what a function depends on, its results may."""
    parts = [y for y in tree_leaves(value) if y.requires_grad]
    nothing = sum(torch.sum(0 * y) for y in parts)
    return tree_map(lambda y: y + nothing, value) if parts else value


def vjp(f: Callable[..., Any], *args: Any, argnums: Argnums = ()) -> Any:
    numbers = [argnums] if isinstance(argnums, int) else argnums or range(len(args))
    places = [i % len(args) for i in numbers]
    with torch.enable_grad():
        given = [tree_map(variable, x) if i in places else x for i, x in enumerate(args)]
        value = f(*given)
        value = tied(value)
    chosen = given[places[0]] if isinstance(argnums, int) else tuple(given[i] for i in places)

    def pullback(cotangents: Any) -> Any:
        with torch.enable_grad():
            gradients = tied((value, derivatives(value, chosen, cotangents)))[1]
        return outside(gradients)

    return outside(value), pullback


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        value, pullback = vjp(f, *args, argnums=argnums)
        return value, pullback(torch.ones_like(value))

    return function


def grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    return lambda *args: value_and_grad(f, argnums)(*args)[1]


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    with torch.enable_grad():
        value, pullback = vjp(f, *primals)
        cotangents = tree_map(lambda y: torch.zeros_like(y, requires_grad=True), value)
        product = tied((value, derivatives(pullback(cotangents), cotangents, tangents)))[1]
    return outside(value), outside(product)


def hvp(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    def function(*args_and_vector: Any) -> Any:
        *args, vector = args_and_vector
        return vjp(grad(f, argnums), *args, argnums=argnums)[1](vector)

    return function


def jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        value, pullback = vjp(f, *args, argnums=argnums)
        zeros = tree_map(torch.zeros_like, value)

        def rows(zero: Any) -> Any:
            gradients = []
            for i in range(zero.numel()):
                zero.view(-1)[i] = 1
                gradients.append(pullback(tree_map(torch.clone, zeros)))
                zero.view(-1)[i] = 0
            return tree_map(lambda *g: torch.stack(g).reshape(zero.shape + g[0].shape), *gradients)

        return tree_map(rows, zeros)

    return function


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    return jacobian(grad(f, argnums), argnums)


THERE: dict[str, Any] = {"np": torch, "no_grad": torch.no_grad}
THERE |= {f.__name__: f for f in (grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp)}
FUNCTIONS = {name: getattr(torch.nn, name)() for name in ("Tanh", "Sigmoid", "SiLU", "Softplus")}


def run_there(program: Capturing) -> Outcome:
    space = THERE | {name: torch.from_numpy(x) for name, x in arrays(program.inputs).items()}
    leaves = {name: space[name].requires_grad_() for name in program.leaves}
    if program.network is not None:
        parameters = {
            name: torch.from_numpy(x.copy()).requires_grad_() for name, x in program.network.parameters.items()
        }
        space["net"] = net(program.network, parameters)
        leaves |= parameters
    results = program.run(space)
    values = {name: value.detach().numpy().copy() for name, value in results.items()}
    gradients = derivatives(results["loss"], leaves, torch.ones(()).double(), retain_graph=True)
    places = {name: place_of(value, list(leaves.values())) for name, value in results.items()}
    return Outcome(values, {name: g.detach().numpy().copy() for name, g in gradients.items()}, places)


def net(network: Network, p: dict[str, Any]) -> Callable[[Any], Any]:
    function = FUNCTIONS[network.activation]
    return lambda x: function(x @ p["layers.0.W"] + p["layers.0.b"]) @ p["layers.2.W"] + p["layers.2.b"]


def place_of(value: Any, leaves: list[Any]) -> str:
    """Classify how a value depends on a leaf: not at all, by its graph only (derivative zero), or by its numbers."""
    if not value.requires_grad:
        return "plain"
    weights = torch.from_numpy(np.cos(np.arange(1.0, 1 + value.numel())).reshape(value.shape))
    gradients = torch.autograd.grad(value, leaves, weights, allow_unused=True, retain_graph=True)
    met = [g for g in gradients if g is not None]
    if not met:
        return "plain"
    return "on the graph" if any(g.abs().max() > 1e-12 for g in met if g.numel()) else "either"
