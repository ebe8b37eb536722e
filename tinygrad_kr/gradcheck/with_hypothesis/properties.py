"""A function and its hand-written gradient become property tests: one declaration, a class that pytest collects."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.common.extras import require
from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.engine.transforms import vjp
from tinygrad_kr.engine.tree import tree_leaves, tree_map
from tinygrad_kr.gradcheck import GradientMismatch, Report, Verdict, check_gradients
from tinygrad_kr.gradcheck.layouts import LAYOUTS
from tinygrad_kr.gradcheck.with_hypothesis.identities import (
    Example,
    Identity,
    homogeneous,
    rows_sum_to_zero,
    sums_to_zero,
)
from tinygrad_kr.gradcheck.with_hypothesis.strategies import cotangents

if TYPE_CHECKING:
    import hypothesis
    from hypothesis import strategies as st
else:
    hypothesis = require("hypothesis", "test", "tinygrad_kr.gradcheck.with_hypothesis.properties")
    st = require("hypothesis.strategies", "test", "tinygrad_kr.gradcheck.with_hypothesis.properties")

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
        Another way to compute the value.
    identities : iterable of callables
        What else holds: each takes an ``Example`` and returns two arrays that must be equal. There are
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
    subject = _Subject(
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
    subject: _Subject, inputs: st.SearchStrategy[tuple[Any, ...]], settings: hypothesis.settings
) -> type[Any]:
    methods: dict[str, tuple[Body, Callable[[], None]]] = {}
    if subject.reference is not None:
        methods["test_value"] = (subject.value_is_that_of_the_reference, _nothing)
    tally = _Tally()
    methods["test_vjp"] = (functools.partial(subject.gradient_is_right, tally=tally), tally.close)
    methods["test_layouts"] = (subject.layouts_change_nothing, _nothing)
    methods["test_identities"] = (subject.identities_hold, _nothing)
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
    afterwards: Callable[[], None],
) -> Callable[[], None]:
    """Return a test without arguments, which runs the body on drawn examples and then looks back on all of them."""

    def run(inputs: Any, data: st.DataObject) -> None:
        body(inputs, data)

    run.__name__ = run.__qualname__ = re.sub(r"\W", "_", name)
    run.__annotations__["return"] = name  # tests of one source are told apart by their signature, in the database too
    examples = settings(hypothesis.given(inputs=inputs, data=st.data())(run))

    @functools.wraps(examples)
    def test() -> None:
        examples()
        afterwards()

    return test


def _nothing() -> None:
    """Look back on nothing."""


# The tests


@dataclass
class _Tally:
    """How many examples of one run there were, and which were inconclusive."""

    examples: int = 0
    inconclusive: list[Report] = field(default_factory=list)

    def add(self, report: Report) -> None:
        self.examples += 1
        if report.verdict is Verdict.INCONCLUSIVE and not (report.nothing_to_compare or _is_stationary(report)):
            self.inconclusive.append(report)

    def close(self) -> None:
        """Raise if there were too many; be ready for the next run in any case."""
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
    """Whether all that is unresolved is 0 and was measured as 0, as for x**2 at 0: no bar is small beside a 0."""
    unresolved = [finding for finding in report.findings if finding.verdict is Verdict.INCONCLUSIVE]
    zeros = [f for f in unresolved if f.claimed == 0 and abs(f.estimate) <= f.bar <= report.resolution]
    return 0 < len(zeros) == len(unresolved)


@dataclass(frozen=True)
class _Subject:
    """What is tested, and the bodies of the tests, each for one example."""

    name: str
    function: Callable[..., Any]
    gradient: Callable[..., Any] | None
    reference: Callable[..., Any] | None
    identities: tuple[Identity, ...]
    argnums: tuple[int, ...] | None
    tolerance: float
    check: dict[str, Any]

    def value_is_that_of_the_reference(self, inputs: tuple[Any, ...], data: st.DataObject) -> None:
        assert self.reference is not None
        expected = self.reference(*_fresh(inputs))
        self._assert_same(self._value(_fresh(inputs)), expected, f"{self.name}: the value is not the reference's")

    def gradient_is_right(self, inputs: tuple[Any, ...], data: st.DataObject, tally: _Tally) -> None:
        cotangent = self._drawn_cotangent(self._value(_fresh(inputs)), data)
        function, gradient, arguments = self._held(_fresh(inputs))
        report = check_gradients(function, *arguments, **{"gradient": gradient, "cotangent": cotangent} | self.check)
        tally.add(report)
        hypothesis.event(f"verdict {report.verdict}")
        bars = [finding.bars for finding in report.findings if math.isfinite(finding.bars)]
        hypothesis.target(max(bars, default=0.0), label="error, in error bars")
        if report.verdict is Verdict.FAIL:
            raise GradientMismatch(report)

    def layouts_change_nothing(self, inputs: tuple[Any, ...], data: st.DataObject) -> None:
        value = self._value(_fresh(inputs))
        cotangent = self._drawn_cotangent(value, data)
        count = len(tree_leaves([inputs, cotangent]))
        chosen = data.draw(st.lists(st.sampled_from(list(LAYOUTS)), min_size=count, max_size=count), label="layouts")

        def laid_out() -> Any:
            layouts = iter(chosen)
            return tree_map(lambda leaf: _in_layout(leaf, next(layouts)), (inputs, cotangent))

        moved, moved_cotangent = laid_out()
        what = f"{self.name}, inputs and cotangent laid out as {', '.join(chosen)}"
        self._assert_same(self._value(moved), value, f"{what}: another value")
        actual = self._gradients(moved, moved_cotangent)
        self._assert_same(actual, self._gradients(_fresh(inputs), _fresh(cotangent)), f"{what}: another gradient")
        before, after = tree_leaves((inputs, cotangent)), tree_leaves((moved, moved_cotangent))
        for position, (x, y) in enumerate(zip(before, after, strict=True)):
            changed = isinstance(x, np.ndarray) and x.tobytes() != y.tobytes()
            assert not changed, f"{what}: argument {position} was written to"

    def identities_hold(self, inputs: tuple[Any, ...], data: st.DataObject) -> None:
        value = self._value(_fresh(inputs))
        v, w = self._drawn_cotangent(value, data), self._drawn_cotangent(value, data)
        g, h = self._gradients(_fresh(inputs), _fresh(v)), self._gradients(_fresh(inputs), _fresh(w))
        both = self._gradients(_fresh(inputs), tree_map(np.add, v, w))
        self._assert_same(both, _sums(g, h), f"{self.name}: the gradient for v + w is not that for v plus that for w")
        twice = self._gradients_used_twice(inputs, v)
        self._assert_same(twice, _sums(g, g), f"{self.name}: f(x) + f(x) does not have twice the gradient of f(x)")
        for identity in self.identities:
            left, right = identity(Example(_fresh(inputs), value, _fresh(v), g))
            self._assert_same(left, right, f"{self.name}: {getattr(identity, '__name__', identity)} does not hold")

    # What the tests are made of

    def _value(self, inputs: tuple[Any, ...]) -> Any:
        return tree_map(lambda part: np.array(raw(part)), self.function(*inputs))

    def _gradients(self, inputs: tuple[Any, ...], cotangent: Any) -> tuple[Any, ...]:
        """Return one gradient for each input, None where there is none."""
        if self.gradient is None:
            return self._own_gradients(self.function, inputs, cotangent)
        return self._aligned(self.gradient(*inputs, cotangent), inputs)

    def _gradients_used_twice(self, inputs: tuple[Any, ...], cotangent: Any) -> tuple[Any, ...]:
        """Return the gradients of f(x) + f(x); a hand-written gradient then gets the cotangent twice."""
        if self.gradient is not None:
            return self._gradients(_fresh(inputs), tree_map(np.add, cotangent, cotangent))
        twice = lambda *x: tree_map(lambda y, z: y + z, self.function(*x), self.function(*x))
        return self._own_gradients(twice, _fresh(inputs), _fresh(cotangent))

    def _own_gradients(self, function: Callable[..., Any], inputs: tuple[Any, ...], cotangent: Any) -> tuple[Any, ...]:
        _, pullback = vjp(function, *inputs, argnums=self._moved(inputs))
        return self._aligned(pullback(cotangent), inputs)

    def _aligned(self, returned: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        moved = self._moved(inputs)
        several = isinstance(returned, tuple | list)
        if len(moved) == 1 and not (several and len(returned) in (1, len(inputs))):
            returned = (returned,)
        parts = dict(zip(range(len(inputs)) if len(returned) == len(inputs) else moved, returned, strict=True))
        return tuple(_copy(parts[i]) if i in moved else None for i in range(len(inputs)))

    def _moved(self, inputs: tuple[Any, ...]) -> tuple[int, ...]:
        """Return the positions of the inputs that are differentiated."""
        if self.argnums is not None:
            return tuple(i % len(inputs) for i in self.argnums)
        return tuple(i for i, value in enumerate(inputs) if any(map(_is_float, tree_leaves(value))))

    def _held(self, inputs: tuple[Any, ...]) -> tuple[Callable[..., Any], Callable[..., Any] | None, tuple[Any, ...]]:
        """Return function, gradient and inputs in which what argnums leaves out does not look like floats."""
        if self.argnums is None:
            return self.function, self.gradient, inputs
        moved = self._moved(inputs)
        arguments = tuple(value if i in moved else _Held(value) for i, value in enumerate(inputs))
        return _releasing(self.function), None if self.gradient is None else _releasing(self.gradient), arguments

    def _drawn_cotangent(self, value: Any, data: st.DataObject) -> Any:
        draw = lambda part: data.draw(cotangents(part.shape, dtype=part.dtype), label="cotangent")
        return tree_map(draw, value)

    def _assert_same(self, actual: Any, expected: Any, what: str) -> None:
        tree_map(lambda a, b: _assert_close(a, b, self.tolerance, what), actual, expected)


@dataclass(frozen=True)
class _Held:
    """An argument that is passed on as it is; reports show what it holds."""

    value: Any

    def __repr__(self) -> str:
        return repr(self.value)


def _releasing(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def released(*args: Any) -> Any:
        return function(*(_fresh(arg.value) if isinstance(arg, _Held) else arg for arg in args))

    return released


def _fresh(tree: Any) -> Any:
    """Return copies of all arrays."""
    return tree_map(lambda leaf: np.array(leaf) if isinstance(leaf, np.ndarray) else leaf, tree)


def _copy(gradient: Any) -> Any:
    """Return a gradient that the next call cannot change; None stays None."""
    return tree_map(lambda part: None if part is None else np.array(raw(part)), gradient)


def _sums(a: Any, b: Any) -> Any:
    return tree_map(lambda x, y: None if x is None else x + y, a, b)


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, float) or (isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind == "f")


def _assert_close(actual: Any, expected: Any, tolerance: float, what: str) -> None:
    if actual is None and expected is None:
        return
    actual, expected = np.asarray(raw(actual)), np.asarray(raw(expected))
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    rounding = max(np.finfo(part.dtype).eps if part.dtype.kind == "f" else 0.0 for part in (actual, expected))
    largest = np.max(np.abs(expected), initial=1.0, where=np.isfinite(expected))
    bound = max(tolerance, 1000 * float(rounding)) * float(largest)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound, err_msg=what)


def _in_layout(leaf: Any, layout: str) -> Any:
    return LAYOUTS[layout](leaf) if isinstance(leaf, np.ndarray) else leaf
