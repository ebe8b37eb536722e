"""Convolution and pooling: against PyTorch in values, gradients and second derivatives; layout, ties, and misuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import Tensor, grad, no_grad, value_and_grad
from tinygrad_kr import functional as F
from tinygrad_kr.errors import ShapeError
from tinygrad_kr.primitives import convolution

Array = Any


def normal(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def gradients(f: Callable[..., Any], operands: list[Array], cotangent: Array) -> list[Array]:
    leaves = [Tensor(operand, requires_grad=True) for operand in operands]
    f(*leaves).backward(cotangent)
    return [leaf.grad for leaf in leaves]


# Against PyTorch


CONVOLUTIONS = [
    ((3, 2, 7, 5), (4, 2, 3, 3), 1, 0),
    ((3, 2, 7, 6), (4, 2, 3, 2), 2, 1),
    ((1, 1, 9, 9), (1, 1, 5, 5), 1, 2),
    ((2, 3, 6, 8), (2, 3, 1, 1), 1, 0),
    ((2, 1, 8, 5), (3, 1, 2, 4), (3, 2), (0, 3)),
    ((2, 3, 4, 4), (2, 3, 4, 4), 1, 0),  # one window: a linear layer
    ((2, 1, 3, 3), (2, 1, 7, 7), 1, 2),  # a filter larger than the image itself
    ((0, 2, 5, 5), (3, 2, 3, 3), 1, 1),  # no samples
]
POOLINGS = [
    ((3, 2, 6, 4), 2, None, 0),
    ((2, 3, 7, 5), 2, None, 0),  # a row and a column are left over
    ((2, 1, 7, 9), 3, 2, 1),
    ((1, 2, 8, 6), (3, 2), (1, 2), (1, 0)),
    ((2, 2, 9, 9), 2, 3, 1),  # gaps between windows
    ((1, 1, 5, 5), 5, None, 0),
    ((0, 2, 4, 4), 2, None, 0),
]


@pytest.mark.parametrize("has_bias", [False, True], ids=["without bias", "with bias"])
@pytest.mark.parametrize(("images", "filters", "stride", "padding"), CONVOLUTIONS)
def test_conv2d_is_that_of_torch(images: Any, filters: Any, stride: Any, padding: Any, has_bias: bool) -> None:
    torch = pytest.importorskip("torch")
    operands = [normal(*images), normal(*filters), normal(filters[0])][: 3 if has_bias else 2]
    theirs = [torch.tensor(operand, requires_grad=True) for operand in operands]
    expected = torch.nn.functional.conv2d(*theirs, stride=stride, padding=padding)
    cotangent = normal(*expected.shape)
    expected.backward(torch.tensor(cotangent))

    def ours(*operands: Any) -> Any:
        return F.conv2d(*operands, stride=stride, padding=padding)

    np.testing.assert_allclose(ours(*operands), expected.detach(), rtol=0, atol=1e-12)
    for actual, their in zip(gradients(ours, operands, cotangent), theirs, strict=True):
        np.testing.assert_allclose(actual, their.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(("images", "size", "stride", "padding"), POOLINGS)
def test_pooling_is_that_of_torch(name: str, images: Any, size: Any, stride: Any, padding: Any) -> None:
    torch = pytest.importorskip("torch")
    x = normal(*images)
    their = torch.tensor(x, requires_grad=True)
    expected = getattr(torch.nn.functional, name)(their, size, stride, padding)
    cotangent = normal(*expected.shape)
    expected.backward(torch.tensor(cotangent))

    def ours(x: Any) -> Any:
        return getattr(F, name)(x, size, stride, padding)

    np.testing.assert_allclose(ours(x), expected.detach(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(gradients(ours, [x], cotangent)[0], their.grad, rtol=0, atol=1e-14)


def lenet_loss(f: Any, cross_entropy: Callable[..., Any], x: Any, t: Any, *parameters: Any) -> Any:
    w1, b1, w2, b2, w3, b3 = parameters
    x = f.max_pool2d(f.relu(f.conv2d(x, w1, b1, padding=1)), 2)
    x = f.avg_pool2d(f.relu(f.conv2d(x, w2, b2, stride=2)), 2)
    return cross_entropy(x.reshape(x.shape[0], -1) @ w3 + b3, t)


def small_lenet() -> list[Array]:
    parameters = [normal(*shape) for shape in [(3, 1, 3, 3), (3,), (4, 3, 3, 3), (4,), (16, 5), (5,)]]
    return [normal(6, 1, 20, 20), np.arange(6) % 5, *parameters]


def test_a_network_is_that_of_torch_up_to_the_second_derivative() -> None:
    torch = pytest.importorskip("torch")
    x, t, *parameters = small_lenet()
    positions = tuple(range(len(parameters)))
    directions = [normal(*p.shape) for p in parameters]

    def first(x: Any, *parameters: Any) -> Any:
        loss = lambda *ps: lenet_loss(F, F.softmax_cross_entropy, x, t, *ps)
        return sum(np.sum(u * g) for u, g in zip(directions, grad(loss, argnums=positions)(*parameters), strict=True))

    their_x = torch.tensor(x, requires_grad=True)
    theirs = [torch.tensor(p, requires_grad=True) for p in parameters]
    functional = torch.nn.functional
    loss = lenet_loss(functional, functional.cross_entropy, their_x, torch.tensor(t), *theirs)
    firsts = torch.autograd.grad(loss, theirs, create_graph=True)
    projected = sum((torch.tensor(u) * g).sum() for u, g in zip(directions, firsts, strict=True))
    seconds = torch.autograd.grad(projected, [their_x, *theirs])

    ours = [Tensor(p, requires_grad=True) for p in parameters]
    lenet_loss(F, F.softmax_cross_entropy, x, t, *ours).backward()
    for mine, their in zip(ours, firsts, strict=True):
        np.testing.assert_allclose(mine.grad, their.detach(), rtol=1e-10, atol=1e-12)
    for mine, their in zip(grad(first, argnums=tuple(range(7)))(x, *parameters), seconds, strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-9, atol=1e-10)


# The two ways to the gradient of max pooling


@pytest.mark.parametrize(("images", "size", "stride", "padding"), POOLINGS)
def test_recorded_and_not_max_pooling_gives_the_same_gradient(
    images: Any, size: Any, stride: Any, padding: Any
) -> None:
    x = np.random.default_rng(0).integers(0, 3, images).astype(float)  # many ties
    pool = lambda x: F.max_pool2d(x, size, stride, padding)
    cotangent, direction = normal(*pool(x).shape), normal(*images)
    plain = gradients(pool, [x], cotangent)[0]
    assert np.sum(plain) == pytest.approx(np.sum(cotangent), abs=1e-12)  # shares add up to one

    def along(u: Any) -> Any:
        return np.sum(direction * grad(lambda x: np.sum(pool(x) * u))(x))

    recorded, transposed = value_and_grad(along)(cotangent)
    assert recorded == pytest.approx(np.sum(direction * plain), abs=1e-12)
    assert np.sum(cotangent * transposed) == pytest.approx(np.sum(direction * plain), abs=1e-12)


def test_more_windows_than_a_byte_counts() -> None:
    x = Tensor(np.zeros((1, 1, 16, 16), np.float32), requires_grad=True)
    F.max_pool2d(x, 16).backward(np.full((1, 1, 1, 1), 256))
    np.testing.assert_array_equal(x.grad, np.ones((1, 1, 16, 16)))


# Layout


def lies_with_the_batch_last(x: Tensor) -> bool:
    return bool(x.data.transpose(1, 2, 3, 0).flags.c_contiguous)


def test_every_layer_leaves_the_batch_last_and_gathers_from_it_without_a_copy() -> None:
    x = Tensor(normal(3, 2, 8, 8), requires_grad=True)
    w, b = Tensor(normal(4, 2, 3, 3), requires_grad=True), Tensor(normal(4), requires_grad=True)
    y = F.relu(F.conv2d(x, w, b, padding=1))
    for layer in (y, F.max_pool2d(y), F.avg_pool2d(y), F.conv2d(y, normal(1, 4, 2, 2))):
        assert lies_with_the_batch_last(layer)
    assert np.shares_memory(convolution.padded(y.data, (0, 0), 0), y.data)


def test_windows_are_a_copy_even_where_they_are_the_image() -> None:
    x = np.ascontiguousarray(normal(1, 2, 3, 4))
    windows = convolution.windows(x, size=(1, 1), stride=(1, 1), padding=(0, 0))
    assert not np.shares_memory(windows, x)


@pytest.mark.parametrize("stride", [1, 2])
def test_windows_become_a_matrix_without_a_copy(stride: int) -> None:
    windows = convolution.windows(normal(2, 3, 7, 7), size=(3, 3), stride=(stride, stride), padding=(0, 0))
    assert windows.flags.c_contiguous


def test_results_may_be_changed_without_changing_operands() -> None:
    x, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1))
    for y in (F.conv2d(x, w), F.max_pool2d(x, 1), F.avg_pool2d(x, 1)):
        y += 1
    assert np.all(x == 1)


# Dtypes


def test_the_widest_dtype_of_the_operands_is_that_of_the_result() -> None:
    x, w, b = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32), np.ones(1)
    assert F.conv2d(x, w).dtype == np.float32
    assert F.conv2d(x, w, b).dtype == np.float64
    assert F.conv2d(x.astype(int), w, b.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, bool])
def test_images_of_integers(dtype: Any) -> None:
    x = np.array([[[[1, 0], [1, 1]]]], dtype)
    largest = F.max_pool2d(x, 2, 1, 1)
    assert largest.dtype == dtype and largest.tolist() == [[[[1, 1, 0], [1, 1, 1], [1, 1, 1]]]]
    assert F.avg_pool2d(x).tolist() == [[[[0.75]]]]
    assert F.conv2d(x, np.full((1, 1, 2, 2), 0.5)).tolist() == [[[[1.5]]]]


def test_negative_integers_are_larger_than_padding() -> None:
    assert F.max_pool2d(np.array([[[[-3]]]]), 3, padding=1).tolist() == [[[[-3]]]]


def test_nan_is_the_largest() -> None:
    assert np.isnan(F.max_pool2d(np.array([[[[np.nan, 1.0], [2.0, 3.0]]]]))).all()


# Training


def test_a_convolution_learns_the_edges_that_another_finds() -> None:
    x = normal(20, 1, 6, 6)
    edges = F.conv2d(x, np.array([[[[1.0, -1.0], [1.0, -1.0]]]]))
    w, b = Tensor(np.zeros((1, 1, 2, 2)), requires_grad=True), Tensor(np.ones(1), requires_grad=True)
    for _ in range(100):
        w.zero_grad()
        b.zero_grad()
        F.mean_squared_error(F.conv2d(x, w, b), edges).backward()
        with no_grad():
            w -= 0.3 * w.grad
            b -= 0.3 * b.grad
    np.testing.assert_allclose(w.data, [[[[1, -1], [1, -1]]]], atol=1e-6)
    np.testing.assert_allclose(b.data, [0], atol=1e-6)


# Misuse


X, W = np.ones((2, 3, 6, 5)), np.ones((4, 3, 3, 3))
MISTAKES: list[tuple[Callable[[], Any], list[str]]] = [
    (lambda: F.conv2d(X[0], W), ["conv2d: images have four axes, these 3", "x (3, 6, 5)", "expected x (N, channels"]),
    (lambda: F.conv2d(1.0, W), ["conv2d: images have four axes, these 0"]),
    (lambda: F.conv2d(X, W[0]), ["conv2d: filters have four axes, these 3", "w (3, 3, 3)"]),
    (lambda: F.conv2d(X, 1.0), ["conv2d: filters have four axes, these 0"]),
    (
        lambda: F.conv2d(Tensor(X, name="photos"), W[:, :2]),
        ["conv2d: the images have 3 channels, the filters 2", "photos (2, 3, 6, 5)", "w (4, 2, 3, 3)"],
    ),
    (lambda: F.conv2d(X, W, np.ones(3)), ["conv2d: there is one bias for each filter", "b (3,)", "b (filters,)"]),
    (lambda: F.conv2d(X, W, 0.5), ["conv2d: there is one bias for each filter", "b ()"]),
    (
        lambda: F.conv2d(X, np.ones((1, 3, 7, 3))),
        ["conv2d: a window (7, 3) is larger than an image (6, 5)\n", "stride=(1, 1), padding=(0, 0)"],
    ),
    (lambda: F.conv2d(X, np.ones((1, 3, 3, 9)), padding=1), ["larger than an image (8, 7), its padding included"]),
    (lambda: F.conv2d(X[:, :, :0], W, padding=5), ["images and windows have at least one pixel"]),
    (lambda: F.conv2d(X, W[:, :, :0]), ["images and windows have at least one pixel"]),
    (lambda: F.conv2d(X, W, stride=0), ["conv2d: stride must be a whole number from 1 on", "got 0"]),
    (lambda: F.conv2d(X, W, stride=1.5), ["conv2d: stride must be", "a pair (vertical, horizontal)", "got 1.5"]),
    (lambda: F.conv2d(X, W, stride=(1, 2, 3)), ["conv2d: stride must be", "got (1, 2, 3)"]),
    (lambda: F.conv2d(X, W, padding=-1), ["conv2d: padding must be a whole number from 0 on", "got -1"]),
    (lambda: F.conv2d(X, W, padding="same"), ["conv2d: padding must be", "got 'same'"]),
    (lambda: F.max_pool2d(X[0]), ["max_pool2d: images have four axes, these 3", "x (3, 6, 5)", "size=(2, 2)"]),
    (lambda: F.max_pool2d(X, 7), ["max_pool2d: a window (7, 7) is larger than an image (6, 5)"]),
    (lambda: F.max_pool2d(X, 0), ["max_pool2d: size must be a whole number from 1 on", "got 0"]),
    (
        lambda: F.max_pool2d(X, 2, padding=(0, 2)),
        ["padding (0, 2) a window (2, 2)", "less than the size of the window"],
    ),
    (lambda: F.avg_pool2d(X, (2, 6)), ["avg_pool2d: a window (2, 6) is larger than an image (6, 5)"]),
    (lambda: F.avg_pool2d(X, stride=(2, 0)), ["avg_pool2d: stride must be", "got (2, 0)"]),
]


@pytest.mark.parametrize(("mistake", "words"), MISTAKES, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_what_cannot_work_says_so(mistake: Callable[[], Any], words: list[str]) -> None:
    with pytest.raises(ShapeError) as caught:
        mistake()
    for word in words:
        assert word in str(caught.value)
