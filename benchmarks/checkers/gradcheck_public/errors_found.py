"""Derivatives that contradict their functions, each with an independent witness: the formula, in mpmath.

The harness must say FAIL; and of the package's value and derivative, one must be that of the formula and one not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from benchmarks.checkers.gradcheck_public.cases import Array, Case, Function, Generator, curve, jacobian
from tinygrad_kr.gradcheck import Report, check_gradients


@dataclass(frozen=True)
class Wrong:
    """Describe an error in a package.

    ``formula`` draws what the case draws, and returns the function in mpmath, from numbers in a list to such a list.
    """

    package: str
    says: str
    case: Callable[[], Case]
    formula: Callable[[Generator], Function]


@dataclass(frozen=True)
class Evidence:
    """Hold the verdicts of the harness, and the distance from the formula relative to its largest number."""

    report: Report
    value_off: float
    derivative_off: float

    @property
    def holds(self) -> bool:
        """Return True if the verdict is FAIL and exactly one of value and derivative differs from the formula."""
        return str(self.report.verdict) == "FAIL" and (self.value_off > 1e-9) != (self.derivative_off > 1e-9)


def evidence(wrong: Wrong, seed: int) -> Evidence:
    f, gradient, (x,) = wrong.case().make(np.random.default_rng(seed))
    formula = wrong.formula(np.random.default_rng(seed))
    report = check_gradients(f, x, gradient=gradient)
    value = np.array(formula([mpmath.mpf(float(number)) for number in x]), float)
    v = np.linspace(0.5, 1.5, value.size)
    true, given = v @ slopes(formula, x, value.size), np.ravel(gradient(x, v.reshape(np.shape(f(x)))))
    return Evidence(report, apart(np.ravel(f(x)), value), apart(given, true))


def apart(given: Array, true: Array) -> float:
    return float(np.abs(given - true).max() / np.abs(true).max())


def slopes(f: Function, x: Array, outputs: int) -> Array:
    """Return the Jacobian of a function of mpmath's numbers."""
    with mpmath.workdps(40):
        at = [mpmath.mpf(float(number)) for number in x]

        def slope(row: int, column: int) -> Any:
            return mpmath.diff(lambda t: f([*at[:column], t, *at[column + 1 :]])[row], at[column])

        return np.array([[float(slope(row, column)) for column in range(len(at))] for row in range(outputs)])


# astropy.modeling.physical_models.Drude1D, by x_0


def drude() -> Case:
    from benchmarks.checkers.gradcheck_public.of_astropy import by_parameters

    return by_parameters("Drude1D", ((0.5, 2.0),), ((0.5, 2), (0.8, 1.2), (0.3, 0.8)))


def drude_formula(rng: Generator) -> Function:
    x = rng.uniform(0.5, 2.0, 7)  # as the case draws them

    def f(p: Any) -> Any:
        a, x_0, width = p
        return [a * (width / x_0) ** 2 / ((t / x_0 - x_0 / t) ** 2 + (width / x_0) ** 2) for t in map(mpmath.mpf, x)]

    return f


# astropy.modeling.polynomial.Hermite2D: the value, from the second degree in y on


def hermite() -> Case:
    from benchmarks.checkers.gradcheck_public.of_astropy import by_coefficients

    return by_coefficients("Hermite2D")


def hermite_formula(rng: Generator) -> Function:
    points = list(zip(*(rng.uniform(-0.9, 0.9, 7) for _ in range(2)), strict=True))
    degrees = [(i, j) for j in range(3) for i in range(3)]

    def f(c: Any) -> Any:
        return [
            sum(k * mpmath.hermite(i, x) * mpmath.hermite(j, y) for k, (i, j) in zip(c, degrees, strict=True))
            for x, y in points
        ]

    return f


# sklearn.manifold.TSNE, whose degrees of freedom are the number of components less 1


def embedding(rng: Generator) -> Any:
    p = rng.uniform(0.1, 1, 10)
    return p / (2 * p.sum()), rng.normal(0, 1, 10)


def t_sne() -> Case:
    from sklearn.manifold import _t_sne

    def make(rng: Generator) -> Any:
        p, x = embedding(rng)
        both = lambda x: _t_sne._kl_divergence(x, p, 2, 5, 2)
        return lambda x: both(x)[0], lambda x: both(x)[1], x

    return jacobian("TSNE._kl_divergence, 2 degrees of freedom", make)


def t_sne_formula(rng: Generator) -> Function:
    p, _ = embedding(rng)
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]

    def f(x: Any) -> Any:
        apart = [sum((x[2 * i + k] - x[2 * j + k]) ** 2 for k in range(2)) for i, j in pairs]
        near = [(1 + d / 2) ** mpmath.mpf(-1.5) for d in apart]
        total = 2 * sum(near)
        return [2 * sum(mpmath.mpf(a) * mpmath.log(a * total / q) for a, q in zip(p, near, strict=True))]

    return f


# statsmodels.distributions.copula.transforms.TransfFrank.deriv


def frank() -> Case:
    from statsmodels.distributions.copula.transforms import TransfFrank

    transform = TransfFrank()
    of = lambda method: lambda t: method(t, 1.7)
    return curve("TransfFrank.deriv", of(transform.evaluate), of(transform.deriv), 0.1, 0.9)


def frank_formula(rng: Generator) -> Function:
    def f(t: Any) -> Any:
        theta = mpmath.mpf(1.7)
        return [-mpmath.log(mpmath.expm1(-theta * number) / mpmath.expm1(-theta)) for number in t]

    return f


# statsmodels.discrete.discrete_model.NegativeBinomialP.hessian, unless p is 1 or 2


def counts(rng: Generator) -> Any:
    x = np.column_stack([np.ones(12), rng.normal(0, 1, 12)])
    return x, rng.poisson(2.0, 12), np.array([0.3, -0.4, 0.6]) + rng.normal(0, 0.1, 3)


def negative_binomial() -> Case:
    from statsmodels.discrete.discrete_model import NegativeBinomialP

    def make(rng: Generator) -> Any:
        x, y, parameters = counts(rng)
        model = NegativeBinomialP(y, x, p=1.5)
        return model.score, model.hessian, parameters

    return jacobian("NegativeBinomialP(p=1.5).hessian", make)


def negative_binomial_formula(rng: Generator) -> Function:
    x, y, _ = counts(rng)

    def likelihood(a: Any, b: Any, alpha: Any) -> Any:
        total = mpmath.mpf(0)
        for (one, two), count in zip(x.tolist(), y.tolist(), strict=True):
            mu = mpmath.exp(a * one + b * two)
            size = mpmath.sqrt(mu) / alpha
            total += mpmath.loggamma(count + size) - mpmath.loggamma(size) - mpmath.loggamma(count + 1)
            total += size * mpmath.log(size / (size + mu)) + count * mpmath.log(mu / (size + mu))
        return total

    units = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    return lambda p: [mpmath.diff(likelihood, tuple(p), unit) for unit in units]


WRONG = [
    Wrong("astropy", "Drude1D.fit_deriv is wrong by x_0", drude, drude_formula),
    Wrong("astropy", "Hermite2D.evaluate is wrong from the second degree in y on", hermite, hermite_formula),
    Wrong("scikit-learn", "_kl_divergence is wrong unless its degrees of freedom are 1", t_sne, t_sne_formula),
    Wrong("statsmodels", "TransfFrank.deriv has the wrong sign", frank, frank_formula),
    Wrong(
        "statsmodels",
        "NegativeBinomialP.hessian is wrong unless p is 1 or 2",
        negative_binomial,
        negative_binomial_formula,
    ),
]
