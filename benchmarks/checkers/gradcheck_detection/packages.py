"""The gradient checkers of other packages, each on the same NumPy functions, imported when first used.

Each tells whether it accepts the gradient. Whatever a backward function does to its arguments happens to the package's
own arrays: nothing is copied on its way in. Only the results of forward functions are, which may be views.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from benchmarks.checkers.gradcheck_detection.operations import Array, Backward, Forward, Inputs

Check = Callable[[Forward, Backward, Inputs, np.random.Generator], bool]


def output_shape(forward: Forward, inputs: Inputs) -> tuple[int, ...]:
    """Return the shape of the output, by an evaluation that is not counted."""
    return np.shape(inspect.unwrap(forward)(*inputs))


def owned(y: Any) -> Array:
    return np.array(y, np.float64)


def torch_gradcheck(fast: bool) -> Check:
    import torch

    torch.set_num_threads(1)

    class Called(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, forward: Forward, backward: Backward, *inputs: Any) -> Any:
            ctx.save_for_backward(*inputs)
            ctx.rule = backward
            return torch.from_numpy(owned(forward(*(x.detach().numpy() for x in inputs))))

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> Any:
            gradients = ctx.rule(*(x.detach().numpy() for x in ctx.saved_tensors), cotangent.numpy())
            return None, None, *(torch.from_numpy(np.asarray(g, order="C")) for g in gradients)

    def check(forward: Forward, backward: Backward, inputs: Inputs, rng: np.random.Generator) -> bool:
        tensors = [torch.from_numpy(x).requires_grad_() for x in inputs]
        called = lambda *xs: Called.apply(forward, backward, *xs)
        return torch.autograd.gradcheck(called, tensors, fast_mode=fast, raise_exception=False)

    return check


@cache
def jax_function() -> tuple[Any, dict[str, Any]]:
    """Return one differentiable function for all operations, so that JAX compiles once for each set of shapes."""
    import jax

    jax.config.update("jax_enable_x64", True)
    logging.getLogger("jax").setLevel(logging.CRITICAL)  # a broken gradient that raises is no news
    current: dict[str, Any] = {}

    def like(shape: tuple[int, ...]) -> Any:
        return jax.ShapeDtypeStruct(shape, np.float64)

    def run_forward(*inputs: Any) -> Array:
        return owned(current["forward"](*map(np.asarray, inputs)))

    def run_backward(*args: Any) -> Inputs:
        return tuple(current["backward"](*map(np.asarray, args)))

    @jax.custom_vjp
    def called(*inputs: Any) -> Any:
        return jax.pure_callback(run_forward, like(current["shape"]), *inputs)

    def keep(*inputs: Any) -> Any:
        return called(*inputs), inputs

    def pull(inputs: Any, cotangent: Any) -> Any:
        return jax.pure_callback(run_backward, tuple(like(x.shape) for x in inputs), *inputs, cotangent)

    called.defvjp(keep, pull)
    return called, current


def jax_check_grads() -> Check:
    from jax.test_util import check_grads

    called, current = jax_function()

    def check(forward: Forward, backward: Backward, inputs: Inputs, rng: np.random.Generator) -> bool:
        current.update(forward=forward, backward=backward, shape=output_shape(forward, inputs))
        return passes(lambda: check_grads(called, inputs, order=1, modes=("rev",)))

    return check


def autograd_check_grads() -> Check:
    from autograd.extend import defvjp_argnums, primitive
    from autograd.test_util import check_grads

    def check(forward: Forward, backward: Backward, inputs: Inputs, rng: np.random.Generator) -> bool:
        called = primitive(lambda *xs: owned(forward(*xs)))

        def pull(numbers: tuple[int, ...], y: Any, args: Any, _: Any) -> Any:
            def gradients(cotangent: Any) -> Any:
                found = backward(*args, np.asarray(cotangent))
                return tuple(found[number] for number in numbers)

            return gradients

        defvjp_argnums(called, pull)
        np.random.seed(rng.integers(2**32))  # noqa: NPY002  its directions come from NumPy's global generator
        numbers = tuple(range(len(inputs)))
        return passes(lambda: check_grads(called, numbers, modes=["rev"], order=1)(*inputs))

    return check


def scipy_check_grad() -> Check:
    """Project the output on a random cotangent; accept an error norm of up to 1e-6 max(1, norm of the gradient).

    SciPy returns the norm and leaves the judgement to its users; 1e-6 is what they write in their tests.
    """
    from scipy.optimize import check_grad

    def check(forward: Forward, backward: Backward, inputs: Inputs, rng: np.random.Generator) -> bool:
        cotangent = np.asarray(rng.uniform(-1, 1, output_shape(forward, inputs)))
        cuts = np.cumsum([x.size for x in inputs])[:-1]

        def apart(flat: Array) -> Inputs:
            return tuple(part.reshape(x.shape) for part, x in zip(np.split(flat, cuts), inputs, strict=True))

        def gradient(flat: Array) -> Array:
            return np.concatenate([np.ravel(g) for g in backward(*apart(flat), cotangent)])

        flat = np.concatenate([x.ravel() for x in inputs])
        error = check_grad(lambda x: (forward(*apart(x)) * cotangent).sum(), gradient, flat)
        return bool(error <= 1e-6 * max(1, np.linalg.norm(gradient(flat))))

    return check


def passes(check: Callable[[], object]) -> bool:
    """Run a checker that raises AssertionError for a gradient it rejects."""
    try:
        check()
    except AssertionError:
        return False
    return True
