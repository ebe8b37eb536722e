"""The bodies of the property tests of one function and its gradient, each for one example."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_kr.engine.tensor import raw
from tinygrad_kr.engine.transforms import vjp
from tinygrad_kr.engine.tree import tree_leaves, tree_map
from tinygrad_kr.gradcheck import GradientMismatch, Report, Verdict, check_gradients
from tinygrad_kr.gradcheck.layouts import LAYOUTS
from tinygrad_kr.gradcheck.with_hypothesis.identities import Example, Identity
from tinygrad_kr.gradcheck.with_hypothesis.optional import hypothesis, st
from tinygrad_kr.gradcheck.with_hypothesis.strategies import cotangents

__all__ = ["Subject"]


@dataclass(frozen=True)
class Subject:
    """A function with its gradient, and the bodies of its tests, each for one example."""

    name: str
    function: Callable[..., Any]
    gradient: Callable[..., Any] | None
    reference: Callable[..., Any] | None
    identities: tuple[Identity, ...]
    argnums: tuple[int, ...] | None
    tolerance: float
    check: dict[str, Any]

    def value_is_that_of_the_reference(self, inputs: tuple[Any, ...], data: st.DataObject) -> None:
        """Compare the value with that of the reference."""
        assert self.reference is not None
        expected = self.reference(*_fresh(inputs))
        self._assert_same(self._value(_fresh(inputs)), expected, f"{self.name}: the value is not the reference's")

    def gradient_is_right(self, inputs: tuple[Any, ...], data: st.DataObject, tally: Callable[[Report], None]) -> None:
        """Check the gradient, tell hypothesis how far it is off, and raise if it fails."""
        cotangent = self._drawn_cotangent(self._value(_fresh(inputs)), data)
        function, gradient, arguments = self._held(_fresh(inputs))
        report = check_gradients(function, *arguments, **{"gradient": gradient, "cotangent": cotangent} | self.check)
        tally(report)
        hypothesis.event(f"verdict {report.verdict}")
        bars = [finding.bars for finding in report.findings if math.isfinite(finding.bars)]
        hypothesis.target(max(bars, default=0.0), label="error, in error bars")
        if report.verdict is Verdict.FAIL:
            raise GradientMismatch(report)

    def layouts_change_nothing(self, inputs: tuple[Any, ...], data: st.DataObject) -> None:
        """Compare value and gradient in drawn memory layouts with those of fresh copies."""
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
        """Check linearity in the cotangent, a value used twice, and the identities."""
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
    """Wraps an argument that is not differentiated; reports show its value."""

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
