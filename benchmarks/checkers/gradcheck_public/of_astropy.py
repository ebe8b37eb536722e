"""Derivatives of astropy: ``fit_deriv`` of its models, by their parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from astropy.modeling import functional_models, physical_models, polynomial, powerlaws

from benchmarks.checkers.gradcheck_public.cases import Case, Generator, flat, jacobian

# The name, where x lies, and the bounds of each parameter.
CURVES: dict[str, tuple[tuple[float, float], tuple[tuple[float, float], ...]]] = {
    "ArcCosine1D": ((-0.6, 0.6), ((1, 2), (0.05, 0.1), (-0.05, 0.05))),
    "ArcSine1D": ((-0.6, 0.6), ((1, 2), (0.05, 0.1), (-0.05, 0.05))),
    "ArcTangent1D": ((-2, 2), ((1, 2), (0.2, 0.5), (-0.2, 0.2))),
    "Const1D": ((-2, 2), ((-2, 2),)),
    "Cosine1D": ((-2, 2), ((1, 2), (0.2, 0.5), (-0.2, 0.2))),
    "Exponential1D": ((-2, 2), ((0.5, 2), (0.7, 2))),
    "Gaussian1D": ((-2, 2), ((0.5, 2), (-0.5, 0.5), (0.5, 1.5))),
    "KingProjectedAnalytic1D": ((0.2, 2), ((0.5, 2), (0.5, 1), (3, 5))),
    "Linear1D": ((-2, 2), ((-2, 2), (-2, 2))),
    "Logarithmic1D": ((0.3, 3), ((0.5, 2), (0.7, 2))),
    "Lorentz1D": ((-2, 2), ((0.5, 2), (-0.5, 0.5), (0.5, 1.5))),
    "Moffat1D": ((-2, 2), ((0.5, 2), (-0.5, 0.5), (0.5, 1.5), (0.8, 2))),
    "Multiply": ((-2, 2), ((-2, 2),)),
    "RedshiftScaleFactor": ((-2, 2), ((0.1, 2),)),
    "Scale": ((-2, 2), ((-2, 2),)),
    "Shift": ((-2, 2), ((-2, 2),)),
    "Sine1D": ((-2, 2), ((1, 2), (0.2, 0.5), (-0.2, 0.2))),
    "Tangent1D": ((-0.6, 0.6), ((1, 2), (0.1, 0.2), (-0.05, 0.05))),
    "Voigt1D": ((-2, 2), ((-0.5, 0.5), (0.5, 2), (0.5, 1.5), (0.5, 1.5))),
    "BrokenPowerLaw1D": ((0.3, 3), ((0.5, 2), (0.8, 1.2), (0.5, 2), (-1, 3))),
    "ExponentialCutoffPowerLaw1D": ((0.3, 3), ((0.5, 2), (0.8, 1.2), (0.5, 2), (1, 3))),
    "LogParabola1D": ((0.3, 3), ((0.5, 2), (0.8, 1.2), (0.5, 2), (-1, 1))),
    "PowerLaw1D": ((0.3, 3), ((0.5, 2), (0.8, 1.2), (0.5, 2))),
    "Schechter1D": ((-22, -18), ((0.5, 2), (-20.5, -19.5), (-1.5, -0.5))),
    "SmoothlyBrokenPowerLaw1D": ((0.3, 3), ((0.5, 2), (0.8, 1.2), (0.5, 2), (-1, 3), (0.2, 1))),
    "Plummer1D": ((0.3, 3), ((0.5, 2), (0.7, 2))),
}
SURFACES: dict[str, tuple[tuple[float, float], ...]] = {
    "Gaussian2D": ((0.5, 2), (-0.5, 0.5), (-0.5, 0.5), (0.5, 1.5), (0.5, 1.5), (0.1, 1.2)),
    "Lorentz2D": ((0.5, 2), (-0.5, 0.5), (-0.5, 0.5), (0.5, 1.5)),
    "Moffat2D": ((0.5, 2), (-0.5, 0.5), (-0.5, 0.5), (0.5, 1.5), (0.8, 2)),
    "Planar2D": ((-2, 2), (-2, 2), (-2, 2)),
}
MODULES = (functional_models, powerlaws, physical_models)


def named(name: str) -> Any:
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))


def by_parameters(name: str, at: tuple[tuple[float, float], ...], bounds: tuple[tuple[float, float], ...]) -> Case:
    kind = named(name)

    def make(rng: Generator) -> Any:
        x = [rng.uniform(*part, 7) for part in at]
        model = kind()
        f = lambda p: np.asarray(model.evaluate(*x, *p), float) + np.zeros(7)
        slopes = lambda p: np.stack([np.broadcast_to(np.squeeze(s), 7) for s in model.fit_deriv(*x, *p)], axis=-1)
        return f, slopes, [rng.uniform(*bound) for bound in bounds]

    return jacobian(f"{name}.fit_deriv", make)


def by_coefficients(name: str) -> Case:
    kind = getattr(polynomial, name)
    axes = 2 if name.endswith("2D") else 1

    def make(rng: Generator) -> Any:
        model = kind(*((3,) if axes == 1 or name == "Polynomial2D" else (2, 2)))
        x = [rng.uniform(-0.9, 0.9, 7) for _ in range(axes)]
        f = lambda c: kind.evaluate(model, *x, *c)
        return f, lambda c: model.fit_deriv(*x, *c), rng.normal(0, 1, len(model.parameters))

    return jacobian(f"{name}.fit_deriv", make)


def models() -> Iterator[Case]:
    for name, (at, bounds) in CURVES.items():
        yield by_parameters(name, (at,), bounds)
    for name, bounds in SURFACES.items():
        yield by_parameters(name, ((-1, 1), (-1, 1)), bounds)
    for kind in ("Polynomial", "Chebyshev", "Legendre", "Hermite"):
        yield by_coefficients(f"{kind}1D")
        if kind != "Hermite":  # see errors_found, also for Drude1D
            yield by_coefficients(f"{kind}2D")


CASES = flat([models()])
