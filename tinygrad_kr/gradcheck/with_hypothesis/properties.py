"""Make property tests of a function and its gradient: one declaration, a class that pytest collects."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from tinygrad_kr.gradcheck import Report, Verdict, check_gradients
from tinygrad_kr.gradcheck.with_hypothesis.identities import (
    Example,
    Identity,
    homogeneous,
    rows_sum_to_zero,
    sums_to_zero,
)
from tinygrad_kr.gradcheck.with_hypothesis.optional import hypothesis, st
from tinygrad_kr.gradcheck.with_hypothesis.subject import Subject

__all__ = ["Example", "gradient_property", "homogeneous", "rows_sum_to_zero", "sums_to_zero"]

Array = NDArray[Any]
Body = Callable[[tuple[Any, ...], "st.DataObject"], None]

ENOUGH_EXAMPLES = 20
MOST_INCONCLUSIVE = 0.05


def gradient_property(
    function: Callable[..., Any] | None = None,
    /,
    *,
    inputs: st.SearchStrategy[Any] | Sequence[st.SearchStrategy[Any]],
    gradient: Callable[..., Any] | None = None,
    reference: Callable[..., Any] | None = None,
    identities: Iterable[Identity] = (),
    argnums: int | tuple[int, ...] | None = None,
    tolerance: float = 1e-9,
    max_examples: int | None = None,
    settings: hypothesis.settings | None = None,
    name: str | None = None,
    **check: Any,
) -> Any:
    """Make the property tests of a function and its gradient.

    Parameters
    ----------
    function : callable
        Takes arrays, returns an array or a nested tuple, list or dict of them. Without it, a decorator is returned.
    inputs : strategy, or sequence of strategies
        One strategy for each argument, or one that draws a tuple of all arguments (or the only argument).
    gradient : callable, optional
        ``gradient(*inputs, cotangent)`` returns one gradient for each input; those of integers may be None or left
        out. Without it the function must accept Tensors, and this package's own gradient is tested.
    reference : callable, optional
        Computes the value in another way.
    identities : iterable of callables
        Each takes an ``Example`` and returns two arrays that must be equal. There are
        ``rows_sum_to_zero``, ``sums_to_zero`` and ``homogeneous(degree)``.
    argnums : int or tuple of int, optional
        The arguments whose gradient is tested, if not all that hold floats: the scores, say, and not the soft labels.
    tolerance : float
        For values, layouts and identities: relative to the largest element, or to 1 if that is larger. Where results
        are float32 it is no less than 1000 of their roundings. The gradient itself is held to the error bars of
        ``check_gradients`` and to no tolerance.
    max_examples : int, optional
        How many examples each test draws, unless the settings say so.
    settings : hypothesis.settings, optional
        Instead of the profile that is loaded. In either case there is no deadline, slow drawing is no failure, and
        the phase "explain" is left out: it would list lines of the checker.
    name : str, optional
        Used in messages; the name of the function unless given.
    **check
        Passed on to ``check_gradients``: ``mode``, ``order``, ``resolution`` and others.

    Returns
    -------
    type
        A class that pytest collects under any name, with static methods that can be called by hand:

        test_value
            With a reference: the value agrees with it.
        test_vjp
            No example fails ``check_gradients``, and of 20 or more at most 5 % are inconclusive (points where the
            gradient is 0 do not count).
        test_layouts
            Fortran order, strides and read-only memory change neither value nor gradient, and nothing is written to.
        test_identities
            The gradient is linear in the cotangent, a value used twice gives the double, and the identities hold.

    Raises
    ------
    TypeError
        If ``function`` is not callable, ``inputs`` are no strategies, or ``check_gradients`` knows no such argument.

    Examples
    --------
    >>> import hypothesis, numpy as np
    >>> from tinygrad_kr.gradcheck.with_hypothesis import strategies as gs
    >>> from tinygrad_kr.gradcheck.with_hypothesis.properties import gradient_property, homogeneous
    >>> few = hypothesis.settings(max_examples=10, database=None, derandomize=True)
    >>> @gradient_property(
    ...     inputs=gs.arrays(kinks=[0.0]),
    ...     gradient=lambda x, cotangent: cotangent * (x > 0),
    ...     identities=[homogeneous(1)],
    ...     settings=few,
    ... )
    ... def test_relu(x):
    ...     return np.maximum(x, 0)
    >>> test_relu.test_vjp()

    A gradient that is wrong fails with the smallest example of it:

    >>> test_square = gradient_property(np.square, inputs=gs.arrays(), gradient=lambda x, g: g * x, settings=few)
    >>> test_square.test_vjp()  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    GradientMismatch: square: FAIL
    """
    if function is None:
        return functools.partial(
            gradient_property,
            inputs=inputs,
            gradient=gradient,
            reference=reference,
            identities=identities,
            argnums=argnums,
            tolerance=tolerance,
            max_examples=max_examples,
            settings=settings,
            name=name,
            **check,
        )
    if not callable(function):
        raise TypeError(f"expected a function to test, got {type(function).__name__}; strategies go to inputs=")
    unknown = set(check) - set(inspect.signature(check_gradients).parameters)
    if unknown:
        raise TypeError(f"neither gradient_property nor check_gradients has an argument {', '.join(sorted(unknown))}")
    subject = Subject(
        name or str(getattr(function, "__name__", type(function).__name__)),
        function,
        gradient,
        reference,
        tuple(identities),
        (argnums,) if isinstance(argnums, int) else argnums,
        tolerance,
        {"progress": False} | check,
    )
    return _test_class(subject, _drawn_inputs(inputs), _settings(settings, max_examples))


def _drawn_inputs(inputs: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return one strategy for the tuple of all arguments."""
    if isinstance(inputs, st.SearchStrategy):
        return inputs.map(lambda drawn: drawn if isinstance(drawn, tuple) else (drawn,))
    if isinstance(inputs, Sequence) and inputs and all(isinstance(one, st.SearchStrategy) for one in inputs):
        return st.tuples(*inputs)
    raise TypeError(
        f"inputs must be a strategy, or a sequence with one for each argument, got {inputs!r}.\n"
        "  for example inputs=tinygrad_kr.gradcheck.with_hypothesis.strategies.arrays()"
    )


def _settings(settings: hypothesis.settings | None, max_examples: int | None) -> hypothesis.settings:
    chosen = hypothesis.settings.default if settings is None else settings
    assert chosen is not None
    return hypothesis.settings(
        chosen,
        deadline=None,
        phases=[phase for phase in chosen.phases if phase is not hypothesis.Phase.explain],
        suppress_health_check={*chosen.suppress_health_check, hypothesis.HealthCheck.too_slow},
        max_examples=chosen.max_examples if max_examples is None else max_examples,
    )


def _test_class(
    subject: Subject, inputs: st.SearchStrategy[tuple[Any, ...]], settings: hypothesis.settings
) -> type[Any]:
    methods: dict[str, tuple[Body, Callable[[], None] | None]] = {}
    if subject.reference is not None:
        methods["test_value"] = (subject.value_is_that_of_the_reference, None)
    tally = _Tally()
    methods["test_vjp"] = (functools.partial(subject.gradient_is_right, tally=tally.add), tally.close)
    methods["test_layouts"] = (subject.layouts_change_nothing, None)
    methods["test_identities"] = (subject.identities_hold, None)
    tests = {
        method: staticmethod(_test(f"{method}_of_{subject.name}", body, inputs, settings, afterwards))
        for method, (body, afterwards) in methods.items()
    }
    about = {"__test__": True, "__doc__": f"Property tests of {subject.name} and its gradient.", "subject": subject}
    return type(subject.name, (), about | tests)


def _test(
    name: str,
    body: Body,
    inputs: st.SearchStrategy[tuple[Any, ...]],
    settings: hypothesis.settings,
    afterwards: Callable[[], None] | None,
) -> Callable[[], None]:
    """Return a test without arguments, which runs the body on drawn examples, and a last check of all of them."""

    def run(inputs: Any, data: st.DataObject) -> None:
        body(inputs, data)

    run.__name__ = run.__qualname__ = re.sub(r"\W", "_", name)
    run.__annotations__["return"] = name  # tests of one source are told apart by their signature, in the database too
    examples = settings(hypothesis.given(inputs=inputs, data=st.data())(run))

    @functools.wraps(examples)
    def test() -> None:
        examples()
        if afterwards is not None:
            afterwards()

    return test


@dataclass
class _Tally:
    """Counts the examples of one run, and keeps those that were inconclusive."""

    examples: int = 0
    inconclusive: list[Report] = field(default_factory=list)

    def add(self, report: Report) -> None:
        self.examples += 1
        if report.verdict is Verdict.INCONCLUSIVE and not (report.nothing_to_compare or _is_stationary(report)):
            self.inconclusive.append(report)

    def close(self) -> None:
        """Raise if too many examples were inconclusive; start again from none."""
        examples, reports = self.examples, self.inconclusive
        self.examples, self.inconclusive = 0, []
        if examples >= ENOUGH_EXAMPLES and len(reports) > MOST_INCONCLUSIVE * examples:
            smallest = min(reports, key=lambda report: report.evaluations)
            raise AssertionError(
                f"{len(reports)} of {examples} examples were INCONCLUSIVE, which is more than "
                f"{MOST_INCONCLUSIVE:.0%}: too little was tested.\n"
                "  declare the kinks of the function to the strategy, or draw from a narrower range; one of them:\n"
                f"{smallest}"
            )


def _is_stationary(report: Report) -> bool:
    """Whether every unresolved slope is 0 and was measured as 0, as for x**2 at 0."""
    unresolved = [finding for finding in report.findings if finding.verdict is Verdict.INCONCLUSIVE]
    zeros = [f for f in unresolved if f.claimed == 0 and abs(f.estimate) <= f.bar <= report.resolution]
    return 0 < len(zeros) == len(unresolved)
