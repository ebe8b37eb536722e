"""The other side: JAX, in float64 and on the CPU, with our spelling of what it spells otherwise.

The only module that imports JAX, and it needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.fuzz.nestings.programs import Program

try:
    import jax
    import jax.numpy as jnp
except ModuleNotFoundError:
    sys.exit("python -m benchmarks.fuzz.nestings compares with JAX, which is not installed: pip install jax")

SETTINGS = {"jax_enable_x64": True, "jax_disable_jit": True}  # compiling each program would take seconds


def vjp(f: Callable[..., Any], *args: Any, argnums: Any = ()) -> tuple[Any, Callable[[Any], Any]]:
    """Choose among the arguments, as JAX does in its other transforms."""
    numbers = [argnums] if isinstance(argnums, int) else argnums or range(len(args))
    places = [i % len(args) for i in numbers]

    def of_chosen(*chosen: Any) -> Any:
        given = list(args)
        for place, value in zip(places, chosen, strict=True):
            given[place] = value
        return f(*given)

    value, pullback = jax.vjp(of_chosen, *(args[i] for i in places))
    return value, (lambda u: pullback(u)[0]) if isinstance(argnums, int) else pullback


def hvp(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """Multiply the Hessian with a vector, forward over backward."""

    def function(*args_and_vector: Any) -> Any:
        *args, vector = args_and_vector
        place = argnums % len(args)
        gradient = lambda x: jax.grad(f, place)(*args[:place], x, *args[place + 1 :])
        return jax.jvp(gradient, (args[place],), (vector,))[1]

    return function


def jacobian(f: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """Call the pullback once for each number; jax.jacrev would compile its vectorised form for each program."""

    def function(*args: Any) -> Any:
        value, pullback = vjp(f, *args, argnums=argnums)
        leaves, structure = jax.tree.flatten(value)
        zeros = [np.zeros(np.shape(leaf)) for leaf in leaves]

        def rows(zero: Any) -> Any:
            gradients = []
            for i in range(zero.size):
                zero.flat[i] = 1
                gradients.append(pullback(structure.unflatten(map(jnp.array, zeros))))
                zero.flat[i] = 0
            return jax.tree.map(lambda *g: jnp.stack(g).reshape(zero.shape + g[0].shape), *gradients)

        return structure.unflatten(map(rows, zeros))

    return function


THERE: dict[str, Any] = {"np": jnp, "vjp": vjp, "hvp": hvp, "jacobian": jacobian}
THERE |= {f.__name__: f for f in (jax.grad, jax.value_and_grad, jax.jvp)}
THERE["hessian"] = lambda f, argnums=0: jacobian(jax.grad(f, argnums), argnums)


@contextmanager
def set_up() -> Iterator[None]:
    """Compute in float64 and line by line, until the block ends."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    try:
        for name, value in SETTINGS.items():
            jax.config.update(name, value)
        with jax.default_device(jax.devices("cpu")[0]):
            yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def run_there(program: Program, inputs: dict[str, Any]) -> dict[str, Any]:
    """Compute all results with JAX."""
    with set_up():
        results = program.run(THERE | {name: jnp.asarray(x) for name, x in inputs.items()})
        return {name: np.asarray(x) for name, x in results.items()}
