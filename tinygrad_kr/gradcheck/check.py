"""``check_gradients`` returns a report on a gradient; ``assert_gradients`` raises unless it is right."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any, Literal, TypedDict, Unpack

import numpy as np

import tinygrad_kr.primitives  # noqa: F401 - what NumPy functions do on Tensors
from tinygrad_kr.common.progress import visible_tqdm
from tinygrad_kr.engine.transforms import vjp
from tinygrad_kr.engine.tree import tree_leaves, tree_map
from tinygrad_kr.errors import NonFiniteError, ShapeError
from tinygrad_kr.gradcheck.comparison import comparisons
from tinygrad_kr.gradcheck.diagnosis import patterns
from tinygrad_kr.gradcheck.exact_properties import PropertyChecks
from tinygrad_kr.gradcheck.findings import Verdict, name_of
from tinygrad_kr.gradcheck.noise import SIDES, noise_of
from tinygrad_kr.gradcheck.problem import Budget, Problem
from tinygrad_kr.gradcheck.report import Report
from tinygrad_kr.gradcheck.sampler import Sampler
from tinygrad_kr.gradcheck.search import Progress, Search
from tinygrad_kr.gradcheck.variables import Variable, Vector, array_of, joined, random_signs

__all__ = ["GradientMismatch", "assert_gradients", "check_gradients"]

Mode = Literal["auto", "full", "directions", "numerical"]
FULL_UP_TO = 200
"""Inputs with more elements than this are checked along directions, in mode "auto"."""
LONG = 500
"""Checks of more elements than this show progress."""


class GradientMismatch(AssertionError):
    """A gradient that is wrong, or that could not be certified; the message is the report.

    Attributes
    ----------
    report : Report
    """

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


def check_gradients(
    f: Callable[..., object],
    *inputs: object,
    gradient: Callable[..., object] | None = None,
    model: object = None,
    mode: Mode = "auto",
    cotangent: object = None,
    order: int = 1,
    seed: int | None = None,
    exact_properties: bool = True,
    resolution: float = 1e-5,
    max_evaluations: int | None = None,
    max_seconds: float | None = None,
    progress: Progress | Literal[False] | None = None,
) -> Report:
    """Check a gradient against finite differences that carry their own error bars.

    There is no tolerance to choose. Every slope has a bound on its error, measured from the curvature, kinks and noise
    of f near the inputs; a gradient is wrong if it lies outside.

    Parameters
    ----------
    f : callable
        ``f(*inputs)`` returns an array, a number, or nested tuples, lists and dicts of arrays: anything that
        ``np.asarray`` takes. It gets copies, in float64.
    *inputs
        Arrays, numbers, and nested tuples, lists and dicts of them. All floats are checked; integers, booleans,
        strings and None (labels, options) are passed on.
    gradient : callable, optional
        ``gradient(*inputs, cotangent)`` returns the vector-Jacobian product: for each input an array of its shape
        (for one input, just the array); None for labels, or labels left out. With a `model` it may return just the
        dict of the parameters' gradients. Default: this package's own gradient, for which f must accept Tensors.
    model : optional
        An object with a dict ``params`` or a method ``named_parameters()`` of float64 Tensors or arrays that f reads:
        they are checked too, and put back in any case.
    mode : {"auto", "full", "directions", "numerical"}
        full: every element, with its own error bar. directions: random directions through each input, in a number of
        evaluations that hardly grows with its size; where one is wrong, a search finds the element. auto: full up to
        200 elements, directions beyond. numerical: ``numerical_gradient`` of study note 002, 4.4, element by
        element; what disagrees with it is judged as in full.
    cotangent : optional
        What f returns is weighted with it. Default: random numbers, with signs, away from 0 and unlike each other,
        since with ones many a mistake cancels.
    order : {1, 2}
        2 checks the gradient of the gradient instead; for this package's own gradient only.
    seed : int, optional
        All random choices are derived from it and from the inputs: the same call gives the same report.
    exact_properties : bool
        Whether to check the exact properties too: linearity, determinism, mutation, aliasing, stale caches, ...
    resolution : float
        The error bar, relative to its element, from which on an element counts as resolved.
    max_evaluations : int, optional
        Of f. Elements that were not reached are INCONCLUSIVE.
    max_seconds : float, optional
        The same in seconds.
    progress : callable or False, optional
        Wraps iterables, as ``tqdm.tqdm`` does. Default: a bar from 500 elements on, where it is seen, if tqdm is there.

    Returns
    -------
    Report
        With ``verdict``, ``passed`` and the findings; prints as text, and as HTML in a notebook.

    Raises
    ------
    DtypeError
        If no input holds floats, something is complex, or the model is not in float64.
    ShapeError
        If ``gradient`` returns another number of gradients than there are inputs, or the cotangent does not fit.
    NonFiniteError
        If an input is NaN or infinite.
    ValueError
        If ``mode`` or ``order`` is unknown, or ``order=2`` is asked for another gradient than this package's own.

    Notes
    -----
    The method, the bound and its proof are on the page docs/gradcheck.md.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr.gradcheck import check_gradients
    >>> check_gradients(np.tanh, np.array([0.5, -1.0])).verdict
    <Verdict.PASS: 'PASS'>
    >>> wrong = lambda x, v: v * (1 + np.tanh(x) ** 2)
    >>> check_gradients(np.tanh, np.array([0.5, -1.0]), gradient=wrong).worst.label
    'x[1]'
    """
    if mode not in ("auto", "full", "directions", "numerical"):
        raise ValueError(f'check_gradients: mode must be "auto", "full", "directions" or "numerical", got {mode!r}')
    budget = Budget(
        evaluations=math.inf if max_evaluations is None else max_evaluations,
        seconds=math.inf if max_seconds is None else max_seconds,
    )
    if order == 2:
        f, inputs = _first_order(f, inputs, gradient, model, seed)
    elif order != 1:
        raise ValueError(f"check_gradients: order must be 1 or 2, got {order!r}")
    problem = Problem(f, inputs, gradient, model)
    problem.budget = budget
    rng = np.random.default_rng([problem.digest(), seed or 0])
    with problem.model.borrowed():
        report = Report(problem, seed, cotangent)
        report.mode, report.resolution = mode, resolution
        if mode == "auto":
            report.mode = "full" if problem.size <= FULL_UP_TO else "directions"
        _compare(problem, report, rng, exact_properties, _bar(progress, problem))
    report.evaluations, report.gradient_calls = problem.evaluations, problem.gradient_calls
    report.seconds = budget.spent
    problem.budget = Budget()  # a picture drawn later is not part of the check
    return report


class Options(TypedDict, total=False):
    """The keyword arguments of ``check_gradients``."""

    gradient: Callable[..., object] | None
    model: object
    mode: Mode
    cotangent: object
    order: int
    seed: int | None
    exact_properties: bool
    resolution: float
    max_evaluations: int | None
    max_seconds: float | None
    progress: Progress | Literal[False] | None


def assert_gradients(
    f: Callable[..., object],
    *inputs: object,
    inconclusive: Literal["fail", "pass"] = "fail",
    **options: Unpack[Options],
) -> Report:
    """Raise unless a gradient is right; see ``check_gradients`` for the arguments.

    Parameters
    ----------
    inconclusive : {"fail", "pass"}
        What to do if finite differences cannot tell.

    Returns
    -------
    Report
        If the gradient is right.

    Raises
    ------
    GradientMismatch
        If it is wrong: an AssertionError, with the report as its text and its attribute.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_kr.gradcheck import assert_gradients
    >>> assert_gradients(np.tanh, np.array([0.5, -1.0])).passed
    True
    """
    report = check_gradients(f, *inputs, **options)
    if report.verdict is Verdict.FAIL or (report.verdict is Verdict.INCONCLUSIVE and inconclusive != "pass"):
        raise GradientMismatch(report)
    return report


def _compare(
    problem: Problem,
    report: Report,
    rng: np.random.Generator,
    exact_properties: bool,
    progress: Progress,
) -> None:
    """Compare the gradient with slopes of f, look at its exact properties, and fill the report."""
    center = problem.value(problem.start)
    if not np.all(np.isfinite(center)):
        raise NonFiniteError(
            f"check_gradients: f is not finite at the inputs given: {center[~np.isfinite(center)][0]} among its "
            f"{center.size} numbers; choose inputs inside its domain"
        )
    weights = problem.rounded(_weights(problem, report.cotangent, rng))
    report.claimed = first = [None if g is None else np.array(g) for g in problem.gradient(problem.start, weights)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both have warned at the inputs; at other points their warnings mean nothing
        noise = noise_of(problem, problem.start, problem.sizes, center, rng)
        seed, allowed = int(rng.integers(2**32)), lambda: problem.affords(evaluations=len(SIDES))
        sampler = Sampler(problem, problem.start, center, weights, noise, report.resolution, seed, allowed)
        report.sampler = sampler
        search = Search(sampler, [g for _, g in problem.fitting(first)], rng, progress)
        for variable, g in problem.fitting(first):
            if g is not None and variable.size:
                _look(search, variable, report.mode)
        search.judge_ties()
        search.compare()
        report.findings = search.findings
        checks = PropertyChecks(problem, sampler, first, rng, already_wrong=report.worst is not None)
        report.exact_properties = checks.run() if exact_properties else [checks.only_shapes()]
        if checks.second is not None:
            names = (v.name for v in problem.variables)
            report.second_point = dict(zip(names, checks.second, strict=True))
        if report.verdict is Verdict.FAIL:
            compared = comparisons(sampler, report.findings, first, complete_up_to=FULL_UP_TO)
            report.patterns = [f"{each.name}: {sentence}" for each in compared for sentence in patterns(each)]


def _look(search: Search, variable: Variable, mode: str) -> None:
    if not search.sampler.allowed():
        search.skip(variable)
    elif mode == "directions":
        search.directions(variable)
    elif mode == "numerical" and search.sampler.problem.affords(evaluations=4 * variable.size):
        search.numerical(variable)
    else:
        search.full(variable)


def _weights(problem: Problem, cotangent: object, rng: np.random.Generator) -> Vector:
    """Return the user's cotangent, or a random one, as a vector."""
    if cotangent is None:
        return random_signs(rng, problem.output_size, 0.5, 1.5)
    parts: list[Any] = []

    def fit(expected: Any, given: Any) -> None:
        given = array_of(given)
        if given.shape != expected.shape:
            raise ShapeError(
                f"check_gradients: the cotangent must have the shape of what f returns\n"
                f"  expected {expected.shape}, got {given.shape}"
            )
        parts.append(given)

    tree_map(fit, problem.output, cotangent)
    return joined(parts)


def _bar(progress: Progress | Literal[False] | None, problem: Problem) -> Progress:
    """Return the wrapper of long loops: the user's, a bar, or none."""
    if callable(progress):
        return progress
    tqdm = visible_tqdm() if progress is None and problem.size > LONG else None
    return (lambda items: items) if tqdm is None else lambda items: tqdm(items, desc="gradient check", leave=False)


def _first_order(
    f: Callable[..., Any], inputs: tuple[Any, ...], gradient: Any, model: Any, seed: int | None
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return the gradient of f as a function of the inputs and the cotangent, and its inputs."""
    if gradient is not None or model is not None:
        raise ValueError(
            "check_gradients: order=2 checks this package's own second derivatives, of functions of their inputs.\n"
            "  for a gradient of your own, check it as a function: check_gradients(my_gradient, *inputs, cotangent, "
            "gradient=its_backward)"
        )
    problem = Problem(f, inputs, None, None)
    problem.value(problem.start)
    rng = np.random.default_rng([problem.digest(), seed or 0])
    cotangent = problem.structured(random_signs(rng, problem.output_size, 0.5, 1.5))
    floats = tuple(
        i for i, template in enumerate(problem.inputs) if any(isinstance(x, Variable) for x in tree_leaves(template))
    )

    def first_order(*arguments: Any) -> Any:
        *at, v = arguments
        return vjp(f, *at, argnums=floats)[1](v)

    names = (*problem.input_names, "cotangent")
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
    vars(first_order)["__signature__"] = inspect.Signature(parameters)
    first_order.__qualname__ = f"gradient of {name_of(f)}"
    return first_order, (*inputs, cotangent)
