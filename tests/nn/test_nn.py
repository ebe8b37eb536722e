"""Layers: against PyTorch, against finite differences, and as plain classes."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import Tensor, debug, nn, no_grad
from tinygrad_kr import functional as F
from tinygrad_kr.errors import DtypeError, GraphError, ShapeError
from tinygrad_kr.gradcheck import assert_gradients

ACTIVATIONS = [
    nn.ReLU(),
    nn.LeakyReLU(0.1),
    nn.ELU(0.5),
    nn.SELU(),
    nn.GELU(),
    nn.SiLU(),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.Softplus(),
    nn.Softsign(),
    nn.Identity(),
    nn.Softmax(),
    nn.LogSoftmax(axis=1),
]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def numbers(*shape: int, seed: int = 1) -> Any:
    return rng(seed).normal(size=shape) * 1.5 + 0.3


def stirred(layer: Any) -> Any:
    """Give all that a layer learns values of no special kind."""
    draw = rng(9)
    for name, array in layer.state().items():
        array[...] = draw.uniform(0.5, 2, array.shape) if "var" in name else draw.normal(size=array.shape)
    return layer


class Net(nn.Module):
    """Two layers, the second used twice; a scale of its own; one frozen Tensor."""

    def __init__(self, seed: int = 0) -> None:
        draw = rng(seed)
        self.scale = Tensor(np.ones(3), requires_grad=True)
        self.fc1 = nn.Linear(4, 3, rng=draw)
        self.body = nn.Sequential(nn.Linear(3, 3, rng=draw), nn.BatchNorm(3), nn.Dropout(0.5, rng=draw))
        self.mean = Tensor(np.zeros(4))

    def forward(self, x: Any) -> Any:
        return self.body(self.scale * np.tanh(self.fc1(x - self.mean)))


# Gradients


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_gradient_of_activations(layer: Any) -> None:
    assert_gradients(layer, numbers(3, 4))


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Linear(4, 3), numbers(5, 4)),
        (nn.Linear(4, 3), numbers(4)),
        (nn.Linear(4, 3, bias=False), numbers(2, 5, 4)),
        (nn.BatchNorm(3), numbers(6, 3)),
        (nn.BatchNorm(3), numbers(2, 3, 2, 2)),
        (nn.BatchNorm(3).eval(), numbers(6, 3)),
        (nn.BatchNorm(3).eval(), numbers(2, 3, 2, 2)),
        (nn.LayerNorm(4), numbers(5, 4)),
        (nn.LayerNorm(4), numbers(2, 3, 4)),
        (nn.LayerNorm(4), numbers(4)),
        (nn.Flatten(), numbers(2, 3, 2)),
        (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2)), numbers(5, 3)),
        (Net().eval(), numbers(5, 4)),
    ],
    ids=lambda value: value.title() if isinstance(value, nn.Module) else str(value.shape),
)
def test_gradient(layer: Any, x: Any) -> None:
    assert_gradients(stirred(layer), x, model=layer if layer.params else None)


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.BatchNorm(3), (6, 3)), (nn.BatchNorm(3), (2, 3, 2, 2)), (nn.LayerNorm(4), (2, 3, 4))]
)
def test_gradient_of_the_gradient_of_normalisation(layer: Any, shape: tuple[int, ...]) -> None:
    assert_gradients(stirred(layer), numbers(*shape), order=2)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 2, 4, 4)),
        (lambda: nn.Conv2d(2, 3, (1, 2), stride=(1, 2), bias=False), (2, 2, 3, 4)),
        (lambda: nn.MaxPool2d(2), (2, 2, 4, 4)),
        (lambda: nn.MaxPool2d(3, stride=2, padding=1), (2, 2, 4, 4)),
        (lambda: nn.AvgPool2d(2, stride=1), (2, 2, 3, 3)),
    ],
)
def test_gradient_of_layers_of_images(make: Callable[[], Any], shape: tuple[int, ...]) -> None:
    layer = stirred(make())
    assert_gradients(layer, numbers(*shape), model=layer if layer.params else None)


def test_gradient_of_dropout_with_the_same_draw() -> None:
    layer = nn.Dropout(0.4)

    def same_draw(x: Any) -> Any:
        layer.rng = rng(3)
        return layer(x)

    assert_gradients(same_draw, numbers(4, 5))


# Against PyTorch


def against_torch(ours: Any, theirs: Any, x: Any, names: dict[str, str]) -> None:
    """Compare values, running statistics and gradients in float64, twice in training and once in evaluation."""
    torch = pytest.importorskip("torch")
    theirs = theirs.double()
    stirred(ours)
    state = theirs.state_dict()
    with torch.no_grad():
        for name, array in ours.state().items():
            state[names[name]].copy_(torch.tensor(array.T.copy() if isinstance(ours, nn.Linear) else array))
    for training in (True, True, False):
        ours._set_training(training)
        theirs.train(training)
        a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, expected = ours(a), theirs(b)
        cotangent = numbers(*y.shape, seed=5)
        ours.zero_grad()
        theirs.zero_grad()
        y.backward(cotangent)
        expected.backward(torch.tensor(cotangent))
        close(y.data, expected)
        close(a.grad, b.grad)
        gradients = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            close(parameter.grad.T if isinstance(ours, nn.Linear) else parameter.grad, gradients[names[name]].grad)
        for name, array in ours.named_buffers():
            close(array, theirs.state_dict()[names[name]])
        x = x * 1.1 - 0.2


def close(ours: Any, theirs: Any) -> None:
    assert ours.shape == tuple(theirs.shape) and ours.dtype == np.float64
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)


NORM = {"gamma": "weight", "beta": "bias", "running_mean": "running_mean", "running_var": "running_var"}
WEIGHT = {"W": "weight", "b": "bias"}


@pytest.mark.parametrize(
    ("make", "theirs", "shape", "names"),
    [
        (lambda: nn.Linear(4, 3), lambda t: t.nn.Linear(4, 3), (5, 4), WEIGHT),
        (lambda: nn.Linear(4, 3, bias=False), lambda t: t.nn.Linear(4, 3, bias=False), (2, 5, 4), WEIGHT),
        (lambda: nn.BatchNorm(3), lambda t: t.nn.BatchNorm1d(3), (6, 3), NORM),
        (lambda: nn.BatchNorm(3, 0.7, 1e-3), lambda t: t.nn.BatchNorm1d(3, 1e-3, 0.3), (6, 3), NORM),
        (lambda: nn.BatchNorm(3), lambda t: t.nn.BatchNorm2d(3), (2, 3, 4, 5), NORM),
        (lambda: nn.BatchNorm(3, 0.2), lambda t: t.nn.BatchNorm2d(3, momentum=0.8), (4, 3, 1, 2), NORM),
        (lambda: nn.LayerNorm(4), lambda t: t.nn.LayerNorm(4), (5, 4), NORM),
        (lambda: nn.LayerNorm(4, 0.1), lambda t: t.nn.LayerNorm(4, 0.1), (2, 5, 4), NORM),
        (lambda: nn.Flatten(), lambda t: t.nn.Flatten(), (2, 3, 4), {}),
        (lambda: nn.LeakyReLU(0.2), lambda t: t.nn.LeakyReLU(0.2), (5, 4), {}),
        (lambda: nn.ELU(0.2), lambda t: t.nn.ELU(0.2), (5, 4), {}),
        (lambda: nn.GELU(), lambda t: t.nn.GELU("tanh"), (5, 4), {}),
        (lambda: nn.Softmax(axis=1), lambda t: t.nn.Softmax(dim=1), (5, 4, 2), {}),
        (lambda: nn.LogSoftmax(), lambda t: t.nn.LogSoftmax(dim=-1), (5, 4, 2), {}),
        *[
            (lambda name=name: getattr(nn, name)(), lambda t, name=name: getattr(t.nn, name)(), (5, 4), {})
            for name in ("ReLU", "SELU", "SiLU", "Sigmoid", "Tanh", "Softplus", "Softsign", "Identity")
        ],
    ],
)
def test_agrees_with_torch(
    make: Callable[[], Any], theirs: Callable[[Any], Any], shape: tuple[int, ...], names: dict[str, str]
) -> None:
    against_torch(make(), theirs(pytest.importorskip("torch")), numbers(*shape), names)


@pytest.mark.parametrize(
    ("make", "theirs", "shape"),
    [
        (lambda: nn.Conv2d(2, 3, 3), lambda t: t.nn.Conv2d(2, 3, 3), (2, 2, 5, 6)),
        (
            lambda: nn.Conv2d(2, 3, (3, 2), stride=2, padding=(1, 0), bias=False),
            lambda t: t.nn.Conv2d(2, 3, (3, 2), stride=2, padding=(1, 0), bias=False),
            (2, 2, 5, 6),
        ),
        (lambda: nn.MaxPool2d(), lambda t: t.nn.MaxPool2d(2), (2, 2, 4, 6)),
        (lambda: nn.MaxPool2d(3, 2, 1), lambda t: t.nn.MaxPool2d(3, 2, 1), (2, 2, 5, 6)),
        (lambda: nn.AvgPool2d((2, 3)), lambda t: t.nn.AvgPool2d((2, 3)), (2, 2, 4, 6)),
        (lambda: nn.AvgPool2d(3, 1, 1), lambda t: t.nn.AvgPool2d(3, 1, 1), (2, 2, 4, 4)),
    ],
)
def test_layers_of_images_agree_with_torch(
    make: Callable[[], Any], theirs: Callable[[Any], Any], shape: tuple[int, ...]
) -> None:
    against_torch(make(), theirs(pytest.importorskip("torch")), numbers(*shape), WEIGHT)


# Normalisation


@pytest.mark.parametrize("shape", [(50, 3), (10, 3, 4, 5)])
def test_batch_norm_brings_each_feature_to_mean_0_and_variance_1(shape: tuple[int, ...]) -> None:
    axes = (0, 2, 3)[: len(shape) - 1]
    y = nn.BatchNorm(3, eps=1e-12)(numbers(*shape) * 100).data
    np.testing.assert_allclose(np.mean(y, axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(np.var(y, axis=axes), 1, rtol=1e-9)


def test_batch_norm_keeps_running_statistics_in_training_only() -> None:
    layer, x = nn.BatchNorm(3, momentum=0.75), numbers(8, 3)
    arrays = layer.running_mean, layer.running_var
    layer(x)
    np.testing.assert_allclose(layer.running_mean, 0.25 * np.mean(x, axis=0))
    np.testing.assert_allclose(layer.running_var, 0.75 + 0.25 * np.var(x, axis=0, ddof=1))
    assert layer.running_mean is arrays[0] and layer.running_var is arrays[1]
    before = copy.deepcopy(layer.state())
    y = layer.eval()(x).data
    np.testing.assert_allclose(y, (x - layer.running_mean) / np.sqrt(layer.running_var + 1e-5))
    for name, array in layer.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_running_statistics_approach_those_of_the_data() -> None:
    layer, draw = nn.BatchNorm(2), rng(3)
    for _ in range(300):
        layer(draw.normal([1, -2], [3, 0.5], size=(200, 2)))
    np.testing.assert_allclose(layer.running_mean, [1, -2], atol=0.3)
    np.testing.assert_allclose(layer.running_var, [9, 0.25], rtol=0.1)


def test_normalisation_of_what_does_not_vary_is_finite() -> None:
    for layer in (nn.BatchNorm(3), nn.LayerNorm(3)):
        x = Tensor(np.full((4, 3), 7.0), requires_grad=True)
        y = layer(x)
        y.backward(numbers(4, 3))
        assert not y.data.any() and np.all(np.isfinite(x.grad))


def test_normalisation_does_not_see_where_the_axes_lie_in_memory() -> None:
    x = numbers(4, 3, 5, 2)
    moved = np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    np.testing.assert_allclose(nn.BatchNorm(3)(moved).data, nn.BatchNorm(3)(x).data, rtol=1e-12)


# Dropout


def test_dropout_keeps_the_mean_and_drops_the_part_asked_for() -> None:
    y = nn.Dropout(0.3, rng=rng())(np.ones((200, 500)))
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(y[y != 0], 1 / 0.7)


def test_dropout_passes_x_on_in_evaluation_and_for_0() -> None:
    x = Tensor(numbers(3, 4))
    assert nn.Dropout(0.5).eval()(x) is x and nn.Dropout(0)(x) is x


def test_dropout_draws_from_its_own_generator() -> None:
    layer, same, x = nn.Dropout(0.5, rng=rng(7)), nn.Dropout(0.5, rng=rng(7)), np.ones((20, 20))
    first, second = layer(x), layer(x)
    np.testing.assert_array_equal(first, same(x))
    assert not np.array_equal(first, second)
    assert not np.array_equal(nn.Dropout(0.5)(x), nn.Dropout(0.5)(x))


def test_dropout_drops_the_same_in_both_precisions() -> None:
    both = [nn.Dropout(0.5, rng=rng())(np.ones(50, dtype)) for dtype in (np.float32, np.float64)]
    assert both[0].dtype == np.float32 and both[1].dtype == np.float64
    np.testing.assert_array_equal(both[0], both[1])


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_dropout_refuses_what_is_no_probability_to_drop(p: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and less than 1"):
        nn.Dropout(p)


# Initial weights


@pytest.mark.parametrize(
    ("init", "variance"),
    [
        (nn.init.xavier_normal, lambda i, o: 2 / (i + o)),
        (nn.init.xavier_uniform, lambda i, o: 2 / (i + o)),
        (nn.init.he_normal, lambda i, o: 2 / i),
        (nn.init.he_uniform, lambda i, o: 2 / i),
        (nn.init.fixed(0.3), lambda i, o: 0.09),
    ],
)
@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), [((300, 200), 300, 200), ((40, 30, 5, 3), 450, 600)])
def test_spread_of_initial_weights(
    init: Any, variance: Callable[[int, int], float], shape: tuple[int, ...], fan_in: int, fan_out: int
) -> None:
    values = init(shape, rng())
    expected = variance(fan_in, fan_out)
    assert values.shape == shape and nn.init.fans(shape) == (fan_in, fan_out)
    assert np.var(values) == pytest.approx(expected, rel=0.03)
    assert np.mean(values) == pytest.approx(0, abs=0.02 * expected**0.5)
    spread = np.max(np.abs(values)) / expected**0.5
    assert spread == pytest.approx(3**0.5, rel=1e-3) if init.__name__.endswith("uniform") else spread > 3.5
    np.testing.assert_array_equal(values, init(shape, rng()))


def test_he_takes_the_slope_of_leaky_relu_into_account() -> None:
    for init in (nn.init.he_normal, nn.init.he_uniform):
        np.testing.assert_allclose(init((4, 3), rng(), slope=0.5), init((4, 3), rng()) / 1.25**0.5)


def test_layers_begin_with_he_and_zeros_or_with_what_is_asked_for() -> None:
    layer = nn.Linear(300, 200, rng=rng())
    np.testing.assert_array_equal(layer.W.data, nn.init.he_normal((300, 200), rng()))
    assert not layer.b.data.any()
    assert not nn.Linear(3, 2, init=nn.init.zeros).W.data.any()
    np.testing.assert_array_equal(
        nn.Conv2d(2, 3, 5, init=nn.init.fixed(), rng=rng()).W.data, 0.01 * rng().normal(size=(3, 2, 5, 5))
    )
    with pytest.raises(ShapeError, match=r"weights of shape \(3, 2\), and made \(3,\)"):
        nn.Linear(3, 2, init=lambda shape, rng: np.zeros(3))
    with pytest.raises(ShapeError, match=r"\(3,\) has no fans"):
        nn.init.he_normal((3,), rng())


def test_layers_that_share_a_generator_begin_differently() -> None:
    draw = rng()
    assert not np.array_equal(nn.Linear(3, 2, rng=draw).W.data, nn.Linear(3, 2, rng=draw).W.data)
    assert not np.array_equal(nn.Linear(3, 2).W.data, nn.Linear(3, 2).W.data)
    with pytest.raises(TypeError, match=r"must be a numpy\.random\.Generator, got int"):
        nn.Linear(3, 2, rng=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(0, 3),
        lambda: nn.Linear(3, -1),
        lambda: nn.Linear(3, 2.0),  # type: ignore[arg-type]
        lambda: nn.Conv2d(1, 2, 0),
        lambda: nn.Conv2d(1, 2, (3, 0)),
        lambda: nn.BatchNorm(0),
        lambda: nn.LayerNorm(True),
    ],
)
def test_sizes_must_be_positive_integers(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="must be an integer of at least 1, got"):
        make()


def test_options_of_batch_norm_are_checked() -> None:
    for momentum in (-0.1, 1.1):
        with pytest.raises(ValueError, match="part of the old value"):
            nn.BatchNorm(3, momentum=momentum)
    for make in (nn.BatchNorm, nn.LayerNorm):
        with pytest.raises(ValueError, match="eps must be positive"):
            make(3, eps=0.0)


# Precision


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda dtype: nn.Linear(4, 3, dtype=dtype), (5, 4)),
        (lambda dtype: nn.Linear(4, 3, bias=False, dtype=dtype), (5, 4)),
        (lambda dtype: nn.BatchNorm(4, dtype=dtype), (5, 4)),
        (lambda dtype: nn.LayerNorm(4, dtype=dtype), (5, 4)),
        (lambda dtype: nn.Dropout(0.5), (5, 4)),
        *[(lambda dtype, layer=layer: layer, (5, 4)) for layer in ACTIVATIONS],
        (lambda dtype: nn.Conv2d(2, 3, 2, dtype=dtype), (1, 2, 3, 3)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_compute_in_their_own_precision(make: Any, shape: tuple[int, ...], dtype: Any) -> None:
    layer = make(dtype)
    for training in (True, False):
        layer._set_training(training)
        layer.zero_grad()
        x = Tensor(numbers(*shape).astype(dtype), requires_grad=True)
        y = layer(x)
        y.sum().backward()
        arrays = [y, x.grad, *layer.state().values(), *(p.grad for p in layer.params.values())]
        assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_astype_copies_the_whole_model() -> None:
    net = stirred(Net())
    net(numbers(5, 4)).sum().backward()
    small = net.astype(np.float32)
    assert type(small) is Net and small is not net
    for name, array in small.state().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, net.state()[name].astype(np.float32))
        assert net.state()[name].dtype == np.float64
    assert all(p.grad is None and p.name for p in small.params.values())
    assert all(p.grad is not None for p in net.params.values())
    x = numbers(5, 4)
    np.testing.assert_allclose(small.eval()(x.astype(np.float32)).data, net.eval()(x).data, rtol=1e-4, atol=1e-5)
    same = net.astype(np.float64)
    same.fc1.W.data[...] = 0
    assert net.fc1.W.data.all()
    with pytest.raises(DtypeError, match="needs floats, got int64"):
        net.astype(int)


def test_astype_keeps_shared_what_was_shared() -> None:
    net = Tied().astype(np.float32)
    assert net.decoder.W is net.encoder.W and net.again is net.encoder
    assert len(net.params) == 3


# A Module's contents


class Tied(nn.Module):
    """Encoder and decoder with the same weights, and the encoder once more."""

    def __init__(self) -> None:
        self.encoder = nn.Linear(3, 3, rng=rng())
        self.decoder = nn.Linear(3, 3, rng=rng())
        self.decoder.W = self.encoder.W
        self.again = self.encoder

    def forward(self, x: Any) -> Any:
        return self.again(self.decoder(self.encoder(x)))


def test_parameters_and_buffers_by_name_in_order_of_assignment() -> None:
    net = Net()
    assert list(net.params) == [
        "scale",
        "fc1.W",
        "fc1.b",
        "body.layers.0.W",
        "body.layers.0.b",
        "body.layers.1.gamma",
        "body.layers.1.beta",
    ]
    assert net.params == dict(net.named_parameters()) and net.params["fc1.W"] is net.fc1.W
    buffers = dict(net.named_buffers())
    assert list(buffers) == ["body.layers.1.running_mean", "body.layers.1.running_var", "mean"]
    assert list(net.state()) == [*net.params, *buffers]
    assert net.state()["fc1.W"] is net.fc1.W.data and net.state()["mean"] is net.mean.data
    assert [name for name, _ in net.named_modules()] == [
        "",
        "fc1",
        "body",
        "body.layers.0",
        "body.layers.1",
        "body.layers.2",
    ]
    assert [name for name, _ in net.named_generators()] == ["body.layers.2.rng"]
    assert net.scale.name == "scale"


def test_lists_tuples_and_dicts_are_looked_into() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            self.stages = [[nn.Linear(1, 1)], (nn.Linear(1, 1, bias=False),)]
            self.heads = {"a": nn.Linear(1, 1), "w": Tensor(1.0, requires_grad=True), 3: "text"}
            self._cache = np.ones(3)
            self.notes = np.array(["text"])
            self.result = np.exp(Tensor(1.0, requires_grad=True))
            self.number = 3

    model = Mixed()
    assert list(model.params) == ["stages.0.0.W", "stages.0.0.b", "stages.1.0.W", "heads.a.W", "heads.a.b", "heads.w"]
    assert list(model.state()) == list(model.params)


def test_a_name_for_two_things_is_an_error() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            self.heads = {"a.W": Tensor(1.0, requires_grad=True), "a": nn.Linear(1, 1)}

    with pytest.raises(ValueError, match=r"two parts of the model are called 'heads\.a\.W'"):
        _ = Twice().params


def test_a_module_that_knows_its_parent_is_walked_once() -> None:
    class Child(nn.Module):
        def __init__(self, parent: Any) -> None:
            self.parent = parent

    class Parent(nn.Module):
        def __init__(self) -> None:
            self.child = Child(self)
            self.fc = nn.Linear(2, 2)

    parent = Parent()
    assert list(parent.params) == ["fc.W", "fc.b"]
    assert "parent: is the model" in repr(parent)
    assert not parent.eval().child.training


def test_shared_parameters_are_found_once_and_gather_all_gradients() -> None:
    net = Tied()
    assert list(net.params) == ["encoder.W", "encoder.b", "decoder.b"]
    x = numbers(4, 3)
    assert_gradients(net, x, model=net)
    net(x).sum().backward()
    assert nn.unused_parameters(net) == []


def test_shared_buffers_are_found_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            self.mean = self.center = np.zeros(2)
            self.frozen = [Tensor(1.0)] * 2
            self.norms = [nn.BatchNorm(2)] * 2

    net = Twice()
    names = ["mean", "frozen.0", "norms.0.running_mean", "norms.0.running_var"]
    assert [name for name, _ in net.named_buffers()] == names
    small = net.astype(np.float32)
    assert small.center is small.mean and small.frozen[0] is small.frozen[1] and small.norms[0] is small.norms[1]
    assert len(dict(net.named_modules())) == 2


def test_freezing_a_parameter_makes_it_a_buffer() -> None:
    net = Net()
    names = set(net.state())
    net.fc1.W.requires_grad = False
    assert "fc1.W" not in net.params and "fc1.W" in dict(net.named_buffers()) and set(net.state()) == names
    assert "W (4, 3), fixed" in repr(net)


def test_train_and_eval_reach_all_below_and_return_the_model() -> None:
    net = Net()
    assert net.eval() is net and not any(module.training for _, module in net.named_modules())
    assert net.train() is net and all(module.training for _, module in net.named_modules())


def test_zero_grad_and_unused_parameters() -> None:
    class Forgetful(Net):
        def forward(self, x: Any) -> Any:
            return self.fc1(x)

    net = Forgetful()
    net(numbers(2, 4)).sum().backward()
    assert nn.unused_parameters(net) == [name for name in net.params if not name.startswith("fc1")]
    net.zero_grad()
    assert nn.unused_parameters(net) == list(net.params)
    np.sum(0 * net(numbers(2, 4))).backward()
    assert "fc1.W" not in nn.unused_parameters(net), "a gradient of 0 is one"


def test_copies_and_pickles_are_independent() -> None:
    net = stirred(Net())
    x = numbers(5, 4)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert list(other.params) == list(net.params)
        np.testing.assert_array_equal(copy.deepcopy(other)(x).data, copy.deepcopy(net)(x).data)
        other.fc1.W.data[...] = 0
        assert net.fc1.W.data.all()
        with pytest.raises(AttributeError):
            other.fc3 = 1


# State


def test_state_goes_from_one_model_to_another() -> None:
    net, other, x = stirred(Net()), Net(seed=1), numbers(5, 4)
    arrays = other.state()
    other.load_state({name: array.copy() for name, array in net.state().items()})
    assert all(other.state()[name] is array for name, array in arrays.items()), "written in place"
    np.testing.assert_array_equal(net.eval()(x).data, other.eval()(x).data)
    other.load_state({name: array.astype(np.float32) for name, array in net.state().items()})
    other.load_state(net.params | dict(net.named_buffers()))


def test_loading_between_forward_and_backward_is_noticed() -> None:
    net = Net().eval()
    y = net(numbers(5, 4)).sum()
    net.load_state({name: array * 2 for name, array in net.state().items()})
    with pytest.raises(GraphError, match="changed in place"):
        y.backward()


def test_load_state_lists_all_that_does_not_fit_and_changes_nothing() -> None:
    net = Net()
    before = copy.deepcopy(net.state())
    state = {name: array + 1 for name, array in before.items()}
    state["fc1.w"] = state.pop("fc1.W")
    state["scale"] = np.ones(4)
    state["fc1.b"] = state["fc1.b"] + 0j
    state["extra"] = np.ones(2)
    with pytest.raises(ValueError) as caught:
        net.load_state(state)
    for line in (
        "missing: fc1.W (4, 3)",
        "not expected: fc1.w (4, 3); meant fc1.W?",
        "not expected: extra (2,)\n",
        "scale: expected shape (3,), got (4,)",
        "fc1.b: expected dtype float64, got complex128",
        "nothing was loaded",
    ):
        assert line in str(caught.value)
    for name, array in net.state().items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(TypeError, match="expected a dict of name to array, got list"):
        net.load_state([])  # type: ignore[arg-type]


# Attributes


def test_a_misspelt_attribute_is_an_error_that_names_the_right_one() -> None:
    net = Net()
    with pytest.raises(AttributeError, match=r"Net has no attribute 'fcl' to set; did you mean 'fc1'\?\n.*__init__"):
        net.fcl = nn.Linear(4, 3)
    with pytest.raises(AttributeError, match=r"Net has no attribute 'fcl'; did you mean 'fc1'\?"):
        _ = net.fcl
    with pytest.raises(AttributeError, match=r"did you mean 'training'\?"):
        net.trainning = False
    with pytest.raises(AttributeError, match=r"'xyz'$"):
        _ = net.xyz
    assert not hasattr(net, "fcl")


def test_attributes_that_exist_can_be_set() -> None:
    class Counting(Net):
        calls = 0

        def __init__(self) -> None:
            super().__init__()
            self.last = None

        def forward(self, x: Any) -> Any:
            self.calls += 1
            self.last = x
            return super().forward(x)

    net = Counting()
    net(numbers(5, 4))
    net.fc1 = nn.Linear(4, 3, bias=False)
    net.scale = None
    net.body.training = False
    assert net.calls == 1 and net.last is not None and next(iter(net.params)) == "fc1.W"


@pytest.mark.parametrize("name", ["params", "state", "train", "options"])
def test_names_of_module_itself_are_taken(name: str) -> None:
    class Shadowing(nn.Module):
        def __init__(self) -> None:
            setattr(self, name, {})

    with pytest.raises(AttributeError, match=rf"Shadowing\.{name}: the name is taken by nn\.Module"):
        Shadowing()


def test_a_parameter_cannot_turn_into_something_else_unnoticed() -> None:
    net = Net()
    for value in (net.scale - 0.1, net.scale.data * 2, 3.0):
        with pytest.raises(
            GraphError, match=r"(?s)Net\.scale \(3,\) is a parameter.*with no_grad\(\): model\.scale -="
        ):
            net.scale = value
    with no_grad(), pytest.raises(GraphError, match="is a parameter"):
        net.scale = net.scale - 0.1
    parameter = net.scale
    with no_grad():
        net.scale -= 0.5
    assert net.scale is parameter and net.params["scale"].data[0] == 0.5
    net.scale = Tensor(np.zeros(3), requires_grad=True)


def test_an_error_in_a_property_is_not_hidden() -> None:
    class Broken(nn.Module):
        @property
        def depth(self) -> int:
            return [].nothing  # type: ignore[attr-defined, no-any-return]

    with pytest.raises(AttributeError, match="'list' object has no attribute 'nothing'"):
        _ = Broken().depth


# Calling


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            nn.Linear(4, 3),
            (2, 5),
            r"Linear\(4, 3\): .* 4 features\n  x \(2, 5\),  W \(4, 3\)\n  expected x \(\.\.\., 4\)",
        ),
        (nn.Linear(4, 3, bias=False), (), r"Linear\(4, 3, bias=False\): .*\n  x \(\)"),
        (nn.Conv2d(1, 3, 3), (2, 5, 5), r"Conv2d\(1, 3, 3\): .* 1 channels\n  x \(2, 5, 5\),  W \(3, 1, 3, 3\)"),
        (nn.Conv2d(1, 3, 3), (2, 2, 5, 5), r"expected x \(N, 1, H, W\)"),
        (nn.BatchNorm(3), (2, 4), r"BatchNorm\(3\): .*\n  x \(2, 4\),  gamma \(3,\)\n.*\(N, 3\) or \(N, 3, H, W\)"),
        (nn.BatchNorm(3), (2, 3, 4), r"x \(2, 3, 4\)"),
        (nn.BatchNorm(3), (1, 3), r"one value per feature has no variance\n  x \(1, 3\)\n.*eval\(\)"),
        (nn.BatchNorm(3), (1, 3, 1, 1), "one value per feature"),
        (nn.BatchNorm(3), (0, 3), "one value per feature"),
        (nn.LayerNorm(3), (3, 4), r"LayerNorm\(3\): .*\n  x \(3, 4\),  gamma \(3,\)\n  expected x \(\.\.\., 3\)"),
        (nn.Flatten(), (), "single number"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named_with_its_shapes(layer: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer(np.ones(shape))


def test_batch_norm_takes_a_batch_of_one_where_there_are_pixels_and_in_evaluation() -> None:
    assert nn.BatchNorm(3)(np.ones((1, 3, 2, 1))).shape == (1, 3, 2, 1)
    assert nn.BatchNorm(3).eval()(np.ones((1, 3))).shape == (1, 3)


def test_an_error_says_in_which_layer_it_arose() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            self.net = Net()

        def forward(self, x: Any) -> Any:
            return self.net.body(x)

    with pytest.raises(ShapeError) as caught:
        nn.Sequential(Outer())(np.ones((2, 5)))
    assert caught.value.__notes__ == ["in layer 'layers.0.net.body.layers.0' of Sequential: Linear(3, 3)"]
    with pytest.raises(ShapeError) as caught:
        nn.Linear(3, 2)(np.ones((2, 5)))
    assert not hasattr(caught.value, "__notes__")


class Wrapping(nn.Module):
    """A model of the user's, whose own lines belong into a traceback."""

    def __init__(self) -> None:
        self.body = nn.Sequential(nn.Identity(), nn.Sequential(nn.Linear(4, 3)))

    def forward(self, x: Any) -> Any:
        return self.body(x)


def frames(error: BaseException) -> list[str]:
    """Where an error came through: the line of a file of these tests, or the name of another file."""
    found = traceback.extract_tb(error.__traceback__)
    return [frame.line or "" if frame.filename == __file__ else Path(frame.filename).name for frame in found]


def test_a_traceback_shows_the_users_lines_only() -> None:
    net = Wrapping()
    with pytest.raises(ShapeError) as caught:
        net(np.ones((2, 5)))
    assert frames(caught.value) == ["net(np.ones((2, 5)))", "return self.body(x)"]
    with pytest.raises(ShapeError) as caught:
        nn.Linear(4, 3)(np.ones((2, 5)))
    assert frames(caught.value) == ["nn.Linear(4, 3)(np.ones((2, 5)))"]


def test_a_traceback_is_whole_under_debug_and_where_the_fault_may_be_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with debug(), pytest.raises(ShapeError) as caught:
        Wrapping()(np.ones((2, 5)))
    assert frames(caught.value)[-1] == "linear.py"

    def faulty(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(F, "linear", faulty)
    with pytest.raises(AssertionError) as broken:
        Wrapping()(np.ones((2, 4)))
    assert frames(broken.value)[-2:] == ["linear.py", "raise AssertionError"]
    calls = [place for place, _ in traceback.walk_tb(broken.value.__traceback__) if place.f_code.co_name == "__call__"]
    assert len(calls) == 4 and all(place.f_locals["__tracebackhide__"] for place in calls)


def test_a_module_without_forward_says_so() -> None:
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty has no forward\.\n  define it .* def forward\(self, x\)"):
        Empty()(1)


def test_sequential_is_a_list_of_modules() -> None:
    layers = [nn.Linear(2, 3), nn.ReLU()]
    net = nn.Sequential(*layers)
    assert len(net) == 2 and list(net) == layers and net[1] is layers[1]
    assert nn.Sequential() and nn.Sequential()(3.0) == 3.0
    for wrong, name in ((nn.ReLU, "ReLU"), (F.relu, "relu"), ([nn.ReLU()], "list")):
        with pytest.raises(TypeError, match=rf"layer 1 must be a Module, got {name}\.\n.*nn\.ReLU\(\)"):
            nn.Sequential(nn.ReLU(), wrong)  # type: ignore[arg-type]


def test_layers_take_plain_arrays_and_lists() -> None:
    x = numbers(4, 3)
    for layer in (nn.Linear(3, 2), nn.BatchNorm(3), nn.LayerNorm(3), nn.BatchNorm(3).eval(), nn.Flatten(), nn.ReLU()):
        np.testing.assert_array_equal(
            getattr(layer(x.tolist()), "data", None), getattr(layer(Tensor(x)), "data", None)
        ) if layer.params else np.testing.assert_array_equal(layer(x), layer(Tensor(x)).data)


# For people


def test_layer_outputs_are_what_each_layer_made() -> None:
    relu = nn.ReLU()
    net = nn.Sequential(nn.Linear(3, 4, rng=rng()), relu, nn.Sequential(nn.Linear(4, 2, rng=rng()), relu))
    x = numbers(5, 3)
    outputs = nn.layer_outputs(net, x)
    assert list(outputs) == ["layers.0 Linear", "layers.1 ReLU", "layers.2.layers.0 Linear"]
    np.testing.assert_array_equal(outputs["layers.0 Linear"], net[0](x).data)
    np.testing.assert_array_equal(outputs["layers.1 ReLU"], net(x).data)  # of two calls the last
    assert all(type(array) is np.ndarray for array in outputs.values())
    assert not any("forward" in vars(module) for _, module in net.named_modules())


def test_layer_outputs_leave_the_model_as_it_was_also_after_an_error() -> None:
    layer = nn.ReLU()
    layer.forward = lambda x: x * 2  # a function of its own
    net = nn.Sequential(layer, nn.Linear(3, 1))
    with pytest.raises(ShapeError):
        nn.layer_outputs(net, np.ones((1, 2)))
    np.testing.assert_array_equal(layer(np.ones(2)), [2, 2])
    assert list(nn.layer_outputs(layer, np.ones(2))) == ["ReLU"]
    with pytest.raises(TypeError, match=r"expected an nn\.Module, got function"):
        nn.layer_outputs(lambda x: x, np.ones(2))


def test_repr_is_a_tree_whose_counts_add_up() -> None:
    assert repr(Net()) == (
        "Net(): 36 parameters, scale (3,), mean (4,), fixed\n"
        "  fc1: Linear(4, 3)         15  W (4, 3), b (3,)\n"
        "  body: Sequential()\n"
        "    layers.0: Linear(3, 3)  12  W (3, 3), b (3,)\n"
        "    layers.1: BatchNorm(3)   6  gamma (3,), beta (3,)\n"
        "    layers.2: Dropout(0.5)"
    )


def test_repr_marks_what_is_shared() -> None:
    assert repr(Tied()) == (
        "Tied(): 15 parameters\n"
        "  encoder: Linear(3, 3)  12  W (3, 3), b (3,)\n"
        "  decoder: Linear(3, 3)   3  W is encoder.W, b (3,)\n"
        "  again: is encoder"
    )


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.ReLU(), "ReLU()"),
        (nn.LeakyReLU(0.2), "LeakyReLU(0.2)"),
        (nn.ELU(), "ELU(1)"),
        (nn.Softmax(), "Softmax()"),
        (nn.LogSoftmax(axis=1), "LogSoftmax(axis=1)"),
        (nn.Flatten(), "Flatten()"),
        (nn.MaxPool2d(), "MaxPool2d(2)"),
        (nn.AvgPool2d(3, stride=1, padding=1), "AvgPool2d(3, stride=1, padding=1)"),
        (nn.LayerNorm(2000), "LayerNorm(2000): 4,000 parameters, gamma (2000,), beta (2000,)"),
        (nn.Linear(3, 2, bias=False), "Linear(3, 2, bias=False): 6 parameters, W (3, 2)"),
        (nn.Conv2d(1, 2, 3, padding=1), "Conv2d(1, 2, 3, padding=1): 20 parameters, W (2, 1, 3, 3), b (2,)"),
        (
            nn.Conv2d(1, 2, (1, 3), stride=2, bias=False),
            "Conv2d(1, 2, (1, 3), stride=2, bias=False): 6 parameters, W (2, 1, 1, 3)",
        ),
    ],
)
def test_repr_of_layers(layer: Any, expected: str) -> None:
    assert repr(layer) == expected


# Training


def descend(net: Any, x: Any, t: Any, steps: int, lr: float) -> list[float]:
    losses = []
    for _ in range(steps):
        net.zero_grad()
        loss = F.softmax_cross_entropy(net(x), t)
        loss.backward()
        losses.append(loss.item())
        with no_grad():
            for p in net.params.values():
                p -= lr * p.grad
    return losses


def test_a_small_net_learns() -> None:
    draw = rng()
    x = draw.normal(size=(60, 2))
    t = (x[:, 0] * x[:, 1] > 0).astype(int)
    net = nn.Sequential(
        nn.Linear(2, 16, rng=draw),
        nn.BatchNorm(16),
        nn.ReLU(),
        nn.Dropout(0.1, rng=draw),
        nn.Linear(16, 16, rng=draw),
        nn.LayerNorm(16),
        nn.Tanh(),
        nn.Linear(16, 2, rng=draw, init=nn.init.xavier_normal),
    )
    losses = descend(net, x, t, steps=150, lr=0.5)
    assert losses[-1] < 0.2 * losses[0] and nn.unused_parameters(net) == []
    assert np.mean(np.argmax(net.eval()(x).data, axis=1) == t) > 0.95


def test_a_small_net_of_images_learns() -> None:
    draw = rng()
    t = np.arange(40) % 2
    x = 0.3 * draw.normal(size=(40, 1, 8, 8))
    x[t == 0, :, 2:6, 3] += 1  # upright and flat strokes
    x[t == 1, :, 3, 2:6] += 1
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, rng=draw, bias=False),
        nn.BatchNorm(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, rng=draw),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 2, rng=draw),
    )
    losses = descend(net, x, t, steps=40, lr=0.3)
    assert losses[-1] < 0.2 * losses[0] and nn.unused_parameters(net) == []


def test_params_take_updates_in_place_and_nothing_else() -> None:
    layer = nn.Linear(2, 3, rng=np.random.default_rng(0))
    before = layer.W.data.copy()
    with no_grad():
        layer.params["W"] -= 0.5
    np.testing.assert_array_equal(layer.W.data, before - 0.5)
    with pytest.raises(TypeError, match=r"params\['W'\] = ... does not reach the model"):
        layer.params["W"] = Tensor(before, requires_grad=True)
