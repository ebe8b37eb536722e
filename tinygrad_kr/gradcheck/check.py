"""Is this gradient right? ``check_gradients`` says, ``assert_gradients`` insists."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import numpy as np

from tinygrad_kr.common.progress import visible_tqdm
from tinygrad_kr.engine.transforms import vjp
from tinygrad_kr.engine.tree import tree_leaves, tree_map
from tinygrad_kr.errors import NonFiniteError, ShapeError
from tinygrad_kr.gradcheck.diagnosis import Evidence, patterns
from tinygrad_kr.gradcheck.exact_properties import PropertyChecks, random_cotangent
from tinygrad_kr.gradcheck.findings import Finding, Verdict, name_of
from tinygrad_kr.gradcheck.noise import SIDES, noise_of
from tinygrad_kr.gradcheck.problem import Budget, Problem, Variable, Vector, array_of
from tinygrad_kr.gradcheck.report import Report
from tinygrad_kr.gradcheck.sampler import Sampler
from tinygrad_kr.gradcheck.search import Progress, Search
from tinygrad_kr.gradcheck.slopes import Line

__all__ = ["GradientMismatch", "assert_gradients", "check_gradients"]

Mode = Literal["auto", "full", "directions", "numerical"]
FULL_UP_TO = 200
"""Inputs with more elements than this are checked along directions, in mode "auto"."""
CLEAR = 0.01
"""The relative bar up to which a numerical gradient serves to recognise a pattern."""
NEIGHBOURS, CLOSE_BY = 3, 2.0**-16
"""At how many points, and how far away, an error is looked at again to tell it from rounding."""
STEADY_BUDGET = 50
"""How many evaluations one such point may take."""
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
    f: Callable[..., Any],
    *inputs: Any,
    gradient: Callable[..., Any] | None = None,
    model: Any = None,
    mode: Mode = "auto",
    cotangent: Any = None,
    order: int = 1,
    seed: int | None = None,
    exact_properties: bool = True,
    resolution: float = 1e-5,
    max_evaluations: int | None = None,
    max_seconds: float | None = None,
    progress: Progress | Literal[False] | None = None,
) -> Report:
    """Check a gradient against finite differences that carry their own error bars.

    There is no tolerance to choose. Every slope comes with a bound on its error, from what f itself shows of its
    curvature, kinks and noise near the inputs; a gradient is wrong if it lies outside.

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
        200 elements, directions beyond. numerical: the documents' ``numerical_gradient`` (002, 4.4), element by
        element; what disagrees with it is judged as in full.
    cotangent : optional
        What f returns is weighted with it. Default: random numbers, with signs, away from 0 and unlike each other,
        since with ones many a mistake cancels.
    order : {1, 2}
        2 checks the gradient of the gradient instead; for this package's own gradient only.
    seed : int, optional
        Everything random is derived from it and from the inputs: the same call says the same.
    exact_properties : bool
        Whether to look at the exact properties too: linearity, determinism, mutation, aliasing, stale caches, ...
    resolution : float
        The error bar, relative to its element, from which on an element counts as resolved.
    max_evaluations : int, optional
        Of f. What was not reached is INCONCLUSIVE.
    max_seconds : float, optional
        The same in seconds.
    progress : callable or False, optional
        Wraps iterables, as ``tqdm.tqdm`` does. Default: a bar from 500 elements on, where it is seen, if tqdm is there.

    Returns
    -------
    Report
        Its ``verdict``, ``passed``, and all that led there; prints as text, and as HTML in a notebook.

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
    with problem.borrowed():
        report = Report(problem, seed, cotangent)
        report.mode = _mode(mode, problem)
        _check(problem, report, cotangent, rng, exact_properties, resolution, _bar(progress, problem))
    report.evaluations, report.gradient_calls = problem.evaluations, problem.gradient_calls
    report.seconds = budget.spent
    problem.budget = Budget()  # a picture drawn later is not part of the check
    return report


def assert_gradients(f: Callable[..., Any], *inputs: Any, inconclusive: str = "fail", **options: Any) -> Report:
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


def _check(
    problem: Problem,
    report: Report,
    cotangent: Any,
    rng: np.random.Generator,
    exact_properties: bool,
    resolution: float,
    progress: Progress,
) -> None:
    """Fill a report."""
    center = problem.value(problem.start)
    if not np.all(np.isfinite(center)):
        raise NonFiniteError(
            f"check_gradients: f is not finite at the inputs given: {center[~np.isfinite(center)][0]} among its "
            f"{center.size} numbers; choose inputs inside its domain"
        )
    weights = problem.rounded(_weights(problem, cotangent, rng))
    first = [None if g is None else np.array(g) for g in problem.gradient(problem.start, weights)]
    report.claimed, report.resolution = first, resolution
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both have warned at the inputs; what they say elsewhere is not asked for
        _compare(problem, report, center, weights, rng, exact_properties, progress)


def _compare(
    problem: Problem,
    report: Report,
    center: Vector,
    weights: Vector,
    rng: np.random.Generator,
    exact_properties: bool,
    progress: Progress,
) -> None:
    """Compare the gradient that the report claims with slopes of f, and look at its exact properties."""
    first = report.claimed
    noise = noise_of(problem, problem.start, problem.sizes, center, rng)
    seed, allowed = int(rng.integers(2**32)), lambda: problem.affords(evaluations=len(SIDES))
    sampler = Sampler(problem, problem.start, center, weights, noise, report.resolution, seed, allowed)
    report.sampler = sampler
    fitting = [
        np.asarray(g, dtype=np.float64) if g is not None and g.shape == variable.shape else None
        for variable, g in zip(problem.variables, first, strict=True)
    ]
    search = Search(sampler, fitting, rng, progress)
    for variable in problem.variables:
        if fitting[variable.position] is not None and variable.size:
            _look(search, variable, report.mode)
    search.judge_ties()
    search.compare()
    report.findings = search.findings
    exact = PropertyChecks(problem, sampler, first, rng, already_wrong=report.worst is not None)
    report.exact_properties = exact.run() if exact_properties else [exact.only_shapes()]
    if exact.second is not None:
        report.second_point = {variable.name: x for variable, x in zip(problem.variables, exact.second, strict=True)}
    if report.verdict is Verdict.FAIL:
        report.patterns = _patterns(problem, sampler, report.findings, first)


def _look(search: Search, variable: Variable, mode: str) -> None:
    if not search.sampler.allowed():
        search.skip(variable)
    elif mode == "directions":
        search.directions(variable)
    elif mode == "numerical" and search.sampler.problem.affords(evaluations=4 * variable.size):
        search.numerical(variable)
    else:
        search.full(variable)


def _mode(mode: Mode, problem: Problem) -> str:
    if mode != "auto":
        return mode
    return "full" if sum(variable.size for variable in problem.variables) <= FULL_UP_TO else "directions"


def _weights(problem: Problem, cotangent: Any, rng: np.random.Generator) -> Vector:
    """Return the cotangent as a vector."""
    if cotangent is None:
        return random_cotangent(rng, problem.output_size)
    parts: list[Vector] = []

    def fit(expected: Any, given: Any) -> None:
        given = np.asarray(array_of(given), dtype=np.float64)
        if given.shape != expected.shape:
            raise ShapeError(
                f"check_gradients: the cotangent must have the shape of what f returns\n"
                f"  expected {expected.shape}, got {given.shape}"
            )
        parts.append(given.ravel())

    tree_map(fit, problem.output, cotangent)
    return np.concatenate(parts) if parts else np.empty(0)


def _bar(progress: Progress | Literal[False] | None, problem: Problem) -> Progress:
    """Return what wraps long loops."""
    if callable(progress):
        return progress
    is_long = sum(variable.size for variable in problem.variables) > LONG
    tqdm = visible_tqdm() if progress is None and is_long else None
    return _plain if tqdm is None else lambda items: tqdm(items, desc="gradient check", leave=False)


def _plain(items: Iterable[Any]) -> Iterable[Any]:
    return items


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
    cotangent = problem.structured(random_cotangent(rng, problem.output_size))
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


def _patterns(problem: Problem, sampler: Sampler, findings: list[Finding], first: list[Any]) -> list[str]:
    """Return what the mistake in each wrong variable looks like."""
    names = {f.input for f in findings if f.verdict is Verdict.FAIL}
    odd = [
        variable.name
        for variable in problem.variables
        if variable.position in problem.checked
        and (g := first[variable.position]) is not None
        and g.shape != variable.shape
    ]
    chosen = [variable for variable in problem.variables if variable.name in names or variable.name in odd]
    if not chosen:
        return []
    true = {
        variable.name: _true(sampler, variable, findings, complete=variable.name in odd)
        for variable in problem.variables
    }
    with_ones = _with_ones(problem, sampler)
    lengths: dict[int, str] = {}
    for variable in problem.variables:
        lengths |= {
            n: f"axis {axis} of {variable.name}" for axis, n in reversed(list(enumerate(variable.shape))) if n > 1
        }
    for other in (*tree_leaves(problem.output), *tree_leaves(problem.inputs)):
        if isinstance(other, np.ndarray):
            lengths |= {n: f"axis {axis} of the labels" for axis, n in enumerate(other.shape) if n not in lengths}
    for output in tree_leaves(problem.output):
        lengths |= {n: f"axis {axis} of the output" for axis, n in enumerate(output.shape) if n not in lengths}
    said = []
    for variable in chosen:
        wrong = np.zeros(variable.shape, bool)
        for finding in findings:
            if finding.input == variable.name and finding.index is not None and finding.verdict is Verdict.FAIL:
                wrong[finding.index] = True
        others = {
            other.name: true[other.name]
            for other in problem.variables
            if other is not variable and other.shape == variable.shape
        }
        claimed = np.asarray(first[variable.position], dtype=np.float64)
        same = None if with_ones is None else with_ones[variable.position]
        evidence = Evidence(variable.name, claimed, true[variable.name], wrong, same, others, lengths)
        evidence.at = problem.start[variable.position]
        evidence.steady = partial(_is_steady, sampler, variable, [f for f in findings if f.input == variable.name])
        said += [f"{variable.name}: {sentence}" for sentence in patterns(evidence)]
    return said


def _with_ones(problem: Problem, sampler: Sampler) -> list[Any] | None:
    """Return the gradient for a cotangent of ones, if that is another one and can be had."""
    ones = np.ones_like(sampler.weights)
    if np.array_equal(sampler.weights, ones) or not problem.affords(gradients=1):
        return None
    try:
        return problem.gradient(problem.start, ones)
    except Exception:  # of the user's function: a pattern is not worth the report
        return None


def _is_steady(sampler: Sampler, variable: Variable, findings: list[Finding]) -> bool:
    """Return whether the relative errors of some wrong elements are the same at points close by."""
    wrong = [f for f in findings if f.verdict is Verdict.FAIL and f.index is not None and f.estimate != 0]
    rng = np.random.default_rng(sampler.seed)
    for _ in range(NEIGHBOURS):
        if not sampler.problem.affords(evaluations=STEADY_BUDGET, gradients=1):
            return False
        there = sampler.at([x * (1 + CLOSE_BY * rng.uniform(0.5, 1, x.shape)) for x in sampler.point])
        gradient = np.asarray(sampler.problem.gradient(there.point, sampler.weights)[variable.position], np.float64)
        for f in sorted(wrong, key=lambda f: -f.bars)[:NEIGHBOURS]:
            position = int(np.ravel_multi_index(f.index, variable.shape)) if f.index else 0
            slope = there.estimate(Line.element(there.point, variable, position), f.step).slope
            error = f.claimed / f.estimate - 1
            if not abs(gradient.flat[position] / slope - 1 - error) <= abs(error) / 4:
                return False
    return bool(wrong)


def _true(sampler: Sampler, variable: Variable, findings: list[Finding], complete: bool) -> Vector:
    """Return the numerical gradient of a variable, NaN where it was not measured; if asked, measure it all."""
    true = np.full(variable.shape, math.nan)
    for finding in findings:
        if (
            finding.input == variable.name
            and finding.index is not None
            and finding.bar <= CLEAR * abs(finding.estimate)
        ):
            true[finding.index] = finding.estimate
    if complete and variable.size <= FULL_UP_TO:
        for i in range(variable.size):
            line = Line.element(sampler.point, variable, i)
            true.flat[i] = sampler.estimate(line, line.local_step or line.first_step).slope
    return true
