"""Check properties that hold exactly for every vector-Jacobian product, without finite differences.

A vector-Jacobian product is linear in the cotangent; it is a function of its arguments only; it leaves them alone,
and returns arrays of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_kr.engine.tree import tree_leaves
from tinygrad_kr.gradcheck.findings import ExactProperty, Verdict
from tinygrad_kr.gradcheck.judge import BUDGET
from tinygrad_kr.gradcheck.layouts import LAYOUTS
from tinygrad_kr.gradcheck.problem import Problem
from tinygrad_kr.gradcheck.sampler import Sampler
from tinygrad_kr.gradcheck.search import Search
from tinygrad_kr.gradcheck.slopes import EPS, FIRST_STEP
from tinygrad_kr.gradcheck.variables import Point, Variable, Vector, array_of, random_signs

__all__ = ["PropertyChecks"]

ROUNDINGS = 64
"""By how many roundings two ways to compute the same gradient may differ."""
MOVE = 2.0**-10
"""By which share of itself an element is moved to get to a point close by: few functions end so near."""
FLOAT32_TOLERANCE = 1e-3


class Skip(Exception):
    """A property that cannot be checked here; the message says why."""


class Broken(Exception):
    """A property that does not hold; the message says what was seen."""


@dataclass
class PropertyChecks:
    """Checks of the exact properties, one after the other.

    ``first`` is the gradient at the start; ``second`` is the second point, once there is one. With ``already_wrong``
    the gradient is not judged there.
    """

    problem: Problem
    sampler: Sampler
    first: list[Any]
    rng: np.random.Generator
    already_wrong: bool = False
    second: Point | None = None

    def run(self) -> list[ExactProperty]:
        """Check all of them."""
        return [self._look(name, check) for name, check in self._checks()]

    def only_shapes(self) -> ExactProperty:
        """Check dtypes and shapes alone."""
        return self._look("dtype and shape", self._dtype_and_shape)

    def _checks(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "dtype and shape", self._dtype_and_shape
        yield "forward determinism", self._forward_determinism
        yield "backward determinism", self._backward_determinism
        yield "mutation", self._mutation
        yield "aliasing", self._aliasing
        yield "zero cotangent", self._zero_cotangent
        yield "linearity", self._linearity
        yield "stale cache", self._stale_cache
        yield "repeated input", self._repeated_input
        yield "layouts", self._layouts
        yield "float32", self._float32

    @staticmethod
    def _look(name: str, check: Callable[[], None]) -> ExactProperty:
        try:
            with np.errstate(all="ignore"):
                check()
        except Skip as reason:
            return ExactProperty(name, Verdict.INCONCLUSIVE, str(reason))
        except Broken as seen:
            return ExactProperty(name, Verdict.FAIL, str(seen))
        except Exception as error:  # of the user's functions: the other properties are still checked
            return ExactProperty(name, Verdict.INCONCLUSIVE, f"{type(error).__name__}: {error}")
        return ExactProperty(name, Verdict.PASS)

    def _dtype_and_shape(self) -> None:
        for variable, g in self.problem.checked_pairs(self.first):
            if g is None:
                raise Broken(f"no gradient (None) for {variable.name} {variable.shape}, which holds floats")
            if g.shape != variable.shape:
                raise Broken(f"the gradient for {variable.name} must have its shape {variable.shape}, got {g.shape}")
            if g.dtype.kind != "f" or g.itemsize < 8:
                raise Broken(f"the gradient for {variable.name} (float64 in the check) is {g.dtype}: digits are lost")

    def _forward_determinism(self) -> None:
        start, center = self.problem.start, self.sampler.center
        again = self._value(start)
        if np.array_equal(again, center, equal_nan=True):
            return
        nearby = center if self.close is None else self._value(self.close)
        if np.any(np.abs(again - center) > self._reordered(np.abs(center), np.abs(nearby - center))):
            raise Broken(
                f"f gives two values at the same point, {_apart(again, center)}\n"
                "    fix the seed of what is random in it, or switch it off (dropout)"
            )

    def _backward_determinism(self) -> None:
        again = self._gradient(self.problem.start)
        for variable, g, first in self._pairs(again, self.first):
            if self._differ(variable, g, first):
                raise Broken(f"the gradient for {variable.name} differs between two calls, {_apart(g, first)}")

    def _mutation(self) -> None:
        arguments = self.problem.arguments(self.problem.start)
        cotangent = self.problem.structured(self.sampler.weights)
        owned = [x for x in tree_leaves([arguments, cotangent]) if isinstance(x, np.ndarray)]
        before = [x.tobytes() for x in owned]
        self._require(evaluations=1, gradients=1)
        self.problem.call(arguments, self.problem.start)
        self._unchanged(owned, before, "f changes its input in place")
        self.problem.gradient_of(arguments, cotangent, self.problem.start)
        self._unchanged(owned, before, "gradient changes its input or its cotangent in place")

    @staticmethod
    def _unchanged(arrays: list[NDArray[Any]], before: list[bytes], what: str) -> None:
        for array, content in zip(arrays, before, strict=True):
            if array.tobytes() != content:
                raise Broken(f"{what}: the array of shape {array.shape}; work on a copy")

    def _aliasing(self) -> None:
        arguments = self.problem.arguments(self.problem.start)
        cotangent = self.problem.structured(self.sampler.weights)
        self._require(evaluations=1, gradients=1)
        output = [array_of(part) for part in tree_leaves(self.problem.call(arguments, self.problem.start))]
        owners = [("an input", x) for x in tree_leaves(arguments) if isinstance(x, np.ndarray)]
        owners += [("the cotangent", np.asarray(v)) for v in tree_leaves(cotangent)]
        owners += [("the output", y) for y in output]
        gradients = self.problem.gradient_of(arguments, cotangent, self.problem.start)
        for variable, g in self.problem.checked_pairs(gradients):
            for owner, array in owners:
                if g is not None and np.shares_memory(g, array):
                    raise Broken(f"the gradient for {variable.name} shares memory with {owner}; return a copy")
            if g is not None:
                owners.append((f"that for {variable.name}", g))

    def _zero_cotangent(self) -> None:
        zero = self._gradient(self.problem.start, np.zeros_like(self.sampler.weights))
        for variable, g, first in self._pairs(zero, self.first):
            if np.any(g[np.isfinite(first)] != 0):
                largest = float(np.nanmax(np.abs(g)))
                raise Broken(
                    f"with a cotangent of zeros the gradient for {variable.name} is not 0 but up to {largest:.3g}"
                )

    def _linearity(self) -> None:
        a, b = 0.7390851332151607, -1.3247179572447460
        other = self.problem.rounded(random_signs(self.rng, self.sampler.weights.size, 0.5, 1.5))
        combined = self._gradient(self.problem.start, a * self.sampler.weights + b * other)
        second = self._gradient(self.problem.start, other)
        for variable, g, g2, first in self._pairs(combined, second, self.first):
            with np.errstate(all="ignore"):
                expected = a * first + b * g2
                largest = float(np.max(np.abs(first) + np.abs(g2), initial=0))
                allowed = ROUNDINGS * (self._eps * largest + self._rounding(variable, self.sampler.weights, other))
                off = np.abs(g - expected)
                if np.any(off > allowed):
                    allowed = allowed + 2 * self.sampler.lost_digits[variable.position]
            if np.any(off[np.isfinite(expected)] > np.broadcast_to(allowed, off.shape)[np.isfinite(expected)]):
                worst = np.unravel_index(np.nanargmax(off), off.shape)
                where = f"[{', '.join(map(str, worst))}]" if variable.shape else ""
                raise Broken(
                    f"the gradient for {variable.name} is not linear in the cotangent: "
                    f"at {variable.name}{where} that of a*v1 + b*v2 is {g[worst]:.10g}, off by {off[worst]:.2g} "
                    f"from a times that of v1 + b times that of v2, {expected[worst]:.10g}"
                )

    def _rounding(self, variable: Variable, *cotangents: Vector) -> Any:
        """Return the rounding of f in units of a slope over the scale of each element."""
        weight = np.sum(np.abs(cotangents), axis=0)
        noise = self.sampler.noise.at(np.abs(self.sampler.center), FIRST_STEP)
        return float(weight @ noise) / np.minimum(self.problem.sizes[variable.position], 1)

    @property
    def _eps(self) -> float:
        return float(np.max(self.problem.output_rounding, initial=EPS))

    def _stale_cache(self) -> None:
        """Call at x1, far away, at x2 close by and at x1 again: the last must equal the first, and the others be right.

        The far point may lie outside the domain of f. The gradient there is then judged only if it equals that at x1.
        """
        if self.close is None:
            raise Skip("f is not finite at the second points that were tried")
        far, in_domain = self._far_away()
        far_gradient = self._gradient_if_any(far)
        there, self.second = self._gradient(self.close), self.close
        again = self._gradient(self.problem.start)
        for variable, g, first in self._pairs(again, self.first):
            if self._differ(variable, g, first):
                raise Broken(
                    f"called at x1, x2 and x1 again, the gradient for {variable.name} differs between the first and "
                    f"the third call, {_apart(g, first)}: it remembers an earlier call"
                )
        if self.already_wrong:
            return
        self._right_at(self.close, there)
        if not in_domain:
            pairs = zip(far_gradient, self.first, strict=True)
            far_gradient = [g if g is not None and np.array_equal(g, first) else None for g, first in pairs]
        if any(g is not None for g in far_gradient):
            self._right_at(far, far_gradient)

    def _far_away(self) -> tuple[Point, bool]:
        """Return a point with the same values in other places, and whether that must lie in the domain of f.

        Rows can be exchanged: they are the samples of a batch, or the units of a layer. The elements of a vector may
        mean different things, and a square matrix may have to be symmetric.
        """
        start = self.problem.start
        has_rows = [x.ndim > 1 and x.shape[0] > 1 and x.shape != x.T.shape for x in start]
        if any(has_rows):
            return [np.roll(x, 1, axis=0) if rows else x for x, rows in zip(start, has_rows, strict=True)], True
        return [np.roll(x, 1) for x in start], False

    def _gradient_if_any(self, point: Point) -> list[Any]:
        """Return the gradient at a point that the user's functions may refuse: None for each variable then."""
        try:
            if np.all(np.isfinite(self._value_nearby(point))):
                return self._gradient(point)
        except Skip:
            raise
        except Exception:  # outside the domain any error is allowed
            pass
        return [None] * len(point)

    def _right_at(self, point: Point, gradient: list[Any]) -> None:
        """Judge the gradient at another point along one direction for each variable."""
        claimed = [g if g is not None and g.shape == x.shape else None for g, x in zip(gradient, point, strict=True)]
        self._require(evaluations=1)
        search = Search(self.sampler.at(point), claimed, self.rng, progress=lambda items: items)
        for variable, g in self.problem.checked_pairs(claimed):
            if g is None or not variable.size:
                continue
            for f in search.along(search.all_at_once(variable)):
                if f.verdict is Verdict.FAIL and f.index is not None:
                    self.second = point
                    raise Broken(
                        f"called at a second point, {f.label} of the gradient is wrong there: given {f.claimed:.10g}, "
                        f"true {f.estimate:.10g} +- {f.bar:.1g}, off by {f.error:.2g}"
                    )
        self._require(evaluations=1)

    def _repeated_input(self) -> None:
        """One array passed as two inputs must give what two equal arrays give."""
        inputs = [v for v in self.problem.variables[: self.problem.first_parameter] if v.size]
        twins = [(a, b) for i, a in enumerate(inputs) for b in inputs[i + 1 :] if a.shape == b.shape]
        if not twins:
            raise Skip("no two inputs have the same shape")
        a, b = twins[0]
        point = list(self.problem.start)
        point[b.position] = point[a.position].copy()
        if not np.all(np.isfinite(self._value_nearby(point))):
            raise Skip(f"f is not finite where {b.name} is {a.name}")
        separate = self._gradient(point)
        twin, originals = point[a.position].copy(), (point[a.position], point[b.position])

        def same(array: Any) -> Any:
            return twin if any(array is original for original in originals) else np.array(array)

        self._require(gradients=1)
        together = self.problem.gradient(point, self.sampler.weights, layout=same)
        for variable, g, expected in self._pairs(together, separate):
            if self._differ(variable, g, expected):
                raise Broken(
                    f"with the same array as {a.name} and as {b.name}, the gradient for {variable.name} differs from "
                    f"that with two equal arrays, {_apart(g, expected)}"
                )

    def _layouts(self) -> None:
        refused = []
        for name in ("Fortran-ordered", "strided", "read-only"):  # PyTorch takes no reversed ones
            self._require(gradients=1)
            try:
                gradient = self.problem.gradient(self.problem.start, self.sampler.weights, layout=LAYOUTS[name])
            except ValueError as error:
                if "destination is read-only" in str(error) or "output array is read-only" in str(error):
                    raise Broken("the gradient function writes to an input: a read-only one raises") from error
                refused.append(f"{name} inputs are refused: {error}")  # a refusal is not wrong
                continue
            for variable, g, first in self._pairs(gradient, self.first):
                allowed = ROUNDINGS * (
                    self._eps * np.abs(first).max(initial=0) + self._rounding(variable, self.sampler.weights)
                )
                if np.any(np.abs(g - first) > allowed):
                    raise Broken(
                        f"the gradient for {variable.name} is another one for {name} inputs, {_apart(g, first)}"
                    )
        if refused:
            raise Skip("; ".join(refused))

    def _float32(self) -> None:
        if all(v.dtype.itemsize >= 8 for v in self.problem.variables):
            raise Skip("the inputs are float64")
        eps = max(float(np.finfo(v.dtype).eps) for v in self.problem.variables)
        self._require(gradients=2)
        single = self.problem.gradient(self.problem.start, self.sampler.weights, dtypes=True)
        shaken = self._gradient(moved(self.rng, self.problem.start, -eps, eps))
        noise = eps * float(np.linalg.norm(self.sampler.weights * self.sampler.center))  # of f in that dtype
        for variable, g, nearby, first in self._pairs(single, shaken, self.first):
            scale = float(np.max(np.abs(first), initial=0))
            conditioning = np.abs(nearby - first) + noise / np.minimum(self.problem.sizes[variable.position], 1)
            allowed = max(FLOAT32_TOLERANCE, ROUNDINGS * eps) * scale + ROUNDINGS * conditioning
            if not np.all(np.abs(g - first) <= allowed):
                raise Broken(f"the backward pass in {variable.dtype} is far from that in float64, {_apart(g, first)}")

    def _require(self, **calls: int) -> None:
        """Skip a property if the budget does not allow so many calls."""
        if not self.problem.affords(**calls):
            raise Skip(BUDGET)

    def _value(self, point: Point) -> Vector:
        self._require(evaluations=1)
        return self.problem.value(point)

    def _value_nearby(self, point: Point) -> Vector:
        self._require(evaluations=1)
        return self.problem.value_nearby(point)

    def _gradient(self, point: Point, cotangent: Vector | None = None) -> list[Any]:
        """Return a copy of the gradient."""
        self._require(gradients=1)
        weights = self.sampler.weights if cotangent is None else cotangent
        return [None if g is None else np.array(g) for g in self.problem.gradient(point, weights)]

    def _differ(self, variable: Variable, g: Vector, expected: Vector) -> bool:
        """Whether two gradients differ by more than sums in another order may: those over a set, or in threads."""
        if np.array_equal(g, expected, equal_nan=True):
            return False
        nearby = self.first if self.close is None else self._gradient(self.close)
        change = np.abs(nearby[variable.position] - self.first[variable.position])
        allowed = self._reordered(np.abs(expected).max(), change.max())
        return not np.all((np.abs(g - expected) <= allowed) | (np.isnan(g) & np.isnan(expected)))

    @cached_property
    def close(self) -> Point | None:
        """A point close by where f is finite: towards 0, which leads out of few domains, or away from it."""
        rng = np.random.default_rng(self.sampler.seed)
        points = (moved(rng, self.problem.start, *shares) for shares in ((-MOVE, -MOVE / 2), (MOVE / 2, MOVE)))
        return next((point for point in points if np.all(np.isfinite(self._value_nearby(point)))), None)

    def _reordered(self, size: Any, change: Any) -> Any:
        """Bound the effect of another order of summation, given a magnitude and its change at a point nearby.

        The change shows terms that cancel: moved by a share of themselves, they no longer do.
        """
        return ROUNDINGS * self._eps * (size + np.nan_to_num(change, posinf=0.0) / MOVE)

    def _pairs(self, *gradients: list[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield each variable with its gradients, where all have its shape."""
        for variable in self.problem.variables:
            entries = [g[variable.position] for g in gradients]
            if all(g is not None and g.shape == variable.shape for g in entries):
                yield variable, *(np.asarray(g, dtype=np.float64) for g in entries)


def moved(rng: np.random.Generator, point: Point, least: float, most: float) -> Point:
    """Move every element by a random share of itself, the same across the diagonal of a symmetric matrix."""
    other = []
    for x in point:
        share = rng.uniform(least, most, x.shape)
        other.append(np.asarray(x * (1 + ((share + np.swapaxes(share, -1, -2)) / 2 if _is_symmetric(x) else share))))
    return other


def _is_symmetric(x: NDArray[Any]) -> bool:
    """Whether each matrix is the same across its diagonal, but for signs: a gradient may hold for such alone."""
    return x.ndim > 1 and np.array_equal(np.abs(x), np.abs(np.swapaxes(x, -1, -2)))


def _apart(a: NDArray[Any], b: NDArray[Any]) -> str:
    """Describe how far two arrays are apart."""
    with np.errstate(all="ignore"):
        off = np.abs(a - b)
        largest = float(np.nanmax(off)) if np.any(np.isfinite(off)) else float("nan")
        scale = float(np.nanmax(np.abs(b))) if np.any(np.isfinite(b)) else 0.0
    relative = f", {largest / scale:.1e} of the largest" if scale else ""
    return f"by up to {largest:.3g}{relative}"
