"""Derivatives of scikit-learn: losses, kernels, likelihoods, the multi-layer perceptron, embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.spatial.distance import squareform
from sklearn._loss import loss as losses
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor, kernels
from sklearn.linear_model import _sgd_fast as stochastic
from sklearn.linear_model._huber import _huber_loss_and_gradient
from sklearn.linear_model._linear_loss import LinearModelLoss
from sklearn.manifold import _t_sne
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.neural_network import MLPClassifier, MLPRegressor, _base

from benchmarks.checkers.gradcheck_public.cases import Array, Case, Function, Generator, curve, flat, jacobian

N = 8


def scalar(name: str, make: Any) -> Case:
    """Return a case of a function that returns its value and its gradient; ``make`` returns it and its input."""

    def split(rng: Generator) -> Any:
        both, x = make(rng)
        return lambda x: both(x)[0], lambda x, v: v * both(x)[1], (x,)

    return Case(name, split)


def of_predictions() -> Iterator[Case]:
    """Return the losses by the raw predictions, and their gradients again."""
    positive = lambda rng: rng.gamma(2.0, 1.0, N)
    binary = lambda rng: rng.integers(0, 2, N).astype(float)
    for loss, targets, low in (
        (losses.HalfSquaredError(), positive, -2.0),
        (losses.AbsoluteError(), positive, -2.0),
        (losses.PinballLoss(quantile=0.3), positive, -2.0),
        (losses.HuberLoss(quantile=0.8, delta=0.9), positive, -2.0),
        (losses.HalfPoissonLoss(), positive, -2.0),
        (losses.HalfGammaLoss(), positive, -2.0),
        (losses.HalfTweedieLoss(power=1.5), positive, -2.0),
        (losses.HalfTweedieLossIdentity(power=1.5), positive, 0.3),
        (losses.HalfTweedieLossIdentity(power=3.0), positive, 0.3),
        (losses.HalfBinomialLoss(), binary, -3.0),
        (losses.ExponentialLoss(), binary, -3.0),
    ):
        name = f"_loss.{type(loss).__name__}" + (f"({p})" if (p := getattr(loss.closs, "power", None)) else "")

        def first(rng: Generator, loss: Any = loss, targets: Any = targets, low: float = low) -> Any:
            y, w = targets(rng), rng.uniform(0.5, 2, N)
            f = lambda r: loss.loss(y, r, w)
            return f, lambda r, v: v * loss.gradient(y, r, w), (rng.uniform(low, 2.5, N),)

        def second(rng: Generator, loss: Any = loss, targets: Any = targets, low: float = low) -> Any:
            y = targets(rng)
            f = lambda r: loss.gradient(y, r)
            return f, lambda r, v: v * loss.gradient_hessian(y, r)[1], (rng.uniform(low, 2.5, N),)

        yield Case(f"{name}.gradient", first)
        if type(loss) not in (losses.AbsoluteError, losses.PinballLoss, losses.HuberLoss):  # theirs is 1 by choice
            yield Case(f"{name}.gradient_hessian", second)

    def several(rng: Generator) -> Any:
        loss, y = losses.HalfMultinomialLoss(n_classes=3), rng.integers(0, 3, N).astype(float)
        f = lambda r: loss.loss(y, r)
        return f, lambda r, v: v[:, np.newaxis] * loss.gradient(y, r), (rng.normal(0, 1, (N, 3)),)

    yield Case("_loss.HalfMultinomialLoss.gradient", several)
    for loss, low, high in (
        (stochastic.Hinge(1.0), -2, 3),
        (stochastic.SquaredHinge(1.0), -2, 3),
        (stochastic.ModifiedHuber(), -3, 3),
        (stochastic.EpsilonInsensitive(0.3), -3, 3),
        (stochastic.SquaredEpsilonInsensitive(0.3), -3, 3),
    ):
        each = lambda method: np.vectorize(lambda p: method(p, 1.0), otypes=[float])
        yield curve(f"_sgd_fast.{type(loss).__name__}", each(loss.py_loss), each(loss.py_dloss), low, high)


def linear_models() -> Iterator[Case]:
    data = lambda rng: rng.normal(0, 1, (20, 3))
    for loss, targets in (
        (losses.HalfSquaredError(), lambda rng: rng.normal(0, 1, 20)),
        (losses.HalfBinomialLoss(), lambda rng: rng.integers(0, 2, 20).astype(float)),
        (losses.HalfPoissonLoss(), lambda rng: rng.poisson(2.0, 20).astype(float)),
        (losses.HalfGammaLoss(), lambda rng: rng.gamma(2.0, 1.0, 20)),
        (losses.HalfMultinomialLoss(n_classes=3), lambda rng: rng.integers(0, 3, 20).astype(float)),
    ):
        for intercept in (False, True):
            shape = (3 + intercept,) if loss.n_classes is None or loss.n_classes < 3 else (3, 3 + intercept)

            def make(rng: Generator, loss: Any = loss, t: Any = targets, i: bool = intercept, s: Any = shape) -> Any:
                model, x, y = LinearModelLoss(loss, i), data(rng), t(rng)
                f = lambda w: model.loss(np.asarray(w, order="F"), x, y, None, 0.3)
                both = lambda w: model.loss_gradient(np.asarray(w, order="F"), x, y, None, 0.3)[1]
                return f, lambda w, v: v * np.reshape(both(w), s), (rng.normal(0, 0.7, s),)

            def product(rng: Generator, loss: Any = loss, t: Any = targets, i: bool = intercept, s: Any = shape) -> Any:
                model, x, y = LinearModelLoss(loss, i), data(rng), t(rng)
                f = lambda w: model.gradient(np.asarray(w, order="F"), x, y, None, 0.3).reshape(s)

                def backward(w: Array, v: Array) -> Array:
                    _, times = model.gradient_hessian_product(np.asarray(w, order="F"), x, y, None, 0.3)
                    return np.reshape(times(np.asarray(v, order="F").ravel(order="F") if len(s) == 1 else v), s)

                return f, backward, (rng.normal(0, 0.7, s),)

            name = f"LinearModelLoss({type(loss).__name__}, fit_intercept={intercept})"
            yield Case(f"{name}.loss_gradient", make)
            yield Case(f"{name}.gradient_hessian_product", product)
    for intercept in (False, True):

        def huber(rng: Generator, intercept: bool = intercept) -> Any:
            x, y, weights = data(rng), rng.normal(0, 2, 20), rng.uniform(0.5, 2, 20)
            both = lambda w: _huber_loss_and_gradient(w, x, y, 1.35, 0.1, weights)
            return both, np.concatenate([rng.normal(0, 0.5, 3 + intercept), [1.2]])

        yield scalar(f"_huber_loss_and_gradient, intercept {intercept}", huber)


def kernel_list() -> Iterator[Any]:
    k = kernels
    rbf = k.RBF([0.7, 1.3])
    yield from (k.RBF(0.8), rbf, k.ConstantKernel(1.3), k.WhiteKernel(0.4), k.DotProduct(0.8))
    yield from (k.Matern(0.9, nu=nu) for nu in (0.5, 1.5, 2.5, np.inf))
    yield from (k.Matern([0.7, 1.3], nu=nu) for nu in (0.5, 1.5, 2.5))
    yield from (k.RationalQuadratic(0.8, 1.4), k.ExpSineSquared(0.9, 2.1))
    yield from (rbf + k.WhiteKernel(0.3), k.ConstantKernel(1.7) * rbf, k.DotProduct(0.8) ** 2)


def gaussian_processes() -> Iterator[Case]:
    for kernel in kernel_list():

        def make(rng: Generator, kernel: Any = kernel) -> Any:
            x = rng.normal(0, 1, (5, 2))
            at = lambda theta: kernel.clone_with_theta(theta)
            f = lambda theta: at(theta)(x)
            return (
                f,
                lambda theta: at(theta)(x, eval_gradient=True)[1],
                kernel.theta + rng.normal(0, 0.2, kernel.n_dims),
            )

        yield jacobian(f"kernels.{kernel}(eval_gradient=True)", make)
    noise, regressor, classifier = kernels.WhiteKernel(0.3), GaussianProcessRegressor, GaussianProcessClassifier
    for kind, kernel, targets in (
        (regressor, kernels.RBF([0.7, 1.3]) + noise, None),
        (regressor, 1.3 * kernels.Matern(0.8) + noise, None),
        (classifier, 1.3 * kernels.RBF(0.8), 2),
        (classifier, kernels.RationalQuadratic(0.8, 1.4), 2),
    ):

        def likelihood(rng: Generator, kind: Any = kind, kernel: Any = kernel, targets: Any = targets) -> Any:
            x = rng.normal(0, 1, (12, 2))
            y = rng.normal(0, 1, 12) if targets is None else np.arange(12) % targets
            model = kind(kernel, optimizer=None).fit(x, y)
            return lambda theta: model.log_marginal_likelihood(theta, eval_gradient=True), kernel.theta

        yield scalar(f"{kind.__name__}({kernel}).log_marginal_likelihood", likelihood)


def perceptrons() -> Iterator[Case]:
    for name in ("identity", "logistic", "tanh", "relu"):
        in_place, derivative = getattr(_base, f"inplace_{name}"), getattr(_base, f"inplace_{name}_derivative")

        def out(f: Function, *arrays: Array) -> Array:
            """Run a function that changes its last argument, on copies."""
            copies = [np.array(array) for array in arrays]
            f(*copies)
            return copies[-1]

        yield Case(
            f"neural_network._base.inplace_{name}_derivative",
            lambda rng, f=in_place, d=derivative, out=out: (
                lambda x: out(f, x),
                lambda x, v: out(d, out(f, x), v),
                (rng.normal(0, 1.5, (3, 4)),),
            ),
        )
    for activation in ("logistic", "tanh", "relu"):
        for kind, targets in (
            (MLPRegressor, lambda rng: rng.normal(0, 1, 12)),
            (MLPClassifier, lambda rng: np.arange(12) % 2),
            (MLPClassifier, lambda rng: np.arange(12) % 3),
        ):

            def make(rng: Generator, kind: Any = kind, targets: Any = targets, activation: str = activation) -> Any:
                x, y = rng.normal(0, 1, (12, 3)), targets(rng)
                model = kind(
                    hidden_layer_sizes=(4, 3),
                    activation=activation,
                    max_iter=1,
                    alpha=0.1,
                    random_state=0,
                    solver="lbfgs",
                )
                model.fit(x, y)
                targeted = (
                    y.reshape(-1, 1) if kind is MLPRegressor else model._label_binarizer.transform(y).astype(float)
                )
                units = [3, 4, 3, model.n_outputs_]

                def both(packed: Array) -> Any:
                    activations = [x, *(np.empty((12, n)) for n in units[1:])]
                    deltas = [np.empty_like(a) for a in activations[1:]]
                    slopes = [np.empty_like(c) for c in model.coefs_], [np.empty_like(b) for b in model.intercepts_]
                    return model._loss_grad_lbfgs(packed.copy(), x, targeted, None, activations, deltas, *slopes)

                size = sum(a.size for a in (*model.coefs_, *model.intercepts_))
                return both, rng.normal(0, 0.6, size)

            classes = "" if kind is MLPRegressor else f", {targets(np.random.default_rng(0)).max() + 1} classes"
            yield scalar(f"{kind.__name__}{classes}, {activation}: _backprop", make)


def embeddings() -> Iterator[Case]:
    def components(rng: Generator) -> Any:
        model = NeighborhoodComponentsAnalysis(n_components=2)
        model.n_iter_ = 1
        y = np.arange(15) % 3
        x, same = rng.normal(0, 1, (15, 3)), y[:, np.newaxis] == y
        return lambda w: model._loss_grad_lbfgs(w, x, same), rng.normal(0, 0.7, 6)

    yield scalar("NeighborhoodComponentsAnalysis._loss_grad_lbfgs", components)

    def divergence(rng: Generator) -> Any:
        p = rng.uniform(0.1, 1, (8, 8))
        p = squareform(p + p.T, checks=False)
        p /= 2 * p.sum()
        return lambda x: _t_sne._kl_divergence(x, p, 1, 8, 2), rng.normal(0, 1, 16)

    yield scalar("TSNE._kl_divergence, 1 degree of freedom", divergence)  # with 2 it is wrong: see errors_found


CASES = flat([of_predictions(), linear_models(), gaussian_processes(), perceptrons(), embeddings()])
