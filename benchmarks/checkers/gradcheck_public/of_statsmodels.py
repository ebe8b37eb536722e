"""Derivatives of statsmodels: links, norms, penalties, copulas' generators, scores and Hessians of its models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import statsmodels.api as sm
from scipy import stats
from statsmodels.base import _penalties as penalties
from statsmodels.discrete import conditional_models, count_model, discrete_model, truncated_model
from statsmodels.distributions.copula import transforms
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM, PoissonBayesMixedGLM
from statsmodels.genmod.families import links, varfuncs
from statsmodels.genmod.qif import QIF, QIFExchangeable
from statsmodels.multivariate.factor import Factor
from statsmodels.multivariate.factor_rotation import _gpa_rotation as rotation
from statsmodels.othermod.betareg import BetaModel
from statsmodels.regression.dimred import CovarianceReduction
from statsmodels.regression.process_regression import ProcessMLE
from statsmodels.robust import norms

from benchmarks.checkers.gradcheck_public.cases import Array, Case, Generator, curve, flat, likelihood

N = 30
COEFFICIENTS = np.array([0.3, -0.5, 0.4])


def design(rng: Generator, rows: int = N) -> Array:
    return np.column_stack([np.ones(rows), rng.normal(0, 1, (rows, 2))])


def near(rng: Generator, *more: float) -> Array:
    """Return parameters to look at: coefficients, and others after them."""
    return np.array([*COEFFICIENTS, *more]) + rng.normal(0, 0.1, 3 + len(more))


def link_functions() -> Iterator[Case]:
    for name, link, low, high in (
        ("Logit", links.Logit(), 0.05, 0.95),
        ("Probit", links.Probit(), 0.05, 0.95),
        ("Cauchy", links.Cauchy(), 0.05, 0.95),
        ("CLogLog", links.CLogLog(), 0.05, 0.95),
        ("LogLog", links.LogLog(), 0.05, 0.95),
        ("CDFLink(logistic)", links.CDFLink(stats.logistic), 0.05, 0.95),
        ("Log", links.Log(), 0.1, 5),
        ("LogC", links.LogC(), 0.05, 0.9),
        ("Identity", links.Identity(), -2, 2),
        ("InversePower", links.InversePower(), 0.2, 4),
        ("InverseSquared", links.InverseSquared(), 0.2, 4),
        ("Sqrt", links.Sqrt(), 0.2, 4),
        ("Power(1.7)", links.Power(1.7), 0.2, 4),
        ("NegativeBinomial", links.NegativeBinomial(0.8), 0.2, 4),
    ):
        yield curve(f"links.{name}.deriv", link, link.deriv, low, high)
        ends = sorted(float(link(np.array(p))) for p in (low, high))
        yield curve(f"links.{name}.inverse_deriv", link.inverse, link.inverse_deriv, *ends)
        if type(link) is not links.CDFLink:  # its second derivatives are finite differences
            yield curve(f"links.{name}.deriv2", link.deriv, link.deriv2, low, high)
            yield curve(f"links.{name}.inverse_deriv2", link.inverse_deriv, link.inverse_deriv2, *ends)
    for name, variance, low, high in (
        ("constant", varfuncs.constant, 0.2, 4),
        ("mu", varfuncs.mu, 0.2, 4),
        ("mu_squared", varfuncs.mu_squared, 0.2, 4),
        ("mu_cubed", varfuncs.mu_cubed, 0.2, 4),
        ("binary", varfuncs.binary, 0.05, 0.95),
        ("nbinom", varfuncs.nbinom, 0.2, 4),
    ):
        yield curve(f"varfuncs.{name}.deriv", variance, variance.deriv, low, high)


def robust_norms() -> Iterator[Case]:
    for norm in (
        norms.LeastSquares(),
        norms.HuberT(),
        norms.RamsayE(),
        norms.AndrewWave(),
        norms.TrimmedMean(2.0),
        norms.Hampel(),
        norms.TukeyBiweight(),
        norms.TukeyQuartic(),
        norms.StudentT(),
        norms.MQuantileNorm(0.3, norms.HuberT()),
    ):
        name = f"norms.{type(norm).__name__}"
        yield curve(f"{name}.psi", norm.rho, norm.psi, -10, 10, size=8)
        yield curve(f"{name}.psi_deriv", norm.psi, norm.psi_deriv, -10, 10, size=8)


def penalty_functions() -> Iterator[Case]:
    for penalty in (
        penalties.L2(),
        penalties.L2Univariate(),
        penalties.PseudoHuber(0.7),
        penalties.SCAD(0.5),
        penalties.SCADSmoothed(0.5, c0=0.1),
    ):
        name = f"penalties.{type(penalty).__name__}"
        total = lambda p, penalty=penalty: np.sum(penalty.func(p))
        yield Case(
            f"{name}.deriv",
            lambda rng, f=total, p=penalty: (f, lambda x, v: v * p.deriv(x), (rng.normal(0, 1, 5),)),
        )
        yield curve(f"{name}.deriv2", penalty.deriv, penalty.deriv2, -2.5, 2.5)

    def contrasts(rng: Generator) -> Any:
        penalty = penalties.ConstraintsPenalty(penalties.PseudoHuber(0.7), restriction=rng.normal(0, 1, (3, 4)))
        # the univariate penalty sums already, if it is no L2Univariate
        return penalty.func, lambda x, v: v * penalty.deriv(x), (rng.normal(0, 1, 4),)

    yield Case("penalties.ConstraintsPenalty.deriv", contrasts)


def generators_of_copulas() -> Iterator[Case]:
    for name, transform, theta in (
        ("Frank", transforms.TransfFrank(), 1.7),
        ("Clayton", transforms.TransfClayton(), 0.8),
        ("Gumbel", transforms.TransfGumbel(), 2.0),
        ("Indep", transforms.TransfIndep(), None),
    ):

        def pair(
            f: str, derivative: str, low: float, high: float, name: str = name, of: Any = (transform, theta)
        ) -> Case:
            bound = lambda method: lambda x: getattr(of[0], method)(x, of[1])
            return curve(f"copula.transforms.{name}.{derivative}", bound(f), bound(derivative), low, high)

        if name != "Frank":  # its deriv has another sign: see errors_found
            yield pair("evaluate", "deriv", 0.1, 0.9)
        yield pair("deriv", "deriv2", 0.1, 0.9)
        if name == "Clayton":
            yield pair("inverse", "deriv_inverse", 0.2, 2)
            yield pair("deriv_inverse", "deriv2_inverse", 0.2, 2)
        if name != "Indep":
            yield pair("deriv2_inverse", "deriv3_inverse", 0.2, 2)
            yield pair("deriv3_inverse", "deriv4_inverse", 0.2, 2)


def discrete() -> Iterator[Any]:
    score = ("loglike", "score", "hessian")
    by_row = ("loglikeobs", "score_obs")

    def counts(kind: Any, *more: float, **options: Any) -> Any:
        def make(rng: Generator) -> Any:
            x = design(rng)
            y = rng.poisson(np.exp(x @ COEFFICIENTS)) + options.get("shift", 0)
            model = kind(y, x, **{name: value for name, value in options.items() if name != "shift"})
            model._transparams = False  # the dispersion itself, not its logarithm, as the Hessian takes it
            return model, near(rng, *more)

        return make

    def binary(kind: Any) -> Any:
        return lambda rng: (kind(rng.integers(0, 2, N), design(rng)), near(rng))

    d, c, t = discrete_model, count_model, truncated_model
    for name, make in (
        ("Logit", binary(d.Logit)),
        ("Probit", binary(d.Probit)),
        ("Poisson", counts(d.Poisson)),
        ("NegativeBinomial(nb2)", counts(d.NegativeBinomial, 0.6)),
        ("NegativeBinomial(nb1)", counts(d.NegativeBinomial, 0.6, loglike_method="nb1")),
        ("NegativeBinomial(geometric)", counts(d.NegativeBinomial, loglike_method="geometric")),
        ("NegativeBinomialP(2)", counts(d.NegativeBinomialP, 0.6, p=2)),
        ("GeneralizedPoisson(1)", counts(d.GeneralizedPoisson, 0.5, p=1)),
        ("GeneralizedPoisson(2)", counts(d.GeneralizedPoisson, 0.5, p=2)),
        ("NegativeBinomialP(1.5)", counts(d.NegativeBinomialP, 0.6, p=1.5)),
        ("TruncatedLFPoisson", counts(t.TruncatedLFPoisson, shift=1)),
    ):
        # the Hessian of the last is a finite difference, that of the last but one wrong: see errors_found
        by_hand = score[:2] if name in ("NegativeBinomialP(1.5)", "TruncatedLFPoisson") else score
        yield likelihood(f"discrete.{name}", make, *by_hand)
        yield likelihood(f"discrete.{name}", make, *by_row)
    for name, make in (
        ("ZeroInflatedPoisson", counts(c.ZeroInflatedPoisson)),
        ("ZeroInflatedGeneralizedPoisson", counts(c.ZeroInflatedGeneralizedPoisson, 0.5)),
        ("ZeroInflatedNegativeBinomialP", counts(c.ZeroInflatedNegativeBinomialP, 0.5)),
    ):

        def inflated(rng: Generator, make: Any = make) -> Any:
            model, parameters = make(rng)
            return model, np.concatenate([[-0.4], parameters])

        yield likelihood(f"discrete.{name}", inflated, "loglike", "score")
        yield likelihood(f"discrete.{name}", inflated, *by_row)

    def several(rng: Generator) -> Any:
        model = d.MNLogit(rng.integers(0, 3, N), design(rng))
        return model, rng.normal(0, 0.5, 6)

    yield likelihood("discrete.MNLogit", several, *score)
    yield likelihood("discrete.Logit", binary(d.Logit), "predict", "_derivative_predict")
    yield likelihood("discrete.Poisson", counts(d.Poisson), "predict", "_derivative_predict")

    def grouped(kind: Any, y: Any) -> Any:
        def make(rng: Generator) -> Any:
            return kind(y(rng), rng.normal(0, 1, (N, 3)), groups=np.repeat(np.arange(6), 5)), near(rng)

        return make

    both = lambda rng: np.tile([0, 1, 1, 0, 1], 6)
    yield likelihood(
        "discrete.ConditionalLogit", grouped(conditional_models.ConditionalLogit, both), "loglike", "score"
    )
    yield likelihood(
        "discrete.ConditionalPoisson",
        grouped(conditional_models.ConditionalPoisson, lambda rng: rng.poisson(2.0, N)),
        "loglike",
        "score",
    )
    yield likelihood(
        "discrete.ConditionalMNLogit",
        lambda rng: (
            conditional_models.ConditionalMNLogit(
                np.tile([0, 1, 2, 0, 1], 6), rng.normal(0, 1, (N, 2)), groups=np.repeat(np.arange(6), 5)
            ),
            rng.normal(0, 0.5, 4),
        ),
        "loglike",
        "score",
    )


def generalized_linear() -> Iterator[Any]:
    f = sm.families
    positive = lambda rng, mu: rng.gamma(2.0, mu / 2)
    for name, family, mean, draw in (
        ("Gaussian", f.Gaussian(), lambda z: z, lambda rng, mu: rng.normal(mu)),
        ("Gaussian, log", f.Gaussian(links.Log()), np.exp, lambda rng, mu: rng.normal(mu)),
        ("Poisson", f.Poisson(), np.exp, lambda rng, mu: rng.poisson(mu)),
        ("Poisson, sqrt", f.Poisson(links.Sqrt()), lambda z: (z + 3) ** 2, lambda rng, mu: rng.poisson(mu)),
        ("Binomial", f.Binomial(), lambda z: 1 / (1 + np.exp(-z)), lambda rng, mu: rng.binomial(1, mu)),
        ("Binomial, probit", f.Binomial(links.Probit()), stats.norm.cdf, lambda rng, mu: rng.binomial(1, mu)),
        ("Binomial, cloglog", f.Binomial(links.CLogLog()), stats.norm.cdf, lambda rng, mu: rng.binomial(1, mu)),
        ("Binomial, cauchy", f.Binomial(links.Cauchy()), stats.norm.cdf, lambda rng, mu: rng.binomial(1, mu)),
        ("Gamma, log", f.Gamma(links.Log()), np.exp, positive),
        ("InverseGaussian, log", f.InverseGaussian(links.Log()), np.exp, positive),
        ("NegativeBinomial", f.NegativeBinomial(alpha=0.7), np.exp, lambda rng, mu: rng.poisson(mu)),
        ("Tweedie, log", f.Tweedie(links.Log(), 1.5, eql=True), np.exp, positive),
    ):

        def make(rng: Generator, family: Any = family, mean: Any = mean, draw: Any = draw) -> Any:
            x = design(rng)
            shift = [3, 0, 0] if isinstance(family.link, links.Sqrt) else 0  # to where its root is positive
            return GLM(draw(rng, mean(x @ COEFFICIENTS)), x, family=family), near(rng) + shift

        yield likelihood(f"GLM({name})", make, "at_scale_1", "score_at_1", "hessian_at_1")

    def beta(rng: Generator) -> Any:
        return BetaModel(rng.uniform(0.05, 0.95, N), design(rng)), near(rng, 1.0)

    yield likelihood("BetaModel", beta, "loglike", "score", "hessian")
    yield likelihood("BetaModel", beta, "loglikeobs", "score_obs")


class GLM(sm.GLM):  # type: ignore[misc]
    """The likelihood, the score and the observed Hessian with the same scale."""

    def at_scale_1(self, params: Array) -> Any:
        return self.loglike(params, scale=1.0)

    def score_at_1(self, params: Array) -> Any:
        return self.score(params, scale=1.0)

    def hessian_at_1(self, params: Array) -> Any:
        return self.hessian(params, scale=1.0, observed=True)


def other_models() -> Iterator[Any]:
    for ties in ("breslow", "efron"):
        yield likelihood(
            f"PHReg({ties})",
            lambda rng, ties=ties: (
                PHReg(rng.integers(1, 12, N).astype(float), rng.normal(0, 1, (N, 3)), rng.integers(0, 2, N), ties=ties),
                near(rng),
            ),
            "loglike",
            "score",
            "hessian",
        )

    def mixed(kind: Any, draw: Any) -> Any:
        def make(rng: Generator) -> Any:
            groups = np.repeat(np.arange(5), 6)
            model = kind(draw(rng), design(rng), np.eye(5)[groups], np.zeros(5, int))
            return model, rng.normal(0, 0.5, 3 + 1 + 5)

        return make

    yield likelihood(
        "BinomialBayesMixedGLM",
        mixed(BinomialBayesMixedGLM, lambda rng: rng.integers(0, 2, N)),
        "logposterior",
        "logposterior_grad",
    )
    yield likelihood(
        "PoissonBayesMixedGLM",
        mixed(PoissonBayesMixedGLM, lambda rng: rng.poisson(2.0, N)),
        "logposterior",
        "logposterior_grad",
    )

    def bound(rng: Generator) -> Any:
        model, _ = mixed(PoissonBayesMixedGLM, lambda rng: rng.poisson(2.0, N))(rng)

        def gradient(mean: Array, sd: Array, v: Array) -> Any:
            return tuple(v * part for part in model.vb_elbo_grad(mean, sd))

        return model.vb_elbo, gradient, (rng.normal(0, 0.3, 9), rng.uniform(0.2, 0.6, 9))

    yield Case("PoissonBayesMixedGLM.vb_elbo_grad", bound)

    def reduction(rng: Generator) -> Any:
        model = CovarianceReduction(np.repeat([0, 1, 2], 20), rng.normal(0, 1, (60, 4)) * rng.uniform(0.5, 2, 4), 2)
        return model, rng.normal(0, 1, 8)

    yield likelihood("CovarianceReduction", reduction, "loglike", "score")

    def factor(rng: Generator) -> Any:
        model = Factor(rng.normal(0, 1, (50, 4)) @ rng.normal(0, 1, (4, 4)), n_factor=1, method="ml")
        return model, np.concatenate([rng.uniform(0.5, 1, 4), rng.normal(0, 0.5, 4)])

    yield likelihood("Factor", factor, "loglike", "score")

    def process(rng: Generator) -> Any:
        x, time, groups = design(rng, 20), rng.uniform(0, 3, 20), np.repeat(np.arange(4), 5)
        model = ProcessMLE(rng.normal(0, 1, 20), x, x[:, :2], x[:, :2], x[:, :1], time, groups)
        return model, rng.normal(0, 0.3, 8)

    yield likelihood("ProcessMLE", process, "loglike", "score")

    def effects(rng: Generator) -> Any:
        groups = np.repeat(np.arange(6), 5)
        model = sm.MixedLM(rng.normal(0, 1, N), design(rng), groups, design(rng)[:, :2])
        model.cov_pen, model._freepat, model._cov_sing = None, None, 0  # as fit() says
        return model, np.array([0.8, 0.2, 0.7]) + rng.normal(0, 0.05, 3)

    yield likelihood("MixedLM", effects, "loglike", "score")

    def inference(rng: Generator) -> Any:
        x, groups = design(rng, 60), np.repeat(np.arange(20), 3)
        y = rng.poisson(np.exp(x @ COEFFICIENTS)).astype(float)
        model = QIF(y, x, groups, family=sm.families.Poisson(), cov_struct=QIFExchangeable())
        return lambda p: model.objective(p)[0], lambda p, v: v * model.objective(p)[1], (near(rng),)

    yield Case("QIF.objective", inference)


def rotations() -> Iterator[Case]:
    for name, objective in (
        ("oblimin", lambda loadings: rotation.oblimin_objective(L=loadings, gamma=0.3, rotation_method="oblique")),
        ("orthomax", lambda loadings: rotation.orthomax_objective(L=loadings, gamma=0.7)),
        ("CF", lambda loadings: rotation.CF_objective(L=loadings, kappa=0.3, rotation_method="oblique")),
        ("target", lambda loadings: rotation.vgQ_target(np.ones((5, 2)), L=loadings)),
        ("partial target", lambda loadings: rotation.vgQ_partial_target(np.ones((5, 2)), W=np.eye(5, 2), L=loadings)),
    ):
        yield Case(
            f"factor_rotation.{name}",
            lambda rng, f=objective: (lambda x: f(x)[0], lambda x, v: v * f(x)[1], (rng.normal(0, 1, (5, 2)),)),
        )


CASES = flat(
    group
    for source in (
        link_functions,
        robust_norms,
        penalty_functions,
        generators_of_copulas,
        discrete,
        generalized_linear,
        other_models,
        rotations,
    )
    for group in source()
)
