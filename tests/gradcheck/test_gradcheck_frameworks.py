"""The gradient check on other frameworks' gradients, with the very code that docs/gradcheck.md shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_kr.errors import DtypeError
from tinygrad_kr.gradcheck import GradientMismatch, Report, Verdict, check_gradients

PAGE = Path(__file__).parents[2] / "docs" / "gradcheck.md"
MODES = ["full", "directions"]


def block(*words: str) -> str:
    """Return the one block of code on the page that holds all of some words."""
    blocks = re.findall(r"```py(?:thon)?\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [code for code in blocks if all(word in code for word in words)]
    return found


def run(code: str) -> dict[str, Any]:
    """Run a block and return its names."""
    names: dict[str, Any] = {}
    exec(compile(code, "<documentation>", "exec"), names)
    return names


def report_after(code: str, before: str, after: str) -> Report:
    """Return the report that a block raises once something in it is changed."""
    assert code.count(before) == 1
    with pytest.raises(GradientMismatch) as raised:
        run(code.replace(before, after))
    return raised.value.report


def one_element_off(gradient: Any, index: tuple[int, ...], factor: float) -> Any:
    """Return a gradient function of which one element, of the first input, is off."""

    def wrong(*args: Any) -> Any:
        returned = gradient(*args)
        first = np.asarray(returned[0] if isinstance(returned, tuple) else returned).copy()
        first[index] *= factor
        return (first, *returned[1:]) if isinstance(returned, tuple) else first

    return wrong


def assert_finds(f: Any, inputs: tuple[Any, ...], gradient: Any, mode: str, index: tuple[int, ...]) -> None:
    """A right gradient passes; with one element off by a millionth it fails, and at that element."""
    right = check_gradients(f, *inputs, gradient=gradient, mode=mode)
    assert right.verdict is Verdict.PASS, right
    wrong = check_gradients(f, *inputs, gradient=one_element_off(gradient, index, 1 + 1e-6), mode=mode)
    assert wrong.verdict is Verdict.FAIL, wrong
    assert wrong.worst is not None and wrong.worst.index == index, wrong
    assert sum(f.verdict is Verdict.FAIL and f.index is not None for f in wrong.findings) == 1, wrong


# NumPy


def test_numpy_layer_of_the_page_passes() -> None:
    run(block("class Affine", "assert_gradients"))


@pytest.mark.parametrize("mode", MODES)
def test_numpy_layer(mode: str) -> None:
    names, rng = run(block("class Affine")), np.random.default_rng(1)
    inputs = rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)
    assert_finds(names["f"], inputs, names["gradient"], mode, (3, 2))


def test_numpy_layer_with_mistakes() -> None:
    code = block("class Affine")
    report = report_after(code, "dout.sum(axis=0)", "dout.sum(axis=1)[:2]")
    assert report.worst is not None and report.worst.input == "b"
    report = report_after(code, "return dout @ self.w.T", "return -dout @ self.w.T")
    assert report.worst is not None and report.worst.input == "x"
    assert report.patterns == ["x: it is minus the true gradient: a sign is wrong"]


def test_numpy_layer_kept_between_calls_remembers_the_first() -> None:
    layer = run(block("class Affine"))["Affine"](np.array([[0.5, -1.0], [2.0, 0.3]]), np.array([0.1, 0.2]))

    def f(x: Any) -> Any:
        return layer.forward(x) ** 2

    def gradient(x: Any, cotangent: Any) -> Any:
        if not hasattr(layer, "y"):
            layer.y = layer.forward(x)
        return layer.backward(2 * layer.y * cotangent)

    report = check_gradients(f, np.array([[1.0, -0.4], [0.2, 0.7]]), gradient=gradient)
    assert report.verdict is Verdict.FAIL
    (stale,) = [c for c in report.exact_properties if c.name == "stale cache"]
    assert stale.verdict is Verdict.FAIL and "at a second point" in stale.message


# PyTorch


def test_torch_code_of_the_page_passes() -> None:
    pytest.importorskip("torch")
    run(block("torch.autograd.Function", "assert_gradients"))
    run(block("torch.nn.Sequential", "assert_gradients"))


@pytest.mark.parametrize("mode", MODES)
def test_torch_function(mode: str) -> None:
    pytest.importorskip("torch")
    names = run(block("torch.autograd.Function"))
    x = np.random.default_rng(0).standard_normal((4, 6))
    assert_finds(names["f"], (x,), names["gradient"], mode, (2, 5))


def test_torch_function_with_mistakes() -> None:
    pytest.importorskip("torch")
    code = block("torch.autograd.Function")
    report = report_after(code, "grad_output * (s", "-grad_output * (s")
    assert report.worst is not None and report.worst.input == "x"
    assert report.patterns == ["x: it is minus the true gradient: a sign is wrong"]
    report = report_after(code, "return grad_output * (s + x * s * (1 - s))", "return s + x * s * (1 - s)")
    assert "ignores the cotangent" in report.patterns[0]
    assert {c.name for c in report.exact_properties if c.verdict is Verdict.FAIL} == {"zero cotangent", "linearity"}


def test_torch_function_of_two_inputs_and_labels() -> None:
    torch = pytest.importorskip("torch")

    class Pick(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any, t: Any) -> Any:
            ctx.save_for_backward(x, w, t)
            return (x @ w).gather(1, t[:, None])[:, 0]

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            x, w, t = ctx.saved_tensors
            d = torch.zeros(len(t), w.shape[1], dtype=x.dtype).scatter(1, t[:, None], grad_output[:, None])
            return d @ w.T, x.T @ d, None

    def f(x: Any, w: Any, t: Any) -> Any:
        return Pick.apply(*map(torch.tensor, (x, w, t)))

    def gradient(x: Any, w: Any, t: Any, cotangent: Any) -> Any:
        x, w = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
        dx, dw = torch.autograd.grad(Pick.apply(x, w, torch.tensor(t)), [x, w], torch.tensor(cotangent))
        return dx, dw, None

    rng = np.random.default_rng(0)
    x, w, t = rng.standard_normal((4, 3)), rng.standard_normal((3, 3)), np.array([2, 0, 0, 1])
    assert check_gradients(f, x, w, t, gradient=gradient).verdict is Verdict.PASS
    report = check_gradients(f, x, w, t, gradient=lambda *args: (gradient(*args)[0], gradient(*args)[1].T, None))
    assert report.worst is not None and report.worst.input == "w"
    assert report.patterns == ["w: it is the transpose of the true gradient"]


@pytest.mark.parametrize("mode", MODES)
def test_torch_module_as_a_model(mode: str) -> None:
    torch = pytest.importorskip("torch")
    names = run(block("torch.nn.Sequential"))
    net, f, gradient = names["net"], names["f"], names["gradient"]
    x = np.random.default_rng(1).standard_normal((2, 3))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}

    def wrong(x: Any, cotangent: Any) -> Any:
        dx, others = gradient(x, cotangent)
        return dx, others | {"2.weight": 1.5 * others["2.weight"]}

    report = check_gradients(f, x, gradient=gradient, model=net, mode=mode)
    assert report.verdict is Verdict.PASS, report
    assert {finding.input for finding in report.findings} == {"x", *(f"params[{name!r}]" for name in before)}
    report = check_gradients(f, x, gradient=wrong, model=net, mode=mode)
    assert {finding.input for finding in report.findings if finding.verdict is Verdict.FAIL} == {"params['2.weight']"}
    assert report.patterns == ["params['2.weight']: it is 1.5 times the true gradient, everywhere: a constant factor"]
    for name, p in net.named_parameters():
        assert torch.equal(p, before[name]) and p.grad is None and p.requires_grad


def test_torch_module_whose_gradient_is_the_dict_of_its_parameters() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(3, 2).double()
    params = dict(net.named_parameters())

    def gradient(x: Any, cotangent: Any) -> Any:
        return dict(
            zip(
                params,
                torch.autograd.grad(net(torch.tensor(x)), list(params.values()), torch.tensor(cotangent)),
                strict=True,
            )
        )

    report = check_gradients(lambda x: net(torch.tensor(x)).detach(), np.eye(3), gradient=gradient, model=net)
    assert report.verdict is Verdict.PASS
    assert {finding.input for finding in report.findings} == {"params['weight']", "params['bias']"}


def test_torch_module_is_put_back_when_the_function_raises() -> None:
    torch = pytest.importorskip("torch")
    names = run(block("torch.nn.Sequential"))
    net, calls = names["net"], []
    before = {name: p.detach().clone() for name, p in net.named_parameters()}

    def f(x: Any) -> Any:
        calls.append(x)
        if any(not torch.equal(p, before[name]) for name, p in net.named_parameters()):
            raise RuntimeError("while a parameter is moved")
        return names["f"](x)

    with pytest.raises(RuntimeError, match="while a parameter is moved"):
        check_gradients(f, np.ones((2, 3)), gradient=names["gradient"], model=net)
    assert len(calls) > 1
    for name, p in net.named_parameters():
        assert torch.equal(p, before[name])


def test_torch_module_in_float32_is_refused_by_name() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(3, 2)
    with pytest.raises(DtypeError, match="weight of the model is float32"):
        check_gradients(lambda x: net(torch.tensor(x)).detach(), np.eye(3), gradient=lambda x, v: {}, model=net)


# JAX


@pytest.fixture
def x64() -> Iterator[None]:
    """Put JAX's setting back, which the code of the page changes."""
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("mode", MODES)
def test_jax_function(mode: str) -> None:
    names = run(block("jax.custom_vjp", "assert_gradients"))
    x = np.random.default_rng(0).standard_normal((2, 7))
    assert_finds(names["softplus"], (x,), names["gradient"], mode, (1, 6))


@pytest.mark.usefixtures("x64")
def test_jax_function_with_mistakes() -> None:
    code = block("jax.custom_vjp")
    report = report_after(code, "jax.nn.sigmoid(x),)", "(1 - jax.nn.sigmoid(x)),)")
    assert report.worst is not None and report.worst.input == "x"
    report = report_after(code, "(cotangent * jax.nn.sigmoid(x),)", "(2 * cotangent * jax.nn.sigmoid(x),)")
    assert report.patterns == [
        "x: it is 2 times the true gradient: the 2 of a square's derivative, or the 1/2 before one"
    ]


@pytest.mark.usefixtures("x64")
def test_jax_in_float32_is_told_from_a_right_gradient() -> None:
    code = block("jax.custom_vjp").replace('update("jax_enable_x64", True)', 'update("jax_enable_x64", False)')
    with pytest.raises(GradientMismatch) as raised:
        run(code)
    report = raised.value.report
    (shape,) = [c for c in report.exact_properties if c.name == "dtype and shape"]
    assert "float32: digits are lost" in shape.message


@pytest.mark.usefixtures("x64")
def test_jax_gradient_of_a_dict_of_parameters() -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)

    def f(params: Any, x: Any) -> Any:
        return jax.numpy.tanh(x @ params["w"] + params["b"]) @ params["v"]

    def gradient(params: Any, x: Any, cotangent: Any) -> Any:
        return jax.vjp(f, params, x)[1](cotangent)

    def swapped(params: Any, x: Any, cotangent: Any) -> Any:
        dparams, dx = gradient(params, x, cotangent)
        return dparams | {"b": dparams["v"], "v": dparams["b"]}, dx

    rng = np.random.default_rng(0)
    params = {"w": rng.standard_normal((3, 4)), "b": rng.standard_normal(4), "v": rng.standard_normal(4)}
    x = rng.standard_normal((2, 3))
    assert check_gradients(f, params, x, gradient=gradient).verdict is Verdict.PASS
    report = check_gradients(f, params, x, gradient=swapped)
    assert {finding.input for finding in report.findings if finding.verdict is Verdict.FAIL} == {
        "params['b']",
        "params['v']",
    }
    assert report.patterns[0] == ("params['b']: it is the true gradient for params['v']: two gradients are swapped")
