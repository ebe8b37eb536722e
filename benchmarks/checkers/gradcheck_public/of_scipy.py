"""Derivatives of SciPy: special functions, distributions, splines, losses, the Rosenbrock function."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import interpolate, linalg, optimize, special, stats
from scipy.optimize._lsq.least_squares import IMPLEMENTED_LOSSES, construct_loss_function

from benchmarks.checkers.gradcheck_public.cases import Array, Case, Generator, curve, flat, jacobian

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from scipy import odr


def bessel() -> Iterator[Case]:
    for name, low, high in (("jv", 0.3, 20.0), ("yv", 1.0, 20.0), ("iv", 0.3, 5.0), ("kv", 0.3, 5.0)):
        f, derivative = getattr(special, name), getattr(special, name + "p")
        for order in (0, 1, 2.5):
            yield curve(
                f"special.{name}p({order})",
                lambda x, f=f, order=order: f(order, x),
                lambda x, d=derivative, order=order: d(order, x),
                low,
                high,
            )
        yield curve(
            f"special.{name}p(1, n=2)",
            lambda x, d=derivative: d(1, x, 1),
            lambda x, d=derivative: d(1, x, 2),
            low,
            high,
        )
    for name in ("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"):
        f = getattr(special, name)
        for order in (0, 2):
            yield curve(
                f"special.{name}({order}, derivative=True)",
                lambda x, f=f, order=order: f(order, x),
                lambda x, f=f, order=order: f(order, x, derivative=True),
                0.8,
                8.0,
            )
    for name in ("ber", "bei", "ker", "kei"):
        yield curve(f"special.{name}p", getattr(special, name), getattr(special, name + "p"), 0.5, 6.0)
    for name, part in (("Ai", 0), ("Bi", 2)):
        yield curve(
            f"special.airy, {name}'",
            lambda x, part=part: special.airy(x)[part],
            lambda x, part=part: special.airy(x)[part + 1],
            -6.0,
            3.0,
        )


def parabolic_and_spheroidal() -> Iterator[Case]:
    """Return functions that come in pairs with their derivatives."""
    for name, leading, low, high in (
        ("pbdv", (1.5,), -3.0, 3.0),
        ("pbvv", (1.5,), -2.0, 2.0),
        ("pbwa", (0.5,), -2.0, 2.0),
        ("pro_ang1", (0, 1, 1.2), -0.8, 0.8),
        ("obl_ang1", (0, 1, 1.2), -0.8, 0.8),
        ("pro_rad1", (0, 1, 1.2), 1.2, 3.0),
        ("obl_rad1", (0, 1, 1.2), 0.5, 3.0),
    ):
        f = getattr(special, name)
        yield curve(
            f"special.{name}",
            lambda x, f=f, leading=leading: f(*leading, x)[0],
            lambda x, f=f, leading=leading: f(*leading, x)[1],
            low,
            high,
        )
    for name in ("mathieu_cem", "mathieu_sem"):  # of x in degrees; the derivative is by radians
        f = getattr(special, name)
        yield curve(
            f"special.{name}",
            lambda x, f=f: f(2, 1.5, np.degrees(x))[0],
            lambda x, f=f: f(2, 1.5, np.degrees(x))[1],
            0.1,
            1.4,
        )


def legendre() -> Iterator[Case]:
    for degree in (1, 4):
        yield curve(
            f"special.legendre_p({degree}, diff_n=1)",
            lambda x, n=degree: special.legendre_p(n, x)[0],
            lambda x, n=degree: special.legendre_p(n, x, diff_n=1)[1],
            -0.9,
            0.9,
        )
        yield curve(
            f"special.assoc_legendre_p({degree}, 1, diff_n=1)",
            lambda x, n=degree: special.assoc_legendre_p(n, 1, x)[0],
            lambda x, n=degree: special.assoc_legendre_p(n, 1, x, diff_n=1)[1],
            -0.9,
            0.9,
        )
        yield curve(
            f"special.sph_legendre_p({degree}, 1, diff_n=1)",
            lambda x, n=degree: special.sph_legendre_p(n, 1, x)[0],
            lambda x, n=degree: special.sph_legendre_p(n, 1, x, diff_n=1)[1],
            0.3,
            2.8,
        )
    for name in ("legendre", "chebyt", "chebyu", "hermite", "laguerre"):
        polynomial = getattr(special, name)(5)
        yield curve(f"special.{name}(5).deriv()", polynomial, polynomial.deriv(), -0.9, 0.9)


def pairs() -> Iterator[Case]:
    """Return functions whose derivative is another function."""
    s = special
    for name, f, derivative, low, high in (
        ("gammaln, digamma", s.gammaln, s.digamma, 0.3, 20),
        ("digamma, polygamma(1)", s.digamma, lambda x: s.polygamma(1, x), 0.3, 20),
        ("polygamma(1), polygamma(2)", lambda x: s.polygamma(1, x), lambda x: s.polygamma(2, x), 0.5, 20),
        ("gamma, gamma digamma", s.gamma, lambda x: s.gamma(x) * s.digamma(x), 0.5, 6),
        ("j0, -j1", s.j0, lambda x: -s.j1(x), 0.1, 20),
        ("y0, -y1", s.y0, lambda x: -s.y1(x), 0.5, 20),
        ("i0, i1", s.i0, s.i1, 0.1, 5),
        ("k0, -k1", s.k0, lambda x: -s.k1(x), 0.3, 5),
        ("expit", s.expit, lambda x: s.expit(x) * s.expit(-x), -6, 6),
        ("log_expit, expit", s.log_expit, lambda x: s.expit(-x), -6, 6),
        ("logit", s.logit, lambda p: 1 / (p * (1 - p)), 0.05, 0.95),
        ("ndtr, norm.pdf", s.ndtr, stats.norm.pdf, -4, 4),
        ("log_ndtr, pdf / cdf", s.log_ndtr, lambda x: stats.norm.pdf(x) / s.ndtr(x), -6, 4),
        ("ndtri, 1 / pdf", s.ndtri, lambda p: 1 / stats.norm.pdf(s.ndtri(p)), 0.05, 0.95),
        ("erf", s.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2)), -3, 3),
        ("erfcx", s.erfcx, lambda x: 2 * x * s.erfcx(x) - 2 / np.sqrt(np.pi), -1.5, 3),
        ("erfi", s.erfi, lambda x: 2 / np.sqrt(np.pi) * np.exp(x**2), -2, 2),
        ("dawsn", s.dawsn, lambda x: 1 - 2 * x * s.dawsn(x), -3, 3),
        ("expi", s.expi, lambda x: np.exp(x) / x, 0.3, 5),
        ("exp1", s.exp1, lambda x: -np.exp(-x) / x, 0.3, 5),
        ("expn", lambda x: s.expn(3, x), lambda x: -s.expn(2, x), 0.3, 5),
        ("sici, sine integral", lambda x: s.sici(x)[0], lambda x: np.sin(x) / x, 0.3, 10),
        ("sici, cosine integral", lambda x: s.sici(x)[1], lambda x: np.cos(x) / x, 0.3, 10),
        ("shichi", lambda x: s.shichi(x)[0], lambda x: np.sinh(x) / x, 0.3, 5),
        ("fresnel", lambda x: s.fresnel(x)[0], lambda x: np.sin(np.pi * x**2 / 2), -2, 2),
        ("spence", s.spence, lambda x: np.log(x) / (1 - x), 0.1, 0.9),
        ("entr", s.entr, lambda x: -np.log(x) - 1, 0.05, 2),
        ("exprel", s.exprel, lambda x: (x * np.exp(x) - np.expm1(x)) / x**2, 0.5, 3),
        ("pseudo_huber", lambda x: s.pseudo_huber(1.3, x), lambda x: x / np.sqrt(1 + (x / 1.3) ** 2), -4, 4),
        ("huber", lambda x: s.huber(1.3, x), lambda x: np.clip(x, -1.3, 1.3), -4, 4),
        ("boxcox", lambda x: s.boxcox(x, 0.4), lambda x: x**-0.6, 0.2, 5),
        ("inv_boxcox", lambda x: s.inv_boxcox(x, 0.4), lambda x: (0.4 * x + 1) ** 1.5, 0.2, 5),
        ("gammainc, gamma.pdf", lambda x: s.gammainc(2.5, x), lambda x: stats.gamma.pdf(x, 2.5), 0.1, 8),
        ("betainc, beta.pdf", lambda x: s.betainc(2.5, 1.5, x), lambda x: stats.beta.pdf(x, 2.5, 1.5), 0.05, 0.95),
        ("ellipk", s.ellipk, lambda m: (s.ellipe(m) / (1 - m) - s.ellipk(m)) / (2 * m), 0.1, 0.9),
        ("ellipe", s.ellipe, lambda m: (s.ellipe(m) - s.ellipk(m)) / (2 * m), 0.1, 0.9),
        ("ellipkinc", lambda t: s.ellipkinc(t, 0.6), lambda t: 1 / np.sqrt(1 - 0.6 * np.sin(t) ** 2), 0.1, 1.4),
        ("ellipj, sn' = cn dn", lambda u: s.ellipj(u, 0.6)[0], lambda u: np.prod(s.ellipj(u, 0.6)[1:3], axis=0), 0, 3),
        ("hyp2f1", lambda x: s.hyp2f1(0.7, 1.3, 2.1, x), lambda x: 0.91 / 2.1 * s.hyp2f1(1.7, 2.3, 3.1, x), -0.8, 0.6),
        ("hyp1f1", lambda x: s.hyp1f1(0.7, 2.1, x), lambda x: 0.7 / 2.1 * s.hyp1f1(1.7, 3.1, x), -3, 3),
        ("rel_entr", lambda x: s.rel_entr(x, 0.4), lambda x: np.log(x / 0.4) + 1, 0.05, 2),
        ("kl_div", lambda x: s.kl_div(x, 0.4), lambda x: np.log(x / 0.4), 0.05, 2),
    ):
        yield curve(f"special: {name}", f, derivative, low, high)


def vectors() -> Iterator[Case]:
    yield Case(
        "special: logsumexp, softmax",
        lambda rng: (special.logsumexp, lambda x, v: v * special.softmax(x), (rng.normal(0, 3, 6),)),
    )
    yield jacobian(
        "special.softmax",
        lambda rng: (
            special.softmax,
            lambda x: np.diag(special.softmax(x)) - np.outer(special.softmax(x), special.softmax(x)),
            rng.normal(0, 2, 5),
        ),
    )
    yield jacobian(
        "special.log_softmax",
        lambda rng: (
            special.log_softmax,
            lambda x: np.eye(5) - special.softmax(x),
            rng.normal(0, 2, 5),
        ),
    )
    yield Case(
        "special: betaln, digamma",
        lambda rng: (
            special.betaln,
            lambda a, b, v: (
                v * (special.digamma(a) - special.digamma(a + b)),
                v * (special.digamma(b) - special.digamma(a + b)),
            ),
            (rng.uniform(0.4, 5, 4), rng.uniform(0.4, 5, 4)),
        ),
    )
    yield Case(
        "optimize.rosen_der",
        lambda rng: (optimize.rosen, lambda x, v: v * optimize.rosen_der(x), (rng.normal(0, 1.5, 5),)),
    )
    yield jacobian("optimize.rosen_hess", lambda rng: (optimize.rosen_der, optimize.rosen_hess, rng.normal(0, 1.5, 5)))
    yield Case(
        "optimize.rosen_hess_prod",
        lambda rng: (optimize.rosen_der, optimize.rosen_hess_prod, (rng.normal(0, 1.5, 5),)),
    )
    yield Case(
        "linalg.expm_frechet",
        lambda rng: (
            linalg.expm,
            lambda a, v: linalg.expm_frechet(a.T, v, compute_expm=False),
            (rng.normal(0, 1, (3, 3)),),
        ),
    )


def losses() -> Iterator[Case]:
    for name, loss in IMPLEMENTED_LOSSES.items():
        if name == "linear":
            continue

        def rho(z: Any, part: int, loss: Any = loss) -> Any:
            out = np.empty((3, len(z)))
            loss(z, out, cost_only=False)
            return out[part]

        for order in (1, 2):
            yield curve(
                f"optimize.least_squares loss {name}, derivative {order}",
                lambda z, rho=rho, order=order: rho(z, order - 1),
                lambda z, rho=rho, order=order: rho(z, order),
                0.1,
                4.0,
            )

        def make(rng: Generator, name: str = name) -> Any:
            scaled = construct_loss_function(4, name, 0.7)
            cost = lambda f: scaled(f, cost_only=True)
            return cost, lambda f, v: v * f * scaled(f)[1], (rng.normal(0, 1, 4),)

        yield Case(f"optimize.least_squares scaled loss {name}", make)


def distributions() -> Iterator[Case]:
    d = stats
    for name, frozen, low, high in (
        ("norm", d.norm(0.3, 1.4), -3, 3),
        ("t", d.t(3.5), -4, 4),
        ("cauchy", d.cauchy(), -4, 4),
        ("laplace", d.laplace(), -3, 3),
        ("logistic", d.logistic(), -5, 5),
        ("gumbel_r", d.gumbel_r(), -2, 5),
        ("gumbel_l", d.gumbel_l(), -5, 2),
        ("skewnorm", d.skewnorm(1.5), -2, 3),
        ("gamma", d.gamma(2.5), 0.2, 8),
        ("beta", d.beta(2.5, 1.5), 0.05, 0.95),
        ("chi2", d.chi2(4), 0.2, 10),
        ("expon", d.expon(), 0.1, 5),
        ("f", d.f(4, 7), 0.2, 5),
        ("weibull_min", d.weibull_min(1.7), 0.1, 3),
        ("pareto", d.pareto(2.2), 1.1, 6),
        ("lognorm", d.lognorm(0.8), 0.1, 5),
        ("rayleigh", d.rayleigh(), 0.1, 4),
        ("invgamma", d.invgamma(3.0), 0.1, 3),
        ("invgauss", d.invgauss(0.8), 0.1, 3),
        ("genextreme", d.genextreme(0.2), -2, 3),
        ("genpareto", d.genpareto(0.3), 0.1, 4),
        ("johnsonsu", d.johnsonsu(0.5, 1.5), -3, 3),
        ("kappa3", d.kappa3(1.5), 0.2, 4),
        ("loggamma", d.loggamma(1.5), -3, 2),
        ("nakagami", d.nakagami(1.4), 0.2, 3),
        ("powerlaw", d.powerlaw(1.7), 0.1, 0.9),
        ("triang", d.triang(0.4), 0.05, 0.95),
        ("vonmises", d.vonmises(1.5), -3, 3),
        ("wald", d.wald(), 0.1, 4),
        ("burr12", d.burr12(2.0, 1.5), 0.1, 4),
    ):
        yield curve(f"stats.{name}: cdf, pdf", frozen.cdf, frozen.pdf, low, high)
    for name, frozen, low, high in (
        ("norm", d.norm(), -4, 4),
        ("gamma", d.gamma(2.5), 0.2, 8),
        ("logistic", d.logistic(), -6, 6),
        ("weibull_min", d.weibull_min(1.7), 0.1, 3),
        ("t", d.t(3.5), -4, 4),
    ):
        yield curve(
            f"stats.{name}: logsf, -pdf / sf",
            frozen.logsf,
            lambda x, s=frozen: -np.exp(s.logpdf(x) - s.logsf(x)),
            low,
            high,
        )
        yield curve(f"stats.{name}: ppf, 1 / pdf", frozen.ppf, lambda p, s=frozen: 1 / s.pdf(s.ppf(p)), 0.05, 0.95)


def splines() -> Iterator[Case]:
    def case(name: str, make: Any) -> Case:
        """``make`` returns the interpolant of some points and its derivative."""

        def with_points(rng: Generator) -> Any:
            t = np.cumsum(rng.uniform(0.3, 1.0, 9))
            f, derivative = make(t, rng.normal(0, 1, 9))
            return f, lambda x, v: v * derivative(x), (rng.uniform(t[0], t[-1], 6),)

        return Case(f"interpolate.{name}", with_points)

    i = interpolate
    for name, kind in (
        ("CubicSpline.derivative", i.CubicSpline),
        ("PchipInterpolator.derivative", i.PchipInterpolator),
        ("Akima1DInterpolator.derivative", i.Akima1DInterpolator),
        ("make_interp_spline.derivative", i.make_interp_spline),
        ("make_interp_spline(k=5).derivative", lambda t, y: i.make_interp_spline(t, y, k=5)),
        ("InterpolatedUnivariateSpline.derivative", i.InterpolatedUnivariateSpline),
        ("UnivariateSpline.derivative", lambda t, y: i.UnivariateSpline(t, y, s=1.0)),
    ):
        yield case(name, lambda t, y, kind=kind: ((f := kind(t, y)), f.derivative()))
        yield case(f"{name}(2)", lambda t, y, kind=kind: ((f := kind(t, y)).derivative(), f.derivative(2)))
    yield case("CubicSpline.antiderivative", lambda t, y: ((f := i.CubicSpline(t, y)).antiderivative(), f))
    yield case("BSpline.antiderivative", lambda t, y: ((f := i.make_interp_spline(t, y)).antiderivative(), f))
    yield case("CubicSpline(nu=1)", lambda t, y: ((f := i.CubicSpline(t, y)), lambda x: f(x, 1)))
    yield case("KroghInterpolator.derivative", lambda t, y: ((f := i.KroghInterpolator(t, y)), f.derivative))
    yield case(
        "BarycentricInterpolator.derivative", lambda t, y: ((f := i.BarycentricInterpolator(t, y)), f.derivative)
    )
    yield case("BPoly.derivative", lambda t, y: ((f := i.BPoly(y[:8].reshape(4, 2), t[:3])), f.derivative()))

    def splev(t: Array, y: Array) -> Any:
        spline = i.splrep(t, y)
        return lambda x: i.splev(x, spline), lambda x: i.splev(x, spline, der=1)

    yield case("splev(der=1)", splev)

    def surface(rng: Generator) -> Any:
        x, y = np.cumsum(rng.uniform(0.3, 1, 7)), np.cumsum(rng.uniform(0.3, 1, 6))
        spline = i.RectBivariateSpline(x, y, rng.normal(0, 1, (7, 6)))
        points = rng.uniform(x[0], x[-1], 4), rng.uniform(y[0], y[-1], 4)
        return spline.ev, lambda x, y, v: (v * spline.ev(x, y, dx=1), v * spline.ev(x, y, dy=1)), points

    yield Case("interpolate.RectBivariateSpline.ev(dx=1)", surface)

    def several(rng: Generator) -> Any:
        spline = i.NdPPoly(rng.normal(0, 1, (3, 3, 2, 2)), ([0, 1, 2], [0, 1, 2]))
        gradient = lambda x, v: np.stack([v * spline(x, nu=(1, 0)), v * spline(x, nu=(0, 1))], axis=-1)
        return spline, gradient, (rng.uniform(0.05, 1.95, (4, 2)),)

    yield Case("interpolate.NdPPoly(nu=(1, 0))", several)
    yield curve(
        "interpolate.BSpline.basis_element.derivative",
        i.BSpline.basis_element([0, 1, 2.5, 3, 4]),
        i.BSpline.basis_element([0, 1, 2.5, 3, 4]).derivative(),
        0.1,
        3.9,
    )


def regression() -> Iterator[Case]:
    """Return the models of ``odr`` with their Jacobians."""
    models = (
        ("unilinear", odr.unilinear, 2),
        ("quadratic", odr.quadratic, 3),
        ("exponential", odr.exponential, 2),
        ("polynomial(3)", odr.polynomial(3), 4),
        ("multilinear", odr.multilinear, 2),
    )
    for name, model, count in models:
        extra = model.extra_args or ()

        def by_parameters(rng: Generator, model: Any = model, count: int = count, extra: Any = extra) -> Any:
            x = rng.uniform(-1.5, 1.5, 6)
            # fjacb has the axis of the parameters first
            slopes = lambda b: np.moveaxis(np.asarray(model.fjacb(b, x, *extra)).reshape(count, -1), 0, -1)
            return lambda b: np.ravel(model.fcn(b, x, *extra)), slopes, rng.normal(0, 1, count)

        def by_inputs(rng: Generator, model: Any = model, count: int = count, extra: Any = extra) -> Any:
            b = rng.normal(0, 1, count)
            f = lambda x: np.ravel(model.fcn(b, x, *extra))
            return f, lambda x, v: v * np.ravel(model.fjacd(b, x, *extra)), (rng.uniform(-1.5, 1.5, 6),)

        yield jacobian(f"odr.{name}.fjacb", by_parameters)
        yield Case(f"odr.{name}.fjacd", by_inputs)


CASES = flat(
    [
        bessel(),
        parabolic_and_spheroidal(),
        legendre(),
        pairs(),
        vectors(),
        losses(),
        distributions(),
        splines(),
        regression(),
    ]
)
