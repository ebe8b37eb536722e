"""Common mistakes, and whether the report lets a learner read what the mistake is."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_kr import functional as F
from tinygrad_kr.gradcheck import GradientMismatch, Report, Verdict, assert_gradients, check_gradients

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "gradcheck.md", DOCS / "gradcheck.ko.md"]
READMES = [DOCS.parent / "README.md", DOCS.parent / "README.ko.md"]
RNG = np.random.default_rng(0)
SQUARE, WIDE = RNG.standard_normal((4, 4)), RNG.standard_normal((3, 5))
MATRIX, BIAS = RNG.standard_normal((5, 2)), RNG.standard_normal(2)
LABELS = np.array([1, 4, 4])


def mismatch(f: Callable[..., Any], *inputs: Any, gradient: Callable[..., Any], **options: Any) -> Report:
    """Return the report of a gradient that must fail."""
    with pytest.raises(GradientMismatch) as raised:
        assert_gradients(f, *inputs, gradient=gradient, **options)
    assert str(raised.value) == str(raised.value.report)
    return raised.value.report


def exact_property(report: Report, name: str) -> str:
    """Return what an exact property that is broken says; it must be in the text too."""
    (found,) = [c for c in report.exact_properties if c.name == name]
    assert found.verdict is Verdict.FAIL and f"{name}: {found.message}" in str(report), report
    return found.message


# What learners differentiate


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(scores: Any, t: Any) -> Any:
    return -np.mean(np.log(softmax(scores)[np.arange(len(t)), t]))


def affine(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b


def normalized(x: Any) -> Any:
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)


# The three that everybody makes


@pytest.mark.parametrize("mode", ["full", "auto", "numerical"])
def test_softmax_without_its_sum(mode: str) -> None:
    right = lambda x, v: softmax(x) * (v - np.sum(v * softmax(x), axis=-1, keepdims=True))
    assert check_gradients(softmax, WIDE, gradient=right, mode=mode).verdict is Verdict.PASS
    report = mismatch(softmax, WIDE, gradient=lambda x, v: v * softmax(x), mode=mode)
    assert "along axis 1 the true gradient sums to 0" in report.patterns[0]
    assert "- sum(v * s) in the backward pass of softmax" in report.patterns[0]


def test_batch_gradient_without_its_mean() -> None:
    right = lambda scores, t, v: v * (softmax(scores) - np.eye(5)[t]) / len(t)
    assert check_gradients(cross_entropy, WIDE, LABELS, gradient=right).verdict is Verdict.PASS
    report = mismatch(cross_entropy, WIDE, LABELS, gradient=lambda *args: 3 * right(*args))
    assert report.patterns == [
        "scores: it is 3 times the true gradient, the length of axis 0 of scores: is a 1/N (a mean) missing?"
    ]
    report = mismatch(cross_entropy, WIDE, LABELS, gradient=lambda *args: right(*args) / 3)
    assert "it is 1/3 of the true gradient" in report.patterns[0] and "1/N there once too often" in report.patterns[0]


def test_batch_gradient_without_its_mean_along_directions() -> None:
    scores, t = np.random.default_rng(0).standard_normal((7, 40)), np.arange(7)
    wrong = lambda scores, t, v: v * (softmax(scores) - np.eye(40)[t])
    report = mismatch(cross_entropy, scores, t, gradient=wrong)
    assert report.mode == "directions"
    assert "it is 7 times the true gradient, the length of axis 0 of scores" in report.patterns[0]


def test_bias_without_the_sum_over_the_batch() -> None:
    right = lambda x, w, b, v: (v @ w.T, x.T @ v, v.sum(axis=0))
    assert check_gradients(affine, WIDE, MATRIX, BIAS, gradient=right).verdict is Verdict.PASS
    report = mismatch(affine, WIDE, MATRIX, BIAS, gradient=lambda x, w, b, v: (v @ w.T, x.T @ v, v + 0))
    assert report.patterns == [
        "b: a missing sum: summed over axis 0, along which b was broadcast, it is right",
    ]
    assert "must have its shape (2,), got (3, 2)" in exact_property(report, "dtype and shape")
    assert [finding.verdict for finding in report.findings] == [Verdict.PASS] * (WIDE.size + MATRIX.size)


def test_bias_of_one_row_without_the_sum_over_the_batch() -> None:
    row = BIAS[None]
    report = mismatch(affine, WIDE, MATRIX, row, gradient=lambda x, w, b, v: (v @ w.T, x.T @ v, v + 0))
    assert "a missing sum: summed over axis 0" in report.patterns[0]
    report = mismatch(affine, WIDE, MATRIX, row, gradient=lambda x, w, b, v: (v @ w.T, x.T @ v, v.sum(axis=0)))
    assert report.patterns == ["b: a missing reshape: in the shape of the input it is right"]


# Others


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x, v: -v * np.cos(x), "a sign is wrong"),
        (lambda x, v: 0 * v, "zero everywhere"),
        (lambda x, v: (v * np.cos(x)).T, "the transpose of the true gradient"),
        (lambda x, v: np.roll(v * np.cos(x), 1, axis=0), "moved by one along axis 0: an index is off by one"),
        (lambda x, v: np.roll(v * np.cos(x), -1, axis=1), "moved by one along axis 1: an index is off by one"),
        (lambda x, v: (v * np.cos(x))[::-1, ::-1], "the right numbers at the wrong places"),
        (lambda x, v: 1.5 * v * np.cos(x), "it is 1.5 times the true gradient, everywhere: a constant factor"),
        (lambda x, v: v * np.cos(x) + 1, "the error is the same all along axis 0"),
        (lambda x, v: v * np.cos(x) + np.arange(4)[:, None], "the error is the same all along axis 1"),
        (lambda x, v: v * np.cos(x) * np.array([[1], [1], [2], [1]]), "the index along axis 0 is 2 of 4"),
        (lambda x, v: v * np.cos(x) * np.array([1, 2, 1, 3]), "only at odd indices along axis 1"),
        (lambda x, v: (v * np.cos(x)).astype(np.float16).astype(float), "rounding to float16, as by a cast inside"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_pattern(wrong: Callable[..., Any], said: str) -> None:
    report = mismatch(np.sin, SQUARE, gradient=wrong)
    assert len(report.patterns) == 1 and report.patterns[0].startswith("x: ") and said in report.patterns[0]
    assert f"  pattern: {report.patterns[0]}" in str(report).splitlines()


def scores_of(rng: np.random.Generator) -> tuple[Any, Any]:
    return rng.normal(size=(4, 3)), rng.integers(0, 3, 4)


def book_loss(scores: Any, t: Any) -> Any:
    """The book's loss, whose backward pass forgets the 1e-7."""
    return -np.sum(np.log(F.softmax(scores)[np.arange(len(t)), t] + 1e-7)) / len(t)


def book_backward(scores: Any, t: Any, v: Any) -> Any:
    d = F.softmax(scores)
    d[np.arange(len(t)), t] -= 1
    return v * d / len(t)


@pytest.mark.parametrize("seed", range(5))
def test_an_epsilon_in_a_logarithm_is_no_float32(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, t = scores_of(rng)
    report = mismatch(book_loss, scores, t, gradient=book_backward)
    assert len(report.patterns) == 1 and "the relative error is 1e-07 / y" in report.patterns[0]
    x, w = rng.normal(size=(4, 5)), rng.normal(size=(5, 3))
    report = mismatch(lambda w: book_loss(x @ w, t), w, gradient=lambda w, v: x.T @ book_backward(x @ w, t, v))
    assert "float32" not in str(report.patterns)
    y = rng.uniform(0.1, 1, 5)
    report = mismatch(lambda y: np.log(y + 1e-7), y, gradient=lambda y, v: v / y)
    assert "the relative error is 1e-07 / y" in report.patterns[0]


def test_the_two_of_a_square() -> None:
    report = mismatch(np.square, SQUARE, gradient=lambda x, v: v * x)
    assert report.patterns == [
        "x: it is 0.5 times the true gradient: the 2 of a square's derivative, or the 1/2 before one"
    ]
    report = mismatch(np.square, SQUARE, gradient=lambda x, v: 4 * v * x)
    assert report.patterns == [
        "x: it is 2 times the true gradient: the 2 of a square's derivative, or the 1/2 before one"
    ]


def test_swapped_gradients() -> None:
    report = mismatch(lambda a, b: a * b, SQUARE, SQUARE + 1, gradient=lambda a, b, v: (v * a, v * b))
    assert report.patterns == [
        "a: it is the true gradient for b: two gradients are swapped",
        "b: it is the true gradient for a: two gradients are swapped",
    ]


def test_gradient_in_the_shape_of_the_transpose() -> None:
    report = mismatch(affine, WIDE, MATRIX, BIAS, gradient=lambda x, w, b, v: (v @ w.T, v.T @ x, v.sum(axis=0)))
    assert report.patterns == ["w: a transpose: the transposed array is the true gradient"]
    assert "must have its shape (5, 2), got (2, 5)" in exact_property(report, "dtype and shape")


def test_ignored_cotangent() -> None:
    report = mismatch(np.sin, SQUARE, gradient=lambda x, v: np.cos(x))
    assert report.patterns == [
        "x: it ignores the cotangent: for a cotangent of ones it is the same; multiply by the cotangent"
    ]
    assert "with a cotangent of zeros the gradient for x is not 0" in exact_property(report, "zero cotangent")
    assert "not linear in the cotangent" in exact_property(report, "linearity")


def test_cotangent_used_twice() -> None:
    report = mismatch(np.sin, SQUARE, gradient=lambda x, v: v * np.abs(v) * np.cos(x))
    assert "not linear in the cotangent: at x[" in exact_property(report, "linearity")


def test_mean_forgotten_in_a_normalization() -> None:
    def without_mean(x: Any, v: Any) -> Any:
        y = normalized(x)
        return (v - y * np.mean(v * y, axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)

    report = mismatch(normalized, WIDE, gradient=without_mean)
    assert "along axis 1 the true gradient sums to 0" in report.patterns[0]
    assert "the error is the same all along axis 1" in report.patterns[1]


def test_rows_that_are_gathered_twice_but_counted_once() -> None:
    def assigned(w: Any, t: Any, v: Any) -> Any:
        g = np.zeros_like(w)
        g[t] = v  # np.add.at(g, t, v) would add
        return g

    report = mismatch(lambda w, t: w[t], np.ones((6, 2)), LABELS, gradient=assigned)
    assert {f.index[0] for f in report.findings if f.verdict is Verdict.FAIL and f.index} == {4}
    assert report.patterns == ["w: wrong only where the index along axis 0 is 4 of 6"]


# Exact properties


def test_gradient_returned_in_float32() -> None:
    report = mismatch(np.sin, SQUARE, gradient=lambda x, v: (v * np.cos(x)).astype(np.float32))
    assert (
        exact_property(report, "dtype and shape")
        == "the gradient for x (float64 in the check) is float32: digits are lost"
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x, v: (v * np.cos(x)).astype(np.float32).astype(float), "rounding to float32, as by a cast inside"),
        (lambda x, v: v * np.cos(x.astype(np.float32)), "the size of float32 rounding"),
    ],
    ids=["result", "input"],
)
def test_cast_to_float32_inside(wrong: Callable[..., Any], said: str) -> None:
    (pattern,) = mismatch(np.sin, SQUARE, gradient=wrong).patterns
    assert said in pattern


def test_cache_of_the_first_call() -> None:
    seen: list[Any] = []

    def gradient(x: Any, v: Any) -> Any:
        seen.append(x.copy())
        return v * np.cos(seen[0])

    report = mismatch(np.sin, SQUARE, gradient=gradient)
    message = exact_property(report, "stale cache")
    assert re.match(
        r"called at a second point, x\[\d, \d\] of the gradient is wrong there: given .*, true .* \+- ", message
    )
    assert report.worst is None and not report.patterns


def test_cache_of_the_call_before() -> None:
    seen: list[Any] = []

    def gradient(x: Any, v: Any) -> Any:
        seen.append(x.copy())
        return v * np.cos(seen[max(len(seen) - 2, 0)])

    report = mismatch(np.sin, SQUARE, gradient=gradient)
    assert "called at x1, x2 and x1 again" in exact_property(report, "stale cache")
    assert "it remembers an earlier call" in exact_property(report, "stale cache")


def test_gradient_that_changes_or_returns_the_cotangent() -> None:
    report = mismatch(np.sin, SQUARE, gradient=lambda x, v: np.multiply(v, np.cos(x), out=v))
    assert "changes its input or its cotangent in place: the array of shape (4, 4)" in exact_property(
        report, "mutation"
    )
    report = mismatch(lambda x: x + 1, SQUARE, gradient=lambda x, v: v)
    assert exact_property(report, "aliasing") == "the gradient for x shares memory with the cotangent; return a copy"


def test_function_that_changes_its_input() -> None:
    report = mismatch(lambda x: np.sin(x, out=x), SQUARE, gradient=lambda x, v: v * np.cos(x))
    assert "f changes its input in place" in exact_property(report, "mutation")


def test_missing_gradient() -> None:
    report = mismatch(affine, WIDE, MATRIX, BIAS, gradient=lambda x, w, b, v: (v @ w.T, x.T @ v, None))
    assert exact_property(report, "dtype and shape") == "no gradient (None) for b (2,), which holds floats"


def test_random_function_does_not_fail() -> None:
    rng = np.random.default_rng(0)
    report = check_gradients(lambda x: x * (rng.random(x.shape) < 0.5), SQUARE, gradient=lambda x, v: v + 0)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "fix the seed of what is random in it, or switch it off (dropout)" in report.reason


# The page


def blocks(page: Path, kinds: str) -> list[tuple[str, str]]:
    return re.findall(rf"```({kinds})\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_both_pages_show_the_same_code() -> None:
    def code(page: Path) -> list[tuple[str, str]]:
        return [(kind, re.sub(r" *# .*", "", text)) for kind, text in blocks(page, r"\w+")]

    assert code(PAGES[0]) == code(PAGES[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_reasons_on_the_page_are_those_of_the_program(page: Path) -> None:
    folder = Path(inspect.getfile(check_gradients)).parent
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    table = page.read_text(encoding="utf-8").split("| --- | --- |")[3]
    reasons = re.findall(r"^\| (.*?) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert len(reasons) == 13
    unknown = [part for reason in reasons for part in re.split(r"\.\.\.| nan", reason) if part not in source]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_exact_properties_on_the_page_are_those_of_the_program(page: Path) -> None:
    table = page.read_text(encoding="utf-8").split("| dtype and shape |")[1].partition("\n\n")[0]
    names = ["dtype and shape", *re.findall(r"^\| (.*?) \|", table, re.MULTILINE)]
    assert names == [c.name for c in check_gradients(np.sin, SQUARE).exact_properties]


def words_of(line: str) -> str:
    """Return a line of a report without its numbers, which differ from machine to machine in the last digits."""
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "#", line)


def reports_on(page: Path) -> list[Any]:
    """Return the blocks of code of a page that print a report, each with what the page says it prints."""
    found, shown = blocks(page, r"\w+"), []
    for (kind, code), (next_kind, text) in pairwise(found):
        if (kind, next_kind) == ("python", "text"):
            shown.append(pytest.param(code, text, id=f"{page.name}-{len(shown)}"))
    return shown


@pytest.mark.parametrize(("code", "text"), [shown for page in PAGES + READMES for shown in reports_on(page)])
def test_reports_on_the_page_are_those_of_the_program(code: str, text: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "<documentation>", "exec"), {})
    said = [words_of(line) for line in printed.getvalue().splitlines()]
    for line in text.splitlines():
        shown = words_of(line.removesuffix("..."))
        assert any(real == shown or (line.endswith("...") and real.startswith(shown)) for real in said), line


def test_pages_show_reports() -> None:
    assert [len(reports_on(page)) for page in PAGES + READMES] == [3, 3, 1, 1]
